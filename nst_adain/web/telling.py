"""Reports the progress of the page's jobs, and what went wrong in words."""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

import gradio as gr

from nst_adain.errors import out_of_memory

__all__ = ["CancelledError", "in_words", "reporting"]


class CancelledError(Exception):
    """Raised inside a job to end it once it is cancelled."""


def reporting(
    cancelled: threading.Event, progress: gr.Progress, unit: str, limit: int | None = None
) -> Callable[[int, int | None], None]:
    """Return a progress function for a long job; it raises to end the job if cancelled or above `limit` parts."""

    def report(done: int, total: int | None) -> None:
        if cancelled.is_set():
            raise CancelledError
        if limit and max(done, total or 0) > limit:
            raise ValueError(f"expected at most {limit:,} {unit}, found {max(done, total or 0):,}")
        progress((done, total), unit=unit)

    return report


def in_words(error: Exception, folder: Path) -> str:
    """Describe an error to a user of the page, without this computer's folders, such as that of uploads."""
    if isinstance(error, CancelledError):
        return "Cancelled."
    if out_of_memory(error):
        return "There is not enough memory for this, even in tiles: choose a smaller size."
    if isinstance(error, (OSError, ValueError)):
        return re.sub(rf"{re.escape(str(folder))}/[^/]+/", "", str(error))
    traceback.print_exception(error)
    return "Something went wrong that is not your fault. The log of the server says what."
