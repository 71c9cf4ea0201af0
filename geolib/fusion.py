"""Scores of all levels -> one posterior over the finest cells.

Each rule is one short function from the levels' log-probabilities to a log-posterior that is not yet normalised. Every
formula adds logarithms, so that logits of any size stay finite; a logit of -inf is a cell that is excluded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from geolib.cells.nested import IntArray, Partition
from geolib.common.arrays import Vectors, group_sums, to_numpy, top_columns

Array = npt.NDArray[Any]
RULES = ("finest", "consistency", "product", "leaf")
OPTIONS: dict[str, tuple[str, ...]] = dict.fromkeys(RULES, ("temperatures",))  # of each rule
OPTIONS |= {"consistency": ("temperatures", "levels", "top_k", "penalty")}
OPTIONS |= {"product": ("temperatures", "levels", "level_weights")}
EXCLUDED = -1e30  # log-probability of an excluded cell: sums of it stay finite, and its exponential is 0


def fuse(
    logits: Sequence[Vectors],
    tree: Partition,
    rule: str = "consistency",
    *,
    top_k: int | None = None,
    penalty: float | None = None,
    level_weights: Sequence[float] | None = None,
    temperatures: Sequence[float] | None = None,
    levels: Sequence[int] | None = None,
) -> Array:
    """Fuse the scores of all levels into one posterior over the finest cells, float32 (n, n_finest), rows sum to 1.

    Raises `ValueError` for an unknown rule, logits that do not fit the tree, NaN, +inf, a row of only -inf, options out
    of range, and options of another rule.

    Parameters
    ----------
    logits : one (n, n_cells) array per level, coarse to fine.
    rule : "consistency" (the article's filter) or "product": see the function of that name. "finest" and "leaf" both
        take the finest head alone; "leaf" names models whose coarse logits are sums over it (leaf sums, OSV-5M: Astruc
        et al., CVPR 2024, section 4), so that the coarse levels cannot contradict it.
    top_k, penalty : of `consistency`: length of each shortlist (5), and factor for a cell that is not on it (0.3).
    level_weights : of `product`: one number >= 0 per level, default 1.
    temperatures : one per level, default 1: logits are divided by it first (`geolib.judge.calibrate.fit_temperatures`).
    levels : of `consistency` and `product`: coarse levels that take part, 0 the coarsest; default all. The finest level
        always takes part.

    Examples
    --------
    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([50, 40, -30, -40], [0, 10, 120, 130], (2, 4), min_photos=1)
    >>> coarse, fine = np.float32([[0, 2]]), np.float32([[0, 1, 2, 0]])
    >>> fuse([coarse, fine], tree, "consistency", top_k=1).round(2)
    array([[0.03, 0.09, 0.78, 0.11]], dtype=float32)
    """
    if rule not in RULES:
        raise ValueError(f"rule={rule!r} is not a fusion rule; available: {', '.join(RULES)}")
    _check_options(rule, top_k=top_k, penalty=penalty, level_weights=level_weights, levels=levels)
    scores = [check_logits(level, logits, tree) for level in range(len(logits))]
    if len(scores) != tree.n_levels:
        raise ValueError(f"{len(scores)} levels of logits for a tree of {tree.n_levels}: expected one array per level")
    heat = _per_level("temperatures", temperatures, tree, lowest=1e-3)
    weights = _per_level("level_weights", level_weights, tree, lowest=0.0)
    top_k, penalty = 5 if top_k is None else top_k, 0.3 if penalty is None else penalty
    if not 0 < penalty <= 1 or top_k < 1:
        raise ValueError(f"{penalty=}, {top_k=}: expected a penalty in (0, 1] and top_k of at least 1")
    finest: int = tree.n_levels - 1
    part = sorted({*(range(finest) if levels is None else levels), finest})
    if part[0] < 0 or part[-1] > finest or not any(weights[level] for level in part):
        raise ValueError(f"{levels=}, {level_weights=}: expected levels from 0 to {finest}, not all of weight 0")
    log_p = [log_probabilities(scores[level], heat[level]) for level in part]
    above = tree.ancestors[:, part]
    fused = log_p[-1]
    if rule == "consistency":
        fused = consistency(log_p, above, top_k, penalty)
    elif rule == "product":
        fused = product(log_p, above, [weights[level] for level in part])
    posterior: Array = _normalised(fused)
    return posterior


def consistency(log_p: Sequence[Array], above: IntArray, k: int, penalty: float) -> Array:
    """The article's filter: log p(c) + log(penalty) * number of coarse levels that do not shortlist c's ancestor.

    The shortlist of a level is its `k` likeliest cells. A cell is never removed, it becomes less likely.

    log_p : log-probabilities (n, n_cells) per level, coarse to fine. above : (n_finest, levels), each cell's ancestors.

    >>> coarse, fine, above = np.log([[0.9, 0.1]]), np.log([[0.2, 0.8]]), np.array([[0, 0], [1, 1]])
    >>> np.exp(consistency([coarse, fine], above, k=1, penalty=0.5)).round(2)
    array([[0.2, 0.4]])
    """
    total = log_p[-1]
    for level, scores in enumerate(log_p[:-1]):
        factor = np.full_like(scores, math.log(penalty))
        np.put_along_axis(factor, top_columns(scores, k), 0, axis=1)
        total = total + np.take(factor, above[:, level], axis=1)
    return total


def product(log_p: Sequence[Array], above: IntArray, weights: Sequence[float]) -> Array:
    """Probabilities multiplied down the branch: the sum over the levels of weight * log p(ancestor of c).

    With all weights 1 this is the hierarchy of Mueller-Budack et al. (ECCV 2018). The levels see the same photo, so
    that posterior is overconfident: fit the weights on a calibration set (`geolib.judge.calibrate.fit_fusion`).

    log_p, above : as in `consistency`. weights : one per level.

    >>> coarse, fine, above = np.log([[0.9, 0.1]]), np.log([[0.2, 0.8]]), np.array([[0, 0], [1, 1]])
    >>> np.exp(product([coarse, fine], above, weights=[1, 1])).round(2)
    array([[0.18, 0.08]])
    """
    total = np.where(log_p[-1] > EXCLUDED, weights[-1] * log_p[-1], EXCLUDED)  # with weight 0, too
    for level, weight in enumerate(weights[:-1]):
        total += np.take(weight * log_p[level], above[:, level], axis=1)
    return total


def marginals(posterior: Vectors, tree: Partition) -> list[Array]:
    """Sum a posterior (n, n_finest) up to every level: a parent is exactly as likely as its children together.

    Returns one (n, n_cells) array per level, coarse to fine. Raises `ValueError` for a posterior of another tree.

    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([50, 40, -30, -40], [0, 10, 120, 130], (2, 4), min_photos=1)
    >>> marginals(np.float32([[0.1, 0.2, 0.3, 0.4]]), tree)[0].round(1)
    array([[0.3, 0.7]], dtype=float32)
    """
    fine = to_numpy(posterior)
    if fine.ndim != 2 or fine.shape[1] != tree.n_cells[-1]:
        raise ValueError(f"posterior {tuple(fine.shape)}: expected (n, {tree.n_cells[-1]}), one column per finest cell")
    return [group_sums(fine, tree.ancestors[:, level], count) for level, count in enumerate(tree.n_cells)]


def check_logits(level: int, logits: Sequence[Vectors], tree: Partition) -> Array:
    """One level's logits as float32. Refuses a wrong shape, NaN, +inf, and a photo for which every cell is excluded."""
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused below
        scores = to_numpy(logits[level]).astype(np.float32, copy=False)
    expected = (len(logits[0]), tree.n_cells[level] if level < tree.n_levels else "?")
    if scores.shape != expected or not len(scores):
        raise ValueError(f"logits of level {level} are {scores.shape}, expected {expected}, at least one row")
    bad = ~np.isfinite(scores.max(axis=1))  # the largest is NaN if any is NaN
    if bad.any():
        raise ValueError(f"logits of level {level}, row {bad.argmax()}, hold NaN, +inf or only -inf")
    return scores


def scaled(scores: Array, temperature: float) -> Any:
    """Logits (n, n_cells) over the temperature, as new numbers: the highest of each row 0, the excluded `EXCLUDED`."""
    z = scores - scores.max(axis=1, keepdims=True)  # before dividing, which could overflow
    return np.maximum(z / temperature, EXCLUDED)


def log_probabilities(scores: Array, temperature: float = 1.0) -> Any:
    """log softmax(scores / temperature) of logits (n, n_cells); the excluded get `EXCLUDED`."""
    z = scaled(scores, temperature)
    return np.maximum(z - np.log(np.exp(z).sum(axis=1, keepdims=True)), EXCLUDED)


def _normalised(log_posterior: Array) -> Any:
    """exp(x) / sum(exp(x)) of each row, summed in float64: over 50,000 cells float32's own sum is off by 1e-5."""
    p = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True))
    return np.divide(p, p.sum(axis=1, keepdims=True, dtype=np.float64).astype(np.float32))


def _check_options(rule: str, **options: Any) -> None:
    """Refuse options that the rule does not use: silence would look like an effect."""
    for name in [name for name, value in options.items() if value is not None and name not in OPTIONS[rule]]:
        others = " and ".join(other for other in RULES if name in OPTIONS[other])
        raise ValueError(f"rule={rule!r} does not use {name}, an option of {others}: leave it out, or change the rule")


def _per_level(name: str, values: Sequence[float] | None, tree: Partition, lowest: float) -> list[float]:
    """One number per level, default 1."""
    given = np.ones(tree.n_levels) if values is None else np.asarray(values, dtype=np.float64)
    out = given.tolist() if given.ndim == 1 else []  # a single number is not a list
    if len(out) != tree.n_levels or not all(lowest <= value < math.inf for value in out):
        raise ValueError(f"{name}={values}: expected {tree.n_levels} finite numbers of at least {lowest:g}")
    return out
