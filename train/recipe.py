"""How weights were made, and where they may go: what every file that `train` writes has in common."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nst_adain.files import check_folder
from nst_adain.usage import UsageError

__all__ = ["check_output", "recipe_entries"]


def recipe_entries(recipe: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The metadata that tells the runs, oldest first, and their steps together."""
    return {"recipe": json.dumps(recipe), "steps": str(sum(run["steps_done"] for run in recipe))}


def check_output(out: Path) -> None:
    """Raise UsageError unless `out` is named as a file of weights, OSError unless it can be a file."""
    if out.suffix != ".safetensors":
        raise UsageError(f"out: expected a name ending in .safetensors, got {out}")
    check_folder(out)
