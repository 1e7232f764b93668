"""The styles that commands are given: files, or names of pictures that the package draws.

Only commands know these names. In Python a string is a file, whatever it says; `figures.gallery.draw` makes the picture.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from nst_adain.errors import UsageError
from nst_adain.figures.gallery import STYLES, draw
from nst_adain.images.io import save_image

__all__ = ["NAMES", "open_style", "style_file"]

NAMES = ", ".join(STYLES)


def open_style(style: Path) -> Path | Image.Image:
    """A path as it is; if it is a bare name of no file or folder, the picture that is drawn under this name.

    Raises:
        UsageError: if none is.
    """
    if style.suffix or style.name != str(style) or style.exists():
        return style
    if style.name not in STYLES:
        raise UsageError(f"{style}: expected a file or one of {NAMES}, found neither")
    return draw(style.name)


@contextlib.contextmanager
def style_file(style: Path) -> Iterator[Path]:
    """The same as a file, which is there inside a `with` alone if it is drawn."""
    opened = open_style(style)
    if isinstance(opened, Path):
        yield opened
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{style.name}.png"
        save_image(opened, file)
        yield file
