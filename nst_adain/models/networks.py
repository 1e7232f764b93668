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

import functools
import hashlib
import itertools
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_adain.functional import ChannelStats, channel_stats, strengthen
from nst_adain.models.architecture import STRIDE, Architecture, find_topology
from nst_adain.models.convolution import Conv3x3
from nst_adain.models.modulator import Modulator
from nst_adain.models.strips import Rows, in_strips
from nst_adain.models.stylised import Code, Lazy, Stylised

__all__ = ["Decoder", "Encoder", "StyleTransfer", "pad_to_stride"]


class Encoder(nn.Module):
    """Encodes pictures by VGG up to its fourth stage, or by another topology, with named layers.

    Input: (B, 3, H, W), RGB in [0, 1], H and W at least 16 and multiples of the topology's patch. Any normalisation is part
    of conv1_1's weights.
    """

    def __init__(self, topology: str = "vgg19", width: float = 1.0) -> None:
        super().__init__()
        self.plan = find_topology(topology)
        self.layers = self.plan.encoder_layers(width)
        self.names = list(self.layers)
        for name, (channels_in, channels_out) in self.layers.items():
            self.add_module(name, Conv3x3(channels_in, channels_out))

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Return the layers that can be tapped, such as relu1_1: (B, C, H / stride, W / stride), rounded down."""
        taps = {}
        patch = self.plan.patch
        for tap, names in zip(self.plan.layers, _stages(self.names)):
            height, width = (side // patch for side in x.shape[2:])
            stage = functools.partial(self._stage, names, tap, x, patch)
            weight = self.get_submodule(names[0]).get_parameter("weight")
            taps[tap], *pooled = in_strips(height, x.shape[0] * self.layers[names[-1]][1] * width, stage, x, weight)
            x, patch = pooled[0] if pooled else x, 1
        return taps

    def _stage(self, names: Sequence[str], tap: str, x: Tensor, patch: int, rows: Rows) -> tuple[Tensor, ...]:
        """Return the rows of a stage's layer `tap`, and of its pooled output unless it is the last."""
        seen, last = rows.around(len(names)), tap == self.plan.layers[-1]
        x = x[:, :, patch * seen.first : patch * seen.end]
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self.get_submodule(names[0]).get_parameter("weight").dtype)  # at once, so that less is moved
        x = F.pixel_unshuffle(x, patch) if patch > 1 else x
        for name in names:
            x, seen = self.get_submodule(name)(x, edges=seen.edges), seen.convolved()
            tapped, pooled = name.replace("conv", "relu") == tap, name == names[-1] and not last
            if pooled and not tapped:
                x = F.max_pool2d(seen.cut(x, rows), 2)  # pool first: the ReLU gives the same, in a quarter of the work
            x = F.relu_(x)
            if tapped:
                kept = seen.cut(x, rows)
                x = F.max_pool2d(kept, 2) if pooled else x
        return (kept,) if last else (kept, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the deepest layer, relu4_1 of VGG: (B, C, H / 8, W / 8), rounded down."""
        return self.features(x)[self.plan.layers[-1]]


class Decoder(nn.Module):
    """Runs the stages backwards: pooling becomes nearest upsampling, and no layer normalises (paper, section 7.1)."""

    def __init__(self, topology: str = "vgg19", width: float = 1.0) -> None:
        super().__init__()
        self.plan = find_topology(topology)
        self.layers = self.plan.decoder_layers(width)
        self.names = list(self.layers)
        for name, (channels_in, channels_out) in self.layers.items():
            self.add_module(name, Conv3x3(channels_in, channels_out))
        # Start all pixels of a patch alike, or early pictures would show a grid (Aitken et al. 2017, arXiv 1707.02937).
        last = self.get_submodule(self.names[-1]).get_parameter("weight")
        last.data.copy_(last.data[:3].repeat_interleave(self.plan.patch**2, dim=0))

    def forward(self, features: Mapping[str, Tensor], modulation: Mapping[str, Code] | None = None) -> Tensor:
        """Decode features to a picture.

        Args:
            features: the deepest layer, (B, C, H, W), and perhaps others, such as relu2_1, which are added where the decoder
                reaches their resolution: (B, C_k, H * 2**k, W * 2**k), k stages before the last.
            modulation: for each layer but the last, by name, the scale (`std`) and then the shift (`mean`) of its channels
                before the ReLU: (B or 1, C, 1, 1), or maps of the layer's resolution; None: neither.

        Returns:
            (B, 3, 8 H, 8 W), RGB, nominally in [0, 1], not clamped.
        """
        x: Tensor = features[self.plan.layers[-1]][:, :, :]
        for names in _stages(self.names):
            scale = 1 if names[0] == self.names[0] else 2
            skip = None if scale == 1 else features.get(f"relu{names[0][4]}_1")
            codes = None if modulation is None else {name: modulation[name] for name in names if name != "conv1_1"}
            height, width = (scale * side for side in x.shape[2:])
            stage = functools.partial(self._stage, names, x, scale, skip, codes)
            weight: Tensor = self.get_submodule(names[0]).weight  # type: ignore[assignment]  # no parameter where weights are mixed
            (x,) = in_strips(height, x.shape[0] * self.layers[names[0]][0] * width, stage, x, weight)
        return x

    def _stage(
        self,
        names: Sequence[str],
        x: Tensor,
        scale: int,
        skip: Tensor | None,
        modulation: Mapping[str, Code] | None,
        rows: Rows,
    ) -> tuple[Tensor]:
        """Return the rows of what a stage makes of the output of the stage below it, enlarged by `scale`, and of a `skip`."""
        seen = rows.around(len(names))
        if scale > 1:
            first = seen.first // scale
            x = F.interpolate(x[:, :, first : -(-seen.end // scale)], scale_factor=2.0, mode="nearest")
            x = x[:, :, seen.first - scale * first :][:, :, : seen.end - seen.first]
        else:
            x = x[:, :, seen.first : seen.end]
        x = x if skip is None else x.add_(skip[:, :, seen.first : seen.end])
        for name in names:
            conv, edges, seen = self.get_submodule(name), seen.edges, seen.convolved()
            if name == "conv1_1":
                x = conv(x, edges=edges)
            else:
                x = F.relu_(conv(x, None if modulation is None else modulation[name].rows(seen.first, seen.end), edges))
        x = seen.cut(x, rows)
        return (_shuffle(x, self.plan.patch) if name == "conv1_1" and self.plan.patch > 1 else x,)


def _stages(names: Sequence[str]) -> list[list[str]]:
    """Group the names of convolutions by stage."""
    return [list(group) for _, group in itertools.groupby(names, key=lambda name: name[4])]


def _shuffle(x: Tensor, side: int) -> Tensor:
    """Do `F.pixel_shuffle(x, side)` in half the time for an input in channels_last."""
    batch, channels, height, width = x.shape
    pixels = x.view(batch, channels // side**2, side, side, height, width).permute(0, 1, 4, 2, 5, 3)
    return pixels.reshape(batch, channels // side**2, height * side, width * side)


class StyleTransfer(nn.Module):
    """Joins an encoder, AdaIN at its taps, and a decoder: content and style pictures in, a picture out."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        self.encoder = Encoder(arch.topology, arch.width)
        self.decoder = Decoder(arch.topology, arch.width)
        channels, modulated = sum(arch.tap_channels), sum(arch.code_channels.values()) - sum(arch.tap_channels)
        self.modulator = Modulator(channels, arch.modulation, modulated) if arch.modulation else None
        # Weights of the decoder and the modulator trained on for bolder strokes, by name; empty: there are none.
        self.bold: Mapping[str, Tensor] = {}

    def halve(self) -> StyleTransfer:
        """Change the convolutions to bfloat16, and return the model itself.

        Statistics, AdaIN and the modulator stay in float32, and so does the bias of the layer that gives the picture.
        """
        self.encoder.bfloat16()
        for name in self.decoder.names:
            conv = self.decoder.get_submodule(name)
            bias = conv.bias.data
            conv.bfloat16()
        conv.bias.data = bias
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

    def decode(self, features: Mapping[str, Tensor], content: Mapping[str, Code], target: Mapping[str, Code]) -> Tensor:
        """Give the content's features another style and decode them: (B, 3, 8 H, 8 W) for deepest features of H x W.

        Args:
            features: what `encode` returned.
            content: the content's code, cut up by `Architecture.split`: each part (B, C_k, 1, 1), or maps
                (B, C_k, H_k, W_k).
            target: the code that the picture gets, in the same form.
        """

        def stylised(tap: str) -> Stylised:
            return Stylised(features[tap], content[tap], target[tap])

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


def pad_to_stride(image: Tensor) -> Tensor:
    """Repeat the right and bottom edge of (B, 3, H, W) until both sides are multiples of 8 and at least 16."""
    height, width = image.shape[-2:]
    bottom, right = (max(2 * STRIDE, -(-n // STRIDE) * STRIDE) - n for n in (height, width))
    return F.pad(image, (0, right, 0, bottom), mode="replicate") if bottom or right else image
