"""Folders of photographs: pairing, names, what is there already, failures, and what an earlier call was asked."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from conftest import picture, stray
from PIL import Image

from nst_adain.batch import folder as bulk
from nst_adain.batch.folder import stylize_folder
from nst_adain.cli.main import main
from nst_adain.controls import Controls
from nst_adain.errors import UsageError
from nst_adain.models.pretrained import load_model
from nst_adain.stylizer import Stylizer


@pytest.fixture(autouse=True)
def _several_cores() -> Iterator[None]:
    """Pictures are computed at the same time, however few cores these tests are given."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(2, threads))
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three photographs in a tree, one of them damaged, and two styles."""
    for name, seed in (("photos/a.png", 1), ("photos/deep/b.png", 2), ("styles/x.png", 3), ("styles/y.png", 4)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture(40, 30, seed).save(tmp_path / name)
    (tmp_path / "photos" / "bad.png").write_text("no picture")
    return tmp_path


def outputs(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.png"))


def test_every_pair_in_a_mirrored_tree(slim: Stylizer, folders: Path) -> None:
    out = folders / "out"
    report = stylize_folder(slim, folders / "photos", folders / "styles", out, controls={"alpha": 0.7})
    assert outputs(out) == ["a__x.png", "a__y.png", "deep/b__x.png", "deep/b__y.png"]
    assert (report.done, report.skipped, len(report.failed)) == (4, 0, 1)
    expected = slim(folders / "photos/deep/b.png", folders / "styles/y.png", alpha=0.7)
    with Image.open(out / "deep/b__y.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
    (row,) = csv.DictReader((out / "failures.csv").read_text().splitlines())
    assert row["file"] == str(folders / "photos/bad.png")
    assert "no known image format" in row["error"]


def test_a_second_call_makes_only_what_is_missing(slim: Stylizer, folders: Path) -> None:
    out = folders / "out"
    stylize_folder(slim, folders / "photos", folders / "styles", out)
    (out / "a__x.png").unlink()
    (out / "a__y.png").write_bytes(b"mine")
    (folders / "photos" / "bad.png").unlink()
    report = stylize_folder(slim, folders / "photos", folders / "styles", out)
    assert (report.done, report.skipped, report.failed) == (1, 3, [])
    assert (out / "a__y.png").read_bytes() == b"mine"
    assert not (out / "failures.csv").exists()
    report = stylize_folder(slim, folders / "photos", folders / "styles", out, overwrite=True)
    assert (report.done, report.skipped) == (4, 0)
    assert (out / "a__y.png").read_bytes() != b"mine"


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


def test_other_settings_than_those_of_the_pictures_there_are_refused(slim: Stylizer, folders: Path) -> None:
    photos, styles = folders / "photos", folders / "styles"
    mask = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)

    def made(out: str, **options: Any) -> tuple[int, int]:
        report = stylize_folder(slim, photos, styles, folders / out, **options)
        return report.done, report.skipped

    assert made("plain") == (4, 0)
    assert made("plain", controls={"alpha": np.float32(1.0), "preserve_color": None}, overwrite=True) == (4, 0)
    assert made("masked", controls={"alpha": mask}, suffix=".jpg") == (4, 0)
    assert made("masked", controls={"alpha": mask.copy()}, suffix=".jpg") == (0, 4)
    before = {path: path.read_bytes() for path in folders.rglob("*__*")}
    for out, options, changed in (
        ("plain", {"controls": {"alpha": 0.5}}, "with alpha 1.0, not 0.5"),
        ("plain", {"controls": {"alpha": 0.5}, "overwrite": True}, "with alpha 1.0, not 0.5"),
        ("plain", {"size": 20}, "with size None, not 20"),
        ("masked", {"controls": {"alpha": 1 - mask}, "suffix": ".jpg"}, "with another alpha"),
        ("masked", {"controls": {"alpha": mask}, "suffix": ".jpg", "quality": 50}, "with quality 95, not 50"),
    ):
        with pytest.raises(UsageError, match=f"{out}: holds pictures made {changed}; name another folder, or remove this one"):
            made(out, **options)
    assert {path: path.read_bytes() for path in folders.rglob("*__*")} == before
    for content in ("[", "[]", "[" * 100_000):
        (folders / "plain" / "batch.json").write_text(content)
        with pytest.raises(ValueError, match=r"batch\.json: expected the settings of an earlier call"):
            made("plain")


def test_another_model_or_draw_is_refused(slim: Stylizer, folders: Path) -> None:
    photos, styles, out = folders / "photos", folders / "styles", folders / "out"
    stylize_folder(slim, photos, styles, out, pairing="random", seed=1)
    with pytest.raises(UsageError, match="out: holds pictures made with seed 1, not 2; name another"):
        stylize_folder(slim, photos, styles, out, pairing="random", seed=2)
    with torch.no_grad():
        (other := load_model("slim")).decoder.get_parameter("conv1_1.bias").add_(0.1)
    with pytest.raises(UsageError, match="out: holds pictures made with another model; name another"):
        stylize_folder(Stylizer(other, "cpu", "float32"), photos, styles, out, pairing="random", seed=1)
    picture(20, 20, 8).save(styles / "z.png")
    with pytest.raises(UsageError, match="out: holds pictures made from other styles, without or with z; name another"):
        stylize_folder(slim, photos, styles, out, pairing="random", seed=1)


def test_other_pictures_of_the_same_names_are_refused(slim: Stylizer, folders: Path) -> None:
    photos, styles, out = folders / "photos", folders / "styles", folders / "out"
    stylize_folder(slim, photos, styles / "x.png", out)
    for name, seed in (("more/a.jpg", 7), ("more/c.jpg", 8), ("other/x.png", 9)):
        (folders / name).parent.mkdir(exist_ok=True)
        picture(40, 30, seed).save(folders / name)
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    with pytest.raises(UsageError, match="out: holds pictures in another style of the name x; name another folder, or remove"):
        stylize_folder(slim, photos, folders / "other", out)
    with pytest.raises(UsageError, match=r"out: holds a__x\.png of the photographs in .*photos, not .*more; name another"):
        stylize_folder(slim, folders / "more", styles / "x.png", out)
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before
    assert stylize_folder(slim, folders / "more", styles / "y.png", out).done == 2  # no name is taken
    assert stylize_folder(slim, photos, styles / "x.png", out).skipped == 2
    moved = folders / "moved"
    moved.mkdir()
    for part in (photos, styles, out):
        part.rename(moved / part.name)
    assert stylize_folder(slim, moved / "photos", moved / "styles" / "x.png", moved / "out").skipped == 2


def test_settings_of_one_format_outlast_a_call_for_another(slim: Stylizer, folders: Path) -> None:
    arguments = (slim, folders / "photos", folders / "styles", folders / "out")
    stylize_folder(*arguments, suffix=".jpg", quality=95)
    stylize_folder(*arguments, suffix=".png")
    with pytest.raises(UsageError, match="out: holds pictures made with quality 95, not 20"):
        stylize_folder(*arguments, suffix=".jpg", quality=20)


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


def test_settings_with_which_nothing_was_made_are_forgotten(slim: Stylizer, folders: Path) -> None:
    with pytest.raises(ValueError, match="alpha: expected a number from 0"):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", controls={"alpha": -1.0})
    assert not outputs(folders / "out")
    assert stylize_folder(slim, folders / "photos", folders / "styles", folders / "out").done == 4


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


def test_a_mask_that_cannot_be_read_is_said_once_and_first(slim: Stylizer, folders: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.png: expected a picture"):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", controls={"alpha": folders / "none.png"})
    assert not (folders / "out").exists()
    Image.new("L", (8, 8), 0).save(folders / "black.png")
    controls: Controls = {"alpha": folders / "black.png"}
    stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", controls=controls)
    expected = slim(folders / "photos" / "a.png", folders / "styles" / "y.png", alpha=0)
    np.testing.assert_array_equal(np.asarray(Image.open(folders / "out" / "a__y.png")), np.asarray(expected))


def test_a_name_that_is_too_long_does_not_stop_the_rest(slim: Stylizer, folders: Path) -> None:
    picture(20, 20).save(folders / "photos" / f"{'l' + 'o' * 248 + 'ng'}.png")
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert report.done == 4
    assert len([error for _, error in report.failed if "name too long" in error]) == 2


def test_a_folder_that_cannot_be_written_to_is_said_first(
    slim: Stylizer, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="out: expected a folder that can be written to"):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert not outputs(folders / "out")


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


def test_a_photograph_whose_random_style_is_damaged_is_reported(slim: Stylizer, folders: Path) -> None:
    for i in range(6):
        picture(20, 20, i).save(folders / "photos" / f"more{i}.png")
    (folders / "styles" / "y.png").write_text("no picture")
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", pairing="random")
    missing = [path for path, error in report.failed if error == "the style drawn for it, y, cannot be read"]
    assert missing
    assert report.done + len(report.failed) == 9 + 1  # each photograph, and the style


def test_a_picture_that_would_be_too_large_does_not_stop_the_rest(slim: Stylizer, folders: Path) -> None:
    Image.new("RGB", (20000, 1)).save(folders / "photos" / "thin.png")
    Image.new("RGB", (4000, 2)).save(folders / "styles" / "thin.png")
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", size=512)
    assert report.done == 6
    assert any("thin.png" in str(path) and "more than the limit" in error for path, error in report.failed)


def test_equal_names_do_not_replace_each_other(slim: Stylizer, folders: Path) -> None:
    picture(20, 20, 7).save(folders / "photos" / "a.jpg")
    picture(20, 20, 8).save(folders / "styles" / "x.jpg")
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert len(outputs(folders / "out")) == report.done == 9


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


def test_command_reports_and_exits_1(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["batch", str(folders / "photos"), "--styles", str(folders / "styles"), "-o", str(folders / "out"),
               "--format", "jpg", "--preserve-color", "luminance", "--size", "20"]  # fmt: skip
    assert main(command) == 1
    said = capsys.readouterr()
    assert f"{folders / 'out'}: 4 written, 0 there already, 1 failed" in said.out
    assert "failed: " in said.err
    assert "bad.png" in said.err
    (folders / "photos" / "bad.png").unlink()
    assert main(command) == 0
    assert "0 written, 4 there already (--overwrite makes them again), 0 failed" in capsys.readouterr().out
    with Image.open(folders / "out" / "a__x.jpg") as image:
        assert image.size == (27, 20)
    for more in (["--format", "bmp"], ["--preserve-color", "coral"], ["--seed", "1"]):
        with pytest.raises(SystemExit) as stopped:
            main([*command, *more])
        assert stopped.value.code == 2


def test_one_photograph_in_many_styles_and_the_thread_count_afterwards(slim: Stylizer, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    for folder, count in (("photos", 1), ("styles", 9)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            picture(24, 16, i).save(tmp_path / folder / f"{i}.png")
    report = stylize_folder(slim, tmp_path / "photos", tmp_path / "styles", tmp_path / "out", size=32)
    assert (report.done, report.failed) == (9, [])
    assert torch.get_num_threads() == threads
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == threads
    with Image.open(tmp_path / "out" / "0__7.png") as image:
        assert image.size == (48, 32)
        expected = slim(tmp_path / "photos/0.png", tmp_path / "styles/7.png", size=32)
        assert np.abs(np.asarray(image, int) - np.asarray(expected, int)).max() <= 1  # another order of additions


@pytest.mark.parametrize("error", [TypeError("odd\nvalue"), AssertionError(), RecursionError("deep"), ZeroDivisionError("0")])
def test_whatever_one_picture_raises_does_not_stop_the_rest(
    slim: Stylizer, folders: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    encode = Stylizer.encode_content

    def fail(stylizer: Stylizer, content: Image.Image, **controls: Any) -> Any:
        if content.size == bad.size:
            raise error
        return encode(stylizer, content, **controls)

    bad = Image.new("RGB", (17, 19))
    bad.save(folders / "photos" / "bad.png")
    monkeypatch.setattr(Stylizer, "encode_content", fail)
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert report.done > 0
    assert {path.name for path, _ in report.failed} == {"bad.png"}
    said = (folders / "out" / "failures.csv").read_text().splitlines()[1]
    assert said.endswith(",AssertionError" if not str(error) else f"{type(error).__name__}: {' '.join(str(error).split())}")


@pytest.mark.parametrize("method", ["encode_content", "__call__"])
def test_memory_that_runs_out_for_one_picture_does_not_stop_the_rest(
    slim: Stylizer, folders: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    original = getattr(Stylizer, method)

    def fail(self: Stylizer, content: object, *arguments: object, **options: object) -> object:
        pixels = original(self, content, *arguments, **options)
        if (content.size[0] if isinstance(content, Image.Image) else pixels.size[0]) == 90:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return pixels

    picture(90, 20).save(folders / "photos" / "large.png")
    monkeypatch.setattr(Stylizer, method, fail)
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert report.done == 4
    assert {error for path, error in report.failed if "large" in path.name} == {"not enough memory for a picture of this size"}


def test_an_error_in_one_picture_that_is_not_the_files_ends_the_job(slim: Stylizer, folders: Path) -> None:
    for i in range(40):
        picture(8, 8, i).save(folders / "styles" / f"{i}.png")
    with pytest.raises(ValueError, match="alpha"):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", controls={"alpha": -1})
    assert outputs(folders / "out") == []


def test_a_label_map_that_cannot_be_read_is_said_at_once(slim: Stylizer, folders: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"labels\.png"):
        stylize_folder(
            slim, folders / "photos", folders / "styles", folders / "out", controls={"masks": folders / "labels.png"}
        )
    assert not (folders / "out").exists()


def test_a_name_that_two_known_folders_have_is_refused(slim: Stylizer, folders: Path) -> None:
    style, out = folders / "styles" / "x.png", folders / "out"
    for name, seed in (("one/a.png", 1), ("two/b.png", 2)):
        (folders / name).parent.mkdir()
        picture(40, 30, seed).save(folders / name)
        stylize_folder(slim, folders / name.split("/")[0], style, out)
    for name, seed in (("one/n.png", 3), ("two/n.png", 4)):
        picture(40, 30, seed).save(folders / name)
    assert stylize_folder(slim, folders / "one", style, out).done == 1
    before = (out / "n__x.png").read_bytes()
    with pytest.raises(UsageError, match=r"out: holds n__x\.png of the photograph in .*one or that in .*two; name another"):
        stylize_folder(slim, folders / "two", style, out)
    assert (out / "n__x.png").read_bytes() == before


def test_of_two_calls_that_begin_together_one_is_refused(
    slim: Stylizer, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, styles, out = folders / "photos", folders / "styles", folders / "out"
    encode = bulk.encode_styles

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(bulk, "encode_styles", encode)
        with pytest.raises(UsageError, match=r"out: holds pictures made with alpha 1\.0, not 0\.5"):
            stylize_folder(slim, photos, styles, out, controls={"alpha": 0.5})
        return encode(*arguments)

    monkeypatch.setattr(bulk, "encode_styles", meanwhile)
    assert stylize_folder(slim, photos, styles, out).done > 0
    assert json.loads((out / "batch.json").read_text())["alpha"] == 1.0


def test_settings_outlast_a_call_that_began_first_and_made_nothing(
    slim: Stylizer, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, styles, out = folders / "photos", folders / "styles", folders / "out"
    encode, run = bulk.encode_styles, bulk._run

    def interrupted(*arguments: Any) -> Any:
        monkeypatch.setattr(bulk, "encode_styles", encode)
        assert stylize_folder(slim, photos, styles, out).done > 0
        raise KeyboardInterrupt

    monkeypatch.setattr(bulk, "encode_styles", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stylize_folder(slim, photos, styles, out)
    assert "photographs" in json.loads((out / "batch.json").read_text())

    def meanwhile(*arguments: Any) -> None:
        (out / "batch.json").unlink()  # as the other does before anything is made
        run(*arguments)

    monkeypatch.setattr(bulk, "_run", meanwhile)
    assert stylize_folder(slim, photos, styles, out, overwrite=True).done > 0
    assert "photographs" in json.loads((out / "batch.json").read_text())


def test_what_a_killed_call_left_half_written_is_removed_by_the_next(slim: Stylizer, folders: Path) -> None:
    (folders / "out" / "deep").mkdir(parents=True)
    left = [stray(folders / "out"), stray(folders / "out" / "deep")]
    stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert not any(path.exists() for path in left)


def test_controls_that_are_not_a_batchs_are_refused(slim: Stylizer, folders: Path) -> None:
    for controls in ({"size": 32}, {"out": torch.zeros(1)}, {"weights": [2.0]}):
        with pytest.raises(UsageError, match=f"controls: expected alpha, masks, preserve_color, got {next(iter(controls))}"):
            stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", controls=controls)  # type: ignore[arg-type]
    assert not (folders / "out").exists()
