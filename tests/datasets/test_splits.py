"""Splits: what is new in the test photos, what is left out for it, and what small sets give up, in words."""

import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geolib.common.errors import MismatchError
from geolib.datasets import Dataset, describe_split, open_dataset, safe_split
from geolib.datasets.splits import fitted_split, nearest_training_km
from geolib.sphere import haversine_km

SIDES = {"train", "calibration", "development", "test", "left_out"}


def table_of(lat, lon, photographer):
    ids = [f"p{n:07d}" for n in range(len(lat))]
    return pd.DataFrame({"lat": lat, "lon": lon, "photographer": photographer}, index=pd.Index(ids, name="id"))


def split_in_words(photos, kind, **options):
    """The split and what it warns of; the warning must be what `attrs` say."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sides = safe_split(photos, kind, **options)
    said = [str(warning.message) for warning in caught]
    assert len(said) == bool(sides.attrs["gave_up"]) and all(words in said[0] for words in sides.attrs["gave_up"])
    return sides, "".join(said)


def world(n, photographers, seed=0, spread=0.3):
    """Photos around towns on the whole Earth, as many at each; photographers of no place."""
    rng = np.random.default_rng(seed)
    towns = np.degrees(np.arcsin(rng.uniform(-1, 1, 400))), rng.uniform(-180, 180, 400)
    at = rng.integers(0, 400, n)
    lat, lon = (town[at] + rng.normal(0, spread, n) for town in towns)
    who = [f"who {k}" for k in rng.integers(0, photographers, n)]
    return table_of(np.clip(lat, -90, 90), (lon + 180) % 360 - 180, who)


def nearest_by_hand(photos, sides, side):
    """Distances to the nearest training photo, all against all."""
    here, train = photos[sides == side], photos[sides == "train"]
    km = haversine_km(
        here["lat"].to_numpy()[:, None],
        here["lon"].to_numpy()[:, None],
        train["lat"].to_numpy(),
        train["lon"].to_numpy(),
    )
    return km.min(axis=1, initial=np.inf)


@st.composite
def photographs(draw):
    """Up to 150 photos around the dateline, a pole or Vienna, by up to five photographers, in one spot or far apart."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, reach = draw(st.integers(1, 150)), draw(st.sampled_from([0.0, 0.5, 5.0, 15.0]))
    centre = draw(st.sampled_from([(0, 180), (65, -180), (90, 0), (-90, 12), (48, 16)]))
    lat, lon = np.array(centre)[:, None] + rng.uniform(-reach, reach, (2, n))
    if abs(centre[0]) == 90:
        lon = rng.uniform(-180, 180, n)
    who = rng.choice(["", "a", "b", "c", "d"][: draw(st.integers(1, 5))], n)
    return table_of(np.clip(lat, -90, 90), (lon + 180) % 360 - 180, who)


@settings(max_examples=60)
@given(photographs(), st.sampled_from(["photographers", "places"]), st.integers(0, 5))
def test_no_photographer_is_on_two_sides_and_every_photo_is_on_one(photos, kind, seed):
    sides, _ = split_in_words(photos, kind, seed=seed)
    assert set(sides) <= SIDES and sides.index.equals(photos.index) and not sides.isna().any()
    kept = photos.assign(side=sides)[sides != "left_out"]
    named = kept[kept["photographer"] != ""].groupby("photographer")["side"]
    one = photos["photographer"].replace("", np.nan).nunique() == 1
    assert (named.nunique() <= 1).all() or (one and kind == "places")
    assert kind == "places" or len(kept) == len(photos), "a split by photographers needs every photo"


@settings(max_examples=60)
@given(photographs(), st.sampled_from([0.0, 10.0, 50.0, 200.0]), st.integers(0, 5))
def test_different_sides_lie_a_buffer_apart_by_the_textbooks_distance(photos, buffer_km, seed):
    sides, _ = split_in_words(photos, "places", buffer_km=buffer_km, seed=seed)
    kept = photos[sides != "left_out"]
    lat, lon, side = kept["lat"].to_numpy(), kept["lon"].to_numpy(), sides[kept.index].to_numpy()
    km = haversine_km(lat[:, None], lon[:, None], lat, lon)
    held = sides.attrs["buffer_km"]
    assert (km[side[:, None] != side] >= held - 1e-6).all()
    assert held == buffer_km or any("the buffer is" in words for words in sides.attrs["gave_up"])


