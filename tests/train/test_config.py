"""Settings of a training that cannot be: each is named, with what was expected."""

from __future__ import annotations

import dataclasses

import pytest

from nst_adain.errors import UsageError
from train.config import TrainConfig


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"batch_size": 0}, "batch_size: expected at least 1, got 0"),
        ({"crop": 8}, "crop: expected at least 16, got 8"),
        ({"variants": 0}, "variants: expected at least 1"),
        ({"save_every": 0}, "save_every: expected at least 1"),
        ({"content_weight": float("nan")}, "content_weight: expected a finite number from 0, got nan"),
        ({"style_weight": -1.0}, "style_weight: expected a finite number from 0, got -1"),
        ({"identity_weight": float("inf")}, "identity_weight: expected a finite number from 0, got inf"),
        ({"cache_gb": float("inf")}, "cache_gb: expected a finite number, got inf"),
        ({"crops_gb": float("inf")}, "crops_gb: expected a finite number, got inf"),
        ({"crops_gb": -1.0}, "crops_gb: expected at least 0, got -1.0"),
        ({"basis_every": 0}, "basis_every: expected at least 1, got 0"),
        ({"lr": float("nan")}, "lr: expected at least 0, got nan"),
        ({"photo_styles": 1.5}, "photo_styles: expected 0 to 1, got 1.5"),
        ({"pattern_styles": 0.9}, "photo_styles, pattern_styles: expected at most 1 together, got 1.1"),
        ({"patterns": 0}, "patterns: expected at least 1, got 0"),
        ({"recolor_styles": -0.1}, "recolor_styles: expected 0 to 1, got -0.1"),
        ({"sharpen": 1.1}, "sharpen: expected 0 to 1, got 1.1"),
        ({"grid_weight": -1.0}, r"grid_weight: expected a finite number from 0, got -1\.0"),
        ({"palette_weight": -1.0}, r"palette_weight: expected a finite number from 0, got -1\.0"),
        ({"octaves": 0}, "octaves: expected at least 1, got 0"),
        ({"octaves": 3}, "crop: expected at least 64 for 3 octaves, got 32"),
        ({"content_octave": 1}, "content_octave: expected less than octaves, 1, got 1"),
        ({"min_scale": 0.0}, "min_scale: expected above 0"),
        ({"content_layer": "relu4_2"}, "expected layers of relu1_1, .* got 'relu4_2'"),
        ({"style_layers": ()}, "style_layers: expected at least one layer, each once, got none"),
        ({"style_layers": ("relu1_1", "relu1_1")}, "style_layers: .* each once, got relu1_1 relu1_1"),
        ({"lr": float("inf")}, "lr: expected a finite number, got inf"),
        ({"seed": 2**32}, r"seed: expected below 2\*\*32, got 4294967296"),
        ({"crop": 600}, "max_side: expected at least crop, 600, got 512"),
        ({"width": 0.0}, "width: expected"),
    ],
)
def test_wrong_settings_are_named(config: TrainConfig, option: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **option)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "value"), [("ema", 1.0), ("clip", 0.0), ("seed", -1), ("min_scale", 0.0), ("width", 9.0)])
def test_settings_that_cannot_be_are_usage_errors(config: TrainConfig, name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"^{name}: expected .* got {value}"):
        dataclasses.replace(config, **{name: value})  # type: ignore[arg-type]
