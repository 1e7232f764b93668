"""Pass 1 of rendering: the statistics of a content, of all of it or of regions, added up tile by tile."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_adain.controls import Progress
from nst_adain.functional import EPS, ChannelStats, at_least_float32
from nst_adain.models.networks import StyleTransfer, pad_to_stride
from nst_adain.rendering.contents import Content
from nst_adain.rendering.tiling import as_float, reported

__all__ = ["Moments", "belonging", "measure"]


def belonging(masks: Tensor, stride: int, reach: int) -> Tensor:
    """How much a position of features counts in the statistics of each region.

    Features beside a border see the region on its other side too. In smooth pictures the border may be the strongest edge there
    is, and it is no part of either region. Gatys et al. 2017 (https://arxiv.org/abs/1611.07865) keep to the features that see
    one region alone; here they count less the more they see of others, so that narrow regions have statistics too.

    Args:
        masks: (1, n, H, W) in [0, 1], H and W multiples of `stride`.
        stride: pixels of the picture per position.
        reach: pixels that a position sees beyond its own, on each side.

    Returns:
        (1, n, H / stride, W / stride) in [0, 1]: the region's share of the position, times the square of its share of all that
        the position sees of the picture.
    """
    side = stride + 2 * reach
    rows = F.avg_pool2d(masks, (side, 1), (stride, 1), (reach, 0), count_include_pad=False)
    seen = F.avg_pool2d(rows, (1, side), (1, stride), (0, reach), count_include_pad=False)
    return F.avg_pool2d(masks, stride) * seen**2


def measure(
    model: StyleTransfer, content: Content, masks: Tensor | None, device: torch.device, progress: Progress = False
) -> list[ChannelStats]:
    """The statistics of what is visible of a picture, over all of it or for each mask over its region, as `belonging` says.

    Args:
        model: whose encoder's features are measured.
        content: the picture, a content or a style.
        masks: (1, n, H, W) uint8, or None.
        device: where the model is.
        progress: as of calling a `Stylizer`.

    Returns:
        One code, or n: (B, C, 1, 1). Of a region that is empty or invisible, the whole picture's.
    """
    taps = model.arch.taps
    # The last one is the whole picture's: what is taken for a region without a position.
    opacity = content.opacity
    count = masks.shape[1] if masks is not None else 0 if opacity is None else 1
    moments = [{tap: Moments() for tap in taps} for _ in range(count + 1)]
    for tile in reported(content.tiles(model), progress):
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
                for region in range(count):
                    moments[region][tap].add(inside, weights[:, region : region + 1])
    used = [region if all(m.count > 0 for m in region.values()) else moments[-1] for region in moments]
    wanted = used[:-1] or used
    return [model.extend(Moments.join(list(region.values())).to(device)) for region in wanted]


_AT_ONCE = 2**19  # values that are read at once, 2 MB: they stay in the processor's cache until they are squared


class Moments:
    """Mean and variance of the channels of many pieces.

    Each strip of rows is measured in float32 about its own mean, and strips are joined in float64 (Chan et al. 1983,
    https://doi.org/10.1080/00031305.1983.10483115): nothing is lost where the mean is far from 0, as it would be from sums of
    squares, and float64 is left to a number for each channel.
    """

    def __init__(self) -> None:
        self.count: float = 0.0
        self.mean: Tensor | None = None  # (B, C, 1, 1), float64
        self.squares: Tensor | None = None  # sums of squared deviations from the mean

    def add(self, features: Tensor, weights: Tensor | None = None) -> None:
        """Count in the positions of (B, C, H, W) features, each as often as `weights`, (1, 1, H, W), says; default: once."""
        at_once = _AT_ONCE if features.device.type == "cpu" else features.numel()  # each strip would wait for a GPU
        rows = max(1, at_once // features[:, :, 0].numel())
        for top in range(0, features.shape[2], rows):
            x = at_least_float32(features[:, :, top : top + rows])
            if weights is None:
                count = float(x.shape[2] * x.shape[3])
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
        """What `channel_stats` would have given for all positions at once.

        Raises:
            ValueError: if nothing was added.
        """
        if self.mean is None or self.squares is None:
            raise ValueError("expected at least one piece, got none")
        return ChannelStats(self.mean.float(), (self.squares / self.count + EPS).sqrt().float())

    @staticmethod
    def join(parts: Sequence[Moments]) -> ChannelStats:
        """The statistics of several taps as one value."""
        return ChannelStats.cat([part.stats() for part in parts])
