"""Sky, far relief, the plain, the sea and the weather: everything that the road runs through."""

from __future__ import annotations

import math
import random

import skia

from postcards import fields, plants
from postcards.brush import SIZE, Colour, Painter, Point, ground_colour, hex_colour, mix, scale, tint, vegetation_colour

_FLAT = skia.Paint()  # without anti-aliasing: the bands of a gradient must meet without a seam
_SNOW: Colour = (0.93, 0.95, 0.985)
_ARID_AMERICA = {"US", "MX"}
_VOLCANOES = {
    "JP",
    "ID",
    "GT",
    "SV",
    "NI",
    "CR",
    "EC",
    "IS",
    "PH",
    "CL",
    "NZ",
    "MX",
    "PE",
    "BO",
    "TZ",
    "CO",
    "RE",
    "VU",
}
_KARST = {"VN", "LA", "TH", "MM"}


def _bands(p: Painter, y0: float, y1: float, stops: list[Colour]) -> None:
    """A vertical gradient over the whole picture, as thin level bands: a tenth of what a shader costs."""
    canvas = p.canvas
    canvas.save()
    canvas.resetMatrix()
    top, bottom = (SIZE / 2 + (y - SIZE / 2) * 1.05 for y in (y0, y1))
    y, step, last = max(0.0, top), 2.0 if bottom - top < 60 else 3.0, len(stops) - 1
    while y < min(SIZE, bottom):
        t = (y + step / 2 - top) / (bottom - top) * last
        i = min(last - 1, max(0, int(t)))
        colour = mix(stops[i], stops[i + 1], t - i)
        _FLAT.setColor4f(skia.Color4f(*colour, 1))
        canvas.drawRect(skia.Rect.MakeLTRB(0, round(y), SIZE, round(min(bottom, y + step))), _FLAT)
        y += step
    canvas.restore()


def sky(p: Painter) -> None:
    """Gradient, sun or moon and stars, clouds, birds."""
    s, rng = p.scene, p.scene.rng("sky")
    middle = mix(p.zenith, p.haze, 0.42)
    _bands(
        p, -8, p.horizon + 10, [p.zenith, mix(p.zenith, middle, 0.7), middle, mix(middle, p.haze, 0.65), p.haze, p.haze]
    )
    if s.night:
        for _ in range(26 if s.weather in {"clear", "haze"} else 0):
            p.disc(rng.uniform(0, SIZE), rng.uniform(0, p.horizon), rng.uniform(0.4, 1.0), (1, 1, 0.92), 0.7)
        p.disc(rng.uniform(30, 226), rng.uniform(18, 70), 8, (0.95, 0.94, 0.85), 0.9 if s.weather == "clear" else 0.2)
        return
    if "light" not in p.hide:
        if s.weather in {"clear", "cloudy", "haze"}:
            p.show("light")
        if abs(s.sun_side) < 40 and p.grey < 0.6:
            _sun(p)
    if s.weather in {"overcast", "rain", "snowfall"}:
        _deck(p, rng)
        return
    high = rng.random()
    if s.weather in {"clear", "cloudy"} and high < 0.4:
        _cirrus(p, rng)
    count = {"cloudy": rng.randint(3, 6), "clear": rng.randint(0, 2), "haze": 1}.get(s.weather, 0)
    towers = s.biome in {"rainforest", "savanna"} and s.weather == "cloudy"
    for i in range(count):
        y = 10 + (p.horizon - 34) * ((i + rng.random()) / max(1, count)) ** 0.8
        cloud(
            p,
            rng.uniform(-10, SIZE + 10),
            y,
            rng.uniform(0.6, 1.35) * (1.25 if towers else 1),
            rng,
            towers and i % 2 == 1,
        )
    if rng.random() < 0.1:
        _birds(p, rng)


def _sun(p: Painter) -> None:
    s = p.scene
    x = p.axis + math.tan(math.radians(s.sun_side)) * p.focal
    y = p.horizon - math.tan(math.radians(min(60, s.sun_height))) * p.focal
    if not (-60 < x < SIZE + 60 and y > -60):
        return
    warm = mix((1, 0.98, 0.88), (1, 0.8, 0.45), p.low)
    glow = skia.Paint()
    colours = [skia.Color4f(*warm, a).toColor() for a in (0.85, 0.4, 0.14, 0.0)]
    r = 52 + 34 * p.low
    glow.setShader(skia.GradientShader.MakeRadial(skia.Point(x, y), r, colours, [0.0, 0.2, 0.5, 1.0]))
    p.canvas.drawCircle(x, y, r, glow)
    p.disc(x, y, 8.5, (1, 0.99, 0.92), 1.0)


