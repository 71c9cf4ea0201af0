"""Intervals against a bootstrap that really copies photos, against simulated truth, and in the awkward cases."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geolib import evaluate, sphere
from geolib.cells import GeocellTree
from geolib.evaluate import METRICS, SHARES, THRESHOLDS_KM, compare, difference, errors_km, summary

KM_PER_DEGREE = sphere.haversine_km(0, 0, 1, 0)


def case(n=300, n_clusters=20, seed=0):
    """Predictions whose errors in km depend on the photographer: (lat, lon, true_lat, true_lon, clusters)."""
    rng = np.random.default_rng(seed)
    clusters = rng.integers(n_clusters, size=n)
    km = np.exp(rng.normal(4, 1.5, n_clusters)[clusters] + rng.normal(0, 1, n))
    lat = np.minimum(km / KM_PER_DEGREE, 90)
    return lat, np.zeros(n), np.zeros(n), np.zeros(n), np.array([f"photographer {c}" for c in clusters])


def copied_bootstrap(km, clusters, n_boot, seed):
    """The textbook: draw photographers, lay all their photos side by side, measure, repeat."""
    rng = np.random.default_rng(seed)
    members = [km[clusters == name] for name in sorted(set(clusters))]
    rows = []
    for _ in range(n_boot):
        drawn = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        rows.append(measure(drawn))
    return np.array(rows)


def measure(km):
    shares = [(km <= limit).mean() for limit in THRESHOLDS_KM]
    return [*shares, np.median(km), km.mean(), sphere.geoscore(km).mean()]


def test_values_and_intervals_are_those_of_a_bootstrap_that_copies_photos():
    lat, lon, true_lat, true_lon, clusters = case()
    row = summary(lat, lon, true_lat, true_lon, clusters=clusters, n_boot=200, seed=4).loc["all"]
    km = errors_km(lat, lon, true_lat, true_lon)
    draws = copied_bootstrap(km, clusters, 200, seed=4)
    np.testing.assert_allclose(row[list(METRICS)].astype(float), measure(km), rtol=1e-12)
    for suffix, q in (("low", 0.025), ("high", 0.975)):
        got = row[[f"{metric}_{suffix}" for metric in METRICS]].astype(float)
        np.testing.assert_allclose(got, np.quantile(draws, q, axis=0), rtol=1e-12)
    assert row["photos"] == 300 and row["clusters"] == 20 and row["interval"] == "95 % bootstrap over 20 photographers"


def test_clusters_of_one_photo_are_no_clusters():
    *places, _ = case(80)
    naive = summary(*places, n_boot=50)
    single = summary(*places, clusters=[f"{i:02}" for i in range(80)], n_boot=50)
    numbers = [column for column in naive if column not in ("clusters", "interval")]
    pd.testing.assert_frame_equal(naive[numbers], single[numbers])
    assert naive["clusters"].isna().all() and naive.loc["all", "interval"] == "95 % bootstrap over 80 photos"
    assert single.loc["all", "clusters"] == 80


def simulate(rng, n_clusters=40, per_cluster=10):
    """Which photos were a hit, with a chance that is the photographer's own, 0.5 on average."""
    chance = rng.beta(1, 1, n_clusters)
    clusters = np.repeat(np.arange(n_clusters), per_cluster)
    return rng.random(len(clusters)) < chance[clusters], clusters


def test_clustered_intervals_cover_the_truth_and_naive_ones_do_not():
    rng, covered = np.random.default_rng(0), np.zeros(2)
    repetitions = 120
    for seed in range(repetitions):
        hit, clusters = simulate(rng)
        for kind, labels in enumerate((clusters, None)):
            row = evaluate.shares({"hit": hit}, labels, n_boot=100, seed=seed).iloc[0]
            covered[kind] += row["share_low"] <= 0.5 <= row["share_high"]
    clustered, naive = covered / repetitions
    assert 0.87 <= clustered <= 0.99  # 95 %, four standard errors below, and what 40 clusters and 100 draws cost
    assert naive < 0.75


