"""Average the weights of several runs: the noise that each ends with is averaged out.

Wortsman et al. 2022, https://arxiv.org/abs/2203.05482. It works for runs that started from the same weights, or one from the
other: these stay close enough that what lies between them is no worse. A small share of what a run started from gives back
some of what it has forgotten, or traded away (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nst_adain.errors import UsageError
from nst_adain.models.pretrained import NORMS_KEY, compare, read_architecture, read_weights, save_weights
from train.recipe import check_output, read_recipe, recipe_entries, runs_of

__all__ = ["average"]


def average(weights: tuple[Path, ...], out: Path, shares: tuple[float, ...] = ()) -> None:
    """Write the mean of the WEIGHTS, with the recipes of all of them.

    Args:
        weights: two or more files that `fit` or `average` wrote, of one architecture.
        out: the file to write.
        shares: how much of each file goes into it, scaled to sum to 1; none: of each as much.

    Raises:
        UsageError: if there are fewer than two, `out` is one of them or not named .safetensors, or `shares` is not one above 0
            for each.
        ValueError: if a file does not hold what it should, or they do not belong together.
    """
    if len(weights) < 2:
        raise UsageError(f"weights: expected at least two files, got {len(weights)}")
    shares = shares or (1.0,) * len(weights)
    if len(shares) != len(weights) or not all(share > 0 for share in shares) or not math.isfinite(sum(shares)):
        raise UsageError(
            f"shares: expected a number above 0 for each of {len(weights)} files, got {' '.join(map(str, shares))}"
        )
    check_output(out, *weights)
    read = [read_weights(path) for path in weights]
    (tensors, metadata), first = read[0], weights[0]
    arch = read_architecture(first, metadata)
    recipes = []
    for path, (others, entries) in zip(weights, read):
        if (found := read_architecture(path, entries)) != arch:
            raise ValueError(f"{path}: expected the architecture of {first}, {arch}, found {found}")
        if difference := compare(others, {key: value.shape for key, value in tensors.items()}):
            raise ValueError(f"{path}: expected the tensors of {first}: {difference}")
        for key in ("data", NORMS_KEY):
            if entries.get(key) != metadata.get(key):
                raise ValueError(f"{path}: expected weights trained with the same as {first}, found {key} {entries.get(key)}")
        recipes.append(read_recipe(path, entries))
    for path, recipe in zip(weights, recipes):
        if recipe[:1] != recipes[0][:1]:
            raise ValueError(f"{path}: expected weights that go back to the first run of {first}, found others")
    kept = {key: metadata[key] for key in ("data", NORMS_KEY) if key in metadata}
    parts = [share / sum(shares) for share in shares]
    mean = {name: torch.stack([part * each[name] for part, (each, _) in zip(parts, read)]).sum(0) for name in tensors}
    save_weights(out, arch, mean, **recipe_entries(_join(recipes, parts)), **kept)
    print(out)


def _join(recipes: Sequence[list[dict[str, Any]]], parts: Sequence[float]) -> list[dict[str, Any]]:
    """What the recipes begin with alike, then one entry that says what each went on with."""
    alike = [runs[0] for runs in itertools.takewhile(lambda runs: all(r == runs[0] for r in runs), zip(*recipes))]
    branches = [recipe[len(alike) :] for recipe in recipes]
    steps = sum(run["steps_done"] for run in runs_of([{"of": branches}]))
    return [*alike, {"task": "average", "steps_done": steps, "of": branches, "shares": list(parts)}]
