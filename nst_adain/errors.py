"""Defines what the package raises and warns of: bad files, wrong arguments and memory that ran out."""

from __future__ import annotations

import numbers

__all__ = ["ImageError", "ImageWarning", "UsageError", "at_least", "one_line", "out_of_memory", "reason"]


class ImageError(ValueError):
    """Raised for a file that is not a picture, is damaged, or has more pixels than allowed. The message names the file."""


class ImageWarning(UserWarning):
    """Warns that a file was read although something is wrong with it. The message names the file."""


class UsageError(ValueError):
    """Raised for an argument that is wrong whatever the files hold: a command ends with exit status 2."""


def at_least(lowest: float, **options: float) -> None:
    """Raise UsageError if one of these options is lower than `lowest`."""
    for name, value in options.items():
        if not (isinstance(value, numbers.Real) and value >= lowest):  # refuses NaN too
            raise UsageError(f"{name}: expected at least {lowest}, got {value}")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is Python's or torch's, on any device, for memory that ran out."""
    return isinstance(error, MemoryError) or any(s in str(error) for s in ("can't allocate memory", "out of memory"))


def one_line(text: object) -> str:
    """Put text that may quote a file, such as another library's error, in one short line without control characters."""
    line = "".join(c if c.isprintable() else " " for c in str(text)[:1000])
    return line if len(line) <= 200 else f"{line[:200]}..."


def reason(error: BaseException) -> str:
    """Say in one line why one of many files failed."""
    if out_of_memory(error):
        return "not enough memory for a picture of this size"
    words = " ".join(str(error).split())
    return words if isinstance(error, (ImageError, OSError)) else ": ".join(filter(None, (type(error).__name__, words)))
