"""Prototypes against brute force."""

import numpy as np
import pytest

from geolib import sphere
from geolib.cells import GeocellTree
from geolib.refine.prototypes import cell_prototypes, refine_prototypes
from geolib.retrieve import NearestNeighbour


def test_prototypes_are_means_of_photos_that_lie_together(town_world):
    w = town_world
    made = cell_prototypes(w.gallery, w.tree, photos=5)
    counts = w.tree.counts(-1)
    per_cell = np.bincount(made.cells, minlength=len(counts))
    assert (per_cell >= 1).all() and (per_cell <= np.maximum(counts // 5, 1)).all() and per_cell.sum() > len(counts)
    whole = cell_prototypes(w.gallery, w.tree, photos=10_000)  # one per cell: its centre, its mean vector
    np.testing.assert_array_equal(whole.cells, np.arange(len(counts)))
    lat, lon = w.tree.centers(-1)
    assert sphere.haversine_km(lat, lon, whole.gallery.lat, whole.gallery.lon).max() < 0.01
    mean = w.gallery.vectors.numpy()[w.cells == 3].mean(axis=0)
    np.testing.assert_allclose(whole.gallery.vectors[3].numpy(), mean / np.linalg.norm(mean), atol=1e-6)
    again = cell_prototypes(w.gallery, w.tree, photos=5)
    np.testing.assert_array_equal(made.gallery.vectors.numpy(), again.gallery.vectors.numpy())


def test_prototypes_split_two_villages_and_never_a_single_spot():
    lat, lon = np.repeat([10.0, 10.3, 50.0], 20), np.repeat([5.0, 5.0, 5.0], 20)
    lat[:40] += np.random.default_rng(0).normal(0, 1e-4, 40)
    tree = GeocellTree.fit(lat, lon, (2,))
    gallery = NearestNeighbour(np.eye(60), lat, lon)
    made = cell_prototypes(gallery, tree, photos=20)
    np.testing.assert_allclose(np.sort(made.gallery.lat), [10.0, 10.3, 50.0], atol=1e-3)
    assert (cell_prototypes(gallery, tree, photos=2).gallery.lat > 49).sum() == 1


@pytest.mark.parametrize("cells", [1, 4, 100])
def test_refine_prototypes_is_pigeons_rule(town_world, cells):
    w = town_world
    made = cell_prototypes(w.gallery, w.tree)
    lat, lon = refine_prototypes(w.posterior, w.queries, made, w.tree, cells=cells)
    centre, kept = np.stack(w.tree.centers(-1), axis=1), 0
    for row in range(90):
        candidates = []
        for cell in np.argsort(-w.posterior[row], kind="stable")[:cells]:
            mine = np.flatnonzero(made.cells == cell)
            apart = np.linalg.norm(made.gallery.vectors[mine].numpy().astype(float) - w.queries[row], axis=1)
            closest = mine[apart.argmin()]
            candidates.append((w.posterior[row, cell] * np.exp(-apart.min() / 1.6), closest))
        best = max(candidates)[1]
        point, original = (made.gallery.lat[best], made.gallery.lon[best]), centre[w.posterior[row].argmax()]
        far = sphere.haversine_km(*point, *original) > 1000
        kept += far
        assert (lat[row], lon[row]) == pytest.approx(tuple(original) if far else point, abs=1e-9)
    assert (kept > 0) == (cells > 1)


def test_bad_numbers_are_refused(town_world):
    w = town_world
    made = cell_prototypes(w.gallery, w.tree)
    with pytest.raises(ValueError, match="cells=0"):
        refine_prototypes(w.posterior, w.queries, made, w.tree, cells=0)
    with pytest.raises(ValueError, match="photos=0"):
        cell_prototypes(w.gallery, w.tree, photos=0)
