"""The training loop: the same for every task, on a CPU, a GPU, or several processes under `accelerate launch`."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import set_seed
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from nst_adain.device import is_half
from nst_adain.errors import UsageError
from nst_adain.models.convolution import freeze
from nst_adain.models.pretrained import compare_norms, encoder_norms, save_weights
from train.checkpoint import read_checkpoint, under, with_tensors, without_tensors, write_checkpoint
from train.config import FIT_ALONE, TrainConfig
from train.data import Pictures, batches, check_outside
from train.initial import initialise, keeps_encoder
from train.losses import load_teacher
from train.optimizer import limited_steps, quick_products, rate, soap
from train.recipe import recipe_entries
from train.report import LossLog, Validation, plot_losses
from train.tasks import Distillation, StyleTransferTask

__all__ = ["FREE_TO_CHANGE", "LOG_EVERY", "TASKS", "Trainer"]

TASKS = {"distill": Distillation, "fit": StyleTransferTask}
LOG_EVERY = 20  # steps averaged into a row of losses.csv
# Settings that may differ when a run is resumed: they change its speed and its reports, not its course.
FREE_TO_CHANGE = {"workers", "cache_gb", "crops_gb", "save_every", "sample_every", "compile", "cpu"}


def _accelerator(config: TrainConfig) -> Accelerator:
    half = is_half(config.precision, PartialState(cpu=config.cpu).device)
    accelerator = Accelerator(cpu=config.cpu, mixed_precision="bf16" if half else "no")
    if (found := accelerator.gradient_accumulation_steps) != 1:
        raise UsageError(f"gradient_accumulation_steps: expected 1, for a step is one batch of batch_size, got {found}")
    return accelerator


def _compiles(device: torch.device) -> bool:
    """Whether torch.compile pays and can work: on a GPU, with Triton and a C compiler."""
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None and bool(shutil.which("cc"))


class Trainer:
    """A run of `task` ("distill" or "fit"): everything that changes during training is in `save` and `load`."""

    def __init__(self, task: str, config: TrainConfig, checkpoint: Path | None = None) -> None:
        """Read the pictures and make the networks.

        Args:
            task: what to train.
            config: the settings.
            checkpoint: where to go on; None: at the start.

        Raises:
            UsageError: if a setting cannot work.
            FileNotFoundError, ValueError: if a file does not hold what it should.
        """
        self.task, self.config, self.step = task, config, 0
        if task == "distill" and (ignored := config.changed(FIT_ALONE)):
            raise UsageError(f"{ignored[0]}: expected the default, for distill does not use it, got {ignored[1]}")
        check_outside(config.out, content=config.content, style=config.style)
        self.accelerator = accelerator = _accelerator(config)
        set_seed(config.seed)
        self.teacher = teacher = load_teacher(config.teacher)
        teacher.to(accelerator.device, memory_format=torch.channels_last)
        if accelerator.mixed_precision == "no":  # half precision is faster still
            freeze(teacher)
        self.content = Pictures(config.content, config.max_side, config.holdout)
        self.style = Pictures(config.style, config.max_side, config.holdout)
        self.pictures = f"{len(self.content.train)} photographs, {len(self.style.train)} paintings"
        self.sources = {"photographs": self.content.digest, "paintings": self.style.digest, **encoder_norms(teacher)}

        self.raw = TASKS[task](config, teacher)
        self.history: list[dict[str, Any]] = []  # what made the weights this run starts from, oldest first
        if checkpoint is None:
            self.history = initialise(self.raw.model, config, teacher, self.content.train, self.style.train)
        self.raw.to(accelerator.device, memory_format=torch.channels_last)
        self.ema = AveragedModel(self.raw.model, multi_avg_fn=self._average)
        self.parameters = [p for p in self.raw.parameters() if p.requires_grad]
        self.optimizer = soap(self.parameters, config)
        # The schedule is not prepared: Accelerate would advance it once per process, but here a step is a step.
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: rate(step, config))
        if config.compile if config.compile is not None else _compiles(accelerator.device):
            self.raw.compile_networks()
        self.module, self.optimizer = accelerator.prepare(self.raw, self.optimizer)
        judged = task == "fit" and config.holdout > 0
        self.validation = Validation(self.content.held_out, self.style.held_out, teacher) if judged else None
        if checkpoint:
            self.load(checkpoint)

    def _average(self, averaged: Sequence[torch.Tensor], weights: Sequence[torch.Tensor], count: object) -> None:
        """Fewer steps at first, as TensorFlow's does: or a short run would end with the average of its start."""
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        get_ema_multi_avg_fn(decay)(averaged, weights, count)

    def run(self, until: int | None = None) -> None:
        """Train to step `until`, or to the end of the schedule, and write checkpoints, samples and a log.

        Raises:
            FloatingPointError: if a loss or a weight is no longer finite; the checkpoints so far stay.
        """
        c, accelerator = self.config, self.accelerator
        end = min(c.steps, until if until is not None else c.steps)
        if self.step >= end and accelerator.is_main_process:  # killed after the last checkpoint, before its weights
            self.export(c.out / "weights.safetensors")
        log = LossLog(c.out / "losses.csv", self.step) if accelerator.is_main_process else None
        stream = batches(self.content, self.style, c, self.step, accelerator.process_index, accelerator.num_processes)
        shown = tqdm(total=c.steps, initial=self.step, unit="step", disable=not accelerator.is_main_process, mininterval=2)
        sums: dict[str, torch.Tensor] = {}
        waited, logged, since = 0.0, self.step, time.perf_counter()
        with contextlib.closing(stream) as data, shown as bar:
            while self.step < end:
                started = time.perf_counter()
                batch = next(data)
                waited += time.perf_counter() - started
                for name, value in self._step(batch).items():  # kept on the device: reading them would wait for it
                    sums[name] = sums[name] + value if name in sums else value
                bar.update()
                sample = self.step % c.sample_every == 0 or self.step == end
                saving = self.step % c.save_every == 0 or self.step == end
                if (sample or saving) and not all(value.isfinite().all() for value in self.raw.state_dict().values()):
                    raise self._diverged("a weight is not finite")
                if sample or self.step % LOG_EVERY == 0:
                    row = self._means(sums, self.step - logged)
                    elapsed = time.perf_counter() - since
                    row["images_per_s"] = (self.step - logged) * c.batch_size * accelerator.num_processes / elapsed
                    row["data_wait"] = waited / elapsed
                    if log:
                        if self.validation and sample:
                            row |= self.validation.run(self.ema.module, c.out / f"samples-{self.step:08d}.jpg")
                        log.write(self.step, row)
                    bar.set_postfix({k: f"{v:.3g}" for k, v in row.items()}, refresh=False)
                    sums, waited, logged, since = {}, 0.0, self.step, time.perf_counter()
                if saving:
                    self.save()
        if log:
            plot_losses(c.out / "losses.csv", c.out / "losses.png")

    def _means(self, sums: Mapping[str, torch.Tensor], steps: int) -> dict[str, float]:
        """What each of the sums is in a step, over all processes."""
        means = self.accelerator.reduce(torch.stack(list(sums.values())), "mean") / steps
        row = dict(zip(sums, means.tolist()))
        if not all(math.isfinite(value) for value in row.values()):
            raise self._diverged(f"a loss is not finite: {row}")
        return row

    def _step(self, batch: object) -> dict[str, torch.Tensor]:
        """One step of the optimizer; returns the losses and the gradient's norm before `clip`, detached."""
        with self.accelerator.autocast():
            losses = self.module(batch)
        self.optimizer.zero_grad()
        self.accelerator.backward(losses["loss"])
        norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.config.clip)
        with limited_steps(self.parameters, self.optimizer.param_groups[0]["lr"]), quick_products():
            self.optimizer.step()
        self.schedule.step()
        self.ema.update_parameters(self.raw.model)
        self.step += 1
        return {name: value.detach().float() for name, value in (losses | {"gradient_norm": norm}).items()}

    def _diverged(self, what: str) -> FloatingPointError:
        kept = self.config.out / "weights.safetensors"
        start = f" --init {kept} and" if kept.exists() else ""
        return FloatingPointError(f"step {self.step}: {what}; start a new run with{start} a lower --lr")

    def export(self, path: Path) -> None:
        """Write the averaged weights as a model that `nst_adain` loads."""
        c = self.config
        keep = set() if self.task == "distill" else {"decoder", "modulator"}
        if keeps_encoder(self.raw.model.encoder, c, self.teacher):
            keep.add("encoder")
        tensors = {k: v for k, v in self.ema.module.state_dict().items() if k.split(".")[0] in keep}
        recipe = [*self.history, {"task": self.task, "steps_done": self.step, **json.loads(c.describe())}]
        entries = {**recipe_entries(recipe), "data": self.pictures}
        if "encoder" not in keep:
            entries |= encoder_norms(self.raw.model.encoder)
        save_weights(path, c.arch, tensors, **entries)

    def save(self) -> None:
        """Write a checkpoint directory, whole or not at all, keep the two newest, and the weights so far for use."""
        if not self.accelerator.is_main_process:
            return
        out = self.config.out
        tensors = {f"module.{k}": v for k, v in self.raw.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.state_dict().items()}
        optimizer = self.optimizer.state_dict()
        moments = without_tensors(optimizer["state"], "optimizer", tensors)
        tensors["rng.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        state = {"step": self.step, "task": self.task, "processes": self.accelerator.num_processes, "history": self.history}
        state |= {"recipe": json.loads(self.config.describe()), "groups": optimizer["param_groups"]}
        state |= {"pictures": self.pictures, "sources": self.sources}
        state["optimizer"] = moments
        state["schedule"] = self.schedule.state_dict() | {"lr_lambdas": None}
        write_checkpoint(out, self.step, state, tensors)
        self.export(out / "weights.safetensors")

    def load(self, checkpoint: Path) -> None:
        """Go on from what `save` wrote.

        Raises:
            ValueError: if the checkpoint is damaged, or of a run with other pictures or another loss network.
            UsageError: if it is of another task or has other settings.
        """
        state, tensors = read_checkpoint(checkpoint)
        self._check_same(checkpoint, state)
        self.raw.load_state_dict(under("module.", tensors))
        self.ema.load_state_dict(under("ema.", tensors))
        moments = {int(index): with_tensors(entry, tensors) for index, entry in state["optimizer"].items()}
        self.optimizer.load_state_dict({"state": moments, "param_groups": state["groups"]})
        self.schedule.load_state_dict(state["schedule"] | {"lr_lambdas": [None]})
        torch.set_rng_state(tensors["rng.cpu"])
        if "rng.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["rng.cuda"])
        self.step, self.history = state["step"], state.get("history", self.history)

    def _check_same(self, checkpoint: Path, state: Mapping[str, Any]) -> None:
        """Raise unless this run is the one that wrote a checkpoint: see `load`."""
        if (pictures := state.get("pictures", self.pictures)) != self.pictures:
            raise ValueError(f"{checkpoint}: was made with {pictures}, found {self.pictures}; start a new run with --init")
        sources = state.get("sources", {})
        for name in ("photographs", "paintings"):
            if sources.get(name, self.sources[name]) != self.sources[name]:
                raise ValueError(f"{checkpoint}: was made with {name} of other names; start a new run with --init")
        if difference := compare_norms(checkpoint, self.teacher, sources):
            raise ValueError(f"{checkpoint}: was made with another loss network ({difference}); start a new run with --init")
        here = {"task": self.task, "processes": self.accelerator.num_processes, **json.loads(self.config.describe())}
        there = {"task": state["task"], "processes": state["processes"], **state["recipe"]}
        changed = [k for k in here if k not in FREE_TO_CHANGE and here[k] != there.get(k)]
        if changed:
            name = changed[0]
            made = f"with {name} {there[name]}" if name in there else f"before there was {name}"
            raise UsageError(f"{checkpoint}: was made {made}, not with {here[name]}; start a new run with --init")
