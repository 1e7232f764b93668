"""Measures a picture's statistics tile by tile (pass 1), over all of it or under each mask."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_adain.controls import Progress
from nst_adain.functional import EPS, ChannelStats, at_least_float32
from nst_adain.models import fused
from nst_adain.models.networks import StyleTransfer, pad_to_stride
from nst_adain.rendering.contents import Content
from nst_adain.rendering.tiling import Tile, as_float, reported

__all__ = ["Moments", "belonging", "measure"]


def belonging(masks: Tensor, stride: int, reach: int) -> Tensor:
    """Compute how much each position of features counts in the statistics of each mask.

    Features beside a mask's border see its other side too. In smooth pictures that border may be the strongest edge, and it
    belongs to neither side. Gatys et al. 2017 (https://arxiv.org/abs/1611.07865) use only features that see one side; here
    features count less the more they see of the other, so that narrow masks get statistics too.

    Args:
        masks: (1, n, H, W) in [0, 1], H and W multiples of `stride`.
        stride: pixels of the picture per position.
        reach: pixels that a position sees beyond its own, on each side.

    Returns:
        (1, n, H / stride, W / stride) in [0, 1]: the mask's share of the position, times the square of its share of
        everything that the position sees of the picture.
    """
    side = stride + 2 * reach
    rows = F.avg_pool2d(masks, (side, 1), (stride, 1), (reach, 0), count_include_pad=False)
    seen = F.avg_pool2d(rows, (1, side), (1, stride), (0, reach), count_include_pad=False)
    return F.avg_pool2d(masks, stride) * seen**2


def measure(
    model: StyleTransfer,
    content: Content,
    masks: Tensor | None,
    device: torch.device,
    progress: Progress = False,
    cover: Sequence[Tile] | None = None,
) -> list[ChannelStats]:
    """Measure the visible part of a picture, over all of it or under each mask, weighted by `belonging`.

    Args:
        model: the model whose encoder's features are measured.
        content: the picture, a content or a style.
        masks: (1, n, H, W) uint8, or None.
        device: where the model is.
        progress: as for calling a `Stylizer`.
        cover: the tiles to measure; default: all.

    Returns:
        One code, or one for each mask: (B, C, 1, 1). A mask that covers nothing visible gets the whole picture's.
    """
    taps = model.arch.taps
    # The last one covers the whole picture, and replaces that of a mask without a position.
    opacity = content.opacity
    count = masks.shape[1] if masks is not None else 0 if opacity is None else 1
    moments = [{tap: Moments() for tap in taps} for _ in range(count + 1)]
    for tile in reported(content.tiles(model) if cover is None else cover, progress):
        seen = content.encode(model, tile, device)
        shares_of = [as_float(part, tile, device) for part in (masks, opacity) if part is not None]
        counted = pad_to_stride(functools.reduce(torch.mul, shares_of)) if shares_of else None
        for tap in taps:
            stride = model.arch.plan.stride_of(tap)
            rows, columns = tile.inside(stride)
            inside = seen[tap][..., rows, columns]
            moments[-1][tap].add(inside)
            if counted is not None:
                weights = belonging(counted, stride, model.arch.plan.reach_of(tap))[..., rows, columns]
                for mask in range(count):
                    moments[mask][tap].add(inside, weights[:, mask : mask + 1])
    used = [by_tap if all(m.count > 0 for m in by_tap.values()) else moments[-1] for by_tap in moments]
    return [model.extend(Moments.join(list(by_tap.values())).to(device)) for by_tap in used[:-1] or used]


_AT_ONCE = 2**19  # values to read at once, 2 MB: they stay in the processor's cache until they are squared
_EXACT = 2**13  # positions that `fused.moments` adds up well enough


class Moments:
    """Adds up the mean and variance of each channel over many pieces.

    Measures each strip of rows in float32 about its own mean, and joins strips in float64 (Chan et al. 1983,
    https://doi.org/10.1080/00031305.1983.10483115). Unlike sums of squares this loses nothing where the mean is far from 0,
    and only one number a channel is computed in float64.
    """

    def __init__(self) -> None:
        self.count: float = 0.0
        self.mean: Tensor | None = None  # (B, C, 1, 1), float64
        self.squares: Tensor | None = None  # sums of squared deviations from the mean

    def add(self, features: Tensor, weights: Tensor | None = None) -> None:
        """Add the positions of (B, C, H, W) features, each with its weight in `weights`, (1, 1, H, W); default: 1."""
        at_once = _AT_ONCE if features.device.type == "cpu" else features.numel()  # on a GPU, every strip would cost a wait
        rows = max(1, at_once // features[:, :, 0].numel())
        one_pass = weights is None and features.dtype == torch.bfloat16 and len(features) == 1 and fused.enabled(features)
        if one_pass:
            rows = max(1, min(rows, _EXACT // features.shape[3]))
        for top in range(0, features.shape[2], rows):
            x = features[:, :, top : top + rows]
            count = float(x.shape[2] * x.shape[3])
            x = x if one_pass and count > 1 else at_least_float32(x)
            if x.dtype == torch.bfloat16:
                mean, variance = fused.moments(x)
                squares = variance * count
            elif weights is None:
                mean = x.mean((2, 3), keepdim=True)
                squares = (x - mean).square_().sum((2, 3), keepdim=True)
            else:
                share = weights[:, :, top : top + rows].to(x.dtype)
                count = float(share.sum())
                if count == 0:
                    continue
                mean = (x * share).sum((2, 3), keepdim=True) / count
                squares = (x - mean).square_().mul_(share).sum((2, 3), keepdim=True)
            self._join(count, mean.cpu().double(), squares.cpu().double())

    def _join(self, count: float, mean: Tensor, squares: Tensor) -> None:
        if self.mean is None or self.squares is None:
            self.count, self.mean, self.squares = count, mean, squares
            return
        total = self.count + count
        apart = mean - self.mean
        self.squares += squares + apart**2 * (self.count * count / total)
        self.mean += apart * (count / total)
        self.count = total

    def stats(self) -> ChannelStats:
        """Return what `channel_stats` would return for all positions at once.

        Raises:
            ValueError: if nothing was added.
        """
        if self.mean is None or self.squares is None:
            raise ValueError("expected at least one piece, got none")
        return ChannelStats(self.mean.float(), (self.squares / self.count + EPS).sqrt().float())

    @staticmethod
    def join(parts: Sequence[Moments]) -> ChannelStats:
        """Join the statistics of several taps to one value."""
        return ChannelStats.cat([part.stats() for part in parts])
