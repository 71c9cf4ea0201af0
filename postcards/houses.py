"""Detached houses in the region's manner, farm buildings, and the shop of a village.

The manners are caricatures: one or two broad tendencies a region, drawn so that they can be told apart in a small
picture. With the cue hidden, and by night, a plain grey house stands in their place, the same in every country.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import skia

from postcards import lettering
from postcards.brush import SIZE, Colour, Objects, Painter, Point, hex_colour, mix, scale
from postcards.visible import colour_word

WHITE: Colour = (0.95, 0.95, 0.93)
BEAM: Colour = (0.3, 0.2, 0.15)
SNOW: Colour = (0.95, 0.97, 1.0)
LAMP: Colour = (1.0, 0.82, 0.45)
DOORS = ((0.62, 0.16, 0.13), (0.12, 0.32, 0.5), (0.32, 0.22, 0.15), (0.1, 0.4, 0.3), (0.86, 0.66, 0.16))
BOARDS: tuple[Colour, ...] = (
    (0.75, 0.13, 0.12),
    (0.1, 0.3, 0.6),
    (0.1, 0.45, 0.28),
    (0.95, 0.75, 0.15),
    (0.93, 0.92, 0.88),
    (0.16, 0.16, 0.2),
)


@dataclass(frozen=True)
class Make:
    """One kind of house. Lengths in metres; no colours of its own means the region's."""

    roof: str  # gable (its end to the camera) | side (its slope to the camera) | hip | flat | shed | pagoda | gambrel
    rise: float = 2.6
    over: float = 0.4  # of the eaves
    skin: str = "plain"  # plain | boards | brick | timber | logs | chalet | beams | crenels
    trim: Colour = WHITE
    walls: tuple[str, ...] = ()
    roofs: tuple[str, ...] = ()
    own: float = 0.38  # how much of the province's paint is in the walls
    wide: float = 1.0
    height: float = 2.9  # of a floor
    floors: tuple[int, int] = (1, 2)
    stilts: float = 0.0
    ribs: bool = False  # corrugated iron, or rows of tiles
    # chimney shutters porch garage flowers bay corners cross carved endwalls tank terrace tower cubeblue steps banner
    extras: frozenset[str] = frozenset()


def _make(roof: str, rise: float = 2.6, extras: str = "", **rest: object) -> Make:
    """A kind of house with its extras as words."""
    return Make(roof, rise, extras=frozenset(extras.split()), **rest)  # type: ignore[arg-type]


PLAIN = _make("gable", walls=("#b8b5b0",), roofs=("#736b66",), own=0.0)
_THATCH = ("#a8874f", "#96763f")
_TERRACOTTA = ("#c2663f", "#b8563a")
MAKES: dict[str, Make] = {
    "clapboard": _make(
        "side",
        2.8,
        "porch garage chimney",
        skin="boards",
        walls=("#dfe3e4", "#b9c8d0", "#efe9d8", "#a9bba0", "#e6d3a8"),
        roofs=("#54565a", "#63564f"),
        wide=1.25,
    ),
    "ranch": _make("side", 1.6, "porch garage", skin="boards", floors=(1, 1), wide=1.5),
    "barn": _make(
        "gambrel",
        3.6,
        skin="boards",
        walls=("#9c2a22", "#a5372b", "#8a2620"),
        own=0.12,
        roofs=("#5a5c60", "#8d9196"),
        height=4.2,
        floors=(1, 1),
        wide=1.15,
        extras="cross",
    ),
    "casa": _make("flat", extras="tank", wide=0.9),
    "adobe": _make(
        "side",
        1.5,
        skin="beams",
        walls=("#b5724a", "#a8653f", "#c48a5f"),
        own=0.16,
        roofs=_TERRACOTTA,
        floors=(1, 1),
        wide=1.2,
    ),
    "pueblo": _make("flat", skin="beams", walls=("#c08a5c", "#b5794c"), own=0.16, floors=(1, 2)),
    "tropical": _make("hip", 1.7, "porch shutters", ribs=True, over=0.8, floors=(1, 1), roofs=("#b3402e", "#c9ccce")),
    "veranda": _make("hip", 2.0, "porch", ribs=True, over=0.9, floors=(1, 1), wide=1.3),
    "bungalow": _make(
        "hip",
        2.3,
        "porch",
        ribs=True,
        over=1.1,
        skin="boards",
        floors=(1, 1),
        wide=1.35,
        walls=("#e9e2d2", "#d2dcd8", "#e4cfa4", "#c7d3da"),
        roofs=("#9b4a38", "#6f7f7a", "#aab0b2"),
    ),
    "colonial": _make("hip", 2.0, over=0.7, extras="shutters", ribs=True, roofs=("#b4522f",)),
    "timber": _make(
        "gable",
        4.2,
        skin="timber",
        walls=("#f3ead6", "#efe3c8"),
        own=0.2,
        roofs=("#8f3f2c", "#6d3b30"),
        extras="flowers",
    ),
    "steep": _make("gable", 4.0, "chimney"),
    "longere": _make(
        "side", 3.4, "shutters chimney", walls=("#e6dcc4", "#d9cdb0", "#efe6d2"), roofs=("#4b525c", "#5a5a60")
    ),
    "brickgable": _make(
        "gable",
        4.2,
        "chimney",
        skin="brick",
        walls=("#a1523f", "#8f4838", "#b36a4f"),
        own=0.18,
        roofs=("#b3532f", "#3f4248"),
    ),
    "semi": _make(
        "side",
        2.7,
        "chimney bay",
        skin="brick",
        walls=("#9d4f3c", "#a85c47", "#8b4a3a"),
        own=0.18,
        roofs=("#4a4d55", "#5a4a46"),
        floors=(2, 2),
        wide=1.1,
    ),
    "cottage": _make("side", 3.0, "chimney", walls=("#f1eee4", "#e9e2d0"), roofs=("#4a4d55", "#8a7442"), floors=(1, 1)),
    "chalet": _make("gable", 2.4, "flowers shutters", skin="chalet", over=1.3, floors=(2, 3), wide=1.25),
    "villa": _make("gable", 1.5, "shutters", roofs=_TERRACOTTA, floors=(1, 2)),
    "finca": _make("side", 1.6, "shutters", roofs=_TERRACOTTA, wide=1.25),
    "cube": _make("flat", extras="cubeblue", walls=("#f7f5ee", "#f1efe8"), own=0.14),
    "redroof": _make("hip", 2.6, "chimney", over=0.6, roofs=("#b0432a", "#b85231")),
    "log": _make(
        "gable",
        3.0,
        "carved",
        skin="logs",
        walls=("#8a6238", "#7a5a3a", "#5f7f9a", "#6d8f5f"),
        own=0.25,
        roofs=("#4f7a5f", "#7a7f84", "#5f7f9a"),
        floors=(1, 1),
        ribs=True,
    ),
    "khata": _make(
        "hip", 2.6, "carved", walls=("#f0ede2", "#cfe0e8", "#e8dfb8"), roofs=("#8b9298", "#9a5a3f"), floors=(1, 1)
    ),
    "falu": _make(
        "gable",
        3.6,
        "corners chimney",
        skin="boards",
        walls=("#8e2a22", "#9c3226", "#8a2d20"),
        own=0.16,
        roofs=("#2f3237", "#5a3a32"),
    ),
    "painted": _make(
        "gable", 3.4, "corners", skin="boards", walls=("#d9a441", "#3f6f9f", "#e9e6df", "#a23a2c", "#4f7f68"), own=0.2
    ),
    "balcony": _make("hip", 2.2, "porch", over=0.8, floors=(2, 2), trim=(0.45, 0.3, 0.2)),
    "stone": _make("flat", extras="tank", walls=("#e9dfc6", "#ddd0b0", "#f1ead8"), own=0.22, floors=(1, 3)),
    "mud": _make("flat", skin="crenels", own=0.22),
    "windtower": _make("flat", extras="tower", skin="crenels", own=0.2),
    "tinroof": _make(
        "shed", 0.9, "bright", ribs=True, floors=(1, 1), roofs=("#9aa0a3", "#a8673f", "#8f979b"), wide=0.9
    ),
    "pucca": _make("flat", extras="tank terrace", own=0.34),
    "mudthatch": _make(
        "hip", 2.4, over=0.8, walls=("#b5855a", "#c49a6c"), own=0.15, roofs=_THATCH, floors=(1, 1), wide=0.8
    ),
    "gompa": _make(
        "flat", skin="beams", walls=("#f1ece0", "#e3d5c0"), trim=(0.55, 0.16, 0.13), extras="banner", floors=(2, 3)
    ),
    "stilt": _make(
        "gable",
        2.6,
        "steps",
        skin="boards",
        stilts=2.0,
        over=1.0,
        walls=("#8a6a45", "#7a5a3c", "#9fb8a8"),
        own=0.22,
        roofs=("#9a8a66", "#8f979b", "#a8523a"),
        floors=(1, 1),
        ribs=True,
        wide=0.9,
    ),
    "tube": _make("flat", extras="terrace shutters", wide=0.5, floors=(2, 4), height=3.1),
    "huizhou": _make(
        "side", 2.0, "endwalls", walls=("#eeece6", "#e4e1d8"), own=0.18, roofs=("#4a4e55", "#5c6067"), ribs=True
    ),
    "farmchina": _make(
        "side", 1.6, "", walls=("#d8cfc4", "#c9a08c", "#e8e4da"), roofs=("#8a4034", "#5c6067"), ribs=True
    ),
    "tilebox": _make("flat", extras="tank", walls=("#d9d4c8", "#b8c4c0", "#cbb9a2"), floors=(2, 3)),
    "minka": _make(
        "pagoda",
        2.9,
        over=1.0,
        skin="beams",
        trim=(0.3, 0.24, 0.2),
        roofs=("#3f4a5a", "#4a4f55", "#59626c"),
        ribs=True,
        wide=1.15,
        own=0.25,
    ),
    "giwa": _make("pagoda", 2.2, over=0.9, roofs=("#3f5f86", "#3f7f6a", "#4f5660"), ribs=True, floors=(1, 1), wide=1.2),
    "steppe": _make(
        "side",
        1.8,
        "shutters",
        walls=("#f2f0ea", "#dfe8ee"),
        roofs=("#4f7fa8", "#8a8f93", "#a5553b"),
        trim=(0.2, 0.45, 0.72),
        floors=(1, 1),
    ),
}

