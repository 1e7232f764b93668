"""The warping error that measures flicker, on movements that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from nst_adain.video.frames import save_video
from train.measure.flicker import flicker, flow, warping_error


def pan(frames: int, step: int) -> list[np.ndarray]:
    """A textured picture that moves left by `step` pixels a frame, (64, 96, 3) in [0, 1]."""
    detail = np.random.default_rng(0).uniform(0, 0.3, (16, 60, 1)).repeat(4, 0).repeat(4, 1)
    wide = np.asarray(picture(240, 64, 1), dtype=float) / 255 * 0.7 + detail
    return [wide[:, i * step : i * step + 96] for i in range(frames)]


def test_flow_of_a_pan_is_its_speed_and_its_warping_error_none() -> None:
    first, second = pan(2, 3)
    places, seen = flow(first, second)
    there = places - np.indices((64, 96))
    assert np.median(there[1][seen]) == pytest.approx(-3, abs=0.2)
    assert np.median(there[0][seen]) == pytest.approx(0, abs=0.2)
    assert not seen[:, 0].any()  # what leaves the picture is not compared
    assert seen[8:-8, 8:-8].mean() > 0.8
    still = warping_error(first, second, *flow(first, first))
    moved = warping_error(first, second, places, seen)
    assert moved < 0.1 * still
    # A picture that is 0.1 brighter has an error of 0.01 more.
    assert warping_error(first, second + 0.1, places, seen) - moved == pytest.approx(0.01, abs=0.002)


def test_flicker_command_reports_each_steadiness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(64, 64, 5).save(tmp_path / "style.png")
    frames = [Image.fromarray((frame * 255).clip(0, 255).astype(np.uint8)) for frame in pan(6, 2)]
    save_video(frames, tmp_path / "clip.mkv", crf=0)
    flicker(tmp_path / "clip.mkv", tmp_path / "style.png", frames=5, size=64, steadiness=(0.0, 0.7), device="cpu")
    rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [name.strip() for name, _ in rows] == ["the clip itself", "steadiness 0", "steadiness 0.7"]
    source, unsteady, steady = (float(error) for _, error in rows)
    assert steady < unsteady / 2
    assert 0 <= source < steady


def test_cuts_are_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    picture(64, 64, 5).save(tmp_path / "style.png")
    frames = [Image.fromarray((frame * 255).clip(0, 255).astype(np.uint8)) for frame in pan(3, 2)]
    save_video(frames, tmp_path / "clip.mkv", crf=0)
    places, seen = np.indices((64, 96)).astype(float), np.ones((64, 96), bool)
    flows = iter([(places, ~seen), (places, seen)])
    monkeypatch.setattr("train.measure.flicker.flow", lambda *pair: next(flows))
    flicker(tmp_path / "clip.mkv", tmp_path / "style.png", size=64, steadiness=(0.0,), device="cpu")
    error = float(capsys.readouterr().out.splitlines()[2].split("|")[2])
    _, second, third = pan(3, 2)
    assert error == pytest.approx(1000 * ((second - third) ** 2).mean(), rel=0.05)

    monkeypatch.setattr("train.measure.flicker.flow", lambda *pair: (places, ~seen))
    with pytest.raises(ValueError, match=r"clip\.mkv: expected frames that show what the frame before shows, found none"):
        flicker(tmp_path / "clip.mkv", tmp_path / "style.png", size=64, steadiness=(0.0,), device="cpu")
