"""Videos that are cut short are found by their containers' own lengths."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from conftest import picture
from samples import make_video

from nst_adain.video.frames import save_video
from nst_adain.video.truncation import describe_cut


def video(path: Path) -> bytes:
    """A whole video; an MP4 with its index at the front, so that a part of it can be read."""
    if path.suffix == ".webm":
        save_video([picture(48, 32, seed) for seed in range(12)], path)
    elif path.suffix == ".mp4":
        source = make_video(path.with_name("index_last.mp4"))
        with av.open(str(source)) as reader, av.open(str(path), "w", options={"movflags": "faststart"}) as writer:
            tracks = {stream: writer.add_stream_from_template(stream) for stream in reader.streams}
            for packet in reader.demux():
                if packet.size:
                    packet.stream = tracks[packet.stream]
                    writer.mux(packet)
    else:
        make_video(path)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".avi", ".mp4"])
def test_what_is_missing_is_told_of_a_cut_anywhere(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"in{suffix}"
    whole = video(path)
    assert describe_cut(path) is None
    for part in (0.6, 0.9, 0.99):
        path.write_bytes(whole[: int(len(whole) * part)])
        said = describe_cut(path)
        assert said is not None
        assert said.startswith(f"{path}: is cut short: expected {len(whole) - 8 * (suffix == '.avi'):,} bytes")
        assert f"found {path.stat().st_size:,};" in said


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".avi", ".mp4", ".mov", ".ts"])
def test_nothing_is_said_of_what_is_whole_nor_of_more_behind_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"in{suffix}"
    whole = video(path)
    for more in (b"", b"\0" * 100, b"\xff" * 100, b"text of a camera"):
        path.write_bytes(whole + more)
        assert describe_cut(path) is None


def test_a_stream_of_matroska_says_no_length(tmp_path: Path) -> None:
    path = tmp_path / "in.mkv"
    whole = video(path)
    at = whole.index(b"\x18\x53\x80\x67") + 4
    path.write_bytes(whole[:at] + b"\x01" + b"\xff" * 7 + whole[at + 8 : 2000])
    assert describe_cut(path) is None


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x1a\x45\xdf\xa3", b"\x1a\x45\xdf\xa3\0" * 4, b"\x1a\x45\xdf\xa3\x01" + b"\xff" * 20, b"RIFF",
        b"RIFF\0\0\0\0AVI ", b"text",
        b"\0\0\0\x08ftyp" * 9, b"\0\0\0\x01ftyp" + b"\xff" * 8, b"\0\0\0\0mdat1234", b"\0\0\0\x03mdat1234", b"\xff" * 64,
    ],
)  # fmt: skip
def test_of_what_is_no_video_nothing_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    assert describe_cut(tmp_path / "x") is None
