"""Decoding rules against brute force, and the places where a mean does not exist."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from geolib import sphere
from geolib.cells import GeocellTree
from geolib.common import arrays
from geolib.decoding import RULES, confidence, decode, decode_points, expected, radius_km

_rng = np.random.default_rng(0)
TREE = GeocellTree.fit(_rng.uniform(-60, 60, 2000), _rng.uniform(-180, 180, 2000), (4, 40))
LAT, LON = TREE.centers(-1)
POSTERIOR = _rng.dirichlet(np.full(TREE.n_cells[-1], 0.05), size=30).astype(np.float32)


class Centers:
    """As much of a tree as decoding sees: cells at given places."""

    def __init__(self, lat, lon):
        self.n_cells = (len(lat),)
        self.places = np.array(lat, float), np.array(lon, float)

    def centers(self, level):
        return self.places

    def areas_km2(self, level):
        return np.full(self.n_cells, 100.0)


def test_argmax_is_the_centre_of_the_likeliest_cell():
    lat, lon = decode(POSTERIOR, TREE)
    best = [max(range(len(row)), key=row.__getitem__) for row in POSTERIOR]
    np.testing.assert_array_equal(lat, LAT[best])
    np.testing.assert_array_equal(lon, LON[best])
    assert lat.dtype == lon.dtype == np.float64


def test_mean_is_the_spherical_mean_of_the_centres():
    lat, lon = decode(POSTERIOR, TREE, "mean")
    for row, weights in enumerate(POSTERIOR):
        expected = sphere.to_lat_lon(weights @ sphere.unit_vectors(LAT, LON))
        assert sphere.haversine_km(lat[row], lon[row], *expected) < 0.01


def test_mean_of_places_around_the_dateline_stays_there():
    lat, lon = decode(np.array([[0.5, 0.5]]), Centers([10, 10], [179, -179]), "mean")
    assert lat[0] == pytest.approx(10.0, abs=0.01) and abs(lon[0]) == pytest.approx(180)


def test_mean_of_antipodes_is_the_argmax():
    tree = Centers([0, 0, 45], [0, 180, 10])
    lat, lon = decode(np.array([[0.5, 0.5, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]]), tree, "mean")
    np.testing.assert_allclose(lat, [0, 0, 45], atol=1e-9)
    np.testing.assert_allclose(np.abs(lon), [0, 180, 10], atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_scale_and_kind_do_not_matter(rule):
    plain = decode(POSTERIOR, TREE, rule)
    for other in (POSTERIOR * 8, POSTERIOR.astype(np.float64), torch.from_numpy(POSTERIOR)):
        np.testing.assert_allclose(decode(other, TREE, rule), plain, atol=1e-4)


def test_unknown_rule_lists_the_rules():
    with pytest.raises(ValueError, match="'median' is not a decoding rule; available: argmax, mean, mode"):
        decode(POSTERIOR, TREE, "median")


def with_row(row):
    posterior = POSTERIOR.copy()
    posterior[7] = row
    return posterior


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 0.0])
def test_rows_that_are_no_distribution_are_refused(rule, value):
    row = POSTERIOR[7] * (value != 0)
    row[3] = value
    with pytest.raises(ValueError, match="row 7 is not a distribution"):
        decode(with_row(row), TREE, rule)


@pytest.mark.parametrize("posterior", [POSTERIOR[:, 1:], POSTERIOR[0], POSTERIOR[:0]])
def test_a_posterior_of_another_tree_is_refused(posterior):
    with pytest.raises(ValueError, match=f"expected \\(n, {TREE.n_cells[-1]}\\)"):
        decode(posterior, TREE)


# Expected costs. The oracles: all pairs of centres in float64, and scipy's optimiser around the best centre.

KM = sphere.haversine_km(LAT[:, None], LON[:, None], LAT, LON)
GAINS = {"distance": -KM, "geoscore": sphere.geoscore(KM)}


def value(posterior, rule, at):
    """Expected gain of answers (lat, lon) in float64."""
    km = sphere.haversine_km(at[0][:, None], at[1][:, None], LAT, LON)
    gain = -km if rule == "distance" else sphere.geoscore(km)
    return (posterior / posterior.sum(axis=1, keepdims=True) * gain).sum(axis=1)


@pytest.mark.parametrize("rule", GAINS)
@pytest.mark.parametrize("alpha", [0.02, 0.3, 5.0])
def test_no_centre_is_better_than_the_centre_that_is_found(rule, alpha):
    posterior = np.random.default_rng(3).dirichlet(np.full(len(LAT), alpha), size=200)
    at = decode(posterior, TREE, rule, refine=False)
    np.testing.assert_allclose(value(posterior, rule, at), (posterior @ GAINS[rule]).max(axis=1), atol=1e-2)
    assert set(zip(*at, strict=True)) <= set(zip(LAT, LON, strict=True))


@pytest.mark.parametrize("rule", GAINS)
def test_search_in_many_blocks_is_exact(rule):
    rng = np.random.default_rng(4)
    lat, lon = sphere.to_lat_lon(rng.normal(size=(1500, 3)))
    km = sphere.haversine_km(lat[:, None], lon[:, None], lat, lon)
    mass = rng.exponential(size=(60, 1500)) * np.exp(-km[rng.integers(1500, size=60)] / 800)
    gain = -km if rule == "distance" else sphere.geoscore(km)
    best = (mass @ gain).argmax(axis=1)
    found = decode_points(mass, lat, lon, rule, refine=False)
    total = mass.sum(axis=1)
    here = expected(mass, lat, lon, found, rule) * (-1 if rule == "distance" else 1)
    np.testing.assert_allclose(here, (mass @ gain)[np.arange(60), best] / total, atol=1e-2)


@pytest.mark.parametrize("rule", GAINS)
def test_refinement_is_never_worse_and_finds_most_of_what_there_is_to_gain(rule):
    rng = np.random.default_rng(5)
    lat, lon = sphere.to_lat_lon(rng.normal(size=(800, 3)))
    km = sphere.haversine_km(lat[:12, None], lon[:12, None], lat, lon)
    humps = np.exp(-km / 1000) * rng.exponential(size=km.shape)
    sign = 1 if rule == "distance" else -1

    def cost(row, place):
        return sign * expected(humps[[row]], lat, lon, place, rule)[0]

    starts, answers = (np.transpose(decode_points(humps, lat, lon, rule, refine=flag)) for flag in (False, True))
    gained, possible = [], []
    for row, (start, answer) in enumerate(zip(starts, answers, strict=True)):

        def at(x, row=row):
            return cost(row, (np.clip(x[:1], -90, 90), (x[1:] + 180) % 360 - 180))

        simplex = [start, start + np.array([3, 0]), start + np.array([0, 3])]
        best = minimize(at, start, method="Nelder-Mead", options={"initial_simplex": simplex}).fun
        gained.append(at(start) - at(answer))
        possible.append(at(start) - min(best, at(start)))
    assert min(gained) >= 0
    assert np.mean(gained) > 0.7 * np.mean(possible) > 0.01


@pytest.mark.parametrize("rule", GAINS)
def test_search_tells_centres_apart_that_are_metres_apart(rule):
    """A city of hundreds of cells, so that near neighbours are in different blocks: float32's cosine is blind here."""
    rng = np.random.default_rng(8)
    lat, lon = 50 + rng.normal(0, 0.02, 400), 8 + rng.normal(0, 0.03, 400)
    mass = rng.dirichlet(np.full(400, 0.05), size=50)
    km = sphere.haversine_km(lat[:, None], lon[:, None], lat, lon)
    gain = mass @ (-km if rule == "distance" else sphere.geoscore(km))
    found = decode_points(mass, lat, lon, rule, refine=False)
    here = expected(mass, lat, lon, found, rule) * (-1 if rule == "distance" else 1)
    np.testing.assert_allclose(here, gain.max(axis=1), atol=2e-3)


