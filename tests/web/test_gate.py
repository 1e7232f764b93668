"""Requests to the page: which hosts and sites are answered, logins, and what the log says of them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("gradio")

import httpx
from asgi import App, ask
from starlette.types import Message, Receive, Scope, Send

from nst_adain.web import gate as web_gate
from nst_adain.web import limits
from nst_adain.web.gate import Gate


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


def test_a_login_opens_what_is_closed_without() -> None:
    app = App()
    app.auth, app.cookie_id, app.tokens = {"ada": "in"}, "7", {"secret": "ada"}  # type: ignore[attr-defined]
    gate = Gate(app, ["localhost"])
    for path in ("/", "/login", "/assets/index.js", "/theme.css"):
        assert ask(gate, path=path).status_code == 200, path
    for path in ("/config", "/gradio_api/heartbeat/x", "/gradio_api/openapi.json", "/gradio_api/reset", "/anything"):
        assert ask(gate, path=path).status_code == 401
        assert ask(gate, path=path, cookie="access-token-7=wrong").status_code == 401
        assert ask(gate, path=path, cookie="access-token-7=").status_code == 401
        for name in ("access-token-7", "access-token-unsecure-7"):
            assert ask(gate, path=path, cookie=f"{name}=secret").status_code == 200


class Door(App):
    """Opens for the right password; counts the attempts."""

    tried = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.tried += 1
        message = await receive()
        self.status = 200 if message["body"] == b"right" else 400

        async def again() -> Message:
            return message

        await super().__call__(scope, again, send)


def log_in(gate: Gate, client: str, password: bytes = b"wrong", gone: asyncio.Event | None = None) -> asyncio.Task[int]:
    """The status of an attempt from an address; 0 if the client goes away before it is answered."""
    sent: list[Message] = []
    body: list[Message] = [{"type": "http.request", "body": password, "more_body": False}]

    async def receive() -> Message:
        if body:
            return body.pop()
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def attempt() -> int:
        scope = {"type": "http", "method": "POST", "path": "/login", "query_string": b"", "client": (client, 1)}
        await gate({**scope, "headers": [(b"host", b"localhost")]}, receive, send)
        return sent[0]["status"] if sent else 0

    return asyncio.create_task(attempt())


def test_wrong_passwords_of_an_address_wait_for_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_gate, "LOGIN_SECONDS", 0.05)

    async def guesses(addresses: list[str]) -> tuple[float, float]:
        """Seconds for all of them, and for somebody's right password who comes last."""
        gate, began = Gate(Door(), ["localhost"]), time.perf_counter()
        tasks = [log_in(gate, address) for address in addresses]
        await asyncio.sleep(0.01)
        assert await log_in(gate, "192.0.2.1", b"right") == 200
        entered = time.perf_counter() - began
        assert await asyncio.gather(*tasks) == [400] * len(tasks)
        return time.perf_counter() - began, entered

    for flood in (["198.51.100.7"] * 20, [f"2001:db8::{number}" for number in range(20)]):  # one network, however it is claimed
        seconds, entered = asyncio.run(guesses(flood))
        assert seconds >= 20 * 0.05
        assert entered < 0.5  # nobody else waits
    seconds, entered = asyncio.run(guesses(["192.0.2.1"] * 20))  # behind the same address: in turn, but in
    assert entered >= 20 * 0.05
    seconds, entered = asyncio.run(guesses([f"198.51.100.{number}" for number in range(40)]))
    assert seconds >= 40 / web_gate.MAX_LOGINS * 0.05  # many addresses: a few at once
    assert entered <= seconds


def test_who_goes_away_gives_up_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_gate, "LOGIN_SECONDS", 0.1)

    async def leaving() -> tuple[list[int], int, float]:
        door, gone = Door(), asyncio.Event()
        gate, began = Gate(door, ["localhost"]), time.perf_counter()
        tasks = [log_in(gate, "192.0.2.1", gone=gone) for _ in range(50)]
        await asyncio.sleep(0.01)
        gone.set()
        statuses = await asyncio.gather(*tasks)
        assert await log_in(gate, "192.0.2.1", b"right") == 200
        return statuses, door.tried, time.perf_counter() - began

    statuses, tried, seconds = asyncio.run(leaving())
    assert statuses == [400] + [0] * 49  # the one whose turn it was
    assert tried == 2
    assert seconds < 1


def test_a_login_that_is_half_sent_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PIECE_SECONDS", 3.0)
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
    log_in = lambda password: httpx.post(f"{address}/login", data={"username": "ada", "password": password}, timeout=60)
    with ThreadPoolExecutor(2) as pool:
        began = time.perf_counter()
        guesses = [pool.submit(log_in, f"{number}") for number in range(5)]
        time.sleep(0.5)
        assert log_in("in").status_code == 200  # its turn comes, amid them all
        assert time.perf_counter() - began < 4 * web_gate.LOGIN_SECONDS
        assert [guess.result().status_code for guess in guesses] == [400] * 5
        assert time.perf_counter() - began >= 5 * web_gate.LOGIN_SECONDS
    assert httpx.post(f"{address}/login", content=bytes(2**15), timeout=10).status_code == 413


def test_what_gradio_answers_itself_is_behind_the_gate(address: str) -> None:
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    for host in ("evil.example", "localhost"):
        answer = httpx.options(address, headers={"host": host, **asked}, timeout=10)
        assert answer.status_code in (421, 403), host
        assert "access-control-allow-origin" not in answer.headers


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


def test_routes_that_write_elsewhere_are_closed(address: str) -> None:
    video = {"video": ("x.mp4", b"0")}
    assert httpx.post(f"{address}/gradio_api/process_recording", files=video, timeout=10).status_code == 404
    assert httpx.get(f"{address}/gradio_api/deep_link?session_hash=x", timeout=10).status_code == 404


def test_the_page_of_the_login_does_not_describe_the_api(closed: tuple[str, list[str]], address: str) -> None:
    assert "preserve_color" in httpx.get(address, timeout=10).text
    assert "preserve_color" not in httpx.get(closed[0], timeout=10).text
