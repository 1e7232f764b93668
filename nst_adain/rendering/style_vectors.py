"""Works with encoded styles as vectors: averages of many, parts of single layers, and a picture of what a style looks like.

The functions are methods of `Stylizer`, which is their first argument.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from PIL import Image

from nst_adain.controls import STYLE_SIZE, Style, check_several, check_style_size, check_weights
from nst_adain.errors import UsageError
from nst_adain.functional import ChannelStats, blend
from nst_adain.images.opening import MAX_PIXELS, find_images
from nst_adain.models.networks import StyleTransfer

__all__ = ["average_style", "layers", "preview", "replace_layers"]

_SIDE = 160  # of a neutral picture, in pixels


class _Styler(Protocol):
    """What a `Stylizer` has that these functions need."""

    model: StyleTransfer

    def encode_style(self, style: Any, *, style_size: int | None = ..., max_pixels: int = ...) -> ChannelStats: ...
    def check_origin(self, name: str, stats: ChannelStats) -> None: ...
    def __call__(self, content: Image.Image, styles: ChannelStats) -> Image.Image: ...


def average_style(
    self: _Styler,
    styles: str | os.PathLike[str] | Iterable[Style],
    weights: Sequence[float] | None = None,
    *,
    style_size: int | None = STYLE_SIZE,
    max_pixels: int = MAX_PIXELS,
) -> ChannelStats:
    """Average the statistics of many styles: what they have in common, such as the manner of a painter.

    Args:
        styles: a folder of pictures, searched with its subfolders; or styles.
        weights: one real number for each, scaled to sum to 1; default: equal.
        style_size, max_pixels: as for `encode_style`.

    Returns:
        The style that a call with all of these as its `styles` has.

    Raises:
        OSError, ImageError: if there is no such folder, or a picture cannot be read.
        TypeError: if `styles` is one picture.
        ValueError: if there are no styles, or not as many weights, or a `style_size` for styles that are encoded already.
    """
    if isinstance(styles, (str, os.PathLike)):
        styles = find_images(styles)
    check_several(styles)
    given: list[Any] = list(styles)
    check_style_size(style_size, given)
    total: ChannelStats | None = None
    for style, factor in zip(given, check_weights(weights, len(given)), strict=True):
        if not isinstance(style, ChannelStats):
            style = self.encode_style(style, style_size=style_size, max_pixels=max_pixels)
        total = style * factor if total is None else blend([total, style], [1, factor])
    assert total is not None  # `check_weights` refuses an empty list
    self.check_origin("styles", total)
    return total


def layers(self: _Styler, style: ChannelStats) -> dict[str, ChannelStats]:
    """Cut a style into the statistics of the encoder's layers: early ones are colours and fine texture, later ones strokes.

    Returns:
        By the layer's name, such as relu2_1: (B, C_k, 1, 1).
    """
    self.check_origin("style", style)
    parts = self.model.arch.split(style)
    return {tap: parts[tap] for tap in self.model.arch.taps}


def replace_layers(self: _Styler, style: ChannelStats, replaced: Mapping[str, ChannelStats]) -> ChannelStats:
    """Return a style with the statistics of some layers replaced, such as `{"relu1_1": stylizer.layers(other)["relu1_1"]}`.

    The rest of a style's code, which says how the decoder draws, is predicted anew from the statistics.

    Raises:
        UsageError: if the model has no such layer.
        ValueError: if the parts have other channels, or are of different models.
    """
    parts = layers(self, style)
    if unknown := sorted(replaced.keys() - parts.keys()):
        raise UsageError(f"replaced: expected layers of {', '.join(parts)}, got {unknown[0]!r}")
    for name, part in replaced.items():
        if part.channels != parts[name].channels:
            raise UsageError(f"replaced: expected {parts[name].channels} channels for {name}, got {part.channels}")
    return self.model.modulated(ChannelStats.cat([replaced.get(name, part) for name, part in parts.items()]))


def preview(self: _Styler, style: ChannelStats) -> bytes:
    """Show a style on a neutral picture: a PNG file, which a style in a notebook is displayed as."""
    self(_neutral_picture(), style).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


def _neutral_picture() -> Image.Image:
    """Draw a grey ball in soft light on a plain ground: what colours and strokes its rendering has are the style's."""
    y, x = np.mgrid[0:_SIDE, 0:_SIDE] / (_SIDE / 2) - 1
    height = np.sqrt(np.clip(1 - (x**2 + y**2) / 0.55, 0, 1))  # of the ball towards the viewer
    light = 0.25 + 0.6 * np.clip(0.65 * height - 0.45 * x - 0.45 * y, 0, 1)
    ground = 0.62 + 0.2 * y - 0.25 * np.exp(-(((x - 0.25) / 0.7) ** 2 + ((y - 0.72) / 0.16) ** 2))  # with the ball's shadow
    levels = np.where(height > 0, light, ground)
    return Image.fromarray((levels * 255).round().astype(np.uint8)).convert("RGB")
