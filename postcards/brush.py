"""The canvas, the camera and the light that every part of a scene is drawn with.

World axes: x to the right, y up, z forward, in metres, the camera above the origin of the road's centre line.
One vanishing point serves everything; colours fade into the colour of the horizon with distance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import skia

from postcards.scene import Scene

SIZE = 256
LEGIBLE = 6.0  # px: what is smaller cannot be made out in a picture of half the size, 128 px
Colour = tuple[float, float, float]
Point = tuple[float, float]
Objects = list[tuple[float, Callable[[], None]]]
BLUR = {sigma: skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, sigma) for sigma in (1.5, 3.0, 6.0, 12.0)}


def hex_colour(text: str) -> Colour:
    """`"#ff8000"` as 0..1 values."""
    return int(text[1:3], 16) / 255, int(text[3:5], 16) / 255, int(text[5:7], 16) / 255


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """`a` at t = 0, `b` at t = 1."""
    t = min(1.0, max(0.0, t))
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t


def scale(a: Colour, k: float) -> Colour:
    """`a` made darker (k < 1) or lighter (k > 1), kept in range."""
    return min(1.0, a[0] * k), min(1.0, a[1] * k), min(1.0, a[2] * k)


def tint(a: Colour, b: Colour) -> Colour:
    """`a` seen under light of colour `b`."""
    return min(1.0, a[0] * b[0]), min(1.0, a[1] * b[1]), min(1.0, a[2] * b[2])


class Painter:
    """A canvas with a camera and a light: what the parts of a scene are drawn with."""

    def __init__(self, scene: Scene, hide: frozenset[str]) -> None:
        self.scene, self.hide = scene, hide
        self.seen: set[str] = set()
        self.details: dict[str, str] = {}
        self.surface = skia.Surface(SIZE, SIZE)
        self._fill = skia.Paint()
        self._fill.setAntiAlias(True)
        self._fill.setStrokeCap(skia.Paint.kRound_Cap)
        self._soft = {sigma: skia.Paint(self._fill) for sigma in BLUR}
        for sigma, paint in self._soft.items():
            paint.setMaskFilter(BLUR[sigma])
        self.canvas = self.surface.getCanvas()
        rng = scene.rng("camera")
        self.focal = scene.style.focal * SIZE
        self.height = scene.style.height
        self.horizon = SIZE * (0.5 + rng.uniform(-0.05, 0.04))
        self.side = 1 if scene.country.side == "R" else -1
        self.camera_x = self.side * scene.lanes * 0.5 if scene.road != "none" else 0.0
        self.axis = SIZE / 2 + rng.gauss(0, 6)
        self._set_light()

    # --- camera ---------------------------------------------------------------------------------

    def point(self, x: float, y: float, z: float) -> Point:
        """Where a point of the world falls on the canvas."""
        k = self.focal / z
        return self.axis + (x - self.camera_x + self.scene.curve * z * z) * k, self.horizon + (self.height - y) * k

    def inside(self, x: float, half: float) -> float:
        """`x` moved so that a thing of half width `half` stays in the picture, as a photographer would frame it."""
        margin = 8.0
        return min(max(x, margin + half), SIZE - margin - half) if half < SIZE / 2 - margin else SIZE / 2

    def shore_below(self) -> float:
        """How far below the horizon, in px, the waterline lies where the sea is straight ahead."""
        return self.scene.rng("shore").uniform(22, 52)

    def shore_z(self) -> float:
        """The same as a distance in metres: what stands on the beach stands nearer."""
        return self.height * self.focal / self.shore_below()

    def has(self, element: str, cue: str) -> bool:
        """Does this scene hold the element, and is its cue not hidden?"""
        return element in self.scene.elements and cue not in self.hide

    def show(self, cue: str, x: float = SIZE / 2, y: float = SIZE / 2, size: float = SIZE) -> None:
        """Note that a cue is drawn, `size` px across around (x, y).

        It counts as seen when that is in the picture and not smaller than `LEGIBLE`: three pixels of a picture of
        128 pixels. Call it where the cue is painted, with the smallest side that has to be made out: the height of
        letters, the width of a line, the thickness of a post.
        """
        edge = 2.0
        if size >= LEGIBLE and edge < x < SIZE - edge and edge < y < SIZE - edge:
            self.seen.add(cue)

    def tell(self, fact: str, value: str, x: float = SIZE / 2, y: float = SIZE / 2, size: float = SIZE) -> None:
        """Note what is drawn where the scene alone does not say it, such as the form of a roof, if it can be made out.

        What is near is drawn last: of two houses it is the nearer one's roof that counts.
        """
        seen, self.seen = self.seen, set()
        self.show(fact, x, y, size)
        if self.seen:
            self.details[fact] = value
        self.seen = seen

    # --- light ----------------------------------------------------------------------------------

    def _set_light(self) -> None:
        s = self.scene
        low = min(1.0, max(0.0, 1 - (s.sun_height - 3) / 20)) if s.sun_height > -6 else 1.0
        if not s.night and ("light" in self.hide or s.weather not in {"clear", "cloudy", "haze"}):
            low = 0.2  # under a closed sky the hour does not show
        grey = {"overcast": 0.85, "rain": 0.95, "fog": 1.0, "snowfall": 0.9, "cloudy": 0.25}.get(s.weather, 0.0)
        deep = 1 - abs(s.lat) / 90
        zenith = mix((0.16 + 0.1 * (1 - deep), 0.43, 0.86 - 0.06 * (1 - deep)), (0.36, 0.46, 0.72), low)
        horizon = mix((0.76, 0.89, 0.98), (1.0, 0.76, 0.5), low * low)
        dull = mix((0.62, 0.67, 0.72), (0.84, 0.86, 0.88), 0.2 if s.weather == "rain" else 0.7)
        zenith, horizon = mix(zenith, scale(dull, 0.94), grey), mix(horizon, dull, grey)
        if s.weather == "haze":
            zenith, horizon = mix(zenith, (0.72, 0.74, 0.72), 0.5), mix(horizon, (0.93, 0.86, 0.72), 0.7)
        self.low, self.grey = low, grey
        self.light: Colour = mix(mix((1.02, 1.01, 0.98), (1.1, 0.9, 0.7), low * low), (0.88, 0.9, 0.93), grey)
        if s.night:
            zenith, horizon, self.light = (0.03, 0.05, 0.13), (0.09, 0.11, 0.21), (0.2, 0.23, 0.36)
        self.zenith, self.haze = zenith, horizon
        self.sight = {"fog": 30.0, "rain": 190.0, "snowfall": 110.0, "haze": 240.0}.get(s.weather, 780.0)
        self.sun_x = math.sin(math.radians(s.sun_side))
        self.sun_z = math.cos(math.radians(s.sun_side))
        sunny = s.weather in {"clear", "cloudy", "haze"} and not s.night and "light" not in self.hide
        self.shadow = (0.34 - 0.2 * self.grey - (0.1 if s.weather == "haze" else 0)) if sunny else 0.0

    def lit(self, colour: Colour, z: float = 0.0, facing: float = 0.5) -> Colour:
        """`colour` under the scene's light, on a surface turned to the sun by `facing` (0..1), behind `z` m of air."""
        shade = 0.9 if self.shadow == 0 else 0.72 + 0.36 * facing
        return mix(scale(tint(colour, self.light), shade), self.haze, 1 - math.exp(-max(0.0, z - 4) / self.sight))

    def towards_sun(self, nx: float, nz: float) -> float:
        """How much a wall with normal (nx, nz) is turned to the sun, 0..1."""
        return 0.5 + 0.5 * (nx * self.sun_x + nz * self.sun_z)

    # --- primitives -----------------------------------------------------------------------------

    def paint(self, colour: Colour, alpha: float = 1.0, blur: float = 0.0) -> skia.Paint:
        """An anti-aliased fill. One object serves all (making one costs more than drawing): use it at once."""
        paint = self._soft[blur] if blur else self._fill
        paint.setColor4f(skia.Color4f(colour[0], colour[1], colour[2], alpha))
        return paint

    def outline(self, colour: Colour, width: float, alpha: float = 1.0) -> skia.Paint:
        """An anti-aliased stroke for curves."""
        paint = skia.Paint(skia.Color4f(*colour, alpha))
        paint.setAntiAlias(True)
        paint.setStyle(skia.Paint.kStroke_Style)
        paint.setStrokeWidth(width)
        return paint

    def poly(self, points: Sequence[Point], colour: Colour, alpha: float = 1.0, blur: float = 0.0) -> None:
        """A filled polygon in canvas coordinates."""
        path = skia.Path()
        path.moveTo(*points[0])
        for p in points[1:]:
            path.lineTo(*p)
        path.close()
        self.canvas.drawPath(path, self.paint(colour, alpha, blur))

    def polys(self, polygons: Iterable[Sequence[Point]], colour: Colour, alpha: float = 1.0) -> None:
        """Many polygons of one colour in one call."""
        path = skia.Path()
        for points in polygons:
            path.moveTo(*points[0])
            for p in points[1:]:
                path.lineTo(*p)
            path.close()
        self.canvas.drawPath(path, self.paint(colour, alpha))

    def quad(self, corners: Sequence[tuple[float, float, float]], colour: Colour, alpha: float = 1.0) -> None:
        """A filled polygon given in the world."""
        self.poly([self.point(*c) for c in corners], colour, alpha)

    def rect(self, x: float, y: float, w: float, h: float, colour: Colour, alpha: float = 1.0, r: float = 0) -> None:
        """A rectangle in canvas coordinates, with rounded corners of radius r."""
        shape = skia.Rect.MakeXYWH(x, y, w, h)
        if r:
            self.canvas.drawRoundRect(shape, r, r, self.paint(colour, alpha))
        else:
            self.canvas.drawRect(shape, self.paint(colour, alpha))

    def disc(self, x: float, y: float, r: float, colour: Colour, alpha: float = 1.0, blur: float = 0.0) -> None:
        """A disc in canvas coordinates."""
        self.canvas.drawCircle(x, y, r, self.paint(colour, alpha, blur))

    def oval(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, alpha: float = 1.0, blur: float = 0
    ) -> None:
        """An ellipse in canvas coordinates."""
        self.canvas.drawOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry), self.paint(colour, alpha, blur))

    def line(self, a: Point, b: Point, width: float, colour: Colour, alpha: float = 1.0) -> None:
        """A stroke with round ends."""
        paint = self.paint(colour, alpha)
        paint.setStrokeWidth(width)
        self.canvas.drawLine(a[0], a[1], b[0], b[1], paint)

    def gradient(self, y0: float, y1: float, top: Colour, bottom: Colour) -> None:
        """A vertical gradient over the whole width, clamped to the band."""
        paint = skia.Paint()
        colours = [skia.Color4f(*top, 1).toColor(), skia.Color4f(*bottom, 1).toColor()]
        paint.setShader(skia.GradientShader.MakeLinear([skia.Point(0, y0), skia.Point(0, y1)], colours))
        self.canvas.drawRect(skia.Rect.MakeLTRB(-40, y0, SIZE + 40, y1), paint)

    def strip(self, left: float, right: float, colour: Colour, z0: float = 1.6, z1: float = 420.0) -> None:
        """A band of ground along the road between two x, from z0 to z1."""
        steps = [z0 * (z1 / z0) ** (i / 13) for i in range(14)]
        edge = [self.point(left, 0, z) for z in steps] + [self.point(right, 0, z) for z in reversed(steps)]
        self.poly(edge, colour)

    def ground_shadow(self, x: float, z: float, radius: float, height: float) -> None:
        """The shadow that a tree, a car or a pole throws on the ground."""
        if self.shadow <= 0:
            return
        length = min(2.2, 1 / math.tan(math.radians(max(12.0, self.scene.sun_height)))) * height
        far = max(1.7, z - self.sun_z * length)
        a, b = self.point(x, 0, z), self.point(x - self.sun_x * length, 0, far)
        ra, rb = radius * self.focal / z, radius * self.focal / far
        self.polys([[(a[0] - ra * 0.5, a[1]), (b[0] - rb, b[1]), (b[0] + rb, b[1]), (a[0] + ra * 0.5, a[1])]],
                   (0.03, 0.05, 0.12), self.shadow)  # fmt: skip
        self.oval(b[0], b[1], rb, rb * 0.3, (0.03, 0.05, 0.12), self.shadow)


