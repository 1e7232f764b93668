"""How weights were made, and where they may go: what every file that `train` writes has in common."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nst_adain.errors import UsageError
from nst_adain.files import check_folder
from nst_adain.models.pretrained import read_entry
from nst_adain.results import check_apart

__all__ = ["check_output", "given_files", "history_of", "read_recipe", "recipe_entries", "runs_of"]

_DEEPEST = 50  # averages of averages
_GIVEN = "given"  # the task of an entry that stands for a file of which nothing is known


def history_of(path: Path, metadata: Mapping[str, str]) -> list[dict[str, Any]]:
    """How a file of weights was made: its recipe, or that nothing is known of it."""
    if "recipe" not in metadata:
        return [{"task": _GIVEN, "file": path.name, "steps_done": 0}]
    return read_recipe(path, metadata)


def read_recipe(path: Path, metadata: Mapping[str, str]) -> list[dict[str, Any]]:
    """The runs that made a file of weights, oldest first.

    Raises:
        ValueError: if there is no recipe, or not one that `recipe_entries` wrote.
    """
    recipe: list[dict[str, Any]] = read_entry(path, metadata, "recipe")
    if not _is_recipe(recipe):
        raise ValueError(f"{path}: expected a recipe as `train` writes it, found {reprlib.repr(recipe)}")
    return recipe


def _is_recipe(value: object, depth: int = 0) -> bool:
    """Whether this is a list of runs, and of averages of lists of runs."""
    return isinstance(value, list) and depth < _DEEPEST and all(_is_run(entry, depth) for entry in value)


def _is_run(entry: object, depth: int) -> bool:
    if not isinstance(entry, dict) or type(steps := entry.get("steps_done")) is not int or not 0 <= steps < 2**63:
        return False
    if entry.get("task") == _GIVEN and not isinstance(entry.get("file"), str):
        return False
    branches = entry.get("of", [])
    return isinstance(branches, list) and all(_is_recipe(branch, depth + 1) for branch in branches)


def given_files(recipe: Sequence[dict[str, Any]]) -> list[str]:
    """The files of unknown origin that weights began with."""
    return [run["file"] for run in runs_of(recipe) if run.get("task") == _GIVEN]


def recipe_entries(recipe: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The metadata of a file of weights: its runs, oldest first, and the sum of their steps."""
    return {"recipe": json.dumps(recipe), "steps": str(sum(run["steps_done"] for run in runs_of(recipe)))}


def runs_of(recipe: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every run of a recipe once, also those behind an average, which may have begun alike."""

    def every(entries: Sequence[dict[str, Any]], way: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
        for entry in entries:
            for branch in entry.get("of", []):
                yield from every(branch, way)
            way = hashlib.sha256(way + json.dumps(entry, sort_keys=True).encode()).digest()
            if "of" not in entry:
                yield way, entry

    return list(dict(every(recipe, b"")).values())  # the same run is one with the same way to it


def check_output(out: Path, *inputs: Path) -> None:
    """Raise UsageError unless `out` is named as a file of weights, and none of the inputs; OSError unless it can be a file."""
    check_apart(out, *inputs)
    if out.suffix != ".safetensors":
        raise UsageError(f"out: expected a name ending in .safetensors, got {out}")
    check_folder(out)