def _deck(p: Painter, rng: random.Random) -> None:
    """A grey ceiling of stratus, in long soft rolls."""
    for k, alpha in ((0.86, 0.5), (0.93, 0.5), (1.05, 0.5)):
        path = skia.Path()
        for _ in range(4):
            x, y, w = rng.uniform(0, SIZE), rng.uniform(-4, p.horizon - 18), rng.uniform(40, 100)
            h = rng.uniform(3, 9) * (0.5 + 0.8 * (1 - y / p.horizon))
            path.addOval(skia.Rect.MakeLTRB(x - w, y - h, x + w, y + h))
        p.canvas.drawPath(path, p.paint(scale(p.haze, k), alpha, 3.0))


def _cirrus(p: Painter, rng: random.Random) -> None:
    """High streaks of ice, combed one way."""
    lean = rng.uniform(-0.3, 0.3)
    streaks: list[list[Point]] = []
    for _ in range(9):
        x, y, w = rng.uniform(-30, SIZE), rng.uniform(4, p.horizon * 0.6), rng.uniform(40, 110)
        h = rng.uniform(0.8, 2.2)
        streaks.append(
            [
                (x, y),
                (x + w * 0.35, y - h + lean * w * 0.3),
                (x + w, y + lean * w),
                (x + w * 0.4, y + h + lean * w * 0.4),
            ]
        )
    p.polys(streaks, mix((1, 1, 1), (1, 0.8, 0.66), p.low), 0.38)


def _birds(p: Painter, rng: random.Random) -> None:
    x, y = rng.uniform(40, 210), rng.uniform(24, p.horizon * 0.55)
    wings: list[list[Point]] = []
    for i in range(rng.randint(3, 7)):
        bx, by, w = x + 7 * i + rng.uniform(-2, 2), y + 3 * abs(i - 2) + rng.uniform(-1, 1), rng.uniform(2.4, 3.6)
        wings += [[(bx, by), (bx + d * w, by - w * 0.55), (bx + d * w * 0.5, by - w * 0.1)] for d in (-1, 1)]
    p.polys(wings, scale(p.zenith, 0.35), 0.85)


def cloud(p: Painter, x: float, y: float, size: float, rng: random.Random, tower: bool = False) -> None:
    """A cumulus: a flat grey base and a heap above it, lit from the sun's side; in the wet tropics it towers."""
    near = max(0.3, 1 - y / p.horizon)
    white, shade = mix((1, 1, 1), (1, 0.84, 0.68), p.low), mix(p.haze, (0.56, 0.62, 0.74), 0.55)
    width = 40 * size * (0.45 + near)
    d = 1 if p.sun_x >= 0 else -1
    heaps = [((i + 0.5) / 8 - 0.5, rng.uniform(0.7, 1.3)) for i in range(8)]
    tones = ((shade, 0.0, 1.0, 0.9), (mix(shade, white, 0.65), 0.14, 0.92, 0.95), (white, 0.3, 0.72, 1.0))
    for colour, lift, shrink, alpha in tones:
        path = skia.Path()
        for t, swell in heaps:
            r = width * (0.27 - 0.75 * t * t) * swell * shrink
            cx, cy = x + t * width * 1.8 + lift * 0.3 * r * d, y - r * (0.4 + lift)
            path.addOval(skia.Rect.MakeLTRB(cx - r, cy - r * 0.62, cx + r, cy + r * 0.62))
            if tower and abs(t) < 0.3:
                for j in (1, 2):
                    q = r * (1.0 - 0.2 * j)
                    ty = cy - r * 0.75 * j
                    path.addOval(
                        skia.Rect.MakeLTRB(cx * 0.7 + x * 0.3 - q, ty - q * 0.8, cx * 0.7 + x * 0.3 + q, ty + q * 0.7)
                    )
        p.canvas.drawPath(path, p.paint(colour, alpha, 1.5))


# --- relief -------------------------------------------------------------------------------------


def relief(p: Painter) -> None:
    """Far hills or mountains, higher with the real relief of the place, in the forms of that part of the world."""
    s, rng = p.scene, p.scene.rng("relief")
    height = s.relief * rng.uniform(0.8, 1.15)
    if not _hilly(p):
        height = 0.0
    form = relief_form(p, rng.random())
    salts = [rng.random() for _ in range(4)]
    if height > 0:
        _FORMS[form](p, height, random.Random(salts[0]))
        p.show("relief", SIZE / 2, p.horizon - 12, 12)
        p.tell("relief", form, SIZE / 2, p.horizon - 12, 12)
    if s.sea_side == 2 and not height:
        return  # an open horizon
    _ridge(p, 7 + 24 * height, 0.72, random.Random(salts[1]))
    _ridge(p, 4 + 11 * height, 0.5, random.Random(salts[2]))
    if "vegetation" not in p.hide:
        plants.treeline(p)


