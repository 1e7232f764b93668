"""Draws the demonstration sheets: photographs from scikit-image in the styles of `gallery`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from nst_adain.figures.animation import path_weights
from nst_adain.figures.gallery import draw
from nst_adain.figures.grid import sheet
from nst_adain.figures.samples import photograph
from nst_adain.streams import progress_bar
from nst_adain.stylizer import Stylizer

__all__ = ["controls_sheet", "demo_sheet"]


def demo_sheet(stylizer: Stylizer, *, progress: bool = False) -> Image.Image:
    """Draw a row of four painterly styles, and a row for each of two photographs: at strength 0, then in each style.

    Args:
        stylizer: the model.
        progress: show a progress bar on standard error.
    """
    names = ("brush_strokes", "palette_knife", "woodcut_waves", "watercolor")
    pictures = [draw(name) for name in names]
    styles = [stylizer.encode_style(picture) for picture in pictures]
    rows = [[Image.new("RGB", pictures[0].size, "white"), *pictures]]
    photographs: Iterable[str] = progress_bar(("chelsea", "astronaut"), unit="photo", shown=progress)
    for name in photographs:
        photo = photograph(name)
        rows.append([stylizer(photo, photo, alpha=0.0), *(stylizer(photo, style) for style in styles)])
    return sheet(rows, ["alpha 0", *(name.replace("_", " ") for name in names)], cell=300)


def controls_sheet(stylizer: Stylizer) -> Image.Image:
    """Draw a row for each control: strength, mixture, masks, colour."""
    photo = photograph("astronaut")
    first, second, third = draw("brush_strokes"), draw("palette_knife"), draw("woodcut_waves")
    y, x = np.mgrid[0:1:64j, 0:1:64j]
    soft, disc = x, 1.0 / (1 + np.exp(40 * (np.hypot(x - 0.45, y - 0.4) - 0.35)))
    thirds = (x * 2.999).astype(int)
    both: dict[str, Any] = {"weights": [0.5, 0.5]}

    rows = [
        [stylizer(photo, first, alpha=alpha) for alpha in (0.0, 0.25, 0.5, 0.75, 1.0, 1.5)],
        [stylizer(photo, [first, second], weights=weights) for weights in path_weights(2, 6)],
        [
            stylizer(photo, [second, first], masks=[soft < 0.5]),
            stylizer(photo, [second, first], masks=[1 - soft]),
            stylizer(photo, [first, second, third], masks=thirds),
            stylizer(photo, second, alpha=disc),
            stylizer(photo, second, alpha=soft),
            stylizer(photo, [second, first], masks=[disc], preserve_color="luminance"),
        ],
        [
            stylizer(photo, second),
            stylizer(photo, second, preserve_color="luminance"),
            stylizer(photo, second, preserve_color="coral"),
            stylizer(photo, [first, third], **both),
            stylizer(photo, [first, third], preserve_color="luminance", **both),
            stylizer(photo, [first, third], preserve_color="coral", **both),
        ],
    ]
    return sheet(rows, [""] * 6, ["strength", "mixture", "masks", "colour"])
