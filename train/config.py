"""Every setting of a training run, with the reason for its default."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nst_adain.device import Precision
from nst_adain.errors import UsageError
from nst_adain.models.architecture import LAYERS, Architecture

__all__ = ["FIT_ALONE", "TrainConfig"]

# Settings that `distill`, which trains an encoder without a style, does not use.
FIT_ALONE = ("train_encoder", "content_weight", "content_layer", "content_target", "style_weight",
             "style_layers", "style_kind", "octaves", "content_octave", "palette_weight", "identity_weight", "grid_weight",
             "tv_weight")  # fmt: skip

# The bounds of a setting stand beside it, as the metadata of its field: what is expected, and whether a value is that.
_Bounds = Mapping[str, Callable[[Any], bool]]


def _at_least(lowest: float) -> _Bounds:
    return {f"at least {lowest}": lambda value: isinstance(value, numbers.Real) and value >= lowest}


_FINITE: _Bounds = {"a finite number": math.isfinite}
_FACTOR: _Bounds = {"a finite number from 0": lambda value: 0 <= value < math.inf}
_SHARE: _Bounds = {"0 to 1": lambda value: 0 <= value <= 1}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of `distill` and `fit`. Lengths are in pixels, weights of losses are factors.

    Raises:
        UsageError: if a setting is out of its bounds, or cannot go with another.
    """

    content: Path
    """Photographs: a folder; a list of files, one a line, relative to its folder (.txt); or WebDataset tars ({00..99}.tar)."""
    style: Path
    """Paintings, likewise."""
    teacher: Path
    """The loss network: full-width VGG-19 to relu4_1, or what `distill` made of a VGG topology (cheaper)."""
    out: Path
    """Folder of the run: checkpoints, losses.csv, samples, losses.png, weights.safetensors."""

    init: Path | None = None
    """Weights to start from: what `distill` or `fit` wrote. Layers it does not have start at random, and so do
    channels that it does not have, if it is narrower: a model can be widened and goes on as it was."""
    resume: bool = False
    """Go on from the newest checkpoint in `out`; without one, start."""

    topology: Literal["compact", "vgg16", "vgg19"] = "compact"
    """Where the convolutions are. "compact" has none at full resolution and half of the arithmetic of a quarter-width VGG
    with a better result; see `Topology`."""
    width: float = 1.0
    """Channels as a fraction of the topology's."""
    taps: tuple[str, ...] = ()
    """Layers with AdaIN; none named: one for each resolution, so that what is drawn there need not be carried through deeper
    layers."""
    modulation: int = 48
    """Hidden units of the network by which the style modulates the decoder; a tenth of the parameters, and no arithmetic per
    pixel. 0: none, as published."""
    train_encoder: bool = True
    """Train the encoder too. False keeps the one of `init`, or else the teacher's: with topology "vgg19", taps "relu4_1" and
    modulation 0 that is the published set-up."""

    steps: int = field(default=20_000, metadata=_at_least(1))
    """Steps of the whole schedule."""
    batch_size: int = field(default=4, metadata=_at_least(1))
    """Pairs in a step and process. On a CPU more steps beat larger batches; on a GPU use 8 (the paper's) or more."""
    crop: int = field(default=128, metadata=_at_least(16))
    """Side of the training pictures. The paper's 256 costs four times as much."""
    min_scale: float = field(default=0.4, metadata={"above 0 and at most 1": lambda value: 0 < value <= 1})
    """The smallest crop, as a fraction of the short side, before it is resized to `crop`: scales of stroke vary."""
    enlarge: float = field(default=2.0, metadata={**_at_least(1.0), **_FINITE})
    """How far crops may be enlarged, as a factor. Enlarged strokes are smoother than real ones, but so are those of larger
    pictures than the training's: with 1, the style loss of these is a third higher."""
    variants: int = field(default=2, metadata=_at_least(1))
    """Different crops of each picture. Few, so that the teacher's features of them can be cached."""
    cache_gb: float = field(default=4.0, metadata={**_at_least(0), **_FINITE})
    """Memory for the teacher's features of those crops, in each process; 0 computes them each time."""
    crops_gb: float = field(default=1.0, metadata={**_at_least(0), **_FINITE})
    """Memory for the crops themselves, in each process; 0 cuts them each time, which a GPU has to wait for."""
    holdout: int = field(default=16, metadata=_at_least(0))
    """Pictures of each folder that are never trained on; samples and held-out losses are made from them."""
    photo_styles: float = field(default=0.2, metadata=_SHARE)
    """Share of the styles that are photographs. Without any, the network learns to tell their statistics from a painting's,
    and gives back unchanged the photograph whose style resembles one (with identity_weight above 0)."""
    pattern_styles: float = field(default=0.1, metadata=_SHARE)
    """Share of the styles that are drawn at random: tiles, prints, dots, strokes, line drawings. From paintings alone the
    network gets better at paintings, and after a while worse at these."""
    patterns: int = field(default=350, metadata=_at_least(1))
    """How many there are of them. Each takes 0.6 MB of memory from its first use on, in each process."""
    recolor_styles: float = field(default=0.5, metadata=_SHARE)
    """Share of the crops of paintings that get other colours: the channels exchanged, and each brightened or darkened. The
    modulator is given a few thousand codes of paintings again and again: with more of them the held-out style loss goes on
    falling with the training's, where it had stood still."""
    sharpen: float = field(default=0.5, metadata=_SHARE)
    """Share of the crops of photographs and paintings that are sharpened, at random. Small JPEG files are softer than a
    photograph that was scaled down: on held-out styles sharpened like one the style loss is twice as high."""
    max_side: int = field(default=512, metadata=_at_least(16))
    """Pictures are kept in memory with a short side of at most this; more than two crops would be wasted."""
    workers: int = field(default=2, metadata=_at_least(1))
    """Threads that cut and resize crops ahead of the training."""

    lr: float = field(default=1e-3, metadata={**_at_least(0), **_FINITE})
    """SOAP's peak rate (Vyas et al. 2024: Adam in the eigenbasis of Shampoo's preconditioner). After 320 steps from the same
    weights it was ahead of 3e-3, of Adam at 7e-4 and of Muon at 5e-3; at 2e-3 Adam left half of the channels dead."""
    basis_every: int = field(default=10, metadata=_at_least(1))
    """Steps between two updates of SOAP's eigenbases, which a GPU is slow at."""
    warmup: int = field(default=500, metadata=_at_least(0))
    """Steps of linear warm-up, at most half of all: the first ones, with moments of a few batches, are too long."""
    clip: float = field(default=10.0, metadata={"above 0, inf for none": lambda value: value > 0})
    """Largest gradient norm: no single batch, such as one with a nearly constant style, throws the run off. Those of `fit` are
    about 100, so all batches count alike; with 300 the wide model is after 500 steps where it is with 10."""
    ema: float = field(default=0.999, metadata={"0 to below 1": lambda value: 0 <= value < 1})
    """Decay of the averaged weights, which are those shipped: noise of single batches is averaged out. Less at first."""

    content_weight: float = field(default=1.0, metadata=_FACTOR)
    """Feature MSE at `content_layer` (paper, equation 12)."""
    content_layer: str = "relu4_1"
    """The paper's layer: objects and layout, no texture."""
    content_target: Literal["content", "adain"] = "content"
    """The content's own features, or the paper's t = AdaIN(content, style), which asks for less of the photo."""
    style_weight: float = field(default=10.0, metadata=_FACTOR)
    """Sum over `style_layers` (paper, equation 13). The paper's value; with 5 the results look like the photo."""
    style_layers: tuple[str, ...] = LAYERS
    """The paper's layers: colour to stroke."""
    style_kind: Literal["moments", "gram"] = "moments"
    """Means and standard deviations (Huang & Belongie), or Gram matrices (Gatys et al.)."""
    octaves: int = field(default=1, metadata=_at_least(1))
    """Sizes at which results and styles are compared: the crop's, half of it, a quarter, ...; each counts half of the one
    before, or the coarse ones, whose losses are largest, would be all. With two the bold ends draw broader strokes; of three,
    the third costs much of the photograph."""
    content_octave: int = field(default=0, metadata=_at_least(0))
    """At which of these sizes, from 0, contents are compared. At half of the size fine drawing is free, and soon too much so:
    the bold end of `base` began with a few hundred steps of it, and went on at full size."""
    palette_weight: float = field(default=0.0, metadata=_FACTOR)
    """Squared sliced Wasserstein distance of a result's colours to the style's, which statistics of features leave far apart.
    Losses of style are thousands of times larger: below 1000 it does nothing."""
    identity_weight: float = field(default=30.0, metadata=_FACTOR)
    """Pixel MSE of a picture stylised with itself: against colour casts, and for alpha 0."""
    grid_weight: float = field(default=1000.0, metadata=_FACTOR)
    """Variance within the mean 8 x 8 tile of a result. Where the photograph is flat, a pixel depends on its place in the stride
    alone, and a weave that repeats is the cheapest way to a style's contrast."""
    tv_weight: float = field(default=0.0, metadata=_FACTOR)
    """Total variation, against noise; blurs strokes, so 0 until noise shows."""

    seed: int = field(default=0, metadata={**_at_least(0), "below 2**32": lambda value: value < 2**32})
    """Of the initial weights and of the order of the data."""
    precision: Precision = "auto"
    """auto: bfloat16 where the processor multiplies it natively (GPU from Ampere, CPU with AVX512-BF16 or AMX)."""
    compile: bool | None = None
    """torch.compile; None: on a GPU, where it pays for its minute, not on a CPU, where it does not."""
    cpu: bool = False
    """Use the CPU even if there is a GPU."""
    save_every: int = field(default=500, metadata=_at_least(1))
    """Steps between checkpoints: a few minutes lost at most."""
    sample_every: int = field(default=1000, metadata=_at_least(1))
    """Steps between sample pictures and held-out losses."""

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            for expected, holds in setting.metadata.items():
                if not holds(value := getattr(self, setting.name)):
                    raise UsageError(f"{setting.name}: expected {expected}, got {value}")
        if self.max_side < self.crop:  # else every crop would be enlarged
            raise UsageError(f"max_side: expected at least crop, {self.crop}, got {self.max_side}")
        if (share := self.photo_styles + self.pattern_styles) > 1:
            raise UsageError(f"photo_styles, pattern_styles: expected at most 1 together, got {share:g}")
        for layer in (self.content_layer, *self.style_layers):
            if layer not in LAYERS:
                raise UsageError(f"content_layer, style_layers: expected layers of {', '.join(LAYERS)}, got {layer!r}")
        if not self.style_layers or len(set(self.style_layers)) < len(self.style_layers):
            raise UsageError(
                f"style_layers: expected at least one layer, each once, got {' '.join(self.style_layers) or 'none'}"
            )
        if self.content_octave >= self.octaves:
            raise UsageError(f"content_octave: expected less than octaves, {self.octaves}, got {self.content_octave}")
        if self.crop < (least := 16 << (self.octaves - 1)):  # the last octave's must be one the loss network can read
            raise UsageError(f"crop: expected at least {least} for {self.octaves} octaves, got {self.crop}")
        _ = self.arch  # raises for an architecture that cannot be built

    @property
    def arch(self) -> Architecture:
        """The model to train."""
        return Architecture(self.topology, self.width, self.taps, self.modulation)

    def changed(self, names: Iterable[str]) -> tuple[str, object] | None:
        """The first of these settings that is not the default, and what it is."""
        defaults = {setting.name: setting.default for setting in dataclasses.fields(self)}
        return next(((name, getattr(self, name)) for name in names if getattr(self, name) != defaults[name]), None)

    def describe(self) -> str:
        """All settings as JSON, for checkpoints and the metadata of weights; no paths, which mean nothing elsewhere."""
        left_out = ("content", "style", "teacher", "out", "init", "resume")
        return json.dumps({k: v for k, v in dataclasses.asdict(self).items() if k not in left_out})
