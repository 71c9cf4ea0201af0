"""Calibration against brute force, scikit-learn and SciPy, coverage against simulation, densities against integrals."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, vonmises_fisher
from sklearn.calibration import calibration_curve
from tiny import world

from geolib import evaluate, sphere
from geolib.cells import GeocellTree
from geolib.common import arrays
from geolib.decoding import decode
from geolib.fusion import fuse, marginals
from geolib.heads import TrainOptions, predict_logits, train_heads
from geolib.judge import abstain, calibrate
from geolib.judge.calibrate import ConformalCaps, ConformalCells, VonMisesFisherMixture, fit_fusion

_rng = np.random.default_rng(0)
TREE = GeocellTree.fit(_rng.uniform(-60, 60, 2000), _rng.uniform(-180, 180, 2000), (4, 12, 40))
N_CELLS = TREE.n_cells[-1]


def exchangeable(n, seed, sharpness=1.0):
    """Posteriors (n, 40) and cells drawn of them; then the posteriors are made surer than they ought to be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2.5, (n, N_CELLS)) * rng.uniform(0.2, 1.5, (n, 1))
    posterior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    cells = np.minimum((posterior.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1), N_CELLS - 1)
    sharp = posterior**sharpness
    return (sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32), cells


def covered(sets, cells):
    return sets[np.arange(len(cells)), cells]


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (412, 3000), (1, 1)])
def test_wilson_is_scipys(k, n):
    expected = binomtest(k, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(calibrate.wilson(k, n), (expected.low, expected.high), atol=1e-12)


def test_wilson_of_no_trials_knows_nothing():
    assert calibrate.wilson(0, 0) == (0, 1)
    with pytest.raises(ValueError, match="0 <= successes <= n"):
        calibrate.wilson(3, 2)


def test_reliability_is_scikit_learns():
    rng = np.random.default_rng(1)
    p = rng.beta(1, 3, 700).round(2)  # rounded: many equals
    right = rng.random(700) < p**2
    share, mean = calibration_curve(right, p, n_bins=10, strategy="quantile")
    table = calibrate.reliability(p, right, 10)
    np.testing.assert_allclose(table["share"], share)
    np.testing.assert_allclose(table["probability"], mean)
    assert table["photos"].sum() == 700
    assert (table["share_low"] <= table["share"]).all() and (table["share"] <= table["share_high"]).all()


def test_calibration_error_by_hand():
    p, right = np.array([0.1, 0.1, 0.2, 0.8, 0.9, 0.9]), np.array([0, 0, 1, 1, 1, 0])
    expected = 0.5 * abs(1 / 3 - 0.4 / 3) + 0.5 * abs(2 / 3 - 2.6 / 3)
    assert calibrate.expected_calibration_error(p, right, 2) == pytest.approx(expected)
    assert calibrate.expected_calibration_error(p, right, 1) == pytest.approx(abs(0.5 - 3 / 6))
    assert calibrate.expected_calibration_error([1.0, 0.0], [True, False], 5) == 0


def test_calibration_error_finds_what_is_wrong_and_little_where_nothing_is():
    rng = np.random.default_rng(2)
    p = rng.beta(2, 2, 4000)
    right = rng.random(4000) < p
    floor = calibrate.calibration_floor(p, np.random.default_rng(3), draws=50)
    assert calibrate.expected_calibration_error(p, right) == pytest.approx(floor, rel=0.5)
    # the formula in the docstring, averaged over p
    assert floor == pytest.approx(np.sqrt(2 * (p * (1 - p)) * 15 / (math.pi * 4000)).mean(), rel=0.1)
    assert calibrate.expected_calibration_error(np.minimum(p + 0.1, 1), right) == pytest.approx(0.1, abs=0.02)


def test_conformal_scores_and_sets_are_those_of_a_slow_search():
    posterior, cells = exchangeable(60, 4)
    posterior[:, 3] = posterior[:, 7]  # equals, which rank by number
    posterior /= posterior.sum(axis=1, keepdims=True)
    scores = []
    for row, cell in zip(posterior.astype(float), cells, strict=True):
        order = sorted(range(N_CELLS), key=lambda c: (-row[c], c))
        scores.append(sum(row[c] for c in order[: order.index(cell)]))
    fitted = ConformalCells.fit(posterior, cells)
    np.testing.assert_allclose(fitted.scores, sorted(scores), atol=1e-12)
    new, _ = exchangeable(20, 5)
    limit = sorted(scores)[math.ceil(61 * 0.8) - 1]
    for row, inside in zip(new.astype(float), fitted.sets(new, 0.8), strict=True):
        order = sorted(range(N_CELLS), key=lambda c: (-row[c], c))
        size = next(k for k in range(1, N_CELLS + 1) if sum(row[c] for c in order[:k]) > limit or k == N_CELLS)
        assert set(np.flatnonzero(inside)) == set(order[:size])


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9])
def test_conformal_sets_cover_their_share_however_wrong_the_posterior(confidence, sharpness):
    posterior, cells = exchangeable(20_000, 6, sharpness)
    calibration, test = slice(None, 10_000), slice(10_000, None)
    sets = ConformalCells.fit(posterior[calibration], cells[calibration]).sets(posterior[test], confidence)
    likeliest = posterior[test].argmax(axis=1)
    alone = (likeliest == cells[test]).mean()
    # two binomials, of the calibration and of the test photos: four standard errors
    error = 4 * math.sqrt(2 * confidence * (1 - confidence) / 10_000)
    assert covered(sets, cells[test]).mean() == pytest.approx(max(confidence, alone), abs=error)
    assert sets[np.arange(10_000), likeliest].all()


