"""Decides which requests to the page are answered, and answers in words those that fail.

Gradio asks for the password at some addresses only, and answers under any name.
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

LOGIN_SECONDS = 1.0  # that a wrong password costs
MAX_LOGINS = 8  # attempts at once, of different addresses

# Gradio's page compiles templates and has its scripts and styles inline.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; form-action 'self'"
# What the login's own page is made of, and what Gradio asks its server for as it starts.
_OPEN = (
    "/login", "/assets/", "/static/", "/svelte/", "/theme.css", "/favicon.ico", "/manifest.json", "/pwa_icon",
    "/robots.txt", "/gradio_api/startup-events", "/gradio_api/theme.css",
)  # fmt: skip
# Gradio's, of no use here: they write files that nobody counts, the first outside the page's folder, the second when linked to.
_CLOSED = ("/gradio_api/process_recording", "/gradio_api/deep_link")


def told(error: BaseException) -> str:
    """An error in a part of a line, without letters that a terminal would obey."""
    return f"{type(error).__name__}: {one_line(error)}"


def in_words(app: ASGIApp) -> ASGIApp:
    """Answer in words whatever goes wrong in an application, and log it in one line."""

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
        except Exception as error:  # whatever a client's data lead to
            status, detail = _answer_to(error)
            if not isinstance(error, HTTPException):
                print(f"nst-adain: {scope['method']} {scope['path'][:100]!r} failed: {told(error)}", file=sys.stderr)
            if not started:
                await JSONResponse({"detail": detail}, status)(scope, receive, send)

    return answering


def _answer_to(error: Exception) -> tuple[int, str]:
    """The status and the words for a request that failed."""
    if isinstance(error, HTTPException):
        return error.status_code, error.detail
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return 507, "the server's disk is full"
    return 500 if isinstance(error, (OSError, MemoryError)) else 400, "the request cannot be answered"


class Gate:
    """Refuses what is not meant for this page, and what is too long or too slow.

    Another web site, open in the same browser, may send requests to this computer, also under a name of its own that it lets
    point here (DNS rebinding). So a request has to be for a name or an address of this page, and from no other site.
    """

    def __init__(self, app: Any, names: Collection[str], public: Collection[str] = ()) -> None:
        """Pass on requests.

        Args:
            app: to this, Gradio's application; its `auth`, if any, says that a login is asked for.
            names: those for hosts of these names, or for any address in numbers, which needs no name.
            public: likewise, and from pages of these: those of a server that passes requests on under another name.
        """
        self.app = app
        self.public = {host_name(name) for name in public}
        self.names = {name.lower().rstrip(".") for name in names} | self.public
        self._logins = asyncio.Semaphore(MAX_LOGINS)
        self._networks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "websocket":  # there are none
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
        """Raise HTTPException if a request is for another host, from another site, or from nobody who is logged in."""
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
        """Each network's attempts one after another, in the order in which they came, with a pause after each wrong one.

        So guessing takes long, and keeps nobody waiting but who guesses; who is behind a server that passes on claimed
        addresses waits for all at most, and still gets a turn.
        """
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

        network = self._networks.setdefault(_network(scope), asyncio.Lock())
        gone = asyncio.ensure_future(receive())  # the client's end, as nothing else follows
        try:
            async with _turn(network, gone), _turn(self._logins, gone):
                gone.cancel()
                await self.app(scope, again, late)
        finally:
            gone.cancel()


@contextlib.asynccontextmanager
async def _turn(place: asyncio.Lock | asyncio.Semaphore, gone: asyncio.Future[Any]) -> AsyncIterator[None]:
    """Wait for a place, but not for somebody who is gone: else attempts could wait without a connection, in any number."""
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
    """Whose addresses count as one client: in IPv6, each has 2**64 of them."""
    address = (scope.get("client") or ("",))[0]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return str(address)
    return str(parsed) if parsed.version == 4 else str(ipaddress.IPv6Network((int(parsed), 64), strict=False))


def host_name(text: str) -> str:
    """The name in what somebody calls a host, perhaps with a scheme or a port; nothing if there is none."""
    return _name(text if "//" in text else f"//{text}")


def _name(url: str) -> str:
    """The host's name or address in a URL."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
