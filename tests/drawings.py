"""Bare patterns, which are hard styles for the models: the limits of the shipped weights were measured on them.

Pictures of `SIZE` x `SIZE` pixels, the same each time.
"""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from nst_adain.figures.fields import nearest_two, rgb, smooth_noise, to_image, unit_grid
from nst_adain.figures.gallery import SIZE, mosaic


@functools.cache
def draw_pattern(name: str) -> Image.Image:
    return PATTERNS[name]().resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def stained_glass() -> Image.Image:
    """Draw jewel-coloured panes between lead lines, brighter in their middles."""
    rng, size = np.random.default_rng(7), 2 * SIZE
    seeds = rng.uniform(-0.05, 1.05, (110, 2))
    palette = np.array(
        [[196, 30, 40], [18, 62, 160], [240, 176, 24], [12, 118, 92], [110, 34, 128], [236, 110, 28], [60, 150, 210]]
    )
    owner, gap = nearest_two(size, seeds)
    colours = palette[rng.integers(len(palette), size=len(seeds))] * rng.uniform(0.75, 1.15, (len(seeds), 1))
    glow = 0.72 + 4.0 * np.minimum(gap, 0.1) + 0.1 * smooth_noise(size, 40, rng)
    lead = np.clip((gap - 0.008) / 0.004, 0, 1)[..., None]
    return to_image(colours[owner] * glow[..., None] * lead + np.array([16, 14, 18]) * (1 - lead))


def woodcut_waves() -> Image.Image:
    """Draw rolling lines cut in indigo on cream, as in a block print of the sea."""
    rng, size = np.random.default_rng(11), 2 * SIZE
    y, x = unit_grid(size)
    swell = (
        y
        + 0.07 * np.sin(2 * np.pi * (1.6 * x + 0.15))
        + 0.035 * np.sin(2 * np.pi * (3.7 * x + 2 * y))
        + 0.03 * smooth_noise(size, 5, rng)
    )
    line = np.sin(2 * np.pi * 26 * swell)
    width = 0.55 * np.sin(2 * np.pi * (2.1 * swell + 0.4 * x)) + 0.2 * smooth_noise(size, 9, rng)
    ink = np.clip((line - width) * 6 + 0.5, 0, 1)[..., None]
    foam = np.clip((np.sin(2 * np.pi * 3.2 * swell) - 0.8) * 12, 0, 1)[..., None] * 0.85
    ground = np.array([238, 226, 198]) * (1 - 0.35 * y[..., None]) + np.array([70, 130, 160]) * (0.35 * y[..., None])
    printed = ground * (1 - ink) + np.array([22, 42, 92]) * ink
    return to_image(printed * (1 - foam) + np.array([246, 240, 224]) * foam)


def brush_strokes() -> Image.Image:
    """Draw thick curved strokes that follow a swirling field, blue sky over ochre ground."""
    rng, size = np.random.default_rng(5), 2 * SIZE
    canvas = Image.new("RGB", (size, size), (36, 52, 96))
    pen = ImageDraw.Draw(canvas)
    sky = np.array([[28, 56, 128], [64, 110, 180], [130, 170, 205], [236, 206, 96], [20, 36, 84]])
    ground = np.array([[176, 128, 40], [98, 110, 48], [60, 74, 40], [214, 170, 70], [122, 78, 36]])
    bend = smooth_noise(size, 4, rng)
    for _ in range(7000):
        x, y = rng.uniform(0, size, 2)
        palette = sky if y < size * (0.62 + 0.1 * np.sin(4 * x / size)) else ground
        near = int(3 * (np.hypot(x - 0.3 * size, y - 0.3 * size) < 0.13 * size)) or int(rng.integers(len(palette)))
        colour = palette[near] * rng.uniform(0.8, 1.2)
        points = [(x, y)]
        for _ in range(9):
            swirl = np.arctan2(y - 0.3 * size, x - 0.3 * size) + np.pi / 2
            angle = (
                swirl + 1.2 * bend[int(y) % size, int(x) % size]
                if y < size * 0.62
                else 0.5 * bend[int(y) % size, int(x) % size]
            )
            x, y = x + 8 * np.cos(angle), y + 8 * np.sin(angle)
            points.append((x, y))
        thick = int(rng.integers(7, 14))
        pen.line(points, fill=rgb(colour * 0.72), width=thick + 3, joint="curve")
        pen.line(points, fill=rgb(colour), width=thick - 2, joint="curve")
    return canvas


def pointillism() -> Image.Image:
    """Draw dots of pure colours that mix to a warm evening at some distance."""
    rng, size = np.random.default_rng(9), 2 * SIZE
    canvas = Image.new("RGB", (size, size), (238, 228, 205))
    pen = ImageDraw.Draw(canvas)
    bands = np.array([[250, 196, 92], [240, 128, 88], [196, 92, 130], [96, 96, 170], [48, 110, 120], [110, 150, 70]])
    hills = 0.12 * smooth_noise(size, 3, rng)
    for _ in range(26000):
        x, y = rng.uniform(0, size, 2)
        depth = y / size + hills[int(y), int(x)] + rng.normal(0, 0.07)
        colour = bands[int(np.clip(depth, 0, 0.999) * len(bands))] + rng.normal(0, 34, 3)
        r = rng.uniform(3.5, 6.5)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=rgb(colour))
    return canvas


def ink_wash() -> Image.Image:
    """Draw grey washes and black dry-brush lines on warm paper."""
    rng, size = np.random.default_rng(21), 2 * SIZE
    y, _ = unit_grid(size)
    pixels = np.ones((size, size, 3)) * np.array([240, 233, 218]) + 5 * smooth_noise(size, 200, rng)[..., None]
    for level in range(5):
        ridge = 0.25 + 0.15 * level + 0.12 * smooth_noise(size, 3 + level, rng)[0]
        below = np.clip((y - ridge[None]) * 60, 0, 1) * np.exp(-np.clip(y - ridge[None], 0, None) * 9)
        pixels *= 1 - (0.22 + 0.11 * level) * (below * (0.85 + 0.15 * smooth_noise(size, 60, rng)))[..., None]
    canvas = to_image(pixels).filter(ImageFilter.GaussianBlur(2))
    pen = ImageDraw.Draw(canvas)
    for _ in range(420):
        x, y0 = rng.uniform(0, size), size * rng.uniform(0.3, 1) ** 0.8
        points = [(x + 6 * k + rng.normal(0, 2), y0 - 5 * k * rng.uniform(0.2, 1.6)) for k in range(int(rng.integers(4, 14)))]
        pen.line(points, fill=rgb(np.full(3, rng.uniform(15, 70))), width=int(rng.integers(2, 7)), joint="curve")
    return canvas


PATTERNS = {
    "stained_glass": stained_glass,
    "woodcut_waves": woodcut_waves,
    "mosaic": mosaic,
    "brush_strokes": brush_strokes,
    "pointillism": pointillism,
    "ink_wash": ink_wash,
}
