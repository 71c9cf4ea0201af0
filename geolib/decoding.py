"""Posterior over the finest cells -> one coordinate, by every decoding rule, and how sure that answer is.

A posterior is hundreds of numbers, an answer is two. Which answer is best depends on what an error costs. `distance`
and `geoscore` look for the best point under a cost, first among all cell centres, then around the best of them:

- The search is exact. Both objectives change slowly from place to place: over r km an expected distance by at most r,
  an expected GeoScore by at most a factor exp(r / 1492.7). So one centre that stands for a block of neighbours bounds
  them all, and most blocks are never opened (branch and bound, Land and Doig 1960).
- The refinement walks over the sphere from the best centre until its steps are short, and keeps the end only if it is
  better there.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from geolib.cells.nested import Partition
from geolib.common.arrays import Vectors, by_rows, pieces, to_numpy, top_columns
from geolib.sphere import EARTH_RADIUS_KM, GEOSCORE_SCALE_KM, FloatArray, check_lat_lon, to_lat_lon, unit_vectors

Array = npt.NDArray[Any]
RULES = ("argmax", "mean", "mode", "distance", "geoscore")
CLOSE_KM = 750.0  # an answer within this distance counts as right where a `confidence` is given
_MODE_CELLS, _MODE_KM = 16, 1000.0
BLOCK = 128  # centres in a block of the search
_STEPS, _GUIDES = 200, 2048  # of the refinement: at most so many steps, and the likeliest points that lead them
_STILL, _LONGEST = 1e-6, 16.0  # a step under so many radians, 6 m, ends it; the longest is so many plain steps
_CHUNK = 2**18  # numbers at a time: they stay in the processor's cache
_NEAR = 0.01  # radians, 64 km: nearer than that the cosine alone is off by more than 40 m
_AT_POINT = 1e-6  # radians, 6 m: nearer than that the refinement is at the point, where its formula divides by 0


def decode(
    posterior: Vectors, tree: Partition, rule: str = "argmax", *, refine: bool = True
) -> tuple[FloatArray, FloatArray]:
    """Answer each photo with one place. Raises `ValueError` for rows that are not distributions over the finest cells.

    - argmax: the centre of the likeliest cell (the first of equals). Right or wrong, always where photos are taken.
    - mean: the spherical mean of all centres, weighted by the posterior. Between two far candidates it lies in the sea.
      Where the weighted vectors cancel out and leave no direction, it is the argmax.
    - mode: the mean of one peak. Of the squared posterior it takes the 16 likeliest cells, of these the ones within
      1,000 km of the first, and their spherical mean.
    - distance: about the point with the least expected distance (the geometric median): the best centre, refined.
    - geoscore: about the point with the greatest expected GeoScore, 5000 exp(-km / 1492.7): only near misses count.

    Parameters
    ----------
    posterior : (n, n_finest), >= 0; rows need not sum to 1.
    refine : for `distance` and `geoscore`: search on around the best centre. False answers with the centre itself.

    Returns
    -------
    (lat, lon) in degrees, float64 (n,) each. No centre has a smaller expected distance than `distance`, or a greater
    expected score than `geoscore`, to float32's rounding (metres).

    Examples
    --------
    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([50, 40, -30, -40], [0, 10, 120, 130], (2, 4), min_photos=1)
    >>> lat, lon = decode(np.array([[0.1, 0.2, 0.4, 0.3]]), tree, "geoscore")
    >>> lat.round(1), lon.round(1)
    (array([40.]), array([10.]))
    """
    return decode_points(posterior, *tree.centers(-1), rule, refine=refine)


def decode_points(
    mass: Vectors, lat: npt.ArrayLike, lon: npt.ArrayLike, rule: str = "argmax", *, refine: bool = True
) -> tuple[FloatArray, FloatArray]:
    """`decode` for a distribution over any points; rules, answer and errors as there.

    mass: (n, m) of any scale.  lat, lon: degrees, (m,) for points that all rows share, or (n, m) for rows with points
    of their own, such as the photos that `geolib.refine.photos` finds for each.

    >>> lat, lon = decode_points(np.array([[1.0, 1.0]]), [10, 10], [179, -179], "mean")
    >>> lat.round(), abs(lon)
    (array([10.]), array([180.]))
    """
    if rule not in RULES:
        raise ValueError(f"rule={rule!r} is not a decoding rule; available: {', '.join(RULES)}")
    share, points = _shares_and_points(mass, lat, lon)
    if rule in ("mean", "mode"):
        return to_lat_lon((_mean if rule == "mean" else _mode)(share, _per_row(points, share)))
    share, unit = share.astype(np.float32), points.astype(np.float32)
    if rule == "argmax":
        best = share.argmax(axis=1)
    else:
        best = (_best_of_shared if unit.ndim == 2 else _best_of_own)(share, unit, rule)
    places = np.stack([np.asarray(lat, np.float64), np.asarray(lon, np.float64)], axis=-1)
    answer = _take(_per_row(places, share), best)
    if refine and rule != "argmax":
        start = _take(_per_row(points, share), best)
        at = _climb(share, _per_row(points, share), start, rule)
        moved = (at != start).any(axis=1)  # a centre that is best is answered as it is
        answer[moved] = np.stack(to_lat_lon(at[moved]), axis=-1)
    return answer[:, 0], answer[:, 1]


def expected(
    mass: Vectors,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    at: tuple[npt.ArrayLike, npt.ArrayLike],
    cost: str = "geoscore",
) -> FloatArray:
    """Expected GeoScore, or with cost="distance" km, of one answer per row, (n,): what `decode` makes best.

    mass, lat, lon: as in `decode_points`.  at: the answers (lat, lon), degrees (n,) each.

    >>> expected(np.array([[1.0, 1.0]]), [0, 0], [0, 90], ([0], [0]), "distance").round()
    array([5004.])
    """
    if cost not in ("geoscore", "distance"):
        raise ValueError(f"cost={cost!r}: expected 'geoscore' or 'distance'")
    share, points, here = _answered(mass, lat, lon, at)
    value = _value(share.astype(np.float64), _per_row(points, share), here, cost)
    return np.asarray(-value if cost == "distance" else value)


def confidence(posterior: Vectors, tree: Partition, lat: npt.ArrayLike, lon: npt.ArrayLike) -> FloatArray:
    """How sure each answer is, from 0 to 1, (n,): the share of the posterior within 750 km of it.

    A cell counts if its centre lies that near; one larger than the circle counts in part, by the areas. This ranks
    errors better than the likeliest cell, whose probability depends on its size, and than entropies, which do not know
    how far apart two candidates are. It is as well calibrated as the posterior (`geolib.judge.calibrate.reliability`):
    a photo without a clue gets what the prior has there, not 0.

    posterior: (n, n_finest).  lat, lon: the answers, degrees (n,). Raises `ValueError` as `decode` does.

    >>> from geolib.cells import GeocellTree
    >>> lat, lon = np.mgrid[40:60:2, 0:20:2].reshape(2, -1)
    >>> tree = GeocellTree.fit(lat, lon, (100,), min_photos=1)
    >>> uniform = np.full((2, tree.n_cells[-1]), 1 / tree.n_cells[-1])
    >>> confidence(uniform, tree, [50, 0], [10, -90]).round(2)  # in the middle of the cells, and far from all
    array([0.56, 0.  ])
    """
    share, centers, here = _answered(posterior, *tree.centers(-1), (lat, lon))
    angle = CLOSE_KM / EARTH_RADIUS_KM
    circle_km2 = 4 * math.pi * (EARTH_RADIUS_KM * math.sin(angle / 2)) ** 2
    part = np.minimum(1, circle_km2 / tree.areas_km2(-1))
    held = by_rows(lambda p, at: (p * (at @ centers.T >= math.cos(angle))) @ part, share, here)
    return np.asarray(np.clip(held, 0, 1), dtype=np.float64)


def radius_km(posterior: Vectors, tree: Partition, lat: npt.ArrayLike, lon: npt.ArrayLike) -> FloatArray:
    """The distance from each answer within which half of its posterior lies, km (n,); arguments as in `confidence`.

    A cell is as far away as its centre and, at right angles to it, 2/3 of the radius of a disc of its area, which is
    the mean distance within that disc. Not calibrated: `geolib.judge.calibrate.ConformalCaps` makes it so.

    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([45, 45, -45, -45], [-90, 90, -90, 90], (4,), min_photos=1)
    >>> radius_km(np.array([[1.0, 0, 0, 0], [0.4, 0.6, 0, 0]]), tree, [-45, -45], [-90, -90]).round()
    array([ 4247., 10872.])
    """
    share, centers, here = _answered(posterior, *tree.centers(-1), (lat, lon))
    within = 2 / 3 * np.sqrt(tree.areas_km2(-1) / math.pi)

    def half(p: Array, at: FloatArray) -> FloatArray:
        km = np.hypot(EARTH_RADIUS_KM * np.arccos(np.clip(at @ centers.T, -1, 1)), within)
        order = np.argsort(km, axis=1, kind="stable")
        held = np.cumsum(np.take_along_axis(p, order, axis=1), axis=1, dtype=np.float64)
        reached = (held < held[:, -1:] / 2).sum(axis=1)
        return np.asarray(_take(km, _take(order, reached)))

    return by_rows(half, share, here)


def _answered(
    mass: Vectors, lat: npt.ArrayLike, lon: npt.ArrayLike, at: tuple[npt.ArrayLike, npt.ArrayLike]
) -> tuple[Array, FloatArray, FloatArray]:
    """Shares (n, m) and points as `_shares_and_points`, and the answers `at` as unit vectors, (n, 3)."""
    share, points = _shares_and_points(mass, lat, lon)
    here = unit_vectors(*check_lat_lon(*at))
    if len(here) != len(share):
        raise ValueError(f"{len(here)} answers for {len(share)} rows of mass: expected one per row")
    return share, points, here


def _shares_and_points(mass: Vectors, lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[Array, FloatArray]:
    """Rows (n, m) that sum to 1, float32 (float64 stays), and the points as unit vectors.

    Refuses rows that are not a distribution, and points that do not fit them.
    """
    shape = np.shape(lat)
    points = unit_vectors(*check_lat_lon(np.ravel(lat), np.ravel(lon))).reshape(*shape, 3)
    rows = to_numpy(mass)
    if rows.ndim != 2 or not len(rows) or shape not in ((rows.shape[1],), rows.shape):
        m = shape[-1] if shape else 1
        raise ValueError(f"posterior {rows.shape}: expected (n, {m}), one column per finest cell, n >= 1")
    rows = rows if rows.dtype == np.float64 else rows.astype(np.float32)
    totals = rows.sum(axis=1, dtype=np.float64)
    bad = ~((rows.min(axis=1) >= 0) & (totals > 0) & (totals < math.inf))  # NaN compares false
    if bad.any():
        raise ValueError(f"posterior row {bad.argmax()} is not a distribution: expected finite numbers >= 0, not all 0")
    return rows / totals.astype(rows.dtype)[:, None], points


def _per_row(points: Array, share: Array) -> Any:
    """Points (m, k) or (n, m, k) as (n, m, k): without a copy, all rows share the same."""
    return np.broadcast_to(points, (*share.shape, points.shape[-1]))


def _take(points: Array, index: Array) -> Any:
    """The points of each row (n, m, k) with the numbers `index`, (n,) or (n, j)."""
    rows = np.arange(len(index))
    return points[rows[:, None] if index.ndim == 2 else rows, index]


def _mean(share: Array, points: FloatArray) -> FloatArray:
    weights = share.astype(np.float64)
    mean: FloatArray = np.einsum("nm,nmk->nk", weights, points)
    lost = np.linalg.norm(mean, axis=1) < 1e-6  # shorter than float32's rounding of the posterior
    mean[lost] = _take(points, weights.argmax(axis=1))[lost]
    return mean


def _mode(share: Array, points: FloatArray) -> FloatArray:
    columns = top_columns(share, _MODE_CELLS)
    weights, near = np.take_along_axis(share, columns, axis=1).astype(np.float64) ** 2, _take(points, columns)
    weights[np.einsum("nmk,nk->nm", near, near[:, 0]) < math.cos(_MODE_KM / EARTH_RADIUS_KM)] = 0
    return np.asarray(np.einsum("nm,nmk->nk", weights, near), dtype=np.float64)


def _arc(a: Array, points: Array) -> Any:
    """Angles in radians (n, m) from each of `a` (n, 3) to `points` (m, 3), or to its own (n, m, 3).

    Computed from differences of coordinates: in float32 the cosine cannot tell a small angle from 0.
    """
    x, y, z = (a[:, axis, None] - points[..., axis] for axis in range(3))
    return 2 * np.arcsin(np.clip(np.sqrt(x * x + y * y + z * z) / 2, None, 1))


def _gain(arc: Array, rule: str) -> Any:
    """What an answer is worth at these angles: minus the km, or the GeoScore."""
    km = EARTH_RADIUS_KM * arc
    return -km if rule == "distance" else 5000 * np.exp(km / -GEOSCORE_SCALE_KM)


def _value(share: Array, points: Array, at: Array, rule: str) -> Any:
    """Expected gain of the answer `at` (n, 3) of each row, (n,)."""
    step = max(1, _CHUNK // share.shape[1])
    blocks = zip(*(pieces(rows, step) for rows in (share, points, at)), strict=True)
    return np.concatenate([(mass * _gain(_arc(here, places), rule)).sum(axis=1) for mass, places, here in blocks])


def _best_of_own(share: Array, points: Array, rule: str) -> Any:
    """The best of each row's own points (n, m, 3), int64 (n,): all pairs, as rows are short."""
    numbers = range(points.shape[1])
    return np.argmax(np.stack([_value(share, points, points[:, number], rule) for number in numbers], axis=1), axis=1)


