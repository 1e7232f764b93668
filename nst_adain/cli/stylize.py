"""`nst-adain stylize`: photographs in the style of one or more pictures."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image

from nst_adain.cli.drawn import NAMES, open_style
from nst_adain.cli.options import (
    add_controls,
    add_metadata,
    add_model,
    add_quality,
    load_stylizer,
    picture_or_folder,
    read_strength,
    say_failed,
)
from nst_adain.cli.pipes import STANDARD, add_reports, read_standard_input, say_made, write_standard_output
from nst_adain.cli.roles import name_results, tell_apart
from nst_adain.controls import Controls, Picture, Style, check_style_size, is_saved
from nst_adain.errors import ImageError, UsageError, out_of_memory, reason
from nst_adain.files import make_folder
from nst_adain.images.io import WRITABLE_SUFFIXES, load_image, output_format, save_image
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
JPEG, WebP or TIFF. Several photographs get the same style with --styles. The
name - stands for standard input, and after -o for standard output, in PNG."""
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
                        help="the result, or with --styles a folder (default: CONTENT__STYLE.png, here; for -, -)")  # fmt: skip
    add_controls(parser)
    add_quality(parser)
    add_metadata(parser)
    add_reports(parser)
    add_model(parser)
    parser.set_defaults(job=run)


def run(arguments: argparse.Namespace) -> None:
    """Stylise photographs; raises ValueError if some of several failed."""
    regions = [*(arguments.masks or []), arguments.label_map, arguments.alpha]
    mixed = bool(arguments.weights or arguments.masks or arguments.label_map)
    photos, names = tell_apart([arguments.content, *(arguments.styles or [])], arguments.named, mixed)
    outputs = _outputs(arguments, photos, names)
    check_apart([path for path in outputs if path != STANDARD], *({*photos, *names} - {STANDARD}), *regions)
    given = read_standard_input(photos, names)
    controls = _controls(arguments)
    styles: list[Any] = [given if name == STANDARD else open_style(name) for name in names]
    stylizer = load_stylizer(arguments)
    if len(photos) > 1:  # what they share is read once, and if it cannot be, then nothing is begun
        controls["alpha"] = read_strength(arguments)
        controls |= read_controls({"masks": controls["masks"], "max_pixels": arguments.max_pixels}, ("masks",))
        if arguments.preserve_color == "coral":  # which needs the pictures
            limit = arguments.max_pixels
            styles = [load_image(s, max_pixels=limit) if isinstance(s, Path) and not is_saved(s) else s for s in styles]
        else:
            check_style_size(arguments.style_size, styles)
            sizes = {"style_size": controls.pop("style_size"), "max_pixels": arguments.max_pixels}
            styles = [stylizer.encode_style(style, **sizes) for style in styles]
    make_folder(outputs[0].parent)
    failed = 0
    for photo, output in zip(photos, outputs, strict=True):
        try:
            start = time.perf_counter()
            size = _stylize(stylizer, given if photo == STANDARD else photo, styles, output, controls, arguments)
            seconds = round(time.perf_counter() - start, 3)
        except Exception as error:
            if len(photos) == 1 or not (isinstance(error, (ImageError, OSError)) or out_of_memory(error)):
                raise
            failed += 1
            say_failed(photo, reason(error))
        else:
            say_made(arguments, output, content=photo, styles=names, size=size, seconds=seconds, model=stylizer.name)
    if failed:
        raise ValueError(f"{failed} of {len(photos)} photographs failed")


def _outputs(arguments: argparse.Namespace, photos: list[Path], names: list[Path]) -> list[Path]:
    """Where the results go; raises UsageError if they cannot go there."""
    output, standard = arguments.output, STANDARD in photos
    if arguments.keep_metadata and standard:
        raise UsageError("--keep-metadata: expected a file, got standard input")
    if output == STANDARD or (output is None and photos == [STANDARD]):
        if len(photos) > 1 or arguments.json:
            what = "--json, which is written there" if arguments.json else f"the results of {len(photos)} photographs"
            raise UsageError(f"-o: expected a file or folder with {what}, got standard output")
        return [STANDARD]
    if output and output.suffix.lower() not in WRITABLE_SUFFIXES and not arguments.named:
        raise UsageError(f"-o: expected the name of a picture, or --styles, got the folder {output}")
    return name_results(output, photos, names)


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
        "progress": sys.stderr.isatty() and not arguments.quiet,
    }


def _stylize(
    stylizer: Stylizer, photo: Picture, styles: list[Style], output: Path, controls: Controls, arguments: argparse.Namespace
) -> tuple[int, int]:
    """Make one result, and return its width and height."""
    source = photo if arguments.keep_metadata and isinstance(photo, Path) else None
    tiff = output != STANDARD and output_format(output) == "TIFF"
    if tiff and (size := _size_in_tiles(photo, controls)):
        # Neither the picture nor the result is ever in memory whole.
        with create_tiff(output, *size, metadata_of=source) as pixels:
            into: Controls = {**controls, "out": pixels}
            stylizer(photo, styles, **into)
        return size[1], size[0]
    result = stylizer(photo, styles, **controls)
    assert isinstance(result, Image.Image)
    if output == STANDARD:
        write_standard_output(result)
    else:
        save_image(result, output, quality=arguments.quality, metadata_of=source)
    return result.size


def _size_in_tiles(photo: Picture, controls: Controls) -> tuple[int, int] | None:
    """Height and width of a photograph without transparency that is rendered in tiles; None: it is another."""
    content = read_content(photo, controls["size"], None, controls["tile"], controls["max_pixels"])
    return None if content.side is None or content.transparency is not None else content.size