def test_one_photographer_gives_values_and_a_reason_instead_of_intervals():
    lat, lon, true_lat, true_lon, _ = case(30)
    table = summary(lat, lon, true_lat, true_lon, clusters=["ann"] * 30, n_boot=20)
    row = table.loc["all"]
    assert row["interval"] == "none, nothing to draw from: 1 photographer"
    assert row[[f"{metric}_low" for metric in METRICS]].isna().all()
    assert row[list(METRICS)].notna().all()
    alone = summary([1.0], [1.0], [1.0], [1.0], n_boot=20).loc["all"]
    assert alone["interval"] == "none, nothing to draw from: 1 photo" and alone["within_1_km"] == 1
    assert "[" not in "".join(evaluate.format_table(table).iloc[0])


@given(st.data())
def test_weighted_median_is_numpys(data):
    values = data.draw(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
    weights = data.draw(st.lists(st.integers(0, 4), min_size=len(values), max_size=len(values)))
    weights[0] += not any(weights)
    ordered, weights = np.sort(values), np.array(weights)
    assert evaluate.weighted_median(ordered, weights) == np.median(np.repeat(ordered, weights))


def test_groups_are_rows_that_stand_for_themselves():
    lat, lon, true_lat, true_lon, clusters = case()
    groups = np.where(np.arange(300) % 3 == 0, "Asia", "Africa")
    table = summary(lat, lon, true_lat, true_lon, groups, clusters, n_boot=60)
    assert list(table.index) == ["all", "Africa", "Asia"] and table.index.name == "group"
    asia = groups == "Asia"
    alone = summary(lat[asia], lon[asia], true_lat[asia], true_lon[asia], clusters=clusters[asia], n_boot=60)
    pd.testing.assert_series_equal(table.loc["Asia"], alone.loc["all"], check_names=False)
    assert table["photos"].tolist() == [300, 200, 100]


def test_the_order_of_photos_does_not_matter():
    columns = case()
    order = np.random.default_rng(0).permutation(300)
    one, other = (
        summary(*parts[:4], clusters=parts[4], n_boot=60) for parts in (columns, [column[order] for column in columns])
    )
    pd.testing.assert_frame_equal(one, other)


def test_thresholds_are_inclusive_and_perfect_predictions_are_perfect():
    row = summary([0.0, 25 / KM_PER_DEGREE - 1e-12], [0, 0], [0, 0], [0, 0], n_boot=10).loc["all"]
    assert row["within_25_km"] == 1 and row["within_1_km"] == 0.5
    perfect = summary([-90, 12], [3, 180], [-90, 12], [99, -180], n_boot=10).loc["all"]
    assert perfect[list(SHARES)].tolist() == [1] * 5 and perfect["geoscore"] == pytest.approx(5000)


def test_compare_gives_each_method_its_summary():
    lat, lon, true_lat, true_lon, clusters = case()
    methods = {"heads": (lat, lon), "none": (lat * 0 + 40, lon)}
    table = compare(methods, true_lat, true_lon, clusters, n_boot=40)
    assert list(table.index) == ["heads", "none"] and table.index.name == "method"
    for name, place in methods.items():
        alone = summary(*place, true_lat, true_lon, clusters=clusters, n_boot=40).loc["all"]
        pd.testing.assert_series_equal(table.loc[name], alone, check_names=False)


def test_difference_is_paired():
    lat, lon, true_lat, true_lon, clusters = case(seed=2)
    better = lat * 0.9  # a tenth nearer on every photo: certain, though both intervals are wide and overlap
    row = difference((better, lon), (lat, lon), true_lat, true_lon, clusters, n_boot=100).iloc[0]
    km, nearer = (errors_km(x, lon, true_lat, true_lon) for x in (lat, better))
    np.testing.assert_allclose(row[list(METRICS)].astype(float), np.subtract(measure(nearer), measure(km)), atol=1e-9)
    assert row["mean_km_high"] < 0 and row["geoscore_low"] > 0
    both = compare({"a": (better, lon), "b": (lat, lon)}, true_lat, true_lon, clusters, n_boot=100)
    assert both.loc["a", "mean_km_high"] > both.loc["b", "mean_km_low"]
    same = difference((lat, lon), (lat, lon), true_lat, true_lon, clusters, n_boot=20).iloc[0]
    assert same["geoscore_low"] == same["geoscore"] == same["geoscore_high"] == 0


def test_seeds_decide():
    *places, clusters = case()
    draws = [summary(*places, clusters=clusters, n_boot=50, seed=seed)["mean_km_low"].item() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_tables_read_well():
    table = summary(*case()[:4], clusters=case()[4], n_boot=100)
    text = evaluate.format_table(table).loc["all"]
    row = table.loc["all"]
    low, high = row["within_25_km_low"] * 100, row["within_25_km_high"] * 100
    assert text["within 25 km"] == f"{row['within_25_km'] * 100:.1f} % [{low:.1f}, {high:.1f}]"
    assert text["median"] == f"{row['median_km']:,.0f} km [{row['median_km_low']:,.0f}, {row['median_km_high']:,.0f}]"
    assert text["geoscore"].startswith(f"{row['geoscore']:,.0f} [")
    assert text["photos"] == "300" and text["clusters"] == "20"
    lat, lon, *true, clusters = case()
    gain = evaluate.format_table(difference((lat / 2, lon), (lat, lon), *true, clusters, n_boot=20), signed=True).iloc[
        0
    ]
    assert gain["within 25 km"].startswith("+") and " points [" in gain["within 25 km"] and gain["mean"].startswith("-")


GOOD = ([0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([0.0], [0.0], *GOOD[2:]), {}, "1 predicted places for 2 true"),
        (([0.0, 91.0], *GOOD[1:]), {}, r"lat\[1\] = 91"),
        (([0.0, np.nan], *GOOD[1:]), {}, r"lat\[1\] = nan"),
        (([], [], [], []), {}, "empty"),
        (GOOD, {"clusters": ["a"]}, r"clusters has shape \(1,\), expected \(2,\)"),
        (GOOD, {"clusters": ["a", None]}, "1 of 2 clusters are missing"),
        (GOOD, {"groups": [np.nan, 1]}, "1 of 2 groups are missing"),
        (GOOD, {"n_boot": 0}, "n_boot=0"),
    ],
)
def test_bad_input_is_refused_in_words(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        summary(*arguments, **options)


def test_shares_are_means_with_intervals_and_paired_differences():
    rng = np.random.default_rng(0)
    a, b, clusters = rng.random(400) < 0.6, rng.random(400) < 0.6, rng.integers(40, size=400).astype(str)
    same = b.copy()
    table = evaluate.shares({"a": a, "b - b": b.astype(float) - same, "a - b": a * 1.0 - b}, clusters, n_boot=200)
    assert table.loc["a", "share"] == a.mean()
    assert table.loc["a", "share_low"] < a.mean() < table.loc["a", "share_high"]
    assert (table.loc["b - b", ["share", "share_low", "share_high"]] == 0).all()
    assert table["clusters"].tolist() == [40] * 3 and table["photos"].tolist() == [400] * 3


@pytest.mark.parametrize("values", [{}, {"a": []}, {"a": [1.0], "b": [1.0, 2.0]}, {"a": [np.nan]}, {"a": [[1.0]]}])
def test_shares_of_nothing_or_of_unequal_numbers_are_refused(values):
    with pytest.raises(ValueError, match="expected a finite number per photo"):
        evaluate.shares(values)


def test_a_gap_is_the_difference_of_two_means_and_its_interval_that_of_copied_photographers():
    *_, clusters = case()
    rng = np.random.default_rng(1)
    values, mask = rng.random(300), rng.random(300) < 0.2
    row = evaluate.gaps(values, {"some": mask}, clusters, n_boot=200, seed=4).loc["some"]
    assert row["photos"] == mask.sum() and row["clusters"] == 20
    assert row["gap"] == pytest.approx(values[mask].mean() - values[~mask].mean())
    draw, members = np.random.default_rng(4), [np.flatnonzero(clusters == name) for name in sorted(set(clusters))]
    copied = []
    for _ in range(200):
        rows = np.concatenate([members[i] for i in draw.integers(20, size=20)])
        copied.append(values[rows][mask[rows]].mean() - values[rows][~mask[rows]].mean())
    np.testing.assert_allclose([row["gap_low"], row["gap_high"]], np.quantile(copied, [0.025, 0.975]))


def test_a_gap_survives_draws_that_miss_the_group_and_refuses_empty_ones():
    values, lone = np.arange(6.0), np.arange(6) == 0
    row = evaluate.gaps(values, {"lone": lone}, list("aabbcc"), n_boot=50).iloc[0]
    assert row["gap"] == -3 and np.isfinite([row["gap_low"], row["gap_high"]]).all()
    for mask in (np.zeros(6, bool), np.ones(6, bool), lone[:5]):
        with pytest.raises(ValueError, match="in the group and outside"):
            evaluate.gaps(values, {"wrong": mask})
    with pytest.raises(ValueError, match="finite"):
        evaluate.gaps(values * np.nan, {"lone": lone})


def test_groups_of_photos_are_where_they_are():
    rng = np.random.default_rng(3)
    towns = np.array([[48.9, 2.3]] * 600 + [[-33.9, 151.2]] * 300)
    lat, lon = np.concatenate([towns + rng.normal(0, 0.5, towns.shape), rng.uniform(-60, 60, (300, 2))]).T
    tree = GeocellTree.fit(lat, lon, (4, 60))
    groups = evaluate.photo_groups(lat, lon, tree)
    assert list(groups) == ["continent", "density"] and len(groups) == 1200
    assert groups["density"].nunique() == 10 and groups["density"].value_counts().between(60, 180).all()
    density = (tree.counts(-1) / tree.areas_km2(-1))[tree.assign(lat, lon)[:, -1]]
    by_tenth = pd.Series(density).groupby(groups["density"])
    assert (by_tenth.max()[:-1].to_numpy() < by_tenth.min()[1:].to_numpy()).all()
    known = evaluate.photo_groups([48.86, -33.9, 0.0], [2.35, 151.1, -150.0], tree)
    assert known["continent"].tolist() == ["Europe", "Oceania", "at sea"]
    assert known["density"][0] > known["density"][2]


def test_summaries_of_photo_groups():
    """As a user would: which kinds of photos the answers are good for."""
    rng = np.random.default_rng(4)
    lat, lon = rng.uniform(35, 60, 400), rng.uniform(0, 120, 400)
    groups = evaluate.photo_groups(lat, lon, GeocellTree.fit(lat, lon, (4, 20)))
    shifted = np.where(groups["continent"] == "Asia", lat - 5, lat)
    table = summary(shifted, lon, lat, lon, groups["continent"], n_boot=20)
    assert table.loc["Europe", "median_km"] == 0
    assert table.loc["Asia", "median_km"] == pytest.approx(5 * KM_PER_DEGREE)
    assert table["photos"].sum() == 2 * 400


def test_a_gap_of_one_photographer_has_no_interval():
    table = evaluate.gaps([1, 1, 0, 0], {"x": [True, False, True, False]}, clusters=["a"] * 4, n_boot=20)
    assert table["gap"].iloc[0] == 0
    assert table[["gap_low", "gap_high"]].isna().all().all()
