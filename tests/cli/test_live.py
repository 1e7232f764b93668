"""`nst-adain live`: a clip through a model, in a window that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from conftest import picture
from PIL import Image
from samples import film

from nst_adain.cli import live
from nst_adain.cli.main import main
from nst_adain.stylizer import Stylizer
from nst_adain.video.camera import Scene, frames_of
from nst_adain.video.smoothing import SmoothedStylizer


class Pane:
    """Keeps what is shown, and presses a key after each picture."""

    shown: ClassVar[list[Image.Image]] = []

    def __init__(self) -> None:
        Pane.shown.clear()

    def __enter__(self) -> Pane:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, image: Image.Image, _: str) -> list[str]:
        Pane.shown.append(image)
        return [["Down"], ["2"], ["s"], ["Escape"]][len(Pane.shown) - 1]


def test_it_shows_what_python_makes(
    slim: Stylizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "Window", Pane)
    clip = film(tmp_path / "clip.mp4", 6)
    for seed, name in ((1, "a.png"), (2, "b.png")):
        picture(64, 50, seed).save(tmp_path / name)
    files = [str(tmp_path / name) for name in ("a.png", "b.png")]
    options = [
        "--camera",
        str(clip),
        "--size",
        "32",
        "--weights",
        "3",
        "1",
        "--steadiness",
        "0.5",
        "-o",
        str(tmp_path),
        "--model",
        "slim",
    ]
    assert main(["live", *files, *options, "--model", "slim", "--device", "cpu"]) == 0
    steady, styles = SmoothedStylizer(slim, 0.5), [slim.encode_style(file) for file in files]
    scenes = [Scene([0.75, 0.25]), Scene([0.75, 0.25], 0.95), Scene([0, 1], 0.95), Scene([0, 1], 0.95)]
    boldness = 0.4 if slim.boldness.bold else None
    for frame, scene, shown in zip(frames_of(str(clip), 32), scenes, Pane.shown, strict=False):
        expected = steady(frame, styles, weights=scene.weights, alpha=scene.alpha, boldness=boldness)
        np.testing.assert_array_equal(np.asarray(shown), np.asarray(expected))
    assert len(Pane.shown) == 4
    assert capsys.readouterr().out == f"saved {tmp_path / 'live-1.png'}\n"


def test_what_is_wrong_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live, "Window", Pane)
    assert main(["live", "ink_wash", "--camera", str(tmp_path / "no.mp4"), "--device", "cpu"]) == 1
    assert "no.mp4: expected a video, found no such file" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["live", "ink_wash", "--alpha", "mask.png"])
    assert ended.value.code == 2
    assert "--alpha: expected a number, got 'mask.png'" in capsys.readouterr().err
