"""Takes files in any form: a path, the bytes of a file, or an open binary file."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from nst_adain.errors import ImageError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = ["File", "file_name", "is_file", "on_disk"]

File: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO


def is_file(value: object) -> TypeIs[File]:
    """Whether a value is a file in one of these forms."""
    return isinstance(value, (str, os.PathLike, bytes, bytearray, memoryview)) or callable(getattr(value, "read", None))


def file_name(value: object, name: str) -> str:
    """Return what errors call a file: its path, or the argument's `name` for one without."""
    return os.fspath(value) if isinstance(value, (str, os.PathLike)) else name


@contextlib.contextmanager
def on_disk(file: File, name: str) -> Iterator[Path]:
    """Yield the path of a file; what has none is written to a temporary one for the length of the block.

    Decoders get a path because some read a file twice, in parts, or by a library that opens it itself.

    Args:
        file: an open one is read from its start if it can be rewound, as Pillow does, else from where it is.
        name: what an ImageError of the block calls a file without a path.

    Raises:
        TypeError: if an open file gives text.
    """
    if isinstance(file, (str, os.PathLike)):
        yield Path(file)
        return
    data = file if isinstance(file, (bytes, bytearray, memoryview)) else _content(file, name)
    with tempfile.TemporaryDirectory(prefix="nst_adain-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        try:
            yield path
        except ImageError as error:
            raise ImageError(str(error).replace(str(path), name)) from error


def _content(file: BinaryIO, name: str) -> bytes:
    with contextlib.suppress(AttributeError, io.UnsupportedOperation):
        file.seek(0)
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError(f"{name}: expected a file opened in binary mode ('rb'), got one that gives {type(data).__name__}")
    return data
