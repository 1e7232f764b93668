"""Decides which requests to the page are answered, and answers failed ones with a message.

Gradio itself asks for the password only at some addresses, and answers requests for any host name.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import sys
import weakref
from collections.abc import AsyncIterator, Collection
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nst_adain.errors import one_line
from nst_adain.web.limits import bounded, is_login

__all__ = ["LOGIN_SECONDS", "MAX_LOGINS", "POLICY", "Gate", "host_name", "in_words", "told"]

LOGIN_SECONDS = 1.0  # delay after a wrong password
MAX_LOGINS = 8  # simultaneous attempts, from different networks

# Gradio's page compiles templates and inlines its scripts and styles.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; form-action 'self'"
# What the login page loads, and what Gradio requests from its own server as it starts.
_OPEN = (
    "/login", "/assets/", "/static/", "/svelte/", "/theme.css", "/favicon.ico", "/manifest.json", "/pwa_icon",
    "/robots.txt", "/gradio_api/startup-events", "/gradio_api/theme.css",
)  # fmt: skip
# Gradio's routes that this page does not use: they write files outside the quota, the first even outside the page's folder.
_CLOSED = ("/gradio_api/process_recording", "/gradio_api/deep_link")


def told(error: BaseException) -> str:
    """Describe an error within one line, without control characters that a terminal would obey."""
    return f"{type(error).__name__}: {one_line(error)}"


def in_words(app: ASGIApp) -> ASGIApp:
    """Answer any error of an application with a message, and log it in one line."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await app(scope, receive, sending)
        except ClientDisconnect:
            pass
        except Exception as error:  # a client's data may cause anything
            status, detail = _answer_to(error)
            if not isinstance(error, HTTPException):
                print(f"nst-adain: {scope['method']} {scope['path'][:100]!r} failed: {told(error)}", file=sys.stderr)
            if not started:
                await JSONResponse({"detail": detail}, status)(scope, receive, send)

    return answering


def _answer_to(error: Exception) -> tuple[int, str]:
    """Choose the status and the message for a request that failed."""
    if isinstance(error, HTTPException):
        return error.status_code, error.detail
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return 507, "the server's disk is full"
    return 500 if isinstance(error, (OSError, MemoryError)) else 400, "the request cannot be answered"


class Gate:
    """Refuses requests that are not meant for this page, are too long or are too slow.

    Another web site, open in the same browser, may send requests to this computer, even under its own name if it makes that
    name point here (DNS rebinding). So a request must be for a name or address of this page, and not from another site.
    """

    def __init__(self, app: Any, names: Collection[str], public: Collection[str] = ()) -> None:
        """Wrap an application.

        Args:
            app: Gradio's application; if its `auth` is set, a login is required.
            names: the host names to accept; numeric addresses are always accepted.
            public: further host names to accept, also as origins: those of a proxy that forwards requests.
        """
        self.app = app
        self.public = {host_name(name) for name in public}
        self.names = {name.lower().rstrip(".") for name in names} | self.public
        self._logins = asyncio.Semaphore(MAX_LOGINS)
        self._networks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "websocket":  # the page uses none
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            await in_words(self._answer)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._check(scope)
        answer = self._log_in if is_login(scope) else self.app

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await answer(scope, bounded(scope, receive), guarded)

    def _check(self, scope: Scope) -> None:
        """Raise HTTPException if a request is for another host, comes from another site, or lacks a login."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_ours(host):
            raise HTTPException(421, "expected a request for this page's own host name; others are allowed by --allow-host")
        foreign = origin is not None and origin.lower().partition("//")[2] != host.lower() and _name(origin) not in self.public
        if foreign or (origin is None and scope["method"] != "GET" and headers.get("sec-fetch-site") == "cross-site"):
            other = "that of a server in front of it is allowed by --allow-host"
            raise HTTPException(403, f"expected a request from this page, got one from another site; {other}")
        if getattr(self.app, "auth", None) is not None and scope["path"] != "/" and not scope["path"].startswith(_OPEN):
            cookies = cookie_parser(headers.get("cookie", ""))
            tokens = [cookies.get(f"{name}-{self.app.cookie_id}") for name in ("access-token", "access-token-unsecure")]
            if not any(token in self.app.tokens for token in tokens if token):
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
        """Handle each network's attempts one after another, in order of arrival, with a pause after each wrong one.

        So guessing is slow, and delays only the network that guesses. Behind a proxy all clients may look like one network:
        they then wait for one another at most, and still get a turn.
        """
        messages = [await receive()]  # read all of it first, so that others need not wait for a slow client
        while messages[-1].get("more_body", False):
            messages.append(await receive())
        messages.reverse()

        async def again() -> Message:
            return messages.pop() if messages else await receive()

        async def late(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                await asyncio.sleep(LOGIN_SECONDS)
            await send(message)

        network = self._networks.setdefault(_network(scope), asyncio.Lock())
        gone = asyncio.ensure_future(receive())  # only the client's disconnection can follow
        try:
            async with _turn(network, gone), _turn(self._logins, gone):
                gone.cancel()
                await self.app(scope, again, late)
        finally:
            gone.cancel()


@contextlib.asynccontextmanager
async def _turn(place: asyncio.Lock | asyncio.Semaphore, gone: asyncio.Future[Any]) -> AsyncIterator[None]:
    """Wait for a turn, but give up when the client is gone: else any number of dead attempts could pile up."""
    taking: asyncio.Future[Any] = asyncio.ensure_future(place.acquire())
    try:
        await asyncio.wait([taking, gone], return_when=asyncio.FIRST_COMPLETED)
        if not taking.done():
            raise ClientDisconnect
        yield
    finally:
        if taking.done():
            place.release()
        else:
            taking.cancel()


def _network(scope: Scope) -> str:
    """Return the network that counts as one client: in IPv6, each client has 2**64 addresses."""
    address = (scope.get("client") or ("",))[0]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return str(address)
    return str(parsed) if parsed.version == 4 else str(ipaddress.IPv6Network((int(parsed), 64), strict=False))


def host_name(text: str) -> str:
    """Extract the host name from text that may have a scheme or a port; return "" if there is none."""
    return _name(text if "//" in text else f"//{text}")


def _name(url: str) -> str:
    """Extract the host name or address from a URL."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
