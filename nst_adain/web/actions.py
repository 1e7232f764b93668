"""Handles the events of one picture: takes values of Gradio's components, returns what to show, and reports errors in words."""

from __future__ import annotations

import contextlib
import functools
import html
import itertools
import json
import random
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from PIL import Image, ImageChops

from nst_adain.controls import Detail
from nst_adain.figures.gallery import STYLES
from nst_adain.figures.samples import PHOTOGRAPHS
from nst_adain.images.io import flatten, save_image
from nst_adain.models.pretrained import DEFAULT_MODEL
from nst_adain.results import result_name
from nst_adain.web.looks import PRESETS, SLOTS, Asked, preset_of, recalled, state_of, surprise
from nst_adain.web.parts import brushes, data_url, paint, painted, png_url, share_label
from nst_adain.web.request import Request
from nst_adain.web.studio import Studio
from nst_adain.web.subject import find_subject
from nst_adain.web.telling import Jobs, in_words, reported, reporting
from nst_adain.web.uploads import SAMPLES, new_file, uploaded

__all__ = ["Actions"]

_KEPT = 64  # previews, to go back to at once


class Actions:
    """Handles the page's events. Receives files as dictionaries, as Gradio's clients send them.

    If Gradio decoded pictures before a handler sees them, the limits and error messages of `load_image` would not apply.
    """

    def __init__(self, studio: Studio, folder: Path) -> None:
        """Keep the models, and the folder for downloads, which Gradio serves and empties."""
        self.studio = studio
        self.folder = folder
        self.samples = folder / SAMPLES
        self.jobs = Jobs()
        self.reporting = functools.partial(reported, folder)
        self._shown = functools.lru_cache(_KEPT)(self._show)

    def request_of(self, asked: Asked) -> Request:
        """Turn the values of the controls into a request.

        Raises:
            ValueError: if something is missing or out of range.
        """
        if asked["photo"] is None:
            raise ValueError("Choose a photograph.")
        chosen = [(slot, self.path(style)) for slot, style in enumerate(asked["styles"]) if style is not None]
        if not chosen:
            raise ValueError("Choose a style.")
        shares = asked["shares"] if len(chosen) > 1 else [1] * SLOTS
        used = [(slot, path) for slot, path in chosen if shares[slot]]
        if not used:
            raise ValueError("All shares are 0: raise one of them.")
        masks = painted(self._paint(asked), SLOTS)
        return Request(
            self.path(asked["photo"]),
            [path for _, path in used],
            [shares[slot] for slot, _ in used],
            masks=None if masks is None else [masks[slot] for slot, _ in used],
            encoder=self.studio.encoder(asked["model"]),
            boldness=self.studio.boldness(asked["model"], asked["boldness"]),
            preserve_color=asked["color"] or None,
            size=asked["size"] or None,
            **{name: asked[name] for name in ("model", "alpha", "style_size", "look_size", "detail")},
        )

    def start(self, remembered: str, asked: Asked) -> dict[str, Any]:
        """Return what a page shows first: what the browser remembers, or what a link says, else the example that is there."""
        values, lost = recalled(str(remembered or "")[: 2**20], self.folder, self.studio.models)
        if lost:
            gr.Warning(f"No longer kept here: {html.escape(', '.join(lost))}.")
        shown = {**asked, **values}
        opened, mixed = self.open_photo(shown["photo"], shown["mask"]), self.shares(*shown["styles"])
        shares = [{**update, "value": share} for update, share in zip(mixed["shares"], shown["shares"])]
        return {**values, **opened, **mixed, "mask": {**opened["mask"], **mixed["mask"]}, "shares": shares}

    def restore(self, event: gr.EventData) -> dict[str, Any]:
        """Return the settings of an earlier result."""
        values, lost = recalled(str(getattr(event, "state", "")), self.folder, self.studio.models)
        if lost:
            gr.Warning(f"No longer kept here: {html.escape(', '.join(lost))}.")
        return values

    def open_photo(self, photo: Any, mask: Any) -> dict[str, Any]:
        """Show a new photograph beneath the result, and mark it if it is a sample; what was painted on another one goes."""
        shown: dict[str, Any] = {"before": "", "of": "", "width": 3, "height": 2}
        chosen = ""
        if photo is not None:
            with contextlib.suppress(OSError, ValueError):  # the preview comes next and says what is wrong
                path = self.path(photo)
                image = flatten(self.studio.photo(path))
                shown = {"before": data_url(image), "of": str(path), "width": image.width, "height": image.height}
                chosen = path.stem if path.parent == self.samples else ""
        kept = isinstance(mask, dict) and mask.get("of") == shown["of"]
        return {"mask": gr.update(value=mask if kept else "", **shown), "shelf": gr.update(chosen=chosen)}

    def thumbnail(self, name: str) -> str:
        """Return a small picture of a sample."""
        with Image.open(self.samples / f"{name}.png") as image:
            return data_url(image.resize((160, 160)))

    def choose(self, event: gr.EventData) -> str:
        """Return the file of the sample that was clicked."""
        if event.name not in (*PHOTOGRAPHS, *STYLES):  # a client may send anything
            raise gr.Error("expected the name of a sample", print_exception=False)
        return str(self.samples / f"{event.name}.png")

    def look(self, asked: Asked, event: gr.EventData) -> dict[str, Any]:
        """Return the settings of a preset, of a surprise, or what is painted for the subject or the background alone."""
        name = str(event.name)
        if name == "surprise":
            return surprise(asked, self.samples, random.Random())
        if name in PRESETS:
            return dict(PRESETS[name])
        with self.reporting():
            return {"mask": self._only(name, asked)}

    def _only(self, name: str, asked: Asked) -> Any:
        """Paint the subject or all but the subject; if that is painted already, nothing."""
        mask = asked["mask"] if isinstance(asked["mask"], dict) else {}
        if mask.get("only") == name or asked["photo"] is None:
            return ""
        path = self.path(asked["photo"])
        hints = None if mask.get("only") else painted(self._paint(asked), SLOTS)
        subject = find_subject(flatten(self.studio.photo(path)), hints[0] if hints else None)
        found = ImageChops.invert(subject) if name == "background" else subject
        return {"of": str(path), "url": paint(found), "only": name}

    def preview(self, asked: Asked) -> tuple[Any, ...]:
        """Return the picture, or a message about what is missing or wrong; and the command and the code that make it.

        Then follow the masks for these, the state for the browser's memory, and which presets it is at.
        """
        painted_as = asked["mask"].get("only") if isinstance(asked["mask"], dict) else None
        looks = gr.update(chosen=[name for name in (preset_of(asked), painted_as) if name])
        try:
            state = state_of(asked)
            url, *instructions = self._shown(state)
        except Exception as error:
            message = html.escape(in_words(error, self.folder))
            return gr.update(after="", message=message), "", "", [], gr.skip(), looks
        return gr.update(after=url, message=""), *instructions, state, looks

    def _show(self, state: str) -> tuple[str, str, str, list[tuple[str, str]]]:
        """Make the preview of a state. It is kept under the paths of its files, which nobody else can guess."""
        wanted = self.request_of(json.loads(state))
        masks = dict(zip(wanted.mask_names(), wanted.masks or ()))
        files = [(name, png_url(mask)) for name, mask in masks.items()]
        return data_url(self.studio.preview(wanted)), *self.instructions(wanted), files

    def outdate(self) -> dict[str, Any]:
        """Hide the download when a control moves, because it no longer matches. A job that is running goes on."""
        return gr.update(visible=False)

    def instructions(self, wanted: Request) -> tuple[str, str]:
        """Return the command and the Python code that make the same picture."""
        names: dict[Path, str] = {}
        for path in (wanted.photo, *wanted.styles):
            if path not in names:
                names[path] = self._name(path, {"out.png", *wanted.mask_names(), "mask.png", *names.values()})
        command, code = wanted.command(names.__getitem__), wanted.python(names.__getitem__)
        if any(path.parent == self.samples for path in (wanted.photo, *wanted.styles)):
            command = f"nst-adain demo --inputs samples\n{command}"
            code = code.replace("\n\n", '\n\nsave_inputs("samples")\n', 1)
            code = f"from nst_adain.figures.samples import save_inputs\n{code}"
        return command, code

    def shares(self, *styles: Any) -> dict[str, Any]:
        """Show a slider and a brush for each style of the mixture, if there are two or more; mark the samples."""
        several = sum(style is not None for style in styles) > 1
        shares = [gr.update(visible=several and style is not None, label=share_label(style)) for style in styles]
        files = [Path(str(style["path"] if isinstance(style, dict) else style)) for style in styles]
        shelves = [gr.update(chosen=file.stem if file.parent == self.samples else "") for file in files]
        return {"shares": shares, "shelves": shelves, "mask": gr.update(brushes=brushes(styles))}

    def begin(self) -> list[dict[str, Any]]:
        """Set the buttons before a long job: make, cancel, download."""
        return [gr.update(interactive=False), gr.update(visible=True), gr.update(visible=False)]

    def end(self) -> list[dict[str, Any]]:
        """Set the buttons after a long job: make, cancel."""
        return [gr.update(interactive=True), gr.update(visible=False)]

    def cancel_full(self, request: gr.Request) -> list[dict[str, Any]]:
        """Stop making this session's picture, and reset the buttons. If the job still waits, Gradio removes it."""
        self.jobs.cancel(request, "full")
        return self.end()

    def full(self, asked: Asked, request: gr.Request, progress: gr.Progress = gr.Progress()) -> dict[str, Any]:  # noqa: B008
        """Make the picture in full size, as a file."""
        with self.reporting(), self.jobs.cancellable(request, "full") as cancelled:
            wanted = self.request_of(asked)
            image, in_tiles = self.studio.full(wanted, reporting(cancelled, progress, "tiles"))
            if in_tiles:
                gr.Warning("There was not enough memory for the whole picture at once: it was made in small tiles.")
            path = self.save(image, result_name(wanted.photo, wanted.styles))
        label = f"Saved: {image.width} x {image.height} PNG, {path.stat().st_size / 1e6:.1f} MB"
        return gr.update(value=str(path), label=label, visible=True)

    def stylize(
        self,
        photo: gr.FileData,
        styles: list[gr.FileData] | gr.FileData,
        weights: list[float] | None = None,
        alpha: float = 1.0,
        mask: gr.FileData | None = None,
        preserve_color: Literal["luminance", "coral"] | None = None,
        size: int | None = None,
        style_size: int = 512,
        model: str = DEFAULT_MODEL,
        look_size: int = 512,
        detail: Detail = "strokes",
        boldness: float | None = None,
    ) -> gr.FileData:
        """Render a photograph in the style of one or more pictures, as a PNG file. Arguments: as for calling a `Stylizer`."""
        with self.reporting():
            given = styles if isinstance(styles, list) else [styles]
            wanted = Request(
                self.path(photo, "photo"),
                [self.path(style, "styles") for style in given],
                weights or [1] * len(given),
                masks=None if mask is None else [self.studio.read(self.path(mask, "mask"))] * len(given),
                model=model,
                alpha=alpha,
                preserve_color=preserve_color,
                size=size,
                style_size=style_size,
                look_size=look_size,
                detail=detail,
                boldness=boldness,
            )
            image, _ = self.studio.full(wanted)
            return gr.FileData(path=str(self.save(image, "out.png")))

    def path(self, file: Any, name: str = "file") -> Path:
        """Return the path of an uploaded file; raise OSError or ValueError if it is none, or no longer there."""
        return uploaded(self.folder, file, name)

    def save(self, image: Image.Image, name: str) -> Path:
        """Write a picture to a new file, for download."""
        path = new_file(self.folder, name)
        save_image(image, path)
        return path

    def _paint(self, asked: Asked) -> Any:
        """Return what was painted on this photograph, as a URL."""
        mask = asked["mask"]
        return mask.get("url") if isinstance(mask, dict) and mask.get("of") == str(self.path(asked["photo"])) else ""

    def _name(self, path: Path, taken: Collection[str]) -> str:
        """Name a file as the user knows it, but unlike the names in `taken`: pasted files all have the same name."""
        name = f"samples/{path.name}" if path.parent == self.samples else path.name
        numbered = (f"{path.stem}-{number}{path.suffix}" for number in itertools.count(2))
        return next(candidate for candidate in itertools.chain([name], numbered) if candidate not in taken)
