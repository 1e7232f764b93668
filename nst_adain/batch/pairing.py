"""Pairs the photographs of a batch with styles, and names the results."""

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
    """Holds a photograph, and the name and the output of each style it gets."""

    photo: Path
    outputs: list[tuple[Path, Path]]


def names_of(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Name each picture by its path in the folder without suffix, or with it where a.jpg and a.png would clash."""
    count = Counter(path.with_suffix("") for path in paths)
    return {p: p.relative_to(folder).with_suffix("" if count[p.with_suffix("")] == 1 else p.suffix) for p in paths}


def pair(photos: Mapping[Path, Path], styles: Sequence[Path], out: Path, pairing: str, seed: int, suffix: str) -> Iterator[Job]:
    """Yield what to make, whether or not the files can be read, so that repairing a file changes no other pair."""
    for path, name in photos.items():
        chosen = styles
        if pairing == "random":
            draw = np.random.default_rng([seed, zlib.crc32(os.fsencode(name.as_posix()))])
            chosen = [styles[int(draw.integers(len(styles)))]]
        outputs = [(style, out / name.parent / f"{name.name}__{'-'.join(style.parts)}{suffix}") for style in chosen]
        yield Job(path, outputs)


def split(jobs: Sequence[Job], workers: int) -> Iterator[Job]:
    """Split jobs so that all workers are busy even if there are fewer photographs than workers."""
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
