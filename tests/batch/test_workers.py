"""Several processes make what one makes, and end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from conftest import picture

from nst_adain.batch.folder import stylize_folder
from nst_adain.errors import UsageError
from nst_adain.stylizer import Stylizer


def results(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.png")}


@pytest.mark.slow  # ordinary runs follow the guide, which has workers
def test_workers_make_what_one_process_makes(slim: Stylizer, folders: Path) -> None:
    for i in range(6):
        picture(20, 20, i).save(folders / "photos" / f"more{i}.png")
    photos, styles = folders / "photos", folders / "styles"
    alone = stylize_folder(slim, photos, styles, folders / "one")
    threads = torch.get_num_threads()
    shared = stylize_folder(slim, photos, styles, folders / "two", workers=2)
    assert (shared.done, shared.failed) == (alone.done, alone.failed)
    assert shared.done == 16
    assert torch.get_num_threads() == threads
    assert results(folders / "two") == results(folders / "one")


def test_wrong_workers_are_named(slim: Stylizer, folders: Path) -> None:
    arguments = (slim, folders / "photos", folders / "styles", folders / "out")
    with pytest.raises(UsageError, match="workers: expected at least 1, got 0"):
        stylize_folder(*arguments, workers=0)
    with pytest.raises(UsageError, match="workers: not allowed with devices"):
        stylize_folder(*arguments, workers=2, devices=["cpu"])
    if not torch.accelerator.is_available():
        with pytest.raises(UsageError, match="devices: expected the GPUs of this machine, found none"):
            stylize_folder(*arguments, devices=["all"])
    assert not (folders / "out").exists()


@pytest.mark.slow
def test_each_device_gets_a_process(slim: Stylizer, folders: Path) -> None:
    arguments = (slim, folders / "photos", folders / "styles", folders / "out")
    with pytest.raises(UsageError, match="device: expected one of this machine, such as cpu, got 'abacus'"):
        stylize_folder(*arguments, devices=["abacus", "abacus"])
    assert not (folders / "out").exists()
    assert stylize_folder(*arguments, devices=["cpu", "cpu"]).done == 4


@pytest.mark.gpu
def test_every_gpu_gets_a_process(folders: Path) -> None:
    stylizer = Stylizer.from_pretrained("slim")
    assert stylize_folder(stylizer, folders / "photos", folders / "styles", folders / "out", devices=["all"]).done == 4


def _start(folders: Path) -> subprocess.Popen[bytes]:
    for i in range(400):
        (folders / "photos" / f"more{i}.png").symlink_to("a.png")
    command = [sys.executable, "-m", "nst_adain", "batch", "photos", "--styles", "styles", "-o", "out", "--workers", "2",
               "--size", "256", "--model", "slim"]  # fmt: skip
    process = subprocess.Popen(command, cwd=folders, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while len(results(folders / "out")) < 4 and time.monotonic() < deadline:
        time.sleep(0.1)
    return process


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(folders: Path, number: signal.Signals) -> None:
    process = _start(folders)
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, number)
    said = process.communicate(timeout=60)[1].decode()
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert len(gone) >= 2
    assert not alive
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert said.splitlines()[-1] == "nst-adain: interrupted"
        assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
def test_a_worker_that_is_killed_ends_the_call_and_the_next_goes_on(folders: Path) -> None:
    process = _start(folders)
    workers = [c for c in psutil.Process(process.pid).children() if "spawn_main" in " ".join(c.cmdline())]
    workers[0].kill()
    said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert said.endswith("a worker ended before its work, perhaps for lack of memory; call again to go on\n")
    before = len(results(folders / "out"))
    slim = Stylizer.from_pretrained("slim")
    report = stylize_folder(slim, folders / "photos", folders / "styles", folders / "out", size=256, workers=2)
    assert report.skipped == before
    assert report.skipped + report.done == 2 * 402
