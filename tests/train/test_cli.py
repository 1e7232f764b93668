"""`python -m train`: exit statuses, errors of one line, and the folder that belongs to one training at a time."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import stray
from samples import fit_command

from train.checkpoint import latest_checkpoint
from train.config import TrainConfig
from train.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["fit"], 2, "--content"),
        (["paint"], 2, "paint"),
        (["benchmark", "--out", "x", "--sizes", "100"], 2, "sizes, memory_sizes: expected multiples of 8 from 16, got 100"),
        (["profile", "--repeats", "0"], 2, "repeats: expected at least 1, got 0"),
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


def test_wrong_settings_are_usage_errors_of_one_line(config: TrainConfig) -> None:
    options = fit_command(config, "--batch-size", "0")
    done = subprocess.run([sys.executable, *options], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "train: error: batch_size: expected at least 1, got 0\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is not ended by a signal")
def test_a_folder_is_of_one_training_which_says_that_it_is_ended(config: TrainConfig) -> None:
    config = dataclasses.replace(config, steps=100_000, save_every=1)
    config.out.mkdir()
    left = stray(config.out)
    process = subprocess.Popen([sys.executable, *fit_command(config)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        while not latest_checkpoint(config.out):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        second = subprocess.run(
            [sys.executable, *fit_command(config, "--resume")], cwd=ROOT, capture_output=True, text=True, check=False
        )
        process.terminate()
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert (second.returncode, len(second.stderr.splitlines())) == (1, 1)
    assert f"{config.out}: another training is running in this folder" in second.stderr
    assert process.returncode == 130
    assert said.splitlines()[-1] == "train: interrupted (fit and distill go on from their last checkpoint with --resume)"
    assert not left.exists()


def test_a_new_run_in_a_used_folder_is_refused(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, steps=2)).run()
    done = subprocess.run([sys.executable, *fit_command(config)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "step-00000002: there is a run in this folder; go on with --resume" in done.stderr


def test_weights_of_a_run_without_checkpoints_are_not_replaced(config: TrainConfig) -> None:
    config.out.mkdir()
    (config.out / "weights.safetensors").write_bytes(b"of a run")
    for more in ([], ["--resume"]):
        done = subprocess.run(
            [sys.executable, *fit_command(config, *more)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "there are weights in this folder, and no checkpoint to go on from; name another --out" in done.stderr
    assert (config.out / "weights.safetensors").read_bytes() == b"of a run"
