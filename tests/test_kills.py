"""Commands that are killed, interrupted, or run on a disk that is full: nothing is lost, doubled or left half written.

Each is compared with a call that nothing disturbed: on one thread pictures and weights are the same to the bit.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import losses, picture, weights_of
from samples import fit_command, make_video

from nst_adain.files import _PARTIAL
from nst_adain.video.frames import read_frames
from train.checkpoint import CHECKPOINTS, read_checkpoint
from train.config import TrainConfig

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="there no signal ends a process")]

ROOT = Path(__file__).resolve().parents[1]
KILLS = 12
MODEL = ["--device", "cpu", "--precision", "float32"]


class Job(NamedTuple):
    """A command, given the folder for its results; and what these are, which raises an error if one is half written."""

    command: Callable[[Path], list[str]]
    read: Callable[[Path], Any]


def files_of(folder: Path) -> dict[str, bytes]:
    """All but strays, by name. Of settings what both a finished and a broken call say."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    read = {name: path.read_bytes() for name, path in files.items() if not _PARTIAL.fullmatch(path.name)}
    if "batch.json" in read:
        assert json.loads(read["batch.json"])["alpha"] == 1
    return read


def videos_of(folder: Path) -> dict[str, tuple[int, tuple[int, int]]]:
    """Of each video how many frames it has, and of what size."""
    read = {
        path.name: [frame.size for frame in read_frames(path)] for path in folder.iterdir() if not _PARTIAL.fullmatch(path.name)
    }
    return {name: (len(sizes), sizes[-1]) for name, sizes in read.items()}


def run_of(folder: Path) -> dict[str, Any]:
    """What a training has made, without how long it took."""
    for checkpoint in folder.glob(CHECKPOINTS):
        read_checkpoint(checkpoint)
    steps = losses(folder, "step") if (folder / "losses.csv").exists() else []
    assert steps == sorted(set(steps))
    weights = weights_of(folder) if (folder / "weights.safetensors").exists() else {}
    names = sorted(path.name for path in folder.glob("*") if not _PARTIAL.fullmatch(path.name))
    return {"names": names, "steps": steps, "weights": {name: value.numpy().tobytes() for name, value in weights.items()}}


@pytest.fixture(params=["batch", "video", "morph", "fit"])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Job:
    for number in range(10):
        path = tmp_path / "photos" / ("deep" if number % 2 else "") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(320, 240, number).save(path)
    photo, styles = tmp_path / "photos" / "0.png", tmp_path / "styles"
    styles.mkdir()
    for number in range(2):
        picture(64, 64, 20 + number).save(styles / f"{number}.png")
    start = ["-m", "nst_adain", request.param]
    if request.param == "batch":
        return Job(lambda out: [*start, str(tmp_path / "photos"), "--styles", str(styles), "-o", str(out), *MODEL], files_of)
    if request.param == "morph":
        given = [*start, str(photo), *map(str, styles.iterdir()), "--frames", "20", "--size", "160"]
        return Job(lambda out: [*given, "-o", str(out / "out.mp4"), *MODEL], videos_of)
    if request.param == "video":
        source = make_video(tmp_path / "in.mp4", (160, 120), frames=40)
        return Job(lambda out: [*start, str(source), str(styles / "0.png"), "-o", str(out / "out.mp4"), *MODEL], videos_of)
    config: TrainConfig = request.getfixturevalue("config")
    options = ["--save-every", "1", "--sample-every", "10", "--cache-gb", "0", "--steps", "40", "--workers", "1", "--resume"]
    return Job(lambda out: [*fit_command(config), *options, "--out", str(out)], run_of)


def start(job: Job, out: Path, **options: Any) -> subprocess.Popen[str]:
    out.mkdir(exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *job.command(out)], cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, **options,
    )  # fmt: skip


def finish(job: Job, out: Path, **options: Any) -> tuple[int, str]:
    process = start(job, out, **options)
    said = process.communicate()[1]
    return process.returncode, said


def undisturbed(job: Job, out: Path) -> tuple[Any, float]:
    """What a call makes, and how many seconds it takes."""
    began = time.perf_counter()
    status, said = finish(job, out)
    assert status == 0, said
    return job.read(out), time.perf_counter() - began