def _hilly(p: Painter) -> bool:
    """Is there relief to see?"""
    s = p.scene
    return s.relief > 0.15 and "relief" not in p.hide and not s.night and s.weather != "fog"


def relief_form(p: Painter, chance: float) -> str:
    """How mountains look here: table mountains, volcanoes, karst towers, dunes, peaks or rounded hills."""
    s = p.scene
    iso = s.country.iso
    if iso in _ARID_AMERICA and s.arid > 0.45 and s.lon < -100:
        return "mesa"
    if (s.biome == "desert" and s.country.region in {"nafrica", "gulf"} and s.relief < 0.5) or (
        iso == "NA" and s.arid > 0.7
    ):
        return "dunes"
    if s.arid < 0.45 and (iso in _KARST or (iso == "CN" and s.lat < 27 and s.lon > 103)):
        return "karst"
    if iso in _VOLCANOES and chance < 0.55 and not (iso == "MX" and s.lat > 21.5):
        return "volcano"
    return "peaks" if s.relief > 0.42 else "hills"


def _air(p: Painter, colour: Colour, far: float) -> Colour:
    """A colour seen through `far` (0..1) of the air before the horizon."""
    blue = mix(p.haze, p.zenith, 0.3) if p.grey < 0.5 else p.haze
    return mix(tint(colour, p.light), blue, min(0.95, far + (0.3 if p.sight < 250 else 0)))


def _rock(p: Painter) -> Colour:
    s = p.scene
    rock = mix(vegetation_colour(p), (0.5, 0.45, 0.43), 0.55)
    if s.arid > 0.55 and _hilly(p):
        rock = mix(rock, scale(s.ground, 1.1), 0.6)
    return rock


def _snow_on(p: Painter) -> float:
    """How much snow lies: 0 where it is hidden, or too thin to see."""
    return 0.0 if "snow" in p.hide or p.scene.snow <= 0.2 else p.scene.snow


def _blue_snow(p: Painter) -> Colour:
    """Snow is lit by the blue sky as much as by a low warm sun."""
    return mix(_SNOW, (0.82, 0.93, 1.16), p.low * (1 - p.grey))


def _ridge(p: Painter, base: float, far: float, rng: random.Random) -> None:
    """One rounded ridge, paler the farther."""
    xs = range(-12, SIZE + 13, 8)
    waves = [(rng.uniform(0, 6.28), (1.4 + 1.9 * i) * rng.uniform(0.8, 1.2) * 0.0117, 0.55**i) for i in range(4)]
    line = [
        (float(x), p.horizon + 2 - base * max(0.12, 0.6 + 0.3 * sum(a * math.sin(3 * x * f + q) for q, f, a in waves)))
        for x in xs
    ]
    colour = _rock(p) if p.scene.arid > 0.55 else mix(vegetation_colour(p), (0.42, 0.45, 0.4), 0.3)
    colour = mix(colour, _SNOW, 0.8 * min(1.0, 1.3 * _snow_on(p)))
    p.poly([(-12, p.horizon + 3), *line, (SIZE + 12, p.horizon + 3)], _air(p, colour, far))


def _hills(p: Painter, height: float, rng: random.Random) -> None:
    """Rounded hills one behind the other, each with a lit flank."""
    d = 1 if p.sun_x >= 0 else -1
    green = mix(mix(vegetation_colour(p), _rock(p), 0.45), _SNOW, 0.8 * _snow_on(p))
    for layer, far in ((0, 0.74), (1, 0.6)):
        flanks: list[list[Point]] = []
        lit: list[list[Point]] = []
        for i in range(4):
            x, w = -10 + 92 * (i + rng.random() * 0.8), rng.uniform(70, 110)
            h = (14 + 78 * height) * rng.uniform(0.65, 1.1) * (1.0 - 0.35 * layer)
            arc = [(x + w * t, p.horizon + 2 - h * (1 - t * t) ** 1.25) for t in (k / 8 - 1 for k in range(17))]
            flanks.append(arc)
            crest, foot = arc[8], (x + d * w * 0.15, p.horizon + 2)
            lit.append([crest, *(arc[9:] if d > 0 else arc[:8][::-1]), foot, (x + d * w * 0.22, crest[1] + h * 0.35)])
        p.polys(flanks, _air(p, scale(green, 0.86), far))
        if p.shadow > 0:
            p.polys(lit, _air(p, scale(green, 1.22), far))


