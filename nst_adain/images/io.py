"""Reads pictures of any common format as upright sRGB, and writes them."""

from __future__ import annotations

import contextlib
import io
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nst_adain.errors import ImageError, UsageError
from nst_adain.files import check_folder, write_atomic
from nst_adain.images.formats import open_image, reading
from nst_adain.images.metadata import add_to_tiff, exif_bytes, read_tags
from nst_adain.images.opening import LEVELS, MAX_PIXELS
from nst_adain.images.profiles import in_srgb
from nst_adain.images.sources import File, file_name

__all__ = [
    "LOSSY_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "check_format",
    "check_not_empty",
    "flatten",
    "load_image",
    "output_format",
    "resize_short_side",
    "save_image",
    "to_srgb",
    "turn_upright",
]

LOSSY_SUFFIXES = frozenset({".jpg", ".jpeg", ".webp"})  # these have a quality setting
WRITABLE_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}

_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF tags: bits of each channel, meaning of its levels
_ORIENTATION = 0x0112  # EXIF tag; below, what undoes each of its values
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BAND = 1 << 22  # pixels to convert at once


def load_image(path: File, *, max_pixels: int = MAX_PIXELS, name: str = "file") -> Image.Image:
    """Read a picture as its maker meant it to be seen: `open_image`, then `to_srgb`.

    Args:
        path: the file: its path, its bytes, or one that is open; its format is recognised by its content, not its name.
        max_pixels: the largest width x height to decode.
        name: what errors call a file without a path.

    Returns:
        A picture of mode "RGB", or "RGBA" if the file has transparency.

    Raises:
        FileNotFoundError: if the file does not exist.
        ImageError: if it cannot be read whole, or has more than `max_pixels`.
    """
    stored = [open_image(path, max_pixels=max_pixels, name=name)]
    levels, name = _levels(stored[0]), file_name(path, name)
    with reading(Path(name)):
        try:
            return _to_srgb(stored.pop(), levels)  # pop it, so that no name here keeps it in memory
        except _UnfitError as error:
            raise ImageError(f"{name}: {error}") from error


def to_srgb(image: Image.Image, name: str = "image", *, upright: bool = True) -> Image.Image:
    """Convert a picture to what its maker meant to be seen.

    Applies the EXIF orientation, converts an embedded colour profile to sRGB, scales (not clips) 16 bits a channel to 8, and
    turns palettes, grey, CMYK and the rest into RGB.

    Args:
        image: the picture, of any mode.
        name: the argument's name, for errors.
        upright: whether to apply the orientation.

    Returns:
        A new picture of mode "RGB", or "RGBA" if there is transparency.

    Raises:
        ValueError: if it has no pixels, or its pixels are floating point or above 16 bits, which have no agreed range.
    """
    check_not_empty(image, name)
    try:
        return _to_srgb(image.copy(), _levels(image), upright)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


class _UnfitError(ValueError):
    """Raised for pixels that cannot be shown although the file is not damaged."""


def check_not_empty(image: Image.Image, name: str) -> None:
    """Raise ValueError, whose message begins with `name`, if a picture has no pixels, which Pillow allows in memory."""
    if 0 in image.size:
        raise ValueError(f"{name}: expected a picture, got one of {image.width} x {image.height} pixels")


def turn_upright(image: Image.Image) -> Image.Image:
    """Turn and mirror a picture as its EXIF orientation says."""
    with contextlib.suppress(Exception):  # ignore damaged EXIF, as image viewers do; Pillow may raise anything for it
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
        return image if turn is None else image.transpose(turn)
    return image


def _levels(image: Image.Image) -> tuple[int, int]:
    """Return black and white of a grey picture of more than 8 bits: Pillow does not scale 12 bits, as from microscopes."""
    if LEVELS in image.info:
        black, white = image.info[LEVELS]
        return black, white
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS, (16,))[0]
    white = 2 ** (bits if 8 < bits < 16 else 16) - 1
    # Pillow does not invert negatives of more than 8 bits.
    return (white, 0) if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else (0, white)


