"""Which file each result is, and that it is none of the inputs."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from nst_adain.errors import UsageError

__all__ = ["check_apart", "pairs_by_result", "result_name"]

_Name = TypeVar("_Name", bound=Hashable)
_Pair = TypeVar("_Pair", bound="tuple[object, object]")
_LONGEST = 120  # bytes of each half of a name, which may have 255


def check_apart(output: Path | Sequence[Path], *inputs: object) -> None:
    """Raise UsageError if an output is one of the inputs, of which those that are no paths do not count."""
    taken = {path.resolve() for path in inputs if isinstance(path, Path)}
    for path in [output] if isinstance(output, Path) else output:
        if path.resolve() in taken:
            raise UsageError(f"{path}: expected another name than that of an input")


def pairs_by_result(results: Iterable[tuple[_Name, _Pair]]) -> dict[_Name, _Pair]:
    """Which photograph and style each result is of.

    Raises:
        ValueError: if two pairs would have one result.
    """
    pairs: dict[_Name, _Pair] = {}
    for name, pair in results:
        if name in pairs:
            both = " and of ".join(f"{photo} in the style {style}" for photo, style in (pairs[name], pair))
            raise ValueError(f"{name}: would be the result of {both}; rename one of these files")
        pairs[name] = pair
    return pairs


def result_name(photo: Path, styles: Sequence[Path], suffix: str = ".png") -> str:
    """PHOTO__STYLE.png, or PHOTO__STYLE_STYLE.png: cut where that would be too long for a file's name."""
    halves = [photo.stem, "_".join(style.stem for style in styles)]
    for number, half in enumerate(halves):
        while len(os.fsencode(half)) > _LONGEST:
            half = half[:-1]
        halves[number] = half
    return "__".join(halves) + suffix
