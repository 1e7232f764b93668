"""What passes between the page and its server: who is answered, how much they may send, and how long they may take.

Gradio limits single files alone, asks for the password at some addresses only, and answers under any name.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import sys
import time
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from nst_adain.errors import one_line

__all__ = ["BACKLOG", "MAX_UPLOAD", "BoundedProtocol", "Gate", "host_name", "is_upload", "say", "told"]

MAX_UPLOAD = 50 * 2**20  # bytes of a file, and of all files that are sent at once
MAX_REQUEST = 2 * 2**20  # of any other request
HEADER_SECONDS = 20.0  # that a client may take for the headers of a request
SILENCE_SECONDS = 30.0  # and for the next piece of what follows: a slow line is no silence
BODY_SECONDS = 1800.0  # and for all of it
MAX_CONNECTIONS = 512  # at once, or a third of the files that the process may have open
BACKLOG = 16  # connections taken at once: asyncio tries as many, each with a traceback, when no file can be opened
LOGIN_SECONDS = 1.0  # that a wrong password costs
MAX_LOGINS = 8  # attempts that may wait for one another

# Gradio's page compiles templates and has its scripts and styles inline.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; form-action 'self'"
# What the login's own page is made of, and what Gradio asks its server for as it starts.
_OPEN = (
    "/login", "/assets/", "/static/", "/svelte/", "/theme.css", "/favicon.ico", "/manifest.json", "/pwa_icon",
    "/robots.txt", "/gradio_api/startup-events", "/gradio_api/theme.css",
)  # fmt: skip
# Gradio's, of no use here: they write files that nobody counts, the first outside the page's folder, the second when linked to.
_CLOSED = ("/gradio_api/process_recording", "/gradio_api/deep_link")


def is_upload(scope: Scope) -> bool:
    """Whether a request sends files."""
    return bool(scope["path"].rstrip("/").endswith("/upload"))


def say(scope: Scope, error: BaseException) -> None:
    """One line of the log, of a request that failed: what clients send should not fill it."""
    print(f"nst-adain: {scope['method']} {scope['path'][:100]!r} failed: {told(error)}", file=sys.stderr)


def told(error: BaseException) -> str:
    """An error in a part of a line, without letters that a terminal would obey."""
    return f"{type(error).__name__}: {one_line(error)}"


class Gate:
    """Refuses what is not meant for this page, and what is too long or too slow; answers in words whatever goes wrong.

    Another web site, open in the same browser, may send requests to this computer, also under a name of its own that it lets
    point here (DNS rebinding). So a request has to be for a name or an address of this page, and from no other site.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], public: Collection[str] = ()) -> None:
        """Pass on requests.

        Args:
            app: to this.
            names: those for hosts of these names, or for any address in numbers, which needs no name.
            public: likewise, and from pages of these: those of a server that passes requests on under another name.
        """
        self.app = app
        self.public = {host_name(name) for name in public}
        self.names = {name.lower().rstrip(".") for name in names} | self.public
        self._login, self._waiting = asyncio.Lock(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "websocket":  # there are none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        async def answer(status: int, detail: object) -> None:
            if not started:
                await JSONResponse({"detail": detail}, status)(scope, receive, guarded)

        try:
            self._check(scope)
            if scope["method"] == "POST" and scope["path"].rstrip("/").endswith("/login"):
                await self._log_in(scope, _bounded(scope, receive), guarded)
            else:
                await self.app(scope, _bounded(scope, receive), guarded)
        except HTTPException as error:
            await answer(error.status_code, error.detail)
        except ClientDisconnect:
            pass
        except Exception as error:  # whatever a client's data lead to
            say(scope, error)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                await answer(507, "the server's disk is full")
            else:
                status = 500 if isinstance(error, (OSError, MemoryError)) else 400
                await answer(status, "the request cannot be answered")

    def _check(self, scope: Scope) -> None:
        """Raise HTTPException if a request is for another host, from another site, or from nobody who is logged in."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_ours(host):
            raise HTTPException(421, "expected a request for this page's own host name; others are allowed by --allow-host")
        foreign = origin is not None and origin.lower().partition("//")[2] != host.lower() and _name(origin) not in self.public
        if foreign or (origin is None and scope["method"] != "GET" and headers.get("sec-fetch-site") == "cross-site"):
            other = "that of a server in front of it is allowed by --allow-host"
            raise HTTPException(403, f"expected a request from this page, got one from another site; {other}")
        app: Any = scope.get("app")
        if getattr(app, "auth", None) is not None and scope["path"] != "/" and not scope["path"].startswith(_OPEN):
            cookies = cookie_parser(headers.get("cookie", ""))
            tokens = [cookies.get(f"{name}-{app.cookie_id}") for name in ("access-token", "access-token-unsecure")]
            if not any(token in app.tokens for token in tokens if token):
                raise HTTPException(401, "Not authenticated")
        if scope["path"].startswith(_CLOSED):
            raise HTTPException(404, "Not Found")

    def _is_ours(self, host: str) -> bool:
        name = _name(f"//{host}")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self.names
        return True

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One attempt at a time, and a pause after each wrong one: guessing takes long. Of all clients together, for who is
        behind another server may claim any address."""
        messages = [await receive()]  # all of it, before others wait for it
        while messages[-1].get("more_body", False):
            messages.append(await receive())
        messages.reverse()

        async def again() -> Message:
            return messages.pop() if messages else await receive()

        async def late(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                await asyncio.sleep(LOGIN_SECONDS)
            await send(message)

        if self._waiting >= MAX_LOGINS:
            raise HTTPException(429, "too many attempts: try again in some seconds")
        self._waiting += 1
        try:
            async with self._login:
                await self.app(scope, again, late)
        finally:
            self._waiting -= 1


def _most_connections() -> int:
    """Without files to open, nobody is answered, not even those who are connected."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource

    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, files // 3)


def host_name(text: str) -> str:
    """The name in what somebody calls a host, perhaps with a scheme or a port; nothing if there is none."""
    return _name(text if "//" in text else f"//{text}")


def _name(url: str) -> str:
    """The host's name or address in a URL."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """What a client sends, unless it is too long or stays away too long."""
    limit = MAX_UPLOAD + 2**16 if is_upload(scope) else MAX_REQUEST
    length, whole, began = 0, False, time.monotonic()

    async def bounded() -> Message:
        nonlocal length, whole
        if whole:  # what comes now is the end of the connection, whenever that is
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), SILENCE_SECONDS)
        except asyncio.TimeoutError as error:
            raise HTTPException(408, f"nothing was sent for {SILENCE_SECONDS:g} s") from error
        length += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if time.monotonic() - began > BODY_SECONDS:
            raise HTTPException(408, f"not all was sent in {BODY_SECONDS:g} s")
        if length > limit:
            raise HTTPException(413, f"expected at most {limit:,} bytes, of all files together")
        return message

    return bounded


def _quiet(app: ASGIApp) -> ASGIApp:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:
            say(scope, error)

    return guarded


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """Uvicorn's protocol, which by itself takes any number of connections and waits for the end of headers for ever."""

    _timer: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As of the base class; what Gradio's own layers, which stand before the gate, fail at is one line of the log too."""
        super().__init__(*arguments, **options)
        app: ASGIApp = self.app  # type: ignore[has-type]
        self.app = _quiet(app)

    def connection_made(self, transport: Any) -> None:
        """As of the base class; the headers have to come soon, and there may be too many connections."""
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > _most_connections():
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """As of the base class; likewise, of a further request."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """As of the base class."""
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
        """Whether no request is being answered, so that what comes are headers."""
        return self.cycle is None or self.cycle.response_complete

    def _close(self) -> None:
        self._timer = None
        if self._waits():
            self.transport.close()
