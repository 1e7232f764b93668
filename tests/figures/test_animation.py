"""Animations from style to style: their path, their times and their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from nst_adain.errors import ImageError
from nst_adain.figures.animation import path_weights, save_animation


@pytest.mark.parametrize("loop", [False, True])
def test_path_goes_through_every_style_at_constant_speed(loop: bool) -> None:
    weights = np.array(list(path_weights(3, 13 if not loop else 12, loop=loop)))
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(np.abs(np.diff(weights, axis=0)).sum(1), 2 * (3 if loop else 2) / 12)
    for style in range(3):
        assert weights[:, style].max() == 1
    np.testing.assert_allclose(weights[-1], [0.75, 0, 0.25] if loop else [0, 0, 1])
    with pytest.raises(ValueError, match="at least two styles and two frames, got 1 and 5"):
        list(path_weights(1, 5))


def test_animation(tmp_path: Path) -> None:
    frames = [picture(40, 30, seed) for seed in range(3)]
    for name in ("x.gif", "x.webp"):
        save_animation(iter(frames), tmp_path / name, fps=10)
        with Image.open(tmp_path / name) as image:
            assert image.n_frames == 3  # type: ignore[attr-defined]
            assert image.size == (40, 30)
    with pytest.raises(ValueError, match=r"x\.png: expected a name ending in \.gif, \.webp, \.mp4"):
        save_animation(frames, tmp_path / "x.png")
    with pytest.raises(ValueError, match="fps: expected a number above 0 and at most 50"):
        save_animation(frames, tmp_path / "x.gif", fps=0)
    with pytest.raises(ValueError, match=r"fps: expected a number above 0 and at most 50 in \.gif, got 60"):
        save_animation(frames, tmp_path / "x.gif", fps=60)
    with pytest.raises(ValueError, match="frames: expected at least one picture, got none"):
        save_animation([], tmp_path / "none.gif")
    with pytest.raises(ImageError, match=r"wide\.webp: cannot be written as \.webp of 17000 x 2 pixels"):
        save_animation([picture(17000, 2)] * 2, tmp_path / "wide.webp")
    with pytest.raises(ImageError, match=r"wide\.gif: cannot be written as \.gif of 70000 x 2 pixels"):
        save_animation([picture(70000, 2)] * 2, tmp_path / "wide.gif")
    assert not (tmp_path / "wide.webp").exists()


def test_soft_edges_are_cut_in_the_middle_in_a_gif(tmp_path: Path) -> None:
    frame = picture(256, 8).convert("RGBA")
    frame.putalpha(Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (8, 1))))
    save_animation([frame, frame.rotate(180)], tmp_path / "x.gif")
    with Image.open(tmp_path / "x.gif") as image:
        alpha = np.asarray(image.convert("RGBA"))[0, :, 3]
    assert (alpha == np.repeat(np.array([0, 255]), 128)).all()


@pytest.mark.parametrize("fps", [12, 24, 30, 40, 50])
@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_lasts_as_long_as_asked(tmp_path: Path, suffix: str, fps: int) -> None:
    """GIF counts hundredths of a second: 40 pictures in a second are 2 and 3 of them in turn."""
    save_animation([picture(16, 16, seed) for seed in range(21)], tmp_path / f"x{suffix}", fps=fps)
    lasts = 0
    with Image.open(tmp_path / f"x{suffix}") as animation:
        for frame in range(21):
            animation.seek(frame)
            animation.load()
            lasts += animation.info["duration"]
    assert abs(lasts - 21_000 / fps) <= 5.1


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
def test_frames_of_different_sizes_are_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ValueError, match=r"frames: expected pictures of one size, got \(40, 30\) and \(40, 32\)"):
        save_animation([picture(40, 30), picture(40, 32)], tmp_path / f"out{suffix}")
    assert not list(tmp_path.iterdir())
