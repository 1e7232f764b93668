"""The pictures that are never trained on, as files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from nst_adain.errors import UsageError
from nst_adain.images.inputs import to_tensor
from train.config import TrainConfig
from train.data import Pictures, center_crop
from train.measure.evaluate import evaluate
from train.measure.holdout import holdout


def test_holdout_writes_what_fit_does_not_train_on(config: TrainConfig, tmp_path: Path) -> None:
    out = tmp_path / "held"
    holdout(config.content, config.style, out, count=2, size=32)
    for name in ("content", "style"):
        pictures = Pictures(getattr(config, name), config.max_side, 2)
        files = sorted((out / name).iterdir())
        assert [path.name for path in files] == [f"{name}-1.png", f"{name}-2.png"]
        for path, picture_kept in zip(files, pictures.held_out):
            assert torch.equal(to_tensor(Image.open(path))[0].mul(255).round().byte(), center_crop(picture_kept, 32))
    evaluate(out / "content", out / "style", tmp_path / "scored", device="cpu")
    assert len(list((tmp_path / "scored").iterdir())) == 4
    with pytest.raises(UsageError, match="out: expected a folder without content, for what is there would be scored too"):
        holdout(config.content, config.style, out, count=2, size=32)
    with pytest.raises(UsageError, match="out: expected a folder outside of style"):
        holdout(config.content, config.style, config.style / "held", count=2)
    with pytest.raises(ValueError, match="expected more than the 8 held-out pictures, found 8 readable"):
        holdout(config.content, config.style, tmp_path / "all", count=8)
    assert not (tmp_path / "all").exists()
