"""Training, on small pictures and a small loss network with random weights that the tests make."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import picture
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode

from nst_adain import winograd
from nst_adain.architecture import LAYERS, Architecture
from nst_adain.models import Encoder, StyleTransfer
from nst_adain.pretrained import find_weights, load_model, read_weights, save_weights
from nst_adain.stylizer import Stylizer
from nst_adain.usage import UsageError
from train.average import average
from train.benchmark import MICRO, ONNX, VGG, benchmark
from train.checkpoint import latest_checkpoint
from train.config import TrainConfig
from train.data import Batch, Pictures, batches, center_crop, square_crop
from train.evaluate import pairs_by_name
from train.layers import layers
from train.losses import content_loss, gram_matrix, grid_energy, style_loss, style_targets, total_variation
from train.patterns import KINDS, SIZE, Patterns, draw_pattern
from train.peers import MicroAST
from train.publish import publish
from train.report import read_losses
from train.score import score
from train.tasks import TargetCache
from train.throughput import throughput
from train.trainer import WIDEST_BASIS, Trainer, limited_steps

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """Six small pictures of each kind, one of them grey and one flat, and a narrow loss network."""
    for kind in ("content", "style"):
        (tmp_path / kind).mkdir()
        for i in range(6):
            picture(50 + 3 * i, 40 + i, seed=10 * i + len(kind)).save(tmp_path / kind / f"{i}.png")
        picture(48, 48).convert("L").save(tmp_path / kind / "6.png")
        picture(48, 48).resize((1, 1)).resize((48, 48)).save(tmp_path / kind / "7.png")
    torch.manual_seed(1)
    arch = Architecture("vgg16", 1 / 8, LAYERS)
    save_weights(tmp_path / "teacher.safetensors", arch, StyleTransfer(arch).state_dict())
    return TrainConfig(
        content=tmp_path / "content", style=tmp_path / "style", teacher=tmp_path / "teacher.safetensors", out=tmp_path / "run",
        width=1 / 8, modulation=8, steps=8, batch_size=2, crop=32, holdout=1, warmup=2, save_every=2, sample_every=4,
        precision="float32", cpu=True,
    )  # fmt: skip


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return read_weights(run / "weights.safetensors")[0]


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


def losses(run: Path, column: str = "loss") -> list[float]:
    return [float(row[column]) for row in read_losses(run / "losses.csv")]


@pytest.mark.parametrize("task", ["distill", "fit"])
def test_training_lowers_its_loss(config: TrainConfig, task: str) -> None:
    config = dataclasses.replace(config, steps=80, save_every=80, sample_every=80, lr=3e-3)
    Trainer(task, config).run()
    values = losses(config.out)
    assert values[-1] < 0.7 * values[0]
    assert all(0 < norm < math.inf for norm in losses(config.out, "gradient_norm"))
    assert {p.name for p in config.out.iterdir()} >= {"weights.safetensors", "losses.png", "losses.csv", "step-00000080"}
    assert (config.out / "samples-00000080.jpg").exists() == (task == "fit")


def test_trained_weights_are_a_model(config: TrainConfig) -> None:
    Trainer("fit", config).run()
    path = config.out / "weights.safetensors"
    assert Stylizer(load_model(path), "cpu")(picture(20, 30), picture()).size == (20, 30)
    metadata = read_weights(path)[1]
    assert metadata["steps"] == "8"
    assert '"style_weight": 10.0' in metadata["recipe"]
    assert str(config.out) not in metadata["recipe"]


@pytest.mark.parametrize("width", [1 / 8, 1.0])
def test_distilled_weights_start_a_fit(config: TrainConfig, width: float) -> None:
    config = dataclasses.replace(config, width=width, steps=2)
    Trainer("distill", config).run()
    distilled = config.out / "weights.safetensors"
    assert all(key.startswith("encoder.") for key in weights_of(config.out))
    fit = dataclasses.replace(config, init=distilled, out=config.out / "fit", train_encoder=False)
    Trainer("fit", fit).run()
    for key, value in weights_of(config.out).items():
        torch.testing.assert_close(weights_of(fit.out)[key], value)  # a frozen encoder stays
    load_model(fit.out / "weights.safetensors")  # and comes with the decoder


def test_trained_weights_start_a_fit(config: TrainConfig) -> None:
    Trainer("fit", config).run()
    trained = weights_of(config.out)
    assert trained["modulator.output.weight"].abs().max() > 0
    init = config.out / "weights.safetensors"
    model = Trainer("fit", dataclasses.replace(config, init=init, out=config.out / "more")).raw.model
    assert_equal(dict(model.state_dict()), trained)


def test_a_model_can_be_widened_and_goes_on_as_it_was(config: TrainConfig) -> None:
    Trainer("fit", config).run()
    narrow, init = load_model(config.out / "weights.safetensors"), config.out / "weights.safetensors"
    wider = dataclasses.replace(config, init=init, width=0.25, modulation=12, out=config.out / "wider")
    trainer = Trainer("fit", wider)
    content, style = (torch.stack([center_crop(p, 32) for p in side.train]).float() / 255 for side in
                      (trainer.content, trainer.style))  # fmt: skip
    with torch.inference_mode():
        torch.testing.assert_close(trainer.raw.model(content, style), narrow(content, style), atol=1e-5, rtol=0)
        features = trainer.raw.model.encode(content)
    for layer, values in features.items():  # and the new channels are alive
        old = narrow.arch.tap_channels[narrow.arch.taps.index(layer)]
        assert values.shape[1] == 2 * old
        assert (values[:, old:].amax(dim=(0, 2, 3)) > 0).float().mean() > 0.9
    trainer.run()
    assert (weights_of(wider.out)["decoder.conv3_2.weight"][:4, 4:] != 0).any()  # what was there learns to see them
    assert '"steps_done": 8' in read_weights(wider.out / "weights.safetensors")[1]["recipe"]


def test_an_encoder_that_is_not_trained_cannot_be_widened(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, steps=1)).run()
    init = config.out / "weights.safetensors"
    wider = dataclasses.replace(config, init=init, width=0.25, train_encoder=False, out=config.out / "wider")
    with pytest.raises(ValueError, match=r"weights\.safetensors: expected the whole encoder.*found a narrower conv1_1"):
        Trainer("fit", wider)


def test_the_loss_network_computes_as_fast_as_it_can(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Winograd convolutions, which change no loss beyond rounding."""
    batch = next(batches(Pictures(config.content, 64, 1), Pictures(config.style, 64, 1), config, 0))
    found = []
    for pays in (False, True):
        monkeypatch.setattr(winograd, "pays", lambda weight, pays=pays: pays)
        trainer = Trainer("fit", config)
        loss = trainer.raw(batch)["loss"]
        loss.backward()
        found.append((loss.detach(), trainer.raw.model.decoder.conv1_1.weight.grad))
    assert not torch.equal(found[0][1], found[1][1])  # one number, the loss, may be rounded to the same
    for direct, fast in zip(*found):
        torch.testing.assert_close(fast, direct, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("task", ["distill", "fit"])
def test_resumed_run_equals_the_uninterrupted_one(config: TrainConfig, task: str) -> None:
    """To the bit, without the cache: on what it holds depends which crops the teacher sees together, and so how it rounds."""
    config = dataclasses.replace(config, cache_gb=0)
    Trainer(task, config).run()
    broken = dataclasses.replace(config, out=config.out.with_name("broken"))
    Trainer(task, broken).run(until=4)
    assert read_weights(broken.out / "weights.safetensors")[1]["steps"] == "4"
    torch.manual_seed(99)  # whatever happened in between must not matter
    resumed = Trainer(task, broken)
    checkpoint = latest_checkpoint(broken.out)
    assert checkpoint is not None
    resumed.load(checkpoint)
    assert resumed.step == 4
    resumed.run()
    assert_equal(weights_of(config.out), weights_of(broken.out))
    assert_equal(
        load_file(config.out / "step-00000008/state.safetensors"), load_file(broken.out / "step-00000008/state.safetensors")
    )


def command(config: TrainConfig, *more: str) -> list[str]:
    options = ["--content", config.content, "--style", config.style, "--teacher", config.teacher, "--out", config.out,
               "--width", config.width, "--modulation", config.modulation, "--steps", config.steps,
               "--batch-size", config.batch_size, "--crop", config.crop,
               "--holdout", config.holdout, "--warmup", config.warmup, "--save-every", config.save_every,
               "--cache-gb", config.cache_gb, "--precision", "float32", "--cpu"]  # fmt: skip
    return ["-m", "train", "fit", *map(str, options), *more]


def test_killed_at_any_moment_it_resumes(config: TrainConfig) -> None:
    # Without the cache: a cold one computes other batches than a warm one, and their rounding differs.
    config = dataclasses.replace(config, steps=30, save_every=1, cache_gb=0.0)
    Trainer("fit", config).run()
    broken = dataclasses.replace(config, out=config.out.with_name("broken"))
    process = subprocess.Popen([sys.executable, *command(broken)], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not (found := latest_checkpoint(broken.out)) or found.name < "step-00000005":
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (broken.out / "partial-1").mkdir(exist_ok=True)  # as if it had died while it wrote
    subprocess.run([sys.executable, *command(broken, "--resume")], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    assert_equal(weights_of(config.out), weights_of(broken.out))
    steps = [int(v) for v in losses(broken.out, "step")]
    assert steps == sorted(set(steps))
    assert not list(broken.out.glob("partial-*"))


def test_several_processes_train_one_model(config: TrainConfig) -> None:
    # Accelerate's own launcher starts one process where there is no GPU.
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [*launch, *command(config)[1:]]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_weights(config.out / "weights.safetensors")[1]["steps"] == "8"
    checkpoint = latest_checkpoint(config.out)
    assert checkpoint is not None
    assert json.loads((checkpoint / "state.json").read_text())["processes"] == 2


def test_checkpoint_of_another_model_is_refused(config: TrainConfig) -> None:
    Trainer("fit", config).run(until=2)
    checkpoint = latest_checkpoint(config.out)
    assert checkpoint is not None
    with pytest.raises(ValueError, match=r"made with width 0\.125, not with 0\.0625"):
        Trainer("fit", dataclasses.replace(config, width=1 / 16)).load(checkpoint)
    with pytest.raises(ValueError, match="made with task fit, not with distill"):
        Trainer("distill", config).load(checkpoint)


def test_resuming_with_other_settings_is_refused(config: TrainConfig) -> None:
    Trainer("fit", config).run(until=2)
    checkpoint = latest_checkpoint(config.out)
    assert checkpoint is not None
    with pytest.raises(ValueError, match=r"made with batch_size 2, not with 3"):
        Trainer("fit", dataclasses.replace(config, batch_size=3)).load(checkpoint)
    Trainer("fit", dataclasses.replace(config, workers=1, cache_gb=0.0, sample_every=3)).load(checkpoint)
    state = json.loads((checkpoint / "state.json").read_text())
    del state["recipe"]["recolor_styles"]
    (checkpoint / "state.json").write_text(json.dumps(state))
    with pytest.raises(ValueError, match=r"made before there was recolor_styles, not with 0\.5"):
        Trainer("fit", config).load(checkpoint)


def test_resuming_with_other_folders_or_another_loss_network_is_refused(config: TrainConfig) -> None:
    Trainer("fit", config).run(until=2)
    checkpoint = latest_checkpoint(config.out)
    assert checkpoint is not None
    (config.style / "5.png").rename(config.style / "5b.png")
    with pytest.raises(ValueError, match="was made with paintings of other names"):
        Trainer("fit", config, checkpoint)
    (config.style / "5b.png").rename(config.style / "5.png")
    arch = Architecture("vgg16", 1 / 8, LAYERS)
    torch.manual_seed(2)
    with torch.no_grad():
        (other := StyleTransfer(arch)).encoder.get_parameter("conv2_1.weight").mul_(1.2)
    save_weights(config.teacher, arch, other.state_dict())
    with pytest.raises(ValueError, match=r"was made with another loss network \(its conv\d_\d has weights of the norm"):
        Trainer("fit", config, checkpoint)


def test_weights_that_are_not_finite_are_never_written(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer("fit", dataclasses.replace(config, sample_every=1))
    trainer.run(until=2)
    before = sorted(path.name for path in config.out.iterdir()), weights_of(config.out)
    step = trainer._step

    def spoiled(batch: object) -> dict[str, torch.Tensor]:
        values = step(batch)
        if trainer.step < 4:  # later, the loss would tell
            return values
        with torch.no_grad():
            trainer.raw.model.decoder.get_parameter("conv1_1.bias")[0] = math.nan
        return values

    monkeypatch.setattr(trainer, "_step", spoiled)
    with pytest.raises(FloatingPointError, match=r"step 4: a weight is not finite.* --init .*safetensors and a lower --lr"):
        trainer.run()
    assert sorted(path.name for path in config.out.iterdir()) == sorted([*before[0], "samples-00000003.jpg"])
    assert np.isfinite(losses(config.out)).all()
    assert_equal(weights_of(config.out), before[1])


def test_a_run_that_was_killed_before_its_last_weights_writes_them(config: TrainConfig) -> None:
    Trainer("fit", config).run()
    weights = weights_of(config.out)
    (config.out / "weights.safetensors").unlink()
    Trainer("fit", config, latest_checkpoint(config.out)).run()
    assert_equal(weights_of(config.out), weights)


def test_a_resumed_run_does_not_need_what_it_started_from(config: TrainConfig, tmp_path: Path) -> None:
    Trainer("fit", dataclasses.replace(config, steps=2)).run()
    start = (config.out / "weights.safetensors").rename(tmp_path / "start.safetensors")
    more = dataclasses.replace(config, init=start, out=tmp_path / "more")
    Trainer("fit", more).run(until=2)
    start.unlink()
    Trainer("fit", more, latest_checkpoint(more.out)).run()
    assert read_weights(more.out / "weights.safetensors")[1]["steps"] == "10"


def test_distill_refuses_what_it_does_not_use(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match=r"identity_weight: expected the default, for distill does not use it, got 7\.0"):
        Trainer("distill", dataclasses.replace(config, identity_weight=7.0))


def test_distill_takes_crops_of_any_side(config: TrainConfig) -> None:
    Trainer("distill", dataclasses.replace(config, crop=33, steps=1)).run()
    assert np.isfinite(losses(config.out)).all()


def test_an_encoder_alone_can_be_widened_whatever_its_taps(config: TrainConfig) -> None:
    narrow = dataclasses.replace(config, topology="vgg16", width=1 / 16, taps=("relu4_1",), modulation=16, steps=1)
    Trainer("distill", narrow).run()
    small = weights_of(config.out)["encoder.conv2_1.weight"]
    wide = Trainer(
        "fit", dataclasses.replace(narrow, width=1 / 8, taps=(), modulation=8, init=config.out / "weights.safetensors")
    ).raw.model
    assert torch.equal(wide.encoder.get_parameter("conv2_1.weight")[: len(small), : small.shape[1]].cpu(), small)


def test_an_encoder_of_another_topology_is_named(config: TrainConfig) -> None:
    Trainer("distill", dataclasses.replace(config, steps=1)).run()
    other = dataclasses.replace(config, topology="vgg16", init=config.out / "weights.safetensors")
    with pytest.raises(ValueError, match=r"weights\.safetensors: expected weights of Architecture\(topology='vgg16'"):
        Trainer("fit", other)


def test_an_encoder_that_stays_is_the_loss_networks(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match=r"train_encoder: .*--init with an encoder, or the topology and width of the teacher"):
        Trainer("fit", dataclasses.replace(config, train_encoder=False))


def test_an_encoder_of_ones_own_stays_with_its_decoder(config: TrainConfig, teacher: Path) -> None:
    config = dataclasses.replace(config, topology="vgg19", width=1.0, taps=("relu4_1",), modulation=0, teacher=teacher, steps=1)
    Trainer("distill", config).run()
    init = config.out / "weights.safetensors"
    fit = dataclasses.replace(config, init=init, train_encoder=False, out=config.out.with_name("fit"))
    Trainer("fit", fit).run()
    model, own = load_model(fit.out / "weights.safetensors"), weights_of(config.out)
    assert_equal({f"encoder.{key}": value for key, value in model.encoder.state_dict().items()}, own)


def test_a_decoder_is_trained_with_the_encoder_that_it_knows(config: TrainConfig, tmp_path: Path, teacher: Path) -> None:
    changed = load_file(teacher)
    changed["conv2_1.weight"] *= 1.3
    save_file(changed, tmp_path / "other.safetensors")
    settings = dataclasses.replace(
        config, teacher=tmp_path / "other.safetensors", topology="vgg19", width=1.0, train_encoder=False, modulation=48,
        init=find_weights("vgg19"),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"other\.safetensors: expected the encoder that .*vgg19.* its conv2_1 has weights"):
        Trainer("fit", settings)


def test_accumulation_is_refused(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "8")
    with pytest.raises(UsageError, match="gradient_accumulation_steps: expected 1, .* got 8"):
        Trainer("fit", config)


def test_wrong_settings_are_usage_errors_of_one_line(config: TrainConfig) -> None:
    options = command(config, "--batch-size", "0")
    done = subprocess.run([sys.executable, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "train: error: batch_size: expected at least 1, got 0\n")


def test_resuming_with_other_pictures_or_a_damaged_checkpoint_is_refused(config: TrainConfig) -> None:
    trainer = Trainer("fit", config)
    trainer.run(until=2)
    checkpoint = latest_checkpoint(config.out)
    assert checkpoint is not None
    trainer.pictures = "1 photographs, 2 paintings"
    with pytest.raises(ValueError, match=r"was made with \d+ photographs, \d+ paintings, found 1 photographs, 2 paintings"):
        trainer.load(checkpoint)
    for name in ("state.safetensors", "state.json"):
        (checkpoint / name).write_bytes((checkpoint / name).read_bytes()[:100])
        with pytest.raises(ValueError, match="step-00000002: is damaged"):
            Trainer("fit", config).load(checkpoint)


def test_a_new_run_in_a_used_folder_is_refused(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, steps=2)).run()
    done = subprocess.run([sys.executable, *command(config)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "step-00000002: there is a run in this folder; go on with --resume" in done.stderr


def test_samples_are_made_as_often_as_asked(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, sample_every=3)).run()
    assert sorted(p.name for p in config.out.glob("samples-*")) == [f"samples-0000000{n}.jpg" for n in (3, 6, 8)]


def test_nothing_needs_to_be_held_out(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, holdout=0, steps=2)).run()
    assert not list(config.out.glob("samples-*"))


def test_only_the_two_newest_checkpoints_are_kept(config: TrainConfig) -> None:
    Trainer("fit", config).run()
    assert sorted(p.name for p in config.out.glob("step-*")) == ["step-00000006", "step-00000008"]


def test_corrupt_pictures_are_skipped_and_named(config: TrainConfig, capsys: pytest.CaptureFixture[str]) -> None:
    (config.content / "bad.png").write_text("no picture")
    (config.content / "dangling.png").symlink_to("nowhere.png")
    pictures = Pictures(config.content, 64, 1)
    assert len(pictures.train) == 7
    said = capsys.readouterr().err
    assert "bad.png: expected a picture" in said
    assert "dangling.png: expected a picture" in said
    with pytest.raises(ValueError, match="expected more than the 8 held-out pictures, found 8"):
        Pictures(config.content, 64, 8)


def test_batches_are_a_function_of_the_step(config: TrainConfig) -> None:
    content, style = (Pictures(f, 64, 1) for f in (config.content, config.style))
    from_start, from_three = batches(content, style, config, 0), batches(content, style, config, 3)
    for _ in range(3):
        next(from_start)
    a, b = next(from_start), next(from_three)
    assert torch.equal(a.content, b.content)
    assert torch.equal(a.style, b.style)
    assert a.content_keys == b.content_keys
    other = next(batches(content, style, config, 3, rank=1, world=2))
    assert other.content_keys + other.style_keys != a.content_keys + a.style_keys


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_styles_are_photographs(config: TrainConfig, share: float) -> None:
    content, style = (Pictures(f, 64, 1) for f in (config.content, config.style))
    config = dataclasses.replace(config, photo_styles=share, pattern_styles=0.0)
    drawn = [batch for batch, _ in zip(batches(content, style, config, 0), range(50))]
    kinds = [kind for batch in drawn for kind, *_ in batch.style_keys]
    assert abs(kinds.count(0) / len(kinds) - share) < 0.15 * (0 < share < 1) + 1e-9
    crops = {key: crop for batch in drawn for key, crop in zip(batch.content_keys, batch.content)}
    shared = [(crops[key], crop) for batch in drawn for key, crop in zip(batch.style_keys, batch.style) if key in crops]
    assert bool(shared) == (share > 0)
    assert all(torch.equal(a, b) for a, b in shared)  # one name, one crop
    assert all(kind == 0 for batch in drawn for kind, *_ in batch.content_keys)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_a_share_of_the_styles_are_drawn(config: TrainConfig, share: float) -> None:
    content, style = (Pictures(f, 64, 1) for f in (config.content, config.style))
    config = dataclasses.replace(config, photo_styles=0.2, pattern_styles=share, patterns=7, variants=1)
    drawn = [batch for batch, _ in zip(batches(content, style, config, 0), range(50))]
    keys = [key for batch in drawn for key in batch.style_keys]
    kinds = [kind for kind, *_ in keys]
    assert abs(kinds.count(2) / len(kinds) - share) < 0.15 * (share > 0) + 1e-9
    assert abs(kinds.count(0) / len(kinds) - 0.2) < 0.15
    assert {index for kind, index, _ in keys if kind == 2} == (set(range(7)) if share else set())
    assert all(kind == 0 for batch in drawn for kind, *_ in batch.content_keys)


def test_patterns_are_pictures_of_their_own() -> None:
    patterns = Patterns(3 * len(KINDS), seed=5)
    small = [np.asarray(p.convert("L").resize((32, 32)), dtype=float) for p in patterns]
    assert all(p.size == (SIZE, SIZE) and p.mode == "RGB" for p in patterns)
    assert all(p.std() > 2 for p in small)  # not blank
    assert all(np.abs(a - b).mean() > 2 for i, a in enumerate(small) for b in small[:i])  # no two alike
    assert patterns[-1].tobytes() == draw_pattern(len(patterns) - 1, seed=5).tobytes()  # the same each time
    assert patterns[0].tobytes() != draw_pattern(0, seed=6).tobytes()
    with pytest.raises(IndexError):
        patterns[len(patterns)]


def test_paintings_get_other_colours_and_nothing_else_changes(config: TrainConfig) -> None:
    content, style = (Pictures(f, 64, 1) for f in (config.content, config.style))
    config = dataclasses.replace(config, photo_styles=0.5, batch_size=16, sharpen=0)
    as_they_are, recolored = (
        next(batches(content, style, dataclasses.replace(config, recolor_styles=share), 0)) for share in (0.0, 1.0)
    )
    assert as_they_are.style_keys == recolored.style_keys
    assert torch.equal(as_they_are.content, recolored.content)
    for key, before, after in zip(as_they_are.style_keys, as_they_are.style, recolored.style):
        if key[0] != 1:  # a photograph, which is a content too, or a pattern, whose colours are by chance anyway
            assert torch.equal(before, after)
            continue
        assert not torch.equal(before, after)
        # Each channel of the result is a rising function of one that was there.
        for channel in after.flatten(1).int():
            assert any((channel[order].diff() >= 0).all() for order in before.flatten(1).argsort(stable=True))


def test_photographs_and_paintings_are_sharpened_and_patterns_are_not(config: TrainConfig) -> None:
    content, style = (Pictures(f, 64, 1) for f in (config.content, config.style))
    settings = dataclasses.replace(config, photo_styles=0.3, pattern_styles=0.3, batch_size=16)
    soft, sharp, half = (
        next(batches(content, style, dataclasses.replace(settings, sharpen=share), 0)) for share in (0.0, 1.0, 0.5)
    )
    assert {kind for kind, *_ in soft.style_keys} == {0, 1, 2}
    keys = [*soft.content_keys, *soft.style_keys]
    assert [*sharp.content_keys, *sharp.style_keys] == keys
    changed = []
    for key, before, after, some in zip(keys, *(torch.cat([b.content, b.style]).float() for b in (soft, sharp, half))):
        if key[0] == 2:
            assert torch.equal(before, after)
            continue
        assert torch.equal(before, some) or torch.equal(after, some)
        changed.append(not torch.equal(before, some))
        contrast = [float(x.diff(dim=-1).abs().mean()) for x in (before, after)]
        assert contrast[0] < contrast[1] < 4 * contrast[0]
        assert abs(float((after - before).mean())) < 2  # neither brighter nor darker
    assert 0.2 < sum(changed) / len(changed) < 0.8


@pytest.mark.parametrize("batch_size", [1, 2, 4, 8])
def test_photographs_and_paintings_are_stylised_with_themselves(
    config: TrainConfig, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of photographs alone the modulator would learn that what has a photograph's statistics stays as it is."""
    config = dataclasses.replace(config, batch_size=batch_size)
    task = Trainer("fit", config).raw
    asked: list[tuple[list[int], list[int]]] = []
    stylise = task._stylise

    def ask(pictures: torch.Tensor, contents: Sequence[slice], styles: Sequence[slice]) -> torch.Tensor:
        numbers = range(len(pictures))
        contents_asked, styles_asked = ([i for rows in side for i in numbers[rows]] for side in (contents, styles))
        asked.append((contents_asked, styles_asked))
        return stylise(pictures, contents, styles)

    monkeypatch.setattr(task, "_stylise", ask)
    data = batches(Pictures(config.content, 64, 1), Pictures(config.style, 64, 1), config, 0)
    kinds = []
    for _ in range(4):
        task(next(data))
        contents, styles = asked.pop()
        themselves = [c for c, s in zip(contents, styles) if c == s]
        assert len(themselves) == max(1, batch_size // 2)
        kinds += [c < batch_size for c in themselves]
        assert [(c, s - batch_size) for c, s in zip(contents, styles) if c != s] == [(i, i) for i in range(batch_size)]
    assert kinds.count(True) == kinds.count(False)


def test_crops_are_cut_once_and_kept_up_to_a_limit(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(config, batch_size=1, variants=1, workers=1, pattern_styles=0, photo_styles=0)
    pools = Pictures(config.content, 64, 1), Pictures(config.style, 64, 1)
    for pool, count in zip(pools, (2, 1)):
        del pool.train[count:]
    calls: list[int] = []
    monkeypatch.setattr("train.data.square_crop", lambda *a, **k: (calls.append(1), square_crop(*a, **k))[1])

    def six(room: int) -> list[Batch]:
        calls.clear()
        gigabytes = room * 3 * config.crop**2 / 2**30
        with contextlib.closing(batches(*pools, dataclasses.replace(config, crops_gb=gigabytes), 0)) as stream:
            return [next(stream) for _ in range(6)]

    anew = six(0)
    assert {batch.content_keys[0][1] for batch in anew} == {0, 1}
    assert len(calls) == 2 * (6 + 2)  # the loader is two batches ahead
    for room, fewest, most in ((1, 4, 15), (100, 3, 3)):
        for one, other in zip(anew, six(room)):
            assert torch.equal(one.content, other.content)
            assert torch.equal(one.style, other.style)
        assert fewest <= len(calls) <= most


def test_crops_keep_the_aspect_ratio(config: TrainConfig) -> None:
    from PIL import Image, ImageDraw

    circle = Image.new("RGB", (300, 120))
    ImageDraw.Draw(circle).ellipse((100, 10, 200, 110), fill="white")
    cut = center_crop(circle, 60)[0] > 127
    rows, columns = cut.any(1).sum(), cut.any(0).sum()
    assert abs(int(rows) - int(columns)) <= 1


def test_target_cache_computes_each_crop_once_and_keeps_to_its_limit() -> None:
    computed: list[int] = []

    def compute(x: torch.Tensor) -> list[torch.Tensor]:
        computed.append(len(x))
        return [x * 2]

    x = torch.arange(8.0).view(4, 1, 1, 2)
    keys = [(0, i, 0) for i in range(4)]
    cache = TargetCache(compute, gigabytes=3 * 8 / 2**30)  # three entries of two float32
    for _ in range(2):
        torch.testing.assert_close(cache(x, keys)[0], x * 2)
    assert computed == [4, 1]
    torch.testing.assert_close(cache(x[[1, 1]], [keys[1], keys[1]])[0], x[[1, 1]] * 2)
    assert len({part.untyped_storage().data_ptr() for (part,) in cache.entries.values()}) == 1  # no holes between them


def test_content_loss_is_the_mean_squared_error() -> None:
    assert content_loss(torch.zeros(1, 2, 3, 3), torch.full((1, 2, 3, 3), 2.0)).item() == 4


@pytest.mark.parametrize("kind", ["moments", "gram"])
def test_style_loss_ignores_where_things_are(kind: str) -> None:
    x = torch.rand(1, 4, 6, 6)
    moved = x.flatten(2)[..., torch.randperm(36)].view_as(x)
    other = torch.rand(1, 4, 6, 6) * 3
    targets = lambda f: style_targets({"relu1_1": f}, ["relu1_1"], kind)
    assert style_loss(targets(moved), targets(x)).item() == pytest.approx(0, abs=1e-10)
    assert style_loss(targets(other), targets(x)).item() > 0.1


def test_style_loss_with_moments_is_equation_13() -> None:
    a, b = torch.rand(2, 4, 6, 6), torch.rand(2, 4, 5, 5)
    got = style_loss(style_targets({"r": a}, ["r"], "moments"), style_targets({"r": b}, ["r"], "moments"))
    std = lambda t: (t.var((2, 3), correction=0) + 1e-5).sqrt()
    expected = (a.mean((2, 3)) - b.mean((2, 3))).pow(2).mean() + (std(a) - std(b)).pow(2).mean()
    torch.testing.assert_close(got, expected)
    with pytest.raises(ValueError, match="kind: expected 'moments' or 'gram', got 'mean'"):
        style_targets({"r": a}, ["r"], "mean")


def test_gram_matrix_and_total_variation() -> None:
    x = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(gram_matrix(x)[1, 0, 2], (x[1, 0] * x[1, 2]).mean())
    assert total_variation(torch.ones(1, 3, 4, 4)).item() == 0
    stripes = torch.tensor([0.0, 1.0, 0.0, 1.0]).expand(1, 3, 4, 4)
    assert total_variation(stripes).item() == 1


def test_grid_energy_is_that_of_what_repeats() -> None:
    stripes = torch.tensor([0.0, 1.0]).repeat(32)
    flat, noise = torch.full((2, 3, 64, 64), 0.3), torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert grid_energy(flat, 8).item() == pytest.approx(0, abs=1e-9)
    assert grid_energy(flat + 0.2 * stripes, 8).item() == pytest.approx(0.01)
    assert grid_energy((flat + 0.2 * stripes)[..., :61], 8).item() == pytest.approx(0.01)  # the last tiles are cut
    assert grid_energy(flat + 0.2 * stripes[:, None], 2).item() == pytest.approx(0.01)
    assert grid_energy(noise, 8).item() == pytest.approx(1 / 64, rel=0.4)
    assert grid_energy(torch.cat([stripes, 1 - stripes]).expand(1, 3, 64, -1), 8).item() < 1e-9  # out of step


@pytest.mark.parametrize(
    "option", [{"style_kind": "gram"}, {"content_target": "adain"}, {"tv_weight": 1.0}, {"grid_weight": 0.0}, {"cache_gb": 0.0}]
)
def test_every_loss_trains(config: TrainConfig, option: dict[str, object]) -> None:
    Trainer("fit", dataclasses.replace(config, steps=2, **option)).run()  # type: ignore[arg-type]
    assert np.isfinite(losses(config.out)).all()


def test_full_width_decoder_alone_is_trained_against_the_teacher(config: TrainConfig, teacher: Path) -> None:
    config = dataclasses.replace(
        config, teacher=teacher, topology="vgg19", width=1.0, taps=("relu4_1",), train_encoder=False, steps=1
    )
    trainer = Trainer("fit", config)
    trainer.run()
    widest = [len(basis) for state in trainer.optimizer.optimizer.state.values() for basis in state["GG"]]
    assert max(widest) <= WIDEST_BASIS
    assert {key.split(".")[0] for key in weights_of(config.out)} == {"decoder", "modulator"}
    assert load_model(config.out / "weights.safetensors", encoder=teacher).arch.width == 1
    other = config.out / "other.safetensors"  # of the same shapes
    save_file(Encoder().state_dict(), other)
    message = r"other\.safetensors: expected the encoder that .*weights\.safetensors was trained with: its conv1_1 has weights"
    with pytest.raises(ValueError, match=message):
        load_model(config.out / "weights.safetensors", encoder=other)
    (config.out / "scores.json").write_text('{"pairs": 2, "mean": {"style": 0.5, "content": 3.0, "ssim": 0.25}}')
    publish(config.out / "weights.safetensors", config.out / "scores.json", config.out / "vgg19.safetensors")
    with pytest.raises(ValueError, match="not .*: it is another network"):
        load_model(config.out / "vgg19.safetensors", encoder=other)


def test_teacher_is_not_trained(config: TrainConfig) -> None:
    trainer = Trainer("fit", config)
    assert [m.plan for m in trainer.raw.modules() if isinstance(m, Encoder)] == [config.arch.plan]


def test_a_loss_network_without_a_layer_is_named(config: TrainConfig) -> None:
    own = config.teacher.with_name("own.safetensors")
    save_weights(own, config.arch, StyleTransfer(config.arch).state_dict())
    with pytest.raises(
        ValueError, match=r"own\.safetensors: expected a loss network with relu1_1, .* relu4_1, found .* relu3_2"
    ):
        Trainer("fit", dataclasses.replace(config, teacher=own))


def test_evaluate_writes_what_score_reads(config: TrainConfig, tmp_path: Path) -> None:
    from train.evaluate import evaluate

    (tmp_path / "pairs.txt").write_text("\ufeff0__1\n2__0\n", encoding="utf-8")  # as some editors save it
    evaluate(config.content, config.style, tmp_path / "scored", pairs=tmp_path / "pairs.txt", device="cpu")
    assert sorted(p.name for p in (tmp_path / "scored").iterdir()) == ["0__1.png", "2__0.png"]
    for folder, name in ((config.content, "my photo__1"), (config.style, "a__b")):
        next(folder.glob("0.*")).rename(folder / f"{name}.png")
    (tmp_path / "pairs.txt").write_text("my photo__1__a__b\n")
    evaluate(config.content, config.style, tmp_path / "named", pairs=tmp_path / "pairs.txt", device="cpu")
    assert [p.name for p in (tmp_path / "named").iterdir()] == ["my photo__1__a__b.png"]
    (tmp_path / "pairs.txt").write_text("0__9\n")
    with pytest.raises(ValueError, match="found '0__9'"):
        evaluate(config.content, config.style, tmp_path / "scored", pairs=tmp_path / "pairs.txt", device="cpu")
    (tmp_path / "pairs.txt").write_text("2__2\n")
    picture().save(tmp_path / "scored" / "2__1.png")
    with pytest.raises(ValueError, match=r"2__1\.png: a result of another call, which `score` would count among these"):
        evaluate(config.content, config.style, tmp_path / "scored", pairs=tmp_path / "pairs.txt", device="cpu")
    for wrong, message in ((b"\n", "expected at least one pair, found none"), (b"\xff", "expected lines of text")):
        (tmp_path / "pairs.txt").write_bytes(wrong)
        with pytest.raises(ValueError, match=rf"pairs\.txt: {message}"):
            evaluate(config.content, config.style, tmp_path / "none", pairs=tmp_path / "pairs.txt", device="cpu")
    assert not (tmp_path / "none").exists()


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
    from train.evaluate import evaluate
    from train.score import score

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
    assert f"style {np.mean([row['style'] for row in found['rows']]):.4f}" in capsys.readouterr().out
    (scored / "a__x.png").rename(scored / "a__q.png")
    with pytest.raises(ValueError, match=r"a__q\.png: expected a name CONTENT__STYLE"):
        score(photos, paintings, scored, teacher)
    picture(20, 20).save(scored / "a__x.png")
    (scored / "a__q.png").unlink()
    with pytest.raises(ValueError, match=r"a__x\.png: expected the size of .*a\.png, \(48, 40\), found \(20, 20\)"):
        score(photos, paintings, scored, teacher)
    with pytest.raises(ValueError, match=r"slim\.safetensors: expected a loss network with relu1_1, .*, found one with"):
        score(photos, paintings, scored, find_weights("slim"))


def test_names_that_two_pairs_would_have_are_said() -> None:
    assert len(pairs_by_name(["a", "b"], ["c__d", "e"])) == 4
    with pytest.raises(ValueError, match="a__b__c: would be the result of a in the style b__c and of a__b in the style c"):
        pairs_by_name(["a", "a__b"], ["c", "b__c"])


def test_pictures_that_are_too_small_to_be_scored_are_named(config: TrainConfig, tmp_path: Path, teacher: Path) -> None:
    for folder, name in (("photos", "a"), ("paintings", "b"), ("scored", "a__b")):
        (tmp_path / folder).mkdir()
        picture(12, 12).save(tmp_path / folder / f"{name}.png")
    with pytest.raises(ValueError, match=r"a\.png: expected at least 16 pixels a side, found 12 x 12"):
        score(tmp_path / "photos", tmp_path / "paintings", tmp_path / "scored", teacher)
    with pytest.raises(ValueError, match=r"teacher\.safetensors: expected full-width VGG-19, .* conv1_1\.weight has the shape"):
        score(tmp_path / "photos", tmp_path / "paintings", tmp_path / "scored", config.teacher)


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
    save_weights(
        tmp_path / "second" / "nan.safetensors", config.arch, broken, **{k: metadata[k] for k in ("recipe", "steps", "data")}
    )
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


def test_a_short_run_ends_with_what_it_learned(config: TrainConfig) -> None:
    trainer = Trainer("fit", dataclasses.replace(config, steps=40, warmup=500, ema=0.999))
    assert trainer.rate(19) == trainer.rate(20) == 1
    start = [p.detach().clone() for p in trainer.raw.model.parameters()]
    trainer.run()
    moved = lambda model: sum(float((p.detach() - s).square().sum()) for p, s in zip(model.parameters(), start)) ** 0.5
    assert moved(trainer.ema.module) > 0.5 * moved(trainer.raw.model)


def test_a_run_keeps_out_of_the_folders_of_pictures(config: TrainConfig) -> None:
    for name in ("content", "style"):
        with pytest.raises(UsageError, match=rf"out: expected a folder outside of {name}, .*, for it gets pictures, got .*run"):
            Trainer("fit", dataclasses.replace(config, out=getattr(config, name) / "runs" / "run"))


def test_weights_that_are_not_finite_start_nothing(config: TrainConfig, tmp_path: Path) -> None:
    tensors = StyleTransfer(config.arch).state_dict()
    tensors["decoder.conv2_1.bias"][0] = math.nan
    save_weights(tmp_path / "nan.safetensors", config.arch, tensors)
    with pytest.raises(ValueError, match=r"nan\.safetensors: expected finite weights, found others in decoder\.conv2_1\.bias"):
        Trainer("fit", dataclasses.replace(config, init=tmp_path / "nan.safetensors"))


def test_a_full_disk_is_said_in_one_line(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("train.checkpoint.save_file", full)
    with pytest.raises(OSError, match=r"step-00000002: cannot be written: No space left on device"):
        Trainer("fit", config).run()


def test_a_step_is_no_longer_than_the_learning_rate() -> None:
    small, large = torch.zeros(2, 3), torch.ones(4)
    with limited_steps([small, large], 0.1):
        small[0, 0] = 0.2  # root mean square 0.08
        large += torch.tensor([3.0, -4.0, 0.0, 0.0])  # 2.5
    assert small.sum() == pytest.approx(0.2)
    torch.testing.assert_close(large, 1 + torch.tensor([3.0, -4.0, 0.0, 0.0]) * 0.1 / 2.5)


def test_matrix_products_outside_of_the_optimizer_keep_their_precision(config: TrainConfig) -> None:
    trainer, seen = Trainer("fit", dataclasses.replace(config, steps=1)), {}
    step, task = trainer.optimizer.step, trainer.module.forward
    trainer.optimizer.step = lambda *a: (seen.update(optimizer=torch.get_float32_matmul_precision()), step(*a))
    trainer.module.forward = lambda *a: (seen.update(losses=torch.get_float32_matmul_precision()), task(*a))[1]
    trainer.run()
    assert seen == {"optimizer": "medium", "losses": "highest"}
    assert torch.get_float32_matmul_precision() == "highest"


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
        "bare": r"bare\.safetensors: expected the weights of a run, found no recipe",
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


@pytest.mark.parametrize("enlarge", [1.0, 2.0])
def test_crops_are_enlarged_no_further_than_asked(config: TrainConfig, monkeypatch: pytest.MonkeyPatch, enlarge: float) -> None:
    config = dataclasses.replace(config, enlarge=enlarge, min_scale=0.1, pattern_styles=0.0)
    sides: list[float] = []

    def crop(image: Image.Image, side: float, *rest: Any, **options: Any) -> torch.Tensor:
        sides.append(side)
        return square_crop(image, side, *rest, **options)

    monkeypatch.setattr("train.data.square_crop", crop)
    pools = [Pictures(folder, 512, 0) for folder in (config.content, config.style)]
    stream = batches(*pools, config, 0)
    for _ in range(20):
        next(stream)
    stream.close()
    assert config.crop / enlarge <= min(sides) < config.crop / enlarge + 2
    assert max(sides) > config.crop


def test_crops_may_have_any_side(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, crop=21, steps=1)).run()
    assert np.isfinite(losses(config.out)).all()


@pytest.mark.parametrize(("name", "value"), [("ema", 1.0), ("clip", 0.0), ("seed", -1), ("min_scale", 0.0), ("width", 9.0)])
def test_settings_that_cannot_be_are_usage_errors(config: TrainConfig, name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"^{name}: expected .* got {value}"):
        dataclasses.replace(config, **{name: value})  # type: ignore[arg-type]


def test_random_layers_start_alive(config: TrainConfig) -> None:
    trainer = Trainer("fit", config)
    model = trainer.raw.model
    alive: dict[str, torch.Tensor] = {}

    def watch(key: str, output: torch.Tensor) -> None:
        alive[key] = (output > 0).any(3).any(2).any(0)

    hidden = [name for name in dict(model.named_modules()) if ".conv" in name and name != "decoder.conv1_1"]
    for name in hidden:
        model.get_submodule(name).register_forward_hook(lambda layer, _, output, name=name: watch(name, output))
    with torch.inference_mode():
        sides = [[center_crop(p, 32) for p in side.train[-4:]] for side in (trainer.content, trainer.style)]
        output = model(*(torch.stack(crops).float() / 255 for crops in sides))
    assert alive.keys() == set(hidden)
    dead = {key: float(channels.float().mean()) for key, channels in alive.items() if channels.float().mean() <= 0.9}
    assert not dead
    assert 0 < float(output.mean()) < 1


def test_benchmark_measures_beside_published_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark(tmp_path, sizes=(256,), repeats=1, device="cpu", precisions=("float32",), onnx=True, memory_sizes=(320,))
    table = capsys.readouterr().out
    for name in ("slim, float32", f"slim, {ONNX}", VGG, MICRO):
        assert f"| {name} | 256 |" in table
        assert f"| {name} | 320 |  |  |  |" in table
    assert {p.name for p in tmp_path.iterdir()} == {"benchmark.md", "benchmark.json", "benchmark.png"}
    measured = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    assert all(row["peak_memory_mib"] > 0 for row in measured if ONNX not in row["model"])
    rows = {row["model"]: row for row in measured if row["size"] == 256}
    for row in rows.values():
        assert 0 < row["slider"] < row["cached"] < row["all"]
    assert rows["slim, float32"]["all"] < rows[VGG]["all"]
    shipped = find_weights("slim").stat().st_size / 2**20
    assert rows["slim, float32"]["file_mib"] == pytest.approx(shipped)
    assert shipped < rows[f"slim, {ONNX}"]["file_mib"] < 1.5 * shipped
    assert rows[VGG]["file_mib"] == pytest.approx(26.7, abs=0.1)  # 7.01 M parameters


def test_benchmark_measures_the_published_networks_in_half_precision_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark(tmp_path, sizes=(64,), repeats=1, device="cpu", precisions=("bfloat16",))
    table = capsys.readouterr().out
    for name in ("slim", VGG, MICRO):
        assert f"| {name}, bfloat16 | 64 | 0." in table
    assert f"| {VGG} | 64 |" in table


def test_time_of_each_layer_adds_up_to_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    layers(size=64, repeats=1, device="cpu", precision="float32")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    convolutions, rest, total = rows[:-2], rows[-2], rows[-1]
    names = [row[0] for row in convolutions]
    assert names[0] == "encoder.conv1_1"
    assert names[-1] == "decoder.conv1_1"
    assert sum(float(row[2]) for row in convolutions) + float(rest[2]) == pytest.approx(float(total[2]), abs=0.2)
    assert float(convolutions[1][1]) == pytest.approx(2 * 9 * 32 * 64 * 16 * 16 / 1e6, abs=0.1)
    # Of the 21.0 kMAC a pixel, the 5.5 of the style's encoder are known.
    assert float(total[1]) / 2 / (64 * 64) * 1e3 == pytest.approx(21.0 - 5.5, abs=0.5)


def test_throughput_of_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    throughput(count=2, size=64, repeats=1, device="cpu", precision="float32")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == ["the network alone", "single calls", "batch"]
    assert all(float(pictures) > 0 and float(ratio) > 0 for _, pictures, ratio in rows)
    assert rows[0][2] == "1.00"


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda out: throughput(count=0), "count: expected at least 1, got 0"),
        (lambda out: throughput(repeats=0), "repeats: expected at least 1, got 0"),
        (lambda out: throughput(suffix=".xyz"), r"suffix: expected one of \.png, .*, got '\.xyz'"),
        (lambda out: benchmark(out, sizes=(100,)), "sizes, memory_sizes: expected multiples of 8 from 16, got 100"),
        (lambda out: benchmark(out, sizes=(64,), memory_sizes=(8,)), "sizes, memory_sizes: expected .*, got 8"),
        (lambda out: benchmark(out, sizes=(64,), onnx=True, device="nowhere"), "device: expected"),
    ],
)
def test_impossible_measurements_are_named(tmp_path: Path, measure: Callable[[Path], None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_layers_of_microast_have_its_published_size_and_arithmetic() -> None:
    network = MicroAST().eval()
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 0.47
    content = torch.rand(1, 3, 64, 96)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        assert network(content, content).shape == content.shape
    assert counter.get_total_flops() / 2 / (64 * 96) / 1000 == pytest.approx(41.6, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["fit"], 2, "--content"),
        (["paint"], 2, "paint"),
        (["benchmark", "--out", "x", "--sizes", "100"], 2, "sizes, memory_sizes: expected multiples of 8 from 16, got 100"),
        (["layers", "--repeats", "0"], 2, "repeats: expected at least 1, got 0"),
        (["flicker", "--clip", "x.mp4", "--style", "y.png", "--frames", "1"], 2, "frames: expected at least 2, got 1"),
        (
            ["fit", "--content", "none", "--style", "none", "--teacher", "none.safetensors", "--out", "x"],
            1,
            "none.safetensors: expected",
        ),
    ],
)
def test_wrong_usage_and_failed_jobs_have_their_exit_status(
    tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "train", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    assert message in done.stderr + done.stdout
    assert not list(tmp_path.iterdir())


def test_a_decoder_alone_to_start_from_gets_the_teachers_encoder(config: TrainConfig) -> None:
    from train.initial import load_initial

    # The teacher's own width.
    frozen = dataclasses.replace(config, topology="vgg16", width=1 / 8, taps=LAYERS, train_encoder=False)
    arch = frozen.arch
    decoder = {k: v for k, v in StyleTransfer(arch).state_dict().items() if k.startswith("decoder.")}
    save_weights(config.out.with_name("decoder.safetensors"), arch, decoder)
    model = Trainer("fit", dataclasses.replace(frozen, init=config.out.with_name("decoder.safetensors"))).raw.model
    teacher = read_weights(config.teacher)[0]
    for key, value in model.state_dict().items():
        if not key.startswith("modulator."):  # which the file does not have
            assert torch.equal(value.cpu(), decoder[key] if key.startswith("decoder.") else teacher[key])
    with pytest.raises(
        ValueError,
        match=r"decoder\.safetensors: expected weights of .*, or of a narrower one: decoder\.conv4_1\.weight has the shape",
    ):
        load_initial(StyleTransfer(Architecture("vgg16", 1 / 16, LAYERS)), config.out.with_name("decoder.safetensors"))


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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("task", ["distill", "fit"])
def test_training_on_a_gpu_lowers_its_loss_and_resumes(config: TrainConfig, task: str) -> None:
    """bf16, channels_last and compiled; in a process of its own, because Accelerate keeps the device for a process."""
    config = dataclasses.replace(config, steps=80, save_every=40, sample_every=80)
    options = [o for o in command(config, "--lr", "3e-3") if o not in ("--cpu", "--precision", "float32")]
    options[2] = task
    for more in ([], ["--resume"]):
        subprocess.run([sys.executable, *options, *more], cwd=ROOT, check=True)
    values = losses(config.out)
    assert values[-1] < 0.7 * values[0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_renders_what_the_cpu_renders() -> None:
    content, style = torch.rand(1, 3, 64, 80), picture(50, 60)
    on_cpu = Stylizer.from_pretrained("slim", device="cpu", precision="float32")(content, style)
    on_gpu = Stylizer.from_pretrained("slim", device="cuda", precision="float32")(content.cuda(), style)
    assert on_gpu.device.type == "cuda"
    assert (on_gpu.cpu() - on_cpu).abs().max() < 2 / 255
