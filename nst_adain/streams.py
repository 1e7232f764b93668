"""Keeps programs working that have no standard streams, as under `2>&-`, pythonw, services and frozen programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

__all__ = ["open_missing_streams", "progress_bar"]


def open_missing_streams() -> None:
    """Open the standard streams that are missing or closed on the null device.

    Otherwise the next files that are opened get their numbers, 0 to 2, and whatever libraries print ends up in these files.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)  # it stays open in place of a stream, also in processes that this one starts
    os.close(number)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if not _is_open(getattr(sys, name)):
            null = os.open(os.devnull, os.O_RDWR)  # never closed, as the standard streams are not
            setattr(sys, name, open(null, mode, encoding="utf-8", errors="backslashreplace", closefd=False))  # noqa: SIM115


def progress_bar(things: Iterable[Any] | None = None, *, unit: str, shown: bool, total: int | None = None) -> Any:
    """Return tqdm's bar on standard error, which can be iterated over, updated and closed; it shows nothing if there is none.

    Args:
        things: what to iterate over, if it is not updated by hand.
        unit: one of them, as a word.
        shown: whether to show it.
        total: their number, if known.
    """
    from tqdm import tqdm

    return tqdm(things, total=total, unit=unit, disable=not (shown and _is_open(sys.stderr)), file=sys.stderr)


def _is_open(stream: Any) -> bool:
    return stream is not None and not stream.closed
