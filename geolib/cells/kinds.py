"""All kinds of cells behind one function."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from geolib.cells.nested import _format
from geolib.cells.quadtree import GeocellTree, Partition
from geolib.cells.s2 import S2Cells
from geolib.cells.semantic import SemanticCells
from geolib.sphere import FloatArray, check_lat_lon, haversine_km


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
