"""Where the time of a picture goes, layer by layer."""

from __future__ import annotations

import pytest

from train.measure.profile import profile


def test_time_of_each_layer_adds_up_to_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    profile("slim", size=64, repeats=1, device="cpu", precision="float32")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    convolutions, rest, total = rows[:-2], rows[-2], rows[-1]
    names = [row[0] for row in convolutions]
    assert names[0] == "encoder.conv1_1"
    assert names[-1] == "decoder.conv1_1"
    assert sum(float(row[2]) for row in convolutions) + float(rest[2]) == pytest.approx(float(total[2]), abs=0.2)
    assert 0 < float(rest[2]) < float(total[2])  # no layer is counted twice
    assert all(float(row[2]) > 0 for row in convolutions)
    assert float(convolutions[1][1]) == pytest.approx(2 * 9 * 32 * 64 * 16 * 16 / 1e6, abs=0.1)
    # Of the 21.0 kMAC a pixel, the 5.5 of the style's encoder are known.
    assert float(total[1]) / 2 / (64 * 64) * 1e3 == pytest.approx(21.0 - 5.5, abs=0.5)
