"""Intervals against a bootstrap that really copies photos, against simulated truth, and in the awkward cases."""

import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geolib import evaluate, sphere
from geolib.cells import GeocellTree
from geolib.evaluate import METRICS, SHARES, THRESHOLDS_KM, compare, difference, errors_km, places, summary, verdict
from geolib.judge.groups import photo_groups

KM_PER_DEGREE = sphere.haversine_km(0, 0, 1, 0)


def case(n=300, n_clusters=20, seed=0):
    """Predictions whose errors in km depend on the photographer: (lat, lon, true_lat, true_lon, clusters)."""
    rng = np.random.default_rng(seed)
    clusters = rng.integers(n_clusters, size=n)
    km = np.exp(rng.normal(4, 1.5, n_clusters)[clusters] + rng.normal(0, 1, n))
    towns = 20.0 * rng.integers(12, size=n)  # degrees east, on the equator
    lat, lon = np.minimum(km / KM_PER_DEGREE, 90), np.where(towns > 180, towns - 360, towns)
    return lat, lon, np.zeros(n), lon, np.array([f"photographer {c}" for c in clusters])


def copied_bootstrap(measured, kinds, n_boot, seed):
    """The textbook: draw clusters of each kind, lay photos side by side as often as all of theirs came, measure."""
    rng = np.random.default_rng(seed)
    kinds = [np.asarray(labels).astype(str) for labels in kinds]
    rows = []
    for _ in range(n_boot):
        draws = [list(rng.choice(sorted(set(labels)), size=len(set(labels)))) for labels in kinds]
        copies = [
            number
            for number in range(len(kinds[0]))
            for _ in range(
                int(np.prod([draw.count(labels[number]) for draw, labels in zip(draws, kinds, strict=True)]))
            )
        ]
        rows.append(measured(np.array(copies)))
    return np.array(rows)


def measure(km):
    shares = [(km <= limit).mean() for limit in THRESHOLDS_KM]
    return [*shares, np.median(km), km.mean(), sphere.geoscore(km).mean()]


def test_values_and_intervals_are_those_of_a_bootstrap_that_copies_photos():
    lat, lon, true_lat, true_lon, clusters = case()
    row = summary(lat, lon, true_lat, true_lon, clusters=clusters, n_boot=100, seed=4).loc["all"]
    km, towns = errors_km(lat, lon, true_lat, true_lon), places(true_lat, true_lon)
    draws = copied_bootstrap(lambda photos: measure(km[photos]), [clusters, towns], 100, seed=4)
    np.testing.assert_allclose(row[list(METRICS)].astype(float), measure(km), rtol=1e-12)
    for suffix, q in (("low", 0.025), ("high", 0.975)):
        got = row[[f"{metric}_{suffix}" for metric in METRICS]].astype(float)
        np.testing.assert_allclose(got, np.quantile(draws, q, axis=0), rtol=1e-12)
    assert row["photos"] == 300 and row["clusters"] == 20
    assert row["interval"] == "95 % bootstrap over 20 photographers and 12 places"


def test_one_kind_of_cluster_is_the_bootstrap_of_copied_clusters():
    *_, clusters = case()
    values = np.random.default_rng(1).random(300)
    row = evaluate.interval({"value": values}, clusters, n_boot=100, seed=3).loc["value"]
    draws = copied_bootstrap(lambda photos: values[photos].mean(), [clusters], 100, seed=3)
    np.testing.assert_allclose([row["share_low"], row["share_high"]], np.quantile(draws, [0.025, 0.975]), rtol=1e-12)
    assert row["interval"] == "95 % bootstrap over 20 photographers"
    named = evaluate.interval({"value": values}, {"photographer": clusters}, n_boot=100, seed=3).loc["value"]
    pd.testing.assert_series_equal(row, named)


