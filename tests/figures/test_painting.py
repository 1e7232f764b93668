"""Strokes that follow a field, in layers from coarse to fine, and washes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nst_adain.figures.fields import unit_grid
from nst_adain.figures.painting import Brush, canvas_of, directions, lit, paint, wash

SIZE = 96
PLAIN = Brush(0.1, 5, light=0, hue=0, streak=0, dry=0)


def half_red() -> np.ndarray:
    """Red on the left, blue on the right."""
    _, x = unit_grid(64)
    return np.where(x[..., None] < 0.5, [200.0, 20, 20], [20, 20, 200])


def across(angle: float) -> np.ndarray:
    return np.full((64, 64), angle)


def painted(brush: Brush, scene: np.ndarray, angle: float = 0.0, seed: int = 0) -> np.ndarray:
    return paint(canvas_of((0, 0, 0), SIZE), scene, across(angle), brush, np.random.default_rng(seed))


def test_strokes_cover_the_canvas_in_the_scenes_colours() -> None:
    canvas = painted(PLAIN, half_red())
    assert (canvas[..., 3] > 0).mean() > 0.9
    np.testing.assert_allclose(np.median(canvas[:, :30, :3], (0, 1)), [200, 20, 20])
    np.testing.assert_allclose(np.median(canvas[:, -30:, :3], (0, 1)), [20, 20, 200])


def test_a_layer_is_the_same_for_the_same_seed_and_leaves_the_canvas_below_alone() -> None:
    below = canvas_of((10, 20, 30), SIZE)
    first, again = (paint(below, half_red(), across(1), Brush(0.1, 5), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (below[..., :3] == [10, 20, 30]).all()
    assert not np.array_equal(first, painted(Brush(0.1, 5), half_red(), 1, seed=4))


@pytest.mark.parametrize(("angle", "axis"), [(0.0, 1), (np.pi / 2, 0)])
def test_strokes_go_along_the_field(angle: float, axis: int) -> None:
    grey = np.full((64, 64, 3), 128.0)
    canvas = painted(dataclasses.replace(PLAIN, light=40), grey, angle)[..., 0]
    along, beside = (np.abs(np.diff(canvas, axis=a)).mean() for a in (axis, 1 - axis))
    assert along < 0.7 * beside


def test_nothing_is_painted_where_the_canvas_is_like_the_scene() -> None:
    below = canvas_of((200, 20, 20), SIZE)
    canvas = paint(below, half_red(), across(np.pi / 2), dataclasses.replace(PLAIN, threshold=50), np.random.default_rng(0))
    assert not canvas[:, :38, 3].any()
    assert (canvas[:, 60:, 3] > 0).mean() > 0.9
    red = np.full((64, 64, 3), [200.0, 20, 20])
    anyway, none = (
        paint(below, red, across(0), dataclasses.replace(PLAIN, threshold=threshold), np.random.default_rng(0))
        for threshold in (0, 1)
    )
    assert anyway[..., 3].any()
    np.testing.assert_array_equal(none, below)


def test_strokes_end_at_another_colour() -> None:
    """They run from left to right here, and overshoot by no more than their shortest length."""
    short, long = (painted(dataclasses.replace(PLAIN, length=8, end=end), half_red()) for end in (30, 1000))
    wrong = [np.abs(canvas[..., :3] - np.kron(half_red()[::2, ::2], np.ones((3, 3, 1)))).mean() for canvas in (short, long)]
    assert wrong[0] < 0.7 * wrong[1]


def test_dry_brushes_show_what_lies_below() -> None:
    wet, dry = ((painted(dataclasses.replace(PLAIN, dry=dry), half_red())[..., 3] > 0).mean() for dry in (0.0, 2.0))
    assert dry < wet


def test_light_falls_on_slopes_alone() -> None:
    canvas = canvas_of((100, 100, 100), 8)
    assert (lit(canvas, 30) == 100).all()
    canvas[4:, 4:, 3] = 1
    picture = lit(canvas, 30)
    assert picture[4, 4, 0] == 130
    assert picture[7, 7, 0] == 100


def test_directions_are_along_level_lines() -> None:
    y, x = unit_grid(16)
    np.testing.assert_allclose(np.sin(directions(y)), 0, atol=1e-9)
    np.testing.assert_allclose(np.abs(np.sin(directions(x))), 1)


def test_a_wash_darkens_inside_most_at_its_edge_and_lets_shine_through() -> None:
    y, _ = unit_grid(200)
    paper, grain = np.full((200, 200, 3), 255.0), np.zeros((200, 200))
    once = wash(paper, y - 0.5, (128, 192, 255), grain)
    assert (once[:98] == 255).all()
    np.testing.assert_allclose(once[180, 0], [128, 192, 255], atol=0.5)
    assert (once[101, :, 0] < 120).all()
    twice = wash(once, y - 0.5, (128, 192, 255), grain)
    np.testing.assert_allclose(twice[180, 0], [64, 145, 255], atol=0.7)
    drawn = wash(paper, y - 0.5, (255, 255, 255), grain, line=1.0)
    assert drawn[98:103].min() < 60
    assert (drawn[120:] == 255).all()


def test_pigment_settles_in_the_grain() -> None:
    grain = np.zeros((64, 64))
    grain[:, 32:] = 1
    washed = wash(np.full((64, 64, 3), 255.0), np.ones((64, 64)), (128, 128, 128), grain)
    assert (washed[:, 40:] < washed[:, :24]).all()
