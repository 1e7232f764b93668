"""The README's code runs as it stands there."""

from __future__ import annotations

import functools
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train.cli as training
from nst_adain.cli.main import _parser, main
from nst_adain.stylizer import Stylizer

ROOT = Path(__file__).resolve().parents[1]


# Lines of the README that are not run here, by how they begin, and why.
NOT_RUN = {
    "pip install ": "the package that is tested is installed",
    "python3 -m venv ": "the tests run in it",
    "pytest": "these are the tests",
    "nst-adain app": "a server; the one that the tests share answers in its place",
    "nst-adain convert vgg_normalised.pth": "others publish this file",
    "nst-adain stylize samples/coffee.png samples/ink_wash.png --model vgg19": "needs that file",
    "nst-adain stylize samples/astronaut.png samples/brush_strokes.png --size 3464": "takes minutes in float32",
}


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


def written(folder: Path) -> dict[Path, int]:
    """Every file in a folder, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_everything_runs_in_order_in_a_fresh_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, base: Stylizer
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    skipped = set()
    before: dict[Path, int] = {}
    for language, text in blocks():
        for step in [text] if language == "python" else lines(text):
            start = next((start for start in NOT_RUN if step.startswith(start)), None)
            if language == "python":
                exec(step.replace("http://127.0.0.1:7860", address), names)
            elif start:
                skipped.add(start)
            else:
                program, *words = shlex.split(step, comments=True)
                assert program == "nst-adain", step
                assert main(words) == 0, step
            after = written(tmp_path)
            assert not [path for path, when in before.items() if after.get(path) != when], f"{step} writes what another wrote"
            assert after != before or start or language == "python", f"{step} writes nothing"
            before = after
    assert skipped == NOT_RUN.keys()
    with Image.open(str(names["file"])) as by_client:
        by_call = base("samples/chelsea.png", "samples/brush_strokes.png", alpha=0.8)
        np.testing.assert_array_equal(np.asarray(by_client), np.asarray(by_call))


def test_commands_are_understood_and_each_has_its_output() -> None:
    """Also of those that are not run."""
    given = [_parser().parse_args(words) for words in commands("nst-adain ")]
    assert len(given) >= 15
    assert all(callable(arguments.job) for arguments in given)
    outputs = [arguments.output for arguments in given if hasattr(arguments, "output")]
    assert len(outputs) == len(set(outputs))


def test_training_commands_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def noted(name: str) -> Callable[..., None]:
        return functools.wraps(getattr(training, name))(lambda *_, **__: called.append(name))

    given = commands("python -m train ", "train/README.md")
    names = [arguments[0] for arguments in given]
    assert len(given) >= 5
    for name in set(names):
        monkeypatch.setattr(training, name, noted(name))
    for arguments in given:
        monkeypatch.setattr(sys, "argv", ["train", *arguments])
        assert training.main() == 0
    assert called == names


@pytest.mark.parametrize("page", ["README.md", "train/README.md"])
def test_pictures_and_files_exist(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / page).parent.joinpath(link).exists(), link


def test_links_within_the_page_lead_to_a_heading() -> None:
    text = (ROOT / "README.md").read_text()
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}
    links = re.findall(r"\]\(#([^)]*)\)", text)
    assert len(links) > 10
    assert set(links) <= headings


@pytest.mark.parametrize("page", ["README.md", "train/README.md", "train/JOURNAL.md"])
def test_files_that_are_named_exist(page: str) -> None:
    named = set(re.findall(r"(?<![\w/.])(?:nst_adain|tests|train)/[\w/.-]*\w", (ROOT / page).read_text()))
    assert not [name for name in named if not (ROOT / name).exists()]
    assert page != "README.md" or len(named) >= 10
