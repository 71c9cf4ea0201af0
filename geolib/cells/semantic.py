"""Rivals of the quadtree, with its interface: S2 and semantic cells. The third, `GeocellTree.uniform`, is in `cells`.

- *S2*: cells of Google's S2 library that are split while they hold more than a maximum of photos (PlaNet, Weyand et
  al., ECCV 2016, section 3). PlaNet drops those with less than a minimum; here they join a neighbour on the curve.
- *Semantic cells*: provinces, merged until they hold a minimum of photos, split where they hold more than a maximum
  (PIGEON, Haas et al., CVPR 2024, section 3.1), so that borders run where language, law and road signs change.

All keep the promises of `geolib.cells`: every point on Earth is in exactly one cell at every level, the levels nest,
and every cell holds at least `min_photos` training photos (or all, if there are fewer).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import Voronoi, cKDTree
from sklearn.cluster import KMeans

from geolib.cells.nested import _check_limits, _middle, _Nested
from geolib.cells.quadtree import IntArray
from geolib.common.files import data_path
from geolib.countries import continent_of, country_of, layer
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, to_lat_lon, unit_vectors

LEVELS = ("continents", "countries", "regions", "cells")  # of SemanticCells, coarse to fine
_FAR = 100.0  # in a plane where the Earth's radius is 1: sites out there close the outer Voronoi cells


class SemanticCells(_Nested):
    """Provinces, merged and split until each holds its share of photos, in four levels (`LEVELS`). By `fit` or `load`.

    A point belongs to its country (`geolib.countries`; at sea: the nearest), there to the province of the nearest town
    (`data/places`, for no borders of provinces ship), and in a region that was split to the cell with the nearest
    centre. *Nearest* is measured on a map of the country, a stereographic one about its middle, on which the edges
    between cells are straight lines: assignment and polygons follow the same rule.
    """

    _FORMAT = "geolib-semantic/1"

    def __init__(
        self,
        countries: npt.NDArray[np.uint8],
        places: FloatArray,
        place_country: IntArray,
        place_region: IntArray,
        cell_places: FloatArray,
        ancestors: IntArray,
        counts: IntArray,
        sums: FloatArray,
        min_photos: int,
    ) -> None:
        """For `fit` and `load`.

        countries: ISO A3 codes as ASCII, (n, 3). places: latitude and longitude of the towns, (m, 2); place_country,
        place_region: the row of `countries` and the cell at level 2 of each. cell_places: the centre of each finest
        cell, (k, 2), which tells it from the others of its region.
        """
        super().__init__(ancestors, counts, sums, min_photos)
        self._countries, self._places, self._cell_places = countries, places, cell_places
        self._place_country, self._place_region = place_country, place_region
        self._first_cell = np.searchsorted(ancestors[:, 2], np.arange(self.n_cells[2] + 1))
        self._row = {code: row for row, code in enumerate(_codes(countries))}

    @classmethod
    def fit(
        cls, lat: npt.ArrayLike, lon: npt.ArrayLike, min_photos: int = 30, max_photos: int = 60, seed: int = 0
    ) -> SemanticCells:
        """Draw the cells on training photos at `lat`, `lon` (degrees, (n,)), in any order.

        min_photos: a continent, country or province with fewer is merged with the nearest, inside the country first,
        inside the continent then. max_photos: a region with more is split by k-means (`seed`) where that leaves
        `min_photos` in every part. The defaults are PIGEON's, which splits by OPTICS; k-means puts every photo into a
        part and leaves no noise to be dealt out, and its time does not grow with the square of the photos.

        Raises `ValueError` for bad coordinates or limits.
        """
        lat, lon = check_lat_lon(lat, lon)
        _check_limits(max_photos, min_photos)
        codes, places, place_country, place_unit = _atlas()
        home = _country_rows(lat, lon, {code: row for row, code in enumerate(codes)})
        unit = place_unit[_nearest(unit_vectors(lat, lon), home, unit_vectors(*places.T), place_country)]
        held = np.bincount(unit, minlength=place_unit.max() + 1)
        chain = _merged_units(codes, unit_vectors(*places.T), place_country, place_unit, held, min_photos)
        region = chain[unit, 2]
        centers, regions = [], []
        points = unit_vectors(lat, lon)
        order = np.argsort(region, kind="stable")
        for number, rows in enumerate(np.split(order, np.flatnonzero(np.diff(region[order])) + 1)):
            centers.append(_split(points[rows], home[rows], int(min_photos), int(max_photos), seed))
            regions.append(np.full(len(centers[-1]), number))
        of_region = np.unique(chain, axis=0)  # a row a region, in order
        ancestors = np.column_stack([of_region[np.concatenate(regions)], np.arange(sum(map(len, regions)))])
        none = np.zeros(len(ancestors), np.int64), np.zeros((len(ancestors), 3))
        letters = np.array([list(code.encode()) for code in codes], np.uint8)
        made = cls(
            letters,
            places,
            place_country,
            chain[place_unit, 2],
            np.concatenate(centers),
            ancestors,
            *none,
            int(min_photos),
        )
        own = made._finest(lat, lon)
        made._counts = np.bincount(own, minlength=len(ancestors))
        made._sums = np.column_stack([np.bincount(own, weights=axis, minlength=len(ancestors)) for axis in points.T])
        return made

    def areas_km2(self, level: int) -> FloatArray:
        """Area of the polygon of each cell in km2, float64 (n_cells[level],); they sum to the land of the Earth."""
        return super().areas_km2(level)

    def polygons(self, level: int) -> list[Any]:
        """The land of each cell in degrees (x = lon, y = lat), cut at the dateline; its sea is not drawn.

        A cell without land, of photos from boats, is drawn as a square of a tenth of a degree about its centre.
        """
        return super().polygons(level)

    def _finest(self, lat: FloatArray, lon: FloatArray) -> IntArray:
        points, home = unit_vectors(lat, lon), _country_rows(lat, lon, self._row)
        towns = unit_vectors(*self._places.T)
        region = self._place_region[_nearest(points, home, towns, self._place_country)]
        cell = self._first_cell[region]
        split = np.flatnonzero(self._first_cell[region + 1] - cell > 1)
        if len(split):
            centers = unit_vectors(*self._cell_places.T)
            order = split[np.argsort(region[split], kind="stable")]
            for rows in np.split(order, np.flatnonzero(np.diff(region[order])) + 1):
                own = slice(self._first_cell[region[rows[0]]], self._first_cell[region[rows[0]] + 1])
                cell[rows] += _nearest(points[rows], home[rows], centers[own])
        return cell

    @cached_property
    def _shapes(self) -> list[Any]:
        parts: list[list[Any]] = [[] for _ in range(self.n_cells[-1])]
        towns, centers = unit_vectors(*self._places.T), unit_vectors(*self._cell_places.T)
        shapes = _shapes_by_code()
        for row, code in enumerate(_codes(self._countries)):
            mine = self._place_country == row
            regions = np.unique(self._place_region[mine])
            first, last = self._first_cell[regions], self._first_cell[regions + 1]
            if len(regions) == 1 and last[0] - first[0] == 1:
                parts[first[0]].append(shapes[code])
                continue
            plane = _plane(code)
            areas = _voronoi(_project(towns[mine], plane))
            lands = _to_plane(shapes[code], plane)
            for region, begin, end in zip(regions, first, last, strict=True):
                area = shapely.union_all(areas[self._place_region[mine] == region])
                pieces = _voronoi(_project(centers[begin:end], plane)) if end - begin > 1 else [area]
                for cell, piece in enumerate(pieces, begin):
                    parts[cell] += _clip_to_land(shapely.intersection(piece, area), lands, plane)
        squares = map(_square, *self._cell_places.T.tolist())
        return [shapely.union_all(some) if some else square for some, square in zip(parts, squares, strict=True)]

    @cached_property
    def _areas(self) -> FloatArray:
        return _land_km2(self._shapes)

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        names = ("countries", "places", "place_country", "place_region", "cell_places")
        return {name: getattr(self, f"_{name}") for name in names}

    @classmethod
    def _own_fault(cls, arrays: dict[str, npt.NDArray[Any]]) -> str | None:
        k, levels = arrays["ancestors"].shape
        n, m = (len(arrays.get(name, ())) for name in ("countries", "places"))
        found = {name: (array.dtype.name, *array.shape) for name, array in sorted(arrays.items())}
        expected: dict[str, Any] = {
            "countries": ("uint8", n, 3),
            "places": ("float64", m, 2),
            "cell_places": ("float64", k, 2),
        }
        expected |= {"place_country": ("int64", m), "place_region": ("int64", m)}
        expected |= {name: found[name] for name in ("ancestors", "counts", "sums", "min_photos")}
        if found != expected or levels != len(LEVELS):
            return f"it holds {found}, expected {expected} and {len(LEVELS)} levels"
        if _codes(arrays["countries"]) != sorted(_shapes_by_code()):
            return f"its {n} countries are not those of Natural Earth, sorted"
        if not np.array_equal(np.unique(arrays["place_country"]), np.arange(n)):
            return "a country has no place, or a place no country"
        if not np.array_equal(np.unique(arrays["place_region"]), np.unique(arrays["ancestors"][:, 2])):
            return "a region has no place, or a place no region"
        for name in ("places", "cell_places"):
            if not np.all(np.abs(arrays[name]) <= [90, 180]):
                return f"`{name}` are not degrees"
        return None


def _codes(letters: npt.NDArray[np.uint8]) -> list[str]:
    return [bytes(row).decode("ascii", "replace") for row in letters]


@lru_cache(maxsize=1)
def _shapes_by_code() -> dict[str, Any]:
    shapes, records = layer("cultural", "ne_50m_admin_0_countries")
    return {record["ISO_A3"]: shape for record, shape in zip(records, shapes, strict=True)}


def _atlas() -> tuple[list[str], FloatArray, IntArray, IntArray]:
    """Codes of all countries (n,); of all towns latitude and longitude (m, 2), country and province, as int64 (m,).

    A country without towns, such as Antarctica, is a province with one, at a point inside.
    """
    _, records = layer("cultural", "ne_50m_admin_0_countries")
    iso3 = {record["ISO_A2"]: record["ISO_A3"] for record in records}
    table = pd.read_parquet(data_path("places", "places.parquet"))
    table = table.assign(country=table["country"].astype(str).map(iso3), admin1=table["admin1"].astype(str))
    empty = sorted(set(iso3.values()) - set(table["country"]))
    inside = [_middle(_shapes_by_code()[code]) for code in empty]
    lon, lat = np.array(inside).T
    table = pd.concat([table, pd.DataFrame({"country": empty, "admin1": "", "lat": lat, "lon": lon})])
    country, codes = pd.factorize(table["country"], sort=True)
    unit = table.groupby(["country", "admin1"]).ngroup().to_numpy(np.int64)
    places: FloatArray = table[["lat", "lon"]].to_numpy(np.float64)
    return codes.to_list(), places, country.astype(np.int64), unit.astype(np.int64)


def _country_rows(lat: FloatArray, lon: FloatArray, rows: dict[str, int]) -> IntArray:
    """The row of each point's country; at sea of the nearest one, however far."""
    codes, own = np.unique(country_of(lat, lon, offshore_km=np.inf), return_inverse=True)
    return np.array([rows[code] for code in codes.tolist()], np.int64)[own]


