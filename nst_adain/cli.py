"""The command `nst-adain`. Exit status: 0 done, 1 the job failed, 2 it was asked for wrongly."""

from __future__ import annotations

import argparse
import inspect
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from nst_adain import __version__

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, those of the process by default, and return its exit status."""
    arguments = _parser().parse_args(argv)
    job: Callable[[argparse.Namespace], None] = arguments.job
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on files; what matters of them becomes an error
            job(arguments)
    except KeyboardInterrupt:
        print("nst-adain: interrupted, nothing was written", file=sys.stderr)
        return 130
    except (OSError, ValueError) as error:
        return _failed(str(error))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(s in str(error) for s in ("can't allocate memory", "out of memory")):
            raise
        return _failed("not enough memory for a picture of this size; make it smaller with --size, or --tile")
    return 0


def _failed(message: str) -> int:
    print(f"nst-adain: error: {message}", file=sys.stderr)
    return 1


def _stylize(arguments: argparse.Namespace) -> None:
    from nst_adain.images import output_format, save_image
    from nst_adain.stylizer import Stylizer

    names = "_".join(style.stem for style in arguments.styles)
    output = arguments.output or Path(f"{arguments.content.stem}__{names}.png")
    output_format(output)  # a wrong name is said before the work, not after
    stylizer = Stylizer.from_pretrained(arguments.model, encoder=arguments.encoder, device=arguments.device)
    image = stylizer(
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


def _demo(arguments: argparse.Namespace) -> None:
    from nst_adain.demo import demo_sheet
    from nst_adain.images import output_format, save_image
    from nst_adain.stylizer import Stylizer

    output_format(arguments.output)
    stylizer = Stylizer.from_pretrained(arguments.model, encoder=arguments.encoder, device=arguments.device)
    save_image(demo_sheet(stylizer, progress=sys.stderr.isatty()), arguments.output, quality=arguments.quality)
    print(arguments.output)


def _convert(arguments: argparse.Namespace) -> None:
    from nst_adain.pretrained import convert_published

    if not arguments.output.parent.is_dir():
        raise FileNotFoundError(f"{arguments.output}: the folder {arguments.output.parent} does not exist")
    print(f"{arguments.output}: {convert_published(arguments.source, arguments.output)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nst-adain", description="A photograph in the style of any picture.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    about = "Transparency and size of the photograph are kept. Formats: PNG, JPEG, WebP and TIFF, by the output's name."
    stylize = commands.add_parser("stylize", help="a photograph in the style of one or more pictures", description=about)
    stylize.add_argument("content", type=Path, help="the photograph")
    stylize.add_argument("styles", type=Path, nargs="+", metavar="style", help="the pictures whose style it gets")
    stylize.add_argument("-o", "--output", type=_picture, help="default: CONTENT__STYLE.png in this folder")
    _add_controls(stylize)
    _add_model(stylize)
    stylize.set_defaults(job=_stylize)

    demo = commands.add_parser("demo", help="a sheet of results that needs no file")
    demo.add_argument("-o", "--output", type=_picture, default=Path("nst-adain-demo.png"), help="default: %(default)s")
    _add_model(demo)
    demo.set_defaults(job=_demo)

    convert = commands.add_parser("convert", help="published PyTorch weights to .safetensors")
    convert.add_argument("source", type=Path, help="vgg_normalised.pth, decoder.pth, or torchvision's vgg19")
    convert.add_argument("-o", "--output", type=_safetensors, required=True, help="the .safetensors file to write")
    convert.set_defaults(job=_convert)
    return parser


def _add_controls(parser: argparse.ArgumentParser) -> None:
    from nst_adain.stylizer import Stylizer

    default = {name: p.default for name, p in inspect.signature(Stylizer.__call__).parameters.items()}

    def add(option: str, help: str, **more: object) -> None:  # each default is the Python call's
        parser.add_argument(option, default=default[option.strip("-").replace("-", "_")], help=help, **more)  # type: ignore[arg-type]

    add("--alpha", "strength: 0 none, 1 all (default), more extrapolates; or a mask file", type=_strength)
    add("--weights", "one number for each style (default: equal), scaled to sum to 1", type=_number, nargs="+", metavar="W")
    add("--raw-weights", "do not scale the weights", action="store_true")
    regions = parser.add_mutually_exclusive_group()
    regions.add_argument("--masks", type=Path, nargs="+", metavar="MASK",
                         help="a file for each style, white where it applies; one fewer: the last gets the rest")  # fmt: skip
    regions.add_argument("--label-map", type=Path, help="one file for all styles: pixels of the value k get style k, from 0")
    add("--preserve-color", "keep the photograph's colours", choices=["luminance", "coral"])
    add("--size", "short side of the output in pixels (default: the photograph's)", type=_whole_from(1))
    add("--style-size", "short side to which styles are reduced: less is finer (%(default)s)", type=_whole_from(1))
    add("--tile", "side of tiles in pixels, or none; %(default)s: for large pictures, in constant memory", type=_tile)
    add("--max-pixels", "largest picture to be read or made (%(default)s)", type=_whole_from(1))


def _add_model(parser: argparse.ArgumentParser) -> None:
    from nst_adain.images import save_image

    quality = inspect.signature(save_image).parameters["quality"].default
    parser.add_argument("--quality", type=_whole_from(1, 100), default=quality, help="of JPEG and WebP (%(default)s)")
    parser.add_argument("--model", default="slim", help="a model that ships (%(default)s) or a .safetensors file")
    parser.add_argument("--encoder", type=Path, help="full-width VGG-19, for a model that is a decoder alone")
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps ... (%(default)s: a GPU if there is one)")


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return value


def _strength(text: str) -> float | Path:
    try:
        value = float(text)
    except ValueError:
        return Path(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"expected a number from 0 or a mask file, got {text!r}")
    return value


def _whole_from(low: int, high: int | None = None) -> Callable[[str], int]:
    def whole(text: str) -> int:
        limits = f"from {low}" if high is None else f"from {low} to {high}"
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"expected a whole number {limits}, got {text!r}")
        return value

    return whole


def _tile(text: str) -> int | str | None:
    if text in ("auto", "none"):
        return None if text == "none" else text
    if not text.isdigit() or int(text) < 8 or int(text) % 8:
        raise argparse.ArgumentTypeError(f"expected auto, none or a multiple of 8, got {text!r}")
    return int(text)


def _picture(text: str) -> Path:
    from nst_adain.images import WRITABLE_SUFFIXES

    if Path(text).suffix.lower() not in WRITABLE_SUFFIXES:
        raise argparse.ArgumentTypeError(f"expected a name ending in {', '.join(WRITABLE_SUFFIXES)}, got {text!r}")
    return Path(text)


def _safetensors(text: str) -> Path:
    if Path(text).suffix != ".safetensors":
        raise argparse.ArgumentTypeError(f"expected a name ending in .safetensors, got {text!r}")
    return Path(text)
