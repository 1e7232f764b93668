"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from nst_adain.usage import UsageError

__all__ = [
    "check_apart",
    "check_folder",
    "make_folder",
    "pairs_by_result",
    "replacing",
    "result_name",
    "write_atomic",
    "writing",
]

_Name = TypeVar("_Name", bound=Hashable)
_Pair = TypeVar("_Pair", bound="tuple[object, object]")
_LONGEST = 120  # bytes of each half of a name, which may have 255


def check_apart(output: Path | Sequence[Path], *inputs: object) -> None:
    """Raise UsageError if an output is one of the inputs, of which those that are no paths do not count."""
    taken = {path.resolve() for path in inputs if isinstance(path, Path)}
    for path in [output] if isinstance(output, Path) else output:
        if path.resolve() in taken:
            raise UsageError(f"{path}: expected another name than that of an input")


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


def pairs_by_result(results: Iterable[tuple[_Name, _Pair]]) -> dict[_Name, _Pair]:
    """Which photograph and style each result is of.

    Raises:
        ValueError: if two pairs would have one result.
    """
    pairs: dict[_Name, _Pair] = {}
    for name, pair in results:
        if name in pairs:
            both = " and of ".join(f"{photo} in the style {style}" for photo, style in (pairs[name], pair))
            raise ValueError(f"{name}: would be the result of {both}; rename one of these files")
        pairs[name] = pair
    return pairs


def result_name(photo: Path, styles: Sequence[Path], suffix: str = ".png") -> str:
    """PHOTO__STYLE.png, or PHOTO__STYLE_STYLE.png: cut where that would be too long for a file's name."""
    halves = [photo.stem, "_".join(style.stem for style in styles)]
    for number, half in enumerate(halves):
        while len(os.fsencode(half)) > _LONGEST:
            half = half[:-1]
        halves[number] = half
    return "__".join(halves) + suffix


def write_atomic(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write a file so that under its name there is only ever the old content or the new one."""
    with replacing(path) as partial, writing(path), open(partial, "xb") as file:
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
def replacing(path: str | os.PathLike[str], suffix: str = ".partial") -> Iterator[Path]:
    """A hidden name beside `path` to write to: it becomes `path` at the end, or is removed if an error ends the block."""
    target = _target(path)
    partial = target.with_name(f".{secrets.token_hex(8)}{suffix}")
    try:
        yield partial
        with writing(path):
            os.replace(partial, target)
    finally:
        with contextlib.suppress(OSError):  # as on a disk that can only be read, of which the error above has told
            partial.unlink(missing_ok=True)
