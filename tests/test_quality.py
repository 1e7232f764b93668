"""The shipped weights on a small fixed set: a worse file cannot slip in.

The figures are those of `python -m train score` (style, content, structural similarity), on the photographs of the
demonstration and the patterns of `drawings`, so that they need no picture from elsewhere. Limits: what the shipped file
reached, and a tenth more.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw
from drawings import PATTERNS, draw_pattern
from PIL import Image
from skimage.metrics import structural_similarity

from nst_adain.controls import BOLDNESS
from nst_adain.figures.samples import PHOTOGRAPHS, photograph
from nst_adain.images.inputs import to_tensor
from nst_adain.models.architecture import STRIDE
from nst_adain.models.pretrained import available_models, needs_encoder
from nst_adain.stylizer import Stylizer
from train.losses import grid_energy, load_teacher
from train.measure.score import Judge

SIDE = 256


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a model must keep to.

    Attributes:
        style, content: at most, on average.
        total: content + 15 style at most: what training minimises. The two go against one another: less of both is better.
        ssim: structural similarity of photograph and result, at least, on average.
        grid: what repeats with the network's stride, in squared levels of 255, at most, on average.
        own_ssim: of a photograph and itself in its own style, at least, for each.
        own_difference: likewise in levels of 255, at most.
    """

    style: float
    content: float
    total: float
    ssim: float
    grid: float
    own_ssim: float
    own_difference: float


# By model and boldness.
LIMITS = {
    ("base", 0.0): Limits(style=0.84, content=4.75, total=17.6, ssim=0.37, grid=3.2, own_ssim=0.95, own_difference=3.6),
    ("base", BOLDNESS): Limits(style=0.79, content=5.15, total=17.3, ssim=0.33, grid=3.8, own_ssim=0.95, own_difference=3.8),
    ("base", 1.0): Limits(style=0.81, content=5.8, total=18.3, ssim=0.27, grid=5.6, own_ssim=0.95, own_difference=4.7),
    ("slim", 0.0): Limits(style=1.13, content=4.85, total=22.0, ssim=0.36, grid=4.6, own_ssim=0.89, own_difference=7.6),
    ("slim", BOLDNESS): Limits(style=1.08, content=5.17, total=21.8, ssim=0.32, grid=5.4, own_ssim=0.88, own_difference=8.6),
    ("slim", 1.0): Limits(style=1.1, content=5.65, total=22.5, ssim=0.265, grid=8.3, own_ssim=0.78, own_difference=13.2),
    ("vgg19", 0.0): Limits(style=0.67, content=4.77, total=14.9, ssim=0.34, grid=3.4, own_ssim=0.94, own_difference=3.8),
}


@pytest.fixture(scope="module", params=available_models())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[0.0, BOLDNESS, 1.0])
def boldness(request: pytest.FixtureRequest, stylizer: Stylizer) -> float:
    if request.param and not stylizer.boldness.bold:
        pytest.skip("the model has no bold end")
    return float(request.param)


@pytest.fixture(scope="module")
def stylizer(name: str, teacher: Path) -> Stylizer:
    encoder = teacher if needs_encoder(name) else None
    return Stylizer.from_pretrained(name, encoder=encoder, device="cpu", precision="float32")


