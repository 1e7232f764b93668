"""Shards, made one by one, without Ray: their results, their manifests, and what is left of one that could not be made."""

from __future__ import annotations

import errno
import hashlib
import tarfile
from pathlib import Path
from typing import Any

import pytest
from conftest import picture, stray
from pyarrow import parquet
from tars import members, tar_of

from nst_adain.batch import making
from nst_adain.batch.listing import list_names
from nst_adain.batch.making import Making
from nst_adain.batch.shards import Shard
from nst_adain.batch.stores import Store
from nst_adain.batch.units import Outcome, Work, make_shard
from nst_adain.stylizer import Stylizer

SETTINGS = {"alpha": 1.0, "boldness": 0.4, "model": {"sha256": "0"}}


def work_of(slim: Stylizer, source: Path, out: Path, format: str, seed: int | None = 0, styles: int = 2) -> Work:
    encoded = {Path(str(i)): slim.encode_style(picture(32, 32, 40 + i)) for i in range(styles)}
    made = Making(encoded, {"max_pixels": 10**6}, None, 95, keep_metadata=False, hashed=True)
    return Work(Store(str(source)), Store(str(out)), format, made, list(encoded), seed, ".png", SETTINGS)


def test_tars_keep_keys_labels_and_other_members(slim: Stylizer, tmp_path: Path) -> None:
    work = work_of(slim, tmp_path, tmp_path / "out", "webdataset")
    shard = Shard("a", tar_of(tmp_path / "a.tar", 4).name)
    assert make_shard(work, slim, shard) == Outcome("a", 4, 0)
    before, after = members(tmp_path / "a.tar"), members(tmp_path / "out" / "a.tar")
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == {f"d/{i:04d}.png" for i in range(4)}
    rows = parquet.read_table(tmp_path / "out" / "manifest" / "a.parquet").to_pylist()
    for i, row in enumerate(rows):
        assert (row["key"], row["input"], row["output"]) == (f"d/{i:04d}", f"a.tar/d/{i:04d}.png", f"a.tar/d/{i:04d}.png")
        assert row["sha256"] == hashlib.sha256(after[f"d/{i:04d}.png"]).hexdigest()
    assert make_shard(work, slim, shard) == Outcome("a", 0, 0)  # it is in place
    first = (tmp_path / "out" / "a.tar").read_bytes()
    assert make_shard(work, slim, shard, again=True).done == 4
    assert (tmp_path / "out" / "a.tar").read_bytes() == first


def test_each_style_of_a_sample_is_a_sample(slim: Stylizer, tmp_path: Path) -> None:
    work = work_of(slim, tmp_path, tmp_path / "out", "parquet", seed=None)
    assert make_shard(work, slim, Shard("a", tar_of(tmp_path / "a.tar", 2).name)).done == 4
    table = parquet.read_table(tmp_path / "out" / "a.parquet")
    assert table.column("key").to_pylist() == [f"d/000{i}__{style}" for i in range(2) for style in range(2)]
    assert table.column("cls").to_pylist() == [b"0", b"0", b"1", b"1"]
    back = work_of(slim, tmp_path / "out", tmp_path / "back", "files")
    assert make_shard(back, slim, Shard("a", "a.parquet")).done == 4
    (label,) = (tmp_path / "back" / "a" / "d").glob("0001__1__?.cls")
    assert label.read_bytes() == b"1"


@pytest.mark.parametrize("format", ["files", "webdataset"])
def test_a_result_never_takes_the_place_of_another(slim: Stylizer, tmp_path: Path, format: str) -> None:
    """Of a sample of the same key, in another shard or in one; nor of what belongs to its sample."""
    work = work_of(slim, tmp_path, tmp_path / "out", format)
    for name, seeds in (("a", (1, 2)), ("b", (3,))):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as tar:
            for seed in seeds:
                picture(24, 16, seed).save(tmp_path / "k.png")
                tar.add(tmp_path / "k.png", "k.png")
        outcome = make_shard(work, slim, Shard(name, f"{name}.tar"))
        assert (outcome.done, outcome.failed) == (1, len(seeds) - 1)
        first, *others = parquet.read_table(tmp_path / "out" / "manifest" / f"{name}.parquet").to_pylist()
        there = work.out.read(first["output"]) if format == "files" else members(tmp_path / "out" / f"{name}.tar")["k.png"]
        assert hashlib.sha256(there or b"").hexdigest() == first["sha256"]
        for other in others:
            assert other["output"] is other["sha256"] is None
            assert other["error"].startswith("a.tar/k.png: expected a name of its own for its result, found another of")
    with tarfile.open(tmp_path / "c.tar", "w") as tar:
        for name in ("k.jpg", "k.png"):
            tar.add(tmp_path / "k.png", name)
    error = "c.tar/k.jpg: expected another format for its result, found png among what belongs to it"
    assert make_shard(work, slim, Shard("c", "c.tar")) == Outcome("c", 0, 1, error)


