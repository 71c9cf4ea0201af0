"""The deal: which regions are held out, which photographer stands where, and on which side of the study each one is.

Only for building the dataset: it takes points from `postcards.places`. Points become postcards in four steps. Points
that are neighbours go to one photographer (a home). Photographers are dealt to the sides. Within each side a share of
the points is swapped (trips). At each point a few shots are taken on a short walk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree

from geolib import evaluate
from geolib.sphere import chord, chord_km, haversine_km, unit_vectors
from postcards import places

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Keep = Callable[[pd.DataFrame], Mask]

SEED = 20261
REGIONS = 120
REGION_KM = 150.0  # radius of a region that is held out
BUFFER_KM = 50.0  # around a region: nobody stands there
REGION_POINTS = 20
APART_KM = 800.0  # least distance between the centres of two regions
REGION_POSTCARDS = 40  # most postcards per region
TRIPS = 0.4  # share of a photographer's points that are not near home
POSTCARDS = (3, 30)  # fewest and most per photographer
MOST_SHOTS = 6  # per point
WALK_M = 180.0  # standard deviation of a shot's distance from its point, north and east
PLACE_POINTS = 300  # most points of the gallery per place of 25 km that are dealt to the sides

# Postcards per side. The first four are at points of the gallery, the last two are balanced over land and people.
GALLERY_SIDES = {"train": 20_000, "development": 3_000, "calibration": 3_000, "test": 3_000}
BALANCED_SIDES = {"train_balanced": 10_000, "test_balanced": 3_000}
COUNTS = {**GALLERY_SIDES, "test_places": 3_000, **BALANCED_SIDES}

# The encoder's scenes come in chunks, each made from its own seed, so that a longer table starts with the shorter one.
CHUNK = {"gallery": 2_000, "balanced": 6_000, "cities": 2_000}
_SHOTS = {"gallery": 2.5, "balanced": 1.25, "cities": 1.25}  # mean per point
_COURSE_SHOTS = 1.6
_SPARE = 1.3  # points taken per point needed: shots outside the side and photographers with few shots are dropped


@cache
def regions(seed: int = SEED) -> pd.DataFrame:
    """Centres of the regions that are held out: lat, lon in degrees, `by` what they were chosen.

    Every second centre is a point of the gallery (dense where photographers are), the others are balanced over land
    and people. Any two lie at least `APART_KM` from each other. A region that the gallery chose holds at least
    `REGION_POINTS` of its points.
    """
    rng = np.random.default_rng(seed)
    gallery = places.gallery()
    some = gallery.sample(20_000, random_state=rng, ignore_index=True).round(4)
    tree = cKDTree(unit_vectors(gallery["lat"].to_numpy(), gallery["lon"].to_numpy()))
    around = unit_vectors(some["lat"].to_numpy(), some["lon"].to_numpy())
    dense = tree.query_ball_point(around, chord(REGION_KM), return_length=True) >= REGION_POINTS
    left = {"photographs": some[dense], "land and people": places.balanced_points(10_000, rng).round(4)}
    chosen: list[tuple[float, float, str]] = []
    while len(chosen) < REGIONS:
        by = list(left)[len(chosen) % 2]
        lat, lon = (float(value) for value in left[by].iloc[0][["lat", "lon"]])
        chosen.append((lat, lon, by))
        for name, table in left.items():
            left[name] = table[haversine_km(lat, lon, table["lat"], table["lon"]) >= APART_KM]
    return pd.DataFrame(chosen, columns=["lat", "lon", "by"])


def nearest_region(
    lat: npt.ArrayLike, lon: npt.ArrayLike, centres: pd.DataFrame | None = None
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Row of the nearest centre and distance from it in km, (n,) each, of points in degrees. Default: `regions()`."""
    table = regions() if centres is None else centres
    tree = cKDTree(unit_vectors(table["lat"].to_numpy(), table["lon"].to_numpy()))
    chords, rows = tree.query(unit_vectors(lat, lon))
    return np.asarray(rows, np.intp), chord_km(chords)


def inside(lat: npt.ArrayLike, lon: npt.ArrayLike, centres: pd.DataFrame | None = None) -> Mask:
    """Which points (n,) in degrees lie in a region that is held out?"""
    within: Mask = nearest_region(lat, lon, centres)[1] <= REGION_KM
    return within


def outside(lat: npt.ArrayLike, lon: npt.ArrayLike, centres: pd.DataFrame | None = None) -> Mask:
    """Which points (n,) in degrees lie at least `BUFFER_KM` from every region that is held out?"""
    beyond: Mask = nearest_region(lat, lon, centres)[1] >= REGION_KM + BUFFER_KM
    return beyond


