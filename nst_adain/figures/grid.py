"""Puts many results on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from typing_extensions import Unpack  # torch needs it too

from nst_adain.controls import Controls
from nst_adain.functional import ChannelStats
from nst_adain.images.io import flatten
from nst_adain.rendering.contents import EncodedContent
from nst_adain.stylizer import Stylizer

__all__ = [
    "GAP",
    "LABEL",
    "Labelled",
    "Styles",
    "alpha_grid",
    "captions",
    "corner_grid",
    "corner_weights",
    "cross_grid",
    "model_grid",
    "sheet",
]

GAP = 4  # pixels between cells
LABEL = 22  # pixels of height for a label

Labelled = Sequence[tuple[str, EncodedContent[Image.Image]]]
Styles = Sequence[tuple[str, ChannelStats]]


def cross_grid(
    stylizer: Stylizer, contents: Labelled, styles: Styles, *, cell: int = 256, **controls: Unpack[Controls]
) -> Image.Image:
    """Make a sheet with a row for each content and a column for each style, all with the same controls."""
    rows = [[_picture(stylizer(content, style, **controls)) for _, style in styles] for _, content in contents]
    return sheet(rows, [name for name, _ in styles], [name for name, _ in contents], cell)


def alpha_grid(
    stylizer: Stylizer,
    content: EncodedContent[Image.Image],
    styles: Styles,
    alphas: Sequence[float],
    *,
    cell: int = 256,
    **controls: Unpack[Controls],
) -> Image.Image:
    """Make a sheet with a row for each style and a column for each strength."""
    rows = [
        [_picture(stylizer(content, style, **_with(controls, {"alpha": alpha}))) for alpha in alphas] for _, style in styles
    ]
    return sheet(rows, [f"alpha {alpha:g}" for alpha in alphas], [name for name, _ in styles], cell)


def corner_grid(
    stylizer: Stylizer,
    content: EncodedContent[Image.Image],
    styles: Styles,
    side: int,
    *,
    cell: int = 256,
    **controls: Unpack[Controls],
) -> Image.Image:
    """Make a sheet of `side` x `side` mixtures of four styles, in this order: top left, top right, bottom left, bottom right.

    Raises:
        ValueError: if there are not four styles, or `side` is below 2.
    """
    if len(styles) != 4:
        raise ValueError(f"styles: expected four, one for each corner, got {len(styles)}")
    given = [style for _, style in styles]
    weights = corner_weights(side)
    rows = [[_picture(stylizer(content, given, **_with(controls, {"weights": w}))) for w in row] for row in weights]
    names = [name for name, _ in styles]
    middle = [""] * (side - 2)
    return sheet(rows, [names[0], *middle, names[1]], cell=cell, bottom=[names[2], *middle, names[3]])


def model_grid(
    stylizers: Sequence[tuple[str, Stylizer]],
    photo: Image.Image,
    style: Image.Image,
    *,
    boldnesses: Sequence[float] = (),
    cell: int = 256,
    **controls: Unpack[Controls],
) -> Image.Image:
    """Make a sheet of a photograph, a style, and the photograph in it by each model, with the same controls.

    With `boldnesses` there is a row for each model, and a column for each of them, blank where a model has no bold end.
    """
    heads = ["photograph", "style"]
    if not boldnesses:
        results = [_picture(stylizer(photo, style, **controls)) for _, stylizer in stylizers]
        return sheet([[photo, style, *results]], [*heads, *(name for name, _ in stylizers)], cell=cell)
    rows = []
    for _, stylizer in stylizers:
        possible = [_with(controls, {"boldness": step}) for step in boldnesses if stylizer.boldness.bold or not step]
        results = [_picture(stylizer(photo, style, **step)) for step in possible]
        blank = [Image.new("RGB", (1, 1), "white")] * (len(boldnesses) - len(results))
        rows.append([photo, style, *results, *blank])
    return sheet(rows, [*heads, *(f"boldness {step:g}" for step in boldnesses)], [name for name, _ in stylizers], cell)


def corner_weights(side: int) -> list[list[list[float]]]:
    """Compute bilinear weights of four corners on a square of `side` x `side` positions (paper, figure 8).

    Raises:
        ValueError: if `side` is below 2.
    """
    if side < 2:
        raise ValueError(f"side: expected at least 2 positions, got {side}")
    steps = [i / (side - 1) for i in range(side)]
    return [[[(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x] for x in steps] for y in steps]


def sheet(
    rows: Sequence[Sequence[Image.Image]],
    columns: Sequence[str],
    names: Sequence[str] = (),
    cell: int = 256,
    bottom: Sequence[str] = (),
) -> Image.Image:
    """Put pictures in rows, each fitted into a square cell with its aspect ratio kept.

    Args:
        rows: rows of pictures, all of the same length.
        columns: a label above each column.
        names: a label before each row, written upwards, or none.
        cell: side of a cell in pixels.
        bottom: a label below each column, or none.
    """
    left = LABEL if names else 0
    pitch = cell + GAP
    width, height = left + len(columns) * pitch - GAP, LABEL + len(rows) * pitch - GAP
    canvas = Image.new("RGB", (width, height + (LABEL if bottom else 0)), "white")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            scale = cell / max(picture.size)
            fitted = flatten(picture).resize([max(1, round(n * scale)) for n in picture.size], Image.Resampling.LANCZOS)
            x, y = ((cell - n) // 2 for n in fitted.size)
            canvas.paste(fitted, (left + column * pitch + x, LABEL + row * pitch + y))
    for row, name in enumerate(names):
        canvas.paste(_label(name, cell).transpose(Image.Transpose.ROTATE_90), (0, LABEL + row * pitch))
    for labels, y in ((columns, 0), (bottom, height)):
        for column, name in enumerate(labels):
            canvas.paste(_label(name, cell), (left + column * pitch, y))
    return canvas


def captions(names: Sequence[str | Path]) -> list[str]:
    """Return names of files without folder and suffix, unless two would then be the same."""
    short = [Path(name).stem for name in names]
    return short if len(set(short)) == len(set(names)) else [str(name) for name in names]


def _label(text: str, width: int) -> Image.Image:
    """Draw text in the middle of a strip, on one line, cut where it is too long."""
    text = " ".join(text.split())
    strip = Image.new("RGB", (width, LABEL), "white")
    font = ImageFont.load_default(size=LABEL - 8)
    while text and font.getlength(text) > width - 4:
        text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
    ImageDraw.Draw(strip).text((width / 2, LABEL / 2), text, fill="black", font=font, anchor="mm")
    return strip


def _with(controls: Controls, more: Controls) -> Controls:
    return {**controls, **more}


def _picture(result: object) -> Image.Image:
    if not isinstance(result, Image.Image):
        raise TypeError("expected contents encoded from files or PIL images, got one encoded from a tensor")
    return result
