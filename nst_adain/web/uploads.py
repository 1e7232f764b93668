"""Keeps uploads and results from filling the disk, however a request ends."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nst_adain.web.limits import MAX_UPLOAD, is_upload

__all__ = [
    "CROWDED_SECONDS",
    "FULL",
    "KEPT_SECONDS",
    "QUOTA",
    "RESERVE",
    "SAMPLES",
    "SWEEP_SECONDS",
    "UNFINISHED_SECONDS",
    "Uploads",
    "check_room",
    "make_room",
    "new_file",
    "sweep",
    "sweeping",
    "uploaded",
]

QUOTA = 40 * MAX_UPLOAD  # bytes of all files in the page's folder, 2 GB; beyond it uploads are refused until some are removed
RESERVE = 4 * MAX_UPLOAD  # bytes of the disk to leave free, for results and for other programs
KEPT_SECONDS = 4 * 3600  # age at which files are removed,
UNFINISHED_SECONDS = 60  # and those that Gradio began to write but did not move into place,
SWEEP_SECONDS = 60  # and how often to look for them
CROWDED_SECONDS = 600  # age at which files are removed if there is no room for others
SAMPLES = "samples"  # the subfolder of the page's folder that is kept
FULL = "there is no room for more files here now: try again later"
_PIECE = 1 << 16  # bytes
_ENTRY = 4096  # bytes that a file or folder takes on a disk besides its content


class Uploads:
    """Receives uploads whole before Gradio sees them, so that one broken off, refused or too large leaves nothing behind.

    Gradio itself writes to the folder as it reads, and does not remove unfinished files.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        """Pass on to `app`, which writes to `folder`."""
        self.app, self.folder = app, folder
        self._held = 0  # bytes of all uploads in progress

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["method"] != "POST" or not is_upload(scope):
            await self.app(scope, receive, send)
            return
        used = await anyio.to_thread.run_sync(make_room, self.folder)
        held = 0
        with tempfile.TemporaryFile(dir=self.folder) as file:
            try:
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    body, more = message.get("body", b""), message.get("more_body", False)
                    held, self._held = held + len(body), self._held + len(body)
                    self._check(used, len(body))
                    file.write(body)
                self._check(await anyio.to_thread.run_sync(_bytes_below, self.folder), 0)  # others may have ended
                file.seek(0)
                await self.app(scope, _replay(file, held, receive), send)
            finally:
                self._held -= held

    def _check(self, used: int, more: int) -> None:
        if used + self._held > QUOTA or _free(self.folder) < RESERVE + more:
            raise HTTPException(507, FULL)


def _replay(file: IO[bytes], length: int, receive: Receive) -> Receive:
    """Return a `receive` that replays a file of `length` bytes, then goes on with the original."""
    left, ended = length, False

    async def again() -> Message:
        nonlocal left, ended
        if ended:
            return await receive()
        body = file.read(_PIECE)
        left -= len(body)
        ended = left <= 0
        return {"type": "http.request", "body": body, "more_body": not ended}

    return again


def make_room(folder: Path) -> int:
    """Return the bytes of all files in the page's folder; if there is too little room, remove older files first."""
    used = _bytes_below(folder)
    if used > QUOTA - MAX_UPLOAD or _free(folder) < RESERVE + MAX_UPLOAD:
        sweep(folder, time.time(), CROWDED_SECONDS)
        used = _bytes_below(folder)
    return used


def check_room(folder: Path) -> None:
    """Raise ValueError if there is no room for another result."""
    if make_room(folder) > QUOTA or _free(folder) < RESERVE:
        raise ValueError(FULL)


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _bytes_below(folder: Path) -> int:
    total = 0
    for name, folders, files in os.walk(folder):  # skips folders that are removed meanwhile
        total += _ENTRY * (len(folders) + len(files))
        for file in files:
            with contextlib.suppress(OSError):  # removed meanwhile
                total += os.lstat(os.path.join(name, file)).st_size
    return total


def sweep(folder: Path, now: float, seconds: float | None = None) -> None:
    """Remove files below `folder` that are older than `seconds`, by default `KEPT_SECONDS`, and empty folders.

    Files in `SAMPLES` stay. Temporary files in `folder` itself are removed after `UNFINISHED_SECONDS`.
    """
    seconds, kept = KEPT_SECONDS if seconds is None else seconds, folder / SAMPLES
    for name, _, files in os.walk(folder, topdown=False):
        place = Path(name)
        if place == kept or kept in place.parents:
            continue
        for file in files:
            unfinished = place == folder and file.startswith(tempfile.gettempprefix())
            with contextlib.suppress(OSError):  # a problem with one must not keep the others
                if now - (place / file).lstat().st_mtime > (UNFINISHED_SECONDS if unfinished else seconds):
                    (place / file).unlink()
        with contextlib.suppress(OSError):  # not empty
            if place != folder and now - place.stat().st_mtime > seconds:
                place.rmdir()


@contextlib.contextmanager
def sweeping(folder: Path) -> Iterator[None]:
    """Call `sweep` regularly during this block."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(SWEEP_SECONDS):
            sweep(folder, time.time())

    threading.Thread(target=run, daemon=True, name="sweep").start()
    try:
        yield
    finally:
        ended.set()


def uploaded(folder: Path, file: Any, name: str) -> Path:
    """Return the path of an uploaded file. A client can send any path, and Gradio does not check all of them.

    Raises:
        FileNotFoundError: if the file was removed since.
        ValueError: if it is not in `folder`; the message names the argument `name`.
    """
    path = Path(os.path.realpath(str(file.get("path") if isinstance(file, dict) else file)))
    if not path.is_relative_to(folder):
        raise ValueError(f"{name}: expected a file that was uploaded here")
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is no longer kept here: choose it again.")
    return path


def new_file(folder: Path, name: str) -> Path:
    """Return the path of a new file, in a folder with an unguessable name: anyone who knows a path gets the file."""
    check_room(folder)
    place = folder / secrets.token_hex(16)
    place.mkdir()
    return place / name
