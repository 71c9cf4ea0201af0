"""Signs and flags: warnings, directions with the town's name, route markers, national colours.

Signs are placed as a photographer would frame them: whole in the picture, in front of trees, the direction sign on
one's own side and the others where they do not cover it. Their sizes are therefore given in pixels.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from postcards import facts, lettering
from postcards.brush import SIZE, Colour, Objects, Painter, Point, hex_colour

_FRONT = 0.6  # the depth at which faces of signs are drawn: nearer than any tree or house, so that none covers them
_WHITE, _INK, _RED, _YELLOW = (0.97, 0.96, 0.94), (0.08, 0.08, 0.08), (0.85, 0.12, 0.12), (0.98, 0.78, 0.1)
_GUIDES: dict[str, tuple[Colour, Colour]] = {  # ground and letters
    "green": ((0.0, 0.42, 0.27), _WHITE),
    "blue": ((0.05, 0.3, 0.63), _WHITE),
    "white": ((0.95, 0.95, 0.93), (0.1, 0.1, 0.12)),
    "yellow": ((0.97, 0.8, 0.15), (0.1, 0.1, 0.12)),
}
_MILES = {"US", "GB", "LR", "PR"}


def signs(p: Painter, objects: Objects) -> None:
    """A warning sign, a guide sign with the town's name, a flag."""
    _warning(p, objects)
    _guide(p, objects)
    _flag(p, objects)


def lettering_is_latin(language: str) -> bool:
    """Is this language, or script, written in Latin letters?"""
    return facts.script_of(language) == "latin"


def _whole(x: float, half: float) -> float:
    """`x` moved so that a thing of half width `half` keeps clear of the picture's edges, tilted camera or not."""
    return min(max(x, 15.0 + half), SIZE - 15.0 - half)


def _level(p: Painter, y: float, below: float) -> float:
    """The height of a sign's lower edge, kept within a few pixels of the horizon so that a flag has room above."""
    return min(max(y, p.horizon + below - 7), p.horizon + below)


def _post(p: Painter, objects: Objects, foot: Point, top: float, z: float, width: float) -> None:
    def post() -> None:
        p.line(foot, (foot[0], top), width, p.lit((0.52, 0.53, 0.54), z))

    objects.append((z, post))


# --- warnings and speed limits ------------------------------------------------------------------


def _warning(p: Painter, objects: Objects) -> None:
    """The country's warning sign on the side that is free, sometimes with a speed limit below it."""
    s, rng = p.scene, p.scene.rng("warning")
    near, far, symbol, limit = rng.uniform(8.6, 10.4), rng.uniform(16, 18), rng.randrange(3), rng.random()
    if not p.has("warning", "warning"):
        return
    busy = "guide" in s.elements or "shield" in s.elements
    z, d = (far, -p.side) if busy else (near, p.side)
    r = rng.uniform(22.5, 25.5)
    k, (x, foot) = p.focal / z, p.point(d * (s.lanes + 1.3), 0, z)
    x = _whole(x, r * 1.1)
    y = _level(p, foot - (2.3 if busy else 2.0) * k, 4) - r
    _post(p, objects, (x, foot), y, z, max(1.5, 0.09 * k))

    def face() -> None:
        p.show("warning", x, y, 1.5 * r)
        (_diamond if s.country.warning == "diamond" else _triangle)(p, x, y, r, s.country.warning, z)
        _symbol(p, x, y + (0.0 if s.country.warning == "diamond" else 0.12 * r), r, symbol, p.lit(_INK, z))
        if limit < 0.5:
            _speed(p, x, y + r * (1.1 if s.country.warning == "diamond" else 0.85), z, int(limit * 12))

    objects.append((_FRONT, face))


