"""What a step computes: the losses of a batch, and the loss network's features that are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from conftest import losses, weights_of

from nst_adain.models.networks import Encoder
from train.config import TrainConfig
from train.data import Pictures, batches
from train.tasks import TargetCache
from train.trainer import Trainer


def test_target_cache_computes_each_crop_once_and_keeps_to_its_limit() -> None:
    computed: list[int] = []

    def compute(x: torch.Tensor) -> list[torch.Tensor]:
        computed.append(len(x))
        return [x * 2]

    x = torch.arange(8.0).view(4, 1, 1, 2)
    keys = [(0, i, 0) for i in range(4)]
    cache = TargetCache(compute, gigabytes=3 * 8 / 2**30)  # three entries of two float32
    for _ in range(2):
        torch.testing.assert_close(cache(x, keys)[0], x * 2)
    assert computed == [4, 1]
    torch.testing.assert_close(cache(x[[1, 1]], [keys[1], keys[1]])[0], x[[1, 1]] * 2)
    assert len({part.untyped_storage().data_ptr() for (part,) in cache.entries.values()}) == 1  # no holes between them


def test_every_loss_trains(config: TrainConfig) -> None:
    def trained(**option: object) -> torch.Tensor:
        changed = dataclasses.replace(config, steps=2, out=config.out / str(option), **option)  # type: ignore[arg-type]
        Trainer("fit", changed).run()
        assert np.isfinite(losses(changed.out)).all()
        return weights_of(changed.out)["decoder.conv1_1.weight"]

    plain = trained()
    for option in (
        {"style_kind": "gram"}, {"content_target": "adain"}, {"tv_weight": 1.0}, {"grid_weight": 0.0}, {"palette_weight": 9.0},
        {"octaves": 2}, {"octaves": 2, "content_octave": 1, "content_target": "adain"},
    ):  # fmt: skip
        assert not torch.equal(trained(**option), plain), option
    assert torch.equal(trained(cache_gb=0.0), plain)  # which saves time, and changes nothing


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


def test_each_octave_compares_pictures_of_half_of_the_size_and_counts_half(config: TrainConfig) -> None:
    task = Trainer("fit", dataclasses.replace(config, octaves=2, content_octave=1)).raw
    pictures = torch.rand(2, 3, 32, 32)
    half = torch.stack([pictures[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).mean(0)
    whole, reduced = task.targets(pictures), task.targets(half)
    layout, parts = task.judge(pictures)
    torch.testing.assert_close(layout, reduced["relu4_1"])
    torch.testing.assert_close(task.content_targets(pictures, [(0, 0, 0), (0, 1, 0)])[0], layout)
    assert list(parts) == [f"{layer}/{times}" for times in (1, 2) for layer in config.style_layers]
    for times, features in ((1, whole), (2, reduced)):
        for layer in config.style_layers:
            torch.testing.assert_close(parts[f"{layer}/{times}"][0].square() * times, features[layer].mean((2, 3)).square())


def test_teacher_is_not_trained(config: TrainConfig) -> None:
    trainer = Trainer("fit", config)
    assert [m.plan for m in trainer.raw.modules() if isinstance(m, Encoder)] == [config.arch.plan]


def test_distill_takes_crops_of_any_side(config: TrainConfig) -> None:
    Trainer("distill", dataclasses.replace(config, crop=33, steps=1)).run()
    assert np.isfinite(losses(config.out)).all()
