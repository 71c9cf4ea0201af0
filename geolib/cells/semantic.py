"""Semantic cells, the partition of PIGEON (Haas et al., CVPR 2024, section 3.1): a rival of the quadtree.

Provinces with few photos are merged, regions with many are split, so that borders run where language, law and road
signs change. No borders of provinces ship with the clone: a place is in the province of the nearest town.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from scipy.spatial import Voronoi, cKDTree
from sklearn.cluster import KMeans

from geolib.cells.nested import NESTED, Arrays, IntArray, Partition, check_limits, middle_of, rows_by
from geolib.common.files import data_path
from geolib.countries import continent_of, countries, country_of
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, to_lat_lon, unit_vectors

Shapes = npt.NDArray[np.object_]
LEVELS = ("continents", "countries", "regions", "cells")  # of SemanticCells, coarse to fine
_FAR = 100.0  # on a map where the Earth's radius is 1: sites out there close the outer Voronoi cells


class SemanticCells(Partition):
    """Provinces, merged and split until each holds its share of photos, in four levels (`LEVELS`). By `fit` or `load`.

    A point belongs to its country (`geolib.countries`; at sea: the nearest one), there to the province of the nearest
    town (`data/places`), and in a region that was split to the cell with the nearest centre. *Nearest* is measured on a
    stereographic map of the country, on which the edges between cells are straight lines: assignment and polygons
    follow the same rule. Polygons show the land of a cell; a cell without land, of photos from boats, is drawn as a
    square of a tenth of a degree about its centre.
    """

    FORMAT = "geolib-semantic/1"
    ARRAYS = NESTED | {"ancestors": ("int64", "n", len(LEVELS)), "countries": ("uint8", "countries", 3)}
    ARRAYS |= {"places": ("float64", "places", 2), "cell_places": ("float64", "n", 2)}
    ARRAYS |= dict.fromkeys(("place_country", "place_region"), ("int64", "places"))

    def __init__(self, arrays: Arrays) -> None:
        """For `fit` and `load`.

        countries: their codes as ASCII, (n, 3). places: latitude and longitude of the towns, (m, 2); place_country,
        place_region: the row in `countries` and the cell at level 2 of each. cell_places: the centre of each finest
        cell, (k, 2), which tells it from the others of its region.
        """
        super().__init__(arrays)
        self._places, self._cell_places = arrays["places"], arrays["cell_places"]
        self._place_country, self._place_region = arrays["place_country"], arrays["place_region"]
        if arrays["countries"].tobytes().decode("ascii", "replace") != "".join(sorted(countries())):
            raise ValueError(f"its {len(arrays['countries'])} countries are not those of Natural Earth, sorted")
        for label, n in ((self._place_country, len(countries())), (self._place_region, self.n_cells[2])):
            if not np.array_equal(np.unique(label), np.arange(n)):
                raise ValueError("a country or region has no place, or a place no country or region")
        if not all(np.all(np.abs(degrees) <= [90, 180]) for degrees in (self._places, self._cell_places)):
            raise ValueError("`places` or `cell_places` are not degrees")
        self._first_cell = np.append(self._first(2), self.n_cells[3])  # of each region, and the end

    @classmethod
    def fit(
        cls, lat: npt.ArrayLike, lon: npt.ArrayLike, min_photos: int = 30, max_photos: int = 60, seed: int = 0
    ) -> SemanticCells:
        """Draw the cells on training photos at `lat`, `lon` (degrees, (n,)).

        A province, country or continent with fewer than `min_photos` photos is merged with the nearest one, inside its
        country first, inside its continent then. A region with more than `max_photos` is split by k-means (`seed`)
        where that leaves `min_photos` in every part. The defaults are PIGEON's, which splits by OPTICS; k-means leaves
        no photo out, and is fast with many photos. Raises `ValueError` for bad coordinates, and for a maximum below
        twice the minimum.

        >>> lat, lon = np.random.default_rng(0).normal([[48], [5]], 3, (2, 500))  # around Nancy
        >>> SemanticCells.fit(lat, lon).n_cells[0]  # all in Europe
        1
        """
        lat, lon = check_lat_lon(lat, lon)
        check_limits(max_photos, min_photos)
        photos, home = np.column_stack([lat, lon]), _country_rows(lat, lon)
        codes, places, place_country, place_unit = _towns()
        unit = place_unit[_nearest(photos, home, places, place_country)]
        held = np.bincount(unit, minlength=place_unit.max() + 1)
        chain = _merge_provinces(codes, places, place_country, place_unit, held, min_photos)
        parts = [
            _split(photos[rows], home[rows], int(min_photos), int(max_photos), seed) for rows in rows_by(chain[unit, 2])
        ]
        region_of_cell = np.repeat(np.arange(len(parts)), [len(centers) for centers in parts])
        n = len(region_of_cell)
        arrays: Arrays = {
            "countries": np.array([list(code.encode()) for code in codes], np.uint8),
            "places": places,
            "place_country": place_country,
            "place_region": chain[place_unit, 2],
            "cell_places": np.concatenate(parts),
            "ancestors": np.column_stack([np.unique(chain, axis=0)[region_of_cell], np.arange(n)]),
            "min_photos": np.array([int(min_photos)]),
        }
        unknown = {"counts": np.full(n, int(min_photos)), "sums": np.zeros((n, 3))}  # until the photos are assigned
        own = cls(arrays | unknown)._finest(lat, lon)
        sums = _sum_by(unit_vectors(lat, lon), own, n)
        return cls(arrays | {"counts": np.bincount(own, minlength=n), "sums": sums})

    def _finest(self, lat: FloatArray, lon: FloatArray) -> IntArray:
        points, home = np.column_stack([lat, lon]), _country_rows(lat, lon)
        region = self._place_region[_nearest(points, home, self._places, self._place_country)]
        cell = self._first_cell[region]
        for rows in rows_by(region):
            own = slice(cell[rows[0]], self._first_cell[region[rows[0]] + 1])
            cell[rows] += _nearest(points[rows], home[rows], self._cell_places[own])
        return cell

    @cached_property
    def _shapes(self) -> list[Any]:
        parts: list[list[Any]] = [[] for _ in range(self.n_cells[-1])]
        for row, code in enumerate(sorted(countries())):
            mine, shape = self._place_country == row, countries()[code][0]
            regions = np.unique(self._place_region[mine])
            first, last = self._first_cell[regions], self._first_cell[regions + 1]
            if len(regions) == 1 and last[0] - first[0] == 1:
                parts[first[0]].append(shape)
                continue
            axes = _map_axes(code)
            areas, lands = _voronoi(_project(self._places[mine], axes)), _land_on_map(shape, axes)
            for region, begin, end in zip(regions, first, last, strict=True):
                area = shapely.union_all(areas[self._place_region[mine] == region])
                pieces = _voronoi(_project(self._cell_places[begin:end], axes)) if end - begin > 1 else [area]
                for cell, piece in enumerate(pieces, begin):
                    parts[cell] += _clip_to_land(shapely.intersection(piece, area), *lands, axes)
        edge = np.array([180, 90, 180, 90])
        squares = np.clip(self._cell_places[:, [1, 0, 1, 0]] + [-0.05, -0.05, 0.05, 0.05], -edge, edge)
        return [shapely.union_all(land or [shapely.box(*square)]) for land, square in zip(parts, squares, strict=True)]

    @cached_property
    def _areas(self) -> FloatArray:
        return land_km2(self._shapes)


def _towns() -> tuple[list[str], FloatArray, IntArray, IntArray]:
    """Codes of all countries (n,); of all towns latitude and longitude (m, 2), country and province, as int64 (m,).

    A country without towns, such as Antarctica, is a province with one, at a point inside.
    """
    iso3 = {record["ISO_A2"]: code for code, (_, record) in countries().items()}
    table = pd.read_parquet(data_path("places", "places.parquet"))
    table = table.assign(country=table["country"].astype(str).map(iso3), admin1=table["admin1"].astype(str))
    empty = sorted(set(iso3.values()) - set(table["country"]))
    lat, lon = middle_of([countries()[code][0] for code in empty])
    table = pd.concat([table, pd.DataFrame({"country": empty, "admin1": "", "lat": lat, "lon": lon})])
    country, codes = pd.factorize(table["country"], sort=True)
    unit = table.groupby(["country", "admin1"]).ngroup().to_numpy()
    places: FloatArray = table[["lat", "lon"]].to_numpy(np.float64)
    return codes.to_list(), places, country.astype(np.int64), unit.astype(np.int64)


def _country_rows(lat: FloatArray, lon: FloatArray) -> IntArray:
    """The row of each point's country among all codes, sorted; at sea of the nearest country, however far."""
    return np.searchsorted(sorted(countries()), country_of(lat, lon, offshore_km=np.inf))


