"""Says in exported graphs how to use them: what each tensor is, and the recipe from picture to picture."""

from __future__ import annotations

import json

from nst_adain.controls import BOLDNESS, LARGEST, LOOK_SIZE, STYLE_SIZE
from nst_adain.functional import EPS
from nst_adain.models.architecture import STRIDE, Architecture

__all__ = ["RECIPE", "metadata", "numbers", "tensors"]

RECIPE = """\
1. Pictures are float32 (B, 3, H, W), RGB (sRGB as stored in files) in [0, 1]: level / 255, nothing subtracted. Repeat \
the last row and column until height and width are multiples of 8 and at least 16; crop the result to the size before.
2. encoder.onnx turns content and style alike into features and statistics, mean and std. A style wants a short side \
of up to 512 pixels; less gives finer strokes.
3. modulator.onnx extends the statistics of the content, and of each style, to a code: the statistics, and what the \
decoder's layers get. The content's is its code_mean and code_std, and so is a style's.
4. To mix styles, add up their codes by weights that sum to 1: code_mean and code_std alike.
5. decoder.onnx takes the content's features and code, the style's code, alpha and boldness. Its picture is in [0, 1]: \
round(255 x) gives levels.
To move alpha or the mixture, repeat 5; to move boldness, repeat 3 and 5, as a code is that of its boldness; features \
and statistics stay.
Masks: for a style under a mask, measure the content's features where the mask is (the mean, and sqrt(biased variance \
+ 1e-5), of each channel, weighted by the mask reduced to the features' size), extend these statistics by 3, decode \
with them, and mix the picture with the photograph, or with that of another mask, by the mask. nst_adain itself mixes \
the codes at each place in one decode: the same but beside a border.
Large pictures: features of tiles with `halo` pixels of their surroundings are those of the whole picture, and so is \
what is decoded from them; the statistics must be those of the whole picture. Strokes are as wide in pixels at any \
size; nst_adain gives a larger picture the look of one whose short side is 512."""


def tensors(arch: Architecture) -> dict[str, str]:
    """Describe the inputs and outputs of an architecture's graphs, by name."""
    stats = "of each channel of the taps, (B, C, 1, 1)"
    code = "of a code, (B, D, 1, 1), one for each content"
    told = {tap: f"features, (B, {count}, H / {stride}, W / {stride})" for tap, (count, stride) in _taps(arch).items()}
    return told | {
        "image": "RGB in [0, 1], (B, 3, H, W), H and W multiples of 8 and at least 16",
        "mean": f"mean {stats}",
        "std": f"sqrt(biased variance + {EPS:g}) {stats}",
        "code_mean": f"mean {code}: the statistics' means, then shifts of the decoder's layers",
        "code_std": f"std {code}: the statistics' deviations, then scales of the decoder's layers",
        "content_mean": f"mean {code}: the content's own",
        "content_std": f"std {code}: the content's own",
        "style_mean": f"mean {code}: the style's, or a mixture",
        "style_std": f"std {code}: the style's, or a mixture",
        "alpha": f"strength, one number: 0 none, 1 full, above exaggerates, up to {LARGEST}",
        "boldness": "of the strokes, one number: from 0, near the photograph, to 1, the boldest",
        "picture": "RGB in [0, 1], (B, 3, H, W)",
    }


def numbers(arch: Architecture, bold: bool, halo: int) -> dict[str, object]:
    """Return what the recipe needs to know of a model, ready for JSON.

    Args:
        arch: the model's architecture.
        bold: whether it has a bold end.
        halo: pixels round a tile on which its result depends.
    """
    return {
        "taps": {tap: {"channels": channels, "stride": stride} for tap, (channels, stride) in _taps(arch).items()},
        "code_channels": sum(arch.code_channels.values()),
        "multiple": STRIDE,
        "smallest": 2 * STRIDE,
        "halo": halo,
        "eps": EPS,
        "boldness": BOLDNESS if bold else None,  # the default; None: the graphs have no such input
        "style_size": STYLE_SIZE,
        "look_size": LOOK_SIZE,
    }


def metadata(arch: Architecture, bold: bool, halo: int) -> dict[str, str]:
    """Return the entries that all graphs of a model have: the recipe, and its `numbers`."""
    return {"nst_adain.recipe": RECIPE, "nst_adain.numbers": json.dumps(numbers(arch, bold, halo))}


def _taps(arch: Architecture) -> dict[str, tuple[int, int]]:
    return {tap: (channels, arch.plan.stride_of(tap)) for tap, channels in zip(arch.taps, arch.tap_channels)}
