"""Landmarks of big cities, made up from the city's number: the same silhouette in all of a city's postcards."""

from __future__ import annotations

import math
from collections.abc import Callable

from geolib.postcards.brush import Colour, Painter, scale
from geolib.postcards.scene import Landmark


def draw(p: Painter, landmark: Landmark) -> None:
    """Draw a landmark on the axis of the road or a little beside it, larger or smaller with its distance."""
    rng = p.scene.rng("landmark")
    size = rng.uniform(82, 124) * (0.8 if p.scene.kind == "coast" else 1.0)
    x = p.axis + rng.gauss(0, 15 if p.scene.kind == "street" else 30)
    y = p.horizon + 3
    z = rng.uniform(110, 200)
    left = p.towards_sun(-1, -0.3) > p.towards_sun(1, -0.3)
    day = 1.0 if not p.scene.night else 1.9
    light = p.lit(scale(landmark.colour, day), z, 0.95)
    dark = p.lit(scale(landmark.colour, 0.72 * day), z, 0.3)
    accent = p.lit(scale(landmark.accent, day), z, 0.7)
    w = size * 0.16 * landmark.slender
    _FORMS[landmark.kind](p, x, y, w, size, (light, dark) if left else (dark, light), accent, landmark.count)
    if landmark.kind in {"tower", "needle", "slab", "stepped", "column", "obelisk", "clock"}:
        _top(p, landmark.top, x, y - size, w, accent)


Shades = tuple[Colour, Colour]


def _two_tone(p: Painter, x: float, y: float, w: float, h: float, c: Shades, taper: float = 1.0) -> None:
    p.poly([(x - w, y), (x - w * taper, y - h), (x, y - h), (x, y)], c[0])
    p.poly([(x, y), (x, y - h), (x + w * taper, y - h), (x + w, y)], c[1])


def _top(p: Painter, kind: str, x: float, y: float, w: float, accent: Colour) -> None:
    if kind == "ball":
        p.disc(x, y - w * 0.4, w * 0.6, accent)
    elif kind == "spike":
        p.poly([(x - w * 0.3, y), (x, y - w * 2.4), (x + w * 0.3, y)], accent)
    elif kind == "flag":
        p.line((x, y), (x, y - w * 1.6), 1.2, accent)
        p.rect(x, y - w * 1.6, w * 1.2, w * 0.8, accent)
    elif kind == "cross":
        p.line((x, y), (x, y - w * 1.7), 1.8, accent)
        p.line((x - w * 0.5, y - w * 1.15), (x + w * 0.5, y - w * 1.15), 1.8, accent)
    elif kind == "crown":
        for i in range(3):
            p.poly(
                [(x + (i - 1.5) * w * 0.6, y), (x + (i - 1.2) * w * 0.6, y - w), (x + (i - 0.5) * w * 0.6, y)], accent
            )


