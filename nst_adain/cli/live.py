"""`nst-adain live`: a camera."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from nst_adain.cli.drawn import NAMES
from nst_adain.cli.options import (
    add_controls,
    add_model,
    chosen,
    encode_styles,
    load_stylizer,
    whole_from,
)
from nst_adain.cli.styling import add_steadiness
from nst_adain.controls import BOLDNESS, Controls, check_weights
from nst_adain.errors import UsageError
from nst_adain.video.camera import KEYS, Scene, Window, frames_of, play
from nst_adain.video.smoothing import SmoothedStylizer

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain live`."""
    parser.description = f"Show a camera in one style or in several, in a window. Nothing is recorded.\n\n{KEYS}"
    parser.epilog = "example:\n  nst-adain live brush_strokes ink_wash"
    parser.add_argument("styles", type=Path, nargs="+", metavar="style", help=f"pictures whose style it gets; or {NAMES}")
    parser.add_argument("--camera", default="0", help="the number of the camera, or the file of a video (%(default)s)")
    parser.add_argument(
        "--size", type=whole_from(16), default=256, help="short side of the frames in pixels: less is faster (%(default)s)"
    )
    add_steadiness(parser)
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), help="the folder that pictures are saved in (default: this one)"
    )
    add_controls(parser, ["alpha", "boldness", "weights", "preserve_color", "style_size", "max_pixels"])
    add_model(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Show the camera until the user ends it."""
    if not isinstance(arguments.alpha, float):
        raise UsageError(f"--alpha: expected a number, got {str(arguments.alpha)!r}")
    weights = check_weights(arguments.weights, len(arguments.styles))
    stylizer = load_stylizer(arguments)
    boldness = BOLDNESS if arguments.boldness is None and stylizer.boldness.bold else arguments.boldness
    styles = encode_styles(stylizer, arguments.styles, arguments)
    steady = SmoothedStylizer(stylizer, arguments.steadiness)

    def stylise(frame: Image.Image, scene: Scene) -> Image.Image:
        controls: Controls = {
            **chosen(arguments, "preserve_color", "max_pixels"),
            "weights": scene.weights, "raw_weights": True, "alpha": scene.alpha, "boldness": scene.boldness,
        }  # fmt: skip
        return steady(frame, styles, **controls)

    scene = Scene(weights, arguments.alpha, boldness)
    with Window() as window:
        play(frames_of(arguments.camera, arguments.size), stylise, window.show, scene, arguments.output)
