"""Time and memory that a computation takes."""

from __future__ import annotations

import threading
import time

import psutil
import torch

__all__ = ["PeakRss", "now"]


def now(device: torch.device) -> float:
    """The time, in seconds, when all that was asked of a device so far is done."""
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter()


class PeakRss(threading.Thread):
    """The most resident memory this process has while the block runs, looked up every millisecond."""

    def __enter__(self) -> PeakRss:
        self.process, self.done = psutil.Process(), threading.Event()
        self.first = self.highest = self.process.memory_info().rss
        self.start()
        return self

    def run(self) -> None:
        """Watch until the block ends."""
        while not self.done.wait(0.001):
            self.highest = max(self.highest, self.process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()

    @property
    def above_start(self) -> int:
        """Bytes."""
        return self.highest - self.first
