"""How far the colours of one picture are from those of another, wherever they are in it."""

from __future__ import annotations

import numpy as np
from PIL import Image

__all__ = ["palette_distance"]

_DIRECTIONS = 32
_QUANTILES = 512


def palette_distance(image: Image.Image, other: Image.Image) -> float:
    """The sliced Wasserstein distance of the colours of two pictures, RGB of any two sizes, in levels of 255.

    Along each of many directions through the colour cube, how far the colours of one would have to move, on average, to be
    distributed like those of the other; then the mean over the directions (Rabin et al. 2011, with order 1).
    0: the same colours in the same shares.
    """
    sliced, others = (np.quantile(_colours(picture), _SHARES, axis=0) for picture in (image, other))
    return float(np.abs(sliced - others).mean())


def _directions(count: int) -> np.ndarray:
    """(3, count): unit vectors spread evenly over half of the sphere (a Fibonacci lattice); the others only change signs."""
    height = (np.arange(count) + 0.5) / count
    angle = np.arange(count) * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height])


_SHARES = (np.arange(_QUANTILES) + 0.5) / _QUANTILES


def _colours(image: Image.Image) -> np.ndarray:
    """(pixels, directions): each pixel's colour along each direction."""
    return np.asarray(image, dtype=float).reshape(-1, 3) @ _directions(_DIRECTIONS)
