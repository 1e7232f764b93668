"""Pictures that another process decodes, within limits of time and memory."""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

import pytest
from fuzz import CASES

from nst_adain.errors import ImageError
from nst_adain.images import apart
from nst_adain.images.apart import load_image_apart
from nst_adain.images.io import load_image


def test_the_other_process_loads_nothing_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("random", "json", "PIL"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(7)")
    shutil.copy(CASES / "whole.jpg", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load_image_apart("whole.jpg").size == (300, 200)


def test_a_process_that_does_not_start_blames_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "__name__", "nst_adain.images.none")
    with pytest.raises(RuntimeError, match="the process that decodes pictures did not start: .*nst_adain"):
        load_image_apart(CASES / "whole.jpg")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limits")
def test_a_process_that_takes_too_much_is_ended() -> None:
    path = CASES / "png_grey16_49M.png"
    with pytest.raises(ImageError, match=r"49M\.png: the picture takes longer than 0\.3 s to decode"):
        load_image_apart(path, seconds=0.3)
    with pytest.raises(ImageError, match=r"49M\.png: (not enough memory|the picture is damaged, or takes more than 90 MiB)"):
        load_image_apart(path, memory=90 << 20)
    with pytest.raises(ImageError, match=r"49M\.png: 7000 x 7000 is 49,000,000 pixels, more than the limit of 1,000"):
        load_image_apart(path, max_pixels=1000)
    with pytest.raises(ImageError, match=r"none\.png: expected a picture, found no such file"):
        load_image_apart(CASES / "none.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the other process keeps its warnings
        assert load_image_apart(CASES / "noeoi.jpg").tobytes() == load_image(CASES / "whole.jpg").tobytes()
