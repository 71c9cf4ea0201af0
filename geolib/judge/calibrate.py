"""Calibration: probabilities that come true as often as they say, and regions that hold their share.

Everything is fitted on the calibration split alone. Conformal regions cover their share of the photos of *new
photographers*, if these are drawn as those of the calibration photos were: on average over all of them, not on each
continent or for each scene.

Photos of one photographer are alike, so a conformal limit counts photographers, not photos: with K of them, each has
the mass 1 / (K + 1), spread evenly over their photos, and the new one has the rest, as high as can be. At confidence
1 - a the limit is the smallest score up to which the masses reach 1 - a. With one photo per photographer that is the
usual ceil((K + 1) (1 - a))-th smallest score. (Hierarchical conformal prediction: Dunn, Wasserman and Ramdas, JASA
2022; Lee, Barber and Willett, arXiv 2306.06342.)

`clusters` are as in `geolib.evaluate`: intervals resample all kinds of them. Of several, the first is the photographer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import logsumexp

from geolib.cells.quadtree import IntArray, Partition
from geolib.common.arrays import Vectors, by_rows, row_blocks, to_numpy
from geolib.evaluate import Clusters, bootstrap_weights, interval, kinds_of, one_alone, parts_of, verdict
from geolib.fusion import Array, check_logits, log_probabilities, scaled
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, unit_vectors

Flags = npt.NDArray[np.bool_]
SPHERE_KM2 = 4 * math.pi * EARTH_RADIUS_KM**2
_HOTTEST = 100.0  # temperatures are fitted between its inverse and it


def fit_temperature(logits: Vectors, labels: npt.ArrayLike) -> float:
    """Fit the temperature T that minimises the log loss of softmax(logits / T) (Guo et al., ICML 2017, section 4.2).

    The loss is convex in 1 / T: its minimum is where expected logit minus true logit is zero on average. A head that is
    always right has none: T is then 0.01. A head no better than chance gets 100. No photo's likeliest cell changes.

    logits: (n, n_cells) of calibration photos.  labels: (n,), their true cells. Raises `ValueError` if these do not
    exist or have a logit of -inf, and for NaN and +inf.

    >>> right_3_times_of_4 = np.float32([[3, 0], [3, 0], [3, 0], [0, 3]])
    >>> round(fit_temperature(right_3_times_of_4, [0, 0, 1, 1]), 2)  # log(3 / 1) = 3 / T
    2.73
    """
    scores = to_numpy(logits).astype(np.float32)
    truth = _true_cells(scores, labels)

    def slope(log_inverse: float) -> float:
        total = 0.0
        for rows, cells in row_blocks(scores, truth):
            z = scaled(rows.astype(np.float64), 1.0)
            p = np.exp(log_probabilities(z, math.exp(-log_inverse)))
            total += float((p * z).sum() - _at(z, cells).sum())
        return total

    edge = math.log(_HOTTEST)
    if slope(-edge) >= 0:
        return _HOTTEST
    return 1 / _HOTTEST if slope(edge) <= 0 else math.exp(-brentq(slope, -edge, edge, xtol=1e-9))


def fit_temperatures(logits: Sequence[Vectors], cells: npt.ArrayLike) -> list[float]:
    """`fit_temperature` of every level; `cells` (n, n_levels) are the true ones, as `GeocellTree.assign` gives them."""
    truth = np.asarray(cells)
    if truth.ndim != 2 or not len(logits) or truth.shape[1] != len(logits):
        raise ValueError(f"cells {truth.shape}: expected (n, {len(logits)}), one column per level of logits")
    return [fit_temperature(level, truth[:, number]) for number, level in enumerate(logits)]


def fit_fusion(logits: Sequence[Vectors], cells: npt.ArrayLike, tree: Partition) -> dict[str, list[float]]:
    """Fit `temperatures` and `level_weights` of the product rule: `fuse(logits, tree, "product", **fitted)`.

    First each level's temperature by its own log loss; then the weights >= 0 with the least log loss of the fused
    posterior at the true finest cell. That posterior is a log-linear model, so the loss is convex in the weights. They
    need not sum to 1: their size is the sharpness of the whole. A level that adds nothing to the others gets 0.

    logits: one (n, n_cells) array per level, of calibration photos.  cells: their true cells, (n, n_levels). Raises
    `ValueError` for what `fuse` or `fit_temperature` refuse, and when every level is worse than no answer.

    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([50, 40, -30, -40], [0, 10, 120, 130], (2, 4), min_photos=1)
    >>> coarse, fine = np.float32([[1, 0], [1, 0], [0, 1]]), np.float32([[2, 0, 0, 0], [2, 0, 0, 0], [0, 1, 1, 1]])
    >>> sorted(fit_fusion([coarse, fine], [[0, 0], [0, 1], [1, 3]], tree))
    ['level_weights', 'temperatures']
    """
    temperatures = fit_temperatures(logits, cells)
    scores = [check_logits(level, logits, tree) for level in range(len(logits))]
    truth = _true_cells(scores[-1], np.asarray(cells)[:, -1])

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        """Mean log loss and its gradient: a level's expected log-probability minus that at the true cell."""
        sums = np.zeros(1 + len(weights))
        for fine, own, *coarse in row_blocks(scores[-1], truth, *scores[:-1]):
            # Logits instead of log-probabilities: a constant per row and level changes neither posterior nor gradient.
            levels = zip([*coarse, fine], temperatures, tree.ancestors.T, strict=True)
            parts = [np.take(scaled(z.astype(np.float64), heat), cells, axis=1) for z, heat, cells in levels]
            log_p = log_probabilities(np.tensordot(weights, parts, axes=1))
            p = np.exp(log_p)
            sums[0] -= float(_at(log_p, own).sum())
            sums[1:] += [float((p * part).sum() - _at(part, own).sum()) for part in parts]
        return sums[0] / len(truth), sums[1:] / len(truth)

    start = np.full(len(scores), 1 / len(scores))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(scores), tol=1e-10)
    if not found.x.any():
        raise ValueError("every level is worse than no answer on these photos: do logits and cells belong together?")
    return {"temperatures": temperatures, "level_weights": found.x.tolist()}


