"""The quadtree and its rivals behind one function, and the error that none of their classifiers can go below."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from geolib.cells.nested import Partition, read_arrays
from geolib.cells.quadtree import GeocellTree
from geolib.cells.s2 import S2Cells
from geolib.cells.semantic import SemanticCells
from geolib.sphere import FloatArray, haversine_km

KINDS = ("quadtree", "uniform", "s2", "semantic")


def load_partition(path: str | os.PathLike[str]) -> Partition:
    """Read the cells that any `save` wrote; the format in the file says which kind. Raises as `Partition.load`."""
    kinds: dict[str, type[Partition]] = {kind.FORMAT: kind for kind in (S2Cells, SemanticCells)}
    return kinds.get(read_arrays(path)[1], GeocellTree).load(path)  # the quadtree refuses any other file


def fit_partition(
    kind: str, lat: npt.ArrayLike, lon: npt.ArrayLike, cells_per_level: Sequence[int], seed: int = 0
) -> Partition:
    """Draw cells of a kind on training photos, about as many finest ones as asked for.

    Quadtree and uniform grid come closest to each of `cells_per_level`, coarse to fine. S2 takes maximum numbers of
    photos in proportion. Semantic cells have levels of their own, take the finest number only, and need a `seed`.

    Raises `ValueError` for a kind that is not in `KINDS`, and as `fit` of each kind does.

    >>> lat, lon = np.random.default_rng(0).normal([[48], [5]], 3, (2, 500))
    >>> fit_partition("uniform", lat, lon, (4, 16))
    GeocellTree(3 > 15 cells on 500 photos, at least 5 per cell)
    """
    if kind not in KINDS:
        raise ValueError(f"partition={kind!r}: expected one of {', '.join(KINDS)}")
    if kind == "quadtree":
        return GeocellTree.fit(lat, lon, cells_per_level)
    if kind == "uniform":
        return GeocellTree.uniform(lat, lon, cells_per_level)
    n, finest = len(np.atleast_1d(lat)), cells_per_level[-1]
    if kind == "semantic":
        least = max(int(n / finest / 1.5), 2)
        return SemanticCells.fit(lat, lon, least, 2 * least, seed)
    most = [max(round(2.2 * n / cells), 10) for cells in cells_per_level]  # a full cell holds about 2.2 times the mean
    decreasing = [number for level, number in enumerate(most) if number < min([*most[:level], np.inf])]
    return S2Cells.fit(lat, lon, decreasing)


def floor_km(partition: Partition, lat: npt.ArrayLike, lon: npt.ArrayLike, level: int = -1) -> FloatArray:
    """Error in km, (n,), of a perfect classifier on photos (degrees, (n,)): it answers with the centres of their cells.

    No head on these cells can go below it without refinement inside them.

    >>> tree = fit_partition("quadtree", [50.0, 51.0], [10.0, 10.0], (1,))
    >>> floor_km(tree, [50.0], [10.0]).round(1)  # the centre is half a degree away
    array([55.6])
    """
    center_lat, center_lon = partition.centers(level)
    own = partition.assign(lat, lon)[:, level]
    return haversine_km(center_lat[own], center_lon[own], lat, lon)