def test_clusters_are_compulsory():
    """An interval of independent photos cannot be asked for, not even by leaving something out."""
    for function in (summary, compare, difference, evaluate.interval, evaluate.gaps, evaluate.bootstrap_weights):
        assert inspect.signature(function).parameters["clusters"].default is inspect.Parameter.empty
    for none in (None, {}, {"photographer": None}):
        with pytest.raises(ValueError, match="expected a label per photo"):
            evaluate.interval({"hit": [True, False]}, none)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz")), min_size=1, max_size=12), st.integers(0, 9))
def test_weights_are_products_of_the_counts_of_both_kinds(photos, seed):
    people, towns = map(np.array, zip(*photos, strict=True))
    kinds, n = {"photographer": people, "place": towns}, len(photos)
    first, *draws = evaluate.bootstrap_weights(kinds, n, 20, seed)
    assert (first == 1).all()
    for weights in draws:
        assert weights.any(), "a draw without photos is repeated"
        table = np.zeros((4, 3))
        for person, town, weight in zip(people, towns, weights, strict=True):
            known = table["abcd".index(person), "xyz".index(town)]
            assert known in (0, weight), "the same for all photos of a photographer at a place"
            table["abcd".index(person), "xyz".index(town)] = weight
        assert np.linalg.matrix_rank(table) <= 1 or not full_grid(people, towns)


def full_grid(people, towns):
    """Whether each photographer was at each place: only then the table of weights shows that it is a product."""
    return len(set(zip(people, towns, strict=True))) == len(set(people)) * len(set(towns))


def simulate(rng, n_clusters=40, n_photos=600):
    """Values with mean 0 that depend on the photographer and as much on the place, and the labels of both."""
    people, towns = rng.integers(n_clusters, size=(2, n_photos))
    effects = rng.normal(0, 1, (2, n_clusters))
    return effects[0, people] + effects[1, towns] + rng.normal(0, 1, n_photos), people, towns


def test_two_way_intervals_cover_the_truth_and_others_do_not():
    rng, repetitions = np.random.default_rng(0), 120
    covered = np.zeros(3)
    for seed in range(repetitions):
        values, people, towns = simulate(rng)
        for kind, clusters in enumerate(({"photographer": people, "place": towns}, people, np.arange(len(values)))):
            row = evaluate.interval({"value": values}, clusters, n_boot=100, seed=seed).iloc[0]
            covered[kind] += row["share_low"] <= 0 <= row["share_high"]
    both, people_only, independent = covered / repetitions
    assert 0.87 <= both <= 1  # 95 %, four standard errors below
    assert people_only < 0.85
    assert independent < 0.5


def test_one_cluster_gives_values_and_a_reason_instead_of_intervals():
    lat, lon, true_lat, true_lon, clusters = case(30)
    table = summary(lat, lon, true_lat, true_lon, clusters=["ann"] * 30, n_boot=20)
    row = table.loc["all"]
    assert row["interval"].startswith("none, nothing to draw from: 1 photographer and ")
    assert row[[f"{metric}_low" for metric in METRICS]].isna().all()
    assert row[list(METRICS)].notna().all()
    assert "[" not in "".join(evaluate.format_table(table).iloc[0])
    town = compare({"here": (lat, lon * 0)}, true_lat, lon * 0, clusters, n_boot=20).loc["here"]
    assert town["interval"].endswith("photographers and 1 place") and np.isnan(town["geoscore_low"])


# Places


@st.composite
def points(draw):
    """Photos around a few towns, at the poles and the dateline too: (lat, lon), with repetitions."""
    towns = draw(
        st.lists(st.tuples(st.sampled_from([-90, -40, 0, 52, 90]), st.sampled_from([-180, 0, 180])), min_size=1)
    )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    around = np.repeat(np.array(towns, dtype=float), 3, axis=0) + rng.normal(0, 0.2, (3 * len(towns), 2))
    lat, lon = np.clip(around[:, 0], -90, 90), (around[:, 1] + 180) % 360 - 180
    return lat, lon


