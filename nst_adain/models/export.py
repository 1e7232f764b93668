"""Exports models to other runtimes: the encoder and the decoder as two ONNX graphs."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nst_adain.files import make_folder, write_atomic
from nst_adain.functional import ChannelStats, strengthen
from nst_adain.models.architecture import STRIDE
from nst_adain.models.networks import StyleTransfer

__all__ = ["OPSET", "export_onnx"]

OPSET = 18  # the one that torch's exporter targets


class _EncoderGraph(nn.Module):
    """Encodes a picture to its features at each tap and its code."""

    def __init__(self, model: StyleTransfer) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = {tap: x for tap, x in self.model.encoder.features(image).items() if tap in self.model.arch.taps}
        code = self.model.code(features)
        return (*features.values(), code.mean, code.std)


class _DecoderGraph(nn.Module):
    """Decodes a picture from the content's features and code, a style's code and the strength."""

    def __init__(self, model: StyleTransfer) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        features: list[Tensor],
        content_mean: Tensor,
        content_std: Tensor,
        style_mean: Tensor,
        style_std: Tensor,
        alpha: Tensor,
    ) -> Tensor:
        arch = self.model.arch
        content_stats = ChannelStats(content_mean, content_std)
        target = strengthen(content_stats, ChannelStats(style_mean, style_std), alpha)
        return self.model.decode(dict(zip(arch.taps, features)), arch.split(content_stats), arch.split(target)).clamp(0, 1)


def export_onnx(model: StyleTransfer, folder: str | os.PathLike[str]) -> list[Path]:
    """Write `encoder.onnx` and `decoder.onnx`, each whole or not at all. Batch, height and width may vary.

    - The encoder takes `image`, (B, 3, H, W), RGB in [0, 1], H and W multiples of 8 and at least 16, and returns the
      features of the model's taps, `relu1_1` and so on, and the code `mean` and `std`, (B, C, 1, 1).
    - The decoder takes a content's features and code (`content_mean`, `content_std`), a style's code (`style_mean`,
      `style_std`, (B, C, 1, 1): one for each content; to mix styles, their weighted sum) and `alpha`, a number, and
      returns `picture`, (B, 3, H, W).

    Args:
        model: a model in float32.
        folder: where to write; made if needed.

    Returns:
        The two files.

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

    model = model.eval()
    image = torch.rand(2, 3, 8 * STRIDE, 6 * STRIDE)
    taps = model.arch.taps
    with torch.no_grad():
        *features, mean, std = _EncoderGraph(model)(image)
    batch, rows, columns = (torch.export.Dim(name) for name in ("batch", "rows", "columns"))

    def sides(scale: int) -> dict[int, object]:
        return {0: batch, 2: scale * rows, 3: scale * columns}

    code = {0: batch}
    encoder, decoder = folder / "encoder.onnx", folder / "decoder.onnx"
    _write(_EncoderGraph(model), (image,), (sides(STRIDE),), ["image"], [*taps, "mean", "std"], encoder)
    arguments = (features, mean, std, mean.flip(0), std.flip(0), torch.tensor(0.5))
    shapes: tuple[Any, ...] = ([sides(STRIDE // model.arch.plan.stride_of(tap)) for tap in taps], code, code, code, code, {})
    names = [*taps, "content_mean", "content_std", "style_mean", "style_std", "alpha"]
    _write(_DecoderGraph(model), arguments, shapes, names, ["picture"], decoder)
    return [encoder, decoder]


def _write(
    graph: nn.Module, arguments: tuple[Any, ...], shapes: tuple[Any, ...], inputs: list[str], outputs: list[str], path: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that an axis name is used twice
        whole = Path(folder) / path.name
        torch.onnx.export(
            graph.eval(),
            arguments,
            whole,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        write_atomic(path, whole.read_bytes())
