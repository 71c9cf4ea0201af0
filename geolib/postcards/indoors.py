"""Interiors and close-ups: postcards that say nothing of the place, as so many real photographs do."""

from __future__ import annotations

import math
import random

from geolib.postcards.brush import SIZE, Colour, Painter, mix, scale

S = SIZE


def draw(p: Painter) -> None:
    """A room, a table, a flower, a cat, a plate or a painting; chosen without a look at the place."""
    rng = p.scene.rng("indoors")
    kinds = (_room, _table, _museum, _cat) if p.scene.kind == "interior" else (_flower, _plate, _cup)
    rng.choice(kinds)(p, rng)


def _pastel(rng: random.Random) -> Colour:
    return mix(
        rng.choice(((0.9, 0.8, 0.65), (0.75, 0.82, 0.85), (0.85, 0.75, 0.78), (0.8, 0.85, 0.72), (0.92, 0.9, 0.86))),
        (0.6, 0.5, 0.45),
        rng.random() * 0.35,
    )


def _wood(rng: random.Random) -> Colour:
    return mix((0.72, 0.52, 0.33), (0.36, 0.22, 0.15), rng.random())


def _wall(p: Painter, rng: random.Random, floor: float) -> Colour:
    wall = _pastel(rng)
    p.gradient(0, floor, scale(wall, 1.04), scale(wall, 0.86))
    wood = _wood(rng)
    p.gradient(floor, S, scale(wood, 0.85), wood)
    p.rect(0, floor - 4, S, 5, scale(wall, 1.12))
    return wall


def _window(p: Painter, rng: random.Random, x: float, y: float, w: float, h: float) -> None:
    p.rect(x - 5, y - 5, w + 10, h + 10, (0.96, 0.95, 0.92), r=2)
    p.rect(x, y, w, h, rng.choice(((0.75, 0.88, 0.97), (0.95, 0.93, 0.85), (0.68, 0.75, 0.82))))
    p.rect(x + w / 2 - 2, y, 4, h, (0.96, 0.95, 0.92))
    p.rect(x, y + h / 2 - 2, w, 4, (0.96, 0.95, 0.92))
    p.poly([(x - 20, S), (x + w * 0.4, S), (x + w, y + h + 60), (x, y + h + 60)], (1, 0.97, 0.85), 0.12, 6.0)


def _room(p: Painter, rng: random.Random) -> None:
    floor = S * rng.uniform(0.62, 0.74)
    _wall(p, rng, floor)
    _window(p, rng, rng.uniform(20, 60), 34, rng.uniform(50, 80), rng.uniform(60, 90))
    sofa = rng.choice(((0.35, 0.45, 0.55), (0.6, 0.35, 0.3), (0.45, 0.5, 0.35), (0.8, 0.7, 0.5)))
    x = rng.uniform(70, 110)
    p.rect(x, floor - 52, 130, 40, scale(sofa, 0.9), r=12)
    p.rect(x - 8, floor - 26, 146, 34, sofa, r=10)
    for i in range(3):
        p.rect(x + 8 + 42 * i, floor - 44, 34, 26, mix(sofa, _pastel(rng), 0.6), r=7)
    px = rng.choice((24.0, 232.0))
    p.rect(px - 12, floor - 14, 24, 28, (0.7, 0.42, 0.3), r=3)
    for i in range(9):
        t = i / 8 * 2 - 1
        p.line((px, floor - 12), (px + t * 30, floor - 70 + 26 * abs(t)), 5, (0.2, 0.42 + 0.1 * (i % 2), 0.22))


def _table(p: Painter, rng: random.Random) -> None:
    floor = S * 0.5
    _wall(p, rng, floor)
    _window(p, rng, rng.uniform(90, 150), 24, 70, 70)
    wood = _wood(rng)
    p.poly([(10, S * 0.62), (246, S * 0.62), (290, S), (-30, S)], scale(wood, 1.1))
    for _ in range(rng.randint(2, 4)):
        x, y = rng.uniform(40, 216), rng.uniform(170, 220)
        colour = _pastel(rng)
        p.oval(x + 3, y + 4, 24, 9, (0, 0, 0), 0.2, 3.0)
        if rng.random() < 0.5:
            p.rect(x - 13, y - 30, 26, 32, colour, r=5)
            p.oval(x, y - 29, 13, 4.5, (0.28, 0.17, 0.1))
        else:
            p.oval(x, y, 28, 10, (0.96, 0.95, 0.93))
            p.oval(x, y - 1, 19, 6, colour)


def _museum(p: Painter, rng: random.Random) -> None:
    floor = S * 0.8
    _wall(p, rng, floor)
    for i in range(rng.randint(1, 3)):
        w, h = rng.uniform(60, 90), rng.uniform(60, 100)
        x, y = 24 + i * 84 + rng.uniform(-8, 8), rng.uniform(34, 60)
        p.rect(x + 3, y + 4, w, h, (0, 0, 0), 0.2)
        p.rect(x, y, w, h, rng.choice(((0.72, 0.56, 0.25), (0.15, 0.13, 0.12), (0.9, 0.88, 0.84))))
        p.rect(x + 6, y + 6, w - 12, h - 12, _pastel(rng))
        for _ in range(6):
            p.oval(x + rng.uniform(16, w - 16), y + rng.uniform(16, h - 16), rng.uniform(4, 12), rng.uniform(4, 12),
                   (rng.random(), rng.random() * 0.8, rng.random() * 0.8), 0.85)  # fmt: skip


