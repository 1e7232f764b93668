"""Requests to an ASGI application without a server: what they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
from starlette.types import Message, Receive, Scope, Send


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


def run(gate: Any, pieces: AsyncIterator[bytes]) -> tuple[int, bytes]:
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
