"""`nst-adain morph`: an animation from style to style."""

from __future__ import annotations

import argparse
from pathlib import Path

from nst_adain.cli.drawn import NAMES
from nst_adain.cli.options import (
    add_controls,
    add_model,
    encode_styles,
    load_stylizer,
    path_ending_in,
    read_strength,
    whole_from,
)
from nst_adain.errors import UsageError
from nst_adain.figures.animation import ANIMATIONS, path_weights, save_animation
from nst_adain.files import check_folder
from nst_adain.results import check_apart

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain morph`."""
    parser.description = "Animate a photograph on its way from one style to the next."
    parser.epilog = """\
example:
  nst-adain morph samples/coffee.png samples/brush_strokes.png samples/ink_wash.png -o coffee.gif"""
    parser.add_argument("content", type=Path, help="the photograph")
    parser.add_argument("styles", type=Path, nargs="+", metavar="style", help=f"two or more, in order: pictures, or {NAMES}")
    parser.add_argument(
        "-o",
        "--output",
        type=path_ending_in(*ANIMATIONS),
        default=Path("morph.gif"),
        help='.gif, .webp or, with the extra "video", .mp4 and other videos (%(default)s)',
    )
    parser.add_argument("--frames", type=whole_from(2), default=24, help="number of frames (%(default)s)")
    parser.add_argument("--fps", type=whole_from(1), default=12, help="frames per second (%(default)s)")
    parser.add_argument("--loop", action="store_true", help="return to the first style at the end")
    add_controls(parser, ["alpha", "boldness", "size", "style_size", "max_pixels"])
    add_model(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Animate a photograph from style to style."""
    if len(arguments.styles) < 2:
        raise UsageError(f"style: expected at least two, got {len(arguments.styles)}")
    check_folder(arguments.output)
    check_apart(arguments.output, arguments.content, *arguments.styles, arguments.alpha)
    stylizer = load_stylizer(arguments)
    content = stylizer.encode_content(arguments.content, size=arguments.size, max_pixels=arguments.max_pixels)
    styles = encode_styles(stylizer, arguments.styles, arguments)
    alpha = read_strength(arguments)
    weights = path_weights(len(styles), arguments.frames, loop=arguments.loop)
    frames = (stylizer(content, list(styles), weights=w, alpha=alpha, boldness=arguments.boldness) for w in weights)
    save_animation(frames, arguments.output, fps=arguments.fps)
    print(arguments.output)
