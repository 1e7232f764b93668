"""The page's actions and its HTTP API, as clients see them."""

from __future__ import annotations

import base64
import concurrent.futures
import io
import json
import shlex
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import psutil
import pytest
from conftest import picture, serving
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from samples import film

from nst_adain.cli.main import main
from nst_adain.demo import save_inputs
from nst_adain.errors import UsageError
from nst_adain.models.architecture import Architecture
from nst_adain.models.networks import Decoder
from nst_adain.models.pretrained import save_weights
from nst_adain.stylizer import Stylizer
from nst_adain.web.actions import MAX_FRAMES, SLOTS, Actions
from nst_adain.web.request import PREVIEW, PREVIEW_PIXELS
from nst_adain.web.server import MAX_WAITING
from nst_adain.web.studio import Studio

REQUEST: Any = types.SimpleNamespace(session_hash="a")
SAMPLES = ("coffee", "mosaic", "ink_wash")


@pytest.fixture
def actions(samples: Path) -> Actions:
    return Actions(Studio(device="cpu", precision="float32"), samples.parent.resolve())


def upload(actions: Actions, image: Image.Image, name: str) -> dict[str, str]:
    """What Gradio hands over for a file."""
    folder = actions.folder / f"{name}-{np.random.default_rng().integers(1 << 40)}"
    folder.mkdir()
    image.save(folder / name)
    return {"path": str(folder / name)}


def painted(box: tuple[int, int, int, int], size: tuple[int, int] = (45, 31)) -> str:
    canvas = Image.new("RGBA", size)
    canvas.paste("white", box)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def settings(photo: Any, *styles: Any, shares: list[float] | None = None, alpha: float = 1.0, color: str = "", size: int = 0,
             style_size: int = 512, model: str = "slim", mask: str = "") -> dict[str, Any]:  # fmt: skip
    slots = [*styles, *[None] * (SLOTS - len(styles))]
    return {"photo": photo, "styles": slots, "shares": shares or [50] * SLOTS, "alpha": alpha,
            "color": color, "size": size, "style_size": style_size, "model": model, "mask": mask}  # fmt: skip


