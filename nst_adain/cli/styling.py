"""Options that commands for many pictures share: for folders, data sets, videos and cameras."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from nst_adain.cli.drawn import NAMES
from nst_adain.cli.options import add_controls, add_quality, chosen, number_below_1, suffix, whole_from
from nst_adain.errors import UsageError

__all__ = ["add_steadiness", "add_styling", "styling"]


def add_styling(parser: argparse.ArgumentParser) -> None:
    """Which styles pictures get, and how they are made: for `styling`."""
    parser.add_argument(
        "--styles", type=Path, required=True, metavar="STYLES", help=f"a folder of styles, or one style: a file, or {NAMES}"
    )
    parser.add_argument("--random", action="store_true", help="give each picture one style, chosen at random")
    parser.add_argument("--seed", type=whole_from(0), help="seed of that choice (default: 0)")
    parser.add_argument("--format", type=suffix, default=".png", help="file format of the pictures (%(default)s)")
    names = "names of the pictures, one a line, relative to their folder, which is then not searched"
    parser.add_argument("--list", type=Path, metavar="FILE", help=names)
    add_controls(parser, ["alpha", "boldness", "preserve_color", "size", "style_size", "look_size", "detail", "max_pixels"])
    add_quality(parser)


def styling(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what `stylize_folder` and `stylize_bulk` are both given.

    Raises:
        UsageError: if two options contradict each other.
    """
    if arguments.preserve_color == "coral":
        raise UsageError("--preserve-color: expected luminance, got 'coral', which needs each style anew for each photo")
    if arguments.seed is not None and not arguments.random:
        raise UsageError("--seed: not allowed without --random, which draws")
    same = ("quality", "overwrite", "size", "style_size", "max_pixels", "workers")
    return {
        **{name: getattr(arguments, name) for name in same},
        "pairing": "random" if arguments.random else "all",
        "seed": arguments.seed or 0,
        "suffix": arguments.format,
        "names": arguments.list,
        "progress": sys.stderr.isatty(),
        "controls": chosen(arguments, "alpha", "boldness", "preserve_color", "look_size", "detail"),
    }


def add_steadiness(parser: argparse.ArgumentParser) -> None:
    """How much of the frames before is in each."""
    words = "temporal smoothing from 0, none, to below 1: less flicker, softer (%(default)s)"
    parser.add_argument("--steadiness", type=number_below_1, default=0.7, help=words)
