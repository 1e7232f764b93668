"""Published weights, rewritten."""

from __future__ import annotations

import io
import math
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from samples import published_decoder
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from nst_adain.models import published
from nst_adain.models.pretrained import ENCODER_VARIABLE, load_encoder, load_model
from nst_adain.models.published import convert_published


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


def refused(source: Path, message: str = "expected") -> None:
    """A file is not converted: one line says so, which names it first."""
    target = source.with_suffix(".safetensors")
    with pytest.raises(ValueError, match=message) as error:
        convert_published(source, target)
    said = str(error.value)
    assert said.startswith(f"{source}: expected ")
    assert said.isprintable()
    assert len(said) < 1000
    assert not target.exists()


CHANGES: list[tuple[Callable[[Tensor], Tensor], str]] = [
    (lambda x: x * math.nan, "expected finite weights, found others in .*conv"),
    (lambda x: x + math.inf, "expected finite weights, found others in .*conv"),
    (lambda x: x.double() + 1e39, "expected finite weights, found others in .*conv"),
    (lambda x: x.to(torch.int8), "found weights of the type torch.int8"),
    (lambda x: x > 0, "found weights of the type torch.bool"),
    (lambda x: x.long(), "found weights of the type torch.int64"),
    (lambda x: x.to_sparse(), "torch.sparse_coo"),
    (lambda x: x.to("meta"), "on meta"),
    (lambda x: x[:-1], "found convolutions of the shapes"),
    (lambda x: x[:1], "found convolutions of the shapes"),
    (lambda x: x.new_zeros(()).expand(10**6, 10**6), "found convolutions of the shapes"),  # 4 TB, of 4 bytes in the file
]


@pytest.mark.parametrize("name", ["vgg_normalised", "decoder"])
@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_published_weights_that_are_odd_are_refused(
    tmp_path: Path, name: str, change: Callable[[Tensor], Tensor], message: str
) -> None:
    state = (published_encoder() if name == "vgg_normalised" else published_decoder()).state_dict()
    key = max(key for key in state if key.endswith(".bias"))
    torch.save(state | {key: change(state[key])}, tmp_path / f"{name}.pth")
    refused(tmp_path / f"{name}.pth", message)


def test_a_normalisation_that_overflows_is_refused(tmp_path: Path) -> None:
    state = published_encoder().state_dict()
    torch.save(state | {"0.weight": state["0.weight"] * 3e38, "2.weight": state["2.weight"] * 100}, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", r"expected finite weights, found others in conv1_1\.weight")


@pytest.mark.parametrize("name", ["\u00b2", "00", "0" * 5000, "9" * 5000, "-1", "x\n", ""])
def test_layers_are_numbered_in_plain_digits(tmp_path: Path, name: str) -> None:
    torch.save({f"{name}.weight": torch.zeros(1, 1, 1, 1), f"{name}.bias": torch.zeros(1)}, tmp_path / "x.pth")
    refused(tmp_path / "x.pth", "found no convolutions")


@pytest.mark.parametrize("name", ["quant", "superscript"])
def test_damaged_cases_are_refused(tmp_path: Path, name: str) -> None:
    case = Path(__file__).parents[1] / "cases" / f"{name}.pth"
    (tmp_path / case.name).write_bytes(case.read_bytes())
    refused(tmp_path / case.name)


def test_an_archive_that_unpacks_to_more_than_a_file_may_have_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "LARGEST_FILE", 10**6)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("was unpacked"))
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10**6 + 1))
    assert (tmp_path / "x.pth").stat().st_size < 10**4
    refused(tmp_path / "x.pth", "found a file that cannot be read safely")


def test_any_damaged_file_is_refused(tmp_path: Path) -> None:
    state = {"0.weight": torch.ones(3, 3, 1, 1), "0.bias": torch.zeros(3), "2.weight": torch.ones(64, 3, 3, 3)}
    wholes, draw = [], random.Random(0)
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save(state | {"2.bias": torch.zeros(64)}, buffer, _use_new_zipfile_serialization=zipped)
        wholes.append(buffer.getvalue())
    for _ in range(300):
        damaged = bytearray(draw.choice(wholes))
        for _ in range(draw.choice((1, 2, 5, 20))):
            at = draw.randrange(min(len(damaged), draw.choice((700, 10**6))))
            damaged[at] = draw.choice((0, 46, 255, draw.randrange(256)))
        (tmp_path / "x.pth").write_bytes(damaged[: draw.choice((None, draw.randrange(len(damaged))))])
        refused(tmp_path / "x.pth")