def _at(values: Array, cells: Array) -> Array:
    """The number of each row of `values` (n, m) in its own column of `cells` (n,)."""
    return np.take_along_axis(values, cells[:, None], axis=1)[:, 0]


def _checked_cells(cells: npt.ArrayLike, scores: Array) -> Array:
    """True cells (n,) of scores (n, n_cells). Refuses other shapes, fractions, and cells that do not exist."""
    truth = np.asarray(cells)
    if scores.ndim != 2 or 0 in scores.shape or truth.shape != (len(scores),) or truth.dtype.kind not in "iu":
        raise ValueError(
            f"true cells {truth.dtype} {truth.shape} for scores {scores.shape}: expected whole numbers (n,) and "
            "(n, n_cells), at least one photo"
        )
    if truth.min() < 0 or truth.max() >= scores.shape[1]:
        raise ValueError(f"true cells from {truth.min()} to {truth.max()}: expected 0 to {scores.shape[1] - 1}")
    return truth


def _true_cells(scores: Array, labels: npt.ArrayLike) -> Array:
    """Labels (n,) of logits (n, n_cells). Refuses logits by which a true cell is impossible."""
    cells = _checked_cells(labels, scores)
    bad = ~(np.isfinite(scores.max(axis=1)) & np.isfinite(_at(scores, cells)))
    if bad.any():
        raise ValueError(f"logits of row {bad.argmax()} hold NaN or +inf, or -inf at the true cell")
    return cells


def reliability(probability: npt.ArrayLike, right: npt.ArrayLike, clusters: Clusters, bins: int = 15) -> pd.DataFrame:
    """The reliability curve: how often answers with a probability of about p were right.

    probability: (n,) of each photo's answer, in [0, 1].  right: (n,), whether it was true. Returns one row per bin of
    about as many photos, ascending, without empty bins. Columns `probability` (mean), `share` right, `share_low`,
    `share_high` (95 %, of the clusters in the bin), `photos`.

    >>> reliability([0.2, 0.2, 0.9, 0.9], [0, 1, 1, 1], list("abcd"), bins=2)[["probability", "share", "photos"]]
       probability  share  photos
    0          0.2    0.5       2
    1          0.9    1.0       2
    """
    table, bin_of = _bins(probability, right, bins)
    parts, hit = [bin_of == number for number in np.unique(bin_of)], np.asarray(right, np.float64)
    ends = pd.concat([interval({"right": hit[inside]}, clusters_of(clusters, inside)) for inside in parts])
    table[["share_low", "share_high"]] = ends[["share_low", "share_high"]].to_numpy()
    return table[["probability", "share", "share_low", "share_high", "photos"]]


