"""Interiors and close-ups: postcards that say nothing of the place, as so many real photographs do."""

from __future__ import annotations

import math
import random

from postcards.brush import SIZE, Colour, Painter, mix, scale

S = SIZE


def draw(p: Painter) -> None:
    """A room, a pet, a meal, a toy or the like; chosen without a look at the place."""
    rng = p.scene.rng("indoors")
    rooms = (_room, _table, _museum, _cat, _dog, _kitchen, _bookshelf, _desk, _bath, _guitar)
    close = (_flower, _plate, _cup, _cake, _fruit, _teddy, _shoes, _pot_plant)
    rng.choice(rooms if p.scene.kind == "interior" else close)(p, rng)
    if rng.random() < 0.6:
        _light_patch(p, rng)


def _light_patch(p: Painter, rng: random.Random) -> None:
    """Sunlight that falls in from one side."""
    x, w = rng.uniform(-40, 120), rng.uniform(40, 80)
    p.poly([(x, 0), (x + w, 0), (x + w + 110, S), (x + 60, S)], (1, 0.95, 0.8), 0.09, 6.0)


def _shadow(p: Painter, x: float, y: float, rx: float, ry: float) -> None:
    p.oval(x, y, rx, ry, (0.05, 0.03, 0.02), 0.3, 6.0)


def _bright(rng: random.Random) -> Colour:
    return rng.choice(((0.82, 0.22, 0.2), (0.2, 0.42, 0.7), (0.95, 0.72, 0.2), (0.25, 0.58, 0.4), (0.62, 0.35, 0.6),
                       (0.93, 0.5, 0.25), (0.3, 0.66, 0.72)))  # fmt: skip


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
    for i in range(5):
        y = floor + (S - floor) * (i / 5) ** 1.5
        p.rect(0, y, S, 1.2, scale(wood, 0.6), 0.5)
    p.rect(0, floor - 5, S, 6, scale(wall, 1.12))
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


def _dog(p: Painter, rng: random.Random) -> None:
    floor = S * rng.uniform(0.5, 0.62)
    _wall(p, rng, floor)
    fur = rng.choice(((0.78, 0.55, 0.32), (0.3, 0.22, 0.18), (0.93, 0.9, 0.84), (0.55, 0.38, 0.25)))
    ears, x, y = scale(fur, 0.7), rng.uniform(105, 150), floor + 62
    p.oval(x, y + 2, 86, 22, scale(_bright(rng), 0.8))
    p.oval(x, y - 4, 72, 14, mix(_pastel(rng), (1, 1, 1), 0.4))
    p.oval(x + 10, y - 34, 44, 36, fur)
    for dx in (-24, 16):
        p.rect(x + dx, y - 34, 17, 36, scale(fur, 0.94), r=8)
    p.oval(x - 6, y - 84, 31, 29, fur)
    p.oval(x - 6, y - 71, 17, 14, mix(fur, (1, 0.97, 0.92), 0.5))
    for d in (-1, 1):
        p.oval(x - 6 + d * 29, y - 80, 10, 24, ears)
        p.disc(x - 6 + d * 11, y - 90, 4, (0.08, 0.06, 0.05))
        p.disc(x - 5 + d * 11, y - 91.5, 1.2, (1, 1, 1))
    p.oval(x - 6, y - 77, 6.5, 4.5, (0.1, 0.08, 0.08))
    p.oval(x - 6, y - 60, 5, 7, (0.9, 0.45, 0.48))
    p.rect(x - 28, y - 58, 46, 6, _bright(rng), r=3)


