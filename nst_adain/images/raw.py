"""Recognises camera raw files, which hold the data of a sensor, and of the picture itself at most a preview."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from nst_adain.errors import ImageError

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["check_start", "check_tiff", "is_raw"]

# First bytes of formats other than TIFF: Fujifilm, Olympus, Panasonic, Sigma, Minolta; behind a length, those of Canon's CR3.
_STARTS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")
_CR3 = b"ftypcrx "
# Bytes 8 to 12, or those from 4 on, of TIFF files that are told by nothing else: Phase One; Canon's CR2.
_PHASE_ONE, _CR2 = (b"IIII", b"MMMM"), b"\x10\0\0\0CR\2"
_DNG = 50706  # tag
_SENSOR = (32803, 34892)  # meanings of levels: a colour filter array, and what DNG makes of one
_MOST = 100  # directories below the first to look at


def check_start(path: Path, start: bytes) -> None:
    """Raise ImageError if the first bytes of a file are those of camera raw data, other than TIFF."""
    if start.startswith(_STARTS) or start[4:12] == _CR3:
        raise _error(path)


def check_tiff(path: Path, page: TiffPage) -> None:
    """Raise ImageError if a TIFF file is camera raw data, by its first page."""
    if is_raw(page):
        raise _error(path)


def is_raw(page: TiffPage) -> bool:
    """Whether a TIFF file, by its first page, is camera raw data: DNG, CR2, NEF, ARW and the like.

    The first picture of most is a thumbnail; the sensor's data are in a directory below it. Where they come first, they are of
    no colours that can be read.
    """
    file = page.parent.filehandle
    file.seek(0)
    start = file.read(16)
    if start[4:11] == _CR2 or start[8:12] in _PHASE_ONE or _DNG in page.tags:
        return True
    with contextlib.suppress(Exception):  # damaged directories below the first are nobody's business
        return any(getattr(below, "photometric", None) in _SENSOR for below in itertools.islice(page.pages or (), _MOST))
    return False


def _error(path: Path) -> ImageError:
    return ImageError(f"{path}: expected a picture, found camera raw data, with a thumbnail; develop it first")
