"""Handles the page's events: takes values of Gradio's components, returns what to show, and reports errors in words."""

from __future__ import annotations

import contextlib
import html
import itertools
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import gradio as gr
from PIL import Image

from nst_adain.controls import Detail
from nst_adain.figures import grid
from nst_adain.figures.gallery import STYLES
from nst_adain.figures.samples import PHOTOGRAPHS
from nst_adain.images.io import flatten, save_image
from nst_adain.models.pretrained import DEFAULT_MODEL
from nst_adain.results import result_name
from nst_adain.video.stylize import stylize_video
from nst_adain.web.limits import MAX_CELLS, MAX_FRAMES
from nst_adain.web.parts import data_url, painted, share_label
from nst_adain.web.request import Request
from nst_adain.web.studio import Studio
from nst_adain.web.telling import CancelledError, in_words, reporting
from nst_adain.web.uploads import SAMPLES, new_file, uploaded

__all__ = ["SLOTS", "Actions", "Asked"]

SLOTS = 4  # styles that can be mixed

# What the controls say: photo, styles, shares, alpha, color, size, style_size, look_size, detail, model, mask.
Asked: TypeAlias = Mapping[str, Any]


class Actions:
    """Handles the page's events. Receives files as dictionaries, as Gradio's clients send them.

    If Gradio decoded pictures before a handler sees them, the limits and error messages of `load_image` would not apply.
    """

    def __init__(self, studio: Studio, folder: Path) -> None:
        """Keep the models, and the folder for downloads, which Gradio serves and empties."""
        self.studio = studio
        self.folder = folder
        self.samples = folder / SAMPLES
        self._cancelled: dict[tuple[str, str], threading.Event] = {}  # by session and its running long job

    def request_of(self, asked: Asked) -> Request:
        """Turn the values of the controls into a request.

        Raises:
            ValueError: if something is missing or out of range.
        """
        if asked["photo"] is None:
            raise ValueError("Choose a photograph.")
        chosen = [(self._path(style), share) for style, share in zip(asked["styles"], asked["shares"]) if style is not None]
        if not chosen:
            raise ValueError("Choose a style.")
        used = [(path, share) for path, share in chosen if share] if len(chosen) > 1 else [(chosen[0][0], 1)]
        if not used:
            raise ValueError("All shares are 0: raise one of them.")
        return Request(
            self._path(asked["photo"]),
            [path for path, _ in used],
            [share for _, share in used],
            mask=painted(asked["mask"]),
            encoder=self.studio.encoder(asked["model"]),
            boldness=self.studio.boldness(asked["model"], asked["boldness"]),
            preserve_color=asked["color"] or None,
            size=asked["size"] or None,
            **{name: asked[name] for name in ("model", "alpha", "style_size", "look_size", "detail")},
        )

    def open_photo(self, photo: dict[str, Any] | None) -> list[dict[str, Any]]:
        """Show a new photograph in the comparison and on the easel."""
        url = ""
        if photo is not None:
            with contextlib.suppress(OSError, ValueError):  # the preview comes next and says what is wrong
                url = data_url(flatten(self.studio.photo(self._path(photo))))
        return [gr.update(before=url), gr.update(photo=url, value="")]

    def thumbnail(self, name: str) -> str:
        """Return a small picture of a sample."""
        with Image.open(self.samples / f"{name}.png") as image:
            return data_url(image.resize((160, 160)))

    def choose(self, event: gr.EventData) -> str:
        """Return the file of the sample that was clicked."""
        if event.name not in (*PHOTOGRAPHS, *STYLES):  # a client may send anything
            raise gr.Error("expected the name of a sample", print_exception=False)
        return str(self.samples / f"{event.name}.png")

    def preview(self, asked: Asked) -> tuple[dict[str, str], str, str]:
        """Return the picture, or a message about what is missing or wrong; and the command and the code that make it."""
        try:
            wanted = self.request_of(asked)
            url = data_url(self.studio.preview(wanted))
        except Exception as error:
            return {"after": "", "message": html.escape(in_words(error, self.folder))}, "", ""
        return {"after": url, "message": ""}, *self.instructions(wanted)

    def outdate(self) -> dict[str, Any]:
        """Hide the download when a control moves, because it no longer matches. A job that is running goes on."""
        return gr.update(visible=False)

    def instructions(self, wanted: Request) -> tuple[str, str]:
        """Return the command and the Python code that make the same picture."""
        names: dict[Path, str] = {}
        for path in (wanted.photo, *wanted.styles):
            if path not in names:
                names[path] = self._name(path, {"out.png", "mask.png", *names.values()})
        command, code = wanted.command(names.__getitem__), wanted.python(names.__getitem__)
        if any(path.parent == self.samples for path in (wanted.photo, *wanted.styles)):
            command = f"nst-adain demo --inputs samples\n{command}"
            code = code.replace("\n\n", '\n\nsave_inputs("samples")\n', 1)
            code = f"from nst_adain.figures.samples import save_inputs\n{code}"
        return command, code

    def shares(self, *styles: dict[str, Any] | None) -> list[dict[str, Any]]:
        """Show a slider for each style of the mixture, if there are two or more."""
        several = sum(style is not None for style in styles) > 1
        return [gr.update(visible=several and style is not None, label=share_label(style)) for style in styles]

    def begin(self) -> list[dict[str, Any]]:
        """Set the buttons before a long job: make, cancel, download."""
        return [gr.update(interactive=False), gr.update(visible=True), gr.update(visible=False)]

    def cancel_full(self, request: gr.Request) -> list[dict[str, Any]]:
        """Stop making this session's picture, and reset the buttons. If the job still waits, Gradio removes it."""
        return self._cancel(request, "full")

    def cancel_video(self, request: gr.Request) -> list[dict[str, Any]]:
        """Stop making this session's video, likewise."""
        return self._cancel(request, "video")

    def _cancel(self, request: gr.Request, job: str) -> list[dict[str, Any]]:
        if event := self._cancelled.get((str(request.session_hash), job)):
            event.set()
        return self.end()

    def end(self) -> list[dict[str, Any]]:
        """Set the buttons after a long job: make, cancel."""
        return [gr.update(interactive=True), gr.update(visible=False)]

    def leave(self, request: gr.Request) -> None:
        """Cancel the jobs of a page that was closed."""
        self.cancel_full(request)
        self.cancel_video(request)

    def full(self, asked: Asked, request: gr.Request, progress: gr.Progress = gr.Progress()) -> dict[str, Any]:  # noqa: B008
        """Make the picture in full size, as a file."""
        with self._reporting(), self._cancellable(request, "full") as cancelled:
            wanted = self.request_of(asked)
            image, in_tiles = self.studio.full(wanted, reporting(cancelled, progress, "tiles"))
            if in_tiles:
                gr.Warning("There was not enough memory for the whole picture at once: it was made in small tiles.")
            path = self._save(image, result_name(wanted.photo, wanted.styles))
        label = f"Download {image.width} x {image.height} PNG, {path.stat().st_size / 1e6:.1f} MB"
        return gr.update(value=str(path), label=label, visible=True)

    def grid(self, asked: Asked) -> str:
        """Make a sheet of results, as a file. `asked` also has its `kind`, the `steps` along a side, and `more` photographs."""
        kind, steps, more = asked["kind"], asked["steps"], asked["more"] or []
        with self._reporting():
            if not 2 <= steps <= MAX_CELLS:
                raise ValueError(f"steps: expected 2 to {MAX_CELLS}, got {steps}")
            if len(more) >= MAX_CELLS:
                raise ValueError(f"Choose at most {MAX_CELLS - 1} more photographs: there are {len(more)}.")
            wanted = self.request_of(asked)
            photos = [wanted.photo, *(self._path(photo) for photo in more)]
            contents = [(path.stem, self.studio.content(wanted.model, path)) for path in photos]
            styles = [(path.stem, self.studio.style(wanted.model, path, wanted.style_size)) for path in wanted.styles]
            stylizer = self.studio.stylizer(wanted.model)
            if kind == "corners" and len(styles) != 4:
                raise ValueError(f"Four corners need four styles with a share above 0, and there are {len(styles)}.")
            if kind == "corners":
                image = grid.corner_grid(stylizer, contents[0][1], styles, steps, alpha=wanted.alpha)
            elif kind == "strengths":
                alphas = [step / (steps - 1) for step in range(steps)]
                image = grid.alpha_grid(stylizer, contents[0][1], styles, [round(alpha, 2) for alpha in alphas])
            else:
                image = grid.cross_grid(stylizer, contents, styles, alpha=wanted.alpha)
            return str(self._save(image, "grid.png"))

    def video(self, asked: Asked, request: gr.Request, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008
        """Make a video in the styles of the picture, as a file. `asked` also has its `source` and `steadiness`."""
        with self._reporting(), self._cancellable(request, "video") as cancelled:
            if asked["source"] is None:
                raise ValueError("Choose a video.")
            wanted = self.request_of({**asked, "photo": asked["source"]})
            if wanted.preserve_color == "coral":
                raise ValueError("A video keeps its colours by lightness: choose that under colours.")
            output = new_file(self.folder, result_name(wanted.photo, wanted.styles, ".mp4"))
            stylize_video(
                self.studio.stylizer(wanted.model),
                wanted.photo,
                [self.studio.style(wanted.model, path, wanted.style_size) for path in wanted.styles],
                output,
                weights=wanted.weights,
                steadiness=asked["steadiness"],
                size=wanted.size,
                max_pixels=self.studio.max_pixels,
                progress=reporting(cancelled, progress, "frames", MAX_FRAMES),
                controls=wanted.of_each_frame(),
            )
            return str(output)

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
        with self._reporting():
            given = styles if isinstance(styles, list) else [styles]
            wanted = Request(
                self._path(photo, "photo"),
                [self._path(style, "styles") for style in given],
                weights or [1] * len(given),
                mask=None if mask is None else self.studio.read(self._path(mask, "mask")),
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
            return gr.FileData(path=str(self._save(image, "out.png")))

    def _path(self, file: Any, name: str = "file") -> Path:
        return uploaded(self.folder, file, name)

    def _name(self, path: Path, taken: Collection[str]) -> str:
        """Name a file as the user knows it, but unlike the names in `taken`: pasted files all have the same name."""
        name = f"samples/{path.name}" if path.parent == self.samples else path.name
        numbered = (f"{path.stem}-{number}{path.suffix}" for number in itertools.count(2))
        return next(candidate for candidate in itertools.chain([name], numbered) if candidate not in taken)

    def _save(self, image: Image.Image, name: str) -> Path:
        path = new_file(self.folder, name)
        save_image(image, path)
        return path

    @contextlib.contextmanager
    def _cancellable(self, request: gr.Request, job: str) -> Iterator[threading.Event]:
        """Register a long job while it runs; yield the event that is set if it is cancelled."""
        key, cancelled = (str(request.session_hash), job), threading.Event()
        self._cancelled[key] = cancelled
        try:
            yield cancelled
        finally:
            self._cancelled.pop(key, None)

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turn errors into messages on the page."""
        try:
            yield
        except Exception as error:
            visible, words = not isinstance(error, CancelledError), in_words(error, self.folder)
            raise gr.Error(words, visible=visible, print_exception=False) from error
