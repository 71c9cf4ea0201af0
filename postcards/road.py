"""The road: asphalt or dirt, kerbs and shoulders, wear and puddles, and the country's lines."""

from __future__ import annotations

import random

from postcards.brush import Colour, Painter, Point, mix, scale

PAINTS = {"white": (0.95, 0.95, 0.93), "yellow": (0.98, 0.74, 0.08)}
_STRIPED_KERB = {"southasia", "seasia", "himalaya", "gulf"}
_LINE = 0.15  # half the width of a line in metres: larger than life, to be made out
_SNOW: Colour = (0.92, 0.945, 0.98)
# Asphalt leans by region: concrete and sun-bleached tar, red chippings, dark fresh tar.
_LEANING: dict[str, Colour] = {
    "mexico": (0.5, 0.48, 0.45),
    "gulf": (0.44, 0.42, 0.4),
    "nafrica": (0.46, 0.43, 0.39),
    "levant": (0.45, 0.43, 0.4),
    "persia": (0.45, 0.42, 0.39),
    "andes": (0.44, 0.42, 0.4),
    "wafrica": (0.45, 0.38, 0.34),
    "eafrica": (0.43, 0.37, 0.33),
    "oceania": (0.42, 0.37, 0.36),
    "japan": (0.27, 0.28, 0.3),
    "korea": (0.3, 0.31, 0.33),
    "taiwan": (0.28, 0.28, 0.3),
    "nordic": (0.34, 0.35, 0.38),
    "brazil": (0.4, 0.36, 0.34),
    "china": (0.4, 0.4, 0.4),
    "southasia": (0.42, 0.4, 0.38),
    "alpine": (0.31, 0.31, 0.33),
    "british": (0.35, 0.35, 0.36),
    "russia": (0.39, 0.39, 0.4),
}


def road(p: Painter) -> None:
    """Asphalt or dirt, verge or pavement, and the country's lines."""
    s, rng = p.scene, p.scene.rng("road")
    snow = 0.0 if "snow" in p.hide or s.snow <= 0.2 else s.snow
    grey = rng.uniform(0.3, 0.42)
    salt = rng.random()
    if s.road == "dirt":
        _dirt(p, min(1.0, snow / 0.6), random.Random(salt))
        return
    cleared = snow <= 0.75 and is_lined(p)  # where lines show through light snow
    lined = "road" not in p.hide and cleared
    asphalt: Colour = (grey, grey, grey * 1.04)
    if lined:
        lean = _LEANING.get(s.country.region)
        if s.country.region == "namerica" and s.arid > 0.4:
            lean = (0.56, 0.54, 0.5)
        asphalt = mix(asphalt, lean, 0.6) if lean else asphalt
    if s.kind in {"street", "suburb"}:
        _pavement(p, snow, lined)
    else:
        earth = (0.5, 0.5, 0.42) if "ground" in p.hide or s.night else scale(s.ground, 1.35)
        p.strip(
            -s.lanes - 1.1,
            s.lanes + 1.1,
            p.lit(mix(mix(earth, (0.6, 0.56, 0.5), 0.55), _SNOW, min(1.0, snow / 0.6)), 14),
        )
    _surface(p, mix(scale(asphalt, 0.78 if s.weather == "rain" else 1.0), _SNOW, snow * (0.45 if cleared else 0.85)))
    _wear(p, snow, random.Random(salt))
    if lined:
        lines(p)


def _surface(p: Painter, asphalt: Colour) -> None:
    """The carriageway, a little darker towards the photographer."""
    w = p.scene.lanes
    p.strip(-w, w, p.lit(scale(asphalt, 1.06), 40))
    for z, k in ((30.0, 1.04), (15.0, 1.01), (8.5, 0.97), (5.2, 0.93)):
        p.strip(-w, w, p.lit(scale(asphalt, k), 0.6 * z), z1=z)


