"""What stands beside the road: poles and lamps, marker posts, fences, and what only some parts of the world have."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import pairwise

import skia

from postcards.brush import SIZE, Colour, Objects, Painter, Point, mix, scale, vegetation_colour
from postcards.visible import colour_word

_WOOD, _CONCRETE, _STEEL = (0.38, 0.25, 0.15), (0.63, 0.63, 0.6), (0.5, 0.53, 0.55)
_WHITE, _RED, _YELLOW = (0.95, 0.95, 0.93), (0.84, 0.13, 0.11), (0.97, 0.8, 0.12)
_BLUE, _GREEN, _DARK = (0.12, 0.3, 0.65), (0.1, 0.42, 0.24), (0.12, 0.12, 0.13)

# --- poles and lamps ------------------------------------------------------------------------------

_POLE, _LAMP_POST = 0.25, 0.5  # half the thickness of a pole's foot, the thickness of a lamp's: larger than life

_BUNDLES = {"japan", "vietnam", "seasia", "southasia", "taiwan", "himalaya", "china", "korea"}
_DOUBLE_LAMPS = {"gulf", "namerica", "levant", "persia", "korea", "china"}
_LANTERNS = {"med", "british", "cone", "carib", "andes", "ceurope"}


def poles(p: Painter, objects: Objects) -> None:
    """Utility poles with wires, or street lamps; now and then steel pylons across the land."""
    s, rng = p.scene, p.scene.rng("poles")
    d, near, pylon = rng.choice((-1, 1)), rng.uniform(16.5, 19.5), rng.random()
    if not p.has("poles", "poles"):
        return
    if s.sea_side == d or {"guide", "shield"} & s.elements:
        d = -p.side
    x, step = d * (s.lanes + 1.7), 15.0
    # The first stands whole in the picture, with its arms: `near` px per metre, less across the road.
    start = max(p.focal / near, p.focal * (abs(x - p.camera_x) + 0.5) / 112)
    lamp = s.country.pole in {"lamp", "none"}
    for i in range(5):
        z = start + i * step

        def one(z: float = z) -> None:
            k, (x0, y0) = p.focal / z, p.point(x, 0, z)
            size = (_LAMP_POST if lamp else 2 * _POLE) * k
            p.show("poles", x0, y0 - 4 * k, size)
            p.tell("pole", pole_kind(p), x0, y0 - 4 * k, size)
            p.ground_shadow(x, z, 0.1, 7)
            (_lamp if lamp else _pole)(p, x0, y0, k, z, d)

        objects.append((z, one))
    if not lamp:
        objects.append((start - 0.1, lambda: _wires(p, x, start, step)))
    if s.kind in {"rural", "village"} and pylon < 0.3:
        objects.append((150.0, lambda: _pylons(p, -d, pylon)))


def pole_kind(p: Painter) -> str:
    """What stands along the road here."""
    country = p.scene.country
    if country.pole in {"lamp", "none"}:
        if country.region in _LANTERNS:
            return "lantern"
        return "double lamp" if country.region in _DOUBLE_LAMPS else "street lamp"
    return f"{country.pole.replace('wood', 'wooden')} pole" + (" with many wires" if country.region in _BUNDLES else "")


def _pole(p: Painter, x: float, y: float, k: float, z: float, d: int) -> None:
    """A wooden pole with one crossarm, a concrete one with a transformer, or an Asian one with many arms and cans."""
    s = p.scene
    colour = p.lit(_WOOD if s.country.pole == "wood" else _CONCRETE, z)
    wood, w = s.country.pole == "wood", _POLE
    _shape(p, x, y, k, [(-w, 0), (-0.7 * w, 8), (0.7 * w, 8), (w, 0)], colour)
    _shape(p, x, y, k, [(0.25 * w, 0), (0.2 * w, 8), (0.7 * w, 8), (w, 0)], scale(colour, 0.78))
    if not wood and z < 40:  # the holes of a concrete pole
        p.polys([[(x - 0.3 * w * k, y - a * k), (x + 0.25 * w * k, y - a * k), (x + 0.25 * w * k, y - (a + 0.5) * k),
                  (x - 0.3 * w * k, y - (a + 0.5) * k)] for a in (1.0, 2.2, 3.4, 4.6)], scale(colour, 0.5))  # fmt: skip
    bundle = s.country.region in _BUNDLES
    arms = (7.5, 6.9, 6.3) if bundle else (7.4,)
    half = 0.75 if bundle else 1.15
    bars = [[(x - half * k, y - a * k), (x + half * k, y - a * k), (x + half * k, y - (a - 0.3) * k),
             (x - half * k, y - (a - 0.3) * k)] for a in arms]  # fmt: skip
    pins = [(x + t * half * k, 0.09 * k) for t in (-0.88, 0.88)]
    bars += [
        [(a - r, y - 7.75 * k), (a + r, y - 7.75 * k), (a + r, y - 7.4 * k), (a - r, y - 7.4 * k)] for a, r in pins
    ]
    p.polys(bars, colour)
    can = p.lit((0.46, 0.48, 0.5), z)
    if bundle:
        for dx in (-0.42, 0.42):
            p.rect(x + dx * k - 0.24 * k, y - 6.1 * k, 0.48 * k, 0.85 * k, can, r=0.1 * k)
    elif s.country.pole == "concrete":
        p.rect(x - 0.3 * k - d * 0.5 * k, y - 6.4 * k, 0.6 * k, 1.0 * k, can)
    elif s.country.region == "namerica":
        p.rect(x + 0.12 * k, y - 6.5 * k, 0.5 * k, 0.85 * k, can, r=0.15 * k)


def _lamp(p: Painter, x: float, y: float, k: float, z: float, d: int) -> None:
    """A street lamp: with one arm or two, or a lantern on a post."""
    s = p.scene
    colour = p.lit(_STEEL if s.country.region not in _LANTERNS else (0.16, 0.2, 0.19), z)
    glow = (1.0, 0.9, 0.6) if s.night else p.lit((0.85, 0.85, 0.8), z)
    high, arm = (5.2, 0.0) if s.country.region in _LANTERNS else (6.4, 1.6)
    w = 0.5 * _LAMP_POST
    _shape(p, x, y, k, [(-w, 0), (-0.5 * w, high), (0.5 * w, high), (w, 0)], colour)
    lights = [(x - d * arm * k, y - (high + 0.1) * k)]
    if arm and s.country.region in _DOUBLE_LAMPS:
        lights.append((x + d * arm * k, y - (high + 0.1) * k))
    for at in lights:
        if arm:
            p.line((x, y - high * k), at, max(0.7, 0.22 * k), colour)
            p.oval(at[0], at[1] + 0.06 * k, 0.7 * k, 0.24 * k, glow if s.night else colour)
        else:
            p.poly([(x - 0.2 * k, y - high * k), (x - 0.34 * k, y - (high + 0.65) * k),
                    (x + 0.34 * k, y - (high + 0.65) * k), (x + 0.2 * k, y - high * k)], glow)  # fmt: skip
            p.poly([(x - 0.42 * k, y - (high + 0.62) * k), (x, y - (high + 1.0) * k),
                    (x + 0.42 * k, y - (high + 0.62) * k)], colour)  # fmt: skip
        if s.night:
            p.disc(at[0], at[1], 2.2 * k, (1, 0.85, 0.5), 0.25, 6.0)


def _wires(p: Painter, x: float, start: float, step: float) -> None:
    path, many = skia.Path(), p.scene.country.region in _BUNDLES
    for spread, high in ((-0.9, 7.45), (0.0, 7.45), (0.9, 7.45)) if not many else (
        (-0.65, 7.5), (0.0, 7.5), (0.65, 7.5), (-0.5, 6.8), (0.5, 6.8), (0.2, 6.2)):  # fmt: skip
        before = p.point(x + spread, high, 2.2)
        path.moveTo(*before)
        for i in range(5):
            here = p.point(x + spread, high, start + i * step)
            path.quadTo((before[0] + here[0]) / 2, (before[1] + here[1]) / 2 + 26 / (i + 1.2) ** 1.4, *here)
            before = here
    p.canvas.drawPath(path, p.outline((0.12, 0.12, 0.14), 1.2 if many else 1.0, 0.75))


_LATTICE: tuple[tuple[Point, Point], ...] = (
    ((-0.13, 0), (0, 1)), ((0.13, 0), (0, 1)), ((-0.12, 0.1), (0.07, 0.5)), ((0.12, 0.1), (-0.07, 0.5)),
    ((-0.3, 0.66), (0.3, 0.66)), ((-0.22, 0.84), (0.22, 0.84)),
)  # fmt: skip


def _pylons(p: Painter, d: int, salt: float) -> None:
    """Two lattice masts of a power line far away, with its wires."""
    feet = [
        (p.axis + d * (46 + 100 * salt), p.horizon + 4, 58.0),
        (p.axis + d * (84 + 100 * salt), p.horizon + 6, 84.0),
    ]
    colour = p.lit((0.45, 0.48, 0.5), 120)
    path = skia.Path()
    tips: list[list[Point]] = []
    for x, y, h in feet:
        for a, b in _LATTICE:
            path.moveTo(x + a[0] * h, y - a[1] * h)
            path.lineTo(x + b[0] * h, y - b[1] * h)
        tips.append([(x + a * h, y - b * h) for a, b in ((-0.3, 0.64), (0.3, 0.64), (-0.22, 0.82), (0.22, 0.82))])
    for one, other in zip(*tips, strict=True):
        path.moveTo(*one)
        path.quadTo((one[0] + other[0]) / 2, (one[1] + other[1]) / 2 + 8, *other)
    p.canvas.drawPath(path, p.outline(colour, 1.2, 0.9))


# --- marker posts ---------------------------------------------------------------------------------

_BOLLARD = 0.18  # half the width of a marker post in metres


def bollards(p: Painter, objects: Objects) -> None:
    """The country's marker posts on both edges of the road."""
    s = p.scene
    if not p.has("bollard", "bollard") or s.country.bollard == "none":
        return
    for i in range(6):
        z = 6.0 + i * 7.5
        for d in (-1, 1):

            def one(z: float = z, d: int = d) -> None:
                k, (x, y) = p.focal / z, p.point(d * (s.lanes + 0.75), 0, z)
                p.show("bollard", x, y - 0.5 * k, 2 * _BOLLARD * k)
                _bollard(p, x, y, k, z, s.country.bollard)

            objects.append((z, one))


