"""The `Stylizer`: pictures of every kind in and out, encoded contents and styles, tiles, and what it refuses."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw, picture
from PIL import Image

from nst_adain.errors import ImageError, UsageError
from nst_adain.figures.gallery import STYLES
from nst_adain.figures.samples import photograph
from nst_adain.functional import ChannelStats, blend, channel_stats
from nst_adain.images.inputs import to_tensor
from nst_adain.images.io import load_image
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import load_model
from nst_adain.stylizer import Stylizer


def pixels(image: Image.Image | torch.Tensor) -> np.ndarray:
    assert isinstance(image, Image.Image)
    return np.asarray(image.convert("RGB"), dtype=float)


def test_paths_pictures_and_tensors_give_the_same(slim: Stylizer, photo: Path, painting: Path) -> None:
    from_paths = slim(photo, str(painting))
    from_pictures = slim(load_image(photo), load_image(painting))
    from_tensors = slim(to_tensor(load_image(photo)), to_tensor(load_image(painting)))
    assert isinstance(from_paths, Image.Image)
    assert isinstance(from_tensors, torch.Tensor)
    assert from_paths.size == (45, 31)
    assert from_tensors.shape == (1, 3, 31, 45)
    np.testing.assert_array_equal(pixels(from_paths), pixels(from_pictures))
    np.testing.assert_allclose(pixels(from_paths), from_tensors[0].permute(1, 2, 0).numpy() * 255, atol=0.51)


def test_strength_moves_from_the_photo_to_the_style(slim: Stylizer) -> None:
    photo = photograph("coffee").resize((200, 200))
    for style in map(draw, STYLES):
        distances = []
        for alpha in (0.0, 0.5, 1.0):
            got = channel_stats(to_tensor(slim(photo, style, alpha=alpha)))  # type: ignore[arg-type]
            distances.append(float((got.mean - channel_stats(to_tensor(style)).mean).abs().sum()))
        assert distances[0] > distances[1] > distances[2]


def test_alpha_above_one_goes_beyond(slim: Stylizer, photo: Path, painting: Path) -> None:
    assert np.abs(pixels(slim(photo, painting, alpha=1.5)) - pixels(slim(photo, painting))).mean() > 1


def test_nothing_is_kept_between_calls(slim: Stylizer, photo: Path, painting: Path) -> None:
    before = dict(vars(slim))
    slim(photo, painting)
    assert vars(slim) == before


def test_a_saved_style_gives_the_same_picture(slim: Stylizer, photo: Path, painting: Path, tmp_path: Path) -> None:
    style = slim.encode_style(painting)
    style.save(tmp_path / "style.safetensors")
    loaded = ChannelStats.load(tmp_path / "style.safetensors")
    assert np.array_equal(pixels(slim(photo, loaded)), pixels(slim(photo, painting)))
    mixed = slim(photo, [tmp_path / "style.safetensors", photo])
    assert np.array_equal(pixels(mixed), pixels(slim(photo, [painting, photo])))
    with pytest.raises(ValueError, match="preserve_color: 'coral' recolours style pictures"):
        slim(photo, tmp_path / "style.safetensors", preserve_color="coral")
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        slim(photo, tmp_path / "none.safetensors")


def test_a_style_of_another_model_is_refused(slim: Stylizer, photo: Path, painting: Path, tiny_model: StyleTransfer) -> None:
    style = Stylizer(tiny_model, "cpu").encode_style(painting)
    with pytest.raises(ValueError, match="expected statistics of 544 channels, got 68: .* another model"):
        slim(photo, style)


def test_codes_of_other_weights_are_refused(slim: Stylizer, photo: Path, painting: Path, tmp_path: Path) -> None:
    model = load_model("slim")
    model.encoder.get_parameter("conv1_1.bias").data.add_(0.1)
    other = Stylizer(model, "cpu", "float32")
    other.encode_style(painting).save(tmp_path / "style.safetensors")
    with pytest.raises(ValueError, match="style: encoded with other weights"):
        slim(photo, ChannelStats.load(tmp_path / "style.safetensors"))
    with pytest.raises(ValueError, match=r"style\.safetensors: encoded with other weights than this model's"):
        slim.encode_style(tmp_path / "style.safetensors")
    with pytest.raises(ValueError, match="content: encoded with other weights"):
        slim(other.encode_content(photo), painting)
    with pytest.raises(ValueError, match="content: expected statistics of .* encoded with another model"):
        slim(Stylizer.from_pretrained("base", device="cpu").encode_content(photo), painting)
    slim(photo, Stylizer.from_pretrained("slim", device="cpu", precision="bfloat16").encode_style(painting))
    mixed, foreign = (blend([made_by.encode_style(x) for x in (painting, photo)], [0.5, 0.5]) for made_by in (slim, other))
    slim(photo, mixed)
    slim(photo, ChannelStats(foreign.mean, foreign.std))  # computed: nothing is known of it
    foreign.save(tmp_path / "foreign.safetensors")
    for style in (foreign, tmp_path / "foreign.safetensors"):
        with pytest.raises(ValueError, match="encoded with other weights than this model's"):
            slim(photo, style)
    with pytest.raises(ValueError, match="expected statistics of one model, got some of '.*' and some of '.*'"):
        blend([mixed, foreign], [0.5, 0.5])


def test_statistics_that_are_no_numbers_are_named(slim: Stylizer, photo: Path, painting: Path) -> None:
    style = slim.encode_style(painting)
    odd = [
        ChannelStats(style.mean * float("nan"), style.std),
        dataclasses.replace(style, mean=style.mean * float("nan")),  # also where the model is known
        blend([style, style], [float("inf"), 0]),
        ChannelStats(style.mean.double() + 1e39, style.std.double(), style.made_by),
    ]
    for stats in odd:
        with pytest.raises(ValueError, match="style: expected finite statistics"):
            slim(photo, stats)


@pytest.mark.parametrize("tile", [None, 64])
def test_what_overflows_on_the_way_is_no_black_picture(slim: Stylizer, photo: Path, painting: Path, tile: int | None) -> None:
    style = slim.encode_style(painting)
    huge = dataclasses.replace(style, mean=style.mean * 1e20, std=style.std * 1e20)
    with pytest.raises(ValueError, match="expected a finite result, found another: a style's statistics"):
        slim(photo, huge, tile=tile)


def test_the_model_alone_gives_the_same(slim: Stylizer) -> None:
    content, style = (to_tensor(picture(48, 32, seed).convert("RGB")) for seed in (1, 2))
    model = load_model("slim").eval()
    with torch.inference_mode():
        expected = model(content, style).clamp(0, 1)
    torch.testing.assert_close(slim(content, style, boldness=0), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("how", ["autocast", "compiled", "halved"])
def test_modulation_is_kept_where_winograd_is_not_used(slim: Stylizer, how: str) -> None:
    content, style = (to_tensor(draw(name).resize((96, 96))) for name in ("mosaic", "ink_wash"))
    mask = torch.linspace(0, 1, 96).expand(96, 96)
    stylizer = Stylizer.from_pretrained("slim", device="cpu", precision="float32")
    with contextlib.ExitStack() as stack:
        if how == "autocast":
            stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        elif how == "compiled":
            stylizer.model.decode = torch.compile(stylizer.model.decode, backend="eager")  # type: ignore[method-assign]
        else:
            stylizer.model.halve()
        result = stylizer(content, style)
        masked = stylizer(content, [style, content], masks=[mask], alpha=mask)
    assert (result - slim(content, style)).abs().mean() < 1.5 / 255
    assert (masked - slim(content, [style, content], masks=[mask], alpha=mask)).abs().mean() < 1.5 / 255


def test_the_default_precision_of_torch_changes_nothing(slim: Stylizer, photo: Path, painting: Path) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        result = Stylizer.from_pretrained("slim", device="cpu", precision="float32")(photo, painting)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(pixels(result), pixels(slim(photo, painting)), atol=1)


def test_a_style_that_is_invisible_is_named(slim: Stylizer, tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "none.png")
    with pytest.raises(ImageError, match=r"none\.png: expected a style, found a picture that is invisible throughout"):
        slim(picture(20, 20), tmp_path / "none.png")
    assert slim(tmp_path / "none.png", picture(20, 20)).mode == "RGBA"


def test_size_scales_the_short_side(slim: Stylizer, photo: Path, painting: Path) -> None:
    assert slim(photo, painting, size=62).size == (90, 62)
    with pytest.raises(ValueError, match="content is already encoded"):
        slim(slim.encode_content(photo), painting, size=62)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"size: 4000 makes .* more than the limit of 1,000,000"):
        slim(photo, painting, size=4000, max_pixels=1_000_000)


def test_style_size_reduces_but_never_enlarges(slim: Stylizer) -> None:
    style = picture(64, 50, 2)
    small, same, full = (slim.encode_style(style, style_size=s) for s in (20, 5000, None))
    assert torch.equal(same.mean, full.mean)
    assert not torch.allclose(small.mean, full.mean)


def test_results_can_feed_a_network_that_is_trained(slim: Stylizer) -> None:
    out = slim(torch.rand(1, 3, 16, 16), picture())
    layer = torch.nn.Conv2d(3, 1, 1)
    layer(out).sum().backward()
    assert layer.weight.grad is not None


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (300, 1)])
def test_tiny_flat_and_thin_pictures(slim: Stylizer, size: tuple[int, int]) -> None:
    flat = Image.new("RGB", size, "gray")
    assert slim(flat, flat).size == size
    assert slim(picture(33, 21), flat).size == (33, 21)


def test_a_batch_of_tensors(slim: Stylizer) -> None:
    content = torch.rand(3, 3, 24, 32)
    out = slim(content, picture())
    assert isinstance(out, torch.Tensor)
    assert out.shape == (3, 3, 24, 32)
    assert out.min() >= 0
    assert out.max() <= 1
    single = slim(content[1:2], picture())
    torch.testing.assert_close(out[1:2], single, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="style: expected 1 or 3 pictures, got 2"):
        slim(content, torch.rand(2, 3, 24, 32))


@pytest.mark.parametrize("alpha", [-0.1, 1e5, 10**400, float("nan"), float("inf"), None])
def test_wrong_alpha_is_named(slim: Stylizer, photo: Path, alpha: object) -> None:
    with pytest.raises(ValueError, match="alpha: expected a number from 0"):
        slim(photo, photo, alpha=alpha)  # type: ignore[call-overload]


@pytest.mark.parametrize("name", ["slim", "base"])
def test_the_largest_factors_give_pictures(name: str) -> None:
    stylizer = Stylizer.from_pretrained(name, device="cpu")
    content, styles = torch.rand(1, 3, 24, 32), [picture(), picture(seed=2)]
    for controls in ({"alpha": 1e4}, {"weights": [1e4, -9999]}, {"weights": [100, -99], "alpha": 100}):
        assert stylizer(content, styles, **controls).isfinite().all()  # type: ignore[call-overload]


def test_codes_computed_in_float64_are_codes(slim: Stylizer) -> None:
    content, code = torch.rand(1, 3, 24, 32), slim.encode_style(picture())
    wide = ChannelStats(code.mean.double(), code.std.double())
    for controls in ({}, {"alpha": torch.rand(5, 5)}, {"masks": [torch.rand(5, 5)]}):
        assert torch.equal(slim(content, wide, **controls), slim(content, code, **controls))  # type: ignore[call-overload]


def test_a_name_is_no_model() -> None:
    with pytest.raises(TypeError, match="model: expected a StyleTransfer, got str; Stylizer.from_pretrained"):
        Stylizer("slim")  # type: ignore[arg-type]


@pytest.mark.parametrize("side", [0, -5, 1.5, 10**400])
def test_wrong_sizes_are_named(slim: Stylizer, photo: Path, side: object) -> None:
    with pytest.raises(ValueError, match="^size: expected a whole number"):
        slim(photo, photo, size=side)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="^style_size: expected a whole number"):
        slim(photo, photo, style_size=side)  # type: ignore[call-overload]


def test_wrong_inputs_are_named(slim: Stylizer, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.jpg"):
        slim(photo, tmp_path / "none.jpg")
    (tmp_path / "bad.jpg").write_text("no")
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        slim(tmp_path / "bad.jpg", photo)
    with pytest.raises(TypeError, match="content: expected a file, a PIL image, an array or a tensor, got int"):
        slim(3, photo)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"style: expected a tensor .* got torch.int64"):
        slim(photo, torch.zeros(1, 3, 8, 8, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"got torch.float32 \(8, 8\)"):
        slim(photo, torch.zeros(8, 8))
    with pytest.raises(ValueError, match="device: expected one of this machine, such as cpu, got 'toaster'"):
        Stylizer.from_pretrained("slim", device="toaster")


def test_bfloat16_looks_the_same(slim: Stylizer) -> None:
    photo = photograph("coffee").resize((256, 192))
    half = Stylizer.from_pretrained("slim", device="cpu", precision="bfloat16")
    for style in map(draw, STYLES):
        difference = pixels(half(photo, style)) - pixels(slim(photo, style))
        assert 0 < np.abs(difference).mean() < 2  # of 255
        assert (difference**2).mean() < 255**2 / 10**3.8  # 38 dB
        tiled = pixels(half(photo, style, tile=64)) - pixels(half(photo, style, tile=None))
        assert np.abs(tiled).max() <= 2


def test_bfloat16_is_for_convolutions_alone(tiny_model: StyleTransfer) -> None:
    half = Stylizer(tiny_model, "cpu", "bfloat16").model
    wide = {name.rsplit(".", 1)[0] for name, values in half.named_parameters() if values.dtype == torch.float32}
    assert wide == {"decoder.conv1_1", "modulator.hidden", "modulator.output"}
    features = half.encode(torch.rand(1, 3, 16, 16))
    assert {x.dtype for x in features.values()} == {torch.bfloat16}
    assert half.code(features).mean.dtype == torch.float32
    assert half(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)).dtype == torch.float32


@pytest.mark.parametrize("native", [True, False])
def test_precision_follows_the_device(tiny_model: StyleTransfer, monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr("nst_adain.device.native_bf16", lambda device: native)
    dtype = Stylizer(tiny_model, "cpu").model.encoder.get_parameter("conv1_1.weight").dtype
    assert dtype == (torch.bfloat16 if native else torch.float32)


def test_unknown_precision(tiny_model: StyleTransfer) -> None:
    with pytest.raises(ValueError, match="precision: expected auto, float32, bfloat16, got 'int4'"):
        Stylizer(tiny_model, "cpu", "int4")  # type: ignore[arg-type]


def test_float32_is_what_was_asked_for() -> None:
    halved = load_model("slim").bfloat16()
    photo, style = picture(), picture(seed=2)
    wide = copy.deepcopy(halved).float()
    stylizer = Stylizer(halved, "cpu", "float32")
    assert {p.dtype for p in stylizer.model.parameters()} == {torch.float32}
    np.testing.assert_array_equal(
        np.asarray(stylizer(photo, style)), np.asarray(Stylizer(wide, "cpu", "float32")(photo, style))
    )


def test_style_size_of_encoded_styles_is_refused(slim: Stylizer, tmp_path: Path) -> None:
    code, message = slim.encode_style(picture(seed=2)), "style_size: expected the default where all styles are encoded already"
    code.save(tmp_path / "style.safetensors")
    for styles in (code, [code, tmp_path / "style.safetensors"]):
        with pytest.raises(UsageError, match=message):
            slim(picture(), styles, style_size=64)
    assert isinstance(slim(picture(), [code, picture()], style_size=64), Image.Image)


def test_what_arguments_cannot_be_is_said_of_them(slim: Stylizer, photo: Path) -> None:
    with pytest.raises(TypeError, match="out: expected a tensor, such as torch.from_numpy makes of an array, got ndarray"):
        slim(torch.rand(1, 3, 8, 8), picture(), out=np.zeros((1, 3, 8, 8)))  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="max_pixels: expected at least 1, got None"):
        slim(photo, picture(), max_pixels=None)  # type: ignore[call-overload]
    with pytest.raises(
        ValueError, match="masks: expected a label map, got a picture of one bit, as a mask is; masks go into a"
    ):
        slim(picture(), picture(), masks=Image.new("1", (40, 30)))
