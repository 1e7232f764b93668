"""Which tiles cover a picture, how much of their surroundings they need, and statistics over all of them."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Iterator, Sequence

from torch import Tensor

from nst_adain.architecture import STRIDE, Architecture
from nst_adain.functional import EPS, ChannelStats, at_least_float32

__all__ = ["Moments", "Tile", "halo", "tiles"]


@dataclasses.dataclass(frozen=True)
class Tile:
    """A rectangle of a picture and the larger one that has to be read for it; ends are exclusive.

    Attributes:
        top, bottom, left, right: what this tile is responsible for; it starts at multiples of 8.
        read_top, read_bottom, read_left, read_right: with the surroundings.
    """

    top: int
    bottom: int
    left: int
    right: int
    read_top: int
    read_bottom: int
    read_left: int
    read_right: int

    def alone(self) -> Tile:
        """The same tile without its surroundings."""
        return dataclasses.replace(self, read_top=self.top, read_bottom=self.bottom, read_left=self.left, read_right=self.right)

    def inside(self, stride: int) -> tuple[slice, slice]:
        """Where the tile itself is, in features of what was read that have one position each `stride` pixels.

        A tile at the end of the picture reaches to the end of its features: they may hold padding, which counts.
        """
        bottom = None if self.bottom == self.read_bottom else (self.bottom - self.read_top) // stride
        right = None if self.right == self.read_right else (self.right - self.read_left) // stride
        return slice((self.top - self.read_top) // stride, bottom), slice((self.left - self.read_left) // stride, right)


def halo(arch: Architecture) -> int:
    """Pixels round a tile that its output depends on, rounded up to a multiple of 8.

    Each 3 x 3 convolution sees one position more on each side, of as many pixels as its stage's stride, in the encoder and
    in the decoder; each pooling sees one position of its input more, and upsampling starts within a position, as the
    pixels of a patch do.
    """
    plan = arch.plan
    strides = [plan.stride_of(layer) for layer in plan.layers]
    convolutions = plan.reach_of(plan.layers[-1]) + sum(stride * count for stride, count in zip(strides, plan.decoder))
    pooling, patches = sum(strides[:-1]), plan.patch - 1
    return math.ceil((convolutions + 2 * (pooling + patches)) / STRIDE) * STRIDE


def tiles(height: int, width: int, side: int, surroundings: int) -> Iterator[Tile]:
    """Cover a picture with tiles of at most `side` x `side`, row by row.

    Raises:
        ValueError: if the side is no positive multiple of 8.
    """
    if not isinstance(side, numbers.Integral) or side < STRIDE or side % STRIDE:  # NumPy's too
        raise ValueError(f"tile: expected a positive multiple of {STRIDE} pixels, got {side!r}")
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            yield Tile(
                top,
                bottom,
                left,
                right,
                max(0, top - surroundings),
                min(height, bottom + surroundings),
                max(0, left - surroundings),
                min(width, right + surroundings),
            )


_AT_ONCE = 2**19  # values that are read at once, 2 MB: they stay in the processor's cache until they are squared


class Moments:
    """Mean and variance of the channels of many pieces.

    Each strip of rows is measured in float32 about its own mean, and strips are joined in float64 (Chan et al. 1983,
    https://doi.org/10.1080/00031305.1983.10483115): nothing is lost where the mean is far from 0, as it would be from sums of
    squares, and float64 is left to a number for each channel.
    """

    def __init__(self) -> None:
        self.count: float = 0.0
        self.mean: Tensor | None = None  # (B, C, 1, 1), float64
        self.squares: Tensor | None = None  # sums of squared deviations from the mean

    def add(self, features: Tensor, weights: Tensor | None = None) -> None:
        """Count in the positions of (B, C, H, W) features, each as often as `weights`, (1, 1, H, W), says; default: once."""
        at_once = _AT_ONCE if features.device.type == "cpu" else features.numel()  # each strip would wait for a GPU
        rows = max(1, at_once // features[:, :, 0].numel())
        for top in range(0, features.shape[2], rows):
            x = at_least_float32(features[:, :, top : top + rows])
            if weights is None:
                count = float(x.shape[2] * x.shape[3])
                mean = x.mean((2, 3), keepdim=True)
                squares = (x - mean).square_().sum((2, 3), keepdim=True)
            else:
                share = weights[:, :, top : top + rows].to(x.dtype)
                count = float(share.sum())
                if count == 0:
                    continue
                mean = (x * share).sum((2, 3), keepdim=True) / count
                squares = (x - mean).square_().mul_(share).sum((2, 3), keepdim=True)
            self._join(count, mean.cpu().double(), squares.cpu().double())

    def _join(self, count: float, mean: Tensor, squares: Tensor) -> None:
        if self.mean is None or self.squares is None:
            self.count, self.mean, self.squares = count, mean, squares
            return
        total = self.count + count
        apart = mean - self.mean
        self.squares += squares + apart**2 * (self.count * count / total)
        self.mean += apart * (count / total)
        self.count = total

    def stats(self) -> ChannelStats:
        """What `channel_stats` would have given for all positions at once.

        Raises:
            ValueError: if nothing was added.
        """
        if self.mean is None or self.squares is None:
            raise ValueError("expected at least one piece, got none")
        return ChannelStats(self.mean.float(), (self.squares / self.count + EPS).sqrt().float())

    @staticmethod
    def join(parts: Sequence[Moments]) -> ChannelStats:
        """The statistics of several taps as one value."""
        return ChannelStats.cat([part.stats() for part in parts])
