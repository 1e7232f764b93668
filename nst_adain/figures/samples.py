"""Writes the pictures to try commands on: photographs from scikit-image, and the drawn styles."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np
from PIL import Image

from nst_adain.errors import ImageError
from nst_adain.figures.gallery import STYLES, draw
from nst_adain.files import make_folder
from nst_adain.images.io import load_image, save_image

__all__ = ["PHOTOGRAPHS", "photograph", "save_inputs"]

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")  # names in skimage.data; all public domain, none downloaded


def photograph(name: str) -> Image.Image:
    """Return the largest centred square of a photograph in scikit-image.

    Raises:
        ValueError: if the name is not in `PHOTOGRAPHS`.
    """
    from skimage import data

    if name not in PHOTOGRAPHS:
        raise ValueError(f"photograph: expected one of {', '.join(PHOTOGRAPHS)}, got {name!r}")
    image = Image.fromarray(getattr(data, name)())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def save_inputs(folder: str | os.PathLike[str]) -> None:
    """Write the photographs and the styles as PNG files to try commands on; make the folder if needed.

    Raises:
        FileExistsError: if one of these names is taken by another file, which is left as it is.
    """
    folder = Path(folder)
    make_folder(folder)
    pictures = {name: photograph(name) for name in PHOTOGRAPHS} | {name: draw(name) for name in STYLES}
    files = {folder / f"{name}.png": picture for name, picture in pictures.items()}
    for path in [path for path, picture in files.items() if not _is_there(path, picture)]:
        save_image(files[path], path)


def _is_there(path: Path, picture: Image.Image) -> bool:
    """Whether a file holds this picture; raise FileExistsError if it holds something else."""
    if not path.exists():
        return False
    with contextlib.suppress(ImageError):
        if np.array_equal(np.asarray(load_image(path)), np.asarray(picture)):
            return True
    raise FileExistsError(f"{path}: expected no file, or this sample, found another; name another folder")
