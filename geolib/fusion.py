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
from torch import Tensor

from geolib.cells.quadtree import Partition
from geolib.common.arrays import as_tensor

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


def _blocks(scores: Tensor) -> list[slice]:
    """Rows of logits (n, n_cells) in blocks of bounded size."""
    step = max(1, _BLOCK_ELEMENTS // scores.shape[1])
    return [slice(begin, begin + step) for begin in range(0, len(scores), step)]


def _wide(tensor: Tensor) -> torch.dtype:
    """The widest float where the tensor lies: MPS has no float64."""
    return torch.float32 if tensor.device.type == "mps" else torch.float64


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
