"""What a benchmark measures: the models in torch and in ONNX Runtime, and published networks, all asked alike."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nst_adain.controls import BOLDNESS
from nst_adain.device import pick_device
from nst_adain.models.export import export_onnx
from nst_adain.models.pretrained import find_weights, load_model
from nst_adain.stylizer import Stylizer
from train.measure.baselines import MicroAST, published_vgg

__all__ = ["HALF", "MICRO", "ONNX", "VGG", "Subject", "load_subject"]

VGG, MICRO = "published VGG-19", "MicroAST's layers"
ONNX, HALF = "ONNX Runtime", ", bfloat16"


@dataclasses.dataclass(frozen=True)
class Subject:
    """How a network reads a style, reads a content, and renders what it read.

    Attributes:
        code: (1, 3, H, W) to what is known of a style.
        encode: (1, 3, H, W) to what is known of a content.
        render: what `encode` and `code` gave to (1, 3, H, W).
        file_mib: MiB on disk; of the published networks, of their weights in float32.
    """

    code: Callable[[Tensor], Any]
    encode: Callable[[Tensor], Any]
    render: Callable[[Any, Any], Tensor]
    file_mib: float


def load_subject(name: str, device: str) -> Subject:
    """What is measured under a name: `VGG` or `MICRO`, perhaps with `HALF`, or "MODEL, PRECISION", or "MODEL, " and `ONNX`."""
    if name in (VGG + HALF, MICRO + HALF):
        return _autocast(load_subject(name.removesuffix(HALF), device), pick_device(device))
    if name == VGG:
        return _published_vgg(pick_device(device))
    if name == MICRO:
        return _microast(pick_device(device))
    model, runtime = name.rsplit(", ", 1)
    if runtime == ONNX:
        return _in_onnx_runtime(model)
    stylizer = Stylizer.from_pretrained(model, device=device, precision=runtime)  # type: ignore[arg-type]
    return Subject(
        stylizer.encode_style,
        lambda image: stylizer.encode_content(image, look_size=None, tile=None),
        stylizer,
        find_weights(model).stat().st_size / 2**20,
    )


def _published_vgg(device: torch.device) -> Subject:
    network = published_vgg().eval().requires_grad_(False).to(device, memory_format=torch.channels_last)

    def encode(image: Tensor) -> tuple[Any, Any]:
        features = network.encode(_prepared(image, device))
        return features, network.code(features)

    def render(encoded: tuple[Any, Any], target: Any) -> Tensor:
        features, content_stats = encoded
        return network.decode(features, network.arch.split(content_stats), network.arch.split(target))

    return Subject(lambda image: encode(image)[1], encode, render, _size(network))


def _microast(device: torch.device) -> Subject:
    network = MicroAST().eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    return Subject(
        lambda image: network.code(_prepared(image, device)),
        lambda image: network.content_encoder(_prepared(image, device))[1],
        network.decode,
        _size(network),
    )


def _prepared(image: Tensor, device: torch.device) -> Tensor:
    return image.to(device).contiguous(memory_format=torch.channels_last)


def _size(network: nn.Module) -> float:
    return sum(p.numel() * p.element_size() for p in network.parameters()) / 2**20


def _autocast(subject: Subject, device: torch.device) -> Subject:
    def cast(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            with torch.autocast(device.type, torch.bfloat16):
                return function(*arguments)

        return run

    return Subject(cast(subject.code), cast(subject.encode), cast(subject.render), subject.file_mib)


def _in_onnx_runtime(model: str) -> Subject:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        paths = export_onnx(load_model(model), folder)
        encoder, modulator, decoder = (onnxruntime.InferenceSession(path, options) for path in paths)
        size = sum(path.stat().st_size for path in paths) / 2**20
    numbers = {"alpha": np.ones((), np.float32), "boldness": np.array(BOLDNESS, np.float32)}

    def run(session: Any, given: list[Any]) -> list[Any]:
        names = [each.name for each in session.get_inputs()]
        found: list[Any] = session.run(None, dict(zip(names, given)) | {name: numbers[name] for name in names[len(given) :]})
        return found

    def encode(image: Tensor) -> list[Any]:
        *features, mean, std = run(encoder, [image.numpy()])
        return [*features, *run(modulator, [mean, std])]

    def render(encoded: list[Any], code: list[Any]) -> Tensor:
        return torch.from_numpy(run(decoder, [*encoded, *code])[0])

    return Subject(lambda image: encode(image)[-2:], encode, render, size)
