"""Writes what became of each picture of a batch to a Parquet file."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_adain.batch.rows import Row
from nst_adain.files import replacing

__all__ = ["Facts", "writing_manifest"]


@dataclasses.dataclass(frozen=True)
class Facts:
    """What all rows of a manifest have in common.

    Attributes:
        photos, out: folders, to which the names of inputs and outputs are relative.
        seed: of the draw; None: each photograph gets every style.
        settings: of the batch, which the file's metadata hold as JSON under "nst_adain"; alpha, boldness and the model's
            digest are columns too.
    """

    photos: Path
    out: Path
    seed: int | None
    settings: Mapping[str, Any]

    def record(self, row: Row) -> dict[str, object]:
        """Return a row as Parquet's columns."""
        alpha, failed = self.settings["alpha"], row.error is not None
        return {
            "key": _text(row.key),
            "input": _text(row.photo.relative_to(self.photos).as_posix()),
            "style": _text(row.style.as_posix()),
            "weights": [1.0],
            "alpha": alpha if isinstance(alpha, float) else None,
            "boldness": self.settings["boldness"],
            "seed": self.seed,
            "model": self.settings["model"]["sha256"],
            "output": None if failed else _text(row.output.relative_to(self.out).as_posix()),
            "sha256": row.sha256,
            "seconds": row.seconds,
            "error": None if row.error is None else _text(row.error),
        }


@contextlib.contextmanager
def writing_manifest(path: str | os.PathLike[str] | None, facts: Facts) -> Iterator[Callable[[Sequence[Row]], None] | None]:
    """Yield what writes rows to a Parquet file, which is in place, whole, once this block ends without an error.

    Yields None if no file is asked for.

    Its columns: key, input, style, weights (of the style: [1.0]), alpha (null if it is a mask), boldness, seed (null without
    a draw), model, output (null if there is none), sha256 (of the output's bytes), seconds (null if it was there already) and
    error (null if there is none). Names that are not text have backslashes for the bytes that are none.
    """
    if path is None:
        yield None
        return
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {name: pa.string() for name in ("key", "input", "style", "model", "output", "sha256", "error")}
    kinds |= {"weights": pa.list_(pa.float64()), "alpha": pa.float64(), "boldness": pa.float64()}
    kinds |= {"seed": pa.int64(), "seconds": pa.float64()}
    names = ["key", "input", "style", "weights", "alpha", "boldness", "seed", "model", "output", "sha256", "seconds", "error"]
    settings = {"nst_adain": json.dumps(facts.settings)}
    schema = pa.schema([(name, kinds[name]) for name in names], metadata=settings)

    with replacing(path) as partial, parquet.ParquetWriter(partial, schema) as writer:

        def write(rows: Sequence[Row]) -> None:
            ordered = sorted(rows, key=lambda row: (row.photo, row.style))
            writer.write_table(pa.Table.from_pylist([facts.record(row) for row in ordered], schema))

        yield write


def _text(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
