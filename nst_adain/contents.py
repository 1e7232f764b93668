"""Contents: read, cut up into tiles if they are large, and kept for many renderings."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Literal, TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nst_adain.functional import ChannelStats
from nst_adain.inputs import Picture, read_picture
from nst_adain.rendering import as_float
from nst_adain.tiling import Tile

__all__ = ["EncodedContent", "Tiling", "auto_side", "check_out", "open_content", "visible_colors", "whole"]

Tiling: TypeAlias = "int | Literal['auto'] | None"

AUTO_TILE = 1024  # side of a tile in pixels
AUTO_PIXELS = 2048 * 2048  # "auto" cuts up larger pictures: whole, this one takes 0.8 GB


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedContent:
    """A content picture, read once to be stylised many times. Made by `Stylizer.encode_content`, kept by the caller.

    Attributes:
        pixels: (B, 3, H, W), uint8, or the float tensor that was given.
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
    content: Picture, size: int | None, tile: Tiling, max_pixels: int
) -> tuple[Tensor, int | None, Image.Image | None]:
    """A content's pixels, the side of its tiles, and its transparency."""
    pixels, transparency = read_picture(content, "content", size, max_pixels, enlarge=True)
    side = auto_side(pixels) if tile == "auto" else tile
    if side is None and isinstance(content, (str, os.PathLike)):
        pixels = pixels.clone()  # of a file that is mapped into memory, and may be changed later; a large one stays there
    return pixels, side, transparency


def visible_colors(pixels: Tensor, transparency: Image.Image | None) -> Tensor:
    """The colours of a picture, (B, 3, 1 or h, n) in [0, 1]: visible pixels, of a large picture a grid of them."""
    step = max(1, math.isqrt(pixels.shape[-1] * pixels.shape[-2]) // 512)
    thinned = pixels[..., ::step, ::step]
    sample = as_float(thinned, whole(thinned), torch.device("cpu"))
    if transparency is not None:
        visible = torch.from_numpy(np.array(transparency)[::step, ::step] > 0)
        sample = sample[:, :, None, visible] if visible.any() else sample
    return sample


def check_out(out: Tensor, pixels: Tensor, transparency: Image.Image | None) -> None:
    """Raise ValueError unless `out` can receive what becomes of a content."""
    wanted, found = tuple(pixels.shape), tuple(out.shape)
    if found != wanted or not (out.dtype == torch.uint8 or out.is_floating_point()):
        raise ValueError(f"out: expected a uint8 or float tensor of the shape {wanted}, got {out.dtype} {found}")
    if out.untyped_storage().data_ptr() == pixels.untyped_storage().data_ptr():
        raise ValueError("out: expected other memory than the content's, which is read to the end")
    if transparency is not None:
        raise ValueError("out: expected a content without transparency, which it has no place for")


def auto_side(pixels: Tensor) -> int | None:
    """What "auto" means for a picture."""
    return AUTO_TILE if pixels.shape[-1] * pixels.shape[-2] > AUTO_PIXELS else None


def whole(pixels: Tensor) -> Tile:
    """The one tile of a picture that is not cut up."""
    height, width = pixels.shape[-2:]
    return Tile(0, height, 0, width, 0, height, 0, width)
