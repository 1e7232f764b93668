"""Files of folders and of an S3 server, which is real and runs here; and one that does not answer for a while."""

from __future__ import annotations

import errno
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nst_adain.batch.stores import Store

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries of stores


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.get_host_and_port()[1]}")
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()  # it would go on with another test's server
        s3fs.S3FileSystem().mkdir("bucket")
        yield server
        server.stop()


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store(str(tmp_path / "store"))
    request.getfixturevalue("server")
    return Store(f"s3://bucket/{tmp_path.name}", patience=5)


def test_files_are_put_and_read(store: Store, tmp_path: Path) -> None:
    assert list(store.names()) == []
    (tmp_path / "a").write_bytes(b"first")
    for name in ("d/a", "b"):
        store.put(tmp_path / "a", name)
    assert list(store.names()) == ["b", "d/a"]
    assert store.exists("d/a")
    assert not store.exists("d/b")
    assert store.read("none") is None
    store.get("d/a", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == store.read("b") == b"first"
    with pytest.raises(FileNotFoundError):
        store.get("none", tmp_path / "copy")
    (tmp_path / "a").write_bytes(b"second")
    for _ in range(2):
        store.remove("d/a")
    assert list(store.names()) == ["b"]
    store.put(tmp_path / "a", "b")
    assert store.read("b") == b"second"


def test_the_first_of_two_claims_stays(store: Store) -> None:
    assert store.claim("c.json", b"one") == b"one"
    assert store.claim("c.json", b"two") == b"one"


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        Path(arguments[1]).write_bytes(b"ha")
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a").write_bytes(b"first")
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        Store(str(tmp_path / "store")).put(tmp_path / "a", "b")
    assert list((tmp_path / "store").iterdir()) == []


def test_a_store_that_does_not_answer_is_asked_again(server: Any, tmp_path: Path) -> None:
    """It is down for two seconds."""
    store = Store("s3://bucket/later", patience=60)
    (tmp_path / "a").write_bytes(b"first")
    _, port = server.get_host_and_port()
    server.stop()

    def back() -> None:
        from moto.server import ThreadedMotoServer

        time.sleep(2)
        again = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        again.start()

    thread = threading.Thread(target=back)
    thread.start()
    store.put(tmp_path / "a", "x")
    thread.join()
    assert store.read("x") == b"first"


def test_one_that_never_answers_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"first")
    monkeypatch.setattr(Store, "_system", lambda store: 1 / 0)
    began = time.monotonic()
    with pytest.raises(OSError, match="s3://bucket: the store does not answer: division by zero"):
        Store("s3://bucket", patience=1).put(tmp_path / "a", "x")
    assert time.monotonic() - began < 3
