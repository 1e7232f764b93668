"""What the package raises and warns of: of files, of arguments that cannot be, and of memory that ran out."""

from __future__ import annotations

import numbers

__all__ = ["ImageError", "ImageWarning", "UsageError", "at_least", "out_of_memory"]


class ImageError(ValueError):
    """A file that is not a picture, is damaged, or has more pixels than allowed. The message names it."""


class ImageWarning(UserWarning):
    """A file was read although it is not as it should be. The message names it."""


class UsageError(ValueError):
    """An argument that cannot be, whatever the files hold: a command ends with exit status 2."""


def at_least(lowest: float, **options: float) -> None:
    """Raise UsageError if one of these options is lower."""
    for name, value in options.items():
        if not (isinstance(value, numbers.Real) and value >= lowest):  # nor is NaN
            raise UsageError(f"{name}: expected at least {lowest}, got {value}")


def out_of_memory(error: BaseException) -> bool:
    """Whether this is how Python or torch, on any device, say that memory ran out."""
    return isinstance(error, MemoryError) or any(s in str(error) for s in ("can't allocate memory", "out of memory"))