def _triangle(p: Painter, x: float, y: float, r: float, form: str, z: float) -> None:
    p.poly([(x, y - r * 1.06), (x + r * 1.14, y + r * 0.86), (x - r * 1.14, y + r * 0.86)], p.lit(_WHITE, z, 0.7))
    p.poly([(x, y - r), (x + r * 1.08, y + r * 0.82), (x - r * 1.08, y + r * 0.82)], p.lit(_RED, z, 0.7))
    inner = p.lit(_YELLOW if form == "yellowtri" else _WHITE, z, 0.7)
    p.poly([(x, y - r * 0.52), (x + r * 0.66, y + r * 0.58), (x - r * 0.66, y + r * 0.58)], inner)


def _diamond(p: Painter, x: float, y: float, r: float, form: str, z: float) -> None:
    for size, colour in ((1.08, _YELLOW), (1.0, _INK), (0.9, _YELLOW)):
        k = r * size
        p.poly([(x, y - k), (x + k, y), (x, y + k), (x - k, y)], p.lit(colour, z, 0.7))


def _symbol(p: Painter, x: float, y: float, r: float, which: int, ink: Colour) -> None:
    """An exclamation mark, a bend, or someone walking."""
    if which == 0:
        p.line((x, y - r * 0.26), (x, y + r * 0.14), r * 0.17, ink)
        p.disc(x, y + r * 0.36, r * 0.1, ink)
    elif which == 1:
        for a, b in (((-0.16, 0.42), (-0.16, 0.14)), ((-0.16, 0.14), (0.14, -0.02)), ((0.14, -0.02), (0.1, -0.24))):
            p.line((x + a[0] * r, y + a[1] * r), (x + b[0] * r, y + b[1] * r), r * 0.13, ink)
    else:
        p.disc(x, y - r * 0.22, r * 0.1, ink)
        p.line((x, y - r * 0.06), (x, y + r * 0.14), r * 0.16, ink)
        p.line((x, y + r * 0.14), (x - r * 0.17, y + r * 0.42), r * 0.1, ink)
        p.line((x, y + r * 0.14), (x + r * 0.17, y + r * 0.42), r * 0.1, ink)


def _speed(p: Painter, x: float, y: float, z: float, step: int) -> None:
    """A speed limit hung below: a red ring, or in North America a white board."""
    iso = p.scene.country.iso
    number = str((20, 30, 40, 50, 60, 70)[step] if iso not in _MILES else (20, 25, 30, 35, 45, 55)[step])
    white, ink = p.lit(_WHITE, z, 0.7), p.lit(_INK, z)
    if iso in {"US", "CA"}:
        p.rect(x - 10, y, 20, 25, ink, r=2)
        p.rect(x - 9, y + 1, 18, 23, white, r=2)
        p.rect(x - 6, y + 4, 12, 2, ink)
        lettering.latin(p, number, x - 8, y + 7, 16, 17, ink)
        return
    p.disc(x, y + 12, 12, p.lit(_RED, z, 0.7))
    p.disc(x, y + 12, 8.6, white)
    lettering.latin(p, number, x - 8, y + 4, 16, 16, ink)


# --- the town's name and the road's number ------------------------------------------------------


def _guide(p: Painter, objects: Objects) -> None:
    """The town's name on the country's ground, and above it what is written there in the place's own letters."""
    s, rng = p.scene, p.scene.rng("guide")
    z, letter = rng.uniform(11.5, 14), rng.random()
    if "guide" not in s.elements or not s.town:
        return
    latin_only = lettering_is_latin(s.language)
    if "town_name" in p.hide and (latin_only or "script" in p.hide):
        return
    w = min(116.0, max(76.0, 9.6 * len(s.town) + 20))
    h = 29.0 if latin_only else 47.0
    k, (edge, foot) = p.focal / z, p.point(p.side * (s.lanes + 0.8), 0, z)
    x = _whole(edge + p.side * 0.6 * w, w / 2)
    y = _level(p, foot - 2.5 * k, -9) - h
    inner, outer = x - p.side * 0.36 * w, x + p.side * 0.4 * w
    inner = max(inner, edge) if p.side > 0 else min(inner, edge)
    for px in (inner, outer):
        _post(p, objects, (px, foot), y + h, z, max(1.5, 0.11 * k))

    def board() -> None:
        ground, ink = (p.lit(c, z, 0.75) for c in _GUIDES[s.country.guide])
        p.rect(x - w / 2, y, w, h, ink, r=4)
        p.rect(x - w / 2 + 1.6, y + 1.6, w - 3.2, h - 3.2, ground, r=3)
        if not latin_only and "script" not in p.hide:
            box = (x - w / 2 + 5, y + 2.5, w - 10, 23)
            p.show("script", x, y + 13, _local(p, box, ink, random.Random(letter)))
        if "town_name" not in p.hide:
            high = lettering.latin(p, s.town, x - w / 2 + 5, y + h - 27, w - 10, 25, ink)
            p.show("town_name", x, y + h - 13, high)

    objects.append((_FRONT + 0.1, board))


