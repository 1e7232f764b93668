"""Scores of stylised pictures: how near to the style's statistics, to the content's features, to the content's structure."""

from __future__ import annotations

import dataclasses
import itertools
import json as json_format
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from tqdm import tqdm

from nst_adain.architecture import LAYERS
from nst_adain.images import check_folder, find_images, flatten, load_image, to_tensor, write_atomic
from nst_adain.models import Encoder
from nst_adain.pretrained import load_encoder
from train.evaluate import by_stem
from train.losses import content_loss, style_loss, style_targets

__all__ = ["Reference", "Score", "compare", "score"]


@dataclasses.dataclass(frozen=True)
class Score:
    """Of one picture, or the mean of several.

    Attributes:
        style: mean over relu1_1 to relu4_1 of MSE(means) + MSE(standard deviations) (Huang & Belongie 2017, equation 13).
        content: MSE at relu4_1 from the content's features.
        ssim: structural similarity of the luma (Wang et al. 2004), 1 for the content itself.
    """

    style: float
    content: float
    ssim: float


class Reference:
    """A content or style picture, and what results are compared with of it."""

    def __init__(self, encoder: Encoder, image: Image.Image) -> None:
        features = encoder.features(to_tensor(image))
        self.encoder, self.image, self.size = encoder, image, image.size
        self.target, self.moments = features[LAYERS[-1]], style_targets(features, LAYERS, "moments")


@torch.inference_mode()
def compare(content: Reference, style: Reference, image: Image.Image) -> Score:
    """The score of `image`, RGB in the content's size."""
    result = Reference(content.encoder, image)
    return Score(
        style=float(style_loss(result.moments, style.moments)) / len(LAYERS),
        content=float(content_loss(result.target, content.target)),
        ssim=float(structural_similarity(_luma(content.image), _luma(image), data_range=1.0)),
    )


def score(content: Path, style: Path, stylised: Path, teacher: Path, json: Path | None = None) -> None:
    """Score every STYLISED/CONTENT__STYLE.png, as `evaluate` writes them, and print the means.

    Args:
        content: folder of photographs.
        style: folder of paintings.
        stylised: folder of results.
        teacher: full-width VGG-19 to relu4_1. Figures of different files of it cannot be compared.
        json: file for the figures, which `publish` takes.
    """
    if json is not None:
        check_folder(json)
    contents, styles = by_stem(content), by_stem(style)
    known = {f"{c}__{s}": (c, s) for c, s in itertools.product(contents, styles)}
    encoder = load_encoder(teacher)
    rows, seen = [], {}
    with torch.inference_mode():
        for path in tqdm(find_images(stylised), unit="picture", disable=not sys.stderr.isatty()):
            if path.stem not in known:
                raise ValueError(f"{path}: expected a name CONTENT__STYLE after files of {content} and {style}")
            pair = [folder[name] for folder, name in zip((contents, styles), known[path.stem])]
            for file in pair:
                if file not in seen:
                    seen[file] = Reference(encoder, flatten(load_image(file)))
            image = flatten(load_image(path))
            if image.size != seen[pair[0]].size:
                raise ValueError(f"{path}: expected the size of {pair[0]}, {seen[pair[0]].size}, found {image.size}")
            rows.append({"pair": path.stem, **dataclasses.asdict(compare(seen[pair[0]], seen[pair[1]], image))})
    mean = {name: float(np.mean([row[name] for row in rows])) for name in ("style", "content", "ssim")}
    if json is not None:
        write_atomic(json, json_format.dumps({"pairs": len(rows), "mean": mean, "rows": rows}, indent=1).encode())
    print(f"pairs {len(rows)}  style {mean['style']:.4f}  content {mean['content']:.4f}  ssim {mean['ssim']:.4f}")


def _luma(image: Image.Image) -> np.ndarray:
    """(H, W) in [0, 1]."""
    return np.asarray(image, dtype=float) @ [0.299, 0.587, 0.114] / 255
