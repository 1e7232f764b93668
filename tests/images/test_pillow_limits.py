"""Pillow's own limits, which hold again when no picture is read any more."""

from __future__ import annotations

import pytest
from PIL import Image, PngImagePlugin

from nst_adain.images.pillow_limits import PILLOW_LIMITS


def test_they_are_replaced_while_any_picture_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    monkeypatch.setattr(PngImagePlugin, "MAX_TEXT_CHUNK", 20)

    def limits() -> tuple[object, object]:
        return Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK

    with PILLOW_LIMITS:
        assert limits() == (None, 64 << 20)
        with PILLOW_LIMITS:
            assert limits() == (None, 64 << 20)
        assert limits() == (None, 64 << 20)
    assert limits() == (10, 20)
    with pytest.raises(ZeroDivisionError), PILLOW_LIMITS:
        _ = 1 / 0
    assert limits() == (10, 20)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    with PILLOW_LIMITS:
        pass
    assert limits() == (30, 20)
