"""What a `Stylizer` can be asked for: styles, and the keywords of its call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

from torch import Tensor

from nst_adain.contents import Tiling
from nst_adain.functional import SAVED, ChannelStats
from nst_adain.images import load_image
from nst_adain.inputs import Picture, Progress
from nst_adain.opening import MAX_PIXELS, open_image
from nst_adain.regions import Mask

if TYPE_CHECKING:
    from typing import TypeGuard

__all__ = ["Controls", "Style", "is_saved", "read_controls"]

Style: TypeAlias = "Picture | ChannelStats"


def is_saved(style: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether this is the file of a style that was encoded before."""
    return isinstance(style, (str, os.PathLike)) and Path(style).suffix.lower() == SAVED


class Controls(TypedDict, total=False):
    """The keywords of calling a `Stylizer`, for type checkers."""

    weights: Sequence[float] | None
    raw_weights: bool
    masks: Sequence[Mask] | Mask | None
    alpha: float | Mask
    preserve_color: Literal["luminance", "coral"] | None
    size: int | None
    style_size: int | None
    tile: Tiling
    max_pixels: int
    progress: Progress
    out: Tensor | None


def read_controls(controls: Controls) -> Controls:
    """The same with the files of masks in memory, for many calls: read once, and if one cannot be, then nothing is begun."""
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