def _tower(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    _two_tone(p, x, y, w * 0.7, h, c, 0.55)
    for i in range(n):
        p.rect(x - w * 0.75, y - h * (0.5 + 0.45 * i / n), w * 1.5, h * 0.03, accent)


def _needle(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    _two_tone(p, x, y, w * 0.35, h, c, 0.2)
    for i in range(max(1, n - 2)):
        p.oval(x, y - h * (0.72 - 0.16 * i), w * (1.1 - 0.25 * i), w * 0.42, accent)


def _dome(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    r = w * 1.5
    _two_tone(p, x, y, r * 1.15, h * 0.34, c)
    p.oval(x, y - h * 0.38, r, h * 0.3, accent)
    p.oval(x - r * 0.3, y - h * 0.43, r * 0.35, h * 0.2, scale(accent, 1.25), 0.7)
    p.rect(x - r * 1.15, y - h * 0.37, r * 2.3, h * 0.05, c[0])
    p.line((x, y - h * 0.66), (x, y - h * 0.84), 2, accent)
    for i in range(n):
        p.rect(x - r + 2 * r * (i + 0.35) / n, y - h * 0.26, 2 * r * 0.3 / n, h * 0.26, scale(c[1], 0.6))


def _twin_spires(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    _two_tone(p, x, y, w * 1.1, h * 0.46, c)
    p.poly([(x - w * 1.1, y - h * 0.46), (x, y - h * 0.66), (x + w * 1.1, y - h * 0.46)], accent)
    p.disc(x, y - h * 0.34, w * 0.36, scale(accent, 0.7))
    for d in (-1, 1):
        _two_tone(p, x + d * w * 1.25, y, w * 0.4, h * 0.64, c)
        p.poly(
            [
                (x + d * w * 1.25 - w * 0.45, y - h * 0.64),
                (x + d * w * 1.25, y - h),
                (x + d * w * 1.25 + w * 0.45, y - h * 0.64),
            ],
            accent,
        )


def _pyramid(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    r = h * 0.55
    p.poly([(x - r, y), (x + w * 0.3, y - h * 0.8), (x + w * 0.3, y)], c[0])
    p.poly([(x + w * 0.3, y), (x + w * 0.3, y - h * 0.8), (x + r, y)], c[1])
    p.poly(
        [(x + w * 0.3 - r * 0.2, y - h * 0.62), (x + w * 0.3, y - h * 0.8), (x + w * 0.3 + r * 0.14, y - h * 0.62)],
        accent,
    )


def _arch(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    r = h * 0.42
    steps = [math.pi * i / 24 for i in range(25)]
    outer = [(x - r * math.cos(t), y - h * 0.9 * math.sin(t) ** 0.8) for t in steps]
    inner = [(x - r * 0.78 * math.cos(t), y - h * 0.76 * math.sin(t) ** 0.8) for t in reversed(steps)]
    p.poly([*outer, *inner], c[0])
    if n % 2:
        p.poly([*outer[12:], *inner[:13]], c[1])
    p.disc(x, y - h * 0.83, w * 0.3, accent)


def _wheel(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    r, cy = h * 0.42, y - h * 0.52
    for d in (-1, 1):
        p.line((x + d * r * 0.6, y), (x, cy), 2.4, c[1])
    p.canvas.drawCircle(x, cy, r, p.outline(accent, 3))
    for i in range(6 + 2 * n):
        t = 2 * math.pi * i / (6 + 2 * n)
        tip = (x + r * math.cos(t), cy + r * math.sin(t))
        p.line((x, cy), tip, 0.9, accent)
        p.disc(*tip, 2.6, c[0])


def _bridge(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    span = h * 1.5
    p.rect(x - span, y - h * 0.2, 2 * span, h * 0.06, c[0])
    for d in (-1, 1):
        px = x + d * span * 0.45
        p.rect(px - w * 0.22, y - h * 0.85, w * 0.44, h * 0.85, accent)
        for i in range(3 + n):
            for e in (-1, 1):
                p.line((px, y - h * 0.82), (px + e * span * 0.5 * (i + 1) / (3 + n), y - h * 0.19), 0.9, accent)


def _column(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    p.rect(x - w * 1.1, y - h * 0.14, w * 2.2, h * 0.14, c[1])
    _two_tone(p, x, y - h * 0.1, w * 0.38, h * 0.82, c, 0.85)
    p.rect(x - w * 0.6, y - h, w * 1.2, h * 0.09, accent)
    p.oval(x, y - h * 1.06, w * 0.25, h * 0.08, accent)


def _minarets(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    p.oval(x, y - h * 0.3, w * 1.5, h * 0.3, accent)
    _two_tone(p, x, y, w * 1.7, h * 0.3, c)
    for i in range(2 if n < 4 else 4):
        px = x + (-2.3, 2.3, -3.3, 3.3)[i] * w
        _two_tone(p, px, y, w * 0.2, h * 0.86, c)
        p.rect(px - w * 0.36, y - h * 0.66, w * 0.72, h * 0.035, accent)
        p.poly([(px - w * 0.24, y - h * 0.86), (px, y - h), (px + w * 0.24, y - h * 0.86)], accent)


def _pagoda(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    tiers = n + 2
    for i in range(tiers):
        width = w * (1.5 - 0.9 * i / tiers)
        base = y - h * 0.88 * i / tiers
        p.rect(x - width * 0.7, base - h * 0.88 / tiers, width * 1.4, h * 0.88 / tiers, c[i % 2])
        top = base - h * 0.6 / tiers
        p.poly(
            [
                (x - width * 1.25, top + 1),
                (x - width * 0.6, top - h * 0.28 / tiers),
                (x + width * 0.6, top - h * 0.28 / tiers),
                (x + width * 1.25, top + 1),
            ],
            accent,
        )
    p.line((x, y - h * 0.86), (x, y - h), 1.6, accent)


def _statue(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    p.rect(x - w * 1.1, y - h * 0.3, w * 2.2, h * 0.3, accent)
    p.poly(
        [
            (x - w * 0.7, y - h * 0.3),
            (x - w * 0.34, y - h * 0.78),
            (x + w * 0.34, y - h * 0.78),
            (x + w * 0.7, y - h * 0.3),
        ],
        c[0],
    )
    p.disc(x, y - h * 0.85, w * 0.32, c[0])
    if n % 2:
        p.line((x - w * 1.5, y - h * 0.7), (x + w * 1.5, y - h * 0.7), w * 0.26, c[1])
    else:
        p.line((x + w * 0.3, y - h * 0.72), (x + w * 0.75, y - h * 1.0), w * 0.24, c[1])
        p.disc(x + w * 0.78, y - h * 1.03, w * 0.24, accent)


def _castle(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    p.oval(x, y, w * 3.6, h * 0.34, scale(c[1], 0.7))
    y -= h * 0.2
    _two_tone(p, x, y, w * 1.7, h * 0.3, c)
    for i in range(n):
        px, top = x + w * 1.7 * (2 * i / (n - 1) - 1), h * (0.46 + 0.18 * (i % 2))
        _two_tone(p, px, y, w * 0.4, top, c)
        p.poly([(px - w * 0.52, y - top), (px, y - top - h * 0.2), (px + w * 0.52, y - top)], accent)


def _stepped(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    for i in range(n + 1):
        _two_tone(p, x, y - h * i / (n + 1), w * (1.4 - 1.1 * i / (n + 1)), h / (n + 1) + 1, c)
        p.rect(
            x - w * (1.4 - 1.1 * i / (n + 1)), y - h * (i + 1) / (n + 1), 2 * w * (1.4 - 1.1 * i / (n + 1)), 2, accent
        )


def _slab(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    _two_tone(p, x, y, w, h, c)
    for i in range(2 * n + 3):
        p.rect(x - w, y - h * (i + 0.6) / (2 * n + 3), 2 * w, 1.6, accent, 0.9)


def _sail(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    for i in range(n):
        s = 1 - 0.22 * i
        px = x + w * 1.1 * (i - (n - 1) / 2)
        p.poly(
            [
                (px - w * s, y),
                (px - w * 0.7 * s, y - h * 0.5 * s),
                (px + w * 0.2, y - h * 0.9 * s),
                (px + w * 0.75 * s, y - h * 0.35 * s),
                (px + w * 0.9 * s, y),
            ],
            c[i % 2],
        )
    p.rect(x - w * n * 0.8, y - h * 0.06, w * n * 1.6, h * 0.06, accent)


def _colonnade(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    r = w * 2.2
    p.rect(x - r, y - h * 0.1, 2 * r, h * 0.1, c[1])
    columns = n + 3
    for i in range(columns):
        p.rect(x - r + 2 * r * (i + 0.25) / columns, y - h * 0.5, r / columns, h * 0.4, c[i % 2])
    p.rect(x - r, y - h * 0.58, 2 * r, h * 0.09, c[0])
    p.poly([(x - r, y - h * 0.58), (x, y - h * 0.82), (x + r, y - h * 0.58)], accent)


def _onion(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    for i in range(n):
        px = x + w * 1.1 * (i - (n - 1) / 2)
        top = h * (0.5 + 0.22 * (1 - abs(2 * i / (n - 1) - 1)))
        _two_tone(p, px, y, w * 0.45, top, c)
        p.disc(px, y - top - w * 0.4, w * 0.58, accent)
        p.poly(
            [(px - w * 0.4, y - top - w * 0.75), (px, y - top - w * 1.6), (px + w * 0.4, y - top - w * 0.75)], accent
        )


def _clock(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    _two_tone(p, x, y, w * 0.75, h * 0.8, c)
    p.poly([(x - w * 0.85, y - h * 0.8), (x, y - h), (x + w * 0.85, y - h * 0.8)], accent)
    p.disc(x, y - h * 0.66, w * 0.52, accent)
    p.disc(x, y - h * 0.66, w * 0.4, (0.97, 0.96, 0.9))
    p.line((x, y - h * 0.66), (x, y - h * 0.66 - w * 0.3), 1.2, (0.1, 0.1, 0.1))


def _obelisk(p: Painter, x: float, y: float, w: float, h: float, c: Shades, accent: Colour, n: int) -> None:
    p.rect(x - w, y - h * 0.08 * n / 2, 2 * w, h * 0.08 * n / 2, accent)
    _two_tone(p, x, y, w * 0.5, h * 0.88, c, 0.6)
    p.poly([(x - w * 0.3, y - h * 0.88), (x, y - h), (x + w * 0.3, y - h * 0.88)], accent)


_FORMS: dict[str, Callable[[Painter, float, float, float, float, Shades, Colour, int], None]] = {
    "tower": _tower, "needle": _needle, "dome": _dome, "twin_spires": _twin_spires, "pyramid": _pyramid,
    "arch": _arch, "wheel": _wheel, "bridge": _bridge, "column": _column, "minarets": _minarets, "pagoda": _pagoda,
    "statue": _statue, "castle": _castle, "stepped": _stepped, "slab": _slab, "sail": _sail,
    "colonnade": _colonnade, "onion": _onion, "clock": _clock, "obelisk": _obelisk,
}  # fmt: skip
