"""Refinement and photo posterior against brute force."""

import numpy as np
import pytest
import torch

from geolib import sphere
from geolib.decoding import decode_points
from geolib.refine import photos as refine_photos
from geolib.refine.photos import fit_photo_posterior, fit_weight, photo_posterior, refine
from geolib.retrieve import NearestNeighbour


def brute_scores(w, share, weight, queries=None):
    """similarity + weight * log p(cell), -inf outside the smallest set of cells: one query, one cell at a time."""
    out = np.full((len(w.queries), len(w.cells)), -np.inf)
    similarity = w.queries.astype(float) @ w.gallery.vectors.numpy().astype(float).T
    for row, mass in enumerate(w.posterior.astype(float)):
        held = 0.0
        for cell in np.argsort(-mass, kind="stable"):
            if (share < 1 and held >= share) or mass[cell] == 0:  # rounding may reach 1 before the last cell
                break
            held += mass[cell] / mass.sum()
            inside = w.cells == cell
            out[row, inside] = similarity[row, inside] + weight * np.log(mass[cell] / mass.sum())
    return out


@pytest.mark.parametrize(("share", "weight"), [(0.5, 0.0), (0.9, 0.05), (1.0, 0.3), (1e-6, 0.1)])
def test_refine_is_the_best_photo_of_the_likely_cells(town_world, monkeypatch, share, weight):
    monkeypatch.setattr(NearestNeighbour, "gallery_rows", 77)
    monkeypatch.setattr(refine_photos, "QUERY_ROWS", 32)
    w = town_world
    best = brute_scores(w, share, weight).argmax(axis=1)
    for posterior in (w.posterior, torch.from_numpy(w.posterior) * 7):  # any scale
        lat, lon = refine(posterior, w.queries, w.gallery, w.tree, share=share, weight=weight)
        np.testing.assert_array_equal(lat, w.gallery.lat[best])
        np.testing.assert_array_equal(lon, w.gallery.lon[best])
    if share == 1e-6:  # only the likeliest cell
        np.testing.assert_array_equal(w.tree.assign(lat, lon)[:, -1], w.posterior.argmax(axis=1))


def test_a_certain_posterior_keeps_the_answer_in_its_cell_and_a_flat_one_leaves_the_nearest_neighbour(town_world):
    w, n = town_world, town_world.tree.n_cells[-1]
    certain = np.eye(n, dtype=np.float32)[np.arange(90) % n]
    at = refine(certain, w.queries, w.gallery, w.tree)
    np.testing.assert_array_equal(w.tree.assign(*at)[:, -1], np.arange(90) % n)
    flat = refine(np.full((90, n), 1 / n), w.queries, w.gallery, w.tree, share=1.0, weight=0.7)
    np.testing.assert_array_equal(flat, w.gallery.predict_vectors(w.queries))


@pytest.mark.parametrize("photos", [1, 25, 600])
def test_the_photo_posterior_is_a_softmax_of_the_same_scores(town_world, monkeypatch, photos):
    monkeypatch.setattr(NearestNeighbour, "gallery_rows", 100)
    w = town_world
    rows, mass = photo_posterior(w.posterior, w.queries, w.gallery, w.tree, photos=photos, weight=0.04, temperature=0.1)
    raw = np.exp(brute_scores(w, 1.0, 0.04) / 0.1)
    assert rows.shape == mass.shape == (90, photos) and (np.diff(mass, axis=1) <= 0).all()
    assert all(len(set(row)) == photos for row in rows)
    expected = np.sort(raw, axis=1)[:, ::-1][:, :photos]
    np.testing.assert_allclose(mass, expected / expected.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(raw, rows, 1), expected, rtol=1e-3, atol=1e-9)
    lat, lon = refine(w.posterior, w.queries, w.gallery, w.tree, share=1.0, weight=0.04)
    np.testing.assert_array_equal((lat, lon), (w.gallery.lat[rows[:, 0]], w.gallery.lon[rows[:, 0]]))