@settings(max_examples=30)
@given(photographs(), st.sampled_from(["auto", "photographers", "places"]), st.integers(0, 5))
def test_the_split_does_not_depend_on_the_order_of_the_rows(photos, kind, seed):
    first, _ = split_in_words(photos, kind, seed=seed)
    again, _ = split_in_words(photos.sample(frac=1, random_state=seed), kind, seed=seed)
    pd.testing.assert_series_equal(again.reindex(photos.index), first)
    assert again.attrs == first.attrs


@pytest.mark.parametrize("kind", ["photographers", "places"])
def test_the_sides_have_their_shares_where_there_is_enough_of_everything(kind):
    photos = world(20_000, 1)
    photos["photographer"] = np.floor(photos[["lat", "lon"]] / 10).astype(str).agg("/".join, axis=1)  # stay at home
    sides, said = split_in_words(photos, kind)
    shares = sides.value_counts(normalize=True)
    assert not said and shares["train"] > 0.55
    assert all(0.05 < shares[side] < 0.15 for side in ("test", "calibration", "development"))
    other, _ = split_in_words(photos, kind, seed=1)
    assert (sides != other).mean() > 0.2, "another seed deals other groups"


def test_a_town_at_the_edge_of_a_degree_is_not_cut():
    rng = np.random.default_rng(0)
    lat, lon = world(2000, 1)[["lat", "lon"]].to_numpy().T
    town = np.array([40.999, -74.001]) + rng.normal(0, 0.02, (1000, 2))  # four degree blocks meet here
    photos = table_of(np.append(lat, town[:, 0]), np.append(lon, town[:, 1]), "")
    for seed in range(5):
        sides, _ = split_in_words(photos, "places", seed=seed)
        assert sides.iloc[-1000:].replace("left_out", np.nan).nunique() <= 1


def test_photographers_may_meet_at_places_of_training_but_places_may_not():
    photos = world(4000, 300)
    near = {kind: nearest_training_km(photos, split_in_words(photos, kind)[0]) for kind in ("photographers", "places")}
    assert (near["photographers"] < 25).mean() > 0.5
    assert near["places"].min() >= 50 - 1e-6


def test_photographers_who_are_everywhere_cost_most_photos_and_it_is_said():
    photos = world(100_000, 3000)
    sides, said = split_in_words(photos, "places")
    counts = sides.value_counts()
    assert counts["test"] > 2000 and counts["calibration"] > 2000 and counts["train"] > 15_000
    assert f"{counts['left_out']:,} of 100,000 photos are left out" in said
    assert f"the test side has {counts['test']:,} photos" in said


@pytest.mark.parametrize("everywhere", [True, False])
def test_sixty_photos_of_three_photographers(everywhere):
    rng = np.random.default_rng(0)
    who = np.repeat(["Ada", "Bo", "Cy"], 20)
    centre = np.zeros(60) if everywhere else np.repeat([0.0, 40.0, -40.0], 20)
    photos = table_of(centre + rng.uniform(-5, 5, 60), centre + rng.uniform(-5, 5, 60), who)
    for kind in ("auto", "photographers"):
        sides, said = split_in_words(photos, kind)
        assert sides.value_counts().to_dict() == {"train": 20, "test": 20, "calibration": 20}
        assert "no development side" in said
    sides, said = split_in_words(photos, "places")
    assert {"train", "test"} <= set(sides) and "no development side" in said


@pytest.mark.parametrize("name", ["Ada", ""])
def test_one_persons_photos_are_split_by_places_and_it_is_said(name):
    photos = world(600, 1).assign(photographer=name)
    for kind in ("auto", "places"):
        sides, said = split_in_words(photos, kind)
        assert sides.attrs["kind"] == "places" and set(sides) >= SIDES - {"left_out"}
        assert ("do not hold for new photographers" in said) == bool(name)
    assert ("no test side" in split_in_words(photos, "photographers")[1]) == bool(name)


def test_one_photographer_and_a_friend_with_three_photos():
    photos = world(600, 1).assign(photographer=["Ada"] * 597 + ["Bo"] * 3)
    sides, said = split_in_words(photos, "auto")
    assert sides.value_counts()["test"] > 30 and "do not hold for new photographers" in said


