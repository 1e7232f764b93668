"""Rewrites published PyTorch weights as files that `nst_adain.pretrained` reads."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from nst_adain.architecture import Architecture
from nst_adain.files import write_atomic
from nst_adain.models import Decoder, Encoder, StyleTransfer
from nst_adain.pretrained import check_file, save_weights

__all__ = ["convert_published"]


def convert_published(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> str:
    """Rewrite a published PyTorch file as .safetensors with named layers.

    Reads `vgg_normalised.pth` and `decoder.pth` of github.com/naoto0804/pytorch-AdaIN, and torchvision's `vgg19`.
    The input normalisation of an encoder is folded into conv1_1, which reflection padding makes exact. A decoder works
    with the encoder that it was trained with: the published one with vgg_normalised, not with torchvision's.

    Returns:
        What was found, in words.

    Raises:
        FileNotFoundError: if there is no source.
        ValueError: if it is none of the three.
    """
    check_file(source, "published weights")
    expected = f"{source}: expected vgg_normalised.pth, decoder.pth, or torchvision's vgg19"
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)  # never runs code from the file
    except PermissionError:
        raise
    except Exception as error:  # whatever the unpickler of a damaged or hostile file raises
        raise ValueError(f"{expected}, found a file that cannot be read safely") from error
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise ValueError(f"{expected}, found no dictionary of named tensors")
    state = {k.removeprefix("features."): v.float() for k, v in state.items() if not k.startswith("classifier.")}
    if any(key.endswith("running_mean") for key in state):
        raise ValueError(f"{expected}, found a network with batch normalisation")
    layers = [key.removesuffix(".weight") for key in state if key.endswith(".weight") and state[key].ndim == 4]
    layers = [layer for layer in layers if layer.isdigit() and f"{layer}.bias" in state]
    convs = [(state[f"{layer}.weight"], state[f"{layer}.bias"]) for layer in sorted(layers, key=int)]
    shapes = [tuple(w.shape) for w, _ in convs]

    model = StyleTransfer(Architecture("vgg19", 1.0, ("relu4_1",)))
    if shapes == _shapes(model.decoder):
        tensors = _named(model.decoder.names, convs, "decoder.")
        save_weights(target, model.arch, tensors, source=Path(source).name)
        return "decoder for the full-width VGG-19 encoder"
    if shapes[:1] == [(3, 3, 1, 1)]:
        (scale, shift), convs = convs[0], convs[1:]
        found = "VGG-19 encoder with its 1 x 1 input normalisation"
    else:  # torchvision: https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.vgg19.html
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        scale, shift = torch.diag(1 / std)[:, :, None, None], -mean / std
        found = "VGG-19 encoder of torchvision"
    wanted = _shapes(model.encoder)
    # Up to conv4_4, VGG-19 alone has these shapes: VGG-16 differs at its eighth convolution.
    if [tuple(w.shape) for w, _ in convs[: len(wanted)]] != wanted:
        raise ValueError(f"{expected}, found convolutions of the shapes {shapes[:10]}")
    weight, bias = convs[0]
    convs[0] = (torch.einsum("oihw,ij->ojhw", weight, scale[:, :, 0, 0]), bias + (weight.sum((2, 3)) @ shift))
    from safetensors.torch import save

    tensors = _named(model.encoder.names, convs, "")
    write_atomic(target, save(tensors, metadata={"format": "pt", "source": Path(source).name, "input": "RGB in [0, 1]"}))
    return found


def _shapes(part: Encoder | Decoder) -> list[tuple[int, ...]]:
    return [tuple(part.get_parameter(f"{name}.weight").shape) for name in part.names]


def _named(names: list[str], convs: list[tuple[Tensor, Tensor]], prefix: str) -> dict[str, Tensor]:
    named = {}
    for name, (weight, bias) in zip(names, convs):
        named[f"{prefix}{name}.weight"], named[f"{prefix}{name}.bias"] = weight.contiguous(), bias.contiguous()
    return named
