"""The pictures that the package draws."""

from __future__ import annotations

import numpy as np
import pytest

from nst_adain.demo import photograph
from nst_adain.figures.gallery import SIZE, STYLES, draw
from nst_adain.stylizer import Stylizer


@pytest.mark.parametrize("name", STYLES)
def test_styles_are_coloured_or_at_least_drawn(name: str) -> None:
    image = draw(name)
    assert (image.mode, image.size) == ("RGB", (SIZE, SIZE))
    assert np.asarray(image, dtype=float).std() > 15


def test_styles_are_the_same_each_time() -> None:
    assert draw("mosaic").tobytes() == draw("mosaic").tobytes()


def test_every_style_shows(slim: Stylizer) -> None:
    photo = photograph("chelsea")
    results = [np.asarray(image, dtype=float) for image in (photo, *(slim(photo, draw(name)) for name in STYLES))]
    for i, a in enumerate(results):
        for b in results[:i]:
            assert np.abs(a - b).mean() > 5


def test_unknown_names_are_said() -> None:
    with pytest.raises(ValueError, match="style: expected one of stained_glass, .* got 'cubism'"):
        draw("cubism")
    with pytest.raises(ValueError, match="photograph: expected one of astronaut"):
        photograph("selfie")
