"""Names result files, and checks that none overwrites an input or another result."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from nst_adain.errors import UsageError

__all__ = ["check_apart", "pairs_by_result", "result_name"]

_Name = TypeVar("_Name", bound=Hashable)
_Pair = TypeVar("_Pair", bound="tuple[object, object]")
_LONGEST = 120  # bytes of each half of a name; the whole may have 255


def check_apart(output: Path | Sequence[Path], *inputs: object) -> None:
    """Raise UsageError if an output is one of the inputs; inputs that are not paths are ignored."""
    taken = {path.resolve() for path in inputs if isinstance(path, Path)}
    for path in [output] if isinstance(output, Path) else output:
        if path.resolve() in taken:
            raise UsageError(f"{path}: expected another name than that of an input")


def pairs_by_result(results: Iterable[tuple[_Name, _Pair]]) -> dict[_Name, _Pair]:
    """Map each result's name to its photograph and style.

    Raises:
        UsageError: if a pair comes twice.
        ValueError: if two pairs would have the same result.
    """
    pairs: dict[_Name, _Pair] = {}
    for name, pair in results:
        if pairs.get(name) == pair:
            raise UsageError(f"{pair[0]}: expected each photograph once, got it twice")
        if name in pairs:
            both = " and of ".join(f"{photo} in the style {style}" for photo, style in (pairs[name], pair))
            raise ValueError(f"{name}: would be the result of {both}; rename one of these files")
        pairs[name] = pair
    return pairs


def result_name(photo: Path, styles: Sequence[Path], suffix: str = ".png") -> str:
    """Return PHOTO__STYLE.png, or PHOTO__STYLE_STYLE.png, cut where it would be too long for a file name."""
    halves = [photo.stem, "_".join(style.stem for style in styles)]
    for number, half in enumerate(halves):
        while len(os.fsencode(half)) > _LONGEST:
            half = half[:-1]
        halves[number] = half
    return "__".join(halves) + suffix
