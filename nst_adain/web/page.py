"""Lays out the page, and connects each control to its action."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from nst_adain.controls import BOLDNESS
from nst_adain.figures.gallery import STYLES
from nst_adain.figures.samples import PHOTOGRAPHS
from nst_adain.web.actions import SLOTS, Actions
from nst_adain.web.limits import MAX_CELLS
from nst_adain.web.parts import comparison, easel, shelf
from nst_adain.web.studio import Studio

__all__ = ["DEVICE", "QUIET", "Form", "page"]

DEVICE: dict[str, Any] = {"concurrency_id": "device", "concurrency_limit": 1}  # one job at a time, whoever asks
QUIET: dict[str, Any] = {"api_visibility": "private", "preprocess": False}
# The components that define a request, under the names by which `Actions` knows them.
Form: TypeAlias = dict[str, Any]


def page(studio: Studio, folder: Path) -> gr.Blocks:
    """Build the page.

    Args:
        studio: the models.
        folder: Gradio's folder for files; its subfolder `samples` holds what `samples.save_inputs` writes.
    """
    actions = Actions(studio, folder)
    with gr.Blocks(title="nst-adain", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML("<h1>nst-adain</h1>", apply_default_css=False, elem_classes="title")
        with gr.Tabs():
            with gr.Tab("Picture"):
                form = _picture_tab(blocks, actions)
            with gr.Tab("Grid"):
                _grid_tab(actions, form)
            with gr.Tab("Video"):
                _video_tab(actions, form)
        gr.events.api(actions.stylize, api_name="stylize", **DEVICE)
        blocks.unload(actions.leave)
    assert isinstance(blocks, gr.Blocks)
    return blocks


def _inputs(form: Form) -> set[gr.blocks.Block]:
    """Return all components of a form as a set: Gradio then passes a handler the values by component."""
    return set(itertools.chain.from_iterable(part if isinstance(part, list) else [part] for part in form.values()))


def _asked(handler: Callable[..., Any], form: Form) -> Callable[..., Any]:
    """Wrap a handler so that it receives the values of a form by name instead of by component."""

    @functools.wraps(handler)
    def called(values: dict[gr.blocks.Block, Any], *others: Any) -> Any:
        value = values.__getitem__
        asked = {name: [*map(value, part)] if isinstance(part, list) else value(part) for name, part in form.items()}
        return handler(asked, *others)

    return called


def _picture_tab(blocks: gr.Blocks, actions: Actions) -> Form:
    """Lay out the tab for one picture; return the components that define the request."""
    with gr.Row(elem_classes="workbench"):
        with gr.Column(scale=2, min_width=320):
            photo = _picture("Photograph", actions, PHOTOGRAPHS, "coffee", ["upload", "clipboard", "webcam"])
            styles, shares = _style_slots(actions)
        with gr.Column(scale=3, min_width=320):
            result = comparison()
            alpha = gr.Slider(0, 1.5, 1, step=0.01, label="Strength", info="Above 1 exaggerates the style.")
            bold = gr.Slider(0, 1, BOLDNESS, step=0.01, label="Boldness", info="Of the strokes.", visible=actions.studio.bold)
            buttons = _long_job("Make it in full size")
            with gr.Accordion("Paint where the style applies", open=False):
                canvas = easel()
            with gr.Accordion("Colours, size, strokes", open=False):
                options = _options(actions.studio.models)
            with gr.Accordion("The same as a command and in Python", open=False):
                command = gr.Code(language="shell", label="Command", interactive=False, wrap_lines=True)
                code = gr.Code(language="python", label="Python", interactive=False, wrap_lines=True)
    form: Form = {
        "photo": photo,
        "styles": styles,
        "shares": shares,
        "alpha": alpha,
        "boldness": bold,
        **options,
        "mask": canvas,
    }

    def show(event: Callable[..., Any]) -> Any:
        waiting: dict[str, Any] = {"show_progress": "minimal", "show_progress_on": result, "trigger_mode": "always_last"}
        return event(_asked(actions.preview, form), _inputs(form), [result, command, code], **waiting, **DEVICE, **QUIET)

    moved = [control.input for control in (alpha, bold, *shares, *options.values(), canvas)]  # type: ignore[attr-defined]  # all of them have one
    for change in (photo.change, *(style.change for style in styles), *moved):
        change(actions.outdate, None, buttons[2], queue=False, show_progress="hidden", **QUIET)
    for trigger in (blocks.load, photo.change):
        show(trigger(actions.open_photo, photo, [result, canvas], show_progress="hidden", **QUIET).then)
    for style in styles:
        show(style.change(actions.shares, styles, shares, show_progress="hidden", **QUIET).then)
    for change in moved:
        show(change)
    _run(actions, buttons, actions.full, actions.cancel_full, form, buttons[2], result)
    return form


def _picture(label: str, actions: Actions, names: Any, first: str | None, sources: Any) -> gr.Image:
    """Let the user upload, paste or take a picture, or choose a sample."""
    value = None if first is None else str(actions.samples / f"{first}.png")
    image = gr.Image(value, label=label, type="filepath", sources=sources, height=190, buttons=[], alt_text=label)
    samples = shelf([(name, name.replace("_", " "), actions.thumbnail(name)) for name in names])
    # Gradio would treat a chosen sample as a file that the app made, and remove it.
    image.keep_in_cache.update(str(actions.samples / f"{name}.png") for name in names)
    samples.click(actions.choose, None, image, show_progress="hidden", api_visibility="private")
    return image


def _style_slots(actions: Actions) -> tuple[list[gr.Image], list[gr.Slider]]:
    """Lay out the styles to mix, and their shares."""
    styles = []
    with gr.Tabs():
        for slot in range(SLOTS):
            with gr.Tab(f"Style {slot + 1}" if slot == 0 else f"{slot + 1}"):
                first = "brush_strokes" if slot == 0 else None
                styles.append(_picture(f"Style {slot + 1}", actions, STYLES, first, ["upload", "clipboard"]))
    return styles, [gr.Slider(0, 100, 50, step=1, label="Share", visible=False) for _ in range(SLOTS)]


def _options(models: tuple[str, ...]) -> dict[str, gr.components.Component]:
    colors = [
        ("The style's", ""),
        ("The photograph's, by lightness", "luminance"),
        ("The photograph's, given to the style", "coral"),
    ]
    details = [("Fine strokes", "strokes"), ("The photograph's details: quick, soft", "photo")]
    return {
        "color": gr.Radio(colors, value="", label="Colours"),
        "size": gr.Number(0, precision=0, minimum=0, label="Short side of the result in pixels (0: as the photograph)"),
        "style_size": gr.Slider(64, 1024, 512, step=64, label="Strokes: style pictures reduced to", info="Less is finer."),
        "look_size": gr.Slider(128, 1024, 512, step=64, label="Breadth: the look of a picture of", info="Less is broader."),
        "detail": gr.Radio(details, value="strokes", label="In pictures larger than that"),
        "model": gr.Dropdown(list(models), value=models[0], label="Model", visible=len(models) > 1),
    }


def _long_job(label: str) -> tuple[gr.Button, gr.Button, gr.DownloadButton]:
    with gr.Row():
        make = gr.Button(label, variant="primary")
        cancel = gr.Button("Cancel", variant="stop", visible=False)
        download = gr.DownloadButton("Download", visible=False)
    return make, cancel, download


def _run(
    actions: Actions, buttons: Any, job: Callable[..., Any], stop: Callable[..., Any], form: Form, output: Any, shown_on: Any
) -> None:
    """Let the button "make" start a job, with progress, and "cancel" stop it, waiting or running."""
    make, cancel, download = buttons
    started = make.click(actions.begin, None, [make, cancel, download], queue=False, show_progress="hidden", **QUIET)
    running = started.then(_asked(job, form), _inputs(form), output, show_progress_on=shown_on, **DEVICE, **QUIET)
    for ended in (running.success, running.failure):
        ended(actions.end, None, [make, cancel], queue=False, show_progress="hidden", **QUIET)
    cancel.click(stop, None, [make, cancel], queue=False, cancels=running, show_progress="hidden", **QUIET)


def _grid_tab(actions: Actions, form: Form) -> None:
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
    form = {**form, "kind": kind, "steps": steps, "more": more}
    make.click(_asked(actions.grid, form), _inputs(form), sheet, **DEVICE, **QUIET)


def _video_tab(actions: Actions, form: Form) -> None:
    with gr.Row(elem_classes="workbench"):
        with gr.Column(scale=2, min_width=320):
            gr.Markdown(
                "A short video in the styles, strength and size of the first tab, without its brush. Its sound is kept."
            )
            # A player here would offer to trim the video, with a program from another site.
            source = gr.File(label="Video", file_types=["video"], height=160)
            steadiness = gr.Slider(0, 0.95, 0.7, step=0.05, label="Steadiness", info="Against flicker; much of it is softer.")
            buttons = _long_job("Make the video")
        with gr.Column(scale=3, min_width=320):
            result = gr.Video(label="Result", interactive=False, buttons=["download"])
    form = {**form, "source": source, "steadiness": steadiness}
    _run(actions, buttons, actions.video, actions.cancel_video, form, result, result)
