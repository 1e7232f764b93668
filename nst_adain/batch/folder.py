"""Folders of photographs: every one in every style, or each in one style drawn at random, as for Stylized-ImageNet.

Geirhos et al. 2019, https://arxiv.org/abs/1811.12231. Several pictures are read, computed and written at the same time.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import math
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from nst_adain.batch.cores import Cores
from nst_adain.batch.manifest import SETTINGS, check_settings, claim, join_sources, settings_of
from nst_adain.batch.pairing import Job, find_pictures, names_of, pair, split
from nst_adain.batch.styles import area, encode_styles, find_styles, why
from nst_adain.controls import LOOK_SIZE, STYLE_SIZE, Controls, check_side, check_style_size
from nst_adain.errors import UsageError
from nst_adain.files import make_folder, remove_strays, write_atomic
from nst_adain.functional import ChannelStats
from nst_adain.images.io import load_image, output_format, save_image
from nst_adain.images.masks import read_controls
from nst_adain.images.opening import MAX_PIXELS
from nst_adain.rendering.contents import EncodedContent
from nst_adain.results import pairs_by_result
from nst_adain.streams import progress_bar
from nst_adain.stylizer import Stylizer

__all__ = ["FAILURES", "Report", "stylize_folder"]

_CONTROLS = ("alpha", "boldness", "masks", "preserve_color", "look_size", "detail")
FAILURES = "failures.csv"  # in the output folder; removed when there are none


@dataclasses.dataclass
class Report:
    """What became of a folder.

    Attributes:
        done: pictures written.
        skipped: pictures that were there already.
        failed: each file that could not be read, stylised or written, and why.
    """

    done: int = 0
    skipped: int = 0
    failed: list[tuple[Path, str]] = dataclasses.field(default_factory=list)


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
    style_size: int | None = STYLE_SIZE,
    max_pixels: int = MAX_PIXELS,
    keep_metadata: bool = False,
    progress: bool = False,
    controls: Controls | None = None,
) -> Report:
    """Stylise all pictures below a folder.

    The tree of `photos` is mirrored in `out`: photos/a/b.jpg in the style c.jpg is out/a/b__c.png. A file that cannot be read,
    or is too large for the memory, is reported, also in OUT/failures.csv, and the rest goes on. An output that exists is not
    made again, so an interrupted call is continued by repeating it; one with other settings, or for which there are results of
    another folder's photographs or of other styles of the same names, which OUT/batch.json tells, is refused.

    Args:
        stylizer: the model.
        photos: folder of photographs, searched with its subfolders; not for styles, if these lie in it.
        styles: folder of style pictures and of files of encoded styles (.safetensors), likewise; or one of these alone.
        out: folder for the results, made if need be; not one of these two, whose pictures they would be in the next call.
        pairing: "all": each photograph in each style; "random": in one, drawn for each photograph by `seed` and its name.
        seed: of the draw.
        suffix: format of the results, one of `images.io.WRITABLE_SUFFIXES`.
        quality: of JPEG and WebP.
        overwrite: make also those that exist.
        size: short side to which photographs are scaled.
        style_size: short side to which style pictures are reduced.
        max_pixels: the largest picture that is decoded or made.
        keep_metadata: copy each photograph's date, camera, place, author and description, as far as it has them.
        progress: show a progress bar on standard error.
        controls: alpha, boldness, masks, look_size, detail, or preserve_color "luminance" ("coral" would need each style
            anew for each photograph).

    Raises:
        NotADirectoryError, PermissionError, ValueError: if a folder does not exist, has no pictures or cannot be written to, an
            option is out of range, two pairs would have one result, or `out` has results of other settings.
    """
    photos, styles, out = Path(photos), Path(styles), Path(out)
    _check_options(pairing, size, style_size)
    loaded = _load_controls(stylizer, {**(controls or {}), "max_pixels": max_pixels})
    report = Report()
    found = names_of(find_pictures(photos, "photographs", out, report.failed, apart=styles), photos)
    candidates = find_styles(styles, out, report.failed)
    check_style_size(style_size, candidates)
    planned = list(pair(found, list(candidates.values()), out, pairing, seed, suffix))
    _prepare(out, planned, suffix)
    settings = settings_of(
        stylizer.digest, loaded, list(candidates.values()), size=size, style_size=style_size,
        pairing=pairing, seed=seed, suffix=suffix, quality=quality, keep_metadata=keep_metadata,
    )  # fmt: skip
    with _claimed(out, settings, planned, report) as before:
        encoded, digests = encode_styles(stylizer, candidates, style_size, max_pixels, report.failed, progress)
        if not encoded:
            raise ValueError(f"{styles}: expected readable pictures, found none: {report.failed[-1][1]}")
        jobs, there = _missing(planned, encoded, overwrite, report)
        known = before | settings | join_sources(out, before, photos, digests, there)
        write_atomic(out / SETTINGS, json.dumps(known, indent=1).encode())
        try:
            _run(_Making(stylizer, loaded, size, quality, keep_metadata), jobs, encoded, report, progress)
        finally:
            _write_failures(out / FAILURES, report)
            if report.done:
                claim(out / SETTINGS, known)  # another call may have removed it as it ended, while this one ran
    return report


def _load_controls(stylizer: Stylizer, controls: Controls) -> Controls:
    loaded = read_controls(controls, _CONTROLS)
    loaded["boldness"] = stylizer.boldness.of(loaded.get("boldness"))  # recorded, whatever the default becomes
    return loaded


def _check_options(pairing: str, size: int | None, style_size: int | None) -> None:
    if pairing not in ("all", "random"):
        raise UsageError(f"pairing: expected 'all' or 'random', got {pairing!r}")
    for name, side in (("size", size), ("style_size", style_size)):
        if side is not None:
            check_side(name, side)


def _prepare(out: Path, planned: Sequence[Job], suffix: str) -> None:
    """Make the output folder and remove what killed calls left; whatever would fail after the work fails here, before it."""
    make_folder(out)
    if not os.access(out, os.W_OK | os.X_OK):
        raise PermissionError(f"{out}: expected a folder that can be written to")
    output_format(out / f"x{suffix}")
    pairs_by_result((path, (job.photo, style)) for job in planned for style, path in job.outputs)
    for folder in {out, *(path.parent for job in planned for _, path in job.outputs)}:
        remove_strays(folder)


@contextlib.contextmanager
def _claimed(out: Path, settings: Mapping[str, object], planned: Sequence[Job], report: Report) -> Iterator[dict[str, Any]]:
    """Write the settings before the work, as another call may begin meanwhile; if nothing was made, remove them afterwards.

    Yields what was written there before, if it agrees with them.
    """
    new = claim(out / SETTINGS, settings)
    try:
        yield check_settings(out / SETTINGS, settings)
    finally:
        made = report.done + report.skipped or any(_exists(path) for job in planned for _, path in job.outputs)
        if new and not made:  # neither here nor by another call
            (out / SETTINGS).unlink(missing_ok=True)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long: writing it will say so, of this file alone
        return False


def _missing(
    planned: Sequence[Job], encoded: Mapping[Path, ChannelStats], overwrite: bool, report: Report
) -> tuple[list[Job], dict[Path, Path]]:
    """What of it can be made and is to be made; and the results that are there already, each with its photograph."""
    jobs: list[Job] = []
    there: dict[Path, Path] = {}
    for job in planned:
        possible = [(style, path) for style, path in job.outputs if style in encoded]
        if not possible:
            report.failed.append((job.photo, f"the style drawn for it, {job.outputs[0][0]}, cannot be read"))
        made = {path: job.photo for _, path in possible if not overwrite and _exists(path)}
        there |= made
        if missing := [(style, path) for style, path in possible if path not in made]:
            jobs.append(Job(job.photo, missing))
    report.skipped = len(there)
    return jobs, there


@dataclasses.dataclass(frozen=True)
class _Making:
    """How a photograph becomes results: the model, and options of `stylize_folder`."""

    stylizer: Stylizer
    controls: Controls
    size: int | None
    quality: int
    keep_metadata: bool

    def encode(self, photo: Path, cores: Cores, least: int) -> EncodedContent[Image.Image]:
        limit, look_size = self.controls["max_pixels"], self.controls.get("look_size", LOOK_SIZE)
        picture = load_image(photo, max_pixels=limit)
        with cores.share(area(picture, self.size), least):
            return self.stylizer.encode_content(picture, size=self.size, look_size=look_size, max_pixels=limit)

    def write(
        self, path: Path, photo: Path, content: EncodedContent[Image.Image], style: ChannelStats, cores: Cores, least: int
    ) -> None:
        controls: Controls = {**self.controls}
        controls.pop("look_size", None)  # the content has it already
        with cores.share(math.prod(content.content.size), least):
            result = self.stylizer(content, style, **controls)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(result, path, quality=self.quality, metadata_of=photo if self.keep_metadata else None)


def _run(making: _Making, jobs: Sequence[Job], encoded: Mapping[Path, ChannelStats], report: Report, progress: bool) -> None:
    cores = Cores(making.stylizer.device)
    bar = progress_bar(total=sum(len(job.outputs) for job in jobs), unit="picture", shown=progress)
    jobs = list(split(jobs, cores.workers))
    least = cores.total // max(1, len(jobs))
    failed: dict[Path, str] = {}
    lock = threading.Lock()

    def finish(outputs: int, path: Path, error: Exception | None) -> None:
        words = None if error is None else why(error)
        with lock:
            if words is None:
                report.done += outputs
            else:
                failed[path] = words
            bar.update(outputs)

    def work(job: Job) -> None:
        try:
            content = making.encode(job.photo, cores, least)
        except Exception as error:
            finish(len(job.outputs), job.photo, error)
            return
        for style, path in job.outputs:
            if cores.stopped.is_set():
                return
            try:
                making.write(path, job.photo, content, encoded[style], cores, least)
                finish(1, path, None)
            except Exception as error:
                finish(1, path, error)

    try:
        with bar:
            cores.work(work, jobs)
    finally:
        report.failed += sorted(failed.items())


def _write_failures(path: Path, report: Report) -> None:
    if not report.failed:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["file", "error"])
    writer.writerows(dict.fromkeys((str(file), error) for file, error in report.failed))
    write_atomic(path, text.getvalue().encode(errors="surrogateescape"))  # names of files may be any bytes
