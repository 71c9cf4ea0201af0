"""Only the pictures may tell a place: not ids, order, files or metadata; and no split leaks into another."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.neighbors import NearestNeighbors
from sklearn.tree import DecisionTreeRegressor

from geolib.common.files import data_path
from geolib.sphere import haversine_km, to_lat_lon, unit_vectors
from postcards import build, places, render_bytes

DRAWN = 320


@pytest.fixture(scope="module")
def table():
    return pd.read_parquet(data_path("postcards", "photos.parquet"))


@pytest.fixture(scope="module")
def drawn(table):
    """A few hundred postcards with their files."""
    rows = table.sample(DRAWN, random_state=1)
    return rows.assign(file=[render_bytes(row) for row in build.records(rows)])


def tree_km(features, train, test):
    """Median error, km, of a regression tree from features to places, trained on one half, asked on the other."""
    tree = DecisionTreeRegressor(min_samples_leaf=20, random_state=0)
    tree.fit(features.loc[train.index], unit_vectors(train["lat"].to_numpy(), train["lon"].to_numpy()))
    lat, lon = to_lat_lon(tree.predict(features.loc[test.index]))
    return float(np.median(haversine_km(lat, lon, test["lat"].to_numpy(), test["lon"].to_numpy())))


def told_by(features, rows):
    """The tree's error as a share of what it is when the features are dealt to other photos: 1 if they tell nothing.

    A single constant guess would be the simpler rival, but the halves differ, and a tree of averages can beat it by
    luck; the same tree on shuffled features has the same luck.
    """
    train, test = sides(rows)
    assert min(len(train), len(test)) > 80
    rng = np.random.default_rng(0)
    shuffled = [features.iloc[rng.permutation(len(features))].set_axis(features.index) for _ in range(7)]
    return tree_km(features, train, test) / np.median([tree_km(other, train, test) for other in shuffled])


def sides(rows):
    """Training and test half, disjoint in blocks, so that a session's neighbours cannot help."""
    training = places.block_split(rows["lat"].to_numpy(), rows["lon"].to_numpy(), 5) == "train"
    return rows[training], rows[~training]


# Ids, order, files


def test_ids_and_order_go_with_nothing(table):
    number = table["id"].str.removeprefix("postcard-").astype(int)
    assert number.to_list() == list(range(len(table)))
    # 0.03 is six standard errors of a rank correlation of 32,000 rows in sessions of about three shots.
    for column in ("lat", "lon", "urban", "elevation_m", "landmark_id"):
        assert abs(number.corr(table[column], method="spearman")) < 0.03, column
    for column in ("split", "continent", "scene", "photographer"):
        codes = pd.Series(pd.factorize(table[column], sort=True)[0])
        assert abs(number.corr(codes, method="spearman")) < 0.03, column


def test_the_place_in_the_table_tells_nothing_of_the_place_on_earth(table):
    number = table["id"].str.removeprefix("postcard-").astype(int).to_frame()
    assert told_by(number, table) > 0.97


def test_the_size_of_a_file_tells_next_to_nothing(drawn):
    """A busy street is a larger file than a plain, so the size is content, coarsely: it may help a little, no more."""
    size = drawn["file"].map(len).to_frame()
    assert told_by(size, drawn) > 0.85
    assert told_by(size.assign(number=drawn["id"].str.removeprefix("postcard-").astype(int)), drawn) > 0.85


def test_the_same_check_finds_a_leak_that_is_there(drawn):
    """A check must be able to find something: numbers dealt in the order of longitude."""
    assert told_by(drawn["lon"].rank().to_frame(), drawn) < 0.4


def test_drawn_files_carry_pixels_only(drawn):
    samples = [path.read_bytes() for path in sorted(data_path("postcards", "samples").glob("*.jpg"))]
    for content in [*drawn["file"].head(20), *samples]:
        with Image.open(io.BytesIO(content)) as image:
            assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
            assert not image.getexif()
            assert [name for name, _ in image.applist] == ["APP0"], "the JFIF header, no EXIF, XMP or comment"


def test_a_picture_does_not_depend_on_what_only_the_table_knows(table):
    row = build.records(table[table["cue_town_name"]].head(1))[0]
    hidden = {
        "split": "other",
        "caption": "",
        "caption_named": "",
        "country_name": "",
        "continent": "",
        "town_km": -1.0,
    }
    assert render_bytes(row) == render_bytes(row | hidden)
    drawn_from = (
        "id lat lon country admin1 town town_local urban elevation_m relief_m coast_km arid red green blue "
        "landmark_id photographer"
    )
    assert render_bytes(row) == render_bytes({name: row[name] for name in drawn_from.split()})


# Splits


def test_no_photographer_and_no_block_is_on_two_sides(table):
    side = table["split"].str.removesuffix("_balanced")
    block = np.floor(table["lat"]).astype(int).astype(str) + " " + np.floor(table["lon"]).astype(int).astype(str)
    assert (side.groupby(block).nunique() == 1).all()
    assert (table["split"].groupby(table["photographer"]).nunique() == 1).all()
    assert set(side) == set(places.SPLITS)


