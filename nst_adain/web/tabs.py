"""Lays out the tabs for sheets, videos and the camera, and connects each control to its action."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from nst_adain.controls import BOLDNESS
from nst_adain.figures.gallery import STYLES
from nst_adain.web.form import DEVICE, QUIET, SOON, Form, asked, components, long_job, run_job
from nst_adain.web.limits import MAX_CELLS
from nst_adain.web.looks import RANGES, named_models
from nst_adain.web.parts import frame, live, shelf

if TYPE_CHECKING:
    from nst_adain.web.films import Films

__all__ = ["NO_MESSAGES", "grid_tab", "live_tab", "video_tab"]

# Messages of one tab would lie over the next.
NO_MESSAGES = "() => document.querySelectorAll('.toast-close').forEach((button) => button.click())"
_KINDS = [("Photographs by styles", "cross"), ("Styles by strengths", "strengths"), ("Mixtures of four styles", "corners")]


def grid_tab(films: Films, form: Form) -> None:
    """Lay out the tab for sheets of the pictures that `form` asks for."""
    with gr.Tab("Grid") as tab, gr.Row(elem_classes="workbench"):
        with gr.Column(scale=2, min_width=320):
            gr.Markdown("The photograph, styles and strength of the first tab on one sheet, without its brush and colours.")
            kind = gr.Radio(_KINDS, value="strengths", label="Sheet")
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
    make.click(asked(films.grid, form), set(components(form)), sheet, **DEVICE, **QUIET)
    tab.select(None, None, None, js=NO_MESSAGES)
    form = {**form, "sheet": sheet}
    tab.select(asked(films.begin_sheet, form), set(components(form)), sheet, **DEVICE, **QUIET)


def video_tab(films: Films, form: Form) -> None:
    """Lay out the tab for videos in the styles that `form` asks for."""
    with gr.Tab("Video") as tab, gr.Row(elem_classes="workbench"):
        with gr.Column(scale=2, min_width=320):
            gr.Markdown(
                "A short video in the styles, strength and size of the first tab, without its brush. Its sound is kept."
            )
            # A player here would offer to trim the video, with a program from another site.
            source = gr.File(label="Video", file_types=["video"], height=160)
            steadiness = gr.Slider(0, 0.95, 0.7, step=0.05, label="Steadiness", info="Against flicker; much of it is softer.")
            buttons = long_job("Make the video")
        with gr.Column(scale=3, min_width=320):
            first = frame()
            result = gr.Video(label="Result", interactive=False, buttons=["download"], visible=False)
    form = {**form, "source": source, "steadiness": steadiness}
    begun = run_job(films.actions, buttons, films.video, films.cancel_video, form, result, first)
    begun.success(lambda: (gr.update(visible=False), gr.update(visible=True)), None, [first, result], queue=False, **SOON)
    tab.select(None, None, None, js=NO_MESSAGES)
    begin = tab.select(films.begin_video, source, source, **SOON)
    for event in (begin.then, source.change):
        event(asked(films.first_frame, form), set(components(form)), first, **DEVICE, **SOON)
    source.change(lambda: (gr.update(visible=True), gr.update(visible=False)), None, [first, result], queue=False, **SOON)


def live_tab(films: Films, form: Form) -> None:
    """Lay out the tab for the camera, in the styles that `form` asks for, with a model and a strength of its own."""
    models, bold = films.studio.models, films.studio.bold
    fast = "slim" if "slim" in models else models[0]
    with gr.Tab("Live") as tab, gr.Row(elem_classes="workbench"):
        with gr.Column(scale=2, min_width=320):
            gr.Markdown("Your camera in the styles of the first tab, or in one of these.")
            samples = shelf([(name, name.replace("_", " "), films.actions.thumbnail(name)) for name in STYLES])
            alpha = gr.Slider(*RANGES["alpha"], 1, step=0.01, label="Strength")
            boldness = gr.Slider(*RANGES["boldness"], BOLDNESS, step=0.01, label="Boldness", visible=bold)
            steadiness = gr.Slider(0, 0.95, 0.7, step=0.05, label="Steadiness", info="Against flicker; much of it is softer.")
            model = gr.Radio(named_models(models), value=fast, label="Model", visible=len(models) > 1)
        with gr.Column(scale=3, min_width=320):
            camera = live()
    samples.click(films.actions.choose, None, form["styles"][0], show_progress="hidden", api_visibility="private")
    form = {**form, "alpha": alpha, "boldness": boldness, "model": model, "steadiness": steadiness, "frame": camera}
    camera.input(asked(films.live, form), set(components(form)), camera, queue=False, trigger_mode="multiple", **SOON)
    tab.select(None, None, None, js=NO_MESSAGES)
