"""What stands beside the road: utility poles and lamps, marker posts, and what only some parts of the world have."""

from __future__ import annotations

import skia

from geolib.postcards.brush import Objects, Painter, Point, mix, scale


def poles(p: Painter, objects: Objects) -> None:
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


def bollards(p: Painter, objects: Objects) -> None:
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


def extras(p: Painter, objects: Objects) -> None:
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


def fences(p: Painter, objects: Objects) -> None:
    """The province's fence along the road."""


