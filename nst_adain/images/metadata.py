"""Copies from a file to its result when, where, with what and by whom it was taken.

Copies nothing else: orientation, sizes and thumbnails would be wrong for the result, and makers' notes may hold anything.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from nst_adain.images.opening import TIFF_STARTS, is_heic, register_heic
from nst_adain.images.pillow_limits import PILLOW_LIMITS

__all__ = ["Tags", "add_to_tiff", "exif_bytes", "keep_video_tags", "read_tags"]

_MAIN, _EXIF, _GPS = 0, 0x8769, 0x8825  # the three directories; the last two by the tag that points to them
# EXIF 3.0 (CIPA DC-008). Description, make, model, date, artist, copyright; dates with their zones and fractions, the lens.
_WANTED: dict[int, frozenset[int]] = {
    _MAIN: frozenset({0x010E, 0x010F, 0x0110, 0x0132, 0x013B, 0x8298}),
    _EXIF: frozenset({0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292, 0xA432, 0xA433, 0xA434}),
    _GPS: frozenset(range(32)),
}
# Microscopy programs (ImageJ, OME, tifffile) use the description to store how many pictures of which sizes a file has.
_DESCRIPTION, _STRUCTURES = 0x010E, (b"ImageJ=", b"<?xml", b"<OME", b'{"shape"')
# For each type, the bytes of a value and of the numbers in it.
_SIZES = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 7: (1, 1), 9: (4, 4), 10: (8, 4), 129: (1, 1)}
_LONG, _IFD, _LONG8, _IFD8 = 4, 13, 16, 18  # types for places in a file; the last three have no other use
_SIZES |= {_IFD: (4, 4), _LONG8: (8, 8), _IFD8: (8, 8)}
_ROOM = 60_000  # bytes in all: a JPEG file has room for 65,527
_MOST = 1000  # entries of a directory to look at
_OF_VIDEO = frozenset(
    {"artist", "author", "copyright", "creation_time", "date", "description", "location", "location-eng", "make", "model"}
    | {"title", "com.android.manufacturer", "com.android.model"}
)
_APPLE = "com.apple.quicktime."
_OF_APPLE = frozenset(
    {"artist", "author", "camera", "copyright", "creationdate", "description", "location", "make", "model", "title"}
)


class _Field(NamedTuple):
    """Holds a value: its type, the count of its numbers or letters, and their bytes, little-endian."""

    kind: int
    length: int
    data: bytes


Tags: TypeAlias = Mapping[int, Mapping[int, _Field]]  # fields by directory and tag


class _Layout(NamedTuple):
    """Says how directories are written: their length, an entry's head, a place in the file, and the bytes in an entry."""

    length: str
    entry: str
    place: str
    inline: int


_CLASSIC, _BIG = _Layout("H", "HHI", "I", 4), _Layout("Q", "HHQ", "Q", 8)


def read_tags(path: str | os.PathLike[str]) -> Tags:
    """Read the date, camera, place, author and description of a picture.

    Args:
        path: a JPEG, PNG, WebP, TIFF, AVIF or HEIC file; any other, or damaged EXIF data, gives no tags.
    """
    tags: dict[int, dict[int, _Field]] = {}
    with contextlib.suppress(Exception), open(path, "rb") as file:  # ignore anything wrong, as image viewers do
        start = file.read(64)
        is_tiff = start.startswith(TIFF_STARTS)
        _read(file if is_tiff else io.BytesIO(_exif_of(file, start)), tags)
    return tags


def _exif_of(file: BinaryIO, start: bytes) -> bytes:
    """Read the EXIF data of a picture other than TIFF, decoding no pixels; `Image.open` would refuse one with many."""
    if is_heic(start):
        register_heic()
    Image.init()
    for name in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF"):
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory and accept and accept(start) is True:
            file.seek(0)
            with PILLOW_LIMITS:
                info = factory(file, "").info
            text = info.get("Raw profile type exif")  # written by ImageMagick into PNG
            data = bytes.fromhex("".join(text.split("\n")[3:])) if text else info.get("exif", b"")
            while data.startswith(b"Exif\0\0"):
                data = data[6:]
            return bytes(data)
    return b""


def _read(file: BinaryIO, tags: dict[int, dict[int, _Field]]) -> None:
    """Fill `tags` from a TIFF structure."""
    file.seek(0)
    start = file.read(16)
    order = "<" if start[:2] == b"II" else ">"
    layout = _BIG if 43 in start[2:4] else _CLASSIC
    place = 8 if layout is _BIG else 4
    places = {_MAIN: struct.unpack_from(order + layout.place, start, place)[0]}
    room = _ROOM
    for part, wanted in _WANTED.items():
        if part in places:
            for tag, field in _fields(file, places[part], order, layout, wanted | {_EXIF, _GPS}):
                if tag in (_EXIF, _GPS):
                    places[tag] = int.from_bytes(field.data, "little")
                elif tag == _DESCRIPTION and field.data.lstrip().startswith(_STRUCTURES):
                    continue
                elif field.kind not in (_IFD, _LONG8, _IFD8) and len(field.data) <= room:
                    room -= len(field.data)
                    tags.setdefault(part, {})[tag] = field


