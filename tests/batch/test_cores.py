"""The processor's cores are shared out among pictures, and given back."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from nst_adain.batch.cores import CORE_PIXELS, Cores

THREADS = torch.get_num_threads()


def test_cores_are_shared_out_and_never_twice() -> None:
    cores = Cores(torch.device("cpu"))
    cores.total = cores._free = 4
    lock, used, seen, threads = threading.Lock(), 0, [], {}

    def work(pixels: int) -> None:
        nonlocal used
        with cores.share(pixels):
            mine = min(4, -(-pixels // CORE_PIXELS))
            with lock:
                used += mine
                seen.append(used)
                threads[pixels] = torch.get_num_threads()
            time.sleep(0.01)
            with lock:
                used -= mine

    try:
        cores.work(work, [1, CORE_PIXELS, 2 * CORE_PIXELS, 9 * CORE_PIXELS] * 5)
    finally:
        torch.set_num_threads(THREADS)
    assert max(seen) == 4
    assert threads == {1: 1, CORE_PIXELS: 1, 2 * CORE_PIXELS: 2, 9 * CORE_PIXELS: 4}


def test_an_interrupt_stops_the_workers() -> None:
    cores = Cores(torch.device("cpu"))
    began: list[int] = []

    def work(item: int) -> None:
        began.append(item)
        if item == 0:
            raise KeyboardInterrupt
        cores.stopped.wait(10)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        cores.work(work, range(100))
    assert time.monotonic() - started < 5
    assert len(began) <= cores.workers + 1
