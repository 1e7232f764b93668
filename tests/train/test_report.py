"""What a run shows of itself: its log, and samples as often as asked."""

from __future__ import annotations

import dataclasses

from train.config import TrainConfig
from train.report import read_losses
from train.trainer import Trainer


def test_a_row_that_a_full_disk_cut_off_is_no_row(config: TrainConfig) -> None:
    config.out.mkdir()
    log = config.out / "losses.csv"
    log.write_text("step,loss\r\n1,0.5\r\n2,0.4\r\n1")  # of 10
    assert [row["step"] for row in read_losses(log)] == ["1", "2"]


def test_samples_are_made_as_often_as_asked(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, sample_every=3)).run()
    assert sorted(p.name for p in config.out.glob("samples-*")) == [f"samples-0000000{n}.jpg" for n in (3, 6, 8)]
