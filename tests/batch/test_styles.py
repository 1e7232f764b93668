"""The styles of a batch: pictures, saved ones, and those that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import picture

from nst_adain.batch.folder import stylize_folder
from nst_adain.stylizer import Stylizer

pytestmark = pytest.mark.usefixtures("several_cores")


def outputs(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.png"))


def test_one_style_and_saved_styles(slim: Stylizer, folders: Path) -> None:
    photos, styles, out = folders / "photos", folders / "styles", folders / "out"
    slim.encode_style(styles / "x.png").save(styles / "saved.safetensors")
    for name in ("x.png", "saved.safetensors"):
        assert stylize_folder(slim, photos, styles / name, out).done == 2
    assert outputs(out) == ["a__saved.png", "a__x.png", "deep/b__saved.png", "deep/b__x.png"]
    assert (out / "a__saved.png").read_bytes() == (out / "a__x.png").read_bytes()
    (styles / "bad.safetensors").write_text("nothing")
    report = stylize_folder(slim, photos, styles, out)
    assert (report.done, report.skipped) == (2, 4)
    assert any("bad.safetensors: expected a .safetensors file of channel statistics" in error for _, error in report.failed)
    slim.encode_style(torch.rand(2, 3, 16, 16)).save(styles / "bad.safetensors")
    report = stylize_folder(slim, photos, styles, out)
    assert any("bad.safetensors: expected the code of one picture, found one of 2" in error for _, error in report.failed)
    with pytest.raises(NotADirectoryError, match=r"nope\.png: expected a folder of styles, or one style, found no such file"):
        stylize_folder(slim, photos, folders / "nope.png", out)


def test_a_repaired_style_changes_no_other_name(slim: Stylizer, folders: Path) -> None:
    (folders / "styles" / "x.bmp").touch()
    stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    before = outputs(folders / "out")
    picture(20, 20, 8).save(folders / "styles" / "x.bmp")
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert (report.done, report.skipped) == (2, 4)
    assert set(before) < set(outputs(folders / "out"))


def test_a_photograph_whose_random_style_is_damaged_is_reported(slim: Stylizer, folders: Path) -> None:
    for i in range(6):
        picture(20, 20, i).save(folders / "photos" / f"more{i}.png")
    (folders / "styles" / "y.png").write_text("no picture")
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", pairing="random")
    missing = [path for path, error in report.failed if error == "the style drawn for it, y, cannot be read"]
    assert missing
    assert report.done + len(report.failed) == 9 + 1  # each photograph, and the style


def test_bad_styles_and_folders(slim: Stylizer, folders: Path) -> None:
    (folders / "styles" / "bad.png").touch()
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert report.done == 4
    assert len(report.failed) == 2
    (folders / "none").mkdir()
    (folders / "none" / "bad.png").touch()
    with pytest.raises(ValueError, match="none: expected readable pictures, found none: .*empty file"):
        stylize_folder(slim, folders / "photos", folders / "none", folders / "out")
    with pytest.raises(NotADirectoryError, match="nowhere: expected a folder"):
        stylize_folder(slim, folders / "nowhere", folders / "styles", folders / "out")
    with pytest.raises(ValueError, match="pairing: expected 'all' or 'random', got 'some'"):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", pairing="some")  # type: ignore[arg-type]
