"""Fusion rules against their formulas in float64, and posteriors that sum to one whatever the logits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import log_softmax, logsumexp, softmax

from geolib.cells import GeocellTree
from geolib.common import arrays
from geolib.fusion import RULES, fuse, marginals
from geolib.judge.calibrate import fit_fusion, fit_temperature, fit_temperatures

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


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("finest", {}),
        ("leaf", {}),
        ("consistency", {"top_k": 1}),
        ("product", {"level_weights": (1, 1, 0)}),
        ("product", {"level_weights": (1, 1, 1e-29)}),
        ("product", {"level_weights": (1e3, 1e3, 1)}),
    ],
)
def test_an_excluded_cell_stays_excluded_under_every_rule(rule, options):
    logits = random_logits()
    logits[-1][:, ::2] = -np.inf
    posterior = fuse(logits, TREE, rule, **options)
    assert (posterior[:, ::2] == 0).all() and (posterior[:, 1::2].sum(axis=1) > 0.999).all()


@pytest.mark.parametrize("size", [100.0, 1e4, 1e30])
@pytest.mark.parametrize("rule", RULES)
def test_large_logits_decide_and_do_not_overflow(rule, size):
    """exp(100) is too large for float32, exp(710) for float64; differences of 1e30 must not become NaN."""
    logits = [np.zeros((2, count), np.float32) for count in TREE.n_cells]
    cell = TREE.n_cells[-1] - 1
    for level in LEVELS:
        logits[level][0, TREE.ancestors[cell, level]] = size
        logits[level][1] = size  # no cell is better than another
    with np.errstate(all="raise", under="ignore"):
        posterior = fuse(logits, TREE, rule, temperatures=(0.5, 0.5, 0.5))
    assert posterior[0].argmax() == cell and posterior[0, cell] > 0.999
    assert np.ptp(posterior[1]) < 1e-6 or rule in ("product", "consistency")
    assert np.isfinite(posterior).all() and posterior.sum(axis=1) == pytest.approx(1)


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
def test_tensors_and_float64_are_accepted(rule):
    logits = random_logits()
    for other in ([torch.from_numpy(z) for z in logits], [z.astype(np.float64) for z in logits]):
        got = fuse(other, TREE, rule)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, fuse(logits, TREE, rule), atol=1e-7)


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
        ([z.astype(np.float64) * 1e300 for z in random_logits()], {}, r"hold NaN, \+inf"),
        (random_logits(), {"penalty": 0.0}, r"penalty=0.0.*expected a penalty in \(0, 1\]"),
        (random_logits(), {"penalty": 1.5}, "penalty=1.5"),
        (random_logits(), {"top_k": 0}, "top_k=0"),
        (random_logits(), {"rule": "product", "level_weights": (0, 0, 0)}, "not all of weight 0"),
        (random_logits(), {"levels": [3]}, "levels.*from 0 to 2"),
        (random_logits(), {"rule": "product", "levels": [0], "level_weights": (0, 1, 0)}, "not all of weight 0"),
        (random_logits(), {"rule": "product", "level_weights": (1, 1)}, "level_weights.*expected 3"),
        (random_logits(), {"rule": "product", "level_weights": (1, 1, -1)}, "level_weights"),
        (random_logits(), {"rule": "product", "level_weights": 0.25}, "level_weights=0.25: expected 3"),
        (
            random_logits(),
            {"level_weights": (1, 1, 1)},
            "'consistency' does not use level_weights, an option of product",
        ),
        (random_logits(), {"rule": "product", "top_k": 5}, "'product' does not use top_k, an option of consistency"),
        (random_logits(), {"rule": "product", "penalty": 0.3}, "'product' does not use penalty"),
        (random_logits(), {"rule": "finest", "levels": []}, "levels, an option of consistency and product"),
        (random_logits(), {"rule": "leaf", "penalty": 0.3}, "'leaf' does not use penalty"),
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


def drawn_photos(n=400, heat=(1.0, 1.0, 1.0), seed=5):
    """Photos of whose true cells each head, divided by its `heat`, has heard something: logits, cells (n, n_levels)."""
    rng = np.random.default_rng(seed)
    cells = TREE.ancestors[rng.integers(TREE.n_cells[-1], size=n)]
    logits = []
    for level, count in enumerate(TREE.n_cells):
        z = rng.normal(0, 1.5, (n, count)) + 1.5**2 * np.eye(count)[cells[:, level]]  # the exact log-likelihood ratio
        logits.append((z * heat[level]).astype(np.float32))
    return logits, cells


def log_loss(logits, labels, temperature):
    return -log_softmax(logits.astype(float) / temperature, axis=1)[np.arange(len(labels)), labels].mean()


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
@pytest.mark.parametrize("heat", [0.25, 1.0, 4.0])
def test_the_temperature_is_that_of_a_brute_search(heat, kind):
    logits, cells = drawn_photos(heat=(heat,) * 3)
    grid = np.geomspace(heat / 1.5, heat * 1.5, 401)
    for level in LEVELS:
        best = grid[np.argmin([log_loss(logits[level], cells[:, level], t) for t in grid])]
        assert fit_temperature(kind(logits[level]), cells[:, level]) == pytest.approx(best, rel=0.003)
        assert best == pytest.approx(heat, rel=0.15)  # how the logits were made


@given(st.floats(0.05, 20), st.integers(0, 100))
def test_scaled_logits_have_a_scaled_temperature_and_a_constant_changes_nothing(scale, seed):
    (logits, *_), cells = drawn_photos(60, seed=seed)
    one = fit_temperature(logits, cells[:, 0])
    if 0.2 < one < 5:
        assert fit_temperature(logits * np.float32(scale), cells[:, 0]) == pytest.approx(scale * one, rel=1e-3)
        assert fit_temperature(logits + 32, cells[:, 0]) == pytest.approx(one, rel=1e-3)


def test_temperatures_of_heads_that_are_always_right_or_never():
    sure = 5 * np.eye(4, dtype=np.float32)
    assert fit_temperature(sure, np.arange(4)) == pytest.approx(0.01)
    assert fit_temperature(sure, np.arange(4)[::-1]) == 100
    assert fit_temperature(np.zeros((3, 4), np.float32), [0, 1, 2]) == 100


def test_an_excluded_cell_has_no_part_in_the_temperature():
    logits, cells = drawn_photos()
    wider = np.hstack([logits[0], np.full((400, 3), -np.inf, np.float32)])
    assert fit_temperature(wider, cells[:, 0]) == pytest.approx(fit_temperature(logits[0], cells[:, 0]))


def product_loss(logits, cells, weights, temperatures):
    log_p = [log_softmax(z.astype(float) / t, axis=1) for z, t in zip(logits, temperatures, strict=True)]
    total = sum(w * p[:, TREE.ancestors[:, level]] for level, (w, p) in enumerate(zip(weights, log_p, strict=True)))
    return -log_softmax(total, axis=1)[np.arange(len(cells)), cells[:, -1]].mean()


def test_fitted_weights_are_those_of_a_brute_search():
    logits, cells = drawn_photos(heat=(1.0, 3.0, 0.5))
    fitted = fit_fusion(logits, cells, TREE)
    heats = fitted["temperatures"]
    assert heats == fit_temperatures(logits, cells) == pytest.approx([1, 3, 0.5], rel=0.15)
    least = product_loss(logits, cells, fitted["level_weights"], heats)
    steps = np.linspace(0, 1.6, 9)
    grid = {(a, b, c): product_loss(logits, cells, (a, b, c), heats) for a in steps for b in steps for c in steps}
    assert least <= min(grid.values())
    np.testing.assert_allclose(fitted["level_weights"], min(grid, key=grid.get), atol=0.11)  # half a step
    for level in LEVELS:  # and no small step from it is better
        for step in (-0.01, 0.01):
            moved = np.array(fitted["level_weights"])
            moved[level] += step
            assert product_loss(logits, cells, moved, heats) > least


def test_the_fitted_product_is_sharper_where_heads_are_independent_and_not_where_they_repeat_each_other():
    logits, cells = drawn_photos()  # the noise of each head is its own, so the evidence adds up
    np.testing.assert_allclose(fit_fusion(logits, cells, TREE)["level_weights"], 1, atol=0.2)
    repeated = [np.log(level) for level in marginals(softmax(logits[-1], axis=1), TREE)]
    fitted = fit_fusion(repeated, cells, TREE)
    posterior = fuse(repeated, TREE, "product", **fitted)
    np.testing.assert_allclose(fitted["level_weights"][-1], 1, atol=0.1)
    np.testing.assert_allclose(fitted["level_weights"][:2], 0, atol=0.2)  # they only repeat the finest
    own = -np.log(posterior[np.arange(400), cells[:, -1]])
    assert own.mean() <= log_loss(logits[-1], cells[:, -1], fitted["temperatures"][-1]) + 1e-6


def test_fitting_in_blocks_gives_the_same(monkeypatch):
    logits, cells = drawn_photos()
    whole = fit_fusion(logits, cells, TREE)
    monkeypatch.setattr(arrays, "BLOCK_ELEMENTS", 7 * TREE.n_cells[-1])
    parts = fit_fusion([torch.from_numpy(level) for level in logits], cells, TREE)
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-4)


def test_noise_gets_no_weight_and_nothing_but_noise_is_refused():
    logits, cells = drawn_photos()
    noise = random_logits(400, seed=8)
    fitted = fit_fusion([logits[0], noise[1], logits[2]], cells, TREE)
    parts = np.array(fitted["level_weights"]) / fitted["temperatures"]
    assert parts[1] < 0.1 < 0.8 < min(parts[0], parts[2])
    wrong = [-level for level in logits]
    with pytest.raises(ValueError, match="every level is worse than no answer"):
        fit_fusion(wrong, cells, TREE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda z, c: (z, c[:-1]), r"true cells int64 \(399,\) for scores \(400, 4\)"),
        (lambda z, c: (z, c[:, :2]), r"cells \(400, 2\): expected \(n, 3\)"),
        (lambda z, c: (z, c.astype(float)), "expected whole numbers"),
        (lambda z, c: (z, c - 1), "true cells from -1 to 2: expected 0 to 3"),
        (lambda z, c: (z, c + 1), "expected 0 to 3"),
        (lambda z, c: ([z[0], np.where(np.arange(400)[:, None] == 7, np.nan, z[1]), z[2]], c), "row 7 hold NaN"),
        (lambda z, c: ([np.where(np.eye(4)[c[:, 0]] > 0, -np.inf, z[0]), *z[1:]], c), "-inf at the true cell"),
        (lambda z, c: ([z[0], z[1][:, :-1], z[2]], np.minimum(c, [9, 9, 99])), r"level 1 are \(400, 12\)"),
        (lambda z, c: ([level[:0] for level in z], c[:0]), "at least one photo"),
    ],
)
def test_fitting_refuses_in_words(change, message):
    with pytest.raises(ValueError, match=message):
        fit_fusion(*change(*drawn_photos()), TREE)
