"""Only the pictures may tell a place: not ids, order, files or metadata."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.tree import DecisionTreeRegressor

from geolib.common.files import data_path
from geolib.sphere import haversine_km, to_lat_lon, unit_vectors
from postcards import build, render_bytes

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
    """Training and test half, disjoint in blocks of one degree, so that a session's neighbours cannot help."""
    training = (
        np.random.default_rng(5).random((181, 361))[
            np.floor(rows["lat"]).astype(int) + 90, np.floor(rows["lon"]).astype(int) + 180
        ]
        < 0.7
    )
    return rows[training], rows[~training]


# Ids, order, files


def test_ids_and_order_go_with_nothing(table):
    number = table["id"].str.removeprefix("postcard-").astype(int)
    assert number.to_list() == list(range(len(table)))
    # 0.03 is six standard errors of a rank correlation of 45,000 rows in sessions of a few shots.
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