def _merge_provinces(
    codes: list[str], places: FloatArray, country: IntArray, unit: IntArray, held: IntArray, min_photos: int
) -> IntArray:
    """For each province its continent, group of countries and region, int64 (n_units, 3), numbered as they nest."""
    n = len(held)
    middle = _sum_by(unit_vectors(*places.T), unit, n)
    nation = np.zeros(n, np.int64)
    nation[unit] = country
    continents = np.unique([continent_of(code) for code in codes], return_inverse=True)[1]
    continent = _merge(continents[nation], held, middle, np.zeros(n, np.int64), min_photos)
    group = _merge(nation, held, middle, continent, min_photos)
    province = _merge(np.arange(n), held, middle, nation, min_photos)
    region = _merge(province, held, middle, group, min_photos)
    chain = np.column_stack([continent, group, region])
    for level in range(3):
        chain[:, level] = np.unique(chain[:, : level + 1], axis=0, return_inverse=True)[1].ravel()
    return chain


def _merge(label: IntArray, held: IntArray, middle: FloatArray, within: IntArray, min_photos: int) -> IntArray:
    """Merge labels with too few photos with the nearest label inside the same `within`: new labels (n,).

    The emptiest goes first. Distances are between mean places: `middle` (n, 3) are sums of unit vectors of towns.
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


def _split(photos: FloatArray, home: IntArray, min_photos: int, max_photos: int, seed: int) -> FloatArray:
    """Centres (lat, lon), (k, 2), of the parts of a region's photos (n, 2): split by k-means while they are too full.

    A centre whose part is too thin is dropped: its photos go to the next nearest. Ends when a round gains no part.
    """
    points = unit_vectors(*photos.T)
    best = _directions(points.sum(axis=0)[None])
    while True:
        own = _nearest(photos, home, best)
        made = []
        for number, center in enumerate(best):
            inside = points[own == number]
            distinct = len(np.unique(inside, axis=0)) if len(inside) > max_photos else 1
            parts = min(len(inside) // max_photos + 1, 8, distinct)
            means = KMeans(parts, n_init=1, random_state=seed).fit(inside).cluster_centers_ if parts > 1 else None
            made.append(center[None] if means is None else _directions(means))
        centers = np.concatenate(made)
        while len(centers) > 1:
            counts = np.bincount(_nearest(photos, home, centers), minlength=len(centers))
            if counts.min() >= min_photos:
                break
            centers = np.delete(centers, counts.argmin(), axis=0)
        if len(centers) <= len(best):
            return best
        best = centers


def _directions(sums: FloatArray) -> FloatArray:
    """Directions of sums of unit vectors as rows of latitude and longitude; of a sum that cancels out, the pole."""
    sums = np.where(np.linalg.norm(sums, axis=1, keepdims=True) > 1e-9, sums, [0.0, 0.0, 1.0])
    return np.column_stack(to_lat_lon(sums))


@lru_cache(maxsize=512)
def _map_axes(code: str) -> FloatArray:
    """East, north and up at the middle of a country's borders, (3, 3): the axes of its stereographic map."""
    x, y = shapely.get_coordinates(shapely.segmentize(shapely.boundary(countries()[code][0]), 0.5)).T
    lat, lon = (np.radians(degrees[0]) for degrees in to_lat_lon(unit_vectors(y, x).mean(axis=0)[None]))
    east = [-np.sin(lon), np.cos(lon), 0]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    return np.array([east, north, np.cross(east, north)])