def test_without_a_weight_each_cell_keeps_its_probability(town_world, monkeypatch):
    monkeypatch.setattr(NearestNeighbour, "gallery_rows", 100)
    w = town_world
    rows, mass = photo_posterior(w.posterior, w.queries, w.gallery, w.tree, photos=600, weight=None, temperature=0.03)
    cells = w.cells[rows]
    for cell in range(w.tree.n_cells[-1]):
        held = np.where(cells == cell, mass, 0)
        np.testing.assert_allclose(held.sum(axis=1), w.posterior[:, cell], rtol=1e-3, atol=1e-5)
        inside = np.where(cells == cell, np.einsum("nmd,nd->nm", w.gallery.vectors.numpy()[rows], w.queries), -np.inf)
        expected = np.exp((inside - inside.max(axis=1, keepdims=True)) / 0.03)
        expected *= w.posterior[:, [cell]] / expected.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(held, expected, rtol=1e-3, atol=1e-5)


def test_cells_without_gallery_photos_do_not_count(town_world):
    w = town_world
    there = w.cells != 0
    few = NearestNeighbour(w.gallery.vectors[torch.from_numpy(there)], w.gallery.lat[there], w.gallery.lon[there])
    posterior = np.full((90, w.tree.n_cells[-1]), 1e-6)
    posterior[:, 0], posterior[:, 5] = 0.9, 0.1
    cell = w.tree.assign(*refine(posterior, w.queries, few, w.tree, share=0.9))[:, -1]
    np.testing.assert_array_equal(cell, 5)
    posterior[:, 1:] = 0
    with pytest.raises(ValueError, match="one above 0 in a cell that has a gallery photo"):
        refine(posterior, w.queries, few, w.tree)
    rows, mass = photo_posterior(np.eye(w.tree.n_cells[-1])[[5] * 90], w.queries, few, w.tree, photos=len(few.lat))
    cells = w.tree.assign(few.lat, few.lon)[rows, -1]
    assert (mass[cells != 5] == 0).all() and (mass[cells == 5] > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 0}, "share=0"),
        ({"share": 1.1}, "share=1.1"),
        ({"weight": -1}, "weight=-1"),
        ({"weight": float("nan")}, "weight=nan"),
        ({"posterior": np.ones((89, 25))}, r"posterior \(89, 25\)"),
        ({"posterior": np.zeros((90, 25))}, "one above 0"),
        ({"posterior": np.full((90, 25), np.nan)}, "finite numbers"),
        ({"posterior": np.full((90, 25), -0.1)}, "finite numbers"),
        ({"vectors": np.eye(16)}, r"posterior \(90, 25\): expected \(16, 25\)"),
    ],
)
def test_bad_refinement_is_refused(town_world, change, message):
    w = town_world
    arguments = {"posterior": w.posterior, "vectors": w.queries, "gallery": w.gallery, "tree": w.tree} | change
    with pytest.raises(ValueError, match=message):
        refine(**arguments)
    with pytest.raises(ValueError, match="temperature=0"):
        photo_posterior(w.posterior, w.queries, w.gallery, w.tree, temperature=0)


def test_the_fitted_values_are_the_best_of_the_grid(town_world):
    w = town_world
    shares, weights = (0.5, 0.99), (0.0, 0.05, 5.0)

    def mean_score(at):
        return sphere.geoscore(sphere.haversine_km(*at, w.lat, w.lon)).mean()

    fitted = fit_weight(w.posterior, w.queries, w.lat, w.lon, w.gallery, w.tree, shares=shares, weights=weights)
    found = {
        (a, b): mean_score(refine(w.posterior, w.queries, w.gallery, w.tree, share=a, weight=b))
        for a in shares
        for b in weights
    }
    assert (fitted["share"], fitted["weight"]) == max(found, key=found.get)
    assert len(set(found.values())) > 2 and fitted["weight"] < 5  # this posterior is noise: looks must win
    grid = {"weights": (None, 0.05, 5.0), "temperatures": (0.03, 0.3)}
    soft = fit_photo_posterior(w.posterior, w.queries, w.lat, w.lon, w.gallery, w.tree, **grid)
    scores = {}
    for weight in grid["weights"]:
        for temperature in grid["temperatures"]:
            rows, mass = photo_posterior(
                w.posterior, w.queries, w.gallery, w.tree, weight=weight, temperature=temperature
            )
            at = decode_points(mass, w.gallery.lat[rows], w.gallery.lon[rows], "geoscore")
            scores[weight, temperature] = mean_score(at)
    assert (soft["weight"], soft["temperature"]) == max(scores, key=scores.get) and soft["weight"] == 0.05