def test_the_splits_of_the_table_are_those_of_its_blocks(table):
    drawn_sides = places.block_split(table["lat"].to_numpy(), table["lon"].to_numpy(), build.SEED)
    assert (drawn_sides == table["split"].str.removesuffix("_balanced")).all()


@given(st.integers(-90, 89), st.integers(-180, 179), st.floats(0, 0.999), st.floats(0, 0.999), st.integers(0, 99))
def test_a_block_is_on_one_side(south, west, up, right, seed):
    corner = places.block_split(np.array([south + 0.0]), np.array([west + 0.0]), seed)
    inside = places.block_split(np.array([south + up]), np.array([west + right]), seed)
    assert corner[0] == inside[0]
    assert corner[0] in places.SPLITS


def test_blocks_are_dealt_in_the_shares_that_are_promised():
    lat, lon = (grid.ravel() for grid in np.meshgrid(np.arange(-89.5, 90), np.arange(-179.5, 180)))
    side = places.block_split(lat, lon, build.SEED)
    for name, share in places.SPLITS.items():
        assert (side == name).mean() == pytest.approx(share, abs=0.01)
    assert (side != places.block_split(lat, lon, build.SEED + 1)).any()
    poles = places.block_split(np.array([90.0, -90.0, 0.0]), np.array([0.0, 180.0, 180.0]), build.SEED)
    assert set(poles) <= set(places.SPLITS)


@pytest.fixture
def small_build(monkeypatch):
    """The build on three thousand points of the gallery, without the packages that know what is at a place."""
    points = pd.read_parquet(data_path("gallery", "gallery.parquet"))[["lat", "lon"]].sample(3000, random_state=0)

    def balanced(count, rng):
        lat = np.degrees(np.arcsin(rng.uniform(-0.8, 0.95, count)))
        return pd.DataFrame({"lat": lat, "lon": rng.uniform(-180, 180, count)})

    def attributes(lat, lon):
        return pd.DataFrame({"country": ["FR"] * len(lat), "landmark_id": [0] * len(lat)})

    monkeypatch.setattr(places, "gallery", lambda: points.reset_index(drop=True))
    monkeypatch.setattr(places, "balanced_points", balanced)
    monkeypatch.setattr(places, "attributes", attributes)
    monkeypatch.setattr(
        places, "big_cities", lambda: pd.DataFrame({"id": [1], "town": ["One"], "lat": [48.2], "lon": [16.4]})
    )
    monkeypatch.setattr(build, "country_names", lambda: {"FR": ("France", "europe")})
    monkeypatch.setattr(
        build, "COUNTS", {"train": 900, "train_balanced": 100, "calibration": 150, "test": 150, "test_balanced": 100}
    )
    monkeypatch.setattr(build, "ENCODER_COUNTS", {"gallery": 800, "balanced": 300, "cities": 100})


def blocks(rows):
    return set(zip(np.floor(rows["lat"]).astype(int), np.floor(rows["lon"]).astype(int), strict=True))


def test_the_encoder_never_sees_a_block_or_a_photographer_of_the_tests(small_build):
    course, encoder = build.course_places(), build.encoder_places()
    held_out = course[~course["split"].str.startswith("train")]
    assert len(held_out) > 300
    assert len(encoder) > 900
    assert not blocks(encoder) & blocks(held_out)
    assert not set(encoder["photographer"]) & set(course["photographer"])
    assert not set(encoder["id"]) & set(course["id"])
    assert set(places.block_split(encoder["lat"].to_numpy(), encoder["lon"].to_numpy(), build.SEED)) == {"train"}


def test_the_encoder_and_the_course_stand_at_other_points(small_build):
    """Shots scatter by 180 m around a point, so two tables that shared points would be full of close pairs."""
    course, encoder = build.course_places(), build.encoder_places()
    training = course[course["split"] == "train"]
    from_gallery = encoder[encoder["photographer"].str.fullmatch(r"encoder\d+")]
    apart = NearestNeighbors(n_neighbors=1).fit(unit_vectors(training["lat"].to_numpy(), training["lon"].to_numpy()))
    chord, _ = apart.kneighbors(unit_vectors(from_gallery["lat"].to_numpy(), from_gallery["lon"].to_numpy()))
    own = NearestNeighbors(n_neighbors=1).fit(
        unit_vectors(from_gallery["lat"].to_numpy(), from_gallery["lon"].to_numpy())
    )
    near, _ = own.kneighbors()
    assert np.median(chord) * 6371 > 4 * np.median(near[:, 0]) * 6371


def test_the_small_build_keeps_photographers_and_blocks_apart(small_build):
    course = build.course_places()
    side = course["split"].str.removesuffix("_balanced")
    block = pd.Series(list(zip(np.floor(course["lat"]), np.floor(course["lon"]), strict=True)), index=course.index)
    assert (side.groupby(block).nunique() == 1).all()
    assert (course["split"].groupby(course["photographer"]).nunique() == 1).all()
    assert course["id"].is_unique
    pd.testing.assert_frame_equal(course, build.course_places())