def _wear(p: Painter, snow: float, rng: random.Random) -> None:
    """Tyre tracks, cracks, mended patches; the sky in the water when it rains."""
    s = p.scene
    w = s.lanes
    tracks: list[list[Point]] = []
    for lane in (-0.5, 0.5):
        for x in (lane * w - 0.75, lane * w + 0.75):
            tracks.append([p.point(x - 0.22, 0, 1.8), p.point(x - 0.22, 0, 12), p.point(x - 0.2, 0, 45),
                           p.point(x + 0.2, 0, 45), p.point(x + 0.22, 0, 12), p.point(x + 0.22, 0, 1.8)])  # fmt: skip
    p.polys(tracks, (0.05, 0.05, 0.07), 0.06 + 0.14 * min(1.0, snow * 2))
    if s.weather == "rain":
        _mirror(p, rng)
        return
    if snow > 0.5:
        return
    cracks: list[list[Point]] = []
    for _ in range(rng.randint(2, 5)):
        x, z = rng.uniform(-w, w), rng.uniform(4.5, 14)
        for _ in range(4):
            x1, z1 = x + rng.uniform(-0.8, 0.8), z + rng.uniform(0.4, 1.6)
            cracks.append([p.point(x, 0, z), p.point(x1, 0, z1), p.point(x1 + 0.06, 0, z1), p.point(x + 0.06, 0, z)])
            x, z = x1, z1
    p.polys(cracks, (0.03, 0.03, 0.04), 0.26)
    if rng.random() < 0.5:
        x, z = rng.uniform(-w + 0.6, w - 2.4), rng.uniform(6, 12)
        p.quad([(x, 0, z), (x + 1.6, 0, z), (x + 1.6, 0, z + 2.2), (x, 0, z + 2.2)], (0.03, 0.03, 0.05), 0.2)


def _mirror(p: Painter, rng: random.Random) -> None:
    """Wet asphalt: long pale streaks and puddles that hold the sky."""
    w, sky = p.scene.lanes, mix(p.haze, (1, 1, 1), 0.15)
    streaks: list[list[Point]] = []
    for _ in range(7):
        x, z = rng.uniform(-w, w - 0.5), rng.uniform(5, 14)
        a, b = p.point(x, 0, z), p.point(x + 0.5, 0, z)
        streaks.append([a, b, (b[0], b[1] + 26), (a[0], a[1] + 26)])
    p.polys(streaks, sky, 0.09)
    for _ in range(3):
        z = rng.uniform(4.5, 11)
        x, y = p.point(rng.choice((-1, 1)) * rng.uniform(0.55, 0.95) * w, 0, z)
        k = p.focal / z
        p.oval(x, y, rng.uniform(0.5, 1.1) * k, rng.uniform(0.06, 0.12) * k, sky, 0.6)


def _dirt(p: Painter, snow: float, rng: random.Random) -> None:
    """A track of the land's own soil: red in the tropics, with ruts, a grassy middle, stones."""
    s = p.scene
    w = s.lanes * 0.86
    if "ground" in p.hide or s.night:
        soil: Colour = (0.55, 0.48, 0.4)
    else:
        soil = mix(scale(s.ground, 1.5), (0.7, 0.54, 0.38), 0.5)
        if abs(s.lat) < 25 and s.biome in {"savanna", "rainforest", "scrub"}:
            soil = mix(soil, (0.78, 0.36, 0.18), 0.65)
    p.strip(-w - 0.5, w + 0.5, p.lit(mix(scale(soil, 0.86), _SNOW, snow), 18))
    for z, k in ((420.0, 1.0), (18.0, 0.97), (8.0, 0.93)):
        p.strip(-w, w, p.lit(mix(scale(soil, k), _SNOW, snow), 14 if z > 100 else 0.6 * z), z1=z)
    for x in (-0.5 * w, 0.5 * w):
        p.strip(x - 0.42, x + 0.42, p.lit(scale(mix(soil, (0.85, 0.87, 0.9), snow), 0.82), 14))
        p.strip(x + 0.2, x + 0.42, p.lit(scale(mix(soil, _SNOW, snow), 1.12), 14))
    stones: list[list[Point]] = []
    for _ in range(26):
        z = rng.uniform(4, 22)
        x, y = p.point(rng.uniform(-w, w), 0, z)
        k = rng.uniform(0.05, 0.13) * p.focal / z
        stones.append([(x - k, y), (x - k * 0.4, y - k * 0.8), (x + k * 0.6, y - k * 0.6), (x + k, y)])
    p.polys(stones, p.lit(mix(scale(soil, 0.7), _SNOW, snow), 8), 0.8)
    if s.weather == "rain":
        _mirror(p, rng)


