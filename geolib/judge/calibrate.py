"""How sure: probabilities that mean what they say, regions that hold their share, and when not to answer.

Everything is fitted on the calibration split alone. Conformal regions cover their share of photos that are exchangeable
with the calibration photos: of all of them together, not of each continent or scene (`coverage`).

The intervals are Wilson's 95 %, which take the photos for independent. Photos of one photographer are not:
`geolib.evaluate.shares` draws whole photographers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import logsumexp
from torch import Tensor

from geolib.cells.quadtree import Partition
from geolib.common.arrays import as_tensor
from geolib.fusion import _HOTTEST, Array, _checked, _scaled, _wide, marginals
from geolib.fusion import _blocks as _blocks_of
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, unit_vectors


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
        for rows in _blocks_of(scores):
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
        for rows in _blocks_of(scores[-1]):
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


__all__ = [
    "ConformalCaps",
    "ConformalCells",
    "VonMisesFisherMixture",
    "calibration_floor",
    "cap_area_km2",
    "coverage",
    "entropy",
    "expected_calibration_error",
    "expected_km",
    "fit_temperature",
    "fit_temperatures",
    "region_area_km2",
    "reliability",
    "removed",
    "risk_coverage",
    "spatial_entropy",
    "wilson",
]
Posterior = npt.NDArray[Any] | Tensor
Cells = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
SPHERE_KM2 = 4 * math.pi * EARTH_RADIUS_KM**2
_BLOCK_ELEMENTS = 1 << 21  # photos x cells at a time: 16 MB in float64, and about six such arrays
_Z = 1.959963984540054  # two-sided 95 % of the normal distribution


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """95 % interval (low, high) of a share of `successes` among `n` independent trials, broadcasting; n = 0 gives 0, 1.

    Unlike share +- 2 standard errors it stays within [0, 1]. Wilson, JASA 22 (1927).
    """
    k, total = np.asarray(successes, np.float64), np.asarray(n, np.float64)
    if not np.all((k >= 0) & (k <= total)):
        raise ValueError(f"successes={k} of n={total}: expected 0 <= successes <= n")
    middle = k + _Z**2 / 2
    half = _Z * np.sqrt(k * (total - k) / np.maximum(total, 1) + _Z**2 / 4)
    return np.maximum((middle - half) / (total + _Z**2), 0), np.minimum((middle + half) / (total + _Z**2), 1)


def reliability(
    probability: npt.ArrayLike, right: npt.ArrayLike, bins: int = 15, equal: Literal["photos", "width"] = "photos"
) -> pd.DataFrame:
    """The reliability curve: how often answers that were given a probability of about p were right.

    probability: of each photo's answer, (n,), in [0, 1].  right: whether it was true, (n,).
    equal: bins of about as many photos, or of equal width in [0, 1]. Empty bins have no row.

    Columns: `probability` (mean), `share` right, `share_low`, `share_high`, `photos`, one row a bin, ascending.
    """
    p, hit = _checked_answers(probability, right, bins)
    steps = np.linspace(0, 1, bins + 1)[1:-1]
    bin_of = np.searchsorted(np.quantile(p, steps) if equal == "photos" else steps, p)
    table = pd.DataFrame({"probability": p, "share": hit, "photos": 1}).groupby(bin_of)
    out = table.agg({"probability": "mean", "share": "mean", "photos": "sum"}).reset_index(drop=True)
    low, high = wilson(table["share"].sum().to_numpy(), out["photos"].to_numpy())
    return out.assign(share_low=low, share_high=high)[["probability", "share", "share_low", "share_high", "photos"]]


def expected_calibration_error(
    probability: npt.ArrayLike, right: npt.ArrayLike, bins: int = 15, equal: Literal["photos", "width"] = "photos"
) -> float:
    """Mean over the photos of |share right - mean probability| of their bin: 0 when probabilities are what they say.

    Chance alone keeps it above 0: by about sqrt(2 p (1 - p) bins / (pi n)) for a perfectly calibrated p. Print
    `calibration_floor` beside it. Arguments as in `reliability`. Naeini et al. (AAAI 2015); Guo et al. (ICML 2017).
    """
    table = reliability(probability, right, bins, equal)
    gaps = (table["share"] - table["probability"]).abs()
    return float(np.average(gaps, weights=table["photos"]))


def calibration_floor(
    probability: npt.ArrayLike, generator: np.random.Generator, bins: int = 15, draws: int = 200
) -> float:
    """Mean `expected_calibration_error` of a perfectly calibrated model with these probabilities, by simulation."""
    p = np.asarray(probability, np.float64)
    return float(np.mean([expected_calibration_error(p, generator.random(p.shape) < p, bins) for _ in range(draws)]))


@dataclass(frozen=True, eq=False)
class ConformalCells:
    """Sets of cells that hold the true one at any confidence: likeliest first, until enough is in. Made by `fit`.

    A photo's score is the posterior mass of the cells ranked above its true one. At confidence 1 - a the limit is the
    ceil((n + 1) (1 - a))-th smallest of the n calibration scores, and a set takes every cell whose score would not
    exceed it. At least 1 - a of exchangeable photos are covered, and at most 1 / (n + 1) more if no scores are equal.
    (Adaptive prediction sets: Romano, Sesia and Candes, NeurIPS 2020; Angelopoulos and Bates, arXiv 2107.07511.)

    As the true cell's own mass does not count, the likeliest cell is in every set: none is empty. Where that cell alone
    is right more often than the confidence asks, more is covered. `fit` with a generator adds a random part of the
    cell's own mass to each score: coverage is then exact, and some sets are empty.

    scores: of the calibration photos, ascending, (n,).  randomised: whether `fit` had a generator.
    """

    scores: FloatArray = field(repr=False)
    randomised: bool

    @classmethod
    def fit(
        cls, posterior: Posterior, cells: npt.ArrayLike, generator: np.random.Generator | None = None
    ) -> ConformalCells:
        """From a posterior (n, n_cells) of calibration photos and their true cells, (n,), of the same level."""
        mass, truth = _posterior(posterior), np.asarray(cells)
        if truth.shape != (len(mass),) or truth.dtype.kind not in "iu":
            raise ValueError(f"cells {truth.dtype} {truth.shape}: expected a whole number a photo, ({len(mass)},)")
        if truth.min() < 0 or truth.max() >= mass.shape[1]:
            raise ValueError(f"cells from {truth.min()} to {truth.max()}: expected 0 to {mass.shape[1] - 1}")
        scores = _mass_above(mass, truth)
        if generator is not None:
            scores += generator.random(len(mass)) * mass[np.arange(len(mass)), truth]
        return cls(np.sort(scores), generator is not None)

    def sets(self, posterior: Posterior, confidence: float, generator: np.random.Generator | None = None) -> Flags:
        """Which cells are in each photo's set, bool (n, n_cells). A generator is asked for exactly if `fit` had one."""
        if (generator is not None) != self.randomised:
            raise ValueError(f"generator={generator} with randomised={self.randomised}: fit and sets need the same")
        mass, limit = _posterior(posterior), _limit(self.scores, confidence)
        part = np.zeros(len(mass)) if generator is None else generator.random(len(mass))
        out = np.empty(mass.shape, dtype=np.bool_)
        for rows in _blocks(*mass.shape):
            order = np.argsort(-mass[rows], axis=1, kind="stable")
            ranked = np.take_along_axis(mass[rows], order, axis=1).astype(np.float64)
            scores = np.cumsum(ranked, axis=1) - ranked + part[rows, None] * ranked
            np.put_along_axis(out[rows], order, scores <= limit, axis=1)
        return out