def _best_of_shared(share: Array, points: Array, rule: str) -> Any:
    """The best of the points (m, 3) for each row, int64 (n,), by branch and bound over blocks of neighbours."""
    blocks = _blocks(points)
    offsets = [points[block] - points[block].mean(axis=0) for block in blocks]
    centre = np.stack([block[(off * off).sum(axis=1).argmin()] for block, off in zip(blocks, offsets, strict=True)])
    reach = [np.amax(_arc(points[c, None], points[block])) for c, block in zip(centre, blocks, strict=True)]
    km = np.stack(reach) * EARTH_RADIUS_KM
    value = np.concatenate(
        [share @ _gain(_arc(points[part], points), rule).T for part in pieces(centre, BLOCK)], axis=1
    )
    bound = value + km if rule == "distance" else value * np.exp(km / GEOSCORE_SCALE_KM)
    first = np.argmax(value, axis=1)
    best, found = np.amax(value, axis=1), centre[first]
    # Blocks that look best to many rows go first: they raise what the others have to beat.
    order = np.argsort(-np.bincount(first, minlength=len(blocks)), stable=True)
    for number in order:
        rows, block = np.where(bound[:, number] > best)[0], blocks[number]
        if not len(rows) or len(block) == 1:
            continue
        inside = share[rows] @ block_gains(points, block, rule).T
        here, column = np.amax(inside, axis=1), np.argmax(inside, axis=1)
        better = here > best[rows]
        best[rows[better]], found[rows[better]] = here[better], block[column[better]]
    return found


