"""What is kept of a picture's EXIF data, and what never is."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tifffile
import torch
from conftest import picture
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from samples import make_video

from nst_adain.batch.folder import stylize_folder
from nst_adain.cli.main import main
from nst_adain.errors import UsageError
from nst_adain.images.io import load_image, save_image
from nst_adain.images.metadata import exif_bytes, keep_video_tags, read_tags
from nst_adain.images.opening import register_heic
from nst_adain.images.tiff import create_tiff
from nst_adain.stylizer import Stylizer
from nst_adain.video.stylize import stylize_video

EXIF, GPS = 0x8769, 0x8825
KEPT: dict[int, dict[int, Any]] = {
    0: {
        0x010E: "A bridge",
        0x010F: "Maker",
        0x0110: "Model 1",
        0x0132: "2024:05:06 07:08:09",
        0x013B: "Ann",
        0x8298: "(c) Ann",
    },
    EXIF: {0x9003: "2024:05:06 07:08:09", 0x9011: "+02:00", 0x9291: "123", 0xA432: (24.0, 70.0, 2.8, 2.8), 0xA434: "24-70 mm"},
    GPS: {0: b"\2\3\0\0", 1: "N", 2: (48.0, 51.0, 29.99), 3: "E", 4: (2.0, 17.0, 40.2), 5: b"\0", 6: 35.5, 29: "2024:05:06"},
}
NOT_KEPT: dict[int, dict[int, Any]] = {
    0: {0x0112: 6, 0x0131: "Program", 0x011A: 300.0, 0x0100: 999},
    EXIF: {0x927C: b"maker's note", 0xA002: 999, 0xA003: 777, 0x9286: b"comment", 0x829A: Fraction(1, 60)},
}
WRITABLE = [".jpg", ".png", ".webp", ".tif"]
READABLE = [*WRITABLE, ".avif", ".heic", ".HIF"]


def rational(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(rational, value))
    return IFDRational(Fraction(value).limit_denominator(1000)) if isinstance(value, (float, Fraction)) else value


def exif(order: str = "<", without: int | None = None) -> bytes:
    """Tags that are kept and ones that are not, with a thumbnail."""
    made = Image.Exif()
    made.endian = order
    for part in KEPT:
        if part != without:
            fields = {tag: rational(value) for tag, value in (NOT_KEPT.get(part, {}) | KEPT[part]).items()}
            (made if part == 0 else made.get_ifd(part)).update(fields)
    return made.tobytes()


def photograph(path: Path, data: bytes | None = None, **options: Any) -> Path:
    """A picture with EXIF data."""
    if path.suffix in (".heic", ".HIF"):
        register_heic()
        options["format"] = "HEIF"  # Pillow does not know every suffix
    if path.suffix == ".tif":
        options |= {"compression": "raw"}  # into others Pillow writes no EXIF
    picture(40, 30, 1).save(path, exif=exif() if data is None else data, **options)
    return path


def tags(path: Path) -> dict[int, dict[int, Any]]:
    """All that Pillow finds in a file, but for what a TIFF file itself needs."""
    with Image.open(path) as image:
        found = image.getexif()
        image.load()
        parts = {0: dict(found), EXIF: dict(found.get_ifd(EXIF)), GPS: dict(found.get_ifd(GPS))}
        assert not found.get_ifd(1)  # a thumbnail
    own = {
        EXIF,
        GPS,
        0x0100,
        0x0101,
        0x0102,
        0x0103,
        0x0106,
        0x0111,
        0x0115,
        0x0116,
        0x0117,
        0x011A,
        0x011B,
        0x011C,
        0x0153,
        0x0128,
    }
    own |= {0x0131} if parts[0].get(0x0131) == "tifffile.py" else set()
    parts[0] = {tag: value for tag, value in parts[0].items() if tag not in own}
    return {part: fields for part, fields in parts.items() if fields}


def same(found: dict[int, dict[int, Any]], expected: dict[int, dict[int, Any]]) -> bool:
    def plain(value: Any) -> Any:
        return (
            tuple(map(plain, value))
            if isinstance(value, tuple)
            else round(float(value), 3)
            if not isinstance(value, (str, bytes))
            else value
        )

    return {p: {t: plain(v) for t, v in f.items()} for p, f in found.items()} == {
        p: {t: plain(v) for t, v in f.items()} for p, f in expected.items()
    }


@pytest.mark.parametrize("source", READABLE)
@pytest.mark.parametrize("suffix", WRITABLE)
def test_date_camera_place_and_author_are_copied_and_nothing_else(tmp_path: Path, source: str, suffix: str) -> None:
    photo = photograph(tmp_path / f"in{source}")
    save_image(picture(20, 10), tmp_path / f"out{suffix}", metadata_of=photo)
    assert same(tags(tmp_path / f"out{suffix}"), KEPT)
    assert load_image(tmp_path / f"out{suffix}").size == (20, 10)  # not turned


@pytest.mark.parametrize("suffix", WRITABLE)
def test_nothing_is_copied_unless_it_is_asked_for(tmp_path: Path, suffix: str) -> None:
    save_image(load_image(photograph(tmp_path / "in.jpg")), tmp_path / f"out{suffix}")
    assert tags(tmp_path / f"out{suffix}") == {}


@pytest.mark.parametrize("suffix", WRITABLE)
def test_pixels_are_the_same_with_metadata(tmp_path: Path, suffix: str) -> None:
    photo = photograph(tmp_path / "in.jpg")
    for name, source in (("with", photo), ("without", None)):
        save_image(picture(20, 10), tmp_path / f"{name}{suffix}", metadata_of=source)
    one, other = (np.asarray(Image.open(tmp_path / f"{name}{suffix}")) for name in ("with", "without"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("big", [False, True])
def test_a_tiff_that_is_filled_in_tiles_has_them_too(tmp_path: Path, big: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if big:  # as beyond four gigabytes
        memmap = tifffile.memmap
        monkeypatch.setattr(tifffile, "memmap", lambda *args, **options: memmap(*args, bigtiff=True, **options))
    photo, output = photograph(tmp_path / "in.jpg"), tmp_path / "out.tif"
    with create_tiff(output, 9, 21, metadata_of=photo) as pixels:
        pixels[..., 0:9, 0:21] = torch.full((1, 3, 9, 21), 7)
    assert same(tags(output), KEPT)
    assert (np.asarray(Image.open(output)) == 7).all()
    assert tifffile.imread(output).shape == (9, 21, 3)
    assert same(tags(saved_again(output)), KEPT)


def saved_again(path: Path) -> Path:
    """From a TIFF of either kind to a JPEG."""
    save_image(picture(8, 8), path.with_name("again.jpg"), metadata_of=path)
    return path.with_name("again.jpg")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("without", [0, EXIF, GPS])
def test_either_byte_order_and_any_part(tmp_path: Path, order: str, without: int) -> None:
    photo = photograph(tmp_path / "in.jpg", exif(order, without))
    for suffix in WRITABLE:
        save_image(picture(20, 10), tmp_path / f"out{suffix}", metadata_of=photo)
        assert same(tags(tmp_path / f"out{suffix}"), {part: fields for part, fields in KEPT.items() if part != without})


def test_letters_of_any_alphabet_are_kept(tmp_path: Path) -> None:
    made = Image.Exif()
    made[0x013B] = "Ödön 王".encode()
    save_image(picture(), tmp_path / "out.jpg", metadata_of=photograph(tmp_path / "in.jpg", made.tobytes()))
    assert "Ödön 王".encode() in (tmp_path / "out.jpg").read_bytes()


def test_damaged_exif_is_ignored(tmp_path: Path) -> None:
    whole = exif()
    random = np.random.default_rng(0)
    for number in range(300):
        data = np.frombuffer(whole, np.uint8).copy()
        data[random.integers(6, len(data), 1 + number % 8)] = random.integers(0, 256, 1 + number % 8)
        cut = len(data) if number % 2 else int(random.integers(6, len(data)))
        photo = photograph(tmp_path / "in.jpg", data[:cut].tobytes())
        save_image(picture(8, 8), tmp_path / "out.jpg", metadata_of=photo)
        Image.open(tmp_path / "out.jpg").load()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"\xff\xd8\xff",
        b"II*\0\xff\xff\xff\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBP",
        b"II*\0\x08\0\0\0\xff\xff",
    ],
)
def test_files_without_metadata_give_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.heic").write_bytes(data)
    assert read_tags(tmp_path / "x.heic") == {}
    assert read_tags(tmp_path / "none") == {}
    assert exif_bytes({}) == b""


def test_directories_that_lead_back_and_huge_values_end(tmp_path: Path) -> None:
    made = Image.Exif()
    made[0x010E] = "x" * 59_000
    made[0x8298] = "y" * 5_000
    save_image(picture(), tmp_path / "out.jpg", metadata_of=photograph(tmp_path / "in.tif", made.tobytes()))
    assert set(tags(tmp_path / "out.jpg")[0]) == {0x010E}  # JPEG has no room for both
    head = b"II*\0\x08\0\0\0" + b"\1\0" + b"\x69\x87\x04\0\x01\0\0\0\x08\0\0\0" + b"\x08\0\0\0"
    (tmp_path / "loop.tif").write_bytes(head)
    assert read_tags(tmp_path / "loop.tif") == {}


def test_pictures_above_pillows_limit_keep_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = photograph(tmp_path / "in.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_tags(photo)


def test_stylize_keeps_metadata_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photograph(Path("a.jpg"))
    picture(40, 30, 2).save("s.png")
    assert main(["stylize", "a.jpg", "s.png", "-o", "without.jpg"]) == 0
    assert tags(Path("without.jpg")) == {}
    assert main(["stylize", "a.jpg", "s.png", "-o", "with.jpg", "--keep-metadata"]) == 0
    assert same(tags(Path("with.jpg")), KEPT)
    assert load_image("with.jpg").size == (30, 40)  # the photograph's, turned upright
    tifffile.imwrite("plain.tif", np.zeros((40, 30, 3), np.uint8), photometric="rgb", description="kept", metadata=None)
    assert main(["stylize", "plain.tif", "s.png", "-o", "tiles.tif", "--tile", "16", "--keep-metadata"]) == 0
    assert tags(Path("tiles.tif"))[0][0x010E] == "kept"


def test_a_folder_keeps_metadata_and_tells_with_what_it_was_made(slim: Stylizer, tmp_path: Path) -> None:
    for name in ("photos", "styles"):
        (tmp_path / name).mkdir()
        photograph(tmp_path / name / "a.jpg")
    folders = tmp_path / "photos", tmp_path / "styles", tmp_path / "out"
    stylize_folder(slim, *folders, suffix=".jpg", keep_metadata=True)
    assert same(tags(tmp_path / "out" / "a__a.jpg"), KEPT)
    with pytest.raises(UsageError, match="made with keep_metadata True, not False"):
        stylize_folder(slim, *folders, suffix=".jpg")
    told = tmp_path / "out" / "batch.json"
    told.write_text(told.read_text().replace('"keep_metadata": true,', ""))
    with pytest.raises(UsageError, match="made with keep_metadata False, not True"):  # as nothing was said of it once
        stylize_folder(slim, *folders, suffix=".jpg", keep_metadata=True)


VIDEO = {
    "title": "A walk", "artist": "Ann", "copyright": "(c) Ann", "location": "+48.8583+002.2944/", "make": "Maker",
    "model": "M 1", "creation_time": "2024-05-06T07:08:09.000000Z",
    "com.apple.quicktime.location.ISO6709": "+48.8583+002.2944/",
    "com.apple.quicktime.creationdate": "2024-05-06T09:08:09+0200", "com.apple.quicktime.make": "Apple",
}  # fmt: skip
NOT_OF_VIDEO = {"com.apple.quicktime.content.identifier": "1234", "rotate": "90", "comment": "mine"}


@pytest.mark.parametrize("source", [".mov", ".mp4", ".mkv"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_videos_keep_theirs(slim: Stylizer, tmp_path: Path, source: str, suffix: str) -> None:
    tagged, output = tmp_path / f"in{source}", tmp_path / f"out{suffix}"
    plain = make_video(tmp_path / "plain.mp4", frames=3, sound_blocks=0)
    options = {} if source == ".mkv" else {"movflags": "use_metadata_tags"}
    with av.open(str(plain)) as reader, av.open(str(tagged), "w", options=options) as writer:
        writer.metadata.update(VIDEO | NOT_OF_VIDEO)
        track = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.size:
                packet.stream = track
                writer.mux(packet)
    style = slim.encode_style(picture(32, 32))
    for keep in (False, True):
        stylize_video(slim, tagged, [style], output, keep_metadata=keep)
        with av.open(str(output)) as container:
            found = {name.lower(): value for name, value in container.metadata.items()}
        assert not found.keys() & NOT_OF_VIDEO.keys()
        kept = {name.lower(): value for name, value in VIDEO.items()}
        assert {name: value for name, value in found.items() if name in kept} == (kept if keep else {})


def test_the_container_counts_more_than_its_streams() -> None:
    assert keep_video_tags({"creation_time": "1", "handler_name": "x", "TITLE": "t"}, {"creation_time": "2"}) == {
        "creation_time": "2", "title": "t",
    }  # fmt: skip


def test_video_command_keeps_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(Path("plain.mp4"), frames=2, sound_blocks=0)
    picture().save("s.png")
    with av.open("plain.mp4") as reader, av.open("in.mkv", "w") as writer:
        writer.metadata["copyright"] = "(c) Ann"
        track = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.size:
                packet.stream = track
                writer.mux(packet)
    assert main(["video", "in.mkv", "s.png", "-o", "out.mp4", "--keep-metadata"]) == 0
    with av.open("out.mp4") as container:
        assert container.metadata["copyright"] == "(c) Ann"


@pytest.mark.parametrize("structure", ["ImageJ=1.11a\nimages=7", '<?xml version="1.0"?><OME/>', '{"shape": [2, 3]}'])
def test_what_a_microscope_says_of_a_files_pictures_is_no_description(tmp_path: Path, structure: str) -> None:
    tifffile.imwrite(
        tmp_path / "in.tif", np.zeros((9, 21, 3), np.uint8), description=structure, photometric="rgb", metadata=None
    )
    save_image(picture(21, 9), tmp_path / "out.tif", metadata_of=tmp_path / "in.tif")
    with Image.open(tmp_path / "out.tif") as image:
        assert 0x010E not in image.getexif()
