"""Reads content and style pictures, whatever they are handed in as, into what is rendered and measured."""

from __future__ import annotations

import os

from torch import Tensor

from nst_adain.controls import Picture, Tiling
from nst_adain.errors import ImageError
from nst_adain.images.inputs import map_picture, open_picture, scaled, separated
from nst_adain.rendering.contents import Content
from nst_adain.rendering.tiling import auto_side

__all__ = ["read_content", "read_style"]


def read_content(content: Picture, size: int | None, tile: Tiling, max_pixels: int, *, kept: bool = False) -> Content:
    """A content picture.

    Args:
        content: a path, a PIL image or a float tensor (B, 3, H, W) in [0, 1], which stays as it is.
        size: the short side to scale it to, up or down; None: as it is.
        tile: the side of its tiles.
        max_pixels: the largest picture to decode or make.
        kept: for longer than a call, so in memory: its file may be changed later.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read.
        TypeError, ValueError: if it is no picture, or `size` no number of pixels or too many.
    """
    stored = map_picture(content, max_pixels) if size is None else None
    if stored is not None:
        side = auto_side(stored) if tile == "auto" else tile
        # What is rendered at once is read at once: of a large picture, only what a tile needs.
        return Content(stored[..., :, :] if kept or side is None else stored, side)
    picture = scaled(open_picture(content, "content", max_pixels), "size", size, max_pixels, enlarge=True)
    pixels, transparency = separated(picture)
    return Content(pixels, auto_side(pixels) if tile == "auto" else tile, transparency)


def read_style(style: Picture, style_size: int | None, max_pixels: int) -> Content:
    """A style picture.

    Args:
        style: as the content of `read_content`.
        style_size: the short side to which a larger one is reduced; None: as it is.
        max_pixels: the largest picture to decode or make.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read, or nothing is visible on it.
        TypeError, ValueError: if it is no picture, or `style_size` no number of pixels or too many.
    """
    stored = map_picture(style, max_pixels) if style_size is None else None
    if stored is not None:
        return Content(stored, auto_side(stored))
    picture = open_picture(style, "style", max_pixels)
    if not isinstance(picture, Tensor) and picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (0, 0):
        name = os.fspath(style) if isinstance(style, (str, os.PathLike)) else "style"
        raise ImageError(f"{name}: expected a style, found a picture that is invisible throughout")
    pixels, transparency = separated(scaled(picture, "style_size", style_size, max_pixels, enlarge=False))
    return Content(pixels, auto_side(pixels), transparency)