@dataclass(frozen=True, eq=False)
class ConformalCaps:
    """Circles around the answer that hold the true place at any confidence. Made by `fit`.

    A photo's score is its error over a scale that says how far the model expects to be off (`expected_km`); the radius
    is the scale times the limit that `ConformalCells` describes. (Scaled scores: Angelopoulos and Bates, arXiv
    2107.07511.)

    scores: of the calibration photos, ascending, (n,).
    """

    scores: FloatArray = field(repr=False)

    @classmethod
    def fit(cls, km: npt.ArrayLike, scale_km: npt.ArrayLike) -> ConformalCaps:
        """From the errors of calibration photos and their scales, both km, (n,)."""
        errors = np.asarray(km, np.float64)
        if errors.ndim != 1 or not len(errors) or not np.all((errors >= 0) & (errors < math.inf)):
            raise ValueError(f"km {errors.shape}: expected finite errors >= 0 of at least one photo, (n,)")
        return cls(np.sort(errors / _scale(scale_km, len(errors))))

    def radius_km(self, scale_km: npt.ArrayLike, confidence: float) -> FloatArray:
        """Radius of each photo's circle in km, (n,); half the Earth's circumference, the whole sphere, at most."""
        return np.minimum(_scale(scale_km) * _limit(self.scores, confidence), math.pi * EARTH_RADIUS_KM)


