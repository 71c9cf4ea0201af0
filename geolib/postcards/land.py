"""Sky, far relief, the plain, the sea and the weather: everything that the road runs through."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import numpy as np

from geolib.postcards import plants
from geolib.postcards.brush import SIZE, Painter, ground_colour, hex_colour, mix, scale, tint, vegetation_colour


def sky(p: Painter) -> None:
    """Gradient, sun or moon and stars, clouds."""
    s, rng = p.scene, p.scene.rng("sky")
    p.gradient(-20, p.horizon + 4, p.zenith, p.haze)
    p.rect(-40, p.horizon + 3, SIZE + 80, SIZE, p.haze)
    if s.night:
        for _ in range(26 if s.weather in {"clear", "haze"} else 0):
            p.disc(rng.uniform(0, SIZE), rng.uniform(0, p.horizon), rng.uniform(0.4, 1.0), (1, 1, 0.92), 0.7)
        p.disc(rng.uniform(30, 226), rng.uniform(18, 70), 8, (0.95, 0.94, 0.85), 0.9 if s.weather == "clear" else 0.2)
        return
    if "light" not in p.hide and abs(s.sun_side) < 40 and p.grey < 0.6:
        x = p.axis + math.tan(math.radians(s.sun_side)) * p.focal
        y = p.horizon - math.tan(math.radians(min(60, s.sun_height))) * p.focal
        warm = mix((1, 0.98, 0.88), (1, 0.82, 0.5), p.low)
        p.disc(x, y, 46, warm, 0.22, 12.0)
        p.disc(x, y, 20, warm, 0.5, 6.0)
        p.disc(x, y, 8.5, (1, 0.99, 0.92), 1.0, 1.5)
    count = {"cloudy": rng.randint(3, 6), "clear": rng.randint(0, 2), "haze": 1}.get(s.weather, 0)
    for _ in range(count):
        cloud(p, rng.uniform(-10, SIZE + 10), rng.uniform(8, p.horizon - 26), rng.uniform(0.55, 1.35), rng)
    if s.weather in {"overcast", "rain", "snowfall"}:
        for _ in range(9):
            p.oval(rng.uniform(0, SIZE), rng.uniform(-5, p.horizon - 20), rng.uniform(40, 90), rng.uniform(6, 15),
                   scale(p.haze, rng.uniform(0.86, 1.04)), 0.4, 6.0)  # fmt: skip


def cloud(p: Painter, x: float, y: float, size: float, rng: random.Random) -> None:
    """A soft cumulus: a flat base and a heap above it, lit from the sun's side."""
    near = max(0.3, 1 - y / p.horizon)
    white, shade = mix((1, 1, 1), (1, 0.86, 0.72), p.low), mix(p.haze, (0.6, 0.66, 0.77), 0.5)
    width = 40 * size * (0.45 + near)
    heaps = [((i + 0.5) / 7 - 0.5, rng.uniform(0.75, 1.25)) for i in range(7)]
    for colour, lift, alpha in ((shade, 0.0, 0.75), (white, 0.16, 0.95)):
        for t, swell in heaps:
            r = width * (0.3 - 0.85 * t * t) * swell
            p.oval(x + t * width * 1.7 + 3 * lift * p.sun_x, y - r * (0.42 + lift), r, r * 0.6, colour, alpha, 1.5)