def _bollard(p: Painter, x: float, y: float, k: float, z: float, kind: str) -> None:
    w = _BOLLARD * k
    p.rect(x - w, y - 1.2 * k, 2 * w, 1.2 * k, p.lit(_YELLOW if kind == "yellow" else _WHITE, z, 0.8), r=0.05 * k)
    if kind == "white":  # a slanting black cap with a reflector
        p.poly(
            [(x - w, y - 1.04 * k), (x + w, y - 0.9 * k), (x + w, y - 0.5 * k), (x - w, y - 0.64 * k)], p.lit(_DARK, z)
        )
        p.rect(x - 0.42 * w, y - 0.88 * k, 0.84 * w, 0.22 * k, p.lit((0.95, 0.6, 0.2), z, 0.9))
    else:
        p.rect(x - w, y - 1.02 * k, 2 * w, 0.42 * k, p.lit(_RED if kind == "red" else _DARK, z, 0.8))


# --- fences ---------------------------------------------------------------------------------------

_REACHES = ((5.0, 9.0), (9.0, 17.0), (17.0, 36.0), (36.0, 80.0))
Quad = list[Point]


def fences(p: Painter, objects: Objects) -> None:
    """The province's fence along one or both sides of the road."""
    s, rng = p.scene, p.scene.rng("fences")
    sides, x = rng.choice(((-1, 1), (-1, 1), (1,), (-1,))), s.lanes + rng.uniform(1.9, 2.5)
    if not p.has("fence", "fence") or s.province.fence == "none":
        return
    draw, thick = _FENCES[s.province.fence], _THICK[s.province.fence]
    for d in sides:
        if d == s.sea_side:
            continue
        for near, far in _REACHES:

            def reach(d: int = d, near: float = near, far: float = far) -> None:
                edge = p.focal * abs(d * x - p.camera_x) / 112  # where the fence enters the picture
                for z in (min(max(near, edge), far), (near + far) / 2):
                    at = p.point(d * x, 0.5, z)
                    p.show("fence", at[0], at[1], thick * p.focal / z)
                draw(p, d * x, near, far)

            objects.append((near, reach))


def _along(p: Painter, x: float, low: float, high: float, near: float, far: float) -> Quad:
    """A band of the fence between two heights."""
    mid = (near + far) / 2  # the road bends
    low_edge, high_edge = ([p.point(x, y, z) for z in (near, mid, far)] for y in (low, high))
    return low_edge + high_edge[::-1]


def _uprights(p: Painter, x: float, step: float, half: float, high: float, near: float, far: float) -> list[Quad]:
    """Posts every `step` metres."""
    quads, z = [], math.ceil(near / step) * step
    while z < far:
        (a, foot), k = p.point(x, 0, z), p.focal / z
        w, top = max(0.4, half * k), foot - high * k
        quads.append([(a - w, foot), (a - w, top), (a + w, top), (a + w, foot)])
        z += step
    return quads


def _rail(p: Painter, x: float, near: float, far: float) -> None:
    bands = [_along(p, x, low, low + 0.26, near, far) for low in (0.36, 0.88)]
    p.polys(bands + _uprights(p, x, 2.5, 0.14, 1.25, near, far), p.lit(p.scene.province.fence_colour, near, 0.6))


def _picket(p: Painter, x: float, near: float, far: float) -> None:
    colour = p.lit(p.scene.province.fence_colour, near, 0.7)
    step = 0.3 if near < 6 else 0.4 if near < 10 else 0.8 if near < 20 else 2.5
    p.polys([_along(p, x, low, low + 0.1, near, far) for low in (0.3, 0.75)], scale(colour, 0.85))
    p.polys(_uprights(p, x, step, 0.32 * step if near < 20 else 0.4, 1.1, near, far), colour)


def _wire(p: Painter, x: float, near: float, far: float) -> None:
    colour = p.lit(p.scene.province.fence_colour, near, 0.6)
    bands = [_along(p, x, low, low + 0.06, near, far) for low in (0.4, 0.75, 1.08)]
    p.polys(bands + _uprights(p, x, 2.6, 0.16, 1.3, near, far), colour)


