"""Shares the processor among pictures that are computed at the same time."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import torch

__all__ = ["CORE_PIXELS", "READERS", "Cores"]

CORE_PIXELS = 1024 * 1024  # pixels of a picture per core that computes it, so that more cores do not mean more memory
READERS = 2  # threads that read and write while the others compute

_T = TypeVar("_T")


class Cores:
    """Shares the processor's cores among the pictures that are computed at the same time.

    On a small picture, several cores spend more time in total than one: at each layer they wait for the last of them, which
    may be busy reading or writing. A GPU counts as one core.
    """

    def __init__(self, device: torch.device) -> None:
        self.total = torch.get_num_threads() if device.type == "cpu" else 1
        self.workers = self.total + READERS
        self.stopped = threading.Event()
        self._free, self._changed, self._queue = self.total, threading.Condition(), threading.Lock()

    @contextlib.contextmanager
    def share(self, pixels: int, least: int = 1) -> Iterator[None]:
        """Wait for as many cores as a picture of this size needs, but at least `least`, and use them in this block."""
        count = min(self.total, max(least, math.ceil(pixels / CORE_PIXELS)))
        with self._queue, self._changed:  # in a queue: a thread that waits for many must not be overtaken forever
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            torch.set_num_threads(count)  # for this thread
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()

    def work(self, function: Callable[[_T], None], items: Sequence[_T]) -> None:
        """Call `function` on each item, in several threads.

        The first error, or an interrupt, sets `stopped`, which a slow `function` should check, cancels the rest and is raised.
        """
        pool = ThreadPoolExecutor(self.workers)
        try:
            for call in as_completed([pool.submit(function, item) for item in items]):
                call.result()
        finally:
            self.stopped.set()
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self.total)  # later threads start with this number too
