"""Contents: read, cut up into tiles if they are large, and kept for many renderings."""

from __future__ import annotations

import dataclasses
import math
from typing import Generic, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nst_adain.controls import Picture, Tiling
from nst_adain.functional import ChannelStats
from nst_adain.images.inputs import read_picture
from nst_adain.images.tiff import Pixels
from nst_adain.rendering.tiling import as_float, auto_side, whole

__all__ = ["EncodedContent", "Result", "check_out", "opacity", "open_content", "thinned"]

Result = TypeVar("Result", Image.Image, Tensor)  # what a content becomes: tensors stay tensors

_AT_ONCE = 2048 * 2048  # pixels


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedContent(Generic[Result]):
    """A content picture, read once to be stylised many times. Made by `Stylizer.encode_content`, kept by the caller.

    Its parameter is the type of what a `Stylizer` makes of it: a PIL image, or a tensor if it was one.

    Attributes:
        pixels: (B, 3, H, W), uint8, or a copy of the float tensor that was given.
        features: (B, C_k, H_k, W_k) for each tap of the model; None for a picture that is rendered in tiles.
        stats: the statistics of the features.
        tile: side of the tiles, or None.
        transparency: the picture's alpha channel, given back to the output, or None.
    """

    pixels: Tensor
    features: dict[str, Tensor] | None
    stats: ChannelStats
    tile: int | None
    transparency: Image.Image | None


def open_content(
    content: Picture, size: int | None, tile: Tiling, max_pixels: int, *, kept: bool = False
) -> tuple[Pixels, int | None, Image.Image | None]:
    """A content's pixels, the side of its tiles, and its transparency. `kept`: for longer than a call."""

    def side_of(pixels: Pixels) -> int | None:
        return auto_side(pixels) if tile == "auto" else tile

    # What is rendered at once, or kept, is read at once: its file may be changed later.
    pixels, transparency = read_picture(
        content, "content", size, max_pixels, enlarge=True, stored=lambda pixels: not kept and side_of(pixels) is not None
    )
    return pixels, side_of(pixels), transparency


def opacity(transparency: Image.Image | None) -> Tensor | None:
    """How much each pixel of a picture counts, (1, 1, H, W) uint8; None: all alike, as where all are invisible."""
    if transparency is None or transparency.getextrema() in ((255, 255), (0, 0)):
        return None
    return torch.from_numpy(np.array(transparency))[None, None]


def thinned(pixels: Pixels) -> Tensor:
    """(B, C, h, w) in [0, 1], of a large picture one pixel of each block of a grid: enough for its colours.

    Which one is drawn, always alike: one place in all would see a single colour of stripes, screens and dithering.
    """
    height, width = pixels.shape[-2:]
    step = math.isqrt(height * width) // 512
    if step > 1:
        draw = torch.Generator().manual_seed(0)
        rows, columns = (torch.arange(0, side, step) for side in (height, width))
        y, x = (torch.randint(step, (len(rows), len(columns)), generator=draw) for _ in range(2))
        y, x = (rows[:, None] + y).clamp_max(height - 1), (columns + x).clamp_max(width - 1)
        read = []
        count = max(1, _AT_ONCE // (step * width))  # of a file no more than this many rows of blocks at once
        for first in range(0, len(rows), count):
            some, top, bottom = slice(first, first + count), first * step, (first + count) * step
            read.append(pixels[..., top:bottom, :][..., y[some] - top, x[some]])
        pixels = torch.cat(read, -2)
    return as_float(pixels, whole(pixels), torch.device("cpu"))


def check_out(out: Pixels, pixels: Pixels, side: int | None, transparency: Image.Image | None) -> None:
    """Raise TypeError or ValueError unless `out` can receive what becomes of a content."""
    if not isinstance(out, Pixels):
        raise TypeError(f"out: expected a tensor, such as torch.from_numpy makes of an array, got {type(out).__name__}")
    wanted, found = tuple(pixels.shape), tuple(out.shape)
    if found != wanted or not (out.dtype == torch.uint8 or out.dtype.is_floating_point):
        raise ValueError(f"out: expected a uint8 or float tensor of the shape {wanted}, got {out.dtype} {found}")
    if side is not None and isinstance(out, Tensor) and isinstance(pixels, Tensor) and _overlap(out, pixels):
        raise ValueError("out: expected other memory than the content's, which is read until the last tile")
    if transparency is not None:
        raise ValueError("out: expected a content without transparency, which it has no place for")


def _overlap(one: Tensor, other: Tensor) -> bool:
    (start, end), (first, last) = _memory(one), _memory(other)
    return one.device == other.device and start < last and first < end


def _memory(tensor: Tensor) -> tuple[int, int]:
    """Where a tensor's first byte is, and its last."""
    span = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride()))
    return tensor.data_ptr(), tensor.data_ptr() + (span + 1) * tensor.element_size()
