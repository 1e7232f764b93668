"""The command `nst-adain`. Exit status: 0 done, 1 the job failed, 2 it was asked for wrongly."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from nst_adain import Stylizer, __version__, available_models
from nst_adain.images import WRITABLE_SUFFIXES, check_folder, output_format, save_image
from nst_adain.inputs import out_of_memory
from nst_adain.options import (
    add_controls,
    add_model,
    add_quality,
    number_below_1,
    number_from_0,
    path_ending_in,
    suffix,
    whole_from,
)
from nst_adain.studio import Studio
from nst_adain.video import SUFFIXES as VIDEO_SUFFIXES

__all__ = ["main"]


_EXTRAS = {"av": "video", "gradio": "web"}  # which extra brings an optional library


class _UsageError(Exception):
    """Options that do not go together."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, those of the process by default, and return its exit status."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    job: Callable[[argparse.Namespace], None] = arguments.job
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on files; what matters of them becomes an error
            job(arguments)
    except _UsageError as error:
        parser.error(str(error))  # exits with 2
    except KeyboardInterrupt:
        print("nst-adain: interrupted", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        return _failed(str(error))
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        return _failed(f"{error.name} is missing: pip install 'nst-adain[{_EXTRAS[error.name]}]'")
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return _failed("not enough memory for a picture of this size; make it smaller with --size, or --tile")
    return 0


def _failed(message: str) -> int:
    print(f"nst-adain: error: {message}", file=sys.stderr)
    return 1


def _stylizer(arguments: argparse.Namespace) -> Stylizer:
    return Stylizer.from_pretrained(arguments.model, encoder=arguments.encoder, device=arguments.device)


def _stylize(arguments: argparse.Namespace) -> None:

    names = "_".join(style.stem for style in arguments.styles)
    output = arguments.output or Path(f"{arguments.content.stem}__{names}.png")
    output_format(output)  # a wrong name is said before the work, not after
    image = _stylizer(arguments)(
        arguments.content,
        arguments.styles,
        weights=arguments.weights,
        raw_weights=arguments.raw_weights,
        masks=arguments.label_map or arguments.masks,
        alpha=arguments.alpha,
        preserve_color=arguments.preserve_color,
        size=arguments.size,
        style_size=arguments.style_size,
        tile=arguments.tile,
        max_pixels=arguments.max_pixels,
        progress=sys.stderr.isatty(),
    )
    save_image(image, output, quality=arguments.quality)
    print(output)


def _grid(arguments: argparse.Namespace) -> None:
    from nst_adain import grid

    output_format(arguments.output)
    single = arguments.alphas or arguments.corners
    if single and len(arguments.contents) > 1:
        raise _UsageError(f"--contents: expected one photograph with --alphas or --corners, got {len(arguments.contents)}")
    if arguments.corners and len(arguments.styles) != 4:
        raise _UsageError(f"--styles: expected four with --corners, got {len(arguments.styles)}")
    if arguments.alphas and arguments.alpha != 1:
        raise _UsageError("--alpha: not allowed with --alphas")
    stylizer = _stylizer(arguments)
    # No more than the cells show: every content's features are held.
    contents = [(p.stem, stylizer.encode_content(p, size=arguments.size or arguments.cell)) for p in arguments.contents]
    styles = [(p.stem, stylizer.encode_style(p, style_size=arguments.style_size)) for p in arguments.styles]
    if arguments.alphas:
        image = grid.alpha_grid(stylizer, contents[0][1], styles, arguments.alphas, cell=arguments.cell)
    elif arguments.corners:
        image = grid.corner_grid(
            stylizer, contents[0][1], styles, arguments.corners, alpha=arguments.alpha, cell=arguments.cell
        )
    else:
        image = grid.cross_grid(stylizer, contents, styles, alpha=arguments.alpha, cell=arguments.cell)
    save_image(image, arguments.output, quality=arguments.quality)
    print(arguments.output)


def _morph(arguments: argparse.Namespace) -> None:
    from PIL import Image

    from nst_adain.grid import path_weights, save_animation

    if len(arguments.styles) < 2:
        raise _UsageError(f"style: expected at least two, got {len(arguments.styles)}")
    check_folder(arguments.output)
    stylizer = _stylizer(arguments)
    content = stylizer.encode_content(arguments.content, size=arguments.size)
    styles = [stylizer.encode_style(path, style_size=arguments.style_size) for path in arguments.styles]
    weights = path_weights(len(styles), arguments.frames, loop=arguments.loop)
    frames = (stylizer(content, styles, weights=w, alpha=arguments.alpha) for w in weights)
    pictures = (frame for frame in frames if isinstance(frame, Image.Image))
    save_animation(pictures, arguments.output, fps=arguments.fps)
    print(arguments.output)


def _batch(arguments: argparse.Namespace) -> None:
    from nst_adain.bulk import FAILURES, stylize_folder

    if arguments.preserve_color == "coral":
        raise _UsageError("--preserve-color: expected luminance, got 'coral', which would need each style anew for each photo")
    report = stylize_folder(
        _stylizer(arguments),
        arguments.photos,
        arguments.styles,
        arguments.output,
        pairing="random" if arguments.random else "all",
        seed=arguments.seed,
        suffix=arguments.format,
        quality=arguments.quality,
        overwrite=arguments.overwrite,
        size=arguments.size,
        style_size=arguments.style_size,
        progress=sys.stderr.isatty(),
        controls={"alpha": arguments.alpha, "preserve_color": arguments.preserve_color},
    )
    print(f"{arguments.output}: {report.done} written, {report.skipped} there already, {len(report.failed)} failed")
    for file, error in report.failed:
        print(f"failed: {error if str(file) in error else f'{file}: {error}'}", file=sys.stderr)
    if report.failed:
        raise ValueError(f"{len(report.failed)} failed, listed in {arguments.output / FAILURES}")


def _video(arguments: argparse.Namespace) -> None:
    from nst_adain.video import stylize_video

    ends = [path for path in (arguments.start, arguments.end) if path]
    if bool(arguments.styles) == bool(ends) or len(ends) == 1:
        raise _UsageError("style: expected a style, or --from and --to")
    if ends and arguments.weights:
        raise _UsageError("--weights: not allowed with --from and --to")
    if arguments.preserve_color == "coral":
        raise _UsageError("--preserve-color: expected luminance, got 'coral', which would need the style anew for each frame")
    stylizer = _stylizer(arguments)
    styles = [stylizer.encode_style(path, style_size=arguments.style_size) for path in arguments.styles or ends]
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
        progress=sys.stderr.isatty(),
        controls={"alpha": arguments.alpha, "preserve_color": arguments.preserve_color},
    )
    print(f"{arguments.output}: {count} frames")


