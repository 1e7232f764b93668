"""Training pictures: decoded once, kept as uint8, cropped and resized ahead of the training by threads.

What pair number i is, is a pure function of the seed and i. So the data position in a checkpoint is one number,
and a resumed run sees what the uninterrupted one would have seen, on any number of threads.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import adjust_sharpness

from nst_adain.batch.discovery import expand
from nst_adain.batch.listing import read_names
from nst_adain.batch.shards import read_tar
from nst_adain.errors import ImageError, UsageError
from nst_adain.images.io import flatten, load_image, resize_short_side
from nst_adain.images.opening import find_images
from train.config import TrainConfig
from train.patterns import Patterns

__all__ = [
    "PAINTING",
    "PATTERN",
    "PHOTOGRAPH",
    "Batch",
    "Crops",
    "Key",
    "Pictures",
    "batches",
    "center_crop",
    "check_outside",
    "draw_pair",
    "recolor",
    "sharpen",
    "square_crop",
]

PHOTOGRAPH, PAINTING, PATTERN = range(3)  # kinds of pictures
Key = tuple[int, int, int]  # a crop's name: its kind, the index of its picture, which of this picture's variants it is


class Pictures:
    """Pictures in memory, the last `holdout` of them kept apart."""

    def __init__(self, source: Path, max_side: int, holdout: int) -> None:
        """Read a folder; or files that a list names, one a line, relative to its folder (.txt); or WebDataset's tars (.tar).

        Args:
            source: a folder, a list, or tars: one, or several by {00..99}.
            max_side: short side to which larger ones are reduced.
            holdout: how many to keep apart.

        Raises:
            NotADirectoryError, ValueError: if it does not exist, or has no more readable pictures than `holdout`.
        """
        names: list[str] = []
        loaded: list[Image.Image] = []
        with ThreadPoolExecutor() as pool:
            for found in _find(source):
                names += found
                loaded += [p for p in pool.map(lambda path: self._load(path, max_side), found.values()) if p is not None]
        text = "\n".join(names)
        self.digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]  # tells sources apart
        if len(loaded) <= holdout:
            raise ValueError(f"{source}: expected more than the {holdout} held-out pictures, found {len(loaded)} readable")
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


def _find(source: Path) -> Iterator[dict[str, Path]]:
    """Yield files by name, in order. Those of a tar are removed when the next is read."""
    if source.suffix == ".tar":
        for file in map(Path, expand(str(source))):
            with tempfile.TemporaryDirectory() as folder:
                samples = list(read_tar(file, Path(folder), file.name))
                for sample in samples:
                    if sample.error is not None:
                        print(f"skipped: {sample.error}", file=sys.stderr)
                yield {sample.name: sample.picture for sample in samples if sample.picture is not None}
    elif source.suffix == ".txt":
        yield {name: source.parent / name for name in map(os.fsdecode, read_names(source))}
    else:
        yield {path.relative_to(source).as_posix(): path for path in find_images(source)}


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
    """(3, H, W) uint8, sharpened by a random amount: up to twice its difference from its 3 x 3 neighbourhood."""
    sharper: Tensor = adjust_sharpness(pixels, rng.uniform(1, 3))
    return sharper


class Batch(NamedTuple):
    """Pairs, and the name of each crop, by which the teacher's features of it can be kept.

    Attributes:
        content, style: (B, 3, S, S) uint8.
        content_keys, style_keys: of each crop.
        number: of the first pair.
    """

    content: Tensor
    style: Tensor
    content_keys: list[Key]
    style_keys: list[Key]
    number: int


def draw_pair(number: int, config: TrainConfig, counts: Sequence[int]) -> tuple[Key, Key]:
    """The crops of pair `number`, a content and a style, at random.

    Args:
        number: from 0; what the pair is depends on this and the settings alone.
        config: the settings.
        counts: how many pictures there are of each kind.
    """
    rng = np.random.default_rng([config.seed, 2, number])

    def key(kind: int) -> Key:
        return kind, int(rng.integers(counts[kind])), int(rng.integers(config.variants))

    content = key(PHOTOGRAPH)
    style = PAINTING
    if config.pattern_styles + config.photo_styles:  # without them the pairs are those of old runs
        drawn = rng.random()
        if drawn < config.pattern_styles:
            style = PATTERN
        elif drawn < config.pattern_styles + config.photo_styles:
            style = PHOTOGRAPH
    return content, key(style)


class Crops:
    """Crops of pictures by their keys, cut when they are first asked for and kept while `crops_gb` has room.

    Args:
        pictures: those of each kind.
        config: the settings.
    """

    def __init__(self, pictures: Sequence[Sequence[Image.Image]], config: TrainConfig) -> None:
        self.pictures, self.config = pictures, config
        self.kept: dict[Key, Tensor] = {}
        self.room = config.crops_gb * 2**30 // (3 * config.crop**2)

    def __call__(self, keys: Sequence[Key]) -> Tensor:
        """(B, 3, S, S) uint8."""
        return torch.stack([self._crop(key) for key in keys])

    def _crop(self, key: Key) -> Tensor:
        if (pixels := self.kept.get(key)) is None:
            pixels = self._cut(key)
            if len(self.kept) < self.room:
                self.kept[key] = pixels
        return pixels

    def _cut(self, key: Key) -> Tensor:
        (kind, index, _), c = key, self.config
        image, rng = self.pictures[kind][index], np.random.default_rng([c.seed, *key])
        short = min(image.size)
        # No further enlarged, unless the whole picture is smaller than that.
        side = rng.uniform(max(c.min_scale * short, min(c.crop / c.enlarge, short)), short)
        left, top = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side)
        pixels = square_crop(image, side, left, top, c.crop, flip=bool(rng.integers(2)))
        # Drawn last: without recolouring and sharpening the crops are those of old runs. Patterns are sharp as they are.
        if kind == PAINTING and rng.random() < c.recolor_styles:
            pixels = recolor(pixels, rng)
        return sharpen(pixels, rng) if kind != PATTERN and rng.random() < c.sharpen else pixels


def batches(
    content: Pictures, style: Pictures, config: TrainConfig, start: int, rank: int = 0, world: int = 1
) -> Iterator[Batch]:
    """The batches of steps `start`, `start + 1`, ... without end, for process `rank` of `world`."""
    pictures = (content.train, style.train, Patterns(config.patterns, config.seed))
    crops, counts = Crops(pictures, config), [len(kind) for kind in pictures]
    # From memory that is pinned a GPU takes the batch while it computes the one before.
    pinned = torch.cuda.is_available() and not config.cpu

    def batch(step: int) -> Batch:
        first = (step * world + rank) * config.batch_size
        pairs = [draw_pair(number, config, counts) for number in range(first, first + config.batch_size)]
        keys = [list(side) for side in zip(*pairs)]
        cut = [crops(side).pin_memory() if pinned else crops(side) for side in keys]
        return Batch(cut[0], cut[1], keys[0], keys[1], first)

    with ThreadPoolExecutor(config.workers) as pool:
        ahead = deque(pool.submit(batch, start + i) for i in range(2 * config.workers))
        step = start + len(ahead)
        while True:
            ready = ahead.popleft().result()
            ahead.append(pool.submit(batch, step))
            step += 1
            yield ready
