"""What a `Stylizer` can be asked for: styles, and the keywords of its call."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

from nst_adain.contents import Tiling
from nst_adain.formats import open_image
from nst_adain.functional import SAVED, ChannelStats
from nst_adain.images import load_image
from nst_adain.inputs import Picture, Progress
from nst_adain.opening import MAX_PIXELS
from nst_adain.regions import Mask
from nst_adain.tiff import Pixels
from nst_adain.usage import UsageError

if TYPE_CHECKING:
    from typing import TypeGuard

__all__ = ["STYLE_SIZE", "ContentControls", "Controls", "Style", "check_style_size", "is_saved", "read_controls"]

STYLE_SIZE = 512  # pixels: without another, larger style pictures are reduced to it

Style: TypeAlias = Picture | ChannelStats


def is_saved(style: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether this is the file of a style that was encoded before."""
    return isinstance(style, (str, os.PathLike)) and Path(style).suffix.lower() == SAVED


def check_style_size(style_size: int | None, styles: Iterable[object]) -> None:
    """Raise UsageError if another `style_size` than the default is asked for, and no style is a picture any more."""
    if style_size != STYLE_SIZE and all(isinstance(style, ChannelStats) or is_saved(style) for style in styles):
        raise UsageError(f"style_size: expected the default where all styles are encoded already, got {style_size}")


class ContentControls(TypedDict, total=False):
    """The keywords of `Stylizer.encode_content`, for type checkers."""

    size: int | None
    tile: Tiling
    max_pixels: int
    progress: Progress


class Controls(ContentControls, total=False):
    """The keywords of calling a `Stylizer`, likewise."""

    weights: Sequence[float] | None
    raw_weights: bool
    masks: Sequence[Mask] | Mask | None
    alpha: float | Mask
    preserve_color: Literal["luminance", "coral"] | None
    style_size: int | None
    out: Pixels | None


def read_controls(controls: Controls, allowed: Collection[str]) -> Controls:
    """The same with the files of masks in memory, for many calls: read once, and if one cannot be, then nothing is begun.

    Raises:
        UsageError: if there is another control than those `allowed`.
    """
    if other := sorted(controls.keys() - {*allowed, "max_pixels"}):
        raise UsageError(f"controls: expected {', '.join(allowed)}, got {other[0]}")
    read: Controls = {**controls}
    alpha, masks, limit = controls.get("alpha"), controls.get("masks"), controls.get("max_pixels", MAX_PIXELS)
    if isinstance(alpha, (str, os.PathLike)):
        read["alpha"] = load_image(alpha, max_pixels=limit)
    if isinstance(masks, (str, os.PathLike)):
        read["masks"] = open_image(masks, max_pixels=limit)
    elif isinstance(masks, (list, tuple)):
        files = (str, os.PathLike)
        read["masks"] = [load_image(mask, max_pixels=limit) if isinstance(mask, files) else mask for mask in masks]
    return read
