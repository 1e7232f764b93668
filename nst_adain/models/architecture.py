"""Describes the networks as data: which convolutions, with how many channels, and where AdaIN acts between them."""

from __future__ import annotations

import dataclasses

from nst_adain.errors import UsageError
from nst_adain.functional import ChannelStats

__all__ = ["LARGEST_MODULATION", "LAYERS", "STRIDE", "TOPOLOGIES", "Architecture", "Topology", "find_topology"]

STRIDE = 8  # pixels of the picture per position of the deepest layer
LARGEST_MODULATION = 2**16  # hidden units; the models that ship have 48 and 96


@dataclasses.dataclass(frozen=True)
class Topology:
    """Plans an encoder and its decoder: stages joined by 2 x 2 max pooling, and by upsampling on the way back.

    Attributes:
        channels: channels of each stage at width 1.
        encoder: convolutions in each stage of the encoder. It reads two pictures, so its convolutions cost twice as much.
        decoder: convolutions in each stage of the decoder.
        patch: side in pixels of the squares that form one position of the first stage (pixel unshuffle; shuffle at the end).
    """

    channels: tuple[int, ...]
    encoder: tuple[int, ...]
    decoder: tuple[int, ...]
    patch: int = 1

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that can be tapped: the first one of each stage, but the last one of the last stage, the deepest."""
        last = len(self.encoder)
        return (*(f"relu{stage}_1" for stage in range(1, last)), f"relu{last}_{self.encoder[-1]}")

    def stride_of(self, layer: str) -> int:
        """Return the pixels of the picture per position of a layer's output: 4 for relu3_1 and conv3_2 of VGG."""
        return self.patch << (int(layer[4]) - 1)

    def reach_of(self, layer: str) -> int:
        """Count the pixels that a position of an encoder's layer sees on each side beyond its own square of `stride_of` pixels.

        Each 3 x 3 convolution sees one more position of its stage; pooling and patches stay within the position's own square.
        """
        stage, index = int(layer[4]), int(layer[6:])
        counts = (*self.encoder[: stage - 1], index)
        return sum(self.stride_of(below) * count for below, count in zip(self.layers, counts))

    def widths(self, width: float) -> tuple[int, ...]:
        """Return the channels of the stages, scaled by `width`."""
        return tuple(max(1, round(c * width)) for c in self.channels)

    def encoder_layers(self, width: float) -> dict[str, tuple[int, int]]:
        """Return the input and output channels of the encoder's convolutions, first to last."""
        layers, below = {}, 3 * self.patch**2
        for stage, (count, channels) in enumerate(zip(self.encoder, self.widths(width)), start=1):
            for index in range(1, count + 1):
                layers[f"conv{stage}_{index}"] = (below, channels)
                below = channels
        return layers

    def decoder_layers(self, width: float) -> dict[str, tuple[int, int]]:
        """Return the input and output channels of the decoder's convolutions, first to last: stages and numbers count down."""
        layers = {}
        below = (3 * self.patch**2, *self.widths(width))
        for stage in range(len(self.channels), 0, -1):
            channels = below[stage]
            for index in range(self.decoder[stage - 1], 0, -1):
                layers[f"conv{stage}_{index}"] = (channels, below[stage - 1] if index == 1 else channels)
        return layers


TOPOLOGIES = {
    "vgg16": Topology((64, 128, 256, 512), (2, 2, 3, 1), (2, 2, 3, 1)),
    "vgg19": Topology((64, 128, 256, 512), (2, 2, 4, 1), (2, 2, 4, 1)),
    "compact": Topology((32, 64, 128), (1, 1, 2), (2, 2, 2), patch=2),
}
LAYERS = TOPOLOGIES["vgg19"].layers  # relu1_1, relu2_1, relu3_1, relu4_1: those of the loss network


def find_topology(name: str) -> Topology:
    """Return the topology of this name.

    Raises:
        ValueError: if `TOPOLOGIES` has no such name.
    """
    if name not in TOPOLOGIES:
        raise UsageError(f"topology: expected one of {sorted(TOPOLOGIES)}, got {name!r}")
    return TOPOLOGIES[name]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """Holds everything needed to build a model; stored in the metadata of its weights.

    Attributes:
        topology: a key of `TOPOLOGIES`.
        width: channels as a fraction of the topology's.
        taps: the layers at which AdaIN acts, shallow to deep, including the deepest; empty: all that can be tapped.
        modulation: hidden units of the network that modulates the decoder; 0: no such network.
    """

    topology: str = "compact"
    width: float = 1.0
    taps: tuple[str, ...] = ()
    modulation: int = 0

    def __post_init__(self) -> None:
        layers = find_topology(self.topology).layers
        if isinstance(self.width, bool) or not 0 < self.width <= 4:
            raise UsageError(f"width: expected a fraction of the topology's channels above 0 and at most 4, got {self.width}")
        if not self.taps:
            object.__setattr__(self, "taps", layers)
        if list(self.taps) != [t for t in layers if t in self.taps] or layers[-1] not in self.taps:
            raise UsageError(
                f"taps: expected layers of {', '.join(layers)} in this order, {layers[-1]} among them, got {list(self.taps)}"
            )
        if type(self.modulation) is not int or not 0 <= self.modulation <= LARGEST_MODULATION:  # refuses a bool too
            limits = f"from 0 to {LARGEST_MODULATION:,}"
            raise UsageError(f"modulation: expected a number of hidden units {limits}, got {self.modulation!r}")

    @property
    def plan(self) -> Topology:
        """The topology."""
        return find_topology(self.topology)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the stages."""
        return self.plan.widths(self.width)

    @property
    def tap_channels(self) -> list[int]:
        """Channels of the taps."""
        return [self.channels[int(tap[4]) - 1] for tap in self.taps]

    @property
    def code_channels(self) -> dict[str, int]:
        """The layers where style enters, with their channels: the taps, then the decoder's modulated layers."""
        taps = dict(zip(self.taps, self.tap_channels))
        if not self.modulation:
            return taps
        return taps | {name: out for name, (_, out) in self.plan.decoder_layers(self.width).items() if name != "conv1_1"}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of a model's tensors, to check a file before building a model."""
        plan, shapes = self.plan, dict[str, tuple[int, ...]]()
        for part, layers in (("encoder", plan.encoder_layers(self.width)), ("decoder", plan.decoder_layers(self.width))):
            for name, (below, out) in layers.items():
                shapes |= {f"{part}.{name}.weight": (out, below, 3, 3), f"{part}.{name}.bias": (out,)}
        if self.modulation:
            taps = 2 * sum(self.tap_channels)
            codes = 2 * sum(self.code_channels.values()) - taps
            for name, below, out in (("hidden", taps, self.modulation), ("output", self.modulation, codes)):
                shapes |= {f"modulator.{name}.weight": (out, below), f"modulator.{name}.bias": (out,)}
        return shapes

    def split(self, code: ChannelStats) -> dict[str, ChannelStats]:
        """Cut a style's code into the part for each layer.

        Raises:
            ValueError: if the code is from another architecture.
        """
        return dict(zip(self.code_channels, code.split(list(self.code_channels.values()))))
