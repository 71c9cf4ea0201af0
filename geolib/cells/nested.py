"""What can be asked of nested geocells, whatever their kind: photos, centres, shapes, ancestors, files."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import shapely
from safetensors import safe_open
from scipy.spatial import cKDTree

from geolib.common.errors import CorruptFileError
from geolib.common.files import read_tensors, write_tensors
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, chord_km, to_lat_lon, unit_vectors

IntArray = npt.NDArray[np.int64]
Arrays = dict[str, npt.NDArray[Any]]
ArrayTypes = dict[str, tuple[str | int, ...]]  # of the arrays in a file: type and shape
NESTED: ArrayTypes = {"ancestors": ("int64", "n", "levels"), "counts": ("int64", "n"), "sums": ("float64", "n", 3)}
NESTED |= {"min_photos": ("int64", 1)}


class Partition(ABC):
    """Nested levels of geocells that cover the Earth. Made by `fit` or `load` of its kinds, never changed afterwards.

    Every point on Earth is in exactly one cell at every level, poles and both sides of the dateline included. Level 0
    is the coarsest, level -1 the finest. Cells of a level are numbered from 0; those with the same parent are in a row.

    Attributes
    ----------
    n_levels, n_cells : int, tuple of int
        Number of levels, number of cells per level, coarse to fine.
    parents : list of int64 arrays
        `parents[level]`, (n_cells[level],), is the cell one level up; all -1 at level 0.
    ancestors : int64 (n_cells[-1], n_levels)
        For each finest cell its cell at every level; the last column is the cell itself.
    min_photos : int
        Every cell holds at least so many training photos (or all, if there are fewer).

    Examples
    --------
    >>> from geolib.cells import GeocellTree
    >>> paris_nice_sydney = [48.9, 48.8, 43.7, 43.6, -33.9, -33.8], [2.4, 2.3, 7.2, 7.3, 151.2, 151.1]
    >>> tree = GeocellTree.fit(*paris_nice_sydney, cells_per_level=(2, 3), min_photos=2)
    >>> tree.counts(0), tree.parents[1]  # cell 0 is Sydney, on both levels
    (array([2, 4]), array([0, 1, 1]))
    >>> [degrees.round().tolist() for degrees in tree.centers(1)]
    [[-34.0, 44.0, 49.0], [151.0, 7.0, 2.0]]
    """

    FORMAT: ClassVar[str]  # names the kind in the header of its files
    ARRAYS: ClassVar[ArrayTypes]  # what these files hold

    def __init__(self, arrays: Arrays, ancestors: IntArray | None = None) -> None:
        """For `fit` and `load`, from the arrays of a file, which may lack the ancestors of the finest cells.

        counts, sums: per finest cell the number of training photos and the sum of their unit vectors, (n, 3). Raises
        `ValueError` unless the levels nest, every cell holds enough photos, and sums can be of unit vectors.
        """
        ancestors = arrays["ancestors"] if ancestors is None else ancestors
        counts, sums, min_photos = arrays["counts"], arrays["sums"], int(arrays["min_photos"][0])
        steps = np.diff(ancestors, axis=0, prepend=-1)
        if np.any((steps != 0) & (steps != 1)) or np.any(np.diff(steps, axis=1) < 0):
            raise ValueError("the levels do not nest")
        if np.any(steps[0] != 1) or np.any(steps[:, -1] != 1):
            raise ValueError("the finest cells are not numbered in order")
        if min_photos < 1 or counts.min() < (min_photos if len(counts) > 1 else 1):
            raise ValueError(f"a cell holds {counts.min()} photos with min_photos={min_photos}")
        if not np.all(np.linalg.norm(sums, axis=1) <= counts * (1 + 1e-9)):
            raise ValueError("`sums` are not sums of so many unit vectors")
        self._arrays, self._counts, self._sums = arrays, counts, sums
        self.ancestors, self.min_photos = ancestors, min_photos
        self.n_levels = ancestors.shape[1]
        self.n_cells: tuple[int, ...] = tuple((ancestors[-1] + 1).tolist())
        self.parents = [np.full(self.n_cells[0], -1, np.int64)]
        self.parents += [ancestors[self._first(level), level - 1] for level in range(1, self.n_levels)]

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

    def assign(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> IntArray:
        """Cell of each point (n,) in degrees at every level, int64 (n, n_levels), coarse to fine.

        Every point has a cell. Raises `ValueError` for coordinates that `sphere.check_lat_lon` refuses.
        """
        return self.ancestors[self._finest(*check_lat_lon(lat, lon))]

    def counts(self, level: int) -> IntArray:
        """Number of training photos in each cell of a level, int64 (n_cells[level],)."""
        return np.add.reduceat(self._counts, self._first(level))

    def centers(self, level: int, kind: Literal["photos", "middle"] = "photos") -> tuple[FloatArray, FloatArray]:
        """Centre of each cell of a level, (lat, lon) in degrees, each (n_cells[level],).

        Kind "photos" is the spherical mean of the training photos. New photos are expected where photos have been: in
        a cell that is a town and much sea, in the town. Kind "middle" is a point in the middle of the cell. It also
        stands in for a mean that does not exist, as of antipodes.
        """
        if kind not in ("photos", "middle"):
            raise ValueError(f"kind={kind!r}: expected 'photos' or 'middle'")
        sums = np.add.reduceat(self._sums, self._first(level), axis=0)
        defined = np.linalg.norm(sums, axis=1) > 1e-6 * self.counts(level)  # a shorter sum is rounding
        if kind == "photos" and defined.all():
            return to_lat_lon(sums)
        lat, lon = self._middles(level)
        if kind == "photos":
            lat[defined], lon[defined] = to_lat_lon(sums[defined])
        return lat, lon

    def bounds(self, level: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Bounding boxes (south, west, north, east) in degrees, each (n_cells[level],). A cell may not fill its box."""
        west, south, east, north = shapely.bounds(self.polygons(level)).T
        return south, west, north, east

    def polygons(self, level: int) -> list[Any]:
        """Each cell as a shapely geometry in degrees (x is longitude), cut at the dateline; semantic cells: land."""
        self._first(level)  # refuses a wrong level
        return join_pieces(self._shapes, self.ancestors[:, level])

    def areas_km2(self, level: int) -> FloatArray:
        """Area of each cell's polygon in km2, float64 (n_cells[level],).

        The areas of a level sum to the area of the sphere; those of semantic cells to the land.
        """
        return np.add.reduceat(self._areas, self._first(level))

    def _middles(self, level: int) -> tuple[FloatArray, FloatArray]:
        """A point (lat, lon) in the middle of each cell of a level."""
        return middle_of(self.polygons(level))

    def border_km(self, lat: npt.ArrayLike, lon: npt.ArrayLike, level: int = -1) -> FloatArray:
        """Distance in km from each point (n,) in degrees to the nearest edge of its cell's polygon, float64 (n,).

        The dateline counts only where two cells meet; half the Earth's circumference if there is no edge. Exact for the
        quadtree. For other kinds, edges are sampled every 0.02 degrees: too large by at most 1.2 km, never too small.
        """
        lat, lon = check_lat_lon(lat, lon)
        own, shapes, km = self.assign(lat, lon)[:, level], self.polygons(level), np.empty(len(lat))
        for rows in rows_by(own):
            km[rows] = self._edge_km(lat[rows], lon[rows], shapes[own[rows[0]]], level)
        return km

    def _edge_km(self, lat: FloatArray, lon: FloatArray, shape: Any, level: int) -> FloatArray:
        """Distance in km of points (n,) to the edges of a polygon, by points along these edges."""
        x, y = shapely.get_coordinates(shapely.segmentize(shapely.boundary(shape), 0.02)).T
        x, y = x[np.abs(y) < 90], y[np.abs(y) < 90]
        seam = np.flatnonzero(np.abs(x) == 180)  # the dateline
        if len(seam):
            west, east = (self.assign(y[seam], np.full(len(seam), side))[:, level] for side in (180 - 1e-6, 1e-6 - 180))
            x, y = np.delete(x, seam[west == east]), np.delete(y, seam[west == east])
        if not len(x):
            return np.full(len(lat), np.pi * EARTH_RADIUS_KM)
        return chord_km(cKDTree(unit_vectors(y, x)).query(unit_vectors(lat, lon))[0])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the cells as one safetensors file, whole or not at all."""
        write_tensors(path, self._arrays, metadata={"format": self.FORMAT})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote. Raises `MissingDataError`, and `CorruptFileError` that says what does not fit."""
        arrays, found = read_arrays(path)
        try:
            if found != cls.FORMAT:
                raise ValueError(f"its format is {found!r}, expected {cls.FORMAT!r}")
            _check_arrays(arrays, cls.ARRAYS)
            return cls(arrays)
        except CorruptFileError:  # of the map of countries, not of this file
            raise
        except ValueError as error:
            raise CorruptFileError(
                f"{path} is not a file of {cls.__name__}: {error}; restore it, or fit and save the cells again"
            ) from error

    def __repr__(self) -> str:
        levels = " > ".join(f"{n:,}" for n in self.n_cells)
        photos = f"{self._counts.sum():,} photos, at least {self.min_photos} per cell"
        return f"{type(self).__name__}({levels} cells on {photos})"

    def _first(self, level: int) -> IntArray:
        """The finest cell with which each cell of a level begins, (n_cells[level],)."""
        if not -self.n_levels <= level < self.n_levels:
            raise ValueError(f"level={level}: expected 0 (coarsest) to {self.n_levels - 1} (finest), or -1 (finest)")
        return np.flatnonzero(np.diff(self.ancestors[:, level], prepend=-1))


