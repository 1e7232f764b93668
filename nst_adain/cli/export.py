"""`nst-adain export`: graphs for ONNX Runtime."""

from __future__ import annotations

import argparse
from pathlib import Path

from nst_adain.cli.options import add_weights
from nst_adain.models.export import export_onnx
from nst_adain.models.pretrained import load_model

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `nst-adain export` is asked with."""
    parser.description = "Writes encoder.onnx and decoder.onnx, in float32, with free batch and sides (multiples of 8 from 16)."
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="made if need be")
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="(%(default)s)")
    add_weights(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Graphs for ONNX Runtime."""
    for path in export_onnx(load_model(arguments.model, encoder=arguments.encoder), arguments.output):
        print(path)
