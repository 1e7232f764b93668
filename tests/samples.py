"""Videos, weights and commands that several files of tests make, and how they read and compare results."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from conftest import picture
from torch import nn

from train.config import TrainConfig

RATE = Fraction(30000, 1001)
TALKIE_FPS, TALKIE_FRAMES, TALKIE_CLICK = 10, 5, 3


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


def talkie(
    path: Path, codec: str, rate: int = 48000, layout: str = "mono", video: str = "mpeg4", frames: int = TALKIE_FRAMES,
    start: float = 0, starts: tuple[float, float] = (0, 0),
) -> Path:  # fmt: skip
    """A clip whose sound, silent at first, begins with the frame of number `TALKIE_CLICK`.

    Its clock begins at `start` seconds; its pictures and sound `starts` later.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(video, rate=TALKIE_FPS)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream(codec, rate=rate, layout=layout, bit_rate=128_000)
        loud = np.arange(rate * frames // TALKIE_FPS) >= rate * TALKIE_CLICK // TALKIE_FPS
        wave = (np.sin(np.arange(len(loud)) * 0.3) * loud * 16384).astype(np.int16)
        channels = len(av.AudioLayout(layout).channels)
        whole = av.AudioFrame.from_ndarray(wave.repeat(channels)[None], format="s16", layout=layout)
        whole.sample_rate, whole.pts, whole.time_base = rate, 0, Fraction(1, rate)
        sound.codec_context.open()
        blocks = av.AudioResampler(sound.codec_context.format, layout, rate, sound.codec_context.frame_size or 1024)
        heard = [p for f in [*blocks.resample(whole), *blocks.resample(None)] for p in sound.encode(f)]
        seen = [p for i in range(frames) for p in stream.encode(av.VideoFrame.from_image(picture(32, 32, i)))]
        tracks = [*seen, *stream.encode(None)], [*heard, *sound.encode(None)]
        for packets, later in zip(tracks, starts):
            for packet in packets:
                ticks = round((start + later) / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        for packet in sorted(itertools.chain(*tracks), key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return path


def onsets(path: Path) -> list[float]:
    """Measure at which seconds the first track of sound becomes loud, after 0.1 s of silence."""
    last, found = -np.inf, []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            values = frame.to_ndarray().astype(float)
            values = values[0] if frame.format.is_planar else values[0, :: frame.layout.nb_channels]  # of one channel
            scale = {"s16": 32768, "s32": 1 << 31}.get(frame.format.name.rstrip("p"), 1)
            for time in (frame.time or 0) + np.flatnonzero(np.abs(values / scale) > 0.1) / frame.sample_rate:
                found += [float(time)] if time > last + 0.1 else []
                last = time
    return found


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