def test_two_cells_have_a_known_optimum():
    """Between two points both costs are best at the heavier one, however near or far."""
    for gap in (0.5, 20.0, 170.0):
        tree = Centers([10, 10], [0, gap])
        for rule in GAINS:
            lat, lon = decode(np.array([[0.4, 0.6], [0.7, 0.3]]), tree, rule)
            np.testing.assert_allclose((lat, lon), ([10, 10], [gap, 0]), atol=1e-6)


def test_distance_finds_the_fermat_point_of_a_triangle():
    """Three equal masses: the geometric median of an equilateral triangle is its middle."""
    tree = Centers([90 - 5, 90 - 5, 90 - 5], [-180 + 1, -60 + 1, 60 + 1])
    lat, _ = decode(np.full((1, 3), 1 / 3), tree, "distance")
    assert lat[0] > 89.5  # the pole, to a few steps


def test_expected_costs_across_the_dateline_and_at_the_poles():
    line = Centers([0, 0, 0], [179, -179, 180])
    for rule in GAINS:
        lat, lon = decode(np.array([[0.3, 0.3, 0.4]]), line, rule)
        assert abs(lat[0]) < 1e-6 and abs(lon[0]) == pytest.approx(180)
    pole = Centers([89, 89, 90], [0, 180, 0])
    for rule in GAINS:
        assert decode(np.array([[0.3, 0.3, 0.4]]), pole, rule)[0][0] == pytest.approx(90)


