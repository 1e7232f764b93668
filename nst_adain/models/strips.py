"""Cuts the rows of a stage into strips, so that what passes between its layers stays in the processor's cache.

In a large picture, a layer's output takes longer to write to memory and to read again than to compute, and between the layers
of a stage there are several such. In strips, only what leaves the stage is written.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import torch
from torch import Tensor

from nst_adain.models import fused

__all__ = ["Rows", "in_strips"]

_AT_ONCE = 2**21  # values of a strip's widest layer: 4 MB in bfloat16
_FEWEST = 16  # rows of a strip: of fewer, most would be computed twice, for the strips beside it too


@dataclasses.dataclass(frozen=True)
class Rows:
    """Names some rows of a stage, from `first` to before `end`, of a `height`."""

    first: int
    end: int
    height: int

    @property
    def edges(self) -> tuple[bool, bool]:
        """Whether the stage's first row is among them, and its last."""
        return self.first == 0, bool(self.end == self.height)  # sides are tensors while `torch.jit.trace` records

    def around(self, reach: int) -> Rows:
        """Return these rows and up to `reach` on each side."""
        return Rows(max(0, self.first - reach), min(self.height, self.end + reach), self.height)

    def convolved(self) -> Rows:
        """Return the rows that a 3 x 3 convolution of these gives, if it pads only at the `edges`."""
        top, bottom = self.edges
        return Rows(self.first + int(not top), self.end - int(not bottom), self.height)

    def cut(self, x: Tensor, rows: Rows) -> Tensor:
        """Return some `rows` of a tensor that holds these, (B, C, end - first, W)."""
        return x[:, :, rows.first - self.first : rows.end - self.first]


def in_strips(
    height: int, values_per_row: int, make: Callable[[Rows], tuple[Tensor, ...]], *read: Tensor
) -> tuple[Tensor, ...]:
    """Make tensors strip by strip, or at once if they are small, or wanted with gradients or as a graph.

    Args:
        height: rows of the stage.
        values_per_row: of its widest layer, in all pictures.
        make: returns tensors of given rows, (B, C, n * rows, W') each; n is the same for all rows, and half for pooled ones.
        read: some of what `make` reads: that these are on a CPU and need no gradients decides.
    """
    strips = list(_strips(height, values_per_row)) if fused.enabled(*read) else []
    if len(strips) < 2:
        return make(Rows(0, height, height))
    parts, counted = make(strips[0]), strips[0].end
    scales = [Fraction(part.shape[2], counted) for part in parts]
    wholes = tuple(_empty(part, math.floor(height * scale)) for part, scale in zip(parts, scales))
    for rows in strips:
        for whole, part, scale in zip(wholes, parts if rows.first == 0 else make(rows), scales):
            first = int(rows.first * scale)
            whole[:, :, first : first + part.shape[2]] = part
    return wholes


def _strips(height: int, values_per_row: int) -> Iterator[Rows]:
    count = max(1, min(-(-height * values_per_row // _AT_ONCE), height // _FEWEST))
    firsts = [2 * (height * strip // (2 * count)) for strip in range(count)]  # even, for pooling
    for first, end in zip(firsts, [*firsts[1:], height]):
        yield Rows(first, end, height)


def _empty(like: Tensor, rows: int) -> Tensor:
    layout = torch.channels_last if like.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    shape = (*like.shape[:2], rows, like.shape[3])
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout)
