"""Photo geolocation in the open: frozen CLIP, adaptive geocells, hierarchical heads.

    photo -> frozen CLIP image encoder -> unit vector
          -> one head per geocell level, from a few large cells to many small ones
          -> hierarchical fusion: fine cells lose probability where their coarse ancestors look unlikely
          -> a posterior over the finest cells -> latitude, longitude, and how sure

`geolib.locate("photo.jpg")` runs the whole pipeline; to follow it through the code, start at `geolib/predict.py`.
`_MODULES` says which module each public name comes from. A name is imported on first use, so that `import geolib`
takes milliseconds and the parts that need no torch work without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geolib._version import __version__
from geolib.common.threads import reuse_memory, spin_briefly

if TYPE_CHECKING:
    from geolib.cells import GeocellTree
    from geolib.common.settings import Settings
    from geolib.datasets import Dataset, open_dataset
    from geolib.datasets.splits import split_photos
    from geolib.decoding import decode
    from geolib.embed import EmbeddingStore, embed_photos
    from geolib.encoder import Encoder
    from geolib.evaluate import compare
    from geolib.fusion import fuse
    from geolib.heads import HierarchicalHeads, TrainOptions, train_heads
    from geolib.images import Failure, load_rgb
    from geolib.predict import Geolocator, Prediction, default_model, load, locate, predict_location
    from geolib.retrieve import NearestNeighbour
    from geolib.sphere import geoscore, haversine_km

spin_briefly()  # before torch is imported, which reads it
reuse_memory()

# Public name -> module, in the order of the pipeline.
_MODULES = {
    "locate": "predict",
    "load": "predict",
    "predict_location": "predict",
    "default_model": "predict",
    "Geolocator": "predict",
    "Prediction": "predict",
    "load_rgb": "images",
    "Failure": "images",
    "Encoder": "encoder",
    "embed_photos": "embed",
    "EmbeddingStore": "embed",
    "GeocellTree": "cells",
    "HierarchicalHeads": "heads",
    "TrainOptions": "heads",
    "train_heads": "heads",
    "fuse": "fusion",
    "decode": "decoding",
    "NearestNeighbour": "retrieve",
    "compare": "evaluate",
    "haversine_km": "sphere",
    "geoscore": "sphere",
    "Dataset": "datasets",
    "open_dataset": "datasets",
    "split_photos": "datasets.splits",
    "Settings": "common.settings",
}

__all__ = [
    "Dataset", "EmbeddingStore", "Encoder", "Failure", "GeocellTree", "Geolocator", "HierarchicalHeads",
    "NearestNeighbour", "Prediction", "Settings", "TrainOptions", "__version__", "compare", "decode",
    "default_model", "embed_photos", "fuse", "geoscore", "haversine_km", "load", "load_rgb", "locate",
    "open_dataset", "predict_location", "split_photos", "train_heads",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'geolib' has no attribute {name!r}")
    return getattr(import_module(f"geolib.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
