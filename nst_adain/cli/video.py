"""`nst-adain video`: a video."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nst_adain.cli.drawn import NAMES
from nst_adain.cli.options import (
    add_controls,
    add_metadata,
    add_model,
    chosen,
    encode_styles,
    load_stylizer,
    path_ending_in,
    whole_from,
)
from nst_adain.cli.styling import add_steadiness
from nst_adain.errors import UsageError
from nst_adain.video.frames import SUFFIXES as VIDEO_SUFFIXES
from nst_adain.video.stylize import stylize_video
from nst_adain.video.truncation import describe_cut

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain video`."""
    parser.description = """\
Stylise a video. The times of its frames and its sound are kept, from 0 on;
subtitles and chapters are not. High dynamic range becomes standard range
(BT.709). Sound that the result's container does not take is encoded anew. A
source that is cut short is stylised as far as it goes; the exit status is then 1."""
    parser.epilog = """\
example, with a clip to try it on:
  nst-adain morph samples/coffee.png samples/mosaic.png samples/ink_wash.png -o clip.mp4
  nst-adain video clip.mp4 samples/brush_strokes.png -o painted.mp4"""
    parser.add_argument("source", type=Path, help="the video")
    parser.add_argument(
        "styles", type=Path, nargs="*", metavar="style", help=f"pictures whose style it gets, mixed if several; or {NAMES}"
    )
    parser.add_argument("--from", dest="start", type=Path, metavar="STYLE", help="instead of style: the style at the beginning")
    parser.add_argument(
        "--to", dest="end", type=Path, metavar="STYLE", help="and the style at the end, with mixtures in between"
    )
    parser.add_argument(
        "-o", "--output", type=path_ending_in(*VIDEO_SUFFIXES), required=True, help="the result: .mp4, .mkv, .mov or .webm"
    )
    add_steadiness(parser)
    parser.add_argument("--crf", type=whole_from(0, 51), default=18, help="quality, from 0, the best, to 51 (%(default)s)")
    add_controls(
        parser, ["alpha", "boldness", "weights", "preserve_color", "size", "style_size", "look_size", "detail", "max_pixels"]
    )
    parser.add_argument("--no-audio", dest="audio", action="store_false", help="leave the sound out")
    add_metadata(parser)
    add_model(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Stylise a video; raises ValueError if it was cut short."""
    ends = [path for path in (arguments.start, arguments.end) if path]
    if bool(arguments.styles) == bool(ends) or len(ends) == 1:
        raise UsageError("style: expected a style, or --from and --to")
    if ends and arguments.weights:
        raise UsageError("--weights: not allowed with --from and --to")
    if arguments.preserve_color == "coral":
        raise UsageError("--preserve-color: expected luminance, got 'coral', which needs the style anew for each frame")
    stylizer = load_stylizer(arguments)
    styles = encode_styles(stylizer, arguments.styles or ends, arguments)
    count = stylize_video(
        stylizer,
        arguments.source,
        styles,
        arguments.output,
        weights=[1, 0] if ends else arguments.weights,
        end_weights=[0, 1] if ends else None,
        steadiness=arguments.steadiness,
        size=arguments.size,
        crf=arguments.crf,
        max_pixels=arguments.max_pixels,
        keep_metadata=arguments.keep_metadata,
        audio=arguments.audio,
        progress=sys.stderr.isatty(),
        controls=chosen(arguments, "alpha", "boldness", "preserve_color", "look_size", "detail"),
    )
    print(f"{arguments.output}: {count} frames")
    if cut := describe_cut(arguments.source):
        raise ValueError(cut)
