"""Open a dataset by name. An opener reads a table of photos and returns the arguments of `Dataset`, except its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from geolib.common.errors import MissingDataError
from geolib.common.files import cache_path, data_path, sha256_file
from geolib.common.settings import Settings
from geolib.datasets.dataset import Dataset
from geolib.datasets.folder import folder
from geolib.datasets.reference import LAYOUTS
from geolib.datasets.tables import AnyPath, checked, published, read_table, table, with_files


def open_dataset(name: str | None = None, **options: Any) -> Dataset:
    """Open a dataset by name; without one, the dataset of `GEOLIB_DATASET` (default `postcards`).

    Parameters
    ----------
    name : one of
        - `postcards`: drawn street scenes at real places, with embeddings; ships with the clone
        - `gallery`: coordinates of 100,000 real photographs, without pictures; ships with the clone
        - `folder:/path`: your own photos with GPS in their EXIF
        - `table:/path/table.csv`: a csv or parquet with id, lat and lon, beside its pictures; with other columns or
          another folder `table:/path/table.csv?id=IMG_ID&lat=y&lon=x&folder=/pictures`
        - `commons`, `osv5m`: photographs that `geolib fetch` has fetched
        - `im2gps3k:/path/table.csv`, `yfcc4k:`, `yfcc26k:`, `mp16:`, `gldv2:`: published tables, see
          `geolib.datasets.reference.LAYOUTS`
    options : `path`, `folder` and `columns`, in place of what follows the colon

    Raises
    ------
    ValueError : unknown name, wrong option or bad rows
    MissingDataError : data that is not there; the message says how to get it

    Examples
    --------
    >>> len(open_dataset("gallery"))
    100000
    """
    asked = Settings.from_env().dataset if name is None else name
    kind, _, path = asked.partition(":")
    if path:
        options = _path_and_options(path) | options
    options |= {key: Path(options[key]).expanduser() for key in ("path", "folder") if options.get(key)}
    if kind not in OPENERS:
        hint = f"; for a folder of pictures write folder:{asked}" if Path(asked).is_dir() else ""
        raise ValueError(f"dataset {asked!r} is not known; available: {', '.join(OPENERS)}{hint}")
    signature = inspect.signature(OPENERS[kind])
    try:
        signature.bind(**options)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no options"
        raise ValueError(f"dataset {kind!r}: {error}; it takes {takes}") from None
    return Dataset(kind, **OPENERS[kind](**options))


def _path_and_options(text: str) -> dict[str, Any]:
    """Options in `/path/table.csv?id=IMG_ID&folder=/pictures`: path, folder, and the names of columns."""
    path, _, query = (text, "", "") if Path(text).expanduser().exists() else text.partition("?")
    try:
        columns = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError as error:
        raise ValueError(f"?{query}: expected names and values such as ?id=IMG_ID&lat=y&folder=/pictures") from error
    options = {"path": path, "folder": columns.pop("folder", None), "columns": columns}
    return {name: value for name, value in options.items() if value}


def postcards() -> dict[str, Any]:
    """The drawn dataset that ships with the clone (data/postcards/README.md)."""
    try:
        package = import_module("postcards.dataset")
    except ModuleNotFoundError as error:
        raise MissingDataError(
            f"the postcards need the package `postcards` beside geolib ({error}): run Python in the clone, or install "
            "it from there with `pip install -e .`"
        ) from error
    opened: dict[str, Any] = package.postcards()
    return opened


def gallery() -> dict[str, Any]:
    """Coordinates of real photographs, without pictures (data/gallery/README.md)."""
    path = data_path("gallery", "gallery.parquet")
    credit = {"author": "GeoCLIP (Vicente Vivanco)", "source": "https://github.com/VicenteVivanco/geo-clip"}
    photos = checked(read_table(path).assign(licence="MIT", **credit), path)
    return {"photos": photos, "_version": sha256_file(path)}


def commons(path: AnyPath | None = None) -> dict[str, Any]:
    """Photographs of Wikimedia Commons that `geolib fetch commons` has fetched, by default into geolib's cache."""
    root = Path(path or cache_path("commons"))
    table = root / "photos.parquet"
    if not table.is_file():
        journal = root / "journal.jsonl"
        begun = journal.is_file() and b'{"photo"' in journal.read_bytes()  # one photo at least was fetched
        state = "was begun and is not finished" if begun else "does not exist"
        raise MissingDataError(
            f"{table} {state}: `geolib fetch commons --contact YOUR_ADDRESS` fetches 10,000 photographs of "
            "500 pixels: about 0.7 GB and some hours; `--photos 1000` a tenth of that. It resumes an interrupted run"
        )
    photos = checked(read_table(table), table)
    return with_files(photos, root, photos["path"], sha256_file(table))


def osv5m(path: AnyPath | None = None) -> dict[str, Any]:
    """Shards of OSV-5M that `geolib fetch osv5m` has fetched, by default into geolib's cache."""
    from geolib.datasets.osv5m import osv5m as fetched  # imports the hub's client, which is slow

    return fetched(path)


OPENERS: dict[str, Callable[..., dict[str, Any]]] = {
    **{opener.__name__: opener for opener in (postcards, gallery, folder, table, commons, osv5m)},
    **{name: partial(published, name) for name in LAYOUTS},
}
