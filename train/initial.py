"""The weights that a run starts from: random ones, scaled on pictures, and those of other runs or of the loss network."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from nst_adain.errors import UsageError
from nst_adain.models import fused
from nst_adain.models.architecture import Architecture
from nst_adain.models.convolution import Conv3x3
from nst_adain.models.networks import Decoder, Encoder, StyleTransfer
from nst_adain.models.pretrained import ARCHITECTURE_KEY, compare, compare_norms, read_architecture, read_weights
from train.config import TrainConfig
from train.data import center_crop
from train.recipe import history_of

__all__ = ["calibrate", "initialise", "keeps_encoder", "load_initial"]


def initialise(
    model: StyleTransfer, config: TrainConfig, teacher: Encoder, content: Sequence[Image.Image], style: Sequence[Image.Image]
) -> list[dict[str, Any]]:
    """Load what `init` has and, if the encoder is not trained, the teacher's; scale what is random.

    Args:
        model: changed in place.
        config: the settings.
        teacher: the loss network.
        content, style: pictures to train on, of which some serve to scale what is random.

    Returns:
        The runs that made what was loaded, oldest first.

    Raises:
        UsageError: if the encoder is neither trained nor given.
        ValueError: if a file does not hold what it should.
    """
    history: list[dict[str, Any]] = []
    known: dict[str, int] = {}
    if config.init:
        history += history_of(config.init, read_weights(config.init)[1])
        known |= load_initial(model, config.init)
    if not config.train_encoder:
        if "encoder.conv1_1" not in known:
            known |= _load_teachers_encoder(model, config, teacher)
            if keeps_encoder(model.encoder, config, teacher):
                history += history_of(config.teacher, read_weights(config.teacher)[1])
        names = model.encoder.names
        random = [n for n in names if known[f"encoder.{n}"] < model.encoder.get_submodule(n).out_channels]
        if random:
            found = f"found a narrower {random[0]}"
            raise ValueError(f"{config.init}: expected the whole encoder, which is not trained, {found}")
    count = min(32, len(content), len(style))
    crops = [torch.stack([center_crop(picture, config.crop) for picture in side[:count]]) for side in (content, style)]
    calibrate(model, crops[0].float() / 255, crops[1].float() / 255, known)
    return history


def _load_teachers_encoder(model: StyleTransfer, config: TrainConfig, teacher: Encoder) -> dict[str, int]:
    """Give a model the encoder of the loss network; returns what `load_initial` does."""
    wanted = {key: value.shape for key, value in model.encoder.state_dict().items()}
    if difference := compare(teacher.state_dict(), wanted):
        expected = "--init with an encoder, or the topology and width of the teacher, such as --topology vgg19"
        raise UsageError(f"train_encoder: to leave the encoder as it is, expected {expected}: {difference} in {config.teacher}")
    known = load_initial(model, config.teacher, ["encoder"])
    if config.init and (difference := compare_norms(config.init, model.encoder, read_weights(config.init)[1])):
        raise ValueError(f"{config.teacher}: expected the encoder that {config.init} was trained with: {difference}")
    return known


def keeps_encoder(encoder: Encoder, config: TrainConfig, teacher: Encoder) -> bool:
    """Whether the encoder is part of the weights: the full-width one of the teacher is not ours to give."""
    if config.train_encoder or (config.topology, config.width) != ("vgg19", 1):
        return True
    theirs = teacher.state_dict()
    return any(not torch.equal(value, theirs[name].to(value.device)) for name, value in encoder.state_dict().items())


@torch.no_grad()
def calibrate(model: StyleTransfer, content: Tensor, style: Tensor, known: Mapping[str, int] | None = None) -> None:
    """Scale and shift random channels so that each has mean 0 and deviation 1 before its ReLU on real pictures.

    Krähenbühl et al. 2016, https://arxiv.org/abs/1511.06856. The pictures are in [0, 1] and nothing normalises between
    layers: as drawn, most channels of a narrow network are negative everywhere, and after a few steps dead for ever.
    The output layer is given the mean and deviation of pictures, 0.5 and 0.25.

    Args:
        model: changed in place.
        content, style: (B, 3, H, W), RGB in [0, 1].
        known: how many channels of each convolution, such as "decoder.conv3_2", are not random: its first ones; none
            where it is not named.
    """
    known = known or {}
    convolutions = {name: module for name, module in model.named_modules() if isinstance(module, Conv3x3)}
    if all(known.get(name, 0) == conv.out_channels for name, conv in convolutions.items()):
        return
    with fused.disabled(), _calibrating(model.encoder, "encoder", known):
        model.encode(torch.cat([content, style]))
    features = model.encode(content)
    with fused.disabled(), _calibrating(model.decoder, "decoder", known):
        content_stats, style_stats = model.code(features), model.code(model.encode(style))
        model.decode(features, model.arch.split(content_stats), model.arch.split(style_stats))


@contextlib.contextmanager
def _calibrating(part: Encoder | Decoder, name: str, known: Mapping[str, int]) -> Iterator[None]:
    def adjuster(layer_name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
        is_output = isinstance(part, Decoder) and layer_name == "conv1_1"
        wanted_mean, wanted_std = (0.5, 0.25) if is_output else (0.0, 1.0)
        kept = known.get(f"{name}.{layer_name}", 0)

        def adjust(layer: nn.Module, _: tuple[Tensor], output: Tensor) -> Tensor:
            std, mean = torch.std_mean(output.float(), dim=(0, 2, 3))
            scale = wanted_std / std.clamp_min(1e-4)
            shift = wanted_mean - mean * scale
            scale[:kept], shift[:kept] = 1, 0
            layer.get_parameter("weight").mul_(scale[:, None, None, None])
            bias = layer.get_parameter("bias")
            bias.copy_(bias * scale + shift)
            return output * scale[:, None, None] + shift[:, None, None]

        return adjust

    handles = [part.get_submodule(layer).register_forward_hook(adjuster(layer)) for layer in part.names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def load_initial(
    model: StyleTransfer, path: Path, parts: Collection[str] = ("encoder", "decoder", "modulator")
) -> dict[str, int]:
    """Fill the parts of `model` that a file has: our weights, also of a narrower model, or a full-width VGG-19 encoder.

    A narrower model becomes the first channels of each layer, which do not see the others: at first the result is the same
    (Chen et al. 2016, https://arxiv.org/abs/1511.05641, with random channels in the place of copies, which would learn
    alike).

    Args:
        model: changed in place.
        path: the file.
        parts: those to take.

    Returns:
        How many channels of each convolution were taken, by names such as "encoder.conv1_1".

    Raises:
        ValueError: if the file has tensors that do not fit, or only some of a part's.
    """
    tensors, metadata = read_weights(path)
    ours = ARCHITECTURE_KEY in metadata
    if not ours:
        tensors = {f"encoder.{k}": v for k, v in tensors.items()}
    tensors = {key: value for key, value in tensors.items() if key.split(".")[0] in parts}
    known = {key.removesuffix(".weight"): len(value) for key, value in tensors.items() if value.dim() == 4}
    found = {key.split(".")[0] for key in tensors}
    given = read_architecture(path, metadata) if ours else model.arch
    if found == {"encoder"} and given.topology == model.arch.topology:  # which may be of any taps and modulation
        given = dataclasses.replace(given, taps=model.arch.taps, modulation=model.arch.modulation)
    narrower = _is_narrower(given, model.arch)
    shapes = (given if narrower else model.arch).shapes
    if difference := compare(tensors, {key: shape for key, shape in shapes.items() if key.split(".")[0] in found}):
        raise ValueError(f"{path}: expected weights of {model.arch}, or of a narrower one: {difference}")
    if narrower:
        new = model.state_dict()
        tensors = {key: _widen(key, old, given, new[key], model.arch) for key, old in tensors.items()}
    model.load_state_dict(tensors, strict=False)
    return known


def _is_narrower(small: Architecture, large: Architecture) -> bool:
    alike = dataclasses.replace(small, width=large.width, modulation=large.modulation) == large
    return alike and small != large and small.width <= large.width and small.modulation <= large.modulation


def _widen(key: str, old: Tensor, small: Architecture, new: Tensor, large: Architecture) -> Tensor:
    """The weights `new`, random, with `old` in them: what was there goes on as it did, and sees nothing new."""
    places = [_places(a, b) for a, b in zip(_segments(key, old, small), _segments(key, new, large))]
    new = new.clone()
    if len(places) == 1:
        new[places[0]] = old
    else:
        new[places[0]] = 0
        new[places[0][:, None], places[1]] = old
    return new


def _segments(key: str, value: Tensor, arch: Architecture) -> list[list[int]]:
    """What a weight's outputs and inputs consist of: the channels of one layer, or, in a modulator, of several."""
    segments = [[length] for length in value.shape[:2]]
    if key == "modulator.hidden.weight":
        segments[1] = 2 * arch.tap_channels
    elif key.startswith("modulator.output"):
        segments[0] = 2 * list(arch.code_channels.values())[len(arch.taps) :]
    return segments


def _places(small: Sequence[int], large: Sequence[int]) -> Tensor:
    """Where the entries of segments of the lengths `small` go among those of the lengths `large`: to the start of each."""
    starts = itertools.accumulate(large, initial=0)
    return torch.cat([start + torch.arange(length) for start, length in zip(starts, small)])