def expected_calibration_error(probability: npt.ArrayLike, right: npt.ArrayLike, bins: int = 15) -> float:
    """Mean over the photos of |share right - mean probability| of their bin; arguments as in `reliability`.

    Chance alone keeps it above 0: by about sqrt(2 p (1 - p) bins / (pi n)) for a perfectly calibrated p and independent
    photos. Print `calibration_floor` beside it. Naeini et al. (AAAI 2015); Guo et al. (ICML 2017).

    >>> round(expected_calibration_error([0.2, 0.2, 0.9, 0.9], [0, 1, 1, 1], bins=2), 3)
    0.2
    """
    table, _ = _bins(probability, right, bins)
    return float(np.average((table["share"] - table["probability"]).abs(), weights=table["photos"]))


def _bins(probability: npt.ArrayLike, right: npt.ArrayLike, bins: int) -> tuple[pd.DataFrame, IntArray]:
    """`probability`, `share` and `photos` of each bin, and the bin of each photo (n,)."""
    p, hit = np.asarray(probability, np.float64), np.asarray(right, np.float64)
    if p.ndim != 1 or not len(p) or p.shape != hit.shape or not np.all((p >= 0) & (p <= 1 + 1e-6)):
        raise ValueError(f"probability {p.shape}, right {hit.shape}: expected (n,) each, probabilities in [0, 1]")
    if not np.isin(hit, (0, 1)).all() or bins < 1:
        raise ValueError(f"right holds {np.unique(hit)[:5]}, bins={bins}: expected true or false, and at least one bin")
    bin_of = np.searchsorted(np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]), p)
    table = pd.DataFrame({"probability": p, "share": hit, "photos": 1}).groupby(bin_of)
    out = table.agg({"probability": "mean", "share": "mean", "photos": "sum"}).reset_index(drop=True)
    return out, np.asarray(bin_of)


def calibration_floor(
    probability: npt.ArrayLike, generator: np.random.Generator, bins: int = 15, draws: int = 200
) -> float:
    """Mean `expected_calibration_error` of a perfectly calibrated model with these probabilities, by simulation.

    >>> round(calibration_floor(np.full(1000, 0.5), np.random.default_rng(0), draws=20), 2)
    0.01
    """
    p = np.asarray(probability, np.float64)
    return float(np.mean([expected_calibration_error(p, generator.random(p.shape) < p, bins) for _ in range(draws)]))


@dataclass(frozen=True, eq=False)
class ConformalCells:
    """Sets of cells that hold the true one at any confidence: likeliest first, until enough is in. Made by `fit`.

    A photo's score is the posterior mass of the cells ranked above its true one. A set takes every cell whose score
    does not exceed the limit (see the top of this module), so that at least 1 - a of new photographers' photos are
    covered. (Adaptive prediction sets: Romano, Sesia and Candes, NeurIPS 2020; Angelopoulos and Bates, arXiv
    2107.07511.)

    The true cell's own mass does not count, so the likeliest cell is in every set and none is empty. More is covered
    where that cell alone is right more often than the confidence asks.

    >>> posterior, nine_people = np.array([[0.7, 0.2, 0.1]] * 9), range(9)
    >>> fitted = ConformalCells.fit(posterior, [0, 0, 0, 0, 0, 0, 1, 1, 2], nine_people)
    >>> fitted.sets(posterior[:1], 0.6), fitted.sets(posterior[:1], 0.8)
    (array([[ True, False, False]]), array([[ True,  True, False]]))
    """

    scores: FloatArray = field(repr=False)  # of the calibration photos, ascending, (n,)
    mass: FloatArray = field(repr=False)  # of the photographers, up to and with each score, (n,)

    @classmethod
    def fit(cls, posterior: Vectors, cells: npt.ArrayLike, clusters: Clusters) -> ConformalCells:
        """Fit on a posterior (n, n_cells) of calibration photos, their true cells of that level, and photographers."""
        mass = check_posterior(posterior)
        return cls(*_ranked(by_rows(_mass_above, mass, _checked_cells(cells, mass)), clusters))

    def sets(self, posterior: Vectors, confidence: float) -> Flags:
        """Which cells are in each photo's set, bool (n, n_cells)."""
        limit = _limit(self.scores, self.mass, confidence)

        def inside(mass: Array) -> Flags:
            order = np.argsort(-mass, axis=1, kind="stable")
            ranked = np.take_along_axis(mass, order, axis=1).astype(np.float64)
            out = np.empty(mass.shape, dtype=np.bool_)
            np.put_along_axis(out, order, np.cumsum(ranked, axis=1) - ranked <= limit, axis=1)
            return out

        return by_rows(inside, check_posterior(posterior))


