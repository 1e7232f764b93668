"""What the page's controls do: values of Gradio's components in, what to show out, and what went wrong in words."""

from __future__ import annotations

import contextlib
import html
import itertools
import os
import re
import secrets
import threading
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from PIL import Image

from nst_adain.demo import PHOTOGRAPHS
from nst_adain.errors import out_of_memory
from nst_adain.figures import grid
from nst_adain.figures.gallery import STYLES
from nst_adain.images.io import flatten, save_image
from nst_adain.results import result_name
from nst_adain.video.stylize import stylize_video
from nst_adain.web.parts import data_url, painted
from nst_adain.web.request import Recipe
from nst_adain.web.studio import Studio
from nst_adain.web.uploads import SAMPLES, check_room

__all__ = ["SLOTS", "Actions"]

SLOTS = 4  # styles that can be mixed
MAX_FRAMES = 1800  # of a video: a minute at 30 frames a second
MAX_CELLS = 8  # along a side of a grid


class _CancelledError(Exception):
    """Raised inside a job that nobody waits for any more."""


class Actions:
    """Handlers of the page's events. They are given files as dictionaries, as Gradio's clients send them.

    Gradio would decode pictures itself before a handler sees them, without the limits and the words of `load_image`.
    """

    def __init__(self, studio: Studio, folder: Path) -> None:
        """Keep the models, and where to write what can be downloaded: a folder that Gradio serves and empties."""
        self.studio = studio
        self.folder = folder
        self.samples = folder / SAMPLES
        self._cancelled: dict[tuple[str, str], threading.Event] = {}  # of the session and its long job that runs

    def recipe(self, *values: Any) -> Recipe:
        """What the controls ask for.

        Args:
            values: photo, four styles, four shares, strength, colour, size, style size, model, what was painted.

        Raises:
            ValueError: if something is missing or out of range.
        """
        photo, styles, shares = values[0], values[1 : 1 + SLOTS], values[1 + SLOTS : 1 + 2 * SLOTS]
        alpha, color, size, style_size, model, mask = values[1 + 2 * SLOTS :]
        if photo is None:
            raise ValueError("Choose a photograph.")
        chosen = [(self._path(style), share) for style, share in zip(styles, shares) if style is not None]
        if not chosen:
            raise ValueError("Choose a style.")
        used = [(path, share) for path, share in chosen if share] if len(chosen) > 1 else [(chosen[0][0], 1)]
        if not used:
            raise ValueError("All shares are 0: raise one of them.")
        return Recipe(
            self._path(photo),
            [path for path, _ in used],
            [share for _, share in used],
            mask=painted(mask),
            model=model,
            encoder=self.studio.encoder(model),
            alpha=alpha,
            preserve_color=color or None,
            size=size or None,
            style_size=style_size,
        )

    def open_photo(self, photo: dict[str, Any] | None) -> list[dict[str, Any]]:
        """A new photograph: to compare with, and to paint on."""
        url = ""
        if photo is not None:
            with contextlib.suppress(OSError, ValueError):  # the preview, which comes next, says what is wrong
                url = data_url(flatten(self.studio.photo(self._path(photo))))
        return [gr.update(before=url), gr.update(photo=url, value="")]

    def thumbnail(self, name: str) -> str:
        """A small picture of a sample."""
        with Image.open(self.samples / f"{name}.png") as image:
            return data_url(image.resize((160, 160)))

    def choose(self, event: gr.EventData) -> str:
        """One of the samples was clicked."""
        if event.name not in (*PHOTOGRAPHS, *STYLES):  # whatever a client writes there
            raise gr.Error("expected the name of a sample", print_exception=False)
        return str(self.samples / f"{event.name}.png")

    def preview(self, *values: Any) -> tuple[dict[str, str], str, str]:
        """The picture, or what is missing or wrong; and the command and the code that make it."""
        try:
            recipe = self.recipe(*values)
            url = data_url(self.studio.preview(recipe))
        except Exception as error:
            return {"after": "", "message": html.escape(self._words(error))}, "", ""
        return {"after": url, "message": ""}, *self.instructions(recipe)

    def outdate(self) -> dict[str, Any]:
        """A control was moved: the download that is offered is of what was there before. One that is being made is not."""
        return gr.update(visible=False)

    def instructions(self, recipe: Recipe) -> tuple[str, str]:
        """The command and the Python code that make the same picture."""
        names: dict[Path, str] = {}
        for path in (recipe.photo, *recipe.styles):
            if path not in names:
                names[path] = self._name(path, {"out.png", "mask.png", *names.values()})
        command, code = recipe.command(names.__getitem__), recipe.python(names.__getitem__)
        if any(path.parent == self.samples for path in (recipe.photo, *recipe.styles)):
            command = f"nst-adain demo --inputs samples\n{command}"
            code = f"from nst_adain.demo import save_inputs\n{code}".replace("\n\n", '\n\nsave_inputs("samples")\n', 1)
        return command, code

    def shares(self, *styles: dict[str, Any] | None) -> list[dict[str, Any]]:
        """The sliders of the mixture: one for each style, if there are two or more."""
        several = sum(style is not None for style in styles) > 1
        return [gr.update(visible=several and style is not None, label=_share(style)) for style in styles]

    def begin(self) -> list[dict[str, Any]]:
        """Before a long job: make, cancel, download."""
        return [gr.update(interactive=False), gr.update(visible=True), gr.update(visible=False)]

    def cancel_full(self, request: gr.Request) -> list[dict[str, Any]]:
        """Stop this session's picture, if it is being made, and give the buttons back. If it waits, Gradio ends the waiting."""
        return self._cancel(request, "full")

    def cancel_video(self, request: gr.Request) -> list[dict[str, Any]]:
        """The same for its video."""
        return self._cancel(request, "video")

    def _cancel(self, request: gr.Request, job: str) -> list[dict[str, Any]]:
        if event := self._cancelled.get((str(request.session_hash), job)):
            event.set()
        return self.end()

    def end(self) -> list[dict[str, Any]]:
        """After a long job: make, cancel."""
        return [gr.update(interactive=True), gr.update(visible=False)]

    def leave(self, request: gr.Request) -> None:
        """The page was closed: nobody waits for its jobs."""
        self.cancel_full(request)
        self.cancel_video(request)

    def full(self, request: gr.Request, progress: gr.Progress = gr.Progress(), *values: Any) -> dict[str, Any]:  # noqa: B008
        """The picture in full size, as a file."""
        with self._said(), self._cancellable(request, "full") as cancelled:
            recipe = self.recipe(*values)
            image, in_tiles = self.studio.full(recipe, _report(cancelled, progress, "tiles"))
            if in_tiles:
                gr.Warning("There was not enough memory for the whole picture at once: it was made in small tiles.")
            path = self._save(image, result_name(recipe.photo, recipe.styles))
        label = f"Download {image.width} x {image.height} PNG, {path.stat().st_size / 1e6:.1f} MB"
        return gr.update(value=str(path), label=label, visible=True)

    def grid(self, kind: str, steps: int, more: Sequence[dict[str, Any]] | None, *values: Any) -> str:
        """A sheet of results, as a file."""
        with self._said():
            if not 2 <= steps <= MAX_CELLS:
                raise ValueError(f"steps: expected 2 to {MAX_CELLS}, got {steps}")
            if len(more or []) >= MAX_CELLS:
                raise ValueError(f"Choose at most {MAX_CELLS - 1} more photographs: there are {len(more or [])}.")
            recipe = self.recipe(*values)
            photos = [recipe.photo, *(self._path(photo) for photo in more or [])]
            contents = [(path.stem, self.studio.content(recipe.model, path)) for path in photos]
            styles = [(path.stem, self.studio.style(recipe.model, path, recipe.style_size)) for path in recipe.styles]
            stylizer = self.studio.stylizer(recipe.model)
            if kind == "corners" and len(styles) != 4:
                raise ValueError(f"Four corners need four styles with a share above 0, and there are {len(styles)}.")
            if kind == "corners":
                image = grid.corner_grid(stylizer, contents[0][1], styles, steps, alpha=recipe.alpha)
            elif kind == "strengths":
                alphas = [step / (steps - 1) for step in range(steps)]
                image = grid.alpha_grid(stylizer, contents[0][1], styles, [round(alpha, 2) for alpha in alphas])
            else:
                image = grid.cross_grid(stylizer, contents, styles, alpha=recipe.alpha)
            return str(self._save(image, "grid.png"))

    def video(
        self,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        source: dict[str, Any] | None = None,
        steadiness: float = 0.7,
        *values: Any,
    ) -> str:
        """A video in the styles of the picture, as a file."""
        with self._said(), self._cancellable(request, "video") as cancelled:
            if source is None:
                raise ValueError("Choose a video.")
            recipe = self.recipe(source, *values[1:])
            if recipe.preserve_color == "coral":
                raise ValueError("A video keeps its colours by lightness: choose that under colours.")
            output = self._file(result_name(recipe.photo, recipe.styles, ".mp4"))
            stylize_video(
                self.studio.stylizer(recipe.model),
                recipe.photo,
                [self.studio.style(recipe.model, path, recipe.style_size) for path in recipe.styles],
                output,
                weights=recipe.weights,
                steadiness=steadiness,
                size=recipe.size,
                max_pixels=self.studio.max_pixels,
                progress=_report(cancelled, progress, "frames", MAX_FRAMES),
                controls={"alpha": recipe.alpha, "preserve_color": recipe.preserve_color},
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
        model: str = "slim",
    ) -> gr.FileData:
        """A photograph in the style of one or more pictures, as a PNG file. Arguments: as for calling a `Stylizer`."""
        with self._said():
            given = styles if isinstance(styles, list) else [styles]
            recipe = Recipe(
                self._path(photo, "photo"),
                [self._path(style, "styles") for style in given],
                weights or [1] * len(given),
                mask=None if mask is None else self.studio.read(self._path(mask, "mask")),
                model=model,
                alpha=alpha,
                preserve_color=preserve_color,
                size=size,
                style_size=style_size,
            )
            image, _ = self.studio.full(recipe)
            return gr.FileData(path=str(self._save(image, "out.png")))

    def _path(self, file: Any, name: str = "file") -> Path:
        """The path of an uploaded file. A client can write any path there, and Gradio does not check all of them."""
        path = Path(os.path.realpath(str(file.get("path") if isinstance(file, dict) else file)))
        if not path.is_relative_to(self.folder):
            raise ValueError(f"{name}: expected a file that was uploaded here")
        if not path.is_file():
            raise FileNotFoundError(f"{path.name} is no longer kept here: choose it again.")
        return path

    def _name(self, path: Path, taken: Collection[str]) -> str:
        """Under which name the user has a file; another than those of other files, as pasted ones are all named alike."""
        name = f"samples/{path.name}" if path.parent == self.samples else path.name
        numbered = (f"{path.stem}-{number}{path.suffix}" for number in itertools.count(2))
        return next(candidate for candidate in itertools.chain([name], numbered) if candidate not in taken)

    def _file(self, name: str) -> Path:
        """A new file's path. Its folder has a name that nobody guesses: files are served to whoever knows their path."""
        check_room(self.folder)
        folder = self.folder / secrets.token_hex(16)
        folder.mkdir()
        return folder / name

    def _save(self, image: Image.Image, name: str) -> Path:
        path = self._file(name)
        save_image(image, path)
        return path

    @contextlib.contextmanager
    def _cancellable(self, request: gr.Request, job: str) -> Iterator[threading.Event]:
        """A long job, and what says that it was cancelled."""
        key, cancelled = (str(request.session_hash), job), threading.Event()
        self._cancelled[key] = cancelled
        try:
            yield cancelled
        finally:
            self._cancelled.pop(key, None)

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        """Errors become messages on the page."""
        try:
            yield
        except Exception as error:
            raise gr.Error(self._words(error), visible=not isinstance(error, _CancelledError), print_exception=False) from error

    def _words(self, error: Exception) -> str:
        """What went wrong, for someone who does not see this computer's folders."""
        if isinstance(error, _CancelledError):
            return "Cancelled."
        if out_of_memory(error):
            return "There is not enough memory for this, even in tiles: choose a smaller size."
        if isinstance(error, (OSError, ValueError)):
            return re.sub(rf"{re.escape(str(self.folder))}/[^/]+/", "", str(error))
        traceback.print_exception(error)
        return "Something went wrong that is not your fault. The log of the server says what."


def _report(
    cancelled: threading.Event, progress: gr.Progress, unit: str, limit: int | None = None
) -> Callable[[int, int | None], None]:
    """What a long job tells of itself; here it is ended if it was cancelled or is too long."""

    def report(done: int, total: int | None) -> None:
        if cancelled.is_set():
            raise _CancelledError
        if limit and max(done, total or 0) > limit:
            raise ValueError(f"expected at most {limit:,} {unit}, found {max(done, total or 0):,}")
        progress((done, total), unit=unit)

    return report


def _share(style: dict[str, Any] | None) -> str:
    return f"Share of {Path(str(style['path'])).stem.replace('_', ' ')}" if style else "Share"
