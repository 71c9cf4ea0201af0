"""The sphere against pyproj's geodesics, scikit-learn's haversine and sums by brute force."""

import math

import numpy as np
import pyproj
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import haversine_distances

from geolib import sphere

RADIUS = sphere.EARTH_RADIUS_KM
HALF_TURN = np.pi * RADIUS
GEOD = pyproj.Geod(a=RADIUS * 1000, b=RADIUS * 1000)
CORNERS = [(0, 0), (0, 180), (0, -180), (90, 0), (90, 123), (-90, 7), (35, 179.999), (35, -179.999), (51.5, -0.1)]

points = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def random_points(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)


def pairs() -> tuple[np.ndarray, ...]:
    """Random, antipodal, nearly antipodal, identical and very near pairs, and all pairs of the corners."""
    lat, lon = random_points(2000, 0)
    other_lat, other_lon = random_points(2000, 1)
    antipode = np.where(lon > 0, lon - 180, lon + 180)
    corners = np.array([(*a, *b) for a in CORNERS for b in CORNERS], float).T
    return tuple(
        np.concatenate(parts)
        for parts in (
            (lat, lat, lat, lat, lat, corners[0]),
            (lon, lon, lon, lon, lon, corners[1]),
            (other_lat, -lat, np.clip(1e-5 - lat, -90, 90), lat, np.clip(lat + 1e-6, -90, 90), corners[2]),
            (other_lon, antipode, antipode, lon, lon, corners[3]),
        )
    )


def test_haversine_is_the_geodesic_of_a_sphere():
    lat1, lon1, lat2, lon2 = pairs()
    expected = GEOD.inv(lon1, lat1, lon2, lat2)[2] / 1000
    assert np.abs(sphere.haversine_km(lat1, lon1, lat2, lon2) - expected).max() < 1e-6


def test_haversine_agrees_with_scikit_learn():
    """Except near the antipode, where scikit-learn's arcsine itself is 10 cm off."""
    lat1, lon1, lat2, lon2 = pairs()
    a, b = np.radians([lat1, lon1]).T, np.radians([lat2, lon2]).T
    blocks = [slice(i, i + 100) for i in range(0, len(a), 100)]
    expected = RADIUS * np.concatenate([np.diag(haversine_distances(a[rows], b[rows])) for rows in blocks])
    far = expected > HALF_TURN - 1
    assert 0 < far.sum() < len(far) / 2
    assert np.abs(sphere.haversine_km(lat1, lon1, lat2, lon2) - expected)[~far].max() < 1e-6


def test_haversine_of_known_distances():
    assert sphere.haversine_km(0, 0, 0, 180) == pytest.approx(HALF_TURN)
    assert sphere.haversine_km(90, 0, -90, 50) == pytest.approx(HALF_TURN)
    assert sphere.haversine_km(0, 0, 0, 1) == pytest.approx(HALF_TURN / 180)
    assert sphere.haversine_km(10, 180, 10, -180) == pytest.approx(0, abs=1e-9)
    assert sphere.haversine_km(48.8566, 2.3522, 51.5074, -0.1278) == pytest.approx(343.6, abs=0.1)  # Paris, London


def test_haversine_broadcasts():
    lat, lon = random_points(5, 2)
    table = sphere.haversine_km(lat[:, None], lon[:, None], lat, lon)
    assert table.shape == (5, 5) and table.dtype == np.float64
    assert table[1, 3] == sphere.haversine_km(lat[1], lon[1], lat[3], lon[3])


@given(points, points, points)
def test_haversine_is_a_metric(a, b, c):
    ab, ba, bc, ac = (sphere.haversine_km(*p, *q) for p, q in ((a, b), (b, a), (b, c), (a, c)))
    assert sphere.haversine_km(*a, *a) == 0
    assert 0 <= ab == ba <= HALF_TURN * (1 + 1e-15)
    assert ac <= ab + bc + 1e-6


def test_geoscore():
    assert sphere.geoscore(0) == 5000
    assert sphere.geoscore(1492.7) == pytest.approx(5000 / np.e)
    assert sphere.geoscore([750, 2500]) == pytest.approx([5000 * math.exp(-km / 1492.7) for km in (750, 2500)])
    assert sphere.geoscore(1492.7 * math.log(5)) == pytest.approx(1000)
    assert sphere.geoscore(np.inf) == 0


@given(points)
def test_unit_vectors_and_back(point):
    vector = sphere.unit_vectors(*point)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-15)
    assert sphere.haversine_km(*point, *sphere.to_lat_lon(vector * 7)) < 1e-6


def test_axes():
    vectors = sphere.unit_vectors([0, 0, 90, -90], [0, 90, 17, 0])
    assert vectors.shape == (4, 3)
    assert vectors == pytest.approx(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1]]), abs=1e-15)


