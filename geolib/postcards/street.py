"""Road, buildings, signs, poles, vehicles: what tells countries and towns apart."""

from __future__ import annotations

import random
from collections.abc import Callable

import skia

from geolib.postcards import lettering
from geolib.postcards.brush import SIZE, Colour, Painter, Point, hex_colour, mix, scale

Objects = list[tuple[float, Callable[[], None]]]
PLATES = {"white": "#f4f4f0", "yellow": "#f2c81e", "black": "#16181c", "blue": "#1d4f9e", "red": "#b3202a"}
PAINTS = {"white": (0.94, 0.94, 0.92), "yellow": (0.96, 0.74, 0.12)}
_STRIPED_KERB = {"southasia", "seasia", "himalaya", "gulf"}


# --- road -----------------------------------------------------------------------------------------


def road(p: Painter) -> None:
    """Asphalt or dirt, verge or pavement, and the country's lines."""
    s, rng = p.scene, p.scene.rng("road")
    w = s.lanes
    snow = 0.0 if "snow" in p.hide else s.snow
    if s.road == "dirt":
        soil = mix(scale(s.ground, 1.5), (0.66, 0.48, 0.32), 0.5)
        if s.lat < 25 and s.biome in {"savanna", "rainforest", "scrub"}:
            soil = mix(soil, (0.76, 0.38, 0.2), 0.6)
        p.strip(-w, w, p.lit(mix(soil, (0.93, 0.95, 0.98), snow), 14))
        for x in (-0.55 * w, 0.55 * w):
            p.strip(x - 0.35, x + 0.35, p.lit(scale(mix(soil, (0.85, 0.87, 0.9), snow), 0.84), 14))
        return
    wet = 0.8 if s.weather == "rain" else 1.0
    grey = rng.uniform(0.3, 0.42) * wet
    asphalt = mix((grey, grey, grey * 1.04), (0.87, 0.89, 0.92), snow * 0.85)
    if s.kind in {"street", "suburb"}:
        kerb = (0.7, 0.69, 0.66)
        p.strip(-w - 2.6, w + 2.6, p.lit(mix(kerb, (0.93, 0.95, 0.98), snow * 0.8), 14))
        p.strip(-w - 0.25, w + 0.25, p.lit(scale(kerb, 0.75), 14))
        if s.country.region in _STRIPED_KERB and "road" not in p.hide:
            for i in range(22):
                z0, z1 = 2.6 + i * 2.0, 3.6 + i * 2.0
                for d in (-1, 1):
                    p.quad(
                        [(d * w, 0, z0), (d * (w + 0.32), 0, z0), (d * (w + 0.32), 0, z1), (d * w, 0, z1)],
                        p.lit((0.95, 0.8, 0.2), z0),
                    )
    else:
        shoulder = mix(scale(s.ground, 1.35), (0.6, 0.56, 0.5), 0.6)
        p.strip(-w - 0.9, w + 0.9, p.lit(mix(shoulder, (0.93, 0.95, 0.98), snow), 14))
    p.strip(-w, w, p.lit(asphalt, 16))
    if "road" in p.hide or snow > 0.75:
        return
    lines(p)


def _dashes(p: Painter, x: float, width: float, colour: Colour, on: float, off: float) -> None:
    z = 2.0
    while z < 90:
        p.quad([(x - width, 0, z), (x + width, 0, z), (x + width, 0, z + on), (x - width, 0, z + on)], p.lit(colour, z))
        z += on + off


def lines(p: Painter) -> None:
    """Centre and edge lines in the country's colours; where roads are narrow, only sometimes."""
    s, rng = p.scene, p.scene.rng("lines")
    c, w = s.country, s.lanes
    if rng.random() < {"village": 0.35, "suburb": 0.2, "rural": 0.08}.get(s.kind, 0.08):
        return
    centre = PAINTS[c.centre]
    form = rng.random()
    if (c.centre == "yellow" and form < 0.55) or form < 0.14:
        for x in (-0.17, 0.17):
            p.strip(x - 0.075, x + 0.075, p.lit(centre, 10), z1=160)
    elif form < 0.72:
        _dashes(p, 0.0, 0.09, centre, 3.0, 4.0)
    else:
        p.strip(-0.09, 0.09, p.lit(centre, 10), z1=160)
    if s.kind in {"rural", "village", "coast"} or rng.random() < 0.5:
        edge = PAINTS[c.edge]
        for d in (-1, 1):
            p.strip(d * (w - 0.45), d * (w - 0.3), p.lit(edge, 10), z1=160)
    if s.kind == "street" and rng.random() < 0.4:  # a zebra crossing
        z = rng.uniform(8, 15)
        for i in range(8):
            x = -w + 0.5 + i * (2 * w - 1) / 7.5
            p.quad([(x, 0, z), (x + 0.5, 0, z), (x + 0.5, 0, z + 3), (x, 0, z + 3)], p.lit(PAINTS["white"], z))


# --- what stands beside and on the road -----------------------------------------------------------


def place(p: Painter, objects: Objects) -> None:
    """Put buildings, poles, signs, people and vehicles into the list of objects, each with its distance."""
    if p.scene.kind == "street":
        _terrace(p, objects)
    elif p.scene.kind in {"suburb", "village", "rural"}:
        _houses(p, objects)
    elif p.scene.kind == "coast":
        _seaside(p, objects)
    _poles(p, objects)
    _signs(p, objects)
    _bollards(p, objects)
    _vehicles(p, objects)
    _people(p, objects)
    _extras(p, objects)


def _walls(p: Painter, rng: random.Random) -> Colour:
    if "architecture" in p.hide:
        return 0.72, 0.71, 0.69
    return hex_colour(rng.choice(p.scene.region.walls))


def _terrace(p: Painter, objects: Objects) -> None:
    """Building beside building, as in a town's centre."""
    s = p.scene
    lo, hi = (2, 6) if "architecture" in p.hide else s.region.floors
    for d in (-1, 1):
        rng = s.rng(f"terrace {d}")
        z = rng.uniform(3.2, 8)
        while z < 110:
            length = rng.uniform(7, 15) * (0.55 if s.region.roof_form == "tube" else 1)
            tall = rng.random() ** (2.2 - 1.6 * s.urban)
            floors = max(1, round(lo + (hi - lo) * tall * s.urban))
            x = d * (s.lanes + 3.0 + (1.5 if floors > 10 else 0) + rng.uniform(0, 0.8))
            wall, salt = _walls(p, rng), rng.random()

            def one(
                x: float = x,
                z: float = z,
                length: float = length,
                floors: int = floors,
                wall: Colour = wall,
                salt: float = salt,
            ) -> None:
                block(p, x, z, length, floors, wall, random.Random(salt))

            objects.append((z + 0.5, one))
            z += length + (rng.uniform(1.5, 6) if rng.random() < 0.18 else 0.05)


