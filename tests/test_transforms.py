"""`RandomStyle` in torchvision's pipelines, and `StyleMap` for dictionaries."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from nst_adain.batch.folder import stylize_folder
from nst_adain.errors import ImageError, UsageError
from nst_adain.functional import ChannelStats
from nst_adain.stylizer import Stylizer
from nst_adain.transforms import RandomStyle, StyleMap


def test_probability_zero_and_one(slim: Stylizer) -> None:
    photo = picture()
    unchanged = RandomStyle([picture(seed=2)], p=0.0, stylizer=slim)(photo)
    np.testing.assert_array_equal(np.asarray(unchanged), np.asarray(photo))
    always = RandomStyle([picture(seed=2)], p=1.0, alpha=0.7, boldness=0.9, stylizer=slim)(photo)
    np.testing.assert_array_equal(np.asarray(always), np.asarray(slim(photo, picture(seed=2), alpha=0.7, boldness=0.9)))


def test_each_picture_of_a_batch_is_drawn_by_itself(slim: Stylizer) -> None:
    torch.manual_seed(0)
    augment = RandomStyle([picture(seed=2), slim.encode_style(picture(seed=3))], p=0.5, alpha=(0.5, 1.0), stylizer=slim)
    batch = torch.rand(1, 3, 16, 16).expand(12, -1, -1, -1)
    out = augment(batch)
    assert out.shape == batch.shape
    unchanged = sum(torch.equal(a, b) for a, b in zip(out, batch))
    assert 1 <= unchanged <= 11
    assert len({round(float(image.mean()), 5) for image in out}) > 3


def test_torchs_seed_decides(slim: Stylizer) -> None:
    augment = RandomStyle([picture(seed=s) for s in range(4)], p=1.0, alpha=(0.0, 1.0), stylizer=slim)
    results = []
    for _ in range(2):
        torch.manual_seed(7)
        results.append(augment(torch.full((3, 16, 16), 0.5)))
    assert torch.equal(*results)
    torch.manual_seed(8)
    assert not torch.equal(augment(torch.full((3, 16, 16), 0.5)), results[0])


def test_tensor_styles_are_encoded_once(slim: Stylizer) -> None:
    augment = RandomStyle([torch.rand(1, 3, 64, 64)], p=1.0, stylizer=slim)
    assert isinstance(augment.styles[0], ChannelStats)


def test_grey_pictures_have_three_channels_whether_stylised_or_not(slim: Stylizer) -> None:
    for p in (0.0, 1.0):
        assert RandomStyle([picture(seed=2)], p=p, stylizer=slim)(picture().convert("L")).mode == "RGB"


def test_in_a_torchvision_pipeline(slim: Stylizer) -> None:
    augment = RandomStyle([picture(seed=2)], p=1.0, stylizer=slim)
    pipeline = v2.Compose([v2.Resize(24), augment, v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.CenterCrop(16)])
    assert pipeline(Image.new("RGB", (50, 40), "teal")).shape == (3, 16, 16)
    picture_and_label = v2.Compose([v2.ToImage(), v2.Resize(24), augment])(Image.new("RGB", (50, 40), "teal"), 7)
    assert isinstance(picture_and_label[0], tv_tensors.Image)
    assert picture_and_label[0].dtype == torch.uint8
    assert picture_and_label[1] == 7
    floats = augment(v2.functional.to_dtype(v2.functional.to_image(picture(24, 30)), torch.float32, scale=True))
    bytes_of_it = augment(v2.functional.to_image(picture(24, 30)))
    assert torch.equal((floats * 255).round().byte(), bytes_of_it)
    photo = picture(24, 30)
    once = np.asarray(augment(photo))
    for sample in ((photo, 7), [7, photo], {"image": photo, "label": (7, photo)}):
        result = v2.Compose([augment])(sample)
        assert type(result) is type(sample)
        parts = [*result.values()] if isinstance(result, dict) else [*result]
        (styled,) = [part for part in parts if isinstance(part, Image.Image)]
        np.testing.assert_array_equal(np.asarray(styled), once)
        assert [part for part in parts if part is not styled] in ([7], [(7, photo)])
    whole = {"mask": tv_tensors.Mask(torch.zeros(3, 8, 8)), "tensor": torch.zeros(3, 8, 8), "image": tv_tensors.Image(photo)}
    result = augment(whole)
    assert [torch.equal(result[name], whole[name]) for name in whole] == [True, True, False]
    with pytest.raises(TypeError, match="image: expected a sample with a picture, got int, str"):
        augment([7, "label"])
    assert repr(augment) == "RandomStyle(1 styles, p=1.0, alpha=1..1, boldness=0.4)"


def test_wrong_arguments_are_named(slim: Stylizer) -> None:
    with pytest.raises(ValueError, match="styles: expected at least one"):
        RandomStyle([], stylizer=slim)
    never = RandomStyle([picture()], p=0.0, stylizer=slim)
    with pytest.raises(ValueError, match="image: expected a tensor .* got torch.int64"):
        never(torch.zeros(3, 8, 8, dtype=torch.int64))
    with pytest.raises(TypeError, match="image: expected a PIL image or a tensor, got ndarray"):
        never(np.zeros((3, 8, 8)))  # type: ignore[type-var]
    with pytest.raises(ValueError, match="p: expected a probability from 0 to 1, got 2"):
        RandomStyle([picture()], p=2, stylizer=slim)
    with pytest.raises(ValueError, match=r"alpha: expected .* got \(1, 0\)"):
        RandomStyle([picture()], alpha=(1, 0), stylizer=slim)
    assert RandomStyle([picture()], alpha=np.array([0.25, 0.5]), stylizer=slim).low == 0.25  # type: ignore[arg-type]
    for alpha in ("ab", (1,), (0.1, 0.2, 0.3), float("inf"), float("nan"), (0, float("inf"))):
        with pytest.raises(ValueError, match="alpha: expected a number from 0 to 10,000 or an ascending pair of them, got"):
            RandomStyle([picture()], alpha=alpha, stylizer=slim)  # type: ignore[arg-type]
    assert RandomStyle([picture()], stylizer=slim)(torch.empty(0, 3, 8, 8)).shape == (0, 3, 8, 8)
    with pytest.raises(TypeError, match="styles: expected a list of them, got one str"):
        RandomStyle("painting.png", stylizer=slim)
    for half in (np.float32(0.5), np.array(0.5)):
        assert RandomStyle([picture()], alpha=half, stylizer=slim).high == 0.5  # type: ignore[arg-type]


def test_a_code_of_two_pictures_is_refused_when_the_step_is_made(slim: Stylizer) -> None:
    with pytest.raises(ValueError, match=r"styles: expected codes of one picture each, got one of the shape \(2, "):
        RandomStyle([slim.encode_style(torch.rand(2, 3, 32, 32))], stylizer=slim)


def test_a_picture_is_not_turned_away_from_its_boxes(slim: Stylizer) -> None:
    photo, exif = picture(40, 30), Image.Exif()
    exif[0x0112] = 6
    photo.info["exif"] = exif.tobytes()
    photo = Image.open(_stored(photo)).convert("RGB")  # as torchvision's data sets load it
    assert photo.getexif()[0x0112] == 6
    for p in (0.0, 1.0):
        image, mask = RandomStyle([picture(seed=2)], p=p, stylizer=slim)((photo, tv_tensors.Mask(torch.zeros(30, 40))))
        assert image.size == (40, 30) == mask.shape[::-1]


def _stored(image: Image.Image) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=image.info["exif"])
    return buffer


def test_wrong_pictures_are_said_whatever_is_drawn(slim: Stylizer) -> None:
    augment = RandomStyle([picture(seed=2)], p=0.0, stylizer=slim)
    normalised = v2.Normalize([0.5] * 3, [1.0] * 3)(torch.linspace(0, 1, 768).reshape(3, 16, 16))
    for wrong in (torch.full((3, 8, 8), 200.0), normalised, torch.full((3, 8, 8), torch.nan)):
        with pytest.raises(ValueError, match=r"image: expected values in \[0, 1\], got"):
            augment(wrong)
    assert augment(torch.full((3, 8, 8), 1.1)).max() == 1  # as resizing overshoots
    with pytest.raises(ValueError, match="alpha: expected a number from 0 to 10,000"):
        RandomStyle([picture(seed=2)], alpha=(0, 20_000), stylizer=slim)
    with pytest.raises(ValueError, match="styles: expected at least one, got none"):
        RandomStyle(iter([]), stylizer=slim)
    with pytest.raises(UsageError, match="style_size: expected the default where all styles are encoded already, got 64"):
        RandomStyle([slim.encode_style(picture(seed=2))], style_size=64, stylizer=slim)


def test_a_seed_and_a_name_draw_what_a_batch_draws(slim: Stylizer, tmp_path: Path) -> None:
    """Of 200 names."""
    for folder in ("photos/deep", "styles"):
        (tmp_path / folder).mkdir(parents=True)
    for i in range(5):
        picture(16, 16, i).save(tmp_path / "styles" / f"{i}.png")
    names = [f"{'deep/' if i % 3 else ''}{i}.x" for i in range(200)]
    photo = picture(8, 8)
    for name in names:
        photo.save(tmp_path / "photos" / f"{name}.png")
    styles = sorted((tmp_path / "styles").iterdir())
    stylize_folder(slim, tmp_path / "photos", tmp_path / "styles", tmp_path / "out", pairing="random", seed=7)
    augment = RandomStyle(styles, p=1.0, seed=7, stylizer=slim)
    for name in names:
        drawn = styles[augment._draw(name)[0]]
        with Image.open(tmp_path / "out" / f"{name}__{drawn.stem}.png") as made:
            np.testing.assert_array_equal(np.asarray(made), np.asarray(augment(photo, key=name)))
    assert len({augment._draw(name)[0] for name in names}) == 5


def test_a_seed_needs_a_name(slim: Stylizer) -> None:
    augment = RandomStyle([picture(seed=2), picture(seed=3)], p=0.5, alpha=(0.2, 1.0), seed=1, stylizer=slim)
    once = [np.asarray(augment(picture(), key=str(i))) for i in range(8)]
    torch.manual_seed(5)
    for i, expected in enumerate(once):
        np.testing.assert_array_equal(np.asarray(augment({"png": picture(), "__key__": str(i)})["png"]), expected)
    assert len({image.tobytes() for image in once}) > 3
    assert any(np.array_equal(image, np.asarray(picture())) for image in once)
    with pytest.raises(
        UsageError, match="key: expected the picture's name, which decides with the seed what is drawn, got none"
    ):
        augment(picture())


def _bytes(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _pixels(value: Any) -> Any:
    value = value["bytes"] if isinstance(value, dict) else value
    return np.asarray(Image.open(io.BytesIO(value)) if isinstance(value, bytes) else value)


def test_columns_of_every_kind_become_their_like(slim: Stylizer, tmp_path: Path) -> None:
    photos = [picture(24, 16, i) for i in range(3)]
    styles, keys = [picture(seed=2), picture(seed=3)], ["a", "b/c", "d"]
    expected = [np.asarray(RandomStyle(styles, 1.0, seed=4, stylizer=slim)(p, key=k)) for p, k in zip(photos, keys)]
    stylise = pickle.loads(pickle.dumps(StyleMap(styles, "png", seed=4, stylizer=slim)))
    objects = np.empty(3, object)
    objects[:] = [_bytes(photo) for photo in photos]
    for pictures in (
        photos, [_bytes(photo) for photo in photos], objects, np.stack([np.asarray(photo) for photo in photos]),
        [np.asarray(photo) for photo in photos], [{"bytes": _bytes(photo), "path": None} for photo in photos],
    ):  # fmt: skip
        made = stylise({"__key__": keys, "png": pictures, "cls": [1, 2, 3]})
        assert made["cls"] == [1, 2, 3]
        assert type(made["png"]) is type(pictures)
        assert {type(value) for value in made["png"]} == {type(value) for value in pictures}
        for value, pixels in zip(made["png"], expected):
            np.testing.assert_array_equal(_pixels(value), pixels)
        sample = stylise({"__key__": "b/c", "png": pictures[1], "cls": 2})
        np.testing.assert_array_equal(_pixels(sample["png"]), expected[1])
    by_index = stylise({"png": photos[:1]}, [12])
    np.testing.assert_array_equal(_pixels(by_index["png"][0]), _pixels(stylise({"__key__": "12", "png": photos[0]})["png"]))
    photos[0].save(tmp_path / "photo.png")
    stored = {"bytes": None, "path": str(tmp_path / "photo.png")}  # as data sets name a file that they do not hold
    np.testing.assert_array_equal(_pixels(stylise({"__key__": "a", "png": stored})["png"]), expected[0])
    jpeg = StyleMap(styles, "png", seed=4, stylizer=slim, suffix=".jpg")({"__key__": "a", "png": _bytes(photos[0])})["png"]
    assert jpeg.startswith(b"\xff\xd8")


def test_wrong_columns_are_named(slim: Stylizer) -> None:
    stylise = StyleMap([picture(seed=2)], "png", stylizer=slim)
    with pytest.raises(UsageError, match="column: expected one of jpg, __key__, got png"):
        stylise({"jpg": b"", "__key__": "a"})
    with pytest.raises(UsageError, match="key: expected one of png, got __key__"):
        stylise({"png": b""})
    with pytest.raises(UsageError, match="keys: expected 2, got 1"):
        stylise({"png": [b"", b""], "__key__": ["a"]})
    for found in (b"nothing", None, {"bytes": None, "path": None}):
        with pytest.raises(ImageError, match="^a: expected a picture, found"):
            stylise({"png": found, "__key__": "a"})
    for array in (np.zeros((4, 4, 3)), np.zeros((4, 4, 5), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(ImageError, match=r"^a: expected an array \(H, W, 3\) of uint8, found (float64|uint8) \(4,"):
            stylise({"png": array, "__key__": "a"})
    for wrong in ({"suffix": ".bmp"}, {"quality": 0}):
        with pytest.raises(UsageError, match=f"^{next(iter(wrong))}: expected "):
            StyleMap([picture(seed=2)], "png", stylizer=slim, **wrong)  # type: ignore[arg-type]