def test_coverage_on_small_calibration_sets_is_what_the_theorem_says():
    """Over many calibration sets of 19 photos: at least 0.8, and at most 0.8 + 1 / 20 where no scores are equal."""
    rng = np.random.default_rng(8)
    n, repetitions = 20, 1500
    posterior = rng.dirichlet(np.ones(N_CELLS), size=n * repetitions)  # flat, so that scores of 0 are rare
    cells = (posterior.cumsum(axis=1) < rng.random((len(posterior), 1))).sum(axis=1).clip(max=N_CELLS - 1)
    hits = []
    for start in range(0, len(posterior), n):
        fitted = ConformalCells.fit(posterior[start : start + n - 1], cells[start : start + n - 1])
        last = slice(start + n - 1, start + n)
        hits.append(covered(fitted.sets(posterior[last], 0.8), cells[last])[0])
    error = 4 * math.sqrt(0.16 / repetitions)
    assert 0.8 - error < np.mean(hits) < 0.85 + error


def test_too_few_calibration_photos_give_everything():
    posterior, cells = exchangeable(8, 9)
    assert ConformalCells.fit(posterior, cells).sets(posterior, 0.9).all()  # 9 * 0.9 > 8
    assert not ConformalCells.fit(*exchangeable(9, 9)).sets(posterior, 0.9).all()  # 10 * 0.9 is 9, no more
    caps = ConformalCaps.fit([1.0, 2.0], [1.0, 1.0])
    assert caps.radius_km([5.0], 0.9)[0] == math.pi * sphere.EARTH_RADIUS_KM


@given(st.integers(0, 50), st.floats(0.05, 0.9), st.floats(0, 0.09))
def test_sets_grow_with_the_confidence_and_do_not_depend_on_the_numbering(seed, confidence, more):
    posterior, cells = exchangeable(40, seed)
    fitted, order = ConformalCells.fit(posterior, cells), np.random.default_rng(seed).permutation(N_CELLS)
    sets = fitted.sets(posterior, confidence)
    assert (sets <= fitted.sets(posterior, confidence + more)).all()
    again = ConformalCells.fit(posterior[:, order], np.argsort(order)[cells])
    np.testing.assert_array_equal(again.sets(posterior[:, order], confidence), sets[:, order])


