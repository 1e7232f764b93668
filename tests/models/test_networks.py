"""Encoder, decoder and modulator: their layers against plain torch, any size, and what strength does."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from nst_adain.functional import adain, channel_stats
from nst_adain.models.architecture import Architecture
from nst_adain.models.networks import Decoder, Encoder, StyleTransfer, pad_to_stride
from nst_adain.models.pretrained import load_encoder


def torchvision_features(tensors: dict[str, Tensor], config: str, x: Tensor) -> dict[str, Tensor]:
    """relu1_1 .. relu4_1 by torchvision's own VGG modules, given our weights and reflection padding."""
    taps: dict[str, Tensor] = {}
    names = iter(tensors)
    stage, index = 1, 1
    for module in make_layers(cfgs[config]):
        if isinstance(module, nn.Conv2d):
            name = f"conv{stage}_{index}"
            assert module.weight.shape == tensors[f"{name}.weight"].shape
            module.weight.data, module.bias.data = tensors[f"{name}.weight"], tensors[f"{name}.bias"]  # type: ignore[union-attr]
            module.padding_mode = "reflect"
            module._reversed_padding_repeated_twice = [1, 1, 1, 1]
        elif isinstance(module, nn.MaxPool2d):
            stage, index = stage + 1, 0
        elif index == 1:
            taps[f"relu{stage}_1"] = module(x)
        x = module(x.clone())
        if isinstance(module, (nn.ReLU, nn.MaxPool2d)):
            index += 1
        if stage == 4 and "relu4_1" in taps:
            return taps
    raise AssertionError(f"no relu4_1 after {list(names)}")


