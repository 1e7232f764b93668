"""The command `nst-adain`. Exit status: 0 done, 1 the job failed, 2 it was asked for wrongly."""

from __future__ import annotations

import argparse
import codecs
import contextlib
import importlib
import io
import re
import sys
import warnings
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from nst_adain import __version__
from nst_adain.allocator import keep_freed_memory, wait_briefly
from nst_adain.errors import ImageWarning, UsageError, out_of_memory
from nst_adain.files import remove_strays
from nst_adain.interrupts import STATUS, interruptible

__all__ = ["main"]

# Modules of nst_adain.cli, and what they are for.
_COMMANDS = {
    "stylize": "a photograph in the style of one or more pictures",
    "grid": "contents x styles, styles x strengths, or four styles mixed, on one sheet",
    "morph": "an animation on the way from style to style",
    "batch": "a folder of photographs in every style of a folder, or a random one each",
    "video": "a video; frame times and sound are kept (needs the extra: video)",
    "app": "a web page with sliders and a brush (needs the extra: web)",
    "demo": "a sheet of results that needs no file",
    "convert": "published PyTorch weights to .safetensors",
    "export": "a model for ONNX Runtime and others (needs the extra: onnx)",
}
_INTERRUPTED = "nst-adain: interrupted"
_PRINTED = "nst_adain"  # how standard output treats letters that it does not have
# Optional libraries, and the extra that brings each.
_EXTRAS = {"av": "video", "cv2": "video", "onnx": "onnx", "onnxscript": "onnx", "gradio": "web"}


class _Command(argparse.ArgumentParser):
    """A command's parser, which loads its options, and with them torch, when they are looked at."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of the base class."""
        if self._defaults.get("job") is None:
            importlib.import_module(f"nst_adain.cli.{self.prog.split()[-1]}").add_options(self)
            self.set_defaults(parser=self)
        return super().parse_known_args(args, namespace)

    def describe(self, error: Exception, arguments: argparse.Namespace) -> str:
        """What an error says; if it is about a file that an option names, with the option."""
        message = str(error)
        for action in self._actions:
            given = getattr(arguments, action.dest, None) if action.option_strings else None
            for file in given if isinstance(given, list) else [given]:
                if not isinstance(file, (str, Path)):
                    continue
                if isinstance(error, OSError) and error.strerror and str(error.filename) == str(file):
                    return f"{action.option_strings[-1]} {file}: {error.strerror}"
                if message.startswith((f"{file}: ", f"{Path(file)}: ")):
                    return f"{action.option_strings[-1]} {message}"
        return message


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, those of the process by default, and return its exit status."""
    wait_briefly()
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:  # while libraries are loaded, too
        print(_INTERRUPTED, file=sys.stderr)
        return STATUS


def _run(words: Sequence[str]) -> int:
    options = words.index("--") if "--" in words else len(words)
    arguments = _parser().parse_args([*map(_plain, words[:options]), *words[options:]])
    keep_freed_memory()
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error(_PRINTED, _printed)
        sys.stdout.reconfigure(errors=_PRINTED)
    if hasattr(arguments, "output"):
        remove_strays(arguments.output or Path())
    try:
        with interruptible(_INTERRUPTED), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on files; what matters of them becomes an error
            warnings.simplefilter("default", ImageWarning)
            warnings.showwarning = _warned
            arguments.job(arguments)
    except UsageError as error:
        arguments.parser.error(arguments.parser.describe(error, arguments))  # of the command; exits with 2
    except (OSError, ValueError) as error:
        return _failed(arguments.parser.describe(error, arguments))
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        return _failed(f"{error.name} is missing: pip install 'nst-adain[{_EXTRAS[error.name]}]'")
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nst-adain", description="A photograph in the style of any picture.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Command)
    for name, purpose in _COMMANDS.items():
        commands.add_parser(name, help=purpose)
    return parser


def _warned(message: Warning | str, *_: object, **__: object) -> None:
    print(f"nst-adain: warning: {message}", file=sys.stderr)


def _failed(message: str) -> int:
    print(f"nst-adain: error: {message}", file=sys.stderr)
    return 1
