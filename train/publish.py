"""Put trained weights where `nst_adain` finds them, with what a user should know about them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch

from nst_adain.files import write_atomic
from nst_adain.models.pretrained import (
    ARCHITECTURE_KEY,
    BOLD,
    NORMS_KEY,
    compare,
    read_architecture,
    read_entry,
    read_weights,
    save_weights,
)
from nst_adain.tensors import check_finite, read_tensors
from train.recipe import check_output, given_files, read_recipe, recipe_entries

__all__ = ["TITLE", "describe", "embolden", "publish", "read_scores"]

TITLE = "# Weights"


def publish(weights: Path, scores: Path, out: Path, half: bool = False) -> None:
    """Write OUT with the recipe that WEIGHTS has and the scores, and list it in the README.md beside it.

    Args:
        weights: a run's weights.safetensors.
        scores: what `score` wrote: JSON with "pairs" and, under "mean", style, content and ssim.
        out: the file to write, such as weights/slim.safetensors.
        half: store half precision: half the size.

    Raises:
        UsageError: if `out` is `weights`, or not named .safetensors.
        ValueError: if a file does not hold what it should, or there is another README.md beside `out`.
    """
    check_output(out, weights)
    readme = out.parent / "README.md"
    if readme.exists() and not readme.read_text().startswith(TITLE):
        raise ValueError(f"{readme}: expected a list of weights, to be written anew, found another text")
    describe(out.parent, out)  # says so now if another file there cannot be read
    tensors, metadata = read_weights(weights)
    if not any(name.startswith("decoder.") for name in tensors):
        raise ValueError(f"{weights}: expected a model of `fit`, found no decoder")
    arch, recipe = read_architecture(weights, metadata), read_recipe(weights, metadata)
    if "data" not in metadata:
        raise ValueError(f"{weights}: expected the weights of a run, found none that say what they were trained on")
    kept = {**recipe_entries(recipe), "data": metadata["data"], "scores": json.dumps(read_scores(scores))}
    if NORMS_KEY in metadata:
        kept[NORMS_KEY] = metadata[NORMS_KEY]
    if given := given_files(recipe):
        raise ValueError(f"{weights}: expected weights that began at random, these began with {given[0]}, of unknown origin")
    if half:
        tensors = {k: v.half() for k, v in tensors.items()}
        check_finite(weights, tensors, "weights in half precision")
    save_weights(out, arch, tensors, **kept, licence="MIT")
    write_atomic(readme, describe(out.parent).encode())
    print(out)


def embolden(weights: Path, bold: Path, scores: Path) -> None:
    """Add the bold end to WEIGHTS: boldness 1, where the weights as published are boldness 0.

    Between the ends weights are interpolated (Wang et al. 2019, https://arxiv.org/abs/1811.10515), so boldness costs nothing
    per pixel. Tensors that differ are stored beside the others, named bold.NAME, in half precision; a bold end that is there
    already is replaced. The metadata bold.recipe lists the runs after those of recipe, bold.scores the scores at boldness 1.

    Args:
        weights: what `publish` wrote, changed in place.
        bold: weights.safetensors of a run that went on from `weights`, best with its encoder: a style's statistics are then the
            same at every boldness.
        scores: what `score` wrote of `bold`.

    Raises:
        ValueError: if a file does not hold what it should, or `bold` did not go on from `weights`.
    """
    tensors, metadata = read_tensors(weights, "weights")  # in the precision that they have
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(BOLD)}
    others, entries = read_weights(bold)
    arch, recipe, runs = read_architecture(weights, metadata), read_recipe(weights, metadata), read_recipe(bold, entries)
    if runs[: len(recipe)] != recipe or read_architecture(bold, entries) != arch:
        raise ValueError(f"{bold}: expected weights that `fit` made from {weights} by --init, found others")
    if difference := compare(others, {name: tensor.shape for name, tensor in tensors.items()}):
        raise ValueError(f"{bold}: expected the tensors of {weights}: {difference}")
    changed = {f"{BOLD}{name}": new.half() for name, new in others.items() if not torch.equal(new, tensors[name].float())}
    check_finite(bold, changed, "weights in half precision")
    kept = {key: value for key, value in metadata.items() if key not in ("format", ARCHITECTURE_KEY)}
    kept |= {f"{BOLD}recipe": json.dumps(runs[len(recipe) :]), f"{BOLD}scores": json.dumps(read_scores(scores))}
    save_weights(weights, arch, tensors | changed, **kept)
    write_atomic(weights.parent / "README.md", describe(weights.parent).encode())
    print(weights)


def read_scores(path: Path) -> dict[str, float]:
    """How many pairs `score` compared, and the mean figures.

    Raises:
        ValueError: if the file is not what it wrote, or a figure is not finite.
    """
    try:
        judged = json.loads(path.read_text())
        figures = {"pairs": int(judged["pairs"]), **{k: round(judged["mean"][k], 4) for k in ("style", "content", "ssim")}}
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path}: expected what `score` wrote: {why}") from error
    if not all(map(math.isfinite, figures.values())):
        raise ValueError(f"{path}: expected finite figures, found {figures}")
    return figures


def describe(folder: Path, leave_out: Path | None = None) -> str:
    """Markdown about all published weights in a folder, but for `leave_out`, from their metadata."""
    lines = [
        TITLE,
        "",
        "Trained by this repository's `train` from random initialisation; MIT licence. How each was made stands in its",
        "metadata: `nst_adain.models.pretrained.read_weights(path)[1]`. Written by `python -m train publish`.",
        "",
        "| file | parameters | size, KiB | taps | steps | style | content | SSIM | SHA-256 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for path in sorted(folder.glob("*.safetensors")):
        if path == leave_out:
            continue
        tensors, metadata = read_weights(path)
        if "scores" not in metadata:  # such as a run's own
            continue
        cells = [
            path.name,
            f"{sum(tensor.numel() for name, tensor in tensors.items() if not name.startswith(BOLD)):,}",
            f"{path.stat().st_size / 1024:.0f}",
            ", ".join(read_architecture(path, metadata).taps),
            metadata.get("steps", ""),
            *_figures(path, metadata, "scores"),
            hashlib.sha256(path.read_bytes()).hexdigest(),
        ]
        lines.append(f"| {' | '.join(cells)} |")
        if f"{BOLD}scores" in metadata:
            lines.append(f"| at boldness 1 | | | | | {' | '.join(_figures(path, metadata, f'{BOLD}scores'))} | |")
    return "\n".join(lines) + "\n"


def _figures(path: Path, metadata: Mapping[str, str], key: str) -> list[str]:
    scores = read_entry(path, metadata, key)
    try:
        return [f"{scores[name]:.4f}" for name in ("style", "content", "ssim")]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected the scores that `publish` wrote, found others") from error