def block(p: Painter, x: float, z: float, length: float, floors: int, wall: Colour, rng: random.Random) -> None:
    """One building of a terrace: the wall along the street, the wall towards the camera, windows, a shop, a roof."""
    s = p.scene
    d = 1 if x > 0 else -1
    h = 3.1 * floors + 0.8
    deep = x + d * 11
    z1 = z + length
    front = p.lit(wall, z, p.towards_sun(0, -1))
    side = p.lit(scale(wall, 0.94), z + 4, p.towards_sun(-d, 0))
    a, b, c, e = p.point(x, 0, z), p.point(x, h, z), p.point(x, h, z1), p.point(x, 0, z1)
    g, f = p.point(deep, 0, z), p.point(deep, h, z)
    form = s.region.roof_form if "architecture" not in p.hide else "flat"
    p.poly([a, b, c, e], side)
    p.poly([a, b, f, g], front)
    if form in {"gable", "steep", "chalet", "hip", "lowgable", "pagoda"} and floors < 8:
        roof = p.lit(hex_colour(rng.choice(s.region.roofs)), z + 3, p.towards_sun(-d * 0.7, 0))
        rise = {"steep": 4.2, "gable": 2.8, "chalet": 3.0, "pagoda": 2.2}.get(form, 1.7)
        ridge0, ridge1 = p.point(x + d * 3.4, h + rise, z + 0.4), p.point(x + d * 3.4, h + rise, z1)
        p.poly([p.point(x - d * 0.4, h - 0.1, z - 0.2), ridge0, ridge1, p.point(x - d * 0.4, h - 0.1, z1)], roof)
        p.poly([b, ridge0, p.point(deep, h, z)], scale(front, 0.96))
    else:
        cap = p.lit(scale(wall, 0.8), z, 0.5)
        p.line(b, c, max(0.8, 0.35 * p.focal / z * 0.5), cap)
        p.line(b, f, max(0.8, 0.35 * p.focal / z * 0.5), cap)
        if s.snow > 0.4 and "snow" not in p.hide:
            p.line(b, f, max(1.0, 0.3 * p.focal / z), p.lit((0.95, 0.97, 1), z))
    if z > 75:
        return
    shop = p.has("shops", "script") and rng.random() < 0.8
    _windows(p, x, z, length, floors, wall, rng, 1 if shop else 0)
    if shop:
        _shop(p, x, z, length, rng)


def _windows(
    p: Painter, x: float, z: float, length: float, floors: int, wall: Colour, rng: random.Random, first: int
) -> None:
    """Rows of windows on both visible walls, in the region's manner."""
    s = p.scene
    style = s.region.window if "architecture" not in p.hide else "grid"
    width, top, sill = {"tall": (0.3, 2.5, 0.6), "small": (0.22, 2.0, 1.0), "bay": (0.42, 2.3, 0.7),
                        "arch": (0.26, 2.4, 0.7), "balcony": (0.36, 2.5, 0.4)}.get(style, (0.32, 2.2, 0.8))  # fmt: skip
    d = 1 if x > 0 else -1
    columns = max(2, round(length / (2.6 if floors < 12 else 2.2)))
    glass = p.lit((0.28, 0.36, 0.46) if not s.night else (0.05, 0.06, 0.1), z + 3, 0.5)
    if not s.night:
        glass = mix(glass, p.haze, 0.16)
    panes: list[list[Point]] = []
    glow: list[list[Point]] = []
    accents: list[list[Point]] = []
    for floor in range(first, min(floors, 16)):
        y0, y1 = 3.1 * floor + sill, 3.1 * floor + top
        for i in range(columns):
            za = z + length * (i + 0.5 - width) / columns
            zb = z + length * (i + 0.5 + width) / columns
            pane = [p.point(x, y0, za), p.point(x, y1, za), p.point(x, y1, zb), p.point(x, y0, zb)]
            (glow if s.night and rng.random() < 0.45 else panes).append(pane)
            if style == "shutters" and z < 40:
                w = (zb - za) * 0.4
                for zs in (za - w, zb):
                    accents.append(
                        [p.point(x, y0, zs), p.point(x, y1, zs), p.point(x, y1, zs + w), p.point(x, y0, zs + w)]
                    )
            elif style == "balcony" and z < 40:
                q = x - d * 0.7
                accents.append(
                    [
                        p.point(q, y0 - 0.3, za),
                        p.point(q, y0 + 0.7, za),
                        p.point(q, y0 + 0.7, zb),
                        p.point(q, y0 - 0.3, zb),
                    ]
                )
    if z < 34:
        across = 3
        for floor in range(first, min(floors, 12)):
            for i in range(across):
                xa = x + d * (11 * (i + 0.5 - width * 0.8) / across)
                xb = x + d * (11 * (i + 0.5 + width * 0.8) / across)
                y0, y1 = 3.1 * floor + sill, 3.1 * floor + top
                panes.append([p.point(xa, y0, z), p.point(xa, y1, z), p.point(xb, y1, z), p.point(xb, y0, z)])
    p.polys(panes, glass)
    if glow:
        p.polys(glow, (1.0, 0.82, 0.45))
    if accents:
        colour = (
            rng.choice(((0.2, 0.42, 0.34), (0.24, 0.36, 0.55), (0.5, 0.27, 0.2)))
            if style == "shutters"
            else scale(wall, 0.72)
        )
        p.polys(accents, p.lit(colour, z + 3, 0.5))


