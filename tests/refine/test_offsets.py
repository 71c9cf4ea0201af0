"""The hybrid head: it stays in its cell, starts at the cell's centre, and learns what embeddings tell."""

import numpy as np
import pytest
import torch
from tiny import world

from geolib import sphere
from geolib.cells import GeocellTree
from geolib.refine.offsets import OffsetHead, train_offsets

TRAIN, HELD_OUT = world(1500, seed=1), world(500, seed=2)
TREE = GeocellTree.fit(*TRAIN[1:], (4, 12))


def error_km(head, photos):
    vectors, lat, lon = photos
    cells = TREE.assign(lat, lon)[:, -1]
    return sphere.haversine_km(*head.place(vectors, cells), lat, lon)


def floor_km(photos):
    _, lat, lon = photos
    cells = TREE.assign(lat, lon)[:, -1]
    centre = TREE.centers(-1)
    return sphere.haversine_km(centre[0][cells], centre[1][cells], lat, lon)


def test_an_untrained_head_answers_with_the_centre():
    cells = np.arange(TREE.n_cells[-1])
    lat, lon = OffsetHead(16, TREE).place(TRAIN[0][: len(cells)], cells)
    assert sphere.haversine_km(lat, lon, *TREE.centers(-1)).max() < 1


def test_training_breaks_the_floor_of_the_perfect_classifier():
    head = train_offsets(*TRAIN, TREE, calibration=HELD_OUT)
    assert np.mean(error_km(head, HELD_OUT)) < 0.97 * np.mean(floor_km(HELD_OUT))


def test_nothing_to_learn_leaves_the_centres():
    rng = np.random.default_rng(0)
    noise, other = (rng.normal(size=(len(part[1]), 16)).astype(np.float32) for part in (TRAIN, HELD_OUT))
    head = train_offsets(noise, *TRAIN[1:], TREE, calibration=(other, *HELD_OUT[1:]), epochs=5)
    assert np.mean(error_km(head, (other, *HELD_OUT[1:]))) < 1.1 * np.mean(floor_km(HELD_OUT))


def test_places_never_leave_the_cells_box():
    head = train_offsets(*TRAIN, TREE, epochs=3, lr=1.0, weight_decay=0.0)
    cells = np.random.default_rng(1).integers(TREE.n_cells[-1], size=500)
    lat, lon = head.place(HELD_OUT[0], cells)
    south, west, north, east = (edge[cells] for edge in TREE.bounds(-1))
    slack = 1e-4  # float32 degrees
    assert ((lat >= south - slack) & (lat <= north + slack) & (lon >= west - slack) & (lon <= east + slack)).all()


def test_equal_seeds_give_equal_bytes_and_leave_the_global_generator_alone():
    before = torch.random.get_rng_state()
    one, two, other = (train_offsets(*TRAIN, TREE, epochs=1, seed=seed).slope for seed in (3, 3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one, two) and not torch.equal(one, other)


@pytest.mark.parametrize("cells", [np.zeros(3, np.int64), np.full(500, -1), np.full(500, TREE.n_cells[-1])])
def test_cells_that_do_not_fit_are_refused(cells):
    with pytest.raises(ValueError, match="expected one of 0 to"):
        OffsetHead(16, TREE).place(HELD_OUT[0], cells)


def test_vectors_of_another_encoder_are_refused():
    with pytest.raises(ValueError, match="same encoder"):
        OffsetHead(24, TREE).place(HELD_OUT[0], np.zeros(500, np.int64))
