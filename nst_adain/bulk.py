"""Folders of photographs: every one in every style, or each in one style drawn at random, as for Stylized-ImageNet.

Geirhos et al. 2019, https://arxiv.org/abs/1811.12231. While one picture is computed, the next are decoded and the last are
encoded by threads.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from nst_adain.functional import ChannelStats
from nst_adain.images import ImageError, find_images, load_image, output_format, save_image, write_atomic
from nst_adain.stylizer import Controls, Stylizer

__all__ = ["Report", "stylize_folder"]

FAILURES = "failures.csv"  # in the output folder; removed when there are none
AHEAD = 4  # pictures decoded in advance, and pictures waiting to be written


@dataclasses.dataclass
class Report:
    """What became of a folder.

    Attributes:
        done: pictures written.
        skipped: pictures that were there already.
        failed: each file that could not be read or written, and why.
    """

    done: int = 0
    skipped: int = 0
    failed: list[tuple[Path, str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Job:
    """A photograph, and for each style it gets, the style's name and the output."""

    photo: Path
    outputs: list[tuple[str, Path]]


def stylize_folder(
    stylizer: Stylizer,
    photos: str | os.PathLike[str],
    styles: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    pairing: Literal["all", "random"] = "all",
    seed: int = 0,
    suffix: str = ".png",
    quality: int = 95,
    overwrite: bool = False,
    size: int | None = None,
    style_size: int | None = 512,
    progress: bool = False,
    controls: Controls | None = None,
) -> Report:
    """Stylise all pictures below a folder.

    The tree of `photos` is mirrored in `out`: photos/a/b.jpg in the style c.jpg is out/a/b__c.png. A file that cannot be read
    is reported, also in OUT/failures.csv, and the rest goes on. An output that exists is not made again, so an interrupted
    call is continued by repeating it.

    Args:
        stylizer: the model.
        photos: folder of photographs, searched with its subfolders.
        styles: folder of style pictures, likewise.
        out: folder for the results, made if need be.
        pairing: "all": each photograph in each style; "random": in one, drawn for each photograph by `seed` and its name.
        seed: of the draw.
        suffix: format of the results, one of `images.WRITABLE_SUFFIXES`.
        quality: of JPEG and WebP.
        overwrite: make also those that exist.
        size: short side to which photographs are scaled.
        style_size: short side to which style pictures are reduced.
        progress: show a progress bar on standard error.
        controls: further keywords of calling the stylizer, such as alpha or preserve_color.

    Raises:
        NotADirectoryError, ValueError: if a folder does not exist or has no pictures, or an option is out of range.
    """
    photos, styles, out = Path(photos), Path(styles), Path(out)
    if pairing not in ("all", "random"):
        raise ValueError(f"pairing: expected 'all' or 'random', got {pairing!r}")
    found, candidates = find_images(photos), find_images(styles)
    out.mkdir(parents=True, exist_ok=True)
    output_format(out / f"x{suffix}")
    report = Report()
    encoded = _encode_styles(stylizer, candidates, styles, style_size, report, progress)
    if not encoded:
        raise ValueError(f"{styles}: expected readable pictures, found none: {report.failed[0][1]}")
    jobs = []
    for job in _jobs(found, photos, list(encoded), out, pairing, seed, suffix):
        wanted = [(style, path) for style, path in job.outputs if overwrite or not path.exists()]
        report.skipped += len(job.outputs) - len(wanted)
        if wanted:
            jobs.append(_Job(job.photo, wanted))
    bar = tqdm(total=sum(len(job.outputs) for job in jobs), unit="picture", disable=not progress)
    _run(stylizer, jobs, encoded, report, bar, quality, size, controls or {})
    bar.close()
    _write_failures(out / FAILURES, report)
    return report


def _encode_styles(
    stylizer: Stylizer, paths: Sequence[Path], folder: Path, style_size: int | None, report: Report, progress: bool
) -> dict[str, ChannelStats]:
    """Statistics by name; the name is the path in the folder without its suffix, in one word."""
    encoded: dict[str, ChannelStats] = {}
    for path in tqdm(paths, unit="style", disable=not progress):
        name = "-".join(path.relative_to(folder).with_suffix("").parts)
        try:
            encoded[name if name not in encoded else f"{name}{path.suffix}"] = stylizer.encode_style(
                path, style_size=style_size
            )
        except (ImageError, OSError) as error:
            report.failed.append((path, str(error)))
    return encoded


def _jobs(
    found: Sequence[Path], photos: Path, names: Sequence[str], out: Path, pairing: str, seed: int, suffix: str
) -> Iterator[_Job]:
    count = Counter(path.with_suffix("") for path in found)
    for path in found:
        relative = path.relative_to(photos)
        # a.jpg and a.png in one folder keep their suffixes, or one result would replace the other.
        base = relative if count[path.with_suffix("")] > 1 else relative.with_suffix("")
        chosen = names
        if pairing == "random":
            draw = np.random.default_rng([seed, zlib.crc32(relative.as_posix().encode())])
            chosen = [names[int(draw.integers(len(names)))]]
        yield _Job(path, [(name, out / base.parent / f"{base.name}__{name}{suffix}") for name in chosen])


def _run(
    stylizer: Stylizer,
    jobs: Sequence[_Job],
    encoded: Mapping[str, ChannelStats],
    report: Report,
    bar: tqdm[NoReturn],
    quality: int,
    size: int | None,
    controls: Controls,
) -> None:
    reading: deque[tuple[_Job, Future[Image.Image]]] = deque()
    writing: deque[tuple[Path, Future[None]]] = deque()

    def finish(path: Path, write: Future[None]) -> None:
        try:
            write.result()
            report.done += 1
        except (ImageError, OSError) as error:
            report.failed.append((path, str(error)))
        bar.update()

    with ThreadPoolExecutor(2) as pool:
        waiting = iter(jobs)
        while True:
            while len(reading) < AHEAD and (following := next(waiting, None)) is not None:
                reading.append((following, pool.submit(load_image, following.photo)))
            if not reading:
                break
            job, read = reading.popleft()
            try:
                content = stylizer.encode_content(read.result(), size=size)
            except (ImageError, OSError) as error:
                report.failed.append((job.photo, str(error)))
                bar.update(len(job.outputs))
                continue
            for style, path in job.outputs:
                result = stylizer(content, encoded[style], **controls)
                writing.append((path, pool.submit(_write, result, path, quality)))
                while len(writing) > AHEAD:
                    finish(*writing.popleft())
        for path, write in writing:
            finish(path, write)


def _write(image: Image.Image | Tensor, output: Path, quality: int) -> None:
    assert isinstance(image, Image.Image)  # of a picture that was read from a file
    output.parent.mkdir(parents=True, exist_ok=True)
    save_image(image, output, quality=quality)


def _write_failures(path: Path, report: Report) -> None:
    if not report.failed:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["file", "error"])
    writer.writerows(dict.fromkeys((str(file), error) for file, error in report.failed))
    write_atomic(path, text.getvalue().encode())
