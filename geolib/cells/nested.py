"""What all nested partitions share."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import shapely
from safetensors import safe_open
from scipy.spatial import cKDTree

from geolib.cells.quadtree import IntArray
from geolib.common.errors import CorruptFileError
from geolib.common.files import read_tensors, write_tensors
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, to_lat_lon, unit_vectors


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
