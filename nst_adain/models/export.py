"""Exports models to other runtimes: encoder, modulator and decoder as ONNX graphs, with alpha and boldness as inputs."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nst_adain.files import make_folder, write_atomic
from nst_adain.functional import ChannelStats, channel_stats, strengthen
from nst_adain.models.architecture import STRIDE
from nst_adain.models.graph_metadata import tensors
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.stylised import Lazy, Stylised

__all__ = ["OPSET", "export_onnx"]

OPSET = 18  # the one that torch's exporter targets


class _EncoderGraph(nn.Module):
    """Encodes a picture to its features at each tap and their statistics."""

    def __init__(self, model: StyleTransfer) -> None:
        super().__init__()
        self.encoder, self.taps = model.encoder, model.arch.taps

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        seen = self.encoder.features(image)
        features = {tap: seen[tap] for tap in self.taps}
        stats = ChannelStats.cat([channel_stats(x) for x in features.values()])
        return (*features.values(), stats.mean, stats.std)


class _Mixed(nn.Module):
    """Calls a part of a model with weights between two ends, which costs nothing per pixel."""

    def __init__(self, model: StyleTransfer, name: str) -> None:
        super().__init__()
        self.part = model.get_submodule(name)
        self.names = [key for key, _ in self.part.named_parameters() if f"{name}.{key}" in model.bold]
        for key in self.names:
            towards = model.bold[f"{name}.{key}"] - self.part.get_parameter(key).detach()
            self.register_buffer(key.replace(".", "_"), towards)

    def forward(self, boldness: Sequence[Tensor], *arguments: object) -> Any:
        if not boldness:
            return self.part(*arguments)
        weights = {key: self.part.get_parameter(key) + boldness[0] * self._towards(key) for key in self.names}
        return functional_call(self.part, weights, arguments)

    def _towards(self, key: str) -> Tensor:
        return self.get_buffer(key.replace(".", "_"))


class _ModulatorGraph(nn.Module):
    """Extends the statistics of a picture to its code."""

    def __init__(self, model: StyleTransfer) -> None:
        super().__init__()
        self.modulator = _Mixed(model, "modulator") if model.modulator is not None else None

    def forward(self, mean: Tensor, std: Tensor, *boldness: Tensor) -> tuple[Tensor, Tensor]:
        if self.modulator is None:
            return mean.clone(), std.clone()
        stats = ChannelStats(mean, std)
        code = ChannelStats.cat([stats, self.modulator(boldness, stats)])
        return code.mean, code.std


class _DecoderGraph(nn.Module):
    """Decodes a picture from the content's features and code, a style's code, the strength and the boldness."""

    def __init__(self, model: StyleTransfer) -> None:
        super().__init__()
        self.arch, self.modulated, self.decoder = model.arch, model.modulator is not None, _Mixed(model, "decoder")

    def forward(self, *given: Tensor) -> Tensor:
        taps = self.arch.taps
        features, codes = dict(zip(taps, given)), given[len(taps) :]
        content_mean, content_std, style_mean, style_std, alpha, *boldness = codes
        content_stats = ChannelStats(content_mean, content_std)
        target_stats = strengthen(content_stats, ChannelStats(style_mean, style_std), alpha)
        content, target = self.arch.split(content_stats), self.arch.split(target_stats)
        stylised = Lazy(taps, lambda tap: Stylised(features[tap], content[tap], target[tap]))
        picture: Tensor = self.decoder(boldness, stylised, target if self.modulated else None)
        return picture.clamp(0, 1)


@dataclasses.dataclass(frozen=True)
class _Graph:
    """Holds a graph to export: what computes it, an example of each input with the sides that may vary, and its outputs."""

    module: nn.Module
    inputs: Mapping[str, tuple[Tensor, Any]]
    outputs: Sequence[str]


def export_onnx(model: StyleTransfer, folder: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> list[Path]:
    """Write `encoder.onnx`, `modulator.onnx` and `decoder.onnx`, each whole or not at all. Batch, height and width may vary.

    `graph_metadata.RECIPE` says how to use them, `graph_metadata.tensors` what their inputs and outputs are. Modulator and
    decoder have an input `boldness` if the model has a bold end.

    Args:
        model: a model in float32, as it was loaded: its weights are those of boldness 0.
        folder: where to write; made if needed.
        metadata: entries that all three files get, such as `graph_metadata.metadata` returns.

    Returns:
        The three files.

    Raises:
        ModuleNotFoundError: if onnx or onnxscript is not installed.
        NotADirectoryError: if `folder` is a file.
        ValueError: if the model has another precision.
    """
    if any(parameter.dtype != torch.float32 for parameter in model.parameters()):
        raise ValueError("model: expected float32, got one of another precision")
    import onnxscript  # noqa: F401, because torch's own error for its absence is longer

    folder = Path(folder)
    make_folder(folder)
    paths = []
    for name, graph in _graphs(model.eval()).items():
        paths.append(folder / f"{name}.onnx")
        write_atomic(paths[-1], _exported(graph, tensors(model.arch), metadata or {}))
    return paths


def _graphs(model: StyleTransfer) -> dict[str, _Graph]:
    """Return the graphs of a model by name."""
    arch = model.arch
    image = torch.rand(2, 3, 8 * STRIDE, 6 * STRIDE)
    with torch.no_grad():
        *features, mean, std = _EncoderGraph(model)(image)
        code = model.extend(ChannelStats(mean, std))
    batch, rows, columns = (torch.export.Dim(name) for name in ("batch", "rows", "columns"))

    def varying(pixels: int) -> dict[int, object]:  # sides in pixels of each position
        return {0: batch, 2: STRIDE // pixels * rows, 3: STRIDE // pixels * columns}

    each: dict[int, object] = {0: batch}
    number: tuple[Tensor, Any] = (torch.tensor(0.5), {})
    bold = {"boldness": number} if model.bold else {}
    stats = {"mean": (mean, each), "std": (std, each)}
    taps = {tap: (x, varying(arch.plan.stride_of(tap))) for tap, x in zip(arch.taps, features)}
    parts = {"mean": code.mean, "std": code.std}
    codes = {f"{side}_{part}": (x, each) for side in ("content", "style") for part, x in parts.items()}
    return {
        "encoder": _Graph(_EncoderGraph(model), {"image": (image, varying(1))}, [*taps, *stats]),
        "modulator": _Graph(_ModulatorGraph(model), stats | bold, ["code_mean", "code_std"]),
        "decoder": _Graph(_DecoderGraph(model), taps | codes | {"alpha": number} | bold, ["picture"]),
    }


def _exported(graph: _Graph, told: Mapping[str, str], metadata: Mapping[str, str]) -> bytes:
    """Return a graph as a file, with what is told of its inputs and outputs."""
    import onnx

    examples, shapes = zip(*graph.inputs.values())
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that an axis name is used twice
        whole = Path(folder) / "graph.onnx"
        torch.onnx.export(
            graph.module.eval(),
            tuple(example.clone() for example in examples),  # the exporter joins inputs that are one tensor
            whole,
            input_names=[*graph.inputs],
            output_names=[*graph.outputs],
            dynamic_shapes=_by_parameter(graph.module, shapes),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        proto = onnx.load(whole)
    for value in (*proto.graph.input, *proto.graph.output):
        value.doc_string = told[value.name]
    onnx.helper.set_model_props(proto, dict(metadata))
    data: bytes = proto.SerializeToString()
    return data


def _by_parameter(module: nn.Module, shapes: Sequence[Any]) -> tuple[Any, ...]:
    """Arrange what varies as `torch.export` wants it: an entry for each parameter, a tuple for `*parameter` unless empty."""
    named = type(module).forward.__code__.co_argcount - 1
    rest = tuple(shapes[named:])
    return (*shapes[:named], rest) if rest else tuple(shapes)
