"""Repairs timestamps of video and audio streams so that they only increase."""

from __future__ import annotations

__all__ = ["JOIN", "Timestamps"]

JOIN = 4  # frames or packets: a jump back by more begins another file, a smaller one is out of order


class Timestamps:
    """Turns the times of a stream's frames or packets, in order, into ones that a container accepts.

    Files joined end to end start again from 0 in the middle. AVI stores no display times: with B-frames they are guessed
    wrongly, but decoding times increase. As FFmpeg's players do, this trusts the kind with fewer faults so far.
    """

    def __init__(self) -> None:
        self.before: list[int | None] = [None, None]  # the file's last times of each kind
        self.faults = [0, 0]
        self.shift = 0
        self.last: int | None = None

    def __call__(self, display: int | None, decoding: int | None, step: int) -> int:
        """Return a time later than all returned so far, in the same unit: the display time where it is sound.

        Args:
            display, decoding: the file's times; None if it has none.
            step: the time from one to the next, as far as it is known.
        """
        for kind, time in enumerate((display, decoding)):
            before = self.before[kind]
            if time is not None:
                self.faults[kind] += before is not None and time <= before
                self.before[kind] = time
        time = decoding if self.faults[0] > self.faults[1] else display
        following = 0 if self.last is None else self.last + step
        if time is None:
            self.last = following
        else:
            if self.last is not None and time + self.shift < self.last - JOIN * step:  # another file begins
                self.shift = following - time
            time += self.shift
            self.last = time if self.last is None else max(time, self.last + 1)
        return self.last