@dataclass(frozen=True, eq=False)
class ConformalCaps:
    """Circles around the answer that hold the true place at any confidence. Made by `fit`.

    A photo's score is its error over its scale: how hard the model finds it, by `geolib.decoding.radius_km`, which is
    `Prediction.radius_km`. The circle's radius is the scale times the limit (see the top of this module).

    >>> caps = ConformalCaps.fit(km=[10, 20, 30, 40], scale_km=[10, 10, 10, 10], clusters=["ann", "bob", "cy", "di"])
    >>> caps.radius_km([100], confidence=0.6)
    array([300.])
    """

    scores: FloatArray = field(repr=False)  # of the calibration photos, ascending, (n,)
    mass: FloatArray = field(repr=False)  # of the photographers, up to and with each score, (n,)

    @classmethod
    def fit(cls, km: npt.ArrayLike, scale_km: npt.ArrayLike, clusters: Clusters) -> ConformalCaps:
        """Fit on the errors of calibration photos and their scales, both km, (n,), and their photographers."""
        errors, scales = np.asarray(km, np.float64), np.asarray(scale_km, np.float64)
        if errors.ndim != 1 or not len(errors) or errors.shape != scales.shape:
            raise ValueError(f"km {errors.shape}, scale_km {scales.shape}: expected (n,) each, at least one photo")
        if not np.all((errors >= 0) & (errors < math.inf) & (scales > 0) & (scales < math.inf)):
            raise ValueError("km and scale_km: expected finite numbers, errors >= 0 and scales above 0")
        return cls(*_ranked(errors / scales, clusters))

    def radius_km(self, scale_km: npt.ArrayLike, confidence: float) -> FloatArray:
        """Radius of each photo's circle in km, (n,); at most half the Earth's circumference, the whole sphere."""
        radius = np.asarray(scale_km, np.float64) * _limit(self.scores, self.mass, confidence)
        return np.minimum(radius, math.pi * EARTH_RADIUS_KM)


def cap_area_km2(radius_km: npt.ArrayLike) -> FloatArray:
    """Area in km2 of a spherical cap of this radius along the surface: 2 pi R^2 (1 - cos(radius / R)).

    >>> round(float(cap_area_km2(100)))
    31415
    """
    # As a square of the half angle's sine, small caps keep their digits.
    return np.asarray(SPHERE_KM2 * np.sin(np.asarray(radius_km, np.float64) / (2 * EARTH_RADIUS_KM)) ** 2)


def region_area_km2(sets: Flags, tree: Partition) -> FloatArray:
    """Area in km2 of sets of finest cells (n, n_finest), (n,).

    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([50, 40, -30, -40], [0, 10, 120, 130], (4,), min_photos=1)
    >>> float(region_area_km2(np.array([[True] * 4]), tree)[0] / SPHERE_KM2)
    1.0
    """
    return np.asarray(np.asarray(sets, dtype=np.bool_) @ tree.areas_km2(-1))


