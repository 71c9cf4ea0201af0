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

from geolib.postcards.brush import SIZE
from geolib.postcards.draw import draw, visible_cues
from geolib.postcards.scene import CUES, Scene, describe

__all__ = ["CUES", "SIZE", "Scene", "describe", "render", "render_bytes", "visible_cues"]


def render(place: Mapping[str, Any], hide: Collection[str] = ()) -> npt.NDArray[np.uint8]:
    """Draw the postcard of a place. Returns uint8 (256, 256, 3); the same place gives the same pixels.

    place: a row of the postcards' photo table (see `scene.describe`).
    hide: names of cues (`CUES`) to leave out of the same scene. Raises `ValueError` for an unknown name.
    """
    unknown = sorted(set(hide) - set(CUES))
    if unknown:
        raise ValueError(f"unknown cue {unknown[0]!r}: expected one of {', '.join(CUES)}")
    return draw(describe(place), frozenset(hide))


def render_bytes(place: Mapping[str, Any], hide: Collection[str] = ()) -> bytes:
    """The postcard as a JPEG file: the same place gives the same bytes on one version of the libraries."""
    buffer = io.BytesIO()
    quality = describe(place).style.quality
    Image.fromarray(render(place, hide)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