def test_a_missing_tar_is_looked_for_again_and_a_damaged_table_is_a_row(slim: Stylizer, tmp_path: Path) -> None:
    work = work_of(slim, tmp_path, tmp_path / "out", "webdataset")
    (tmp_path / "folder.tar").mkdir()
    for name in ("none.tar", "folder.tar"):
        assert make_shard(work, slim, Shard("a", name)) == Outcome("a", 0, 1, f"{name}: expected a file, found none")
    assert not (tmp_path / "out").exists()
    (tmp_path / "p.parquet").write_text("no table")
    outcome = make_shard(work, slim, Shard("p", "p.parquet"))
    assert (outcome.done, outcome.failed) == (0, 1)
    assert outcome.first.startswith("p.parquet: the table is damaged or cut short (")
    assert parquet.read_table(tmp_path / "out" / "manifest" / "p.parquet").column("error").to_pylist() == [outcome.first]


def test_a_damaged_member_is_a_row(slim: Stylizer, tmp_path: Path) -> None:
    data = bytearray(tar_of(tmp_path / "a.tar", 3).read_bytes())
    data[:300] = b"\xff" * 300  # a header
    start = data.index(b"\x89PNG", data.index(b"d/0002.png"))
    data[start + 20 : start + 60] = bytes(40)  # a picture
    (tmp_path / "a.tar").write_bytes(data)
    outcome = make_shard(work_of(slim, tmp_path, tmp_path / "out", "webdataset"), slim, Shard("a", "a.tar"))
    assert (outcome.done, outcome.failed) == (1, 3)
    assert outcome.first == "a.tar: the tar is damaged at byte 0"
    errors = [row["error"] for row in parquet.read_table(tmp_path / "out" / "manifest" / "a.parquet").to_pylist()]
    assert any(error and error.startswith("a.tar/d/0002.png: ") for error in errors)
    assert "d/0001.png" in members(tmp_path / "out" / "a.tar")


def test_files_are_made_as_a_batch_makes_them(slim: Stylizer, folders: Path) -> None:
    work = work_of(slim, folders / "photos", folders / "out", "files", seed=None)
    (entries,) = list_names([b"a.png", b"bad.png", b"deep/b.png", b"none.png"]).packed(9)
    (folders / "out" / "deep").mkdir(parents=True)
    left = stray(folders / "out" / "deep")
    outcome = make_shard(work, slim, Shard("000000", "", entries))
    assert not left.exists()
    assert (outcome.done, outcome.failed) == (4, 4)
    assert outcome.first == "bad.png: expected a picture, found a file of no known image format, or a damaged one"
    assert [name for name in work.out.names() if not name.startswith("manifest")] == [
        f"{key}__{style}.png" for key in ("a", "deep/b") for style in range(2)
    ]


@pytest.mark.parametrize("place", ["where it is made", "the output", "its manifest"])
def test_a_full_disk_fails_the_shard_and_the_next_call_makes_it(
    slim: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Nothing says that it is done, and no picture is blamed."""
    work = work_of(slim, tmp_path, tmp_path / "out", "webdataset")
    shard = Shard("a", tar_of(tmp_path / "a.tar", 2).name)

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    put = Store.put
    with monkeypatch.context() as patch:
        if place == "where it is made":
            patch.setattr(making, "save_image", full)
        else:
            name = "a.tar" if place == "the output" else "manifest/a.parquet"
            patch.setattr(Store, "put", lambda store, path, to: full() if to == name else put(store, path, to))
        with pytest.raises(OSError, match="No space left on device"):
            make_shard(work, slim, shard)
    assert not work.out.exists("manifest/a.parquet")
    assert make_shard(work, slim, shard).done == 2
