"""Videos: times, sound, colours, turned and cut ones, and mixtures that change over time."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from conftest import picture, stray
from PIL import Image
from samples import RATE, make_video, read_video

from nst_adain.cli.main import main
from nst_adain.controls import Controls, Detail
from nst_adain.errors import ImageError, UsageError
from nst_adain.functional import ChannelStats
from nst_adain.stylizer import Stylizer
from nst_adain.video.frames import read_frames, save_video
from nst_adain.video.stylize import stylize_video


@pytest.fixture
def style(slim: Stylizer) -> ChannelStats:
    return slim.encode_style(picture(64, 64, 5))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_times_sound_and_size_are_kept(slim: Stylizer, style: ChannelStats, tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / f"in{suffix}")
    assert stylize_video(slim, source, [style], tmp_path / f"out{suffix}") == 12
    before, after = read_video(source), read_video(tmp_path / f"out{suffix}")
    np.testing.assert_allclose(np.subtract(after[0], after[0][0]), np.subtract(before[0], before[0][0]), atol=1e-3)
    assert after[1][0].shape == before[1][0].shape
    assert after[2] == before[2]
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.video[0].average_rate == pytest.approx(float(RATE), rel=1e-3)


def test_every_sound_track_is_copied(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    single, source = make_video(tmp_path / "in.mkv", frames=4), tmp_path / "two.mkv"
    with av.open(str(single)) as first, av.open(str(single)) as second, av.open(str(source), "w") as writer:
        inputs = [first.streams.video[0], first.streams.audio[0], second.streams.audio[0]]
        outputs = {stream: writer.add_stream_from_template(stream) for stream in inputs}
        outputs[inputs[2]].metadata["language"] = "ger"
        for packet in itertools.chain(first.demux(inputs[:2]), second.demux(inputs[2])):
            if packet.size:
                packet.stream = outputs[packet.stream]
                writer.mux(packet)
    stylize_video(slim, source, [style], tmp_path / "out.mkv")
    sound = read_video(single)[2]
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [stream.metadata.get("language") for stream in container.streams.audio] == [None, "ger"]
        tracks = {stream.index: [] for stream in container.streams.audio}
        for packet in container.demux(container.streams.audio):
            tracks[packet.stream.index] += [bytes(packet)] if packet.size else []
    assert list(tracks.values()) == [sound, sound]


def test_colours_are_those_that_the_file_says(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    """BT.709 and BT.601 differ by up to 20 of 255 in a saturated colour."""
    colour = np.full((720, 64, 3), (200, 60, 30), np.uint8)
    for space, code in (("ITU709", 1), ("ITU601", 5), ("ITU709", 2)):  # the last one does not say
        with av.open(str(tmp_path / "in.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "0"})
            stream.width, stream.height, stream.pix_fmt = 64, 720, "yuv444p"
            stream.codec_context.colorspace = code
            frame = av.VideoFrame.from_ndarray(colour, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv444p", dst_colorspace=space)))
            container.mux(stream.encode())
        (seen,) = read_frames(tmp_path / "in.mp4")
        assert np.abs(np.asarray(seen, int) - colour).max() <= 2
    stylize_video(slim, tmp_path / "in.mp4", [style], tmp_path / "out.mp4", crf=0)
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
    (shown,) = read_frames(tmp_path / "out.mp4")
    assert np.abs(np.asarray(shown, float) - np.asarray(slim(seen, style), float)).mean() < 2


def test_pixels_become_square(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 36, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture(48, 36)), format="rgb24")))
        container.mux(stream.encode())
    stylize_video(slim, source, [style], tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (64, 36)
        assert stream.sample_aspect_ratio in (None, 1)


def test_the_cover_of_a_song_is_no_video(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    song = tmp_path / "song.m4a"
    with av.open(str(song), "w", format="mp4") as container:
        cover = container.add_stream("mjpeg")
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        sound = container.add_stream("aac", rate=44100, layout="mono")
        container.mux(cover.encode(av.VideoFrame.from_ndarray(np.asarray(picture(32, 32, 1)), format="rgb24")))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 44100
        container.mux([*cover.encode(), *sound.encode(silence), *sound.encode()])
    with pytest.raises(ImageError, match=r"song\.m4a: expected a video, found no more than a cover picture"):
        stylize_video(slim, song, [style], tmp_path / "out.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["song.m4a"]


def test_variable_frame_rate_is_kept(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    times = [0, 40, 90, 100, 300, 310, 400, 450, 470, 600, 700, 1000]
    source = make_video(tmp_path / "in.mkv", times=times)
    stylize_video(slim, source, [style], tmp_path / "out.mkv")
    np.testing.assert_allclose(read_video(tmp_path / "out.mkv")[0], np.array(times) / 1000, atol=1e-3)


def test_first_frame_is_the_picture_stylised(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", size=(49, 33))  # odd: colour is stored at full resolution
    stylize_video(slim, source, [style], tmp_path / "out.mp4", crf=0, controls={"alpha": 0.6})
    first = Image.fromarray(read_video(source)[1][0])
    expected = np.asarray(slim(first, style, alpha=0.6), dtype=float)
    assert np.abs(read_video(tmp_path / "out.mp4")[1][0] - expected).mean() < 2


@pytest.mark.parametrize("detail", ["strokes", "photo"])
def test_frames_have_the_look_of_a_picture(slim: Stylizer, style: ChannelStats, tmp_path: Path, detail: Detail) -> None:
    controls: Controls = {"look_size": 16, "detail": detail}
    source = make_video(tmp_path / "in.mkv", frames=2)
    stylize_video(slim, source, [style], tmp_path / "out.mkv", steadiness=0, crf=0, controls=controls)
    first, made = (read_video(path)[1][0] for path in (source, tmp_path / "out.mkv"))
    expected = np.asarray(slim(Image.fromarray(first), style, **controls), dtype=float)
    otherwise = np.asarray(slim(Image.fromarray(first), style), dtype=float)
    assert np.abs(made - expected).mean() < 5
    assert np.abs(made - otherwise).mean() > 2 * np.abs(made - expected).mean()


def test_odd_sizes_and_scaling(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", size=(49, 33), frames=3)
    stylize_video(slim, source, [style], tmp_path / "odd.mkv")
    assert read_video(tmp_path / "odd.mkv")[1][0].shape == (33, 49, 3)
    stylize_video(slim, source, [style], tmp_path / "small.mkv", size=16)
    assert read_video(tmp_path / "small.mkv")[1][0].shape == (16, 24, 3)
    stylize_video(slim, source, [style], tmp_path / "even.mkv", size=25)
    assert read_video(tmp_path / "even.mkv")[1][0].shape == (24, 38, 3)  # what every player plays


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_video_without_sound(slim: Stylizer, style: ChannelStats, tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / "in.mp4", frames=4, sound_blocks=0)
    stylize_video(slim, source, [style], tmp_path / f"out{suffix}")
    times, frames, sound = read_video(tmp_path / f"out{suffix}")
    assert (len(times), len(frames), sound) == (4, 4, [])


def test_frames_without_times_follow_one_another(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=5, sound_blocks=0)
    with av.open(str(source)) as reader, av.open(str(tmp_path / "raw.h264"), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.size:
                packet.stream = stream
                writer.mux(packet)
    stylize_video(slim, tmp_path / "raw.h264", [style], tmp_path / "out.mp4")
    times = read_video(tmp_path / "out.mp4")[0]
    assert len(times) == 5
    assert min(np.diff(times)) > 0.01


def test_times_that_go_back_are_mended(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.ts", frames=8)
    (tmp_path / "twice.ts").write_bytes(source.read_bytes() * 2)
    with av.open(str(tmp_path / "b.avi"), "w") as container:  # which has no times of display
        stream = container.add_stream("libx264", rate=25, options={"bf": "2", "b_strategy": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for i in range(16):
            pixels = np.asarray(picture(64, 32, 1))[:, i : i + 32]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(stream.encode())
    for name, rate in (("twice.ts", RATE), ("b.avi", Fraction(25))):
        with av.open(str(tmp_path / name)) as container:
            said = [frame.pts for frame in container.decode(video=0)]
        assert min(np.diff(said)) < 0  # else this shows nothing
        for suffix in (".mp4", ".mkv"):
            stylize_video(slim, tmp_path / name, [style], tmp_path / f"out{suffix}")
            times, _, sound = read_video(tmp_path / f"out{suffix}")
            assert len(times) == len(said) == 16
            assert min(np.diff(times)) > 0
            # Of the first frames nobody can tell that they are wrong.
            np.testing.assert_allclose(np.diff(times)[3:], float(1 / rate), atol=0.005)
            assert len(sound) == len(read_video(tmp_path / name)[2])


def test_names_with_a_colon_are_no_protocols(
    slim: Stylizer, style: ChannelStats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = make_video(tmp_path / "2024-01-01T12:30:45.mp4", frames=2)
    Path("a:b").mkdir()
    stylize_video(slim, source.name, [style], "a:b/out.mp4")
    assert len(list(read_frames("a:b/out.mp4"))) == 2


def test_masks_cannot_be_smoothed(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=2)
    with pytest.raises(ValueError, match="controls: expected alpha, .*, got masks"):
        stylize_video(slim, source, [style], tmp_path / "out.mp4", controls={"masks": [np.ones((2, 2))]})


def test_frames_keep_to_the_limit_of_pixels(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", frames=2)
    with pytest.raises(ImageError, match=r"in\.mkv: 48 x 32 is 1,536 pixels, more than the limit of 1,000"):
        stylize_video(slim, source, [style], tmp_path / "out.mp4", max_pixels=1000)
    with pytest.raises(ImageError, match=r"^size: 1000 makes 1,500,000 pixels, more than the limit of 2,000"):
        stylize_video(slim, source, [style], tmp_path / "out.mp4", size=1000, max_pixels=2000)
    assert not (tmp_path / "out.mp4").exists()


# Sound that is longer than the pictures changes nothing, nor that the pictures begin later, where the file tells no length.
@pytest.mark.parametrize(("name", "start"), [("in.mp4", None), ("in.mkv", None), ("in.mkv", 900)])
@pytest.mark.parametrize("sound_blocks", [12, 120])
def test_mixture_changes_over_time(
    slim: Stylizer, style: ChannelStats, tmp_path: Path, sound_blocks: int, name: str, start: int | None
) -> None:
    times = None if start is None else [start + 33 * index for index in range(8)]
    still = make_video(tmp_path / name, frames=8, times=times, sound_blocks=sound_blocks)
    other = slim.encode_style(Image.new("RGB", (32, 32), "darkred"))
    ends = [read_last(slim, still, [style, other], tmp_path, weights=w) for w in ([1, 0], [0, 1])]
    moving = read_last(slim, still, [style, other], tmp_path, weights=[1, 0], end_weights=[0, 1])
    distance = [np.abs(moving[-1].astype(float) - end[-1]).mean() for end in ends]
    assert distance[1] < 0.2 * distance[0]


def read_last(
    slim: Stylizer, source: Path, styles: list[ChannelStats], folder: Path, **options: list[float]
) -> list[np.ndarray]:
    stylize_video(slim, source, styles, folder / "out.mkv", steadiness=0, **options)  # type: ignore[arg-type]
    return read_video(folder / "out.mkv")[1]


def test_smoothing_lowers_the_flicker_of_a_pan(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    """Warping error (Lai et al. 2018): what a pixel becomes, two pixels further in the next frame of the pan."""
    source = make_video(tmp_path / "in.mkv", size=(96, 64), frames=16)
    errors = []
    for steadiness in (0.0, 0.7):
        stylize_video(slim, source, [style], tmp_path / "out.mkv", steadiness=steadiness, crf=0)
        frames = [f.astype(float) for f in read_video(tmp_path / "out.mkv")[1]]
        errors.append(np.mean([(a[8:-8, 10:-8] - b[8:-8, 8:-10]) ** 2 for a, b in itertools.pairwise(frames)]))
    assert errors[1] < errors[0] / 2


def test_failures_leave_nothing(slim: Stylizer, style: ChannelStats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ImageError, match=r"text\.mp4: expected a video"):
        stylize_video(slim, tmp_path / "text.mp4", [style], tmp_path / "out.mp4")
    with pytest.raises(FileNotFoundError, match=r"none\.mp4: expected a video, found no such file"):
        stylize_video(slim, tmp_path / "none.mp4", [style], tmp_path / "out.mp4")
    source = make_video(tmp_path / "in.mp4", frames=4)
    with pytest.raises(ValueError, match="expected another name than the source's"):
        stylize_video(slim, source, [style], source)
    with pytest.raises(ValueError, match="crf: expected 0 to 51, got 99"):
        stylize_video(slim, source, [style], tmp_path / "out.mp4", crf=99)
    with pytest.raises(ValueError, match=r"out\.xyz: expected a name ending in \.mp4, .* got '\.xyz'"):
        stylize_video(slim, source, [style], tmp_path / "out.xyz")

    calls = iter(range(3))
    encode = Stylizer.encode_content

    def interrupt(*arguments: object, **options: object) -> object:
        if next(calls) == 2:  # when something is written already
            raise KeyboardInterrupt
        return encode(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Stylizer, "encode_content", interrupt)
    with pytest.raises(KeyboardInterrupt):
        stylize_video(slim, source, [style], tmp_path / "out.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "text.mp4"]


def test_what_a_killed_call_left_half_written_is_removed_by_the_next(tmp_path: Path) -> None:
    left = stray(tmp_path, suffix=".mp4")
    save_video([picture()], tmp_path / "out.mkv")
    assert not left.exists()


def test_command(tmp_path: Path, photo: Path, painting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = make_video(tmp_path / "in.mp4", frames=4), tmp_path / "out.mp4"
    assert main(["video", str(source), "--from", str(painting), "--to", str(photo), "-o", str(output)]) == 0
    assert len(read_video(output)[0]) == 4
    assert capsys.readouterr().out == f"{output}: 4 frames\n"
    assert main(["video", str(photo.with_name("none.mp4")), str(painting), "-o", str(output)]) == 1
    with pytest.raises(SystemExit) as stopped:
        main(["video", str(source), str(painting), "-o", "out.xyz"])
    assert stopped.value.code == 2
    for wrong, message in (
        ([], "style: expected a style, or --from and --to"),
        (["--from", "a", "--to", "b", "--weights", "1", "2"], "--weights: not allowed with --from"),
        ([str(painting), "--preserve-color", "coral"], "--preserve-color: expected luminance"),
        ([str(painting), "--steadiness", "1"], "--steadiness: expected a number below 1"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["video", str(source), *wrong, "-o", str(output)])
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("controls", [{"weights": [1, 0]}, {"raw_weights": True}, {"size": 32}, {"tile": 32}])
def test_controls_that_are_not_a_videos_are_refused(
    slim: Stylizer, style: ChannelStats, tmp_path: Path, controls: Controls
) -> None:
    source = make_video(tmp_path / "in.mp4", frames=2)
    with pytest.raises(UsageError, match=f"controls: expected .*, detail, got {next(iter(controls))}"):
        stylize_video(slim, source, [style, style], tmp_path / "out.mp4", controls=controls)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".mov"])
@pytest.mark.parametrize("frames", [1, 12])
def test_the_last_frame_is_shown_as_long(slim: Stylizer, style: ChannelStats, tmp_path: Path, suffix: str, frames: int) -> None:
    pictures = [picture(48, 32, seed) for seed in range(frames)]
    source, output = tmp_path / "in.gif", tmp_path / f"out{suffix}"
    pictures[0].save(source, save_all=True, append_images=pictures[1:], duration=[100] * (frames - 1) + [3000])
    stylize_video(slim, source, [style], output)
    with av.open(str(output)) as reader:
        assert reader.duration / av.time_base == pytest.approx((frames - 1) * 0.1 + 3, abs=0.02)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.bmp", "a.avif", "a.heic"])
def test_still_pictures_are_no_videos(
    slim: Stylizer, style: ChannelStats, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    picture(32, 32).save(tmp_path / name)
    with pytest.raises(ImageError, match=rf"{name}: expected a video, found a still picture.* nst-adain stylize$"):
        stylize_video(slim, tmp_path / name, [style], tmp_path / "out.mp4")
    picture(32, 32).save(tmp_path / "s.png")
    assert main(["video", str(tmp_path / name), str(tmp_path / "s.png"), "-o", str(tmp_path / "out.mp4")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.avif"])
def test_animated_pictures_are_videos(slim: Stylizer, style: ChannelStats, tmp_path: Path, name: str) -> None:
    first, *others = (picture(32, 32, seed) for seed in range(3))
    first.save(tmp_path / name, save_all=True, append_images=others)
    assert stylize_video(slim, tmp_path / name, [style], tmp_path / "out.mp4") == 3


def test_a_video_of_one_frame_is_a_video(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    assert stylize_video(slim, make_video(tmp_path / "in.mp4", frames=1), [style], tmp_path / "out.mp4") == 1


@pytest.mark.parametrize("suffix", [".mkv", ".avi"])
def test_of_a_video_that_is_cut_short_the_rest_is_made_and_the_loss_said(
    slim: Stylizer, style: ChannelStats, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = make_video(tmp_path / f"in{suffix}", frames=60).read_bytes()
    source, output = tmp_path / f"cut{suffix}", tmp_path / "out.mp4"
    source.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.warns(UserWarning, match=rf"cut\{suffix}: is cut short: expected .* bytes, found {source.stat().st_size:,}"):
        count = stylize_video(slim, source, [style], output)
    assert 0 < count < 60
    assert len(read_video(output)[0]) == count
    output.unlink()
    picture(32, 32).save(tmp_path / "s.png")
    assert main(["video", str(source), str(tmp_path / "s.png"), "-o", str(output)]) == 1
    said = capsys.readouterr()
    assert said.out == f"{output}: {count} frames\n"
    assert said.err.startswith(f"nst-adain: error: {source}: is cut short: expected ")
    assert said.err.count("\n") == 1
    assert len(read_video(output)[0]) == count


def test_sound_that_ends_before_the_pictures_is_no_cut(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    for suffix in (".mkv", ".mp4"):
        stylize_video(slim, make_video(tmp_path / f"in{suffix}", sound_blocks=2), [style], tmp_path / "out.mp4")
