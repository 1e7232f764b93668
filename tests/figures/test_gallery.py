"""The pictures that the package draws."""

from __future__ import annotations

import time

import conftest
import numpy as np
import pytest

from nst_adain.figures import gallery
from nst_adain.figures.gallery import SIZE, STYLES, draw
from nst_adain.figures.samples import photograph
from nst_adain.stylizer import Stylizer


@pytest.mark.parametrize("name", STYLES)
def test_styles_are_coloured_or_at_least_drawn_and_the_same_each_time(name: str) -> None:
    image = conftest.draw(name)
    assert (image.mode, image.size) == ("RGB", (SIZE, SIZE))
    assert np.asarray(image, dtype=float).std() > 15
    assert draw(name).tobytes() == image.tobytes()


def test_styles_have_the_names_of_their_drawings() -> None:
    assert all(getattr(gallery, name) is drawing for name, drawing in STYLES.items())


def test_every_style_shows(slim: Stylizer) -> None:
    photo = photograph("chelsea")
    results = [np.asarray(image, dtype=float) for image in (photo, *(slim(photo, conftest.draw(name)) for name in STYLES))]
    for i, a in enumerate(results):
        for b in results[:i]:
            assert np.abs(a - b).mean() > 5


def test_all_are_drawn_in_seconds() -> None:
    start = time.process_time()
    for name in STYLES:
        draw(name)
    assert time.process_time() - start < 6  # some 2 on one core of 2023


def test_unknown_names_are_said() -> None:
    with pytest.raises(ValueError, match="style: expected one of brush_strokes, .* got 'cubism'"):
        draw("cubism")
    with pytest.raises(ValueError, match="photograph: expected one of astronaut"):
        photograph("selfie")
