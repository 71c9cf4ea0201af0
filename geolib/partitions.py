"""Rivals of the quadtree, with its interface: S2 and semantic cells. The third, `GeocellTree.uniform`, is in `cells`.

- *S2*: cells of Google's S2 library that are split while they hold more than a maximum of photos (PlaNet, Weyand et
  al., ECCV 2016, section 3). PlaNet drops those with less than a minimum; here they join a neighbour on the curve.
- *Semantic cells*: provinces, merged until they hold a minimum of photos, split where they hold more than a maximum
  (PIGEON, Haas et al., CVPR 2024, section 3.1), so that borders run where language, law and road signs change.

All keep the promises of `geolib.cells`: every point on Earth is in exactly one cell at every level, the levels nest,
and every cell holds at least `min_photos` training photos (or all, if there are fewer).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from safetensors import safe_open
from scipy.spatial import Voronoi, cKDTree
from sklearn.cluster import KMeans

from geolib.cells import GeocellTree, IntArray, Partition, join_thin
from geolib.countries import continent_of, country_of, layer
from geolib.errors import CorruptFileError, GeolibError
from geolib.files import data_path, read_tensors, write_tensors
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, haversine_km, to_lat_lon, unit_vectors


def load_partition(path: str | os.PathLike[str]) -> Partition:
    """Read the partition that any `save` wrote; its format says which.

    Raises `MissingDataError`, `CorruptFileError`.
    """
    loaders: dict[str, type[Partition]] = {cls._FORMAT: cls for cls in (S2Cells, SemanticCells)}
    return loaders.get(_format(path), GeocellTree).load(path)  # of any other file the quadtree says what is wrong


KINDS = ("quadtree", "uniform", "s2", "semantic")


def fit_partition(
    kind: str, lat: npt.ArrayLike, lon: npt.ArrayLike, cells_per_level: Sequence[int], seed: int = 0
) -> Partition:
    """Draw cells of a kind on training photos, about as many finest ones as asked for.

    kind: one of `KINDS`. cells_per_level: coarse to fine. Quadtree and uniform grid come closest to every level; S2
    takes bounds of photos in proportion, semantic cells have levels of their own. seed: of the semantic cells.

    Raises `ValueError` for an unknown kind, and as each kind does.
    """
    if kind not in KINDS:
        raise ValueError(f"partition={kind!r}: expected one of {', '.join(KINDS)}")
    if kind in ("quadtree", "uniform"):
        draw = GeocellTree.fit if kind == "quadtree" else GeocellTree.uniform
        return draw(lat, lon, cells_per_level)
    photos_a_cell = len(np.atleast_1d(lat)) / cells_per_level[-1]
    if kind == "semantic":
        least = max(int(photos_a_cell / 1.5), 2)
        return SemanticCells.fit(lat, lon, least, 2 * least, seed)
    most = [max(round(2.2 * photos_a_cell * cells_per_level[-1] / cells), 10) for cells in cells_per_level]
    decreasing = [number for level, number in enumerate(most) if number < min([*most[:level], np.inf])]
    return S2Cells.fit(lat, lon, decreasing)


def floor_km(partition: Partition, lat: npt.ArrayLike, lon: npt.ArrayLike, level: int = -1) -> FloatArray:
    """Error in km, (n,), of photos (degrees, (n,)) that are put in their right cells and answered with the centres.

    The floor of the perfect classifier: no head on these cells can come below it without refinement inside them.
    """
    lat, lon = check_lat_lon(lat, lon)
    center_lat, center_lon = partition.centers(level)
    own = partition.assign(lat, lon)[:, level]
    return haversine_km(center_lat[own], center_lon[own], lat, lon)


class _Nested(ABC):
    """Cells that are told by the chain of their ancestors: what S2 and semantic cells share.

    ancestors: for each finest cell its cell at every level. counts: its training photos. sums: of their unit vectors,
    (n, 3).
    """

    _FORMAT: ClassVar[str]

    def __init__(self, ancestors: IntArray, counts: IntArray, sums: FloatArray, min_photos: int) -> None:
        self.ancestors, self._counts, self._sums, self.min_photos = ancestors, counts, sums, min_photos
        self.n_levels = ancestors.shape[1]
        self.n_cells: tuple[int, ...] = tuple((ancestors.max(axis=0) + 1).tolist())
        self.parents = [np.full(self.n_cells[0], -1, np.int64)]
        for level in range(1, self.n_levels):
            first = np.unique(ancestors[:, level], return_index=True)[1]
            self.parents.append(ancestors[first, level - 1])

    @abstractmethod
    def _finest(self, lat: FloatArray, lon: FloatArray) -> IntArray:
        """The finest cell of each point (n,)."""

    @cached_property
    @abstractmethod
    def _shapes(self) -> list[Any]:
        """The polygons of the finest cells."""

    @cached_property
    @abstractmethod
    def _areas(self) -> FloatArray:
        """The areas of the finest cells in km2."""

    @abstractmethod
    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What a file holds beside ancestors, counts, sums and min_photos."""

    def assign(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> IntArray:
        """Cell of each point (degrees, (n,)) at every level, int64 (n, n_levels), coarse to fine. Every point has one.

        Raises `ValueError` for bad coordinates.
        """
        return self.ancestors[self._finest(*check_lat_lon(lat, lon))]

    def counts(self, level: int) -> IntArray:
        """Number of training photos in each cell, int64 (n_cells[level],)."""
        return np.bincount(self._own(level), weights=self._counts).astype(np.int64)

    def centers(self, level: int, kind: Literal["photos", "middle"] = "photos") -> tuple[FloatArray, FloatArray]:
        """Centre of each cell, (lat, lon) in degrees, each (n_cells[level],).

        photos: the spherical mean of the training photos. middle: the middle of the largest part of the polygon, or a
        point inside where the middle lies outside; it also stands in for a mean that does not exist, as of antipodes.
        """
        if kind not in ("photos", "middle"):
            raise ValueError(f"kind={kind!r}: expected 'photos' or 'middle'")
        own = self._own(level)
        sums = np.column_stack([np.bincount(own, weights=axis) for axis in self._sums.T])
        lost = np.linalg.norm(sums, axis=1) <= 1e-6 * self.counts(level)
        if kind == "middle" or lost.any():
            middle = np.array([_middle(shape) for shape in self.polygons(level)])
            if kind == "middle":
                return middle[:, 1], middle[:, 0]
            sums[lost] = unit_vectors(middle[lost, 1], middle[lost, 0])
        return to_lat_lon(sums)

    def bounds(self, level: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Bounding boxes of the polygons (south, west, north, east) in degrees, each (n_cells[level],)."""
        west, south, east, north = shapely.bounds(np.array(self.polygons(level), dtype=object)).T
        return south, west, north, east

    def polygons(self, level: int) -> list[Any]:
        """Each cell as a shapely geometry in degrees (x = lon, y = lat), cut at the dateline."""
        own, shapes = self._own(level), np.array(self._shapes, dtype=object)
        order = np.argsort(own, kind="stable")
        groups = np.split(shapes[order], np.flatnonzero(np.diff(own[order])) + 1)
        return [shapely.union_all(group) if len(group) > 1 else group[0] for group in groups]

    def areas_km2(self, level: int) -> FloatArray:
        """Area of each cell in km2, float64 (n_cells[level],)."""
        return np.bincount(self._own(level), weights=self._areas).astype(np.float64)

    def border_km(self, lat: npt.ArrayLike, lon: npt.ArrayLike, level: int = -1) -> FloatArray:
        """Distance in km from each point (degrees, (n,)) to the nearest edge of its cell's polygon at a level, (n,).

        Edges are sampled every 0.02 degrees, so it is never too small, and too large by at most 1.2 km. The cut at the
        dateline is an edge only where two cells meet; a coast is one where polygons end at it.
        """
        lat, lon = check_lat_lon(lat, lon)
        own, shapes = self.assign(lat, lon)[:, level], self.polygons(level)
        points, out = unit_vectors(lat, lon), np.full(len(lat), np.pi * EARTH_RADIUS_KM)
        for cell in np.unique(own):
            rows = np.flatnonzero(own == cell)
            edge = self._edge(shapes[cell], level)
            if len(edge):
                chord, _ = cKDTree(edge).query(points[rows])
                out[rows] = 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1))
        return out

    def _edge(self, shape: Any, level: int) -> FloatArray:
        """Points along the edges of a polygon, unit vectors (m, 3)."""
        x, y = shapely.get_coordinates(shapely.segmentize(shapely.boundary(shape), 0.02)).T
        x, y = x[np.abs(y) < 90], y[np.abs(y) < 90]
        cut = np.flatnonzero(np.abs(x) == 180)
        if len(cut):
            inside = 180 - 1e-6
            west, east = (self.assign(y[cut], np.full(len(cut), side))[:, level] for side in (inside, -inside))
            kept = np.ones(len(x), bool)
            kept[cut[west == east]] = False
            x, y = x[kept], y[kept]
        return unit_vectors(y, x)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the cells as one safetensors file, whole or not at all."""
        arrays = {"ancestors": self.ancestors, "counts": self._counts, "sums": self._sums}
        arrays |= {"min_photos": np.array([self.min_photos])} | self._arrays()
        write_tensors(path, arrays, metadata={"format": self._FORMAT})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote. Raises `MissingDataError`, or `CorruptFileError` that says what does not fit."""
        arrays, found = read_tensors(path), _format(path)
        fault = f"its format is {found!r}" if found != cls._FORMAT else _fault(arrays) or cls._own_fault(arrays)
        if fault:
            raise CorruptFileError(
                f"{path} is not a file of {cls.__name__}: {fault}; restore it, or fit and save the cells again"
            )
        parts: dict[str, Any] = {**arrays, "min_photos": int(arrays["min_photos"][0])}
        return cls(**parts)

    @classmethod
    @abstractmethod
    def _own_fault(cls, arrays: dict[str, npt.NDArray[Any]]) -> str | None:
        """What is wrong with the arrays of `_arrays`, or None."""

    def __repr__(self) -> str:
        levels = " > ".join(f"{n:,}" for n in self.n_cells)
        photos = f"{self._counts.sum():,} photos, at least {self.min_photos} a cell"
        return f"{type(self).__name__}({levels} cells on {photos})"

    def _own(self, level: int) -> IntArray:
        if not -self.n_levels <= level < self.n_levels:
            raise ValueError(f"level={level}: expected 0 (coarsest) to {self.n_levels - 1} (finest), or -1 (finest)")
        return self.ancestors[:, level]


def _middle(shape: Any) -> tuple[float, float]:
    """A point (lon, lat) in the middle of the largest part of a shape."""
    part = max(shapely.get_parts(shape), key=shapely.area)
    point = part.centroid if part.contains(part.centroid) else part.representative_point()
    return point.x, point.y


def _format(path: str | os.PathLike[str]) -> str:
    read_tensors(path)  # says what is wrong with a file that is not there or not whole
    with safe_open(path, framework="np") as file:
        return str((file.metadata() or {}).get("format", ""))


def _fault(arrays: dict[str, npt.NDArray[Any]]) -> str | None:
    """What is wrong with what every file of nested cells holds, or None."""
    ancestors, counts, sums = (arrays.get(name, np.zeros(0)) for name in ("ancestors", "counts", "sums"))
    n = len(counts)
    if not n or counts.shape != (n,) or ancestors.ndim != 2 or len(ancestors) != n or not ancestors.shape[1]:
        return f"ancestors {ancestors.shape} and counts {counts.shape} do not fit together"
    if ancestors.dtype != np.int64 or counts.dtype != np.int64 or sums.dtype != np.float64 or sums.shape != (n, 3):
        return f"ancestors {ancestors.dtype}, counts {counts.dtype}, sums {sums.dtype} {sums.shape}: of another kind"
    if not np.array_equal(ancestors[:, -1], np.arange(n)):
        return "the finest cells are not numbered in order"
    steps = np.diff(ancestors, axis=0)
    if ancestors[0].any() or steps.min(initial=0) < 0 or steps.max(initial=1) > 1 or np.any(np.diff(steps, axis=1) < 0):
        return "the levels do not nest"
    least = arrays.get("min_photos", np.zeros(0))
    if least.shape != (1,) or least.dtype != np.int64 or least[0] < 1:
        return f"min_photos is {least}"
    if counts.min() < (least[0] if n > 1 else 1):
        return f"a cell holds {counts.min()} photos with min_photos={least[0]}"
    if not np.all(np.linalg.norm(sums, axis=1) <= counts * (1 + 1e-9)):
        return "`sums` are not sums of so many unit vectors"
    return None


def _check_limits(max_photos: int, min_photos: int) -> None:
    if min_photos < 1 or min_photos != int(min_photos) or max_photos < 2 * min_photos or max_photos != int(max_photos):
        raise ValueError(
            f"max_photos={max_photos}, min_photos={min_photos}: expected whole numbers, at least 1 photo, and a "
            "maximum of at least twice the minimum, so that a full cell can be split"
        )


# S2

_FACE = 1 << 60  # the keys of a face of the cube: half the ids of its leaves, which are odd numbers


def _s2() -> ModuleType:
    try:
        import s2geometry
    except ImportError as error:
        raise GeolibError(f"S2 cells need the package s2geometry ({error}): pip install s2geometry") from error
    found: ModuleType = s2geometry
    return found


class S2Cells(_Nested):
    """Cells of S2 (s2geometry.io), fine where photographs are dense. Made by `fit` or `load`.

    A cell is a range of the Hilbert curve that runs through all S2 leaves: mostly one S2 cell, sometimes a few that
    joined. The cells of a level are numbered in the order of the curve.
    """

    _FORMAT = "geolib-s2/1"

    def __init__(
        self, starts: IntArray, ancestors: IntArray, counts: IntArray, sums: FloatArray, min_photos: int
    ) -> None:
        """For `fit` and `load`. starts: the first leaf of each finest cell, as half its S2 id."""
        super().__init__(ancestors, counts, sums, min_photos)
        self._starts = starts

    @classmethod
    def fit(
        cls, lat: npt.ArrayLike, lon: npt.ArrayLike, max_photos: Sequence[int] = (2000, 500, 50), min_photos: int = 5
    ) -> S2Cells:
        """Draw the cells on training photos at `lat`, `lon` (degrees, (n,)), in any order.

        max_photos: of each level, coarse to fine: a cell with more is split in four. Cells that had to be joined, and
        leaves of 1 cm2, may hold more. min_photos: of every cell; a thinner one joins a neighbour on the curve, its
        sibling first.

        Raises `ValueError` for bad coordinates, maxima that do not decrease or are below twice the minimum.
        """
        lat, lon = check_lat_lon(lat, lon)
        limits = np.asarray(max_photos)
        if limits.ndim != 1 or not limits.size or np.any(np.diff(limits) >= 0):
            raise ValueError(f"max_photos={max_photos}: expected numbers that decrease, one a level, coarse to fine")
        _check_limits(limits[-1], min_photos)
        unsorted = _leaves(lat, lon)
        order = np.argsort(unsorted, kind="stable")
        keys = unsorted[order]
        cuts, weights = join_thin(keys, *_s2_cuts(keys, int(limits[-1])), min_photos)
        begins = np.vstack([np.ones(len(limits), bool), weights[:, None] > limits])
        starts = np.append(0, cuts)
        first = np.searchsorted(keys, starts)
        sums = np.add.reduceat(unit_vectors(lat, lon)[order], first, axis=0)
        ancestors = np.cumsum(begins, axis=0, dtype=np.int64) - 1
        return cls(starts, ancestors, np.diff(first, append=len(keys)), sums, int(min_photos))

    def tokens(self) -> list[list[str]]:
        """The S2 cells of each finest cell by their tokens, as S2's tools write them."""
        made: list[list[str]] = [[] for _ in self._starts]
        for cell, piece in zip(*self._pieces, strict=True):
            made[cell].append(piece.ToToken())
        return made

    def _finest(self, lat: FloatArray, lon: FloatArray) -> IntArray:
        return np.searchsorted(self._starts, _leaves(lat, lon), side="right").astype(np.int64) - 1

    @cached_property
    def _pieces(self) -> tuple[IntArray, list[Any]]:
        """The fewest S2 cells below the faces that fill each finest cell: whose they are (n,), and their ids."""
        keys, side = _s2_tile(np.append(self._starts, 6 * _FACE))
        library = _s2()
        owner = np.searchsorted(self._starts, keys, side="right").astype(np.int64) - 1
        return owner, [library.S2CellId(2 * key + size) for key, size in zip(keys.tolist(), side.tolist(), strict=True)]

    @cached_property
    def _shapes(self) -> list[Any]:
        owner, ids = self._pieces
        pieces = np.array([_s2_polygon(piece) for piece in ids], dtype=object)
        groups = np.split(pieces, np.flatnonzero(np.diff(owner)) + 1)
        return [shapely.union_all(group) if len(group) > 1 else group[0] for group in groups]

    @cached_property
    def _areas(self) -> FloatArray:
        owner, ids = self._pieces
        library = _s2()
        steradians = [library.S2Cell(piece).ExactArea() for piece in ids]
        return np.bincount(owner, weights=steradians).astype(np.float64) * EARTH_RADIUS_KM**2

    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"starts": self._starts}

    @classmethod
    def _own_fault(cls, arrays: dict[str, npt.NDArray[Any]]) -> str | None:
        starts = arrays.get("starts", np.zeros(0))
        if set(arrays) != {"starts", "ancestors", "counts", "sums", "min_photos"} or starts.dtype != np.int64:
            return f"it holds {sorted(arrays)}, starts as {starts.dtype}"
        if starts.shape != arrays["counts"].shape or starts[0] != 0 or np.any(np.diff(starts) <= 0):
            return "`starts` are not keys that increase from 0"
        return "`starts` end beyond the last face" if starts[-1] >= 6 * _FACE else None


def _leaves(lat: FloatArray, lon: FloatArray) -> IntArray:
    """The S2 leaf of each point, as half its id: in [0, 6 * 4**30), int64 (n,)."""
    library = _s2()
    cell, place = library.S2CellId, library.S2LatLng.FromDegrees
    west = np.where(lon == 180, -180.0, lon)  # S2 puts the two names of the meridian into two leaves
    west = np.where(np.abs(lat) == 90, 0.0, west)  # and every name of a pole
    ids = [cell(place(y, x)).id() for y, x in zip(lat.tolist(), west.tolist(), strict=True)]
    return (np.array(ids, np.uint64) >> np.uint64(1)).astype(np.int64)


def _s2_cuts(keys: IntArray, most: int) -> tuple[IntArray, IntArray]:
    """All cuts of S2 cells that hold more than `most` of the sorted keys: (keys, weights), in order.

    A cut weighs as many photos as the cell that it divides. Those between the six faces weigh most.
    """
    nodes, size = _FACE * np.arange(6), _FACE
    cuts, weights = [nodes[1:]], [np.full(5, np.iinfo(np.int64).max)]
    while size > 1:
        held = np.searchsorted(keys, nodes + size) - np.searchsorted(keys, nodes)
        nodes, held = nodes[held > most], held[held > most]
        size //= 4
        children = nodes[:, None] + size * np.arange(4)
        cuts.append(children[:, 1:].ravel())
        weights.append(np.repeat(held, 3))
        nodes = children.ravel()
    order = np.argsort(np.concatenate(cuts))
    return np.concatenate(cuts)[order], np.concatenate(weights)[order]


def _s2_tile(edges: IntArray) -> tuple[IntArray, IntArray]:
    """The fewest S2 cells below the faces that fill the ranges between `edges`: (first keys, sizes), in order."""
    sizes = np.int64(4) ** np.arange(30)
    key, end = edges[:-1], edges[1:]
    keys, chosen = [], []
    while len(key):
        fits = (key[:, None] % sizes == 0) & (sizes <= (end - key)[:, None])
        size = sizes[len(sizes) - 1 - np.argmax(fits[:, ::-1], axis=1)]
        keys.append(key)
        chosen.append(size)
        key = key + size
        key, end = key[key < end], end[key < end]
    order = np.argsort(np.concatenate(keys))
    return np.concatenate(keys)[order], np.concatenate(chosen)[order]


def _s2_polygon(piece: Any) -> Any:
    """The polygon of an S2 cell of level 1 or more, which may touch the dateline or a pole, but holds neither inside.

    Edges are great circles; points on them stand where finer S2 cells have their corners, so that neighbours of any
    size have points in common.
    """
    library = _s2()
    cell = library.S2Cell(piece)
    raw = (library.S2Point_ToRaw(cell.GetVertex(corner)) for corner in range(4))
    axis = piece.face() % 3
    sign = 1.0 if piece.face() < 3 else -1.0
    cube = np.array([np.delete(np.array(xyz), axis) / abs(xyz[axis]) for xyz in raw])
    corners = np.round(_to_square(cube) * 2.0**30) / 2.0**30
    steps = np.arange(max(1, 2 ** (7 - piece.level()))) * min(1.0, 2.0 ** (piece.level() - 7))
    edges = np.roll(corners, -1, axis=0) - corners
    ring = (corners[:, None] + steps[:, None] * edges[:, None]).reshape(-1, 2)
    lat, lon = to_lat_lon(np.insert(_to_cube(ring), axis, sign, axis=1))
    middle = cell.GetCenter()
    x, y, _ = library.S2Point_ToRaw(middle)
    around = np.degrees(np.arctan2(y, x))
    lon = np.clip(around + (lon - around + 180) % 360 - 180, -180, 180)
    pole = np.flatnonzero(np.abs(lat) > 90 - 1e-9)
    if len(pole):  # a corner on the sphere, an edge in degrees
        at, n = int(pole[0]), len(lat)
        lon = np.concatenate([lon[:at], lon[[at - 1, (at + 1) % n]], lon[at + 1 :]])
        lat = np.concatenate([lat[:at], np.full(2, np.sign(lat[at]) * 90.0), lat[at + 1 :]])
    return shapely.Polygon(np.column_stack([lon, lat]))


def _to_square(u: FloatArray) -> FloatArray:
    """S2's quadratic projection, from coordinates on a face of the cube (-1..1) to those of equal cells (0..1)."""
    root = np.sqrt(1 + 3 * np.abs(u))
    s: FloatArray = np.where(u >= 0, root / 2, 1 - root / 2)
    return s


def _to_cube(s: FloatArray) -> FloatArray:
    """The inverse of `_to_square`."""
    u: FloatArray = np.where(s >= 0.5, 4 * s**2 - 1, 1 - 4 * (1 - s) ** 2) / 3
    return u


# Semantic cells

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
