"""Decoding rules against brute force, and the places where a mean does not exist."""

import numpy as np
import pytest
import torch

from geolib import sphere
from geolib.cells import GeocellTree
from geolib.decode import decode

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


def test_argmax_is_the_centre_of_the_likeliest_cell():
    lat, lon = decode(POSTERIOR, TREE)
    best = [max(range(len(row)), key=row.__getitem__) for row in POSTERIOR]
    np.testing.assert_array_equal(lat, LAT[best])
    np.testing.assert_array_equal(lon, LON[best])
    assert lat.dtype == lon.dtype == np.float64


def test_mean_is_the_spherical_mean_of_the_centres():
    lat, lon = decode(POSTERIOR, TREE, "mean")
    for row, weights in enumerate(POSTERIOR):
        expected = sphere.mean_point(LAT, LON, weights)
        assert sphere.haversine_km(lat[row], lon[row], *expected) < 0.01


def test_mean_of_places_around_the_dateline_stays_there():
    lat, lon = decode(np.array([[0.5, 0.5]]), Centers([10, 10], [179, -179]), "mean")
    assert lat[0] == pytest.approx(10.0, abs=0.01) and abs(lon[0]) == pytest.approx(180)


def test_mean_of_antipodes_is_the_argmax():
    tree = Centers([0, 0, 45], [0, 180, 10])
    lat, lon = decode(np.array([[0.5, 0.5, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]]), tree, "mean")
    np.testing.assert_allclose(lat, [0, 0, 45], atol=1e-9)
    np.testing.assert_allclose(np.abs(lon), [0, 180, 10], atol=1e-9)


@pytest.mark.parametrize("rule", ["argmax", "mean"])
def test_scale_and_kind_do_not_matter(rule):
    plain = decode(POSTERIOR, TREE, rule)
    for other in (POSTERIOR * 8, POSTERIOR.astype(np.float64), torch.from_numpy(POSTERIOR)):
        np.testing.assert_allclose(decode(other, TREE, rule), plain, atol=1e-4)


@pytest.mark.parametrize("rule", ["mode", "distance", "geoscore"])
def test_planned_rules_say_so(rule):
    with pytest.raises(ValueError, match="known, but not available in this version; available: argmax, mean"):
        decode(POSTERIOR, TREE, rule)


def test_unknown_rule_lists_the_rules():
    with pytest.raises(ValueError, match="'median' is not a decoding rule; available: argmax, mean"):
        decode(POSTERIOR, TREE, "median")


def with_row(row):
    posterior = POSTERIOR.copy()
    posterior[7] = row
    return posterior


@pytest.mark.parametrize("rule", ["argmax", "mean"])
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
