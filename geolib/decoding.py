"""Posterior over the finest cells -> one coordinate: every decoding rule.

A posterior is hundreds of numbers, an answer is two, and which answer is best depends on what an error costs. Three
rules look for the best point under a cost, first among all cell centres, then around the best of them:

- the search is exact. Both objectives change slowly from place to place: over r km an expected distance by at most r,
  an expected GeoScore by at most a factor exp(r / 1492.7). So one centre that stands for a block of neighbours bounds
  them all, and most blocks are never opened (branch and bound, Land and Doig 1960);
- the refinement is a walk uphill over the sphere, which only ever goes where the objective is better.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geolib.cells.quadtree import Partition
from geolib.common.arrays import as_tensor
from geolib.sphere import EARTH_RADIUS_KM, GEOSCORE_SCALE_KM, FloatArray, check_lat_lon, to_lat_lon, unit_vectors

RULES = ("argmax", "mean", "mode", "distance", "geoscore")
_MODE_CELLS, _MODE_KM = 16, 1000.0
_BLOCK = 128  # centres in a block of the search
_STEPS, _GUIDES = 5, 2048  # of the refinement: its steps, and the likeliest points that lead them
_CHUNK = 2**18  # numbers worked on at a time: they stay in the processor's cache
_NEAR = 0.01  # radians, 64 km: nearer than that the cosine alone is off by more than 40 m
_STANDING = 4e-4  # radians, 2.5 km: nearer than that, where float32's cosine ends, one stands on the point


def decode(
    posterior: npt.NDArray[Any] | Tensor, tree: Partition, rule: str = "argmax", *, refine: bool = True
) -> tuple[FloatArray, FloatArray]:
    """One place a photo, (lat, lon) in degrees, float64 (n,), from a posterior (n, n_finest) of any scale.

    argmax: the centre of the likeliest cell (of equals the first): right or wrong, always where photos are taken.
    mean: the spherical mean of all centres, weighted by the posterior. It is cautious: between two far
        candidates it lies in the sea between. Where the weighted vectors cancel out, so that no direction is
        left, it is the argmax.
    mode: the posterior at temperature 0.5 (squared), of it the 16 likeliest cells, of these the ones within 1,000 km
        of the first: their spherical mean. It settles on one hump and leans to the hump's side.
    distance: the point with the least expected distance, the geometric median of the posterior.
    geoscore: the point with the greatest expected GeoScore, 5000 exp(-d / 1492.7): near misses count, far ones do not.
    refine: for `distance` and `geoscore`, search on around the best centre; False answers with the centre itself.

    Among all centres none has a smaller expected distance than `distance`, none a greater expected score than
    `geoscore` (to float32's rounding, some metres). Search and refinement run where a posterior tensor lies, and hold
    128 x n_finest distances at a time. Raises `ValueError` for an unknown rule, a posterior that does not fit the tree,
    and rows with negative numbers, NaN, infinity or nothing but zeros.
    """
    return decode_points(posterior, *tree.centers(-1), rule, refine=refine)


def decode_points(
    mass: npt.NDArray[Any] | Tensor,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    rule: str = "argmax",
    *,
    refine: bool = True,
) -> tuple[FloatArray, FloatArray]:
    """`decode` for a distribution over any points: `mass` (n, m) of any scale on `lat`, `lon`, degrees.

    lat, lon: (m,), the same points for every row, or (n, m), each row its own, such as the photos that
        `geolib.retrieve` finds for it.
    """
    if rule not in RULES:
        raise ValueError(f"rule={rule!r} is not a decoding rule; available: {', '.join(RULES)}")
    shape = np.shape(lat)
    flat = check_lat_lon(np.ravel(lat), np.ravel(lon))
    share = _shares(mass, shape)
    points = unit_vectors(*flat).reshape(*shape, 3)
    if rule in ("mean", "mode"):
        return to_lat_lon(_mean(share, points) if rule == "mean" else _mode(share, points))
    share, unit = share.float(), torch.from_numpy(points).float().to(share.device)
    if rule == "argmax":
        best = share.argmax(dim=1)
    else:
        best = (_best_of_shared if unit.ndim == 2 else _best_of_own)(share, unit, rule)
    answer = _take(torch.from_numpy(np.stack(flat, axis=-1).reshape(*shape, 2)), best.cpu()).numpy()
    if refine and rule != "argmax":
        start = _take(unit, best)
        at = _climb(share, unit, start, rule)
        moved = (at != start).any(dim=1).cpu().numpy()
        if moved.any():  # a centre that is best is answered as it is
            answer[moved] = np.stack(to_lat_lon(at.double().cpu().numpy()[moved]), axis=-1)
    return answer[:, 0], answer[:, 1]


def expected(
    mass: npt.NDArray[Any] | Tensor,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    at: tuple[npt.ArrayLike, npt.ArrayLike],
    cost: str = "geoscore",
) -> FloatArray:
    """Expected GeoScore (or with cost="distance" km) of the answers `at` (lat, lon), (n,), under `mass`, (n,).

    mass, lat, lon: as in `decode_points`. What `decode` maximises (or minimises), for looking at it.
    """
    if cost not in ("geoscore", "distance"):
        raise ValueError(f"cost={cost!r}: expected 'geoscore' or 'distance'")
    shape = np.shape(lat)
    points = torch.from_numpy(unit_vectors(*check_lat_lon(np.ravel(lat), np.ravel(lon))).reshape(*shape, 3))
    share = _shares(mass, shape)
    here = torch.from_numpy(unit_vectors(*check_lat_lon(*at)))
    if len(here) != len(share):
        raise ValueError(f"{len(here)} answers for {len(share)} rows of mass: expected one a row")
    value = _value(share.double(), points.to(share.device), here.to(share.device), cost).cpu().numpy()
    return np.asarray(-value if cost == "distance" else value, dtype=np.float64)


def _shares(mass: npt.NDArray[Any] | Tensor, shape: tuple[int, ...]) -> Tensor:
    """Rows that sum to 1, float32 (float64 stays) where `mass` lies; refuses what is no distribution."""
    rows = mass.detach() if isinstance(mass, Tensor) else as_tensor(np.asarray(mass))
    if rows.ndim != 2 or not len(rows) or shape not in ((rows.shape[1],), tuple(rows.shape)):
        m = shape[-1] if shape else 1
        raise ValueError(f"posterior {tuple(rows.shape)}: expected (n, {m}), one column a finest cell, n >= 1")
    rows = rows if rows.dtype == torch.float64 else rows.float()
    totals = rows.sum(dim=1, dtype=torch.float64 if rows.device.type != "mps" else torch.float32)
    bad = ~((rows.amin(dim=1) >= 0) & (totals > 0) & (totals < math.inf))  # NaN compares false
    if bad.any():
        row = int(bad.nonzero()[0])
        raise ValueError(f"posterior row {row} is not a distribution: expected finite numbers >= 0, not all 0")
    return rows / totals[:, None].to(rows.dtype)


def _take(values: Tensor, best: Tensor) -> Tensor:
    """Row `best[i]` (n,) of `values` (m, k), which all share, or of `values[i]` where they are (n, m, k)."""
    return values[best] if values.ndim == 2 else values[torch.arange(len(best), device=values.device), best]


def _mean(share: Tensor, points: FloatArray) -> FloatArray:
    weights = share.double().cpu().numpy()
    mean: FloatArray = weights @ points if points.ndim == 2 else np.einsum("nm,nmk->nk", weights, points)
    lost = np.linalg.norm(mean, axis=1) < 1e-6  # shorter than float32's rounding of the posterior
    best = torch.from_numpy(weights.argmax(axis=1))
    mean[lost] = _take(torch.from_numpy(points), best).numpy()[lost]
    return mean


def _mode(share: Tensor, points: FloatArray) -> FloatArray:
    top = share.topk(min(_MODE_CELLS, share.shape[1]), dim=1)
    weights, columns = (top.values.double() ** 2).cpu().numpy(), top.indices.cpu().numpy()
    near = points[columns] if points.ndim == 2 else np.take_along_axis(points, columns[..., None], axis=1)
    cosine = np.einsum("nmk,nk->nm", near, near[:, 0])
    weights[cosine < math.cos(_MODE_KM / EARTH_RADIUS_KM)] = 0
    return np.asarray(np.einsum("nm,nmk->nk", weights, near), dtype=np.float64)


def _arc(a: Tensor, points: Tensor) -> Tensor:
    """Angles in radians from each of `a` (n, 3) to `points` (m, 3), or to its own (n, m, 3): (n, m).

    From differences of coordinates: the cosine of a small angle has lost it in float32.
    """
    square = (a[:, :1] - points[..., 0]).square_()
    for axis in (1, 2):
        difference = a[:, axis, None] - points[..., axis]
        square.addcmul_(difference, difference)
    return square.mul_(0.25).clamp_(max=1).sqrt_().asin_().mul_(2)


def _gain(arc: Tensor, rule: str) -> Tensor:
    """What an answer is worth at these angles, in place: minus the km, or the GeoScore."""
    if rule == "distance":
        return arc.mul_(-EARTH_RADIUS_KM)
    return arc.mul_(-EARTH_RADIUS_KM / GEOSCORE_SCALE_KM).exp_().mul_(5000)


def _value(share: Tensor, points: Tensor, at: Tensor, rule: str) -> Tensor:
    """Expected gain of the answer `at` (n, 3) of each row, (n,)."""
    rows = max(1, _CHUNK // share.shape[1])
    parts = []
    for start in range(0, len(share), rows):
        part = slice(start, start + rows)
        gain = _gain(_arc(at[part], points if points.ndim == 2 else points[part]), rule)
        parts.append((share[part] * gain).sum(dim=1))
    return torch.cat(parts)


def _best_of_own(share: Tensor, points: Tensor, rule: str) -> Tensor:
    """The best of each row's own points (n, m, 3), int64 (n,): all pairs, for rows are short."""
    columns = range(points.shape[1])
    return torch.stack([_value(share, points, points[:, column], rule) for column in columns], dim=1).argmax(dim=1)


def _best_of_shared(share: Tensor, points: Tensor, rule: str) -> Tensor:
    """The best of the points (m, 3) for each row, int64 (n,), by branch and bound over blocks of neighbours."""
    blocks = _blocks(points)
    stand_ins = torch.stack([_most_central(points, block) for block in blocks])
    reach = torch.stack(
        [_arc(points[i, None], points[block]).max() for i, block in zip(stand_ins, blocks, strict=True)]
    )
    parts = torch.split(stand_ins, _BLOCK)
    value = torch.cat([share @ _gain(_arc(points[part], points), rule).T for part in parts], dim=1)
    km = reach * EARTH_RADIUS_KM
    bound = value + km if rule == "distance" else value * (km / GEOSCORE_SCALE_KM).exp()
    best, first = value.max(dim=1)
    found, gains = stand_ins[first], _Gains(points, rule)
    # Blocks that look best to many go first: they raise what the others have to beat.
    order = torch.bincount(first, minlength=len(blocks)).argsort(descending=True, stable=True)
    for number in order.tolist():
        rows, block = (bound[:, number] > best).nonzero()[:, 0], blocks[number]
        if not len(rows) or len(block) == 1:
            continue
        here, column = (share[rows] @ gains(block, stand_ins[number], reach[number]).T).max(dim=1)
        better = here > best[rows]
        best[rows[better]], found[rows[better]] = here[better], block[column[better]]
    return found


class _Gains:
    """Gains (k, m) of answering with the k points of a block, under the truth at each of the points (m, 3).

    The cosines come from a matrix product, which is fast, and which float32 spoils near 0: 2 km at the point itself,
    0.1 km at 20 km. Within 64 km of the block differences replace them. One buffer serves all calls: allocating it anew
    takes as long as filling it.
    """

    def __init__(self, points: Tensor, rule: str) -> None:
        self.points, self.rule, self.transposed = points, rule, points.T.contiguous()
        self.buffer = points.new_empty(_BLOCK, len(points))

    def __call__(self, block: Tensor, stand_in: Tensor, reach: Tensor) -> Tensor:
        here = self.points[block]
        arc = torch.mm(here, self.transposed, out=self.buffer[: len(block)])
        near = (arc[(block == stand_in).nonzero()[0]] > (reach + _NEAR).cos()).nonzero()[:, 1]
        arc.clamp_(-1, 1).acos_()
        arc[:, near] = _arc(here, self.points[near])
        return _gain(arc, self.rule)


def _most_central(points: Tensor, block: Tensor) -> Tensor:
    """The point of a block (k,) that is nearest to its middle, a number int64 ()."""
    inside = points[block]
    nearest: Tensor = (inside - inside.mean(dim=0)).square().sum(dim=1).argmin()
    return block[nearest]


def _blocks(points: Tensor) -> list[Tensor]:
    """Points (m, 3) in blocks of at most 128 neighbours: halved along the widest axis until they are small."""
    parts, blocks = [torch.arange(len(points), device=points.device)], []
    while parts:
        part = parts.pop()
        if len(part) <= _BLOCK:
            blocks.append(part)
            continue
        inside = points[part]
        axis = int((inside.amax(dim=0) - inside.amin(dim=0)).argmax())
        halves = part[inside[:, axis].argsort(stable=True)].tensor_split(2)
        parts += halves
    return blocks


def _climb(share: Tensor, points: Tensor, start: Tensor, rule: str) -> Tensor:
    """From `start` (n, 3) uphill on the sphere: unit vectors (n, 3) with an expected gain that is never smaller.

    Weiszfeld's algorithm on the sphere (Fletcher, Venkatasubramanian, Joshi, NeuroImage 2009), corrected as by Vardi
    and Zhang (PNAS 2000) for starts that are one of the points, as all are here. For the GeoScore each weight is also
    multiplied by the slope of the score. The likeliest points show the way; all of them judge where it led.
    """
    top = share.topk(min(_GUIDES, share.shape[1]), dim=1)
    ends = []
    for rows in torch.split(torch.arange(len(share), device=share.device), max(1, _CHUNK // top.indices.shape[1])):
        columns = top.indices[rows]
        own = points[columns] if points.ndim == 2 else torch.take_along_dim(points[rows], columns[..., None], dim=1)
        at = start[rows]
        for _ in range(_STEPS):
            at = _step(top.values[rows], own, at, rule)
        ends.append(at)
    at = torch.cat(ends)
    better = _value(share, points, at, rule) > _value(share, points, start, rule)
    return torch.where(better[:, None], at, start)


def _step(share: Tensor, points: Tensor, at: Tensor, rule: str) -> Tensor:
    """The next points of the iteration, unit vectors (n, 3), under mass (n, m) on points (n, m, 3)."""
    arc = torch.einsum("nk,nmk->nm", at, points).clamp_(-1, 1).acos_()
    weight = share * (arc * (-EARTH_RADIUS_KM / GEOSCORE_SCALE_KM)).exp_() if rule == "geoscore" else share
    standing = arc < _STANDING
    held = (weight * standing).sum(dim=1)
    weight = weight.masked_fill(standing, 0)
    total = (weight / arc.clamp_min_(_STANDING)).sum(dim=1)
    weight.div_(arc.sin_().clamp_min_(_STANDING))
    pull = torch.einsum("nm,nmk->nk", weight, points)
    pull -= (pull * at).sum(dim=1, keepdim=True) * at  # tangent to the sphere; its length is the force
    force = pull.norm(dim=1).clamp_min(1e-30)
    step = ((force - held).clamp_min(0) / total.clamp_min(1e-30))[:, None]
    moved: Tensor = at * step.cos() + pull / force[:, None] * step.sin()
    return moved
