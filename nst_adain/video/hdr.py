"""Converts frames in BT.2020 colours and high dynamic range, as phones record them, for BT.709 displays."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

__all__ = ["BT2020", "HLG", "PQ", "to_bt709"]

# Code points of ITU-T H.273: primaries, and the transfer characteristics of high dynamic range.
BT2020, PQ, HLG = 9, 16, 18

_WHITE, _PEAK = 203.0, 1000.0  # cd/m2: paper white in a scene (ITU-R BT.2408), and the peak of a display made for HLG
_KNEE = 0.75  # fraction of BT.709's white: brighter light is compressed, darker light stays
_GAMMA = 2.4  # of BT.709 displays (ITU-R BT.1886)
_LEVELS = 4096  # entries of a lookup table; 12 bits
_ROWS = 256  # rows at once: a whole frame of 4K would take half a gigabyte
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)  # ITU-R BT.2020
_TO_BT709 = np.array(  # linear, ITU-R BT.2087
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


def to_bt709(pixels: NDArray[np.uint16], transfer: int, wide: bool = True) -> NDArray[np.uint8]:
    """Convert one frame.

    Args:
        pixels: (H, W, 3), R'G'B' from 0 to 65535.
        transfer: its transfer function: `PQ`, `HLG`, or anything else for standard range.
        wide: whether its primaries are those of BT.2020 rather than BT.709.

    Returns:
        (H, W, 3), R'G'B' of BT.709 from 0 to 255.
    """
    converted = np.empty(pixels.shape, np.uint8)
    for top in range(0, len(pixels), _ROWS):
        converted[top : top + _ROWS] = _convert(pixels[top : top + _ROWS], transfer, wide)
    return converted


def _convert(pixels: NDArray[np.uint16], transfer: int, wide: bool) -> NDArray[np.uint8]:
    light = _linear(transfer)[pixels // (65536 // _LEVELS)]
    if transfer == HLG:  # turn scene light into display light, which grows faster than the scene's (ITU-R BT.2100)
        light *= (light @ _LUMINANCE)[..., None] ** 0.2 * (_PEAK / _WHITE)
    if wide:
        light = (light @ _TO_BT709.T).clip(0)
    if transfer in (PQ, HLG):
        # Scale all three channels by one factor to keep hues.
        brightest = light.max(-1, keepdims=True)
        above = (brightest - _KNEE).clip(0) / (1 - _KNEE)
        light *= (np.minimum(brightest, _KNEE) + (1 - _KNEE) * (1 - np.exp(-above))) / brightest.clip(1e-6)
    coded: NDArray[np.uint8] = (light.clip(0, 1) ** (1 / _GAMMA) * 255).round().astype(np.uint8)
    return coded


@functools.cache
def _linear(transfer: int) -> NDArray[np.float32]:
    """Tabulate the light of each coded level; 1 is white for PQ and standard range, and the scene's maximum for HLG."""
    coded = np.linspace(0, 1, _LEVELS)
    if transfer == PQ:  # SMPTE ST 2084
        root = coded ** (32 / 2523)
        light = 10000 / _WHITE * ((root - 0.8359375).clip(0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)
    elif transfer == HLG:  # ARIB STD-B67
        light = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    else:
        light = coded**_GAMMA
    return light.astype(np.float32)
