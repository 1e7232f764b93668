"""Chooses the device on which a model computes, and its precision."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch

from nst_adain.errors import UsageError

__all__ = ["Precision", "is_half", "native_bf16", "pick_device"]

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]


def pick_device(device: str | torch.device | None) -> torch.device:
    """Return the device of this name; for None or "auto" the first GPU, or the CPU if there is none.

    Raises:
        ValueError: if this machine or this build of torch has no such device.
    """
    if device is None or device == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")
    try:
        torch.zeros(1, device=device).item()
        return torch.device(device)
    except (RuntimeError, AssertionError) as error:  # includes NotImplementedError, from devices without memory
        reason = str(error).splitlines()[0]
        raise UsageError(f"device: expected one of this machine, such as cpu, got {str(device)!r} ({reason})") from error


def is_half(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16.

    Raises:
        ValueError: if there is no such precision.
    """
    if precision not in get_args(Precision):
        raise UsageError(f"precision: expected {', '.join(get_args(Precision))}, got {precision!r}")
    return precision == "bfloat16" or (precision == "auto" and native_bf16(device))


def native_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16: emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(capability.get("avx512_bf16") or capability.get("amx_bf16"))
