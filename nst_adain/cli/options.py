"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import inspect
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast, get_args

from nst_adain.cli.drawn import open_style
from nst_adain.controls import BOLDNESS, Controls, Detail, Mask, check_style_size
from nst_adain.device import Precision
from nst_adain.functional import ChannelStats
from nst_adain.images.io import WRITABLE_SUFFIXES, save_image
from nst_adain.images.masks import read_controls
from nst_adain.models.pretrained import DEFAULT_MODEL, ENCODER_VARIABLE, needs_encoder
from nst_adain.stylizer import Stylizer

__all__ = [
    "PICTURE",
    "add_cells",
    "add_controls",
    "add_device",
    "add_encoder",
    "add_metadata",
    "add_model",
    "add_quality",
    "add_weights",
    "boldness",
    "chosen",
    "encode_styles",
    "has_encoder",
    "load_stylizer",
    "number",
    "number_below_1",
    "number_from_0",
    "path_ending_in",
    "picture_or_folder",
    "read_strength",
    "say_failed",
    "strength",
    "suffix",
    "tile",
    "whole_from",
    "whole_or_none",
]


def add_controls(parser: argparse.ArgumentParser, only: Sequence[str] | None = None) -> None:
    """The keywords of calling a `Stylizer`, or those in `only`, as options; each default is the Python call's."""
    controls: dict[str, dict[str, object]] = {
        "alpha": {"type": strength,
                  "help": "strength: 0 none, 1 full (default), above 1 exaggerated; or a mask: the strength at each place"},
        "boldness": {"type": boldness,
                  "help": f"from 0, near the photograph, to 1, the boldest (default: {BOLDNESS:g}, or 0 without a bold end)"},
        "weights": {"type": number, "nargs": "+", "metavar": "W",
                  "help": "how much of each style: any numbers, scaled to sum to 1"},
        "raw_weights": {"action": "store_true", "help": "use the weights as they are, without scaling"},
        "masks": {"type": Path, "nargs": "+", "metavar": "MASK",
                  "help": "one picture for each style, white where it applies; with one fewer the last style gets the rest"},
        "preserve_color": {"choices": ["luminance", "coral"],
                  "help": "keep the photograph's colours: luminance recolours the result, coral the style"},
        "size": {"type": whole_from(1), "help": "short side of the result, in pixels (default: the photograph's)"},
        "style_size": {"type": whole_from(1),
                  "help": "short side to which larger style pictures are reduced: less gives finer strokes (%(default)s)"},
        "look_size": {"type": whole_or_none,
                  "help": "short side at which a larger picture gets its look, before it is refined: less gives broader "
                          "strokes; none: strokes as wide in pixels at any size (%(default)s)"},
        "detail": {"choices": get_args(Detail),
                  "help": "how it is refined: fine strokes, or the photograph's details alone, quick and soft (%(default)s)"},
        "tile": {"type": tile,
                  "help": "render in tiles of this side, in constant memory; none: at once (%(default)s: above 2048 x 2048)"},
        "max_pixels": {"type": whole_from(1), "help": "largest picture to read or make (%(default)s)"},
    }  # fmt: skip
    defaults = inspect.signature(Stylizer.__call__).parameters
    for name in only or controls:
        option = {"default": defaults[name].default, **controls[name]}
        if name == "masks":
            regions = parser.add_mutually_exclusive_group()
            regions.add_argument("--masks", **option)
            regions.add_argument(
                "--label-map", type=Path, help="instead of masks: one picture whose pixels of value k get style k"
            )
        else:
            parser.add_argument(f"--{name.replace('_', '-')}", **option)


def chosen(arguments: argparse.Namespace, *names: str) -> Controls:
    """What was asked of these controls, as keywords of calling a `Stylizer`."""
    return cast("Controls", {name: getattr(arguments, name) for name in names})


def add_cells(parser: argparse.ArgumentParser, side: int, photographs: str) -> None:
    """How large the pictures of a sheet are shown, and how large `photographs` are stylised."""
    shown = "side of each picture on the sheet, in pixels (%(default)s)"
    parser.add_argument("--cell", type=whole_from(16), default=side, help=shown)
    stylised = f"short side at which {photographs} stylised, in pixels (default: as --cell)"
    parser.add_argument("--size", type=whole_from(1), help=stylised)


def add_quality(parser: argparse.ArgumentParser) -> None:
    """How pictures are written."""
    quality = inspect.signature(save_image).parameters["quality"].default
    parser.add_argument("--quality", type=whole_from(1, 100), default=quality, help="quality of JPEG and WebP (%(default)s)")


def add_metadata(parser: argparse.ArgumentParser) -> None:
    """Whether what is made keeps what its source says of itself."""
    text = "copy date, camera, lens, place, author, copyright and description from the source; the default copies nothing"
    parser.add_argument("--keep-metadata", action="store_true", help=text)


