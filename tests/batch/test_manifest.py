"""The Parquet file that records every result of a batch."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from conftest import picture
from pyarrow import parquet

from nst_adain.batch.folder import stylize_folder
from nst_adain.cli.main import main
from nst_adain.controls import BOLDNESS
from nst_adain.stylizer import Stylizer


def test_every_result_has_a_row(slim: Stylizer, folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, path = folders / "out", folders / "made.parquet"
    command = ["batch", str(folders / "photos"), "--styles", str(folders / "styles"), "-o", str(out), "--model", "slim",
               "--precision", "float32", "--device", "cpu", "--alpha", "0.5", "--manifest", str(path)]  # fmt: skip
    assert main(command) == 1
    table = parquet.read_table(path)
    rows = table.to_pylist()
    assert [(row["key"], row["input"], row["style"]) for row in rows] == [
        (key, f"{key}.png", style) for key in ("a", "bad", "deep/b") for style in "xy"
    ]
    for row in rows:
        expected = {"weights": [1.0], "alpha": 0.5, "boldness": BOLDNESS, "seed": None, "model": slim.digest}
        assert {name: row[name] for name in expected} == expected
        if row["key"] == "bad":
            assert "no known image format" in row["error"]
            assert row["output"] is row["sha256"] is row["seconds"] is None
        else:
            assert row["error"] is None
            assert row["output"] == f"{row['key']}__{row['style']}.png"
            assert row["sha256"] == hashlib.sha256((out / row["output"]).read_bytes()).hexdigest()
            assert 0 < row["seconds"] < 60
    assert json.loads(table.schema.metadata[b"nst_adain"])["alpha"] == 0.5
    assert main(command) == 1  # all are there
    again = parquet.read_table(path).to_pylist()
    assert [row["seconds"] for row in again] == [None] * 6
    assert [{**row, "seconds": None} for row in rows] == again


def test_a_draw_and_names_that_are_no_text(slim: Stylizer, folders: Path) -> None:
    if sys.platform == "linux":
        (folders / "photos" / "a.png").rename(folders / "photos" / os.fsdecode(b"caf\xe9.png"))
    (folders / "styles" / "y.png").write_text("no picture")
    for i in range(6):
        picture(20, 20, i).save(folders / "photos" / f"more{i}.png")
    path = folders / "made.parquet"
    stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", pairing="random", seed=2, manifest=path)
    rows = {row["key"]: row for row in parquet.read_table(path).to_pylist()}
    assert len(rows) == 9
    assert {row["seed"] for row in rows.values()} == {2}
    assert {row["error"] for row in rows.values() if row["style"] == "y"} <= {
        "the style drawn for it, y, cannot be read", rows["bad"]["error"]
    }  # fmt: skip
    if sys.platform == "linux":
        assert rows["caf\\xe9"]["input"] == "caf\\xe9.png"


def test_what_would_fail_at_the_end_fails_first(slim: Stylizer, folders: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.*made\.parquet: the folder .* does not exist"):
        stylize_folder(
            slim, folders / "photos", folders / "styles", folders / "out", manifest=folders / "none" / "made.parquet"
        )
    assert not (folders / "out").exists()