def _fields(file: BinaryIO, place: int, order: str, layout: _Layout, wanted: frozenset[int]) -> Iterator[tuple[int, _Field]]:
    file.seek(place)
    (length,) = struct.unpack(order + layout.length, file.read(struct.calcsize("<" + layout.length)))
    size = struct.calcsize("<" + layout.entry)
    for entry in [file.read(size + layout.inline) for _ in range(min(length, _MOST))]:
        tag, kind, count = struct.unpack(order + layout.entry, entry[:size])
        if tag not in wanted or kind not in _SIZES:
            continue
        unit, number = _SIZES[kind]
        data = entry[size : size + unit * count]
        if layout.inline < unit * count <= _ROOM:
            file.seek(struct.unpack(order + layout.place, entry[size:])[0])
            data = file.read(unit * count)
        if len(data) == unit * count:
            yield tag, _Field(kind, count, np.frombuffer(data, f"{order}u{number}").astype(f"<u{number}").tobytes())


def exif_bytes(tags: Tags) -> bytes:
    """Encode tags as EXIF data for Pillow to write into a JPEG, PNG or WebP file; b"" if there are none."""
    if not tags:
        return b""
    directories, place = _directories(tags, 8, _CLASSIC, {})
    return b"Exif\0\0II*\0" + struct.pack("<I", place) + directories


def add_to_tiff(file: BinaryIO, tags: Tags) -> None:
    """Add tags to the one picture of a little-endian TIFF file, at the end of the file.

    Pillow cannot write any into a compressed file, and tifffile none at all.
    """
    if not tags:
        return
    file.seek(0)
    layout = _BIG if file.read(4) == b"II+\0" else _CLASSIC
    pointer = 8 if layout is _BIG else 4
    file.seek(pointer)
    size = struct.calcsize("<" + layout.place)
    file.seek(struct.unpack("<" + layout.place, file.read(size))[0])
    (length,) = struct.unpack("<" + layout.length, file.read(struct.calcsize("<" + layout.length)))
    existing: dict[int, _Field] = {}
    for _ in range(length):  # values stay where they are
        tag, kind, count = struct.unpack("<" + layout.entry, file.read(struct.calcsize("<" + layout.entry)))
        existing[tag] = _Field(kind, count, file.read(layout.inline))
    end = file.seek(0, os.SEEK_END)
    directories, place = _directories(tags, end + end % 2, layout, existing)
    file.write(b"\0" * (end % 2) + directories)
    file.seek(pointer)
    file.write(struct.pack("<" + layout.place, place))


def _directories(tags: Tags, place: int, layout: _Layout, existing: Mapping[int, _Field]) -> tuple[bytes, int]:
    """Encode directories to write at an even `place`, and return them with the place of the main one."""
    main, data = {**existing, **tags.get(_MAIN, {})}, b""
    for part in (_EXIF, _GPS):
        if part in tags:
            main[part] = _Field(_LONG8 if layout is _BIG else _LONG, 1, struct.pack("<" + layout.place, place + len(data)))
            data += _directory(tags[part], place + len(data), layout)
    return data + _directory(main, place + len(data), layout), place + len(data)


def _directory(fields: Mapping[int, _Field], place: int, layout: _Layout) -> bytes:
    """Encode a directory, followed by the values that do not fit into its entries."""
    entries, behind = b"", b""
    size = struct.calcsize("<" + layout.length + layout.place) + len(fields) * (
        struct.calcsize("<" + layout.entry) + layout.inline
    )
    for tag, (kind, count, data) in sorted(fields.items()):
        if len(data) > layout.inline:
            value = struct.pack("<" + layout.place, place + size + len(behind))
            behind += data + b"\0" * (len(data) % 2)
        else:
            value = data.ljust(layout.inline, b"\0")
        entries += struct.pack("<" + layout.entry, tag, kind, count) + value
    return struct.pack("<" + layout.length, len(fields)) + entries + struct.pack("<" + layout.place, 0) + behind


def keep_video_tags(*metadata: Mapping[str, str]) -> dict[str, str]:
    """Keep date, camera, place, author and title from the metadata of a video's container and streams; the last one wins."""
    kept = {}
    for name, value in ((name, value) for part in metadata for name, value in part.items()):
        plain = name.lower()
        if plain in _OF_VIDEO or (plain.startswith(_APPLE) and plain.removeprefix(_APPLE).split(".")[0] in _OF_APPLE):
            kept[plain if name.isupper() else name] = value  # Matroska writes names in capitals
    return kept
