"""Decodes TIFF files with tifffile and imagecodecs, which report damage that Pillow and libtiff ignore.

libtiff, which Pillow uses, accepts a strip although rows are missing: these then hold what was in memory before. It prints
problems on standard error, and mixes up separate planes of 16 bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nst_adain.errors import ImageError
from nst_adain.images.opening import LEVELS, OVERSHOOT, check_pixels
from nst_adain.images.raw import check_tiff

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["read_tiff"]

# Colours by their number in the file: their name, their channels, and Pillow's mode.
_COLORS = {
    0: ("grey", 1, "L"), 1: ("grey", 1, "L"), 2: ("RGB", 3, "RGB"), 3: ("palette", 1, "P"), 5: ("CMYK", 4, "CMYK"),
    6: ("YCbCr", 3, "YCbCr"), 8: ("Lab", 3, "LAB"),
}  # fmt: skip
_WHITE_IS_ZERO, _YCBCR, _LAB = 0, 6, 8
_ALPHA = {1: ("La", "RGBa"), 2: ("LA", "RGBA")}  # modes by kind of extra sample: colours multiplied by alpha, or not
# Compressions whose decoders report damage; those of faxes skip what they cannot read.
_FAX, _JPEG, _END = (2, 3, 4), (6, 7), b"\xff\xd9"
_COMPRESSIONS = frozenset({
    1, 5, *_JPEG, 8, 32773, 32946, 34925,  # none, LZW, JPEG, deflate, PackBits, deflate, LZMA
    33003, 33004, 33005, 34712, 34926, 34927, 50000, 50001,  # JPEG 2000, Zstandard and WebP, each under several numbers
})  # fmt: skip
_ORIENTATION, _COLORMAP = 274, 320  # tags
_LARGEST_STRIP = 600_000_000  # bytes when decoded, which are held beside the picture
_MANY_STRIPS = 200_000
_MANY_LAB = 100_000_000  # pixels; Pillow converts some 16 million in a second
_BAND = 1 << 22  # values to convert at once


def read_tiff(path: Path, max_pixels: int) -> Image.Image:
    """Decode the first picture of a TIFF file as it is stored.

    Args:
        path: the file.
        max_pixels: the largest width x height to decode.

    Returns:
        A picture of 8 bits a channel, with its orientation in its EXIF data. Grey of other depths, without transparency, has
        mode "I;16" with its levels unchanged, and black and white under `LEVELS` in its `info`.

    Raises:
        ImageError: if it is of a kind that cannot be read, is too large, or lacks strips or tiles.
        Exception: anything that tifffile or imagecodecs raise for a damaged file.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        color, channels, mode = _check(path, page, max_pixels)
        alpha = _ALPHA.get(page.extrasamples[0]) if page.extrasamples and color in ("grey", "RGB") else None
        if alpha and math.prod(page.shaped[:1] + page.shaped[4:]) > channels:
            channels, mode = channels + 1, alpha[color == "RGB"]
        deep = channels == 1 and page.bitspersample != 8 and page.dtype is not None and page.dtype.kind != "f"
        pixels, white = _levels(path, page, channels, np.uint8 if color == "palette" else np.uint16 if deep else None)
        palette = _palette(page) if color == "palette" else None
        orientation, profile = page.tags.valueof(_ORIENTATION, 1), page.iccprofile
    white_is_zero = page.photometric == _WHITE_IS_ZERO
    if channels == 1 and pixels.dtype != np.uint8:
        image = Image.fromarray(pixels[..., 0])
        image.info[LEVELS] = (white, 0) if white_is_zero else (0, white)
    else:
        if white_is_zero:
            pixels[..., 0] = 255 - pixels[..., 0]
        image = _of_mode(pixels, "RGB" if page.photometric == _YCBCR and page.compression in _JPEG else mode)
    if palette is not None:
        image.putpalette(palette)
    image.getexif()[_ORIENTATION] = orientation
    if isinstance(profile, bytes):
        image.info["icc_profile"] = profile
    return image


def _check(path: Path, page: TiffPage, max_pixels: int) -> tuple[str, int, str]:
    """Return the colours of a page, one of `_COLORS`; raise ImageError if it cannot be read."""
    planes, depth, height, width, samples = page.shaped
    check_pixels(path, width, height, max_pixels)
    check_tiff(path, page)
    if page.photometric == _LAB and width * height > _MANY_LAB:
        raise ImageError(f"{path}: {width * height:,} pixels of Lab colours take too long: save it in RGB")
    if page.compression in _FAX:
        raise ImageError(f"{path}: expected a picture, found a fax (TIFF compression {page.compression}), which has no greys")
    if page.compression not in _COMPRESSIONS:
        name = getattr(page.compression, "name", "unknown")
        raise ImageError(f"{path}: expected a common compression, such as LZW, found {name} ({int(page.compression)})")
    if page.photometric not in _COLORS:
        known = ", ".join(dict.fromkeys(name for name, *_ in _COLORS.values()))
        raise ImageError(f"{path}: expected colours of {known}, found {getattr(page.photometric, 'name', page.photometric)}")
    color, channels, mode = _COLORS[page.photometric]
    if depth > 1 or planes * samples < channels or not isinstance(page.bitspersample, int):
        found = f"{planes * samples} channels of {page.bitspersample} bits, {depth} deep"
        raise ImageError(f"{path}: expected {color} of {channels} or more channels, found {found}")
    if page.dtype is None or page.dtype.kind not in "buif" or (color == "palette" and page.bitspersample > 8):
        raise ImageError(f"{path}: expected {color} of integers or floating point, found {page.dtype}")
    count = math.prod(page.chunked)
    if count > _MANY_STRIPS:
        raise ImageError(f"{path}: {count:,} strips or tiles, more than the limit of {_MANY_STRIPS:,}")
    if min(len(page.dataoffsets), len(page.databytecounts)) < count:
        raise ImageError(f"{path}: the picture is cut short: {len(page.dataoffsets)} of {count} strips or tiles are there")
    rows, columns = page.chunks[-3 if samples > 1 else -2 :][:2]
    strip = rows * columns * samples * page.dtype.itemsize
    if strip > _LARGEST_STRIP:
        raise ImageError(f"{path}: strips or tiles of {strip:,} bytes, more than the limit of {_LARGEST_STRIP:,}")
    return color, channels, mode


