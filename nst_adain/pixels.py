"""Pictures as tensors."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nst_adain.images import flatten

__all__ = ["to_pixels", "to_tensor"]

_BAND = 1024  # rows


def to_pixels(image: Image.Image) -> Tensor:
    """A picture as (1, 3, H, W) uint8, RGB; transparency is laid on white."""
    image = flatten(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _BAND):  # Pillow's own export holds the whole picture twice meanwhile
        bottom = min(top + _BAND, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def to_tensor(image: Image.Image) -> Tensor:
    """A picture as (1, 3, H, W) float32, RGB in [0, 1]; transparency is laid on white."""
    return to_pixels(image).float() / 255
