"""Reading pictures of every kind as they are meant, writing them whole, and finding them in folders."""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import picture, png
from PIL import Image, ImageCms

from nst_adain.errors import ImageError
from nst_adain.images.io import flatten, load_image, resize_short_side, save_image, to_srgb
from nst_adain.images.opening import register_heic


def difference(a: Image.Image, b: Image.Image) -> float:
    """Mean absolute difference in 0 .. 255."""
    assert a.size == b.size
    return float(np.abs(np.asarray(a.convert("RGB"), dtype=float) - np.asarray(b.convert("RGB"), dtype=float)).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = picture(48, 32)
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # Image.Transpose that makes the stored pixels
    stored = upright if undo is None else upright.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "x.jpg", exif=exif, quality=95)
    loaded = load_image(tmp_path / "x.jpg")
    assert difference(loaded, upright) < 4
    save_image(loaded, tmp_path / "again.jpg")
    assert difference(load_image(tmp_path / "again.jpg"), upright) < 5  # not turned twice


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_damaged_exif_is_ignored(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x0100] = 6, 5
    whole = exif.tobytes()
    rng = np.random.default_rng(0)
    mutated = [bytearray(whole) for _ in range(100)]
    for data in mutated:
        data[rng.integers(6, len(data))] = rng.integers(256)
    for damaged in (b"garbage", *map(bytes, mutated)):
        picture().save(tmp_path / f"x{suffix}", exif=damaged)
        with contextlib.suppress(ImageError) if suffix == ".jpg" else contextlib.nullcontext():  # which Pillow may not open
            assert sorted(load_image(tmp_path / f"x{suffix}").size) == [30, 40]


def test_transparency_is_kept_by_rgba_la_and_palettes(tmp_path: Path) -> None:
    rgba = picture().convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(rgba.size))
    rgba.save(tmp_path / "rgba.png")
    rgba.convert("LA").save(tmp_path / "la.png")
    palette = picture().convert("P")
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((0, 0)))
    for name in ("rgba", "la"):
        loaded = load_image(tmp_path / f"{name}.png")
        assert loaded.mode == "RGBA"
        assert loaded.getchannel("A").tobytes() == rgba.getchannel("A").tobytes()
    loaded = load_image(tmp_path / "p.png")
    assert loaded.mode == "RGBA"
    assert loaded.getpixel((0, 0))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    image = picture().convert(mode)
    # Pillow before 13 cannot read YCbCr that is not compressed, not even its own.
    image.save(tmp_path / "x.tif", compression="tiff_adobe_deflate" if mode == "YCbCr" else None)
    loaded = load_image(tmp_path / "x.tif")
    assert loaded.mode == "RGB"
    assert difference(loaded, image.convert("RGB")) < 3


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_scaled_not_cut_off(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(0, 65535, 40 * 30).reshape(30, 40)
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / f"x.{suffix}")
    loaded = np.asarray(load_image(tmp_path / f"x.{suffix}"))
    np.testing.assert_allclose(loaded[..., 0], values / 257, atol=0.51)


def test_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    picture().save(tmp_path / "srgb.png", icc_profile=srgb.tobytes())
    assert difference(load_image(tmp_path / "srgb.png"), picture()) < 1.5
    assert "icc_profile" not in load_image(tmp_path / "srgb.png").info
    swapped = bytearray(srgb.tobytes())  # exchange the red and blue primaries: the tags rXYZ and bXYZ
    red, blue = swapped.index(b"rXYZ"), swapped.index(b"bXYZ")
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    picture().save(tmp_path / "swapped.png", icc_profile=bytes(swapped))
    expected = Image.merge("RGB", picture().split()[::-1])
    assert difference(load_image(tmp_path / "swapped.png"), expected) < 3


