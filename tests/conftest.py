"""Pictures and small models that the tests make for themselves."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import configuration, settings
from PIL import Image

from nst_adain import files
from nst_adain.cli.main import main
from nst_adain.figures import gallery
from nst_adain.figures.samples import save_inputs
from nst_adain.models.architecture import LAYERS, Architecture
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import read_weights, save_weights
from nst_adain.stylizer import Stylizer
from train import patterns
from train.config import TrainConfig
from train.report import read_losses

if TYPE_CHECKING:
    from nst_adain.web.actions import Actions

# Processes of tests that run at once, and the commands that they start, share out the cores: threads that wait for one another
# on a core that another process has take many times as long.
if at_once := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(at_once)))
    os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())

# Property tests find the same examples in every run, are never late, and leave nothing in the folder that they run in.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "nst_adain-hypothesis")
settings.register_profile("reproducible", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile("reproducible")

SHARED = Path(__file__).resolve().parents[2] / "shared"
TEACHER = SHARED / "teacher" / "vgg19_normalised_relu4_1.safetensors"


def picture(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    """Smooth colours, so that lossy formats keep them nearly as they are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def png(depth: int, kind: int, row: bytes, key: tuple[int, ...] = ()) -> bytes:
    """A PNG file of 8 equal rows of 8 pixels, of a bit depth that Pillow does not write, and the colour that is transparent."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, kind, 0, 0, 0))
    transparent = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) if key else b""
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * 8))
    return b"\x89PNG\r\n\x1a\n" + header + transparent + pixels + chunk(b"IEND", b"")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    picture(45, 31, seed=1).save(path)
    return path


@pytest.fixture
def painting(tmp_path: Path) -> Path:
    path = tmp_path / "painting.png"
    picture(64, 50, seed=2).save(path)
    return path


@pytest.fixture(scope="session")
def slim() -> Stylizer:
    """The shipped weights, in the same precision on every machine."""
    return Stylizer.from_pretrained("slim", device="cpu", precision="float32")


@pytest.fixture(scope="session")
def base() -> Stylizer:
    """The default, likewise."""
    return Stylizer.from_pretrained(device="cpu", precision="float32")


draw = functools.cache(gallery.draw)  # a style takes a third of a second
draw_pattern = functools.cache(patterns.draw_pattern)  # likewise


@pytest.fixture(scope="session", autouse=True)
def _each_style_is_drawn_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for place in ("cli.drawn", "demo", "figures.samples", "site.static_site"):
            patch.setattr(f"nst_adain.{place}.draw", draw)
        patch.setattr(patterns, "draw_pattern", draw_pattern)
        yield


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `nst-adain demo --inputs` writes; to be left as it is."""
    folder = tmp_path_factory.mktemp("page") / "samples"
    save_inputs(folder)
    return folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the graphs that `nst-adain export` writes, which takes ten seconds; to be left as it is."""
    folder = tmp_path_factory.mktemp("onnx")
    assert main(["export", "--model", "slim", "-o", str(folder)]) == 0
    return folder


@pytest.fixture
def actions(samples: Path) -> Actions:
    """Of a page that nobody serves."""
    from nst_adain.web.actions import Actions
    from nst_adain.web.studio import Studio

    return Actions(Studio(device="cpu", precision="float32"), samples.parent.resolve())


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three photographs in a tree, one of them damaged, and two styles."""
    for name, seed in (("photos/a.png", 1), ("photos/deep/b.png", 2), ("styles/x.png", 3), ("styles/y.png", 4)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture(40, 30, seed).save(tmp_path / name)
    (tmp_path / "photos" / "bad.png").write_text("no picture")
    return tmp_path


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """Ray on two cores, which what runs in this process joins."""
    os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
    import ray

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def several_cores() -> Iterator[None]:
    """Pictures of a batch are computed at the same time, however few cores these tests are given."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(2, threads))
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _same_numbers_in_every_run() -> None:
    """Random inputs are alike in each run of a test, alone or among others."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _same_precision_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not told its precision computes in float32, whatever the processor can."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)


