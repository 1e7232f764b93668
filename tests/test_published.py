"""Published weights, rewritten."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from nst_adain.pretrained import ENCODER_VARIABLE, load_encoder, load_model
from nst_adain.published import convert_published


def published_encoder() -> nn.Sequential:
    """vgg_normalised.pth: a 1 x 1 normalisation, then VGG-19 with explicit padding, here to relu4_1 with random weights."""
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
    channels = 3
    for step in [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512]:
        if isinstance(step, int):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, step, 3), nn.ReLU()]
            channels = step
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def published_decoder() -> nn.Sequential:
    """decoder.pth, with random weights."""
    layers: list[nn.Module] = []
    channels = 512
    for step in [256, "U", 256, 256, 256, 128, "U", 128, 64, "U", 64, 3]:
        if isinstance(step, int):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, step, 3), nn.ReLU()]
            channels = step
        else:
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
    return nn.Sequential(*layers[:-1])


@torch.inference_mode()
def test_published_pair_is_converted_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, decoder = published_encoder(), published_decoder()
    torch.save(encoder.state_dict(), tmp_path / "vgg_normalised.pth")
    torch.save(decoder.state_dict(), tmp_path / "decoder.pth")
    assert "1 x 1" in convert_published(tmp_path / "vgg_normalised.pth", tmp_path / "vgg19.safetensors")
    assert "decoder" in convert_published(tmp_path / "decoder.pth", tmp_path / "decoder.safetensors")
    monkeypatch.setenv(ENCODER_VARIABLE, str(tmp_path / "vgg19.safetensors"))
    model = load_model(tmp_path / "decoder.safetensors")
    x = torch.rand(1, 3, 40, 32)
    features = encoder(x)
    torch.testing.assert_close(model.encoder(x), features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.decoder({"relu4_1": features}), decoder(features), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_torchvisions_encoder_is_converted_exactly(tmp_path: Path) -> None:
    features = make_layers(cfgs["E"])
    state = {f"features.{k}": v for k, v in features.state_dict().items()} | {"classifier.0.weight": torch.zeros(2, 2)}
    torch.save(state, tmp_path / "vgg19.pth")
    assert "torchvision" in convert_published(tmp_path / "vgg19.pth", tmp_path / "vgg19.safetensors")
    x = torch.rand(1, 3, 32, 32)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (x - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)
    for module in features[:21]:  # to relu4_1
        if isinstance(module, nn.Conv2d):
            module = nn.Sequential(nn.ReflectionPad2d(1), no_padding(module))
        expected = module(expected)
    torch.testing.assert_close(load_encoder(tmp_path / "vgg19.safetensors")(x), expected, rtol=1e-4, atol=1e-5)


def no_padding(conv: nn.Conv2d) -> nn.Conv2d:
    conv.padding = (0, 0)
    return conv


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        {"a": torch.zeros(1)},
        [1, 2],
        make_layers(cfgs["D"]).state_dict(),
        make_layers(cfgs["E"], batch_norm=True).state_dict(),
    ],
)
def test_convert_refuses_other_files(tmp_path: Path, content: object) -> None:
    source, target = tmp_path / "x.pth", tmp_path / "x.safetensors"
    if isinstance(content, bytes):
        source.write_bytes(content)
    else:
        torch.save(content, source)
    with pytest.raises(ValueError, match=r"x\.pth: expected vgg_normalised\.pth"):
        convert_published(source, target)
    assert not target.exists()


def test_convert_never_runs_code_from_the_file(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    (tmp_path / "x.pth").write_bytes(pickle.dumps(Hostile()))
    torch.save({0: torch.zeros(1)}, tmp_path / "numbers.pth")
    with pytest.raises(ValueError, match="found no dictionary of named tensors"):
        convert_published(tmp_path / "numbers.pth", tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="cannot be read safely"):
        convert_published(tmp_path / "x.pth", tmp_path / "x.safetensors")
    assert not (tmp_path / "ran").exists()