def _local(p: Painter, box: tuple[float, float, float, float], ink: Colour, rng: random.Random) -> float:
    """The town's name in its own letters, or else a word of its language; returns the letters' height in px."""
    if p.scene.town_local:
        return lettering.latin(p, p.scene.town_local, *box, ink)
    return lettering.draw(p, lettering.word(p.scene.language, rng), *box, ink, vertical=False)


def shield(p: Painter, objects: Objects) -> None:
    """The route marker in the province's colours."""
    s, rng = p.scene, p.scene.rng("shield")
    z, number, r = p.focal / rng.uniform(25, 28), str(rng.randint(1, 99)), rng.uniform(16.0, 18.0)
    if not p.has("shield", "route"):
        return
    k, (x, foot) = p.focal / z, p.point(p.side * (s.lanes + 0.95), 0, z)
    x = _whole(x, r + 2)
    y = max(foot - 2.0 * k, p.horizon + 8)
    ground, ink = s.province.shield

    def marker() -> None:
        p.line((x, foot), (x, y), 2.4, p.lit((0.5, 0.51, 0.52), z))
        for size, colour in ((1.12, (0.1, 0.1, 0.1)), (1.05, ink), (0.84, ground)):
            _marker_form(p, s.province.shield_form, x, y, r * size, p.lit(colour, 4, 0.75))
        high = 1.5 * r if s.province.shield_form != "diamond" else 1.2 * r
        colour = p.lit(_readable(ground, ink), 4, 0.75)
        p.show("route", x, y, lettering.latin(p, number, x - 0.72 * r, y - high / 2, 1.44 * r, high, colour))

    objects.append((_FRONT - 0.1, marker))


def _readable(ground: Colour, ink: Colour) -> Colour:
    """The ink, or where that is about as bright as the ground, black or white."""
    bright, of_ink = (0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2] for c in (ground, ink))
    return ink if abs(bright - of_ink) > 0.25 else _INK if bright > 0.45 else _WHITE


def _marker_form(p: Painter, form: str, x: float, y: float, r: float, colour: Colour) -> None:
    if form == "disc":
        p.disc(x, y, r, colour)
    elif form == "square":
        p.rect(x - r * 0.95, y - r * 0.95, r * 1.9, r * 1.9, colour, r=r * 0.14)
    elif form == "shield":
        outline = [(-1, -0.8), (-0.5, -1), (0, -0.84), (0.5, -1), (1, -0.8), (0.94, 0.2), (0.5, 0.78), (0, 1.08),
                   (-0.5, 0.78), (-0.94, 0.2)]  # fmt: skip
        p.poly([(x + a * r, y + b * r) for a, b in outline], colour)
    else:
        corners, size = (6, 1.1) if form == "hexagon" else (4, 1.32)
        turns = [2 * math.pi * i / corners for i in range(corners)]
        p.poly([(x + size * r * math.cos(t), y + size * r * math.sin(t)) for t in turns], colour)


# --- flags --------------------------------------------------------------------------------------


