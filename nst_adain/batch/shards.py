"""Reads and writes samples, pictures with what belongs to them: as files, as WebDataset's tars, and as Parquet tables.

WebDataset: https://github.com/webdataset/webdataset. Members of a tar whose names are alike up to their first dot are a sample.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nst_adain.batch.stores import Store
from nst_adain.errors import one_line
from nst_adain.images.opening import READABLE_SUFFIXES

__all__ = [
    "FORMATS",
    "Sample",
    "Shard",
    "checked",
    "read_files",
    "read_parquet",
    "read_tar",
    "write_files",
    "write_parquet",
    "write_tar",
]

FORMATS = ("files", "webdataset", "parquet")
_AT_ONCE = 32  # files that are copied at the same time, most of which wait for a disk or a network


@dataclasses.dataclass(frozen=True)
class Sample:
    """A picture and what belongs to it.

    Attributes:
        key: its name, without a suffix.
        name: where it was found, for people.
        picture: a local file; None if there is none.
        rest: other members or columns, such as labels, by their suffixes or names.
        error: why there is no picture.
    """

    key: str
    name: str
    picture: Path | None
    rest: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: str | None = None


@dataclasses.dataclass(frozen=True)
class Shard:
    """Names what one unit of work reads: a tar or a table, or some files.

    Attributes:
        name: of its results and its manifest.
        source: the tar or table; empty: the files.
        entries: the names and keys of the files, as `Listing.packed` gives them.
    """

    name: str
    source: str = ""
    entries: bytes = b""


def checked(sample: Sample) -> Sample:
    """Return a sample, or in its place an error if its names would lead out of the folder that it is written to."""
    names = [sample.key, *sample.rest]
    if any(name.startswith("/") or ".." in name.split("/") or "\\" in name for name in names) or any(
        "/" in n for n in names[1:]
    ):
        error = f"{sample.name}: expected a key, and names of what belongs to it, that stay in their folder"
        return dataclasses.replace(sample, picture=None, error=error)
    return sample


def read_files(store: Store, entries: Sequence[tuple[str, str]], folder: Path) -> list[Sample]:
    """Copy pictures to a local folder.

    Args:
        store: where they are.
        entries: the name and the key of each.
        folder: an empty one.
    """

    def read(number: int, name: str, key: str) -> Sample:
        path = folder / f"{number}{Path(name).suffix}"
        try:
            store.get(name, path)
        except (FileNotFoundError, IsADirectoryError):
            return Sample(key, name, None, error=f"{name}: expected a picture, found no such file")
        return Sample(key, name, path)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(read, range(len(entries)), *zip(*entries)))


def read_tar(path: Path, folder: Path, name: str) -> Iterator[Sample]:
    """Read the samples of a tar, and those after a damaged part too; copy their pictures to a local folder.

    Args:
        path: the tar.
        folder: an empty one.
        name: of the tar, for people.
    """
    members: dict[str, bytes] = {}
    last, number = "", 0
    try:
        for key, suffix, data in _members(path):
            if members and (key != last or suffix in members):  # a name that comes again is another sample's
                yield _sample(last, name, members, folder / str(number))
                number, members = number + 1, {}
            last = key
            if suffix is None:
                yield Sample(f"{Path(name).stem}.{key}", name, None, error=f"{name}: the tar is damaged at byte {key}")
            else:
                members[suffix] = data
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, not of the file
            raise
        yield Sample(Path(name).stem, name, None, error=f"{name}: the tar is damaged or cut short ({one_line(error)})")
    if members:
        yield _sample(last, name, members, folder / str(number))


def _members(path: Path) -> Iterator[tuple[str, str | None, bytes]]:
    """Yield key, suffix and content of each file in a tar; for a damaged part where it begins, None and nothing."""
    end = 0
    with tarfile.open(path, ignore_zeros=True) as tar:  # which also goes on after headers that are none
        for member in tar:
            if _holds_data(tar.fileobj, end, member.offset):
                yield str(end), None, b""
            end = member.offset_data + -(-member.size // 512) * 512 if member.isreg() else member.offset_data
            found = re.fullmatch(r"((?:.*/)?[^./][^/.]*)\.([^/]*)", member.name)
            if member.isreg() and found:
                file = tar.extractfile(member)
                yield found[1], found[2], file.read() if file is not None else b""
        if _holds_data(tar.fileobj, end, None):
            yield str(end), None, b""


def _holds_data(file: Any, start: int, end: int | None) -> bool:
    """Whether there is anything but zeros between two places of a file."""
    back = file.tell()
    file.seek(start)
    left = sys.maxsize if end is None else end - start
    found = False
    while not found and left > 0 and (piece := file.read(min(left, 1 << 20))):
        found, left = bool(piece.strip(b"\0")), left - len(piece)
    file.seek(back)
    return found


def _sample(key: str, source: str, members: Mapping[str, bytes], path: Path) -> Sample:
    suffix = next((suffix for suffix in members if f".{suffix.lower()}" in READABLE_SUFFIXES), None)
    if suffix is None:
        error = f"{source}/{key}: expected a picture among its members, found {', '.join(sorted(members))}"
        return Sample(key, f"{source}/{key}", None, members, error)
    path = path.with_name(f"{path.name}.{suffix}")
    path.write_bytes(members[suffix])
    rest = {other: data for other, data in members.items() if other != suffix}
    return Sample(key, f"{source}/{key}.{suffix}", path, rest)


def read_parquet(path: Path, folder: Path, name: str) -> Iterator[Sample]:
    """Read the samples of a Parquet table, whose column "image" has bytes of files, or structures with such as "bytes".

    Its column "key" names them; or their numbers do. Arguments: as for `read_tar`.
    """
    stem = Path(name).stem
    try:
        for number, row in enumerate(_rows(path)):
            key = row.pop("key", None)
            key = f"{stem}/{number:06d}" if key is None else str(key)
            image = row.pop("image", None)
            image = image.get("bytes") if isinstance(image, dict) else image
            where = f"{name}/{key}"
            if isinstance(image, bytes):
                picture = folder / str(number)
                picture.write_bytes(image)
                yield Sample(key, where, picture, row)
            else:
                yield Sample(key, where, None, row, f"{where}: expected bytes in the column image, found none")
    except (OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, not of the file
            raise
        yield Sample(stem, name, None, error=f"{name}: the table is damaged or cut short ({one_line(error)})")


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    from pyarrow import parquet

    for batch in parquet.ParquetFile(path).iter_batches(64):
        yield from batch.to_pylist()


def write_files(store: Store, made: Sequence[tuple[str, Path, Mapping[str, Any]]], folder: Path) -> None:
    """Put pictures to KEY.SUFFIX, and what belongs to them beside them.

    Args:
        store: where.
        made: the key of each, its file, and the rest of its sample.
        folder: a local one, for files that are put together.
    """

    def write(number: int, key: str, picture: Path, rest: Mapping[str, Any]) -> None:
        for suffix, value in rest.items():
            path = folder / f"{number}.{suffix}"
            path.write_bytes(_bytes(value))
            store.put(path, f"{key}.{suffix}")
        store.put(picture, f"{key}{picture.suffix}")

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(write, range(len(made)), *zip(*made)))


def write_tar(path: Path, made: Sequence[tuple[str, Path, Mapping[str, Any]]]) -> None:
    """Write samples to a tar of which every byte depends on them alone. Arguments: as for `write_files`."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for key, picture, rest in made:
            for suffix, value in {picture.suffix[1:]: picture.read_bytes(), **rest}.items():
                data = _bytes(value)
                member = tarfile.TarInfo(f"{key}.{suffix}")  # of no owner, and of 1970
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def write_parquet(path: Path, made: Sequence[tuple[str, Path, Mapping[str, Any]]]) -> None:
    """Write samples to a table with the columns key, image and the rest. Arguments: as for `write_files`."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"key": key, "image": picture.read_bytes(), **rest} for key, picture, rest in made]
    names = dict.fromkeys(["key", "image", *(name for _, _, rest in made for name in rest)])
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    parquet.write_table(table, path)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()
