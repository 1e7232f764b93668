"""Reads and writes the frames of videos, with PyAV (FFmpeg)."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np
from PIL import Image, ImageOps

from nst_adain.errors import ImageError, UsageError
from nst_adain.files import check_folder, remove_strays, replacing, writing
from nst_adain.images.io import flatten
from nst_adain.video.colors import to_bt709
from nst_adain.video.interlacing import deinterlaced
from nst_adain.video.picture_streams import decoder, picture_stream

if TYPE_CHECKING:
    import av
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

__all__ = [
    "SUFFIXES",
    "FrameEncoder",
    "check_moving",
    "keep_labels",
    "opened",
    "read_frames",
    "save_video",
    "scaled",
    "scaled_size",
    "upright",
    "upright_size",
    "whole_or_nothing",
]

SUFFIXES = (".mp4", ".mkv", ".mov", ".webm")  # containers that can be written
_STILL_BRANDS = {"avif", "avis", "heic", "heix", "heim", "heis", "mif1", "msf1"}  # picture formats related to MP4
_BT709, _LIMITED = 1, 1  # code points of ITU-T H.273, and FFmpeg's number for levels from 16 to 235


def read_frames(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Yield the frames of a video, upright and deinterlaced.

    Raises:
        ModuleNotFoundError: if PyAV is not installed.
        FileNotFoundError: if the file does not exist.
        ImageError: if it is not a video, or is damaged.
    """
    import av

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: expected a video, found no such file")
    try:
        with opened(path) as reader:
            stream = picture_stream(reader, path)
            decode = decoder(stream)
            for frame in deinterlaced(frame for packet in reader.demux(stream) for frame in decode(packet)):
                yield upright(frame, stream.sample_aspect_ratio)
    except av.error.FFmpegError as error:
        raise ImageError(f"{path}: expected a video that can be read: {error}") from error


@overload
def opened(path: str | os.PathLike[str], mode: Literal["r"] = "r") -> InputContainer: ...
@overload
def opened(path: str | os.PathLike[str], mode: Literal["w"], *, free_tags: bool = False) -> OutputContainer: ...
def opened(
    path: str | os.PathLike[str], mode: Literal["r", "w"] = "r", *, free_tags: bool = False
) -> InputContainer | OutputContainer:
    """Open a file with PyAV, by its absolute path: FFmpeg takes anything before a colon for a protocol.

    `free_tags`: write metadata of any name to MP4, not only the names that it has a field for.
    """
    import av

    options = {"movflags": "use_metadata_tags"} if free_tags and Path(path).suffix.lower() in (".mp4", ".mov") else {}
    return av.open(str(Path(path).absolute()), mode, options=options)


def keep_labels(track: Any, original: Any) -> None:
    """Give a track of the output the flags (default, for the deaf, ...), language and title of the source's."""
    from av.stream import Disposition

    of_the_file = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent | Disposition.still_image
    track.disposition = original.disposition & ~of_the_file
    track.metadata.update({tag: original.metadata[tag] for tag in ("language", "title") if tag in original.metadata})


def check_moving(path: str | os.PathLike[str]) -> None:
    """Raise ImageError if a file is a still picture, which FFmpeg reads as a video of one frame.

    A GIF never counts as a still picture, nor does a video with a single frame.
    """
    with opened(path) as reader:
        kind, brand = reader.format.name, reader.metadata.get("major_brand")
        if kind != "image2" and not kind.endswith("_pipe") and brand not in _STILL_BRANDS:
            return
        stream = picture_stream(reader, path)
        packets = itertools.islice((packet for packet in reader.demux(stream) if packet.size), 2)
        if len(list(packets)) < 2:
            raise ImageError(
                f"{path}: expected a video, found a still picture, or an animation that FFmpeg does not read; "
                "pictures are for: nst-adain stylize"
            )


def scaled(image: Image.Image, side: int) -> Image.Image:
    """Scale a frame to a short side of `side` pixels, with both sides even, as players need."""
    return image.resize(scaled_size(image.size, side), Image.Resampling.LANCZOS)


