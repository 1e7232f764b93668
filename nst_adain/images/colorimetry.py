"""Converts colours from the code points of ITU-T H.273, with which PNG, AVIF, HEIC and videos say what their levels mean.

The result is for displays with the primaries of BT.709 and sRGB. Light above their white is compressed, and colours outside
their gamut are clipped. Curves of ordinary displays and cameras count as the display's own, as in browsers and video players.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["BT709", "BT2020", "HLG", "PQ", "SRGB", "UNSPECIFIED", "CodePoints", "to_display"]

# Code points: of primaries BT709 and BT2020; of transfer functions SRGB, PQ, HLG, and again BT709; of both UNSPECIFIED.
BT709, UNSPECIFIED, BT2020, SRGB, PQ, HLG = 1, 2, 9, 13, 16, 18

_D65, _C, _E, _DCI = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)  # whites
# Chromaticities (x, y) of red, green, blue and white: H.273 table 2.
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),  # BT.709, sRGB
    4: ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), _C),  # BT.470 M
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),  # BT.470 BG: PAL
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),  # SMPTE 170M: NTSC
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),  # SMPTE 240M
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),  # film
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),  # BT.2020
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), _E),  # SMPTE ST 428-1: XYZ
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),  # P3 of cinemas
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),  # P3 of displays
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),  # EBU 3213-E
}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
# Transfer functions: H.273 table 3. The curves of BT.709, 240M, xvYCC, BT.1361, sRGB and BT.2020 count as the display's own.
_DISPLAYS = frozenset({1, 2, 6, 7, 11, 12, 13, 14, 15})
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}  # BT.470 M and BG, linear, SMPTE ST 428-1
_DECADES = {9: 2.0, 10: 2.5}  # logarithmic: powers of 10 from black to white
_CINEMA, _CINEMA_WHITE = 17, 52.37 / 48  # the light of the highest level of ST 428-1, whose white is 1
_WHITE, _PEAK = 203.0, 1000.0  # cd/m2: paper white in a scene (ITU-R BT.2408), and the peak of a display made for HLG
_KNEE = 0.75  # fraction of white: brighter light of high dynamic range is compressed, darker light stays
_LEVELS = 4096  # entries of a lookup table for 16 bits
_BAND = 1 << 18  # pixels at once: a whole frame of 4K would take half a gigabyte, and twice the time
_ROOTS = 16384  # entries of the table from light to levels, by the root of the light, as the dark is steep

_Pixels: TypeAlias = "NDArray[np.uint8] | NDArray[np.uint16]"


class CodePoints(NamedTuple):
    """Says what R'G'B' levels mean.

    Attributes:
        primaries: colour primaries, H.273 table 2.
        transfer: transfer characteristics, H.273 table 3.
        full_range: whether black and white are the lowest and highest levels, rather than 16 and 235 of 255.
    """

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full_range: bool = True

    @property
    def are_known(self) -> bool:
        """Whether they say something, and nothing reserved or unknown to this module."""
        transfers = _DISPLAYS | _GAMMAS.keys() | _DECADES.keys() | {PQ, HLG}
        said = self.primaries != UNSPECIFIED or self.transfer != UNSPECIFIED
        return said and self.primaries in {UNSPECIFIED, *_PRIMARIES} and self.transfer in transfers

    @property
    def are_the_displays(self) -> bool:
        """Whether levels are shown as they are."""
        return self.primaries in (BT709, UNSPECIFIED) and self.transfer in _DISPLAYS and self.full_range


def to_display(pixels: _Pixels, colors: CodePoints, transfer: int = SRGB) -> NDArray[np.uint8]:
    """Convert pixels for a display with the primaries of BT.709.

    Args:
        pixels: (H, W, 3), R'G'B' from 0 to 255 or to 65535.
        colors: what they mean; `are_known`. Unspecified primaries are those of BT.709, or with PQ and HLG of BT.2020.
        transfer: the display's: `SRGB`, or `BT709` for a gamma of 2.4 (ITU-R BT.1886).

    Returns:
        (H, W, 3), R'G'B' from 0 to 255.
    """
    converted = np.empty(pixels.shape, np.uint8)
    rows = max(1, _BAND // max(1, pixels.shape[1]))
    table = _light(colors.transfer, colors.full_range, 256 if pixels.dtype == np.uint8 else _LEVELS, transfer)
    levels = _levels(transfer)
    for top in range(0, len(pixels), rows):
        band = pixels[top : top + rows]
        light = _shown(table[band if band.dtype == np.uint8 else band // (65536 // _LEVELS)], colors)
        converted[top : top + rows] = levels[(np.sqrt(light.clip(0, 1)) * (_ROOTS - 1) + 0.5).astype(np.uint16)]
    return converted


def _shown(light: NDArray[np.float32], colors: CodePoints) -> NDArray[np.float32]:
    """Convert linear light (H, W, 3) to that of the display, where 1 is white."""
    high = colors.transfer in (PQ, HLG)
    primaries = (BT2020 if high else BT709) if colors.primaries == UNSPECIFIED else colors.primaries
    if colors.transfer == HLG:  # turn scene light into display light, which grows faster than the scene's (ITU-R BT.2100)
        light = light * ((light @ _to_xyz(primaries)[1].astype(np.float32))[..., None] ** 0.2 * np.float32(_PEAK / _WHITE))
    if primaries != BT709:
        light = (light @ _to_bt709(primaries).T).clip(0)
    if high:
        # Scale all three channels by one factor to keep hues.
        brightest = light.max(-1, keepdims=True)
        above = (brightest - _KNEE).clip(0) / (1 - _KNEE)
        light = light * (np.minimum(brightest, _KNEE) + (1 - _KNEE) * (1 - np.exp(-above))) / brightest.clip(1e-6)
    return light


@functools.cache
def _to_xyz(primaries: int) -> NDArray[np.float64]:
    """Return the matrix from linear RGB to CIE XYZ, where white has Y = 1."""
    xyz = np.array([(x, y, 1 - x - y) for x, y in _PRIMARIES[primaries]]).T  # red, green, blue, white
    white = xyz[:, 3] / xyz[1, 3]
    matrix: NDArray[np.float64] = xyz[:, :3] * np.linalg.solve(xyz[:, :3], white)
    return matrix


@functools.cache
def _to_bt709(primaries: int) -> NDArray[np.float32]:
    """Return the matrix from linear RGB to that of BT.709; white stays white (Bradford's adaptation)."""
    source, target = _to_xyz(primaries), _to_xyz(BT709)
    scale = (_BRADFORD @ target.sum(1)) / (_BRADFORD @ source.sum(1))
    adapted = np.linalg.solve(_BRADFORD, scale[:, None] * _BRADFORD) @ source
    return np.linalg.solve(target, adapted).astype(np.float32)


@functools.cache
def _light(transfer: int, full_range: bool, count: int, display: int) -> NDArray[np.float32]:
    """Tabulate the light of `count` levels; 1 is white, but for HLG the scene's maximum."""
    coded = np.linspace(0, 1, count)
    if not full_range:
        coded = ((coded * 255 - 16) / 219).clip(0, 1)
    if transfer in _GAMMAS:
        light = coded ** _GAMMAS[transfer] * (_CINEMA_WHITE if transfer == _CINEMA else 1)
    elif transfer in _DECADES:
        light = np.where(coded > 0, 10 ** ((coded - 1) * _DECADES[transfer]), 0)
    elif transfer == PQ:  # SMPTE ST 2084
        root = coded ** (32 / 2523)
        light = 10000 / _WHITE * ((root - 0.8359375).clip(0) / (18.8515625 - 18.6875 * root)) ** (8192 / 1305)
    elif transfer == HLG:  # ARIB STD-B67
        light = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    elif display == SRGB:  # IEC 61966-2-1
        light = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    else:
        light = coded**2.4
    return light.astype(np.float32)


@functools.cache
def _levels(display: int) -> NDArray[np.uint8]:
    """Tabulate a display's levels, 0 to 255, by the square root of light."""
    light = np.linspace(0, 1, _ROOTS) ** 2
    coded = light ** (1 / 2.4)
    if display == SRGB:
        coded = np.where(light <= 0.0031308, light * 12.92, 1.055 * coded - 0.055)
    levels: NDArray[np.uint8] = (coded * 255).round().astype(np.uint8)
    return levels