@settings(deadline=None)
@given(points(), st.sampled_from([1.0, 25.0, 300.0]))
def test_places_are_discs_and_the_fullest_comes_first(photos, radius):
    lat, lon = photos
    found = places(lat, lon, radius)
    assert sorted(set(found)) == list(range(found.max() + 1))
    km = sphere.haversine_km(lat[:, None], lon[:, None], lat, lon)
    near = km <= radius * (1 + 1e-9)
    assert (found == 0).sum() == (km <= radius).sum(axis=1).max()
    for place in set(found):
        inside = found == place
        assert near[:, inside].all(axis=1)[inside].any(), "one of its photos is within the radius of all"
        assert km[np.ix_(inside, inside)].max() <= 2 * radius * (1 + 1e-9)
    order = np.random.default_rng(0).permutation(len(lat))
    np.testing.assert_array_equal(places(lat[order], lon[order], radius), found[order])


def test_a_town_across_the_dateline_is_one_place():
    assert places([-16.8, -16.8, -16.8], [179.99, -179.99, 178.0]).tolist() == [0, 0, 1]


@pytest.mark.parametrize("radius", [0, -1, np.nan, 30_000])
def test_a_radius_that_is_none_is_refused(radius):
    with pytest.raises(ValueError, match="radius_km="):
        places([0.0], [0.0], radius)


def test_beside_each_share_stands_the_part_of_its_largest_place():
    towns = np.repeat([0.0, 40.0, 80.0], [6, 3, 1])
    error = np.array([0, 0, 0, 0, 5, 5, 0, 5, 5, 0]) * 1.0  # degrees: hits in the three towns are 4, 1 and 1
    who = list("abcdefghij")
    row = compare({"a": (error, towns), "none": (error * 0 + 60, towns)}, error * 0, towns, who, n_boot=20)
    assert row.loc["a", "within_25_km_place"] == pytest.approx(4 / 6)
    assert row.loc["a", "within_2500_km_place"] == pytest.approx(6 / 10)
    assert np.isnan(row.loc["none", "within_2500_km_place"])
    assert not [name for name in row if name.endswith("_place") and name.removesuffix("_place") not in SHARES]
    text = evaluate.format_table(row)
    assert text.loc["a", "within 25 km"].endswith("], 67 % of it one place")
    assert "of it" not in text.loc["none", "within 25 km"]
    assert text["photos"].equals(evaluate.format_table(row, noun="postcards")["postcards"].rename("photos"))
    given_places = {"who": who, "place": np.arange(10)}
    assert compare({"a": (error, towns)}, error * 0, towns, given_places, n_boot=20)["within_25_km_place"].item() == (
        pytest.approx(1 / 6)
    )


# Verdicts


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_verdict_is_one_of_three_words_of_the_interval(a, b):
    low, high = sorted((a, b))
    if low == high == 0:
        return
    said = verdict(low, high)
    assert (said == "more") == (low > 0) and (said == "less") == (high < 0)
    assert said in ("more", "less", "undecided")
    with pytest.raises(ValueError, match="only there"):
        verdict(low, high, same="they are one")


def test_an_identity_is_no_finding():
    """Two methods whose answers are equal: "+0 [+0, +0]" was printed as a result."""
    lat, lon, true_lat, true_lon, clusters = case()
    row = difference((lat, lon), (lat, lon), true_lat, true_lon, clusters, n_boot=20).iloc[0]
    with pytest.raises(ValueError, match="exactly 0 in all draws"):
        verdict(row["geoscore_low"], row["geoscore_high"])
    said = verdict(row["geoscore_low"], row["geoscore_high"], same="they share the finest head")
    assert said == "same by construction"
    assert verdict(np.nan, np.nan) == "undecided"
    with pytest.raises(ValueError, match="in order"):
        verdict(2, 1)


# Several seeds