def test_sets_in_blocks_and_of_tensors_are_the_same(monkeypatch):
    posterior, cells = exchangeable(50, 10)
    fitted = ConformalCells.fit(posterior, cells)
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", 7 * N_CELLS)
    parts = ConformalCells.fit(torch.from_numpy(posterior), cells)
    np.testing.assert_array_equal(parts.scores, fitted.scores)
    np.testing.assert_array_equal(parts.sets(torch.from_numpy(posterior), 0.8), fitted.sets(posterior, 0.8))


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9])
def test_caps_cover_their_share_and_are_larger_where_the_scale_is(confidence):
    rng = np.random.default_rng(11)
    scale = np.exp(rng.normal(5, 1, 40_000))
    km = np.minimum(scale * rng.exponential(3, 40_000), 20_000)
    caps = ConformalCaps.fit(km[:20_000], scale[:20_000])
    radius = caps.radius_km(scale[20_000:], confidence)
    hits = (km[20_000:] <= radius).mean()
    assert abs(hits - confidence) < 4 * math.sqrt(2 * confidence * (1 - confidence) / 20_000)
    assert caps.scores[math.ceil(20_001 * confidence) - 1] * scale[20_000] == pytest.approx(radius[0])


def test_areas():
    r = sphere.EARTH_RADIUS_KM
    assert calibrate.cap_area_km2(math.pi * r) == pytest.approx(4 * math.pi * r**2)
    assert calibrate.cap_area_km2(math.pi / 2 * r) == pytest.approx(2 * math.pi * r**2)
    assert calibrate.cap_area_km2(1e-3) == pytest.approx(math.pi * 1e-6, rel=1e-9)
    sets = np.zeros((3, N_CELLS), dtype=bool)
    sets[1] = True
    sets[2, [0, 5]] = True
    expected = [0, 4 * math.pi * r**2, TREE.areas_km2(-1)[[0, 5]].sum()]
    np.testing.assert_allclose(calibrate.region_area_km2(sets, TREE), expected)


def test_coverage_tables_flag_a_region_that_is_off():
    rng = np.random.default_rng(12)
    for share, off in ((0.8, False), (0.6, True)):
        hit = rng.random(500) < share
        row = calibrate.coverage(hit, 0.8, np.arange(500.0)).loc["all"]
        assert row["off"] == off and row["covered"] == hit.mean() and row["median_km2"] == 249.5
        assert tuple(row[["covered_low", "covered_high"]]) == calibrate.wilson(hit.sum(), 500)


def one_hot(*cells):
    return np.eye(N_CELLS, dtype=np.float32)[list(cells)]


def test_entropy_counts_cells_at_every_level():
    flat = np.full((1, N_CELLS), 1 / N_CELLS, np.float32)
    np.testing.assert_allclose(abstain.entropy(one_hot(3), TREE), 0)
    shares = [level[0] for level in marginals(flat, TREE)]
    expected = [-(p * np.log2(p)).sum() for p in shares]
    np.testing.assert_allclose(abstain.entropy(flat, TREE)[0], expected, rtol=1e-5)
    assert abstain.entropy(flat, TREE)[0, -1] == pytest.approx(math.log2(N_CELLS))


def test_spatial_entropy_is_an_area_and_does_not_depend_on_how_the_earth_is_cut():
    areas = TREE.areas_km2(-1)
    np.testing.assert_allclose(2 ** abstain.spatial_entropy(one_hot(0, 7), TREE), areas[[0, 7]])
    flat = (areas / areas.sum())[None]
    assert 2 ** abstain.spatial_entropy(flat, TREE)[0] == pytest.approx(calibrate.SPHERE_KM2)
    coarse = GeocellTree.fit(*TREE.centers(-1), (4,), min_photos=1)
    rough = (coarse.areas_km2(-1) / calibrate.SPHERE_KM2)[None]
    assert abstain.spatial_entropy(rough, coarse)[0] == pytest.approx(abstain.spatial_entropy(flat, TREE)[0])


