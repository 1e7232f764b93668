"""Folders of photographs: every one in every style, or each in one style drawn at random, as for Stylized-ImageNet.

Geirhos et al. 2019, https://arxiv.org/abs/1811.12231.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from nst_adain.batch.listing import Listing, list_names, read_list
from nst_adain.batch.making import Making
from nst_adain.batch.manifest import Facts, writing_manifest
from nst_adain.batch.pairing import check_distinct, find_pictures, pair
from nst_adain.batch.runs import Report, Run, failures_file
from nst_adain.batch.settings import check_options, load_controls, settings_of
from nst_adain.batch.styles import find_styles
from nst_adain.batch.workers import share_work
from nst_adain.controls import STYLE_SIZE, Controls, check_style_size
from nst_adain.files import check_folder, made_folder, remove_strays
from nst_adain.images.io import output_format
from nst_adain.images.opening import MAX_PIXELS
from nst_adain.stylizer import Stylizer

__all__ = ["stylize_folder"]


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
    names: str | os.PathLike[str] | None = None,
    shard: tuple[int, int] = (1, 1),
    workers: int = 1,
    devices: Sequence[str] = (),
    manifest: str | os.PathLike[str] | None = None,
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
        names: a file that names the photographs, one a line, relative to `photos`; None: `photos` is searched.
        shard: (k, n): make the part k of n, from 1. Each photograph is in one of them by its name alone, so that n calls over
            one `out`, at the same time or not, make what one makes.
        workers: processes that share the work and the processor's cores.
        devices: instead of `workers`, a process on each of these devices, such as cuda:0 and cuda:1; or ["all"]: each GPU.
        manifest: a Parquet file to write at the end: a row for each result (see `manifest.writing_manifest`).

    Raises:
        NotADirectoryError, PermissionError, ValueError: if a folder does not exist, has no pictures or cannot be written to, an
            option is out of range, two pairs would have one result, or `out` has results of other settings.
        ChildProcessError: if a worker was ended from outside; the next call goes on.
    """
    photos, styles, out = Path(photos), Path(styles), Path(out)
    check_options(pairing, size, style_size)
    loaded = load_controls(stylizer.boldness.of, {**(controls or {}), "max_pixels": max_pixels})
    report = Report()
    listing = _list(photos, names, out, styles, report)
    files = find_styles(styles, out, report.failed)
    check_style_size(style_size, files)
    known = list(files.values())
    paired = functools.partial(pair, photos=photos, styles=known, out=out, pairing=pairing, seed=seed, suffix=suffix)
    check_distinct(paired(listing.suspects(["-".join(style.parts) for style in known])))
    settings = settings_of(
        stylizer.digest, loaded, known, size=size, style_size=style_size,
        pairing=pairing, seed=seed, suffix=suffix, quality=quality, keep_metadata=keep_metadata,
    )  # fmt: skip
    each, drawn = (1, seed) if pairing == "random" else (len(known), None)
    run = Run(photos, out, listing.shard(*shard), paired, each, settings, report, failures_file(out, shard))
    with _claimed(run, suffix, manifest), writing_manifest(manifest, Facts(photos, out, drawn, settings)) as record:
        encoded = run.encode(stylizer, styles, files, style_size, max_pixels, progress)
        making = Making(encoded, loaded, size, quality, keep_metadata, hashed=manifest is not None)
        with share_work(stylizer, making, workers, devices) as make:
            run.work(make, record, overwrite, progress)
    return report


def _list(photos: Path, names: str | os.PathLike[str] | None, out: Path, styles: Path, report: Report) -> Listing:
    if names is not None:
        if not photos.is_dir():
            raise NotADirectoryError(f"{photos}: expected a folder of pictures, found no such folder")
        return read_list(Path(names))
    found = find_pictures(photos, "photographs", out, report.failed, apart=styles)
    return list_names(os.fsencode(path.relative_to(photos).as_posix()) for path in found)


@contextlib.contextmanager
def _claimed(run: Run, suffix: str, manifest: str | os.PathLike[str] | None) -> Iterator[None]:
    """Make the output folder, clean it and claim it; whatever would fail after the work fails here, before it."""
    with made_folder(run.out):
        if not os.access(run.out, os.W_OK | os.X_OK):
            raise PermissionError(f"{run.out}: expected a folder that can be written to")
        output_format(run.out / f"x{suffix}")
        check_folder(run.failures)
        if manifest is not None:
            import pyarrow  # noqa: F401

            check_folder(Path(manifest))
        remove_strays(run.out)
        with run.claimed():
            yield
