"""Brings a small result up to the size of its photograph, in the photograph's edges.

- He & Sun 2015, *Fast Guided Filter*, https://arxiv.org/abs/1505.00996: the small result as a linear function of the small
  photograph in each neighbourhood, applied to the large photograph.
- Gatys et al. 2017, https://arxiv.org/abs/1611.07865, section 6: coarse to fine; the enlarged result is the content of one more
  rendering, which draws fine strokes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from nst_adain.models.architecture import STRIDE
from nst_adain.rendering.resampling import Size, enlarged, lanczos, needed, shrunk
from nst_adain.rendering.tiling import Readable, Tile, as_float, tiles

__all__ = ["Guided", "reduced", "sizes_up_to", "working_size"]

_STEP = 4  # the most that a picture is brought up at once: further, the coarser result says too little of the finer
_EPS = 1e-4  # added to the variance of the photograph: where it varies less than by 0.01, the result is smooth
# The share of the coarser result's frequencies that the finer one keeps: with all of them its single pixels show, enlarged.
_KEPT = 0.9
_BLOCK = 64  # side of the part of a reduced picture to make at once


def working_size(height: int, width: int, look_size: int) -> Size:
    """Return the height and width at which a picture gets its look.

    Its short side is `look_size`, or less if the picture is smaller, or so long that it would have more than 2 `look_size`**2
    pixels.
    """
    short, long = sorted((height, width))
    side = min(short, look_size, math.sqrt(2 * look_size**2 * short / long))
    scale = max(1, int(side)) / short
    return max(1, round(height * scale)), max(1, round(width * scale))


def sizes_up_to(size: Size, look_size: int) -> list[Size]:
    """Return the sizes in which a picture is rendered one after the other, from its working size to, without it, its own."""
    first = working_size(*size, look_size)
    ratio = min(size) / min(first)
    steps = max(0, math.ceil(math.log(ratio, _STEP) - 0.02))  # three hundredths more than a step are none
    scales = [ratio ** (step / steps - 1) for step in range(1, steps)]
    return [*([first] if steps else []), *((round(size[0] * scale), round(size[1] * scale)) for scale in scales)]


def reduced(pixels: Readable, size: Size) -> Tensor:
    """Scale a picture of any kind down to (B, C, *size) uint8, reading a part of it at a time; as Pillow's LANCZOS does."""
    before = pixels.shape[-2], pixels.shape[-1]
    result = torch.empty(*pixels.shape[:2], *size, dtype=torch.uint8)
    cpu = torch.device("cpu")
    for tile in tiles(*size, _BLOCK, 0):
        rows, columns = range(tile.top, tile.bottom), range(tile.left, tile.right)
        # In float64 the same bytes come from any order of adding up, and so from the exported page.
        part = shrunk(lambda y, x: as_float(pixels, Tile.of(y, x), cpu).double(), before, size, rows, columns, lanczos)
        result[..., tile.top : tile.bottom, tile.left : tile.right] = (part * 255).round_().clamp_(0, 255)
    return result


class Guided:
    """A small result at the size of its photograph, made where it is read: `guided[..., rows, columns]`.

    In each neighbourhood of 3 x 3 pixels of the small pair, each channel of the result is fitted as a * photograph + b; a and
    b, enlarged, are applied to the large photograph.
    """

    dtype = torch.float32

    def __init__(self, photo: Readable, small: Readable, result: Tensor, device: torch.device) -> None:
        """Take a photograph, (B, 3, H, W), the same reduced to (B, 3, h, w), and the result for that, (B, 3, h, w)."""
        self.photo, self.small, self.result, self.device = photo, small, result, device
        self.shape = photo.shape
        self.size: Size = (photo.shape[-2], photo.shape[-1])
        self.coarse: Size = (result.shape[-2], result.shape[-1])
        self.kept: Size = tuple(max(1, round(side * _KEPT)) for side in self.coarse)  # type: ignore[assignment]
        cell = max(fine / kept for fine, kept in zip(self.size, self.kept))
        self.margin = math.ceil((2 * cell + 2) / STRIDE) * STRIDE  # pixels round a tile on which `settled` depends

    def __len__(self) -> int:
        return len(self.photo)

    def __getitem__(self, window: tuple[object, slice, slice]) -> Tensor:
        """Read a rectangle: (B, 3, rows, columns) in [0, 1]."""
        rows, columns = (range(size)[part] for size, part in zip(self.size, window[1:]))
        slopes, offsets = enlarged(self._fitted, self.coarse, self.size, rows, columns).chunk(2, 1)
        photo = as_float(self.photo, Tile.of(rows, columns), self.device)
        guided = torch.addcmul(offsets, slopes, photo).clamp_(0, 1)
        return guided.contiguous(
            memory_format=torch.channels_last
        )  # as the networks read it: else they take four times as long

    def _fitted(self, rows: range, columns: range) -> Tensor:
        """Fit the result to the small photograph: the slopes and offsets of a window, (B, 6, rows, columns)."""
        wide = [range(max(0, part.start - 2), min(size, part.stop + 2)) for part, size in zip((rows, columns), self.coarse)]
        photo, result = (as_float(picture, Tile.of(*wide), self.device) for picture in (self.small, self.result))
        mean, mean_of_result = _box(photo), _box(result)
        slopes = (_box(photo * result) - mean * mean_of_result) / (_box(photo * photo) - mean * mean + _EPS)
        fitted = _box(torch.cat([slopes, mean_of_result - slopes * mean], 1))
        return _window(fitted, wide[0].start, wide[1].start, rows, columns)

    def settled(self, picture: Tensor, tile: Tile) -> Tensor:
        """Give a rendering of this picture the low frequencies of the small result, so that it is the same picture.

        Args:
            picture: the tile with its surroundings, at least `margin` pixels of them where the picture goes on.
            tile: where it is.

        Returns:
            The tile alone, in [0, 1].
        """
        inner, grid = (range(tile.top, tile.bottom), range(tile.left, tile.right)), self.kept
        down, right = (needed(kept, size, part) for kept, size, part in zip(grid, self.size, inner))

        def rendered(rows: range, columns: range) -> Tensor:
            return _window(picture, tile.read_top, tile.read_left, rows, columns)

        def meant(rows: range, columns: range) -> Tensor:
            return as_float(self.result, Tile.of(rows, columns), self.device)

        low = shrunk(meant, self.coarse, grid, down, right) - shrunk(rendered, self.size, grid, down, right)

        def missing(rows: range, columns: range) -> Tensor:
            return _window(low, down.start, right.start, rows, columns)

        return (rendered(*inner) + enlarged(missing, grid, self.size, *inner)).clamp_(0, 1)


def _window(picture: Tensor, top: int, left: int, rows: range, columns: range) -> Tensor:
    """Take a window of a picture's part that begins at `top` and `left` in it."""
    return picture[..., rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _box(x: Tensor) -> Tensor:
    """Average the 3 x 3 pixels around each; beyond the edges, the edge repeats."""
    return F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
