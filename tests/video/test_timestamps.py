"""Timestamps that only increase."""

from __future__ import annotations

import pytest

from nst_adain.video.timestamps import Timestamps


@pytest.mark.parametrize(
    ("display", "decoding", "step", "wanted"),
    [
        ([0, 10, 25, 100], [0, 10, 25, 100], 10, [0, 10, 25, 100]),  # sound times stay, whatever lies between them
        ([7, 17, 27], [None] * 3, 10, [7, 17, 27]),
        ([None] * 3, [None] * 3, 10, [0, 10, 20]),
        ([1, 3, 4, 2, 6, 7, 5, 9], [2, 3, 4, 5, 6, 7, 8, 9], 1, [1, 3, 4, 5, 6, 7, 8, 9]),  # AVI with B-frames
        ([1, 3, 4, 2, 6, 5], [2, 3, 4, 5, None, None], 1, [1, 3, 4, 5, 6, 7]),
        ([0, 10, 20, 20, 40], [0, 10, 20, 20, 40], 10, [0, 10, 20, 21, 40]),  # one frame twice delays none after it
        ([0, 10, 20, 30, 40, 50, 0, 10, 20], [0, 10, 20, 30, 40, 0, 10, 20, 30], 10, list(range(0, 90, 10))),  # joined
    ],
)
def test_times_go_forward(display: list[int | None], decoding: list[int | None], step: int, wanted: list[int]) -> None:
    timestamps = Timestamps()
    assert [timestamps(*times, step) for times in zip(display, decoding)] == wanted
