"""The page of `nst-adain app`, and the same as an HTTP API by Gradio's client protocol.

Here is what the page looks like and who may ask for how much; what its controls do is in `web_actions`. Nothing on the page
comes from elsewhere, and nothing is sent elsewhere.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import gradio as gr
import gradio.processing_utils
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nst_adain.demo import PHOTOGRAPHS, save_inputs
from nst_adain.gallery import STYLES
from nst_adain.studio import Studio
from nst_adain.web_actions import MAX_CELLS, SLOTS, Actions

__all__ = ["page", "serve"]

MAX_UPLOAD = 50 * 2**20  # bytes of a file, and of all files that are sent at once
MAX_REQUEST = 2 * 2**20  # of any other request
MAX_WAITING = 64  # requests; who comes later is told to try again
MAX_SESSIONS = 256  # whose settings are kept
CLEANING = (600, 4 * 3600)  # seconds: how often files are removed, and how old they are then

# Gradio's page compiles templates and has its scripts and styles inline.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; form-action 'self'"

DEVICE: dict[str, Any] = {"concurrency_id": "device", "concurrency_limit": 1}  # one job at a time, whoever asks
QUIET: dict[str, Any] = {"api_visibility": "private", "preprocess": False}

COMPARISON = """
<figure class="comparison ${value.after ? '' : 'empty'}">
  <img src="${value.after}" alt="The result">
  <img class="before" src="${before}" alt="The photograph">
  <input type="range" min="0" max="100" value="0" aria-label="Compare: how much of the photograph to show">
  <span class="edge" aria-hidden="true"></span>
  <p role="status">${value.message}</p>
</figure>
"""
EASEL = """
<div class="easel">
  <div class="board"><img src="${photo}" alt=""><canvas></canvas></div>
  <div class="tools">
    <label>Brush <input name="size" type="range" min="2" max="40" value="12"></label>
    <label><input name="erase" type="checkbox"> Erase</label>
    <button name="clear" type="button">Clear</button>
    <a download="mask.png" hidden>Download the mask</a>
  </div>
  <p>Paint with a mouse, a pen or a finger. As long as nothing is painted, the style applies everywhere.</p>
