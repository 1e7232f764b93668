"""Renders a picture tile by tile (pass 2) from its features, the statistics of pass 1, styles and masks.

AdaIN's statistics cover the whole picture; everything else is convolutions that see a limited neighbourhood. So pass 1 adds up
the moments of every tap tile by tile, and pass 2 applies the map that follows from them tile by tile. A picture that is not
cut up is one tile.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nst_adain.controls import Progress
from nst_adain.functional import ChannelStats, blend, strengthen
from nst_adain.images.tiff import Pixels
from nst_adain.models.networks import StyleTransfer, pad_to_stride
from nst_adain.models.stylised import Code, Lazy
from nst_adain.rendering.contents import Content
from nst_adain.rendering.tiling import Tile, as_float, reported

__all__ = ["Look", "assemble", "render", "shares"]


def shares(masks: Tensor, weights: Sequence[float], stride: int) -> Tensor:
    """Compute how much of each style each position of features gets.

    Args:
        masks: (1, n, H, W) in [0, 1], H and W multiples of `stride`.
        weights: n factors, the proportion in which styles are mixed where masks overlap.
        stride: pixels of the picture per position.

    Returns:
        (1, n, H / stride, W / stride), summing to 1 over n; equal shares where no mask applies.
    """
    # A far smaller factor times a mask would be 0 in float32: places that only its style covers would get no style.
    factors = masks.new_tensor(weights).clamp_min(1e-30)
    weighted = F.avg_pool2d(masks, stride) * factors.view(1, -1, 1, 1)
    total = weighted.sum(1, keepdim=True)
    return torch.where(total > 0, weighted / total.clamp_min(torch.finfo(total.dtype).tiny), 1 / masks.shape[1])


@dataclasses.dataclass(frozen=True, eq=False)
class Look:
    """Says how a picture should look.

    Attributes:
        styles: n codes, (B or 1, C, 1, 1).
        weights: n factors, used as they are.
        masks: where each style applies, (1, n, H, W) uint8, or None: everywhere.
        alpha: strength, a number or (1, 1, H, W) uint8 as a fraction of 255.
        luminance: whether to take only lightness from the result, and colours from the content.
        strokes: whether a large picture gets fine strokes too, or else only the photograph's details.
    """

    styles: Sequence[ChannelStats]
    weights: Sequence[float]
    masks: Tensor | None
    alpha: float | Tensor
    luminance: bool = False
    strokes: bool = True


def render(
    model: StyleTransfer,
    content: Content,
    content_stats: Sequence[ChannelStats],
    look: Look,
    device: torch.device,
    progress: Progress = False,
) -> Iterator[tuple[Tile, Tensor]]:
    """Decode a picture, tile by tile, at this size alone.

    Args:
        model, content, device, progress: as for `measure`.
        content_stats: what `measure` returned for the look's masks.
        look: how the picture should look.

    Yields:
        Each tile and its pixels, (B, 3, height, width) in [0, 1], both with `content.margin` of their surroundings.

    Raises:
        ValueError: if a value is NaN because numbers overflowed: it would turn black.
    """
    for tile in reported(content.tiles(model), progress):
        output = model.decode(content.encode(model, tile, device), *_codes(model, content_stats, look, tile, device))
        area = tile.within(content.margin)
        top, left = area.read_top - tile.read_top, area.read_left - tile.read_left
        height, width = area.read_bottom - area.read_top, area.read_right - area.read_left
        picture = output[..., top : top + height, left : left + width].clamp_(0, 1)
        if picture.sum().isnan():  # in a thousandth of the time; testing each value takes ten times as long
            raise ValueError(
                "expected a finite result, found another: a style's statistics, or the model's weights, are too large"
            )
        yield area, picture


def assemble(
    parts: Iterable[tuple[Tile, Tensor]], content: Content, out: Pixels | None, device: torch.device
) -> Image.Image | Pixels | NDArray[Any]:
    """Put the tiles that `paint` yields together.

    Returns:
        `out`; or without it, what the content was handed in as: a tensor on the device, an array, or a picture.
    """
    target: Pixels = content.empty(device) if out is None else out
    for tile, picture in parts:
        levels = picture if target.dtype.is_floating_point else (picture * torch.iinfo(target.dtype).max).round()
        target[..., tile.top : tile.bottom, tile.left : tile.right] = levels
    return content.result(target) if out is None and isinstance(target, Tensor) else target


def _codes(
    model: StyleTransfer, content_stats: Sequence[ChannelStats], look: Look, tile: Tile, device: torch.device
) -> tuple[Mapping[str, Code], Mapping[str, Code]]:
    """Return the content's and the target code for each layer: one value a channel, or maps where there are masks."""
    content_codes = [model.arch.split(code) for code in content_stats]
    styles = [model.arch.split(code) for code in look.styles]
    stride_of = {layer: model.arch.plan.stride_of(layer) for layer in model.arch.code_channels}

    def pool(stride: int) -> tuple[Tensor | None, float | Tensor]:
        """Return each style's share of each position, if there are masks, and the strength there."""
        alpha = look.alpha
        if isinstance(alpha, Tensor):
            alpha = F.avg_pool2d(pad_to_stride(as_float(alpha, tile, device)), stride)
        if look.masks is None:
            return None, alpha
        return shares(pad_to_stride(as_float(look.masks, tile, device)), look.weights, stride), alpha

    pooled = {stride: pool(stride) for stride in set(stride_of.values())}

    def content(layer: str) -> Code:
        share, stats = pooled[stride_of[layer]][0], [code[layer] for code in content_codes]
        return stats[0] if share is None else _Mapped(stats, share)

    def target(layer: str) -> Code:
        share, alpha = pooled[stride_of[layer]]
        content_stats, style_stats = ([code[layer] for code in codes] for codes in (content_codes, styles))
        if share is None and isinstance(alpha, Tensor):
            style_stats, share = [blend(style_stats, look.weights)], torch.ones_like(alpha)
        if share is None:
            return strengthen(content_stats[0], blend(style_stats, look.weights), alpha)
        # `strengthen` for all positions at once: it is linear in the codes.
        return _Mapped([*content_stats, *style_stats], torch.cat([(1 - alpha) * share, alpha * share], 1))

    return Lazy(stride_of, content), Lazy(stride_of, target)


class _Mapped:
    """`blend` with maps, (1, n, H, W), as weights, for the rows that are asked for."""

    def __init__(self, stats: Sequence[ChannelStats], maps: Tensor) -> None:
        count = max(len(each.mean) for each in stats)

        def table(values: Sequence[Tensor]) -> Tensor:  # (B, n, C)
            return torch.stack([value.flatten(1).expand(count, -1) for value in values], 1)

        self.maps, self.mean, self.std = maps, table([each.mean for each in stats]), table([each.std for each in stats])

    def rows(self, first: int, end: int) -> ChannelStats:
        """Return the statistics at each position of some rows, (B, C, end - first, W); deviations below 0 become 0."""
        maps = self.maps[:, :, first:end]
        positions = maps[0].flatten(1).T  # (positions, n)

        def mix(table: Tensor) -> Tensor:
            # One matrix product, whose result is in channels_last like the features.
            with torch.autocast(maps.device.type, enabled=False):  # statistics stay in float32
                return (positions @ table).view(len(table), *maps.shape[2:], -1).permute(0, 3, 1, 2)

        return ChannelStats(mix(self.mean), mix(self.std).clamp_min_(0))
