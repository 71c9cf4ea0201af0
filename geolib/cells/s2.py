"""Cells of Google's S2 geometry."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geolib.cells.nested import _check_limits, _Nested
from geolib.cells.quadtree import IntArray, join_thin
from geolib.common.errors import GeolibError
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, to_lat_lon, unit_vectors

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
