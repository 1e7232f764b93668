"""Models for other runtimes: the encoder and the decoder as two ONNX graphs."""

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

OPSET = 18  # the one that torch's exporter is written in


class _EncoderGraph(nn.Module):
    """A picture to its features at each tap and its code."""

    def __init__(self, model: StyleTransfer) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = {tap: x for tap, x in self.model.encoder.features(image).items() if tap in self.model.arch.taps}
        code = self.model.code(features)
        return (*features.values(), code.mean, code.std)


class _DecoderGraph(nn.Module):
    """The content's features and code, a style's code and the strength to a picture."""

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
        own = ChannelStats(content_mean, content_std)
        wanted = strengthen(own, ChannelStats(style_mean, style_std), alpha)
        return self.model.decode(dict(zip(arch.taps, features)), arch.split(own), arch.split(wanted)).clamp(0, 1)


def export_onnx(model: StyleTransfer, folder: str | os.PathLike[str]) -> list[Path]:
    """Write `encoder.onnx` and `decoder.onnx`, each whole or not at all. Batch, height and width are free.

    - encoder: `image`, (B, 3, H, W), RGB in [0, 1], H and W multiples of 8 from 16, to the features `relu1_1` and so on
      of the model's taps and the code `mean` and `std`, (B, C, 1, 1).
    - decoder: those features and that code of a content (`content_mean`, `content_std`), the code of a style
      (`style_mean`, `style_std`, (B, C, 1, 1): one for each content; of several styles, their weighted sum) and `alpha`, a
      number, to `picture`, (B, 3, H, W).

    Args:
        model: in float32.
        folder: where to; made if need be.

    Returns:
        The two files.

    Raises:
        ModuleNotFoundError: if onnx or onnxscript is not installed.
        NotADirectoryError: if it is a file.
        ValueError: if the model is of another precision.
    """
    if any(parameter.dtype != torch.float32 for parameter in model.parameters()):
        raise ValueError("model: expected float32, got one of another precision")
    import onnxscript  # noqa: F401, what torch would complain of in more words

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
        warnings.simplefilter("ignore")  # that a name of an axis is used twice
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
