"""Files are written whole or not at all, and what a killed process left is removed."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from conftest import stray

from nst_adain import files
from nst_adain.files import check_folder, remove_strays, replacing, write_atomic, write_new

STEPS = ["builtins.open", "nst_adain.files.lock", "os.fsync", "os.link", "os.replace", "pathlib.Path.unlink"]
# Ends this process before or after a step of writing a file, as a kill or a power failure does.
KILLED = """
import builtins, nst_adain.files, os, pathlib, sys
step, when, function, path = sys.argv[1:]
owner, name = step.rsplit(".", 1)
owner = eval(owner)
real = getattr(owner, name)

def fatal(*arguments, **options):
    if when == "after":
        real(*arguments, **options)
    os.kill(os.getpid(), 9)

write = getattr(nst_adain.files, function)
setattr(owner, name, fatal)
write(path, b"new" * 1000)
"""


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.bin"
    write_atomic(path, b"old")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match=r"disk full: .*x\.bin"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_and_leads_to_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.bin").symlink_to(tmp_path / "elsewhere" / "x.bin")
    for data in (b"first", b"second"):  # a link that leads nowhere yet, and one that does
        write_atomic(tmp_path / "link.bin", data)
        assert (tmp_path / "link.bin").is_symlink()
        assert (tmp_path / "elsewhere" / "x.bin").read_bytes() == data
    assert list((tmp_path / "elsewhere").iterdir()) == [tmp_path / "elsewhere" / "x.bin"]


def test_a_link_into_no_folder_is_said_before_the_work(tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "none" / "x.png")
    with pytest.raises(FileNotFoundError, match=r"link\.png: the folder .*none does not exist"):
        check_folder(link)


def test_a_disk_that_can_only_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EROFS, "Read-only file system", ".hidden")

    monkeypatch.setattr("builtins.open", fail)
    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(OSError, match=r"Read-only file system: .*x\.bin"):
        write_atomic(tmp_path / "x.bin", b"new")


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("pipe.png")
    for name in ("pipe.png", "link.png"):
        with pytest.raises(FileExistsError, match=rf"{name}: expected the name of a file, found a pipe or a device"):
            check_folder(tmp_path / name)


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_is_whole_and_never_replaces_another(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> NoReturn:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr("os.link", none)
    path = tmp_path / "x.json"
    write_new(path, b"first")
    with pytest.raises(FileExistsError, match=r"x\.json"):
        write_new(path, b"second")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.json", b"first")]


@pytest.mark.parametrize("write", [write_atomic, write_new])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_whatever_step_fails_the_file_is_old_or_new_and_nothing_else_stays(
    tmp_path: Path,
    write: Callable[[Path, bytes], None],
    step: str,
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "x.bin"
    before = b"old" if write is write_atomic else None
    if before:
        path.write_bytes(before)

    def fail(*_: object, **__: object) -> NoReturn:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(step, fail)
        with contextlib.suppress(OSError, KeyboardInterrupt):
            write(path, b"new")
    remove_strays(tmp_path)  # of these steps only `unlink` leaves anything to it
    found = [p.read_bytes() for p in tmp_path.iterdir()]
    assert found in ([before] if before else [], [b"new"])


@pytest.mark.skipif(sys.platform == "win32", reason="there no signal kills")
@pytest.mark.parametrize("function", ["write_atomic", "write_new"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whenever_it_is_killed_the_file_is_old_or_new_and_the_next_call_clears_up(
    tmp_path: Path, function: str, when: str
) -> None:
    for step in STEPS:
        folder = tmp_path / step
        folder.mkdir()
        if function == "write_atomic":
            (folder / "x.bin").write_bytes(b"old")
        done = subprocess.run([sys.executable, "-c", KILLED, step, when, function, str(folder / "x.bin")], check=False)
        unused = "os.link" if function == "write_atomic" else "os.replace"
        assert done.returncode == (0 if step == unused else -signal.SIGKILL)
        remove_strays(folder / "x.bin")
        old = [b"old"] if function == "write_atomic" else []
        assert [p.read_bytes() for p in folder.iterdir()] in (old, [b"new" * 1000])
        if function == "write_atomic" or not list(folder.iterdir()):
            getattr(files, function)(folder / "x.bin", b"again")
            assert [p.read_bytes() for p in folder.iterdir()] == [b"again"]


def test_what_is_being_written_is_no_stray(tmp_path: Path) -> None:
    with replacing(tmp_path / "out.mp4", ".mp4") as partial:
        partial.write_bytes(b"whole")
        left = stray(tmp_path, suffix=".mp4")
        remove_strays(tmp_path)
        assert partial.exists()
        assert not left.exists()
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("out.mp4", b"whole")]


def test_only_names_of_our_own_are_strays(tmp_path: Path) -> None:
    own = stray(tmp_path).name
    names = [own[1:], own + "~", own.upper(), own.replace(".partial", ""), ".partial", f".{'0' * 23}.partial", own + ".x/y"]
    others = [tmp_path / name for name in names[:-1]]
    for path in others:
        path.write_bytes(b"theirs")
    (tmp_path / names[-1][:-2]).mkdir()
    (tmp_path / f".{files._HOST}{'1' * 16}.partial").symlink_to(others[0])
    before = {path.name for path in tmp_path.iterdir()}
    remove_strays(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before - {own}
    remove_strays(tmp_path / "no such folder" / "x.png")


def test_what_another_computer_writes_is_a_stray_after_a_day(tmp_path: Path) -> None:
    path = stray(tmp_path, host="00000000" if files._HOST != "00000000" else "11111111")
    remove_strays(tmp_path)
    assert path.exists()
    os.utime(path, (time.time() - 25 * 3600,) * 2)
    with path.open("rb") as held:
        files.lock(held)
        remove_strays(tmp_path)
        assert path.exists()
    remove_strays(tmp_path)
    assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there nothing is held")
def test_where_a_lock_keeps_its_own_process_out_files_are_written_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_others_can_write", lambda _: False)  # as on an SMB share
    with files.replacing(tmp_path / "a.txt") as partial:
        assert partial.name.startswith(".00000000")
        partial.write_bytes(b"new")
        files.remove_strays(tmp_path / "a.txt")
        assert partial.exists()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


def test_without_locks_everything_is_written_and_nothing_is_a_stray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> NoReturn:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files, "lock", none)
    write_atomic(tmp_path / "x.bin", b"whole")
    left = stray(tmp_path)
    remove_strays(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([left.name, "x.bin"])


def test_a_file_that_is_taken_for_a_stray_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, calls = files.lock, []

    def slow(file: object) -> None:
        if not calls:
            calls.append(file)
            remove_strays(tmp_path)
        lock(file)  # type: ignore[arg-type]

    monkeypatch.setattr(files, "lock", slow)
    write_atomic(tmp_path / "x.bin", b"whole")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("x.bin", b"whole")]
