"""Stylises videos frame by frame in constant memory, with PyAV (FFmpeg)."""

from __future__ import annotations

import errno
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nst_adain.controls import Controls, Progress, check_side, check_weights
from nst_adain.errors import ImageError, UsageError
from nst_adain.functional import ChannelStats
from nst_adain.images.inputs import check_scaled
from nst_adain.images.masks import read_controls
from nst_adain.images.metadata import keep_video_tags
from nst_adain.images.opening import MAX_PIXELS, check_pixels
from nst_adain.streams import progress_bar
from nst_adain.stylizer import Stylizer
from nst_adain.video.audio import Sound
from nst_adain.video.frames import (
    FrameEncoder,
    check_moving,
    opened,
    scaled,
    scaled_size,
    upright,
    upright_size,
    whole_or_nothing,
)
from nst_adain.video.interlacing import deinterlaced
from nst_adain.video.picture_streams import decoder, picture_stream
from nst_adain.video.smoothing import SmoothedStylizer
from nst_adain.video.timestamps import Timestamps, clock_of, place
from nst_adain.video.truncation import describe_cut

if TYPE_CHECKING:
    import av
    from av.container import InputContainer, OutputContainer

__all__ = ["stylize_video"]

_CONTROLS = ("alpha", "boldness", "preserve_color", "look_size", "detail")
_OF_THE_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)


def stylize_video(
    stylizer: Stylizer,
    source: str | os.PathLike[str],
    styles: Sequence[ChannelStats],
    output: str | os.PathLike[str],
    *,
    weights: Sequence[float] | None = None,
    end_weights: Sequence[float] | None = None,
    steadiness: float = 0.7,
    size: int | None = None,
    crf: int = 18,
    max_pixels: int = MAX_PIXELS,
    keep_metadata: bool = False,
    audio: bool = True,
    progress: Progress = False,
    controls: Controls | None = None,
) -> int:
    """Stylise a video. Every frame keeps its time, counted from the beginning; the output is written whole or not at all.

    Sound is copied where the output's container takes it, else encoded anew (as Opus for WebM, else AAC).

    Stores colours as BT.709 in standard range, and marks the file so; converts BT.2020 and high dynamic range (PQ, HLG). Pixels
    become square. Interlaced frames are deinterlaced, and transparent places become white.

    Args:
        stylizer: the model.
        source: any video that FFmpeg reads.
        styles: results of `Stylizer.encode_style`.
        output: the file to write; its suffix, one of `SUFFIXES`, selects the container.
        weights: one for each style, scaled to sum to 1; default: equal.
        end_weights: weights at the last frame, if the mixture changes over time.
        steadiness: temporal smoothing: the share of earlier frames, moved along with their content, in each frame, from 0
            (none) to below 1; 0.9 is most of it.
        size: short side in pixels to which frames are scaled; both sides become even, as players need.
        crf: quality of the encoder, 0 (best) to 51.
        max_pixels: the largest frame to read or make.
        keep_metadata: copy date, camera, place, author and title, as far as the source has them.
        audio: whether the output has sound.
        progress: show a progress bar on standard error; or call a function before each frame with the number done and the
            total, None if the file does not say. An exception it raises ends the call.
        controls: alpha, boldness, look_size, detail, or preserve_color "luminance".

    Returns:
        The number of frames written.

    Warns:
        UserWarning: if the source is cut short; the frames that are there are stylised.
        ImageWarning: if a track of sound must be left out.

    Raises:
        ModuleNotFoundError: if PyAV or OpenCV is not installed.
        FileNotFoundError: if the source or the output's folder does not exist.
        ImageError: if the source is a still picture or no video, is damaged, or has larger frames than allowed.
        ValueError: if an option is out of range.
    """
    import av

    source, output = Path(source), Path(output)
    _check_files(source, output)
    # No masks: the statistics under them would not be smoothed over time.
    kept = read_controls({**(controls or {}), "max_pixels": max_pixels}, _CONTROLS)
    start = check_weights(weights, len(styles))
    end = start if end_weights is None else check_weights(end_weights, len(styles))
    restyle = _restyler(stylizer, list(styles), (start, end), steadiness, size, kept)
    try:
        check_moving(source)
        with (
            whole_or_nothing(output) as partial,
            opened(source) as reader,
            opened(partial, "w", free_tags=keep_metadata) as writer,
        ):
            frames = _Transcoder(reader, writer, crf, source, audio)
            if keep_metadata:
                writer.metadata.update(keep_video_tags(frames.video.metadata, reader.metadata))
            span = _span(source) if end != start else None
            for image in frames.images(progress, max_pixels):
                frames.write(restyle(image, min(1.0, frames.seconds / span) if span else 0.0))
            frames.finish()
    except av.error.FFmpegError as error:
        raise _in_words(error, source, output) from error
    if cut := describe_cut(source):
        warnings.warn(cut, stacklevel=2)
    return frames.count


def _check_files(source: Path, output: Path) -> None:
    if not source.is_file():
        raise FileNotFoundError(f"{source}: expected a video, found {'a folder' if source.is_dir() else 'no such file'}")
    if output.resolve() == source.resolve():
        raise UsageError(f"{output}: expected another name than the source's")


