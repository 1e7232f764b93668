"""Lays out the page, and connects each control to its action."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from nst_adain.controls import BOLDNESS
from nst_adain.figures.gallery import STYLES
from nst_adain.figures.samples import PHOTOGRAPHS
from nst_adain.web.actions import Actions
from nst_adain.web.films import Films
from nst_adain.web.form import DEVICE, QUIET, SOON, Form, asked, components, filled, long_job, run_job
from nst_adain.web.looks import RANGES, SLOTS, named_models
from nst_adain.web.parts import chooser, links, shelf, stage, strip
from nst_adain.web.studio import Studio
from nst_adain.web.tabs import NO_MESSAGES, grid_tab, live_tab, video_tab

__all__ = ["page"]

_FIRST = ("astronaut", "brush_strokes")  # the example that is there already
_LOOKS = [
    ("surprise", "Surprise me", "Another style, at random"),
    ("subtle", "Subtle", "Near the photograph, in a touch of the style"),
    ("painterly", "Painterly", "The style at first glance; faces stay as they are"),
    ("bold", "Bold", "Broad strokes, and more style than photograph"),
    ("colors", "Keep colours", "The strokes of the style in the photograph's colours"),
    ("background", "Background only", "The subject stays a photograph. It is guessed: mend it with the brush"),
    ("subject", "Subject only", "The background stays a photograph. It is guessed: mend it with the brush"),
]
# What the browser remembers of this tab, or what a link says; a link counts once, so that a reload keeps what came after.
_REMEMBERED = """(...given) => {
  let said = location.hash.slice(1);
  if (said) history.replaceState(null, "", location.pathname + location.search);
  else try { said = JSON.parse(sessionStorage.getItem("nst-adain"))?.now; } catch { /* forbidden, or damaged */ }
  return [said || "", ...given.slice(1)];
}"""
# The button to download appears when the picture is made: pressed at once, so that one click saves.
_DOWNLOAD = """() => {
  let tries = 40;
  const press = () => {
    const button = document.querySelector("button.saved");
    if (button) button.click();
    else if (tries--) setTimeout(press, 50);
  };
  setTimeout(press, 50);
}"""
# A picture that the browser cannot show, such as HEIC or a damaged one, is hidden where Gradio shows what was chosen.
_NO_BROKEN_PICTURES = """
document.addEventListener("error", ({target: t}) => t.matches?.(".chosen img") && t.classList.add("unseen"), true);
document.addEventListener("load", ({target: t}) => t.matches?.(".chosen img") && t.classList.remove("unseen"), true);
"""


def page(studio: Studio, folder: Path, place: str = "your computer") -> gr.Blocks:
    """Build the page.

    Args:
        studio: the models.
        folder: Gradio's folder for files; its subfolder `samples` holds what `samples.save_inputs` writes.
        place: where pictures are made, as the user should call it.
    """
    actions = Actions(studio, folder)
    films = Films(actions)
    with gr.Blocks(title="nst-adain", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(
            f"<h1>nst-adain</h1><p>Paints your photograph in the style of any picture. Nothing leaves {place}.</p>",
            apply_default_css=False,
            elem_classes="title",
            js_on_load=_NO_BROKEN_PICTURES,
        )
        with gr.Tabs():
            with gr.Tab("Picture") as tab:
                form = _picture_tab(blocks, actions)
            tab.select(None, None, None, js=NO_MESSAGES)
            grid_tab(films, form)
            video_tab(films, form)
            live_tab(films, form)
        gr.events.api(actions.stylize, api_name="stylize", **DEVICE)
        blocks.unload(films.leave)
    assert isinstance(blocks, gr.Blocks)
    return blocks


def _picture_tab(blocks: gr.Blocks, actions: Actions) -> Form:
    """Lay out the tab for one picture; return the components that define the request."""
    with gr.Row(elem_classes="workbench"):
        with gr.Column(scale=2, min_width=320, elem_classes="controls"):
            photo, photos = _picture("Photograph", actions, PHOTOGRAPHS, _FIRST[0], ["upload", "clipboard", "webcam"])
            styles, shelves, shares = _style_slots(actions)
            looks = chooser(_LOOKS)
            with gr.Row(elem_classes="sliders"):
                alpha = gr.Slider(*RANGES["alpha"], 1, step=0.01, label="Strength", min_width=120)
                bold = gr.Slider(
                    *RANGES["boldness"], BOLDNESS, step=0.01, label="Boldness", min_width=120, visible=actions.studio.bold
                )
            options = _options(actions.studio.models)
            with gr.Accordion("The same as a command and in Python", open=False):
                command = _code("shell", "Command")
                code = _code("python", "Python")
                masks = links()
        with gr.Column(scale=3, min_width=320, elem_classes="view"):
            result = stage()
            buttons = long_job("Save")
            history = strip()
    form: Form = {"photo": photo, "styles": styles, "shares": shares, "alpha": alpha, "boldness": bold, "mask": result}
    form.update(options)
    around: Form = {**form, "shelf": photos, "shelves": shelves}
    outputs = [result, command, code, masks, history, looks]

    def show(event: Callable[..., Any]) -> Any:
        waiting: dict[str, Any] = {"show_progress": "minimal", "show_progress_on": result, "trigger_mode": "always_last"}
        return event(asked(actions.preview, form), set(components(form)), outputs, **waiting, **DEVICE, **QUIET)

    def fill(event: Callable[..., Any], handler: Callable[..., Any], inputs: Any, parts: Form, **options: Any) -> Any:
        return event(filled(handler, parts), inputs, components(parts), **options, **SOON)

    moved = [control.input for control in (alpha, bold, *shares, *options.values(), result)]  # type: ignore[attr-defined]  # all of them have one
    for change in (photo.change, *(style.change for style in styles), looks.click, history.restore, *moved):
        change(actions.outdate, None, buttons[2], queue=False, **SOON)
    first = [history, *components(form)]
    show(fill(blocks.load, _with_first(actions.start, form), first, around, js=_REMEMBERED).then)
    show(fill(photo.change, actions.open_photo, [photo, result], {"mask": result, "shelf": photos}).then)
    for style in styles:
        show(fill(style.change, actions.shares, styles, {"shares": shares, "shelves": shelves, "mask": result}).then)
    for change in moved:
        show(change)
    show(fill(looks.click, asked(actions.look, form), set(components(form)), form).then)
    show(fill(history.restore, actions.restore, None, form).then)
    made = run_job(actions, buttons, actions.full, actions.cancel_full, form, buttons[2], result)
    made.success(None, None, None, js=_DOWNLOAD)
    return form


def _with_first(handler: Callable[..., Any], form: Form) -> Callable[..., Any]:
    """Wrap a handler of one value and the values of a form, which come one by one: Gradio's `js` takes no set of components."""
    parts = components(form)

    def called(first: Any, *values: Any) -> Any:
        return handler(first, asked(lambda named: named, form)(dict(zip(parts, values))))

    return called


