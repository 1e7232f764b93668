"""Finds the input of a bulk job, and cuts it into shards."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from pathlib import Path

from nst_adain.batch.listing import Listing, list_names, read_list
from nst_adain.batch.pairing import find_pictures
from nst_adain.batch.shards import Shard
from nst_adain.batch.stores import Store
from nst_adain.images.opening import READABLE_SUFFIXES

__all__ = ["expand", "find_shards"]

_TABLES = (".tar", ".parquet")


def expand(pattern: str) -> list[str]:
    r"""Expand {00000..00099} and {a,b} in the name of files.

    >>> expand("s3://bucket/{08..10}.tar")
    ['s3://bucket/08.tar', 's3://bucket/09.tar', 's3://bucket/10.tar']
    """
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    first, dots, last = found[1].partition("..")
    if dots and first.isdecimal() and last.isdecimal():
        parts = [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]
    else:
        parts = found[1].split(",")
    return [other for part in parts for other in expand(f"{pattern[: found.start()]}{part}{pattern[found.end() :]}")]


def find_shards(
    source: str, names: Path | None, out: str, styles: Path, size: int
) -> tuple[Store, list[Shard], Listing | None]:
    """Cut the input into shards.

    Args:
        source: a folder or URL of pictures; or tars or Parquet tables: one, or several by {00000..00099} or *.
        names: a file of the pictures' names, relative to `source`; None: it is searched.
        out, styles: local ones are not searched, if they lie in it.
        size: pictures in a shard of those from a folder.

    Returns:
        Where they are, the shards, and for pictures in a folder, all their names.

    Raises:
        NotADirectoryError, ValueError: if there is nothing.
    """
    if source.endswith(_TABLES):
        folder, _, pattern = source.replace(os.sep, "/").rpartition("/")
        store = Store(folder or ".")
        files = expand(pattern)
        if glob.has_magic(pattern):
            files = [name for name in store.names() if "/" not in name and fnmatch.fnmatchcase(name, pattern)]
        if not files or len({Path(name).stem for name in files}) < len(files):
            raise ValueError(f"{source}: expected files of different names, found {len(files)}")
        return store, [Shard(Path(name).stem, name) for name in files], None
    store = Store(source)
    if names is not None:
        listing = read_list(names)
    elif store.local is None:
        found = (name for name in store.names() if Path(name).suffix.lower() in READABLE_SUFFIXES)
        listing = list_names(map(os.fsencode, found))
    else:
        paths = find_pictures(store.local, "photographs", Path(out), [], apart=styles)
        listing = list_names(os.fsencode(path.relative_to(store.local).as_posix()) for path in paths)
    if not len(listing):
        raise ValueError(f"{source}: expected pictures, found none")
    return store, [Shard(f"{i:06d}", "", part) for i, part in enumerate(listing.packed(size))], listing
