"""Photos listed in a table."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from geolib.common.errors import CorruptFileError, ImageError, MissingDataError
from geolib.common.files import cache_path
from geolib.datasets.reference import applied, layout_of

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"}
_TEXTS = ("photographer", "licence", "author", "source")
# The names that published tables use (Im2GPS3k, YFCC4k, OSV-5M), lower case.
_ALIASES = {"id": ("id", "img_id"), "lat": ("lat", "latitude"), "lon": ("lon", "lng", "longitude"), "path": ("path",)}


def table(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    layout: str | None = None,
) -> dict[str, Any]:
    """A csv or parquet with id, lat and lon, and a folder of pictures (default: the folder of the table).

    columns: which column of the table is `id`, `lat`, `lon`, `path`, `photographer`, ...; common names are found
        without. A picture's file is its `path` below the folder, or its id with `.jpg` added when it has no ending.
    layout: the name of a published table, which says what its other columns are (`reference.LAYOUTS`).
    """
    known = None if layout is None else layout_of(layout)
    photos = read_table(Path(path), columns)
    if known is not None:
        photos = applied(known, photos, str(path))
    files = [str(name) for name in photos.get("path", photos.index)]
    files = [name if Path(name).suffix.lower() in PICTURES else f"{name}.jpg" for name in files]
    return _with_files(checked(photos, str(path)), Path(folder or Path(path).parent), files)


def published(
    layout: str,
    path: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A published table by its name (`reference.LAYOUTS`): `open_dataset("im2gps3k")`, or with its path.

    path: the table; without one, under its published name in geolib's cache, in a folder of the layout's name.
    Raises `MissingDataError` that says where to get it.
    """
    known = layout_of(layout)
    path = Path(path or cache_path(layout, known.file))
    if not path.is_file():
        raise MissingDataError(
            f"{path} does not exist. {known.title}; geolib does not fetch it, its pictures being others' to give: "
            f"{known.get}. Put {known.file} there, or open {layout}:/path/to/{known.file}"
        )
    return table(path, folder, columns, layout)


def _with_files(photos: pd.DataFrame, root: Path, files: list[str]) -> dict[str, Any]:
    stamps = (f"{name} {_stamp(root / name)}" for name in files)
    version = hashlib.sha256("\n".join(stamps).encode()).hexdigest()
    names = dict(zip(photos.index, files, strict=True))
    return {"photos": photos, "_file": partial(_inside, root, names), "_version": version}


def _inside(root: Path, names: Mapping[str, str], photo: str) -> Path:
    file = root / names[photo]
    if not file.resolve().is_relative_to(root.resolve()):
        raise ImageError(f"photo {photo!r} has a name that leads out of its folder: {names[photo]!r} is not in {root}")
    return file


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return "missing"
    return f"{stat.st_size} {stat.st_mtime_ns}"


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read a csv or parquet into a frame indexed by `id`, with `lat` and `lon` found under their usual names.

    Raises `MissingDataError` for no file, `CorruptFileError` for one that cannot be read, `ValueError` for columns
    that are not there.
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
    wanted = {key: next((lower[a] for a in names if a in lower), None) for key, names in _ALIASES.items()}
    wanted |= dict(columns or {})
    absent = [key for key, name in wanted.items() if name not in frame.columns and (key != "path" or name)]
    if absent:
        raise ValueError(
            f"{path} has no column for {', '.join(absent)}: it has {', '.join(map(str, frame.columns))}; "
            "name them with columns={'id': ..., 'lat': ..., 'lon': ...}, or in the dataset's name as "
            "table:/path/table.csv?id=...&lat=...&lon=..."
        )
    frame = frame.rename(columns={name: key for key, name in wanted.items() if name})
    return frame.astype({"id": str}).set_index("id")


def _read_csv(path: Path, columns: Mapping[str, str] | None) -> pd.DataFrame:
    """A csv with `,`, `;` or tabs. Ids are text, for `0012` is not 12, and so is what stands for nothing elsewhere: the
    country NA is Namibia."""
    with open(path, encoding="utf-8-sig", errors="replace") as stream:
        first = stream.readline()
    separator = max(",;\t", key=first.count)
    named = {(columns or {}).get("id", "id").lower(), *_ALIASES["id"]}
    ids = [name for name in pd.read_csv(path, sep=separator, nrows=0).columns if str(name).lower() in named]
    return pd.read_csv(path, sep=separator, dtype=dict.fromkeys(ids, str), keep_default_na=False, na_values=[""])


def checked(photos: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table with all columns that every dataset has; raises `ValueError` that names the first bad rows."""
    photos = photos.rename_axis("id")
    if photos.empty:
        raise ValueError(f"{where} has no rows")
    bad = photos.index[photos.index.duplicated() | photos.index.isna()]
    _refuse(bad, where, "an id that is missing or there twice", "give every photo an id of its own")
    for column, limit in (("lat", 90), ("lon", 180)):
        values = pd.to_numeric(photos[column], errors="coerce")
        bad = photos.index[~values.between(-limit, limit)]
        _refuse(bad, where, f"{column} that is not a number in [-{limit}, {limit}]", "mend or drop these rows")
        photos = photos.assign(**{column: values.astype("float64")})
    texts = {name: photos[name].astype(object) if name in photos else "" for name in _TEXTS}
    return photos.assign(**texts).fillna(dict.fromkeys(_TEXTS, "")).astype(dict.fromkeys(_TEXTS, str))


def _refuse(bad: pd.Index[Any], where: str, what: str, mend: str) -> None:
    if len(bad):
        rows = ", ".join(repr(row) for row in bad[:3])
        raise ValueError(f"{where} has {len(bad):,} rows with {what}, such as {rows}: {mend}")
