"""Signs and flags: warnings, directions with the town's name, national colours."""

from __future__ import annotations

import random

from geolib.postcards import lettering
from geolib.postcards.brush import Objects, Painter, hex_colour


def signs(p: Painter, objects: Objects) -> None:
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


def shield(p: Painter, objects: Objects) -> None:
    """The route marker in the province's colours."""
