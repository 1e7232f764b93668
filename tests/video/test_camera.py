"""A camera in a window: what its keys do, which frames it shows, and what it saves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from PIL import Image
from samples import film

from nst_adain.video.camera import Scene, Window, frames_of, play, pressed


def test_keys_change_style_strength_and_boldness_within_their_limits() -> None:
    mixture = [0.75, 0.25]
    scene = Scene(mixture, alpha=1.0, boldness=0.4)
    assert pressed(scene, "2", mixture).weights == [0, 1]
    assert pressed(pressed(scene, "2", mixture), "0", mixture) == scene
    assert pressed(scene, "3", mixture) == pressed(scene, "x", mixture) == scene
    assert pressed(scene, "Up", mixture).alpha == 1.05
    assert pressed(Scene(mixture, 0.0), "Down", mixture).alpha == 0
    assert pressed(scene, "Left", mixture).boldness == 0.35
    assert pressed(Scene(mixture, boldness=1.0), "Right", mixture).boldness == 1
    assert pressed(Scene(mixture), "Right", mixture).boldness is None  # a model without a bold end
    assert pressed(scene, "space", mixture).plain
    assert not pressed(pressed(scene, "space", mixture), "Up", mixture).plain


def test_frames_are_shown_stylised_until_the_user_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys: Iterator[list[str]] = iter([[], ["2"], ["s", "space"], ["s"], ["q"], ["unreached"]])
    shown, asked = [], []

    def show(image: Image.Image, title: str) -> list[str]:
        assert title.startswith("nst-adain: strength 1, ")
        shown.append(image)
        return next(keys)

    def stylise(frame: Image.Image, scene: Scene) -> Image.Image:
        asked.append(list(scene.weights))
        return Image.new("RGB", frame.size, "red")

    frames = [picture(40, 30, seed) for seed in range(9)]
    assert play(frames, stylise, show, Scene([0.5, 0.5]), tmp_path) == 5
    assert asked == [[0.5, 0.5], [0.5, 0.5], [0, 1]]
    assert shown[3:] == frames[3:5]
    assert [np.asarray(Image.open(tmp_path / f"live-{n}.png"))[0, 0, 1] == 0 for n in (1, 2)] == [True, False]
    assert capsys.readouterr().out.splitlines() == [f"saved {tmp_path / f'live-{n}.png'}" for n in (1, 2)]


def test_a_video_may_stand_for_a_camera(tmp_path: Path) -> None:
    frames = list(frames_of(str(film(tmp_path / "clip.mp4", 3)), 24))
    assert len(frames) == 3
    assert {min(frame.size) for frame in frames} == {24}
    with pytest.raises(OSError, match="camera 73: expected one that can be read, found none"):
        next(frames_of("73", 24))


def test_without_a_screen_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter")
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(OSError, match="expected a screen to open a window on"):
        Window()
