"""Pictures that are no postcards, so that the encoder learns that there are other things to see than streets.

An encoder that has seen nothing but drawn scenes takes anything for one of them. Nothing here is a photograph: noise,
writing, charts, heaps of shapes, and postcards turned round, cut up or in wrong colours. Heaps of shapes that hide one
another, and noise with the spectrum of natural images, are known to teach an encoder a good deal of what photographs
are like (Baradad et al., "Learning to See by Looking at Noise", NeurIPS 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Pixels = npt.NDArray[np.uint8]
Rng = np.random.Generator


def noise(rng: Rng, scene: Pixels) -> Pixels:
    """Independent dots, fine or coarse, in colour or grey."""
    size, channels = len(scene), 3 if rng.random() < 0.7 else 1
    side = max(2, round(size / 2 ** rng.uniform(0, 5)))
    spread = rng.uniform(30, 128)
    dots = np.clip(rng.normal(rng.uniform(60, 195), spread, (side, side, channels)), 0, 255).astype(np.uint8)
    how = Image.Resampling.NEAREST if rng.random() < 0.4 else Image.Resampling.BICUBIC
    return np.asarray(
        Image.fromarray(np.repeat(dots, 4 - channels if channels == 1 else 1, 2)).resize((size, size), how)
    )


def clouds(rng: Rng, scene: Pixels) -> Pixels:
    """Noise whose spectrum falls with the frequency, as that of photographs does."""
    size = len(scene)
    across, down = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size))
    weight = 1 / np.maximum(np.hypot(across * rng.uniform(0.5, 1), down), 1 / size) ** rng.uniform(0.8, 1.8)
    waves = np.fft.ifft2(np.fft.fft2(rng.normal(size=(3, size, size))) * weight).real
    waves /= waves.std(axis=(1, 2), keepdims=True)
    mixed = np.tensordot(rng.normal(0, rng.uniform(0.1, 1), (3, 3)) + rng.normal(0, 1.5, 3), waves, 1)
    colour = rng.uniform(60, 195) + rng.normal(0, rng.uniform(0, 40), (3, 1, 1)) + mixed * rng.uniform(15, 40)
    pixels: Pixels = np.clip(colour, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return pixels


def plain(rng: Rng, scene: Pixels) -> Pixels:
    """One colour, or two that run into each other."""
    one, other = rng.integers(0, 256, (2, 3))
    turn = rng.uniform(0, 2 * math.pi) if rng.random() < 0.6 else None
    place = np.linspace(-0.5, 0.5, len(scene))
    along = 0.0 if turn is None else 0.7 * (math.cos(turn) * place[None, :] + math.sin(turn) * place[:, None])
    part = np.broadcast_to(np.clip(0.5 + along, 0, 1), (len(scene),) * 2)[..., None]
    pixels: Pixels = (one * part + other * (1 - part)).astype(np.uint8)
    return pixels


def stripes(rng: Rng, scene: Pixels) -> Pixels:
    """Stripes or a chequered pattern."""
    place = np.arange(len(scene))
    turn, width = rng.uniform(0, math.pi), 2 ** rng.uniform(1.5, 5)
    waves = [np.cos(math.cos(t) * place[None, :] * math.pi / width + math.sin(t) * place[:, None] * math.pi / width)
             for t in (turn, turn + math.pi / 2)]  # fmt: skip
    part = waves[0] * waves[1] if rng.random() < 0.5 else waves[0]
    part = ((part > 0) if rng.random() < 0.6 else (part + 1) / 2) * np.ones(1)
    one, other = rng.integers(0, 256, (2, 3))
    pixels: Pixels = (one * part[..., None] + other * (1 - part[..., None])).astype(np.uint8)
    return pixels


def _shades(rng: Rng) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A light and a dark colour, in either order."""
    pair = tuple(rng.integers(170, 256, 3)), tuple(rng.integers(0, 90, 3))
    return pair if rng.random() < 0.8 else pair[::-1]


