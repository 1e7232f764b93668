"""Colours as they are tagged: primaries and transfer functions of cameras, phones and old television, and transparency."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from conftest import picture
from PIL import Image

from nst_adain.images.colorimetry import BT709, BT2020, HLG, PQ, UNSPECIFIED, CodePoints, to_display
from nst_adain.stylizer import Stylizer
from nst_adain.video.frames import read_frames
from nst_adain.video.stylize import stylize_video


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
    converted = to_display(coded, CodePoints(BT2020, 14), BT709).astype(int)
    assert np.abs(converted[0, 0] - [255, 0, 0]).max() <= 8
    assert np.abs(converted[0, 1] - 128).max() <= 1
    assert np.abs(to_display(coded, CodePoints(BT709, 14), BT709)[0, 1].astype(int) - 128).max() <= 1


def tagged(path: Path, pixels: np.ndarray, primaries: int, transfer: int, matrix: int = 1) -> np.ndarray:
    """Write pixels as a video with these tags, and return the frame that is read."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "0"})
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv444p"
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = matrix, primaries, transfer
        space = {1: "ITU709", 2: "ITU601"}.get(matrix, matrix)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv444p", dst_colorspace=space)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (frame,) = read_frames(path)
    return np.asarray(frame, int)


@pytest.mark.parametrize(("primaries", "transfer"), [
    (1, 1), (4, 4), (5, 5), (5, 6), (6, 6), (7, 7), (8, 1), (9, 14), (11, 17), (12, 1), (12, 13),
    (1, 4), (1, 5), (1, 8), (1, 9), (1, 10), (1, 13), (2, 2), (2, 8), (0, 0), (200, 1),
])  # fmt: skip
def test_primaries_and_transfer_functions_are_those_of_the_tags(tmp_path: Path, primaries: int, transfer: int) -> None:
    pixels = np.asarray(picture(32, 32, 1))
    colors = CodePoints(primaries, transfer)
    expected = to_display(pixels, colors, BT709).astype(int) if colors.are_known else pixels.astype(int)
    found = tagged(tmp_path / "in.mkv", pixels, primaries, transfer)
    assert np.abs(found - expected).mean() < 1.5
    same = primaries in (0, 1, 2, 200) and transfer in (0, 1, 2, 13)
    assert (np.abs(expected - pixels).mean() < 0.5) == same  # else this shows nothing


def test_a_red_of_p3_is_brighter_than_that_of_bt709(tmp_path: Path) -> None:
    """BT.709's red in the primaries of P3, by SMPTE EG 432-1."""
    red = (np.array([0.8225, 0.0332, 0.0171]) ** (1 / 2.4) * 255).round().astype(np.uint8)
    found = tagged(tmp_path / "in.mkv", np.full((32, 32, 3), red), 12, 1)
    assert np.abs(found[16, 16] - [255, 0, 0]).max() <= 25  # 8 bits of the dark channels


def test_the_matrix_of_bt2020_stands_for_its_primaries(tmp_path: Path) -> None:
    pixels = np.asarray(picture(32, 32, 1))
    by_matrix, by_both = (tagged(tmp_path / "in.mkv", pixels, told, 14, 9) for told in (UNSPECIFIED, BT2020))
    assert np.array_equal(by_matrix, by_both)


def transparent(path: Path, codec: str, layout: str, hidden: str, primaries: int = BT709) -> Path:
    """A clip that shows its right half; the left one holds a colour that nobody sees."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, layout
        stream.codec_context.color_primaries = primaries
        for index in range(2):
            image = picture(64, 32, index).convert("RGBA")
            image.paste(Image.new("RGBA", (32, 32), hidden))
            image.putalpha(Image.fromarray(np.repeat(np.uint8([[0, 255]]), 32, 1).repeat(32, 0)))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(image), format="rgba").reformat(format=layout)))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("name", "codec", "layout", "primaries"), [
    ("in.mov", "qtrle", "argb", 1), ("in.mov", "png", "rgba", 1), ("in.mkv", "ffv1", "yuva420p", 1),
    ("in.mov", "prores_ks", "yuva444p10le", 1), ("in.mkv", "ffv1", "yuva444p", 12), ("in.webm", "libvpx-vp9", "yuva420p", 1),
])  # fmt: skip
def test_hidden_colours_do_not_count_and_become_white(
    slim: Stylizer, tmp_path: Path, name: str, codec: str, layout: str, primaries: int
) -> None:
    style = slim.encode_style(picture(64, 64, 5))
    results = []
    for hidden in ("black", "red"):
        source = transparent(tmp_path / name, codec, layout, hidden, primaries)
        first, *_ = read_frames(source)
        assert first.mode == "RGBA"
        stylize_video(slim, source, [style], tmp_path / "out.mp4", crf=0)
        results.append([np.asarray(frame, float) for frame in read_frames(tmp_path / "out.mp4")])
    assert len(results[0]) == 2
    assert np.abs(results[0][1] - results[1][1])[:, 34:].mean() < 1.5  # not between the halves, whose colour has fewer pixels
    assert results[0][0][:, :28].min() > 245
    expected = np.asarray(slim(first, style), float)
    assert np.abs(results[1][0] - expected[..., :3])[:, 34:].mean() < 6  # colour is stored at half the resolution


def test_a_palette_may_be_transparent(tmp_path: Path) -> None:
    image = Image.new("P", (32, 32), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 16, 32))
    for options, mode in (({}, "RGB"), ({"transparency": 0}, "RGBA")):
        image.save(tmp_path / "in.gif", save_all=True, append_images=[image], **options)
        assert {frame.mode for frame in read_frames(tmp_path / "in.gif")} == {mode}
