"""Checkpoints on disk: a directory with what JSON can hold and the tensors, complete whenever it has its name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

__all__ = ["latest_checkpoint", "read_checkpoint", "under", "with_tensors", "without_tensors", "write_checkpoint"]

CHECKPOINTS = "step-" + "[0-9]" * 8


def latest_checkpoint(run: Path) -> Path | None:
    """The newest complete checkpoint of a run: whatever is being written or deleted has another name."""
    return max(run.glob(CHECKPOINTS), default=None)


def write_checkpoint(out: Path, step: int, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint directory below `out`, whole or not at all, and keep the two newest.

    Args:
        out: folder of the run.
        step: how far it is, which the directory is named by.
        state: what JSON can hold.
        tensors: the rest, by name.
    """
    partial, final = out / f"partial-{os.getpid()}", out / f"step-{step:08d}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, partial / "state.safetensors")
    except SafetensorError as error:  # such as a full disk
        raise OSError(f"{final}: cannot be written: {error}") from error
    (partial / "state.json").write_text(json.dumps(state, indent=1))
    for file in partial.iterdir():
        with open(file, "rb+") as handle:
            os.fsync(handle.fileno())
    for old in [*sorted(out.glob(CHECKPOINTS))[:-1], *out.glob(final.name)]:  # keeps one, and the new one is two
        old.rename(out / f"partial-{old.name}")
    partial.rename(final)
    for left in out.glob("partial-*"):  # also of a run that was killed
        shutil.rmtree(left)


def read_checkpoint(checkpoint: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The state and the tensors that `write_checkpoint` wrote.

    Raises:
        ValueError: if they are damaged.
    """
    try:
        return json.loads((checkpoint / "state.json").read_text()), load_file(checkpoint / "state.safetensors")
    except (ValueError, SafetensorError) as error:
        raise ValueError(f"{checkpoint}: is damaged ({error}); remove it to go on from the one before, if any") from error


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that."""
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def without_tensors(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """What JSON holds of nested dicts and lists; their tensors go to `tensors` and leave their names.

    And their layouts: products of matrices that lie otherwise in memory are rounded otherwise.
    """
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name, "layout": value.dim_order()}
    if isinstance(value, dict):
        return {key: without_tensors(part, f"{name}.{key}", tensors) for key, part in value.items()}
    if isinstance(value, list):
        return [without_tensors(part, f"{name}.{index}", tensors) for index, part in enumerate(value)]
    return value


def with_tensors(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The reverse of `without_tensors`."""
    if isinstance(value, dict):
        if "tensor" in value:
            tensor = tensors[value["tensor"]]
            return torch.empty_permuted(tensor.shape, value["layout"], dtype=tensor.dtype).copy_(tensor)
        return {key: with_tensors(part, tensors) for key, part in value.items()}
    return [with_tensors(part, tensors) for part in value] if isinstance(value, list) else value