def cap_area_km2(radius_km: npt.ArrayLike) -> FloatArray:
    """Area in km2 of a spherical cap of this radius along the surface: 2 pi R^2 (1 - cos(radius / R))."""
    # As a square of the half angle's sine, small caps keep their digits.
    return np.asarray(SPHERE_KM2 * np.sin(np.asarray(radius_km, np.float64) / (2 * EARTH_RADIUS_KM)) ** 2)


def region_area_km2(sets: Flags, tree: Partition) -> FloatArray:
    """Area in km2 of sets of finest cells (n, n_finest), (n,)."""
    areas = tree.areas_km2(-1)
    return np.array([areas[row].sum() for row in np.asarray(sets, dtype=np.bool_)])


def coverage(
    covered: npt.ArrayLike, confidence: float, area_km2: npt.ArrayLike, groups: npt.ArrayLike | None = None
) -> pd.DataFrame:
    """How often regions held the truth: one row "all", then one a group of `groups` (n,) in sorted order.

    covered: whether each photo's region holds its true place, (n,).  area_km2: of the region, (n,).
    Columns: `photos`, `covered` (share), `covered_low`, `covered_high`, `nominal`, `off` (the interval leaves out the
    nominal share; of twenty groups one is off by chance), `median_km2`.
    """
    hit, area = np.asarray(covered, dtype=np.bool_), np.asarray(area_km2, np.float64)
    labels = np.full(hit.shape, "all") if groups is None else np.asarray(groups).astype(str)
    if hit.ndim != 1 or not len(hit) or not hit.shape == area.shape == labels.shape:
        raise ValueError(f"covered {hit.shape}, area_km2 {area.shape}, groups {labels.shape}: expected (n,) each")
    parts = {"all": np.ones(len(hit), dtype=np.bool_)}
    parts |= {} if groups is None else {str(name): labels == name for name in np.unique(labels)}
    rows = []
    for mask in parts.values():
        low, high = wilson(hit[mask].sum(), mask.sum())
        row = {"photos": int(mask.sum()), "covered": hit[mask].mean(), "covered_low": low, "covered_high": high}
        off = not low <= confidence <= high
        rows.append(row | {"nominal": confidence, "off": off, "median_km2": np.median(area[mask])})
    return pd.DataFrame(rows, index=pd.Index(list(parts), name="group"))


def expected_km(posterior: Posterior, tree: Partition, lat: npt.ArrayLike, lon: npt.ArrayLike) -> FloatArray:
    """How far from (lat, lon) the posterior expects the true place, km, (n,): the scale of `ConformalCaps`.

    lat, lon: degrees, one point a photo. The mean over the cells of the distance to the centre and, at right angles to
    it, the mean distance within a disc of the cell's area, 2/3 of its radius: never 0, also where one cell has it all.
    """
    mass, points = _posterior(posterior, tree), unit_vectors(*check_lat_lon(lat, lon))
    if len(points) != len(mass):
        raise ValueError(f"{len(points)} points for {len(mass)} photos: expected one each")
    centers, within = unit_vectors(*tree.centers(-1)), 2 / 3 * np.sqrt(tree.areas_km2(-1) / math.pi)
    out = np.empty(len(mass))
    for rows in _blocks(*mass.shape):
        # arccos of a float64 is good to 0.1 m near 0
        km = EARTH_RADIUS_KM * np.arccos(np.clip(points[rows] @ centers.T, -1, 1))
        out[rows] = np.einsum("ij,ij->i", mass[rows], np.hypot(km, within)) / mass[rows].sum(axis=1, dtype=np.float64)
    return out


