"""The two things that can be trained: an encoder that imitates the teacher, and the style transfer itself.

A task is a module with the trained parameters; its `forward` takes a batch and returns the losses by name, the sum
to minimise under "loss".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nst_adain.functional import ChannelStats, adain, at_least_float32, channel_stats
from nst_adain.models.architecture import LAYERS, STRIDE
from nst_adain.models.networks import Encoder, StyleTransfer, pad_to_stride
from train.config import TrainConfig
from train.data import Batch, Key
from train.losses import content_loss, grid_energy, palette_loss, style_loss, style_targets, total_variation

__all__ = ["Distillation", "StyleTransferTask", "TargetCache"]


class TargetCache:
    """The teacher's features of crops that come again, up to a limit of memory.

    Memory for many crops is taken at once: crops kept one by one, between what each step takes and frees, would leave holes
    that nothing else fits into, of three times their size.
    """

    TOGETHER = 256

    def __init__(self, compute: Callable[[Tensor], Sequence[Tensor]], gigabytes: float) -> None:
        self.compute, self.free = compute, gigabytes * 2**30
        self.entries: dict[Key, Sequence[Tensor]] = {}
        self.places: list[tuple[Tensor, ...]] = []  # taken, and not used yet

    def __call__(self, images: Tensor, keys: Sequence[Key]) -> list[Tensor]:
        """What `compute` returns for `images`, each part (B, ...); only unknown crops are computed."""
        found = {key: self.entries[key] for key in keys if key in self.entries}
        missing = [i for i, key in enumerate(keys) if key not in found]
        if missing:
            with torch.no_grad():
                parts = self.compute(images[missing])
            for row, i in enumerate(missing):
                found[keys[i]] = entry = [part[row] for part in parts]
                if keys[i] not in self.entries and (place := self._place(entry)):
                    self.entries[keys[i]] = [kept.copy_(part) for kept, part in zip(place, entry)]
        return [torch.stack(column) for column in zip(*(found[key] for key in keys))]

    def _place(self, entry: Sequence[Tensor]) -> tuple[Tensor, ...] | None:
        """Memory for an entry like this one, or None if there is no more."""
        if not self.places:
            size = sum(part.nbytes for part in entry)
            count = min(self.TOGETHER, int(self.free // size))
            self.free -= count * size
            self.places = list(zip(*(part.new_empty(count, *part.shape) for part in entry)))
        return self.places.pop() if self.places else None


class Distillation(nn.Module):
    """A small encoder whose features, through one linear map per layer, are the teacher's.

    The linear maps (1 x 1 convolutions) are only for training: they let a narrow layer hold the teacher's features in
    a basis of its own. The teacher's features are not cached: those of the shallow layers take 8 MB a crop.
    """

    def __init__(self, config: TrainConfig, teacher: Encoder) -> None:
        super().__init__()
        self.model = StyleTransfer(config.arch)
        self.model.requires_grad_(False).encoder.requires_grad_(True)
        arch, vgg = config.arch, teacher.plan
        ours = {arch.plan.stride_of(layer): layer for layer in arch.plan.layers}
        # A layer of the teacher, and ours of the same resolution.
        self.pairs = {layer: ours[vgg.stride_of(layer)] for layer in LAYERS if vgg.stride_of(layer) in ours}
        taught, channels = dict(zip(LAYERS, _channels_of(teacher))), dict(zip(arch.plan.layers, arch.channels))
        self.heads = nn.ModuleDict(
            {theirs: nn.Conv2d(channels[layer], taught[theirs], 1) for theirs, layer in self.pairs.items()}
        )
        self.features, self.targets = self.model.encoder.features, teacher.features

    def compile_networks(self) -> None:
        """Compile what runs in each step."""
        self.features, self.targets = torch.compile(self.features), torch.compile(self.targets)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Relative squared error at each layer of the teacher: 1 is as good as the mean, 0 is perfect."""
        images = pad_to_stride(_as_float(torch.cat([batch.content, batch.style]), next(self.parameters())))
        with torch.no_grad():
            wanted = self.targets(images)
        got = self.features(images)
        losses = {}
        for layer, head in self.heads.items():
            want = at_least_float32(wanted[layer])
            losses[layer] = F.mse_loss(at_least_float32(head(got[self.pairs[layer]])), want) / want.var().clamp_min(1e-8)
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}