@pytest.fixture
def tiny_model() -> StyleTransfer:
    torch.manual_seed(0)
    model = StyleTransfer(Architecture(width=1 / 8, modulation=8))
    assert model.modulator is not None
    torch.nn.init.normal_(model.modulator.output.weight, std=0.3)  # as made, it changes nothing
    return model


@pytest.fixture(scope="session")
def teacher() -> Path:
    if not TEACHER.is_file():
        pytest.skip(f"needs the VGG-19 teacher at {TEACHER}")
    return TEACHER


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """Six small pictures of each kind, one of them grey and one flat, and a narrow loss network; losses are not plotted."""
    monkeypatch.setattr("train.trainer.plot_losses", lambda log, picture: None)  # as long as five steps
    for kind in ("content", "style"):
        (tmp_path / kind).mkdir()
        for i in range(6):
            picture(50 + 3 * i, 40 + i, seed=10 * i + len(kind)).save(tmp_path / kind / f"{i}.png")
        picture(48, 48).convert("L").save(tmp_path / kind / "6.png")
        picture(48, 48).resize((1, 1)).resize((48, 48)).save(tmp_path / kind / "7.png")
    torch.manual_seed(1)
    arch = Architecture("vgg16", 1 / 8, LAYERS)
    save_weights(tmp_path / "teacher.safetensors", arch, StyleTransfer(arch).state_dict())
    return TrainConfig(
        content=tmp_path / "content", style=tmp_path / "style", teacher=tmp_path / "teacher.safetensors", out=tmp_path / "run",
        width=1 / 8, modulation=8, steps=8, batch_size=2, crop=32, holdout=1, warmup=2, save_every=2, sample_every=4,
        precision="float32", cpu=True,
    )  # fmt: skip


def stray(folder: Path, host: str = files._HOST, suffix: str = "") -> Path:
    """A file as a process leaves it that is killed while it writes."""
    path = folder / f".{host}{len(list(folder.iterdir())):016x}.partial{suffix}"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - 3600,) * 2)
    return path


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    return read_weights(run / "weights.safetensors")[0]


def losses(run: Path, column: str = "loss") -> list[float]:
    return [float(row[column]) for row in read_losses(run / "losses.csv")]


@contextlib.contextmanager
def serving(*options: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str], str]]:
    """`nst-adain app`: its address, its process, what it said. A process, because Gradio leaves sockets open where it runs."""
    command = [sys.executable, "-m", "nst_adain", "app", "--no-browser", "--device", "cpu", "--precision", "float32", *options]
    # Before the working directory is searched, a sitecustomize would import whatever is installed.
    tree = str(Path(__file__).resolve().parents[1])
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [environment.get("PYTHONPATH"), tree, os.environ.get("PYTHONPATH")])
    )
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("http://"):
                yield line.split()[0].rstrip("/"), process, said
                break
        else:
            pytest.fail(f"the page did not start: {said}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where a page is served."""
    with serving() as (address, *_):
        yield address


@pytest.fixture(scope="session")
def closed() -> Iterator[tuple[str, list[str]]]:
    """A page that "ada" opens with the password "in", and the lines of its log."""
    with serving(NST_ADAIN_USER="ada", NST_ADAIN_PASSWORD="in") as (address, process, _):
        assert process.stdout is not None
        log: list[str] = []
        reader = threading.Thread(target=log.extend, args=(process.stdout,), daemon=True)
        reader.start()
        yield address, log
        process.terminate()
        reader.join(60)


@pytest.fixture(scope="session")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page that waits a second for what a client sends, and for what is never finished."""
    folder = tmp_path_factory.mktemp("impatient")
    (folder / "sitecustomize.py").write_text("""
from nst_adain.web import limits, uploads
limits.HEADER_SECONDS = limits.PIECE_SECONDS = uploads.UNFINISHED_SECONDS = 1.0
uploads.SWEEP_SECONDS = 0.2
""")
    with serving(PYTHONPATH=str(folder)) as (address, *_):
        yield address
