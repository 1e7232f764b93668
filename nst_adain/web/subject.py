"""Finds the subject of a photograph, with GrabCut (Rother et al. 2004), which needs no model: a start for the brush."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["find_subject"]

_SIDE = 256  # pixels of the longer side at which it is looked for


def find_subject(photo: Image.Image, hint: Image.Image | None = None) -> Image.Image:
    """Find what a photograph shows in front of its background.

    Args:
        photo: RGB.
        hint: a mask of the same shape, white where the subject certainly is; None looks around the middle.

    Returns:
        A mask of the photograph's size, "L", white where the subject is, with soft edges.

    Raises:
        ModuleNotFoundError: if OpenCV is not installed.
        ValueError: if no subject differs from the background.
    """
    import cv2

    scale = _SIDE / max(photo.size)
    size = (max(8, round(photo.width * scale)), max(8, round(photo.height * scale)))
    small = np.asarray(photo.convert("RGB").resize(size, Image.Resampling.BOX))[..., ::-1].copy()
    labels = _guess(size[1], size[0])
    whole = (0, 0, *size)  # not looked at: the labels say it
    if hint is not None:
        labels[np.asarray(hint.convert("L").resize(size)) > 127] = cv2.GC_FGD
    models = np.zeros((2, 1, 65))
    cv2.setRNGSeed(0)  # the same subject each time
    try:
        cv2.grabCut(small, labels, whole, models[0], models[1], 5, cv2.GC_INIT_WITH_MASK)
    except cv2.error as error:
        raise ValueError("no subject stands out here: paint over it, then try again") from error
    found = _largest(((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8))
    if not 0.01 < found.mean() < 0.97:
        raise ValueError("no subject stands out here: paint over it, then try again")
    soft = cv2.GaussianBlur(found.astype(np.float32), (0, 0), 1.2)
    return Image.fromarray((soft * 255).round().astype(np.uint8)).resize(photo.size, Image.Resampling.BICUBIC)


def _guess(height: int, width: int) -> NDArray[np.uint8]:
    """Label an ellipse in the middle as probably the subject, and the upper corners as certainly not."""
    import cv2

    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    labels = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    labels[(x / 0.72) ** 2 + ((y - 0.1) / 0.9) ** 2 < 1] = cv2.GC_PR_FGD
    labels[(abs(x) > 0.93) | (y < -0.95)] = cv2.GC_BGD
    return labels


def _largest(found: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keep the parts of at least a tenth of the largest one's area, and fill small holes."""
    import cv2

    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    closed = cv2.morphologyEx(found, cv2.MORPH_CLOSE, disc)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(closed)
    areas = stats[:, cv2.CC_STAT_AREA]
    kept = [part for part in range(1, count) if areas[part] >= 0.1 * areas[1:].max()]
    return np.isin(parts, kept).astype(np.uint8)
