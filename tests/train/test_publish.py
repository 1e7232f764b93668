"""Averages of weights, what their metadata tells, and what may ship."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import tracemalloc
from pathlib import Path

import pytest
import torch
from conftest import picture, weights_of
from safetensors.torch import save_file

from nst_adain.errors import UsageError
from nst_adain.models.architecture import Architecture
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import read_weights, save_weights
from nst_adain.stylizer import Stylizer
from train.average import average
from train.checkpoint import latest_checkpoint
from train.config import TrainConfig
from train.publish import describe, publish
from train.recipe import runs_of
from train.trainer import Trainer


def test_published_weights_carry_recipe_and_scores(config: TrainConfig, tmp_path: Path) -> None:
    Trainer("fit", config).run()
    second = dataclasses.replace(config, init=config.out / "weights.safetensors", out=tmp_path / "second", lr=1e-4)
    Trainer("fit", second).run()
    (tmp_path / "scores.json").write_text('{"pairs": 2, "mean": {"style": 0.5, "content": 3.0, "ssim": 0.25}}')
    publish(second.out / "weights.safetensors", tmp_path / "scores.json", tmp_path / "slim.safetensors", half=True)
    tensors, metadata = read_weights(tmp_path / "slim.safetensors")
    assert json.loads(metadata["scores"]) == {"pairs": 2, "style": 0.5, "content": 3.0, "ssim": 0.25}
    assert [run["lr"] for run in json.loads(metadata["recipe"])] == [config.lr, 1e-4]
    assert [run["task"] for run in json.loads(metadata["recipe"])] == ["fit", "fit"]
    assert metadata["steps"] == "16"
    assert metadata["licence"] == "MIT"
    (row,) = [line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("| slim")]
    assert hashlib.sha256((tmp_path / "slim.safetensors").read_bytes()).hexdigest() in row
    assert "| 16 | 0.5000 | 3.0000 | 0.2500 |" in row
    for key, value in weights_of(second.out).items():
        torch.testing.assert_close(tensors[key], value, rtol=1e-3, atol=1e-3)
    (tmp_path / "scores.json").write_text("{}")
    with pytest.raises(ValueError, match=r"scores\.json.*'pairs'"):
        publish(second.out / "weights.safetensors", tmp_path / "scores.json", tmp_path / "x.safetensors")
    (tmp_path / "scores.json").write_text('{"pairs": 2, "mean": {"style": NaN, "content": 3.0, "ssim": 0.25}}')
    with pytest.raises(ValueError, match=r"scores\.json: expected finite figures"):
        publish(second.out / "weights.safetensors", tmp_path / "scores.json", tmp_path / "x.safetensors")
    (tmp_path / "scores.json").write_text("style 0.5")
    with pytest.raises(ValueError, match=r"scores\.json, .*: expected what `score` wrote"):
        publish(second.out / "weights.safetensors", tmp_path / "scores.json", tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=r"out: expected a name ending in \.safetensors, got .*x\.bin"):
        publish(second.out / "weights.safetensors", tmp_path / "scores.json", tmp_path / "x.bin")
    (tmp_path / "scores.json").write_text('{"pairs": 2, "mean": {"style": 0.5, "content": 3.0, "ssim": 0.25}}')
    tensors, metadata = read_weights(second.out / "weights.safetensors")
    broken = {**tensors, "decoder.conv1_1.bias": torch.tensor([0.0, math.nan, 0.0])}
    save_file(broken, tmp_path / "second" / "nan.safetensors", metadata)
    with pytest.raises(ValueError, match=r"nan\.safetensors: expected finite weights, found others in decoder\.conv1_1\.bias"):
        publish(tmp_path / "second" / "nan.safetensors", tmp_path / "scores.json", tmp_path / "x.safetensors")
    encoder = {name: tensor for name, tensor in tensors.items() if name.startswith("encoder.")}
    save_weights(
        tmp_path / "second" / "encoder.safetensors", config.arch, encoder, **{k: metadata[k] for k in ("recipe", "steps")}
    )
    with pytest.raises(ValueError, match=r"encoder\.safetensors: expected a model of `fit`, found no decoder"):
        publish(tmp_path / "second" / "encoder.safetensors", tmp_path / "scores.json", tmp_path / "x.safetensors")
    (tmp_path / "bad.safetensors").write_text("nothing")
    with pytest.raises(ValueError, match=r"bad\.safetensors: expected a \.safetensors file"):
        publish(second.out / "weights.safetensors", tmp_path / "scores.json", tmp_path / "x.safetensors")
    (tmp_path / "README.md").write_text("# Mine")
    with pytest.raises(ValueError, match=r"README\.md: expected a list of weights, to be written anew, found another text"):
        publish(second.out / "weights.safetensors", tmp_path / "scores.json", tmp_path / "x.safetensors")
    assert (tmp_path / "README.md").read_text() == "# Mine"
    assert not (tmp_path / "x.safetensors").exists()


def test_weights_of_unknown_origin_are_not_published(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text('{"pairs": 2, "mean": {"style": 0.5, "content": 3.0, "ssim": 0.25}}')
    bare = tmp_path / "bare.safetensors"
    save_weights(bare, config.arch, StyleTransfer(config.arch).state_dict())
    fixed = dataclasses.replace(config, topology="vgg16", train_encoder=False)  # whose encoder is the loss network's
    for name, run in (("bare", dataclasses.replace(config, init=bare)), ("teacher", fixed)):
        run = dataclasses.replace(run, steps=1, out=tmp_path / f"run-{name}")
        Trainer("fit", run).run()
        weights = run.out / "weights.safetensors"
        with pytest.raises(ValueError, match=rf"expected weights that began at random, these began with {name}\.safetensors"):
            publish(weights, tmp_path / "scores.json", tmp_path / "x.safetensors")
    average((weights, weights), tmp_path / "mean.safetensors")
    with pytest.raises(ValueError, match=r"these began with teacher\.safetensors"):
        publish(tmp_path / "mean.safetensors", tmp_path / "scores.json", tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


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


def test_a_resumed_run_remembers_what_it_started_from(config: TrainConfig, tmp_path: Path) -> None:
    Trainer("fit", dataclasses.replace(config, steps=2)).run()
    more = dataclasses.replace(config, steps=4, out=tmp_path / "more")
    Trainer("fit", dataclasses.replace(more, init=config.out / "weights.safetensors")).run(until=2)
    resumed, checkpoint = Trainer("fit", more), latest_checkpoint(more.out)
    assert checkpoint is not None
    resumed.load(checkpoint)
    resumed.run()
    metadata = read_weights(more.out / "weights.safetensors")[1]
    assert (len(json.loads(metadata["recipe"])), metadata["steps"]) == (2, "6")


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


def unpublished(folder: Path, recipe: str, largest: float = 1.0) -> tuple[Path, Path]:
    """A file of weights in a folder of its own, with this recipe and one weight that large; and scores."""
    arch = Architecture(width=1 / 8)
    tensors = StyleTransfer(arch).state_dict()
    tensors["decoder.conv1_1.bias"][0] = largest
    (folder / "run").mkdir(exist_ok=True)
    save_weights(folder / "run" / "w.safetensors", arch, tensors, recipe=recipe, data="6 pictures")
    (folder / "scores.json").write_text('{"pairs": 2, "mean": {"style": 0.5, "content": 3.0, "ssim": 0.25}}')
    return folder / "run" / "w.safetensors", folder / "scores.json"


@pytest.mark.parametrize(
    "recipe",
    ["null", "[1]", '[{"steps_done": true}]', '[{"steps_done": 1, "of": [[[]]]}]', '[{"steps_done": 0, "task": "given"}]',
     "[" * 9999, '[{"steps_done": 0, "of": [' * 60 + "]}]" * 60, "{", ""],
)  # fmt: skip
def test_what_is_no_recipe_is_named_in_one_line(tmp_path: Path, recipe: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*w\.safetensors: expected (a recipe as|JSON as recipe)[^\n]*$") as error:
        publish(*unpublished(tmp_path, recipe), tmp_path / "x.safetensors")
    assert len(str(error.value)) < 500


def test_weights_that_half_precision_cannot_hold_are_not_published_in_it(tmp_path: Path) -> None:
    weights, scores = unpublished(tmp_path, '[{"steps_done": 1}]', largest=1e5)
    with pytest.raises(ValueError, match=r"w\.safetensors: expected finite weights in half precision, found others in decoder"):
        publish(weights, scores, tmp_path / "x.safetensors", half=True)
    publish(weights, scores, tmp_path / "x.safetensors")


def test_a_recipe_of_many_runs_takes_memory_in_proportion() -> None:
    runs = [{"task": "fit", "steps_done": 1, "seed": seed} for seed in range(2000)]
    tracemalloc.start()
    try:
        assert runs_of([*runs, {"task": "average", "steps_done": 0, "of": [[], []]}]) == runs
        assert tracemalloc.get_traced_memory()[1] < 2000 * 2000  # 2 kB a run; the way to the last is 100 kB long
    finally:
        tracemalloc.stop()


def test_scores_that_are_none_are_named(tmp_path: Path) -> None:
    arch = Architecture(width=1 / 8)
    for scores in ("null", "[]", '{"style": "good"}', "{"):
        save_weights(tmp_path / "x.safetensors", arch, StyleTransfer(arch).state_dict(), scores=scores)
        with pytest.raises(ValueError, match=r"x\.safetensors: expected (the scores|JSON as scores)[^\n]*, found"):
            describe(tmp_path)
