"""The rows of the ablation: their order, their words, and that they are what `Geolocator.fit` makes."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import world, write_encoder

from geolib import Geolocator
from geolib.datasets.splits import Photos
from geolib.encoder import Encoder
from geolib.judge.methods import ARTICLE, DEFAULT, ROWS, Bench
from geolib.predict import PRESETS

SIDES = {"train": 3000, "train_balanced": 300, "calibration": 300, "test": 300}
ROW = {row.name: row for row in ROWS}


@pytest.fixture(scope="module")
def bench():
    """A world that is hard to tell apart, so that methods differ."""
    parts, rng = {}, np.random.default_rng(9)
    for number, (side, n) in enumerate(SIDES.items()):
        vectors, lat, lon = world(n, seed=number)
        vectors = vectors + rng.normal(0, 0.2, vectors.shape)
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        parts[side] = Photos(vectors, lat, lon, [f"{side}-{row}" for row in range(n)])
    return Bench(parts, epochs=2, device="cpu")


def test_each_row_changes_a_row_above_it():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    for number, row in enumerate(ROWS):
        assert row.against in names[:number] or number == 0
        assert row.says and row.says[0].isupper() and not row.says.endswith(".")


def test_the_pair_of_a_headline_has_as_many_seeds():
    headlines = {row.name for row in ROWS if row.headline}
    assert {ARTICLE, DEFAULT} <= headlines
    assert {row.against for row in ROWS if row.headline} - {""} <= headlines


@pytest.mark.parametrize(("name", "preset"), [(ARTICLE, "article"), (DEFAULT, "default")])
def test_rows_are_what_fit_makes(bench, tmp_path, name, preset):
    encoder = Encoder.load(write_encoder(tmp_path / "encoder"), device="cpu")
    how = {"preset": preset, "options": replace(PRESETS[preset]["options"], epochs=bench.epochs), "device": "cpu"}
    model = Geolocator.fit(encoder, *bench.train[:3], calibration=bench.calibration[:3], **how)
    np.testing.assert_array_equal(
        ROW[name].answer(bench)[0]["test"], model.predict_vectors(bench.parts["test"].vectors)
    )


def test_a_row_answers_as_its_pair_if_and_only_if_it_says_so(bench):
    """Up to the default: a refinement that learns nothing may also answer as its pair."""
    rows = ROWS[: [row.name for row in ROWS].index(DEFAULT) + 1]
    answers = {row.name: row.answer(bench)[0]["test"] for row in rows}
    for row in rows[1:]:
        equal = np.isclose(answers[row.name], answers[row.against], atol=1e-5).all(axis=0)
        assert equal.mean() > 0.99 if row.same else not equal.all(), row.name
