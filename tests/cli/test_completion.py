"""Completion in shells: the script is right and holds what the commands have."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nst_adain.cli.main import _COMMANDS, main

SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("builtins.print", lambda text: said.append(text))
        assert main(["completion", "bash"]) == 0
    path = tmp_path_factory.mktemp("completion") / "nst-adain"
    path.write_text("\n".join(said))
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["sty"], ["stylize"]),
        (["stylize", "--alp"], ["--alpha"]),
        (["stylize", "a.png", "--preserve-color", "co"], ["coral"]),
        (["stylize", "pho"], ["photo.png"]),
        (["batch", "photos", "--sty"], ["--styles", "--style-size"]),
        (["stylize", "a.png", "b.png", "-o", "pho"], ["photo.png"]),
    ],
)
def test_bash_completes(words: list[str], completed: list[str], script: Path, photo: Path) -> None:
    line = f"source {script}; COMP_WORDS=(nst-adain {' '.join(words)}); COMP_CWORD={len(words)}; _shtab_nst_adain;"
    code = f'{line} printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code], cwd=photo.parent, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == sorted(completed)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in _COMMANDS)
    assert "preserve-color" in said


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(__import__("sys").modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert "shtab is missing: pip install '.[completion]'" in capsys.readouterr().err
