"""Trees, bushes and fields: what tells the belts of the Earth apart."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

from geolib.postcards.brush import Colour, Painter, mix, scale, vegetation_colour

# Which plants grow in a belt, with how likely each is.
FLORA: dict[str, dict[str, float]] = {
    "rainforest": {"palm": 4, "jungle": 5, "banana": 2},
    "savanna": {"acacia": 5, "bush": 2, "palm": 1},
    "scrub": {"bush": 4, "acacia": 2, "dead": 1},
    "desert": {"bush": 3, "rock": 4},
    "mediterranean": {"umbrella": 3, "cypress": 3, "olive": 4},
    "subtropical": {"round": 5, "palm": 1, "umbrella": 1},
    "broadleaf": {"round": 7, "poplar": 2, "conifer": 1},
    "mixed": {"conifer": 4, "birch": 3, "round": 3},
    "boreal": {"conifer": 7, "birch": 2},
    "steppe": {"poplar": 3, "bush": 4, "rock": 1},
    "tundra": {"shrub": 5, "rock": 3},
    "ice": {"rock": 3},
}
_AMERICAS = {"namerica", "mexico", "andes", "camerica", "cone", "brazil", "carib"}
_DATES = {"gulf", "nafrica", "levant", "persia", "southasia"}
_RICE = {"seasia", "southasia", "china", "japan", "vietnam", "taiwan", "korea", "himalaya"}


def flora(p: Painter) -> dict[str, float]:
    """The belt's plants, with those that only one part of the world has."""
    s = p.scene
    kinds = dict(FLORA[s.biome])
    region = s.country.region
    if s.biome in {"desert", "scrub"}:
        if region in _AMERICAS:
            kinds["cactus"] = 5
        if region in _DATES:
            kinds["palm"] = 3
    if s.country.iso == "AU":
        kinds = {"gum": 6, "bush": 2} if s.biome not in {"rainforest"} else {"gum": 3, "palm": 3}
    if s.country.iso == "NZ":
        kinds["fern"] = 3
    if region in {"china", "vietnam", "japan"} and s.biome in {"subtropical", "rainforest"}:
        kinds["bamboo"] = 3
    if s.kind == "coast" and s.temperature > 20 and abs(s.lat) < 36:
        kinds["palm"] = kinds.get("palm", 0) + 5
    return kinds


def place(p: Painter, objects: list[tuple[float, Callable[[], None]]]) -> None:
    """Plant trees along the road and in the land beside it."""
    s, rng = p.scene, p.scene.rng("plants")
    kinds = flora(p)
    names, weights = list(kinds), list(kinds.values())
    count = {"street": 5, "suburb": 11, "village": 14, "rural": 20, "coast": 9}[s.kind]
    thin = {"desert": 0.45, "ice": 0.25, "tundra": 0.8, "steppe": 0.55, "scrub": 0.7, "savanna": 0.75}.get(s.biome, 1.0)
    if s.biome in {"rainforest", "boreal"}:
        count = int(count * 1.35)
    for _ in range(round(count * thin)):
        z = 6.5 + 70 * rng.random() ** 1.6
        kind = rng.choices(names, weights)[0]
        d = rng.choice((-1, 1))
        if s.kind == "street":
            x = d * (s.lanes + rng.uniform(1.0, 2.0))
        elif s.kind == "coast" and s.sea_side == 2:
            x = rng.choice((-1, 1)) * rng.uniform(3, 16)
        else:
            x = d * (s.lanes + rng.uniform(2.2, 7) + rng.random() * z * 0.35)
        if s.kind == "coast" and d == s.sea_side and abs(x) > s.lanes + 6:
            continue
        size, salt = rng.uniform(0.75, 1.25), rng.random()

        def one(kind: str = kind, x: float = x, z: float = z, size: float = size, salt: float = salt) -> None:
            plant(p, kind, x, z, size, salt)

        objects.append((z, one))


