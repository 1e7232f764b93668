"""Averages of weights: what may be averaged, and what the mean knows of the runs that it is of."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from conftest import picture

from nst_adain.errors import UsageError
from nst_adain.models.pretrained import read_weights, save_weights
from nst_adain.stylizer import Stylizer
from train.average import average
from train.config import TrainConfig
from train.publish import publish
from train.trainer import Trainer


def test_an_average_knows_the_runs_it_is_of(config: TrainConfig, tmp_path: Path) -> None:
    Trainer("fit", dataclasses.replace(config, steps=2)).run()
    start = config.out / "weights.safetensors"
    files = [start]
    for seed in (1, 2):
        run = dataclasses.replace(config, init=start, out=tmp_path / f"run{seed}", steps=4, seed=seed)
        Trainer("fit", run).run()
        files.append(run.out / "weights.safetensors")
    average((*files, files[2]), tmp_path / "mean.safetensors")
    mean, metadata = read_weights(tmp_path / "mean.safetensors")
    a, b, c = (read_weights(path)[0] for path in files)
    for name, value in mean.items():
        torch.testing.assert_close(value, (a[name] + b[name] + 2 * c[name]) / 4)
    first, joined = json.loads(metadata["recipe"])
    assert (first["task"], joined["task"]) == ("fit", "average")
    assert [[run["seed"] for run in branch] for branch in joined["of"]] == [[], [1], [2], [2]]
    assert metadata["steps"] == "10"  # a run counts once
    average((files[0], files[1]), tmp_path / "unequal.safetensors", shares=(3, 1))
    unequal, metadata = read_weights(tmp_path / "unequal.safetensors")
    for name, value in unequal.items():
        torch.testing.assert_close(value, 0.75 * a[name] + 0.25 * b[name])
    assert json.loads(metadata["recipe"])[-1]["shares"] == [0.75, 0.25]
    further = dataclasses.replace(config, init=tmp_path / "mean.safetensors", out=tmp_path / "further", steps=2)
    Trainer("fit", further).run()
    metadata = read_weights(further.out / "weights.safetensors")[1]
    assert (len(json.loads(metadata["recipe"])), metadata["steps"]) == (3, "12")
    average((further.out / "weights.safetensors", files[1]), tmp_path / "nested.safetensors")
    assert read_weights(tmp_path / "nested.safetensors")[1]["steps"] == "12"  # nor does one within what was averaged before
    Stylizer.from_pretrained(tmp_path / "mean.safetensors")(picture(32, 32), picture(32, 32))


def test_only_what_belongs_together_is_averaged(config: TrainConfig, tmp_path: Path) -> None:
    Trainer("fit", dataclasses.replace(config, steps=2)).run()
    one, out = config.out / "weights.safetensors", tmp_path / "mean.safetensors"
    tensors, metadata = read_weights(one)
    kept = {key: metadata[key] for key in ("recipe", "steps", "data")}
    encoder = {name: tensor for name, tensor in tensors.items() if name.startswith("encoder.")}
    save_weights(tmp_path / "encoder.safetensors", config.arch, encoder, **kept)
    save_weights(tmp_path / "other.safetensors", dataclasses.replace(config.arch, modulation=0), tensors, **kept)
    save_weights(tmp_path / "data.safetensors", config.arch, tensors, **{**kept, "data": "3 paintings"})
    save_weights(tmp_path / "bare.safetensors", config.arch, tensors, data=kept["data"])
    for name, error in {
        "encoder": r"encoder\.safetensors: expected the tensors of .*: decoder\.conv1_1\.bias is missing",
        "other": r"other\.safetensors: expected the architecture of .*weights\.safetensors, .*, found .*modulation=0\)",
        "data": r"data\.safetensors: expected weights trained with the same as .*, found data 3 paintings",
        "bare": r"bare\.safetensors: expected weights of nst_adain with their recipe, found none",
    }.items():
        with pytest.raises(ValueError, match=error):
            average((one, tmp_path / f"{name}.safetensors"), out)
    with pytest.raises(UsageError, match="weights: expected at least two files, got 1"):
        average((one,), out)
    with pytest.raises(UsageError, match=r"out: expected a name ending in \.safetensors, got .*x\.bin"):
        average((one, one), tmp_path / "x.bin")
    for shares in ((1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, math.nan), (1.0, math.inf), (1e308, 1e308)):
        with pytest.raises(UsageError, match=r"shares: expected a number above 0 for each of 2 files, got 1(\.0|e\+308)"):
            average((one, one), out, shares)
    apart = dataclasses.replace(config, steps=2, seed=5, out=tmp_path / "apart")
    Trainer("fit", apart).run()
    with pytest.raises(ValueError, match=r"apart.*: expected weights that go back to the first run of .*, found others"):
        average((one, apart.out / "weights.safetensors"), out)
    assert not out.exists()


def test_no_input_is_replaced(config: TrainConfig, tmp_path: Path) -> None:
    Trainer("fit", config).run()
    weights = config.out / "weights.safetensors"
    before = weights.read_bytes()
    (config.out / "scores.json").write_text("{}")
    for write in (
        lambda: average((weights, weights), weights),
        lambda: publish(weights, config.out / "scores.json", weights),
    ):
        with pytest.raises(UsageError, match=r"weights\.safetensors: expected another name than that of an input$"):
            write()
    assert weights.read_bytes() == before
