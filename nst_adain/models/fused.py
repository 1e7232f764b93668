"""Does in one pass over memory what torch's public functions do in several, where torch can: on a CPU, without gradients.

On processors that multiply bfloat16, convolutions take little more time than the passes between them. What is here computes the
same as the plain way but for rounding. The environment variable NST_ADAIN_FUSED=0 turns it off, and strips with it.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

__all__ = ["adain", "disabled", "enabled", "moments"]

_off: contextvars.ContextVar[bool] = contextvars.ContextVar("_off", default=False)


def enabled(*tensors: Tensor) -> bool:
    """Whether tensors can be computed with in the fused way: on a CPU, without gradients, autocast or recording of a graph."""
    return (
        all(x.device.type == "cpu" for x in tensors)
        and not (torch.is_grad_enabled() and any(x.requires_grad for x in tensors))
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not is_in_torch_dispatch_mode()  # such as a counter of operations, which knows the plain ones
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and not _off.get()
        and os.environ.get("NST_ADAIN_FUSED") != "0"
    )


@contextlib.contextmanager
def disabled() -> Iterator[None]:
    """Turn it off in this block, and with it strips: each layer then runs once, and sees the whole picture."""
    token = _off.set(True)
    try:
        yield
    finally:
        _off.reset(token)


def adain(features: Tensor, mean: Tensor, std: Tensor, style_mean: Tensor, style_std: Tensor) -> Tensor:
    """Do AdaIN in one pass: it is batch normalisation by statistics that are given.

    Args:
        features: (B, C, H, W), bfloat16, and so is the result.
        mean, std, style_mean, style_std: statistics of the content and of the style, (1, C, 1, 1) each, float32.
    """
    return F.batch_norm(features, mean.flatten(), std.flatten().square(), style_std.flatten(), style_mean.flatten(), eps=0.0)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the mean and the biased variance of each channel of (1, C, H, W) in bfloat16 without widening it first.

    Its sums are in float32 and not compensated: for some 10,000 positions they are exact to a ten-thousandth of the deviation.

    Returns:
        (1, C, 1, 1) each, float32.
    """
    mean, variance = x.new_zeros(2, x.shape[1], dtype=torch.float32)
    count = x.shape[2] * x.shape[3]
    torch.batch_norm_update_stats(x, mean, variance, 1.0)  # with momentum 1, the running statistics are these
    return mean[None, :, None, None], (variance * ((count - 1) / count))[None, :, None, None]
