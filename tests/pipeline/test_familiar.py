"""Familiarity: distances to the training photos, a threshold set by calibration photos, and pictures from elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import cbook
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.neighbors import NearestNeighbors
from tiny import world

from geolib import Encoder, familiar, open_dataset
from geolib.common.errors import CorruptFileError, MismatchError, MissingDataError
from geolib.common.files import read_tensors, write_tensors
from geolib.familiar import Familiarity


def is_familiar(made, vectors):
    return made.distance(vectors) <= made.threshold


@pytest.fixture(scope="session")
def fitted():
    return Familiarity.fit(world()[0], world(200, seed=1)[0])


def by_hand(made, queries):
    """The definition, photo by photo in float64."""
    train = made.references.astype(float)
    measured = (queries.astype(float) - made.centre) @ made.scale
    far = np.sort([np.linalg.norm(train - x, axis=1) for x in measured], axis=1)
    return far[:, :10].mean(axis=1) / np.sqrt(queries.shape[1])


# The distance


def test_the_distance_is_its_definition(fitted):
    queries = world(50, seed=2)[0]
    assert fitted.distance(queries) == pytest.approx(by_hand(fitted, queries), rel=1e-3)


def test_a_training_photo_is_at_no_distance_from_itself(monkeypatch):
    monkeypatch.setattr(familiar, "NEIGHBOURS", 1)
    train = world()[0]
    made = Familiarity.fit(train)
    assert made.distance(train).max() < 0.02
    assert made.distance(world(100, seed=1)[0]).min() > 0.05


def test_neighbours_differ_by_the_same_in_every_direction():
    rng = np.random.default_rng(0)
    train = (rng.normal(size=(1500, 8)) * np.geomspace(1, 0.3, 8)).astype(np.float32)
    _, near = NearestNeighbors(n_neighbors=6).fit(train).kneighbors(train)
    differences = (train[near[:, 1:]] - train[:, None]).reshape(-1, 8)
    spread = np.sqrt(np.square(differences @ Familiarity.fit(train).scale).mean(axis=0))
    assert spread == pytest.approx(np.ones(8), abs=0.05)


@pytest.mark.parametrize("shrunk", [1, 0.1])
def test_one_is_what_neighbours_differ_whatever_the_embedding(shrunk):
    train = world(2000)[0] * np.float32(shrunk)
    assert np.median(Familiarity.fit(train).distance(world(200, seed=1)[0] * np.float32(shrunk))) == pytest.approx(
        1, abs=0.25
    )


def test_a_step_where_neighbours_agree_weighs_more():
    rng = np.random.default_rng(0)
    train = np.c_[rng.normal(0, 1, (500, 4)), rng.normal(0, 0.1, (500, 4))].astype(np.float32)
    made = Familiarity.fit(train)
    along, off = np.zeros((2, 1, 8), np.float32)
    along[0, 0], off[0, 7] = 1, 1
    assert made.distance(off) > 2 * made.distance(along)


@settings(max_examples=15)
@given(st.permutations(range(60)), st.integers(0, 3))
def test_the_order_of_the_photos_does_not_matter(order, seed):
    train, held_out, queries = world(60)[0], world(60, seed=1)[0], world(5, seed=2)[0]
    one = Familiarity.fit(train, held_out)
    two = Familiarity.fit(train[order], held_out[order], seed)
    assert two.threshold == pytest.approx(one.threshold, rel=1e-2)
    assert two.distance(queries) == pytest.approx(one.distance(queries), rel=1e-2)


def test_many_queries_are_answered_as_few(fitted):
    queries = world(2500, seed=2)[0]
    parts = np.concatenate([fitted.distance(part) for part in np.array_split(queries, 7)])
    assert fitted.distance(queries) == pytest.approx(parts, rel=1e-4)
    assert fitted.distance(torch.from_numpy(queries)) == pytest.approx(parts, rel=1e-4)


@pytest.mark.parametrize(("photos", "copies"), [(1, 1), (1, 40), (2, 30), (3, 1), (7, 1)])
def test_few_photos_and_copies_give_finite_distances(photos, copies):
    train = np.repeat(world(photos)[0], copies, axis=0)
    made = Familiarity.fit(train, train)
    assert np.isfinite(made.references).all()
    assert np.isfinite(made.distance(world(20, seed=1)[0])).all()
    assert made.distance(train).max() <= made.distance(-train).min()


def test_of_many_photos_a_seeded_sample_is_kept(monkeypatch):
    monkeypatch.setattr(familiar, "MAX_PHOTOS", 100)
    train, held_out = world()[0], world(200, seed=1)[0]
    made, again, other = (Familiarity.fit(train, held_out, seed) for seed in (0, 0, 1))
    assert made.references.shape == (100, 16)
    assert (made.threshold, made.references.tobytes()) == (again.threshold, again.references.tobytes())
    assert made.threshold != other.threshold


# The threshold


def test_the_threshold_is_the_99th_percentile_of_the_calibration_photos(fitted):
    held_out = world(200, seed=1)[0]
    assert fitted.threshold == pytest.approx(np.percentile(fitted.distance(held_out), 99))
    assert (~is_familiar(fitted, held_out)).sum() == 2
    assert is_familiar(fitted, world(1000, seed=2)[0]).mean() > 0.95
    strange = np.random.default_rng(0).normal(size=(100, 16))
    strange /= np.linalg.norm(strange, axis=1, keepdims=True)
    assert is_familiar(fitted, strange).mean() < 0.3


def test_without_calibration_photos_nothing_is_said(tmp_path):
    made = Familiarity.fit(world()[0])
    assert made.threshold is None
    made.save(tmp_path / "f")
    assert Familiarity.load(tmp_path / "f").threshold is None


@pytest.mark.parametrize("bad", [np.ones(16, np.float32), np.full((2, 16), np.nan, np.float32), np.ones((2, 15))])
def test_other_vectors_are_refused(fitted, bad):
    with pytest.raises(ValueError, match="vectors"):
        fitted.distance(bad)
    with pytest.raises(ValueError, match="calibration vectors"):
        Familiarity.fit(world()[0], bad)


# Saving and loading


def test_it_comes_back_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "f.safetensors")
    loaded = Familiarity.load(tmp_path / "f.safetensors", dim=16)
    queries = world(50, seed=2)[0]
    assert loaded.threshold == fitted.threshold
    assert np.array_equal(loaded.distance(queries), fitted.distance(queries))
    with pytest.raises(MismatchError, match="for embeddings of 16 numbers, not 512: fit the model again"):
        Familiarity.load(tmp_path / "f.safetensors", dim=512)
    with pytest.raises(MissingDataError, match="none"):
        Familiarity.load(tmp_path / "none")


@pytest.mark.parametrize(
    "change",
    [
        {"scale": None},
        {"more": np.ones(1)},
        {"scale": np.ones((16, 15), np.float32)},
        {"scale": np.full((16, 16), np.nan, np.float32)},
        {"centre": np.ones(16)},
        {"centre": np.ones((16, 1), np.float32)},
        {"references": np.ones((0, 16), np.float16)},
        {"threshold": np.ones(2)},
        {"threshold": np.array([np.inf])},
    ],
)
def test_other_content_is_refused_in_words(fitted, tmp_path, change):
    fitted.save(tmp_path / "f")
    arrays = {name: array for name, array in (read_tensors(tmp_path / "f") | change).items() if array is not None}
    write_tensors(tmp_path / "f", arrays)
    with pytest.raises(
        CorruptFileError, match=r"does not hold a familiarity: .*; restore it, or fit and save it again"
    ):
        Familiarity.load(tmp_path / "f")


# The postcards


@pytest.fixture(scope="session")
def postcards():
    """The familiarity of the postcards' encoder, the encoder, and the embeddings of the other sides."""
    dataset, encoder = open_dataset("postcards"), Encoder.load("postcards", device="cpu")
    store = dataset.embeddings(encoder)
    side = dataset.split().loc[store.ids].to_numpy()
    made = Familiarity.fit(store.vectors[side == "train"][::4], store.vectors[side == "calibration"])
    tests = {name: store.vectors[side == name] for name in ("test", "test_places", "test_balanced")}
    return made, encoder, tests