def test_expected_distance_is_that_of_a_loop():
    posterior, _ = exchangeable(5, 13)
    lat, lon = np.array([-90.0, 0, 10, 50, 90]), np.array([0.0, 180, -180, 3, 7])
    centers, within = np.transpose(TREE.centers(-1)), np.sqrt(TREE.areas_km2(-1) / math.pi) * 2 / 3
    for row in range(5):
        km = [math.hypot(sphere.haversine_km(lat[row], lon[row], *c), w) for c, w in zip(centers, within, strict=True)]
        expected = np.dot(posterior[row].astype(float), km) / posterior[row].sum(dtype=float)
        assert calibrate.expected_km(posterior, TREE, lat, lon)[row] == pytest.approx(expected, rel=1e-6)
    sure = calibrate.expected_km(one_hot(4), TREE, *(x[[4]] for x in TREE.centers(-1)))
    assert sure[0] == pytest.approx(within[4], rel=1e-3) and sure[0] > 0


def test_risk_coverage_is_the_mean_of_the_surest():
    rng = np.random.default_rng(14)
    doubt, loss = rng.permutation(np.arange(200.0)), rng.random(200)
    table = abstain.risk_coverage(doubt, loss, n_boot=50)
    ranked = loss[np.argsort(doubt)]
    for share in table.index:
        assert table.loc[share, "risk"] == pytest.approx(ranked[: round(200 * share)].mean())
    assert table.loc[1.0, "risk"] == pytest.approx(loss.mean())
    assert table.attrs["area"] == pytest.approx(np.mean([ranked[:k].mean() for k in range(1, 201)]))
    assert (table["risk_low"] <= table["risk"]).all() and (table["risk"] <= table["risk_high"]).all()


def test_equal_uncertainty_means_a_random_choice():
    table = abstain.risk_coverage([1, 1, 1, 2], [0, 3, 3, 10], n_boot=5)
    np.testing.assert_allclose(table.loc[[0.25, 0.5, 0.75, 1], "risk"], [2, 2, 2, 4])
    other = abstain.risk_coverage([2, 1, 1, 1], [10, 3, 0, 3], n_boot=5)
    np.testing.assert_allclose(other["risk"], table["risk"])  # whatever the order of the photos


def test_photographers_widen_the_interval_of_the_risk():
    rng = np.random.default_rng(15)
    clusters = np.repeat([f"photographer {i:02}" for i in range(30)], 20)
    loss = np.repeat(rng.random(30) < 0.5, 20).astype(float)
    doubt = rng.random(600)
    widths = []
    for labels in (None, clusters):
        row = abstain.risk_coverage(doubt, loss, labels, n_boot=200).loc[1.0]
        widths.append(row["risk_high"] - row["risk_low"])
    assert widths[1] == pytest.approx(widths[0] * math.sqrt(20), rel=0.3)
    mean = evaluate.shares({"loss": loss}, clusters, n_boot=200).loc["loss"]
    np.testing.assert_allclose(row["risk_low"], mean["share_low"])  # the same draws as elsewhere


def test_removed_are_the_most_uncertain():
    labels = np.array(["street"] * 6 + ["interior"] * 4)
    table = abstain.removed([1, 2, 3, 4, 5, 9, 6, 7, 8, 10], labels, 0.3)
    assert table.index.tolist() == ["interior", "street"]
    assert table["removed"].tolist() == [2 / 4, 1 / 6] and table["photos"].tolist() == [4, 6]
    assert table.loc["interior", "removed_high"] == calibrate.wilson(2, 4)[1]


def sphere_points(n=20_000):
    """Points evenly spread over the Earth (a Fibonacci lattice), so that a mean over them is an integral."""
    k = np.arange(n) + 0.5
    return np.degrees(np.arcsin(1 - 2 * k / n)), (np.degrees(k * math.pi * (1 + 5**0.5)) + 180) % 360 - 180


def concentrations(factor):
    """Of each cell: the sphere's area over its own, times the factor."""
    return factor * calibrate.SPHERE_KM2 / TREE.areas_km2(-1)


@pytest.mark.parametrize("factor", [1e-3, 0.1, 1.0, 5.0])
def test_the_density_integrates_to_one(factor):
    posterior, _ = exchangeable(1, 16)
    density = np.exp(VonMisesFisherMixture(TREE, factor).log_density(posterior, *sphere_points()))
    assert density.mean() * 4 * math.pi == pytest.approx(1, abs=1e-3)


