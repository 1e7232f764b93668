"""Defines the convolution of which all the networks are built."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_adain.functional import ChannelStats
from nst_adain.models import winograd

__all__ = ["Conv3x3", "freeze"]


def _pad(x: Tensor, edges: tuple[bool, bool] = (True, True)) -> Tensor:
    return F.pad(x, (1, 1, *map(int, edges)), mode="reflect")


class _Reflected(torch.autograd.Function):
    """Does `F.pad(x, (1, 1, 1, 1), mode="reflect")`; torch's own gradient of it copies the picture again and again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return _pad(x)

    @staticmethod
    def setup_context(*_: Any) -> None: ...

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        inner = grad[..., 1:-1, 1:-1].clone()
        for row, mirrored in ((0, 1), (-1, -2)):
            inner[..., mirrored, :] += grad[..., row, 1:-1]
            inner[..., mirrored] += grad[..., 1:-1, row]
            for column, at in ((0, 1), (-1, -2)):
                inner[..., mirrored, at] += grad[..., row, column]
        return inner


class Conv3x3(nn.Conv2d):
    """Convolves its reflected input by 3 x 3: zero padding would draw a frame round the picture (paper, section 6)."""

    transformed: Tensor | None  # `winograd.transform` of the weights once they are frozen: see `freeze`
    version: int  # the version of the weights that were transformed

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=3)
        # He et al. 2015: torch's default would shrink the signal at every layer, and nothing here normalises it.
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]
        self.register_buffer("transformed", None, persistent=False)

    def _load_from_state_dict(self, *arguments: Any) -> None:
        self.transformed = None  # the weights are about to be replaced
        super()._load_from_state_dict(*arguments)

    def forward(self, x: Tensor, modulation: ChannelStats | None = None, edges: tuple[bool, bool] = (True, True)) -> Tensor:
        """Convolve.

        Args:
            x: (B, C_in, H, W) of any precision, H and W at least 2.
            modulation: scale (`std`) and then shift (`mean`) of the output: (B or 1, C_out, 1, 1), or maps
                (B or 1, C_out, H, W). One for the whole batch is folded into the weights and costs nothing per pixel.
            edges: whether `x` begins, and ends, with the rows of the picture's edges; another edge is not padded.

        Returns:
            (B, C_out, H, W), a row less for each edge that is not padded, in the weights' precision, or autocast's. If the
            bias is wider than the weights, a picture in its precision: see `_picture`.
        """
        if self.bias is not None and self.bias.dtype != self.weight.dtype:
            return self._picture(x, self.bias, edges)
        constant = self._constant(x)
        if modulation is None:
            return self._convolve(x, self.weight, self.bias, constant, edges)
        scale, shift = modulation.std, modulation.mean
        if scale.shape[0] == scale.shape[2] == scale.shape[3] == 1:
            scale, shift, dtype = scale.flatten(), shift.flatten(), self.weight.dtype
            bias = shift if self.bias is None else self.bias * scale + shift
            if constant is not None and not (scale.requires_grad or shift.requires_grad):
                return self._convolve(x, self.weight, bias.to(dtype), constant * scale, edges)
            return self._convolve(x, (self.weight * scale[:, None, None, None]).to(dtype), bias.to(dtype), None, edges)
        output = self._convolve(x, self.weight, self.bias, constant, edges)
        return (output * scale + shift).to(output.dtype)

    def _picture(self, x: Tensor, bias: Tensor, edges: tuple[bool, bool]) -> Tensor:
        """Convolve in half precision, but to a picture in the bias's precision that does not show the steps of the other.

        bfloat16 has steps of a level of 255 near 1, and of a quarter or less within 0.25 of 0. So results are rounded as
        differences from mid-grey, 0.5.
        """
        near = (bias - 0.5).to(self.weight.dtype)
        output = self._convolve(x, self.weight, near, None, edges).to(bias.dtype)
        return output.add_((bias - near)[:, None, None])

    def _constant(self, x: Tensor) -> Tensor | None:
        """Return the transformed weights if `winograd` can be used here: not under autocast, nor in graphs that are exported,
        nor once the weights have another precision or device."""
        if self.transformed is not None and any(parameter.requires_grad for parameter in self.parameters()):
            self.transformed = None  # the weights are trained again, so they are no longer constant
        if self.transformed is None or torch.is_autocast_enabled(x.device.type) or torch.compiler.is_compiling():
            return None
        if not winograd.pays(self.weight):
            return None
        if self.version != _version(self.weight):  # something wrote to them in place, such as pruning
            self.transform()
        return self.transformed

    def transform(self) -> None:
        """Transform the weights as they are now for `winograd`, and keep the result."""
        version = _version(self.weight)  # read it first: other threads may write meanwhile
        self.transformed = winograd.transform(self.weight)
        self.version = version

    @staticmethod
    def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, constant: Tensor | None, edges: tuple[bool, bool]) -> Tensor:
        """Convolve with `weight`, or by `winograd` with `constant`."""
        # Pad before converting: padding then copies the narrower precision, and a wide copy of the input is made only once.
        padded = _Reflected.apply(x) if all(edges) else _pad(x, edges)
        if torch.is_autocast_enabled(x.device.type):
            return F.conv2d(padded, weight, bias)
        padded = padded.to(weight.dtype)
        return F.conv2d(padded, weight, bias) if constant is None else winograd.convolve(padded, constant, bias)


def freeze(network: nn.Module) -> None:
    """Treat the weights of a network as constant from now on, which allows faster convolutions.

    Writing to them in place is still noticed, but not writing to their `.data`.
    """
    network.requires_grad_(False)
    for module in network.modules():
        if isinstance(module, Conv3x3):
            module.transformed = None
            if winograd.pays(module.weight):
                module.transform()


def _version(weight: Tensor) -> int:
    """Count how often a tensor was written to; tensors of `torch.inference_mode` have no count, but cannot be written to."""
    return 0 if weight.is_inference() else weight._version
