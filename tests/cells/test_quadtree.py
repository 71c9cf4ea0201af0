"""The geocells against brute force over rectangles, a recursive quadtree, and hostile input."""

import warnings

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from towns import SPHERE_KM2, anywhere, towns

from geolib.cells import GeocellTree
from geolib.common.errors import CorruptFileError, MissingDataError
from geolib.common.files import read_tensors, write_tensors
from geolib.sphere import EARTH_RADIUS_KM, haversine_km, mean_point, rectangle_area_km2


def quiet_fit(*args, **kwargs) -> GeocellTree:
    """`fit` where the warning about too few photos is not what is tested."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*fill at most", category=UserWarning)
        return GeocellTree.fit(*args, **kwargs)


PHOTOS = towns(20_000, seed=0)


@pytest.fixture(scope="session")
def tree() -> GeocellTree:
    return GeocellTree.fit(*PHOTOS, cells_per_level=(10, 50, 400))


def contents(tree: GeocellTree) -> list[bytes]:
    """All that a tree answers about its cells, bit by bit."""
    found = [tree.ancestors.tobytes()]
    for level in range(tree.n_levels):
        found += [
            tree.parents[level].tobytes(),
            tree.counts(level).tobytes(),
            *map(np.ndarray.tobytes, tree.centers(level)),
        ]
        found += list(shapely.to_wkb(tree.polygons(level)))
    return found


def check_invariants(tree: GeocellTree, lat: np.ndarray, lon: np.ndarray) -> None:
    """What holds for every tree, with the photos that it was fitted on."""
    cells = tree.assign(lat, lon)
    assert cells.dtype == np.int64 and cells.shape == (len(lat), tree.n_levels)
    for level in range(tree.n_levels):
        n = tree.n_cells[level]
        counts = tree.counts(level)
        assert counts.tolist() == np.bincount(cells[:, level], minlength=n).tolist()
        assert counts.sum() == len(lat)
        assert counts.min() >= min(tree.min_photos, len(lat))
        assert tree.areas_km2(level).sum() == pytest.approx(SPHERE_KM2)
        assert len(tree.parents[level]) == n
    assert (tree.parents[0] == -1).all()
    for level in range(1, tree.n_levels):
        parents = tree.parents[level]
        assert (cells[:, level - 1] == parents[cells[:, level]]).all()
        assert np.unique(parents).tolist() == list(range(tree.n_cells[level - 1]))
        assert np.bincount(parents, tree.counts(level)).tolist() == tree.counts(level - 1).tolist()
        assert np.bincount(parents, tree.areas_km2(level)) == pytest.approx(tree.areas_km2(level - 1))
        assert (tree.ancestors[:, level - 1] == parents[tree.ancestors[:, level]]).all()
    assert tree.ancestors.dtype == np.int64
    assert tree.ancestors[:, -1].tolist() == list(range(tree.n_cells[-1]))


# Coverage


def test_invariants_on_towns(tree):
    check_invariants(tree, *PHOTOS)


def test_every_point_is_in_exactly_one_cell(tree):
    """100,000 points, the poles and both sides of the dateline, against the polygons of all cells.

    A cell holds its southern and western edges, so a point on an edge is asked for a little to the north-east of it.
    """
    lat, lon = anywhere(100_000, seed=1)
    assigned = tree.assign(lat, lon)
    step = 1e-10  # degrees: less than from any point here to the next edge
    points = shapely.points(np.where(lon == 180, -180, lon) + step, np.minimum(lat, 90 - 2 * step) + step)
    for level in range(tree.n_levels):
        cell, point = shapely.STRtree(points).query(tree.polygons(level), predicate="contains_properly")
        assert np.array_equal(np.bincount(point, minlength=len(lat)), np.ones(len(lat)))
        assert np.array_equal(assigned[point, level], cell)


def test_polygons_bounds_and_areas_are_those_of_the_cells(tree):
    lat, lon = anywhere(3000, seed=2)
    for level in range(tree.n_levels):
        polygons = tree.polygons(level)
        assert len(polygons) == tree.n_cells[level] and shapely.is_valid(polygons).all()
        assert shapely.area(polygons).sum() == pytest.approx(360 * 180)
        cells = tree.assign(lat[:3000], lon[:3000])[:, level]
        assert shapely.contains_xy(np.array(polygons)[cells], lon[:3000], lat[:3000]).all()
        south, west, north, east = tree.bounds(level)
        assert np.column_stack([west, south, east, north]).tolist() == shapely.bounds(polygons).tolist()


def test_cells_of_towns_are_in_one_piece(tree):
    pieces = shapely.get_num_geometries(tree.polygons(-1))
    assert pieces.max() <= 2 and (pieces > 1).mean() < 0.05


def test_dateline_and_poles(tree):
    lat = np.linspace(-90, 90, 181)
    assert (tree.assign(lat, np.full(181, 180.0)) == tree.assign(lat, np.full(181, -180.0))).all()
    almost = tree.assign(lat, np.full(181, 180 - 1e-7))
    lon = np.linspace(-180, 179.9, 100)
    assert (almost != tree.assign(lat, np.full(181, -180.0))).any()
    assert (tree.assign(np.full(100, 90.0), lon) == tree.assign(np.full(100, 90 - 1e-7), lon)).all()


coordinates = st.tuples(
    st.one_of(st.integers(-90, 90), st.floats(-90, 90), st.floats(10, 10.001)),
    st.one_of(st.integers(-180, 180), st.floats(-180, 180), st.floats(-20, -19.999)),
)


@given(st.lists(coordinates, min_size=1, max_size=60), st.integers(1, 6), st.sets(st.integers(1, 40), min_size=1))
def test_invariants_on_anything(points, min_photos, targets):
    lat, lon = np.array(points, float).T
    tree = quiet_fit(lat, lon, sorted(targets)[:4], min_photos)
    check_invariants(tree, lat, lon)
    order = np.random.default_rng(0).permutation(len(lat))
    again = quiet_fit(lat[order], lon[order], sorted(targets)[:4], min_photos)
    assert contents(tree) == contents(again)


def test_order_of_photos_changes_no_bit(tree):
    order = np.random.default_rng(3).permutation(len(PHOTOS[0]))
    other = GeocellTree.fit(PHOTOS[0][order], PHOTOS[1][order], (10, 50, 400))
    assert contents(tree) == contents(other)


# Which cells


def quadtree(lat, lon, photos, south, west, height, threshold, depth=0):
    """The textbook: split into four while there are more photos than the threshold; leaves without photos dropped."""
    if len(photos) <= threshold or depth == 24:
        return [photos.tolist()] if len(photos) else []
    height = height / 2
    north, east = lat[photos] >= south + height, lon[photos] >= west + 2 * height
    leaves = []
    for upper, right in ((False, False), (False, True), (True, True), (True, False)):
        inside = photos[(north == upper) & (east == right)]
        corner = south + height * upper, west + 2 * height * right
        leaves += quadtree(lat, lon, inside, *corner, height, threshold, depth + 1)
    return leaves


@pytest.mark.parametrize("seed", [0, 1])
def test_cells_are_the_leaves_of_a_recursive_quadtree(seed):
    """With min_photos=1 only empty quadrants are joined, so the cells part the photos as the textbook's leaves do."""
    lat, lon = towns(400, seed)
    lat, lon = np.append(lat, lat[:3]), np.append(lon, lon[:3])  # some photos at the same spot
    thresholds = {}
    for threshold in range(len(lat), 0, -1):
        leaves = quadtree(lat, lon, np.arange(len(lat)), -90, -180, 180, threshold)
        thresholds.setdefault(len(leaves), leaves)
    possible = sorted(thresholds)
    assert len(possible) > 30 and possible[0] == 1 and possible[-1] == 400
    for target in [*range(1, 60), 100, 200, 300, 399, 400]:
        tree = GeocellTree.fit(lat, lon, (target,), min_photos=1)
        closest = min(possible, key=lambda n: (abs(n - target), n))
        assert tree.n_cells == (closest,)
        members = [np.flatnonzero(tree.assign(lat, lon)[:, 0] == cell).tolist() for cell in range(closest)]
        assert members == thresholds[closest]


