"""Scales pictures window by window: a window of the result is the same as if all of it had been made at once."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Kernel", "Read", "Size", "enlarged", "lanczos", "linear", "needed", "shrunk"]

Size: TypeAlias = tuple[int, int]  # height and width
# Reads a window, given its rows and columns: (B, C, rows, columns) in float.
Read: TypeAlias = Callable[[range, range], Tensor]
# Turns distances between an output and its inputs into weights.
Kernel: TypeAlias = Callable[[Tensor], Tensor]


def linear(x: Tensor) -> Tensor:
    """Weigh inputs at distances up to 1: neither rings nor overshoots."""
    return (1 - x.abs()).clamp_min(0)


def lanczos(x: Tensor) -> Tensor:
    """Weigh inputs at distances up to 3, as Pillow's LANCZOS does: the sharpest."""
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), 0.0)


_REACH: dict[Kernel, int] = {linear: 1, lanczos: 3}  # where a kernel ends


def needed(before: int, after: int, wanted: range, kernel: Kernel = linear) -> range:
    """Return the inputs of a line of `before` values on which the `wanted` outputs of `after` depend."""
    reach = _REACH[kernel] * max(1.0, before / after)
    first, last = (float(_place(before, after, torch.tensor(output))) for output in (wanted.start, wanted.stop - 1))
    return range(max(0, math.floor(first - reach) + 1), min(before, math.ceil(last + reach)))


def _place(before: int, after: int, outputs: Tensor) -> Tensor:
    """Return where outputs lie among the inputs; beyond the edges, the edge repeats."""
    return ((outputs.double() + 0.5) * (before / after) - 0.5).clamp(0, before - 1)


def enlarged(read: Read, before: Size, after: Size, rows: range, columns: range) -> Tensor:
    """Enlarge a picture linearly.

    Args:
        read: reads a window of the picture.
        before: its size.
        after: the size to which it is scaled, on no side smaller.
        rows, columns: the window of the result.

    Returns:
        (B, C, rows, columns).
    """
    lines, places = [], []
    for old, new, wanted in zip(before, after, (rows, columns)):
        line = needed(old, new, wanted)
        within = _place(old, new, torch.arange(wanted.start, wanted.stop)) - line.start
        lines.append(line)
        places.append(((2 * within + 1) / len(line) - 1).float())  # as `grid_sample` counts, from -1 to 1
    window = read(*lines)
    grid = torch.stack(torch.meshgrid(*places, indexing="ij")[::-1], -1).to(window.device)
    return F.grid_sample(window, grid.expand(len(window), -1, -1, -1), align_corners=False)


def shrunk(read: Read, before: Size, after: Size, rows: range, columns: range, kernel: Kernel = linear) -> Tensor:
    """Reduce a picture; arguments and result as for `enlarged`, with the kernel, widened as the scale asks against aliasing."""
    lines = [needed(old, new, wanted, kernel) for old, new, wanted in zip(before, after, (rows, columns))]
    window = read(*lines).contiguous()
    vertical, horizontal = (
        _matrix(old, new, wanted, line, kernel, window.dtype).to(window.device)
        for old, new, wanted, line in zip(before, after, (rows, columns), lines)
    )
    return (vertical @ window) @ horizontal.T


@functools.lru_cache(maxsize=32)  # tiles of one column need the same
def _matrix(before: int, after: int, wanted: range, inputs: range, kernel: Kernel, dtype: torch.dtype) -> Tensor:
    """Return the weight of each of the inputs in each wanted output, (wanted, inputs)."""
    places = _place(before, after, torch.arange(wanted.start, wanted.stop))
    apart = torch.arange(inputs.start, inputs.stop, dtype=torch.float64) - places[:, None]
    weights = kernel(apart / max(1.0, before / after))
    return (weights / weights.sum(1, keepdim=True)).to(dtype)
