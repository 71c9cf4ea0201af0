"""How each kind of tree and bush looks, with a shaded side, a lit side and snow where it snowed.

Crowns, palm heads and conifers are shapes made once, at random, and stamped in the size and the light of each plant.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import skia

from postcards.brush import Colour, Painter, Point, mix, scale

# --- shapes made once ---------------------------------------------------------------------------


def _path(polygons: Iterable[Sequence[Point]]) -> skia.Path:
    path = skia.Path()
    for points in polygons:
        path.moveTo(*points[0])
        for point in points[1:]:
            path.lineTo(*point)
        path.close()
    return path


def _clump(rng: random.Random, x: float, y: float, r: float, n: int, rough: float = 0.16) -> list[Point]:
    """A ragged round patch of leaves."""
    turn, ring = rng.random(), []
    for i in range(n):
        t, q = 2 * math.pi * (i + turn) / n, r * (1 + rough * (1 if i % 2 else -1) * rng.uniform(0.3, 1))
        ring.append((x + q * math.cos(t), y + q * math.sin(t)))
    return ring


def _soft(polygons: Iterable[Sequence[Point]]) -> skia.Path:
    """The polygons with their corners rounded away."""
    path = skia.Path()
    for points in polygons:
        middles = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in pairwise([*points, points[0]])]
        path.moveTo(*middles[-1])
        for corner, middle in zip(points, middles, strict=True):
            path.quadTo(*corner, *middle)
        path.close()
    return path


def _make_crown(seed: int) -> tuple[skia.Path, ...]:
    """A crown of radius 1 with the light from +x: dark whole, half tone, light, rim, snow."""
    rng = random.Random(f"crown/{seed}")
    turns = [i * 0.9 + rng.uniform(-0.25, 0.25) for i in range(7)]
    lobes = [(0.58 * math.cos(t), 0.58 * math.sin(t)) for t in turns]
    inner = [(0.3 * math.cos(t + 0.5), 0.3 * math.sin(t + 0.5)) for t in turns[::2]]
    whole = [_clump(rng, x, y, rng.uniform(0.36, 0.5), 12, 0.2) for x, y in lobes] + [_clump(rng, 0, 0, 0.6, 9)]
    half = [_clump(rng, 0.9 * x + 0.06, 0.86 * y - 0.12, rng.uniform(0.2, 0.32), 10, 0.24) for x, y in lobes + inner]
    light = [_clump(rng, 0.82 * x + 0.14, 0.76 * y - 0.25, rng.uniform(0.1, 0.19), 8, 0.3) for x, y in lobes + inner]
    rim = [_clump(rng, 0.8 * math.cos(t) + 0.06, -0.8 * math.sin(t), rng.uniform(0.05, 0.1), 6, 0.3)
           for t in (rng.uniform(-0.2, 1.9) for _ in range(8))]  # fmt: skip
    snow = [_clump(rng, x * 1.05, y - 0.3, 0.3, 8, 0.1) for x, y in lobes if y < 0.3]
    return tuple(_soft(part) for part in (whole, half, light, rim, snow))


def _frond(angle: float, length: float, droop: float) -> list[Point]:
    """A feather leaf from the origin, toothed along both edges."""
    top, under = [], []
    for i in range(9):
        t = i / 8
        x, y = length * math.cos(angle) * t, -length * math.sin(angle) * t + droop * length * t * t
        w = length * 0.11 * math.sin(math.pi * min(1.0, t**0.7)) * (1 if i % 2 else 0.5)
        top.append((x, y - w * 0.7))
        under.append((x, y + w * 1.3))
    return top + under[::-1]


def _make_head(seed: str, n: int, low: float, high: float, droop: float) -> tuple[skia.Path, ...]:
    """The head of a palm with leaves 1 long, in three tones, the light from +x."""
    rng = random.Random(f"palm/{seed}")
    tones: list[list[list[Point]]] = [[], [], []]
    for i in range(n):
        a = low + (high - low) * (i + rng.uniform(0.2, 0.8)) / n
        tones[0 if math.cos(a) < -0.35 else 2 if math.cos(a) > 0.45 else 1].append(
            _frond(a, rng.uniform(0.85, 1.1), droop * rng.uniform(0.8, 1.2))
        )
    return tuple(_path(tone) for tone in tones)


def _make_conifer(seed: str, tiers: int, droop: float, gap: float) -> tuple[skia.Path, ...]:
    """A tree of boughs in a box 2 wide and 1 high: all of it, its lit side, the snow on it."""
    rng = random.Random(f"conifer/{seed}")
    whole, lit, snow = [], [], []
    for i in range(tiers):
        t = i / tiers
        y, w, top = -t, (1 - t) ** 0.9 * rng.uniform(0.85, 1.12), -min(1.0, t + (1.7 if gap < 0.5 else 1.2) / tiers)
        left, right = w * rng.uniform(0.9, 1.1), w * rng.uniform(0.9, 1.1)
        y0 = y + droop / tiers
        whole.append([(-left, y0), (0, top), (right, y0), (right * 0.5, y - 0.25 * droop / tiers),
                      (0, y0), (-left * 0.5, y - 0.25 * droop / tiers)])  # fmt: skip
        lit.append(
            [(right * 0.95, y0 - 0.01), (0.02, top), (0.1 * w, y - 0.3 / tiers), (right * 0.45, y - 0.35 / tiers)]
        )
        snow.append(
            [
                (-left * 0.8, y0 - 0.03),
                (-0.1 * w, y - 0.9 / tiers),
                (right * 0.85, y0 - 0.03),
                (0.1 * w, y - 0.35 / tiers),
            ]
        )
    return _path(whole), _path(lit), _path(snow)


_CROWNS = [_make_crown(seed) for seed in range(14)]
_PALM_HEADS = [_make_head(f"coconut{i}", 12, -0.55, math.pi + 0.55, 0.85) for i in range(4)]
_DATE_HEADS = [_make_head(f"date{i}", 19, -0.75, math.pi + 0.75, 0.3) for i in range(4)]
_SPRUCES = [_make_conifer(f"spruce{i}", 8, 0.55, 0.0) for i in range(6)]
_LARCHES = [_make_conifer(f"larch{i}", 11, 0.2, 1.0) for i in range(4)]


def _stamp(p: Painter, x: float, y: float, rx: float, ry: float, parts: Iterable[tuple[skia.Path, Colour]]) -> None:
    """Draw ready shapes at (x, y), stretched by (rx, ry)."""
    p.canvas.save()
    p.canvas.translate(x, y)
    p.canvas.scale(rx, ry)
    for path, colour in parts:
        p.canvas.drawPath(path, p.paint(colour))
    p.canvas.restore()


# --- the plants ---------------------------------------------------------------------------------


def _light_side(p: Painter) -> float:
    return 1.0 if p.sun_x >= 0 else -1.0


def _snowy(p: Painter) -> bool:
    return p.scene.snow > 0.33 and "snow" not in p.hide


def _trunk(p: Painter, x: float, y: float, h: float, w: float, z: float, colour: Colour = (0.36, 0.26, 0.18)) -> None:
    """A stem, with its lit side."""
    w = max(w, 0.5)
    d = _light_side(p)
    p.poly([(x - w, y), (x - w * 0.6, y - h), (x + w * 0.6, y - h), (x + w, y)], p.lit(scale(colour, 0.8), z, 0.2))
    if w > 1.2:
        p.poly(
            [(x + d * w, y), (x + d * w * 0.6, y - h), (x, y - h), (x + d * w * 0.2, y)],
            p.lit(scale(colour, 1.2), z, 1),
        )


def _crown(p: Painter, x: float, y: float, rx: float, ry: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """A heap of leaves: dark below and away from the sun, bright towards it; snow on top where it snowed."""
    whole, half, light, rim, snow = _CROWNS[rng.randrange(len(_CROWNS))]
    parts = [(whole, p.lit(scale(leaf, 0.62), z, 0.2)), (half, p.lit(scale(leaf, 0.95), z, 0.55))]
    if ry > 3:
        parts.append((light, p.lit(scale(leaf, 1.22), z, 0.9)))
    if ry > 7 and p.shadow > 0:
        parts.append((rim, p.lit(mix(scale(leaf, 1.5), (1, 0.86, 0.5), 0.25 + 0.3 * p.low), z, 1)))
    if _snowy(p):
        parts.append((snow, p.lit((0.93, 0.95, 1), z, 0.8)))
    _stamp(p, x, y, rx * _light_side(p), ry, parts)


def _bare(
    p: Painter, x: float, y: float, h: float, z: float, rng: random.Random, colour: Colour = (0.33, 0.27, 0.23)
) -> None:
    """A tree without leaves: forks of forks, thinner and thinner."""
    ink = p.lit(colour, z)
    _trunk(p, x, y, h * 0.45, h * 0.028, z, colour)
    twigs: list[list[Point]] = []
    for i in range(8):
        b, a = (i / 7 - 0.5) * 0.7 * h + rng.uniform(-0.05, 0.05) * h, h * rng.uniform(0.28, 0.46)
        top = (x + b, y - a - h * (rng.uniform(0.35, 0.55) - abs(b / h) * 0.4))
        w = max(0.45, h * 0.012)
        twigs.append([(x - w, y - a), (x + w, y - a), (top[0] + w * 0.3, top[1]), (top[0] - w * 0.3, top[1])])
        for _ in range(2):
            t = rng.uniform(0.4, 0.8)
            m = (x + (top[0] - x) * t, y - a + (top[1] - y + a) * t)
            tip = (m[0] + rng.uniform(-0.13, 0.13) * h + b * 0.3, m[1] - h * rng.uniform(0.06, 0.2))
            twigs.append([(m[0] - w * 0.6, m[1]), (m[0] + w * 0.6, m[1]), tip])
    p.polys(twigs, ink)


def _round(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    if p.scene.leaf == "bare":
        return _bare(p, x, y, h, z, rng)
    _trunk(p, x, y, h * 0.45, h * 0.035, z)
    _crown(p, x, y - h * 0.64, h * 0.36, h * 0.36, z, leaf, rng)
    return None


def _maple(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    if p.scene.leaf == "bare":
        return _bare(p, x, y, h, z, rng, (0.4, 0.36, 0.34))
    if p.scene.leaf == "autumn":
        leaf = rng.choice(((0.82, 0.16, 0.08), (0.9, 0.36, 0.08), (0.88, 0.6, 0.12)))
    _trunk(p, x, y, h * 0.4, h * 0.032, z, (0.38, 0.33, 0.3))
    _crown(p, x, y - h * 0.6, h * 0.32, h * 0.4, z, leaf, rng)
    return None


def _cherry(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    pink = mix((0.98, 0.76, 0.84), (0.99, 0.88, 0.9), rng.random())
    _trunk(p, x, y, h * 0.45, h * 0.045, z, (0.27, 0.18, 0.17))
    for dx, dy, r in ((-0.3, 0.6, 0.27), (0.32, 0.62, 0.25), (0.0, 0.74, 0.33)):
        _crown(p, x + dx * h, y - h * dy, h * r * 1.25, h * r * 0.8, z, pink, rng)


def _jacaranda(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    _trunk(p, x, y, h * 0.5, h * 0.04, z, (0.34, 0.28, 0.24))
    _crown(p, x, y - h * 0.68, h * 0.5, h * 0.29, z, (0.58, 0.42, 0.82), rng)


def _willow(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    if p.scene.leaf == "bare":
        return _bare(p, x, y, h * 0.9, z, rng, (0.55, 0.46, 0.24))
    _trunk(p, x, y, h * 0.5, h * 0.045, z)
    green = mix(leaf, (0.6, 0.72, 0.3), 0.5)
    _crown(p, x, y - h * 0.72, h * 0.4, h * 0.24, z, green, rng)
    for shade, shift in ((0.8, 0.0), (1.15, 0.04)):
        strands: list[list[Point]] = []
        for i in range(9):
            sx = x + (i / 8 - 0.5 + shift) * h * 0.84
            top = y - h * (0.86 - 0.9 * (i / 8 - 0.5) ** 2)
            strands.append(
                [(sx - h * 0.035, top), (sx + h * 0.035, top), (sx + h * 0.01, y - h * rng.uniform(0.1, 0.3))]
            )
        p.polys(strands, p.lit(scale(green, shade), z, 0.6))
    return None


def _jungle(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    _trunk(p, x, y, h * 0.7, h * 0.025, z, (0.55, 0.5, 0.43))
    _crown(p, x - 0.16 * h, y - h * 0.62, h * 0.28, h * 0.16, z, leaf, rng)
    _crown(p, x + 0.05 * h, y - h * 0.8, h * 0.42, h * 0.23, z, leaf, rng)
    _crown(p, x, y - h * 0.08, h * 0.34, h * 0.13, z, scale(leaf, 0.85), rng)


def _bush(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    if p.scene.leaf == "bare":
        return _bare(p, x, y, h, z, rng)
    _crown(p, x, y - h * 0.42, h * 0.62, h * 0.5, z, leaf, rng)
    return None


def _heather(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    bloom = (0.6, 0.3, 0.56) if p.scene.month in {7, 8, 9} else (0.42, 0.29, 0.27)
    _crown(p, x, y - h * 0.3, h * 2.4, h * 0.5, z, bloom, rng)


def _tuft(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """Bunch grass: pampas, esparto, spinifex."""
    straw = mix(leaf, (0.86, 0.76, 0.46), 0.55)
    for shade, shift in ((0.75, 0.0), (1.15, 0.06)):
        blades: list[list[Point]] = []
        for i in range(9):
            t = i / 8 * 2 - 1
            tip = (x + t * h * 0.9 + rng.uniform(-0.1, 0.1) * h, y - h * (1 - 0.4 * t * t) * rng.uniform(0.75, 1.05))
            foot = x + (t * 0.3 + shift) * h
            blades.append([(foot - h * 0.07, y), tip, (foot + h * 0.07, y)])
        p.polys(blades, p.lit(scale(straw, shade), z, 0.6))


def _acacia(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    ink = p.lit((0.3, 0.22, 0.16), z)
    w = max(0.45, h * 0.02)
    p.polys(
        [
            [
                (x - w, y - h * 0.2),
                (x + w, y - h * 0.2),
                (x + dx * h + w * 0.5, y - h * 0.86),
                (x + dx * h - w * 0.5, y - h * 0.86),
            ]
            for dx in (-0.36, -0.12, 0.16, 0.4)
        ]
        + [[(x - w * 1.6, y), (x - w, y - h * 0.3), (x + w, y - h * 0.3), (x + w * 1.6, y)]],
        ink,
    )
    green = mix(leaf, (0.42, 0.5, 0.18), 0.4)
    _crown(p, x - 0.16 * h, y - h * 0.84, h * 0.44, h * 0.08, z, green, rng)
    _crown(p, x + 0.12 * h, y - h * 0.91, h * 0.52, h * 0.1, z, green, rng)


def _baobab(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    bark, w = (0.56, 0.47, 0.42), h * 0.13
    d = _light_side(p)
    body = [(x - w * 1.15, y), (x - w, y - h * 0.35), (x - w * 0.7, y - h * 0.62), (x + w * 0.7, y - h * 0.62),
            (x + w, y - h * 0.35), (x + w * 1.15, y)]  # fmt: skip
    boughs: list[list[Point]] = []
    tips = []
    for i in range(7):
        t = i / 6 * 2 - 1
        tip = (x + t * h * 0.34, y - h * (0.93 - 0.2 * abs(t)) * rng.uniform(0.94, 1.04))
        foot = x + t * w * 0.6
        boughs.append([(foot - w * 0.2, y - h * 0.58), tip, (foot + w * 0.2, y - h * 0.58)])
        tips.append(tip)
    p.polys([body, *boughs], p.lit(scale(bark, 0.85), z, 0.3))
    p.poly([(x + d * w * 1.1, y), (x + d * w * 0.95, y - h * 0.35), (x + d * w * 0.65, y - h * 0.62),
            (x + d * w * 0.1, y - h * 0.6), (x + d * w * 0.35, y)], p.lit(scale(bark, 1.2), z, 1))  # fmt: skip
    for tx, ty in tips:
        _crown(p, tx, ty, h * 0.1, h * 0.05, z, mix(leaf, (0.4, 0.5, 0.2), 0.5), rng)


def _umbrella(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    _trunk(p, x, y, h * 0.8, h * 0.03, z, (0.46, 0.32, 0.23))
    ink = p.lit((0.4, 0.28, 0.2), z)
    p.polys(
        [[(x, y - h * 0.55), (x + dx * h, y - h * 0.82), (x + dx * h + h * 0.03, y - h * 0.82)] for dx in (-0.2, 0.2)],
        ink,
    )
    _crown(p, x, y - h * 0.87, h * 0.45, h * 0.14, z, mix(leaf, (0.18, 0.38, 0.16), 0.6), rng)


def _olive(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    ink = p.lit((0.42, 0.37, 0.31), z)
    p.polys(
        [
            [
                (x - h * 0.08, y),
                (x + dx * h - h * 0.03, y - h * 0.5),
                (x + dx * h + h * 0.03, y - h * 0.5),
                (x + h * 0.08, y),
            ]
            for dx in (-0.16, 0.12)
        ],
        ink,
    )
    _crown(p, x, y - h * 0.64, h * 0.46, h * 0.3, z, mix(leaf, (0.56, 0.63, 0.5), 0.65), rng)


def _gum(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    pale = (0.86, 0.81, 0.75)
    _trunk(p, x, y, h * 0.55, h * 0.03, z, pale)
    for dx, dy in ((-0.24, 0.72), (0.22, 0.8), (0.0, 0.93)):
        p.line((x, y - h * 0.5), (x + dx * h, y - h * dy), max(0.7, h * 0.022), p.lit(pale, z))
        _crown(p, x + dx * h, y - h * dy, h * 0.22, h * 0.12, z, mix(leaf, (0.47, 0.56, 0.42), 0.7), rng)


def _birch(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    if p.scene.leaf == "bare":
        return _bare(p, x, y, h, z, rng, (0.84, 0.82, 0.79))
    _trunk(p, x, y, h * 0.75, h * 0.024, z, (0.93, 0.92, 0.89))
    p.polys([[(x - h * 0.02, y - h * t), (x + h * 0.015, y - h * (t + 0.005)), (x - h * 0.02, y - h * (t + 0.02))]
             for t in (0.08, 0.17, 0.25, 0.34)], p.lit((0.15, 0.15, 0.15), z))  # fmt: skip
    yellow = (0.93, 0.76, 0.16) if p.scene.leaf == "autumn" else (0.5, 0.68, 0.3)
    _crown(p, x, y - h * 0.68, h * 0.19, h * 0.33, z, mix(leaf, yellow, 0.65), rng)
    return None


def _conifer(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    dark = mix((0.1, 0.29, 0.19), leaf, 0.25) if p.scene.leaf == "green" else (0.1, 0.27, 0.18)
    _trunk(p, x, y, h * 0.2, h * 0.022, z)
    whole, lit, snow = _SPRUCES[rng.randrange(len(_SPRUCES))]
    parts = [(whole, p.lit(scale(dark, 0.78), z, 0.2)), (lit, p.lit(scale(dark, 1.45), z, 1))]
    if _snowy(p):
        parts.append((snow, p.lit((0.93, 0.95, 1), z)))
    _stamp(p, x, y - h * 0.08, h * rng.uniform(0.19, 0.25) * _light_side(p), h * 0.92, parts)


def _larch(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    colour = {"autumn": (0.93, 0.68, 0.14), "bare": (0.46, 0.37, 0.28)}.get(p.scene.leaf, (0.42, 0.58, 0.26))
    _trunk(p, x, y, h * 0.9, h * 0.018, z, (0.4, 0.28, 0.22))
    whole, lit, snow = _LARCHES[rng.randrange(len(_LARCHES))]
    parts = [(whole, p.lit(scale(colour, 0.8), z, 0.3)), (lit, p.lit(scale(colour, 1.2), z, 1))]
    if _snowy(p):
        parts.append((snow, p.lit((0.93, 0.95, 1), z)))
    _stamp(p, x, y - h * 0.12, h * 0.19 * _light_side(p), h * 0.88, parts)


def _pine(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """Scots pine: a bare orange stem with flat tufts near its top."""
    _trunk(p, x, y, h * 0.85, h * 0.02, z, (0.72, 0.42, 0.24))
    dark = mix((0.16, 0.34, 0.24), leaf, 0.15)
    for i in range(4):
        dx = (0.13 if i % 2 else -0.12) * h * (1 - i * 0.2)
        _crown(p, x + dx, y - h * (0.62 + 0.11 * i), h * (0.17 - 0.015 * i), h * 0.075, z, dark, rng)


def _araucaria(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """A straight stem under a candelabrum of upturned boughs."""
    _trunk(p, x, y, h * 0.95, h * 0.022, z, (0.34, 0.28, 0.24))
    dark = (0.13, 0.31, 0.17)
    for i in range(4):
        up, half = h * (0.66 + 0.09 * i), h * (0.34 - 0.06 * i)
        p.polys([[(x, y - up + h * 0.03), (x + d * half, y - up - h * 0.06), (x + d * half * 0.9, y - up - h * 0.1),
                  (x, y - up)] for d in (-1, 1)], p.lit(scale(dark, 0.85 + 0.18 * i), z, 0.4))  # fmt: skip
        for d in (-1, 1):
            p.oval(
                x + d * half * 0.92,
                y - up - h * 0.085,
                h * 0.065,
                h * 0.035,
                p.lit(scale(dark, 1.1 + 0.15 * d), z, 0.6),
            )


def _cypress(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    dark, d = (0.12, 0.28, 0.15), _light_side(p)
    w = h * rng.uniform(0.075, 0.1)
    flame = [(x - w * 0.5, y), (x - w, y - h * 0.3), (x - w * 0.7, y - h * 0.7), (x, y - h), (x + w * 0.7, y - h * 0.7),
             (x + w, y - h * 0.3), (x + w * 0.5, y)]  # fmt: skip
    p.poly(flame, p.lit(dark, z, 0.2))
    p.poly(
        [
            (x + d * w * 0.4, y - h * 0.03),
            (x + d * w * 0.9, y - h * 0.3),
            (x + d * w * 0.6, y - h * 0.7),
            (x, y - h * 0.95),
            (x + d * w * 0.15, y - h * 0.4),
        ],
        p.lit(scale(dark, 1.7), z, 1),
    )


def _poplar(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    if p.scene.leaf == "bare":
        return _bare(p, x, y, h * 0.8, z, rng)
    _trunk(p, x, y, h * 0.25, h * 0.02, z)
    _crown(p, x, y - h * 0.56, h * 0.12, h * 0.44, z, leaf, rng)
    return None


def _palm_head(p: Painter, x: float, y: float, r: float, z: float, green: Colour, head: tuple[skia.Path, ...]) -> None:
    tones = [
        (path, p.lit(scale(green, k), z, f)) for path, k, f in zip(head, (0.7, 1.0, 1.35), (0.2, 0.5, 1), strict=True)
    ]
    _stamp(p, x, y, r * _light_side(p), r, tones)


def _palm(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """A coconut palm: a thin leaning stem, drooping leaves."""
    lean = rng.uniform(-0.25, 0.25) * h
    ink = p.lit((0.56, 0.46, 0.36), z)
    steps = [(x + lean * t * t, y - h * 0.82 * t) for t in (0, 0.25, 0.5, 0.75, 1)]
    for i, (a, b) in enumerate(pairwise(steps)):
        p.line(a, b, max(0.9, h * (0.04 - 0.005 * i)), ink)
    tx, ty = steps[-1]
    _palm_head(p, tx, ty, h * 0.36, z, mix(leaf, (0.24, 0.5, 0.16), 0.65), rng.choice(_PALM_HEADS))
    p.polys([_clump(rng, tx + dx * h, ty + h * 0.02, max(0.6, h * 0.022), 6, 0) for dx in (-0.025, 0.03)],
            p.lit((0.5, 0.34, 0.14), z))  # fmt: skip


def _datepalm(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """A thick straight stem, a ball of stiff grey-green leaves, dates below."""
    _trunk(p, x, y, h * 0.72, h * 0.045, z, (0.5, 0.38, 0.27))
    _palm_head(p, x, y - h * 0.73, h * 0.36, z, mix(leaf, (0.36, 0.48, 0.3), 0.7), rng.choice(_DATE_HEADS))
    p.polys([_clump(rng, x + dx * h, y - h * 0.64, max(0.7, h * 0.035), 6, 0.1) for dx in (-0.09, 0.0, 0.09)],
            p.lit((0.86, 0.48, 0.12), z))  # fmt: skip


def _oilpalm(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """A short stout stem under a dense dark head."""
    _trunk(p, x, y, h * 0.5, h * 0.06, z, (0.32, 0.26, 0.2))
    green = mix(leaf, (0.14, 0.38, 0.14), 0.7)
    _palm_head(p, x, y - h * 0.5, h * 0.52, z, scale(green, 0.8), rng.choice(_PALM_HEADS))
    _palm_head(p, x, y - h * 0.54, h * 0.42, z, green, rng.choice(_DATE_HEADS))


def _banana(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    green = mix(leaf, (0.4, 0.66, 0.2), 0.6)
    for i in range(6):
        t = (i + 0.5) / 6 * 2 - 1
        tip = x + t * h * 0.75, y - h * (0.95 - 0.4 * abs(t))
        p.poly([(x, y), (x + t * h * 0.3, y - h * 0.75), tip, (x + t * h * 0.42, y - h * 0.5)],
               p.lit(scale(green, rng.uniform(0.75, 1.15)), z))  # fmt: skip


def _fern(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """A tree fern: a dark stem and a flat wheel of fronds."""
    _trunk(p, x, y, h * 0.72, h * 0.04, z, (0.25, 0.19, 0.14))
    _stamp(p, x, y - h * 0.74, h * 0.55 * _light_side(p), h * 0.36,
           [(part, p.lit(scale((0.24, 0.5, 0.2), k), z)) for part, k in
            zip(rng.choice(_PALM_HEADS), (0.7, 1.0, 1.3), strict=True)])  # fmt: skip


def _bamboo(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    canes, tips = [], []
    for _ in range(8):
        dx, lean, up = rng.uniform(-0.14, 0.14) * h, rng.uniform(-0.16, 0.16) * h, h * rng.uniform(0.8, 1)
        w = max(0.4, h * 0.011)
        canes.append(
            [(x + dx - w, y), (x + dx + lean - w * 0.5, y - up), (x + dx + lean + w * 0.5, y - up), (x + dx + w, y)]
        )
        tips.append((x + dx + lean, y - up * rng.uniform(0.75, 0.95)))
    p.polys(canes, p.lit((0.5, 0.64, 0.28), z))
    for tx, ty in tips[::2]:
        _crown(p, tx, ty, h * 0.16, h * 0.12, z, (0.38, 0.6, 0.22), rng)


def _cactus(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """A saguaro."""
    green = p.lit((0.3, 0.48, 0.26), z, 0.4)
    bright = p.lit((0.45, 0.64, 0.36), z, 1)
    w = max(1.4, h * 0.13)
    left, right = rng.uniform(0.3, 0.45), rng.uniform(0.4, 0.58)
    for colour, dx, ww in ((green, 0.0, w), (bright, _light_side(p) * w * 0.22, w * 0.35)):
        p.line((x + dx, y), (x + dx, y - h), ww, colour)
        for d, at, up in ((-1, left, 0.34), (1, right, 0.28)):
            p.line((x + dx, y - h * at), (x + dx + d * h * 0.22, y - h * at), ww * 0.75, colour)
            p.line((x + dx + d * h * 0.22, y - h * at), (x + dx + d * h * 0.22, y - h * (at + up)), ww * 0.75, colour)


def _joshua(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """Crooked boughs that end in tufts of daggers."""
    ink = p.lit((0.45, 0.36, 0.26), z)
    forks = [(-0.3, 0.62), (0.28, 0.7), (0.04, 0.92), (-0.14, 0.84), (0.36, 0.48)]
    p.line((x, y), (x, y - h * 0.42), max(1.0, h * 0.09), ink)
    for dx, up in forks:
        tip = (x + dx * h, y - up * h)
        p.line((x, y - h * 0.4), (x + dx * h * 0.8, y - h * (up - 0.2)), max(0.8, h * 0.06), ink)
        p.line((x + dx * h * 0.8, y - h * (up - 0.2)), tip, max(0.8, h * 0.06), ink)
        p.poly(_clump(rng, tip[0], tip[1], h * 0.11, 16, 0.45), p.lit((0.4, 0.5, 0.26), z, 0.6))


def _agave(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """A rosette of blue-green swords."""
    for shade, n in ((0.75, 8), (1.15, 7)):
        p.polys(
            [
                [
                    (x - h * 0.06, y),
                    (x + h * 0.95 * math.cos(a), y - h * (0.15 + 0.85 * math.sin(a))),
                    (x + h * 0.06, y),
                ]
                for a in (math.pi * (i + 0.5) / n for i in range(n))
            ],
            p.lit(scale((0.4, 0.56, 0.52), shade), z),
        )


def _mangrove(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    """A low crown on stilts."""
    w = max(0.4, h * 0.018)
    p.polys(
        [
            [
                (x + dx * h - w, y),
                (x + dx * h * 0.3, y - h * 0.45),
                (x + dx * h * 0.3 + w * 2, y - h * 0.45),
                (x + dx * h + w, y),
            ]
            for dx in (-0.42, -0.24, -0.08, 0.1, 0.26, 0.44)
        ],
        p.lit((0.36, 0.27, 0.22), z),
    )
    _crown(p, x, y - h * 0.66, h * 0.55, h * 0.32, z, mix(leaf, (0.2, 0.42, 0.18), 0.5), rng)


def _rock(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    stone = mix((0.5, 0.48, 0.46), p.scene.ground, 0.45)
    w = h * rng.uniform(0.8, 1.6)
    p.poly(
        [(x - w, y), (x - w * 0.6, y - h * 0.8), (x + w * 0.1, y - h), (x + w * 0.7, y - h * 0.5), (x + w, y)],
        p.lit(stone, z, 0.3),
    )
    d = _light_side(p)
    p.poly(
        [(x + d * w, y), (x + d * w * 0.6, y - h * 0.55), (x + w * 0.1, y - h), (x + d * w * 0.2, y)],
        p.lit(scale(stone, 1.2), z, 1),
    )


def _dead(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    _bare(p, x, y, h, z, rng, (0.5, 0.42, 0.34))


DRAW: dict[str, Callable[[Painter, float, float, float, float, Colour, random.Random], None]] = {
    "palm": _palm, "datepalm": _datepalm, "oilpalm": _oilpalm, "jungle": _jungle, "banana": _banana, "acacia": _acacia,
    "baobab": _baobab, "bush": _bush, "shrub": _bush, "heather": _heather, "tuft": _tuft, "dead": _dead, "rock": _rock,
    "umbrella": _umbrella, "cypress": _cypress, "olive": _olive, "round": _round, "maple": _maple, "cherry": _cherry,
    "jacaranda": _jacaranda, "willow": _willow, "poplar": _poplar, "conifer": _conifer, "pine": _pine, "larch": _larch,
    "araucaria": _araucaria, "birch": _birch, "cactus": _cactus, "joshua": _joshua, "agave": _agave, "gum": _gum,
    "fern": _fern, "bamboo": _bamboo, "mangrove": _mangrove,
}  # fmt: skip
