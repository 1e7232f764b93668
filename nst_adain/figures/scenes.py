"""Scenes to paint: the colours and the direction of strokes at each place.

Each is made of fields over a square: what to paint, (GRID, GRID, 3) in levels of 255, and angles, (GRID, GRID).
"""

from __future__ import annotations

import numpy as np

from nst_adain.figures.fields import FloatArray, blend, smooth_noise, soft, unit_grid
from nst_adain.figures.painting import directions

__all__ = ["GRID", "bouquet", "evening", "wood"]

GRID = 256


def evening(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """A moon in a swirling sky over hills, two cypresses and a field of wheat with poppies."""
    y, x = unit_grid(GRID)
    n4, n9, n20 = (smooth_noise(GRID, cells, rng) for cells in (3, 8, 20))
    moon, eddy = np.hypot(y - 0.27, x - 0.68), np.hypot(y - 0.2, x - 0.25)
    flow = y + 0.16 * n4 + 0.25 * np.exp(-((moon / 0.2) ** 2)) + 0.22 * np.exp(-((eddy / 0.13) ** 2))
    band = np.sin(11 * np.pi * flow + 1.5 * n4)
    scene = blend((20, 44, 120), (60, 130, 190), y / 0.55 + 0.15 * n4)
    scene = blend(scene, (140, 196, 205), 0.75 * band - 0.1)
    scene = blend(scene, (16, 30, 88), -0.8 * band - 0.3)
    scene = blend(scene, (250, 214, 120), 0.85 * np.exp(-(((y - 0.56) / 0.07) ** 2)))
    scene = blend(scene, (246, 170, 60), 1.25 - moon / 0.13)
    scene = blend(scene, (255, 240, 170), 1.8 - moon / 0.055)

    far = y - 0.56 - 0.05 * np.sin(5 * x + 0.5) - 0.03 * smooth_noise(GRID, 5, rng)[0]
    near = y - 0.64 + 0.06 * np.sin(4.2 * x + 1.1) - 0.02 * smooth_noise(GRID, 6, rng)[0]
    field = y - 0.71 - 0.03 * np.sin(3 * x + 4)
    rows = (x - 0.6) / (0.35 + field / 0.29)
    wheat = blend((226, 168, 48), (190, 112, 36), soft(np.sin(2 * np.pi * (9 * rows + 0.4 * n4)), 1.2))
    wheat = blend(wheat, (250, 220, 120), soft(n20 - 0.35, 0.3))
    wheat = blend(wheat, (120, 130, 50), soft(n9 - 0.5, 0.3))
    wheat = blend(wheat, (196, 40, 30), soft(smooth_noise(GRID, 34, rng) - 0.77 + field, 0.2))
    hills = blend((60, 70, 150), (110, 90, 160), soft(n9, 0.8)), blend((28, 82, 84), (96, 140, 70), soft(n9 + 0.3, 0.9))
    lines = far + 0.02 * n9, near + 0.03 * n9, rows + 0.05 * n9
    for below, colours, line in zip((far, near, field), (*hills, wheat), lines):
        scene, flow = blend(scene, colours, soft(below, 0.01)), np.where(below > 0, line, flow)

    for middle, top, foot, wide in ((0.16, 0.22, 0.8, 0.06), (0.27, 0.43, 0.78, 0.04)):
        down, bent = (y - top) / (foot - top), x - middle - 0.012 * np.sin(14 * y)
        edge = wide * np.clip(down, 0, 1) ** 0.6 * np.clip(6 * (1.05 - down), 0, 1) * (1 + 0.25 * np.sin(26 * y + 5 * n4))
        tree = soft(edge - np.abs(bent), 0.006) * (down > 0) * (down < 1.05)
        scene = blend(scene, blend((18, 48, 44), (58, 92, 44), soft(np.sin(90 * bent), 1.5)), tree)
        flow = np.where(tree > 0.5, bent + 0.02 * n9, flow)
    return scene, directions(flow)


def wood(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """A wet path through an autumn wood, towards the light."""
    y, x = unit_grid(GRID)
    n5, n12, n30 = (smooth_noise(GRID, cells, rng) for cells in (5, 12, 30))
    away = np.hypot(1.1 * (y - 0.5), x - 0.45)
    depth = away + 0.07 * n5 + 0.05 * n12
    scene = blend((255, 244, 190), (255, 206, 84), soft(depth - 0.1, 0.1))
    leaves = (0.2, (244, 130, 38)), (0.31, (206, 44, 44)), (0.44, (122, 32, 96)), (0.6, (30, 42, 96))
    for start, colour in leaves:
        scene = blend(scene, colour, soft(depth - start, 0.1))
    scene = blend(scene, (22, 120, 130), soft(n12 * np.clip(2 * away, 0, 1) - 0.42, 0.1) * (y < 0.55))
    scene = blend(scene, (252, 180, 60), soft(n30 - 0.45 - 0.4 * (away > 0.5), 0.1) * (y < 0.6))

    path = (y > 0.6) * soft(0.06 + 0.75 * (y - 0.56) - np.abs(x - 0.45 - 0.04 * n5), 0.02)
    mirror = scene[((1.28 - 1.1 * y[:, 0]) * GRID).clip(0, GRID - 1).astype(int)]
    wet = blend(0.8 * mirror + np.array([10, 16, 40]), (235, 225, 215), 0.7 * soft(n30 - 0.4, 0.2))
    scene, angle = blend(scene, wet, path), np.where(path > 0.5, 0.15 * n12, 0.9 + 1.1 * n5 + 1.2 * n12)

    trunks = ((0.07, 0.035, 0.1, 0.93), (0.22, 0.02, 0.04, 0.74), (0.33, 0.011, 0.03, 0.64),
              (0.585, 0.012, -0.02, 0.65), (0.7, 0.022, -0.05, 0.76), (0.9, 0.04, -0.1, 0.95))  # fmt: skip
    for foot, wide, lean, end in trunks:
        beside = x - foot - 0.5 * lean * (end - y) - 0.01 * np.sin(12 * y + 9 * foot)
        trunk = soft(wide * (0.6 + 0.5 * y) - np.abs(beside), 0.004) * (y < end)
        towards = beside * np.sign(0.45 - foot)  # the light
        scene = blend(scene, blend((24, 18, 40), (110, 66, 60), soft(towards - 0.1 * wide, wide)), trunk)
        angle = np.where(trunk > 0.5, np.pi / 2 + 0.2 * n12, angle)
    return scene, angle


def bouquet(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Flowers in a turquoise vase."""
    y, x = unit_grid(GRID)
    n4, n14 = smooth_noise(GRID, 4, rng), smooth_noise(GRID, 14, rng)
    table = soft(y - 0.8 + 0.02 * n4, 0.02)
    wall = blend((168, 140, 206), (110, 186, 196), soft(n4 + 0.9 - 1.6 * y, 1.4))
    cloth = blend((246, 186, 140), (226, 110, 130), 0.6 * soft(np.sin(60 * x + 20 * y), 1))
    leaf = soft(0.36 + 0.05 * n14 - np.hypot(x - 0.5, 1.05 * (y - 0.42)), 0.03)
    vase = soft(0.115 + 0.035 * np.sin(12 * (y - 0.62)) - np.abs(x - 0.5), 0.006) * soft(y - 0.66, 0.01) * soft(0.93 - y, 0.01)
    shine = np.exp(-(((x - 0.46) / 0.03) ** 2)) - 0.3 * (x > 0.55)
    scene, angle = blend(wall, cloth, table), np.where(table > 0.5, 0.05, 0.7 + 0.8 * n4)
    scene = blend(scene, blend((26, 78, 66), (120, 160, 70), soft(n14, 0.8)), leaf)
    angle = np.where(leaf > 0.5, np.arctan2(y - 0.75, x - 0.5) + 0.8 * n14, angle)
    scene = blend(scene, blend((30, 150, 160), (190, 236, 220), shine), vase)
    angle = np.where(vase > 0.5, np.pi / 2, angle)

    palette = np.array(
        [[244, 92, 90], [252, 170, 160], [250, 214, 110], [240, 236, 226], [150, 96, 190], [232, 70, 130], [250, 140, 60]]
    )
    rings = [(turn / ring, radius) for ring, radius in ((9, 0.27), (5, 0.15), (1, 0.0)) for turn in range(ring)]
    for number, (turn, radius) in enumerate(rings):
        place = 2 * np.pi * turn + 3 * radius
        cy, cx = np.array([0.42, 0.5]) + radius * np.array([np.sin(place), 1.08 * np.cos(place)]) + rng.normal(0, 0.012, 2)
        around, away, size = np.arctan2(y - cy, x - cx), np.hypot(y - cy, x - cx), rng.uniform(0.07, 0.1)
        colour = palette[number % len(palette)]
        petals = np.sin(9 * away / size + 2 * np.sin(3 * around)) + 0.5 * np.sin(around - 2)
        flower = blend(0.55 * colour, np.minimum(1.12 * colour + 12, 255), soft(petals, 1.6))
        flower = blend(flower, (250, 200, 60) if number % 3 else (70, 30, 50), soft(0.22 * size - away, 0.008))
        lobes = size * (0.8 + 0.2 * np.abs(np.cos(rng.integers(2, 4) * around + number)))
        scene = blend(scene, flower, soft(lobes - away, 0.006))
        angle = np.where(lobes > away, around + (np.pi / 2 if number % 2 else 0.5), angle)
    return scene, angle
