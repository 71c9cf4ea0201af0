"""Streets of buildings in the region's manner, and what stands at the sea. Detached houses are in `houses`."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import skia

from postcards import lettering
from postcards.brush import SIZE, Colour, Objects, Painter, Point, mix, scale
from postcards.houses import (
    BEAM,
    BOARDS,
    LAMP,
    SNOW,
    WHITE,
    ink_on,
    neutral,
    note,
    one_side,
    roof_colour,
    show_snow,
    sign,
    strokes,
    tell,
    wall_colour,
)
from postcards.houses import houses as houses
from postcards.visible import colour_word

FLOOR = 3.1  # metres from floor to floor


@dataclass(frozen=True)
class Facade:
    """How the wall along a street is made."""

    top: str = "flat"  # flat | slope | mansard | steps | point (the last two: a gable on the street)
    window: tuple[float, float, float] = (0.32, 0.8, 2.2)  # half width of a column, sill, top
    frame: bool = False  # light surrounds and bars
    walls: tuple[str, ...] = ()
    narrow: float = 1.0
    rise: float = 2.6
    # bands cornice panel beams shutters arches balconies long iron escape arcade tanks ac laundry flowers awnings glass
    extras: frozenset[str] = frozenset()


def _facade(top: str = "flat", extras: str = "", **rest: object) -> Facade:
    """A facade with its extras as words."""
    return Facade(top, extras=frozenset(extras.split()), **rest)  # type: ignore[arg-type]


_TALL, _SMALL, _WIDE, _ARCH = (0.27, 0.6, 2.5), (0.2, 1.0, 2.1), (0.38, 0.8, 2.2), (0.24, 0.6, 2.4)
_BRICK = ("#9d4f3c", "#a85c47", "#8b4a3a", "#b36a4f")
GREY = _facade()
FACADES: dict[str, Facade] = {
    "namerica": _facade(
        "flat", "cornice escape glass", frame=True, walls=("#9a5340", "#b58a68", "#c9bda6", "#8f6a58", "#b9b5ac")
    ),
    "mexico": _facade("flat", "tanks bands awnings", window=_SMALL, frame=True),
    "camerica": _facade("slope", "awnings tanks", window=_SMALL),
    "carib": _facade("slope", "shutters balconies iron", rise=1.6, window=_TALL),
    "andes": _facade("flat", "bands tanks", window=_SMALL),
    "brazil": _facade("flat", "long ac bands", window=_WIDE),
    "cone": _facade("flat", "balconies iron cornice", window=_TALL, frame=True),
    "weurope": _facade("slope", "bands", frame=True, window=_TALL, rise=3.4),
    "british": _facade("slope", "cornice", frame=True, window=_TALL, walls=_BRICK),
    "alpine": _facade("point", "shutters flowers", window=_TALL, rise=3.0),
    "med": _facade("slope", "shutters balconies iron awnings laundry", rise=1.4),
    "ceurope": _facade("slope", "cornice bands", frame=True, window=_TALL, rise=3.8),
    "balkan": _facade("slope", "balconies ac", rise=1.8),
    "eeurope": _facade("flat", "panel balconies"),
    "russia": _facade("flat", "panel cornice", frame=True),
    "baltic": _facade("point", "bands", frame=True, window=_TALL, narrow=0.7, rise=4.0),
    "nordic": _facade("point", "bands", frame=True, window=_TALL, narrow=0.75, rise=3.6),
    "caucasus": _facade("slope", "long bands", rise=1.8),
    "anatolia": _facade("slope", "long tanks awnings", rise=1.4),
    "levant": _facade("flat", "tanks balconies", window=_SMALL),
    "gulf": _facade("flat", "glass ac arches", window=_ARCH),
    "persia": _facade("flat", "arches bands", window=_ARCH),
    "nafrica": _facade("flat", "arches laundry shutters", window=_ARCH),
    "wafrica": _facade("flat", "long awnings", window=_SMALL),
    "eafrica": _facade("slope", "awnings", window=_SMALL, rise=1.4),
    "safrica": _facade("slope", "arcade", rise=1.6),
    "southasia": _facade("flat", "long tanks laundry awnings", window=_SMALL, narrow=0.8),
    "himalaya": _facade("flat", "cornice laundry", window=_SMALL, frame=True, narrow=0.7),
    "seasia": _facade("slope", "arcade shutters ac", rise=1.6, narrow=0.6, window=_TALL),
    "vietnam": _facade("flat", "balconies awnings tanks", narrow=0.5, window=_WIDE),
    "china": _facade("flat", "panel ac laundry glass", window=_WIDE),
    "taiwan": _facade("flat", "arcade ac long", narrow=0.7),
    "japan": _facade("flat", "long ac bands", narrow=0.65, window=_WIDE),
    "korea": _facade("flat", "ac glass bands", narrow=0.8, window=_WIDE),
    "casia": _facade("flat", "panel balconies arches", frame=True),
    "oceania": _facade("slope", "arcade cornice", rise=1.8, frame=True),
    "polar": _facade("point", "", frame=True, narrow=0.8),
    "other": _facade("slope", "bands"),
}
FACADES_OF_COUNTRY: dict[str, Facade] = {
    "FR": _facade(
        "mansard",
        "balconies iron cornice bands",
        frame=True,
        window=_TALL,
        walls=("#e3d8c0", "#d9cdb0", "#ece2cc"),
        rise=3.0,
    ),
    "DE": _facade(
        "point", "beams flowers", window=_TALL, narrow=0.75, rise=4.2, walls=("#f3ead6", "#efe0bf", "#e6d2b0")
    ),
    "NL": _facade("steps", "", frame=True, window=_TALL, narrow=0.5, rise=3.6, walls=(*_BRICK, "#5a4038")),
    "BE": _facade("steps", "bands", frame=True, window=_TALL, narrow=0.55, rise=3.6, walls=(*_BRICK, "#d9cdb0")),
    "PT": _facade(
        "slope",
        "balconies iron",
        frame=True,
        window=_TALL,
        rise=1.4,
        walls=("#8fb0cc", "#e8d9a8", "#a9c4b8", "#f4ead6"),
    ),
    "GR": _facade("flat", "long awnings tanks", walls=("#f4f1e8", "#ece6d8")),
    "SG": _facade("slope", "arcade shutters glass", rise=1.6, narrow=0.6, window=_TALL),
    "HK": _facade("flat", "ac laundry panel", window=_WIDE, narrow=0.6),
    "ES": _facade("slope", "long shutters iron awnings", rise=1.3),
    "DK": _facade("slope", "cornice", frame=True, window=_TALL, rise=3.6),
}


def terrace(p: Painter, objects: Objects) -> None:
    """Building beside building, as in a town's centre."""
    s = p.scene
    country = s.country
    plain = neutral(p)
    facade = FACADES_OF_COUNTRY.get(country.iso) or FACADES.get(country.region) or FACADES["other"]
    lo, hi = s.region.floors
    if plain:
        facade, lo, hi = GREY, 2, 2 + round(12 * s.urban**2)
    shade: list[tuple[float, float, float, float]] = []
    for d in (-1, 1):
        rng, signs, upright = s.rng(f"terrace {d}"), 0, lettering.is_vertical(s.language)
        z, before = rng.uniform(3.2, 8), 0.0
        while z < 90:
            # Far away narrow houses cannot be told apart, and cost as much as wide ones.
            narrow = facade.narrow if z < 45 else max(1.0, facade.narrow)
            length, tall = rng.uniform(7, 14) * narrow, rng.random() ** (2.2 - 1.6 * s.urban)
            floors = max(1, round(lo + (hi - lo) * tall * s.urban))
            x = d * (s.lanes + 3.0 + (1.5 if floors > 10 else 0) + rng.uniform(0, 0.8))
            salt, open_, gap = rng.random(), rng.random() < 0.85, rng.uniform(1.5, 6) if rng.random() < 0.15 else 0.05
            here = Block(p, facade, x, z, length, floors, salt, "shops" in s.elements and open_)
            if here.shop and signs < 3 and here.readable():
                here.sign, signs = True, signs + 1
                here.hanging = signs < (3 if upright else 2)
            here.covered = before >= here.h
            before = here.h if gap < 1 else 0.0
            if here.seen():
                objects.append((z + 0.5, here.draw))
                shade.append((x, z, length, here.h))
            z += length + gap
    if p.shadow > 0:
        objects.append((398.0, lambda: _street_shadow(p, shade)))


