"""Covers a picture with tiles, says how much of their surroundings they need, and reads them."""

from __future__ import annotations

import dataclasses
import itertools
import math
import numbers
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from nst_adain.models.architecture import STRIDE, Architecture
from nst_adain.streams import progress_bar

__all__ = [
    "AUTO_PIXELS",
    "AUTO_TILE",
    "Readable",
    "Tile",
    "as_float",
    "auto_side",
    "halo",
    "reported",
    "samples",
    "tiles",
    "whole",
]


class Readable(Protocol):
    """What can be read in rectangles: a tensor, a file, or a picture that is made where it is read; (B, C, H, W)."""

    @property
    def shape(self) -> torch.Size:
        """(B, C, H, W)."""

    @property
    def dtype(self) -> torch.dtype:
        """The type that reading gives: whole numbers from 0 to the type's largest (uint8 for pictures), or float in [0, 1]."""

    def __len__(self) -> int: ...
    def __getitem__(self, window: Any, /) -> Tensor: ...


@dataclasses.dataclass(frozen=True)
class Tile:
    """A rectangle of a picture, and the larger one to read for it; ends are exclusive.

    Attributes:
        top, bottom, left, right: the rectangle that this tile renders; it starts at multiples of 8.
        read_top, read_bottom, read_left, read_right: the same with its surroundings.
    """

    top: int
    bottom: int
    left: int
    right: int
    read_top: int
    read_bottom: int
    read_left: int
    read_right: int

    @staticmethod
    def of(rows: range, columns: range) -> Tile:
        """Return the tile of these rows and columns, without surroundings."""
        sides = rows.start, rows.stop, columns.start, columns.stop
        return Tile(*sides, *sides)

    def within(self, margin: int) -> Tile:
        """Return the same tile with at most `margin` pixels of its surroundings."""
        return dataclasses.replace(
            self,
            read_top=max(self.read_top, self.top - margin),
            read_bottom=min(self.read_bottom, self.bottom + margin),
            read_left=max(self.read_left, self.left - margin),
            read_right=min(self.read_right, self.right + margin),
        )

    def alone(self) -> Tile:
        """Return the same tile without its surroundings."""
        return self.within(0)

    def inside(self, stride: int) -> tuple[slice, slice]:
        """Return the rows and columns of the tile itself in the features that were read, one position every `stride` pixels.

        A tile at the end of the picture reaches to the end of its features, which may include padding.
        """
        bottom = None if self.bottom == self.read_bottom else (self.bottom - self.read_top) // stride
        right = None if self.right == self.read_right else (self.right - self.read_left) // stride
        return slice((self.top - self.read_top) // stride, bottom), slice((self.left - self.read_left) // stride, right)


def halo(arch: Architecture) -> int:
    """Count the pixels round a tile on which its output depends, rounded up to a multiple of 8.

    In the encoder and in the decoder, each 3 x 3 convolution sees one more position on each side, which is as many pixels as
    its stage's stride; each pooling sees one more position of its input, and upsampling starts within a position, as the
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
        ValueError: if the side is not a positive multiple of 8.
    """
    if not isinstance(side, numbers.Integral) or side < STRIDE or side % STRIDE:  # takes NumPy's integers too
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


def samples(height: int, width: int) -> list[Tile]:
    """Cover a quarter of a picture with squares at equal distances, without surroundings: enough for its statistics."""
    rows, columns = (
        [range(at, min(at + AUTO_TILE // 2, side)) for at in range(min(AUTO_TILE, side) // 4, side, AUTO_TILE)]
        for side in (height, width)
    )
    return [Tile.of(*window) for window in itertools.product(rows, columns)]


def reported(cover: Sequence[Tile], progress: bool | Callable[[int, int | None], object]) -> Iterable[Tile]:
    """Iterate over the tiles, showing a bar on standard error if there are several, or calling `progress` for each."""
    if callable(progress):
        return _reported_to(progress, cover)
    if not progress or len(cover) == 1:
        return cover
    bar: Iterable[Tile] = progress_bar(cover, unit="tile", shown=True)
    return bar


def _reported_to(report: Callable[[int, int | None], object], cover: Sequence[Tile]) -> Iterator[Tile]:
    for done, tile in enumerate(cover):
        report(done, len(cover))
        yield tile
    report(len(cover), len(cover))


AUTO_TILE = 1024  # side of a tile in pixels


AUTO_PIXELS = 2048 * 2048  # "auto" cuts up larger pictures: whole, this one takes 0.5 GB in bfloat16, 0.8 in float32


def auto_side(pixels: Readable) -> int | None:
    """Return the side of tiles that "auto" takes for a picture; None: render it at once."""
    return AUTO_TILE if pixels.shape[-1] * pixels.shape[-2] > AUTO_PIXELS else None


def whole(pixels: Readable) -> Tile:
    """Return the single tile of a picture that is not cut up."""
    height, width = pixels.shape[-2:]
    return Tile.of(range(height), range(width))


def as_float(pixels: Readable, tile: Tile, device: torch.device) -> Tensor:
    """Read a tile with its surroundings, (B, C, h, w) in [0, 1]."""
    window = pixels[..., tile.read_top : tile.read_bottom, tile.read_left : tile.read_right]
    # Whole numbers are widened on the device, to transfer fewer bytes; wider ones on the CPU, as not every device has float64.
    if window.is_floating_point():
        return window.float().to(device)
    return window.to(device).float() / torch.iinfo(window.dtype).max
