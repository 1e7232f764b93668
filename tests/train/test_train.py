"""Training, on small pictures and a small loss network with random weights that the tests make."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import losses, picture, stray, weights_of
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from samples import fit_command

from nst_adain.errors import UsageError
from nst_adain.models import winograd
from nst_adain.models.architecture import LAYERS, Architecture
from nst_adain.models.networks import Encoder, StyleTransfer
from nst_adain.models.pretrained import find_weights, load_model, read_weights, save_weights
from nst_adain.stylizer import Stylizer
from train.checkpoint import latest_checkpoint, sole_run
from train.config import TrainConfig
from train.data import Pictures, batches, center_crop
from train.initial import load_initial
from train.publish import publish
from train.report import read_losses
from train.trainer import WIDEST_BASIS, Trainer, limited_steps

ROOT = Path(__file__).resolve().parents[2]


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for key in a:
        assert torch.equal(a[key], b[key]), key


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


def test_killed_at_any_moment_it_resumes(config: TrainConfig) -> None:
    # Without the cache: a cold one computes other batches than a warm one, and their rounding differs.
    config = dataclasses.replace(config, steps=30, save_every=1, cache_gb=0.0)
    Trainer("fit", config).run()
    broken = dataclasses.replace(config, out=config.out.with_name("broken"))
    process = subprocess.Popen([sys.executable, *fit_command(broken)], cwd=ROOT, stderr=subprocess.DEVNULL)
    while not (found := latest_checkpoint(broken.out)) or found.name < "step-00000005":
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (broken.out / "partial-1").mkdir(exist_ok=True)  # as if it had died while it wrote
    subprocess.run([sys.executable, *fit_command(broken, "--resume")], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    assert_equal(weights_of(config.out), weights_of(broken.out))
    steps = [int(v) for v in losses(broken.out, "step")]
    assert steps == sorted(set(steps))
    assert not list(broken.out.glob("partial-*"))


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


def test_a_row_that_a_full_disk_cut_off_is_no_row(config: TrainConfig) -> None:
    config.out.mkdir()
    log = config.out / "losses.csv"
    log.write_text("step,loss\r\n1,0.5\r\n2,0.4\r\n1")  # of 10
    assert [row["step"] for row in read_losses(log)] == ["1", "2"]


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
    options = fit_command(config, "--batch-size", "0")
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


def test_samples_are_made_as_often_as_asked(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, sample_every=3)).run()
    assert sorted(p.name for p in config.out.glob("samples-*")) == [f"samples-0000000{n}.jpg" for n in (3, 6, 8)]


def test_nothing_needs_to_be_held_out(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, holdout=0, steps=2)).run()
    assert not list(config.out.glob("samples-*"))


def test_only_the_two_newest_checkpoints_are_kept(config: TrainConfig) -> None:
    Trainer("fit", config).run()
    assert sorted(p.name for p in config.out.glob("step-*")) == ["step-00000006", "step-00000008"]


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


@pytest.mark.parametrize(
    "option", [{"style_kind": "gram"}, {"content_target": "adain"}, {"tv_weight": 1.0}, {"grid_weight": 0.0}, {"cache_gb": 0.0}]
)
def test_every_loss_trains(config: TrainConfig, option: dict[str, object]) -> None:
    config = dataclasses.replace(config, steps=2)
    trained = []
    for out, changed in ((config.out / "plain", {}), (config.out / "changed", option)):
        Trainer("fit", dataclasses.replace(config, out=out, **changed)).run()  # type: ignore[arg-type]
        assert np.isfinite(losses(out)).all()
        trained.append(weights_of(out)["decoder.conv1_1.weight"])
    same = torch.equal(*trained)
    assert same == (option == {"cache_gb": 0.0})  # which saves time, and changes nothing


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
    save_file(tensors, tmp_path / "nan.safetensors")
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


def test_a_decoder_alone_to_start_from_gets_the_teachers_encoder(config: TrainConfig) -> None:
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
