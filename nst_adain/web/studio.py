"""Renders pictures for the page: a preview fast enough for a slider, and the picture in full size."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from nst_adain.controls import BOLDNESS, LOOK_SIZE, Controls, Progress, Style, is_saved
from nst_adain.device import Precision
from nst_adain.errors import UsageError, out_of_memory
from nst_adain.functional import ChannelStats
from nst_adain.images.apart import load_image_apart
from nst_adain.images.io import flatten, resize_short_side
from nst_adain.images.opening import MAX_PIXELS
from nst_adain.models.pretrained import DEFAULT_MODEL, has_bold_end, needs_encoder
from nst_adain.rendering.contents import EncodedContent
from nst_adain.rendering.guidance import working_size
from nst_adain.stylizer import Stylizer
from nst_adain.web.request import PREVIEW, Request

__all__ = ["SMALL_TILE", "Studio", "reduced"]

SMALL_TILE = 512  # side of the tiles when memory ran out


class Studio:
    """Holds the models of a page and caches what they encoded, so that moving a slider only decodes.

    The caches are bounded and keyed by file, so users with different files share nothing.
    """

    def __init__(
        self,
        models: Sequence[str] = (DEFAULT_MODEL,),
        *,
        encoder: str | os.PathLike[str] | None = None,
        device: str | None = None,
        precision: Precision = "auto",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """Load the first model, so that any problem with it shows before the first request.

        Args:
            models: the models to offer, as for `Stylizer.from_pretrained`.
            encoder: as for `Stylizer.from_pretrained`, for the models without an encoder.
            device, precision: as for `Stylizer.from_pretrained`.
            max_pixels: the largest picture to decode or make.

        Raises:
            UsageError: if there is an encoder, but none of the models needs it.
        """
        self.models = tuple(models)
        self.max_pixels = max_pixels
        alone = [name for name in self.models if needs_encoder(name)]
        if encoder and not alone:
            raise UsageError(f"encoder: expected none for models that have their own, got {os.fspath(encoder)!r}")
        self._encoders = dict.fromkeys(alone, encoder)
        load = functools.partial(Stylizer.from_pretrained, device=device, precision=precision)
        self._load: Callable[[str], Stylizer] = functools.cache(lambda name: load(name, encoder=self.encoder(name)))
        self._load(self.models[0])
        # A preview's features take some 20 MB, a style's code some kB, a style picture 1 MB.
        self._content = functools.lru_cache(maxsize=16)(self._encode_content)
        self._style = functools.lru_cache(maxsize=256)(self._encode_style)
        self._picture = functools.lru_cache(maxsize=16)(self._read_style)

    def stylizer(self, model: str) -> Stylizer:
        """Return the model of this name.

        Raises:
            ValueError: if the studio has no such model.
        """
        if model not in self.models:
            raise ValueError(f"model: expected one of {', '.join(self.models)}, got {model!r}")
        return self._load(model)

    def encoder(self, model: str) -> str | os.PathLike[str] | None:
        """Return the file of a model's encoder, if the model has none of its own."""
        return self._encoders.get(model)

    @property
    def bold(self) -> bool:
        """Whether some model has a bold end."""
        return any(map(has_bold_end, self.models))

    def boldness(self, model: str, boldness: float) -> float | None:
        """Return a boldness as a model takes it: None for the default, and for a model without a bold end."""
        return None if boldness == BOLDNESS or not self.stylizer(model).boldness.bold else boldness

    def photo(self, path: Path) -> Image.Image:
        """Read a photograph, reduced to the size of its preview."""
        return reduced(self.read(path))

    def read(self, path: Path) -> Image.Image:
        """Read an untrusted picture: whatever is in its file, the page's process goes on."""
        return load_image_apart(path, max_pixels=self.max_pixels)

    def preview(self, request: Request) -> Image.Image:
        """Make the picture at a size that is quick to render, on white where it is transparent."""
        stylizer = self.stylizer(request.model)
        content = self.content(request.model, request.photo, request.size, request.look_size)
        # Recolouring needs the style pictures; everything else only their codes.
        styles: list[Style] = [
            self._picture(path, request.style_size)
            if request.preserve_color == "coral"
            else self.style(request.model, path, request.style_size)
            for path in request.styles
        ]
        controls = request.controls()
        if request.preserve_color == "coral":
            controls["style_size"] = None  # the pictures are reduced already
        return flatten(stylizer(content, styles, **controls))

    def full(self, request: Request, progress: Progress = False) -> tuple[Image.Image, bool]:
        """Make the picture at the requested size; also return whether memory ran out, so that it was made in small tiles.

        Args:
            request: the picture to make.
            progress: as for calling a `Stylizer`.
        """
        stylizer = self.stylizer(request.model)
        photo = self.read(request.photo)
        styles: list[Style] = [path if is_saved(path) else self.read(path) for path in request.styles]
        controls: Controls = {
            **request.controls(), "style_size": request.style_size, "size": request.size, "look_size": request.look_size,
            "max_pixels": self.max_pixels, "progress": progress
        }  # fmt: skip
        try:
            return stylizer(photo, styles, **controls), False
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        controls["tile"] = SMALL_TILE
        return stylizer(photo, styles, **controls), True

    def content(
        self, model: str, path: Path, size: int | None = None, look_size: int = LOOK_SIZE
    ) -> EncodedContent[Image.Image]:
        """Return a photograph, encoded at the size of its preview."""
        return self._content(model, path, size, look_size)

    def style(self, model: str, path: Path, style_size: int) -> ChannelStats:
        """Return an encoded style."""
        return self._style(model, path, style_size)

    def _encode_content(self, model: str, path: Path, size: int | None, look_size: int) -> EncodedContent[Image.Image]:
        # One that gets its look at a larger size is shown at that.
        picture = reduced(self.read(path), size, max(PREVIEW, look_size))
        return self.stylizer(model).encode_content(picture, look_size=look_size)

    def _encode_style(self, model: str, path: Path, style_size: int) -> ChannelStats:
        return self.stylizer(model).encode_style(path if is_saved(path) else self.read(path), style_size=style_size)

    def _read_style(self, path: Path, style_size: int) -> Image.Image:
        image = self.read(path)
        return resize_short_side(image, min(style_size, *image.size))


def reduced(image: Image.Image, size: int | None = None, preview: int = PREVIEW) -> Image.Image:
    """Reduce a picture to the size of its preview, or to the short side `size` of the result, if that is less."""
    return resize_short_side(image, min(size or preview, *working_size(image.height, image.width, preview)))
