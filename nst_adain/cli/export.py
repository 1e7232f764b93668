"""`nst-adain export`: graphs for ONNX Runtime."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from nst_adain.cli.options import add_controls, add_weights
from nst_adain.models.boldness import Boldness
from nst_adain.models.export import export_onnx
from nst_adain.models.pretrained import load_model

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain export`."""
    parser.description = """\
Write a model as encoder.onnx and decoder.onnx, in float32. The encoder gives a
picture's features and code (means and standard deviations); the decoder takes
a content's features and code, one style code for each content, and alpha.
Batch, height and width are free; height and width are multiples of 8 from 16.
Up to a strength of 1.5, ONNX Runtime gives what torch does within 0.0001."""
    parser.epilog = "example:\n  nst-adain export --model slim -o graphs"
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="where the two files go; made if missing"
    )
    add_controls(parser, ["boldness"])
    add_weights(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Write graphs for ONNX Runtime."""
    model = load_model(arguments.model, encoder=arguments.encoder)
    boldness = Boldness(model, torch.device("cpu"), half=False)
    for path in export_onnx(boldness(boldness.of(arguments.boldness)), arguments.output):
        print(path)
