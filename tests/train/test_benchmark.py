"""What is measured, on small pictures and few repeats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nst_adain.models.pretrained import find_weights
from train.benchmark import MICRO, ONNX, VGG, benchmark
from train.layers import layers
from train.peers import MicroAST
from train.throughput import throughput


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


def test_time_of_each_layer_adds_up_to_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    layers(size=64, repeats=1, device="cpu", precision="float32")
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


def test_throughput_of_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    throughput(count=2, size=64, repeats=1, device="cpu", precision="float32")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows] == ["the network alone", "single calls", "batch"]
    assert all(float(pictures) > 0 and float(ratio) > 0 for _, pictures, ratio in rows)
    assert rows[0][2] == "1.00"


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda out: throughput(count=0), "count: expected at least 1, got 0"),
        (lambda out: throughput(repeats=0), "repeats: expected at least 1, got 0"),
        (lambda out: throughput(suffix=".xyz"), r"suffix: expected one of \.png, .*, got '\.xyz'"),
        (lambda out: benchmark(out, sizes=(100,)), "sizes, memory_sizes: expected multiples of 8 from 16, got 100"),
        (lambda out: benchmark(out, sizes=(64,), memory_sizes=(8,)), "sizes, memory_sizes: expected .*, got 8"),
        (lambda out: benchmark(out, sizes=(64,), onnx=True, device="nowhere"), "device: expected"),
    ],
)
def test_impossible_measurements_are_named(tmp_path: Path, measure: Callable[[Path], None], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_layers_of_microast_have_its_published_size_and_arithmetic() -> None:
    network = MicroAST().eval()
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 0.47
    content = torch.rand(1, 3, 64, 96)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        assert network(content, content).shape == content.shape
    assert counter.get_total_flops() / 2 / (64 * 96) / 1000 == pytest.approx(41.6, rel=0.05)
