"""Every command works without standard output and standard error, and nothing is printed into its files."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import picture
from samples import film

from nst_adain.cli.main import main
from nst_adain.images.io import load_image
from nst_adain.streams import open_missing_streams, progress_bar
from nst_adain.stylizer import Stylizer

STREAMS = ("stdout", "stderr")


@pytest.fixture
def folder(tmp_path: Path, photo: Path, painting: Path) -> Path:
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(photo, tmp_path / "photos" / name)
    (tmp_path / "photos" / "damaged.png").write_bytes(photo.read_bytes()[:200])
    picture(300, 200).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-2])  # read with a warning
    film(tmp_path / "film.mp4", 2)
    return tmp_path


SMALL = "--size 16 --model slim --device cpu"
COMMANDS = {
    "stylize cut.jpg painting.png -o out.png --tile 8 " + SMALL: 0,
    "stylize none.jpg painting.png -o out.png " + SMALL: 1,
    "stylize photo.png painting.png -o out.png --alpha x.y.z,8 --model": 2,
    "batch photos --styles painting.png -o out " + SMALL: 1,  # a photograph is damaged
    "video film.mp4 painting.png -o out.mp4 " + SMALL: 0,
    "grid --contents photo.png --styles painting.png -o out.png --cell 16 --model slim --device cpu": 0,
    "compare photo.png painting.png -o out.png --cell 16 --device cpu": 0,
    "morph photo.png painting.png photo.png -o out.gif --frames 2 " + SMALL: 0,
    "demo -o out.png --model slim --device cpu": 0,
}


@pytest.mark.parametrize(
    ("command", "missing"), [*((command, "none") for command in COMMANDS), (next(iter(COMMANDS)), "closed")]
)
def test_commands_need_no_streams(command: str, missing: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pythonw and frozen programs start them."""
    monkeypatch.chdir(folder)
    for name in STREAMS:
        closed = io.StringIO()
        closed.close()
        monkeypatch.setattr(sys, name, None if missing == "none" else closed)
    try:
        status = main(shlex.split(command))
    except SystemExit as error:
        status = int(str(error.code))
    assert status == COMMANDS[command]
    made = [path for path in folder.rglob("*") if path.name.startswith("out") or "out" in path.parent.name]
    assert bool(made) == (status == 0 or command.startswith("batch"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_what_is_printed_does_not_go_into_files(folder: Path) -> None:
    """The first file that a process opens gets the number of a stream that is closed."""
    command = f"{sys.executable} -m nst_adain stylize cut.jpg painting.png -o out.png {SMALL} 2>&-"
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, check=False, env=environment())
    assert done.returncode == 0
    assert load_image(folder / "out.png").size == (24, 16)
    batch = f"{sys.executable} -m nst_adain batch photos --styles painting.png -o out {SMALL} <&- >&- 2>&-"
    done = subprocess.run(["sh", "-c", batch], cwd=folder, capture_output=True, check=False, env=environment())
    assert done.returncode == 1
    assert len([load_image(path) for path in (folder / "out").glob("*.png")]) == 2


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_the_numbers_of_missing_streams_are_taken(tmp_path: Path) -> None:
    code = f"""
import os, sys
from nst_adain.streams import open_missing_streams
open_missing_streams()
with open({str(tmp_path / "x")!r}, "w") as file:
    print("lost")
    print("lost", file=sys.stderr)
    os.write(1, b"lost")
    os.write(2, b"lost")
    file.write(str(file.fileno() > 2))"""
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        subprocess.run(["sh", "-c", f"{sys.executable} -c {shlex.quote(code)} {closed}"], check=True, env=environment(),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        assert (tmp_path / "x").read_text() == "True"


def test_streams_that_are_there_stay() -> None:
    before = [getattr(sys, name) for name in ("stdin", *STREAMS)]
    open_missing_streams()
    assert [getattr(sys, name) for name in ("stdin", *STREAMS)] == before


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_bars_are_shown_only_where_there_is_standard_error(
    stream: io.StringIO | None, slim: Stylizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(progress_bar(range(3), unit="thing", shown=True)) == [0, 1, 2]
    with progress_bar(total=2, unit="thing", shown=True) as bar:
        bar.update()
    slim(picture(32, 32), picture(), tile=8, progress=True)
    if stream is not None:
        assert "2/2" in stream.getvalue() or "1/2" in stream.getvalue()
        stream.close()
        assert list(progress_bar(range(3), unit="thing", shown=True)) == [0, 1, 2]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_processes_that_are_started_have_streams_too(tmp_path: Path) -> None:
    said = tmp_path / "said"
    child = f"echo there is an error stream >&2 && echo yes > {shlex.quote(str(said))}"
    code = f"""if True:
        import subprocess
        from nst_adain.streams import open_missing_streams
        open_missing_streams()
        subprocess.run(["sh", "-c", {child!r}])"""
    subprocess.run(["sh", "-c", f"exec {shlex.quote(sys.executable)} -c {shlex.quote(code)} <&- >&- 2>&-"], check=True)
    assert said.read_text() == "yes\n"
