"""Bounds of what Pillow reads, and JPEG files that are cut short."""

from __future__ import annotations

import errno
import functools
import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from nst_adain.errors import ImageError
from nst_adain.images.formats import open_image
from nst_adain.images.io import load_image
from nst_adain.images.opening import READABLE_SUFFIXES


def file(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or picture(64, 48)).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@functools.cache
def many_pieces() -> dict[str, bytes]:
    jpg, png = file("JPEG"), file("PNG")
    gif, one_pixel = b"GIF89a\1\0\1\0\x80\0\0" + bytes(6), b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
    return {
        "long comments.gif": gif + (b"!\xfe" + (b"\xff" + b"a" * 255) * 10_000 + b"\0") + one_pixel,
        "short comments.gif": gif + b"!\xfe\1a\0" * 100_000 + one_pixel,
        "filling.jpg": jpg[:2] + b"\xff" * 10_000_000 + jpg[2:],
        "comments.jpg": jpg[:2] + b"\xff\xfe\0\2" * 1_000_000 + jpg[2:],
        "before.png": png[:33] + chunk(b"aaAA", b"") * 400_000 + png[33:],
        "after.png": png[:-12] + chunk(b"aaAA", b"") * 600_000 + png[-12:],
    }


@pytest.mark.parametrize("name", many_pieces())
def test_millions_of_pieces_are_refused_at_once(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(many_pieces()[name])
    began = time.perf_counter()
    with pytest.raises(ImageError, match=f"{name}: expected a picture, found a file of too many small pieces"):
        load_image(tmp_path / name)
    assert time.perf_counter() - began < 5


def test_ordinary_metadata_is_no_obstacle(tmp_path: Path) -> None:
    profile, comment = bytes(2_000_000), b"c" * 60_000
    for name, data in {
        "x.jpg": file("JPEG", icc_profile=profile, comment=comment, exif=Image.Exif()),
        "x.png": file("PNG", icc_profile=profile[:900_000]),
        "x.gif": file("GIF", comment=comment),
        "x.webp": file("WEBP", icc_profile=profile),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert load_image(tmp_path / name).size == (64, 48)


def test_a_length_that_no_file_has_takes_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    png = file("PNG")
    (tmp_path / "x.png").write_bytes(png[:33] + struct.pack(">I", 2**31 - 1) + b"zzZZ" + png[33:])
    tracemalloc.start()
    with pytest.raises(ImageError):
        load_image(tmp_path / "x.png")
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG2000", ".jp2"), ("JPEG2000", ".j2k"), ("TGA", ".tga")])
def test_further_formats(kind: str, suffix: str, tmp_path: Path) -> None:
    assert suffix in READABLE_SUFFIXES
    path = tmp_path / f"x{suffix}"
    path.write_bytes(file(kind, no_jp2=suffix == ".j2k") if kind == "JPEG2000" else file(kind))
    assert load_image(path).tobytes() == picture(64, 48).tobytes()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=r"damaged or cut short"):
        load_image(path)


def test_anything_but_a_file_of_that_name_is_no_tga(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(file("TGA"))
    with pytest.raises(ImageError, match="no known image format"):
        open_image(tmp_path / "x.png")


def test_trouble_of_the_system_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").write_bytes(file("PNG"))

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(OSError, match=r"Too many open files: .*x\.png"):
        load_image(tmp_path / "x.png")


def test_16_bits_of_grey_take_six_bytes_a_pixel(tmp_path: Path) -> None:
    """Of 2 that are stored, 1 of the result and 4 of Pillow's RGB, no more than the last two at a time, and a band."""
    import tracemalloc

    Image.fromarray(np.full((3000, 3000), 40_000, np.uint16)).save(tmp_path / "x.png")
    tracemalloc.start()  # of NumPy's and Python's memory; Pillow's own is not seen
    assert load_image(tmp_path / "x.png").getpixel((0, 0)) == (156, 156, 156)
    assert tracemalloc.get_traced_memory()[1] < 9e6 * 6 + 64e6
    tracemalloc.stop()
