"""What each command of `nst-adain` is asked with."""

from __future__ import annotations

import argparse
from pathlib import Path

from nst_adain import jobs
from nst_adain.animation import ANIMATIONS
from nst_adain.frames import SUFFIXES as VIDEO_SUFFIXES
from nst_adain.images import WRITABLE_SUFFIXES
from nst_adain.options import (
    add_controls,
    add_metadata,
    add_model,
    add_quality,
    add_weights,
    number_below_1,
    number_from_0,
    path_ending_in,
    picture_or_folder,
    suffix,
    whole_from,
)

__all__ = [
    "app",
    "batch",
    "convert",
    "demo",
    "export",
    "grid",
    "morph",
    "stylize",
    "video",
]

_PICTURE, _ANIMATION = path_ending_in(*WRITABLE_SUFFIXES), path_ending_in(*ANIMATIONS)


def stylize(parser: argparse.ArgumentParser) -> None:
    """Options and job of `nst-adain stylize`."""
    parser.description = (
        "Transparency and size of the photograph are kept. Formats: PNG, JPEG, WebP and TIFF, by the output's name."
    )
    parser.add_argument("content", type=Path, help="the photograph")
    styles = parser.add_argument("styles", type=Path, nargs="+", metavar="style", help="the pictures whose style it gets")
    styles.required = False  # by argparse: --styles takes its place
    parser.add_argument("--styles", dest="named", type=Path, nargs="+", metavar="STYLE",
                        help="the styles; then all that comes before is photographs")  # fmt: skip
    parser.add_argument("-o", "--output", type=picture_or_folder,
                        help="with --styles also a folder (default: CONTENT__STYLE.png in this folder)")  # fmt: skip
    add_controls(parser)
    add_quality(parser)
    add_metadata(parser)
    add_model(parser)
    parser.set_defaults(job=jobs.stylize)


def grid(parser: argparse.ArgumentParser) -> None:
    """Options and job of `nst-adain grid`."""
    parser.add_argument("--contents", type=Path, nargs="+", required=True, metavar="PHOTO", help="the rows; one for the others")
    parser.add_argument("--styles", type=Path, nargs="+", required=True, metavar="STYLE")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--alphas", type=number_from_0, nargs="+", metavar="A", help="a row for each style, a column for each")
    kinds.add_argument("--corners", type=whole_from(2), metavar="N", help="N x N mixtures of four styles")
    parser.add_argument("-o", "--output", type=_PICTURE, default=Path("grid.png"), help="default: %(default)s")
    parser.add_argument("--cell", type=whole_from(16), default=256, help="side of a picture on the sheet (%(default)s)")
    parser.add_argument(
        "--size", type=whole_from(1), help="short side at which photographs are stylised, in pixels (default: that of --cell)"
    )
    add_controls(parser, ["alpha", "style_size", "max_pixels"])
    add_quality(parser)
    add_model(parser)
    parser.set_defaults(job=jobs.grid)


def morph(parser: argparse.ArgumentParser) -> None:
    """Options and job of `nst-adain morph`."""
    parser.add_argument("content", type=Path, help="the photograph")
    parser.add_argument("styles", type=Path, nargs="+", metavar="style", help="two or more pictures")
    parser.add_argument(
        "-o", "--output", type=_ANIMATION, default=Path("morph.gif"), help=".gif, .webp, or a video (%(default)s)"
    )
    parser.add_argument("--frames", type=whole_from(2), default=24, help="pictures (%(default)s)")
    parser.add_argument("--fps", type=whole_from(1), default=12, help="pictures in a second (%(default)s)")
    parser.add_argument("--loop", action="store_true", help="and back to the first style")
    add_controls(parser, ["alpha", "size", "style_size", "max_pixels"])
    add_model(parser)
    parser.set_defaults(job=jobs.morph)


