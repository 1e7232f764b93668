"""The optimizer, SOAP: its learning rate, how long its steps may be, and in what precision it computes them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
from pytorch_optimizer import SOAP

from train.config import TrainConfig

__all__ = ["WIDEST_BASIS", "limited_steps", "quick_products", "rate", "soap"]

# The longest side of a weight that SOAP has an eigenbasis for. All of those of the small models; without this limit, those of
# full width's modulator, of 1,920 and 2,816, took a sixth of each step.
WIDEST_BASIS = 1536


def soap(parameters: Sequence[torch.nn.Parameter], config: TrainConfig) -> SOAP:
    """SOAP (Vyas et al. 2024, https://arxiv.org/abs/2409.11321) at its peak rate."""
    return SOAP(
        parameters,
        lr=config.lr,
        weight_decay=0.0,
        precondition_frequency=config.basis_every,
        max_precondition_dim=WIDEST_BASIS,
    )


def rate(step: int, config: TrainConfig) -> float:
    """The learning rate at a step, as a fraction of the peak: linear warm-up, then a cosine to 0."""
    warmup = min(config.warmup, config.steps // 2)
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, config.steps - warmup))))


@contextlib.contextmanager
def limited_steps(parameters: Sequence[torch.Tensor], lr: float) -> Iterator[None]:
    """Shorten what the block changes to a root mean square of `lr` in each tensor (Shazeer & Stern 2018, section 6).

    SOAP turns its first moment with the eigenbasis, its second not: a direction that was without gradient until then is
    divided by next to nothing. One step of thousands of times `lr` in the modulator ended a run.
    """
    before = [p.detach().clone() for p in parameters]
    yield
    with torch.no_grad():
        for old, new in zip(before, parameters):
            size = (new - old).square().mean().sqrt()
            new.copy_(torch.where(size > lr, old.lerp(new, lr / size), new))


@contextlib.contextmanager
def quick_products() -> Iterator[None]:
    """Let the block's float32 matrix products be of less precision: those of SOAP were a quarter of a step of training.

    On a GPU they are TF32 then. On a CPU it is oneDNN that computes them, on processors without matrix units in full float32
    all the same, and where MKL, which else does, is slow (AMD) in half of the time.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
