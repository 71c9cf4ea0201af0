"""Cells of Google's S2 geometry, the partition of PlaNet (Weyand et al., ECCV 2016): a rival of the quadtree.

S2 projects the sphere onto the six faces of a cube and divides each face into four, again and again. A Hilbert curve
runs through all leaves of 1 cm2, so a cell is a range of leaves, as a cell of our quadtree is a range of keys. PlaNet
drops cells with too few photos; here they join a neighbour on the curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geolib.cells.nested import NESTED, Arrays, IntArray, Partition, check_limits, join_pieces
from geolib.cells.quadtree import aligned_blocks, join_thin
from geolib.common.errors import GeolibError
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, to_lat_lon, unit_vectors

_LEAF_DEPTH = 30  # a face has 4**30 leaves
_FACE = 4**_LEAF_DEPTH  # leaves are counted by half their S2 ids, which are odd numbers


def _s2() -> ModuleType:
    try:
        return import_module("s2geometry")
    except ImportError as error:
        raise GeolibError(f"S2 cells need the package s2geometry ({error}): pip install s2geometry") from error


class S2Cells(Partition):
    """Cells of S2 (s2geometry.io), small where photos are dense. Made by `fit` or `load`.

    A cell is a range of S2's Hilbert curve: mostly one S2 cell, sometimes a few that were joined. The cells of a level
    are numbered in the order of the curve. Needs the package `s2geometry`, also to look up places.
    """

    FORMAT = "geolib-s2/1"
    ARRAYS = NESTED | {"starts": ("int64", "n")}

    def __init__(self, arrays: Arrays) -> None:
        """For `fit` and `load`. starts: the first leaf of each finest cell, as half its S2 id."""
        self._starts = arrays["starts"]
        if self._starts[0] != 0 or np.any(self._starts[1:] <= self._starts[:-1]) or self._starts[-1] >= 6 * _FACE:
            raise ValueError("`starts` are not leaves that increase from 0")
        super().__init__(arrays)

    @classmethod
    def fit(
        cls, lat: npt.ArrayLike, lon: npt.ArrayLike, max_photos: Sequence[int] = (2000, 500, 50), min_photos: int = 5
    ) -> S2Cells:
        """Draw the cells on training photos at `lat`, `lon` (degrees, (n,)), in any order.

        A cell with more than `max_photos` (per level, coarse to fine) photos is divided into four. One with fewer than
        `min_photos` joins a neighbour on the curve, its sibling first; so joined cells may hold more. Raises
        `ValueError` for bad coordinates, and for maxima that do not decrease or are below twice the minimum.

        >>> lat, lon = np.random.default_rng(0).normal([[48], [5]], 5, (2, 1000))
        >>> S2Cells.fit(lat, lon, max_photos=(500, 100))
        S2Cells(8 > 28 cells on 1,000 photos, at least 5 per cell)
        """
        lat, lon = check_lat_lon(lat, lon)
        limits = np.asarray(max_photos)
        if limits.ndim != 1 or not limits.size or np.any(np.diff(limits) >= 0):
            raise ValueError(f"max_photos={max_photos}: expected numbers that decrease, one per level, coarse to fine")
        check_limits(limits[-1], min_photos)
        unsorted = _leaves(lat, lon)
        order = np.argsort(unsorted, kind="stable")
        keys = unsorted[order]
        cuts, weights = join_thin(keys, *_cuts(keys, int(limits[-1])), min_photos)
        begins = np.vstack([np.ones(len(limits), bool), weights[:, None] > limits])
        starts = np.append(0, cuts)
        first = np.searchsorted(keys, starts)
        arrays: Arrays = {"starts": starts, "ancestors": np.cumsum(begins, axis=0, dtype=np.int64) - 1}
        arrays |= {"counts": np.diff(first, append=len(keys)), "min_photos": np.array([int(min_photos)])}
        return cls(arrays | {"sums": np.add.reduceat(unit_vectors(lat, lon)[order], first, axis=0)})

    def _finest(self, lat: FloatArray, lon: FloatArray) -> IntArray:
        return np.searchsorted(self._starts, _leaves(lat, lon), side="right") - 1

    @cached_property
    def _pieces(self) -> tuple[IntArray, list[Any]]:
        """The fewest S2 cells below the faces that fill the finest cells: the finest cell of each (n,), their ids."""
        keys, size = aligned_blocks(np.append(self._starts, 6 * _FACE), _LEAF_DEPTH - 1)
        owner = np.searchsorted(self._starts, keys, side="right") - 1
        cell_id = _s2().S2CellId
        return owner, [cell_id(2 * key + half) for key, half in zip(keys.tolist(), size.tolist(), strict=True)]

    @cached_property
    def _shapes(self) -> list[Any]:
        owner, ids = self._pieces
        return join_pieces([_polygon(piece) for piece in ids], owner)

    @cached_property
    def _areas(self) -> FloatArray:
        owner, ids = self._pieces
        steradians = [_s2().S2Cell(piece).ExactArea() for piece in ids]
        return np.bincount(owner, weights=steradians).astype(np.float64) * EARTH_RADIUS_KM**2


def _leaves(lat: FloatArray, lon: FloatArray) -> IntArray:
    """The S2 leaf of each point (n,), as half its id, in [0, 6 * 4**30)."""
    cell, place = _s2().S2CellId, _s2().S2LatLng.FromDegrees
    west = np.where(lon == 180, -180.0, lon)  # to S2, 180 and -180 are two places,
    west = np.where(np.abs(lat) == 90, 0.0, west)  # and so is a pole with each longitude
    ids = [cell(place(y, x)).id() for y, x in zip(lat.tolist(), west.tolist(), strict=True)]
    return (np.array(ids, np.uint64) >> np.uint64(1)).astype(np.int64)


def _cuts(keys: IntArray, most: int) -> tuple[IntArray, IntArray]:
    """All cuts of S2 cells that hold more than `most` of the sorted keys: (cuts, weights), in order.

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


