"""Draws by a seed and a name alone, so that whatever runs in parallel, elsewhere or again draws alike."""

from __future__ import annotations

import os
import zlib

import numpy as np

__all__ = ["draws"]


def draws(seed: int, key: str) -> np.random.Generator:
    """Return the random numbers that belong to a picture.

    The first drawn from them, `draws(seed, key).integers(len(styles))`, is its style, in a batch and in `RandomStyle`.

    Args:
        seed: a whole number from 0.
        key: the picture's name.
    """
    return np.random.default_rng([seed, zlib.crc32(os.fsencode(key))])
