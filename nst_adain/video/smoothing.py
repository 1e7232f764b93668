"""Smooths stylised video over time, against flicker.

Two things flicker: AdaIN's content statistics, and with them all colours; and strokes, which stay in place on the picture
while things move beneath them. The first are averaged over time as they are, the second along the optical flow of the clip
(Ruder et al. 2016, https://arxiv.org/abs/1604.08610, section 5). Both start anew at a scene cut.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nst_adain.controls import LOOK_SIZE, Controls, Style
from nst_adain.errors import UsageError
from nst_adain.functional import ChannelStats, blend
from nst_adain.images.io import flatten
from nst_adain.images.opening import MAX_PIXELS

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nst_adain.stylizer import Stylizer

__all__ = ["CUT", "SMALLEST", "Pixels", "SmoothedPictures", "SmoothedStats", "SmoothedStylizer", "check_steadiness"]

# Relative change of the mean activations between two frames above which there is a cut: a pan stays below 0.1.
CUT = 0.35

SMALLEST = 16  # pixels a side that the flow needs; smaller frames are not smoothed

Pixels = NDArray[np.uint8]


def check_steadiness(steadiness: float) -> float:
    """Return the weight of the past, from 0 (each frame by itself) to below 1.

    Raises:
        ValueError: if it is out of range.
    """
    if not 0 <= steadiness < 1:
        raise UsageError(f"steadiness: expected a number from 0 to below 1, got {steadiness}")
    return steadiness


class SmoothedStats:
    """Averages content statistics over the frames of a scene so far, with exponentially decreasing weights.

    Attributes:
        cut: whether the last frame began a scene.
    """

    def __init__(self, steadiness: float, channels: int | None = None) -> None:
        """Start before the first frame.

        Args:
            steadiness: see `check_steadiness`.
            channels: how many channels, from the first, are compared to detect a cut; None: all.
        """
        self.steadiness, self.channels, self.cut = check_steadiness(steadiness), channels, True
        self.average: ChannelStats | None = None
        self.last: Tensor | None = None

    def __call__(self, stats: ChannelStats) -> ChannelStats:
        """Add a frame's statistics, and return those to use for it."""
        seen = stats.mean[:, : self.channels]
        self.cut = self.last is None or float((seen - self.last).abs().mean() / self.last.abs().mean()) > CUT
        self.last = seen
        if self.average is None or self.cut:
            self.average = stats
        else:
            self.average = blend([self.average, stats], [self.steadiness, 1 - self.steadiness])
        return self.average


class SmoothedPictures:
    """Averages stylised frames with earlier ones of the same scene, which it moves along with their content."""

    def __init__(self, steadiness: float) -> None:
        """Start before the first frame.

        Args:
            steadiness: see `check_steadiness`.
        """
        self.steadiness = check_steadiness(steadiness)
        self.source: Pixels | None = None
        self.average: NDArray[np.float32] | None = None

    def __call__(self, source: Pixels, stylised: Pixels, cut: bool) -> Pixels:
        """Add a frame, and return the frame to show.

        Args:
            source: the clip's frame, (H, W, 3) uint8.
            stylised: the same frame stylised, (H, W, 3) uint8.
            cut: whether it begins a scene.
        """
        import cv2

        if self.steadiness == 0 or min(source.shape[:2]) < SMALLEST:
            return stylised
        now = stylised.astype(np.float32)
        same = self.source is not None and self.source.shape == source.shape  # a stream may change its resolution
        if self.source is not None and self.average is not None and same and not cut:
            places, seen = _flow(source, self.source)
            # Cubic, because each frame is resampled again and again, which linear interpolation would blur.
            before = cv2.remap(self.average, places[0], places[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            weight = self.steadiness * cv2.GaussianBlur(seen, (0, 0), 1.5)[..., None]
            now = weight * before + (1 - weight) * now
        self.source, self.average = source, now
        shown: Pixels = now.clip(0, 255).round().astype(np.uint8)
        return shown


class SmoothedStylizer:
    """Stylises the frames of a video or a camera, one at a time as they come, with less flicker.

        steady = SmoothedStylizer(stylizer, steadiness=0.7)
        for frame in frames:
            show(steady(frame, style, alpha=slider.value))

    Style and controls may change from frame to frame. It keeps what it has seen: each clip needs one of its own.
    """

    def __init__(self, stylizer: Stylizer, steadiness: float = 0.7) -> None:
        """Start before the first frame.

        Args:
            stylizer: the model.
            steadiness: the share of earlier frames in each one; see `check_steadiness`.
        """
        self.stylizer = stylizer
        self.statistics = SmoothedStats(steadiness, sum(stylizer.model.arch.tap_channels))
        self.pictures = SmoothedPictures(steadiness)

    def __call__(self, frame: Image.Image, styles: Style | Sequence[Style], **controls: Unpack[Controls]) -> Image.Image:
        """Return the next frame, stylised, RGB, on white where it is transparent.

        Args:
            frame: of the size of the result; after a change of size nothing is smoothed until the next frame.
            styles, controls: as for calling a `Stylizer`, without masks and `size`.

        Raises:
            ModuleNotFoundError: if OpenCV is not installed, and the steadiness is above 0.
            ValueError: if there are masks, because the statistics under them would not be smoothed; or as a `Stylizer` does.
        """
        if controls.get("masks") is not None:
            raise UsageError("masks: expected none for frames that are smoothed")
        look_size, max_pixels = controls.pop("look_size", LOOK_SIZE), controls.get("max_pixels", MAX_PIXELS)
        content = self.stylizer.encode_content(frame, look_size=look_size, max_pixels=max_pixels)
        content = dataclasses.replace(content, stats=self.statistics(content.stats))
        made = self.stylizer(content, styles, **controls)
        shown, stylised = (np.asarray(flatten(picture)) for picture in (frame, made))
        return Image.fromarray(self.pictures(shown, stylised, self.statistics.cut))


def _flow(now: Pixels, before: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find where each pixel of a frame was in the one before, (2, H, W) as column and row, and where it was visible, (H, W).

    Runs dense inverse search (Kroeger et al. 2016) both ways: a pixel that does not come back within the distance of
    Sundaram et al. 2010 was hidden.
    """
    import cv2

    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    first, second = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (now, before))
    height, width = now.shape[:2]
    still = np.zeros((height, width, 2), np.float32)
    back, forth = (np.asarray(search.calc(a, b, still.copy())) for a, b in ((first, second), (second, first)))
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32) + back.transpose(2, 0, 1)
    returned = back + cv2.remap(forth, places[0], places[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    near = (returned**2).sum(-1) < 0.01 * ((back**2).sum(-1) + (forth**2).sum(-1)) + 0.5
    inside = ((places >= 0) & (places <= np.array([width - 1, height - 1])[:, None, None])).all(0)
    return places, (near & inside).astype(np.float32)
