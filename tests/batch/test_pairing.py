"""Which photographs come in which styles, and what the results are called."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

import pytest
from conftest import picture

from nst_adain.batch.folder import stylize_folder
from nst_adain.errors import UsageError
from nst_adain.stylizer import Stylizer

pytestmark = pytest.mark.usefixtures("several_cores")


def outputs(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.png"))


def test_one_random_style_each_is_the_same_for_the_same_seed(slim: Stylizer, folders: Path) -> None:
    for i in range(6):
        picture(20, 20, i).save(folders / "photos" / f"more{i}.png")
    results = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / name, pairing="random", seed=seed)
        results.append(outputs(folders / name))
    assert len(results[0]) == 8
    assert results[0] == results[1] != results[2]
    assert {name.rsplit("__")[1] for name in results[0]} == {"x.png", "y.png"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the names of files are text")
@pytest.mark.parametrize("pairing", ["all", "random"])
def test_names_that_are_no_text(slim: Stylizer, folders: Path, pairing: Literal["all", "random"]) -> None:
    photos, out = folders / "photos", folders / "out"
    (photos / "a.png").rename(photos / os.fsdecode(b"caf\xe9.png"))
    (photos / "bad.png").rename(photos / os.fsdecode(b"br\xe9.png"))
    report = stylize_folder(slim, photos, folders / "styles" / "x.png", out, pairing=pairing)
    assert (report.done, len(report.failed)) == (2, 1)
    assert (out / os.fsdecode(b"caf\xe9__x.png")).is_file()
    assert b"br\xe9.png" in (out / "failures.csv").read_bytes()
    assert stylize_folder(slim, photos, folders / "styles" / "x.png", out, pairing=pairing).skipped == 2


def test_pairs_with_one_result_are_refused(slim: Stylizer, folders: Path) -> None:
    picture(20, 20).save(folders / "photos" / "a__x.png")
    picture(20, 20).save(folders / "styles" / "x__x.png")
    message = r"a__x__x\.png: would be the result of .*a\..* in the style x__x and of .*a__x\.png in the style x; rename"
    with pytest.raises(ValueError, match=message):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert not outputs(folders / "out")


def test_results_below_the_photographs_are_not_photographs(slim: Stylizer, folders: Path) -> None:
    out = folders / "photos" / "out"
    assert stylize_folder(slim, folders / "photos", folders / "styles", out).done == 4
    report = stylize_folder(slim, folders / "photos", folders / "styles", out)
    assert (report.done, report.skipped) == (0, 4)


def test_results_below_the_styles_are_not_styles(slim: Stylizer, folders: Path) -> None:
    out = folders / "styles" / "out"
    assert stylize_folder(slim, folders / "photos", folders / "styles", out).done == 4
    report = stylize_folder(slim, folders / "photos", folders / "styles", out)
    assert (report.done, report.skipped) == (0, 4)
    with pytest.raises(UsageError, match="out: expected another folder than that of the styles"):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "styles")


def test_results_behind_a_link_are_not_photographs(slim: Stylizer, folders: Path) -> None:
    (folders / "out").mkdir()
    (folders / "photos" / "results").symlink_to(folders / "out")
    for done, skipped in ((4, 0), (0, 4)):
        report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
        assert (report.done, report.skipped) == (done, skipped)


def test_results_may_be_above_the_photographs_but_not_among_them(
    slim: Stylizer, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folders)
    assert stylize_folder(slim, "photos", "styles", ".").done == 4
    with pytest.raises(UsageError, match="out: expected another folder than that of the photographs, got photos"):
        stylize_folder(slim, "photos", "styles", "photos")
    for photo in (folders / "photos").rglob("*.png"):
        photo.rename(folders / "photos" / "deep" / photo.name)
    with pytest.raises(ValueError, match=r"photos: expected pictures outside of .*deep, found none"):
        stylize_folder(slim, "photos", "styles", folders / "photos" / "deep")


def test_styles_among_the_photographs_are_not_stylised(slim: Stylizer, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders)
    (folders / "photos" / "bad.png").unlink()
    (folders / "photos" / "same.png").symlink_to(folders / "styles" / "x.png")  # a photograph by its place
    assert stylize_folder(slim, ".", "styles", "out").done == 6
    stylize_folder(slim, "photos", "photos/a.png", "one")
    assert outputs(folders / "one") == ["deep/b__a.png", "same__a.png"]
    (folders / "photos" / "same.png").unlink()
    assert stylize_folder(slim, "photos", "photos", "each").done == 4  # each in the style of each
    (folders / "photos" / "a.png").unlink()
    with pytest.raises(ValueError, match="photos: expected pictures outside of photos/deep, found none"):
        stylize_folder(slim, "photos", "photos/deep", "none")


def test_equal_names_do_not_replace_each_other(slim: Stylizer, folders: Path) -> None:
    picture(20, 20, 7).save(folders / "photos" / "a.jpg")
    picture(20, 20, 8).save(folders / "styles" / "x.jpg")
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert len(outputs(folders / "out")) == report.done == 9
