"""Builds the parts of the page that Gradio lacks, and passes pictures between them and Python."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from nst_adain.web.request import PREVIEW_PIXELS

__all__ = ["MAX_PAINTED", "MAX_SIDE", "comparison", "data_url", "easel", "painted", "share_label", "shelf"]

MAX_SIDE = 65_500  # pixels of a JPEG, by Pillow's encoder
MAX_PAINTED = 2 * PREVIEW_PIXELS  # pixels of a mask; rounding can make a preview's slightly larger than meant

_COMPARISON = """
<figure class="comparison ${value.after ? '' : 'empty'}">
  <img src="${value.after}" alt="The result">
  <img class="before" src="${before}" alt="The photograph">
  <input type="range" min="0" max="100" value="0" aria-label="Compare: how much of the photograph to show">
  <span class="edge" aria-hidden="true"></span>
  <p role="status">${value.message}</p>
</figure>
"""
_FOLLOW = """
element.addEventListener("input", (e) => element.style.setProperty("--cut", `${e.target.value}%`));
element.addEventListener("load", ({target}) =>
  element.style.setProperty("--ratio", target.naturalWidth / target.naturalHeight), true);
"""
_EASEL = """
<div class="easel">
  <div class="board"><img src="${photo}" alt=""><canvas role="img" aria-label="The photograph, to paint on"></canvas></div>
  <div class="tools">
    <label>Brush <input name="size" type="range" min="2" max="40" value="12"></label>
    <label><input name="erase" type="checkbox"> Erase</label>
    <button name="clear" type="button">Clear</button>
    <a download="mask.png" hidden>Download the mask</a>
  </div>
  <p>Paint with a mouse, a pen or a finger. As long as nothing is painted, the style applies everywhere.</p>
</div>
"""
_PAINT = """
const find = (what) => element.querySelector(what), canvas = find("canvas"), photo = find("img"), pen = canvas.getContext("2d");
const place = (e) => [e.offsetX * canvas.width / canvas.clientWidth, e.offsetY * canvas.height / canvas.clientHeight];
const empty = () => { [canvas.width, canvas.height] = [photo.naturalWidth, photo.naturalHeight]; find("a").hidden = true; };
const tell = (mask) => { find("a").hidden = !mask; find("a").href = props.value = mask; trigger("input"); };
let last = null;
const stroke = (e) => {
  pen.globalCompositeOperation = find("[name=erase]").checked ? "destination-out" : "source-over";
  pen.lineWidth = find("[name=size]").value / 100 * Math.min(canvas.width, canvas.height);
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = pen.fillStyle = "white";
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(...(last = place(e)));
  pen.stroke();
  pen.beginPath();  // a line without length is nothing in some browsers, and a click is to be a dot
  pen.arc(...last, pen.lineWidth / 2, 0, 2 * Math.PI);
  pen.fill();
};
photo.addEventListener("load", empty);
canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); last = place(e); stroke(e); });
canvas.addEventListener("pointermove", (e) => last && stroke(e));
const lift = () => { if (last) { last = null; tell(canvas.toDataURL()); } };
canvas.addEventListener("pointerup", lift);
canvas.addEventListener("pointercancel", lift);
find("[name=clear]").addEventListener("click", () => { empty(); tell(""); });
"""
_SHELF = """
<div class="shelf">
  {{#each value}}
  <button name="{{this.[0]}}" type="button" title="{{this.[1]}}"><img alt="{{this.[1]}}" src="{{this.[2]}}"></button>
  {{/each}}
</div>
"""
_CHOOSE = """
element.addEventListener("click", (e) => {
  const button = e.target.closest("button");
  if (button) trigger("click", {name: button.name});
});
"""


def comparison() -> gr.HTML:
    """Show the result, with the photograph over as much of it as the user chooses; or a message.

    Its value is a dictionary of `after`, a data URL, and `message`; its property `before` is a data URL. A range input lies
    over the pictures, so that dragging anywhere on them, touching and the arrow keys move the edge. Gradio changes only
    what differs in the page, so the edge stays in place when a new result appears.
    """
    value = {"after": "", "message": ""}
    return gr.HTML(
        value, before="", html_template=_COMPARISON, js_on_load=_FOLLOW, apply_default_css=False, elem_classes="result"
    )


def easel() -> gr.HTML:
    """Show the photograph to paint on; trigger `input` after every stroke.

    Its value is the painted mask as a data URL, empty for none; its property `photo` is a data URL. Gradio's image editor is
    not used because its server keeps what clients send for every stroke, and lets them make lists of any length.
    """
    return gr.HTML("", photo="", html_template=_EASEL, js_on_load=_PAINT, apply_default_css=False)


def shelf(samples: Sequence[tuple[str, str, str]]) -> gr.HTML:
    """Show small pictures to choose from; trigger `click` with the name.

    Args:
        samples: the name, label and picture, as a data URL, of each.
    """
    return gr.HTML(list(samples), html_template=_SHELF, js_on_load=_CHOOSE, apply_default_css=False)


def share_label(style: dict[str, Any] | None) -> str:
    """Name a style on the slider of its share in a mixture."""
    return f"Share of {Path(str(style['path'])).stem.replace('_', ' ')}" if style else "Share"


def painted(url: str) -> Image.Image | None:
    """Read the mask that a canvas holds, white where it was painted on; None if nothing was painted.

    Raises:
        ValueError: if the URL is not a canvas of the page.
    """
    if not url:
        return None
    try:
        data = base64.b64decode(url.removeprefix("data:image/png;base64,"), validate=True)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height <= MAX_PAINTED:
                image.load()
    except Exception as error:  # decoders may raise anything
        raise ValueError("mask: expected a PNG picture") from error
    if image.width * image.height > MAX_PAINTED or image.mode != "RGBA":
        raise ValueError(f"mask: expected RGBA and at most {MAX_PAINTED:,} pixels, found {image.mode}, {image.size}")
    return image if image.getchannel("A").getbbox() else None


def data_url(image: Image.Image) -> str:
    """Encode a preview as text, which leaves no file to serve, to keep apart from other users' files and to remove.

    Raises:
        ValueError: if a side is longer than JPEG allows.
    """
    if max(image.size) > MAX_SIDE:
        raise ValueError(f"A preview has at most {MAX_SIDE:,} pixels a side, and this one would have {max(image.size):,}.")
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getbuffer()).decode()}"
