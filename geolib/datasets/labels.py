"""The labels of a table: which rows have a usable place, and whether latitudes and longitudes are exchanged.

A wrong label is worse than a refused row: what is missing or ambiguous is refused, with its reason.
"""

from __future__ import annotations

import posixpath
import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree

from geolib.common.files import data_path
from geolib.sphere import FloatArray, chord_km, unit_vectors

_DEGREES = r"[+-]?[0-9]+(?:[.,][0-9]*)?(?:[eE][+-]?[0-9]+)?"  # 48.2, 48,2 or 4.82e1
_PLACE = ("lat", "lon")
FEWER_FIELDS = "fewer fields than the header"  # in place of the latitude, of a row whose values may be shifted
_NO_NAME = ("nan", "None", "NULL", "<NA>", "\\N")  # how programs write a missing text; "NA" is Namibia
_SIDES = r"(?:train|calibration|development|test)(?:_\w+)?|left_out"
# Of the gallery's photos (20 % held out), 94 % are remote once exchanged, and of these 76 % were taken near people. Of
# honest remote photos none is near people once exchanged, of random points off Somalia, which become Europe, 6 %.
_REMOTE_KM, _NEAR_KM = 25.0, 2.0
_FEWEST_PLACES, _LEAST_SHARE = 3, 1 / 3
_MOST_PLACES = 50_000  # are looked up


def refusals(photos: pd.DataFrame, files: Sequence[str]) -> pd.Series[str]:
    """Why each row of a table is refused, "" for a good one. Index `id`; columns `lat`, `lon`, perhaps `path`, `split`.

    `files` are the names of the rows' pictures: one picture with two places has no place.

    Raises `ValueError` for a side in `split` that geolib does not know.

    >>> rows = pd.DataFrame({"lat": ["48,2", "", "1"], "lon": ["16,4", "3", "True"]}, index=["a", "b", "c"])
    >>> refusals(rows, ["a.jpg", "b.jpg", "c.jpg"]).tolist()
    ['', 'without coordinates', 'with a longitude that is not a number of degrees in [-180, 180]']
    """
    texts = {name: texts_of(photos[name]).to_numpy() for name in _PLACE}
    texts |= {name: names_of(photos[name]).to_numpy() for name in ("path", "split") if name in photos}
    lat, lon, ids = degrees(photos["lat"]), degrees(photos["lon"]), names_of(photos.index.to_series()).to_numpy()
    faults = {
        "without an id": ids == "",
        f"with {FEWER_FIELDS}": texts["lat"] == FEWER_FIELDS,
        "without coordinates": (texts["lat"] == "") | (texts["lon"] == ""),
        "with a latitude that is not a number of degrees in [-90, 90]": ~(np.abs(lat) <= 90),
        "with a longitude that is not a number of degrees in [-180, 180]": ~(np.abs(lon) <= 180),
        "with coordinates of exactly 0, 0, as a missing place is often written": (lat == 0) & (lon == 0),
    }
    named = {"path": "without a path", "split": "without a side in the column split"}
    faults |= {why: texts[name] == "" for name, why in named.items() if name in texts}
    reasons = np.select(list(faults.values()), list(faults), "").astype(object)
    rows = pd.DataFrame({"id": ids, "lat": lat, "lon": lon, "path": texts.get("path", "")})
    rows["file"] = [posixpath.normpath(file) for file in files]
    pictures, rows = rows["file"], rows[reasons == ""]
    again = rows.duplicated(["id", "lat", "lon", "path"])
    reasons[rows.index[again]] = "that are in the table a second time"
    rows = rows[~again]
    reasons[rows.index[rows["id"].duplicated(keep=False)]] = "with the id of another row"
    rows = rows[reasons[rows.index] == ""].drop_duplicates(["file", "lat", "lon"])
    torn = pictures.isin(rows["file"][rows["file"].duplicated()]).to_numpy()
    reasons[(reasons == "") & torn] = "with the picture of another row that names another place"
    for side in sorted(set(texts.get("split", ())) - {""}):
        if not re.fullmatch(_SIDES, side):
            raise ValueError(
                f"the column split holds {side!r}: expected train, calibration, development, test, test_... or "
                "left_out; rename the sides, or the column if it means something else"
            )
    return pd.Series(reasons, photos.index)


