"""What users hand in: files, pictures, arrays and tensors, checked and read alike, and handed back as what they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image

from nst_adain.images.inputs import to_tensor
from nst_adain.stylizer import Stylizer


def difference(a: Image.Image, b: Image.Image) -> float:
    """Mean absolute difference in 0 .. 255."""
    assert a.size == b.size
    return float(np.abs(np.asarray(a.convert("RGB"), dtype=float) - np.asarray(b.convert("RGB"), dtype=float)).mean())


def test_tensors_hold_every_pixel() -> None:
    image = picture()
    tensor = to_tensor(image)
    assert tensor.shape == (1, 3, 30, 40)
    assert tensor.dtype == torch.float32
    assert difference(Image.fromarray((tensor[0] * 255).round().byte().permute(1, 2, 0).numpy()), image) == 0


def pixels(image: Image.Image | torch.Tensor) -> np.ndarray:
    assert isinstance(image, Image.Image)
    return np.asarray(image.convert("RGB"), dtype=float)


def test_values_of_tensors_are_checked(slim: Stylizer) -> None:
    fine = torch.rand(1, 3, 24, 24)
    for bad in (fine * 255, fine * 2 - 1, torch.full_like(fine, torch.nan), fine + torch.inf):
        with pytest.raises(ValueError, match=r"content: expected values in \[0, 1\], got"):
            slim(bad, fine)
        with pytest.raises(ValueError, match=r"style: expected values in \[0, 1\], got"):
            slim(fine, bad)
    overshot = fine * 1.2 - 0.1
    torch.testing.assert_close(slim(overshot, fine), slim(overshot.clamp(0, 1), fine))


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1", "LA", "I;16"])
def test_pil_images_are_read_like_their_files(slim: Stylizer, mode: str, painting: Path, tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 600).reshape(20, 30).astype(np.uint16)
    image = Image.fromarray(ramp) if mode == "I;16" else picture(30, 20).convert(mode)
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    image.save(path)
    np.testing.assert_array_equal(pixels(slim(image, painting)), pixels(slim(path, painting)))


def test_orientation_of_a_pil_image_is_applied(slim: Stylizer, painting: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(50, 30).save(tmp_path / "x.jpg", exif=exif)
    with Image.open(tmp_path / "x.jpg") as image:
        out = slim(image, painting)
    assert out.size == (30, 50)
    np.testing.assert_array_equal(pixels(out), pixels(slim(tmp_path / "x.jpg", painting)))


def test_pictures_without_pixels_are_named(slim: Stylizer) -> None:
    with pytest.raises(ValueError, match="^content: expected a picture, got one of 0 x 0 pixels"):
        slim(Image.new("RGB", (0, 0)), picture(), size=10)
    with pytest.raises(ValueError, match="^style: expected a picture, got one of 0 x 4 pixels"):
        slim(picture(), Image.new("RGB", (0, 4)))
    with pytest.raises(ValueError, match="^style: .*floating-point"):
        slim(picture(), Image.new("F", (4, 4)))


def test_an_array_of_bytes_is_the_picture_and_gives_an_array(slim: Stylizer, painting: Path) -> None:
    image = picture()
    array = np.asarray(image)
    result = slim(array, np.asarray(Image.open(painting)))
    assert isinstance(result, np.ndarray)
    assert (result.dtype, result.shape) == (np.uint8, array.shape)
    assert result.flags.writeable
    np.testing.assert_array_equal(result, np.asarray(slim(image, painting)))
    flipped = array[:, ::-1]  # views need no copy by the caller
    np.testing.assert_array_equal(slim(flipped, painting), np.asarray(slim(Image.fromarray(flipped.copy()), painting)))
    np.testing.assert_array_equal(slim(array, painting, size=60), np.asarray(slim(image, painting, size=60)))


def test_grey_and_transparent_arrays(slim: Stylizer, painting: Path) -> None:
    grey = np.asarray(picture().convert("L"))
    expected = np.asarray(slim(Image.fromarray(grey), painting))
    np.testing.assert_array_equal(slim(grey, painting), expected)
    np.testing.assert_array_equal(slim(grey[:, :, None], painting), expected)
    np.testing.assert_allclose(slim(grey / 255, painting), expected / 255, atol=0.003)
    clear = picture().convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    np.testing.assert_array_equal(slim(np.asarray(clear), painting), np.asarray(slim(clear, painting)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_a_float_array_keeps_its_precision(slim: Stylizer, painting: Path, dtype: str) -> None:
    array = (np.asarray(picture()) / 255).astype(dtype)
    array.setflags(write=False)
    result = slim(array, painting)
    assert (result.dtype, result.shape) == (array.dtype.newbyteorder("="), array.shape)
    np.testing.assert_allclose(result * 255.0, pixels(slim(picture(), painting)), atol=1.5)


def test_tensors_keep_their_type_and_shape(slim: Stylizer, painting: Path) -> None:
    levels = torch.from_numpy(np.array(picture())).permute(2, 0, 1)
    from_bytes, single = slim(levels, painting), slim(levels / 255, painting)
    assert (from_bytes.dtype, from_bytes.shape, single.shape) == (torch.uint8, levels.shape, levels.shape)
    np.testing.assert_array_equal(from_bytes.permute(1, 2, 0).numpy(), pixels(slim(picture(), painting)))
    assert torch.equal(single, slim(levels[None] / 255, painting)[0])
    batch = slim(torch.stack([levels, levels.flip(2)]), levels)
    assert (batch.dtype, batch.shape) == (torch.uint8, (2, *levels.shape))
    assert (slim(levels, levels).int() - batch[0].int()).abs().max() <= 1
    scaled = slim(levels, painting, size=60)
    assert (scaled.dtype, scaled.shape) == (torch.uint8, (3, 60, 80))
    large = torch.randint(256, (2, 3, 40, 48), dtype=torch.uint8)
    assert slim(large, painting, look_size=16).shape == slim(large, painting, tile=16).shape == large.shape


def test_an_encoded_content_gives_what_it_was(slim: Stylizer, painting: Path) -> None:
    array = np.array(picture())
    levels = torch.from_numpy(array).permute(2, 0, 1)
    encoded, tensor = slim.encode_content(array), slim.encode_content(levels)
    expected = slim(array, painting)
    array.fill(0)  # which writes to the tensor too
    np.testing.assert_array_equal(slim(encoded, painting), expected)
    luminance = slim(tensor, painting, preserve_color="luminance")
    np.testing.assert_array_equal(luminance, slim(encoded, painting, preserve_color="luminance").transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("wrong", "how"),
    [
        (np.zeros((3, 8, 8), np.uint8), r"\(3, H, W\) is np.moveaxis\(array, 0, -1\)"),
        (np.zeros((3, 8, 3), np.uint8), r"an array of one meaning, got uint8 \(3, 8, 3\): give Image.fromarray"),
        (np.zeros((3, 3, 3)), r"an array of one meaning, got float64 \(3, 3, 3\): give Image.fromarray"),
        (np.zeros((2, 8, 8, 3)), "a list of arrays is several pictures"),
        (np.zeros((8, 8, 4)), "transparency is for uint8"),
        (np.zeros((8, 8), np.uint16), "divide by its largest level"),
        (np.full((8, 8, 3), 255.0), "levels up to 255 are uint8, or divided by 255"),
        (np.zeros((0, 8, 3), np.uint8), r"an array \(H, W, 3\)"),
        (torch.zeros(8, 8), r"grey is tensor.expand\(3, -1, -1\)"),
        (torch.zeros(8, 8, 3), r"\(H, W, 3\) is tensor.permute\(2, 0, 1\)"),
        (torch.zeros(1, 8, 8, 3), r"\(B, H, W, 3\) is tensor.permute\(0, 3, 1, 2\)"),
        (torch.zeros(3, 3, 3), r"a tensor of one meaning, got torch.float32 \(3, 3, 3\): give tensor\[None\]"),
        (torch.zeros(1, 3, 0, 8), r"a tensor \(B, 3, H, W\)"),
        (torch.full((3, 8, 8), 200.0), "levels up to 255 are uint8"),
        (torch.full((3, 8, 8), -1.0), r"from -1 to 1 it is \(x \+ 1\) / 2"),
    ],
)
def test_what_could_be_read_in_two_ways_is_an_error_that_says_how(slim: Stylizer, wrong: object, how: str) -> None:
    for role, call in (("content", lambda: slim(wrong, picture())), ("style", lambda: slim(picture(), wrong))):  # type: ignore[call-overload]
        with pytest.raises((TypeError, ValueError), match=f"^{role}: expected .*{how}"):
            call()