def test_the_density_is_scipys_mixture():
    posterior, _ = exchangeable(30, 17)
    lat, lon = (x[:30] for x in TREE.centers(-1))
    mixture = VonMisesFisherMixture(TREE, 0.7)
    centers, points = (sphere.unit_vectors(*place) for place in (TREE.centers(-1), (lat, lon)))
    bumps = np.stack(
        [vonmises_fisher(m, k).pdf(points) for m, k in zip(centers, concentrations(0.7), strict=True)], axis=1
    )
    expected = (bumps * posterior).sum(axis=1) / posterior.sum(axis=1, dtype=float)
    np.testing.assert_allclose(np.exp(mixture.log_density(posterior, lat, lon)), expected, rtol=1e-6)


@pytest.mark.parametrize("kappa", [1e-6, 0.1, 1.0, 1e4, 1e8])
def test_the_density_is_stable_for_any_concentration(kappa):
    mixture = VonMisesFisherMixture(TREE, kappa * TREE.areas_km2(-1)[0] / calibrate.SPHERE_KM2)
    here = mixture.log_density(one_hot(0), *(x[[0]] for x in TREE.centers(-1)))[0]
    exact = math.log(kappa / (4 * math.pi)) - (math.log(math.sinh(kappa)) - kappa if kappa < 700 else -math.log(2))
    assert here == pytest.approx(exact, rel=1e-6)
    far = mixture.log_density(one_hot(0), *sphere_points(200))
    assert np.isfinite(far).all()


def test_the_fitted_factor_is_that_of_a_brute_search_and_finds_how_the_places_were_drawn():
    posterior, cells = exchangeable(600, 18)
    centers, kappa = sphere.unit_vectors(*TREE.centers(-1)), concentrations(3.0)
    draw = np.random.default_rng(19)
    points = np.concatenate([vonmises_fisher(centers[c], kappa[c]).rvs(1, random_state=draw) for c in cells])
    lat, lon = sphere.to_lat_lon(points)
    fitted = VonMisesFisherMixture.fit(posterior, TREE, lat, lon)
    assert fitted.factor == pytest.approx(3, rel=0.2)
    best = fitted.log_density(posterior, lat, lon).mean()
    others = [
        VonMisesFisherMixture(TREE, f).log_density(posterior, lat, lon).mean() for f in np.geomspace(1e-3, 1e3, 61)
    ]
    assert best >= max(others)
    assert best > -math.log(4 * math.pi)  # the uniform density


def test_fitted_on_calibration_photos_and_used_on_others():
    """As a user would: heads, fused by fitted weights, regions around the answers, and when not to answer."""
    tree = GeocellTree.fit(*world(2000)[1:], (4, 12, 40))
    heads, _ = train_heads(*world(2000), tree, options=TrainOptions(epochs=8))
    (cal_vectors, *cal_place), (vectors, *place) = world(1500, seed=1), world(1500, seed=2)
    blind = np.arange(1500) < 300  # photos without a clue: the mean of all
    cal_vectors[blind] = vectors[blind] = vectors.mean(axis=0)
    cal_cells, cells = tree.assign(*cal_place), tree.assign(*place)
    fitted = fit_fusion(predict_logits(heads, cal_vectors), cal_cells, tree)
    calibration = fuse(predict_logits(heads, cal_vectors), tree, "product", **fitted)
    posterior = fuse(predict_logits(heads, vectors), tree, "product", **fitted)
    answer, cal_answer = decode(posterior, tree), decode(calibration, tree)
    km, scale = evaluate.errors_km(*answer, *place), calibrate.expected_km(posterior, tree, *answer)
    caps = ConformalCaps.fit(
        evaluate.errors_km(*cal_answer, *cal_place), calibrate.expected_km(calibration, tree, *cal_answer)
    )
    sets = ConformalCells.fit(calibration, cal_cells[:, -1]).sets(posterior, 0.8)
    radius = caps.radius_km(scale, 0.8)
    hits = covered(sets, cells[:, -1])
    for hit, area in ((hits, calibrate.region_area_km2(sets, tree)), (km <= radius, calibrate.cap_area_km2(radius))):
        row = calibrate.coverage(hit, 0.8, area).loc["all"]
        assert row["covered"] == pytest.approx(0.8, abs=0.05) and row["median_km2"] > 0
    density = VonMisesFisherMixture.fit(calibration, tree, *cal_place)
    assert density.log_density(posterior, *place).mean() > -math.log(4 * math.pi) + 1
    doubt = abstain.entropy(posterior, tree)[:, 0]
    assert abstain.removed(doubt, blind).loc["True", "removed"] > 0.9
    curve = abstain.risk_coverage(doubt, km, n_boot=20)
    assert curve.loc[0.8, "risk_high"] < curve.loc[1.0, "risk_low"]


