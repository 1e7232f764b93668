"""Replaces limits of Pillow's, which are global, while pictures are read."""

from __future__ import annotations

import threading
from typing import Any

from PIL import Image, PngImagePlugin

__all__ = ["PILLOW_LIMITS"]

_TEXT = 64 << 20  # bytes of text, or of a profile, when unpacked


class _Limits:
    """Sets limits while at least one picture is read.

    That of pixels only warns up to twice its value, and is checked again when pixels are decoded: `max_pixels` takes its place.
    Those of PNG's texts and profiles are 1 MiB, which some programs exceed.
    """

    def __init__(self) -> None:
        self.lock, self.readers = threading.Lock(), 0
        self.others: list[tuple[Any, str, int | None]] = [
            (Image, "MAX_IMAGE_PIXELS", None),
            (PngImagePlugin, "MAX_TEXT_CHUNK", _TEXT),
            (PngImagePlugin, "MAX_TEXT_MEMORY", _TEXT),
        ]

    def _swap(self) -> None:
        others = [(module, name, getattr(module, name)) for module, name, _ in self.others]
        for module, name, value in self.others:
            setattr(module, name, value)
        self.others = others

    def __enter__(self) -> None:
        with self.lock:
            if self.readers == 0:
                self._swap()
            self.readers += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.readers -= 1
            if self.readers == 0:
                self._swap()


PILLOW_LIMITS = _Limits()
