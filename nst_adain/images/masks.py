"""Reads masks and label maps, which say where each style applies: of any size, with soft edges."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageChops
from torch import Tensor

from nst_adain.controls import Controls, Mask, check_detail, check_side
from nst_adain.errors import UsageError
from nst_adain.images.formats import open_image
from nst_adain.images.io import check_not_empty, load_image, to_srgb, turn_upright
from nst_adain.images.opening import GREY_STEP, MAX_PIXELS
from nst_adain.images.sources import file_name, is_file

__all__ = ["read_controls", "read_label_map", "read_mask", "read_masks"]


_OVERSHOOT = 1e-3


_LIGHT = 128  # an array of bytes that is nowhere as light as this may be a label map

_MANY_LABELS = 100  # in one picture: soft edges and photographs have more different values


def read_mask(mask: Mask, size: tuple[int, int], name: str = "masks", max_pixels: int = MAX_PIXELS) -> Tensor:
    """Read a mask in the size of a picture.

    Args:
        mask: a mask of any size; scaled to `size` with smooth edges.
        size: (H, W) of the picture.
        name: the argument's name, for errors.
        max_pixels: the largest file to decode.

    Returns:
        (1, 1, H, W) uint8, 0 to 255: bytes, because a picture may be huge.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read.
        TypeError, ValueError: if it is not a mask.
    """
    if is_file(mask):
        mask = load_image(mask, max_pixels=max_pixels, name=name)
    elif isinstance(mask, Image.Image):
        mask = to_srgb(mask, name)
    if isinstance(mask, Image.Image):
        image = mask.convert("L")
        if mask.mode == "RGBA":  # where the mask is invisible, it does not apply
            image = ImageChops.multiply(image, mask.getchannel("A"))
    else:
        values = _fractions(_array(mask, name), name)
        # Scaling, blurring and subtracting masks overshoot by rounding.
        if not (values.min() >= -_OVERSHOOT and values.max() <= 1 + _OVERSHOOT):  # refuses NaN too
            raise ValueError(f"{name}: expected values from 0 to 1, got {values.min()} to {values.max()}")
        image = Image.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8))
    if image.size != size[::-1]:
        image = image.resize(size[::-1], Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image))[None, None]


def read_label_map(labels: Mask, count: int, size: tuple[int, int], max_pixels: int = MAX_PIXELS) -> list[Tensor]:
    """Make one mask for each of the labels 0 to `count` - 1; where there is another label, no mask applies.

    Args:
        labels: a file or picture whose grey values or palette indices are labels, or an array or tensor (H, W) of integers.
        count: the number of styles.
        size: (H, W) of the picture; labels are scaled to it without mixing them.
        max_pixels: the largest file to decode.

    Returns:
        `count` masks as `read_mask` returns them.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read.
        TypeError, ValueError: if it is not a label map, or none of the labels occurs, or a picture, or an array of bytes, looks
            like a mask: it has only the values 0 and 255, very many values, or, in memory, one bit.
    """
    name = "masks"
    if isinstance(labels, Image.Image) and labels.mode == "1":  # a mask of Pillow's, which would apply inverted
        raise ValueError(f"{name}: expected a label map, got a picture of one bit, as a mask is; masks go into a list")
    if is_file(labels):
        name, labels = file_name(labels, name), open_image(labels, max_pixels=max_pixels, name=name)
    if drawn := isinstance(labels, Image.Image):
        given: NDArray[np.generic] = _drawn_labels(turn_upright(labels), name)
    else:
        given = _array(labels, name)
    if not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"{name}: expected a label map of integers, or a list of masks, got {given.dtype}")
    values = given.astype(np.int64)
    if drawn or given.dtype == np.uint8:
        different = np.unique(values[values >= 0])
        if different.tolist() in ([0, 255], [0, 65535]) or len(different) > max(_MANY_LABELS, count):
            looks = f"0 and {different[-1]} alone" if len(different) == 2 else f"{len(different)} different values"
            raise ValueError(
                f"{name}: expected a label map, k for style k, found {looks}, as in a mask; masks go into a list (--masks)"
            )
    known = (values >= 0) & (values < count)
    if not known.any() or count > 255:
        raise ValueError(f"{name}: expected labels from 0 to {count - 1} (at most 254), got {values.min()} to {values.max()}")
    image = Image.fromarray(np.where(known, values, 255).astype(np.uint8))
    image = image.resize(size[::-1], Image.Resampling.NEAREST)
    scaled = torch.from_numpy(np.array(image))[None, None]
    return [(scaled == label).to(torch.uint8) * 255 for label in range(count)]


def _drawn_labels(image: Image.Image, name: str) -> NDArray[np.int64]:
    """Return the palette indices of a picture, (H, W), or its grey values, -1 where it is invisible."""
    check_not_empty(image, name)
    if image.mode in ("LA", "RGB", "RGBA"):  # many programs save grey pictures so
        levels = [np.asarray(channel) for channel in image.split()]
        alpha = levels.pop() if image.mode in ("LA", "RGBA") else None
        if all(np.array_equal(levels[0], level) for level in levels):
            grey = levels[0].astype(np.int64)
            return grey if alpha is None else np.where(alpha > 0, grey, -1)
    elif image.mode in ("L", "P", "1", "I") or image.mode.startswith("I;16"):
        step: int = image.info.get(GREY_STEP, 1)
        return np.asarray(image).astype(np.int64) // step
    raise ValueError(f"{name}: expected a label map with grey values or palette indices, got colours, of mode {image.mode}")


def _array(mask: NDArray[np.generic] | Tensor, name: str) -> NDArray[np.generic]:
    if isinstance(mask, Tensor):
        mask = (mask.float() if mask.dtype == torch.bfloat16 else mask).detach().cpu().numpy()  # NumPy has no bfloat16
    if not isinstance(mask, np.ndarray):
        raise TypeError(f"{name}: expected a file, a picture, an array or a tensor, got {type(mask).__name__}")
    mask = mask.reshape(mask.shape[-2:]) if mask.shape[:-2] in ((1,), (1, 1)) else mask
    if mask.ndim != 2 or 0 in mask.shape:
        raise ValueError(f"{name}: expected the shape (H, W), got {tuple(mask.shape)}")
    return mask


def _fractions(mask: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    """Return a mask in float: as it is, or levels of uint8 as fractions of 255."""
    values = mask.astype(np.float32)
    if mask.dtype == np.uint8 and (largest := int(values.max())) > 1:
        if largest < _LIGHT:
            ways = "a label map goes in alone, without a list; a dark mask is mask / 255"
            raise ValueError(f"{name}: expected uint8 levels up to 255, or 0 and 1, got {largest} at most: {ways}")
        values /= 255
    return values


def read_masks(
    masks: Sequence[Mask] | Mask | None, count: int, size: tuple[int, int], max_pixels: int = MAX_PIXELS
) -> Tensor | None:
    """Read one mask for each of `count` styles, (1, count, H, W) uint8, or return None without masks.

    Args:
        masks: a list of `count` masks; or of one fewer, so that the last style gets the rest; or a label map.
        count: the number of styles.
        size: (H, W) of the content.
        max_pixels: the largest file to decode.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read.
        TypeError, ValueError: if `masks` is neither, or has another length.
    """
    if masks is None:
        return None
    if isinstance(masks, (list, tuple)):
        if len(masks) not in (count, count - 1) or not masks:
            fewer = f", or {count - 1}" if count > 1 else ""
            raise UsageError(f"masks: expected {count}, one for each style{fewer}, got {len(masks)}")
        read = [read_mask(mask, size, max_pixels=max_pixels) for mask in masks]
        if len(read) < count:
            covered = torch.cat(read, 1).sum(1, keepdim=True).clamp_max(255)
            read.append((255 - covered).to(torch.uint8))
    else:
        read = read_label_map(masks, count, size, max_pixels)  # type: ignore[arg-type]
    return torch.cat(read, 1)


def read_controls(controls: Controls, allowed: Collection[str]) -> Controls:
    """Return the controls with mask files read into memory, once for many calls, and before any work if one is bad.

    Raises:
        UsageError: if there is a control that is not `allowed`.
    """
    if other := sorted(controls.keys() - {*allowed, "max_pixels"}):
        raise UsageError(f"controls: expected {', '.join(allowed)}, got {other[0]}")
    check_detail(controls.get("detail", "strokes"))
    if (look_size := controls.get("look_size")) is not None:
        check_side("look_size", look_size)
    read: Controls = {**controls}
    alpha, masks, limit = controls.get("alpha"), controls.get("masks"), controls.get("max_pixels", MAX_PIXELS)
    if is_file(alpha):
        read["alpha"] = load_image(alpha, max_pixels=limit, name="alpha")
    if is_file(masks):
        read["masks"] = open_image(masks, max_pixels=limit, name="masks")
    elif isinstance(masks, (list, tuple)):
        read["masks"] = [load_image(mask, max_pixels=limit, name="masks") if is_file(mask) else mask for mask in masks]
    return read