def batch(parser: argparse.ArgumentParser) -> None:
    """Options and job of `nst-adain batch`."""
    parser.add_argument("photos", type=Path, help="folder, searched with its subfolders")
    parser.add_argument("--styles", type=Path, required=True, metavar="STYLES", help="folder of styles, or one style")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="for results; the tree is mirrored")
    parser.add_argument("--random", action="store_true", help="one style for each photograph, drawn at random")
    parser.add_argument("--seed", type=whole_from(0), help="of the draw (default: 0)")
    parser.add_argument("--format", type=suffix, default=".png", help="suffix of the results (%(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="make again what is there already")
    add_controls(parser, ["alpha", "preserve_color", "size", "style_size", "max_pixels"])
    add_quality(parser)
    add_metadata(parser)
    add_model(parser)
    parser.set_defaults(job=jobs.batch)


def video(parser: argparse.ArgumentParser) -> None:
    """Options and job of `nst-adain video`."""
    parser.add_argument("source", type=Path, help="the video")
    parser.add_argument("styles", type=Path, nargs="*", metavar="style", help="the pictures whose style it gets")
    parser.add_argument("--from", dest="start", type=Path, metavar="STYLE", help="instead: the style at the beginning,")
    parser.add_argument("--to", dest="end", type=Path, metavar="STYLE", help="and that at the end, mixed in between")
    parser.add_argument("-o", "--output", type=path_ending_in(*VIDEO_SUFFIXES), required=True, help=".mp4, .mkv, .mov or .webm")
    parser.add_argument(
        "--steadiness", type=number_below_1, default=0.7, help="0: none; to 1: less flicker, softer (%(default)s)"
    )
    parser.add_argument("--crf", type=whole_from(0, 51), default=18, help="quality, 0 is best (%(default)s)")
    add_controls(parser, ["alpha", "weights", "preserve_color", "size", "style_size", "max_pixels"])
    add_metadata(parser)
    add_model(parser)
    parser.set_defaults(job=jobs.video)


def app(parser: argparse.ArgumentParser) -> None:
    """Options and job of `nst-adain app`."""
    parser.description = "The page works without a network. NST_ADAIN_USER and NST_ADAIN_PASSWORD, if set, are asked for."
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0: all (%(default)s: this computer only)"
    )
    parser.add_argument("--port", type=whole_from(1, 65535), help="default: the first free one from 7860")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="also answer under this host name; may be repeated"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the page, only print its address")
    parser.add_argument(
        "--max-pixels", type=whole_from(1), default=50_000_000, help="largest picture read or made (%(default)s)"
    )
    add_model(parser)
    parser.set_defaults(job=jobs.app)


def demo(parser: argparse.ArgumentParser) -> None:
    """Options and job of `nst-adain demo`."""
    parser.add_argument("-o", "--output", type=_PICTURE, default=Path("nst-adain-demo.png"), help="default: %(default)s")
    parser.add_argument("--controls", action="store_true", help="show strength, mixture, masks and colour instead")
    parser.add_argument("--inputs", type=Path, metavar="FOLDER", help="also write the photographs and styles there, to try")
    add_quality(parser)
    add_model(parser)
    parser.set_defaults(job=jobs.demo)


def convert(parser: argparse.ArgumentParser) -> None:
    """Options and job of `nst-adain convert`."""
    parser.add_argument("source", type=Path, help="vgg_normalised.pth, decoder.pth, or torchvision's vgg19")
    parser.add_argument(
        "-o", "--output", type=path_ending_in(".safetensors"), required=True, help="the .safetensors file to write"
    )
    parser.set_defaults(job=jobs.convert)


def export(parser: argparse.ArgumentParser) -> None:
    """Options and job of `nst-adain export`."""
    parser.description = "Writes encoder.onnx and decoder.onnx, in float32, with free batch and sides (multiples of 8 from 16)."
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="made if need be")
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="(%(default)s)")
    add_weights(parser)
    parser.set_defaults(job=jobs.export)
