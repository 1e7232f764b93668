"""One photograph's results, and the rows that tell of them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from conftest import picture
from PIL import Image

from nst_adain.batch.cores import Cores
from nst_adain.batch.making import Making, make, sha256_of
from nst_adain.batch.pairing import Job
from nst_adain.batch.rows import Row
from nst_adain.stylizer import Stylizer


def _job(folder: Path, photo: str = "photo.png") -> tuple[Job, dict[Path, Path]]:
    outputs = {Path(name): folder / "out" / f"{name}.png" for name in "xy"}
    return Job(folder / photo, "photo", list(outputs.items())), outputs


def _making(slim: Stylizer) -> Making:
    styles = {Path(name): slim.encode_style(picture(seed=seed)) for name, seed in (("x", 2), ("y", 3))}
    return Making(styles, {"max_pixels": 10**6}, None, 95, False, hashed=True)


def test_each_result_has_its_row(slim: Stylizer, photo: Path, tmp_path: Path) -> None:
    job, outputs = _job(tmp_path)
    rows = list(_making(slim).rows(slim, job, Cores(slim.device)))
    assert [(row.style, row.output) for row in rows] == list(outputs.items())
    for row in rows:
        assert row.sha256 == sha256_of(row.output)
        assert row.seconds
        assert row.error is row.wrong is None
    with Image.open(tmp_path / "out" / "y.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(slim(photo, picture(seed=3))))


def test_errors_name_the_file_that_is_wrong(slim: Stylizer, photo: Path, tmp_path: Path) -> None:
    job, _ = _job(tmp_path, "none.png")
    rows = list(_making(slim).rows(slim, job, Cores(slim.device)))
    assert {row.wrong for row in rows} == {tmp_path / "none.png"}
    job, outputs = _job(tmp_path)
    outputs[Path("x")].mkdir(parents=True)
    first, second = _making(slim).rows(slim, job, Cores(slim.device))
    assert (first.wrong, second.error) == (outputs[Path("x")], None)


def test_nothing_is_begun_once_it_is_stopped(slim: Stylizer, photo: Path, tmp_path: Path) -> None:
    stopped, rows = threading.Event(), list[Row]()

    def finish(row: Row) -> None:
        rows.append(row)
        stopped.set()

    make(slim, _making(slim), [_job(tmp_path)[0]] * 100, finish, stopped)
    assert len(rows) < 20
