"""When not to answer: how uncertain a posterior is, and what it gains to leave out the uncertain photos."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import rel_entr

from geolib.cells.quadtree import IntArray, Partition
from geolib.common.arrays import Vectors, by_rows
from geolib.evaluate import bootstrap_weights
from geolib.fusion import marginals
from geolib.judge.calibrate import check_posterior, wilson
from geolib.sphere import FloatArray


def entropy(posterior: Vectors, tree: Partition) -> FloatArray:
    """Entropy in bits of the posterior (n, n_finest) summed up to every level, (n, n_levels); 0 where one cell has all.

    It counts cells. It does not know which of them are neighbours or how large they are.

    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([50, 40, -30, -40], [0, 10, 120, 130], (2, 4), min_photos=1)
    >>> entropy(np.array([[0.25, 0.25, 0.25, 0.25]]), tree)
    array([[1., 2.]])
    """
    mass = check_posterior(posterior, tree)
    return np.stack([-_p_log2(level, np.ones(level.shape[1])) for level in marginals(mass, tree)], axis=1)


def spatial_entropy(posterior: Vectors, tree: Partition) -> FloatArray:
    """Spatial entropy of the posterior (n, n_finest), (n,): -sum over the cells of p log2(p / area), area in km2.

    It is the entropy of the density that spreads each cell's mass over its area (Batty, Geographical Analysis 6, 1974):
    2 ** it is the area in km2 over which a flat density would be as uncertain, whatever the cells.

    Do not abstain by it. A photo without a clue gets the prior, most of which lies in the small cells of cities: a
    small area, though on all continents. `entropy` of a coarse level ranks such a photo last, as it should.
    (Panagiotopoulos et al., MMM 2022, arXiv 2111.11952, abstain by another measure of the same name.)

    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([45, 45, -45, -45], [-90, 90, -90, 90], (4,), min_photos=1)
    >>> (2 ** spatial_entropy(np.array([[1.0, 0, 0, 0], [0.25] * 4]), tree) / 1e6).round()  # million km2
    array([128., 510.])
    """
    return -_p_log2(check_posterior(posterior, tree), tree.areas_km2(-1))


def risk_coverage(
    uncertainty: npt.ArrayLike,
    loss: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean loss of the least uncertain photos, at each share of photos answered: what abstaining gains.

    uncertainty: (n,); only its order counts. Photos that are equally uncertain are answered in part.  loss: (n,) of
    each answer, an error in km, or 1 for a wrong and 0 for a right one.  clusters, n_boot, seed: as in
    `geolib.evaluate`. Columns `risk`, `risk_low`, `risk_high`, index `coverage`: 0.05, 0.1, ..., 1. `attrs["area"]` is
    the area under the curve, the mean risk over the coverages 1/n, 2/n, ..., 1 (Geifman et al., ICLR 2019).

    >>> risk_coverage([1, 2, 3, 4], [0, 0, 10, 30], n_boot=10).loc[[0.5, 1], "risk"].tolist()
    [0.0, 10.0]
    """
    doubt, cost = np.asarray(uncertainty, np.float64), np.asarray(loss, np.float64)
    if doubt.ndim != 1 or not len(doubt) or doubt.shape != cost.shape or not np.isfinite([doubt, cost]).all():
        raise ValueError(f"uncertainty {doubt.shape}, loss {cost.shape}: expected finite numbers, (n,) each")
    n, ranks, shares = len(doubt), np.unique(doubt, return_inverse=True)[1], np.arange(1, 21) / 20
    draws = bootstrap_weights(clusters, n, n_boot, seed)
    risks, *replicates = (_risks(ranks, cost, weights, shares) for weights in draws)
    low, high = np.quantile(replicates, [0.025, 0.975], axis=0)
    columns = {"risk": risks, "risk_low": low, "risk_high": high}
    table = pd.DataFrame(columns, index=pd.Index(shares, name="coverage"))
    table.attrs["area"] = float(_risks(ranks, cost, np.ones(n), np.arange(1, n + 1) / n).mean())
    return table


def removed(uncertainty: npt.ArrayLike, labels: npt.ArrayLike, abstain: float = 0.2) -> pd.DataFrame:
    """Of each kind of photo, the share without an answer when the most uncertain `abstain` share of photos gets none.

    uncertainty, labels: of each photo, (n,). Of equals the first are kept. Columns `photos`, `removed` (share),
    `removed_low`, `removed_high`, index `label`, most removed first.

    >>> removed([1, 2, 3, 9], ["street", "street", "indoor", "indoor"], 0.25)["removed"].to_dict()
    {'indoor': 0.5, 'street': 0.0}
    """
    doubt, kinds = np.asarray(uncertainty, np.float64), np.asarray(labels).astype(str)
    if doubt.ndim != 1 or not len(doubt) or doubt.shape != kinds.shape or np.isnan(doubt).any() or not 0 < abstain < 1:
        raise ValueError(f"uncertainty {doubt.shape}, labels {kinds.shape}, {abstain=}: expected (n,) twice, a share")
    out = np.ones(len(doubt), dtype=np.bool_)
    out[np.argsort(doubt, kind="stable")[: round(len(doubt) * (1 - abstain))]] = False
    table = pd.DataFrame({"photos": 1, "removed": out}).groupby(pd.Index(kinds, name="label")).sum()
    low, high = wilson(table["removed"], table["photos"])
    shares = table.assign(removed=table["removed"] / table["photos"], removed_low=low, removed_high=high)
    return shares.sort_values("removed", ascending=False, kind="stable")


def _p_log2(mass: npt.NDArray[Any], areas: FloatArray) -> FloatArray:
    """Sum over the cells of p log2(p / area), (n,), where 0 log 0 = 0."""
    return by_rows(lambda p: rel_entr(p.astype(np.float64), areas).sum(axis=1) / math.log(2), mass)


def _risks(ranks: IntArray, loss: FloatArray, weights: npt.NDArray[Any], shares: FloatArray) -> FloatArray:
    """Mean loss of the least uncertain `shares` of weighted photos; within a rank the loss grows in proportion."""
    counted = np.append(0, np.cumsum(np.bincount(ranks, weights=weights)))
    summed = np.append(0, np.cumsum(np.bincount(ranks, weights=weights * loss)))
    answered = shares * counted[-1]
    return np.asarray(np.interp(answered, counted, summed) / answered)
