"""Folders of photographs: pairing, names, what is there already, failures, and what an earlier call was asked."""

from __future__ import annotations

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import picture, stray
from PIL import Image

from nst_adain.batch.folder import stylize_folder
from nst_adain.cli.main import main
from nst_adain.controls import Controls
from nst_adain.errors import UsageError
from nst_adain.stylizer import Stylizer

pytestmark = pytest.mark.usefixtures("several_cores")


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


def test_a_mask_that_cannot_be_read_is_said_once_and_first(slim: Stylizer, folders: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.png: expected a picture"):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", controls={"alpha": folders / "none.png"})
    assert not (folders / "out").exists()
    Image.new("L", (8, 8), 0).save(folders / "black.png")
    controls: Controls = {"alpha": folders / "black.png", "boldness": 0}
    stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", controls=controls)
    expected = slim(folders / "photos" / "a.png", folders / "styles" / "y.png", alpha=0, boldness=0)
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
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "new" / "out")
    assert not (folders / "new").exists()
    (folders / "out" / "failures.csv").mkdir(parents=True)
    monkeypatch.undo()
    with pytest.raises(IsADirectoryError, match=r"failures\.csv: expected the name of a file, found a folder"):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")


def test_a_picture_that_would_be_too_large_does_not_stop_the_rest(slim: Stylizer, folders: Path) -> None:
    Image.new("RGB", (20000, 1)).save(folders / "photos" / "thin.png")
    Image.new("RGB", (4000, 2)).save(folders / "styles" / "thin.png")
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", size=512)
    assert report.done == 6
    assert any("thin.png" in str(path) and "more than the limit" in error for path, error in report.failed)


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


def test_what_a_killed_call_left_half_written_is_removed_by_the_next(slim: Stylizer, folders: Path) -> None:
    (folders / "out" / "deep").mkdir(parents=True)
    left = [stray(folders / "out"), stray(folders / "out" / "deep")]
    stylize_folder(slim, folders / "photos", folders / "styles", folders / "out")
    assert not any(path.exists() for path in left)


def test_controls_that_are_not_a_batchs_are_refused(slim: Stylizer, folders: Path) -> None:
    for controls in ({"size": 32}, {"out": torch.zeros(1)}, {"weights": [2.0]}):
        with pytest.raises(UsageError, match=f"controls: expected alpha, .*, got {next(iter(controls))}"):
            stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", controls=controls)  # type: ignore[arg-type]
    assert not (folders / "out").exists()


def test_a_batch_has_the_look_of_its_settings(slim: Stylizer, folders: Path) -> None:
    photo, style, out = folders / "photos/a.png", folders / "styles/x.png", folders / "out"
    for path in (folders / "photos").rglob("*.png"):
        if path != photo:
            path.unlink()
    controls: Controls = {"look_size": 16, "detail": "photo"}
    stylize_folder(slim, photo.parent, style, out, controls=controls)
    with Image.open(out / "a__x.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(slim(photo, style, **controls)))
    for other in ({"look_size": 20, "detail": "photo"}, {"look_size": None, "detail": "photo"}, {"look_size": 16}):
        with pytest.raises(UsageError, match="holds pictures made with (look_size 16|detail photo), not"):
            stylize_folder(slim, photo.parent, style, out, controls=other)  # type: ignore[arg-type]
    settings = json.loads((out / "batch.json").read_text())
    del settings["look_size"]  # as a batch of before wrote it, whose strokes were as wide in pixels at any size
    (out / "batch.json").write_text(json.dumps(settings))
    with pytest.raises(UsageError, match="holds pictures made with look_size None, not 16"):
        stylize_folder(slim, photo.parent, style, out, controls=controls)


@pytest.mark.parametrize("controls", [{"look_size": 0}, {"detail": "much"}])
def test_a_wrong_look_is_said_before_the_work(slim: Stylizer, folders: Path, controls: Controls) -> None:
    with pytest.raises(UsageError, match=next(iter(controls))):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", controls=controls)
    assert not (folders / "out").exists()