</div>
"""
PAINT = """
const find = (what) => element.querySelector(what), canvas = find("canvas"), photo = find("img"), pen = canvas.getContext("2d");
const place = (e) => [e.offsetX * canvas.width / canvas.clientWidth, e.offsetY * canvas.height / canvas.clientHeight];
const empty = () => { [canvas.width, canvas.height] = [photo.naturalWidth, photo.naturalHeight]; find("a").hidden = true; };
const tell = (mask) => { find("a").hidden = !mask; find("a").href = props.value = mask; trigger("input"); };
let last = null;
const stroke = (e) => {
  pen.globalCompositeOperation = find("[name=erase]").checked ? "destination-out" : "source-over";
  pen.lineWidth = find("[name=size]").value / 100 * Math.min(canvas.width, canvas.height);
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "white";
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(...(last = place(e)));
  pen.stroke();
};
photo.addEventListener("load", empty);
canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); last = place(e); stroke(e); });
canvas.addEventListener("pointermove", (e) => last && stroke(e));
canvas.addEventListener("pointerup", () => { last = null; tell(canvas.toDataURL()); });
canvas.addEventListener("pointercancel", () => { last = null; tell(canvas.toDataURL()); });
find("[name=clear]").addEventListener("click", () => { empty(); tell(""); });
"""
SHELF = """
<div class="shelf">
  {{#each value}}
  <button name="{{this.[0]}}" type="button" title="{{this.[1]}}"><img alt="{{this.[1]}}" src="{{this.[2]}}"></button>
  {{/each}}
</div>
"""
CHOOSE = """
element.addEventListener("click", (e) => {
  const button = e.target.closest("button");
  if (button) trigger("click", {name: button.name});
});
"""
FOLLOW = """
element.addEventListener("input", (e) => element.style.setProperty("--cut", `${e.target.value}%`));
element.addEventListener("load", ({target}) =>
  element.style.setProperty("--ratio", target.naturalWidth / target.naturalHeight), true);
"""


def serve(studio: Studio, *, host: str = "127.0.0.1", port: int | None = None, browser: bool = True) -> None:
    """Show the page until the process is interrupted or terminated, and remove what was uploaded.

    Args:
        studio: the models.
        host: the address to listen on. With the environment variables NST_ADAIN_USER and NST_ADAIN_PASSWORD, both are asked
            for; without them a warning is printed if other computers can reach the address.
        port: None takes the first free one from 7860.
        browser: open the page.

    Raises:
        OSError: if the port is taken.
        ValueError: if one of the environment variables is set and the other is not.
    """
    login = _login()
    if login is None and not _is_local(host):
        print(f"nst-adain: warning: everyone who can reach {host} can use this page (NST_ADAIN_USER, NST_ADAIN_PASSWORD)",
              file=sys.stderr)  # fmt: skip
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="nst-adain-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # read by every component as it is made
        save_inputs(folder / "samples")
        # A client may name a file by its address, which Gradio would fetch: of any size, from anywhere.
        gradio.processing_utils.async_ssrf_protected_download = _refuse_to_fetch
        blocks = page(studio, folder).queue(max_size=MAX_WAITING, default_concurrency_limit=1)
        _check_port(host, port)
        _, address, _ = blocks.launch(
            server_name=host,
            server_port=port,
            inbrowser=browser,
            auth=login,
            css_paths=Path(__file__).with_name("web.css"),
            theme=_theme(),
            max_file_size=MAX_UPLOAD,
            app_kwargs={"middleware": [Middleware(_Gate)]},
            state_session_capacity=MAX_SESSIONS,
            footer_links=[],
            share=False,
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            ssr_mode=False,
            quiet=True,
            prevent_thread_lock=True,
        )
        print(f"{address} (end with Ctrl+C)", flush=True)
        blocks.block_thread()


def page(studio: Studio, folder: Path) -> gr.Blocks:
    """The page.

    Args:
        studio: the models.
        folder: Gradio's folder for files; its folder `samples` holds what `demo.save_inputs` writes.
    """
    actions = Actions(studio, folder)
    with gr.Blocks(title="nst-adain", analytics_enabled=False, delete_cache=CLEANING, fill_width=True) as blocks:
        gr.HTML("<h1>nst-adain</h1>", apply_default_css=False, elem_classes="title")
        with gr.Tabs():
            with gr.Tab("Picture"):
                settings = _picture_tab(blocks, actions)
            with gr.Tab("Grid"):
                _grid_tab(actions, settings)
            with gr.Tab("Video"):
                _video_tab(actions, settings)
        gr.events.api(actions.stylize, api_name="stylize", **DEVICE)
        blocks.unload(actions.leave)
    assert isinstance(blocks, gr.Blocks)
    return blocks


def _picture_tab(blocks: gr.Blocks, actions: Actions) -> list[gr.components.Component]:
    """One picture. Returns the components that say what is wanted, in the order of `Actions.recipe`."""
    with gr.Row(elem_classes="workbench"):
        with gr.Column(scale=2, min_width=320):
            photo = _picture("Photograph", actions, PHOTOGRAPHS, "coffee", ["upload", "clipboard", "webcam"])
            styles, shares = _style_slots(actions)
        with gr.Column(scale=3, min_width=320):
            empty = {"after": "", "message": ""}
            result = gr.HTML(
                empty, html_template=COMPARISON, js_on_load=FOLLOW, before="", apply_default_css=False, elem_classes="result"
            )
            alpha = gr.Slider(0, 1.5, 1, step=0.01, label="Strength", info="Above 1 exaggerates the style.")
            buttons = _long_job("Make it in full size")
            with gr.Accordion("Paint where the style applies", open=False):
                easel = gr.HTML("", html_template=EASEL, js_on_load=PAINT, photo="", apply_default_css=False)
            with gr.Accordion("Colours, size, strokes", open=False):
                options = _options(actions.studio.models)
            with gr.Accordion("The same as a command and in Python", open=False):
                command = gr.Code(language="shell", label="Command", interactive=False, wrap_lines=True)
                code = gr.Code(language="python", label="Python", interactive=False, wrap_lines=True)
    settings: list[gr.components.Component] = [photo, *styles, *shares, alpha, *options, easel]

    def show(event: Callable[..., Any]) -> Any:
        return event(actions.preview, settings, [result, command, code], trigger_mode="always_last", show_progress="hidden",
                     **DEVICE, **QUIET)  # fmt: skip

    for trigger in (blocks.load, photo.change):
        show(trigger(actions.open_photo, photo, [result, easel], show_progress="hidden", **QUIET).then)
    for style in styles:
        show(style.change(actions.shares, styles, shares, show_progress="hidden", **QUIET).then)
    for control in (alpha, *shares, *options, easel):
        show(control.input)  # type: ignore[attr-defined]  # every component that can be changed has it
    _run(actions, buttons, actions.full, settings, buttons[2], result)
    return settings


def _picture(label: str, actions: Actions, names: Any, first: str | None, sources: Any) -> gr.Image:
    """A picture by upload, paste or webcam, or one of the samples."""
    value = None if first is None else str(actions.samples / f"{first}.png")
    image = gr.Image(value, label=label, type="filepath", sources=sources, height=190, buttons=[], alt_text=label)
    samples = [(name, name.replace("_", " "), actions.thumbnail(name)) for name in names]
    shelf = gr.HTML(samples, html_template=SHELF, js_on_load=CHOOSE, apply_default_css=False)
    shelf.click(actions.choose, None, image, show_progress="hidden", api_visibility="private")
    return image


def _style_slots(actions: Actions) -> tuple[list[gr.Image], list[gr.Slider]]:
    """The styles to mix, and their shares."""
    styles = []
    with gr.Tabs():
        for slot in range(SLOTS):
            with gr.Tab(f"Style {slot + 1}" if slot == 0 else f"{slot + 1}"):
                first = "brush_strokes" if slot == 0 else None
                styles.append(_picture(f"Style {slot + 1}", actions, STYLES, first, ["upload", "clipboard"]))
    return styles, [gr.Slider(0, 100, 50, step=1, label="Share", visible=False) for _ in range(SLOTS)]


def _options(models: tuple[str, ...]) -> list[gr.components.Component]:
    """Colour, size, style size, model."""
    colors = [("The style's", ""), ("The photograph's, by lightness", "luminance"), ("The photograph's, in the style", "coral")]
    return [
        gr.Radio(colors, value="", label="Colours"),
        gr.Number(0, precision=0, minimum=0, label="Short side of the result in pixels (0: as the photograph)"),
        gr.Slider(64, 1024, 512, step=64, label="Strokes: style pictures reduced to", info="Less is finer."),
        gr.Dropdown(list(models), value=models[0], label="Model", visible=len(models) > 1),
    ]


def _long_job(label: str) -> tuple[gr.Button, gr.Button, gr.DownloadButton]:
    with gr.Row():
        make = gr.Button(label, variant="primary")
        cancel = gr.Button("Cancel", variant="stop", visible=False)
        download = gr.DownloadButton("Download", visible=False)
    return make, cancel, download


def _run(actions: Actions, buttons: Any, job: Callable[..., Any], inputs: Any, output: Any, shown_on: Any) -> None:
    """Make starts a job, with progress; cancel stops it, waiting or running."""
    make, cancel, download = buttons
    started = make.click(actions.begin, None, [make, cancel, download], queue=False, show_progress="hidden", **QUIET)
    running = started.then(job, inputs, output, show_progress_on=shown_on, **DEVICE, **QUIET)
    for ended in (running.success, running.failure):
        ended(actions.end, None, [make, cancel], queue=False, show_progress="hidden", **QUIET)
    cancel.click(actions.cancel, None, [make, cancel], queue=False, cancels=running, show_progress="hidden", **QUIET)


def _grid_tab(actions: Actions, settings: list[gr.components.Component]) -> None:
    kinds = [("Photographs by styles", "cross"), ("Styles by strengths", "strengths"), ("Mixtures of four styles", "corners")]
    with gr.Row(elem_classes="workbench"):
        with gr.Column(scale=2, min_width=320):
            gr.Markdown("The photograph, styles and strength of the first tab on one sheet, without its brush and colours.")
            kind = gr.Radio(kinds, value="strengths", label="Sheet")
            steps = gr.Slider(2, MAX_CELLS, 5, step=1, label="Strengths, or mixtures a side")
            more = gr.File(file_count="multiple", file_types=["image"], label="More photographs", visible=False, height=140)
            make = gr.Button("Make the sheet", variant="primary")
        with gr.Column(scale=3, min_width=320):
            sheet = gr.Image(
                elem_classes="sheet",
                show_label=False,
                alt_text="The sheet",
                type="filepath",
                interactive=False,
                buttons=["download", "fullscreen"],
            )
    kind.change(lambda k: (gr.update(visible=k != "cross"), gr.update(visible=k == "cross")), kind, [steps, more], **QUIET)
    make.click(actions.grid, [kind, steps, more, *settings], sheet, **DEVICE, **QUIET)


def _video_tab(actions: Actions, settings: list[gr.components.Component]) -> None:
    with gr.Row(elem_classes="workbench"):
        with gr.Column(scale=2, min_width=320):
            gr.Markdown("A short video in the styles, strength and size of the first tab. Its sound is kept.")
            # A player here would offer to trim the video, with a program from another site.
            source = gr.File(label="Video", file_types=["video"], height=160)
            steadiness = gr.Slider(0, 0.99, 0.9, step=0.01, label="Steadiness", info="Against flicker.")
            buttons = _long_job("Make the video")
        with gr.Column(scale=3, min_width=320):
            result = gr.Video(label="Result", interactive=False, buttons=["download"])
    _run(actions, buttons, actions.video, [source, steadiness, *settings], result, result)


class _Gate:
    """What passes between the page and its server.

    Requests that are longer than any of the page's are refused: Gradio limits only single files. And browsers are told to
    load nothing from elsewhere, whatever a component of Gradio might offer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = MAX_UPLOAD + 2**16 if scope.get("path", "").endswith("/upload") else MAX_REQUEST
        length = 0

        async def bounded() -> Message:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > limit:
                raise HTTPException(413, f"expected at most {limit:,} bytes")
            return message

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self.app(scope, bounded, guarded)


def _theme() -> gr.themes.Base:
    """With the computer's own fonts, and grey text dark enough to be read."""
    theme = gr.themes.Base(primary_hue="indigo", neutral_hue="zinc", font=["system-ui", "sans-serif"], font_mono=["monospace"])
    return theme.set(body_text_color_subdued="*neutral_500", block_info_text_color="*neutral_500")


def _login() -> tuple[str, str] | None:
    user, password = os.environ.get("NST_ADAIN_USER"), os.environ.get("NST_ADAIN_PASSWORD")
    if bool(user) != bool(password):
        raise ValueError("NST_ADAIN_USER, NST_ADAIN_PASSWORD: expected both or neither, found one")
    return (user, password) if user and password else None


def _check_port(host: str, port: int | None) -> None:
    """Gradio's own words speak of its variables and arguments."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port or 0))
        except OSError as error:
            raise OSError(f"port {port or 'any'} of {host} cannot be used: choose another with --host, --port") from error


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _refuse_to_fetch(url: str, cache_dir: str) -> NoReturn:
    raise gr.Error("expected a file that was uploaded here", print_exception=False)
