"""Buildings in the region's manner: terraces in town, detached houses outside, what stands at the sea."""

from __future__ import annotations

import random

from geolib.postcards import lettering
from geolib.postcards.brush import SIZE, Colour, Objects, Painter, Point, hex_colour, mix, scale


def _walls(p: Painter, rng: random.Random) -> Colour:
    if "architecture" in p.hide:
        return 0.72, 0.71, 0.69
    return hex_colour(rng.choice(p.scene.region.walls))


def terrace(p: Painter, objects: Objects) -> None:
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


def houses(p: Painter, objects: Objects) -> None:
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


def seaside(p: Painter, objects: Objects) -> None:
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
