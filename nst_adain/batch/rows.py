"""What became of one photograph in one style."""

from __future__ import annotations

import dataclasses
from pathlib import Path

__all__ = ["Row"]


@dataclasses.dataclass(frozen=True)
class Row:
    """Tells what became of a photograph in a style.

    Attributes:
        key: the photograph's.
        photo: its file.
        style: the style's name; None if none was drawn.
        output: the result's file.
        sha256: of the result; None if it was not asked for, or there is none.
        seconds: for which it was read, computed and written; None if it was there already.
        error: why there is no result.
        wrong: the file that the error is about.
        errno: the system's number of the error, if it has one.
    """

    key: str
    photo: Path
    style: Path
    output: Path
    sha256: str | None = None
    seconds: float | None = None
    error: str | None = None
    wrong: Path | None = None
    errno: int | None = None
