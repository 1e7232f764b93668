"""The training loop: the same for every task, on a CPU, a GPU, or several processes under `accelerate launch`."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from pathlib import Path

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import set_seed
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from nst_adain.pretrained import load_encoder, read_weights, save_weights
from train.config import TrainConfig
from train.data import Pictures, batches, center_crop
from train.initial import calibrate, load_initial
from train.report import LossLog, Validation, plot_losses
from train.tasks import Distillation, StyleTransferTask

__all__ = ["Trainer", "latest_checkpoint", "native_bf16"]

TASKS = {"distill": Distillation, "fit": StyleTransferTask}
LOG_EVERY = 20  # steps averaged into a row of losses.csv


def native_bf16(device: torch.device) -> bool:
    """Whether bf16 is multiplied by the hardware: emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(capability.get("avx512_bf16") or capability.get("amx_bf16"))


def latest_checkpoint(run: Path) -> Path | None:
    """The newest complete checkpoint of a run. An interrupted one has another name, so all that match are complete."""
    found = sorted(run.glob("step-" + "[0-9]" * 8))
    return found[-1] if found else None


class Trainer:
    """A run of `task` ("distill" or "fit"): everything that changes during training is in `save` and `load`."""

    def __init__(self, task: str, config: TrainConfig) -> None:
        self.task, self.config = task, config
        device = PartialState(cpu=config.cpu).device
        bf16 = config.precision == "bf16" or (config.precision == "auto" and native_bf16(device))
        self.accelerator = accelerator = Accelerator(cpu=config.cpu, mixed_precision="bf16" if bf16 else "no")
        set_seed(config.seed)

        teacher = (
            load_encoder(config.teacher).eval().requires_grad_(False).to(accelerator.device, memory_format=torch.channels_last)
        )
        module: nn.Module = TASKS[task](config, teacher)
        source = config.init or (config.teacher if task == "fit" and not config.train_encoder else None)
        given = load_initial(module.model, source) if source else set()
        # The settings of the runs that made the weights this one starts from, oldest first.
        self.history = json.loads(read_weights(config.init)[1].get("recipe", "[]")) if config.init else []
        self.content = Pictures(config.content, config.max_side, config.holdout, config.workers)
        self.style = Pictures(config.style, config.max_side, config.holdout, config.workers)
        sample = [torch.stack([center_crop(p, config.crop) for p in side.train[:32]]) for side in (self.content, self.style)]
        random = {part: part not in given for part in ("encoder", "decoder")}
        count = min(map(len, sample))
        calibrate(module.model, *(pictures[:count].float() / 255 for pictures in sample), **random)
        module.to(accelerator.device, memory_format=torch.channels_last)
        self.ema = AveragedModel(module.model, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
        parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(parameters, lr=config.lr)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self.rate)
        self.raw = module
        if config.compile if config.compile is not None else accelerator.device.type == "cuda":
            module.model.compile()
            teacher.compile()
        # The schedule is not prepared: Accelerate would advance it once per process, but here a step is a step.
        self.module, self.optimizer = accelerator.prepare(module, self.optimizer)

        self.validation = Validation(self.content.held_out, self.style.held_out, teacher) if task == "fit" else None
        self.step = 0

    def rate(self, step: int) -> float:
        """The learning rate at a step, as a fraction of the peak: linear warm-up, then a cosine to 0."""
        c = self.config
        if step < c.warmup:
            return (step + 1) / c.warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - c.warmup) / max(1, c.steps - c.warmup))))

    def run(self, until: int | None = None) -> None:
        """Train to step `until`, or to the end of the schedule, and write checkpoints, samples and a log."""
        c, accelerator = self.config, self.accelerator
        end = min(c.steps, until if until is not None else c.steps)
        c.out.mkdir(parents=True, exist_ok=True)
        log = LossLog(c.out / "losses.csv", self.step) if accelerator.is_main_process else None
        data = batches(self.content, self.style, c, self.step, accelerator.process_index, accelerator.num_processes)
        bar = tqdm(total=c.steps, initial=self.step, unit="step", disable=not accelerator.is_main_process, mininterval=2)
        sums: dict[str, torch.Tensor] = {}
        waited, logged, since = 0.0, self.step, time.perf_counter()
        while self.step < end:
            started = time.perf_counter()
            batch = next(data)
            waited += time.perf_counter() - started
            with accelerator.autocast():
                losses = self.module(batch)
            self.optimizer.zero_grad()
            accelerator.backward(losses["loss"])
            accelerator.clip_grad_norm_(self.optimizer.param_groups[0]["params"], c.clip)
            self.optimizer.step()
            self.schedule.step()
            self.ema.update_parameters(self.raw.model)
            self.step += 1
            for name, value in losses.items():  # kept on the device: reading them would wait for it
                sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value.detach().float()
            bar.update()
            if log and (self.step % LOG_EVERY == 0 or self.step == end):
                elapsed, count = time.perf_counter() - since, self.step - logged
                row = {name: float(value) / count for name, value in sums.items()}
                if not all(math.isfinite(v) for v in row.values()):
                    raise FloatingPointError(f"step {self.step}: a loss is not finite: {row}; lower --lr")
                row["images_per_s"] = count * c.batch_size * accelerator.num_processes / elapsed
                row["data_wait"] = waited / elapsed
                if self.validation and (self.step % c.sample_every == 0 or self.step == end):
                    row |= self.validation.run(self.ema.module, c.out / f"samples-{self.step:08d}.jpg")
                log.write(self.step, row)
                bar.set_postfix({k: f"{v:.3g}" for k, v in row.items()}, refresh=False)
                sums, waited, logged, since = {}, 0.0, self.step, time.perf_counter()
            if self.step % c.save_every == 0 or self.step == end:
                self.save()
        bar.close()
        data.close()
        if accelerator.is_main_process:
            plot_losses(c.out / "losses.csv", c.out / "losses.png")

    def export(self, path: Path) -> None:
        """Write the averaged weights as a model that `nst_adain` loads."""
        c = self.config
        keep = "encoder." if self.task == "distill" else "" if c.train_encoder or c.width != 1 else "decoder."
        tensors = {k: v for k, v in self.ema.module.state_dict().items() if k.startswith(keep)}
        data = f"{len(self.content.train)} photographs, {len(self.style.train)} paintings"
        recipe = json.dumps([*self.history, json.loads(c.describe())])
        save_weights(path, c.arch, tensors, recipe=recipe, task=self.task, steps=str(self.step), data=data)

    def save(self) -> None:
        """Write a checkpoint directory, whole or not at all, keep the two newest, and the weights so far for use."""
        if not self.accelerator.is_main_process:
            return
        self.export(self.config.out / "weights.safetensors")
        tensors = {f"module.{k}": v for k, v in self.raw.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.state_dict().items()}
        optimizer = self.optimizer.state_dict()
        for index, entry in optimizer["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in entry.items()}
        tensors["rng.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        state = {"step": self.step, "task": self.task, "recipe": json.loads(self.config.describe())}
        state |= {"schedule": self.schedule.state_dict() | {"lr_lambdas": None}, "groups": optimizer["param_groups"]}

        final = self.config.out / f"step-{self.step:08d}"
        partial = self.config.out / f"partial-{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, partial / "state.safetensors")
        (partial / "state.json").write_text(json.dumps(state, indent=1))
        for file in partial.iterdir():
            with open(file, "rb+") as handle:
                os.fsync(handle.fileno())
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        for old in sorted(self.config.out.glob("step-" + "[0-9]" * 8))[:-2]:
            shutil.rmtree(old)
        for left in self.config.out.glob("partial-*"):  # of a run that was killed
            shutil.rmtree(left)

    def load(self, checkpoint: Path) -> None:
        """Go on from what `save` wrote.

        Raises:
            ValueError: if the checkpoint is of another task or another model.
        """
        state = json.loads((checkpoint / "state.json").read_text())
        here = json.loads(self.config.describe())
        for name in ("topology", "width", "taps", "train_encoder"):
            if state["recipe"][name] != here[name]:
                raise ValueError(f"{checkpoint}: was made with {name} {state['recipe'][name]}, not {here[name]}")
        if state["task"] != self.task:
            raise ValueError(f"{checkpoint}: is of {state['task']}, not of {self.task}")
        tensors = load_file(checkpoint / "state.safetensors")
        part = lambda prefix: {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}  # noqa: E731
        self.raw.load_state_dict(part("module."))
        self.ema.load_state_dict(part("ema."))
        entries: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in part("optimizer.").items():
            index, name = key.split(".", 1)
            entries.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({"state": entries, "param_groups": state["groups"]})
        self.schedule.load_state_dict(state["schedule"] | {"lr_lambdas": [None]})
        torch.set_rng_state(tensors["rng.cpu"])
        if "rng.cuda" in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors["rng.cuda"])
        self.step = state["step"]
