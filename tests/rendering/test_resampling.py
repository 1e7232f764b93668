"""Scaling window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import close
from torch import Tensor

from nst_adain.images.inputs import to_tensor
from nst_adain.rendering.resampling import Kernel, Read, enlarged, lanczos, linear, needed, shrunk

SIDES = st.integers(1, 60)


def reader(x: Tensor) -> Read:
    return lambda rows, columns: x[..., rows.start : rows.stop, columns.start : columns.stop]


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**32), st.sampled_from([linear, lanczos]))
def test_any_window_is_that_of_the_whole(h: int, w: int, more: int, wide: int, seed: int, kernel: Kernel) -> None:
    draw = torch.Generator().manual_seed(seed)
    large, small = (h + more, w + wide), (h, w)
    for before, after in ((small, large), (large, small)):
        x = torch.rand(2, 3, *before, generator=draw)
        top, left = (int(torch.randint(side, (1,), generator=draw)) for side in after)
        bottom, right = top + 1 + (after[0] - top) // 2, left + 1 + (after[1] - left) // 2
        if before == small:
            whole = enlarged(reader(x), before, after, range(after[0]), range(after[1]))
            part = enlarged(reader(x), before, after, range(top, bottom), range(left, right))
        else:
            whole = shrunk(reader(x), before, after, range(after[0]), range(after[1]), kernel)
            part = shrunk(reader(x), before, after, range(top, bottom), range(left, right), kernel)
        assert whole.shape == (2, 3, *after)
        close(part, whole[..., top:bottom, left:right], 1e-5)


@pytest.mark.parametrize(("before", "after"), [((20, 31), (47, 40)), ((7, 7), (56, 56)), ((1, 1), (9, 5))])
def test_enlarging_is_bilinear(before: tuple[int, int], after: tuple[int, int]) -> None:
    x = torch.rand(1, 3, *before)
    expected = F.interpolate(x, after, mode="bilinear")
    close(enlarged(reader(x), before, after, range(after[0]), range(after[1])), expected, 1e-5)


@pytest.mark.parametrize("size", [(40, 30), (200, 7), (1, 1), (199, 149)])
def test_lanczos_is_pillows(size: tuple[int, int]) -> None:
    levels = np.random.default_rng(0).normal(128, 25, (150, 200, 3)).clip(0, 255)
    image = Image.fromarray(levels.astype(np.uint8))
    x = to_tensor(image)
    ours = shrunk(reader(x), (150, 200), size[::-1], range(size[1]), range(size[0]), lanczos).clamp(0, 1)
    theirs = np.asarray(image.resize(size, Image.Resampling.LANCZOS), dtype=float)
    assert np.abs(ours[0].permute(1, 2, 0).numpy() * 255 - theirs).max() < 2  # Pillow rounds twice


def test_a_flat_picture_stays_flat() -> None:
    x = torch.full((1, 3, 50, 61), 0.25)
    for kernel in (linear, lanczos):
        close(shrunk(reader(x), (50, 61), (7, 9), range(7), range(9), kernel), torch.full((1, 3, 7, 9), 0.25), 1e-6)
    close(enlarged(reader(x), (50, 61), (99, 70), range(99), range(70)), torch.full((1, 3, 99, 70), 0.25), 1e-6)


@given(st.integers(1, 500), st.integers(1, 500), st.data())
def test_no_more_is_read_than_has_weight(before: int, after: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, after - 1))
    wanted = range(start, data.draw(st.integers(start + 1, after)))
    inputs = needed(before, after, wanted)
    assert 0 <= inputs.start < inputs.stop <= before
    scale = before / after
    assert len(inputs) <= len(wanted) * scale + 2 * max(1, scale) + 2


def test_pictures_keep_their_place() -> None:
    """Down and up again, nothing is shifted: what differs is what a smaller picture cannot hold."""
    x = to_tensor(picture(160, 120, seed=3))
    small = shrunk(reader(x), (120, 160), (60, 80), range(60), range(80), lanczos)
    again = enlarged(reader(small), (60, 80), (120, 160), range(120), range(160))
    assert (again - x).abs().mean() < 0.002
    assert (again - x.roll(1, -1)).abs().mean() > 2 * (again - x).abs().mean()