# What stands in a region's suburbs and villages, and what in the country. `hut`, `yurt` and `silo` are round.
_KINDS: dict[str, tuple[str, str]] = {
    "namerica": ("clapboard clapboard ranch", "barn silo barn clapboard ranch"),
    "mexico": ("casa casa adobe", "casa adobe"),
    "camerica": ("tropical veranda", "tropical"),
    "carib": ("tropical", "tropical"),
    "andes": ("adobe casa", "adobe adobe"),
    "brazil": ("colonial veranda", "colonial veranda"),
    "cone": ("redroof finca", "veranda finca"),
    "weurope": ("steep brickgable", "steep brickgable"),
    "british": ("semi semi semi", "cottage cottage semi"),
    "alpine": ("chalet chalet timber", "chalet"),
    "med": ("villa finca", "finca villa"),
    "ceurope": ("steep redroof", "steep redroof"),
    "balkan": ("redroof", "redroof"),
    "eeurope": ("khata log", "khata log"),
    "russia": ("log log khata", "log"),
    "baltic": ("painted steep", "painted falu"),
    "nordic": ("falu painted falu", "falu falu painted"),
    "caucasus": ("balcony", "balcony redroof"),
    "anatolia": ("redroof villa", "redroof mud"),
    "levant": ("stone", "stone"),
    "gulf": ("windtower mud stone", "mud windtower"),
    "persia": ("mud windtower", "mud"),
    "nafrica": ("mud stone", "mud"),
    "wafrica": ("tinroof veranda", "hut tinroof hut"),
    "eafrica": ("tinroof veranda", "hut tinroof hut"),
    "safrica": ("veranda redroof", "hut hut veranda"),
    "southasia": ("pucca pucca", "mudthatch pucca"),
    "himalaya": ("gompa", "gompa"),
    "seasia": ("stilt colonial", "stilt"),
    "vietnam": ("tube tube", "tube stilt"),
    "china": ("farmchina huizhou", "huizhou farmchina"),
    "taiwan": ("tilebox", "tilebox farmchina"),
    "japan": ("minka", "minka"),
    "korea": ("giwa tilebox", "giwa"),
    "casia": ("steppe", "yurt steppe yurt"),
    "oceania": ("bungalow bungalow brickgable", "bungalow ranch"),
    "polar": ("painted", "painted"),
    "other": ("veranda redroof", "veranda"),
}
_KINDS_OF_COUNTRY: dict[str, tuple[str, str]] = {
    "DE": ("timber steep steep", "timber timber steep"),
    "FR": ("longere steep", "longere longere"),
    "NL": ("brickgable", "brickgable"),
    "BE": ("brickgable", "brickgable longere"),
    "GR": ("cube villa", "cube villa"),
    "CY": ("cube villa", "villa"),
    "DK": ("brickgable painted", "brickgable falu"),
    "IS": ("painted", "painted"),
    "MN": ("steppe yurt", "yurt"),
    "IE": ("cottage semi", "cottage"),
    "SG": ("colonial tilebox", "colonial"),
    "BN": ("stilt", "stilt"),
    "LK": ("colonial pucca", "colonial mudthatch"),
    "AR": ("redroof finca", "finca veranda"),
}