@torch.inference_mode()
def test_full_width_encoder_equals_torchvisions_modules(teacher: Path) -> None:
    x = torch.rand(1, 3, 70, 53)
    got = load_encoder(teacher).features(x)
    expected = torchvision_features(load_file(teacher), "E", x)
    assert list(got) == ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
    for tap in got:
        torch.testing.assert_close(got[tap], expected[tap], rtol=1e-4, atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize(("topology", "config"), [("vgg16", "D"), ("vgg19", "E")])
def test_both_topologies_equal_torchvisions_modules(topology: str, config: str) -> None:
    encoder = Encoder(topology, 1.0)
    x = torch.rand(1, 3, 32, 40)
    expected = torchvision_features(encoder.state_dict(), config, x)
    torch.testing.assert_close(encoder(x), expected["relu4_1"], rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_decoder_equals_the_published_sequence() -> None:
    pad, up = nn.ReflectionPad2d(1), nn.Upsample(scale_factor=2, mode="nearest")
    decoder = Decoder("vgg19", 1.0)
    expected = x = torch.rand(1, 512, 4, 5)
    for position, name in enumerate(decoder.names):
        conv = decoder.get_submodule(name)
        expected = F.conv2d(pad(expected), conv.weight, conv.bias)  # type: ignore[arg-type]
        expected = expected if name == "conv1_1" else expected.relu()
        expected = up(expected) if position in (0, 4, 6) else expected  # after 512-256, 256-128 and 128-64
    torch.testing.assert_close(decoder({"relu4_1": x}), expected, rtol=1e-4, atol=1e-4)


def test_parameters_of_the_slim_and_the_published_pair() -> None:
    count = lambda arch: sum(p.numel() for p in StyleTransfer(arch).parameters())
    codes, taps = 2 * (128 + 64 + 64 + 32 + 32), 2 * (32 + 64 + 128)
    assert count(Architecture()) == 532_908
    assert count(Architecture(modulation=48)) == 532_908 + (taps + 1) * 48 + 49 * codes
    assert count(Architecture("vgg16", 0.25, ("relu2_1", "relu3_1", "relu4_1"))) == 365_603
    assert round(count(Architecture("vgg19", 1.0, ("relu4_1",))) / 1e6, 2) == 7.01


def check_size(model: StyleTransfer, height: int, width: int) -> None:
    output = model(torch.rand(1, 3, height, width), torch.rand(1, 3, width, height))
    assert output.shape == (1, 3, height, width)
    assert output.isfinite().all()


@torch.inference_mode()
@pytest.mark.parametrize("height", range(1, 68))
def test_output_has_the_input_size(tiny_model: StyleTransfer, height: int) -> None:
    for width in (*range(1, 18), 64, 131):  # every remainder by 8, below and above the smallest size
        check_size(tiny_model, height, width)


@pytest.mark.slow
@torch.inference_mode()
@pytest.mark.parametrize("height", range(1, 68))
def test_output_has_the_input_size_whatever_it_is(tiny_model: StyleTransfer, height: int) -> None:
    for width in range(1, 132):
        check_size(tiny_model, height, width)


def test_each_picture_may_have_a_strength_of_its_own(tiny_model: StyleTransfer) -> None:
    content, style = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    both = tiny_model(content, style, alpha=torch.tensor([0.25, 1.0])[:, None, None, None])
    for i, alpha in enumerate((0.25, 1.0)):
        torch.testing.assert_close(
            both[i : i + 1], tiny_model(content[i : i + 1], style[i : i + 1], alpha), rtol=1e-4, atol=1e-4
        )


def test_half_precision_throughout(tiny_model: StyleTransfer) -> None:
    content, style = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    wide = tiny_model(content, style)
    narrow = copy.deepcopy(tiny_model).bfloat16()(content.bfloat16(), style.bfloat16())
    assert (narrow.float() - wide).abs().mean() < 0.1 * wide.std()


@torch.inference_mode()
def test_alpha_zero_is_encode_and_decode(tiny_model: StyleTransfer) -> None:
    content, style = torch.rand(2, 3, 24, 40), torch.rand(2, 3, 32, 32)
    reconstructed = tiny_model(content, content)
    torch.testing.assert_close(tiny_model(content, style, alpha=0.0), reconstructed, rtol=1e-3, atol=1e-3)


@torch.inference_mode()
def test_a_batch_equals_its_pictures_one_by_one(tiny_model: StyleTransfer) -> None:
    content, style = torch.rand(3, 3, 24, 40), torch.rand(3, 3, 32, 32)
    singles = [tiny_model(content[i : i + 1], style[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(tiny_model(content, style), torch.cat(singles), rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_decoder_receives_the_style_statistics_at_every_tap(tiny_model: StyleTransfer) -> None:
    seen: dict[str, Tensor] = {}
    tiny_model.decoder.register_forward_pre_hook(lambda module, arguments: seen.update(arguments[0]))
    style = torch.rand(1, 3, 48, 48)
    tiny_model(torch.rand(1, 3, 64, 64), style)
    wanted = tiny_model.encode(style)
    assert tuple(seen) == tiny_model.arch.taps
    for tap, features in seen.items():
        features = features[:, :, :]
        live = channel_stats(features).std > 0.01  # a channel that the content leaves dark has nothing to scale
        got, want = channel_stats(features), channel_stats(wanted[tap])
        torch.testing.assert_close(got.mean[live], want.mean[live], rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(got.std[live], want.std[live], rtol=1e-2, atol=1e-2)


@torch.inference_mode()
def test_modulation_scales_and_shifts_the_decoders_channels_by_the_style(tiny_model: StyleTransfer) -> None:
    content, first, second = torch.rand(3, 1, 3, 32, 32)
    features = tiny_model.encode(content)
    own, code = tiny_model.code(features), tiny_model.code(tiny_model.encode(first))
    other = tiny_model.code(tiny_model.encode(second))
    layers = tiny_model.arch.code_channels
    assert list(layers) == [*tiny_model.arch.taps, "conv3_2", "conv3_1", "conv2_2", "conv2_1", "conv1_2"]
    assert code.channels == sum(layers.values()) == 4 + 8 + 16 + 16 + 8 * 2 + 4 * 2
    assert (code.std - other.std)[:, 28:].abs().max() > 1e-4  # it depends on the style

    # The modulated decoder is a decoder with other weights.
    plain = copy.deepcopy(tiny_model)
    codes = dict(zip(layers, code.split(list(layers.values()))))
    for name in list(layers)[3:]:
        conv = plain.decoder.get_submodule(name)
        scale, shift = codes[name].std.flatten(), codes[name].mean.flatten()
        conv.weight *= scale[:, None, None, None]  # type: ignore[operator]
        conv.bias.copy_(conv.bias * scale + shift)  # type: ignore[operator]
    owns = dict(zip(layers, own.split(list(layers.values()))))
    taps = {tap: adain(features[tap], owns[tap], codes[tap]) for tap in tiny_model.arch.taps}
    torch.testing.assert_close(tiny_model(content, first), plain.decoder(taps), rtol=1e-3, atol=1e-3)


def test_new_modulation_changes_nothing() -> None:
    torch.manual_seed(0)
    plain, modulated = StyleTransfer(Architecture(width=1 / 8)), StyleTransfer(Architecture(width=1 / 8, modulation=8))
    modulated.load_state_dict(plain.state_dict(), strict=False)
    content, style = torch.rand(2, 1, 3, 32, 32)
    assert torch.equal(plain(content, style), modulated(content, style))


def test_pad_repeats_the_edge() -> None:
    padded = pad_to_stride(torch.arange(3.0).view(1, 1, 1, 3).expand(1, 3, 17, 3))
    assert padded.shape == (1, 3, 24, 16)
    assert torch.equal(padded[0, 0, -1], torch.tensor([0.0, 1.0] + [2.0] * 14))


@torch.inference_mode()
def test_the_pixels_of_a_patch_are_neighbours() -> None:
    """A decoder's last layer that only copies gives the picture that its 12 channels are the patches of."""
    picture = torch.rand(1, 3, 16, 24)
    decoder = Decoder("compact", 1 / 8)
    patches = F.pixel_unshuffle(picture, 2).contiguous(memory_format=torch.channels_last)
    decoder.conv1_1.forward = lambda x, edges: patches  # type: ignore[method-assign, assignment]
    torch.testing.assert_close(decoder({"relu3_2": torch.rand(1, 16, 2, 3)}), picture, rtol=0, atol=0)


def test_the_pixels_of_a_patch_start_alike() -> None:
    weight = Decoder("compact", 1 / 8).conv1_1.get_parameter("weight")
    assert weight.shape[0] == 12
    for color in weight.unflatten(0, (3, 4)):
        assert color.eq(color[0]).all()
