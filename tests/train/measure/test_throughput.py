"""Pictures a second of a folder, beside the network alone and single calls."""

from __future__ import annotations

from typing import Any

import pytest

from nst_adain.errors import UsageError
from train.measure.throughput import throughput


def test_throughput_of_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    throughput(count=2, size=64, repeats=1, device="cpu", precision="float32")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == ["the network alone", "single calls", "batch"]
    assert all(float(pictures) > 0 and float(ratio) > 0 for _, pictures, ratio in rows)
    assert rows[0][2] == "1.00"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count: expected at least 1, got 0"),
        ({"repeats": 0}, "repeats: expected at least 1, got 0"),
        ({"suffix": ".xyz"}, r"suffix: expected one of \.png, .*, got '\.xyz'"),
    ],
)
def test_impossible_measurements_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        throughput(**options)
