"""The tabs for sheets and videos, without a server: what they make, and what is said when something is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from conftest import picture
from pages import REQUEST, NoProgress, as_shown, pixels, settings, upload
from PIL import Image
from samples import film

from nst_adain.cli.main import main
from nst_adain.video.frames import read_frames
from nst_adain.video.smoothing import SmoothedStylizer
from nst_adain.web import parts
from nst_adain.web.actions import Actions
from nst_adain.web.films import Films
from nst_adain.web.limits import MAX_FRAMES


def test_a_video_is_what_the_command_makes(actions: Actions, samples: Path) -> None:
    source = film(actions.folder / "clip.mp4", 12)
    values = settings(None, {"path": str(samples / "mosaic.png")}, alpha=0.7)
    made = Films(actions).video({**values, "source": {"path": str(source)}, "steadiness": 0.5}, REQUEST, NoProgress())  # type: ignore[arg-type]
    assert Path(made).name == "clip__mosaic.mp4"
    output = source.with_name("command.mp4")
    options = ["--alpha", "0.7", "--steadiness", "0.5", "--device", "cpu", "-o", str(output)]
    assert main(["video", str(source), str(samples / "mosaic.png"), *options]) == 0
    assert Path(made).read_bytes() == output.read_bytes()


def test_a_video_may_not_be_long(actions: Actions, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_adain.web.films.MAX_FRAMES", 5)
    assert MAX_FRAMES > 5
    source = film(actions.folder / "long.mp4", 6)
    values = settings(None, {"path": str(samples / "mosaic.png")})
    with pytest.raises(gr.Error, match="expected at most 5 frames, found 6"):
        Films(actions).video({**values, "source": {"path": str(source)}, "steadiness": 0.5}, REQUEST, NoProgress())  # type: ignore[arg-type]
    assert not list(actions.folder.rglob("long__mosaic.mp4"))


def test_what_a_video_cannot_do_is_said(actions: Actions, samples: Path) -> None:
    sample = {"path": str(samples / "mosaic.png")}
    broken = actions.folder / "2345" / "text.mp4"
    broken.parent.mkdir()
    broken.write_text("hello")
    for source, color, words in (
        (None, "", "Choose a video."),
        (sample, "coral", "by lightness only"),
        ({"path": str(broken)}, "", "text.mp4: expected a video"),
    ):
        with pytest.raises(gr.Error, match=words):
            Films(actions).video(
                {**settings(None, sample, color=color), "source": source, "steadiness": 0.5}, REQUEST, NoProgress()
            )  # type: ignore[arg-type]


def test_grids(actions: Actions, samples: Path) -> None:
    files = [{"path": str(samples / f"{name}.png")} for name in ("coffee", "mosaic", "ink_wash", "pastel", "watercolor")]
    sizes = []
    for kind, more in (("strengths", None), ("corners", None), ("cross", files[:2])):
        with Image.open(Films(actions).grid({**settings(*files), "kind": kind, "steps": 3, "more": more})) as sheet:
            sizes.append(((sheet.width + 4) // 260, (sheet.height + 4) // 260))
    assert sizes == [(3, 4), (3, 3), (4, 3)]
    with pytest.raises(gr.Error, match="Four corners need four styles with a share above 0, and there are 2"):
        Films(actions).grid({**settings(*files[:3]), "kind": "corners", "steps": 3, "more": None})
    with pytest.raises(gr.Error, match="Choose at most 7 more photographs: there are 8"):
        Films(actions).grid({**settings(*files[:3]), "kind": "cross", "steps": 3, "more": files[:4] * 2})
    with pytest.raises(gr.Error, match="steps: expected 2 to 8"):
        Films(actions).grid({**settings(*files[:3]), "kind": "strengths", "steps": 900, "more": None})


def test_a_sheet_is_there_as_the_tab_is_opened_and_stays(actions: Actions, samples: Path) -> None:
    values = settings({"path": str(samples / "coffee.png")}, {"path": str(samples / "mosaic.png")})
    asked = {**values, "kind": "strengths", "steps": 2, "more": None}
    made = Films(actions).begin_sheet({**asked, "sheet": None})
    assert Path(made).is_file()
    assert Films(actions).begin_sheet({**asked, "sheet": {"path": made}}) == gr.skip()


def test_there_is_a_clip_to_begin_with_and_its_first_frame_is_shown(actions: Actions, samples: Path) -> None:
    films, style = Films(actions), {"path": str(samples / "mosaic.png")}
    clip = films.begin_video(None)
    assert films.begin_video({"path": clip}) == gr.skip()
    asked = {**settings(None, style), "source": {"path": clip}, "steadiness": 0.5}
    shown = films.first_frame(asked)
    first = next(read_frames(clip))
    assert pixels(shown["url"]).shape == np.asarray(first).shape
    assert shown["words"] == "The first frame, before the video is made"
    assert np.abs(pixels(shown["url"]) - np.asarray(first, dtype=float)).mean() > 10
    for source, words in ((None, "Choose a video."), (upload(actions, picture(), "still.png"), "still.png: expected a video")):
        shown = films.first_frame({**asked, "source": source})
        assert shown["url"] == ""
        assert shown["words"].startswith(words)


def test_frames_of_the_camera_come_back_stylised_and_smoothed(actions: Actions, samples: Path) -> None:
    films, style = Films(actions), {"path": str(samples / "mosaic.png")}
    frame = parts.data_url(picture(96, 64, seed=1))
    asked = {**settings(None, style), "frame": {"number": 7, "picture": frame}, "steadiness": 0.5}
    shown = films.live(asked, REQUEST)["shown"]
    assert (shown["number"], shown["message"]) == (7, "")
    sent = parts.camera_frame(frame)
    steady = SmoothedStylizer(actions.studio.stylizer("base"), 0.5)
    expected = steady(sent, actions.studio.style("base", samples / "mosaic.png", 512), look_size=512)
    np.testing.assert_array_equal(pixels(shown["picture"]), np.asarray(as_shown(expected)))
    films.leave(REQUEST)
    assert not films._steady


@pytest.mark.parametrize(
    ("frame", "color", "words"),
    [
        (None, "", "frame: expected a JPEG picture"),
        ("x", "", "frame: expected a JPEG picture"),
        (parts.png_url(Image.new("L", (8, 8))), "", "frame: expected a JPEG picture"),
        (parts.data_url(Image.new("RGB", (1000, 600))), "", "frame: expected at most 524,288 pixels, found 600,000"),
        (parts.data_url(picture()), "coral", "The camera keeps its colours by lightness only"),
    ],
)
def test_what_a_camera_cannot_do_is_said(actions: Actions, samples: Path, frame: Any, color: str, words: str) -> None:
    values = settings(None, {"path": str(samples / "mosaic.png")}, color=color)
    shown = Films(actions).live({**values, "frame": {"number": 1, "picture": frame}, "steadiness": 0.5}, REQUEST)["shown"]
    assert shown["picture"] == ""
    assert shown["message"].startswith(words)
