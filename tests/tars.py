"""Data sets as WebDataset has them: tars of pictures with labels."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

from conftest import picture

__all__ = ["members", "tar_of"]


def tar_of(path: Path, count: int, first: int = 0) -> Path:
    """A tar as WebDataset has it: pictures, classes and descriptions."""
    with tarfile.open(path, "w") as tar:
        for i in range(first, first + count):
            buffer = io.BytesIO()
            picture(24, 16, i).save(buffer, "PNG")
            parts = {"png": buffer.getvalue(), "cls": str(i % 3).encode(), "json": json.dumps({"n": i}).encode()}
            for suffix, data in parts.items():
                member = tarfile.TarInfo(f"d/{i:04d}.{suffix}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
