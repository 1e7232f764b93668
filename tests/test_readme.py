"""The README's code runs as it stands there."""

from __future__ import annotations

import functools
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import picture
from PIL import Image

import train.cli as training
from nst_adain.cli.main import _parser

ROOT = Path(__file__).resolve().parents[1]


def blocks(language: str, page: str = "README.md") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)


def commands(start: str, page: str = "README.md") -> list[list[str]]:
    """What follows `start` in the lines of the page's shell blocks, as words."""
    lines = [line for block in blocks("sh", page) for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line.removeprefix(start), comments=True) for line in lines if line.startswith(start)]


def test_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.chdir(tmp_path)
    picture(60, 40).save("photo.jpg")
    picture(50, 50, seed=3).save("painting.jpg")
    assert len(blocks("python")) >= 2
    names: dict[str, object] = {}
    for code in blocks("python"):
        exec(code.replace("http://127.0.0.1:7860", address), names)
    with Image.open("out.png") as by_python, Image.open(str(names["file"])) as by_client:
        assert by_python.tobytes() == by_client.tobytes()


def test_commands_are_understood() -> None:
    given = commands("nst-adain ")
    assert len(given) >= 3
    for arguments in given:
        assert callable(_parser().parse_args(arguments).job)


@pytest.mark.parametrize("page", ["README.md", "train/README.md"])
def test_training_commands_are_understood(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def noted(name: str) -> Callable[..., None]:
        return functools.wraps(getattr(training, name))(lambda *_, **__: called.append(name))

    given = commands("python -m train ", page)
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
