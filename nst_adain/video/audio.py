"""Carries the sound of a video over to another: copied where the container takes it, else encoded anew."""

from __future__ import annotations

import contextlib
import io
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nst_adain.errors import ImageWarning
from nst_adain.video.frames import keep_labels, opened
from nst_adain.video.timestamps import LEAP, Clock, Timestamps, move

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import OutputContainer

__all__ = ["Sound"]

_LOOKED_AT = 2000  # packets in which to find the first of each track
_OF_FFMPEG = 4096  # from which on errors have numbers of FFmpeg's own, rather than the operating system's
_BIT_RATE = 96_000  # bits per second and channel

_Packet: TypeAlias = Any  # av.Packet
_Writer: TypeAlias = "Callable[[_Packet | None], Iterator[_Packet]]"  # takes a packet, None at the end; yields those to write


class Sound:
    """Moves the tracks of sound of one file to another, in step with its pictures."""

    def __init__(self, streams: Sequence[AudioStream], writer: OutputContainer, source: Path, clock: Clock) -> None:
        """Add a track to `writer` for each of these streams of the file `source`; warn of those that must be left out."""
        self.writer, self.clock = writer, clock
        self.streams: list[AudioStream] = []
        self.waiting: dict[int, list[_Packet]] = {}  # by track: packets whose place in time is not yet known
        self.ready: list[_Packet] = []
        self._writers: dict[int, _Writer] = {}
        first = _first_packets(source) if streams else {}
        for number, stream in enumerate(streams, 1):
            carry = _carrier(stream, writer, first.get(stream.index))
            if carry is None:
                codec = stream.codec_context.name if stream.codec_context else "unknown"
                what = f"sound track {number} of {len(streams)} is left out, as its codec ({codec}) cannot be"
                warnings.warn(f"{source}: {what} copied or decoded", ImageWarning, stacklevel=4)
                continue
            self.streams.append(stream)
            self.waiting[stream.index], self._writers[stream.index] = [], carry

    def starts(self, picture: Fraction) -> list[Fraction]:
        """Return when the tracks begin that begin before the first picture, in seconds, as far as the file tells."""
        starts = [s.start_time * s.time_base for s in self.streams if s.start_time is not None and s.time_base]
        return [start for start in starts if start < picture and not (self.clock.leaps and picture - start > LEAP)]

    def read(self, packet: _Packet | None) -> None:
        """Take a packet from the file, or None after the last: what waits for one of the pictures waits no longer."""
        if packet is not None and packet.dts is not None:  # an empty packet ends a track
            self.waiting[packet.stream.index].append(packet)
        for index, packets in self.waiting.items():
            while packets:
                head = packets[0]
                step = (head.duration or 1) * head.time_base
                shift = self.clock.sound(index, head.dts * head.time_base, step, waits=packet is not None)
                if shift is None:
                    break
                move(head, shift)
                self.ready.append(packets.pop(0))

    def write(self, origin: Fraction) -> None:
        """Write what has been read and has its place, earlier by `origin` seconds."""
        import av

        for packet in self.ready:
            move(packet, -origin)
            try:
                self.writer.mux(list(self._writers[packet.stream.index](packet)))
            except av.error.FFmpegError as error:
                if (error.errno or 0) < _OF_FFMPEG:  # such as a full disk
                    raise
                # The muxer takes no damaged packet: a moment's silence, as in a player.
        self.ready.clear()

    def finish(self, origin: Fraction) -> None:
        """Write the rest."""
        self.read(None)
        self.write(origin)
        for write in self._writers.values():
            self.writer.mux(list(write(None)))


def _first_packets(source: Path) -> dict[int, _Packet]:
    """Return the first packet of each track of sound."""
    first: dict[int, _Packet] = {}
    with opened(source) as reader:
        sounds = len(reader.streams.audio)
        for packet in itertools.islice(reader.demux(), _LOOKED_AT):
            if packet.stream.type == "audio" and packet.size:
                first.setdefault(packet.stream.index, packet)
                if len(first) == sounds:
                    break
    return first


