"""Calibration against brute force, scikit-learn and SciPy, coverage against simulation, densities against integrals."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import vonmises_fisher
from sklearn.calibration import calibration_curve
from tiny import world

from geolib import evaluate, open_dataset, sphere
from geolib.cells import GeocellTree
from geolib.common import arrays
from geolib.datasets.splits import split_photos
from geolib.decoding import decode, radius_km
from geolib.fusion import fuse
from geolib.heads import TrainOptions, predict_logits, train_heads
from geolib.judge import abstain, calibrate
from geolib.judge.calibrate import ConformalCaps, ConformalCells, VonMisesFisherMixture, fit_fusion
from geolib.predict import default_model

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


def test_reliability_is_scikit_learns():
    rng = np.random.default_rng(1)
    p = rng.beta(1, 3, 700).round(2)  # rounded: many equals
    right = rng.random(700) < p**2
    share, mean = calibration_curve(right, p, n_bins=10, strategy="quantile")
    table = calibrate.reliability(p, right, range(700), 10)
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
    fitted = ConformalCells.fit(posterior, cells, range(len(cells)))
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
    sets = ConformalCells.fit(posterior[calibration], cells[calibration], range(10_000)).sets(
        posterior[test], confidence
    )
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
        part = slice(start, start + n - 1)
        fitted = ConformalCells.fit(posterior[part], cells[part], range(n - 1))
        last = slice(start + n - 1, start + n)
        hits.append(covered(fitted.sets(posterior[last], 0.8), cells[last])[0])
    error = 4 * math.sqrt(0.16 / repetitions)
    assert 0.8 - error < np.mean(hits) < 0.85 + error


def test_too_few_calibration_photos_give_everything():
    posterior, cells = exchangeable(8, 9)
    assert ConformalCells.fit(posterior, cells, range(len(cells))).sets(posterior, 0.9).all()  # 9 * 0.9 > 8
    assert not ConformalCells.fit(*exchangeable(9, 9), range(9)).sets(posterior, 0.9).all()  # 10 * 0.9 is 9, no more
    caps = ConformalCaps.fit([1.0, 2.0], [1.0, 1.0], ["a", "b"])
    assert caps.radius_km([5.0], 0.9)[0] == math.pi * sphere.EARTH_RADIUS_KM


@given(st.integers(0, 50), st.floats(0.05, 0.9), st.floats(0, 0.09))
def test_sets_grow_with_the_confidence_and_do_not_depend_on_the_numbering(seed, confidence, more):
    posterior, cells = exchangeable(40, seed)
    fitted, order = (
        ConformalCells.fit(posterior, cells, range(len(cells))),
        np.random.default_rng(seed).permutation(N_CELLS),
    )
    sets = fitted.sets(posterior, confidence)
    assert (sets <= fitted.sets(posterior, confidence + more)).all()
    again = ConformalCells.fit(posterior[:, order], np.argsort(order)[cells], range(40))
    np.testing.assert_array_equal(again.sets(posterior[:, order], confidence), sets[:, order])


def test_sets_in_blocks_and_of_tensors_are_the_same(monkeypatch):
    posterior, cells = exchangeable(50, 10)
    fitted = ConformalCells.fit(posterior, cells, range(len(cells)))
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", 7 * N_CELLS)
    parts = ConformalCells.fit(torch.from_numpy(posterior), cells, range(50))
    np.testing.assert_array_equal(parts.scores, fitted.scores)
    np.testing.assert_array_equal(parts.sets(torch.from_numpy(posterior), 0.8), fitted.sets(posterior, 0.8))


@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9])
def test_caps_cover_their_share_and_are_larger_where_the_scale_is(confidence):
    rng = np.random.default_rng(11)
    scale = np.exp(rng.normal(5, 1, 40_000))
    km = np.minimum(scale * rng.exponential(3, 40_000), 20_000)
    caps = ConformalCaps.fit(km[:20_000], scale[:20_000], range(20_000))
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


def grouped(groups, rng, effect=2.0):
    """Errors of photos in km, and their photographers: 1 to 40 photos each, alike within a photographer."""
    sizes = rng.integers(1, 41, groups)
    people = np.repeat(np.arange(groups), sizes)
    return np.exp(rng.normal(0, effect, groups)[people] + rng.normal(0, 0.3, len(people))), people


@pytest.mark.parametrize(("confidence", "groups"), [(0.5, 7), (0.8, 9), (0.9, 19)])
def test_new_photographers_are_covered_where_counting_photos_covers_too_few(confidence, groups):
    """Photographers who differ much from each other: the photos of a new one, as often as asked."""
    rng, repetitions = np.random.default_rng(21), 1000
    hits = {"photographers": [], "photos": []}
    for _ in range(repetitions):
        km, people = grouped(groups + 1, rng)
        known, new = people < groups, people == groups
        for unit, clusters in (("photographers", people[known]), ("photos", range(known.sum()))):
            caps = ConformalCaps.fit(km[known], np.ones(known.sum()), clusters)
            hits[unit].append((km[new] <= caps.radius_km([1.0], confidence)).mean())
    error = 3 * np.std(hits["photographers"]) / math.sqrt(repetitions)
    share, by_photos = (np.mean(hits[unit]) for unit in ("photographers", "photos"))
    assert confidence - error < share < confidence + 1 / (groups + 1) + error
    assert by_photos < share - 0.02
    if confidence > 0.5:
        assert by_photos < confidence - error / 3, "what photos as units promise to photographers is not kept"


@given(st.integers(0, 1000), st.integers(1, 60), st.floats(0.02, 0.98))
def test_with_one_photo_each_the_limit_is_the_usual_one(seed, n, confidence):
    scores = np.random.default_rng(seed).random(n)
    rank = math.ceil((n + 1) * confidence - 1e-9)
    limit = np.sort(scores)[rank - 1] if rank <= n else math.pi * sphere.EARTH_RADIUS_KM
    people = np.random.default_rng(seed).permutation(n)
    assert ConformalCaps.fit(scores, np.ones(n), people).radius_km([1.0], confidence)[0] == limit


@given(st.integers(0, 1000), st.integers(2, 5), st.floats(0.05, 0.95))
def test_who_uploads_everything_twice_moves_no_limit(seed, times, confidence):
    """A photographer's mass does not grow with the number of photos, and the order of the photos does not matter."""
    km, people = grouped(8, np.random.default_rng(seed))
    once = ConformalCaps.fit(km, np.ones(len(km)), people)
    repeat = np.where(people == people.max(), times, 1)
    order = np.random.default_rng(seed).permutation(repeat.sum())
    more, owner = np.repeat(km, repeat)[order], np.repeat(people, repeat)[order]
    again = ConformalCaps.fit(more, np.ones(len(more)), owner)
    assert once.radius_km([1.0], confidence) == again.radius_km([1.0], confidence)


