"""Repairs timestamps of video and audio streams so that they only increase."""

from __future__ import annotations

__all__ = ["JOIN", "Timestamps"]

JOIN = 4  # frames or packets: what goes back further is another file, what does not is out of order


class Timestamps:
    """Turns the times of a stream's frames or packets, in order, into ones that a container takes.

    Files joined end to end begin anew in the middle. AVI has no times of display: with B-frames these are guessed wrongly, but
    the times of decoding go up steadily. Which of the two to trust is told by their faults so far, as FFmpeg's players do.
    """

    def __init__(self) -> None:
        self.before: list[int | None] = [None, None]  # as the file says
        self.faults = [0, 0]
        self.shift = 0
        self.last: int | None = None

    def __call__(self, display: int | None, decoding: int | None, step: int) -> int:
        """A time later than all that were returned, in the same unit; that of display where it is sound.

        Args:
            display, decoding: as the file says; None: it says nothing.
            step: from one to the next, as far as is known.
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
