"""Huge pictures as files that are mapped into memory: only what a tile needs is read, what it becomes is written at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nst_adain.files import check_folder, replacing, writing
from nst_adain.metadata import add_to_tiff, read_tags

__all__ = ["create_tiff", "map_tiff"]

_UPRIGHT = 1  # EXIF orientation


def map_tiff(path: str | os.PathLike[str]) -> Tensor | None:
    """The pixels of a TIFF file without reading them.

    Args:
        path: a file of any kind.

    Returns:
        (1, 3, H, W) uint8, or None if the file's first picture is not upright, of 8-bit RGB pixels that are stored one after
        the other, neither compressed nor with a colour profile: then it has to be decoded.
    """
    if not Path(path).is_file():
        return None
    with contextlib.suppress(OSError), open(path, "rb") as start:
        if start.read(2) not in (b"II", b"MM"):
            return None
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            plain = page.dtype == np.uint8 and page.shape[2:] == (3,) and page.photometric == tifffile.PHOTOMETRIC.RGB
            interleaved = page.planarconfig == tifffile.PLANARCONFIG.CONTIG
            upright = page.tags.valueof("Orientation", _UPRIGHT) == _UPRIGHT and "DNGVersion" not in page.tags
            if not (plain and interleaved and upright and page.is_memmappable and page.iccprofile is None):
                return None
            offset, shape = page.dataoffsets[0], page.shape
        # Copy on write, as torch has no tensors that cannot be written; nothing writes to this one.
        pixels = np.memmap(path, np.uint8, "c", offset, shape)
    except Exception:  # of damaged files, anything: whoever decodes it says what is wrong
        return None
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


@contextlib.contextmanager
def create_tiff(
    path: str | os.PathLike[str], height: int, width: int, *, metadata_of: str | os.PathLike[str] | None = None
) -> Iterator[Tensor]:
    """An uncompressed TIFF file to be filled, under its name once it is, or not at all.

    Args:
        path: its name.
        height, width: in pixels.
        metadata_of: as for `save_image`.

    Yields:
        (1, 3, H, W) uint8, what is written to it is written to the file.

    Raises:
        FileNotFoundError: if the folder does not exist.
        OSError: if the disk is full.
    """
    import tifffile

    check_folder(Path(path))
    with replacing(path) as partial:
        with writing(path):
            pixels = tifffile.memmap(partial, shape=(height, width, 3), dtype=np.uint8, photometric="rgb", metadata=None)
            if hasattr(os, "posix_fallocate"):  # the file has holes, and filling them on a full disk would kill the process
                with open(partial, "rb+") as file:
                    os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
        yield torch.from_numpy(pixels).permute(2, 0, 1)[None]
        pixels.flush()
        if metadata_of is not None:
            with writing(path), open(partial, "rb+") as file:
                add_to_tiff(file, read_tags(metadata_of))
