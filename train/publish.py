"""Put trained weights where `nst_adain` finds them, with what a user should know about them."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

from nst_adain.files import write_atomic
from nst_adain.models.pretrained import NORMS_KEY, read_architecture, read_entry, read_weights, save_weights
from nst_adain.tensors import check_finite
from train.recipe import check_output, given_files, read_recipe, recipe_entries

__all__ = ["TITLE", "describe", "publish"]

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
    try:
        judged = json.loads(scores.read_text())
        figures = {"pairs": int(judged["pairs"]), **{k: round(judged["mean"][k], 4) for k in ("style", "content", "ssim")}}
        kept = {**recipe_entries(recipe), "data": metadata["data"]}
        if NORMS_KEY in metadata:
            kept[NORMS_KEY] = metadata[NORMS_KEY]
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        why = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{scores}, {weights}: expected what `score` wrote and the weights of a run: {why}") from error
    if given := given_files(recipe):
        raise ValueError(f"{weights}: expected weights that began at random, these began with {given[0]}, of unknown origin")
    if not all(map(math.isfinite, figures.values())):
        raise ValueError(f"{scores}: expected finite figures, found {figures}")
    if half:
        tensors = {k: v.half() for k, v in tensors.items()}
        check_finite(weights, tensors, "weights in half precision")
    save_weights(out, arch, tensors, **kept, scores=json.dumps(figures), licence="MIT")
    write_atomic(readme, describe(out.parent).encode())
    print(out)


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
        scores = read_entry(path, metadata, "scores")
        try:
            figures = [f"{scores[key]:.4f}" for key in ("style", "content", "ssim")]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: expected the scores that `publish` wrote, found others") from error
        cells = [
            path.name,
            f"{sum(v.numel() for v in tensors.values()):,}",
            f"{path.stat().st_size / 1024:.0f}",
            ", ".join(read_architecture(path, metadata).taps),
            metadata.get("steps", ""),
            *figures,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