def _kitchen(p: Painter, rng: random.Random) -> None:
    wall = _pastel(rng)
    p.gradient(0, 160, scale(wall, 1.05), scale(wall, 0.9))
    for i in range(9):
        p.rect(0, 96 + 10.0 * i, S, 1, (1, 1, 1), 0.35)
        p.rect(30.0 * i, 92, 1, 64, (1, 1, 1), 0.35)
    door, top = mix(_pastel(rng), (1, 1, 1), 0.3), _wood(rng)
    for i in range(4):
        x = 4 + 64.0 * i
        if i != 1:
            p.rect(x, 6, 58, 74, door, r=2)
            p.rect(x + 5, 11, 48, 64, scale(door, 0.93), r=2)
        p.rect(x, 170, 58, 90, door, r=2)
        p.rect(x + 5, 180, 48, 76, scale(door, 0.93), r=2)
        p.rect(x + 20, 174, 18, 2.5, (0.5, 0.5, 0.52))
    p.rect(0, 154, S, 15, scale(top, 1.1))
    p.rect(0, 167, S, 3, scale(top, 0.6))
    _window(p, rng, 72, 18, 48, 56)
    pot = _bright(rng)
    p.rect(150, 128, 46, 27, pot, r=5)
    p.rect(146, 126, 54, 5, scale(pot, 0.8), r=2)
    for i in range(3):
        p.rect(20 + 15.0 * i, 130 - 5 * i, 11, 25 + 5 * i, scale(_bright(rng), 1.05), r=3)
    p.line((226, 154), (226, 128), 4, (0.75, 0.77, 0.8))
    p.line((226, 128), (212, 130), 4, (0.75, 0.77, 0.8))


def _bookshelf(p: Painter, rng: random.Random) -> None:
    wood = _wood(rng)
    p.gradient(0, S, scale(wood, 0.6), scale(wood, 0.4))
    for shelf in range(4):
        floor, x = 64 * (shelf + 1) - 6.0, 6.0
        while x < 244:
            w, h = rng.uniform(6, 15), rng.uniform(36, 52)
            if rng.random() < 0.07:
                p.disc(x + 12, floor - 12, 12, _bright(rng))
                x += 28
                continue
            colour = mix(_bright(rng), (0.4, 0.32, 0.28), rng.random() * 0.7)
            p.rect(x, floor - h, w, h, colour)
            p.rect(x, floor - h, 1.5, h, scale(colour, 1.35))
            p.rect(x, floor - h * 0.8, w, 3, (0.93, 0.82, 0.5), 0.7)
            x += w + 0.8
        p.rect(0, floor, S, 7, scale(wood, 1.15))
        p.rect(0, floor + 7, S, 5, (0, 0, 0), 0.3)


def _desk(p: Painter, rng: random.Random) -> None:
    _wall(p, rng, 170)
    wood, glow = _wood(rng), rng.choice(((0.25, 0.45, 0.75), (0.2, 0.6, 0.55), (0.9, 0.92, 0.95), (0.45, 0.3, 0.6)))
    p.poly([(0, 168), (S, 168), (S + 20, S), (-20, S)], scale(wood, 1.1))
    _shadow(p, 128, 212, 84, 12)
    p.rect(68, 84, 120, 82, (0.2, 0.2, 0.22), r=5)
    p.rect(73, 89, 110, 70, glow, r=2)
    for i in range(6):
        p.rect(
            82, 98 + 9.0 * i, rng.uniform(25, 85), 3, mix(glow, (1, 1, 1) if sum(glow) < 2 else (0.3, 0.3, 0.4), 0.6)
        )
    p.poly([(66, 166), (190, 166), (212, 206), (44, 206)], (0.66, 0.67, 0.69))
    for i in range(4):
        p.rect(68 - 3.0 * i, 172 + 6.0 * i, 120 + 6.0 * i, 4, (0.25, 0.25, 0.27), r=1)
    lamp = _bright(rng)
    p.line((24, 176), (36, 112), 3.5, scale(lamp, 0.7))
    p.line((36, 112), (56, 84), 3.5, scale(lamp, 0.7))
    p.poly([(44, 74), (66, 82), (60, 102), (34, 90)], lamp)
    p.rect(214, 178, 24, 28, _pastel(rng), r=4)


def _bath(p: Painter, rng: random.Random) -> None:
    tile = mix(_pastel(rng), rng.choice(((0.6, 0.8, 0.86), (0.85, 0.92, 0.9), (0.9, 0.8, 0.75))), 0.6)
    p.gradient(0, S, scale(tile, 1.05), scale(tile, 0.8))
    for i in range(11):
        p.rect(0, 24.0 * i, S, 1.2, (1, 1, 1), 0.5)
        p.rect(24.0 * i, 0, 1.2, S, (1, 1, 1), 0.5)
    p.gradient(214, S, scale(tile, 0.6), scale(tile, 0.5))
    _shadow(p, 128, 224, 110, 10)
    p.poly([(18, 142), (238, 142), (214, 222), (42, 222)], (0.95, 0.95, 0.96))
    p.poly([(170, 142), (238, 142), (214, 222), (176, 222)], (0.84, 0.86, 0.89))
    p.rect(10, 134, 236, 14, (1, 1, 1), r=7)
    for _ in range(22):
        p.disc(rng.uniform(30, 226), 134 - 14 * rng.random() ** 2, rng.uniform(5, 11), (0.93, 0.96, 1), 0.9)
    p.oval(150, 112, 17, 13, (0.98, 0.8, 0.16))
    p.disc(164, 97, 10, (0.98, 0.8, 0.16))
    p.poly([(172, 95), (182, 98), (172, 101)], (0.95, 0.5, 0.1))
    p.disc(166, 94, 1.6, (0.1, 0.1, 0.1))
    towel = _bright(rng)
    p.rect(22, 40, 46, 66, towel, r=3)
    p.rect(22, 88, 46, 6, scale(towel, 1.3))


