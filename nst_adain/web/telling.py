"""Reports the progress of the page's jobs, and what went wrong in words."""

from __future__ import annotations

import contextlib
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import gradio as gr

from nst_adain.errors import out_of_memory

__all__ = ["CancelledError", "Jobs", "in_words", "reported", "reporting"]


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


@contextlib.contextmanager
def reported(folder: Path) -> Iterator[None]:
    """Turn errors within this block into messages on the page; arguments as for `in_words`."""
    try:
        yield
    except Exception as error:
        visible, words = not isinstance(error, CancelledError), in_words(error, folder)
        raise gr.Error(words, visible=visible, print_exception=False) from error


class Jobs:
    """Knows the long jobs that run, each by its session and name, so that they can be cancelled."""

    def __init__(self) -> None:
        self._cancelled: dict[tuple[str, str], threading.Event] = {}

    @contextlib.contextmanager
    def cancellable(self, request: gr.Request, job: str) -> Iterator[threading.Event]:
        """Register a long job while it runs; yield the event that is set if it is cancelled."""
        key, cancelled = (str(request.session_hash), job), threading.Event()
        self._cancelled[key] = cancelled
        try:
            yield cancelled
        finally:
            self._cancelled.pop(key, None)

    def cancel(self, request: gr.Request, job: str) -> None:
        """Cancel this session's job of a name, if it runs."""
        if event := self._cancelled.get((str(request.session_hash), job)):
            event.set()
