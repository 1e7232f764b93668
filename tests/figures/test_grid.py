"""Sheets of results, and animations from style to style."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from nst_adain.cli.main import main
from nst_adain.figures.grid import alpha_grid, captions, corner_grid, corner_weights, cross_grid, model_grid, sheet
from nst_adain.functional import ChannelStats
from nst_adain.models.boldness import Boldness, interpolated
from nst_adain.models.networks import StyleTransfer
from nst_adain.rendering.contents import EncodedContent
from nst_adain.stylizer import Stylizer
from nst_adain.video.frames import read_frames

CELL = 32


@pytest.fixture(scope="module")
def content(slim: Stylizer) -> EncodedContent:
    return slim.encode_content(picture(CELL, CELL, 1))


@pytest.fixture(scope="module")
def styles(slim: Stylizer) -> list[tuple[str, ChannelStats]]:
    return [(name, slim.encode_style(picture(40, 40, seed))) for seed, name in enumerate("abcd", start=2)]


def cell(image: Image.Image, row: int, column: int, left: int = 22) -> np.ndarray:
    x, y = left + column * (CELL + 4), 22 + row * (CELL + 4)
    return np.asarray(image)[y : y + CELL, x : x + CELL]


def test_cross_grid_has_a_row_per_content_and_a_column_per_style(
    slim: Stylizer, content: EncodedContent, styles: list[tuple[str, ChannelStats]]
) -> None:
    other = slim.encode_content(picture(CELL, CELL, 9))
    image = cross_grid(slim, [("x", content), ("y", other)], styles[:3], cell=CELL)
    assert image.size == (22 + 3 * (CELL + 4) - 4, 22 + 2 * (CELL + 4) - 4)
    for row, given in enumerate((content, other)):
        for column, (_, style) in enumerate(styles[:3]):
            np.testing.assert_array_equal(cell(image, row, column), np.asarray(slim(given, style)))


def test_alpha_grid_has_a_column_per_strength(
    slim: Stylizer, content: EncodedContent, styles: list[tuple[str, ChannelStats]]
) -> None:
    image = alpha_grid(slim, content, styles[:2], [0.0, 0.5, 1.5], cell=CELL)
    np.testing.assert_array_equal(cell(image, 1, 2), np.asarray(slim(content, styles[1][1], alpha=1.5)))


def test_corner_grid_is_pure_in_the_corners(
    slim: Stylizer, content: EncodedContent, styles: list[tuple[str, ChannelStats]]
) -> None:
    image = corner_grid(slim, content, styles, 3, cell=CELL)
    for (row, column), (_, style) in zip(((0, 0), (0, 2), (2, 0), (2, 2)), styles):
        np.testing.assert_array_equal(cell(image, row, column, left=0), np.asarray(slim(content, style)))
    middle = np.asarray(slim(content, [style for _, style in styles]))
    np.testing.assert_array_equal(cell(image, 1, 1, left=0), middle)
    with pytest.raises(ValueError, match="styles: expected four, one for each corner, got 2"):
        corner_grid(slim, content, styles[:2], 3)


def test_model_grid_has_a_column_per_model(slim: Stylizer, base: Stylizer) -> None:
    photo, style = picture(CELL, CELL, 1), picture(CELL, CELL, 2)
    image = model_grid([("slim", slim), ("base", base)], photo, style, alpha=0.7, cell=CELL)
    assert image.size == (4 * (CELL + 4) - 4, 22 + CELL)
    expected = photo, style, slim(photo, style, alpha=0.7), base(photo, style, alpha=0.7)
    for column, shown in enumerate(expected):
        np.testing.assert_array_equal(cell(image, 0, column, left=0), np.asarray(shown))


def test_model_grid_has_a_column_per_boldness(slim: Stylizer) -> None:
    bold = Stylizer(interpolated(slim.model, 0.0), device="cpu", precision="float32")
    bold.boldness = Boldness(_with_a_bold_end(slim), bold.device, half=False)
    plain = Stylizer(interpolated(slim.model, 0.0), device="cpu", precision="float32")
    plain.boldness.bold = False
    photo, style = picture(CELL, CELL, 1), picture(CELL, CELL, 2)
    image = model_grid([("bold", bold), ("plain", plain)], photo, style, boldnesses=(0, 0.5), cell=CELL)
    expected = [[photo, style, bold(photo, style, boldness=0), bold(photo, style, boldness=0.5)],
                [photo, style, plain(photo, style, boldness=0), Image.new("RGB", (CELL, CELL), "white")]]  # fmt: skip
    for row, pictures in enumerate(expected):
        for column, shown in enumerate(pictures):
            np.testing.assert_array_equal(cell(image, row, column), np.asarray(shown))


def _with_a_bold_end(stylizer: Stylizer) -> StyleTransfer:
    model = interpolated(stylizer.model, 0.0)
    model.bold = {name: 1.1 * part for name, part in model.state_dict().items() if name.startswith("decoder.")}
    return model


def test_corner_weights_are_bilinear() -> None:
    weights = np.array(corner_weights(5))
    assert weights.shape == (5, 5, 4)
    np.testing.assert_allclose(weights.sum(-1), 1)
    np.testing.assert_allclose(weights[1, 2], [0.375, 0.375, 0.125, 0.125])
    with pytest.raises(ValueError, match="side: expected at least 2 positions, got 1"):
        corner_weights(1)


def test_sheet_keeps_aspect_ratios_and_cuts_long_labels() -> None:
    wide = Image.new("RGB", (200, 100), "red")
    image = sheet([[wide]], ["a label that is far too long for the cell"], cell=CELL)
    assert image.size == (CELL, 22 + CELL)
    assert image.getpixel((CELL // 2, 22)) == (255, 255, 255)
    assert image.getpixel((CELL // 2, 22 + CELL // 2)) == (255, 0, 0)


@pytest.mark.parametrize("size", [(2000, 2), (2, 2000), (1, 1)])
def test_any_picture_fits_into_a_cell(size: tuple[int, int]) -> None:
    image = sheet([[Image.new("RGB", size, "red")]], ["a"], cell=CELL)
    assert (cell(image, 0, 0, left=0) == [255, 0, 0]).all(-1).any()


def test_transparency_is_white_on_a_sheet(slim: Stylizer) -> None:
    hidden = Image.new("RGBA", (40, 40), (200, 30, 30, 0))
    image = cross_grid(slim, [("a", slim.encode_content(hidden))], [("b", slim.encode_style(picture()))], cell=CELL)
    assert image.getpixel((CELL // 2 + 22, 22 + CELL // 2)) == (255, 255, 255)


def test_captions_are_short_where_they_can_be() -> None:
    assert captions(["base", Path("runs/one/weights.safetensors")]) == ["base", "weights"]
    assert captions([Path("a/photo.png"), Path("b/photo.png")]) == [str(Path("a/photo.png")), str(Path("b/photo.png"))]


def test_a_label_is_one_line() -> None:
    images = [sheet([[Image.new("RGB", (8, 8))]], [name], cell=128) for name in ("two\nlines", " two  lines")]
    assert images[0].tobytes() == images[1].tobytes()


def test_commands(photo: Path, painting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p, s, out = str(photo), str(painting), photo.with_name("out.png")
    base = ["grid", "--contents", p, "--styles", s, p]
    for options in ([], ["--alphas", "0", "1"], ["--styles", s, p, s, p, "--corners", "2"]):
        assert main([*base, *options, "-o", str(out), "--cell", "32", "--size", "32"]) == 0
        with Image.open(out) as image:
            assert min(image.size) > 50
    for wrong, message in (
        ([*base, "--corners", "2"], "--styles: expected four with --corners, got 2"),
        ([*base, "--contents", p, s, "--alphas", "1"], "--contents: expected one photograph"),
        ([*base, "--alphas", "1", "--alpha", "0.5"], "--alpha: not allowed with --alphas"),
        (["morph", p, s], "style: expected at least two, got 1"),
        (["morph", p, s, p, "-o", "x.png"], "expected a name ending in .gif"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err
    gif = photo.with_name("out.gif")
    assert main(["morph", p, s, p, "-o", str(gif), "--frames", "4", "--loop", "--size", "32"]) == 0
    with Image.open(gif) as image:
        assert image.n_frames == 4  # type: ignore[attr-defined]
    movie = photo.with_name("out.mp4")
    assert main(["morph", p, s, p, "-o", str(movie), "--frames", "3", "--size", "33"]) == 0
    frames = list(read_frames(movie))
    assert len(frames) == 3
    assert frames[0].height == 32  # players want even sides
    assert main(["morph", p, s, p, "-o", str(photo.with_name("none") / "x.gif")]) == 1
    assert "none does not exist" in capsys.readouterr().err
