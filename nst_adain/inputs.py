"""What users hand in, checked and turned into tensors."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageStat
from torch import Tensor

from nst_adain.functional import at_least_float32
from nst_adain.images import load_image, resize_short_side, to_srgb
from nst_adain.opening import MAX_PIXELS, ImageError, check_pixels
from nst_adain.pixels import to_pixels
from nst_adain.regions import Mask, read_label_map, read_mask
from nst_adain.tiff import Pixels, map_tiff
from nst_adain.usage import UsageError

__all__ = [
    "LARGEST",
    "Picture",
    "Precision",
    "Progress",
    "check_alpha",
    "check_scaled",
    "check_side",
    "check_weights",
    "in_range",
    "is_half",
    "native_bf16",
    "out_of_memory",
    "pick_device",
    "read_masks",
    "read_picture",
    "scale_short_side",
]

# A picture: the path of a file, a PIL image, or a float tensor (B, 3, H, W), RGB in [0, 1].
Picture: TypeAlias = str | os.PathLike[str] | Image.Image | Tensor
Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
# The largest strength, factor of a style, and product of both: far larger ones end in results that are not finite.
LARGEST = 10_000
# Whether to show a bar; or what is told how many parts are done and how many there are (None: unknown), before each part.
# What it raises ends the job.
Progress: TypeAlias = bool | Callable[[int, int | None], object]


def read_picture(
    picture: Picture,
    name: str,
    side: int | None,
    max_pixels: int,
    *,
    enlarge: bool,
    stored: Callable[[Pixels], bool] = lambda _: True,
) -> tuple[Pixels, Image.Image | None]:
    """The pixels of a picture.

    Args:
        picture: what was handed in.
        name: the argument's name, for errors.
        side: the short side to scale to, or None.
        max_pixels: the largest picture to decode or make.
        enlarge: whether a smaller picture is scaled up.
        stored: whether a picture that can be read in parts is to stay on the disk.

    Returns:
        (1, 3, H, W) uint8 of a file or PIL image, of the mean colour where it is invisible, read when it is used if it is
        `stored`; a tensor as it is, or scaled. And the transparency, or None.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read.
        TypeError, ValueError: if it is no picture, or `side` no number of pixels or too many.
    """
    source = os.fspath(picture) if isinstance(picture, (str, os.PathLike)) else name
    if isinstance(picture, (str, os.PathLike)):
        pixels = map_tiff(picture) if side is None else None
        if pixels is not None:
            check_pixels(picture, pixels.shape[-1], pixels.shape[-2], max_pixels)
            return pixels if stored(pixels) else pixels[..., :, :], None
        picture = load_image(picture, max_pixels=max_pixels)
    elif isinstance(picture, Image.Image):
        picture = to_srgb(picture, name)
    elif not isinstance(picture, Tensor):
        raise TypeError(f"{name}: expected a path, a PIL image or a tensor, got {type(picture).__name__}")
    elif picture.ndim != 4 or picture.shape[1] != 3 or not picture.is_floating_point() or 0 in picture.shape:
        found = f"{picture.dtype} {tuple(picture.shape)}"
        raise ValueError(f"{name}: expected a float tensor (B, 3, H, W) in [0, 1], got {found}")
    else:
        picture = in_range(picture, name)
    height, width = picture.shape[-2:] if isinstance(picture, Tensor) else picture.size[::-1]
    argument = "size" if name == "content" else f"{name}_size"
    if side is not None and (check_side(argument, side) < min(height, width) or enlarge):
        check_scaled(argument, side, round(side * side * max(height, width) / min(height, width)), max_pixels)
        scaled = scale_short_side(picture, side) if isinstance(picture, Tensor) else resize_short_side(picture, side)
        picture = scaled
    if isinstance(picture, Tensor):
        return picture, None
    if picture.mode != "RGBA":
        return to_pixels(picture), None
    if name == "style" and picture.getchannel("A").getextrema() == (0, 0):
        raise ImageError(f"{source}: expected a style, found a picture that is invisible throughout")
    # Half-transparent pixels keep their own colour, or the result would have white seams; invisible ones may hold anything.
    transparency = picture.getchannel("A")
    visible = picture.convert("RGB")
    if transparency.getextrema() != (0, 0):
        mean = tuple(round(level) for level in ImageStat.Stat(visible, transparency).mean)
        visible.paste(mean, mask=transparency.point([255] + [0] * 255))
    return to_pixels(visible), transparency


def check_scaled(name: str, side: int, pixels: int, max_pixels: int) -> None:
    """Raise ImageError if a short side of `side`, which the argument `name` asks for, makes more pixels than allowed."""
    if pixels > max_pixels:
        raise ImageError(f"{name}: {side} makes {pixels:,} pixels, more than the limit of {max_pixels:,} (max_pixels)")


def in_range(picture: Tensor, name: str) -> Tensor:
    """A tensor clamped to [0, 1], which resizing and networks overshoot by a little.

    Raises:
        ValueError: if it overshoots by more, as in levels of 255 or normalised for another network, or holds NaN.
    """
    low, high = (float(end) for end in picture.detach().aminmax())
    if not (low >= -0.3 and high <= 1.3):  # a sharp edge, resized with the widest of filters, overshoots by a fifth
        raise ValueError(f"{name}: expected values in [0, 1], got {low:.4g} to {high:.4g}")
    return picture if low >= 0 and high <= 1 else picture.clamp(0, 1)


def scale_short_side(image: Tensor, side: int) -> Tensor:
    """Scale (B, 3, H, W), its aspect ratio kept, so that its shorter side has `side` pixels."""
    scale = side / min(image.shape[-2:])
    size = [max(1, round(n * scale)) for n in image.shape[-2:]]
    return F.interpolate(at_least_float32(image), size, mode="bicubic", antialias=True).clamp(0, 1).to(image.dtype)


def read_masks(
    masks: Sequence[Mask] | Mask | None, count: int, size: tuple[int, int], max_pixels: int = MAX_PIXELS
) -> Tensor | None:
    """One mask for each of `count` styles, (1, count, H, W) uint8, or None.

    Args:
        masks: a list of `count` masks, or of one fewer: then the last style gets what they leave; or a label map.
        count: how many styles there are.
        size: (H, W) of the content.
        max_pixels: the largest file to decode.

    Raises:
        FileNotFoundError, ImageError: if a file cannot be read.
        TypeError, ValueError: if it is neither, or of another length.
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


