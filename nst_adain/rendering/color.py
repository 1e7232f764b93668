"""Keeps the photograph's colours, before stylising (CORAL) or after (luminance).

Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer", https://arxiv.org/abs/1606.05897.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["LUMA", "match_color", "transfer_luminance"]

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in JPEG


def match_color(
    style: Tensor, content: Tensor, style_opacity: Tensor | None = None, content_opacity: Tensor | None = None
) -> Tensor:
    """Give a style picture the colours of the content: the same mean and covariance of RGB (CORAL).

    Sun et al. 2016, https://arxiv.org/abs/1511.05547; section 4.2 of Gatys et al. Covariances are means over the pixels,
    so the result does not depend on the sizes of the pictures.

    Args:
        style: (B, 3, H, W), RGB in [0, 1].
        content: (B or 1, 3, any, any), RGB in [0, 1].
        style_opacity, content_opacity: how much each pixel counts, (1, 1, H, W) in [0, 1]; None: all pixels count fully.

    Returns:
        (B, 3, H, W), RGB, clamped to [0, 1].

    Raises:
        TypeError: if a picture is not floating point.
        ValueError: if a picture or its opacity has another shape.
    """
    _check(style, style_opacity)
    _check(content, content_opacity)
    if len(content) not in (1, len(style)):
        raise ValueError(f"content: expected one picture, or as many as styles, {len(style)}, got {len(content)}")
    style_mean, style_covariance = _colour_moments(style, style_opacity)
    content_mean, content_covariance = _colour_moments(content, content_opacity)
    matrix = _power(content_covariance, 0.5) @ _power(style_covariance, -0.5)
    flat = style.double().flatten(2)
    matched = matrix @ (flat - style_mean) + content_mean
    return matched.view_as(style).clamp(0, 1).to(style.dtype)


def transfer_luminance(output: Tensor, content: Tensor) -> Tensor:
    """Take lightness from the stylised picture and colour from the content (section 4.1 of Gatys et al.).

    Keeping the content's Cb and Cr also keeps its R - Y, G - Y and B - Y, so every channel moves by the difference in luma.

    Args:
        output: (B, 3, H, W), the stylised picture, RGB in [0, 1].
        content: the same shape.

    Returns:
        (B, 3, H, W), RGB, clamped to [0, 1].

    Raises:
        TypeError: if a picture is not floating point.
        ValueError: if the shapes differ, or are not (B, 3, H, W).
    """
    _check(output)
    _check(content)
    if output.shape != content.shape:
        raise ValueError(f"expected pictures of one shape, got {tuple(output.shape)} and {tuple(content.shape)}")
    weights = output.new_tensor(LUMA).view(1, 3, 1, 1)
    return (content + ((output - content) * weights).sum(1, keepdim=True)).clamp(0, 1)


def _colour_moments(image: Tensor, opacity: Tensor | None) -> tuple[Tensor, Tensor]:
    """Compute the mean, (B, 3, 1), and covariance, (B, 3, 3), over the pixels, in float64."""
    flat = image.double().flatten(2)
    share = torch.ones_like(flat[:1, :1]) if opacity is None else opacity.double().flatten(2)
    share = share / share.sum().clamp_min(1e-12)  # if all is invisible, any colours will do
    mean = (flat * share).sum(2, keepdim=True)
    centred = flat - mean
    return mean, (centred * share) @ centred.transpose(1, 2)


def _check(image: Tensor, opacity: Tensor | None = None) -> None:
    if not image.is_floating_point():
        raise TypeError(f"expected pictures in floating point, in [0, 1], got {image.dtype}")
    if image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"expected pictures of shape (B, 3, H, W), got {tuple(image.shape)}")
    if opacity is not None and opacity.shape != (1, 1, *image.shape[-2:]):
        raise ValueError(f"expected an opacity of shape {(1, 1, *image.shape[-2:])}, got {tuple(opacity.shape)}")


def _power(covariance: Tensor, exponent: float) -> Tensor:
    """Raise symmetric matrices to a power. Grey pictures vary only along the grey axis: a floor keeps the inverse finite."""
    values, vectors = torch.linalg.eigh(covariance)
    power: Tensor = vectors @ torch.diag_embed(values.clamp_min(1e-5) ** exponent) @ vectors.transpose(1, 2)
    return power
