"""Reads and writes the files of a folder or of a store, such as s3://bucket/folder, whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from nst_adain.files import check_folder, make_folder, replacing, write_new, writing

__all__ = ["FULL", "PATIENCE", "Store"]

PATIENCE = 600.0  # seconds for which a store that does not answer is asked again
# Errors that no picture is to blame for, and that waiting does not help.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Store:
    """A place for files: a folder, or a URL that fsspec knows. What is put there has its name only once it is whole.

    Attributes:
        url: the path of the folder, or the URL.
        patience: seconds for which a store that does not answer is asked again.
    """

    url: str
    patience: float = PATIENCE

    @property
    def local(self) -> Path | None:
        """The folder, if it is one of this machine's file system."""
        return None if "://" in self.url else Path(self.url)

    def absolute(self) -> Store:
        """Return the same place for processes that run in another folder."""
        return self if self.local is None else dataclasses.replace(self, url=os.path.abspath(self.url))

    def names(self) -> Iterator[str]:
        """Yield the names of all files below it, sorted, relative to it; none if it does not exist."""
        if self.local is not None:
            paths = (Path(folder, file) for folder, _, files in os.walk(self.local) for file in files)
            yield from sorted(path.relative_to(self.local).as_posix() for path in paths)
            return
        system = self._system()
        root = system._strip_protocol(self.url)
        for path in self._patiently(lambda: sorted(system.find(root))):
            yield path.removeprefix(root).lstrip("/")

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file, or None if there is none."""
        try:
            if self.local is not None:
                return (self.local / name).read_bytes()
            return bytes(self._patiently(lambda: self._system().cat_file(self._path(name))))
        except FileNotFoundError:
            return None

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        if self.local is not None:
            return (self.local / name).exists()
        return bool(self._patiently(lambda: self._system().exists(self._path(name))))

    def get(self, name: str, path: Path) -> None:
        """Copy a file to a local path.

        Raises:
            FileNotFoundError: if there is none.
        """
        if self.local is not None:
            if not (self.local / name).exists():
                raise FileNotFoundError(f"{self.local / name}: expected a file, found none")
            shutil.copyfile(self.local / name, path)
        else:
            self._patiently(lambda: self._system().get_file(self._path(name), str(path)))

    def put(self, path: Path, name: str) -> None:
        """Copy a local file to it, in place of another of this name."""
        if self.local is not None:
            target = self.local / name
            make_folder(target.parent)
            check_folder(target)
            with replacing(target) as partial, writing(target):
                shutil.copyfile(path, partial)
                with open(partial, "rb") as file:
                    os.fsync(file.fileno())
        else:  # in a store of objects, one appears once it is whole
            self._patiently(lambda: self._system().put_file(str(path), self._path(name)))

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        if self.local is not None:
            (self.local / name).unlink(missing_ok=True)
            return
        with contextlib.suppress(FileNotFoundError):
            self._patiently(lambda: self._system().rm_file(self._path(name)))

    def claim(self, name: str, data: bytes) -> bytes:
        """Write a file unless it exists, perhaps from a call that runs beside this one, and return what is there then."""
        if self.local is not None:
            make_folder(self.local)
            with contextlib.suppress(FileExistsError):
                write_new(self.local / name, data)
        elif not self.exists(name):
            try:
                self._patiently(lambda: self._system().pipe_file(self._path(name), data, mode="create"))
            except (FileExistsError, NotImplementedError, TypeError) as error:
                if not isinstance(error, FileExistsError):  # a store that cannot tell: the last of two is read back
                    self._patiently(lambda: self._system().pipe_file(self._path(name), data))
        return self.read(name) or b""

    def _path(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}"

    def _system(self) -> Any:
        import fsspec

        # Without its cache of listings: other processes write to the store meanwhile.
        return fsspec.core.url_to_fs(self.url, use_listings_cache=False)[0]

    def _patiently(self, call: Callable[[], _T]) -> _T:
        """Call again, after growing pauses, while the store does not answer."""
        until, pause = time.monotonic() + self.patience, 0.5
        while True:
            try:
                return call()
            except (FileNotFoundError, FileExistsError, PermissionError, NotImplementedError, TypeError, ImportError):
                raise
            except Exception as error:  # libraries of stores raise what they like
                hopeless = isinstance(error, OSError) and error.errno in FULL
                if hopeless or time.monotonic() + pause > until:
                    words = " ".join(str(error).split()) or type(error).__name__
                    raise OSError(f"{self.url}: the store does not answer: {words}") from error
            time.sleep(pause)
            pause = min(2 * pause, 60.0)
