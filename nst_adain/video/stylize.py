"""Stylises videos frame by frame in constant memory, with PyAV (FFmpeg)."""

from __future__ import annotations

import dataclasses
import errno
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from nst_adain.controls import LOOK_SIZE, Controls, Progress, check_side, check_weights
from nst_adain.errors import ImageError, UsageError
from nst_adain.functional import ChannelStats
from nst_adain.images.inputs import check_scaled
from nst_adain.images.masks import read_controls
from nst_adain.images.metadata import keep_video_tags
from nst_adain.images.opening import MAX_PIXELS, check_pixels
from nst_adain.stylizer import Stylizer
from nst_adain.video.frames import (
    FrameEncoder,
    check_moving,
    opened,
    picture_stream,
    scaled,
    scaled_size,
    upright,
    upright_size,
    whole_or_nothing,
)
from nst_adain.video.smoothing import SmoothedPictures, SmoothedStats
from nst_adain.video.timestamps import Timestamps
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
    progress: Progress = False,
    controls: Controls | None = None,
) -> int:
    """Stylise a video. Every frame keeps its time, sound is copied, the output is written whole or not at all.

    Stores colours as BT.709 in standard range, and marks the file so; converts BT.2020 and high dynamic range (PQ, HLG). Pixels
    become square.

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
        progress: show a progress bar on standard error; or call a function before each frame with the number done and the
            total, None if the file does not say. An exception it raises ends the call.
        controls: alpha, boldness, look_size, detail, or preserve_color "luminance".

    Returns:
        The number of frames written.

    Warns:
        UserWarning: if the source is cut short; the frames that are there are stylised.

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
    hidden, sounds = "", False
    try:
        check_moving(source)
        with (
            whole_or_nothing(output) as partial,
            opened(source) as reader,
            opened(partial, "w", free_tags=keep_metadata) as writer,
        ):
            hidden, sounds = str(partial.absolute()), bool(reader.streams.audio)
            frames = _Transcoder(reader, writer, crf, source)
            if keep_metadata:
                writer.metadata.update(keep_video_tags(frames.video.metadata, reader.metadata))
            span = _span(source) if end != start else None
            for image in frames.images(progress, max_pixels):
                frames.write(restyle(image, min(1.0, frames.seconds / span) if span else 0.0))
            frames.finish()
    except av.error.FFmpegError as error:
        raise _in_words(error, source, output, copied=sounds and error.filename == hidden) from error
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
    statistics = SmoothedStats(steadiness, sum(stylizer.model.arch.tap_channels))
    pictures = SmoothedPictures(steadiness)
    stylizer.boldness.of(kept.get("boldness"))
    max_pixels, look_size = kept["max_pixels"], kept.pop("look_size", LOOK_SIZE)

    def restyle(image: Image.Image, position: float) -> NDArray[np.uint8]:
        if size is not None:
            check_scaled("size", size, math.prod(scaled_size(image.size, size)), max_pixels)
            image = scaled(image, size)
        content = stylizer.encode_content(image, look_size=look_size, max_pixels=max_pixels)
        content = dataclasses.replace(content, stats=statistics(content.stats))
        given: Controls = {**kept, "weights": _between(*weights, position), "raw_weights": True}
        return pictures(np.asarray(image), np.asarray(stylizer(content, styles, **given)), statistics.cut)

    return restyle


def _in_words(error: av.error.FFmpegError, source: Path, output: Path, copied: bool) -> OSError | ImageError:
    """Turn FFmpeg's error into one that says what failed; `copied`: in a file whose sound is copied."""
    if error.errno in _OF_THE_OUTPUT and error.filename != str(source.absolute()):
        return OSError(error.errno, error.strerror, str(output))
    # Leave out `filename`, which may be the output's temporary name.
    what = f"expected a video that can be read and written as {output.suffix}: {error.strerror}"
    # FFmpeg does not say that a container refused the sound, so suggest it.
    hint = "; if it is the sound, .mkv takes any" if copied and output.suffix.lower() != ".mkv" else ""
    return ImageError(f"{source}: {what}{hint}")


