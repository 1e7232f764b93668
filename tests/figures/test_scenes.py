"""The scenes that are painted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from nst_adain.figures.scenes import GRID, bouquet, evening, wood


@pytest.mark.parametrize("scene", [evening, wood, bouquet])
def test_scenes_are_colours_and_directions(scene: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    colours, angle = scene(np.random.default_rng(1))
    assert colours.shape == (GRID, GRID, 3)
    assert angle.shape == (GRID, GRID)
    assert np.isfinite(angle).all()
    assert colours.min() >= 0
    assert colours.max() <= 256
    assert colours.std((0, 1)).min() > 25  # neither flat nor grey
    again = scene(np.random.default_rng(1))
    np.testing.assert_array_equal(colours, again[0])
    np.testing.assert_array_equal(angle, again[1])
