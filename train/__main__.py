"""`python -m train distill | fit`"""

import sys

import tyro

from train.config import TrainConfig
from train.trainer import Trainer, latest_checkpoint


def main():
    task, *rest = sys.argv[1:]
    config = tyro.cli(TrainConfig, args=rest, prog=f"python -m train {task}")
    trainer = Trainer(task, config)
    if config.resume and (found := latest_checkpoint(config.out)):
        trainer.load(found)
    trainer.run()


main()
