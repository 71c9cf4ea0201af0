"""A dataset from a table: a csv or parquet with id, lat and lon, and a folder of pictures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from geolib.common.errors import CorruptFileError, ImageError, MissingDataError
from geolib.common.files import cache_path, file_stamp
from geolib.datasets.reference import LAYOUTS, apply_layout

AnyPath = str | os.PathLike[str]
PICTURES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".hif"}
_TEXTS = ("photographer", "licence", "author", "source")
# Names in published tables (Im2GPS3k, YFCC4k, OSV-5M), in lower case; the last one found is used.
_ALIASES = {"id": ("img_id", "id"), "lat": ("latitude", "lat"), "lon": ("longitude", "lng", "lon"), "path": ("path",)}


def table(path: AnyPath, folder: AnyPath | None = None, columns: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Open a csv or parquet with a folder of pictures, by default the table's folder.

    A photo's file is its `path` below the folder, or else its id; `.jpg` is added to a name without ending. `columns`
    names the column for `id`, `lat`, `lon`, `path`, `photographer`, ...; usual names are found without it.
    """
    return _with_pictures(read_table(Path(path), columns), Path(path), folder)


def published(
    name: str, path: AnyPath | None = None, folder: AnyPath | None = None, columns: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Open a published table of `LAYOUTS`, by default from the folder of its name in geolib's cache.

    Raises `MissingDataError` that says where to get the table and the pictures.
    """
    layout = LAYOUTS[name]
    path = Path(path or cache_path(name, layout.file))
    if not path.is_file():
        raise MissingDataError(
            f"{path} does not exist. {layout.title}; geolib does not fetch it, because the pictures belong to others: "
            f"{layout.get}. Put {layout.file} there, or open {name}:/path/to/{layout.file}"
        )
    return _with_pictures(apply_layout(layout, read_table(path, columns), path), path, folder)


def _with_pictures(photos: pd.DataFrame, path: Path, folder: AnyPath | None) -> dict[str, Any]:
    files = [str(name) for name in photos.get("path", photos.index)]
    files = [name if Path(name).suffix.lower() in PICTURES else f"{name}.jpg" for name in files]
    return with_files(checked(photos, path), Path(folder or path.parent), files)


def with_files(photos: pd.DataFrame, root: Path, files: Iterable[str], version: str | None = None) -> dict[str, Any]:
    """The opened dataset of photos whose `files` (names below `root`) are in the same order.

    The `version` changes with the files; by default it is made of their sizes and times.
    """
    names = dict(zip(photos.index, map(str, files), strict=True))
    if version is None:
        stamps = "\n".join(f"{name} {file_stamp(root / name)}" for name in names.values())
        version = hashlib.sha256(stamps.encode()).hexdigest()
    return {"photos": photos, "_file": partial(file_below, root, names), "_version": version}


def file_below(root: Path, names: Mapping[str, str], photo: str) -> Path:
    """File of a photo. Raises `ImageError` for a name that leads out of the folder `root`; a link in it may do so."""
    name = Path(names[photo])
    if name.is_absolute() or ".." in name.parts:
        raise ImageError(f"photo {photo!r} has a name that leads out of its folder: {names[photo]!r} is not in {root}")
    return root / name


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read a csv or parquet into a frame indexed by `id`, with columns `lat` and `lon`.

    Raises `MissingDataError` for no file, `CorruptFileError` for an unreadable one, `ValueError` for absent columns.
    """
    if not path.is_file():
        raise MissingDataError(f"{path} does not exist; expected a csv or parquet with columns id, lat, lon")
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path, columns)
    except Exception as error:  # pyarrow and pandas raise a dozen kinds on hostile bytes
        raise CorruptFileError(f"{path} is not a readable table ({error}); restore or rebuild it") from error
    if frame.index.name is not None:
        frame = frame.reset_index()
    lower = {str(name).lower(): name for name in reversed(frame.columns)}
    found = {key: lower[name] for key, names in _ALIASES.items() for name in names if name in lower}
    found |= columns or {}
    absent = [key for key in {"id", "lat", "lon", *found} if found.get(key) not in frame.columns]
    if absent:
        raise ValueError(
            f"{path} has no column for {', '.join(sorted(absent))}: it has {', '.join(map(str, frame.columns))}; "
            "name them with columns={'id': ..., 'lat': ..., 'lon': ...}, or in the dataset's name as "
            "table:/path/table.csv?id=...&lat=...&lon=..."
        )
    frame = frame.rename(columns={name: key for key, name in found.items()})
    return frame.astype({"id": str}).set_index("id")


def _read_csv(path: Path, columns: Mapping[str, str] | None) -> pd.DataFrame:
    """Read a csv with `,`, `;` or tabs. Ids stay text (0012 is not 12), and so does "NA" (as a country: Namibia)."""
    with open(path, encoding="utf-8-sig", errors="replace") as stream:
        first = stream.readline()
    separator = max(",;\t", key=first.count)
    named = {(columns or {}).get("id", "id").lower(), *_ALIASES["id"]}
    ids = [name for name in pd.read_csv(path, sep=separator, nrows=0).columns if str(name).lower() in named]
    return pd.read_csv(path, sep=separator, dtype=dict.fromkeys(ids, str), keep_default_na=False, na_values=[""])


def checked(photos: pd.DataFrame, where: object) -> pd.DataFrame:
    """Add the columns that every dataset has. Raises `ValueError` that names the table `where` and its bad rows."""
    photos = photos.rename_axis("id")
    if photos.empty:
        raise ValueError(f"{where} has no rows")
    bad_ids = photos.index.duplicated() | photos.index.isna()
    _refuse(photos.index[bad_ids], where, "an id that is missing or there twice")
    for column, limit in (("lat", 90), ("lon", 180)):
        values = pd.to_numeric(photos[column], errors="coerce").astype("float64")
        bad = photos.index[~values.between(-limit, limit)]
        _refuse(bad, where, f"{column} that is not a number in [-{limit}, {limit}]")
        photos = photos.assign(**{column: values})
    texts = {name: photos[name].astype(object) if name in photos else "" for name in _TEXTS}
    return photos.assign(**texts).fillna(dict.fromkeys(_TEXTS, "")).astype(dict.fromkeys(_TEXTS, str))


def _refuse(bad: pd.Index[Any], where: object, what: str) -> None:
    if len(bad):
        rows = ", ".join(map(repr, bad[:3]))
        raise ValueError(f"{where} has {len(bad):,} rows with {what}, such as {rows}: correct or drop these rows")
