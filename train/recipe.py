"""How weights were made, and where they may go: what every file that `train` writes has in common."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from nst_adain.files import check_apart, check_folder
from nst_adain.usage import UsageError

__all__ = ["check_finite", "check_output", "given_files", "history_of", "recipe_entries", "runs_of"]

_GIVEN = "given"  # the task of an entry that stands for a file of which nothing is known


def history_of(path: Path, metadata: Mapping[str, str]) -> list[dict[str, Any]]:
    """How a file of weights was made: its recipe, or that nothing is known of it."""
    if "recipe" not in metadata:
        return [{"task": _GIVEN, "file": path.name, "steps_done": 0}]
    recipe: list[dict[str, Any]] = json.loads(metadata["recipe"])
    return recipe


def given_files(recipe: Sequence[dict[str, Any]]) -> list[str]:
    """The files of unknown origin that weights began with."""
    return [run["file"] for run in runs_of(recipe) if run.get("task") == _GIVEN]


def recipe_entries(recipe: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The metadata that tells the runs, oldest first, and their steps together."""
    return {"recipe": json.dumps(recipe), "steps": str(sum(run["steps_done"] for run in runs_of(recipe)))}


def runs_of(recipe: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every run of a recipe once, also those of what was averaged, which may have had part of their way in common."""

    def every(entries: Sequence[dict[str, Any]], way: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for entry in entries:
            for branch in entry.get("of", []):
                yield from every(branch, way)
            way += json.dumps(entry, sort_keys=True)
            if "of" not in entry:
                yield way, entry

    return list(dict(every(recipe, "")).values())  # the same run is one with the same way to it


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError, which names the file, unless all weights are finite."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{path}: expected finite weights, found others in {name}")


def check_output(out: Path, *inputs: Path) -> None:
    """Raise UsageError unless `out` is named as a file of weights, and none of the inputs; OSError unless it can be a file."""
    check_apart(out, *inputs)
    if out.suffix != ".safetensors":
        raise UsageError(f"out: expected a name ending in .safetensors, got {out}")
    check_folder(out)