def _peaks(p: Painter, height: float, rng: random.Random) -> None:
    """Jagged mountains with a lit and a shaded face, white above the snow line: eternal snow is part of the relief."""
    s = p.scene
    d = 1 if p.sun_x >= 0 else -1
    rock = mix(_rock(p), _SNOW, 0.45 * _snow_on(p))
    cold = s.temperature - 16 * height
    cap = 0.0 if cold > 1 else 0.34 if s.temperature > 6 else 0.62
    tops = sorted((rng.uniform(0.55, 1.1), 34 * i - 12 + rng.uniform(-14, 14)) for i in range(9))
    for rank, x in reversed(tops):
        far = 0.62 - 0.18 * (1.1 - rank)
        h = (16 + 92 * height) * rank
        w = h * rng.uniform(0.75, 1.15) + 10
        _peak(p, x, h, w, d, rock, far, cap, rng)


def _peak(
    p: Painter, x: float, h: float, w: float, d: int, rock: Colour, far: float, cap: float, rng: random.Random
) -> None:
    y = p.horizon + 3
    flank = {side: [(x + side * w * t + rng.uniform(-0.05, 0.05) * w, y - h * (1 - t) ** 1.12 * rng.uniform(0.94, 1.05))
                    for t in (0.22, 0.45, 0.7)] for side in (-1, 1)}  # fmt: skip
    ridge = [(x + d * w * rng.uniform(-0.1, 0.16), y - h * t) for t in (0.72, 0.45, 0.2)]
    top, foot = (x, y - h), (x + d * w * 0.1, y)
    p.poly([top, *flank[-1], (x - w, y), (x + w, y), *flank[1][::-1]], _air(p, scale(rock, 0.72), far))
    if p.shadow > 0:
        p.poly([top, *flank[d], (x + d * w, y), foot, *ridge[::-1]], _air(p, scale(rock, 1.3), far))
    if cap:
        a, b = (mix_points(top, flank[side][1 if cap > 0.4 else 0], 0.96) for side in (-1, 1))
        teeth = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t + h * (0.12 if i % 2 == 0 else -0.03))
                 for i, t in enumerate((0.18, 0.34, 0.5, 0.66, 0.84))]  # fmt: skip
        inner = {side: [flank[side][0]] if cap > 0.4 else [] for side in (-1, 1)}
        p.poly([top, *inner[-1], a, *teeth, b, *inner[1]], _air(p, (0.78, 0.85, 0.96), far * 0.5))
        edge = b if d > 0 else a
        side_teeth = teeth[3:][::-1] if d > 0 else teeth[:2]
        p.poly([top, *inner[d], edge, *side_teeth, (x + d * w * 0.05, y - h * 0.72)], _air(p, (1, 1, 1), far * 0.25))


def mix_points(a: Point, b: Point, t: float) -> Point:
    """The point `t` of the way from `a` to `b`."""
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def _volcano(p: Painter, height: float, rng: random.Random) -> None:
    """One great cone above lower hills."""
    s = p.scene
    _hills(p, height * 0.5, rng)
    d, y = (1 if p.sun_x >= 0 else -1), p.horizon + 2
    x, h = SIZE * rng.choice((0.24, 0.36, 0.66, 0.78)), 34 + 52 * height
    w, crater = h * 1.75, h * 0.13

    def slope(side: int) -> list[Point]:
        return [
            (x + side * (crater + (w - crater) * t), y - h * (1 - t) ** 1.7) for t in (0.0, 0.12, 0.28, 0.5, 0.75, 1.0)
        ]

    rock = mix(mix(_rock(p), (0.34, 0.34, 0.42), 0.4), _SNOW, 0.4 * _snow_on(p))
    p.poly([*slope(-1)[::-1], (x, y - h * 0.95), *slope(1)], _air(p, scale(rock, 0.85), 0.5))
    if p.shadow > 0:
        p.poly([(x, y - h * 0.95), *slope(d), (x + d * w * 0.15, y)], _air(p, scale(rock, 1.2), 0.5))
    if s.temperature - 20 * height < 4:
        left, right = slope(-1)[:3][::-1], slope(1)[:3]
        teeth = [(x + (t - 0.5) * (right[-1][0] - left[0][0]), right[-1][1] + (h * 0.09 if i % 2 else -h * 0.05))
                 for i, t in enumerate((0.85, 0.7, 0.55, 0.4, 0.25, 0.12))]  # fmt: skip
        p.poly([*left, (x, y - h * 0.95), *right, *teeth], _air(p, (0.97, 0.98, 1.0), 0.2))