def _shop(p: Painter, x: float, z: float, length: float, rng: random.Random) -> None:
    """A shop on the ground floor, with a board or a hanging sign in the country's script."""
    s = p.scene
    d = 1 if x > 0 else -1
    dark = p.lit((0.2, 0.2, 0.22), z) if not s.night else (0.95, 0.8, 0.5)
    p.quad([(x, 0.3, z + 0.5), (x, 2.5, z + 0.5), (x, 2.5, z + length - 0.5), (x, 0.3, z + length - 0.5)], dark)
    colour = rng.choice(
        (
            (0.75, 0.13, 0.12),
            (0.1, 0.3, 0.6),
            (0.1, 0.45, 0.28),
            (0.95, 0.75, 0.15),
            (0.93, 0.92, 0.88),
            (0.16, 0.16, 0.2),
        )
    )
    board = p.lit(colour, z, 0.6) if not s.night else colour
    p.quad([(x, 2.5, z + 0.2), (x, 3.3, z + 0.2), (x, 3.3, z + length - 0.2), (x, 2.5, z + length - 0.2)], board)
    if z > 26:
        return
    word = lettering.word(s.country.script, rng)
    ink = (0.98, 0.97, 0.94) if sum(colour) < 1.7 else (0.15, 0.12, 0.12)
    vertical = lettering.is_vertical(s.country.script) and rng.random() < 0.7
    k = p.focal / (z + 0.2)
    wide, high = (0.9, 3.4) if vertical else (2.2, 0.85)
    x0, y0 = p.point(x, 3.9 if vertical else 3.5, z + 0.2)
    left = x0 - wide * k if d > 0 else x0
    top = y0 - high * k
    p.rect(left, top, wide * k, high * k, board, r=0.06 * k)
    lettering.draw(p, word, left, top, wide * k, high * k, ink, vertical)


def _houses(p: Painter, objects: Objects) -> None:
    """Detached houses in gardens; few in the country, many in a suburb."""
    s = p.scene
    chance = {"suburb": 0.92, "village": 0.62, "rural": 0.13}[s.kind]
    gap = {"suburb": 3.0, "village": 7.0, "rural": 14.0}[s.kind]
    for d in (-1, 1):
        if s.sea_side == d and "coast" not in p.hide:
            continue
        rng = s.rng(f"houses {d}")
        z = rng.uniform(9, 16)
        while z < 95:
            wide, deep = rng.uniform(7, 11), rng.uniform(7, 10)
            floors = 2 if rng.random() < 0.28 + 0.3 * s.urban else 1
            if s.region.roof_form == "tube":
                wide, floors = 4.5, rng.randint(2, 4)
            x = d * (s.lanes + rng.uniform(4.5, 8) + (rng.uniform(2, 16) if s.kind == "rural" else 0))
            wall, salt = _walls(p, rng), rng.random()
            if rng.random() < chance:

                def one(
                    x: float = x,
                    z: float = z,
                    wide: float = wide,
                    deep: float = deep,
                    floors: int = floors,
                    wall: Colour = wall,
                    salt: float = salt,
                ) -> None:
                    house(p, x, z, wide, deep, floors, wall, random.Random(salt))

                objects.append((z + 1, one))
            z += deep + gap * rng.uniform(0.6, 1.6)


def house(
    p: Painter, x: float, z: float, wide: float, deep: float, floors: int, wall: Colour, rng: random.Random
) -> None:
    """A detached house with the region's roof, seen from the road."""
    s = p.scene
    d = 1 if x > 0 else -1
    form = s.region.roof_form if "architecture" not in p.hide else "gable"
    h = 2.9 * floors
    x1 = x + d * wide
    front, side = p.lit(wall, z, p.towards_sun(0, -1)), p.lit(scale(wall, 0.93), z + 3, p.towards_sun(-d, 0))
    roof_colour = hex_colour(rng.choice(s.region.roofs)) if "architecture" not in p.hide else (0.45, 0.42, 0.4)
    if s.snow > 0.35 and "snow" not in p.hide:
        roof_colour = mix(roof_colour, (0.95, 0.97, 1), 0.85)
    roof, roof2 = (
        p.lit(roof_colour, z, p.towards_sun(-d * 0.6, -0.2)),
        p.lit(scale(roof_colour, 0.85), z, p.towards_sun(0, -0.8)),
    )
    p.ground_shadow((x + x1) / 2, z + 1, wide * 0.32, h)
    a, b = p.point(x, 0, z), p.point(x1, h, z)
    p.poly([p.point(x, 0, z), p.point(x, h, z), p.point(x, h, z + deep), p.point(x, 0, z + deep)], side)
    p.poly([a, p.point(x, h, z), b, p.point(x1, 0, z)], front)
    k = p.focal / z
    if form in {"flat", "tube"}:
        p.line(p.point(x, h, z), b, max(0.8, 0.25 * k), p.lit(scale(wall, 0.78), z))
        p.line(p.point(x, h, z), p.point(x, h, z + deep), max(0.8, 0.25 * k), p.lit(scale(wall, 0.78), z))
        if "tinaco" in s.region.extras or "solartank" in s.region.extras:
            t = p.point(x + d * wide * 0.4, h, z + 1)
            dark = (0.12, 0.12, 0.13) if "tinaco" in s.region.extras else (0.92, 0.93, 0.94)
            p.rect(t[0] - 0.6 * k, t[1] - 1.3 * k, 1.2 * k, 1.3 * k, p.lit(dark, z), r=0.2 * k)
    elif form in {"hip", "pagoda", "tin"}:
        rise = {"hip": 2.3, "pagoda": 2.7, "tin": 1.5}[form]
        over = 0.9 if form == "pagoda" else 0.5
        ridge0, ridge1 = (
            p.point(x + d * wide * 0.32, h + rise, z + deep * 0.4),
            p.point(x + d * wide * 0.68, h + rise, z + deep * 0.4),
        )
        eave0, eave1 = p.point(x - d * over, h - 0.1, z - over), p.point(x1 + d * over, h - 0.1, z - over)
        back = p.point(x - d * over, h - 0.1, z + deep)
        p.poly([eave0, ridge0, back], roof)
        if form == "pagoda":  # eaves that turn up
            mid0, mid1 = p.point(x + d * wide * 0.12, h + 0.5, z), p.point(x + d * wide * 0.88, h + 0.5, z)
            p.poly([(eave0[0], eave0[1] - 0.35 * k), mid0, ridge0, ridge1, mid1, (eave1[0], eave1[1] - 0.35 * k),
                    (mid1[0], mid1[1] + 0.5 * k), (mid0[0], mid0[1] + 0.5 * k)], roof2)  # fmt: skip
        else:
            p.poly([eave0, ridge0, ridge1, eave1], roof2)
        if form == "tin":
            for i in range(1, 6):
                low, high = _between(eave0, eave1, i / 6), _between(ridge0, ridge1, i / 6)
                p.line(low, high, 0.6, scale(roof2, 0.8))
    else:
        rise = {"steep": 4.0, "gable": 2.8, "chalet": 2.3, "lowgable": 1.5}[form]
        over = 1.1 if form == "chalet" else 0.4
        peak0, peak1 = p.point(x + d * wide / 2, h + rise, z - over), p.point(x + d * wide / 2, h + rise, z + deep)
        p.poly([p.point(x, h, z), p.point(x + d * wide / 2, h + rise, z), b], front)
        p.poly([p.point(x - d * over, h - 0.3, z - over), peak0, peak1, p.point(x - d * over, h - 0.3, z + deep)], roof)
        p.line(p.point(x - d * over, h - 0.3, z - over), peak0, max(0.8, 0.3 * k), roof2)
        p.line(p.point(x1 + d * over, h - 0.3, z - over), peak0, max(0.8, 0.3 * k), roof2)
        if "chimney" in s.region.extras:
            q = p.point(x + d * wide * 0.62, h + rise * 0.8, z + 1)
            p.rect(q[0] - 0.35 * k, q[1] - 1.3 * k, 0.7 * k, 1.5 * k, p.lit((0.5, 0.28, 0.22), z))
    if z < 60:
        _house_windows(p, x, z, wide, deep, floors, d, rng)


