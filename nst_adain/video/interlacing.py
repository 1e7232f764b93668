"""Turns the interlaced frames of television and camcorders, two half pictures in one, into whole pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import av

__all__ = ["deinterlaced"]

_SMALLEST = 16  # pixels a side that the filter is sure to take


def deinterlaced(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Yield as many frames, at the same times; those that are not interlaced are the same ones.

    The first field of each is completed by FFmpeg's filter bwdif (Weston 3 fields and Martinez) from the frames around it.
    """
    filtered: _Filter | None = None
    for frame in frames:
        kind = frame.width, frame.height, frame.format.name
        if filtered and filtered.kind != kind:
            yield from filtered.rest()
            filtered = None
        if not filtered and frame.interlaced_frame and min(frame.width, frame.height) >= _SMALLEST:
            filtered = _Filter(frame)
        if filtered:
            yield from filtered(frame)
        else:
            yield frame
    if filtered:
        yield from filtered.rest()


class _Filter:
    """Deinterlaces frames of one kind: size and format. It holds one frame back, as it looks at the next."""

    def __init__(self, frame: av.VideoFrame) -> None:
        import av

        self.kind = frame.width, frame.height, frame.format.name
        self.times: deque[Any] = deque()  # which the filter would count in another unit
        self.graph = av.filter.Graph()
        times = frame.time_base or Fraction(1)
        source = self.graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=times)
        bwdif = self.graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        self.graph.link_nodes(source, bwdif, self.graph.add("buffersink")).configure()

    def __call__(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        import av

        if frame is not None:
            self.times.append((frame.pts, frame.time_base, frame.duration))
        self.graph.push(frame)
        while True:
            try:
                ready: Any = self.graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            ready.pts, ready.time_base, ready.duration = self.times.popleft()
            yield ready

    def rest(self) -> Iterator[av.VideoFrame]:
        """Yield what is held back."""
        return self(None)
