"""Lists of contents, and strengths and weights that are one for each of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import picture
from PIL import Image

from nst_adain.errors import UsageError
from nst_adain.functional import ChannelStats
from nst_adain.stylizer import Stylizer


def test_a_list_of_contents_gives_a_list_of_the_same(slim: Stylizer, photo: Path, painting: Path) -> None:
    array = np.asarray(picture(30, 20, 3))
    results = slim([photo, array, slim.encode_content(picture())], painting)  # type: ignore[list-item]
    assert [type(result) for result in results] == [Image.Image, np.ndarray, Image.Image]
    for result, one in zip(results, (photo, array, picture())):
        np.testing.assert_array_equal(np.asarray(result), np.asarray(slim(one, painting)))
    assert slim([], painting) == []


def test_the_styles_of_a_list_are_encoded_once(slim: Stylizer, painting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, encode = [], slim.encode_style
    monkeypatch.setattr(slim, "encode_style", lambda *args, **options: calls.append(options) or encode(*args, **options))
    contents = [picture(30, 20, seed) for seed in range(3)]
    results = slim(contents, [painting, picture()], style_size=16)
    assert calls == [{"style_size": 16}] * 2
    monkeypatch.undo()
    for result, content in zip(results, contents):
        np.testing.assert_array_equal(np.asarray(result), np.asarray(slim(content, [painting, picture()], style_size=16)))
    recolored = slim(contents[:2], painting, preserve_color="coral")  # a style for each
    np.testing.assert_array_equal(np.asarray(recolored[1]), np.asarray(slim(contents[1], painting, preserve_color="coral")))


def test_each_content_has_its_strength_and_weights(slim: Stylizer) -> None:
    contents, styles = [picture(30, 20, seed) for seed in range(2)], [picture(40, 30, seed) for seed in (5, 6)]
    mask = np.linspace(0, 1, 12).reshape(3, 4)
    results = slim(contents, styles, alpha=[0.3, mask], weights=[[3, 1], [0, 1]])
    rows = slim(contents, styles, alpha=[0.3, mask], weights=[torch.tensor([3, 1]), np.array([0, 1])])  # type: ignore[call-overload]
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(results, rows, strict=True))
    for result, content, alpha, weights in zip(results, contents, (0.3, mask), ([3, 1], [0, 1])):
        np.testing.assert_array_equal(np.asarray(result), np.asarray(slim(content, styles, alpha=alpha, weights=weights)))


@pytest.mark.parametrize("kind", [list, np.asarray, torch.tensor, lambda values: torch.tensor(values).view(-1, 1, 1, 1)])
def test_a_batch_takes_strengths_as_the_model_does(slim: Stylizer, kind: type) -> None:
    batch, styles, alphas = torch.rand(3, 3, 24, 32), torch.rand(3, 3, 20, 20), [0.0, 0.5, 1.5]
    results = slim(batch, styles, alpha=kind(alphas), boldness=0)
    assert results.shape == batch.shape
    expected = slim.boldness(0.0)(batch, styles, torch.tensor(alphas).view(-1, 1, 1, 1)).clamp(0, 1)
    torch.testing.assert_close(results, expected, atol=2e-4, rtol=0)
    code = slim.encode_style(styles)
    assert isinstance(code, ChannelStats)
    torch.testing.assert_close(slim(batch, code, alpha=kind(alphas), boldness=0), results, atol=2e-4, rtol=0)


def test_weights_of_a_batch_may_be_a_matrix(slim: Stylizer) -> None:
    batch, styles = torch.rand(2, 3, 24, 32), [picture(), picture(seed=2)]
    results = slim(batch, styles, weights=np.eye(2))  # type: ignore[call-overload]
    for row, style in enumerate(styles):
        torch.testing.assert_close(results[row : row + 1], slim(batch[row : row + 1], style))
    single = slim(batch[0], styles[0], alpha=[0.5])
    assert torch.equal(single, slim(batch[0], styles[0], alpha=0.5))


def test_lists_that_do_not_fit_are_named(slim: Stylizer, photo: Path) -> None:
    with pytest.raises(UsageError, match="alpha: expected 2, one for each content, got 3"):
        slim([photo, photo], photo, alpha=[1, 1, 1])
    with pytest.raises(UsageError, match="weights: expected 3, one for each content, got 1"):
        slim(torch.rand(3, 3, 8, 8), photo, weights=[[1]])
    with pytest.raises(
        UsageError, match="alpha: expected a list for a list of contents or a tensor .*, got it for one picture"
    ):
        slim(photo, photo, alpha=[0.5])
    with pytest.raises(UsageError, match="out: expected one content"):
        slim([photo], photo, out=torch.zeros(1, 3, 31, 45))
    with pytest.raises(ValueError, match="alpha: expected a number from 0 .*, got -1"):
        slim([photo], photo, alpha=[-1])
    with pytest.raises(UsageError, match="weights: expected 1 finite numbers, one for each style, got"):
        slim([photo, photo], photo, weights=[[1, 2], [1]])
