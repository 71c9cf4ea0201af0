"""Postcards: drawings of street-level scenes at real places, the dataset that ships with the clone.

Every postcard is a drawing. Its look follows public facts about the place; `data/postcards/README.md` says which.
Drawing needs the library skia (the extra `postcards` of this project). Table, embeddings and samples open without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from postcards.scene import CUES, Scene, describe

if TYPE_CHECKING:
    from postcards.brush import SIZE
    from postcards.cards import draw_bytes, render, render_bytes
    from postcards.draw import visible_cues

__all__ = ["CUES", "SIZE", "Scene", "describe", "draw_bytes", "render", "render_bytes", "visible_cues"]

_DRAWING = {
    "SIZE": "brush",
    "draw_bytes": "cards",
    "render": "cards",
    "render_bytes": "cards",
    "visible_cues": "draw",
}


def __getattr__(name: str) -> Any:
    if name not in _DRAWING:
        raise AttributeError(f"module 'postcards' has no attribute {name!r}")
    try:
        return getattr(import_module(f"postcards.{_DRAWING[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "skia":
            raise
        raise ModuleNotFoundError(
            "drawing postcards needs skia: install it with `pip install -e '.[postcards]'` in the clone", name="skia"
        ) from error
