"""`nst-adain bulk`: what it makes on one machine, and that nothing that ends, stops or comes twice changes that."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from conftest import picture
from pyarrow import parquet
from tars import tar_of

from nst_adain.batch import bulk
from nst_adain.batch.stores import Store
from nst_adain.cli.main import main

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's

MODEL = ["--model", "slim", "--precision", "float32", "--device", "cpu"]


def results(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.png")}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve, one of them damaged; three styles beside them."""
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for i in range(11):
        picture(20, 16, i).save(tmp_path / "photos" / f"{'deep/' if i % 2 else ''}{i}.png")
    (tmp_path / "photos" / "bad.png").write_text("no picture")
    (tmp_path / "styles").mkdir()
    for i in range(3):
        picture(32, 32, 30 + i).save(tmp_path / "styles" / f"{i}.png")
    return tmp_path / "photos"


def test_it_makes_what_a_batch_makes(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Ray, whose workers start for half a minute; `test_many` has it do the same."""

    def call(items: Any, load: Any, **_: Any) -> Any:
        return map(pickle.loads(pickle.dumps(load))(torch.get_num_threads()), items)

    monkeypatch.setattr(bulk, "call_on_ray", call)
    styles, one, out = tmp_path / "styles", tmp_path / "one", tmp_path / "out"
    drawn = ["--styles", str(styles), "--random", "--seed", "5", *MODEL]
    assert main(["batch", str(photos), *drawn, "-o", str(one)]) == 1
    command = ["bulk", str(photos), *drawn, "-o", str(out), "--shard-size", "5", "--workers", "2"]
    assert main(command) == 1
    said = capsys.readouterr()
    assert f"{out}: 11 made, 1 failed, 0 shards there already" in said.out
    assert "1 failed, listed in" in said.err
    assert "bad.png: expected a picture" in said.err
    assert results(out) == results(one)
    rows = parquet.read_table(out / "manifest").to_pylist()
    assert {row["key"]: row["sha256"] for row in rows if row["error"] is None} == {
        name.rsplit("__")[0]: hashlib.sha256(data).hexdigest() for name, data in results(one).items()
    }
    (out / "manifest" / "000001.parquet").unlink()
    assert main(command) in (0, 1)
    assert "2 shards there already" in capsys.readouterr().out
    assert main(command) == 0  # nothing is left to make
    assert "0 made, 0 failed, 3 shards there already" in capsys.readouterr().out
    for more, error in ((["--seed", "6"], "made with seed 5, not 6"), (["--shard-size", "6"], "made with another listing"),
                        (["--to", "webdataset"], "made with format files, not webdataset")):  # fmt: skip
        with pytest.raises(SystemExit) as stopped:
            main([*command, *more])
        assert stopped.value.code == 2
        assert error in capsys.readouterr().err
    assert results(out) == results(one)


def test_wrong_options_are_said_before_ray_starts(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bulk", str(photos), "--styles", str(tmp_path / "styles"), "-o", str(tmp_path / "out"), *MODEL]
    for more in (["--seed", "1"], ["--preserve-color", "coral"], ["--to", "zip"], ["--workers", "0"]):
        with pytest.raises(SystemExit) as stopped:
            main([*command, *more])
        assert stopped.value.code == 2
    capsys.readouterr()
    assert main([*command[:1], str(tmp_path / "none-*.tar"), *command[2:]]) == 1
    assert "expected files of different names, found 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_missing_tar_fails_alone_and_a_call_that_makes_nothing_forgets_its_settings(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "call_on_ray", lambda items, load, **options: map(load(1), items))
    tar_of(tmp_path / "1.tar", 2)
    out = tmp_path / "out"

    def ended(tars: str, seed: str) -> tuple[int, str]:
        command = ["bulk", f"{tmp_path}/{tars}.tar", "--styles", str(tmp_path / "styles"), "-o", str(out), *MODEL]
        return main([*command, "--random", "--seed", seed]), "".join(capsys.readouterr())

    code, said = ended("{0..0}", "1")
    assert (code, "the first: 0.tar: expected a file, found none" in said) == (1, True)
    assert not (out / "batch.json").exists()
    for done in (f"{out}: 2 made, 1 failed, 0 shards there already", f"{out}: 0 made, 1 failed, 1 shards there already"):
        code, said = ended("{0..1}", "2")
        assert (code, done in said) == (1, True)
    assert ended("{1..1}", "2")[0] == 0
    assert (out / "batch.json").exists()


# Below, each fault is one of a command that runs as users run it.


def _bulk(tmp_path: Path, source: str, out: str, *more: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nst_adain", "bulk", source, "--styles", str(tmp_path / "styles"), "-o", out, *MODEL,
               "--workers", "2", "--random", *more]  # fmt: skip
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, errors = process.communicate(timeout=300)
    return process.returncode, out + errors


@pytest.fixture
def tars(photos: Path, tmp_path: Path) -> Path:
    (tmp_path / "tars").mkdir()
    for i in range(8):
        tar_of(tmp_path / "tars" / f"{i:02d}.tar", 6, 6 * i)
    return tmp_path / "tars"


@pytest.fixture
def expected(tars: Path, tmp_path: Path) -> dict[str, bytes]:
    code, said = _ended(_bulk(tmp_path, f"{tars}/*.tar", str(tmp_path / "expected"), "--to", "webdataset", "--size", "300"))
    assert (code, "48 made, 0 failed" in said) == (0, True), said
    return _tars(tmp_path / "expected")


def _tars(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def _until(done: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not done() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    assert done(), _ended(process)


@pytest.mark.slow
def test_workers_that_are_killed_change_nothing(tars: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = _bulk(tmp_path, f"{tars}/*.tar", str(out), "--to", "webdataset", "--size", "300")
    for count in (1, 4):
        _until(lambda count=count: len(_tars(out)) >= count, process)
        started = psutil.Process(process.pid).children(recursive=True)
        next(child for child in started if "MapWorker" in " ".join(child.cmdline())).kill()
    code, said = _ended(process)
    assert code == 0, said
    assert _tars(out) == expected
    assert parquet.read_table(out / "manifest").num_rows == 48


@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on_when_it_is_called_again(
    tars: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = _bulk(tmp_path, f"{tars}/*.tar", str(out), "--to", "webdataset", "--size", "300")
    _until(lambda: len(list(out.glob("manifest/*.parquet"))) >= 2, process)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    psutil.wait_procs(children, timeout=30)
    there = len(list(out.glob("manifest/*.parquet")))
    code, said = _ended(_bulk(tmp_path, f"{tars}/*.tar", str(out), "--to", "webdataset", "--size", "300"))
    assert code == 0, said
    assert f"{6 * (8 - there)} made, 0 failed, {there} shards there already" in said
    assert _tars(out) == expected
    assert not list(out.rglob("*.partial"))


@pytest.mark.slow
def test_two_drivers_over_one_output_make_what_one_makes(tars: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "out"
    drivers = [_bulk(tmp_path, f"{tars}/*.tar", str(out), "--to", "webdataset", "--size", "300") for _ in range(2)]
    for driver in drivers:
        code, said = _ended(driver)
        assert code == 0, said
    assert _tars(out) == expected
    assert parquet.read_table(out / "manifest").num_rows == 48


@pytest.mark.slow
def test_a_shard_with_a_damaged_member_does_not_stop_the_rest(tars: Path, expected: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray((tars / "03.tar").read_bytes())
    data[:300] = b"\xff" * 300
    (tars / "03.tar").write_bytes(data)
    out = tmp_path / "out"
    code, said = _ended(_bulk(tmp_path, f"{tars}/{{00..07}}.tar", str(out), "--to", "webdataset", "--size", "300"))
    assert code == 1
    assert "47 made, 2 failed" in said
    assert "2 failed, listed in" in said
    assert {name: data for name, data in _tars(out).items() if name != "03.tar"} == {
        name: data for name, data in expected.items() if name != "03.tar"
    }


@pytest.mark.slow
def test_a_full_disk_ends_the_job_in_one_line(tars: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if sys.platform != "linux" or subprocess.call(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)]):
        pytest.skip("needs to mount a small disk")
    try:
        code, said = _ended(_bulk(tmp_path, f"{tars}/*.tar", str(small), "--to", "webdataset", "--size", "300"))
        assert code == 1
        assert "No space left on device" in said.splitlines()[-1]
        assert not list(small.rglob("*.partial"))
        assert not list(small.rglob("*.tar"))
    finally:
        subprocess.call(["umount", str(small)])


@pytest.fixture
def bucket() -> Iterator[tuple[subprocess.Popen[bytes], list[str], dict[str, str]]]:
    """A real S3 server in a process of its own, what starts it, and the environment that leads to it."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()  # it would go on with another test's server
        deadline = time.monotonic() + 60
        while True:
            try:
                s3fs.S3FileSystem(skip_instance_cache=True).mkdir("bucket")
                break
            except Exception:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        yield process, command, environment
        process.kill()
        process.wait()


@pytest.mark.slow
def test_from_s3_to_s3(tars: Path, expected: dict[str, bytes], tmp_path: Path, bucket: Any) -> None:
    environment = bucket[2]
    for path in tars.iterdir():
        Store("s3://bucket/in").put(path, path.name)
    code, said = _ended(
        _bulk(tmp_path, "s3://bucket/in/{00..07}.tar", "s3://bucket/out", "--to", "webdataset", "--size", "300", **environment)
    )
    assert code == 0, said
    assert {name: Store("s3://bucket/out").read(name) for name in expected} == expected
    code, said = _ended(
        _bulk(tmp_path, "s3://bucket/in/*.tar", "s3://bucket/out", "--to", "webdataset", "--size", "300", **environment)
    )
    assert "0 made, 0 failed, 8 shards there already" in said


@pytest.mark.slow
def test_a_store_that_is_down_for_a_while_is_waited_for(
    tars: Path, expected: dict[str, bytes], tmp_path: Path, bucket: Any
) -> None:
    """The server is stopped, and goes on with what it had."""
    server, _, environment = bucket
    for path in tars.iterdir():
        Store("s3://bucket/in").put(path, path.name)
    process = _bulk(tmp_path, "s3://bucket/in/*.tar", "s3://bucket/out", "--to", "webdataset", "--size", "300", **environment)
    _until(lambda: Store("s3://bucket/out/manifest").read("00.parquet") is not None, process)
    server.send_signal(signal.SIGSTOP)
    time.sleep(10)
    server.send_signal(signal.SIGCONT)
    code, said = _ended(process)
    assert code == 0, said
    assert {name: Store("s3://bucket/out").read(name) for name in expected} == expected
