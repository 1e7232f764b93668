"""Sound of videos: copied where the container takes it, else encoded anew, in step with the pictures; or left out."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import av
import pytest
from av.stream import Disposition
from conftest import picture
from samples import TALKIE_CLICK, TALKIE_FPS, TALKIE_FRAMES, onsets, read_video, talkie

from nst_adain.cli.main import main
from nst_adain.errors import ImageWarning
from nst_adain.functional import ChannelStats
from nst_adain.stylizer import Stylizer
from nst_adain.video.stylize import stylize_video


@pytest.fixture
def style(slim: Stylizer) -> ChannelStats:
    return slim.encode_style(picture(64, 64, 5))


def lag(path: Path) -> float:
    """Measure by how many seconds the sound of a `talkie` begins after its frame."""
    return onsets(path)[0] - read_video(path)[0][TALKIE_CLICK]


def codec_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.audio[0].codec_context.name


# By source: the containers that take a copy of the sound. For the others it becomes AAC, or Opus for WebM.
@pytest.mark.parametrize(("codec", "source", "video", "taken"), [
    ("wmav2", "in.wmv", "wmv2", ""), ("pcm_mulaw", "in.mov", "mpeg4", ".mov"), ("adpcm_ima_wav", "in.avi", "mpeg4", ""),
    ("adpcm_ms", "in.avi", "mpeg4", ""), ("pcm_s16le", "in.avi", "mpeg4", ".mp4 .mov .mkv"),
    ("aac", "in.mp4", "mpeg4", ".mp4 .mov .mkv"), ("libopus", "in.mkv", "mpeg4", ".mp4 .mkv .webm"),
    ("flac", "in.mkv", "mpeg4", ".mp4 .mkv"),  # .mov, of this and Opus, says only late that it takes none
    ("mp2", "in.ts", "mpeg2video", ".mp4 .mov .mkv"), ("ac3", "in.mpg", "mpeg2video", ".mp4 .mov .mkv"),
])  # fmt: skip
def test_any_sound_comes_into_any_container_in_step(
    slim: Stylizer, style: ChannelStats, tmp_path: Path, codec: str, source: str, video: str, taken: str
) -> None:
    made = talkie(tmp_path / source, codec, video=video, rate=48000)
    name, offset = codec_of(made), lag(made)
    for suffix in (".mp4", ".mov", ".mkv", ".webm"):
        output = tmp_path / f"out{suffix}"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            stylize_video(slim, made, [style], output, steadiness=0)
        copied, encoded = ("mp3float", "mp2float", name), "opus" if suffix == ".webm" else "aac"
        assert codec_of(output) in (copied if suffix in taken else (encoded,))
        assert abs(lag(output) - offset) < 0.02
        with av.open(str(output)) as container:
            assert 0 <= container.start_time < 50_000  # of its first packet, Windows Media has no sound
            assert container.duration == pytest.approx(TALKIE_FRAMES / TALKIE_FPS * 1e6, abs=60_000)


def test_a_track_of_unknown_codec_is_left_out_and_named(
    slim: Stylizer, style: ChannelStats, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Phones record a second track for which there is no decoder, beside an ordinary one."""
    source = two_tracks(tmp_path / "in.mp4")
    data = source.read_bytes()
    entry, settings = data.rindex(b"mp4a"), data.rindex(b"esds")
    source.write_bytes(data[:entry] + b"apac" + data[entry + 4 : settings] + b"free" + data[settings + 4 :])
    said = r"in\.mp4: sound track 2 of 2 is left out, as its codec \(unknown\) cannot be copied or decoded"
    for suffix in (".mp4", ".mkv", ".webm"):
        with pytest.warns(ImageWarning, match=said):
            stylize_video(slim, source, [style], tmp_path / f"out{suffix}")
        with av.open(str(tmp_path / f"out{suffix}")) as container:
            assert len(container.streams.audio) == 1
    picture(32, 32).save(tmp_path / "s.png")
    command = ["video", str(source), str(tmp_path / "s.png"), "-o", str(tmp_path / "out.mp4")]
    assert main(command) == 0
    assert capsys.readouterr().err.startswith(f"nst-adain: warning: {source}: sound track 2 of 2 is left out")
    assert main([*command, "--no-audio"]) == 0
    assert capsys.readouterr().err == ""
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_flags_languages_and_titles_of_tracks_stay(slim: Stylizer, style: ChannelStats, tmp_path: Path, suffix: str) -> None:
    stylize_video(slim, two_tracks(tmp_path / "in.mkv"), [style], tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        first, second = container.streams.audio
        languages = [s.metadata.get("language") for s in (container.streams.video[0], first, second)]
        assert languages == ["eng", "ger", "fre"]
        assert not first.disposition & Disposition.default
        assert second.disposition & Disposition.default
        if suffix == ".mkv":
            assert first.disposition & Disposition.hearing_impaired
        if suffix != ".mp4":  # which has no place for it
            assert second.metadata.get("title") == "Regie"


def two_tracks(path: Path) -> Path:
    """A clip with two tracks of sound in German and French, the second of which is the default one."""
    single = talkie(path.with_name(f"single{path.suffix}"), "aac")
    with av.open(str(single)) as first, av.open(str(single)) as second, av.open(str(path), "w") as writer:
        inputs = [first.streams.video[0], first.streams.audio[0], second.streams.audio[0]]
        outputs = {stream: writer.add_stream_from_template(stream) for stream in inputs}
        for stream, language, flags in zip(outputs.values(), ("eng", "ger", "fre"), (1, Disposition.hearing_impaired, 1)):
            stream.metadata["language"], stream.disposition = language, flags
        outputs[inputs[2]].metadata["title"] = "Regie"
        for packet in itertools.chain(first.demux(inputs[:2]), second.demux(inputs[2])):
            if packet.size:
                packet.stream = outputs[packet.stream]
                writer.mux(packet)
    single.unlink()
    return path


@pytest.mark.parametrize(("layout", "kept"), [("5.1", 6), ("7.1", 8), ("quad", 4), ("4.0", 2), ("hexagonal", 2)])
def test_channels_are_kept_or_become_two(slim: Stylizer, style: ChannelStats, tmp_path: Path, layout: str, kept: int) -> None:
    source = talkie(tmp_path / "in.mov", "pcm_s16le", 48000, layout)
    stylize_video(slim, source, [style], tmp_path / "out.webm")
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.audio[0].codec_context.layout.nb_channels == kept


def test_sound_may_change_its_channels(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    parts = [talkie(tmp_path / f"{layout}.ts", "ac3", 48000, layout, "mpeg2video") for layout in ("stereo", "5.1")]
    both = b"".join(part.read_bytes() for part in parts)
    (tmp_path / "in.ts").write_bytes(both)
    assert stylize_video(slim, tmp_path / "in.ts", [style], tmp_path / "out.webm") == 2 * TALKIE_FRAMES
    assert abs(lag(tmp_path / "out.webm")) < 0.05
    with av.open(str(tmp_path / "out.webm")) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    assert samples == pytest.approx(2 * TALKIE_FRAMES / TALKIE_FPS * 48000, rel=0.15)


def test_damaged_sound_is_a_moment_of_silence(slim: Stylizer, style: ChannelStats, tmp_path: Path) -> None:
    """In copies, of which the muxer refuses damaged packets, and in what is encoded anew."""
    data = bytearray(talkie(tmp_path / "damaged.mkv", "flac").read_bytes())
    with av.open(str(tmp_path / "damaged.mkv")) as container:
        later = [bytes(packet) for packet in container.demux(audio=0) if packet.size][3]
    at = data.index(later)
    data[at : at + 64] = b"\xaa" * 64
    (tmp_path / "damaged.mkv").write_bytes(data)
    with av.open(str(tmp_path / "damaged.mkv")) as container, pytest.raises(av.error.InvalidDataError):
        list(container.decode(audio=0))
    stylize_video(slim, tmp_path / "damaged.mkv", [style], tmp_path / "out.webm")
    assert abs(lag(tmp_path / "out.webm")) < 0.05
    with av.open(str(tmp_path / "out.webm")) as container:
        *_, last = container.decode(audio=0)
        assert last.time == pytest.approx(TALKIE_FRAMES / TALKIE_FPS, abs=0.05)
    broadcast = bytearray(talkie(tmp_path / "in.ts", "aac", video="mpeg2video", frames=12).read_bytes())
    sync = [at for at in range(len(broadcast) - 1) if broadcast[at] == 0xFF and broadcast[at + 1] == 0xF1]
    for at in sync[20:26]:
        broadcast[at : at + 7] = b"\xff\xf1\xff\xff\xff\xff\xff"  # a header that no decoder takes
    (tmp_path / "in.ts").write_bytes(broadcast)
    for suffix in (".mp4", ".mkv", ".webm"):  # the muxers of the first two take no such packets
        assert stylize_video(slim, tmp_path / "in.ts", [style], tmp_path / f"out{suffix}") == 12
    assert abs(lag(tmp_path / "out.webm")) < 0.05
