"""What drawings are made of: positions, noise, cells, and colours blended by a field over a square."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

__all__ = ["Colour", "FloatArray", "blend", "nearest_two", "rgb", "smooth_noise", "soft", "to_image", "unit_grid"]

Colour = tuple[int, int, int]
FloatArray = NDArray[np.floating[Any]]


def unit_grid(size: int) -> tuple[FloatArray, FloatArray]:
    """Return y and x of every pixel, in 0 .. 1."""
    axis = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y, x


def smooth_noise(size: int, cells: int, rng: np.random.Generator) -> FloatArray:
    """Draw smooth noise in -1 .. 1 with about `cells` hills a side."""
    field = Image.fromarray(rng.uniform(-1, 1, (cells + 3, cells + 3)).astype(np.float32))
    return np.asarray(field.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float64)


def nearest_two(size: int, seeds: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """Find each pixel's nearest seed point, and how much farther the second nearest is (0 on cell borders)."""
    from scipy.spatial import cKDTree

    y, x = unit_grid(size)
    distance, index = cKDTree(seeds).query(np.stack([y.ravel(), x.ravel()], 1), k=2)
    gap = (distance[:, 1] - distance[:, 0]).reshape(size, size)
    return index[:, 0].reshape(size, size), gap


def soft(field: FloatArray, width: float) -> FloatArray:
    """Return 0 where a field is below 0 and 1 where it is above, with a ramp of this width between."""
    ramp: FloatArray = np.clip(field / width + 0.5, 0, 1)
    return ramp


def blend(first: ArrayLike, second: ArrayLike, share: FloatArray) -> FloatArray:
    """Mix colours, each (3,) or (H, W, 3), by the share of the second at each place, (H, W), clipped to 0 .. 1."""
    under, over = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return under + (over - under) * np.clip(share, 0, 1).astype(np.float32)[..., None]


def to_image(pixels: FloatArray) -> Image.Image:
    """Turn (H, W, 3) levels into a picture; clip those outside 0 .. 255."""
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def rgb(colour: FloatArray) -> Colour:
    """Turn a colour into Pillow's form; clip levels outside 0 .. 255."""
    r, g, b = (int(v) for v in np.clip(colour, 0, 255))
    return r, g, b
