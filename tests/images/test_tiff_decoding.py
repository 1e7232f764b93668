"""TIFF files of every common kind, read as they are meant; and those that are refused, in words."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from conftest import picture
from PIL import Image, ImageCms

from nst_adain.errors import ImageError
from nst_adain.images import tiff_decoding
from nst_adain.images.formats import open_image
from nst_adain.images.io import load_image
from nst_adain.images.masks import read_label_map


def rgb() -> np.ndarray[Any, Any]:
    return np.asarray(picture(37, 29))


def shown(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(load_image(path)).astype(int)


KINDS: dict[str, tuple[np.ndarray[Any, Any], dict[str, Any]]] = {
    "lzw": (rgb(), {"compression": "lzw", "predictor": True}),
    "deflate, tiles": (rgb(), {"compression": "deflate", "predictor": True, "tile": (16, 16)}),
    "packbits, planes": (rgb().transpose(2, 0, 1), {"compression": "packbits", "planarconfig": "separate", "rowsperstrip": 5}),
    "planes in tiles": (rgb().transpose(2, 0, 1), {"planarconfig": "separate", "tile": (32, 32)}),
    "lzma": (rgb(), {"compression": "lzma"}),
    "zstd, big": (rgb(), {"compression": "zstd", "bigtiff": True}),
    "16 bits, other end": (rgb().astype(np.uint16) * 257, {"byteorder": ">", "compression": "lzw", "predictor": True}),
    "16 bits, planes": (rgb().astype(np.uint16).transpose(2, 0, 1) * 257, {"planarconfig": "separate"}),
    "32 bits": (rgb().astype(np.uint32) * 16843009, {}),
    "float": ((rgb() / 255).astype(np.float32), {"predictor": True, "compression": "deflate"}),
    "half": ((rgb() / 255).astype(np.float16), {}),
    "double, planes": ((rgb() / 255).transpose(2, 0, 1), {"planarconfig": "separate"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_colours_are_those_that_were_written(kind: str, tmp_path: Path) -> None:
    pixels, options = KINDS[kind]
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb", metadata=None, **options)
    assert np.abs(shown(tmp_path / "x.tif") - rgb()).max() <= 1


@pytest.mark.parametrize(("dtype", "white_is_zero"), [
    (np.uint8, False), (np.uint8, True), (np.uint16, False), (np.uint16, True), (np.int32, False), (np.uint32, False),
    (np.uint32, True), (np.float32, False), (np.float64, False),
])  # fmt: skip
def test_grey_of_every_depth(dtype: type, white_is_zero: bool, tmp_path: Path) -> None:
    grey = rgb()[..., 0]
    white = {np.uint8: 255, np.uint16: 65535, np.int32: 65535, np.uint32: 2**32 - 1}.get(dtype, 1)
    values = (grey.astype(np.float64) / 255 * white).astype(dtype)
    stored = white - values if white_is_zero else values
    kind = "miniswhite" if white_is_zero else "minisblack"
    tifffile.imwrite(tmp_path / "x.tif", stored.astype(dtype), photometric=kind, metadata=None)
    result = shown(tmp_path / "x.tif")
    assert np.abs(result - grey[..., None]).max() <= 1


def test_jpeg_in_tiff(tmp_path: Path) -> None:
    large = np.asarray(picture(64, 64))
    for options in ({}, {"subsampling": (2, 2)}, {"tile": (32, 32)}):
        tifffile.imwrite(tmp_path / "x.tif", large, photometric="rgb", compression="jpeg", metadata=None, **options)
        assert np.abs(shown(tmp_path / "x.tif") - large).mean() < 6


def test_several_pages_give_the_first(tmp_path: Path) -> None:
    pages = np.stack([rgb(), 255 - rgb()])
    tifffile.imwrite(tmp_path / "x.tif", pages, photometric="rgb")
    assert np.array_equal(shown(tmp_path / "x.tif"), rgb())


def test_alpha_is_kept_and_multiplied_colours_are_divided(tmp_path: Path) -> None:
    alpha = np.full((29, 37, 1), 128, np.uint8)
    for kind, pixels in (("unassalpha", rgb()), ("assocalpha", (rgb() * (128 / 255)).round().astype(np.uint8))):
        stored = np.concatenate([pixels, alpha], -1)
        tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", extrasamples=[kind], metadata=None)
        result = shown(tmp_path / "x.tif")
        assert (result[..., 3] == 128).all()
        assert np.abs(result[..., :3] - rgb()).max() <= (0 if kind == "unassalpha" else 2)
    stored = np.concatenate([rgb(), alpha], -1)  # of which nothing says that it is transparency
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", extrasamples=["unspecified"], metadata=None)
    assert np.array_equal(shown(tmp_path / "x.tif"), rgb())


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_signed_grey_is_white_at_its_largest(dtype: type, tmp_path: Path) -> None:
    white = np.iinfo(dtype).max
    ramp = np.linspace(0, white, 64).round().astype(dtype)[None].repeat(4, 0)
    tifffile.imwrite(tmp_path / "x.tif", ramp, photometric="minisblack", metadata=None)
    assert np.abs(shown(tmp_path / "x.tif")[0, :, 0] - ramp[0].astype(float) * 255 / white).max() <= 1


def test_lab_colours_are_those_of_pillow(tmp_path: Path) -> None:
    lab = ImageCms.profileToProfile(picture(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
    assert lab is not None
    lab.save(tmp_path / "x.tif")
    assert np.abs(shown(tmp_path / "x.tif") - np.asarray(lab.convert("RGB")).astype(int)).max() <= 1
    assert np.abs(shown(tmp_path / "x.tif") - np.asarray(picture()).astype(int)).mean() < 10


@pytest.mark.parametrize("mode", ["CMYK", "P", "1"])
def test_modes_of_pillow(mode: str, tmp_path: Path) -> None:
    image = picture().convert(mode)
    image.save(tmp_path / "x.tif", compression="tiff_lzw")
    assert np.array_equal(shown(tmp_path / "x.tif"), np.asarray(image.convert("RGB")))


def test_palettes_of_8_bits_too(tmp_path: Path) -> None:
    for scale in (1, 257):
        table = (np.arange(768).reshape(3, 256) % 256 * scale).astype(np.uint16)
        indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
        tifffile.imwrite(tmp_path / "x.tif", indices, photometric="palette", colormap=table, metadata=None)
        assert np.array_equal(shown(tmp_path / "x.tif")[..., 0], indices)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32])
def test_label_maps_keep_their_numbers(dtype: type, tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [2, 1, 0]], dtype)
    tifffile.imwrite(tmp_path / "x.tif", labels, photometric="minisblack", metadata=None)
    masks = read_label_map(tmp_path / "x.tif", 3, (2, 3))
    assert [mask[0, 0].tolist() for mask in masks] == [(labels == k).astype(int).__mul__(255).tolist() for k in range(3)]


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-1, 1), (0, np.nan), (0, np.inf), (0, 1.5)])
def test_floats_of_other_ranges_are_refused_by_saying_so(low: float, high: float, tmp_path: Path) -> None:
    pixels = np.full((8, 8, 3), low, np.float32)
    pixels[3, 3, 1] = high
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb", metadata=None)
    with pytest.raises(ImageError, match=r"x\.tif: expected floating-point pixels from 0 to 1, found "):
        load_image(tmp_path / "x.tif")


def test_integers_without_a_known_white_are_refused(tmp_path: Path) -> None:
    for values in (np.full((4, 4), 70000, np.uint32), np.full((4, 4), -1, np.int16), np.full((4, 4), 2**31 - 1, np.int32)):
        tifffile.imwrite(tmp_path / "x.tif", values, photometric="minisblack", metadata=None)
        with pytest.raises(ImageError, match=rf"x\.tif: expected integer pixels of at most 16 bits, found {values[0, 0]} to"):
            load_image(tmp_path / "x.tif")


def test_missing_strips_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, rgb(), photometric="rgb", rowsperstrip=4, compression="deflate", metadata=None)
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        counts = file.pages.first.tags["StripByteCounts"]
        place, width = counts.valueoffset, {3: 2, 4: 4}[int(counts.dtype)]
    path.write_bytes(whole[:place] + bytes(width) + whole[place + width :])
    with pytest.raises(ImageError, match=r"x\.tif: the picture is damaged or cut short \(strip or tile 0 is not whole\)"):
        load_image(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"x\.tif: the picture is damaged or cut short"):
        load_image(path)
    path.write_bytes(whole)
    monkeypatch.setattr(tiff_decoding, "_MANY_STRIPS", 5)
    with pytest.raises(ImageError, match=r"x\.tif: 8 strips or tiles, more than the limit of 5"):
        load_image(path)
    monkeypatch.setattr(tiff_decoding, "_MANY_STRIPS", 50)
    monkeypatch.setattr(tiff_decoding, "_LARGEST_STRIP", 443)
    with pytest.raises(ImageError, match=r"x\.tif: strips or tiles of 444 bytes, more than the limit of 443"):
        load_image(path)


def test_a_strip_that_unpacks_to_more_takes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros((4, 4), np.uint8), photometric="minisblack", compression="deflate", metadata=None)
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        counts, offsets = page.tags["StripByteCounts"], page.tags["StripOffsets"]
        bomb = zlib.compress(bytes(1 << 28))
        data = bytearray(path.read_bytes())
        for tag, value in ((counts, len(bomb)), (offsets, len(data))):
            data[tag.offset + 2 : tag.offset + 4] = (4).to_bytes(2, "little")  # of 32 bits
            data[tag.offset + 8 : tag.offset + 12] = value.to_bytes(4, "little")
        path.write_bytes(bytes(data) + bomb)
    with pytest.raises(ImageError, match=r"x\.tif: the picture is damaged"):
        open_image(path)


@pytest.mark.parametrize(("options", "message"), [
    ({"photometric": "cfa"}, "expected colours of grey, RGB, palette, CMYK, YCbCr, Lab, found CFA"),
    ({"photometric": "minisblack", "compression": "jpegxl"}, r"expected a common compression, such as LZW, found JPEGXL"),
])  # fmt: skip
def test_what_is_no_picture_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", rgb()[..., 0], metadata=None, **options)
    with pytest.raises(ImageError, match=message):
        load_image(tmp_path / "x.tif")


def test_complex_pixels_and_volumes_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((4, 4), np.complex64), photometric="minisblack", metadata=None)
    with pytest.raises(ImageError, match="expected grey of integers or floating point, found complex64"):
        load_image(tmp_path / "x.tif")
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((16, 16, 16), np.uint8), photometric="minisblack", volumetric=True)
    with pytest.raises(ImageError, match=r"expected grey of 1 or more channels, found .* 16 deep"):
        load_image(tmp_path / "x.tif")


def test_orientation_and_profile_are_kept_for_who_applies_them(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    picture(40, 30).save(tmp_path / "x.tif", exif=exif, icc_profile=b"profile", compression="tiff_lzw")
    stored = open_image(tmp_path / "x.tif")
    assert stored.size == (40, 30)
    assert stored.getexif()[274] == 6
    assert stored.info["icc_profile"] == b"profile"
    assert load_image(tmp_path / "x.tif").size == (30, 40)