def _wall(p: Painter, x: float, near: float, far: float) -> None:
    colour = p.scene.province.fence_colour
    facing = p.towards_sun(-1.0 if x > 0 else 1.0, 0)
    p.poly(_along(p, x, 0, 1.0, near, far), p.lit(colour, near, facing))
    joints = [_along(p, x, y, y + 0.04, near, far) for y in (0.32, 0.66)]
    p.polys(joints + _uprights(p, x, 1.5, 0.02, 0.97, near, min(far, 20)), p.lit(scale(colour, 0.7), near, facing))
    p.poly(_along(p, x, 1.0, 1.16, near, far), p.lit(mix(colour, (1, 1, 1), 0.3), near, 0.8))


def _hedge(p: Painter, x: float, near: float, far: float) -> None:
    leaf = mix(mix(vegetation_colour(p), (0.2, 0.45, 0.2), 0.4), p.scene.province.fence_colour, 0.3)
    i = -1.0 if x > 0 else 1.0
    steps = [near * (far / near) ** (n / 10) for n in range(11)]
    top = [p.point(x, 1.25 + 0.12 * (n % 2), z) for n, z in enumerate(steps)]
    p.poly([*_along(p, x, 0, 0, near, far)[:3], *top[::-1]], p.lit(leaf, near, p.towards_sun(i, 0)))
    back = [p.point(x - 0.8 * i, 1.3, z) for z in (far, near)]
    p.poly([*top, *back], p.lit(scale(leaf, 1.25), near, 0.85))


def _guardrail(p: Painter, x: float, near: float, far: float) -> None:
    colour = p.scene.province.fence_colour
    p.polys(_uprights(p, x, 2.0, 0.07, 0.75, near, far), p.lit(scale(colour, 0.7), near, 0.4))
    p.poly(_along(p, x, 0.42, 0.94, near, far), p.lit(colour, near, 0.7))
    p.poly(_along(p, x, 0.63, 0.73, near, far), p.lit(scale(colour, 0.65), near, 0.5))


# Metres of the thinnest part that has to be made out: bars, pickets, posts, the whole of a wall.
_THICK = {"rail": 0.26, "picket": 0.3, "wire": 0.32, "wall": 1.0, "hedge": 1.2, "guardrail": 0.5}
_FENCES: dict[str, Callable[[Painter, float, float, float], None]] = {
    "rail": _rail, "picket": _picket, "wire": _wire, "wall": _wall, "hedge": _hedge, "guardrail": _guardrail,
}  # fmt: skip

# --- what only some parts of the world have ---------------------------------------------------------


def _shape(p: Painter, x: float, y: float, k: float, outline: list[Point], colour: Colour) -> None:
    """A polygon given in units of k pixels to the right of x and above y."""
    p.poly([(x + a * k, y - b * k) for a, b in outline], colour)


# By country, and where that is silent by region: what stands in towns, and after the stroke what in the country.
_BY_COUNTRY: dict[str, str] = {
    "GB": "phonebox postbox shelter / postbox sheep phonebox", "IE": "postbox shelter / celticcross sheep",
    "FR": "postbox column bike / milestone bales postbox", "DE": "postbox column bike / bales turbine shrine",
    "NL": "bike bike postbox / windmill windmill bike cow", "BE": "bike postbox / windmill cow bales",
    "DK": "bike postbox / turbine turbine bales", "CH": "postbox flowers / cow wayside bales",
    "AT": "postbox column flowers / wayside cow haystack", "SI": "column / haystack wayside",
    "US": "hydrant postbox meter / mailbox windpump silo bales mailbox",
    "CA": "hydrant postbox meter / silo mailbox bales",
    "ES": "postbox column awning / turbine cross windpump", "PT": "postbox awning / cross oil",
    "IT": "postbox awning flowers / wayside bales", "GR": "kiosk awning / shrine windmill shrine",
    "JP": "vending postbox vending / torii vending torii", "IN": "stall postbox cow / milestone cow stall",
    "LK": "stall postbox / stupa stall", "NP": "prayerflags stall / stupa prayerflags", "MM": "stall / stupa stupa",
    "TH": "spirit stall / spirit stupa", "KH": "stall spirit / stupa thatch",
    "CN": "lantern postbox bike / pagodagate lantern",
    "MN": "kiosk / yurt yurt horse", "KZ": "kiosk / yurt horse", "AU": "postbox meter / windpump tank windpump",
    "NZ": "postbox meter / sheep sheep mailbox", "PL": "kiosk column / wayside haystack wayside",
    "RO": "kiosk / haystack wayside haystack", "RU": "kiosk kiosk / onion haystack", "UA": "kiosk / onion haystack",
    "SE": "postbox bike / churchwhite mailbox", "IS": "hotdog / horse churchwhite",
    "EG": "stall minaret / minaret camel thatch",
    "MX": "tinaco stall / tinaco cross windpump", "AR": "kiosk column / windpump cow", "UY": "kiosk / windpump cow",
    "BR": "phonehood stall / cow tank", "ZA": "meter postbox / windpump tank", "NA": "postbox / windpump windpump",
    "SA": "minaret tank / minaret camel camel", "AE": "minaret / minaret camel",
    "MA": "stall minaret / minaret camel stall",
}  # fmt: skip
_BY_REGION: dict[str, str] = {
    "namerica": "hydrant meter / mailbox silo", "mexico": "tinaco stall / tinaco cross", "camerica":
    "bougainvillea stall / stall thatch", "carib": "bougainvillea stall / thatch bougainvillea", "andes":
    "stall tinaco / llama llama cross", "brazil": "phonehood stall / cow tank", "cone": "kiosk / windpump cow",
    "weurope": "bike column / bales", "british": "phonebox postbox / sheep", "alpine": "flowers / wayside cow",
    "med": "awning / shrine bales", "ceurope": "column kiosk / wayside bales", "balkan": "kiosk awning / haystack",
    "eeurope": "kiosk / onion haystack", "russia": "kiosk / onion haystack", "baltic": "column kiosk / bales haystack",
    "nordic": "bike / mailbox churchwhite", "caucasus": "stall kiosk / cross sheep", "anatolia":
    "minaret stall / minaret sheep", "levant": "tank stall / minaret sheep", "gulf": "minaret tank / camel minaret",
    "persia": "minaret stall / minaret sheep", "nafrica": "minaret stall / minaret camel", "wafrica":
    "stall stall / stall thatch", "eafrica": "stall stall / thatch termite stall",
    "safrica": "meter / windpump termite",
    "southasia": "stall / cow stall milestone", "himalaya": "prayerflags stall / prayerflags stupa", "seasia":
    "stall / thatch stall", "vietnam": "stall bike / stall pagodagate", "china": "lantern bike / pagodagate",
    "taiwan": "vending lantern / pagodagate", "japan": "vending / torii", "korea": "vending shelter / pagodagate",
    "casia": "kiosk / yurt horse", "oceania": "postbox meter / tank windpump", "polar": "tank / churchwhite",
    "other": "shelter / bales",
}  # fmt: skip
_POSTBOXES = {_RED: "GB IN AU JP LK NZ ZA PT KE MT IT", _YELLOW: "DE FR ES SE CH AT NO DK", _BLUE: "US",
              _GREEN: "IE CN", (0.95, 0.45, 0.1): "NL ID"}  # fmt: skip
_POSTBOX = {iso: colour for colour, isos in _POSTBOXES.items() for iso in isos.split()}
_FAR = {"minaret", "windmill", "windpump", "turbine", "silo", "onion", "stupa", "churchwhite"}


