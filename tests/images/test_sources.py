"""Files without a path: bytes and open files, read like the file they are."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from conftest import picture
from PIL import Image

from nst_adain.errors import ImageError
from nst_adain.images.io import load_image
from nst_adain.images.masks import read_controls
from nst_adain.images.sources import is_file, on_disk
from nst_adain.stylizer import Stylizer


class Stream(io.RawIOBase):
    """What can be read once, such as a pipe or a download."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def readable(self) -> bool:
        return True

    def readall(self) -> bytes:
        data, self.left = self.left, b""
        return data


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".ppm", ".gif"])
def test_bytes_and_open_files_are_read_like_their_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    picture().save(path)
    expected, data = np.asarray(load_image(path)), path.read_bytes()
    with path.open("rb") as opened:
        opened.read(5)  # as after a look at its first bytes
        for file in (data, bytearray(data), memoryview(data), io.BytesIO(data), opened, opened, Stream(data)):
            assert is_file(file)
            np.testing.assert_array_equal(np.asarray(load_image(file)), expected)


def test_contents_styles_and_masks_may_be_open_files(slim: Stylizer, photo: Path, painting: Path) -> None:
    mask = io.BytesIO()
    Image.linear_gradient("L").save(mask, "PNG")
    expected = slim(photo, painting, masks=[Image.linear_gradient("L")], alpha=Image.linear_gradient("L"))
    with photo.open("rb") as content, painting.open("rb") as style:
        result = slim(content, style, masks=[mask], alpha=mask.getvalue())
    assert isinstance(result, Image.Image)
    np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))


def test_masks_of_many_calls_are_read_once(photo: Path) -> None:
    with photo.open("rb") as opened:
        read = read_controls({"alpha": photo.read_bytes(), "masks": [opened, str(photo)]}, ("alpha", "masks"))
    assert isinstance(read["masks"], list)
    for image in (read["alpha"], *read["masks"]):
        assert isinstance(image, Image.Image)
        np.testing.assert_array_equal(np.asarray(image), np.asarray(load_image(photo)))


def test_errors_name_the_argument_and_nothing_is_left(slim: Stylizer, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photo.parent / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(ImageError, match="^content: expected a picture, found a file of no known image format"):
        slim(b"no picture", photo)
    with pytest.raises(ImageError, match="^style: expected a picture, found an empty file"):
        slim(photo, io.BytesIO())
    with pytest.raises(ImageError, match="^masks: the picture is damaged or cut short"):
        slim(photo, photo, masks=[photo.read_bytes()[:200]])
    with pytest.raises(ImageError, match="^content: 45 x 31 is 1,395 pixels, more than the limit of 10"):
        slim(photo.read_bytes(), photo, max_pixels=10)
    with pytest.raises(TypeError, match="^content: expected a file opened in binary mode .*, got one that gives str"):
        slim(io.StringIO("x"), photo)  # type: ignore[call-overload]
    assert not list(folder.iterdir())


def test_a_path_is_used_as_it_is(photo: Path) -> None:
    for path in (photo, str(photo)):
        with on_disk(path, "x") as found:
            assert found == photo
    assert not is_file(picture())
    assert not is_file(np.zeros(3, np.uint8))
