"""PNG files: their code points, texts and profiles of any size, and those that end early."""

from __future__ import annotations

import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from colors import chunk, encoded, p3_profile, with_chunks
from conftest import picture
from PIL import Image

from nst_adain.errors import ImageError, ImageWarning
from nst_adain.images.colorimetry import HLG, PQ, SRGB, CodePoints, to_display
from nst_adain.images.io import load_image

PLAIN = encoded("PNG", picture())
P3 = chunk(b"cICP", bytes((12, SRGB, 0, 1)))
PROFILE = chunk(b"iCCP", b"P3\0\0" + zlib.compress(p3_profile()))
SWAPPED = chunk(b"iCCP", b"swapped\0\0" + zlib.compress(p3_profile().replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ")))


def read(data: bytes, folder: Path) -> np.ndarray:
    (folder / "x.png").write_bytes(data)
    return np.asarray(load_image(folder / "x.png")).astype(int)


def test_code_points_are_what_a_profile_of_the_same_colours_is(tmp_path: Path) -> None:
    """Within a level, as lcms rounds."""
    by_points, by_profile = (read(with_chunks(PLAIN, part), tmp_path) for part in (P3, PROFILE))
    assert np.abs(by_points - by_profile).max() <= 1
    assert np.abs(by_points - np.asarray(picture())).max() > 20


@pytest.mark.parametrize(
    ("primaries", "transfer", "full"), [(12, 13, 1), (9, PQ, 1), (9, HLG, 1), (9, 1, 1), (1, 13, 0), (9, PQ, 0)]
)
def test_code_points_are_applied(primaries: int, transfer: int, full: int, tmp_path: Path) -> None:
    expected = to_display(np.asarray(picture()), CodePoints(primaries, transfer, bool(full)))
    assert np.array_equal(read(with_chunks(PLAIN, chunk(b"cICP", bytes((primaries, transfer, 0, full)))), tmp_path), expected)
    assert np.abs(expected.astype(int) - np.asarray(picture())).max() > 10


def test_they_precede_a_profile_unless_nobody_knows_them(tmp_path: Path) -> None:
    """PNG, third edition, 4.3 "colour space": cICP before iCCP, if it is supported."""
    by_points, by_profile = (read(with_chunks(PLAIN, part), tmp_path) for part in (P3, PROFILE))
    swapped = read(with_chunks(PLAIN, SWAPPED), tmp_path)
    assert np.abs(swapped - by_profile).max() > 20
    for parts in ((P3, SWAPPED), (SWAPPED, P3)):
        assert np.array_equal(read(with_chunks(PLAIN, *parts), tmp_path), by_points)
    for unknown in ((2, 2, 0, 1), (0, 13, 0, 1), (12, 99, 0, 1), (12, 13, 6, 1), (12, 13, 0, 2), (12, 13, 0)):
        ignored = chunk(b"cICP", bytes(unknown))
        assert np.array_equal(read(with_chunks(PLAIN, ignored), tmp_path), np.asarray(picture()))
        assert np.array_equal(read(with_chunks(PLAIN, ignored, PROFILE), tmp_path), by_profile)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_code_points_apply_to_every_mode(mode: str, tmp_path: Path) -> None:
    image = picture().convert("RGBA" if mode == "RGBA" else mode if mode != "I;16" else "L")
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    plain = read(encoded("PNG", image), tmp_path)
    shown = read(with_chunks(encoded("PNG", image), chunk(b"cICP", bytes((9, PQ, 0, 1)))), tmp_path)
    expected = to_display(plain[..., :3].astype(np.uint8), CodePoints(9, PQ))
    assert np.array_equal(shown[..., :3], expected)
    assert np.array_equal(shown[..., 3:], plain[..., 3:])


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"tEXt", b"iCCP"])
@pytest.mark.parametrize("behind", [False, True])
def test_texts_and_profiles_of_megabytes_are_no_obstacle(name: bytes, behind: bool, tmp_path: Path) -> None:
    text = bytes(range(32, 127)) * 40_000  # 3.8 MB
    data = {
        b"zTXt": b"Comment\0\0" + zlib.compress(text), b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(text),
        b"tEXt": b"Comment\0" + text, b"iCCP": b"big\0\0" + zlib.compress(p3_profile() + text),
    }[name]  # fmt: skip
    file = PLAIN[:-12] + chunk(name, data) + PLAIN[-12:] if behind else with_chunks(PLAIN, chunk(name, data))
    expected = read(with_chunks(PLAIN, PROFILE), tmp_path) if name == b"iCCP" else np.asarray(picture())
    assert np.array_equal(read(file, tmp_path), expected)