def block_gains(points: Array, block: Array, rule: str) -> Any:
    """Gains (k, m) of answering with the points of a `block`, numbers (k,), under the truth at each point (m, 3).

    The cosines come from a matrix product, which is fast. But float32 spoils small angles: 2 km at the point itself,
    0.1 km at 20 km. Points within 64 km of the block get `_arc`.
    """
    here = points[block]
    cosine = np.clip(here @ points.T, -1, 1)
    near = np.where(np.amax(cosine, axis=0) > math.cos(_NEAR))[0]
    arc = np.arccos(cosine)
    arc[:, near] = _arc(here, points[near])
    return _gain(arc, rule)


def _blocks(points: Array) -> list[Array]:
    """Points (m, 3) in blocks of at most 128 neighbours: halved along the widest axis until they are small."""
    parts, blocks = [np.arange(len(points))], []
    while parts:
        part = parts.pop()
        if len(part) <= BLOCK:
            blocks.append(part)
            continue
        inside = points[part]
        axis = int((np.amax(inside, axis=0) - np.amin(inside, axis=0)).argmax())
        part, half = part[np.argsort(inside[:, axis], stable=True)], (len(part) + 1) // 2
        parts += [part[:half], part[half:]]
    return blocks


def _climb(share: Array, points: Array, start: Array, rule: str) -> Any:
    """Steps over the sphere from `start` (n, 3) until they are short: unit vectors (n, 3), none worse than its start.

    Weiszfeld's algorithm on the sphere (Fletcher, Venkatasubramanian, Joshi, NeuroImage 2009). All starts here are one
    of the points: it is left only if the others pull harder than its own mass holds (Vardi and Zhang, PNAS 2000). For
    the GeoScore each weight is also multiplied by the slope of the score. The likeliest points decide the steps; all
    points judge the result.
    """
    columns = top_columns(share, _GUIDES)
    weights = np.take_along_axis(share, columns, axis=1).astype(np.float64)
    step = max(1, _CHUNK // columns.shape[1])
    parts = zip(*(pieces(rows, step) for rows in (weights, columns, points, start)), strict=True)
    at = np.concatenate([_walk(mass, _take(own, numbers), first, rule) for mass, numbers, own, first in parts])
    better = _value(share, points, at, rule) > _value(share, points, start, rule)
    return np.where(better[:, None], at, start)


def _walk(share: Array, points: Array, start: Array, rule: str) -> FloatArray:
    """Where the steps from `start` (n, 3) end, under mass (n, m) on points (n, m, 3).

    Plain steps are tiny close to a point, and too long when they leave one. So a step that ends higher makes the next
    one twice as long, in plain steps; one that does not is taken back and tried shorter.
    """
    at, way, trial, moving = start.copy(), start.copy(), start.copy(), np.arange(len(start))
    worth, length, factor = np.full(len(at), -np.inf), np.zeros(len(at)), np.full(len(at), 0.5)
    for _ in range(_STEPS):
        value, ahead, size = _step(share[moving], points[moving], trial[moving], rule)
        higher = value > worth[moving]
        rows, back = moving[higher], moving[~higher]
        at[rows], worth[rows], way[rows], length[rows] = trial[rows], value[higher], ahead[higher], size[higher]
        factor[rows] = np.minimum(2 * factor[rows], _LONGEST)
        factor[back] = np.where(factor[back] > 1, 1, factor[back] / 4)
        moving = moving[length[moving] * factor[moving] > _STILL]
        if not len(moving):
            break
        angle = (length * factor)[moving, None]
        trial[moving] = at[moving] * np.cos(angle) + way[moving] * np.sin(angle)
    return at


def _step(share: Array, points: Array, at: Array, rule: str) -> tuple[Array, Array, Array]:
    """Expected gain at `at` (n, 3); direction (n, 3) and length in radians of a plain step. The rest as in `_walk`."""
    arc = _arc(at, points)
    value = (share * _gain(arc, rule)).sum(axis=1)
    weight = share * np.exp(arc * (-EARTH_RADIUS_KM / GEOSCORE_SCALE_KM)) if rule == "geoscore" else share
    here = arc < _AT_POINT
    held = (weight * here).sum(axis=1)
    weight, arc = np.where(here, 0, weight), np.clip(arc, _AT_POINT, None)
    pull = ((weight / np.clip(np.sin(arc), _AT_POINT, None))[:, None] @ points)[:, 0]
    pull = pull - (pull * at).sum(axis=1)[:, None] * at  # tangent to the sphere; its length is the force
    force = np.clip(np.sqrt((pull * pull).sum(axis=1)), 1e-30, None)
    length = np.where(force > held, force, 0) / np.clip((weight / arc).sum(axis=1), 1e-30, None)
    return value, pull / force[:, None], length
