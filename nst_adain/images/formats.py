"""Decodes picture files as they are stored, each format by a decoder that reports damage and has limits."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageFile, UnidentifiedImageError

from nst_adain.errors import ImageError, ImageWarning, UsageError, at_least
from nst_adain.images import boxes, jpeg, netpbm, png, raw, tiff_decoding
from nst_adain.images.colorimetry import CodePoints
from nst_adain.images.opening import CODE_POINTS, GREY_STEP, MAX_PIXELS, TIFF_STARTS, check_pixels, is_heic, register_heic
from nst_adain.images.pillow_limits import PILLOW_LIMITS
from nst_adain.images.sources import File, on_disk

__all__ = ["open_image", "reading"]

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "JPEG2000")  # Pillow recognises and reads these
_BOXED = ("AVIF", "JPEG2000")  # files that consist of boxes
_GREY_STEPS = {"L;2": 85, "L;4": 17}  # step from one grey level to the next, of 255, by Pillow's names for 2 and 4 bits
# How often a decoder may read. Pillow handles each comment, chunk or fill byte of a header in Python, and copies all earlier
# ones with each; the pixels of a 200-megapixel picture come in some hundred thousand pieces.
_HEADER_READS, _PIXEL_READS = 5_000, 1_000_000
_CHUNKS = 300_000  # of a PNG file: common writers need fewer even for 2 GB
_OF_THE_SYSTEM = (errno.EIO, errno.EMFILE, errno.ENFILE, getattr(errno, "ESTALE", errno.EIO))
# The most pixels of slow formats: BMP run lengths are decoded in Python, JPEG 2000 takes microseconds and 16 bytes a pixel.
_SLOW = {"bmp_rle": 4_000_000, "jpeg2k": 50_000_000}


def open_image(file: File, *, max_pixels: int = MAX_PIXELS, name: str = "file") -> Image.Image:
    """Decode a picture, or the first frame of an animation, as it is stored. Arguments and errors: as for `load_image`."""
    at_least(1, max_pixels=max_pixels)
    with on_disk(file, name) as path:
        return _open(path, max_pixels)


def _open(path: Path, max_pixels: int) -> Image.Image:
    if path.is_dir():
        raise ImageError(f"{path}: expected a picture, found a folder")
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected a picture, found no such file")
    if not path.is_file():
        raise ImageError(f"{path}: expected a picture, found a pipe or device, which cannot be read twice")
    with reading(path):
        with path.open("rb") as file:
            start = file.read(64)
        if not start:
            raise ImageError(f"{path}: expected a picture, found an empty file (0 bytes)")
        raw.check_start(path, start)
        if start.startswith(TIFF_STARTS):
            return tiff_decoding.read_tiff(path, max_pixels)
        if start.startswith(netpbm.STARTS) and start[2:3].isspace():
            return netpbm.read_netpbm(path, max_pixels)
        try:
            return _by_pillow(path, start, max_pixels)
        except OSError as error:
            if not start.startswith(jpeg.START):
                raise
            with PILLOW_LIMITS:
                image = jpeg.without_end(path.read_bytes())
            if image is None:
                raise
            warnings.warn(f"{path}: this JPEG file has no end marker ({error}); its rows are all there", ImageWarning, 2)
            return image


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn anything that a library raises while it reads this file in this block into an ImageError that names the file.

    On damaged files decoders may raise anything, even AssertionError or TypeError.
    """
    try:
        yield
    except (ImageError, UsageError, FileNotFoundError, PermissionError):
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"{path}: expected a picture, found a file of no known image format, or a damaged one") from error
    except MemoryError as error:
        raise ImageError(f"{path}: not enough memory to decode it") from error
    except OSError as error:  # from a decoder, unless the system reports trouble with the file or the process
        if error.errno in _OF_THE_SYSTEM:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise _damaged(path, error) from error
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ImageError:
    words = " ".join(str(error).split()) or type(error).__name__
    return ImageError(f"{path}: the picture is damaged or cut short ({words})")


class _Counted(io.BufferedReader):
    """Reads a file, but stops at headers that would take minutes, and never allocates more than the file can fill."""

    left = _HEADER_READS

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise ImageError(f"{self.name}: expected a picture, found a file of too many small pieces (comments or the like)")
        if size and size > io.DEFAULT_BUFFER_SIZE:
            size = min(size, max(0, os.fstat(self.fileno()).st_size - self.tell()))
        return super().read(size)


def _by_pillow(path: Path, start: bytes, max_pixels: int) -> Image.Image:
    with PILLOW_LIMITS, _Counted(io.FileIO(path)) as file:
        survey = None
        if start.startswith(png.START):
            file.left = _CHUNKS
            survey = png.survey(path, file)
            file.seek(0)
            file.left = _HEADER_READS
        image = Image.open(file, formats=_formats(path, start))
        with image:
            check_pixels(path, image.width, image.height, max_pixels)
            decoder, pixels = str(image.tile[0].codec_name) if image.tile else "", image.width * image.height
            if pixels > _SLOW.get(decoder, pixels):
                raise ImageError(f"{path}: {pixels:,} pixels are too many in this form ({decoder}); save it in another")
            if decoder == "jpeg" and image.info.get("progressive"):
                jpeg.check_scans(path, pixels)
            _note_levels(image)
            file.left = _PIXEL_READS
            image.load()
            file.left = _PIXEL_READS
            if decoder == "jpeg":
                jpeg.check_rows(path, image)
            elif survey is not None:
                png.check_rows(path, file, image)
            _note_colors(image, survey.colors if survey else boxes.read_colors(file) if image.format in _BOXED else None)
        if survey is not None and not survey.has_end:
            warnings.warn(f"{path}: this PNG file has no end marker; its rows are all there", ImageWarning, 3)
        return image


def _note_colors(image: Image.Image, colors: bytes | CodePoints | None) -> None:
    """Note what Pillow does not: a profile, or code points, which a profile precedes in all files but PNG."""
    if isinstance(colors, bytes):
        image.info.setdefault("icc_profile", colors)
    elif colors is not None and (image.format == "PNG" or not image.info.get("icc_profile")):
        image.info[CODE_POINTS] = colors


def _note_levels(image: ImageFile.ImageFile) -> None:
    """Convert the transparent colour of a PNG file to 8 bits, as Pillow does only for the pixels; and note the step between
    grey levels under `GREY_STEP`."""
    key = image.info.get("transparency")
    coded = image.tile[0].args if image.tile else None
    coded = coded[0] if isinstance(coded, tuple) and coded else coded
    if coded in _GREY_STEPS:
        image.info[GREY_STEP] = _GREY_STEPS[coded]
    if isinstance(key, int) and coded in _GREY_STEPS:
        image.info["transparency"] = key * _GREY_STEPS[coded]
    elif isinstance(key, tuple) and coded == "RGB;16B":
        image.info["transparency"] = tuple(level >> 8 for level in key)


def _formats(path: Path, start: bytes) -> list[str]:
    """List the formats that Pillow may try. HEIC needs an optional library, which is loaded only for such files.

    Raises:
        ImageError: if that library is missing.
    """
    if start[4:8] != b"ftyp":
        return [*_FORMATS, "TGA"] if path.suffix.lower() == ".tga" else list(_FORMATS)  # TGA files have no signature
    if not is_heic(start):
        Image.init()
        return ["AVIF"] if "AVIF" in Image.OPEN else []  # Pillow may have been built without it
    if not register_heic():
        raise ImageError(f"{path}: to read pictures of type HEIC: pip install '.[heic]' in a checkout")
    return ["HEIF"]
