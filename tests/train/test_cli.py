"""`python -m train`: exit statuses, errors of one line, and the folder that belongs to one training at a time."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import stray
from samples import fit_command

from train.checkpoint import latest_checkpoint
from train.cli import main
from train.config import TrainConfig
from train.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]
Call = Callable[[list[str]], tuple[int, str]]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Gives the exit status of a command and what it says, in this process: to start one takes ten seconds."""

    def call(command: list[str]) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", command[1:])
        try:
            status = main()
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        said = capsys.readouterr()
        return status, said.err + said.out

    return call


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["fit"], 2, "--content"),
        (["paint"], 2, "paint"),
        (["benchmark", "--out", "x", "--sizes", "100"], 2, "sizes, memory_sizes: expected multiples of 8 from 16, got 100"),
        (["profile", "--repeats", "0"], 2, "repeats: expected at least 1, got 0"),
        (["flicker", "--clip", "x.mp4", "--style", "y.png", "--frames", "1"], 2, "frames: expected at least 2, got 1"),
        (
            ["fit", "--content", "none", "--style", "none", "--teacher", "none.safetensors", "--out", "x", "--cpu"],
            1,
            "none.safetensors: expected",
        ),
    ],
)
def test_wrong_usage_and_failed_jobs_have_their_exit_status(
    tmp_path: Path, called: Call, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    returned, said = called(["-m", "train", *arguments])
    assert returned == status, said
    assert message in said
    assert not list(tmp_path.iterdir())


def test_wrong_settings_are_usage_errors_of_one_line(config: TrainConfig, called: Call) -> None:
    said = called(fit_command(config, "--batch-size", "0"))
    assert said == (2, "train: error: batch_size: expected at least 1, got 0\n")


@pytest.mark.skipif(sys.platform == "win32", reason="there a process is not ended by a signal")
def test_a_folder_is_of_one_training_which_says_that_it_is_ended(config: TrainConfig, called: Call) -> None:
    config = dataclasses.replace(config, steps=100_000, save_every=1)
    config.out.mkdir()
    left = stray(config.out)
    process = subprocess.Popen([sys.executable, *fit_command(config)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        while not latest_checkpoint(config.out):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        second, error = called(fit_command(config, "--resume"))
        process.terminate()
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert (second, len(error.splitlines())) == (1, 1)
    assert f"{config.out}: another training is running in this folder" in error
    assert process.returncode == 130
    assert said.splitlines()[-1] == "train: interrupted (fit and distill go on from their last checkpoint with --resume)"
    assert not left.exists()


def test_a_new_run_in_a_used_folder_is_refused(config: TrainConfig, called: Call) -> None:
    Trainer("fit", dataclasses.replace(config, steps=2)).run()
    status, said = called(fit_command(config))
    assert status == 2
    assert "step-00000002: there is a run in this folder; go on with --resume" in said


def test_weights_of_a_run_without_checkpoints_are_not_replaced(config: TrainConfig, called: Call) -> None:
    config.out.mkdir()
    (config.out / "weights.safetensors").write_bytes(b"of a run")
    for more in ([], ["--resume"]):
        status, said = called(fit_command(config, *more))
        assert status == 2
        assert "there are weights in this folder, and no checkpoint to go on from; name another --out" in said
    assert (config.out / "weights.safetensors").read_bytes() == b"of a run"
