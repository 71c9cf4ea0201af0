"""Posterior over the finest cells -> one coordinate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from geolib.cells import GeocellTree
from geolib.sphere import FloatArray, to_lat_lon, unit_vectors

RULES = ("argmax", "mean")
_PLANNED = ("mode", "distance", "geoscore")


def decode(
    posterior: npt.NDArray[Any] | Tensor, tree: GeocellTree, rule: str = "argmax"
) -> tuple[FloatArray, FloatArray]:
    """One place a photo, (lat, lon) in degrees, float64 (n,), from a posterior (n, n_finest) of any scale.

    argmax: the centre of the likeliest cell (of equals the first): right or wrong, always where photos are taken.
    mean: the spherical mean of all centres, weighted by the posterior. It is cautious: between two far
        candidates it lies in the sea between. Where the weighted vectors cancel out, so that no direction is
        left, it is the argmax.

    Raises `ValueError` for an unknown rule, a posterior that does not fit the tree, and rows with negative
    numbers, NaN, infinity or nothing but zeros.
    """
    if rule not in RULES:
        what = "known, but not available in this version" if rule in _PLANNED else "not a decoding rule"
        raise ValueError(f"rule={rule!r} is {what}; available: {', '.join(RULES)}")
    mass = posterior.detach().cpu().numpy() if isinstance(posterior, Tensor) else np.asarray(posterior)
    if mass.ndim != 2 or mass.shape[1] != tree.n_cells[-1] or not len(mass):
        raise ValueError(f"posterior {mass.shape}: expected (n, {tree.n_cells[-1]}), one column a finest cell, n >= 1")
    totals = mass.sum(axis=1, dtype=np.float64)
    bad = ~((mass.min(axis=1) >= 0) & (totals > 0) & (totals < np.inf))  # NaN compares false
    if bad.any():
        raise ValueError(f"posterior row {bad.argmax()} is not a distribution: expected finite numbers >= 0, not all 0")
    lat, lon = tree.centers(-1)
    best = mass.argmax(axis=1)
    if rule == "argmax":
        return lat[best], lon[best]
    centers = unit_vectors(lat, lon)
    mean = (mass @ centers) / totals[:, None]
    lost = np.linalg.norm(mean, axis=1) < 1e-6  # shorter than float32's rounding of the posterior
    mean[lost] = centers[best[lost]]
    return to_lat_lon(mean)
