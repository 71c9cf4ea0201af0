"""Landmarks of big cities, made up from the city's number: the same silhouette in all of a city's postcards.

Forty forms, drawn in units of their own height: (0, 0) is the middle of the foot, (0, 1) the tip. What varies from one
postcard to the next is what varies from one photograph to the next: the distance, the side it is seen from, the light.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import skia

from postcards.brush import Colour, Painter, Point, mix, scale
from postcards.scene import Landmark

Shades = tuple[Colour, Colour]  # of what faces left and of what faces right
WHITE: Colour = (0.97, 0.96, 0.9)


class Form(NamedTuple):
    """How a form is drawn, how far it reaches to either side, and where a finial may stand on it (0: nowhere)."""

    draw: Callable[[_Pen], None]
    half: float
    tip: float = 0.0


def draw(p: Painter, landmark: Landmark) -> None:
    """Draw a landmark where the houses leave the sky free, larger or smaller with its distance."""
    rng = p.scene.rng("landmark")
    form = _FORMS[landmark.kind]
    turn, offset = rng.uniform(-0.4, 0.4), rng.gauss(0, 1)
    tall = 1.0 if form.tip == 0 or landmark.top == "none" else 1.1
    h = min(rng.uniform(100, 128), (p.horizon - 9) / tall)  # its tip stays in the picture
    x, y = _site(p, offset, form.half * h)
    pen = _Pen(p, x, y, h, landmark, turn)
    if p.scene.kind == "coast":  # it stands on an island or a headland, not in the water
        p.oval(x, y + 1, form.half * h * 1.25 + 9, 5.5, pen.rock[1])
        p.oval(x, y, form.half * h * 1.25 + 6, 4, pen.rock[0])
    form.draw(pen)
    if form.tip:
        _TOPS[landmark.top](pen, form.tip)
    p.show("landmark", x, y - h / 2, 2 * form.half * h)


def _site(p: Painter, offset: float, half: float) -> Point:
    """The foot: in the gap that the houses leave over the end of the road; a wide form has less room to move in it."""
    s = p.scene
    if s.kind == "street":  # the gap is not over the vanishing point: the camera stands on one side of the road
        x = p.axis - p.camera_x * p.focal / 95 + offset * 5
    elif s.sea_side == 2:
        x = p.axis + offset * 34
    else:  # a bend carries the road, and the gap with it, to its own side
        x = p.axis + 0.7 * s.curve * 60 * p.focal + offset * 9
        x += 14 * s.sea_side if s.kind == "coast" else 0  # the houses stand on the land side
    return p.inside(x, min(half, 60)), p.horizon + 3


class _Pen:
    """Draws in units of the landmark's height, with the colours that its two sides have in this light."""

    def __init__(self, p: Painter, x: float, y: float, h: float, landmark: Landmark, turn: float) -> None:
        self.p, self.x, self.y, self.h = p, x, y, h
        self.w = h * landmark.slender * (1 + 0.14 * turn)
        self.n, self.turn = landmark.count, turn
        self.left = p.shadow <= 0 or p.towards_sun(-1, -0.3) > p.towards_sun(1, -0.3)
        self.body, self.trim = self.shades(landmark.colour), self.shades(landmark.accent)
        self.white = self.shades(WHITE)
        self.rock = self.shades((0.52, 0.47, 0.4))
        self.glass = self.shades((0.16, 0.2, 0.28))[0]

    def shades(self, colour: Colour) -> Shades:
        """A colour on the left and on the right side: one of them is turned to the sun.

        It hangs in clearer air than its distance asks for: fog would otherwise take what tells the cities apart.
        """
        air = min(32.0, 0.55 * self.p.sight)
        day = 1.9 if self.p.scene.night else 1.0
        lit = self.p.lit(scale(colour, 1.04 * day), air, 0.95)
        shaded = self.p.lit(scale(mix(colour, (0.12, 0.1, 0.3), 0.14), 0.72 * day), air, 0.3)
        return (lit, shaded) if self.left else (shaded, lit)

    def at(self, u: float, v: float) -> Point:
        """Where a point falls on the canvas."""
        return self.x + u * self.w, self.y - v * self.h

    def poly(self, points: Sequence[Point], colour: Colour) -> None:
        """A filled polygon."""
        x, y, w, h = self.x, self.y, self.w, self.h
        self.p.poly([(x + u * w, y - v * h) for u, v in points], colour)

    def polys(self, polygons: Iterable[Sequence[Point]], colour: Colour) -> None:
        """Many polygons of one colour in one call."""
        x, y, w, h = self.x, self.y, self.w, self.h
        self.p.polys([[(x + u * w, y - v * h) for u, v in points] for points in polygons], colour)

    def pair(self, points: Sequence[Point], c: Shades) -> None:
        """A polygon given by its right half, and its mirror image."""
        self.poly([(-u, v) for u, v in points], c[0])
        self.poly(points, c[1])

    def line(self, u0: float, v0: float, u1: float, v1: float, width: float, colour: Colour) -> None:
        """A stroke, its width in units too."""
        self.p.line(self.at(u0, v0), self.at(u1, v1), max(0.8, width * self.h), colour)

    def rects(self, boxes: Iterable[tuple[float, float, float, float]], colour: Colour) -> None:
        """Many upright rectangles (left, bottom, right, top) of one colour."""
        self.polys([[(a, b), (a, d), (c, d), (c, b)] for a, b, c, d in boxes], colour)

    def box(self, u: float, v0: float, v1: float, r0: float, r1: float | None = None, c: Shades | None = None) -> None:
        """A block from v0 to v1, seen over one of its edges: half widths r0 at the foot and r1 at the top."""
        r1, t = r0 if r1 is None else r1, self.turn
        c = c or self.body
        self.poly([(u - r0, v0), (u - r1, v1), (u + r1 * t, v1), (u + r0 * t, v0)], c[0])
        self.poly([(u + r0, v0), (u + r1, v1), (u + r1 * t, v1), (u + r0 * t, v0)], c[1])

    def drum(self, u: float, v0: float, v1: float, r0: float, r1: float | None = None, c: Shades | None = None) -> None:
        """A round wall: three strips, the first of them turned to the sun."""
        r1 = r0 if r1 is None else r1
        c = c or self.body
        lit, dark, d = (*c, 1) if self.left else (c[1], c[0], -1)
        for a, b, t in ((-1, 0.05, 0.0), (0.05, 0.6, 0.5), (0.6, 1, 1.0)):
            colour = mix(lit, dark, t)
            a, b = d * a, d * b
            self.poly([(u + a * r0, v0), (u + a * r1, v1), (u + b * r1, v1), (u + b * r0, v0)], colour)

    def bulb(self, u: float, v: float, r: float, outline: Sequence[Point], c: Shades) -> None:
        """A round body from its right-hand outline in units of r: a shaded side, a lit side, a gleam."""
        lit, dark = c if self.left else (c[1], c[0])
        d = 1 if self.left else -1
        full = [(u + a * r, v + b * r) for a, b in outline]
        self.poly(full + [(2 * u - a, b) for a, b in reversed(full)], lit)
        self.poly([(u + d * a * r, v + b * r) for a, b in outline]
                  + [(u + d * a * r * 0.3, v + b * r) for a, b in reversed(outline)], dark)  # fmt: skip
        x, y = self.at(u - d * 0.38 * r, v + 0.5 * r)
        self.p.oval(x, y, 0.13 * r * self.w, 0.22 * r * self.h, mix(lit, (1, 1, 1), 0.55), 0.8)

    def ball(self, u: float, v: float, r: float, c: Shades) -> None:
        """A ball around (u, v)."""
        lit, dark, d = (*c, 1) if self.left else (c[1], c[0], -1)
        self.disc(u, v, r, lit)
        rim = [(u + d * a * r, v + b * r) for a, b in _CIRCLE]
        self.poly(rim + [(u + d * a * r * 0.3, v + b * r) for a, b in reversed(_CIRCLE)], dark)
        self.disc(u - d * 0.38 * r, v + 0.45 * r, 0.14 * r, mix(lit, (1, 1, 1), 0.55), 0.2 * r)

    def disc(self, u: float, v: float, r: float, colour: Colour, ry: float | None = None) -> None:
        """A disc or an ellipse."""
        x, y = self.at(u, v)
        self.p.oval(x, y, r * self.w, (r if ry is None else ry) * self.h, colour)

    def cone(self, u: float, v0: float, v1: float, r: float, c: Shades) -> None:
        """A pointed roof."""
        self.box(u, v0, v1, r, 0.0, c)

    def mound(self, v: float, r: float) -> None:
        """A rock that lifts a squat form above the houses."""
        self.poly([(-r * 1.5, 0), (-r * 1.22, v * 0.55), (-r, v), (0, v), (r * 0.2, 0)], self.rock[0])
        self.poly([(r * 1.5, 0), (r * 1.18, v * 0.6), (r, v), (0, v), (r * 0.2, 0)], self.rock[1])

    def bands(self, u: float, places: Iterable[float], r: Callable[[float], float], high: float, c: Shades) -> None:
        """Belts around a body whose half width at height v is r(v)."""
        for v in places:
            self.box(u, v, v + high, r(v), r(v + high), c)

    def arches(self, u: float, v: float, r: float, count: int, high: float, colour: Colour) -> None:
        """A row of arched openings between u - r and u + r."""
        k = r / count
        self.polys(
            [
                [(m - k * 0.55, v), (m - k * 0.55, v + high * 0.7), (m, v + high), (m + k * 0.55, v + high * 0.7),
                 (m + k * 0.55, v)]
                for m in (u - r + k * (2 * i + 1) for i in range(count))
            ],
            colour,
        )  # fmt: skip


