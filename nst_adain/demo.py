"""The demonstration: photographs that ship with scikit-image in the styles of `gallery`, on one sheet."""

from __future__ import annotations

from collections.abc import Iterable

from PIL import Image

from nst_adain.gallery import STYLES, draw
from nst_adain.grid import sheet
from nst_adain.stylizer import Stylizer

__all__ = ["PHOTOGRAPHS", "demo_sheet", "photograph"]

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")  # names in skimage.data; all public domain, none downloaded


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
    rows = [[Image.new("RGB", pictures[0].size, "white"), *pictures]]
    names: Iterable[str] = tqdm(PHOTOGRAPHS, unit="photo", disable=not progress)
    for name in names:
        photo = photograph(name)
        rows.append([stylizer(photo, photo, alpha=0.0), *(stylizer(photo, style) for style in styles)])
    return sheet(rows, ["alpha 0", *(name.replace("_", " ") for name in STYLES)])