def assert_part_of(found: Any, whole: Any) -> None:
    """Whatever is there is as in the whole."""
    if "steps" in whole:
        assert found["steps"] == whole["steps"][: len(found["steps"])]
        return
    for name, data in found.items():
        assert name == "batch.json" or data == whole[name], name


def strays(out: Path) -> list[str]:
    return [path.name for path in out.rglob("*") if _PARTIAL.fullmatch(path.name) or path.name.startswith("partial-")]


def test_killed_at_any_moment_the_next_call_goes_on_and_completes(job: Job, tmp_path: Path) -> None:
    whole, seconds = undisturbed(job, tmp_path / "whole")
    rng, found = random.Random(0), 0
    for trial in range(KILLS // 3):
        out = tmp_path / f"out{trial}"
        for _ in range(3):
            process = start(job, out)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0.3, 1) * seconds)
            process.kill()
            process.communicate()
            assert_part_of(job.read(out), whole)
            found += len(strays(out))
        status, said = finish(job, out)
        assert status == 0, said
        assert job.read(out) == whole
        assert not strays(out)
    print(f"{KILLS} kills, {found} files half written, all of them removed; {seconds:.1f} s undisturbed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_interrupted_at_any_moment_it_says_so_and_leaves_nothing_half_written(
    job: Job, tmp_path: Path, number: signal.Signals
) -> None:
    whole, seconds = undisturbed(job, tmp_path / "whole")
    rng, out, ended = random.Random(int(number)), tmp_path / "out", 0
    for _ in range(KILLS // 3):
        process = start(job, out)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.2, 0.9) * seconds)
        process.send_signal(number)
        said = process.communicate()[1]
        assert "Traceback" not in said
        # As a shell tells it: Python ends itself by SIGINT if the interrupt came out of code that was made from a string.
        status = process.returncode if process.returncode >= 0 else 128 - process.returncode
        assert status == 0 or (status == 130 and ": interrupted" in said.splitlines()[-1]), said
        ended += status == 130
        assert_part_of(job.read(out), whole)
        assert [name for name in strays(out) if not name.startswith("partial-")] == []
    assert finish(job, out)[0] == 0
    assert job.read(out) == whole
    assert not strays(out)
    print(f"{ended} of {KILLS // 3} interrupted by {number.name}")


@contextlib.contextmanager
def disk(kind: str, out: Path, whole: Path, part: float) -> Iterator[tuple[dict[str, Any], Callable[[], None]]]:
    """A folder with room for a part of the files that another has: options for a process, and what makes more room."""
    sizes = [-(-path.stat().st_size // 4096) * 4096 for path in whole.rglob("*") if path.is_file()]
    out.mkdir()
    if kind == "limit":  # on the size of a file
        import resource

        largest = max(path.stat().st_size for path in whole.rglob("*") if path.is_file())
        limit = min(int(part * largest), largest - 1)
        yield {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))}, lambda: None
        return
    room = f"size={max(4096, int(part * sum(sizes)) // 4096 * 4096)}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", room, "none", str(out)], capture_output=True, check=False).returncode:
        pytest.skip("needs root, to mount a small disk")
    try:
        yield {}, lambda: subprocess.run(["mount", "-o", "remount,size=1g", str(out)], check=True) and None
    finally:
        subprocess.run(["umount", str(out)], check=True)


@pytest.mark.parametrize("kind", ["tmpfs", "limit"])
def test_on_a_full_disk_it_says_so_and_goes_on_when_there_is_room(job: Job, tmp_path: Path, kind: str) -> None:
    whole, _ = undisturbed(job, tmp_path / "whole")
    for part in (0.3, 0.9, 1.0) if kind == "limit" else (0.1, 0.3, 0.6, 0.9):
        out = tmp_path / f"out{part}"
        with disk(kind, out, tmp_path / "whole", part) as (options, grow):
            status, said = finish(job, out, **options)
            assert "Traceback" not in said
            assert status == 1, said
            assert any(reason in said for reason in ("No space left on device", "File too large")), said
            assert ": error: " in said.splitlines()[-1]
            found = job.read(out)
            found.pop("failures.csv", None)
            assert_part_of(found, whole)
            assert [name for name in strays(out) if not name.startswith("partial-")] == []
            grow()
            status, said = finish(job, out)
            assert status == 0, said
            assert job.read(out) == whole
            assert not strays(out)
