"""Models of every boldness between two ends: as trained first, near the photograph, and trained on for bolder strokes.

Deep network interpolation (Wang et al. 2019, https://arxiv.org/abs/1811.10515): of two networks, one trained on from the other,
the weights can be mixed, and the results change continuously. Mixing costs some milliseconds, and nothing per pixel.
"""

from __future__ import annotations

import functools

import torch

from nst_adain.controls import BOLDNESS, check_boldness
from nst_adain.models.convolution import freeze
from nst_adain.models.networks import StyleTransfer

__all__ = ["Boldness", "interpolated"]


class Boldness:
    """A model at any boldness, ready to render. Encodes contents and styles alike at each: only what is drawn differs.

    Attributes:
        ends: the model that was given, as it was then, with its bold end if it has one.
        bold: whether it has one.
        default: the model at the default boldness.
        fingerprint: of the weights that make codes at the default boldness (`StyleTransfer.fingerprint`).
        digest: of all weights.
    """

    def __init__(self, model: StyleTransfer, device: torch.device, half: bool) -> None:
        """Copy a model, in float32; keep the convolutions of what renders in bfloat16 if `half`."""
        self.bold = bool(model.bold)
        self.device, self.half = device, half
        self.ends = interpolated(model, 0.0).float()
        start = interpolated(self.ends, self.of(None))
        self.fingerprint = start.fingerprint()
        self.digest = self.fingerprint + start.fingerprint(decoder=True)
        self.default = self._ready(start)
        self._mixed = functools.lru_cache(maxsize=4)(self._mix)

    def __call__(self, boldness: float) -> StyleTransfer:
        """Return the model of a boldness from 0 to 1."""
        return self.default if boldness == self.of(None) else self._mixed(boldness)

    def of(self, boldness: float | None) -> float:
        """Return a boldness, or the default if it is None: `BOLDNESS`, or 0 for a model without a bold end.

        Raises:
            UsageError: if it is not a number from 0 to 1, or above 0 although the model has no bold end.
        """
        return check_boldness(boldness, self.bold) if boldness is not None else BOLDNESS if self.bold else 0.0

    def _mix(self, boldness: float) -> StyleTransfer:
        mixed = self._ready(interpolated(self.ends, boldness))
        mixed.encoder = self.default.encoder  # the same weights, and their transforms
        return mixed

    def _ready(self, model: StyleTransfer) -> StyleTransfer:
        model = model.eval().requires_grad_(False).to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        model = model.halve() if self.half else model
        freeze(model)
        return model


def interpolated(model: StyleTransfer, boldness: float) -> StyleTransfer:
    """Mix the weights of a model in float32 with those of its bold end.

    Args:
        model: it stays as it is, and keeps no part in common with the result.
        boldness: 0 gives the model's own weights, 1 those of its bold end.
    """
    weights = model.state_dict()
    mixed = {
        name: torch.lerp(tensor, model.bold[name].to(tensor), boldness) if name in model.bold else tensor.clone()
        for name, tensor in weights.items()
    }
    with torch.device("meta"):  # draws no weights that would be replaced
        other = StyleTransfer(model.arch)
    other.load_state_dict(mixed, assign=True)
    other.bold = model.bold
    return other
