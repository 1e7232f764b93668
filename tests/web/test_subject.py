"""The subject of a photograph is told from its background, from a hint if there is one."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nst_adain.figures.samples import photograph
from nst_adain.web.subject import find_subject


def test_the_subject_is_found_in_the_middle_and_the_same_each_time() -> None:
    photo = photograph("astronaut")
    found = np.asarray(find_subject(photo))
    assert found.shape == (512, 512)
    assert found[60:110, 200:250].mean() > 250  # the face
    assert found[350:450, 80:200].mean() > 250  # the suit
    assert found[:60, 300:350].mean() < 5  # the wall
    np.testing.assert_array_equal(found, np.asarray(find_subject(photo)))


def test_a_hint_says_what_is_the_subject() -> None:
    photo = Image.effect_noise((120, 90), 20).convert("RGB")
    draw, hint = ImageDraw.Draw(photo), Image.new("L", photo.size)
    draw.rectangle((84, 6, 114, 84), fill=(200, 40, 40))
    ImageDraw.Draw(hint).ellipse((92, 30, 106, 60), fill=255)
    found = np.asarray(find_subject(photo, hint))
    assert found[20:70, 90:108].mean() > 200
    assert found[20:70, 5:60].mean() < 50


def test_without_a_subject_it_says_what_helps() -> None:
    with pytest.raises(ValueError, match="no subject stands out here: paint over it"):
        find_subject(Image.new("RGB", (60, 40), (90, 120, 200)))
