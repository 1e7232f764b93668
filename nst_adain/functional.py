"""Computes adaptive instance normalisation, as pure functions on channel statistics.

Huang & Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization",
ICCV 2017, https://arxiv.org/abs/1703.06868, equation 8:

    AdaIN(x, s) = std(s) * (x - mean(x)) / std(x) + mean(s)

It is one affine map per channel, so every control a user has (strength, interpolation, masks) edits the
target statistics: `blend` makes them, `adain` applies them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import numbers
import os
import reprlib
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from nst_adain.errors import UsageError
from nst_adain.files import write_atomic
from nst_adain.tensors import check_finite, read_tensors

__all__ = ["EPS", "SAVED", "ChannelStats", "adain", "at_least_float32", "blend", "channel_stats", "strengthen"]

SAVED = ".safetensors"  # the suffix that distinguishes files of statistics from pictures

# Added to the variance before the square root, as in the paper's code: a constant channel has the standard
# deviation sqrt(EPS), not 0, so neither the division nor the gradient of the root can become NaN.
EPS = 1e-5


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelStats:
    """Holds the mean and standard deviation of every channel: all that a model keeps of a style.

    They are vectors: `a + 0.5 * (b - a)`, `sum(styles) / 3`; equal if they hold the same values, made by the same model.

    Attributes:
        mean: (B, C, 1, 1), or (B, C, H, W) where the statistics vary over the picture.
        std: the same shape; sqrt(biased variance + `EPS`). Below 0 only where `blend` extrapolated; rendering then uses 0.
        made_by: the fingerprint (`StyleTransfer.fingerprint`) of the model that encoded them, or "" if it is unknown, as if
            computed by hand. Combined statistics keep the known fingerprint; those of two models cannot be combined.
    """

    mean: Tensor
    std: Tensor
    made_by: str = ""

    # What shows statistics of its own `fingerprint` in a notebook: a `Stylizer` enters itself, and leaves with its last user.
    shown_by: ClassVar[weakref.WeakSet[Any]] = weakref.WeakSet()
    __array_ufunc__: ClassVar[None] = None  # NumPy's numbers leave products to `__rmul__`

    def __post_init__(self) -> None:
        if self.mean.ndim != 4 or self.mean.shape != self.std.shape:
            found = f"{tuple(self.mean.shape)} and {tuple(self.std.shape)}"
            raise ValueError(f"expected mean and std of one shape (B, C, 1, 1) or (B, C, H, W), got {found}")

    def __add__(self, other: ChannelStats) -> ChannelStats:
        return blend([self, other], [1, 1]) if isinstance(other, ChannelStats) else NotImplemented

    def __radd__(self, other: int) -> ChannelStats:
        return self if isinstance(other, int) and other == 0 else NotImplemented  # where `sum` starts

    def __sub__(self, other: ChannelStats) -> ChannelStats:
        return blend([self, other], [1, -1]) if isinstance(other, ChannelStats) else NotImplemented

    def __mul__(self, factor: float | Tensor) -> ChannelStats:
        return blend([self], [factor]) if isinstance(factor, (numbers.Real, Tensor)) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, divisor: float | Tensor) -> ChannelStats:
        return self * (1 / divisor) if isinstance(divisor, (numbers.Real, Tensor)) else NotImplemented

    def __neg__(self) -> ChannelStats:
        return self * -1

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ChannelStats):
            return NotImplemented
        pairs = ((self.mean.cpu(), other.mean.cpu()), (self.std.cpu(), other.std.cpu()))
        return self.made_by == other.made_by and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)

    def __hash__(self) -> int:
        return hash((self.made_by, self.mean.shape, *self.mean.flatten()[:8].tolist()))

    def __repr__(self) -> str:
        return f"ChannelStats(mean and std of {tuple(self.mean.shape)}, made by {self.made_by or 'unknown'})"

    def _repr_png_(self) -> bytes | None:
        makers = [maker for maker in self.shown_by if maker.fingerprint == self.made_by]
        with contextlib.suppress(IndexError, ValueError):  # parts of a style, or styles of several pictures
            picture: bytes = makers[0].preview(self)
            return picture
        return None

    @property
    def channels(self) -> int:
        """The number of channels, C."""
        return self.mean.shape[1]

    def to(self, device: torch.device | str) -> ChannelStats:
        """Copy the statistics to another device."""
        return ChannelStats(self.mean.to(device), self.std.to(device), self.made_by)

    def rows(self, first: int, end: int) -> ChannelStats:
        """Return those of some rows of a picture: themselves, unless they vary over the picture."""
        if self.mean.shape[2:] == (1, 1):
            return self
        return ChannelStats(self.mean[:, :, first:end], self.std[:, :, first:end], self.made_by)

    def split(self, channels: Sequence[int]) -> list[ChannelStats]:
        """Cut along the channels; undoes `cat`. Raises ValueError if `channels` does not sum to C."""
        if sum(channels) != self.channels:
            raise ValueError(f"expected {sum(channels)} channels ({list(channels)}), got {self.channels}")
        return [
            ChannelStats(m, s, self.made_by)
            for m, s in zip(torch.split(self.mean, list(channels), 1), torch.split(self.std, list(channels), 1))
        ]

    @staticmethod
    def cat(stats: Sequence[ChannelStats]) -> ChannelStats:
        """Join the statistics of several layers along the channels. Raises ValueError if they come from different models."""
        return ChannelStats(torch.cat([s.mean for s in stats], 1), torch.cat([s.std for s in stats], 1), _maker_of(stats))

    def check(self, name: str, channels: int, made_by: str) -> None:
        """Check that a model with this many `channels` and this fingerprint can use the statistics, called `name` in errors.

        Raises:
            ValueError: if they are not finite, or another model's.
        """
        if self.channels != channels:
            found = f"got {self.channels}: encoded with another model"
            raise ValueError(f"{name}: expected statistics of {channels} channels, {found}")
        if self.made_by not in ("", made_by):
            raise ValueError(f"{name}: encoded with other weights than this model's; encode it again")
        if not (self.mean.isfinite().all() & self.std.isfinite().all()):
            raise ValueError(f"{name}: expected finite statistics, found NaN or infinity")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a .safetensors file, whole or not at all.

        Raises:
            ValueError: if the path has another suffix, or the statistics are not finite: `load` would refuse the file.
        """
        from safetensors.torch import save

        if Path(path).suffix.lower() != SAVED:
            raise UsageError(f"{path}: expected a name ending in {SAVED}")
        # Copy them: a file cannot hold tensors that share memory.
        tensors = {"mean": self.mean.contiguous().cpu().clone(), "std": self.std.contiguous().cpu().clone()}
        check_finite(path, tensors, "channel statistics")
        write_atomic(path, save(tensors, metadata={"format": "nst_adain.ChannelStats", "model": self.made_by}))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> ChannelStats:
        """Read a file that `save` wrote.

        Raises:
            OSError: if the file does not exist (FileNotFoundError) or must not be read.
            ValueError: if `save` did not write the file, or its statistics are not finite floating point.
        """
        tensors, metadata = read_tensors(path, "channel statistics")
        try:
            return ChannelStats(tensors["mean"], tensors["std"], metadata.get("model", ""))
        except (KeyError, ValueError) as error:
            why = f"no {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{path}: expected channel statistics saved by ChannelStats.save, found others ({why})") from error


