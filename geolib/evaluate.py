"""Errors, thresholds and intervals: how wrong predictions are, and how certain that is.

Photographs of one photographer resemble each other, so a test set of n photos holds less evidence than n independent
ones. Every interval here is a 95 % percentile bootstrap (Efron and Tibshirani 1993, chapter 13) that resamples whole
photographers with replacement. Below about 20 photographers such intervals are a little too narrow: read them as lower
bounds of the uncertainty.

Arguments that many functions share: `clusters` (n,), the photographer of each photo, without which single photos are
resampled; `n_boot`, the number of resamples; `seed`, of the draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from geolib import sphere
from geolib.cells.quadtree import Partition
from geolib.countries import continent_of, country_of

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Coordinates = tuple[ArrayLike, ArrayLike]
Labels = ArrayLike | None
THRESHOLDS_KM = (1, 25, 200, 750, 2500)
SHARES = tuple(f"within_{km}_km" for km in THRESHOLDS_KM)
METRICS = (*SHARES, "median_km", "mean_km", "geoscore")
_MEDIAN = METRICS.index("median_km")
_BORDERS_KM = (1, 5, 25, 100)


def errors_km(lat: ArrayLike, lon: ArrayLike, true_lat: ArrayLike, true_lon: ArrayLike) -> Array:
    """Great-circle distance in km between predicted and true places, (n,).

    Raises `ValueError` for no photos, unequal lengths, and coordinates that are not on Earth.

    >>> errors_km([48.86], [2.35], [51.51], [-0.13]).round()
    array([343.])
    """
    predicted, true = sphere.check_lat_lon(lat, lon), sphere.check_lat_lon(true_lat, true_lon)
    if len(predicted[0]) != len(true[0]):
        raise ValueError(f"{len(predicted[0])} predicted places for {len(true[0])} true ones: expected one per photo")
    return sphere.haversine_km(*predicted, *true)


def summary(
    lat: ArrayLike,
    lon: ArrayLike,
    true_lat: ArrayLike,
    true_lon: ArrayLike,
    groups: Labels = None,
    clusters: Labels = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """The threshold table of one method.

    Parameters
    ----------
    lat, lon, true_lat, true_lon : predicted and true places, degrees (n,).
    groups : (n,) label of each photo, such as its continent.

    Returns
    -------
    One row "all", then one per group in sorted order, each resampled from `seed` afresh. Columns: `photos`; `clusters`,
    the number of photographers; `interval`, what was resampled, in words; for each of `METRICS` (shares from 0 to 1,
    km, GeoScore from 0 to 5000) the value, `*_low` and `*_high`. One photographer alone allows no interval: NaN.

    Raises
    ------
    ValueError : what `errors_km` refuses, and labels that are missing or of another length.

    Examples
    --------
    >>> summary([0, 0, 0], [0, 1, 9], [0, 0, 0], [0, 0, 0], n_boot=9)["interval"].item()
    '95 % bootstrap over 3 photos'
    """
    values = _values(errors_km(lat, lon, true_lat, true_lon)[None])
    parts = {"all": np.ones(values.shape[1], dtype=bool)}
    if groups is not None:
        codes, names = _codes(groups, values.shape[1], "groups")
        parts |= {name: codes == code for code, name in enumerate(names)}
    if clusters is not None:
        _codes(clusters, values.shape[1], "clusters")  # before they are divided: to refuse them whole
    rows = []
    for mask in parts.values():
        people = None if clusters is None else np.asarray(clusters, dtype=object)[mask]
        replicates, row = _resampled(values[:, mask], people, n_boot, seed)
        rows.append(row | _intervals(replicates[:, 0]))
    return _table(rows, pd.Index(list(parts), name="group"))


def photo_groups(true_lat: ArrayLike, true_lon: ArrayLike, tree: Partition) -> pd.DataFrame:
    """Groups of photos on which a geolocator may be better or worse than on average, one row per photo.

    Columns, all of text that sorts by its meaning:
    `continent`, `country`: of the true place, "at sea" where it is in none; codes as in `geolib.countries`.
    `density`: training photos per km2 of its finest cell, in tenths of the training photos: "01 of 10" the sparsest.
    `border`: distance in km to the edge of its finest cell, beyond which a perfect head would answer another cell.

    >>> from geolib.cells import GeocellTree
    >>> photo_groups([48.86], [2.35], GeocellTree.fit([50, -30], [0, 120], (2,), min_photos=1)).iloc[0].tolist()
    ['Europe', 'FRA', '08 of 10', '100 km on']
    """
    lat, lon = sphere.check_lat_lon(true_lat, true_lon)
    country = country_of(lat, lon)
    counts = tree.counts(-1)
    order = np.argsort(counts / tree.areas_km2(-1), kind="stable")
    middle = np.cumsum(counts[order]) - counts[order] / 2  # rank of the cell's middle photo: never beyond the last
    tenth = np.empty(len(counts), dtype=np.int64)
    tenth[order] = np.floor(10 * middle / counts.sum()) + 1
    limits = ["000", *(f"{km:03}" for km in _BORDERS_KM)]
    borders = np.array([*(f"{a} to {b} km" for a, b in pairwise(limits)), f"{limits[-1]} km on"])
    return pd.DataFrame(
        {
            "continent": [continent_of(code) or "at sea" for code in country],
            "country": np.where(country == "", "at sea", country),
            "density": [f"{number:02} of 10" for number in tenth[tree.assign(lat, lon)[:, -1]]],
            "border": borders[np.searchsorted(_BORDERS_KM, tree.border_km(lat, lon), side="right")],
        }
    )


def compare(
    predictions: Mapping[str, Coordinates],
    true_lat: ArrayLike,
    true_lon: ArrayLike,
    clusters: Labels = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """`summary`'s columns, one row per method of `predictions` {name: (lat, lon)}, on the same photos and draws.

    >>> compare({"a": ([0, 1], [0, 0]), "b": ([0, 9], [0, 0])}, [0, 0], [0, 0])["mean_km"].round(1).to_dict()
    {'a': 55.6, 'b': 500.4}
    """
    if not predictions:
        raise ValueError('no methods to compare: expected {name: (lat, lon)}, such as {"heads": (lat, lon)}')
    values = _values(np.stack([errors_km(*place, true_lat, true_lon) for place in predictions.values()]))
    replicates, row = _resampled(values, clusters, n_boot, seed)
    rows = [row | _intervals(replicates[:, method]) for method in range(len(predictions))]
    return _table(rows, pd.Index(list(predictions), name="method"))


def difference(
    a: Coordinates,
    b: Coordinates,
    true_lat: ArrayLike,
    true_lon: ArrayLike,
    clusters: Labels = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Each metric of method `a` minus method `b`, one row, with intervals from a paired bootstrap.

    Both are scored on the same draws, so what makes a photo hard for both cancels. This interval, not the overlap of
    two, says whether one method is better: it excludes 0 where the difference is more than chance.

    >>> difference(([0, 1], [0, 0]), ([0, 9], [0, 0]), [0, 0], [0, 0])["mean_km"].round(1).tolist()
    [-444.8]
    """
    values = _values(np.stack([errors_km(*place, true_lat, true_lon) for place in (a, b)]))
    replicates, row = _resampled(values, clusters, n_boot, seed)
    return _table([row | _intervals(replicates[:, 0] - replicates[:, 1])], pd.Index(["a - b"], name="method"))