def _between(a: Point, b: Point, t: float) -> Point:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def _house_windows(
    p: Painter, x: float, z: float, wide: float, deep: float, floors: int, d: int, rng: random.Random
) -> None:
    glass = (1.0, 0.82, 0.45) if p.scene.night else mix(p.lit((0.26, 0.34, 0.44), z), p.haze, 0.12)
    frame = p.lit((0.95, 0.95, 0.93), z)
    panes: list[list[Point]] = []
    frames: list[list[Point]] = []
    for floor in range(floors):
        y0, y1 = 2.9 * floor + 0.9, 2.9 * floor + 2.1
        for t in (0.2, 0.8) if wide > 5 else (0.5,):
            for grow, out in ((0.14, frames), (0.0, panes)):
                xa, xb = x + d * (wide * t - 0.7 - grow), x + d * (wide * t + 0.7 + grow)
                out.append(
                    [
                        p.point(xa, y0 - grow, z),
                        p.point(xa, y1 + grow, z),
                        p.point(xb, y1 + grow, z),
                        p.point(xb, y0 - grow, z),
                    ]
                )
        for t in (0.3, 0.72):
            za, zb = z + deep * (t - 0.12), z + deep * (t + 0.12)
            panes.append([p.point(x, y0, za), p.point(x, y1, za), p.point(x, y1, zb), p.point(x, y0, zb)])
    xa, xb = x + d * (wide * 0.5 - 0.5), x + d * (wide * 0.5 + 0.5)
    p.polys(frames, frame)
    p.polys(panes, glass)
    door = rng.choice(((0.5, 0.2, 0.15), (0.2, 0.32, 0.42), (0.32, 0.24, 0.18), (0.16, 0.36, 0.24)))
    p.quad([(xa, 0, z), (xa, 2.1, z), (xb, 2.1, z), (xb, 0, z)], p.lit(door, z))


def _seaside(p: Painter, objects: Objects) -> None:
    """What stands at the sea: parasols, boats, a lighthouse, a few houses on the land side."""
    s, rng = p.scene, p.scene.rng("seaside")
    if s.sea_side != 2:
        _houses_one_side(p, objects, -s.sea_side)
    warm = s.temperature > 19
    if s.sea_side == 2:
        for _ in range(rng.randint(2, 5) if warm else 0):
            x, z = rng.uniform(-9, 9), rng.uniform(7, 20)
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
    if rng.random() < 0.5 and "coast" not in p.hide:
        x, colour = rng.uniform(20, SIZE - 20), rng.choice(((0.95, 0.95, 0.95), (0.7, 0.2, 0.2), (0.2, 0.35, 0.6)))
        y = p.horizon + rng.uniform(3, 9)

        def boat(x: float = x) -> None:
            if s.sea_side != 2 and (x - p.axis) * s.sea_side < 25:
                return
            p.poly([(x - 9, y), (x - 6, y + 4), (x + 7, y + 4), (x + 10, y)], p.lit(colour, 120))
            p.poly([(x, y - 15), (x, y - 1), (x + 8, y - 1)], p.lit((0.97, 0.96, 0.92), 120))

        objects.append((399.0, boat))
    if rng.random() < 0.22 and s.temperature < 21 and "architecture" not in p.hide:
        x = p.axis + rng.choice((-1, 1)) * rng.uniform(40, 95)

        def lighthouse() -> None:
            y = p.horizon + 5
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


def _houses_one_side(p: Painter, objects: Objects, d: int) -> None:
    s, rng = p.scene, p.scene.rng("seaside houses")
    z = rng.uniform(9, 14)
    while z < 80 and s.urban > 0.12:
        wall, salt = _walls(p, rng), rng.random()
        floors = max(1, round(s.urban * s.region.floors[1] * 0.6 * rng.random()) + 1)

        def one(z: float = z, wall: Colour = wall, salt: float = salt, floors: int = floors) -> None:
            house(p, d * (s.lanes + 5), z, 9, 8, min(4, floors), wall, random.Random(salt))

        objects.append((z + 1, one))
        z += rng.uniform(10, 18)


# --- small things by the road ---------------------------------------------------------------------


def _poles(p: Painter, objects: Objects) -> None:
    """Utility poles with wires, or street lamps."""
    s, rng = p.scene, p.scene.rng("poles")
    if not p.has("poles", "poles"):
        return
    d = rng.choice((-1, 1))
    if s.sea_side == d:
        d = -d
    x = d * (s.lanes + 1.7)
    kind = s.country.pole
    start, step = rng.uniform(6, 12), 17.0
    tops: list[Point] = []
    wood = {
        "wood": (0.36, 0.27, 0.2),
        "concrete": (0.66, 0.66, 0.64),
        "lamp": (0.5, 0.53, 0.55),
        "none": (0.4, 0.42, 0.44),
    }[kind]
    for i in range(5):
        z = start + i * step
        tops.append(p.point(x, 7.6, z))

        def one(z: float = z) -> None:
            k, (x0, y0) = p.focal / z, p.point(x, 0, z)
            colour = p.lit(wood, z)
            p.ground_shadow(x, z, 0.1, 7)
            p.line((x0, y0), (x0, y0 - 8 * k), max(0.8, 0.22 * k), colour)
            if kind in {"lamp", "none"}:
                p.line((x0, y0 - 8 * k), (x0 - d * 1.8 * k, y0 - 8.2 * k), max(0.7, 0.12 * k), colour)
                p.oval(x0 - d * 1.8 * k, y0 - 8.1 * k, 0.45 * k, 0.14 * k, (1, 0.9, 0.6) if s.night else colour)
                if s.night:
                    p.disc(x0 - d * 1.8 * k, y0 - 8 * k, 2.2 * k, (1, 0.85, 0.5), 0.25, 6.0)
                return
            p.line((x0 - 1.1 * k, y0 - 7.4 * k), (x0 + 1.1 * k, y0 - 7.4 * k), max(0.7, 0.14 * k), colour)
            if kind == "concrete":
                p.rect(x0 - 0.3 * k - d * 0.5 * k, y0 - 6.4 * k, 0.6 * k, 1.0 * k, p.lit((0.45, 0.47, 0.48), z))

        objects.append((z, one))

    def wires() -> None:
        path = skia.Path()
        for spread in (-0.9, 0.0, 0.9) if "wires" not in s.region.extras else (-0.9, -0.5, -0.1, 0.3, 0.9):
            before = p.point(x + spread, 7.4, 2.2)
            path.moveTo(*before)
            for i in range(5):
                z = start + i * step
                here = p.point(x + spread, 7.45, z)
                path.quadTo((before[0] + here[0]) / 2, (before[1] + here[1]) / 2 + 26 / (i + 1.2) ** 1.4, *here)
                before = here
        p.canvas.drawPath(path, p.outline((0.12, 0.12, 0.14), 0.8, 0.75))

    if kind not in {"lamp", "none"}:
        objects.append((start - 0.1, wires))


