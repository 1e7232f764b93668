"""The names of a batch's photographs, of any number: ten million take a gigabyte, which as paths would take several."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from posixpath import normpath, splitext

import numpy as np
from numpy.typing import NDArray

from nst_adain.errors import UsageError, one_line

__all__ = ["Listing", "list_names", "read_list", "read_names", "unpacked"]


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """Holds the names of photographs and the key of each, which names its results and decides what is drawn for it.

    The key is the name without its suffix, or with it where a.jpg and a.png would have the same.

    Attributes:
        text: all names, one after another, as the file system's bytes.
        ends: where each name ends in it, after a 0.
        keys: a hash of each key.
        whole: whether its key has its suffix.
        chosen: which of them are to be made, in order.
    """

    text: bytearray
    ends: NDArray[np.int64]
    keys: NDArray[np.uint64]
    whole: NDArray[np.bool_]
    chosen: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.chosen)

    def shard(self, number: int, count: int) -> Listing:
        """Choose part `number` of `count`, from 1: it depends on each key alone.

        Raises:
            UsageError: if there is no such part.
        """
        if not 1 <= number <= count:
            raise UsageError(f"shard: expected a part from 1 to {count}, got {number}")
        return dataclasses.replace(self, chosen=np.flatnonzero(self.keys % np.uint64(count) == number - 1))

    def entries(self, chosen: Iterable[int]) -> Iterator[tuple[str, str]]:
        """Yield the name and the key of each that is chosen."""
        for i in chosen:
            name = os.fsdecode(bytes(self.text[self.ends[i] : self.ends[i + 1]]))
            yield name, name if self.whole[i] else splitext(name)[0]

    def slices(self, count: int) -> Iterator[list[tuple[str, str]]]:
        """Yield the names and keys of those that are chosen, `count` at a time."""
        for start in range(0, len(self.chosen), count):
            yield list(self.entries(self.chosen[start : start + count]))

    def packed(self, count: int) -> Iterator[bytes]:
        """Yield what `slices` yields, in few bytes, for `unpacked`."""
        for start in range(0, len(self.chosen), count):
            chosen = self.chosen[start : start + count]
            names = (bytes(self.text[self.ends[i] : self.ends[i + 1]]) for i in chosen)
            yield b"\0".join((b"+" if self.whole[i] else b"-") + name for i, name in zip(chosen, names))

    def suspects(self, styles: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield the names and keys of all photographs of which two may have results of one name, KEY__STYLE; others cannot."""
        known = set(styles)
        parts = [style.split("__") for style in styles]
        # a__b in the style c is a in the style b__c.
        tails = tuple({f"__{'__'.join(p[:n])}" for p in parts for n in range(1, len(p)) if "__".join(p[n:]) in known})
        found = _repeated(self.keys)
        if tails:
            longer = [i for i, (_, key) in enumerate(self.entries(range(len(self.keys)))) if key.endswith(tails)]
            heads = [key[: -len(tail)] for _, key in self.entries(longer) for tail in tails if key.endswith(tail)]
            found = np.union1d(found, np.append(self.keys[longer], np.array([*map(_hash, map(os.fsencode, heads))], np.uint64)))
        yield from self.entries(np.flatnonzero(np.isin(self.keys, found)) if len(found) else ())


def unpacked(entries: bytes) -> list[tuple[str, str]]:
    """Return the names and keys that `Listing.packed` yielded."""
    names = [(os.fsdecode(entry[1:]), entry[:1]) for entry in entries.split(b"\0")]
    return [(name, name if kind == b"+" else splitext(name)[0]) for name, kind in names]


def list_names(names: Iterable[bytes], place: Callable[[int], str] = "name {}".format) -> Listing:
    """Make a listing of names, relative and with forward slashes.

    Args:
        names: of pictures.
        place: says where one of them stands, which number from 0 it is given, for errors.

    Raises:
        UsageError: if one comes twice.
    """
    text, ends, stems = bytearray(), array("q", [0]), bytearray()
    for name in names:
        text += name
        ends.append(len(text))
        stems += hashlib.blake2b(splitext(name)[0], digest_size=8).digest()
    keys, places = np.frombuffer(stems, "<u8").astype(np.uint64), np.frombuffer(ends, np.int64)
    whole = np.isin(keys, _repeated(keys))
    seen: set[bytes] = set()
    for i in np.flatnonzero(whole):
        name = bytes(text[places[i] : places[i + 1]])
        if name in seen:
            raise UsageError(f"{place(int(i))}: expected each name once, found {one_line(os.fsdecode(name))} again")
        seen.add(name)
        keys[i] = _hash(name)
    return Listing(text, places, keys, whole, np.arange(len(keys)))


def read_list(file: Path) -> Listing:
    """Make a listing of the names in a file. Errors: as for `read_names`, and if a name comes twice."""
    lines = array("I")

    def names() -> Iterator[bytes]:
        for number, name in _numbered(file):
            lines.append(number)
            yield name

    return list_names(names(), lambda i: f"{file}: line {lines[i]}")


def read_names(file: Path) -> Iterator[bytes]:
    """Read names from a file, one a line, relative to the folder of photographs; empty lines are left out.

    Raises:
        UsageError: if one leads out of that folder or has a byte 0, or there is none.
    """
    return (name for _, name in _numbered(file))


def _numbered(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the number of each line that has a name, and the name in the one spelling that its file has."""
    empty = True
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line  # Windows editors mark UTF-8 so
            name = line.rstrip(b"\r\n")
            name = name.replace(b"\\", b"/") if sys.platform == "win32" else name
            # Before .. is taken out: where x is a link, x/../y is no file of this folder.
            out = name.startswith(b"/") or b".." in name.split(b"/") or (sys.platform == "win32" and b":" in name)
            if out or b"\0" in name:
                found = one_line(os.fsdecode(name))
                raise UsageError(f"{file}: line {number}: expected a name below the folder of photographs, found {found}")
            if b"./" in name or b"//" in name:  # as `find .` writes them; ten million calls would take seconds
                name = normpath(name)
            if name:
                empty = False
                yield number, name
    if empty:
        raise UsageError(f"{file}: expected names, one a line, found none")


def _hash(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def _repeated(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the values that occur more than once, sorted."""
    ordered = np.sort(values)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
