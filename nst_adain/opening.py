"""Which files are pictures, and opening them as they are stored."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError

from nst_adain.usage import at_least

__all__ = [
    "MAX_PIXELS",
    "READABLE_SUFFIXES",
    "ImageError",
    "check_pixels",
    "find_images",
    "open_image",
    "register_heic",
]

MAX_PIXELS = 200_000_000  # twice 10,000 x 10,000; decoded pixels take 3 or 4 bytes each
READABLE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif"}
)
_READABLE_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_GREY_STEPS = {"L;2": 85, "L;4": 17}  # from one level of grey to the next, of 255, by Pillow's names for 2 and 4 bits
GREY_STEP = "nst_adain.grey_step"  # where a picture's `info` keeps this step, if it is not 1

# What Pillow and tifffile log of damaged files becomes an error here; it is printed only where a program asks for logs.
for _library in ("PIL", "tifffile"):
    logging.getLogger(_library).addHandler(logging.NullHandler())


class ImageError(ValueError):
    """A file that is not a picture, is damaged, or has more pixels than allowed. The message names it."""


def open_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode a picture as it is stored; of an animation the first frame. Arguments and errors: as for `load_image`."""
    at_least(1, max_pixels=max_pixels)
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
            image = Image.open(path, formats=_formats(path))
            with image:
                check_pixels(path, image.width, image.height, max_pixels)
                _note_levels(image)
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


def _note_levels(image: ImageFile.ImageFile) -> None:
    """Bring the colour that is transparent in a PNG file to 8 bits, as Pillow does with the pixels alone; and note under
    `GREY_STEP` how far apart this puts levels of grey."""
    key = image.info.get("transparency")
    coded = image.tile[0].args if image.tile else None
    coded = coded[0] if isinstance(coded, tuple) and coded else coded  # as in TIFF
    if coded in _GREY_STEPS:
        image.info[GREY_STEP] = _GREY_STEPS[coded]
    if isinstance(key, int) and coded in _GREY_STEPS:
        image.info["transparency"] = key * _GREY_STEPS[coded]
    elif isinstance(key, tuple) and coded == "RGB;16B":
        image.info["transparency"] = tuple(level >> 8 for level in key)


def _formats(path: Path) -> list[str]:
    """What Pillow may take a file for. The reader of HEIC, an optional library, is loaded for files that need it.

    Raises:
        ImageError: if that library is missing.
    """
    with path.open("rb") as file:
        start = file.read(64)
    brands = {start[at : at + 4] for at in range(8, min(len(start), int.from_bytes(start[:4], "big")), 4)}
    if start[4:8] != b"ftyp":
        return list(_READABLE_FORMATS)
    if not brands & _HEIC_BRANDS:
        Image.init()
        return ["AVIF"] if "AVIF" in Image.OPEN else []  # a Pillow may have been built without it
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
