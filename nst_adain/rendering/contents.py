"""Holds a picture to render (its pixels, tiles and opacity), and one that is encoded for many renderings."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nst_adain.controls import Kind
from nst_adain.functional import ChannelStats
from nst_adain.images.tiff import Pixels
from nst_adain.models.networks import StyleTransfer
from nst_adain.rendering.color import match_color
from nst_adain.rendering.tiling import Readable, Tile, as_float, auto_side, halo, tiles, whole

__all__ = ["Content", "EncodedContent", "Result", "check_count", "check_out", "recolored", "subsampled"]

# The type of a result: a tensor for a tensor, an array for an array, else a picture.
Result = TypeVar("Result", Image.Image, Tensor, NDArray[Any])

_AT_ONCE = 2048 * 2048  # pixels
_THUMBNAIL = 160  # pixels of the long side


@dataclasses.dataclass(frozen=True, eq=False)
class Content:
    """Holds a picture to measure or render.

    Attributes:
        pixels: (B, 3, H, W), uint8 or float in [0, 1].
        side: the side of its tiles in pixels; None: the whole picture is one tile.
        transparency: its alpha channel, or None.
        features: (B, C_k, H_k, W_k) for each tap of the model, if it is one tile and already encoded; else None.
        coarser: the same picture at the size from which its result is brought up; None: it is rendered as it is.
        margin: pixels round each tile to render with it.
        kind: what it was handed in as.
    """

    pixels: Readable
    side: int | None
    transparency: Image.Image | None = None
    features: Mapping[str, Tensor] | None = None
    coarser: Content | None = None
    margin: int = 0
    kind: Kind = "picture"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, (H, W)."""
        height, width = self.pixels.shape[-2:]
        return height, width

    @property
    def coarsest(self) -> Content:
        """The picture at the size at which it gets its look."""
        return self if self.coarser is None else self.coarser.coarsest

    @property
    def opacity(self) -> Tensor | None:
        """How much each pixel counts, (1, 1, H, W) uint8; None: all count alike, also if all are invisible."""
        if self.transparency is None or self.transparency.getextrema() in ((255, 255), (0, 0)):
            return None
        return torch.from_numpy(np.array(self.transparency))[None, None]

    @property
    def colors(self) -> tuple[Tensor, Tensor | None]:
        """A sample of its pixels for matching colours, and how much each counts: both (B, C, h, w) in [0, 1]."""
        opacity = self.opacity
        return subsampled(self.pixels), None if opacity is None else subsampled(opacity)

    def empty(self, device: torch.device) -> Tensor:
        """Return memory for a result, (B, 3, H, W): on the device unless it becomes a PIL image."""
        if isinstance(self.pixels, Tensor) and (self.kind in ("tensor", "single") or self.pixels.is_floating_point()):
            return torch.empty_like(self.pixels, device=device)
        return torch.empty(self.pixels.shape, dtype=torch.uint8, memory_format=torch.channels_last)  # as pictures are laid out

    def result(self, pixels: Tensor) -> Image.Image | Tensor | NDArray[Any]:
        """Turn a result, filled memory of `empty`, into what the content was handed in as, with its transparency."""
        if self.kind in ("tensor", "single"):
            return pixels if self.kind == "tensor" else pixels[0]
        array: NDArray[Any] = pixels[0].permute(1, 2, 0).cpu().numpy()
        if pixels.is_floating_point() or (self.kind == "array" and self.transparency is None):
            return np.ascontiguousarray(array)
        image = Image.fromarray(array)
        if self.transparency is not None:
            image.putalpha(self.transparency)
        return image if self.kind == "picture" else np.array(image)

    def tiles(self, model: StyleTransfer) -> Sequence[Tile]:
        """Cover the picture with tiles, with the surroundings that the model sees."""
        return [whole(self.pixels)] if self.side is None else list(tiles(*self.size, self.side, halo(model.arch) + self.margin))

    def encode(self, model: StyleTransfer, tile: Tile, device: torch.device) -> Mapping[str, Tensor]:
        """Return the features of a tile and its surroundings; encode them unless they are known."""
        return self.features if self.features is not None else model.encode(as_float(self.pixels, tile, device))

    def encoded(self, model: StyleTransfer, device: torch.device) -> Content:
        """Return a copy with its coarsest features on a device, unless these are in several tiles, as they may not fit."""
        if self.coarser is not None:
            return dataclasses.replace(self, coarser=self.coarser.encoded(model, device))
        if self.features is not None:
            return dataclasses.replace(self, features={tap: feature.to(device) for tap, feature in self.features.items()})
        if self.side is not None:
            return self
        return dataclasses.replace(self, features=self.encode(model, whole(self.pixels), device))


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedContent(Generic[Result]):
    """Holds a content picture that is encoded once and stylised many times. `Stylizer.encode_content` makes it.

    Its type parameter is the type of the results: a tensor or an array if the content was one, else a PIL image.

    Attributes:
        content: the picture, in memory, with its coarsest features unless these are in tiles.
        stats: the statistics of its features, those of `content.coarsest`.
    """

    content: Content
    stats: ChannelStats

    def __repr__(self) -> str:
        (height, width), made_by = self.content.size, self.stats.made_by
        return f"EncodedContent({self.content.kind} of {width} x {height}, made by {made_by})"

    def _repr_png_(self) -> bytes:
        """Show the (first) picture as a thumbnail."""
        height, width = (max(1, round(side * min(1, _THUMBNAIL / max(self.content.size)))) for side in self.content.size)
        small = F.interpolate(subsampled(self.content.pixels)[:1], (height, width), mode="area")
        levels = (small[0].permute(1, 2, 0) * 255).round().to(torch.uint8)
        image = Image.fromarray(levels.cpu().numpy())
        image.save(buffer := io.BytesIO(), "PNG")
        return buffer.getvalue()


