"""Augments training data by style transfer, as a step of a torchvision pipeline or of a data set's `map`."""

from __future__ import annotations

import math
import numbers
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from nst_adain.controls import LARGEST, STYLE_SIZE, Style, check_several, check_style_size
from nst_adain.draws import draws
from nst_adain.errors import ImageError, UsageError
from nst_adain.functional import ChannelStats
from nst_adain.images.inputs import in_range
from nst_adain.images.io import check_format, load_image, save_image, to_srgb
from nst_adain.images.sources import is_file
from nst_adain.stylizer import Stylizer

__all__ = ["Input", "RandomStyle", "StyleMap"]

Input = TypeVar("Input", Image.Image, Tensor)


class RandomStyle(nn.Module):
    """Renders each picture in a random style with probability `p`: a step of a torchvision pipeline.

    Geirhos et al. 2019, https://arxiv.org/abs/1811.12231. Draws random numbers from torch, as torchvision's transforms do; or,
    with a seed, by each picture's name, as `nst-adain batch --random` does: of the same styles it draws the same.

    Example:
        >>> from PIL import Image
        >>> augment = RandomStyle([Image.new("RGB", (32, 32), "gold")], p=1.0, alpha=(0.5, 1.0))
        >>> augment(Image.new("RGB", (40, 30), "teal")).size
        (40, 30)
    """

    def __init__(
        self,
        styles: Iterable[Style],
        p: float = 0.5,
        alpha: float | tuple[float, float] = 1.0,
        *,
        boldness: float | None = None,
        seed: int | None = None,
        stylizer: Stylizer | None = None,
        style_size: int | None = STYLE_SIZE,
    ) -> None:
        """Encode the styles, once.

        Args:
            styles: pictures, or results of `Stylizer.encode_style`.
            p: probability of stylising a picture.
            alpha: strength, or the range (lowest, highest) from which one is drawn for each picture.
            boldness: as for calling a `Stylizer`.
            seed: of draws that depend on it and on the `key` of a picture alone; None: torch draws.
            stylizer: the model; default: `Stylizer.from_pretrained` on the CPU, because data loaders run there.
            style_size: short side to which style pictures are reduced.

        Raises:
            TypeError: if `styles` is one picture.
            ValueError: if there are no styles, or one was encoded by another model, or `p`, `alpha` or `boldness` is out of its
                range.
        """
        super().__init__()
        check_several(styles)
        given = list(styles)
        if not given:
            raise ValueError("styles: expected at least one, got none")
        if not 0 <= p <= 1:
            raise ValueError(f"p: expected a probability from 0 to 1, got {p}")
        try:
            low, high = map(float, alpha) if np.ndim(alpha) else (float(alpha),) * 2  # type: ignore[arg-type]
        except (TypeError, ValueError):
            low = high = math.nan
        if not 0 <= low <= high <= LARGEST:
            raise ValueError(f"alpha: expected a number from 0 to {LARGEST:,} or an ascending pair of them, got {alpha}")
        check_style_size(style_size, given)
        self.p, self.low, self.high, self.seed = p, low, high, seed
        self.stylizer = stylizer or Stylizer.from_pretrained(device="cpu")
        self.boldness = self.stylizer.boldness.of(boldness)
        self.styles = [
            style if isinstance(style, ChannelStats) else self.stylizer.encode_style(style, style_size=style_size)
            for style in given
        ]
        for style in self.styles:  # check now, not when a style is drawn
            self.stylizer.check_origin("styles", style)
            if style.mean.shape != (1, style.channels, 1, 1):
                raise ValueError(f"styles: expected codes of one picture each, got one of the shape {tuple(style.mean.shape)}")

    @overload
    def forward(self, image: Input, *, key: str | None = None) -> Input: ...
    @overload
    def forward(self, image: Any, *others: Any, key: str | None = None) -> Any: ...
    def forward(self, image: Any, *others: Any, key: str | None = None) -> Any:
        """Stylise a picture, or draw a style and a strength for each picture of a batch.

        Args:
            image: a PIL image, whose EXIF orientation is ignored, because boxes and masks would not turn with it; or a tensor
                (3, H, W) or (B, 3, H, W), float in [0, 1] or uint8, of any torchvision class.
                Or, as in `torchvision.transforms.v2`, a sample: nested tuples, lists and dictionaries. Its first picture is
                stylised; labels, boxes and everything else stay as they are.
            others: the rest of a sample whose first part is the picture.
            key: the picture's name, with `seed`; default: what a dictionary has under "__key__", as WebDataset's do. All
                pictures of a batch get the same.

        Returns:
            A PIL image of mode RGB, or RGBA if there is transparency; or a tensor of the same class, shape, type and device.
            For a sample, the same structure; with `others`, a tuple of the picture and the others.

        Raises:
            TypeError, ValueError: if `image` is none of these, even if it is not drawn to be stylised; or there is a seed and
                no key.
        """
        if not others and isinstance(image, (tuple, list, dict)):
            key = image.get("__key__") if key is None and isinstance(image, dict) else key
            leaves, structure = tree_flatten(image)
            kinds = [_kind(leaf) for leaf in leaves]
            first = next((kinds.index(kind) for kind in ("picture", "tensor") if kind in kinds), None)
            if first is None:
                raise TypeError(f"image: expected a sample with a picture, got {', '.join(type(x).__name__ for x in leaves)}")
            leaves[first] = self(leaves[first], key=key)
            return tree_unflatten(leaves, structure)
        if self.seed is not None and key is None:
            raise UsageError("key: expected the picture's name, which decides with the seed what is drawn, got none")
        whole = isinstance(image, Image.Image)
        result = self._stylize(to_srgb(image, upright=False), key) if whole else self._tensor(image, key)
        return (result, *others) if others else result

    def _tensor(self, image: Tensor, key: str | None) -> Tensor:
        if not isinstance(image, Tensor):
            raise TypeError(f"image: expected a PIL image or a tensor, got {type(image).__name__}")
        known = image.is_floating_point() or image.dtype == torch.uint8
        if image.ndim not in (3, 4) or image.shape[-3] != 3 or not known:
            found = f"{image.dtype} {tuple(image.shape)}"
            raise ValueError(f"image: expected a tensor (3, H, W) or (B, 3, H, W), float in [0, 1] or uint8, got {found}")
        plain = image.as_subclass(Tensor)
        values = plain if plain.is_floating_point() else plain / 255
        if plain.is_floating_point() and plain.numel():
            values = in_range(plain, "image")
        singles = values[None] if values.ndim == 3 else values
        done = [self._stylize(single[None], key).to(image.device) for single in singles]
        result = torch.cat(done).reshape(values.shape) if done else values
        result = result if plain.is_floating_point() else (result * 255).round().to(torch.uint8)
        return result.as_subclass(type(image))

    def _stylize(self, image: Input, key: str | None) -> Input:
        style, used, alpha = self._draw(key)
        return self.stylizer(image, self.styles[style], alpha=alpha, boldness=self.boldness) if used else image

    def _draw(self, key: str | None) -> tuple[int, bool, float]:
        """Return the number of a style, whether to use it, and the strength."""
        if self.seed is not None and key is not None:
            drawn = draws(self.seed, key)
            return (
                int(drawn.integers(len(self.styles))),
                bool(drawn.random() < self.p),
                float(drawn.uniform(self.low, self.high)),
            )
        if torch.rand(()) >= self.p:
            return 0, False, 0.0
        return int(torch.randint(len(self.styles), ())), True, float(torch.empty(()).uniform_(self.low, self.high))

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"{len(self.styles)} styles, p={self.p}, alpha={self.low:g}..{self.high:g}, boldness={self.boldness:g}"


