"""Which trees and bushes stand where: what tells the belts of the Earth, and some of its regions, apart.

Which plant grows where is broad public botany: a table for the twelve belts, and rules for parts of the world that have
a plant of their own (baobabs in Africa, saguaros in America, larches in Siberia).
"""

from __future__ import annotations

import random
from collections.abc import Callable

from postcards import foliage
from postcards.brush import Painter, Point, mix, scale, vegetation_colour

# Which plants grow in a belt, with how likely each is.
FLORA: dict[str, dict[str, float]] = {
    "rainforest": {"palm": 4, "jungle": 6, "banana": 2},
    "savanna": {"acacia": 6, "bush": 2, "tuft": 3},
    "scrub": {"bush": 4, "acacia": 2, "dead": 1, "tuft": 2},
    "desert": {"bush": 2, "rock": 4, "tuft": 2},
    "mediterranean": {"umbrella": 3, "cypress": 4, "olive": 5},
    "subtropical": {"round": 5, "palm": 1, "umbrella": 1},
    "broadleaf": {"round": 8, "poplar": 2, "conifer": 1},
    "mixed": {"conifer": 4, "birch": 3, "round": 3},
    "boreal": {"conifer": 8, "birch": 2},
    "steppe": {"poplar": 3, "bush": 3, "tuft": 6},
    "tundra": {"shrub": 6, "rock": 3},
    "ice": {"rock": 3},
}
HEIGHTS = {
    "palm": 8.5, "datepalm": 7.0, "oilpalm": 6.0, "jungle": 10.0, "banana": 3.4, "acacia": 6.0, "baobab": 9.0,
    "bush": 1.6, "dead": 3.5, "rock": 0.9, "umbrella": 7.5, "cypress": 8.5, "olive": 4.0, "round": 6.8, "maple": 7.0,
    "cherry": 4.6, "jacaranda": 6.5, "willow": 6.5, "poplar": 10.5, "conifer": 10.0, "pine": 10.0, "larch": 10.0,
    "araucaria": 10.5, "birch": 8.0, "shrub": 0.8, "heather": 0.6, "tuft": 1.1, "cactus": 4.2, "joshua": 4.0,
    "agave": 1.6, "gum": 9.5, "fern": 4.5, "bamboo": 7.0, "mangrove": 3.6,
}  # fmt: skip
_SLENDER = {
    "palm": 0.14,
    "conifer": 0.16,
    "larch": 0.14,
    "cypress": 0.08,
    "poplar": 0.1,
    "datepalm": 0.2,
    "cactus": 0.08,
}
_DATES = {"gulf", "nafrica", "levant", "persia"}
_AFRICA = {"wafrica", "eafrica", "safrica"}
_FAR_EAST = {"china", "vietnam", "japan", "taiwan"}
_CACTI = {"namerica", "mexico", "andes", "camerica", "cone", "brazil", "carib"}
# What stands in for the Mediterranean's own trees in the other four places of its climate, and near it.
_OTHER_MEDITERRANEAN: dict[str, dict[str, float]] = {
    "namerica": {"round": 4, "gum": 2, "datepalm": 2, "bush": 1},
    "cone": {"poplar": 5, "gum": 3, "cactus": 1},
    "safrica": {"gum": 3, "bush": 3, "agave": 3, "umbrella": 1},
    "andes": {"gum": 5, "agave": 3, "bush": 2},
    "mexico": {"agave": 4, "cactus": 4, "bush": 2},
    "eafrica": {"gum": 4, "acacia": 4, "agave": 1},
    "casia": {"poplar": 6, "bush": 3},
    "persia": {"poplar": 5, "cypress": 1, "bush": 3},
    "brazil": {"round": 3, "gum": 3},
    "china": {"round": 3, "poplar": 5},
    "southasia": {"gum": 4, "round": 3, "datepalm": 1},
}