def extras(p: Painter, objects: Objects) -> None:
    """What only some parts of the world have at the roadside, one thing a scene; far away if it is tall."""
    s, rng = p.scene, p.scene.rng("extras")
    side, depth, which, salt = rng.random(), rng.random(), rng.random(), rng.random()
    if not p.has("extras", "extras") or (s.kind == "coast" and s.sea_side == 2):
        return
    town, _, land = _BY_COUNTRY.get(s.country.iso, _BY_REGION[s.country.region]).partition(" / ")
    names = (town if s.kind in {"street", "suburb"} else land).split()
    name = names[int(which * len(names))]
    if s.kind == "street" and name in _FAR:
        objects.append((s.lanes * 20.0, lambda: _far(p, name, p.axis - p.side * 26, salt)))
        return
    d = -p.side if {"shield", "guide"} & s.elements or side < 0.3 else p.side
    if d == s.sea_side:
        d = -d
    if name in _FAR:
        objects.append((70.0, lambda: _far(p, name, p.axis + d * (54 + 34 * depth), salt)))
    elif name in _ACROSS:
        objects.append((13.0, lambda: _hung(p, name)))
    else:
        objects.append(_near(p, name, d, depth, salt))


def _near(p: Painter, name: str, d: int, depth: float, salt: float) -> tuple[float, Callable[[], None]]:
    """Something beside the road, as near as the picture's edge lets it be."""
    s, draw = p.scene, _NEAR[name]
    x = d * (s.lanes + (1.6 if s.kind == "street" else 2.0))
    z = p.focal * (abs(x - p.camera_x) + 0.9) / (106 - 14 * depth)

    def one() -> None:
        k, (x0, y0) = p.focal / z, p.point(x, 0, z)
        k *= 1.0 if d == p.side else 1.45  # what stands across the road is drawn larger, to be made out
        p.show("extras", x0, y0 - 0.5 * k, 0.7 * k)
        p.tell("wayside", _thing(p, name), x0, y0 - 0.5 * k, 0.7 * k)
        draw(p, x0, y0, k, z, random.Random(salt))

    return z, one


def _thing(p: Painter, name: str) -> str:
    """What somebody would call it; a postbox with its colour, which is its country's."""
    return f"{colour_word(_POSTBOX.get(p.scene.country.iso, _YELLOW))} postbox" if name == "postbox" else name


def _far(p: Painter, name: str, x: float, salt: float) -> None:
    x = min(max(x, 34.0), SIZE - 34.0)
    y = p.horizon + 5
    p.show("extras", x, y - 25, 8)
    p.tell("wayside", name, x, y - 25, 8)
    _FAR_FORMS[name](p, x, y, 56 + 14 * salt, 60.0, random.Random(salt))


# Things far away: x, y of the foot and height in pixels.


def _minaret(p: Painter, x: float, y: float, h: float, z: float, rng: random.Random) -> None:
    pale, cap = p.lit((0.93, 0.9, 0.83), z, 0.7), p.lit((0.35, 0.55, 0.52), z, 0.6)
    h, w = 1.3 * h, 0.05 * h
    p.rect(x - 5.2 * w, y - 0.26 * h, 7 * w, 0.26 * h, scale(pale, 0.92))
    p.oval(x - 1.7 * w, y - 0.27 * h, 2.6 * w, 0.13 * h, cap)
    p.rect(x + 2.4 * w, y - 0.84 * h, 2 * w, 0.84 * h, pale)
    p.rect(x + 1.8 * w, y - 0.66 * h, 3.2 * w, 0.04 * h, scale(pale, 0.8))
    p.poly([(x + 2.2 * w, y - 0.84 * h), (x + 3.4 * w, y - h), (x + 4.6 * w, y - 0.84 * h)], cap)


def _windmill(p: Painter, x: float, y: float, h: float, z: float, rng: random.Random) -> None:
    white = p.scene.country.iso == "GR"
    body = p.lit((0.95, 0.94, 0.9) if white else (0.45, 0.27, 0.18), z, 0.6)
    _shape(p, x, y, h, [(-0.2, 0), (-0.12, 0.7), (0.12, 0.7), (0.2, 0)], body)
    p.oval(x, y - 0.7 * h, 0.14 * h, 0.12 * h, p.lit((0.25, 0.2, 0.17), z))
    turn = rng.uniform(0.2, 1.3)
    sail, arm = p.lit((0.96, 0.95, 0.9), z, 0.8), p.lit((0.2, 0.16, 0.14), z)
    for i in range(4):
        c, s = math.cos(turn + i * math.pi / 2), math.sin(turn + i * math.pi / 2)
        hub, tip = (x, y - 0.7 * h), (x + 0.52 * h * c, y - 0.7 * h + 0.52 * h * s)
        base = (x + 0.14 * h * c, y - 0.7 * h + 0.14 * h * s)
        dx, dy = -0.11 * h * s, 0.11 * h * c
        p.poly([base, tip, (tip[0] + dx, tip[1] + dy), (base[0] + dx, base[1] + dy)], sail)
        p.line(hub, tip, 1.4, arm)


def _windpump(p: Painter, x: float, y: float, h: float, z: float, rng: random.Random) -> None:
    steel = p.lit((0.4, 0.42, 0.44), z)
    for a, b in (
        ((-0.14, 0), (-0.02, 0.8)),
        ((0.14, 0), (0.02, 0.8)),
        ((-0.1, 0.25), (0.1, 0.25)),
        ((-0.07, 0.5), (0.07, 0.5)),
    ):
        p.line((x + a[0] * h, y - a[1] * h), (x + b[0] * h, y - b[1] * h), 1.4, steel)
    p.disc(x, y - 0.82 * h, 0.2 * h, p.lit((0.78, 0.8, 0.82), z, 0.8))
    turns = [i * math.pi / 6 for i in range(12)]
    hub, r = y - 0.82 * h, 0.21 * h
    rims = [[(x + r * math.cos(a), hub + r * math.sin(a)) for a in (t, t + 0.2)] for t in turns]
    p.polys([[(x, hub), *rim] for rim in rims], steel)
    _shape(p, x, y, h, [(0.2, 0.84), (0.42, 0.92), (0.42, 0.74)], p.lit(_RED, z, 0.7))


def _turbine(p: Painter, x: float, y: float, h: float, z: float, rng: random.Random) -> None:
    white = p.lit((0.97, 0.97, 0.97), z * 0.5, 0.8)
    for dx, size in ((0.0, 1.35), (0.55, 1.0)):
        hub, turn = (x + dx * h, y - 0.85 * size * h), rng.uniform(0, 2)
        p.poly([(hub[0] - 1.6, y), (hub[0] - 0.8, hub[1]), (hub[0] + 0.8, hub[1]), (hub[0] + 1.6, y)], white)
        for i in range(3):
            t = turn + i * 2 * math.pi / 3
            p.line(hub, (hub[0] + 0.42 * size * h * math.cos(t), hub[1] + 0.42 * size * h * math.sin(t)), 1.7, white)


