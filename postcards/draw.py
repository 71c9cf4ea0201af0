"""From a scene to pixels: a perspective street view, painted from the sky to the road."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import skia

from postcards import buildings, indoors, land, landmarks, plants, road, signs, traffic, wayside
from postcards.brush import SIZE, Objects, Painter
from postcards.scene import CUES, Scene
from postcards.visible import Seen


def outdoors(p: Painter) -> None:
    """A street, a village, a field or a shore."""
    s = p.scene
    p.canvas.translate(SIZE / 2, SIZE / 2)
    p.canvas.rotate(s.style.tilt)
    p.canvas.scale(1.05, 1.05)
    p.canvas.translate(-SIZE / 2, -SIZE / 2)
    land.sky(p)
    land.relief(p)
    land.skyline(p)
    land.ground(p)
    if s.landmark is not None and "landmark" not in p.hide:
        landmarks.draw(p, s.landmark)
    if s.road != "none":
        road.road(p)
    objects: Objects = []  # each with its distance: what is far is drawn first
    if s.kind == "street":
        buildings.terrace(p, objects)
    elif s.kind in {"suburb", "village", "rural"}:
        buildings.houses(p, objects)
    elif s.kind == "coast":
        buildings.seaside(p, objects)
    wayside.poles(p, objects)
    wayside.bollards(p, objects)
    wayside.fences(p, objects)
    wayside.extras(p, objects)
    signs.signs(p, objects)
    signs.shield(p, objects)
    traffic.vehicles(p, objects)
    traffic.people(p, objects)
    if "vegetation" not in p.hide:
        plants.place(p, objects)
    for _, draw_object in sorted(objects, key=lambda item: -item[0]):
        draw_object()
    land.weather(p)
    p.canvas.resetMatrix()


def finish(p: Painter) -> npt.NDArray[np.uint8]:
    """The camera's part: grading, vignette, softness, grain. Returns uint8 (SIZE, SIZE, 3)."""
    s = p.scene
    style, rng = s.style, s.rng("camera/finish")
    image = p.surface.makeImageSnapshot()
    sat, con, w = style.saturation, style.contrast, style.warmth
    r, g, b = 0.213 * (1 - sat), 0.715 * (1 - sat), 0.072 * (1 - sat)
    lift = 0.5 * (1 - con)
    matrix = [
        con * (r + sat) + w, con * g, con * b, 0, lift,
        con * r, con * (g + sat), con * b, 0, lift,
        con * r, con * g, con * (b + sat) - w, 0, lift,
        0, 0, 0, 1, 0,
    ]  # fmt: skip
    paint = skia.Paint()
    paint.setColorFilter(skia.ColorFilters.Matrix(matrix))
    if rng.random() < 0.12:
        soft = rng.uniform(0.5, 1.2)
        paint.setImageFilter(skia.ImageFilters.Blur(soft, soft, skia.TileMode.kClamp))
    p.canvas.drawImage(image, 0, 0, skia.SamplingOptions(), paint)
    if style.vignette > 0.02:
        dark = skia.Paint()
        colours = [skia.Color4f(0, 0, 0, 0).toColor(), skia.Color4f(0, 0, 0, min(0.5, style.vignette * 1.6)).toColor()]
        dark.setShader(
            skia.GradientShader.MakeRadial(skia.Point(SIZE / 2, SIZE / 2), SIZE * 0.76, colours, [0.55, 1.0])
        )
        p.canvas.drawRect(skia.Rect.MakeWH(SIZE, SIZE), dark)
    pixels = np.asarray(p.surface.makeImageSnapshot().toarray(colorType=skia.ColorType.kRGBA_8888_ColorType))[:, :, :3]
    amount = rng.uniform(0, 2.2) + (3.0 if s.night else 0.0)
    dy, dx = rng.randrange(SIZE), rng.randrange(SIZE)
    grain = (_GRAIN[dy : dy + SIZE, dx : dx + SIZE] * np.float32(amount)).astype(np.int16)
    noisy = pixels.astype(np.int16)
    noisy += grain[:, :, None]
    return np.clip(noisy, 0, 255, out=noisy).astype(np.uint8)


_GRAIN = np.random.default_rng(20260101).standard_normal((2 * SIZE, 2 * SIZE), dtype=np.float32)


def draw(scene: Scene, hide: frozenset[str] = frozenset()) -> npt.NDArray[np.uint8]:
    """Draw a scene, without the cues named in `hide`. Returns uint8 (SIZE, SIZE, 3)."""
    return draw_and_see(scene, hide)[0]


def visible_cues(scene: Scene) -> dict[str, bool]:
    """Which cues the drawn scene shows, by name of `CUES`."""
    seen = draw_and_see(scene)[1]
    return {name: bool(seen[name]) for name in CUES}


def draw_and_see(scene: Scene, hide: frozenset[str] = frozenset()) -> tuple[npt.NDArray[np.uint8], Seen]:
    """Draw a scene, and say what came to be in the picture, large enough to see and inside its edges.

    For each of `CUES` whether it did; then the details that only drawing decides, such as `"roof": "gable"`.
    """
    painter = Painter(scene, hide)
    if scene.kind in {"interior", "closeup"}:
        indoors.draw(painter)
    else:
        outdoors(painter)
    return finish(painter), {name: name in painter.seen for name in CUES} | painter.details
