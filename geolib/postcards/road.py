"""The road: asphalt or dirt, kerbs and shoulders, and the country's lines."""

from __future__ import annotations

from geolib.postcards.brush import Colour, Painter, mix, scale

PAINTS = {"white": (0.94, 0.94, 0.92), "yellow": (0.96, 0.74, 0.12)}
_STRIPED_KERB = {"southasia", "seasia", "himalaya", "gulf"}


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
