"""High dynamic range and wide colours, as phones record them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from nst_adain.video.frames import read_frames
from nst_adain.video.hdr import BT2020, HLG, PQ, to_bt709


@pytest.mark.parametrize(("transfer", "coded", "shown"), [
    # Code values of 50, 203 (white paper) and 1000 cd/m2. White is 0.96 of BT.709's, which leaves room for what is brighter.
    (PQ, 0.4400, 142), (PQ, 0.5807, 245), (PQ, 0.7518, 255), (PQ, 0.0, 0), (HLG, 0.75, 245), (HLG, 0.0, 0), (HLG, 1.0, 255),
])  # fmt: skip
def test_high_dynamic_range_is_converted(tmp_path: Path, transfer: int, coded: float, shown: int) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv444p10le"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = BT2020, BT2020, transfer
        grey = np.full((32, 32, 3), round(coded * 65535), np.uint16)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb48le").reformat(format="yuv444p10le")))
        container.mux(stream.encode())
    (frame,) = read_frames(tmp_path / "in.mkv")
    assert np.abs(np.asarray(frame, int) - shown).max() <= 2


@pytest.mark.parametrize("told", [True, False])
def test_saturated_colours_of_high_dynamic_range(tmp_path: Path, told: bool) -> None:
    """BT.709's red, a fifth as bright as white, in BT.2020's primaries (ITU-R BT.2087) and PQ; its matrix tagged or not."""
    light = 0.2 * np.array([0.6274, 0.0691, 0.0164]) * 203 / 10000
    power = light ** (1305 / 8192)
    coded = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** (2523 / 32)
    with av.open(str(tmp_path / "in.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv444p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc = BT2020, PQ
        context.colorspace = BT2020 if told else 2
        red = np.full((32, 32, 3), (coded * 65535).round(), np.uint16)
        frame = av.VideoFrame.from_ndarray(red, format="rgb48le").reformat(format="yuv444p10le", dst_colorspace=BT2020)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (shown,) = read_frames(tmp_path / "in.mkv")
    assert np.abs(np.asarray(shown, int)[16, 16] - [round(0.2 ** (1 / 2.4) * 255), 0, 0]).max() <= 12  # dark is steep


def test_wide_colours_of_standard_range() -> None:
    light = np.array([[[0.6274, 0.0691, 0.0164], [0.5**2.4] * 3]])  # BT.709's red, and a grey
    coded = (light ** (1 / 2.4) * 65535).round().astype(np.uint16)
    converted = to_bt709(coded, transfer=14).astype(int)
    assert np.abs(converted[0, 0] - [255, 0, 0]).max() <= 8
    assert np.abs(converted[0, 1] - 128).max() <= 1
    assert np.abs(to_bt709(coded, transfer=14, wide=False)[0, 1].astype(int) - 128).max() <= 1