def test_of_several_kinds_of_clusters_the_first_is_the_photographer():
    km, people = grouped(8, np.random.default_rng(22))
    both = {"photographer": people, "place": np.arange(len(km)) % 5}
    alone = ConformalCaps.fit(km, np.ones(len(km)), people)
    for clusters in (both, pd.DataFrame(both), pd.DataFrame(both, index=np.arange(len(km)) + 7)):
        again = ConformalCaps.fit(km, np.ones(len(km)), clusters)
        np.testing.assert_array_equal(again.mass, alone.mass)


def test_coverage_tables_flag_a_region_that_is_off():
    rng = np.random.default_rng(12)
    for share, verdict in ((0.8, "undecided"), (0.6, "less"), (0.95, "more")):
        hit = rng.random(500) < share
        row = calibrate.coverage(hit, 0.8, np.arange(500.0), range(500)).loc["all"]
        assert row["verdict"] == verdict and row["covered"] == pytest.approx(hit.mean())
        assert row["median_km2"] == 249.5 and row["photographers"] == row["photos"] == 500
        ends = evaluate.interval({"hit": hit}, range(500)).iloc[0][["share_low", "share_high"]]
        assert tuple(row[["covered_low", "covered_high"]]) == pytest.approx(tuple(ends))


def test_coverage_is_the_mean_over_photographers_and_its_interval_that_of_their_bootstrap():
    rng = np.random.default_rng(23)
    people = np.repeat(np.arange(60), rng.integers(1, 30, 60))
    hit = rng.random(len(people)) < rng.uniform(0.4, 1, 60)[people]
    row = calibrate.coverage(hit, 0.8, np.ones(len(hit)), people).loc["all"]
    each = np.array([hit[people == person].mean() for person in range(60)])
    assert row["covered"] == pytest.approx(each.mean()) and row["photographers"] == 60
    draws = each[rng.integers(60, size=(4000, 60))].mean(axis=1)
    width = row["covered_high"] - row["covered_low"]
    assert width == pytest.approx(np.diff(np.quantile(draws, [0.025, 0.975]))[0], rel=0.15)


def test_coverage_by_group_is_coverage_of_the_groups_photos():
    rng = np.random.default_rng(24)
    people, hit, area = np.arange(300) // 6, rng.random(300) < 0.7, rng.random(300)
    where = np.where(np.arange(300) % 3, "Asia", "Africa")
    table = calibrate.coverage(hit, 0.8, area, people, where)
    assert table.index.tolist() == ["all", "Africa", "Asia"]
    inside = where == "Asia"
    alone = calibrate.coverage(hit[inside], 0.8, area[inside], {"photographer": people[inside]}).loc["all"]
    pd.testing.assert_series_equal(table.loc["Asia"], alone, check_names=False)


