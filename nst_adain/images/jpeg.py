"""Finds what Pillow does not report about JPEG files: ITU-T T.81, https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B."""

from __future__ import annotations

import io
import re
import zlib
from pathlib import Path

from PIL import Image

from nst_adain.errors import ImageError

__all__ = ["START", "check_rows", "check_scans", "without_end"]

START = b"\xff\xd8\xff"
_SCAN, _END = b"\xff\xda", b"\xff\xd9"
# Markers: 0xFF, perhaps repeated, then another byte. After 0xFF, 0 means a value, and 0xD0 to 0xD7 continue the scan.
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_ALONE = frozenset({0x01, 0xD8})  # markers without a length
_MOST = 20_000_000_000  # pixels in all scans: these take some seconds even if the scans are empty
_BAND = 256  # rows
_OTHER = b"\x55" * 4096  # an ending, other than zeros, to append to data


def check_scans(path: Path, pixels: int) -> None:
    """Raise ImageError if a progressive picture would take too long: each scan goes over all pixels."""
    _, scans = _picture(path.read_bytes())
    if scans * pixels > _MOST:
        raise ImageError(f"{path}: expected a picture in some ten scans, found {scans:,} of {pixels:,} pixels each")


def check_rows(path: Path, image: Image.Image) -> None:
    """Raise ImageError if the end marker of this decoded picture comes before its last row."""
    # Rows that libjpeg makes up are flat.
    if not all(low == high for low, high in _ends(image)):
        return
    data = path.read_bytes()
    if not _is_whole(data[: _picture(data)[0]], small=True):
        raise ImageError(f"{path}: the picture is damaged or cut short (its last rows are missing)")


def _picture(data: bytes) -> tuple[int, int]:
    """Find the end marker of the first picture in a file, and count its scans: cameras append more pictures."""
    at, scans = 2, 0
    while found := _MARKER.search(data, at):
        at, marker = found.end(), data[found.end() - 1]
        if marker == _END[1]:
            return at - 2, scans
        at += int.from_bytes(data[at : at + 2], "big") if marker not in _ALONE else 0
        scans += marker == _SCAN[1]
    return len(data), scans


def without_end(data: bytes) -> Image.Image | None:
    """Decode a file that lacks only its end marker; return None if more is missing."""
    data = data.rstrip(b"\xff")  # half a marker
    if not _is_whole(data, small=False):
        return None
    with Image.open(io.BytesIO(data + _END), formats=["JPEG"]) as image:
        image.load()
    return image


def _is_whole(data: bytes, *, small: bool) -> bool:
    """Whether data without its end marker holds all of the picture: libjpeg decodes whatever bits follow, so if nothing is
    missing, two endings give the same. `small` decodes an eighth of the size: something of every block, but no fine detail."""
    sums = []
    for ending in (b"", _OTHER):
        try:
            with Image.open(io.BytesIO(data + ending + _END), formats=["JPEG"]) as image:
                if small or not image.info.get("progressive"):
                    image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
                image.load()
        except Exception:  # damaged files may raise anything
            return False
        bands = (image.crop((0, top, image.width, min(top + _BAND, image.height))) for top in range(0, image.height, _BAND))
        sums.append([zlib.crc32(band.tobytes()) for band in bands])
    return sums[0] == sums[1]


def _ends(image: Image.Image) -> list[tuple[int, int]]:
    """Return the lowest and the highest level in the last row of each channel."""
    row = image.crop((0, image.height - 1, *image.size))
    return [channel.getextrema() for channel in row.split()]  # type: ignore[misc]