def texts_of(column: pd.Series[Any]) -> pd.Series[str]:
    """Each value as text without blanks around it; "" for a missing one."""
    return column.astype(object).where(column.notna(), "").astype(str).str.strip()


def names_of(column: pd.Series[Any]) -> pd.Series[str]:
    """Each value as text; "" for a missing one, also where a program has written `nan`, `None`, `NULL` or the like.

    >>> names_of(pd.Series([" Ada ", "NULL", None])).tolist()
    ['Ada', '', '']
    """
    texts = texts_of(column)
    return texts.where(~texts.isin(_NO_NAME), "")


def degrees(column: pd.Series[Any]) -> FloatArray:
    """Numbers of a column, float64 (n,); NaN for what is not a number, such as True or a date. 48,2 is 48.2."""
    if pd.api.types.is_float_dtype(column.dtype):
        return column.to_numpy(np.float64, na_value=np.nan)
    texts = texts_of(column).str.replace("\N{MINUS SIGN}", "-")
    numbers = texts.where(texts.str.fullmatch(_DEGREES), "nan").str.replace(",", ".")
    return numbers.to_numpy(dtype=object).astype(np.float64)


def exchanged_rows(lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Rows that show that latitudes and longitudes (n,) are exchanged; none if the evidence is not enough.

    Such a row lies beyond a pole or more than 25 km from any town and any photo of the gallery, and the other way round
    within 2 km of one. Evidence are three such places, if they are a third of all remote places: photos from ships,
    islands and deserts are remote, too, but not near people when exchanged. For one or two places there is a warning.

    >>> exchanged_rows([2.35, 4.9, 139.7], [48.86, 52.37, 35.7]).tolist()  # Paris, Amsterdam, Tokyo
    [0, 1, 2]
    """
    lat, lon = np.asarray(lat, np.float64), np.asarray(lon, np.float64)
    (rows,) = np.nonzero((np.abs(lat) <= 180) & (np.abs(lon) <= 180))
    _, first = np.unique(np.round(20 * np.stack([lat[rows], lon[rows]])), axis=1, return_index=True)  # of 0.05 degrees
    rows = np.sort(rows[first])[:: -(-len(first) // _MOST_PLACES) or 1]
    lat, lon = lat[rows], lon[rows]
    remote = np.flatnonzero((np.abs(lat) > 90) | (_km_to_people(np.clip(lat, -90, 90), lon) > _REMOTE_KM))
    hits = remote[np.abs(lon[remote]) <= 90]
    hits = hits[_km_to_people(lon[hits], lat[hits]) <= _NEAR_KM]
    if 0 < len(hits) == len(rows) < _FEWEST_PLACES:
        warnings.warn(
            "latitude and longitude may be exchanged: all places are far from any town, and in one the other way "
            "round. If so, exchange the two columns, or their names",
            stacklevel=2,
        )
    enough = len(hits) >= max(_FEWEST_PLACES, _LEAST_SHARE * len(remote), len(rows) / 100)
    return rows[hits] if enough else rows[:0]


def _km_to_people(lat: FloatArray, lon: FloatArray) -> FloatArray:
    """Distance to the nearest town or photo of the gallery."""
    return chord_km(_people().query(unit_vectors(lat, lon))[0])


@lru_cache(maxsize=1)
def _people() -> cKDTree:
    """Towns and places of photographs, as unit vectors."""
    files = (data_path("places", "places.parquet"), data_path("gallery", "gallery.parquet"))
    places = pd.concat([pd.read_parquet(file, columns=["lat", "lon"]) for file in files])
    return cKDTree(unit_vectors(places["lat"].to_numpy(np.float64), places["lon"].to_numpy(np.float64)))