@pytest.mark.parametrize("min_photos", [2, 5])
def test_cell_counts_come_closest_among_all_thresholds(min_photos):
    lat, lon = towns(600, seed=4)
    fitted = {target: quiet_fit(lat, lon, (target,), min_photos).n_cells[0] for target in range(1, 130)}
    possible = set(fitted.values())
    assert len(possible) > 20
    assert all(n == min(possible, key=lambda p: (abs(p - target), p)) for target, n in fitted.items())
    together = quiet_fit(lat, lon, (7, 20, 60), min_photos)
    assert together.n_cells == (fitted[7], fitted[20], fitted[60])


def test_towns_come_near_the_asked_numbers(tree):
    assert np.abs(np.array(tree.n_cells) - (10, 50, 400)).max() <= 3


def at_quadrants(*counts: int) -> tuple[np.ndarray, np.ndarray]:
    """So many photos, scattered a little, around the middle of the SW, SE, NE and NW quarter of the map."""
    rng = np.random.default_rng(5)
    lat = np.repeat([-45.0, -45, 45, 45], counts)
    lon = np.repeat([-90.0, 90, 90, -90], counts)
    return lat + rng.uniform(-30, 30, len(lat)), lon + rng.uniform(-30, 30, len(lon))


def test_ids_run_south_west_south_east_north_east_north_west():
    tree = GeocellTree.fit(*at_quadrants(10, 11, 12, 13), (4,), min_photos=10)
    assert tree.counts(0).tolist() == [10, 11, 12, 13]
    assert tree.assign([-1, -1, 1, 1], [-1, 1, 1, -1])[:, 0].tolist() == [0, 1, 2, 3]
    assert [edge.tolist() for edge in tree.bounds(0)] == [
        [-90, -90, 0, 0],
        [-180, 0, 0, -180],
        [0, 0, 90, 90],
        [0, 180, 180, 0],
    ]