def neutral(p: Painter) -> bool:
    """Are buildings drawn without their region's manner? By night nothing of it could be made out."""
    return "architecture" in p.hide or p.scene.night


def note(p: Painter, corners: Sequence[Point]) -> bool:
    """Note a building whose outline on the canvas spans `corners` as seen; False where it is out of the picture."""
    left, right = max(0.0, min(c[0] for c in corners)), min(float(SIZE), max(c[0] for c in corners))
    top, foot = max(0.0, min(c[1] for c in corners)), min(float(SIZE), max(c[1] for c in corners))
    if right <= left or foot <= top:
        return False
    if not neutral(p):
        p.show("architecture", (left + right) / 2, (top + foot) / 2, foot - top)
    return True


def tell(p: Painter, corners: Sequence[Point], **facts: str) -> None:
    """Note facts of a part of a building whose outline on the canvas spans `corners`, if half of it can be made out."""
    left, right = max(0.0, min(c[0] for c in corners)), min(float(SIZE), max(c[0] for c in corners))
    top, foot = max(0.0, min(c[1] for c in corners)), min(float(SIZE), max(c[1] for c in corners))
    for name, value in facts.items():
        p.tell(name.replace("_", " "), value, (left + right) / 2, (top + foot) / 2, min(right - left, foot - top) / 2)


def wall_colour(p: Painter, rng: random.Random, own: tuple[str, ...] = (), leaning: float = 0.38) -> Colour:
    """Paint of a wall: the region's, or the house's own, leaning towards the province's."""
    pick = rng.random()
    if neutral(p):
        return 0.72, 0.71, 0.69
    palette = own or p.scene.region.walls
    return mix(hex_colour(palette[int(pick * len(palette))]), p.scene.province.wall, leaning)


def roof_colour(p: Painter, rng: random.Random, own: tuple[str, ...] = (), leaning: float = 0.5) -> Colour:
    """Colour of a roof, leaning towards the province's; white under snow."""
    pick = rng.random()
    palette = own or p.scene.region.roofs
    colour = mix(hex_colour(palette[int(pick * len(palette))]), p.scene.province.roof, leaning)
    return snowed(p, (0.45, 0.42, 0.4) if neutral(p) else colour)


def snowed(p: Painter, colour: Colour) -> Colour:
    """The colour of a roof, or of snow on it."""
    return mix(colour, SNOW, 0.85) if p.scene.snow > 0.35 and "snow" not in p.hide else colour


def show_snow(p: Painter, at: Point, size: float) -> None:
    """Note snow on a roof as seen, where it lies."""
    if p.scene.snow > 0.35 and "snow" not in p.hide:
        p.show("snow", min(max(at[0], 4.0), SIZE - 4.0), at[1], size)


def strokes(p: Painter, lines: Sequence[tuple[Point, Point]], width: float, colour: Colour, alpha: float = 1.0) -> None:
    """Many lines of one colour in one call."""
    path = skia.Path()
    for a, b in lines:
        path.moveTo(*a)
        path.lineTo(*b)
    p.canvas.drawPath(path, p.outline(colour, width, alpha))


def between(a: Point, b: Point, t: float) -> Point:
    """The point that divides the line from a to b at t."""
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


@dataclass
class Box:
    """The body of a house: `x` and `z` of its corner next to the road and the camera."""

    p: Painter
    x: float
    z: float
    wide: float
    deep: float
    h: float
    base: float = 0.0
    d: int = field(init=False)
    k: float = field(init=False)  # pixels a metre on the wall that faces the camera

    def __post_init__(self) -> None:
        self.d = 1 if self.x > 0 else -1
        self.k = self.p.focal / self.z
        self.corner = self.p.point(self.x, 0, self.z)

    def front(self, u: float, v: float) -> Point:
        """A point on the wall that faces the camera, u metres from the road's corner and v above the ground."""
        return self.corner[0] + self.d * u * self.k, self.corner[1] - v * self.k

    def pane(self, u0: float, v0: float, u1: float, v1: float) -> list[Point]:
        """A rectangle on that wall."""
        a, b = self.front(u0, v0), self.front(u1, v1)
        return [a, (a[0], b[1]), b, (b[0], a[1])]

    def side(self, t0: float, v0: float, t1: float, v1: float) -> list[Point]:
        """A rectangle on the wall along the road, from t0 to t1 metres behind the corner."""
        point, x, z = self.p.point, self.x, self.z
        return [point(x, v0, z + t0), point(x, v1, z + t0), point(x, v1, z + t1), point(x, v0, z + t1)]

    def at(self, u: float, v: float, t: float) -> Point:
        """Any point: u metres away from the road, v up, t behind the front."""
        return self.p.point(self.x + self.d * u, v, self.z + t)


def kinds(p: Painter, farm: bool) -> list[str]:
    """The kinds of house that stand here."""
    country = p.scene.country
    pair = _KINDS_OF_COUNTRY.get(country.iso) or _KINDS.get(country.region) or _KINDS["other"]
    return pair[1 if farm else 0].split()


def houses(p: Painter, objects: Objects) -> None:
    """Detached houses in gardens; farms in the country, one of them always near enough to look at."""
    s = p.scene
    chance = {"suburb": 0.92, "village": 0.66, "rural": 0.26}[s.kind]
    gap = {"suburb": 3.0, "village": 7.0, "rural": 13.0}[s.kind]
    names, lot = kinds(p, s.kind == "rural"), shop_lot(p)
    for d in (-1, 1):
        if s.sea_side == d and "coast" not in p.hide:
            continue
        rng = s.rng(f"houses {d}")
        z = rng.uniform(11, 17)
        while z < 85:
            wide, deep, away = rng.uniform(7, 10), rng.uniform(7, 10), rng.random()
            pick, salt, roll = rng.random(), rng.random(), rng.random()
            x = d * (s.lanes + 4.5 + 3.5 * away + (6 * away if s.kind == "rural" else 0))
            if roll < chance and not (lot and lot[0] == d and -9 < z - lot[1] < 7):
                _add(p, objects, names[int(pick * len(names))], (x, z, wide, deep), salt)
            z += deep + gap * rng.uniform(0.6, 1.6)
    if s.kind == "rural":
        farm(p, objects, names)
    if s.kind in {"suburb", "village"}:
        shop(p, objects)


