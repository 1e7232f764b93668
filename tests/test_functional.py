"""Statistics of channels, their mixtures, and adaptive instance normalisation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from nst_adain.functional import EPS, ChannelStats, adain, blend, channel_stats


def features(seed: int = 0, shape: tuple[int, ...] = (2, 5, 7, 9)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator) * 3 + torch.arange(shape[1]).view(1, -1, 1, 1)


def test_adain_gives_the_style_statistics() -> None:
    content, style = features(0), features(1, (2, 5, 12, 4))
    wanted = channel_stats(style)
    got = channel_stats(adain(content, channel_stats(content), wanted))
    torch.testing.assert_close(got.mean, wanted.mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(got.std, wanted.std, rtol=1e-4, atol=1e-4)


def test_adain_with_own_statistics_is_the_identity() -> None:
    x = features()
    torch.testing.assert_close(adain(x, channel_stats(x), channel_stats(x)), x)


def test_adain_is_equation_8() -> None:
    x, s = features(0, (1, 3, 6, 6)), features(1, (1, 3, 6, 6))
    got = adain(x, channel_stats(x), channel_stats(s))
    for c in range(3):
        std = lambda t, c=c: (t[0, c].var(correction=0) + EPS).sqrt()
        expected = std(s) * (x[0, c] - x[0, c].mean()) / std(x) + s[0, c].mean()
        torch.testing.assert_close(got[0, c], expected, rtol=1e-5, atol=1e-5)


def test_statistics_use_the_biased_variance_and_eps() -> None:
    x = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)
    stats = channel_stats(x)
    assert stats.mean.item() == 2
    assert stats.std.item() == pytest.approx((1 + EPS) ** 0.5)


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (1, 3, 1, 1)])
def test_constant_pictures_stay_finite_forwards_and_backwards(shape: tuple[int, ...]) -> None:
    x = torch.full(shape, 0.5, requires_grad=True)
    out = adain(x, channel_stats(x), channel_stats(features(1, shape)))
    assert out.isfinite().all()
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_even_under_autocast(dtype: torch.dtype) -> None:
    x = (features() + 100).to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        stats = channel_stats(x)
        out = adain(x, stats, stats)
    assert stats.mean.dtype == stats.std.dtype == out.dtype == torch.float32
    exact = channel_stats(x.double())
    torch.testing.assert_close(stats.std.double(), exact.std, rtol=1e-4, atol=1e-4)


def test_float64_stays_float64() -> None:
    assert channel_stats(features().double()).std.dtype == torch.float64


def test_torch_func_gives_the_same_gradients() -> None:
    x = torch.rand(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)

    def loss(features: torch.Tensor) -> torch.Tensor:
        return (channel_stats(features).std * torch.arange(3.0, dtype=torch.float64)[:, None, None]).sum()

    loss(x).backward()
    assert torch.equal(torch.func.grad(loss)(x.detach()), x.grad)
    each = torch.func.vmap(torch.func.grad(lambda one: loss(one[None])))(x.detach())
    torch.testing.assert_close(each, x.grad)


def test_blend_of_one_hot_weights_is_that_style() -> None:
    styles = [channel_stats(features(i)) for i in range(3)]
    mixed = blend(styles, [0.0, 1.0, 0.0])
    torch.testing.assert_close(mixed.mean, styles[1].mean)
    torch.testing.assert_close(mixed.std, styles[1].std)


def test_blend_takes_any_real_weights_as_they_are() -> None:
    a, b = channel_stats(features(0)), channel_stats(features(1))
    mixed = blend([a, b], [-0.5, 1.7])
    torch.testing.assert_close(mixed.mean, -0.5 * a.mean + 1.7 * b.mean)
    torch.testing.assert_close(mixed.std, -0.5 * a.std + 1.7 * b.std)


def test_blend_with_masks_varies_over_the_picture() -> None:
    a, b = channel_stats(features(0)), channel_stats(features(1))
    mask = torch.zeros(7, 9)
    mask[:, :4] = 1
    mixed = blend([a, b], [mask, 1 - mask])
    assert mixed.mean.shape == (2, 5, 7, 9)
    torch.testing.assert_close(mixed.std[..., :4], a.std.expand(2, 5, 7, 4))
    torch.testing.assert_close(mixed.std[..., 4:], b.std.expand(2, 5, 7, 5))


def test_cat_and_split_are_inverse() -> None:
    a, b = channel_stats(features(0)), channel_stats(features(1, (2, 3, 4, 4)))
    first, second = ChannelStats.cat([a, b]).split([5, 3])
    assert torch.equal(first.mean, a.mean)
    assert torch.equal(second.std, b.std)


def test_save_and_load_return_the_same(tmp_path: Path) -> None:
    stats = channel_stats(features())
    stats.save(tmp_path / "style.safetensors")
    loaded = ChannelStats.load(tmp_path / "style.safetensors")
    assert torch.equal(loaded.mean, stats.mean)
    assert torch.equal(loaded.std, stats.std)
    assert [p.name for p in tmp_path.iterdir()] == ["style.safetensors"]


def test_statistics_are_saved_under_names_that_are_known_to_be_theirs(tmp_path: Path) -> None:
    value = torch.rand(1, 3, 1, 1)
    with pytest.raises(ValueError, match=r"style\.png: expected a name ending in \.safetensors"):
        ChannelStats(value, value).save(tmp_path / "style.png")
    assert not list(tmp_path.iterdir())


def test_statistics_of_one_tensor_can_be_saved(tmp_path: Path) -> None:
    value = torch.rand(1, 3, 1, 1)
    ChannelStats(value, value).save(tmp_path / "x.safetensors")
    assert torch.equal(ChannelStats.load(tmp_path / "x.safetensors").std, value)


def test_load_of_another_file_names_it(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"not one")
    with pytest.raises(ValueError, match=r"x\.safetensors: expected a \.safetensors file of channel statistics"):
        ChannelStats.load(tmp_path / "x.safetensors")
    for path in (tmp_path / "none", tmp_path):  # a folder
        with pytest.raises(FileNotFoundError, match=f"^{path}: expected a file of channel statistics"):
            ChannelStats.load(path)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(B, C, H, W\), got \(3, 4\)"):
        channel_stats(torch.zeros(3, 4))
    with pytest.raises(ValueError, match="got 1 and 2"):
        blend([channel_stats(features())], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"equal channels, got \[5, 3\]"):
        blend([channel_stats(features()), channel_stats(features(0, (1, 3, 2, 2)))], [1, 1])
    with pytest.raises(ValueError, match="expected 4 channels"):
        channel_stats(features()).split([3, 1])
    with pytest.raises(ValueError, match="one shape"):
        ChannelStats(torch.zeros(1, 2, 1, 1), torch.zeros(1, 3, 1, 1))


def test_what_is_made_of_statistics_keeps_their_model(tmp_path: Path) -> None:
    a, b = (dataclasses.replace(channel_stats(features(seed)), made_by="0123") for seed in (0, 1))
    computed, other = channel_stats(features(2)), dataclasses.replace(b, made_by="4567")
    made = [blend([a, b], [0.5, 0.5]), ChannelStats.cat([a, b]), *a.split([3, 2]), a.to("cpu"), blend([computed, a], [1, 1])]
    assert {each.made_by for each in made} == {"0123"}
    assert blend([computed, computed], [1, 1]).made_by == ChannelStats.cat([computed, computed]).made_by == ""
    made[0].save(tmp_path / "mixed.safetensors")
    assert ChannelStats.load(tmp_path / "mixed.safetensors").made_by == "0123"
    for join in (lambda: blend([a, computed, other], [1, 1, 1]), lambda: ChannelStats.cat([a, other])):
        with pytest.raises(ValueError, match="expected statistics of one model, got some of '0123' and some of '4567'"):
            join()


NOT_FINITE = [
    torch.full((1, 3, 1, 1), torch.nan),
    torch.full((1, 3, 1, 1), -torch.inf, dtype=torch.float16),
    torch.full((1, 3, 1, 1), 1e39, dtype=torch.float64),
]


@pytest.mark.parametrize("value", NOT_FINITE)
def test_statistics_that_are_not_finite_are_neither_loaded_nor_saved(tmp_path: Path, value: torch.Tensor) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"mean": torch.zeros(1, 3, 1, 1), "std": value}, path)
    for act in (ChannelStats.load, ChannelStats(value, value).save):
        with pytest.raises(ValueError, match=r"^[^\n]*x\.safetensors: expected finite channel statistics, found others in"):
            act(path)


def test_an_extrapolated_deviation_below_0_is_kept(tmp_path: Path) -> None:
    a, b = channel_stats(features(0)), channel_stats(features(1) / 8)
    mixed = blend([a, b], [-1, 2])
    assert mixed.std.min() < 0
    mixed.save(tmp_path / "x.safetensors")
    assert torch.equal(ChannelStats.load(tmp_path / "x.safetensors").std, mixed.std)


# Laws. What rounding may add follows from the sums: n terms in a type of precision eps are off by n * eps / 2 of their largest,
# whatever the order. Twice as much is allowed, for what is of second order.

HALVES = (torch.float16, torch.bfloat16)
shapes = st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
dtypes = st.sampled_from([torch.float64, torch.float32, *HALVES])


@st.composite
def pictures(draw: st.DrawFn, largest: float = 100.0) -> torch.Tensor:
    """Features of any shape and precision, channels of very different means and deviations, some of them flat."""
    shape, generator = draw(shapes), torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    spread = torch.tensor(draw(st.lists(st.sampled_from([0, 1e-4, 0.1, 1]), min_size=shape[1], max_size=shape[1])))
    offset = torch.tensor(draw(st.lists(st.floats(-1, 1), min_size=shape[1], max_size=shape[1])))
    values = torch.randn(shape, generator=generator).clamp(-4, 4) / 4 * spread.view(-1, 1, 1) + offset.view(-1, 1, 1)
    return (values * draw(st.sampled_from([1e-3, 1, largest / 2]))).to(draw(dtypes))


def precision(x: torch.Tensor) -> float:
    """Of what is computed from `x`."""
    return torch.finfo(torch.promote_types(x.dtype, torch.float32)).eps


def rounding(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How far the mean and the deviation of each channel may be off: the deviation by what the mean is, and by its sum."""
    positions, eps = x[0, 0].numel(), precision(x)
    off = positions * eps * x.double().abs().amax((2, 3), keepdim=True)
    return off, off + (positions + 6) * eps * channel_stats(x.double()).std