def _levels(path: Path, page: TiffPage, channels: int, kept: type | None) -> tuple[NDArray[Any], int]:
    """Read the first channels of a page, (H, W, C), and their white: unscaled in the type `kept`, or scaled to uint8."""
    _, _, height, width, _ = page.shaped
    assert page.dtype is not None  # by `_check`
    kind, bits = page.dtype.kind, int(page.bitspersample)
    wide = kind in "iu" and (bits > 16 or kind == "i")  # only the largest value tells their range
    dtype = page.dtype if wide else kept or np.uint8
    if wide and height * width * channels * page.dtype.itemsize > _LARGEST_STRIP:
        raise ImageError(f"{path}: {height * width:,} pixels of {bits} bits a channel take too much memory: use 8 or 16 bits")
    pixels: NDArray[Any] = np.zeros((height, width, channels), dtype)
    white = 1 if kind in "bf" else 2**bits - 1
    scale = 1.0 if wide or kept else 255 / white
    ends = [math.inf, -math.inf]
    for data, (plane, _, top, left, _), _ in _strips(path, page):
        if plane >= channels:
            break
        bottom, right = min(top + data.shape[1], height), min(left + data.shape[2], width)
        window = pixels[top:bottom, left:right, slice(plane, plane + 1) if page.planarconfig == 2 else slice(None)]
        part = data[0, : bottom - top, : right - left, : window.shape[2]]
        step = max(1, _BAND // max(1, part[0].size))
        for row in range(0, len(part), step):
            band = part[row : row + step]
            if kind == "f" or wide:
                ends = [np.minimum(ends[0], band.min()), np.maximum(ends[1], band.max())]  # NaN stays
            if scale != 1:
                band = (np.clip(band, 0, 1) if kind == "f" else band) * np.float32(scale) + np.float32(0.5)
            with np.errstate(invalid="ignore"):  # NaN is refused below
                window[row : row + step] = band
    low, high = ends
    if kind == "f" and not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):
        raise ImageError(f"{path}: expected floating-point pixels from 0 to 1, found {low:.4g} to {high:.4g}")
    if not wide:
        return pixels, white if kept else 255
    return _narrowed(path, pixels, int(low), int(high), bits if kind == "u" else -bits, bool(kept))


def _narrowed(path: Path, pixels: NDArray[Any], low: int, high: int, bits: int, keep: bool) -> tuple[NDArray[Any], int]:
    """Narrow integers above 16 bits, whose white is that of 16 bits, as some programs write, or of all their bits; and signed
    ones, `bits` below 0, whose white is their largest value if they have at most 16 bits."""
    if low >= 0 and high <= 65535:
        white = 2 ** (-bits - 1) - 1 if -16 <= bits < 0 else 65535
    elif low >= 0 and bits > 0 and high >> (bits - 8):  # else all would be black
        white = 2**bits - 1
    else:
        raise ImageError(f"{path}: expected integer pixels of at most 16 bits, found {low} to {high}")
    narrow = np.empty(pixels.shape, np.uint16 if keep else np.uint8)
    scale = min(1.0, 65535 / white) if keep else 255 / white
    for row in range(len(pixels)):
        narrow[row] = pixels[row] if scale == 1 else pixels[row] * scale + (0 if keep else 0.5)
    return narrow, min(white, 65535) if keep else 255


def _strips(path: Path, page: TiffPage) -> Iterator[tuple[Any, ...]]:
    """Yield each strip or tile decoded, its place, and its shape.

    Raises:
        ImageError: if one is missing, or cut short, which JPEG decoders ignore.
    """
    jpeg = page.compression in _JPEG
    options: dict[str, Any] = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader} if jpeg else {}
    file = page.parent.filehandle
    count = math.prod(page.chunked)
    lengths = [min(length, file.size) for length in page.databytecounts[:count]]  # this much is allocated before it is read
    read: Any = file.read_segments(page.dataoffsets[:count], lengths)
    for data, index in read:
        if data is None or (jpeg and not data.rstrip(b"\0").endswith(_END)):
            raise ImageError(f"{path}: the picture is damaged or cut short (strip or tile {index} is not whole)")
        decoded: Any = page.decode(data, index, **options)
        if decoded[0].dtype != page.dtype:
            raise ImageError(f"{path}: expected {page.dtype} pixels, found {decoded[0].dtype}")
        yield decoded


def _of_mode(pixels: NDArray[Any], mode: str) -> Image.Image:
    height, width, _ = pixels.shape
    image = Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)
    return image.convert(mode.upper()) if mode in ("La", "RGBa") else image.convert("RGB") if mode == "YCbCr" else image


def _palette(page: TiffPage) -> bytes:
    """Return the RGB of each index, from 16 bits, or from 8 as some programs write it."""
    table = np.asarray(page.tags.valueof(_COLORMAP)).reshape(3, -1)
    table = (table >> 8 if table.max() > 255 else table).astype(np.uint8)
    return bytes(table.T[:256].tobytes())
