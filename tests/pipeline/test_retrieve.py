"""Neighbours against scikit-learn, the baselines against brute force."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from geolib import sphere
from geolib.cells import GeocellTree
from geolib.retrieve import NearestNeighbour, constant_guess, prior


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
@pytest.mark.parametrize(("query_rows", "gallery_rows"), [(1, 65_536), (32, 65_536), (1024, 33), (16, 499)])
def test_top_k_is_scikit_learns(monkeypatch, k, query_rows, gallery_rows):
    monkeypatch.setattr(NearestNeighbour, "query_rows", query_rows)
    monkeypatch.setattr(NearestNeighbour, "gallery_rows", gallery_rows)
    similarity, index = INDEX.top_k(QUERIES, k)
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
        lat, lon = INDEX.predict_vectors(queries)
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
    lat = np.concatenate([rng.normal(48, 0.5, 1800), rng.normal(40, 0.5, 1200)])
    lon = np.concatenate([rng.normal(2, 0.5, 1800), rng.normal(-74, 0.5, 1200)])
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
    monkeypatch.setattr(NearestNeighbour, "gallery_rows", 130)
    np.save(tmp_path / "gallery.npy", GALLERY.astype(dtype))
    mapped = np.load(tmp_path / "gallery.npy", mmap_mode="r")
    index = NearestNeighbour(mapped, LAT, LON)
    assert index.vectors.data_ptr() == mapped.ctypes.data and str(index.vectors.dtype) == f"torch.{dtype}"
    similarity, photo = index.top_k(QUERIES, 7)
    expected = NearestNeighbour(np.asarray(mapped, np.float32), LAT, LON).top_k(QUERIES, 7)
    np.testing.assert_array_equal(photo, expected[1])
    np.testing.assert_array_equal(similarity, expected[0])
