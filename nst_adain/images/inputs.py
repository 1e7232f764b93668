"""Checks the pictures that users pass in, and turns them into tensors."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageStat
from torch import Tensor

from nst_adain.controls import Kind, Picture, check_side
from nst_adain.errors import ImageError
from nst_adain.functional import at_least_float32
from nst_adain.images.io import flatten, load_image, resize_short_side, to_srgb
from nst_adain.images.opening import OVERSHOOT, check_pixels
from nst_adain.images.sources import is_file
from nst_adain.images.tiff import StoredPixels, map_tiff

__all__ = [
    "check_scaled",
    "in_range",
    "kind_of",
    "map_picture",
    "open_picture",
    "scale_short_side",
    "scaled",
    "separated",
    "to_pixels",
    "to_tensor",
]

_BAND = 1024  # rows


def kind_of(picture: Picture) -> Kind:
    """Return what a picture is handed in as."""
    if isinstance(picture, Tensor):
        return "single" if picture.ndim == 3 else "tensor"
    return "array" if isinstance(picture, np.ndarray) else "picture"


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
    """Open a picture in sRGB, of mode RGB or RGBA; check a tensor or an array, and clamp it to [0, 1].

    Args:
        picture: a picture in any form.
        name: the argument's name, for errors.
        max_pixels: the largest picture to decode.

    Returns:
        A PIL image; for a tensor or a float array a tensor (B, 3, H, W), uint8 or float in [0, 1].

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read.
        TypeError, ValueError: if it is not a picture, or could be read in two ways.
    """
    if is_file(picture):
        return load_image(picture, max_pixels=max_pixels, name=name)
    if isinstance(picture, Image.Image):
        return to_srgb(picture, name)
    if isinstance(picture, np.ndarray):
        return _from_array(picture, name)
    if isinstance(picture, Tensor):
        return _from_tensor(picture, name)
    raise TypeError(f"{name}: expected a file, a PIL image, an array or a tensor, got {type(picture).__name__}")


def _from_tensor(tensor: Tensor, name: str) -> Tensor:
    """Check a tensor (B, 3, H, W) or (3, H, W), and return it as (B, 3, H, W)."""
    shape, found = tuple(tensor.shape), f"{tensor.dtype} {tuple(tensor.shape)}"
    known = tensor.is_floating_point() or tensor.dtype == torch.uint8
    if not known or len(shape) not in (3, 4) or shape[-3] != 3 or 0 in shape:
        ways = {2: "grey is tensor.expand(3, -1, -1)", 3: "(H, W, 3) is tensor.permute(2, 0, 1)",
                4: "(B, H, W, 3) is tensor.permute(0, 3, 1, 2)"}  # fmt: skip
        hint = f"; {ways[len(shape)]}" if len(shape) == 2 or (len(shape) in ways and shape[-1] == 3) else ""
        raise ValueError(f"{name}: expected a tensor (B, 3, H, W) or (3, H, W), float in [0, 1] or uint8, got {found}{hint}")
    if len(shape) == 3 and shape[-1] == 3:
        either = "tensor[None] if it is (3, H, W), tensor.permute(2, 0, 1)[None] if it is (H, W, 3)"
        raise ValueError(f"{name}: expected a tensor of one meaning, got {found}: give {either}")
    batch = tensor if len(shape) == 4 else tensor[None]
    return in_range(batch, name) if batch.is_floating_point() else batch


def _from_array(array: NDArray[Any], name: str) -> Image.Image | Tensor:
    """Check an array (H, W, 3), (H, W, 4) or (H, W), and return it as a picture, or as a tensor (1, 3, H, W) if it is float."""
    found, in_bytes = f"{array.dtype} {array.shape}", array.dtype == np.uint8
    shape = array.shape if array.ndim != 2 else (*array.shape, 1)
    if not (in_bytes or array.dtype.str[1:] in ("f2", "f4", "f8")):  # in either byte order
        raise TypeError(f"{name}: expected an array of uint8, or of float in [0, 1], got {found}; divide by its largest level")
    if len(shape) != 3 or 0 in shape or shape[-1] not in ((1, 3, 4) if in_bytes else (1, 3)):
        hint = "; (3, H, W) is np.moveaxis(array, 0, -1)" if array.ndim == 3 and shape[0] == 3 else ""
        hint = "; a list of arrays is several pictures" if array.ndim == 4 else hint
        hint = "; transparency is for uint8" if array.ndim == 3 and shape[-1] == 4 else hint
        raise ValueError(f"{name}: expected an array (H, W, 3), (H, W, 4) of uint8, or (H, W), got {found}{hint}")
    if array.ndim == 3 and shape[0] == 3:
        either = "Image.fromarray(array) if it is (H, W, 3), torch.from_numpy(array)[None] if it is (3, H, W)"
        raise ValueError(f"{name}: expected an array of one meaning, got {found}: give {either}")
    if in_bytes:
        return to_srgb(Image.fromarray(np.ascontiguousarray(array if shape[-1] > 1 else array.reshape(shape[:2]))), name)
    values = np.array(array.reshape(shape), dtype=array.dtype.newbyteorder("="))  # a copy: torch warns of read-only ones
    colors = torch.from_numpy(values).permute(2, 0, 1)[None]
    return in_range(colors if shape[-1] == 3 else colors.repeat(1, 3, 1, 1), name)


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
        hint = "; levels up to 255 are uint8, or divided by 255" if low >= 0 and 1 < high <= 255 else ""
        hint = "; from -1 to 1 it is (x + 1) / 2" if -1 - OVERSHOOT <= low < 0 and high <= 1 + OVERSHOOT else hint
        raise ValueError(f"{name}: expected values in [0, 1], got {low:.4g} to {high:.4g}{hint}")
    return picture if low >= 0 and high <= 1 else picture.clamp(0, 1)


def scale_short_side(image: Tensor, side: int) -> Tensor:
    """Scale (B, 3, H, W) to `side` pixels on its shorter side; keep the aspect ratio."""
    if image.dtype == torch.uint8:
        return (scale_short_side(image / 255, side) * 255).round().to(torch.uint8)
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
