"""Vehicles with their plates, on the country's side of the road, and people.

A vehicle is a few faces of a box in perspective: near face, bonnet, screen, roof and the side that the camera sees.
Which vehicles are usual somewhere, the paint of its taxis and the bands of its plates are public facts, simplified.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from postcards.brush import SIZE, Colour, Objects, Painter, Point, hex_colour, mix, scale
from postcards.visible import colour_word

PLATES = {"white": "#f4f4f0", "yellow": "#f2c81e", "black": "#16181c", "blue": "#1d4f9e", "red": "#b3202a"}
_EU_BLUE, _DARK, _RUBBER = (0.05, 0.2, 0.62), (0.1, 0.1, 0.11), (0.06, 0.06, 0.07)

# Bands on plates: where (left, right, both, top), and their colours from top to bottom.
_EU = "AT BE BG HR CY CZ DK EE FI DE GR HU IE LV LT LU MT NL PL PT RO SK SI ES SE NO TR RS ME MK MD AD"
_BANDS: dict[str, tuple[str, tuple[Colour, ...]]] = {
    **dict.fromkeys(_EU.split(), ("left", (_EU_BLUE,))),
    **dict.fromkeys(("FR", "IT", "AL"), ("both", (_EU_BLUE,))),
    **dict.fromkeys(("BR", "AR", "UY", "PY"), ("top", (_EU_BLUE,))),
    "UA": ("left", ((0.05, 0.35, 0.75), (0.98, 0.82, 0.1))),
    "IL": ("left", (_EU_BLUE,)),
    "IN": ("left", ((0.3, 0.45, 0.75),)),
    "RU": ("right", ((0.75, 0.76, 0.8), (0.7, 0.2, 0.2))),
    "KZ": ("left", ((0.0, 0.65, 0.75),)),
    "GE": ("left", ((0.85, 0.2, 0.2),)),
    "IR": ("left", ((0.1, 0.25, 0.6),)),
    "VE": ("top", ((0.95, 0.8, 0.1),)),
    "CL": ("top", ((0.6, 0.62, 0.66),)),
    "MX": ("top", ((0.1, 0.45, 0.3),)),
    "US": ("top", ((0.2, 0.3, 0.65),)),
    "CA": ("top", ((0.8, 0.15, 0.15),)),
}
_PLATE_INK: dict[str, Colour] = {
    "BE": (0.62, 0.05, 0.15), "JP": (0.05, 0.36, 0.2), "US": (0.15, 0.2, 0.5), "CA": (0.15, 0.25, 0.6),
    "AU": (0.1, 0.25, 0.55), "IS": (0.1, 0.2, 0.6), "IL": (0.1, 0.1, 0.1),
}  # fmt: skip

# Taxis: body and roof.
_TAXI_PAINT = {
    "#f5c518": "US CO EC GR HU RU TN CU TR TW RO CR VE JO SK BG AU UY CM GT GE KZ BY",
    "#15161a": "GB NL BE IE SE NO",
    "#e9dfbd": "DE AT",
    "#f3f3f0": "FR IT ES CH PL PE SA PH BR IL NZ PK LK DK FI CZ",
    "#c9282d": "MA HK MY",
    "#1f63b5": "ID SG ET",
    "#2a9b5c": "VN BD IR OM",
    "#e7589b": "TH MX",
    "#ef8a26": "KR PA DO",
    "#26346b": "JP",
}
_ROOFS = {"AR": "#f5c518", "CL": "#f5c518", "HK": "#f3f3f0", "IN": "#f5c518", "PT": "#2a9b5c", "AE": "#c9282d",
          "MX": "#f3f3f0", "ET": "#f3f3f0", "SN": "#15161a", "NG": "#15161a", "EG": "#f3f3f0", "TH": "#f5c518",
          "CN": "#f5c518", "BR": "#f3f3f0", "IR": "#f5c518", "GH": "#f5c518", "KE": "#f5c518"}  # fmt: skip
_TAXI_BODIES = {"AR": "#15161a", "CL": "#15161a", "IN": "#15161a", "PT": "#15161a", "AE": "#e7d9b0", "SN": "#f5c518",
                "NG": "#f5c518", "EG": "#15161a", "CN": "#2f6fb0", "GH": "#f3f3f0",
                "KE": "#f3f3f0"}  # fmt: skip
TAXIS: dict[str, str] = {iso: paint for paint, isos in _TAXI_PAINT.items() for iso in isos.split()} | _TAXI_BODIES

# Three-wheelers: body below and hood above.
_RICKSHAWS = {"IN": ("#2d8a3e", "#f5c518"), "BD": ("#1f7a3c", "#1f7a3c"), "LK": ("#c9282d", "#2b2b2e"),
              "TH": ("#2450a8", "#f5c518"), "NP": ("#2a9b5c", "#f3f3f0"), "PK": ("#2f6fb0", "#2b2b2e"),
              "KH": ("#f3c64a", "#2d8a3e"), "PH": ("#c9282d", "#2f6fb0"), "PE": ("#c9282d", "#c9282d"),
              "EG": ("#15161a", "#f5c518"), "ET": ("#2f6fb0", "#f3f3f0"), "TZ": ("#2f6fb0", "#f5c518"),
              "NG": ("#f5c518", "#2d8a3e"), "GT": ("#c9282d", "#15161a")}  # fmt: skip
_BUSES = {"GB": "#c4161c", "IE": "#f0c419", "HK": "#c4161c", "SG": "#6fb23a", "CH": "#f5c518", "AT": "#d9251d",
          "DE": "#f3c32b", "BR": "#2f6fb0", "AR": "#1f4f9a", "IN": "#c9282d", "KR": "#2f7fc4", "JP": "#e9e6d8",
          "FR": "#3aa394", "ES": "#c9282d", "IT": "#e0782a", "TR": "#f3f3f0", "PL": "#c9282d",
          "RU": "#2f8fc4"}  # fmt: skip
_MINIBUSES = {"KE": "#f3f3f0", "GH": "#f3f3f0", "NG": "#f5c518", "ZA": "#f3f3f0", "SN": "#2f6fb0", "TZ": "#f3f3f0",
              "ET": "#2f6fb0", "UG": "#f3f3f0", "TR": "#2f7fc4", "RU": "#f5c518", "UA": "#f5c518",
              "EG": "#f3f3f0"}  # fmt: skip

# What else than the world's cars is on the road: by country, and where that is silent by region.
_BY_COUNTRY: dict[str, str] = {
    "GB": "doubledecker doubledecker taxi", "IE": "doubledecker taxi", "HK": "doubledecker taxi minibus",
    "NL": "bicycle bicycle taxi", "DK": "bicycle bicycle taxi", "CU": "fifties fifties cart", "SG": "doubledecker taxi",
    "PH": "jeepney jeepney rickshaw", "CH": "bus taxi bicycle", "AT": "bus taxi", "ID": "scooter scooter taxi",
    "MY": "scooter taxi hatch", "TH": "pickup rickshaw taxi scooter", "KH": "scooter rickshaw",
    "PK": "painted rickshaw scooter", "MN": "suv soviet", "JP": "kei kei kei taxi", "PE": "rickshaw taxi minibus",
    "GT": "schoolbus rickshaw pickup", "EG": "taxi minibus cart rickshaw", "US": "pickup bigsuv schoolbus taxi",
    "MX": "taxi beetle beetle pickup", "BR": "bus taxi scooter", "ET": "taxi minibus cart rickshaw",
    "RO": "cart taxi soviet", "IT": "scooter taxi ape", "LK": "rickshaw rickshaw bus", "BD": "rickshaw cart bus",
    "DE": "taxi estate bus", "FR": "duck bicycle taxi", "SE": "estate estate taxi", "KR": "taxi bus bluetruck",
}  # fmt: skip
_BY_REGION: dict[str, str] = {
    "namerica": "pickup bigsuv pickup schoolbus", "mexico": "pickup taxi", "camerica": "schoolbus pickup minibus",
    "carib": "minibus pickup taxi", "andes": "minibus taxi", "brazil": "bus pickup", "cone": "pickup taxi bus",
    "weurope": "bicycle estate taxi", "british": "taxi", "alpine": "bus estate", "med": "scooter ape taxi",
    "ceurope": "tram estate taxi", "balkan": "soviet cart", "eeurope": "soviet minibus tram", "russia":
    "soviet soviet minibus taxi", "baltic": "tram estate", "nordic": "estate bicycle taxi", "caucasus":
    "soviet minibus", "anatolia": "taxi minibus tractor", "levant": "taxi pickup", "gulf": "bigsuv pickup taxi",
    "persia": "soviet taxi scooter", "nafrica": "taxi cart minibus", "wafrica": "minibus scooter taxi",
    "eafrica": "minibus scooter rickshaw", "safrica": "minibus minibus pickup", "southasia":
    "rickshaw rickshaw scooter painted taxi cart", "himalaya": "painted scooter rickshaw", "seasia":
    "scooter scooter rickshaw", "vietnam": "scooter scooter scooter taxi bicycle", "china":
    "bicycle scooter taxi bicycle", "taiwan": "scooter scooter taxi", "japan": "kei", "korea": "taxi bus",
    "casia": "soviet minibus cart", "oceania": "ute ute bigsuv taxi", "polar": "bigsuv",
}  # fmt: skip
_PLAIN = ("hatch", "hatch", "saloon", "saloon", "estate", "van", "suv", "lorry")
_BIG = {"bus", "doubledecker", "schoolbus", "tram", "lorry", "painted"}
_BUILT_UP = {"taxi", "tram", "doubledecker"}  # seldom met in the country
_COLOURS = ((0.93, 0.93, 0.92), (0.16, 0.17, 0.19), (0.62, 0.64, 0.66), (0.7, 0.12, 0.13), (0.13, 0.28, 0.55),
            (0.36, 0.38, 0.4), (0.2, 0.38, 0.3), (0.75, 0.7, 0.6), (0.5, 0.18, 0.24))  # fmt: skip


@dataclass(frozen=True)
class Body:
    """Measures of a vehicle in metres: half width, height of bonnet and of roof, the roof's share of the width."""

    half: float
    face: float
    top: float
    roof: float
    length: float
    nose: tuple[float, float]  # the bonnet's length, the windscreen's run
    tail: tuple[float, float]  # the boot's length, the rear window's run
    cap: float = 0.1  # how much body there is above the glass
    round_lamps: bool = False


