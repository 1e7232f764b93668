"""The published networks that the models are timed beside: their size and arithmetic are the published ones."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from train.measure.baselines import MicroAST, published_vgg


def test_layers_of_microast_have_its_published_size_and_arithmetic() -> None:
    network = MicroAST().eval()
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 0.47
    content = torch.rand(1, 3, 64, 96)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        assert network(content, content).shape == content.shape
    assert counter.get_total_flops() / 2 / (64 * 96) / 1000 == pytest.approx(41.6, rel=0.05)


def test_published_vgg_has_the_papers_size_and_arithmetic() -> None:
    network = published_vgg().eval()
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 7.01
    content = torch.rand(1, 3, 64, 64)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        assert network(content, content).shape == content.shape
    assert counter.get_total_flops() / 2 / 64**2 / 1000 == pytest.approx(724, rel=0.05)
