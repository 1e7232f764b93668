"""Rewrites published PyTorch weights as files that `nst_adain.models.pretrained` reads."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from nst_adain.files import write_atomic
from nst_adain.models.architecture import Architecture
from nst_adain.models.pretrained import save_weights
from nst_adain.tensors import LARGEST_FILE, check_file, check_finite

__all__ = ["convert_published"]

_Convolution: TypeAlias = tuple[Tensor, Tensor]  # weight and bias
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def convert_published(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> str:
    """Rewrite a published PyTorch file as .safetensors with named layers.

    Reads `vgg_normalised.pth` and `decoder.pth` of github.com/naoto0804/pytorch-AdaIN, and torchvision's `vgg19`.
    Folds the input normalisation of an encoder into conv1_1, which is exact thanks to reflection padding. A decoder only
    works with the encoder that it was trained with: the published one with vgg_normalised, not with torchvision's.

    Returns:
        A description of what was found.

    Raises:
        FileNotFoundError: if the source does not exist.
        ValueError: if it is none of the three, or its weights are not finite.
    """
    check_file(source, "published weights")
    expected = f"{source}: expected vgg_normalised.pth, decoder.pth, or torchvision's vgg19"
    convs = _convolutions(_load(source, expected), expected)
    arch = Architecture("vgg19", 1.0, ("relu4_1",))
    encoder, decoder = arch.plan.encoder_layers(1.0), arch.plan.decoder_layers(1.0)
    if _have_shapes(convs, decoder):
        tensors = {f"decoder.{name}": tensor for name, tensor in _named(decoder, convs).items()}
        check_finite(source, tensors, "weights")
        save_weights(target, arch, tensors, source=Path(source).name)
        return "decoder for the full-width VGG-19 encoder"
    if normalised := [tuple(part.shape) for part in convs[0]] == [(3, 3, 1, 1), (3,)]:
        (scale, shift), convs = (part.float() for part in convs[0]), convs[1:]
    else:  # torchvision: https://docs.pytorch.org/vision/stable/models/generated/torchvision.models.vgg19.html
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        scale, shift = torch.diag(1 / std)[:, :, None, None], -mean / std
    # Only VGG-19 has these shapes up to conv4_4: VGG-16 differs at its eighth convolution.
    if not _have_shapes(convs[: len(encoder)], encoder):
        raise ValueError(f"{expected}, found convolutions of the shapes {[tuple(weight.shape) for weight, _ in convs[:10]]}")
    tensors = _named(encoder, convs)
    weight = tensors["conv1_1.weight"]
    tensors["conv1_1.weight"] = torch.einsum("oihw,ij->ojhw", weight, scale[:, :, 0, 0]).contiguous()
    tensors["conv1_1.bias"] += weight.sum((2, 3)) @ shift
    check_finite(source, tensors, "weights")
    from safetensors.torch import save

    write_atomic(target, save(tensors, metadata={"format": "pt", "source": Path(source).name, "input": "RGB in [0, 1]"}))
    return f"VGG-19 encoder {'with its 1 x 1 input normalisation' if normalised else 'of torchvision'}"


def _load(source: str | os.PathLike[str], expected: str) -> dict[str, Tensor]:
    """Load a file's named tensors without running its code; refuse archives that unpack to more than a file may have."""
    try:
        if zipfile.is_zipfile(source):  # torch.save writes these today
            with zipfile.ZipFile(source) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            if size > LARGEST_FILE:
                raise ValueError(f"{size:,} bytes in an archive")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of its own old formats
            state = torch.load(source, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:  # on a damaged or hostile file the unpickler may raise anything
        raise ValueError(f"{expected}, found a file that cannot be read safely") from error
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()):
        raise ValueError(f"{expected}, found no dictionary of named tensors")
    return state


def _convolutions(state: Mapping[str, Tensor], expected: str) -> list[_Convolution]:
    """Collect the numbered convolutions, such as "features.0.weight" with its bias, in order."""
    state = {key.removeprefix("features."): value for key, value in state.items()}
    if any(key.endswith("running_mean") for key in state):
        raise ValueError(f"{expected}, found a network with batch normalisation")
    numbers = [int(key[: -len(".weight")]) for key in state if re.fullmatch(r"(0|[1-9][0-9]{,3})\.weight", key)]
    convs = [(state[f"{n}.weight"], state[f"{n}.bias"]) for n in sorted(numbers) if f"{n}.bias" in state]
    convs = [(weight, bias) for weight, bias in convs if weight.ndim == 4]
    if not convs:
        raise ValueError(f"{expected}, found no convolutions")
    for part in (part for conv in convs for part in conv):
        if part.dtype not in _FLOATS or part.layout != torch.strided or part.device.type != "cpu":
            raise ValueError(f"{expected}, found weights of the type {part.dtype}, {part.layout}, on {part.device}")
    return convs


def _have_shapes(convs: Sequence[_Convolution], layers: Mapping[str, tuple[int, int]]) -> bool:
    expected = [((out, below, 3, 3), (out,)) for below, out in layers.values()]
    return [(tuple(weight.shape), tuple(bias.shape)) for weight, bias in convs] == expected


def _named(layers: Mapping[str, tuple[int, int]], convs: Sequence[_Convolution]) -> dict[str, Tensor]:
    """Copy the convolutions to float32, under the names of the layers."""
    named = {}
    for name, (weight, bias) in zip(layers, convs):
        for kind, part in (("weight", weight), ("bias", bias)):
            named[f"{name}.{kind}"] = part.detach().float().clone(memory_format=torch.contiguous_format)
    return named