def _mesa(p: Painter, height: float, rng: random.Random) -> None:
    """Table mountains and buttes of red rock in level beds."""
    d = 1 if p.sun_x >= 0 else -1
    red: Colour = (0.72, 0.4, 0.27)
    red = mix(red, _SNOW, 0.5 * _snow_on(p))
    for i in range(4):
        x, h = SIZE * (i + rng.uniform(0.1, 0.9)) / 4, (18 + 62 * height) * rng.uniform(0.6, 1.1)
        w, y = min(40.0, h * rng.uniform(0.45, 1.4)), p.horizon + 2
        wall = y - h * 0.5
        p.poly(
            [(x - w - h * 0.7, y), (x - w, wall), (x + w, wall), (x + w + h * 0.7, y)], _air(p, scale(red, 0.9), 0.4)
        )
        p.poly(
            [(x - w, wall + 1), (x - w * 0.94, y - h), (x + w * 0.94, y - h), (x + w, wall + 1)],
            _air(p, scale(red, 0.78), 0.36),
        )
        if p.shadow > 0:
            p.poly(
                [
                    (x + d * w, wall + 1),
                    (x + d * w * 0.94, y - h),
                    (x + d * w * 0.1, y - h),
                    (x - d * w * 0.1, wall + 1),
                ],
                _air(p, scale(red, 1.15), 0.34),
            )
        p.polys(
            [
                [
                    (x - w * 0.96, y - h * t),
                    (x + w * 0.96, y - h * t),
                    (x + w * 0.96, y - h * t + 1.4),
                    (x - w * 0.96, y - h * t + 1.4),
                ]
                for t in (0.88, 0.7)
            ],
            _air(p, mix(red, (0.95, 0.8, 0.66), 0.6), 0.36),
        )


def _karst(p: Painter, height: float, rng: random.Random) -> None:
    """Towers of limestone under green."""
    d = 1 if p.sun_x >= 0 else -1
    green = mix(vegetation_colour(p), (0.3, 0.42, 0.36), 0.45)
    y = p.horizon + 2
    for far, count in ((0.74, 8), (0.55, 6)):
        towers: list[list[Point]] = []
        lit: list[list[Point]] = []
        for i in range(count):
            x, h = (
                SIZE * (i + rng.random()) / count,
                (22 + 60 * height) * rng.uniform(0.5, 1.15) * (1.1 - 0.35 * (0.74 - far)),
            )
            w = h * rng.uniform(0.26, 0.42)
            form = [
                (-1.15, 0.0),
                (-0.95, 0.45),
                (-0.8, 0.75),
                (-0.4, 0.96),
                (0.0, 1.0),
                (0.45, 0.93),
                (0.8, 0.7),
                (0.95, 0.4),
                (1.1, 0.0),
            ]
            towers.append([(x + w * a, y - h * b) for a, b in form])
            lit.append(
                [
                    (x + d * w * a, y - h * b)
                    for a, b in ((0.1, 0.98), (0.5, 0.9), (0.78, 0.68), (0.93, 0.4), (1.05, 0), (0.55, 0))
                ]
            )
        p.polys(towers, _air(p, scale(green, 0.8), far))
        if p.shadow > 0:
            p.polys(lit, _air(p, mix(scale(green, 1.2), (0.8, 0.78, 0.7), 0.3), far))


def _dunes(p: Painter, height: float, rng: random.Random) -> None:
    """Crescents of sand, bright to the sun, with a sharp shaded lee."""
    d = 1 if p.sun_x >= 0 else -1
    sand: Colour = (0.93, 0.7, 0.42)
    for far, lift in ((0.5, 1.0), (0.34, 0.7), (0.2, 0.45)):
        light: list[list[Point]] = []
        lee: list[list[Point]] = []
        for i in range(4):
            x, w = SIZE * (i + rng.uniform(-0.2, 1.0)) / 3.4, rng.uniform(60, 110)
            h, y = (16 + 70 * height) * lift * rng.uniform(0.7, 1.1), p.horizon + 3
            crest = (x, y - h)
            light.append(
                [
                    (x - w, y),
                    (x - w * 0.5, y - h * 0.5),
                    (x - w * 0.2, y - h * 0.88),
                    crest,
                    (x + w * 0.25, y - h * 0.75),
                    (x + w * 0.6, y - h * 0.3),
                    (x + w, y),
                ]
            )
            lee.append(
                [
                    crest,
                    (x - d * w * 0.25, y - h * 0.75),
                    (x - d * w * 0.6, y - h * 0.3),
                    (x - d * w, y),
                    (x + d * w * 0.1, y),
                    (x - d * w * 0.12, y - h * 0.5),
                ]
            )
        p.polys(light, _air(p, sand, far))
        p.polys(lee, _air(p, (0.72, 0.47, 0.27), far), 0.9)


