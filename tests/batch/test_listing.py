"""The names of a batch's photographs: from a file, cut into shards, and those of which two would have one result."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import picture

from nst_adain.batch.folder import stylize_folder
from nst_adain.batch.listing import list_names
from nst_adain.cli.main import main
from nst_adain.errors import UsageError
from nst_adain.stylizer import Stylizer


def results(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.png")}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve in a tree, of which two have one name but for the suffix; two styles beside it."""
    for i in range(10):
        (tmp_path / "photos" / f"{i % 3}").mkdir(parents=True, exist_ok=True)
        picture(20, 16, i).save(tmp_path / "photos" / f"{i % 3}" / f"{i}.png")
    for suffix in ("png", "jpg"):
        picture(20, 16, 20).save(tmp_path / "photos" / f"same.{suffix}")
    (tmp_path / "styles").mkdir()
    for i in range(2):
        picture(32, 32, 30 + i).save(tmp_path / "styles" / f"{i}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("pairing", ["all", "random"])
def test_all_shards_together_are_what_one_call_makes(slim: Stylizer, photos: Path, tmp_path: Path, pairing: Any) -> None:
    one = stylize_folder(slim, photos, tmp_path / "styles", tmp_path / "one", pairing=pairing, seed=3)
    done = [
        stylize_folder(slim, photos, tmp_path / "styles", tmp_path / "parts", pairing=pairing, seed=3, shard=(k, 5)).done
        for k in range(1, 6)
    ]
    assert sum(done) == one.done == (12 if pairing == "random" else 24)
    assert len([count for count in done if count]) > 1
    assert results(tmp_path / "parts") == results(tmp_path / "one")
    assert (tmp_path / "parts" / "batch.json").read_bytes() == (tmp_path / "one" / "batch.json").read_bytes()


@pytest.mark.slow
def test_shards_may_run_at_the_same_time(photos: Path, tmp_path: Path) -> None:
    (photos / "bad.png").write_text("no picture")
    styles, out = tmp_path / "styles", tmp_path / "out"
    command = [sys.executable, "-m", "nst_adain", "batch", photos, "--styles", styles, "-o", out, "--model", "slim",
               "--precision", "float32", "--device", "cpu"]  # fmt: skip
    calls = [subprocess.Popen([*command, "--shard", f"{k}/2"], stdout=subprocess.PIPE, text=True) for k in (1, 2)]
    printed = [call.communicate(timeout=300)[0] for call in calls]
    assert sorted(call.returncode for call in calls) == [0, 1]
    assert sum(int(line.split(": ")[-1].split()[0]) for line in printed) == 24
    stylize_folder(Stylizer.from_pretrained("slim", device="cpu", precision="float32"), photos, styles, tmp_path / "one")
    assert results(out) == results(tmp_path / "one")
    (failures,) = out.glob("failures*")
    assert failures.name in ("failures-1-of-2.csv", "failures-2-of-2.csv")
    assert "bad.png" in failures.read_text()


def test_a_list_names_the_photographs(slim: Stylizer, photos: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfsame.jpg\r\n\n./1/4.png\nnone.png\nsame.png")
    command = ["batch", str(photos), "--styles", str(tmp_path / "styles" / "0.png"), "-o", str(tmp_path / "out"),
               "--model", "slim", "--list", str(tmp_path / "list.txt")]  # fmt: skip
    assert main(command) == 1
    assert "none.png: expected a picture, found no such file" in capsys.readouterr().err
    assert sorted(results(tmp_path / "out")) == ["1/4__0.png", "same.jpg__0.png", "same.png__0.png"]
    for text, error in (("a.png\n/etc/x.png", "line 2: expected a name below the folder of photographs, found /etc/x.png"),
                        ("a/../../b.png", "line 1: expected a name below"), ("1/.//../../b", "line 1: expected a name below"),
                        ("", "expected names, one a line, found none"), ("\n\r\n", "expected names, one a line, found none"),
                        ("\nPNG\0", "list.txt: line 2: expected a name below the folder of photographs, found PNG"),
                        ("a/b.png\n\na//b.png", "list.txt: line 3: expected each name once, found a/b.png again"),
                        ("./a/b.png\na/./b.png", "line 2: expected each name once, found a/b.png again")):  # fmt: skip
        (tmp_path / "list.txt").write_text(text)
        with pytest.raises(SystemExit) as stopped:
            main(command)
        assert stopped.value.code == 2
        assert error in capsys.readouterr().err
    with pytest.raises(NotADirectoryError, match="nowhere: expected a folder"):
        stylize_folder(slim, tmp_path / "nowhere", tmp_path / "styles", tmp_path / "out", names=tmp_path / "list.txt")
    for wrong in ("0/2", "3/2", "1", "a/b"):
        with pytest.raises(SystemExit):
            main([*command, "--shard", wrong])
        assert "expected K/N with K from 1 to N, such as 3/64" in capsys.readouterr().err
    with pytest.raises(UsageError, match="shard: expected a part from 1 to 2, got 3"):
        stylize_folder(slim, photos, tmp_path / "styles", tmp_path / "other", shard=(3, 2))


def test_keys_are_names_without_suffixes_unless_two_are_alike() -> None:
    names = [b"a.b/c.d.jpg", b"a.b/c.d.png", b"x.jpg", b"y", b".z/w.tar.gz", os.fsencode("\udce9.png")]
    listing = list_names(names)
    keys = ["a.b/c.d.jpg", "a.b/c.d.png", "x", "y", ".z/w.tar", "\udce9"]
    assert list(listing.slices(4)) == [[*zip(map(os.fsdecode, names), keys)][:4], [*zip(map(os.fsdecode, names), keys)][4:]]
    parts = [entry for k in (1, 2, 3) for part in listing.shard(k, 3).slices(9) for entry in part]
    assert sorted(parts) == sorted(zip(map(os.fsdecode, names), keys))


def test_only_pairs_that_can_have_one_result_are_looked_at() -> None:
    listing = list_names([b"a.jpg", b"a.png", b"a.jpg.png", b"b.png", b"b__x.png", b"c.png"])
    assert [key for _, key in listing.suspects(["x", "y"])] == ["a.jpg", "a.jpg"]
    assert [key for _, key in listing.suspects(["y", "x__y", "x"])] == ["a.jpg", "a.jpg", "b", "b__x"]


def test_a_name_with_a_suffix_may_be_anothers_without(slim: Stylizer, photos: Path, tmp_path: Path) -> None:
    picture(20, 16).save(photos / "same.jpg.png")
    with pytest.raises(ValueError, match=r"same\.jpg__0\.png: would be the result of .*same\.jpg in .*same\.jpg\.png"):
        stylize_folder(slim, photos, tmp_path / "styles", tmp_path / "out", shard=(1, 2))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in kB")
def test_ten_million_names_take_less_than_2_gib_and_a_minute(photos: Path, tmp_path: Path) -> None:
    """Until the first results, with the model; then the call is killed."""
    with (tmp_path / "list.txt").open("w") as file:
        for i in range(10_000_000):
            file.write(f"n{i % 1000:08d}/n{i % 1000:08d}_{i}.JPEG\n")
        file.write("same.png\n")
    code = f"""
import os, threading, time, torch
from nst_adain.batch import folder, making
from nst_adain.stylizer import Stylizer
once = threading.Lock()
def first(*arguments):
    import resource
    once.acquire()
    print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
    os._exit(0)
making.Making._encode = first
began = time.monotonic()
folder.stylize_folder(Stylizer.from_pretrained("slim"), {str(photos)!r}, {str(tmp_path / "styles")!r},
                      {str(tmp_path / "out")!r}, pairing="random", names={str(tmp_path / "list.txt")!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    seconds, kilobytes = map(float, done.stdout.split())
    print(f"{seconds:.0f} s, {kilobytes / 2**20:.2f} GiB")
    assert seconds < 60
    assert kilobytes < 2 * 2**20
