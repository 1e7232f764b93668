"""Frames as they are read from videos and written to them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import picture
from PIL import Image
from samples import make_video, read_video

from nst_adain.errors import ImageError
from nst_adain.functional import ChannelStats
from nst_adain.stylizer import Stylizer
from nst_adain.video.frames import read_frames, save_video
from nst_adain.video.stylize import stylize_video


@pytest.fixture
def style(slim: Stylizer) -> ChannelStats:
    return slim.encode_style(picture(64, 64, 5))


def test_frames_that_cannot_be_encoded_are_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="size: expected frames that libx264 can encode, got 20000 x 2 pixels"):
        save_video([Image.new("RGB", (20000, 2))], tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("matrix", "shown"), [
    ((1, 0, 0, 1), lambda x: x), ((-1, 0, 0, 1), lambda x: x[:, ::-1]), ((1, 0, 0, -1), lambda x: x[::-1]),
    ((-1, 0, 0, -1), lambda x: x[::-1, ::-1]), ((0, 1, -1, 0), lambda x: np.rot90(x, 3)), ((0, -1, 1, 0), np.rot90),
    ((0, 1, 1, 0), lambda x: x.transpose(1, 0, 2)), ((0, -1, -1, 0), lambda x: np.rot90(x, 2).transpose(1, 0, 2)),
])  # fmt: skip
def test_frames_are_turned_and_mirrored(tmp_path: Path, matrix: tuple[int, ...], shown: Callable[[Any], Any]) -> None:
    source = make_video(tmp_path / "in.mp4", frames=1, sound_blocks=0)
    (stored,) = read_frames(source)
    box = bytearray(source.read_bytes())
    at = box.index(b"tkhd") + 44  # of a matrix in fixed point, to which QuickTime's (x, y, 1) is multiplied from the left
    a, b, c, d = (number << 16 for number in matrix)
    box[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    source.write_bytes(box)
    (frame,) = read_frames(source)
    np.testing.assert_array_equal(np.asarray(frame), shown(np.asarray(stored)))


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_pictures_as_a_video(tmp_path: Path, suffix: str) -> None:
    frames = [picture(192, 128, seed) for seed in range(5)]  # large: colour is stored at half the resolution
    save_video(frames, tmp_path / f"a{suffix}", fps=12.5, crf=0)
    times, pixels, _ = read_video(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(times, np.arange(5) / 12.5, atol=2e-3)
    assert np.abs(np.asarray(pixels[3], float) - np.asarray(frames[3], float)).mean() < 3
    with pytest.raises(ValueError, match="frames: expected at least one picture, got none"):
        save_video([], tmp_path / f"b{suffix}")
    with pytest.raises(ValueError, match="fps: expected 0.001 to 1000, got 0"):
        save_video(frames, tmp_path / f"b{suffix}", fps=0)
    with pytest.raises(ValueError, match="fps: expected 0.001 to 1000, got 10000000000"):
        save_video(frames, tmp_path / f"b{suffix}", fps=1e10)
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


def test_frames_of_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ImageError, match=r"text\.mp4: expected a video that can be read"):
        list(read_frames(tmp_path / "text.mp4"))
    with pytest.raises(FileNotFoundError, match=r"none\.mp4: expected a video, found no such file"):
        list(read_frames(tmp_path / "none.mp4"))


@pytest.mark.parametrize("size", [None, 32])
def test_the_resolution_may_change_within_a_stream(
    slim: Stylizer, style: ChannelStats, tmp_path: Path, size: int | None
) -> None:
    parts = []
    for width, height in ((64, 48), (64, 96)):
        with av.open(str(tmp_path / "part.h264"), "w", format="h264") as container:
            video = container.add_stream("libx264", rate=10)
            video.width, video.height, video.pix_fmt = width, height, "yuv420p"
            for seed in range(3):
                container.mux(video.encode(av.VideoFrame.from_image(picture(width, height, seed))))
            container.mux(video.encode())
        parts.append((tmp_path / "part.h264").read_bytes())
    (tmp_path / "in.h264").write_bytes(b"".join(parts))
    assert stylize_video(slim, tmp_path / "in.h264", [style], tmp_path / "out.mp4", size=size) == 6
    frames = read_video(tmp_path / "out.mp4")[1]
    assert len(frames) == 6
    height, width = frames[0].shape[:2]
    assert (width, height) == ((64, 48) if size is None else (42, 32))
    if size is None:  # 64 x 96 in 64 x 48: 32 x 48, between black
        assert max(frames[4][:, :12].max(), frames[4][:, -12:].max()) < 40
        assert frames[4][:, 20:-20].mean() > 60