def test_a_small_town_halves_the_buffer_until_regions_fit_in():
    rng = np.random.default_rng(0)
    photos = table_of(48.2 + rng.uniform(-0.3, 0.3, 500), 16.4 + rng.uniform(-0.3, 0.3, 500), "")
    sides, said = split_in_words(photos, "places")
    assert sides.attrs["buffer_km"] < 50 and "km instead of 50 km" in said
    assert nearest_by_hand(photos, sides, "test").min() >= sides.attrs["buffer_km"] > 0


def test_photos_of_one_spot_all_train_and_it_is_said():
    sides, said = split_in_words(table_of([5.0] * 50, [180.0] * 50, ""), "auto")
    assert set(sides) == {"train"} and "no test side" in said and "no calibration side" in said


def test_a_large_photographer_trains_and_the_others_fill_the_sides():
    photos = world(2000, 1).assign(photographer=["big"] * 1800 + [f"small {n}" for n in np.arange(200) // 2])
    sides, _ = split_in_words(photos, "photographers")
    assert (sides[photos["photographer"] == "big"] == "train").all()
    assert sides.value_counts()[["test", "calibration", "development"]].min() > 20


@pytest.mark.parametrize("kind", ["photographers", "places"])
@pytest.mark.parametrize("photographers", [1, 30_000])
def test_a_hundred_thousand_photos_take_seconds(kind, photographers):
    photos = world(100_000, photographers)
    photos.iloc[:30_000, :2] = 40.7, -74.0  # one spot, which a KD-tree of all photos would search one by one
    start = time.perf_counter()
    sides, _ = split_in_words(photos, kind)
    nearest_training_km(photos, sides)
    assert time.perf_counter() - start < 20, "2 s on a quiet core"


def test_distances_to_training_photos_are_those_by_hand():
    photos = world(500, 20)
    sides, _ = split_in_words(photos, "photographers")
    for side in ("test", "calibration"):
        km = nearest_training_km(photos, sides, side)
        np.testing.assert_allclose(km, nearest_by_hand(photos, sides, side), atol=1e-6)
        assert km.index.equals(sides.index[sides == side])
    table = describe_split(photos, sides)
    by_hand = nearest_by_hand(photos, sides, "test")
    assert table.loc["test", "nearest_km_50"] == pytest.approx(np.median(by_hand))
    assert table.loc["test", "within_25_km"] == pytest.approx((by_hand <= 25).mean())
    assert table["photos"].sum() == 500 and table.loc["test", "by_training_photographers"] == 0
    assert np.isinf(nearest_training_km(photos, sides.replace("train", "left_out"))).all()


def test_a_careless_split_is_described_with_its_leaks():
    photos = world(2000, 20, spread=0.1)
    sides = Dataset("x", photos, Path).split("random")
    table = describe_split(photos, sides)
    assert table.loc["test", "by_training_photographers"] == table.loc["test", "photos"] == 200
    assert table.loc["test", "within_25_km"] > 0.5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kind": "safe"}, "expected one of 'auto', 'photographers', 'places'"),
        ({"buffer_km": -1}, "expected km from 0 to 5,000"),
        ({"buffer_km": np.nan}, "expected km from 0 to 5,000"),
        ({"shares": {"test": 30}}, "leave something for training"),
    ],
)
def test_wrong_options_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        safe_split(table_of([0], [0], ""), **wrong)


def test_the_split_of_a_fitted_model_is_repeated_or_refused():
    photos = world(3000, 1).assign(photographer="")
    dataset = Dataset("mine", photos, Path)
    how = fitted_split(dataset, {"split": "places", "seed": 3, "buffer_km": 20.0})
    again, asked = dataset.split(**how), dataset.split("places", 3, buffer_km=20.0)
    pd.testing.assert_series_equal(again, asked)
    for older in ({"split": "safe", "seed": 0}, {"split": "places"}, {}):
        with pytest.raises(MismatchError, match="fit it again"):
            fitted_split(dataset, older)
    published = Dataset("x", photos.assign(split="train"), Path)
    for older in ({"split": "safe", "seed": 0}, {"split": "auto"}, {}):
        assert (published.split(**fitted_split(published, older)) == "train").all()
    with pytest.raises(MismatchError, match="fit it again"):
        fitted_split(published, {"split": "places"})


def test_real_places_have_no_test_photo_near_a_training_photo():
    gallery = open_dataset("gallery")
    sides, said = split_in_words(gallery.photos, "places")
    km = nearest_training_km(gallery.photos, sides)
    assert km.min() >= 50 - 1e-6 and 0.08 < len(km) / len(gallery) < 0.12 and not said
