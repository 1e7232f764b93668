from __future__ import annotations

import pytest
import torch

from nst_adain.architecture import TOPOLOGIES, Architecture, find_topology
from nst_adain.functional import channel_stats
from nst_adain.models import Encoder, StyleTransfer
from nst_adain.tiling import Moments, halo, tiles
from train.initial import calibrate


@pytest.mark.parametrize(("height", "width", "side"), [(1, 1, 8), (67, 131, 32), (64, 64, 64), (65, 8, 64), (100, 300, 40)])
def test_tiles_cover_every_pixel_once(height: int, width: int, side: int) -> None:
    count = torch.zeros(height, width)
    for tile in tiles(height, width, side, 16):
        count[tile.top : tile.bottom, tile.left : tile.right] += 1
        assert tile.top % 8 == tile.left % 8 == tile.read_top % 8 == tile.read_left % 8 == 0
        assert 0 <= tile.read_top <= tile.top < tile.bottom <= tile.read_bottom <= height
        assert 0 <= tile.read_left <= tile.left < tile.right <= tile.read_right <= width
    assert count.eq(1).all()


@pytest.mark.parametrize("side", [0, -8, 100])
def test_wrong_sides_are_named(side: int) -> None:
    with pytest.raises(ValueError, match=f"tile: expected a positive multiple of 8 pixels, got {side}"):
        list(tiles(10, 10, side, 8))


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


@pytest.mark.parametrize("topology", sorted(TOPOLOGIES))
def test_a_position_sees_as_far_as_it_is_said_to(topology: str) -> None:
    """By the gradient of the positions in the middle with respect to the input."""
    plan, side = find_topology(topology), 160
    encoder = Encoder(topology, 1 / 16)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.abs_()  # so that nothing is dead
    for layer in plan.layers:
        x = torch.rand(1, 3, side, side, requires_grad=True)
        stride, reach = plan.stride_of(layer), plan.reach_of(layer)
        at = side // 2 // stride
        encoder.features(x)[layer][0, 0, at, at].backward()
        assert x.grad is not None
        rows = x.grad[0].abs().amax((0, 2)).nonzero().flatten()
        # Max pooling passes on one of four, so a few pixels at the end may be another's.
        assert at * stride - reach <= int(rows.min()) <= at * stride - reach + stride
        assert (at + 1) * stride + reach - stride <= int(rows.max()) + 1 <= (at + 1) * stride + reach


@pytest.mark.parametrize("arch", [Architecture(width=1 / 8), Architecture("vgg19", 1 / 16, ("relu2_1", "relu4_1"))])
def test_no_pixel_depends_on_what_is_beyond_the_halo(arch: Architecture) -> None:
    """By the gradient of an output pixel with respect to the input, statistics held fixed."""
    torch.manual_seed(0)
    model = StyleTransfer(arch)
    image = torch.rand(1, 3, 320, 320)
    calibrate(model, image, image)  # or nothing deep is alive
    with torch.no_grad():
        code = arch.split(model.code(model.encode(image)))
    reach = 0
    for pixel in (152, 155, 159):
        x = image.clone().requires_grad_()
        model.decode(model.encode(x), code, code)[0, 0, pixel, pixel].backward()
        assert x.grad is not None
        rows = x.grad[0].abs().amax((0, 2)).nonzero().flatten()
        reach = max(reach, pixel - int(rows.min()), int(rows.max()) - pixel)
    assert 32 < reach <= halo(arch)