BODIES = {
    "hatch": Body(0.88, 0.92, 1.5, 0.8, 3.9, (0.9, 0.7), (0.05, 0.35)),
    "saloon": Body(0.91, 0.92, 1.45, 0.75, 4.6, (1.1, 0.8), (0.8, 0.6)),
    "estate": Body(0.91, 0.92, 1.5, 0.82, 4.7, (1.1, 0.8), (0.05, 0.3)),
    "van": Body(0.98, 1.15, 2.1, 0.88, 5.0, (0.6, 0.6), (0.0, 0.05), 0.2),
    "suv": Body(0.95, 1.08, 1.72, 0.84, 4.5, (1.0, 0.6), (0.05, 0.3)),
    "bigsuv": Body(1.04, 1.2, 1.92, 0.88, 5.2, (1.2, 0.5), (0.02, 0.15)),
    "pickup": Body(1.04, 1.18, 1.95, 0.82, 5.6, (1.3, 0.6), (1.9, 0.15)),
    "ute": Body(0.96, 1.1, 1.75, 0.8, 5.3, (1.1, 0.6), (2.1, 0.15)),
    "bluetruck": Body(0.9, 1.1, 1.95, 0.88, 5.0, (0.1, 0.35), (2.6, 0.05)),
    "kei": Body(0.74, 0.98, 1.8, 0.92, 3.3, (0.35, 0.35), (0.02, 0.08)),
    "soviet": Body(0.82, 0.92, 1.44, 0.82, 4.1, (1.0, 0.4), (0.8, 0.3), 0.1, True),
    "fifties": Body(0.98, 1.0, 1.5, 0.74, 5.2, (1.4, 0.5), (1.3, 0.5), 0.14, True),
    "beetle": Body(0.78, 0.86, 1.5, 0.66, 4.0, (0.9, 0.5), (0.6, 0.7), 0.14, True),
    "duck": Body(0.74, 0.9, 1.55, 0.78, 3.8, (1.0, 0.3), (0.4, 0.6), 0.18, True),
    "minibus": Body(0.92, 1.15, 2.2, 0.92, 4.8, (0.25, 0.4), (0.0, 0.05), 0.28),
    "jeepney": Body(0.95, 1.15, 2.25, 0.96, 6.0, (1.0, 0.15), (0.0, 0.02), 0.4, True),
    "bus": Body(1.25, 1.3, 3.0, 0.97, 11.0, (0.0, 0.12), (0.0, 0.05), 0.45),
    "tram": Body(1.2, 1.3, 3.2, 0.9, 14.0, (0.0, 0.2), (0.0, 0.2), 0.4),
    "doubledecker": Body(1.25, 1.3, 4.3, 0.97, 10.0, (0.0, 0.1), (0.0, 0.05), 0.25),
    "schoolbus": Body(1.2, 1.45, 2.95, 0.93, 9.0, (1.0, 0.2), (0.0, 0.05), 0.45, True),
    "cab": Body(1.15, 1.35, 2.6, 0.95, 2.0, (0.0, 0.15), (0.0, 0.05), 0.25),
    "taxi": Body(0.91, 0.92, 1.47, 0.78, 4.6, (1.1, 0.8), (0.8, 0.6)),
    "londontaxi": Body(0.9, 1.0, 1.75, 0.88, 4.5, (1.1, 0.4), (0.3, 0.4), 0.14, True),
}