def pixels(url: str) -> np.ndarray[Any, Any]:
    """A preview's."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"), dtype=float)


def as_shown(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, subsampling=0)
    return Image.open(buffer)


class NoProgress:
    def __call__(self, *_: object, **__: object) -> None: ...


def make(actions: Actions, values: dict[str, Any], request: Any = REQUEST) -> Image.Image:
    made = actions.full(values, request, NoProgress())  # type: ignore[arg-type]
    with Image.open(made["value"]) as image:
        image.load()
        return image


def test_files_of_one_name_are_told_apart(actions: Actions) -> None:
    photo, style, other = (upload(actions, picture(45, 31, seed), "image.png") for seed in (1, 2, 3))
    _, command, code = actions.preview(settings(photo, style, other))
    assert command == "nst-adain stylize image.png image-2.png image-3.png -o out.png --weights 50 50"
    named = [upload(actions, picture(45, 31, seed), name) for seed, name in ((1, "out.png"), (2, "mask.png"))]
    assert actions.preview(settings(*named))[1] == "nst-adain stylize out-2.png mask-2.png -o out.png"
    assert "stylizer('image.png', ['image-2.png', 'image-3.png'], weights=[50, 50])" in code


def test_names_of_any_length(actions: Actions) -> None:
    photo, style = (upload(actions, picture(45, 31), f"{letter * 140}.png") for letter in "ab")
    assert make(actions, settings(photo, style)).size == (45, 31)


# What is asked for, and the same elsewhere


CASES: list[dict[str, Any]] = [
    {},
    {"alpha": 0.123456789, "size": 40, "style_size": 64},
    {"shares": [30, 70, 0, 0], "color": "luminance"},
    {"shares": [1, 2, 0, 0], "color": "coral", "alpha": 1.25},
    {"mask": painted((5, 5, 30, 20)), "shares": [50, 25, 0, 0]},
]


@pytest.mark.parametrize("case", CASES)
def test_the_command_and_the_code_make_the_same_picture(
    actions: Actions, samples: Path, case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo, style = picture(45, 31, seed=1), picture(64, 50, seed=2)
    photo.save("my photo.png")
    style.save("-style.png")
    uploaded = upload(actions, photo, "my photo.png")  # Gradio keeps a file that comes again once
    styles = [upload(actions, style, "-style.png"), uploaded]
    if case.get("alpha") == 1.25:
        styles[1] = {"path": str(samples / "mosaic.png")}
    values = settings(uploaded, *styles[: 2 if "shares" in case else 1], **case)
    result = np.asarray(make(actions, values))
    if case.get("mask"):
        Path("mask.png").write_bytes(base64.b64decode(case["mask"].partition(",")[2]))
    _, command, code = actions.preview(values)
    if "samples/mosaic.png" in command:
        demo, _, command = command.partition("\n")
        assert demo == "nst-adain demo --inputs samples"  # which takes long: this is what is needed of it
        save_inputs("samples")
    for line in command.splitlines():
        assert main([*shlex.split(line)[1:], "--device", "cpu"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), result)
    Path("out.png").unlink()
    exec(code, {})
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), result)


def test_full_size_equals_the_python_call(actions: Actions, slim: Stylizer, samples: Path) -> None:
    files = [samples / f"{name}.png" for name in SAMPLES]
    values = settings(*({"path": str(file)} for file in files), shares=[10, 30, 0, 0], alpha=0.8)
    expected = slim(files[0], files[1:], weights=[10, 30], alpha=0.8)
    np.testing.assert_array_equal(np.asarray(make(actions, values)), np.asarray(expected))


def test_a_decoder_alone_is_given_the_encoder(samples: Path, teacher: Path, tmp_path: Path) -> None:
    decoder = str(tmp_path / "decoder.safetensors")
    arch = Architecture("vgg19", taps=("relu4_1",))
    save_weights(decoder, arch, {f"decoder.{k}": v for k, v in Decoder().state_dict().items()})
    studio = Studio(["slim", decoder], encoder=teacher, device="cpu", precision="float32")
    actions = Actions(studio, samples.parent.resolve())
    photo, style = (upload(actions, picture(24, 16, seed), f"{seed}.png") for seed in (1, 2))
    expected = Stylizer.from_pretrained(decoder, encoder=teacher, device="cpu")(photo["path"], style["path"])
    values = settings(photo, style, model=decoder)
    np.testing.assert_array_equal(np.asarray(make(actions, values)), np.asarray(expected))
    _, command, code = actions.preview(values)
    # Its name is enough: a page does not say where files are on its server.
    assert shlex.split(command)[-2:] == ["--encoder", teacher.name]
    assert f"Stylizer.from_pretrained({decoder!r}, encoder={teacher.name!r})" in code
    assert "encoder" not in actions.preview(settings(photo, style))[1]
    with pytest.raises(UsageError, match="encoder: expected none for models that have their own"):
        Studio(["slim"], encoder=teacher, device="cpu")


def test_a_preview_is_the_picture_in_small(actions: Actions, slim: Stylizer, samples: Path) -> None:
    large = upload(actions, Image.open(samples / "coffee.png").resize((900, 700)), "large.png")
    values = settings(large, {"path": str(samples / "mosaic.png")}, alpha=0.7)
    shown = pixels(actions.preview(values)[0]["after"])
    assert min(shown.shape[:2]) == PREVIEW
    expected = slim(large["path"], samples / "mosaic.png", alpha=0.7, size=PREVIEW)
    np.testing.assert_array_equal(shown, np.asarray(as_shown(expected)))


@pytest.mark.parametrize("color", ["", "coral"])
@pytest.mark.parametrize("style_size", [100, 600])
def test_a_preview_has_the_strokes_that_are_asked_for(actions: Actions, color: str, style_size: int) -> None:
    noise = Image.effect_noise((700, 700), 90).convert("RGB")
    photo, style = upload(actions, picture(45, 31), "photo.png"), upload(actions, noise, "style.png")
    values = settings(photo, style, color=color, style_size=style_size)
    shown = pixels(actions.preview(values)[0]["after"])
    np.testing.assert_array_equal(shown, np.asarray(as_shown(make(actions, values))))


@pytest.mark.parametrize("size", [(4000, 3), (3, 4000), (1, 1)])
def test_a_preview_is_bounded(actions: Actions, samples: Path, size: tuple[int, int]) -> None:
    photo = upload(actions, picture(*size), "odd.png")
    shown = pixels(actions.preview(settings(photo, {"path": str(samples / "mosaic.png")}))[0]["after"])
    assert shown.shape[0] * shown.shape[1] <= PREVIEW_PIXELS


def test_a_picture_too_long_for_a_preview_is_still_made(actions: Actions, samples: Path) -> None:
    values = settings(upload(actions, Image.new("1", (70_000, 2)), "long.png"), {"path": str(samples / "mosaic.png")})
    message = actions.preview(values)[0]["message"]
    assert message == "A preview has at most 65,500 pixels a side, and this one would have 70,000."
    assert make(actions, values).size == (70_000, 2)


def test_a_moving_slider_only_decodes(actions: Actions, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [{"path": str(samples / f"{name}.png")} for name in SAMPLES]
    first = actions.preview(settings(*files, alpha=0.2))[0]["after"]

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(Stylizer, "encode_content", fail)
    monkeypatch.setattr(Stylizer, "encode_style", fail)
    second = actions.preview(settings(*files, alpha=0.9, shares=[80, 10, 0, 0]))[0]
    assert second["message"] == ""
    assert np.abs(pixels(first) - pixels(second["after"])).mean() > 3


def test_what_is_painted_is_where_the_style_applies(actions: Actions, samples: Path) -> None:
    photo, style = upload(actions, picture(45, 31, seed=1), "photo.png"), {"path": str(samples / "mosaic.png")}
    nothing, everywhere = (np.asarray(make(actions, settings(photo, style, mask=mask))) for mask in (painted((0, 0, 0, 0)), ""))
    np.testing.assert_array_equal(nothing, everywhere)
    left = np.asarray(make(actions, settings(photo, style, mask=painted((0, 0, 20, 31)))))
    original = np.asarray(Image.open(photo["path"]))
    np.testing.assert_array_equal(left[:, 21:], original[:, 21:])
    assert np.abs(left[:, :20].astype(int) - original[:, :20]).mean() > 5


# What is said when something is wrong


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
        ({"model": "/etc/passwd"}, "model: expected one of slim"),
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
    shown, command, code = actions.preview(values)
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


def test_out_of_memory_falls_back_to_tiles(actions: Actions, slim: Stylizer, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles: list[object] = []
    call = Stylizer.__call__

    def short_of_memory(self: Stylizer, *arguments: Any, **controls: Any) -> Any:
        tiles.append(controls.get("tile"))
        if len(tiles) == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return call(self, *arguments, **controls)

    monkeypatch.setattr(Stylizer, "__call__", short_of_memory)
    photo = upload(actions, picture(600, 520), "photo.png")
    recipe = actions.request_of(settings(photo, photo))
    image, in_tiles = actions.studio.full(recipe)
    monkeypatch.undo()
    assert in_tiles
    assert tiles == [None, 512]
    assert np.abs(np.asarray(image).astype(int) - np.asarray(slim(photo["path"], photo["path"]))).max() <= 1


def test_no_memory_at_all_is_said(actions: Actions, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Stylizer, "__call__", fail)
    sample = {"path": str(samples / "mosaic.png")}
    with pytest.raises(gr.Error, match="not enough memory for this, even in tiles"):
        make(actions, settings(sample, sample))


# Long jobs


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
            actions.cancel_video(other)  # nor that of a video the picture's

    assert actions.full(settings(photo, photo), other, Bystander())["visible"]  # type: ignore[arg-type]
    assert make(actions, settings(photo, photo)).size == (64, 64)  # and does not outlast the job


def test_progress_counts_the_tiles_of_both_passes(slim: Stylizer) -> None:
    seen: list[tuple[int, int | None]] = []
    slim(picture(80, 40), picture(), tile=40, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)] * 2


def test_a_video_is_what_the_command_makes(actions: Actions, samples: Path) -> None:
    source = film(actions.folder / "clip.mp4", 12)
    values = settings(None, {"path": str(samples / "mosaic.png")}, alpha=0.7)
    made = actions.video({**values, "source": {"path": str(source)}, "steadiness": 0.5}, REQUEST, NoProgress())  # type: ignore[arg-type]
    assert Path(made).name == "clip__mosaic.mp4"
    output = source.with_name("command.mp4")
    options = ["--alpha", "0.7", "--steadiness", "0.5", "--device", "cpu", "-o", str(output)]
    assert main(["video", str(source), str(samples / "mosaic.png"), *options]) == 0
    assert Path(made).read_bytes() == output.read_bytes()


def test_a_video_may_not_be_long(actions: Actions, samples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nst_adain.web.actions.MAX_FRAMES", 5)
    assert MAX_FRAMES > 5
    source = film(actions.folder / "long.mp4", 6)
    values = settings(None, {"path": str(samples / "mosaic.png")})
    with pytest.raises(gr.Error, match="expected at most 5 frames, found 6"):
        actions.video({**values, "source": {"path": str(source)}, "steadiness": 0.5}, REQUEST, NoProgress())  # type: ignore[arg-type]
    assert not list(actions.folder.rglob("long__mosaic.mp4"))


def test_what_a_video_cannot_do_is_said(actions: Actions, samples: Path) -> None:
    sample = {"path": str(samples / "mosaic.png")}
    broken = actions.folder / "2345" / "text.mp4"
    broken.parent.mkdir()
    broken.write_text("hello")
    for source, color, words in (
        (None, "", "Choose a video."),
        (sample, "coral", "by lightness"),
        ({"path": str(broken)}, "", "text.mp4: expected a video"),
    ):
        with pytest.raises(gr.Error, match=words):
            actions.video({**settings(None, sample, color=color), "source": source, "steadiness": 0.5}, REQUEST, NoProgress())  # type: ignore[arg-type]


def test_a_size_that_is_too_large_is_said_when_it_is_made(actions: Actions, samples: Path) -> None:
    actions.studio.max_pixels = 1_000_000
    sample = {"path": str(samples / "mosaic.png")}
    with pytest.raises(gr.Error, match="size: 100000 makes 10,000,000,000 pixels, more than the limit"):
        make(actions, settings(sample, sample, size=100000))


def test_grids(actions: Actions, samples: Path) -> None:
    files = [
        {"path": str(samples / f"{name}.png")} for name in ("coffee", "mosaic", "ink_wash", "pointillism", "stained_glass")
    ]
    sizes = []
    for kind, more in (("strengths", None), ("corners", None), ("cross", files[:2])):
        with Image.open(actions.grid({**settings(*files), "kind": kind, "steps": 3, "more": more})) as sheet:
            sizes.append(((sheet.width + 4) // 260, (sheet.height + 4) // 260))
    assert sizes == [(3, 4), (3, 3), (4, 3)]
    with pytest.raises(gr.Error, match="Four corners need four styles with a share above 0, and there are 2"):
        actions.grid({**settings(*files[:3]), "kind": "corners", "steps": 3, "more": None})
    with pytest.raises(gr.Error, match="Choose at most 7 more photographs: there are 8"):
        actions.grid({**settings(*files[:3]), "kind": "cross", "steps": 3, "more": files[:4] * 2})
    with pytest.raises(gr.Error, match="steps: expected 2 to 8"):
        actions.grid({**settings(*files[:3]), "kind": "strengths", "steps": 900, "more": None})


# Over HTTP


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Client]:
    client = Client(address, verbose=False, analytics_enabled=False)
    yield client
    client.close()


def join(address: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{address}/gradio_api/queue/join", json=body, timeout=30)


def test_the_api_equals_the_python_call(client: Client, slim: Stylizer, photo: Path, painting: Path) -> None:
    made = client.predict(
        handle_file(photo), [handle_file(painting), handle_file(photo)], weights=[2, 1], alpha=0.6, size=50,
        preserve_color="luminance", mask=handle_file(painting), api_name="/stylize",
    )  # fmt: skip
    expected = slim(
        photo, [painting, photo], weights=[2, 1], alpha=0.6, size=50, preserve_color="luminance", masks=[painting] * 2
    )
    np.testing.assert_array_equal(np.asarray(Image.open(made)), np.asarray(expected))


def test_the_page_itself_is_no_api(address: str) -> None:
    described = httpx.get(f"{address}/gradio_api/info").json()
    assert list(described["named_endpoints"]) == ["/stylize"]
    assert described["unnamed_endpoints"] == {}


@pytest.mark.parametrize(
    "path",
    ["file=/etc/passwd", "file=../../../../etc/passwd", "file=%2e%2e/%2e%2e/%2e%2e/etc/passwd", "file=/proc/self/environ",
     f"file={Path(__file__)}", "file=http://127.0.0.1:1/x", "proxy=http://127.0.0.1:1/x", "file=C:\\x",
     "../static/../../../../etc/passwd", "../assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"],
)  # fmt: skip
def test_no_path_outside_its_folder_is_readable(address: str, path: str) -> None:
    import http.client

    host, port = address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", f"/gradio_api/{path}")  # as it stands: other clients tidy paths up
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status in (400, 403, 404)
    assert b"root:" not in body
    assert b"def test" not in body


@pytest.mark.parametrize(
    "path", ["/etc/passwd", str(Path(__file__)), "../../etc/passwd", "http://127.0.0.1:1/x.png", "https://example.com/x.png"]
)
@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_only_uploaded_files_are_read(address: str, painting: Path, path: str, meta: dict[str, Any]) -> None:
    uploaded = httpx.post(f"{address}/gradio_api/upload", files={"files": ("s.png", painting.read_bytes())}).json()[0]
    own, other = {"path": uploaded, **meta}, {"path": path, **meta}
    assert "event: complete" in call(address, own, own)
    for photo, style, mask, alpha in (
        (other, own, None, 1),
        (own, other, None, 1),
        (own, own, other, 1),
        (own, own, None, path),
    ):
        said = call(address, photo, style, mask, alpha)
        assert "event: error" in said
        assert "Traceback" not in said
        assert "expected" in said or "null" in said  # in our words, or Gradio's refusal without any


def call(address: str, photo: Any, style: Any, mask: Any = None, alpha: Any = 1.0) -> str:
    """What a client without a library is told by the API."""
    body = {"data": [photo, [style], None, alpha, mask, None, None, 512, "slim"]}
    event = httpx.post(f"{address}/gradio_api/call/stylize", json=body, timeout=30).json()["event_id"]
    with httpx.stream("GET", f"{address}/gradio_api/call/stylize/{event}", timeout=30) as stream:
        return "".join(stream.iter_text())


def test_who_comes_when_too_many_wait_is_told_so(painting: Path) -> None:
    with serving() as (address, *_):
        uploaded = httpx.post(f"{address}/gradio_api/upload", files={"files": ("s.png", painting.read_bytes())}).json()[0]
        file = {"path": uploaded, "meta": {"_type": "gradio.FileData"}}
        (function,) = (d["id"] for d in httpx.get(f"{address}/config").json()["dependencies"] if d["api_name"] == "stylize")
        body = {"fn_index": function, "data": [file, [file], None, 1.0, None, None, 2000, 512, "slim"]}
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda k: join(address, {**body, "session_hash": f"{k}"}), range(MAX_WAITING + 10)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 1 <= len(refused) <= 10
    assert {answer.status_code for answer in refused} == {503}
    assert "Queue is full" in refused[0].text


def test_malformed_and_oversized_uploads(address: str) -> None:
    def post(content: bytes, kind: str) -> httpx.Response:
        return httpx.post(f"{address}/gradio_api/upload", content=content, headers={"content-type": kind}, timeout=60)

    assert post(b"nonsense", "multipart/form-data; boundary=x").status_code == 400
    assert post(b"", "text/plain").status_code >= 400
    large = {"files": ("large.png", bytes(51 * 2**20))}
    assert httpx.post(f"{address}/gradio_api/upload", files=large, timeout=60).status_code == 413
    several = [("files", (f"{index}.png", bytes(20 * 2**20))) for index in range(4)]
    assert httpx.post(f"{address}/gradio_api/upload", files=several, timeout=60).status_code == 413
    assert join(address, {"data": ["x" * 3 * 2**20], "fn_index": 0, "session_hash": "x"}).status_code == 413
    outside = httpx.post(f"{address}/gradio_api/upload", files={"files": ("../../../x.png", b"0")}, timeout=60).json()
    assert Path(outside[0]).parts[1:-2] == Path(outside[0]).parent.parent.parts[1:]
    assert ".." not in outside[0]


def test_wrong_files_are_named(client: Client, photo: Path, painting: Path, tmp_path: Path) -> None:
    text, cut = tmp_path / "text.png", tmp_path / "cut.png"
    text.write_text("hello")
    cut.write_bytes(photo.read_bytes()[:200])
    bomb = tmp_path / "bomb.png"
    Image.new("1", (20000, 20000)).save(bomb)
    for file, words in (
        (text, "text.png: expected a picture"),
        (cut, "cut.png: the picture is damaged"),
        (bomb, "400,000,000 pixels"),
    ):
        with pytest.raises(AppError, match=words):
            client.predict(handle_file(file), [handle_file(painting)], api_name="/stylize")
    with pytest.raises(AppError, match="weights: expected 1 finite numbers"):
        client.predict(handle_file(photo), [handle_file(painting)], weights=[1, 2], api_name="/stylize")


def test_a_name_and_a_password_are_asked_for(closed: tuple[str, list[str]], photo: Path) -> None:
    address, _ = closed
    for path in ("/config", "/gradio_api/info", "/gradio_api/file=/x"):
        assert httpx.get(address + path).status_code == 401
    assert httpx.post(f"{address}/gradio_api/upload", files={"files": ("x.png", b"0")}).status_code == 401
    assert join(address, {"data": [], "fn_index": 0, "session_hash": "x"}).status_code == 401
    assert httpx.post(f"{address}/login", data={"username": "ada", "password": "out"}).status_code == 400
    client = Client(address, auth=("ada", "in"), verbose=False, analytics_enabled=False)
    assert Path(client.predict(handle_file(photo), [handle_file(photo)], api_name="/stylize")).is_file()
    client.close()


# Python's own record of every connection and every look-up of a name in the process of the page.
AUDIT = """
import os, sys

