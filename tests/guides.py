"""Reads the pages of documentation, and follows them as a reader would: every block in order, in a fresh folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

from nst_adain.cli.main import main

__all__ = ["ROOT", "blocks", "commands", "follow", "lines"]

ROOT = Path(__file__).resolve().parents[1]


def blocks(page: str = "README.md") -> list[tuple[str, str]]:
    """Language and text of the page's blocks of code, in order."""
    return re.findall(r"^```(sh|python)\n(.*?)^```", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)


def lines(text: str) -> list[str]:
    """The commands of a shell block."""
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def commands(start: str, page: str = "README.md") -> list[list[str]]:
    """What follows `start` in the lines of the page's shell blocks, as words."""
    given = [line for language, text in blocks(page) if language == "sh" for line in lines(text)]
    return [shlex.split(line.removeprefix(start), comments=True) for line in given if line.startswith(start)]


def follow(
    page: str, folder: Path, not_run: Mapping[str, str], edit: Callable[[str], str] = lambda text: text
) -> dict[str, object]:
    """Run the page's Python and its commands in order; the current folder has to be `folder`.

    Args:
        page: relative to the root of the checkout.
        folder: an empty one. Each command has to write something there, and nothing that another wrote.
        not_run: lines that are left out, by how they begin, and why. One that the page does not have is an error.
        edit: is given each block of Python before it runs.

    Returns:
        The names that the page's Python defined.
    """
    names: dict[str, object] = {"__name__": page}
    skipped = set()
    before: dict[Path, int] = {}
    for language, text in blocks(page):
        for step in [text] if language == "python" else lines(text):
            start = next((start for start in not_run if step.startswith(start)), None)
            if language == "python":
                exec(edit(step), names)
            elif start:
                skipped.add(start)
            else:
                program, *words = shlex.split(step, comments=True)
                assert program == "nst-adain", step
                assert main(words) == 0, step
            after = _written(folder)
            assert not [path for path, when in before.items() if after.get(path) != when], f"{step} writes what another wrote"
            assert after != before or start or language == "python", f"{step} writes nothing"
            before = after
    assert skipped == not_run.keys()
    return names


def _written(folder: Path) -> dict[Path, int]:
    """Every file in a folder, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
