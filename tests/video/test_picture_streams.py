"""The decoder of a picture stream: that of FFmpeg, but for transparent VP8 and VP9."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from conftest import picture
from PIL import Image

from nst_adain.video.frames import read_frames
from nst_adain.video.picture_streams import decoder


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
@pytest.mark.parametrize("layout", ["yuva420p", "yuv420p"])
def test_transparency_and_tags_are_read(tmp_path: Path, codec: str, layout: str) -> None:
    image = picture(32, 32).convert("RGBA")
    image.putalpha(Image.fromarray(np.repeat(np.uint8([[0, 255]]), 16, 1).repeat(32, 0)))
    with av.open(str(tmp_path / "in.webm"), "w") as container:
        stream = container.add_stream(codec, rate=10, options={"auto-alt-ref": "0", "crf": "5", "b": "1M"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, layout
        stream.codec_context.color_primaries = 12
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgba")
            container.mux(stream.encode(frame.reformat(format=layout)))
        container.mux(stream.encode())
    frames = list(read_frames(tmp_path / "in.webm"))
    assert [frame.mode for frame in frames] == ["RGBA" if layout == "yuva420p" else "RGB"] * 3
    if layout == "yuva420p":
        opacity = np.asarray(frames[0])[..., 3]
        assert opacity[:, :12].max() < 20
        assert opacity[:, 20:].min() > 235
    with av.open(str(tmp_path / "in.webm")) as container:
        decode = decoder(container.streams.video[0])
        decoded = [frame for packet in container.demux(video=0) for frame in decode(packet)]
    assert [round((frame.time or 0) * 10) for frame in decoded] == [0, 1, 2]
    assert {frame.color_primaries for frame in decoded} == {12}
