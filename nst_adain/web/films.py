"""Handles the events of the tabs for sheets, videos and the camera, which take styles and settings from the first tab."""

from __future__ import annotations

import html
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr
from PIL import Image

from nst_adain.controls import Controls
from nst_adain.figures import grid
from nst_adain.figures.samples import PHOTOGRAPHS, photograph
from nst_adain.images.io import flatten
from nst_adain.results import result_name
from nst_adain.video.frames import check_moving, read_frames, save_video
from nst_adain.video.smoothing import SmoothedStylizer
from nst_adain.video.stylize import stylize_video
from nst_adain.web.limits import MAX_CELLS, MAX_FRAMES
from nst_adain.web.looks import Asked
from nst_adain.web.parts import camera_frame, data_url
from nst_adain.web.request import Request
from nst_adain.web.studio import reduced
from nst_adain.web.telling import in_words, reporting
from nst_adain.web.uploads import new_file

if TYPE_CHECKING:
    from nst_adain.web.actions import Actions

__all__ = ["Films"]

_CAMERAS = 8  # sessions whose last frames are kept
_PATIENCE = 5.0  # seconds that a frame waits for others: a slow computer's first one, while the model is loaded, is no crowd


class Films:
    """Handles the events of the tabs for sheets, videos and the camera."""

    def __init__(self, actions: Actions) -> None:
        """Work with the same models and folder as the first tab."""
        self.actions = actions
        self.studio = actions.studio
        self._steady: dict[str, tuple[tuple[str, float], SmoothedStylizer]] = {}  # by session, the latest last
        self._camera = threading.Lock()  # frames are not queued, and computed one at a time

    def grid(self, asked: Asked) -> str:
        """Make a sheet of results, as a file. `asked` also has its `kind`, the `steps` along a side, and `more` photographs."""
        kind, steps, more = asked["kind"], asked["steps"], asked["more"] or []
        with self.actions.reporting():
            if not 2 <= steps <= MAX_CELLS:
                raise ValueError(f"steps: expected 2 to {MAX_CELLS}, got {steps}")
            if len(more) >= MAX_CELLS:
                raise ValueError(f"Choose at most {MAX_CELLS - 1} more photographs: there are {len(more)}.")
            wanted = self.actions.request_of(asked)
            photos = [wanted.photo, *(self.actions.path(photo) for photo in more)]
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
            return str(self.actions.save(image, "grid.png"))

    def cancel_video(self, request: gr.Request) -> list[dict[str, Any]]:
        """Stop making this session's video, and reset the buttons."""
        self.actions.jobs.cancel(request, "video")
        return self.actions.end()

    def leave(self, request: gr.Request) -> None:
        """Cancel the jobs of a page that was closed."""
        self.actions.cancel_full(request)
        self.cancel_video(request)
        self._steady.pop(str(request.session_hash), None)

    def live(self, asked: Asked, request: gr.Request) -> dict[str, Any]:
        """Return a frame of the camera in the styles of the picture. `asked` also has the `frame` and `steadiness`."""
        frame = asked["frame"] if isinstance(asked["frame"], dict) else {}
        answer = {"number": frame.get("number"), "picture": "", "message": ""}
        try:
            answer["picture"] = data_url(self._through_the_model(frame.get("picture"), asked, str(request.session_hash)))
        except Exception as error:
            answer["message"] = in_words(error, self.actions.folder)
        return gr.update(shown=answer)

    def _through_the_model(self, picture: Any, asked: Asked, session: str) -> Image.Image:
        photo = {"path": str(self.actions.samples / f"{PHOTOGRAPHS[0]}.png")}  # a request needs one, and any does
        wanted = self.actions.request_of({**asked, "photo": photo, "mask": ""})
        if wanted.preserve_color == "coral":
            raise ValueError("The camera keeps its colours by lightness only: choose that under Colours.")
        styles = [self.studio.style(wanted.model, path, wanted.style_size) for path in wanted.styles]
        controls: Controls = {**wanted.of_each_frame(), "weights": wanted.weights}
        if not self._camera.acquire(timeout=_PATIENCE):
            raise ValueError("Too many cameras are in use here: try again later.")
        try:
            return self._steadied(session, wanted.model, asked["steadiness"])(camera_frame(picture), styles, **controls)
        finally:
            self._camera.release()

    def _steadied(self, session: str, model: str, steadiness: float) -> SmoothedStylizer:
        """Return what smooths a session's frames; it starts anew with another model or steadiness."""
        known = self._steady.pop(session, None)
        if known is None or known[0] != (model, steadiness):
            known = (model, steadiness), SmoothedStylizer(self.studio.stylizer(model), steadiness)
        self._steady[session] = known
        while len(self._steady) > _CAMERAS:
            self._steady.pop(next(iter(self._steady)))
        return known[1]

    def video(self, asked: Asked, request: gr.Request, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008
        """Make a video in the styles of the picture, as a file. `asked` also has its `source` and `steadiness`."""
        with self.actions.reporting(), self.actions.jobs.cancellable(request, "video") as cancelled:
            wanted = self._moving(asked)
            output = new_file(self.actions.folder, result_name(wanted.photo, wanted.styles, ".mp4"))
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

    def begin_sheet(self, asked: Asked) -> Any:
        """Make a sheet as the tab is opened, unless there is one: `asked` also has the `sheet`."""
        return gr.skip() if asked["sheet"] else self.grid(asked)

    def begin_video(self, source: Any) -> Any:
        """Return a clip to begin with, unless there is one."""
        if source is not None:
            return gr.skip()
        path = self.actions.samples / "clip.mp4"
        if not path.exists():
            save_video(_pan(photograph("coffee")), path)
        return str(path)

    def first_frame(self, asked: Asked) -> dict[str, Any]:
        """Return the first frame of a video as it will be, or what is wrong, for the part of the page that shows it."""
        try:
            wanted = self._moving(asked)
            check_moving(wanted.photo)
            frame = next(read_frames(wanted.photo), None)
            if frame is None:
                raise ValueError("expected a video, found no frame")
            styles = [self.studio.style(wanted.model, path, wanted.style_size) for path in wanted.styles]
            controls: Controls = {**wanted.of_each_frame(), "weights": wanted.weights}
            shown = self.studio.stylizer(wanted.model)(reduced(frame, wanted.size), styles, **controls)
            return {"url": data_url(flatten(shown)), "words": "The first frame, before the video is made"}
        except Exception as error:
            return {"url": "", "words": html.escape(in_words(error, self.actions.folder))}

    def _moving(self, asked: Asked) -> Request:
        """Turn the values of the controls into a request for a video, without what is painted on the picture."""
        if asked["source"] is None:
            raise ValueError("Choose a video.")
        wanted = self.actions.request_of({**asked, "photo": asked["source"], "mask": ""})
        if wanted.preserve_color == "coral":
            raise ValueError("A video keeps the photo's colours by lightness only: choose that under Colours.")
        return wanted


def _pan(image: Image.Image) -> Iterator[Image.Image]:
    """Move a window across a picture for two seconds."""
    side = round(0.7 * image.width)
    for step in range(24):
        left = round(step / 23 * (image.width - side))
        yield image.crop((left, left // 2, left + side, left // 2 + side)).resize((256, 256), Image.Resampling.BICUBIC)
