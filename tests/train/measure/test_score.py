"""Scores of stylised pictures, against the papers' formulas in nothing but torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import picture
from PIL import Image
from safetensors.torch import load_file

from nst_adain.models.pretrained import find_weights
from train.config import TrainConfig
from train.measure.evaluate import evaluate
from train.measure.palette import palette_distance
from train.measure.score import score


def plain_features(weights: dict[str, torch.Tensor], path: Path) -> list[torch.Tensor]:
    """relu1_1 to relu4_1 of VGG-19, in nothing but torch."""
    x, layers = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).permute(2, 0, 1)[None] / 255, []
    for name in ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv3_4", "conv4_1"):
        x = F.max_pool2d(x, 2) if name in ("conv2_1", "conv3_1", "conv4_1") else x
        x = F.conv2d(F.pad(x, (1,) * 4, mode="reflect"), weights[f"{name}.weight"], weights[f"{name}.bias"]).relu()
        layers += [x] if name.endswith("_1") else []
    return layers


def test_scores_are_those_of_the_papers_formulas(
    config: TrainConfig, tmp_path: Path, teacher: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, paintings, scored = (tmp_path / name for name in ("photos", "paintings", "scored"))
    for seed, path in enumerate((photos / "a.png", photos / "b.png", paintings / "x.png", paintings / "y__z.png")):
        path.parent.mkdir(exist_ok=True)
        picture(48, 40, seed).save(path)
    evaluate(photos, paintings, scored, device="cpu")
    (scored / "half").mkdir()
    picture(48, 40).save(scored / "half" / "a__x.png")  # of another call
    picture(48, 40).save(scored / "a__x.jpg")
    score(photos, paintings, scored, teacher, tmp_path / "scores.json")
    (scored / "empty" / "half").mkdir(parents=True)
    picture(48, 40).save(scored / "empty" / "half" / "a__x.png")
    with pytest.raises(ValueError, match=r"empty: expected results CONTENT__STYLE\.png, found none but in folders below"):
        score(photos, paintings, scored / "empty", teacher)
    found = json.loads((tmp_path / "scores.json").read_text())
    assert [row["pair"] for row in found["rows"]] == ["a__x", "a__y__z", "b__x", "b__y__z"]
    weights = load_file(teacher)
    for row in found["rows"]:
        content, _, style = row["pair"].partition("__")
        files = photos / f"{content}.png", paintings / f"{style}.png", scored / f"{row['pair']}.png"
        source, reference, result = (plain_features(weights, file) for file in files)
        error = sum(
            F.mse_loss(a.mean((2, 3)), b.mean((2, 3)))
            + F.mse_loss((a.var((2, 3), False) + 1e-5).sqrt(), (b.var((2, 3), False) + 1e-5).sqrt())
            for a, b in zip(result, reference)
        )
        assert row["style"] == pytest.approx(float(error) / 4, rel=1e-3)
        assert row["content"] == pytest.approx(float(F.mse_loss(result[-1], source[-1])), rel=1e-3)
        assert 0 < row["ssim"] < 1
        assert row["palette"] == palette_distance(Image.open(files[2]), Image.open(files[1]))  # the style's colours
    printed, mean = capsys.readouterr().out, {k: np.mean([row[k] for row in found["rows"]]) for k in ("style", "palette")}
    assert f"style {mean['style']:.4f}" in printed
    assert f"palette {mean['palette']:.2f}" in printed
    assert found["mean"]["palette"] == pytest.approx(mean["palette"])
    (scored / "a__x.png").rename(scored / "a__q.png")
    with pytest.raises(ValueError, match=r"a__q\.png: expected a name CONTENT__STYLE"):
        score(photos, paintings, scored, teacher)
    picture(20, 20).save(scored / "a__x.png")
    (scored / "a__q.png").unlink()
    with pytest.raises(ValueError, match=r"a__x\.png: expected the size of .*a\.png, \(48, 40\), found \(20, 20\)"):
        score(photos, paintings, scored, teacher)
    with pytest.raises(ValueError, match=r"slim\.safetensors: expected a loss network with relu1_1, .*, found one with"):
        score(photos, paintings, scored, find_weights("slim"))


def test_pictures_that_are_too_small_to_be_scored_are_named(config: TrainConfig, tmp_path: Path, teacher: Path) -> None:
    for folder, name in (("photos", "a"), ("paintings", "b"), ("scored", "a__b")):
        (tmp_path / folder).mkdir()
        picture(12, 12).save(tmp_path / folder / f"{name}.png")
    with pytest.raises(ValueError, match=r"a\.png: expected at least 16 pixels a side, found 12 x 12"):
        score(tmp_path / "photos", tmp_path / "paintings", tmp_path / "scored", teacher)
    with pytest.raises(ValueError, match=r"teacher\.safetensors: expected full-width VGG-19, .* conv1_1\.weight has the shape"):
        score(tmp_path / "photos", tmp_path / "paintings", tmp_path / "scored", config.teacher)