def _project(places: FloatArray, axes: FloatArray) -> FloatArray:
    """Places (lat, lon), (n, 2), on a stereographic map, (n, 2), in radii of the Earth at its middle."""
    east, north, up = axes @ unit_vectors(*places.T).T
    return np.asarray(np.column_stack([east, north]) * (2 / np.maximum(1 + up, 1e-9))[:, None])


def _to_degrees(xy: FloatArray, axes: FloatArray, dateline: float) -> FloatArray:
    """The inverse of `_project`, as (lon, lat). Points on the dateline get the longitude `dateline`, 180 or -180."""
    square = (xy**2).sum(axis=1, keepdims=True) / 4
    lat, lon = to_lat_lon(np.hstack([xy, 1 - square]) / (1 + square) @ axes)
    # The dateline is a row of short chords on the map, so points on it come back up to 1e-4 degrees beyond it.
    at_dateline = (np.abs(lon) > 180 - 1e-7) | (np.abs(lon - dateline) > 360 - 1e-3)
    return np.column_stack([np.where(at_dateline, dateline, lon), lat])


def _nearest(places: FloatArray, home: IntArray, sites: FloatArray, owner: IntArray | None = None) -> IntArray:
    """Index of the site (m, 2) nearest to each place (n, 2) on the map of the place's country, row `home` (n,).

    owner: the country of each site, (m,): only those of the place's own country count. Default: all do.
    """
    codes, found = sorted(countries()), np.empty(len(places), np.int64)
    for rows in rows_by(home):
        country = home[rows[0]]
        mine = np.arange(len(sites)) if owner is None else np.flatnonzero(owner == country)
        axes = _map_axes(codes[country])
        found[rows] = mine[cKDTree(_project(sites[mine], axes)).query(_project(places[rows], axes))[1]]
    return found


