"""Files written whole or not at all."""

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

__all__ = ["check_folder", "lock", "make_folder", "remove_strays", "replacing", "write_atomic", "write_new", "writing"]

# Names of files until they are whole: which computer writes them, then 16 digits at random.
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_NO_HOST = "0" * 8  # in the names of files that cannot be held: as of another host, they are strays after a day alone
_PARTIAL = re.compile(r"\.([0-9a-f]{8})[0-9a-f]{16}\.partial(\.[0-9a-z]+)?")
# Seconds without a change after which a file that nobody holds was left by a killed process. On Windows a file is not held
# from when it is closed until it has its name.
_LOCAL_PATIENCE = 60.0 if sys.platform == "win32" else 0.0
_REMOTE_PATIENCE = 24 * 60 * 60.0


def check_folder(path: Path) -> None:
    """Raise OSError unless `path` can be a file: its folder exists, and it is no folder, pipe or device itself."""
    target = _target(path)
    folder = target.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"{path}: the folder {folder} does not exist")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected the name of a file, found a folder")
    if target.exists() and not target.is_file():  # a file would take its place
        raise FileExistsError(f"{path}: expected the name of a file, found a pipe or a device")


def _target(path: str | os.PathLike[str]) -> Path:
    """Where a link leads, as where a file is just opened; any other path itself."""
    return Path(os.path.realpath(path) if os.path.islink(path) else path)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, unless it is there.

    Raises:
        NotADirectoryError: if one of them is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"{folder}: expected a folder, found a file of this name or of one above it") from error


def write_atomic(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write a file so that under its name there is only ever the old content or the new one."""
    with replacing(path) as partial:
        _write(path, partial, data)


def write_new(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write a file so that under its name there is only ever nothing or all of it.

    Raises:
        FileExistsError: if there is a file of this name, which stays as it is.
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
    """Errors of the system in this block are about `path`, whatever hidden name is written to, or none."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # one of ours, about another file
            raise
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], suffix: str = "") -> Iterator[Path]:
    """A hidden file beside `path` to write to: it becomes `path` at the end, or is removed if an error ends the block."""
    with _partial(path, suffix) as partial:
        yield partial
        with writing(path):
            os.replace(partial, _target(path))


@contextlib.contextmanager
def _partial(path: str | os.PathLike[str], suffix: str = "") -> Iterator[Path]:
    """A hidden file beside `path`, which this process holds, and removes in the end unless it has another name by then."""
    target = _target(path)
    host = _HOST
    while True:
        partial = target.with_name(f".{host}{secrets.token_hex(8)}.partial{suffix}")
        with writing(path):
            file = open(partial, "xb")  # noqa: SIM115
        try:
            if sys.platform == "win32":  # which removes and renames no file that is open
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
            with contextlib.suppress(OSError):  # as on a disk that can only be read, of which an error has told
                partial.unlink(missing_ok=True)


def _hold(file: IO[bytes], path: Path) -> bool:
    """Lock a file that was just made; False: `remove_strays` of another process came between, and it is gone."""
    try:
        lock(file)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where nothing is taken for a stray
        pass
    return path.exists()


def _others_can_write(path: Path) -> bool:
    """Whether a locked file can be written to by another handle; not on an SMB share: flock(2), "CIFS details"."""
    try:
        with open(path, "r+b") as other:
            other.write(b"0")
            other.flush()
            other.truncate(0)
    except PermissionError:
        return False
    return True


def lock(file: IO[bytes]) -> None:
    """Hold an open file for this process alone, until it is closed or the process ends, however that comes.

    Raises:
        BlockingIOError: if another process holds it, or this one by another handle.
        OSError: if its file system knows no locks.
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
    """Remove what killed processes left half written in the folder `path`, or beside that file; what is being written stays.

    What another computer wrote, whose locks may not be seen from here, goes when nothing was written to it for a day.
    """
    folder = path if os.path.isdir(path) else _target(path).parent
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (named := _PARTIAL.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                _remove_free(Path(entry.path), _LOCAL_PATIENCE if named[1] == _HOST else _REMOTE_PATIENCE)


def _remove_free(path: Path, patience: float) -> None:
    """Remove a file that no process holds and that nothing was written to for so many seconds."""
    with contextlib.suppress(OSError):
        if patience and time.time() - path.stat().st_mtime < patience:
            return
        if sys.platform == "win32":  # where this fails if the file is open
            path.unlink()
        else:
            with open(path, "rb+") as file:
                lock(file)
                path.unlink()
