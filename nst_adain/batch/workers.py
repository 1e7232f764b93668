"""Shares a batch among processes, each with its own device or its share of the processor's cores.

One process a device, as Python runs one thread at a time: reading and writing for several GPUs would wait for each other.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any

import torch

from nst_adain.batch.making import Make, Making, make
from nst_adain.batch.pairing import Job
from nst_adain.batch.rows import Row
from nst_adain.errors import UsageError, at_least
from nst_adain.stylizer import Stylizer

__all__ = ["share_work"]

_MOST = 256  # photographs that a process gets at once

_given: dict[str, Any] = {}  # in a process of the pool: what it was started with


@contextlib.contextmanager
def share_work(stylizer: Stylizer, making: Making, workers: int = 1, devices: Sequence[str] = ()) -> Iterator[Make]:
    """Yield `making.make` for this process, or one that shares the jobs among processes which live as long as this block.

    Args:
        stylizer: the model, of which each process makes a copy.
        making: how pictures are made.
        workers: the number of processes, which share the processor's cores; 1: this one.
        devices: instead of that, where each process computes, such as cuda:0 and cuda:1; or "all": on every GPU.

    Raises:
        UsageError: if there are both, or fewer than one worker.
        ChildProcessError: if a process ends before its work.
    """
    at_least(1, workers=workers)
    if devices and workers > 1:
        raise UsageError(f"workers: not allowed with devices, each of which gets one, got {workers}")
    if list(devices) == ["all"]:
        kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        devices = [f"{kind.type}:{i}" for i in range(torch.accelerator.device_count())] if kind else []
        if not devices:
            raise UsageError("devices: expected the GPUs of this machine, found none")
    if workers == 1 and not devices:
        yield functools.partial(make, stylizer, making)
        return
    places = list(devices) or [str(stylizer.device)] * workers
    context = multiprocessing.get_context("spawn")  # a fork copies locks that other threads hold, and no GPU's state
    stopped, queue = context.Event(), context.SimpleQueue()
    for place in places:
        queue.put(place)
    threads = max(1, torch.get_num_threads() // len(places))
    on_cpu = dataclasses.replace(making, styles={name: code.to(torch.device("cpu")) for name, code in making.styles.items()})
    load = functools.partial(type(stylizer), stylizer.boldness.ends, precision=stylizer.precision)
    started = (load, on_cpu, queue, threads, stopped)
    pool = ProcessPoolExecutor(len(places), context, _start, started)
    try:
        yield functools.partial(_share, pool, len(places))
    except BrokenProcessPool as error:
        raise ChildProcessError("a worker ended before its work, perhaps for lack of memory; call again to go on") from error
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


def _share(pool: ProcessPoolExecutor, count: int, jobs: Sequence[Job], finish: Callable[[Row], None]) -> None:
    size = min(_MOST, max(1, len(jobs) // (8 * count)))
    calls = [pool.submit(_make, jobs[start : start + size]) for start in range(0, len(jobs), size)]
    for call in as_completed(calls):
        for row in call.result():
            finish(row)


def _start(load: Callable[..., Stylizer], making: Making, queue: Any, threads: int, stopped: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all: the first process ends the others
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    torch.set_num_threads(threads)
    _given.update(making=making, stopped=stopped)
    try:
        _given["stylizer"] = load(device=queue.get())
    except Exception as error:  # such as a device that is not there: raised where somebody hears it
        _given["error"] = error


def _end_with(sentinel: Any) -> None:
    """End this process once the one that started it was killed: nobody would take its results."""
    wait([sentinel])
    os._exit(1)


def _make(jobs: Sequence[Job]) -> list[Row]:
    if "error" in _given:
        raise _given["error"]
    rows: list[Row] = []
    make(_given["stylizer"], _given["making"], jobs, rows.append, _given["stopped"])
    return rows
