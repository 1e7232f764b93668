"""Pass 2 of rendering: a picture from its features, the statistics of pass 1, styles and masks, tile by tile.

AdaIN's statistics are over the whole picture, all else is convolutions that see a limited neighbourhood. So pass 1 adds up the
moments of every tap tile by tile, and here the one map that follows from them is applied tile by tile. A picture that is not
cut up is one tile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_adain.functional import ChannelStats, blend, strengthen
from nst_adain.images.tiff import Pixels
from nst_adain.models.networks import Lazy, StyleTransfer, pad_to_stride
from nst_adain.rendering.tiling import Tile, as_float

__all__ = ["Look", "render", "shares"]


def shares(masks: Tensor, weights: Sequence[float], stride: int) -> Tensor:
    """How much of each style a position of features gets.

    Args:
        masks: (1, n, H, W) in [0, 1], H and W multiples of `stride`.
        weights: n factors: where masks overlap, styles are mixed in this proportion.
        stride: pixels of the picture per position.

    Returns:
        (1, n, H / stride, W / stride), summing to 1 over n; equal shares where no mask applies.
    """
    # Far smaller ones, times a mask's, are lost in float32, and with them a place that only their style has.
    factors = masks.new_tensor(weights).clamp_min(1e-30)
    weighted = F.avg_pool2d(masks, stride) * factors.view(1, -1, 1, 1)
    total = weighted.sum(1, keepdim=True)
    return torch.where(total > 0, weighted / total.clamp_min(torch.finfo(total.dtype).tiny), 1 / masks.shape[1])


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """What is wanted of a picture: every control that acts on features.

    Attributes:
        styles: n codes, (B or 1, C, 1, 1).
        weights: n factors, used as they are.
        masks: where each style applies, (1, n, H, W) uint8, or None: everywhere.
        alpha: strength, a number or (1, 1, H, W) uint8 as a fraction of 255.
    """

    styles: Sequence[ChannelStats]
    weights: Sequence[float]
    masks: Tensor | None
    alpha: float | Tensor


def render(
    model: StyleTransfer,
    pixels: Pixels,
    own: Sequence[ChannelStats],
    look: Look,
    tiles: Iterable[Tile],
    device: torch.device,
    features: Mapping[str, Tensor] | None = None,
) -> Iterator[tuple[Tile, Tensor]]:
    """Decode a picture, tile by tile.

    Args:
        model, pixels, tiles, device, features: as for `measure`.
        own: what `measure` returned for the look's masks.
        look: what is wanted.

    Yields:
        Each tile with its pixels, (B, 3, bottom - top, right - left) in [0, 1].

    Raises:
        ValueError: if a value is none, because numbers overflowed on the way to it: it would be black.
    """
    for tile in tiles:
        seen = features if features is not None else model.encode(as_float(pixels, tile, device))
        output = model.decode(seen, *_codes(model, own, look, tile, device))
        top, left = tile.top - tile.read_top, tile.left - tile.read_left
        picture = output[..., top : top + tile.bottom - tile.top, left : left + tile.right - tile.left].clamp(0, 1)
        if picture.sum().isnan():  # in a thousandth of the time; a look at each value takes ten times as long
            raise ValueError(
                "expected a finite result, found another: a style's statistics, or the model's weights, are too large"
            )
        yield tile, picture


def _codes(
    model: StyleTransfer, own: Sequence[ChannelStats], look: Look, tile: Tile, device: torch.device
) -> tuple[Mapping[str, ChannelStats], Mapping[str, ChannelStats]]:
    """The content's and the wanted code for each layer: numbers, or where there are masks, maps."""
    own_by_region = [model.arch.split(code) for code in own]
    styles = [model.arch.split(code) for code in look.styles]
    stride_of = {layer: model.arch.plan.stride_of(layer) for layer in model.arch.code_channels}

    def pool(stride: int) -> tuple[Tensor | None, float | Tensor]:
        """Each style's share of each position, if there are masks, and the strength there."""
        alpha = look.alpha
        if isinstance(alpha, Tensor):
            alpha = F.avg_pool2d(pad_to_stride(as_float(alpha, tile, device)), stride)
        if look.masks is None:
            return None, alpha
        return shares(pad_to_stride(as_float(look.masks, tile, device)), look.weights, stride), alpha

    pooled = {stride: pool(stride) for stride in set(stride_of.values())}

    def content(layer: str) -> ChannelStats:
        share, mine = pooled[stride_of[layer]][0], [code[layer] for code in own_by_region]
        return mine[0] if share is None else _mapped(mine, share)

    def target(layer: str) -> ChannelStats:
        share, alpha = pooled[stride_of[layer]]
        mine, wanted = ([code[layer] for code in codes] for codes in (own_by_region, styles))
        if share is None and isinstance(alpha, Tensor):
            wanted, share = [blend(wanted, look.weights)], torch.ones_like(alpha)
        if share is None:
            return strengthen(mine[0], blend(wanted, look.weights), alpha)
        # `strengthen`, all at once: it is linear in the codes.
        mixed = _mapped([*mine, *wanted], torch.cat([(1 - alpha) * share, alpha * share], 1))
        return ChannelStats(mixed.mean, mixed.std.clamp_min_(0))

    return Lazy(stride_of, content), Lazy(stride_of, target)


def _mapped(stats: Sequence[ChannelStats], maps: Tensor) -> ChannelStats:
    """`blend` with maps, (1, n, H, W), for weights: one matrix product, whose result is in channels_last as features are."""
    count = max(len(each.mean) for each in stats)
    positions = maps[0].flatten(1).T  # (H W, n)

    def mix(values: Sequence[Tensor]) -> Tensor:
        table = torch.stack([value.flatten(1).expand(count, -1) for value in values], 1)  # (B, n, C)
        with torch.autocast(maps.device.type, enabled=False):  # statistics stay in float32
            return (positions @ table).view(count, *maps.shape[2:], -1).permute(0, 3, 1, 2)

    return ChannelStats(mix([each.mean for each in stats]), mix([each.std for each in stats]))
