"""The page's actions and its HTTP API, as clients see them."""

from __future__ import annotations

import concurrent.futures
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from conftest import picture, serving
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from nst_adain.cli.main import main
from nst_adain.stylizer import Stylizer
from nst_adain.web.server import MAX_WAITING


def test_progress_counts_the_tiles_of_both_passes(base: Stylizer) -> None:
    seen: list[tuple[int, int | None]] = []
    base(picture(80, 40), picture(), tile=40, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)] * 2


# Over HTTP


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    client = Client(address, verbose=False, analytics_enabled=False)
    yield client
    client.close()


def join(address: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{address}/gradio_api/queue/join", json=body, timeout=30)


def test_the_api_equals_the_python_call(client: Client, base: Stylizer, photo: Path, painting: Path) -> None:
    made = client.predict(
        handle_file(photo), [handle_file(painting), handle_file(photo)], weights=[2, 1], alpha=0.6, size=50,
        preserve_color="luminance", mask=handle_file(painting), api_name="/stylize",
    )  # fmt: skip
    expected = base(
        photo, [painting, photo], weights=[2, 1], alpha=0.6, size=50, preserve_color="luminance", masks=[painting] * 2
    )
    np.testing.assert_array_equal(np.asarray(Image.open(made)), np.asarray(expected))


def test_the_page_itself_is_no_api(address: str) -> None:
    described = httpx.get(f"{address}/gradio_api/info").json()
    assert list(described["named_endpoints"]) == ["/stylize"]
    assert described["unnamed_endpoints"] == {}


@pytest.mark.parametrize(
    "path",
    ["file=/etc/passwd", "file=../../../../etc/passwd", "file=%2e%2e/%2e%2e/%2e%2e/etc/passwd", "file=/proc/self/environ",
     f"file={Path(__file__)}", "file=http://127.0.0.1:1/x", "proxy=http://127.0.0.1:1/x", "file=C:\\x",
     "../static/../../../../etc/passwd", "../assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"],
)  # fmt: skip
def test_no_path_outside_its_folder_is_readable(address: str, path: str) -> None:
    import http.client

    host, port = address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", f"/gradio_api/{path}")  # as it stands: other clients tidy paths up
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in (400, 403, 404)
    assert b"root:" not in body
    assert b"def test" not in body


@pytest.mark.parametrize(
    "path", ["/etc/passwd", str(Path(__file__)), "../../etc/passwd", "http://127.0.0.1:1/x.png", "https://example.com/x.png"]
)
@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_only_uploaded_files_are_read(address: str, painting: Path, path: str, meta: dict[str, Any]) -> None:
    uploaded = httpx.post(f"{address}/gradio_api/upload", files={"files": ("s.png", painting.read_bytes())}).json()[0]
    own, other = {"path": uploaded, **meta}, {"path": path, **meta}
    assert "event: complete" in call(address, own, own)
    for photo, style, mask, alpha in (
        (other, own, None, 1),
        (own, other, None, 1),
        (own, own, other, 1),
        (own, own, None, path),
    ):
        said = call(address, photo, style, mask, alpha)
        assert "event: error" in said
        assert "Traceback" not in said
        assert "expected" in said or "null" in said  # in our words, or Gradio's refusal without any


def call(address: str, photo: Any, style: Any, mask: Any = None, alpha: Any = 1.0) -> str:
    """What a client without a library is told by the API."""
    body = {"data": [photo, [style], None, alpha, mask, None, None, 512, "slim", 512, "strokes", None]}
    event = httpx.post(f"{address}/gradio_api/call/stylize", json=body, timeout=30).json()["event_id"]
    with httpx.stream("GET", f"{address}/gradio_api/call/stylize/{event}", timeout=30) as stream:
        return "".join(stream.iter_text())


def test_who_comes_when_too_many_wait_is_told_so(painting: Path) -> None:
    with serving() as (address, *_):
        uploaded = httpx.post(f"{address}/gradio_api/upload", files={"files": ("s.png", painting.read_bytes())}).json()[0]
        file = {"path": uploaded, "meta": {"_type": "gradio.FileData"}}
        (function,) = (d["id"] for d in httpx.get(f"{address}/config").json()["dependencies"] if d["api_name"] == "stylize")
        body = {"fn_index": function, "data": [file, [file], None, 1.0, None, None, 2000, 512, "slim", 512, "strokes", None]}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda k: join(address, {**body, "session_hash": f"{k}"}), range(MAX_WAITING + 10)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 1 <= len(refused) <= 10
    assert {answer.status_code for answer in refused} == {503}
    assert "Queue is full" in refused[0].text


def test_malformed_and_oversized_uploads(address: str) -> None:
    def post(content: bytes, kind: str) -> httpx.Response:
        return httpx.post(f"{address}/gradio_api/upload", content=content, headers={"content-type": kind}, timeout=60)

    assert post(b"nonsense", "multipart/form-data; boundary=x").status_code == 400
    assert post(b"", "text/plain").status_code >= 400
    large = {"files": ("large.png", bytes(51 * 2**20))}
    assert httpx.post(f"{address}/gradio_api/upload", files=large, timeout=60).status_code == 413
    several = [("files", (f"{index}.png", bytes(20 * 2**20))) for index in range(4)]
    assert httpx.post(f"{address}/gradio_api/upload", files=several, timeout=60).status_code == 413
    assert join(address, {"data": ["x" * 3 * 2**20], "fn_index": 0, "session_hash": "x"}).status_code == 413
    outside = httpx.post(f"{address}/gradio_api/upload", files={"files": ("../../../x.png", b"0")}, timeout=60).json()
    assert Path(outside[0]).parts[1:-2] == Path(outside[0]).parent.parent.parts[1:]
    assert ".." not in outside[0]


def test_wrong_files_are_named(client: Client, photo: Path, painting: Path, tmp_path: Path) -> None:
    text, cut = tmp_path / "text.png", tmp_path / "cut.png"
    text.write_text("hello")
    cut.write_bytes(photo.read_bytes()[:200])
    bomb = tmp_path / "bomb.png"
    Image.new("1", (20000, 20000)).save(bomb)
    for file, words in (
        (text, "text.png: expected a picture"),
        (cut, "cut.png: the picture is damaged"),
        (bomb, "400,000,000 pixels"),
    ):
        with pytest.raises(AppError, match=words):
            client.predict(handle_file(file), [handle_file(painting)], api_name="/stylize")
    with pytest.raises(AppError, match="weights: expected 1 finite numbers"):
        client.predict(handle_file(photo), [handle_file(painting)], weights=[1, 2], api_name="/stylize")


def test_a_name_and_a_password_are_asked_for(closed: tuple[str, list[str]], photo: Path) -> None:
    address, _ = closed
    for path in ("/config", "/gradio_api/info", "/gradio_api/file=/x"):
        assert httpx.get(address + path).status_code == 401
    assert httpx.post(f"{address}/gradio_api/upload", files={"files": ("x.png", b"0")}).status_code == 401
    assert join(address, {"data": [], "fn_index": 0, "session_hash": "x"}).status_code == 401
    assert httpx.post(f"{address}/login", data={"username": "ada", "password": "out"}).status_code == 400
    client = Client(address, auth=("ada", "in"), verbose=False, analytics_enabled=False)
    assert Path(client.predict(handle_file(photo), [handle_file(photo)], api_name="/stylize")).is_file()
    client.close()


# Python's own record of every connection and every look-up of a name in the process of the page.
AUDIT = """
import os, sys

def record(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["CALLS"], "a") as file:
            file.write(f"{arguments[1] if event == 'socket.connect' else arguments[0]}\\n")

sys.addaudithook(record)
"""


def test_an_open_address_is_warned_of_nothing_is_sent_and_files_are_removed_at_the_end(photo: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "sitecustomize.py").write_text(AUDIT)
    with serving("--host", "0.0.0.0", PYTHONPATH=str(tmp_path), CALLS=str(calls)) as (address, process, said):
        assert "warning: everyone who can reach 0.0.0.0 can use this page" in said
        uploaded = httpx.post(f"{address}/gradio_api/upload", files={"files": ("x.png", photo.read_bytes())}).json()
        folder = Path(uploaded[0]).parent.parent
        assert (folder / "samples" / "mosaic.png").is_file()
        assert folder.stat().st_mode & 0o077 == 0  # nobody else on this computer reads it
    assert process.returncode == 0
    assert not folder.exists()
    called = calls.read_text().splitlines()  # Gradio asks itself whether it has started
    assert called
    assert [line for line in called if not any(own in line for own in ("127.0.0.1", "0.0.0.0", "localhost", "::1"))] == []


def test_half_a_login_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NST_ADAIN_USER", "ada")
    assert main(["app", "--no-browser"]) == 1
    assert "NST_ADAIN_USER, NST_ADAIN_PASSWORD: expected both or neither" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "https://", "[", ":80"])