def flora(p: Painter) -> dict[str, float]:
    """The belt's plants, with those that only one part of the world has."""
    s = p.scene
    kinds = dict(FLORA[s.biome])
    region, iso = s.country.region, s.country.iso
    if s.biome == "mediterranean":
        kinds = dict(_OTHER_MEDITERRANEAN.get(region, kinds))
    if iso == "AU":
        dry = s.biome in {"desert", "scrub", "savanna", "steppe"}
        kinds = {"gum": 4, "tuft": 6, "bush": 1} if dry else {"gum": 7, "bush": 2, "fern": 1}
    elif s.biome in {"desert", "scrub", "savanna", "steppe"}:
        kinds |= _dry(p)
    elif s.biome in {"subtropical", "rainforest"}:
        kinds |= _moist(p)
    elif s.biome in {"broadleaf", "mixed", "boreal", "tundra"}:
        kinds |= _cool(p)
    kinds |= _in_bloom(p)
    if s.kind == "coast" and s.temperature > 20 and abs(s.lat) < 36:
        kinds["datepalm" if region in _DATES or region == "med" else "palm"] = 9
        if s.biome == "rainforest":
            kinds |= {"mangrove": 3, "jungle": 1}
    return kinds


def _dry(p: Painter) -> dict[str, float]:
    s = p.scene
    region, arid = s.country.region, s.biome in {"desert", "scrub"}
    if region in {"namerica", "mexico"} and (arid or s.biome == "steppe") and s.lat < 37:
        return {"cactus": 5, "joshua": 4, "agave": 2}
    if region in _CACTI and arid:
        return {"cactus": 5, "agave": 3}
    if region in _DATES and arid:
        return {"datepalm": 6}
    if region in _AFRICA and s.biome != "desert":
        return {"baobab": 2.5} if s.country.iso != "MG" else {"baobab": 8}
    if region in {"southasia", "seasia", "carib", "camerica", "brazil"} and s.biome == "savanna":
        return {"palm": 4, "round": 3, "acacia": 2}
    return {}


def _moist(p: Painter) -> dict[str, float]:
    s = p.scene
    region, iso = s.country.region, s.country.iso
    if region in _FAR_EAST:
        return {"bamboo": 6}
    if iso == "NZ":
        return {"fern": 6}
    if s.biome == "rainforest":
        return {"oilpalm": 4} if iso in {"MY", "ID", "PG"} or region == "wafrica" else {}
    if region in {"cone", "brazil"}:
        return {"araucaria": 5, "palm": 0.5}
    if region in {"eafrica", "andes", "safrica"}:
        return {"gum": 5, "agave": 1.5}
    return {"umbrella": 3, "cypress": 2, "palm": 0} if region == "med" else {}


def _cool(p: Painter) -> dict[str, float]:
    s = p.scene
    region, cold = s.country.region, s.biome in {"mixed", "boreal"}
    if s.country.iso == "NZ":
        return {"fern": 5}
    if region in {"cone", "brazil"} and s.biome != "tundra":
        return {"araucaria": 6, "poplar": 3}
    if region in {"russia", "casia"} and cold and s.lon > 55:
        return {"larch": 8, "birch": 4}
    if region in {"nordic", "baltic", "eeurope", "russia", "ceurope", "korea", "polar"} and cold:
        return {"pine": 6, "birch": 4}
    if region in {"british", "nordic"} and s.biome in {"tundra", "mixed"}:
        return {"heather": 6}
    if ((region == "namerica" and s.lon > -95) or region in {"japan", "korea"}) and s.biome != "tundra":
        return {"maple": 7}
    if region in {"weurope", "china", "ceurope"} and s.biome == "broadleaf":
        return {"willow": 2}
    if region == "andes":
        return {"gum": 5, "agave": 2}
    return {}


def _in_bloom(p: Painter) -> dict[str, float]:
    """Trees that people travel to see in flower."""
    s = p.scene
    region = s.country.region
    if region in {"japan", "korea"} and s.month in {3, 4} and s.biome in {"broadleaf", "subtropical", "mixed"}:
        return {"cherry": 14}
    southern = region in {"safrica", "brazil", "cone", "oceania"} and s.month in {10, 11}
    if (southern or (region == "mexico" and s.month in {3, 4})) and s.biome in {
        "subtropical",
        "savanna",
        "mediterranean",
    }:
        return {"jacaranda": 7}
    return {}


