"""Postcards: drawings of street-level scenes at real places, the dataset that ships with the clone.

Every postcard is a drawing. Its look follows public facts about the place; `data/postcards/README.md` says which.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from postcards.brush import SIZE
from postcards.draw import draw_and_see, visible_cues
from postcards.scene import CUES, Scene, describe

__all__ = ["CUES", "SIZE", "Scene", "describe", "draw_bytes", "render", "render_bytes", "visible_cues"]


def render(place: Mapping[str, Any], hide: Collection[str] = ()) -> npt.NDArray[np.uint8]:
    """Draw the postcard of a place. Returns uint8 (256, 256, 3); the same place gives the same pixels.

    place: a row of the postcards' photo table (see `scene.describe`).
    hide: names of cues (`CUES`) to leave out of the same scene. Raises `ValueError` for an unknown name.
    """
    unknown = sorted(set(hide) - set(CUES))
    if unknown:
        raise ValueError(f"unknown cue {unknown[0]!r}: expected one of {', '.join(CUES)}")
    return draw_and_see(describe(place), frozenset(hide))[0]


def render_bytes(place: Mapping[str, Any], hide: Collection[str] = ()) -> bytes:
    """The postcard as a JPEG file: the same place gives the same bytes on one version of the libraries."""
    return _jpeg(render(place, hide), describe(place).style.quality)


def draw_bytes(place: Mapping[str, Any]) -> tuple[bytes, dict[str, bool]]:
    """The postcard as a JPEG file, and which cues came to be seen in it, by name of `CUES`."""
    scene = describe(place)
    pixels, seen = draw_and_see(scene)
    return _jpeg(pixels, scene.style.quality), {name: name in seen for name in CUES}


def _jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