def luma(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L"), dtype=float) / 255


@pytest.fixture(scope="module")
def judge(teacher: Path) -> Judge:
    return Judge(load_teacher(teacher))


@pytest.fixture(scope="module")
def wanted(judge: Judge) -> list[tuple[Image.Image, Any]]:
    """The styles, and what the judge looks for of each."""
    styles = [draw_pattern(style).resize((SIDE, SIDE), Image.Resampling.LANCZOS) for style in PATTERNS]
    with torch.inference_mode():
        return [(style, judge.moments(style)) for style in styles]


@torch.inference_mode()
def test_scores_of_the_shipped_weights(
    name: str, boldness: float, stylizer: Stylizer, judge: Judge, wanted: list[tuple[Image.Image, Any]]
) -> None:
    scores, grids, limits = [], [], LIMITS[name, boldness]
    for subject in PHOTOGRAPHS:
        photo = photograph(subject).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        target = judge.target(photo)
        for style, moments in wanted:
            result = stylizer(photo, style, boldness=boldness)
            scores.append(judge(result, photo, target, moments))
            grids.append(grid_energy(to_tensor(result) * 255, STRIDE))
    grid = torch.stack(grids).mean()
    style_score, content_score, similarity = np.mean([dataclasses.astuple(score) for score in scores], axis=0)
    print(f"{name} at {boldness:g}: style {style_score:.4f} content {content_score:.4f} ssim {similarity:.4f} grid {grid:.2f}")
    assert style_score < limits.style
    assert content_score < limits.content
    assert content_score + 15 * style_score < limits.total
    assert similarity > limits.ssim
    assert grid < limits.grid


@pytest.mark.parametrize("subject", PHOTOGRAPHS)
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_picture_in_its_own_style_is_nearly_itself(
    name: str, boldness: float, stylizer: Stylizer, subject: str, alpha: float
) -> None:
    photo = photograph(subject).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    out = stylizer(photo, photo, alpha=alpha, boldness=boldness)
    similarity = structural_similarity(luma(photo), luma(out), data_range=1.0)
    difference = np.abs(np.asarray(out, dtype=float) - np.asarray(photo, dtype=float)).mean()
    print(f"{name} at {boldness:g}, {subject}: ssim {similarity:.3f} difference {difference:.1f}")
    assert similarity > LIMITS[name, boldness].own_ssim
    assert difference < LIMITS[name, boldness].own_difference


@pytest.mark.parametrize("side", [768, *(pytest.param(side, marks=pytest.mark.slow) for side in (1024, 2048, 4096))])
def test_a_large_picture_is_the_small_one(name: str, stylizer: Stylizer, side: int) -> None:
    """What a preview of 512 pixels shows is what one gets, at any size."""
    photo, figures = photograph("astronaut").resize((side, side), Image.Resampling.LANCZOS), []
    for style in ("brush_strokes", "woodcut_waves", "palette_knife"):
        code = stylizer.encode_style(draw(style))
        small, large = stylizer(photo, code, size=512), stylizer(photo, code)
        reduced = large.resize(small.size, Image.Resampling.LANCZOS)
        levels = np.abs(np.asarray(reduced, dtype=float) - np.asarray(small, dtype=float)).mean()
        figures.append((structural_similarity(luma(small), luma(reduced), data_range=1.0), levels))
    similarity, levels = np.mean(figures, axis=0)
    print(f"{name}, {side}: ssim {similarity:.3f} difference {levels:.1f}")
    assert similarity >= 0.9
    assert levels <= 9


@pytest.mark.parametrize("size", [(64, 64), (2000, 1500)])
@pytest.mark.parametrize("kind", ["grey", "nearly flat", "line drawing", "photograph"])
def test_unusual_styles_give_readable_pictures(stylizer: Stylizer, kind: str, size: tuple[int, int]) -> None:
    style = {
        "grey": lambda: draw_pattern("mosaic").convert("L").convert("RGB"),
        "nearly flat": lambda: Image.blend(Image.new("RGB", (512, 512), "tan"), draw_pattern("mosaic"), 0.03),
        "line drawing": lambda: draw_pattern("ink_wash").convert("1").convert("RGB"),
        "photograph": lambda: photograph("coffee"),
    }[kind]()
    photo = photograph("astronaut").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    out = stylizer(photo, style.resize(size))
    assert structural_similarity(luma(photo), luma(out), data_range=1.0) > 0.2
    border = np.abs(np.diff(luma(out), axis=0))
    assert border[:2].mean() < 3 * border.mean() + 0.02  # no frame round the picture
