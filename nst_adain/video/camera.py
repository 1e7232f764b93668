"""Stylises a camera in a window of its own, as `nst-adain live` does.

The window is Tkinter's, which comes with Python: the OpenCV that this package needs has none.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from nst_adain.images.io import save_image
from nst_adain.video.frames import read_frames, scaled

__all__ = ["KEYS", "Scene", "Window", "frames_of", "play", "pressed"]

KEYS = """\
keys:
1 to 9  a style        0  all of them, mixed
Up, Down  strength     Left, Right  boldness
space  the camera itself, and back
s  save a picture      q, Escape  end"""
_STEP = 0.05  # of a strength or a boldness


@dataclasses.dataclass(frozen=True)
class Scene:
    """Says how frames are stylised.

    Attributes:
        weights: one for each style.
        alpha, boldness: as for calling a `Stylizer`.
        plain: whether the camera itself is shown.
    """

    weights: Sequence[float]
    alpha: float = 1.0
    boldness: float | None = None
    plain: bool = False


def pressed(scene: Scene, key: str, mixture: Sequence[float]) -> Scene:
    """Return the scene after a key, by Tk's name of it; a key without a meaning changes nothing.

    Args:
        scene: as it was.
        key: such as "1", "Up" or "space".
        mixture: the weights of all styles together.
    """
    if key.isdecimal() and int(key) <= len(mixture):
        chosen = int(key) - 1
        weights = list(mixture) if chosen < 0 else [float(style == chosen) for style in range(len(mixture))]
        return dataclasses.replace(scene, weights=weights, plain=False)
    if key in ("Up", "Down"):
        alpha = scene.alpha + (_STEP if key == "Up" else -_STEP)
        return dataclasses.replace(scene, alpha=round(min(max(alpha, 0.0), 2.0), 2), plain=False)
    if key in ("Left", "Right") and scene.boldness is not None:
        boldness = scene.boldness + (_STEP if key == "Right" else -_STEP)
        return dataclasses.replace(scene, boldness=round(min(max(boldness, 0.0), 1.0), 2), plain=False)
    return dataclasses.replace(scene, plain=not scene.plain) if key == "space" else scene


def frames_of(camera: str, size: int) -> Iterator[Image.Image]:
    """Yield the frames of a camera as it makes them, mirrored, or of a video as fast as they are asked for.

    Args:
        camera: its number, from "0", or the file of a video.
        size: short side in pixels to which frames are scaled.

    Raises:
        ModuleNotFoundError: if OpenCV is not installed.
        OSError: if there is no such camera, or it stops.
        ImageError: if a file is no video.
    """
    if not camera.isdecimal():
        yield from (scaled(frame, size) for frame in read_frames(camera))
        return
    import cv2

    source = cv2.VideoCapture(int(camera))
    source.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not the next of a queue
    try:
        while True:
            there, pixels = source.read()
            if not there:
                raise OSError(f"camera {camera}: expected one that can be read, found none")
            yield scaled(Image.fromarray(pixels[:, ::-1, ::-1].copy()), size)
    finally:
        source.release()


def play(
    frames: Iterable[Image.Image],
    stylise: Callable[[Image.Image, Scene], Image.Image],
    show: Callable[[Image.Image, str], Sequence[str]],
    scene: Scene,
    folder: Path,
) -> int:
    """Show frames, stylised, until there are no more or the user ends it; return how many were shown.

    Args:
        frames: from `frames_of`.
        stylise: makes the picture of a frame.
        show: shows a picture under a title, and returns the keys that were pressed since the last one.
        scene: what to begin with; its weights are those of all styles mixed.
        folder: where pictures are saved.
    """
    mixture, count, rate, before = scene.weights, 0, 0.0, time.monotonic()
    for frame in frames:
        made = frame if scene.plain else stylise(frame, scene)
        keys = show(made, f"nst-adain: strength {scene.alpha:g}, {rate:.0f} frames per second")
        count += 1
        now = time.monotonic()
        rate, before = 0.9 * rate + 0.1 / max(now - before, 1e-3), now
        for key in keys:
            scene = pressed(scene, key, mixture)
            if key == "s":
                print(f"saved {_save(made, folder)}", flush=True)
        if {"q", "Escape"} & set(keys):
            break
    return count


def _save(image: Image.Image, folder: Path) -> Path:
    path = next(path for number in itertools.count(1) if not (path := folder / f"live-{number}.png").exists())
    save_image(image, path)
    return path


class Window:
    """Shows pictures in a window of Tkinter's; used as a context manager."""

    def __init__(self) -> None:
        """Open the window.

        Raises:
            OSError: if Python has no Tkinter, or there is no screen.
        """
        try:
            import tkinter
        except ModuleNotFoundError as error:
            raise OSError("expected Tkinter, for a window: on Debian and Ubuntu, apt-get install python3-tk") from error
        try:
            self.root = tkinter.Tk()
        except tkinter.TclError as error:
            raise OSError(f"expected a screen to open a window on: {error}") from error
        self.keys: list[str] = []
        self.label = tkinter.Label(self.root, borderwidth=0)
        self.label.pack()
        self.root.bind("<Key>", lambda event: self.keys.append(event.keysym))
        self.root.protocol("WM_DELETE_WINDOW", lambda: self.keys.append("Escape"))

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.root.destroy()

    def show(self, image: Image.Image, title: str) -> list[str]:
        """Show a picture, at least 512 pixels high, under a title; return the keys that were pressed since the last one."""
        from PIL import ImageTk

        times = max(1, -(-512 // image.height))
        shown: Any = ImageTk.PhotoImage(image.resize((image.width * times, image.height * times), Image.Resampling.BILINEAR))
        self.label.configure(image=shown)
        self.root.title(title)
        self.root.update()
        keys, self.keys = self.keys, []
        return keys