def _outside(rows: pd.DataFrame) -> Mask:
    return outside(rows["lat"].to_numpy(), rows["lon"].to_numpy())


def _in_regions(rows: pd.DataFrame) -> Mask:
    """Rows in a region, at most `REGION_POSTCARDS` of each."""
    near, km = nearest_region(rows["lat"].to_numpy(), rows["lon"].to_numpy())
    within = km <= REGION_KM
    number = pd.Series(np.where(within, near, -1)).groupby(np.where(within, near, -1)).cumcount().to_numpy()
    kept: Mask = within & (number < REGION_POSTCARDS)
    return kept


def neighbours(lat: Floats, lon: Floats) -> npt.NDArray[np.intp]:
    """Order (n,) in which points that follow each other are near each other: a Z-order curve over the map."""
    row = np.floor((np.asarray(lat) + 90) / 180 * 65535).astype(np.uint64)
    column = np.floor((np.asarray(lon) + 180) / 360 * 65535).astype(np.uint64)
    code = np.zeros(len(row), np.uint64)
    for bit in range(16):
        one, step = np.uint64(1), np.uint64(bit)
        code |= ((column >> step) & one) << np.uint64(2 * bit) | ((row >> step) & one) << np.uint64(2 * bit + 1)
    return np.argsort(code, kind="stable")


def deal(
    points: pd.DataFrame, counts: Mapping[str, int], shots: float, keep: Keep, rng: np.random.Generator
) -> pd.DataFrame:
    """Postcards (lat, lon, photographer, split) at points (lat, lon), so many per side, in a random order.

    All sides follow the same distribution: whole photographers are dealt to them. `shots` is the mean number per
    point; `keep` says which postcards stand where their side may. Raises `ValueError` when the points do not suffice.
    """
    points = points.iloc[neighbours(points["lat"].to_numpy(), points["lon"].to_numpy())].reset_index(drop=True)
    points = points[["lat", "lon"]].assign(shots=rng.geometric(1 / shots, len(points)).clip(1, MOST_SHOTS))
    fewest, most = POSTCARDS
    sizes = np.cumsum((fewest + rng.geometric(1 / 4, len(points))).clip(fewest, most - MOST_SHOTS))
    first = points["shots"].cumsum() - points["shots"]  # shots before each point
    owner = np.searchsorted(sizes, first, side="right")
    shares = np.cumsum(list(counts.values())) / sum(counts.values())
    side = np.searchsorted(shares[:-1], rng.random(owner.max() + 1), side="right")[owner]
    parts = []
    for number, (split, count) in enumerate(counts.items()):
        mine = _travel(points.assign(photographer=owner)[side == number], rng)
        rows = _walk(mine, rng).sample(frac=1, random_state=rng, ignore_index=True)
        rows = _exactly(rows[keep(rows)], count, split)
        parts.append(rows.assign(split=split))
    return pd.concat(parts, ignore_index=True).sample(frac=1, random_state=rng, ignore_index=True)


