"""Which files are pictures, how they are found in folders, and how large they may be."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import picture
from PIL import Image

from nst_adain.errors import ImageError
from nst_adain.images.io import load_image
from nst_adain.images.opening import find_images, register_heic


def test_heic_says_which_library_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_heic()
    picture(64, 48).save(tmp_path / "x.heic")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"x\.heic: to read pictures of type HEIC: pip install '\.\[heic\]' in a checkout"):
        load_image(tmp_path / "x.heic")


def test_pixel_limit_says_both_numbers_and_can_be_raised(tmp_path: Path) -> None:
    picture(100, 50).save(tmp_path / "x.png")
    with pytest.raises(ImageError, match=r"100 x 50 is 5,000 pixels, more than the limit of 4,999"):
        load_image(tmp_path / "x.png", max_pixels=4999)
    assert load_image(tmp_path / "x.png", max_pixels=5000).size == (100, 50)


def test_our_limit_replaces_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(100, 50).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert load_image(tmp_path / "x.png").size == (100, 50)
    assert Image.MAX_IMAGE_PIXELS == 10


def test_find_images_is_recursive_sorted_and_skips_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "scans.jpg").mkdir()
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt", "deep/c.webp", "deep/d.HIF", ".git/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(p.relative_to(tmp_path)) for p in find_images(tmp_path)] == ["a.png", "b.JPG", "deep/c.webp", "deep/d.HIF"]
    with pytest.raises(NotADirectoryError, match="no such folder"):
        find_images(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: expected pictures"):
        find_images(tmp_path / "empty")


def test_find_images_follows_links_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "data" / "class").mkdir(parents=True)
    (tmp_path / "data" / "class" / "a.png").touch()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one").symlink_to(tmp_path / "data" / "class")
    (tmp_path / "data" / "class" / "back").symlink_to(tmp_path / "photos")
    assert [str(p.relative_to(tmp_path)) for p in find_images(tmp_path / "photos")] == ["photos/one/a.png"]


def test_folders_that_cannot_be_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "locked/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def locked(folder: Path) -> Iterator[Path]:  # as for who is not root
        if folder.name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return iterdir(folder)

    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", locked)
    failed: list[tuple[Path, str]] = []
    assert find_images(tmp_path, failed) == [tmp_path / "a.png"]
    assert failed[0][0] == tmp_path / "locked"
    assert "expected a folder that can be read: Permission denied" in failed[0][1]
    with pytest.raises(PermissionError, match="locked"):
        find_images(tmp_path)
