"""Videos, weights and commands that several files of tests make, and how they read and compare results."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from conftest import picture
from torch import nn

from train.config import TrainConfig

RATE = Fraction(30000, 1001)


def make_video(
    path: Path, size: tuple[int, int] = (48, 32), frames: int = 12, times: list[int] | None = None, sound_blocks: int = 12
) -> Path:
    """A pan over a picture, at 29.97 frames a second (or the given times in 1/1000 s), with blocks of 23 ms of sound."""
    wide = np.asarray(picture(size[0] + frames * 2, size[1], 1))
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "10"})
        video.width, video.height, video.pix_fmt = *size, "yuv444p"
        if times:
            video.codec_context.time_base = Fraction(1, 1000)
        sound = container.add_stream("aac", rate=44100, layout="mono") if sound_blocks else None
        tone = np.sin(np.arange(1024) * 0.1).astype(np.float32)[None]
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(wide[:, 2 * i : 2 * i + size[0]]), format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for i in range(sound_blocks):
            assert sound is not None
            noise = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            noise.sample_rate, noise.pts = 44100, 1024 * i
            container.mux(sound.encode(noise))
        if sound is not None:
            container.mux(sound.encode())
    return path


def film(path: Path, frames: int) -> Path:
    """A clip whose picture changes every eighth frame, without sound."""
    with av.open(str(path), "w") as writer:
        stream = writer.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture(48, 32, seed=index // 8)), format="rgb24")
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode())
    return path


def published_decoder() -> nn.Sequential:
    """decoder.pth, with random weights."""
    layers: list[nn.Module] = []
    channels = 512
    for step in [256, "U", 256, 256, 256, 128, "U", 128, 64, "U", 64, 3]:
        if isinstance(step, int):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, step, 3), nn.ReLU()]
            channels = step
        else:
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
    return nn.Sequential(*layers[:-1])


def fit_command(config: TrainConfig, *more: str) -> list[str]:
    """The command that trains as this configuration says."""
    options = ["--content", config.content, "--style", config.style, "--teacher", config.teacher, "--out", config.out,
               "--width", config.width, "--modulation", config.modulation, "--steps", config.steps,
               "--batch-size", config.batch_size, "--crop", config.crop,
               "--holdout", config.holdout, "--warmup", config.warmup, "--save-every", config.save_every,
               "--cache-gb", config.cache_gb, "--precision", "float32", "--cpu"]  # fmt: skip
    return ["-m", "train", "fit", *map(str, options), *more]


def read_video(path: Path) -> tuple[list[float], list[np.ndarray], list[bytes]]:
    """Times and pixels of the frames, and the packets of the sound."""
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    with av.open(str(path)) as container:
        sound = [bytes(p) for p in container.demux(audio=0) if p.size] if container.streams.audio else []
    return [float(f.time or 0) for f in decoded], [f.to_ndarray(format="rgb24") for f in decoded], sound


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-4) -> None:
    """Assert that two results differ by no more than the tolerance."""
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)
