"""What may ship, and what is written of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path

import pytest
import torch
from conftest import weights_of
from safetensors.torch import save_file

from nst_adain.models.architecture import Architecture
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import read_weights, save_weights
from nst_adain.tensors import read_tensors
from train.average import average
from train.config import TrainConfig
from train.publish import describe, embolden, publish
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
    with pytest.raises(ValueError, match=r"scores\.json: expected what `score` wrote"):
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


def test_both_ends_are_in_one_file(config: TrainConfig, tmp_path: Path) -> None:
    """What is there stays bit for bit; of the bold end there is what differs, in half precision, and how it was made."""
    scores, bold_scores = tmp_path / "scores.json", tmp_path / "bold.json"
    scores.write_text('{"pairs": 2, "mean": {"style": 0.5, "content": 3.0, "ssim": 0.25}}')
    bold_scores.write_text('{"pairs": 2, "mean": {"style": 0.25, "content": 4.0, "ssim": 0.125}}')
    Trainer("fit", config).run()
    published, bold = tmp_path / "out" / "slim.safetensors", tmp_path / "bold" / "weights.safetensors"
    published.parent.mkdir()
    publish(config.out / "weights.safetensors", scores, published, half=True)
    alone, metadata = read_tensors(published, "weights")
    run = dataclasses.replace(config, init=published, out=bold.parent, train_encoder=False, style_weight=40.0, seed=5)
    Trainer("fit", run).run()
    embolden(published, bold, bold_scores)
    both, entries = read_tensors(published, "weights")
    changed = {name: tensor for name, tensor in both.items() if name.startswith("bold.")}
    assert set(changed) == {f"bold.{name}" for name in alone if not name.startswith("encoder.")}
    assert all(torch.equal(both[name], tensor) and both[name].dtype == tensor.dtype for name, tensor in alone.items())
    for name, tensor in weights_of(bold.parent).items():
        if not name.startswith("encoder."):
            assert torch.equal(changed[f"bold.{name}"], tensor.half())
    assert {key: entries[key] for key in metadata} == metadata
    assert [run["style_weight"] for run in json.loads(entries["bold.recipe"])] == [40.0]
    assert json.loads(entries["bold.scores"]) == {"pairs": 2, "style": 0.25, "content": 4.0, "ssim": 0.125}
    rows = (published.parent / "README.md").read_text().splitlines()[-2:]
    assert f"| {sum(tensor.numel() for tensor in alone.values()):,} |" in rows[0]
    assert rows[1] == "| at boldness 1 | | | | | 0.2500 | 4.0000 | 0.1250 | |"

    again = dataclasses.replace(run, init=published, out=tmp_path / "again", style_weight=50.0)  # it starts at boldness 0
    Trainer("fit", again).run()
    embolden(published, again.out / "weights.safetensors", bold_scores)
    replaced, entries = read_tensors(published, "weights")
    assert [run["style_weight"] for run in json.loads(entries["bold.recipe"])] == [50.0]
    assert set(replaced) == set(both)
    assert not torch.equal(replaced["bold.decoder.conv1_1.weight"], both["bold.decoder.conv1_1.weight"])
    other = dataclasses.replace(config, out=tmp_path / "other", seed=9)
    Trainer("fit", other).run()
    with pytest.raises(
        ValueError, match=r"other.weights\.safetensors: expected weights that `fit` made from .*slim\.safetensors"
    ):
        embolden(published, other.out / "weights.safetensors", bold_scores)
    bold_scores.write_text("{}")
    with pytest.raises(ValueError, match=r"bold\.json: expected what `score` wrote: no 'pairs'"):
        embolden(published, bold, bold_scores)


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


def test_scores_that_are_none_are_named(tmp_path: Path) -> None:
    arch = Architecture(width=1 / 8)
    for scores in ("null", "[]", '{"style": "good"}', "{"):
        save_weights(tmp_path / "x.safetensors", arch, StyleTransfer(arch).state_dict(), scores=scores)
        with pytest.raises(ValueError, match=r"x\.safetensors: expected (the scores|JSON as scores)[^\n]*, found"):
            describe(tmp_path)
