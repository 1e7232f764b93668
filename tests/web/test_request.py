"""What the page asks for, as a command and in Python: the same picture."""

from __future__ import annotations

import base64
import dataclasses
import inspect
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import picture
from pages import make, painted, settings, upload
from PIL import Image

from nst_adain.cli.main import main
from nst_adain.figures.samples import save_inputs
from nst_adain.stylizer import Stylizer
from nst_adain.web.actions import Actions
from nst_adain.web.request import Request


def test_files_of_one_name_are_told_apart(actions: Actions) -> None:
    photo, style, other = (upload(actions, picture(45, 31, seed), "image.png") for seed in (1, 2, 3))
    _, command, code, *_ = actions.preview(settings(photo, style, other))
    assert command == "nst-adain stylize image.png image-2.png image-3.png -o out.png --weights 50 50"
    named = [upload(actions, picture(45, 31, seed), name) for seed, name in ((1, "out.png"), (2, "mask.png"))]
    assert actions.preview(settings(*named))[1] == "nst-adain stylize out-2.png mask-2.png -o out.png"
    assert "stylizer('image.png', ['image-2.png', 'image-3.png'], weights=[50, 50])" in code


CASES: list[dict[str, Any]] = [
    {},
    {"alpha": 0.123456789, "size": 40, "style_size": 64},
    {"shares": [30, 70, 0, 0], "color": "luminance"},
    {"shares": [1, 2, 0, 0], "color": "coral", "alpha": 1.25},
    {"look_size": 16, "detail": "photo"},
    {"mask": painted((5, 5, 30, 20)), "look_size": 24, "shares": [50, 25, 0, 0]},
    {"mask": painted((5, 5, 30, 20), (45, 31), (1, (30, 0, 45, 31)), (2, (0, 20, 30, 31))), "shares": [50, 25, 0, 0]},
]


@pytest.mark.parametrize("case", CASES)
def test_the_command_and_the_code_make_the_same_picture(
    actions: Actions, samples: Path, case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo, style = picture(45, 31, seed=1), picture(64, 50, seed=2)
    photo.save("my photo.png")
    style.save("-style.png")
    uploaded = upload(actions, photo, "my photo.png")  # Gradio keeps a file that comes again once
    styles = [upload(actions, style, "-style.png"), uploaded]
    if case.get("alpha") == 1.25:
        styles[1] = {"path": str(samples / "mosaic.png")}
    values = settings(uploaded, *styles[: 2 if "shares" in case else 1], **case)
    result = np.asarray(make(actions, values))
    _, command, code, masks, *_ = actions.preview(values)
    for name, url in masks:
        Path(name).write_bytes(base64.b64decode(url.partition(",")[2]))
    if "samples/mosaic.png" in command:
        demo, _, command = command.partition("\n")
        assert demo == "nst-adain demo --inputs samples"  # which takes long: this is what is needed of it
        save_inputs("samples")
    for line in command.splitlines():
        assert main([*shlex.split(line)[1:], "--device", "cpu"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), result)
    Path("out.png").unlink()
    exec(code, {})
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), result)


def test_defaults_are_those_of_the_call() -> None:
    call = inspect.signature(Stylizer.__call__).parameters
    shared = {field.name: field.default for field in dataclasses.fields(Request) if field.name in call}
    del shared["weights"], shared["styles"]  # which a request always has
    assert shared == {name: call[name].default for name in shared}
    assert {"alpha", "preserve_color", "size", "style_size", "look_size", "detail"} <= shared.keys()
