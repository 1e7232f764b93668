"""Repairs the times of video and audio streams: they begin at 0, only increase, and stay in step with each other."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["JOIN", "LEAP", "Clock", "Timestamps", "clock_of", "move", "place"]

JOIN = 4  # frames or packets: a jump back by more begins another part of a file, a smaller one is out of order
LEAP = 10  # seconds: in formats whose clock may be set anew, a jump ahead by more begins another part too
_OVERLAP = Fraction(1, 5)  # seconds of sound beyond the pictures that a part may have, and the next begins without a pause
_PATIENCE = 5  # seconds of pictures to wait for a jump like that of a track of sound


@dataclasses.dataclass
class _Track:
    """Holds where a track of sound is: what is added to its times, how many parts it knows of, and its end so far."""

    shift: Fraction
    parts: int
    end: Fraction
    jumped: Fraction | None = None  # time of the pictures when it jumped, while it waits for them to do so


class Clock:
    """Joins the parts of a file in which the clock starts anew or leaps: files joined end to end, recordings of broadcasts.

    What is added to the times of a part is decided by the pictures, which follow one another; sound is moved along with
    them. All times are in seconds, of decoding, as those of the packets of one stream increase.
    """

    def __init__(self, leaps: bool = False) -> None:
        """Start before the first packet; `leaps`: whether a jump ahead by more than `LEAP` is no pause either."""
        self.leaps = leaps
        self.shifts = [Fraction(0)]  # what is added to the times of each part
        self.now: Fraction | None = None  # end of the last picture, shifted, like the ends of all tracks
        self.tracks: dict[int, _Track] = {}

    def picture(self, time: Fraction, step: Fraction) -> Fraction:
        """Return what to add to the times of the next packet of pictures, which takes about `step`."""
        if self.now is not None:
            heard = max((track.end for track in self.tracks.values()), default=self.now)
            ahead = time + self.shifts[-1] - self.now
            if ahead < -(JOIN + 1) * step or (self.leaps and min(ahead, ahead + self.now - heard) > LEAP):
                self.shifts.append(max(self.now, heard - _OVERLAP) - time)
        end = time + self.shifts[-1] + step
        self.now = end if self.now is None else max(self.now, end)
        return self.shifts[-1]

    def sound(self, index: int, time: Fraction, step: Fraction, waits: bool = True) -> Fraction | None:
        """Return what to add to the times of the next packet of a track of sound.

        Args:
            index: the track's number.
            time, step: as for a picture.
            waits: whether more packets follow.

        Returns:
            None: ask again after more pictures, as it depends on them.
        """
        if self.now is None and waits:
            return None
        now = time if self.now is None else self.now
        track = self.tracks.get(index)
        ahead = time + track.shift - track.end if track else Fraction(0)
        if track is None or ahead < -(JOIN + 1) * step or (self.leaps and min(ahead, time + track.shift - now) > LEAP):
            shift = min(self.shifts[track.parts if track else 0 :], key=lambda s: abs(time + s - now), default=None)
            fits = shift is not None and (abs(time + shift - now) <= LEAP or not (track or self.leaps))
            if track and not fits and waits:
                track.jumped = now if track.jumped is None else track.jumped
                if now - track.jumped <= _PATIENCE:
                    return None
            if shift is None or not fits:  # the jump is of this track alone, or its clock is another
                shift = (track.end if track else now) - time
            track = self.tracks[index] = _Track(shift, len(self.shifts), time + shift)
        track.end = max(track.end, time + track.shift + step)
        return track.shift


class Timestamps:
    """Turns the times of a stream's frames or packets, in order, into ones that a container accepts.

    AVI stores no display times: with B-frames they are guessed wrongly, but decoding times increase. As FFmpeg's players do,
    this trusts the kind with fewer faults so far.
    """

    def __init__(self) -> None:
        self.before: list[int | None] = [None, None]  # the file's last times of each kind
        self.faults = [0, 0]
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
        if self.last is None:
            self.last = time or 0
        else:
            self.last = self.last + step if time is None else max(time, self.last + 1)
        return self.last


def clock_of(reader: InputContainer) -> Clock:
    """Return a clock for a file that PyAV has opened."""
    from av.format import Flags

    return Clock(leaps=bool(reader.format.flags & cast(int, Flags.ts_discont.value)))


def place(packet: Any, clock: Clock, rate: Fraction | None) -> None:
    """Move a packet of pictures, `rate` a second as far as the file tells, to its place in time."""
    time = packet.pts if packet.dts is None else packet.dts
    if time is not None and packet.size:
        base = packet.time_base
        step = packet.duration * base if packet.duration else 1 / rate if rate else base
        move(packet, clock.picture(time * base, max(step, base)))


def move(packet: Any, seconds: Fraction) -> None:
    """Change the times of a packet by some seconds."""
    ticks = round(seconds / packet.time_base)
    packet.pts, packet.dts = (None if time is None else time + ticks for time in (packet.pts, packet.dts))
