from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from nst_adain import winograd
from nst_adain.convolution import Conv3x3, freeze
from nst_adain.functional import ChannelStats


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (1, 1), (2, 3), (5, 8), (16, 12), (33, 70)])
@pytest.mark.parametrize(("channels_in", "channels_out"), [(3, 5), (64, 128), (128, 64)])
def test_it_is_the_direct_convolution(
    channels_in: int, channels_out: int, height: int, width: int, bias: bool, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(channels_out, channels_in, 3, 3) / (3 * channels_in**0.5)
    shift = torch.randn(channels_out) if bias else None
    padded = torch.randn(2, channels_in, height + 2, width + 2).contiguous(memory_format=layout).requires_grad_()
    expected = F.conv2d(padded, weight, shift)
    got = winograd.convolve(padded, winograd.transform(weight), shift)
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-4)
    grad = torch.randn_like(expected)
    (wanted,) = torch.autograd.grad(expected, padded, grad)
    torch.testing.assert_close(torch.autograd.grad(got, padded, grad)[0], wanted, rtol=0, atol=2e-4)


def test_weights_that_are_written_to_in_place_count() -> None:
    torch.manual_seed(0)
    conv, x = Conv3x3(64, 128), torch.randn(1, 64, 16, 16)
    freeze(conv)
    code = ChannelStats(torch.zeros(1, 128, 1, 1), torch.full((1, 128, 1, 1), 2.0))
    before = conv(x)
    assert conv.transformed is not None
    with torch.no_grad():
        conv.weight[:64] = 0
    pruned = conv(x)
    assert pruned[:, :64].abs().max() == 0 < before[:, :64].abs().max()
    torch.testing.assert_close(pruned[:, 64:], before[:, 64:])
    torch.testing.assert_close(conv(x, code), 2 * pruned)
    assert conv.transformed is not None  # still the faster way
    copied = copy.deepcopy(conv)
    torch.testing.assert_close(copied(x), pruned)
    with torch.inference_mode():
        made = Conv3x3(64, 128)
        freeze(made)
        torch.testing.assert_close(made(x), F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), made.weight), rtol=0, atol=2e-4)


def test_another_default_device_changes_nothing() -> None:
    weight = torch.rand(128, 64, 3, 3)
    with torch.device("meta"):
        transformed = winograd.transform(weight)
    assert torch.equal(transformed, winograd.transform(weight))


def test_in_strips_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    padded, weight = torch.randn(2, 8, 42, 30, requires_grad=True), torch.randn(4, 8, 3, 3) / 8
    results = []
    for values in (1, 9000, 10**9):
        monkeypatch.setattr(winograd, "_AT_ONCE", values)
        output = winograd.convolve(padded, winograd.transform(weight))
        results.append((output, torch.autograd.grad(output.square().sum(), padded)[0]))
    for output, grad in results[1:]:
        torch.testing.assert_close(output, results[0][0], rtol=0, atol=1e-5)
        torch.testing.assert_close(grad, results[0][1], rtol=0, atol=1e-4)


def test_it_is_used_where_it_is_faster() -> None:
    assert winograd.pays(torch.rand(64, 128, 3, 3))
    assert winograd.pays(torch.rand(256, 256, 3, 3))
    assert not winograd.pays(torch.rand(64, 64, 3, 3))
    assert not winograd.pays(torch.rand(128, 32, 3, 3))
    assert not winograd.pays(torch.rand(128, 128, 3, 3).bfloat16())