class StyleMap:
    """Renders the pictures of a dictionary, each in a random style: a function for Ray, Hugging Face data sets and WebDataset.

    The same styles in the same order, seed and keys give what `nst-adain batch --random` gives. It can be pickled.

    Example:
        >>> from PIL import Image
        >>> stylise = StyleMap([Image.new("RGB", (32, 32), "gold")], "image", key="name")
        >>> stylise({"name": ["a", "b"], "image": [Image.new("RGB", (40, 30), "teal")] * 2})["image"][1].size
        (40, 30)
    """

    def __init__(
        self,
        styles: Iterable[Style],
        column: str,
        *,
        key: str = "__key__",
        seed: int = 0,
        p: float = 1.0,
        alpha: float | tuple[float, float] = 1.0,
        boldness: float | None = None,
        stylizer: Stylizer | None = None,
        style_size: int | None = STYLE_SIZE,
        suffix: str = ".png",
        quality: int = 95,
    ) -> None:
        """Encode the styles, once.

        Args:
            styles, seed, p, alpha, boldness, stylizer, style_size: as for `RandomStyle`.
            column: under which the dictionary has pictures, such as "image" or "jpg".
            key: under which it has their names, on which what is drawn depends.
            suffix, quality: format of pictures that are given and returned as the bytes of a file.

        Raises:
            TypeError, ValueError: as for `RandomStyle`, and if there is no such format or quality.
        """
        check_format(suffix, quality)
        self.augment = RandomStyle(styles, p, alpha, boldness=boldness, seed=seed, stylizer=stylizer, style_size=style_size)
        self.column, self.key, self.suffix, self.quality = column, key, suffix, quality

    def __call__(self, batch: Mapping[str, Any], indices: Sequence[int] | int | None = None) -> dict[str, Any]:
        """Stylise the pictures of a batch, or the one of a sample.

        Args:
            batch: a dictionary of columns, lists or arrays; or of one sample. Pictures are bytes of files, PIL images, arrays
                (H, W, 3) of uint8, or dictionaries with such bytes under "bytes", or a file's name under "path", as data sets
                store them.
            indices: of the pictures, in place of names, as `datasets.Dataset.map(with_indices=True)` passes them.

        Returns:
            The same dictionary, with the same kind of pictures in this column. Other columns stay as they are.

        Raises:
            UsageError: if it has no such column, or neither keys nor indices, or not one for each picture.
            ImageError: if a picture cannot be read, or is none of these.
        """
        if self.column not in batch:
            raise UsageError(f"column: expected one of {', '.join(batch)}, got {self.column}")
        if indices is None and self.key not in batch:
            raise UsageError(f"key: expected one of {', '.join(batch)}, got {self.key}")
        pictures: Any = batch[self.column]
        keys: Any = batch[self.key] if indices is None else indices
        if isinstance(keys, (str, numbers.Integral)):
            return {**batch, self.column: self._picture(pictures, str(keys))}
        if len(keys) != len(pictures):
            raise UsageError(f"keys: expected {len(pictures)}, got {len(keys)}")
        made = [self._picture(picture, str(key)) for picture, key in zip(pictures, keys)]
        if isinstance(pictures, np.ndarray):  # one array for pictures of one size
            array = np.empty(len(made), object) if pictures.dtype == object else np.empty_like(pictures)
            for i, picture in enumerate(made):
                array[i] = picture
            return {**batch, self.column: array}
        return {**batch, self.column: made}

    def _picture(self, picture: Any, key: str) -> Any:
        if isinstance(picture, dict):
            stored = picture.get("bytes")
            return {**picture, "bytes": self._picture(picture.get("path") if stored is None else stored, key)}
        if isinstance(picture, Image.Image):
            return self.augment(picture, key=key)
        if isinstance(picture, np.ndarray):
            if picture.dtype != np.uint8 or (picture.ndim, *picture.shape[2:]) not in ((2,), (3, 3), (3, 4)):
                raise ImageError(f"{key}: expected an array (H, W, 3) of uint8, found {picture.dtype} {picture.shape}")
            return np.asarray(self.augment(Image.fromarray(picture), key=key))
        if not is_file(picture):
            raise ImageError(f"{key}: expected a picture, found {type(picture).__name__}")
        result = self.augment(load_image(picture, name=key), key=key)
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / f"made{self.suffix}"
            save_image(result, made, quality=self.quality)
            return made.read_bytes()


def _kind(leaf: object) -> str:
    """Classify a part of a sample as torchvision does: a plain tensor is the picture only if no other part is one."""
    if isinstance(leaf, Image.Image) or (isinstance(leaf, Tensor) and type(leaf).__name__ in ("Image", "Video")):
        return "picture"
    return "tensor" if type(leaf) is Tensor and leaf.ndim in (3, 4) and leaf.shape[-3] == 3 else "other"
