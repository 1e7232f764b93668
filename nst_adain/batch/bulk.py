"""Millions of pictures on one machine or a cluster: Ray schedules shards, each of which is made and put in place as a whole.

Ray sees names and counts alone: a worker reads, computes and writes a shard by itself. So what Ray starts again, because a
worker or a machine ended, gives the same files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch

from nst_adain.batch.cluster import Item, call_on_ray
from nst_adain.batch.discovery import find_shards
from nst_adain.batch.listing import Listing
from nst_adain.batch.making import Making
from nst_adain.batch.pairing import check_distinct, pair
from nst_adain.batch.settings import SETTINGS, agreed, check_options, load_controls, settings_of
from nst_adain.batch.shards import FORMATS, Shard
from nst_adain.batch.stores import Store
from nst_adain.batch.styles import encode_styles, find_styles
from nst_adain.batch.units import MANIFEST, Outcome, Work, make_shard
from nst_adain.controls import STYLE_SIZE, Controls, check_style_size
from nst_adain.device import Precision
from nst_adain.errors import UsageError, at_least
from nst_adain.files import remove_strays
from nst_adain.images.io import check_format
from nst_adain.images.opening import MAX_PIXELS
from nst_adain.models.networks import StyleTransfer
from nst_adain.streams import progress_bar
from nst_adain.stylizer import Stylizer

__all__ = ["Totals", "stylize_bulk"]


@dataclasses.dataclass
class Totals:
    """What became of all shards.

    Attributes:
        done: results made.
        failed: results that could not be made; the manifests say why.
        skipped: shards that were in place already.
        first: why the first of those failed.
    """

    done: int = 0
    failed: int = 0
    skipped: int = 0
    first: str = ""


def stylize_bulk(
    stylizer: Stylizer,
    source: str,
    styles: str | os.PathLike[str],
    out: str,
    *,
    format: Literal["files", "webdataset", "parquet"] = "files",
    pairing: Literal["all", "random"] = "all",
    seed: int = 0,
    suffix: str = ".png",
    quality: int = 95,
    overwrite: bool = False,
    size: int | None = None,
    style_size: int | None = STYLE_SIZE,
    max_pixels: int = MAX_PIXELS,
    progress: bool = False,
    controls: Controls | None = None,
    names: str | os.PathLike[str] | None = None,
    shard_size: int = 1000,
    workers: int | None = None,
    address: str | None = None,
    device: str | None = None,
    precision: Precision = "auto",
) -> Totals:
    """Stylise a data set, shard by shard, on one machine or a cluster. Needs the extra `bulk`.

    A shard is a tar, a table, or some files. It is in place once OUT/manifest has its table of results (see
    `manifest.writing_manifest`), which is put there last, and then not made again.

    Args:
        stylizer: the model, which also encodes the styles; each worker makes a copy.
        source: a folder or URL of pictures; or WebDataset's tars or Parquet tables: one, or several by {00000..00099} or *.
        styles: a local folder of styles, or one.
        out: a folder or a URL.
        format: "files" with the names that `stylize_folder` gives; or tars or tables of the names of the input's, whose
            samples keep their keys, if each has one result, and all else that belongs to them.
        pairing, seed, suffix, quality, size, style_size, max_pixels, controls: as for `stylize_folder`.
        overwrite: make also the shards that are in place.
        progress: show a bar on standard error.
        names: a file of the names of pictures, relative to `source`; None: it is searched.
        shard_size: pictures in a shard of those that are files.
        workers: processes; None: one for each GPU, or for each machine.
        address: of a Ray cluster; None: this machine.
        device, precision: of each worker, as for `Stylizer`.

    Raises:
        NotADirectoryError, ValueError: if there is no input, an option is out of range, two files would have one result, or
            `out` has results of another input or of other settings.
        OSError: if a store does not answer, or is full; the next call goes on.
    """
    check_options(pairing, size, style_size)
    _check(format, suffix, quality, shard_size, workers)
    loaded = load_controls(stylizer.boldness.of, {**(controls or {}), "max_pixels": max_pixels})
    where, shards, listing = find_shards(source, None if names is None else Path(names), out, Path(styles), shard_size)
    unread: list[tuple[Path, str]] = []
    files = find_styles(Path(styles), Path(out), unread)
    check_style_size(style_size, files)
    encoded, digests = encode_styles(stylizer, Path(styles), files, style_size, max_pixels, unread, progress)
    known, drawn = list(files.values()), seed if pairing == "random" else None
    settings = settings_of(
        stylizer.digest, loaded, known, size=size, style_size=style_size,
        pairing=pairing, seed=seed, suffix=suffix, quality=quality, keep_metadata=False,
    )  # fmt: skip
    on_cpu = {name: code.to(torch.device("cpu")) for name, code in encoded.items()}
    making = Making(on_cpu, loaded, size, quality, keep_metadata=False, hashed=True)
    work = Work(where.absolute(), Store(out).absolute(), format, making, known, drawn, suffix, settings)
    load = functools.partial(_load, work, stylizer.boldness.ends, device, precision, overwrite)
    with _claimed(work, listing, shard_size, digests):
        left = shards if overwrite else _pending(work, shards)
        return _sum(work, left, len(shards) - len(left), load, device, workers, address, progress)


def _check(format: str, suffix: str, quality: int, shard_size: int, workers: int | None) -> None:
    check_format(suffix, quality)
    if format not in FORMATS:
        raise UsageError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    at_least(1, shard_size=shard_size, workers=1 if workers is None else workers)
    importlib.import_module("ray.data")  # if it is missing, say so before the work


@contextlib.contextmanager
def _claimed(work: Work, listing: Listing | None, size: int, digests: Mapping[str, str]) -> Iterator[None]:
    """Write to the output how its pictures are made, and of what; if nothing was put there, remove that again.

    Raises:
        UsageError: if it has others.
    """
    settings = {**work.settings, "format": work.format, "style_files": digests}
    if listing is not None:
        suspects = listing.suspects(["-".join(style.parts) for style in work.styles])
        check_distinct(pair(suspects, Path(work.source.url), work.styles, Path(), work.pairing, work.seed or 0, work.suffix))
        # Other names, or more in a shard, would give a shard's name to other pictures.
        settings["listing"] = {"sha256": hashlib.sha256(listing.text + str(size).encode()).hexdigest()}
    if work.out.local is not None:
        for folder in (work.out.local, work.out.local / MANIFEST):
            remove_strays(folder)
    data = json.dumps(settings, indent=1).encode()
    new = not work.out.exists(SETTINGS)
    agreed(f"{work.out.url.rstrip('/')}/{SETTINGS}", work.out.claim(SETTINGS, data), settings)
    try:
        yield
    finally:
        out = dataclasses.replace(work.out, patience=0)  # a store that did not answer is not waited for again
        with contextlib.suppress(OSError):
            if _in_place(out):
                out.claim(SETTINGS, data)  # another call may have removed it as it ended, while this one ran
            elif new and not {*out.names()} - {SETTINGS}:
                out.remove(SETTINGS)


def _pending(work: Work, shards: Sequence[Shard]) -> list[Shard]:
    """Return the shards whose manifests are not in place."""
    there = _in_place(work.out)
    return [shard for shard in shards if f"{shard.name}.parquet" not in there]


def _in_place(out: Store) -> set[str]:
    """Return the names of the manifests of the shards that are done."""
    return {*dataclasses.replace(out, url=f"{out.url.rstrip('/')}/{MANIFEST}").names()}


def _load(
    work: Work, model: StyleTransfer, device: str | None, precision: Precision, again: bool, cores: int
) -> Callable[[Item], Item]:
    """Return what makes a shard, in a worker."""
    torch.set_num_threads(cores)
    stylizer = Stylizer(model, device, precision)

    def call(item: Item) -> Item:
        shard = Shard(str(item["name"]), str(item["source"]), bytes(item["entries"]))
        try:
            return {**dataclasses.asdict(make_shard(work, stylizer, shard, again)), "fatal": ""}
        except (OSError, ValueError) as error:  # an answer, not an exception, which Ray would make a page of
            return {**dataclasses.asdict(Outcome(shard.name, 0, 0)), "fatal": " ".join(str(error).split())}

    return call


def _sum(
    work: Work,
    shards: Sequence[Shard],
    skipped: int,
    load: Callable[[int], Callable[[Item], Item]],
    device: str | None,
    workers: int | None,
    address: str | None,
    progress: bool,
) -> Totals:
    totals, bar = Totals(skipped=skipped), progress_bar(total=len(shards), unit="shard", shown=progress)
    if not shards:
        return totals
    items = [dataclasses.asdict(shard) for shard in shards]
    with bar:
        for row in call_on_ray(items, load, gpus=device in (None, "auto", "cuda"), workers=workers, address=address):
            if row["fatal"]:
                raise OSError(f"{work.out.url}: shard {row['shard']} could not be made: {row['fatal']}")
            totals.done += row["done"]
            totals.failed += row["failed"]
            totals.first = totals.first or row["first"]
            bar.update()
    return totals
