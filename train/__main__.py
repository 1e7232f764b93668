"""`python -m train distill | fit | evaluate | score | publish | benchmark | layers | throughput | flicker`, with --help."""

from __future__ import annotations

import sys

try:
    import tyro

    from train.trainer import Trainer, latest_checkpoint
except ModuleNotFoundError as error:
    sys.exit(f"train: error: {error.name} is missing; install the extra: pip install -e '.[train]'")

from nst_adain.allocator import keep_freed_memory
from nst_adain.files import make_folder
from nst_adain.usage import UsageError
from train.benchmark import benchmark
from train.config import TrainConfig
from train.evaluate import evaluate
from train.flicker import flicker
from train.layers import layers
from train.publish import publish
from train.score import score
from train.throughput import throughput


def distill(config: tyro.conf.OmitArgPrefixes[TrainConfig]) -> None:
    """Teach a small encoder to give the teacher's features; its weights.safetensors is for `fit --init`."""
    _train("distill", config)


def fit(config: tyro.conf.OmitArgPrefixes[TrainConfig]) -> None:
    """Train style transfer: the decoder, or encoder and decoder together, with content and style losses."""
    _train("fit", config)


def _train(task: str, config: TrainConfig) -> None:
    checkpoint = latest_checkpoint(config.out)
    if checkpoint and not config.resume:
        raise ValueError(f"{checkpoint}: there is a run in this folder; go on with --resume, or name another --out")
    if config.out.exists() and not config.out.is_dir():  # said now, not when all pictures are read
        raise NotADirectoryError(f"{config.out}: expected a folder, found a file")
    trainer = Trainer(task, config)
    make_folder(config.out)
    if checkpoint:
        trainer.load(checkpoint)
    trainer.run()


def main() -> int:
    """Run a command; exit status 0 done, 1 the job failed, 2 it was asked for wrongly."""
    keep_freed_memory()
    try:
        tyro.extras.subcommand_cli_from_dict(
            {
                "distill": distill,
                "fit": fit,
                "evaluate": evaluate,
                "score": score,
                "publish": publish,
                "benchmark": benchmark,
                "layers": layers,
                "throughput": throughput,
                "flicker": flicker,
            },
            prog="python -m train",
        )
    except UsageError as error:
        print(f"train: error: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError, FloatingPointError) as error:
        print(f"train: error: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"train: error: {error.name} is missing: pip install {error.name}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("train: interrupted (fit and distill go on from their last checkpoint with --resume)", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
