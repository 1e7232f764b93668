"""Reading contents and styles, and the smaller pictures from which a large content's result is brought up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image

from nst_adain.errors import UsageError
from nst_adain.images.inputs import to_tensor
from nst_adain.images.opening import MAX_PIXELS
from nst_adain.rendering.reading import read_content, read_style


def test_a_large_content_comes_in_several_sizes(tmp_path: Path) -> None:
    image = picture(500, 420, seed=1)
    image.putalpha(Image.linear_gradient("L").resize(image.size).point(lambda level: max(level, 1)))
    content = read_content(image, None, 40, 256, MAX_PIXELS)
    sizes, each = [], content
    while each.coarser is not None:
        sizes.append(each.size)
        assert each.transparency is not None
        assert each.transparency.size == each.size[::-1]
        assert each.side == 256
        each = each.coarser
    assert sizes == [(420, 500), (130, 154)]
    assert each is content.coarsest
    assert each.size == (40, 48)
    small = np.asarray(image.convert("RGB").resize((48, 40), Image.Resampling.LANCZOS), dtype=float)
    assert np.abs(each.pixels[..., :, :][0].permute(1, 2, 0).numpy() - small).max() <= 4


def test_a_content_that_is_stored_comes_in_the_same_sizes(tmp_path: Path) -> None:
    picture(120, 90, seed=2).save(tmp_path / "stored.tiff")
    stored, held = (read_content(p, None, 30, 32, MAX_PIXELS) for p in (tmp_path / "stored.tiff", picture(120, 90, seed=2)))
    assert not isinstance(stored.pixels, torch.Tensor)
    assert stored.coarser is not None
    assert held.coarser is not None
    assert torch.equal(stored.coarser.pixels[..., :, :], held.coarser.pixels[..., :, :])


def test_a_small_content_or_none_asked_for_is_alone() -> None:
    for look_size in (None, 30, 500):
        content = read_content(to_tensor(picture(40, 30)), None, look_size, "auto", MAX_PIXELS)
        assert content.coarser is None
        assert content.coarsest is content


@pytest.mark.parametrize("side", [0, -1, 2.5, "512"])
def test_sides_are_checked(side: object) -> None:
    with pytest.raises(UsageError, match="look_size: expected a whole number of pixels"):
        read_content(picture(), None, side, "auto", MAX_PIXELS)  # type: ignore[arg-type]


def test_invisible_styles_are_refused(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (255, 0, 0, 0)).save(tmp_path / "nothing.png")
    with pytest.raises(ValueError, match=r"nothing\.png: expected a style, found a picture that is invisible"):
        read_style(tmp_path / "nothing.png", 512, MAX_PIXELS)
