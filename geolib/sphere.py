"""Geometry on the sphere: distances, means, areas. float64 numpy; degrees in, kilometres out; latitude comes first.

The Earth is a sphere of its mean radius, as in the papers that report great-circle errors. Distances on the ellipsoid
differ by at most about 0.5 %.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
EARTH_RADIUS_KM = 6371.0088  # mean radius of WGS84 (IUGG)
GEOSCORE_SCALE_KM = 1492.7


def check_lat_lon(lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Latitudes and longitudes in degrees as float64 arrays (n,), checked. A single point gives n = 1.

    Raises `ValueError` that names the first value that is NaN or out of range, and for arrays that are empty, of
    different lengths or of two dimensions.
    """
    pair = np.atleast_1d(np.asarray(lat, np.float64)), np.atleast_1d(np.asarray(lon, np.float64))
    shapes = [array.shape for array in pair]
    if pair[0].ndim != 1 or not pair[0].size or shapes[0] != shapes[1]:
        raise ValueError(f"lat {shapes[0]}, lon {shapes[1]}: expected one-dimensional arrays, equally long, not empty")
    for name, values, limit in zip(("lat", "lon"), pair, (90, 180), strict=True):
        valid = (values >= -limit) & (values <= limit)  # False for NaN
        if not valid.all():
            index = int(np.argmin(valid))
            hint = "; are lat and lon swapped?" if name == "lat" and abs(values[index]) <= 180 else ""
            raise ValueError(f"{name}[{index}] = {values[index]}: expected degrees in [-{limit}, {limit}]{hint}")
    return pair


def haversine_km(lat1: npt.ArrayLike, lon1: npt.ArrayLike, lat2: npt.ArrayLike, lon2: npt.ArrayLike) -> FloatArray:
    """Great-circle distance in km between points in degrees, of any shapes that broadcast. NaN gives NaN.

    The textbook's arcsin(sqrt(h)) is 10 cm off near the antipode. Here 1 - h is a sum of its own, and the arctangent of
    both is exact to rounding everywhere.

    >>> haversine_km(48.8566, 2.3522, 51.5074, -0.1278).round(1)  # Paris to London
    np.float64(343.6)
    """
    phi1, lambda1, phi2, lambda2 = (np.radians(np.asarray(v, np.float64)) for v in (lat1, lon1, lat2, lon2))
    cosines = np.cos(phi1) * np.cos(phi2)
    half = (lambda2 - lambda1) / 2
    h = np.sin((phi2 - phi1) / 2) ** 2 + cosines * np.sin(half) ** 2
    complement = np.sin((phi2 + phi1) / 2) ** 2 + cosines * np.cos(half) ** 2  # 1 - h
    km: FloatArray = 2 * EARTH_RADIUS_KM * np.arctan2(np.sqrt(h), np.sqrt(complement))
    return km


def geoscore(km: npt.ArrayLike) -> FloatArray:
    """GeoGuessr's score of errors in km, as in PIGEON (Haas et al., CVPR 2024): 5,000 exp(-km / 1,492.7).

    >>> geoscore([0, 200, 2500]).round()
    array([5000., 4373.,  937.])
    """
    score: FloatArray = 5000 * np.exp(-np.asarray(km, np.float64) / GEOSCORE_SCALE_KM)
    return score


def unit_vectors(lat: npt.ArrayLike, lon: npt.ArrayLike) -> FloatArray:
    """Points in degrees, shape (...), as unit vectors (..., 3): x to (0, 0), y to (0, 90 E), z to the North Pole.

    >>> unit_vectors([0, 90], [90, 0]).round(9).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    phi, lam = np.broadcast_arrays(np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(lon, np.float64)))
    parallel = np.cos(phi)
    return np.stack([parallel * np.cos(lam), parallel * np.sin(lam), np.sin(phi)], axis=-1)


def to_lat_lon(vectors: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Directions of vectors (..., 3) as (lat, lon) in degrees. Raises `ValueError` for a zero vector and for NaN.

    >>> to_lat_lon([[0, 5, 0], [0, 0, -1]])
    (array([  0., -90.]), array([90.,  0.]))
    """
    v = np.asarray(vectors, np.float64)
    if not np.all(np.linalg.norm(v, axis=-1) > 0):
        raise ValueError("a vector is zero or NaN: it has no direction, so no latitude and longitude")
    lat = np.degrees(np.arctan2(v[..., 2], np.hypot(v[..., 0], v[..., 1])))
    return lat, np.degrees(np.arctan2(v[..., 1], v[..., 0]))


