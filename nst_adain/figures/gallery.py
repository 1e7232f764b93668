"""Draws style pictures, so that a demonstration needs no files and infringes no rights.

Every style is an RGB picture of `SIZE` x `SIZE` pixels, the same each time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from nst_adain.figures.fields import Colour, FloatArray, blend, nearest_two, smooth_noise, soft, to_image, unit_grid
from nst_adain.figures.painting import Brush, canvas_of, directions, lit, paint, wash
from nst_adain.figures.scenes import GRID, bouquet, evening, wood

__all__ = [
    "SIZE",
    "STYLES",
    "brush_strokes",
    "draw",
    "ink_wash",
    "mosaic",
    "palette_knife",
    "pastel",
    "watercolor",
    "woodcut_waves",
]

SIZE = 512
_CANVAS = 3 * GRID  # pixels a side: larger than the picture, for smooth edges


def draw(name: str) -> Image.Image:
    """Draw the style picture of this name.

    Raises:
        ValueError: if `STYLES` has no such name.
    """
    if name not in STYLES:
        raise ValueError(f"style: expected one of {', '.join(STYLES)}, got {name!r}")
    return STYLES[name]().resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def brush_strokes() -> Image.Image:
    """Paint an evening in long strokes of thick oil."""
    rng = np.random.default_rng(5)
    brushes = (
        Brush(0.06, 4, light=16, hue=10),
        Brush(0.03, 7, light=24, hue=15, hairs=4, rim=0.35),
        Brush(0.016, 9, threshold=60, light=32, hue=19, hairs=3, rim=0.45),
    )
    return to_image(lit(_layers((60, 50, 70), evening(rng), brushes, rng), 24))


def palette_knife() -> Image.Image:
    """Paint an autumn wood in short, flat, thick dabs of a knife."""
    rng = np.random.default_rng(17)
    knives = (
        Brush(0.07, 2.5, hairs=3),
        Brush(0.045, 2.2, threshold=40, light=24, hue=14, hairs=2, streak=5),
        Brush(0.026, 2.2, threshold=60, light=26, hue=16, hairs=2, streak=5),
        Brush(0.014, 3, threshold=110, light=16, hue=10, hairs=2),
    )
    return to_image(lit(_layers((60, 30, 50), wood(rng), knives, rng), 40))


def _layers(
    ground: Colour, painted: tuple[FloatArray, FloatArray], brushes: Sequence[Brush], rng: np.random.Generator
) -> FloatArray:
    """Paint a scene, given with the directions of its strokes, in a layer for each brush."""
    canvas, (scene, angle) = canvas_of(ground, _CANVAS), painted
    for brush in brushes:
        canvas = paint(canvas, scene, angle, brush, rng)
    return canvas


def pastel() -> Image.Image:
    """Draw a bouquet in chalks, whose colour catches the grain of toned paper."""
    rng = np.random.default_rng(23)
    scene, angle = bouquet(rng)
    grain = _noise(330, rng) + 0.5 * _noise(150, rng)
    chalks = (
        (0.05, Brush(0.035, 5, light=12, hue=7, hairs=6, dry=0, spacing=0.9)),
        (0.45, Brush(0.017, 7, threshold=40, light=20, hue=12, spacing=1.1)),
        (0.7, Brush(0.0085, 8, threshold=60, light=24, hue=14, hairs=3, spacing=1.5)),
    )
    canvas = canvas_of(np.array([84, 74, 104]) + 6 * grain[..., None], _CANVAS)
    for pressure, chalk in chalks:
        canvas = blend(canvas, paint(canvas, scene, angle, chalk, rng), 0.12 + 0.8 * soft(pressure - grain, 0.6))
    return to_image(canvas[..., :3])


def watercolor() -> Image.Image:
    """Paint a lake among hills in washes, with pen lines."""
    rng = np.random.default_rng(31)
    y, x = (axis.astype(np.float32) for axis in unit_grid(_CANVAS))
    grain = _noise(260, rng) + 0.6 * _noise(130, rng)
    n4, n9, n22, n50 = (_noise(cells, rng) for cells in (4, 9, 22, 50))
    wet = 0.6 + 0.3 * n4 + 0.2 * n9 + 0.12 * n22
    shore, white = 0.6, np.array([252, 248, 238], np.float32)
    blue = 1.5 * wet * np.clip(1.1 - y / 0.4, 0, 1) * soft(0.1 - n4 - 0.5 * n9 - 0.3 * n22, 0.7)  # less where there are clouds
    paper = wash(white, 0.4 - y + 0.1 * n9 + 0.02 * n22, (64, 150, 214), grain, blue, edge=0.1)
    paper = wash(paper, 0.2 - np.abs(y - 0.4) + 0.06 * n9, (255, 176, 120), grain, wet * soft(y - 0.3, 0.3), edge=0.06)
    hills = (0.36, 0.16, 5, (130, 120, 200)), (0.44, 0.1, 4, (60, 120, 180)), (0.53, 0.05, 7, (60, 150, 110))
    for top, height, cells, colour in hills:
        below = y - top - height * _noise(cells, rng)[9] - 0.008 * n22
        mist = wet * np.exp(-9 * np.clip(below, 0, 1))
        paper = wash(paper, np.minimum(below, shore - y), colour, grain, 0.8 * mist, line=0.5)
    trees = ((0.42, 0.11, 0.14, (250, 186, 50)), (0.53, 0.25, 0.06, (120, 176, 100)),
             (0.42, 0.89, 0.14, (244, 96, 70)), (0.52, 0.74, 0.07, (190, 110, 190)))  # fmt: skip
    for cy, cx, size, colour in trees:
        trunk = 0.0036 + 0.012 * (y - cy) - np.abs(x - cx - 0.008 * np.sin(30 * y))
        trunk = np.minimum(trunk, np.minimum(y - cy + 0.4 * size, shore + 0.01 - y))
        paper = wash(paper, trunk, (80, 60, 70), grain, 0.9, edge=0.3)
        for dy, dx, part in ((0, 0, 1), (0.1, 0.1, 0.75), (0.2, -0.3, 0.5)):
            away = np.hypot(1.1 * (x - cx - dx * size), y - cy - dy * size)
            crown = part * size * (0.8 + 0.4 * n9 + 0.5 * n22 + 0.4 * n50) - away
            paper = wash(paper, crown, colour, grain, 0.7 * wet, line=0.35)

    wave = (x + 0.065 * (y - shore) * np.sin(150 * y + 2 * n9)) * _CANVAS
    rows = ((2 * shore - y) * _CANVAS).clip(0, _CANVAS - 1)
    mirror = paper[rows.astype(int), wave.clip(0, _CANVAS - 1).astype(int)]
    mirror = 255 * (mirror / 255) ** 0.6 * np.array([0.9, 0.96, 0.98], np.float32)
    mirror = blend(mirror, white, 0.8 * soft(np.sin(70 * y + 2 * n4) + 0.9 * n9 + 0.5 * n22 - 1.2, 0.2))
    paper = blend(paper, mirror, soft(y - shore, 0.003))
    bank = y - 0.86 + 0.05 * n4 + 0.015 * (n22 + n50)
    paper = wash(paper, bank, (236, 190, 90), grain, wet)
    flowers = (30, (90, 160, 110)), (60, (200, 110, 60)), (34, (236, 60, 100)), (44, (252, 170, 40)), (52, (130, 90, 200))
    for cells, colour in flowers:
        spots = _noise(cells, rng) - 0.6 - 9 * np.clip(-bank - 0.03, 0, 1)
        paper = wash(paper, spots, colour, grain, wet, line=0.3)
    return to_image(paper)


def woodcut_waves() -> Image.Image:
    """Print waves before a red sun from blocks of indigo, blue and pale green on cream paper."""
    rng = np.random.default_rng(11)
    y, x = (axis.astype(np.float32) for axis in unit_grid(_CANVAS))
    n5, n9, n14 = (_noise(cells, rng) for cells in (5, 9, 14))
    ink, blue, pale, cream = (24, 40, 88), (46, 98, 146), (142, 184, 190), (240, 228, 200)
    block = blend(cream, (226, 150, 92), 0.9 * np.clip(1 - y / 0.3, 0, 1) ** 1.5)
    block = blend(block, (206, 66, 44), soft(0.1 - np.hypot(x - 0.74, y - 0.2), 0.004))
    lines = np.sin(68 * np.pi * (y + 0.01 * np.sin(9 * x)))
    block = blend(block, (120, 130, 150), 0.8 * soft(lines - 0.75 - 0.8 * n5, 0.3))
    for near in (0, 1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1):
        phase = rng.uniform() + (2.6 - 1.5 * near) * x
        phase += 0.13 * np.sin(2 * np.pi * phase)
        crest, tall = 1 - np.abs(np.sin(np.pi * phase)) ** 1.3, 0.05 + 0.07 * near
        below = y - 0.34 - 0.52 * near**1.15 + tall * (2 * crest - 1) + 0.012 * _noise(14, rng)
        fold = 2 * np.pi * (below + 0.35 * tall * np.sin(2 * np.pi * phase + 1))
        cuts = np.sin(fold / (0.022 + 0.02 * near)) - 0.55 - 1.1 * np.exp(-below / 0.12) + 0.5 * n9
        bands = soft(np.sin(fold / (0.05 + 0.03 * near) + 1) - 0.5 - 0.3 * n9, 0.2) * soft(0.1 + 0.4 * tall - below, 0.04)
        fingers = np.abs(np.sin(2 * np.pi * (14 - 6 * near) * phase + 3 * n9)) * (0.4 + crest)
        foam = (0.02 + 0.03 * near + (0.016 + 0.014 * near) * fingers) * (0.25 + 1.1 * crest) - below
        wave = blend(blend(blue, ink, soft(cuts, 0.25)), pale, bands)
        wave = blend(blend(wave, ink, soft(foam + 0.007, 0.003)), cream, soft(foam, 0.003))
        wave = blend(wave, pale, soft(foam, 0.003) * soft(np.sin(2 * np.pi * below / 0.016) + 0.6 * n14 - 0.5, 0.3))
        block = blend(block, blend(wave, ink, soft(0.006 - below, 0.002)), soft(below, 0.003))
    return to_image(block + 5 * _noise(200, rng)[..., None])


def ink_wash() -> Image.Image:
    """Paint mountains in mist and bamboo, in washes and dry strokes of black ink, and a red sun."""
    rng = np.random.default_rng(21)
    y, x = (axis.astype(np.float32) for axis in unit_grid(_CANVAS))
    grain = _noise(260, rng) + 0.5 * _noise(120, rng)
    n9, n22, n60 = (_noise(cells, rng) for cells in (9, 22, 60))
    paper = np.array([240, 231, 212], np.float32) + 4 * grain[..., None]
    ink, flow = np.zeros_like(y), y
    for top, height, cells, dark in ((0.3, 0.2, 3, 0.3), (0.45, 0.26, 4, 0.5), (0.62, 0.24, 4, 0.8), (0.86, 0.16, 3, 1.2)):
        rough = sum(part * _noise(k, rng)[9] for part, k in ((height, cells), (0.04, 14), (0.012, 40)))
        below = y - top - rough
        mist = np.exp(-np.clip(below, 0, 1) * (7 + 3 * n9))
        tone = dark * mist * np.clip(0.8 + 0.5 * n9 + 0.4 * n22, 0.1, 2)
        paper = wash(paper, below + 0.004 * n60, (96, 104, 112), grain, tone, edge=0.3 * dark)
        rocks = soft(mist * (0.8 + 0.5 * dark) + 0.6 * n22 + 0.3 * n9 - 0.95, 0.1)
        outline = soft(0.004 + 0.006 * n22 - np.abs(below - 0.004), 0.004)
        ink = np.where(below > 0, np.maximum(rocks, outline) * min(1, 0.25 + 0.6 * dark), ink)
        flow = np.where(below > 0, below - 0.5 * (x + 0.15 * n9) * np.sign(np.gradient(below, axis=1)), flow)
    scene, angle = blend(paper, (22, 22, 28), ink)[::3, ::3], directions(flow[::3, ::3])
    canvas = canvas_of(paper, _CANVAS)
    for brush in (
        Brush(0.022, 5, threshold=50, end=300, light=8, hue=0, hairs=14, dry=0.9),
        Brush(0.009, 10, threshold=60, end=300, light=8, hue=0, dry=0.8, spacing=1.5),
    ):
        canvas = paint(canvas, scene, angle, brush, rng)
    sun = 0.85 * soft(0.06 - np.hypot(x - 0.36, y - 0.15), 0.006) * (0.8 + 0.2 * n22)
    painted = blend(canvas[..., :3], (196, 70, 50), sun)
    return to_image(blend(painted, (20, 20, 26), _bamboo(rng) * soft(0.9 - 0.5 * grain, 0.8)))


def _noise(cells: int, rng: np.random.Generator) -> FloatArray:
    return smooth_noise(_CANVAS, cells, rng).astype(np.float32)


def _bamboo(rng: np.random.Generator) -> FloatArray:
    """How dark three stalks of bamboo and their leaves are, (_CANVAS, _CANVAS), in 0 .. 1."""
    shade = Image.new("L", (_CANVAS, _CANVAS))
    pen = ImageDraw.Draw(shade)
    t = np.linspace(0, 1, 12)
    for x, wide in ((0.8, 0.006), (0.9, 0.014), (0.95, 0.006)):
        lean = rng.uniform(-0.1, 0.02)
        for y in np.arange(-0.02, 1, 0.13):
            top, foot = (x + lean * (1 - v) for v in (y, y + 0.122))
            stalk = [(top - wide, y), (top + wide, y), (foot + wide, y + 0.122), (foot - wide, y + 0.122)]
            pen.polygon([(u * _CANVAS, v * _CANVAS) for u, v in stalk], fill=200)
            for _ in range(5):
                turn, length = rng.normal(1.8, 0.75), rng.uniform(0.07, 0.15)
                middle = np.stack([top + length * t * np.cos(turn), y + length * t * (np.sin(turn) + 0.3 * t)], 1)
                half = 0.012 * np.sin(np.pi * t**0.6)[:, None] * np.array([-np.sin(turn), np.cos(turn)])
                leaf = np.concatenate([middle + half, (middle - half)[::-1]]) * _CANVAS
                pen.polygon([(u, v) for u, v in leaf], fill=int(rng.uniform(120, 255)))
    return np.asarray(shade) / 255


def mosaic() -> Image.Image:
    """Draw small square stones in rings of gold, sea green and brick, with pale joints."""
    rng, size = np.random.default_rng(3), 2 * SIZE
    count = 46
    axis = (np.arange(count) + 0.5) / count
    seeds = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2) + rng.normal(0, 0.12 / count, (count**2, 2))
    owner, gap = nearest_two(size, seeds)
    radius = np.hypot(seeds[:, 0] - 0.55, seeds[:, 1] - 0.45) + 0.03 * np.sin(
        9 * np.arctan2(seeds[:, 0] - 0.55, seeds[:, 1] - 0.45)
    )
    palette = np.array([[214, 168, 60], [28, 110, 116], [168, 62, 42], [232, 214, 170], [24, 56, 98]])
    colours = palette[(radius * 13).astype(int) % len(palette)] * rng.uniform(0.72, 1.2, (len(seeds), 1))
    joint = np.clip((gap - 0.0022) / 0.002, 0, 1)[..., None]
    return to_image(colours[owner] * joint + np.array([205, 196, 180]) * (1 - joint))


STYLES = {
    "brush_strokes": brush_strokes,
    "palette_knife": palette_knife,
    "pastel": pastel,
    "watercolor": watercolor,
    "woodcut_waves": woodcut_waves,
    "ink_wash": ink_wash,
    "mosaic": mosaic,
}