def entropy(posterior: Posterior, tree: Partition) -> FloatArray:
    """Entropy in bits of the posterior (n, n_finest) summed up to every level, (n, n_levels): 0 where one cell has all.

    It counts cells, and does not know which of them are neighbours or how large they are.
    """
    mass = _posterior(posterior, tree)
    return np.stack([-_p_log2(level, np.ones(level.shape[1])) for level in marginals(mass, tree)], axis=1)


def spatial_entropy(posterior: Posterior, tree: Partition) -> FloatArray:
    """Spatial entropy of the posterior (n, n_finest), (n,): -sum over the cells of p log2(p / area), area in km2.

    It is the entropy of the density that spreads each cell's mass over its area (Batty, Geographical Analysis 6, 1974):
    2 ** it is the area in km2 over which a flat density would be as unsure, whatever cells it is cut into.

    Beware of abstaining by it. A photo without a clue gets the prior, and most of that lies in the small cells of
    cities: a small area, though on all continents. `entropy` of a coarse level ranks such a photo last, as it should.
    (Panagiotopoulos et al., MMM 2022, arXiv 2111.11952, abstain by a measure of the same name, not this one.)
    """
    mass = _posterior(posterior, tree)
    return -_p_log2(mass, tree.areas_km2(-1))


def risk_coverage(
    uncertainty: npt.ArrayLike,
    loss: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    coverages: Sequence[float] = tuple(np.arange(1, 21) / 20),
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """What answering only the least uncertain photos gains: mean `loss` of those, at each share of photos answered.

    uncertainty: of each photo, (n,); only its order counts, and photos that are as uncertain are answered in part.
    loss: of each answer, (n,): an error in km, or 1 for a wrong answer and 0 for a right one.
    clusters: photographer of each photo, (n,); else photos are drawn one by one.

    Columns `risk`, `risk_low`, `risk_high` (95 % percentile bootstrap), index `coverage`. `attrs["area"]` is the area
    under the curve, the mean risk over all coverages 1/n, 2/n, ..., 1 (Geifman, Uziel and El-Yaniv, ICLR 2019).
    """
    doubt, cost = np.asarray(uncertainty, np.float64), np.asarray(loss, np.float64)
    shares = np.asarray(coverages, np.float64)
    if doubt.ndim != 1 or not len(doubt) or doubt.shape != cost.shape or not np.isfinite([doubt, cost]).all():
        raise ValueError(f"uncertainty {doubt.shape}, loss {cost.shape}: expected finite numbers, (n,) each")
    if not np.all((shares > 0) & (shares <= 1)) or n_boot < 1:
        raise ValueError(f"coverages={coverages}, n_boot={n_boot}: expected shares in (0, 1] and at least 1 draw")
    units = np.arange(len(doubt)) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    if units.shape != doubt.shape:
        raise ValueError(f"clusters {units.shape}: expected {doubt.shape}, a photographer a photo")
    ranks, count = np.unique(doubt, return_inverse=True)[1], int(units.max()) + 1
    rng = np.random.default_rng(seed)
    draws = [np.bincount(rng.integers(count, size=count), minlength=count)[units] for _ in range(n_boot)]
    low, high = np.quantile([_risks(ranks, cost, weights, shares) for weights in draws], [0.025, 0.975], axis=0)
    ones = np.ones(len(doubt))
    table = pd.DataFrame(
        {"risk": _risks(ranks, cost, ones, shares), "risk_low": low, "risk_high": high},
        index=pd.Index(shares, name="coverage"),
    )
    table.attrs["area"] = float(_risks(ranks, cost, ones, np.arange(1, len(doubt) + 1) / len(doubt)).mean())
    return table


def removed(uncertainty: npt.ArrayLike, labels: npt.ArrayLike, abstain: float = 0.2) -> pd.DataFrame:
    """Of each kind of photo, the share without an answer when the `abstain` most uncertain share of photos gets none.

    uncertainty, labels: of each photo, (n,). Of equals the first are kept. Columns `photos`, `removed` (share),
    `removed_low`, `removed_high`, index `label`, most removed first.
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


@dataclass(frozen=True, eq=False)
class VonMisesFisherMixture:
    """A density over the Earth from a posterior: a von Mises-Fisher bump around the centre of each cell. Made by `fit`.

    A bump of concentration k has log density log k - log 4 pi - log sinh k + k mu.x. A cell's k is `factor` times the
    sphere's area over its own; at factor 1 the mean squared distance from the centre is that of a disc of the cell's
    area. (Mixtures of vMF for photos: Izbicki, Papalexakis and Tsotras, ECML PKDD 2019.)

    factor: the one with the highest likelihood of calibration photos, from 1e-4 to 1e4.
    """

    tree: Partition
    factor: float

    @classmethod
    def fit(
        cls, posterior: Posterior, tree: Partition, lat: npt.ArrayLike, lon: npt.ArrayLike
    ) -> VonMisesFisherMixture:
        """From a posterior (n, n_finest) of calibration photos and their true places in degrees, (n,)."""

        def cost(log_factor: float) -> float:
            return -float(cls(tree, math.exp(log_factor)).log_density(posterior, lat, lon).mean())

        grid = np.log(np.geomspace(1e-4, 1e4, 17))  # the likelihood may have several hills
        best = float(grid[int(np.argmin([cost(value) for value in grid]))])
        found = minimize_scalar(cost, bounds=(best - grid[1] + grid[0], best + grid[1] - grid[0]), method="bounded")
        return cls(tree, math.exp(found.x))

    @property
    def kappa(self) -> FloatArray:
        """Concentration of each finest cell, (n_finest,)."""
        return self.factor * SPHERE_KM2 / self.tree.areas_km2(-1)

    def log_density(self, posterior: Posterior, lat: npt.ArrayLike, lon: npt.ArrayLike) -> FloatArray:
        """Natural log of the density per steradian of each photo's posterior (n, n_finest) at its (lat, lon), (n,).

        The uniform density has -log 4 pi = -2.53 everywhere; per km2 it is 2 log(6371) = 17.52 less. One posterior,
        (1, n_finest), is asked at every point.
        """
        mass, points = _posterior(posterior, self.tree), unit_vectors(*check_lat_lon(lat, lon))
        if len(mass) not in (1, len(points)):
            raise ValueError(f"{len(points)} points for {len(mass)} posteriors: expected one each")
        mass = np.broadcast_to(mass, (len(points), mass.shape[1]))
        centers, kappa = unit_vectors(*self.tree.centers(-1)), self.kappa
        # log sinh k = k + log(1 - exp(-2 k)) - log 2, so that nothing overflows and a small k keeps its digits
        log_height = np.log(kappa) - math.log(2 * math.pi) - np.log(-np.expm1(-2 * kappa))
        out = np.empty(len(points))
        for rows in _blocks(*mass.shape):
            bumps = log_height + kappa * (points[rows] @ centers.T - 1)
            out[rows] = logsumexp(bumps, axis=1, b=mass[rows]) - np.log(mass[rows].sum(axis=1, dtype=np.float64))
        return out


def _blocks(n: int, columns: int) -> Iterator[slice]:
    """Rows of an (n, columns) array in blocks of bounded size."""
    step = max(1, _BLOCK_ELEMENTS // columns)
    return (slice(begin, begin + step) for begin in range(0, n, step))


def _posterior(posterior: Posterior, tree: Partition | None = None) -> npt.NDArray[Any]:
    """A posterior as a numpy array; refuses what is none: (n, n_cells), at least 0, each row with something."""
    mass = posterior.detach().cpu().numpy() if isinstance(posterior, Tensor) else np.asarray(posterior)
    expected = "n_cells" if tree is None else tree.n_cells[-1]
    if mass.ndim != 2 or not mass.size or mass.dtype.kind != "f" or (tree and mass.shape[1] != expected):
        raise ValueError(f"posterior {mass.dtype} {mass.shape}: expected floats (n, {expected}), at least one photo")
    totals = mass.sum(axis=1, dtype=np.float64)
    bad = ~((mass.min(axis=1) >= 0) & (np.abs(totals - 1) < 1e-3))  # NaN compares false
    if bad.any():
        raise ValueError(f"posterior row {bad.argmax()} is not a distribution: expected numbers >= 0 that sum to 1")
    return mass


def _mass_above(mass: npt.NDArray[Any], cells: Cells) -> FloatArray:
    """Mass of the cells ranked above a given one, (n,); equals rank in the order of their numbers."""
    out = np.empty(len(mass))
    for rows in _blocks(*mass.shape):
        part, own = mass[rows], np.take_along_axis(mass[rows], cells[rows, None], axis=1)
        before = np.arange(mass.shape[1]) < cells[rows, None]
        out[rows] = np.sum(part, axis=1, dtype=np.float64, where=(part > own) | ((part == own) & before))
    return out


def _limit(scores: FloatArray, confidence: float) -> float:
    """The ceil((n + 1) confidence)-th smallest of n ascending scores; infinity where n is too small for that."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: expected a share between 0 and 1, such as 0.9")
    rank = math.ceil((len(scores) + 1) * confidence - 1e-9)  # 0.9 * 10 is 9, and a little more in floating point
    return float(scores[rank - 1]) if rank <= len(scores) else math.inf


