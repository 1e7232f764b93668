"""Winograd's convolutions are the direct ones, forwards and backwards, within the rounding of float32."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from nst_adain.functional import ChannelStats
from nst_adain.models import winograd
from nst_adain.models.convolution import Conv3x3, freeze


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (1, 1), (2, 3), (5, 8), (16, 12), (33, 70)])
@pytest.mark.parametrize(("channels_in", "channels_out"), [(3, 5), (64, 128), (128, 64)])
def test_it_is_the_direct_convolution(
    channels_in: int, channels_out: int, height: int, width: int, bias: bool, layout: torch.memory_format
) -> None:
    weight = torch.randn(channels_out, channels_in, 3, 3) / (3 * channels_in**0.5)
    shift = torch.randn(channels_out) if bias else torch.zeros(channels_out)
    padded = torch.randn(2, channels_in, height + 2, width + 2).contiguous(memory_format=layout).requires_grad_()
    got = winograd.convolve(padded, winograd.transform(weight), shift if bias else None)
    exact = F.conv2d(padded.double(), weight.double(), shift.double())
    error = (got - exact).abs()
    largest = by_sizes(padded, weight) + shift.abs().view(1, -1, 1, 1)
    assert (error <= rounding(channels_in) * largest).all()
    grad = torch.randn_like(exact)
    (wanted,) = torch.autograd.grad(exact, padded, grad)
    (found,) = torch.autograd.grad(got, padded, grad.float())
    # Backwards the same sums are transposed; `by_sizes` is linear where the picture is positive.
    positive = torch.ones_like(padded, dtype=torch.float64).requires_grad_()
    (largest,) = torch.autograd.grad(by_sizes(positive, weight), positive, grad.abs())
    assert ((found - wanted).abs() <= rounding(channels_out) * largest).all()


def by_sizes(padded: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """What `winograd.convolve` adds up if all terms of all its sums are positive: no intermediate result is larger."""
    a, b, g = (torch.tensor(m, dtype=torch.float64).abs() for m in (winograd._A, winograd._B, winograd._G))
    wide = torch.einsum("pa,qb,oiab->pqoi", g, g, weight.double().abs())
    height, width = padded.shape[2] - 2, padded.shape[3] - 2
    x = F.pad(padded.double().abs(), (0, -width % 4, 0, -height % 4))
    tiles = x.unfold(2, 6, 4).unfold(3, 6, 4)  # (B, C, rows, columns, 6, 6)
    products = torch.einsum("pa,qb,ncyxab,pqoc->noyxpq", b, b, tiles, wide)
    output = torch.einsum("rp,sq,noyxpq->noyrxs", a, a, products).flatten(4, 5).flatten(2, 3)
    return output[..., :height, :width]


def rounding(channels: int) -> float:
    """Relative to `by_sizes`: in float32 a sum of n products is off by at most n u / (1 - n u) of the sum of their sizes, u
    being half of `eps` (Higham 2002, section 3.1), and here 36, `channels` and 36 terms are summed, and one bias; the weights
    are rounded once."""
    n = (36 + channels + 36 + 2) * torch.finfo(torch.float32).eps / 2
    return n / (1 - n)


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
    # Whole numbers, small enough for every sum to be exact in float64: then no order of summation gives another result.
    padded = torch.randint(-3, 4, (2, 8, 42, 30)).double().requires_grad_()
    transformed = winograd.transform(576.0 * torch.randint(-3, 4, (4, 8, 3, 3))).double()
    results = []
    for values in (1, 9000, 10**9):
        monkeypatch.setattr(winograd, "_AT_ONCE", values)
        output = winograd.convolve(padded, transformed)
        results.append((output, torch.autograd.grad(output.sum(), padded)[0]))
    for output, grad in results[1:]:
        assert torch.equal(output, results[0][0])
        assert torch.equal(grad, results[0][1])


def test_it_is_used_where_it_is_faster() -> None:
    assert winograd.pays(torch.rand(64, 128, 3, 3))
    assert winograd.pays(torch.rand(256, 256, 3, 3))
    assert not winograd.pays(torch.rand(64, 64, 3, 3))
    assert not winograd.pays(torch.rand(128, 32, 3, 3))
    assert not winograd.pays(torch.rand(128, 128, 3, 3).bfloat16())
