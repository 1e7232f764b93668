"""Finds picture files by their suffix, and limits how large they may be."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from nst_adain.errors import ImageError

__all__ = [
    "CODE_POINTS",
    "GREY_STEP",
    "LEVELS",
    "MAX_PIXELS",
    "OVERSHOOT",
    "READABLE_SUFFIXES",
    "TIFF_STARTS",
    "check_pixels",
    "find_images",
    "is_heic",
    "register_heic",
]

MAX_PIXELS = 200_000_000  # twice 10,000 x 10,000; decoded pixels take 3 or 4 bytes each
READABLE_SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".tga"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpx", ".jpf"}
)
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # first bytes of files; the last two have 64-bit addresses
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
OVERSHOOT = 0.3  # tolerance below 0 and above 1: a sharp edge, resized with the widest filter, overshoots by a fifth
# Keys in the `info` of a picture that was read, for what its mode does not say:
CODE_POINTS = "nst_adain.code_points"  # `colorimetry.CodePoints`, which have precedence over a profile
GREY_STEP = "nst_adain.grey_step"  # the step between grey levels, of 255, if not 1
LEVELS = "nst_adain.levels"  # black and white of mode "I;16", if not 0 and 65535

# Damaged files raise errors here, so what Pillow and tifffile log about them is printed only if a program configures logs.
for _library in ("PIL", "tifffile"):
    logging.getLogger(_library).addHandler(logging.NullHandler())


def is_heic(start: bytes) -> bool:
    """Whether the first 64 bytes of a file are those of HEIC."""
    brands = {start[at : at + 4] for at in range(8, min(len(start), int.from_bytes(start[:4], "big")), 4)}
    return start[4:8] == b"ftyp" and bool(brands & _HEIC_BRANDS)


def register_heic() -> bool:
    """Let Pillow read HEIC; return whether the library for it is installed."""
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


def find_images(
    folder: str | os.PathLike[str],
    failed: list[tuple[Path, str]] | None = None,
    suffixes: Collection[str] = READABLE_SUFFIXES,
) -> list[Path]:
    """Find all files below a folder that are pictures by their suffix, except hidden ones, in a fixed order.

    Args:
        folder: the folder, searched with its subfolders, including linked ones.
        failed: receives the subfolders that cannot be read, and why; None: such a folder is an error.
        suffixes: the suffixes of pictures, in lower case.

    Raises:
        NotADirectoryError: if the folder does not exist.
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
    """Yield files that are not hidden. `above`: the folders being searched, as a link may lead back into one."""
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
