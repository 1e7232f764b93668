"""Pairs the photographs of a batch with styles, and names the results."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from nst_adain.draws import draws
from nst_adain.errors import UsageError
from nst_adain.images.opening import READABLE_SUFFIXES, find_images
from nst_adain.results import pairs_by_result

__all__ = ["Job", "check_distinct", "find_pictures", "names_of", "pair", "result_key", "split"]


@dataclasses.dataclass(frozen=True)
class Job:
    """Holds a photograph, its key, and the name and the output of each style it gets."""

    photo: Path
    key: str
    outputs: list[tuple[Path, Path]]


def names_of(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Name each picture by its path in the folder without suffix, or with it where a.jpg and a.png would clash."""
    count = Counter(path.with_suffix("") for path in paths)
    return {p: p.relative_to(folder).with_suffix("" if count[p.with_suffix("")] == 1 else p.suffix) for p in paths}


def pair(
    named: Iterable[tuple[str, str]], photos: Path, styles: Sequence[Path], out: Path, pairing: str, seed: int, suffix: str
) -> Iterator[Job]:
    """Yield what to make of photographs of these names and keys, whether or not the files can be read, so that repairing a
    file changes no other pair."""
    for name, key in named:
        chosen = [styles[int(draws(seed, key).integers(len(styles)))]] if pairing == "random" else styles
        outputs = [(style, out / f"{result_key(key, style)}{suffix}") for style in chosen]
        yield Job(photos / name, key, outputs)


def check_distinct(jobs: Iterable[Job]) -> None:
    """Raise ValueError if two of these pairs would have the same result."""
    pairs_by_result((path, (job.photo, style)) for job in jobs for style, path in job.outputs)


def result_key(key: str, style: Path) -> str:
    """Name the result of a photograph in a style."""
    return f"{key}__{'-'.join(style.parts)}"


def split(jobs: Sequence[Job], workers: int) -> Iterator[Job]:
    """Split jobs so that all workers are busy even if there are fewer photographs than workers."""
    most = math.ceil(sum(len(job.outputs) for job in jobs) / workers)
    for job in jobs:
        for start in range(0, len(job.outputs), most):
            yield dataclasses.replace(job, outputs=job.outputs[start : start + most])


def find_pictures(
    folder: Path,
    name: str,
    out: Path,
    failed: list[tuple[Path, str]],
    suffixes: Collection[str] = READABLE_SUFFIXES,
    apart: Path | None = None,
) -> list[Path]:
    """Find the pictures of a folder, except those in `out`, which are results of an earlier call, and those in `apart`."""
    found = find_images(folder, failed, suffixes)
    if out.resolve() == folder.resolve():
        raise UsageError(f"out: expected another folder than that of the {name}, got {out}")
    places = {parent: parent.resolve() for parent in {path.parent for path in found}}  # the files themselves may link anywhere
    for other in (out, apart):
        if other is not None and not folder.resolve().is_relative_to(other.resolve()):  # else it holds all, as with "."
            place = other.resolve() if other.is_dir() else other.parent.resolve() / other.name
            found = [path for path in found if not (places[path.parent] / path.name).is_relative_to(place)]
            if not found:
                raise ValueError(f"{folder}: expected pictures outside of {other}, found none")
    return found
