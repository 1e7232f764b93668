"""Nodes for ComfyUI: load a model, encode and mix styles, and stylise pictures.

Install the package where ComfyUI runs, and put one file into its folder custom_nodes, such as nst_adain_nodes.py, which holds

    from nst_adain.comfyui import *

The interface is ComfyUI's: https://docs.comfy.org/custom-nodes/backend/server_overview. Its pictures (IMAGE) are tensors
(B, H, W, C), RGB or RGBA in [0, 1]; its masks (MASK) are tensors (B, H, W) or (H, W) in [0, 1].
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

import torch
from torch import Tensor

from nst_adain.controls import BOLDNESS, LOOK_SIZE, STYLE_SIZE
from nst_adain.functional import ChannelStats, blend
from nst_adain.models.pretrained import DEFAULT_MODEL, ENCODER_VARIABLE, available_models, needs_encoder
from nst_adain.stylizer import Stylizer

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS", "EncodeStyle", "LoadModel", "MixStyles", "Stylize"]

_MODEL, _STYLE = "NST_ADAIN_MODEL", "NST_ADAIN_STYLE"  # types of links, beside ComfyUI's own


def _number(default: float, low: float, high: float, tooltip: str, step: float = 0.05) -> tuple[str, dict[str, Any]]:
    kind = "INT" if isinstance(default, int) else "FLOAT"
    return kind, {"default": default, "min": low, "max": high, "step": step, "tooltip": tooltip}


class _Node:
    """What all nodes declare alike."""

    CATEGORY, FUNCTION = "nst_adain", "run"


class LoadModel(_Node):
    """Loads a model."""

    RETURN_TYPES: ClassVar = (_MODEL,)
    RETURN_NAMES: ClassVar = ("model",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Declare the inputs."""
        names = [name for name in available_models() if not needs_encoder(name) or os.environ.get(ENCODER_VARIABLE)]
        return {"required": {"name": (names, {"default": DEFAULT_MODEL}), "device": (["auto", "cpu"],)}}

    def run(self, name: str, device: str) -> tuple[Stylizer]:
        """Return the model."""
        return (Stylizer.from_pretrained(name, device=device),)


class EncodeStyle(_Node):
    """Encodes a picture to a style; of several pictures, their average."""

    RETURN_TYPES: ClassVar = (_STYLE,)
    RETURN_NAMES: ClassVar = ("style",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Declare the inputs."""
        size = _number(STYLE_SIZE, 16, 4096, "short side to which a larger picture is reduced: less gives finer strokes", 16)
        return {"required": {"model": (_MODEL,), "image": ("IMAGE",), "style_size": size}}

    def run(self, model: Stylizer, image: Tensor, style_size: int) -> tuple[ChannelStats]:
        """Return the style."""
        return (model.average_style(torch.split(_pictures(image), 1), style_size=style_size),)


class MixStyles(_Node):
    """Mixes two styles."""

    RETURN_TYPES: ClassVar = (_STYLE,)
    RETURN_NAMES: ClassVar = ("style",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Declare the inputs."""
        share = _number(0.5, -1.0, 2.0, "share of the second style: 0 is the first one, 1 the second; beyond, it exaggerates")
        return {"required": {"first": (_STYLE,), "second": (_STYLE,), "share": share}}

    def run(self, first: ChannelStats, second: ChannelStats, share: float) -> tuple[ChannelStats]:
        """Return the mixture."""
        return (blend([first, second], [1 - share, share]),)


class Stylize(_Node):
    """Renders pictures in a style."""

    RETURN_TYPES: ClassVar = ("IMAGE",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        """Declare the inputs."""
        return {
            "required": {
                "model": (_MODEL,),
                "image": ("IMAGE",),
                "style": (_STYLE,),
                "strength": _number(1.0, 0.0, 3.0, "0 none, 1 full, above 1 exaggerated"),
                "boldness": _number(BOLDNESS, 0.0, 1.0, "0 near the photograph, 1 the boldest strokes"),
                "preserve_color": (["none", "luminance"], {"tooltip": "luminance keeps the picture's colours"}),
                "look_size": _number(LOOK_SIZE, 16, 4096, "short side at which a picture gets its look: less is broader", 16),
            },
            "optional": {"mask": ("MASK", {"tooltip": "where the style applies; the rest stays as it is"})},
        }

    def run(
        self,
        model: Stylizer,
        image: Tensor,
        style: ChannelStats,
        strength: float,
        boldness: float,
        preserve_color: str,
        look_size: int,
        mask: Tensor | None = None,
    ) -> tuple[Tensor]:
        """Return the pictures, one after the other, so that many need no more memory than one."""
        masks = [None] * len(image) if mask is None else list(mask.reshape(-1, *mask.shape[-2:]))
        if len(masks) not in (1, len(image)):
            raise ValueError(f"mask: expected 1 mask or one for each of {len(image)} pictures, got {len(masks)}")
        results = [
            model(
                picture,
                style,
                alpha=strength,
                boldness=boldness if model.boldness.bold else None,
                preserve_color="luminance" if preserve_color == "luminance" else None,
                look_size=look_size,
                masks=None if (own := masks[index % len(masks)]) is None else [own],
            ).cpu()
            for index, picture in enumerate(torch.split(_pictures(image), 1))
        ]
        opacity = image[..., 3:].cpu()
        return (torch.cat([torch.cat(results).permute(0, 2, 3, 1), opacity], -1),)


def _pictures(image: Tensor) -> Tensor:
    """Turn (B, H, W, 3 or 4) into (B, 3, H, W)."""
    return image[..., :3].permute(0, 3, 1, 2)


NODE_CLASS_MAPPINGS = {
    "NstAdainLoadModel": LoadModel,
    "NstAdainEncodeStyle": EncodeStyle,
    "NstAdainMixStyles": MixStyles,
    "NstAdainStylize": Stylize,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "NstAdainLoadModel": "AdaIN: load model",
    "NstAdainEncodeStyle": "AdaIN: encode style",
    "NstAdainMixStyles": "AdaIN: mix styles",
    "NstAdainStylize": "AdaIN: stylize",
}
