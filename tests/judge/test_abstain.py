"""How sure a model is and what abstaining gains, against loops and bounds; no interval counts single photos."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geolib import evaluate, open_dataset
from geolib.cells import GeocellTree
from geolib.datasets.splits import split_photos
from geolib.fusion import marginals
from geolib.judge import abstain, calibrate
from geolib.predict import default_model

_rng = np.random.default_rng(0)
TREE = GeocellTree.fit(_rng.uniform(-60, 60, 2000), _rng.uniform(-180, 180, 2000), (4, 12, 40))
N_CELLS = TREE.n_cells[-1]


def one_hot(*cells):
    return np.eye(N_CELLS, dtype=np.float32)[list(cells)]


def test_entropy_counts_cells_at_every_level():
    flat = np.full((1, N_CELLS), 1 / N_CELLS, np.float32)
    np.testing.assert_allclose(abstain.entropy(one_hot(3), TREE), 0)
    shares = [level[0] for level in marginals(flat, TREE)]
    expected = [-(p * np.log2(p)).sum() for p in shares]
    np.testing.assert_allclose(abstain.entropy(flat, TREE)[0], expected, rtol=1e-5)
    assert abstain.entropy(flat, TREE)[0, -1] == pytest.approx(math.log2(N_CELLS))


def test_abstention_counts_the_surest_photos():
    rng = np.random.default_rng(14)
    sure, right = rng.permutation(np.arange(200.0)), rng.random(200) < 0.4
    table = abstain.abstention({"model": sure}, right, np.arange(200) // 4, n_boot=50)
    ranked, curve = right[np.argsort(-sure)], table.loc["model"]
    for share in curve.index:
        found = ranked[: round(200 * share)].mean()
        assert curve.loc[share, "right"] == pytest.approx(found)
        assert curve.loc[share, "times"] == pytest.approx(found / right.mean())
    assert table.attrs["area"]["model"] == pytest.approx(np.mean([1 - ranked[:k].mean() for k in range(1, 201)]))
    for column in ("right", "times"):
        assert (curve[f"{column}_low"] <= curve[column] + 1e-9).all()
        assert (curve[column] <= curve[f"{column}_high"] + 1e-9).all()
    assert curve.loc[1.0, ["times_low", "times", "times_high"]].tolist() == [1, 1, 1]


@given(st.integers(0, 1000), st.integers(2, 60), st.floats(0.05, 1))
def test_no_order_of_photos_gains_more_than_the_bound(seed, n, share):
    rng = np.random.default_rng(seed)
    right = np.append(rng.random(n - 1) < share, True)
    best = {"oracle": right + 0.0, "chance": rng.random(n)}
    table = abstain.abstention(best, right, range(n), n_boot=2)
    assert (table["times"] <= table["most_times"] + 1e-9).all()
    reached = table.loc["oracle"]
    np.testing.assert_allclose(reached["times"], reached["most_times"])
    assert table.attrs["area"]["oracle"] <= table.attrs["area"]["chance"] + 1e-12


def test_equal_sureness_means_a_random_choice():
    table = abstain.abstention({"a": [2, 2, 2, 1]}, [1, 0, 0, 0], list("abcd"), n_boot=5)
    np.testing.assert_allclose(table.loc["a"].loc[[0.25, 0.5, 0.75, 1], "right"], [1 / 3, 1 / 3, 1 / 3, 1 / 4])
    other = abstain.abstention({"a": [1, 2, 2, 2]}, [0, 0, 1, 0], list("abcd"), n_boot=5)
    np.testing.assert_allclose(other["right"], table["right"])  # whatever the order of the photos


def test_methods_are_compared_on_the_same_draws_as_elsewhere():
    rng = np.random.default_rng(15)
    people, right = np.repeat(np.arange(30), 20), np.repeat(rng.random(30) < 0.5, 20)
    sure = rng.random(600)
    table = abstain.abstention({"a": sure, "b": 2 * sure + 1}, right, people, n_boot=200)
    np.testing.assert_allclose(table.loc["a"], table.loc["b"])
    mean = evaluate.interval({"right": right}, people, n_boot=200).loc["right"]
    np.testing.assert_allclose(
        table.loc[("a", 1.0), ["right_low", "right_high"]].tolist(), mean[["share_low", "share_high"]].tolist()
    )


def test_removed_are_the_least_sure():
    labels = np.array(["street"] * 6 + ["interior"] * 4)
    sure = -np.array([1.0, 2, 3, 4, 5, 9, 6, 7, 8, 10])
    table = abstain.removed(sure, labels, range(10), 0.3)
    assert table.index.tolist() == ["interior", "street"]
    assert table["removed"].tolist() == [2 / 4, 1 / 6] and table["photos"].tolist() == [4, 6]
    alone = evaluate.interval({"x": [0, 0, 1, 1]}, range(4)).iloc[0]
    assert table.loc["interior", "removed_high"] == alone["share_high"]


# Every interval of this room, of photos with a number p in [0, 1], right or wrong, by these people.
INTERVALS = {
    "reliability": lambda p, right, people: calibrate.reliability(p, right, people, 2)[["share_low", "share_high"]],
    "coverage": lambda p, right, people: calibrate.coverage(right, 0.8, p, people)[["covered_low", "covered_high"]],
    "abstention": lambda p, right, people: abstain.abstention({"a": p}, right, people)[["right_low", "right_high"]],
    "removed": lambda p, right, people: abstain.removed(p, p > 0.5, people, 0.25)[["removed_low", "removed_high"]],
}


@pytest.mark.parametrize("name", INTERVALS)
def test_the_same_photos_ten_times_over_are_no_more_evidence(name):
    """An interval of independent photos would shrink by the root of ten."""
    rng = np.random.default_rng(25)
    people = np.repeat(np.arange(40), 5)
    p = np.repeat(np.linspace(0.1, 0.9, 40), 5)[rng.permutation(200)]
    right = rng.random(200) < p
    once = INTERVALS[name](p, right, people)
    often = INTERVALS[name](*(np.repeat(values, 10) for values in (p, right, people)))
    np.testing.assert_allclose(once, often, atol=1e-9)
    assert (np.ptp(once.to_numpy(), axis=1) > 0).any()


@pytest.mark.parametrize("name", INTERVALS)
def test_clusters_are_compulsory_and_two_ways_are_wider_than_one(name):
    rng = np.random.default_rng(26)
    people, places = np.arange(400) // 10, np.arange(400) % 10
    p = rng.random(400)
    right = rng.random(400) < (places < 5) * 0.6 + 0.2  # photos of a place are alike, those of a person are not
    one = INTERVALS[name](p, right, people)
    both = INTERVALS[name](p, right, {"photographer": people, "place": places})
    assert np.ptp(both.to_numpy(), axis=1).mean() > np.ptp(one.to_numpy(), axis=1).mean()
    for missing in (None, people[:-1]):
        with pytest.raises(ValueError, match="expected"):
            INTERVALS[name](p, right, missing)


def test_one_photographer_alone_has_no_interval():
    table = abstain.abstention({"a": [1, 2, 3]}, [1, 0, 1], ["ann"] * 3, n_boot=5)
    assert table[["right_low", "right_high", "times_low", "times_high"]].isna().all(axis=None)


def test_confidence_ranks_the_shipped_models_errors_better_than_cells_do():
    """On the calibration postcards, where it was chosen. And the words of `Prediction.guess` are in order."""
    dataset, model = open_dataset("postcards"), default_model()
    photos = split_photos(dataset, model.encoder)["calibration"]
    people, posterior = dataset.photographers(photos.ids).to_numpy(), model.posterior(photos.vectors)
    answer = model.predict_vectors(photos.vectors)
    right = evaluate.errors_km(*answer, photos.lat, photos.lon) <= 750
    sure = abstain.confidence(posterior, model.tree, *answer)
    bits = abstain.entropy(posterior, model.tree)
    rivals = {f"entropy of level {level}": -bits[:, level] for level in range(model.tree.n_levels)}
    rivals["likeliest cell"] = posterior.max(axis=1)
    table = abstain.abstention({"confidence": sure} | rivals, right, people, n_boot=100)
    area = table.attrs["area"]
    assert min(area, key=area.get) == "confidence" and area["confidence"] < area["likeliest cell"] - 0.1
    assert table.loc[("confidence", 0.8), "times_low"] > 1
    said = [right[(sure >= low) & (sure < high)].mean() for low, high in ((0, 0.5), (0.5, 0.8), (0.8, 1.01))]
    assert said[0] < said[1] < said[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: abstain.entropy(one_hot(1)[:, :-1] + np.float32(1 / 39), TREE), r"\(n, 40\)"),
        (lambda: abstain.confidence(one_hot(1), TREE, [0.0, 1.0], [0.0, 1.0]), "2 answers for 1 rows"),
        (lambda: abstain.abstention({"a": [1.0, np.inf]}, [1, 0], ["a", "b"]), "finite numbers"),
        (lambda: abstain.abstention({"a": [1.0, 2.0]}, [1, 3], ["a", "b"]), "true or false"),
        (lambda: abstain.abstention({"a": [1.0, 2.0]}, [0, 0], ["a", "b"]), "at least one photo that is right"),
        (lambda: abstain.abstention({}, [1, 0], ["a", "b"]), "sureness {}"),
        (lambda: abstain.abstention({"a": [1.0, 2.0]}, [1, 0], ["a"]), "expected the photographer of each photo"),
        (lambda: abstain.abstention({"a": [1.0, 2.0]}, [1, 0], ["a", "b"], n_boot=0), "n_boot=0"),
        (lambda: abstain.removed([1.0, 2.0], ["a"], ["a", "b"]), r"labels \(1,\)"),
        (lambda: abstain.removed([1.0, 2.0], ["a", "b"], ["a", "b"], 1.0), "abstain=1.0"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
