"""Limits of what clients send to the page: lengths, times, connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.importorskip("gradio")

import httpx
from asgi import App, ask, run
from conftest import serving
from starlette.types import Message, Receive, Scope, Send

from nst_adain.web import limits
from nst_adain.web.gate import Gate


def test_lengths_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_REQUEST", 100)
    monkeypatch.setattr(limits, "MAX_UPLOAD", 1000)

    async def pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield bytes(10)

    gate = Gate(App(), ["localhost"])
    assert ask(gate, "POST", content=pieces(10)).text == "100"
    assert ask(gate, "POST", content=pieces(11)).status_code == 413
    assert ask(gate, "POST", "/gradio_api/upload", content=pieces(100)).text == "1000"


def test_slowness_ends_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PIECE", 100)
    monkeypatch.setattr(limits, "PIECE_SECONDS", 0.4)

    async def pieces(size: int, pause: float) -> AsyncIterator[bytes]:
        for _ in range(12):
            yield bytes(size)
            await asyncio.sleep(pause)

    gate = Gate(App(), ["localhost"])
    assert run(gate, pieces(50, 0.1)) == (200, b"600")  # 1.2 s in all, but each piece of 100 bytes in time
    assert run(gate, pieces(1, 0.0)) == (200, b"12")
    for dripping in (pieces(1, 0.1), pieces(50, 0.7)):
        began = time.perf_counter()
        status, body = run(gate, dripping)
        assert (status, b"too slow" in body) == (408, True)
        assert time.perf_counter() - began < 1


def test_the_time_that_the_server_takes_is_not_the_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PIECE_SECONDS", 0.3)

    class Slow(App):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            async def pausing() -> Message:
                await asyncio.sleep(0.2)
                return await receive()

            await super().__call__(scope, pausing, send)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x"

    assert run(Gate(Slow(), ["localhost"]), pieces()) == (200, b"4")


def test_half_sent_requests_are_ended(impatient: str) -> None:
    body = b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\nabc"
    halves = [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", body]
    host, port = impatient.removeprefix("http://").split(":")
    connections = [socket.create_connection((host, int(port)), timeout=20) for _ in range(5 * len(halves))]
    for number, connection in enumerate(connections):
        connection.sendall(halves[number % len(halves)])
    for connection in connections:
        while connection.recv(4096):  # until it is closed; a time-out is an error
            pass
        connection.close()
    assert httpx.get(impatient, timeout=10).status_code == 200


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of open files is set there")
def test_more_connections_than_files_fill_no_log(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))")
    with serving(PYTHONPATH=str(tmp_path)) as (address, process, _), contextlib.ExitStack() as stack:
        host, port = address.removeprefix("http://").split(":")
        for _ in range(400):
            connection = stack.enter_context(contextlib.closing(socket.socket()))
            connection.settimeout(0.01)
            with contextlib.suppress(OSError):
                connection.connect((host, int(port)))
        time.sleep(2)
        stack.close()
        assert httpx.get(address, timeout=20).status_code == 200
        process.terminate()
        assert process.communicate(timeout=60)[0].count("\n") < 50
