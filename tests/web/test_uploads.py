"""Uploads to the page: nothing of what is refused or broken off stays, all together are bounded, and what is old is removed."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gradio")

import httpx
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from nst_adain.web import limits
from nst_adain.web import uploads as web_uploads
from nst_adain.web.gate import Gate
from nst_adain.web.uploads import Uploads, sweep, sweeping


class Store:
    """Writes what it is sent to a file of a folder, as Gradio does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with (self.folder / f"{time.perf_counter_ns()}").open("wb") as file:
            more = True
            while more:
                message = await receive()
                file.write(message.get("body", b""))
                more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"stored"})


def send_pieces(folder: Path, pieces: Sequence[bytes | None], path: str = "/gradio_api/upload") -> int | None:
    """The status with which an upload in these pieces is answered; None as a piece breaks it off."""
    sent: list[Message] = []
    coming = iter(pieces)

    async def receive() -> Message:
        piece = next(coming, b"")
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": piece != b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"host", b"localhost")], "query_string": b""}
    asyncio.run(Gate(Uploads(Store(folder), folder), ["localhost"])(scope, receive, send))
    return sent[0]["status"] if sent else None


def test_a_whole_upload_arrives_as_it_was_sent(tmp_path: Path) -> None:
    pieces = [os.urandom(70_000), b"x", os.urandom(200_000)]
    assert send_pieces(tmp_path, pieces) == 200
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"".join(pieces)]
    assert send_pieces(tmp_path, []) == 200


def test_what_is_broken_off_or_too_long_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send_pieces(tmp_path, [bytes(10**6), bytes(10**6), None]) is None
    monkeypatch.setattr(limits, "MAX_UPLOAD", 10**6)
    assert send_pieces(tmp_path, [bytes(10**6), bytes(10**6)]) == 413
    assert list(tmp_path.iterdir()) == []


def test_there_is_a_quota_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_uploads, "QUOTA", 2_500_000)
    assert [send_pieces(tmp_path, [bytes(10**6)]) for _ in range(4)] == [200, 200, 507, 507]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 2 * 10**6
    next(tmp_path.iterdir()).unlink()
    assert send_pieces(tmp_path, [bytes(10**6)]) == 200


