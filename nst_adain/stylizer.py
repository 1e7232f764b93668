"""`Stylizer`: the one class most users need."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from numpy.typing import NDArray
from PIL import Image

from nst_adain.controls import (
    LOOK_SIZE,
    STYLE_SIZE,
    ContentControls,
    Controls,
    Detail,
    Mask,
    Picture,
    Progress,
    Same,
    Shown,
    Style,
    Styles,
    Tiling,
    check_alpha,
    check_detail,
    check_style_size,
    check_weights,
    is_saved,
)
from nst_adain.device import Precision, is_half, pick_device
from nst_adain.functional import ChannelStats
from nst_adain.images.masks import read_mask, read_masks
from nst_adain.images.opening import MAX_PIXELS
from nst_adain.images.tiff import Pixels
from nst_adain.models.boldness import Boldness
from nst_adain.models.hub import is_repository, push_to_hub
from nst_adain.models.networks import StyleTransfer
from nst_adain.models.pretrained import DEFAULT_MODEL, find_weights, load_model
from nst_adain.rendering.coarse_to_fine import paint
from nst_adain.rendering.codes import code_of
from nst_adain.rendering.contents import EncodedContent, Result, check_out
from nst_adain.rendering.decoding import Look, assemble
from nst_adain.rendering.reading import read_content, read_style
from nst_adain.rendering.several import each
from nst_adain.rendering.statistics import measure
from nst_adain.rendering.style_vectors import average_style, layers, preview, replace_layers

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Stylizer"]


class Stylizer:
    """Renders content pictures in the style of other pictures. Keeps nothing between calls.

    Example:
        >>> from PIL import Image
        >>> stylizer = Stylizer.from_pretrained("slim", device="cpu")
        >>> photo, painting = Image.new("RGB", (40, 30), "teal"), Image.new("RGB", (64, 64), "gold")
        >>> stylizer(photo, painting, alpha=0.8).size
        (40, 30)
    """

    average_style, layers, replace_layers, preview = average_style, layers, replace_layers, preview
    push_to_hub, name = push_to_hub, ""
    file: Path | None = None  # of a model that `from_pretrained` loaded, as is the name

    def __init__(self, model: StyleTransfer, device: str | torch.device | None = None, precision: Precision = "auto") -> None:
        """Wrap a model.

        Args:
            model: encoder and decoder, as `train` makes them; changes to it later do not reach the stylizer.
            device: where to run; None or "auto" takes the first GPU, else the CPU.
            precision: "float32"; "bfloat16" computes the convolutions with 8 bits of mantissa; "auto" takes bfloat16
                where the device multiplies it natively: faster.

        Raises:
            TypeError: if `model` is not a `StyleTransfer`.
            ValueError: if there is no such device or precision.
        """
        if not isinstance(model, StyleTransfer):
            found = type(model).__name__
            raise TypeError(f"model: expected a StyleTransfer, got {found}; Stylizer.from_pretrained loads one by name or path")
        self.device = pick_device(device)
        self.boldness = Boldness(model, self.device, is_half(precision, self.device))
        self.fingerprint, self.digest, self.model = self.boldness.fingerprint, self.boldness.digest, self.boldness.default
        ChannelStats.shown_by.add(self)

    @property
    def precision(self) -> Precision:
        """Whether the convolutions are computed in "bfloat16" or "float32"."""
        return "bfloat16" if self.boldness.half else "float32"

    def __repr__(self) -> str:
        count = sum(w.numel() for w in self.model.parameters())
        return f"Stylizer({self.name!r} on {self.device} in {self.precision}, {count:,} parameters)"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the weights, the device and the precision: what a data loader or a cluster sends gives the same pictures."""
        return type(self), (self.boldness.ends, self.device, self.precision), {"name": self.name, "file": self.file}

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        encoder: str | os.PathLike[str] | None = None,
        device: str | torch.device | None = None,
        precision: Precision = "auto",
    ) -> Stylizer:
        """Load weights.

        Args:
            name: a model that ships with the package, "base", "slim" (rougher, in a third of the time) or "vgg19" (no encoder);
                the path of a .safetensors file; or owner/name, perhaps with @revision, on the Hugging Face Hub.
            encoder: the full-width VGG-19 encoder, for weights without one; default: the file that NST_ADAIN_VGG19 names.
            device, precision: as for `Stylizer`.

        Raises:
            FileNotFoundError: if the weights do not exist, or they need an encoder and none is given.
            ValueError: if a file does not hold what it should, or there is no such device or precision.
        """
        file = find_weights(name)
        stylizer = cls(load_model(file, encoder=encoder), device, precision)
        stylizer.name, stylizer.file = str(name) if is_repository(name) else file.stem, file
        return stylizer

    @torch.no_grad()
    def encode_style(
        self, style: Picture, *, style_size: int | None = STYLE_SIZE, max_pixels: int = MAX_PIXELS
    ) -> ChannelStats:
        """Encode a style to all that stylising needs of it; use the result many times, or keep it by `ChannelStats.save`.

        Args:
            style: the picture, or a .safetensors file that `ChannelStats.save` wrote, which is loaded as it is.
            style_size: short side in pixels to which a larger picture is reduced, which sets the strokes' scale; None: its own.
            max_pixels: the largest file to decode.

        Returns:
            (B, C, 1, 1): the model's code; means and standard deviations of all taps come first.
        """
        if is_saved(style):
            saved = ChannelStats.load(style)
            self.check_origin(os.fspath(style), saved)
            return saved
        stats = measure(self.model, read_style(style, style_size, max_pixels), None, self.device)[0]
        return dataclasses.replace(stats, made_by=self.fingerprint)

    @overload
    def encode_content(self, content: Same, **controls: Unpack[ContentControls]) -> EncodedContent[Same]: ...
    @overload
    def encode_content(self, content: Shown, **controls: Unpack[ContentControls]) -> EncodedContent[Image.Image]: ...
    @torch.no_grad()
    def encode_content(
        self,
        content: Picture,
        *,
        size: int | None = None,
        look_size: int | None = LOOK_SIZE,
        tile: Tiling = "auto",
        max_pixels: int = MAX_PIXELS,
        progress: Progress = False,
    ) -> EncodedContent[Any]:
        """Encode a content picture once, to stylise it many times, such as while a strength slider moves.

        The arguments are as when calling the stylizer.
        """
        read = read_content(content, size, look_size, tile, max_pixels, kept=True).encoded(self.model, self.device)
        stats = measure(self.model, read.coarsest, None, self.device, progress)[0]
        return EncodedContent(read, dataclasses.replace(stats, made_by=self.fingerprint))

    @overload
    def __call__(self, content: Same, styles: Styles, **controls: Unpack[Controls]) -> Same: ...
    @overload
    def __call__(self, content: Shown, styles: Styles, **controls: Unpack[Controls]) -> Image.Image: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, content: EncodedContent[Result], styles: Styles, **controls: Unpack[Controls]) -> Result: ...
    @overload
    def __call__(self, content: Sequence[Same], styles: Styles, **controls: Unpack[Controls]) -> list[Same]: ...
    @overload
    def __call__(self, content: Sequence[Shown], styles: Styles, **controls: Unpack[Controls]) -> list[Image.Image]: ...
    @overload
    def __call__(self, content: list[EncodedContent[Result]], styles: Styles, **controls: Unpack[Controls]) -> list[Result]: ...
    @torch.no_grad()
    @each
    def __call__(
        self,
        content: Picture | EncodedContent[Any],
        styles: Styles,
        *,
        weights: Sequence[float] | None = None,
        raw_weights: bool = False,
        masks: Sequence[Mask] | Mask | None = None,
        alpha: float | Mask = 1.0,
        boldness: float | None = None,
        preserve_color: Literal["luminance", "coral"] | None = None,
        size: int | None = None,
        style_size: int | None = STYLE_SIZE,
        look_size: int | None = LOOK_SIZE,
        detail: Detail = "strokes",
        tile: Tiling = "auto",
        max_pixels: int = MAX_PIXELS,
        progress: Progress = False,
        out: Pixels | None = None,
    ) -> Image.Image | Pixels | NDArray[Any]:
        """Render `content` in the style of `styles`. All controls can be combined. For gradients, call the model itself.

        Args:
            content: a picture, or the result of `encode_content`, which is not encoded again; or a list of them. A picture is a
                file (path, bytes, or open), a PIL image, an array (H, W, 3 or 4) or (H, W), or a tensor (B, 3, H, W) or
                (3, H, W), RGB, uint8 or float in [0, 1].
            styles: a picture, the result of `encode_style`, or a file to which such a result was saved; or a list of these,
                which are mixed.
            weights: one real number for each style, scaled to sum to 1; default: equal. They also mix where masks overlap. Or
                such a list for each content of a list or batch.
            raw_weights: use the weights as they are, whatever their sum.
            masks: one for each style, which then applies only there and adapts only that part's statistics; where no mask
                applies, the photograph stays. If there is one mask fewer than styles, the last style gets the rest. A mask may
                have any size and soft edges. A single picture or array of integers is a label map: k is style k.
            alpha: strength from 0 (encode and decode) to 1 (the full style), or more; or a mask; or a list of these, as above.
            boldness: from 0, near the photograph, to 1, the boldest strokes; None takes 0.4, or 0 if the model has no bold end.
            preserve_color: "luminance" takes only lightness from the result; "coral" gives the styles the content's colours.
            size: short side in pixels to which the content is scaled, up or down; None keeps its size.
            style_size: short side in pixels to which a larger style picture is reduced; None keeps its size.
            look_size: short side in pixels at which the picture gets its look. A larger one looks like the result of this size,
                brought up to its own: strokes are as wide relative to the picture at any size, and less makes them broader. A
                picture more than twice as long as wide gets its look at 2 `look_size`**2 pixels. None: strokes are as wide in
                pixels at any size, and the finer the larger the picture is.
            detail: what a picture larger than its look adds: "strokes", fine ones; or "photo", its own details, quick and soft.
            tile: side in pixels, a multiple of 8, of the tiles in which the picture is rendered; the result is the same.
                None renders it at once; "auto" uses tiles for pictures of more than 2048 x 2048 pixels.
            max_pixels: the largest file to decode, and the largest picture that `size` or `style_size` may make.
            progress: show bars on standard error for the tiles read and rendered; or call a function before each tile and at
                the end, with the number done and the total. An exception it raises ends the call.
            out: where to put the result: a tensor (B, 3, H, W), uint8 (0 to 255) or float, such as a file mapped into memory;
                or `tiff.StoredPixels`. The content must have no transparency.

        Returns:
            `out` if given. Otherwise what the content is, of its size and type: for a file or a PIL image, a PIL image with its
            transparency; for an array, an array (H, W, 3 or 4); for a tensor, one on the stylizer's device; for a list, a list.

        Raises:
            FileNotFoundError, ImageError: if a file does not exist, or is not a picture that can be read.
            TypeError, ValueError: if an argument has the wrong type or is out of range.
        """
        number = check_alpha(alpha)
        if preserve_color not in (None, "luminance", "coral"):
            raise ValueError(f"preserve_color: expected None, 'luminance' or 'coral', got {preserve_color!r}")
        check_detail(detail)
        model = self.boldness(self.boldness.of(boldness))
        given: list[Style] = list(styles) if isinstance(styles, (list, tuple)) else [styles]  # type: ignore[list-item]
        check_style_size(style_size, given)
        factors = check_weights(weights, len(given), raw_weights, masks is not None, 1.0 if number is None else number)
        # Read all files before computing anything, so that a bad one is reported at once.
        if isinstance(content, EncodedContent):
            self.check_origin("content", content.stats)
        read = read_content(content, size, look_size, tile, max_pixels)
        check_out(out, read)
        loaded = [self.encode_style(style) if is_saved(style) else style for style in given]
        opened = [s if isinstance(s, ChannelStats) else read_style(s, style_size, max_pixels) for s in loaded]
        where = read_masks(masks, len(given), read.size, max_pixels)
        strength = read_mask(alpha, read.size, "alpha", max_pixels) if number is None else number  # type: ignore[arg-type]
        colors = read.colors if preserve_color == "coral" else None
        codes = [code_of(model, style, len(read.pixels), colors, self.device, self.fingerprint) for style in opened]
        codes = codes if model is self.model else [model.modulated(code) for code in codes]
        known = isinstance(content, EncodedContent) and where is None
        stats = [model.modulated(content.stats.to(self.device))] if known else None  # type: ignore[union-attr]
        look = Look(codes, factors, where, strength, preserve_color == "luminance", detail == "strokes")
        return assemble(paint(model, read, look, self.device, progress, stats), read, out, self.device)

    def check_origin(self, name: str, stats: ChannelStats) -> None:
        """Raise ValueError, whose message begins with `name`, if these statistics are not finite or are another model's."""
        stats.check(name, sum(self.model.arch.code_channels.values()), self.fingerprint)
