"""Geocells: a quadtree that is fine where photographs are dense, and its levels.

1. *Keys.* Longitude and latitude become two 24-bit numbers, and their bits, taken in turns, one key. In sorted keys
   the photos of any quadrant of the quadtree lie side by side: counting them is two binary searches.
2. *Cuts.* Splitting a node gives up to three cuts: keys at which one part ends and the next begins. A cut weighs as
   many photos as the node that it divides.
3. *Levels.* A level keeps the cuts above a threshold of weight, so it splits the nodes with more photos than that. Its
   cuts are among those of every finer level: the levels nest. A cell is all keys from one cut to the next, so there
   are no holes: every point on Earth has one key, and is in one cell at every level.

A part with fewer than `min_photos` photos never becomes a cell: the cut beside it is left out, which joins it to its
neighbour. The quadtree is OSV-5M's (Astruc et al., CVPR 2024), which drops empty quadrants instead.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
import shapely
from safetensors import safe_open

from geolib.common.errors import CorruptFileError
from geolib.common.files import read_tensors, write_tensors
from geolib.sphere import FloatArray, check_lat_lon, haversine_km, rectangle_area_km2, to_lat_lon

IntArray = npt.NDArray[np.int64]
MAX_DEPTH = 24  # bits a side: the smallest square is 2.4 m by 1.2 m at the equator
_SIDE = 1 << MAX_DEPTH
_END = 1 << 2 * MAX_DEPTH  # one more than the largest key
_CHUNK = 8192  # points at a time: numpy's temporaries then stay in the processor's cache, twice as fast
_HEAVIEST = np.iinfo(np.int64).max
_FORMAT = {"format": "geolib-geocells/1"}  # one entry: safetensors writes several in any order


class Partition(Protocol):
    """What training, fusion, decoding and maps ask of geocells; what each member means, `GeocellTree` says."""

    n_levels: int
    n_cells: tuple[int, ...]
    parents: list[IntArray]
    ancestors: IntArray
    min_photos: int

    def assign(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> IntArray:
        """Cell of each point at every level, int64 (n, n_levels)."""

    def counts(self, level: int) -> IntArray:
        """Training photos in each cell."""

    def centers(self, level: int, kind: Literal["photos", "middle"] = "photos") -> tuple[FloatArray, FloatArray]:
        """Centre of each cell, (lat, lon)."""

    def bounds(self, level: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Bounding boxes (south, west, north, east)."""

    def polygons(self, level: int) -> list[Any]:
        """Each cell as a shapely geometry, x = lon, y = lat."""

    def areas_km2(self, level: int) -> FloatArray:
        """Area of each cell in km2."""

    def border_km(self, lat: npt.ArrayLike, lon: npt.ArrayLike, level: int = -1) -> FloatArray:
        """Distance in km from each point to the nearest edge of its cell."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file."""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote."""


class GeocellTree:
    """Nested levels of geocells that cover the Earth. Made by `fit` or `load`, never changed afterwards.

    Level 0 is the coarsest, -1 the finest. The cells of a level are numbered from 0 in the order of their keys
    (south-west, south-east, north-east, north-west at every scale), whatever the order of the photos.

    n_cells: number of cells of each level, coarse to fine.
    parents: `parents[level]` is the index of the cell one level up, int64 (n_cells[level],); all -1 at level 0.
    ancestors: for each finest cell its cell at every level (the last: itself), int64 (n_cells[-1], n_levels).
    """

    def __init__(
        self, starts: IntArray, opens: IntArray, counts: IntArray, sums: FloatArray, n_levels: int, min_photos: int
    ) -> None:
        """For `fit` and `load`. One row a finest cell, in the order of the keys.

        starts: its first key. opens: the coarsest level that has a cell beginning there. counts: its training photos.
        sums: the sum of their unit vectors, (n, 3).
        """
        self._starts, self._opens, self._counts, self._sums = starts, opens, counts, sums
        self.n_levels, self.min_photos = n_levels, min_photos
        begins = opens[:, None] <= np.arange(n_levels)
        self.n_cells: tuple[int, ...] = tuple(begins.sum(axis=0).tolist())
        self.ancestors: IntArray = np.cumsum(begins, axis=0, dtype=np.int64) - 1
        self.parents = [np.full(self.n_cells[0], -1, np.int64)]
        self.parents += [self.ancestors[begins[:, level], level - 1] for level in range(1, n_levels)]

    @classmethod
    def fit(
        cls,
        lat: npt.ArrayLike,
        lon: npt.ArrayLike,
        cells_per_level: Sequence[int] = (100, 1000, 10_000, 50_000),
        min_photos: int = 5,
    ) -> GeocellTree:
        """Draw the cells on training photos at `lat`, `lon` (degrees, (n,)), in any order.

        cells_per_level: the numbers of cells to come closest to, coarse to fine.
        min_photos: every cell holds at least so many (or all, if there are fewer): a head cannot learn a class from one
        or two photos, nor is their mean the centre of anything.

        Warns when the photos cannot fill as many cells, and makes the most they can. Raises `ValueError` for bad
        coordinates (see `check_lat_lon`), numbers of cells that do not increase, or `min_photos` below 1.
        """
        lat, lon = check_lat_lon(lat, lon)
        targets, min_photos = _check_request(cells_per_level, min_photos)
        keys = _keys(lat, lon)
        keys.sort()
        cuts, weights = _grow(keys, targets[-1], min_photos)
        tree = cls._from_cuts(keys, cuts, weights, targets, min_photos)
        if len(cuts) + 1 < targets[-1]:
            warnings.warn(
                f"{len(keys):,} photos, at least {min_photos} a cell, fill at most {len(cuts) + 1:,} cells: asked for "
                f"{targets}, made {tree.n_cells}. Ask for fewer cells, fit on more photos, or lower min_photos.",
                stacklevel=2,
            )
        return tree

    @classmethod
    def uniform(
        cls, lat: npt.ArrayLike, lon: npt.ArrayLike, cells_per_level: Sequence[int], min_photos: int = 5
    ) -> GeocellTree:
        """Cells of one size in degrees at each level, twice as wide as high: the rival that does not follow the photos.

        Arguments and errors are those of `fit`. From one depth to the next the sides halve; a level takes the depth
        whose number of cells is closest to its target, which may be far, and two levels may take the same. A cell with
        fewer than `min_photos` photos joins a neighbour in the order of the keys, as the empty ones do.
        """
        lat, lon = check_lat_lon(lat, lon)
        targets, min_photos = _check_request(cells_per_level, min_photos)
        keys = np.sort(_keys(lat, lon))
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
        counts = np.diff(first, append=len(keys))
        return cls(starts, opens, counts, _vector_sums(keys, first), len(targets), min_photos)

    def assign(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> IntArray:
        """Cell of each point (degrees, (n,)) at every level, int64 (n, n_levels), coarse to fine.

        Every point has one. A cell holds its southern and western edges; 180 E is the same meridian, so the same cell,
        as 180 W. Exact to float64's rounding, about 1e-13 degrees. Raises `ValueError` for bad coordinates.
        """
        lat, lon = check_lat_lon(lat, lon)
        cells = np.empty((len(lat), self.n_levels), np.int64)
        for part in _chunks(len(lat)):
            finest = np.searchsorted(self._starts, _encode(lat[part], lon[part]), side="right") - 1
            np.take(self.ancestors, finest, axis=0, out=cells[part], mode="clip")  # "clip" writes without a copy
        return cells

    def counts(self, level: int) -> IntArray:
        """Number of training photos in each cell, int64 (n_cells[level],)."""
        return np.add.reduceat(self._counts, self._first(level))

    def centers(self, level: int, kind: Literal["photos", "middle"] = "photos") -> tuple[FloatArray, FloatArray]:
        """Centre of each cell, (lat, lon) in degrees, each (n_cells[level],).

        photos: the spherical mean of the training photos. Photos to come are expected where photos have been: in a
        cell that is a town and much sea, in the town. middle: the middle of the largest quadrant of the cell; it also
        stands in for a mean that does not exist, as of antipodes.
        """
        if kind not in ("photos", "middle"):
            raise ValueError(f"kind={kind!r}: expected 'photos' or 'middle'")
        cell, (south, west, north, east) = self._quadrants(level)
        by_area = np.argsort(-rectangle_area_km2(south, west, north, east), kind="stable")
        largest = by_area[np.unique(cell[by_area], return_index=True)[1]]
        lat, lon = (south + north)[largest] / 2, (west + east)[largest] / 2
        if kind == "photos":
            sums = np.add.reduceat(self._sums, self._first(level), axis=0)
            defined = np.linalg.norm(sums, axis=1) > 1e-6 * self.counts(level)  # below it only the quantisation speaks
            lat[defined], lon[defined] = to_lat_lon(sums[defined])
        return lat, lon

    def bounds(self, level: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Bounding boxes (south, west, north, east) in degrees, each (n_cells[level],). A cell may not fill its box."""
        cell, edges = self._quadrants(level)
        first = np.unique(cell, return_index=True)[1]
        south, west = np.minimum.reduceat(edges[:2], first, axis=1)
        north, east = np.maximum.reduceat(edges[2:], first, axis=1)
        return south, west, north, east

    def polygons(self, level: int) -> list[Any]:
        """Each cell as a shapely geometry in degrees (x = lon, y = lat): most are one Polygon, a few a MultiPolygon."""
        cell, (south, west, north, east) = self._quadrants(level)
        boxes = np.split(shapely.box(west, south, east, north), np.flatnonzero(np.diff(cell)) + 1)
        return [shapely.union_all(group) if len(group) > 1 else group[0] for group in boxes]

    def areas_km2(self, level: int) -> FloatArray:
        """Area of each cell in km2, float64 (n_cells[level],); they sum to the area of the sphere."""
        cell, edges = self._quadrants(level)
        return np.bincount(cell, weights=rectangle_area_km2(*edges)).astype(np.float64)

    def border_km(self, lat: npt.ArrayLike, lon: npt.ArrayLike, level: int = -1) -> FloatArray:
        """Distance in km from each point (degrees, (n,)) to the nearest edge of its cell at a level, (n,).

        Edges run along meridians and parallels, so the distance to each is exact: to its inner points where the
        perpendicular meets it, else to its ends. Raises `ValueError` for bad coordinates.
        """
        lat, lon = check_lat_lon(lat, lon)
        cells, shapes = self.assign(lat, lon)[:, level], self.polygons(level)
        out = np.empty(len(lat))
        for cell in np.unique(cells):
            rows = cells == cell
            lines = shapely.get_parts(shapely.boundary(shapes[cell]))
            ends = np.concatenate([np.stack([xy[:-1], xy[1:]]) for xy in map(shapely.get_coordinates, lines)], axis=1)
            ends = ends[:, np.abs(ends[..., 1].sum(axis=0)) < 180]  # the poles are points, not edges
            out[rows] = _edge_km(lat[rows, None], lon[rows, None], ends).min(axis=1)
        return out

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tree as one safetensors file, whole or not at all."""
        arrays = {"starts": self._starts, "opens": self._opens, "counts": self._counts, "sums": self._sums}
        arrays |= {"n_cells": np.array(self.n_cells), "min_photos": np.array([self.min_photos])}
        write_tensors(path, arrays, metadata=_FORMAT)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GeocellTree:
        """Read what `save` wrote. Raises `MissingDataError`, or `CorruptFileError` that says what does not fit."""
        arrays = read_tensors(path)
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
        if fault := _fault(arrays, metadata):
            raise CorruptFileError(f"{path} is not a geocell tree: {fault}; restore it, or fit and save the tree again")
        n_cells, min_photos = arrays.pop("n_cells"), arrays.pop("min_photos")
        return cls(**arrays, n_levels=len(n_cells), min_photos=int(min_photos[0]))

    def __repr__(self) -> str:
        levels = " > ".join(f"{n:,}" for n in self.n_cells)
        return f"GeocellTree({levels} cells on {self._counts.sum():,} photos, at least {self.min_photos} a cell)"

    def _first(self, level: int) -> IntArray:
        """The finest cell with which each cell of a level begins, (n_cells[level],)."""
        if not -self.n_levels <= level < self.n_levels:
            raise ValueError(f"level={level}: expected 0 (coarsest) to {self.n_levels - 1} (finest), or -1 (finest)")
        return np.flatnonzero(self._opens <= level % self.n_levels)

    def _quadrants(self, level: int) -> tuple[IntArray, FloatArray]:
        """The n quadrants that make up the cells of a level, in key order: cell (n,), south-west-north-east (4, n)."""
        starts = self._starts[self._first(level)]
        keys, side = _tile(np.append(starts, _END))
        x, y = _decode(keys)
        span = np.array([[180.0], [360.0], [180.0], [360.0]])
        edges = np.stack([y, x, y + side, x + side]) * span / _SIDE - span / 2  # exact: they have few enough bits
        return np.searchsorted(starts, keys, side="right").astype(np.int64) - 1, edges


def _edge_km(lat: FloatArray, lon: FloatArray, ends: FloatArray) -> FloatArray:
    """Distance in km, (n, m), of points (n, 1) to edges (2, m, 2): ends (lon, lat) on one meridian or one parallel."""
    (x, y), (x2, y2) = ends.transpose(0, 2, 1)
    km = np.minimum(haversine_km(lat, lon, y, x), haversine_km(lat, lon, y2, x2))
    along = (lon > np.minimum(x, x2)) & (lon < np.maximum(x, x2)) & (y == y2)
    km[along] = np.broadcast_to(haversine_km(lat, lon, y, lon), km.shape)[along]
    turn = np.radians(lon - x)
    foot = np.degrees(np.arctan2(np.sin(np.radians(lat)), np.cos(np.radians(lat)) * np.cos(turn)))
    across = (foot > np.minimum(y, y2)) & (foot < np.maximum(y, y2)) & (x == x2)  # beyond the pole foot is over 90
    return np.where(across, np.minimum(km, haversine_km(lat, lon, np.clip(foot, -90, 90), x)), km)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(begin, begin + _CHUNK) for begin in range(0, n, _CHUNK))


def _keys(lat: FloatArray, lon: FloatArray) -> IntArray:
    """Keys in [0, 4**MAX_DEPTH) of points in degrees, int64 (n,)."""
    keys = np.empty(len(lat), np.int64)
    for part in _chunks(len(lat)):
        keys[part] = _encode(lat[part], lon[part])
    return keys


def _encode(lat: FloatArray, lon: FloatArray) -> IntArray:
    """The Morton keys (IBM, 1966) of (x xor y, y), for a chunk of points.

    The xor puts the siblings in the order SW, SE, NE, NW instead of SW, SE, NW, NE: each shares an edge with the next,
    so that joined neighbours are in one piece.
    """
    # 360 / 2**24 is 45 / 2**21, exact in binary, and division rounds correctly: a point on an edge stays on it.
    x = ((lon + 180.0) / (360 / _SIDE)).astype(np.int64) & (_SIDE - 1)  # 180 E comes round to 180 W
    y = np.minimum(((lat + 90.0) / (180 / _SIDE)).astype(np.int64), _SIDE - 1)  # the pole joins the row below
    return _spread(x ^ y) | _spread(y) << 1


def _decode(keys: IntArray) -> tuple[IntArray, IntArray]:
    """Column x and row y of keys."""
    y = _squeeze(keys >> 1)
    return _squeeze(keys) ^ y, y


# Blocks of 1, 2, 4, 8, 16 bits, and as many zeros after each.
_BLOCKS = (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F, 0x00FF00FF00FF00FF, 0x0000FFFF0000FFFF)


def _spread(v: IntArray) -> IntArray:
    """Move bit i to bit 2 i, for i < 32: push the upper half of each block away, in ever smaller blocks."""
    for i in (4, 3, 2, 1, 0):
        v = (v | v << (1 << i)) & _BLOCKS[i]
    return v


def _squeeze(v: IntArray) -> IntArray:
    """Move bit 2 i to bit i; the odd bits are dropped."""
    v = v & _BLOCKS[0]
    for i, mask in enumerate((*_BLOCKS[1:], 0xFFFFFFFF)):
        v = (v | v >> (1 << i)) & mask
    return v


def _tile(edges: IntArray) -> tuple[IntArray, IntArray]:
    """The fewest quadrants that fill the ranges of keys between `edges`: (first key, side in squares), in key order."""
    key, end = edges[:-1], edges[1:]
    keys, sides = [], []
    while len(key):
        # A quadrant of side 2**k begins at a multiple of its 4**k keys, and must end within the range.
        room = np.minimum(np.where(key == 0, _END, key & -key), end - key)
        side = np.int64(1) << (np.frexp(room.astype(np.float64))[1].astype(np.int64) - 1) // 2
        keys.append(key)
        sides.append(side)
        key = key + side * side
        key, end = key[key < end], end[key < end]
    order = np.argsort(np.concatenate(keys))
    return np.concatenate(keys)[order], np.concatenate(sides)[order]


# The eight ways of cutting a row of four quadrants: before which of them. Of equally good ones the first is taken.
_CUTTINGS = ((), (2,), (1,), (3,), (1, 3), (1, 2), (2, 3), (1, 2, 3))


def _grow(keys: IntArray, target: int, min_photos: int) -> tuple[IntArray, IntArray]:
    """The heaviest cuts in sorted `keys`, enough for `target` cells, or all that there are: (keys, weights)."""
    smallest = 2 * min_photos - 1  # a node with no more photos cannot be split
    floor = 3 * len(keys) // target  # cells hold a little less than half of it on average, so it soon suffices
    while True:
        floor = max(floor // 2, smallest)
        cuts, weights = _cut_down_to(floor, keys, min_photos)
        if len(cuts) + 1 >= target or floor == smallest:
            return cuts, weights


def _cut_down_to(floor: int, keys: IntArray, min_photos: int) -> tuple[IntArray, IntArray]:
    """All cuts of nodes that hold more than `floor` photos: (keys, weights).

    A node is a run of keys with a quadrant at its core; what else it holds are thin neighbours that were joined to it.
    Each round splits the cores of all nodes, one step deeper. Where no cut leaves enough photos on both sides, the node
    lives on with its fullest quadrant as the core, so that a town in the corner of an ocean is found and split.
    """
    first, last = np.array([0]), np.array([len(keys)])  # the photos of each node are keys[first:last]
    core, low, high = first, first, last  # its first key; its photos are keys[low:high]
    cuts, weights = [core[:0]], [core[:0]]
    for depth in range(1, MAX_DEPTH + 1):
        corners = core[:, None] + (_END >> 2 * depth) * np.arange(4)
        middle = np.searchsorted(keys, corners[:, 1:])
        outer, inner = np.column_stack([first, middle, last]), np.column_stack([low, middle, high])
        cut = _best_cutting(outer, min_photos)
        cuts.append(corners[:, 1:][cut])
        weights.append(np.repeat(last - first, cut.sum(axis=1)))

        always = np.ones((len(cut), 1), bool)
        begins, ends = np.hstack([always, cut]), np.hstack([cut, always])
        first, last = outer[:, :4][begins], outer[:, 1:][ends]
        # The fullest quadrant of each part, of equals the first: its photos and its place packed in one number.
        packed = (np.diff(inner) * 4 + [3, 2, 1, 0]).ravel()
        fullest = np.nonzero(begins)[0], 3 - np.maximum.reduceat(packed, np.flatnonzero(begins)) % 4
        core, low, high = corners[fullest], inner[:, :4][fullest], inner[:, 1:][fullest]
        large = last - first > floor
        first, last, core, low, high = first[large], last[large], core[large], low[large], high[large]
        if not len(core):
            break
    return np.concatenate(cuts), np.concatenate(weights)


def _best_cutting(edges: IntArray, min_photos: int) -> npt.NDArray[np.bool_]:
    """Which inner edges of a row of four quadrants to cut at, bool (n, 3); `edges` (n, 5) are its running photo counts.

    As many parts as can hold `min_photos` each; among these ways, the one whose thinnest part is fullest.
    """
    columns, scores = np.ascontiguousarray(edges.T), []
    for cutting in _CUTTINGS:
        thinnest = np.diff(columns[[0, *cutting, 4]], axis=0).min(axis=0)
        scores.append(np.where((thinnest >= min_photos) | (not cutting), len(cutting) * _END + thinnest, -1))
    flags = np.array([[edge in cutting for edge in (1, 2, 3)] for cutting in _CUTTINGS])
    best: npt.NDArray[np.bool_] = flags[np.argmax(scores, axis=0)]
    return best


def _grid_cuts(keys: IntArray, depth: int) -> tuple[IntArray, IntArray]:
    """Cuts between the quadrants of a depth that hold photos: (keys, weights), in order; the larger, the heavier.

    Between two filled quadrants lie edges of many quadrants, empty ones among them: that of the largest is the cut.
    """
    shift = 2 * (MAX_DEPTH - depth)
    filled = np.unique(keys >> shift)
    before, after = filled[:-1], filled[1:]
    height = (np.frexp((before ^ after).astype(np.float64))[1].astype(np.int64) - 1) // 2  # in depths above `depth`
    return (after >> 2 * height) << 2 * height + shift, MAX_DEPTH - depth + height + 1


def join_thin(keys: IntArray, cuts: IntArray, weights: IntArray, min_photos: int) -> tuple[IntArray, IntArray]:
    """Leave out cuts until every part of the sorted `keys` holds `min_photos`: the others (keys, weights), in order.

    The thinnest parts go first, across the lighter of their two cuts, so to a sibling if there is one; of equally light
    ones, to the side with fewer photos.
    """
    while len(cuts):
        counts = np.diff(np.concatenate([[0], np.searchsorted(keys, cuts), [len(keys)]]))
        if counts.min() >= min_photos:
            break
        thin = np.flatnonzero(counts == counts.min())
        weight, around = np.pad(weights, 1, constant_values=_HEAVIEST), np.pad(counts, 1, constant_values=len(keys) + 1)
        left, right = weight[thin], weight[thin + 1]
        to_left = (left < right) | ((left == right) & (around[thin] <= around[thin + 2]))
        to_left = (to_left | (thin == len(cuts))) & (thin > 0)  # the ends have one side only
        kept = np.ones(len(cuts), bool)
        kept[np.where(to_left, thin - 1, thin)] = False
        cuts, weights = cuts[kept], weights[kept]
    return cuts, weights


def _opening_levels(weights: IntArray, targets: tuple[int, ...]) -> IntArray:
    """For each cut the coarsest level that keeps it, `len(targets)` where none does.

    Cuts of equal weight are kept together. Of all thresholds a level takes the one whose number of cells comes closest
    to its target; of two equally close, the one with fewer cells.
    """
    distinct, repeats = np.unique(-weights, return_counts=True)  # heaviest first
    lightest = np.append(np.inf, -distinct)  # the lightest cut that each threshold keeps: none, some, all
    cells = np.cumsum(np.append(1, repeats))
    chosen = [lightest[np.argmin(abs(cells - target))] for target in targets]
    opens: IntArray = np.sum(weights[:, None] < np.array(chosen), axis=1)
    return opens


def _vector_sums(keys: IntArray, first: IntArray) -> FloatArray:
    """Sums of the unit vectors of photos first[i]:first[i + 1] of the sorted keys, float64 (len(first), 3).

    Coordinates are read back from the keys: sorting them along would take longer than all else together.
    """
    edges = np.union1d(first, np.arange(0, len(keys), _CHUNK))
    partial = np.empty((len(edges), 3))
    turn, half_turn = _angles(2 * np.pi), _angles(np.pi)
    bits, low_bits = MAX_DEPTH // 2, (1 << MAX_DEPTH // 2) - 1
    for part in _chunks(len(keys)):
        x, y = _decode(keys[part])
        # cos + i sin of longitude and latitude by adding angles, in a third of the time of np.cos and np.sin
        lon = turn[0][x >> bits] * turn[1][x & low_bits]
        lat = half_turn[0][y >> bits] * half_turn[1][y & low_bits]
        begin, end = np.searchsorted(edges, (part.start, part.stop))
        pieces = edges[begin:end] - part.start
        equatorial = np.add.reduceat(lon * lat.real, pieces)
        partial[begin:end] = np.column_stack([equatorial.real, equatorial.imag, np.add.reduceat(lat.imag, pieces)])
    return np.add.reduceat(partial, np.searchsorted(edges, first), axis=0)


def _angles(span: float) -> tuple[npt.NDArray[np.complex128], npt.NDArray[np.complex128]]:
    """exp(i angle) of the upper and of the lower bits of a coordinate that runs over `span` radians around 0."""
    low = np.arange(1 << MAX_DEPTH // 2)
    high = (low << MAX_DEPTH // 2) + 0.5  # the middle of the smallest square
    return np.exp(1j * (high * span / _SIDE - span / 2)), np.exp(1j * low * span / _SIDE)


def _check_request(cells_per_level: Sequence[int], min_photos: int) -> tuple[tuple[int, ...], int]:
    asked = np.asarray(cells_per_level)
    if (
        asked.ndim != 1
        or not asked.size
        or asked.dtype.kind not in "iu"
        or np.any(np.diff(asked.astype(int), prepend=0) <= 0)
    ):
        raise ValueError(f"cells_per_level={cells_per_level}: expected positive whole numbers that increase")
    if min_photos < 1 or min_photos != int(min_photos):
        raise ValueError(f"min_photos={min_photos}: expected a whole number of at least 1")
    return tuple(asked.tolist()), int(min_photos)


def _fault(arrays: dict[str, npt.NDArray[Any]], metadata: dict[str, str]) -> str | None:
    """What is wrong with the content of a file, or None."""
    if not _FORMAT.items() <= metadata.items():
        return f"its header is {metadata}, expected {_FORMAT}"
    shapes = {name: (array.dtype.name, *array.shape) for name, array in sorted(arrays.items())}
    n, n_levels = shapes.get("starts", (0,))[-1], shapes.get("n_cells", (0,))[-1]
    expected = dict.fromkeys(("counts", "opens", "starts"), ("int64", n)) | {"sums": ("float64", n, 3)}
    expected |= {"n_cells": ("int64", n_levels), "min_photos": ("int64", 1)}
    if not n or not n_levels or shapes != expected:
        return f"it holds {shapes}, expected {expected}"
    starts, opens, counts, min_photos = arrays["starts"], arrays["opens"], arrays["counts"], arrays["min_photos"][0]
    if starts[0] != 0 or np.any(starts[1:] <= starts[:-1]) or starts[-1] >= _END:
        return "`starts` are not keys that increase from 0"
    if opens[0] != 0 or opens.min() < 0 or opens.max() >= n_levels:
        return "`opens` are not levels, or not 0 at the first cell"
    if np.any(np.cumsum(np.bincount(opens, minlength=n_levels)) != arrays["n_cells"]):
        return "`opens` do not give the cells that `n_cells` says"
    if min_photos < 1 or counts.min() < (min_photos if n > 1 else 1):
        return f"a cell holds {counts.min()} photos with min_photos={min_photos}"
    if not np.all(np.linalg.norm(arrays["sums"], axis=1) <= counts * (1 + 1e-9)):
        return "`sums` are not sums of so many unit vectors"
    return None