def _restyler(
    stylizer: Stylizer,
    styles: list[ChannelStats],
    weights: tuple[Sequence[float], Sequence[float]],
    steadiness: float,
    size: int | None,
    kept: Controls,
) -> Callable[[Image.Image, float], NDArray[np.uint8]]:
    """Return a function that stylises one frame after the other, at a position from 0 to 1 between the two weights."""
    if size is not None:
        check_side("size", size)
    smoothed = SmoothedStylizer(stylizer, steadiness)
    stylizer.boldness.of(kept.get("boldness"))
    max_pixels = kept["max_pixels"]

    def restyle(image: Image.Image, position: float) -> NDArray[np.uint8]:
        if size is not None:
            check_scaled("size", size, math.prod(scaled_size(image.size, size)), max_pixels)
            image = scaled(image, size)
        given: Controls = {**kept, "weights": _between(*weights, position), "raw_weights": True}
        return np.asarray(smoothed(image, styles, **given))

    return restyle


def _in_words(error: av.error.FFmpegError, source: Path, output: Path) -> OSError | ImageError:
    """Turn FFmpeg's error into one that says what failed."""
    if error.errno in _OF_THE_OUTPUT and error.filename != str(source.absolute()):
        return OSError(error.errno, error.strerror, str(output))
    # Leave out `filename`, which may be the output's temporary name.
    return ImageError(f"{source}: expected a video that can be read and written as {output.suffix}: {error.strerror}")


def _between(start: Sequence[float], end: Sequence[float], position: float) -> list[float]:
    return [(1 - position) * a + position * b for a, b in zip(start, end)]


def _span(source: Path) -> float:
    """Measure the seconds from the first frame to the last: a file may state no length, or that of its sound."""
    with opened(source) as reader:
        stream = picture_stream(reader, source)
        clock, rate = clock_of(reader), stream.average_rate or stream.guessed_rate
        shown = []
        for packet in reader.demux(stream):
            if packet.size:
                place(packet, clock, rate)
                if not packet.is_discard:  # such as the frames before a trimmed clip, which are never shown
                    shown.append(packet.pts)
    times = [time for time in shown if time is not None]
    if times and stream.time_base:
        return float((max(times) - min(times)) * stream.time_base)
    return (len(shown) - 1) / float(rate) if rate else 0.0


class _Transcoder:
    """Reads one video and writes another: decodes frames to pictures, and passes sound on."""

    def __init__(self, reader: InputContainer, writer: OutputContainer, crf: int, source: Path, audio: bool) -> None:
        self.reader, self.source = reader, source
        self.video = picture_stream(reader, source)
        self.decode = decoder(self.video)
        self.clock, self.timestamps = clock_of(reader), Timestamps()
        self.sound = Sound(reader.streams.audio if audio else (), writer, source, self.clock)
        self.frame: av.VideoFrame | None = None
        self.rate = self.video.average_rate or self.video.guessed_rate
        self.encoder = FrameEncoder(writer, crf, self.rate, self.video.time_base, self.video)
        self.count = 0
        self.origin: Fraction | None = None  # where the output begins, in seconds of the source
        self.seconds = 0.0  # from the first frame to this one

    def images(self, progress: Progress, max_pixels: int) -> Iterator[Image.Image]:
        """Yield every frame, upright and deinterlaced."""
        total = self.video.frames or None
        bar = progress_bar(total=total, unit="frame", shown=progress is True)
        first = None
        for frame in deinterlaced(self._frames()):
            if callable(progress):
                progress(self.count, total)
            self.frame, self.count = frame, self.count + 1
            time = frame.time or 0.0
            first = time if first is None else first
            self.seconds = time - first
            aspect = self.video.sample_aspect_ratio
            check_pixels(self.source, *upright_size(frame, aspect), max_pixels)
            yield upright(frame, aspect)
            bar.update()
        bar.close()

    def _frames(self) -> Iterator[av.VideoFrame]:
        """Yield every frame at its time in the output, and pass on the sound in between."""
        packet: Any  # of a picture or a sound
        for packet in self.reader.demux([self.video, *self.sound.streams]):
            if packet.stream.type == "audio":
                self.sound.read(packet)
                if self.encoder.stream:  # the output has its header
                    self.sound.write(self.origin or Fraction(0))
                continue
            place(packet, self.clock, self.rate)
            for frame in self.decode(packet):
                if self.rate:  # frames without times follow one another
                    frame.time_base = frame.time_base or 1 / self.rate
                    frame.pts = self.timestamps(frame.pts, frame.dts, max(1, round(1 / (self.rate * frame.time_base))))
                if frame.pts is not None and frame.time_base:
                    if self.origin is None:
                        time = frame.pts * frame.time_base
                        self.origin = min(self.sound.starts(time), default=time)
                    frame.pts -= round(self.origin / frame.time_base)
                yield frame

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """Encode the result for the last frame, at that frame's time."""
        assert self.frame is not None
        self.encoder.write(pixels, self.frame.pts, self.frame.time_base, self.frame.duration or 0)

    def finish(self) -> None:
        """Write the rest of the sound, and flush the encoder.

        Raises:
            ImageError: if there was no frame.
        """
        if self.count == 0:
            raise ImageError(f"{self.source}: expected a video, found no frame")
        self.sound.finish(self.origin or Fraction(0))
        self.encoder.finish()