def _street_shadow(p: Painter, blocks: list[tuple[float, float, float, float]]) -> None:
    """The shadow that the sunward side of the street throws over the road."""
    reach = abs(p.sun_x) / math.tan(math.radians(max(8.0, p.scene.sun_height)))
    quads = []
    for x, z, length, h in blocks:
        d = 1 if x > 0 else -1
        if p.sun_x * d > 0.08:
            to = x - d * min(h * reach, 2 * abs(x))
            slant = -p.sun_z / max(0.2, abs(p.sun_x)) * min(h * reach, 2 * abs(x))
            slant = max(-0.6 * z + 1.0, min(slant, 0.6 * z))
            quads.append(
                [
                    p.point(x, 0, z),
                    p.point(to, 0, z + slant),
                    p.point(to, 0, z + length + slant),
                    p.point(x, 0, z + length),
                ]
            )
    if quads:
        p.polys(quads, (0.03, 0.05, 0.12), p.shadow * 0.85)


class Block:
    """One building of a terrace: the wall along the street, the wall towards the camera, a shop, a roof."""

    def __init__(
        self, p: Painter, facade: Facade, x: float, z: float, length: float, floors: int, salt: float, shop: bool
    ) -> None:
        self.p, self.facade, self.x, self.z, self.length, self.floors = p, facade, x, z, length, floors
        self.salt, self.shop, self.sign, self.hanging = salt, shop, False, False
        self.covered = False  # does the house before it hide the wall towards the camera?
        self.d = 1 if x > 0 else -1
        self.h = FLOOR * floors + 0.8
        self.columns = max(2, round(length / (2.6 if floors < 12 else 2.2)))

    def seen(self) -> bool:
        """Does it come into the picture?"""
        edge = self.p.point(self.x, 0, self.z + self.length)[0]
        return -6 < edge < SIZE + 6

    def readable(self) -> bool:
        """Is it where a word over the shop can be read?"""
        u, _ = self.p.point(self.x, 3, self.z + self.length * 0.4)
        return 10 < u < SIZE - 10 and self.z < 42

    def strip(self, y0: float, y1: float, t0: float = 0.0, t1: float = -1.0, out: float = 0.0) -> list[Point]:
        """A rectangle on the wall along the street, t0 to t1 metres from its near end, `out` metres before the wall."""
        p, x = self.p, self.x - self.d * out
        t1 = self.length if t1 < 0 else t1
        (ax, ay), (bx, by) = p.point(x, 0, self.z + t0), p.point(x, 0, self.z + t1)
        ka, kb = p.focal / (self.z + t0), p.focal / (self.z + t1)
        return [(ax, ay - y0 * ka), (ax, ay - y1 * ka), (bx, by - y1 * kb), (bx, by - y0 * kb)]

    def side(self, colour: Colour) -> Colour:
        """`colour` on the wall along the street."""
        return self.p.lit(colour, self.z + 4, self.p.towards_sun(-self.d, 0))

    def draw(self) -> None:
        """Walls, roof, windows, shop."""
        self.rng = random.Random(self.salt)
        p, x, z, d, f = self.p, self.x, self.z, self.d, self.facade
        wall, roof = wall_colour(p, self.rng, f.walls, 0.34), roof_colour(p, self.rng)
        glassy = "glass" in f.extras and self.floors >= 8 and self.rng.random() < 0.6
        if glassy:
            wall = mix((0.45, 0.56, 0.64), wall, 0.3)
        body, deep = self.strip(0, self.h), p.point(x + d * 11, 0, z)
        top = deep[1] - self.h * p.focal / z
        if not note(p, [*body, deep]):
            return
        front = p.lit(wall, z, p.towards_sun(0, -1))
        p.poly([body[0], body[1], (deep[0], top), deep], front)
        self._roof(wall, roof, front, body, (deep[0], top))
        p.poly(body, self.side(scale(wall, 0.96)))
        self._tell(wall, roof, body)
        if z > 60:
            return
        self._windows(wall, glassy)
        if z < 27:
            if not self.covered:
                self._front_windows(wall)
            self._details(wall)
        if self.shop and z < 60:
            self._shop()

    def _tell(self, wall: Colour, roof: Colour, body: list[Point]) -> None:
        """Note what this house is like; of several the nearest counts."""
        p, f = self.p, self.facade
        if neutral(p):
            return
        tell(p, body, wall_colour=colour_word(wall))
        flat = f.top == "flat" or self.floors > 8
        middle, rise = self.z + self.length / 2, 1.0 if flat else f.rise
        x, y = p.point(self.x, self.h + rise / 2, middle)
        size = rise * p.focal / middle
        p.tell("roof", "flat" if flat else f.top, x, y, 2 * size if flat else size)
        if f.top in {"slope", "mansard"} and not flat and not (p.scene.snow > 0.35 and "snow" not in p.hide):
            p.tell("roof colour", colour_word(roof), x, y, size)

    def _roof(self, wall: Colour, roof: Colour, front: Colour, body: list[Point], corner: Point) -> None:
        p, x, z, d, h, f = self.p, self.x, self.z, self.d, self.h, self.facade
        k, end = p.focal / z, z + self.length
        if f.top == "flat" or self.floors > 8:
            lines = [(body[1], body[2]), (body[1], corner)]
            strokes(p, lines, max(0.9, 0.3 * k), p.lit(scale(wall, 0.78), z))
            if p.scene.snow > 0.35 and "snow" not in p.hide and body[1][1] > 4:
                strokes(p, lines, max(1.0, 0.3 * k), p.lit(SNOW, z))
                show_snow(p, body[2], 3.0)
            if "tanks" in f.extras and z < 50:
                self._tank()
            return
        slope = p.lit(roof, z + 3, p.towards_sun(-d * 0.7, 0))
        show_snow(p, body[2], max(3.0, f.rise * k * 0.4))
        if f.top in {"steps", "point"}:
            middle = (z + end) / 2
            ridge, back = p.point(x, h + f.rise, middle), p.point(x + d * 11, h + f.rise, middle)
            p.poly([body[1], ridge, back, corner], p.lit(roof, z + 2, p.towards_sun(0, -0.8)))
            p.poly(self._gable(), self.side(scale(wall, 0.96)))
            if f.top == "point" and z < 50:
                strokes(p, [(body[1], ridge), (ridge, body[2])], max(0.9, 0.22 * k), p.lit(scale(roof, 0.8), z))
            return
        inward = 1.3 if f.top == "mansard" else 3.4
        ridge0, ridge1 = p.point(x + d * inward, h + f.rise, z + 0.3), p.point(x + d * inward, h + f.rise, end)
        p.poly(
            [body[1], ridge0, (corner[0], corner[1] - (f.rise * 0.8 * k if f.top == "mansard" else 0)), corner],
            scale(front, 0.95),
        )
        p.poly([p.point(x - d * 0.4, h - 0.1, z - 0.2), ridge0, ridge1, p.point(x - d * 0.4, h - 0.1, end)], slope)
        if z < 45 and f.rise > 2.5:
            self._dormers(inward)

    def _gable(self) -> list[Point]:
        """The outline of a gable on the street, in steps or to a point."""
        n, h, rise = 4, self.h, self.facade.rise
        if self.facade.top == "point":
            shape = [(0.0, h), (0.5, h + rise), (1.0, h)]
        else:
            left = [(t, h + rise * v) for i in range(n) for t, v in ((i * 0.11, i / n), (i * 0.11, (i + 1) / n))]
            shape = left + [(1 - t, y) for t, y in reversed(left)]
        return [self.p.point(self.x, y, self.z + self.length * t) for t, y in shape]

    def _dormers(self, inward: float) -> None:
        """Windows in the roof."""
        p, h, rise = self.p, self.h, self.facade.rise
        x = self.x + self.d * inward * 0.35
        frames, panes = [], []
        for i in range(self.columns):
            a, b = self.z + self.length * (i + 0.32) / self.columns, self.z + self.length * (i + 0.68) / self.columns
            m = (a + b) / 2
            frames.append([p.point(x, h + 0.5, a), p.point(x, h + rise * 0.66, a), p.point(x, h + rise * 0.86, m),
                           p.point(x, h + rise * 0.66, b), p.point(x, h + 0.5, b)])  # fmt: skip
            panes.append(
                [
                    p.point(x, h + 0.7, a + 0.2),
                    p.point(x, h + rise * 0.62, a + 0.2),
                    p.point(x, h + rise * 0.62, b - 0.2),
                    p.point(x, h + 0.7, b - 0.2),
                ]
            )
        p.polys(frames, self.side(WHITE))
        p.polys(panes, self.side((0.24, 0.32, 0.42)))

    def _tank(self) -> None:
        p, z = self.p, self.z + 1.5
        dark = self.p.scene.country.region in {"mexico", "southasia", "andes"}
        k, (u, v) = p.focal / z, p.point(self.x + self.d * 1.6, self.h, z)
        p.rect(
            u - 0.8 * k,
            v - 1.9 * k,
            1.6 * k,
            1.9 * k,
            p.lit((0.12, 0.12, 0.13) if dark else (0.88, 0.9, 0.92), z),
            r=0.3 * k,
        )

    def _windows(self, wall: Colour, glassy: bool) -> None:
        """One sheet of glass, then the frames and the wall over it: far fewer polygons than window by window."""
        p, f, s = self.p, self.facade, self.p.scene
        first = 1 if self.shop or "arcade" in f.extras else 0
        half, sill, top = (0.46, 0.4, 2.9) if glassy else f.window
        floors, n = min(self.floors, 18), self.columns if self.z < 36 else max(2, self.columns // 2)
        step = self.length / n
        if floors <= first:
            return
        low, high = FLOOR * first + sill, FLOOR * (floors - 1) + top
        glass = (0.05, 0.06, 0.1) if s.night else mix(p.lit((0.25, 0.33, 0.44), self.z + 3, 0.5), p.haze, 0.16)
        if glassy and not s.night:
            glass = mix(mix(p.zenith, p.haze, 0.45), self.side((0.3, 0.42, 0.52)), 0.45)
        p.polys([self.strip(low, high)], glass)
        if s.night:
            self._lamps(range(first, floors), n, sill, top)
        edges = [(max(0.0, step * (i - 0.5 + half)), min(self.length, step * (i + 0.5 - half))) for i in range(n + 1)]
        if f.frame and self.z < (30 if floors < 8 else 22) and not glassy:
            thick = 0.16 if self.z < 25 else 0.2
            bars = [self.strip(low, high, step * (i + 0.5) - 0.06, step * (i + 0.5) + 0.06) for i in range(n)]
            bars += [self.strip(low, high, max(0.0, a - thick), min(self.length, b + thick)) for a, b in edges]
            for i in range(first, floors):
                y = FLOOR * i
                bars += [self.strip(y + top - 0.15, y + top), self.strip(y + sill, y + sill + 0.15)]
            p.polys(bars, self.side(WHITE))
        solid = [self.strip(FLOOR * i + top, FLOOR * (i + 1) + sill) for i in range(first, floors - 1)]
        solid += [self.strip(low - 0.02, high + 0.02, a, b) for a, b in edges if b - a > 0.05]
        p.polys(solid, self.side(scale(wall, 0.96)) if not glassy else self.side((0.62, 0.68, 0.72)))

    def _lamps(self, storeys: range, n: int, sill: float, top: float) -> None:
        step = self.length / n
        lamps = [
            self.strip(FLOOR * i + sill, FLOOR * i + top, step * c, step * (c + 1))
            for i in storeys
            for c in range(n)
            if self.rng.random() < 0.42
        ]
        if lamps:
            self.p.polys(lamps, LAMP)

    def _front_windows(self, wall: Colour) -> None:
        """Windows in the wall towards the camera."""
        p, (_, sill, top) = self.p, self.facade.window
        k, (u, v) = p.focal / self.z, p.point(self.x, 0, self.z)
        panes = []
        for i in range(0 if not self.shop else 1, min(self.floors, 14)):
            for t in (1.6, 5.2, 8.8):
                a, b = u + self.d * t * k, u + self.d * (t + 1.3) * k
                y0, y1 = v - (FLOOR * i + sill) * k, v - (FLOOR * i + top) * k
                panes.append([(a, y0), (a, y1), (b, y1), (b, y0)])
        p.polys(
            panes, mix(p.lit((0.25, 0.33, 0.44), self.z, 0.5), p.haze, 0.1) if not p.scene.night else (0.06, 0.07, 0.11)
        )

    def _details(self, wall: Colour) -> None:
        """What hangs on the wall or runs along it, near enough to be made out."""
        f, p, n = self.facade.extras, self.p, self.columns
        step, floors = self.length / n, min(self.floors, 12)
        light, dark = self.side(mix(wall, WHITE, 0.6)), self.side(scale(wall, 0.66))
        strips: list[list[Point]] = []
        if "bands" in f:
            strips += [self.strip(FLOOR * i - 0.12, FLOOR * i + 0.2) for i in range(1, floors)]
        if "cornice" in f:
            strips += [self.strip(self.h - 0.55, self.h, out=0.25), self.strip(FLOOR + 0.05, FLOOR + 0.35, out=0.1)]
        if strips:
            p.polys(strips, light)
        if "panel" in f:  # the joints of concrete slabs
            joints = [self.strip(FLOOR * i + 0.1, FLOOR * i + 0.24) for i in range(1, floors)]
            joints += [self.strip(0, self.h, step * i - 0.06, step * i + 0.06) for i in range(1, n)]
            p.polys(joints, self.side(scale(wall, 0.76)))
        if "beams" in f:
            self._beams(floors, step)
        if "shutters" in f or "arches" in f:
            self._leaves(floors, step, "arches" in f, wall)
        if f & {"balconies", "long"}:
            iron = self.side((0.1, 0.1, 0.11)) if "iron" in f else dark
            self._balconies(floors, step, "long" in f, iron)
        if "escape" in f and 2 < self.floors < 9 and self.rng.random() < 0.7:
            self._escape()
        if "arcade" in f:
            self._arcade(wall)
        if f & {"ac", "laundry", "flowers", "awnings"}:
            self._things(floors, step)
        p.polys([self.strip(0, 0.5)], self.side(scale(wall, 0.55)))

    def _beams(self, floors: int, step: float) -> None:
        """Timber framing."""
        beams = [self.strip(FLOOR * i, FLOOR * i + 0.28) for i in range(1, floors + 1)]
        beams += [
            self.strip(FLOOR, self.h, max(0.0, step * i - 0.14), step * i + 0.14) for i in range(self.columns + 1)
        ]
        for i in range(1, floors):
            a, b = (
                self.strip(FLOOR * i, FLOOR * (i + 1), 0, 0.7),
                self.strip(FLOOR * i, FLOOR * (i + 1), self.length - 0.7, self.length),
            )
            width = 0.3 * (a[3][0] - a[0][0])
            beams += [[a[1], (a[1][0] + width, a[1][1]), a[3], (a[3][0] - width, a[3][1])],
                      [b[0], (b[0][0] + width, b[0][1]), b[2], (b[2][0] - width, b[2][1])]]  # fmt: skip
        self.p.polys(beams, self.side(BEAM))

    def _leaves(self, floors: int, step: float, arches: bool, wall: Colour) -> None:
        """Shutters beside the windows, or arches over them."""
        half, sill, top = self.facade.window
        colour = ((0.2, 0.42, 0.34), (0.24, 0.36, 0.55), (0.5, 0.27, 0.2))[self.rng.randrange(3)]
        leaves = []
        for i in range(1, min(floors, 7)):
            for c in range(self.columns):
                m, w = step * (c + 0.5), step * half
                if arches:
                    a, b = (
                        self.strip(FLOOR * i + top - 0.05, FLOOR * i + top + 0.55, m - w, m),
                        self.strip(FLOOR * i + top - 0.05, FLOOR * i + top + 0.55, m, m + w),
                    )
                    leaves.append([a[0], a[2], b[3]])
                else:
                    leaves += [self.strip(FLOOR * i + sill, FLOOR * i + top, m - w - 0.5, m - w),
                               self.strip(FLOOR * i + sill, FLOOR * i + top, m + w, m + w + 0.5)]  # fmt: skip
        if leaves:
            self.p.polys(leaves, self.side((0.25, 0.33, 0.44) if arches else colour))

    def _balconies(self, floors: int, step: float, long: bool, rail: Colour) -> None:
        """Slabs with a parapet or a railing: along the whole wall, or at every other window."""
        p, out = self.p, 0.9
        spans = (
            [(0.3, self.length - 0.3)]
            if long
            else [(step * (c + 0.1), step * (c + 0.9)) for c in range(0, self.columns, 2)]
        )
        rails, ends, under = [], [], []
        for i in range(1, min(floors, 9)):
            y = FLOOR * i
            for a, b in spans:
                face, back = self.strip(y - 0.1, y + 0.95, a, b, out), self.strip(y - 0.1, y + 0.95, a, b)
                rails.append(face)
                ends.append([back[0], back[1], face[1], face[0]])
                under.append([back[0], face[0], face[3], back[3]])
        if rails:
            p.polys(under, self.side((0.2, 0.2, 0.22)))
            solid = 0.5 if "iron" in self.facade.extras else 1.0
            p.polys(ends, scale(rail, 0.9), solid)
            p.polys(rails, rail, solid)

    def _escape(self) -> None:
        """A fire escape: landings and stairs in zigzag."""
        p, lines = self.p, []
        for i in range(1, self.floors):
            y = FLOOR * i
            a, b = self.strip(y, y + FLOOR, self.length * 0.3, self.length * 0.62, 0.9)[0::3]
            c, e = self.strip(y + 1, y + FLOOR, self.length * 0.3, self.length * 0.62, 0.9)[0::3]
            lines += [(a, b), (c, e)]
            if i < self.floors - 1:
                up = self.strip(y, y + FLOOR, self.length * 0.3, self.length * 0.62, 0.9)
                lines.append((up[0], up[2]) if i % 2 else (up[1], up[3]))
        strokes(p, lines, max(0.7, 0.08 * p.focal / self.z), p.lit((0.2, 0.2, 0.21), self.z))

    def _arcade(self, wall: Colour) -> None:
        """A covered way behind pillars on the ground floor."""
        p = self.p
        p.polys([self.strip(0, 2.9)], self.side((0.16, 0.15, 0.15)), 0.75)
        count = max(2, round(self.length / 3.2))
        pillars = [
            self.strip(0, 3.0, self.length * i / count - (0.3 if i else 0), self.length * i / count + 0.3, 0.3)
            for i in range(count)
        ]
        p.polys(pillars, self.side(scale(wall, 1.04)))

    def _things(self, floors: int, step: float) -> None:
        """Air conditioners, laundry, flower boxes, awnings."""
        p, f, rng = self.p, self.facade.extras, self.rng
        places = [(i, c) for i in range(1, min(floors, 9)) for c in range(self.columns)]
        some = rng.sample(places, min(len(places), 5))
        if "ac" in f and some:
            p.polys(
                [self.strip(FLOOR * i + 0.1, FLOOR * i + 0.75, step * c + 0.1, step * c + 0.95, 0.4) for i, c in some],
                self.side((0.82, 0.83, 0.84)),
            )
        if "laundry" in f:
            for colour, (i, c) in zip(
                ((0.85, 0.2, 0.2), WHITE, (0.2, 0.4, 0.75), (0.95, 0.75, 0.2)), some, strict=False
            ):
                p.polys(
                    [self.strip(FLOOR * i - 0.4, FLOOR * i + 0.6, step * c + 0.3, step * c + 1.5, 0.95)],
                    self.side(colour),
                )
        if "flowers" in f and places:
            half = self.facade.window[0]
            p.polys(
                [
                    self.strip(FLOOR * i + 0.2, FLOOR * i + 0.62, step * (c + 0.5 - half), step * (c + 0.5 + half), 0.3)
                    for i, c in places
                ],
                self.side((0.8, 0.16, 0.24)),
            )
        if "awnings" in f:
            outer, inner = (
                self.strip(2.2, 2.5, 0.3, self.length - 0.3, 1.4),
                self.strip(2.8, 3.0, 0.3, self.length - 0.3),
            )
            colour = BOARDS[rng.randrange(4)]
            p.polys([[inner[1], outer[1], outer[2], inner[2]]], self.side(colour))
            p.polys([outer, [inner[0], inner[1], outer[1], outer[0]]], self.side(scale(colour, 0.8)))

    def _shop(self) -> None:
        """A shop window, a board over it, and words where they can be read."""
        p, rng = self.p, random.Random(self.salt + 1)  # the same shop whatever the house looks like
        board = BOARDS[rng.randrange(len(BOARDS))]
        p.polys([self.strip(0.4, 2.5, 0.5, self.length - 0.5)], p.lit((0.17, 0.19, 0.23), self.z))
        if self.z < 22:
            n = max(2, round(self.length / 2.5))
            step = self.length / n
            gleams = []
            for i in range(n):  # the sky in the panes, slanting
                low = self.strip(0.4, 2.5, step * (i + 0.2), step * (i + 0.45))
                high = self.strip(0.4, 2.5, step * (i + 0.45), step * (i + 0.8))
                gleams.append([low[0], low[3], high[2], high[1]])
            p.polys(gleams, p.haze, 0.2)
            p.polys(
                [self.strip(0.4, 2.5, step * i, step * i + 0.16) for i in range(1, n)], self.side((0.62, 0.62, 0.62))
            )
        over = self.strip(2.5, 4.2, 0.2, self.length - 0.2, 0.2)
        p.polys([over], self.side(board))
        if not self.sign or "script" in p.hide:
            return
        self._word_along(over, board, rng)
        if self.hanging:
            self._hanging(BOARDS[rng.randrange(len(BOARDS))], rng)

    def _word_along(self, box: list[Point], board: Colour, rng: random.Random) -> None:
        """A word on the board along the street, in perspective."""
        p = self.p
        word = lettering.word(p.scene.language, rng)
        corners = [box[1], box[2], box[3], box[0]] if self.d < 0 else [box[2], box[1], box[0], box[3]]
        wide, high = corners[1][0] - corners[0][0], (abs(box[1][1] - box[0][1]) + abs(box[2][1] - box[3][1])) / 2
        middle, level = (box[0][0] + box[2][0]) / 2, (box[0][1] + box[2][1] + box[1][1] + box[3][1]) / 4
        if wide < 14 or not 8 < middle < SIZE - 8 or not 6 < level < SIZE - 6:
            return
        matrix = skia.Matrix()
        matrix.setPolyToPoly([skia.Point(0, 0), skia.Point(wide, 0), skia.Point(wide, high), skia.Point(0, high)],
                             [skia.Point(*c) for c in corners])  # fmt: skip
        p.canvas.save()
        p.canvas.concat(matrix)
        tall = lettering.draw(p, word, 0, 0, wide, high, p.lit(ink_on(board), self.z, 0.8), False, stretch=1.7)
        p.canvas.restore()
        p.show("script", middle, level, tall)

    def _hanging(self, board: Colour, rng: random.Random) -> None:
        """A sign that stands out from the wall and faces the camera: upright in the languages that write so."""
        p, vertical = self.p, lettering.is_vertical(self.p.scene.language)
        z = self.z + 0.3
        k, (u, v) = p.focal / z, p.point(self.x, 4.2, z)
        high, wide = (max(4.6 * k, 48.0), max(1.4 * k, 16.0)) if vertical else (max(1.3 * k, 17.0), max(3.6 * k, 54.0))
        high, wide = min(high, 78.0), min(wide, 68.0)
        left = u - wide if self.d > 0 else u
        sign(p, [(left, v - high), (left + wide, v)], z, board, rng, vertical)


def seaside(p: Painter, objects: Objects) -> None:
    """What stands at the sea: parasols, boats, a lighthouse, a few houses on the land side."""
    s, rng = p.scene, p.scene.rng("seaside")
    if s.sea_side != 2:
        one_side(p, objects, -s.sea_side)
    warm = s.temperature > 19
    if s.sea_side == 2:
        for _ in range(rng.randint(2, 5) if warm else 0):
            x, z = rng.uniform(-9, 9), p.shore_z() * rng.uniform(0.45, 0.95)
            colour = rng.choice(((0.9, 0.25, 0.2), (0.95, 0.8, 0.2), (0.2, 0.5, 0.8), (0.95, 0.95, 0.95)))

            def parasol(x: float = x, z: float = z, colour: Colour = colour) -> None:
                k, (x0, y0) = p.focal / z, p.point(x, 0, z)
                p.ground_shadow(x, z, 0.8, 2.0)
                p.line((x0, y0), (x0, y0 - 2 * k), max(0.8, 0.06 * k), p.lit((0.9, 0.9, 0.88), z))
                p.poly(
                    [
                        (x0 - 1.2 * k, y0 - 1.7 * k),
                        (x0 - 0.5 * k, y0 - 2.3 * k),
                        (x0 + 0.5 * k, y0 - 2.3 * k),
                        (x0 + 1.2 * k, y0 - 1.7 * k),
                    ],
                    p.lit(colour, z),
                )

            objects.append((z, parasol))
    if rng.random() < 0.5:
        x, colour = rng.uniform(20, SIZE - 20), rng.choice(((0.95, 0.95, 0.95), (0.7, 0.2, 0.2), (0.2, 0.35, 0.6)))
        y = p.horizon + rng.uniform(3, 9)

        def boat(x: float = x) -> None:
            if "coast" in p.hide or (s.sea_side != 2 and (x - p.axis) * s.sea_side < 25):
                return
            p.poly([(x - 9, y), (x - 6, y + 4), (x + 7, y + 4), (x + 10, y)], p.lit(colour, 120))
            p.poly([(x, y - 15), (x, y - 1), (x + 8, y - 1)], p.lit((0.97, 0.96, 0.92), 120))

        objects.append((399.0, boat))
    if rng.random() < 0.22 and s.temperature < 21 and not neutral(p):
        x = p.axis + rng.choice((-1, 1)) * rng.uniform(40, 95)

        def lighthouse() -> None:
            y = p.horizon + 5
            p.show("architecture", x, y - 20, 10)
            for i in range(5):
                colour = (0.85, 0.2, 0.18) if i % 2 else (0.96, 0.96, 0.94)
                p.poly(
                    [
                        (x - 6 + i * 0.6, y - 9 * i),
                        (x - 5.4 + i * 0.6, y - 9 * i - 9),
                        (x + 5.4 - i * 0.6, y - 9 * i - 9),
                        (x + 6 - i * 0.6, y - 9 * i),
                    ],
                    p.lit(colour, 90, 0.7),
                )
            p.rect(x - 3.4, y - 51, 6.8, 6, (1, 0.9, 0.5) if s.night else p.lit((0.25, 0.3, 0.35), 90))
            p.poly([(x - 4.5, y - 51), (x, y - 56), (x + 4.5, y - 51)], p.lit((0.7, 0.16, 0.15), 90))

        objects.append((400.0, lighthouse))
