"""Finds what Pillow does not report about PNG files: https://www.w3.org/TR/png-3/."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image

from nst_adain.errors import ImageError
from nst_adain.images.colorimetry import CodePoints

__all__ = ["START", "Survey", "check_rows", "survey"]

START = b"\x89PNG\r\n\x1a\n"
_PIECE = 1 << 20  # bytes to inflate at once
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# First column and row, and steps, of each pass over an interlaced picture.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class Survey(NamedTuple):
    """Says what a file has besides its pixels.

    Attributes:
        colors: the code points of its chunk cICP, if they are known: these have precedence over a profile.
        has_end: whether it has an end marker.
    """

    colors: CodePoints | None
    has_end: bool


def survey(path: Path, file: BinaryIO) -> Survey:
    """Go over the chunks of a file.

    Raises:
        ImageError: if it has several profiles, each of which may take a second to unpack.
    """
    colors, profiles = None, 0
    for name, length in _chunks(file):
        if name == b"cICP" and length == 4:
            primaries, transfer, matrix, full_range = file.read(4)
            found = CodePoints(primaries, transfer, full_range == 1)
            colors = found if found.are_known and matrix == 0 and full_range <= 1 else None
        profiles += name == b"iCCP"
        if profiles > 1:
            raise ImageError(f"{path}: the picture is damaged (it has several colour profiles)")
        if name == b"IEND":
            return Survey(colors, True)
    return Survey(colors, False)


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield the name and length of each chunk; the file stands at its data."""
    at = len(START)
    file.seek(at)
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        yield name, length
        at += 12 + length
        file.seek(at)


def check_rows(path: Path, file: BinaryIO, image: Image.Image) -> None:
    """Raise ImageError if the compressed data of this decoded picture ends before its last row, which Pillow then leaves 0."""
    last = image.crop((0, image.height - 1, *image.size))
    if image.info.get("interlace") or all(channel.getextrema() == (0, 0) for channel in last.split()):
        missing = _stored_size(file)
        for data in _inflated(file):
            missing -= len(data)
            if missing <= 0:
                return
        raise ImageError(f"{path}: the picture is damaged or cut short (its last rows are missing)")


def _stored_size(file: BinaryIO) -> int:
    """Return the bytes of all rows, each with one for its filter."""
    file.seek(len(START) + 8)
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", file.read(13))
    size = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = len(range(left, width, across)), len(range(top, height, down))
        size += rows * (1 + (columns * depth * _CHANNELS[kind] + 7) // 8) if columns else 0
    return size


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    stream = zlib.decompressobj()
    for name, length in _chunks(file):
        if name != b"IDAT":
            continue
        while length > 0 and (data := file.read(min(length, _PIECE))):
            length -= len(data)
            while data and not stream.eof:
                yield stream.decompress(data, _PIECE)
                data = stream.unconsumed_tail
    yield stream.flush()
