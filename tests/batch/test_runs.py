"""One call over an output folder: however few results it looks at together."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from conftest import picture, stray
from pyarrow import parquet

from nst_adain.batch import runs
from nst_adain.batch.folder import stylize_folder
from nst_adain.errors import UsageError
from nst_adain.stylizer import Stylizer


def test_it_works_in_slices(slim: Stylizer, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of millions begins before the last of them is looked for."""
    monkeypatch.setattr(runs, "_AT_ONCE", 2)
    photos, styles, out = folders / "photos", folders / "styles", folders / "out"
    (out / "deep").mkdir(parents=True)
    left = stray(out / "deep")
    report = stylize_folder(slim, photos, styles, out, manifest=folders / "made.parquet")
    assert (report.done, len(report.failed)) == (4, 1)
    assert not left.exists()
    assert parquet.read_table(folders / "made.parquet").num_rows == 6
    (out / "deep" / "b__x.png").unlink()
    report = stylize_folder(slim, photos, styles, out)
    assert (report.done, report.skipped, len(report.failed)) == (1, 3, 1)
    (folders / "other" / "deep").mkdir(parents=True)
    for name in ("0.png", "deep/b.png"):
        picture(20, 20).save(folders / "other" / name)
    before = (out / "deep" / "b__x.png").read_bytes()
    with pytest.raises(UsageError, match=r"out: holds b__x\.png of the photographs in .*photos, not .*other"):
        stylize_folder(slim, folders / "other", styles, out)
    assert (out / "deep" / "b__x.png").read_bytes() == before


def test_what_stands_in_the_way_of_a_result_fails_it_alone(
    slim: Stylizer, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = folders / "out"
    (out / "a__x.png").mkdir(parents=True)
    (out / "deep").write_text("no folder")

    def made() -> dict[str, str]:
        report = stylize_folder(slim, folders / "photos", folders / "styles", out, manifest=folders / "made.parquet")
        assert parquet.read_table(folders / "made.parquet").num_rows == 6
        return {path.name: error for path, error in report.failed}

    first, second = made(), "deep: expected a folder, found a file of this name or of one above it"
    assert first["b__x.png"] == f"{out}/{second}"
    assert first.keys() == {"a__x.png", "b__x.png", "b__y.png", "bad.png"}

    def unreadable(path: Path) -> str:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(runs, "sha256_of", unreadable)
    assert "Input/output error" in made()["a__y.png"]


def test_an_empty_shard_makes_nothing(slim: Stylizer, folders: Path) -> None:
    photos, styles, out = folders / "photos", folders / "styles", folders / "out"
    done = [stylize_folder(slim, photos, styles, out, shard=(k, 20)).done for k in range(1, 21)]
    assert sum(done) == 4
    assert (out / "batch.json").is_file()
