"""`nst-adain batch`: a folder of photographs."""

from __future__ import annotations

import argparse
from pathlib import Path

from nst_adain.batch.folder import stylize_folder
from nst_adain.batch.runs import failures_file
from nst_adain.cli.drawn import style_file
from nst_adain.cli.options import (
    add_metadata,
    add_model,
    load_stylizer,
    path_ending_in,
    say_failed,
    whole_from,
)
from nst_adain.cli.styling import add_styling, styling

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
    add_styling(parser)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="where results go; subfolders are mirrored"
    )
    add_sharing(parser)
    parser.add_argument("--overwrite", action="store_true", help="make results again that exist already")
    add_metadata(parser)
    add_model(parser)
    parser.set_defaults(job=run)


def add_sharing(parser: argparse.ArgumentParser) -> None:
    """How the work is shared among calls, processes and devices, and what is recorded of it."""
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
    options = styling(arguments)
    with style_file(arguments.styles) as styles:
        report = stylize_folder(
            load_stylizer(arguments),
            arguments.photos,
            styles,
            arguments.output,
            **options,
            keep_metadata=arguments.keep_metadata,
            shard=arguments.shard,
            devices=arguments.devices,
            manifest=arguments.manifest,
        )
    again = " (--overwrite makes them again)" if report.skipped else ""
    print(f"{arguments.output}: {report.done} written, {report.skipped} there already{again}, {len(report.failed)} failed")
    for file, error in report.failed:
        say_failed(file, error)
    if report.failed:
        raise ValueError(f"{len(report.failed)} failed, listed in {failures_file(arguments.output, arguments.shard)}")