def check_alpha(alpha: float | Mask) -> float | None:
    """The strength as a number, or None if it is a mask.

    Raises:
        ValueError: if it is a number that is negative or above `LARGEST`.
    """
    if isinstance(alpha, (str, os.PathLike, Image.Image)) or (isinstance(alpha, (np.ndarray, Tensor)) and alpha.ndim):
        return None
    try:
        number = float(alpha) if isinstance(alpha, (numbers.Real, np.ndarray, Tensor)) else math.nan
    except OverflowError:
        number = math.inf
    if not 0 <= number <= LARGEST:
        raise UsageError(f"alpha: expected a number from 0 to {LARGEST:,} (above 1 extrapolates) or a mask, got {alpha!r}")
    return number


def check_weights(
    weights: Sequence[float] | None, count: int, raw: bool = False, masked: bool = False, alpha: float = 1.0
) -> list[float]:
    """One factor for each of `count` styles, to be applied at a strength of `alpha`; unless `raw`, they sum to 1.

    Raises:
        ValueError: if there are not `count` finite numbers, or they sum to 0 and so cannot be scaled to 1, or a factor, also
            times `alpha`, is above `LARGEST`, or there are masks, whose shares of a place are fractions of it, and a number is
            not above 0.
    """
    if count == 0:
        raise UsageError("styles: expected at least one, got none")
    try:
        if isinstance(weights, str):  # whose letters may be digits
            raise TypeError
        factors = [1.0] * count if weights is None else [float(w) for w in weights]
        total = math.fsum(factors) if all(map(math.isfinite, factors)) else math.nan
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"weights: expected {count} finite numbers, one for each style, got {weights!r}") from error
    if len(factors) != count or not math.isfinite(total):
        raise UsageError(f"weights: expected {count} finite numbers, one for each style, got {weights}")
    if masked and raw:
        raise UsageError("raw_weights: not allowed with masks, where weights are shares of a place")
    if masked and min(factors) <= 0:
        raise UsageError(f"weights: expected numbers above 0 where there are masks, got {factors}")
    if raw and weights is None:
        raise UsageError("raw_weights: expected weights to use as they are, got none")
    if not raw and abs(total) <= 1e-9 * max(map(abs, factors)):
        raise UsageError(f"weights: {factors} sum to 0 and cannot be scaled to sum to 1; use them raw, or change them")
    used = factors if raw else [factor / total for factor in factors]
    if max(map(abs, used)) * max(1.0, alpha) > LARGEST:
        strength = f" at a strength of {alpha:g}" if alpha > 1 else ""
        raise UsageError(f"weights: expected factors up to {LARGEST / max(1.0, alpha):,g}{strength}, got {used} from {weights}")
    return used


def check_side(name: str, side: int) -> int:
    """A whole number of pixels.

    Raises:
        ValueError: if it is none, or below 1, or more than any picture has, which arithmetic would stumble over.
    """
    try:
        value = operator.index(side)
    except TypeError:
        value = 0
    if not 1 <= value < 2**31:
        raise UsageError(f"{name}: expected a whole number of pixels from 1 to {2**31 - 1:,}, got {side!r}")
    return value


def pick_device(device: str | torch.device | None) -> torch.device:
    """The device of this name; for None or "auto" the first GPU if there is one.

    Raises:
        ValueError: if this machine or this build of torch has no such device.
    """
    if device is None or device == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")
    try:
        torch.zeros(1, device=device).item()
        return torch.device(device)
    except (RuntimeError, AssertionError) as error:  # NotImplementedError among them, of devices without memory
        reason = str(error).splitlines()[0]
        raise UsageError(f"device: expected one of this machine, such as cpu, got {str(device)!r} ({reason})") from error


def is_half(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16.

    Raises:
        ValueError: if there is no such precision.
    """
    if precision not in get_args(Precision):
        raise UsageError(f"precision: expected {', '.join(get_args(Precision))}, got {precision!r}")
    return precision == "bfloat16" or (precision == "auto" and native_bf16(device))


def native_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is multiplied by the hardware: emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return device.type == "cpu" and bool(capability.get("avx512_bf16") or capability.get("amx_bf16"))


def out_of_memory(error: BaseException) -> bool:
    """Whether this is how Python or torch, on any device, say that memory ran out."""
    return isinstance(error, MemoryError) or any(s in str(error) for s in ("can't allocate memory", "out of memory"))
