"""How weights were made, and where they may go: what every file that `train` writes has in common."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nst_adain.files import check_folder
from nst_adain.usage import UsageError

__all__ = ["GIVEN", "check_output", "recipe_entries", "runs_of"]

GIVEN = "given"  # the task of an entry that stands for a file of which nothing is known


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


def check_output(out: Path) -> None:
    """Raise UsageError unless `out` is named as a file of weights, OSError unless it can be a file."""
    if out.suffix != ".safetensors":
        raise UsageError(f"out: expected a name ending in .safetensors, got {out}")
    check_folder(out)
