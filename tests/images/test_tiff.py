"""Huge TIFF files that stay on the disk while tiles of them are read and written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import tifffile
import torch
from conftest import picture
from PIL import Image, ImageCms

from nst_adain.cli.main import main
from nst_adain.errors import ImageError
from nst_adain.images.inputs import to_pixels
from nst_adain.images.io import load_image
from nst_adain.images.tiff import create_tiff, map_tiff
from nst_adain.rendering.contents import subsampled
from nst_adain.stylizer import Stylizer


@pytest.mark.parametrize("writer", ["pillow", "tifffile", "big-endian BigTIFF"])
def test_a_mapped_file_has_the_pixels_of_the_decoded_one(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "a.tif"
    photo = picture(37, 23)
    if writer == "pillow":
        photo.save(path)
    elif writer == "tifffile":
        tifffile.imwrite(path, np.asarray(photo), photometric="rgb")
    else:
        tifffile.imwrite(path, np.asarray(photo), photometric="rgb", bigtiff=True, byteorder=">")
    mapped = map_tiff(path)
    assert mapped is not None
    assert (mapped.shape, mapped.dtype, len(mapped)) == ((1, 3, 23, 37), torch.uint8, 1)
    assert torch.equal(mapped[..., :, :], to_pixels(photo))
    assert torch.equal(mapped[..., 5:17, 8:37], to_pixels(photo)[..., 5:17, 8:37])


def test_what_has_to_be_decoded_is_not_mapped(tmp_path: Path) -> None:
    photo = picture(16, 12)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo.save(tmp_path / "lzw.tif", compression="tiff_lzw")
    photo.convert("RGBA").save(tmp_path / "rgba.tif")
    photo.convert("L").save(tmp_path / "grey.tif")
    photo.convert("CMYK").save(tmp_path / "cmyk.tif")
    photo.save(tmp_path / "profile.tif", icc_profile=profile)
    photo.save(tmp_path / "turned.tif", tiffinfo={0x0112: 6})
    photo.save(tmp_path / "picture.png")
    tifffile.imwrite(tmp_path / "deep.tif", np.asarray(photo).astype(np.uint16) * 257, photometric="rgb")
    tifffile.imwrite(tmp_path / "planar.tif", np.asarray(photo).transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "tiled.tif", np.asarray(photo), photometric="rgb", tile=(16, 16))
    (tmp_path / "text.tif").write_text("II is no TIFF")
    (tmp_path / "cut.tif").write_bytes((tmp_path / "lzw.tif").read_bytes()[:40])
    (tmp_path / "empty.tif").write_bytes(b"")
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files if map_tiff(path) is not None] == []
    assert len(files) == 13
    assert map_tiff(tmp_path / "missing.tif") is None


def test_a_mapped_file_that_is_cut_short_is_damaged(tmp_path: Path) -> None:
    picture(64, 64).save(tmp_path / "a.tif")
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:5000])
    assert map_tiff(tmp_path / "a.tif") is None
    with pytest.raises(ImageError, match=r"a\.tif: the picture is damaged or cut short"):
        load_image(tmp_path / "a.tif")


def test_a_damaged_file_is_not_mapped_and_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.asarray(picture(8, 6)), photometric="rgb")
    whole = (tmp_path / "a.tif").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for place in rng.integers(4, len(whole) - 8 * 6 * 3, 4):
            data[place] = rng.integers(256)
        (tmp_path / "b.tif").write_bytes(data)
        refused += map_tiff(tmp_path / "b.tif") is None
    assert refused > 100
    assert capfd.readouterr() == ("", "")


def test_planes_that_look_like_pixels_are_not_mapped(tmp_path: Path) -> None:
    pixels = np.asarray(picture(3, 20)).transpose(2, 0, 1)  # three columns
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig="separate")
    assert map_tiff(tmp_path / "a.tif") is None


def test_a_created_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path, photo = tmp_path / "out.tif", to_pixels(picture(31, 17))
    with create_tiff(path, 17, 31) as pixels:
        pixels[..., :16, :] = photo[..., :16, :]
        pixels[..., 16:, 8:] = photo[..., 16:, 8:]
        pixels[..., 16:, :8] = photo[..., 16:, :8].float()
        assert not path.exists()
    assert torch.equal(to_pixels(load_image(path)), photo)
    assert [p.name for p in tmp_path.iterdir()] == ["out.tif"]


def test_a_created_file_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.tif"
    path.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), create_tiff(path, 4, 4):
        raise ZeroDivisionError
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("out.tif", b"before")]
    with pytest.raises(FileNotFoundError, match="the folder .* does not exist"), create_tiff(tmp_path / "no" / "out.tif", 4, 4):
        pass


@pytest.mark.parametrize("options", [[], ["--preserve-color", "coral"], ["--alpha", "0.5"]])
def test_from_tiff_to_tiff_equals_decoding_and_encoding(tmp_path: Path, slim: Stylizer, options: list[str]) -> None:
    photo, style = picture(150, 90), picture(64, 64)
    photo.save(tmp_path / "photo.tif")
    photo.save(tmp_path / "photo.png")
    style.save(tmp_path / "style.png")
    tiles = ["--tile", "64", "--device", "cpu", *options]
    outputs = []
    for suffix in ("tif", "png"):
        files = [str(tmp_path / name) for name in (f"photo.{suffix}", "style.png", "-o", f"out.{suffix}")]
        assert main(["stylize", *files[:2], "-o", files[3], *tiles]) == 0
        outputs.append(np.asarray(load_image(files[3])))
    assert np.array_equal(outputs[0], outputs[1])


@pytest.mark.parametrize("change", ["cut short", "written to", "replaced"])
def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path, slim: Stylizer, change: str) -> None:
    path, style = tmp_path / "a.tif", picture(32, 32)
    picture(64, 48).save(path)

    def report(done: int, _: int | None) -> None:
        if done == 1 and change == "cut short":
            os.truncate(path, 200)
        elif done == 1:
            picture(64, 48, seed=1).save(tmp_path / "b.tif")
            (tmp_path / "b.tif").replace(path) if change == "replaced" else path.write_bytes((tmp_path / "b.tif").read_bytes())
            os.utime(path, (0, 0))

    with pytest.raises(OSError, match=r"a\.tif: was changed while it was read"):
        slim(path, style, tile=32, progress=report)


def test_a_disk_that_is_full_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match=r"No space left on device: .*out\.tif"), create_tiff(tmp_path / "out.tif", 17, 31):
        pass
    monkeypatch.delattr("os.posix_fallocate")
    resource = pytest.importorskip("resource")
    with create_tiff(tmp_path / "out.tif", 2000, 2000) as pixels:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))  # as a disk that fills up meanwhile
        try:
            with pytest.raises(OSError, match=r"File too large: .*out\.tif"):
                pixels[..., :, :] = torch.zeros(1, 3, 2000, 2000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("height", [48, 700, 1500])
def test_of_a_file_the_same_pixels_are_drawn(tmp_path: Path, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_adain.rendering.contents._AT_ONCE", 10_000)
    photo = picture(1500, height)
    photo.save(tmp_path / "a.tif")
    stored = map_tiff(tmp_path / "a.tif")
    assert stored is not None
    assert torch.equal(subsampled(stored), subsampled(to_pixels(photo)))


def test_out_receives_the_result(slim: Stylizer) -> None:
    photo, style = picture(40, 30), picture(32, 32)
    expected = to_pixels(slim(photo, style))  # type: ignore[arg-type]
    out = torch.zeros(1, 3, 30, 40, dtype=torch.uint8)
    assert slim(photo, style, out=out) is out
    assert torch.equal(out, expected)
    floats = torch.zeros(1, 3, 30, 40)
    slim(photo, style, out=floats)
    assert torch.equal((floats * 255).round().byte(), expected)
    for wrong in (out[..., 1:], out.int()):
        with pytest.raises(ValueError, match=r"out: expected a uint8 or float tensor of the shape \(1, 3, 30, 40\), got"):
            slim(photo, style, out=wrong)
    transparent = Image.new("RGBA", (40, 30), (1, 2, 3, 4))
    with pytest.raises(ValueError, match="out: expected a content without transparency"):
        slim(transparent, style, out=out)
    both = torch.rand(2, 3, 40, 40)
    expected = slim(both[:1], style, tile=16)
    with pytest.raises(ValueError, match="out: expected other memory than the content's"):
        slim(both[:1], style, tile=16, out=both[:1])
    assert torch.equal(slim(both[:1], style, tile=16, out=both[1:]), expected)
    at_once = slim(both[:1], style)
    assert torch.equal(slim(both[:1], style, out=both[:1]), at_once)


@pytest.mark.parametrize("tile", [None, 32])
def test_an_encoded_content_needs_its_file_no_more(tmp_path: Path, slim: Stylizer, tile: int | None) -> None:
    style = picture(32, 32)
    picture(64, 48, seed=1).save(tmp_path / "a.tif")
    assert map_tiff(tmp_path / "a.tif") is not None
    content = slim.encode_content(tmp_path / "a.tif", tile=tile)
    expected = slim(content, style, preserve_color="luminance")
    with open(tmp_path / "a.tif", "rb+") as file:
        file.truncate(100)
    assert slim(content, style, preserve_color="luminance").tobytes() == expected.tobytes()


def test_colours_of_a_panorama_take_no_more_memory() -> None:
    assert subsampled(torch.zeros(1, 3, 16, 2**18, dtype=torch.uint8))[0, 0].numel() <= 1024**2
    assert subsampled(torch.zeros(1, 3, 2048, 2048, dtype=torch.uint8)).shape[2:] == (512, 512)
    assert subsampled(torch.zeros(1, 3, 1, 2**22, dtype=torch.uint8)).shape[2:] == (1, 2**20)


@pytest.mark.parametrize("period", [2, 3, 4, 8])
@pytest.mark.parametrize("across", [0, 1])
def test_the_colours_of_fine_stripes_are_found(period: int, across: int) -> None:
    line = torch.zeros(1, 3, 2050, dtype=torch.uint8)
    line[..., ::period] = 255
    picture = line[..., None].expand(-1, -1, -1, 2060) if across else line[..., None, :].expand(-1, -1, 2060, -1)
    sample = subsampled(picture)
    assert float(sample.mean()) == pytest.approx(float((picture / 255).mean()), abs=0.005)
    assert float(sample.std()) == pytest.approx(float((picture / 255).std()), abs=0.005)
    assert torch.equal(sample, subsampled(picture))


def test_a_mapped_file_keeps_to_the_limit_of_pixels(tmp_path: Path, slim: Stylizer) -> None:
    picture(64, 64).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a\.tif: 64 x 64 is 4,096 pixels, more than the limit of 4,000"):
        slim(tmp_path / "a.tif", picture(), max_pixels=4000)


def test_two_threads_read_pictures_above_pillows_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    picture(64, 64).save(tmp_path / "a.tif", compression="tiff_lzw")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with ThreadPoolExecutor(4) as pool:
        sizes = list(pool.map(lambda _: load_image(tmp_path / "a.tif").size, range(32)))
    assert sizes == [(64, 64)] * 32
    assert Image.MAX_IMAGE_PIXELS == 100