@pytest.mark.parametrize(
    "counts, joined",
    [
        ((20, 2, 9, 20), [20, 11, 20]),  # the thin one joins the thinner of its neighbours
        ((9, 2, 20, 20), [11, 20, 20]),
        ((3, 3, 20, 20), [6, 20, 20]),  # thin ones that are enough together
        ((20, 0, 0, 20), [20, 20]),
        ((4, 4, 4, 4), [8, 8]),
        ((4, 4, 0, 0), [8]),
    ],
)
def test_thin_quadrants_are_joined(counts, joined):
    tree = quiet_fit(*at_quadrants(*counts), (len(joined),), min_photos=5)
    assert tree.counts(0).tolist() == joined


def test_a_town_in_the_corner_of_an_ocean_is_split():
    rng = np.random.default_rng(6)
    lat, lon = 89 + rng.uniform(-0.01, 0.01, 500), -179.98 + rng.uniform(-0.01, 0.01, 500)
    tree = GeocellTree.fit(np.append(lat, -30), np.append(lon, 20), (4, 40))
    assert abs(tree.n_cells[0] - 4) <= 1 and abs(tree.n_cells[1] - 40) <= 3
    assert tree.areas_km2(-1).sum() == pytest.approx(SPHERE_KM2)


# Centres


def test_centres_are_spherical_means_of_the_photos(tree):
    for level in range(tree.n_levels):
        lat, lon = tree.centers(level)
        cells = tree.assign(*PHOTOS)[:, level]
        expected = [mean_point(PHOTOS[0][cells == c], PHOTOS[1][cells == c]) for c in range(tree.n_cells[level])]
        off = haversine_km(lat, lon, *np.array(expected).T)
        assert off.max() < 0.0015  # keys know a place to half of 2.4 m by 1.2 m
        assert off[tree.counts(level) > 500].max(initial=0) < 0.0003  # which evens out: no bias


