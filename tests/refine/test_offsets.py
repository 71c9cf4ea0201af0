"""The hybrid head: it stays in its cell, starts at the cell's centre, and learns what embeddings tell."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from tiny import world

from geolib import sphere
from geolib.cells import GeocellTree
from geolib.cells.kinds import floor_km
from geolib.cells.semantic import SemanticCells
from geolib.refine.offsets import OffsetHead, train_offsets

TRAIN, HELD_OUT = world(1500, seed=1), world(500, seed=2)


@pytest.fixture(scope="module")
def tree():
    return GeocellTree.fit(*TRAIN[1:], (4, 12))


def error_km(head, tree, photos):
    vectors, lat, lon = photos
    return sphere.haversine_km(*head.place(vectors, tree.assign(lat, lon)[:, -1]), lat, lon)


def test_an_untrained_head_answers_with_the_centre(tree):
    cells = np.arange(tree.n_cells[-1])
    lat, lon = OffsetHead(16, tree).place(TRAIN[0][: len(cells)], cells)
    assert sphere.haversine_km(lat, lon, *tree.centers(-1)).max() < 1


def test_training_breaks_the_floor_of_the_perfect_classifier(tree):
    head = train_offsets(*TRAIN, tree, calibration=HELD_OUT, epochs=8)
    assert np.mean(error_km(head, tree, HELD_OUT)) < 0.97 * np.mean(floor_km(tree, *HELD_OUT[1:]))


def test_nothing_to_learn_leaves_the_centres(tree):
    rng = np.random.default_rng(0)
    noise, other = (rng.normal(size=(len(part[1]), 16)).astype(np.float32) for part in (TRAIN, HELD_OUT))
    head = train_offsets(noise, *TRAIN[1:], tree, calibration=(other, *HELD_OUT[1:]), epochs=5)
    assert np.mean(error_km(head, tree, (other, *HELD_OUT[1:]))) < 1.1 * np.mean(floor_km(tree, *HELD_OUT[1:]))


def test_places_never_leave_the_cells_box(tree):
    head = train_offsets(*TRAIN, tree, epochs=3)
    with torch.no_grad():
        head.slope.mul_(1000)  # offsets as large as tanh allows
    cells = np.random.default_rng(1).integers(tree.n_cells[-1], size=500)
    lat, lon = head.place(HELD_OUT[0], cells)
    south, west, north, east = (edge[cells] for edge in tree.bounds(-1))
    slack = 1e-4  # float32 degrees
    assert ((lat >= south - slack) & (lat <= north + slack) & (lon >= west - slack) & (lon <= east + slack)).all()


def test_equal_seeds_give_equal_bytes_and_leave_the_global_generator_alone(tree):
    before = torch.random.get_rng_state()
    one, two, other = (train_offsets(*TRAIN, tree, epochs=1, seed=seed).slope for seed in (3, 3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_cells_that_do_not_fit_are_refused(tree):
    for cells in (np.zeros(3, np.int64), np.full(500, -1), np.full(500, tree.n_cells[-1])):
        with pytest.raises(ValueError, match="expected one of 0 to"):
            OffsetHead(16, tree).place(HELD_OUT[0], cells)


def test_vectors_of_another_encoder_are_refused(tree):
    with pytest.raises(ValueError, match="same encoder"):
        OffsetHead(24, tree).place(HELD_OUT[0], np.zeros(500, np.int64))


@pytest.fixture(scope="module")
def fiji():
    """Photos on both sides of the dateline, and the vectors that tell where; few elsewhere, so one cell holds them."""
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-20, -15, 600), (180 + rng.uniform(-3, 3, 600) + 180) % 360 - 180
    lat, lon = np.append(lat, rng.uniform(-60, 60, 4)), np.append(lon, rng.uniform(-90, 90, 4))
    vectors = sphere.unit_vectors(lat, lon) @ np.random.default_rng(1).normal(size=(3, 16)) * 3
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), lat, lon


def test_the_dateline_is_no_edge_for_offsets(fiji):
    _, lat, lon = fiji
    tree = SemanticCells.fit(lat, lon, 100, 700)
    cells = tree.assign(lat, lon)[:, -1]
    on_both = np.isin(cells, np.intersect1d(cells[lon > 170], cells[lon < -170]))
    assert on_both.sum() > 100, "the test needs a cell on both sides"
    centres = np.transpose(tree.centers(-1))[cells].T
    from_centre = sphere.haversine_km(*centres, lat, lon)
    at_start = sphere.haversine_km(*OffsetHead(16, tree).place(fiji[0], cells), *centres)
    assert at_start[on_both].max() < 1, "an untrained head answers with the centre"
    found_lat, found_lon = train_offsets(*fiji, tree, epochs=20).place(fiji[0], cells)
    assert (np.abs(found_lon) <= 180).all()
    error = sphere.haversine_km(found_lat, found_lon, lat, lon)
    assert error[on_both].mean() < 0.9 * from_centre[on_both].mean()


def test_offsets_learn_in_a_context_without_gradients(tree):
    with torch.no_grad():
        inside = train_offsets(*TRAIN, tree, epochs=2)
    assert torch.equal(inside.slope, train_offsets(*TRAIN, tree, epochs=2).slope) and inside.slope.any()


def test_a_degree_of_longitude_is_short_near_the_pole():
    """Three places at the corners of a triangle near 80 north: where nothing is learnt, the best answer has the least
    distance to all. Measured in degrees the triangle is flat and the best answer is its tip, 400 km away."""
    lat, lon = np.tile([78.0, 78.0, 83.0], 500), np.tile([0.0, 20.0, 10.0], 500)
    tree = GeocellTree.fit(lat, lon, (1,))
    head = train_offsets(np.ones((1500, 4), np.float32) / 2, lat, lon, tree, epochs=250)
    found = np.concatenate(head.place(np.ones((1, 4), np.float32) / 2, np.array([0])))
    best = minimize(lambda at: sphere.haversine_km(*at, lat, lon).mean(), [80, 10], method="Nelder-Mead").x
    assert sphere.haversine_km(*found, *best) < 40
