"""A sheet of models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import draw, picture
from PIL import Image

from nst_adain.cli.main import main
from nst_adain.controls import BOLDNESS
from nst_adain.figures.grid import model_grid
from nst_adain.models.pretrained import ENCODER_VARIABLE
from nst_adain.stylizer import Stylizer

PLAIN = ["--device", "cpu", "--precision", "float32"]


def sheet(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(autouse=True)
def _no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENCODER_VARIABLE, raising=False)


def test_all_models_that_need_nothing_else(slim: Stylizer, base: Stylizer, photo: Path, painting: Path) -> None:
    out = photo.with_name("models.png")
    options = ["--cell", "48", "--alpha", "0.5", *PLAIN]
    assert main(["compare", str(photo), str(painting), "-o", str(out), *options]) == 0
    both, pictures = [("base", base), ("slim", slim)], [Image.open(path) for path in (photo, painting)]
    expected = model_grid(both, pictures[0], pictures[1], cell=48, size=48, alpha=0.5, boldnesses=(0, BOLDNESS, 1))
    np.testing.assert_array_equal(sheet(out), np.asarray(expected))


def test_those_that_are_named(slim: Stylizer, photo: Path) -> None:
    out = photo.with_name("models.png")
    options = ["--models", "slim", "--cell", "48", "--size", "40", "--boldness", "0.3", *PLAIN]
    assert main(["compare", str(photo), "mosaic", "-o", str(out), *options]) == 0
    expected = model_grid([("slim", slim)], picture(45, 31, seed=1), draw("mosaic"), cell=48, size=40, boldness=0.3)
    np.testing.assert_array_equal(sheet(out), np.asarray(expected))


def test_vgg19_takes_part_if_its_encoder_is_named(
    photo: Path, painting: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = photo.with_name("models.png")
    command = ["compare", str(photo), str(painting), "-o", str(out), "--cell", "32", *PLAIN]
    assert main([*command, "--encoder", str(teacher)]) == 0
    assert sheet(out).shape[:2] == (22 + 3 * 36 - 4, 22 + 5 * 36 - 4)
    monkeypatch.setenv(ENCODER_VARIABLE, str(teacher))
    assert main(command) == 0
    assert sheet(out).shape[:2] == (22 + 3 * 36 - 4, 22 + 5 * 36 - 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photo.png", "code.safetensors"], "style: expected a picture, got the file of an encoded style code.safetensors"),
        (["photo.png", "painting.png", "--models", "huge"], "got 'huge'"),
        (["photo.png", "painting.png", "-o", "photo.png"], "photo.png: expected another name than that of an input"),
        (["photo.png"], "the following arguments are required: style"),
        (["photo.png", "painting.png", "--models", "slim", "--encoder", "x"], "--encoder: expected none for models that have"),
    ],
)
def test_wrong_usage_exits_2(
    photo: Path,
    painting: Path,
    words: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photo.parent)
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *words])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_model_that_lacks_its_encoder_says_so(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(photo), str(photo), "--models", "vgg19", "-o", str(photo.with_name("x.png"))]) == 1
    assert "is a decoder alone and needs the full-width VGG-19 encoder" in capsys.readouterr().err
