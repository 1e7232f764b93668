"""Reads finite floating-point tensors from untrusted .safetensors files; any error is one line that names the file.

Checks a file's size, its header and the types in it before allocating anything for them.
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

LARGEST_FILE = 2**30  # bytes; all of VGG-19, with the layers that nothing here uses, has 575 MB
LARGEST_HEADER = 2**22  # bytes; the longest recipe of the shipped weights has 22 kB
FLOATS = ("F16", "BF16", "F32", "F64")  # the format's names


def check_file(path: str | os.PathLike[str], what: str) -> None:
    """Raise FileNotFoundError unless `path` is a file, saying that `what` was expected; ValueError if it is far too large."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a file of {what}, found {'a folder' if Path(path).is_dir() else 'nothing'}")
    if (size := Path(path).stat().st_size) > LARGEST_FILE:
        raise ValueError(f"{path}: expected {what} of at most {LARGEST_FILE:,} bytes, found {size:,}")


def check_finite(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], what: str) -> None:
    """Raise ValueError, naming the file and the first tensor that is not finite in float32."""
    for name, tensor in tensors.items():
        if not tensor.float().isfinite().all():  # all later steps use float32, where larger values are infinite
            raise ValueError(f"{path}: expected finite {what}, found others in {one_line(name)}")


@contextlib.contextmanager
def open_tensors(path: str | os.PathLike[str], what: str) -> Iterator[Any]:
    """Open a .safetensors file and yield what `safetensors.safe_open` returns.

    Args:
        path: the file.
        what: what it should hold, for errors: "weights".

    Raises:
        OSError: if the file does not exist (FileNotFoundError) or must not be read.
        ValueError: if it is not a .safetensors file, or holds shapes or types that torch cannot build.
    """
    from safetensors import SafetensorError, safe_open

    check_file(path, what)
    with open(path, "rb") as opened:  # first, because safe_open reports a file without read permission as missing
        header = int.from_bytes(opened.read(8), "little")
    expected = f"{path}: expected a .safetensors file of {what}, found something else"
    if header > LARGEST_HEADER:
        raise ValueError(f"{expected} (a header of {header:,} bytes)")
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            yield file
    except (SafetensorError, TypeError, RuntimeError) as error:  # torch raises the last two for impossible shapes
        raise ValueError(f"{expected} ({one_line(error)})") from error


def read_tensors(path: str | os.PathLike[str], what: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read all tensors of a .safetensors file, and its metadata.

    Args:
        path: the file.
        what: what it should hold, for errors: "weights".

    Raises:
        OSError: if the file does not exist (FileNotFoundError) or must not be read.
        ValueError: if it is not a .safetensors file, or a tensor is not floating point that is finite in float32.
    """
    tensors = {}
    with open_tensors(path, what) as file:
        for name in file.keys():  # noqa: SIM118, not a dict
            if (found := file.get_slice(name).get_dtype()) not in FLOATS:
                raise ValueError(f"{path}: expected {what} in floating point, found {one_line(name)} of the type {found}")
            # Copy it: the tensor that safetensors returns stays mapped to the file.
            tensors[name] = file.get_tensor(name).clone()
        metadata = file.metadata() or {}
        check_finite(path, tensors, what)
    return tensors, metadata
