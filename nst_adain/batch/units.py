"""Makes one shard of a bulk job: a unit of work that may be done again, or by two at once, and gives the same bytes.

Its results are put in place before its manifest, which says that it is done.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from nst_adain.batch.listing import unpacked
from nst_adain.batch.making import Making, make
from nst_adain.batch.manifest import Facts, writing_manifest
from nst_adain.batch.pairing import Job, result_key
from nst_adain.batch.rows import Row
from nst_adain.batch.shards import (
    Sample,
    Shard,
    checked,
    read_files,
    read_parquet,
    read_tar,
    write_files,
    write_parquet,
    write_tar,
)
from nst_adain.batch.stores import FULL, Store
from nst_adain.draws import draws
from nst_adain.files import remove_strays
from nst_adain.stylizer import Stylizer

__all__ = ["MANIFEST", "Outcome", "Work", "make_shard"]

_Made: TypeAlias = tuple[str, Path, Mapping[str, Any]]  # a key, its picture, and what belongs to it
MANIFEST = "manifest"  # in the output: a folder with a table for each shard that is done


@dataclasses.dataclass(frozen=True)
class Work:
    """Says how shards are made.

    Attributes:
        source: where the pictures are.
        out: where results go.
        format: of the results, one of `shards.FORMATS`.
        making: how pictures are made.
        styles: the names of all styles, in order, also of those that cannot be read.
        seed: of the draw of one for each picture; None: each picture gets every style.
        suffix: format of the pictures.
        settings: all that changes them.
    """

    source: Store
    out: Store
    format: str
    making: Making
    styles: Sequence[Path]
    seed: int | None
    suffix: str
    settings: Mapping[str, Any]

    @property
    def pairing(self) -> str:
        """As for `stylize_folder`."""
        return "all" if self.seed is None else "random"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a shard: results made, those that failed, and why the first of them did."""

    shard: str
    done: int
    failed: int
    first: str = ""


def make_shard(work: Work, stylizer: Stylizer, shard: Shard, again: bool = False) -> Outcome:
    """Read, make and write a shard, unless its manifest is in place and it is not to be made `again`.

    One whose tar or table is missing failed, but is not said to be done: the next call looks for it again.

    Raises:
        OSError: if a store does not answer, or is full; nothing is said to be done then.
    """
    manifest = f"{MANIFEST}/{shard.name}.parquet"
    if not again and work.out.exists(manifest):
        return Outcome(shard.name, 0, 0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("in", "out"):
            (folder / name).mkdir()
        try:
            samples = [checked(sample) for sample in _read(work.source, shard, folder)]
        except FileNotFoundError as error:
            return Outcome(shard.name, 0, 1, str(error))
        jobs = [_job(work, number, sample, folder / "out") for number, sample in enumerate(samples) if not sample.error]
        rows: dict[Path, Row] = {}
        make(stylizer, work.making, _possible(jobs, work.making), lambda row: rows.update({row.output: row}))
        if full := next((row for row in rows.values() if row.errno in FULL), None):
            raise OSError(full.errno, os.strerror(full.errno or 0), temporary)
        made, said = _results(work, shard, samples, rows, folder)
        _write(work, shard, made, folder)
        facts = Facts(Path(), Path(), work.seed, work.settings)
        with writing_manifest(folder / "manifest.parquet", facts) as record:
            assert record is not None
            record(said)
        work.out.put(folder / "manifest.parquet", manifest)
    errors = [row.error for row in said if row.error is not None]
    return Outcome(shard.name, len(made), len(errors), errors[0] if errors else "")


def _results(
    work: Work, shard: Shard, samples: Sequence[Sample], rows: Mapping[Path, Row], folder: Path
) -> tuple[list[_Made], list[Row]]:
    """Return what is to be written, and a row for each result, also for those that are not there."""
    made: dict[str, _Made] = {}
    said = []
    for number, sample in enumerate(samples):
        for style, path in _job(work, number, sample, folder / "out").outputs:
            row = rows.get(path) or Row(sample.key, path, style, path, error=f"the style {style} cannot be read")
            key = _key(work, shard, sample, style)
            error = sample.error or row.error or _clash(work, sample, key, made)
            row = dataclasses.replace(row, error=error, sha256=None if error else row.sha256)
            said.append(_said(row, sample, work.format, shard, key, work.suffix, folder))
            if error is None:
                made[key] = (key, path, sample.rest)
    return list(made.values()), said


def _clash(work: Work, sample: Sample, key: str, made: Mapping[str, _Made]) -> str | None:
    """Say what else has the name of a result, if anything has."""
    if key in made:
        return f"{sample.name}: expected a name of its own for its result, found another of the name {key}"
    names = {"key", "image"} if work.format == "parquet" else {work.suffix[1:]}
    if both := sorted(names & sample.rest.keys()):
        return f"{sample.name}: expected another format for its result, found {both[0]} among what belongs to it"
    return None


def _read(store: Store, shard: Shard, folder: Path) -> Iterable[Sample]:
    if not shard.source:
        return read_files(store, unpacked(shard.entries), folder / "in")
    path = folder / Path(shard.source).name
    try:
        store.get(shard.source, path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FileNotFoundError(f"{shard.source}: expected a file, found none") from error
    return (read_parquet if path.suffix == ".parquet" else read_tar)(path, folder / "in", shard.source)


def _job(work: Work, number: int, sample: Sample, folder: Path) -> Job:
    drawn = work.styles if work.seed is None else [work.styles[int(draws(work.seed, sample.key).integers(len(work.styles)))]]
    outputs = [(style, folder / f"{number}-{place}{work.suffix}") for place, style in enumerate(drawn)]
    return Job(sample.picture or folder, sample.key, outputs)


def _possible(jobs: Iterable[Job], making: Making) -> list[Job]:
    """Leave out what is to be made in styles that cannot be read."""
    kept = [dataclasses.replace(job, outputs=[o for o in job.outputs if o[0] in making.styles]) for job in jobs]
    return [job for job in kept if job.outputs]


def _key(work: Work, shard: Shard, sample: Sample, style: Path) -> str:
    """Name a result: files as `batch` does, those of a tar or table in a folder of their own, as keys of another may be the
    same; other samples keep their keys if each has one result."""
    if work.format == "files":
        return f"{shard.name}/{result_key(sample.key, style)}" if shard.source else result_key(sample.key, style)
    one = work.seed is not None or len(work.styles) == 1
    return sample.key if one else result_key(sample.key, style)


def _said(row: Row, sample: Sample, kind: str, shard: Shard, key: str, suffix: str, folder: Path) -> Row:
    """Name in a row what people know in place of what lies in a temporary folder."""
    within = {"files": "", "webdataset": f"{shard.name}.tar/", "parquet": f"{shard.name}.parquet/"}
    place = f"{within[kind]}{key}{suffix}"
    error = row.error
    if error is not None and sample.picture is not None:
        error = error.replace(str(sample.picture), sample.name).replace(f"{folder}{os.sep}", "")
    return dataclasses.replace(row, photo=Path(sample.name), output=Path(place), error=error)


def _write(work: Work, shard: Shard, made: Sequence[_Made], folder: Path) -> None:
    if work.format == "files":
        if work.out.local is not None:
            for place in {(work.out.local / key).parent for key, _, _ in made}:
                remove_strays(place)  # of workers that were killed
        if made:
            write_files(work.out, made, folder)
        return
    suffix, write = (".tar", write_tar) if work.format == "webdataset" else (".parquet", write_parquet)
    path = folder / f"made{suffix}"
    write(path, made)
    work.out.put(path, f"{shard.name}{suffix}")
