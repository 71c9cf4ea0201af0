"""A dataset from a table: a csv or parquet with id, lat and lon, and a folder of pictures."""

from __future__ import annotations

import codecs
import csv
import hashlib
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet

from geolib.common.errors import CorruptFileError, ImageError, MissingDataError
from geolib.common.files import cache_path, file_stamp
from geolib.datasets.labels import FEWER_FIELDS, degrees, exchanged_rows, names_of, refusals, texts_of
from geolib.datasets.reference import LAYOUTS, apply_layout

AnyPath = str | os.PathLike[str]
PICTURES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".heic", ".heif", ".hif"}
_TEXTS = ("photographer", "licence", "author", "source")
# Names in published tables (Im2GPS3k, YFCC4k, OSV-5M), in lower case; the last one found is used.
_ALIASES = {"id": ("img_id", "id"), "lat": ("latitude", "lat"), "lon": ("longitude", "lng", "lon"), "path": ("path",)}
_PLACE = ("lat", "lon")
_MOST_COLUMNS = 100  # of a wider table only columns with a meaning are read
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_OWNERS = {name.lower() for layout in LAYOUTS.values() for names in layout.texts.values() for name in names}
_KNOWN = {*(name for names in _ALIASES.values() for name in names), *_TEXTS, *_OWNERS, "split", "country"}
_HOW_TO_NAME = (
    "name them with columns={'id': ..., 'lat': ..., 'lon': ...}, or in the dataset's name as "
    "table:/path/table.csv?id=...&lat=...&lon=..."
)


