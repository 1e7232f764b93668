"""`nst-adain grid`: a sheet of results."""

from __future__ import annotations

import argparse
from pathlib import Path

from nst_adain.cli.drawn import NAMES
from nst_adain.cli.options import (
    PICTURE,
    add_cells,
    add_controls,
    add_model,
    add_quality,
    encode_styles,
    load_stylizer,
    number_from_0,
    read_strength,
    whole_from,
)
from nst_adain.controls import Controls
from nst_adain.errors import UsageError
from nst_adain.figures import grid
from nst_adain.images.io import output_format, save_image
from nst_adain.results import check_apart

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain grid`."""
    parser.description = """\
Compare results on one sheet: photographs x styles; with --alphas, styles x
strengths of one photograph; with --corners, mixtures of four styles."""
    parser.epilog = """\
example:
  nst-adain grid --contents samples/chelsea.png samples/coffee.png \\
      --styles samples/brush_strokes.png samples/ink_wash.png -o sheet.png"""
    parser.add_argument(
        "--contents",
        type=Path,
        nargs="+",
        required=True,
        metavar="PHOTO",
        help="the rows; one photograph with --alphas or --corners",
    )
    parser.add_argument(
        "--styles",
        type=Path,
        nargs="+",
        required=True,
        metavar="STYLE",
        help=f"the columns; four with --corners: pictures, or {NAMES}",
    )
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--alphas",
        type=number_from_0,
        nargs="+",
        metavar="A",
        help="strengths: a row for each style, a column for each strength",
    )
    kinds.add_argument("--corners", type=whole_from(2), metavar="N", help="N x N mixtures of four styles, one in each corner")
    parser.add_argument("-o", "--output", type=PICTURE, default=Path("grid.png"), help="the sheet (%(default)s)")
    add_cells(parser, 256, "photographs are")
    add_controls(parser, ["alpha", "boldness", "style_size", "max_pixels"])
    add_quality(parser)
    add_model(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Make a sheet of results."""
    output_format(arguments.output)
    check_apart(arguments.output, *arguments.contents, *arguments.styles, arguments.alpha)
    single = arguments.alphas or arguments.corners
    if single and len(arguments.contents) > 1:
        raise UsageError(f"--contents: expected one photograph with --alphas or --corners, got {len(arguments.contents)}")
    if arguments.corners and len(arguments.styles) != 4:
        raise UsageError(f"--styles: expected four with --corners, got {len(arguments.styles)}")
    if arguments.alphas and arguments.alpha != 1:
        raise UsageError("--alpha: not allowed with --alphas")
    stylizer = load_stylizer(arguments)
    # No more than the cells show: every content's features are held.
    limit, side = arguments.max_pixels, arguments.size or arguments.cell
    encoded = [stylizer.encode_content(path, size=side, max_pixels=limit) for path in arguments.contents]
    contents = list(zip(grid.captions(arguments.contents), encoded))
    styles = list(zip(grid.captions(arguments.styles), encode_styles(stylizer, arguments.styles, arguments)))
    controls: Controls = {"alpha": read_strength(arguments), "boldness": arguments.boldness}
    if arguments.alphas:
        image = grid.alpha_grid(stylizer, contents[0][1], styles, arguments.alphas, cell=arguments.cell, **controls)
    elif arguments.corners:
        image = grid.corner_grid(stylizer, contents[0][1], styles, arguments.corners, cell=arguments.cell, **controls)
    else:
        image = grid.cross_grid(stylizer, contents, styles, cell=arguments.cell, **controls)
    save_image(image, arguments.output, quality=arguments.quality)
    print(arguments.output)