@given(pictures())
def test_statistics_are_exact_up_to_the_rounding_of_sums(x: torch.Tensor) -> None:
    got, exact = channel_stats(x), channel_stats(x.double())
    mean_off, std_off = rounding(x)
    assert ((got.mean - exact.mean).abs() <= mean_off).all()
    assert ((got.std - exact.std).abs() <= std_off).all()
    assert got.mean.dtype == got.std.dtype == torch.promote_types(x.dtype, torch.float32)


@given(pictures(), st.integers(-8, 8), st.floats(-10, 10))
def test_statistics_follow_scale_and_shift(x: torch.Tensor, power: int, shift: float) -> None:
    x = x.double()
    stats, scaled, shifted = channel_stats(x), channel_stats(x * 2.0**power), channel_stats(x + shift)
    assert torch.equal(scaled.mean, stats.mean * 2.0**power)  # exact in binary
    variance = (stats.std**2 - EPS) * 4.0**power
    # The square of the deviation less EPS is off by some roundings of the square, and by as many of EPS.
    off = 8 * precision(x) * ((stats.std**2 + EPS) * 4.0**power + EPS)
    assert ((scaled.std**2 - EPS - variance).abs() <= off).all()
    (mean_off, std_off), (mean_more, std_more) = rounding(x), rounding(x + shift)
    moved = precision(x) * (x.abs().amax() + abs(shift))  # as x + shift is rounded
    assert ((shifted.mean - stats.mean - shift).abs() <= mean_off + mean_more + moved).all()
    assert ((shifted.std - stats.std).abs() <= std_off + std_more + moved).all()