def _polygon(piece: Any) -> Any:
    """The polygon of an S2 cell of level 1 or more, which may touch the dateline or a pole, but holds neither inside.

    Edges get points where the corners of finer S2 cells lie, so that neighbours of any size have points in common.
    """
    cell, to_xyz = _s2().S2Cell(piece), _s2().S2Point_ToRaw
    axis, sign = piece.face() % 3, 1.0 if piece.face() < 3 else -1.0
    corners_xyz = np.array([to_xyz(cell.GetVertex(corner)) for corner in range(4)])
    on_cube = np.delete(corners_xyz, axis, axis=1) / np.abs(corners_xyz[:, [axis]])
    corners = np.round(_to_square(on_cube) * 2.0**_LEAF_DEPTH) / 2.0**_LEAF_DEPTH
    steps = np.arange(max(1, 2 ** (7 - piece.level()))) * min(1.0, 2.0 ** (piece.level() - 7))
    ring = (corners[:, None] + steps[:, None] * (np.roll(corners, -1, axis=0) - corners)[:, None]).reshape(-1, 2)
    lat, lon = to_lat_lon(np.insert(_to_cube(ring), axis, sign, axis=1))
    x, y, _ = to_xyz(cell.GetCenter())
    middle = np.degrees(np.arctan2(y, x))
    lon = np.clip(middle + (lon - middle + 180) % 360 - 180, -180, 180)  # the side of the dateline that it is on
    pole = np.flatnonzero(np.abs(lat) > 90 - 1e-9)
    if len(pole):  # a corner on the sphere, an edge in degrees
        at, n = int(pole[0]), len(lat)
        lon = np.concatenate([lon[:at], lon[[at - 1, (at + 1) % n]], lon[at + 1 :]])
        lat = np.concatenate([lat[:at], np.full(2, np.sign(lat[at]) * 90.0), lat[at + 1 :]])
    return shapely.Polygon(np.column_stack([lon, lat]))


def _to_square(u: FloatArray) -> FloatArray:
    """S2's quadratic projection, from coordinates on a face of the cube (-1 to 1) to those of equal cells (0 to 1)."""
    root = np.sqrt(1 + 3 * np.abs(u)) / 2
    return np.asarray(np.where(u >= 0, root, 1 - root))


def _to_cube(s: FloatArray) -> FloatArray:
    """The inverse of `_to_square`."""
    return np.asarray(np.where(s >= 0.5, 4 * s**2 - 1, 1 - 4 * (1 - s) ** 2) / 3)
