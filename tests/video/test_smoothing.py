"""Statistics and pictures are smoothed over the frames of a scene, and not across a cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image

from nst_adain.errors import UsageError
from nst_adain.functional import ChannelStats
from nst_adain.stylizer import Stylizer
from nst_adain.video.frames import FrameEncoder, read_frames, save_video
from nst_adain.video.smoothing import SmoothedPictures, SmoothedStats, SmoothedStylizer
from nst_adain.video.stylize import stylize_video


def stats(value: float) -> ChannelStats:
    return ChannelStats(torch.full((1, 4, 1, 1), value), torch.ones(1, 4, 1, 1))


def pan(frames: int, step: int) -> list[np.ndarray]:
    """A picture that moves left by `step` pixels a frame, (64, 96, 3)."""
    detail = np.random.default_rng(0).integers(0, 60, (16, 60, 1)).repeat(4, 0).repeat(4, 1)
    wide = (np.asarray(picture(240, 64, 1)) * 0.7 + detail).astype(np.uint8)
    return [np.ascontiguousarray(wide[:, i * step : i * step + 96]) for i in range(frames)]


def test_statistics_are_smoothed_within_a_scene_and_reset_at_a_cut() -> None:
    smoothed = SmoothedStats(0.9)
    assert smoothed(stats(1.0)).mean.mean() == 1
    assert smoothed.cut
    assert float(smoothed(stats(1.2)).mean.mean()) == pytest.approx(1.02)
    assert not smoothed.cut
    assert smoothed(stats(3.0)).mean.mean() == 3
    assert smoothed.cut
    assert SmoothedStats(0)(stats(2.0)).mean.mean() == 2


def test_a_cut_is_told_by_the_first_channels() -> None:
    smoothed = SmoothedStats(0.5, channels=2)
    first = stats(1.0)
    smoothed(first)
    far = first.mean.clone()
    far[:, 2:] = 100
    smoothed(ChannelStats(far, first.std))
    assert not smoothed.cut


@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_steadiness_has_limits(value: float) -> None:
    for kind in (SmoothedStats, SmoothedPictures):
        with pytest.raises(UsageError, match="steadiness: expected a number from 0 to below 1, got"):
            kind(value)


def test_noise_is_averaged_along_the_movement() -> None:
    frames = pan(8, 3)
    noise = np.random.default_rng(1)
    noisy = [(f + noise.normal(0, 20, f.shape)).clip(0, 255).astype(np.uint8) for f in frames]
    smoothed, alone = SmoothedPictures(0.7), SmoothedPictures(0)
    for i, (frame, dirty) in enumerate(zip(frames, noisy)):
        result = smoothed(frame, dirty, cut=i == 0)
        assert np.array_equal(alone(frame, dirty, cut=False), dirty)
    error = lambda x: np.abs(x.astype(float) - frames[-1])[8:-8, 8:-8].mean()
    assert error(result) < 0.6 * error(noisy[-1])


def test_still_pictures_become_the_weighted_mean() -> None:
    frame = pan(1, 0)[0]
    smoothed = SmoothedPictures(0.6)
    black, white = np.zeros_like(frame), np.full_like(frame, 200)
    assert np.array_equal(smoothed(frame, black, cut=True), black)
    assert np.abs(smoothed(frame, white, cut=False).astype(int) - 80)[4:-4, 4:-4].max() <= 1
    assert np.array_equal(smoothed(frame, white, cut=True), white)  # nothing from before a cut


def test_what_was_hidden_is_not_averaged() -> None:
    """A square that jumps far away leaves nothing behind."""
    first = np.full((96, 96, 3), 120, np.uint8)
    first[:, :, 1] = np.asarray(picture(96, 96, 3).convert("L")) // 2
    second = first.copy()
    first[8:40, 8:40], second[56:88, 56:88] = 250, 250
    smoothed = SmoothedPictures(0.8)
    smoothed(first, first, cut=True)
    result = smoothed(second, second, cut=False)
    assert np.abs(result[60:84, 60:84].astype(int) - 250).mean() < 40
    assert np.abs(result[12:36, 12:36].astype(int) - second[12:36, 12:36]).mean() < 40


@pytest.mark.parametrize("size", [(2, 2), (9, 5), (16, 24), (33, 40)])
def test_small_frames(size: tuple[int, int]) -> None:
    frame = np.asarray(picture(*size))
    smoothed = SmoothedPictures(0.5)
    for _ in range(3):
        assert smoothed(frame, frame, cut=False).shape == frame.shape


def test_frames_that_come_one_at_a_time_are_smoothed_as_a_video_is(
    slim: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[np.ndarray] = []
    write = FrameEncoder.write

    def caught(encoder: FrameEncoder, pixels: np.ndarray, *others: Any) -> None:
        written.append(pixels)
        write(encoder, pixels, *others)

    monkeypatch.setattr(FrameEncoder, "write", caught)
    clip, style = tmp_path / "clip.mp4", slim.encode_style(picture(64, 50, seed=2))
    save_video(map(Image.fromarray, pan(5, 3)), clip)
    written.clear()
    stylize_video(slim, clip, [style], tmp_path / "out.mp4", steadiness=0.6, controls={"alpha": 0.8, "look_size": 64})
    steady = SmoothedStylizer(slim, 0.6)
    expected = [np.asarray(steady(frame, style, alpha=0.8, look_size=64)) for frame in read_frames(clip)]
    np.testing.assert_array_equal(written, expected)
    alone = slim(list(read_frames(clip))[-1], style, alpha=0.8, look_size=64)
    assert not np.array_equal(np.asarray(alone), expected[-1])


def test_style_controls_and_size_may_change_from_frame_to_frame(slim: Stylizer) -> None:
    styles = [slim.encode_style(picture(64, 50, seed=seed)) for seed in (2, 3)]
    steady, frame = SmoothedStylizer(slim, 0.5), picture(96, 64, seed=1)
    first = steady(frame, styles[0])
    assert np.abs(np.asarray(steady(frame, styles[1]), dtype=float) - np.asarray(first)).mean() > 2
    assert steady(frame, styles, weights=[1, 2], alpha=0).size == (96, 64)
    assert steady(picture(64, 48), styles[0], boldness=0.0).size == (64, 48)
    with pytest.raises(UsageError, match="masks: expected none for frames that are smoothed"):
        steady(frame, styles[0], masks=[picture()])