def _silo(p: Painter, x: float, y: float, h: float, z: float, rng: random.Random) -> None:
    barn, steel = p.lit((0.66, 0.14, 0.12), z, 0.6), p.lit((0.75, 0.77, 0.78), z, 0.7)
    p.rect(x + 0.16 * h, y - 0.78 * h, 0.24 * h, 0.78 * h, steel)
    p.oval(x + 0.28 * h, y - 0.78 * h, 0.12 * h, 0.1 * h, scale(steel, 1.1))
    _shape(
        p, x, y, h, [(-0.4, 0), (-0.4, 0.34), (-0.28, 0.52), (-0.12, 0.6), (0.04, 0.52), (0.16, 0.34), (0.16, 0)], barn
    )
    p.rect(x - 0.22 * h, y - 0.26 * h, 0.2 * h, 0.26 * h, p.lit(_WHITE, z, 0.6))


def _onion(p: Painter, x: float, y: float, h: float, z: float, rng: random.Random) -> None:
    white = p.lit((0.95, 0.94, 0.92), z, 0.6)
    dome = p.lit(rng.choice(((0.85, 0.65, 0.15), (0.15, 0.35, 0.65), (0.15, 0.5, 0.35))), z, 0.7)
    p.rect(x - 0.24 * h, y - 0.4 * h, 0.48 * h, 0.4 * h, white)
    for dx, top, r in ((-0.17, 0.5, 0.07), (0.17, 0.5, 0.07), (0.0, 0.62, 0.12)):
        p.rect(x + (dx - 0.6 * r) * h, y - top * h, 1.2 * r * h, (top - 0.38) * h, white)
        p.oval(x + dx * h, y - (top + 0.6 * r) * h, r * h, r * 0.95 * h, dome)
        p.poly([(x + (dx - 0.5 * r) * h, y - (top + 1.3 * r) * h), (x + dx * h, y - (top + 2.6 * r) * h),
                (x + (dx + 0.5 * r) * h, y - (top + 1.3 * r) * h)], dome)  # fmt: skip


def _stupa(p: Painter, x: float, y: float, h: float, z: float, rng: random.Random) -> None:
    gold = p.scene.country.iso in {"MM", "TH", "KH", "LA"}
    body, top = p.lit((0.92, 0.72, 0.2) if gold else (0.95, 0.95, 0.92), z, 0.8), p.lit((0.9, 0.7, 0.15), z, 0.8)
    p.rect(x - 0.4 * h, y - 0.12 * h, 0.8 * h, 0.12 * h, scale(body, 0.85))
    dome = [(0.32 * math.cos(math.pi * i / 8), 0.12 + 0.36 * math.sin(math.pi * i / 8)) for i in range(9)]
    _shape(p, x, y, h, dome, body)
    p.rect(x - 0.08 * h, y - 0.54 * h, 0.16 * h, 0.12 * h, top)
    _shape(p, x, y, h, [(-0.08, 0.54), (0, 1), (0.08, 0.54)], top)


def _churchwhite(p: Painter, x: float, y: float, h: float, z: float, rng: random.Random) -> None:
    white, roof = p.lit((0.96, 0.96, 0.95), z, 0.7), p.lit((0.25, 0.25, 0.28), z)
    p.rect(x - 0.1 * h, y - 0.3 * h, 0.5 * h, 0.3 * h, white)
    _shape(p, x, y, h, [(-0.12, 0.3), (-0.04, 0.46), (0.34, 0.46), (0.42, 0.3)], roof)
    p.rect(x - 0.24 * h, y - 0.56 * h, 0.2 * h, 0.56 * h, scale(white, 0.95))
    _shape(p, x, y, h, [(-0.27, 0.56), (-0.14, 0.95), (-0.01, 0.56)], roof)


_FAR_FORMS: dict[str, Callable[[Painter, float, float, float, float, random.Random], None]] = {
    "minaret": _minaret, "windmill": _windmill, "windpump": _windpump, "turbine": _turbine, "silo": _silo,
    "onion": _onion, "stupa": _stupa, "churchwhite": _churchwhite,
}  # fmt: skip

# Things hung across the road.


