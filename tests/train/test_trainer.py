"""A run from its first step to its weights: what it learns, what it writes, and when it stops."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import losses, picture, weights_of
from safetensors.torch import save_file
from samples import fit_command

from nst_adain.errors import UsageError
from nst_adain.models.networks import Encoder
from nst_adain.models.pretrained import load_model, read_weights
from nst_adain.stylizer import Stylizer
from train.checkpoint import latest_checkpoint
from train.config import TrainConfig
from train.optimizer import WIDEST_BASIS, rate
from train.publish import publish
from train.report import plot_losses
from train.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("task", ["distill", "fit"])
def test_training_lowers_its_loss(config: TrainConfig, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.trainer.plot_losses", plot_losses)
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


def test_several_processes_train_one_model(config: TrainConfig) -> None:
    # Accelerate's own launcher starts one process where there is no GPU.
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    arguments = [*launch, *fit_command(config)[1:]]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_weights(config.out / "weights.safetensors")[1]["steps"] == "8"
    checkpoint = latest_checkpoint(config.out)
    assert checkpoint is not None
    assert json.loads((checkpoint / "state.json").read_text())["processes"] == 2


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
    torch.testing.assert_close(weights_of(config.out), before[1], rtol=0, atol=0)


def test_distill_refuses_what_it_does_not_use(config: TrainConfig) -> None:
    with pytest.raises(UsageError, match=r"identity_weight: expected the default, for distill does not use it, got 7\.0"):
        Trainer("distill", dataclasses.replace(config, identity_weight=7.0))


def test_accumulation_is_refused(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "8")
    with pytest.raises(UsageError, match="gradient_accumulation_steps: expected 1, .* got 8"):
        Trainer("fit", config)


def test_nothing_needs_to_be_held_out(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, holdout=0, steps=2)).run()
    assert not list(config.out.glob("samples-*"))


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


def test_a_short_run_ends_with_what_it_learned(config: TrainConfig) -> None:
    config = dataclasses.replace(config, steps=40, warmup=500, ema=0.999)
    trainer = Trainer("fit", config)
    assert rate(19, config) == rate(20, config) == 1
    start = [p.detach().clone() for p in trainer.raw.model.parameters()]
    trainer.run()
    moved = lambda model: sum(float((p.detach() - s).square().sum()) for p, s in zip(model.parameters(), start)) ** 0.5
    assert moved(trainer.ema.module) > 0.5 * moved(trainer.raw.model)


def test_a_run_keeps_out_of_the_folders_of_pictures(config: TrainConfig) -> None:
    for name in ("content", "style"):
        with pytest.raises(UsageError, match=rf"out: expected a folder outside of {name}, .*, for it gets pictures, got .*run"):
            Trainer("fit", dataclasses.replace(config, out=getattr(config, name) / "runs" / "run"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("task", ["distill", "fit"])
def test_training_on_a_gpu_lowers_its_loss_and_resumes(config: TrainConfig, task: str) -> None:
    """bf16, channels_last and compiled; in a process of its own, because Accelerate keeps the device for a process."""
    config = dataclasses.replace(config, steps=80, save_every=40, sample_every=80)
    options = [o for o in fit_command(config, "--lr", "3e-3") if o not in ("--cpu", "--precision", "float32")]
    options[2] = task
    for more in ([], ["--resume"]):
        subprocess.run([sys.executable, *options, *more], cwd=ROOT, check=True)
    values = losses(config.out)
    assert values[-1] < 0.7 * values[0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_renders_what_the_cpu_renders() -> None:
    content, style = torch.rand(1, 3, 64, 80), picture(50, 60)
    cpu, gpu = (Stylizer.from_pretrained("slim", device=device, precision="float32") for device in ("cpu", "cuda"))
    on_cpu, on_gpu = cpu(content, style), gpu(content.cuda(), style)
    assert on_gpu.device.type == "cuda"
    assert (on_gpu.cpu() - on_cpu).abs().max() < 2 / 255
    assert (gpu(cpu.encode_content(content), cpu.encode_style(style)).cpu() - on_cpu).abs().max() < 2 / 255
