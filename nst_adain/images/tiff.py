"""Reads and writes huge pictures in place: reads only what a tile needs, and writes each result at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from nst_adain.files import check_folder, replacing, writing
from nst_adain.images.metadata import add_to_tiff, read_tags
from nst_adain.images.raw import is_raw

__all__ = ["Pixels", "StoredPixels", "create_tiff", "map_tiff"]

_UPRIGHT = 1  # EXIF orientation


class StoredPixels:
    """Accesses the pixels of a file, (1, 3, H, W) uint8: `pixels[..., rows, columns]` reads or writes a rectangle.

    Maps nothing into memory: with a mapped file, a full disk or a program that shortens the file would end the process.
    """

    dtype, device = torch.uint8, torch.device("cpu")

    def __init__(self, path: Path, offset: int, height: int, width: int, name: str | os.PathLike[str] | None = None) -> None:
        """Access pixels stored one after the other in the file `path`, from byte `offset` on; errors say `name`."""
        self.shape = torch.Size((1, 3, height, width))
        self._path, self._offset, self._name = path, offset, name or path
        self._version = _version(os.stat(path))

    def __len__(self) -> int:
        return 1

    def __getitem__(self, window: tuple[Any, slice, slice]) -> Tensor:
        """Read a rectangle.

        Raises:
            OSError: if the file cannot be read, or has changed since it was opened first.
        """
        rows, columns = (range(size)[part] for size, part in zip(self.shape[2:], window[1:]))
        pixels = np.empty((len(rows), len(columns), 3), np.uint8)
        with writing(self._name), open(self._path, "rb", buffering=0) as file:
            whole = True
            for row, line in zip(rows, pixels):
                file.seek(self._place(row, columns))
                whole &= file.readinto(line.data) == line.nbytes
            unchanged = _version(os.fstat(file.fileno())) == self._version
        if not (whole and unchanged):
            raise OSError(f"{self._name}: was changed while it was read")
        return torch.from_numpy(pixels).permute(2, 0, 1)[None]

    def __setitem__(self, window: tuple[Any, slice, slice], values: Tensor) -> None:
        """Write a rectangle.

        Raises:
            OSError: if the file cannot be written, such as on a full disk.
        """
        rows, columns = (range(size)[part] for size, part in zip(self.shape[2:], window[1:]))
        pixels = values[0].permute(1, 2, 0).to("cpu", torch.uint8).contiguous().numpy()
        with writing(self._name), open(self._path, "rb+") as file:
            for row, line in zip(rows, pixels):
                file.seek(self._place(row, columns))
                file.write(line)

    def _place(self, row: int, columns: range) -> int:
        return self._offset + 3 * (row * self.shape[3] + columns.start)


Pixels: TypeAlias = Tensor | StoredPixels  # (B, 3, H, W)


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def map_tiff(path: str | os.PathLike[str]) -> StoredPixels | None:
    """Access the pixels of a TIFF file without reading them.

    Args:
        path: a file of any kind.

    Returns:
        (1, 3, H, W); or None if the file has to be decoded, because its first picture is not upright, uncompressed 8-bit RGB,
        stored pixel by pixel, without a colour profile.
    """
    if not Path(path).is_file():
        return None
    with contextlib.suppress(OSError), open(path, "rb") as start:
        if start.read(2) not in (b"II", b"MM"):
            return None
    import tifffile

    try:
        size = os.path.getsize(path)
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            plain = page.dtype == np.uint8 and page.shape[2:] == (3,) and page.photometric == tifffile.PHOTOMETRIC.RGB
            interleaved = page.planarconfig == tifffile.PLANARCONFIG.CONTIG
            upright = page.tags.valueof("Orientation", _UPRIGHT) == _UPRIGHT
            if not (plain and interleaved and upright and page.is_memmappable and page.iccprofile is None) or is_raw(page):
                return None
            offset, (height, width, _) = page.dataoffsets[0], page.shape
        return StoredPixels(Path(path), offset, height, width) if 0 < height * width * 3 <= size - offset else None
    except Exception:  # damaged files may raise anything; decoding will report what is wrong
        return None


@contextlib.contextmanager
def create_tiff(
    path: str | os.PathLike[str], height: int, width: int, *, metadata_of: str | os.PathLike[str] | None = None
) -> Iterator[StoredPixels]:
    """Yield an uncompressed TIFF file to fill; it gets its name at the end, or is removed if an error ends the block.

    Args:
        path: the file.
        height, width: its size in pixels.
        metadata_of: as for `save_image`.

    Yields:
        (1, 3, H, W), black until it is written to.

    Raises:
        FileNotFoundError: if the folder does not exist.
        OSError: if the disk is full.
    """
    import tifffile

    check_folder(Path(path))
    with replacing(path) as partial:
        with writing(path):
            offset = tifffile.memmap(partial, shape=(height, width, 3), dtype=np.uint8, photometric="rgb", metadata=None).offset
            with open(partial, "rb+") as file:
                if hasattr(os, "posix_fallocate"):  # fill the file's holes, so that a full disk shows now, not in an hour
                    os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
        yield StoredPixels(partial, offset, height, width, path)
        with writing(path), open(partial, "rb+") as file:
            if metadata_of is not None:
                add_to_tiff(file, read_tags(metadata_of))
            file.flush()
            os.fsync(file.fileno())
