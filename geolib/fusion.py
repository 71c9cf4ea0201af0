"""Level logits -> one posterior over the finest cells: every fusion rule.

All rules work on log-probabilities, so logits of any size stay finite; a logit of -inf is a cell that is excluded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import brentq, minimize
from torch import Tensor

from geolib.cells import Partition
from geolib.heads import as_tensor

Array = TypeVar("Array", npt.NDArray[np.float32], Tensor)

RULES = ("finest", "consistency", "product", "leaf")
_LOWEST = -1e30  # log-probability of the excluded: sums of it stay finite, and exp of it is 0
_HOTTEST = 100.0  # temperatures are fitted between its inverse and it
_BLOCK_ELEMENTS = 1 << 21  # logits of one block while fitting: 16 MB in float64, and about ten such arrays


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
    """Posterior over the finest cells, float32 (n, n_finest), rows sum to 1. Tensors give a tensor on their device.

    logits: one (n, n_cells) array a level, coarse to fine. Each level is divided by its temperature (default 1) first.
    levels: numbers of the coarse levels that take part where the rule asks any, 0 the coarsest (default: all). The
        finest always takes part.

    finest: the finest head alone.
    consistency: the article's filter. In each coarser level the `top_k` likeliest cells are kept; a finest cell is
        multiplied by `penalty` for every level at which its ancestor is not among them. It is never removed.
    product: log p(c) = sum over levels of w * log p(ancestor of c), normalised (the hierarchy of Mueller-Budack et
        al., ECCV 2018). `level_weights` w default to 1, theirs; the levels see the same photo, so that posterior is
        surer than it should be, and w is better fitted on a calibration split.
    leaf: leaf sums. Over the finest cells this is `finest`, for the heads are trained one a level; it
        differs in where coarse answers come from: from `marginals`, which agree with it, not from the coarse heads.

    Raises `ValueError` for an unknown rule (it lists the rules), logits that do not fit the tree, NaN or +inf or a row
    of only -inf, and settings out of range.
    """
    if rule not in RULES:
        raise ValueError(f"rule={rule!r} is not a fusion rule; available: {', '.join(RULES)}")
    scores = [_checked(level, logits, tree) for level in range(len(logits))]
    if len(scores) != tree.n_levels:
        raise ValueError(f"{len(scores)} levels of logits for a tree of {tree.n_levels}: expected one array a level")
    heat = _per_level("temperatures", temperatures, tree, lowest=1e-3)
    weights = _per_level("level_weights", level_weights, tree, lowest=0.0)
    if not 0 < penalty <= 1 or top_k < 1 or not any(weights):
        raise ValueError(f"{penalty=}, {top_k=}, {level_weights=}: expected (0, 1], at least 1, and not all 0")
    coarse = _coarse(levels, weights)
    ancestors = torch.from_numpy(tree.ancestors).to(scores[0].device)
    posterior = _log_probabilities(scores[-1], heat[-1])
    if rule == "consistency":
        for level in coarse:
            kept = scores[level].topk(min(top_k, tree.n_cells[level]), dim=1).indices
            doubt = torch.full_like(scores[level], math.log(penalty)).scatter_(1, kept, 0.0)
            posterior += doubt[:, ancestors[:, level]]
    elif rule == "product":
        posterior *= weights[-1]
        for level in coarse:
            posterior += (weights[level] * _log_probabilities(scores[level], heat[level]))[:, ancestors[:, level]]
    result = posterior.softmax(dim=1)
    # Over 50,000 cells float32's own sum is off by 1e-5.
    result /= result.sum(dim=1, keepdim=True, dtype=_wide(result)).float()
    return result if isinstance(logits[0], Tensor) else result.numpy()


def marginals(posterior: Array, tree: Partition) -> list[Array]:
    """The posterior (n, n_finest) summed up to every level: [(n, n_cells[level]), ...], coarse to fine.

    Parents are exactly as likely as their children together, whatever the rule (OSV-5M's leaf sums).
    """
    fine = as_tensor(posterior)
    if fine.ndim != 2 or fine.shape[1] != tree.n_cells[-1]:
        raise ValueError(f"posterior {tuple(fine.shape)}: expected (n, {tree.n_cells[-1]}), one column a finest cell")
    ancestors = torch.from_numpy(tree.ancestors).to(fine.device)
    out = [fine.new_zeros(len(fine), count) for count in tree.n_cells]
    for level, total in enumerate(out):
        total.index_add_(1, ancestors[:, level], fine)
    return out if isinstance(posterior, Tensor) else [total.numpy() for total in out]


def fit_temperature(logits: Array, labels: npt.ArrayLike) -> float:
    """The temperature T > 0 with the least log loss of softmax(logits / T) on calibration photos.

    logits: (n, n_cells).  labels: the true cell of each, (n,).

    The loss is convex in 1 / T, so its minimum is where its slope, the mean over the photos of expected logit minus
    true logit, is zero. There is none when the head is always right, T is then 0.01, or no better than chance, T is
    then 100. T changes no photo's likeliest cell. Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017),
    section 4.2.

    Raises `ValueError` for labels that are not cells, logits that `fuse` refuses, and a true cell with a logit of -inf.
    """
    scores = as_tensor(logits).float()
    truth = _true_cells(scores, labels)

    def slope(log_inverse: float) -> float:
        total = 0.0
        for rows in _blocks(scores):
            z = _scaled(scores[rows].to(_wide(scores)), 1.0)
            expected = ((z * math.exp(log_inverse)).softmax(dim=1) * z).sum(dim=1)
            total += float((expected - z.gather(1, truth[rows, None])[:, 0]).sum())
        return total

    edge = math.log(_HOTTEST)
    if slope(-edge) >= 0:
        return _HOTTEST
    return 1 / _HOTTEST if slope(edge) <= 0 else math.exp(-brentq(slope, -edge, edge, xtol=1e-9))


def fit_temperatures(logits: Sequence[Array], cells: npt.ArrayLike) -> list[float]:
    """`fit_temperature` of every level; `cells` (n, n_levels) are the true ones, as `GeocellTree.assign` gives them."""
    truth = np.asarray(cells)
    if truth.ndim != 2 or not len(logits) or truth.shape[1] != len(logits):
        raise ValueError(f"cells {truth.shape}: expected (n, {len(logits)}), one column a level of logits")
    return [fit_temperature(level, truth[:, number]) for number, level in enumerate(logits)]


def fit_fusion(logits: Sequence[Array], cells: npt.ArrayLike, tree: Partition) -> dict[str, list[float]]:
    """`temperatures` and `level_weights` of the product rule, to pass on: `fuse(logits, tree, "product", **fitted)`.

    logits: of calibration photos, one (n, n_cells) array a level.  cells: their true cells, (n, n_levels).

    First each level's temperature by its own log loss; then, these held, the weights >= 0 with the least log loss of
    the fused posterior at the true finest cell. That posterior is a log-linear model, so the loss is convex in the
    weights. They need not sum to 1: their size is the sharpness of the whole. Over the finest cells only weight over
    temperature matters; the temperatures fix the unit, in which a weight of 1 takes a head at its calibrated word. A
    level that adds nothing to the others gets 0.

    Raises `ValueError` for what `fuse` or `fit_temperature` refuse, and where every level is worse than no answer.
    """
    temperatures = fit_temperatures(logits, cells)
    scores = [_checked(level, logits, tree) for level in range(len(logits))]
    truth = _true_cells(scores[-1], np.asarray(cells)[:, -1])
    ancestors = torch.from_numpy(tree.ancestors).to(truth.device)

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        """Mean log loss and its gradient: a level's expected log-probability minus that at the true cell."""
        sums = np.zeros(1 + len(weights))
        for rows in _blocks(scores[-1]):
            parts = zip([z[rows].to(_wide(z)) for z in scores], temperatures, ancestors.T, strict=True)
            # Not normalised: what is added to a whole level changes neither the posterior nor its slope.
            levels = [_scaled(z, heat)[:, above] for z, heat, above in parts]
            log_p = torch.zeros_like(levels[-1])
            for weight, level in zip(weights.tolist(), levels, strict=True):
                log_p.add_(level, alpha=weight)
            log_p, own = log_p.log_softmax(dim=1), truth[rows, None]
            p = log_p.exp()
            sums[0] -= float(log_p.gather(1, own).sum())
            sums[1:] += [float((p * level).sum() - level.gather(1, own).sum()) for level in levels]
        return sums[0] / len(truth), sums[1:] / len(truth)

    start = np.full(len(scores), 1 / len(scores))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(scores), tol=1e-10)
    if not found.x.any():
        raise ValueError(
            "every level is worse than no answer on these photos: are logits and cells of the same photos?"
        )
    return {"temperatures": temperatures, "level_weights": found.x.tolist()}


