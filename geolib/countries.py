"""Which country a place is in, from the Natural Earth layers that ship with the clone.

Codes are ISO 3166-1 alpha-3 (`"FRA"`), with GeoNames' `"XKX"` for Kosovo; territories with a code of their
own have it (`"REU"`, `"SJM"`, `"HKG"`). Borders are Natural Earth's: as held on the ground, which says nothing
about who ought to hold them.
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
from geolib.sphere import EARTH_RADIUS_KM, check_lat_lon, unit_vectors

OFFSHORE_KM = 50.0  # 1:50m coastlines cut off piers, reefs and islets; beyond this it is the open sea
_SHORE_STEP = 0.05  # degrees between two points of a shore, at most 5.6 km
Geometries = npt.NDArray[np.object_]


def layer(category: str, name: str) -> tuple[Geometries, list[dict[str, Any]]]:
    """Shapes (WGS84 degrees, x is longitude) and records of a layer, such as `("physical", "ne_50m_land")`.

    Raises `MissingDataError` when a file of the layer is not in `data/natural_earth` (nothing is ever
    downloaded) and `CorruptFileError` when one cannot be read.
    """
    folder = ("natural_earth", "shapefiles", "natural_earth", category)
    paths = [data_path(*folder, name + suffix) for suffix in (".shp", ".shx", ".dbf")]
    return _read_layer(paths[0])


@lru_cache(maxsize=16)
def _read_layer(path: Path) -> tuple[Geometries, list[dict[str, Any]]]:
    try:
        rows = list(BasicReader(path).records())
        shapes = np.array([row.geometry for row in rows], dtype=object)
    except Exception as error:  # the reader raises whatever a broken header makes it trip over
        raise CorruptFileError(
            f"{path} is not a readable shapefile ({error}); restore it with git or data/natural_earth/build.py"
        ) from error
    return shapes, [row.attributes for row in rows]


@lru_cache(maxsize=1)
def _facts() -> dict[str, dict[str, Any]]:
    return {record["ISO_A3"]: record for record in _countries()[1]}


def _countries() -> tuple[Geometries, list[dict[str, Any]]]:
    return layer("cultural", "ne_50m_admin_0_countries")


@lru_cache(maxsize=1)
def _shores() -> tuple[cKDTree, npt.NDArray[np.int64]]:
    """Points along all boundaries, as unit vectors, and the row of their country."""
    shapes, _ = _countries()
    lines = shapely.segmentize(shapely.boundary(shapes), _SHORE_STEP)
    points, rows = shapely.get_coordinates(lines, return_index=True)
    return cKDTree(unit_vectors(points[:, 1], points[:, 0])), rows


def country_of(lat: npt.ArrayLike, lon: npt.ArrayLike, offshore_km: float = OFFSHORE_KM) -> npt.NDArray[np.str_]:
    """ISO 3166-1 alpha-3 code of the country at each place (n,); `""` over the open sea.

    lat, lon: degrees, (n,) each, or one point. A place in the water belongs to the country whose shore is
    nearest, if that is within `offshore_km` (to about 3 km; measured on the sphere, so across the dateline and
    at the poles too). Raises `ValueError` for coordinates that `sphere.check_lat_lon` refuses.
    """
    lat, lon = check_lat_lon(lat, lon)
    shapes, records = _countries()
    codes: npt.NDArray[np.str_] = np.array([record["ISO_A3"] for record in records] + [""])
    row = np.full(lat.size, -1)

    # Countries ask a tree of points, not points a tree of countries: each large polygon is prepared only once.
    country, point = shapely.STRtree(shapely.points(lon, lat)).query(shapes, predicate="intersects")
    row[point] = country

    (adrift,) = np.nonzero(row < 0)
    if adrift.size:
        shores, owner = _shores()
        reach = 2 * np.sin(np.clip(offshore_km / EARTH_RADIUS_KM, 0, np.pi) / 2)  # the chord of that arc
        _, nearest = shores.query(unit_vectors(lat[adrift], lon[adrift]), distance_upper_bound=reach)
        row[adrift] = np.append(owner, -1)[nearest]  # where nothing is in reach, the tree answers with its size
    found: npt.NDArray[np.str_] = codes[row]
    return found


def country_name(code: str) -> str:
    """English name of a country code (GeoNames); `""` for `""`. Raises `ValueError` for a code that is not one."""
    return _look_up(code, "NAME")


def continent_of(code: str) -> str:
    """Continent of a country code, one of seven (GeoNames); `""` for `""`.

    A country is on one continent only: all of Russia counts as Europe, all of Turkey as Asia.
    Raises `ValueError` for a code that is not one.
    """
    return _look_up(code, "CONTINENT")


def _look_up(code: str, field: str) -> str:
    if code == "":
        return ""
    facts = _facts()
    if code not in facts:
        raise ValueError(f"unknown country code {code!r}: expected ISO 3166-1 alpha-3, such as 'FRA'")
    return str(facts[code][field])
