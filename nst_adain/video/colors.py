"""Converts frames to R'G'B' of BT.709, whatever primaries, transfer function and matrix they are tagged with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nst_adain.images.colorimetry import BT709, BT2020, HLG, PQ, UNSPECIFIED, CodePoints, to_display

if TYPE_CHECKING:
    import av

__all__ = ["to_bt709"]

_HD = 720  # the height from which players assume the matrix of BT.709 if the file names none
_BT2020_MATRICES = (9, 10)  # code points of ITU-T H.273


def to_bt709(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Convert a frame to (H, W, 3) uint8, or (H, W, 4) if some of it is transparent.

    Primaries that are not named are those of BT.2020 if the matrix is, or the transfer function is PQ or HLG, else BT.709.
    A matrix that is not named is BT.2020's with its primaries, BT.709's from 720 rows on, and else that of BT.601.
    """
    primaries, transfer, matrix = frame.color_primaries, frame.color_trc, int(frame.colorspace)
    if primaries == UNSPECIFIED and (matrix in _BT2020_MATRICES or transfer in (PQ, HLG)):
        primaries = BT2020
    source: Any = None  # the frame's own matrix
    if matrix == UNSPECIFIED and primaries == BT2020:
        source = BT2020
    elif matrix == UNSPECIFIED and frame.height >= _HD:
        source = "ITU709"
    colors = CodePoints(primaries, transfer)
    shown = colors.are_the_displays or not colors.are_known
    # A palette may hold transparent colours.
    alpha = frame.format.has_palette or any(component.is_alpha for component in frame.format.components)
    pixels: Any = frame.to_ndarray(format=_FORMATS[shown, alpha], src_colorspace=source)
    if not alpha:
        return pixels if shown else to_display(pixels, colors, BT709)
    opacity = pixels[..., 3:] if shown else (pixels[..., 3:] >> 8).astype(np.uint8)
    visible = pixels[..., :3] if shown else to_display(pixels[..., :3], colors, BT709)
    return visible if opacity.min() == 255 else np.concatenate([visible, opacity], -1)


# By whether levels are shown as they are, and whether there is transparency.
_FORMATS = {(True, False): "rgb24", (True, True): "rgba", (False, False): "rgb48le", (False, True): "rgba64le"}
