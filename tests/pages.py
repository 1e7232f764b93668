"""What the page is given and gives back, as its tests make it and read it."""

from __future__ import annotations

import base64
import io
import types
from typing import Any

import numpy as np
from PIL import Image

from nst_adain.controls import BOLDNESS
from nst_adain.models.pretrained import DEFAULT_MODEL
from nst_adain.web.actions import Actions
from nst_adain.web.looks import SLOTS
from nst_adain.web.parts import BRUSHES

REQUEST: Any = types.SimpleNamespace(session_hash="a")
SAMPLES = ("coffee", "mosaic", "ink_wash")


def upload(actions: Actions, image: Image.Image, name: str) -> dict[str, str]:
    """What Gradio hands over for a file."""
    folder = actions.folder / f"{name}-{np.random.default_rng().integers(1 << 40)}"
    folder.mkdir()
    image.save(folder / name)
    return {"path": str(folder / name)}


def painted(box: tuple[int, int, int, int], size: tuple[int, int] = (45, 31), *more: tuple[int, Any]) -> str:
    """A canvas with a box in the first brush's colour; then brushes by number, each with its box."""
    canvas = Image.new("RGBA", size)
    for brush, place in ((0, box), *more):
        canvas.paste(BRUSHES[brush], place)
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def settings(photo: Any, *styles: Any, shares: list[float] | None = None, alpha: float = 1.0, color: str = "", size: int = 0,
             style_size: int = 512, look_size: int = 512, detail: str = "strokes", boldness: float = BOLDNESS,
             model: str = DEFAULT_MODEL, mask: str = "") -> dict[str, Any]:  # fmt: skip
    slots = [*styles, *[None] * (SLOTS - len(styles))]
    return {"photo": photo, "styles": slots, "shares": shares or [50] * SLOTS, "alpha": alpha, "boldness": boldness,
            "color": color, "size": size, "style_size": style_size, "look_size": look_size, "detail": detail,
            "model": model, "mask": {"of": photo["path"], "url": mask} if mask else ""}  # fmt: skip


def pixels(url: str) -> np.ndarray[Any, Any]:
    """A preview's."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"), dtype=float)


def as_shown(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, subsampling=0)
    return Image.open(buffer)


class NoProgress:
    def __call__(self, *_: object, **__: object) -> None: ...


def make(actions: Actions, values: dict[str, Any], request: Any = REQUEST) -> Image.Image:
    made = actions.full(values, request, NoProgress())  # type: ignore[arg-type]
    with Image.open(made["value"]) as image:
        image.load()
        return image
