"""Ends a command cleanly when a signal asks for it: with one line, exit status 130 and no half-written files."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

__all__ = ["STATUS", "end_at_once", "interruptible"]

STATUS = 130  # 128 plus the number of SIGINT, whichever signal it was
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP


def end_at_once(message: str) -> None:
    """Make interrupts print `message` and end the process at once, from now on; call it before loading anything.

    This covers the time in which libraries are loaded: nothing is written yet, and an exception could be swallowed by their
    code, or turned into another. While the interpreter shuts down, interrupts are ignored: the work is done.
    """
    atexit.register(_ignore)  # registered first, so called last
    _handle(_ending(message))


def _ending(message: str) -> Callable[[int, FrameType | None], None]:
    def end(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone
            os.write(2, f"{message}\n".encode())
        os._exit(STATUS)

    return end


def _ignore() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        # Python kills itself with SIGINT at its end if an interrupt passed through code that a C library ran, even if it was
        # caught later. With the signal blocked, the status stays the one that was asked for.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


@contextlib.contextmanager
def interruptible(message: str) -> Iterator[None]:
    """Make an interrupt in this block raise KeyboardInterrupt, so that partial files are removed; a second ends at once."""
    hook = sys.unraisablehook

    def interrupt(number: int, frame: FrameType | None) -> None:
        _handle(_ending(message))
        raise KeyboardInterrupt

    def swallowed(what: sys.UnraisableHookArgs) -> None:
        """Interrupt again if a finaliser or the callback of a weak reference was interrupted, which let no exception out."""
        if issubclass(what.exc_type, KeyboardInterrupt) and (handled := _handle(interrupt)):
            threading.Timer(0.01, _interrupt_main, [min(handled)]).start()  # after this hook, which lets none out either
        else:
            hook(what)

    before = _handle(interrupt)
    sys.unraisablehook = swallowed
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt_main(number: int) -> None:
    """Send a signal to the main thread, which wakes it where it waits; Windows has no signals for one thread."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


def _handle(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Install a handler for the signals that are not ignored (`nohup` ignores some); return the previous handlers."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    handled = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    try:
        for number in handled:
            signal.signal(number, handler)
    except ValueError:  # only the main thread can set handlers
        return {}
    return handled