def test_mode_settles_on_one_hump():
    tree = Centers([0, 1, 0, -1, 50], [0, 0, 1, 0, 90])
    lat, lon = decode(np.array([[0.3, 0.15, 0.15, 0.1, 0.3 - 1e-4]]), tree, "mode")
    assert 0 < lat[0] < 0.5 and 0 < lon[0] < 0.5  # leans to its hump, not to the other
    weights = np.array([0.3, 0.15, 0.15, 0.1]) ** 2
    expected_place = sphere.to_lat_lon(weights @ sphere.unit_vectors([0, 1, 0, -1], [0, 0, 1, 0]))
    assert sphere.haversine_km(lat[0], lon[0], *expected_place) < 0.01


@pytest.mark.parametrize("rule", RULES)
def test_points_of_its_own_for_each_row(rule):
    """Rows with their own points are what the rows would be alone."""
    rng = np.random.default_rng(6)
    lat, lon, mass = rng.uniform(-80, 80, (5, 9)), rng.uniform(-180, 180, (5, 9)), rng.dirichlet(np.ones(9), size=5)
    together = np.array(decode_points(mass, lat, lon, rule))
    alone = [decode_points(mass[[i]], lat[i], lon[i], rule) for i in range(5)]
    assert sphere.haversine_km(*together, *np.array(alone)[..., 0].T).max() < 1


@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(GAINS)))
@settings(max_examples=30, deadline=None)
def test_expected_costs_never_lose_to_any_centre(seed, rule):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 150))
    lat, lon = sphere.to_lat_lon(rng.normal(size=(m, 3)))
    lat[0], lon[0] = rng.choice([90, -90, lat[0]]), rng.choice([180, -180, lon[0]])
    mass = rng.dirichlet(np.full(m, rng.choice([0.03, 1.0])), size=3) + 1e-12
    found = expected(mass, lat, lon, decode_points(mass, lat, lon, rule), rule)
    centres = expected(np.repeat(mass, m, axis=0), lat, lon, (np.tile(lat, 3), np.tile(lon, 3)), rule).reshape(3, m)
    assert (found <= centres.min(1) + 2e-2).all() if rule == "distance" else (found >= centres.max(1) - 2e-2).all()


