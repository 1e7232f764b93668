"""Drawn styles by their names, wherever a command is given a style."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import draw
from PIL import Image

from nst_adain.cli.drawn import NAMES, open_style, style_file
from nst_adain.cli.main import main
from nst_adain.figures.gallery import STYLES
from nst_adain.stylizer import Stylizer


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pixels(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_bare_name_is_the_drawing_and_anything_else_a_path() -> None:
    assert open_style(Path("mosaic")) == draw("mosaic")
    for path in ("mosaic.png", "samples/mosaic", "/mosaic", "../mosaic", "none.png"):
        assert open_style(Path(path)) == Path(path)


def test_a_file_or_folder_of_this_name_wins(painting: Path) -> None:
    shutil.copy(painting, "mosaic")
    Path("ink_wash").mkdir()
    for name in ("mosaic", "ink_wash"):
        assert open_style(Path(name)) == Path(name)
    assert main(["stylize", str(painting), "mosaic", "-o", "by_name.png"]) == 0
    assert main(["stylize", str(painting), str(painting), "-o", "by_path.png"]) == 0
    np.testing.assert_array_equal(pixels("by_name.png"), pixels("by_path.png"))


def test_as_a_file_it_is_there_for_a_while(painting: Path) -> None:
    with style_file(Path("mosaic")) as file:
        assert file.name == "mosaic.png"
        np.testing.assert_array_equal(pixels(file), np.asarray(draw("mosaic")))
    assert not file.parent.exists()
    with style_file(painting) as file:
        assert file == painting
    assert painting.exists()


def test_stylize_knows_it(base: Stylizer, photo: Path) -> None:
    options = ["--device", "cpu", "--precision", "float32"]
    assert main(["stylize", str(photo), "mosaic", *options]) == 0
    assert main(["stylize", str(photo), "--styles", "mosaic", "ink_wash", "-o", "both.png", *options]) == 0
    np.testing.assert_array_equal(pixels("photo__mosaic.png"), np.asarray(base(photo, draw("mosaic"))))
    np.testing.assert_array_equal(pixels("both.png"), np.asarray(base(photo, [draw("mosaic"), draw("ink_wash")])))


def test_batch_knows_it(base: Stylizer, photo: Path) -> None:
    Path("photos").mkdir()
    shutil.copy(photo, "photos")
    options = ["--device", "cpu", "--precision", "float32"]
    for _ in range(2):  # the second time, it is the same style
        assert main(["batch", "photos", "--styles", "mosaic", "-o", "out", *options]) == 0
    (result,) = Path("out").rglob("*mosaic*.png")
    np.testing.assert_array_equal(pixels(result), np.asarray(base(photo, draw("mosaic"))))


def test_grid_morph_and_video_know_it(photo: Path) -> None:
    assert main(["grid", "--contents", str(photo), "--styles", "mosaic", "pastel", "-o", "grid.png", "--cell", "32"]) == 0
    assert main(["morph", str(photo), "mosaic", "pastel", "-o", "clip.mp4", "--frames", "2", "--size", "32"]) == 0
    assert main(["video", "clip.mp4", "--from", "mosaic", "--to", "ink_wash", "-o", "painted.mp4"]) == 0


@pytest.mark.parametrize("words", [
    ["stylize", "photo.png", "cubism"],
    ["stylize", "photo.png", "mosaic", "cubism"],
    ["batch", ".", "--styles", "cubism", "-o", "out"],
    ["morph", "photo.png", "mosaic", "cubism", "-o", "a.gif"],
    ["grid", "--contents", "photo.png", "--styles", "cubism", "-o", "a.png"],
    ["compare", "photo.png", "cubism"],
])  # fmt: skip
def test_an_unknown_name_is_answered_with_all_that_there_are(
    photo: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert f"cubism: expected a file or one of {NAMES}, found neither" in capsys.readouterr().err
    assert all(name in NAMES for name in STYLES)