def read_arrays(path: str | os.PathLike[str]) -> tuple[Arrays, str]:
    """The arrays of a safetensors file, and the format in its header (`""` if none). Raises as `Partition.load`."""
    arrays = read_tensors(path)
    with safe_open(path, framework="np") as file:
        return arrays, (file.metadata() or {}).get("format", "")


def _check_arrays(arrays: Arrays, types: ArrayTypes) -> None:
    """Raise `ValueError` unless the arrays have these types and shapes; axes with the same letter are equally long."""
    if arrays.keys() != types.keys():
        raise ValueError(f"it holds {sorted(arrays)}, expected {sorted(types)}")
    sizes: dict[str | int, int] = {}
    for name, (dtype, *axes) in types.items():
        found = (arrays[name].dtype.name, *arrays[name].shape)
        sizes = dict(zip(axes, arrays[name].shape, strict=False)) | sizes
        expected = (dtype, *(axis if isinstance(axis, int) else sizes.get(axis, axis) for axis in axes))
        if found != expected or 0 in found:
            raise ValueError(f"`{name}` is {found}, expected {expected}, not empty")


def check_limits(max_photos: int, min_photos: int) -> None:
    """Raise `ValueError` unless a cell with more than the maximum can be split into parts with the minimum."""
    if min_photos % 1 or max_photos % 1 or not 1 <= min_photos <= max_photos / 2:
        given = f"max_photos={max_photos}, min_photos={min_photos}"
        raise ValueError(f"{given}: expected whole numbers above 0, the maximum at least twice the minimum")


def rows_by(label: IntArray) -> list[IntArray]:
    """The rows of each label in `label` (n,), labels in ascending order."""
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


def join_pieces(pieces: Sequence[Any], cell: IntArray) -> list[Any]:
    """The union of the pieces of each cell; `cell` (n,) says in which cell a piece is, and never decreases."""
    groups = np.split(np.array(pieces, dtype=object), np.flatnonzero(np.diff(cell)) + 1)
    return [shapely.union_all(group) if len(group) > 1 else group[0] for group in groups]


def middle_of(shapes: Sequence[Any]) -> tuple[FloatArray, FloatArray]:
    """A point (lat, lon) in the middle of the largest part of each shape (n,)."""
    parts = [max(shapely.get_parts(shape), key=shapely.area) for shape in shapes]
    points = [part.centroid if part.contains(part.centroid) else part.representative_point() for part in parts]
    return shapely.get_y(points), shapely.get_x(points)
