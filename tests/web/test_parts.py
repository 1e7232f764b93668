"""The parts of the page that are its own: what is painted, and with which brushes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import picture
from pages import make, painted, settings, upload
from PIL import Image

from nst_adain.stylizer import Stylizer
from nst_adain.web import parts
from nst_adain.web.actions import Actions
from nst_adain.web.looks import SLOTS


def test_what_is_painted_is_where_the_style_applies(actions: Actions, samples: Path) -> None:
    photo, style = upload(actions, picture(45, 31, seed=1), "photo.png"), {"path": str(samples / "mosaic.png")}
    nothing, everywhere = (np.asarray(make(actions, settings(photo, style, mask=mask))) for mask in (painted((0, 0, 0, 0)), ""))
    np.testing.assert_array_equal(nothing, everywhere)
    left = np.asarray(make(actions, settings(photo, style, mask=painted((0, 0, 20, 31)))))
    original = np.asarray(Image.open(photo["path"]))
    np.testing.assert_array_equal(left[:, 21:], original[:, 21:])
    assert np.abs(left[:, :20].astype(int) - original[:, :20]).mean() > 5
    other = settings(photo, style, mask=painted((0, 0, 20, 31)))
    other["mask"]["of"] = style["path"]  # what was painted on another photograph
    np.testing.assert_array_equal(np.asarray(make(actions, other)), everywhere)


def test_each_style_applies_where_its_brush_painted(actions: Actions, samples: Path, base: Stylizer) -> None:
    photo, styles = picture(45, 31, seed=1), [samples / "mosaic.png", samples / "ink_wash.png"]
    boxes = ((0, 0, 10, 31), (10, 0, 25, 31), (25, 0, 40, 31))  # the mixture, the first style, the second; then nothing
    canvas = painted(boxes[0], (45, 31), (1, boxes[1]), (2, boxes[2]))
    masks = [Image.new("L", (45, 31)) for _ in styles]
    for slot, mask in enumerate(masks):
        mask.paste(255, boxes[0])
        mask.paste(255, boxes[slot + 1])
    given = [{"path": str(style)} for style in styles]
    made = make(actions, settings(upload(actions, photo, "photo.png"), *given, shares=[30, 70, 0, 0], mask=canvas))
    expected = base(photo, styles, weights=[30, 70], masks=masks)
    np.testing.assert_array_equal(np.asarray(made), np.asarray(expected))


def test_a_mask_is_painted_and_read_back() -> None:
    mask = Image.linear_gradient("L")
    read = parts.painted(parts.paint(mask), SLOTS)
    assert read is not None
    assert len({id(one) for one in read}) == 1
    np.testing.assert_array_equal(np.asarray(read[0]), np.asarray(mask))


def test_one_brush_for_one_style_and_one_more_for_each_of_several() -> None:
    one, evil = {"path": "/x/ink_wash.png"}, {"path": "/x/<b>${alert(1)}.png"}
    assert [label for _, label in parts.brushes([one, None])] == ["The style"]
    labels = [label for _, label in parts.brushes([one, None, evil, None])]
    assert labels == ["The mixture", "ink wash", "&lt;b&gt;${alert(1)}"]
    assert len(parts.BRUSHES) == SLOTS + 1
