"""Vehicles with their plates, on the country's side of the road, and people."""

from __future__ import annotations

import random

from geolib.postcards.brush import Colour, Objects, Painter, hex_colour, mix, scale

PLATES = {"white": "#f4f4f0", "yellow": "#f2c81e", "black": "#16181c", "blue": "#1d4f9e", "red": "#b3202a"}


def vehicles(p: Painter, objects: Objects) -> None:
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


def people(p: Painter, objects: Objects) -> None:
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