def farm(p: Painter, objects: Objects, names: list[str]) -> None:
    """Two farm buildings where they are in the picture: in the country little else tells where one is."""
    s, rng = p.scene, p.scene.rng("farm")
    d = p.side if rng.random() < 0.2 else -p.side  # road signs stand on the driver's side, and would hide it
    if s.sea_side:
        d = -s.sea_side
    z = p.focal * (rng.uniform(0.1, 0.13) if d == p.side else rng.uniform(0.13, 0.165))
    for away, behind in ((rng.uniform(3.5, 6), 0.0), (rng.uniform(9, 12), rng.uniform(9, 14))):
        name, salt = names[int(rng.random() * len(names))], rng.random()
        if s.sea_side != 2:
            _add(p, objects, name, (d * (s.lanes + away), z + behind, 8.0, 8.0), salt)


def one_side(p: Painter, objects: Objects, d: int) -> None:
    """Houses along one side of a road by the sea."""
    s, rng = p.scene, p.scene.rng("seaside houses")
    z, names, lot = rng.uniform(10, 15), kinds(p, False), shop_lot(p)
    while z < 80 and s.urban > 0.08:
        name = names[int(rng.random() * len(names))]
        salt = rng.random()
        if not (lot and -9 < z - lot[1] < 7):
            _add(p, objects, name, (d * (s.lanes + 5), z, 9.0, 8.0), salt)
        z += rng.uniform(10, 18)
    if s.urban > 0.08:
        shop(p, objects)


def _add(p: Painter, objects: Objects, name: str, lot: tuple[float, float, float, float], salt: float) -> None:
    x, z, wide, deep = lot

    def one() -> None:
        if neutral(p):
            house(p, x, z, wide, deep, PLAIN, random.Random(salt))
        elif name in ROUND:
            ROUND[name](p, x, z, random.Random(salt))
            _tell_round(p, name, x, z)
        else:
            house(p, x, z, wide, deep, MAKES[name], random.Random(salt))

    objects.append((z + 1, one))


def _tell_round(p: Painter, name: str, x: float, z: float) -> None:
    k, (u, v) = p.focal / z, p.point(x + (2.6 if x > 0 else -2.6), 0, z)
    if name in {"hut", "yurt"}:
        p.tell("roof", {"hut": "thatched cone", "yurt": "felt"}[name], u, v - 3 * k, 1.5 * k)


def _tell_house(b: Box, make: Make, wall: Colour, roof: Colour) -> None:
    """Note what this house is like; of several the nearest counts."""
    p = b.p
    if neutral(p):
        return
    tell(p, [b.front(0, b.base), b.front(b.wide, b.h), b.at(0, b.h, b.deep)], wall_colour=colour_word(wall))
    if b.z < 40:
        tell(p, [b.front(0, b.h - 1.6), b.front(b.wide, b.h)], walls=make.skin)
    rise = max(1.0, make.rise if make.roof != "flat" else 0.0)
    top = [b.front(0, b.h - 0.3), b.front(b.wide, b.h + rise)]
    tell(p, top, roof=make.roof)
    if make.roof != "flat" and not (p.scene.snow > 0.35 and "snow" not in p.hide):
        tell(p, top, roof_colour=colour_word(roof))


def house(p: Painter, x: float, z: float, wide: float, deep: float, make: Make, rng: random.Random) -> None:
    """A detached house seen from the road."""
    wall, roof = wall_colour(p, rng, make.walls, make.own), roof_colour(p, rng, make.roofs)
    floors = make.floors[1] if rng.random() < 0.3 + 0.3 * p.scene.urban else make.floors[0]
    b = Box(p, x, z, wide * make.wide, deep, make.stilts + make.height * floors, make.stilts)
    if not note(p, [b.at(0, 0, 0), b.at(b.wide, b.h + make.rise, 0), b.at(0, 0, deep)]):
        return
    if z < 50:
        p.ground_shadow(x + b.d * b.wide / 2, z + 1, b.wide * 0.4, b.h)
    if make.stilts:
        posts = [b.pane(u, 0, u + 0.3, make.stilts) for u in (0.1, b.wide / 2, b.wide - 0.4)]
        posts += [b.side(t, 0, t + 0.4, make.stilts) for t in (deep / 2, deep - 0.4)]
        p.polys([b.side(0, 0, deep, make.stilts)], p.lit((0.16, 0.14, 0.12), z), 0.55)
        p.polys(posts, p.lit((0.32, 0.25, 0.18), z))
    front = p.lit(wall, z, p.towards_sun(0, -1))
    p.poly(b.side(0, b.base, deep, b.h), p.lit(scale(wall, 0.93), z + 3, p.towards_sun(-b.d, 0)))
    p.poly(b.pane(0, b.base, b.wide, b.h), front)
    if make.roof != "flat" and z < 32:  # the eaves' shadow
        p.polys([b.pane(0, b.h - 0.5, b.wide, b.h), b.side(0, b.h - 0.5, deep, b.h)], (0.05, 0.05, 0.1), 0.2)
    near = z < 50
    if z < 40 and make.skin not in {"plain", "crenels"}:
        _skin(b, make, wall)
    _roof(b, make, roof, front, wall)
    _tell_house(b, make, wall, roof)
    if near:
        _openings(b, make, floors, rng)
        _extras(b, make, wall, rng)


def _skin(b: Box, make: Make, wall: Colour) -> None:
    """What the walls are made of: lines of boards, courses, logs, beams."""
    p, z = b.p, b.z
    if make.skin in {"boards", "logs", "brick"}:
        step = {"boards": 0.36, "logs": 0.42, "brick": 0.5}[make.skin]
        if step * b.k < 2.2:
            step = 2.2 / b.k
        rows = [b.base + step * (i + 1) for i in range(int((b.h - b.base) / step))]
        lines = [(b.front(0, v), b.front(b.wide, v)) for v in rows]
        lines += [(b.front(0, v), b.at(0, v, b.deep)) for v in rows]
        strokes(p, lines, max(0.5, 0.06 * b.k), p.lit(scale(wall, 0.66), z), 0.6)
    elif make.skin == "timber":
        _timber(b)
    elif make.skin == "chalet":
        wood = (0.44, 0.28, 0.17)
        p.polys([b.pane(0, b.h / 2, b.wide, b.h)], p.lit(wood, z, p.towards_sun(0, -1)))
        p.polys([b.side(0, b.h / 2, b.deep, b.h)], p.lit(scale(wood, 0.9), z, p.towards_sun(-b.d, 0)))
    elif make.skin == "beams":
        strip = [b.pane(0, b.h - 0.5, b.wide, b.h - 0.2), b.side(0, b.h - 0.5, b.deep, b.h - 0.2)]
        if make.trim == WHITE:  # the ends of roof beams stick out of mud walls
            strip = [b.pane(u * 0.9 + 0.3, b.h - 0.7, u * 0.9 + 0.6, b.h - 0.4) for u in range(int(b.wide / 0.9))]
        p.polys(strip, p.lit(BEAM if make.trim == WHITE else make.trim, z))


