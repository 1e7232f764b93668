"""Reads content and style pictures from files, PIL images or tensors, ready to be measured and rendered."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from nst_adain.controls import LOOK_SIZE, Picture, Tiling, check_side
from nst_adain.errors import ImageError
from nst_adain.images.inputs import kind_of, map_picture, open_picture, scaled, separated
from nst_adain.images.sources import file_name
from nst_adain.rendering.contents import Content, EncodedContent
from nst_adain.rendering.guidance import reduced, sizes_up_to
from nst_adain.rendering.resampling import Size
from nst_adain.rendering.tiling import auto_side

__all__ = ["read_content", "read_style"]


def read_content(
    content: Picture | EncodedContent[Any],
    size: int | None,
    look_size: int | None,
    tile: Tiling,
    max_pixels: int,
    *,
    kept: bool = False,
) -> Content:
    """Read a content picture.

    Args:
        content: a picture in any form, which stays unchanged; or one that is encoded.
        size: the short side to scale it to, up or down; None: keep its size.
        look_size: the short side at which it gets its look, if it is larger; None: its own.
        tile: the side of its tiles.
        max_pixels: the largest picture to decode or make.
        kept: whether it outlives the call; it is then copied into memory, because its file or tensor may change.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read.
        TypeError, ValueError: if `content` is not a picture, or a side is not a number of pixels or is too large.
    """
    if isinstance(content, EncodedContent):
        if size is not None or look_size != LOOK_SIZE or tile != "auto":
            raise ValueError("size, look_size, tile: content is already encoded; give them to encode_content")
        return content.content
    if look_size is not None:
        check_side("look_size", look_size)
    stored = map_picture(content, max_pixels) if size is None else None
    if stored is not None:
        side = auto_side(stored) if tile == "auto" else tile
        # A picture that is rendered at once is read at once; one in tiles, tile by tile.
        return _refined(Content(stored[..., :, :] if kept or side is None else stored, side), look_size)
    picture = scaled(open_picture(content, "content", max_pixels), "size", size, max_pixels, enlarge=True)
    pixels, transparency = separated(picture)
    pixels = pixels.clone() if kept and isinstance(content, Tensor) else pixels
    side = auto_side(pixels) if tile == "auto" else tile
    return _refined(Content(pixels, side, transparency, kind=kind_of(content)), look_size)


def _refined(content: Content, look_size: int | None) -> Content:
    """Add to a picture the smaller ones from which its result is brought up."""
    return content if look_size is None else _with_smaller(content, sizes_up_to(content.size, look_size))


def _with_smaller(content: Content, sizes: Sequence[Size]) -> Content:
    """Add a picture of each of these ascending sizes, reduced from the next larger."""
    if not sizes:
        return content
    *smaller, (height, width) = sizes
    transparency = content.transparency and content.transparency.resize((width, height), Image.Resampling.LANCZOS)
    coarser = Content(reduced(content.pixels, (height, width)), content.side, transparency)
    return dataclasses.replace(content, coarser=_with_smaller(coarser, smaller))


def read_style(style: Picture, style_size: int | None, max_pixels: int) -> Content:
    """Read a style picture.

    Args:
        style: like the content of `read_content`.
        style_size: the short side to which a larger one is reduced; None: keep its size.
        max_pixels: the largest picture to decode or make.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read, or the picture is invisible.
        TypeError, ValueError: if `style` is not a picture, or `style_size` is not a number of pixels or is too large.
    """
    stored = map_picture(style, max_pixels) if style_size is None else None
    if stored is not None:
        return Content(stored, auto_side(stored))
    picture = open_picture(style, "style", max_pixels)
    if not isinstance(picture, Tensor) and picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (0, 0):
        raise ImageError(f"{file_name(style, 'style')}: expected a style, found a picture that is invisible throughout")
    pixels, transparency = separated(scaled(picture, "style_size", style_size, max_pixels, enlarge=False))
    return Content(pixels, auto_side(pixels), transparency)