def _carrier(stream: AudioStream, writer: OutputContainer, first: _Packet | None) -> _Writer | None:
    """Add a track like `stream`, whose first packet is given, and return what writes it; None if nothing can."""
    import av

    if stream.codec_context is None:
        return None
    try:
        if _takes(writer.format.name, stream, first):
            track: Any = writer.add_stream_from_template(stream)
            carry = _copier(track)
        else:
            codec = "libopus" if writer.format.name == "webm" else "aac"
            options = _encoding(codec, stream)
            track = writer.add_stream(codec, **options)
            carry = _encoder(track, options)
    except (ValueError, av.error.FFmpegError):
        return None
    keep_labels(track, stream)
    return carry


def _takes(container: str, stream: AudioStream, first: _Packet | None) -> bool:
    """Whether a container takes a track: of some, FFmpeg says so only once it has to write them."""
    import av

    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            track = trial.add_stream_from_template(stream)
            if first is None:
                trial.start_encoding()
            else:
                first.stream, first.pts, first.dts = track, 0, 0
                trial.mux(first)
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _copier(track: Any) -> _Writer:
    timestamps = Timestamps()

    def copy(packet: _Packet | None) -> Iterator[_Packet]:
        if packet is not None:
            _straighten(packet, timestamps)
            packet.stream = track
            yield packet

    return copy


def _encoding(codec: str, stream: AudioStream) -> dict[str, Any]:
    """Choose the rate and channels with which a codec takes a track.

    Raises:
        ValueError: if it takes none.
    """
    import av

    given = stream.codec_context
    rates = av.Codec(codec, "w").audio_rates or []
    rate = min((r for r in rates if r >= given.sample_rate), default=max(rates))
    for layout in dict.fromkeys((given.layout.name, "stereo")):  # codecs do not know every arrangement of loudspeakers
        trial: Any = av.CodecContext.create(codec, "w")
        options = {"rate": rate, "layout": layout, "bit_rate": _BIT_RATE * av.AudioLayout(layout).nb_channels}
        silence = av.AudioFrame(given.format.name, given.layout.name, 1024)
        silence.sample_rate = given.sample_rate
        try:
            trial.rate, trial.layout, trial.format = rate, layout, trial.codec.audio_formats[0]
            trial.open()
            av.AudioResampler(trial.format, layout, rate).resample(silence)
        except (ValueError, av.error.FFmpegError):
            continue
        return options
    raise ValueError(f"{codec}: cannot encode {given.layout.name}")


def _encoder(track: Any, options: dict[str, Any]) -> _Writer:
    import av

    timestamps, conversion = Timestamps(), _Conversion(track.codec_context.format, options["layout"], options["rate"])

    def encode(packet: _Packet | None) -> Iterator[_Packet]:
        frames: list[Any] = [None] if packet is None else []
        if packet is not None:
            _straighten(packet, timestamps)
            with contextlib.suppress(av.error.FFmpegError):  # a damaged packet is a moment's silence
                frames = packet.decode()
        for frame in frames:
            with contextlib.suppress(av.error.FFmpegError):
                for sound in conversion(frame):
                    yield from track.encode(sound)
        if packet is None:
            yield from track.encode(None)

    return encode


class _Conversion:
    """Converts decoded sound for an encoder, also where it changes, as broadcasts do from stereo to surround."""

    def __init__(self, *target: Any) -> None:
        self.target = target
        self.kind: tuple[str, str, int] | None = None
        self.resampler: Any = None
        self.end: Fraction | None = None  # of the last frame, in seconds

    def __call__(self, frame: Any) -> list[Any]:
        """Return what is ready to be encoded after one more frame, None after the last."""
        import av

        kind = frame and (frame.format.name, frame.layout.name, frame.sample_rate)
        ready: list[Any] = []
        if kind != self.kind:
            ready = self.resampler.resample(None) if self.resampler else []
            self.resampler, self.kind = av.AudioResampler(*self.target) if kind else None, kind
        if frame is not None:
            # Count in samples: the file may count in packets, which are longer than the encoder's frames.
            start = self.end or Fraction(0) if frame.pts is None else frame.pts * frame.time_base
            frame.pts, frame.time_base = round(start * frame.sample_rate), Fraction(1, frame.sample_rate)
            self.end = start + Fraction(frame.samples, frame.sample_rate)
            ready += self.resampler.resample(frame)
        return ready


def _straighten(packet: _Packet, timestamps: Timestamps) -> None:
    shift = timestamps(packet.dts, packet.dts, packet.duration or 1) - packet.dts
    packet.dts += shift
    packet.pts = packet.dts if packet.pts is None else packet.pts + shift
