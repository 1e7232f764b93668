"""Grey profiles, with and without transparency, and what decoders make of grey."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from colors import chunk, grey_profile, p3_profile, with_chunks
from conftest import picture, png
from PIL import Image

from nst_adain.images import profiles
from nst_adain.images.colorimetry import HLG, CodePoints, to_display
from nst_adain.images.io import load_image, to_srgb
from nst_adain.images.opening import CODE_POINTS, register_heic

LINEAR = grey_profile()


def shown(levels: np.ndarray) -> np.ndarray:
    """Linear light in sRGB."""
    light = levels / 255
    return (np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055) * 255).round()


@pytest.mark.parametrize(
    "file", ["L.png", "LA.png", "LA.tif", "L.tif", "L.jpg", "LA.webp", "L.webp", "L.avif", "LA.avif", "L.heic"]
)
def test_a_grey_profile_is_applied_whether_or_not_there_is_transparency(file: str, tmp_path: Path) -> None:
    register_heic()
    mode, suffix = file.split(".")
    image = picture(64, 48).convert(mode)
    if mode == "LA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    lossless = {".webp": {"lossless": True, "exact": True}, ".avif": {"quality": 100}, ".heic": {"quality": 100}}
    image.save(tmp_path / file, icc_profile=LINEAR, **lossless.get(f".{suffix}", {}))
    image.save(tmp_path / f"plain.{suffix}", **lossless.get(f".{suffix}", {}))
    read, plain = (np.asarray(load_image(tmp_path / name)).astype(int) for name in (file, f"plain.{suffix}"))
    assert read.shape[2] == (4 if mode == "LA" else 3)
    assert np.abs(read[..., :3] - shown(plain[..., :3])).max() <= 2
    assert np.array_equal(read[..., 3:], plain[..., 3:])


@pytest.mark.parametrize(("depth", "kind", "row", "key"), [
    (1, 0, b"\x55", (0,)), (2, 0, b"\x1b" * 2, (1,)), (4, 0, b"\x04\x8f" * 2, (8,)), (8, 0, bytes(range(0, 256, 32)), (64,)),
    (16, 0, bytes(range(0, 256, 16)), (0x2030,)), (8, 4, bytes(range(0, 256, 16)), ()), (16, 4, bytes(range(0, 256, 8)), ()),
])  # fmt: skip
def test_grey_png_of_every_depth_with_transparency(
    depth: int, kind: int, row: bytes, key: tuple[int, ...], tmp_path: Path
) -> None:
    plain = png(depth, kind, row, key)
    profile = chunk(b"iCCP", b"grey\0\0" + zlib.compress(LINEAR))
    (tmp_path / "x.png").write_bytes(plain)
    stored = np.asarray(load_image(tmp_path / "x.png")).astype(int)
    (tmp_path / "x.png").write_bytes(with_chunks(plain, profile))
    read = np.asarray(load_image(tmp_path / "x.png")).astype(int)
    assert len(np.unique(stored[..., 3])) > 1
    assert np.array_equal(read[..., 3], stored[..., 3])
    assert np.abs(read[..., :3] - shown(stored[..., :3])).max() <= 2


def test_a_grey_profile_says_nothing_of_colours(tmp_path: Path) -> None:
    for mode in ("RGB", "RGBA"):
        picture().convert(mode).save(tmp_path / "x.png", icc_profile=LINEAR)
        assert load_image(tmp_path / "x.png").convert("RGB").tobytes() == picture().tobytes()


def test_pictures_in_memory_are_left_as_they_are() -> None:
    image = picture().convert("LA")
    image.info["icc_profile"] = LINEAR
    before = image.tobytes()
    assert np.abs(np.asarray(to_srgb(image))[..., 0] - shown(np.asarray(image)[..., 0])).max() <= 2
    assert image.tobytes() == before


def test_code_points_precede_a_profile_where_a_file_says_so() -> None:
    image = picture()
    image.info |= {"icc_profile": p3_profile(), CODE_POINTS: CodePoints(9, HLG)}
    assert np.array_equal(to_srgb(image), to_display(np.asarray(image), CodePoints(9, HLG)))
    image.info[CODE_POINTS] = CodePoints(1, 13)  # sRGB
    assert np.array_equal(to_srgb(image), np.asarray(image))


def test_bands_are_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.info[CODE_POINTS] = CodePoints(9, HLG)
    whole = to_srgb(image)
    monkeypatch.setattr(profiles, "_BAND", 100)
    assert to_srgb(image).tobytes() == whole.tobytes()
