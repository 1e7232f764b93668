"""Renders several contents by one call: lists of pictures, and strengths and weights that are one for each picture."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from nst_adain.controls import STYLE_SIZE, check_style_size
from nst_adain.errors import UsageError
from nst_adain.functional import ChannelStats

__all__ = ["each"]


class _Encodes(Protocol):
    """What knows how to encode a style."""

    def encode_style(self, style: Any, *, style_size: int | None = ..., max_pixels: int = ...) -> ChannelStats: ...


def each(render: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method that renders one content take a list of them, and lists of `alpha` and `weights`, one for each.

    A list of contents gives a list. Lists of strengths or weights for a tensor (B, 3, H, W) render its pictures one by one.
    All styles are read and encoded once, before the first picture.
    """

    @functools.wraps(render)
    def call(self: _Encodes, content: Any, styles: Any, **controls: Any) -> Any:
        rows = {name: rows for name in ("alpha", "weights") if (rows := _rows(name, controls.get(name))) is not None}
        listed = isinstance(content, (list, tuple))
        if not listed and not rows:
            return render(self, content, styles, **controls)
        if not listed and not isinstance(content, Tensor):
            name = next(iter(rows))
            raise UsageError(f"{name}: expected a list for a list of contents or a tensor (B, 3, H, W), got it for one picture")
        contents: Sequence[Any] = content if listed else content.split(1) if content.ndim == 4 else [content]
        if controls.get("out") is not None:
            raise UsageError("out: expected one content, or one strength and one list of weights for all")
        for name, values in rows.items():
            if len(values) != len(contents):
                raise UsageError(f"{name}: expected {len(contents)}, one for each content, got {len(values)}")
        styles = styles if isinstance(styles, (list, tuple)) else [styles]
        if controls.get("preserve_color") != "coral":  # which needs the pictures
            styles, controls = _encoded(self, styles, controls)
        results = []
        for index, one in enumerate(contents):
            own = styles if listed else [_own(style, index, len(contents)) for style in styles]
            results.append(render(self, one, own, **{**controls, **{name: values[index] for name, values in rows.items()}}))
        return results if listed else torch.cat(results) if content.ndim == 4 else results[0]

    return call


def _rows(name: str, value: Any) -> list[Any] | None:
    """Return the values of a control for each picture, or None if there is one value for all."""
    if name == "alpha":
        if isinstance(value, (list, tuple)):
            return list(value)
        if isinstance(value, Tensor) and value.ndim == 4 and value.shape[1:] == (1, 1, 1):  # as `StyleTransfer.forward` has it
            return value.flatten().tolist()
        return value.tolist() if isinstance(value, (np.ndarray, Tensor)) and value.ndim == 1 else None
    several = isinstance(value, (list, tuple)) and any(np.ndim(row) for row in value)
    several = several or (isinstance(value, (np.ndarray, Tensor)) and value.ndim == 2)
    return list(value) if several else None


def _encoded(self: _Encodes, styles: Sequence[Any], controls: dict[str, Any]) -> tuple[list[ChannelStats], dict[str, Any]]:
    """Encode the styles, and remove their size from the controls."""
    size = controls.get("style_size", STYLE_SIZE)
    check_style_size(size, styles)
    options = {name: controls[name] for name in ("style_size", "max_pixels") if name in controls}
    stats = [style if isinstance(style, ChannelStats) else self.encode_style(style, **options) for style in styles]
    return stats, {name: value for name, value in controls.items() if name != "style_size"}


def _own(style: Any, index: int, count: int) -> Any:
    """Return the style of one content of a batch, if there is one for each."""
    if isinstance(style, ChannelStats) and len(style.mean) == count > 1:
        return ChannelStats(style.mean[index : index + 1], style.std[index : index + 1], style.made_by)
    return style[index : index + 1] if isinstance(style, Tensor) and len(style) == count > 1 and style.ndim == 4 else style