@pytest.mark.parametrize(("name", "share"), [("test", 0.97), ("test_places", 0.95), ("test_balanced", 0.95)])
def test_new_postcards_are_familiar(postcards, name, share):
    """About 99 % of `test`, as of the calibration side, which is like it; nearly as many where all places are new."""
    made, _, vectors = postcards
    assert is_familiar(made, vectors[name]).mean() >= share


def test_noise_and_a_photograph_are_not(postcards):
    made, encoder, _ = postcards
    noise = np.random.default_rng(0).integers(0, 256, (128, 160, 3), dtype=np.uint8)
    flower = load_sample_images().images[1]
    seen = is_familiar(made, encoder.embed_images([flower, noise]))
    assert not seen.any(), dict(zip(("flower", "noise"), seen, strict=True))


def test_a_portrait_and_a_page_of_text_are_not(postcards):
    made, encoder, _ = postcards
    rng = np.random.default_rng(0)
    with cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as picture:
        portrait = np.asarray(picture.convert("RGB"))
    page = np.full((128, 128, 3), 255, np.uint8)
    page[8:120:6, 8:120] = np.where(rng.random((19, 112, 1)) < 0.5, 0, 255)  # lines of dark and light, like text
    seen = is_familiar(made, encoder.embed_images([portrait, page]))
    assert not seen.any(), dict(zip(("portrait", "page"), seen, strict=True))


def test_a_higher_threshold_lets_more_pass(postcards):
    made, _, vectors = postcards
    assert is_familiar(replace(made, threshold=2 * made.threshold), vectors["test"]).all()
