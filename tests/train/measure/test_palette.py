"""The distance of two palettes: of colours, in levels, wherever they are in the picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from train.measure.palette import palette_distance


def _picture(seed: int, shape: tuple[int, int] = (24, 32)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 200, (*shape, 3), dtype=np.uint8))


def test_where_colours_are_does_not_matter() -> None:
    picture = _picture(0)
    pixels = np.asarray(picture).reshape(-1, 3)
    moved = Image.fromarray(np.random.default_rng(1).permutation(pixels).reshape(16, 48, 3))
    assert palette_distance(picture, moved) == pytest.approx(0, abs=1e-9)
    assert palette_distance(picture, picture.resize((64, 48), Image.Resampling.NEAREST)) < 0.5


def test_distance_is_in_levels_and_grows_with_the_change() -> None:
    picture = _picture(2)
    shifted = [Image.fromarray(np.asarray(picture) + np.uint8(levels)) for levels in (0, 10, 20)]
    near, middle, far = (palette_distance(picture, other) for other in shifted)
    assert near == 0
    assert far == pytest.approx(2 * middle)
    # Grey moved by 10 levels in each channel lies sqrt(3) * 10 away, half of that on average over directions.
    assert middle == pytest.approx(10 * np.sqrt(3) / 2, rel=0.02)
    assert palette_distance(shifted[2], picture) == far


def test_shares_count_not_only_which_colours_there_are() -> None:
    """Half red, half blue is not nine tenths red, whose mean and whose colours differ from it less than their shares."""
    pixels = np.zeros((10, 10, 3), dtype=np.uint8)
    pixels[..., 0] = 255
    even, red = pixels.copy(), pixels.copy()
    even[:, :5], red[:, :1] = (0, 0, 255), (0, 0, 255)
    # Two fifths of the pixels move by sqrt(2) * 255.
    expected = 0.4 * np.sqrt(2) * 255 / 2
    assert palette_distance(Image.fromarray(even), Image.fromarray(red)) == pytest.approx(expected, rel=0.05)