def test_what_is_not_new_makes_room_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_uploads, "QUOTA", 2_500_000)
    (tmp_path / "result").mkdir()
    (tmp_path / "result" / "out.png").write_bytes(bytes(2_400_000))
    assert send_pieces(tmp_path, [bytes(10**6)]) == 507
    os.utime(tmp_path / "result" / "out.png", (time.time() - 700,) * 2)
    assert send_pieces(tmp_path, [bytes(10**6)]) == 200
    web_uploads.check_room(tmp_path)
    (tmp_path / "out.png").write_bytes(bytes(2_400_000))
    with pytest.raises(ValueError, match="there is no room for more files here now"):
        web_uploads.check_room(tmp_path)


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(web_uploads.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert send_pieces(tmp_path, [b"x"]) == 507
    monkeypatch.undo()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(web_uploads.tempfile, "TemporaryFile", full)
    assert send_pieces(tmp_path, [b"x"]) == 507
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_old_files_are_removed_and_samples_are_not(tmp_path: Path) -> None:
    now = time.time()
    for name, hours in (("a/old.png", 5), ("a/new.png", 3), ("b/old.png", 5), ("samples/deep/kept.png", 500), ("old", 5)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (now - 3600 * hours,) * 2)
    for name in ("a", "b", "samples"):
        os.utime(tmp_path / name, (now - 3600 * 5,) * 2)
    (tmp_path / "link").symlink_to("nowhere")
    sweep(tmp_path, now)
    sweep(tmp_path, now + 3600 * 2)  # folders count from when the last file of theirs was removed
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["a", "b", "link", "samples", "samples/deep", "samples/deep/kept.png"]
    sweep(tmp_path, now + 3600 * 9)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["samples"]


def test_sweeping_goes_on_past_what_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unlink, asked = Path.unlink, []

    def stubborn(path: Path, *arguments: Any, **named: Any) -> None:
        asked.append(path.name)
        if path.name == "a":
            raise PermissionError(errno.EACCES, "Permission denied")
        unlink(path, *arguments, **named)

    for name in ("a", "b"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    monkeypatch.setattr(Path, "unlink", stubborn)
    monkeypatch.setattr(web_uploads, "SWEEP_SECONDS", 0.01)
    with sweeping(tmp_path):
        for _ in range(500):
            time.sleep(0.01)
            if asked.count("a") > 3:
                break
    assert asked.count("a") > 3
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_for_a_photograph_ends_no_removal(impatient: str, photo: Path) -> None:
    def upload() -> Path:
        answer = httpx.post(f"{impatient}/gradio_api/upload", files={"files": ("x.png", photo.read_bytes())})
        return Path(answer.json()[0])

    first = upload()
    folder = {"path": str(first.parent.parent), "meta": {"_type": "gradio.FileData"}}
    body = {"data": [folder, [folder], None, 1.0, None, None, None, 512, "slim"]}
    event = httpx.post(f"{impatient}/gradio_api/call/stylize", json=body, timeout=30).json()["event_id"]
    with httpx.stream("GET", f"{impatient}/gradio_api/call/stylize/{event}", timeout=30) as stream:
        assert "event: error" in "".join(stream.iter_text())
    second = upload()
    assert first.exists()
    for path in (first, second):
        os.utime(path, (time.time() - web_uploads.KEPT_SECONDS - 1,) * 2)
    for _ in range(100):
        time.sleep(0.1)
        if not first.exists() and not second.exists():
            break
    assert not first.exists()
    assert not second.exists()
    assert (first.parent.parent / "samples" / "mosaic.png").is_file()


def test_uploads_that_began_before_others_ended_count_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_uploads, "QUOTA", 2_500_000)
    app = Uploads(Store(tmp_path), tmp_path)
    statuses: list[int] = []

    async def upload(turn: asyncio.Event) -> None:
        pieces = [b"x", bytes(10**6), b""]

        async def receive() -> Message:
            piece = pieces.pop(0)
            if piece != b"x":
                await turn.wait()
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": [], "query_string": b""}
        try:
            await app(scope, receive, send)
        except HTTPException as error:
            statuses.append(error.status_code)

    async def every() -> None:
        turns = [asyncio.Event() for _ in range(5)]
        tasks = [asyncio.create_task(upload(turn)) for turn in turns]
        await asyncio.sleep(0.3)  # until each has begun
        for turn, task in zip(turns, tasks):
            turn.set()
            await task

    asyncio.run(every())
    assert statuses == [200, 200, 507, 507, 507]


def test_empty_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_uploads, "QUOTA", 100_000)
    for number in range(100):
        (tmp_path / f"{number}").touch()
    assert send_pieces(tmp_path, [b"x"]) == 507


def test_a_folder_that_is_removed_meanwhile_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    scandir = os.scandir

    def late(path: Any) -> Any:
        if Path(path).name == "gone":
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", late)
    assert send_pieces(tmp_path, [b"x"]) == 200


def test_what_gradio_does_not_finish_is_removed_soon(impatient: str) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="x.png"\r\n\r\nabc'

    def upload(body: bytes) -> httpx.Response:
        kind = {"content-type": "multipart/form-data; boundary=x"}
        return httpx.post(f"{impatient}/gradio_api/upload", content=body, headers=kind, timeout=30)

    whole = Path(upload(head % b"files" + b"\r\n--x--\r\n").json()[0])
    folder = whole.parent.parent
    assert upload(head % b"files").json() == []  # without its end
    assert upload(head % b"other" + b"\r\n--x--\r\n").json() == []
    for _ in range(100):
        time.sleep(0.1)
        if not [path for path in folder.iterdir() if path.is_file()]:
            break
    assert [path for path in folder.iterdir() if path.is_file()] == []
    assert whole.is_file()
