"""Time and memory of the models beside published networks, all in one run."""

from __future__ import annotations

import json
import math
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from nst_adain.device import Precision, is_half, pick_device
from nst_adain.errors import UsageError, at_least
from nst_adain.files import make_folder
from nst_adain.models.pretrained import DEFAULT_MODEL
from train.measure.resources import PeakRss, now
from train.measure.subjects import HALF, MICRO, ONNX, VGG, Subject, load_subject

__all__ = ["KINDS", "STYLE_SIDE", "benchmark"]

STYLE_SIDE = 512  # pixels; what `Stylizer` reduces style pictures to
KINDS = ("slider", "cached", "all")  # content and style known, style known, nothing known


def benchmark(
    out: Path,
    models: tuple[str, ...] = (DEFAULT_MODEL,),
    sizes: tuple[int, ...] = (256, 512, 1024, 2048),
    repeats: int = 5,
    device: str = "auto",
    precisions: tuple[Precision, ...] = ("float32", "auto"),
    onnx: bool = False,
    memory_sizes: tuple[int, ...] = (),
) -> None:
    """Measure models in turn, so that whatever else the machine does meets all alike; write a table and a plot.

    Args:
        out: folder for benchmark.md, benchmark.json and benchmark.png, made if need be.
        models: models that ship, or .safetensors files with an encoder.
        sizes: sides of the square content pictures, in pixels, multiples of 8.
        repeats: timed runs of each, of which the median is shown, after one that is not timed.
        device: where to run.
        precisions: of the models; the published networks compute in float32, in channels_last, which is faster for both, and if
            one of the precisions is or becomes bfloat16, in autocast to it as well.
        onnx: measure the models in ONNX Runtime too, as `nst-adain export` writes them.
        memory_sizes: further sides; of those that are not among `sizes`, only the memory is measured.

    Raises:
        UsageError: if one of these cannot be measured.
    """
    where = pick_device(device)
    if onnx and where.type != "cpu":
        raise UsageError(f"onnx: expected the CPU, on which ONNX Runtime is measured, got {where}")
    at_least(1, repeats=repeats)
    for size in (*sizes, *memory_sizes):
        if size < 16 or size % 8:
            raise UsageError(f"sizes, memory_sizes: expected multiples of 8 from 16, got {size}")
    make_folder(out)
    runtimes = [*precisions, ONNX] if onnx else [*precisions]
    names = [*(f"{model}, {runtime}" for model in models for runtime in runtimes), VGG, MICRO]
    if any(is_half(precision, where) for precision in precisions):
        names += [VGG + HALF, MICRO + HALF]
    subjects = {name: load_subject(name, device) for name in names}
    rows = []
    for size in dict.fromkeys((*sizes, *memory_sizes)):
        timings = _latencies(subjects, size, repeats, where) if size in sizes else {}
        for name, subject in subjects.items():
            row = {"model": name, "size": size, "file_mib": subject.file_mib, **timings.get(name, {})}
            if not name.endswith(ONNX):  # which leaves behind what its export took: a peak above that would be too small
                row["peak_memory_mib"] = _in_child(_peak_memory, name, size, device)
            elif size not in sizes:
                continue
            rows.append(row)
            took = f"{row['all']:.3f} s" if "all" in row else f"{row['peak_memory_mib']:.0f} MiB"
            print(f"{name} {size}: {took}", file=sys.stderr)
    _write(out, rows, where)


def _write(out: Path, rows: list[dict[str, Any]], device: torch.device) -> None:
    result = {"device": str(device), "threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}
    (out / "benchmark.json").write_text(json.dumps(result, indent=1))
    table = _table(rows)
    (out / "benchmark.md").write_text(table)
    _plot(rows, out / "benchmark.png")
    print(table)


@torch.no_grad()
def _latencies(subjects: Mapping[str, Subject], size: int, repeats: int, device: torch.device) -> dict[str, dict[str, float]]:
    """Median seconds of a picture, by what of it is known before: see `KINDS`."""
    content, style = torch.rand(1, 3, size, size), torch.rand(1, 3, STYLE_SIDE, STYLE_SIDE)
    seconds: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in KINDS} for name in subjects}
    for turn in range(repeats + 1):
        for name, subject in subjects.items():
            started = time.perf_counter()
            code = subject.code(style)
            middle = now(device)
            encoded = subject.encode(content)
            last = now(device)
            subject.render(encoded, code).cpu()  # copying back waits for a GPU to finish
            ended = time.perf_counter()
            if turn:
                for kind, since in zip(KINDS, (last, middle, started)):
                    seconds[name][kind].append(ended - since)
    return {name: {kind: statistics.median(values) for kind, values in kinds.items()} for name, kinds in seconds.items()}


@torch.no_grad()
def _peak_memory(name: str, size: int, device: str) -> float:
    """MiB that one picture takes above the loaded model, its style known."""
    subject = load_subject(name, device)
    content = torch.rand(1, 3, size, size)
    code = subject.code(torch.rand(1, 3, 64, 64))
    if pick_device(device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        subject.render(subject.encode(content), code)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with PeakRss() as peak:
        subject.render(subject.encode(content), code)
    return peak.above_start / 2**20


def _in_child(function: Callable[[str, int, str], float], *arguments: object) -> float:
    """A process of its own for each measurement: memory that an allocator kept from the last one would not count."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _table(rows: list[dict[str, Any]]) -> str:
    """Markdown; the last columns are how many times faster than the published networks, nothing known before."""
    took = {(row["model"], row["size"]): row.get("all", math.nan) for row in rows}
    lines = [
        "| model | side, px | slider, s | style cached, s | all, s | peak memory, MiB | file, MiB | x VGG-19 | x MicroAST |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        times = " | ".join(f"{row[kind]:.3f}" if kind in row else "" for kind in KINDS)
        ratios = " | ".join(f"{took[name, row['size']] / row['all']:.1f}" if "all" in row else "" for name in (VGG, MICRO))
        memory = f"{row['peak_memory_mib']:.0f}" if "peak_memory_mib" in row else ""
        lines.append(f"| {row['model']} | {row['size']} | {times} | {memory} | {row['file_mib']:.1f} | {ratios} |")
    return "\n".join(lines) + "\n"


def _plot(rows: list[dict[str, Any]], picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, key, label in zip(figure.subplots(1, 2), ("all", "peak_memory_mib"), ("seconds", "peak memory, MiB")):
        for index, name in enumerate(dict.fromkeys(row["model"] for row in rows)):
            points = [(row["size"], row[key]) for row in rows if row["model"] == name and key in row]
            if points:  # in one colour on both sides
                axes.loglog(*zip(*points), marker="o", label=name, color=f"C{index}")
        axes.set(xlabel="side of the picture, px", ylabel=label)
        sizes = sorted({row["size"] for row in rows if key in row})
        axes.set_xticks(sizes, labels=map(str, sizes))
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.3, which="both")
    handles = {text: line for axes in figure.axes for line, text in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=4)
    figure.savefig(picture, dpi=120)
