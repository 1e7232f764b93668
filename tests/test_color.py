from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from nst_adain.color import LUMA, match_color, transfer_luminance


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
