"""Stages in strips of rows: the same as at once, at any height, with gradients never."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from nst_adain.functional import ChannelStats
from nst_adain.models import strips
from nst_adain.models.networks import Decoder, Encoder, StyleTransfer
from nst_adain.models.strips import Rows, in_strips


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips of 16 rows or so, whatever the picture."""
    monkeypatch.setattr(strips, "_AT_ONCE", 1)


def test_rows_after_convolutions_are_those_that_were_asked_for() -> None:
    for height, reach in itertools.product((2, 16, 33), range(4)):
        for first in range(0, height, 2):
            rows = Rows(first, min(first + 2, height), height)
            seen = rows.around(reach)
            for _ in range(reach):
                seen = seen.convolved()
            assert seen.first <= rows.first
            assert seen.end >= rows.end
            whole = torch.arange(height)[None, None, :, None]
            assert torch.equal(seen.cut(whole[:, :, seen.first : seen.end], rows), whole[:, :, rows.first : rows.end])


@pytest.mark.parametrize("height", [*range(1, 70), 129, 1010])
def test_strips_join_to_the_whole_at_any_height(narrow: None, height: int) -> None:
    x = torch.arange(2.0 * height * 3).view(1, 2, height, 3)
    made: list[Rows] = []

    def make(rows: Rows) -> tuple[torch.Tensor, ...]:
        made.append(rows)
        part = x[:, :, rows.first : rows.end]
        pooled = F.max_pool2d(part, (2, 1)) if part.shape[2] > 1 else part[:, :, :0]
        return part, pooled, part.repeat_interleave(2, 2)

    got = in_strips(height, 3, make, x)
    assert (len(made) > 1) == (height >= 32)
    assert [rows.first for rows in made] == [0, *(rows.end for rows in made[:-1])]
    wanted = (x, F.max_pool2d(x, (2, 1)) if height > 1 else x[:, :, :0], x.repeat_interleave(2, 2))
    for one, other in zip(got, wanted):
        assert torch.equal(one, other)


@torch.inference_mode()
@pytest.mark.parametrize("topology", ["compact", "vgg16", "vgg19"])
@pytest.mark.parametrize("size", [(64, 24), (132, 40), (250, 16)])
def test_networks_give_the_same_in_strips(topology: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    encoder, decoder = Encoder(topology, 1 / 8), Decoder(topology, 1 / 8)
    x = torch.rand(2, 3, *size)
    whole = encoder.features(x)
    picture = decoder(whole)
    monkeypatch.setattr(strips, "_AT_ONCE", 1)
    for tap, features in encoder.features(x).items():
        torch.testing.assert_close(features, whole[tap], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(decoder(whole), picture, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("height", [145, 289, 290, 291])
def test_pooling_drops_the_odd_row_in_strips_too(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, x = Encoder("vgg19", 1 / 16), torch.rand(1, 3, height, 16)
    whole = encoder.features(x)
    monkeypatch.setattr(strips, "_AT_ONCE", 1)
    for tap, features in encoder.features(x).items():
        torch.testing.assert_close(features, whole[tap], rtol=1e-5, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("maps", [False, True])
def test_a_style_that_varies_is_the_same_in_strips(
    tiny_model: StyleTransfer, maps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = tiny_model.encode(torch.rand(1, 3, 264, 40))
    content = tiny_model.arch.split(tiny_model.code(features))
    target = tiny_model.arch.split(tiny_model.code(tiny_model.encode(torch.rand(1, 3, 32, 32))))
    if maps:  # another style below than above
        for layer, stats in target.items():
            stride = tiny_model.arch.plan.stride_of(layer)
            ramp = torch.linspace(0.5, 2, 264 // stride)[:, None].expand(-1, 40 // stride)
            target[layer] = ChannelStats(stats.mean * ramp, stats.std * ramp)
    whole = tiny_model.decode(features, content, target)
    monkeypatch.setattr(strips, "_AT_ONCE", 1)
    torch.testing.assert_close(tiny_model.decode(features, content, target), whole, rtol=1e-4, atol=1e-5)


def test_gradients_are_never_in_strips(narrow: None, tiny_model: StyleTransfer) -> None:
    calls: list[None] = []
    tiny_model.decoder.get_submodule("conv1_1").register_forward_pre_hook(lambda *_: calls.append(None))
    content, style = torch.rand(1, 3, 128, 32), torch.rand(1, 3, 32, 32)
    tiny_model(content, style).sum().backward()
    assert len(calls) == 1
    with torch.no_grad():
        tiny_model(content, style)
    assert len(calls) > 2
