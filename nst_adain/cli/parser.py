"""The parsers of the command line: two-line errors, suggestions for near misses, commands that load when they are used."""

from __future__ import annotations

import argparse
import difflib
import importlib
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["Command", "Parser", "describe"]


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, where help is in a second, and exits with 2."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Print the error and where to find help, and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message}\ntry '{self.prog} --help'\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The arguments, after a look for options that do not exist: argparse names what is missing first."""
        words = list(sys.argv[1:] if args is None else args)
        for word in itertools.takewhile(self._is_own, words):
            name, known = word.split("=")[0], self._option_string_actions
            if name.startswith("--") and " " not in name and not any(option.startswith(name) for option in known):
                self.error(f"unrecognized arguments: {word}{_meant(name, known)}")
        return super().parse_known_args(words, namespace)

    def _is_own(self, word: str) -> bool:
        """Whether a word can be an option of this parser, and not of a command that comes after it."""
        return word != "--" and (self._subparsers is None or word.startswith("-"))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As argparse does, which suggests nothing before Python 3.14."""
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            raise argparse.ArgumentError(
                action, f"expected one of {', '.join(names)}, got {value!r}{_meant(str(value), names)}"
            )


class Command(Parser):
    """A command's parser, which loads its options, and with them torch, when they are looked at."""

    def load(self) -> None:
        """Add the command's options, unless they are there."""
        if self._defaults.get("job") is None:
            importlib.import_module(f"nst_adain.cli.{self.prog.split()[-1]}").add_options(self)
            self.set_defaults(parser=self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The arguments, all of which belong to the command."""
        self.load()
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown


def describe(parser: argparse.ArgumentParser, error: Exception, arguments: argparse.Namespace) -> str:
    """What an error says; if it is about a file that an option of the parser names, with the option."""
    message = str(error)
    for action in parser._actions:
        given = getattr(arguments, action.dest, None) if action.option_strings else None
        for file in given if isinstance(given, list) else [given]:
            if not isinstance(file, (str, Path)):
                continue
            if isinstance(error, OSError) and error.strerror and str(error.filename) == str(file):
                return f"{action.option_strings[-1]} {file}: {error.strerror}"
            if message.startswith((f"{file}: ", f"{Path(file)}: ")):
                return f"{action.option_strings[-1]} {message}"
    return message


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
