"""How much stylised videos flicker: the warping error along the optical flow of a real clip."""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from nst_adain.errors import UsageError, at_least
from nst_adain.models.pretrained import DEFAULT_MODEL
from nst_adain.stylizer import Stylizer
from nst_adain.video.frames import read_frames, save_video, scaled
from nst_adain.video.stylize import stylize_video

__all__ = ["Floats", "flicker", "flow", "warping_error"]

Floats = NDArray[np.floating]


def flow(first: Floats, second: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Where each pixel of a frame is in the next one.

    TV-L1 (Zach et al. 2007), by scikit-image, both ways: a pixel that does not come back to within
    the distance of Sundaram et al. 2010 is hidden in the next frame.

    Args:
        first, second: (H, W, 3) in [0, 1].

    Returns:
        Row and column, (2, H, W), and which pixels are seen in both, (H, W).
    """
    from scipy.ndimage import map_coordinates
    from skimage.color import rgb2gray
    from skimage.registration import optical_flow_tvl1

    grey = [rgb2gray(frame) for frame in (first, second)]
    there, back = optical_flow_tvl1(grey[0], grey[1]), optical_flow_tvl1(grey[1], grey[0])
    places = np.indices(grey[0].shape) + there
    returned = there + np.stack([map_coordinates(part, places, order=1, mode="nearest") for part in back])
    lengths = (there**2).sum(0) + (back**2).sum(0)
    inside = ((places >= 0) & (places <= np.array(grey[0].shape)[:, None, None] - 1)).all(0)
    return places, ((returned**2).sum(0) < 0.01 * lengths + 0.5) & inside


def warping_error(first: Floats, second: Floats, places: Floats, seen: NDArray[np.bool_]) -> float:
    """Mean squared difference of a frame and the next one moved back onto it (Lai et al. 2018, equation 8).

    Args:
        first, second: (H, W, 3) in [0, 1].
        places, seen: the flow of the source's frames.
    """
    from scipy.ndimage import map_coordinates

    moved = np.stack([map_coordinates(second[..., c], places, order=1, mode="nearest") for c in range(3)], -1)
    return float(((first - moved) ** 2)[seen].mean())


def flicker(
    clip: Path,
    style: Path,
    model: str = DEFAULT_MODEL,
    steadiness: tuple[float, ...] = (0.0, 0.7),
    frames: int = 24,
    size: int = 144,
    encoder: Path | None = None,
    device: str = "auto",
) -> None:
    """Print the warping error of a clip as it is and stylised with each steadiness.

    Args:
        clip: a video.
        style: a painting.
        model: a model that ships, or a .safetensors file.
        steadiness: those to compare, as of `nst-adain video`.
        frames: how many, from the start of the clip.
        size: short side in pixels; the flow takes most of the time.
        encoder: full-width VGG-19, for a model that is a decoder alone.
        device: where to run.

    Raises:
        UsageError: if there is no `steadiness`, or `frames` is below 2 or `size` below 16.
        ValueError: if the clip has no two frames, one after the other, that show the same.
    """
    if not steadiness:
        raise UsageError("steadiness: expected at least one number, got none")
    at_least(2, frames=frames)
    at_least(16, size=size)
    stylizer = Stylizer.from_pretrained(model, encoder=encoder, device=device)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.mkv"
        save_video((scaled(frame, size) for frame in itertools.islice(read_frames(clip), frames)), source, crf=0)
        outputs = {"the clip itself": _floats(source)}
        for value in steadiness:
            target = Path(folder) / f"{value}.mkv"
            stylize_video(stylizer, source, [stylizer.encode_style(style)], target, steadiness=value, crf=0)
            outputs[f"steadiness {value:g}"] = _floats(target)
    pairs = list(itertools.pairwise(outputs["the clip itself"]))
    if not pairs:
        raise ValueError(f"{clip}: expected at least two frames, found one")
    flows = [flow(*pair) for pair in tqdm(pairs, unit="flow", disable=not sys.stderr.isatty())]
    if not any(seen.any() for _, seen in flows):
        raise ValueError(f"{clip}: expected frames that show what the frame before shows, found none")
    print("| video | warping error x 1000 |\n| --- | --- |")
    for name, shown in outputs.items():
        # At a cut nothing is seen in both frames.
        errors = [warping_error(*pair, *moved) for pair, moved in zip(itertools.pairwise(shown), flows) if moved[1].any()]
        print(f"| {name} | {1000 * float(np.mean(errors)):.3f} |")


def _floats(path: Path) -> list[Floats]:
    return [np.asarray(image, dtype=np.float64) / 255 for image in read_frames(path)]