def scaled_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return the width and height that `scaled` gives a frame of this size."""
    width, height = (max(2, round(length * side / min(size) / 2) * 2) for length in size)
    return width, height


def save_video(frames: Iterable[Image.Image], path: str | os.PathLike[str], *, fps: float = 12.0, crf: int = 18) -> None:
    """Write pictures of one size as a video, whole or not at all.

    Args:
        frames: the pictures.
        path: the file; its suffix, one of `SUFFIXES`, selects the container.
        fps: pictures per second, 0.001 to 1000.
        crf: quality of the encoder, 0 (best) to 51.

    Raises:
        ModuleNotFoundError: if PyAV is not installed.
        ValueError: if there is no picture, or an argument is out of range.
    """
    if not 0.001 <= fps <= 1000:
        raise UsageError(f"fps: expected 0.001 to 1000, got {fps}")
    rate = Fraction(fps).limit_denominator(1001)
    with whole_or_nothing(Path(path)) as partial, writing(path), opened(partial, "w") as writer:
        encoder = FrameEncoder(writer, crf, rate, 1 / rate)
        for number, frame in enumerate(frames):
            encoder.write(np.asarray(flatten(frame)), number, 1 / rate)
        if encoder.stream is None:
            raise ValueError("frames: expected at least one picture, got none")
        encoder.finish()


@contextlib.contextmanager
def whole_or_nothing(output: Path) -> Iterator[Path]:
    """Yield the path to write a video to; it becomes `output` at the end, or is removed if an error ends the block."""
    check_folder(output)
    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{output}: expected a name ending in {', '.join(SUFFIXES)}, got {output.suffix!r}")
    remove_strays(output)
    with replacing(output, output.suffix.lower()) as partial:  # FFmpeg picks the container by the suffix
        yield partial


class FrameEncoder:
    """Encodes the picture stream of a video."""

    def __init__(
        self,
        writer: OutputContainer,
        crf: int,
        rate: Fraction | None,
        time_base: Fraction | None,
        original: VideoStream | None = None,
    ) -> None:
        """Start before the first frame; the result keeps the labels of `original`."""
        if not 0 <= crf <= 51:
            raise UsageError(f"crf: expected 0 to 51, got {crf}")
        self.writer, self.crf, self.rate, self.time_base = writer, crf, rate, time_base
        self.stream: Any = None
        self.original = original
        self.end: Fraction | None = None  # end of the last frame, in seconds

    def write(self, pixels: np.ndarray[Any, Any], pts: int | None, time_base: Fraction | None, duration: int = 0) -> None:
        """Encode (H, W, 3) uint8, scaled to the first frame's size, with black borders if the aspect ratio differs.

        `duration`, 0 if unknown, matters only for the last frame: every other lasts until the next.
        """
        import av

        height, width = pixels.shape[:2]
        if self.stream is None:
            codec = "libvpx-vp9" if self.writer.format.name == "webm" else "libx264"
            self.stream = self.writer.add_stream(codec, rate=self.rate, options={"crf": str(self.crf)})
            self.stream.width, self.stream.height = width, height
            # Half-resolution colour needs even sides; an odd picture keeps its size and has full-resolution colour.
            self.stream.pix_fmt = "yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
            context = self.stream.codec_context
            context.time_base = time_base or self.time_base
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = _LIMITED
            if self.original:
                keep_labels(self.stream, self.original)
        if (width, height) != (size := (self.stream.width, self.stream.height)):  # a stream may change its resolution
            pixels = np.asarray(ImageOps.pad(Image.fromarray(pixels), size, Image.Resampling.LANCZOS))
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame = frame.reformat(format=self.stream.pix_fmt, dst_colorspace="ITU709", dst_color_range="MPEG")
        frame.pts, frame.time_base = pts, time_base
        self.end = (pts + duration) * time_base if duration and pts is not None and time_base else None
        try:
            packets = self.stream.encode(frame)
        except av.error.FFmpegError as error:
            if self.stream.codec_context.is_open:
                raise
            raise ValueError(
                f"size: expected frames that {self.stream.name} can encode, got {width} x {height} pixels"
            ) from error
        self.writer.mux(packets)

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self.stream is None:
            return
        packets = self.stream.encode()
        if packets and self.end is not None:
            # Containers take the duration of the packet written last, which may be shown before the last frame.
            last = packets[-1]
            last.duration = max(1, round(self.end / last.time_base) - last.pts)
        self.writer.mux(packets)


def upright(frame: av.VideoFrame, aspect: Fraction | None = None) -> Image.Image:
    """Convert a frame to the picture its maker meant: in BT.709 colours, turned, mirrored, and with square pixels.

    Args:
        frame: the frame as decoded.
        aspect: width of a pixel divided by its height; None: 1.
    """
    mirrored, turns = _orientation(frame)
    pixels = to_bt709(frame)
    image = Image.fromarray(np.ascontiguousarray(np.rot90(pixels[:, ::-1] if mirrored else pixels, turns)))
    size = upright_size(frame, aspect)
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def upright_size(frame: av.VideoFrame, aspect: Fraction | None = None) -> tuple[int, int]:
    """Return the width and height that `upright` gives a frame."""
    _, turns = _orientation(frame)
    width, height = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
    if not aspect or aspect == 1:
        return width, height
    stretch = float(1 / aspect if turns % 2 else aspect)
    # Stretch the shorter side, so that nothing is lost, to even numbers, as players need.
    wide, high = (max(2, round(length / 2) * 2) for length in (width * max(1.0, stretch), height * max(1.0, 1 / stretch)))
    return wide, high


def _orientation(frame: av.VideoFrame) -> tuple[bool, int]:
    """Return whether to mirror the frame left to right, and how many quarter turns to the left it then needs."""
    angle, parts = float(frame.rotation), cast(Any, frame.side_data)
    matrix = None
    with contextlib.suppress(KeyError, ValueError):  # PyAV does not know all of FFmpeg's kinds of side data
        matrix = np.frombuffer(bytes(parts["DISPLAYMATRIX"]), "<i4")
    mirrored = False
    if matrix is not None:
        a, b, _, c, d = (float(number) for number in matrix[:5])
        mirrored = a * d < b * c
        if mirrored:  # FFmpeg computes its angle as if the matrix only turned
            angle = -math.degrees(math.atan2(-b, -a))
    return mirrored, round(angle / 90) % 4
