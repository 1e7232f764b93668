"""Put trained weights where `nst_adain` finds them, with what a user should know of them in their metadata."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from nst_adain.pretrained import read_architecture, read_weights, save_weights

__all__ = ["publish"]


def publish(weights: Path, scores: Path, out: Path, half: bool = False) -> None:
    """Write OUT with the recipe that WEIGHTS has, and the scores.

    Args:
        weights: a run's weights.safetensors.
        scores: what the judge wrote: JSON with "pairs" and, under "mean", style, content and ssim.
        out: the file to write, such as weights/slim.safetensors.
        half: store half precision: half the size.
    """
    tensors, metadata = read_weights(weights)
    arch = read_architecture(weights, metadata)
    judged = json.loads(scores.read_text())
    try:
        figures = {"pairs": judged["pairs"], **{k: round(judged["mean"][k], 4) for k in ("style", "content", "ssim")}}
        kept = {key: metadata[key] for key in ("recipe", "steps", "data")}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{scores}, {weights}: expected a judge's figures and the weights of a run, no {error}") from error
    tensors = {k: v.half() if half else v for k, v in tensors.items()}
    save_weights(out, arch, tensors, **kept, scores=json.dumps(figures), licence="MIT")
    print(f"{hashlib.sha256(out.read_bytes()).hexdigest()}  {out.name}")