def _between(start: Sequence[float], end: Sequence[float], position: float) -> list[float]:
    return [(1 - position) * a + position * b for a, b in zip(start, end)]


def _span(source: Path) -> float:
    """Measure the seconds from the first frame to the last: a file may state no length, or that of its sound."""
    with opened(source) as reader:
        stream = picture_stream(reader, source)
        # Leave out frames that are never shown, such as those of a trimmed clip.
        shown = [packet.pts for packet in reader.demux(stream) if packet.size and not packet.is_discard]
    times = [time for time in shown if time is not None]
    if times and stream.time_base:
        return float((max(times) - min(times)) * stream.time_base)
    rate = stream.average_rate or stream.guessed_rate
    return (len(shown) - 1) / float(rate) if rate else 0.0


class _Transcoder:
    """Reads one video and writes another: decodes frames to pictures, and passes sound packets through."""

    def __init__(self, reader: InputContainer, writer: OutputContainer, crf: int, source: Path) -> None:
        self.reader, self.writer, self.source = reader, writer, source
        self.video = picture_stream(reader, source)
        self.video.thread_type = "AUTO"
        self.timestamps = Timestamps()
        self.sounds: dict[int, tuple[Any, Timestamps]] = {}
        for sound in reader.streams.audio:
            try:
                track = writer.add_stream_from_template(sound)
                self.sounds[sound.index] = track, Timestamps()
                track.metadata.update({tag: sound.metadata[tag] for tag in ("language", "title") if tag in sound.metadata})
            except ValueError as error:
                raise ImageError(
                    f"{source}: its sound cannot be copied into {writer.format.name}: {error}; try .mkv"
                ) from error
        self.frame: av.VideoFrame | None = None
        self.rate = self.video.average_rate or self.video.guessed_rate
        self.encoder = FrameEncoder(writer, crf, self.rate, self.video.time_base)
        self.count = 0
        self.seconds = 0.0  # from the first frame to this one
        self.held: list[Any] = []  # sound before the first frame, when the output has no header yet

    def images(self, progress: Progress, max_pixels: int) -> Iterator[Image.Image]:
        """Yield every frame, upright."""
        total = self.video.frames or None
        bar = tqdm(total=total, unit="frame", disable=progress is not True, file=sys.stderr)
        first = None
        packet: Any  # of a picture or a sound
        for packet in self.reader.demux([self.video, *self.reader.streams.audio]):
            if packet.stream.type == "audio":
                self._copy(packet)
                continue
            for frame in packet.decode():
                if self.rate:  # frames without times follow one another
                    frame.time_base = frame.time_base or 1 / self.rate
                    frame.pts = self.timestamps(frame.pts, frame.dts, max(1, round(1 / (self.rate * frame.time_base))))
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

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """Encode the result for the last frame, at that frame's time."""
        assert self.frame is not None
        self.encoder.write(pixels, self.frame.pts, self.frame.time_base, self.frame.duration or 0)
        for packet in self.held:
            self.writer.mux(packet)
        self.held.clear()

    def finish(self) -> None:
        """Flush the encoder.

        Raises:
            ImageError: if there was no frame.
        """
        self.encoder.finish()
        if self.count == 0:
            raise ImageError(f"{self.source}: expected a video, found no frame")

    def _copy(self, packet: Any) -> None:
        if packet.dts is None:  # the empty packet at the end
            return
        packet.stream, timestamps = self.sounds[packet.stream.index]
        shift = timestamps(packet.dts, packet.dts, packet.duration or 1) - packet.dts
        packet.dts += shift
        packet.pts = packet.dts if packet.pts is None else packet.pts + shift
        if self.encoder.stream is None:
            self.held.append(packet)
        else:
            self.writer.mux(packet)
