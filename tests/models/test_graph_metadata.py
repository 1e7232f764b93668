"""What exported graphs say of themselves is what the model has."""

from __future__ import annotations

import json

from nst_adain.models.architecture import Architecture
from nst_adain.models.graph_metadata import RECIPE, metadata, numbers, tensors

ARCH = Architecture(modulation=48)


def test_numbers_are_those_of_the_architecture() -> None:
    found = numbers(ARCH, True, 64)
    assert found["taps"] == {
        "relu1_1": {"channels": 32, "stride": 2},
        "relu2_1": {"channels": 64, "stride": 4},
        "relu3_2": {"channels": 128, "stride": 8},
    }
    assert (found["code_channels"], found["halo"], found["boldness"]) == (544, 64, 0.4)
    assert numbers(ARCH, False, 64)["boldness"] is None
    entries = metadata(ARCH, True, 64)
    assert json.loads(entries["nst_adain.numbers"]) == found
    assert entries["nst_adain.recipe"] == RECIPE


def test_every_tap_is_described() -> None:
    assert tensors(ARCH)["relu2_1"] == "features, (B, 64, H / 4, W / 4)"
    assert set(ARCH.taps) < tensors(ARCH).keys()
