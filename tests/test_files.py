from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from nst_adain.files import check_folder, write_atomic


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