@lru_cache(maxsize=512)
def _plane(code: str) -> FloatArray:
    """East, north and up at the middle of a country's borders, (3, 3): the frame of its stereographic map."""
    x, y = shapely.get_coordinates(shapely.segmentize(shapely.boundary(_shapes_by_code()[code]), 0.5)).T
    lat, lon = (np.radians(degrees[0]) for degrees in to_lat_lon(unit_vectors(y, x).mean(axis=0)[None]))
    east = [-np.sin(lon), np.cos(lon), 0]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    return np.array([east, north, np.cross(east, north)])


def _project(points: FloatArray, plane: FloatArray) -> FloatArray:
    """Unit vectors (n, 3) on the stereographic map of a frame, (n, 2), in radii of the Earth at its middle."""
    east, north, up = plane @ points.T
    xy: FloatArray = np.column_stack([east, north]) * (2 / np.maximum(1 + up, 1e-9))[:, None]
    return xy


def _unproject(xy: FloatArray, plane: FloatArray) -> FloatArray:
    """The inverse of `_project`: unit vectors (n, 3)."""
    square = (xy**2).sum(axis=1, keepdims=True) / 4
    points: FloatArray = np.hstack([xy, 1 - square]) / (1 + square) @ plane
    return points


def _nearest(points: FloatArray, home: IntArray, sites: FloatArray, owner: IntArray | None = None) -> IntArray:
    """Index of the site (m, 3) nearest to each point (n, 3) on the map of the point's country, row `home` (n,).

    owner: the country of each site, (m,): only those of the point's own country count. Default: all do.
    """
    codes = sorted(_shapes_by_code())
    found = np.empty(len(points), np.int64)
    order = np.argsort(home, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(home[order])) + 1):
        country = home[rows[0]]
        mine = np.arange(len(sites)) if owner is None else np.flatnonzero(owner == country)
        plane = _plane(codes[country])
        found[rows] = mine[cKDTree(_project(sites[mine], plane)).query(_project(points[rows], plane))[1]]
    return found


