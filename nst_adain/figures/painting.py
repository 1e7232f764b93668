"""Paints a scene in curved brush strokes, from coarse to fine, and in washes of water colour.

Strokes: Hertzmann, *Painterly rendering with curved brush strokes of multiple sizes*, SIGGRAPH 1998. Where the canvas is not
like the scene yet, a stroke of the scene's colour begins and follows a field of directions until the scene's colour is another.
Different from there, directions are given, not taken from the picture's gradients, strokes have hairs and thickness, and all
strokes of a layer are traced and laid down at once.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nst_adain.figures.fields import FloatArray, blend, soft

__all__ = ["Brush", "canvas_of", "directions", "lit", "paint", "wash"]

_STEP = 0.8  # pixels between the samples of a stroke: few pixels are missed, and those show what lies below


@dataclasses.dataclass(frozen=True)
class Brush:
    """How the strokes of a layer look. Lengths are parts of the picture's side, colours levels of 255.

    Attributes:
        width: of a stroke.
        length: of the longest strokes, in widths.
        threshold: a stroke begins only where canvas and scene differ by more, summed over the channels.
        end: a stroke ends where the scene differs by more from its colour.
        spacing: from stroke to stroke, in widths.
        light, hue: standard deviation of the strokes' lightness, and of each of their channels.
        hairs: number of hairs side by side.
        streak: standard deviation of the hairs' lightness.
        dry: how soon hairs run out of paint, from 0, never.
        rim: how much darker a stroke's sides are, from 0, as its middle, to 1, black.
    """

    width: float
    length: float
    threshold: float = 0
    end: float = 90
    spacing: float = 1.0
    light: float = 20
    hue: float = 12
    hairs: int = 5
    streak: float = 8
    dry: float = 0.3
    rim: float = 0.0


def canvas_of(ground: ArrayLike, size: int) -> FloatArray:
    """Return a canvas of one colour, or of a picture (H, W, 3): (H, W, 4), levels of 255 and the thickness of the paint."""
    canvas = np.zeros((size, size, 4), np.float32)
    canvas[..., :3] = ground
    return canvas


def directions(stream: FloatArray) -> FloatArray:
    """Return the angles of a field's level lines."""
    down, right = np.gradient(stream)
    angle: FloatArray = np.arctan2(-right, down)
    return angle


def paint(canvas: FloatArray, scene: FloatArray, angle: FloatArray, brush: Brush, rng: np.random.Generator) -> FloatArray:
    """Paint one layer of strokes.

    Args:
        canvas: (H, H, 4), as by `canvas_of`.
        scene: (G, G, 3), what to paint, in levels of 255.
        angle: (G, G), the direction of a stroke at each place; opposite ones are the same.
        brush: how the strokes look.
        rng: where they begin, in which order they lie, and how they vary.

    Returns:
        Another canvas.
    """
    places = _starts(canvas, scene, brush, rng)
    count, size = places.shape[1], len(canvas)
    painted: FloatArray = canvas.copy()
    if not count:
        return painted
    path = _trace(scene, angle, places, brush)
    hair = rng.normal(0, 1, (count, brush.hairs)).astype(np.float32)
    colours = _at(scene, places) + rng.normal(0, brush.hue, (count, 3)) + rng.normal(0, brush.light, (count, 1))
    across = np.linspace(-1, 1, max(2, int(brush.width * size / _STEP)), dtype=np.float32)
    hair = hair[:, ((across + 1) / 2.001 * brush.hairs).astype(int)]

    index = _samples(path, hair, across, brush, size)
    top = np.full((size + 2) ** 2, -1, np.int32)
    top[index.reshape(-1)] = np.arange(index.size, dtype=np.int32)  # the last one stays: later strokes lie above
    top = top.reshape(size + 2, -1)[1:-1, 1:-1].reshape(-1)
    hit = np.flatnonzero(top >= 0)
    stroke, place = top[hit] // (index.size // count), top[hit] % len(across)
    streak, side = hair[stroke, place], np.abs(across[place])

    flat = painted.reshape(-1, 4)
    shade = 1 - brush.rim * side**4
    flat[hit, :3] = colours.astype(np.float32)[stroke] * shade[:, None] + brush.streak * streak[:, None]
    flat[hit, 3] = 0.6 + 0.2 * streak + 0.5 * side**3 + 0.25 * flat[hit, 3]
    return painted


def _at(field: FloatArray, places: FloatArray) -> FloatArray:
    """A field's values at places, (2, N): y and x in 0 .. 1; outside, the nearest."""
    y, x = (places * len(field)).astype(np.int32).clip(0, len(field) - 1)
    values: FloatArray = field[y, x]
    return values


