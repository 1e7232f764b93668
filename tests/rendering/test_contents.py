"""Contents that are encoded once for many renderings, and results that are written into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image

from nst_adain.stylizer import Stylizer


def pixels(image: Image.Image | torch.Tensor) -> np.ndarray:
    assert isinstance(image, Image.Image)
    return np.asarray(image.convert("RGB"), dtype=float)


def test_a_moved_slider_encodes_nothing_again(slim: Stylizer, photo: Path, painting: Path) -> None:
    content, style = slim.encode_content(photo), slim.encode_style(painting)
    calls: list[object] = []
    handle = slim.model.encoder.conv1_1.register_forward_pre_hook(lambda *_: calls.append(None))  # type: ignore[operator]
    try:
        results = [slim(content, style, alpha=alpha) for alpha in (0.2, 0.9)]
        assert not calls
        assert np.array_equal(pixels(results[1]), pixels(slim(photo, painting, alpha=0.9)))
        assert len(calls) == 2
    finally:
        handle.remove()


def test_transparency_is_kept(slim: Stylizer, painting: Path) -> None:
    image = picture(50, 40).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    out = slim(image, painting)
    assert isinstance(out, Image.Image)
    assert out.mode == "RGBA"
    assert out.getchannel("A").tobytes() == image.getchannel("A").tobytes()
    smaller = slim(image, painting, size=20)
    assert isinstance(smaller, Image.Image)
    assert (smaller.mode, smaller.size) == ("RGBA", (25, 20))


@pytest.mark.parametrize("tile", [None, 16])
def test_an_encoded_tensor_may_be_written_to(slim: Stylizer, tile: int | None) -> None:
    frame, style = torch.rand(1, 3, 48, 64), slim.encode_style(picture())
    encoded = slim.encode_content(frame, tile=tile)
    before = slim(encoded, style, preserve_color="luminance")
    frame.fill_(0.5)
    assert torch.equal(slim(encoded, style, preserve_color="luminance"), before)
