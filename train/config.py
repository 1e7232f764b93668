"""Every setting of a training run, with the reason for its default."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from nst_adain.device import Precision
from nst_adain.errors import UsageError, at_least
from nst_adain.models.architecture import LAYERS, Architecture

__all__ = ["FIT_ALONE", "TrainConfig"]

# Settings that `distill`, which trains an encoder without a style, does not use.
FIT_ALONE = ("train_encoder", "content_weight", "content_layer", "content_target", "style_weight",
             "style_layers", "style_kind", "identity_weight", "grid_weight", "tv_weight")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Settings of `distill` and `fit`. Lengths are in pixels, weights of losses are factors."""

    content: Path
    """Folder of photographs."""
    style: Path
    """Folder of paintings."""
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

    steps: int = 20_000
    """Steps of the whole schedule."""
    batch_size: int = 4
    """Pairs in a step and process. On a CPU more steps beat larger batches; on a GPU use 8 (the paper's) or more."""
    crop: int = 128
    """Side of the training pictures. The paper's 256 costs four times as much."""
    min_scale: float = 0.4
    """The smallest crop, as a fraction of the short side, before it is resized to `crop`: scales of stroke vary."""
    enlarge: float = 2.0
    """How far crops may be enlarged, as a factor. Enlarged strokes are smoother than real ones, but so are those of larger
    pictures than the training's: with 1, the style loss of these is a third higher."""
    variants: int = 2
    """Different crops of each picture. Few, so that the teacher's features of them can be cached."""
    cache_gb: float = 4.0
    """Memory for the teacher's features of those crops, in each process; 0 computes them each time."""
    crops_gb: float = 1.0
    """Memory for the crops themselves, in each process; 0 cuts them each time, which a GPU has to wait for."""
    holdout: int = 16
    """Pictures of each folder that are never trained on: the samples and the val_ columns are made from them."""
    photo_styles: float = 0.2
    """Share of the styles that are photographs. Without any, the network learns to tell their statistics from a painting's,
    and gives back unchanged the photograph whose style resembles one (with identity_weight above 0)."""
    pattern_styles: float = 0.1
    """Share of the styles that are drawn by chance: tiles, prints, dots, strokes, line drawings. From paintings alone the
    network gets better at paintings, and after a while worse at these."""
    patterns: int = 350
    """How many there are of them. Each takes 0.6 MB of memory from its first use on, in each process."""
    recolor_styles: float = 0.5
    """Share of the crops of paintings that get other colours: the channels exchanged, and each brightened or darkened. The
    modulator is given a few thousand codes of paintings again and again: with more of them the held-out style loss goes on
    falling with the training's, where it had stood still."""
    sharpen: float = 0.5
    """Share of the crops of photographs and paintings that are sharpened, by chance. Small JPEG files are softer than a
    photograph that was scaled down: on held-out styles sharpened like one the style loss is twice as high."""
    max_side: int = 512
    """Pictures are kept in memory with a short side of at most this; more than two crops would be wasted."""
    workers: int = 2
    """Threads that cut and resize crops ahead of the training."""

    lr: float = 1e-3
    """SOAP's peak rate (Vyas et al. 2024: Adam in the eigenbasis of Shampoo's preconditioner). After 320 steps from the same
    weights it was ahead of 3e-3, of Adam at 7e-4 and of Muon at 5e-3; at 2e-3 Adam left half of the channels dead."""
    basis_every: int = 10
    """Steps between two updates of SOAP's eigenbases, which a GPU is slow at."""
    warmup: int = 500
    """Steps of linear warm-up, at most half of all: the first ones, with moments of a few batches, are too long."""
    clip: float = 10.0
    """Largest gradient norm: no single batch, such as one with a nearly constant style, throws the run off. Those of `fit` are
    about 100, so all batches count alike; with 300 the wide model is after 500 steps where it is with 10."""
    ema: float = 0.999
    """Decay of the averaged weights, which are those shipped: noise of single batches is averaged out. Less at first."""

    content_weight: float = 1.0
    """Feature MSE at `content_layer` (paper, equation 12)."""
    content_layer: str = "relu4_1"
    """The paper's layer: objects and layout, no texture."""
    content_target: Literal["content", "adain"] = "content"
    """The content's own features, or the paper's t = AdaIN(content, style), which asks for less of the photo."""
    style_weight: float = 10.0
    """Sum over `style_layers` (paper, equation 13). The paper's value; with 5 the results look like the photo."""
    style_layers: tuple[str, ...] = LAYERS
    """The paper's layers: colour to stroke."""
    style_kind: Literal["moments", "gram"] = "moments"
    """Means and standard deviations (Huang & Belongie), or Gram matrices (Gatys et al.)."""
    identity_weight: float = 30.0
    """Pixel MSE of a picture stylised with itself: against colour casts, and for alpha 0."""
    grid_weight: float = 1000.0
    """Variance within the mean 8 x 8 tile of a result. Where the photograph is flat, a pixel depends on its place in the stride
    alone, and a weave that repeats is the cheapest way to a style's contrast."""
    tv_weight: float = 0.0
    """Total variation, against noise; blurs strokes, so 0 until noise shows."""

    seed: int = 0
    """Of the initial weights and of the order of the data."""
    precision: Precision = "auto"
    """auto: bfloat16 where the processor multiplies it natively (GPU from Ampere, CPU with AVX512-BF16 or AMX)."""
    compile: bool | None = None
    """torch.compile; None: on a GPU, where it pays for its minute, not on a CPU, where it does not."""
    cpu: bool = False
    """Use the CPU even if there is a GPU."""
    save_every: int = 500
    """Steps between checkpoints: a few minutes lost at most."""
    sample_every: int = 1000
    """Steps between sample pictures and held-out losses."""

    def __post_init__(self) -> None:
        for lowest, names in (
            (1, ("steps", "batch_size", "variants", "patterns", "workers", "basis_every", "save_every", "sample_every")),
            (16, ("crop", "max_side")),
            (1.0, ("enlarge",)),
            (0, ("holdout", "warmup", "cache_gb", "crops_gb", "seed", "lr")),
        ):
            at_least(lowest, **{name: getattr(self, name) for name in names})
        for name in ("cache_gb", "crops_gb", "lr", "enlarge"):
            if math.isinf(getattr(self, name)):
                raise UsageError(f"{name}: expected a finite number, got {getattr(self, name)}")
        if self.seed >= 2**32:
            raise UsageError(f"seed: expected below 2**32, got {self.seed}")
        if self.max_side < self.crop:  # else every crop would be enlarged
            raise UsageError(f"max_side: expected at least crop, {self.crop}, got {self.max_side}")
        for name in ("content_weight", "style_weight", "identity_weight", "grid_weight", "tv_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name}: expected a finite number from 0, got {getattr(self, name)}")
        if not 0 < self.min_scale <= 1:
            raise UsageError(f"min_scale: expected above 0 and at most 1, got {self.min_scale}")
        if not 0 <= self.ema < 1:
            raise UsageError(f"ema: expected 0 to below 1, got {self.ema}")
        if not self.clip > 0:
            raise UsageError(f"clip: expected above 0, inf for none, got {self.clip}")
        for name in ("photo_styles", "pattern_styles", "recolor_styles", "sharpen"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name}: expected 0 to 1, got {getattr(self, name)}")
        if (share := self.photo_styles + self.pattern_styles) > 1:
            raise UsageError(f"photo_styles, pattern_styles: expected at most 1 together, got {share:g}")
        for layer in (self.content_layer, *self.style_layers):
            if layer not in LAYERS:
                raise UsageError(f"content_layer, style_layers: expected layers of {', '.join(LAYERS)}, got {layer!r}")
        if not self.style_layers or len(set(self.style_layers)) < len(self.style_layers):
            raise UsageError(
                f"style_layers: expected at least one layer, each once, got {' '.join(self.style_layers) or 'none'}"
            )
        _ = self.arch  # raises for an architecture that cannot be built

    @property
    def arch(self) -> Architecture:
        """The model to train."""
        return Architecture(self.topology, self.width, self.taps, self.modulation)

    def changed(self, names: Iterable[str]) -> tuple[str, object] | None:
        """The first of these settings that is not the default, and what it is."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return next(((name, getattr(self, name)) for name in names if getattr(self, name) != defaults[name]), None)

    def describe(self) -> str:
        """All settings as JSON, for checkpoints and the metadata of weights; no paths, which mean nothing elsewhere."""
        left_out = ("content", "style", "teacher", "out", "init", "resume")
        return json.dumps({k: v for k, v in dataclasses.asdict(self).items() if k not in left_out})