def _travel(points: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Swap a share of the points between the photographers of one side."""
    owner = points["photographer"].to_numpy().copy()
    trips = np.flatnonzero(rng.random(len(points)) < TRIPS)
    owner[trips] = owner[rng.permutation(trips)]
    return points.assign(photographer=owner)


def _walk(points: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """One row per shot, within some hundred metres of its point."""
    rows = points.loc[points.index.repeat(points["shots"])].drop(columns="shots").reset_index(drop=True)
    metres = rng.normal(0, WALK_M, (len(rows), 2))
    lat = (rows["lat"] + metres[:, 0] / 111_195).clip(-89.9, 89.9)
    lon = rows["lon"] + metres[:, 1] / (111_195 * np.cos(np.deg2rad(lat.clip(-89, 89))))
    return rows.assign(lat=lat.round(5), lon=((lon.round(5) + 180) % 360 - 180).round(5))


def _exactly(rows: pd.DataFrame, count: int, split: str) -> pd.DataFrame:
    """So many rows, of whole photographers with a number of postcards that is allowed."""
    fewest, most = POSTCARDS
    rows = rows[rows.groupby("photographer").cumcount() < most]
    sizes = rows["photographer"].value_counts(sort=False).sort_index()
    sizes = sizes[sizes >= fewest]
    if sizes.sum() < count:
        raise ValueError(f"{split}: {sizes.sum():,} postcards, expected {count:,}: more points are needed")
    # Rows are in a random order, and so are the photographers by their first row.
    order = rows["photographer"].drop_duplicates()
    total = sizes.reindex(order[order.isin(sizes.index)]).cumsum()
    taken = total.index[: int(np.searchsorted(total.to_numpy(), count)) + 1]
    rows = rows[rows["photographer"].isin(taken)]
    number = rows.groupby("photographer").cumcount()
    surplus = number.sort_values(ascending=False, kind="stable").index[: len(rows) - count]  # of the busiest
    return rows.drop(index=surplus)


def _named(rows: pd.DataFrame, prefix: str, rng: np.random.Generator) -> pd.DataFrame:
    """Give photographers names: numbers in a random order, which say nothing of place and side."""
    codes, known = pd.factorize(pd.MultiIndex.from_frame(rows[["deal", "photographer"]]))
    number = rng.permutation(len(known))[codes]
    return rows.assign(photographer=[f"{prefix}{n:04d}" for n in number]).drop(columns="deal")


def _gallery_points() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points of the gallery outside the regions: those for the course's sides, and all others for the encoder."""
    rng = np.random.default_rng([SEED, 1])
    points = places.gallery().sample(frac=1, random_state=rng, ignore_index=True)
    points = points[_outside(points) & ~points.round(4).duplicated()].reset_index(drop=True)
    place = evaluate.places(points["lat"].to_numpy(), points["lon"].to_numpy())
    capped = points.groupby(place).cumcount() < PLACE_POINTS
    course = points[capped].head(round(_SPARE * sum(GALLERY_SIDES.values()) / _COURSE_SHOTS))
    return course, points.drop(index=course.index)


def _region_points(rng: np.random.Generator) -> pd.DataFrame:
    """Points in the regions, about as many in each: of the gallery where it chose the region, else balanced ones."""
    most = round(1.1 * REGION_POSTCARDS / _COURSE_SHOTS)
    found = {
        "photographs": places.gallery().sample(frac=1, random_state=rng),
        "land and people": places.balanced_points(400_000, rng),
    }
    parts = []
    for name, points in found.items():
        near, km = nearest_region(points["lat"].to_numpy(), points["lon"].to_numpy())
        first = regions()["by"].to_numpy()[near] != name  # False sorts before True
        parts.append(points.assign(region=near, second=first)[km <= REGION_KM])
    table = pd.concat(parts, ignore_index=True).sort_values("second", kind="stable")
    return table[table.groupby("region").cumcount() < most]


def course() -> pd.DataFrame:
    """The course's postcards: lat, lon, photographer, split, in a random order."""
    rng = np.random.default_rng([SEED, 2])
    balanced = places.balanced_points(round(1.3 * _SPARE * sum(BALANCED_SIDES.values()) / _SHOTS["balanced"]), rng)
    parts = [
        deal(_gallery_points()[0], GALLERY_SIDES, _COURSE_SHOTS, _outside, rng),
        deal(balanced[_outside(balanced)], BALANCED_SIDES, _SHOTS["balanced"], _outside, rng),
        deal(_region_points(rng), {"test_places": COUNTS["test_places"]}, _COURSE_SHOTS, _in_regions, rng),
    ]
    table = pd.concat([part.assign(deal=number) for number, part in enumerate(parts)], ignore_index=True)
    return _named(table.sample(frac=1, random_state=rng, ignore_index=True), "p", rng)


def encoder(count: int) -> pd.DataFrame:
    """The encoder's scenes: lat, lon, photographer. The first rows do not depend on how many are asked for."""
    size = sum(CHUNK.values())
    left = _gallery_points()[1]
    table = pd.concat([_chunk(number, left) for number in range(-(-count // size))], ignore_index=True)
    return table.head(count)


def _chunk(number: int, gallery: pd.DataFrame) -> pd.DataFrame:
    """One chunk of the encoder's scenes, from a seed of its own, by photographers of its own, in a random order."""
    rng = np.random.default_rng([SEED, 3, number])
    parts = []
    for name, count in CHUNK.items():
        wanted = round(_SPARE * count / _SHOTS[name])
        if name == "gallery":  # goes round when all of them have been used
            points = gallery.iloc[np.arange(number * wanted, (number + 1) * wanted) % len(gallery)]
        else:
            draw = places.balanced_points if name == "balanced" else places.city_points
            points = draw(2 * wanted, rng)
            points = points[_outside(points)].head(wanted)
        parts.append(deal(points, {name: count}, _SHOTS[name], _outside, rng).assign(deal=name))
    table = pd.concat(parts, ignore_index=True).sample(frac=1, random_state=rng, ignore_index=True)
    return _named(table.drop(columns="split"), f"e{number:03d}-", rng)
