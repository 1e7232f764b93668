"""Samples as files, tars and tables: read with what belongs to them, also beside damage, and written for others to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import picture
from PIL import Image
from pyarrow import parquet
from tars import members, tar_of

from nst_adain.batch.shards import Sample, checked, read_files, read_parquet, read_tar, write_files, write_parquet, write_tar
from nst_adain.batch.stores import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_a_tars_samples_have_all_their_members(folder: Path, tmp_path: Path) -> None:
    samples = list(read_tar(tar_of(tmp_path / "a.tar", 3), folder, "a.tar"))
    assert [(sample.key, sample.name) for sample in samples] == [(f"d/{i:04d}", f"a.tar/d/{i:04d}.png") for i in range(3)]
    assert samples[2].rest == {"cls": b"2", "json": b'{"n": 2}'}
    assert samples[1].picture is not None
    with Image.open(samples[1].picture) as image:
        assert image.tobytes() == picture(24, 16, 1).tobytes()


@pytest.mark.parametrize("member", range(12))
def test_what_comes_after_a_damaged_member_is_read(folder: Path, tmp_path: Path, member: int) -> None:
    """Whichever it is, the loss is said."""
    import tarfile

    path = tar_of(tmp_path / "a.tar", 4)
    with tarfile.open(path) as tar:
        offset = tar.getmembers()[member].offset
    data = bytearray(path.read_bytes())
    data[offset : offset + 300] = b"\xff" * 300
    path.write_bytes(data)
    samples = list(read_tar(path, folder, "a.tar"))
    assert [sample.error for sample in samples if sample.error and "damaged" in sample.error] == [
        f"a.tar: the tar is damaged at byte {offset}"
    ]
    read = [sample.key for sample in samples if sample.picture]
    assert read == [f"d/{i:04d}" for i in range(4) if member != 3 * i]


def test_a_tar_that_is_cut_short_or_none_is_said(folder: Path, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", 3)
    path.write_bytes(path.read_bytes()[:4000])
    *read, last = read_tar(path, folder, "a.tar")
    assert read[0].picture
    assert "a.tar: the tar is damaged" in str(last.error)
    path.write_bytes(b"nothing" * 1000)
    (only,) = read_tar(path, folder, "a.tar")
    assert "a.tar: the tar is damaged" in str(only.error)
    path.write_bytes(b"")
    assert all(sample.error for sample in read_tar(path, folder, "a.tar"))


def test_a_sample_without_a_picture_is_said(folder: Path, tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [("a", Path(__file__), {"cls": 1})])
    (sample,) = read_tar(tmp_path / "a.tar", folder, "a.tar")
    assert sample.error == "a.tar/a: expected a picture among its members, found cls, py"


@pytest.mark.parametrize("names", [("../a", {}), ("/a", {}), ("a/../../b", {}), ("a", {"../x": b""}), ("a", {"b/c": b""})])
def test_names_that_lead_out_are_refused(names: tuple[str, dict[str, Any]]) -> None:
    assert "that stay in their folder" in str(checked(Sample(names[0], "x", Path("p"), names[1])).error)
    assert checked(Sample("a/b..c", "x", Path("p"), {"seg.png": b""})).error is None


@pytest.mark.filterwarnings("ignore")  # it leaves the tar open
def test_tars_are_read_by_webdataset_and_are_the_same_bytes_each_time(folder: Path, tmp_path: Path) -> None:
    import webdataset

    path = folder / "0.png"
    picture(24, 16).save(path)
    made = [("d/a", path, {"cls": 7, "json": {"n": 1}, "txt": "word"}), ("d/b", path, {"cls": b"8"})]
    for name in ("one.tar", "two.tar"):
        write_tar(tmp_path / name, made)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    read = list(webdataset.WebDataset(str(tmp_path / "one.tar"), shardshuffle=False).decode("pil"))
    assert [(sample["__key__"], sample["cls"]) for sample in read] == [("d/a", 7), ("d/b", 8)]
    assert (read[0]["json"], read[0]["txt"], read[0]["png"].size) == ({"n": 1}, "word", (24, 16))


def test_tables_keep_their_columns(folder: Path, tmp_path: Path) -> None:
    path = folder / "0.png"
    picture(24, 16).save(path)
    made: list[Any] = [("a", path, {"cls": 7, "caption": "cat"}), ("b/c", path, {"cls": 8})]
    write_parquet(tmp_path / "a.parquet", made)
    assert parquet.read_schema(tmp_path / "a.parquet").names == ["key", "image", "cls", "caption"]
    samples = list(read_parquet(tmp_path / "a.parquet", folder, "a.parquet"))
    assert [(sample.key, sample.rest) for sample in samples] == [
        ("a", {"cls": 7, "caption": "cat"}), ("b/c", {"cls": 8, "caption": None})
    ]  # fmt: skip
    assert samples[1].picture is not None
    assert samples[1].picture.read_bytes() == path.read_bytes()
    import pyarrow as pa

    stored = pa.table({"image": [{"bytes": path.read_bytes(), "path": "x.png"}, None], "label": [3, 4]})  # as data sets do
    parquet.write_table(stored, tmp_path / "b.parquet")
    first, second = read_parquet(tmp_path / "b.parquet", folder, "b.parquet")
    assert (first.key, first.rest) == ("b/000000", {"label": 3})
    assert second.error == "b.parquet/b/000001: expected bytes in the column image, found none"


def test_files_are_written_with_what_belongs_to_them(folder: Path, tmp_path: Path) -> None:
    path = folder / "0.png"
    picture(24, 16).save(path)
    store = Store(str(tmp_path / "out"))
    write_files(store, [("d/a", path, {"cls": 7, "json": {"n": 1}})], folder)
    assert list(store.names()) == ["d/a.cls", "d/a.json", "d/a.png"]
    assert json.loads(store.read("d/a.json") or b"") == {"n": 1}
    samples = read_files(store, [("d/a.png", "d/a"), ("none.png", "none")], folder)
    assert samples[0].picture is not None
    assert samples[0].picture.read_bytes() == path.read_bytes()
    assert samples[1].error == "none.png: expected a picture, found no such file"
    assert set(members(tar_of(tmp_path / "b.tar", 1))) == {"d/0000.png", "d/0000.cls", "d/0000.json"}
