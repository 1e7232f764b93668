"""Laws of the controls, alone and together."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import draw, picture
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from nst_adain.controls import Controls
from nst_adain.demo import photograph
from nst_adain.functional import ChannelStats, blend
from nst_adain.images.inputs import to_tensor
from nst_adain.images.io import load_image
from nst_adain.models.architecture import Architecture
from nst_adain.models.networks import StyleTransfer
from nst_adain.rendering.color import LUMA
from nst_adain.rendering.statistics import Moments
from nst_adain.stylizer import Stylizer


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return to_tensor(picture(90, 70, 1))


@pytest.fixture(scope="module")
def styles() -> list[Image.Image]:
    return [picture(64, 50, seed) for seed in (2, 3, 4)]


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def test_one_hot_weights_are_the_single_style(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    for i, style in enumerate(styles):
        weights = [float(i == j) for j in range(3)]
        close(slim(photo, styles, weights=weights), slim(photo, style))


def test_equal_styles_at_any_weights_are_that_style(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    close(slim(photo, [styles[0]] * 3, weights=[0.2, -0.5, 4]), slim(photo, styles[0]))


def test_weights_are_scaled_to_one_unless_raw(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    close(slim(photo, styles, weights=[2, 6, 8]), slim(photo, styles, weights=[0.125, 0.375, 0.5]))
    close(slim(photo, styles), slim(photo, styles, weights=[1, 1, 1]))
    close(slim(photo, styles, weights=[1e-12, 3e-12, 4e-12]), slim(photo, styles, weights=[1, 3, 4]))
    raw = slim(photo, styles[:2], weights=[1.5, -1.0], raw_weights=True)
    encoded = [slim.encode_style(style) for style in styles[:2]]
    close(raw, slim(photo, blend(encoded, [1.5, -1.0])))
    assert (raw - slim(photo, styles[:2], weights=[1.5, -1.0])).abs().mean() > 0.01


def test_n_styles_take_one_encode_and_one_decode_of_the_content(
    slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]
) -> None:
    encoded = [slim.encode_style(style) for style in styles]
    calls = {"encoder": 0, "decoder": 0}

    def count(name: str) -> None:
        calls[name] += 1

    handles = [
        slim.model.encoder.conv1_1.register_forward_pre_hook(lambda *_: count("encoder")),  # type: ignore[operator]
        slim.model.decoder.conv1_1.register_forward_pre_hook(lambda *_: count("decoder")),  # type: ignore[operator]
    ]
    slim(photo, encoded, weights=[0.5, 0.3, 0.2], masks=np.array([[0, 1, 2]]), alpha=0.7, preserve_color="luminance")
    for handle in handles:
        handle.remove()
    assert calls == {"encoder": 1, "decoder": 1}


def test_masks_of_ones_are_no_mask(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    ones = np.ones((5, 5))
    close(slim(photo, styles[0], masks=[ones]), slim(photo, styles[0]), 1e-3)
    close(slim(photo, styles[:2], masks=[ones, ones], weights=[3, 1]), slim(photo, styles[:2], weights=[3, 1]), 1e-3)
    close(slim(photo, styles[:2], masks=[ones]), slim(photo, styles[0]), 1e-3)  # nothing is left for the second


def test_where_no_mask_applies_the_photograph_stays(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    mask = np.zeros((70, 90))
    mask[:, 45:] = 1
    out = slim(photo, styles[0], masks=[mask])
    close(out[..., :45], photo[..., :45])
    assert (out - photo)[..., 45:].abs().mean() > 0.02
    close(slim(photo, styles[0], masks=[np.zeros((2, 2))]), photo)


def mottled(width: int, height: int, seed: int) -> Image.Image:
    """Full of edges, as photographs are: a colour of its own each 8 pixels."""
    cells = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(cells).resize((width, height), Image.Resampling.BICUBIC)


# In smooth pictures the border between the regions is the only edge, and what of it is in the statistics of both halves when
# the width doubles. Among other edges it hardly counts: half a per cent of the whole picture's statistics in a region's would
# be too much there.
@pytest.mark.parametrize(("drawn", "width", "limit"), [(picture, 2048, 0.2), (picture, 4096, 0.15), (mottled, 2048, 0.05)])
def test_regions_have_their_own_content_statistics(
    slim: Stylizer, styles: list[Image.Image], drawn: Callable[[int, int, int], Image.Image], width: int, limit: float
) -> None:
    """Far from the border between two regions, each is rendered as if it were a picture of its own."""
    # One dark: of regions with like statistics there would be little to tell apart.
    left, right = to_tensor(drawn(width, 64, 5)), 0.3 * to_tensor(drawn(width, 64, 6))
    both = torch.cat([left, right], -1)
    masks = [np.arange(2 * width)[None] < width, np.arange(2 * width)[None] >= width]
    masks = [np.repeat(mask, 64, 0).astype(float) for mask in masks]
    out = slim(both, styles[:2], masks=masks)
    alone = slim(left, styles[0]), slim(right, styles[1])
    uniform = slim(both, styles[0]), slim(both, styles[1])  # statistics of both halves together
    inside = width - 76
    for part, i in ((slice(0, inside), 0), (slice(-inside, None), 1)):
        far = (uniform[i][..., part] - alone[i][..., part]).abs().mean()
        assert (out[..., part] - alone[i][..., part]).abs().mean() < limit * far


def test_soft_masks_mix(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    half = np.full((4, 4), 0.5)
    close(slim(photo, styles[:2], masks=[half, half]), slim(photo, styles[:2]), 5e-3)


def test_label_map_equals_its_masks(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    labels = np.zeros((70, 90), np.int64)
    labels[30:, :] = 1
    labels[:, 60:] = 9
    masks = [(labels == k).astype(float) for k in (0, 1)]
    close(slim(photo, styles[:2], masks=labels), slim(photo, styles[:2], masks=masks))


def test_alpha_as_a_mask_is_the_strength_at_each_place(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    close(slim(photo, styles[0], alpha=np.ones((3, 3))), slim(photo, styles[0]))
    close(slim(photo, styles[0], alpha=np.zeros((3, 3))), slim(photo, styles[0], alpha=0))
    close(slim(photo, styles[0], alpha=np.full((3, 3), 0.4)), slim(photo, styles[0], alpha=0.4), 5e-3)


def test_luminance_keeps_the_chroma(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image]) -> None:
    photo = photo * 0.2 + 0.4  # little colour, so that hardly anything is clamped
    out = slim(photo, styles, preserve_color="luminance")
    weights = torch.tensor(LUMA).view(1, 3, 1, 1)
    free = ((out > 0) & (out < 1)).all(1, keepdim=True).expand_as(out)
    chroma = [image - (image * weights).sum(1, keepdim=True) for image in (out, photo)]
    assert free.float().mean() > 0.5
    close(chroma[0][free], chroma[1][free], 1e-4)


@pytest.mark.parametrize("preserve_color", ["luminance", "coral"])
def test_colour_is_preserved_also_when_mixing_and_masking(
    slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image], preserve_color: str
) -> None:
    photo = (photo * 0.4 + torch.tensor([0.45, 0.05, 0.0]).view(1, 3, 1, 1)).clamp(0, 1)  # a reddish photograph
    for more in ({}, {"weights": [0.2, 0.3, 0.5]}, {"masks": np.array([[0, 1, 2]])}, {"tile": 64}):
        kept = slim(photo, styles, preserve_color=preserve_color, **more)  # type: ignore[arg-type]
        free = slim(photo, styles, **more)  # type: ignore[arg-type]
        distance = [(image.mean((2, 3)) - photo.mean((2, 3))).abs().sum() for image in (kept, free)]
        assert distance[0] < 0.6 * distance[1]


@pytest.fixture(scope="module", params=["slim", "published topology"])
def any_model(request: pytest.FixtureRequest, slim: Stylizer) -> Iterator[Stylizer]:
    if request.param == "slim":
        yield slim
        return
    torch.manual_seed(3)
    model = StyleTransfer(Architecture("vgg19", 1 / 8, ("relu4_1",)))
    with torch.no_grad():
        model.decoder.get_parameter("conv1_1.weight").mul_(0.05)
        model.decoder.get_parameter("conv1_1.bias").fill_(0.5)
    yield Stylizer(model, "cpu", "float32")


@pytest.mark.parametrize("size", [(200, 264), (131, 333), (17, 400), (5, 300), (129, 128)])
def test_tiled_equals_whole(any_model: Stylizer, styles: list[Image.Image], size: tuple[int, int]) -> None:
    photo = torch.rand(1, 3, *size)
    for controls in (
        {},
        {"alpha": 0.6, "weights": [0.5, 0.2, 0.3], "preserve_color": "luminance"},
        {"masks": np.array([[0, 1], [2, 5]]), "alpha": np.linspace(0, 1, 20).reshape(4, 5), "preserve_color": "coral"},
    ):
        whole = any_model(photo, styles, tile=None, **controls)  # type: ignore[arg-type]
        for side in (64, 128):
            tiled = any_model(photo, styles, tile=side, **controls)  # type: ignore[arg-type]
            assert (tiled - whole).abs().max() < 2 / 255


def test_a_batch_equals_its_pictures_one_by_one(slim: Stylizer, styles: list[Image.Image]) -> None:
    photos = torch.rand(3, 3, 40, 56)
    controls = {"weights": [1, 2, 3], "masks": np.array([[0, 1, 2]]), "alpha": 0.9, "preserve_color": "coral"}
    batch = slim(photos, styles, **controls)  # type: ignore[arg-type]
    for i in range(3):
        close(batch[i : i + 1], slim(photos[i : i + 1], styles, **controls), 1e-3)  # type: ignore[arg-type]


def test_large_pictures_are_tiled_by_themselves(slim: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_adain.rendering.tiling.AUTO_PIXELS", 64 * 64)
    monkeypatch.setattr("nst_adain.rendering.tiling.AUTO_TILE", 64)
    photo = picture(200, 90)
    encoded = slim.encode_content(photo)
    assert encoded.content.features is None
    tiled = np.asarray(slim(encoded, photo), dtype=int)
    whole = np.asarray(slim(photo, photo, tile=None), dtype=int)
    assert np.abs(tiled - whole).max() <= 2


def test_extrapolation_never_asks_for_a_negative_deviation(slim: Stylizer, photo: torch.Tensor) -> None:
    """Which would turn a channel into its negative."""
    seen: list[torch.Tensor] = []

    def watch(features: Any, content: Any, target: dict[str, ChannelStats]) -> torch.Tensor:
        seen.extend(stats.std for stats in target.values())
        return original(features, content, target)

    original = slim.model.decode
    slim.model.decode = watch  # type: ignore[method-assign]
    try:
        slim(photo, Image.new("RGB", (32, 32), "gray"), alpha=3.0)
    finally:
        del slim.model.decode
    assert len(seen) == len(slim.model.arch.code_channels)
    assert all((std >= 0).all() for std in seen)


def test_wrong_controls_are_named(slim: Stylizer, photo: torch.Tensor, styles: list[Image.Image], tmp_path: Path) -> None:
    encoded = [slim.encode_style(style) for style in styles]
    cases: list[tuple[dict[str, object], str]] = [
        ({"weights": [1, 2]}, "weights: expected 3 finite numbers"),
        ({"weights": "123"}, "weights: expected 3 finite numbers"),
        ({"raw_weights": True}, "raw_weights: expected weights to use as they are"),
        ({"weights": [1, 2, float("nan")]}, "weights: expected 3 finite numbers"),
        ({"weights": [1e308, 1e308, 0]}, "weights: expected 3 finite numbers"),
        ({"weights": [1, 2, 2e4], "raw_weights": True}, "weights: expected factors up to 10,000, got"),
        ({"weights": [1, -1, 1e-8]}, "weights: expected factors up to 10,000, got .* from"),
        ({"weights": [200, -199, 0], "alpha": 100}, "weights: expected factors up to 100 at a strength of 100, got"),
        ({"weights": [1, -2, 1]}, "sum to 0"),
        ({"weights": 1}, "weights: expected 3 finite numbers, one for each style, got 1"),
        ({"weights": [1, None, 1]}, r"weights: expected 3 finite numbers, .* got \[1, None, 1\]"),
        ({"preserve_color": "hue"}, "preserve_color: expected None, 'luminance' or 'coral', got 'hue'"),
        ({"preserve_color": "coral"}, "this style is already encoded"),
        ({"masks": [np.ones((2, 2))]}, "masks: expected 3, one for each style, or 2, got 1"),
        ({"tile": 100}, "tile: expected a positive multiple of 8 pixels, got 100"),
        ({"masks": [np.ones((2, 2))] * 3, "weights": [1, -1, 3]}, "weights: expected numbers above 0 where there are masks"),
        ({"masks": [np.ones((2, 2))] * 3, "weights": [1, 1, 1], "raw_weights": True}, "raw_weights: not allowed with masks"),
        ({"tile": "64"}, "tile: expected a positive multiple of 8 pixels, got '64'"),
        ({"alpha": np.full((2, 2), 3.0)}, "alpha: expected values from 0 to 1"),
    ]
    for controls, message in cases:
        with pytest.raises(ValueError, match=message):
            slim(photo, encoded, **controls)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="styles: expected at least one"):
        slim(photo, [])


@pytest.mark.slow
@pytest.mark.parametrize(("options", "output", "limit"), [({"compression": "tiff_lzw"}, "out.png", 2.0), ({}, "out.tif", 2.0)])
def test_a_huge_picture_in_constant_memory(tmp_path: Path, options: dict[str, str], output: str, limit: float) -> None:
    """10,000 x 10,000 pixels from file to file: below 2 GiB above the loaded library, decoded or mapped."""
    code = """
