"""Graphs for ONNX Runtime give what torch gives."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import picture

from nst_adain.cli.main import main
from nst_adain.functional import blend
from nst_adain.images.inputs import to_tensor
from nst_adain.models.architecture import Architecture
from nst_adain.models.export import export_onnx
from nst_adain.models.networks import StyleTransfer
from nst_adain.stylizer import Stylizer


def sessions(paths: list[Path]) -> list[onnxruntime.InferenceSession]:
    return [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in paths]


def run(
    paths: list[Path], content: torch.Tensor, style: torch.Tensor, alpha: float, boldness: float | None = 0.4
) -> np.ndarray:
    """As the recipe in the files says, knowing only the files."""
    encoder, modulator, decoder = sessions(paths)
    bold = {} if boldness is None else {"boldness": np.array(boldness, np.float32)}
    inputs = {"alpha": np.array(alpha, np.float32)} | bold
    for side, image in (("style", style), ("content", content)):
        seen = dict(zip((o.name for o in encoder.get_outputs()), encoder.run(None, {"image": image.numpy()})))
        mean, std = modulator.run(None, {"mean": seen.pop("mean"), "std": seen.pop("std")} | bold)
        inputs |= {f"{side}_mean": mean, f"{side}_std": std} | (seen if side == "content" else {})
    return np.asarray(decoder.run(None, inputs)[0])


@pytest.fixture(scope="module")
def graphs(exported: Path) -> list[Path]:
    return [exported / "encoder.onnx", exported / "modulator.onnx", exported / "decoder.onnx"]


@pytest.mark.parametrize("size", [(1, 16, 16), (1, 64, 136), (3, 40, 24)])
@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.5])
def test_onnx_runtime_gives_the_same(slim: Stylizer, graphs: list[Path], size: tuple[int, int, int], alpha: float) -> None:
    batch, height, width = size
    content = torch.cat([to_tensor(picture(width, height, i)) for i in range(batch)])
    style = torch.cat([to_tensor(picture(width, height, i + 7)) for i in range(batch)])
    expected = slim(content, style, alpha=alpha, style_size=None)
    np.testing.assert_allclose(run(graphs, content, style, alpha), expected, atol=1e-4)


@pytest.mark.parametrize("boldness", [0.0, 0.7, 1.0])
def test_boldness_is_an_input(slim: Stylizer, graphs: list[Path], boldness: float) -> None:
    content, style = to_tensor(picture(48, 40)), to_tensor(picture(40, 48, 7))
    expected = slim(content, style, boldness=boldness, style_size=None)
    np.testing.assert_allclose(run(graphs, content, style, 1.0, boldness), expected, atol=1e-4)
    assert float((expected - slim(content, style, style_size=None)).abs().max()) > 0.02


def test_codes_can_be_mixed(slim: Stylizer, graphs: list[Path]) -> None:
    encoder, modulator, _ = sessions(graphs)
    pictures = [to_tensor(picture(64, 48, i)) for i in range(2)]
    stats = [dict(zip(("mean", "std"), encoder.run(None, {"image": x.numpy()})[-2:])) for x in pictures]
    mean, std = zip(*(modulator.run(None, each | {"boldness": np.array(0.4, np.float32)}) for each in stats))
    mixed = blend([slim.encode_style(x) for x in pictures], [0.3, 0.7])
    np.testing.assert_allclose(0.3 * mean[0] + 0.7 * mean[1], mixed.mean, atol=1e-4)
    np.testing.assert_allclose(0.3 * std[0] + 0.7 * std[1], mixed.std, atol=1e-4)


def test_a_model_in_use_is_exported_alike(slim: Stylizer, graphs: list[Path], tmp_path: Path) -> None:
    """Its frozen weights are used in another form, of which nothing may get into the files."""
    assert any(getattr(module, "transformed", None) is not None for module in slim.model.modules())
    paths = export_onnx(slim.model, tmp_path)
    assert [path.stat().st_size for path in paths] == pytest.approx([path.stat().st_size for path in graphs], rel=0.01)
    content, style = to_tensor(picture(40, 32)), to_tensor(picture(40, 32, 3))
    # Its weights are those of the default boldness already, from which its graphs go on to the bold end.
    np.testing.assert_allclose(run(paths, content, style, 0.5, 0.0), run(graphs, content, style, 0.5), atol=1e-5)


def test_a_model_without_modulation_and_with_one_tap(slim: Stylizer, tmp_path: Path) -> None:
    assert slim.model.arch.modulation  # those above have one, and several taps
    torch.manual_seed(1)
    model = StyleTransfer(Architecture("vgg19", 1 / 16, ("relu4_1",)))
    content, style = to_tensor(picture(40, 32)), to_tensor(picture(40, 32, 3))
    paths = export_onnx(model, tmp_path)
    with torch.no_grad():
        expected = model(content, style, alpha=0.5).clamp(0, 1)
    np.testing.assert_allclose(run(paths, content, style, 0.5, None), expected, atol=1e-4)


def test_the_files_say_how_to_use_them(graphs: list[Path]) -> None:
    for session in sessions(graphs):
        told = session.get_modelmeta().custom_metadata_map
        assert told["nst_adain.recipe"].startswith("1. Pictures are float32")
        assert json.loads(told["nst_adain.numbers"])["taps"]["relu3_2"] == {"channels": 128, "stride": 8}
    for path in graphs:
        graph = onnx.load(path).graph
        assert all(len(each.doc_string) > 20 for each in (*graph.input, *graph.output))


def test_failures_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert main(["export", "-o", str(tmp_path / "file")]) == 1
    assert "file: expected a folder, found a file" in capsys.readouterr().err
    (tmp_path / "file").unlink()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main(["export", "-o", str(tmp_path)]) == 1
    assert "onnxscript is missing: pip install '.[onnx]' in a checkout" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