def _maker_of(stats: Sequence[ChannelStats]) -> str:
    """Return the one known model that made several statistics, or ""; raise ValueError if there are two."""
    known = sorted({each.made_by for each in stats} - {""})
    if len(known) > 1:
        raise ValueError(f"expected statistics of one model, got some of {' and some of '.join(map(reprlib.repr, known[:2]))}")
    return known[0] if known else ""


def channel_stats(features: Tensor) -> ChannelStats:
    """Compute the mean and standard deviation over the positions of each channel of each picture.

    Computes in float32 or wider, even under autocast: half-precision sums over a picture lose the variance.

    Args:
        features: (B, C, H, W), H and W at least 1.

    Returns:
        Statistics of shape (B, C, 1, 1) with the biased variance (paper, equations 5 and 6).

    Raises:
        ValueError: if `features` is not four-dimensional.
    """
    if features.ndim != 4:
        raise ValueError(f"expected features of shape (B, C, H, W), got {tuple(features.shape)}")
    mean, var = _MeanAndVariance.apply(features)
    return ChannelStats(mean, (var + EPS).sqrt())


class _MeanAndVariance(torch.autograd.Function):
    """Like `torch.var_mean` over the positions, but many times faster in channels_last; gradients keep the features' dtype."""

    generate_vmap_rule = True

    @staticmethod
    def forward(features: Tensor) -> tuple[Tensor, Tensor]:
        mean = features.mean((2, 3), keepdim=True, dtype=torch.promote_types(features.dtype, torch.float32))
        apart = features - mean
        return mean, apart.mul_(apart).mean((2, 3), keepdim=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*inputs, output[0])

    @staticmethod
    def backward(ctx: Any, grad_mean: Tensor, grad_var: Tensor) -> Tensor:
        features, mean = ctx.saved_tensors
        positions = features[0, 0].numel()
        near = mean.to(features.dtype)  # deviations from it are exact even in half precision; `shift` corrects the rest
        scale = grad_var * (2 / positions)
        shift = grad_mean / positions - scale * (mean - near)
        return torch.addcmul(shift.to(features.dtype), features - near, scale.to(features.dtype))


