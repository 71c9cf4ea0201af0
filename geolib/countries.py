"""Which country a place is in: borders of Natural Earth, codes and names of GeoNames, both in the clone.

Codes are ISO 3166-1 alpha-3 (`"FRA"`), with GeoNames' `"XKX"` for Kosovo. Territories with a code of their own have it
(`"REU"`, `"SJM"`, `"HKG"`). Borders are Natural Earth's: as held on the ground, which says nothing about who ought to
hold them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from cartopy.io.shapereader import BasicReader
from scipy.spatial import cKDTree

from geolib.common.errors import CorruptFileError
from geolib.common.files import data_path
from geolib.sphere import check_lat_lon, chord, unit_vectors

OFFSHORE_KM = 50.0  # 1:50m coastlines cut off piers, reefs and islets; farther out is the open sea
_SHORE_STEP = 0.05  # degrees between two sampled points of a shore, at most 5.6 km
Geometries = npt.NDArray[np.object_]


def layer(category: str, name: str) -> tuple[Geometries, list[dict[str, Any]]]:
    """Shapes (WGS84 degrees, x is longitude) and records of a Natural Earth layer.

    Raises `MissingDataError` when a file of the layer is not in `data/natural_earth` (nothing is ever downloaded) and
    `CorruptFileError` when a file cannot be read.
    """
    folder = ("natural_earth", "shapefiles", "natural_earth", category)
    paths = [data_path(*folder, name + suffix) for suffix in (".shp", ".shx", ".dbf")]
    return _read_layer(paths[0])


@lru_cache(maxsize=16)
def _read_layer(path: Path) -> tuple[Geometries, list[dict[str, Any]]]:
    try:
        rows = list(BasicReader(path).records())
        shapes = np.array([row.geometry for row in rows], dtype=object)
    except Exception as error:  # a broken header makes the reader fail in many ways
        raise CorruptFileError(
            f"{path} is not a readable shapefile ({error}); restore it with git or data/natural_earth/build.py"
        ) from error
    return shapes, [row.attributes for row in rows]


@lru_cache(maxsize=1)
def countries() -> dict[str, tuple[Any, dict[str, Any]]]:
    """Shape and record of each country of the 1:50m layer, by code, in the layer's order."""
    shapes, records = layer("cultural", "ne_50m_admin_0_countries")
    return {record["ISO_A3"]: (shape, record) for shape, record in zip(shapes, records, strict=True)}


@lru_cache(maxsize=1)
def _shores() -> tuple[cKDTree, npt.NDArray[np.int64]]:
    """Points along all boundaries, as unit vectors, and the row of their country."""
    shapes, _ = layer("cultural", "ne_50m_admin_0_countries")
    lines = shapely.segmentize(shapely.boundary(shapes), _SHORE_STEP)
    points, rows = shapely.get_coordinates(lines, return_index=True)
    return cKDTree(unit_vectors(points[:, 1], points[:, 0])), rows


def country_of(lat: npt.ArrayLike, lon: npt.ArrayLike, offshore_km: float = OFFSHORE_KM) -> npt.NDArray[np.str_]:
    """ISO 3166-1 alpha-3 code of the country at each place in degrees, str (n,); `""` over the open sea.

    A place in the water belongs to the country with the nearest shore, if that is within `offshore_km` (to about 3 km).
    Raises `ValueError` for coordinates that `sphere.check_lat_lon` refuses.

    >>> country_of([48.86, -16.5, 30.0], [2.35, 180.0, -40.0])
    array(['FRA', 'FJI', ''], dtype='<U3')
    """
    lat, lon = check_lat_lon(lat, lon)
    shapes, records = layer("cultural", "ne_50m_admin_0_countries")
    codes = np.array([record["ISO_A3"] for record in records] + [""])
    row = np.full(lat.size, -1)  # of no country: the last code

    # The points are indexed and the countries are the queries: each large polygon is prepared only once.
    country, point = shapely.STRtree(shapely.points(lon, lat)).query(shapes, predicate="intersects")
    row[point] = country

    (at_sea,) = np.nonzero(row < 0)
    if at_sea.size:
        shores, owner = _shores()
        reach = chord(max(offshore_km, 0))
        _, nearest = shores.query(unit_vectors(lat[at_sea], lon[at_sea]), distance_upper_bound=reach)
        row[at_sea] = np.append(owner, -1)[nearest]  # where no shore is in reach, the index is len(owner)
    return np.asarray(codes[row])


def country_name(code: str) -> str:
    """English name of a country code (GeoNames); `""` for `""`. Raises `ValueError` for an unknown code."""
    return _fact(code, "NAME")


def continent_of(code: str) -> str:
    """Continent of a country code, one of seven (GeoNames); `""` for `""`. Raises `ValueError` for an unknown code.

    A country is on one continent only: all of Russia counts as Europe, all of Turkey as Asia.
    """
    return _fact(code, "CONTINENT")


def _fact(code: str, field: str) -> str:
    if code == "":
        return ""
    if code not in (known := countries()):
        raise ValueError(f"unknown country code {code!r}: expected ISO 3166-1 alpha-3, such as 'FRA'")
    return str(known[code][1][field])
