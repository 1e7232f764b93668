"""Predicts from a style how the decoder draws.

Karras et al. 2019, https://arxiv.org/abs/1812.04948, modulate generators so; here the style enters only as channel statistics.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from nst_adain.functional import ChannelStats, at_least_float32

__all__ = ["Modulator"]


class Modulator(nn.Module):
    """Predicts scales and shifts of the decoder's channels from the statistics of a style."""

    def __init__(self, channels: int, hidden: int, modulated: int) -> None:
        """Make one for the statistics of `channels`, of `hidden` units, for `modulated` channels of the decoder."""
        super().__init__()
        self.hidden = nn.Linear(2 * channels, hidden)
        self.output = nn.Linear(hidden, 2 * modulated)
        # It changes nothing at first, so it can be added to a trained decoder.
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, stats: ChannelStats) -> ChannelStats:
        """Turn (B, C, 1, 1) statistics of all taps into (B, D, 1, 1): the shifts as `mean`, the scales as `std`."""
        code = torch.cat([stats.mean, stats.std], 1).flatten(1).to(self.hidden.weight.dtype)
        code = self.output(F.relu(self.hidden(code)))
        shift, scale = at_least_float32(code[..., None, None]).chunk(2, dim=1)
        # A scale below 0, predicted for styles unlike any in training, would turn the channel into its negative.
        return ChannelStats(shift, (1 + scale).clamp_min(0))
