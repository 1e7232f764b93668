"""Reading and writing pictures: any common file in, an upright sRGB picture out."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import threading
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, UnidentifiedImageError
from torch import Tensor

from nst_adain.files import check_folder, write_atomic
from nst_adain.usage import UsageError

__all__ = [
    "MAX_PIXELS",
    "READABLE_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "ImageError",
    "check_pixels",
    "find_images",
    "load_image",
    "open_image",
    "register_heic",
    "resize_short_side",
    "save_image",
    "to_image",
    "to_pixels",
    "to_srgb",
    "to_tensor",
]

MAX_PIXELS = 200_000_000  # twice 10,000 x 10,000; decoded pixels take 3 or 4 bytes each
READABLE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif"}
)
WRITABLE_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}

_READABLE_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_BITS = 258  # TIFF tag: of each channel
_ORIENTATION = 0x0112  # EXIF tag, and what undoes its values
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BAND = 1024  # rows

# What Pillow and tifffile log of damaged files becomes an error here; it is printed only where a program asks for logs.
for _library in ("PIL", "tifffile"):
    logging.getLogger(_library).addHandler(logging.NullHandler())


class ImageError(ValueError):
    """A file that is not a picture, is damaged, or has more pixels than allowed. The message names it."""


def load_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a picture as its maker meant it to be seen: `open_image`, then `to_srgb`.

    Args:
        path: the file; its content, not its name, says what format it has.
        max_pixels: the largest width x height that is decoded.

    Returns:
        A picture of mode "RGB", or "RGBA" if the file has transparency.

    Raises:
        FileNotFoundError: if there is no such file.
        ImageError: if it cannot be read whole, or has more than `max_pixels`.
    """
    try:
        image = open_image(path, max_pixels=max_pixels)
        return _to_srgb(image, _white(image))
    except (ImageError, FileNotFoundError, PermissionError):
        raise
    except (ValueError, OSError) as error:
        raise ImageError(f"{path}: {error}") from error


def open_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a picture as it is stored; of an animation the first frame. Arguments and errors: as for `load_image`."""
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path}: expected a picture, found a folder")
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected a picture, found no such file")
    if not path.is_file():
        raise ImageError(f"{path}: expected a picture, found a pipe or device, which cannot be read twice")
    try:
        if path.stat().st_size == 0:
            raise ImageError(f"{path}: expected a picture, found an empty file (0 bytes)")
        with _NO_PILLOW_LIMIT:
            image: Image.Image = Image.open(path, formats=_formats(path))
            with image:
                check_pixels(path, image.width, image.height, max_pixels)
                image.load()
            return image
    except (ImageError, PermissionError):
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: expected a picture, found a file of no known image format, or a damaged one") from error
    except MemoryError as error:
        raise ImageError(f"{path}: not enough memory to decode it") from error
    except Exception as error:  # decoders fail on damaged files with whatever their format's code happens to raise
        raise ImageError(f"{path}: the picture is damaged or cut short ({' '.join(str(error).split())})") from error


def _formats(path: Path) -> list[str]:
    """What Pillow may take a file for. The reader of HEIC, an optional library, is loaded for files that need it.

    Raises:
        ImageError: if that library is missing.
    """
    with path.open("rb") as file:
        start = file.read(64)
    brands = {start[at : at + 4] for at in range(8, min(len(start), int.from_bytes(start[:4], "big")), 4)}
    if start[4:8] != b"ftyp" or not brands & _HEIC_BRANDS:
        Image.init()
        return [kind for kind in _READABLE_FORMATS if kind in Image.OPEN]  # a Pillow may have been built without AVIF
    if not register_heic():
        raise ImageError(f"{path}: to read pictures of type HEIC: pip install 'nst-adain[heic]'")
    return ["HEIF"]


def register_heic() -> bool:
    """Let Pillow read HEIC, if the library for it is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ModuleNotFoundError:
        return False
    register_heif_opener()
    return True