def plant(p: Painter, kind: str, x: float, z: float, size: float, salt: float) -> None:
    """Draw one plant with its shadow."""
    rng = random.Random(salt)
    height = size * {
        "palm": 8.5, "jungle": 9.0, "banana": 3.4, "acacia": 6.0, "bush": 1.5, "dead": 3.5, "rock": 0.9,
        "umbrella": 7.5, "cypress": 8.5, "olive": 4.0, "round": 6.5, "poplar": 10.0, "conifer": 9.5, "birch": 7.5,
        "shrub": 0.8, "cactus": 3.8, "gum": 9.0, "fern": 4.5, "bamboo": 6.5,
    }[kind]  # fmt: skip
    if p.scene.kind == "street":
        height *= 0.72
    x0, y0 = p.point(x, 0, z)
    k = p.focal / z
    h = height * k
    if x0 < -60 or x0 > 316:
        return
    p.ground_shadow(
        x, z, height * {"palm": 0.16, "conifer": 0.16, "cypress": 0.08, "poplar": 0.1}.get(kind, 0.27), height
    )
    leaf = vegetation_colour(p)
    leaf = scale(mix(leaf, (leaf[1], leaf[0], leaf[2]), rng.uniform(-0.0, 0.14)), rng.uniform(0.85, 1.15))
    _DRAW.get(kind, _round)(p, x0, y0, h, z, leaf, rng)


def _light_side(p: Painter) -> float:
    return 1.0 if p.sun_x >= 0 else -1.0


def _trunk(p: Painter, x: float, y: float, h: float, w: float, z: float, colour: Colour = (0.36, 0.26, 0.18)) -> None:
    p.poly([(x - w, y), (x - w * 0.6, y - h), (x + w * 0.6, y - h), (x + w, y)], p.lit(colour, z))


def _crown(
    p: Painter, x: float, y: float, rx: float, ry: float, z: float, leaf: Colour, rng: random.Random, n: int = 5
) -> None:
    """A heap of leaves: dark below and away from the sun, bright towards it; snow on top where it snowed."""
    d = _light_side(p)
    blobs = [(rng.uniform(-0.55, 0.55), rng.uniform(-0.45, 0.4), rng.uniform(0.5, 0.75)) for _ in range(n)]
    for shade, shift in ((0.68, 0.0), (0.95, 0.13), (1.22, 0.26)):
        colour = p.lit(scale(leaf, shade), z, 0.35 + shift * 2.4)
        shrink = 1 - shift * 1.35
        for bx, by, r in blobs:
            p.oval(
                x + bx * rx + d * shift * rx * 0.8,
                y + by * ry - shift * ry * 1.05,
                r * rx * shrink,
                r * ry * shrink,
                colour,
            )
    if p.scene.snow > 0.35 and "snow" not in p.hide:
        for bx, by, r in blobs:
            p.oval(
                x + bx * rx, y + by * ry - r * ry * 0.55, r * rx * 0.75, r * ry * 0.36, p.lit((0.95, 0.97, 1), z), 0.9
            )


def _bare(
    p: Painter, x: float, y: float, h: float, z: float, rng: random.Random, colour: Colour = (0.33, 0.27, 0.23)
) -> None:
    ink = p.lit(colour, z)
    _trunk(p, x, y, h * 0.5, h * 0.03, z, colour)
    for _ in range(9):
        a, b = h * rng.uniform(0.3, 0.55), rng.uniform(-0.3, 0.3) * h
        top = (x + b, y - a - h * rng.uniform(0.2, 0.45))
        p.line((x, y - a), top, max(0.6, h * 0.018), ink)
        p.line(((x + top[0]) / 2, (y - a + top[1]) / 2), (top[0] + b * 0.6, top[1] + h * 0.05), max(0.5, h * 0.01), ink)