def _flag(p: Painter, objects: Objects) -> None:
    """The national colours on a pole beside the road, waving a little."""
    s, rng = p.scene, p.scene.rng("flag")
    d, near, far = rng.choice((-1, 1)), rng.uniform(13, 16.5), rng.uniform(18, 22)
    if not p.has("flag", "flag") or not s.country.flag:
        return
    z, w, h = near if d == p.side else far, 48.0, 31.0
    k, (x, foot) = p.focal / z, p.point(d * (s.lanes + 2.4), 0, z)
    x = _whole(x + w / 2, w / 2) - w / 2
    y = max(17.0, min(foot - 7.5 * k, p.horizon - 94))
    _post(p, objects, (x, foot), y - 2, z, max(1.6, 0.1 * k))

    def cloth() -> None:
        p.show("flag", x + w / 2, y + h / 2, h)
        p.canvas.save()
        p.canvas.translate(x, y)
        p.canvas.skew(0, 0.07)
        draw_flag(p, s.country.flag, 0, 0, w, h, 6.0)
        bands = [[(a * w, 0), ((a + 0.13) * w, 0), ((a + 0.05) * w, h), ((a - 0.08) * w, h)] for a in (0.25, 0.68)]
        p.polys(bands, (0.05, 0.05, 0.15), 0.14)
        p.canvas.restore()
        p.line((x, y - 2), (x, y + h + 2), max(1.6, 0.1 * k), p.lit((0.8, 0.8, 0.8), z))

    objects.append((_FRONT + 0.2, cloth))


def draw_flag(p: Painter, spec: str, x: float, y: float, w: float, h: float, z: float) -> None:
    """A simplified flag from its description, such as `v:#002395:#ffffff:#ed2939`."""
    for part in spec.split("|"):
        name, *names = part.split(":")
        colours = [p.lit(hex_colour(n), z, 0.7) for n in names]
        if name in _ROWS:
            _bands(p, x, y, w, h, colours, _ROWS[name](len(colours)), rows=True)
        elif name in _COLUMNS:
            _bands(p, x, y, w, h, colours, _COLUMNS[name](len(colours)), rows=False)
        elif name in _OUTLINES:
            p.poly([(x + w * a, y + h * b) for a, b in _OUTLINES[name]], colours[0])
        else:
            _PARTS[name](p, x, y, w, h, colours)


Bands = list[tuple[int, int]]  # which colour, and its share of the flag
_ROWS: dict[str, Callable[[int], Bands]] = {
    "solid": lambda n: [(0, 1)],
    "h": lambda n: [(i, 1) for i in range(n)],
    "h2": lambda n: [(0, 2), (1, 1), (2, 1)],
    "h3": lambda n: [(0, 1), (1, 2), (2, 1)],
    "h5": lambda n: [(0, 1), (1, 1), (2, 2), (1, 1), (0, 1)],
    "stripes": lambda n: [(i % 2, 1) for i in range(7)],
}
_COLUMNS: dict[str, Callable[[int], Bands]] = {
    "v": lambda n: [(i, 1) for i in range(n)],
    "v2": lambda n: [(0, 2), (1, 3)],
}
_OUTLINES: dict[str, list[Point]] = {
    "leaf": [(0.5, 0.2), (0.62, 0.5), (0.5, 0.8), (0.38, 0.5)],
    "rhomb": [(0.5, 0.1), (0.9, 0.5), (0.5, 0.9), (0.1, 0.5)],
    "canton": [(0, 0), (0.42, 0), (0.42, 0.52), (0, 0.52)],
    "tri": [(0, 0), (0.42, 0.5), (0, 1)],
    "bar": [(0, 0), (0.25, 0), (0.25, 1), (0, 1)],
}


def _bands(p: Painter, x: float, y: float, w: float, h: float, colours: list[Colour], bands: Bands, rows: bool) -> None:
    total, at = sum(share for _, share in bands), 0.0
    for i, share in bands:
        size = share / total
        if rows:
            p.rect(x, y + at * h, w, h * size + (0.3 if at + size < 0.999 else 0), colours[i])
        else:
            p.rect(x + at * w, y, w * size + (0.3 if at + size < 0.999 else 0), h, colours[i])
        at += size


