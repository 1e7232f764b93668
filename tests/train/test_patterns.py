"""Style pictures drawn at random."""

from __future__ import annotations

import numpy as np
import pytest

from train.patterns import KINDS, SIZE, Patterns, draw_pattern


def test_patterns_are_pictures_of_their_own() -> None:
    patterns = Patterns(2 * len(KINDS), seed=5)
    small = [np.asarray(p.convert("L").resize((32, 32)), dtype=float) for p in patterns]
    assert all(p.size == (SIZE, SIZE) and p.mode == "RGB" for p in patterns)
    assert all(p.std() > 2 for p in small)  # not blank
    assert all(np.abs(a - b).mean() > 2 for i, a in enumerate(small) for b in small[:i])  # no two alike
    assert patterns[-1].tobytes() == draw_pattern(len(patterns) - 1, seed=5).tobytes()  # the same each time
    assert patterns[0].tobytes() != draw_pattern(0, seed=6).tobytes()
    with pytest.raises(IndexError):
        patterns[len(patterns)]
