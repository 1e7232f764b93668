"""Knows the settings of the page by name: their ranges, presets of them, a surprise, and how to recall them from text."""

from __future__ import annotations

import contextlib
import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from nst_adain.controls import BOLDNESS
from nst_adain.figures.gallery import STYLES
from nst_adain.figures.samples import PHOTOGRAPHS
from nst_adain.web.uploads import SAMPLES, uploaded

__all__ = ["CHOICES", "PRESETS", "RANGES", "SLOTS", "Asked", "named_models", "preset_of", "recalled", "state_of", "surprise"]

SLOTS = 4  # styles that can be mixed

# What the controls say: photo, styles, shares, mask, model, and what RANGES and CHOICES name.
Asked: TypeAlias = Mapping[str, Any]

RANGES = {"alpha": (0, 1.5), "boldness": (0, 1), "size": (0, 2**20), "style_size": (64, 1024), "look_size": (128, 1024)}
CHOICES = {"color": ("", "luminance", "coral"), "detail": ("strokes", "photo")}
# Chosen by eye, on faces and still lifes in all drawn styles.
PRESETS: dict[str, dict[str, Any]] = {
    "subtle": {"alpha": 0.6, "boldness": 0, "color": ""},
    "painterly": {"alpha": 1, "boldness": BOLDNESS, "color": ""},
    "bold": {"alpha": 1.2, "boldness": 1, "color": ""},
    "colors": {"alpha": 1, "boldness": BOLDNESS, "color": "luminance"},
}


_MODELS = {
    "base": "Clean areas, straight lines",
    "slim": "A little rougher, in half the time",
    "vgg19": "The paper's encoder, six times as long",
}


def named_models(models: tuple[str, ...]) -> list[tuple[str, str]]:
    """Describe models by what they look like and how long they take, each with its name."""
    return [(_MODELS.get(model, model), model) for model in models]


def preset_of(asked: Asked) -> str:
    """Return the name of the preset that the controls are at, or "" for none."""
    return next((name for name, look in PRESETS.items() if all(asked[word] == look[word] for word in look)), "")


def surprise(asked: Asked, samples: Path, chance: random.Random) -> dict[str, Any]:
    """Return another look at random: one drawn style or a mixture of two, and a preset."""
    shown = Path(str(_path(asked["styles"][0]))).stem
    names = chance.sample([name for name in STYLES if name != shown], 2)
    names = names[: chance.choice((1, 1, 2))]
    styles = [str(samples / f"{name}.png") for name in names] + [None] * (SLOTS - len(names))
    look = PRESETS[chance.choice(("subtle", "painterly", "painterly", "bold"))]
    return {"styles": styles, "shares": [50] * SLOTS, **look}


def state_of(asked: Asked) -> str:
    """Write what the controls say as text, with files by their paths alone; equal states give equal text."""
    files = {"photo": _path(asked["photo"]), "styles": [_path(style) for style in asked["styles"]]}
    return json.dumps({**asked, **files}, sort_keys=True)


def recalled(text: str, folder: Path, models: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """Read settings from a browser's memory, as `state_of` wrote them, or from a link, such as "alpha=0.8&styles=ink_wash".

    Args:
        text: from outside, so it may be anything: what is not a setting within its range is left out.
        folder: the page's folder of files.
        models: the models that the page offers.

    Returns:
        The settings by name, and the names of files that are no longer there.
    """
    said: dict[str, Any] = {}
    with contextlib.suppress(ValueError, RecursionError):
        read = json.loads(text) if text.startswith("{") else _linked(text, folder / SAMPLES)
        said = read if isinstance(read, dict) else {}
    values: dict[str, Any] = {name: said[name] for name, range_ in RANGES.items() if _is_within(said.get(name), *range_)}
    choices = {**CHOICES, "model": models}
    values.update({name: said[name] for name, among in choices.items() if name in said and said[name] in among})
    shares = said.get("shares")
    if isinstance(shares, list) and len(shares) == SLOTS and all(_is_within(share, 0, 100) for share in shares):
        values["shares"] = shares
    lost: list[str] = []
    if isinstance(said.get("photo"), str):
        values.update({"photo": path} if (path := _kept(said["photo"], folder, lost)) else {})
    styles = said.get("styles")
    if isinstance(styles, list) and len(styles) == SLOTS:
        kept = [_kept(style, folder, lost) if style else None for style in styles]
        values.update({"styles": kept} if any(kept) else {})
    mask = said.get("mask")
    if isinstance(mask, dict) and mask.get("of") == values.get("photo"):
        values["mask"] = mask
    elif "photo" in values:
        values["mask"] = ""
    return values, lost


def _linked(text: str, samples: Path) -> dict[str, Any]:
    """Read the settings in a link, where pictures are the names of samples."""
    words = parse_qs(text, keep_blank_values=True, max_num_fields=50)
    said: dict[str, Any] = {name: values[-1] for name, values in words.items()}
    for name in RANGES.keys() & said.keys():
        said[name] = _number(said[name])
    said["shares"] = [_number(share) for share in said.get("shares", "").split(",")]
    if "photo" in said:
        said["photo"] = str(samples / f"{said['photo']}.png") if said["photo"] in PHOTOGRAPHS else None
    if "styles" in said:
        names = (said["styles"].split(",") + [""] * SLOTS)[:SLOTS]
        said["styles"] = [str(samples / f"{name}.png") if name in STYLES else None for name in names]
    return said


def _number(text: str) -> float | None:
    with contextlib.suppress(ValueError, OverflowError):
        return int(text) if text.isdecimal() else float(text)
    return None


def _is_within(value: Any, low: float, high: float) -> bool:
    """Whether something is a number in a range; a whole one where the range is of pixels."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return False
    return low <= value <= high and (high < 10 or isinstance(value, int))


def _kept(path: Any, folder: Path, lost: list[str]) -> str | None:
    """Return a file's path if the page still has it; else add its name to `lost`."""
    try:
        return str(uploaded(folder, path, "file"))
    except (OSError, ValueError):
        lost.append(Path(str(path)).name[:100])
        return None


def _path(file: Any) -> Any:
    return file.get("path") if isinstance(file, dict) else file
