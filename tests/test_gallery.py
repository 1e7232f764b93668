from __future__ import annotations

import numpy as np
import pytest

from nst_adain.demo import PHOTOGRAPHS, photograph
from nst_adain.gallery import SIZE, STYLES, draw


@pytest.mark.parametrize("name", STYLES)
def test_styles_are_coloured_or_at_least_drawn(name: str) -> None:
    image = draw(name)
    assert (image.mode, image.size) == ("RGB", (SIZE, SIZE))
    assert np.asarray(image, dtype=float).std() > 15


def test_styles_are_the_same_each_time() -> None:
    assert draw("mosaic").tobytes() == draw("mosaic").tobytes()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_ship_with_a_dependency(name: str) -> None:
    image = photograph(name)
    assert image.mode == "RGB"
    assert image.width == image.height >= 256


def test_unknown_names_are_said() -> None:
    with pytest.raises(ValueError, match="style: expected one of stained_glass, .* got 'cubism'"):
        draw("cubism")
    with pytest.raises(ValueError, match="photograph: expected one of astronaut"):
        photograph("selfie")
