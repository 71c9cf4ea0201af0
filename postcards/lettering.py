"""Words on signs: shop words of many languages from a shaped atlas, town names in letters that need no shaping.

The atlas (`data/postcards/lettering.png`) holds a few everyday words a language, shaped with HarfBuzz and set in
open fonts when the dataset was built, so that drawing needs neither the fonts nor a text shaper.
"""

from __future__ import annotations

import random
import unicodedata
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import skia
from PIL import Image

from geolib.common.files import data_path, read_json
from postcards.brush import Colour, Painter
from postcards.facts import LANGUAGES, language_of, script_of

_VERTICAL = {"han", "hant", "japanese", "hangul"}
_UNSHAPED = {"LATIN", "CYRILLIC", "GREEK", "GEORGIAN", "ARMENIAN"}  # one character is one glyph, from left to right
_BETWEEN = set(" -'’ʻ.,/()0123456789")


@cache
def _atlas() -> tuple[skia.Image, dict[str, list[tuple[int, int, int, int]]]]:
    with Image.open(data_path("postcards", "lettering.png")) as image:
        alpha = np.asarray(image.convert("L"))
    pixels = np.zeros((*alpha.shape, 4), np.uint8)
    pixels[..., :3] = alpha[..., None]  # premultiplied white
    pixels[..., 3] = alpha
    boxes = read_json(data_path("postcards", "lettering.json"))["boxes"]
    image = skia.Image.fromarray(pixels, colorType=skia.ColorType.kRGBA_8888_ColorType)
    return image, {language: [tuple(box) for box in rows] for language, rows in boxes.items()}


@cache
def _typeface() -> skia.Typeface:
    return skia.Typeface.MakeFromFile(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf")))


def languages() -> list[str]:
    """The languages that the atlas has words of."""
    return sorted(_atlas()[1])


def scripts() -> list[str]:
    """The scripts that the atlas can write."""
    return sorted({LANGUAGES[language] for language in languages()})


def is_vertical(language: str) -> bool:
    """Are signs in this language, or script, often written from top to bottom?"""
    return script_of(language) in _VERTICAL


def word(language: str, rng: random.Random) -> tuple[str, int]:
    """A shop word: its language and its number in the atlas. A script is written in the language that stands for it."""
    language = language_of(language)
    return language, rng.randrange(len(_atlas()[1][language]))


def draw(
    p: Painter,
    which: tuple[str, int],
    x: float,
    y: float,
    w: float,
    h: float,
    ink: Colour,
    vertical: bool,
    stretch: float = 1.0,
) -> float:
    """Draw a word from the atlas into a box of the canvas; a vertical sign turns the run by a quarter.

    `stretch`: how many times as high as wide a letter may become where the box is narrow, as on a wall seen from the
    side. Returns how high the letters are, in px.
    """
    image, boxes = _atlas()
    sx, sy, sw, sh = boxes[which[0]][which[1]]
    paint = skia.Paint()
    paint.setColorFilter(skia.ColorFilters.Blend(skia.Color4f(*ink, 1).toColor(), skia.BlendMode.kSrcIn))
    sampling = skia.SamplingOptions(skia.FilterMode.kLinear, skia.MipmapMode.kLinear)
    source = skia.Rect.MakeXYWH(sx, sy, sw, sh)
    if not vertical:
        k = min(0.9 * w / sw, 0.86 * h / sh)
        high = min(stretch * sh * k, 0.86 * h)
        target = skia.Rect.MakeXYWH(x + (w - sw * k) / 2, y + (h - high) / 2, sw * k, high)
        p.canvas.drawImageRect(image, source, target, sampling, paint, skia.Canvas.kFast_SrcRectConstraint)
        return high * (sh - 4) / sh  # a tile has a margin of 2 px
    glyphs = max(1, round(sw / sh))  # ideographs and syllable blocks are square: stack them
    k = min(0.86 * w / sh, 0.94 * h / (glyphs * sh))
    size = sh * k
    for i in range(glyphs):
        part = skia.Rect.MakeXYWH(sx + sw * i / glyphs, sy, sw / glyphs, sh)
        target = skia.Rect.MakeXYWH(x + (w - size) / 2, y + (h - glyphs * size) / 2 + i * size, size, size)
        p.canvas.drawImageRect(image, part, target, sampling, paint, skia.Canvas.kFast_SrcRectConstraint)
    return size * (sh - 4) / sh


def _is_hebrew(text: str) -> bool:
    return any(unicodedata.name(c, "").startswith("HEBREW LETTER ") for c in text)


@cache
def can_write(text: str) -> bool:
    """Can `latin` write this name: are all its characters in the typeface, and right without being shaped?

    Letters of Latin, Cyrillic, Greek, Georgian and Armenian are, with digits and marks between them, and so are Hebrew
    letters without points, which run the other way, with spaces and hyphens between them.
    """
    text = unicodedata.normalize("NFC", text)
    letters = [c for c in text if c.isalpha()]
    kinds = {unicodedata.name(c).split(" ")[0] for c in letters}
    if kinds == {"HEBREW"}:
        right = set(text) <= {*letters, " ", "-"}
    else:
        right = bool(kinds) and kinds <= _UNSHAPED and set(text) <= {*letters, *_BETWEEN}
    return right and all(_typeface().unicharToGlyph(ord(c)) != 0 for c in text)


def latin(p: Painter, text: str, x: float, y: float, w: float, h: float, ink: Colour) -> float:
    """A name in Latin or other letters that `can_write`, as large as the box allows; returns its small letters' height.

    Figures and capitals are higher by a third.
    """
    text = unicodedata.normalize("NFC", text)
    if _is_hebrew(text):
        text = text[::-1]
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
    return 0.56 * size
