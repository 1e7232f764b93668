"""`nst-adain demo`: a sheet of results that needs no file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nst_adain.cli.options import (
    PICTURE,
    add_model,
    add_quality,
    load_stylizer,
)
from nst_adain.demo import controls_sheet, demo_sheet
from nst_adain.figures.samples import save_inputs
from nst_adain.images.io import output_format, save_image

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain demo`."""
    parser.description = """\
Make a sheet of photographs in several styles, from pictures that come with the
installation. With --inputs, also save these pictures, to try commands on."""
    parser.epilog = "example:\n  nst-adain demo --inputs samples"
    parser.add_argument("-o", "--output", type=PICTURE, default=Path("nst-adain-demo.png"), help="the sheet (%(default)s)")
    parser.add_argument("--controls", action="store_true", help="show strength, mixture, masks and colour instead of styles")
    parser.add_argument("--inputs", type=Path, metavar="FOLDER", help="also save the photographs and styles in this folder")
    add_quality(parser)
    add_model(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Make a sheet of results from the package's own pictures."""
    if arguments.inputs:  # the sheet may be asked for in the same new folder
        save_inputs(arguments.inputs)
    output_format(arguments.output)
    stylizer = load_stylizer(arguments)
    image = controls_sheet(stylizer) if arguments.controls else demo_sheet(stylizer, progress=sys.stderr.isatty())
    save_image(image, arguments.output, quality=arguments.quality)
    print(arguments.output)
