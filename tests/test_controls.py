"""Laws of the controls, alone and together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image
from samples import close

from nst_adain.functional import blend
from nst_adain.images.inputs import to_tensor
from nst_adain.images.io import load_image
from nst_adain.rendering.color import LUMA
from nst_adain.stylizer import Stylizer


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return to_tensor(picture(90, 70, 1))


@pytest.fixture(scope="module")
def styles() -> list[Image.Image]:
    return [picture(64, 50, seed) for seed in (2, 3, 4)]


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


def test_a_batch_equals_its_pictures_one_by_one(slim: Stylizer, styles: list[Image.Image]) -> None:
    photos = torch.rand(3, 3, 40, 56)
    controls = {"weights": [1, 2, 3], "masks": np.array([[0, 1, 2]]), "alpha": 0.9, "preserve_color": "coral"}
    batch = slim(photos, styles, **controls)  # type: ignore[arg-type]
    for i in range(3):
        close(batch[i : i + 1], slim(photos[i : i + 1], styles, **controls), 1e-3)  # type: ignore[arg-type]


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
@pytest.mark.parametrize(("look_size", "limit"), [(None, 1.5), (512, 1.8)])
def test_a_4k_picture_at_once(tmp_path: Path, look_size: int | None, limit: float) -> None:
    """3840 x 2160 pixels without tiles: below 1.5 GiB above the loaded model; coarse to fine, a picture of 0.1 GiB more."""
    code = f"""
import torch
from nst_adain.stylizer import Stylizer
from train.measure.resources import PeakRss
stylizer = Stylizer.from_pretrained("slim", device="cpu", precision="float32")
content, style = torch.rand(1, 3, 2160, 3840), stylizer.encode_style(torch.rand(1, 3, 64, 64))
with PeakRss() as peak:
    stylizer(content, style, look_size={look_size}, tile=None)
print(peak.above_start / 2**30)
"""
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    print(f"peak {done.stdout.strip()} GiB")
    assert 0.2 < float(done.stdout) < limit


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


def test_coral_with_pictures_that_do_not_match_is_named(slim: Stylizer) -> None:
    with pytest.raises(ValueError, match="style: expected 1 or 3 pictures, got 2"):
        slim(torch.rand(3, 3, 16, 16), torch.rand(2, 3, 16, 16), preserve_color="coral")