def _scale(scale_km: npt.ArrayLike, n: int | None = None) -> FloatArray:
    scale = np.asarray(scale_km, np.float64)
    if (
        scale.ndim != 1
        or len(scale) != (len(scale) if n is None else n)
        or not np.all((scale > 0) & (scale < math.inf))
    ):
        raise ValueError(f"scale_km {scale.shape}: expected {n or 'n'} finite numbers above 0")
    return scale


def _checked_answers(probability: npt.ArrayLike, right: npt.ArrayLike, bins: int) -> tuple[FloatArray, FloatArray]:
    p, hit = np.asarray(probability, np.float64), np.asarray(right, np.float64)
    if p.ndim != 1 or not len(p) or p.shape != hit.shape or not np.all((p >= 0) & (p <= 1 + 1e-6)):
        raise ValueError(f"probability {p.shape}, right {hit.shape}: expected (n,) each, probabilities in [0, 1]")
    if not np.isin(hit, (0, 1)).all() or bins < 1:
        raise ValueError(f"right holds {np.unique(hit)[:5]}, bins={bins}: expected true or false, and at least one bin")
    return p, hit


def _p_log2(mass: npt.NDArray[Any], areas: FloatArray) -> FloatArray:
    """Sum over the cells of p log2(p / area), (n,), where 0 log 0 = 0."""
    out = np.empty(len(mass))
    for rows in _blocks(*mass.shape):
        p = mass[rows].astype(np.float64)
        out[rows] = np.sum(p * np.log2(p / areas, where=p > 0, out=np.zeros_like(p)), axis=1)
    return out


def _risks(ranks: Cells, loss: FloatArray, weights: npt.NDArray[Any], shares: FloatArray) -> FloatArray:
    """Mean loss of the least uncertain `shares` of weighted photos; within a rank the loss grows in proportion."""
    counted = np.append(0, np.cumsum(np.bincount(ranks, weights=weights)))
    summed = np.append(0, np.cumsum(np.bincount(ranks, weights=weights * loss)))
    answered = shares * counted[-1]
    return np.asarray(np.interp(answered, counted, summed) / answered)
