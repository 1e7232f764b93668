"""Features that get their style where they are read, and layers whose values are made when they are asked for."""

from __future__ import annotations

import pytest
import torch

from nst_adain.functional import ChannelStats, adain, channel_stats
from nst_adain.models.stylised import Lazy, Stylised


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("maps", [False, True])
def test_rows_are_those_of_the_whole(dtype: torch.dtype, maps: bool) -> None:
    x = torch.rand(1, 4, 10, 6).to(dtype)
    shape = (1, 4, 10, 6) if maps else (1, 4, 1, 1)
    content, target = channel_stats(x), ChannelStats(torch.rand(shape), torch.rand(shape))
    wanted = adain(x, content, target)
    stylised = Stylised(x, content, target)
    for window in (slice(None), slice(0, 3), slice(4, 10)):
        got = stylised[:, :, window]
        assert got.dtype == dtype
        torch.testing.assert_close(
            got.float(), wanted[:, :, window], rtol=2**-8 if dtype == torch.bfloat16 else 1e-6, atol=1e-6
        )


def test_lazy_layers_are_made_on_access_alone() -> None:
    made: list[str] = []
    lazy = Lazy(("one", "two"), lambda layer: made.append(layer) or layer.upper())
    assert list(lazy) == ["one", "two"]
    assert len(lazy) == 2
    assert not made
    assert lazy["two"] == "TWO"
    assert made == ["two"]
    with pytest.raises(KeyError, match="three"):
        lazy["three"]