def check_pixels(path: str | os.PathLike[str], width: int, height: int, max_pixels: int) -> None:
    """Raise ImageError if a file has more pixels than allowed."""
    if width * height > max_pixels:
        raise ImageError(
            f"{path}: {width} x {height} is {width * height:,} pixels, "
            f"more than the limit of {max_pixels:,} (max_pixels, --max-pixels)"
        )


class _PillowLimit:
    """Lifts Pillow's own limit while at least one picture is read: `max_pixels` takes its place.

    It is a global, only a warning up to twice its value, and checked again when pixels are decoded.
    """

    def __init__(self) -> None:
        self.lock, self.readers, self.limit = threading.Lock(), 0, Image.MAX_IMAGE_PIXELS

    def __enter__(self) -> None:
        with self.lock:
            if self.readers == 0:
                self.limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self.readers += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.readers -= 1
            if self.readers == 0:
                Image.MAX_IMAGE_PIXELS = self.limit


_NO_PILLOW_LIMIT = _PillowLimit()


def to_srgb(image: Image.Image) -> Image.Image:
    """A picture as its maker meant it to be seen.

    EXIF orientation is applied, an embedded colour profile is converted to sRGB, 16 bits a channel are scaled to 8
    (not cut off), and palettes, grey, CMYK and the rest become RGB.

    Returns:
        A new picture of mode "RGB", or "RGBA" if there is transparency.

    Raises:
        ValueError: if the pixels are floating point or integers of more than 16 bits, which have no agreed range.
    """
    return _to_srgb(image.copy(), _white(image))


def _white(image: Image.Image) -> int:
    """The level of white in a grey picture of more than 8 bits: Pillow leaves 12 bits, as of microscopes, as they are."""
    bits = getattr(image, "tag_v2", {}).get(_BITS, (16,))[0]
    return 2 ** (bits if 8 < bits < 16 else 16) - 1


def _to_srgb(image: Image.Image, white: int) -> Image.Image:
    """`to_srgb`, which may change the picture that it is given: a huge one should not be copied at every step."""
    profile = image.info.get("icc_profile")
    transparent = image.info.get("transparency")
    with contextlib.suppress(Exception):  # damaged EXIF, for which Pillow raises anything, is ignored, as by image viewers
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
        if turn is not None:
            image = image.transpose(turn)
    alpha = None
    if image.mode.startswith("I"):  # Pillow's own conversion cuts off at 255
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError(f"expected integer pixels of at most 16 bits, found {values.min()} to {values.max()}")
        image = Image.fromarray((values / white * 255).round().clip(0, 255).astype(np.uint8))
        if isinstance(transparent, int):
            alpha = Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))
    elif image.mode == "F":
        raise ValueError("expected 8 or 16 bits a channel, found floating-point pixels, which have no agreed range")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    if image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if profile:
        # A profile that is damaged or of another colour model is ignored, as image viewers do.
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            image = converted if converted is not None else image
    if image.mode != "RGB":
        image = image.convert("RGB")
    if alpha is not None:
        image.putalpha(alpha)
    image.info.clear()  # the profile and orientation are applied: whoever saves this must not write them again
    return image


def save_image(image: Image.Image, path: str | os.PathLike[str], *, quality: int = 95) -> None:
    """Write a picture in the format of the path's suffix, whole or not at all.

    Args:
        image: mode "RGB" or "RGBA". JPEG has no transparency: there it is laid on white.
        path: .png, .jpg, .jpeg, .webp, .tif or .tiff, in a folder that exists.
        quality: 1 to 100, of JPEG and WebP; 100 makes WebP lossless.

    Raises:
        ValueError: if the suffix or the quality is none of these.
        FileNotFoundError: if the folder does not exist.
    """
    path = Path(path)
    kind = output_format(path)
    if not 1 <= quality <= 100:
        raise UsageError(f"quality: expected 1 to 100, got {quality}")
    options: dict[str, object] = {}
    if kind == "JPEG":
        image = flatten(image)
        options = {"quality": quality, "subsampling": 0 if quality >= 90 else 2}
    elif kind == "WEBP":
        options = {"lossless": quality == 100, "quality": quality}
    elif kind == "TIFF":
        options = {"compression": "tiff_adobe_deflate"}
    elif kind == "PNG":  # of a stylised photograph a third of the time of the default, and 1 % more bytes
        options = {"compress_type": zlib.Z_RLE}
    buffer = io.BytesIO()
    try:
        image.save(buffer, kind, **options)
    except (OSError, ValueError) as error:  # e.g. more than 65,535 pixels a side in JPEG, 16,383 in WebP
        raise ImageError(f"{path}: {image.width} x {image.height} cannot be written as {kind} ({error})") from error
    write_atomic(path, buffer.getbuffer())


