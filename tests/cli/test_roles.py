"""Which pictures of `nst-adain stylize` are photographs, which are styles, and where results go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from nst_adain.cli import roles
from nst_adain.cli.main import main
from nst_adain.cli.roles import name_results, tell_apart
from nst_adain.errors import UsageError
from nst_adain.stylizer import Stylizer


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Six pictures in the working directory."""
    monkeypatch.chdir(tmp_path)
    for seed in range(6):
        picture(24, 20, seed).save(f"{seed}.png")
    return [f"{seed}.png" for seed in range(6)]


def made(command: list[str]) -> dict[str, np.ndarray]:
    """What a call in float32 adds to the working directory."""
    before = set(Path().rglob("*.png"))
    assert main(["stylize", *command, "--precision", "float32"]) == 0
    return {path.as_posix(): np.asarray(Image.open(path)) for path in sorted(set(Path().rglob("*.png")) - before)}


def test_more_than_four_styles_have_to_be_called_styles(names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["stylize", *names])
    error, _ = capsys.readouterr().err.splitlines()
    assert "style: expected at most 4, got 5, which would all be mixed" in error
    assert "`nst-adain stylize PHOTO --styles STYLE ...`" in error
    assert "`nst-adain stylize PHOTO ... --styles STYLE -o FOLDER`" in error
    assert sorted(path.name for path in Path().iterdir()) == names


def test_up_to_four_styles_need_no_option(names: list[str], base: Stylizer) -> None:
    (result,) = made([*names[:5], "-o", "out.png"]).values()
    np.testing.assert_array_equal(result, np.asarray(base(names[0], list(names[1:5]))))


@pytest.mark.parametrize(
    ("options", "controls"),
    [
        (["--weights", "1", "2", "3", "4", "5"], {"weights": [1, 2, 3, 4, 5]}),
        (["--masks", *["0.png"] * 5], {"masks": ["0.png"] * 5}),
    ],
)
def test_options_that_mix_styles_say_that_they_are_styles(
    names: list[str], base: Stylizer, options: list[str], controls: dict[str, list[int]]
) -> None:
    (result,) = made([*names, "-o", "out.png", *options]).values()
    np.testing.assert_array_equal(result, np.asarray(base(names[0], list(names[1:]), **controls)))  # type: ignore[arg-type]


def test_named_styles_are_a_mixture_of_any_number(names: list[str], base: Stylizer) -> None:
    (result,) = made([names[0], "--styles", *names[1:], "-o", "out.png"]).values()
    np.testing.assert_array_equal(result, np.asarray(base(names[0], list(names[1:]))))


@pytest.mark.parametrize(
    "options", [[], ["--preserve-color", "coral"], ["--style-size", "12"], ["--masks", "5.png", "--alpha", "4.png"]]
)
def test_several_photographs_become_what_each_becomes_alone(names: list[str], options: list[str]) -> None:
    several = made([*names[:3], "--styles", names[3], "-o", "all/", *options])
    alone = {f"all/{name[0]}__3.png": made([name, names[3], *options]) for name in names[:3]}
    assert list(several) == list(alone)
    for name, (single,) in ((name, pixels.values()) for name, pixels in alone.items()):
        np.testing.assert_array_equal(several[name], single)


def test_a_bad_photograph_does_not_end_the_others(names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(names[1]).write_text("no picture")
    assert main(["stylize", *names[:3], "--styles", names[3], "-o", "out"]) == 1
    said = capsys.readouterr()
    assert said.out.split() == [str(Path("out", "0__3.png")), str(Path("out", "2__3.png"))]
    first, last = said.err.splitlines()
    assert first.startswith("failed: 1.png: expected a picture, found a file of no known image format")
    assert last == "nst-adain: error: 1 of 3 photographs failed"


@pytest.mark.parametrize(
    "options",
    [
        ["--styles", "bad.png"],
        ["--preserve-color", "coral", "--styles", "bad.png"],
        *(["--styles", "3.png", name, "bad.png"] for name in ("--alpha", "--masks", "--label-map")),
    ],
)
def test_what_several_photographs_share_is_read_before_any(
    names: list[str], options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.png").write_text("no picture")
    assert main(["stylize", *names[:3], *options, "-o", "out"]) == 1
    assert capsys.readouterr().err.startswith(f"nst-adain: error: {options[-2]} bad.png: expected a picture")
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("0.png", "the following arguments are required: style"),
        ("0.png 1.png --styles 2.png -o x.png", "-o: expected a folder for the results of 2 photographs, got x.png"),
        ("0.png 1.png -o folder/", "-o: expected the name of a picture, or --styles, got the folder folder"),
        ("0.png 1.png 0__1.png --styles 1.png", "0__1.png: expected another name than that of an input"),
        ("0.png --styles 1.png -o x.jgp", "-o/--output: expected a name ending in .png"),
    ],
)
def test_results_that_have_no_place_are_wrong_usage(
    names: list[str], command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["stylize", *command.split()])
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in Path().iterdir()) == names


def test_styles_may_stand_behind_an_option(names: list[str]) -> None:
    assert list(made([names[0], "-o", "out.png", names[1]])) == ["out.png"]


def test_two_photographs_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a\.jpg: expected each photograph once, got it twice"):
        name_results(tmp_path, [Path("a.jpg")] * 2, [Path("s.png")])
    photos = [tmp_path / "a" / "x.jpg", tmp_path / "b" / "x.jpg"]
    with pytest.raises(ValueError, match=r"x__s\.png: would be the result of .*a.x\.jpg .*s\.png and of .*b.x\.jpg .*rename"):
        name_results(tmp_path / "out", photos, [Path("s.png")])


def test_who_is_who() -> None:
    paths = [Path(name) for name in "abcdef"]
    assert tell_apart(paths[:2], None, mixed=False) == (paths[:1], paths[1:2])
    assert tell_apart(paths, None, mixed=True) == (paths[:1], paths[1:])
    assert tell_apart(paths[:2], paths[2:], mixed=False) == (paths[:2], paths[2:])
    with pytest.raises(UsageError, match=f"at most {roles._MIXED}, got 5"):
        tell_apart(paths, None, mixed=False)
