"""Time and memory of the models beside the published topology, all in one run."""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

from nst_adain.inputs import pick_device
from nst_adain.models import Architecture, StyleTransfer
from nst_adain.pretrained import load_model
from nst_adain.stylizer import Stylizer

__all__ = ["benchmark"]

# Both encoder and decoder of the paper. Time does not depend on the weights, so random ones serve.
PUBLISHED = "published VGG-19"
STYLE_SIDE = 512  # pixels; what `Stylizer` reduces style pictures to


def benchmark(
    out: Path,
    models: tuple[str, ...] = ("slim",),
    sizes: tuple[int, ...] = (256, 512, 1024, 2048),
    repeats: int = 5,
    device: str = "auto",
) -> None:
    """Measure models in turn, so that whatever else the machine does meets all alike; write a table and a plot.

    Args:
        out: folder for benchmark.md, benchmark.json and benchmark.png, made if need be.
        models: models that ship, or .safetensors files with an encoder.
        sizes: sides of the square content pictures, in pixels.
        repeats: timed runs of each, of which the median is shown, after one that is not timed.
        device: where to run.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = [*models, PUBLISHED]
    rows = []
    for size in sizes:
        timings = _latencies(names, size, repeats, device)
        for name in names:
            memory = _in_child(_peak_memory, name, size, device)
            row = {"model": name, "size": size, "peak_memory_mib": memory, **timings[name]}
            rows.append(row | {"megapixels_per_s": size * size / 1e6 / row["cached_s"]})
            print(f"{name} {size}: {row['cached_s']:.3f} s", file=sys.stderr)
    result = {"device": str(pick_device(device)), "threads": torch.get_num_threads(), "torch": torch.__version__, "rows": rows}
    (out / "benchmark.json").write_text(json.dumps(result, indent=1))
    table = _table(rows)
    (out / "benchmark.md").write_text(table)
    _plot(rows, out / "benchmark.png")
    print(table)


def _stylizer(name: str, device: str) -> Stylizer:
    published = Architecture("vgg19", 1.0, ("relu4_1",))
    return Stylizer(StyleTransfer(published) if name == PUBLISHED else load_model(name), device)


def _latencies(names: list[str], size: int, repeats: int, device: str) -> dict[str, dict[str, float]]:
    """Median seconds of a call with the style encoded before and in the call."""
    stylizers = {name: _stylizer(name, device) for name in names}
    content, style = torch.rand(1, 3, size, size), torch.rand(1, 3, STYLE_SIDE, STYLE_SIDE)
    encoded = {name: stylizer.encode_style(style) for name, stylizer in stylizers.items()}
    seconds: dict[str, dict[str, list[float]]] = {name: {"cached_s": [], "uncached_s": []} for name in names}
    for turn in range(repeats + 1):
        for name, stylizer in stylizers.items():
            for kind, given in (("cached_s", encoded[name]), ("uncached_s", style)):
                started = time.perf_counter()
                stylizer(content, given).cpu()  # copying back waits for a GPU to finish
                if turn:
                    seconds[name][kind].append(time.perf_counter() - started)
    return {name: {kind: statistics.median(values) for kind, values in kinds.items()} for name, kinds in seconds.items()}


def _peak_memory(name: str, size: int, device: str) -> float:
    """MiB that one call takes above the loaded model."""
    stylizer = _stylizer(name, device)
    content = torch.rand(1, 3, size, size)
    style = stylizer.encode_style(torch.rand(1, 3, 64, 64))
    if stylizer.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(stylizer.device)
        before = torch.cuda.memory_allocated(stylizer.device)
        stylizer(content, style)
        return (torch.cuda.max_memory_allocated(stylizer.device) - before) / 2**20
    with _PeakRss() as peak:
        stylizer(content, style)
    return peak.above_start / 2**20


class _PeakRss(threading.Thread):
    """The most resident memory this process has while the block runs, looked up every millisecond."""

    def __enter__(self) -> _PeakRss:
        self.process, self.done = psutil.Process(), threading.Event()
        self.first = self.highest = self.process.memory_info().rss
        self.start()
        return self

    def run(self) -> None:
        """Watch until the block ends."""
        while not self.done.wait(0.001):
            self.highest = max(self.highest, self.process.memory_info().rss)

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.join()

    @property
    def above_start(self) -> int:
        """Bytes."""
        return self.highest - self.first


def _in_child(function: Callable[[str, int, str], float], *arguments: object) -> float:
    """A process of its own for each measurement: memory that an allocator kept from the last one would not count."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _table(rows: list[dict[str, float | str]]) -> str:
    """Markdown; the last column is how many times faster than the published topology."""
    base = {row["size"]: row["cached_s"] for row in rows if row["model"] == PUBLISHED}
    lines = [
        "| model | side, px | style cached, s | not cached, s | Mpx/s | peak memory, MiB | times as fast |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        lines.append(
            f"| {row['model']} | {row['size']} | {row['cached_s']:.3f} | {row['uncached_s']:.3f} "
            f"| {row['megapixels_per_s']:.2f} | {row['peak_memory_mib']:.0f} | {base[row['size']] / row['cached_s']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def _plot(rows: list[dict[str, float | str]], picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, key, label in zip(figure.subplots(1, 2), ("cached_s", "peak_memory_mib"), ("seconds", "peak memory, MiB")):
        for name in dict.fromkeys(row["model"] for row in rows):
            points = [(row["size"], row[key]) for row in rows if row["model"] == name]
            axes.loglog(*zip(*points), marker="o", label=name)
        axes.set(xlabel="side of the picture, px", ylabel=label)
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    figure.savefig(picture, dpi=120)
