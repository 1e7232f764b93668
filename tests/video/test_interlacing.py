"""Interlaced frames become whole pictures, as many and at the same times, and others stay as they are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import picture

from nst_adain.stylizer import Stylizer
from nst_adain.video.frames import read_frames
from nst_adain.video.interlacing import deinterlaced
from nst_adain.video.stylize import stylize_video

WIDTH, HEIGHT, FRAMES, STEP = 96, 64, 6, 4
# Chroma would blur the difference; a pan over a smooth picture.
WIDE = np.asarray(picture(400, 300, 1).resize((WIDTH + 2 * STEP * FRAMES, HEIGHT)).convert("L").convert("RGB"))


def panned(time: int) -> np.ndarray:
    """What the camera sees at a time, counted in fields."""
    return np.ascontiguousarray(WIDE[:, time * STEP : time * STEP + WIDTH])


def record(path: Path, codec: str, layout: str, options: dict[str, str], fields: tuple[int, int] = (0, 1)) -> Path:
    """Record a pan; `fields`: at which of its two times each frame has its even rows, and its odd ones."""
    marked = av.filter.Graph()
    source = marked.add_buffer(width=WIDTH, height=HEIGHT, format=av.VideoFormat(layout), time_base=Fraction(1, 25))
    mode = {(0, 1): "tff", (1, 0): "bff", (0, 0): "prog"}[fields]
    marked.link_nodes(source, marked.add("setfield", mode), marked.add("buffersink")).configure()
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, layout
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = 1
        for index in range(FRAMES):
            both = panned(2 * index + fields[0])
            both[1::2] = panned(2 * index + fields[1])[1::2]
            frame = av.VideoFrame.from_ndarray(both, format="rgb24")
            marked.push(frame.reformat(format=layout, dst_colorspace="ITU709"))
            field = marked.pull()
            field.pts = index
            container.mux(stream.encode(field))
        container.mux(stream.encode())
    return path


def combing(frame: Any) -> float:
    """How much rows differ from those two away less than from those beside them."""
    rows = np.asarray(frame, float)[4:-4, 4:-4, 1]
    return float(np.abs(rows[2:] - rows[1:-1]).mean() / np.abs(rows[2:] - rows[:-2]).mean())


KINDS = [
    ("in.mp4", "libx264", "yuv420p", {"x264-params": "tff=1", "crf": "5"}, (0, 1)),
    ("in.mp4", "libx264", "yuv420p", {"x264-params": "bff=1", "crf": "5"}, (1, 0)),
    ("in.mpg", "mpeg2video", "yuv420p", {"flags": "+ildct+ilme+qscale", "global_quality": "236"}, (0, 1)),
    ("in.mov", "prores_ks", "yuv422p10le", {"flags": "+ildct"}, (0, 1)),
]


@pytest.mark.parametrize(("name", "codec", "layout", "options", "fields"), KINDS)
def test_interlaced_frames_become_whole(
    slim: Stylizer, tmp_path: Path, name: str, codec: str, layout: str, options: dict[str, str], fields: tuple[int, int]
) -> None:
    source = record(tmp_path / name, codec, layout, options, fields)
    with av.open(str(source)) as container:
        plain = list(container.decode(video=0))
    assert all(frame.interlaced_frame for frame in plain)
    assert min(combing(frame.to_ndarray(format="rgb24")) for frame in plain) > 1  # else this shows nothing
    frames = list(deinterlaced(plain))
    tags = [(f.pts, f.time_base, f.duration, f.colorspace, f.color_primaries, f.color_range) for f in plain]
    assert [(f.pts, f.time_base, f.duration, f.colorspace, f.color_primaries, f.color_range) for f in frames] == tags
    for index, seen in enumerate(read_frames(source)):
        assert combing(seen) < 0.6
        assert np.abs(np.asarray(seen, float) - panned(2 * index))[4:-4, 4:-4].mean() < 2  # at the time of the first field
    assert stylize_video(slim, source, [slim.encode_style(picture(64, 64, 5))], tmp_path / "out.mp4") == FRAMES


def test_other_frames_stay(tmp_path: Path) -> None:
    source = record(tmp_path / "in.mp4", "libx264", "yuv420p", {"crf": "5"}, (0, 0))
    with av.open(str(source)) as container:
        plain = list(container.decode(video=0))
    assert all(a is b for a, b in zip(deinterlaced(plain), plain, strict=True))


def test_the_kind_of_frames_may_change(tmp_path: Path) -> None:
    """Broadcasts switch between interlaced and other programmes, of any size; frames too small for the filter pass."""
    with av.open(str(record(tmp_path / "a.mp4", *KINDS[0][1:]))) as container:
        frames = list(container.decode(video=0))
    with av.open(str(record(tmp_path / "b.mov", *KINDS[3][1:]))) as container:
        others = list(container.decode(video=0))
    with av.open(str(record(tmp_path / "c.mp4", "libx264", "yuv420p", {}, (0, 0)))) as container:
        whole = list(container.decode(video=0))
    mixed = [*whole, *frames, *whole, *others, *frames]
    found = list(deinterlaced(mixed))
    assert [(f.pts, f.format.name) for f in found] == [(f.pts, f.format.name) for f in mixed]
    assert not any(f.interlaced_frame for f in found)
    progressive = found[2 * FRAMES : 3 * FRAMES]
    assert all(np.array_equal(a.to_ndarray(), b.to_ndarray()) for a, b in zip(progressive, whole, strict=True))
