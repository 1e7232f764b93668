"""The weights that a run starts from."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from nst_adain.models import Decoder, Encoder, StyleTransfer
from nst_adain.pretrained import ARCHITECTURE_KEY, compare, read_weights

__all__ = ["calibrate", "load_initial"]


@torch.no_grad()
def calibrate(model: StyleTransfer, content: Tensor, style: Tensor, *, encoder: bool, decoder: bool) -> None:
    """Scale and shift random layers so that each channel has mean 0 and deviation 1 before its ReLU on real pictures.

    Krähenbühl et al. 2016, https://arxiv.org/abs/1511.06856. The pictures are in [0, 1] and nothing normalises between
    layers: as drawn, most channels of a narrow network are negative everywhere, and after a few steps dead for ever.
    The output layer is given the mean and deviation of pictures, 0.5 and 0.25.

    Args:
        model: changed in place.
        content, style: (B, 3, H, W), RGB in [0, 1].
        encoder, decoder: which parts are random.
    """
    with _calibrating(model.encoder) if encoder else contextlib.nullcontext():
        model.encode(torch.cat([content, style]))
    features = model.encode(content)
    with _calibrating(model.decoder) if decoder else contextlib.nullcontext():
        own, target = model.code(features), model.code(model.encode(style))
        model.decode(features, model.arch.split(own), model.arch.split(target))


@contextlib.contextmanager
def _calibrating(part: Encoder | Decoder) -> Iterator[None]:
    def adjust(layer: nn.Module, _: tuple[Tensor], output: Tensor) -> Tensor:
        is_output = isinstance(part, Decoder) and layer is part.get_submodule("conv1_1")
        wanted_mean, wanted_std = (0.5, 0.25) if is_output else (0.0, 1.0)
        std, mean = torch.std_mean(output.float(), dim=(0, 2, 3))
        scale = wanted_std / std.clamp_min(1e-4)
        layer.get_parameter("weight").mul_(scale[:, None, None, None])
        bias = layer.get_parameter("bias")
        bias.copy_((bias - mean) * scale + wanted_mean)
        return (output - mean[:, None, None]) * scale[:, None, None] + wanted_mean

    handles = [part.get_submodule(name).register_forward_hook(adjust) for name in part.names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def load_initial(model: StyleTransfer, path: Path, parts: Collection[str] = ("encoder", "decoder", "modulator")) -> set[str]:
    """Fill the parts of `model` that a file has: our weights, or a full-width VGG-19 encoder.

    Args:
        model: changed in place.
        path: the file.
        parts: those to take.

    Returns:
        The parts that were taken.

    Raises:
        ValueError: if the file has tensors that do not fit, or only some of a part's.
    """
    tensors, metadata = read_weights(path)
    if ARCHITECTURE_KEY not in metadata:
        tensors = {f"encoder.{k}": v for k, v in tensors.items()}
    tensors = {key: value for key, value in tensors.items() if key.split(".")[0] in parts}
    found = {key.split(".")[0] for key in tensors}
    wanted = {key: value for key, value in model.state_dict().items() if key.split(".")[0] in found}
    if difference := compare(tensors, wanted):
        raise ValueError(f"{path}: expected weights of {model.arch}: {difference}")
    model.load_state_dict(tensors, strict=False)
    return found
