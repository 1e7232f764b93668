"""Pass 1: statistics that are added up over tiles, regions and what is visible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw, picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from nst_adain.controls import Controls
from nst_adain.figures.samples import photograph
from nst_adain.functional import channel_stats
from nst_adain.images.inputs import to_tensor
from nst_adain.rendering.statistics import Moments
from nst_adain.rendering.tiling import tiles
from nst_adain.stylizer import Stylizer


def test_moments_of_pieces_are_those_of_the_whole() -> None:
    x = torch.randn(2, 5, 24, 40) * 3 + 100
    moments = Moments()
    for piece in (x[..., :7, :], x[..., 7:, :13], x[..., 7:, 13:]):
        moments.add(piece)
    whole = channel_stats(x.double())
    torch.testing.assert_close(moments.stats().mean.double(), whole.mean, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(moments.stats().std.double(), whole.std, rtol=1e-5, atol=1e-6)


def test_weighted_moments_are_those_of_the_region() -> None:
    x = torch.randn(1, 3, 8, 8)
    inside = torch.zeros(1, 1, 8, 8)
    inside[..., :3] = 1
    moments = Moments()
    moments.add(x[..., :4, :], inside[..., :4, :])
    moments.add(x[..., 4:, :], inside[..., 4:, :])
    moments.add(x, torch.zeros(1, 1, 8, 8))
    torch.testing.assert_close(moments.stats().std, channel_stats(x[..., :3]).std)
    with pytest.raises(ValueError, match="got none"):
        Moments().stats()


@given(
    st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 2**32),
    st.sampled_from([1e-3, 1.0, 100.0]),
    st.sampled_from([0.0, 1.0, 1e3]),
    st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64]),
    st.integers(1, 5).map(lambda n: 8 * n),
    st.booleans(),
)
def test_moments_over_any_cut_are_those_of_the_whole(
    shape: tuple[int, ...], seed: int, spread: float, offset: float, dtype: torch.dtype, side: int, masked: bool
) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = (torch.randn(shape, generator=draw).clamp(-4, 4) * spread + offset).to(dtype)
    counted = torch.randint(2, (1, 1, *shape[2:]), generator=draw) if masked else torch.ones(1, 1, *shape[2:])
    counted[..., 0, 0] = 1
    moments = Moments()
    for tile in tiles(*shape[2:], side, 0):
        part = (..., slice(tile.top, tile.bottom), slice(tile.left, tile.right))
        moments.add(x[part], counted[part] if masked else None)
    exact = channel_stats(x.double()[..., counted[0, 0].bool()].unsqueeze(-1))
    # As of sums over all positions: pieces are summed in float32 and joined in float64. Each mean that is off moves its piece
    # once, and adds to its squares once. The results are float32.
    positions, eps = x[0, 0].numel(), torch.finfo(torch.float32).eps
    off = positions * eps * x.double().abs().amax((2, 3), keepdim=True)
    got = moments.stats()
    assert ((got.mean - exact.mean).abs() <= off + eps * exact.mean.abs()).all()
    assert ((got.std - exact.std).abs() <= 2 * off + (positions + 6) * eps * exact.std).all()


@pytest.fixture(scope="module")
def styles() -> list[Image.Image]:
    return [picture(64, 50, seed) for seed in (2, 3, 4)]


def mottled(width: int, height: int, seed: int) -> Image.Image:
    """Full of edges, as photographs are: a colour of its own each 8 pixels."""
    cells = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)


# In smooth pictures the border between the regions is the only edge, and what of it is in the statistics of both halves when
# the width doubles. Among other edges it hardly counts: half a per cent of the whole picture's statistics in a region's would
# be too much there.
@pytest.mark.parametrize(("drawn", "width", "limit"), [(picture, 2048, 0.2), (picture, 4096, 0.15), (mottled, 2048, 0.05)])
def test_regions_have_their_own_content_statistics(
    slim: Stylizer, styles: list[Image.Image], drawn: Callable[[int, int, int], Image.Image], width: int, limit: float
) -> None:
    """Far from the border between two regions, each is rendered as if it were a picture of its own."""
    # One dark: of regions with like statistics there would be little to tell apart.
    left, right = to_tensor(drawn(width, 64, 5)), 0.3 * to_tensor(drawn(width, 64, 6))
    both = torch.cat([left, right], -1)
    masks = [np.arange(2 * width)[None] < width, np.arange(2 * width)[None] >= width]
    masks = [np.repeat(mask, 64, 0).astype(float) for mask in masks]
    out = slim(both, styles[:2], masks=masks)
    alone = slim(left, styles[0]), slim(right, styles[1])
    uniform = slim(both, styles[0]), slim(both, styles[1])  # statistics of both halves together
    inside = width - 76
    for part, i in ((slice(0, inside), 0), (slice(-inside, None), 1)):
        far = (uniform[i][..., part] - alone[i][..., part]).abs().mean()
        assert (out[..., part] - alone[i][..., part]).abs().mean() < limit * far


@pytest.mark.parametrize("preserve_color", [None, "coral"])
@pytest.mark.parametrize("tile", [None, 128])
@pytest.mark.parametrize("masked", [False, True])
def test_what_is_invisible_does_not_count(slim: Stylizer, preserve_color: Any, tile: int | None, masked: bool) -> None:
    photo, style = photograph("coffee").resize((128, 128)), draw("mosaic").resize((128, 128))
    margin = Image.new("RGBA", (384, 384), (200, 0, 255, 0))
    margin.paste(photo, (128, 128))
    controls: Controls = {"preserve_color": preserve_color, "tile": tile}
    if masked:
        controls["masks"] = [np.ones((2, 2))]
    expected = np.asarray(slim(photo, style, **controls), dtype=float)
    out = np.asarray(slim(margin, style, **controls).crop((128, 128, 256, 256)).convert("RGB"), dtype=float)
    difference = np.abs(out - expected)[24:-24, 24:-24].mean()
    assert difference < 12  # 65 and more when they counted as white
    margin.putalpha(margin.getchannel("A").point([1] + [255] * 255))
    faint = np.asarray(slim(margin, style, **controls).crop((128, 128, 256, 256)).convert("RGB"), dtype=float)
    assert np.abs(faint - expected)[24:-24, 24:-24].mean() < 20  # the surroundings are seen at the edge
    cut_out = np.asarray(slim(photo, margin, **controls, style_size=None), dtype=float)
    itself = np.asarray(slim(photo, photo, **controls), dtype=float)
    assert np.abs(cut_out - itself).mean() < 12


class _Float64(TorchDispatchMode):
    """Notes the sizes of all float64 tensors that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        result = function(*arguments, **(keywords or {}))
        if isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            self.sizes.append(result.numel())
        return result


@pytest.mark.parametrize("weights", [None, torch.ones(1, 1, 30, 40)])
def test_only_numbers_for_each_channel_need_float64(weights: torch.Tensor | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apple's GPUs have none: those numbers come to the CPU first."""
    brought: list[int] = []
    to_cpu = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda x: brought.append(x.numel()) or to_cpu(x))
    moments = Moments()
    with _Float64() as made:
        moments.add(torch.ones(1, 2, 30, 40), weights)
    assert moments.stats().mean.flatten().tolist() == [1, 1]
    assert set(made.sizes) == {2}
    assert brought == [2, 2]
