"""Training pictures: crops, their augmentation, and which come in which step."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import losses
from PIL import Image, ImageDraw

from nst_adain.batch.shards import write_tar
from train.config import TrainConfig
from train.data import Batch, Pictures, batches, center_crop, square_crop
from train.trainer import Trainer


def test_corrupt_pictures_are_skipped_and_named(config: TrainConfig, capsys: pytest.CaptureFixture[str]) -> None:
    (config.content / "bad.png").write_text("no picture")
    (config.content / "dangling.png").symlink_to("nowhere.png")
    pictures = Pictures(config.content, 64, 1)
    assert len(pictures.train) == 7
    said = capsys.readouterr().err
    assert "bad.png: expected a picture" in said
    assert "dangling.png: expected a picture" in said
    with pytest.raises(ValueError, match="expected more than the 8 held-out pictures, found 8"):
        Pictures(config.content, 64, 8)


def test_lists_and_tars_hold_what_their_folder_holds(config: TrainConfig, tmp_path: Path) -> None:
    folder = Pictures(config.content, 64, 1)
    names = sorted(path.name for path in config.content.iterdir())
    (config.content / "list.txt").write_text("\n".join(names))
    listed = Pictures(config.content / "list.txt", 64, 1)
    assert listed.digest == folder.digest
    for number, some in enumerate((names[:5], names[5:])):
        write_tar(tmp_path / f"{number}.tar", [(Path(name).stem, config.content / name, {"cls": 1}) for name in some])
    tars = Pictures(tmp_path / "{0..1}.tar", 64, 1)
    assert tars.digest != folder.digest
    for other in (listed, tars):
        assert [image.tobytes() for image in other.train] == [image.tobytes() for image in folder.train]
        assert [image.tobytes() for image in other.held_out] == [image.tobytes() for image in folder.held_out]


def test_damaged_parts_of_tars_are_skipped_and_named(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(config.content.iterdir())
    write_tar(tmp_path / "0.tar", [(path.stem, path, {}) for path in names])
    data = bytearray((tmp_path / "0.tar").read_bytes())
    data[:300] = b"\xff" * 300
    (tmp_path / "0.tar").write_bytes(data)
    assert len(Pictures(tmp_path / "0.tar", 64, 1).train) == len(names) - 2
    assert "skipped: 0.tar: the tar is damaged at byte 0" in capsys.readouterr().err


def test_batches_are_a_function_of_the_step(config: TrainConfig) -> None:
    content, style = (Pictures(f, 64, 1) for f in (config.content, config.style))
    from_start, from_three = batches(content, style, config, 0), batches(content, style, config, 3)
    for _ in range(3):
        next(from_start)
    a, b = next(from_start), next(from_three)
    assert torch.equal(a.content, b.content)
    assert torch.equal(a.style, b.style)
    assert a.content_keys == b.content_keys
    other = next(batches(content, style, config, 3, rank=1, world=2))
    assert other.content_keys + other.style_keys != a.content_keys + a.style_keys


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_styles_are_photographs(config: TrainConfig, share: float) -> None:
    content, style = (Pictures(f, 64, 1) for f in (config.content, config.style))
    config = dataclasses.replace(config, photo_styles=share, pattern_styles=0.0)
    drawn = [batch for batch, _ in zip(batches(content, style, config, 0), range(50))]
    kinds = [kind for batch in drawn for kind, *_ in batch.style_keys]
    assert abs(kinds.count(0) / len(kinds) - share) < 0.15 * (0 < share < 1) + 1e-9
    crops = {key: crop for batch in drawn for key, crop in zip(batch.content_keys, batch.content)}
    shared = [(crops[key], crop) for batch in drawn for key, crop in zip(batch.style_keys, batch.style) if key in crops]
    assert bool(shared) == (share > 0)
    assert all(torch.equal(a, b) for a, b in shared)  # one name, one crop
    assert all(kind == 0 for batch in drawn for kind, *_ in batch.content_keys)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_a_share_of_the_styles_are_drawn(config: TrainConfig, share: float) -> None:
    content, style = (Pictures(f, 64, 1) for f in (config.content, config.style))
    config = dataclasses.replace(config, photo_styles=0.2, pattern_styles=share, patterns=7, variants=1)
    drawn = [batch for batch, _ in zip(batches(content, style, config, 0), range(50))]
    keys = [key for batch in drawn for key in batch.style_keys]
    kinds = [kind for kind, *_ in keys]
    assert abs(kinds.count(2) / len(kinds) - share) < 0.15 * (share > 0) + 1e-9
    assert abs(kinds.count(0) / len(kinds) - 0.2) < 0.15
    assert {index for kind, index, _ in keys if kind == 2} == (set(range(7)) if share else set())
    assert all(kind == 0 for batch in drawn for kind, *_ in batch.content_keys)


def test_paintings_get_other_colours_and_nothing_else_changes(config: TrainConfig) -> None:
    content, style = (Pictures(f, 64, 1) for f in (config.content, config.style))
    config = dataclasses.replace(config, photo_styles=0.5, batch_size=16, sharpen=0)
    as_they_are, recolored = (
        next(batches(content, style, dataclasses.replace(config, recolor_styles=share), 0)) for share in (0.0, 1.0)
    )
    assert as_they_are.style_keys == recolored.style_keys
    assert torch.equal(as_they_are.content, recolored.content)
    for key, before, after in zip(as_they_are.style_keys, as_they_are.style, recolored.style):
        if key[0] != 1:  # a photograph, which is a content too, or a pattern, whose colours are random anyway
            assert torch.equal(before, after)
            continue
        assert not torch.equal(before, after)
        # Each channel of the result is a rising function of one that was there.
        for channel in after.flatten(1).int():
            assert any((channel[order].diff() >= 0).all() for order in before.flatten(1).argsort(stable=True))


def test_photographs_and_paintings_are_sharpened_and_patterns_are_not(config: TrainConfig) -> None:
    content, style = (Pictures(f, 64, 1) for f in (config.content, config.style))
    settings = dataclasses.replace(config, photo_styles=0.3, pattern_styles=0.3, batch_size=16)
    soft, sharp, half = (
        next(batches(content, style, dataclasses.replace(settings, sharpen=share), 0)) for share in (0.0, 1.0, 0.5)
    )
    assert {kind for kind, *_ in soft.style_keys} == {0, 1, 2}
    keys = [*soft.content_keys, *soft.style_keys]
    assert [*sharp.content_keys, *sharp.style_keys] == keys
    changed = []
    for key, before, after, some in zip(keys, *(torch.cat([b.content, b.style]).float() for b in (soft, sharp, half))):
        if key[0] == 2:
            assert torch.equal(before, after)
            continue
        assert torch.equal(before, some) or torch.equal(after, some)
        changed.append(not torch.equal(before, some))
        contrast = [float(x.diff(dim=-1).abs().mean()) for x in (before, after)]
        assert contrast[0] < contrast[1] < 4 * contrast[0]
        assert abs(float((after - before).mean())) < 2  # neither brighter nor darker
    assert 0.2 < sum(changed) / len(changed) < 0.8


def test_crops_are_cut_once_and_kept_up_to_a_limit(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(config, batch_size=1, variants=1, workers=1, pattern_styles=0, photo_styles=0)
    pools = Pictures(config.content, 64, 1), Pictures(config.style, 64, 1)
    for pool, count in zip(pools, (2, 1)):
        del pool.train[count:]
    calls: list[int] = []
    monkeypatch.setattr("train.data.square_crop", lambda *a, **k: (calls.append(1), square_crop(*a, **k))[1])

    def six(room: int) -> list[Batch]:
        calls.clear()
        gigabytes = room * 3 * config.crop**2 / 2**30
        with contextlib.closing(batches(*pools, dataclasses.replace(config, crops_gb=gigabytes), 0)) as stream:
            return [next(stream) for _ in range(6)]

    anew = six(0)
    assert {batch.content_keys[0][1] for batch in anew} == {0, 1}
    assert len(calls) == 2 * (6 + 2)  # the loader is two batches ahead
    for room, fewest, most in ((1, 4, 15), (100, 3, 3)):
        for one, other in zip(anew, six(room)):
            assert torch.equal(one.content, other.content)
            assert torch.equal(one.style, other.style)
        assert fewest <= len(calls) <= most


def test_crops_keep_the_aspect_ratio(config: TrainConfig) -> None:
    circle = Image.new("RGB", (300, 120))
    ImageDraw.Draw(circle).ellipse((100, 10, 200, 110), fill="white")
    cut = center_crop(circle, 60)[0] > 127
    rows, columns = cut.any(1).sum(), cut.any(0).sum()
    assert abs(int(rows) - int(columns)) <= 1


@pytest.mark.parametrize("enlarge", [1.0, 2.0])
def test_crops_are_enlarged_no_further_than_asked(config: TrainConfig, monkeypatch: pytest.MonkeyPatch, enlarge: float) -> None:
    config = dataclasses.replace(config, enlarge=enlarge, min_scale=0.1, pattern_styles=0.0)
    sides: list[float] = []

    def crop(image: Image.Image, side: float, *rest: Any, **options: Any) -> torch.Tensor:
        sides.append(side)
        return square_crop(image, side, *rest, **options)

    monkeypatch.setattr("train.data.square_crop", crop)
    pools = [Pictures(folder, 512, 0) for folder in (config.content, config.style)]
    stream = batches(*pools, config, 0)
    for _ in range(20):
        next(stream)
    stream.close()
    assert config.crop / enlarge <= min(sides) < config.crop / enlarge + 2
    assert max(sides) > config.crop


def test_crops_may_have_any_side(config: TrainConfig) -> None:
    Trainer("fit", dataclasses.replace(config, crop=21, steps=1)).run()
    assert np.isfinite(losses(config.out)).all()