def test_centre_across_the_pole_and_of_antipodes():
    over_pole = GeocellTree.fit([80, 80], [90, -90], (1,))
    assert over_pole.centers(0)[0] == pytest.approx([90], abs=1e-4)
    for lat, lon in (([0, 0], [0, 180]), ([90, -90], [0, 0])):
        antipodes = GeocellTree.fit(lat, lon, (1,))
        assert [value.tolist() for value in antipodes.centers(0)] == [[0], [0]]


def quadrants(shape, south=-90.0, west=-180.0, height=180.0):
    """The quadrants of the map that make up a cell, by trying all: [(area, (lat, lon) of the middle)]."""
    box = shapely.box(west, south, west + 2 * height, south + height)
    if shapely.contains(shape, box):
        area = rectangle_area_km2(south, west, south + height, west + 2 * height)
        return [(area, (south + height / 2, west + height))]
    if height < 0.01 or not shapely.intersection(shape, box).area:
        return []
    half = height / 2
    corners = ((south, west), (south, west + height), (south + half, west), (south + half, west + height))
    return [found for corner in corners for found in quadrants(shape, *corner, half)]


def test_middles_lie_in_their_cells(tree):
    for level in range(tree.n_levels):
        middles = tree.assign(*tree.centers(level, kind="middle"))[:, level]
        assert middles.tolist() == list(range(tree.n_cells[level]))
    for place, shape in zip(zip(*tree.centers(1, kind="middle"), strict=True), tree.polygons(1), strict=True):
        found = quadrants(shape)
        assert place in [middle for area, middle in found if area > 0.999999 * max(found)[0]]
    with pytest.raises(ValueError, match=r"kind='mean'"):
        tree.centers(0, kind="mean")


def test_levels_count_from_both_ends(tree):
    assert (tree.counts(-1) == tree.counts(2)).all() and (tree.counts(-3) == tree.counts(0)).all()
    for level in (3, -4):
        with pytest.raises(ValueError, match=f"level={level}"):
            tree.counts(level)


# Too little, and bad input


def test_more_cells_than_photos_can_fill():
    lat, lon = towns(1000, seed=7)
    with pytest.warns(UserWarning, match=r"1,000 photos, at least 5 per cell, fill at most (\d+) cells.*Ask for fewer"):
        tree = GeocellTree.fit(lat, lon, (10, 500, 5000))
    assert tree.n_cells[1] == tree.n_cells[2] > 100
    assert tree.parents[2].tolist() == list(range(tree.n_cells[2]))
    check_invariants(tree, lat, lon)


@pytest.mark.parametrize("n", [1, 3, 1000])
def test_all_photos_at_one_point(n):
    with pytest.warns(UserWarning, match="fill at most 1 cells"):
        tree = GeocellTree.fit(np.full(n, -17.5), np.full(n, 180.0), (100, 1000))
    assert tree.n_cells == (1, 1)
    assert tree.assign([90, 0], [0, 5]).tolist() == [[0, 0], [0, 0]]
    lat, lon = tree.centers(0)
    assert haversine_km(lat, lon, -17.5, -180).max() < 0.003
    assert GeocellTree.fit([1], [2], (1,)).n_cells == (1,)  # one cell is what was asked: nothing to warn of


@pytest.mark.parametrize(
    "cells", [(), (100, 100), (100, 10), (0, 1), (-5, 5), (1.5, 2), ("a",), ((1, 2),), 7, (True,), np.uint8([9, 3])]
)
def test_bad_numbers_of_cells(cells):
    with pytest.raises(ValueError, match=r"cells_per_level.*increase"):
        GeocellTree.fit([1, 2], [3, 4], cells)


@pytest.mark.parametrize("min_photos", [0, -1, 2.5])
def test_bad_min_photos(min_photos):
    with pytest.raises(ValueError, match="min_photos"):
        GeocellTree.fit([1, 2], [3, 4], (1,), min_photos)


@pytest.mark.parametrize(
    "lat, lon, message",
    [
        ([1, np.nan], [0, 0], r"lat\[1\] = nan"),
        ([1, 2], [0, 181], r"lon\[1\] = 181"),
        ([95], [0], r"lat\[0\] = 95"),
        ([], [], "empty"),
        ([1, 2], [1], "equally long"),
    ],
)
def test_bad_coordinates(tree, lat, lon, message):
    with pytest.raises(ValueError, match=message):
        GeocellTree.fit(lat, lon)
    with pytest.raises(ValueError, match=message):
        tree.assign(lat, lon)