def add_weights(parser: argparse.ArgumentParser) -> None:
    """The choice of the model."""
    text = "%(default)s, slim (rougher, about a third of the time), vgg19 (needs --encoder), or a .safetensors file"
    parser.add_argument("--model", default=DEFAULT_MODEL, help=text)
    add_encoder(parser)


def add_encoder(parser: argparse.ArgumentParser) -> None:
    """Where the encoder of models without one is."""
    parser.add_argument(
        "--encoder", type=Path, help="the full-width VGG-19, for vgg19 and other decoders (default: NST_ADAIN_VGG19, if set)"
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """The choice of the model and where it runs."""
    add_weights(parser)
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where models run."""
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps ... (%(default)s: the first GPU, else cpu)")
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        default="auto",
        help="arithmetic of the convolutions (%(default)s: bfloat16 where the device has it)",
    )


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return value


def number_from_0(text: str) -> float:
    """A finite number that is not negative."""
    value = number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0, got {text!r}")
    return value


def number_below_1(text: str) -> float:
    """A number from 0 to below 1."""
    value = number_from_0(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"expected a number below 1, got {text!r}")
    return value


def boldness(text: str) -> float:
    """A number from 0 to 1."""
    value = number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 1, got {text!r}")
    return value


def strength(text: str) -> float | Path:
    """A number from 0, or the path of a mask."""
    try:
        float(text)
    except ValueError:
        if text[:1].isdigit() and not Path(text).suffix[1:].isalpha() and not Path(text).exists():  # such as 0,8 and 80%
            raise argparse.ArgumentTypeError(f"expected a number, such as 0.8, or the file of a mask, got {text!r}") from None
        return Path(text)
    return number_from_0(text)


def whole_from(low: int, high: int | None = None, besides: str = "") -> Callable[[str], int]:
    """The type of whole numbers from `low` to `high`; `besides` them, errors say, something else is taken."""

    def whole(text: str) -> int:
        limits = f"from {low}" if high is None else f"from {low} to {high}"
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"expected {besides}a whole number {limits}, got {text!r}")
        return value

    return whole


def whole_or_none(text: str) -> int | None:
    """none, or a whole number from 1."""
    return None if text == "none" else whole_from(1, besides="none or ")(text)


def tile(text: str) -> int | str | None:
    """auto, none or a multiple of 8."""
    if text in ("auto", "none"):
        return None if text == "none" else text
    if not text.isdigit() or int(text) < 8 or int(text) % 8:
        raise argparse.ArgumentTypeError(f"expected auto, none or a multiple of 8, got {text!r}")
    return int(text)


def suffix(text: str) -> str:
    """The suffix of a picture format that can be written, with its dot."""
    value = f".{text.lower().lstrip('.')}"
    if value not in WRITABLE_SUFFIXES:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(WRITABLE_SUFFIXES)}, got {text!r}")
    return value


def path_ending_in(*suffixes: str) -> Callable[[str], Path]:
    """The type of paths with one of these suffixes."""

    def path(text: str) -> Path:
        """A path with one of these suffixes."""
        if Path(text).suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"expected a name ending in {', '.join(suffixes)}, got {text!r}")
        return Path(text)

    return path


def picture_or_folder(text: str) -> Path:
    """The path of a picture that can be written, or of a folder, which ends in a separator, is there, or has no suffix."""
    folder = text.endswith(("/", os.sep)) or Path(text).is_dir() or not Path(text).suffix
    return Path(text) if folder else path_ending_in(*WRITABLE_SUFFIXES)(text)


PICTURE = path_ending_in(*WRITABLE_SUFFIXES)  # the type of an output's name


def load_stylizer(arguments: argparse.Namespace, model: str | None = None) -> Stylizer:
    """The model that `add_model` asked for; or another, with the encoder if it needs one."""
    encoder = arguments.encoder if model is None or needs_encoder(model) else None
    return Stylizer.from_pretrained(
        model or arguments.model, encoder=encoder, device=arguments.device, precision=arguments.precision
    )


def has_encoder(model: str, arguments: argparse.Namespace) -> bool:
    """Whether a model has its own encoder, or the one that it needs is named."""
    return bool(arguments.encoder or os.environ.get(ENCODER_VARIABLE)) or not needs_encoder(model)


def encode_styles(stylizer: Stylizer, paths: Sequence[Path], arguments: argparse.Namespace) -> list[ChannelStats]:
    """Styles as the model sees them."""
    size, limit = arguments.style_size, arguments.max_pixels
    check_style_size(size, paths)
    return [stylizer.encode_style(open_style(path), style_size=size, max_pixels=limit) for path in paths]


def read_strength(arguments: argparse.Namespace) -> float | Mask:
    """For many pictures: a mask is read once."""
    return cast("float | Mask", read_controls(chosen(arguments, "alpha", "max_pixels"), ("alpha",))["alpha"])


def say_failed(file: Path, why: str) -> None:
    """One of many files failed, and the others go on."""
    print(f"failed: {why if str(file) in why else f'{file}: {why}'}", file=sys.stderr)