@pytest.mark.parametrize("seed", [5, 16])
def test_the_walk_leaves_its_centre_where_the_others_pull_harder(seed):
    """Kuhn's condition (1973) in float64. In float32 the cosine of a centre with itself may say 3 km, and it stuck."""
    rng = np.random.default_rng(seed)
    lat, lon = sphere.to_lat_lon(rng.normal(size=(40, 3)))
    mass = rng.dirichlet(np.full(40, 0.3), size=2000)
    start, answer = (np.stack(decode_points(mass, lat, lon, "distance", refine=flag)) for flag in (False, True))
    units, here = sphere.unit_vectors(lat, lon), sphere.unit_vectors(*start)
    tangents = units - (here @ units.T)[..., None] * here[:, None]
    lengths = np.linalg.norm(tangents, axis=2)
    own = lengths < 1e-6
    directions = np.divide(tangents, lengths[..., None], where=~own[..., None], out=np.zeros_like(tangents))
    pull, held = np.linalg.norm(np.einsum("nm,nmk->nk", mass, directions), axis=1), mass[own]
    km = sphere.haversine_km(*start, *answer)
    assert (km[pull > 1.5 * held] > 20).all() and (km[pull < 0.99 * held] == 0).all() and 0.1 < (km > 0).mean() < 0.9


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("rule", RULES)
def test_cuda_gives_the_same_places(rule):
    there = decode(torch.from_numpy(POSTERIOR).cuda(), TREE, rule)
    assert sphere.haversine_km(*there, *decode(POSTERIOR, TREE, rule)).max() < 1


def test_confidence_is_the_posterior_near_the_answer():
    lat, lon = decode(POSTERIOR, TREE, "geoscore")
    areas, slow = TREE.areas_km2(-1), []
    circle = 2 * np.pi * sphere.EARTH_RADIUS_KM**2 * (1 - np.cos(750 / sphere.EARTH_RADIUS_KM))
    for row, *place in zip(POSTERIOR, lat, lon, strict=True):
        near = [cell for cell in range(len(row)) if sphere.haversine_km(*place, LAT[cell], LON[cell]) <= 750]
        slow.append(sum(row[cell] * min(1, circle / areas[cell]) for cell in near))
    np.testing.assert_allclose(confidence(POSTERIOR, TREE, lat, lon), slow, rtol=1e-5)
    assert max(slow) > 0.1


@given(st.integers(0, 500))
def test_confidence_is_a_share_and_grows_with_what_lies_near(seed):
    rng = np.random.default_rng(seed)
    row, cell = rng.dirichlet(np.full(len(LAT), 0.2)), rng.integers(len(LAT))
    moved = row / 2
    moved[cell] += 0.5
    before, after = confidence(np.stack([row, moved]), TREE, LAT[[cell, cell]], LON[[cell, cell]])
    assert 0 <= before < after <= 1


def test_one_cell_for_the_whole_earth_gives_no_confidence():
    """However sure of its cell: an answer somewhere on Earth is within 750 km of the truth once in 300 times."""
    earth = GeocellTree.fit([50.0, 51], [0.0, 1], (1,), min_photos=1)
    assert confidence(np.ones((1, 1)), earth, [50], [0])[0] == pytest.approx(1 / 290, rel=0.01)
    assert radius_km(np.ones((1, 1)), earth, *earth.centers(-1))[0] > 8000


def test_one_place_cut_into_more_cells_is_as_sure():
    """What the likeliest cell's probability gets wrong: it falls to a tenth when the cell is cut into ten."""
    whole = Centers([50, -30], [10, 120])
    parts = Centers([*np.linspace(49.9, 50.1, 10), -30], [10] * 10 + [120])
    one, ten = np.array([[0.9, 0.1]]), np.array([[0.09] * 10 + [0.1]])
    assert ten.max() < one.max() / 8
    for tree, posterior in ((whole, one), (parts, ten)):
        assert confidence(posterior, tree, [50], [10])[0] == pytest.approx(0.9)


