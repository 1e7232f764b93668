"""What the package raises and warns of: of files, of arguments that cannot be, and of memory that ran out."""

from __future__ import annotations

import numbers

__all__ = ["ImageError", "ImageWarning", "UsageError", "at_least", "one_line", "out_of_memory", "reason"]


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


def one_line(text: object) -> str:
    """What may quote a file, such as another library's error: in one line, without control characters, of bounded length."""
    line = "".join(c if c.isprintable() else " " for c in str(text)[:1000])
    return line if len(line) <= 200 else f"{line[:200]}..."


def reason(error: BaseException) -> str:
    """Why one of many files failed, in one line."""
    if out_of_memory(error):
        return "not enough memory for a picture of this size"
    words = " ".join(str(error).split())
    return words if isinstance(error, (ImageError, OSError)) else ": ".join(filter(None, (type(error).__name__, words)))
