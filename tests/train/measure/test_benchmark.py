"""Time and memory of the models beside published networks: what is measured, and what is written of it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from nst_adain.models.pretrained import find_weights, load_model
from train.measure import benchmark as measure
from train.measure.benchmark import benchmark
from train.measure.subjects import HALF, MICRO, ONNX, VGG

SIZE, LARGER = 128, 192


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> tuple[Path, str]:
    """The folder and the printed table of one benchmark, without the memory: each measurement of it takes a process."""
    out = tmp_path_factory.mktemp("benchmark")

    def memory(function: Callable[..., float], name: str, size: int, device: str) -> float:
        assert function is measure._peak_memory
        return float(size)

    def graphs(model: object, folder: str) -> list[Path]:
        return [Path(shutil.copy(exported / f"{name}.onnx", folder)) for name in ("encoder", "modulator", "decoder")]

    with (
        mock.patch.multiple(measure, _in_child=memory, STYLE_SIDE=SIZE),
        mock.patch("train.measure.subjects.export_onnx", graphs),
        contextlib.redirect_stdout(io.StringIO()) as said,
    ):
        benchmark(
            out,
            models=("slim",),
            sizes=(SIZE,),
            repeats=1,
            device="cpu",
            precisions=("float32", "bfloat16"),
            onnx=True,
            memory_sizes=(LARGER,),
        )
    return out, said.getvalue()


def rows(written: tuple[Path, str], size: int) -> dict[str, dict[str, Any]]:
    measured = json.loads((written[0] / "benchmark.json").read_text())["rows"]
    return {row["model"]: row for row in measured if row["size"] == size}


def test_models_are_measured_beside_published_networks(written: tuple[Path, str]) -> None:
    out, table = written
    assert {p.name for p in out.iterdir()} == {"benchmark.md", "benchmark.json", "benchmark.png"}
    assert table.strip() == (out / "benchmark.md").read_text().strip()
    names = {"slim, float32", "slim, bfloat16", f"slim, {ONNX}", VGG, VGG + HALF, MICRO, MICRO + HALF}
    assert rows(written, SIZE).keys() == names
    for name in names:
        assert f"| {name} | {SIZE} | 0." in table
        # Of ONNX Runtime no memory is measured, and so nothing at the size that is there for memory alone.
        assert (f"| {name} | {LARGER} |  |  |  | {LARGER} |" in table) == (ONNX not in name)
        assert rows(written, SIZE)[name].get("peak_memory_mib") == (None if ONNX in name else SIZE)


def test_times_add_up_and_slim_is_faster_than_the_published_vgg(written: tuple[Path, str]) -> None:
    timed = rows(written, SIZE)
    for row in timed.values():
        assert 0 < row["slider"] < row["cached"] < row["all"]
    assert timed["slim, float32"]["all"] < timed[VGG]["all"]


def test_files_have_their_size_on_disk(written: tuple[Path, str]) -> None:
    found, shipped = rows(written, SIZE), find_weights("slim").stat().st_size / 2**20
    assert found["slim, float32"]["file_mib"] == pytest.approx(shipped)
    model = load_model("slim")
    both_ends = 4 * sum(weight.numel() for weight in (*model.parameters(), *model.bold.values())) / 2**20  # in float32
    assert both_ends < found[f"slim, {ONNX}"]["file_mib"] < 1.1 * both_ends
    assert found[VGG]["file_mib"] == pytest.approx(26.7, abs=0.1)  # 7.01 M parameters


def test_memory_is_that_of_one_picture() -> None:
    names = ("slim, float32", VGG)
    with ThreadPoolExecutor() as pool:
        slim, vgg = pool.map(lambda name: measure._in_child(measure._peak_memory, name, 256, "cpu"), names)
    assert 0 < slim < vgg


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
