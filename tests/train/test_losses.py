"""Losses against their formulas, and the loss network that they are computed in."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from nst_adain.models import winograd
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import save_weights
from train.config import TrainConfig
from train.data import Pictures, batches
from train.losses import content_loss, gram_matrix, grid_energy, palette_loss, style_loss, style_targets, total_variation
from train.trainer import Trainer


def test_content_loss_is_the_mean_squared_error() -> None:
    assert content_loss(torch.zeros(1, 2, 3, 3), torch.full((1, 2, 3, 3), 2.0)).item() == 4


@pytest.mark.parametrize("kind", ["moments", "gram"])
def test_style_loss_ignores_where_things_are(kind: str) -> None:
    x = torch.rand(1, 4, 6, 6)
    moved = x.flatten(2)[..., torch.randperm(36)].view_as(x)
    other = torch.rand(1, 4, 6, 6) * 3
    targets = lambda f: style_targets({"relu1_1": f}, ["relu1_1"], kind)
    assert style_loss(targets(moved), targets(x)).item() == pytest.approx(0, abs=1e-10)
    assert style_loss(targets(other), targets(x)).item() > 0.1


def test_style_loss_with_moments_is_equation_13() -> None:
    a, b = torch.rand(2, 4, 6, 6), torch.rand(2, 4, 5, 5)
    got = style_loss(style_targets({"r": a}, ["r"], "moments"), style_targets({"r": b}, ["r"], "moments"))
    std = lambda t: (t.var((2, 3), correction=0) + 1e-5).sqrt()
    expected = (a.mean((2, 3)) - b.mean((2, 3))).pow(2).mean() + (std(a) - std(b)).pow(2).mean()
    torch.testing.assert_close(got, expected)
    with pytest.raises(ValueError, match="kind: expected 'moments' or 'gram', got 'mean'"):
        style_targets({"r": a}, ["r"], "mean")


def test_gram_matrix_and_total_variation() -> None:
    x = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(gram_matrix(x)[1, 0, 2], (x[1, 0] * x[1, 2]).mean())
    assert total_variation(torch.ones(1, 3, 4, 4)).item() == 0
    stripes = torch.tensor([0.0, 1.0, 0.0, 1.0]).expand(1, 3, 4, 4)
    assert total_variation(stripes).item() == 1


def test_grid_energy_is_that_of_what_repeats() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(32)
    flat, noise = torch.full((2, 3, 64, 64), 0.3), torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert grid_energy(flat, 8).item() == pytest.approx(0, abs=1e-9)
    assert grid_energy(flat + 0.2 * stripes, 8).item() == pytest.approx(0.01)
    assert grid_energy((flat + 0.2 * stripes)[..., :61], 8).item() == pytest.approx(0.01)  # the last tiles are cut
    assert grid_energy(flat + 0.2 * stripes[:, None], 2).item() == pytest.approx(0.01)
    assert grid_energy(noise, 8).item() == pytest.approx(1 / 64, rel=0.4)
    assert grid_energy(torch.cat([stripes, 1 - stripes]).expand(1, 3, 64, -1), 8).item() < 1e-9  # out of step


def test_palette_loss_compares_colours_wherever_they_are() -> None:
    pictures = torch.rand(2, 3, 8, 12)
    blocks = pictures.repeat_interleave(2, 2).repeat_interleave(2, 3)  # it takes the means of 2 x 2 pixels
    moved = pictures.flatten(2)[..., torch.randperm(96)].view_as(pictures).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert palette_loss(blocks, moved).item() == pytest.approx(0, abs=1e-10)
    # Moved by 0.2 along grey: by 0.2 sqrt(3) times the cosine of the angle, whose square is 1/3 on average, in each direction.
    torch.manual_seed(0)
    found = torch.stack([palette_loss(blocks, blocks + 0.2) for _ in range(200)])
    assert found.mean().item() == pytest.approx(0.2**2, rel=0.05)
    exchanged = blocks.flip(1) * torch.tensor([0.1, 1, 1])[:, None, None]  # of other colours, each image by itself
    assert palette_loss(blocks, exchanged).item() > 0.01


def test_the_loss_network_computes_as_fast_as_it_can(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Winograd convolutions, which change no loss beyond rounding."""
    batch = next(batches(Pictures(config.content, 64, 1), Pictures(config.style, 64, 1), config, 0))
    found = []
    for pays in (False, True):
        monkeypatch.setattr(winograd, "pays", lambda weight, pays=pays: pays)
        trainer = Trainer("fit", config)
        loss = trainer.raw(batch)["loss"]
        loss.backward()
        found.append((loss.detach(), trainer.raw.model.decoder.conv1_1.weight.grad))
    assert not torch.equal(found[0][1], found[1][1])  # one number, the loss, may be rounded to the same
    for direct, fast in zip(*found):
        torch.testing.assert_close(fast, direct, rtol=1e-2, atol=1e-3)


def test_a_loss_network_without_a_layer_is_named(config: TrainConfig) -> None:
    own = config.teacher.with_name("own.safetensors")
    save_weights(own, config.arch, StyleTransfer(config.arch).state_dict())
    with pytest.raises(
        ValueError, match=r"own\.safetensors: expected a loss network with relu1_1, .* relu4_1, found .* relu3_2"
    ):
        Trainer("fit", dataclasses.replace(config, teacher=own))