def test_half_of_the_posterior_lies_within_the_radius():
    lat, lon = decode(POSTERIOR, TREE, "distance")
    within = 2 / 3 * np.sqrt(TREE.areas_km2(-1) / np.pi)
    found = radius_km(POSTERIOR, TREE, lat, lon)
    for row, radius, *place in zip(POSTERIOR.astype(float), found, lat, lon, strict=True):
        km = np.hypot(sphere.haversine_km(*place, LAT, LON), within)
        held = {reach: row[km <= reach].sum() for reach in km}
        assert radius == pytest.approx(min(reach for reach, share in held.items() if share >= 0.5 - 1e-6), rel=1e-4)
    assert found.min() > 0


@pytest.mark.parametrize("function", [confidence, radius_km])
def test_how_sure_in_blocks_and_of_tensors_is_the_same(function, monkeypatch):
    lat, lon = decode(POSTERIOR, TREE)
    whole = function(POSTERIOR, TREE, lat, lon)
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", 3 * len(LAT))
    np.testing.assert_allclose(function(torch.from_numpy(POSTERIOR), TREE, lat, lon), whole, rtol=1e-6)
    with pytest.raises(ValueError, match="29 answers for 30 rows"):
        function(POSTERIOR, TREE, lat[:-1], lon[:-1])


def test_expected_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="'geoscore' or 'distance'"):
        expected(POSTERIOR, LAT, LON, (LAT[:30], LON[:30]), "median")
    with pytest.raises(ValueError, match="2 answers for 30 rows"):
        expected(POSTERIOR, LAT, LON, (LAT[:2], LON[:2]))
    with pytest.raises(ValueError, match=r"expected \(n, "):
        decode_points(POSTERIOR, LAT[:5], LON[:5])


@pytest.mark.parametrize("rule", ["distance", "geoscore"])
def test_no_place_around_the_refined_answer_is_better(rule):
    """Nelder-Mead from the answer, in the plane that touches the sphere there, finds metres, not kilometres."""
    rng = np.random.default_rng(2)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 300))), rng.uniform(-180, 180, 300)
    lat[:100], lon[:100] = 45 + rng.normal(0, 4, 100), (179 + rng.normal(0, 6, 100) + 180) % 360 - 180
    mass = rng.gamma(np.repeat([0.02, 0.1, 1.0], 8)[:, None], size=(24, 300)) + 1e-12
    places = np.transpose(decode_points(mass, lat, lon, rule))
    sign = 1 if rule == "distance" else -1
    for row, (up, right) in enumerate(places):
        there = sphere.unit_vectors(up, right)
        axes = np.linalg.svd(there[None])[2][1:]  # two directions along the ground

        def cost(step, row=row, there=there, axes=axes):
            at = sphere.to_lat_lon(there + step @ axes)
            return sign * expected(mass[[row]], lat, lon, ([at[0]], [at[1]]), rule)[0]

        around = [[0, 0], [0.02, 0], [0, 0.02]]
        better = minimize(cost, [0, 0], method="Nelder-Mead", options={"initial_simplex": around, "fatol": 1e-8})
        assert cost(np.zeros(2)) - better.fun < 0.01


def test_a_centre_is_left_only_if_the_others_pull_harder_than_it_holds():
    lat, lon = np.array([0.0, 0.0, 8.0]), np.array([0.0, 10.0, 5.0])
    weights = np.array([[0.6, 0.2, 0.2], [0.44, 0.26, 0.3]])  # at the first point: 0.6 holds, 0.44 does not
    found = np.transpose(decode_points(weights, lat, lon, "distance"))
    assert found[0].tolist() == [0.0, 0.0]
    assert sphere.haversine_km(*found[1], 0, 0) > 50
    values = expected(weights[[1]], lat, lon, (found[1, :1], found[1, 1:]), "distance")
    assert values < expected(weights[[1]], lat, lon, ([0.0], [0.0]), "distance")