def record(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["CALLS"], "a") as file:
            file.write(f"{arguments[1] if event == 'socket.connect' else arguments[0]}\\n")

sys.addaudithook(record)
"""


def test_an_open_address_is_warned_of_nothing_is_sent_and_files_are_removed_at_the_end(photo: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "sitecustomize.py").write_text(AUDIT)
    with serving("--host", "0.0.0.0", PYTHONPATH=str(tmp_path), CALLS=str(calls)) as (address, process, said):
        assert "warning: everyone who can reach 0.0.0.0 can use this page" in said
        uploaded = httpx.post(f"{address}/gradio_api/upload", files={"files": ("x.png", photo.read_bytes())}).json()
        folder = Path(uploaded[0]).parent.parent
        assert (folder / "samples" / "mosaic.png").is_file()
        assert folder.stat().st_mode & 0o077 == 0  # nobody else on this computer reads it
    assert process.returncode == 0
    assert not folder.exists()
    called = calls.read_text().splitlines()  # Gradio asks itself whether it has started
    assert called
    assert [line for line in called if not any(own in line for own in ("127.0.0.1", "0.0.0.0", "localhost", "::1"))] == []


def test_half_a_login_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NST_ADAIN_USER", "ada")
    assert main(["app", "--no-browser"]) == 1
    assert "NST_ADAIN_USER, NST_ADAIN_PASSWORD: expected both or neither" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "https://", "[", ":80"])
def test_a_host_without_a_name_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["app", "--no-browser", "--allow-host", name])
    assert ended.value.code == 2
    assert f"--allow-host: expected the name of a host, such as pictures.example.org, got {name!r}" in capsys.readouterr().err


def test_a_taken_port_is_said(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    port = address.rpartition(":")[2]
    command = [sys.executable, "-m", "nst_adain", "app", "--no-browser", "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr == f"nst-adain: error: port {port} of 127.0.0.1 cannot be used: choose another with --host, --port\n"


def test_without_gradio_the_extra_is_named() -> None:
    code = "import sys; sys.modules['gradio'] = None; from nst_adain.cli.main import main; sys.exit(main(['app']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "nst-adain: error: gradio is missing: pip install '.[web]' in a checkout\n")


@pytest.mark.slow
def test_fifty_clients_at_once(tmp_path: Path, slim: Stylizer) -> None:
    """Everyone is answered with the own picture or told to wait; memory stays bounded."""

    def ask(address: str, seed: int) -> tuple[int, str]:
        path = tmp_path / f"{seed}.png"
        picture(320, 240, seed=seed).save(path)
        client = Client(address, verbose=False, analytics_enabled=False, download_files=str(tmp_path / f"got{seed}"))
        try:
            return seed, client.predict(handle_file(path), [handle_file(path)], api_name="/stylize")
        except AppError as error:
            return seed, f"refused: {error}"
        finally:
            client.close()

    with serving() as (address, process, _):
        memory, stop = [], threading.Event()

        def watch() -> None:
            while not stop.wait(0.2):
                memory.append(psutil.Process(process.pid).memory_info().rss)

        watcher = threading.Thread(target=watch)
        watcher.start()
        ask(address, 0)
        before = max(memory)
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            answers = dict(pool.map(lambda seed: ask(address, seed), range(1, 51)))
        stop.set()
        watcher.join()
    served = {seed: made for seed, made in answers.items() if not made.startswith("refused")}
    assert all("queue" in said.lower() for seed, said in answers.items() if seed not in served)
    print(json.dumps({"served": len(served), "before": before / 2**20, "peak": max(memory) / 2**20}))
    assert len(served) >= 40
    assert max(memory) - before < 1.5 * 2**30
    for seed, made in served.items():
        path = tmp_path / f"{seed}.png"
        np.testing.assert_array_equal(np.asarray(Image.open(made)), np.asarray(slim(path, path)))
