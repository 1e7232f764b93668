"""Damaged pictures of every readable format: each is read or refused, soon, and shows no memory but its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import fuzz
import pytest

from nst_adain.images.io import load_image


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="fills memory by glibc's MALLOC_PERTURB_")
def test_damaged_pictures_are_read_or_refused() -> None:
    counts, faults = fuzz.fuzz(2000, seed=3)
    assert not faults
    assert counts["read"] > 200
    assert counts["refused"] > 200


def test_whole_pictures_of_every_kind_are_read(tmp_path: Path) -> None:
    files = fuzz.seeds()
    assert len({Path(name).suffix for name in files}) >= 14
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        if "group" not in name:  # faxes
            assert load_image(path).mode in ("RGB", "RGBA")


def test_every_kind_of_fault_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def watched(start: int, stop: int, seed: int, fill: int) -> Iterator[tuple[int, str, str, float, float]]:
        rows = [
            (0, "a.png", "RGB 1", 0.1, 100.0),
            (1, "b.png", f"RGB {fill}", 0.1, 100.0),
            (2, "c.png", "refused", 11.0, 100.0),
            (3, "d.png", "refused", 0.1, 2000.0),
            (4, "e.png", "fault: KeyError: 'x'", 0.1, 100.0),
            (5, "f.png", "refused", 0.1, 2000.0 if fill else 100.0),
        ]
        yield from rows[start:stop]

    monkeypatch.setattr(fuzz, "watched", watched)
    counts, faults = fuzz.fuzz(6, seed=9)
    assert counts == {"read": 1, "refused": 1, "fault": 4}
    told = [fault.partition(" of seed 9: ")[2] for fault in faults]
    assert told == ["shows memory", "took 11.0 s", "2,000 MiB", "fault: KeyError: 'x'"]


def test_a_reader_that_ends_its_process_is_told_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("""
import json, os, sys
start, stop = map(int, sys.argv[2:4])
for number in range(start, stop):
    if number == 2:
        os.abort()
    print(json.dumps([number, "x.png", "refused", 0.0, 0.0]), flush=True)
print("libtiff: remark", file=sys.stderr)
""")
    monkeypatch.setattr(fuzz, "__file__", str(worker))
    rows = list(fuzz.watched(0, 4, 0, 85))
    assert [row[0] for row in rows] == [0, 1, 2, 3, 3]
    assert "ended the process with -6" in rows[2][2]
    assert "standard error: libtiff: remark" in rows[4][2]