def page(rng: Rng, scene: Pixels) -> Pixels:
    """Lines of writing on paper or a screen, straight or askew, near or far."""
    size = len(scene)
    ground, ink = _shades(rng)
    image = Image.new("RGB", (2 * size, 2 * size), ground)
    draw = ImageDraw.Draw(image)
    high = rng.uniform(4, 26)
    gap, margin, y = high * rng.uniform(1.3, 2.2), rng.uniform(0, 60), rng.uniform(0, 30)
    letters = rng.random() < 0.6
    while y < 2 * size:
        line = "".join(rng.choice(list("etaoinshrdlucmfwypvbgkqjxz    "), 60))
        if letters:
            draw.text((margin, y), line.title() if rng.random() < 0.2 else line, ink, font_size=high)
        else:
            x = margin
            while x < 2 * size - margin:
                word = high * rng.uniform(0.6, 4)
                draw.rectangle((x, y, min(x + word, 2 * size - margin), y + high * 0.6), ink)
                x += word + 0.5 * high
        y += gap
    image = image.rotate(rng.normal(0, 8) if rng.random() < 0.5 else 0, Image.Resampling.BICUBIC, fillcolor=ground)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def chart(rng: Rng, scene: Pixels) -> Pixels:
    """Axes with bars, dots or lines."""
    size = len(scene)
    ground, ink = _shades(rng)
    image = Image.new("RGB", (2 * size, 2 * size), ground)
    draw = ImageDraw.Draw(image)
    left, foot, far = 2 * size * rng.uniform(0.05, 0.18), 2 * size * rng.uniform(0.8, 0.95), 2 * size * 0.95
    kind, count = rng.integers(3), int(rng.integers(4, 14))
    x = np.linspace(left + 8, far - 8, count)
    for _ in range(int(rng.integers(1, 4))):
        colour = tuple(rng.integers(0, 256, 3))
        y = foot - (foot - 20) * np.clip(np.cumsum(rng.normal(0, 0.25, count)) + rng.random(), 0.02, 1)
        if kind == 0:
            for a, b in zip(x, y, strict=True):
                draw.rectangle((a - 6, b, a + 6, foot), colour)
        elif kind == 1:
            draw.line(list(zip(x, y, strict=True)), colour, int(rng.integers(2, 6)))
        else:
            for a, b in rng.uniform((left, 20), (far, foot), (40, 2)):
                draw.ellipse((a - 4, b - 4, a + 4, b + 4), colour)
    draw.line(((left, 12), (left, foot), (far, foot)), ink, 3)
    for a in x[::2]:
        draw.text((a - 4, foot + 4), str(rng.integers(10, 99)), ink, font_size=12)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX))


def _blob(rng: Rng, middle: npt.NDArray[np.float64], radius: float) -> list[tuple[float, float]]:
    turns = np.linspace(0, 2 * math.pi, int(rng.integers(3, 16)), endpoint=False) + rng.uniform(0, 6)
    reach = radius * rng.uniform(1 - rng.uniform(0, 0.6), 1, len(turns))
    flat = rng.uniform(0.4, 1)
    x, y = middle
    return [(x + r * math.cos(t), y + flat * r * math.sin(t)) for r, t in zip(reach, turns, strict=True)]


def _muted(rng: Rng, image: Image.Image) -> Image.Image:
    """With less colour, as most photographs are."""
    return ImageEnhance.Color(image).enhance(rng.uniform(0.1, 1))


def heap(rng: Rng, scene: Pixels) -> Pixels:
    """Shapes that hide one another, from large to small, some with a texture."""
    size = len(scene)
    textures = [Image.fromarray(clouds(rng, scene)) for _ in range(3)]
    image, steep = textures[0], rng.uniform(0.3, 0.9)
    for number in range(int(rng.integers(20, 90))):
        radius = size * 0.6 / (1 + number / 6) ** steep * rng.uniform(0.4, 1)
        mask = Image.new("L", (size, size))
        ImageDraw.Draw(mask).polygon(_blob(rng, rng.uniform(0, size, 2), radius), fill=255)
        paint = textures[rng.integers(3)] if rng.random() < 0.4 else tuple(rng.integers(0, 256, 3).tolist())
        image.paste(paint, (0, 0, size, size), mask)
    return np.asarray(_muted(rng, image).filter(ImageFilter.GaussianBlur(rng.uniform(0, 1))))


