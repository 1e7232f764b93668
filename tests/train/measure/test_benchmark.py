"""Time and memory of the models beside published networks: what is measured, and what is written of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nst_adain.models.pretrained import find_weights
from train.measure.benchmark import MICRO, ONNX, VGG, benchmark


def test_benchmark_measures_beside_published_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark(tmp_path, sizes=(256,), repeats=1, device="cpu", precisions=("float32",), onnx=True, memory_sizes=(320,))
    table = capsys.readouterr().out
    for name in ("slim, float32", f"slim, {ONNX}", VGG, MICRO):
        assert f"| {name} | 256 |" in table
        # Of ONNX Runtime no memory is measured, and so nothing at this size.
        assert (f"| {name} | 320 |  |  |  |" in table) == (ONNX not in name)
    assert {p.name for p in tmp_path.iterdir()} == {"benchmark.md", "benchmark.json", "benchmark.png"}
    measured = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    assert all(row["peak_memory_mib"] > 0 for row in measured if ONNX not in row["model"])
    rows = {row["model"]: row for row in measured if row["size"] == 256}
    for row in rows.values():
        assert 0 < row["slider"] < row["cached"] < row["all"]
    assert rows["slim, float32"]["all"] < rows[VGG]["all"]
    shipped = find_weights("slim").stat().st_size / 2**20
    assert rows["slim, float32"]["file_mib"] == pytest.approx(shipped)
    assert shipped < rows[f"slim, {ONNX}"]["file_mib"] < 1.5 * shipped
    assert rows[VGG]["file_mib"] == pytest.approx(26.7, abs=0.1)  # 7.01 M parameters


def test_benchmark_measures_the_published_networks_in_half_precision_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark(tmp_path, sizes=(64,), repeats=1, device="cpu", precisions=("bfloat16",))
    table = capsys.readouterr().out
    for name in ("slim", VGG, MICRO):
        assert f"| {name}, bfloat16 | 64 | 0." in table
    assert f"| {VGG} | 64 |" in table


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda out: benchmark(out, sizes=(100,)), "sizes, memory_sizes: expected multiples of 8 from 16, got 100"),
        (lambda out: benchmark(out, sizes=(64,), memory_sizes=(8,)), "sizes, memory_sizes: expected .*, got 8"),
        (lambda out: benchmark(out, sizes=(64,), onnx=True, device="nowhere"), "device: expected"),
    ],
)
def test_impossible_benchmarks_are_named(tmp_path: Path, measure: Callable[[Path], None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(tmp_path / "out")
    assert not list(tmp_path.iterdir())
