"""Builds the parts of the page that Gradio lacks, and passes pictures between them and Python.

Their templates, in `elements`, hold data only as `${...}`, whose values are not read as code again; text from users has to be
escaped before.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from nst_adain.web.request import PREVIEW_PIXELS

__all__ = [
    "BRUSHES",
    "MAX_PAINTED",
    "MAX_SIDE",
    "brushes",
    "camera_frame",
    "chooser",
    "data_url",
    "frame",
    "links",
    "live",
    "paint",
    "painted",
    "part",
    "png_url",
    "share_label",
    "shelf",
    "stage",
    "strip",
    "style_name",
]

MAX_SIDE = 65_500  # pixels of a JPEG, by Pillow's encoder
MAX_PAINTED = 2 * PREVIEW_PIXELS  # pixels of a mask; rounding can make a preview's slightly larger than meant
# The colours of the brush: where all styles apply as they are mixed, and each of them alone.
BRUSHES = ("#6366f1", "#ef4444", "#22c55e", "#facc15", "#06b6d4")


def frame() -> gr.HTML:
    """Show a picture and words; its value is a dictionary of `url`, a data URL, and `words`."""
    return part("frame", None, {"url": "", "words": ""}, elem_classes="first")


def live() -> gr.HTML:
    """Show the camera through the model: trigger `input` for each frame; the property `shown` is its answer."""
    return part("live", "live", "", shown={"number": 0, "picture": "", "message": ""}, elem_classes="camera")


def camera_frame(url: Any) -> Image.Image:
    """Read a frame of the camera.

    Raises:
        ValueError: if the URL is not what the page sends.
    """
    try:
        data = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"), validate=True)
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if image.width * image.height <= PREVIEW_PIXELS:
                return image.convert("RGB")
    except Exception as error:  # decoders may raise anything
        raise ValueError("frame: expected a JPEG picture") from error
    raise ValueError(f"frame: expected at most {PREVIEW_PIXELS:,} pixels, found {image.width * image.height:,}")


def part(template: str, script: str | None, value: Any = None, **props: Any) -> gr.HTML:
    """Make a part of the page from its template and its script, files in `elements`."""
    folder = Path(__file__).with_name("elements")
    code = None if script is None else (folder / f"{script}.js").read_text("utf-8")
    html_template = (folder / f"{template}.html").read_text("utf-8")
    return gr.HTML(value, html_template=html_template, js_on_load=code, apply_default_css=False, **props)


def stage() -> gr.HTML:
    """Show the result, with the photograph over as much of it as the user chooses, and a brush; or a message.

    Its value is what is painted, as `painted` reads it, and it triggers `input` after every stroke. Its properties are
    `after` and `before`, data URLs; `message`; `of`, the photograph's file; `width`, `height` of the canvas; `brushes`. A
    range input lies over the pictures, so that dragging anywhere on them, touching and the arrow keys move the edge. Gradio
    changes only what differs in the page, so edge and paint stay in place when a new result appears. Its own image editor is
    not used because its server keeps what clients send for every stroke, and lets them make lists of any length.
    """
    empty = {"after": "", "before": "", "message": "", "of": "", "width": 3, "height": 2}
    return part("stage", "stage", "", **empty, brushes=brushes(), elem_classes="result")


def shelf(samples: Sequence[tuple[str, str, str]]) -> gr.HTML:
    """Show small pictures to choose from; trigger `click` with the name.

    Args:
        samples: the name, label and picture, as a data URL, of each.

    Its property `chosen` is the name of the one that is marked.
    """
    return part("shelf", "choose", list(samples), chosen="")


def chooser(choices: Sequence[tuple[str, str, str]]) -> gr.HTML:
    """Show buttons, each of a name, a label and a hint; trigger `click` with the name. Its property `chosen` lists names."""
    return part("chips", "choose", list(choices), chosen=[])


def strip() -> gr.HTML:
    """Show the last results; trigger `restore` with the state of the one to go back to. Its value is the present state."""
    return part("strip", "strip", "", elem_classes="history")


def links() -> gr.HTML:
    """Offer small files to download; its value is a list of names and data URLs."""
    return part("links", None, [])


def brushes(styles: Sequence[Any] = ()) -> list[tuple[str, str]]:
    """List the brushes for these styles, by slot: colour, and label as HTML."""
    chosen = [slot for slot, style in enumerate(styles) if style is not None]
    single = [(BRUSHES[slot + 1], html.escape(style_name(styles[slot]))) for slot in chosen] if len(chosen) > 1 else []
    return [(BRUSHES[0], "The mixture" if single else "The style"), *single]


def style_name(style: Any) -> str:
    """Name a style, or another picture, by its file."""
    return Path(str(style["path"] if isinstance(style, dict) else style)).stem.replace("_", " ")


def share_label(style: dict[str, Any] | None) -> str:
    """Name a style on the slider of its share in a mixture."""
    return f"Share of {style_name(style)}" if style else "Share"


def painted(url: Any, slots: int) -> list[Image.Image] | None:
    """Read what was painted as one mask for each slot of a style, "L"; None if nothing was painted.

    Masks that are the same for all styles are the same object.

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
    if not image.getchannel("A").getbbox():
        return None
    pixels = np.asarray(image)
    palette = np.array([[int(color[k : k + 2], 16) for k in (1, 3, 5)] for color in BRUSHES[: slots + 1]])
    # Where two strokes meet, their colours mix, and each pixel belongs to the nearer one.
    distance = ((pixels[..., None, :3].astype(np.int32) - palette) ** 2).sum(-1)
    nearest = distance.argmin(-1)
    if not nearest[pixels[..., 3] > 0].any():
        return [image.getchannel("A")] * slots
    return [Image.fromarray(pixels[..., 3] * np.isin(nearest, (0, slot + 1))) for slot in range(slots)]


def png_url(image: Image.Image) -> str:
    """Encode a mask as text, exactly."""
    return _encoded(image, "PNG")


def paint(mask: Image.Image) -> str:
    """Write a mask as if the first brush had painted it; the inverse of `painted`."""
    color = Image.new("RGBA", mask.size, BRUSHES[0])
    color.putalpha(mask)
    return png_url(color)


def data_url(image: Image.Image) -> str:
    """Encode a preview as text, which leaves no file to serve, to keep apart from other users' files and to remove.

    Raises:
        ValueError: if a side is longer than JPEG allows.
    """
    if max(image.size) > MAX_SIDE:
        raise ValueError(f"A preview has at most {MAX_SIDE:,} pixels a side, and this one would have {max(image.size):,}.")
    return _encoded(image, "JPEG", quality=90, subsampling=0)


def _encoded(image: Image.Image, kind: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getbuffer()).decode()}"
