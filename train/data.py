"""Training pictures: decoded once, kept as uint8, cropped and resized ahead of the training by threads.

What pair number i is, is a pure function of the seed and i. So the data position in a checkpoint is one number,
and a resumed run sees what the uninterrupted one would have seen, on any number of threads.
"""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import adjust_sharpness

from nst_adain.errors import ImageError, UsageError
from nst_adain.images.io import flatten, load_image, resize_short_side
from nst_adain.images.opening import find_images
from train.config import TrainConfig
from train.patterns import Patterns

__all__ = ["Batch", "Pictures", "batches", "center_crop", "check_outside", "recolor", "sharpen", "square_crop"]


class Pictures:
    """A folder of pictures in memory, the last `holdout` of them kept apart."""

    def __init__(self, folder: Path, max_side: int, holdout: int) -> None:
        """Read the folder.

        Raises:
            NotADirectoryError, ValueError: if it does not exist, or has no more readable pictures than `holdout`.
        """
        paths = find_images(folder)
        names = "\n".join(path.relative_to(folder).as_posix() for path in paths)
        self.digest = hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()[:16]  # tells folders apart
        with ThreadPoolExecutor() as pool:
            loaded = [p for p in pool.map(lambda path: self._load(path, max_side), paths) if p is not None]
        if len(loaded) <= holdout:
            raise ValueError(f"{folder}: expected more than the {holdout} held-out pictures, found {len(loaded)} readable")
        split = len(loaded) - holdout
        self.train, self.held_out = loaded[:split], loaded[split:]

    @staticmethod
    def _load(path: Path, max_side: int) -> Image.Image | None:
        try:
            image = flatten(load_image(path))
        except (ImageError, OSError) as error:
            print(f"skipped: {error}", file=sys.stderr)
            return None
        return resize_short_side(image, max_side) if min(image.size) > max_side else image


def check_outside(out: Path, **folders: Path) -> None:
    """Raise UsageError if `out`, which gets pictures, is in one of the folders that training pictures are read from."""
    for name, folder in folders.items():
        if out.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"out: expected a folder outside of {name}, {folder}, for it gets pictures, got {out}")


def square_crop(image: Image.Image, box_side: float, left: float, top: float, size: int, flip: bool = False) -> Tensor:
    """(3, size, size) uint8: a square of the picture, resized. The aspect ratio stays."""
    box = (left, top, left + box_side, top + box_side)
    pixels = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0))
    return torch.from_numpy(np.ascontiguousarray((pixels[:, ::-1] if flip else pixels).transpose(2, 0, 1)))


def center_crop(image: Image.Image, size: int) -> Tensor:
    """(3, size, size) uint8: the largest centred square, resized."""
    side = min(image.size)
    return square_crop(image, side, (image.width - side) / 2, (image.height - side) / 2, size)


def recolor(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """(3, H, W) uint8 in other colours: the channels change places, and each gets a gamma of 1/2 to 2."""
    levels = torch.from_numpy(np.linspace(0, 1, 256)[None] ** (2.0 ** rng.uniform(-1, 1, (3, 1))) * 255).round().byte()
    return torch.stack([levels[i][pixels[c].long()] for i, c in enumerate(rng.permutation(3))])


def sharpen(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """(3, H, W) uint8, sharpened by chance: by up to twice what it differs from its 3 x 3 neighbourhood."""
    sharper: Tensor = adjust_sharpness(pixels, rng.uniform(1, 3))
    return sharper


class Batch(NamedTuple):
    """Pairs, and the name of each crop, by which the teacher's features of it can be kept.

    Attributes:
        content, style: (B, 3, S, S) uint8.
        content_keys, style_keys: for each crop, (kind, index of the picture, variant); 0 is a photograph, 1 a painting,
            2 a pattern.
        number: of the first pair.
    """

    content: Tensor
    style: Tensor
    content_keys: list[tuple[int, int, int]]
    style_keys: list[tuple[int, int, int]]
    number: int


def batches(
    content: Pictures, style: Pictures, config: TrainConfig, start: int, rank: int = 0, world: int = 1
) -> Iterator[Batch]:
    """The batches of steps `start`, `start + 1`, ... without end, for process `rank` of `world`."""
    pools = (content.train, style.train, Patterns(config.patterns, config.seed))
    # What a style is, by chance: a pattern, a photograph or else a painting.
    limits = (config.pattern_styles, config.pattern_styles + config.photo_styles)
    kept: dict[tuple[int, int, int], Tensor] = {}
    room = config.crops_gb * 2**30 // (3 * config.crop**2)
    # From memory that is pinned a GPU takes the batch while it computes the one before.
    pinned = torch.cuda.is_available() and not config.cpu

    def crop(key: tuple[int, int, int]) -> Tensor:
        if (pixels := kept.get(key)) is None:
            pixels = cut(key)
            if len(kept) < room:
                kept[key] = pixels
        return pixels

    def cut(key: tuple[int, int, int]) -> Tensor:
        image = pools[key[0]][key[1]]
        rng = np.random.default_rng([config.seed, *key])
        short = min(image.size)
        # No further enlarged, unless the whole picture is smaller than that.
        side = rng.uniform(max(config.min_scale * short, min(config.crop / config.enlarge, short)), short)
        left, top = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side)
        pixels = square_crop(image, side, left, top, config.crop, flip=bool(rng.integers(2)))
        # Drawn last: without recolouring and sharpening the crops are those of old runs. Patterns are sharp as they are.
        if key[0] == 1 and rng.random() < config.recolor_styles:
            pixels = recolor(pixels, rng)
        return sharpen(pixels, rng) if key[0] != 2 and rng.random() < config.sharpen else pixels

    def batch(step: int) -> Batch:
        keys: tuple[list[tuple[int, int, int]], ...] = ([], [])
        first = (step * world + rank) * config.batch_size
        for number in range(first, first + config.batch_size):
            rng = np.random.default_rng([config.seed, 2, number])
            for kind in (0, 1):
                source = kind
                if kind == 1 and limits[1]:  # without them the batches are those of old runs
                    drawn = rng.random()
                    source = 2 if drawn < limits[0] else 0 if drawn < limits[1] else 1
                keys[kind].append((source, int(rng.integers(len(pools[source]))), int(rng.integers(config.variants))))
        crops = [torch.stack([crop(key) for key in side]) for side in keys]
        if pinned:
            crops = [side.pin_memory() for side in crops]
        return Batch(crops[0], crops[1], keys[0], keys[1], first)

    with ThreadPoolExecutor(config.workers) as pool:
        ahead = deque(pool.submit(batch, start + i) for i in range(2 * config.workers))
        step = start + len(ahead)
        while True:
            ready = ahead.popleft().result()
            ahead.append(pool.submit(batch, step))
            step += 1
            yield ready
