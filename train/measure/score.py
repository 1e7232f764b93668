"""Scores of stylised pictures: how near to the style's statistics and colours, to the content's features and structure."""

from __future__ import annotations

import dataclasses
import functools
import json as json_format
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage.metrics import structural_similarity
from torch import Tensor
from tqdm import tqdm

from nst_adain.files import check_folder, write_atomic
from nst_adain.images.inputs import to_tensor
from nst_adain.images.io import flatten, load_image
from nst_adain.images.opening import find_images
from nst_adain.models.architecture import LAYERS
from nst_adain.models.networks import Encoder
from nst_adain.models.pretrained import compare
from train.losses import content_loss, load_teacher, style_loss, style_targets
from train.measure.evaluate import by_stem, pairs_by_name
from train.measure.palette import palette_distance

__all__ = ["SMALLEST", "Judge", "Score", "score"]

SMALLEST = 16  # pixels a side that the loss network can read


@dataclasses.dataclass(frozen=True)
class Score:
    """Of one picture, or the mean of several.

    Attributes:
        style: mean over relu1_1 to relu4_1 of MSE(means) + MSE(standard deviations) (Huang & Belongie 2017, equation 13).
        content: MSE at relu4_1 from the content's features.
        ssim: structural similarity of the luma (Wang et al. 2004, but in uniform windows of 7 x 7), 1 for the content itself.
    """

    style: float
    content: float
    ssim: float


class Judge:
    """Scores pictures in the features of a loss network: full-width VGG-19, whose figures are published."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @torch.inference_mode()
    def moments(self, style: Image.Image) -> dict[str, tuple[Tensor, ...]]:
        """What is compared of a style picture, RGB."""
        return style_targets(self.encoder.features(to_tensor(style)), LAYERS, "moments")

    @torch.inference_mode()
    def target(self, content: Image.Image) -> Tensor:
        """What is compared of a content picture, RGB."""
        return self.encoder(to_tensor(content))

    @torch.inference_mode()
    def __call__(
        self, image: Image.Image, content: Image.Image, target: Tensor, moments: Mapping[str, tuple[Tensor, ...]]
    ) -> Score:
        """The score of `image`, RGB in the content's size, from the content, its `target` and the style's `moments`."""
        features = self.encoder.features(to_tensor(image))
        return Score(
            style=float(style_loss(style_targets(features, LAYERS, "moments"), moments)) / len(LAYERS),
            content=float(content_loss(features[LAYERS[-1]], target)),
            ssim=float(structural_similarity(_luma(content), _luma(image), data_range=1.0)),
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
    known = pairs_by_name(contents, styles)
    encoder = load_teacher(teacher)
    wanted = {key: value.shape for key, value in Encoder("vgg19", 1.0).state_dict().items()}
    if difference := compare(encoder.state_dict(), wanted):
        raise ValueError(f"{teacher}: expected full-width VGG-19, whose figures can be compared: {difference}")
    judge = Judge(encoder)
    painting = functools.cache(lambda name: _load(styles[name]))
    moments = functools.cache(lambda name: judge.moments(painting(name)))
    rows, shown, photo, target = [], "", None, None
    results = [path for path in find_images(stylised, suffixes={".png"}) if path.parent == stylised]
    if not results:
        raise ValueError(f"{stylised}: expected results CONTENT__STYLE.png, found none but in folders below")
    for path in tqdm(results, unit="picture", disable=not sys.stderr.isatty()):
        if path.stem not in known:
            raise ValueError(f"{path}: expected a name CONTENT__STYLE after files of {content} and {style}")
        name, style_name = known[path.stem]
        if photo is None or target is None or name != shown:  # one at a time: features are large, and names are sorted
            photo = _load(contents[name])
            shown, target = name, judge.target(photo)
        image = _load(path)
        if image.size != photo.size:
            raise ValueError(f"{path}: expected the size of {contents[name]}, {photo.size}, found {image.size}")
        judged = dataclasses.asdict(judge(image, photo, target, moments(style_name)))
        rows.append({"pair": path.stem, **judged, "palette": palette_distance(image, painting(style_name))})
    mean = {name: float(np.mean([row[name] for row in rows])) for name in ("style", "content", "ssim", "palette")}
    if json is not None:
        write_atomic(json, json_format.dumps({"pairs": len(rows), "mean": mean, "rows": rows}, indent=1).encode())
    figures = "  ".join(f"{name} {mean[name]:.{2 if name == 'palette' else 4}f}" for name in mean)
    print(f"pairs {len(rows)}  {figures}")


def _load(path: Path) -> Image.Image:
    """A picture as RGB, no smaller than can be scored."""
    image = flatten(load_image(path))
    if min(image.size) < SMALLEST:
        raise ValueError(f"{path}: expected at least {SMALLEST} pixels a side, found {image.width} x {image.height}")
    return image


def _luma(image: Image.Image) -> np.ndarray:
    """(H, W) in [0, 1]."""
    return np.asarray(image, dtype=float) @ [0.299, 0.587, 0.114] / 255
