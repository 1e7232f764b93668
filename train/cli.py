"""The command `python -m train COMMAND`; its --help lists the commands."""

from __future__ import annotations

import contextlib
import dataclasses
import sys

try:
    import tyro
    from accelerate import PartialState

    from train.trainer import Trainer
except ModuleNotFoundError as error:
    sys.exit(f"train: error: {error.name} is missing; install the extra: pip install -e '.[train]'")

from nst_adain.allocator import keep_freed_memory
from nst_adain.errors import UsageError
from nst_adain.interrupts import STATUS, interruptible
from nst_adain.streams import open_missing_streams
from train.average import average
from train.checkpoint import latest_checkpoint, sole_run
from train.config import TrainConfig
from train.measure.benchmark import benchmark
from train.measure.evaluate import evaluate
from train.measure.flicker import flicker
from train.measure.holdout import holdout
from train.measure.profile import profile
from train.measure.score import score
from train.measure.throughput import throughput
from train.publish import embolden, publish

__all__ = ["distill", "fit", "main"]

_INTERRUPTED = "train: interrupted (fit and distill go on from their last checkpoint with --resume)"


@dataclasses.dataclass(frozen=True)
class _Settings(TrainConfig):
    def __post_init__(self) -> None:
        try:
            super().__post_init__()
        except UsageError as error:  # which tyro would put into a box, with names of its own
            sys.exit(_wrong(error))


def distill(config: tyro.conf.OmitArgPrefixes[_Settings]) -> None:
    """Teach a small encoder to give the teacher's features; its weights.safetensors is for `fit --init`."""
    _train("distill", config)


def fit(config: tyro.conf.OmitArgPrefixes[_Settings]) -> None:
    """Train style transfer: the decoder, or encoder and decoder together, with content and style losses."""
    _train("fit", config)


def _train(task: str, config: TrainConfig) -> None:
    main = PartialState(cpu=config.cpu).is_main_process
    with sole_run(config.out) if main else contextlib.nullcontext():
        checkpoint = latest_checkpoint(config.out)
        if checkpoint and not config.resume:
            raise UsageError(f"{checkpoint}: there is a run in this folder; go on with --resume, or name another --out")
        if (kept := config.out / "weights.safetensors").exists() and not checkpoint:  # of a run whose checkpoints were removed
            raise UsageError(f"{kept}: there are weights in this folder, and no checkpoint to go on from; name another --out")
        Trainer(task, config, checkpoint).run()


def _wrong(error: UsageError) -> int:
    """Print a usage error; returns the exit status."""
    print(f"train: error: {error}", file=sys.stderr)
    return 2


def main() -> int:
    """Run a command; returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    open_missing_streams()
    keep_freed_memory()
    commands = [distill, fit, average, holdout, evaluate, score, publish, embolden, benchmark, profile, throughput, flicker]
    try:
        with interruptible(_INTERRUPTED):
            tyro.extras.subcommand_cli_from_dict({command.__name__: command for command in commands}, prog="python -m train")
    except UsageError as error:
        return _wrong(error)
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"train: error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"train: error: {error.name} is missing: pip install {error.name}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(_INTERRUPTED, file=sys.stderr)
        return STATUS
    return 0
