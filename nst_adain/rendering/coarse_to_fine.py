"""Renders a picture coarse to fine: its look at a working size, then finer strokes, size by size.

A network's strokes are as wide in pixels at any size, so a large picture rendered at once looks like another picture than a
small one. Here a large one is first rendered small; each larger result is brought up from the one before along the photograph's
edges (`Guided`), rendered once more at half strength, which draws strokes of its own, and keeps the low frequencies of the one
before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from nst_adain.controls import Progress
from nst_adain.functional import ChannelStats
from nst_adain.models.networks import StyleTransfer
from nst_adain.rendering.color import transfer_luminance
from nst_adain.rendering.contents import Content
from nst_adain.rendering.decoding import Look, assemble, render
from nst_adain.rendering.guidance import Guided, reduced
from nst_adain.rendering.statistics import measure
from nst_adain.rendering.tiling import Tile, as_float, auto_side, reported, samples

__all__ = ["paint"]

_AGAIN = 0.5  # strength of the finer renderings: at 1 flat areas turn to relief, at a third they stay smooth


def paint(
    model: StyleTransfer,
    content: Content,
    look: Look,
    device: torch.device,
    progress: Progress = False,
    stats: Sequence[ChannelStats] | None = None,
) -> Iterator[tuple[Tile, Tensor]]:
    """Render a picture, tile by tile. Where there are masks but none applies, it stays as it is.

    Args:
        model, content, device, progress: as for `measure`.
        look: how the picture should look.
        stats: what `measure` returned for the look's masks and `content.coarsest`, if it is known.

    Yields:
        Each tile with its pixels, (B, 3, bottom - top, right - left) in [0, 1].
    """
    for tile, picture in _painted(model, content, look, device, progress, stats):
        if look.luminance:
            picture = transfer_luminance(picture, as_float(content.pixels, tile, device))
        if look.masks is not None:
            covered = as_float(look.masks, tile, device).sum(1, keepdim=True).clamp_max(1)
            picture = covered * picture + (1 - covered) * as_float(content.pixels, tile, device)
        yield tile, picture


def _painted(
    model: StyleTransfer,
    content: Content,
    look: Look,
    device: torch.device,
    progress: Progress,
    stats: Sequence[ChannelStats] | None,
) -> Iterator[tuple[Tile, Tensor]]:
    """Do what `paint` does, but for masks and luminance, which concern only the result."""
    coarser = content.coarser if look.strokes else content.coarser and content.coarsest
    if coarser is None:
        content = content.encoded(model, device)
        stats = stats or measure(model, content, look.masks, device, progress)
        yield from render(model, content, stats, look, device, progress)
        return
    # In levels of a byte, one of them rounded another way would become a dozen where the style exaggerates contrast.
    small = torch.empty(coarser.pixels.shape, dtype=torch.int16)
    assemble(_painted(model, coarser, _reduced(look, coarser.size), device, progress, stats), coarser, small, device)
    guided = Guided(content.pixels, coarser.pixels, small, device)
    if not look.strokes:
        for tile in reported(content.tiles(model), progress):
            yield tile.alone(), as_float(guided, tile.alone(), device)
        return
    again = Content(guided, content.side, content.transparency, margin=guided.margin)
    # Its statistics decide only the contrast of fine strokes; a part of a large picture says enough of them.
    large = auto_side(guided) is not None
    again = again if large else again.encoded(model, device)
    stats = measure(model, again, look.masks, device, progress, samples(*guided.size) if large else None)
    for tile, picture in render(model, again, stats, _weaker(look), device, progress):
        yield tile.alone(), guided.settled(picture, tile)


def _reduced(look: Look, size: tuple[int, int]) -> Look:
    """Scale the masks of a look."""
    alpha = reduced(look.alpha, size) if isinstance(look.alpha, Tensor) else look.alpha
    return dataclasses.replace(look, masks=None if look.masks is None else reduced(look.masks, size), alpha=alpha)


def _weaker(look: Look) -> Look:
    """Weaken a look for a finer rendering; what is above 1 exaggerates the first one alone."""
    alpha = look.alpha // 2 if isinstance(look.alpha, Tensor) else _AGAIN * min(1.0, look.alpha)
    return dataclasses.replace(look, alpha=alpha)
