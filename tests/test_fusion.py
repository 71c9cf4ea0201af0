"""Fusion rules against their formulas in float64, and posteriors that sum to one whatever the logits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax, logsumexp, softmax

from geolib.cells import GeocellTree
from geolib.fusion import RULES, fuse, marginals

_rng = np.random.default_rng(0)
TREE = GeocellTree.fit(_rng.uniform(-60, 60, 2000), _rng.uniform(-180, 180, 2000), (4, 12, 40))
LEVELS = range(TREE.n_levels)


def random_logits(n=9, scale=3.0, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, scale, (n, count)).astype(np.float32) for count in TREE.n_cells]


def extreme(count):
    ordinary = st.floats(-1e4, 1e4, width=32)
    return hnp.arrays(np.float32, (3, count), elements=st.one_of(ordinary, st.sampled_from([-np.inf, -1e4, 0, 1e4])))


@given(st.tuples(*(extreme(count) for count in TREE.n_cells)), st.sampled_from(RULES))
def test_posteriors_are_distributions_for_extreme_logits(logits, rule):
    for level in logits:
        level[:, 0] = np.maximum(level[:, 0], -1e4)  # a photo must be possible somewhere
    posterior = fuse(logits, TREE, rule)
    assert posterior.dtype == np.float32 and (posterior >= 0).all()
    np.testing.assert_allclose(posterior.sum(axis=1, dtype=np.float64), 1, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_fifty_thousand_cells_sum_to_one(rule):
    rng = np.random.default_rng(3)
    tree = GeocellTree.fit(rng.uniform(-80, 80, 200_000), rng.uniform(-180, 180, 200_000), (100, 50_000), min_photos=1)
    logits = [rng.normal(0, 4, (3, count)).astype(np.float32) for count in tree.n_cells]
    np.testing.assert_allclose(fuse(logits, tree, rule).sum(axis=1, dtype=np.float64), 1, atol=1e-6)


@pytest.mark.parametrize("rule", ["finest", "leaf"])
def test_the_finest_head_alone(rule):
    logits = random_logits()
    np.testing.assert_allclose(fuse(logits, TREE, rule), softmax(logits[-1].astype(float), axis=1), atol=1e-6)
    hot = fuse(logits, TREE, rule, temperatures=(1, 1, 2.5))
    np.testing.assert_allclose(hot, softmax(logits[-1].astype(float) / 2.5, axis=1), atol=1e-6)


@pytest.mark.parametrize(("top_k", "penalty"), [(1, 0.3), (3, 0.1), (100, 0.01)])
def test_consistency_down_weights_cells_of_unlikely_ancestors(top_k, penalty):
    logits = random_logits()
    expected = softmax(logits[-1].astype(float), axis=1)
    for row in range(len(expected)):
        for cell in range(TREE.n_cells[-1]):
            for level in LEVELS[:-1]:
                scores = logits[level][row]
                better = (scores > scores[TREE.ancestors[cell, level]]).sum()
                expected[row, cell] *= penalty if better >= top_k else 1
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fuse(logits, TREE, "consistency", top_k=top_k, penalty=penalty), expected, atol=1e-6)


def test_consistency_never_removes_a_cell_and_without_penalty_changes_nothing():
    logits = random_logits()
    assert fuse(logits, TREE, "consistency", top_k=1, penalty=1e-3).min() > 0
    np.testing.assert_allclose(fuse(logits, TREE, penalty=1.0), fuse(logits, TREE, "finest"), atol=1e-7)


def test_product_is_the_weighted_sum_of_log_probabilities():
    logits, w, t = random_logits(), (0.5, 0.0, 2.0), (1.0, 3.0, 0.7)
    log_p = [log_softmax(z.astype(float) / heat, axis=1) for z, heat in zip(logits, t, strict=True)]
    total = sum(w[level] * log_p[level][:, TREE.ancestors[:, level]] for level in LEVELS)
    expected = np.exp(total - logsumexp(total, axis=1, keepdims=True))
    got = fuse(logits, TREE, "product", level_weights=w, temperatures=t)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    equal = fuse(logits, TREE, "product", level_weights=(1, 1, 1))
    np.testing.assert_array_equal(fuse(logits, TREE, "product"), equal)


@pytest.mark.parametrize("rule", ["consistency", "product"])
def test_a_level_that_takes_no_part_might_say_anything(rule):
    logits, other = random_logits(), random_logits(seed=2)
    without = fuse(logits, TREE, rule, levels=[0])
    assert np.array_equal(fuse([logits[0], other[1], logits[2]], TREE, rule, levels=[0]), without)
    assert not np.allclose(fuse(logits, TREE, rule), without)
    assert np.array_equal(fuse(logits, TREE, rule, levels=[2, 1, 0]), fuse(logits, TREE, rule))
    np.testing.assert_allclose(fuse(logits, TREE, rule, levels=[]), fuse(logits, TREE, "finest"), rtol=1e-5)
    if rule == "product":
        assert np.array_equal(fuse(logits, TREE, rule, level_weights=(1, 0, 1)), without)


def test_heads_that_exclude_each_other_leave_a_distribution():
    """Every level is sure, and no finest cell agrees with both: the product still has to answer."""
    logits = [np.full((1, count), -np.inf, np.float32) for count in TREE.n_cells]
    logits[0][0, 0] = logits[1][0, -1] = logits[2][0, -1] = 0
    posterior = fuse(logits, TREE, "product")
    assert posterior.argmax() == TREE.n_cells[-1] - 1  # two levels out of three
    assert posterior.sum() == pytest.approx(1)


@pytest.mark.parametrize("rule", RULES)
def test_a_constant_added_to_logits_changes_nothing_and_inputs_stay(rule):
    logits = random_logits()
    copies = [level.copy() for level in logits]
    plain = fuse(logits, TREE, rule)
    np.testing.assert_allclose(fuse([z + 64 for z in logits], TREE, rule), plain, atol=1e-5)
    for level, copy in zip(logits, copies, strict=True):
        np.testing.assert_array_equal(level, copy)


@pytest.mark.parametrize("rule", RULES)
def test_tensors_in_tensors_out(rule):
    logits = random_logits()
    got = fuse([torch.from_numpy(z) for z in logits], TREE, rule)
    assert isinstance(got, torch.Tensor) and got.dtype == torch.float32
    np.testing.assert_array_equal(got, fuse(logits, TREE, rule))
    halves = fuse([z.astype(np.float64) for z in logits], TREE, rule)
    assert halves.dtype == np.float32


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_marginals_add_children_up(kind):
    posterior = fuse(random_logits(), TREE)
    levels = marginals(kind(posterior), TREE)
    assert [tuple(level.shape) for level in levels] == [(9, count) for count in TREE.n_cells]
    np.testing.assert_array_equal(levels[-1], posterior)
    for level in LEVELS:
        for cell in range(TREE.n_cells[level]):
            children = posterior[:, TREE.ancestors[:, level] == cell]
            np.testing.assert_allclose(levels[level][:, cell], children.sum(axis=1), atol=1e-6)
    assert isinstance(levels[0], type(kind(posterior)))


def with_value(value, level=1):
    logits = random_logits()
    logits[level][4, 2] = value
    return logits


def only_excluded():
    logits = random_logits()
    logits[0][4] = -np.inf
    return logits


@pytest.mark.parametrize(
    ("logits", "options", "message"),
    [
        (random_logits(), {"rule": "mean"}, "available: finest, consistency, product, leaf"),
        (random_logits()[1:], {}, "logits of level 0 are"),
        (random_logits()[:2], {}, "2 levels of logits for a tree of 3"),
        ([*random_logits(), random_logits()[0]], {}, "level 3"),
        ([], {}, "0 levels"),
        ([z[: 9 - level] for level, z in enumerate(random_logits())], {}, r"level 1 are \(8, 13\), expected \(9, 13\)"),
        ([z[0] for z in random_logits()], {}, "level 0"),
        ([z[:0] for z in random_logits()], {}, "at least one row"),
        (with_value(np.nan), {}, "level 1, row 4, hold NaN"),
        (with_value(np.inf), {}, r"row 4, hold NaN, \+inf"),
        (only_excluded(), {}, "level 0, row 4"),
        (random_logits(), {"penalty": 0.0}, r"penalty=0.0.*expected \(0, 1\]"),
        (random_logits(), {"penalty": 1.5}, "penalty=1.5"),
        (random_logits(), {"top_k": 0}, "top_k=0"),
        (random_logits(), {"level_weights": (0, 0, 0)}, "not all 0"),
        (random_logits(), {"levels": [3]}, "levels.*from 0 to 2"),
        (random_logits(), {"rule": "product", "levels": [0], "level_weights": (0, 1, 0)}, "not all of weight 0"),
        (random_logits(), {"level_weights": (1, 1)}, "level_weights.*expected 3"),
        (random_logits(), {"level_weights": (1, 1, -1)}, "level_weights"),
        (random_logits(), {"temperatures": (1, 1, 0)}, "temperatures"),
        (random_logits(), {"temperatures": (1, np.nan, 1)}, "temperatures"),
    ],
)
def test_bad_input_is_refused_in_words(logits, options, message):
    with pytest.raises(ValueError, match=message):
        fuse(logits, TREE, **options)


def test_marginals_of_another_tree_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 39\): expected \(n, 40\)"):
        marginals(np.ones((2, 39), np.float32), TREE)
