"""The pictures that `fit` never trains on, as files: to choose between weights by other pairs than those that judge them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from nst_adain.errors import UsageError, at_least
from nst_adain.files import make_folder
from nst_adain.images.io import save_image
from train.config import TrainConfig
from train.data import Pictures, center_crop, check_outside

__all__ = ["holdout"]


def holdout(
    content: Path,
    style: Path,
    out: Path,
    count: int = TrainConfig.holdout,
    max_side: int = TrainConfig.max_side,
    size: int = 256,
) -> None:
    """Write the pictures that `fit` never trains on to OUT/content and OUT/style, for `evaluate` and `score`.

    Args:
        content: folder of photographs.
        style: folder of paintings.
        out: folder for the two folders, which must be new.
        count: how many of each: `holdout` of `fit`.
        max_side: as of `fit`: the short side that a larger picture is reduced to.
        size: side of the squares in pixels; each is the centre of a picture.
    """
    at_least(1, count=count)
    at_least(16, size=size, max_side=max_side)
    folders = {"content": content, "style": style}
    check_outside(out, **folders)
    for name in folders:
        if (out / name).exists():
            raise UsageError(f"out: expected a folder without {name}, for what is there would be scored too, got {out}")
    kept = {name: Pictures(folder, max_side, count).held_out for name, folder in folders.items()}
    for name, pictures in kept.items():
        make_folder(out / name)
        for number, picture in enumerate(pictures, start=1):
            square = Image.fromarray(center_crop(picture, size).permute(1, 2, 0).numpy())
            save_image(square, out / name / f"{name}-{number:0{len(str(count))}}.png")
    print(out)