def vegetation_colour(p: Painter) -> Colour:
    """The colour of leaves here and now: the belt's green, moved towards the land's colour seen from space."""
    s = p.scene
    base = {
        "rainforest": (0.13, 0.42, 0.16), "savanna": (0.5, 0.53, 0.2), "scrub": (0.52, 0.5, 0.28),
        "desert": (0.55, 0.53, 0.3), "mediterranean": (0.4, 0.48, 0.22), "subtropical": (0.25, 0.5, 0.2),
        "broadleaf": (0.27, 0.52, 0.2), "mixed": (0.2, 0.43, 0.2), "boreal": (0.12, 0.31, 0.2),
        "steppe": (0.6, 0.58, 0.32), "tundra": (0.46, 0.47, 0.3), "ice": (0.7, 0.75, 0.78),
    }[s.biome]  # fmt: skip
    if s.leaf == "autumn":
        base = mix(base, (0.78, 0.42, 0.12), 0.6)
    elif s.leaf == "dry":
        base = mix(base, (0.73, 0.63, 0.33), 0.5)
    elif s.leaf == "bare":
        base = mix(base, (0.45, 0.38, 0.3), 0.6)
    return mix(base, scale(s.ground, 1.5), 0.2)


def ground_colour(p: Painter) -> Colour:
    """Grass, soil or sand: the more arid, the more of the land's own colour. In a city and by night it says nothing."""
    s = p.scene
    if "ground" in p.hide or s.night or s.kind == "street":
        return 0.52, 0.51, 0.45
    bare = mix(scale(s.ground, 1.25), (0.9, 0.7, 0.45), 0.45 if s.arid > 0.5 else 0.15)
    if abs(s.lat) < 25 and s.biome in {"savanna", "rainforest", "scrub"}:  # the red soils of the tropics
        bare = mix(bare, (0.74, 0.36, 0.2), 0.5)
    return mix(scale(vegetation_colour(p), 1.25), bare, min(1.0, 0.1 + 1.05 * s.arid))