import sys, threading, time, psutil
from PIL import Image
from nst_adain.cli.main import main
from nst_adain.stylizer import Stylizer
from nst_adain.rendering.statistics import Moments
Stylizer.from_pretrained("slim", device="cpu")(Image.new("RGB", (64, 64)), Image.new("RGB", (64, 64)))
process, peak, done = psutil.Process(), [0], threading.Event()
start = process.memory_info().rss
def watch():
    while not done.wait(0.005):
        peak[0] = max(peak[0], process.memory_info().rss)
thread = threading.Thread(target=watch)
thread.start()
status = main(sys.argv[1:])
done.set()
thread.join()
print(status, (peak[0] - start) / 2**30)
"""
    photo = picture(10_000, 10_000)
    photo.save(tmp_path / "huge.tif", **options)
    del photo
    picture().save(tmp_path / "style.png")
    command = ["stylize", "huge.tif", "style.png", "-o", output, "--preserve-color", "luminance"]
    done = subprocess.run([sys.executable, "-c", code, *command], cwd=tmp_path, capture_output=True, text=True, check=True)
    status, peak = done.stdout.split("\n")[-2].split()
    print(f"peak {peak} GiB")
    assert status == "0"
    assert float(peak) < limit
    assert load_image(tmp_path / output).size == (10_000, 10_000)


@pytest.mark.slow
def test_a_4k_picture_at_once(tmp_path: Path) -> None:
    """3840 x 2160 pixels without tiles: below 1.5 GiB above the loaded model."""
    code = """