def _starts(canvas: FloatArray, scene: FloatArray, brush: Brush, rng: np.random.Generator) -> FloatArray:
    """Where strokes begin, (2, N), in the order in which they are laid down: one in each cell of a grid, if it is needed."""
    cells = max(4, round(1 / (brush.width * brush.spacing)))
    corners = np.indices((cells, cells)).reshape(2, -1)
    places = (corners + rng.uniform(0, 1, corners.shape))[:, rng.permutation(cells**2)] / cells
    places = places * 1.08 - 0.04  # some begin outside, or the canvas would show along its sides
    missing = np.abs(_at(scene, places) - _at(canvas, places)[:, :3]).sum(-1)
    needed: FloatArray = places[:, missing >= brush.threshold]
    return needed


def _trace(scene: FloatArray, angle: FloatArray, places: FloatArray, brush: Brush) -> NDArray[np.float32]:
    """The strokes' middle lines, (K, 2, N); those that end early stay where they are."""
    steps = max(3, round(1.5 * brush.length))
    path = np.empty((steps + 1, *places.shape), np.float32)
    path[0], colours, going = places, _at(scene, places), np.ones(places.shape[1], bool)
    heading = np.stack([np.sin(_at(angle, places)), np.cos(_at(angle, places))])
    for step in range(steps):
        field = np.stack([np.sin(_at(angle, path[step])), np.cos(_at(angle, path[step]))])
        heading = 0.4 * heading + 0.6 * field * np.where((field * heading).sum(0) < 0, -1, 1)
        heading /= np.hypot(*heading) + 1e-9
        if step > 1:
            going &= np.abs(_at(scene, path[step]) - colours).sum(-1) < brush.end
        path[step + 1] = path[step] + heading * going * (brush.width * brush.length / steps)
    return path


def _samples(
    path: NDArray[np.float32], hair: NDArray[np.float32], across: NDArray[np.float32], brush: Brush, size: int
) -> NDArray[np.int32]:
    """The pixels under samples of strokes, (strokes, along, across), as positions in a flat picture with a border of 1."""
    along = np.linspace(0, 1, max(2, int(brush.width * brush.length * size / _STEP)), dtype=np.float32)
    first = np.minimum((along * (len(path) - 1)).astype(int), len(path) - 2)
    part = (along * (len(path) - 1) - first)[:, None, None]
    slope = np.gradient(path, axis=0)
    slope /= np.hypot(slope[:, :1], slope[:, 1:]) + 1e-9
    half = brush.width / 2 * np.minimum(1, np.minimum((along + 0.02) / 0.12, (1.02 - along) / 0.25)) ** 0.5
    middle, normal = (values[first] * (1 - part) + values[first + 1] * part for values in (path, slope))
    middle, normal = ((values * size).transpose(1, 2, 0)[..., None] for values in (middle, normal * half[:, None, None]))
    y = np.clip(middle[0] + normal[1] * across + 1, 0, size + 1).astype(np.int32)
    x = np.clip(middle[1] - normal[0] * across + 1, 0, size + 1).astype(np.int32)
    index: NDArray[np.int32] = y * np.int32(size + 2) + x
    if brush.dry:
        index[along[:, None] > np.sqrt(np.clip((1.1 - 0.5 * hair) / (2 * brush.dry), 0, 1))[:, None, :]] = 0
    return index


def lit(canvas: FloatArray, strength: float) -> FloatArray:
    """Return the picture on a canvas, (H, W, 3), with light on its paint from the upper left: so many levels for each slope."""
    thick = canvas[..., 3]
    slope = np.clip(thick - np.roll(thick, (2, 2), (0, 1)), -1, 1)
    picture: FloatArray = canvas[..., :3] + strength * slope[..., None]
    return picture


def wash(
    paper: FloatArray,
    inside: FloatArray,
    colour: ArrayLike,
    grain: FloatArray,
    strength: ArrayLike = 1.0,
    *,
    edge: float = 0.5,
    line: float = 0.0,
) -> FloatArray:
    """Lay a wash of water colour on paper: what lies below shines through.

    Args:
        paper: (H, H, 3) in levels of 255.
        inside: (H, H), above 0 where the wash is; its scale does not matter.
        colour: of white paper under a wash of strength 1.
        grain: (H, H), the paper's, around 0; pigment settles where it is high.
        strength: of the wash, at each place, (H, H), or everywhere.
        edge: how much pigment gathers where the wash ends.
        line: how dark a pen has drawn round it, from 0 to 1.
    """
    down, right = np.gradient(inside, 1 / len(inside))
    depth = inside / (np.hypot(down, right) + 0.3)  # nearly the distance from the edge
    pigment = np.asarray(strength) * (1 + 0.3 * grain) + edge * np.exp(-np.clip(depth, 0, None) / 0.006)
    amount = (soft(depth, 0.003) * np.clip(pigment, 0, None)).astype(np.float32)
    washed = paper * np.exp(amount[..., None] * np.log(np.asarray(colour, np.float32) / 255))  # by Beer and Lambert
    return blend(washed, (50, 40, 60), line * soft(0.0016 + 0.0014 * grain - np.abs(depth - 0.001), 0.0016)) if line else washed
