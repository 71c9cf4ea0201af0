"""The adaptive quadtree: geocells that are small where photos are dense and large where they are rare.

Divide the map of the Earth (longitude by latitude) into four quadrants, divide each quadrant with many photos again,
and so on. `minimal.py` does this cell by cell. Here all cells of a depth are divided at once, so that millions of
photos take seconds.

1. *Keys.* A photo's place becomes one number, its key, with two bits per depth: which quadrant, which quadrant of that
   quadrant, and so on. In sorted keys the photos of a quadrant lie side by side; two binary searches count them.
2. *Cuts.* Dividing a cell gives up to three cuts: keys at which one part ends and the next begins. A cut's weight is
   the number of photos in the cell that it divides.
3. *Levels.* A level keeps all cuts down to some weight: it divides the cells that hold at least so many photos. A finer
   level keeps these cuts and more: the levels nest. A cell is all keys between two cuts: there are no holes.

A head cannot learn a class from one or two photos. So a part with fewer than `min_photos` photos never becomes a cell:
the cut beside it is left out, which joins it to its neighbour. The quadtree is OSV-5M's (Astruc et al., CVPR 2024),
which drops empty quadrants instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import shapely

from geolib.cells.nested import Arrays, ArrayTypes, IntArray, Partition, join_pieces
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, haversine_km, rectangle_area_km2

__all__ = ["GeocellTree", "IntArray", "Partition", "aligned_blocks", "join_thin", "quadrant_keys"]

MAX_DEPTH = 24  # the smallest quadrant is 2.4 m wide and 1.2 m high at the equator
SIDE = 1 << MAX_DEPTH  # smallest quadrants in a row or column of the map
N_KEYS = SIDE * SIDE
_CHUNK = 8192  # points at a time: temporary arrays stay in the processor's cache, which is twice as fast
# The eight ways to divide a row of four quadrants: before which of them to cut. Of equally good ones, the first wins.
_DIVISIONS = ((), (2,), (1,), (3,), (1, 3), (1, 2), (2, 3), (1, 2, 3))


class GeocellTree(Partition):
    """Geocells of an adaptive quadtree. Made by `fit`, `uniform` or `load`; what it can be asked stands in `Partition`.

    The cells of a level are numbered in the order of their keys: south-west, south-east, north-east, north-west at
    every scale, whatever the order of the photos. A cell holds its southern and western edges; 180 E is the same
    meridian, so the same cell, as 180 W.

    >>> lat, lon = [48.9, 48.8, 43.7, 43.6, -33.9, -33.8], [2.4, 2.3, 7.2, 7.3, 151.2, 151.1]  # Paris, Nice, Sydney
    >>> tree = GeocellTree.fit(lat, lon, cells_per_level=(2, 3), min_photos=2)
    >>> tree.assign([45.5], [9.2])  # Milan: in the cell of Europe, and in that of Nice
    array([[1, 2]])
    """

    FORMAT = "geolib-geocells/1"
    ARRAYS: ClassVar[ArrayTypes] = dict.fromkeys(("starts", "opens", "counts"), ("int64", "n"))
    ARRAYS |= {"sums": ("float64", "n", 3), "n_cells": ("int64", "levels"), "min_photos": ("int64", 1)}

    def __init__(self, arrays: Arrays) -> None:
        """For `fit` and `load`. One row per finest cell, in the order of the keys.

        starts: its first key. opens: the coarsest level that has a cell beginning there.
        """
        self._starts, n_levels = arrays["starts"], len(arrays["n_cells"])
        if self._starts[0] != 0 or np.any(self._starts[1:] <= self._starts[:-1]) or self._starts[-1] >= N_KEYS:
            raise ValueError("`starts` are not keys that increase from 0")
        begins = arrays["opens"][:, None] <= np.arange(n_levels)
        super().__init__(arrays, ancestors=np.cumsum(begins, axis=0, dtype=np.int64) - 1)
        if self.n_cells != tuple(arrays["n_cells"].tolist()) or arrays["opens"].min() < 0:
            raise ValueError("`opens` do not give the cells that `n_cells` says")

    @classmethod
    def fit(
        cls,
        lat: npt.ArrayLike,
        lon: npt.ArrayLike,
        cells_per_level: Sequence[int] = (100, 1000, 10_000, 50_000),
        min_photos: int = 5,
    ) -> GeocellTree:
        """Draw the cells on training photos at `lat`, `lon` (degrees, (n,)), in any order.

        Each level comes as close as possible to its number in `cells_per_level`, coarse to fine. Every cell holds at
        least `min_photos` photos (or all, if there are fewer). Warns when the photos cannot fill so many cells, and
        makes the most cells that they fill. Raises `ValueError` for bad coordinates, numbers of cells that do not
        increase, or `min_photos` below 1.

        >>> lat, lon = np.random.default_rng(0).normal([[48], [5]], 5, (2, 1000))
        >>> GeocellTree.fit(lat, lon, cells_per_level=(5, 20, 80))
        GeocellTree(4 > 20 > 81 cells on 1,000 photos, at least 5 per cell)
        """
        targets, min_photos = _check_request(cells_per_level, min_photos)
        keys = np.sort(quadrant_keys(*check_lat_lon(lat, lon)))
        cuts, weights = _grow(keys, targets[-1], min_photos)
        tree = cls._from_cuts(keys, cuts, weights, targets, min_photos)
        if len(cuts) + 1 < targets[-1]:
            warnings.warn(
                f"{len(keys):,} photos, at least {min_photos} per cell, fill at most {len(cuts) + 1:,} cells: asked "
                f"for {targets}, made {tree.n_cells}. Ask for fewer cells, fit on more photos, or lower min_photos.",
                stacklevel=2,
            )
        return tree

    @classmethod
    def uniform(
        cls, lat: npt.ArrayLike, lon: npt.ArrayLike, cells_per_level: Sequence[int], min_photos: int = 5
    ) -> GeocellTree:
        """Cells of one size per level, twice as wide as high in degrees: a baseline that does not follow the photos.

        Parameters and errors are those of `fit`. From one depth to the next the sides halve; a level takes the depth
        whose number of cells is closest to its target, which may be far, and two levels may take the same. A cell with
        fewer than `min_photos` photos joins a neighbour in the order of the keys, as the empty ones do.
        """
        targets, min_photos = _check_request(cells_per_level, min_photos)
        keys = np.sort(quadrant_keys(*check_lat_lon(lat, lon)))
        tried: list[tuple[IntArray, IntArray]] = []
        while len(tried) < MAX_DEPTH and (not tried or len(tried[-1][0]) + 1 < targets[-1]):
            tried.append(join_thin(keys, *_grid_cuts(keys, len(tried) + 1), min_photos))
        cuts, weights = min(tried, key=lambda made: abs(len(made[0]) + 1 - targets[-1]))
        return cls._from_cuts(keys, cuts, weights, targets, min_photos)

    @classmethod
    def _from_cuts(
        cls, keys: IntArray, cuts: IntArray, weights: IntArray, targets: tuple[int, ...], min_photos: int
    ) -> GeocellTree:
        """The tree whose levels keep the heaviest `cuts` of the sorted `keys`, as many as come closest to `targets`."""
        opens = _opening_levels(weights, targets)
        order = np.argsort(cuts)
        order = order[opens[order] < len(targets)]
        starts, opens = np.append(0, cuts[order]), np.append(0, opens[order])
        first = np.searchsorted(keys, starts)
        arrays: Arrays = {"starts": starts, "opens": opens, "min_photos": np.array([min_photos])}
        arrays |= {"counts": np.diff(first, append=len(keys)), "sums": _vector_sums(keys, first)}
        return cls(arrays | {"n_cells": np.cumsum(np.bincount(opens, minlength=len(targets)))})

    def polygons(self, level: int) -> list[Any]:
        """As `Partition.polygons`: mostly a Polygon, rarely a MultiPolygon."""
        cell, (south, west, north, east) = self._quadrants(level)
        return join_pieces(shapely.box(west, south, east, north), cell)

    @cached_property
    def _shapes(self) -> list[Any]:
        return self.polygons(-1)

    @cached_property
    def _areas(self) -> FloatArray:
        cell, edges = self._quadrants(-1)
        return np.bincount(cell, weights=rectangle_area_km2(*edges)).astype(np.float64)

    def _finest(self, lat: FloatArray, lon: FloatArray) -> IntArray:
        return np.searchsorted(self._starts, quadrant_keys(lat, lon), side="right") - 1

    def _quadrants(self, level: int) -> tuple[IntArray, FloatArray]:
        """The fewest quadrants that make up the cells of a level: cell (n,), south, west, north and east (4, n)."""
        starts = self._starts[self._first(level)]
        keys, size = aligned_blocks(np.append(starts, N_KEYS), MAX_DEPTH)
        column, row, side = *_columns_and_rows(keys), np.sqrt(size)
        edges = np.stack([row, column, row + side, column + side]) / SIDE - 0.5  # exact: powers of 2
        return np.searchsorted(starts, keys, side="right") - 1, edges * [[180.0], [360.0], [180.0], [360.0]]

    def _middles(self, level: int) -> tuple[FloatArray, FloatArray]:
        """The middle of the largest quadrant of each cell."""
        cell, (south, west, north, east) = self._quadrants(level)
        by_area = np.argsort(-rectangle_area_km2(south, west, north, east), kind="stable")
        largest = by_area[np.unique(cell[by_area], return_index=True)[1]]
        return (south + north)[largest] / 2, (west + east)[largest] / 2

    def _edge_km(self, lat: FloatArray, lon: FloatArray, shape: Any, level: int) -> FloatArray:
        """Exact distance in km of points (n,) to the edges of a polygon; edges run along meridians and parallels.

        The nearest point of an edge is where the perpendicular meets it, else one of its ends.
        """
        rings = map(shapely.get_coordinates, shapely.get_parts(shapely.boundary(shape)))
        ends = np.concatenate([np.stack([ring[:-1].T, ring[1:].T]) for ring in rings], axis=2)
        ends = ends[..., np.abs(ends[:, 1].sum(axis=0)) < 180]  # the poles are points, not edges
        at_dateline = (np.abs(ends[:, 0]) == 180).all(axis=0)
        south, north = np.sort(ends[:, 1, at_dateline], axis=0)
        cuts = np.unique([south, north])
        middle = (cuts[:-1] + cuts[1:])[:, None] / 2
        once = ((south < middle) & (middle < north)).sum(axis=1) == 1  # twice: the cell is on both sides of it
        seam = np.stack([[np.full(once.sum(), 180.0), end[once]] for end in (cuts[:-1], cuts[1:])])
        (x, y), (x2, y2) = np.concatenate([ends[..., ~at_dateline], seam], axis=2)
        lat, lon = lat[:, None], lon[:, None]
        km = np.minimum(haversine_km(lat, lon, y, x), haversine_km(lat, lon, y2, x2))
        # On a parallel the nearest point has the same longitude.
        beside = (y == y2) & (lon > np.minimum(x, x2)) & (lon < np.maximum(x, x2))
        km = np.where(beside, haversine_km(lat, lon, y, lon), km)
        # On a meridian it is the foot of the perpendicular great circle.
        foot = np.degrees(np.arctan2(np.tan(np.radians(lat)), np.cos(np.radians(lon - x))))
        beside = (x == x2) & (foot > np.minimum(y, y2)) & (foot < np.maximum(y, y2))  # behind the pole: foot > 90
        km = np.where(beside, np.minimum(km, haversine_km(lat, lon, np.clip(foot, -90, 90), x)), km)
        nearest: FloatArray = km.min(axis=1, initial=np.pi * EARTH_RADIUS_KM)  # the whole Earth has no edge
        return nearest


def quadrant_keys(lat: FloatArray, lon: FloatArray) -> IntArray:
    """Keys in [0, 4**24) of points (n,) in degrees, int64 (n,): their quadrants from the largest to the smallest.

    Two bits per depth say which quadrant: 0 SW, 1 SE, 2 NE, 3 NW, so that each shares an edge with the next and joined
    neighbours are in one piece. These are the Morton keys (IBM, 1966) of (column xor row, row).

    >>> quadrant_keys(np.array([-1.0, -1.0, 1.0, 1.0]), np.array([-1.0, 1.0, 1.0, -1.0])) // 4**23
    array([0, 1, 2, 3])
    """
    keys = np.empty(len(lat), np.int64)
    for start in range(0, len(lat), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        # 360 / 2**24 is exact in binary, and division rounds correctly: a point on an edge stays on it.
        column = ((lon[chunk] + 180.0) / (360 / SIDE)).astype(np.int64) % SIDE  # 180 E comes round to 180 W
        row = np.minimum(((lat[chunk] + 90.0) / (180 / SIDE)).astype(np.int64), SIDE - 1)  # the North Pole: last row
        keys[chunk] = _spread_bits(column ^ row) | _spread_bits(row) << 1
    return keys


def _columns_and_rows(keys: IntArray) -> tuple[IntArray, IntArray]:
    """Column and row, in smallest quadrants, of keys: the inverse of `quadrant_keys`."""
    row = _gather_bits(keys >> 1)
    return _gather_bits(keys) ^ row, row


# For each 12-bit number: its bits moved from i to 2 i, and from 2 i to i.
_SPREAD: IntArray = np.sum([(np.arange(4096) >> i & 1) << 2 * i for i in range(12)], axis=0)
_GATHER: IntArray = np.sum([(np.arange(4096) >> 2 * i & 1) << i for i in range(6)], axis=0)


def _spread_bits(v: IntArray) -> IntArray:
    """Move bit i to bit 2 i, for i < 24."""
    moved: IntArray = _SPREAD[v & 4095] | _SPREAD[v >> 12] << 24
    return moved


def _gather_bits(v: IntArray) -> IntArray:
    """Move bit 2 i to bit i, for i < 24; the odd bits are dropped."""
    low, high = (_GATHER[v >> bit & 4095] | _GATHER[v >> bit + 12 & 4095] << 6 for bit in (0, 24))
    moved: IntArray = low | high << 12
    return moved


def aligned_blocks(edges: IntArray, max_depth: int) -> tuple[IntArray, IntArray]:
    """The fewest blocks of 4**k keys, k <= max_depth, that fill the ranges between `edges`: (first keys, sizes).

    A block begins at a multiple of its size, so it is one quadrant of a quadtree. Blocks come in the order of the keys.

    >>> aligned_blocks(np.array([0, 5, 16]), max_depth=24)
    (array([ 0,  4,  5,  6,  7,  8, 12]), array([4, 1, 1, 1, 1, 4, 4]))
    """
    sizes = np.int64(4) ** np.arange(max_depth + 1)
    key, end = edges[:-1], edges[1:]
    keys, chosen = [], []
    while len(key):
        fits = (key[:, None] % sizes == 0) & (sizes <= (end - key)[:, None])
        size = sizes[fits.sum(axis=1) - 1]  # where a size fits, all smaller ones do
        keys.append(key)
        chosen.append(size)
        key = key + size
        key, end = key[key < end], end[key < end]
    order = np.argsort(np.concatenate(keys))
    return np.concatenate(keys)[order], np.concatenate(chosen)[order]


def _grow(keys: IntArray, target: int, min_photos: int) -> tuple[IntArray, IntArray]:
    """The heaviest cuts in sorted `keys`, enough for `target` cells, or all that there are: (cuts, weights)."""
    smallest = 2 * min_photos - 1  # a cell with no more photos cannot be divided
    limit = 3 * len(keys) // target  # cells hold nearly half of it on average, so the first or second try suffices
    while True:
        limit = max(limit // 2, smallest)
        cuts, weights = _divide(keys, limit, min_photos)
        if len(cuts) + 1 >= target or limit == smallest:
            return cuts, weights


def _divide(keys: IntArray, limit: int, min_photos: int) -> tuple[IntArray, IntArray]:
    """Divide all cells with more than `limit` photos, depth by depth: (cuts, weights), in no order.

    A cell is a run of keys: a quadrant, and thin neighbours that were joined to it. Each round divides the quadrants of
    all cells. If no cut leaves enough photos on both sides, the cell stays whole and its fullest quadrant is divided
    next, so that a town in the corner of an ocean is found.
    """
    first, last = np.array([0]), np.array([len(keys)])  # the photos of each cell are keys[first:last]
    corner, low, high = first, first, last  # the first key of its quadrant; the photos there are keys[low:high]
    cuts, weights = [corner[:0]], [corner[:0]]
    for depth in range(1, MAX_DEPTH + 1):
        corners = corner[:, None] + (N_KEYS >> 2 * depth) * np.arange(4)
        middle = np.searchsorted(keys, corners[:, 1:])
        inside = np.column_stack([low, middle, high])  # running photo counts of the four quadrants, (cells, 5)
        edges = np.column_stack([first, middle, last])  # photos outside go with the first or last part
        cut = _best_division(edges, min_photos)
        cuts.append(corners[:, 1:][cut])
        weights.append(np.repeat(last - first, cut.sum(axis=1)))

        always = np.ones((len(cut), 1), bool)
        begins, ends = np.hstack([always, cut]), np.hstack([cut, always])  # which quadrants begin and end a part
        first, last = edges[:, :4][begins], edges[:, 1:][ends]
        part = np.cumsum(begins) - 1
        fullest = np.lexsort((-np.diff(inside).ravel(), part))[np.flatnonzero(begins)]  # of equals the first
        corner, low, high = corners.ravel()[fullest], inside[:, :4].ravel()[fullest], inside[:, 1:].ravel()[fullest]
        large = last - first > limit
        first, last, corner, low, high = first[large], last[large], corner[large], low[large], high[large]
        if not len(corner):
            break
    return np.concatenate(cuts), np.concatenate(weights)


def _best_division(edges: IntArray, min_photos: int) -> npt.NDArray[np.bool_]:
    """Where to cut rows of four quadrants, bool (n, 3); `edges` (n, 5) are the running photo counts of each row.

    The most parts of at least `min_photos` photos each; of such divisions, the one whose thinnest part is fullest.
    """
    columns, scores = np.ascontiguousarray(edges.T), []
    for division in _DIVISIONS:
        thinnest = np.diff(columns[[0, *division, 4]], axis=0).min(axis=0)
        scores.append(np.where((thinnest >= min_photos) | (not division), len(division) * N_KEYS + thinnest, -1))
    flags = np.array([[edge in division for edge in (1, 2, 3)] for division in _DIVISIONS])
    best: npt.NDArray[np.bool_] = flags[np.argmax(scores, axis=0)]
    return best


def _grid_cuts(keys: IntArray, depth: int) -> tuple[IntArray, IntArray]:
    """Cuts between the quadrants of a depth that hold photos: (cuts, weights), in order; larger quadrants weigh more.

    Between two filled quadrants lie the edges of many quadrants, empty ones among them: the cut is that of the largest.
    """
    shift = 2 * (MAX_DEPTH - depth)
    filled = np.unique(keys >> shift)
    before, after = filled[:-1], filled[1:]
    height = (np.frexp((before ^ after).astype(np.float64))[1].astype(np.int64) - 1) // 2  # depths above `depth`
    return (after >> 2 * height) << 2 * height + shift, MAX_DEPTH - depth + height + 1


def join_thin(keys: IntArray, cuts: IntArray, weights: IntArray, min_photos: int) -> tuple[IntArray, IntArray]:
    """Leave out cuts until every part between two of them holds at least `min_photos` of the sorted `keys`.

    The thinnest parts go first. Each is joined across the lighter of its two cuts, so to a sibling if there is one;
    with equal weights, to the side with fewer photos. Returns the remaining cuts and their weights, in order.

    >>> keys = np.repeat([0, 10, 20, 30], [9, 1, 9, 9])  # 1 photo at 10
    >>> join_thin(keys, np.array([10, 20, 30]), np.array([5, 7, 5]), min_photos=3)[0]
    array([20, 30])
    """
    while len(cuts):
        counts = np.diff(np.concatenate([[0], np.searchsorted(keys, cuts), [len(keys)]]))
        if counts.min() >= min_photos:
            break
        thin = np.flatnonzero(counts == counts.min())
        weight = np.pad(weights, 1, constant_values=np.iinfo(np.int64).max)  # the ends cannot be left out
        around = np.pad(counts, 1, constant_values=len(keys) + 1)
        left, right = weight[thin], weight[thin + 1]
        to_left = (left < right) | ((left == right) & (around[thin] <= around[thin + 2]))
        to_left = (to_left | (thin == len(cuts))) & (thin > 0)  # the first and the last part have one neighbour only
        kept = np.ones(len(cuts), bool)
        kept[np.where(to_left, thin - 1, thin)] = False
        cuts, weights = cuts[kept], weights[kept]
    return cuts, weights


def _opening_levels(weights: IntArray, targets: tuple[int, ...]) -> IntArray:
    """For each cut the coarsest level that keeps it, `len(targets)` where none does.

    A level keeps all cuts down to some weight: the one that brings its number of cells closest to its target; of two
    equally close, the one with fewer cells.
    """
    distinct, repeats = np.unique(-weights, return_counts=True)  # heaviest first
    lightest = np.append(np.inf, -distinct)  # the lightest cut that is kept: none, some, all
    cells = np.cumsum(np.append(1, repeats))
    chosen = [lightest[np.argmin(abs(cells - target))] for target in targets]
    opens: IntArray = np.sum(weights[:, None] < np.array(chosen), axis=1)
    return opens


def _vector_sums(keys: IntArray, first: IntArray) -> FloatArray:
    """Sums of the unit vectors of photos first[i] to first[i + 1] of the sorted keys, float64 (len(first), 3)."""
    # Angles add when complex numbers multiply. So exp(i pi (k + 0.5) / SIDE) comes from two small tables, for the upper
    # and the lower half of the bits of k, in a third of the time of cosines and sines.
    half = np.arange(1 << MAX_DEPTH // 2)
    upper, lower = np.exp(1j * np.pi / SIDE * (half * len(half) + 0.5)), np.exp(1j * np.pi / SIDE * half)
    points = np.empty((3, len(keys)))
    for start in range(0, len(keys), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        column, row = (upper[k // len(half)] * lower[k % len(half)] for k in _columns_and_rows(keys[chunk]))
        lon, lat = -(column**2), -1j * row  # exp(i angle) of angles from -pi to pi, and from -pi / 2 to pi / 2
        points[:, chunk] = lon.real * lat.real, lon.imag * lat.real, lat.imag
    return np.add.reduceat(points, first, axis=1).T


def _check_request(cells_per_level: Sequence[int], min_photos: int) -> tuple[tuple[int, ...], int]:
    asked = np.asarray(cells_per_level)
    whole = asked.ndim == 1 and asked.size > 0 and asked.dtype.kind in "iu"
    if not whole or np.any(np.diff(asked.astype(int), prepend=0) <= 0):
        raise ValueError(f"cells_per_level={cells_per_level}: expected positive whole numbers that increase")
    if min_photos < 1 or min_photos != int(min_photos):
        raise ValueError(f"min_photos={min_photos}: expected a whole number of at least 1")
    return tuple(asked.tolist()), int(min_photos)