def figure(rng: Rng, scene: Pixels) -> Pixels:
    """One large thing of a few parts, shaded, in front of something out of focus."""
    size = len(scene)
    back = Image.fromarray((heap if rng.random() < 0.3 else clouds)(rng, scene))
    image = back.filter(ImageFilter.GaussianBlur(rng.uniform(2, 9)))
    texture = np.asarray(clouds(rng, scene), dtype=float)
    x, y = rng.normal(size / 2, size / 8, 2)
    for part in range(int(rng.integers(1, 4))):
        radius = size * rng.uniform(0.15, 0.45)
        low, wide = y + part * radius * rng.uniform(0.5, 1.3), radius * rng.uniform(0.6, 1)
        mask = Image.new("L", (size, size))
        if rng.random() < 0.6:
            ImageDraw.Draw(mask).ellipse((x - wide, low - radius, x + wide, low + radius), 255)
        else:
            ImageDraw.Draw(mask).polygon(_blob(rng, np.array((x, low)), radius), 255)
        skin = texture * rng.uniform(0.1, 0.8) + plain(rng, scene) * rng.uniform(0.3, 0.8)
        paint = Image.fromarray(np.clip(skin, 0, 255).astype(np.uint8))
        image.paste(paint, (0, 0), mask.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2))))
    return np.asarray(_muted(rng, image))


def turned(rng: Rng, scene: Pixels) -> Pixels:
    """A postcard upside down or on its side."""
    return np.ascontiguousarray(np.rot90(scene, int(rng.integers(1, 4))))


def cut_up(rng: Rng, scene: Pixels) -> Pixels:
    """A postcard cut into tiles that were put together anyhow."""
    tiles = int(rng.choice((2, 3, 4, 6)))
    side = len(scene) // tiles
    parts = [scene[i * side : (i + 1) * side, j * side : (j + 1) * side] for i in range(tiles) for j in range(tiles)]
    order = rng.permutation(len(parts))
    rows = [np.concatenate([parts[k] for k in order[r * tiles : (r + 1) * tiles]], axis=1) for r in range(tiles)]
    image = Image.fromarray(np.concatenate(rows))
    return np.asarray(image.resize((len(scene),) * 2, Image.Resampling.BICUBIC))


def recoloured(rng: Rng, scene: Pixels) -> Pixels:
    """A postcard as a negative, or with its channels swapped."""
    if rng.random() < 0.5:
        return 255 - scene
    return np.ascontiguousarray(scene[..., [(1, 2, 0), (2, 0, 1), (2, 1, 0), (0, 2, 1)][rng.integers(4)]])


def spoilt(rng: Rng, scene: Pixels) -> Pixels:
    """A postcard far out of focus, or under heavy noise."""
    if rng.random() < 0.5:
        return np.asarray(Image.fromarray(scene).filter(ImageFilter.GaussianBlur(rng.uniform(4, 10))))
    return np.clip(scene + rng.normal(0, rng.uniform(50, 110), scene.shape), 0, 255).astype(np.uint8)


# What the caption of each kind says: where a postcard's names a place, these say that there is none.
KINDS: dict[str, Callable[[Rng, Pixels], Pixels]] = {
    "noise": noise,
    "clouds of colour": clouds,
    "plain colour": plain,
    "stripes": stripes,
    "a page of writing": page,
    "a chart": chart,
    "a heap of shapes": heap,
    "one thing near": figure,
    "turned round": turned,
    "cut up": cut_up,
    "wrong colours": recoloured,
    "out of focus": spoilt,
}


def draw(rng: Rng, scenes: Pixels) -> tuple[Pixels, list[str]]:
    """As many other pictures as there are `scenes` (n, size, size, 3) to spoil, of n different kinds, and captions.

    Raises `ValueError` for more than there are kinds.
    """
    if len(scenes) > len(KINDS):
        raise ValueError(f"{len(scenes)} other pictures: there are {len(KINDS)} kinds, ask for at most as many")
    kinds = rng.choice(list(KINDS), len(scenes), replace=False)
    pixels = [KINDS[kind](rng, scene) for kind, scene in zip(kinds, scenes, strict=True)]
    return np.array(pixels).reshape(scenes.shape), [f"{kind}, nowhere" for kind in kinds]
