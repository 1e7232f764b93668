"""What the commands say of arguments that cannot be."""

from __future__ import annotations

import numbers

__all__ = ["UsageError", "at_least"]


class UsageError(ValueError):
    """An argument that cannot be, whatever the files hold: a command ends with exit status 2."""


def at_least(lowest: float, **options: float) -> None:
    """Raise UsageError if one of these options is lower."""
    for name, value in options.items():
        if not (isinstance(value, numbers.Real) and value >= lowest):  # nor is NaN
            raise UsageError(f"{name}: expected at least {lowest}, got {value}")
