"""JPEG files that are cut short or unfinished, and what cameras put behind them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from conftest import picture
from PIL import Image

from nst_adain.errors import ImageError, ImageWarning
from nst_adain.images import jpeg
from nst_adain.images.io import load_image


def file(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or picture(64, 48)).save(buffer, kind, **options)
    return buffer.getvalue()


JPEGS: dict[str, dict[str, object]] = {
    "plain": {}, "subsampled": {"subsampling": 2}, "progressive": {"progressive": True}, "restart": {"restart_marker_rows": 1}
}  # fmt: skip


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("flat", [False, True])
def test_a_jpeg_is_read_without_its_end_unless_something_is_missing(kind: str, flat: bool, tmp_path: Path) -> None:
    image, path = picture(300, 200, seed=4), tmp_path / "x.jpg"
    if flat:
        image.paste((128, 128, 128), (0, 150, 300, 200))
    whole = file("JPEG", image, quality=90, **JPEGS[kind])
    path.write_bytes(whole)
    expected = load_image(path).tobytes()
    for lost in (1, 2):
        path.write_bytes(whole[:-lost])
        with pytest.warns(ImageWarning, match=r"x\.jpg: this JPEG file has no end marker"):
            assert load_image(path).tobytes() == expected
    for part in (0.5, 0.8):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(ImageError, match=r"x\.jpg: the picture is damaged or cut short"):
            load_image(path)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (7, 7), (400, 5)])
@pytest.mark.parametrize("kind", JPEGS)
def test_small_and_flat_jpegs_are_whole(size: tuple[int, int], kind: str, tmp_path: Path) -> None:
    path, whole = tmp_path / "x.jpg", file("JPEG", Image.new("RGB", size, "white"), **JPEGS[kind])
    path.write_bytes(whole)
    assert load_image(path).size == size
    path.write_bytes(whole[:-2])
    with pytest.warns(ImageWarning):
        assert load_image(path).size == size


def test_what_cameras_put_behind_a_picture_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, path = file("JPEG", picture(300, 200, seed=4), quality=90), tmp_path / "x.jpg"
    flat = file("JPEG", Image.new("RGB", (300, 200), "white"))
    for first in (whole, flat, file("JPEG", picture(300, 200), progressive=True)):
        monkeypatch.setattr(jpeg, "_MOST", 12 * 300 * 200)
        for behind in (b"\xff\xda" * 1000, whole, b"text\xff\xd9"):
            path.write_bytes(first + behind)
            assert load_image(path).size == (300, 200)
            path.write_bytes(whole[: len(whole) // 2] + b"\xff\xd9" + behind)
            with pytest.raises(ImageError, match="its last rows are missing"):
                load_image(path)


@pytest.mark.parametrize("kind", ["plain", "subsampled", "restart"])
def test_an_end_marker_before_the_last_row_is_no_end(kind: str, tmp_path: Path) -> None:
    whole = file("JPEG", picture(300, 200, seed=4), quality=90, **JPEGS[kind])
    (tmp_path / "x.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9")
    with pytest.raises(ImageError, match=r"x\.jpg: the picture is damaged or cut short \(its last rows are missing\)"):
        load_image(tmp_path / "x.jpg")


def test_scans_are_bounded_by_the_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(file("JPEG", progressive=True))
    scans = path.read_bytes().count(b"\xff\xda")
    assert scans > 3
    monkeypatch.setattr(jpeg, "_MOST", scans * 64 * 48)
    assert load_image(path).size == (64, 48)
    monkeypatch.setattr(jpeg, "_MOST", scans * 64 * 48 - 1)
    with pytest.raises(ImageError, match=rf"x\.jpg: expected a picture in some ten scans, found {scans} of 3,072 pixels each"):
        load_image(path)
