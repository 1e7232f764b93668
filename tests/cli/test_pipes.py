"""Standard input and output in place of files, and results told as JSON or not at all."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from nst_adain.cli.main import main
from nst_adain.images.io import load_image
from nst_adain.stylizer import Stylizer

OPTIONS = ["--model", "slim", "--device", "cpu", "--precision", "float32"]


class Given(io.TextIOWrapper):
    """Standard input that holds a file."""

    def __init__(self, data: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data))
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def shown(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image)


def test_a_picture_passes_through(slim: Stylizer, photo: Path, painting: Path) -> None:
    """Through the program itself, in a folder where it writes nothing."""
    folder = photo.parent / "empty"
    folder.mkdir()
    command = [sys.executable, "-m", "nst_adain", "stylize", "-", str(painting), *OPTIONS]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, input=photo.read_bytes(), capture_output=True, check=True, cwd=folder, env=environment)
    np.testing.assert_array_equal(shown(done.stdout), np.asarray(slim(photo, painting)))
    assert done.stderr == b""
    assert not list(folder.iterdir())


def test_either_end_may_be_a_file(
    slim: Stylizer, photo: Path, painting: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    output = photo.with_name("out.png")
    monkeypatch.setattr(sys, "stdin", Given(painting.read_bytes()))
    assert main(["stylize", str(photo), "-", "-o", str(output), *OPTIONS]) == 0
    assert capsysbinary.readouterr().out == f"{output}\n".encode()
    expected = np.asarray(slim(photo, painting))
    np.testing.assert_array_equal(np.asarray(load_image(output)), expected)
    assert main(["stylize", str(photo), str(painting), "-o", "-", *OPTIONS]) == 0
    np.testing.assert_array_equal(shown(capsysbinary.readouterr().out), expected)


def test_results_are_told_as_json(
    photo: Path, painting: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photo.parent)
    picture(30, 20).save("wide.png")
    monkeypatch.setattr(sys, "stdin", Given(photo.read_bytes()))
    command = ["stylize", "-", "wide.png", "--styles", str(painting), "-o", "out/", "--size", "16", "--json", *OPTIONS]
    assert main(command) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    seconds = first.pop("seconds")
    assert 0 < seconds < 60
    expected = {"output": str(Path("out", "standard_input__painting.png")), "content": "-", "styles": [str(painting)]}
    assert first == expected | {"width": 23, "height": 16, "model": "slim"}
    assert (second["output"], second["width"]) == (str(Path("out", "wide__painting.png")), 24)
    assert all(load_image(made["output"]).size == (made["width"], made["height"]) for made in (first, second))
    load_image("wide.png").save("wide.tif")  # rendered into the file
    assert main(["stylize", "wide.tif", str(painting), "--tile", "8", "-o", "out.tif", "--json", *OPTIONS]) == 0
    assert json.loads(capsys.readouterr().out)["height"] == 20


def test_quiet_is_silent_but_for_errors(photo: Path, painting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = photo.with_name("cut.jpg")
    picture(300, 200).save(cut)
    cut.write_bytes(cut.read_bytes()[:-2])  # read with a warning
    command = ["stylize", str(cut), str(painting), "-o", str(photo.with_name("out.png")), "--size", "16", "--quiet", *OPTIONS]
    assert main(command) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    assert main(["stylize", "none.png", *command[2:]]) == 1
    assert capsys.readouterr().err == "nst-adain: error: none.png: expected a picture, found no such file\n"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("- -", "-: expected standard input once, got it 2 times"),
        ("- p.png -o - --json", "-o: expected a file or folder with --json, which is written there, got standard output"),
        ("- a.png --styles p.png -o -", "-o: expected a file or folder with the results of 2 photographs, got standard output"),
        ("- p.png --keep-metadata -o x.png", "--keep-metadata: expected a file, got standard input"),
        ("- p.png --json --quiet", "argument --quiet: not allowed with argument --json"),
    ],
)
def test_what_cannot_pass_through_is_wrong_usage(
    command: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Given(b""))
    with pytest.raises(SystemExit, match="2"):
        main(["stylize", *command.split(), *OPTIONS])
    assert message in capsys.readouterr().err


def test_a_terminal_is_no_picture(
    photo: Path, painting: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", Given(b"", terminal=True))
    with pytest.raises(SystemExit, match="2"):
        main(["stylize", "-", str(painting), *OPTIONS])
    assert "-: expected a picture on standard input, found a terminal" in capsys.readouterr().err
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    with pytest.raises(SystemExit, match="2"):
        main(["stylize", str(photo), str(painting), "-o", "-", *OPTIONS])
    assert "-o: expected a pipe or a file as standard output, found a terminal" in capsys.readouterr().err


def test_what_is_no_picture_is_said_of_standard_input(
    painting: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for data, found in ((b"", "an empty file (0 bytes)"), (b"text", "a file of no known image format")):
        monkeypatch.setattr(sys, "stdin", Given(data))
        assert main(["stylize", "-", str(painting), *OPTIONS]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith(f"nst-adain: error: content: expected a picture, found {found}")
