"""Where the time of a picture goes, layer by layer, beside what the machine's convolutions can do."""

from __future__ import annotations

import statistics
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_adain.device import Precision
from nst_adain.errors import at_least
from nst_adain.models.convolution import Conv3x3
from nst_adain.models.pretrained import DEFAULT_MODEL
from nst_adain.stylizer import Stylizer
from train.measure.resources import now

__all__ = ["profile"]


@torch.no_grad()
def profile(
    model: str = DEFAULT_MODEL,
    size: int = 512,
    repeats: int = 9,
    encoder: Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
) -> None:
    """Print milliseconds and arithmetic speed of every convolution, its padding included, and of everything else.

    The arithmetic is what a direct convolution does, and so is the peak: a Winograd convolution can be above it.

    Args:
        model: a model that ships, or a .safetensors file.
        size: side of the square content picture in pixels.
        repeats: timed runs, of which medians are shown, after one that is not timed.
        encoder: full-width VGG-19, for a model that is a decoder alone.
        device: where to run.
        precision: of the model.

    Raises:
        UsageError: if `size` is below 16 or `repeats` below 1.
    """
    at_least(16, size=size)
    at_least(1, repeats=repeats)
    stylizer = Stylizer.from_pretrained(model, encoder=encoder, device=device, precision=precision)
    style, content = stylizer.encode_style(torch.rand(1, 3, size, size)), torch.rand(1, 3, size, size)
    seconds, work = _watch(stylizer)
    for _ in range(repeats + 1):
        for values in seconds.values():
            values.append(0.0)
        begun = now(stylizer.device)
        stylizer(stylizer.encode_content(content, look_size=None, tile=None), style)
        seconds["all"][-1] += now(stylizer.device) - begun
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    total = medians.pop("all")
    peak = _peak(stylizer.device, stylizer.model.encoder.get_parameter("conv1_1.weight").dtype)
    print("| layer | MFLOP | ms | share | of the peak |\n| --- | --- | --- | --- | --- |")
    for name, time_ in medians.items():
        print(
            f"| {name} | {work[name] / 1e6:.1f} | {1e3 * time_:.2f} | {time_ / total:.0%} | {work[name] / time_ / peak:.0%} |"
        )
    rest, whole = total - sum(medians.values()), sum(work.values())
    print(f"| all else | | {1e3 * rest:.2f} | {rest / total:.0%} | |")
    print(f"| a picture, its style known | {whole / 1e6:.1f} | {1e3 * total:.2f} | 100% | {whole / total / peak:.0%} |")


def _watch(stylizer: Stylizer) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Lists to whose last value a convolution adds its seconds, strip by strip, and the operations of each, by its name."""
    seconds: dict[str, list[float]] = {"all": []}
    work: dict[str, float] = {}
    started = 0.0

    def before(*_: object) -> None:
        nonlocal started
        started = now(stylizer.device)

    def after(name: str, conv: nn.Module, output: Tensor) -> None:
        seconds[name][-1] += now(stylizer.device) - started
        if len(seconds[name]) == 1:
            work[name] = work.get(name, 0.0) + 2 * conv.get_parameter("weight").numel() * output[0, 0].numel()

    for name, module in stylizer.model.named_modules():
        if isinstance(module, Conv3x3):
            seconds[name] = []
            module.register_forward_pre_hook(before)
            module.register_forward_hook(lambda conv, _, output, name=name: after(name, conv, output))
    return seconds, work


def _peak(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of a convolution that suits the machine: 256 channels at 64 x 64."""
    x = torch.rand(1, 256, 64, 64, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(256, 256, 3, 3, device=device, dtype=dtype).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(20):
        started = now(device)
        F.conv2d(x, weight, padding=1)
        times.append(now(device) - started)
    return 2 * weight.numel() * 64 * 64 / statistics.median(times)
