"""A postcard as pixels or as a JPEG file."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from postcards.draw import draw_and_see
from postcards.scene import CUES, describe
from postcards.visible import Seen


def render(place: Mapping[str, Any], hide: Collection[str] = ()) -> npt.NDArray[np.uint8]:
    """Draw the postcard of a place. The same place gives the same pixels.

    Parameters
    ----------
    place : row of the postcards' photo table (see `postcards.describe`)
    hide : names of cues (`postcards.CUES`) to leave out of the same scene

    Returns
    -------
    uint8 (256, 256, 3), RGB

    Raises
    ------
    ValueError
        For an unknown cue.
    """
    unknown = sorted(set(hide) - set(CUES))
    if unknown:
        raise ValueError(f"unknown cue {unknown[0]!r}: expected one of {', '.join(CUES)}")
    return draw_and_see(describe(place), frozenset(hide))[0]


def render_bytes(place: Mapping[str, Any], hide: Collection[str] = ()) -> bytes:
    """Draw the postcard as a JPEG file; the same bytes for the same place on one version of the libraries."""
    return _jpeg(render(place, hide), describe(place).style.quality)


def draw_bytes(place: Mapping[str, Any]) -> tuple[bytes, Seen]:
    """Draw the postcard as a JPEG file, and say what came to be seen in it, as `draw.draw_and_see` does."""
    scene = describe(place)
    pixels, seen = draw_and_see(scene)
    return _jpeg(pixels, scene.style.quality), seen


def _jpeg(pixels: npt.NDArray[np.uint8], quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
