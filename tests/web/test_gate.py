"""Requests to the page: which hosts and sites are answered, logins, lengths and times, and what the log says of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("gradio")

import httpx
from conftest import serving
from starlette.types import Message, Receive, Scope, Send

from nst_adain.web import gate as web_gate
from nst_adain.web.gate import Gate


class App:
    """Reads what it is sent, and answers with its length, or as it is told to."""

    def __init__(self, error: Exception | None = None, status: int = 200) -> None:
        self.error, self.status = error, status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length, more = 0, True
        while more:
            message = await receive()
            length, more = length + len(message.get("body", b"")), message.get("more_body", False)
        if self.error:
            raise self.error
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": str(length).encode()})


def ask(
    gate: Any, method: str = "GET", path: str = "/", host: str = "localhost:7860", content: Any = None, **headers: str
) -> httpx.Response:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://localhost:7860") as client:
            named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
            return await client.request(method, path, headers=named, content=content)

    return asyncio.run(send())


def test_only_the_own_hosts_are_answered() -> None:
    gate = Gate(App(), ["localhost"], ["Page.Example.org"])
    names = ("localhost", "localhost:1", "LOCALHOST:7860", "page.example.org", "localhost.")
    for host in (*names, "127.0.0.1:7860", "[::1]:7860", "192.0.2.7"):
        assert ask(gate, host=host).status_code == 200, host
    for host in ("evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "a b"):
        answer = ask(gate, host=host)
        assert (answer.status_code, "--allow-host" in answer.text) == (421, True), host


def test_other_sites_are_refused() -> None:
    gate = Gate(App(), ["localhost"], ["page.example.org"])
    for method in ("GET", "POST"):
        assert ask(gate, method, origin="http://localhost:7860").status_code == 200
        assert ask(gate, method, origin="https://page.example.org", host="127.0.0.1:7860").status_code == 200  # behind a proxy
        for origin in ("http://evil.example", "http://localhost:3000", "http://localhost.evil.example", "null", "http://["):
            assert ask(gate, method, origin=origin).status_code == 403, origin
    assert ask(gate, "POST", sec_fetch_site="cross-site").status_code == 403
    assert ask(gate, "GET", sec_fetch_site="cross-site").status_code == 200  # a link that was followed


@pytest.mark.parametrize("name", ["art.example.org", "ART.example.org.", "art.example.org:8443", "https://art.example.org/x"])
def test_a_host_is_allowed_however_it_is_written(name: str) -> None:
    gate = Gate(App(), ["localhost"], [name])
    assert ask(gate, host="art.example.org").status_code == 200
    assert ask(gate, "POST", origin="https://art.example.org", host="127.0.0.1:7860").status_code == 200
    refused = ask(Gate(App(), ["localhost"]), "POST", origin="https://art.example.org", host="127.0.0.1:7860")
    assert (refused.status_code, "--allow-host" in refused.text) == (403, True)


def test_lengths_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_gate, "MAX_REQUEST", 100)
    monkeypatch.setattr(web_gate, "MAX_UPLOAD", 1000)

    async def pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield bytes(10)

    gate = Gate(App(), ["localhost"])
    assert ask(gate, "POST", content=pieces(10)).text == "100"
    assert ask(gate, "POST", content=pieces(11)).status_code == 413
    assert ask(gate, "POST", "/gradio_api/upload", content=pieces(100)).text == "1000"


def test_silence_ends_a_request_and_slowness_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_gate, "SILENCE_SECONDS", 0.2)

    async def pieces(pause: float) -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x"
            await asyncio.sleep(pause)

    gate = Gate(App(), ["localhost"])
    assert run(gate, pieces(0.1)) == (200, b"5")
    status, body = run(gate, pieces(0.4))
    assert (status, b"nothing was sent" in body) == (408, True)


def run(gate: Gate, pieces: AsyncIterator[bytes]) -> tuple[int, bytes]:
    """A request whose body comes in pieces, as a server hands it on."""
    sent: list[Message] = []

    async def receive() -> Message:
        try:
            return {"type": "http.request", "body": await anext(pieces), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/x", "headers": [(b"host", b"localhost")], "query_string": b""}
    asyncio.run(gate(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def test_what_goes_wrong_is_one_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    for error, status in (
        (KeyError("x" * 5000), 400),
        (ValueError("two\nlines"), 400),
        (OSError(28, "No space left on device"), 507),
        (RecursionError("deep"), 400),
        (OSError(5, "Input/output error"), 500),
    ):
        answer = ask(Gate(App(error), ["localhost"]), "POST", "/gradio_api/queue/join")
        assert answer.status_code == status
        assert answer.json()["detail"]
        log = capsys.readouterr().err
        assert log.count("\n") == 1
        assert log.startswith("nst-adain: POST '/gradio_api/queue/join' failed: ")
        assert len(log) < 400


def test_a_login_opens_what_is_closed_without(monkeypatch: pytest.MonkeyPatch) -> None:
    app = SimpleNamespace(auth={"ada": "in"}, cookie_id="7", tokens={"secret": "ada"})

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await Gate(App(), ["localhost"])({**scope, "app": app}, receive, send)

    for path in ("/", "/login", "/assets/index.js", "/theme.css"):
        assert ask(inside, path=path).status_code == 200, path
    for path in ("/config", "/gradio_api/heartbeat/x", "/gradio_api/openapi.json", "/gradio_api/reset", "/anything"):
        assert ask(inside, path=path).status_code == 401
        assert ask(inside, path=path, cookie="access-token-7=wrong").status_code == 401
        assert ask(inside, path=path, cookie="access-token-7=").status_code == 401
        for name in ("access-token-7", "access-token-unsecure-7"):
            assert ask(inside, path=path, cookie=f"{name}=secret").status_code == 200


def test_wrong_passwords_wait_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_gate, "LOGIN_SECONDS", 0.1)
    gate = Gate(App(status=400), ["localhost"])

    async def guesses(count: int) -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://localhost") as client:
            addresses = [{"x-forwarded-for": f"192.0.2.{number % 250}"} for number in range(count)]
            answers = await asyncio.gather(*(client.post("/login", content=b"x", headers=each) for each in addresses))
        return [answer.status_code for answer in answers]

    began = time.perf_counter()
    answers = asyncio.run(guesses(300))
    assert answers.count(400) == web_gate.MAX_LOGINS
    assert answers.count(429) == 300 - web_gate.MAX_LOGINS
    assert time.perf_counter() - began >= 0.1 * web_gate.MAX_LOGINS


def test_a_login_that_is_half_sent_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_gate, "SILENCE_SECONDS", 3.0)
    gate = Gate(App(), ["localhost"])
    scope = {"type": "http", "method": "POST", "path": "/login", "headers": [(b"host", b"localhost")], "query_string": b""}

    async def silence() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def ignore(_: Message) -> None:
        pass

    async def both() -> float:
        half = asyncio.create_task(gate(scope, silence, ignore))
        await asyncio.sleep(0.1)
        began = time.perf_counter()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://localhost") as client:
            assert (await client.post("/login", content=b"x")).status_code == 200
        seconds = time.perf_counter() - began
        half.cancel()
        return seconds

    assert asyncio.run(both()) < 1


def test_letters_that_terminals_obey_stay_out_of_the_log() -> None:
    assert web_gate.told(ValueError("a\x1b[2Jb\nc")) == "ValueError: a [2Jb c"


@pytest.fixture(scope="module")
def closed() -> Iterator[tuple[str, list[str]]]:
    """A page with a password, and the lines of its log."""
    with serving(NST_ADAIN_USER="ada", NST_ADAIN_PASSWORD="in") as (address, process, _):
        assert process.stdout is not None
        log: list[str] = []
        reader = threading.Thread(target=log.extend, args=(process.stdout,), daemon=True)
        reader.start()
        yield address, log
        process.terminate()
        reader.join(60)


def test_every_route_but_the_logins_own_asks_for_it(closed: tuple[str, list[str]]) -> None:
    address, _ = closed
    paths = ["openapi.json", "info", "heartbeat/x", "app_id", "token", "user", "login_check", "stream/a/1/1/playlist.m3u8"]
    for path in ["/config", "/monitoring", *(f"/gradio_api/{path}" for path in paths)]:
        assert httpx.get(address + path, timeout=10).status_code == 401, path
    for path in ("cancel", "reset", "queue/join", "upload", "stream/x", "process_recording", "vibe-edit", "component_server"):
        assert httpx.post(f"{address}/gradio_api/{path}", json={}, timeout=10).status_code == 401, path
    assert httpx.get(address, timeout=10).status_code == 200
    assert httpx.get(address, headers={"host": "evil.example"}, timeout=10).status_code == 421
    assert httpx.post(f"{address}/login", headers={"origin": "http://evil.example"}, timeout=10).status_code == 403


def test_guesses_take_long_and_the_password_does_not(closed: tuple[str, list[str]]) -> None:
    address, _ = closed
    with ThreadPoolExecutor(30) as pool:
        began = time.perf_counter()
        guess = lambda k: httpx.post(f"{address}/login", data={"username": "ada", "password": f"{k}"}, timeout=60).status_code
        statuses = list(pool.map(guess, range(60)))
        seconds = time.perf_counter() - began
    assert set(statuses) <= {400, 429}
    assert statuses.count(400) <= seconds / web_gate.LOGIN_SECONDS + 1
    assert httpx.post(f"{address}/login", data={"username": "ada", "password": "in"}, timeout=10).status_code == 200


def test_nonsense_is_answered_and_logged_in_single_lines(closed: tuple[str, list[str]]) -> None:
    address, log = closed
    with httpx.Client(base_url=address, timeout=20) as client:
        answer = client.post("/login", data={"username": "ada", "password": "in"})
        given = [cookie.partition(";")[0] for cookie in answer.headers.get_list("set-cookie")]
        client.headers["cookie"] = "; ".join(given)
        assert client.get("/config").status_code == 200
        for path, body in (
            ("queue/join", b"{"),
            ("queue/join", b'{"data": 1, "fn_index": "x", "session_hash": []}'),
            ("queue/join", b'{"data": [], "fn_index": 99999, "session_hash": "x"}'),
            ("run/stylize", b'{"data": [1, 2]}'),
            ("run/none", b'{"data": []}'),
            ("call/stylize", b'{"data": [{"path": 5}]}'),
            ("call/stylize", b"[]"),
            ("cancel", b'{"event_id": {}}'),
            ("reset", b"nonsense"),
            ("upload", b"--x\r\nhalf"),
        ):
            kind = "multipart/form-data; boundary=x" if path == "upload" else "application/json"
            answer = client.post(f"/gradio_api/{path}", content=body, headers={"content-type": kind})
            assert answer.status_code < 500 or path.startswith("run/"), (path, body, answer.text)
        paths = ("queue/data?session_hash=%00", "call/stylize/none", "file=/%00", "heartbeat/x", "stream/a/b/c/playlist.m3u8")
        for path in paths:
            with contextlib.suppress(httpx.ReadTimeout), client.stream("GET", f"/gradio_api/{path}", timeout=2) as stream:
                assert stream.status_code < 500, path
    time.sleep(0.5)
    assert log
    assert not [line for line in log if len(line) > 400 or not line.startswith(("nst-adain: ", "ERROR: "))]


def test_half_sent_requests_are_ended(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from nst_adain.web import gate as web_gate; web_gate.HEADER_SECONDS = web_gate.SILENCE_SECONDS = 1.0"
    )
    body = b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\nabc"
    halves = [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", body]
    with serving(PYTHONPATH=str(tmp_path)) as (address, *_):
        host, port = address.removeprefix("http://").split(":")
        connections = [socket.create_connection((host, int(port)), timeout=20) for _ in range(5 * len(halves))]
        for number, connection in enumerate(connections):
            connection.sendall(halves[number % len(halves)])
        for connection in connections:
            while connection.recv(4096):  # until it is closed; a time-out is an error
                pass
            connection.close()
        assert httpx.get(address, timeout=10).status_code == 200


def test_routes_that_write_elsewhere_are_closed(address: str) -> None:
    video = {"video": ("x.mp4", b"0")}
    assert httpx.post(f"{address}/gradio_api/process_recording", files=video, timeout=10).status_code == 404
    assert httpx.get(f"{address}/gradio_api/deep_link?session_hash=x", timeout=10).status_code == 404


def test_the_page_of_the_login_does_not_describe_the_api(closed: tuple[str, list[str]], address: str) -> None:
    assert "preserve_color" in httpx.get(address, timeout=10).text
    assert "preserve_color" not in httpx.get(closed[0], timeout=10).text


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of open files is set there")
def test_more_connections_than_files_fill_no_log(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))")
    with serving(PYTHONPATH=str(tmp_path)) as (address, process, _), contextlib.ExitStack() as stack:
        host, port = address.removeprefix("http://").split(":")
        for _ in range(400):
            connection = stack.enter_context(contextlib.closing(socket.socket()))
            connection.settimeout(1)
            with contextlib.suppress(OSError):
                connection.connect((host, int(port)))
        time.sleep(2)
        stack.close()
        assert httpx.get(address, timeout=20).status_code == 200
        process.terminate()
        assert process.communicate(timeout=60)[0].count("\n") < 50
