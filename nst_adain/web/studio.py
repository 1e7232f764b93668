"""Pictures as a page asks for them: a preview that answers a slider, the whole picture, and how to make the same elsewhere."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from nst_adain.controls import Controls, Progress, Style, is_saved
from nst_adain.device import Precision
from nst_adain.errors import UsageError, out_of_memory
from nst_adain.functional import ChannelStats
from nst_adain.images.apart import load_image_apart
from nst_adain.images.io import flatten, resize_short_side
from nst_adain.images.opening import MAX_PIXELS
from nst_adain.models.pretrained import DEFAULT_MODEL, needs_encoder
from nst_adain.rendering.contents import EncodedContent
from nst_adain.stylizer import Stylizer
from nst_adain.web.request import PREVIEW, PREVIEW_PIXELS, Request

__all__ = ["SMALL_TILE", "Studio"]

SMALL_TILE = 512  # side of the tiles when memory ran out


class Studio:
    """The models of a page, and what they encoded last: a slider that moves should only decode.

    What is kept is bounded, and found again by the file: users whose files differ share nothing.
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
        """Load the first model, so that what is wrong with it is said before anyone asks.

        Args:
            models: what may be asked for, as for `Stylizer.from_pretrained`.
            encoder: as for `Stylizer.from_pretrained`, for those that are a decoder alone.
            device, precision: as for `Stylizer.from_pretrained`.
            max_pixels: the largest picture that is decoded or made.

        Raises:
            UsageError: if there is an encoder, and none of the models needs it.
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
        """The model of this name.

        Raises:
            ValueError: if it is none of the studio's.
        """
        if model not in self.models:
            raise ValueError(f"model: expected one of {', '.join(self.models)}, got {model!r}")
        return self._load(model)

    def encoder(self, model: str) -> str | os.PathLike[str] | None:
        """The file of the encoder that a model was given, if it is a decoder alone."""
        return self._encoders.get(model)

    def photo(self, path: Path, size: int | None = None) -> Image.Image:
        """The photograph as small as its preview."""
        return self._reduced(self.read(path), size)

    def read(self, path: Path) -> Image.Image:
        """A picture from someone who may mean harm: whatever is in its file, the process of the page goes on."""
        return load_image_apart(path, max_pixels=self.max_pixels)

    def preview(self, wanted: Request) -> Image.Image:
        """The picture at a size that is quick to make, on white where it is transparent."""
        stylizer = self.stylizer(wanted.model)
        content = self.content(wanted.model, wanted.photo, wanted.size)
        # Recolouring needs the style pictures; all else their codes.
        styles: list[Style] = [
            self._picture(path, wanted.style_size)
            if wanted.preserve_color == "coral"
            else self.style(wanted.model, path, wanted.style_size)
            for path in wanted.styles
        ]
        controls = wanted.controls()
        if wanted.preserve_color == "coral":
            controls["style_size"] = None  # reduced already
        return flatten(stylizer(content, styles, **controls))

    def full(self, wanted: Request, progress: Progress = False) -> tuple[Image.Image, bool]:
        """The picture at the size that is asked for, and whether it had to be made in small tiles for want of memory.

        Args:
            wanted: what is asked for.
            progress: as for calling a `Stylizer`.
        """
        stylizer = self.stylizer(wanted.model)
        photo = self.read(wanted.photo)
        styles: list[Style] = [path if is_saved(path) else self.read(path) for path in wanted.styles]
        controls: Controls = {
            **wanted.controls(), "style_size": wanted.style_size, "size": wanted.size,
            "max_pixels": self.max_pixels, "progress": progress
        }  # fmt: skip
        try:
            return stylizer(photo, styles, **controls), False
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        controls["tile"] = SMALL_TILE
        return stylizer(photo, styles, **controls), True

    def content(self, model: str, path: Path, size: int | None = None) -> EncodedContent[Image.Image]:
        """A photograph, encoded at the size of its preview."""
        return self._content(model, path, size)

    def style(self, model: str, path: Path, style_size: int) -> ChannelStats:
        """A style, encoded."""
        return self._style(model, path, style_size)

    def _encode_content(self, model: str, path: Path, size: int | None) -> EncodedContent[Image.Image]:
        return self.stylizer(model).encode_content(self.photo(path, size))

    def _encode_style(self, model: str, path: Path, style_size: int) -> ChannelStats:
        return self.stylizer(model).encode_style(path if is_saved(path) else self.read(path), style_size=style_size)

    def _read_style(self, path: Path, style_size: int) -> Image.Image:
        image = self.read(path)
        return resize_short_side(image, min(style_size, *image.size))

    def _reduced(self, image: Image.Image, size: int | None) -> Image.Image:
        short, long = sorted(image.size)
        return resize_short_side(image, max(1, min(size or short, PREVIEW, int((PREVIEW_PIXELS * short / long) ** 0.5))))