def _signs(p: Painter, objects: Objects) -> None:
    """A warning sign, a guide sign with the town's name, a flag."""
    s = p.scene
    c = s.country
    if p.has("warning", "warning"):
        rng = s.rng("warning")
        z = rng.uniform(7.5, 12)
        x = (-p.side if "guide" in s.elements else p.side) * (s.lanes + 1.35)

        def warning(x: float = x, z: float = z, rng: random.Random = rng) -> None:
            k, (x0, y0) = p.focal / z, p.point(x, 0, z)
            x0 = p.inside(x0, 1.05 * k)
            p.line((x0, y0), (x0, y0 - 2.4 * k), max(0.8, 0.09 * k), p.lit((0.55, 0.56, 0.57), z))
            r, y = 0.95 * k, y0 - 3.0 * k
            yellow, red, white = (
                p.lit((0.98, 0.78, 0.1), z, 0.7),
                p.lit((0.85, 0.12, 0.12), z, 0.7),
                p.lit((0.97, 0.96, 0.94), z, 0.7),
            )
            ink = p.lit((0.08, 0.08, 0.08), z)
            if c.warning == "diamond":
                p.poly([(x0, y - r * 1.05), (x0 + r * 1.05, y), (x0, y + r * 1.05), (x0 - r * 1.05, y)], ink)
                p.poly([(x0, y - r * 0.94), (x0 + r * 0.94, y), (x0, y + r * 0.94), (x0 - r * 0.94, y)], yellow)
            else:
                inner = yellow if c.warning == "yellowtri" else white
                p.poly([(x0, y - r), (x0 + r * 1.08, y + r * 0.8), (x0 - r * 1.08, y + r * 0.8)], red)
                p.poly([(x0, y - r * 0.52), (x0 + r * 0.64, y + r * 0.58), (x0 - r * 0.64, y + r * 0.58)], inner)
            if rng.random() < 0.5:
                p.line((x0, y - r * 0.22), (x0, y + r * 0.2), max(0.8, 0.16 * k), ink)
                p.disc(x0, y + r * 0.42, max(0.6, 0.1 * k), ink)
            else:
                p.poly(
                    [
                        (x0 - r * 0.3, y + r * 0.42),
                        (x0 + r * 0.05, y - r * 0.22),
                        (x0 + r * 0.12, y + r * 0.08),
                        (x0 + r * 0.34, y + r * 0.42),
                    ],
                    ink,
                )

        objects.append((z, warning))
    if p.has("guide", "town_name"):
        rng = s.rng("guide")
        z = rng.uniform(9, 13)
        d = p.side if s.sea_side != p.side else -p.side
        x = d * (s.lanes + 3.4)

        def guide(x: float = x, z: float = z) -> None:
            k, (x0, y0) = p.focal / z, p.point(x, 0, z)
            back = {
                "green": (0.0, 0.42, 0.27),
                "blue": (0.05, 0.3, 0.63),
                "white": (0.95, 0.95, 0.93),
                "yellow": (0.97, 0.8, 0.15),
            }[c.guide]
            ink = (0.97, 0.97, 0.95) if c.guide in {"green", "blue"} else (0.1, 0.1, 0.12)
            w, h, y = 4.4 * k, 1.35 * k, y0 - 4.0 * k
            x0 = p.inside(x0, w / 2)
            post = p.lit((0.5, 0.51, 0.52), z)
            for dx in (-0.38, 0.38):
                p.line((x0 + dx * w, y0), (x0 + dx * w, y + h), max(0.8, 0.1 * k), post)
            p.rect(x0 - w / 2, y, w, h, p.lit(ink, z, 0.7), r=0.16 * k)
            p.rect(x0 - w / 2 + 0.08 * k, y + 0.08 * k, w - 0.16 * k, h - 0.16 * k, p.lit(back, z, 0.7), r=0.13 * k)
            lettering.latin(p, s.town, x0 - w / 2 + 0.2 * k, y + 0.1 * k, w - 0.4 * k, h - 0.2 * k, p.lit(ink, z, 0.7))

        objects.append((z, guide))
    if p.has("flag", "flag") and c.flag:
        rng = s.rng("flag")
        z = rng.uniform(11, 18)
        d = rng.choice((-1, 1))
        x = d * (s.lanes + (2.4 if s.kind == "street" else 3.4))

        def flag(x: float = x, z: float = z) -> None:
            k, (x0, y0) = p.focal / z, p.point(x, 0, z)
            x0 = p.inside(x0 + 1.45 * k, 1.45 * k) - 1.45 * k
            p.line((x0, y0), (x0, y0 - 7.5 * k), max(0.9, 0.1 * k), p.lit((0.8, 0.8, 0.8), z))
            draw_flag(p, c.flag, x0, y0 - 7.4 * k, 2.9 * k, 1.9 * k, z)

        objects.append((z, flag))


