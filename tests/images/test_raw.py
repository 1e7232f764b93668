"""Camera raw files are refused, whatever their name, although their thumbnails could be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from conftest import picture

from nst_adain.cli.main import main
from nst_adain.errors import ImageError
from nst_adain.images.io import load_image
from nst_adain.images.tiff import map_tiff

CFA, LINEAR_RAW = 32803, 34892


def thumbnail(path: Path, below: int | None = None, **options: object) -> None:
    """A TIFF file of a small picture and, in a directory below it, larger data of the meaning `below`."""
    with tifffile.TiffWriter(path) as writer:
        options |= {"photometric": "rgb", "metadata": None, "subfiletype": 1, "subifds": int(below is not None)}
        writer.write(np.asarray(picture(40, 30)), **options)
        if below == CFA:
            pattern = [(33421, "H", 2, (2, 2)), (33422, "B", 4, bytes((0, 1, 1, 2)))]
            writer.write(np.zeros((300, 400), np.uint16), photometric=CFA, metadata=None, extratags=pattern)
        elif below is not None:
            data = np.zeros((300, 400, 3), np.uint16 if below == LINEAR_RAW else np.uint8)
            writer.write(data, photometric=below, metadata=None, planarconfig="contig")


def refused(path: Path) -> None:
    assert map_tiff(path) is None
    with pytest.raises(ImageError, match=r"expected a picture, found camera raw data, with a thumbnail; develop it first"):
        load_image(path)


@pytest.mark.parametrize("name", ["x.nef", "x.arw", "x.srw", "x.dng", "x.tif", "x.jpg"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_sensors_data_below_a_thumbnail(name: str, compression: str | None, tmp_path: Path) -> None:
    for below in (CFA, LINEAR_RAW):
        thumbnail(tmp_path / name, below, compression=compression)
        refused(tmp_path / name)


def test_dng_by_its_version(tmp_path: Path) -> None:
    thumbnail(tmp_path / "x.dng", extratags=[(50706, "B", 4, bytes((1, 4, 0, 0)))])
    refused(tmp_path / "x.dng")


@pytest.mark.parametrize("start", [b"\x10\0\0\0CR\2\0", b"\x10\0\0\0IIII"])
def test_raw_files_that_their_first_bytes_tell(start: bytes, tmp_path: Path) -> None:
    """Canon's CR2, and Phase One: the directories are those of any TIFF file."""
    thumbnail(tmp_path / "plain.tif")
    data = (tmp_path / "plain.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "plain.tif") as file:
        page = file.pages.first
        pixels, offset = data[page.dataoffsets[0] :][: 40 * 30 * 3], page.tags["StripOffsets"].valueoffset
        bits = page.tags["BitsPerSample"]
    assert load_image(tmp_path / "plain.tif").size == (40, 30)
    # Move the directory from byte 8 to 16, and what it points to behind it.
    moved = bytearray(data[:4] + start.ljust(12, b"\0") + data[8 : page.offset + 2000])
    for place, value in ((offset + 8, len(moved) + 6), (bits.offset + 8 + 8, len(moved))):
        moved[place : place + 4] = value.to_bytes(4, "little")
    (tmp_path / "x.cr2").write_bytes(bytes(moved) + b"\x08\0" * 3 + pixels)
    refused(tmp_path / "x.cr2")
    unmarked = bytearray((tmp_path / "x.cr2").read_bytes())
    unmarked[8:16] = bytes(8)
    (tmp_path / "x.cr2").write_bytes(unmarked)
    assert load_image(tmp_path / "x.cr2").tobytes() == picture(40, 30).tobytes()


@pytest.mark.parametrize(
    "start", [b"FUJIFILMCCD-RAW 0201", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM", b"\0\0\0\x18ftypcrx "]
)
def test_raw_files_of_other_formats(start: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.raw").write_bytes(start + bytes(1000))
    refused(tmp_path / "x.raw")


def test_pictures_with_smaller_ones_below_them_are_pictures(tmp_path: Path) -> None:
    thumbnail(tmp_path / "x.tif", below=2)
    assert load_image(tmp_path / "x.tif").size == (40, 30)
    assert map_tiff(tmp_path / "x.tif") is not None
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        place = file.pages.first.tags[330].valueoffset
    damaged = bytearray((tmp_path / "x.tif").read_bytes())
    damaged[place : place + 4] = b"\xff\xff\xff\x7f"
    (tmp_path / "x.tif").write_bytes(damaged)
    assert load_image(tmp_path / "x.tif").tobytes() == picture(40, 30).tobytes()


@pytest.mark.parametrize("options", [[], ["--size", "16"]])
def test_the_command_makes_nothing_of_one(options: list[str], tmp_path: Path, painting: Path, capsys: object) -> None:
    thumbnail(tmp_path / "x.nef", CFA)
    for out in ("out.png", "out.tif"):
        assert main(["stylize", str(tmp_path / "x.nef"), str(painting), "-o", str(tmp_path / out), *options]) == 1
        assert not (tmp_path / out).exists()
