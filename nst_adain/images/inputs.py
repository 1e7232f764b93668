"""Checks the pictures that users pass in, and turns them into tensors."""

from __future__ import annotations

import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageStat
from torch import Tensor

from nst_adain.controls import Picture, check_side
from nst_adain.errors import ImageError
from nst_adain.functional import at_least_float32
from nst_adain.images.io import flatten, load_image, resize_short_side, to_srgb
from nst_adain.images.opening import OVERSHOOT, check_pixels
from nst_adain.images.tiff import StoredPixels, map_tiff

__all__ = [
    "check_scaled",
    "in_range",
    "map_picture",
    "open_picture",
    "scale_short_side",
    "scaled",
    "separated",
    "to_pixels",
    "to_tensor",
]

_BAND = 1024  # rows


def map_picture(picture: Picture, max_pixels: int) -> StoredPixels | None:
    """Map a picture that can be read in parts and so stays in its file; return None if it has to be opened.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read.
    """
    pixels = map_tiff(picture) if isinstance(picture, (str, os.PathLike)) else None
    if pixels is not None:
        check_pixels(picture, pixels.shape[-1], pixels.shape[-2], max_pixels)  # type: ignore[arg-type]
    return pixels


def open_picture(picture: Picture, name: str, max_pixels: int) -> Image.Image | Tensor:
    """Open a picture in sRGB, of mode RGB or RGBA; check a tensor, (B, 3, H, W), and clamp it to [0, 1].

    Args:
        picture: a path, a PIL image or a tensor.
        name: the argument's name, for errors.
        max_pixels: the largest picture to decode.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read.
        TypeError, ValueError: if it is not a picture.
    """
    if isinstance(picture, (str, os.PathLike)):
        return load_image(picture, max_pixels=max_pixels)
    if isinstance(picture, Image.Image):
        return to_srgb(picture, name)
    if not isinstance(picture, Tensor):
        raise TypeError(f"{name}: expected a path, a PIL image or a tensor, got {type(picture).__name__}")
    if picture.ndim != 4 or picture.shape[1] != 3 or not picture.is_floating_point() or 0 in picture.shape:
        found = f"{picture.dtype} {tuple(picture.shape)}"
        raise ValueError(f"{name}: expected a float tensor (B, 3, H, W) in [0, 1], got {found}")
    return in_range(picture, name)


def scaled(
    picture: Image.Image | Tensor, name: str, side: int | None, max_pixels: int, *, enlarge: bool
) -> Image.Image | Tensor:
    """Scale a picture to a short side of `side`, the argument called `name`; a smaller one only with `enlarge`.

    Raises:
        ImageError: if it would have more than `max_pixels`.
        ValueError: if `side` is not a number of pixels.
    """
    height, width = picture.shape[-2:] if isinstance(picture, Tensor) else picture.size[::-1]
    if side is None or (check_side(name, side) >= min(height, width) and not enlarge):
        return picture
    check_scaled(name, side, round(side * side * max(height, width) / min(height, width)), max_pixels)
    return scale_short_side(picture, side) if isinstance(picture, Tensor) else resize_short_side(picture, side)


def separated(picture: Image.Image | Tensor) -> tuple[Tensor, Image.Image | None]:
    """Separate a picture's pixels from its transparency.

    Returns:
        (1, 3, H, W) uint8, with the mean colour where it is invisible, and the alpha channel or None; a tensor unchanged.
    """
    # Half-transparent pixels keep their colour, or results would have white seams; invisible ones may hold anything.
    if isinstance(picture, Tensor):
        return picture, None
    if picture.mode != "RGBA":
        return to_pixels(picture), None
    transparency = picture.getchannel("A")
    visible = picture.convert("RGB")
    if transparency.getextrema() != (0, 0):
        mean = tuple(round(level) for level in ImageStat.Stat(visible, transparency).mean)
        visible.paste(mean, mask=transparency.point([255] + [0] * 255))
    return to_pixels(visible), transparency


def check_scaled(name: str, side: int, pixels: int, max_pixels: int) -> None:
    """Raise ImageError if a short side of `side`, the argument called `name`, makes more pixels than allowed."""
    if pixels > max_pixels:
        raise ImageError(f"{name}: {side} makes {pixels:,} pixels, more than the limit of {max_pixels:,} (max_pixels)")


def in_range(picture: Tensor, name: str) -> Tensor:
    """Clamp a tensor to [0, 1]: resizing and networks overshoot a little.

    Raises:
        ValueError: if it overshoots by more, such as levels up to 255 or normalised for another network, or holds NaN.
    """
    low, high = (float(end) for end in picture.detach().aminmax())
    if not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):
        raise ValueError(f"{name}: expected values in [0, 1], got {low:.4g} to {high:.4g}")
    return picture if low >= 0 and high <= 1 else picture.clamp(0, 1)


def scale_short_side(image: Tensor, side: int) -> Tensor:
    """Scale (B, 3, H, W) to `side` pixels on its shorter side; keep the aspect ratio."""
    scale = side / min(image.shape[-2:])
    size = [max(1, round(n * scale)) for n in image.shape[-2:]]
    return F.interpolate(at_least_float32(image), size, mode="bicubic", antialias=True).clamp(0, 1).to(image.dtype)


def to_pixels(image: Image.Image) -> Tensor:
    """Turn a picture into (1, 3, H, W) uint8, RGB, on white where it is transparent."""
    image = flatten(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _BAND):  # Pillow's own export would hold the whole picture twice
        bottom = min(top + _BAND, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def to_tensor(image: Image.Image) -> Tensor:
    """Turn a picture into (1, 3, H, W) float32, RGB in [0, 1], on white where it is transparent."""
    return to_pixels(image).float() / 255
