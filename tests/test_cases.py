"""Files that failed once, each with its answer: damaged or odd pictures, and small ones that took minutes or gigabytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from fuzz import CASES
from PIL import Image

from nst_adain.batch.folder import stylize_folder
from nst_adain.cli.main import main
from nst_adain.errors import ImageError, ImageWarning
from nst_adain.images.apart import load_image_apart
from nst_adain.images.io import load_image
from nst_adain.stylizer import Stylizer

REFUSED = {
    "bmp_rle_eol_199M.bmp": r"198,810,000 pixels are too many in this form \(bmp_rle\); save it in another",
    "comments_1MB.gif": "found a file of too many small pieces",
    "foreign-10374-tif_jpeg_L.tif": "damaged or cut short .*corrupted strip",
    "foreign-11294-tif_group4_1.tif": r"found a fax \(TIFF compression 4\)",
    "foreign-26493-tif_tiff_jpeg_YCbCr.tif": "damaged or cut short .*corrupted strip",
    "fuzz-6438-jpg_CMYK.jpg": "damaged or cut short .*its last rows are missing",
    "heap_g4.tif": r"found a fax \(TIFF compression 4\)",
    "jpg_scans_49M.jpg": "found 1,000 of 49,000,000 pixels each",
    "palette_missing.png": "damaged or cut short",
    "raw.dng": "found camera raw data, with a thumbnail; develop it first",
}
READ = {
    "comments_100KB.ppm": (4, 4),
    "fuzz-29061-tif_tiff_deflate_1.tif": (37, 29),
    "icc_tag_is_a_number.tif": (8, 8),
    "noeoi.jpg": (300, 200),
    "png_grey16_49M.png": (7000, 7000),
    "rgb16_ordinary.tif": (80, 60),
    "rgb16_planar.tif": (80, 60),
    "rgb_float32.tif": (80, 60),
    "whole.jpg": (300, 200),
}


def test_every_picture_among_the_cases_has_an_answer() -> None:
    assert {path.name for path in CASES.iterdir() if path.suffix != ".pth"} == REFUSED.keys() | READ.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_line(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImageError, match=REFUSED[name]) as caught:
        load_image(CASES / name)
    assert str(caught.value).startswith(str(CASES / name))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # nor do libraries print anything


@pytest.mark.parametrize("name", READ)
def test_it_is_read_in_ten_seconds_and_a_gigabyte_and_a_half(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    for fill in ("85", "170") if READ[name] < (1000, 1000) else ("0",):
        monkeypatch.setenv("MALLOC_PERTURB_", fill)  # what no decoder wrote to would differ
        read.append(load_image_apart(CASES / name, seconds=10, memory=1536 << 20))
        assert read[-1].size == READ[name]
    assert read[0].tobytes() == read[-1].tobytes()


def test_planes_and_floats_are_the_ordinary_picture() -> None:
    ordinary = np.asarray(load_image(CASES / "rgb16_ordinary.tif"))
    assert ordinary.std() > 30
    for name in ("rgb16_planar.tif", "rgb_float32.tif"):
        assert np.abs(np.asarray(load_image(CASES / name)).astype(int) - ordinary).max() <= 1


def test_a_jpeg_without_its_end_marker_is_read_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(ImageWarning, match=r"noeoi\.jpg: this JPEG file has no end marker"):
        image = load_image(CASES / "noeoi.jpg")
    assert image.tobytes() == load_image(CASES / "whole.jpg").tobytes()
    words = [str(CASES / "noeoi.jpg"), str(CASES / "whole.jpg"), "-o", str(tmp_path / "out.png"), "--size", "16"]
    assert main(["stylize", *words]) == 0
    assert capsys.readouterr().err == (
        f"nst-adain: warning: {CASES / 'noeoi.jpg'}: this JPEG file has no end marker "
        "(image file is truncated (44 bytes not processed)); its rows are all there\n"
    )


def test_a_batch_goes_on_past_every_one_of_them(slim: Stylizer, tmp_path: Path) -> None:
    for folder in ("photos", "styles"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (20, 20), "teal").save(tmp_path / folder / "good.png")
        for name in REFUSED:
            suffix = ".tif" if name.endswith(".dng") else ""
            shutil.copy(CASES / name, tmp_path / folder / (name + suffix))
    report = stylize_folder(slim, tmp_path / "photos", tmp_path / "styles", tmp_path / "out")
    assert report.done == 1
    assert len({path for path, _ in report.failed}) == 2 * len(REFUSED)
    assert len((tmp_path / "out" / "failures.csv").read_text().splitlines()) == 1 + 2 * len(REFUSED)


@pytest.mark.parametrize("as_style", [False, True])
def test_the_command_names_the_file(as_style: bool, tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = CASES / "palette_missing.png"
    assert main(["stylize", *map(str, (photo, bad) if as_style else (bad, photo)), "-o", str(tmp_path / "out.png")]) == 1
    assert capsys.readouterr().err.startswith(f"nst-adain: error: {bad}: the picture is damaged or cut short")
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("error", [TypeError("odd"), AssertionError(), MemoryError(), RecursionError("deep"), KeyError("x")])
def test_whatever_a_library_raises_names_the_file(error: Exception, monkeypatch: pytest.MonkeyPatch, photo: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    for place in ("open", "Image.convert", "Image.getexif"):
        with monkeypatch.context() as patch:
            patch.setattr(f"PIL.Image.{place}", fail)
            Image.new("P", (4, 4)).save(photo) if place == "Image.convert" else None
            if place == "Image.getexif":  # which is not needed
                assert load_image(photo).size
            else:
                with pytest.raises(ImageError, match=rf"^{photo}: (the picture is damaged|not enough memory)"):
                    load_image(photo)
