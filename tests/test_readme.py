"""The README's code runs as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from conftest import picture
from PIL import Image

from nst_adain.cli import _parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


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
    lines = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("nst-adain ")]
    assert len(commands) >= 3
    for arguments in commands:
        assert callable(_parser().parse_args(arguments).job)


@pytest.mark.parametrize("page", ["README.md", "train/README.md"])
def test_pictures_and_files_exist(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text())
    assert links
    for link in links:
        assert link.startswith("https://") or (ROOT / page).parent.joinpath(link).exists(), link