def _guitar(p: Painter, rng: random.Random) -> None:
    _wall(p, rng, S * 0.76)
    body = rng.choice(((0.82, 0.55, 0.25), (0.5, 0.22, 0.12), (0.75, 0.2, 0.15), (0.2, 0.2, 0.22)))
    x = rng.uniform(105, 150)
    p.line((x, 150), (x - 12, 16), 11, (0.32, 0.2, 0.13))
    p.rect(x - 21, 2, 18, 26, (0.25, 0.15, 0.1), r=3)
    _shadow(p, x + 14, 232, 56, 8)
    p.oval(x + 4, 190, 50, 46, scale(body, 0.75))
    p.oval(x + 2, 138, 37, 34, scale(body, 0.75))
    p.oval(x, 189, 46, 43, body)
    p.oval(x, 138, 33, 31, body)
    p.oval(x - 14, 176, 18, 24, scale(body, 1.25), 0.5)
    p.disc(x - 1, 158, 14, (0.1, 0.07, 0.05))
    p.rect(x - 16, 196, 32, 6, (0.2, 0.12, 0.08), r=2)
    for i in range(4):
        p.line((x - 6 + 4 * i, 198), (x - 16 + 2.5 * i, 16), 0.7, (0.95, 0.92, 0.85))


def _cake(p: Painter, rng: random.Random) -> None:
    _wall(p, rng, 150)
    icing, sponge = mix(_pastel(rng), _bright(rng), 0.35), rng.choice(((0.45, 0.26, 0.16), (0.93, 0.82, 0.6)))
    _shadow(p, 128, 216, 98, 16)
    p.oval(128, 208, 96, 20, (0.94, 0.94, 0.95))
    for half, low, high in ((74, 204, 158), (52, 158, 118)):
        p.rect(128 - half, high, 2 * half, low - high, sponge)
        p.oval(128, low, half, 14, sponge)
        p.rect(128 - half, high, 2 * half, 14, icing)
        for i in range(9):
            p.oval(128 - half + half / 9 + 2 * i * half / 9, high + 14, half / 8, rng.uniform(6, 13), icing)
        p.oval(128, high, half, 14, scale(icing, 1.12))
    for i in range(rng.randint(3, 7)):
        x = 94 + 11.0 * i
        p.rect(x, 86, 4.5, 32, _bright(rng))
        p.disc(x + 2.2, 79, 9, (1, 0.8, 0.3), 0.35, 3.0)
        p.oval(x + 2.2, 80, 2.6, 6, (1, 0.85, 0.35))


def _fruit(p: Painter, rng: random.Random) -> None:
    _wall(p, rng, 140)
    bowl = mix(_pastel(rng), _bright(rng), 0.4)
    _shadow(p, 128, 224, 90, 12)
    for _ in range(9):
        x, y, r = rng.uniform(70, 186), rng.uniform(108, 150), rng.uniform(18, 26)
        colour = rng.choice(
            ((0.82, 0.16, 0.14), (0.97, 0.6, 0.12), (0.55, 0.74, 0.2), (0.95, 0.84, 0.25), (0.45, 0.2, 0.42))
        )
        p.disc(x, y, r, scale(colour, 0.8))
        p.disc(x - r * 0.1, y - r * 0.12, r * 0.84, colour)
        p.oval(x - r * 0.35, y - r * 0.4, r * 0.22, r * 0.16, (1, 1, 1), 0.6)
        p.line((x, y - r * 0.8), (x + 3, y - r * 1.2), 2, (0.35, 0.22, 0.12))
    p.poly([(38, 152), (218, 152), (196, 196), (160, 220), (96, 220), (60, 196)], bowl)
    p.poly([(150, 152), (218, 152), (196, 196), (160, 220), (140, 220)], scale(bowl, 0.85))
    p.oval(128, 153, 90, 7, scale(bowl, 1.15))


