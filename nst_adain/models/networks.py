"""Defines the networks: a VGG-style encoder, a decoder that mirrors it, and AdaIN between them.

- Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556: the encoder's topology (VGG-16 and VGG-19)
- Huang & Belongie 2017, https://arxiv.org/abs/1703.06868: AdaIN at relu4_1 and the mirrored decoder

Departures from the paper:

- A compact topology: the picture enters and leaves as patches of 2 x 2 pixels with 12 channels (Shi et al. 2016,
  https://arxiv.org/abs/1609.05158), so that no convolution works at full resolution, where small networks have the most
  positions and the fewest channels. The same small encoder, trained here, reads content and style.
- AdaIN at several layers: beside the deepest layer, the small models also normalise the first layer of the stages before
  it, and add them to the decoder's features of the same resolution. So the picture keeps its outlines although
  1/8-resolution features cannot carry them.
- Modulation: a small network predicts, from the style's statistics, a scale and a shift for each channel of the
  decoder's layers, so that the strokes the decoder draws depend on the style. Karras et al. 2019,
  https://arxiv.org/abs/1812.04948, do so for generators. Style still enters only as channel statistics.
- Any picture size: the input is padded to a multiple of 8 by repeating its edge, the output is cropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_adain.functional import ChannelStats, adain, channel_stats, strengthen
from nst_adain.models.architecture import STRIDE, Architecture, find_topology
from nst_adain.models.convolution import Conv3x3

__all__ = ["Decoder", "Encoder", "Lazy", "Modulator", "StyleTransfer", "Value", "pad_to_stride"]

Value = TypeVar("Value")


class Encoder(nn.Module):
    """Encodes pictures by VGG up to its fourth stage, or by another topology, with named layers.

    Input: (B, 3, H, W), RGB in [0, 1], H and W at least 16 and multiples of the topology's patch. Any normalisation is part
    of conv1_1's weights.
    """

    def __init__(self, topology: str = "vgg19", width: float = 1.0) -> None:
        super().__init__()
        self.plan = find_topology(topology)
        layers = self.plan.encoder_layers(width)
        self.names = list(layers)
        for name, (channels_in, channels_out) in layers.items():
            self.add_module(name, Conv3x3(channels_in, channels_out))

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Return the layers that can be tapped, such as relu1_1: (B, C, H / stride, W / stride), rounded down."""
        taps = {}
        if self.plan.patch > 1:
            x = F.pixel_unshuffle(x, self.plan.patch)
        for name, following in zip(self.names, [*self.names[1:], ""]):
            x = self.get_submodule(name)(x)
            layer, last_of_stage = name.replace("conv", "relu"), following.endswith("_1")
            if last_of_stage and layer not in self.plan.layers:
                x = F.max_pool2d(x, 2)  # pool first: the result is the same, and the ReLU has a quarter of the work
            x = F.relu_(x)
            if layer in self.plan.layers:
                taps[layer] = x
                x = F.max_pool2d(x, 2) if last_of_stage else x
        return taps

    def forward(self, x: Tensor) -> Tensor:
        """Return the deepest layer, relu4_1 of VGG: (B, C, H / 8, W / 8), rounded down."""
        return self.features(x)[self.plan.layers[-1]]


