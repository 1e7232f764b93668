"""Fields over a square, and colours blended by them."""

from __future__ import annotations

import numpy as np

from nst_adain.figures.fields import blend, nearest_two, rgb, smooth_noise, soft, to_image, unit_grid


def test_positions_are_those_of_pixels_middles() -> None:
    y, x = unit_grid(4)
    np.testing.assert_allclose(y[:, 2], [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_array_equal(x, y.T)


def test_noise_is_smooth_and_the_same_for_the_same_seed() -> None:
    first, again = (smooth_noise(64, 4, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.std() > 0.2
    assert np.abs(np.diff(first)).max() < 0.4


def test_nearest_seed_and_gap() -> None:
    owner, gap = nearest_two(8, np.array([[0.5, 0.0], [0.5, 1.0]]))
    assert (owner[:, :4] == 0).all()
    assert (owner[:, 4:] == 1).all()
    assert (gap[:, 3:5] < gap[:, 2:3]).all()


def test_soft_is_a_ramp_across_zero() -> None:
    np.testing.assert_allclose(soft(np.array([-1, -0.1, 0, 0.1, 1]), 0.4), [0, 0.25, 0.5, 0.75, 1])


def test_blend_takes_colours_and_pictures() -> None:
    share = np.array([[-1, 0, 0.5, 2]])
    np.testing.assert_allclose(blend((0, 100, 200), (200, 100, 0), share)[0, :, 0], [0, 0, 100, 200])
    picture = blend((0, 0, 0), (10, 10, 10), share)
    np.testing.assert_allclose(blend(picture, (20, 20, 20), share)[0, :, 1], [0, 0, 12.5, 20])


def test_levels_are_clipped() -> None:
    assert to_image(np.array([[[-5.0, 90.7, 300.0]]])).getpixel((0, 0)) == (0, 90, 255)
    assert rgb(np.array([-5.0, 90.7, 300.0])) == (0, 90, 255)
