"""Sharing the processor out among pictures that are computed at the same time."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import torch

__all__ = ["CORE_PIXELS", "READERS", "Cores"]

CORE_PIXELS = 1024 * 1024  # of a picture for each core that computes it: with more cores memory grows no faster
READERS = 2  # threads that read and write while the others compute

_T = TypeVar("_T")


class Cores:
    """The processor's cores, shared out among the pictures that are computed at the same time.

    A network on a small picture is faster on one core than on several, counted in the time of all: at each layer these wait
    for the last of them, which may be busy with reading or writing. A GPU is one core.
    """

    def __init__(self, device: torch.device) -> None:
        self.total = torch.get_num_threads() if device.type == "cpu" else 1
        self.workers = self.total + READERS
        self.stopped = threading.Event()
        self._free, self._changed, self._queue = self.total, threading.Condition(), threading.Lock()

    @contextlib.contextmanager
    def share(self, pixels: int, least: int = 1) -> Iterator[None]:
        """Compute in this block with the cores that a picture of this size is due, at least `least`, once they are free."""
        count = min(self.total, max(least, math.ceil(pixels / CORE_PIXELS)))
        with self._queue, self._changed:  # who waits for many is not overtaken for ever by those who want one
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            torch.set_num_threads(count)  # of this thread
            yield
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()

    def work(self, function: Callable[[_T], None], items: Sequence[_T]) -> None:
        """Call `function` on each item, by several threads.

        The first error, or an interrupt, sets `stopped`, which `function` should heed if it takes long, and ends it.
        """
        pool = ThreadPoolExecutor(self.workers)
        try:
            for call in as_completed([pool.submit(function, item) for item in items]):
                call.result()
        finally:
            self.stopped.set()
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(self.total)  # also what threads to come start with
