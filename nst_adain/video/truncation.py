"""Detects video files that are cut short, such as by an interrupted download or recording, from the length they state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

__all__ = ["describe_cut"]

_MOST_PARTS = 100_000  # to look at
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # Matroska and WebM: their header, and all the rest


def describe_cut(path: str | os.PathLike[str]) -> str | None:
    """Say how many bytes are missing at the end of a video, beginning with its name; None if the file states nothing more.

    Matroska, WebM, AVI and MP4 with its index at the front state how many bytes they have. MPEG-TS and others do not, nor
    does a Matroska file that was written as a stream; an MP4 that has lost the index at its end cannot be read at all.
    """
    found = Path(path).stat().st_size
    with open(path, "rb") as file:
        expected = max(_ends(file, found), default=0)
    if expected <= found:
        return None
    return f"{path}: is cut short: expected {expected:,} bytes, found {found:,}; what is there is stylised"


def _ends(file: BinaryIO, found: int) -> Iterator[int]:
    """Yield where the parts that hold pictures should end, counted from the start of a file of `found` bytes."""
    start = file.read(12)
    file.seek(0)
    if start.startswith(_EBML):
        return _of_matroska(file, found)
    if start.startswith(b"RIFF") and start[8:] == b"AVI ":
        return _of_avi(file, found)
    return _of_mp4(file, found) if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip") else iter(())


def _of_matroska(file: BinaryIO, found: int) -> Iterator[int]:
    """Follow RFC 8794: leading zeros give a number's length; if all its other bits are ones, the size is unknown."""
    for expected in (_EBML, _SEGMENT):
        name, first = file.read(4), file.read(1)
        if name != expected or first in (b"", b"\0"):
            return
        more = 8 - first[0].bit_length()
        unknown = (1 << 7 * (more + 1)) - 1
        size = int.from_bytes(first + file.read(more), "big") & unknown
        end = file.tell() + size
        if expected == _SEGMENT and size != unknown:
            yield end
        file.seek(min(end, found))


def _of_avi(file: BinaryIO, found: int) -> Iterator[int]:
    """Yield the end of each part of up to a gigabyte, less eight bytes: some programs count those of the header too."""
    for _ in range(_MOST_PARTS):
        if not (header := file.read(8)).startswith(b"RIFF"):
            return
        size = int.from_bytes(header[4:], "little")
        end = file.tell() + size + size % 2
        yield end - 8
        file.seek(min(end, found))


def _of_mp4(file: BinaryIO, found: int) -> Iterator[int]:
    """Follow ISO/IEC 14496-12. Only the box with pictures and sound counts: some cameras write others behind it."""
    for _ in range(_MOST_PARTS):
        start, header = file.tell(), file.read(8)
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        if header[4:] == b"mdat":
            yield start + size
        if size < 8:  # 0: up to the end of the file
            return
        file.seek(min(start + size, found))