def test_one_photographer_alone_decides_nothing_about_coverage():
    row = calibrate.coverage([True, False], 0.8, [1.0, 1.0], ["ann", "ann"]).loc["all"]
    assert row["verdict"] == "undecided" and np.isnan(row["covered_low"])


def one_hot(*cells):
    return np.eye(N_CELLS, dtype=np.float32)[list(cells)]


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
    km, scale = evaluate.errors_km(*answer, *place), radius_km(posterior, tree, *answer)
    people = np.arange(1500) // 3
    caps = ConformalCaps.fit(
        evaluate.errors_km(*cal_answer, *cal_place), radius_km(calibration, tree, *cal_answer), people
    )
    sets = ConformalCells.fit(calibration, cal_cells[:, -1], people).sets(posterior, 0.8)
    radius = caps.radius_km(scale, 0.8)
    hits = covered(sets, cells[:, -1])
    for hit, area in ((hits, calibrate.region_area_km2(sets, tree)), (km <= radius, calibrate.cap_area_km2(radius))):
        row = calibrate.coverage(hit, 0.8, area, people).loc["all"]
        assert row["covered"] == pytest.approx(0.8, abs=0.05) and row["median_km2"] > 0
    density = VonMisesFisherMixture.fit(calibration, tree, *cal_place)
    assert density.log_density(posterior, *place).mean() > -math.log(4 * math.pi) + 1
    sure = abstain.confidence(posterior, tree, *answer)
    assert abstain.removed(sure, blind, people, n_boot=20).loc["True", "removed"] > 0.9
    curve = abstain.abstention({"confidence": sure}, km <= 750, people, n_boot=20).loc["confidence"]
    assert curve.loc[0.8, "right_low"] > curve.loc[1.0, "right_high"]