def _blocks(scores: Tensor) -> list[slice]:
    """Rows of logits (n, n_cells) in blocks of bounded size."""
    step = max(1, _BLOCK_ELEMENTS // scores.shape[1])
    return [slice(begin, begin + step) for begin in range(0, len(scores), step)]


def _wide(tensor: Tensor) -> torch.dtype:
    """The widest float where the tensor lies: MPS has no float64."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


def _true_cells(scores: Tensor, labels: npt.ArrayLike) -> Tensor:
    """Labels (n,) beside logits (n, n_cells); refuses those of no cell, and logits by which one cannot be true."""
    truth = np.asarray(labels)
    if scores.ndim != 2 or not scores.numel() or truth.shape != (len(scores),) or truth.dtype.kind not in "iu":
        raise ValueError(
            f"labels {truth.dtype} {truth.shape} for logits {tuple(scores.shape)}: expected whole numbers (n,) and "
            "(n, n_cells), at least one photo"
        )
    if truth.min() < 0 or truth.max() >= scores.shape[1]:
        raise ValueError(f"labels from {truth.min()} to {truth.max()}: expected cells from 0 to {scores.shape[1] - 1}")
    rows = torch.from_numpy(truth.astype(np.int64)).to(scores.device)
    bad = ~(scores.amax(dim=1).isfinite() & scores.gather(1, rows[:, None])[:, 0].isfinite())
    if bad.any():
        raise ValueError(f"logits of row {int(bad.nonzero()[0])} hold NaN or +inf, or -inf at the true cell")
    return rows


def _log_probabilities(scores: Tensor, temperature: float) -> Tensor:
    return _scaled(scores, temperature).log_softmax(dim=1).clamp_min_(_LOWEST)


def _scaled(scores: Tensor, temperature: float) -> Tensor:
    """Scores over temperature, the highest 0, the excluded `_LOWEST`."""
    scores = scores - scores.amax(dim=1, keepdim=True)  # first, so that dividing cannot overflow
    return (scores / temperature).clamp_min_(_LOWEST)


def _checked(level: int, logits: Sequence[Array], tree: Partition) -> Tensor:
    """A level's logits as float32; refuses a wrong shape, NaN, +inf, and a photo with no possible cell."""
    scores = as_tensor(logits[level]).float()
    expected = (len(logits[0]), tree.n_cells[level] if level < tree.n_levels else "?")
    if tuple(scores.shape) != expected or not len(scores):
        raise ValueError(f"logits of level {level} are {tuple(scores.shape)}, expected {expected}, at least one row")
    best = scores.amax(dim=1)  # NaN if any is NaN
    if not best.isfinite().all():
        row = int((~best.isfinite()).nonzero()[0])
        raise ValueError(f"logits of level {level}, row {row}, hold NaN, +inf or only -inf: check the embedding")
    return scores


def _coarse(levels: Sequence[int] | None, weights: Sequence[float]) -> list[int]:
    """The coarse levels that take part, in order; refuses unknown ones, and that all who speak weigh nothing."""
    known = set(range(len(weights)))
    chosen = known if levels is None else set(levels)
    if not chosen <= known or not any(weights[level] for level in chosen | {len(weights) - 1}):
        raise ValueError(f"{levels=}: expected numbers from 0 to {len(weights) - 1}, not all of weight 0")
    return sorted(chosen - {len(weights) - 1})


def _per_level(name: str, values: Sequence[float] | None, tree: Partition, lowest: float) -> list[float]:
    """Numbers, one a level, default 1."""
    given = np.ones(tree.n_levels) if values is None else np.asarray(values, dtype=np.float64)
    out = given.tolist() if given.ndim == 1 else []  # a single number is no list of them
    if len(out) != tree.n_levels or not all(lowest <= value < math.inf for value in out):
        raise ValueError(f"{name}={values}: expected {tree.n_levels} finite numbers of at least {lowest:g}")
    return out
