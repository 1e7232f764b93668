"""Times that begin at 0 and only increase, with sound in step, whatever the file's clock does."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import picture
from samples import TALKIE_CLICK, TALKIE_FPS, onsets, read_video, talkie

from nst_adain.functional import ChannelStats
from nst_adain.stylizer import Stylizer
from nst_adain.video.stylize import stylize_video
from nst_adain.video.timestamps import LEAP, Clock, Timestamps

WRAPS = 95_443.5  # seconds; a fifth later, at 2 ** 33 / 90,000, the clock of MPEG starts again from 0


@pytest.fixture
def style(slim: Stylizer) -> ChannelStats:
    return slim.encode_style(picture(64, 64, 5))


@pytest.mark.parametrize(
    ("display", "decoding", "step", "wanted"),
    [
        ([0, 10, 25, 100], [0, 10, 25, 100], 10, [0, 10, 25, 100]),  # sound times stay, whatever lies between them
        ([7, 17, 27], [None] * 3, 10, [7, 17, 27]),
        ([None] * 3, [None] * 3, 10, [0, 10, 20]),
        ([1, 3, 4, 2, 6, 7, 5, 9], [2, 3, 4, 5, 6, 7, 8, 9], 1, [1, 3, 4, 5, 6, 7, 8, 9]),  # AVI with B-frames
        ([1, 3, 4, 2, 6, 5], [2, 3, 4, 5, None, None], 1, [1, 3, 4, 5, 6, 7]),
        ([0, 10, 20, 20, 40], [0, 10, 20, 20, 40], 10, [0, 10, 20, 21, 40]),  # one frame twice delays none after it
    ],
)
def test_times_go_forward(display: list[int | None], decoding: list[int | None], step: int, wanted: list[int]) -> None:
    timestamps = Timestamps()
    assert [timestamps(*times, step) for times in zip(display, decoding)] == wanted


def shifted(clock: Clock, times: list[int]) -> list[Fraction]:
    return [time + clock.picture(Fraction(time), Fraction(10)) for time in times]


def test_parts_of_a_file_follow_one_another() -> None:
    assert shifted(Clock(), [0, 10, 20, 30, 40, 50, 0, 10, 20]) == list(range(0, 90, 10))
    assert shifted(Clock(), [0, 10, 20, 30, 40, 5, 50]) == [0, 10, 20, 30, 40, 5, 50]  # out of order
    assert shifted(Clock(), [0, 10, 500, 510]) == [0, 10, 500, 510]  # a pause
    assert shifted(Clock(leaps=True), [0, 10, 500, 510]) == [0, 10, 20, 30]


def test_sound_goes_to_the_part_of_its_pictures() -> None:
    clock, one = Clock(leaps=True), Fraction(1)
    assert clock.sound(1, Fraction(0), one) is None  # before any picture
    for time in range(20):
        assert clock.picture(Fraction(time), one) == 0
        assert clock.sound(1, Fraction(time), one) == 0
    assert clock.sound(1, Fraction(5000), one) is None  # where its pictures go is not known yet
    assert clock.picture(Fraction(5001), one) == 20 - 5001
    assert clock.sound(1, Fraction(5000), one) == 20 - 5001  # it began earlier, and stays so
    assert clock.sound(2, Fraction(5001), one) == 20 - 5001  # a track that was not there before
    assert clock.sound(3, Fraction(90_000), one) == clock.now - 90_000  # one with another clock
    assert clock.sound(1, Fraction(3), one) is None
    for time in range(5002, 5009):
        clock.picture(Fraction(time), one)
    assert clock.sound(1, Fraction(3), one) == 20 - 3  # a jump that its pictures do not make


def test_few_pictures_beside_sound_that_goes_on_are_no_leap() -> None:
    clock, step = Clock(leaps=True), Fraction(1)
    for time in range(40):
        if time % (LEAP + 5) == 0:
            assert clock.picture(Fraction(time), step) == 0
        assert clock.sound(0, Fraction(time), step) == 0


@pytest.mark.parametrize("audio", [True, False])
@pytest.mark.parametrize(("name", "start"), [
    ("in.ts", 20_000), ("in.ts", WRAPS), ("in.mpg", WRAPS), ("in.ts", WRAPS - 100), ("in.mkv", 500), ("in.mp4", 0),
])  # fmt: skip
def test_the_result_begins_at_0(
    slim: Stylizer, style: ChannelStats, tmp_path: Path, name: str, start: float, audio: bool
) -> None:
    """Broadcasts begin anywhere; the clock of MPEG has 33 bits, and starts from 0 every 26.5 hours."""
    source = talkie(tmp_path / name, "mp2", video="mpeg2video", start=start, starts=(0.1, 0))
    for suffix in (".mp4", ".mkv"):
        stylize_video(slim, source, [style], tmp_path / f"out{suffix}", steadiness=0, audio=audio)
        with av.open(str(tmp_path / f"out{suffix}")) as container:
            assert abs(container.start_time) <= 1000
            assert container.duration < 1e6
        times = read_video(tmp_path / f"out{suffix}")[0]
        np.testing.assert_allclose(times, np.arange(5) / TALKIE_FPS + (0.1 if audio else 0), atol=0.03)
        if audio:
            assert abs(onsets(tmp_path / f"out{suffix}")[0] - onsets(source)[0] + read_video(source)[0][0] - times[0]) < 0.02


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 20_000), (20_000, 0), (WRAPS - 1, 50)])
def test_joined_recordings_stay_in_step(
    slim: Stylizer, style: ChannelStats, tmp_path: Path, first: float, second: float
) -> None:
    """Whichever of pictures and sound jumps first, and although the sound of the first part is shorter."""
    source, count = tmp_path / "in.ts", 12
    parts = [
        talkie(tmp_path / f"{index}.ts", "mp2", video="mpeg2video", frames=count, start=start, starts=later)
        for index, (start, later) in enumerate(((first, (0, 0)), (second, (0.05, 0)), (first, (0, 0.05))))
    ]
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    expected = [onsets(part)[0] - read_video(part)[0][TALKIE_CLICK] for part in parts]
    for suffix in (".mp4", ".mkv", ".webm"):
        stylize_video(slim, source, [style], tmp_path / f"out{suffix}", steadiness=0)
        times = read_video(tmp_path / f"out{suffix}")[0]
        assert len(times) == 3 * count
        np.testing.assert_allclose(np.diff(times), 1 / TALKIE_FPS, atol=0.08)
        heard = onsets(tmp_path / f"out{suffix}")
        np.testing.assert_allclose(np.subtract(heard, times[TALKIE_CLICK::count]), expected, atol=0.05)