def _cat(p: Painter, rng: random.Random) -> None:
    floor = S * rng.uniform(0.55, 0.68)
    _wall(p, rng, floor)
    fur = rng.choice(((0.88, 0.6, 0.3), (0.25, 0.25, 0.27), (0.85, 0.82, 0.78), (0.55, 0.5, 0.45)))
    x, y = rng.uniform(95, 160), floor + rng.uniform(30, 48)
    p.oval(x, y + 6, 58, 10, (0, 0, 0), 0.25, 3.0)
    p.oval(x, y - 26, 46, 34, fur)
    p.oval(x + 56, y - 16, 26, 8, scale(fur, 0.9))
    p.disc(x - 26, y - 62, 25, fur)
    for d in (-1, 1):
        p.poly([(x - 26 + d * 22, y - 70), (x - 26 + d * 19, y - 98), (x - 26 + d * 4, y - 82)], fur)
        p.oval(x - 26 + d * 9, y - 64, 4.5, 5.5, (0.45, 0.7, 0.3))
        p.oval(x - 26 + d * 9, y - 64, 1.6, 4.5, (0.05, 0.05, 0.05))
        p.line((x - 26 + d * 6, y - 52), (x - 26 + d * 30, y - 56), 0.8, (0.95, 0.95, 0.92), 0.8)
    p.poly([(x - 29, y - 55), (x - 23, y - 55), (x - 26, y - 51)], (0.85, 0.5, 0.5))


def _flower(p: Painter, rng: random.Random) -> None:
    green = rng.choice(((0.2, 0.4, 0.2), (0.3, 0.45, 0.22), (0.16, 0.32, 0.24)))
    p.gradient(0, S, scale(green, 1.3), scale(green, 0.7))
    for _ in range(16):
        p.disc(rng.uniform(0, S), rng.uniform(0, S), rng.uniform(8, 26), scale(green, rng.uniform(0.7, 1.9)), 0.35, 6.0)
    x, y, r = rng.uniform(95, 160), rng.uniform(90, 140), rng.uniform(38, 58)
    p.line((x, y), (x + rng.uniform(-20, 20), S), 6, (0.22, 0.48, 0.2))
    petal = (rng.uniform(0.6, 1), rng.uniform(0.2, 0.8), rng.uniform(0.3, 1))
    n = rng.randint(5, 11)
    for i in range(n):
        t = 2 * math.pi * i / n + 0.2
        p.oval(
            x + r * 0.62 * math.cos(t),
            y + r * 0.62 * math.sin(t),
            r * 0.42,
            r * 0.42,
            scale(petal, 0.86 + 0.14 * (i % 2)),
        )
    p.disc(x, y, r * 0.34, (0.96, 0.78, 0.2))
    p.disc(x, y, r * 0.2, (0.75, 0.5, 0.12))


def _plate(p: Painter, rng: random.Random) -> None:
    cloth = _wood(rng) if rng.random() < 0.6 else _pastel(rng)
    p.gradient(0, S, scale(cloth, 1.1), scale(cloth, 0.8))
    p.oval(134, 142, 96, 90, (0, 0, 0), 0.3, 6.0)
    p.disc(128, 132, 94, (0.96, 0.95, 0.92))
    p.disc(128, 132, 70, (0.9, 0.89, 0.86))
    for _ in range(24):
        t, r = rng.uniform(0, 6.28), 50 * math.sqrt(rng.random())
        colour = rng.choice(
            ((0.8, 0.2, 0.12), (0.35, 0.55, 0.18), (0.9, 0.7, 0.25), (0.6, 0.36, 0.18), (0.95, 0.9, 0.75))
        )
        p.oval(128 + r * math.cos(t), 132 + r * math.sin(t), rng.uniform(6, 17), rng.uniform(5, 12), colour, 0.95)


def _cup(p: Painter, rng: random.Random) -> None:
    wood = _wood(rng)
    p.gradient(0, S, scale(wood, 0.6), scale(wood, 1.1))
    for i in range(7):
        p.rect(0, 36.0 * i, S, 1.5, scale(wood, 0.55), 0.6)
    x, y = rng.uniform(110, 146), rng.uniform(115, 140)
    colour = _pastel(rng)
    p.oval(x + 8, y + 12, 76, 70, (0, 0, 0), 0.3, 6.0)
    p.disc(x, y, 72, (0.95, 0.94, 0.92))
    p.disc(x + 58, y - 4, 20, colour)
    p.disc(x, y, 50, colour)
    p.disc(x, y, 43, (0.34, 0.2, 0.11))
    for i in range(4):
        p.oval(x, y + 5, 26 - 6 * i, 22 - 6 * i, (0.93, 0.83, 0.66) if i % 2 == 0 else (0.5, 0.32, 0.18))