def test_a_host_without_a_name_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["app", "--no-browser", "--allow-host", name])
    assert ended.value.code == 2
    assert f"--allow-host: expected the name of a host, such as pictures.example.org, got {name!r}" in capsys.readouterr().err


def test_a_taken_port_is_said(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    port = address.rpartition(":")[2]
    command = [sys.executable, "-m", "nst_adain", "app", "--no-browser", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr == f"nst-adain: error: port {port} of 127.0.0.1 cannot be used: choose another with --host, --port\n"


def test_without_gradio_the_extra_is_named() -> None:
    code = "import sys; sys.modules['gradio'] = None; from nst_adain.cli.main import main; sys.exit(main(['app']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "nst-adain: error: gradio is missing: pip install '.[web]' in a checkout\n")


@pytest.mark.slow
def test_fifty_clients_at_once(tmp_path: Path, base: Stylizer) -> None:
    """Everyone is answered with the own picture or told to wait; memory stays bounded."""

    def ask(address: str, seed: int) -> tuple[int, str]:
        path = tmp_path / f"{seed}.png"
        picture(320, 240, seed=seed).save(path)
        client = Client(address, verbose=False, analytics_enabled=False, download_files=str(tmp_path / f"got{seed}"))
        try:
            return seed, client.predict(handle_file(path), [handle_file(path)], api_name="/stylize")
        except AppError as error:
            return seed, f"refused: {error}"
        finally:
            client.close()

    with serving() as (address, process, _):
        memory, stop = [], threading.Event()

        def watch() -> None:
            while not stop.wait(0.2):
                memory.append(psutil.Process(process.pid).memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        ask(address, 0)
        before = max(memory)
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            answers = dict(pool.map(lambda seed: ask(address, seed), range(1, 51)))
        stop.set()
        watcher.join()
    served = {seed: made for seed, made in answers.items() if not made.startswith("refused")}
    assert all("queue" in said.lower() for seed, said in answers.items() if seed not in served)
    print(json.dumps({"served": len(served), "before": before / 2**20, "peak": max(memory) / 2**20}))
    assert len(served) >= 40
    assert max(memory) - before < 1.5 * 2**30
    for seed, made in served.items():
        path = tmp_path / f"{seed}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(made)), np.asarray(base(path, path)))
