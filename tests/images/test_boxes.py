"""What AVIF, HEIC and JPEG 2000 files say of their colours."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from colors import encoded, p3_profile
from conftest import picture
from PIL import Image

from nst_adain.images.boxes import read_colors
from nst_adain.images.colorimetry import BT2020, HLG, PQ, SRGB, CodePoints, to_display
from nst_adain.images.io import load_image, to_srgb
from nst_adain.images.opening import register_heic

P3, BT709_CURVE = 12, 1
POINTS = [(P3, SRGB), (BT2020, PQ), (BT2020, HLG), (BT2020, BT709_CURVE), (P3, PQ)]
PLAIN = [(2, 2), (1, SRGB), (1, 1), (2, SRGB), (1, 6), (1, 14)]  # shown as they are
UNKNOWN = [(0, 0), (200, SRGB), (P3, 99), (3, SRGB), (P3, 3)]


def declaring(kind: str, primaries: int, transfer: int, image: Image.Image | None = None) -> bytes:
    """An AVIF or HEIC file: Pillow and pillow_heif write the code points of sRGB."""
    register_heic()
    data = encoded(kind, image or picture(64, 48), quality=100)
    said = b"colrnclx" + struct.pack(">HH", 1, SRGB)
    assert said in data
    return data.replace(said, b"colrnclx" + struct.pack(">HH", primaries, transfer))


def jp2(method: int, data: bytes, image: Image.Image | None = None) -> bytes:
    """A JPEG 2000 file with other colours than those that Pillow writes."""
    file = encoded("JPEG2000", image or picture(64, 48))
    at, size = file.index(b"jp2h") - 4, int.from_bytes(file[file.index(b"jp2h") - 4 :][:4], "big")
    colr = struct.pack(">I4sBBB", 11 + len(data), b"colr", method, 0, 0) + data
    header = file[at + 8 : at + size - 15] + colr
    return file[:at] + struct.pack(">I4s", 8 + len(header), b"jp2h") + header + file[at + size :]


def read(data: bytes, path: Path) -> np.ndarray:
    path.write_bytes(data)
    return np.asarray(load_image(path)).astype(int)


@pytest.mark.parametrize(("kind", "suffix"), [("AVIF", ".avif"), ("HEIF", ".heic"), ("HEIF", ".hif")])
def test_code_points_are_applied(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    stored = read(declaring(kind, 1, SRGB), path).astype(np.uint8)
    assert np.abs(stored.astype(int) - np.asarray(picture(64, 48))).mean() < 4  # chroma has half the size
    for points in POINTS:
        shown = read(declaring(kind, *points), path)
        assert np.array_equal(shown, to_display(stored, CodePoints(*points)))
        assert np.abs(shown - stored).max() > 10
    for points in PLAIN + (UNKNOWN if kind == "AVIF" else []):  # libheif refuses unknown ones
        assert np.array_equal(read(declaring(kind, *points), path), stored)


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_transparency_stays(kind: str, tmp_path: Path) -> None:
    image = picture(64, 48).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    plain = read(declaring(kind, 1, SRGB, image), tmp_path / "x")
    shown = read(declaring(kind, P3, SRGB, image), tmp_path / "x")
    assert np.array_equal(shown[..., 3], plain[..., 3])
    assert np.array_equal(shown[..., :3], to_display(plain[..., :3].astype(np.uint8), CodePoints(P3, SRGB)))


def test_a_profile_precedes_code_points(tmp_path: Path) -> None:
    """ISO/IEC 23000-22 (MIAF), 7.3.6.4: then code points only say how colours were coded."""
    for kind in ("AVIF", "HEIF"):
        register_heic()
        by_profile = read(encoded(kind, picture(64, 48), quality=100, icc_profile=p3_profile()), tmp_path / "x")
        by_points = read(declaring(kind, P3, SRGB), tmp_path / "x")
        assert np.abs(by_profile - by_points).max() <= 6  # chroma is coded otherwise
        assert np.abs(by_profile - np.asarray(picture(64, 48))).max() > 20


def test_pictures_that_pillow_heif_opened_have_their_code_points() -> None:
    opened = Image.open(io.BytesIO(declaring("HEIF", P3, SRGB)))
    assert np.array_equal(to_srgb(opened), to_display(np.asarray(opened.convert("RGB")), CodePoints(P3, SRGB)))


def test_profiles_and_code_points_of_jpeg_2000(tmp_path: Path) -> None:
    plain, path = np.asarray(picture(64, 48)), tmp_path / "x.jp2"
    assert np.array_equal(read(jp2(1, struct.pack(">I", 16)), path), plain)
    by_points = read(jp2(5, struct.pack(">HHHB", P3, SRGB, 0, 128)), path)
    assert np.array_equal(by_points, to_display(plain, CodePoints(P3, SRGB)))
    for method in (2, 3):
        assert np.abs(read(jp2(method, p3_profile()), path) - by_points).max() <= 1
    assert np.array_equal(read(jp2(2, b"no profile"), path), plain)
    assert np.array_equal(read(encoded("JPEG2000", picture(64, 48), no_jp2=True), tmp_path / "x.j2k"), plain)


def box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), name) + data


def meta(*properties: bytes, of: bytes, version: int = 0, large: bool = False) -> bytes:
    """A file whose second item, of two, is the picture; `of`: the associations of the items with the properties."""
    item = struct.pack(">I", 2) if version else struct.pack(">H", 2)
    parts = box(b"ipco", b"".join(properties)) + box(b"ipma", of)
    data = bytes(4) + box(b"pitm", bytes((version, 0, 0, 0)) + item) + box(b"iprp", parts)
    whole = struct.pack(">I4sQ", 1, b"meta", 16 + len(data)) + data if large else box(b"meta", data)
    return box(b"ftyp", b"avif") + box(b"free", bytes(50)) + whole + box(b"mdat", b"")


def test_the_colours_are_those_of_the_primary_item() -> None:
    first, second = (box(b"colr", b"nclx" + struct.pack(">HHHB", p, SRGB, 6, 128)) for p in (9, P3))
    profile = box(b"colr", b"prof" + b"a profile")
    narrow = bytes(4) + struct.pack(">I", 2) + struct.pack(">HBB", 1, 1, 1) + struct.pack(">HBBB", 2, 2, 0, 0x82)
    assert read_colors(io.BytesIO(meta(first, second, of=narrow))) == CodePoints(P3, SRGB)
    wide = bytes((1, 0, 0, 1)) + struct.pack(">I", 2) + struct.pack(">IBH", 1, 1, 0x8001) + struct.pack(">IBH", 2, 1, 0x8002)
    for large in (False, True):
        assert read_colors(io.BytesIO(meta(first, second, of=wide, version=1, large=large))) == CodePoints(P3, SRGB)
    both = bytes(4) + struct.pack(">I", 1) + struct.pack(">HBBB", 2, 2, 1, 2)
    assert read_colors(io.BytesIO(meta(second, profile, of=both))) == b"a profile"
    none = bytes(4) + struct.pack(">I", 1) + struct.pack(">HBB", 1, 1, 1)
    assert read_colors(io.BytesIO(meta(first, second, of=none))) is None


def test_damaged_boxes_say_nothing() -> None:
    rng = np.random.default_rng(0)
    for whole in (declaring("AVIF", P3, SRGB), jp2(2, p3_profile())):
        assert read_colors(io.BytesIO(whole)) is not None
        for _ in range(2000):
            data = bytearray(whole[: rng.integers(1, 700)] if rng.integers(2) else whole)
            for _ in range(rng.integers(1, 4)):
                data[rng.integers(min(700, len(data)))] = rng.integers(256)
            assert isinstance(read_colors(io.BytesIO(data)), (bytes, CodePoints, type(None)))
    for data in (b"", b"\0" * 100, b"\0\0\0\1meta" + bytes(8), b"\0\0\0\0meta", (b"\0\0\0\10free") * 5000):
        assert read_colors(io.BytesIO(data)) is None


@pytest.mark.parametrize("entries", [1, 8])
def test_a_profile_that_is_named_again_and_again_is_copied_once(entries: int) -> None:
    profile = bytes(1 << 20)
    owned = (struct.pack(">HB", 1, 255) + b"\1" * 255) * entries
    ipma = box(b"ipma", bytes(4) + struct.pack(">I", entries) + owned)
    properties = box(b"iprp", box(b"ipco", box(b"colr", b"prof" + profile)) + ipma)
    file = io.BytesIO(box(b"meta", bytes(4) + box(b"pitm", b"\0\0\0\0\0\1") + properties))
    tracemalloc.start()
    try:
        assert read_colors(file) == profile
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("ipco", "entries", "owned"),
    [
        (box(b"free", b"") * 1_000_000, 1, b"\0\1\1\1"),
        (box(b"free", b""), 1_000_000, b"\0\2\0" * 1_000_000),
        (box(b"free", b""), 8_000, (b"\0\1\xff" + b"\1" * 255) * 8_000),
    ],
)
def test_a_million_pieces_take_no_time(ipco: bytes, entries: int, owned: bytes) -> None:
    ipma = box(b"ipma", bytes(4) + struct.pack(">I", entries) + owned)
    file = io.BytesIO(box(b"meta", bytes(4) + box(b"pitm", b"\0\0\0\0\0\1") + box(b"iprp", box(b"ipco", ipco) + ipma)))
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        assert read_colors(file) is None
    finally:
        sys.setprofile(None)
    assert steps < 3_000_000


def test_a_box_larger_than_any_file_says_nothing() -> None:
    assert read_colors(io.BytesIO(struct.pack(">I4sQ", 1, b"free", 2**64 - 5))) is None