def _teddy(p: Painter, rng: random.Random) -> None:
    _wall(p, rng, S * 0.7)
    fur = rng.choice(((0.72, 0.5, 0.3), (0.88, 0.74, 0.55), (0.55, 0.42, 0.36), (0.9, 0.66, 0.7)))
    pale = mix(fur, (1, 0.95, 0.85), 0.5)
    x = rng.uniform(110, 146)
    _shadow(p, x, 232, 70, 10)
    for d in (-1, 1):
        p.disc(x + d * 34, 62, 17, fur)
        p.disc(x + d * 34, 62, 9, pale)
        p.oval(x + d * 52, 160, 18, 32, scale(fur, 0.88))
        p.oval(x + d * 36, 218, 26, 22, scale(fur, 0.92))
        p.disc(x + d * 38, 222, 13, pale)
    p.oval(x, 172, 50, 54, fur)
    p.oval(x, 178, 31, 36, pale)
    p.oval(x, 92, 46, 41, fur)
    p.oval(x, 106, 20, 16, pale)
    for d in (-1, 1):
        p.disc(x + d * 17, 86, 4.5, (0.08, 0.06, 0.05))
        p.poly([(x, 132), (x + d * 24, 122), (x + d * 24, 144)], (0.8, 0.2, 0.22))
    p.oval(x, 99, 7, 5, (0.15, 0.1, 0.08))


def _shoes(p: Painter, rng: random.Random) -> None:
    wood, colour = _wood(rng), _bright(rng)
    p.gradient(0, S, scale(wood, 0.7), scale(wood, 1.15))
    for i in range(6):
        p.rect(0, 44.0 * i, S, 1.6, scale(wood, 0.5), 0.6)
    for dx, dy in ((0, -44), (8, 38)):
        x, y = 44 + dx, 150 + dy
        _shadow(p, x + 84, y + 30, 96, 12)
        p.poly(
            [(x, y - 46), (x + 52, y - 46), (x + 84, y - 12), (x + 150, y + 2), (x + 168, y + 20), (x, y + 20)], colour
        )
        p.poly([(x + 120, y - 5), (x + 150, y + 2), (x + 168, y + 20), (x + 120, y + 20)], (0.95, 0.95, 0.93))
        p.rect(x - 3, y + 16, 174, 12, (0.96, 0.96, 0.95), r=6)
        p.rect(x, y + 19, 168, 2.5, scale(colour, 0.8))
        for i in range(4):
            p.line((x + 50 + 13 * i, y - 36 + 11 * i), (x + 66 + 12 * i, y - 42 + 12 * i), 3, (0.97, 0.97, 0.97))
        p.oval(x + 26, y - 46, 26, 5, scale(colour, 0.5))


def _pot_plant(p: Painter, rng: random.Random) -> None:
    _wall(p, rng, S * 0.74)
    pot, green, x = mix(_bright(rng), (0.7, 0.45, 0.32), 0.5), rng.choice(((0.2, 0.48, 0.24), (0.36, 0.56, 0.22))), 128
    _shadow(p, x + 8, 228, 56, 9)
    for i in range(15):
        t = (i + rng.random()) / 15 * 2 - 1
        tip = (x + t * 96, 52 + 90 * t * t + rng.uniform(-14, 26))
        mid = (x + t * 40, 96 + 30 * abs(t))
        p.poly(
            [(x + t * 6, 172), (mid[0] - 12, mid[1]), tip, (mid[0] + 12, mid[1] + 8)],
            scale(green, 0.7 + 0.06 * (i * 7 % 11)),
        )
        p.line((x + t * 6, 172), tip, 1.0, scale(green, 1.5), 0.6)
    p.poly([(x - 40, 168), (x + 40, 168), (x + 30, 228), (x - 30, 228)], pot)
    p.poly([(x + 8, 168), (x + 40, 168), (x + 30, 228), (x + 8, 228)], scale(pot, 0.82))
    p.rect(x - 45, 160, 90, 14, scale(pot, 1.1), r=3)
