"""Records in batch.json how a batch makes its pictures, so that a later call does not mix in different ones."""

from __future__ import annotations

import hashlib
import json
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from nst_adain.controls import LOOK_SIZE, Controls, check_side
from nst_adain.errors import UsageError
from nst_adain.files import write_new
from nst_adain.images.io import LOSSY_SUFFIXES
from nst_adain.images.masks import read_controls

__all__ = ["SETTINGS", "agreed", "check_options", "check_settings", "claim", "join_sources", "load_controls", "settings_of"]

_REMEDY = "name another folder, or remove this one"
_OLDER = {"keep_metadata": False, "look_size": None, "boldness": 0.0}  # how batches that do not say so were made
SETTINGS = "batch.json"  # in the output folder: how its pictures were made
# The controls that change the results, and their defaults.
_LOOK = {"alpha": 1.0, "boldness": 0.0, "preserve_color": None, "masks": None, "look_size": LOOK_SIZE, "detail": "strokes"}


def check_options(pairing: str, size: int | None, style_size: int | None) -> None:
    """Raise UsageError if one of these is out of range."""
    if pairing not in ("all", "random"):
        raise UsageError(f"pairing: expected 'all' or 'random', got {pairing!r}")
    for name, side in (("size", size), ("style_size", style_size)):
        if side is not None:
            check_side(name, side)


def load_controls(boldness: Callable[[float | None], float], controls: Controls) -> Controls:
    """Read the masks among a batch's controls, and write out the `boldness`, so that it is recorded.

    Raises:
        UsageError: if one is not a batch's.
    """
    loaded = read_controls(controls, ("alpha", "boldness", "masks", "preserve_color", "look_size", "detail"))
    loaded["boldness"] = boldness(loaded.get("boldness"))
    return loaded


def settings_of(
    digest: str,
    controls: Controls,
    styles: Sequence[Path],
    *,
    size: int | None,
    style_size: int | None,
    pairing: str,
    seed: int,
    suffix: str,
    quality: int,
    keep_metadata: bool,
) -> dict[str, object]:
    """Return all settings that change the pictures of a batch, ready for JSON; for a random draw, also the styles."""
    settings: dict[str, object] = {"model": {"sha256": digest}, "size": size, "style_size": style_size}
    settings |= {name: _recorded(controls.get(name, default)) for name, default in _LOOK.items()}
    settings |= {"quality": quality} if suffix in LOSSY_SUFFIXES else {}
    settings |= {"pairing": pairing, "keep_metadata": keep_metadata}
    if pairing == "random":
        settings |= {"seed": seed, "styles": sorted(name.as_posix() for name in styles)}
    return settings


def claim(path: Path, settings: Mapping[str, object]) -> bool:
    """Write the settings to the file `path`, unless it exists, perhaps from a call that still runs; return whether it did."""
    try:
        write_new(path, json.dumps(settings, indent=1).encode())
    except FileExistsError:
        return False
    return True


def check_settings(path: Path, settings: Mapping[str, object]) -> dict[str, Any]:
    """Read from the file `path` how the pictures of its folder were made; return {} if the file does not exist.

    Raises:
        UsageError: if they were made with other settings.
    """
    return agreed(path, path.read_bytes(), settings) if path.exists() else {}


def agreed(path: Path | str, before_them: bytes, settings: Mapping[str, object]) -> dict[str, Any]:
    """Read what a file of settings, `path`, holds. Errors: as for `check_settings`."""
    try:
        before = json.loads(before_them)
    except (ValueError, RecursionError):
        before = None
    if not isinstance(before, dict):
        raise ValueError(f"{path}: expected the settings of an earlier call, found something else; remove it, or name another")
    for name, value in {**_OLDER, **before}.items():
        if name in settings and value != settings[name]:
            other = f"made {_otherwise(name, value, settings[name])}"
            raise UsageError(f"{os.path.dirname(path)}: holds pictures {other}; {_REMEDY}")
    return before


def join_sources(
    out: Path, before: Mapping[str, Any], photos: Path, styles: Mapping[str, str], existing: Mapping[Path, Path]
) -> dict[str, object]:
    """Record which files the pictures of a folder were and will be made from, ready for JSON.

    Args:
        out: the folder.
        before: what `check_settings` returned for it.
        photos: the folder of photographs, recorded relative to `out`, so that both can be moved together.
        styles: a digest of each style's file, by name.
        existing: the requested results that exist already, each with its photograph.

    Raises:
        UsageError: if an existing result was made from other photographs, or in another style, of the same name.
    """
    folders, known = before.get("photographs", []), before.get("style_files", {})
    try:
        folder = Path(os.path.relpath(photos.resolve(), out.resolve())).as_posix()
    except ValueError:  # on another drive
        folder = photos.resolve().as_posix()
    if other := [name for name, digest in styles.items() if known.get(name, digest) != digest]:
        raise UsageError(f"{out}: holds pictures in another style of the name {other[0]}; {_REMEDY}")
    if existing and folders and folder not in folders:
        other_folder = os.path.normpath(out / folders[0])
        first = next(iter(existing)).name
        raise UsageError(f"{out}: holds {first} of the photographs in {other_folder}, not {photos}; {_REMEDY}")
    for also in (Path(os.path.normpath(out / name)) for name in folders if name != folder):
        for result, photo in existing.items():
            if (also / photo.relative_to(photos)).exists():
                raise UsageError(f"{out}: holds {result.name} of the photograph in {also} or that in {photos}; {_REMEDY}")
    return {"photographs": sorted({*folders, folder}), "style_files": known | styles}


def _otherwise(name: str, before: Any, now: Any) -> str:
    if isinstance(before, list) and isinstance(now, list):
        first = sorted(set(map(str, before)) ^ set(map(str, now)))[:1]
        return f"from other {name}{f', without or with {first[0]}' if first else ''}"
    if isinstance(before, dict) or isinstance(now, dict):
        return f"with another {name}"
    return f"with {name} {before}, not {now}"


def _recorded(value: object) -> object:
    """Turn a control into JSON: a hash for pictures and arrays."""
    if isinstance(value, (list, tuple)):
        return [_recorded(part) for part in value]
    if isinstance(value, Tensor):
        value = value.detach().double().cpu().numpy()
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return float(value)  # includes NumPy's numbers
    if isinstance(value, (Image.Image, np.ndarray)):
        return {"sha256": hashlib.sha256(np.ascontiguousarray(np.asarray(value)).tobytes()).hexdigest()}
    return value
