"""The pictures to try commands on: photographs and drawn styles, as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from nst_adain.figures.gallery import STYLES
from nst_adain.figures.samples import PHOTOGRAPHS, photograph, save_inputs


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_ship_with_a_dependency(name: str) -> None:
    image = photograph(name)
    assert image.mode == "RGB"
    assert image.width == image.height >= 256


def test_inputs_can_be_saved(samples: Path) -> None:
    assert {p.stem for p in samples.glob("*.png")} == {*PHOTOGRAPHS, *STYLES}


def test_samples_replace_no_file(tmp_path: Path) -> None:
    save_inputs(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / "mosaic.png").unlink()
    save_inputs(tmp_path)  # the one that is missing
    assert [path.name for path in tmp_path.iterdir() if path.stat().st_mtime_ns != before[path]] == ["mosaic.png"]
    for wrong in (b"mine", (tmp_path / "coffee.png").read_bytes()):
        (tmp_path / "chelsea.png").write_bytes(wrong)
        with pytest.raises(FileExistsError, match=r"chelsea\.png: expected no file, or this sample, found another"):
            save_inputs(tmp_path)
        assert (tmp_path / "chelsea.png").read_bytes() == wrong
