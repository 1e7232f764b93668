"""`Stylizer`: the one class most users need."""

from __future__ import annotations

import dataclasses
import math
import os
from typing import TypeAlias, overload

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nst_adain.functional import ChannelStats, blend
from nst_adain.images import MAX_PIXELS, load_image, resize_short_side, to_image, to_tensor
from nst_adain.models import StyleTransfer
from nst_adain.pretrained import load_model

__all__ = ["EncodedContent", "Picture", "Stylizer"]

# A picture: the path of a file, a PIL image, or a float tensor (B, 3, H, W), RGB in [0, 1].
Picture: TypeAlias = "str | os.PathLike[str] | Image.Image | Tensor"


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedContent:
    """A content picture as the decoder needs it. Made by `Stylizer.encode_content`, kept by the caller.

    Attributes:
        features: (B, C_k, H_k, W_k) for each tap of the model.
        stats: their statistics.
        size: (H, W) of the output.
        alpha_channel: the picture's transparency, given back to the output, or None.
        is_tensor: whether the output is a tensor, as the input was.
    """

    features: dict[str, Tensor]
    stats: ChannelStats
    size: tuple[int, int]
    alpha_channel: Image.Image | None
    is_tensor: bool


class Stylizer:
    """Renders content pictures in the style of other pictures. Keeps nothing between calls.

    Example:
        >>> from PIL import Image
        >>> stylizer = Stylizer.from_pretrained("slim", device="cpu")
        >>> photo, painting = Image.new("RGB", (40, 30), "teal"), Image.new("RGB", (64, 64), "gold")
        >>> stylizer(photo, painting, alpha=0.8).size
        (40, 30)
    """

    def __init__(self, model: StyleTransfer, device: str | torch.device | None = None) -> None:
        """Wrap a model.

        Args:
            model: encoder and decoder, such as `train` makes.
            device: where to run; None or "auto" takes the first GPU, else the CPU.

        Raises:
            ValueError: if there is no such device.
        """
        self.device = pick_device(device)
        self.model = model.eval().requires_grad_(False).to(self.device)

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] = "slim",
        *,
        encoder: str | os.PathLike[str] | None = None,
        device: str | torch.device | None = None,
    ) -> Stylizer:
        """Load weights.

        Args:
            name: a model that ships with the package ("slim"), or the path of a .safetensors file.
            encoder: full-width VGG-19 encoder, for weights that are a decoder alone; default: what the environment
                variable NST_ADAIN_VGG19 names.
            device: where to run; None or "auto" takes the first GPU, else the CPU.

        Raises:
            FileNotFoundError: if there are no such weights, or an encoder is needed and not given.
            ValueError: if a file does not hold what it should, or there is no such device.
        """
        return cls(load_model(name, encoder=encoder), device)

    @torch.inference_mode()
    def encode_style(self, style: Picture, *, style_size: int | None = 512, max_pixels: int = MAX_PIXELS) -> ChannelStats:
        """Read a style: all that stylising needs of it, reusable, and saved and loaded by `ChannelStats`.

        Args:
            style: the picture.
            style_size: short side in pixels to which a larger picture is reduced, which sets the scale of the strokes;
                a smaller one is read as it is. None reads every picture as it is.
            max_pixels: the largest file that is decoded.

        Returns:
            (B, C, 1, 1) means and standard deviations of all taps of the model.
        """
        tensor, _ = self._read(style, "style", max_pixels)
        if style_size is not None:
            check_side("style_size", style_size)
            if min(tensor.shape[-2:]) > style_size:
                tensor = _resize(tensor, style_size)
        return self.model.stats(self.model.encode(tensor.to(self.device)))

    @torch.inference_mode()
    def encode_content(self, content: Picture, *, size: int | None = None, max_pixels: int = MAX_PIXELS) -> EncodedContent:
        """Read a content picture once, to stylise it many times: what a strength slider calls before it moves.

        Args:
            content: the picture.
            size: short side in pixels to which it is scaled, up or down; None keeps it.
            max_pixels: the largest picture that is decoded or made.
        """
        tensor, alpha_channel = self._read(content, "content", max_pixels)
        if size is not None:
            check_side("size", size)
            pixels = round(size * size * max(tensor.shape[-2:]) / min(tensor.shape[-2:]))
            if pixels > max_pixels:
                raise ValueError(
                    f"size: {size} makes about {pixels:,} pixels, more than the limit of {max_pixels:,} (max_pixels)"
                )
            tensor = _resize(tensor, size)
            alpha_channel = alpha_channel and resize_short_side(alpha_channel, size)
        features = self.model.encode(tensor.to(self.device))
        height, width = tensor.shape[-2:]
        return EncodedContent(features, self.model.stats(features), (height, width), alpha_channel, isinstance(content, Tensor))

    @overload
    def __call__(
        self, content: Tensor, style: Picture | ChannelStats, *, alpha: float = ..., size: int | None = ...,
        style_size: int | None = ..., max_pixels: int = ...,
    ) -> Tensor: ...  # fmt: skip
    @overload
    def __call__(
        self, content: str | os.PathLike[str] | Image.Image, style: Picture | ChannelStats, *, alpha: float = ...,
        size: int | None = ..., style_size: int | None = ..., max_pixels: int = ...,
    ) -> Image.Image: ...  # fmt: skip
    @overload
    def __call__(
        self, content: EncodedContent, style: Picture | ChannelStats, *, alpha: float = ..., size: None = ...,
        style_size: int | None = ..., max_pixels: int = ...,
    ) -> Image.Image | Tensor: ...  # fmt: skip
    @torch.inference_mode()
    def __call__(
        self,
        content: Picture | EncodedContent,
        style: Picture | ChannelStats,
        *,
        alpha: float = 1.0,
        size: int | None = None,
        style_size: int | None = 512,
        max_pixels: int = MAX_PIXELS,
    ) -> Image.Image | Tensor:
        """Render `content` in the style of `style`.

        Args:
            content: a picture, or what `encode_content` made of one (nothing is then encoded again).
            style: a picture, or what `encode_style` made of one.
            alpha: strength from 0 (the content, encoded and decoded) to 1 (the style's statistics); above 1 extrapolates.
            size: short side in pixels to which the content is scaled; None keeps it.
            style_size: short side in pixels to which a larger style picture is reduced; None keeps it.
            max_pixels: the largest picture that is decoded or made.

        Returns:
            For a path or a PIL image, a PIL image of the content's size, with its transparency. For a tensor
            (B, 3, H, W), a tensor (B, 3, H, W) in [0, 1] on the stylizer's device.

        Raises:
            FileNotFoundError: if a file does not exist.
            ImageError: if a file is not a picture that can be read.
            TypeError, ValueError: if an argument is of another kind or out of range.
        """
        if not isinstance(alpha, (int, float)) or not math.isfinite(alpha) or alpha < 0:
            raise ValueError(f"alpha: expected a number from 0 (above 1 extrapolates), got {alpha!r}")
        if not isinstance(style, ChannelStats):
            style = self.encode_style(style, style_size=style_size, max_pixels=max_pixels)
        if style.channels != sum(self.model.arch.tap_channels):
            raise ValueError(
                f"style: expected statistics of {sum(self.model.arch.tap_channels)} channels, got {style.channels}: "
                "they were encoded with another model"
            )
        if not isinstance(content, EncodedContent):
            content = self.encode_content(content, size=size, max_pixels=max_pixels)
        elif size is not None:
            raise ValueError("size: content is already encoded; give the size to encode_content")
        if style.mean.shape[0] not in (1, content.stats.mean.shape[0]):
            raise ValueError(f"style: expected 1 or {content.stats.mean.shape[0]} pictures, got {style.mean.shape[0]}")
        target = blend([content.stats, style.to(self.device)], [1 - alpha, alpha])
        height, width = content.size
        output = self.model.decode(content.features, content.stats, target)[..., :height, :width].clamp(0, 1)
        if content.is_tensor:
            return output
        image = to_image(output)
        if content.alpha_channel is not None:
            image.putalpha(content.alpha_channel)
        return image

    @staticmethod
    def _read(picture: Picture, name: str, max_pixels: int) -> tuple[Tensor, Image.Image | None]:
        """(B, 3, H, W) on the CPU or where it was, and the transparency."""
        if isinstance(picture, Tensor):
            if picture.ndim != 4 or picture.shape[1] != 3 or not picture.is_floating_point() or 0 in picture.shape:
                raise ValueError(
                    f"{name}: expected a float tensor (B, 3, H, W) in [0, 1], got {picture.dtype} {tuple(picture.shape)}"
                )
            return picture.float(), None
        if isinstance(picture, (str, os.PathLike)):
            picture = load_image(picture, max_pixels=max_pixels)
        elif not isinstance(picture, Image.Image):
            raise TypeError(f"{name}: expected a path, a PIL image or a tensor, got {type(picture).__name__}")
        if picture.mode != "RGBA":
            picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
        return to_tensor(picture), picture.getchannel("A") if picture.mode == "RGBA" else None


def pick_device(device: str | torch.device | None) -> torch.device:
    """The device of this name; for None or "auto" the first GPU if there is one.

    Raises:
        ValueError: if this machine or this build of torch has no such device.
    """
    if device is None or device == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")
    try:
        torch.empty(0, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device: expected one of this machine, such as cpu, got {str(device)!r} ({reason})") from error


def check_side(name: str, side: int) -> None:
    """Raise ValueError unless `side` is a whole number of pixels."""
    if not isinstance(side, int) or side < 1:
        raise ValueError(f"{name}: expected a whole number of pixels from 1, got {side!r}")


def _resize(image: Tensor, side: int) -> Tensor:
    scale = side / min(image.shape[-2:])
    size = [max(1, round(n * scale)) for n in image.shape[-2:]]
    return F.interpolate(image, size, mode="bicubic", antialias=True).clamp(0, 1)