def chord(km: float) -> float:
    """Straight distance between unit vectors of places that lie so many km apart along the surface, at most 2."""
    return 2 * float(np.sin(min(km / (2 * EARTH_RADIUS_KM), np.pi / 2)))


def chord_km(chords: npt.ArrayLike) -> FloatArray:
    """Distance in km along the surface of places whose unit vectors lie so far apart: the inverse of `chord`.

    >>> float(chord_km(chord(750)).round(6))
    750.0
    """
    km: FloatArray = 2 * EARTH_RADIUS_KM * np.arcsin(np.minimum(np.asarray(chords, np.float64) / 2, 1))
    return km


def mean_point(lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[float, float]:
    """Spherical mean (lat, lon) of points (n,) in degrees: the direction of the sum of the unit vectors.

    It is right across the dateline and at the poles, where a mean of degrees is wrong. Raises `ValueError` for bad
    coordinates, and where the points cancel out (two antipodes): then every point would be as good.

    >>> mean_point([0, 0], [179, -179])
    (0.0, 180.0)
    """
    mean = unit_vectors(*check_lat_lon(lat, lon)).mean(axis=0)
    if np.linalg.norm(mean) < 1e-9:
        raise ValueError("the points cancel out, as antipodes do, and have no mean; leave one out")
    mean_lat, mean_lon = to_lat_lon(mean)
    return float(mean_lat), float(mean_lon)


def in_words(lat: float, lon: float) -> str:
    """A place in degrees as text: 26.52° S, 27.77° E."""
    return f"{abs(lat):.2f}° {'NS'[lat < 0]}, {abs(lon):.2f}° {'EW'[lon < 0]}"


def rectangle_area_km2(
    south: npt.ArrayLike, west: npt.ArrayLike, north: npt.ArrayLike, east: npt.ArrayLike
) -> FloatArray:
    """Exact area in km2 between two parallels and two meridians in degrees, of any shapes that broadcast.

    >>> rectangle_area_km2(-90, -180, 90, 180).round(-5)  # the Earth
    np.float64(510100000.0)
    """
    s, w, n, e = (np.radians(np.asarray(v, np.float64)) for v in (south, west, north, east))
    # sin(n) - sin(s) as a product, so that small rectangles keep their digits
    area: FloatArray = EARTH_RADIUS_KM**2 * (e - w) * 2 * np.cos((n + s) / 2) * np.sin((n - s) / 2)
    return area


def great_circle(lat1: float, lon1: float, lat2: float, lon2: float, n: int = 100) -> tuple[FloatArray, FloatArray]:
    """Evenly spaced points (lat, lon), each (n,), on the shortest way between two points in degrees, ends included.

    Raises `ValueError` for antipodes, between which every great circle is shortest.

    >>> [degrees.round(1).tolist() for degrees in great_circle(0, 0, 0, 90, n=3)]
    [[0.0, 0.0, 0.0], [0.0, 45.0, 90.0]]
    """
    start, end = unit_vectors(*check_lat_lon([lat1, lat2], [lon1, lon2]))
    across = end - (start @ end) * start  # the part of `end` at right angles to `start`
    length = np.linalg.norm(across)
    if length < 1e-12 and start @ end < 0:
        raise ValueError(f"({lat1}, {lon1}) and ({lat2}, {lon2}) are antipodes: go through a third point")
    steps = np.linspace(0, np.arctan2(length, start @ end), n)[:, None]
    return to_lat_lon(np.cos(steps) * start + np.sin(steps) * across / (length or 1.0))