def _merged_units(
    codes: list[str], towns: FloatArray, country: IntArray, unit: IntArray, held: IntArray, min_photos: int
) -> IntArray:
    """For each province its continent, group of countries and region, int64 (n_units, 3), numbered as they nest."""
    n = len(held)
    middle = _sum_by(towns, unit, n)
    nation = np.zeros(n, np.int64)
    nation[unit] = country
    continents = np.unique([continent_of(code) for code in codes], return_inverse=True)[1]
    whole = np.zeros(n, np.int64)
    continent = _merge(continents[nation], held, middle, whole, min_photos)
    group = _merge(nation, held, middle, continent, min_photos)
    inside = _merge(np.arange(n), held, middle, nation, min_photos)
    region = _merge(inside, held, middle, group, min_photos)
    chain = np.column_stack([continent, group, region])
    for level in range(3):
        chain[:, level] = np.unique(chain[:, : level + 1], axis=0, return_inverse=True)[1].ravel()
    return chain


def _merge(label: IntArray, held: IntArray, middle: FloatArray, within: IntArray, min_photos: int) -> IntArray:
    """Join what has one label and too few photos to the nearest label, inside the same `within`: new labels (n,).

    The emptiest goes first. Near are those whose towns are, by their mean: `middle` (n, 3) sums their unit vectors.
    """
    names, first, label = np.unique(label, return_index=True, return_inverse=True)
    counts, sums = np.bincount(label, weights=held), _sum_by(middle, label, len(names))
    target = np.arange(len(names))
    for outer in np.unique(within):
        alive = np.flatnonzero(within[first] == outer)
        while len(alive) > 1:
            thin = alive[np.argmin(counts[alive])]
            if counts[thin] >= min_photos:
                break
            alive = alive[alive != thin]
            direction = sums[alive] / np.linalg.norm(sums[alive], axis=1, keepdims=True)
            near = alive[np.argmax(direction @ sums[thin])]
            counts[near] += counts[thin]
            sums[near] += sums[thin]
            target[target == thin] = near
    return target[label]


