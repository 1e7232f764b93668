"""One call over an output folder: looks for what is there, has the rest made, and reports what became of it."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_adain.batch.cores import why
from nst_adain.batch.listing import Listing
from nst_adain.batch.making import Make, sha256_of
from nst_adain.batch.pairing import Job
from nst_adain.batch.rows import Row
from nst_adain.batch.settings import SETTINGS, check_settings, claim, join_sources
from nst_adain.batch.styles import encode_styles
from nst_adain.files import remove_strays, write_atomic
from nst_adain.functional import ChannelStats
from nst_adain.streams import progress_bar
from nst_adain.stylizer import Stylizer

__all__ = ["Report", "Run", "failures_file"]

_AT_ONCE = 20_000  # results that are looked for, made and recorded before the next ones are thought of


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


def failures_file(out: Path, shard: tuple[int, int]) -> Path:
    """Return the file that lists what failed, removed when there is nothing: each shard of several has its own."""
    number, count = shard
    return out / ("failures.csv" if count == 1 else f"failures-{number}-of-{count}.csv")


@dataclasses.dataclass
class Run:
    """One call over an output folder.

    Attributes:
        photos, out: the folders.
        listing: the photographs of this call.
        pair: returns what to make of some of them.
        each: the number of results of each.
        settings: all that changes the pictures.
        report: what became of it so far.
        failures: the file that lists what failed.
    """

    photos: Path
    out: Path
    listing: Listing
    pair: Callable[[Iterable[tuple[str, str]]], Iterator[Job]]
    each: int
    settings: Mapping[str, object]
    report: Report
    failures: Path
    _before: dict[str, Any] = dataclasses.field(default_factory=dict)  # the settings that were there, which agree
    _digests: dict[str, str] = dataclasses.field(default_factory=dict)  # of the style files
    _styles: Mapping[Path, ChannelStats] = dataclasses.field(default_factory=dict)  # those that can be read

    def _slices(self) -> Iterator[list[Job]]:
        return (list(self.pair(part)) for part in self.listing.slices(max(1, _AT_ONCE // self.each)))

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Write the settings before the work, as another call may begin meanwhile; if nothing was made, remove them again.

        Raises:
            UsageError: if others are there.
        """
        new = claim(self.out / SETTINGS, self.settings)
        try:
            self._before = check_settings(self.out / SETTINGS, self.settings)
            yield
        finally:
            made = self.report.done or self.report.skipped
            outputs = (path for jobs in self._slices() for job in jobs for _, path in job.outputs)
            if new and not made and not any(map(_exists, outputs)):  # neither here nor by another call
                (self.out / SETTINGS).unlink(missing_ok=True)

    def encode(
        self, stylizer: Stylizer, styles: Path, names: Mapping[Path, Path], size: int | None, max_pixels: int, progress: bool
    ) -> Mapping[Path, ChannelStats]:
        """Encode the styles found in `styles` (see `encode_styles`), and return those that can be read.

        Raises:
            ValueError: if none can.
        """
        failed = self.report.failed
        self._styles, self._digests = encode_styles(stylizer, styles, names, size, max_pixels, failed, progress)
        return self._styles

    def work(self, make: Make, record: Callable[[Sequence[Row]], None] | None, overwrite: bool, progress: bool) -> None:
        """Make what is missing.

        Args:
            make: makes it.
            record: receives a row for each result, those that were there and those that failed too.
            overwrite: make also what is there.
            progress: show a bar on standard error.
        """
        bar = progress_bar(total=len(self.listing) * self.each, unit="picture", shown=progress)
        known: dict[str, object] = {}
        cleaned = {self.out}
        try:
            with bar:
                for planned in self._slices():
                    for folder in {path.parent for job in planned for _, path in job.outputs} - cleaned:
                        remove_strays(folder)
                        cleaned.add(folder)
                    rows, jobs = self._look(planned, overwrite, record is not None)
                    there = {row.output: row.photo for row in rows if row.error is None}
                    sources = join_sources(self.out, self._before, self.photos, self._digests, there)
                    if not known:
                        known = {**self._before, **self.settings, **sources}
                        if known != self._before:  # else as another shard wrote them
                            write_atomic(self.out / SETTINGS, json.dumps(known, indent=1).encode())
                    bar.update(len(rows))
                    self._make(make, jobs, rows, bar)
                    if record is not None:
                        record(rows)
        finally:
            if known or not len(self.listing):  # else results of another folder were found, whose list this may be
                self._write_failures()
            if self.report.done:
                claim(self.out / SETTINGS, known)  # another call may have removed it as it ended, while this one ran

    def _look(self, planned: Sequence[Job], overwrite: bool, hashed: bool) -> tuple[list[Row], list[Job]]:
        """Return rows for the results that are there already or cannot be made, and what to make."""
        rows: list[Row] = []
        jobs: list[Job] = []
        for job in planned:
            missing = []
            for style, path in job.outputs:
                if style not in self._styles:
                    drawn = len(job.outputs) == 1
                    error = f"the style {f'drawn for it, {style},' if drawn else style} cannot be read"
                    rows.append(Row(job.key, job.photo, style, path, error=error, wrong=job.photo if drawn else None))
                elif overwrite or not _exists(path):
                    missing.append((style, path))
                else:
                    rows.append(_there(job, style, path, hashed))
            if missing:
                jobs.append(dataclasses.replace(job, outputs=missing))
        self.report.skipped += sum(row.error is None for row in rows)
        self.report.failed += [(row.wrong, row.error) for row in rows if row.wrong and row.error]
        return rows, jobs

    def _make(self, make: Make, jobs: Sequence[Job], rows: list[Row], bar: Any) -> None:
        failed: dict[Path, str] = {}

        def finish(row: Row) -> None:
            rows.append(row)
            bar.update()
            if row.error is None:
                self.report.done += 1
            elif row.wrong is not None:
                failed[row.wrong] = row.error

        try:
            make(jobs, finish)
        finally:
            self.report.failed += sorted(failed.items())

    def _write_failures(self) -> None:
        if not self.report.failed:
            self.failures.unlink(missing_ok=True)
            return
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["file", "error"])
        writer.writerows(dict.fromkeys((str(file), error) for file, error in self.report.failed))
        write_atomic(self.failures, text.getvalue().encode(errors="surrogateescape"))  # names of files may be any bytes


def _exists(path: Path) -> bool:
    try:
        return path.is_file()  # in place of a folder of this name, writing it will fail and say so, of this file alone
    except OSError:  # such as a name that is too long: likewise
        return False


def _there(job: Job, style: Path, path: Path, hashed: bool) -> Row:
    """Return the row of a result that is there already."""
    try:
        return Row(job.key, job.photo, style, path, sha256_of(path) if hashed else None)
    except OSError as error:
        return Row(job.key, job.photo, style, path, error=why(error), wrong=path)