POSTERIOR, CELLS = exchangeable(6, 20)
POINTS = np.zeros(6), np.zeros(6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibrate.reliability([0.5, 1.2], [1, 0]), "probabilities in"),
        (lambda: calibrate.reliability([0.5], [1, 0]), r"probability \(1,\), right \(2,\)"),
        (lambda: calibrate.reliability([0.5, 0.5], [1, 2]), "true or false"),
        (lambda: calibrate.expected_calibration_error([0.5, np.nan], [1, 0]), "probabilities in"),
        (lambda: calibrate.expected_calibration_error([0.5], [1], 0), "at least one bin"),
        (lambda: ConformalCells.fit(POSTERIOR * 2, CELLS), "row 0 is not a distribution"),
        (lambda: ConformalCells.fit(POSTERIOR * np.nan, CELLS), "row 0 is not a distribution"),
        (lambda: ConformalCells.fit(POSTERIOR[0], CELLS), r"\(40,\): expected floats"),
        (lambda: ConformalCells.fit(POSTERIOR[:0], CELLS[:0]), "at least one photo"),
        (lambda: ConformalCells.fit(POSTERIOR, CELLS[:-1]), r"\(5,\) for scores \(6, 40\)"),
        (lambda: ConformalCells.fit(POSTERIOR, CELLS + 40), "expected 0 to 39"),
        (lambda: ConformalCells.fit(POSTERIOR, CELLS).sets(POSTERIOR, 1.0), "confidence=1.0"),
        (lambda: ConformalCells.fit(POSTERIOR, CELLS).sets(POSTERIOR, np.nan), "confidence=nan"),
        (lambda: ConformalCaps.fit([1.0, -1.0], [1.0, 1.0]), "errors >= 0"),
        (lambda: ConformalCaps.fit([1.0], [0.0]), "above 0"),
        (lambda: ConformalCaps.fit([1.0], [1.0, 2.0]), r"scale_km \(2,\): expected \(n,\) each"),
        (lambda: calibrate.coverage([True], 0.9, [1.0, 2.0]), r"area_km2 \(2,\)"),
        (lambda: abstain.entropy(POSTERIOR[:, :-1] / POSTERIOR[:, :-1].sum(1, keepdims=True), TREE), r"\(n, 40\)"),
        (lambda: calibrate.expected_km(POSTERIOR, TREE, [0.0], [0.0]), "1 points for 6 photos"),
        (lambda: abstain.risk_coverage([1.0, np.inf], [1, 0]), "finite numbers"),
        (lambda: abstain.risk_coverage([1.0, 2.0], [1, 0], ["a"]), r"clusters has shape \(1,\), expected \(2,\)"),
        (lambda: abstain.risk_coverage([1.0, 2.0], [1, 0], n_boot=0), "n_boot=0"),
        (lambda: abstain.removed([1.0, 2.0], ["a"]), r"labels \(1,\)"),
        (lambda: abstain.removed([1.0, 2.0], ["a", "b"], 1.0), "abstain=1.0"),
        (lambda: VonMisesFisherMixture.fit(POSTERIOR[:2], TREE, *POINTS), "6 points for 2 posteriors"),
        (lambda: VonMisesFisherMixture(TREE, 1.0).log_density(POSTERIOR, POINTS[0] + 91, POINTS[1]), r"lat\[0\] = 91"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
