"""Scores of all levels -> one posterior over the finest cells.

Each rule is one short function from the levels' log-probabilities to a log-posterior that is not yet normalised. Every
formula adds logarithms, so that logits of any size stay finite; a logit of -inf is a cell that is excluded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from geolib.cells.quadtree import Partition
from geolib.common.arrays import as_array, columns, group_sums, namespace, top_k, wide_float

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", npt.NDArray[np.float32], "Tensor")
RULES = ("finest", "consistency", "product", "leaf")
EXCLUDED = -1e30  # log-probability of an excluded cell: sums of it stay finite, and its exponential is 0


def fuse(
    logits: Sequence[Array],
    tree: Partition,
    rule: str = "consistency",
    *,
    top_k: int = 5,
    penalty: float = 0.3,
    level_weights: Sequence[float] | None = None,
    temperatures: Sequence[float] | None = None,
    levels: Sequence[int] | None = None,
) -> Array:
    """Fuse the scores of all levels into one posterior over the finest cells.

    Parameters
    ----------
    logits : one (n, n_cells) array per level, coarse to fine; numpy arrays or tensors.
    rule : "consistency" (the article's filter) or "product": see the function of that name. "finest" is the finest head
        alone. So is "leaf", but there the coarse levels' probabilities are the `marginals` of the posterior, which
        always agree with it (leaf sums, OSV-5M: Astruc et al., CVPR 2024, section 4).
    top_k, penalty : of `consistency`: length of each shortlist, and factor for a cell that is not on it.
    level_weights : of `product`: one number >= 0 per level, default 1.
    temperatures : one per level, default 1: logits are divided by it first (`geolib.judge.calibrate.fit_temperatures`).
    levels : coarse levels that take part, 0 the coarsest; default all. The finest level always takes part.

    Returns
    -------
    Posterior, float32 (n, n_finest), rows sum to 1: numpy for numpy, for tensors a tensor on their device.

    Raises
    ------
    ValueError : an unknown rule, logits that do not fit the tree, NaN, +inf, a row of only -inf, options out of range.

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
    scores = [check_logits(level, logits, tree) for level in range(len(logits))]
    if len(scores) != tree.n_levels:
        raise ValueError(f"{len(scores)} levels of logits for a tree of {tree.n_levels}: expected one array per level")
    heat = _per_level("temperatures", temperatures, tree, lowest=1e-3)
    weights = _per_level("level_weights", level_weights, tree, lowest=0.0)
    if not 0 < penalty <= 1 or top_k < 1:
        raise ValueError(f"{penalty=}, {top_k=}: expected a penalty in (0, 1] and top_k of at least 1")
    finest: int = tree.n_levels - 1
    part = sorted({*(range(finest) if levels is None else levels), finest})
    if part[0] < 0 or part[-1] > finest or not any(weights[level] for level in part):
        raise ValueError(f"{levels=}, {level_weights=}: expected levels from 0 to {finest}, not all of weight 0")
    log_p = [log_probabilities(scores[level], heat[level]) for level in part]
    above = namespace(scores[0]).asarray(tree.ancestors, device=scores[0].device)[:, part]
    fused = log_p[-1]
    if rule == "consistency":
        fused = consistency(log_p, above, top_k, penalty)
    elif rule == "product":
        fused = product(log_p, above, [weights[level] for level in part])
    posterior: Array = _normalised(fused)
    return posterior


def consistency(log_p: Sequence[Any], above: Any, k: int, penalty: float) -> Any:
    """The article's filter: log p(c) + log(penalty) * number of coarse levels that do not shortlist c's ancestor.

    The shortlist of a level is its `k` likeliest cells. A cell is never removed, it becomes less likely.

    log_p : log-probabilities (n, n_cells) per level, coarse to fine. above : (n_finest, levels), each cell's ancestors.

    >>> coarse, fine, above = np.log([[0.9, 0.1]]), np.log([[0.2, 0.8]]), np.array([[0, 0], [1, 1]])
    >>> np.exp(consistency([coarse, fine], above, k=1, penalty=0.5)).round(2)
    array([[0.2, 0.4]])
    """
    xp, total = namespace(log_p[-1]), log_p[-1]
    rows = xp.arange(len(total), device=total.device)[:, None]
    for level, scores in enumerate(log_p[:-1]):
        factor = xp.full_like(scores, math.log(penalty))
        factor[rows, top_k(scores, min(k, scores.shape[1]))[1]] = 0
        total = total + columns(factor, above[:, level])
    return total


def product(log_p: Sequence[Any], above: Any, weights: Sequence[float]) -> Any:
    """Probabilities multiplied down the branch: the sum over the levels of weight * log p(ancestor of c).

    With all weights 1 this is the hierarchy of Mueller-Budack et al. (ECCV 2018). The levels see the same photo, so
    that posterior is overconfident: fit the weights on a calibration set (`geolib.judge.calibrate.fit_fusion`).

    log_p, above : as in `consistency`. weights : one per level.

    >>> coarse, fine, above = np.log([[0.9, 0.1]]), np.log([[0.2, 0.8]]), np.array([[0, 0], [1, 1]])
    >>> np.exp(product([coarse, fine], above, weights=[1, 1])).round(2)
    array([[0.18, 0.08]])
    """
    total = weights[-1] * log_p[-1]
    for level, weight in enumerate(weights[:-1]):
        total += columns(weight * log_p[level], above[:, level])
    return total


def marginals(posterior: Array, tree: Partition) -> list[Array]:
    """Sum a posterior (n, n_finest) up to every level: a parent is exactly as likely as its children together.

    Returns one (n, n_cells) array per level, coarse to fine. Raises `ValueError` for a posterior of another tree.

    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([50, 40, -30, -40], [0, 10, 120, 130], (2, 4), min_photos=1)
    >>> marginals(np.float32([[0.1, 0.2, 0.3, 0.4]]), tree)[0].round(1)
    array([[0.3, 0.7]], dtype=float32)
    """
    fine = as_array(posterior)
    if fine.ndim != 2 or fine.shape[1] != tree.n_cells[-1]:
        raise ValueError(f"posterior {tuple(fine.shape)}: expected (n, {tree.n_cells[-1]}), one column per finest cell")
    above = namespace(fine).asarray(tree.ancestors, device=fine.device)
    return [group_sums(fine, above[:, level], count) for level, count in enumerate(tree.n_cells)]


def check_logits(level: int, logits: Sequence[Array], tree: Partition) -> Any:
    """One level's logits as float32. Refuses a wrong shape, NaN, +inf, and a photo for which every cell is excluded."""
    scores = as_array(logits[level])
    xp = namespace(scores)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused below
        scores = xp.asarray(scores, dtype=xp.float32)
    expected = (len(logits[0]), tree.n_cells[level] if level < tree.n_levels else "?")
    if tuple(scores.shape) != expected or not len(scores):
        raise ValueError(f"logits of level {level} are {tuple(scores.shape)}, expected {expected}, at least one row")
    bad = xp.where(~xp.isfinite(xp.amax(scores, axis=1)))[0]  # the largest is NaN if any is NaN
    if len(bad):
        raise ValueError(f"logits of level {level}, row {int(bad[0])}, hold NaN, +inf or only -inf")
    return scores


def scaled(scores: Any, temperature: float) -> Any:
    """Logits (n, n_cells) over the temperature, as new numbers: the highest of each row 0, the excluded `EXCLUDED`."""
    xp = namespace(scores)
    scores = scores - xp.amax(scores, axis=1, keepdims=True)  # before dividing, which could overflow
    scores /= temperature
    return xp.clip(scores, EXCLUDED, None, out=scores)


def log_probabilities(scores: Any, temperature: float = 1.0) -> Any:
    """log softmax(scores / temperature) of logits (n, n_cells); the excluded get `EXCLUDED`."""
    xp, z = namespace(scores), scaled(scores, temperature)
    z -= xp.log(xp.sum(xp.exp(z), axis=1, keepdims=True))
    return xp.clip(z, EXCLUDED, None, out=z)


def _normalised(log_posterior: Any) -> Any:
    """exp(x) / sum(exp(x)) of each row, summed in float64: over 50,000 cells float32's own sum is off by 1e-5."""
    xp = namespace(log_posterior)
    p = log_posterior - xp.amax(log_posterior, axis=1, keepdims=True)
    p = xp.exp(p, out=p)
    p /= xp.asarray(xp.sum(p, axis=1, keepdims=True, dtype=wide_float(p)), dtype=xp.float32)
    return p


def _per_level(name: str, values: Sequence[float] | None, tree: Partition, lowest: float) -> list[float]:
    """One number per level, default 1."""
    given = np.ones(tree.n_levels) if values is None else np.asarray(values, dtype=np.float64)
    out = given.tolist() if given.ndim == 1 else []  # a single number is not a list
    if len(out) != tree.n_levels or not all(lowest <= value < math.inf for value in out):
        raise ValueError(f"{name}={values}: expected {tree.n_levels} finite numbers of at least {lowest:g}")
    return out