_FORMS = {"hills": _hills, "peaks": _peaks, "volcano": _volcano, "mesa": _mesa, "karst": _karst, "dunes": _dunes}

# --- ground and sea -----------------------------------------------------------------------------


def ground(p: Painter) -> None:
    """The plain to the horizon, snow on it, fields beside the road, the sea."""
    s, rng = p.scene, p.scene.rng("ground")
    snow = _snow_on(p)
    colour = mix(ground_colour(p), _blue_snow(p), min(1.0, snow / 0.6))
    if s.kind != "street" and not s.night and snow < 0.6 and "ground" not in p.hide:
        p.show("ground")
    if snow > 0.2:
        p.show("snow")
    _plain(p, colour)
    if s.kind != "street":
        _texture(p, colour, snow, rng)
    if "coast" not in p.hide and s.sea_side:
        sea(p)
    if s.kind in {"rural", "village"} and snow < 0.5 and "vegetation" not in p.hide:
        fields.fields(p)


def _plain(p: Painter, colour: Colour) -> None:
    """The ground from the horizon to the photographer's feet."""
    far, middle, near = p.lit(colour, 260), p.lit(scale(colour, 0.98), 40), p.lit(scale(colour, 0.9), 4)
    # The photo may be tilted, the cheap bands cannot: a tilted plain first, and bands once safely below the horizon.
    p.rect(-20, p.horizon - 0.5, SIZE + 40, 24, far)
    _bands(p, p.horizon + 7, p.horizon + 30, [far, mix(far, middle, 0.6), middle])
    _bands(p, p.horizon + 30, SIZE + 8, [middle, mix(middle, near, 0.5), near])


def _texture(p: Painter, colour: Colour, snow: float, rng: random.Random) -> None:
    """Tufts of grass, stones, or the blue hollows of snow, smaller with distance."""
    stony = p.scene.arid > 0.55 or snow > 0.3
    tones = ((0.74, 0.9), (1.22, 0.7), (0.86, 0.8))
    for shade, alpha in tones:
        marks: list[list[Point]] = []
        tone = mix(colour, (0.66, 0.76, 0.93), 0.55) if snow > 0.3 and shade < 1 else scale(colour, shade)
        for _ in range(20):
            z, x = 3 + 40 * rng.random() ** 1.4, rng.choice((-1, 1)) * rng.uniform(4, 26)
            a, w = p.point(x, 0, z), rng.uniform(0.3, 0.9)
            k = p.focal / z
            if not -30 < a[0] < SIZE + 30:
                continue
            if stony:
                marks.append(
                    [
                        (a[0] - w * k, a[1]),
                        (a[0] - 0.4 * w * k, a[1] - 0.1 * w * k),
                        (a[0] + 0.5 * w * k, a[1] - 0.08 * w * k),
                        (a[0] + w * k, a[1]),
                        (a[0], a[1] + 0.07 * w * k),
                    ]
                )
            else:
                h = 0.34 * w * k
                marks += [
                    [
                        (a[0] + t * w * k * 0.3 - h * 0.2, a[1]),
                        (a[0] + t * w * k * 0.45, a[1] - h),
                        (a[0] + t * w * k * 0.3 + h * 0.2, a[1]),
                    ]
                    for t in (-1, 0, 1)
                ]
        p.polys(marks, p.lit(tone, 12), alpha)


def sea(p: Painter) -> None:
    """The sea to the horizon, ahead or on one side, with a beach."""
    s, rng = p.scene, p.scene.rng("sea")
    cold = min(1.0, max(0.0, (20 - s.temperature) / 16))
    shallow = mix((0.2, 0.78, 0.76), (0.3, 0.47, 0.52), cold)
    deep = mix((0.03, 0.36, 0.62), (0.13, 0.27, 0.4), cold)
    sand = mix((0.95, 0.87, 0.68), (0.58, 0.54, 0.49), 0.8 * cold)
    if _snow_on(p) > 0.4:
        sand = mix(sand, (0.92, 0.94, 0.97), 0.8)
    far = mix(p.lit(deep, 90), p.zenith, 0.22)
    _islands(p, rng, cold)
    p.show("coast", SIZE / 2 if s.sea_side == 2 else p.axis + s.sea_side * 60, p.horizon + 6, 8)
    if s.sea_side == 2:
        _sea_ahead(p, rng, far, p.lit(deep, 50), p.lit(shallow, 25), sand)
    else:
        _sea_beside(p, rng, far, p.lit(deep, 40), p.lit(shallow, 25), sand)


