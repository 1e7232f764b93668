"""Convolutions whose weights are frozen: the same picture, also after the model is changed or trained again."""

from __future__ import annotations

import pytest
import torch

from nst_adain.functional import ChannelStats
from nst_adain.models.architecture import Architecture
from nst_adain.models.convolution import freeze
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import load_model
from train.initial import calibrate


def test_what_is_trained_again_is_no_longer_constant() -> None:
    model = load_model("base")
    freeze(model)
    content, style = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    model.requires_grad_(True)
    model(content, style).sum().backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if not name.startswith("modulator"))
    model.requires_grad_(False)
    before = model(content, style)
    with torch.no_grad():
        model.encoder.get_parameter("conv3_2.weight").mul_(0.5)
    assert not torch.equal(model(content, style), before)


@pytest.fixture
def lively() -> StyleTransfer:
    """As wide as what ships, so that frozen weights are used in another form, and every part of it matters."""
    torch.manual_seed(0)
    model = StyleTransfer(Architecture(modulation=8))
    assert model.modulator is not None
    torch.nn.init.normal_(model.modulator.output.weight, std=0.1)
    calibrate(model, torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64))
    return model


@torch.inference_mode()
@pytest.mark.parametrize("batch", [1, 2])  # one style's modulation is folded into the weights, two are not
def test_frozen_weights_give_the_same_picture(lively: StyleTransfer, batch: int) -> None:
    content, style = torch.rand(batch, 3, 45, 70), torch.rand(batch, 3, 50, 50)
    before = lively(content, style)
    assert lively.encoder.conv3_2.transformed is None
    freeze(lively)
    assert lively.encoder.conv3_2.transformed is not None
    torch.testing.assert_close(lively(content, style), before, rtol=0, atol=1e-4)
    assert "transformed" not in " ".join(lively.state_dict())
    assert not any(p.requires_grad for p in lively.parameters())


def test_frozen_weights_follow_what_becomes_of_the_model(lively: StyleTransfer) -> None:
    content, style = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    freeze(lively)
    other = {key: 0.9 * value for key, value in lively.state_dict().items()}
    lively.load_state_dict(other)
    fresh = StyleTransfer(lively.arch)
    fresh.load_state_dict(other)
    with torch.no_grad():
        torch.testing.assert_close(lively(content, style), fresh(content, style))
        freeze(lively)
        half, expected = lively.bfloat16(), fresh.bfloat16()
        torch.testing.assert_close(half.encoder(content.bfloat16()), expected.encoder(content.bfloat16()))


def test_biases_alone_can_be_trained_again(lively: StyleTransfer) -> None:
    freeze(lively)
    biases = [p.requires_grad_() for name, p in lively.named_parameters() if name.endswith("bias")]
    lively(torch.rand(1, 3, 32, 40), torch.rand(1, 3, 32, 32)).sum().backward()
    assert all(bias.grad is not None for bias in biases)


def test_a_code_can_be_optimised_through_a_frozen_model(lively: StyleTransfer) -> None:
    content, style = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    grads = []
    for _ in range(2):  # unfrozen, then frozen
        with torch.no_grad():
            features = lively.encode(content)
            own, code = lively.code(features), lively.code(lively.encode(style))
        code = ChannelStats(code.mean.requires_grad_(), code.std.requires_grad_())
        output = lively.decode(features, lively.arch.split(own), lively.arch.split(code))
        grads.append(torch.autograd.grad(output.square().sum(), [code.mean, code.std]))
        freeze(lively)
    for unfrozen, frozen in zip(*grads):
        torch.testing.assert_close(frozen, unfrozen, rtol=1e-2, atol=1e-2 * float(unfrozen.abs().max()))
        assert frozen.flatten()[-32:].abs().max() > 0  # the last are a modulation's