def draw_flag(p: Painter, spec: str, x: float, y: float, w: float, h: float, z: float) -> None:
    """A simplified flag from its description, such as `v:#002395:#ffffff:#ed2939`."""
    for part in spec.split("|"):
        name, *names = part.split(":")
        colours = [p.lit(hex_colour(n), z, 0.7) for n in names]
        first = colours[0]
        if name == "solid":
            p.rect(x, y, w, h, first)
        elif name in {"h", "h2", "h3", "h5", "stripes"}:
            shares = {"h2": (2, 1, 1), "h3": (1, 2, 1), "h5": (1, 1, 2)}.get(name, (1,) * len(colours))
            if name == "h5":
                colours, shares = [*colours, colours[1], colours[0]], (1, 1, 2, 1, 1)
            if name == "stripes":
                colours, shares = [colours[i % 2] for i in range(7)], (1,) * 7
            top = y
            for colour, share in zip(colours, shares, strict=True):
                p.rect(x, top, w, h * share / sum(shares) + 0.3, colour)
                top += h * share / sum(shares)
        elif name in {"v", "v2"}:
            shares = (2, 3) if name == "v2" else (1,) * len(colours)
            left = x
            for colour, share in zip(colours, shares, strict=True):
                p.rect(left, y, w * share / sum(shares) + 0.3, h, colour)
                left += w * share / sum(shares)
        elif name == "nordic":
            p.rect(x, y, w, h, first)
            p.rect(x + w * 0.28, y, w * 0.16, h, colours[1])
            p.rect(x, y + h * 0.41, w, h * 0.2, colours[1])
        elif name == "cross":
            p.rect(x, y, w, h, first)
            p.rect(x + w * 0.42, y + h * 0.14, w * 0.16, h * 0.72, colours[1])
            p.rect(x + w * 0.2, y + h * 0.39, w * 0.6, h * 0.22, colours[1])
        elif name == "disc":
            p.disc(x + w * 0.5, y + h * 0.5, h * 0.27, first)
        elif name == "star":
            p.disc(x + w * 0.5, y + h * 0.5, h * 0.17, first)
        elif name == "leaf":
            p.poly(
                [
                    (x + w * 0.5, y + h * 0.2),
                    (x + w * 0.62, y + h * 0.5),
                    (x + w * 0.5, y + h * 0.8),
                    (x + w * 0.38, y + h * 0.5),
                ],
                first,
            )
        elif name == "rhomb":
            p.poly(
                [
                    (x + w * 0.5, y + h * 0.1),
                    (x + w * 0.9, y + h * 0.5),
                    (x + w * 0.5, y + h * 0.9),
                    (x + w * 0.1, y + h * 0.5),
                ],
                first,
            )
        elif name == "canton":
            p.rect(x, y, w * 0.42, h * 0.52, first)
        elif name == "tri":
            p.poly([(x, y), (x + w * 0.42, y + h * 0.5), (x, y + h)], first)
        elif name == "bar":
            p.rect(x, y, w * 0.25, h, first)
        elif name == "bars":
            p.rect(x, y + h * 0.12, w, h * 0.12, first)
            p.rect(x, y + h * 0.76, w, h * 0.12, first)
        elif name == "quarter":
            p.rect(x, y, w, h, first)
            p.rect(x + w * 0.5, y, w * 0.5, h * 0.5, colours[1])
            p.rect(x, y + h * 0.5, w * 0.5, h * 0.5, colours[1])
        elif name == "diag":
            p.rect(x, y, w, h, first)
            p.poly([(x + w, y), (x + w, y + h), (x, y + h)], colours[2])
            p.poly(
                [
                    (x, y + h * 0.7),
                    (x + w * 0.75, y),
                    (x + w, y),
                    (x + w, y + h * 0.3),
                    (x + w * 0.25, y + h),
                    (x, y + h),
                ],
                colours[1],
            )
        elif name == "union":
            p.rect(x, y, w, h, first)
            for width, colour in ((0.2, colours[1]), (0.09, colours[2])):
                p.line((x, y), (x + w, y + h), h * width * 0.8, colour)
                p.line((x + w, y), (x, y + h), h * width * 0.8, colour)
            for width, colour in ((0.32, colours[1]), (0.18, colours[2])):
                p.rect(x + w * 0.5 - h * width / 2, y, h * width, h, colour)
                p.rect(x, y + h * (0.5 - width / 2), w, h * width, colour)


def _bollards(p: Painter, objects: Objects) -> None:
    if not p.has("bollard", "bollard"):
        return
    s = p.scene
    band = {"white": (0.15, 0.15, 0.16), "red": (0.8, 0.15, 0.12), "yellow": (0.95, 0.75, 0.1)}[s.country.bollard]
    for i in range(6):
        z = 5.5 + i * 9.0
        for d in (-1, 1):

            def one(z: float = z, d: int = d) -> None:
                k, (x0, y0) = p.focal / z, p.point(d * (s.lanes + 0.75), 0, z)
                body = p.lit((0.95, 0.95, 0.93) if s.country.bollard != "yellow" else (0.96, 0.8, 0.2), z)
                p.rect(x0 - 0.1 * k, y0 - 0.95 * k, 0.2 * k, 0.95 * k, body, r=0.05 * k)
                p.rect(x0 - 0.1 * k, y0 - 0.78 * k, 0.2 * k, 0.2 * k, p.lit(band, z))

            objects.append((z, one))


# --- vehicles and people --------------------------------------------------------------------------


def _vehicles(p: Painter, objects: Objects) -> None:
    """Oncoming traffic on the far side, traffic ahead on one's own side, parked cars."""
    s = p.scene
    if "vehicles" in p.hide:
        return
    lane = s.lanes * 0.5
    for name, x, front in (("ahead", p.side * lane, False), ("oncoming", -p.side * lane, True)):
        if name not in s.elements:
            continue
        rng = s.rng(name)
        for z in sorted((rng.uniform(9.5, 15), rng.uniform(20, 46))[: 1 + (rng.random() < 0.5)]):
            _add_vehicle(p, objects, x, z, front, rng)
    if "parked" in s.elements:
        rng = s.rng("parked")
        for _ in range(rng.randint(1, 4)):
            d = rng.choice((-1, 1))
            _add_vehicle(p, objects, d * (s.lanes + 1.0), rng.uniform(10, 45), d != p.side, rng)


def _add_vehicle(p: Painter, objects: Objects, x: float, z: float, front: bool, rng: random.Random) -> None:
    extras = p.scene.region.extras if "extras" not in p.hide else ()
    special = [
        k
        for k in (
            "tuktuk",
            "motorbike",
            "scooter",
            "minibus",
            "pickup",
            "suv",
            "kei",
            "redbus",
            "ute",
            "schoolbus",
            "mototaxi",
        )
        if k in extras
    ]
    kind = rng.choice(special) if special and rng.random() < 0.3 else "car"
    salt = rng.random()
    objects.append((z, lambda: vehicle(p, x, z, front, kind, random.Random(salt))))


