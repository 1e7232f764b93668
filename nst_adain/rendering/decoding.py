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
from PIL import Image
from torch import Tensor

from nst_adain.controls import Progress
from nst_adain.functional import ChannelStats, blend, strengthen
from nst_adain.images.tiff import Pixels
from nst_adain.models.networks import Lazy, StyleTransfer, pad_to_stride
from nst_adain.rendering.color import transfer_luminance
from nst_adain.rendering.contents import Content
from nst_adain.rendering.tiling import Tile, as_float, reported

__all__ = ["Look", "assemble", "render", "shares"]


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
    """What is wanted of a picture.

    Attributes:
        styles: n codes, (B or 1, C, 1, 1).
        weights: n factors, used as they are.
        masks: where each style applies, (1, n, H, W) uint8, or None: everywhere.
        alpha: strength, a number or (1, 1, H, W) uint8 as a fraction of 255.
        luminance: whether only the lightness is taken from the result, and colours from the content.
    """

    styles: Sequence[ChannelStats]
    weights: Sequence[float]
    masks: Tensor | None
    alpha: float | Tensor
    luminance: bool = False


def render(
    model: StyleTransfer,
    content: Content,
    content_stats: Sequence[ChannelStats],
    look: Look,
    device: torch.device,
    progress: Progress = False,
) -> Iterator[tuple[Tile, Tensor]]:
    """Decode a picture, tile by tile. Where there are masks and none applies, it stays as it is.

    Args:
        model, content, device, progress: as for `measure`.
        content_stats: what `measure` returned for the look's masks.
        look: what is wanted.

    Yields:
        Each tile with its pixels, (B, 3, bottom - top, right - left) in [0, 1].

    Raises:
        ValueError: if a value is none, because numbers overflowed on the way to it: it would be black.
    """
    for tile in reported(content.tiles(model), progress):
        output = model.decode(content.encode(model, tile, device), *_codes(model, content_stats, look, tile, device))
        top, left = tile.top - tile.read_top, tile.left - tile.read_left
        picture = output[..., top : top + tile.bottom - tile.top, left : left + tile.right - tile.left].clamp(0, 1)
        if picture.sum().isnan():  # in a thousandth of the time; a look at each value takes ten times as long
            raise ValueError(
                "expected a finite result, found another: a style's statistics, or the model's weights, are too large"
            )
        if look.luminance:
            picture = transfer_luminance(picture, as_float(content.pixels, tile.alone(), device))
        if look.masks is not None:
            covered = as_float(look.masks, tile.alone(), device).sum(1, keepdim=True).clamp_max(1)
            picture = covered * picture + (1 - covered) * as_float(content.pixels, tile.alone(), device)
        yield tile, picture


def assemble(
    parts: Iterable[tuple[Tile, Tensor]], content: Content, out: Pixels | None, device: torch.device
) -> Image.Image | Pixels:
    """Put what `render` yields together.

    Returns:
        `out`, or without it, what the content is: a float tensor (B, 3, H, W) on the device, or a picture, transparent alike.
    """
    pixels, target = content.pixels, out
    if target is None and isinstance(pixels, Tensor) and pixels.is_floating_point():
        target = torch.empty_like(pixels, device=device)
    elif target is None:  # in memory as pictures are
        target = torch.empty(pixels.shape, dtype=torch.uint8, memory_format=torch.channels_last)
    for tile, picture in parts:
        levels = picture if target.dtype.is_floating_point else (picture * 255).round()
        target[..., tile.top : tile.bottom, tile.left : tile.right] = levels
    if out is not None or not isinstance(target, Tensor) or target.is_floating_point():
        return target
    image = Image.fromarray(target[0].permute(1, 2, 0).numpy())
    if content.transparency is not None:
        image.putalpha(content.transparency)
    return image


def _codes(
    model: StyleTransfer, content_stats: Sequence[ChannelStats], look: Look, tile: Tile, device: torch.device
) -> tuple[Mapping[str, ChannelStats], Mapping[str, ChannelStats]]:
    """The content's and the wanted code for each layer: numbers, or where there are masks, maps."""
    content_codes = [model.arch.split(code) for code in content_stats]
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
        share, mine = pooled[stride_of[layer]][0], [code[layer] for code in content_codes]
        return mine[0] if share is None else _mapped(mine, share)

    def target(layer: str) -> ChannelStats:
        share, alpha = pooled[stride_of[layer]]
        mine, wanted = ([code[layer] for code in codes] for codes in (content_codes, styles))
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
