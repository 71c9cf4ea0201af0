"""Photos and points for the tests of geocells."""

import numpy as np

from geolib.sphere import EARTH_RADIUS_KM

SPHERE_KM2 = 4 * np.pi * EARTH_RADIUS_KM**2


def towns(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Photos as real collections have them: towns of very unequal size, some at the dateline, and strays anywhere."""
    rng = np.random.default_rng(seed)
    size = 1 / np.arange(1, 201)
    town = rng.choice(200, n, p=size / size.sum())
    town_lat = np.degrees(np.arcsin(rng.uniform(-0.8, 0.95, 200)))
    town_lon = np.where(np.arange(200) % 20 == 3, 179.99, rng.uniform(-180, 180, 200))
    spread = rng.lognormal(-2, 1.5, n)
    lat = town_lat[town] + spread * rng.normal(size=n)
    lon = town_lon[town] + spread * rng.normal(size=n)
    stray = rng.random(n) < 0.02
    lat[stray] = np.degrees(np.arcsin(rng.uniform(-1, 1, stray.sum())))
    lon[stray] = rng.uniform(-180, 180, stray.sum())
    return np.clip(lat, -90, 90), (lon + 180) % 360 - 180


def anywhere(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points all over the sphere, and on its edges: poles, both sides of the dateline, lines where cells meet."""
    rng = np.random.default_rng(seed)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)
    edge_lat = np.repeat([-90, -45, 0, 11.25, 45, np.nextafter(90, 0), 90], 9)
    edge_lon = np.tile([-180, -179.999999, -90, -1e-9, 0, 45, 90, 179.999999, 180], 7)
    return np.append(lat, edge_lat), np.append(lon, edge_lon)
