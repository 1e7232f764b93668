"""Limits how much clients of the page may send and ask for, how long they may take, and how many may be connected at once.

Gradio limits single files only; Uvicorn limits none of these.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

__all__ = [
    "BACKLOG",
    "HEADER_SECONDS",
    "MAX_CELLS",
    "MAX_CONNECTIONS",
    "MAX_FRAMES",
    "MAX_LOGIN",
    "MAX_REQUEST",
    "MAX_UPLOAD",
    "PIECE",
    "PIECE_SECONDS",
    "BoundedProtocol",
    "bounded",
    "is_login",
    "is_upload",
]

MAX_UPLOAD = 50 * 2**20  # bytes of a file, and of all files that are sent at once
MAX_REQUEST = 2 * 2**20  # bytes of any other request
MAX_LOGIN = 2**14  # bytes of a login attempt, which stays in memory while it waits
HEADER_SECONDS = 20.0  # time that a client may take to send a request's headers
PIECE = 2**17  # bytes of a body that must arrive within PIECE_SECONDS
PIECE_SECONDS = 30.0  # time for each piece: 4 KB/s, which even the slowest lines reach
MAX_FRAMES = 1800  # in a video: a minute at 30 frames a second
MAX_CELLS = 8  # along a side of a grid
MAX_CONNECTIONS = 512  # at once, or a third of the files that the process may have open
BACKLOG = 16  # connections accepted at once: when no file can be opened, asyncio tries this many, each with a traceback


def is_upload(scope: Scope) -> bool:
    """Whether a request sends files."""
    return bool(scope["path"].rstrip("/").endswith("/upload"))


def is_login(scope: Scope) -> bool:
    """Whether a request is an attempt to log in."""
    return bool(scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/login"))


def bounded(scope: Scope, receive: Receive) -> Receive:
    """Wrap `receive` to raise HTTPException if a client sends too much or too slowly."""
    limit = MAX_UPLOAD + 2**16 if is_upload(scope) else MAX_LOGIN if is_login(scope) else MAX_REQUEST
    length, due, patience, whole = 0, PIECE, PIECE_SECONDS, False

    async def receiving() -> Message:
        nonlocal length, due, patience, whole
        if whole:  # only the end of the connection can follow, at any time
            return await receive()
        began = time.monotonic()
        try:
            message = await asyncio.wait_for(receive(), patience)
        except asyncio.TimeoutError as error:
            raise HTTPException(408, f"too slow: expected {PIECE // 1024} KiB in each {PIECE_SECONDS:g} s") from error
        patience = max(0.0, patience - (time.monotonic() - began))  # time between calls is the server's, so it does not count
        length += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if length >= due:
            due, patience = length + PIECE, PIECE_SECONDS
        if length > limit:
            raise HTTPException(413, f"expected at most {limit:,} bytes, of all files together")
        return message

    return receiving


def _most_connections() -> int:
    """Limit connections by the files that may be open: without any left, the server cannot answer anyone."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, files // 3)


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Adds limits to Uvicorn's protocol, which accepts any number of connections and waits forever for the end of headers."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Extend the base method: start the headers' timer, and abort if there are too many connections."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > _most_connections():
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Extend the base method: restart the timer for the headers of the next request."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Extend the base method: stop the timer."""
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if not self._waits() and self._timer:
            self._timer.cancel()
            self._timer = None
        elif self._waits() and not self._timer:
            self._timer = self.loop.call_later(HEADER_SECONDS, self._close)

    def _waits(self) -> bool:
        """Whether no request is being answered, so that headers come next."""
        return self.cycle is None or self.cycle.response_complete

    def _close(self) -> None:
        self._timer = None
        if self._waits():
            self.transport.close()
