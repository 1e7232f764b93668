"""Holds features that get a style where they are read, so that little of them is in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from nst_adain.functional import ChannelStats, adain
from nst_adain.models import fused

__all__ = ["Code", "Lazy", "Stylised", "Value"]

Value = TypeVar("Value")


class Code(Protocol):
    """What a layer gets: statistics, or what makes them row by row."""

    def rows(self, first: int, end: int, /) -> ChannelStats:
        """Return the statistics of some rows: (B or 1, C, 1, 1), or (B or 1, C, end - first, W)."""


class Stylised:
    """Features, (B, C, H, W), that get another style where rows of them are read: `stylised[:, :, 8:16]`."""

    def __init__(self, features: Tensor, content: Code, target: Code) -> None:
        self.features, self.content, self.target = features, content, target

    def __getitem__(self, window: tuple[slice, slice, slice]) -> Tensor:
        x = self.features[window]
        first, end = window[2].start or 0, window[2].stop  # not `indices`, which would fix the size of graphs that are exported
        end = self.features.shape[2] if end is None else end
        content, target = self.content.rows(first, end), self.target.rows(first, end)
        # In this order: what is asked of shapes while a graph is exported holds for all its inputs.
        if (
            x.dtype == torch.bfloat16
            and fused.enabled(x, content.mean, content.std, target.mean, target.std)
            and content.mean.numel() == target.mean.numel() == x.shape[1]
        ):
            return fused.adain(x, content.mean, content.std, target.mean, target.std)
        return adain(x, content, target).to(x.dtype)


class Lazy(Mapping[str, Value]):
    """Maps layers to values that are made on access, so that only one at a time is in memory, even for large pictures."""

    def __init__(self, layers: Collection[str], make: Callable[[str], Value]) -> None:
        self.layers, self.make = layers, make

    def __getitem__(self, layer: str) -> Value:
        if layer not in self.layers:
            raise KeyError(layer)
        return self.make(layer)

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)