def _islands(p: Painter, rng: random.Random, cold: float) -> None:
    """A headland or islands on the horizon."""
    chance, x, w, h = rng.random(), rng.uniform(20, 236), rng.uniform(30, 80), rng.uniform(4, 13)
    if chance > 0.5 or p.scene.night:
        return
    green = mix((0.32, 0.46, 0.3), (0.42, 0.42, 0.42), cold)
    y = p.horizon + 1
    for dx, k in ((0.0, 1.0), (w * 1.1, 0.5)):
        p.poly([(x + dx - w * k, y), (x + dx - w * 0.6 * k, y - h * 0.7 * k), (x + dx - w * 0.1 * k, y - h * k),
                (x + dx + w * 0.4 * k, y - h * 0.6 * k), (x + dx + w * k, y)], _air(p, green, 0.55))  # fmt: skip


def _waves(p: Painter, rng: random.Random, y0: float, y1: float, x0: float, x1: float, count: int) -> None:
    """Glints and crests, longer and wider apart towards the shore."""
    marks: list[list[Point]] = []
    for _ in range(count):
        t = rng.random()
        x, y, w = rng.uniform(x0, x1), y0 + 2 + (y1 - y0 - 3) * t * t, 3 + 12 * t * rng.random()
        marks.append([(x - w, y), (x, y - 0.35 - 0.5 * t), (x + w, y), (x, y + 0.3 + 0.4 * t)])
    p.polys(marks, p.lit((0.96, 0.98, 1)), 0.5)


def _sea_ahead(p: Painter, rng: random.Random, far: Colour, deep: Colour, shallow: Colour, sand: Colour) -> None:
    shore = p.horizon + p.shore_below()
    wet = mix(sand, (0.4, 0.36, 0.32), 0.4)
    p.rect(-20, p.horizon, SIZE + 40, 10, far)
    _bands(p, p.horizon + 5, shore + 6, [far, deep, mix(deep, shallow, 0.6), shallow])
    _bands(
        p,
        shore + 4,
        SIZE + 8,
        [p.lit(wet, 20), p.lit(sand, 16), p.lit(scale(sand, 0.98), 8), p.lit(scale(sand, 0.93), 4)],
    )
    _waves(p, rng, p.horizon, shore, 0, SIZE, 26)
    phase, lines = rng.uniform(0, 6.28), ((shore + 3.5, 3.4, 0.95), (shore - 5, 1.6, 0.7), (shore - 12, 1.0, 0.5))
    for y, thick, alpha in lines:
        crest = [
            (float(x), y + 1.6 * math.sin(x * 0.045 + phase) + 0.7 * math.sin(x * 0.13 + y))
            for x in range(-20, SIZE + 21, 12)
        ]
        p.poly(crest + [(x, v + thick) for x, v in crest[::-1]], p.lit((1, 1, 1)), alpha)
    dents = [(rng.uniform(0, SIZE), shore + 12 + (SIZE - shore) * rng.random(), rng.uniform(2, 8)) for _ in range(26)]
    p.polys([[(x - w, y), (x, y - 1), (x + w, y), (x, y + 0.8)] for x, y, w in dents], p.lit(scale(sand, 0.86)), 0.6)


def _sea_beside(p: Painter, rng: random.Random, far: Colour, deep: Colour, shallow: Colour, sand: Colour) -> None:
    s = p.scene
    d = s.sea_side
    beach, shore = s.lanes + 3.5 + rng.uniform(0, 3), s.lanes + 8 + rng.uniform(0, 6)
    p.strip(beach * d, 4000 * d, p.lit(sand, 16))

    def water(x: float, depth: float, colour: Colour) -> None:
        near, end = p.point(x * d, 0, 2.0), (p.axis + d * 2, p.horizon + 0.5)
        edge = [p.point((x + 0.5 * math.sin(z)) * d, 0, z) for z in (3, 5, 8, 12, 18, 27, 40)]
        p.poly([near, *edge, end, (p.axis + 400 * d, p.horizon + 0.5), (p.axis + 400 * d, p.horizon + depth),
                *([(near[0] + 400 * d, SIZE + 20.0)] if depth > 90 else [])], colour)  # fmt: skip

    water(shore - 0.7, 200, p.lit((1, 1, 1)))
    water(shore, 200, shallow)
    water(shore + 4, 200, mix(shallow, deep, 0.6))
    water(shore + 12, 200, deep)
    p.poly([(p.axis + d * 3, p.horizon), (p.axis + 400 * d, p.horizon), (p.axis + 400 * d, p.horizon + 10)], far, 0.8)
    x0, x1 = sorted((p.axis + d * 40, p.axis + d * 190))
    _waves(p, rng, p.horizon, p.horizon + 30, x0, x1, 18)


