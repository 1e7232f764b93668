"""The command `nst-adain`. Exit status: 0 done, 1 the job failed, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import io
import re
import sys
import warnings
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from nst_adain import __version__
from nst_adain.allocator import keep_freed_memory, wait_briefly
from nst_adain.cli.parser import Command, Parser, describe
from nst_adain.errors import ImageWarning, UsageError, out_of_memory
from nst_adain.files import remove_strays
from nst_adain.interrupts import STATUS, interruptible
from nst_adain.streams import open_missing_streams

__all__ = ["main", "whole_parser"]

# Modules of nst_adain.cli, and what they do.
_COMMANDS = {
    "demo": "show what the models do, and write pictures to try them on",
    "stylize": "render photographs in the style of one or more pictures",
    "grid": "compare photographs, styles and strengths on one sheet",
    "compare": "compare models on one photograph",
    "morph": "animate a photograph from one style to the next",
    "batch": "stylise a folder of photographs",
    "bulk": "stylise a data set, on a machine or a cluster (needs the extra: bulk)",
    "video": "stylise a video (needs the extra: video)",
    "live": "show a camera in the style of pictures (needs the extra: video)",
    "app": "open a web page with sliders and a brush (needs the extra: web)",
    "export": "write a model for ONNX Runtime (needs the extra: onnx)",
    "convert": "turn published PyTorch weights into .safetensors",
    "completion": "print what lets a shell complete commands (needs the extra: completion)",
}
_EXAMPLE = """\
start here:
  nst-adain demo --inputs samples
  nst-adain stylize samples/chelsea.png brush_strokes -o cat.png

nst-adain COMMAND --help explains a command. Exit status: 0 done, 1 the job
failed, 2 wrong usage, 130 interrupted."""
_INTERRUPTED = "nst-adain: interrupted"
_PRINTED = "nst_adain"  # how standard output treats letters that it does not have
# Optional libraries, and the extra that brings each.
_EXTRAS = {"av": "video", "cv2": "video", "onnx": "onnx", "onnxscript": "onnx", "gradio": "web", "shtab": "completion"}
_EXTRAS |= {"fsspec": "bulk", "pyarrow": "bulk", "ray": "bulk", "huggingface_hub": "hub"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, those of the process by default, and return its exit status."""
    open_missing_streams()
    wait_briefly()
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # while libraries are loaded, too
        print(_INTERRUPTED, file=sys.stderr)
        return STATUS


def _run(words: Sequence[str]) -> int:
    options = words.index("--") if "--" in words else len(words)
    parser = _parser()
    if not words:
        parser.exit(2, parser.format_help())
    arguments = parser.parse_args([*map(_plain, words[:options]), *words[options:]])
    keep_freed_memory()
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error(_PRINTED, _printed)
        sys.stdout.reconfigure(errors=_PRINTED)
    if hasattr(arguments, "output"):
        remove_strays(arguments.output or Path())
    try:
        with interruptible(_INTERRUPTED), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on files; what matters of them becomes an error
            if not getattr(arguments, "quiet", False):
                warnings.simplefilter("default", ImageWarning)
            warnings.showwarning = _warned
            arguments.job(arguments)
    except UsageError as error:
        arguments.parser.error(describe(arguments.parser, error, arguments))  # of the command; exits with 2
    except (OSError, ValueError) as error:
        return _failed(describe(arguments.parser, error, arguments))
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        return _failed(f"{error.name} is missing: pip install '.[{_EXTRAS[error.name]}]' in a checkout")
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        ways = " or ".join(f"--{name}" for name in ("size", "cell", "tile") if hasattr(arguments, name))
        return _failed(f"not enough memory for a picture of this size{ways and f'; make it smaller with {ways}'}")
    return 0


def _printed(error: UnicodeError) -> tuple[str | bytes, int]:
    """Names of files may be any bytes, which are written as they are; what a terminal has no letter for, by its number."""
    with contextlib.suppress(UnicodeError):
        return codecs.lookup_error("surrogateescape")(error)
    return codecs.lookup_error("backslashreplace")(error)


def _plain(word: str) -> str:
    """-1e-3 and -1. as -0.001 and -1: what argparse does not take for a number, it takes for an option."""
    unknown = re.fullmatch(r"-(\d+\.|(\d+\.?\d*|\.\d+)e[-+]?\d{1,3})", word, re.IGNORECASE)
    return format(Decimal(word), "f") if unknown else word


def _parser() -> Parser:
    parser = Parser(prog="nst-adain", description="Render photographs in the style of any picture.", epilog=_EXAMPLE)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Command)
    for name, purpose in _COMMANDS.items():
        commands.add_parser(name, help=purpose)
    return parser


def whole_parser() -> tuple[Parser, list[Command]]:
    """Return the parser of the program, and those of its commands with their options, for which torch is loaded."""
    parser = _parser()
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    commands: list[Command] = list(subparsers.choices.values())
    for command in commands:
        command.load()
    return parser, commands


def _warned(message: Warning | str, *_: object, **__: object) -> None:
    print(f"nst-adain: warning: {message}", file=sys.stderr)


def _failed(message: str) -> int:
    print(f"nst-adain: error: {message}", file=sys.stderr)
    return 1
