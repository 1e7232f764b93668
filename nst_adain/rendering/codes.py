"""Turns styles, pictures or encoded ones, into the codes that a model renders with."""

from __future__ import annotations

import torch
from torch import Tensor

from nst_adain.functional import ChannelStats
from nst_adain.models.networks import StyleTransfer
from nst_adain.rendering.contents import Content, check_count, recolored
from nst_adain.rendering.statistics import measure

__all__ = ["code_of"]


def code_of(
    model: StyleTransfer,
    style: Content | ChannelStats,
    count: int,
    colors: tuple[Tensor, Tensor | None] | None,
    device: torch.device,
    made_by: str,
) -> ChannelStats:
    """Return the code of a style, (B, C, 1, 1), for `count` contents.

    Args:
        model: what measures pictures.
        style: a picture, which is recoloured to `colors` if these are given; or a code, which cannot be.
        count: the number of contents.
        colors: what `Content.colors` returns.
        device: where the model is.
        made_by: the fingerprint of the models that make such codes.

    Raises:
        ValueError: if a code is another model's or not finite, or should be recoloured, or is not that of one picture or of as
            many as there are contents.
    """
    if isinstance(style, Content):
        stats = measure(model, style if colors is None else recolored(style, count, colors), None, device)[0]
    elif colors is not None:
        raise ValueError("preserve_color: 'coral' recolours style pictures, and this style is already encoded")
    else:  # float32, like the features: statistics that the caller computed may be wider
        stats = ChannelStats(style.mean.float(), style.std.float(), style.made_by).to(device)
    stats.check("style", sum(model.arch.code_channels.values()), made_by)
    check_count(stats, count)
    return stats