def test_regions_of_the_shipped_model_hold_for_new_photographers_of_the_postcards():
    """`calibration` and `test` are exchangeable, for their photographers were dealt at random: regions that are fitted
    on the one side hold their share on the other, as on any two halves of these photographers."""
    dataset, model = open_dataset("postcards"), default_model()
    parts = split_photos(dataset, model.encoder)
    sides = [parts["calibration"], parts["test"]]
    vectors, lat, lon = (np.concatenate([side[part] for side in sides]) for part in range(3))
    people = dataset.photographers([*sides[0].ids, *sides[1].ids]).to_numpy()
    clusters = pd.DataFrame({"photographer": people, "place": evaluate.places(lat, lon)})
    posterior, cells = model.posterior(vectors), model.tree.assign(lat, lon)[:, -1]
    answer = decode(posterior, model.tree, model.decoding)
    km, scale = evaluate.errors_km(*answer, lat, lon), radius_km(posterior, model.tree, *answer)
    rng, names, rows = np.random.default_rng(26), np.unique(people), []
    first = np.arange(len(people)) < len(sides[0].ids)
    halves = [np.isin(people, rng.permutation(names)[: len(names) // 2]) for _ in range(2)]
    for known in [first, ~first, *halves]:
        caps = ConformalCaps.fit(km[known], scale[known], clusters[known])
        regions = {share: km[~known] <= caps.radius_km(scale[~known], share) for share in (0.5, 0.8, 0.9)}
        tables = [calibrate.coverage(hit, share, km[~known], clusters[~known]) for share, hit in regions.items()]
        sets = ConformalCells.fit(posterior[known], cells[known], clusters[known]).sets(posterior[~known], 0.8)
        tables.append(calibrate.coverage(covered(sets, cells[~known]), 0.8, km[~known], clusters[~known]))
        rows.append(pd.concat(tables))
    table = pd.concat(rows)
    # An interval knows the chance of the half that is asked, not that of the half that was fitted: one in six errs.
    assert (table["verdict"] == "undecided").mean() >= 0.75
    off = (table["covered"] - table["nominal"]).to_numpy().reshape(4, 4).mean(axis=0)
    np.testing.assert_allclose(off, 0, atol=0.03)  # one half of 380 photographers: 0.03 at 0.5, 0.02 at 0.9


POSTERIOR, CELLS = exchangeable(6, 20)
POINTS = np.zeros(6), np.zeros(6)
PEOPLE = list("abcdef")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: calibrate.reliability([0.5, 1.2], [1, 0], [1, 2]), "probabilities in"),
        (lambda: calibrate.reliability([0.5], [1, 0], [1, 2]), r"probability \(1,\), right \(2,\)"),
        (lambda: calibrate.reliability([0.5, 0.5], [1, 2], [1, 2]), "true or false"),
        (lambda: calibrate.expected_calibration_error([0.5, np.nan], [1, 0]), "probabilities in"),
        (lambda: calibrate.expected_calibration_error([0.5], [1], 0), "at least one bin"),
        (lambda: ConformalCells.fit(POSTERIOR * 2, CELLS, PEOPLE), "row 0 is not a distribution"),
        (lambda: ConformalCells.fit(POSTERIOR * np.nan, CELLS, PEOPLE), "row 0 is not a distribution"),
        (lambda: ConformalCells.fit(POSTERIOR[0], CELLS, PEOPLE), r"\(40,\): expected floats"),
        (lambda: ConformalCells.fit(POSTERIOR[:0], CELLS[:0], PEOPLE), "at least one photo"),
        (lambda: ConformalCells.fit(POSTERIOR, CELLS[:-1], PEOPLE), r"\(5,\) for scores \(6, 40\)"),
        (lambda: ConformalCells.fit(POSTERIOR, CELLS + 40, PEOPLE), "expected 0 to 39"),
        (lambda: ConformalCells.fit(POSTERIOR, CELLS, PEOPLE).sets(POSTERIOR, 1.0), "confidence=1.0"),
        (lambda: ConformalCells.fit(POSTERIOR, CELLS, PEOPLE).sets(POSTERIOR, np.nan), "confidence=nan"),
        (lambda: ConformalCaps.fit([1.0, -1.0], [1.0, 1.0], [1, 2]), "errors >= 0"),
        (lambda: ConformalCaps.fit([1.0], [0.0], [1]), "above 0"),
        (lambda: ConformalCaps.fit([1.0], [1.0, 2.0], [1]), r"scale_km \(2,\): expected \(n,\) each"),
        (lambda: ConformalCaps.fit([1.0, 2.0], [1.0, 1.0], ["ann", None]), "none missing"),
        (
            lambda: ConformalCaps.fit([1.0, 2.0], [1.0, 1.0], ["ann"]),
            r"expected the photographer of each photo, \(2,\)",
        ),
        (lambda: ConformalCaps.fit([1.0, 2.0], [1.0, 1.0], None), "expected the photographer"),
        (lambda: calibrate.coverage([True, True], 0.9, [1.0, 2.0], ["ann"]), "expected the photographer"),
        (lambda: calibrate.coverage([True], 0.9, [1.0, 2.0], [1]), r"area_km2 \(2,\)"),
        (lambda: VonMisesFisherMixture.fit(POSTERIOR[:2], TREE, *POINTS), "6 points for 2 posteriors"),
        (lambda: VonMisesFisherMixture(TREE, 1.0).log_density(POSTERIOR, POINTS[0] + 91, POINTS[1]), r"lat\[0\] = 91"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_regions_that_all_hold_the_truth_are_not_more_than_asked_with_few_photographers():
    """With exact coverage of 90 %, all of ten photographers' photos are covered in a third of all tries."""
    few = calibrate.coverage([True] * 10, 0.9, [1.0] * 10, [f"person {n}" for n in range(10)]).iloc[0]
    assert few["verdict"] == "undecided" and few["covered_low"] == pytest.approx(0.025 ** (1 / 10))
    many = calibrate.coverage([True] * 100, 0.9, [1.0] * 100, [f"person {n}" for n in range(100)]).iloc[0]
    assert many["verdict"] == "more"
    none = calibrate.coverage([False] * 10, 0.5, [1.0] * 10, [f"person {n}" for n in range(10)]).iloc[0]
    assert none["verdict"] == "less" and none["covered_high"] == pytest.approx(1 - 0.025 ** (1 / 10))


def test_coverage_of_uneven_photographers_is_that_of_resampled_photographers():
    rng = np.random.default_rng(0)
    who = np.array(["busy"] * 900 + [f"person {n // 2}" for n in range(100)])
    hit = rng.random(1000) < 0.9
    row = calibrate.coverage(hit, 0.9, np.ones(1000), who).iloc[0]
    each = pd.Series(hit).groupby(who).mean().to_numpy()
    drawn = [each[rng.integers(len(each), size=len(each))].mean() for _ in range(2000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert row["covered_low"] == pytest.approx(low, abs=0.02) and row["covered_high"] == pytest.approx(high, abs=0.02)


def test_a_group_that_is_called_all_would_replace_the_total():
    with pytest.raises(ValueError, match='a group is called "all"'):
        calibrate.coverage([True, False], 0.5, [1.0, 1.0], ["ann", "bob"], ["all", "x"])
