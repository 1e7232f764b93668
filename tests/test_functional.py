from __future__ import annotations

from pathlib import Path

import pytest
import torch

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
