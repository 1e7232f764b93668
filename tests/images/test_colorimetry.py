"""What code points of ITU-T H.273 mean: primaries, transfer functions, ranges, and those that nobody knows."""

from __future__ import annotations

import io

import numpy as np
import pytest
from colors import p3_profile
from PIL import Image, ImageCms

from nst_adain.images.colorimetry import BT709, BT2020, HLG, PQ, SRGB, UNSPECIFIED, CodePoints, to_display

PRIMARIES = (1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22)
GREYS = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
P3 = 12


def shown(light: object, colors: CodePoints, curve: float, display: int = SRGB) -> np.ndarray:
    """What becomes of linear light, coded by a power."""
    coded = (np.array(light, float).reshape(1, -1, 3) ** (1 / curve) * 65535).round().astype(np.uint16)
    return to_display(coded, colors, display)[0].astype(int)


@pytest.mark.parametrize("display", [SRGB, BT709])
@pytest.mark.parametrize("transfer", [1, 2, 6, 7, 11, 12, 13, 14, 15])
def test_greys_of_standard_range_stay_whatever_the_primaries(transfer: int, display: int) -> None:
    for primaries in PRIMARIES:
        assert np.array_equal(to_display(GREYS, CodePoints(primaries, transfer), display), GREYS)
    assert CodePoints(BT709, transfer).are_the_displays
    assert not CodePoints(P3, transfer).are_the_displays


@pytest.mark.parametrize(("primaries", "red"), [
    # BT.709's red in linear light of other primaries: ITU-R BT.2087 for BT.2020, SMPTE EG 432-1 for P3.
    (BT2020, (0.6274, 0.0691, 0.0164)), (P3, (0.8225, 0.0332, 0.0171)),
])  # fmt: skip
def test_primaries_by_published_matrices(primaries: int, red: tuple[float, float, float]) -> None:
    for display in (SRGB, BT709):
        assert np.abs(shown(red, CodePoints(primaries, 8), 1, display)[0] - [255, 0, 0]).max() <= 5


def test_display_p3_is_what_its_profile_makes_of_it() -> None:
    """The profile of `ImageCms` is sRGB; that of P3 is built from its published colorants, in CIE XYZ at D50."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
    source = ImageCms.ImageCmsProfile(io.BytesIO(p3_profile()))
    expected = ImageCms.profileToProfile(Image.fromarray(pixels), source, ImageCms.createProfile("sRGB"))
    assert np.abs(to_display(pixels, CodePoints(P3, SRGB)).astype(int) - np.asarray(expected)).max() <= 2


def test_a_linear_curve_and_powers() -> None:
    for transfer, power in ((8, 1.0), (4, 2.2), (5, 2.8)):
        assert np.abs(shown([0.2140] * 3, CodePoints(BT709, transfer), power)[0] - 127.5).max() <= 1
        assert np.abs(shown([0.5**2.4] * 3, CodePoints(BT709, transfer), power, BT709)[0] - 127.5).max() <= 1
    for transfer, decades in ((9, 2.0), (10, 2.5)):
        middle = round((1 + np.log10(0.2140) / decades) * 65535)
        pixels = np.array([[[0] * 3, [middle] * 3, [65535] * 3]], np.uint16)
        assert np.abs(to_display(pixels, CodePoints(BT709, transfer))[0, :, 0].astype(int) - [0, 127, 255]).max() <= 1


@pytest.mark.parametrize(("transfer", "coded", "level"), [
    # Code values of 50 and 203 cd/m2 (white paper), and the ends. White paper leaves room for what is brighter.
    (PQ, 0.4400, 0.245), (PQ, 0.5807, 0.908), (PQ, 0.0, 0.0), (PQ, 1.0, 1.0),
    (HLG, 0.75, 0.908), (HLG, 0.0, 0.0), (HLG, 1.0, 1.0),
])  # fmt: skip
def test_high_dynamic_range(transfer: int, coded: float, level: float) -> None:
    for primaries in (BT2020, UNSPECIFIED, P3):
        for white, dtype in ((255, np.uint8), (65535, np.uint16)):
            pixels = np.full((1, 1, 3), round(coded * white), dtype)
            for display in (SRGB, BT709):
                found = to_display(pixels, CodePoints(primaries, transfer), display)[0, 0]
                bright = found / 255
                light = np.where(bright <= 0.04045, bright / 12.92, ((bright + 0.055) / 1.055) ** 2.4)
                assert np.abs((light if display == SRGB else bright**2.4) - level).max() <= 0.015


def test_colours_of_high_dynamic_range_keep_their_hue() -> None:
    """BT.709's red, brighter than white, in BT.2020's primaries (ITU-R BT.2087) and PQ."""
    for brightness, level in ((0.2, round(255 * (1.055 * 0.2 ** (1 / 2.4) - 0.055))), (1.5, 255)):
        power = (brightness * np.array([0.6274, 0.0691, 0.0164]) * 203 / 10000) ** (1305 / 8192)
        coded = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** (2523 / 32)
        red = to_display((coded * 65535).round().astype(np.uint16)[None, None], CodePoints(UNSPECIFIED, PQ))
        assert np.abs(red[0, 0].astype(int) - [level, 0, 0]).max() <= 6


def test_limited_range() -> None:
    pixels = np.array([0, 16, 126, 235, 255], np.uint8)[None, :, None].repeat(3, 2)
    found = to_display(pixels, CodePoints(BT709, SRGB, full_range=False))
    assert found[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert not CodePoints(BT709, SRGB, full_range=False).are_the_displays


def test_code_points_that_say_nothing_or_that_nobody_knows() -> None:
    for known in ((1, 13), (12, 13), (9, 16), (2, 16), (12, 2), (22, 8)):
        assert CodePoints(*known).are_known
    for unknown in ((2, 2), (0, 13), (3, 13), (200, 13), (12, 0), (12, 3), (12, 19), (9, 255)):
        assert not CodePoints(*unknown).are_known


def test_a_picture_of_many_bands_is_that_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 8, 3), np.uint8)
    whole = to_display(pixels, CodePoints(BT2020, HLG))
    monkeypatch.setattr("nst_adain.images.colorimetry._BAND", 60)
    assert np.array_equal(to_display(pixels, CodePoints(BT2020, HLG)), whole)
