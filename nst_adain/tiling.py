"""Which tiles cover a picture, how much of their surroundings they need, and statistics over all of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from nst_adain.functional import EPS, ChannelStats
from nst_adain.models import STRIDE, TOPOLOGIES, Architecture

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

    Each 3 x 3 convolution sees one position more on each side, at 1, 2, 4 or 8 pixels a position, in the encoder and in
    the decoder; each pooling sees one position of its input more, and upsampling starts within a position.
    """
    convolutions: int = sum(count * 2**stage for stage, count in enumerate(TOPOLOGIES[arch.topology]))
    pooling = 1 + 2 + 4
    return math.ceil(2 * (convolutions + pooling) / STRIDE) * STRIDE


def tiles(height: int, width: int, side: int, surroundings: int) -> Iterator[Tile]:
    """Cover a picture with tiles of at most `side` x `side`, row by row.

    Raises:
        ValueError: if the side is no positive multiple of 8.
    """
    if not isinstance(side, int) or side < STRIDE or side % STRIDE:
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


_AT_ONCE = 2**20  # values that are widened to float64 at once, which is 8 MB: in the processor's cache


class Moments:
    """Mean and variance of the channels of many pieces: their sums and sums of squares, added up in float64.

    Of float32 features, float64 sums lose nothing that `EPS` would not hide.
    """

    def __init__(self) -> None:
        self.count: float = 0.0
        self.sums: Tensor | None = None

    def add(self, features: Tensor, weights: Tensor | None = None) -> None:
        """Count in the positions of (B, C, H, W) features, each as often as `weights`, (1, 1, H, W), says; default: once."""
        if features.device.type == "mps":  # which has no float64
            features, weights = features.cpu(), None if weights is None else weights.cpu()
        rows = max(1, _AT_ONCE // features[:, :, 0].numel())
        for top in range(0, features.shape[2], rows):
            x = features[:, :, top : top + rows].to(torch.float64, copy=True)
            share = None if weights is None else weights[:, :, top : top + rows].double()
            first = (x if share is None else x * share).sum((2, 3), keepdim=True)
            x.square_()
            second = (x if share is None else x * share).sum((2, 3), keepdim=True)
            sums = torch.stack([first, second])
            self.sums = sums if self.sums is None else self.sums + sums
            self.count += x.shape[2] * x.shape[3] if share is None else float(share.sum())

    def stats(self) -> ChannelStats:
        """What `channel_stats` would have given for all positions at once.

        Raises:
            ValueError: if nothing was added.
        """
        if self.sums is None or self.count == 0:
            raise ValueError("expected at least one piece, got none")
        mean, square = self.sums / self.count
        return ChannelStats(mean.float(), ((square - mean**2).clamp_min(0) + EPS).sqrt().float())

    @staticmethod
    def join(parts: Sequence[Moments]) -> ChannelStats:
        """The statistics of several taps as one value."""
        return ChannelStats.cat([part.stats() for part in parts])