import torch
from nst_adain.stylizer import Stylizer
from train.measure.resources import PeakRss
stylizer = Stylizer.from_pretrained("slim", device="cpu", precision="float32")
content, style = torch.rand(1, 3, 2160, 3840), stylizer.encode_style(torch.rand(1, 3, 64, 64))
with PeakRss() as peak:
    stylizer(content, style, tile=None)
print(peak.above_start / 2**30)
"""
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    print(f"peak {done.stdout.strip()} GiB")
    assert 0.2 < float(done.stdout) < 1.5


def test_a_transparent_photograph_keeps_its_colours_where_no_mask_applies(slim: Stylizer) -> None:
    photo = Image.new("RGBA", (24, 16), (255, 0, 0, 128))
    photo.putpixel((3, 3), (9, 9, 9, 0))
    out = slim(photo, picture(), masks=[np.zeros((2, 2))])
    assert out.getpixel((10, 10)) == (255, 0, 0, 128)
    assert out.getpixel((3, 3)) == (255, 0, 0, 0)  # the mean of what is visible


@pytest.mark.parametrize("preserve_color", [None, "coral"])
@pytest.mark.parametrize("tile", [None, 128])
@pytest.mark.parametrize("masked", [False, True])
def test_what_is_invisible_does_not_count(slim: Stylizer, preserve_color: Any, tile: int | None, masked: bool) -> None:
    photo, style = photograph("coffee").resize((128, 128)), draw("mosaic").resize((128, 128))
    margin = Image.new("RGBA", (384, 384), (200, 0, 255, 0))
    margin.paste(photo, (128, 128))
    controls: Controls = {"preserve_color": preserve_color, "tile": tile}
    if masked:
        controls["masks"] = [np.ones((2, 2))]
    expected = np.asarray(slim(photo, style, **controls), dtype=float)
    out = np.asarray(slim(margin, style, **controls).crop((128, 128, 256, 256)).convert("RGB"), dtype=float)
    difference = np.abs(out - expected)[24:-24, 24:-24].mean()
    assert difference < 12  # 65 and more when they counted as white
    margin.putalpha(margin.getchannel("A").point([1] + [255] * 255))
    faint = np.asarray(slim(margin, style, **controls).crop((128, 128, 256, 256)).convert("RGB"), dtype=float)
    assert np.abs(faint - expected)[24:-24, 24:-24].mean() < 20  # the surroundings are seen at the edge
    cut_out = np.asarray(slim(photo, margin, **controls, style_size=None), dtype=float)
    itself = np.asarray(slim(photo, photo, **controls), dtype=float)
    assert np.abs(cut_out - itself).mean() < 12


def test_the_smallest_weight_is_all_where_no_other_mask_applies(slim: Stylizer) -> None:
    left = np.zeros((64, 64))
    left[:, :32] = 1
    photo, styles, masks = picture(64, 64), [picture(40, 40, 2), picture(40, 40, 3)], [left, 1 - left]
    out = slim(photo, styles, masks=masks)
    assert out.tobytes() == slim(photo, styles, masks=masks, weights=[1e-20, 1]).tobytes()


def test_what_is_wrong_with_masks_is_said_before_anything_is_computed(
    slim: Stylizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def encode(image: torch.Tensor) -> dict[str, torch.Tensor]:
        raise AssertionError("encoded")

    monkeypatch.setattr(slim.model, "encode", encode)
    with pytest.raises(ValueError, match="masks: expected 1"):
        slim(picture(), picture(), masks=[np.ones((2, 2))] * 3)
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        slim(picture(), picture(), alpha=tmp_path / "none.png")
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        slim(picture(), [picture(), tmp_path / "none.png"])


def test_a_picture_in_tiles_is_encoded_twice_with_masks_too(slim: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    style, calls, encode = slim.encode_style(picture()), [], slim.model.encode
    monkeypatch.setattr(slim.model, "encode", lambda image: (calls.append(1), encode(image))[1])
    told: list[int] = []
    slim(picture(64, 64), style, tile=32, masks=[np.ones((2, 2))], progress=lambda done, total: told.append(done))
    assert len(calls) == 8
    assert told == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]


class _Float64(TorchDispatchMode):
    """Notes the sizes of all float64 tensors that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        result = function(*arguments, **(keywords or {}))
        if isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            self.sizes.append(result.numel())
        return result


@pytest.mark.parametrize("weights", [None, torch.ones(1, 1, 30, 40)])
def test_only_numbers_for_each_channel_need_float64(weights: torch.Tensor | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apple's GPUs have none: those numbers come to the CPU first."""
    brought: list[int] = []
    to_cpu = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda x: brought.append(x.numel()) or to_cpu(x))
    moments = Moments()
    with _Float64() as made:
        moments.add(torch.ones(1, 2, 30, 40), weights)
    assert moments.stats().mean.flatten().tolist() == [1, 1]
    assert set(made.sizes) == {2}
    assert brought == [2, 2]


def test_coral_with_pictures_that_do_not_match_is_named(slim: Stylizer) -> None:
    with pytest.raises(ValueError, match="style: expected 1 or 3 pictures, got 2"):
        slim(torch.rand(3, 3, 16, 16), torch.rand(2, 3, 16, 16), preserve_color="coral")
