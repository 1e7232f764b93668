"""What the style says of the decoder's channels."""

from __future__ import annotations

import torch

from nst_adain.functional import ChannelStats
from nst_adain.models.modulator import Modulator


def test_a_new_one_changes_nothing() -> None:
    got = Modulator(12, 8, 20)(ChannelStats(torch.rand(2, 12, 1, 1), torch.rand(2, 12, 1, 1)))
    assert torch.equal(got.mean, torch.zeros(2, 20, 1, 1))
    assert torch.equal(got.std, torch.ones(2, 20, 1, 1))


def test_it_computes_in_the_precision_of_its_weights() -> None:
    got = Modulator(12, 8, 20).double()(ChannelStats(*torch.rand(2, 1, 12, 1, 1, dtype=torch.float64)))
    assert got.mean.dtype == got.std.dtype == torch.float64


def test_a_scale_is_never_below_0() -> None:
    modulator = Modulator(12, 8, 20)
    torch.nn.init.constant_(modulator.output.bias, -5.0)
    got = modulator(ChannelStats(torch.rand(1, 12, 1, 1), torch.rand(1, 12, 1, 1)))
    assert torch.equal(got.std, torch.zeros_like(got.std))
    assert (got.mean == -5).all()
