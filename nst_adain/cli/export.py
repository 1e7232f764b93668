"""`nst-adain export`: graphs for ONNX Runtime, and a page that runs them in a browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from nst_adain.cli.options import add_weights
from nst_adain.errors import UsageError
from nst_adain.models.pretrained import load_model
from nst_adain.site.static_site import VERSION, export_graphs, write_site

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain export`."""
    parser.description = """\
Write a model as encoder.onnx, modulator.onnx and decoder.onnx, in float32, with
strength and boldness as inputs; how to use them is in their metadata. Batch,
height and width are free; height and width are multiples of 8 from 16. Up to a
strength of 1.5, ONNX Runtime gives what torch does within 0.0001.
Or write a page that runs them in a browser, for any static host; slim is the
model for it."""
    parser.epilog = """examples:
  nst-adain export --model slim -o graphs
  nst-adain export --model slim --site page --runtime node_modules/onnxruntime-web"""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="where the three files go; made if missing")
    where.add_argument("--site", type=Path, metavar="FOLDER", help="where the page goes, with all its files; made if missing")
    parser.add_argument(
        "--runtime",
        type=Path,
        metavar="FOLDER",
        help=f"the npm package onnxruntime-web {VERSION}, to copy into the page (default: it loads that from cdn.jsdelivr.net)",
    )
    add_weights(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Write graphs for ONNX Runtime, or the page."""
    if arguments.runtime and not arguments.site:
        raise UsageError("--runtime: expected --site, as only the page has a copy of it, got --output")
    model = load_model(arguments.model, encoder=arguments.encoder)
    if arguments.site:
        print(write_site(model, arguments.site, arguments.runtime))
        return
    for path in export_graphs(model, arguments.output):
        print(path)
