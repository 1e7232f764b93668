"""Fused passes against the plain functions that they stand for, and when they are not taken."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest
import torch
from conftest import picture

from nst_adain.functional import ChannelStats, adain, channel_stats
from nst_adain.models import fused, strips
from nst_adain.models.networks import StyleTransfer
from nst_adain.rendering.statistics import Moments
from nst_adain.stylizer import Stylizer


def features(height: int = 24, offset: float = 0.0) -> torch.Tensor:
    torch.manual_seed(0)
    return (torch.randn(1, 12, height, 40).relu_() + offset).bfloat16().contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
@pytest.mark.parametrize("half", [False, True])
def test_what_is_no_number_stays_none(tiny_model: StyleTransfer, half: bool) -> None:
    """Some fused operators turn NaN into 0, and a picture whose numbers overflowed would look like any other."""
    picture = torch.rand(1, 3, 32, 40)
    picture[0, 0, 5, 5] = torch.nan
    model = tiny_model.halve() if half else tiny_model
    features = model.encode(picture)
    assert all(part.isnan().any() for part in features.values())
    stats = model.arch.split(model.code(model.encode(torch.rand(1, 3, 32, 40))))
    assert model.decode(features, stats, stats).isnan().any()


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_models_of_other_precisions_run(tiny_model: StyleTransfer, dtype: torch.dtype) -> None:
    content, style = torch.rand(1, 3, 32, 40), torch.rand(1, 3, 32, 32)
    got = copy.deepcopy(tiny_model).to(dtype)(content.to(dtype), style.to(dtype))
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), tiny_model(content, style), rtol=0, atol=0.05)


@torch.inference_mode()
def test_adain_is_that_of_the_paper_rounded_once() -> None:
    x = features(offset=3.0)
    content, style = channel_stats(x), ChannelStats(torch.randn(1, 12, 1, 1), torch.rand(1, 12, 1, 1))
    got = fused.adain(x, content.mean, content.std, style.mean, style.std)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), adain(x, content, style), rtol=2**-8, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("height", [1, 24, 1000])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_moments_are_exact_to_a_ten_thousandth_of_the_deviation(height: int, offset: float) -> None:
    x, moments = features(height, offset), Moments()
    moments.add(x)
    got, exact = moments.stats(), channel_stats(x.double())
    assert ((got.mean.double() - exact.mean).abs() < 1e-4 * exact.std).all()
    assert ((got.std.double() - exact.std).abs() < 1e-4 * exact.std).all()


def test_torchs_defaults_change_nothing(slim: Stylizer, request: pytest.FixtureRequest) -> None:
    stylizer = Stylizer(slim.boldness.ends, device="cpu", precision="bfloat16")
    content, style = picture(32, 40), picture(32, 32, seed=2)
    expected = stylizer(content, style)
    request.addfinalizer(functools.partial(torch.set_default_dtype, torch.get_default_dtype()))
    torch.set_default_dtype(torch.float64)
    np.testing.assert_array_equal(np.asarray(stylizer(content, style)), np.asarray(expected))


def test_one_position_has_a_deviation() -> None:
    moments = Moments()
    moments.add(torch.full((1, 3, 1, 1), 0.5).bfloat16())
    assert moments.stats().std.isfinite().all()


def test_it_is_taken_only_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    x, trained = torch.rand(1, 2, 3, 4), torch.rand(2, requires_grad=True)
    assert fused.enabled(x)
    assert not fused.enabled(x, trained)
    assert not fused.enabled(torch.empty(1, device="meta"))
    with torch.no_grad():
        assert fused.enabled(x, trained)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not fused.enabled(x)
    with fused.disabled():
        assert not fused.enabled(x)
    assert fused.enabled(x)
    monkeypatch.setenv("NST_ADAIN_FUSED", "0")
    assert not fused.enabled(x)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning")
def test_a_traced_model_takes_other_heights(tiny_model: StyleTransfer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "_AT_ONCE", 1)
    encoder = tiny_model.encoder.eval().requires_grad_(False)
    traced = torch.jit.trace(encoder, torch.rand(1, 3, 64, 32), check_trace=False)
    taller = torch.rand(1, 3, 128, 32)
    torch.testing.assert_close(traced(taller), encoder(taller), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_the_switch_changes_no_picture_by_more_than_rounding(
    tiny_model: StyleTransfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, style = torch.rand(1, 3, 72, 88), torch.rand(1, 3, 64, 64)
    got = tiny_model(content, style)
    monkeypatch.setenv("NST_ADAIN_FUSED", "0")
    torch.testing.assert_close(got, tiny_model(content, style), rtol=1e-4, atol=1e-4)
