"""What the page's controls do, without a server: pictures, sheets, videos, and what is said when something is wrong."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from conftest import picture
from pages import REQUEST, make, painted, settings, upload
from PIL import Image

from nst_adain.stylizer import Stylizer
from nst_adain.web.actions import Actions


def test_names_of_any_length(actions: Actions) -> None:
    photo, style = (upload(actions, picture(45, 31), f"{letter * 140}.png") for letter in "ab")
    assert make(actions, settings(photo, style)).size == (45, 31)


def test_a_picture_too_long_for_a_preview_is_still_made(actions: Actions, samples: Path) -> None:
    values = settings(upload(actions, Image.new("1", (70_000, 2)), "long.png"), {"path": str(samples / "mosaic.png")})
    message = actions.preview(values)[0]["message"]
    assert message == "A preview has at most 65,500 pixels a side, and this one would have 70,000."
    assert make(actions, values).size == (70_000, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"photo": None}, "Choose a photograph."),
        ({"style": None}, "Choose a style."),
        ({"shares": [0, 0, 0, 0]}, "All shares are 0: raise one of them."),
        ({"photo": "text"}, "photo.png: expected a picture, found a file of no known image format"),
        ({"photo": "gone"}, "gone.png is no longer kept here: choose it again."),
        ({"photo": "huge"}, "is 1,000,001 pixels, more than the limit of 1,000,000"),
        ({"photo": {"path": "/etc/passwd"}}, "expected a file that was uploaded here"),
        ({"photo": {"path": "samples/../../../etc/passwd"}}, "expected a file that was uploaded here"),
        ({"photo": 7}, "file: expected a file that was uploaded here"),
        ({"alpha": -1}, "alpha: expected a number from 0"),
        ({"alpha": "/etc/passwd"}, "alpha: expected a number from 0"),
        ({"color": "hue"}, "preserve_color: expected None"),
        ({"size": "x"}, "expected a whole number"),
        ({"style_size": -5}, "expected a whole number of pixels"),
        ({"look_size": 0}, "look_size: expected a whole number of pixels"),
        ({"detail": "much"}, "detail: expected &#x27;strokes&#x27; or &#x27;photo&#x27;"),
        ({"model": "/etc/passwd"}, "model: expected one of base"),
        ({"mask": "data:image/png;base64,AAAA"}, "mask: expected a PNG picture"),
        ({"mask": "x"}, "mask: expected a PNG picture"),
        ({"mask": painted((0, 0, 1, 1), (2000, 2000))}, "mask: expected RGBA and at most"),
    ],
)
def test_what_is_wrong_is_said(actions: Actions, samples: Path, change: dict[str, Any], words: str) -> None:
    actions.studio.max_pixels = 1_000_000
    broken = actions.folder / "0123" / "photo.png"
    broken.parent.mkdir(exist_ok=True)
    broken.write_text("hello")
    files: dict[Any, Any] = {"text": {"path": str(broken)}, "gone": {"path": str(broken.with_name("gone.png"))}}
    if change.get("photo") == "huge":
        files["huge"] = upload(actions, Image.new("1", (1_000_001, 1)), "huge.png")
    sample = {"path": str(samples / "mosaic.png")}
    photo = change.pop("photo", sample) if "photo" in change else sample
    photo = files.get(photo, photo) if isinstance(photo, str) else photo
    styles = [change["style"]] if "style" in change else [sample] * (2 if "shares" in change else 1)
    values = settings(photo, *styles, **{k: v for k, v in change.items() if k != "style"})
    shown, command, code, *_ = actions.preview(values)
    assert words in shown["message"]
    assert str(actions.folder) not in shown["message"]
    assert (shown["after"], command, code) == ("", "", "")
    with pytest.raises(gr.Error, match=r".") as raised:
        make(actions, values)
    assert "log of the server" not in raised.value.message


def test_names_of_files_are_not_markup(actions: Actions, samples: Path) -> None:
    path = actions.folder / "1234" / "<img src=x onerror=alert(1)>.png"
    path.parent.mkdir(exist_ok=True)
    path.write_text("hello")
    shown = actions.preview(settings({"path": str(path)}, {"path": str(samples / "mosaic.png")}))[0]
    assert "&lt;img" in shown["message"]
    assert "<" not in shown["message"]


def test_an_unforeseen_error_is_said_without_its_trace(
    actions: Actions, samples: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("inner workings")

    monkeypatch.setattr(actions.studio, "preview", fail)
    sample = {"path": str(samples / "mosaic.png")}
    assert actions.preview(settings(sample, sample))[0]["message"].startswith("Something went wrong")
    assert "inner workings" in capsys.readouterr().err


def test_no_memory_at_all_is_said(actions: Actions, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Stylizer, "__call__", fail)
    sample = {"path": str(samples / "mosaic.png")}
    with pytest.raises(gr.Error, match="not enough memory for this, even in tiles"):
        make(actions, settings(sample, sample))


def test_a_cancelled_job_ends_at_its_next_tile(actions: Actions) -> None:
    photo = upload(actions, picture(64, 64), "photo.png")
    other: Any = types.SimpleNamespace(session_hash="b")
    seen = []

    class Progress:
        def __call__(self, part: tuple[int, int], unit: str) -> None:
            seen.append((part, unit))
            actions.cancel_full(REQUEST)

    with pytest.raises(gr.Error, match="Cancelled"):
        actions.full(settings(photo, photo), REQUEST, Progress())  # type: ignore[arg-type]
    assert seen == [((0, 1), "tiles")]

    class Bystander:
        def __call__(self, *_: object, **__: object) -> None:
            actions.cancel_full(REQUEST)  # one user's cancelling is not another's
            actions.jobs.cancel(REQUEST, "video")  # nor that of a video the picture's

    assert actions.full(settings(photo, photo), other, Bystander())["visible"]  # type: ignore[arg-type]
    assert make(actions, settings(photo, photo)).size == (64, 64)  # and does not outlast the job


def test_a_size_that_is_too_large_is_said_when_it_is_made(actions: Actions, samples: Path) -> None:
    actions.studio.max_pixels = 1_000_000
    sample = {"path": str(samples / "mosaic.png")}
    with pytest.raises(gr.Error, match="size: 100000 makes 10,000,000,000 pixels, more than the limit"):
        make(actions, settings(sample, sample, size=100000))