def test_texts_that_unpack_to_gigabytes_take_no_time(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(100_000_000))
    began = time.perf_counter()
    for name, words in ((b"zTXt", b"Comment\0\0"), (b"iCCP", b"big\0\0")):
        for count in (1, 100):
            with pytest.raises(ImageError, match=r"x\.png: the picture is damaged"):
                read(with_chunks(PLAIN, *[chunk(name, words + bomb)] * count), tmp_path)
    small = chunk(b"iCCP", b"big\0\0" + zlib.compress(bytes(50_000_000)))
    for file in (with_chunks(PLAIN, *[small] * 100), PLAIN[:-12] + small * 100 + PLAIN[-12:]):
        with pytest.raises(ImageError, match="it has several colour profiles"):
            read(file, tmp_path)
    assert time.perf_counter() - began < 5


def rows(image: Image.Image) -> bytes:
    """The rows of a picture as PNG compresses them, without a filter."""
    width = image.width * len(image.getbands())
    data = image.tobytes()
    return b"".join(b"\0" + data[at : at + width] for at in range(0, len(data), width))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
@pytest.mark.parametrize("lost", [1, 7, 12])
def test_rows_that_the_compressed_data_does_not_have_are_missing(mode: str, lost: int, tmp_path: Path) -> None:
    """Pillow leaves them black, without an error; a JPEG file that ends so is refused in the same words."""
    image = picture().convert(mode)
    whole, start = rows(image), encoded("PNG", image)[:33]
    row = len(whole) // image.height
    end = chunk(b"IEND", b"")
    assert np.array_equal(read(start + chunk(b"IDAT", zlib.compress(whole)) + end, tmp_path), np.asarray(load_image_of(image)))
    for short in (whole[: -lost * row], whole[: -lost * row + 3]):
        with pytest.raises(ImageError, match=r"x\.png: the picture is damaged or cut short"):
            read(start + chunk(b"IDAT", zlib.compress(short)) + end, tmp_path)


def load_image_of(image: Image.Image) -> Image.Image:
    return image.convert("RGBA" if "A" in image.mode else "RGB")


def test_interlaced_pictures_miss_rows_anywhere(tmp_path: Path) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1))
    sizes = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]  # of the seven passes: columns, rows
    whole = b"".join((b"\0" + b"\x80" * columns) * count for columns, count in sizes)

    def file(data: bytes) -> bytes:
        return PLAIN[:8] + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")

    assert (read(file(whole), tmp_path) == 128).all()
    for lost in (9, 18, 36, 36 + 5 * 4):
        with pytest.raises(ImageError, match=r"x\.png: the picture is damaged or cut short"):
            read(file(whole[:-lost]), tmp_path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_black_and_invisible_rows_are_not_missing(mode: str, tmp_path: Path) -> None:
    image = Image.new(mode, (13, 9))
    assert not read(encoded("PNG", image), tmp_path)[..., :3].any()
    for size in ((1, 1), (1, 9), (9, 1)):
        assert read(encoded("PNG", Image.new(mode, size)), tmp_path).shape[:2] == size[::-1]


def test_a_file_without_its_end_is_read_with_a_warning_unless_rows_are_missing(tmp_path: Path) -> None:
    for lost in (5, 8, 12, 14):
        with pytest.warns(ImageWarning, match=r"x\.png: this PNG file has no end marker; its rows are all there"):
            assert np.array_equal(read(PLAIN[:-lost], tmp_path), np.asarray(picture()))
    for part in (0.5, 0.9):
        with pytest.raises(ImageError, match=r"x\.png: the picture is damaged or cut short"):
            read(PLAIN[: int(part * len(PLAIN))], tmp_path)
