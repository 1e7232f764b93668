"""Keeping the photograph's colours: by luminance, and by CORAL."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

from nst_adain.rendering.color import LUMA, match_color, transfer_luminance


def colours(seed: int, height: int = 20, width: int = 30) -> torch.Tensor:
    """Correlated colours well inside [0, 1], so that nothing is clamped."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.rand(3, 3, generator=generator) * 0.08 + 0.05 * torch.eye(3)
    return torch.einsum("ij,bjhw->bihw", mixing, torch.randn(1, 3, height, width, generator=generator)).clamp(-0.4, 0.4) + 0.5


def covariance(image: torch.Tensor) -> torch.Tensor:
    return torch.cov(image[0].flatten(1), correction=0)


def test_match_color_gives_the_contents_mean_and_covariance() -> None:
    style, content = colours(0), colours(1, 9, 7)
    matched = match_color(style, content)
    torch.testing.assert_close(matched.mean((2, 3)), content.mean((2, 3)), rtol=0, atol=1e-3)
    torch.testing.assert_close(covariance(matched), covariance(content), rtol=0.05, atol=1e-4)


def test_match_color_does_not_depend_on_the_sizes() -> None:
    style, content = colours(0), colours(1)
    larger = F.interpolate(content, scale_factor=4.0, mode="nearest")
    torch.testing.assert_close(match_color(style, larger), match_color(style, content), rtol=0, atol=1e-5)
    bigger_style = F.interpolate(style, scale_factor=2.0, mode="nearest")
    expected = F.interpolate(match_color(style, content), scale_factor=2.0, mode="nearest")
    torch.testing.assert_close(match_color(bigger_style, content), expected, rtol=0, atol=1e-5)


def test_match_color_with_itself_changes_nothing() -> None:
    torch.testing.assert_close(match_color(colours(0), colours(0)), colours(0), rtol=0, atol=1e-4)


@pytest.mark.parametrize("pair", ["grey style", "grey content", "flat style", "flat content"])
def test_match_color_of_grey_and_flat_pictures_is_finite(pair: str) -> None:
    kind, which = pair.split()
    plain = colours(2).mean(1, keepdim=True).expand(-1, 3, -1, -1) if kind == "grey" else torch.full((1, 3, 20, 30), 0.3)
    style, content = (plain, colours(0)) if which == "style" else (colours(0), plain)
    matched = match_color(style, content)
    assert matched.isfinite().all()
    assert (matched.mean((2, 3)) - content.mean((2, 3))).abs().max() < 0.05


def test_luminance_is_the_outputs_and_chroma_the_contents() -> None:
    output, content = colours(3), colours(4)
    result = transfer_luminance(output, content)

    def luma(image: torch.Tensor) -> torch.Tensor:
        return (image * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)

    torch.testing.assert_close(luma(result), luma(output), rtol=0, atol=1e-5)
    torch.testing.assert_close(result - luma(result), content - luma(content), rtol=0, atol=1e-5)
    assert transfer_luminance(torch.ones(1, 3, 2, 2), torch.rand(1, 3, 2, 2)).max() <= 1


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"one shape, got \(1, 3, 2, 2\) and \(1, 3, 2, 3\)"):
        transfer_luminance(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 3))
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\), got \(3, 2, 2\)"):
        match_color(torch.zeros(3, 2, 2), torch.zeros(1, 3, 2, 2))


def test_pictures_that_cannot_be_are_named() -> None:
    image = torch.rand(2, 3, 8, 8)
    for function in (match_color, transfer_luminance):
        with pytest.raises(TypeError, match=r"expected pictures in floating point, in \[0, 1\], got torch\.uint8"):
            function(image.mul(255).byte(), image.mul(255).byte())
        with pytest.raises(ValueError, match=r"expected pictures of shape \(B, 3, H, W\), got \(2, 1, 8, 8\)"):
            function(image[:, :1], image[:, :1])
    with pytest.raises(ValueError, match="content: expected one picture, or as many as styles, 1, got 2"):
        match_color(image[:1], image)
    with pytest.raises(ValueError, match=r"expected an opacity of shape \(1, 1, 8, 8\), got \(1, 1, 4, 4\)"):
        match_color(image, image, torch.ones(1, 1, 4, 4))


def test_colours_of_what_is_wholly_invisible_are_finite() -> None:
    image = torch.rand(1, 3, 8, 8)
    assert match_color(image, image, None, torch.zeros(1, 1, 8, 8)).isfinite().all()


seeds, sides = st.integers(0, 2**32), st.integers(1, 12)
dtypes = st.sampled_from([torch.float64, torch.float32])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Two pictures of one shape and type, from nearly flat to all of [0, 1], with the extremes among their values."""
    shape, generator = (draw(st.integers(1, 2)), 3, draw(sides), draw(sides)), torch.Generator().manual_seed(draw(seeds))
    made = []
    for _ in range(2):
        spread, level = draw(st.sampled_from([0.0, 1e-6, 0.1, 1.0, 4.0])), draw(st.floats(0, 1))
        made.append(((torch.rand(shape, generator=generator) - 0.5) * spread + level).clamp(0, 1))
    dtype = draw(dtypes)
    return made[0].to(dtype), made[1].to(dtype)


@given(pairs())
def test_any_luminance_is_the_outputs_and_any_chroma_the_contents(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    output, content = pair
    result = transfer_luminance(output, content)
    assert result.dtype == content.dtype
    assert ((result >= 0) & (result <= 1)).all()
    assert torch.equal(transfer_luminance(content, content), content)
    free = ((result > 0) & (result < 1)).all(1, keepdim=True)  # else it was clamped
    # Two differences, three products and three sums, all of values of at most 1.
    off = 8 * torch.finfo(content.dtype).eps
    moved = result - content
    assert (((moved - moved[:, :1]).abs() <= off) | ~free).all()
    luma = ((result - output) * torch.tensor(LUMA, dtype=output.dtype).view(1, 3, 1, 1)).sum(1, keepdim=True)
    assert ((luma.abs() <= off) | ~free).all()


@given(pairs())
def test_match_color_of_any_pictures_is_a_picture(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    style, content = pair
    matched = match_color(style, content)
    assert matched.dtype == style.dtype
    assert ((matched >= 0) & (matched <= 1)).all()


@given(seeds, seeds, st.integers(4, 20), st.integers(4, 20))
def test_match_color_gives_any_contents_mean_and_covariance(first: int, second: int, height: int, width: int) -> None:
    style, content = colours(first, height, width).double(), colours(second, width, height).double()
    matched = match_color(style, content)
    assume(((matched > 0) & (matched < 1)).all())  # or colours were clamped
    eigenvalues = [torch.linalg.eigvalsh(covariance(picture)) for picture in (style, content)]
    assume(all(values[0] >= 1e-5 for values in eigenvalues))  # below, the picture counts as grey
    # Sums over the pixels, and powers of matrices, which are as exact as these are well-conditioned (Higham 2008, section 6).
    condition = float((eigenvalues[0][-1] / eigenvalues[0][0]) * (eigenvalues[1][-1] / eigenvalues[1][0]))
    off = (height * width + 100) * torch.finfo(torch.float64).eps * condition
    assert ((matched.mean((2, 3)) - content.mean((2, 3))).abs() <= off).all()
    assert ((covariance(matched) - covariance(content)).abs() <= off).all()
