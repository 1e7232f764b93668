"""`nst-adain compare`: what each model makes of one photograph."""

from __future__ import annotations

import argparse
from pathlib import Path

from nst_adain.cli.drawn import NAMES, open_style
from nst_adain.cli.options import (
    PICTURE,
    add_cells,
    add_controls,
    add_device,
    add_encoder,
    add_quality,
    has_encoder,
    load_stylizer,
    read_strength,
)
from nst_adain.controls import BOLDNESS, is_saved
from nst_adain.errors import UsageError
from nst_adain.figures.grid import captions, model_grid
from nst_adain.images.io import load_image, output_format, save_image
from nst_adain.models.pretrained import available_models, needs_encoder
from nst_adain.results import check_apart

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain compare`."""
    parser.description = f"""\
Compare models on one sheet: a photograph, a style, and the photograph in this
style by each model at the boldnesses 0, {BOLDNESS:g} and 1, or at that of --boldness.
vgg19 takes part if its encoder is named."""
    parser.epilog = """\
example:
  nst-adain compare samples/chelsea.png brush_strokes -o models.png"""
    parser.add_argument("content", type=Path, help="the photograph")
    parser.add_argument("style", type=Path, help=f"a picture, or the name of a drawn one: {NAMES}")
    parser.add_argument("-o", "--output", type=PICTURE, default=Path("compare.png"), help="the sheet (%(default)s)")
    parser.add_argument("--models", nargs="+", metavar="MODEL",
                        help="names or .safetensors files (default: all that ship)")  # fmt: skip
    add_cells(parser, 384, "the photograph is")
    add_controls(parser, ["alpha", "boldness", "style_size", "max_pixels"])
    add_quality(parser)
    add_encoder(parser)
    add_device(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Make a sheet of models."""
    output_format(arguments.output)
    check_apart(arguments.output, arguments.content, arguments.style, arguments.alpha)
    if is_saved(arguments.style):
        raise UsageError(f"style: expected a picture, got the file of an encoded style {arguments.style}")
    style = open_style(arguments.style)
    limit = arguments.max_pixels
    photo, style = (load_image(p, max_pixels=limit) if isinstance(p, Path) else p for p in (arguments.content, style))
    names = arguments.models or [name for name in available_models() if has_encoder(name, arguments)]
    if arguments.encoder and not any(map(needs_encoder, names)):
        raise UsageError(f"--encoder: expected none for models that have their own, got {arguments.encoder}")
    stylizers = [(caption, load_stylizer(arguments, name)) for caption, name in zip(captions(names), names, strict=True)]
    several = arguments.boldness is None and any(stylizer.boldness.bold for _, stylizer in stylizers)
    image = model_grid(
        stylizers,
        photo,
        style,
        boldnesses=(0, BOLDNESS, 1) if several else (),
        boldness=arguments.boldness,
        cell=arguments.cell,
        size=arguments.size or arguments.cell,
        alpha=read_strength(arguments),
        style_size=arguments.style_size,
        max_pixels=limit,
    )
    save_image(image, arguments.output, quality=arguments.quality)
    print(arguments.output)
