"""Published networks to be timed beside ours, in plain torch, with random weights: time does not depend on them."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nst_adain.functional import ChannelStats, adain, channel_stats
from nst_adain.models.architecture import Architecture
from nst_adain.models.networks import StyleTransfer

__all__ = ["MicroAST", "published_vgg"]

_CHANNELS = (16, 32, 64)  # at full, half and quarter resolution


def published_vgg() -> StyleTransfer:
    """Encoder and decoder of Huang & Belongie 2017: VGG-19 at full width."""
    return StyleTransfer(Architecture("vgg19", 1.0, ("relu4_1",)))


class MicroAST(nn.Module):
    """The layers of MicroAST (Wang et al. 2023, https://arxiv.org/abs/2211.15313), 0.47 M parameters.

    Two encoders alike for content and style: a 9 x 9 convolution, two depthwise-separable ones of stride 2, two residual
    blocks. Their outputs are AdaIN's statistics, and through a modulator the scales and shifts of the decoder's blocks. The
    decoder mirrors the encoder.
    """

    def __init__(self) -> None:
        super().__init__()
        self.content_encoder, self.style_encoder = _Encoder(), _Encoder()
        # For each of the two blocks, what scales and what shifts.
        self.modulators = nn.ModuleList(_conv(_CHANNELS[2], _CHANNELS[2], 3, groups=_CHANNELS[2]) for _ in range(4))
        self.blocks = nn.ModuleList(_Residual(_CHANNELS[2]) for _ in range(2))
        full, half, quarter = _CHANNELS
        self.upwards = nn.ModuleList(
            [
                nn.Sequential(_conv(quarter, half, 3, groups=half), nn.ReLU(), _conv(half, half, 1), nn.ReLU()),
                nn.Sequential(_conv(half, full, 3, groups=full), nn.ReLU(), _conv(full, full, 1), nn.ReLU()),
            ]
        )
        self.output = _conv(full, 3, 9)

    def code(self, style: Tensor) -> list[tuple[ChannelStats, Tensor, Tensor]]:
        """What the decoder's two blocks are given of a style, first to last: statistics, scale and shift."""
        features = self.style_encoder(style)
        signals = [modulator(features[i // 2]).mean((2, 3), keepdim=True) for i, modulator in enumerate(self.modulators)]
        return [(channel_stats(features[i]), signals[2 * i], signals[2 * i + 1]) for i in (1, 0)]

    def decode(self, x: Tensor, code: list[tuple[ChannelStats, Tensor, Tensor]]) -> Tensor:
        """(B, 64, H / 4, W / 4) features of the content to (B, 3, H, W)."""
        for block, (stats, scale, shift) in zip(self.blocks, code):
            x = block(adain(x, channel_stats(x), stats), scale, shift)
        for layers in self.upwards:
            x = layers(F.interpolate(x, scale_factor=2.0, mode="bilinear"))
        picture: Tensor = self.output(x)
        return picture

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """(B, 3, H, W) pictures, sides multiples of 4, to a picture of the content's size."""
        return self.decode(self.content_encoder(content)[1], self.code(style))


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        full, half, quarter = _CHANNELS
        self.down = nn.Sequential(
            *(_conv(3, full, 9), nn.ReLU()),
            *(_conv(full, half, 3, 2, groups=full), nn.ReLU(), _conv(half, half, 1), nn.ReLU()),
            *(_conv(half, quarter, 3, 2, groups=half), nn.ReLU(), _conv(quarter, quarter, 1), nn.ReLU()),
        )
        self.blocks = nn.ModuleList(_Residual(quarter) for _ in range(2))

    def forward(self, image: Tensor) -> list[Tensor]:
        shallow = self.blocks[0](self.down(image))
        return [shallow, self.blocks[1](shallow)]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _conv(channels, channels, 3), _conv(channels, channels, 3)

    def forward(self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None) -> Tensor:
        if scale is None or shift is None:
            return x + self.second(F.relu(self.first(x)))
        inner = F.relu(scale * self.first(x) + shift * x)
        return x + scale * self.second(inner) + shift * inner


def _conv(channels_in: int, channels_out: int, side: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, side, stride, side // 2, groups=groups, padding_mode="reflect")
