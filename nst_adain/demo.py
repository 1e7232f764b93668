"""The demonstration: photographs that ship with scikit-image in the styles of `gallery`, on one sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PIL import Image, ImageDraw, ImageFont

from nst_adain.gallery import STYLES, draw
from nst_adain.stylizer import Stylizer

__all__ = ["PHOTOGRAPHS", "demo_sheet", "photograph", "sheet"]

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")  # names in skimage.data; all public domain, none downloaded
CELL = 256  # pixels a side on the sheet
LABEL = 22  # pixels of height for a label


def photograph(name: str) -> Image.Image:
    """The largest centred square of a photograph in scikit-image.

    Raises:
        ValueError: if it is none of `PHOTOGRAPHS`.
    """
    from skimage import data

    if name not in PHOTOGRAPHS:
        raise ValueError(f"photograph: expected one of {', '.join(PHOTOGRAPHS)}, got {name!r}")
    image = Image.fromarray(getattr(data, name)())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def demo_sheet(stylizer: Stylizer, *, progress: bool = False) -> Image.Image:
    """A row of the styles, and for each photograph a row: strength 0, then in each style.

    Args:
        stylizer: the model.
        progress: show a progress bar on standard error.
    """
    from tqdm import tqdm

    pictures = [draw(name) for name in STYLES]
    styles = [stylizer.encode_style(picture) for picture in pictures]
    blank = Image.new("RGB", pictures[0].size, "white")
    rows = [[blank, *pictures]]
    names: Iterable[str] = tqdm(PHOTOGRAPHS, unit="photo", disable=not progress)
    for name in names:
        photo = stylizer.encode_content(photograph(name))
        row = [stylizer(photo, styles[0], alpha=0.0), *(stylizer(photo, style) for style in styles)]
        rows.append([image for image in row if isinstance(image, Image.Image)])
    return sheet(rows, ["alpha 0", *(name.replace("_", " ") for name in STYLES)])


def sheet(rows: Sequence[Sequence[Image.Image]], labels: Sequence[str]) -> Image.Image:
    """Square pictures in rows, with a label above each column."""
    gap = 4
    canvas = Image.new("RGB", (len(labels) * (CELL + gap) - gap, LABEL + len(rows) * (CELL + gap) - gap), "white")
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=LABEL - 8)
    for column, label in enumerate(labels):
        pen.text((column * (CELL + gap) + CELL / 2, LABEL / 2), label, fill="black", font=font, anchor="mm")
        for row, pictures in enumerate(rows):
            cell = pictures[column].resize((CELL, CELL), Image.Resampling.LANCZOS)
            canvas.paste(cell, (column * (CELL + gap), LABEL + row * (CELL + gap)))
    return canvas
