"""Picks the picture stream of a file, and its decoder."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nst_adain.errors import ImageError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["decoder", "picture_stream"]

_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders of these leave transparency out


def picture_stream(reader: InputContainer, path: str | os.PathLike[str]) -> VideoStream:
    """Return the first picture stream of the file `path`, ignoring cover pictures.

    Raises:
        ImageError: if there is none.
    """
    from av.stream import Disposition

    moving = [stream for stream in reader.streams.video if not stream.disposition & Disposition.attached_pic]
    if not moving:
        found = "no more than a cover picture" if reader.streams.video else "a file without a picture stream"
        raise ImageError(f"{path}: expected a video, found {found}")
    return max(moving, key=lambda stream: stream.frames != 1)  # an AVIF file holds its first frame also as a still


def decoder(stream: VideoStream) -> Callable[[Any], list[av.VideoFrame]]:
    """Return a function that decodes the packets of a stream in order; the last one is empty."""
    import av

    stream.thread_type = "AUTO"
    name = _WITH_ALPHA.get(stream.codec_context.name, "")
    if stream.metadata.get("alpha_mode") != "1" or name not in av.codecs_available:
        return lambda packet: list(packet.decode())
    given = stream.codec_context
    context: Any = av.CodecContext.create(name, "r")
    for tag in ("color_primaries", "color_trc", "colorspace", "color_range"):  # told by the container
        setattr(context, tag, getattr(given, tag))
    return lambda packet: list(context.decode(packet if packet.size else None))
