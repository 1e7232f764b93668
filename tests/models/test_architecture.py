"""What a network is made of, told before it is made: layers, strides, shapes, and what cannot be."""

from __future__ import annotations

import pytest
import torch

from nst_adain.models.architecture import STRIDE, TOPOLOGIES, Architecture, find_topology
from nst_adain.models.networks import Encoder, StyleTransfer


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"topology": "vgg11"}, r"topology: expected one of \['compact', 'vgg16', 'vgg19'\], got 'vgg11'"),
        ({"width": 0}, "width: expected .* got 0"),
        ({"modulation": -1}, "modulation: expected .* got -1"),
        ({"taps": ("relu2_1",)}, r"relu3_2 among them, got \['relu2_1'\]"),
        ({"taps": ("relu3_2", "relu2_1")}, "in this order"),
        ({"taps": ("relu5_1", "relu3_2")}, "taps: expected"),
        ({"topology": "vgg19", "taps": ("relu3_2",)}, r"taps: expected layers of .* relu4_1 in this order, relu4_1 among them"),
    ],
)
def test_impossible_architectures_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Architecture(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_every_topology_has_one_position_for_8_x_8_pixels(topology: str) -> None:
    arch = Architecture(topology, 1 / 16)
    with torch.inference_mode():
        features = Encoder(topology, 1 / 16).features(torch.rand(1, 3, 64, 48))
    assert list(features) == list(arch.taps)
    for (layer, x), channels in zip(features.items(), arch.tap_channels):
        assert x.shape == (1, channels, 64 // arch.plan.stride_of(layer), 48 // arch.plan.stride_of(layer))
    assert arch.plan.stride_of(arch.taps[-1]) == STRIDE


@pytest.mark.parametrize("topology", sorted(TOPOLOGIES))
@pytest.mark.parametrize(("width", "modulation"), [(1 / 32, 0), (1 / 7, 3)])
def test_an_architecture_knows_the_shapes_of_its_tensors(topology: str, width: float, modulation: int) -> None:
    for taps in ((), find_topology(topology).layers[-1:]):
        arch = Architecture(topology, width, taps, modulation)
        assert {name: tuple(value.shape) for name, value in StyleTransfer(arch).state_dict().items()} == arch.shapes