class Decoder(nn.Module):
    """Runs the stages backwards: pooling becomes nearest upsampling, and no layer normalises (paper, section 7.1)."""

    def __init__(self, topology: str = "vgg19", width: float = 1.0) -> None:
        super().__init__()
        self.plan = find_topology(topology)
        layers = self.plan.decoder_layers(width)
        self.names = list(layers)
        for name, (channels_in, channels_out) in layers.items():
            self.add_module(name, Conv3x3(channels_in, channels_out))
        # Start all pixels of a patch alike, or early pictures would show a grid (Aitken et al. 2017, arXiv 1707.02937).
        last = self.get_submodule(self.names[-1]).get_parameter("weight")
        last.data.copy_(last.data[:3].repeat_interleave(self.plan.patch**2, dim=0))

    def forward(self, features: Mapping[str, Tensor], modulation: Mapping[str, ChannelStats] | None = None) -> Tensor:
        """Decode features to a picture.

        Args:
            features: the deepest layer, (B, C, H, W), and perhaps others, such as relu2_1, which are added where the decoder
                reaches their resolution: (B, C_k, H * 2**k, W * 2**k), k stages before the last.
            modulation: for each layer but the last, by name, the scale (`std`) and then the shift (`mean`) of its channels
                before the ReLU: (B or 1, C, 1, 1), or maps of the layer's resolution; None: neither.

        Returns:
            (B, 3, 8 H, 8 W), RGB, nominally in [0, 1], not clamped.
        """
        x = features[self.plan.layers[-1]]
        stage = self.names[0][4]
        for name in self.names:
            conv = self.get_submodule(name)
            if name[4] != stage:
                stage = name[4]
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
                skip = features.get(f"relu{stage}_1")
                x = x if skip is None else x.add_(skip)
            if name == "conv1_1":
                break
            x = F.relu_(conv(x, None if modulation is None else modulation[name]))
        picture: Tensor = conv(x)
        return picture if self.plan.patch == 1 else _shuffle(picture, self.plan.patch)