def _sum_by(vectors: FloatArray, label: IntArray, n: int) -> FloatArray:
    return np.column_stack([np.bincount(label, weights=axis, minlength=n) for axis in vectors.T])


def _split(points: FloatArray, home: IntArray, min_photos: int, max_photos: int, seed: int) -> FloatArray:
    """Centres (lat, lon), (k, 2), of the parts of a region's photos (n, 3): split by k-means while they are too full.

    A centre whose part is too thin is dropped: its photos go to the next nearest. Ends when a round gains no part.
    """

    def deal(centers: FloatArray) -> IntArray:
        return _nearest(points, home, unit_vectors(*centers.T))

    best = _centers(points.sum(axis=0)[None])
    while True:
        own = deal(best)
        counts = np.bincount(own, minlength=len(best))
        made = []
        for number, center in enumerate(best):
            inside = points[own == number]
            if counts[number] > max_photos and len(np.unique(inside, axis=0)) > 1:
                parts = min(counts[number] // max_photos + 1, 8, len(np.unique(inside, axis=0)))
                made.append(_centers(KMeans(int(parts), n_init=1, random_state=seed).fit(inside).cluster_centers_))
            else:
                made.append(center[None])
        centers = np.concatenate(made)
        while len(centers) > 1:
            counts = np.bincount(deal(centers), minlength=len(centers))
            if counts.min() >= min_photos:
                break
            centers = np.delete(centers, counts.argmin(), axis=0)
        if len(centers) <= len(best):
            return best
        best = centers


def _centers(sums: FloatArray) -> FloatArray:
    """Directions of sums of unit vectors as rows of latitude and longitude; of a sum that cancels out, the pole."""
    sums = np.where(np.linalg.norm(sums, axis=1, keepdims=True) > 1e-9, sums, [0.0, 0.0, 1.0])
    return np.column_stack(to_lat_lon(sums))


def _voronoi(sites: FloatArray) -> npt.NDArray[np.object_]:
    """The Voronoi cells of sites (n, 2), as polygons (n,); the outer ones end far away."""
    around = _FAR * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    made = Voronoi(np.vstack([sites, around]))
    rings = (made.vertices[made.regions[made.point_region[site]]] for site in range(len(sites)))
    return np.array([shapely.Polygon(ring).convex_hull for ring in rings], dtype=object)


def _to_plane(shape: Any, plane: FloatArray) -> list[tuple[Any, bool]]:
    """The parts of a country on its map, and whether each lies east of Greenwich (to tell 180 from -180 afterwards)."""
    out = []
    for part in shapely.get_parts(shape):
        dense = shapely.segmentize(part, 0.1)
        flat = shapely.transform(dense, lambda xy: _project(unit_vectors(xy[:, 1], xy[:, 0]), plane))
        out.append((shapely.make_valid(flat), part.centroid.x > 0))
    return out


def _clip_to_land(area: Any, lands: list[tuple[Any, bool]], plane: FloatArray) -> list[Any]:
    """What of an area on a country's map is land, in degrees: a list of polygons."""
    out = []
    for land, east in lands:
        if not shapely.intersects(area, land):
            continue
        shared = shapely.segmentize(shapely.intersection(area, land), 0.005)  # 0.005 radii: 32 km
        out += [_to_degrees(part, plane, east) for part in shapely.get_parts(shared) if part.geom_type == "Polygon"]
    return out


def _to_degrees(part: Any, plane: FloatArray, east: bool) -> Any:
    def back(xy: FloatArray) -> FloatArray:
        lat, lon = to_lat_lon(_unproject(xy, plane))
        seam = np.abs(lon) > 180 - 1e-7
        lon[seam] = 180.0 if east else -180.0
        return np.column_stack([lon, lat])

    return shapely.make_valid(shapely.transform(part, back))


def _square(lat: float, lon: float) -> Any:
    half = 0.05
    return shapely.box(max(lon - half, -180), max(lat - half, -90), min(lon + half, 180), min(lat + half, 90))


def _land_km2(shapes: Sequence[Any]) -> FloatArray:
    """Areas of shapes in degrees, whose edges are straight lines in degrees, in km2 (n,): on an equal-area map."""
    dense = shapely.segmentize(np.array(shapes, dtype=object), 0.1)
    flat = shapely.transform(dense, lambda xy: np.column_stack([np.radians(xy[:, 0]), np.sin(np.radians(xy[:, 1]))]))
    areas: FloatArray = shapely.area(flat) * EARTH_RADIUS_KM**2
    return areas
