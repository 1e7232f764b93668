"""How many pictures a second `nst-adain batch` makes, beside the network alone and single calls."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

from nst_adain.batch.folder import stylize_folder
from nst_adain.device import Precision
from nst_adain.errors import UsageError, at_least
from nst_adain.figures.gallery import draw
from nst_adain.figures.samples import PHOTOGRAPHS, photograph
from nst_adain.images.io import WRITABLE_SUFFIXES, load_image, save_image
from nst_adain.models.pretrained import DEFAULT_MODEL
from nst_adain.stylizer import Stylizer
from train.measure.resources import now

__all__ = ["throughput"]


def throughput(
    count: int = 24,
    size: int = 512,
    suffix: str = ".jpg",
    model: str = DEFAULT_MODEL,
    repeats: int = 5,
    encoder: Path | None = None,
    device: str = "auto",
    precision: Precision = "auto",
) -> None:
    """Print pictures per second of the network alone, of single calls, and of `batch`, which overlaps reading and writing.

    Args:
        count: pictures in the folder.
        size: their side in pixels.
        suffix: format of the files, in and out.
        model: a model that ships, or a .safetensors file.
        repeats: measurements of each, in turn, of which medians are shown, after one that is not counted.
        encoder: full-width VGG-19, for a model that is a decoder alone.
        device: where to run.
        precision: of the model.

    Raises:
        UsageError: if a number is below 1, or no format that can be written has this suffix.
    """
    at_least(1, count=count, size=size, repeats=repeats)
    if suffix not in WRITABLE_SUFFIXES:
        raise UsageError(f"suffix: expected one of {', '.join(WRITABLE_SUFFIXES)}, got {suffix!r}")
    stylizer = Stylizer.from_pretrained(model, encoder=encoder, device=device, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        photos, styles = Path(folder, "photos"), Path(folder, "styles")
        painting, paths = styles / "mosaic.png", _make_photographs(photos, count, size, suffix)
        styles.mkdir()
        save_image(draw("mosaic"), painting)
        loaded = [load_image(path) for path in paths]

        def alone() -> None:
            style = stylizer.encode_style(painting)
            for picture in loaded:
                stylizer(picture, style)

        def singly() -> None:
            style = stylizer.encode_style(painting)
            for path in paths:
                save_image(stylizer(path, style), Path(folder) / f"single{suffix}")

        def batch() -> None:
            report = stylize_folder(stylizer, photos, styles, Path(folder, "out"), suffix=suffix, overwrite=True)
            assert report.done == count, report

        seconds = _medians({"the network alone": alone, "single calls": singly, "batch": batch}, repeats, stylizer.device)
    print("| | pictures per second | time, of the network alone |\n| --- | --- | --- |")
    for name, taken in seconds.items():
        print(f"| {name} | {count / taken:.1f} | {taken / seconds['the network alone']:.2f} |")


def _make_photographs(folder: Path, count: int, size: int, suffix: str) -> list[Path]:
    """Files of `count` squares in a new folder: scikit-image's photographs, and then the same turned."""
    folder.mkdir()
    for index in range(count):
        picture = photograph(PHOTOGRAPHS[index % len(PHOTOGRAPHS)]).rotate(90 * (index // len(PHOTOGRAPHS)))
        save_image(picture.resize((size, size), Image.Resampling.LANCZOS), folder / f"{index}{suffix}")
    return sorted(folder.iterdir())


def _medians(ways: dict[str, Callable[[], None]], repeats: int, device: torch.device) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, make in ways.items():
            started = now(device)
            make()
            if turn:
                taken[name].append(now(device) - started)
    return {name: statistics.median(values) for name, values in taken.items()}