# Files


def test_save_and_load_are_identical(tree, tmp_path):
    tree.save(tmp_path / "tree.safetensors")
    loaded = GeocellTree.load(tmp_path / "tree.safetensors")
    assert contents(tree) == contents(loaded)
    assert (loaded.n_cells, loaded.n_levels, loaded.min_photos) == (tree.n_cells, tree.n_levels, tree.min_photos)
    assert (loaded.assign(*PHOTOS) == tree.assign(*PHOTOS)).all()
    for _ in range(5):  # as often, because the order of several header entries would be random
        loaded.save(tmp_path / "again.safetensors")
        assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "tree.safetensors").read_bytes()


def test_levels_without_cells_of_their_own_survive_a_file(tmp_path):
    tree = quiet_fit([1, 1], [2, 2], (1, 5, 9))
    tree.save(tmp_path / "tree.safetensors")
    assert GeocellTree.load(tmp_path / "tree.safetensors").n_cells == (1, 1, 1)


def test_missing_and_truncated_files(tree, tmp_path):
    path = tmp_path / "tree.safetensors"
    with pytest.raises(MissingDataError, match="does not exist"):
        GeocellTree.load(path)
    tree.save(path)
    whole = path.read_bytes()
    for length in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CorruptFileError, match=r"tree\.safetensors"):
            GeocellTree.load(path)


def put(array: np.ndarray, index: int, value: float) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


TAMPERED = {
    "an array is missing": lambda a: a.pop("sums"),
    "an array too many": lambda a: a.update(more=np.zeros(1)),
    "of another length": lambda a: a.update(counts=a["counts"][:-1]),
    "of another type": lambda a: a.update(starts=a["starts"].astype(np.float64)),
    "of another rank": lambda a: a.update(starts=np.int64(0).reshape(())),
    "no cells": lambda a: a.update({k: a[k][:0] for k in ("starts", "opens", "counts", "sums")}),
    "no levels": lambda a: a.update(n_cells=a["n_cells"][:0]),
    "keys do not begin at 0": lambda a: a.update(starts=put(a["starts"], 0, 1)),
    "keys do not increase": lambda a: a.update(starts=put(a["starts"], 5, a["starts"][4])),
    "a key beyond the sphere": lambda a: a.update(starts=put(a["starts"], -1, 4**24)),
    "the first cell opens late": lambda a: a.update(opens=put(a["opens"], 0, 1)),
    "a negative level": lambda a: a.update(opens=put(a["opens"], 3, -1)),
    "a level too many": lambda a: a.update(opens=put(a["opens"], 3, 3)),
    "another level": lambda a: a.update(opens=put(a["opens"], 3, (a["opens"][3] + 1) % 3)),
    "other numbers of cells": lambda a: a.update(n_cells=put(a["n_cells"], 1, 7)),
    "a thin cell": lambda a: a.update(counts=put(a["counts"], 3, 4)),
    "min_photos of nothing": lambda a: a.update(min_photos=np.array([0])),
    "a sum that is not a number": lambda a: a.update(sums=put(a["sums"], 2, np.nan)),
    "a sum too long": lambda a: a.update(sums=a["sums"] * 3),
}
HEADER = {"format": "geolib-geocells/1"}


@pytest.mark.parametrize("fault", TAMPERED)
def test_tampered_files(tree, tmp_path, fault):
    path = tmp_path / "tree.safetensors"
    tree.save(path)
    arrays = read_tensors(path)
    write_tensors(path, arrays, metadata=HEADER)
    GeocellTree.load(path)  # so that what follows fails for its own reason
    TAMPERED[fault](arrays)
    write_tensors(path, arrays, metadata=HEADER)
    with pytest.raises(CorruptFileError, match=r"not a file of GeocellTree.*fit and save"):
        GeocellTree.load(path)


