"""`nst-adain convert`: published weights as .safetensors."""

from __future__ import annotations

import argparse
from pathlib import Path

from nst_adain.cli.options import path_ending_in
from nst_adain.files import check_folder
from nst_adain.models.published import convert_published

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain convert`."""
    parser.description = """\
Turn published PyTorch weights into a .safetensors file for --encoder or
--model: vgg_normalised.pth and decoder.pth from the releases of
https://github.com/naoto0804/pytorch-AdaIN, or torchvision's vgg19."""
    parser.epilog = "example:\n  nst-adain convert vgg_normalised.pth -o vgg19.safetensors"
    parser.add_argument("source", type=Path, help="the .pth file")
    parser.add_argument(
        "-o", "--output", type=path_ending_in(".safetensors"), required=True, help="the .safetensors file to write"
    )
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Turn published weights into .safetensors."""
    check_folder(arguments.output)
    print(f"{arguments.output}: {convert_published(arguments.source, arguments.output)}")
