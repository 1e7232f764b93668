"""Checkpoints: a run goes on from them to the bit, however it ended, and only as the run that it was."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import losses, weights_of
from safetensors import SafetensorError
from safetensors.torch import load_file
from samples import fit_command

from nst_adain.models.architecture import LAYERS, Architecture
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import read_weights, save_weights
from train.checkpoint import latest_checkpoint, sole_run
from train.cli import main
from train.config import TrainConfig
from train.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]


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
    torch.testing.assert_close(weights_of(config.out), weights_of(broken.out), rtol=0, atol=0)
    torch.testing.assert_close(
        load_file(config.out / "step-00000008/state.safetensors"),
        load_file(broken.out / "step-00000008/state.safetensors"),
        rtol=0,
        atol=0,
    )


def test_killed_at_any_moment_it_resumes(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without the cache: a cold one computes other batches than a warm one, and their rounding differs.
    config = dataclasses.replace(config, steps=20, save_every=1, cache_gb=0.0)
    Trainer("fit", config).run()
    broken = dataclasses.replace(config, out=config.out.with_name("broken"))
    process = subprocess.Popen([sys.executable, *fit_command(broken)], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not (found := latest_checkpoint(broken.out)) or found.name < "step-00000005":
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (broken.out / "partial-1").mkdir(exist_ok=True)  # as if it had died while it wrote
    monkeypatch.setattr(sys, "argv", fit_command(broken, "--resume")[1:])
    assert main() == 0
    torch.testing.assert_close(weights_of(config.out), weights_of(broken.out), rtol=0, atol=0)
    steps = [int(v) for v in losses(broken.out, "step")]
    assert steps == sorted(set(steps))
    assert not list(broken.out.glob("partial-*"))


def test_a_run_that_was_killed_before_its_last_weights_writes_them(config: TrainConfig) -> None:
    Trainer("fit", config).run()
    weights = weights_of(config.out)
    (config.out / "weights.safetensors").unlink()
    Trainer("fit", config, latest_checkpoint(config.out)).run()
    torch.testing.assert_close(weights_of(config.out), weights, rtol=0, atol=0)


def test_a_resumed_run_does_not_need_what_it_started_from(config: TrainConfig, tmp_path: Path) -> None:
    Trainer("fit", dataclasses.replace(config, steps=2)).run()
    start = (config.out / "weights.safetensors").rename(tmp_path / "start.safetensors")
    more = dataclasses.replace(config, init=start, out=tmp_path / "more")
    Trainer("fit", more).run(until=2)
    start.unlink()
    Trainer("fit", more, latest_checkpoint(more.out)).run()
    assert read_weights(more.out / "weights.safetensors")[1]["steps"] == "10"


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


def test_only_the_two_newest_checkpoints_are_kept(config: TrainConfig) -> None:
    Trainer("fit", config).run()
    assert sorted(p.name for p in config.out.glob("step-*")) == ["step-00000006", "step-00000008"]


def test_a_full_disk_is_said_in_one_line(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("train.checkpoint.save_file", full)
    with pytest.raises(OSError, match=r"step-00000002: cannot be written: No space left on device"):
        Trainer("fit", config).run()


def test_a_run_that_fails_before_it_begins_leaves_no_folder(config: TrainConfig) -> None:
    with pytest.raises(ZeroDivisionError), sole_run(config.out):
        raise ZeroDivisionError
    assert not config.out.exists()
    config.out.mkdir()
    (config.out / "partial-notes.txt").write_text("mine")
    (config.out / "partial-77").mkdir()
    with pytest.raises(ZeroDivisionError), sole_run(config.out):
        raise ZeroDivisionError
    assert sorted(path.name for path in config.out.iterdir()) == [".lock", "partial-notes.txt"]
