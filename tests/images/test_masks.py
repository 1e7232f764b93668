"""Masks and label maps, and how much of each style a place gets of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import png
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from torchvision.transforms.v2.functional import resize

from nst_adain.errors import ImageError
from nst_adain.images.masks import read_label_map, read_mask, read_masks
from nst_adain.rendering.decoding import shares
from nst_adain.rendering.statistics import belonging


def test_a_mask_of_any_kind_and_size(tmp_path: Path) -> None:
    values = np.zeros((4, 6), np.float32)
    values[:, 3:] = 1
    picture = Image.fromarray((values * 255).astype(np.uint8))
    picture.save(tmp_path / "mask.png")
    expected = read_mask(values, (4, 6))
    assert expected.dtype == torch.uint8
    assert expected.tolist() == [[[[0, 0, 0, 255, 255, 255]] * 4]]
    for same in (tmp_path / "mask.png", str(tmp_path / "mask.png"), picture, torch.from_numpy(values), values > 0.5):
        assert torch.equal(read_mask(same, (4, 6)), expected)
    levels = np.asarray(picture)
    with (tmp_path / "mask.png").open("rb") as opened:
        for same in (levels, torch.from_numpy(levels.copy()), levels[None], opened, (tmp_path / "mask.png").read_bytes()):
            assert torch.equal(read_mask(same, (4, 6)), expected)
    larger = read_mask(values, (40, 60))
    assert larger.shape == (1, 1, 40, 60)
    assert len(larger.unique()) > 2  # a soft edge


def test_masks_that_overshoot_by_rounding_are_masks() -> None:
    scaled = resize(torch.eye(300)[None], [40, 53])[0]
    rest = 1 - torch.softmax(4 * torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0)), 0).sum(0)
    assert scaled.max() > 1 or rest.min() < 0
    assert read_mask(scaled, (40, 53)).max() == round(255 * float(scaled.max().clamp(0, 1)))
    assert read_mask(rest, (64, 64)).max() == 0
    assert read_mask(torch.tensor([[1 + 1e-6, -1e-6]]), (1, 2)).tolist() == [[[[255, 0]]]]
    for beyond in ([[0.0, 1.1]], [[-0.1, 1.0]], [[0.0, float("nan")]]):
        with pytest.raises(ValueError, match="masks: expected values from 0 to 1"):
            read_mask(torch.tensor(beyond), (1, 2))


def test_pictures_without_pixels_are_no_masks() -> None:
    with pytest.raises(ValueError, match="^alpha: expected a picture, got one of 0 x 4 pixels"):
        read_mask(Image.new("L", (0, 4)), (4, 6), "alpha")
    with pytest.raises(ValueError, match="^masks: expected a picture, got one of 0 x 4 pixels"):
        read_label_map(Image.new("L", (0, 4)), 2, (4, 6))


def test_files_and_pil_images_are_read_alike(tmp_path: Path) -> None:
    ramp = Image.fromarray(np.linspace(0, 65535, 24).reshape(4, 6).astype(np.uint16))
    clear = Image.new("RGBA", (6, 4), (255, 255, 255, 0))
    clear.paste((255, 255, 255, 255), (0, 0, 3, 4))
    for name, image in (("ramp.png", ramp), ("clear.png", clear)):
        image.save(tmp_path / name)
        assert torch.equal(read_mask(image, (4, 6)), read_mask(tmp_path / name, (4, 6)))
    assert read_mask(clear, (4, 6)).tolist() == [[[[255, 255, 255, 0, 0, 0]] * 4]]
    with pytest.raises(ImageError, match="more than the limit of 10"):
        read_mask(tmp_path / "ramp.png", (4, 6), max_pixels=10)


def test_label_map_selects_styles_and_leaves_the_rest(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [2, 7]], np.uint8)
    first, second = read_label_map(labels, 2, (4, 4))
    assert first[0, 0, :2, :2].eq(255).all()
    assert second[0, 0, :2, 2:].eq(255).all()
    assert int(first.sum()) == int(second.sum()) == 4 * 255  # 2 and 7 belong to no style
    palette = Image.fromarray(labels).convert("P")
    palette.putdata([0, 1, 2, 7])
    palette.save(tmp_path / "labels.png")
    for a, b in zip(read_label_map(tmp_path / "labels.png", 2, (4, 4)), (first, second)):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("depth", "row"), [(2, b"\x00\x5a"), (4, b"\x00\x00\x11\x22"), (8, b"\0\0\0\0\1\1\2\2")])
def test_label_maps_of_few_bits(tmp_path: Path, depth: int, row: bytes) -> None:
    (tmp_path / "labels.png").write_bytes(png(depth, 0, row))
    masks = read_label_map(tmp_path / "labels.png", 3, (8, 8))
    assert [mask[0, 0, 0].div(255).int().tolist() for mask in masks] == [
        [1, 1, 1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 1],
    ]


def test_a_mask_alone_is_not_taken_for_a_label_map() -> None:
    mask = np.array([[0, 255]], np.uint8)
    for labels in (mask, torch.from_numpy(mask), Image.fromarray(mask)):
        with pytest.raises(ValueError, match="masks: expected a label map, k for style k, found 0 and 255 alone, as in a mask"):
            read_label_map(labels, 1, (1, 2))
    assert read_label_map(mask.astype(np.int64), 1, (1, 2))[0].tolist() == [[[[255, 0]]]]


def test_one_mask_fewer_gives_the_rest_to_the_last_style() -> None:
    soft = np.linspace(0, 1, 12).reshape(3, 4)
    masks = read_masks([soft], 2, (3, 4))
    assert masks is not None
    assert masks.sum(1).eq(255).all()


def test_shares_sum_to_one_and_follow_the_weights() -> None:
    masks = torch.rand(1, 3, 16, 24)
    got = shares(masks, [1, 2, 0.5], 8)
    assert got.shape == (1, 3, 2, 3)
    torch.testing.assert_close(got.sum(1), torch.ones(1, 2, 3))
    both = shares(torch.ones(1, 2, 8, 8), [3, 1], 8)
    torch.testing.assert_close(both.flatten(), torch.tensor([0.75, 0.25]))
    assert shares(torch.zeros(1, 2, 8, 8), [1, 1], 8).tolist() == [[[[0.5]], [[0.5]]]]
    apart = torch.zeros(1, 2, 8, 16)
    apart[:, 0, :, :8], apart[:, 1, 3, 8] = 1, 1 / 255
    for tiny in (1e-20, 1e-38, 1e-46, 1e-300):  # as it is the only one there
        assert shares(apart, [1, tiny], 8).tolist() == [[[[1, 0]], [[0, 1]]]]


def test_a_position_counts_less_the_more_it_sees_of_others() -> None:
    left = torch.zeros(1, 1, 64, 96)
    left[..., :48] = 1
    counted = belonging(torch.cat([left, 1 - left], 1), 8, 16)  # a position sees 40 pixels, 16 on each side of its own 8
    assert counted.shape == (1, 2, 8, 12)
    # The picture's own border is no border of a region.
    first = torch.tensor([1.0, 1, 1, 1, 0.8, 0.6, 0, 0, 0, 0, 0, 0]) ** 2
    torch.testing.assert_close(counted[0, 0], first.expand(8, -1))
    torch.testing.assert_close(counted[0, 1], first.flip(0).expand(8, -1))


def test_where_all_positions_see_as_much_they_count_alike() -> None:
    assert torch.equal(belonging(torch.ones(1, 1, 16, 24), 8, 22), torch.ones(1, 1, 2, 3))
    stripes = torch.zeros(1, 1, 32, 64)
    stripes[..., ::2] = 1  # no position lies inside
    counted = belonging(stripes, 4, 6)
    torch.testing.assert_close(counted, torch.full_like(counted, 0.125))
    assert belonging(torch.zeros(1, 1, 16, 16), 8, 22).eq(0).all()


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.full((2, 2), 2.0), ValueError, "values from 0 to 1, got 2.0 to 2.0"),
        (np.full((2, 2), np.nan), ValueError, "values from 0 to 1"),
        (np.zeros((2, 2, 3)), ValueError, r"shape \(H, W\), got \(2, 2, 3\)"),
        (np.zeros((0, 2)), ValueError, r"shape \(H, W\), got \(0, 2\)"),
        (3, TypeError, "got int"),
        (np.full((2, 2), 5, np.uint8), ValueError, "got 5 at most: a label map goes in alone, without a list"),
    ],
)
def test_wrong_masks_are_named(mask: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"masks: expected.*{message}"):
        read_mask(mask, (4, 4))  # type: ignore[arg-type]


def test_pictures_that_look_like_masks_are_no_label_maps() -> None:
    for mask in (Image.new("L", (8, 8), 255), Image.linear_gradient("L")):
        mask.paste(0, (0, 0, 4, 8))
        with pytest.raises(ValueError, match=r"expected a label map.* found .* as in a mask; masks go into a list \(--masks\)"):
            read_label_map(mask, 2, (8, 8))
    drawn = Image.fromarray(np.arange(120, dtype=np.uint8).reshape(10, 12))
    assert len(read_label_map(drawn, 120, (10, 12))) == 120
    assert len(read_label_map(np.array([[0, 255]]), 1, (1, 2))) == 1


def test_label_maps_as_programs_save_them(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [1, 0]], np.uint8)
    grey = Image.fromarray(labels)
    expected = read_label_map(labels, 2, (2, 2))
    for image in (grey, grey.convert("RGB"), grey.convert("RGBA"), grey.convert("LA"), grey.convert("I"),
                  Image.fromarray(labels.astype(np.uint16))):  # fmt: skip
        image.save(tmp_path / "labels.tif")
        for found, wanted in zip(read_label_map(tmp_path / "labels.tif", 2, (2, 2)), expected):
            assert torch.equal(found, wanted)
    held = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    exif = Image.Exif()
    exif[0x112] = 6  # a quarter turn to the right makes it upright
    held.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "held.png", exif=exif)
    for found, wanted in zip(read_label_map(tmp_path / "held.png", 6, (2, 3)), read_label_map(np.asarray(held), 6, (2, 3))):
        assert torch.equal(found, wanted)
    seen = grey.convert("RGBA")
    seen.putpixel((1, 0), (1, 1, 1, 0))  # where a label map is invisible, it has no label
    assert [int(mask[0, 0, 0, 1]) for mask in read_label_map(seen, 2, (2, 2))] == [0, 0]
    for mask in (labels.astype(np.uint16) * 65535, labels * 255):
        with pytest.raises(ValueError, match=r"found 0 and (255|65535) alone, as in a mask"):
            read_label_map(Image.fromarray(mask), 2, (2, 2))
    Image.new("RGB", (2, 2), "red").save(tmp_path / "labels.png")
    with pytest.raises(ValueError, match=r"labels\.png: expected a label map"):
        read_label_map(tmp_path / "labels.png", 2, (2, 2))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((2, 2), 9), "labels from 0 to 1 .* got 9 to 9"),
        (np.zeros((2, 2)), "label map of integers, or a list of masks, got float64"),
        (Image.new("RGB", (2, 2), "red"), "masks: expected a label map .* got colours, of mode RGB"),
    ],
)
def test_wrong_label_maps_are_named(labels: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_label_map(labels, 2, (4, 4))  # type: ignore[arg-type]


def test_wrong_numbers_of_masks_are_named() -> None:
    with pytest.raises(ValueError, match="masks: expected 3, one for each style, or 2, got 1"):
        read_masks([np.ones((2, 2))], 3, (4, 4))
    with pytest.raises(ValueError, match="got 0"):
        read_masks([], 1, (4, 4))


@st.composite
def strided_masks(draw: st.DrawFn) -> tuple[torch.Tensor, int]:
    """Masks of bytes, soft, hard, empty or full, of a size that is a multiple of the stride."""
    stride = draw(st.sampled_from([1, 2, 4, 8]))
    count, height, width = draw(st.integers(1, 4)), stride * draw(st.integers(1, 5)), stride * draw(st.integers(1, 5))
    values = torch.rand(1, count, height, width, generator=torch.Generator().manual_seed(draw(st.integers(0, 2**32))))
    kinds = draw(st.lists(st.sampled_from(["soft", "hard", "empty", "full"]), min_size=count, max_size=count))
    made = {"soft": torch.clone, "hard": torch.round, "empty": torch.zeros_like, "full": torch.ones_like}
    masks = torch.stack([made[kind](values[:, index]) for index, kind in enumerate(kinds)], 1)
    return (masks * 255).round() / 255, stride


@given(strided_masks(), st.data())
def test_any_shares_sum_to_one_in_proportion_to_weights(given_masks: tuple[torch.Tensor, int], data: st.DataObject) -> None:
    masks, stride = given_masks
    count = masks.shape[1]
    weights = data.draw(st.lists(st.floats(1e-30, 1e4), min_size=count, max_size=count))
    got, eps = shares(masks, weights, stride), torch.finfo(torch.float32).eps
    assert ((got >= 0) & (got <= 1)).all()
    # Sums of `count` terms, once in the denominator, once here; a quotient.
    assert ((got.sum(1) - 1).abs() <= (2 * count + 1) * eps).all()
    pooled = F.avg_pool2d(masks, stride)
    nobody = pooled.sum(1, keepdim=True) == 0
    assert (got.eq(torch.tensor(1 / count)) | ~nobody).all()
    assert (got.eq(0) | pooled.ne(0) | nobody).all()  # where a mask is empty, it has no share
    alone = (pooled > 0).sum(1, keepdim=True) == 1
    assert (got.eq((pooled > 0).float()) | ~alone).all()


@given(strided_masks(), st.integers(0, 40))
def test_any_region_counts_at_most_its_share(given_masks: tuple[torch.Tensor, int], reach: int) -> None:
    masks, stride = given_masks
    counted, share = belonging(masks, stride, reach), F.avg_pool2d(masks, stride)
    assert counted.shape == share.shape
    off = 1 + 6 * torch.finfo(torch.float32).eps  # quotients of three means, and two products
    assert ((counted >= 0) & (counted <= off * share) & (counted <= off)).all()
    everything = belonging(torch.ones_like(masks), stride, reach)
    assert ((everything - 1).abs() <= off - 1).all()


@given(
    arrays.arrays(arrays.integer_dtypes() | arrays.unsigned_integer_dtypes(), arrays.array_shapes(min_dims=2, max_dims=2)),
    st.integers(1, 254),
)
def test_any_label_map_gives_each_place_to_its_style_alone(labels: np.ndarray, count: int) -> None:
    wide = labels.astype(object)  # of any size
    known = [[0 <= value < count for value in row] for row in wide]
    if not any(map(any, known)):
        with pytest.raises(ValueError, match=f"masks: expected labels from 0 to {count - 1}"):
            read_label_map(labels, count, labels.shape)
        return
    masks = torch.cat(read_label_map(labels, count, labels.shape), 1)
    assert masks.shape == (1, count, *labels.shape)
    assert torch.equal(masks.sum(1)[0], 255 * torch.tensor(known))
    for row, column in np.argwhere(known):
        assert masks[0, int(wide[row, column]), row, column] == 255


@given(
    arrays.arrays(
        arrays.floating_dtypes(endianness="=", sizes=(16, 32, 64)),
        arrays.array_shapes(min_dims=2, max_dims=2),
        elements=st.floats(0, 1, width=16),
    ),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_any_mask_is_rounded_to_bytes_and_keeps_its_range(values: np.ndarray, size: tuple[int, int]) -> None:
    same = read_mask(values, values.shape)
    assert same[0, 0].tolist() == np.round(values.astype(np.float32) * 255).tolist()
    scaled = read_mask(values, size)
    assert scaled.shape == (1, 1, *size)
    assert same.min() <= scaled.min()
    assert scaled.max() <= same.max()
