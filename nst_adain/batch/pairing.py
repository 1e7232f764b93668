"""Which photographs a batch makes in which styles, and what the results are called."""

from __future__ import annotations

import dataclasses
import math
import os
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from nst_adain.errors import UsageError
from nst_adain.images.opening import READABLE_SUFFIXES, find_images

__all__ = ["Job", "find_pictures", "names_of", "pair", "split"]


@dataclasses.dataclass(frozen=True)
class Job:
    """A photograph, and for each style it gets, the style's name and the output."""

    photo: Path
    outputs: list[tuple[Path, Path]]


def names_of(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Each picture's path in its folder without suffix; with it where a.jpg and a.png would be one name."""
    count = Counter(path.with_suffix("") for path in paths)
    return {p: p.relative_to(folder).with_suffix("" if count[p.with_suffix("")] == 1 else p.suffix) for p in paths}


def pair(photos: Mapping[Path, Path], styles: Sequence[Path], out: Path, pairing: str, seed: int, suffix: str) -> Iterator[Job]:
    """What to make, whether or not the files can be read: so a repaired file changes nothing else."""
    for path, name in photos.items():
        chosen = styles
        if pairing == "random":
            draw = np.random.default_rng([seed, zlib.crc32(os.fsencode(name.as_posix()))])
            chosen = [styles[int(draw.integers(len(styles)))]]
        outputs = [(style, out / name.parent / f"{name.name}__{'-'.join(style.parts)}{suffix}") for style in chosen]
        yield Job(path, outputs)


def split(jobs: Sequence[Job], workers: int) -> Iterator[Job]:
    """The same jobs, but enough for all workers where there are fewer photographs than those."""
    most = math.ceil(sum(len(job.outputs) for job in jobs) / workers)
    for job in jobs:
        for start in range(0, len(job.outputs), most):
            yield Job(job.photo, job.outputs[start : start + most])


def find_pictures(
    folder: Path,
    name: str,
    out: Path,
    failed: list[tuple[Path, str]],
    suffixes: Collection[str] = READABLE_SUFFIXES,
    apart: Path | None = None,
) -> list[Path]:
    """The pictures of a folder, but not those in `out`, which are the results of an earlier call, nor those in `apart`."""
    found = find_images(folder, failed, suffixes)
    if out.resolve() == folder.resolve():
        raise UsageError(f"out: expected another folder than that of the {name}, got {out}")
    places = {parent: parent.resolve() for parent in {path.parent for path in found}}  # whatever the files link to
    for other in (out, apart):
        if other is not None and not folder.resolve().is_relative_to(other.resolve()):  # else all are in it, as with "."
            place = other.resolve() if other.is_dir() else other.parent.resolve() / other.name
            found = [path for path in found if not (places[path.parent] / path.name).is_relative_to(place)]
            if not found:
                raise ValueError(f"{folder}: expected pictures outside of {other}, found none")
    return found
