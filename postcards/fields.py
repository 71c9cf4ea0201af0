"""Fields, herds and wild flowers beside the road: what people grow and keep tells a country from its neighbours.

Crops follow public agricultural geography in broad strokes (rice in monsoon Asia, tulips in the Netherlands, sunflowers
in Ukraine), with the month and the temperature deciding what stands in the field.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import skia

from postcards.brush import SIZE, Colour, Painter, Point, mix, scale, vegetation_colour
from postcards.plants import plant

_RICE = {"seasia", "southasia", "china", "japan", "vietnam", "taiwan", "korea", "himalaya"}
_EUROPE = {"weurope", "british", "alpine", "ceurope", "balkan", "eeurope", "baltic", "nordic", "med", "russia"}
_SUNFLOWERS = {"UA", "RU", "FR", "AR", "RO", "BG", "HU", "MD", "ES", "RS", "TR"}
_OLD_DRY = {"nafrica", "levant", "persia", "anatolia", "gulf", "caucasus"}
_WINTER = {
    "wheat",
    "vines",
    "olives",
    "agaves",
    "cows",
    "yaks",
    "sheep",
    "goats",
    "camels",
    "llamas",
    "horses",
    "reindeer",
    "",
}


def _summer(p: Painter) -> float:
    """The month counted as on the northern half of the Earth."""
    return p.scene.month if p.scene.lat >= 0 else (p.scene.month + 5) % 12 + 1


def crops(p: Painter) -> dict[str, float]:
    """What may grow or graze in the fields here, with how likely each is."""
    s = p.scene
    region = s.country.region
    if s.biome == "ice" or s.night:
        return {}
    if s.biome in {"desert", "tundra", "boreal"}:
        return _edge_of_farming(p)
    if region in _EUROPE:
        return _europe(p)
    if region in _RICE:
        return _monsoon_asia(p)
    if region in {"wafrica", "eafrica", "safrica"}:
        return _africa(p)
    if region in _OLD_DRY:
        return {"goats": 4, "wheat": 2, "olives": 3 if s.biome == "mediterranean" else 0, "cotton": 1, "sheep": 2}
    if region in {"namerica", "mexico", "camerica", "carib", "brazil", "andes", "cone"}:
        return _americas(p)
    if region == "casia":
        return {"horses": 5, "sheep": 4, "cotton": 2 if s.temperature > 18 else 0, "wheat": 2}
    if region == "oceania":
        cane = s.temperature > 20 and s.arid < 0.4
        return {"sheep": 7 if s.country.iso == "NZ" else 3, "cows": 2, "wheat": 2 if s.arid > 0.2 else 0,
                "cane": 4 if cane else 0, "kangaroos": 4 if s.country.iso == "AU" else 0,
                "vines": 2 if s.biome == "mediterranean" else 0}  # fmt: skip
    return {"cows": 2, "wheat": 2, "maize": 1}


def _edge_of_farming(p: Painter) -> dict[str, float]:
    s = p.scene
    region = s.country.region
    if s.biome == "desert":
        if region in {"gulf", "nafrica", "persia", "levant", "eafrica", "wafrica", "casia"}:
            return {"camels": 5, "goats": 1, "": 3}
        return (
            {"goats": 2, "": 3}
            if region in {"southasia", "safrica"}
            else {"llamas": 4, "": 3}
            if region == "andes"
            else {}
        )
    if region in {"nordic", "russia", "polar"} and abs(s.lat) > 58:
        return {"reindeer": 5, "hay": 2 if s.biome == "boreal" and s.temperature > 5 else 0, "": 2}
    if region == "andes":
        return {"llamas": 6, "quinoa": 2}
    if region in {"himalaya", "casia", "china"}:
        return {"yaks": 5, "sheep": 2, "": 1}
    return {"sheep": 4, "horses": 1} if region in {"british", "cone", "oceania"} else {"cows": 2, "hay": 2, "": 3}


def _europe(p: Painter) -> dict[str, float]:
    s = p.scene
    iso, month, region = s.country.iso, _summer(p), s.country.region
    kinds: dict[str, float] = {"cows": 3, "wheat": 4, "maize": 1 if 6 <= month <= 10 and s.temperature > 10 else 0}
    if s.biome == "mediterranean" or region == "med":
        kinds = {"vines": 5, "olives": 5, "wheat": 2}
    if region == "british":
        kinds = {"sheep": 7, "cows": 2, "wheat": 2}
    if region == "alpine":
        kinds = {"cows": 6, "hay": 3}
    if region in {"nordic", "baltic", "russia"}:
        kinds |= {"hay": 4, "sheep": 5 if iso in {"IS", "NO", "FO"} else 0}
    if iso in {"FR", "DE", "AT", "HU", "SI", "HR", "GE", "MD", "RO"} and s.lat < 51:
        kinds["vines"] = 4
    if month in {4, 5} and region not in {"med", "russia"}:
        kinds["rapeseed"] = 6
    if iso == "NL" and month in {4, 5}:
        kinds["tulips"] = 16
    if iso in _SUNFLOWERS and 6 <= month <= 9:
        kinds["sunflowers"] = 9
    if iso == "FR" and s.lat < 45.5 and s.lon > 3 and 6 <= month <= 8:
        kinds["lavender"] = 14
    return kinds


def _monsoon_asia(p: Painter) -> dict[str, float]:
    s = p.scene
    region, iso = s.country.region, s.country.iso
    hot = s.temperature > 13
    kinds: dict[str, float] = {"rice": 8 if hot and s.arid < 0.5 else 0, "wheat": 0 if s.biome == "rainforest" else 1.5}
    if region == "southasia":
        kinds |= {"zebus": 3, "cane": 2 if hot else 0, "cotton": 3 if s.arid > 0.35 else 0,
                  "tea": 6 if iso == "LK" or (s.lon > 88 and s.relief > 0.1) else 0}  # fmt: skip
    if region in {"seasia", "vietnam"}:
        kinds |= {
            "buffaloes": 4,
            "cane": 1,
            "palms": 8 if iso in {"MY", "ID"} else 0,
            "coffee": 2 if iso == "VN" else 0,
        }
    if region in {"china", "japan", "taiwan"}:
        kinds |= {"tea": 3 if s.biome == "subtropical" else 0, "maize": 2 if region == "china" and s.lat > 33 else 0}
    if region == "himalaya":
        kinds |= {"yaks": 3, "goats": 2}
    return kinds


def _africa(p: Painter) -> dict[str, float]:
    s = p.scene
    region = s.country.region
    kinds: dict[str, float] = {"maize": 3, "zebus": 5, "goats": 3}
    if s.country.iso in {"KE", "UG", "TZ", "RW", "BI", "MW"} and s.biome in {"subtropical", "rainforest"}:
        kinds["tea"] = 8
    if region == "wafrica":
        kinds |= {"palms": 6 if s.biome == "rainforest" else 0, "cotton": 2 if s.arid > 0.2 else 0}
    if region == "safrica":
        kinds = {"maize": 4, "sheep": 3, "cows": 3, "vines": 8 if s.biome == "mediterranean" else 0,
                 "cane": 3 if s.temperature > 20 and s.arid < 0.3 else 0}  # fmt: skip
    return kinds


def _americas(p: Painter) -> dict[str, float]:
    s = p.scene
    region, month, warm = s.country.region, _summer(p), s.temperature > 10
    if region == "namerica":
        return {
            "maize": 6 if warm and -103 < s.lon < -75 else 0,
            "wheat": 4 if s.lon < -95 else 1,
            "cows": 3,
            "cotton": 5 if s.lat < 35.5 and s.lon > -104 else 0,
            "rapeseed": 5 if s.lat > 49 and month in {6, 7} else 0,
            "vines": 4 if s.biome == "mediterranean" else 0,
        }
    if region == "mexico":
        return {"agaves": 6, "maize": 4, "goats": 1, "cows": 1}
    if region in {"camerica", "carib"}:
        return {"cane": 5, "coffee": 3 if region == "camerica" else 0, "bananas": 4, "zebus": 1}
    if region == "brazil":
        return {"cane": 4, "coffee": 4 if s.lat < -12 else 0, "zebus": 5, "maize": 1}
    if region == "andes":
        low = s.biome in {"rainforest", "savanna"}
        return {"bananas": 4, "cane": 2, "zebus": 2} if low else {"llamas": 7, "quinoa": 4, "maize": 1}
    sunny = 6 <= month <= 9
    return {
        "cows": 6,
        "wheat": 2,
        "sunflowers": 5 if sunny and s.country.iso == "AR" else 0,
        "sheep": 2 if s.lat < -38 else 0,
        "vines": 5 if s.biome in {"mediterranean", "desert", "scrub"} else 0,
    }


def fields(p: Painter) -> None:
    """Draw the fields or the herd beside the road, one crop to a scene, and flowers in the verge."""
    s, rng = p.scene, p.scene.rng("fields")
    hardy = s.temperature > 7
    kinds = {kind: weight for kind, weight in crops(p).items() if weight > 0 and (hardy or kind in _WINTER)}
    choice = rng.choices(list(kinds), list(kinds.values()))[0] if kinds else ""
    near, salt = s.lanes + 1.9, rng.random()
    if choice and (s.kind == "rural" or rng.random() < 0.55):
        for d in (-1, 1):
            if s.sea_side == d or (choice in HERDS and s.kind == "village" and d > 0):
                continue
            if choice in HERDS:
                herd(p, choice, d, near, random.Random(f"{salt}/{d}"))
            else:
                CROPS[choice](p, d, near, random.Random(f"{salt}/{d}"))
            x, y = p.point(d * (near + 5), 0.5, 16)
            p.show("vegetation", p.inside(x, 10), y, 12 if p.sight > 50 else 6)
            p.tell("field", choice, p.inside(x, 10), y, 12 if p.sight > 50 else 6)
    flowers(p)


def flowers(p: Painter) -> None:
    """Poppies, daisies, dandelions in the grass in the warm months of green belts."""
    s, rng = p.scene, p.scene.rng("flowers")
    if s.night or s.leaf != "green" or not 8 < s.temperature < 26 or s.arid > 0.45 or rng.random() < 0.4:
        return
    for colour in rng.sample(((0.98, 0.96, 0.9), (0.98, 0.85, 0.2), (0.88, 0.2, 0.14), (0.6, 0.46, 0.85)), 2):
        path = skia.Path()
        for _ in range(14):
            z = rng.uniform(5, 20)
            x, y = p.point(rng.choice((-1, 1)) * (s.lanes + rng.uniform(1.2, 2.6 + 0.2 * z)), 0.15, z)
            path.addCircle(x, y, max(0.6, 0.07 * p.focal / z))
        p.canvas.drawPath(path, p.paint(p.lit(colour, 8)))


# --- crops --------------------------------------------------------------------------------------


def _floor(p: Painter, d: int, near: float, colour: Colour, z: float = 26) -> None:
    """The soil or the mass of a field, paler far away."""
    p.strip(near * d, 900 * d, p.lit(colour, z + 40), 3)
    p.quad([(near * d, 0, 3), (near * d, 0, 26), (90 * d, 0, 26), (30 * d, 0, 3)], p.lit(colour, z - 14), 0.75)


def _rows(
    p: Painter,
    d: int,
    near: float,
    step: float,
    tall: float,
    dark: Colour,
    bright: Colour,
    count: int = 22,
    wide: float = 0.3,
) -> None:
    """Rows of plants along the road: a shaded face and a lit top for each."""
    faces: list[list[Point]] = []
    tops: list[list[Point]] = []
    for i in range(count):
        x = d * (near + 0.5 + step * i * (1 + 0.03 * i))
        foot, far, top = p.point(x, 0, 3.2), p.point(x, 0, 150), p.point(x, tall, 3.2)
        crest, back = (far[0], far[1] - tall * p.focal / 150), p.point(x + d * step * wide * 2, tall, 3.2)
        faces.append([foot, far, crest, top])
        tops.append([top, crest, (crest[0] + d * 0.4, crest[1]), back])
    p.polys(faces, p.lit(dark, 20, 0.3))
    p.polys(tops, p.lit(bright, 20, 0.9))


def _dots(
    p: Painter, d: int, near: float, step: float, up: float, r: float, colour: Colour, count: int, rng: random.Random
) -> None:
    """Heads, bolls or fruit at height `up` in the nearer rows."""
    path = skia.Path()
    for _ in range(count):
        z = 6 + 34 * rng.random() ** 1.7
        i = rng.randrange(1 + int(z * 0.3))
        x, y = p.point(
            d * (near + 0.5 + step * i * (1 + 0.03 * i)) + rng.uniform(-0.15, 0.15), up * rng.uniform(0.85, 1.1), z
        )
        q = max(0.55, r * p.focal / z)
        path.addOval(skia.Rect.MakeLTRB(x - q, y - q, x + q, y + q))
    p.canvas.drawPath(path, p.paint(p.lit(colour, 16, 0.9)))


def _rice(p: Painter, d: int, near: float, rng: random.Random) -> None:
    """Paddies: water with young plants, or a green or golden stand; terraces where the land is steep."""
    s = p.scene
    stage = s.rng("rice").random()
    plant = (0.36, 0.62, 0.2) if stage < 0.7 else (0.84, 0.72, 0.3)
    water = mix((0.5, 0.62, 0.62), p.zenith, 0.35)
    if s.relief > 0.3:
        for i in range(6, -1, -1):
            x, y = near + 1 + 4.5 * i, 0.75 * i
            far = 160.0
            p.quad(
                [(d * x, y, 3), (d * x, y, far), (d * 900, y, far), (d * 900, y, 3)],
                p.lit(water if (i + int(stage * 9)) % 3 == 0 else scale(plant, 0.92 + 0.08 * (i % 2)), 30),
            )
            p.quad([(d * x, y - 0.75, 3), (d * x, y - 0.75, far), (d * x, y, far), (d * x, y, 3)],
                   p.lit((0.24, 0.38, 0.13), 18, 0.3))  # fmt: skip
        return
    flooded = stage < 0.45
    _floor(p, d, near, water if flooded else plant, 30)
    if flooded:
        path = skia.Path()
        for i in range(90):
            z = 5 + 40 * ((i + rng.random()) / 90) ** 1.6
            x, y = p.point(d * (near + (0.4 + 0.3 * z) * rng.random() * 2), 0, z)
            k = 0.3 * p.focal / z
            path.addRect(skia.Rect.MakeLTRB(x - max(0.5, k * 0.3), y - k, x + max(0.5, k * 0.3), y))
        p.canvas.drawPath(path, p.paint(p.lit(plant, 16)))
    banks: list[list[Point]] = []
    for z in (9.0, 15.0, 24.0, 40.0, 70.0):
        a, b = p.point(near * d, 0, z), p.point(300 * d, 0, z)
        t = 5.5 * (9 / z)
        banks.append([(a[0], a[1] - t * 0.4), (b[0], b[1] - t * 0.4), (b[0], b[1] + t * 0.3), (a[0], a[1] + t * 0.3)])
    for x in (near, near + 9, near + 24, near + 55):
        banks.append([p.point(d * x, 0.2, 3), p.point(d * x, 0, 200), p.point(d * (x + 0.7), 0, 3)])
    p.polys(banks, p.lit((0.33, 0.46, 0.17), 20))


def _vines(p: Painter, d: int, near: float, rng: random.Random) -> None:
    s = p.scene
    leaf = {"autumn": (0.72, 0.4, 0.14), "bare": (0.4, 0.3, 0.22)}.get(s.leaf, (0.32, 0.52, 0.16))
    if s.temperature < 6:
        leaf = (0.4, 0.3, 0.22)
    _floor(p, d, near, (0.68, 0.53, 0.37))
    _rows(p, d, near, 2.7, 1.0, scale(leaf, 0.75), scale(leaf, 1.4))


def _grain(p: Painter, d: int, near: float, rng: random.Random) -> None:
    """Wheat: green in spring, gold in summer, stubble with bales after the harvest, ploughed in the cold."""
    month, t = _summer(p), p.scene.temperature
    if t < 5:
        _floor(p, d, near, (0.42, 0.32, 0.24))
        _rows(p, d, near, 0.9, 0.12, (0.3, 0.22, 0.17), (0.52, 0.4, 0.3), 30)
        return
    colour = (0.42, 0.62, 0.24) if month < 6 and t < 22 else (0.9, 0.73, 0.32)
    _floor(p, d, near, colour)
    _rows(p, d, near, 1.3, 0.5, scale(colour, 0.8), scale(colour, 1.1), 24, 0.35)
    if month in {8, 9, 10}:
        _bales(p, d, near, rng)


def _bales(p: Painter, d: int, near: float, rng: random.Random) -> None:
    for z in sorted((rng.uniform(11, 42) for _ in range(5)), reverse=True):
        x, y = p.point(d * (near + 2 + rng.random() * z * 0.45), 0, z)
        k = p.focal / z
        p.oval(x + 0.5 * k, y, 1.1 * k, 0.16 * k, (0.05, 0.06, 0.1), 0.3)
        p.rect(x - 0.2 * k, y - 1.5 * k, 1.2 * k, 1.5 * k, p.lit((0.72, 0.56, 0.26), z), r=0.5 * k)
        p.oval(x - 0.2 * k, y - 0.75 * k, 0.6 * k, 0.75 * k, p.lit((0.92, 0.77, 0.42), z, 0.8))
        p.oval(x - 0.2 * k, y - 0.75 * k, 0.28 * k, 0.36 * k, p.lit((0.74, 0.58, 0.28), z, 0.8))


def _hay(p: Painter, d: int, near: float, rng: random.Random) -> None:
    _floor(p, d, near, mix(scale(vegetation_colour(p), 1.4), (0.7, 0.74, 0.36), 0.4))
    _bales(p, d, near, rng)


def _maize(p: Painter, d: int, near: float, rng: random.Random) -> None:
    ripe = p.scene.leaf in {"autumn", "dry"}
    leaf = (0.74, 0.62, 0.32) if ripe else (0.24, 0.5, 0.15)
    _floor(p, d, near, scale(leaf, 0.7))
    _rows(p, d, near + 1, 1.1, 2.0, scale(leaf, 0.62), scale(leaf, 1.1), 16, 0.5)
    spikes: list[list[Point]] = []
    for i in range(26):
        z = 8 + 30 * (i / 26) ** 1.5
        x, y = p.point(d * (near + 1.5), 0, z)
        k = p.focal / z
        spikes.append([(x - 0.12 * k, y), (x + rng.uniform(-0.2, 0.2) * k, y - 2.5 * k), (x + 0.12 * k, y)])
    p.polys(spikes, p.lit(scale(leaf, 1.2), 16, 0.8))
    _dots(p, d, near + 1, 1.1, 2.3, 0.09, (0.88, 0.76, 0.4), 40, rng)


def _cane(p: Painter, d: int, near: float, rng: random.Random) -> None:
    """A wall of canes with plumes."""
    leaf = (0.42, 0.62, 0.24)
    _floor(p, d, near, scale(leaf, 0.8))
    _rows(p, d, near + 1.5, 1.6, 2.6, scale(leaf, 0.6), scale(leaf, 1.0), 10, 0.5)
    for shade in (0.8, 1.2):
        blades: list[list[Point]] = []
        for i in range(34):
            z = 7 + 40 * (i / 34) ** 1.7
            x, y = p.point(d * (near + 1.9 + rng.random()), 0, z)
            k = p.focal / z
            lean = rng.uniform(-0.7, 0.7) * k
            blades.append([(x - 0.09 * k, y), (x + lean, y - rng.uniform(2.4, 3.4) * k), (x + 0.09 * k, y)])
        p.polys(blades, p.lit(scale(leaf, shade), 16, 0.7))
    _dots(p, d, near + 1.5, 1.6, 3.3, 0.13, (0.93, 0.89, 0.82), 26, rng)


def _flowering(ground: Colour, dark: Colour, bright: Colour, head: Colour, step: float, tall: float, r: float
               ) -> Callable[[Painter, int, float, random.Random], None]:  # fmt: skip
    """A field of low rows with flowers, bolls or fruit on them."""

    def draw(p: Painter, d: int, near: float, rng: random.Random) -> None:
        _floor(p, d, near, ground)
        _rows(p, d, near, step, tall, dark, bright, 24, 0.4)
        _dots(p, d, near, step, tall, r, head, 110, rng)

    return draw


def _sunflowers(p: Painter, d: int, near: float, rng: random.Random) -> None:
    _floor(p, d, near, (0.82, 0.68, 0.14))
    _rows(p, d, near, 1.3, 1.5, (0.34, 0.42, 0.12), (0.98, 0.8, 0.1), 20, 0.6)
    state = rng.getstate()
    for r, colour in ((0.27, (1.0, 0.8, 0.08)), (0.11, (0.32, 0.19, 0.08))):
        rng.setstate(state)  # the dark hearts lie on the yellow heads
        _dots(p, d, near, 1.3, 1.55, r, colour, 130, rng)


def _tulips(p: Painter, d: int, near: float, rng: random.Random) -> None:
    """Stripes, each of one colour."""
    colours = [
        (0.9, 0.12, 0.14),
        (0.98, 0.82, 0.12),
        (0.95, 0.45, 0.66),
        (0.98, 0.95, 0.9),
        (0.5, 0.2, 0.6),
        (0.98, 0.5, 0.1),
    ]
    rng.shuffle(colours)
    for i in range(11, -1, -1):
        x0, x1 = near + 2.2 * i * (1 + 0.2 * i), near + 2.2 * (i + 1) * (1 + 0.2 * (i + 1))
        colour = colours[i % 6]
        p.quad([(d * x0, 0, 3), (d * x0, 0, 200), (d * x1, 0.0, 200), (d * x1, 0.0, 3)], p.lit(colour, 22, 0.8))
        p.quad(
            [(d * x0, 0, 3), (d * x0, 0, 200), (d * (x0 + 0.5), 0, 200), (d * (x0 + 0.5), 0, 3)],
            p.lit((0.24, 0.42, 0.18), 18),
        )
    _dots(p, d, near, 2.2, 0.3, 0.13, (1, 0.95, 0.9), 40, rng)


def _tea(p: Painter, d: int, near: float, rng: random.Random) -> None:
    """Clipped hedges that climb a slope."""
    for i in range(9, -1, -1):
        x, y = near + 0.5 + 2.0 * i, 0.5 * i
        for tone, lift, inset in (
            ((0.1, 0.27, 0.1), 0.0, 0.0),
            ((0.2, 0.46, 0.14), 0.55, 0.25),
            ((0.4, 0.66, 0.22), 0.95, 0.75),
        ):
            p.quad(
                [
                    (d * (x + inset), y + lift, 3),
                    (d * (x + inset), y + lift, 130),
                    (d * (x + 2.1), y + 1.0, 130),
                    (d * (x + 2.1), y + 1.0, 3),
                ],
                p.lit(tone, 16 + 2.5 * i, 0.7),
            )


def _orchard(
    kind: str, ground: Colour, step: float, size: float
) -> Callable[[Painter, int, float, random.Random], None]:
    """Trees in rows: olives, oil palms, bananas, agaves."""

    def draw(p: Painter, d: int, near: float, rng: random.Random) -> None:
        _floor(p, d, near, ground)
        for z in (62.0, 44.0, 32.0, 24.0, 18.0, 13.5):
            for i in range(3, -1, -1):
                x = d * (near + 1.5 + step * i)
                salt = rng.random()
                if 0 < p.point(x, 0, z)[0] < 256:
                    plant(p, kind, x, z, size * (0.9 + 0.2 * salt), salt)

    return draw


CROPS: dict[str, Callable[[Painter, int, float, random.Random], None]] = {
    "rice": _rice,
    "vines": _vines,
    "wheat": _grain,
    "hay": _hay,
    "maize": _maize,
    "cane": _cane,
    "sunflowers": _sunflowers,
    "tulips": _tulips,
    "tea": _tea,
    "olives": _orchard("olive", (0.72, 0.58, 0.4), 5.0, 0.8),
    "palms": _orchard("oilpalm", (0.34, 0.46, 0.2), 6.0, 0.95),
    "bananas": _orchard("banana", (0.44, 0.4, 0.22), 3.2, 0.95),
    "agaves": _orchard("agave", (0.66, 0.42, 0.28), 2.4, 1.0),
    "rapeseed": _flowering((0.95, 0.85, 0.12), (0.8, 0.74, 0.12), (1.0, 0.9, 0.12), (1.0, 0.95, 0.3), 1.6, 0.8, 0.1),
    "lavender": _flowering((0.6, 0.5, 0.42), (0.36, 0.26, 0.56), (0.6, 0.46, 0.84), (0.7, 0.56, 0.92), 1.7, 0.6, 0.1),
    "cotton": _flowering((0.5, 0.36, 0.25), (0.28, 0.3, 0.16), (0.5, 0.46, 0.28), (0.98, 0.97, 0.94), 1.2, 0.9, 0.13),
    "coffee": _flowering((0.6, 0.34, 0.22), (0.07, 0.22, 0.1), (0.18, 0.42, 0.17), (0.85, 0.14, 0.1), 2.4, 1.6, 0.09),
    "quinoa": _flowering((0.56, 0.4, 0.28), (0.6, 0.2, 0.2), (0.86, 0.36, 0.26), (0.93, 0.6, 0.2), 1.2, 1.1, 0.14),
}

# --- herds --------------------------------------------------------------------------------------

_COW = ((0.42, 0.26, 0.17), (0.95, 0.94, 0.92), (0.17, 0.15, 0.15), (0.72, 0.48, 0.28))
# Coats, length and height in metres, and what the outline has: hump, horns, neck, antlers, wool, spots, upright.
HERDS: dict[str, tuple[tuple[Colour, ...], float, float, frozenset[str]]] = {
    "cows": (_COW, 2.3, 1.5, frozenset({"spots"})),
    "zebus": (((0.93, 0.91, 0.87), (0.8, 0.76, 0.7), (0.62, 0.4, 0.28)), 2.2, 1.55, frozenset({"hump", "horns"})),
    "buffaloes": (((0.25, 0.25, 0.28),), 2.5, 1.45, frozenset({"horns", "wide"})),
    "yaks": (((0.13, 0.11, 0.1), (0.3, 0.2, 0.14)), 2.3, 1.5, frozenset({"horns", "skirt"})),
    "sheep": (((0.95, 0.93, 0.87),), 1.4, 0.95, frozenset({"wool"})),
    "goats": (((0.24, 0.18, 0.14), (0.9, 0.86, 0.78), (0.6, 0.4, 0.25)), 1.2, 0.9, frozenset({"horns"})),
    "camels": (((0.8, 0.62, 0.4), (0.7, 0.5, 0.3)), 2.7, 2.0, frozenset({"neck", "hump"})),
    "llamas": (((0.95, 0.92, 0.85), (0.55, 0.36, 0.22)), 1.5, 1.25, frozenset({"neck", "wool"})),
    "horses": (((0.42, 0.24, 0.14), (0.2, 0.14, 0.1), (0.85, 0.78, 0.68)), 2.2, 1.6, frozenset({"mane"})),
    "reindeer": (((0.55, 0.47, 0.4), (0.78, 0.74, 0.68)), 1.9, 1.3, frozenset({"antlers"})),
    "kangaroos": (((0.66, 0.44, 0.3),), 1.2, 1.5, frozenset({"upright"})),
}


def herd(p: Painter, kind: str, d: int, near: float, rng: random.Random) -> None:
    """A pasture with a few animals, the nearest close enough to make out."""
    s = p.scene
    if s.biome not in {"desert", "tundra", "scrub", "boreal"}:
        _floor(p, d, near, mix(scale(vegetation_colour(p), 1.35), (0.5, 0.66, 0.25), 0.25 if s.leaf == "green" else 0))
    spots = sorted(
        (rng.uniform(9, 11) if i == 0 else rng.uniform(12, 32), rng.random()) for i in range(rng.randint(3, 6))
    )
    for z, t in reversed(spots):
        x = d * (near + 1.0 + t * 0.3 * z)
        z = max(z, abs(x - p.camera_x) * p.focal / (0.45 * SIZE))  # so near that it still fits into the picture
        animal(p, kind, *p.point(x, 0, z), p.focal / z * 1.35, z, rng)


def animal(p: Painter, kind: str, x: float, y: float, k: float, z: float, rng: random.Random) -> None:
    """One animal standing at (x, y), k pixels to the metre."""
    coats, long, tall, marks = HERDS[kind]
    coat, d = rng.choice(coats), rng.choice((-1, 1))
    ink, dark = p.lit(coat, z, 0.7), p.lit(scale(coat, 0.62), z, 0.3)
    if "upright" in marks:
        return _kangaroo(p, x, y, k, ink, dark, d)
    length, back = long * k, tall * k
    p.oval(x, y, length * 0.55, 0.12 * k, (0.04, 0.06, 0.1), 0.28)
    leg = max(0.7, 0.12 * k)
    p.polys(
        [
            [
                (x + f * length, y - back * 0.55),
                (x + f * length, y),
                (x + f * length + leg, y),
                (x + f * length + leg, y - back * 0.55),
            ]
            for f in (-0.36, -0.24, 0.2, 0.32)
        ],
        dark,
    )
    thick = back * (0.36 if "wool" in marks else 0.29)
    p.oval(x, y - back * 0.68, length * 0.45, thick, ink)
    if "skirt" in marks:
        p.rect(x - length * 0.42, y - back * 0.68, length * 0.84, back * 0.42, ink, r=back * 0.1)
    p.oval(x, y - back * 0.55, length * 0.36, thick * 0.5, dark, 0.5)
    if "hump" in marks:
        camel = "neck" in marks
        p.oval(
            x + (0 if camel else d * length * 0.25),
            y - back * (1.0 if camel else 0.96),
            length * (0.17 if camel else 0.1),
            back * 0.17,
            ink,
        )
    if "spots" in marks and coat != _COW[0]:
        p.oval(
            x - 0.12 * length,
            y - back * 0.74,
            length * 0.15,
            back * 0.15,
            p.lit(_COW[2] if coat == _COW[1] else _COW[1], z),
        )
    _head(p, x, y, k, z, d, length, back, ink, marks)
    return None


def _head(
    p: Painter,
    x: float,
    y: float,
    k: float,
    z: float,
    d: int,
    length: float,
    back: float,
    ink: Colour,
    marks: frozenset[str],
) -> None:
    """Neck, head, horns."""
    up = 1.3 if "neck" in marks else 1.12 if marks & {"mane", "antlers"} else 0.86
    hx, hy = x + d * length * 0.6, y - back * up
    sx, sy = x + d * length * 0.36, y - back * 0.78
    w = back * 0.1
    p.poly([(sx, sy - w * 1.4), (sx, sy + w * 2), (hx, hy + w), (hx - d * w * 1.4, hy - w)], ink)
    face = (0.16, 0.14, 0.14) if marks == {"wool"} else None
    p.oval(hx + d * 0.1 * k, hy, max(1.0, 0.26 * k), max(0.8, 0.15 * k), p.lit(face, z) if face else ink)
    if marks & {"horns", "antlers"}:
        tall = back * (0.5 if "antlers" in marks else 0.2)
        wide = k * (0.55 if "wide" in marks else 0.25)
        bone = p.lit((0.86, 0.8, 0.68) if "antlers" not in marks else (0.4, 0.3, 0.22), z)
        for lean in (-1, 0.6):
            tip = (hx + lean * wide, hy - tall)
            p.line((hx, hy - 0.1 * k), tip, max(0.7, 0.07 * k), bone)
            if "antlers" in marks:
                p.line(
                    ((hx + tip[0]) / 2, (hy + tip[1]) / 2),
                    (tip[0] + d * 0.25 * k, tip[1] + 0.1 * k),
                    max(0.6, 0.05 * k),
                    bone,
                )


def _kangaroo(p: Painter, x: float, y: float, k: float, ink: Colour, dark: Colour, d: int) -> None:
    """Upright, the tail on the ground behind."""
    p.oval(x, y, 0.7 * k, 0.1 * k, (0.04, 0.06, 0.1), 0.28)
    p.poly([(x - d * 0.1 * k, y - 0.45 * k), (x - d * 1.1 * k, y - 0.02 * k), (x, y - 0.15 * k)], dark)
    p.oval(x, y - 0.42 * k, 0.34 * k, 0.4 * k, ink)
    p.poly(
        [
            (x - d * 0.28 * k, y - 0.5 * k),
            (x + d * 0.1 * k, y - 1.2 * k),
            (x + d * 0.3 * k, y - 1.15 * k),
            (x + d * 0.3 * k, y - 0.5 * k),
        ],
        ink,
    )
    p.oval(x + d * 0.3 * k, y - 1.3 * k, 0.2 * k, 0.12 * k, ink)
    p.poly([(x + d * 0.15 * k, y - 1.3 * k), (x + d * 0.12 * k, y - 1.65 * k), (x + d * 0.26 * k, y - 1.35 * k)], dark)
    p.poly([(x, y - 0.1 * k), (x + d * 0.5 * k, y - 0.05 * k), (x + d * 0.5 * k, y), (x, y)], dark)