def _shuffle(x: Tensor, side: int) -> Tensor:
    """Do `F.pixel_shuffle(x, side)` in half the time for an input in channels_last."""
    batch, channels, height, width = x.shape
    pixels = x.view(batch, channels // side**2, side, side, height, width).permute(0, 1, 4, 2, 5, 3)
    return pixels.reshape(batch, channels // side**2, height * side, width * side)


class Modulator(nn.Module):
    """Predicts scales and shifts of the decoder's channels from the statistics of a style."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        codes = sum(arch.code_channels.values()) - sum(arch.tap_channels)
        self.hidden = nn.Linear(2 * sum(arch.tap_channels), arch.modulation)
        self.output = nn.Linear(arch.modulation, 2 * codes)
        # It changes nothing at first, so it can be added to a trained decoder.
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, stats: ChannelStats) -> ChannelStats:
        """Turn (B, C, 1, 1) statistics of all taps into (B, D, 1, 1): the shifts as `mean`, the scales as `std`."""
        code = torch.cat([stats.mean, stats.std], 1).flatten(1).to(self.hidden.weight.dtype)
        code = self.output(F.relu(self.hidden(code)))
        shift, scale = code[..., None, None].float().chunk(2, dim=1)
        # A scale below 0, predicted for styles unlike any in training, would turn the channel into its negative.
        return ChannelStats(shift, (1 + scale).clamp_min(0))


class StyleTransfer(nn.Module):
    """Joins an encoder, AdaIN at its taps, and a decoder: content and style pictures in, a picture out."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        self.encoder = Encoder(arch.topology, arch.width)
        self.decoder = Decoder(arch.topology, arch.width)
        self.modulator = Modulator(arch) if arch.modulation else None
        # Weights of the decoder and the modulator trained on for bolder strokes, by name; empty: there are none.
        self.bold: Mapping[str, Tensor] = {}

    def halve(self) -> StyleTransfer:
        """Change the convolutions to bfloat16, and return the model itself.

        The last one stays in float32, or the picture would show steps; so do statistics, AdaIN and the modulator.
        """
        self.encoder.bfloat16()
        for name in self.decoder.names[:-1]:
            self.decoder.get_submodule(name).bfloat16()
        return self

    def fingerprint(self, *, decoder: bool = False) -> str:
        """Hash the weights that make codes, those of encoder and modulator; call it before `halve`.

        Args:
            decoder: hash the decoder's weights instead, and those of the bold end.
        """
        digest = hashlib.sha256()
        weights = [part for name, part in self.state_dict().items() if name.startswith("decoder.") == decoder]
        for part in [*weights, *(self.bold.values() if decoder else ())]:
            digest.update(part.detach().float().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def encode(self, image: Tensor) -> dict[str, Tensor]:
        """Compute the features at the taps of (B, 3, H, W) pictures in [0, 1], any H and W from 1."""
        features = self.encoder.features(pad_to_stride(image))
        return {tap: features[tap] for tap in self.arch.taps}

    def code(self, features: Mapping[str, Tensor]) -> ChannelStats:
        """Compute a picture's code, all that is kept of its style, from the features of `encode`: see `extend`."""
        return self.extend(ChannelStats.cat([channel_stats(features[tap]) for tap in self.arch.taps]))

    def extend(self, stats: ChannelStats) -> ChannelStats:
        """Append the modulation of the decoder's layers to the statistics of all taps.

        Scales and shifts are predicted for each style alone, then mixed, masked and extrapolated like the statistics.
        """
        return stats if self.modulator is None else ChannelStats.cat([stats, self.modulator(stats)])

    def modulated(self, code: ChannelStats) -> ChannelStats:
        """Predict the modulation in a code anew, by this model: it may be that of another boldness."""
        taps = sum(self.arch.tap_channels)
        return self.extend(ChannelStats(code.mean[:, :taps], code.std[:, :taps], code.made_by))

    def decode(
        self, features: Mapping[str, Tensor], content: Mapping[str, ChannelStats], target: Mapping[str, ChannelStats]
    ) -> Tensor:
        """Give the content's features another style and decode them: (B, 3, 8 H, 8 W) for deepest features of H x W.

        Args:
            features: what `encode` returned.
            content: the content's code, cut up by `Architecture.split`: each part (B, C_k, 1, 1), or maps
                (B, C_k, H_k, W_k).
            target: the code that the picture gets, in the same form.
        """

        def stylised(tap: str) -> Tensor:
            return adain(features[tap], content[tap], target[tap]).to(features[tap].dtype)

        picture: Tensor = self.decoder(Lazy(self.arch.taps, stylised), None if self.modulator is None else target)
        return picture

    def forward(self, content: Tensor, style: Tensor, alpha: float | Tensor = 1.0) -> Tensor:
        """Stylise a batch.

        Args:
            content: (B, 3, H, W), RGB in [0, 1].
            style: (B or 1, 3, any, any), RGB in [0, 1].
            alpha: strength; 0 encodes and decodes the content, above 1 extrapolates (paper, equation 14). A tensor (B, 1, 1, 1)
                holds one for each picture.

        Returns:
            (B, 3, H, W), nominally in [0, 1], not clamped.
        """
        features = self.encode(content)
        content_stats = self.code(features)
        target = self.code(self.encode(style))
        if isinstance(alpha, Tensor) or alpha != 1.0:
            target = strengthen(content_stats, target, alpha)
        return self.decode(features, self.arch.split(content_stats), self.arch.split(target))[
            ..., : content.shape[-2], : content.shape[-1]
        ]


class Lazy(Mapping[str, Value]):
    """Maps layers to values that are made on access, so that only one at a time is in memory, even for large pictures."""

    def __init__(self, layers: Collection[str], make: Callable[[str], Value]) -> None:
        self.layers, self.make = layers, make

    def __getitem__(self, layer: str) -> Value:
        if layer not in self.layers:
            raise KeyError(layer)
        return self.make(layer)

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)


def pad_to_stride(image: Tensor) -> Tensor:
    """Repeat the right and bottom edge of (B, 3, H, W) until both sides are multiples of 8 and at least 16."""
    height, width = image.shape[-2:]
    bottom, right = (max(2 * STRIDE, -(-n // STRIDE) * STRIDE) - n for n in (height, width))
    return F.pad(image, (0, right, 0, bottom), mode="replicate") if bottom or right else image
