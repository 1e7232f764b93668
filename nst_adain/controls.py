"""Declares the controls of a `Stylizer`: their types and limits, and the checks that a value is within them."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nst_adain.errors import UsageError
from nst_adain.functional import SAVED, ChannelStats
from nst_adain.images.sources import File, is_file
from nst_adain.images.tiff import Pixels

if TYPE_CHECKING:
    from typing import TypeGuard

__all__ = [
    "BOLDNESS",
    "LARGEST",
    "LOOK_SIZE",
    "STYLE_SIZE",
    "ContentControls",
    "Controls",
    "Detail",
    "Kind",
    "Mask",
    "Picture",
    "Progress",
    "Same",
    "Shown",
    "Style",
    "Styles",
    "Tiling",
    "check_alpha",
    "check_boldness",
    "check_detail",
    "check_several",
    "check_side",
    "check_style_size",
    "check_weights",
    "is_saved",
]

BOLDNESS = 0.4  # the default, chosen by eye: the style is plain at first glance, and faces and buildings can be read
LOOK_SIZE = 512  # pixels: the default short side at which a larger content gets its look
STYLE_SIZE = 512  # pixels: the default short side to which larger style pictures are reduced
# The largest strength, factor of a style, and product of both: far larger ones overflow.
LARGEST = 10_000

# A picture: a file, a PIL image, an array (H, W, 3 or 4) or (H, W), or a tensor (B, 3, H, W) or (3, H, W), RGB: uint8, or float
# in [0, 1].
Picture: TypeAlias = File | Image.Image | NDArray[np.generic] | Tensor
# What a content was handed in as, and what its result is: a PIL image, also for files; an array (H, W, 3 or 4); a tensor
# (B, 3, H, W); or a single tensor (3, H, W).
Kind: TypeAlias = Literal["picture", "array", "tensor", "single"]
# What gives results of its own type, and what gives PIL images.
Same = TypeVar("Same", Tensor, NDArray[Any])
Shown: TypeAlias = File | Image.Image
# A style: a picture, or the statistics that a model encoded it to. Several are mixed.
Style: TypeAlias = Picture | ChannelStats
Styles: TypeAlias = Style | Sequence[Style]
# A mask: a file or picture whose lightness says how much, or an array or tensor (H, W), float in [0, 1] or uint8.
Mask: TypeAlias = File | Image.Image | NDArray[np.generic] | Tensor
# What a content larger than its look has of its own: fine strokes, or the photograph's details alone.
Detail: TypeAlias = Literal["strokes", "photo"]
# The side of tiles in pixels, a multiple of 8; None: the whole picture at once.
Tiling: TypeAlias = int | Literal["auto"] | None
# Whether to show a bar; or a function to call before each part with the number done and the total (None: unknown).
# An exception it raises ends the call.
Progress: TypeAlias = bool | Callable[[int, int | None], object]


def is_saved(style: object) -> TypeGuard[str | os.PathLike[str]]:
    """Whether a style is the path of a file that `ChannelStats.save` wrote."""
    return isinstance(style, (str, os.PathLike)) and Path(style).suffix.lower() == SAVED


def check_several(styles: object) -> None:
    """Raise TypeError if `styles`, which should be a list of them, is one picture or one encoded style."""
    if isinstance(styles, (str, os.PathLike, Image.Image, np.ndarray, Tensor, ChannelStats)):
        raise TypeError(f"styles: expected a list of them, got one {type(styles).__name__}")


def check_style_size(style_size: int | None, styles: Iterable[object]) -> None:
    """Raise UsageError if `style_size` is not the default although all styles are encoded already."""
    if style_size != STYLE_SIZE and all(isinstance(style, ChannelStats) or is_saved(style) for style in styles):
        raise UsageError(f"style_size: expected the default where all styles are encoded already, got {style_size}")


class ContentControls(TypedDict, total=False):
    """Lists the keywords of `Stylizer.encode_content`, for type checkers."""

    size: int | None
    look_size: int | None
    tile: Tiling
    max_pixels: int
    progress: Progress


class Controls(ContentControls, total=False):
    """Lists the keywords of `Stylizer.__call__`, for type checkers."""

    weights: Sequence[float] | Sequence[Sequence[float]] | None
    raw_weights: bool
    masks: Sequence[Mask] | Mask | None
    alpha: float | Mask | Sequence[float | Mask]
    preserve_color: Literal["luminance", "coral"] | None
    style_size: int | None
    boldness: float | None
    detail: Detail
    out: Pixels | None


def check_alpha(alpha: float | Mask) -> float | None:
    """Return the strength as a number, or None if it is a mask.

    Raises:
        ValueError: if it is neither a mask nor a number from 0 to `LARGEST`.
    """
    if is_file(alpha) or isinstance(alpha, Image.Image) or (isinstance(alpha, (np.ndarray, Tensor)) and alpha.ndim):
        return None
    try:
        number = float(alpha) if isinstance(alpha, (numbers.Real, np.ndarray, Tensor)) else math.nan
    except OverflowError:
        number = math.inf
    if not 0 <= number <= LARGEST:
        raise UsageError(f"alpha: expected a number from 0 to {LARGEST:,} (above 1 extrapolates) or a mask, got {alpha!r}")
    return number


def check_boldness(boldness: float, bold: bool) -> float:
    """Return the boldness of a model, which has a `bold` end, as a number.

    Raises:
        ValueError: if it is not a number from 0 to 1, or above 0 although there is no bold end.
    """
    value = float(boldness) if isinstance(boldness, numbers.Real) else math.nan
    if not 0 <= value <= 1:
        raise UsageError(f"boldness: expected a number from 0 to 1, got {boldness!r}")
    if value and not bold:
        raise UsageError(f"boldness: expected 0, as this model has no bold end, got {boldness!r}")
    return value


def check_detail(detail: str) -> None:
    """Raise ValueError unless `detail` is one of `Detail`."""
    if detail not in get_args(Detail):
        raise UsageError(f"detail: expected {' or '.join(map(repr, get_args(Detail)))}, got {detail!r}")


def check_weights(
    weights: Sequence[float] | None, count: int, raw: bool = False, masked: bool = False, alpha: float = 1.0
) -> list[float]:
    """Return one factor for each of `count` styles, scaled to sum to 1 unless `raw`.

    Raises:
        ValueError: if there are not `count` finite numbers, or they sum to 0 and so cannot be scaled, or a factor exceeds
            `LARGEST`, alone or times the strength `alpha`, or, with masks, a number is not above 0: each style gets a
            fraction of a place.
    """
    if count == 0:
        raise UsageError("styles: expected at least one, got none")
    try:
        if isinstance(weights, str):  # its characters may be digits, which float() would take
            raise TypeError
        factors = [1.0] * count if weights is None else [float(w) for w in weights]
        total = math.fsum(factors) if all(map(math.isfinite, factors)) else math.nan
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"weights: expected {count} finite numbers, one for each style, got {weights!r}") from error
    if len(factors) != count or not math.isfinite(total):
        raise UsageError(f"weights: expected {count} finite numbers, one for each style, got {weights}")
    if masked and raw:
        raise UsageError("raw_weights: not allowed with masks, where weights are shares of a place")
    if masked and min(factors) <= 0:
        raise UsageError(f"weights: expected numbers above 0 where there are masks, got {factors}")
    if raw and weights is None:
        raise UsageError("raw_weights: expected weights to use as they are, got none")
    if not raw and abs(total) <= 1e-9 * max(map(abs, factors)):
        raise UsageError(f"weights: {factors} sum to 0 and cannot be scaled to sum to 1; use them raw, or change them")
    used = factors if raw else [factor / total for factor in factors]
    if max(map(abs, used)) * max(1.0, alpha) > LARGEST:
        strength = f" at a strength of {alpha:g}" if alpha > 1 else ""
        raise UsageError(f"weights: expected factors up to {LARGEST / max(1.0, alpha):,g}{strength}, got {used} from {weights}")
    return used


def check_side(name: str, side: int) -> int:
    """Return a side in pixels as an int.

    Raises:
        ValueError: if it is not a whole number, or below 1, or so large that arithmetic on it would fail.
    """
    try:
        value = operator.index(side)
    except TypeError:
        value = 0
    if not 1 <= value < 2**31:
        raise UsageError(f"{name}: expected a whole number of pixels from 1 to {2**31 - 1:,}, got {side!r}")
    return value