def subsampled(pixels: Readable) -> Tensor:
    """Take one pixel from each block of a large picture, enough for its colours: (B, C, h, w) in [0, 1].

    Draws the place within each block at random, with a fixed seed: the same place in all blocks might hit only one colour of
    stripes, screens or dithering.
    """
    height, width = pixels.shape[-2:]
    step = math.isqrt(height * width) // 512
    if step > 1:
        draw = torch.Generator().manual_seed(0)
        rows, columns = (torch.arange(0, side, step) for side in (height, width))
        y, x = (torch.randint(step, (len(rows), len(columns)), generator=draw) for _ in range(2))
        y, x = (rows[:, None] + y).clamp_max(height - 1), (columns + x).clamp_max(width - 1)
        read = []
        count = max(1, _AT_ONCE // (step * width))  # rows of blocks to read from a file at once
        for first in range(0, len(rows), count):
            some, top, bottom = slice(first, first + count), first * step, (first + count) * step
            read.append(pixels[..., top:bottom, :][..., y[some] - top, x[some]])
        pixels = torch.cat(read, -2)
    return as_float(pixels, whole(pixels), torch.device("cpu"))


def recolored(style: Content, count: int, colors: tuple[Tensor, Tensor | None]) -> Content:
    """Give a style picture the `colors` of each of `count` contents.

    Raises:
        ValueError: if there are several style pictures, but not as many as contents.
    """
    cpu, opacity = torch.device("cpu"), style.opacity
    image = as_float(style.pixels, whole(style.pixels), cpu)
    if len(image) not in (1, count) and count > 1:
        raise ValueError(f"style: expected 1 or {count} pictures, got {len(image)}")
    visible = None if opacity is None else as_float(opacity, whole(opacity), cpu)
    pixels = match_color(image.expand(max(len(image), count), -1, -1, -1), colors[0], visible, colors[1])
    return Content(pixels, auto_side(pixels), style.transparency)


def check_count(style: ChannelStats, count: int) -> None:
    """Raise ValueError unless a style's code is that of one picture, or of as many as there are contents."""
    if style.mean.shape[2:] != (1, 1):
        raise ValueError(f"style: expected statistics (B, C, 1, 1), got {tuple(style.mean.shape)}; use masks for regions")
    if len(style.mean) not in (1, count):
        expected = "1 picture" if count == 1 else f"1 or {count} pictures"
        raise ValueError(f"style: expected {expected}, got {len(style.mean)}")


def check_out(out: Pixels | None, content: Content) -> None:
    """Raise TypeError or ValueError unless `out` can receive the result for a content; None is not asked to."""
    if out is None:
        return
    if not isinstance(out, Pixels):
        raise TypeError(f"out: expected a tensor, such as torch.from_numpy makes of an array, got {type(out).__name__}")
    expected, found = tuple(content.pixels.shape), tuple(out.shape)
    if found != expected or not (out.dtype == torch.uint8 or out.dtype.is_floating_point):
        raise ValueError(f"out: expected a uint8 or float tensor of the shape {expected}, got {out.dtype} {found}")
    both = (out, content.pixels)
    if content.side is not None and all(isinstance(each, Tensor) for each in both) and _overlap(*both):  # type: ignore[arg-type]
        raise ValueError("out: expected other memory than the content's, which is read until the last tile")
    if content.transparency is not None:
        raise ValueError("out: expected a content without transparency, which it has no place for")


def _overlap(one: Tensor, other: Tensor) -> bool:
    (start, end), (first, last) = _memory(one), _memory(other)
    return one.device == other.device and start < last and first < end


def _memory(tensor: Tensor) -> tuple[int, int]:
    """Return the addresses of a tensor's first byte and of the byte after its last."""
    span = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride()))
    return tensor.data_ptr(), tensor.data_ptr() + (span + 1) * tensor.element_size()
