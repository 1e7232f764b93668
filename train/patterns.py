"""Style pictures drawn at random: people also bring mosaics, prints and line drawings, of which a folder of paintings has few.

They are not the pictures of `nst_adain.figures.gallery`, which are there to be looked at and to judge the weights.
"""

from __future__ import annotations

import colorsys
import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from nst_adain.figures.fields import FloatArray, nearest_two, rgb, smooth_noise, to_image, unit_grid

__all__ = [
    "KINDS",
    "OVERSAMPLING",
    "SIDE",
    "SIZE",
    "Patterns",
    "bands",
    "cells",
    "dots",
    "draw_pattern",
    "hatching",
    "shapes",
    "strokes",
    "washes",
]

SIZE = 384
OVERSAMPLING = 2  # drawn twice as large and reduced: smooth edges
SIDE = SIZE * OVERSAMPLING


class Patterns:
    """`count` pictures, the same ones for the same seed, each drawn when it is first asked for."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.draw = functools.cache(lambda number: draw_pattern(number, seed))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Image.Image:
        return self.draw(range(self.count)[number])


def draw_pattern(number: int, seed: int) -> Image.Image:
    """An RGB picture of `SIZE` x `SIZE` pixels; the kinds take turns."""
    rng = np.random.default_rng([seed, 3, number])
    image = KINDS[number % len(KINDS)](rng, _palette(rng))
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _palette(rng: np.random.Generator) -> FloatArray:
    """(N, 3) in 0 .. 255: 2 to 7 colours of near or of any hues, one of them light and one dark."""
    count = int(rng.integers(2, 8))
    hues = rng.uniform() + rng.choice([0.05, 0.2, 0.5]) * rng.uniform(-1, 1, count)
    saturations = rng.uniform(0, 1) * rng.uniform(0.3, 1, count)
    values = rng.permutation(np.linspace(rng.uniform(0.05, 0.4), rng.uniform(0.7, 1), count))
    return np.array([colorsys.hsv_to_rgb(h % 1, s, v) for h, s, v in zip(hues, saturations, values)]) * 255


def _field(rng: np.random.Generator, colours: int) -> FloatArray:
    """(SIDE, SIDE): a number of a colour everywhere, in areas."""
    return (smooth_noise(SIDE, int(rng.integers(2, 9)), rng) * 0.7 + 0.5).clip(0, 0.999) * colours


def _at(field: FloatArray, xy: FloatArray) -> FloatArray:
    x, y = xy.astype(int).clip(0, SIDE - 1).T
    return field[y, x]


def cells(rng: np.random.Generator, palette: FloatArray) -> Image.Image:
    """Panes, stones or tiles, with or without joints."""
    across = int(np.exp(rng.uniform(np.log(5), np.log(60))))
    axis = (np.arange(across) + 0.5) / across
    regular = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    seeds = regular + rng.normal(0, rng.choice([0.03, 0.15, 0.6]) / across, regular.shape)
    owner, gap = nearest_two(SIDE, seeds)
    areas = rng.random() < 0.5
    index = _at(_field(rng, len(palette)), seeds[:, ::-1] * SIDE) if areas else rng.uniform(0, len(palette), len(seeds))
    colours = palette[index.astype(int)] * rng.uniform(rng.uniform(0.5, 1), 1.1, (len(seeds), 1))
    width = rng.choice([0, 0.03, 0.1, 0.2]) / across
    joint = (np.clip((gap - width) * SIDE / 2, 0, 1) if width else np.ones_like(gap))[..., None]
    return to_image(colours[owner] * joint + palette[0] * rng.uniform(0.2, 1.2) * (1 - joint))


def bands(rng: np.random.Generator, palette: FloatArray) -> Image.Image:
    """Bent lines, thin or broad, hard or soft, as in marbled paper, wood or block prints."""
    y, x = unit_grid(SIDE)
    angle = rng.uniform(0, np.pi)
    bend = rng.uniform(0, 0.25) * smooth_noise(SIDE, int(rng.integers(2, 12)), rng)
    phase = np.exp(rng.uniform(np.log(3), np.log(35))) * (np.cos(angle) * x + np.sin(angle) * y + bend)
    line = np.sin(2 * np.pi * phase) - rng.uniform(-0.6, 0.6) - rng.uniform(0, 0.5) * smooth_noise(SIDE, 9, rng)
    ink = np.clip(line * np.exp(rng.uniform(np.log(0.7), np.log(8))) + 0.5, 0, 1)[..., None]
    number = (phase if rng.random() < 0.5 else _field(rng, len(palette))).astype(int)
    return to_image(palette[number % len(palette)] * ink + palette[(number + 1) % len(palette)] * (1 - ink))


def dots(rng: np.random.Generator, palette: FloatArray) -> Image.Image:
    """Dots of one size on a ground, coloured by area, not without exceptions."""
    radius = np.exp(rng.uniform(np.log(3), np.log(16)))
    xy = rng.uniform(0, SIDE, (int(rng.uniform(0.5, 2.5) * SIDE**2 / (np.pi * radius**2)), 2))
    index = _at(_field(rng, len(palette)), xy) + rng.normal(0, rng.uniform(0, 1), len(xy))
    colours = palette[index.astype(int) % len(palette)] + rng.normal(0, rng.uniform(0, 40), (len(xy), 3))
    canvas, pen = _canvas(palette[-1])
    for (x, y), r, colour in zip(xy, radius * rng.uniform(0.7, 1.3, len(xy)), colours):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=rgb(colour))
    return canvas


def strokes(rng: np.random.Generator, palette: FloatArray) -> Image.Image:
    """Strokes of a brush or a pen that follow a field of directions; the ground is covered or shows."""
    width, pieces = int(np.exp(rng.uniform(np.log(2), np.log(24)))), int(rng.integers(2, 9))
    step = max(4.0, width * 0.7)
    count = int(rng.uniform(0.3, 2.5) * SIDE**2 / (width * step * pieces))
    bend = smooth_noise(SIDE, int(rng.integers(2, 7)), rng) * rng.uniform(0.3, 4) + rng.uniform(0, np.pi)
    path = [rng.uniform(0, SIDE, (count, 2))]
    index = _at(_field(rng, len(palette)), path[0]) + rng.normal(0, rng.uniform(0, 1), count)
    colours = palette[index.astype(int) % len(palette)] * rng.uniform(0.8, 1.2, (count, 1))
    for _ in range(pieces):
        angle = _at(bend, path[-1]) + rng.normal(0, 0.15, count)
        path.append(path[-1] + step * np.stack([np.cos(angle), np.sin(angle)], 1))
    edge = rng.uniform(0.5, 1.0)
    canvas, pen = _canvas(palette[-1])
    for points, colour in zip(np.stack(path, 1).reshape(count, -1).tolist(), colours):
        pen.line(points, fill=rgb(colour * edge), width=width + 2, joint="curve")
        pen.line(points, fill=rgb(colour), width=max(1, width - 2), joint="curve")
    return canvas


def hatching(rng: np.random.Generator, palette: FloatArray) -> Image.Image:
    """Pen or pencil on paper: families of uneven lines, each where the picture is darker."""
    y, x = unit_grid(SIDE)
    tone, ink = smooth_noise(SIDE, int(rng.integers(2, 12)), rng), np.zeros((SIDE, SIDE))
    frequency = np.exp(rng.uniform(np.log(15), np.log(80)))
    for family in range(int(rng.integers(1, 4))):
        angle, uneven = rng.uniform(0, np.pi), smooth_noise(SIDE, 60, rng)
        bend = rng.uniform(0, 0.08) * smooth_noise(SIDE, 6, rng) + rng.uniform(0, 0.3) / frequency * uneven
        phase = frequency * (np.cos(angle) * x + np.sin(angle) * y + bend)
        threshold = 0.5 + 0.3 * family - 0.9 * tone + 0.6 * smooth_noise(SIDE, 90, rng)
        ink = np.maximum(ink, np.clip((np.sin(2 * np.pi * phase) - threshold) * 2, 0, 1))
    # Not black on white: lines everywhere at full contrast are a hundred times as far from a painting as anything else.
    light = 255 - (255 - palette[palette.sum(1).argmax()]) * rng.uniform(0, 1)
    dark = light + (palette[palette.sum(1).argmin()] * 0.5 - light) * rng.uniform(0.15, 0.6)
    return to_image(light + (dark - light) * ink[..., None])


def washes(rng: np.random.Generator, palette: FloatArray) -> Image.Image:
    """Transparent layers with wet edges on grainy paper."""
    pixels = np.ones((SIDE, SIDE, 3)) * (235 + 15 * rng.uniform(-1, 1, 3))
    for colour in palette[rng.integers(len(palette), size=int(rng.integers(3, 9)))]:
        height = smooth_noise(SIDE, int(rng.integers(2, 10)), rng) + 0.15 * smooth_noise(SIDE, 40, rng) - rng.uniform(-0.3, 0.5)
        inside = np.clip(height * rng.uniform(3, 40), 0, 1) * (0.4 + 0.5 * np.exp(-np.clip(height, 0, None) * 8))
        pixels *= 1 - inside[..., None] * (1 - colour / 255)
    pixels += rng.uniform(0, 12) * smooth_noise(SIDE, 250, rng)[..., None]
    return to_image(pixels).filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 3))))


def shapes(rng: np.random.Generator, palette: FloatArray) -> Image.Image:
    """Flat polygons and discs over one another, as in posters and cut paper."""
    size = np.exp(rng.uniform(np.log(0.04), np.log(0.25))) * SIDE
    canvas, pen = _canvas(palette[-1])
    outline = rgb(palette[0] * 0.3) if rng.random() < 0.4 else None
    for x, y in rng.uniform(0, SIDE, (int(3 * (SIDE / size) ** 2), 2)):
        fill, r = rgb(palette[rng.integers(len(palette))] * rng.uniform(0.8, 1.2)), size * rng.uniform(0.3, 1)
        if rng.random() < 0.3:
            pen.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=outline, width=4)
        else:
            turn = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 6))))
            corners = np.stack([x + r * np.cos(turn), y + r * np.sin(turn)], 1)
            pen.polygon([tuple(corner) for corner in corners.tolist()], fill=fill, outline=outline, width=4)
    return canvas


KINDS = (cells, bands, dots, strokes, hatching, washes, shapes)


def _canvas(colour: FloatArray) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("RGB", (SIDE, SIDE), rgb(colour))
    return canvas, ImageDraw.Draw(canvas)
