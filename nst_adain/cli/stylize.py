"""`nst-adain stylize`: photographs in the style of one or more pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nst_adain.cli.drawn import NAMES, open_style
from nst_adain.cli.options import (
    add_controls,
    add_metadata,
    add_model,
    add_quality,
    encode_styles,
    load_stylizer,
    picture_or_folder,
    read_strength,
    say_failed,
)
from nst_adain.cli.roles import name_results, tell_apart
from nst_adain.controls import STYLE_SIZE, Controls, Style
from nst_adain.errors import ImageError, UsageError, out_of_memory, reason
from nst_adain.images.io import WRITABLE_SUFFIXES, output_format, save_image
from nst_adain.images.masks import read_controls
from nst_adain.images.tiff import create_tiff
from nst_adain.rendering.reading import read_content
from nst_adain.results import check_apart
from nst_adain.stylizer import Stylizer

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nst-adain stylize`."""
    parser.description = """\
Render a photograph in the style of one or more pictures, at its own size and
with its own transparency. The name of the output chooses its format: PNG,
JPEG, WebP or TIFF. Several photographs get the same style with --styles."""
    parser.epilog = """\
examples:
  nst-adain stylize samples/chelsea.png samples/brush_strokes.png --alpha 0.8 -o cat.png
  nst-adain stylize samples/chelsea.png samples/coffee.png --styles samples/ink_wash.png -o inked/"""
    parser.add_argument("content", type=Path, help="the photograph")
    styles = parser.add_argument(
        "styles",
        type=Path,
        nargs="+",
        metavar="style",
        help=f"pictures whose style it gets, mixed if several; or names of drawn ones: {NAMES}",
    )
    styles.required = False  # by argparse: --styles takes its place
    parser.add_argument("--styles", dest="named", type=Path, nargs="+", metavar="STYLE",
                        help="the styles; everything before this option is then a photograph")  # fmt: skip
    parser.add_argument("-o", "--output", type=picture_or_folder,
                        help="the result, or with --styles a folder (default: CONTENT__STYLE.png, here)")  # fmt: skip
    add_controls(parser)
    add_quality(parser)
    add_metadata(parser)
    add_model(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Stylise photographs; raises ValueError if some of several failed."""
    regions = [*(arguments.masks or []), arguments.label_map, arguments.alpha]
    mixed = bool(arguments.weights or arguments.masks or arguments.label_map)
    photos, names = tell_apart([arguments.content, *(arguments.styles or [])], arguments.named, mixed)
    if arguments.output and arguments.output.suffix.lower() not in WRITABLE_SUFFIXES and not arguments.named:
        raise UsageError(f"-o: expected the name of a picture, or --styles, got the folder {arguments.output}")
    outputs = name_results(arguments.output, photos, names)
    check_apart(outputs, *photos, *names, *regions)
    controls, styles = _controls(arguments), list[Style](map(open_style, names))
    stylizer = load_stylizer(arguments)
    if len(photos) > 1:  # what they share is read once, and if it cannot be, then nothing is begun
        controls["alpha"] = read_strength(arguments)
        if arguments.masks:
            controls |= read_controls({"masks": arguments.masks, "max_pixels": arguments.max_pixels}, ("masks",))
        if arguments.preserve_color != "coral":  # which needs the pictures
            styles, controls["style_size"] = [*encode_styles(stylizer, names, arguments)], STYLE_SIZE
    failed = 0
    for photo, output in zip(photos, outputs, strict=True):
        try:
            _stylize(stylizer, photo, styles, output, controls, arguments)
            print(output)
        except Exception as error:
            if len(photos) == 1 or not (isinstance(error, (ImageError, OSError)) or out_of_memory(error)):
                raise
            failed += 1
            say_failed(photo, reason(error))
    if failed:
        raise ValueError(f"{failed} of {len(photos)} photographs failed")


def _controls(arguments: argparse.Namespace) -> Controls:
    return {
        "weights": arguments.weights,
        "raw_weights": arguments.raw_weights,
        "masks": arguments.label_map or arguments.masks,
        "alpha": arguments.alpha,
        "boldness": arguments.boldness,
        "preserve_color": arguments.preserve_color,
        "size": arguments.size,
        "style_size": arguments.style_size,
        "look_size": arguments.look_size,
        "detail": arguments.detail,
        "tile": arguments.tile,
        "max_pixels": arguments.max_pixels,
        "progress": sys.stderr.isatty(),
    }


def _stylize(
    stylizer: Stylizer, photo: Path, styles: list[Style], output: Path, controls: Controls, arguments: argparse.Namespace
) -> None:
    source = photo if arguments.keep_metadata else None
    if output_format(output) == "TIFF" and (size := _size_in_tiles(photo, controls)):
        # Neither the picture nor the result is ever in memory whole.
        with create_tiff(output, *size, metadata_of=source) as pixels:
            into: Controls = {**controls, "out": pixels}
            stylizer(photo, styles, **into)
    else:
        save_image(stylizer(photo, styles, **controls), output, quality=arguments.quality, metadata_of=source)


def _size_in_tiles(photo: Path, controls: Controls) -> tuple[int, int] | None:
    """Height and width of a photograph without transparency that is rendered in tiles; None: it is another."""
    content = read_content(photo, controls["size"], None, controls["tile"], controls["max_pixels"])
    return None if content.side is None or content.transparency is not None else content.size
