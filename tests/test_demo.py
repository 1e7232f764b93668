"""The demonstration's sheet of controls."""

from __future__ import annotations

import numpy as np

from nst_adain.demo import controls_sheet
from nst_adain.stylizer import Stylizer


def test_controls_all_show(slim: Stylizer) -> None:
    image = np.asarray(controls_sheet(slim), dtype=float)
    cells = [image[22 + 260 * r : 278 + 260 * r, 22 + 260 * c : 278 + 260 * c] for r in range(4) for c in range(6)]
    for i, a in enumerate(cells):
        same = [j for j, b in enumerate(cells[:i]) if np.abs(a - b).mean() < 1]
        assert same == ({6: [4], 18: [11]}.get(i, [])), (
            f"cells {i} and {same} look alike"
        )  # weights 1, 0 and 0, 1 are one style
