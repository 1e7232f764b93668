"""Bringing a small result up to the size of its photograph."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from conftest import picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import close

from nst_adain.images.inputs import to_pixels, to_tensor
from nst_adain.rendering.guidance import Guided, reduced, sizes_up_to, working_size
from nst_adain.rendering.tiling import as_float, tiles, whole

CPU = torch.device("cpu")


def bytes_of(x: torch.Tensor) -> torch.Tensor:
    return (x * 255).round().to(torch.uint8)


@given(st.integers(1, 30000), st.integers(1, 30000), st.integers(16, 1024))
def test_each_size_is_at_most_four_times_the_one_before(height: int, width: int, look: int) -> None:
    sizes = [*sizes_up_to((height, width), look), (height, width)]
    assert sizes == sorted(sizes)
    for (h, w), (taller, wider) in itertools.pairwise(sizes):
        assert (min(taller, wider) - 1) / (min(h, w) + 1) <= 4.2
    first = working_size(height, width, look)
    assert sizes[0] in (first, (height, width))
    assert min(first) <= look
    assert first[0] * first[1] <= 2 * look**2 + 2 * max(first)  # rounding moves the long side by half a pixel


@pytest.mark.parametrize(("size", "sizes"), [
    ((512, 700), []), ((100, 90), []), ((520, 520), []), ((1024, 768), [(683, 512)]), ((2048, 2048), [(512, 512)]),
    ((3000, 4000), [(512, 683), (1239, 1652)]), ((300, 4000), [(198, 2640)]),
])  # fmt: skip
def test_the_sizes_on_the_way(size: tuple[int, int], sizes: list[tuple[int, int]]) -> None:
    assert sizes_up_to(size, 512) == sizes
    assert sizes_up_to(size, 10_000) == []


def test_reducing_is_pillows() -> None:
    image = picture(700, 610, seed=4)
    ours = reduced(to_pixels(image), (305, 350))[0].permute(1, 2, 0).numpy()
    theirs = np.asarray(image.resize((350, 305), Image.Resampling.LANCZOS), dtype=float)
    assert np.abs(ours - theirs).max() <= 1
    close(reduced(to_tensor(image), (305, 350)).float(), reduced(to_pixels(image), (305, 350)).float(), 1)


def test_the_photograph_itself_is_brought_up_to_the_photograph() -> None:
    """Where the result is a linear function of the photograph, it has all of the large photograph's details."""
    photo = to_tensor(Image.effect_noise((160, 120), 90).convert("RGB").resize((320, 240)))
    small = reduced(photo, (60, 80))
    guided = Guided(photo, small, bytes_of(0.25 + 0.5 * small / 255), CPU)
    assert (guided[..., :, :] - (0.25 + 0.5 * photo)).abs().mean() < 0.01
    assert guided.shape == photo.shape
    assert len(guided) == 1


def test_edges_are_the_photographs() -> None:
    """A bright half and a dark half, brought up fourfold: as sharp as in the photograph, not as an enlarged picture."""
    photo = torch.zeros(1, 3, 80, 80)
    photo[..., 37:] = 1
    small = reduced(photo, (20, 20))
    result = bytes_of(1 - small / 255)
    guided = Guided(photo, small, result, CPU)[..., :, :]
    assert (guided - (1 - photo)).abs().max() < 0.05


@pytest.mark.parametrize("side", [8, 24, 40])
def test_windows_are_those_of_the_whole(side: int) -> None:
    photo, result = to_tensor(picture(150, 94, seed=1)), bytes_of(to_tensor(picture(53, 33, seed=2)))
    guided = Guided(photo, reduced(photo, (33, 53)), result, CPU)
    full = guided[..., :, :]
    drawn = (full + 0.1 * torch.rand(full.shape)).clamp(0, 1)
    settled = guided.settled(drawn, whole(guided))
    for tile in tiles(94, 150, side, guided.margin):
        close(as_float(guided, tile, CPU), full[..., tile.read_top : tile.read_bottom, tile.read_left : tile.read_right], 1e-5)
        part = guided.settled(drawn[..., tile.read_top : tile.read_bottom, tile.read_left : tile.read_right], tile)
        close(part, settled[..., tile.top : tile.bottom, tile.left : tile.right], 1e-5)


def test_a_settled_picture_is_the_small_one_when_it_is_reduced() -> None:
    photo, result = to_tensor(picture(256, 192, seed=1)), bytes_of(to_tensor(picture(64, 48, seed=2)))
    guided = Guided(photo, reduced(photo, (48, 64)), result, CPU)
    other = (
        to_tensor(picture(256, 192, seed=5)) * 0.3 + 0.2 + 0.2 * torch.rand(1, 3, 192, 256)
    )  # of other colours, with strokes
    settled = guided.settled(other, whole(guided))
    assert (reduced(other, (48, 64)).float() - result.float()).abs().mean() > 40
    assert (reduced(settled, (48, 64)).float() - result.float()).abs().mean() < 4
    high = other[..., 1:] - other[..., :-1]  # its strokes stay
    kept = settled[..., 1:] - settled[..., :-1]
    assert float((high * kept).sum() / (high.norm() * kept.norm())) > 0.9
