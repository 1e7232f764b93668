"""Checkpoints on disk: a directory with what JSON can hold and the tensors, complete whenever it has its name."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nst_adain.files import lock, make_folder, remove_strays

__all__ = [
    "CHECKPOINTS",
    "latest_checkpoint",
    "read_checkpoint",
    "sole_run",
    "under",
    "with_tensors",
    "without_tensors",
    "write_checkpoint",
]

CHECKPOINTS = "step-" + "[0-9]" * 8
_PARTIAL = re.compile(r"partial-(\d+|step-\d{8})")  # what is being written, by its process, and what is being deleted
_LOCK = ".lock"


@contextlib.contextmanager
def sole_run(out: Path) -> Iterator[None]:
    """Make the folder of a run, hold it for this process alone, and remove what a killed process left half written.

    The lock ends with the process, so that a run that was killed can be resumed at once. A new folder in which nothing was
    written is removed again.

    Raises:
        NotADirectoryError: if it is a file.
        BlockingIOError: if another process holds it.
    """
    new = not out.exists()
    make_folder(out)
    with open(out / _LOCK, "ab") as file:
        try:
            lock(file)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"{out}: another training is running in this folder; wait for it, or name another --out"
            ) from error
        except OSError:  # a file system without locks
            pass
        try:
            remove_strays(out)
            _remove_partial(out)
            yield
        finally:
            file.close()  # Windows removes no open file
            with contextlib.suppress(OSError):
                if os.listdir(out) == [_LOCK]:
                    (out / _LOCK).unlink()
                    if new:
                        out.rmdir()


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
    others = sorted(checkpoint for checkpoint in out.glob(CHECKPOINTS) if checkpoint != final)
    for old in [*others[:-1], *out.glob(final.name)]:  # keeps one, and the new one is two
        old.rename(out / f"partial-{old.name}")
    partial.rename(final)
    _remove_partial(out)


def _remove_partial(out: Path) -> None:
    for left in out.iterdir():
        if _PARTIAL.fullmatch(left.name):
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
