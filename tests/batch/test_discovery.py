"""The input of a bulk job: folders, lists, tars and tables, cut into shards."""

from __future__ import annotations

from pathlib import Path

import pytest

from nst_adain.batch.discovery import expand, find_shards
from nst_adain.batch.listing import unpacked


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("{08..10}.tar", ["08.tar", "09.tar", "10.tar"]),
        ("{a,b}-{0..1}.tar", ["a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar"]),
        ("{x..y}.tar", ["x..y.tar"]),
    ],
)
def test_braces_are_expanded(pattern: str, names: list[str]) -> None:
    assert expand(pattern) == names


def test_a_folder_is_cut_into_shards_of_a_size(folders: Path) -> None:
    store, shards, listing = find_shards(str(folders / "photos"), None, str(folders / "out"), folders / "styles", 2)
    assert store.local == folders / "photos"
    assert [shard.name for shard in shards] == ["000000", "000001"]
    found = [entry for shard in shards for entry in unpacked(shard.entries)]
    assert found == [("a.png", "a"), ("bad.png", "bad"), ("deep/b.png", "deep/b")]
    assert listing is not None
    (folders / "list.txt").write_text("deep/b.png\n")
    _, (shard,), _ = find_shards(str(folders / "photos"), folders / "list.txt", "out", folders / "styles", 2)
    assert unpacked(shard.entries) == [("deep/b.png", "deep/b")]


def test_tars_are_shards(tmp_path: Path) -> None:
    for name in ("0.tar", "1.tar", "x.txt"):
        (tmp_path / name).touch()
    for pattern in ("*.tar", "{0..1}.tar"):
        store, shards, listing = find_shards(f"{tmp_path}/{pattern}", None, "out", Path("styles"), 2)
        assert [(shard.name, shard.source) for shard in shards] == [("0", "0.tar"), ("1", "1.tar")]
        assert (store.local, listing) == (tmp_path, None)
    with pytest.raises(ValueError, match=r"none-\*\.tar: expected files of different names, found 0"):
        find_shards(f"{tmp_path}/none-*.tar", None, "out", Path("styles"), 2)


def test_an_empty_input_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nowhere: expected a folder"):
        find_shards(str(tmp_path / "nowhere"), None, "out", Path("styles"), 2)
