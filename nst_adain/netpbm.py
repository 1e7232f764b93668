"""Decoding PBM, PGM and PPM files: https://netpbm.sourceforge.net/doc/ppm.html.

Pillow reads comments, text, and levels that do not end at 255, byte by byte, in minutes for a large file.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nst_adain.opening import LEVELS, ImageError, check_pixels

__all__ = ["STARTS", "read_netpbm"]

STARTS = tuple(f"P{kind}".encode() for kind in range(1, 7))
_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*(\d{1,9})")  # and what may stand before it
_COMMENT = re.compile(rb"#[^\r\n]*")
_LONGEST_TEXT = 64 << 20  # bytes of a file in text


def read_netpbm(path: Path, max_pixels: int) -> Image.Image:
    """Decode a file as it is stored.

    Args:
        path: the file.
        max_pixels: the largest width x height that is decoded.

    Returns:
        Mode "RGB" of 8 bits; or "L", or for other levels than 0 to 255 "I;16" with black and white under `LEVELS`.

    Raises:
        ImageError: if it is damaged, cut short, or too large.
    """
    with path.open("rb") as file:
        data = file.read()
    kind = int(data[1:2])
    text, bitmap, channels = kind <= 3, kind in (1, 4), 3 if kind in (3, 6) else 1
    numbers: list[int] = []
    at = 2
    while len(numbers) < (2 if bitmap else 3):
        found = _NUMBER.match(data, at)
        if found is None:
            raise ImageError(f"{path}: the picture is damaged or cut short (its header ends after {len(numbers)} numbers)")
        numbers.append(int(found[1]))
        at = found.end()
    width, height, white = (*numbers, 1)[:3]
    check_pixels(path, width, height, max_pixels)
    if not width or not height or not 1 <= white <= 65535:
        raise ImageError(f"{path}: expected a picture with levels to 65535 at most, found {width} x {height} to {white}")
    read = _text if text else _bits if bitmap else _binary
    pixels = read(path, data, at, (height, width, channels), white)
    if bitmap:
        pixels = 1 - pixels  # there 1 is black
    if pixels.max() > white:
        raise ImageError(f"{path}: the picture is damaged (levels to {pixels.max()}, where white is {white})")
    if channels == 1 and white == 255:
        return Image.fromarray(pixels[..., 0].astype(np.uint8, copy=False))
    if channels == 1:
        image = Image.fromarray(pixels[..., 0].astype(np.uint16, copy=False))
        image.info[LEVELS] = (0, white)
        return image
    if white != 255:
        table = (np.arange(white + 1) * (255 / white) + 0.5).astype(np.uint8)
        pixels = table[pixels]
    return Image.fromarray(pixels.astype(np.uint8, copy=False))


def _text(path: Path, data: bytes, at: int, shape: tuple[int, int, int], white: int) -> NDArray[Any]:
    if len(data) > _LONGEST_TEXT:
        limit = f"more than the limit of {_LONGEST_TEXT:,}"
        raise ImageError(f"{path}: {len(data):,} bytes of text, {limit}; write it in the binary form")
    body = _COMMENT.sub(b" ", data[at:])
    if body.translate(None, b"0123456789 \t\n\r\v\f"):
        raise ImageError(f"{path}: the picture is damaged (other letters than digits among its levels)")
    if data[1:2] == b"1":  # where digits may follow one another without a space
        values = np.frombuffer(body, np.uint8)
        values = values[values >= ord("0")] - ord("0")
    else:
        values = np.fromstring(body, np.int64, sep=" ") if body.strip() else np.zeros(0, np.int64)
        values = values.clip(0, 65536).astype(np.int32)
    return _whole(path, values[: math.prod(shape)], shape)


def _bits(path: Path, data: bytes, at: int, shape: tuple[int, int, int], white: int) -> NDArray[Any]:
    height, width, _ = shape
    row = -(-width // 8)
    packed = _whole(path, np.frombuffer(data, np.uint8, offset=at + 1)[: row * height], (height, row, 1))
    return np.unpackbits(packed[..., 0], axis=1, count=width)[..., None]


def _binary(path: Path, data: bytes, at: int, shape: tuple[int, int, int], white: int) -> NDArray[Any]:
    dtype = np.dtype(np.uint8 if white < 256 else ">u2")
    count = min(math.prod(shape), max(0, len(data) - at - 1) // dtype.itemsize)
    return _whole(path, np.frombuffer(data, dtype, count, at + 1), shape)


def _whole(path: Path, values: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    wanted = math.prod(shape)
    if values.size < wanted:
        raise ImageError(f"{path}: the picture is damaged or cut short ({values.size:,} of {wanted:,} values are there)")
    return values.reshape(shape)
