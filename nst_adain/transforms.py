"""Style transfer as data augmentation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from nst_adain.functional import ChannelStats
from nst_adain.images import to_srgb
from nst_adain.stylizer import Style, Stylizer

__all__ = ["RandomStyle"]

Input = TypeVar("Input", Image.Image, Tensor)


class RandomStyle(nn.Module):
    """Render pictures in a random style, with a probability: a step of a torchvision pipeline.

    Geirhos et al. 2019, https://arxiv.org/abs/1811.12231. Random numbers are torch's, as in torchvision's transforms.

    Example:
        >>> from PIL import Image
        >>> augment = RandomStyle([Image.new("RGB", (32, 32), "gold")], p=1.0, alpha=(0.5, 1.0))
        >>> augment(Image.new("RGB", (40, 30), "teal")).size
        (40, 30)
    """

    def __init__(
        self,
        styles: Sequence[Style],
        p: float = 0.5,
        alpha: float | tuple[float, float] = 1.0,
        *,
        stylizer: Stylizer | None = None,
        style_size: int | None = 512,
    ) -> None:
        """Encode the styles, once.

        Args:
            styles: pictures, or what `Stylizer.encode_style` made of them.
            p: probability of stylising a picture.
            alpha: strength, or the lowest and highest of which one is drawn for each picture.
            stylizer: the model; default: the shipped one on the CPU, because data loaders run there.
            style_size: short side to which style pictures are reduced.

        Raises:
            TypeError: if `styles` is one picture.
            ValueError: if there are no styles, or `p` or `alpha` is out of range.
        """
        super().__init__()
        if isinstance(styles, (str, os.PathLike, Image.Image, Tensor, ChannelStats)):
            raise TypeError(f"styles: expected a list of them, got one {type(styles).__name__}")
        if not styles:
            raise ValueError("styles: expected at least one, got none")
        if not 0 <= p <= 1:
            raise ValueError(f"p: expected a probability from 0 to 1, got {p}")
        low, high = alpha if isinstance(alpha, Sequence) else (float(alpha), float(alpha))
        if not 0 <= low <= high:
            raise ValueError(f"alpha: expected a number from 0 or an ascending pair of them, got {alpha}")
        self.p, self.low, self.high = p, low, high
        self.stylizer = stylizer or Stylizer.from_pretrained(device="cpu")
        self.styles = [
            style if isinstance(style, ChannelStats) else self.stylizer.encode_style(style, style_size=style_size)
            for style in styles
        ]

    def forward(self, image: Input) -> Input:
        """Stylise a picture, or each picture of a batch, with a style, a strength and a chance of its own.

        Args:
            image: a PIL image, or a float tensor (3, H, W) or (B, 3, H, W) in [0, 1].

        Returns:
            A PIL image of mode RGB, or RGBA if there is transparency; or a tensor of the same shape and device.

        Raises:
            TypeError, ValueError: if `image` is neither, whether it is to be stylised or not.
        """
        if isinstance(image, Image.Image):
            return self._stylize(to_srgb(image))
        if not isinstance(image, Tensor):
            raise TypeError(f"image: expected a PIL image or a tensor, got {type(image).__name__}")
        if image.ndim not in (3, 4) or image.shape[-3] != 3 or not image.is_floating_point():
            found = f"{image.dtype} {tuple(image.shape)}"
            raise ValueError(f"image: expected a float tensor (3, H, W) or (B, 3, H, W) in [0, 1], got {found}")
        if image.ndim == 4:
            return torch.stack([self.forward(single) for single in image])
        return self._stylize(image[None])[0].to(image.device)

    def _stylize(self, image: Input) -> Input:
        if torch.rand(()) >= self.p:
            return image
        style = self.styles[int(torch.randint(len(self.styles), ()))]
        return self.stylizer(image, style, alpha=float(torch.empty(()).uniform_(self.low, self.high)))

    def extra_repr(self) -> str:
        """What `repr` shows."""
        return f"{len(self.styles)} styles, p={self.p}, alpha={self.low:g}..{self.high:g}"