def output_format(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format that a path's suffix asks for, once its folder is known to exist.

    Raises:
        ValueError: if no format that can be written has this suffix.
        FileNotFoundError: if the folder does not exist.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE_SUFFIXES:
        raise UsageError(f"{path}: expected a name ending in {', '.join(WRITABLE_SUFFIXES)}, got {path.suffix!r}")
    check_folder(path)
    return WRITABLE_SUFFIXES[path.suffix.lower()]


def find_images(
    folder: str | os.PathLike[str],
    failed: list[tuple[Path, str]] | None = None,
    suffixes: Collection[str] = READABLE_SUFFIXES,
) -> list[Path]:
    """All files below a folder that are pictures by their suffix, hidden ones left out, in a fixed order.

    Args:
        folder: searched with its subfolders, linked ones among them.
        failed: gets the subfolders that cannot be read and why; None: they are an error.
        suffixes: those that count, in lower case.

    Raises:
        NotADirectoryError: if there is no such folder.
        PermissionError: if the folder cannot be read.
        ValueError: if it has no picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "a file" if folder.exists() else "no such folder"
        raise NotADirectoryError(f"{folder}: expected a folder of pictures, found {what}")
    files = _files_below(folder, frozenset(), failed)
    found = sorted(path for path in files if path.suffix.lower() in suffixes)
    if not found:
        raise ValueError(f"{folder}: expected pictures ({', '.join(sorted(suffixes))}), found none")
    return found


def _files_below(folder: Path, above: frozenset[Path], failed: list[tuple[Path, str]] | None) -> Iterator[Path]:
    """Files that are not hidden. `above`: the folders that are being searched, into which a link may lead back."""
    real = folder.resolve()
    if real in above:
        return
    try:
        entries = [(entry, entry.is_dir()) for entry in folder.iterdir() if not entry.name.startswith(".")]
    except PermissionError as error:
        if failed is None or not above:
            raise
        failed.append((folder, f"{folder}: expected a folder that can be read: {error.strerror}"))
        return
    for entry, is_folder in entries:
        if is_folder:
            yield from _files_below(entry, above | {real}, failed)
        else:
            yield entry


def flatten(image: Image.Image) -> Image.Image:
    """RGB; what is transparent is laid on white."""
    if image.mode != "RGBA":
        return image if image.mode == "RGB" else image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def resize_short_side(image: Image.Image, side: int) -> Image.Image:
    """Scale a picture, its aspect ratio kept, so that its shorter side has `side` pixels."""
    scale = side / min(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def to_pixels(image: Image.Image) -> Tensor:
    """A picture as (1, 3, H, W) uint8, RGB; transparency is laid on white."""
    image = flatten(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _BAND):  # Pillow's own export holds the whole picture twice meanwhile
        bottom = min(top + _BAND, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


def to_tensor(image: Image.Image) -> Tensor:
    """A picture as (1, 3, H, W) float32, RGB in [0, 1]; transparency is laid on white."""
    return to_pixels(image).float() / 255


def to_image(tensor: Tensor) -> Image.Image:
    """(1, 3, H, W), RGB, clamped to [0, 1], as a picture."""
    if tensor.ndim != 4 or tensor.shape[:2] != (1, 3):
        raise ValueError(f"expected one picture of shape (1, 3, H, W), got {tuple(tensor.shape)}")
    values = tensor[0].detach().float().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
    return Image.fromarray(values.cpu().numpy())
