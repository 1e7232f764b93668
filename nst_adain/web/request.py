"""Describes a picture that the page asks for, and writes the code or the command that makes it elsewhere."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from nst_adain.controls import (
    LOOK_SIZE,
    STYLE_SIZE,
    Controls,
    Detail,
    check_alpha,
    check_boldness,
    check_detail,
    check_side,
    check_weights,
)
from nst_adain.models.pretrained import DEFAULT_MODEL

__all__ = ["PREVIEW", "PREVIEW_PIXELS", "Request"]


# Short side of a preview in pixels: the one at which a picture of any size gets its look.
PREVIEW = LOOK_SIZE
PREVIEW_PIXELS = 2 * PREVIEW**2  # the most pixels of one, which a panorama would exceed


@dataclasses.dataclass(frozen=True, eq=False)
class Request:
    """Holds everything that defines one picture.

    Attributes:
        photo: the photograph's file.
        styles: the files of one or more style pictures.
        weights: one number for each style.
        masks: one for each style, white where it applies, of any size; None: everywhere.
        model: one of the studio's models.
        encoder: the file of the full-width encoder, if the model has none.
        alpha, boldness, preserve_color, size, style_size, look_size, detail: as for calling a `Stylizer`; alpha is a number.

    Raises:
        ValueError: if a number is out of range.
    """

    photo: Path
    styles: Sequence[Path]
    weights: Sequence[float]
    masks: Sequence[Image.Image] | None = None
    model: str = DEFAULT_MODEL
    encoder: str | os.PathLike[str] | None = None
    alpha: float = 1.0
    boldness: float | None = None
    preserve_color: Literal["luminance", "coral"] | None = None
    size: int | None = None
    style_size: int = STYLE_SIZE
    look_size: int = LOOK_SIZE
    detail: Detail = "strokes"

    def __post_init__(self) -> None:
        """Check values from outside: a strength that is a path would be read as a mask."""
        if check_alpha(self.alpha) is None:
            raise ValueError(f"alpha: expected a number from 0 (above 1 extrapolates), got {self.alpha!r}")
        check_weights(self.weights, len(self.styles))
        check_side("style_size", self.style_size)
        check_side("look_size", self.look_size)
        check_detail(self.detail)
        if self.boldness is not None:
            check_boldness(self.boldness, bold=True)
        if self.size is not None:
            check_side("size", self.size)

    def controls(self) -> Controls:
        """Return the keywords for a `Stylizer` that apply at any size, also with encoded styles."""
        return {
            "weights": list(self.weights) if len(self.weights) > 1 else None,
            "masks": None if self.masks is None else list(self.masks),
            **self._anywhere(),
        }

    def of_each_frame(self) -> Controls:
        """Return the keywords that apply to each frame of a video."""
        return {**self._anywhere(), "look_size": self.look_size}

    def _anywhere(self) -> Controls:
        """Return the keywords that apply to pictures and frames alike."""
        return {
            "alpha": self.alpha,
            "boldness": self.boldness,
            "preserve_color": self.preserve_color,
            "detail": self.detail,
        }

    def python(self, name: Callable[[Path], str]) -> str:
        """Write Python code that makes the picture.

        Args:
            name: returns the reader's name for a file.
        """
        styles = [name(path) for path in self.styles]
        arguments = [repr(name(self.photo)), repr(styles[0] if len(styles) == 1 else styles)]
        arguments += [f"{option}={value!r}" for option, value in self._options().items()]
        model = "" if self.model == DEFAULT_MODEL else repr(self.model)
        if self.encoder:
            model += f", encoder={Path(self.encoder).name!r}"
        call = f"stylizer({', '.join(arguments)})"
        if len(call) > 80:
            call = "stylizer(\n    " + ",\n    ".join(arguments) + ",\n)"
        lines = ["from nst_adain import Stylizer", "", f"stylizer = Stylizer.from_pretrained({model})"]
        return "\n".join([*lines, f"image = {call}", 'image.save("out.png")'])

    def command(self, name: Callable[[Path], str]) -> str:
        """Write the command that makes the picture. Argument: as for `python`."""
        words = ["nst-adain", "stylize", *(_no_option(name(path)) for path in (self.photo, *self.styles)), "-o", "out.png"]
        options = self._options() | ({} if self.model == DEFAULT_MODEL else {"model": self.model})
        if self.encoder:
            options["encoder"] = Path(self.encoder).name
        for option, value in options.items():
            values = value if isinstance(value, list) else [value]
            words += [f"--{option.replace('_', '-')}", *(str(v) for v in values)]
        return shlex.join(words)

    def mask_names(self) -> list[str]:
        """Name the file of each style's mask; styles with the same mask share a file."""
        masks = self.masks or ()
        different = {id(mask): f"mask-{number}.png" for number, mask in enumerate(masks, 1)}
        return ["mask.png" if len(different) == 1 else different[id(mask)] for mask in masks]

    def _options(self) -> dict[str, Any]:
        """Return the keywords that differ from their defaults, with the mask as the name of a file."""
        keywords: dict[str, Any] = {
            **self.controls(),
            "style_size": self.style_size,
            "look_size": self.look_size,
            "size": self.size,
        }
        if self.masks is not None:
            keywords["masks"] = self.mask_names()
        defaults = {field.name: field.default for field in dataclasses.fields(self)} | {"weights": None, "masks": None}
        return {option: value for option, value in keywords.items() if value != defaults[option]}


def _no_option(name: str) -> str:
    """Write a file's name so that it cannot be taken for an option."""
    return re.sub(r"^-", "./-", name)
