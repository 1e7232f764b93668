"""Reads tensors from .safetensors files that anybody may have written: finite floating point, or one line that names the file.

What a file claims is bounded before anything is made of it: its size, its header, and the types in it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nst_adain.errors import one_line

__all__ = ["FLOATS", "LARGEST_FILE", "LARGEST_HEADER", "check_file", "check_finite", "open_tensors", "read_tensors"]

LARGEST_FILE = 2**30  # bytes; the whole of VGG-19, with the layers that nothing here uses, has 575 MB
LARGEST_HEADER = 2**22  # bytes; the longest recipe of weights that ship has 22 kB
FLOATS = ("F16", "BF16", "F32", "F64")  # as the format calls them


def check_file(path: str | os.PathLike[str], what: str) -> None:
    """Raise FileNotFoundError, which says what was expected, unless `path` is a file; ValueError if it is far too large."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a file of {what}, found {'a folder' if Path(path).is_dir() else 'nothing'}")
    if (size := Path(path).stat().st_size) > LARGEST_FILE:
        raise ValueError(f"{path}: expected {what} of at most {LARGEST_FILE:,} bytes, found {size:,}")


def check_finite(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], what: str) -> None:
    """Raise ValueError, which names the file, and the first of the tensors that is not finite in float32."""
    for name, tensor in tensors.items():
        if not tensor.float().isfinite().all():  # what is too large for float32 is infinite in all that follows
            raise ValueError(f"{path}: expected finite {what}, found others in {one_line(name)}")


@contextlib.contextmanager
def open_tensors(path: str | os.PathLike[str], what: str) -> Iterator[Any]:
    """A .safetensors file, as `safetensors.safe_open` gives it.

    Args:
        path: the file.
        what: what it should hold, for errors: "weights".

    Raises:
        OSError: if there is no such file (FileNotFoundError), or it may not be read.
        ValueError: if it is not a .safetensors file, or one that holds what no program here writes.
    """
    from safetensors import SafetensorError, safe_open

    check_file(path, what)
    with open(path, "rb") as opened:  # here first: safe_open calls a file that may not be read missing
        header = int.from_bytes(opened.read(8), "little")
    expected = f"{path}: expected a .safetensors file of {what}, found something else"
    if header > LARGEST_HEADER:
        raise ValueError(f"{expected} (a header of {header:,} bytes)")
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            yield file
    except (SafetensorError, TypeError, RuntimeError) as error:  # torch's, of shapes that it cannot have
        raise ValueError(f"{expected} ({one_line(error)})") from error


def read_tensors(path: str | os.PathLike[str], what: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a .safetensors file, and its metadata.

    Args:
        path: the file.
        what: what it should hold, for errors: "weights".

    Raises:
        OSError: if there is no such file (FileNotFoundError), or it may not be read.
        ValueError: if it is not a .safetensors file, or has others than floating point, finite in float32.
    """
    tensors = {}
    with open_tensors(path, what) as file:
        for name in file.keys():  # noqa: SIM118, not a dict
            if (found := file.get_slice(name).get_dtype()) not in FLOATS:
                raise ValueError(f"{path}: expected {what} in floating point, found {one_line(name)} of the type {found}")
            # Copies: what is read stays mapped to the file.
            tensors[name] = file.get_tensor(name).clone()
        metadata = file.metadata() or {}
        check_finite(path, tensors, what)
    return tensors, metadata
