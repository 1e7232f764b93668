"""How a command ends when a signal asks it to: in one line, with exit status 130, and nothing half written stays."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

__all__ = ["STATUS", "end_at_once", "interruptible"]

STATUS = 130  # 128 and the number of SIGINT, whichever signal it was
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP


def end_at_once(message: str) -> None:
    """From now on an interrupt says so and ends the process where it stands; to be called before anything is loaded.

    For the time in which libraries are loaded: nothing is written yet, and an exception would be lost in their code, or come
    out of it as another. While the interpreter is taken down, in the end, an interrupt is ignored: the job is done.
    """
    atexit.register(_ignore)  # the first that is registered is the last that is called
    _handle(_ending(message))


def _ending(message: str) -> Callable[[int, FrameType | None], None]:
    def end(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):  # of a terminal that is gone
            os.write(2, f"{message}\n".encode())
        os._exit(STATUS)

    return end


def _ignore() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def interruptible(message: str) -> Iterator[None]:
    """In this block an interrupt raises KeyboardInterrupt, so that what is half written is removed; a second ends at once."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        _handle(_ending(message))
        raise KeyboardInterrupt

    before = _handle(interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handle(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Let a function handle the signals that are not ignored, as `nohup` wants it; and what handled them before."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    handled = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    try:
        for number in handled:
            signal.signal(number, handler)
    except ValueError:  # only a program's main thread can
        return {}
    return handled
