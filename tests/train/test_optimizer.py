"""Steps of the optimizer: how long they may be, and in what precision they are computed."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from train.config import TrainConfig
from train.optimizer import limited_steps
from train.trainer import Trainer


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