def _across(p: Painter, count: int) -> list[Point]:
    """Points of a line that sags across the road, 13 m ahead."""
    s = p.scene
    turns = [i / (count - 1) for i in range(count)]
    points = [p.point((2 * t - 1) * (s.lanes + 3), 6.4 - 4.4 * t * (1 - t), 13) for t in turns]
    p.show("extras", *points[count // 2], 7)
    for a, b in pairwise(points):
        p.line(a, b, 0.9, p.lit((0.2, 0.2, 0.2), 8))
    return points


def _hung(p: Painter, name: str) -> None:
    p.tell("wayside", name, *p.point(0, 5.3, 13), 7)
    _ACROSS[name](p)


def _prayerflags(p: Painter) -> None:
    colours = ((0.2, 0.4, 0.8), _WHITE, (0.8, 0.15, 0.15), (0.15, 0.55, 0.3), (0.95, 0.8, 0.2))
    for i, (x, y) in enumerate(_across(p, 20)):
        p.rect(x - 3.4, y, 6.8, 8.5, p.lit(colours[i % 5], 8, 0.8))


def _lanterns(p: Painter) -> None:
    for x, y in _across(p, 8):
        p.oval(x, y + 6.5, 5.6, 6, p.lit((0.86, 0.12, 0.1), 8, 0.8))
        p.rect(x - 2.2, y, 4.4, 2, p.lit((0.95, 0.75, 0.2), 8, 0.8))
        p.rect(x - 1.2, y + 12, 2.4, 4, p.lit((0.95, 0.75, 0.2), 8, 0.8))


_ACROSS: dict[str, Callable[[Painter], None]] = {"prayerflags": _prayerflags, "lantern": _lanterns}

# Things beside the road: x, y of the foot in pixels, k pixels a metre.
Near = Callable[[Painter, float, float, float, float, random.Random], None]
_FRUIT = ((0.95, 0.55, 0.1), (0.8, 0.15, 0.1), (0.4, 0.65, 0.15))


def _boxes(parts: str) -> Near:
    """A thing made of plain boxes: `left bottom width height colour` in metres, parted by `;`."""
    rows = [part.split() for part in parts.split(";")]
    shapes = [([float(v) for v in row[:4]], _NAMED[row[4]]) for row in rows]

    def draw(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
        for (left, low, w, h), colour in shapes:
            p.rect(x + left * k, y - (low + h) * k, w * k, h * k, p.lit(colour, z, 0.7), r=0.04 * k)

    return draw


_NAMED: dict[str, Colour] = {
    "red": (0.78, 0.09, 0.1), "pane": (0.76, 0.85, 0.9), "white": _WHITE, "dark": _DARK, "steel": (0.62, 0.64, 0.66),
    "wood": (0.45, 0.32, 0.2), "blue": _BLUE, "yellow": _YELLOW, "stone": (0.68, 0.66, 0.62), "green": _GREEN,
    "black": (0.06, 0.06, 0.07), "vermilion": (0.88, 0.24, 0.1), "gold": (0.92, 0.72, 0.2),
}  # fmt: skip


def _stall(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    awning = ((0.9, 0.3, 0.2), (0.96, 0.93, 0.86), rng.choice(((0.2, 0.5, 0.7), (0.25, 0.6, 0.3), (0.95, 0.75, 0.2))))
    for dx in (-1.3, 1.2):
        p.rect(x + dx * k, y - 2.0 * k, 0.09 * k, 2.0 * k, p.lit(_WOOD, z))
    p.rect(x - 1.3 * k, y - 0.9 * k, 2.6 * k, 0.9 * k, p.lit((0.5, 0.36, 0.24), z))
    for i in range(6):
        p.disc(x - (1.05 - 0.42 * i) * k, y - 0.98 * k, 0.2 * k, p.lit(_FRUIT[i % 3], z, 0.7))
    for i in range(5):
        a = x - 1.5 * k + i * 0.6 * k
        colour = p.lit(awning[(2, 1, 0, 1, 2)[i]], z, 0.8)
        _shape(p, a, y, k, [(0.1, 2.45), (0.7, 2.45), (0.6, 1.95), (0, 1.95)], colour)


def _vending(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    colour = p.lit(rng.choice(((0.85, 0.12, 0.12), (0.15, 0.35, 0.75), (0.95, 0.95, 0.95))), z, 0.7)
    for dx in (-0.55, 0.55):
        p.rect(x + (dx - 0.5) * k, y - 1.9 * k, k, 1.9 * k, colour, r=0.06 * k)
        p.rect(x + (dx - 0.4) * k, y - 1.75 * k, 0.8 * k, 0.85 * k, p.lit((0.92, 0.96, 1.0), z, 0.9))
        dots = [(x + (dx - 0.3 + 0.2 * i) * k, y - (1.6 - 0.3 * j) * k) for i in range(4) for j in range(2)]
        r = 0.06 * k
        p.polys([[(a - r, b - 2 * r), (a + r, b - 2 * r), (a + r, b + r), (a - r, b + r)] for a, b in dots],
                p.lit((0.85, 0.35, 0.15), z, 0.7))  # fmt: skip
        p.rect(x + (dx - 0.35) * k, y - 0.5 * k, 0.7 * k, 0.2 * k, p.lit(_DARK, z))


def _postbox(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    iso = p.scene.country.iso
    colour = p.lit(_POSTBOX.get(iso, _YELLOW), z, 0.7)
    if iso in {"GB", "IN", "IE", "LK", "NZ", "ZA", "KE", "MT", "PT"}:  # a pillar
        p.rect(x - 0.36 * k, y - 1.6 * k, 0.72 * k, 1.6 * k, colour, r=0.1 * k)
        p.oval(x, y - 1.62 * k, 0.42 * k, 0.16 * k, scale(colour, 0.85))
        p.rect(x - 0.2 * k, y - 1.3 * k, 0.4 * k, 0.09 * k, p.lit(_DARK, z))
        p.rect(x - 0.4 * k, y - 0.16 * k, 0.8 * k, 0.16 * k, p.lit(_DARK, z))
        return
    for dx in (-0.28, 0.2):
        p.rect(x + dx * k, y - 0.6 * k, 0.09 * k, 0.6 * k, p.lit(_STEEL, z))
    p.rect(x - 0.42 * k, y - 1.5 * k, 0.84 * k, 1.05 * k, colour, r=(0.3 if iso == "US" else 0.06) * k)
    p.rect(x - 0.3 * k, y - 1.32 * k, 0.6 * k, 0.1 * k, p.lit(_DARK if iso != "CN" else _YELLOW, z))
    p.rect(x - 0.18 * k, y - 1.05 * k, 0.36 * k, 0.24 * k, p.lit(_WHITE, z, 0.7))


def _milestone(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    cap = p.lit(_RED if p.scene.country.iso == "FR" else _YELLOW, z, 0.7)
    p.rect(x - 0.34 * k, y - 1.15 * k, 0.68 * k, 1.15 * k, cap, r=0.3 * k)
    p.rect(x - 0.34 * k, y - 0.78 * k, 0.68 * k, 0.78 * k, p.lit(_WHITE, z, 0.7))
    p.polys([[(x + a * k, y - 0.55 * k), (x + (a + 0.1) * k, y - 0.55 * k), (x + (a + 0.1) * k, y - 0.3 * k),
              (x + a * k, y - 0.3 * k)] for a in (-0.2, -0.02, 0.14)], p.lit(_DARK, z))  # fmt: skip


def _bougainvillea(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    for i in range(10):
        p.disc(x + rng.uniform(-1.2, 1.2) * k, y - rng.uniform(0.2, 2.1) * k, 0.4 * k,
               p.lit(((0.85, 0.15, 0.52), (0.2, 0.45, 0.2))[i % 3 == 0], z, 0.7))  # fmt: skip


def _bike(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    for i, colour in enumerate(((0.75, 0.2, 0.2), (0.15, 0.4, 0.55))):
        bx, by = x + (0.55 * i - 0.3) * k, y - 0.1 * i * k
        frame = p.lit(colour, z, 0.6)
        for dx in (-0.55, 0.55):
            p.canvas.drawCircle(bx + dx * k, by - 0.38 * k, 0.36 * k, p.outline(p.lit(_DARK, z), max(0.9, 0.08 * k)))
        for a, b in (((-0.55, 0.38), (-0.25, 0.85)), ((-0.25, 0.85), (0.35, 0.85)), ((0.55, 0.38), (0.33, 1.05)),
                     ((-0.25, 0.85), (0.05, 0.38)), ((0.05, 0.38), (0.35, 0.85))):  # fmt: skip
            p.line((bx + a[0] * k, by - a[1] * k), (bx + b[0] * k, by - b[1] * k), max(0.9, 0.08 * k), frame)


def _column(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    p.rect(x - 0.6 * k, y - 2.7 * k, 1.2 * k, 2.7 * k, p.lit((0.85, 0.83, 0.76), z, 0.6))
    posters = (
        (-0.55, 2.5, 0.85, 0.15, 0.2),
        (0.0, 2.4, 0.15, 0.4, 0.65),
        (-0.5, 1.4, 0.95, 0.75, 0.2),
        (0.05, 1.3, 0.2, 0.55, 0.35),
    )
    for dx, top, *c in posters:
        p.rect(x + dx * k, y - top * k, 0.48 * k, 0.85 * k, p.lit((c[0], c[1], c[2]), z, 0.7))
    p.oval(x, y - 2.75 * k, 0.75 * k, 0.28 * k, p.lit((0.2, 0.35, 0.28), z, 0.6))


def _kiosk(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    colour = p.lit(rng.choice(((0.2, 0.45, 0.6), (0.25, 0.5, 0.3), (0.8, 0.6, 0.2))), z, 0.6)
    p.rect(x - k, y - 2.3 * k, 2.0 * k, 2.3 * k, colour)
    p.rect(x - 0.85 * k, y - 1.85 * k, 1.7 * k, 0.95 * k, p.lit((0.85, 0.9, 0.9), z, 0.8))
    for i in range(4):
        p.rect(x + (-0.75 + 0.4 * i) * k, y - 1.4 * k, 0.3 * k, 0.42 * k, p.lit((*_FRUIT, _BLUE)[i], z, 0.7))
    p.rect(x - 1.2 * k, y - 2.55 * k, 2.4 * k, 0.3 * k, scale(colour, 0.7), r=0.05 * k)


def _mailbox(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    p.rect(x - 0.07 * k, y - 1.1 * k, 0.14 * k, 1.1 * k, p.lit(_WOOD, z))
    p.rect(x - 0.42 * k, y - 1.55 * k, 0.84 * k, 0.5 * k, p.lit((0.8, 0.82, 0.84), z, 0.8), r=0.22 * k)
    p.rect(x - 0.42 * k, y - 1.25 * k, 0.84 * k, 0.2 * k, p.lit((0.7, 0.72, 0.74), z, 0.7))
    p.rect(x + 0.3 * k, y - 1.85 * k, 0.08 * k, 0.55 * k, p.lit(_RED, z, 0.8))
    p.rect(x + 0.3 * k, y - 1.85 * k, 0.3 * k, 0.18 * k, p.lit(_RED, z, 0.8))


def _awning(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    """A café's table under a parasol."""
    colour = p.lit(rng.choice((_RED, (0.95, 0.9, 0.78), (0.15, 0.45, 0.35))), z, 0.8)
    p.line((x, y), (x, y - 2.3 * k), max(0.8, 0.08 * k), p.lit(_WHITE, z))
    _shape(p, x, y, k, [(-1.25, 1.95), (0, 2.6), (1.25, 1.95)], colour)
    _shape(p, x, y, k, [(-0.4, 1.95), (0, 2.6), (0.4, 1.95)], scale(colour, 0.8))
    p.oval(x, y - 0.78 * k, 0.6 * k, 0.13 * k, p.lit(_WHITE, z, 0.8))
    for dx in (-0.85, 0.65):
        p.rect(x + dx * k, y - 0.9 * k, 0.22 * k, 0.9 * k, p.lit((0.5, 0.35, 0.22), z))


def _cross(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    """A wayside cross: stone, in the Alps and Poland of wood under a small roof, in Ireland with a ring."""
    s = p.scene
    wood = s.country.region in {"alpine", "ceurope", "balkan"}
    colour = p.lit((0.4, 0.27, 0.17) if wood else (0.72, 0.71, 0.68), z, 0.6)
    p.rect(x - 0.45 * k, y - 0.5 * k, 0.9 * k, 0.5 * k, p.lit((0.6, 0.59, 0.57), z, 0.6))
    p.rect(x - 0.13 * k, y - 2.7 * k, 0.26 * k, 2.3 * k, colour)
    p.rect(x - 0.62 * k, y - 2.2 * k, 1.24 * k, 0.26 * k, colour)
    if wood:
        _shape(p, x, y, k, [(-0.85, 2.3), (0, 3.1), (0.85, 2.3), (0.7, 2.3), (0, 2.9), (-0.7, 2.3)], scale(colour, 0.8))
    if s.country.iso == "IE":
        p.canvas.drawCircle(x, y - 2.07 * k, 0.42 * k, p.outline(colour, 0.14 * k))


def _bales(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    hay = p.lit((0.85, 0.72, 0.36), z, 0.7)
    for dx, dy in ((0.5, 0.1), (-0.6, 0.0)):
        p.rect(x + dx * k, y - (1.3 + dy) * k, 0.9 * k, 1.3 * k, scale(hay, 0.85), r=0.2 * k)
        p.disc(x + dx * k, y - (0.65 + dy) * k, 0.65 * k, hay)
        p.disc(x + dx * k, y - (0.65 + dy) * k, 0.34 * k, scale(hay, 0.87))


def _haystack(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    hay = p.lit((0.78, 0.66, 0.34), z, 0.7)
    p.line((x, y), (x, y - 3.0 * k), max(0.8, 0.09 * k), p.lit(_WOOD, z))
    _shape(p, x, y, k, [(-1.0, 0), (-1.1, 0.8), (-0.5, 2.0), (0, 2.7), (0.5, 2.0), (1.1, 0.8), (1.0, 0)], hay)
    _shape(p, x, y, k, [(0, 2.7), (0.5, 2.0), (1.1, 0.8), (1.0, 0), (0.3, 0)],
           scale(hay, 0.8))  # fmt: skip


def _thatch(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    """A hut or stand thatched with palm leaves."""
    for dx in (-0.95, 0.85):
        p.rect(x + dx * k, y - 1.9 * k, 0.12 * k, 1.9 * k, p.lit(_WOOD, z))
    p.rect(x - 0.95 * k, y - 0.95 * k, 1.9 * k, 0.95 * k, p.lit((0.62, 0.45, 0.28), z, 0.5))
    straw = p.lit((0.74, 0.6, 0.35), z, 0.7)
    _shape(
        p,
        x,
        y,
        k,
        [(-1.5, 1.65), (-0.2, 2.9), (0.2, 2.9), (1.5, 1.65)],
        straw,
    )
    _shape(p, x, y, k, [(0.1, 2.9), (0.2, 2.9), (1.5, 1.65), (0.6, 1.65)],
           scale(straw, 0.82))  # fmt: skip


def _tank(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    """A water tank on legs, black in Mexico and the Andes."""
    black = p.scene.country.region in {"mexico", "andes", "camerica"}
    steel = p.lit((0.3, 0.3, 0.32), z)
    for dx in (-0.75, -0.05, 0.65):
        p.rect(x + dx * k, y - 1.9 * k, 0.1 * k, 1.9 * k, steel)
    p.rect(x - 0.9 * k, y - 1.95 * k, 1.8 * k, 0.14 * k, steel)
    colour = p.lit((0.1, 0.1, 0.11) if black else (0.75, 0.78, 0.8), z, 0.7)
    p.rect(x - 0.75 * k, y - 3.2 * k, 1.5 * k, 1.25 * k, colour, r=0.15 * k)
    p.oval(x, y - 3.2 * k, 0.6 * k, 0.24 * k, scale(colour, 0.85))
    p.rect(x - 0.75 * k, y - 2.7 * k, 1.5 * k, 0.08 * k, p.lit((0.45, 0.46, 0.48), z))


def _animal(colour: Colour, size: float, neck: tuple[float, float], humps: int, spots: Colour | None) -> Near:
    """A grazing animal from the side, made of ovals: how far and how high its head is carried, in body lengths."""

    def draw(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
        for dx, shade in ((-0.7, 1.0), (0.9, 0.9)):
            m, ax = size * k * shade, x + dx * 0.8 * k
            hide, legs = p.lit(scale(colour, shade), z, 0.6), p.lit(scale(colour, 0.6), z, 0.4)
            for lx in (-0.36, -0.24, 0.24, 0.36):
                p.line((ax + lx * m, y), (ax + lx * m, y - 0.6 * m), max(0.8, 0.09 * m), legs)
            p.oval(ax, y - 0.72 * m, 0.52 * m, 0.27 * m, hide)
            for _ in range(humps):
                p.oval(ax - 0.05 * m, y - 1.0 * m, 0.2 * m, 0.2 * m, hide)
            head = (ax + neck[0] * m, y - neck[1] * m)
            p.line((ax + 0.42 * m, y - 0.78 * m), head, 0.17 * m, hide)
            p.oval(
                head[0] + 0.08 * m, head[1], 0.17 * m, 0.11 * m, hide if spots is None else p.lit(scale(spots, 0.9), z)
            )
            if spots is not None:
                p.oval(ax - 0.18 * m, y - 0.78 * m, 0.16 * m, 0.13 * m, p.lit(spots, z))
                p.oval(ax + 0.2 * m, y - 0.68 * m, 0.12 * m, 0.1 * m, p.lit(spots, z))

    return draw


def _torii(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    red, dark = p.lit((0.88, 0.22, 0.1), z, 0.7), p.lit(_DARK, z)
    for dx in (-0.95, 0.75):
        p.rect(x + dx * k, y - 2.7 * k, 0.2 * k, 2.7 * k, red)
        p.rect(x + (dx - 0.03) * k, y - 0.25 * k, 0.26 * k, 0.25 * k, dark)
    p.rect(x - 1.15 * k, y - 2.3 * k, 2.3 * k, 0.18 * k, red)
    _shape(p, x, y, k, [(-1.5, 3.05), (0, 2.9), (1.5, 3.05), (1.35, 2.68), (-1.35, 2.68)], red)
    _shape(p, x, y, k, [(-1.55, 3.2), (0, 3.04), (1.55, 3.2), (1.5, 3.03), (0, 2.88), (-1.5, 3.03)], dark)


def _gate(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    """A small pavilion with upturned eaves."""
    red, tile = p.lit((0.68, 0.14, 0.1), z, 0.6), p.lit((0.2, 0.36, 0.34), z, 0.6)
    for dx in (-0.9, -0.1, 0.72):
        p.rect(x + dx * k, y - 1.9 * k, 0.18 * k, 1.9 * k, red)
    p.rect(x - 1.0 * k, y - 2.0 * k, 2.0 * k, 0.25 * k, p.lit((0.9, 0.7, 0.2), z, 0.7))
    for low, half in ((1.95, 1.5), (2.6, 1.0)):
        w, up = half, low + 0.65
        eaves = [(-w, low + 0.3), (-0.8 * w, low), (0.8 * w, low), (w, low + 0.3), (0.45 * w, up), (-0.45 * w, up)]
        _shape(p, x, y, k, eaves, tile)


def _yurt(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    white = p.lit((0.94, 0.92, 0.87), z, 0.7)
    _shape(p, x, y, k, [(-1.55, 1.25), (-0.3, 2.1), (0.3, 2.1), (1.55, 1.25)],
           scale(white, 0.88))  # fmt: skip
    p.rect(x - 1.5 * k, y - 1.3 * k, 3.0 * k, 1.3 * k, white)
    p.rect(x - 1.5 * k, y - 1.28 * k, 3.0 * k, 0.14 * k, p.lit((0.2, 0.4, 0.65), z, 0.7))
    p.rect(x - 0.32 * k, y - 1.05 * k, 0.64 * k, 1.05 * k, p.lit((0.85, 0.35, 0.12), z, 0.7))


def _flowers(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    """A trough of geraniums."""
    for i in range(9):
        p.disc(x + (-0.9 + 0.22 * i) * k, y - (0.75 + 0.14 * (i % 3)) * k, 0.17 * k,
               p.lit(((0.86, 0.12, 0.2), (0.25, 0.5, 0.22), (0.95, 0.5, 0.6))[i % 3], z, 0.7))  # fmt: skip
    p.rect(x - 1.05 * k, y - 0.62 * k, 2.1 * k, 0.62 * k, p.lit((0.5, 0.34, 0.2), z, 0.6), r=0.05 * k)


def _termite(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    soil = p.lit((0.66, 0.34, 0.2), z, 0.6)
    _shape(p, x, y, k, [(-0.75, 0), (-0.3, 1.5), (-0.05, 2.1), (0.15, 1.6), (0.4, 1.7), (0.75, 0)], soil)
    _shape(p, x, y, k, [(0.1, 0), (0.15, 1.6), (0.4, 1.7), (0.75, 0)], scale(soil, 0.8))


def _shelter(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    """A bus stop with its bench."""
    p.rect(x - 1.1 * k, y - 2.1 * k, 2.2 * k, 1.8 * k, p.lit((0.72, 0.82, 0.86), z, 0.8), 0.75)
    for dx in (-1.15, 1.05):
        p.rect(x + dx * k, y - 2.2 * k, 0.1 * k, 2.2 * k, p.lit(_STEEL, z))
    p.rect(x - 0.8 * k, y - 0.6 * k, 1.6 * k, 0.15 * k, p.lit((0.5, 0.35, 0.2), z))
    p.rect(x - 1.3 * k, y - 2.4 * k, 2.6 * k, 0.24 * k, p.lit((0.2, 0.3, 0.4), z, 0.6), r=0.05 * k)


def _phonehood(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    """Brazil's egg-shaped telephone hood."""
    p.rect(x - 0.07 * k, y - 1.5 * k, 0.14 * k, 1.5 * k, p.lit(_STEEL, z))
    p.oval(x, y - 1.75 * k, 0.5 * k, 0.6 * k, p.lit(rng.choice(((0.1, 0.45, 0.7), (0.95, 0.6, 0.1))), z, 0.8))
    p.oval(x + 0.08 * k, y - 1.68 * k, 0.33 * k, 0.44 * k, p.lit((0.2, 0.22, 0.25), z))


_NEAR: dict[str, Near] = {
    "stall": _stall, "vending": _vending, "postbox": _postbox, "milestone": _milestone, "bike": _bike,
    "bougainvillea": _bougainvillea, "column": _column, "kiosk": _kiosk, "mailbox": _mailbox, "awning": _awning,
    "cross": _cross, "wayside": _cross, "celticcross": _cross, "bales": _bales, "haystack": _haystack,
    "thatch": _thatch, "tank": _tank, "tinaco": _tank, "torii": _torii, "pagodagate": _gate, "yurt": _yurt,
    "flowers": _flowers, "termite": _termite, "shelter": _shelter, "phonehood": _phonehood,
    "phonebox": _boxes("-.5 0 1 2.5 red;-.36 .45 .72 .4 pane;-.36 .92 .72 .4 pane;-.36 1.4 .72 .4 pane;"
                       "-.36 1.87 .72 .26 white"),
    "hydrant": _boxes("-.22 0 .44 .85 red;-.38 .42 .76 .2 red;-.28 .78 .56 .16 yellow"),
    "meter": _boxes("-.07 0 .14 1.1 steel;-.22 1.05 .44 .6 dark;-.14 1.35 .28 .18 pane"),
    "hotdog": _boxes("-1 0 2 1.9 red;-.8 .9 1.6 .7 pane;-1.2 1.9 2.4 .25 white"),
    "shrine": _boxes("-.3 0 .6 1 stone;-.5 1 1 .9 white;-.3 1.1 .6 .6 gold;-.6 1.9 1.2 .2 vermilion;"
                     "-.06 2.1 .12 .5 dark"),
    "spirit": _boxes("-.1 0 .2 1.1 stone;-.6 1.1 1.2 .15 gold;-.45 1.25 .9 .6 white;-.7 1.8 1.4 .2 vermilion;"
                     "-.45 2 .9 .2 gold;-.2 2.2 .4 .3 vermilion"),
    "oil": _boxes("-.5 0 1 1.4 white;-.5 .6 1 .2 blue;-.2 1.4 .4 .3 stone"),
    "cow": _animal((0.95, 0.93, 0.9), 1.5, (0.72, 0.72), 0, (0.2, 0.15, 0.13)),
    "sheep": _animal((0.93, 0.92, 0.88), 1.05, (0.55, 0.72), 0, None),
    "horse": _animal((0.45, 0.28, 0.17), 1.6, (0.72, 1.2), 0, None),
    "camel": _animal((0.78, 0.6, 0.38), 1.8, (0.8, 1.35), 1, None),
    "llama": _animal((0.9, 0.84, 0.74), 1.1, (0.52, 1.45), 0, None),
}  # fmt: skip
