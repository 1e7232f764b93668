"""What a batch writes down of its settings, and which later calls it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import picture

from nst_adain.batch import runs, workers
from nst_adain.batch.folder import stylize_folder
from nst_adain.errors import UsageError
from nst_adain.models.pretrained import load_model
from nst_adain.stylizer import Stylizer

pytestmark = pytest.mark.usefixtures("several_cores")


def outputs(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*.png"))


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


def test_settings_with_which_nothing_was_made_are_forgotten(slim: Stylizer, folders: Path) -> None:
    with pytest.raises(ValueError, match="alpha: expected a number from 0"):
        stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", controls={"alpha": -1.0})
    assert not outputs(folders / "out")
    assert stylize_folder(slim, folders / "photos", folders / "styles", folders / "out").done == 4


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
    encode = runs.encode_styles

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(runs, "encode_styles", encode)
        with pytest.raises(UsageError, match=r"out: holds pictures made with alpha 1\.0, not 0\.5"):
            stylize_folder(slim, photos, styles, out, controls={"alpha": 0.5})
        return encode(*arguments)

    monkeypatch.setattr(runs, "encode_styles", meanwhile)
    assert stylize_folder(slim, photos, styles, out).done > 0
    assert json.loads((out / "batch.json").read_text())["alpha"] == 1.0


def test_settings_outlast_a_call_that_began_first_and_made_nothing(
    slim: Stylizer, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, styles, out = folders / "photos", folders / "styles", folders / "out"
    encode, make = runs.encode_styles, workers.make

    def interrupted(*arguments: Any) -> Any:
        monkeypatch.setattr(runs, "encode_styles", encode)
        assert stylize_folder(slim, photos, styles, out).done > 0
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "encode_styles", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stylize_folder(slim, photos, styles, out)
    assert "photographs" in json.loads((out / "batch.json").read_text())

    def meanwhile(*arguments: Any) -> None:
        (out / "batch.json").unlink()  # as the other does before anything is made
        make(*arguments)

    monkeypatch.setattr(workers, "make", meanwhile)
    assert stylize_folder(slim, photos, styles, out, overwrite=True).done > 0
    assert "photographs" in json.loads((out / "batch.json").read_text())
