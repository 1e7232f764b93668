"""Writes animations from style to style, as GIF, WebP or video."""

from __future__ import annotations

import io
import itertools
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from nst_adain.errors import ImageError, UsageError
from nst_adain.files import write_atomic
from nst_adain.video.frames import SUFFIXES as VIDEOS
from nst_adain.video.frames import save_video

__all__ = ["ANIMATIONS", "path_weights", "save_animation"]

ANIMATIONS = (".gif", ".webp", *VIDEOS)  # suffixes that can be written


def path_weights(count: int, frames: int, *, loop: bool = False) -> Iterator[list[float]]:
    """Yield the weights of `frames` pictures that go through `count` styles at constant speed, and back if `loop`.

    Raises:
        ValueError: if there are fewer than two styles or frames.
    """
    if count < 2 or frames < 2:
        raise ValueError(f"expected at least two styles and two frames, got {count} and {frames}")
    legs = count if loop else count - 1
    for frame in range(frames):
        position = frame * legs / (frames if loop else frames - 1)
        start = min(int(position), legs - 1)
        weights = [0.0] * count
        weights[start] += 1 - (position - start)
        weights[(start + 1) % count] += position - start
        yield weights


def save_animation(frames: Iterable[Image.Image], path: str | os.PathLike[str], *, fps: float = 12.0) -> None:
    """Write pictures as an endless animation, .gif or .webp, or as a video (`save_video`), whole or not at all.

    Raises:
        ValueError: if there is no picture, the suffix is not in `ANIMATIONS`, `fps` is not above 0, the format cannot store
            `fps` or pictures of this size, or the pictures differ in size.
        ModuleNotFoundError: for a video, if PyAV is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in ANIMATIONS:
        raise UsageError(f"{path}: expected a name ending in {', '.join(ANIMATIONS)}, got {suffix!r}")
    frames = _of_one_size(frames)
    if suffix in VIDEOS:
        # Players need even sides.
        even = (frame.crop((0, 0, max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2))) for frame in frames)
        save_video(even, path, fps=fps)
        return
    most = {".gif": 50, ".webp": 1000}[suffix]  # GIF counts hundredths of a second, and viewers show 1 as 10
    if not 0 < fps <= most:
        raise UsageError(f"fps: expected a number above 0 and at most {most} in {suffix}, got {fps}")
    pictures = list(map(_hard_edged, frames) if suffix == ".gif" else frames)
    if not pictures:
        raise ValueError("frames: expected at least one picture, got none")
    first, *rest = pictures
    buffer = io.BytesIO()
    unit = {".gif": 10, ".webp": 1}[suffix]  # milliseconds: times are stored as whole multiples
    ends = [round(1000 / fps / unit * number) * unit for number in range(len(rest) + 2)]
    durations = [end - start for start, end in itertools.pairwise(ends)]
    try:
        first.save(buffer, suffix[1:].upper(), save_all=True, append_images=rest, duration=durations, loop=0)
    except (OSError, RuntimeError, ValueError, struct.error) as error:  # such as more pixels a side than the format can store
        raise ImageError(f"{path}: cannot be written as {suffix} of {first.width} x {first.height} pixels ({error})") from error
    write_atomic(path, buffer.getbuffer())


def _of_one_size(frames: Iterable[Image.Image]) -> Iterator[Image.Image]:
    size = None
    for frame in frames:
        size = size or frame.size
        if frame.size != size:
            raise ValueError(f"frames: expected pictures of one size, got {size} and {frame.size}")
        yield frame


def _hard_edged(image: Image.Image) -> Image.Image:
    """Make each pixel visible or not, as a GIF requires: one less than half visible is not, or soft edges would get rims."""
    if image.mode == "RGBA":
        image = image.copy()
        image.putalpha(image.getchannel("A").point([0] * 128 + [255] * 128))
    return image
