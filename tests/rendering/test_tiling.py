"""Tiles cover a picture once, see what they need, and add up to its statistics."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from nst_adain.models.architecture import TOPOLOGIES, Architecture, find_topology
from nst_adain.models.networks import Encoder, StyleTransfer, pad_to_stride
from nst_adain.rendering.tiling import halo, tiles
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


sides, cut_to = st.integers(1, 100), st.integers(1, 12).map(lambda n: 8 * n)


@given(sides, sides, cut_to, st.integers(0, 8).map(lambda n: 8 * n))
def test_any_tiles_cover_every_pixel_once_and_read_their_surroundings(height: int, width: int, side: int, margin: int) -> None:
    count = torch.zeros(height, width, dtype=torch.int)
    for tile in tiles(height, width, side, margin):
        count[tile.top : tile.bottom, tile.left : tile.right] += 1
        assert max(tile.bottom - tile.top, tile.right - tile.left) <= side
        for start, end, first, last, whole in (
            (tile.top, tile.bottom, tile.read_top, tile.read_bottom, height),
            (tile.left, tile.right, tile.read_left, tile.read_right, width),
        ):
            assert (first, last) == (max(0, start - margin), min(whole, end + margin))
    assert count.eq(1).all()


@given(st.integers(1, 50), st.integers(1, 50), cut_to, st.integers(1, 8).map(lambda n: 8 * n), st.sampled_from([1, 2, 4, 8]))
def test_the_insides_of_tiles_cover_every_position_of_features_once(
    height: int, width: int, side: int, margin: int, stride: int
) -> None:
    count = F.avg_pool2d(pad_to_stride(torch.zeros(1, 1, height, width)), stride)
    for tile in tiles(height, width, side, margin):
        read = pad_to_stride(torch.empty(1, 1, tile.read_bottom - tile.read_top, tile.read_right - tile.read_left))
        rows, columns = (range(n // stride)[part] for n, part in zip(read.shape[2:], tile.inside(stride)))
        top, left = tile.read_top // stride, tile.read_left // stride
        count[..., top + rows.start : top + rows.stop, left + columns.start : left + columns.stop] += 1
    assert count.eq(1).all()


@given(st.sampled_from(sorted(TOPOLOGIES)), st.data())
def test_the_halo_grows_with_the_network_alone(topology: str, data: st.DataObject) -> None:
    """Not with its width, its taps or its modulation; and it is what a tile may start at."""
    layers = find_topology(topology).layers
    taps = tuple(layer for layer in layers[:-1] if data.draw(st.booleans())) + layers[-1:]
    arch = Architecture(topology, data.draw(st.floats(0.01, 4)), taps, data.draw(st.integers(0, 99)))
    assert halo(arch) == halo(Architecture(topology))
    assert halo(arch) % 8 == 0
    assert halo(arch) > arch.plan.reach_of(layers[-1])
