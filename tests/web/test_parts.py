"""The parts of the page that are its own: what is painted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import picture
from pages import make, painted, settings, upload
from PIL import Image

from nst_adain.web.actions import Actions


def test_what_is_painted_is_where_the_style_applies(actions: Actions, samples: Path) -> None:
    photo, style = upload(actions, picture(45, 31, seed=1), "photo.png"), {"path": str(samples / "mosaic.png")}
    nothing, everywhere = (np.asarray(make(actions, settings(photo, style, mask=mask))) for mask in (painted((0, 0, 0, 0)), ""))
    np.testing.assert_array_equal(nothing, everywhere)
    left = np.asarray(make(actions, settings(photo, style, mask=painted((0, 0, 20, 31)))))
    original = np.asarray(Image.open(photo["path"]))
    np.testing.assert_array_equal(left[:, 21:], original[:, 21:])
    assert np.abs(left[:, :20].astype(int) - original[:, :20]).mean() > 5
