from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from nst_adain.architecture import Architecture
from nst_adain.functional import ChannelStats
from nst_adain.models import StyleTransfer
from nst_adain.pretrained import (
    ENCODER_VARIABLE,
    available_models,
    convert_published,
    load_encoder,
    load_model,
    read_architecture,
    read_weights,
    save_weights,
    weights_folder,
)
from nst_adain.usage import UsageError


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


def test_a_folder_is_no_file_of_weights(tmp_path: Path) -> None:
    folder = tmp_path / "f.safetensors"
    folder.mkdir()
    for read in (lambda: load_model(folder), lambda: convert_published(folder, tmp_path / "x.safetensors")):
        with pytest.raises(FileNotFoundError, match=r"expected a file of (published )?weights, found a folder"):
            read()


def test_a_decoder_alone_says_where_to_get_the_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENCODER_VARIABLE, raising=False)
    arch = Architecture("vgg19", 1 / 16, ("relu4_1",))
    tensors = {k: v for k, v in StyleTransfer(arch).state_dict().items() if k.startswith("decoder.")}
    save_weights(tmp_path / "d.safetensors", arch, tensors)
    with pytest.raises(FileNotFoundError, match=r"needs the full-width VGG-19 encoder.*vgg_normalised.*NST_ADAIN_VGG19"):
        load_model(tmp_path / "d.safetensors")
    with pytest.raises(FileNotFoundError, match="none"):
        load_model(tmp_path / "d.safetensors", encoder=tmp_path / "none")


def test_saved_weights_load_with_their_architecture(tmp_path: Path, tiny_model: StyleTransfer) -> None:
    path = tmp_path / "m.safetensors"
    save_weights(path, tiny_model.arch, tiny_model.state_dict(), steps="3")
    loaded = load_model(path)
    assert loaded.arch == tiny_model.arch
    for key, value in tiny_model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)
    assert read_weights(path)[1]["steps"] == "3"


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs users as on Unix")
def test_files_that_may_not_be_read_are_not_called_missing(tiny_model: StyleTransfer) -> None:
    stats = ChannelStats(torch.rand(1, 3, 1, 1), torch.rand(1, 3, 1, 1))
    with tempfile.TemporaryDirectory() as name:  # tmp_path lies in a folder that other users may not enter
        folder = Path(name)
        save_weights(folder / "m.safetensors", tiny_model.arch, tiny_model.state_dict())
        stats.save(folder / "s.safetensors")
        torch.save({}, folder / "p.pth")
        for path in folder.iterdir():
            path.chmod(0)
        folder.chmod(0o755)
        user = os.geteuid()
        if user == 0:  # who may read everything
            os.seteuid(65534)
        try:
            with pytest.raises(PermissionError, match=r"m\.safetensors"):
                load_model(folder / "m.safetensors")
            with pytest.raises(PermissionError, match=r"s\.safetensors"):
                ChannelStats.load(folder / "s.safetensors")
            with pytest.raises(PermissionError, match=r"p\.pth"):
                convert_published(folder / "p.pth", folder / "out.safetensors")
        finally:
            os.seteuid(user)


@torch.inference_mode()
def test_fp16_file_equals_fp32_file_within_its_tolerance(tmp_path: Path) -> None:
    model = load_model("slim")
    half = {k: v.half() for k, v in model.state_dict().items()}
    save_weights(tmp_path / "half.safetensors", model.arch, half)
    content, style = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    got = load_model(tmp_path / "half.safetensors")(content, style)
    assert (got - model(content, style)).abs().max() < 2 / 255


def test_files_that_are_not_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"garbage")
    with pytest.raises(ValueError, match=r"x\.safetensors: expected a \.safetensors file"):
        load_model(tmp_path / "x.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "y.safetensors")
    with pytest.raises(ValueError, match=r"y\.safetensors: expected weights of nst_adain"):
        load_model(tmp_path / "y.safetensors")
    with pytest.raises(ValueError, match=r"y\.safetensors: expected an encoder, of VGG-19 or of nst_adain"):
        load_encoder(tmp_path / "y.safetensors")
    with pytest.raises(UsageError, match=r"expected one of \[.*'slim'.*\] or a \.safetensors file, got 'huge'"):
        load_model("huge")


def test_missing_tensors_are_named(tmp_path: Path, tiny_model: StyleTransfer) -> None:
    tensors = tiny_model.state_dict()
    del tensors["encoder.conv2_1.bias"]
    save_weights(tmp_path / "m.safetensors", tiny_model.arch, tensors)
    with pytest.raises(ValueError, match=r"^[^\n]*m\.safetensors: expected [^\n]* encoder\.conv2_1\.bias is missing$"):
        load_model(tmp_path / "m.safetensors")


def test_an_encoder_that_does_not_fit_is_named(tmp_path: Path) -> None:
    arch = Architecture("vgg19", 1.0, ("relu4_1",))
    decoder = {k: v for k, v in StyleTransfer(arch).state_dict().items() if k.startswith("decoder.")}
    save_weights(tmp_path / "d.safetensors", arch, decoder)
    with pytest.raises(ValueError, match=r"slim\.safetensors: expected the encoder that [^\n]*: conv1_1\.weight has the shape"):
        load_model(tmp_path / "d.safetensors", encoder=weights_folder() / "slim.safetensors")
    with pytest.raises(
        ValueError, match=r"d\.safetensors: expected an encoder, of VGG-19 or of nst_adain: conv1_1\.weight is missing"
    ):
        load_model(tmp_path / "d.safetensors", encoder=tmp_path / "d.safetensors")


@pytest.mark.parametrize("name", available_models())
def test_shipped_weights_say_what_they_are(name: str) -> None:
    path = weights_folder() / f"{name}.safetensors"
    _, metadata = read_weights(path)
    assert read_architecture(path, metadata)
    for key in ("recipe", "data", "steps", "scores", "licence"):
        assert metadata[key], f"{name}: no {key} in its metadata"
    assert path.stat().st_size < {"slim": 4, "base": 10, "vgg19": 8}[name] * 2**20


def test_readme_of_the_weights_is_up_to_date() -> None:
    from train.publish import describe

    assert (weights_folder() / "README.md").read_text() == describe(weights_folder())


def test_no_shipped_tensor_is_the_teachers(teacher: Path) -> None:
    theirs: dict[str, Tensor] = load_file(teacher)
    for name in available_models():
        for key, ours in read_weights(weights_folder() / f"{name}.safetensors")[0].items():
            for other in theirs.values():
                if ours.ndim == 4 and other.shape == ours.shape:
                    similarity = torch.cosine_similarity(ours.flatten(), other.flatten(), dim=0)
                    assert similarity.abs() < 0.5, f"{name}: {key} is nearly a layer of the teacher"