def _arc(count: int, a0: float, a1: float) -> list[Point]:
    steps = [math.radians(a0 + (a1 - a0) * i / count) for i in range(count + 1)]
    return [(math.cos(t), math.sin(t)) for t in steps]


_CIRCLE = _arc(12, -90, 90)
_DOME = _arc(8, 0, 90)
_BELL = [(1, 0), (0.98, 0.35), (0.86, 0.8), (0.6, 1.15), (0.25, 1.35), (0, 1.4)]
_POINTED = [(1, 0), (1.02, 0.3), (0.9, 0.65), (0.6, 1.0), (0.2, 1.3), (0, 1.55)]
_ONION = [(0.6, -0.1), (0.95, 0.22), (1.05, 0.55), (0.85, 0.95), (0.4, 1.3), (0.12, 1.65), (0, 2.1)]


# Towers


def _lattice(q: _Pen) -> None:
    q.pair([(0.29, 0), (0.2, 0.16), (0.12, 0.38), (0.07, 0.65), (0.035, 0.94), (0, 0.94), (0, 0.25), (0.08, 0.19),
            (0.15, 0)], q.body)  # fmt: skip
    holes: list[list[Point]] = [[(0, 0.86), (0.02, 0.78), (0, 0.7), (-0.02, 0.78)]]
    for d in (-1, 1):  # the sky cannot show through a drawn shape: dark lozenges stand for the lattice
        holes += [
            [(d * a, b + k), (d * (a + c), b), (d * a, b - k), (d * (a - c), b)]
            for a, b, c, k in ((0.2, 0.07, 0.03, 0.05), (0.1, 0.32, 0.025, 0.05), (0.045, 0.55, 0.02, 0.06))
        ]
    q.polys(holes, q.glass)
    for v, r in ((0.2, 0.21), (0.44, 0.135), (0.67, 0.095), (0.9, 0.07))[: q.n]:
        q.box(0, v, v + 0.035, r, r, q.trim)


