"""Decodes PBM, PGM and PPM files: https://netpbm.sourceforge.net/doc/ppm.html.

Pillow reads comments, text, and levels with another maximum than 255 byte by byte, which takes minutes for a large file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nst_adain.errors import ImageError
from nst_adain.images.opening import LEVELS, check_pixels

__all__ = ["STARTS", "read_netpbm"]

STARTS = tuple(f"P{kind}".encode() for kind in range(1, 7))
_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*[\r\n])*(\d{1,9})")  # with the spaces and comments before it
_COMMENT = re.compile(rb"#[^\r\n]*")
_LONGEST_HEADER, _LONGEST_TEXT = 1 << 20, 64 << 20  # bytes
_BAND = 1 << 22  # values to read at once

# Reads the next rows, (H, W, C); None if they are not there.
_Rows: TypeAlias = Callable[[tuple[int, int, int]], "NDArray[Any] | None"]


def read_netpbm(path: Path, max_pixels: int) -> Image.Image:
    """Decode a file as it is stored.

    Args:
        path: the file.
        max_pixels: the largest width x height to decode.

    Returns:
        Mode "RGB" of 8 bits; or "L"; or "I;16" for levels other than 0 to 255, with black and white under `LEVELS`.

    Raises:
        ImageError: if it is damaged, cut short, or too large.
    """
    with path.open("rb") as file:
        start = file.read(_LONGEST_HEADER)
        kind = int(start[1:2])
        text, bitmap, channels = kind <= 3, kind in (1, 4), 3 if kind in (3, 6) else 1
        (width, height, white), at = _header(path, start, bitmap)
        check_pixels(path, width, height, max_pixels)
        pixels = np.zeros((height, width, channels), np.uint8 if channels == 3 or white == 255 else np.uint16)
        file.seek(at if text else at + 1)  # one space
        rows = _text(path, file.read(_LONGEST_TEXT + 1), bitmap) if text else _binary(file, bitmap, white)
        step = max(1, _BAND // (width * channels))
        for top in range(0, height, step):
            shape = (min(step, height - top), width, channels)
            values = rows(shape)
            if values is None:
                raise ImageError(f"{path}: the picture is damaged or cut short (its rows end after the first {top:,})")
            values = 1 - values if bitmap else values  # in bitmaps, 1 is black
            if values.max() > white:
                raise ImageError(f"{path}: the picture is damaged (levels to {values.max()}, where white is {white})")
            whole = channels == 1 or white == 255
            pixels[top : top + step] = values if whole else (values * (255 / white) + 0.5).astype(np.uint8)
    if channels == 3:
        return Image.fromarray(pixels)
    image = Image.fromarray(pixels[..., 0])
    if white != 255:
        image.info[LEVELS] = (0, white)
    return image


def _header(path: Path, start: bytes, bitmap: bool) -> tuple[list[int], int]:
    """Read width, height and white, and return where they end."""
    numbers: list[int] = []
    at = 2
    while len(numbers) < (2 if bitmap else 3):
        found = _NUMBER.match(start, at)
        if found is None:
            raise ImageError(f"{path}: the picture is damaged or cut short (its header ends after {len(numbers)} numbers)")
        numbers.append(int(found[1]))
        at = found.end()
    width, height, white = [*numbers, 1][:3]
    if not width or not height or not 1 <= white <= 65535:
        raise ImageError(f"{path}: expected a picture with levels to 65535 at most, found {width} x {height} to {white}")
    return [width, height, white], at


def _text(path: Path, body: bytes, bitmap: bool) -> _Rows:
    if len(body) > _LONGEST_TEXT:
        raise ImageError(f"{path}: more than {_LONGEST_TEXT:,} bytes of text; write it in the binary form")
    body = _COMMENT.sub(b" ", body)
    if body.translate(None, b"0123456789 \t\n\r\v\f"):
        raise ImageError(f"{path}: the picture is damaged (other letters than digits among its levels)")
    if bitmap:  # its digits need no spaces between them
        digits = np.frombuffer(body, np.uint8)
        values: NDArray[Any] = digits[digits >= ord("0")] - ord("0")
    else:
        values = np.fromstring(body, np.int64, sep=" ") if body.strip() else np.zeros(0, np.int64)
    at = 0

    def rows(shape: tuple[int, int, int]) -> NDArray[Any] | None:
        nonlocal at
        part, at = values[at : at + math.prod(shape)], at + math.prod(shape)
        return part.reshape(shape) if part.size == math.prod(shape) else None

    return rows


def _binary(file: BinaryIO, bitmap: bool, white: int) -> _Rows:
    dtype = np.dtype(np.uint8 if white < 256 else ">u2")

    def rows(shape: tuple[int, int, int]) -> NDArray[Any] | None:
        height, width, channels = shape
        stored = (height, -(-width // 8) if bitmap else width, channels)
        values = np.frombuffer(file.read(math.prod(stored) * dtype.itemsize), np.uint8)
        if values.size < math.prod(stored) * dtype.itemsize:
            return None
        values = values.view(dtype).reshape(stored)
        return np.unpackbits(values[..., 0], axis=1, count=width)[..., None] if bitmap else values

    return rows
