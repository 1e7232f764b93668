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
    outputs: list[tuple[Path, Path]]


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
        controls: alpha, masks, or preserve_color "luminance" ("coral" would need each style anew for each photograph).

    Raises:
        NotADirectoryError, ValueError: if a folder does not exist or has no pictures, an option is out of range, or two
            pairs would have one result.
    """
    photos, styles, out = Path(photos), Path(styles), Path(out)
    if pairing not in ("all", "random"):
        raise ValueError(f"pairing: expected 'all' or 'random', got {pairing!r}")
    # The results of an earlier call, in a folder below the photographs, are not photographs.
    found = [path for path in find_images(photos) if not path.resolve().is_relative_to(out.resolve())]
    candidates = _names(find_images(styles), styles)
    out.mkdir(parents=True, exist_ok=True)
    output_format(out / f"x{suffix}")
    report = Report()
    planned = list(_jobs(_names(found, photos), list(candidates.values()), out, pairing, seed, suffix))
    outputs = Counter(path for job in planned for _, path in job.outputs)
    if outputs and (most := outputs.most_common(1)[0])[1] > 1:
        raise ValueError(f"{most[0]}: would be the result of {most[1]} pairs; rename a photograph or a style")
    encoded = _encode_styles(stylizer, candidates, style_size, report, progress)
    if not encoded:
        raise ValueError(f"{styles}: expected readable pictures, found none: {report.failed[0][1]}")
    jobs = []
    for planned_job in planned:
        job = _Job(planned_job.photo, [(style, path) for style, path in planned_job.outputs if style in encoded])
        wanted = [(style, path) for style, path in job.outputs if overwrite or not path.exists()]
        report.skipped += len(job.outputs) - len(wanted)
        if wanted:
            jobs.append(_Job(job.photo, wanted))
    bar = tqdm(total=sum(len(job.outputs) for job in jobs), unit="picture", disable=not progress)
    try:
        _run(stylizer, jobs, encoded, report, bar, quality, size, controls or {})
    finally:
        bar.close()
        _write_failures(out / FAILURES, report)
    return report


def _names(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Each picture's path in its folder without suffix; with it where a.jpg and a.png would be one name."""
    count = Counter(path.with_suffix("") for path in paths)
    return {p: p.relative_to(folder).with_suffix("" if count[p.with_suffix("")] == 1 else p.suffix) for p in paths}


def _encode_styles(
    stylizer: Stylizer, names: Mapping[Path, Path], style_size: int | None, report: Report, progress: bool
) -> dict[Path, ChannelStats]:
    """Statistics by name."""
    encoded: dict[Path, ChannelStats] = {}
    for path, name in tqdm(names.items(), unit="style", disable=not progress):
        try:
            encoded[name] = stylizer.encode_style(path, style_size=style_size)
        except (ImageError, OSError) as error:
            report.failed.append((path, str(error)))
    return encoded


def _jobs(
    photos: Mapping[Path, Path], styles: Sequence[Path], out: Path, pairing: str, seed: int, suffix: str
) -> Iterator[_Job]:
    """What to make, whether or not the files can be read: so a repaired file changes nothing else."""
    for path, name in photos.items():
        chosen = styles
        if pairing == "random":
            draw = np.random.default_rng([seed, zlib.crc32(name.as_posix().encode())])
            chosen = [styles[int(draw.integers(len(styles)))]]
        outputs = [(style, out / name.parent / f"{name.name}__{'-'.join(style.parts)}{suffix}") for style in chosen]
        yield _Job(path, outputs)


def _run(
    stylizer: Stylizer,
    jobs: Sequence[_Job],
    encoded: Mapping[Path, ChannelStats],
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
            except (ImageError, OSError, MemoryError) as error:
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