def _timber(b: Box) -> None:
    """Dark beams: sills, posts and braces on the wall that faces the camera, and posts along the side."""
    w, h, thick = b.wide, b.h, 0.26
    beams = [b.pane(0, v, w, v + thick) for v in (0.0, h * 0.5, h - thick)]
    beams += [b.pane(u, 0, u + thick, h) for u in (0.0, w * 0.33, w * 0.66, w - thick)]
    for u0, u1 in ((0.0, w * 0.33), (w, w * 0.66)):
        for v0, v1 in ((0.0, h * 0.5), (h * 0.5, h)):
            beams.append([b.front(u0, v1), b.front(u0 + 0.3, v1), b.front(u1, v0), b.front(u1 - 0.3, v0)])
    beams += [b.side(t, 0, t + thick, h) for t in (0.0, b.deep * 0.5, b.deep - thick)]
    beams += [b.side(0, v, b.deep, v + thick) for v in (h * 0.5, h - thick)]
    b.p.polys(beams, b.p.lit(BEAM, b.z))


def _roof(b: Box, make: Make, roof: Colour, front: Colour, wall: Colour) -> None:
    """The roof in its form. `slope` turns to the road, `face` to the camera."""
    p, d, z = b.p, b.d, b.z
    slope, face = p.lit(roof, z, p.towards_sun(-d * 0.6, -0.2)), p.lit(scale(roof, 0.87), z, p.towards_sun(0, -0.8))
    show_snow(p, b.front(b.wide / 2, b.h), max(3.0, make.rise * b.k * 0.5))
    if make.roof == "flat":
        _flat_roof(b, make, wall)
        return
    if make.roof in {"gable", "gambrel"}:
        _gable_roof(b, make, slope, face, front)
        return
    w, o, h, rise = b.wide, make.over, b.h, make.rise
    eave0, eave1 = b.at(-o, h - 0.1, -o), b.at(w + o, h - 0.1, -o)
    if make.roof == "side":
        top0, top1 = b.at(-o, h + rise, b.deep / 2), b.at(w + o, h + rise, b.deep / 2)
        p.poly(
            [b.at(0, h, 0), b.at(0, h + rise, b.deep / 2), b.at(0, h, b.deep)],
            p.lit(scale(wall, 0.93), z, p.towards_sun(-d, 0)),
        )
    elif make.roof == "shed":
        top0, top1 = b.at(-o, h + rise, b.deep), b.at(w + o, h + rise, b.deep)
        p.poly(
            [b.at(0, h, 0), b.at(0, h + rise, b.deep), b.at(0, h, b.deep)],
            p.lit(scale(wall, 0.93), z, p.towards_sun(-d, 0)),
        )
    else:
        top0, top1 = b.at(w * 0.3, h + rise, b.deep * 0.4), b.at(w * 0.7, h + rise, b.deep * 0.4)
        p.poly([eave0, top0, b.at(-o, h - 0.1, b.deep + o)], slope)
    if make.roof == "pagoda":  # eaves that turn up
        lift = 0.4 * b.k
        mid0, mid1 = between(eave0, eave1, 0.16), between(eave0, eave1, 0.84)
        bend0, bend1 = between(mid0, top0, 0.35), between(mid1, top1, 0.35)
        p.poly([(eave0[0], eave0[1] - lift), (bend0[0], bend0[1] + lift * 0.3), top0, top1,
                (bend1[0], bend1[1] + lift * 0.3), (eave1[0], eave1[1] - lift), mid1, mid0], face)  # fmt: skip
        p.line(top0, top1, max(0.8, 0.32 * b.k), scale(face, 0.75))
    else:
        p.poly([eave0, top0, top1, eave1], face)
        p.line(eave0, eave1, max(0.7, 0.14 * b.k), scale(face, 0.72))
    if make.ribs and z < 45:
        lines = [(between(eave0, eave1, i / 12), between(top0, top1, i / 12)) for i in range(1, 12)]
        strokes(p, lines, 0.6, scale(face, 0.76))
    if "endwalls" in make.extras:  # white gable walls step up over the roof
        p.line(eave0, top0, max(1.0, 0.4 * b.k), p.lit(WHITE, z))
        p.line(eave1, top1, max(1.0, 0.4 * b.k), p.lit(WHITE, z))


def _gable_roof(b: Box, make: Make, slope: Colour, face: Colour, front: Colour) -> None:
    """A gable that looks at the camera; a gambrel breaks its slope, as on a barn."""
    p, o, w, h, rise = b.p, make.over, b.wide, b.h, make.rise
    if make.roof == "gambrel":
        outline = [(0.0, h), (w * 0.14, h + rise * 0.62), (w / 2, h + rise), (w * 0.86, h + rise * 0.62), (w, h)]
    else:
        drop = 0.3 if o < 0.9 else 0.5
        outline = [(-o, h - drop), (w / 2, h + rise), (w + o, h - drop)]
    p.poly([b.front(max(0.0, min(w, u)), max(h, v)) for u, v in outline], front)
    near, far = [b.at(u, v, -o) for u, v in outline], [b.at(u, v, b.deep) for u, v in outline]
    half = len(outline) // 2 + 1
    p.polys([[near[i], near[i + 1], far[i + 1], far[i]] for i in range(half - 1)], slope)
    width = max(0.8, 0.3 * b.k)
    strokes(p, list(pairwise(near)), width, WHITE if "cross" in make.extras else face)
    if b.z < 45 and make.skin == "timber":
        a = b.front(w / 2, h + rise - 0.4)
        lines = [(a, b.front(w / 2, h)), (b.front(w * 0.25, h), b.front(w * 0.25, h + rise * 0.5)),
                 (b.front(w * 0.75, h), b.front(w * 0.75, h + rise * 0.5)),
                 (b.front(w * 0.25, h + rise * 0.45), b.front(w * 0.75, h + rise * 0.45))]  # fmt: skip
        strokes(p, lines, max(0.8, 0.24 * b.k), p.lit(BEAM, b.z))


