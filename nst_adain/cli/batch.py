"""`nst-adain batch`: a folder of photographs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nst_adain.batch.folder import stylize_folder
from nst_adain.batch.runs import failures_file
from nst_adain.cli.drawn import NAMES, style_file
from nst_adain.cli.options import (
    add_controls,
    add_metadata,
    add_model,
    add_quality,
    chosen,
    load_stylizer,
    path_ending_in,
    say_failed,
    suffix,
    whole_from,
)
from nst_adain.errors import UsageError

__all__ = ["add_options", "add_sharing", "run", "shard"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain batch`."""
    parser.description = """\
Stylise every photograph in a folder and its subfolders, in every style or in a
random one each. Run the same command again to continue after an interruption:
it makes only the results that are missing. Files that cannot be read are
skipped, listed in failures.csv, and make the exit status 1."""
    parser.epilog = "example:\n  nst-adain batch samples --styles samples/ink_wash.png -o stylised"
    parser.add_argument("photos", type=Path, help="folder of photographs, searched with its subfolders")
    parser.add_argument(
        "--styles", type=Path, required=True, metavar="STYLES", help=f"a folder of styles, or one style: a file, or {NAMES}"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="where results go; subfolders are mirrored"
    )
    parser.add_argument("--random", action="store_true", help="give each photograph one style, chosen at random")
    parser.add_argument("--seed", type=whole_from(0), help="seed of that choice (default: 0)")
    parser.add_argument("--format", type=suffix, default=".png", help="file format of the results (%(default)s)")
    add_sharing(parser)
    parser.add_argument("--overwrite", action="store_true", help="make results again that exist already")
    add_controls(parser, ["alpha", "boldness", "preserve_color", "size", "style_size", "look_size", "detail", "max_pixels"])
    add_quality(parser)
    add_metadata(parser)
    add_model(parser)
    parser.set_defaults(job=run)


def add_sharing(parser: argparse.ArgumentParser) -> None:
    """How the work is shared among calls, processes and devices, and what is recorded of it."""
    names = "names of the photographs, one a line, relative to their folder, which is then not searched"
    parser.add_argument("--list", type=Path, metavar="FILE", help=names)
    part = "make the part K of N by name, so that N calls make what one makes"
    parser.add_argument("--shard", type=shard, default=(1, 1), metavar="K/N", help=part)
    shared = parser.add_mutually_exclusive_group()
    shared.add_argument("--workers", type=whole_from(1), default=1, help="processes that share the cores (%(default)s)")
    places = "a process on each of these, such as cuda:0 cuda:1; or all: on each GPU"
    shared.add_argument("--devices", nargs="+", default=(), metavar="DEVICE", help=places)
    record = "a Parquet file with a row for each result (needs the extra: bulk)"
    parser.add_argument("--manifest", type=path_ending_in(".parquet"), metavar="FILE", help=record)


def shard(text: str) -> tuple[int, int]:
    """K/N, with K from 1 to N."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 1 to N, such as 3/64, got {text!r}")
    return int(number), int(count)


def run(arguments: argparse.Namespace) -> None:
    """Stylise a folder of photographs; raises ValueError if some failed."""
    if arguments.preserve_color == "coral":
        raise UsageError("--preserve-color: expected luminance, got 'coral', which needs each style anew for each photo")
    if arguments.seed is not None and not arguments.random:
        raise UsageError("--seed: not allowed without --random, which draws")
    with style_file(arguments.styles) as styles:
        report = stylize_folder(
            load_stylizer(arguments),
            arguments.photos,
            styles,
            arguments.output,
            pairing="random" if arguments.random else "all",
            seed=arguments.seed or 0,
            suffix=arguments.format,
            quality=arguments.quality,
            overwrite=arguments.overwrite,
            size=arguments.size,
            style_size=arguments.style_size,
            max_pixels=arguments.max_pixels,
            keep_metadata=arguments.keep_metadata,
            progress=sys.stderr.isatty(),
            names=arguments.list,
            shard=arguments.shard,
            workers=arguments.workers,
            devices=arguments.devices,
            manifest=arguments.manifest,
            controls=chosen(arguments, "alpha", "boldness", "preserve_color", "look_size", "detail"),
        )
    again = " (--overwrite makes them again)" if report.skipped else ""
    print(f"{arguments.output}: {report.done} written, {report.skipped} there already{again}, {len(report.failed)} failed")
    for file, error in report.failed:
        say_failed(file, error)
    if report.failed:
        raise ValueError(f"{len(report.failed)} failed, listed in {failures_file(arguments.output, arguments.shard)}")
