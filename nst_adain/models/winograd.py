"""Computes 3 x 3 convolutions with constant weights in a quarter of the multiplications.

Winograd's minimal filtering F(4 x 4, 3 x 3): Lavin & Gray 2016, https://arxiv.org/abs/1509.09308. The padded input is cut
into tiles of 6 x 6 that overlap by 2. Each tile is turned into 36 sums of its values (B); convolving then takes one matrix
product over channels for each of the 36, over all tiles at once; sums of the 36 products (A) give 4 x 4 outputs.
With 64 channels to 128 and more, the products take so much longer than the sums that this beats the direct way, which on a
CPU already runs at the speed of its multipliers. In float32, results differ from direct ones by a relative 0.00001 or so.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["convolve", "pays", "transform"]

# Transposes of B and A, and G, for the points 0, 1, -1, 2, -2 and infinity (Lavin & Gray, section 4.2).
_B = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0],
      [0, 4, 0, -5, 0, 1]]  # fmt: skip
_A = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
_G = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6],
      [0, 0, 1]]  # fmt: skip
_OUT, _IN = 4, 6  # sides of a tile's output and input
_AT_ONCE = 2**21  # intermediate values of a strip: 8 MB, so that they stay in the processor's cache


def pays(weight: Tensor) -> bool:
    """Whether `convolve` is faster for these weights: in float32 on a CPU, with 64 channels to 128 or more."""
    few, many = sorted(weight.shape[:2])
    return weight.device.type == "cpu" and weight.dtype == torch.float32 and few >= 64 and many >= 128


def transform(weight: Tensor) -> Tensor:
    """Turn weights (C_out, C_in, 3, 3) into the form that `convolve` takes, (36, C_in, C_out)."""
    g = torch.tensor(_G, dtype=torch.float64, device=weight.device)
    wide = torch.einsum("pa,qb,oiab->pqio", g, g, weight.detach().double())
    return wide.reshape(_IN**2, weight.shape[1], weight.shape[0]).float().contiguous()


def convolve(padded: Tensor, transformed: Tensor, bias: Tensor | None = None) -> Tensor:
    """Do `F.conv2d(padded, weight, bias)` for `transformed = transform(weight)`, differentiable only in `padded`.

    Args:
        padded: (B, C_in, H + 2, W + 2), float32.
        transformed: (36, C_in, C_out).
        bias: (C_out,).

    Returns:
        (B, C_out, H, W), channels_last.
    """
    height, width = padded.shape[2] - 2, padded.shape[3] - 2
    if more := (-width % _OUT, -height % _OUT) != (0, 0):
        padded = torch.nn.functional.pad(padded, (0, -width % _OUT, 0, -height % _OUT))
    output: Tensor = _Convolution.apply(padded, transformed, bias)
    return output[..., :height, :width] if more else output


def _strips(images: int, rows: int, values_per_row: int) -> list[tuple[int, slice]]:
    """Cut each image into strips of rows of tiles, as even as possible."""
    strips = -(-rows * values_per_row // _AT_ONCE)
    step = -(-rows // strips)
    return [(image, slice(top, min(top + step, rows))) for image in range(images) for top in range(0, rows, step)]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, padded: Tensor, transformed: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(transformed)
        into, out_of = (torch.kron(m, m) for m in (padded.new_tensor(_B), padded.new_tensor(_A)))
        x = padded.permute(0, 2, 3, 1).contiguous()  # (B, H + 2, W + 2, C_in)
        count, height, width, channels_in = x.shape
        rows, columns, channels = (height - 2) // _OUT, (width - 2) // _OUT, transformed.shape[2]
        output = torch.empty(
            (count, channels, height - 2, width - 2), dtype=x.dtype, device=x.device, memory_format=torch.channels_last
        )
        tiled = output.permute(0, 2, 3, 1).view(count, rows, _OUT, columns, _OUT, channels)
        _, down, right, _ = x.stride()
        for image, strip in _strips(count, rows, _IN**2 * columns * (channels_in + channels)):
            shape = (_IN, _IN, strip.stop - strip.start, columns, channels_in)
            steps = (down, right, _OUT * down, _OUT * right, 1)
            tiles = x[image, _OUT * strip.start :].as_strided(shape, steps)
            products = torch.bmm((into @ tiles.reshape(_IN**2, -1)).view(_IN**2, -1, channels_in), transformed)
            parts = (out_of @ products.view(_IN**2, -1)).view(_OUT, _OUT, -1, columns, channels).permute(2, 0, 3, 1, 4)
            if bias is None:
                tiled[image, strip].copy_(parts)
            else:
                torch.add(parts, bias, out=tiled[image, strip])
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        # Transpose the steps above, last to first; where tiles overlap, their gradients add up.
        (transformed,) = ctx.saved_tensors
        into, out_of = (torch.kron(m, m) for m in (grad.new_tensor(_B), grad.new_tensor(_A)))
        count, channels, height, width = grad.shape
        rows, columns, channels_in = height // _OUT, width // _OUT, transformed.shape[1]
        tiles_of = grad.permute(0, 2, 3, 1).contiguous().view(count, rows, _OUT, columns, _OUT, channels)
        x = grad.new_zeros(count, rows + 1, _OUT, columns + 1, _OUT, channels_in)
        over = _IN - _OUT
        for image, strip in _strips(count, rows, _IN**2 * columns * (channels_in + channels)):
            parts = tiles_of[image, strip].permute(1, 3, 0, 2, 4).reshape(_OUT**2, -1)
            products = torch.bmm((out_of.T @ parts).view(_IN**2, -1, channels), transformed.transpose(1, 2))
            tiles = (into.T @ products.view(_IN**2, -1)).view(_IN, _IN, -1, columns, channels_in)
            seen = x[image].permute(1, 3, 0, 2, 4)[:, :, strip.start : strip.stop + 1]  # (4, 4, rows + 1, columns + 1, C_in)
            seen[:, :, :-1, :-1] += tiles[:_OUT, :_OUT]
            seen[:over, :, 1:, :-1] += tiles[_OUT:, :_OUT]
            seen[:, :over, :-1, 1:] += tiles[:_OUT, _OUT:]
            seen[:over, :over, 1:, 1:] += tiles[_OUT:, _OUT:]
        whole = x.view(count, height + _OUT, width + _OUT, channels_in)
        return whole[:, : height + 2, : width + 2].permute(0, 3, 1, 2), None, None