def _voronoi(sites: FloatArray) -> Shapes:
    """The Voronoi cells of sites (n, 2), as polygons (n,); the outer ones end far away."""
    around = _FAR * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    made = Voronoi(np.vstack([sites, around]))
    rings = (made.vertices[made.regions[made.point_region[site]]] for site in range(len(sites)))
    return np.array([shapely.Polygon(ring).convex_hull for ring in rings], dtype=object)


def _land_on_map(shape: Any, axes: FloatArray) -> tuple[Shapes, FloatArray]:
    """The parts of a country on its map, (n,), and for each 180 or -180, its longitude of the dateline."""
    parts: list[Any] = []
    for part in shapely.get_parts(shape):
        if part.bounds[0] == -180 and part.bounds[2] == 180:  # around the pole: each half has its own dateline
            parts += [shapely.intersection(part, shapely.box(west, -90, west + 180, 90)) for west in (-180, 0)]
        else:
            parts.append(part)
    dense = shapely.segmentize(np.array(parts, dtype=object), 0.1)
    lands = shapely.make_valid(shapely.transform(dense, lambda xy: _project(xy[:, ::-1], axes)))
    return lands, np.copysign(180, shapely.get_x(shapely.centroid(parts)))


def _clip_to_land(area: Any, lands: Shapes, datelines: FloatArray, axes: FloatArray) -> list[Any]:
    """The land in an area on a country's map, as polygons in degrees."""
    shared = shapely.segmentize(shapely.intersection(area, lands), 0.005)  # 0.005 radii: 32 km
    return [
        shapely.make_valid(shapely.transform(part, partial(_to_degrees, axes=axes, dateline=datelines[land])))
        for part, land in zip(*shapely.get_parts(shared, return_index=True), strict=True)
        if part.area  # without points, lines and empty polygons
    ]


def land_km2(shapes: Sequence[Any]) -> FloatArray:
    """Areas in km2, (n,), of shapes whose edges are straight lines in degrees, on an equal-area map.

    >>> land_km2([shapely.box(-180, 0, 180, 90)]).round(-5)  # half of the Earth
    array([2.55e+08])
    """
    dense = shapely.segmentize(np.array(shapes, dtype=object), 0.1)
    flat = shapely.transform(dense, lambda xy: np.column_stack([np.radians(xy[:, 0]), np.sin(np.radians(xy[:, 1]))]))
    return np.asarray(shapely.area(flat) * EARTH_RADIUS_KM**2)