def _needle(q: _Pen) -> None:
    q.pair([(0.14, 0), (0.055, 0.4), (0.085, 0.76), (0, 0.76), (0, 0)], q.body)
    q.polys([[(-0.05, 0), (0, 0.36), (0.05, 0)]], q.glass)
    q.box(0, 0.36, 0.39, 0.09, 0.09, q.trim)
    for i in range((q.n + 1) // 2):
        v = 0.74 - 0.13 * i
        r = 0.24 - 0.05 * i
        q.poly([(-r, v + 0.03), (-r * 0.5, v - 0.02), (r * 0.5, v - 0.02), (r, v + 0.03)], q.trim[1])
        q.disc(0, v + 0.035, r, q.trim[0], 0.022)
        q.disc(0, v + 0.055, r * 0.72, q.glass, 0.024)
        q.disc(0, v + 0.072, r * 0.8, q.body[0], 0.02)
    q.cone(0, 0.82, 1, 0.03, q.trim)


def _pearls(q: _Pen) -> None:
    for d in (-1, 1):
        q.line(d * 0.2, 0, 0, 0.36, 0.04, q.body[d > 0])
    q.drum(0, 0, 0.95, 0.045, 0.02)
    for i in range(q.n):
        t = i / (q.n - 1)
        r = 0.17 - 0.1 * t
        q.ball(0, 0.3 + 0.55 * t, r, q.trim if i % 2 == 0 else q.body)
        q.disc(0, 0.3 + 0.55 * t, r * 1.04, q.glass, 0.012)


def _deco(q: _Pen) -> None:
    steps = ((0, 0.42, 0.2), (0.42, 0.64, 0.155), (0.64, 0.8, 0.11), (0.8, 0.92, 0.065))
    for v0, v1, r in steps:
        q.box(0, v0, v1, r)
        q.rects([(r * (-0.8 + 1.6 * i / q.n - 0.05), v0, r * (-0.8 + 1.6 * i / q.n + 0.05), v1 - 0.03)
                 for i in range(q.n + 1)], q.glass)  # fmt: skip
        q.box(0, v1 - 0.022, v1 + 0.006, r * 1.03, r * 1.03, q.trim)
    q.cone(0, 0.92, 1, 0.05, q.trim)


def _twisted(q: _Pen) -> None:
    count = 11
    for i in range(count):
        v0, v1 = 0.97 * i / count, 0.97 * (i + 1) / count
        a0, a1 = (math.pi * (0.08 * q.n + 0.2) * (i + k) / 5 + q.turn for k in (0, 1))
        r0, r1 = 0.165 + 0.03 * math.sin(2 * a0) - 0.03 * v0, 0.165 + 0.03 * math.sin(2 * a1) - 0.03 * v1
        s0, s1 = 0.8 * r0 * math.cos(a0), 0.8 * r1 * math.cos(a1)
        q.poly([(-r0, v0), (-r1, v1), (s1, v1), (s0, v0)], q.body[0])
        q.poly([(r0, v0), (r1, v1), (s1, v1), (s0, v0)], q.body[1])
        q.line(s0, v0, s1, v1, 0.035, q.trim[0])
        q.line(-r1, v1, r1, v1, 0.008, q.glass)
    q.box(0, 0.96, 1, 0.13, 0.13, q.trim)


def _gherkin(q: _Pen) -> None:
    def r(v: float) -> float:
        return 0.19 * math.sqrt(max(0.0, 1 - ((v - 0.36) / 0.64) ** 2)) if v > 0.36 else 0.14 + 0.05 * v / 0.36

    vs = [i / 14 for i in range(15)]
    q.pair([*((r(v), v) for v in vs), (0, 1), (0, 0)], q.body)
    stripes: list[list[Point]] = []
    for k in range(q.n):  # belts that climb around the body
        path = [(r(v) * math.sin(2.6 * v + 2 * math.pi * k / q.n + q.turn), v) for v in vs]
        for (a, b), (c, d) in pairwise(path):
            wide = 0.026 * (1 - 0.6 * d)
            stripes.append([(a - wide, b), (a + wide, b), (c + wide, d), (c - wide, d)])
    q.polys(stripes, q.trim[0])
    q.polys([[(-r(0.9), 0.9), (-r(0.96), 0.96), (0, 1), (r(0.96), 0.96), (r(0.9), 0.9)]], q.glass)


def _crown(q: _Pen) -> None:
    q.box(0, 0, 0.62, 0.13, 0.11)
    q.rects([(-0.1, 0.06 + 0.1 * i, 0.1, 0.09 + 0.1 * i) for i in range(6)], q.glass)
    q.box(0, 0.62, 0.84, 0.11, 0.21)
    q.box(0, 0.6, 0.635, 0.14, 0.14, q.trim)
    teeth = q.n + 1
    for i in range(teeth):
        m = 0.21 * (2 * (i + 0.5) / teeth - 1)
        k = 0.21 / teeth
        q.poly([(m - k, 0.84), (m, 1), (m + k, 0.84)], q.trim[m > 0.21 * q.turn])
        q.disc(m, 0.77, min(0.03, k * 0.5), q.trim[0])
    q.box(0, 0.82, 0.85, 0.215, 0.215, q.trim)


def _twins(q: _Pen) -> None:
    for u in (-0.14, 0.14):
        q.box(u, 0, 0.66, 0.09)
        q.box(u, 0.66, 0.82, 0.07, 0.06)
        q.cone(u, 0.82, 1, 0.055, q.trim)
        q.rects([(u - 0.075, v, u + 0.075, v + 0.018) for v in (0.08 * i + 0.05 for i in range(8))], q.glass)
        q.box(u, 0.65, 0.68, 0.095, 0.095, q.trim)
    for i in range(max(1, q.n - 2)):
        q.box(0, 0.5 - 0.15 * i, 0.555 - 0.15 * i, 0.07, 0.07, q.trim)


def _leaning(q: _Pen) -> None:
    tiers, lean = q.n + 3, 0.2
    lit, dark, d = (*q.body, 1) if q.left else (q.body[1], q.body[0], -1)
    for a, b, t in ((-0.14, 0.02, 0.0), (0.02, 0.09, 0.5), (0.09, 0.14, 1.0)):
        strip = [(d * a - lean / 2, 0), (d * a + lean / 2, 0.9), (d * b + lean / 2, 0.9), (d * b - lean / 2, 0)]
        q.poly(strip, mix(lit, dark, t))
    for i in range(tiers):
        v0, v1 = 0.9 * i / tiers, 0.9 * (i + 1) / tiers
        q.arches(lean * ((v0 + v1) / 1.8 - 0.5), v0, 0.13, 5, (v1 - v0) * 0.72, q.glass)
        q.box(lean * (v1 / 0.9 - 0.5), v1 - 0.022, v1 + 0.008, 0.155, 0.155, q.trim)
    q.drum(lean * 0.56, 0.9, 1, 0.095, 0.095, q.trim)


def _sail(q: _Pen) -> None:
    d = 1 if q.n % 2 else -1

    def reach(v: float) -> float:
        return 0.46 * math.sqrt(math.sin(math.pi * (1 - 0.88 * v))) * (1 - 0.3 * v) + 0.05

    mast, vs = -0.2, [i / 10 for i in range(10)]
    for k, c in ((1.0, q.body[d > 0]), (0.5, q.body[d < 0])):
        q.poly([(mast * d, 0), *((d * (mast + k * reach(v)), v) for v in vs), (mast * d, 0.97)], c)
    for i in range(q.n + 1):
        v = 0.08 + 0.66 * i / q.n
        q.line(mast * d, v + 0.12, d * (mast + reach(v)), v, 0.024, q.trim[0])
    q.box((mast - 0.01) * d, 0, 1, 0.032, 0.02, q.trim)
    q.disc((mast + reach(0.8)) * d, 0.8, 0.09, q.trim[1], 0.02)


def _lighthouse(q: _Pen) -> None:
    q.mound(0.1, 0.2)
    q.drum(0, 0.08, 0.76, 0.14, 0.085)
    for i in range(q.n):
        v = 0.08 + 0.68 * (i + 0.5) / q.n
        k = 0.34 / q.n
        q.drum(0, v, v + k, 0.14 - 0.055 * (v - 0.08) / 0.68, 0.14 - 0.055 * (v + k - 0.08) / 0.68, q.trim)
    q.box(0, 0.75, 0.785, 0.13, 0.13, q.white)
    q.box(0, 0.785, 0.88, 0.065, 0.065, ((1, 0.9, 0.45), (0.9, 0.72, 0.3)))
    q.line(0, 0.785, 0, 0.88, 0.012, q.glass)
    q.cone(0, 0.87, 1, 0.1, q.trim)


def _clock(q: _Pen) -> None:
    q.box(0, 0, 0.6, 0.12)
    q.rects([(-0.1 + 0.2 * (i + 0.3) / q.n, 0.06, -0.1 + 0.2 * (i + 0.7) / q.n, 0.54) for i in range(q.n)], q.glass)
    q.box(0, 0.56, 0.8, 0.155, 0.155)
    q.box(0, 0.54, 0.57, 0.17, 0.17, q.trim)
    q.disc(0, 0.685, 0.115, q.trim[0])
    q.disc(0, 0.685, 0.095, q.white[0])
    q.line(0, 0.685, 0, 0.755, 0.02, (0.1, 0.1, 0.12))
    q.line(0, 0.685, 0.05, 0.665, 0.02, (0.1, 0.1, 0.12))
    q.cone(0, 0.8, 1, 0.16, q.trim)


def _column(q: _Pen) -> None:
    q.box(0, 0, 0.1, 0.2)
    q.box(0, 0.1, 0.18, 0.15, 0.15, q.trim)
    q.drum(0, 0.18, 0.76, 0.095, 0.08)
    for i in range(q.n + 1):
        v = 0.2 + 0.5 * i / q.n
        q.poly([(-0.095, v), (-0.095, v + 0.035), (0.09, v + 0.075), (0.09, v + 0.04)], q.trim[0])
    q.box(0, 0.75, 0.81, 0.1, 0.15, q.trim)
    q.pair([(0.06, 0.81), (0.035, 0.93), (0, 0.94), (0, 0.81)], q.body)  # a figure, both arms raised
    q.disc(0, 0.955, 0.033, q.body[0])
    for d in (-1, 1):
        q.line(d * 0.02, 0.91, d * 0.1, 0.985, 0.022, q.body[d > 0])


def _obelisk(q: _Pen) -> None:
    q.box(0, 0, 0.09, 0.19)
    q.box(0, 0.09, 0.88, 0.12, 0.07)
    q.cone(0, 0.88, 1, 0.07, q.trim)
    for i in range(q.n):
        v = 0.24 + 0.56 * i / q.n
        q.disc(0, v, 0.2 - 0.09 * v, q.trim[1], 0.03)
        q.disc(0, v + 0.013, 0.2 - 0.09 * v, q.trim[0], 0.026)


def _totem(q: _Pen) -> None:
    k = 0.94 / q.n
    for i in range(q.n):
        v, c = k * i, (q.body, q.trim)[i % 2]
        if i == q.n - 1:
            q.pair([(0.12, v + 0.5 * k), (0.34, v + 0.85 * k), (0.31, v + 0.55 * k), (0.12, v + 0.2 * k)], q.trim)
        q.drum(0, v, v + k, 0.15, 0.15, c)
        q.rects([(-0.1, v + k * 0.16, 0.1, v + k * 0.3)], q.glass)
        for d in (-1, 1):
            q.disc(d * 0.07, v + k * 0.65, 0.045, WHITE)
            q.disc(d * 0.07, v + k * 0.65, 0.022, q.glass)
        q.poly([(-0.035, v + k * 0.35), (0, v + k * 0.62), (0.035, v + k * 0.35)], (q.trim, q.body)[i % 2][1])
    q.cone(0, 0.94, 1, 0.1, q.body)


def _spiral(q: _Pen) -> None:
    tiers = q.n + 2
    for i in range(tiers):
        v0, v1 = 0.94 * i / tiers, 0.94 * (i + 1) / tiers
        r0, r1 = 0.27 - 0.21 * v0, 0.27 - 0.21 * v1
        q.drum(0, v0, v1 + 0.02, r0 * 0.9, r1 * 0.96)
        q.poly([(-r0, v0 + 0.01), (-r0, v0 + 0.05), (r1, v1 + 0.04), (r1, v1)], q.trim[i % 2])
    q.bulb(0, 0.92, 0.06, _DOME, q.trim)


def _water(q: _Pen) -> None:
    for d in (-1, 1):
        q.line(d * 0.21, 0, d * 0.15, 0.58, 0.035, q.trim[d > 0])
        q.line(d * 0.09, 0, d * 0.07, 0.58, 0.025, q.trim[d < 0])
    for v in (0.1, 0.34):
        q.line(-0.2, v, 0.17, v + 0.22, 0.012, q.trim[0])
        q.line(0.2, v, -0.17, v + 0.22, 0.012, q.trim[1])
    q.drum(0, 0.5, 0.58, 0.09, 0.23)
    q.drum(0, 0.58, 0.84, 0.23)
    for i in range(q.n - 1):
        q.drum(0, 0.6 + 0.22 * i / (q.n - 1), 0.64 + 0.22 * i / (q.n - 1), 0.235, 0.235, q.trim)
    q.cone(0, 0.84, 1, 0.25, q.trim)


def _windmill(q: _Pen) -> None:
    q.drum(0, 0, 0.56, 0.2, 0.13)
    q.box(0, 0.2, 0.23, 0.23, 0.23, q.trim)
    q.rects([(-0.035, 0, 0.035, 0.1), (-0.03, 0.38, 0.03, 0.46)], q.glass)
    q.bulb(0, 0.56, 0.14, _DOME, q.trim)
    arms = q.n + 1
    for i in range(arms):
        t = 2 * math.pi * i / arms + 1.2 * q.turn + 0.4
        c, s = math.cos(t), math.sin(t)
        sail = [(0.08 * c, 0.08 * s), (0.37 * c, 0.37 * s), (0.37 * c - 0.08 * s, 0.37 * s + 0.08 * c),
                (0.08 * c - 0.08 * s, 0.08 * s + 0.08 * c)]  # fmt: skip
        q.poly([(a, 0.6 + b) for a, b in sail], q.trim[c < 0])
        q.line(0, 0.6, 0.38 * c, 0.6 + 0.38 * s, 0.022, q.glass)
    q.disc(0, 0.6, 0.045, q.white[0])


# Temples and domes


def _dome(q: _Pen) -> None:
    q.box(0, 0, 0.3, 0.29)
    q.arches(0, 0.04, 0.27, q.n + 3, 0.2, q.glass)
    q.box(0, 0.29, 0.33, 0.31, 0.31, q.white)
    q.drum(0, 0.33, 0.52, 0.2)
    q.arches(0, 0.35, 0.19, q.n + 2, 0.13, q.glass)
    q.box(0, 0.5, 0.53, 0.22, 0.22, q.white)
    q.bulb(0, 0.53, 0.21, _BELL, q.trim)
    q.drum(0, 0.8, 0.9, 0.05, 0.05, q.white)
    q.cone(0, 0.9, 1, 0.06, q.trim)


def _cathedral(q: _Pen) -> None:
    q.box(0, 0, 0.52, 0.2)
    q.pair([(0.2, 0.52), (0, 0.7), (0, 0.52)], q.trim)
    for u in (-0.23, 0.23):
        q.box(u, 0, 0.64, 0.09)
        q.cone(u, 0.63, 1, 0.105, q.trim)
        q.rects([(u - 0.03, 0.46, u + 0.03, 0.58), (u - 0.03, 0.26, u + 0.03, 0.38)], q.glass)
    q.disc(0, 0.4, 0.105, q.trim[0])
    q.disc(0, 0.4, 0.085, q.glass)
    for i in range(q.n + 2):
        t = math.pi * i / (q.n + 2)
        c, s = 0.08 * math.cos(t), 0.08 * math.sin(t)
        q.line(-c, 0.4 - s, c, 0.4 + s, 0.012, q.white[0])
    q.arches(0, 0, 0.18, 3, 0.22, q.glass)


def _mosque(q: _Pen) -> None:
    places = (-0.34, 0.34, -0.24, 0.24)[: 4 if q.n >= 4 else 2]
    for u in places:
        v = 0.98 if abs(u) > 0.3 else 0.82
        q.box(u, 0, v - 0.14, 0.034, 0.03)
        q.cone(u, v - 0.15, v, 0.045, q.trim)
    q.rects([(u - 0.055, 0.64, u + 0.055, 0.68) for u in places[:2]], q.trim[0])
    q.box(0, 0, 0.32, 0.27)
    q.arches(0, 0.02, 0.25, q.n + 2, 0.22, q.glass)
    for d in (-1, 1):
        q.bulb(d * 0.17, 0.32, 0.09, _DOME, q.trim)
    q.drum(0, 0.32, 0.42, 0.18)
    q.bulb(0, 0.42, 0.2, _POINTED, q.trim)
    q.line(0, 0.72, 0, 0.84, 0.02, q.trim[0])


def _onion(q: _Pen) -> None:
    order = sorted(range(q.n), key=lambda i: -abs(2 * i / (q.n - 1) - 1))  # the middle stands in front
    for i in order:
        side = 2 * i / (q.n - 1) - 1
        u, top, r = 0.25 * side, 0.62 - 0.2 * abs(side) + 0.05 * (i % 2), 0.125 - 0.035 * abs(side)
        if q.n == 2:
            u, top, r = 0.15 * side, 0.56 + 0.06 * side, 0.13
        q.box(u, 0, top, r * 0.8)
        q.rects([(u - r * 0.16, top - 0.2, u + r * 0.16, top - 0.06)], q.glass)
        q.rects([(u - r * 0.92, top - 0.03, u + r * 0.92, top)], q.white[0])
        q.bulb(u, top + 0.01, r, _ONION, q.trim if i % 2 == 0 else q.body)
        q.line(u - r * 0.9, top + 0.05 + r * 0.2, u + r * 0.9, top + 0.05 + r * 0.7, 0.02, q.white[0])
        q.line(u, top + r * 2, u, top + r * 2.7, 0.014, q.trim[0])


def _stupa(q: _Pen) -> None:
    for i in range(3):
        q.box(0, 0.07 * i, 0.07 * i + 0.075, 0.34 - 0.04 * i, 0.34 - 0.04 * i, (q.body, q.white, q.body)[i])
    q.bulb(0, 0.21, 0.24, _BELL, q.body)
    q.box(0, 0.24, 0.28, 0.245, 0.245, q.trim)
    q.box(0, 0.53, 0.62, 0.085, 0.085, q.trim)
    for i in range(q.n + 2):
        t = i / (q.n + 2)
        q.box(0, 0.62 + 0.3 * t, 0.62 + 0.3 * t + 0.22 / (q.n + 2), 0.085 - 0.06 * t, None, (q.trim, q.body)[i % 2])
    q.cone(0, 0.9, 1, 0.03, q.trim)
    q.arches(0, 0.3, 0.06, 1, 0.16, q.glass)


def _pagoda(q: _Pen) -> None:
    tiers = q.n + 1
    k = 0.88 / tiers
    for i in range(tiers):
        r, v = 0.19 - 0.1 * i / tiers, k * i
        q.box(0, v, v + k * 0.62, r)
        q.arches(0, v + 0.01, r * 0.9, 3, k * 0.4, q.glass)
        eave = r * 1.65
        q.pair([(eave, v + k * 0.72), (eave * 0.96, v + k * 0.58), (0, v + k * 0.52), (0, v + k), (r * 0.7, v + k)],
               q.trim)  # fmt: skip
    q.line(0, 0.86, 0, 1, 0.025, q.trim[0])
    for i in range(3):
        q.line(-0.03, 0.9 + 0.03 * i, 0.03, 0.9 + 0.03 * i, 0.012, q.trim[1])


def _temple(q: _Pen) -> None:
    q.mound(0.24, 0.32)
    for i in range(3):
        q.box(0, 0.24 + 0.03 * i, 0.27 + 0.03 * i, 0.36 - 0.02 * i)
    q.rects([(-0.29, 0.33, 0.29, 0.66)], q.glass)
    columns = q.n + 2
    for i in range(columns):
        q.box(-0.27 + 0.54 * i / (columns - 1), 0.33, 0.66, 0.034, 0.029, q.body)
    q.box(0, 0.65, 0.72, 0.33, 0.33, q.body)
    q.pair([(0.35, 0.72), (0, 0.95), (0, 0.72)], q.trim)
    q.polys([[(-0.22, 0.745), (0, 0.88), (0.22, 0.745)]], q.body[1])
    q.disc(0, 0.79, 0.04, q.trim[0])


def _ziggurat(q: _Pen) -> None:
    tiers = q.n + 1
    k = 0.84 / tiers
    for i in range(tiers):
        r = 0.37 - 0.25 * i / tiers
        q.box(0, k * i, k * (i + 1), r, r - 0.02)
        q.box(0, k * (i + 1) - 0.03, k * (i + 1), r, r, q.trim)
    q.poly([(-0.1, 0), (-0.05, 0.84), (0.05, 0.84), (0.1, 0)], q.white[0])
    q.rects([(-0.1, v, 0.1, v + 0.012) for v in (0.07 * i for i in range(1, 6))], q.white[1])
    q.box(0, 0.84, 0.96, 0.1, 0.1)
    q.rects([(-0.03, 0.84, 0.03, 0.92)], q.glass)
    q.box(0, 0.95, 1, 0.13, 0.11, q.trim)


def _lotus(q: _Pen) -> None:
    q.mound(0.16, 0.26)
    q.disc(0, 0.19, 0.36, q.trim[1], 0.045)
    q.disc(0, 0.2, 0.36, q.trim[0], 0.035)
    for d in (-1, 1):
        _petal(q, d * 0.12, d * 0.3, 0.13, 0.42, q.trim)
        _petal(q, d * 0.1, d * 0.16, 0.14, 0.66, q.body)
    _petal(q, 0, 0, 0.17, 0.8, q.trim)
    for i in range(q.n):
        u = 0.19 * (2 * i / (q.n - 1) - 1)
        _petal(q, u, 0.6 * u, 0.11, 0.36 if i % 2 else 0.46, q.body)


def _petal(q: _Pen, u: float, lean: float, r: float, high: float, c: Shades) -> None:
    """A pointed leaf of concrete, folded along its middle."""
    for d in (-1, 1):
        edge = [(u + lean * t * t + d * r * math.sin(math.pi * t**0.75), 0.2 + high * t)
                for t in (0.0, 0.15, 0.35, 0.55, 0.75, 0.9, 1.0)]  # fmt: skip
        q.poly([*edge, (u + lean * 0.3, 0.2 + high * 0.55)], c[d > 0])


# Monuments


def _pyramid(q: _Pen) -> None:
    ridge = 0.24 * q.turn
    q.poly([(-0.4, 0), (0, 0.94), (ridge, 0)], q.body[0])
    q.poly([(0.4, 0), (0, 0.94), (ridge, 0)], q.body[1])
    for i in range(1, q.n + 2):
        v = 0.94 * i / (q.n + 2)
        r = 0.4 * (1 - v / 0.94)
        q.line(-r, v, r, v, 0.012, q.white[0])
    for a in (-0.27, -0.13, 0.13, 0.27):
        q.line(a, 0, 0, 0.94, 0.009, q.white[0])
    v = 0.7
    r = 0.4 * (1 - v / 0.94)
    q.poly([(-r, v), (0, 0.94), (ridge * 0.25, v)], q.trim[0])
    q.poly([(r, v), (0, 0.94), (ridge * 0.25, v)], q.trim[1])
    q.box(0, 0, 0.06, 0.43, 0.41, q.trim)


def _arch(q: _Pen) -> None:
    outer = [(0.33 * math.cos(math.radians(5 * i)), 0.97 * math.sin(math.radians(5 * i)) ** 0.85) for i in range(19)]
    inner = [(0.21 * a / 0.33, b * 0.84) for a, b in outer]
    q.pair([*outer, *reversed(inner)], q.body)
    for i in range(q.n):
        k = 3 + round(12 * i / (q.n - 1))
        q.pair([outer[k], outer[k + 1], outer[k + 2], inner[k + 2], inner[k + 1], inner[k]], q.trim)


def _triumph(q: _Pen) -> None:
    hole = [(0.13 * a, 0.42 + 0.13 * b) for a, b in _DOME]
    q.pair([(0.3, 0), (0.3, 0.72), (0, 0.72), *reversed(hole), (0.13, 0)], q.body)
    q.pair([(0.15 * a, 0.42 + 0.15 * b) for a, b in _DOME] + list(reversed(hole)), q.trim)
    for d in (-1, 1):
        q.rects([(d * 0.215 - 0.045, 0.1, d * 0.215 + 0.045, 0.4)], q.body[d < 0])
        q.disc(d * 0.215, 0.5, 0.045, q.trim[d > 0])
    q.box(0, 0.6, 0.64, 0.32, 0.32, q.trim)
    q.box(0, 0.72, 0.88, 0.27)
    q.box(0, 0.7, 0.735, 0.33, 0.33, q.white)
    q.box(0, 0.87, 0.9, 0.29, 0.29, q.trim)
    q.arches(0, 0.745, 0.24, q.n + 1, 0.11, q.glass)
    for i in range(q.n):  # figures on the attic
        u = 0.2 * (2 * i / (q.n - 1) - 1)
        q.cone(u, 0.9, 0.985, 0.03, q.body)
        q.disc(u, 0.985, 0.018, q.body[0])


def _gate(q: _Pen) -> None:
    for u in (-0.22, 0.22):
        q.drum(u, 0, 0.8, 0.055, 0.042)
        q.drum(u, 0, 0.08, 0.068, 0.066, q.trim)
    for i in range(q.n - 1):
        q.box(0, 0.6 - 0.15 * i, 0.655 - 0.15 * i, 0.31, 0.31)
    q.box(0, 0.64, 0.8, 0.05, 0.05, q.trim)
    q.box(0, 0.79, 0.85, 0.32, 0.34)
    q.pair([(0.37, 0.93), (0.4, 1), (0.2, 0.94), (0, 0.92), (0, 0.84), (0.2, 0.85), (0.36, 0.88)], q.trim)


def _statue(q: _Pen) -> None:
    q.box(0, 0, 0.24, 0.2, 0.17, q.trim)
    q.box(0, 0.22, 0.26, 0.21, 0.21, q.white)
    q.pair([(0.15, 0.26), (0.12, 0.5), (0.1, 0.72), (0.05, 0.78), (0, 0.78), (0, 0.26)], q.body)
    q.polys([[(a, 0.26), (a * 0.6, 0.62), (a * 0.6 + 0.012, 0.62), (a + 0.03, 0.26)] for a in (-0.1, -0.03, 0.06)],
            q.body[1 if q.left else 0])  # fmt: skip
    q.box(0, 0.5, 0.535, 0.115, 0.115, q.trim)
    if q.n % 2:  # arms spread
        for d in (-1, 1):
            sleeve = [(0.07, 0.76), (0.34, 0.74), (0.34, 0.7), (0.2, 0.62), (0.09, 0.6)]
            q.poly([(d * a, b) for a, b in sleeve], q.body[d > 0])
    else:  # a torch raised, a book held
        q.line(0.08, 0.73, 0.19, 0.93, 0.055, q.body[1])
        q.disc(0.21, 0.98, 0.05, (1, 0.8, 0.25))
        q.poly([(0.15, 0.93), (0.27, 0.94), (0.22, 0.88)], q.trim[0])
        q.line(-0.09, 0.72, -0.17, 0.6, 0.055, q.body[0])
        q.rects([(-0.24, 0.55, -0.14, 0.68)], q.trim[0])
    q.ball(0, 0.84, 0.062, q.body)
    for i in range(q.n):
        t = math.pi * (0.15 + 0.7 * i / (q.n - 1))
        c, s = math.cos(t), math.sin(t)
        q.line(0.05 * c, 0.87 + 0.04 * s, 0.11 * c, 0.87 + 0.1 * s, 0.02, q.trim[0])


def _sphere(q: _Pen) -> None:
    q.box(0, 0, 0.44, 0.17, 0.07, q.trim)
    q.ball(0, 0.68, 0.29, q.body)
    for i in range(q.n):
        b = 0.85 * (2 * (i + 0.5) / q.n - 1)
        q.disc(0, 0.68 + 0.29 * b, 0.29 * math.sqrt(1 - b * b), q.trim[1], 0.022)
        q.disc(0, 0.685 + 0.29 * b, 0.29 * math.sqrt(1 - b * b), q.trim[0], 0.016)
    x, y = q.at(0, 0.68)
    stroke = q.p.outline(q.trim[0], 1.4)
    for k in (0.35, 0.75):
        a = 0.29 * k * q.w
        q.p.canvas.drawOval(skia.Rect.MakeLTRB(x - a, y - 0.29 * q.h, x + a, y + 0.29 * q.h), stroke)


def _cube(q: _Pen) -> None:
    q.box(0, 0, 0.26, 0.15, 0.1, q.trim)
    s = 0.3 * q.turn
    q.poly([(-0.32, 0.34), (-0.32, 0.76), (s, 0.66), (s, 0.22)], q.body[0])
    q.poly([(0.32, 0.34), (0.32, 0.76), (s, 0.66), (s, 0.22)], q.body[1])
    q.poly([(-0.32, 0.76), (-s, 0.9), (0.32, 0.76), (s, 0.66)], mix(q.trim[0], q.trim[1], 0.2))
    for i in range(1, q.n + 1):
        t = i / (q.n + 1)
        q.line(-0.32, 0.34 + 0.42 * t, s, 0.22 + 0.44 * t, 0.012, q.trim[0])
        q.line(0.32, 0.34 + 0.42 * t, s, 0.22 + 0.44 * t, 0.012, q.trim[0])
        for e in (-0.32, 0.32):
            q.line(e + (s - e) * t, 0.34 - 0.12 * t, e + (s - e) * t, 0.76 - 0.1 * t, 0.012, q.trim[0])


def _ring(q: _Pen) -> None:
    outer = [(0.37 * a, 0.56 + 0.37 * b) for a, b in _CIRCLE]
    inner = [(0.2 * a, 0.58 + 0.2 * b) for a, b in _CIRCLE]
    q.box(0, 0, 0.24, 0.2, 0.13, q.trim)
    q.pair([*outer, *reversed(inner)], q.body)
    q.pair([(0.23 * a, 0.575 + 0.23 * b) for a, b in _CIRCLE] + list(reversed(inner)), q.trim)
    for i in range(2 * q.n):
        t = math.pi * (i + 0.5) / q.n
        q.disc(0.3 * math.cos(t), 0.565 + 0.3 * math.sin(t), 0.034, q.trim[0])


def _castle(q: _Pen) -> None:
    q.mound(0.3, 0.3)
    q.box(0, 0.28, 0.56, 0.29)
    q.rects([(-0.28 + 0.08 * i, 0.56, -0.24 + 0.08 * i, 0.6) for i in range(8)], q.body[0])
    q.arches(0, 0.28, 0.08, 1, 0.17, q.glass)
    for i in range(q.n):
        side = 2 * i / (q.n - 1) - 1
        u, top = 0.28 * side, 0.66 + 0.16 * (1 - abs(side)) + 0.04 * (i % 2)
        q.drum(u, 0.28, top, 0.075)
        q.rects([(u - 0.015, top - 0.12, u + 0.015, top - 0.04)], q.glass)
        q.cone(u, top, min(1.0, top + 0.2), 0.1, q.trim)


# Modern shapes


def _wheel(q: _Pen) -> None:
    r, v = 0.41, 0.56
    x, y = q.at(0, v)
    for d in (-1, 1):
        q.line(d * 0.24, 0, 0, v, 0.045, q.body[d > 0])
    q.box(0, 0, 0.05, 0.3, 0.3, q.body)
    q.p.canvas.drawCircle(x, y, r * q.h, q.p.outline(q.trim[0], 4.5))
    q.p.canvas.drawCircle(x, y, r * 0.8 * q.h, q.p.outline(q.trim[1], 1.6))
    count = 4 + 2 * q.n
    for i in range(count):
        t = 2 * math.pi * i / count + q.turn
        tip = (x + r * q.h * math.cos(t), y + r * q.h * math.sin(t))
        q.p.line((x, y), tip, 1.0, q.trim[0])
        q.p.disc(tip[0], tip[1] + 2, 5.2, q.body[i % 2])
    q.p.disc(x, y, 6, q.body[0])
    q.p.disc(x, y, 3, q.trim[0])


def _bridge(q: _Pen) -> None:
    reach = 0.95
    for i in range(q.n + 2):
        t = (i + 1) / (q.n + 2)
        for d in (-1, 1):
            q.line(0, 0.55 + 0.38 * t, d * reach * t, 0.25, 0.014, q.trim[0])
    q.pair([(0.25, 0), (0.17, 0), (0.11, 0.24), (0, 0.66), (0, 1), (0.04, 1), (0.06, 0.6), (0.2, 0.24)], q.body)
    q.rects([(-reach - 0.2, 0.2, reach + 0.2, 0.255)], q.body[0])
    q.rects([(-reach - 0.2, 0.185, reach + 0.2, 0.21)], q.trim[1])
    q.box(0, 0.62, 0.66, 0.07, 0.065, q.trim)
    q.box(0, 0.95, 1, 0.05, 0.05, q.trim)


def _shells(q: _Pen) -> None:
    q.mound(0.14, 0.3)
    q.box(0, 0.14, 0.24, 0.4, 0.37, q.trim)
    q.rects([(-0.37 + 0.1 * i, 0.16, -0.3 + 0.1 * i, 0.2) for i in range(8)], q.glass)
    _shell(q, -0.24, 0.14, 0.4, -1)
    for i in reversed(range(q.n)):  # each stands in the mouth of the one behind it
        k = i / (q.n - 1)
        _shell(q, -0.1 + 0.32 * k, 0.19 - 0.07 * k, 0.74 - 0.4 * k, 1)


def _shell(q: _Pen, u: float, r: float, high: float, d: int) -> None:
    """A vault that opens to the side d: its round back in two tones, the rim of its mouth."""
    steps = [i / 6 for i in range(7)]
    back = [(u + d * r * (2.0 * t**1.5 - 1), 0.24 + high * math.sin(math.pi / 2 * t)) for t in steps]
    rim = [(u + d * r * (1 - 1.5 * t + 0.8 * t * t), 0.24 + high * (1 - t)) for t in steps]
    fold = [(u + d * r * (1 - 3 * t + 1.5 * t * t), 0.24 + high * (1 - t)) for t in steps]
    q.poly([*back, *rim], q.body[0 if q.left else 1])
    q.poly([*back, *fold], q.body[1 if q.left else 0])
    q.polys([[*rim, *((a - d * 0.022, b - 0.03) for a, b in reversed(rim))]], q.trim[0])


def _tree(q: _Pen) -> None:
    q.drum(0, 0, 0.5, 0.1, 0.055)
    for i in range(5):
        u = 0.3 * (2 * i / 4 - 1)
        q.line(u * 0.12, 0.42, u, 0.82, 0.028, q.body[u > 0])
    for i in range(q.n):
        u = 0.21 * (2 * i / (q.n - 1) - 1)
        q.ball(u, 0.8 + 0.05 * (1 - abs(u) / 0.21), 0.13, q.trim)
    q.disc(0, 0.7, 0.2, q.body[1], 0.025)
    q.disc(0, 0.71, 0.2, q.trim[0], 0.02)
    q.box(0, 0.14, 0.18, 0.1, 0.1, q.trim)


# What may stand on the tip


def _no_top(q: _Pen, v: float) -> None:
    pass


def _ball_top(q: _Pen, v: float) -> None:
    q.ball(0, v + 0.04, 0.055, q.trim)


def _spike_top(q: _Pen, v: float) -> None:
    q.cone(0, v - 0.02, v + 0.14, 0.024, q.white)


def _flag_top(q: _Pen, v: float) -> None:
    q.line(0, v - 0.02, 0, v + 0.12, 0.014, q.white[0])
    q.poly([(0, v + 0.12), (0.13, v + 0.09), (0, v + 0.05)], q.trim[0])


def _cross_top(q: _Pen, v: float) -> None:
    q.line(0, v - 0.02, 0, v + 0.12, 0.022, q.trim[0])
    q.line(-0.045, v + 0.075, 0.045, v + 0.075, 0.022, q.trim[0])


def _crown_top(q: _Pen, v: float) -> None:
    for d in (-1, 1):
        q.poly([(0, v), (d * 0.07, v), (d * 0.085, v + 0.1), (d * 0.035, v + 0.05), (0, v + 0.11)], q.trim[d > 0])


_TOPS: dict[str, Callable[[_Pen, float], None]] = {
    "none": _no_top, "ball": _ball_top, "spike": _spike_top, "flag": _flag_top, "cross": _cross_top,
    "crown": _crown_top,
}  # fmt: skip

_FORMS: dict[str, Form] = {
    "lattice": Form(_lattice, 0.29, 0.93),
    "needle": Form(_needle, 0.24),
    "pearls": Form(_pearls, 0.2, 0.94),
    "deco": Form(_deco, 0.2, 0.98),
    "twisted": Form(_twisted, 0.19, 0.99),
    "gherkin": Form(_gherkin, 0.19, 0.98),
    "crown": Form(_crown, 0.21),
    "twins": Form(_twins, 0.23),
    "leaning": Form(_leaning, 0.25),
    "sail": Form(_sail, 0.26),
    "lighthouse": Form(_lighthouse, 0.2, 0.98),
    "clock": Form(_clock, 0.17, 0.98),
    "column": Form(_column, 0.2),
    "obelisk": Form(_obelisk, 0.2, 0.98),
    "totem": Form(_totem, 0.34),
    "spiral": Form(_spiral, 0.28, 0.97),
    "water": Form(_water, 0.25, 0.98),
    "windmill": Form(_windmill, 0.37),
    "dome": Form(_dome, 0.31, 0.98),
    "cathedral": Form(_cathedral, 0.33),
    "mosque": Form(_mosque, 0.37),
    "onion": Form(_onion, 0.34),
    "stupa": Form(_stupa, 0.34, 0.98),
    "pagoda": Form(_pagoda, 0.31),
    "temple": Form(_temple, 0.36, 0.93),
    "ziggurat": Form(_ziggurat, 0.37, 0.99),
    "lotus": Form(_lotus, 0.4),
    "pyramid": Form(_pyramid, 0.43, 0.92),
    "arch": Form(_arch, 0.33, 0.96),
    "triumph": Form(_triumph, 0.33),
    "gate": Form(_gate, 0.4),
    "statue": Form(_statue, 0.34),
    "sphere": Form(_sphere, 0.29, 0.96),
    "cube": Form(_cube, 0.32),
    "ring": Form(_ring, 0.37, 0.92),
    "castle": Form(_castle, 0.38),
    "wheel": Form(_wheel, 0.41),
    "bridge": Form(_bridge, 0.3, 0.99),
    "shells": Form(_shells, 0.38),
    "tree": Form(_tree, 0.32),
}