def table(path: AnyPath, folder: AnyPath | None = None, columns: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Open a csv or parquet with a folder of pictures, by default the table's folder.

    A photo's file is its `path` below the folder, or else its id; `.jpg` is added to a name without ending. `columns`
    names the column for `id`, `lat`, `lon`, `path`, `photographer`, ...; usual names are found without it. Of a table
    with more than 100 columns, only columns with a meaning or a name in `columns` are kept. Rows without a usable id,
    place, path or side are refused: a warning names them, and `Dataset.refused` counts them by reason.

    Raises `ValueError` if no row is left, or latitudes and longitudes look exchanged, and as `read_table` does.
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
    photos, refused = _usable(photos, path)
    return with_files(checked(photos, path), Path(folder or path.parent), _files(photos)) | {"refused": refused}


def _files(photos: pd.DataFrame) -> list[str]:
    names = texts_of(photos["path"] if "path" in photos else photos.index.to_series())
    return [name if Path(name).suffix.lower() in PICTURES else f"{name}.jpg" for name in names]


def _usable(photos: pd.DataFrame, path: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows with a usable label, and how many others were refused for which reason; a warning names some of them."""
    if photos.empty:
        raise ValueError(f"{path} has no rows")
    strange = exchanged_rows(degrees(photos["lat"]), degrees(photos["lon"]))
    if len(strange):
        rows = ", ".join(map(repr, photos.index[strange[:3]]))
        raise ValueError(
            f"{path}: latitude and longitude look exchanged. {len(strange):,} places, such as {rows}, are far from any "
            "town, and in or beside one the other way round. Exchange the two columns, or their names: "
            "columns={'lat': ..., 'lon': ...}"
        )
    try:
        reasons = refusals(photos, _files(photos))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    refused = {str(why): int(n) for why, n in reasons[reasons != ""].value_counts().items()}
    words = "; ".join(f"{n:,} {why}, such as {reasons.index[reasons == why][0]!r}" for why, n in refused.items())
    if (reasons != "").all():
        raise ValueError(f"none of the {len(photos):,} rows of {path} can be used: {words}")
    if refused:
        warnings.warn(f"{path}: {sum(refused.values()):,} of {len(photos):,} rows refused: {words}", stacklevel=5)
    kept = photos[(reasons == "").to_numpy()]
    texts = {name: texts_of(kept[name]) for name in ("path", "split") if name in kept}
    return kept.assign(**texts, **{name: degrees(kept[name]) for name in _PLACE}), refused


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
    """Read a csv or parquet into a frame indexed by `id`, with columns `lat` and `lon`. Of a csv, these are text.

    Raises `MissingDataError` for no file, `CorruptFileError` for an unreadable one, `ValueError` for absent columns.
    """
    if not path.is_file():
        raise MissingDataError(f"{path} does not exist; expected a csv or parquet with columns id, lat, lon")
    columns = columns or {}
    try:
        frame = _read_parquet(path, columns) if path.suffix.lower() == ".parquet" else _read_csv(path, columns)
    except CorruptFileError:
        raise
    except UnicodeError as error:
        raise CorruptFileError(f"{path} is not a text in UTF-8 or UTF-16 ({error}): save it as CSV UTF-8") from error
    except Exception as error:  # pyarrow and pandas raise a dozen kinds on hostile bytes
        raise CorruptFileError(f"{path} is not a readable table ({error}); restore or rebuild it") from error
    if frame.index.name is not None:
        frame = frame.reset_index()
    short = frame.pop(FEWER_FIELDS) if FEWER_FIELDS in frame else None
    found = _find_columns(path, list(frame.columns), columns)
    copies = {key: frame[name] for key, name in found.items()}
    others = frame.drop(columns=[name for name in found.values() if name not in found])
    frame = others.assign(**copies)
    if short is not None:
        frame["lat"] = frame["lat"].mask(short, FEWER_FIELDS)  # no number, so nobody takes such a row for a photo
    frame = frame.assign(**{name: names_of(_whole(frame[name], path)) for name in ("id", "path") if name in frame})
    return frame.set_index("id")


def _whole(names: pd.Series[Any], path: Path) -> pd.Series[Any]:
    """Integers for names that a program has made decimal numbers, as pandas does where one is missing."""
    if not pd.api.types.is_float_dtype(names.dtype):
        return names
    numbers = names.to_numpy(np.float32 if "32" in str(names.dtype) else np.float64, na_value=np.nan)
    if (np.abs(numbers) >= 2.0 ** (np.finfo(numbers.dtype).nmant + 1)).any():
        raise ValueError(
            f"{path}: the column {names.name!r} holds decimal numbers too large for their last digits to be known, "
            f"such as {numbers[np.nanargmax(np.abs(numbers))]:.0f}: save it as whole numbers or as text"
        )
    return names.astype("Int64") if (np.isnan(numbers) | (numbers % 1 == 0)).all() else names


def _find_columns(path: Path, names: list[Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """Name of the column for `id`, `lat`, `lon`, `path` and what `columns` names; raises `ValueError` if unclear."""
    lower: dict[str, list[Any]] = {}
    for name in names:
        lower.setdefault(str(name).lower(), []).append(name)
    found: dict[str, Any] = {}
    for key, usual in _ALIASES.items():
        there = [name for alias in usual for name in lower.get(alias, []) if name not in columns.values()]
        if key not in columns and there:
            found[key] = there[-1]
            if len(there if key in _PLACE else lower[str(there[-1]).lower()]) > 1:
                raise ValueError(f"{path} has several columns for {key} ({', '.join(there)}): {_HOW_TO_NAME}")
    found |= columns
    for key in _PLACE:
        if twice := [other for other in found if other != key and found.get(key) == found[other]]:
            raise ValueError(f"{path}: the column {found[key]!r} is named for {key} and for {twice[0]}; {_HOW_TO_NAME}")
    absent = [key for key in {"id", *_PLACE, *found} if found.get(key) not in names]
    if absent:
        has = ", ".join(map(str, names[:20])) + (f" and {len(names) - 20:,} others" if names[20:] else "")
        raise ValueError(f"{path} has no column for {', '.join(sorted(absent))}: it has {has}; {_HOW_TO_NAME}")
    return found


def _wanted(names: list[str], columns: Mapping[str, str]) -> list[int]:
    """Positions of the columns to read: those with a name, or of a wide table those with a meaning."""
    few = len(names) <= _MOST_COLUMNS
    return [i for i, name in enumerate(names) if name and (few or _has_meaning(name, columns))]


def _has_meaning(name: str, columns: Mapping[str, str]) -> bool:
    return name.lower() in _KNOWN or name in columns.values()


def _read_parquet(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    names = pyarrow.parquet.read_schema(path).names
    wanted = _wanted(names, columns)
    return pd.read_parquet(path, columns=None if len(wanted) == len(names) else [names[i] for i in wanted])


def _read_csv(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a csv with `,`, `;` or tabs. Ids stay text (0012 is not 12), and so does "NA" (as a country: Namibia)."""
    encoding = _encoding(path)
    with open(path, encoding=encoding, newline="") as stream:
        first = stream.readline()
        skip = int(first.lower().startswith("sep=") and len(first.rstrip("\r\n")) == 5)  # a line that Excel writes
        separator = first[4] if skip else max(",;\t", key=re.sub(r'"[^"]*"', "", first).count)
        if not skip:
            stream.seek(0)
        lines = csv.reader(stream, delimiter=separator, skipinitialspace=True)
        header = [name.strip() for name in next(lines, [])]
        short = []
        for fields in lines:
            if fields not in ([], [""]):  # blank lines, which pandas skips
                short.append(len(fields) < len(header))
            if len(fields) > len(header):
                raise CorruptFileError(
                    f"line {lines.line_num + skip} of {path} has {len(fields)} fields, its header {len(header)}, so "
                    "values may stand in the wrong column: quote texts that hold the separator, separate the fields by "
                    "semicolons if numbers have decimal commas, or give the further column a name"
                )
    wanted = _wanted(header, columns)
    if twice := [name for name, n in Counter(header[i] for i in wanted).items() if n > 1]:
        raise CorruptFileError(f"{path} has several columns called {twice[0]!r}: rename or remove all but one")
    frame = pd.read_csv(
        path,
        sep=separator,
        encoding=encoding,
        skiprows=skip,
        header=0,
        names=range(len(header)),
        usecols=wanted,
        index_col=False,
        dtype=dict.fromkeys([i for i in wanted if _has_meaning(header[i], columns)], str),
        keep_default_na=False,
        na_values=[""],
        skipinitialspace=True,
        low_memory=False,  # one type per column
    )
    frame = frame.rename(columns=dict(enumerate(header)))
    if not any(short):
        return frame
    if len(short) != len(frame):
        raise CorruptFileError(f"{path} has rows with fewer fields than its header: give every row all fields")
    return frame.assign(**{FEWER_FIELDS: short})


def _encoding(path: Path) -> str:
    """Encoding of a csv by its first bytes. Raises `CorruptFileError` if it is not a text file."""
    with open(path, "rb") as stream:
        head = stream.read(4096)
    if marked := [name for mark, name in _MARKS.items() if head.startswith(mark)]:
        return marked[0]
    if head.startswith(b"PK") or b"\0" in head:
        raise CorruptFileError(f"{path} is not a text file, but perhaps a spreadsheet: save it as CSV UTF-8")
    return "utf-8-sig"


def checked(photos: pd.DataFrame, where: object) -> pd.DataFrame:
    """Add the columns that every dataset has. Raises `ValueError` that names the table `where` and its bad rows."""
    photos = photos.rename_axis("id")
    if photos.empty:
        raise ValueError(f"{where} has no rows")
    bad_ids = photos.index.duplicated() | photos.index.isna() | (photos.index == "")
    _refuse(photos.index[bad_ids], where, "an id that is missing or there twice")
    for column, limit in (("lat", 90), ("lon", 180)):
        values = pd.to_numeric(photos[column], errors="coerce").astype("float64")
        bad = photos.index[~values.between(-limit, limit)]
        _refuse(bad, where, f"{column} that is not a number in [-{limit}, {limit}]")
        photos = photos.assign(**{column: values})
    texts = {name: names_of(photos[name]) if name in photos else "" for name in _TEXTS}
    return photos.assign(**texts).astype(dict.fromkeys(_TEXTS, str))


def _refuse(bad: pd.Index[Any], where: object, what: str) -> None:
    if len(bad):
        rows = ", ".join(map(repr, bad[:3]))
        raise ValueError(f"{where} has {len(bad):,} rows with {what}, such as {rows}: correct or drop these rows")