def country_accuracy(
    country: ArrayLike, true_country: ArrayLike, clusters: Labels = None, *, n_boot: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Share of photos whose country code (n,) is the true one: `country_accuracy`, `*_low`, `*_high` and counts.

    Leave out photos without a true country (at sea): they are refused, not counted as wrong.

    >>> country_accuracy(["FRA", "ITA"], ["FRA", "DEU"], n_boot=10)["country_accuracy"].item()
    0.5
    """
    n = len(np.asarray(true_country))
    _codes(true_country, n, "true_country")
    if np.shape(country) != (n,):
        raise ValueError(f"country has shape {np.shape(country)}, expected ({n},): one code per photo")
    right = np.asarray(country, dtype=object) == np.asarray(true_country, dtype=object)
    replicates, row = _resampled(right.astype(np.float64)[None, :, None], clusters, n_boot, seed)
    return row | _intervals(replicates[:, 0], ["country_accuracy"])


def shares(
    values: Mapping[str, ArrayLike], clusters: Labels = None, *, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Mean of each of `values` {name: (n,)} over the photos, one row per name: `share`, `*_low`, `*_high`, counts.

    True and false give a share; the difference of two such columns gives a paired difference, as all rows are scored
    on the same draws. Raises `ValueError` for nothing to average, NaN, infinity, and values of other lengths.

    >>> shares({"right": [True, True, False, True]}, clusters=["ann", "ann", "bob", "cy"])["share"].to_dict()
    {'right': 0.75}
    """
    arrays = [np.asarray(value, dtype=np.float64) for value in values.values()]
    n = arrays[0].size if arrays else 0
    if not n or any(array.shape != (n,) or not np.isfinite(array).all() for array in arrays):
        shapes = [array.shape for array in arrays]
        raise ValueError(f"{list(values)} of shapes {shapes}: expected a finite number per photo, (n,)")
    replicates, row = _resampled(np.stack(arrays)[..., None], clusters, n_boot, seed)
    rows = [row | _intervals(replicates[:, number], ["share"]) for number in range(len(arrays))]
    return _table(rows, pd.Index(list(values), name="what"))


def gaps(
    values: ArrayLike, groups: Mapping[str, ArrayLike], clusters: Labels = None, *, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Mean of `values` (n,) over the photos in a group minus their mean over all others: `gap`, `gap_low`, `gap_high`.

    groups: {name: which photos, bool (n,)}, one row per name; they may overlap. A photographer is drawn with the photos
    on both sides. Raises `ValueError` for other lengths, NaN, and a group that holds no photo or every one.

    >>> gaps([1, 1, 0, 0], {"night": [False, False, True, True]}, n_boot=50)["gap"].to_dict()
    {'night': -1.0}
    """
    array = np.asarray(values, dtype=np.float64)
    masks = {name: np.asarray(mask, dtype=bool) for name, mask in groups.items()}
    for name, mask in masks.items():
        if array.ndim != 1 or mask.shape != array.shape or not np.isfinite(array).all() or mask.all() or not mask.any():
            raise ValueError(
                f"{name}: {mask.sum()} of {mask.size} photos against values {array.shape}: expected finite numbers, as "
                "many, and photos both in the group and outside it"
            )
    rows = []
    for mask in masks.values():
        parts = np.stack([array * mask, mask, array * ~mask, ~mask], axis=-1)[None]
        replicates, row = _resampled(parts, clusters, n_boot, seed)
        inside, n_in, outside, n_out = replicates[:, 0].T
        kept = (n_in > 0) & (n_out > 0)  # a draw may miss a small group
        gap = (inside[kept] / n_in[kept] - outside[kept] / n_out[kept])[:, None]
        rows.append(row | {"photos": int(mask.sum())} | _intervals(gap, ["gap"]))
    return _table(rows, pd.Index(list(masks), name="group"))


def format_table(table: pd.DataFrame, *, signed: bool = False) -> pd.DataFrame:
    """The table as text for reading: `23.4 % [21.0, 25.9]`, `1,234 km [1,100, 1,402]`, `2,210 [2,105, 2,318]`.

    signed: for the row of `difference`: a plus before positive numbers, and percentage points.

    >>> format_table(compare({"a": ([0, 1], [0, 0])}, [0, 0], [0, 0], ["ann", "ann"]))["median"].to_dict()
    {'a': '56 km'}
    """
    percent = " points" if signed else " %"
    out = pd.DataFrame(index=table.index)
    out["photos"] = table["photos"].map("{:,}".format)
    out["clusters"] = table["clusters"].map(lambda number: "-" if pd.isna(number) else f"{number:,}")
    for metric in METRICS:
        factor, unit = (100, percent) if metric in SHARES else (1, " km" if metric.endswith("_km") else "")
        numbers = table[[metric, f"{metric}_low", f"{metric}_high"]].to_numpy(dtype=np.float64) * factor
        style = f"{{:{'+' if signed else ''},.{1 if metric in SHARES else 0}f}}"
        title = metric.replace("_km", "" if unit == " km" else " km").replace("_", " ")
        texts = [[style.format(number) for number in row] for row in numbers]
        without = np.isnan(numbers[:, 1])  # one photographer alone has no interval
        out[title] = [
            f"{value}{unit}" if alone else f"{value}{unit} [{low}, {high}]"
            for (value, low, high), alone in zip(texts, without, strict=True)
        ]
    return out


def weighted_median(ordered: Array, weights: Codes) -> float:
    """`np.median(np.repeat(ordered, weights))` for ascending `ordered` (n,), without repeating anything.

    >>> weighted_median(np.array([1.0, 2.0, 9.0]), np.array([1, 0, 3]))
    9.0
    """
    seen = np.cumsum(weights)
    middle = np.searchsorted(seen, [(seen[-1] - 1) // 2, seen[-1] // 2], side="right")
    return float(ordered[middle].mean())


def _values(km: Array) -> Array:
    """What each metric averages over photos (or takes the median of), (methods, n, metrics) in `METRICS`' order."""
    within = [km <= limit for limit in THRESHOLDS_KM]
    return np.stack([*within, km, km, sphere.geoscore(km)], axis=-1, dtype=np.float64)


def _resampled(values: Array, clusters: Labels, n_boot: int, seed: int) -> tuple[Array, dict[str, Any]]:
    """Metrics of the sample itself and of its bootstrap draws, (1 + n_boot, methods, metrics), and what was drawn.

    A draw of photographers is a vector of weights: a replicate costs one product with the photographers' sums for the
    means and one cumulative sum over the sorted photos for a median. No photo is copied.
    """
    if n_boot < 1:
        raise ValueError(f"n_boot={n_boot}: expected at least 1, such as 1000")
    methods, n, metrics = values.shape
    codes = np.arange(n) if clusters is None else _codes(clusters, n, "clusters")[0]
    units = int(codes.max()) + 1
    flat = values.swapaxes(0, 1).reshape(n, -1)
    sums = np.stack([np.bincount(codes, weights=column) for column in [*flat.T, np.ones(n)]], axis=1)
    orders = np.argsort(values[..., _MEDIAN], axis=1) if metrics == len(METRICS) else np.empty((0, n), dtype=np.int64)
    by_km = [(method, values[method, order, _MEDIAN], codes[order]) for method, order in enumerate(orders)]
    rng = np.random.default_rng(seed)
    out = np.full((1 + n_boot, methods, metrics), np.nan)
    for draw in range(1 + n_boot if units > 1 else 1):
        weights = np.bincount(rng.integers(units, size=units), minlength=units) if draw else np.ones(units, np.int64)
        *totals, photos = weights.astype(np.float64) @ sums
        out[draw] = np.reshape(totals, (methods, metrics)) / photos
        for method, km, photographer in by_km:
            out[draw, method, _MEDIAN] = weighted_median(km, weights[photographer])
    drawn = "95 % bootstrap over" if units > 1 else "none, nothing to draw from:"
    what = f"{units:,} {'photo' if clusters is None else 'photographer'}{'s' * (units > 1)}"
    return out, {"photos": n, "clusters": None if clusters is None else units, "interval": f"{drawn} {what}"}


def _intervals(replicates: Array, metrics: Sequence[str] = METRICS) -> dict[str, Any]:
    """Value, low and high end of each metric, from replicates (1 + n_boot, metrics) that begin with the value."""
    row: dict[str, Any] = {}
    low, high = np.quantile(replicates[1:], [0.025, 0.975], axis=0)
    for number, metric in enumerate(metrics):
        row |= {metric: replicates[0, number], f"{metric}_low": low[number], f"{metric}_high": high[number]}
    return row


def _table(rows: Sequence[dict[str, Any]], index: pd.Index[str]) -> pd.DataFrame:
    """Rows as a frame; `clusters` is an integer that may be missing."""
    return pd.DataFrame(rows, index=index).astype({"clusters": "Int64"})


def _codes(labels: ArrayLike, n: int, name: str) -> tuple[Codes, list[str]]:
    """Labels (n,) as whole numbers (n,) and what each stands for. Refuses another length and missing labels.

    Numbered in sorted order, so that draws do not depend on the order of the photos, nor a group's on the others.
    """
    array = np.asarray(labels, dtype=object)
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}, expected ({n},): one label per photo")
    if missing := int(pd.isna(array).sum()):
        raise ValueError(f"{missing} of {n} {name} are missing: give each photo a label, or leave the photo out")
    codes, names = pd.factorize(array.astype(str).astype(object), sort=True)
    return codes, list(names)
