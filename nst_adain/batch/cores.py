"""Shares the processor among pictures that are computed at the same time."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import torch
from PIL import Image

from nst_adain.errors import UsageError, reason

__all__ = ["CORE_PIXELS", "READERS", "Cores", "area", "why"]

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
    def share(self, pixels: int) -> Iterator[float]:
        """Wait for as many cores as a picture of this size needs, and use them in this block; yield the seconds waited.

        The number depends on nothing else: sums in bfloat16 differ in their last bits between one thread and several.
        """
        count, began = min(self.total, math.ceil(pixels / CORE_PIXELS)), time.perf_counter()
        with self._queue, self._changed:  # in a queue: a thread that waits for many must not be overtaken forever
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            waited = time.perf_counter() - began
            torch.set_num_threads(count)  # for this thread
            yield waited
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


def why(error: Exception) -> str:
    """Say what is wrong with one file, while the others go on; raise UsageError again, which concerns the whole call."""
    if isinstance(error, UsageError):
        raise error
    return reason(error)  # even an unexpected error must not lose the rest of a night's work


def area(image: Image.Image, side: int | None) -> int:
    """Count the pixels of a picture once its short side is scaled to `side`."""
    return image.width * image.height if side is None else round(side**2 * max(image.size) / min(image.size))