def _flat_roof(b: Box, make: Make, wall: Colour) -> None:
    """A parapet, and what stands on a flat roof."""
    p, z, h = b.p, b.z, b.h
    cap = snowed(p, scale(wall, 0.8))
    width = max(0.8, 0.25 * b.k)
    strokes(p, [(b.front(0, h), b.front(b.wide, h)), (b.front(0, h), b.at(0, h, b.deep))], width, p.lit(cap, z))
    if make.skin == "crenels":
        p.polys([b.pane(u * 0.9, h, u * 0.9 + 0.5, h + 0.5) for u in range(int(b.wide / 0.9))], p.lit(wall, z))
    if "tank" in make.extras:
        dark = "tinaco" in p.scene.region.extras or p.scene.country.region in {"southasia", "andes"}
        colour = (0.12, 0.12, 0.13) if dark else (0.92, 0.93, 0.94)
        (u, v) = b.front(b.wide * 0.3, h)
        p.rect(u - 0.7 * b.k, v - 1.5 * b.k, 1.4 * b.k, 1.5 * b.k, p.lit(colour, z), r=0.25 * b.k)
        p.poly(
            [b.front(b.wide * 0.5, h), b.front(b.wide * 0.5, h + 0.9), b.front(b.wide * 0.72, h)],
            p.lit((0.2, 0.25, 0.4), z),
        )
    if "terrace" in make.extras:  # a room on the roof, and a railing
        p.poly(b.pane(b.wide * 0.5, h, b.wide, h + 2.2), p.lit(scale(wall, 0.86), z))
        rail = [(b.front(0, h + 0.9), b.front(b.wide * 0.5, h + 0.9))]
        strokes(p, rail, max(0.7, 0.14 * b.k), p.lit(WHITE, z))
    if "tower" in make.extras:  # a wind tower with its slots
        tower = [b.pane(b.wide * 0.2, h, b.wide * 0.2 + 2.2, h + 4.2)]
        p.polys(tower, p.lit(scale(wall, 0.94), z))
        slots = [b.pane(b.wide * 0.2 + 0.3 + 0.6 * i, h + 1.6, b.wide * 0.2 + 0.6 + 0.6 * i, h + 3.7) for i in range(3)]
        p.polys(slots, p.lit(scale(wall, 0.35), z))
    if "cubeblue" in make.extras:
        (u, v) = b.front(b.wide * 0.65, h)
        r = min(b.wide * 0.22, 1.9) * b.k
        p.canvas.save()
        p.canvas.clipRect(skia.Rect.MakeLTRB(u - r, v - r, u + r, v))
        p.disc(u, v, r, p.lit((0.13, 0.36, 0.72), z))
        p.canvas.restore()


def _openings(b: Box, make: Make, floors: int, rng: random.Random) -> None:
    """Windows with their frames and shutters, and the door."""
    p, z, w = b.p, b.z, b.wide
    lit_up, tone, plain = rng.random() < 0.6, rng.random(), neutral(p)
    glass = LAMP if p.scene.night and lit_up else mix(p.lit((0.24, 0.32, 0.43), z), p.haze, 0.12)
    trim = p.lit(WHITE if plain else make.trim, z)
    places = (0.5,) if w < 5 else (0.2, 0.8) if w < 9 else (0.14, 0.34, 0.8)
    sills = [b.base + make.height * floor + 0.95 for floor in range(floors)]
    tall = make.height * 0.42
    spots = [(w * t - 0.65, w * t + 0.65, v, v + tall) for v in sills for t in places]
    beside = [(b.deep * t - 0.9, v, b.deep * t + 0.9, v + tall) for v in sills for t in (0.3, 0.72)]
    if z < 36:
        p.polys(_frames(b, make, spots), trim)
        panes = [b.pane(u0, v0, u0 + 0.58, v1) for u0, _, v0, v1 in spots]
        panes += [b.pane(u1 - 0.58, v0, u1, v1) for _, u1, v0, v1 in spots]
    else:
        panes = [b.pane(u0, v0, u1, v1) for u0, u1, v0, v1 in spots]
    p.polys(panes + [b.side(*spot) for spot in beside], glass)
    if "shutters" in make.extras:
        leaves = [b.pane(u - 0.75, v0, u - 0.1, v1) for u0, u1, v0, v1 in spots for u in (u0, u1 + 0.85)]
        colours = ((0.2, 0.42, 0.34), (0.24, 0.36, 0.55), (0.5, 0.27, 0.2))
        p.polys(leaves, p.lit(make.trim if make.trim != WHITE else colours[int(tone * 3)], z))
    if "flowers" in make.extras:
        p.polys([b.pane(u0 - 0.2, v0 - 0.4, u1 + 0.2, v0) for u0, u1, v0, _ in spots], p.lit((0.82, 0.16, 0.24), z))
    if w >= 5:
        middle = w * (0.5 if w < 9 else 0.57)
        p.polys([b.pane(middle - 0.75, b.base, middle + 0.75, b.base + 2.25)], p.lit(WHITE, z))
        door = (0.34, 0.3, 0.28) if plain else DOORS[int(tone * len(DOORS))]
        p.polys([b.pane(middle - 0.55, b.base, middle + 0.55, b.base + 2.1)], p.lit(door, z))


def _frames(b: Box, make: Make, spots: Sequence[tuple[float, float, float, float]]) -> list[list[Point]]:
    """Frames around windows; in Russia with a carved gable over each."""
    frames = [b.pane(u0 - 0.18, v0 - 0.18, u1 + 0.18, v1 + 0.18) for u0, u1, v0, v1 in spots]
    if "carved" in make.extras:
        for u0, u1, _, v1 in spots:
            peak = b.front((u0 + u1) / 2, v1 + 0.75)
            frames.append([b.front(u0 - 0.4, v1 + 0.15), peak, b.front(u1 + 0.4, v1 + 0.15)])
    return frames


