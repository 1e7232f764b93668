"""Pass 2: masks, strengths that differ by place, and tiles that give the whole picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image
from samples import close

from nst_adain.functional import ChannelStats
from nst_adain.images.inputs import to_tensor
from nst_adain.models.architecture import Architecture
from nst_adain.models.networks import StyleTransfer
from nst_adain.stylizer import Stylizer


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return to_tensor(picture(90, 70, 1))


@pytest.fixture(scope="module")
def styles() -> list[Image.Image]:
    return [picture(64, 50, seed) for seed in (2, 3, 4)]


def test_masks_of_ones_are_no_mask(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    ones = np.ones((5, 5))
    close(slim(photo, styles[0], masks=[ones]), slim(photo, styles[0]), 1e-3)
    close(slim(photo, styles[:2], masks=[ones, ones], weights=[3, 1]), slim(photo, styles[:2], weights=[3, 1]), 1e-3)
    close(slim(photo, styles[:2], masks=[ones]), slim(photo, styles[0]), 1e-3)  # nothing is left for the second


def test_where_no_mask_applies_the_photograph_stays(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    mask = np.zeros((70, 90))
    mask[:, 45:] = 1
    out = slim(photo, styles[0], masks=[mask])
    close(out[..., :45], photo[..., :45])
    assert (out - photo)[..., 45:].abs().mean() > 0.02
    close(slim(photo, styles[0], masks=[np.zeros((2, 2))]), photo)


def test_soft_masks_mix(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    half = np.full((4, 4), 0.5)
    close(slim(photo, styles[:2], masks=[half, half]), slim(photo, styles[:2]), 5e-3)


def test_label_map_equals_its_masks(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    labels = np.zeros((70, 90), np.int64)
    labels[30:, :] = 1
    labels[:, 60:] = 9
    masks = [(labels == k).astype(float) for k in (0, 1)]
    close(slim(photo, styles[:2], masks=labels), slim(photo, styles[:2], masks=masks))


def test_alpha_as_a_mask_is_the_strength_at_each_place(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    close(slim(photo, styles[0], alpha=np.ones((3, 3))), slim(photo, styles[0]))
    close(slim(photo, styles[0], alpha=np.zeros((3, 3))), slim(photo, styles[0], alpha=0))
    close(slim(photo, styles[0], alpha=np.full((3, 3), 0.4)), slim(photo, styles[0], alpha=0.4), 5e-3)


@pytest.fixture(scope="module", params=["slim", "published topology"])
def any_model(request: pytest.FixtureRequest, slim: Stylizer) -> Iterator[Stylizer]:
    if request.param == "slim":
        yield slim
        return
    torch.manual_seed(3)
    model = StyleTransfer(Architecture("vgg19", 1 / 8, ("relu4_1",)))
    with torch.no_grad():
        model.decoder.get_parameter("conv1_1.weight").mul_(0.05)
        model.decoder.get_parameter("conv1_1.bias").fill_(0.5)
    yield Stylizer(model, "cpu", "float32")


@pytest.mark.parametrize("size", [(200, 264), (131, 333), (17, 400), (5, 300), (129, 128)])
def test_tiled_equals_whole(any_model: Stylizer, styles: list[Image.Image], size: tuple[int, int]) -> None:
    photo = torch.rand(1, 3, *size)
    for controls in (
        {},
        {"alpha": 0.6, "weights": [0.5, 0.2, 0.3], "preserve_color": "luminance"},
        {"masks": np.array([[0, 1], [2, 5]]), "alpha": np.linspace(0, 1, 20).reshape(4, 5), "preserve_color": "coral"},
    ):
        whole = any_model(photo, styles, tile=None, **controls)  # type: ignore[arg-type]
        for side in (64, 128):
            tiled = any_model(photo, styles, tile=side, **controls)  # type: ignore[arg-type]
            assert (tiled - whole).abs().max() < 2 / 255


def test_large_pictures_are_tiled_by_themselves(slim: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_adain.rendering.tiling.AUTO_PIXELS", 64 * 64)
    monkeypatch.setattr("nst_adain.rendering.tiling.AUTO_TILE", 64)
    photo = picture(200, 90)
    encoded = slim.encode_content(photo)
    assert encoded.content.features is None
    tiled = np.asarray(slim(encoded, photo), dtype=int)
    whole = np.asarray(slim(photo, photo, tile=None), dtype=int)
    assert np.abs(tiled - whole).max() <= 2


def test_extrapolation_never_asks_for_a_negative_deviation(slim: Stylizer, photo: torch.Tensor) -> None:
    """Which would turn a channel into its negative."""
    seen: list[torch.Tensor] = []

    def watch(features: Any, content: Any, target: dict[str, ChannelStats]) -> torch.Tensor:
        seen.extend(stats.std for stats in target.values())
        return original(features, content, target)

    original = slim.model.decode
    slim.model.decode = watch  # type: ignore[method-assign]
    try:
        slim(photo, Image.new("RGB", (32, 32), "gray"), alpha=3.0)
    finally:
        del slim.model.decode
    assert len(seen) == len(slim.model.arch.code_channels)
    assert all((std >= 0).all() for std in seen)


def test_a_transparent_photograph_keeps_its_colours_where_no_mask_applies(slim: Stylizer) -> None:
    photo = Image.new("RGBA", (24, 16), (255, 0, 0, 128))
    photo.putpixel((3, 3), (9, 9, 9, 0))
    out = slim(photo, picture(), masks=[np.zeros((2, 2))])
    assert out.getpixel((10, 10)) == (255, 0, 0, 128)
    assert out.getpixel((3, 3)) == (255, 0, 0, 0)  # the mean of what is visible


def test_the_smallest_weight_is_all_where_no_other_mask_applies(slim: Stylizer) -> None:
    left = np.zeros((64, 64))
    left[:, :32] = 1
    photo, styles, masks = picture(64, 64), [picture(40, 40, 2), picture(40, 40, 3)], [left, 1 - left]
    out = slim(photo, styles, masks=masks)
    assert out.tobytes() == slim(photo, styles, masks=masks, weights=[1e-20, 1]).tobytes()


def test_a_picture_in_tiles_is_encoded_twice_with_masks_too(slim: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    style, calls, encode = slim.encode_style(picture()), [], slim.model.encode
    monkeypatch.setattr(slim.model, "encode", lambda image: (calls.append(1), encode(image))[1])
    told: list[int] = []
    slim(picture(64, 64), style, tile=32, masks=[np.ones((2, 2))], progress=lambda done, total: told.append(done))
    assert len(calls) == 8
    assert told == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