def vehicles(p: Painter, objects: Objects) -> None:
    """Oncoming traffic on the far side, traffic ahead on one's own side, parked cars."""
    s = p.scene
    if "vehicles" in p.hide:
        return
    lane = s.lanes * 0.5
    moving = [name for name in ("ahead", "oncoming") if name in s.elements]
    for name in moving:
        rng, front = s.rng(name), name == "oncoming"
        near = (19.0, 27.0) if front else (29.0, 36.0)  # px per metre: near enough to read the plate
        for z in (p.focal / rng.uniform(*near), rng.uniform(22, 46))[: 1 + (rng.random() < 0.5)]:
            _add_vehicle(p, objects, -0.86 * p.side * lane if front else p.side * lane, z, front, rng, on_road=True)
    if "parked" in s.elements and moving:  # by themselves they do not tell on which side one drives
        rng = s.rng("parked")
        for _ in range(rng.randint(1, 4)):
            d = rng.choice((-1, 1))
            _add_vehicle(p, objects, d * (s.lanes + 1.0), rng.uniform(9, 42), d != p.side, rng, on_road=False)


def local_kinds(p: Painter) -> list[str]:
    """The vehicles that tell this country, or this part of the world, from others."""
    s = p.scene
    names = _BY_COUNTRY.get(s.country.iso, _BY_REGION.get(s.country.region, "")).split()
    rural = s.kind in {"rural", "village"}
    return [n for n in names if (n != "taxi" or s.country.iso in TAXIS) and not (rural and n in _BUILT_UP)]


def _add_vehicle(
    p: Painter, objects: Objects, x: float, z: float, front: bool, rng: random.Random, on_road: bool
) -> None:
    local = local_kinds(p)
    special, which, plain, salt = rng.random() < 0.5, rng.random(), rng.choice(_PLAIN), rng.random()
    kind = local[int(which * len(local))] if local and special and not p.scene.night else ""
    if not on_road and (kind in _BIG or plain in _BIG):
        kind, plain = "", "hatch"
    if (kind or plain) in _BIG:
        z += 5
    z = max(z, p.focal * (abs(x - p.camera_x) + 1.05) / 114)  # whole in the picture
    name = plain if "extras" in p.hide or not kind else kind

    def one() -> None:
        k, (x0, y0) = p.focal / z, p.point(x, 0, z)
        if on_road:
            p.show("vehicles", x0, y0 - 0.6 * k, 1.4 * k)
        if name == kind:
            p.show("extras", x0, y0 - 0.6 * k, 1.2 * k)
        p.tell("vehicle", _name_of(p, name), x0, y0 - 0.6 * k, 1.2 * k)
        vehicle(p, x, z, front, name, random.Random(salt))

    objects.append((z, one))


def _name_of(p: Painter, kind: str) -> str:
    """What somebody would call a vehicle: its kind, and the colour where all of a country's have the same."""
    iso = p.scene.country.iso
    paint = {"taxi": TAXIS, "bus": _BUSES, "minibus": _MINIBUSES}.get(kind, {}).get(iso)
    if kind == "rickshaw" and iso in _RICKSHAWS:
        paint = _RICKSHAWS[iso][0]
    return f"{colour_word(hex_colour(paint))} {kind}" if paint else kind


def vehicle(p: Painter, x: float, z: float, front: bool, kind: str, rng: random.Random) -> None:
    """One vehicle from the front or from behind, with its plate."""
    k, (x0, y0) = p.focal / z, p.point(x, 0, z)
    half = BODIES[kind].half if kind in BODIES else 1.1 if kind in {"lorry", "painted", "cart", "tractor"} else 0.4
    p.oval(x0, y0, 1.15 * half * k, 0.2 * k, (0.03, 0.04, 0.08), 0.5)
    p.ground_shadow(x, z, half, 1.5 * half)
    _DRAW.get(kind, _car)(p, x, z, front, kind, rng)


# --- cars ---------------------------------------------------------------------------------------


def _paints(p: Painter, kind: str, rng: random.Random) -> tuple[Colour, Colour]:
    """The colours of a vehicle's body and of its roof."""
    iso = p.scene.country.iso
    colour = rng.choice(_COLOURS)
    if kind in {"taxi", "londontaxi"}:
        body = hex_colour(TAXIS.get(iso, "#f5c518"))
        return body, hex_colour(_ROOFS[iso]) if iso in _ROOFS else body
    if kind in {"bus", "doubledecker"}:
        return (hex_colour(_BUSES.get(iso, "#d8d4c8")),) * 2
    fixed = {
        "schoolbus": ((0.97, 0.72, 0.06),), "tram": ((0.78, 0.14, 0.12), (0.94, 0.92, 0.86)),
        "bluetruck": ((0.2, 0.42, 0.75),), "jeepney": ((0.78, 0.8, 0.83), rng.choice(_COLOURS)),
        "minibus": (hex_colour(_MINIBUSES.get(iso, "#f0e6cf")),),
    }.get(kind)  # fmt: skip
    if kind == "schoolbus" and p.scene.country.region == "camerica":  # painted over for a second life
        fixed = (rng.choice(((0.85, 0.15, 0.15), (0.15, 0.45, 0.75), (0.15, 0.6, 0.35))), (0.95, 0.8, 0.2))
    if kind == "soviet":
        fixed = (rng.choice(((0.86, 0.84, 0.76), (0.45, 0.6, 0.68), (0.72, 0.3, 0.22), (0.5, 0.55, 0.4))),)
    elif kind in {"fifties", "beetle", "duck"}:
        fixed = (rng.choice(((0.35, 0.75, 0.75), (0.93, 0.45, 0.55), (0.95, 0.85, 0.5), (0.75, 0.2, 0.2))),)
    if kind == "fifties" and fixed:
        fixed = (fixed[0], (0.95, 0.94, 0.9))
    return (fixed[0], fixed[-1]) if fixed else (colour, colour)


