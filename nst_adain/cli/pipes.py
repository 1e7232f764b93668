"""Standard input and output in place of files, and what a command says about its results, to people and to programs."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from nst_adain.errors import UsageError

__all__ = ["STANDARD", "add_reports", "read_standard_input", "say_made", "write_standard_output"]

STANDARD = Path("-")  # standard input, or output


def add_reports(parser: argparse.ArgumentParser) -> None:
    """What is printed."""
    said = parser.add_mutually_exclusive_group()
    said.add_argument("--json", action="store_true", help="print a line of JSON about each result: files, size, seconds, model")
    said.add_argument("--quiet", action="store_true", help="print nothing but errors")


def read_standard_input(*roles: Sequence[Path]) -> bytes:
    """Read standard input if one of these files stands for it; else return nothing.

    Raises:
        UsageError: if several do, or it is a terminal.
    """
    count = sum(path == STANDARD for paths in roles for path in paths)
    if count > 1:
        raise UsageError(f"-: expected standard input once, got it {count} times")
    if count and sys.stdin.isatty():
        raise UsageError("-: expected a picture on standard input, found a terminal")
    return sys.stdin.buffer.read() if count else b""


def write_standard_output(image: Image.Image) -> None:
    """Write a picture to standard output, as PNG.

    Raises:
        UsageError: if it is a terminal.
    """
    if sys.stdout.isatty():
        raise UsageError("-o: expected a pipe or a file as standard output, found a terminal")
    image.save(buffer := io.BytesIO(), "PNG")
    sys.stdout.buffer.write(buffer.getbuffer())
    sys.stdout.flush()


def say_made(
    arguments: argparse.Namespace,
    output: Path,
    *,
    content: Path,
    styles: Sequence[Path],
    size: tuple[int, int],
    seconds: float,
    model: str,
) -> None:
    """Print a result's name, or a line of JSON about it, unless it went to standard output."""
    if arguments.json:
        files = {"output": str(output), "content": str(content), "styles": [str(style) for style in styles]}
        print(json.dumps({**files, "width": size[0], "height": size[1], "seconds": seconds, "model": model}), flush=True)
    elif output != STANDARD and not arguments.quiet:
        print(output)