@pytest.mark.parametrize("vectors", [np.zeros(3), [[1, 0, 0], [np.nan, 0, 0]]])
def test_no_direction_no_place(vectors):
    with pytest.raises(ValueError, match="no direction"):
        sphere.to_lat_lon(vectors)


def test_mean_across_the_dateline():
    lat, lon = sphere.mean_point([0, 0], [179, -179])
    assert lat == pytest.approx(0) and abs(lon) == pytest.approx(180)
    lat, lon = sphere.mean_point([10, 10, 10], [178, -179, -179])
    assert abs(lon) > 179.9 and 10 < lat < 10.01
    assert sphere.mean_point([80, 80], [0, 180])[0] == pytest.approx(90)


def test_mean_against_a_sum_of_vectors():
    lat, lon = random_points(300, 3)
    total = np.zeros(3)
    for phi, lam in zip(np.radians(lat), np.radians(lon), strict=True):
        total += np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    x, y, z = total / np.linalg.norm(total)
    expected = np.degrees(np.arcsin(z)), np.degrees(np.arctan2(y, x))
    assert sphere.mean_point(lat, lon) == pytest.approx(expected)


@given(points)
def test_mean_of_one_point_is_the_point(point):
    assert sphere.haversine_km(*point, *sphere.mean_point(*point)) < 1e-6


@pytest.mark.parametrize("lat, lon", [([90, -90], [0, 0]), ([0, 0], [0, 180]), ([0, 0, 0], [0, 120, -120])])
def test_points_that_cancel_out_have_no_mean(lat, lon):
    with pytest.raises(ValueError, match="cancel out"):
        sphere.mean_point(lat, lon)


@pytest.mark.parametrize(
    "lat, lon, message",
    [
        ([1, np.nan], [0, 0], r"lat\[1\] = nan: expected degrees in \[-90, 90\]$"),
        ([1, 2, 3], [0, 0, np.inf], r"lon\[2\] = inf: expected degrees in \[-180, 180\]$"),
        ([1, 2], [-np.inf, 0], r"lon\[0\] = -inf"),
        ([1, 90.001, 91], [0, 0, 0], r"lat\[1\] = 90.001.*swapped"),
        ([0, -90.1], [0, 0], r"lat\[1\] = -90.1"),
        ([0], [180.5], r"lon\[0\] = 180.5"),
        ([0, 1], [0], "equally long"),
        ([[0]], [[0]], "one-dimensional"),
        ([], [], "empty"),
        (["north"], [0], "north"),
    ],
)
def test_bad_coordinates_are_named(lat, lon, message):
    with pytest.raises(ValueError, match=message):
        sphere.check_lat_lon(lat, lon)


def test_good_coordinates_come_back_as_arrays():
    lat, lon = sphere.check_lat_lon(np.array([90, -90], np.int8), (180, -180))
    assert lat.dtype == lon.dtype == np.float64
    assert lat.tolist() == [90, -90] and lon.tolist() == [180, -180]
    assert sphere.check_lat_lon(1, 2)[0].shape == (1,)


def test_rectangle_areas():
    assert sphere.rectangle_area_km2(-90, -180, 90, 180) == pytest.approx(4 * np.pi * RADIUS**2, rel=1e-15)
    assert sphere.rectangle_area_km2(0, 0, 90, 90) == pytest.approx(np.pi / 2 * RADIUS**2, rel=1e-15)
    tiny = 1e-7  # degrees: a flat square, where a difference of sines would keep few digits
    assert sphere.rectangle_area_km2(45, 9, 45 + tiny, 9 + tiny) == pytest.approx(
        (np.radians(tiny) * RADIUS) ** 2 * np.cos(np.radians(45)), rel=1e-6
    )
    strips = sphere.rectangle_area_km2(np.arange(-90, 90), -180, np.arange(-89, 91), 180)
    assert strips.sum() == pytest.approx(4 * np.pi * RADIUS**2)


@given(points, points)
def test_great_circle_is_even_and_shortest(a, b):
    distance = sphere.haversine_km(*a, *b)
    assume(distance < HALF_TURN - 1e-3)
    lat, lon = sphere.great_circle(*a, *b, n=7)
    assert sphere.haversine_km(*a, lat[0], lon[0]) < 1e-6 and sphere.haversine_km(*b, lat[-1], lon[-1]) < 1e-6
    steps = sphere.haversine_km(lat[:-1], lon[:-1], lat[1:], lon[1:])
    assert steps == pytest.approx(np.full(6, distance / 6), abs=1e-4)


def test_great_circle_refusals():
    with pytest.raises(ValueError, match="antipodes"):
        sphere.great_circle(10, 20, -10, -160)
    with pytest.raises(ValueError, match="lat"):
        sphere.great_circle(91, 0, 0, 0)


def test_a_place_in_words_names_its_hemispheres():
    assert sphere.in_words(-26.524, 27.766) == "26.52° S, 27.77° E"
    assert sphere.in_words(0, -30) == "0.00° N, 30.00° W"