class StyleTransferTask(nn.Module):
    """Style transfer taught by content and style losses in the loss network's feature space."""

    def __init__(self, config: TrainConfig, teacher: Encoder) -> None:
        super().__init__()
        self.config = config
        self.model = StyleTransfer(config.arch)
        self.model.encoder.requires_grad_(config.train_encoder)
        # A method, not the teacher itself: as a submodule it would be saved, and given to the optimizer.
        self.targets = teacher.features
        self.read, self.decode, self.judge = self._read, self.model.decode, self._judge
        self.content_targets = TargetCache(self._content_target, 0.8 * config.cache_gb)
        self.style_targets = TargetCache(self._flat_style_targets, 0.2 * config.cache_gb)

    def compile_networks(self) -> None:
        """Compile what runs in each step; not `targets`, whose batches vary with what is cached."""
        self.read, self.decode, self.judge = (torch.compile(part) for part in (self.read, self.decode, self.judge))

    def _read(self, pictures: Tensor) -> tuple[dict[str, Tensor], ChannelStats]:
        """The features of pictures, and their styles."""
        features = self.model.encode(pictures)
        return features, self.model.code(features)

    def _content_target(self, images: Tensor) -> list[Tensor]:
        """What the content loss asks for: features at the content layer."""
        c = self.config
        return [self.targets(_halved(images, c.content_octave))[c.content_layer]]

    def _judge(self, pictures: Tensor) -> tuple[Tensor, dict[str, tuple[Tensor, ...]]]:
        """What the losses compare: features at the content layer, and parts of each style layer in each octave."""
        c = self.config
        octaves = [self.targets(_halved(pictures, octave)) for octave in range(c.octaves)]
        parts = {}
        for octave, features in enumerate(octaves):
            share = 0.5 ** (octave / 2)  # of differences: halves their squares, which in each octave are twice as large
            for layer, found in style_targets(features, c.style_layers, c.style_kind).items():
                parts[f"{layer}/{2**octave}"] = tuple(share * part for part in found)
        return octaves[c.content_octave][c.content_layer], parts

    def _flat_style_targets(self, images: Tensor) -> list[Tensor]:
        """The statistics at the content layer, for the paper's t, then the parts of each style layer in each octave."""
        layout, parts = self._judge(images)
        stats = channel_stats(layout)
        return [stats.mean, stats.std, *itertools.chain.from_iterable(parts.values())]

    def _stylise(self, pictures: Tensor, contents: Sequence[slice], styles: Sequence[slice]) -> Tensor:
        """Some of `pictures` in the style of others, each encoded once; B is the number of either.

        Slices, because a GPU would wait for a list of numbers.
        """
        features, code = self.read(pictures)
        content_stats, style_stats = (
            ChannelStats(_rows(code.mean, rows), _rows(code.std, rows)) for rows in (contents, styles)
        )
        split = self.model.arch.split
        output = self.decode({tap: _rows(x, contents) for tap, x in features.items()}, split(content_stats), split(style_stats))
        return output[..., : pictures.shape[-2], : pictures.shape[-1]]

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of one batch, each before its weight."""
        c = self.config
        like = next(self.parameters())
        content, style = _as_float(batch.content, like), _as_float(batch.style, like)
        # Every picture is encoded once: contents, then styles. A quarter is also stylised with itself, of both kinds in turn:
        # were it photographs alone, the modulator would learn to tell their codes, and to leave alone what looks like one.
        pictures = torch.cat([content, style])
        apart = min(4, len(pictures))
        itself = [slice(batch.number % apart, None, apart)] if c.identity_weight else []
        output = self._stylise(pictures, [slice(len(content)), *itself], [slice(len(content), None), *itself])
        output, again = output[: len(content)], output[len(content) :]

        layout, statistics = self.judge(output)
        (content_target,) = self.content_targets(content, batch.content_keys)
        mean, std, *parts = self.style_targets(style, batch.style_keys)
        per_layer = len(parts) // len(statistics)
        wanted = {k: tuple(parts[i * per_layer : (i + 1) * per_layer]) for i, k in enumerate(statistics)}
        if c.content_target == "adain":
            content_target = adain(content_target, channel_stats(content_target), ChannelStats(mean, std))
        losses = {
            "content": content_loss(layout, content_target),
            "style": style_loss(statistics, wanted),
        }
        total = c.content_weight * losses["content"] + c.style_weight * losses["style"]
        if c.palette_weight:
            losses["palette"] = palette_loss(output, style)
            total = total + c.palette_weight * losses["palette"]
        if itself:
            losses["identity"] = F.mse_loss(again.float(), _rows(pictures, itself))
            total = total + c.identity_weight * losses["identity"]
        if c.grid_weight:
            losses["grid"] = grid_energy(output.float(), STRIDE)
            total = total + c.grid_weight * losses["grid"]
        if c.tv_weight:
            losses["tv"] = total_variation(output.float())
            total = total + c.tv_weight * losses["tv"]
        return {"loss": total, **losses}


def _halved(pictures: Tensor, times: int) -> Tensor:
    """(B, 3, H, W) reduced to (B, 3, H / 2**times, W / 2**times), rounded down: each pixel is the mean of those it covers."""
    return F.avg_pool2d(pictures, 2**times) if times else pictures


def _rows(x: Tensor, slices: Sequence[slice]) -> Tensor:
    return torch.cat([x[rows] for rows in slices])


def _as_float(images: Tensor, like: Tensor) -> Tensor:
    """uint8 pictures as [0, 1] on the device of `like`, in the layout that its convolutions are fastest in."""
    return images.to(like.device, non_blocking=True).float().div(255).contiguous(memory_format=torch.channels_last)


def _channels_of(encoder: Encoder) -> list[int]:
    return [encoder.get_submodule(f"conv{stage}_1").out_channels for stage in (1, 2, 3, 4)]