def relief(p: Painter) -> None:
    """Far hills or mountains, higher with the real relief of the place, white above the snow line."""
    s, rng = p.scene, p.scene.rng("relief")
    height = s.relief * rng.uniform(0.75, 1.15)
    if "relief" in p.hide or s.night:
        height = 0.0
    green = vegetation_colour(p)
    layers = 3 if height > 0.35 else 2
    for layer in range(layers):
        far = 1 - layer / layers
        base = (6 + 74 * height * (0.5 + 0.5 * far)) * (1.0 if layer < layers - 1 else 0.45)
        rough = min(0.9, 0.25 + height)
        xs = list(range(-8, SIZE + 9, 6))
        phase = [rng.uniform(0, 6.28) for _ in range(5)]
        frequency = [(1.3 + i * 1.9) * rng.uniform(0.8, 1.2) for i in range(5)]
        t = np.asarray(xs) / SIZE
        wave = sum(np.sin(3 * t * f + q) * rough**i for i, (f, q) in enumerate(zip(frequency, phase, strict=True)))
        peak = 1 - np.abs(np.sin(5 * t * frequency[0] + phase[1])) if height > 0.4 else 0.0
        ys = (p.horizon + 2 - np.maximum(0.6, base * (0.55 + 0.22 * wave + 0.35 * peak))).tolist()
        rock = mix(green, (0.47, 0.42, 0.4), 0.2 + 0.5 * height * far)
        if s.arid > 0.55:
            rock = mix(rock, s.ground, 0.6)
        if s.snow > 0.3 and "snow" not in p.hide:
            rock = mix(rock, (0.9, 0.93, 0.97), 0.3 + 0.5 * s.snow)
        colour = mix(tint(rock, p.light), p.haze, 0.28 + 0.5 * far)
        outline = [(x, y) for x, y in zip(xs, ys, strict=True)]
        p.poly([(-10, p.horizon + 3), *outline, (SIZE + 10, p.horizon + 3)], colour)
        if height > 0.45 and s.temperature - 14 * height < 4 and layer == 0 and "snow" not in p.hide:
            line = p.horizon - base * (0.62 if s.temperature > 4 else 0.4)
            for (x0, y0), (x1, y1) in pairwise(outline):
                if min(y0, y1) < line:
                    d0, d1 = max(0.0, line - y0), max(0.0, line - y1)
                    middle = (x0 + x1) / 2, max(y0, y1) + d0 * 0.3
                    p.poly([(x0, y0), (x1, y1), (x1, y1 + d1 * 0.7), middle, (x0, y0 + d0 * 0.7)],
                           mix(tint((0.97, 0.98, 1), p.light), p.haze, 0.25))  # fmt: skip


def ground(p: Painter) -> None:
    """The plain to the horizon, snow on it, fields beside the road, the sea."""
    s, rng = p.scene, p.scene.rng("ground")
    colour = ground_colour(p)
    if s.kind == "street":
        colour = mix(colour, (0.62, 0.6, 0.57), 0.75)
    snow = 0.0 if "snow" in p.hide else s.snow
    colour = mix(colour, (0.93, 0.95, 0.98), min(0.96, snow * 1.2))
    p.gradient(p.horizon - 0.5, p.horizon + 26, p.lit(colour, 260), p.lit(scale(colour, 0.98), 40))
    p.gradient(p.horizon + 26, SIZE + 12, p.lit(scale(colour, 0.98), 40), p.lit(scale(colour, 0.92), 4))
    for _ in range(50 if s.kind != "street" else 0):  # tufts and stones
        z, x = rng.uniform(3, 40), rng.choice((-1, 1)) * rng.uniform(4, 26)
        a = p.point(x, 0, z)
        k = p.focal / z
        p.oval(a[0], a[1], 0.5 * k, 0.09 * k, p.lit(scale(colour, rng.uniform(0.78, 1.2)), z), 0.55)
    if "coast" not in p.hide and s.sea_side:
        sea(p)
    if s.kind in {"rural", "village"} and snow < 0.5 and "vegetation" not in p.hide:
        plants.fields(p)


