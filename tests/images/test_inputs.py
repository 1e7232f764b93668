"""What users hand in: paths, pictures and tensors, checked and read alike."""

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
