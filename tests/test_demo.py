"""The demonstration: its photographs, its samples as files, and its sheet of controls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nst_adain.demo import PHOTOGRAPHS, controls_sheet, photograph, save_inputs
from nst_adain.figures.gallery import STYLES
from nst_adain.stylizer import Stylizer


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_ship_with_a_dependency(name: str) -> None:
    image = photograph(name)
    assert image.mode == "RGB"
    assert image.width == image.height >= 256


def test_inputs_can_be_saved(samples: Path) -> None:
    assert {p.stem for p in samples.glob("*.png")} == {*PHOTOGRAPHS, *STYLES}


def test_controls_all_show(slim: Stylizer) -> None:
    image = np.asarray(controls_sheet(slim), dtype=float)
    cells = [image[22 + 260 * r : 278 + 260 * r, 22 + 260 * c : 278 + 260 * c] for r in range(4) for c in range(6)]
    for i, a in enumerate(cells):
        same = [j for j, b in enumerate(cells[:i]) if np.abs(a - b).mean() < 1]
        assert same == ({6: [4], 18: [11]}.get(i, [])), (
            f"cells {i} and {same} look alike"
        )  # weights 1, 0 and 0, 1 are one style


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
