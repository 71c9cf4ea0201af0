"""Neighbours against scikit-learn; refinement, photo posterior, prototypes and duplicates against brute force."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from geolib import retrieve, sphere
from geolib.cells import GeocellTree
from geolib.common.errors import ImageError
from geolib.decoding import decode_points
from geolib.encoder import Encoder
from geolib.images import Failure
from geolib.refine.photos import fit_photo_posterior, fit_weight, photo_posterior, refine
from geolib.refine.prototypes import cell_prototypes, refine_prototypes
from geolib.retrieve import NearestNeighbour, constant_guess, prior
from tests import tiny


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Matrices this small are slower on two threads, and far slower when other tests want them too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def unit(n, seed, dim=16):
    vectors = np.random.default_rng(seed).normal(size=(n, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


GALLERY, QUERIES = unit(500, 0), unit(70, 1)
_rng = np.random.default_rng(2)
LAT, LON = _rng.uniform(-90, 90, 500), _rng.uniform(-180, 180, 500)
INDEX = NearestNeighbour(GALLERY, LAT, LON)


@pytest.mark.parametrize("k", [1, 40])
@pytest.mark.parametrize(("block", "gallery_rows"), [(1, 65_536), (32, 65_536), (1024, 33), (16, 499)])
def test_top_k_is_scikit_learns(monkeypatch, k, block, gallery_rows):
    monkeypatch.setattr(retrieve, "_GALLERY_ROWS", gallery_rows)
    similarity, index = INDEX.top_k(QUERIES, k, block)
    oracle = NearestNeighbors(metric="cosine", algorithm="brute").fit(GALLERY)
    distance, expected = oracle.kneighbors(QUERIES, k)
    assert index.shape == similarity.shape == (70, k) and index.dtype == np.int64
    np.testing.assert_allclose(similarity, 1 - distance, atol=1e-5)
    swapped = index != expected  # only where rounding decides
    assert swapped.mean() < 0.02
    np.testing.assert_allclose(similarity, np.einsum("qkd,qd->qk", GALLERY[index], QUERIES), atol=1e-5)


def test_predict_vectors_is_the_place_of_the_nearest():
    nearest = (QUERIES.astype(float) @ GALLERY.T.astype(float)).argmax(axis=1)
    for queries in (QUERIES, torch.from_numpy(QUERIES)):
        lat, lon = INDEX.predict_vectors(queries, block=13)
        np.testing.assert_array_equal(lat, LAT[nearest])
        np.testing.assert_array_equal(lon, LON[nearest])


def test_a_training_photo_finds_itself():
    np.testing.assert_array_equal(INDEX.top_k(GALLERY, 1)[1][:, 0], np.arange(500))


@pytest.mark.parametrize(
    ("queries", "k", "message"),
    [
        (QUERIES, 0, "k=0"),
        (QUERIES, 501, "from 1 to 500"),
        (QUERIES[:, 1:], 1, r"query vectors have shape \(70, 15\)"),
        (QUERIES[:0], 1, "at least one row"),
        (QUERIES * 2, 1, "has length 2, expected 1"),
        (np.where(np.arange(70)[:, None] == 3, np.nan, QUERIES), 1, "row 3 holds NaN"),
    ],
)
def test_bad_queries_are_refused(queries, k, message):
    with pytest.raises(ValueError, match=message):
        INDEX.top_k(queries, k)


def test_a_bad_gallery_is_refused():
    with pytest.raises(ValueError, match=r"gallery vectors have shape \(500, 16\), expected \(499"):
        NearestNeighbour(GALLERY, LAT[1:], LON[1:])
    with pytest.raises(ValueError, match=r"row 499 has length 3, expected 1"):
        NearestNeighbour(np.concatenate([GALLERY[1:], 3 * GALLERY[:1]]), LAT, LON)
    with pytest.raises(ValueError, match=r"lat\[0\] = 91"):
        NearestNeighbour(GALLERY[:1], [91], [0])


def test_the_constant_guess_is_the_best_photo_by_brute_force():
    km = sphere.haversine_km(LAT[:, None], LON[:, None], LAT, LON)
    best = sphere.geoscore(km).mean(axis=1).argmax()
    assert constant_guess(LAT, LON) == (LAT[best], LON[best])


def test_the_constant_guess_is_where_most_photos_are_not_between_them():
    rng = np.random.default_rng(0)
    lat = np.concatenate([rng.normal(48, 0.5, 6000), rng.normal(40, 0.5, 4000)])
    lon = np.concatenate([rng.normal(2, 0.5, 6000), rng.normal(-74, 0.5, 4000)])
    guess = constant_guess(lat, lon)
    assert sphere.haversine_km(*guess, 48, 2) < 100
    assert constant_guess(lat, lon) == guess


def test_the_prior_is_the_share_of_photos():
    tree = GeocellTree.fit(LAT, LON, (4, 30))
    got = prior(tree)
    expected = np.bincount(tree.assign(LAT, LON)[:, -1], minlength=tree.n_cells[-1]) / 500
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got.dtype == np.float32 and got.sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_memory_mapped_gallery_stays_on_disk_and_answers_alike(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(retrieve, "_GALLERY_ROWS", 130)
    np.save(tmp_path / "gallery.npy", GALLERY.astype(dtype))
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    index = NearestNeighbour(mapped, LAT, LON)
    assert index.vectors.data_ptr() == mapped.ctypes.data and str(index.vectors.dtype) == f"torch.{dtype}"
    similarity, photo = index.top_k(QUERIES, 7)
    expected = NearestNeighbour(np.asarray(mapped, np.float32), LAT, LON).top_k(QUERIES, 7)
    np.testing.assert_array_equal(photo, expected[1])
    np.testing.assert_array_equal(similarity, expected[0])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return Encoder.load(tiny.write_encoder(tmp_path_factory.mktemp("encoder")), device="cpu")


def test_pictures_find_themselves_and_what_is_no_picture_fails_alone(encoder, tmp_path):
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)) for _ in range(6)]
    lat, lon = np.array([48.9, 52.5, 40.4, 35.7, -33.9, 0.0]), np.array([2.3, 13.4, -3.7, 139.7, 18.4, -150.0])
    index = NearestNeighbour(encoder.embed_images(pictures), lat, lon, ids=list("abcdef"), encoder=encoder)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    first, broken, last = index.predict_many([pictures[1], tmp_path / "broken.jpg", pictures[5]], top_k=3)
    assert isinstance(broken, Failure) and broken.image.endswith("broken.jpg") and broken.reason
    assert (first.lat, first.lon) == (52.5, 13.4) and (last.lat, last.lon) == (0.0, -150.0)
    assert first.top.photo.iloc[0] == "b" and first.top.country.iloc[0] == "DEU" and last.top.country.iloc[0] == ""
    assert list(first.top.index) == [1, 2, 3] and first.top.similarity.is_monotonic_decreasing
    assert first.top.similarity.iloc[0] == pytest.approx(1, abs=1e-5)
    with pytest.raises(ImageError):
        index.predict(tmp_path / "broken.jpg")
    plain = NearestNeighbour(index.vectors, lat, lon)
    with pytest.raises(ValueError, match="no encoder"):
        plain.predict(pictures[0])
    with pytest.raises(ValueError, match="2 ids for 6"):
        NearestNeighbour(index.vectors, lat, lon, ids=["a", "b"])


@pytest.fixture(scope="module")
def town_world():
    """A gallery, its tree, and queries with a posterior that is spread over a few cells."""
    vectors, lat, lon = tiny.world(600)
    queries, true_lat, true_lon = tiny.world(90, seed=1)
    tree = GeocellTree.fit(lat, lon, (4, 24))
    posterior = np.random.default_rng(3).dirichlet(np.full(tree.n_cells[-1], 0.2), 90).astype(np.float32)
    gallery = NearestNeighbour(vectors, lat, lon)
    cells = tree.assign(lat, lon)[:, -1]
    return SimpleNamespace(
        gallery=gallery, tree=tree, queries=queries, posterior=posterior, cells=cells, lat=true_lat, lon=true_lon
    )


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
    monkeypatch.setattr(retrieve, "_GALLERY_ROWS", 77)
    monkeypatch.setattr(retrieve, "_QUERIES", 32)
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
    monkeypatch.setattr(retrieve, "_GALLERY_ROWS", 100)
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
    monkeypatch.setattr(retrieve, "_GALLERY_ROWS", 100)
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
        ({"vectors": QUERIES}, r"posterior \(90, 25\): expected \(70, 25\)"),
    ],
)
def test_bad_refinement_is_refused(town_world, change, message):
    w = town_world
    arguments = {"posterior": w.posterior, "vectors": w.queries, "gallery": w.gallery, "tree": w.tree} | change
    with pytest.raises(ValueError, match=message):
        refine(**arguments)
    with pytest.raises(ValueError, match="temperature=0"):
        photo_posterior(w.posterior, w.queries, w.gallery, w.tree, temperature=0)
    with pytest.raises(ValueError, match="cells=0"):
        refine_prototypes(w.posterior, w.queries, cell_prototypes(w.gallery, w.tree), w.tree, cells=0)


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
    soft = fit_photo_posterior(w.posterior, w.queries, w.lat, w.lon, w.gallery, w.tree, "mode", **grid)
    scores = {}
    for weight in grid["weights"]:
        for temperature in grid["temperatures"]:
            rows, mass = photo_posterior(
                w.posterior, w.queries, w.gallery, w.tree, weight=weight, temperature=temperature
            )
            at = decode_points(mass, w.gallery.lat[rows], w.gallery.lon[rows], "mode")
            scores[weight, temperature] = mean_score(at)
    assert (soft["weight"], soft["temperature"]) == max(scores, key=scores.get) and soft["weight"] == 0.05


def test_prototypes_are_means_of_photos_that_lie_together(town_world):
    w = town_world
    made = cell_prototypes(w.gallery, w.tree, photos=5)
    counts = w.tree.counts(-1)
    per_cell = np.bincount(made.cells, minlength=len(counts))
    assert (per_cell >= 1).all() and (per_cell <= np.maximum(counts // 5, 1)).all() and per_cell.sum() > len(counts)
    whole = cell_prototypes(w.gallery, w.tree, photos=10_000)  # one a cell: its centre, its mean look
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
    made = cell_prototypes(NearestNeighbour(unit(60, 5), lat, lon), tree, photos=20)
    np.testing.assert_allclose(np.sort(made.gallery.lat), [10.0, 10.3, 50.0], atol=1e-3)
    assert (cell_prototypes(NearestNeighbour(unit(60, 5), lat, lon), tree, photos=2).gallery.lat > 49).sum() == 1


@pytest.mark.parametrize(("cells", "temperature"), [(1, 1.6), (4, 0.05), (100, 1.6)])
def test_refine_prototypes_is_pigeons_rule(town_world, cells, temperature):
    w = town_world
    made = cell_prototypes(w.gallery, w.tree)
    lat, lon = refine_prototypes(w.posterior, w.queries, made, w.tree, cells=cells, temperature=temperature)
    centre, kept = np.stack(w.tree.centers(-1), axis=1), 0
    for row in range(90):
        candidates = []
        for cell in np.argsort(-w.posterior[row], kind="stable")[:cells]:
            mine = np.flatnonzero(made.cells == cell)
            apart = np.linalg.norm(made.gallery.vectors[mine].numpy().astype(float) - w.queries[row], axis=1)
            closest = mine[apart.argmin()]
            candidates.append((w.posterior[row, cell] * np.exp(-apart.min() / temperature), closest))
        best = max(candidates)[1]
        point, original = (made.gallery.lat[best], made.gallery.lon[best]), centre[w.posterior[row].argmax()]
        far = sphere.haversine_km(*point, *original) > 1000
        kept += far
        assert (lat[row], lon[row]) == pytest.approx(tuple(original) if far else point, abs=1e-9)
    assert (kept > 0) == (cells > 1)