def _round(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    if p.scene.leaf == "bare":
        return _bare(p, x, y, h, z, rng)
    _trunk(p, x, y, h * 0.45, h * 0.035, z)
    _crown(p, x, y - h * 0.65, h * 0.36, h * 0.34, z, leaf, rng)
    return None


def _jungle(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    _trunk(p, x, y, h * 0.6, h * 0.03, z, (0.45, 0.4, 0.34))
    _crown(p, x, y - h * 0.7, h * 0.42, h * 0.28, z, leaf, rng, 6)
    _crown(p, x, y - h * 0.08, h * 0.3, h * 0.11, z, scale(leaf, 0.85), rng, 4)


def _bush(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    if p.scene.leaf == "bare":
        return _bare(p, x, y, h, z, rng)
    _crown(p, x, y - h * 0.42, h * 0.62, h * 0.45, z, leaf, rng, 4)
    return None


def _acacia(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    ink = p.lit((0.32, 0.24, 0.17), z)
    for dx in (-0.3, -0.05, 0.27):
        p.line((x, y - h * 0.25), (x + dx * h, y - h * 0.82), max(0.7, h * 0.03), ink)
    p.line((x, y), (x, y - h * 0.3), max(0.9, h * 0.05), ink)
    _crown(p, x, y - h * 0.86, h * 0.62, h * 0.13, z, mix(leaf, (0.45, 0.5, 0.2), 0.35), rng, 6)


def _umbrella(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    _trunk(p, x, y, h * 0.8, h * 0.03, z, (0.42, 0.3, 0.22))
    _crown(p, x, y - h * 0.86, h * 0.44, h * 0.15, z, mix(leaf, (0.16, 0.36, 0.16), 0.6), rng, 6)


def _olive(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    _trunk(p, x, y, h * 0.4, h * 0.06, z, (0.4, 0.36, 0.3))
    _crown(p, x, y - h * 0.62, h * 0.45, h * 0.32, z, mix(leaf, (0.56, 0.62, 0.46), 0.55), rng)


def _gum(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    pale = (0.83, 0.79, 0.73)
    _trunk(p, x, y, h * 0.55, h * 0.03, z, pale)
    for dx, dy in ((-0.25, 0.8), (0.22, 0.86), (0.02, 0.95)):
        p.line((x, y - h * 0.5), (x + dx * h, y - h * dy), max(0.7, h * 0.022), p.lit(pale, z))
        _crown(p, x + dx * h, y - h * dy, h * 0.22, h * 0.13, z, mix(leaf, (0.47, 0.55, 0.38), 0.65), rng, 3)


def _birch(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    if p.scene.leaf == "bare":
        return _bare(p, x, y, h, z, rng, (0.8, 0.79, 0.76))
    _trunk(p, x, y, h * 0.7, h * 0.022, z, (0.9, 0.89, 0.86))
    for i in range(3):
        p.rect(x - h * 0.02, y - h * (0.12 + 0.13 * i), h * 0.025, h * 0.012, p.lit((0.2, 0.2, 0.2), z))
    yellow = (0.88, 0.72, 0.2) if p.scene.leaf == "autumn" else (0.48, 0.66, 0.28)
    _crown(p, x, y - h * 0.68, h * 0.2, h * 0.33, z, mix(leaf, yellow, 0.5), rng)
    return None


def _conifer(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    dark = mix((0.09, 0.27, 0.18), leaf, 0.25) if p.scene.leaf != "autumn" else (0.1, 0.27, 0.18)
    _trunk(p, x, y, h * 0.2, h * 0.025, z)
    d = _light_side(p)
    w = h * rng.uniform(0.2, 0.27)
    for i in range(5):
        base, top, half = y - h * (0.08 + 0.18 * i), y - h * (0.38 + 0.155 * i), w * (1 - 0.17 * i)
        p.poly([(x - half, base), (x, top), (x + half, base)], p.lit(scale(dark, 0.82), z, 0.2))
        p.poly([(x + d * half, base), (x, top), (x + d * half * 0.15, base)], p.lit(scale(dark, 1.3), z, 1))
        if p.scene.snow > 0.3 and "snow" not in p.hide:
            edge = base - h * 0.03
            p.poly([(x - half * 0.8, edge), (x, top), (x + half * 0.8, edge), (x, base - h * 0.1)],
                   p.lit((0.94, 0.96, 1), z), 0.85)  # fmt: skip


def _cypress(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    dark = (0.12, 0.27, 0.14)
    p.oval(x, y - h * 0.5, h * 0.09, h * 0.5, p.lit(dark, z, 0.2))
    p.oval(x + _light_side(p) * h * 0.025, y - h * 0.52, h * 0.05, h * 0.44, p.lit(scale(dark, 1.5), z, 1))


def _poplar(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    if p.scene.leaf == "bare":
        return _bare(p, x, y, h * 0.8, z, rng)
    _trunk(p, x, y, h * 0.25, h * 0.02, z)
    _crown(p, x, y - h * 0.55, h * 0.13, h * 0.42, z, leaf, rng)
    return None


def _palm(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    lean = rng.uniform(-0.16, 0.16) * h
    ink = p.lit((0.52, 0.42, 0.31), z)
    steps = [(x + lean * t * t, y - h * 0.86 * t) for t in (0, 0.25, 0.5, 0.75, 1)]
    for i, (a, b) in enumerate(pairwise(steps)):
        p.line(a, b, max(0.9, h * (0.045 - 0.005 * i)), ink)
    tx, ty = steps[-1]
    green = mix(leaf, (0.2, 0.45, 0.16), 0.65)
    for i in range(9):
        t = i / 8 * 2 - 1
        reach, drop = h * 0.36 * (0.55 + 0.45 * abs(t)), h * (0.2 * abs(t) ** 1.5 - 0.13)
        tip = (tx + reach * t * 1.05, ty + drop)
        mid = (tx + reach * t * 0.55, ty - h * (0.14 - 0.05 * abs(t)))
        colour = p.lit(scale(green, 0.75 + 0.5 * (t * _light_side(p) * 0.5 + 0.5)), z)
        p.poly([(tx, ty - h * 0.01), (mid[0], mid[1] - h * 0.015), tip, (mid[0] + h * 0.01, mid[1] + h * 0.05)], colour)
    p.disc(tx, ty, max(0.7, h * 0.022), p.lit((0.45, 0.3, 0.15), z))


def _banana(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    green = mix(leaf, (0.4, 0.66, 0.2), 0.6)
    for i in range(6):
        t = (i + 0.5) / 6 * 2 - 1
        tip = x + t * h * 0.75, y - h * (0.95 - 0.4 * abs(t))
        p.poly([(x, y), (x + t * h * 0.3, y - h * 0.75), tip, (x + t * h * 0.42, y - h * 0.5)],
               p.lit(scale(green, rng.uniform(0.75, 1.15)), z))  # fmt: skip


def _fern(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    _trunk(p, x, y, h * 0.7, h * 0.05, z, (0.25, 0.19, 0.14))
    for i in range(9):
        t = i / 8 * 2 - 1
        p.line(
            (x, y - h * 0.7),
            (x + t * h * 0.55, y - h * (0.95 - 0.35 * t * t)),
            max(0.8, h * 0.05),
            p.lit((0.22, 0.46, 0.2), z),
        )


def _bamboo(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    for _ in range(7):
        dx, lean = rng.uniform(-0.14, 0.14) * h, rng.uniform(-0.12, 0.12) * h
        p.line(
            (x + dx, y),
            (x + dx + lean, y - h * rng.uniform(0.75, 1)),
            max(0.8, h * 0.022),
            p.lit((0.48, 0.62, 0.28), z),
        )
        p.oval(x + dx + lean, y - h * rng.uniform(0.6, 0.95), h * 0.1, h * 0.06, p.lit((0.38, 0.6, 0.24), z), 0.9)


def _cactus(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    green = p.lit((0.3, 0.48, 0.26), z, 0.4)
    bright = p.lit((0.42, 0.6, 0.34), z, 1)
    w = max(1.4, h * 0.13)
    for colour, dx, ww in ((green, 0.0, w), (bright, _light_side(p) * w * 0.22, w * 0.4)):
        p.line((x + dx, y), (x + dx, y - h), ww, colour)
        for d, at, up in ((-1, 0.4, 0.34), (1, 0.55, 0.28)):
            p.line((x + dx, y - h * at), (x + dx + d * h * 0.22, y - h * at), ww * 0.75, colour)
            p.line((x + dx + d * h * 0.22, y - h * at), (x + dx + d * h * 0.22, y - h * (at + up)), ww * 0.75, colour)


def _rock(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    stone = mix((0.5, 0.48, 0.46), p.scene.ground, 0.45)
    w = h * rng.uniform(0.8, 1.6)
    p.poly(
        [(x - w, y), (x - w * 0.6, y - h * 0.8), (x + w * 0.1, y - h), (x + w * 0.7, y - h * 0.5), (x + w, y)],
        p.lit(stone, z, 0.3),
    )
    d = _light_side(p)
    p.poly(
        [(x + d * w, y), (x + d * w * 0.6, y - h * 0.55), (x + w * 0.1, y - h), (x + d * w * 0.2, y)],
        p.lit(scale(stone, 1.2), z, 1),
    )


def _dead(p: Painter, x: float, y: float, h: float, z: float, leaf: Colour, rng: random.Random) -> None:
    _bare(p, x, y, h, z, rng, (0.5, 0.42, 0.34))


_DRAW: dict[str, Callable[[Painter, float, float, float, float, Colour, random.Random], None]] = {
    "palm": _palm, "jungle": _jungle, "banana": _banana, "acacia": _acacia, "bush": _bush, "shrub": _bush,
    "dead": _dead, "rock": _rock, "umbrella": _umbrella, "cypress": _cypress, "olive": _olive, "round": _round,
    "poplar": _poplar, "conifer": _conifer, "birch": _birch, "cactus": _cactus, "gum": _gum, "fern": _fern,
    "bamboo": _bamboo,
}  # fmt: skip


def field_kind(p: Painter) -> str:
    """What grows in the fields here: rice, vines, grain, pasture or nothing."""
    s = p.scene
    region, rng = s.country.region, p.scene.rng("field kind")
    if s.biome in {"desert", "ice", "tundra", "boreal"} or s.relief > 0.75:
        return "none"
    if region in _RICE and s.temperature > 14 and s.arid < 0.5:
        return rng.choice(("rice", "rice", "none"))
    if s.biome == "mediterranean" and region in {"med", "weurope", "cone", "oceania", "namerica", "balkan", "safrica"}:
        return rng.choice(("vines", "vines", "grain", "none"))
    if s.biome in {"broadleaf", "mixed", "steppe", "subtropical"}:
        return rng.choice(("grain", "pasture", "pasture", "none"))
    return "pasture" if s.biome == "savanna" and rng.random() < 0.4 else "none"


def fields(p: Painter) -> None:
    """Draw the fields on both sides of the road."""
    s, rng = p.scene, p.scene.rng("fields")
    kind = field_kind(p)
    if kind == "none":
        return
    near = s.lanes + 3.5
    for d in (-1, 1):
        if s.sea_side == d:
            continue
        if kind == "rice":
            p.strip(near * d, 900 * d, p.lit((0.45, 0.62, 0.55), 30), 3)
            for i in range(15):
                z = 4.5 * 1.22**i
                a, b = p.point(near * d, 0, z), p.point(400 * d, 0, z * 1.04)
                p.line(a, b, max(0.7, 26 / z), p.lit((0.42, 0.66, 0.2), z))
            for i in range(12):
                x = d * (near + 2.4 * i * (1 + 0.25 * i))
                p.line(p.point(x, 0, 3), p.point(x, 0, 300), max(0.6, 1.8 - 0.1 * i), p.lit((0.36, 0.5, 0.2), 30), 0.8)
        elif kind == "vines":
            p.strip(near * d, 900 * d, p.lit((0.66, 0.52, 0.36), 30), 3)
            for i in range(24):
                x = d * (near + 2.0 * i * (1 + 0.03 * i))
                a, b = p.point(x, 0, 3.2), p.point(x, 0, 200)
                top = p.point(x, 1.1, 3.2)
                p.poly([a, b, (b[0], b[1] - 1.2), top], p.lit((0.3, 0.46, 0.16), 18, rng.uniform(0.2, 0.7)))
        elif kind == "grain":
            ripe = (0.86, 0.7, 0.32) if s.temperature > 17 else (0.45, 0.6, 0.26)
            p.strip(near * d, 900 * d, p.lit(ripe, 24), 3)
            for i in range(18):
                x = d * (near + 1.6 * i * (1 + 0.12 * i))
                p.line(p.point(x, 0, 3), p.point(x, 0, 260), 1.0, p.lit(scale(ripe, 0.86), 24), 0.7)
        else:
            p.strip(near * d, 900 * d, p.lit(scale(vegetation_colour(p), 1.35), 24), 3)
            sheep = s.country.region in {"oceania", "british"} and rng.random() < 0.6
            for _ in range(rng.randint(0, 5)):
                z = rng.uniform(14, 50)
                x0, y0 = p.point(d * (near + rng.uniform(3, 26)), 0, z)
                k = p.focal / z
                coat = (
                    (0.94, 0.93, 0.88)
                    if sheep
                    else rng.choice(((0.45, 0.28, 0.18), (0.95, 0.94, 0.92), (0.2, 0.18, 0.17)))
                )
                p.oval(x0, y0 - 0.75 * k, 0.85 * k, 0.45 * k, p.lit(coat, z))
                p.disc(x0 + 0.9 * k, y0 - 0.95 * k, 0.26 * k, p.lit((0.2, 0.17, 0.15) if sheep else coat, z))
                for lx in (-0.5, 0.5):
                    p.line(
                        (x0 + lx * k, y0), (x0 + lx * k, y0 - 0.5 * k), max(0.6, 0.12 * k), p.lit(scale(coat, 0.6), z)
                    )
