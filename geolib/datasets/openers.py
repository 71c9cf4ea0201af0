"""Where the datasets come from: each opener reads a table of photos and says how to get a picture's file.

An opener returns the keyword arguments of `geolib.datasets.Dataset` besides its name.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from geolib.common.errors import MissingDataError
from geolib.common.files import cache_path, data_path, sha256_file
from geolib.common.settings import Settings
from geolib.datasets.dataset import Dataset, _spelled_out
from geolib.datasets.folder import folder
from geolib.datasets.reference import LAYOUTS
from geolib.datasets.tables import _inside, checked, published, read_table, table


def open_dataset(name: str | None = None, **options: Any) -> Dataset:
    """Open a dataset by name; without one, by `GEOLIB_DATASET` (default `postcards`).

    postcards: drawn street scenes at real places, with embeddings; ships with the clone.
    gallery: coordinates of 100,000 real photographs, no pictures; ships with the clone.
    folder: photos with GPS in their EXIF: `open_dataset("folder", path=...)` or `"folder:/path"`.
    table: a csv or parquet of id, lat, lon with a folder of pictures:
        `open_dataset("table", path=..., folder=..., columns={"id": "IMG_ID", ...})` or `"table:/path/table.csv"`, or
        with names `"table:/path/table.csv?id=IMG_ID&lat=y&lon=x&folder=/pictures"`.
    commons: photographs of Wikimedia Commons that `python -m geolib fetch commons` brought.
    osv5m: shards of OSV-5M that `python -m geolib fetch osv5m --shards N` brought.
    im2gps3k, yfcc4k, yfcc26k, mp16, gldv2: published tables, `"im2gps3k:/path/im2gps3k_places365.csv"`; see
        `geolib.datasets.reference.LAYOUTS` for their columns, and where to get them.

    Raises `ValueError` for an unknown name or a table with bad rows, `MissingDataError` for data that is not there.
    """
    asked = Settings.from_env().dataset if name is None else name
    kind, _, path = asked.partition(":")
    if path:
        options = {**_spelled_out(path), **options}
    if kind not in OPENERS:
        raise ValueError(f"dataset {asked!r} is not known; available: {', '.join(OPENERS)}")
    opener = OPENERS[kind]
    try:
        inspect.signature(opener).bind(**options)
    except TypeError as error:
        takes = ", ".join(inspect.signature(opener).parameters) or "no options"
        raise ValueError(f"dataset {kind!r}: {error}; it takes {takes}") from None
    return Dataset(kind, **opener(**options))


def postcards() -> dict[str, Any]:
    """The drawn dataset that ships with the clone; see data/postcards/README.md."""
    try:
        opener = import_module("postcards.dataset")
    except ModuleNotFoundError as error:
        raise MissingDataError(
            f"the postcards need the package `postcards` beside geolib ({error}): run Python in the clone, or install "
            "it from there with `pip install -e .`"
        ) from error
    opened: dict[str, Any] = opener.postcards()
    return opened


def gallery() -> dict[str, Any]:
    """Coordinates only; see data/gallery/README.md."""
    path = data_path("gallery", "gallery.parquet")
    photos = checked(
        read_table(path).assign(
            licence="MIT", author="GeoCLIP (Vicente Vivanco)", source="https://github.com/VicenteVivan/geo-clip"
        ),
        str(path),
    )

    return {"photos": photos, "_version": sha256_file(path)}


def commons(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Photographs of Wikimedia Commons that `python -m geolib fetch commons` wrote (default: into geolib's cache).

    Raises `MissingDataError` that names the command, the size and the time.
    """
    root = Path(path) if path else cache_path("commons")
    table = root / "photos.parquet"
    if not table.is_file():
        state = "was begun and is not finished" if (root / "journal.jsonl").is_file() else "does not exist"
        raise MissingDataError(
            f"{table} {state}: `python -m geolib fetch commons --contact YOUR_ADDRESS` fetches it: 10,000 photographs "
            "of 500 pixels, about 0.7 GB and some hours; `--photos 1000` a tenth of that. The same command goes on"
        )
    photos = checked(read_table(table), str(table))
    names = dict(zip(photos.index, photos["path"].astype(str), strict=True))
    return {"photos": photos, "_file": partial(_inside, root, names), "_version": sha256_file(table)}


def osv5m(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Shards of OSV-5M that were fetched, from geolib's cache or another folder; see `geolib.datasets.osv5m`."""
    from geolib.datasets.osv5m import osv5m as fetched  # brings the hub's client along; most uses need none

    return fetched(path)


OPENERS: dict[str, Callable[..., dict[str, Any]]] = {
    "postcards": postcards,
    "gallery": gallery,
    "folder": folder,
    "table": table,
    "commons": commons,
    "osv5m": osv5m,
    **{name: partial(published, name) for name in LAYOUTS},
}
