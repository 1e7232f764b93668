"""How the process gets memory for large tensors on a CPU."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

# mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGE = 160 << 20  # bytes; a layer of a tile of 2048 x 2048 pixels and its surroundings is smaller


def keep_freed_memory() -> None:
    """Let the C library keep what is freed for the next tensor, up to 160 MiB a block, instead of giving it back.

    glibc maps blocks above 32 MiB anew each time, and the system clears each of their pages at the first touch. A layer
    at 1024 x 1024 pixels is such a block, and most layers take less time than the clearing. The process holds its peak
    memory until it ends, so this is for programs, not for libraries. Other C libraries are left alone.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)
        libc.mallopt(_TRIM_THRESHOLD, 4 * _LARGE)
