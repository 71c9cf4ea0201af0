"""Photo geolocation in the open: frozen CLIP, adaptive geocells, hierarchical heads.

The public names load on first use, so that `import geolib` takes milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geolib.cells import GeocellTree
    from geolib.datasets import Dataset, open_dataset
    from geolib.embed import EmbeddingStore, Encoder, embed_photos
    from geolib.fusion import fuse
    from geolib.heads import HierarchicalHeads, train_heads
    from geolib.images import Failure
    from geolib.predict import Geolocator, Prediction, default_model, predict_location
    from geolib.settings import Settings

__version__ = "0.1.0"

_HOMES = {
    "Dataset": "datasets",
    "EmbeddingStore": "embed",
    "Encoder": "embed",
    "Failure": "images",
    "GeocellTree": "cells",
    "Geolocator": "predict",
    "HierarchicalHeads": "heads",
    "Prediction": "predict",
    "Settings": "settings",
    "default_model": "predict",
    "embed_photos": "embed",
    "fuse": "fusion",
    "open_dataset": "datasets",
    "predict_location": "predict",
    "train_heads": "heads",
}

__all__ = [
    "Dataset",
    "EmbeddingStore",
    "Encoder",
    "Failure",
    "GeocellTree",
    "Geolocator",
    "HierarchicalHeads",
    "Prediction",
    "Settings",
    "default_model",
    "embed_photos",
    "fuse",
    "open_dataset",
    "predict_location",
    "train_heads",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'geolib' has no attribute {name!r}")
    return getattr(import_module(f"geolib.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
