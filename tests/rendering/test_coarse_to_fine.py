"""Coarse to fine: a large result is the small one, with strokes and edges of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw, picture
from PIL import Image
from samples import close
from skimage.metrics import structural_similarity

from nst_adain.figures.samples import photograph
from nst_adain.images.inputs import to_tensor
from nst_adain.stylizer import Stylizer

LOOK = 96  # small, so that the tests are quick; the networks do not know


def photo(side: int) -> Image.Image:
    return photograph("astronaut").resize((side, side), Image.Resampling.LANCZOS)


def alike(large: Image.Image, small: Image.Image) -> tuple[float, float]:
    """The structural similarity of a result, reduced, to a small one, and the mean difference in levels."""
    a, b = (np.asarray(image.resize(small.size, Image.Resampling.LANCZOS), dtype=float) for image in (large, small))
    return structural_similarity(a.mean(-1), b.mean(-1), data_range=255), float(np.abs(a - b).mean())


@pytest.mark.parametrize(
    ("style", "scale"),
    [("brush_strokes", 1.5), ("woodcut_waves", 2), ("brush_strokes", 3), ("ink_wash", 3), ("woodcut_waves", 5)],
)
def test_a_large_result_looks_like_the_small_one(base: Stylizer, style: str, scale: float) -> None:
    code, image = base.encode_style(draw(style)), photo(round(LOOK * scale))
    small = base(image, code, size=LOOK)
    similar, levels = alike(base(image, code, look_size=LOOK), small)
    assert similar >= 0.9
    assert levels <= 9
    before, apart = alike(base(image, code, look_size=None), small)
    assert before < similar - 0.1
    assert apart > levels


def test_a_large_result_has_strokes_and_edges_of_its_own(base: Stylizer) -> None:
    """It is nearly as crisp as one that is rendered at once, where one that is enlarged is soft."""
    image, style = photo(LOOK * 4), base.encode_style(draw("brush_strokes"))

    def crispness(result: Image.Image) -> float:
        return float(np.abs(np.diff(np.asarray(result.convert("L"), dtype=float))).mean())

    at_once, fine, quick = (crispness(base(image, style, **k)) for k in ({"look_size": None}, look(), look(detail="photo")))
    soft = crispness(base(image, style, size=LOOK).resize(image.size, Image.Resampling.BICUBIC))
    assert fine > 0.5 * at_once
    assert fine > 1.5 * soft
    assert fine > quick > soft


def look(**more: Any) -> dict[str, Any]:
    return {"look_size": LOOK, **more}


def disc(side: int) -> np.ndarray[Any, Any]:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    return np.hypot(x, y) < 0.6


CONTROLS: list[dict[str, Any]] = [
    {},
    {"alpha": 0.4},
    {"alpha": disc(64).astype(float)},
    {"weights": [3, -1]},
    {"masks": [disc(64)]},
    {"masks": [disc(64), ~disc(64)], "preserve_color": "luminance"},
    {"preserve_color": "coral"},
    {"detail": "photo", "masks": [disc(64)]},
]


@pytest.mark.parametrize("controls", CONTROLS, ids=[" ".join(each) or "none" for each in CONTROLS])
def test_every_control_acts_as_in_the_small_result(base: Stylizer, controls: dict[str, Any]) -> None:
    styles = [draw("woodcut_waves"), draw("brush_strokes")]
    image = photo(LOOK * 3)
    controls = {"weights": [1, 1], **controls}
    small = base(image, styles, size=LOOK, **controls)
    similar, levels = alike(base(image, styles, look_size=LOOK, **controls), small)
    assert similar >= 0.88
    assert levels <= 10


@pytest.mark.parametrize("detail", ["strokes", "photo"])
@pytest.mark.parametrize("side", [None, 64, 136])
def test_tiles_make_the_whole(slim: Stylizer, side: int | None, detail: Any) -> None:
    content, style = to_tensor(photo(280))[..., :230, :], slim.encode_style(draw("mosaic"))
    controls = look(masks=[disc(40)], detail=detail)
    whole = slim(content, style, tile=None, **controls)
    parts = slim(content, style, tile=side or 280, **controls)
    assert float((whole - parts).abs().mean()) < 1e-5
    assert float((whole - parts).abs().max()) < 0.5 / 255  # a smaller result is kept finer than in levels


def test_places_without_a_mask_stay_the_photograph(slim: Stylizer) -> None:
    content, mask = to_tensor(photo(LOOK * 2)), np.zeros((8, 8))
    mask[:, :4] = 1
    result = slim(content, draw("mosaic"), masks=[mask], look_size=LOOK)
    close(result[..., LOOK + 20 :], content[..., LOOK + 20 :], 1e-6)
    assert (result - content)[..., : LOOK - 20].abs().mean() > 0.05


def test_encoded_and_plain_contents_agree(slim: Stylizer) -> None:
    image, style = photo(LOOK * 2), draw("ink_wash")
    encoded = slim.encode_content(image, look_size=LOOK)
    for controls in ({}, {"masks": [disc(32)]}, {"detail": "photo"}):
        expected = np.asarray(slim(image, style, look_size=LOOK, **controls))
        np.testing.assert_array_equal(np.asarray(slim(encoded, style, **controls)), expected)
    with pytest.raises(ValueError, match="size, look_size, tile: content is already encoded"):
        slim(encoded, style, look_size=64)


def test_batches_and_transparency(slim: Stylizer) -> None:
    contents = torch.cat([to_tensor(photo(200)), to_tensor(picture(200, 200, seed=3))])
    together = slim(contents, draw("mosaic"), look_size=LOOK)
    for each, content in zip(together, contents):
        assert (each - slim(content[None], draw("mosaic"), look_size=LOOK)[0]).abs().mean() < 1e-3
    image = photo(200)
    image.putalpha(Image.fromarray(disc(200).astype(np.uint8) * 255))
    result = slim(image, draw("mosaic"), look_size=LOOK)
    np.testing.assert_array_equal(np.asarray(result)[..., 3], np.asarray(image)[..., 3])


def test_small_contents_are_rendered_as_ever(slim: Stylizer) -> None:
    image, style = photo(LOOK), draw("mosaic")
    expected = np.asarray(slim(image, style, look_size=None))
    for controls in (look(), look(detail="photo"), {}):
        np.testing.assert_array_equal(np.asarray(slim(image, style, **controls)), expected)


def test_odd_sizes_and_few_pixels(slim: Stylizer) -> None:
    for size in ((700, 3), (3, 700), (97, 131), (193, 1)):
        assert slim(picture(*size), draw("mosaic"), look_size=16).size == size


def test_details_are_checked(slim: Stylizer) -> None:
    with pytest.raises(ValueError, match="detail: expected 'strokes' or 'photo', got 'fine'"):
        slim(picture(), picture(), detail="fine")  # type: ignore[call-overload]