def sea(p: Painter) -> None:
    """The sea to the horizon, ahead or on one side, with a beach."""
    s, rng = p.scene, p.scene.rng("sea")
    cold = min(1.0, max(0.0, (18 - s.temperature) / 20))
    water = mix((0.06, 0.55, 0.62), (0.16, 0.34, 0.46), cold)
    sand = mix((0.93, 0.84, 0.64), (0.62, 0.58, 0.52), 0.75 * cold)
    if s.snow > 0.4 and "snow" not in p.hide:
        sand = mix(sand, (0.92, 0.94, 0.97), 0.8)
    near, far = p.lit(water, 25), mix(p.lit(water, 140), p.zenith, 0.3)
    if s.sea_side == 2:
        shore = p.horizon + rng.uniform(16, 44)
        p.gradient(p.horizon, shore, far, near)
        p.gradient(shore, SIZE + 20, p.lit(sand, 30), p.lit(scale(sand, 0.96), 4))
        for i in range(3):
            y = shore - 1 - i * (shore - p.horizon) * 0.2
            p.oval(SIZE * rng.uniform(0.2, 0.8), y, SIZE * 0.6, 1.3 - 0.3 * i, p.lit((1, 1, 1)), 0.75)
        for _ in range(30):
            p.oval(
                rng.uniform(0, SIZE),
                rng.uniform(shore + 6, SIZE),
                rng.uniform(2, 9),
                0.9,
                p.lit(scale(sand, 0.88)),
                0.5,
            )
        return
    d = s.sea_side
    beach, shore = s.lanes + 4 + rng.uniform(0, 4), s.lanes + 11 + rng.uniform(0, 8)
    wide = 4000 * d
    p.strip(beach * d, wide, p.lit(sand, 16))
    p.poly([p.point(shore * d, 0, 1.6), p.point(shore * d, 0, 30), (p.axis + d * 3, p.horizon),
            (p.axis + 400 * d, p.horizon), (p.axis + 400 * d, SIZE)], near)  # fmt: skip
    path = [
        p.point(shore * d, 0, 9),
        (p.axis + d * 3, p.horizon),
        (p.axis + 400 * d, p.horizon),
        (p.axis + 400 * d, p.horizon + 12),
    ]
    p.poly(path, far, 0.6)
    for z in (4, 7, 12, 20):
        a, b = p.point((shore + 1) * d, 0, z), p.point((shore + 16) * d, 0, z * 1.25)
        p.line(a, b, 60 / z / 5, p.lit((1, 1, 1)), 0.6)


def skyline(p: Painter) -> None:
    """Towers of a big city far ahead."""
    s, rng = p.scene, p.scene.rng("skyline")
    if s.urban < 0.62 or s.kind not in {"street", "suburb"} or "architecture" in p.hide:
        return
    top = s.region.floors[1] / 28
    for _ in range(int(16 * s.urban)):
        w, h = rng.uniform(7, 16), rng.uniform(8, 22 + 60 * top * s.urban)
        x = p.axis + rng.gauss(0, 52)
        colour = p.lit(scale(hex_colour(rng.choice(s.region.walls)), 0.86), rng.uniform(190, 380), rng.random())
        p.rect(x - w / 2, p.horizon - h, w, h + 3, colour)
        if s.night:
            for _ in range(7):
                p.rect(
                    x + rng.uniform(-w / 2, w / 2 - 1.5), p.horizon - rng.uniform(2, h), 1.4, 1.4, (1, 0.86, 0.5), 0.9
                )


def weather(p: Painter) -> None:
    """What falls or hangs between the camera and the scene."""
    s, rng = p.scene, p.scene.rng("weather")
    if s.weather == "rain":
        for _ in range(60):
            x, y = rng.uniform(0, SIZE), rng.uniform(0, SIZE)
            p.line((x, y), (x - 2, y + rng.uniform(7, 15)), 0.8, (0.9, 0.93, 0.97), 0.3)
        p.rect(-40, p.horizon, SIZE + 80, SIZE, (0.6, 0.65, 0.7), 0.08)
    elif s.weather == "snowfall":
        for _ in range(95):
            p.disc(rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(0.7, 2.3), (1, 1, 1), rng.uniform(0.5, 0.95))
    elif s.weather == "fog":
        p.rect(-40, -40, SIZE + 80, SIZE + 80, p.haze, 0.22)
