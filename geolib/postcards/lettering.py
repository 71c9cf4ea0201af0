"""Words on signs: shop words in their own script from a shaped atlas, town names in Latin letters.

The atlas (`data/postcards/lettering.png`) holds a few everyday words a script, shaped with HarfBuzz and set in
open fonts when the dataset was built, so that drawing needs neither the fonts nor a text shaper.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import skia
from PIL import Image

from geolib.files import data_path, read_json
from geolib.postcards.brush import Colour, Painter

_VERTICAL = {"han", "hant", "japanese", "hangul"}


@cache
def _atlas() -> tuple[skia.Image, dict[str, list[tuple[int, int, int, int]]]]:
    with Image.open(data_path("postcards", "lettering.png")) as image:
        alpha = np.asarray(image.convert("L"))
    pixels = np.zeros((*alpha.shape, 4), np.uint8)
    pixels[..., :3] = alpha[..., None]  # premultiplied white
    pixels[..., 3] = alpha
    boxes = read_json(data_path("postcards", "lettering.json"))["boxes"]
    image = skia.Image.fromarray(pixels, colorType=skia.ColorType.kRGBA_8888_ColorType)
    return image, {script: [tuple(box) for box in rows] for script, rows in boxes.items()}


@cache
def _typeface() -> skia.Typeface:
    return skia.Typeface.MakeFromFile(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf")))


def scripts() -> list[str]:
    """The scripts that the atlas can write."""
    return sorted(_atlas()[1])


def is_vertical(script: str) -> bool:
    """Are signs in this script often written from top to bottom?"""
    return script in _VERTICAL


def word(script: str, rng: random.Random) -> tuple[str, int]:
    """A shop word: its script and its number in the atlas."""
    rows = _atlas()[1][script]
    return script, rng.randrange(len(rows))


def draw(
    p: Painter, which: tuple[str, int], x: float, y: float, w: float, h: float, ink: Colour, vertical: bool
) -> None:
    """Draw a word from the atlas into a box of the canvas; a vertical sign turns the run by a quarter."""
    image, boxes = _atlas()
    sx, sy, sw, sh = boxes[which[0]][which[1]]
    paint = skia.Paint()
    paint.setColorFilter(skia.ColorFilters.Blend(skia.Color4f(*ink, 1).toColor(), skia.BlendMode.kSrcIn))
    sampling = skia.SamplingOptions(skia.FilterMode.kLinear, skia.MipmapMode.kLinear)
    source = skia.Rect.MakeXYWH(sx, sy, sw, sh)
    if not vertical:
        k = min(0.9 * w / sw, 0.86 * h / sh)
        target = skia.Rect.MakeXYWH(x + (w - sw * k) / 2, y + (h - sh * k) / 2, sw * k, sh * k)
        p.canvas.drawImageRect(image, source, target, sampling, paint, skia.Canvas.kFast_SrcRectConstraint)
        return
    glyphs = max(1, round(sw / sh))  # ideographs and syllable blocks are square: stack them
    k = min(0.86 * w / sh, 0.94 * h / (glyphs * sh))
    size = sh * k
    for i in range(glyphs):
        part = skia.Rect.MakeXYWH(sx + sw * i / glyphs, sy, sw / glyphs, sh)
        target = skia.Rect.MakeXYWH(x + (w - size) / 2, y + (h - glyphs * size) / 2 + i * size, size, size)
        p.canvas.drawImageRect(image, part, target, sampling, paint, skia.Canvas.kFast_SrcRectConstraint)


def latin(p: Painter, text: str, x: float, y: float, w: float, h: float, ink: Colour) -> None:
    """A name in Latin letters, as large as the box allows."""
    size = h * 0.78
    font = skia.Font(_typeface(), size)
    wide = font.measureText(text)
    if wide > w:
        size *= w / wide
        font.setSize(size)
        wide = w
    font.setEdging(skia.Font.Edging.kAntiAlias)
    font.setSubpixel(True)
    p.canvas.drawString(text, x + (w - wide) / 2, y + h / 2 + size * 0.36, font, p.paint(ink))