def _code(language: Any, label: str) -> gr.Code:
    return gr.Code(language=language, label=label, interactive=False, wrap_lines=True, show_line_numbers=False)


def _picture(label: str, actions: Actions, names: Any, first: str | None, sources: Any) -> tuple[gr.Image, gr.HTML]:
    """Let the user upload, paste or take a picture, or choose a sample."""
    value = None if first is None else str(actions.samples / f"{first}.png")
    with gr.Row(elem_classes="chosen"):
        image = gr.Image(
            value, label=label, type="filepath", sources=sources, height=170, buttons=[], alt_text=label, min_width=160
        )
        samples = shelf([(name, name.replace("_", " "), actions.thumbnail(name)) for name in names])
    # Gradio would treat a chosen sample as a file that the app made, and remove it.
    image.keep_in_cache.update(str(actions.samples / f"{name}.png") for name in names)
    samples.click(actions.choose, None, image, show_progress="hidden", api_visibility="private")
    return image, samples


def _style_slots(actions: Actions) -> tuple[list[gr.Image], list[gr.HTML], list[gr.Slider]]:
    """Lay out the styles to mix, and their shares."""
    styles, shelves = [], []
    with gr.Tabs(elem_classes="slots"):
        for slot in range(SLOTS):
            with gr.Tab(f"Style {slot + 1}" if slot == 0 else f"{slot + 1}"):
                first = _FIRST[1] if slot == 0 else None
                style, samples = _picture(f"Style {slot + 1}", actions, STYLES, first, ["upload", "clipboard"])
                styles.append(style)
                shelves.append(samples)
    shares = [gr.Slider(0, 100, 50, step=1, label="Share", visible=False, elem_classes="share") for _ in range(SLOTS)]
    return styles, shelves, shares


def _options(models: tuple[str, ...]) -> dict[str, gr.components.Component]:
    colors = [
        ("The style's", ""),
        ("The photo's: paint the lightness only", "luminance"),
        ("The photo's: repaint the style in them", "coral"),
    ]
    details = [("Fine strokes", "strokes"), ("The photograph's details: quick, soft", "photo")]
    with gr.Accordion("Colours, size, strokes", open=False):
        return {
            "color": gr.Radio(colors, value="", label="Colours"),
            "size": gr.Number(0, precision=0, minimum=0, label="Short side of the result in pixels (0: as the photograph)"),
            "style_size": gr.Slider(
                *RANGES["style_size"], 512, step=64, label="Strokes: style pictures reduced to", info="Less is finer."
            ),
            "look_size": gr.Slider(
                *RANGES["look_size"], 512, step=64, label="Breadth: the look of a picture of", info="Less is broader."
            ),
            "detail": gr.Radio(details, value="strokes", label="In pictures larger than that"),
            "model": gr.Radio(named_models(models), value=models[0], label="Model", visible=len(models) > 1),
        }