def _nordic(p: Painter, x: float, y: float, w: float, h: float, c: list[Colour]) -> None:
    p.rect(x, y, w, h, c[0])
    p.rect(x + w * 0.28, y, w * 0.16, h, c[1])
    p.rect(x, y + h * 0.41, w, h * 0.2, c[1])


def _cross(p: Painter, x: float, y: float, w: float, h: float, c: list[Colour]) -> None:
    p.rect(x, y, w, h, c[0])
    p.rect(x + w * 0.42, y + h * 0.14, w * 0.16, h * 0.72, c[1])
    p.rect(x + w * 0.2, y + h * 0.39, w * 0.6, h * 0.22, c[1])


def _disc(p: Painter, x: float, y: float, w: float, h: float, c: list[Colour]) -> None:
    p.disc(x + w * 0.5, y + h * 0.5, h * 0.27, c[0])


def _star(p: Painter, x: float, y: float, w: float, h: float, c: list[Colour]) -> None:
    turns = [(math.pi * i / 5, 0.24 if i % 2 == 0 else 0.11) for i in range(10)]
    p.poly([(x + w * 0.5 + h * r * math.sin(t), y + h * 0.5 - h * r * math.cos(t)) for t, r in turns], c[0])


def _emblem(p: Painter, x: float, y: float, w: float, h: float, c: list[Colour]) -> None:
    """Stands for a coat of arms, a crescent, a tree: whatever is too fine to draw."""
    p.disc(x + w * 0.5, y + h * 0.5, h * 0.16, c[0])


def _wheel(p: Painter, x: float, y: float, w: float, h: float, c: list[Colour]) -> None:
    p.canvas.drawCircle(x + w * 0.5, y + h * 0.5, h * 0.13, p.outline(c[0], h * 0.05))
    p.disc(x + w * 0.5, y + h * 0.5, h * 0.04, c[0])


def _bars(p: Painter, x: float, y: float, w: float, h: float, c: list[Colour]) -> None:
    p.rect(x, y + h * 0.12, w, h * 0.12, c[0])
    p.rect(x, y + h * 0.76, w, h * 0.12, c[0])


def _quarter(p: Painter, x: float, y: float, w: float, h: float, c: list[Colour]) -> None:
    p.rect(x, y, w, h, c[0])
    p.rect(x + w * 0.5, y, w * 0.5, h * 0.5, c[1])
    p.rect(x, y + h * 0.5, w * 0.5, h * 0.5, c[1])


def _diag(p: Painter, x: float, y: float, w: float, h: float, c: list[Colour]) -> None:
    p.rect(x, y, w, h, c[0])
    p.poly([(x + w, y), (x + w, y + h), (x, y + h)], c[2])
    band = [(0, 0.7), (0.75, 0), (1, 0), (1, 0.3), (0.25, 1), (0, 1)]
    p.poly([(x + w * a, y + h * b) for a, b in band], c[1])


def _union(p: Painter, x: float, y: float, w: float, h: float, c: list[Colour]) -> None:
    p.rect(x, y, w, h, c[0])
    p.canvas.save()
    p.canvas.clipRect((x, y, x + w, y + h))  # the saltire's round ends would stand out of the flag
    for width, colour in ((0.2, c[1]), (0.09, c[2])):
        p.line((x, y), (x + w, y + h), h * width * 0.8, colour)
        p.line((x + w, y), (x, y + h), h * width * 0.8, colour)
    p.canvas.restore()
    for width, colour in ((0.32, c[1]), (0.18, c[2])):
        p.rect(x + w * 0.5 - h * width / 2, y, h * width, h, colour)
        p.rect(x, y + h * (0.5 - width / 2), w, h * width, colour)


_PARTS: dict[str, Callable[[Painter, float, float, float, float, list[Colour]], None]] = {
    "nordic": _nordic, "cross": _cross, "disc": _disc, "star": _star, "emblem": _emblem,
    "wheel": _wheel, "bars": _bars, "quarter": _quarter,
    "diag": _diag, "union": _union,
}  # fmt: skip