def test_the_numbers_of_several_seeds_are_their_means():
    lat, lon, true_lat, true_lon, clusters = case()
    runs = np.stack([lat, lat / 2, np.roll(lat, 7)])
    one = compare({"runs": (runs, np.tile(lon, (3, 1)))}, true_lat, true_lon, clusters, n_boot=30).loc["runs"]
    each = [summary(run, lon, true_lat, true_lon, clusters=clusters, n_boot=30).loc["all"] for run in runs]
    for metric in METRICS:
        assert one[metric] == pytest.approx(np.mean([row[metric] for row in each]))
    single = compare({"runs": (lat[None], lon[None])}, true_lat, true_lon, clusters, n_boot=30).loc["runs"]
    pd.testing.assert_series_equal(single, each[0], check_names=False)
    gain = difference((runs, np.tile(lon, (3, 1))), (lat, lon), true_lat, true_lon, clusters, n_boot=30).iloc[0]
    assert gain["median_km"] == pytest.approx(one["median_km"] - each[0]["median_km"])
    assert gain["geoscore_low"] < gain["geoscore"] < gain["geoscore_high"]
    with pytest.raises(ValueError, match=r"expected one shape, \(n,\) or \(seeds, n\)"):
        compare({"runs": (runs, lon)}, true_lat, true_lon, clusters)


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
    table = summary(lat, lon, true_lat, true_lon, groups, clusters=clusters, n_boot=60)
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
    two, how = ["ann", "bob"], {"n_boot": 10}
    row = summary([0.0, 25 / KM_PER_DEGREE - 1e-12], [0, 0], [0, 0], [0, 0], clusters=two, **how).loc["all"]
    assert row["within_25_km"] == 1 and row["within_1_km"] == 0.5
    perfect = summary([-90, 12], [3, 180], [-90, 12], [99, -180], clusters=two, **how).loc["all"]
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
        (GOOD, {"clusters": ["a"]}, r"labels 'photographer' have shape \(1,\), expected \(2,\)"),
        (GOOD, {"clusters": ["a", None]}, "1 of 2 labels 'photographer' are missing"),
        (GOOD, {"clusters": {"photographer": ["a", "b"], "place": [1]}}, "labels 'place' have shape"),
        (GOOD, {"groups": [np.nan, 1]}, "1 of 2 labels 'groups' are missing"),
        (GOOD, {"n_boot": 0}, "n_boot=0"),
    ],
)
def test_bad_input_is_refused_in_words(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        summary(*arguments, **{"clusters": ["a", "b"]} | options)


def test_shares_are_means_with_intervals_and_paired_differences():
    rng = np.random.default_rng(0)
    a, b, clusters = rng.random(400) < 0.6, rng.random(400) < 0.6, rng.integers(40, size=400).astype(str)
    same = b.copy()
    table = evaluate.interval({"a": a, "b - b": b.astype(float) - same, "a - b": a * 1.0 - b}, clusters, n_boot=200)
    assert table.loc["a", "share"] == a.mean()
    assert table.loc["a", "share_low"] < a.mean() < table.loc["a", "share_high"]
    assert (table.loc["b - b", ["share", "share_low", "share_high"]] == 0).all()
    assert table["clusters"].tolist() == [40] * 3 and table["photos"].tolist() == [400] * 3


@pytest.mark.parametrize("values", [{}, {"a": []}, {"a": [1.0], "b": [1.0, 2.0]}, {"a": [np.nan]}, {"a": [[1.0]]}])
def test_shares_of_nothing_or_of_unequal_numbers_are_refused(values):
    with pytest.raises(ValueError, match="expected a finite number per photo"):
        evaluate.interval(values, ["a"])


def test_a_gap_is_the_difference_of_two_means_and_its_interval_that_of_copied_photographers():
    *_, clusters = case()
    rng = np.random.default_rng(1)
    values, mask = rng.random(300), rng.random(300) < 0.2
    row = evaluate.gaps(values, {"some": mask}, clusters, n_boot=200, seed=4).loc["some"]
    assert row["photos"] == mask.sum() and row["clusters"] == 20
    assert row["gap"] == pytest.approx(values[mask].mean() - values[~mask].mean())
    copied = copied_bootstrap(
        lambda rows: values[rows][mask[rows]].mean() - values[rows][~mask[rows]].mean(), [clusters], 200, seed=4
    )
    np.testing.assert_allclose([row["gap_low"], row["gap_high"]], np.quantile(copied, [0.025, 0.975]))


def test_a_gap_survives_draws_that_miss_the_group_and_refuses_empty_ones():
    values, lone = np.arange(6.0), np.arange(6) == 0
    few = np.isin(np.arange(6), [0, 2])
    row = evaluate.gaps(values, {"few": few}, list("aabbcc"), n_boot=50).iloc[0]
    assert row["gap"] == -2.25 and np.isfinite([row["gap_low"], row["gap_high"]]).all()
    for mask in (np.zeros(6, bool), np.ones(6, bool), lone[:5]):
        with pytest.raises(ValueError, match="in the group and outside"):
            evaluate.gaps(values, {"wrong": mask}, list("aabbcc"))
    with pytest.raises(ValueError, match="finite"):
        evaluate.gaps(values * np.nan, {"lone": lone}, list("aabbcc"))


def test_groups_of_photos_are_where_they_are():
    rng = np.random.default_rng(3)
    towns = np.array([[48.9, 2.3]] * 600 + [[-33.9, 151.2]] * 300)
    lat, lon = np.concatenate([towns + rng.normal(0, 0.5, towns.shape), rng.uniform(-60, 60, (300, 2))]).T
    tree = GeocellTree.fit(lat, lon, (4, 60))
    groups = photo_groups(lat, lon, tree)
    assert list(groups) == ["continent", "density"] and len(groups) == 1200
    assert groups["density"].nunique() == 10 and groups["density"].value_counts().between(60, 180).all()
    density = (tree.counts(-1) / tree.areas_km2(-1))[tree.assign(lat, lon)[:, -1]]
    by_tenth = pd.Series(density).groupby(groups["density"])
    assert (by_tenth.max()[:-1].to_numpy() < by_tenth.min()[1:].to_numpy()).all()
    known = photo_groups([48.86, -33.9, 0.0], [2.35, 151.1, -150.0], tree)
    assert known["continent"].tolist() == ["Europe", "Oceania", "at sea"]
    assert known["density"][0] > known["density"][2]


def test_summaries_of_photo_groups():
    """As a user would: which kinds of photos the answers are good for."""
    rng = np.random.default_rng(4)
    lat, lon = rng.uniform(35, 60, 400), rng.uniform(0, 120, 400)
    groups = photo_groups(lat, lon, GeocellTree.fit(lat, lon, (4, 20)))
    shifted = np.where(groups["continent"] == "Asia", lat - 5, lat)
    table = summary(shifted, lon, lat, lon, groups["continent"], clusters=np.arange(400) // 4, n_boot=20)
    assert table.loc["Europe", "median_km"] == 0
    assert table.loc["Asia", "median_km"] == pytest.approx(5 * KM_PER_DEGREE)
    assert table["photos"].sum() == 2 * 400


def test_a_gap_of_one_photographer_has_no_interval():
    table = evaluate.gaps([1, 1, 0, 0], {"x": [True, False, True, False]}, clusters=["a"] * 4, n_boot=20)
    assert table["gap"].iloc[0] == 0
    assert table[["gap_low", "gap_high"]].isna().all().all()


def test_a_group_of_one_photographer_has_no_interval_of_its_gap():
    """Resampling cannot say how much another photographer's photos would differ."""
    who = ["ann", "ann", "bob", "bob", "cy", "cy"]
    alone = evaluate.gaps([1, 1, 0, 0, 0, 1], {"by ann": np.array(who) == "ann"}, who, n_boot=50)
    assert alone["gap"].item() == 0.75 and alone[["gap_low", "gap_high"]].isna().all(axis=None)
    two = evaluate.gaps([1, 1, 0, 0, 0, 1], {"others": np.array([1, 0, 1, 0, 0, 0], bool)}, who, n_boot=50)
    assert two[["gap_low", "gap_high"]].notna().all(axis=None)


def test_a_group_that_is_called_all_is_refused():
    zero = [0.0, 0.0]
    with pytest.raises(ValueError, match='a group is called "all"'):
        evaluate.summary(zero, zero, zero, zero, groups=["all", "x"], clusters=["ann", "bob"])