def vehicle(p: Painter, x: float, z: float, front: bool, kind: str, rng: random.Random) -> None:
    """One vehicle from the front or from behind, with its plate."""
    s = p.scene
    k, (x0, y0) = p.focal / z, p.point(x, 0, z)
    p.oval(x0, y0, 1.1 * k, 0.2 * k, (0.03, 0.04, 0.08), 0.5)
    p.ground_shadow(x, z, 0.9, 1.4)
    if kind in {"motorbike", "scooter"}:
        _rider(p, x0, y0, k, z, rng)
        return
    colour = rng.choice(
        (
            (0.93, 0.93, 0.92),
            (0.16, 0.17, 0.19),
            (0.6, 0.62, 0.64),
            (0.68, 0.12, 0.13),
            (0.13, 0.27, 0.5),
            (0.35, 0.37, 0.39),
            (0.2, 0.36, 0.28),
        )
    )
    w, h, cabin = 0.9, 0.75, 0.68
    if kind == "tuktuk":
        w, h, cabin, colour = 0.65, 0.7, 1.0, rng.choice(((0.1, 0.5, 0.25), (0.95, 0.78, 0.1), (0.2, 0.4, 0.7)))
    elif kind == "mototaxi":
        w, h, cabin, colour = 0.62, 0.7, 0.9, (0.8, 0.15, 0.15)
    elif kind == "minibus":
        w, h, cabin, colour = 0.95, 1.0, 1.1, rng.choice(((0.96, 0.96, 0.94), (0.95, 0.8, 0.2)))
    elif kind in {"pickup", "suv", "ute"}:
        w, h, cabin = 1.0, 0.95, 0.75
    elif kind == "kei":
        w, h, cabin = 0.74, 0.85, 0.95
    elif kind == "redbus":
        w, h, cabin, colour = 1.2, 2.3, 1.9, (0.78, 0.1, 0.12)
    elif kind == "schoolbus":
        w, h, cabin, colour = 1.2, 1.4, 1.5, (0.97, 0.72, 0.06)
    body, dark = p.lit(colour, z, p.towards_sun(0, -1)), p.lit(scale(colour, 0.6), z, 0.3)
    glass = mix(p.lit((0.14, 0.18, 0.23), z), p.haze, 0.2)
    base = y0 - 0.28 * k
    for dx in (-0.72, 0.72):
        p.rect(x0 + dx * w * k - 0.13 * k, y0 - 0.42 * k, 0.26 * k, 0.42 * k, p.lit((0.07, 0.07, 0.08), z), r=0.08 * k)
    top = base - (h + cabin) * k
    p.poly(
        [
            (x0 - w * k * 0.94, base - h * k * 0.9),
            (x0 - w * k * 0.72, top),
            (x0 + w * k * 0.72, top),
            (x0 + w * k * 0.94, base - h * k * 0.9),
        ],
        body,
    )
    p.poly(
        [
            (x0 - w * k * 0.82, base - h * k * 0.95),
            (x0 - w * k * 0.65, top + 0.1 * k),
            (x0 + w * k * 0.65, top + 0.1 * k),
            (x0 + w * k * 0.82, base - h * k * 0.95),
        ],
        glass,
    )
    p.rect(x0 - w * k, base - h * k, 2 * w * k, h * k, body, r=0.16 * k)
    p.rect(x0 - w * k, base - 0.18 * k, 2 * w * k, 0.2 * k, dark, r=0.06 * k)
    lamp = (
        ((1, 0.97, 0.82) if front else (0.85, 0.1, 0.08)) if not s.night else ((1, 1, 0.9) if front else (1, 0.15, 0.1))
    )
    for dx in (-0.74, 0.74):
        p.oval(x0 + dx * w * k, base - h * k * 0.62, 0.2 * k, 0.13 * k, lamp if s.night else p.lit(lamp, z, 0.8))
        if s.night:
            p.disc(x0 + dx * w * k, base - h * k * 0.6, 0.7 * k, lamp, 0.35, 6.0)
    if "plate" not in p.hide and not s.night:
        name = s.country.plate_front if front else s.country.plate_rear
        wide, high = (0.3, 0.13) if s.country.plate_shape == "long" else (0.24, 0.17)
        y = base - h * k * 0.36
        p.rect(
            x0 - (wide + 0.03) * k,
            y - (high + 0.03) * k,
            2 * (wide + 0.03) * k,
            2 * (high + 0.03) * k,
            p.lit((0.1, 0.1, 0.1), z),
        )
        p.rect(x0 - wide * k, y - high * k, 2 * wide * k, 2 * high * k, p.lit(hex_colour(PLATES[name]), z, 0.8))
        mark = (0.95, 0.95, 0.95) if name in {"black", "blue", "red"} else (0.15, 0.15, 0.2)
        p.rect(x0 - wide * 0.75 * k, y - high * 0.35 * k, wide * 1.5 * k, high * 0.7 * k, p.lit(mark, z), 0.75)


