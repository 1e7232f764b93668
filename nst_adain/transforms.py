"""Augments training data by style transfer, as a step of a torchvision pipeline."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from nst_adain.controls import LARGEST, STYLE_SIZE, Style, check_style_size
from nst_adain.functional import ChannelStats
from nst_adain.images.inputs import in_range
from nst_adain.images.io import to_srgb
from nst_adain.stylizer import Stylizer

__all__ = ["Input", "RandomStyle"]

Input = TypeVar("Input", Image.Image, Tensor)


class RandomStyle(nn.Module):
    """Renders each picture in a random style with probability `p`: a step of a torchvision pipeline.

    Geirhos et al. 2019, https://arxiv.org/abs/1811.12231. Draws random numbers from torch, as torchvision's transforms do.

    Example:
        >>> from PIL import Image
        >>> augment = RandomStyle([Image.new("RGB", (32, 32), "gold")], p=1.0, alpha=(0.5, 1.0))
        >>> augment(Image.new("RGB", (40, 30), "teal")).size
        (40, 30)
    """

    def __init__(
        self,
        styles: Iterable[Style],
        p: float = 0.5,
        alpha: float | tuple[float, float] = 1.0,
        *,
        stylizer: Stylizer | None = None,
        style_size: int | None = STYLE_SIZE,
    ) -> None:
        """Encode the styles, once.

        Args:
            styles: pictures, or results of `Stylizer.encode_style`.
            p: probability of stylising a picture.
            alpha: strength, or the range (lowest, highest) from which one is drawn for each picture.
            stylizer: the model; default: "slim" on the CPU, because data loaders run there.
            style_size: short side to which style pictures are reduced.

        Raises:
            TypeError: if `styles` is one picture.
            ValueError: if there are no styles, or one was encoded by another model, or `p` or `alpha` is out of range.
        """
        super().__init__()
        if isinstance(styles, (str, os.PathLike, Image.Image, Tensor, ChannelStats)):
            raise TypeError(f"styles: expected a list of them, got one {type(styles).__name__}")
        given = list(styles)
        if not given:
            raise ValueError("styles: expected at least one, got none")
        if not 0 <= p <= 1:
            raise ValueError(f"p: expected a probability from 0 to 1, got {p}")
        try:
            low, high = map(float, alpha) if np.ndim(alpha) else (float(alpha),) * 2  # type: ignore[arg-type]
        except (TypeError, ValueError):
            low = high = math.nan
        if not 0 <= low <= high <= LARGEST:
            raise ValueError(f"alpha: expected a number from 0 to {LARGEST:,} or an ascending pair of them, got {alpha}")
        check_style_size(style_size, given)
        self.p, self.low, self.high = p, low, high
        self.stylizer = stylizer or Stylizer.from_pretrained(device="cpu")
        self.styles = [
            style if isinstance(style, ChannelStats) else self.stylizer.encode_style(style, style_size=style_size)
            for style in given
        ]
        for style in self.styles:  # check now, not when a style is drawn
            self.stylizer.check_origin("styles", style)
            if style.mean.shape != (1, style.channels, 1, 1):
                raise ValueError(f"styles: expected codes of one picture each, got one of the shape {tuple(style.mean.shape)}")

    @overload
    def forward(self, image: Input) -> Input: ...
    @overload
    def forward(self, image: Any, *others: Any) -> Any: ...
    def forward(self, image: Any, *others: Any) -> Any:
        """Stylise a picture, or draw a style and a strength for each picture of a batch.

        Args:
            image: a PIL image, whose EXIF orientation is ignored, because boxes and masks would not turn with it; or a tensor
                (3, H, W) or (B, 3, H, W), float in [0, 1] or uint8, of any torchvision class.
                Or, as in `torchvision.transforms.v2`, a sample: nested tuples, lists and dictionaries. Its first picture is
                stylised; labels, boxes and everything else stay as they are.
            others: the rest of a sample whose first part is the picture.

        Returns:
            A PIL image of mode RGB, or RGBA if there is transparency; or a tensor of the same class, shape, type and device.
            For a sample, the same structure; with `others`, a tuple of the picture and the others.

        Raises:
            TypeError, ValueError: if `image` is none of these, even if it is not drawn to be stylised.
        """
        if not others and isinstance(image, (tuple, list, dict)):
            leaves, structure = tree_flatten(image)
            kinds = [_kind(leaf) for leaf in leaves]
            first = next((kinds.index(kind) for kind in ("picture", "tensor") if kind in kinds), None)
            if first is None:
                raise TypeError(f"image: expected a sample with a picture, got {', '.join(type(x).__name__ for x in leaves)}")
            leaves[first] = self(leaves[first])
            return tree_unflatten(leaves, structure)
        result = self._stylize(to_srgb(image, upright=False)) if isinstance(image, Image.Image) else self._tensor(image)
        return (result, *others) if others else result

    def _tensor(self, image: Tensor) -> Tensor:
        if not isinstance(image, Tensor):
            raise TypeError(f"image: expected a PIL image or a tensor, got {type(image).__name__}")
        known = image.is_floating_point() or image.dtype == torch.uint8
        if image.ndim not in (3, 4) or image.shape[-3] != 3 or not known:
            found = f"{image.dtype} {tuple(image.shape)}"
            raise ValueError(f"image: expected a tensor (3, H, W) or (B, 3, H, W), float in [0, 1] or uint8, got {found}")
        plain = image.as_subclass(Tensor)
        values = plain if plain.is_floating_point() else plain / 255
        if plain.is_floating_point() and plain.numel():
            values = in_range(plain, "image")
        singles = values[None] if values.ndim == 3 else values
        done = [self._stylize(single[None]).to(image.device) for single in singles]
        result = torch.cat(done).reshape(values.shape) if done else values
        result = result if plain.is_floating_point() else (result * 255).round().to(torch.uint8)
        return result.as_subclass(type(image))

    def _stylize(self, image: Input) -> Input:
        if torch.rand(()) >= self.p:
            return image
        style = self.styles[int(torch.randint(len(self.styles), ()))]
        return self.stylizer(image, style, alpha=float(torch.empty(()).uniform_(self.low, self.high)))

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"{len(self.styles)} styles, p={self.p}, alpha={self.low:g}..{self.high:g}"


def _kind(leaf: object) -> str:
    """Classify a part of a sample as torchvision does: a plain tensor is the picture only if no other part is one."""
    if isinstance(leaf, Image.Image) or (isinstance(leaf, Tensor) and type(leaf).__name__ in ("Image", "Video")):
        return "picture"
    return "tensor" if type(leaf) is Tensor and leaf.ndim in (3, 4) and leaf.shape[-3] == 3 else "other"