def _extras(b: Box, make: Make, wall: Colour, rng: random.Random) -> None:
    """Chimneys, porches, garages, corner boards, bays: what makes the manner."""
    p, z, w, h, has = b.p, b.z, b.wide, b.h, make.extras
    light = p.lit(WHITE, z, p.towards_sun(0, -1))
    if "corners" in has:
        p.polys([b.pane(0, 0, 0.3, h), b.pane(w - 0.3, 0, w, h), b.side(b.deep - 0.4, 0, b.deep, h)], light)
    if "cross" in has:  # a barn's door with its white cross
        door = b.pane(w * 0.3, 0, w * 0.7, 3.2)
        p.polys([door], p.lit(scale(wall, 0.8), z))
        edges = [*zip(door, [*door[1:], door[0]], strict=True), (door[0], door[2]), (door[1], door[3])]
        strokes(p, edges, max(0.8, 0.2 * b.k), light)
    if "chimney" in has:
        for u in (0.16, 0.84) if "bay" in has else (0.7,):
            base = h + make.rise * (1 if make.roof == "side" else 0.55)
            c = b.at(w * u, base, b.deep / 2 if make.roof == "side" else 0.5)
            p.rect(c[0] - 0.5 * b.k, c[1] - 1.3 * b.k, b.k, 1.8 * b.k, p.lit((0.5, 0.28, 0.22), z))
    if "bay" in has:  # white bay windows on both floors
        bay = [b.pane(w * 0.14, 0.4, w * 0.36, 2.6), b.pane(w * 0.14, 3.2, w * 0.36, 5.2)]
        p.polys(bay, light)
        glass = [
            b.pane(w * (0.155 + 0.067 * i), v, w * (0.155 + 0.067 * i) + w * 0.053, v + 1.4)
            for i in range(3)
            for v in (1.0, 3.6)
        ]
        p.polys(glass, mix(p.lit((0.24, 0.32, 0.43), z), p.haze, 0.12))
    if "garage" in has:
        p.polys([b.pane(w * 0.66, 0, w * 0.96, 2.3)], light)
        rows = [(b.front(w * 0.66, v), b.front(w * 0.96, v)) for v in (0.6, 1.15, 1.7)]
        strokes(p, rows, max(0.5, 0.07 * b.k), p.lit((0.6, 0.6, 0.6), z))
    if "porch" in has:
        _porch(b, make)
    if "bright" in has:  # a bright door and shutter in a plain wall
        p.polys([b.pane(w * 0.5 - 0.7, 0, w * 0.5 + 0.7, 2.2)], p.lit(DOORS[rng.randrange(5)], z))
    if "steps" in has:
        p.poly(
            [b.front(w * 0.45, b.base), b.front(w * 0.6, b.base), b.front(w * 0.7, 0), b.front(w * 0.5, 0)],
            p.lit((0.45, 0.34, 0.22), z),
        )
    if "banner" in has:
        for i, paint in enumerate(((0.2, 0.4, 0.8), WHITE, (0.8, 0.2, 0.2), (0.2, 0.6, 0.3), (0.95, 0.8, 0.2))):
            p.polys([b.pane(w * (0.05 + 0.19 * i), h + 0.5, w * (0.05 + 0.19 * i) + 0.9, h + 1.2)], p.lit(paint, z))


def _porch(b: Box, make: Make) -> None:
    """A roof on posts before the front."""
    p, z, w, out = b.p, b.z, b.wide, -1.6
    end = w * 0.64 if "garage" in make.extras else w
    top = b.base + 2.5
    p.polys([b.pane(0, b.base, end, top)], p.lit((0.1, 0.1, 0.12), z), 0.22)
    posts = []
    for i in range(4):
        a, c = b.at(end * i / 3, 0, out), b.at(end * i / 3, top, out)
        half = max(0.5, 0.11 * b.k)
        posts.append([(a[0] - half, a[1]), (c[0] - half, c[1]), (c[0] + half, c[1]), (a[0] + half, a[1])])
    p.polys(posts, p.lit(make.trim, z))
    rail = (b.at(0, b.base + 0.9, out), b.at(end, b.base + 0.9, out))
    strokes(p, [rail], max(0.6, 0.12 * b.k), p.lit(make.trim, z))
    shade = p.lit(snowed(p, scale(p.scene.province.roof, 0.9)), z, 0.5)
    p.poly(
        [
            b.at(-0.3, top, out - 0.2),
            b.at(-0.3, top + 0.7, 0),
            b.at(end + 0.3, top + 0.7, 0),
            b.at(end + 0.3, top, out - 0.2),
        ],
        shade,
    )


def _hut(p: Painter, x: float, z: float, rng: random.Random) -> None:
    """A round hut under a cone of thatch."""
    k, (u, v) = p.focal / z, p.point(x + (2.5 if x > 0 else -2.5), 0, z)
    wall = p.lit(wall_colour(p, rng, ("#b5794c", "#c99a66", "#a8653f"), 0.15), z, p.towards_sun(0, -1))
    thatch = p.lit(mix(hex_colour(_THATCH[0]), p.scene.province.roof, 0.2), z, 0.5)
    if not note(p, [(u - 3 * k, v), (u + 3 * k, v - 5 * k)]):
        return
    p.ground_shadow(x, z, 2.2, 3.5)
    p.rect(u - 2.3 * k, v - 2.2 * k, 4.6 * k, 2.2 * k, wall)
    p.rect(u - 2.3 * k, v - 0.7 * k, 4.6 * k, 0.7 * k, scale(wall, 0.78))
    p.rect(u - 0.5 * k, v - 1.7 * k, k, 1.7 * k, p.lit((0.16, 0.11, 0.08), z))
    p.polys([[(u - 3.2 * k, v - 1.8 * k), (u, v - 5.2 * k), (u + 3.2 * k, v - 1.8 * k), (u, v - 1.45 * k)]], thatch)
    p.polys([[(u + 0.3 * k, v - 1.5 * k), (u, v - 5.2 * k), (u + 3.2 * k, v - 1.8 * k)]], scale(thatch, 0.84))
    lines = [((u, v - 5 * k), (u + t * k, v - 1.7 * k)) for t in (-2.2, -1.1, 0.0, 1.1, 2.2)]
    strokes(p, lines, max(0.5, 0.08 * k), scale(thatch, 0.7), 0.7)