def _pavement(p: Painter, snow: float, painted: bool) -> None:
    """Slabs, a kerb stone with its shaded face, a gutter; the striped kerbs of the south of Asia."""
    s = p.scene
    w = s.lanes
    slab = mix((0.72, 0.7, 0.66), _SNOW, snow * 0.85)
    p.strip(-w - 2.8, w + 2.8, p.lit(slab, 14))
    joints: list[list[Point]] = []
    for d in (-1, 1):
        for i in range(13):
            z = 3.2 * 1.19**i
            joints.append(
                [
                    p.point(d * (w + 0.3), 0, z),
                    p.point(d * (w + 2.8), 0, z),
                    p.point(d * (w + 2.8), 0, z * 1.012),
                    p.point(d * (w + 0.3), 0, z * 1.012),
                ]
            )
        joints.append([p.point(d * (w + 1.5), 0, 2.5), p.point(d * (w + 1.5), 0, 60), p.point(d * (w + 1.55), 0, 2.5)])
    p.polys(joints, (0.1, 0.1, 0.12), 0.2)
    p.strip(-w - 0.32, w + 0.32, p.lit(mix((0.84, 0.83, 0.8), _SNOW, min(1.0, snow / 0.6)), 14))
    p.strip(-w - 0.08, w + 0.08, p.lit(scale(slab, 0.55), 14))
    if painted and s.country.region in _STRIPED_KERB:
        kerbs = [[p.point(d * (w + a), 0, z) for a, z in ((0.02, z0), (0.36, z0), (0.36, z0 + 1.0), (0.02, z0 + 1.0))]
                 for d in (-1, 1) for z0 in (2.6 + i * 2.0 for i in range(22))]  # fmt: skip
        first = (0.96, 0.78, 0.1) if s.country.region in {"gulf", "southasia"} else (0.8, 0.16, 0.14)
        p.polys(kerbs, p.lit(first, 8))
    gutter = [
        [
            p.point(d * (w - 0.02), 0, 2),
            p.point(d * (w - 0.02), 0, 80),
            p.point(d * (w - 0.4), 0, 80),
            p.point(d * (w - 0.4), 0, 2),
        ]
        for d in (-1, 1)
    ]
    p.polys(gutter, (0.04, 0.04, 0.06), 0.16)


def _dashes(p: Painter, x: float, width: float, colour: Colour, on: float, off: float) -> None:
    near: list[list[Point]] = []
    far: list[list[Point]] = []
    z = 2.6
    while z < 90:
        (near if z < 24 else far).append(
            [
                p.point(*c)
                for c in ((x - width, 0, z), (x + width, 0, z), (x + width, 0, z + on), (x - width, 0, z + on))
            ]
        )
        z += on + off
    p.polys(near, _shine(p, colour))
    p.polys(far, p.lit(colour, 45))


def _shine(p: Painter, colour: Colour) -> Colour:
    """Paint on the road in this light; by night it throws the headlamps' light back."""
    return scale(colour, 0.55) if p.scene.night else p.lit(colour, 10, 0.7)


def is_lined(p: Painter) -> bool:
    """Has this road lines? Narrow ones sometimes have none."""
    return p.scene.rng("lined").random() >= {"village": 0.12, "suburb": 0.1, "rural": 0.05}.get(p.scene.kind, 0.05)


def lines(p: Painter) -> None:
    """Centre and edge lines in the country's colours."""
    s, rng = p.scene, p.scene.rng("lines")
    c, w = s.country, s.lanes
    centre = PAINTS[c.centre]
    form = rng.random()
    if (c.centre == "yellow" and form < 0.55) or form < 0.14:
        for x in (-0.23, 0.23):
            p.strip(x - 0.12, x + 0.12, _shine(p, centre), z1=160)
    elif form < 0.72:
        _dashes(p, 0.0, _LINE, centre, 3.2, 3.0)
    else:
        p.strip(-_LINE, _LINE, _shine(p, centre), z1=160)
    edge = PAINTS[c.edge]
    for d in (-1, 1):
        p.strip(d * (w - 0.26 - 2 * _LINE), d * (w - 0.26), _shine(p, edge), z1=160)
        p.tell("edge line", c.edge, *p.point(d * (w - 0.26 - _LINE), 0, 8), 2 * _LINE * p.focal / 8)
    if s.kind == "street" and rng.random() < 0.4:  # a zebra crossing
        z = rng.uniform(8, 15)
        p.polys([[p.point(*c) for c in ((x, 0, z), (x + 0.5, 0, z), (x + 0.5, 0, z + 3), (x, 0, z + 3))]
                 for x in (-w + 0.5 + i * (2 * w - 1) / 7.5 for i in range(8))], p.lit(PAINTS["white"], z))  # fmt: skip
    z = 6.0
    p.show("road", *p.point(0, 0, z), 2 * _LINE * p.focal / z)