def _car(p: Painter, x: float, z: float, front: bool, kind: str, rng: random.Random) -> None:
    """Anything with a body, a screen and a roof."""
    iso = p.scene.country.iso
    if kind == "taxi" and iso in {"GB", "JP", "HK"}:
        kind = "londontaxi"
    body, (paint, roof) = BODIES[kind], _paints(p, kind, rng)
    k = p.focal / z
    _side(p, x, z, body, front, paint, roof)
    _greenhouse(p, x, z, body, front, paint, roof)
    _face(p, x, z, body, front, paint)
    x0, y0 = p.point(x, 0, z)
    if kind in _TRIM:
        _TRIM[kind](p, x0, y0, k, z, front)
    _lamps(p, x0, y0, k, z, body, front)
    plate(p, x0, y0 - (0.47 if front else 0.62 * body.face) * k, k, z, front)


def _glass(p: Painter, z: float) -> Colour:
    if p.scene.night:
        return 0.03, 0.04, 0.06
    return mix(p.lit((0.16, 0.21, 0.27), z), p.haze, 0.22)


def _decks(body: Body, z: float, front: bool) -> tuple[float, float, float, float]:
    """How far away the near screen's foot and top, the far screen's top and foot are."""
    near, far = (body.nose, body.tail) if front else (body.tail, body.nose)
    end = z + body.length
    return z + near[0], z + sum(near), end - sum(far), end - far[0]