def test_colour_profile_of_a_picture_with_transparency(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    rgba = picture().convert("RGBA")
    rgba.putalpha(90)
    rgba.save(tmp_path / "x.png", icc_profile=srgb)
    loaded = load_image(tmp_path / "x.png")
    assert loaded.getchannel("A").getextrema() == (90, 90)
    assert difference(loaded, picture()) < 1.5


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_profile_of_another_colour_model_is_ignored(tmp_path: Path, mode: str) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = picture().convert(mode)
    image.save(tmp_path / "x.tif", icc_profile=srgb)
    assert difference(load_image(tmp_path / "x.tif"), image.convert("RGB")) < 3


def test_16_bit_transparency_is_kept(tmp_path: Path) -> None:
    values = np.full((4, 4), 1000, np.uint16)
    values[0, 0] = 40000
    Image.fromarray(values).save(tmp_path / "x.png", transparency=40000)
    loaded = load_image(tmp_path / "x.png")
    assert loaded.mode == "RGBA"
    assert loaded.getpixel((0, 0)) == (156, 156, 156, 0)
    assert loaded.getpixel((1, 0)) == (4, 4, 4, 255)


def test_12_bits_are_scaled_to_8(tmp_path: Path) -> None:
    # Width, height, bits, no compression, 0 is black, offset and rows of the strip, its length; two pixels are three bytes.
    tags = [(256, 2), (257, 2), (258, 12), (259, 1), (262, 1), (273, 122), (277, 1), (278, 2), (279, 6)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    file = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    (tmp_path / "x.tif").write_bytes(file.ljust(122, b"\0")[:122] + bytes.fromhex("000fff 8003e8"))
    assert np.asarray(load_image(tmp_path / "x.tif"))[..., 0].tolist() == [[0, 255], [128, 62]]
    with Image.open(tmp_path / "x.tif") as image:
        assert to_srgb(image).tobytes() == load_image(tmp_path / "x.tif").tobytes()


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_negatives_become_positives(tmp_path: Path, dtype: type, white: int) -> None:
    ramp = np.linspace(0, white, 64).astype(dtype)[None].repeat(8, 0)
    tifffile.imwrite(tmp_path / "x.tif", white - ramp, photometric="miniswhite")
    shown = np.asarray(load_image(tmp_path / "x.tif"))[0, :, 0]
    np.testing.assert_allclose(shown, np.linspace(0, 255, 64), atol=1)


@pytest.mark.parametrize(("depth", "kind", "row", "key"), [
    (1, 0, b"\xf0", (1,)), (2, 0, b"\xff\x00", (3,)), (4, 0, b"\xff\xff\x00\x00", (15,)),
    (8, 0, b"\xff" * 4 + b"\0" * 4, (255,)), (16, 0, b"\x12\x34" * 4 + b"\x99\x99" * 4, (0x1234,)),
    (16, 2, b"\x12\x34" * 12 + b"\x99\x99" * 12, (0x1234,) * 3),
])  # fmt: skip
def test_a_transparent_colour_of_any_depth(tmp_path: Path, depth: int, kind: int, row: bytes, key: tuple[int, ...]) -> None:
    (tmp_path / "x.png").write_bytes(png(depth, kind, row, key))
    alpha = np.asarray(load_image(tmp_path / "x.png"))[..., 3]
    assert (alpha == np.array([0] * 4 + [255] * 4)).all()


def test_integers_of_more_than_16_bits_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "x.tif")
    with pytest.raises(ImageError, match=r"x\.tif: expected integer pixels of at most 16 bits, found 70000 to 70000"):
        load_image(tmp_path / "x.tif")


def test_damaged_colour_profile_is_ignored(tmp_path: Path) -> None:
    picture().save(tmp_path / "x.png", icc_profile=b"no profile")
    assert difference(load_image(tmp_path / "x.png"), picture()) == 0


@pytest.mark.parametrize("suffix", [".avif", ".heic"])
def test_pictures_of_phones(tmp_path: Path, suffix: str) -> None:
    register_heic()
    clear = picture(64, 48).convert("RGBA")
    clear.putalpha(128)
    for image in (picture(64, 48), picture(64, 48).convert("L"), clear):
        image.save(tmp_path / f"x{suffix}", quality=90)
        loaded = load_image(tmp_path / f"x{suffix}")
        assert loaded.mode == ("RGBA" if image is clear else "RGB")
        assert difference(loaded, image) < 8
    message = r"damaged or cut short" if suffix == ".heic" else "no known image format, or a damaged one"
    with (tmp_path / f"x{suffix}").open("r+b") as file:
        file.truncate(os.fstat(file.fileno()).st_size // 2)
    with pytest.raises(ImageError, match=message):
        load_image(tmp_path / f"x{suffix}")


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    picture().save(tmp_path / "x.gif", save_all=True, append_images=[picture(seed=3)])
    assert difference(load_image(tmp_path / "x.gif"), picture()) < 12


def zero(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("hello")


def truncated(path: Path) -> None:
    buffer = io.BytesIO()
    picture(200, 200).save(buffer, "PNG")
    path.write_bytes(buffer.getvalue()[:1000])


def truncated_jpeg(path: Path) -> None:
    buffer = io.BytesIO()
    picture(200, 200).save(buffer, "JPEG", quality=98)
    path.write_bytes(buffer.getvalue()[:1500])


def corrupt(path: Path) -> None:
    buffer = io.BytesIO()
    picture(200, 200).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(bytes(data))


def pipe(path: Path) -> None:
    os.mkfifo(path)


def floating(path: Path) -> None:
    Image.fromarray(np.full((4, 4), 255, np.float32)).save(path, "TIFF")


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (zero, "empty file"),
        (text, "no known image format"),
        (truncated, "damaged or cut short"),
        (truncated_jpeg, "damaged or cut short"),
        (corrupt, "damaged or cut short"),
        (floating, "expected floating-point pixels from 0 to 1, found 255 to 255"),
        (folder, "found a folder"),
        pytest.param(pipe, "found a pipe", marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")),
    ],
)
def test_unreadable_files_are_named_in_one_line(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    path = tmp_path / "bad.png"
    make(path)
    with pytest.raises(ImageError, match=message) as caught:
        load_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.png: expected a picture, found no such file"):
        load_image(tmp_path / "none.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "tif", "tiff", "PNG"])
def test_output_format_is_the_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    save_image(picture(), path)
    with Image.open(path) as image:
        expected = {"jpg": "JPEG", "jpeg": "JPEG", "tif": "TIFF", "tiff": "TIFF"}.get(suffix, suffix.upper())
        assert image.format == expected
    assert difference(load_image(path), picture()) < 4
    assert list(tmp_path.iterdir()) == [path]


def test_too_large_for_the_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"x\.webp: 16384 x 1 cannot be written as WEBP"):
        save_image(Image.new("RGB", (16384, 1)), tmp_path / "x.webp")


def test_long_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 244 + ".png")
    save_image(picture(), path)
    assert path.is_file()


def test_jpeg_lays_transparency_on_white(tmp_path: Path) -> None:
    save_image(Image.new("RGBA", (16, 16), (255, 0, 0, 0)), tmp_path / "x.jpg")
    assert np.asarray(load_image(tmp_path / "x.jpg")).min() > 250


def test_quality_changes_the_size_and_100_makes_webp_lossless(tmp_path: Path) -> None:
    for quality in (20, 95, 100):
        save_image(picture(200, 200), tmp_path / f"{quality}.webp", quality=quality)
    assert (tmp_path / "20.webp").stat().st_size < (tmp_path / "95.webp").stat().st_size
    assert difference(load_image(tmp_path / "100.webp"), picture(200, 200)) == 0
    with pytest.raises(ValueError, match="quality: expected 1 to 100, got 0"):
        save_image(picture(), tmp_path / "x.jpg", quality=0)


def test_unknown_suffix_and_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ending in \.png.* got '\.xyz'"):
        save_image(picture(), tmp_path / "x.xyz")
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        save_image(picture(), tmp_path / "nowhere" / "x.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.png: expected the name of a file, found a folder"):
        save_image(picture(), tmp_path / "folder.png")


def test_resize_keeps_the_aspect_ratio() -> None:
    assert resize_short_side(picture(40, 30), 15).size == (20, 15)
    assert resize_short_side(picture(1, 300), 2).size == (2, 600)
    assert flatten(Image.new("RGBA", (1, 1), (0, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)
