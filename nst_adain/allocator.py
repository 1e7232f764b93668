"""Tunes a process for speed on a CPU: memory for large tensors, and waiting threads. For programs, not for libraries."""

from __future__ import annotations

import ctypes
import os

__all__ = ["keep_freed_memory", "wait_briefly"]

# mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_SPINS = "1000"  # turns of the loop; the library's default is 300,000
_LARGE = 160 << 20  # bytes; a layer of a tile of 2048 x 2048 pixels and its surroundings is smaller


def keep_freed_memory() -> None:
    """Let the C library keep freed blocks of up to 160 MiB for the next tensor instead of giving them back.

    glibc maps blocks above 32 MiB anew each time, and the system clears each of their pages at the first touch. A layer
    at 1024 x 1024 pixels is such a block, and most layers take less time than the clearing. The process holds its peak
    memory until it ends, so this is for programs, not for libraries. Does nothing with other C libraries.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_TRIM_THRESHOLD, 4 * _LARGE)


def wait_briefly() -> None:
    """Let threads that wait for one another sleep soon, so that they run well beside other busy processes.

    At the end of each layer all threads wait for the last one. GNU's OpenMP, which torch uses on Linux, makes them spin for
    milliseconds; if the last one has no core meanwhile, it must wait until one of the others gives up its own. A short loop
    costs 3 to 13 % where nothing else runs; beside busy processes a call takes less than half as long, often a tenth. No loop
    at all would cost 15 to 86 % (slim and base, 256 and 512 pixels, two cores).

    Call it before torch is loaded: the library reads the environment then. Settings already in the environment are kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
