"""`nst-adain bulk`: a data set, on one machine or a cluster."""

from __future__ import annotations

import argparse

from nst_adain.batch.bulk import stylize_bulk
from nst_adain.batch.shards import FORMATS
from nst_adain.batch.units import MANIFEST
from nst_adain.cli.drawn import style_file
from nst_adain.cli.options import add_model, load_stylizer, whole_from
from nst_adain.cli.styling import add_styling, styling

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain bulk`."""
    parser.description = """\
Stylise a data set on this machine or on a Ray cluster, in shards: tars, tables,
or some of the files of a folder. Each shard is put in place as a whole, with a
table in OUT/manifest that has a row for each result. Run the same command again
to continue: it makes only the shards that are missing."""
    parser.epilog = "example:\n  nst-adain bulk 'photos/{00000..00099}.tar' --styles paintings --random --to webdataset -o made"
    parser.add_argument(
        "source",
        metavar="IN",
        help="a folder, or a URL such as s3://bucket/folder; or tars or Parquet tables: one, or {000..099}.tar, or *.tar",
    )
    add_styling(parser)
    parser.add_argument("-o", "--output", dest="out", required=True, metavar="OUT", help="a folder, or a URL, for the results")
    parser.add_argument("--to", choices=FORMATS, default="files", help="what results are written as (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="make shards again that are in place")
    parser.add_argument(
        "--shard-size",
        type=whole_from(1),
        default=1000,
        metavar="N",
        help="pictures in a shard of files (%(default)s)",
    )
    parser.add_argument("--workers", type=whole_from(1), help="processes (default: one for each GPU, or for each machine)")
    parser.add_argument("--address", help="of a Ray cluster, such as auto (default: this machine alone)")
    add_model(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Stylise a data set; raises ValueError if some results could not be made."""
    options = styling(arguments)
    with style_file(arguments.styles) as styles:
        totals = stylize_bulk(
            load_stylizer(arguments),
            arguments.source,
            styles,
            arguments.out,
            **options,
            format=arguments.to,
            shard_size=arguments.shard_size,
            address=arguments.address,
            device=arguments.device,
            precision=arguments.precision,
        )
    again = " (--overwrite makes them again)" if totals.skipped else ""
    print(f"{arguments.out}: {totals.done} made, {totals.failed} failed, {totals.skipped} shards there already{again}")
    if totals.failed:
        where = f"{arguments.out.rstrip('/')}/{MANIFEST}"
        raise ValueError(
            f"{totals.failed} failed, listed in {where} unless a whole shard is missing; the first: {totals.first}"
        )