def _side(p: Painter, x: float, z: float, body: Body, front: bool, paint: Colour, roof: Colour) -> None:
    """The flank that the camera sees, with its windows and wheels."""
    across = x - p.camera_x
    if abs(across) < body.half:
        return
    i = -1.0 if across > 0 else 1.0
    flank, high = x + i * body.half, x + i * body.half * body.roof
    foot, near, far, end = _decks(body, z, front)
    shade = p.lit(scale(paint, 0.8), z, p.towards_sun(i, 0))
    zl = z + body.length
    p.quad([(flank, 0.3, z), (flank, body.face, z), (flank, body.face, zl), (flank, 0.3, zl)], shade)
    p.quad([(flank, body.face, foot), (high, body.top, near), (high, body.top, far), (flank, body.face, end)],
           p.lit(scale(roof, 0.8), z, 0.4))  # fmt: skip
    up = 1 - body.cap / (body.top - body.face)
    inner = flank + (high - flank) * up
    glass_top = body.face + (body.top - body.face) * up
    p.quad([(flank, body.face + 0.04, foot + 0.12), (inner, glass_top, near + 0.05), (inner, glass_top, far - 0.05),
            (flank, body.face + 0.04, end - 0.12)], scale(_glass(p, z), 0.8))  # fmt: skip
    for at in (z + 0.8, zl - 0.85):
        a, b = p.point(flank, 0.32, at - 0.34), p.point(flank, 0.32, at + 0.34)
        p.oval((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, abs(a[0] - b[0]) / 2, 0.33 * p.focal / at, p.lit(_RUBBER, z))


def _greenhouse(p: Painter, x: float, z: float, body: Body, front: bool, paint: Colour, roof: Colour) -> None:
    """Roof, bonnet or boot, and the near screen with a reflection."""
    foot, near, far, _ = _decks(body, z, front)
    w, r = body.half * 0.96, body.half * body.roof
    if p.height > body.top - 0.1:
        p.quad([(x - r, body.top, near), (x + r, body.top, near), (x + r, body.top, far), (x - r, body.top, far)],
               p.lit(scale(roof, 1.1), z, 0.9))  # fmt: skip
    if foot - z > 0.3:
        p.quad([(x - w, body.face, z), (x + w, body.face, z), (x + w, body.face, foot), (x - w, body.face, foot)],
               p.lit(scale(paint, 1.1), z, 0.85))  # fmt: skip
        if not front and foot - z > 1.5:  # the bed of a pickup, as far as one looks over its tailgate
            bed = 0.82 * body.half
            p.quad([(x - bed, body.face, z + 0.15), (x + bed, body.face, z + 0.15), (x + bed, body.face, foot - 0.1),
                    (x - bed, body.face, foot - 0.1)], p.lit(_DARK, z))  # fmt: skip
    a, b = p.point(x - w, body.face - 0.05, foot), p.point(x + w, body.face - 0.05, foot)
    c, d = p.point(x + r, body.top, near), p.point(x - r, body.top, near)
    p.poly([a, d, c, b], p.lit(roof, z, p.towards_sun(0, -1)))
    up = 1 - body.cap / (body.top - body.face)

    def on(left: float, height: float) -> Point:  # a point of the screen: 0..1 across and up
        lx, rx = a[0] + (d[0] - a[0]) * height, b[0] + (c[0] - b[0]) * height
        return lx + (rx - lx) * left, a[1] + (d[1] - a[1]) * height

    glass = _glass(p, z)
    p.poly([on(0.07, 0.06), on(0.07, up), on(0.93, up), on(0.93, 0.06)], glass)
    if not p.scene.night:
        p.poly([on(0.14, 0.1), on(0.4, up), on(0.56, up), on(0.3, 0.1)], mix(glass, (0.85, 0.92, 1.0), 0.4))


def _face(p: Painter, x: float, z: float, body: Body, front: bool, paint: Colour) -> None:
    """The near face: wheels, panel, bumper and grille."""
    k, (x0, y0) = p.focal / z, p.point(x, 0, z)
    w, top = body.half * k, y0 - body.face * k
    tyre = 0.24 * k
    p.polys([[(x0 + a, y0), (x0 + b, y0), (x0 + b, y0 - 0.5 * k), (x0 + a, y0 - 0.5 * k)]
             for a, b in ((-w * 0.96, -w * 0.96 + tyre), (w * 0.96 - tyre, w * 0.96))], p.lit(_RUBBER, z))  # fmt: skip
    p.rect(x0 - w, top, 2 * w, (body.face - 0.24) * k, p.lit(paint, z, p.towards_sun(0, -1)), r=0.13 * k)
    p.rect(x0 - w, y0 - 0.46 * k, 2 * w, 0.24 * k, p.lit(scale(paint, 0.5), z, 0.3), r=0.08 * k)
    if front:
        p.rect(x0 - 0.42 * w, top + 0.16 * k, 0.84 * w, 0.2 * k, p.lit(_DARK, z), r=0.05 * k)


def _lamps(p: Painter, x: float, y: float, k: float, z: float, body: Body, front: bool) -> None:
    w, night = body.half * k, p.scene.night
    lamp = (1.0, 0.99, 0.88) if front else (0.95, 0.1, 0.08)
    colour = lamp if night else p.lit(lamp, z, 0.8)
    high = y - (body.face - 0.25) * k
    for d in (-1, 1):
        if front and body.round_lamps:
            p.disc(x + d * 0.72 * w, high, 0.15 * k, colour)
        elif front:
            p.oval(x + d * 0.72 * w, high, 0.24 * w, 0.1 * k, colour)
        else:
            p.rect(x + d * 0.84 * w - 0.12 * w, high - 0.1 * k, 0.24 * w, 0.28 * k, colour, r=0.04 * k)
        if night:
            p.disc(x + d * 0.72 * w, high, 0.7 * k, lamp, 0.35, 6.0)


def plate(p: Painter, x: float, y: float, k: float, z: float, front: bool) -> None:
    """A number plate with the country's ground, shape, band and letters, larger than life; none at night."""
    c = p.scene.country
    k = max(k, min(1.35 * k, 27.0))  # far ones are drawn larger still
    half, high = (0.5 * k, 0.185 * k) if c.plate_shape == "long" else (0.35 * k, 0.22 * k)
    if p.scene.night or "plate" in p.hide or 2 * high < 3.0 or not _in_picture(x, y):
        return
    p.show("plate", x, y, 2 * high)
    name = c.plate_front if front else c.plate_rear
    p.tell("front plate" if front else "rear plate", name, x, y, 2 * high)
    ground = p.lit(hex_colour(PLATES[name]), z, 0.85)
    p.rect(x - half - 0.8, y - high - 0.8, 2 * half + 1.6, 2 * high + 1.6, p.lit(_DARK, z), r=1.2)
    p.rect(x - half, y - high, 2 * half, 2 * high, ground)
    where, colours = _BANDS.get(c.iso, ("", ()))
    left, right, top = x - half, x + half, y - high
    band = 0.3 * half
    for i, colour in enumerate(colours):
        lit, part = p.lit(colour, z, 0.7), 2 * high / len(colours)
        if where == "top":
            p.rect(left, top, 2 * half, 0.55 * high, lit)
            continue
        for at in {"left": (left,), "right": (right - band,), "both": (left, right - band)}[where]:
            p.rect(at, top + i * part, band, part + 0.2, lit)
    left, right = left + band * (where in {"left", "both"}), right - band * (where in {"right", "both"})
    top += 0.55 * high * (where == "top")
    ink = _PLATE_INK.get(c.iso, (0.12, 0.12, 0.16)) if name not in {"black", "blue", "red"} else (0.95, 0.95, 0.95)
    step, tall = (right - left) / 8.6, y + high - top
    bars = [(left + (0.8 + i + (i > 2) * 0.7) * step, top + 0.22 * tall) for i in range(7)]
    shapes = [[(a, b), (a + 0.55 * step, b), (a + 0.55 * step, b + 0.56 * tall), (a, b + 0.56 * tall)] for a, b in bars]
    p.polys(shapes, p.lit(ink, z), 0.9)


def _in_picture(x: float, y: float) -> bool:
    return 3 < x < SIZE - 3 and 3 < y < SIZE - 3


# --- trims: what a kind has besides its body -----------------------------------------------------


def _taxi_sign(p: Painter, x: float, y: float, k: float, z: float, front: bool) -> None:
    p.rect(x - 0.24 * k, y - 1.66 * k, 0.48 * k, 0.18 * k, p.lit((0.98, 0.95, 0.75), z, 0.9), r=0.04 * k)


def _bus_trim(p: Painter, x: float, y: float, k: float, z: float, front: bool) -> None:
    p.rect(x - 0.8 * k, y - 2.95 * k, 1.6 * k, 0.3 * k, p.lit(_DARK, z))
    p.rect(x - 0.6 * k, y - 2.88 * k, 1.2 * k, 0.15 * k, p.lit((1.0, 0.7, 0.15), z, 0.9))


def _double_trim(p: Painter, x: float, y: float, k: float, z: float, front: bool) -> None:
    """The floor between the decks."""
    body, _ = _paints(p, "doubledecker", random.Random(0))
    p.rect(x - 1.2 * k, y - 3.0 * k, 2.4 * k, 0.6 * k, p.lit(body, z, p.towards_sun(0, -1)))
    p.rect(x - 0.6 * k, y - 2.92 * k, 1.2 * k, 0.34 * k, p.lit(_DARK, z))
    p.rect(x - 0.45 * k, y - 2.83 * k, 0.9 * k, 0.16 * k, p.lit((1.0, 0.75, 0.2), z, 0.9))


def _school_trim(p: Painter, x: float, y: float, k: float, z: float, front: bool) -> None:
    p.rect(x - 0.75 * k, y - 2.9 * k, 1.5 * k, 0.2 * k, p.lit(_DARK, z))
    for d in (-1, 1):
        p.disc(x + d * 0.95 * k, y - 2.78 * k, 0.1 * k, p.lit((0.9, 0.15, 0.1), z, 0.9))
    p.rect(x - 1.15 * k, y - 0.75 * k, 2.3 * k, 0.08 * k, p.lit(_DARK, z))


def _jeepney_trim(p: Painter, x: float, y: float, k: float, z: float, front: bool) -> None:
    for i, colour in enumerate(((0.85, 0.15, 0.15), (0.98, 0.8, 0.1), (0.1, 0.35, 0.75))):
        p.rect(x - 0.9 * k, y - (2.2 - i * 0.13) * k, 1.8 * k, 0.13 * k, p.lit(colour, z, 0.8))
        p.rect(x - 0.95 * k, y - (0.66 - i * 0.08) * k, 1.9 * k, 0.08 * k, p.lit(colour, z, 0.8))


def _minibus_trim(p: Painter, x: float, y: float, k: float, z: float, front: bool) -> None:
    band = {"KE": (0.95, 0.8, 0.1), "ZA": (0.9, 0.75, 0.15), "GH": (0.1, 0.5, 0.3), "NG": (0.1, 0.1, 0.1),
            "SN": (0.95, 0.8, 0.1), "ET": (0.95, 0.95, 0.92)}.get(p.scene.country.iso, (0.2, 0.45, 0.7))  # fmt: skip
    p.rect(x - 0.92 * k, y - 1.12 * k, 1.84 * k, 0.12 * k, p.lit(band, z, 0.7))
    luggage = ((0.5, 0.36, 0.22), (0.25, 0.4, 0.6), (0.75, 0.65, 0.4))
    if p.scene.country.region in {"wafrica", "eafrica", "nafrica", "andes"}:
        for i, colour in enumerate(luggage):
            p.rect(x + (-0.7 + 0.48 * i) * k, y - (2.5 + 0.1 * (i % 2)) * k, 0.46 * k, 0.36 * k, p.lit(colour, z), r=2)


def _tram_trim(p: Painter, x: float, y: float, k: float, z: float, front: bool) -> None:
    p.rect(x - 0.4 * k, y - 3.15 * k, 0.8 * k, 0.3 * k, p.lit((0.98, 0.9, 0.6), z, 0.9))
    p.line((x - 0.6 * k, y - 3.9 * k), (x + 0.6 * k, y - 3.9 * k), max(0.8, 0.08 * k), p.lit(_DARK, z))
    p.line((x, y - 3.9 * k), (x - 0.3 * k, y - 3.2 * k), max(0.7, 0.06 * k), p.lit(_DARK, z))


_TRIM: dict[str, Callable[[Painter, float, float, float, float, bool], None]] = {
    "taxi": _taxi_sign, "londontaxi": lambda p, x, y, k, z, front: _taxi_sign(p, x, y - 0.2 * k, k, z, front),
    "bus": _bus_trim, "doubledecker": _double_trim, "schoolbus": _school_trim, "jeepney": _jeepney_trim,
    "minibus": _minibus_trim, "tram": _tram_trim,
}  # fmt: skip


# --- lorries, three-wheelers, carts, two-wheelers -------------------------------------------------


def _box(p: Painter, x: float, z: float, length: float, half: float, low: float, high: float, colour: Colour) -> None:
    """A box on the road: the flank that the camera sees, its top, its near face."""
    across = x - p.camera_x
    i = -1.0 if across > 0 else 1.0
    side, zl = x + i * half, z + length
    if abs(across) > half:
        p.quad([(side, low, z), (side, high, z), (side, high, zl), (side, low, zl)], p.lit(scale(colour, 0.8), z, 0.4))
    if p.height > high:
        p.quad([(x - half, high, z), (x + half, high, z), (x + half, high, zl), (x - half, high, zl)],
               p.lit(scale(colour, 1.1), z, 0.9))  # fmt: skip
    p.quad([(x - half, low, z), (x + half, low, z), (x + half, high, z), (x - half, high, z)],
           p.lit(colour, z, p.towards_sun(0, -1)))  # fmt: skip


def _lorry(p: Painter, x: float, z: float, front: bool, kind: str, rng: random.Random) -> None:
    """A lorry with a box; in South Asia a painted one."""
    k, (x0, y0) = p.focal / z, p.point(x, 0, z)
    box = rng.choice(((0.93, 0.93, 0.9), (0.2, 0.4, 0.65), (0.75, 0.2, 0.18), (0.85, 0.7, 0.3), (0.3, 0.5, 0.4)))
    cab = rng.choice(_COLOURS)
    if kind == "painted":
        box, cab = (0.8, 0.2, 0.15), (0.9, 0.55, 0.1)
    if front:
        _box(p, x, z + 2.0, 6.0, 1.25, 1.0, 3.6, box)
        _side(p, x, z, BODIES["cab"], front, cab, cab)
        _greenhouse(p, x, z, BODIES["cab"], front, cab, cab)
        _face(p, x, z, BODIES["cab"], front, cab)
    else:
        p.rect(x0 - 1.1 * k, y0 - 0.95 * k, 0.5 * k, 0.95 * k, p.lit(_RUBBER, z), r=0.1 * k)
        p.rect(x0 + 0.6 * k, y0 - 0.95 * k, 0.5 * k, 0.95 * k, p.lit(_RUBBER, z), r=0.1 * k)
        _box(p, x, z, 6.0, 1.25, 0.9, 3.6, box)
        p.rect(x0 - 1.2 * k, y0 - 0.9 * k, 2.4 * k, 0.4 * k, p.lit(_DARK, z))
        p.line((x0, y0 - 3.5 * k), (x0, y0 - 0.95 * k), max(0.7, 0.05 * k), p.lit(scale(box, 0.65), z))
    if kind == "painted":
        low = 2.65 if front else 1.0
        for row, colour in enumerate(((0.98, 0.85, 0.2), (0.15, 0.6, 0.5), (0.2, 0.3, 0.7), (0.98, 0.98, 0.9))):
            y = y0 - (low + 0.22 + row * (0.26 if front else 0.6)) * k
            r = (0.13 if front else 0.24) * k
            at = [x0 + (i - 2) * 0.48 * k for i in range(5)]
            p.polys([[(a - r, y), (a, y - r), (a + r, y), (a, y + r)] for a in at], p.lit(colour, z, 0.8))
    _lamps(p, x0, y0, k, z, BODIES["cab"] if front else BODIES["hatch"], front)
    plate(p, x0, y0 - (0.5 if front else 0.7) * k, k, z, front)


def _rickshaw(p: Painter, x: float, z: float, front: bool, kind: str, rng: random.Random) -> None:
    """A three-wheeler in the country's colours, or with kind "ape" the small Italian lorry."""
    k, (x0, y0) = p.focal / z, p.point(x, 0, z)
    low, hood = (hex_colour(c) for c in _RICKSHAWS.get(p.scene.country.iso, ("#2f6fb0", "#f5c518")))
    if kind == "ape":
        low = hood = (0.45, 0.66, 0.66)
    body, top, dark = p.lit(low, z, 0.6), p.lit(hood, z, 0.8), p.lit(_RUBBER, z)
    for dx in (-0.5, 0.3) if not front else (-0.1,):
        p.rect(x0 + dx * k, y0 - 0.45 * k, 0.2 * k, 0.45 * k, dark, r=0.07 * k)
    _box(p, x, z + 0.3, 1.6, 0.64, 0.3, 1.7, hood)
    p.poly([(x0 - 0.66 * k, y0 - 0.25 * k), (x0 - 0.62 * k, y0 - 1.0 * k), (x0 + 0.62 * k, y0 - 1.0 * k),
            (x0 + 0.66 * k, y0 - 0.25 * k)], body)  # fmt: skip
    p.rect(x0 - 0.58 * k, y0 - 1.5 * k, 1.16 * k, 0.52 * k, _glass(p, z), r=0.08 * k)
    p.rect(x0 - 0.66 * k, y0 - 1.82 * k, 1.32 * k, 0.36 * k, top, r=0.14 * k)
    lamp = p.lit((1.0, 0.97, 0.8) if front else (0.85, 0.1, 0.08), z, 0.8)
    for dx in (0.0,) if front else (-0.48, 0.48):
        p.disc(x0 + dx * k, y0 - 0.82 * k, 0.11 * k, lamp)
    plate(p, x0, y0 - 0.5 * k, k * 0.85, z, front)


def _cart(p: Painter, x: float, z: float, front: bool, kind: str, rng: random.Random) -> None:
    """A cart with hay, drawn by an ox or a donkey."""
    k, (x0, y0) = p.focal / z, p.point(x, 0, z)
    wood, hide = p.lit((0.45, 0.31, 0.19), z), p.lit(rng.choice(((0.5, 0.45, 0.42), (0.82, 0.78, 0.7))), z, 0.6)
    hay = p.lit((0.85, 0.7, 0.32), z, 0.8)
    p.poly([(x0 - 0.9 * k, y0 - 1.0 * k), (x0 - 1.15 * k, y0 - 1.6 * k), (x0 - 0.6 * k, y0 - 2.2 * k),
            (x0 + 0.5 * k, y0 - 2.25 * k), (x0 + 1.15 * k, y0 - 1.6 * k), (x0 + 0.9 * k, y0 - 1.0 * k)],
           hay)  # fmt: skip
    for d in (-1, 1):
        p.oval(x0 + d * 0.92 * k, y0 - 0.62 * k, 0.13 * k, 0.62 * k, p.lit((0.25, 0.18, 0.12), z))
    p.rect(x0 - 0.85 * k, y0 - 1.1 * k, 1.7 * k, 0.42 * k, wood, r=0.04 * k)
    if front:
        p.rect(x0 - 0.42 * k, y0 - 1.3 * k, 0.84 * k, 0.85 * k, hide, r=0.3 * k)
        for d in (-1, 1):
            p.line((x0 + d * 0.26 * k, y0), (x0 + d * 0.26 * k, y0 - 0.7 * k), 0.15 * k, scale(hide, 0.8))
            p.line((x0 + d * 0.14 * k, y0 - 1.55 * k), (x0 + d * 0.34 * k, y0 - 1.85 * k), 0.1 * k, scale(hide, 0.75))
        p.rect(x0 - 0.2 * k, y0 - 1.7 * k, 0.4 * k, 0.75 * k, scale(hide, 0.9), r=0.16 * k)


def _tractor(p: Painter, x: float, z: float, front: bool, kind: str, rng: random.Random) -> None:
    """A tractor with its large rear wheels."""
    k, (x0, y0) = p.focal / z, p.point(x, 0, z)
    red = p.lit((0.78, 0.14, 0.1), z, 0.6)
    for d in (-1, 1):
        p.rect(x0 + d * 0.85 * k - 0.22 * k, y0 - 1.5 * k, 0.44 * k, 1.5 * k, p.lit(_RUBBER, z), r=0.16 * k)
    p.rect(x0 - 0.45 * k, y0 - 1.4 * k, 0.9 * k, 0.95 * k, red, r=0.08 * k)
    p.rect(x0 - 0.62 * k, y0 - 2.3 * k, 1.24 * k, 0.95 * k, _glass(p, z))
    p.rect(x0 - 0.72 * k, y0 - 2.42 * k, 1.44 * k, 0.2 * k, red, r=0.06 * k)


def _two_wheeler(p: Painter, x: float, z: float, front: bool, kind: str, rng: random.Random) -> None:
    """A scooter or bicycle with its rider."""
    k, (x0, y0) = p.focal / z, p.point(x, 0, z)
    shirt = p.lit(rng.choice(_SHIRTS), z, 0.6)
    frame = p.lit(rng.choice(((0.75, 0.15, 0.15), (0.2, 0.4, 0.7), (0.85, 0.85, 0.85), (0.15, 0.5, 0.4))), z, 0.6)
    dark, head = p.lit(_RUBBER, z), p.lit(rng.choice(_HELMETS), z, 0.7)
    wide = 0.09 if kind == "scooter" else 0.04
    p.rect(x0 - wide * k, y0 - 0.7 * k, 2 * wide * k, 0.7 * k, dark, r=wide * k)
    for d in (-1, 1):  # legs, arms
        p.line((x0 + d * 0.16 * k, y0 - 0.85 * k), (x0 + d * 0.24 * k, y0 - 0.32 * k), 0.15 * k, p.lit(_DARK, z))
        p.line((x0 + d * 0.22 * k, y0 - 1.4 * k), (x0 + d * 0.36 * k, y0 - 1.05 * k), 0.12 * k, scale(shirt, 0.85))
    if kind == "scooter":
        p.rect(x0 - 0.22 * k, y0 - 0.98 * k, 0.44 * k, 0.5 * k, frame, r=0.12 * k)
        lamp = p.lit((1.0, 0.96, 0.8) if front else (0.9, 0.1, 0.08), z, 0.9)
        p.disc(x0, y0 - 0.82 * k, 0.1 * k, lamp)
    else:
        p.line((x0, y0 - 0.35 * k), (x0, y0 - 0.95 * k), max(0.8, 0.07 * k), frame)
    p.rect(x0 - 0.25 * k, y0 - 1.5 * k, 0.5 * k, 0.62 * k, shirt, r=0.16 * k)
    p.line((x0 - 0.36 * k, y0 - 1.05 * k), (x0 + 0.36 * k, y0 - 1.05 * k), max(0.8, 0.06 * k), dark)
    p.disc(x0, y0 - 1.66 * k, 0.19 * k, head)
    if front and k > 9:
        p.rect(x0 - 0.12 * k, y0 - 1.7 * k, 0.24 * k, 0.11 * k, p.lit((0.25, 0.2, 0.2), z), r=0.04 * k)


Draw = Callable[[Painter, float, float, bool, str, random.Random], None]
_DRAW: dict[str, Draw] = {
    "lorry": _lorry, "painted": _lorry, "rickshaw": _rickshaw, "ape": _rickshaw, "cart": _cart, "tractor": _tractor,
    "scooter": _two_wheeler, "bicycle": _two_wheeler,
}  # fmt: skip


# --- people -------------------------------------------------------------------------------------

_SHIRTS = ((0.78, 0.2, 0.2), (0.2, 0.36, 0.62), (0.92, 0.9, 0.85), (0.2, 0.5, 0.4), (0.88, 0.62, 0.2), (0.4, 0.3, 0.5),
           (0.9, 0.5, 0.5), (0.3, 0.6, 0.75))  # fmt: skip
_HELMETS = ((0.92, 0.92, 0.92), (0.15, 0.15, 0.17), (0.8, 0.15, 0.15), (0.95, 0.75, 0.2), (0.25, 0.45, 0.7))
_TROUSERS = ((0.17, 0.18, 0.24), (0.25, 0.3, 0.45), (0.45, 0.4, 0.32), (0.2, 0.2, 0.2))
_SKIN = ((0.93, 0.76, 0.63), (0.78, 0.58, 0.44), (0.62, 0.43, 0.31), (0.42, 0.28, 0.2))
_HAIR = ((0.12, 0.1, 0.09), (0.3, 0.2, 0.13), (0.6, 0.45, 0.25), (0.55, 0.54, 0.53))


def people(p: Painter, objects: Objects) -> None:
    """People on the pavement or the beach: the same crowd all over the world, dressed for the weather."""
    s, rng = p.scene, p.scene.rng("people")
    if "people" not in s.elements:
        return
    for _ in range(rng.randint(1, 4)):
        beach = s.kind == "coast" and s.sea_side == 2
        z, d = p.shore_z() * rng.uniform(0.45, 0.92) if beach else rng.uniform(8, 30), rng.choice((-1, 1))
        x = rng.uniform(-8, 8) if beach else d * (s.lanes + rng.uniform(0.7, 2.2))
        salt = rng.random()

        def one(x: float = x, z: float = z, salt: float = salt) -> None:
            person(p, x, z, random.Random(salt))

        objects.append((z, one))


def person(p: Painter, x: float, z: float, rng: random.Random) -> None:
    """Someone walking: bare arms when it is warm, a cap in the cold, an umbrella in the rain."""
    s = p.scene
    k, (x0, y0) = p.focal / z * rng.uniform(0.88, 1.04), p.point(x, 0, z)
    shirt, legs = p.lit(rng.choice(_SHIRTS), z, 0.6), p.lit(rng.choice(_TROUSERS), z)
    skin, hair = p.lit(rng.choice(_SKIN), z, 0.6), p.lit(rng.choice(_HAIR), z)
    stride, skirt, gear = rng.uniform(0.06, 0.22), rng.random() < 0.3, rng.random()
    p.ground_shadow(x, z, 0.2, 1.7)
    for d in (-1, 1):
        p.line((x0 + d * stride * k, y0), (x0 + d * 0.08 * k, y0 - 0.8 * k), max(0.8, 0.15 * k), legs)
    if skirt:
        p.poly([(x0 - 0.17 * k, y0 - 0.95 * k), (x0 + 0.17 * k, y0 - 0.95 * k), (x0 + 0.3 * k, y0 - 0.42 * k),
                (x0 - 0.3 * k, y0 - 0.42 * k)], legs)  # fmt: skip
    for d in (-1, 1):
        hand = (x0 + d * (0.26 + 0.5 * stride) * k, y0 - 0.85 * k)
        p.line((x0 + d * 0.2 * k, y0 - 1.34 * k), hand, max(0.7, 0.1 * k), skin if s.temperature > 20 else shirt)
    p.rect(x0 - 0.22 * k, y0 - 1.45 * k, 0.44 * k, 0.65 * k, shirt, r=0.12 * k)
    p.disc(x0, y0 - 1.6 * k, 0.15 * k, hair)
    p.disc(x0, y0 - 1.56 * k, 0.125 * k, skin)
    if s.weather in {"rain", "snowfall"} and gear < 0.7:
        _umbrella(p, x0, y0, k, p.lit(_SHIRTS[int(gear * 11) % len(_SHIRTS)], z, 0.8))
    elif s.temperature < 4 or (s.temperature > 25 and gear < 0.4):
        brim = 0.14 if s.temperature < 4 else 0.28
        hat = p.lit(_SHIRTS[0] if s.temperature < 4 else (0.9, 0.82, 0.6), z, 0.8)
        p.oval(x0, y0 - 1.66 * k, brim * k, 0.05 * k, hat)
        p.oval(x0, y0 - 1.7 * k, 0.14 * k, 0.1 * k, hat)


def _umbrella(p: Painter, x: float, y: float, k: float, colour: Colour) -> None:
    top, r = y - 2.15 * k, 0.62 * k
    p.line((x + 0.2 * k, y - 1.0 * k), (x + 0.2 * k, top), max(0.6, 0.05 * k), (0.15, 0.15, 0.15))
    arc = [(x + 0.2 * k + r * math.cos(math.pi * i / 8), top - 0.45 * k * math.sin(math.pi * i / 8) + 0.4 * k)
           for i in range(9)]  # fmt: skip
    p.poly(arc, colour)
