"""What Pillow does not tell of JPEG files: ITU-T T.81, https://www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B."""

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
# Markers: 0xFF, perhaps repeated, and another byte; followed by 0 it is a value, followed by 0xD0 to 0xD7 the scan goes on.
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_ALONE = frozenset({0x01, 0xD8})  # without a length
_MOST = 20_000_000_000  # pixels in all scans, which take some seconds even if nothing is in them
_BAND = 256  # rows
_OTHER = b"\x55" * 4096  # what may follow where a file is cut short, instead of zeros


def check_scans(path: Path, pixels: int) -> None:
    """Raise ImageError if a progressive picture takes too long: each of its scans goes over all of its pixels."""
    _, scans = _picture(path.read_bytes())
    if scans * pixels > _MOST:
        raise ImageError(f"{path}: expected a picture in some ten scans, found {scans:,} of {pixels:,} pixels each")


def check_rows(path: Path, image: Image.Image) -> None:
    """Raise ImageError if the end marker of this decoded picture comes before its last row."""
    # What libjpeg makes up is flat there.
    if not all(low == high for low, high in _ends(image)):
        return
    data = path.read_bytes()
    if not _is_whole(data[: _picture(data)[0]], small=True):
        raise ImageError(f"{path}: the picture is damaged or cut short (its last rows are missing)")


def _picture(data: bytes) -> tuple[int, int]:
    """Where the end marker of the first picture in a file is, and how many scans it has: cameras put more behind it."""
    at, scans = 2, 0
    while found := _MARKER.search(data, at):
        at, marker = found.end(), data[found.end() - 1]
        if marker == _END[1]:
            return at - 2, scans
        at += int.from_bytes(data[at : at + 2], "big") if marker not in _ALONE else 0
        scans += marker == _SCAN[1]
    return len(data), scans


def without_end(data: bytes) -> Image.Image | None:
    """Decode a file that lacks its end marker; None if that is not all that is missing."""
    data = data.rstrip(b"\xff")  # half of a marker
    if not _is_whole(data, small=False):
        return None
    with Image.open(io.BytesIO(data + _END), formats=["JPEG"]) as image:
        image.load()
    return image


def _is_whole(data: bytes, *, small: bool) -> bool:
    """Whether data without its end marker holds all of the picture: libjpeg decodes whatever bits follow, so then two endings
    give the same. An eighth of the size, if `small`, has something of every block, but not what only details are in a scan."""
    sums = []
    for ending in (b"", _OTHER):
        try:
            with Image.open(io.BytesIO(data + ending + _END), formats=["JPEG"]) as image:
                if small or not image.info.get("progressive"):
                    image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
                image.load()
        except Exception:  # of damaged files, anything
            return False
        bands = (image.crop((0, top, image.width, min(top + _BAND, image.height))) for top in range(0, image.height, _BAND))
        sums.append([zlib.crc32(band.tobytes()) for band in bands])
    return sums[0] == sums[1]


def _ends(image: Image.Image) -> list[tuple[int, int]]:
    """The lowest and the highest level in the last row of each channel."""
    row = image.crop((0, image.height - 1, *image.size))
    return [channel.getextrema() for channel in row.split()]  # type: ignore[misc]