def blend(stats: Sequence[ChannelStats], weights: Sequence[float | Tensor]) -> ChannelStats:
    """Add up statistics by weight, means and standard deviations alike (paper, section 7.3).

    Uses the weights as they are: they need not sum to 1, and negative ones extrapolate.

    Args:
        stats: n statistics with the same number of channels.
        weights: n numbers, or tensors that broadcast against (B, C, H, W), such as masks (H, W).

    Raises:
        ValueError: if the two lengths differ or are 0, the channels differ, or the statistics come from different models.
    """
    if not stats or len(stats) != len(weights):
        raise ValueError(f"expected one weight for each of at least one style, got {len(stats)} and {len(weights)}")
    if len({s.channels for s in stats}) > 1:
        raise ValueError(f"expected equal channels, got {[s.channels for s in stats]}: styles of different models")
    mean = sum((s.mean * w for s, w in zip(stats[1:], weights[1:])), start=stats[0].mean * weights[0])
    std = sum((s.std * w for s, w in zip(stats[1:], weights[1:])), start=stats[0].std * weights[0])
    return ChannelStats(mean, std, _maker_of(stats))


def adain(features: Tensor, content_stats: ChannelStats, style_stats: ChannelStats) -> Tensor:
    """Give `features` the statistics of a style (paper, equation 8).

    Args:
        features: (B, C, H, W).
        content_stats: the statistics of `features`, or of the whole picture if they are one of its tiles.
        style_stats: the statistics that the result gets.

    Returns:
        (B, C, H, W) in float32 or wider. Exact where the content's variance is well above `EPS`.
    """
    # Fold the affine map into one multiply and one add per value.
    scale = style_stats.std / content_stats.std
    return torch.addcmul(style_stats.mean - content_stats.mean * scale, at_least_float32(features), scale)


def at_least_float32(x: Tensor) -> Tensor:
    """Return `x` itself, or widened to float32 if it has half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def strengthen(content_stats: ChannelStats, style_stats: ChannelStats, alpha: float | Tensor) -> ChannelStats:
    """Mix the target statistics for a strength (paper, equation 14): the content's at `alpha` 0, the style's at 1.

    Above 1 it extrapolates, but never to a deviation below 0, which would turn the picture into its negative.
    """
    mixed = blend([content_stats, style_stats], [1 - alpha, alpha])
    return ChannelStats(mixed.mean, mixed.std.clamp_min(0), mixed.made_by)