@pytest.mark.parametrize("metadata", [None, {}, {"format": "geolib-geocells/2"}, {"form": HEADER["format"]}])
def test_files_of_another_format(tree, tmp_path, metadata):
    path = tmp_path / "tree.safetensors"
    tree.save(path)
    write_tensors(path, read_tensors(path), metadata=metadata)
    with pytest.raises(CorruptFileError, match="its format is"):
        GeocellTree.load(path)


def test_repr_says_what_it_is(tree):
    numbers = " > ".join(str(n) for n in tree.n_cells)
    assert repr(tree) == f"GeocellTree({numbers} cells on 20,000 photos, at least 5 per cell)"


@pytest.mark.parametrize("level", [0, -1])
def test_the_border_is_as_far_as_border_km_says(level):
    rng = np.random.default_rng(3)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 800))), rng.uniform(-180, 180, 800)
    photos = (lat > 0) | (lon > 0)  # the quarter without photos is joined to one across the dateline
    tree = GeocellTree.fit(lat[photos], lon[photos], (3, 60))
    lat, lon = np.append(lat[:60], np.linspace(-85, 85, 40)), np.append(lon[:60], np.tile([179.9, -179.5], 20))
    km = tree.border_km(lat, lon, level)
    own = tree.assign(lat, lon)[:, level]
    crossed = []
    for scale in (0.999, 1.02):
        angle, bearing = scale * km[:, None] / EARTH_RADIUS_KM, np.linspace(0, 2 * np.pi, 720)
        phi = np.radians(lat)[:, None]
        there = np.arcsin(np.sin(phi) * np.cos(angle) + np.cos(phi) * np.sin(angle) * np.cos(bearing))
        turn = np.arctan2(np.sin(bearing) * np.sin(angle) * np.cos(phi), np.cos(angle) - np.sin(phi) * np.sin(there))
        x = (lon[:, None] + np.degrees(turn) + 180) % 360 - 180
        cells = tree.assign(np.degrees(there).ravel(), x.ravel())[:, level].reshape(there.shape)
        crossed.append((cells != own[:, None]).any(axis=1))
    assert not crossed[0].any(), "a circle a little smaller stays in the cell"
    assert crossed[1].all(), "a circle a little larger leaves it"


def test_the_dateline_is_a_border_only_where_two_cells_meet():
    rng = np.random.default_rng(0)
    lat = np.append(rng.uniform(-60, -20, 40), rng.uniform(20, 60, 200))
    lon = np.append(rng.uniform(100, 170, 40), rng.uniform(-180, 180, 200))
    tree = GeocellTree.fit(
        lat, lon, (3, 12), min_photos=5
    )  # no photos in the south-west: it is joined to the south-east
    there = rng.uniform(-85, 85, 200)
    sides = [tree.assign(there, np.full(200, west)) for west in (179.99999, -179.99999)]
    km = [tree.border_km(there, np.full(200, 180.0), level) for level in (0, 1)]
    for level in (0, 1):
        joined = (sides[0] == sides[1])[:, level]
        assert joined.any(), "the test needs a cell on both sides"
        assert (km[level][joined] > 0.01).all() and (km[level][~joined] < 0.01).all()
    either = [tree.border_km(there, np.full(200, west), 0) for west in (180.0, -180.0)]
    same = (sides[0] == sides[1])[:, 0]
    np.testing.assert_allclose(either[0][same], either[1][same], atol=1e-6)


def test_one_cell_for_the_whole_earth_has_no_border():
    tree = GeocellTree.fit([10.0, -10], [10.0, -10], (1,))
    np.testing.assert_allclose(tree.border_km([0.0, 89, -90], [180.0, -180, 0]), np.pi * EARTH_RADIUS_KM)


def test_a_point_on_an_edge_is_at_the_border():
    tree = GeocellTree.fit([10.0, -10, 10, -10], [10.0, 10, -10, -10], (4,), min_photos=1)
    np.testing.assert_allclose(tree.border_km([0.0, 10.0], [10.0, 0.0]), 0, atol=1e-6)