def _rider(p: Painter, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    shirt = p.lit(
        rng.choice(((0.8, 0.2, 0.2), (0.2, 0.4, 0.7), (0.9, 0.9, 0.88), (0.2, 0.55, 0.35), (0.9, 0.6, 0.1))), z
    )
    p.rect(x - 0.1 * k, y - 0.7 * k, 0.2 * k, 0.7 * k, p.lit((0.08, 0.08, 0.09), z), r=0.1 * k)
    p.rect(x - 0.3 * k, y - 0.95 * k, 0.6 * k, 0.4 * k, p.lit((0.25, 0.26, 0.3), z), r=0.15 * k)
    p.rect(x - 0.27 * k, y - 1.55 * k, 0.54 * k, 0.7 * k, shirt, r=0.2 * k)
    p.disc(x, y - 1.72 * k, 0.2 * k, p.lit(rng.choice(((0.9, 0.9, 0.9), (0.15, 0.15, 0.17), (0.8, 0.15, 0.15))), z))


def _people(p: Painter, objects: Objects) -> None:
    s, rng = p.scene, p.scene.rng("people")
    if "people" not in s.elements:
        return
    for _ in range(rng.randint(1, 4)):
        z, d = rng.uniform(8, 30), rng.choice((-1, 1))
        x = d * (s.lanes + rng.uniform(0.7, 2.2)) if not (s.kind == "coast" and s.sea_side == 2) else rng.uniform(-8, 8)
        salt = rng.random()

        def one(x: float = x, z: float = z, salt: float = salt) -> None:
            r = random.Random(salt)
            k, (x0, y0) = p.focal / z, p.point(x, 0, z)
            shirt = r.choice(
                (
                    (0.75, 0.2, 0.2),
                    (0.2, 0.35, 0.6),
                    (0.9, 0.88, 0.84),
                    (0.2, 0.45, 0.35),
                    (0.85, 0.6, 0.2),
                    (0.3, 0.25, 0.35),
                )
            )
            p.ground_shadow(x, z, 0.2, 1.7)
            for dx in (-0.12, 0.12):
                p.line(
                    (x0 + dx * k, y0),
                    (x0 + dx * 0.6 * k, y0 - 0.85 * k),
                    max(0.8, 0.17 * k),
                    p.lit((0.17, 0.18, 0.24), z),
                )
            p.rect(x0 - 0.24 * k, y0 - 1.42 * k, 0.48 * k, 0.68 * k, p.lit(shirt, z), r=0.14 * k)
            p.disc(
                x0, y0 - 1.6 * k, 0.15 * k, p.lit(r.choice(((0.9, 0.73, 0.6), (0.65, 0.45, 0.33), (0.4, 0.27, 0.2))), z)
            )

        objects.append((z, one))


def _extras(p: Painter, objects: Objects) -> None:
    """What only some parts of the world have at the roadside."""
    s = p.scene
    if not p.has("extras", "extras") or s.kind not in {"street", "suburb", "village"}:
        return
    rng = s.rng("extras")
    x = rng.choice((-1, 1)) * (s.lanes + 1.5)
    z = rng.uniform(7, 12)

    def one() -> None:
        k, (x0, y0) = p.focal / z, p.point(x, 0, z)
        extras = s.region.extras
        if "prayerflags" in extras or "lantern" in extras:
            colours = ((0.2, 0.4, 0.8), (0.95, 0.95, 0.93), (0.8, 0.15, 0.15), (0.15, 0.55, 0.3), (0.95, 0.8, 0.2))
            for i in range(17):
                t = i / 16
                px, py = p.point(-s.lanes - 3 + t * (2 * s.lanes + 6), 6.2 - 3.6 * t * (1 - t), 13)
                if "lantern" in extras:
                    if i % 3 == 0:
                        p.oval(px, py + 5, 4.2, 5, p.lit((0.85, 0.12, 0.1), 8, 0.8))
                else:
                    p.rect(px, py, 6, 7, p.lit(colours[i % 5], 8, 0.8))
        elif "vending" in extras:
            p.rect(
                x0 - 0.5 * k,
                y0 - 1.8 * k,
                k,
                1.8 * k,
                p.lit(rng.choice(((0.85, 0.12, 0.12), (0.15, 0.35, 0.75))), z),
                r=0.06 * k,
            )
            p.rect(x0 - 0.38 * k, y0 - 1.6 * k, 0.76 * k, 0.8 * k, p.lit((0.9, 0.95, 0.98), z))
        elif "phonebox" in extras:
            p.rect(x0 - 0.5 * k, y0 - 2.4 * k, k, 2.4 * k, p.lit((0.75, 0.08, 0.1), z), r=0.08 * k)
            for i in range(4):
                p.rect(x0 - 0.36 * k, y0 - (2.05 - 0.47 * i) * k, 0.72 * k, 0.36 * k, p.lit((0.75, 0.82, 0.86), z))
        elif "hydrant" in extras:
            p.rect(x0 - 0.2 * k, y0 - 0.8 * k, 0.4 * k, 0.8 * k, p.lit((0.85, 0.16, 0.12), z), r=0.15 * k)
            p.rect(x0 - 0.33 * k, y0 - 0.56 * k, 0.66 * k, 0.17 * k, p.lit((0.75, 0.13, 0.1), z), r=0.05 * k)
        elif "stall" in extras:
            for i in range(3):
                p.rect(
                    x0 - (1.4 - i * 0.95) * k,
                    y0 - 2.2 * k,
                    0.95 * k,
                    0.5 * k,
                    p.lit(((0.9, 0.3, 0.2), (0.95, 0.9, 0.8), (0.2, 0.5, 0.7))[i], z),
                )
            p.rect(x0 - 1.3 * k, y0 - 0.9 * k, 2.7 * k, 0.9 * k, p.lit((0.5, 0.36, 0.24), z))
            for i in range(6):
                p.disc(
                    x0 - (1.0 - 0.42 * i) * k,
                    y0 - 0.98 * k,
                    0.18 * k,
                    p.lit(((0.95, 0.55, 0.1), (0.8, 0.15, 0.1), (0.4, 0.65, 0.15))[i % 3], z),
                )
        elif "bougainvillea" in extras:
            for i in range(9):
                p.disc(
                    x0 + rng.uniform(-1.3, 1.3) * k,
                    y0 - rng.uniform(0.2, 2.3) * k,
                    0.4 * k,
                    p.lit(((0.8, 0.15, 0.5), (0.2, 0.45, 0.2))[i % 3 == 0], z),
                )
        elif "bike" in extras:
            ink = p.lit((0.15, 0.16, 0.2), z)
            for dx in (-0.55, 0.55):
                p.canvas.drawCircle(x0 + dx * k, y0 - 0.36 * k, 0.35 * k, p.outline(ink, max(0.8, 0.07 * k)))
            p.line(
                (x0 - 0.55 * k, y0 - 0.36 * k),
                (x0 + 0.2 * k, y0 - 0.9 * k),
                max(0.8, 0.08 * k),
                p.lit((0.7, 0.2, 0.2), z),
            )
            p.line(
                (x0 + 0.55 * k, y0 - 0.36 * k),
                (x0 + 0.2 * k, y0 - 0.9 * k),
                max(0.8, 0.08 * k),
                p.lit((0.7, 0.2, 0.2), z),
            )
        elif "minaret" in extras:
            q = p.point(x * 2.4, 0, 60)
            pale = p.lit((0.93, 0.9, 0.83), 60, 0.7)
            p.rect(q[0] - 4, q[1] - 88, 8, 88, pale)
            p.rect(q[0] - 6, q[1] - 70, 12, 4, scale(pale, 0.85))
            p.poly([(q[0] - 4, q[1] - 88), (q[0], q[1] - 104), (q[0] + 4, q[1] - 88)], p.lit((0.45, 0.5, 0.52), 60))

    objects.append((61.0 if "minaret" in s.region.extras else z, one))
