"""Many results on one sheet, and paths between styles."""

from __future__ import annotations

import io
import itertools
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from nst_adain.contents import EncodedContent
from nst_adain.files import write_atomic
from nst_adain.frames import SUFFIXES as VIDEOS
from nst_adain.frames import save_video
from nst_adain.functional import ChannelStats
from nst_adain.images import flatten
from nst_adain.opening import ImageError
from nst_adain.regions import Mask
from nst_adain.stylizer import Stylizer
from nst_adain.usage import UsageError

__all__ = ["ANIMATIONS", "alpha_grid", "corner_grid", "corner_weights", "cross_grid", "path_weights", "save_animation", "sheet"]

GAP = 4  # pixels between cells
ANIMATIONS = (".gif", ".webp", *VIDEOS)
LABEL = 22  # pixels of height for a label

Labelled = Sequence[tuple[str, EncodedContent[Image.Image]]]
Styles = Sequence[tuple[str, ChannelStats]]


def cross_grid(
    stylizer: Stylizer, contents: Labelled, styles: Styles, *, alpha: float | Mask = 1.0, cell: int = 256
) -> Image.Image:
    """A row for each content, a column for each style."""
    rows = [[_picture(stylizer(content, style, alpha=alpha)) for _, style in styles] for _, content in contents]
    return sheet(rows, [name for name, _ in styles], [name for name, _ in contents], cell)


def alpha_grid(
    stylizer: Stylizer, content: EncodedContent[Image.Image], styles: Styles, alphas: Sequence[float], *, cell: int = 256
) -> Image.Image:
    """A row for each style, a column for each strength."""
    rows = [[_picture(stylizer(content, style, alpha=alpha)) for alpha in alphas] for _, style in styles]
    return sheet(rows, [f"alpha {alpha:g}" for alpha in alphas], [name for name, _ in styles], cell)


def corner_grid(
    stylizer: Stylizer,
    content: EncodedContent[Image.Image],
    styles: Styles,
    side: int,
    *,
    alpha: float | Mask = 1.0,
    cell: int = 256,
) -> Image.Image:
    """`side` x `side` mixtures of four styles, each pure in a corner: top left, top right, bottom left, bottom right.

    Raises:
        ValueError: if there are not four styles, or `side` is below 2.
    """
    if len(styles) != 4:
        raise ValueError(f"styles: expected four, one for each corner, got {len(styles)}")
    given = [style for _, style in styles]
    weights = corner_weights(side)
    rows = [[_picture(stylizer(content, given, weights=w, alpha=alpha)) for w in row] for row in weights]
    names = [name for name, _ in styles]
    middle = [""] * (side - 2)
    return sheet(rows, [names[0], *middle, names[1]], cell=cell, bottom=[names[2], *middle, names[3]])


def corner_weights(side: int) -> list[list[list[float]]]:
    """Bilinear weights of four corners on a square of `side` x `side` positions (paper, figure 8).

    Raises:
        ValueError: if `side` is below 2.
    """
    if side < 2:
        raise ValueError(f"side: expected at least 2 positions, got {side}")
    steps = [i / (side - 1) for i in range(side)]
    return [[[(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x] for x in steps] for y in steps]


def path_weights(count: int, frames: int, *, loop: bool = False) -> Iterator[list[float]]:
    """Weights of `frames` pictures on the way through `count` styles at constant speed, and back to the first if `loop`.

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
        ValueError: if there is no picture, or the suffix is another, or `fps` is not above 0, or more than the format can say,
            or the pictures are larger than that, or of different sizes.
        ModuleNotFoundError: for a video, if PyAV is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in ANIMATIONS:
        raise UsageError(f"{path}: expected a name ending in {', '.join(ANIMATIONS)}, got {suffix!r}")
    frames = _of_one_size(frames)
    if suffix in VIDEOS:
        # Players want even sides.
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
    unit = {".gif": 10, ".webp": 1}[suffix]  # milliseconds, in whole numbers of which times are stored
    ends = [round(1000 / fps / unit * number) * unit for number in range(len(rest) + 2)]
    durations = [end - start for start, end in itertools.pairwise(ends)]
    try:
        first.save(buffer, suffix[1:].upper(), save_all=True, append_images=rest, duration=durations, loop=0)
    except (OSError, RuntimeError, ValueError, struct.error) as error:  # such as more pixels a side than the format can say
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
    """A pixel of a GIF is visible or not: what is less than half visible is not, or soft edges would become hard rims."""
    if image.mode == "RGBA":
        image = image.copy()
        image.putalpha(image.getchannel("A").point([0] * 128 + [255] * 128))
    return image


def sheet(
    rows: Sequence[Sequence[Image.Image]],
    columns: Sequence[str],
    names: Sequence[str] = (),
    cell: int = 256,
    bottom: Sequence[str] = (),
) -> Image.Image:
    """Pictures in rows, each fitted into a square cell, its aspect ratio kept.

    Args:
        rows: of one length.
        columns: a label above each column.
        names: a label before each row, written upwards, or none.
        cell: side of a cell in pixels.
        bottom: a label below each column, or none.
    """
    left = LABEL if names else 0
    pitch = cell + GAP
    width, height = left + len(columns) * pitch - GAP, LABEL + len(rows) * pitch - GAP
    canvas = Image.new("RGB", (width, height + (LABEL if bottom else 0)), "white")
    for row, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            scale = cell / max(picture.size)
            fitted = flatten(picture).resize([max(1, round(n * scale)) for n in picture.size], Image.Resampling.LANCZOS)
            x, y = ((cell - n) // 2 for n in fitted.size)
            canvas.paste(fitted, (left + column * pitch + x, LABEL + row * pitch + y))
    for row, name in enumerate(names):
        canvas.paste(_label(name, cell).transpose(Image.Transpose.ROTATE_90), (0, LABEL + row * pitch))
    for labels, y in ((columns, 0), (bottom, height)):
        for column, name in enumerate(labels):
            canvas.paste(_label(name, cell), (left + column * pitch, y))
    return canvas


def _label(text: str, width: int) -> Image.Image:
    """Text in the middle of a strip, on one line, cut off where it is too long."""
    text = " ".join(text.split())
    strip = Image.new("RGB", (width, LABEL), "white")
    font = ImageFont.load_default(size=LABEL - 8)
    while text and font.getlength(text) > width - 4:
        text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
    ImageDraw.Draw(strip).text((width / 2, LABEL / 2), text, fill="black", font=font, anchor="mm")
    return strip


def _picture(result: object) -> Image.Image:
    if not isinstance(result, Image.Image):
        raise TypeError("expected contents encoded from files or PIL images, got one encoded from a tensor")
    return result
