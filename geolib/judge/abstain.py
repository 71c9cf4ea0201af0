"""When not to answer: how sure a model is, and what it gains to leave out the photos of which it is not sure.

`confidence` is the number to abstain by. `entropy` is its rival.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import entr

from geolib.cells.quadtree import IntArray, Partition
from geolib.common.arrays import Vectors, by_rows
from geolib.decoding import confidence
from geolib.evaluate import Clusters, bootstrap_weights, interval, one_alone
from geolib.fusion import marginals
from geolib.judge.calibrate import check_posterior, clusters_of
from geolib.sphere import FloatArray

__all__ = ["abstention", "confidence", "entropy", "removed"]


def entropy(posterior: Vectors, tree: Partition) -> FloatArray:
    """Entropy in bits of the posterior (n, n_finest) summed up to every level, (n, n_levels); 0 where one cell has all.

    It counts cells. It does not know which of them are neighbours or how large they are.

    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([50, 40, -30, -40], [0, 10, 120, 130], (2, 4), min_photos=1)
    >>> entropy(np.array([[0.25, 0.25, 0.25, 0.25]]), tree)
    array([[1., 2.]])
    """
    mass = check_posterior(posterior, tree)
    bits = [by_rows(lambda p: entr(p.astype(np.float64)).sum(axis=1) / math.log(2), p) for p in marginals(mass, tree)]
    return np.stack(bits, axis=1)


def abstention(
    sureness: Mapping[str, npt.ArrayLike],
    right: npt.ArrayLike,
    clusters: Clusters,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """What abstaining gains: the share right among the surest photos, for each share of photos answered.

    sureness: {name: (n,)}, higher is surer; only the order counts. Of photos that are equally sure, a part is answered.
    right: (n,), true or false.  clusters, n_boot, seed: as in `geolib.evaluate`.

    Rows (`name`, `answered`): 0.05, 0.1, ..., 1. Columns `right` and `times`, the share right over that of all photos
    on the same draws, each with `*_low` and `*_high` (NaN for a single photographer). `most_times` is what no order of
    the photos can exceed: 1 / answered, or that all who are answered are right. So leaving out a fifth gains a quarter
    at most. `attrs["area"]` is {name: area under the risk-coverage curve}, the mean share wrong over 1, 2, ..., n
    photos answered; the smallest is best (Geifman et al., ICLR 2019).

    >>> table = abstention({"model": [4, 3, 2, 1]}, [1, 1, 0, 0], list("abcd"), n_boot=10)
    >>> table.loc[("model", 0.5), ["right", "times", "most_times"]].tolist(), round(table.attrs["area"]["model"], 2)
    ([1.0, 2.0, 2.0], 0.21)
    """
    hit = np.asarray(right, np.float64)
    scores = {name: np.asarray(values, np.float64) for name, values in sureness.items()}
    shapes = {name: values.shape for name, values in scores.items()}
    if hit.ndim != 1 or not scores or set(shapes.values()) != {hit.shape} or not np.isin(hit, (0, 1)).all():
        raise ValueError(f"sureness {shapes}, right {hit.shape}: expected numbers (n,) and as many true or false")
    if not hit.any() or not all(np.isfinite(values).all() for values in scores.values()):
        raise ValueError("sureness and right: expected finite numbers, and at least one photo that is right")
    n, shares = len(hit), np.arange(1, 21) / 20
    ranks = {name: np.unique(-values, return_inverse=True)[1] for name, values in scores.items()}
    everyone = np.ones(n, dtype=np.bool_)
    alone = one_alone(clusters_of(clusters, everyone), everyone)
    draws = [weights for weights in bootstrap_weights(clusters, n, n_boot, seed) if weights @ hit]
    tables, area = {}, {}
    for name, rank in ranks.items():
        found = np.stack([_surest(rank, hit, weights, shares) for weights in draws])
        times = found / found[:, -1:]
        columns = {"right": found, "times": times}
        tables[name] = pd.DataFrame(index=pd.Index(shares, name="answered"))
        for column, values in columns.items():
            low, high = np.full((2, 20), np.nan) if alone else np.quantile(values[1:], [0.025, 0.975], axis=0)
            tables[name] = tables[name].assign(**{column: values[0], f"{column}_low": low, f"{column}_high": high})
        tables[name]["most_times"] = np.minimum(1 / shares, 1 / hit.mean())
        area[name] = float(1 - _surest(rank, hit, np.ones(n), np.arange(1, n + 1) / n).mean())
    out = pd.concat(tables, names=["name"])
    out.attrs["area"] = area
    return out


def removed(
    sureness: npt.ArrayLike, labels: npt.ArrayLike, clusters: Clusters, abstain: float = 0.2, *, n_boot: int = 1000
) -> pd.DataFrame:
    """Of each kind of photo, the share without an answer when the least sure `abstain` share of photos gets none.

    sureness, labels: of each photo, (n,). Of equals the first are kept. Columns `photos`, `removed` (share),
    `removed_low`, `removed_high` (95 %, of the clusters with such photos), index `label`, most removed first.

    >>> kinds = ["street", "street", "indoor", "indoor"]
    >>> removed([9, 3, 2, 1], kinds, list("abcd"), 0.25, n_boot=10)["removed"].to_dict()
    {'indoor': 0.5, 'street': 0.0}
    """
    score, kinds = np.asarray(sureness, np.float64), np.asarray(labels).astype(str)
    if score.ndim != 1 or not len(score) or score.shape != kinds.shape or np.isnan(score).any() or not 0 < abstain < 1:
        raise ValueError(f"sureness {score.shape}, labels {kinds.shape}, {abstain=}: expected (n,) twice, a share")
    out = np.ones(len(score), dtype=np.bool_)
    out[np.argsort(-score, kind="stable")[: round(len(score) * (1 - abstain))]] = False
    parts = {kind: kinds == kind for kind in np.unique(kinds)}
    rows = [interval({k: out[part]}, clusters_of(clusters, part), n_boot=n_boot) for k, part in parts.items()]
    table = pd.concat(rows).rename(columns=lambda column: column.replace("share", "removed")).rename_axis("label")
    columns = ["photos", "removed", "removed_low", "removed_high"]
    return table[columns].sort_values("removed", ascending=False, kind="stable")


def _surest(ranks: IntArray, right: FloatArray, weights: npt.NDArray[Any], shares: FloatArray) -> FloatArray:
    """Share right of the surest `shares` of weighted photos; within a rank it grows in proportion."""
    counted = np.append(0, np.cumsum(np.bincount(ranks, weights=weights)))
    summed = np.append(0, np.cumsum(np.bincount(ranks, weights=weights * right)))
    answered = shares * counted[-1]
    return np.asarray(np.interp(answered, counted, summed) / answered)