def _app(arguments: argparse.Namespace) -> None:
    from nst_adain.web import serve

    models = list(dict.fromkeys([arguments.model, *available_models()]))
    studio = Studio(models, encoder=arguments.encoder, device=arguments.device, max_pixels=arguments.max_pixels)
    serve(studio, host=arguments.host, port=arguments.port, browser=not arguments.no_browser)


def _demo(arguments: argparse.Namespace) -> None:
    from nst_adain.demo import controls_sheet, demo_sheet, save_inputs

    output_format(arguments.output)
    if arguments.inputs:
        save_inputs(arguments.inputs)
    stylizer = _stylizer(arguments)
    image = controls_sheet(stylizer) if arguments.controls else demo_sheet(stylizer, progress=sys.stderr.isatty())
    save_image(image, arguments.output, quality=arguments.quality)
    print(arguments.output)


def _convert(arguments: argparse.Namespace) -> None:
    from nst_adain.pretrained import convert_published

    check_folder(arguments.output)
    print(f"{arguments.output}: {convert_published(arguments.source, arguments.output)}")


def _parser() -> argparse.ArgumentParser:
    picture, animation = path_ending_in(*WRITABLE_SUFFIXES), path_ending_in(".gif", ".webp")
    parser = argparse.ArgumentParser(prog="nst-adain", description="A photograph in the style of any picture.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    about = "Transparency and size of the photograph are kept. Formats: PNG, JPEG, WebP and TIFF, by the output's name."
    stylize = commands.add_parser("stylize", help="a photograph in the style of one or more pictures", description=about)
    stylize.add_argument("content", type=Path, help="the photograph")
    stylize.add_argument("styles", type=Path, nargs="+", metavar="style", help="the pictures whose style it gets")
    stylize.add_argument("-o", "--output", type=picture, help="default: CONTENT__STYLE.png in this folder")
    add_controls(stylize)
    add_quality(stylize)
    add_model(stylize)
    stylize.set_defaults(job=_stylize)

    grid = commands.add_parser("grid", help="contents x styles, styles x strengths, or four styles mixed, on one sheet")
    grid.add_argument("--contents", type=Path, nargs="+", required=True, metavar="PHOTO", help="the rows; one for the others")
    grid.add_argument("--styles", type=Path, nargs="+", required=True, metavar="STYLE")
    kinds = grid.add_mutually_exclusive_group()
    kinds.add_argument("--alphas", type=number_from_0, nargs="+", metavar="A", help="a row for each style, a column for each")
    kinds.add_argument("--corners", type=whole_from(2), metavar="N", help="N x N mixtures of four styles")
    grid.add_argument("-o", "--output", type=picture, default=Path("grid.png"), help="default: %(default)s")
    grid.add_argument("--cell", type=whole_from(16), default=256, help="side of a picture on the sheet (%(default)s)")
    add_controls(grid, ["alpha", "size", "style_size"])
    add_quality(grid)
    add_model(grid)
    grid.set_defaults(job=_grid)

    morph = commands.add_parser("morph", help="an animation on the way from style to style")
    morph.add_argument("content", type=Path, help="the photograph")
    morph.add_argument("styles", type=Path, nargs="+", metavar="style", help="two or more pictures")
    morph.add_argument("-o", "--output", type=animation, default=Path("morph.gif"), help=".gif or .webp (%(default)s)")
    morph.add_argument("--frames", type=whole_from(2), default=24, help="pictures (%(default)s)")
    morph.add_argument("--fps", type=whole_from(1), default=12, help="pictures in a second (%(default)s)")
    morph.add_argument("--loop", action="store_true", help="and back to the first style")
    add_controls(morph, ["alpha", "size", "style_size"])
    add_model(morph)
    morph.set_defaults(job=_morph)

    batch = commands.add_parser("batch", help="a folder of photographs in every style of a folder, or a random one each")
    batch.add_argument("photos", type=Path, help="folder, searched with its subfolders")
    batch.add_argument("--styles", type=Path, required=True, metavar="FOLDER", help="folder of style pictures")
    batch.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="for results; the tree is mirrored")
    batch.add_argument("--random", action="store_true", help="one style for each photograph, drawn at random")
    batch.add_argument("--seed", type=whole_from(0), default=0, help="of the draw (%(default)s)")
    batch.add_argument("--format", type=suffix, default=".png", help="suffix of the results (%(default)s)")
    batch.add_argument("--overwrite", action="store_true", help="make again what is there already")
    add_controls(batch, ["alpha", "preserve_color", "size", "style_size"])
    add_quality(batch)
    add_model(batch)
    batch.set_defaults(job=_batch)

    video = commands.add_parser("video", help="a video; frame times and sound are kept (needs the extra: video)")
    video.add_argument("source", type=Path, help="the video")
    video.add_argument("styles", type=Path, nargs="*", metavar="style", help="the pictures whose style it gets")
    video.add_argument("--from", dest="start", type=Path, metavar="STYLE", help="instead: the style at the beginning,")
    video.add_argument("--to", dest="end", type=Path, metavar="STYLE", help="and that at the end, mixed in between")
    video.add_argument("-o", "--output", type=path_ending_in(*VIDEO_SUFFIXES), required=True, help=".mp4, .mkv, .mov or .webm")
    video.add_argument("--steadiness", type=number_below_1, default=0.9, help="0: none; towards 1: less flicker (%(default)s)")
    video.add_argument("--crf", type=whole_from(0, 51), default=18, help="quality, 0 is best (%(default)s)")
    add_controls(video, ["alpha", "weights", "preserve_color", "size", "style_size"])
    add_model(video)
    video.set_defaults(job=_video)

    app = commands.add_parser(
        "app",
        help="a web page with sliders and a brush (needs the extra: web)",
        description="The page works without a network. NST_ADAIN_USER and NST_ADAIN_PASSWORD, if set, are asked for.",
    )
    app.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0: all (%(default)s: this computer only)")
    app.add_argument("--port", type=whole_from(1, 65535), help="default: the first free one from 7860")
    app.add_argument("--no-browser", action="store_true", help="do not open the page, only print its address")
    app.add_argument("--max-pixels", type=whole_from(1), default=50_000_000, help="largest picture read or made (%(default)s)")
    add_model(app)
    app.set_defaults(job=_app)

    demo = commands.add_parser("demo", help="a sheet of results that needs no file")
    demo.add_argument("-o", "--output", type=picture, default=Path("nst-adain-demo.png"), help="default: %(default)s")
    demo.add_argument("--controls", action="store_true", help="show strength, mixture, masks and colour instead")
    demo.add_argument("--inputs", type=Path, metavar="FOLDER", help="also write the photographs and styles there, to try")
    add_quality(demo)
    add_model(demo)
    demo.set_defaults(job=_demo)

    convert = commands.add_parser("convert", help="published PyTorch weights to .safetensors")
    convert.add_argument("source", type=Path, help="vgg_normalised.pth, decoder.pth, or torchvision's vgg19")
    convert.add_argument(
        "-o", "--output", type=path_ending_in(".safetensors"), required=True, help="the .safetensors file to write"
    )
    convert.set_defaults(job=_convert)
    return parser