@given(pictures())
def test_adain_with_own_statistics_changes_no_bit(x: torch.Tensor) -> None:
    stats = channel_stats(x)
    assert torch.equal(adain(x, stats, stats), x.to(stats.mean.dtype))


@given(pictures(), pictures())
def test_adain_gives_the_styles_statistics_up_to_eps(x: torch.Tensor, y: torch.Tensor) -> None:
    channels = min(x.shape[1], y.shape[1])
    x, style = x[:, :channels], channel_stats(y[:1, :channels].to(x.dtype))
    own, exact = channel_stats(x), channel_stats(x.double())
    got = channel_stats(adain(x, own, style).double())
    variance, scale = x.double().var((2, 3), correction=0, keepdim=True), style.std.double() / exact.std
    wanted = (style.std.double() ** 2 * variance / exact.std**2 + EPS).sqrt()
    assert got.mean.isfinite().all()
    assert got.std.isfinite().all()
    # The map: a quotient, two products, two sums. What the content's mean is off by is scaled; so is its deviation, relatively.
    eps, (mean_off, std_off) = precision(x), rounding(x)
    largest = style.mean.abs().double() + scale * x.double().abs().amax((2, 3), keepdim=True)
    relative = std_off / exact.std + eps
    assert ((got.mean - style.mean).abs() <= 8 * eps * largest + 2 * scale * mean_off).all()
    assert ((got.std - wanted).abs() <= 8 * eps * largest + 2 * relative * wanted).all()