def _to_srgb(image: Image.Image, levels: tuple[int, int], upright: bool = True) -> Image.Image:
    """Do `to_srgb`, but perhaps in place: a huge picture should not be copied at every step."""
    info = dict(image.info)
    image = turn_upright(image) if upright else image
    alpha = None
    if image.mode.startswith("I"):  # Pillow's own conversion clips at 255
        values = np.asarray(image)
        if isinstance(transparent := info.get("transparency"), int):
            alpha = Image.fromarray((values != transparent).view(np.uint8) * np.uint8(255))
        image = Image.fromarray(_to_8_bits(values, *levels))
        del values
    elif image.mode == "F":
        raise _UnfitError("expected 8 or 16 bits a channel, found floating-point pixels, which have no agreed range")
    elif image.mode in ("1", "L", "LA", "La"):  # stay grey for a grey profile
        if image.has_transparency_data:
            image = image.convert("LA")
            alpha = image.getchannel("A")
        image = image.getchannel("L") if image.mode == "LA" else image.convert("L")
    elif image.has_transparency_data and image.mode != "RGBA":
        image = image.convert("RGBA")
    elif image.mode not in ("RGB", "RGBA", "CMYK"):
        image = image.convert("RGB")
    image = in_srgb(image, info)
    if alpha is not None:
        image.putalpha(alpha)
    image.info.clear()  # the profile and orientation are applied: saving must not write them again
    return image


def _to_8_bits(values: NDArray[Any], black: int, white: int) -> NDArray[np.uint8]:
    """Scale integers (H, W) of at most 16 bits to levels from 0, for `black`, to 255, for `white`."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise _UnfitError(f"expected integer pixels of at most 16 bits, found {low} to {high}")
    levels = ((np.arange(65536) - black) / (white - black) * 255).round().clip(0, 255).astype(np.uint8)
    narrow = np.empty(values.shape, np.uint8)
    rows = max(1, _BAND // values.shape[1])
    for top in range(0, len(values), rows):  # in bands, because indexing widens its indices
        narrow[top : top + rows] = levels[values[top : top + rows]]
    return narrow


def save_image(
    image: Image.Image,
    path: str | os.PathLike[str],
    *,
    quality: int = 95,
    metadata_of: str | os.PathLike[str] | None = None,
) -> None:
    """Write a picture in the format of the path's suffix, whole or not at all.

    Args:
        image: mode "RGB" or "RGBA". JPEG has no transparency: such pictures are put on white.
        path: .png, .jpg, .jpeg, .webp, .tif or .tiff, in a folder that exists.
        quality: of JPEG and WebP, 1 to 100; 100 makes WebP lossless.
        metadata_of: a picture whose date, camera, place, author and description are copied, as far as it has them.

    Raises:
        ValueError: if the suffix or the quality is not one of these.
        FileNotFoundError: if the folder does not exist.
    """
    path = Path(path)
    kind = output_format(path)
    _check_quality(quality)
    options: dict[str, object] = {}
    if kind == "JPEG":
        image = flatten(image)
        options = {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
    elif kind == "WEBP":
        options = {"lossless": quality == 100, "quality": quality}
    elif kind == "TIFF":
        options = {"compression": "tiff_adobe_deflate"}
    elif kind == "PNG":  # for a stylised photograph, a third of the default's time, and 1 % more bytes
        options = {"compress_type": zlib.Z_RLE}
    tags = {} if metadata_of is None else read_tags(metadata_of)
    if kind != "TIFF":
        options["exif"] = exif_bytes(tags)
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **options)
    except (OSError, ValueError) as error:  # e.g. more than 65,535 pixels a side in JPEG, 16,383 in WebP
        raise ImageError(f"{path}: {image.width} x {image.height} cannot be written as {kind} ({error})") from error
    if kind == "TIFF":
        add_to_tiff(buffer, tags)
    write_atomic(path, buffer.getbuffer())


def check_format(suffix: str, quality: int) -> None:
    """Raise UsageError if pictures cannot be written in the format of this suffix, or with this quality."""
    if suffix.lower() not in WRITABLE_SUFFIXES:
        raise UsageError(f"suffix: expected one of {', '.join(WRITABLE_SUFFIXES)}, got {suffix!r}")
    _check_quality(quality)


def _check_quality(quality: int) -> None:
    if not 1 <= quality <= 100:
        raise UsageError(f"quality: expected 1 to 100, got {quality}")


def output_format(path: str | os.PathLike[str]) -> str:
    """Return Pillow's name for the format of a path's suffix; check that its folder exists.

    Raises:
        ValueError: if no format that can be written has this suffix.
        FileNotFoundError: if the folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise UsageError(f"{path}: expected a name ending in {', '.join(WRITABLE_SUFFIXES)}, got {path.suffix!r}")
    check_folder(path)
    return WRITABLE_SUFFIXES[path.suffix.lower()]


def flatten(image: Image.Image) -> Image.Image:
    """Convert a picture to RGB, on white where it is transparent."""
    if image.mode != "RGBA":
        return image if image.mode == "RGB" else image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def resize_short_side(image: Image.Image, side: int) -> Image.Image:
    """Scale a picture to `side` pixels on its shorter side; keep the aspect ratio."""
    scale = side / min(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)