def coverage(
    covered: npt.ArrayLike,
    confidence: float,
    area_km2: npt.ArrayLike,
    clusters: Clusters,
    groups: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    """How often regions hold the truth for a new photographer: one row "all", then one per group, such as a continent.

    covered: (n,), whether each photo's region holds its true place.  area_km2: (n,), of the region. Columns `photos`,
    `photographers`; `covered`, the share of a photographer's photos, averaged over the photographers, so that nobody
    counts more for uploading more; `covered_low`, `covered_high` (95 %); `nominal`; `verdict`, whether more or less is
    covered than nominal (`geolib.evaluate.verdict`); `median_km2`. Where all regions hold the truth, or none, the
    interval is Clopper and Pearson's over the photographers. Below about 40 photographers "more" comes too easily.

    >>> coverage([True, True, True, False], 0.8, [5, 6, 7, 8], ["ann", "ann", "ann", "bob"])["covered"].tolist()
    [0.5]
    """
    hit, area = np.asarray(covered, dtype=np.bool_), np.asarray(area_km2, np.float64)
    kinds = np.full(hit.shape, "") if groups is None else np.asarray(groups).astype(str)
    if hit.ndim != 1 or not len(hit) or not hit.shape == area.shape == kinds.shape:
        raise ValueError(f"covered {hit.shape}, area_km2 {area.shape}, groups {kinds.shape}: expected (n,) each")
    rows = {}
    for name, inside in parts_of(None if groups is None else kinds, len(hit)).items():
        own = clusters_of(clusters, inside)
        people, photos = _photos_of_each(own)
        share = float((hit[inside] / photos).sum() / people)
        low, high = _mean_of_people(hit[inside], photos, own)
        if share in (0.0, 1.0) and people > 1:  # nothing differs between draws: exact, over independent photographers
            low, high = (0.025 ** (1 / people), 1.0) if share else (0.0, 1 - 0.025 ** (1 / people))
        rows[name] = {
            "photos": len(photos), "photographers": people, "covered": share, "covered_low": low, "covered_high": high,
            "nominal": confidence, "verdict": _against(low, high, confidence), "median_km2": np.median(area[inside]),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")


def _mean_of_people(hit: Flags, photos: IntArray, own: Mapping[str, Array]) -> tuple[float, float]:
    """95 % interval of a share averaged over photographers; photos (n,): how many each photo's photographer has."""
    draws = iter(bootstrap_weights(own, len(hit), 1000, 0))
    next(draws)
    shares = [(weights @ (hit / photos)) / (weights @ (1 / photos)) for weights in draws]
    alone = one_alone(own, np.ones(len(hit), dtype=np.bool_))
    low, high = (math.nan, math.nan) if alone else np.quantile(shares, [0.025, 0.975]).tolist()
    return low, high


def _against(low: float, high: float, confidence: float) -> str:
    """The verdict on an interval of coverage; one without a width may hold exactly what was asked for."""
    return "undecided" if low <= confidence <= high else verdict(low - confidence, high - confidence)


@dataclass(frozen=True, eq=False)
class VonMisesFisherMixture:
    """A density over the Earth from a posterior: a von Mises-Fisher density around the centre of each cell.

    Of concentration k it has log density log k - log 4 pi - log sinh k + k mu.x. A cell's k is `factor` times the
    sphere's area over its own; at factor 1 the mean squared distance from the centre is that of a disc of the cell's
    area. (Mixtures of vMF for photos: Izbicki, Papalexakis and Tsotras, ECML PKDD 2019.)

    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([45, 45, -45, -45], [-90, 90, -90, 90], (4,), min_photos=1)
    >>> VonMisesFisherMixture(tree, factor=1.0).log_density(np.array([[1.0, 0, 0, 0]]), [-45, 45], [-90, 90]).round(2)
    array([-0.45, -8.45])
    """

    tree: Partition
    factor: float

    @classmethod
    def fit(cls, posterior: Vectors, tree: Partition, lat: npt.ArrayLike, lon: npt.ArrayLike) -> VonMisesFisherMixture:
        """The factor, 1e-4 to 1e4, with the highest likelihood of calibration photos at `lat`, `lon`, degrees (n,)."""

        def cost(log_factor: float) -> float:
            return -float(cls(tree, math.exp(log_factor)).log_density(posterior, lat, lon).mean())

        grid = np.log(np.geomspace(1e-4, 1e4, 17))  # the likelihood may have several maxima
        best = float(grid[int(np.argmin([cost(value) for value in grid]))])
        found = minimize_scalar(cost, bounds=(best - grid[1] + grid[0], best + grid[1] - grid[0]), method="bounded")
        return cls(tree, math.exp(found.x))

    def log_density(self, posterior: Vectors, lat: npt.ArrayLike, lon: npt.ArrayLike) -> FloatArray:
        """Natural log of the density per steradian of each photo's posterior (n, n_finest) at its (lat, lon), (n,).

        The uniform density has -log 4 pi = -2.53 everywhere. One posterior, (1, n_finest), serves all points.
        """
        mass, points = check_posterior(posterior, self.tree), unit_vectors(*check_lat_lon(lat, lon))
        if len(mass) not in (1, len(points)):
            raise ValueError(f"{len(points)} points for {len(mass)} posteriors: expected one each")
        mass = np.broadcast_to(mass, (len(points), mass.shape[1]))
        centers = unit_vectors(*self.tree.centers(-1))
        kappa = self.factor * SPHERE_KM2 / self.tree.areas_km2(-1)  # concentration of each cell
        # log sinh k = k + log(1 - exp(-2 k)) - log 2, so that nothing overflows and a small k keeps its digits
        log_height = np.log(kappa) - math.log(2 * math.pi) - np.log(-np.expm1(-2 * kappa))

        def log_sum(mass: Array, points: FloatArray) -> FloatArray:
            densities = log_height + kappa * (points @ centers.T - 1)
            return np.asarray(logsumexp(densities, axis=1, b=mass) - np.log(mass.sum(axis=1, dtype=np.float64)))

        return by_rows(log_sum, mass, points)


def check_posterior(posterior: Vectors, tree: Partition | None = None) -> Array:
    """A posterior as a numpy array (n, n_cells). Refuses anything else: negative numbers, rows that do not sum to 1."""
    mass = to_numpy(posterior)
    expected = "n_cells" if tree is None else tree.n_cells[-1]
    if mass.ndim != 2 or not mass.size or mass.dtype.kind != "f" or (tree and mass.shape[1] != expected):
        raise ValueError(f"posterior {mass.dtype} {mass.shape}: expected floats (n, {expected}), at least one photo")
    totals = mass.sum(axis=1, dtype=np.float64)
    bad = ~((mass.min(axis=1) >= 0) & (np.abs(totals - 1) < 1e-3))  # NaN compares false
    if bad.any():
        raise ValueError(f"posterior row {bad.argmax()} is not a distribution: expected numbers >= 0 that sum to 1")
    return mass


def _mass_above(mass: Array, cells: IntArray) -> FloatArray:
    """Mass of the cells ranked above a given one, (n,); equals rank in the order of their numbers."""
    own, before = np.take_along_axis(mass, cells[:, None], axis=1), np.arange(mass.shape[1]) < cells[:, None]
    return np.asarray(np.sum(mass, axis=1, dtype=np.float64, where=(mass > own) | ((mass == own) & before)))


def clusters_of(clusters: Clusters, inside: Flags) -> dict[str, Array]:
    """The clusters of the photos `inside`, bool (n,), by kind. Refuses missing labels and another number of photos."""
    kinds = {} if clusters is None else kinds_of(clusters)
    labels = {kind: np.asarray(values, dtype=object) for kind, values in kinds.items()}
    if not labels or any(values.shape != inside.shape or pd.isna(values).any() for values in labels.values()):
        shapes = {kind: values.shape for kind, values in labels.items()}
        raise ValueError(f"clusters {shapes}: expected the photographer of each photo, {inside.shape}, none missing")
    return {kind: values[inside] for kind, values in labels.items()}


def _photos_of_each(kinds: Mapping[str, Array]) -> tuple[int, IntArray]:
    """The number of photographers, who are the first kind of cluster, and how many photos the one of each has, (n,)."""
    _, own, photos = np.unique(next(iter(kinds.values())).astype(str), return_inverse=True, return_counts=True)
    return len(photos), photos[own]


def _ranked(scores: FloatArray, clusters: Clusters) -> tuple[FloatArray, FloatArray]:
    """Scores (n,) ascending, and the photographers' mass up to and with each: 1 / (K + 1) per photographer."""
    people, photos = _photos_of_each(clusters_of(clusters, np.ones(len(scores), dtype=np.bool_)))
    order = np.argsort(scores, kind="stable")
    return scores[order], np.cumsum(1 / photos[order]) / (people + 1)


def _limit(scores: FloatArray, mass: FloatArray, confidence: float) -> float:
    """The smallest score up to which the mass reaches the confidence; infinity with too few photographers for that."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence}: expected a share between 0 and 1, such as 0.9")
    rank = int(np.searchsorted(mass, confidence - 1e-9))  # sums of thirds are a little off in floating point
    return float(scores[rank]) if rank < len(scores) else math.inf
