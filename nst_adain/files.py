"""Writes files whole or not at all, and removes what killed processes left behind."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import secrets
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = [
    "check_folder",
    "lock",
    "made_folder",
    "make_folder",
    "remove_strays",
    "replacing",
    "write_atomic",
    "write_new",
    "writing",
]

# Files have temporary names until they are whole: the computer that writes them, then 16 random digits.
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_NO_HOST = "0" * 8  # for files that cannot be locked: like those of another host, they count as strays only after a day
_PARTIAL = re.compile(r"\.([0-9a-f]{8})[0-9a-f]{16}\.partial(\.[0-9a-z]+)?")
# Seconds without a change after which an unlocked file counts as left by a killed process. On Windows a file is not locked
# between closing and renaming it.
_LOCAL_PATIENCE = 60.0 if sys.platform == "win32" else 0.0
_REMOTE_PATIENCE = 24 * 60 * 60.0


def check_folder(path: Path) -> None:
    """Raise OSError unless a file can be written at `path`: its folder exists, and it is not a folder, pipe or device."""
    target = _target(path)
    folder = target.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{path}: the folder {folder} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected the name of a file, found a folder")
    if target.exists() and not target.is_file():  # renaming a file to it would replace it
        raise FileExistsError(f"{path}: expected the name of a file, found a pipe or a device")


def _target(path: str | os.PathLike[str]) -> Path:
    """Follow a link, as opening the path would; return any other path itself."""
    return Path(os.path.realpath(path) if os.path.islink(path) else path)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, unless they exist.

    Raises:
        NotADirectoryError: if one of them is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"{folder}: expected a folder, found a file of this name or of one above it") from error


@contextlib.contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder and its parents; if an error ends the block, remove those again that are new and empty.

    Raises:
        NotADirectoryError: as for `make_folder`.
    """
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        make_folder(folder)
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # of the first that is not empty, in which all others are
            for path in new:
                path.rmdir()
        raise


def write_atomic(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write a file so that its name only ever leads to the whole old content or the whole new one."""
    with replacing(path) as partial:
        _write(path, partial, data)


def write_new(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write a file so that its name only ever leads to nothing or to the whole content.

    Raises:
        FileExistsError: if the file exists; it stays as it is.
    """
    with _partial(path) as partial:
        _write(path, partial, data)
        with writing(path):
            try:
                os.link(partial, path)
            except FileExistsError:
                raise
            except OSError as error:  # a file system without hard links
                if os.path.lexists(path):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
                os.replace(partial, path)


def _write(path: str | os.PathLike[str], partial: Path, data: bytes | memoryview) -> None:
    with writing(path), open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make system errors in this block name `path` instead of the hidden file that is written, or none at all."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # one of this package's own, which names its file
            raise
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], suffix: str = "") -> Iterator[Path]:
    """Yield a hidden file beside `path` to write to: it becomes `path` at the end, or is removed if an error ends the block."""
    with _partial(path, suffix) as partial:
        yield partial
        with writing(path):
            os.replace(partial, _target(path))


@contextlib.contextmanager
def _partial(path: str | os.PathLike[str], suffix: str = "") -> Iterator[Path]:
    """Yield a hidden file beside `path` and hold its lock; remove it at the end unless it was renamed."""
    target = _target(path)
    host = _HOST
    while True:
        partial = target.with_name(f".{host}{secrets.token_hex(8)}.partial{suffix}")
        with writing(path):
            file = open(partial, "xb")  # noqa: SIM115
        try:
            if sys.platform == "win32":  # cannot remove or rename an open file
                file.close()
            elif host == _HOST:
                if not _hold(file, partial):
                    continue
                if not _others_can_write(partial):
                    host = _NO_HOST
                    continue
            yield partial
            return
        finally:
            file.close()
            with contextlib.suppress(OSError):  # such as on a disk that became read-only, which an error has reported
                partial.unlink(missing_ok=True)


def _hold(file: IO[bytes], path: Path) -> bool:
    """Lock a file that was just made; return False if `remove_strays` of another process removed it first."""
    try:
        lock(file)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where `remove_strays` cannot lock it either
        pass
    return path.exists()


def _others_can_write(path: Path) -> bool:
    """Whether another handle can write to a locked file; not on an SMB share: flock(2), "CIFS details"."""
    try:
        with open(path, "r+b") as other:
            other.write(b"0")
            other.flush()
            other.truncate(0)
    except PermissionError:
        return False
    return True


def lock(file: IO[bytes]) -> None:
    """Lock an open file for this process alone, until the file is closed or the process ends in any way.

    Raises:
        BlockingIOError: if another process, or another handle of this one, holds the lock.
        OSError: if the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(*error.args) from error
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_strays(path: Path) -> None:
    """Remove files that killed processes left half written in the folder `path`, or beside the file `path`.

    Files that are still being written stay. Locks of other computers may not be visible here, so their files are removed
    once nothing was written to them for a day.
    """
    folder = path if os.path.isdir(path) else _target(path).parent
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (named := _PARTIAL.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                _remove_free(Path(entry.path), _LOCAL_PATIENCE if named[1] == _HOST else _REMOTE_PATIENCE)


def _remove_free(path: Path, patience: float) -> None:
    """Remove a file unless a process holds it or wrote to it within the last `patience` seconds."""
    with contextlib.suppress(OSError):
        if patience and time.time() - path.stat().st_mtime < patience:
            return
        if sys.platform == "win32":  # unlinking fails there while the file is open
            path.unlink()
        else:
            with open(path, "rb+") as file:
                lock(file)
                path.unlink()
