"""The settings of the page by name: presets, surprises, and what is recalled from a browser or a link, whatever it says."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import picture
from pages import painted, settings, upload

from nst_adain.web.actions import Actions
from nst_adain.web.looks import CHOICES, PRESETS, RANGES, SLOTS, preset_of, recalled, state_of, surprise


def test_presets_are_recognised_and_within_their_ranges(samples: Path) -> None:
    start = settings({"path": str(samples / "coffee.png")}, {"path": str(samples / "mosaic.png")})
    assert preset_of(start) == "painterly"
    for name, look in PRESETS.items():
        assert preset_of({**start, **look}) == name
        assert look["color"] in CHOICES["color"]
        assert all(RANGES[word][0] <= look[word] <= RANGES[word][1] for word in ("alpha", "boldness"))
    assert preset_of({**start, "alpha": 0.99}) == ""


def test_a_surprise_is_another_style_that_is_there(samples: Path) -> None:
    start = settings({"path": str(samples / "coffee.png")}, {"path": str(samples / "mosaic.png")})
    seen = [surprise(start, samples, random.Random(seed)) for seed in range(30)]
    styles = [[style for style in look["styles"] if style] for look in seen]
    assert {len(chosen) for chosen in styles} == {1, 2}
    assert all(Path(style).is_file() and Path(style).stem != "mosaic" for chosen in styles for style in chosen)
    assert all(preset_of({**start, **look}) for look in seen)


def test_a_state_comes_back_as_it_was(actions: Actions) -> None:
    photo, style = upload(actions, picture(45, 31), "photo.png"), upload(actions, picture(), "style.png")
    asked = settings(photo, style, shares=[10, 20, 30, 40], alpha=0.25, color="coral", size=64, mask=painted((0, 0, 9, 9)))
    values, lost = recalled(state_of(asked), actions.folder, ("base", "slim"))
    assert lost == []
    assert state_of({**asked, **values}) == state_of(asked)
    assert values.keys() == asked.keys()
    Path(photo["path"]).unlink()
    values, lost = recalled(state_of(asked), actions.folder, ("base", "slim"))
    assert lost == ["photo.png"]
    assert not {"photo", "mask"} & values.keys()
    assert values["styles"][0] == style["path"]


def test_a_link_names_settings_and_samples(actions: Actions, samples: Path) -> None:
    link = "alpha=0.8&boldness=0&size=300&color=luminance&photo=chelsea&styles=mosaic%2C%2Cink_wash%2C&shares=50%2C50%2C25%2C50"
    values, lost = recalled(link, actions.folder, ("base",))
    folder = actions.samples
    assert lost == []
    assert values == {
        "alpha": 0.8, "boldness": 0, "size": 300, "color": "luminance", "photo": str(folder / "chelsea.png"),
        "styles": [str(folder / "mosaic.png"), None, str(folder / "ink_wash.png"), None], "shares": [50, 50, 25, 50],
        "mask": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        {"alpha": 9}, {"alpha": "1"}, {"alpha": True}, {"alpha": float("nan")}, {"size": 1.5}, {"color": "hue"},
        {"color": ["luminance"]}, {"model": "/etc/passwd"}, {"shares": [1, 2]}, {"shares": [1, 2, 3, "x"]}, {"photo": 7},
        {"photo": "/etc/passwd"}, {"photo": "samples/../../etc/passwd"}, {"styles": ["/etc/passwd"] * SLOTS},
        {"styles": [{}] * SLOTS}, {"mask": {"of": "x", "url": "y"}}, [], 1, "x",
    ],
)  # fmt: skip
def test_what_is_no_setting_is_left_out(actions: Actions, said: Any) -> None:
    assert recalled(json.dumps(said), actions.folder, ("base",))[0] == {}


@pytest.mark.parametrize(
    "text", ["", "{", "alpha", "alpha=1e999&alpha=x", "photo=../x&styles=.", "&" * 1000, '{"a":' * 5000, "a=%ff"]
)
def test_damaged_text_is_no_error(actions: Actions, text: str) -> None:
    assert recalled(text, actions.folder, ("base",))[0] == {}
