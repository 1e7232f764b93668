"""Finds what Pillow does not report about AVIF and JPEG 2000 files: their colours.

Both consist of boxes: ISO/IEC 14496-12 and 23008-12 (AVIF), ISO/IEC 15444-1 annex I (JPEG 2000).
"""

from __future__ import annotations

import contextlib
import itertools
import struct
from collections.abc import Iterator
from typing import BinaryIO

from nst_adain.images.colorimetry import CodePoints

__all__ = ["read_colors"]

_MOST = 1000  # boxes to look at, one after the other
_MOST_OWNED = 1 << 18  # properties of all items together; a picture may consist of thousands of tiles, which are items
_LARGEST = 64 << 20  # bytes of the box that describes the picture
_PROFILES, _CODE_POINTS = (b"prof", b"rICC", 2, 3), (b"nclx", 5)  # kinds of colours by their names in AVIF and JPEG 2000


def read_colors(file: BinaryIO) -> bytes | CodePoints | None:
    """Read the colours of a picture: a profile, code points that are known, or None. A profile has precedence.

    Like a damaged profile, a damaged description says nothing.
    """
    found: CodePoints | None = None
    with contextlib.suppress(struct.error, LookupError, OverflowError):
        for kind, data in _described(file):
            properties = _of_primary_item(data[4:]) if kind == b"meta" else _boxes(data)
            for name, box in itertools.islice(properties, _MOST):
                colors = _colors(box, kind) if name == b"colr" else None
                if isinstance(colors, bytes):
                    return colors
                found = found or colors
    return found


def _described(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield the box of the whole file that describes its picture."""
    at = 0
    for _ in range(_MOST):
        file.seek(at)
        head = file.read(16)
        size, kind = struct.unpack_from(">I4s", head)
        start = 8
        if size == 1:
            start, (size,) = 16, struct.unpack_from(">Q", head, 8)
        if kind in (b"meta", b"jp2h"):
            file.seek(at + start)
            yield kind, file.read(min(size - start, _LARGEST) if size else _LARGEST)
            return
        if size < start:  # the last box, or a damaged one
            return
        at += size


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and content of each box."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:
            return
        yield name, data[at + 8 : at + size]
        at += size


def _of_primary_item(meta: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the properties of the picture to be shown: others are transparency, depth or thumbnails."""
    boxes = dict(itertools.islice(_boxes(meta), _MOST))
    (item,) = struct.unpack_from(">I" if boxes[b"pitm"][0] else ">H", boxes[b"pitm"], 4)
    parts = list(itertools.islice(_boxes(boxes[b"iprp"]), _MOST))
    properties = list(itertools.islice(_boxes(dict(parts)[b"ipco"]), 0x7FFF))  # no association has a larger number
    for name, data in parts:
        if name == b"ipma":
            for owner, index in itertools.islice(_associations(data), _MOST_OWNED):
                if owner == item and index:
                    yield properties[index - 1]


def _associations(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield items and the places of their properties, from 1."""
    version, wide = data[0], data[3] & 1
    (entries,) = struct.unpack_from(">I", data, 4)
    at = 8
    for _ in range(min(entries, _MOST_OWNED)):
        head = ">IB" if version else ">HB"
        item, count = struct.unpack_from(head, data, at)
        at += struct.calcsize(head)
        for _ in range(count):
            (index,) = struct.unpack_from(">H" if wide else ">B", data, at)
            yield item, index & (0x7FFF if wide else 0x7F)
            at += 2 if wide else 1


def _colors(box: bytes, parent: bytes) -> bytes | CodePoints | None:
    kind, data = (box[:4], box[4:]) if parent == b"meta" else (box[0], box[3:])
    if kind in _PROFILES:
        return data
    if kind in _CODE_POINTS:
        primaries, transfer = struct.unpack_from(">HH", data)
        colors = CodePoints(primaries, transfer)  # decoders stretch limited ranges
        return colors if colors.are_known else None
    return None
