"""The README's code runs as it stands there."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from guides import ROOT, commands, follow
from PIL import Image

import train.cli as training
from nst_adain.cli.main import _parser
from nst_adain.stylizer import Stylizer

PAGES = [
    "README.md",
    "train/README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("nst_adain/**/README.md")),
]

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


def test_everything_runs_in_order_in_a_fresh_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, base: Stylizer
) -> None:
    monkeypatch.chdir(tmp_path)
    names = follow("README.md", tmp_path, NOT_RUN, lambda text: text.replace("http://127.0.0.1:7860", address))
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


@pytest.mark.parametrize("page", PAGES)
def test_pictures_and_files_exist(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / page).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("page", PAGES[2:])
def test_each_guide_of_a_part_is_short(page: str) -> None:
    assert (ROOT / page).read_text().count("\n") <= 150


def test_links_within_the_page_lead_to_a_heading() -> None:
    text = (ROOT / "README.md").read_text()
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}
    links = re.findall(r"\]\(#([^)]*)\)", text)
    assert len(links) > 10
    assert set(links) <= headings


@pytest.mark.parametrize("page", [*PAGES, "train/JOURNAL.md"])
def test_files_that_are_named_exist(page: str) -> None:
    named = set(re.findall(r"(?<![\w/.])(?:nst_adain|tests|train)/[\w/.-]*\w", (ROOT / page).read_text()))
    assert not [name for name in named if not (ROOT / name).exists()]
    assert page != "README.md" or len(named) >= 10