def place(p: Painter, objects: list[tuple[float, Callable[[], None]]]) -> None:
    """Plant trees along the road and in the land beside it; at night they melt into the dark."""
    s, rng = p.scene, p.scene.rng("plants")
    if s.night or (s.kind == "street" and s.biome == "ice"):
        return
    kinds = flora(p)
    names, weights = list(kinds), list(kinds.values())
    count = {"street": 5, "suburb": 11, "village": 12, "rural": 14, "coast": 9 if s.sea_side != 2 else 3}[s.kind]
    thin = {"desert": 0.6, "ice": 0.25, "tundra": 1.0, "steppe": 0.8, "scrub": 0.85, "savanna": 0.8}.get(s.biome, 1.0)
    if s.biome in {"rainforest", "boreal"}:
        count = int(count * 1.3)
    for _ in range(round(count * thin)):
        z = 7.5 + 70 * rng.random() ** 1.6
        kind = rng.choices(names, weights)[0]
        d = rng.choice((-1, 1))
        if s.kind == "street":
            x = d * (s.lanes + rng.uniform(1.0, 2.0))
        elif s.kind == "coast" and s.sea_side == 2:  # on the beach, to the left and right of the view
            z = p.shore_z() * rng.uniform(0.6, 0.95)
            x = d * z * rng.uniform(0.3, 0.62)
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
    height = size * HEIGHTS[kind]
    if p.scene.kind == "street" or p.scene.sea_side == 2:
        height *= 0.7
    x0, y0 = p.point(x, 0, z)
    h = height * p.focal / z
    if x0 < -60 or x0 > 316:
        return
    if height > 1:
        p.ground_shadow(x, z, height * _SLENDER.get(kind, 0.27), height)
    leaf = vegetation_colour(p)
    leaf = scale(mix(leaf, (leaf[1], leaf[0], leaf[2]), rng.uniform(-0.0, 0.14)), rng.uniform(0.85, 1.15))
    foliage.DRAW[kind](p, x0, y0, h, z, leaf, rng)
    if not p.scene.night:
        p.show("vegetation", x0, y0 - h * 0.5, h * 0.7)
        p.tell("plant", kind, x0, y0 - h * 0.5, h * 0.7)


def treeline(p: Painter) -> None:
    """Woods on the horizon: pointed, round or scattered, after the belt."""
    s, rng = p.scene, p.scene.rng("treeline")
    dense = {"rainforest": 44, "broadleaf": 34, "mixed": 44, "boreal": 56, "subtropical": 30, "mediterranean": 20,
             "savanna": 14, "scrub": 8, "steppe": 5}.get(s.biome, 0)  # fmt: skip
    if not dense or s.night or s.kind == "street":
        return
    pointed = {"boreal": 0.95, "mixed": 0.6}.get(s.biome, 0.0)
    trees: list[list[Point]] = []
    for _ in range(dense):
        x, h = rng.uniform(-8, 264), rng.uniform(3, 9) * (1.3 if dense > 40 else 1.0)
        y = p.horizon + 2
        if rng.random() < pointed:
            trees.append([(x - h * 0.26, y), (x, y - h * 1.2), (x + h * 0.26, y)])
        else:
            w = h * (1.1 if s.biome == "savanna" else 0.75)
            trees.append(
                [
                    (x - w, y),
                    (x - w * 0.9, y - h * 0.5),
                    (x - w * 0.4, y - h * 0.86),
                    (x + w * 0.3, y - h * 0.9),
                    (x + w * 0.85, y - h * 0.55),
                    (x + w, y),
                ]
            )
    leaf = scale(vegetation_colour(p), 0.72)
    if s.snow > 0.4 and "snow" not in p.hide:
        leaf = mix(leaf, (0.85, 0.89, 0.94), 0.3)
    p.polys(trees, p.lit(leaf, 0.22 * p.sight, 0.3))
