"""Files of weights: finding, reading, writing, and what the shipped ones say of themselves."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nst_adain.errors import UsageError
from nst_adain.functional import ChannelStats
from nst_adain.models.architecture import Architecture
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import (
    ENCODER_VARIABLE,
    available_models,
    load_encoder,
    load_model,
    read_architecture,
    read_weights,
    save_weights,
    weights_folder,
)
from nst_adain.models.published import convert_published


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
    with pytest.raises(UsageError, match=r"expected one of \[.*'slim'.*\], a \.safetensors file or owner/name, got 'huge'"):
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
