"""Boldness: models between two ends, and every way to ask for one."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image
from samples import close

from nst_adain.batch.folder import stylize_folder
from nst_adain.cli.main import main
from nst_adain.controls import BOLDNESS
from nst_adain.device import Precision
from nst_adain.errors import UsageError
from nst_adain.functional import ChannelStats
from nst_adain.images.inputs import to_tensor
from nst_adain.models.boldness import interpolated
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import (
    BOLD,
    find_weights,
    has_bold_end,
    load_model,
    read_architecture,
    read_weights,
    save_weights,
)
from nst_adain.stylizer import Stylizer


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """slim, with a bold end that draws otherwise."""
    tensors, metadata = read_weights(find_weights("slim"))
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(BOLD)}
    draw = torch.Generator().manual_seed(0)
    bold = {
        BOLD + name: tensor + 0.3 * tensor.std() * torch.randn(tensor.shape, generator=draw)
        if tensor.ndim > 1
        else tensor + 0.02
        for name, tensor in tensors.items()
        if not name.startswith("encoder.")
    }
    path = tmp_path_factory.mktemp("weights") / "ends.safetensors"
    save_weights(path, read_architecture(path, metadata), tensors | bold)
    return path


@pytest.fixture(scope="module")
def bold(ends: Path) -> Stylizer:
    return Stylizer.from_pretrained(ends, device="cpu", precision="float32")


def test_the_ends_are_their_models(bold: Stylizer, ends: Path, tmp_path: Path) -> None:
    """As if each had been saved on its own; and a plain model is what it was before there was a bold end."""
    tensors, metadata = read_weights(ends)
    plain = {name: tensor for name, tensor in tensors.items() if not name.startswith(BOLD)}
    other = plain | {name.removeprefix(BOLD): tensor for name, tensor in tensors.items() if name.startswith(BOLD)}
    content, style = to_tensor(picture(50, 42, seed=1)), to_tensor(picture(64, 64, seed=2))
    for boldness, alone in ((0, plain), (1, other)):
        save_weights(tmp_path / "alone.safetensors", read_architecture(ends, metadata), alone)
        expected = Stylizer.from_pretrained(tmp_path / "alone.safetensors", device="cpu", precision="float32")
        close(bold(content, style, boldness=boldness), expected(content, style), 1e-5)


def test_results_change_continuously(bold: Stylizer) -> None:
    content, style = to_tensor(picture(50, 42, seed=1)), bold.encode_style(picture(64, 64, seed=2))
    steps = [bold(content, style, boldness=step / 8) for step in range(9)]
    changes = [float((a - b).abs().mean()) for a, b in zip(steps, steps[1:])]  # noqa: RUF007
    assert min(changes) > 1e-4
    assert max(changes) < float((steps[0] - steps[-1]).abs().mean())
    apart = [float((step - steps[0]).abs().mean()) for step in steps]
    assert apart == sorted(apart)


def test_the_default(bold: Stylizer, slim: Stylizer) -> None:
    content, style = picture(40, 40, seed=1), picture(40, 40, seed=2)
    np.testing.assert_array_equal(np.asarray(bold(content, style)), np.asarray(bold(content, style, boldness=BOLDNESS)))
    plain = Stylizer(interpolated(slim.model, 0.0), device="cpu", precision="float32")
    plain.boldness.bold = False
    assert plain.boldness.of(None) == 0


@pytest.mark.parametrize("boldness", [-0.1, 1.1, float("nan"), "0.5", [0.5]])
def test_limits(bold: Stylizer, boldness: object) -> None:
    with pytest.raises(UsageError, match="boldness: expected a number from 0 to 1, got"):
        bold(picture(), picture(), boldness=boldness)  # type: ignore[call-overload]


def test_without_a_bold_end(tmp_path: Path) -> None:
    tensors, metadata = read_weights(find_weights("slim"))
    path = tmp_path / "plain.safetensors"
    arch = read_architecture(path, metadata)
    save_weights(path, arch, {name: tensor for name, tensor in tensors.items() if not name.startswith(BOLD)})
    assert not has_bold_end(path)
    plain = Stylizer.from_pretrained(path, device="cpu", precision="float32")
    with pytest.raises(UsageError, match=r"boldness: expected 0, as this model has no bold end, got 0\.5"):
        plain(picture(), picture(), boldness=0.5)
    expected = np.asarray(plain(picture(seed=1), picture(seed=2)))
    np.testing.assert_array_equal(np.asarray(plain(picture(seed=1), picture(seed=2), boldness=0)), expected)


def test_saved_styles_and_encoded_contents_work_at_every_boldness(bold: Stylizer, tmp_path: Path) -> None:
    content, style = picture(50, 42, seed=1), picture(64, 64, seed=2)
    code, encoded = bold.encode_style(style), bold.encode_content(content)
    code.save(tmp_path / "style.safetensors")
    for boldness in (0.0, 0.3, 1.0):
        for controls in ({}, {"alpha": 0.5}, {"masks": [np.eye(4)]}):
            expected = np.asarray(bold(content, style, boldness=boldness, **controls), dtype=float)
            for other in (bold(content, code, boldness=boldness, **controls),
                          bold(encoded, tmp_path / "style.safetensors", boldness=boldness, **controls)):  # fmt: skip
                assert np.abs(np.asarray(other) - expected).max() <= 1
    assert isinstance(code, ChannelStats)


def test_half_precision(ends: Path, bold: Stylizer) -> None:
    half = Stylizer.from_pretrained(ends, device="cpu", precision="bfloat16")
    content, style = to_tensor(picture(50, 42, seed=1)), to_tensor(picture(64, 64, seed=2))
    for boldness in (0.4, 1.0):
        assert float((half(content, style, boldness=boldness) - bold(content, style, boldness=boldness)).abs().mean()) < 0.01


def test_mixing_leaves_the_model(ends: Path) -> None:
    model = load_model(ends)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    mixed = interpolated(model, 0.5)
    for parameter in mixed.parameters():
        parameter.data.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_model_may_be_trained_on_beside_its_stylizer(ends: Path) -> None:
    model = load_model(ends).bfloat16()
    stylizer = Stylizer(model, device="cpu", precision="float32")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    expected = np.asarray(pickle.loads(pickle.dumps(stylizer))(picture(), picture(seed=2), boldness=0.2))
    for parameter in model.parameters():
        parameter.data.zero_()
    for after in (stylizer, pickle.loads(pickle.dumps(stylizer))):
        np.testing.assert_array_equal(np.asarray(after(picture(), picture(seed=2), boldness=0.2)), expected)


@pytest.mark.parametrize("name", ["bold.encoder.conv1_1.bias", "bold.decoder.conv9_9.bias"])
def test_bold_ends_of_other_models_are_refused(ends: Path, tmp_path: Path, name: str) -> None:
    tensors, metadata = read_weights(ends)
    save_weights(tmp_path / "x.safetensors", read_architecture(ends, metadata), {**tensors, name: torch.zeros(3)})
    with pytest.raises(
        ValueError, match=r"x\.safetensors: expected a bold end of the model's decoder and modulator: .* is unknown"
    ):
        load_model(tmp_path / "x.safetensors")


def test_commands(ends: Path, bold: Stylizer, photo: Path, painting: Path, tmp_path: Path) -> None:
    model = ["--model", str(ends), "--device", "cpu", "--precision", "float32"]
    output = tmp_path / "out.png"
    assert main(["stylize", str(photo), str(painting), "--boldness", "0.25", "-o", str(output), *model]) == 0
    with Image.open(output) as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(bold(photo, painting, boldness=0.25)))
    with pytest.raises(SystemExit) as stop:
        main(["stylize", str(photo), str(painting), "--boldness", "2", "-o", str(output), *model])
    assert stop.value.code == 2


def test_batches_record_it(bold: Stylizer, tmp_path: Path, photo: Path, painting: Path) -> None:
    (tmp_path / "in").mkdir()
    photo.rename(tmp_path / "in" / "a.png")
    out = tmp_path / "out"
    stylize_folder(bold, tmp_path / "in", painting, out)
    assert json.loads((out / "batch.json").read_text())["boldness"] == BOLDNESS
    with pytest.raises(UsageError, match=r"holds pictures made with boldness 0\.4, not 0\.0"):
        stylize_folder(bold, tmp_path / "in", painting, out, controls={"boldness": 0.0})
    with pytest.raises(UsageError, match="boldness: expected a number from 0 to 1, got 3"):
        stylize_folder(bold, tmp_path / "in", painting, tmp_path / "other", controls={"boldness": 3.0})


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pickled_stylizer_gives_the_same_pictures(
    ends: Path, tiny_model: StyleTransfer, photo: Path, painting: Path, precision: Precision
) -> None:
    """At every boldness, whatever it was used for before; as for the workers of data loaders, and on other machines."""
    for stylizer in (Stylizer.from_pretrained(ends, device="cpu", precision=precision), Stylizer(tiny_model, "cpu", precision)):
        used = [0.0, 0.25] if stylizer.boldness.bold else [0.0]
        expected = [np.asarray(stylizer(photo, painting, boldness=boldness)) for boldness in [*used, None]]
        for copy in (pickle.loads(pickle.dumps(stylizer)), deepcopy(stylizer)):
            assert (copy.digest, copy.device, repr(copy)) == (stylizer.digest, stylizer.device, repr(stylizer))
            for boldness, result in zip([*used, None], expected):
                np.testing.assert_array_equal(np.asarray(copy(photo, painting, boldness=boldness)), result)
            copy(photo, stylizer.encode_style(painting))  # its codes are the other's
    with torch.no_grad():
        before = np.asarray(stylizer(photo, painting))
        tiny_model.decoder.get_parameter("conv1_1.bias").add_(1.0)  # trained on
    np.testing.assert_array_equal(np.asarray(stylizer(photo, painting)), before)