def skyline(p: Painter) -> None:
    """Towers of a big city far ahead."""
    s, rng = p.scene, p.scene.rng("skyline")
    if s.urban < 0.62 or s.kind not in {"street", "suburb"} or ("architecture" in p.hide and not s.night):
        return
    plain = s.night  # then only that there are towers can be made out
    if not plain:
        p.show("architecture", p.axis, p.horizon - 5)
    top = (10 if plain else s.region.floors[1]) / 28
    for _ in range(int(16 * s.urban)):
        w, h = rng.uniform(7, 16), rng.uniform(8, 22 + 60 * top * s.urban)
        x = p.axis + rng.gauss(0, 52)
        pick = rng.random()
        wall = (0.7, 0.69, 0.67) if plain else hex_colour(s.region.walls[int(pick * len(s.region.walls))])
        colour = p.lit(scale(wall, 0.86), rng.uniform(190, 380), rng.random())
        p.rect(x - w / 2, p.horizon - h, w, h + 3, colour)
        if s.night:
            p.polys(
                [
                    [(a, b), (a + 1.4, b), (a + 1.4, b + 1.4), (a, b + 1.4)]
                    for a, b in (
                        (x + rng.uniform(-w / 2, w / 2 - 1.5), p.horizon - rng.uniform(2, h)) for _ in range(7)
                    )
                ],
                (1, 0.86, 0.5),
                0.9,
            )
        elif p.shadow > 0:
            p.rect(x - w / 2 if p.sun_x < 0 else x, p.horizon - h, w / 2, h + 3, mix(colour, (1, 0.97, 0.9), 0.22))


# --- weather ------------------------------------------------------------------------------------


def weather(p: Painter) -> None:
    """What falls or hangs between the camera and the scene."""
    s, rng = p.scene, p.scene.rng("weather")
    if s.weather == "rain":
        drops = [(rng.uniform(0, SIZE), rng.uniform(-8, SIZE), rng.uniform(7, 16)) for _ in range(60)]
        p.polys(
            [[(x, y), (x + 0.8, y), (x - 1.7, y + h), (x - 2.2, y + h)] for x, y, h in drops], (0.9, 0.93, 0.97), 0.4
        )
        if rng.random() < 0.08 and not s.night and s.sun_height < 40:
            _rainbow(p, rng)
    elif s.weather == "snowfall":
        for low, high, alpha in ((0.6, 1.2, 0.6), (1.2, 1.9, 0.8), (1.9, 2.8, 0.95)):
            path = skia.Path()
            for _ in range(30):
                path.addCircle(rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(low, high))
            p.canvas.drawPath(path, p.paint((1, 1, 1), alpha))
    elif s.weather == "fog":
        p.rect(-40, -40, SIZE + 80, SIZE + 80, p.haze, 0.16)
        path = skia.Path()
        for _ in range(4):
            x, y, w = rng.uniform(0, SIZE), p.horizon + rng.uniform(-22, 22), rng.uniform(70, 130)
            path.addOval(skia.Rect.MakeLTRB(x - w, y - 6, x + w, y + 6))
        p.canvas.drawPath(path, p.paint(p.haze, 0.4, 6.0))


def _rainbow(p: Painter, rng: random.Random) -> None:
    x, r = rng.uniform(40, 216), rng.uniform(110, 150)
    colours = (
        (0.9, 0.2, 0.2),
        (0.96, 0.6, 0.15),
        (0.95, 0.9, 0.2),
        (0.25, 0.75, 0.3),
        (0.2, 0.45, 0.9),
        (0.5, 0.25, 0.75),
    )
    for i, colour in enumerate(colours):
        q = r - 2.4 * i
        pen = p.outline(colour, 2.6, 0.3)
        p.canvas.drawArc(skia.Rect.MakeLTRB(x - q, p.horizon - q, x + q, p.horizon + q), 180, 180, False, pen)
