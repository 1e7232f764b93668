"""What the trained networks are asked for: pure functions of features of a loss network.

Huang & Belongie 2017, https://arxiv.org/abs/1703.06868, equations 12 and 13; Gatys et al. 2016 for Gram matrices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_adain.functional import at_least_float32, channel_stats
from nst_adain.models.architecture import LAYERS
from nst_adain.models.networks import Encoder
from nst_adain.models.pretrained import load_encoder

__all__ = ["content_loss", "gram_matrix", "grid_energy", "load_teacher", "palette_loss", "style_loss", "style_targets",
           "total_variation"]  # fmt: skip


def load_teacher(path: Path) -> Encoder:
    """The loss network, frozen.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no encoder with relu1_1 to relu4_1.
    """
    teacher = load_encoder(path).eval().requires_grad_(False)
    if teacher.plan.layers != LAYERS:
        found = f"found one with {', '.join(teacher.plan.layers)}"
        raise ValueError(f"{path}: expected a loss network with {', '.join(LAYERS)}, {found}")
    return teacher


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of features of one shape (equation 12, as a mean)."""
    return F.mse_loss(at_least_float32(features), at_least_float32(target))


def gram_matrix(features: Tensor) -> Tensor:
    """Inner products of the channels: (B, C, H, W) to (B, C, C), divided by H W."""
    flat = at_least_float32(features).flatten(2)
    with torch.autocast(features.device.type, enabled=False):
        return flat @ flat.transpose(1, 2) / flat.shape[2]


def style_targets(features: Mapping[str, Tensor], layers: Sequence[str], kind: str) -> dict[str, tuple[Tensor, ...]]:
    """What `style_loss` compares at each layer.

    Args:
        features: (B, C, H, W) by layer.
        layers: which of them.
        kind: "moments": the pair (means, standard deviations), (B, C) each; "gram": one Gram matrix, (B, C, C).
    """
    if kind == "gram":
        return {layer: (gram_matrix(features[layer]),) for layer in layers}
    if kind != "moments":
        raise ValueError(f"kind: expected 'moments' or 'gram', got {kind!r}")
    stats = {layer: channel_stats(features[layer]) for layer in layers}
    return {layer: (s.mean.flatten(1), s.std.flatten(1)) for layer, s in stats.items()}


def style_loss(targets: Mapping[str, tuple[Tensor, ...]], wanted: Mapping[str, tuple[Tensor, ...]]) -> Tensor:
    """Sum over layers of the mean squared errors of what `style_targets` returned.

    With moments, MSE(means) + MSE(standard deviations): equation 13 with means over channels for sums, so that each
    layer counts alike whatever its width.
    """
    return torch.stack([F.mse_loss(got, want) for key in wanted for got, want in zip(targets[key], wanted[key])]).sum()


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels of (B, 3, H, W)."""
    return (image.diff(dim=-1) ** 2).mean() + (image.diff(dim=-2) ** 2).mean()


def grid_energy(image: Tensor, period: int) -> Tensor:
    """Variance within the mean of all whole `period` x `period` tiles of (B, 3, H, W): a grid has it, texture not."""
    height, width = (side - side % period for side in image.shape[-2:])
    tiles = F.pixel_unshuffle(image[..., :height, :width], period).mean((2, 3)).unflatten(1, (image.shape[1], -1))
    return tiles.var(2, correction=0).mean()


def palette_loss(images: Tensor, styles: Tensor) -> Tensor:
    """Squared sliced Wasserstein distance (Bonneel et al. 2015) of the colours of (B, 3, H, W) to those of the same shape.

    Along random directions through the colour cube, other ones each time; of a quarter of the pixels, the means of 2 x 2.
    """
    directions = F.normalize(torch.randn(3, 16, device=images.device), dim=0)
    one, other = (F.avg_pool2d(x.float(), 2).flatten(2).transpose(1, 2) @ directions for x in (images, styles))
    return F.mse_loss(one.sort(1).values, other.sort(1).values)
