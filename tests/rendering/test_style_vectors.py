"""Encoded styles as vectors: averages, parts of single layers, and how they show themselves in notebooks."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw, picture
from PIL import Image

from nst_adain.errors import UsageError
from nst_adain.figures.gallery import STYLES
from nst_adain.functional import ChannelStats, blend
from nst_adain.models.networks import StyleTransfer
from nst_adain.stylizer import Stylizer


def test_the_average_is_the_mixture_of_all(slim: Stylizer, tmp_path: Path) -> None:
    for seed in range(3):
        (tmp_path / "in").mkdir(exist_ok=True)
        picture(40, 30, seed).save(tmp_path / ("in" if seed else "") / f"{seed}.png")
    paths = sorted(tmp_path.rglob("*.png"))
    of_folder = slim.average_style(tmp_path)
    np.testing.assert_allclose(np.asarray(slim(picture(), of_folder)), np.asarray(slim(picture(), paths)), atol=1)
    weighted = slim.average_style([paths[0], slim.encode_style(paths[1])], [3, 1])
    expected = np.asarray(slim(picture(), paths[:2], weights=[3, 1]))
    np.testing.assert_allclose(np.asarray(slim(picture(), weighted)), expected, atol=1)
    assert of_folder.made_by == weighted.made_by == slim.fingerprint
    small = sum(slim.encode_style(path, style_size=16) for path in paths) / 3
    torch.testing.assert_close(slim.average_style(tmp_path, style_size=16).mean, small.mean)  # type: ignore[union-attr]


def test_averages_of_nothing_or_of_others_are_refused(slim: Stylizer, tmp_path: Path, tiny_model: StyleTransfer) -> None:
    with pytest.raises(UsageError, match="styles: expected at least one, got none"):
        slim.average_style([])
    with pytest.raises(TypeError, match="styles: expected a list of them, got one Image"):
        slim.average_style(picture())
    with pytest.raises(UsageError, match="style_size: expected the default where all styles are encoded already, got 64"):
        slim.average_style([slim.encode_style(picture())], style_size=64)
    with pytest.raises(ValueError, match="expected pictures .* found none"):
        slim.average_style(tmp_path)
    with pytest.raises(NotADirectoryError, match=r"none: expected a folder of pictures"):
        slim.average_style(tmp_path / "none")
    with pytest.raises(UsageError, match="weights: expected 1 finite numbers"):
        slim.average_style([picture()], [1, 2])
    with pytest.raises(ValueError, match="styles: expected statistics of 544 channels, got 68"):
        slim.average_style([Stylizer(tiny_model, "cpu").encode_style(picture())])


def test_a_style_can_have_layers_of_another(slim: Stylizer) -> None:
    a, b = (slim.encode_style(picture(40, 30, seed)) for seed in (1, 2))
    parts = slim.layers(a)
    assert list(parts) == list(slim.model.arch.taps)
    assert slim.replace_layers(a, {}) == slim.replace_layers(a, parts)
    torch.testing.assert_close(slim.replace_layers(a, {}).mean, a.mean)
    torch.testing.assert_close(slim.replace_layers(a, slim.layers(b)).std, b.std)
    first, *_, last = parts
    mixed = slim.replace_layers(a, {first: slim.layers(b)[first] * 0.5})
    assert slim.layers(mixed)[first] == slim.layers(b)[first] * 0.5
    assert slim.layers(mixed)[last] == parts[last]
    assert mixed.made_by == slim.fingerprint
    results = [np.asarray(slim(picture(), style), float) for style in (a, mixed, b)]
    assert min(np.abs(results[1] - other).mean() for other in (results[0], results[2])) > 1
    with pytest.raises(UsageError, match="replaced: expected layers of relu1_1, .*, got 'conv9'"):
        slim.replace_layers(a, {"conv9": parts[first]})
    with pytest.raises(UsageError, match=f"replaced: expected .* channels for {first}, got"):
        slim.replace_layers(a, {first: parts[last]})


def opened(data: bytes | None) -> np.ndarray:
    assert data is not None
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image, float)


def test_a_style_shows_itself_while_its_model_is_there(slim: Stylizer, tiny_model: StyleTransfer) -> None:
    shown = [opened(slim.encode_style(draw(name))._repr_png_()) for name in STYLES]
    for index, one in enumerate(shown):
        assert one.shape == (160, 160, 3)
        assert all(np.abs(one - other).mean() > 3 for other in shown[:index])
    style = slim.encode_style(picture())
    for without in (
        ChannelStats(style.mean, style.std),  # of an unknown model
        slim.layers(style)["relu1_1"],
        slim.encode_style(torch.rand(2, 3, 20, 20)),
        style * float("nan"),
    ):
        assert without._repr_png_() is None
    stylizer, another = (Stylizer(tiny_model, "cpu") for _ in range(2))
    code = stylizer.encode_style(picture())
    del another
    assert code._repr_png_() is not None
    del stylizer
    assert code._repr_png_() is None


def test_everything_says_what_it_is_in_one_line(slim: Stylizer, tiny_model: StyleTransfer, photo: Path) -> None:
    style = slim.encode_style(picture())
    assert repr(style) == f"ChannelStats(mean and std of (1, 544, 1, 1), made by {slim.fingerprint})"
    assert repr(dataclasses.replace(style, made_by="")).endswith("made by unknown)")
    assert repr(slim) == "Stylizer('slim' on cpu in float32, 585,820 parameters)"
    assert repr(Stylizer(tiny_model, "cpu", "bfloat16")).startswith("Stylizer('' on cpu in bfloat16, ")
    content = slim.encode_content(photo)
    assert repr(content) == f"EncodedContent(picture of 45 x 31, made by {slim.fingerprint})"
    np.testing.assert_array_equal(opened(content._repr_png_()), np.asarray(Image.open(photo).convert("RGB")))
    large = slim.encode_content(torch.full((2, 3, 100, 400), 0.5), tile=64)
    assert opened(large._repr_png_()).shape == (40, 160, 3)


def test_styles_are_vectors(slim: Stylizer) -> None:
    a, b, c = (slim.encode_style(picture(40, 30, seed)) for seed in range(3))
    assert a + 0.5 * (b - a) == blend([a, blend([blend([b, a], [1, -1])], [0.5])], [1, 1])
    torch.testing.assert_close((sum([a, b, c]) / 3).mean, blend([a, b, c], [1 / 3] * 3).mean)  # type: ignore[operator]
    assert -a == a * -1 == np.float64(-1) * a == torch.tensor(-1.0) * a
    assert (a * 2) / np.float32(2) == a
    assert len({a, b, c, a * 1}) == 3
    assert a != b
    assert a != "a"
    assert a != dataclasses.replace(a, made_by="")
    assert a != ChannelStats(a.mean.double(), a.std.double(), a.made_by)
    assert a in [c, b, a + 0 * b]
    assert {style.made_by for style in (a + b, a - b, a * 2, a / 2, -a)} == {slim.fingerprint}
    for wrong in (lambda: a + 1, lambda: 1 + a, lambda: a * a, lambda: a / a, lambda: "x" * a, lambda: a - "x"):  # type: ignore[operator]
        with pytest.raises(TypeError, match="unsupported operand|can't multiply"):
            wrong()
    with pytest.raises(ValueError, match="expected statistics of one model"):
        a + dataclasses.replace(b, made_by="4567")