@given(st.floats(-1e4, 1e4), shapes, dtypes, st.floats(-10, 10), st.floats(0, 10))
def test_flat_channels_become_the_styles_mean(
    level: float, shape: tuple[int, ...], dtype: torch.dtype, mean: float, std: float
) -> None:
    x = torch.full(shape, level, dtype=dtype)
    value = torch.ones(1, shape[1], 1, 1, dtype=torch.promote_types(dtype, torch.float32))
    own = channel_stats(x)
    got = adain(x, own, ChannelStats(mean * value, std * value))
    scale = std / EPS**0.5
    off = scale * rounding(x)[0] + 8 * precision(x) * (abs(mean) + scale * abs(float(x.double()[0, 0, 0, 0])))
    assert ((got.double() - (mean * value).double()).abs() <= off).all()


@given(st.lists(st.tuples(st.integers(0, 2**32), st.floats(-100, 100)), min_size=1, max_size=5), shapes)
def test_blend_is_the_weighted_sum(parts: list[tuple[int, float]], shape: tuple[int, ...]) -> None:
    stats = [channel_stats(features(seed, shape)) for seed, _ in parts]
    weights = [weight for _, weight in parts]
    mixed = blend(stats, weights)
    for kind in ("mean", "std"):
        terms = torch.stack([w * getattr(s, kind).double() for w, s in zip(weights, stats)])
        # Each term is rounded twice, as is its weight, then summed.
        off = (len(parts) + 2) * torch.finfo(torch.float32).eps * terms.abs().sum(0) + torch.finfo(torch.float32).tiny
        assert ((getattr(mixed, kind) - terms.sum(0)).abs() <= off).all()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 2**32))
def test_any_cut_is_undone_by_cat(cut: list[int], seed: int) -> None:
    stats = channel_stats(features(seed, (2, sum(cut), 3, 3)))
    parts = stats.split(cut)
    assert [part.channels for part in parts] == cut
    joined = ChannelStats.cat(parts)
    assert torch.equal(joined.mean, stats.mean)
    assert torch.equal(joined.std, stats.std)