def _yurt(p: Painter, x: float, z: float, rng: random.Random) -> None:
    """A white felt tent with a coloured band and door."""
    k, (u, v) = p.focal / z, p.point(x + (2.8 if x > 0 else -2.8), 0, z)
    band = p.lit(mix(DOORS[rng.randrange(2)], p.scene.province.roof, 0.4), z)
    felt = p.lit((0.95, 0.94, 0.9), z, p.towards_sun(0, -1))
    if not note(p, [(u - 3 * k, v), (u + 3 * k, v - 3.9 * k)]):
        return
    p.ground_shadow(x, z, 2.4, 2.5)
    p.rect(u - 2.9 * k, v - 2.0 * k, 5.8 * k, 2.0 * k, felt)
    p.rect(u + 1.5 * k, v - 2.0 * k, 1.4 * k, 2.0 * k, scale(felt, 0.86))
    eave, top = v - 2.0 * k, v - 3.7 * k
    p.poly([(u - 3.1 * k, eave), (u - 0.8 * k, top), (u + 0.8 * k, top), (u + 3.1 * k, eave)], scale(felt, 0.8))
    seams = [((u + t * 0.28 * k, top), (u + t * k, eave)) for t in (-1.8, -0.6, 0.6, 1.8)]
    strokes(p, seams, max(0.5, 0.07 * k), band)
    p.rect(u - 0.8 * k, top - 0.25 * k, 1.6 * k, 0.3 * k, band)
    p.rect(u - 2.9 * k, eave - 0.05 * k, 5.8 * k, 0.4 * k, band)
    p.rect(u - 0.55 * k, v - 1.6 * k, 1.1 * k, 1.6 * k, p.lit((0.75, 0.35, 0.12), z))
    rope = v - 0.8 * k
    ropes = [((u - 2.9 * k, rope), (u - 0.6 * k, rope)), ((u + 0.6 * k, rope), (u + 2.9 * k, rope))]
    strokes(p, ropes, max(0.5, 0.08 * k), p.lit((0.7, 0.6, 0.45), z))


def _silo(p: Painter, x: float, z: float, rng: random.Random) -> None:
    """Steel silos, as beside a farm of the prairies."""
    k, (u, v) = p.focal / z, p.point(x + (2.0 if x > 0 else -2.0), 0, z)
    steel = p.lit((0.74, 0.77, 0.8), z, p.towards_sun(0, -1))
    high = rng.uniform(9, 12)
    if not note(p, [(u - 2 * k, v), (u + 6 * k, v - high * k)]):
        return
    p.ground_shadow(x, z, 1.8, high)
    for left, top, r in ((0.0, high, 1.9), (4.1, high * 0.7, 1.6)):
        c = u + left * k * (1 if x > 0 else -1)
        p.rect(c - r * k, v - top * k, 2 * r * k, top * k, steel)
        p.rect(c + r * 0.3 * k, v - top * k, 0.7 * r * k, top * k, scale(steel, 0.84))
        p.poly([(c - r * k, v - top * k), (c, v - (top + 1.4) * k), (c + r * k, v - top * k)], scale(steel, 0.92))
        strokes(
            p,
            [((c - r * k, v - top * t * k), (c + r * k, v - top * t * k)) for t in (0.25, 0.5, 0.75)],
            0.6,
            scale(steel, 0.7),
        )


ROUND: dict[str, Callable[[Painter, float, float, random.Random], None]] = {"hut": _hut, "yurt": _yurt, "silo": _silo}


def shop_lot(p: Painter) -> tuple[int, float] | None:
    """Side and distance of a village's or a suburb's shop, where its board is inside the picture."""
    s, rng = p.scene, p.scene.rng("village shop")
    d = -p.side if rng.random() < 0.6 else p.side
    if s.sea_side == d:
        d = -d
    if "shops" not in s.elements or s.sea_side == 2:
        return None
    return d, p.focal * (rng.uniform(0.092, 0.104) if d == p.side else rng.uniform(0.125, 0.138))


def shop(p: Painter, objects: Objects) -> None:
    """A small shop with a board over its front, close to the road, where a suburb or a village has shops."""
    lot = shop_lot(p)
    if lot is None:
        return
    d, z = lot
    salt = p.scene.rng("village shop/look").random()

    def one() -> None:
        _shop_front(p, Box(p, d * (p.scene.lanes + 2.6), z, 6.4, 6.0, 4.4), random.Random(salt))

    objects.append((z, one))


def _shop_front(p: Painter, b: Box, rng: random.Random) -> None:
    wall, board = wall_colour(p, rng), BOARDS[rng.randrange(len(BOARDS))]
    if not note(p, [b.front(0, 0), b.front(b.wide, b.h), b.at(0, 0, b.deep)]):
        return
    p.ground_shadow(b.x, b.z, 2.5, b.h)
    p.poly(b.side(0, 0, b.deep, b.h), p.lit(scale(wall, 0.93), b.z, p.towards_sun(-b.d, 0)))
    p.poly(b.pane(0, 0, b.wide, b.h), p.lit(wall, b.z, p.towards_sun(0, -1)))
    p.polys(
        [b.pane(0.4, 0.5, 2.6, 2.6), b.pane(4.2, 0.5, 6.0, 2.6), b.pane(2.9, 0, 3.9, 2.6)], p.lit((0.2, 0.25, 0.3), b.z)
    )
    stripes = [
        [b.front(u, 2.8), b.front(u + 0.64, 2.8), b.at(u + 0.64, 2.25, -1.1), b.at(u, 2.25, -1.1)]
        for u in (0.0, 1.28, 2.56, 3.84, 5.12)
    ]
    p.polys([[b.front(0, 2.8), b.front(6.4, 2.8), b.at(6.4, 2.25, -1.1), b.at(0, 2.25, -1.1)]], p.lit(WHITE, b.z))
    p.polys(stripes, p.lit(board, b.z))
    sign(p, b.pane(0.0, 2.85, 6.4, 4.85), b.z, board, rng, False)


def sign(p: Painter, box: Sequence[Point], z: float, board: Colour, rng: random.Random, vertical: bool) -> None:
    """A board with a word in the language of the place, upright in the box of the canvas; nothing when out of sight."""
    word = lettering.word(p.scene.language, rng)
    left, right = min(c[0] for c in box), max(c[0] for c in box)
    top, foot = min(c[1] for c in box), max(c[1] for c in box)
    middle = (left + right) / 2
    if p.scene.night or "script" in p.hide or not 8 < middle < SIZE - 8 or not 4 < (top + foot) / 2 < SIZE - 4:
        return
    p.rect(left, top, right - left, foot - top, p.lit(board, z, 0.8), r=1.2)
    ink = p.lit(ink_on(board), z * 0.7, 0.8)
    high = lettering.draw(p, word, left, top, right - left, foot - top, ink, vertical, stretch=1.25)
    p.show("script", middle, (top + foot) / 2, high)


def ink_on(board: Colour) -> Colour:
    """Letters that can be read on a board."""
    return (0.98, 0.97, 0.94) if sum(board) < 1.7 else (0.12, 0.1, 0.12)
