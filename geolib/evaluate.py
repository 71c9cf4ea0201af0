"""How wrong predictions are, and how sure one can be of that.

Photographs of one photographer resemble each other, so a test set of n photos holds less evidence than n
independent ones. Every interval here is a 95 % percentile bootstrap (Efron and Tibshirani 1993, chapter 13)
that draws whole photographers with replacement. Percentile intervals are a little too narrow below about
20 photographers: read those as lower bounds of the uncertainty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from geolib import sphere
from geolib.cells.quadtree import Partition
from geolib.countries import continent_of, country_of

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Coordinates = tuple[npt.ArrayLike, npt.ArrayLike]
THRESHOLDS_KM = (1, 25, 200, 750, 2500)
SHARES = tuple(f"within_{km}_km" for km in THRESHOLDS_KM)
METRICS = (*SHARES, "median_km", "mean_km", "geoscore")
_MEDIAN = METRICS.index("median_km")
_BORDERS_KM = (1, 5, 25, 100)


def errors_km(lat: npt.ArrayLike, lon: npt.ArrayLike, true_lat: npt.ArrayLike, true_lon: npt.ArrayLike) -> Array:
    """Great-circle distance in km between predicted and true places, one a photo, (n,).

    Raises `ValueError` for no photos, unequal lengths, and coordinates that are not on Earth.
    """
    predicted, true = sphere.check_lat_lon(lat, lon), sphere.check_lat_lon(true_lat, true_lon)
    if len(predicted[0]) != len(true[0]):
        raise ValueError(f"{len(predicted[0])} predicted places for {len(true[0])} true ones: expected one a photo")
    return sphere.haversine_km(*predicted, *true)


def summary(
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    true_lat: npt.ArrayLike,
    true_lon: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    clusters: npt.ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """The threshold table: one row a group, "all" first, then the groups (n,) in sorted order.

    Columns: `photos`; `clusters`, the number of photographers, missing where `clusters` (n,) was not given and
    single photos were drawn; `interval`, which says in words what was drawn; then for each of `METRICS`
    (shares in 0..1, km, GeoScore in 0..5000) the value, `*_low` and `*_high`. One photographer alone allows
    no interval: NaN, and `interval` says why. Each row is drawn from `seed` afresh, so that it does not
    depend on which other groups there are.
    """
    values = _values(errors_km(lat, lon, true_lat, true_lon)[None])
    photographers = None if clusters is None else _codes(clusters, values.shape[1], "clusters")[0]
    parts = [("all", np.ones(values.shape[1], dtype=bool))]
    if groups is not None:
        codes, names = _codes(groups, values.shape[1], "groups")
        parts += [(name, codes == code) for code, name in enumerate(names)]
    rows = []
    for _, mask in parts:
        part = None if photographers is None else photographers[mask]
        rows.append(_describe(_replicates(values[:, mask], part, n_boot, seed)[:, 0], part, int(mask.sum())))
    return _table(rows, pd.Index([name for name, _ in parts], name="group"))


def group_table(
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    true_lat: npt.ArrayLike,
    true_lon: npt.ArrayLike,
    groupings: Mapping[str, npt.ArrayLike],
    clusters: npt.ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """`summary` of the same photos by several groupings {name: labels (n,)}, such as `photo_groups` makes.

    One row for all photos, ("all", "all"), then one a group of each grouping; index `grouping`, `group`.
    """
    place = lat, lon, true_lat, true_lon
    tables = {"all": summary(*place, clusters=clusters, n_boot=n_boot, seed=seed)}
    for name, labels in groupings.items():
        tables[name] = summary(*place, labels, clusters, n_boot=n_boot, seed=seed).drop(index="all")
    return pd.concat(tables, names=["grouping"])


def photo_groups(true_lat: npt.ArrayLike, true_lon: npt.ArrayLike, tree: Partition) -> pd.DataFrame:
    """The groups of photos in which a geolocator may be better or worse than on the whole, a photo a row.

    Columns, all of text whose order is that of its meaning:
    `continent`, `country`: of the true place, "at sea" where it is in none; codes as `geolib.countries` has them.
    `density`: training photos per km2 of its finest cell, in tenths of the training photos: "01 of 10" the sparsest.
    `border`: distance in km to the edge of its finest cell, beyond which a perfect head would answer another cell.
    """
    lat, lon = sphere.check_lat_lon(true_lat, true_lon)
    country = country_of(lat, lon)
    counts = tree.counts(-1)
    order = np.argsort(counts / tree.areas_km2(-1), kind="stable")
    middle = (
        np.cumsum(counts[order]) - counts[order] / 2
    )  # rank of the cell's middle photo, so that none is past the end
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
    true_lat: npt.ArrayLike,
    true_lon: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """`summary`'s columns, one row a method of `predictions` {name: (lat, lon)}, on the same photos and draws."""
    if not predictions:
        raise ValueError('no methods to compare: expected {name: (lat, lon)}, such as {"heads": (lat, lon)}')
    values = _values(np.stack([errors_km(*place, true_lat, true_lon) for place in predictions.values()]))
    codes = None if clusters is None else _codes(clusters, values.shape[1], "clusters")[0]
    replicates = _replicates(values, codes, n_boot, seed)
    rows = [_describe(replicates[:, method], codes, values.shape[1]) for method in range(len(predictions))]
    return _table(rows, pd.Index(list(predictions), name="method"))


def difference(
    a: Coordinates,
    b: Coordinates,
    true_lat: npt.ArrayLike,
    true_lon: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Each metric of method `a` minus method `b`, one row, with intervals from a paired bootstrap.

    Both are scored on the same draws, so what makes a photo hard for both cancels: this interval, not the
    overlap of two, says whether one is better. It excludes 0 where the difference is more than chance.
    """
    values = _values(np.stack([errors_km(*place, true_lat, true_lon) for place in (a, b)]))
    codes = None if clusters is None else _codes(clusters, values.shape[1], "clusters")[0]
    replicates = _replicates(values, codes, n_boot, seed)
    row = _describe(replicates[:, 0] - replicates[:, 1], codes, values.shape[1])
    return _table([row], pd.Index(["a - b"], name="method"))


def country_accuracy(
    country: npt.ArrayLike,
    true_country: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Share of photos whose country code (n,) is the true one: `country_accuracy`, `*_low`, `*_high` and counts.

    Photos without a true country (at sea) are for the caller to leave out; they are refused, not called wrong.
    """
    n = len(np.asarray(true_country))
    _codes(true_country, n, "true_country")
    if np.shape(country) != (n,):
        raise ValueError(f"country has shape {np.shape(country)}, expected ({n},): one code a photo")
    right = np.asarray(country, dtype=object) == np.asarray(true_country, dtype=object)
    codes = None if clusters is None else _codes(clusters, n, "clusters")[0]
    replicates = _replicates(right.astype(np.float64)[None, :, None], codes, n_boot, seed)
    return _describe(replicates[:, 0], codes, n, ["country_accuracy"])


def shares(
    values: Mapping[str, npt.ArrayLike],
    clusters: npt.ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean of each of `values` {name: (n,)} over the photos, a row a name: `share`, `share_low`, `share_high`, counts.

    True and false give a share; one column of them minus another gives a paired difference, for all rows are scored on
    the same draws. Raises `ValueError` for nothing to average, NaN or infinity, and values of other lengths.
    """
    arrays = [np.asarray(value, dtype=np.float64) for value in values.values()]
    n = arrays[0].size if arrays else 0
    if not n or any(array.shape != (n,) or not np.isfinite(array).all() for array in arrays):
        raise ValueError(
            f"{list(values)} of shapes {[a.shape for a in arrays]}: expected a finite number a photo, (n,)"
        )
    codes = None if clusters is None else _codes(clusters, n, "clusters")[0]
    replicates = _replicates(np.stack(arrays)[..., None], codes, n_boot, seed)
    rows = [_describe(replicates[:, row], codes, n, ["share"]) for row in range(len(arrays))]
    return _table(rows, pd.Index(list(values), name="what"))


def gaps(
    values: npt.ArrayLike,
    groups: Mapping[str, npt.ArrayLike],
    clusters: npt.ArrayLike | None = None,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean of `values` (n,) over the photos in a group minus their mean over all others: `gap`, `gap_low`, `gap_high`.

    groups: {name: which photos, bool (n,)}, a row a name; they may overlap. A photographer is drawn with the photos on
    both sides. Raises `ValueError` for lengths that differ, NaN, and a group that holds no photo or every one.
    """
    array = np.asarray(values, dtype=np.float64)
    masks = {name: np.asarray(mask, dtype=bool) for name, mask in groups.items()}
    for name, mask in masks.items():
        if array.ndim != 1 or mask.shape != array.shape or not np.isfinite(array).all() or mask.all() or not mask.any():
            raise ValueError(
                f"{name}: {mask.sum()} of {mask.size} photos against values {array.shape}: expected finite numbers, as "
                "many, and photos both in the group and outside it"
            )
    codes = None if clusters is None else _codes(clusters, array.size, "clusters")[0]
    rows = []
    for mask in masks.values():
        parts = np.stack([array * mask, mask, array * ~mask, ~mask], axis=-1)[None]
        inside, n_in, outside, n_out = _replicates(parts, codes, n_boot, seed)[:, 0].T
        kept = (n_in > 0) & (n_out > 0)  # a draw may miss a small group
        row = _describe((inside[kept] / n_in[kept] - outside[kept] / n_out[kept])[:, None], codes, array.size, ["gap"])
        rows.append(row | {"photos": int(mask.sum())})
    return _table(rows, pd.Index(list(masks), name="group"))


def format_table(table: pd.DataFrame, *, signed: bool = False) -> pd.DataFrame:
    """The table as strings for reading: `23.4 % [21.0, 25.9]`, `1,234 km [1,100, 1,402]`, `2,210 [2,105, 2,318]`.

    signed: for the row of `difference`: a plus before what is positive, and percentage points.
    """
    percent = " points" if signed else " %"
    out = pd.DataFrame(index=table.index)
    out["photos"] = table["photos"].map("{:,}".format)
    out["clusters"] = table["clusters"].map(lambda number: "-" if pd.isna(number) else f"{number:,}")
    for metric in METRICS:
        factor, unit = (100, percent) if metric in SHARES else (1, " km" if metric.endswith("_km") else "")
        cells = table[[metric, f"{metric}_low", f"{metric}_high"]].to_numpy(dtype=np.float64) * factor
        style = f"{{:{'+' if signed else ''},.{1 if metric in SHARES else 0}f}}"
        title = metric.replace("_km", "" if unit == " km" else " km").replace("_", " ")
        out[title] = [_cell([style.format(number) for number in row], unit, bool(np.isnan(row[1]))) for row in cells]
    return out


def _cell(numbers: Sequence[str], unit: str, alone: bool) -> str:
    value, low, high = numbers
    return f"{value}{unit}" if alone else f"{value}{unit} [{low}, {high}]"


def _values(km: Array) -> Array:
    """What each metric averages over photos (or takes the median of), (methods, n, metrics) in `METRICS`' order."""
    shares = [km <= limit for limit in THRESHOLDS_KM]
    return np.stack([*shares, km, km, sphere.geoscore(km)], axis=-1, dtype=np.float64)


def _replicates(values: Array, codes: Codes | None, n_boot: int, seed: int) -> Array:
    """Metrics of the sample itself and then of its bootstrap draws, (1 + n_boot, methods, metrics).

    A draw of photographers is a vector of weights, so a replicate costs one product with the photographers'
    sums for the means and one cumulative sum over the sorted photos for a median; no photo is copied.
    """
    if n_boot < 1:
        raise ValueError(f"n_boot={n_boot}: expected at least 1, such as 1000")
    methods, n, metrics = values.shape
    codes = np.arange(n) if codes is None else np.unique(codes, return_inverse=True)[1]
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
    return out


def weighted_median(ordered: Array, weights: Codes) -> float:
    """`np.median(np.repeat(ordered, weights))` for ascending `ordered` (n,), without repeating anything."""
    seen = np.cumsum(weights)
    middle = np.searchsorted(seen, [(seen[-1] - 1) // 2, seen[-1] // 2], side="right")
    return float(ordered[middle].mean())


def _describe(replicates: Array, codes: Codes | None, photos: int, metrics: Sequence[str] = METRICS) -> dict[str, Any]:
    """One row of a table from replicates (1 + n_boot, metrics)."""
    clusters = None if codes is None else len(np.unique(codes))
    unit, units = ("photo", photos) if clusters is None else ("photographer", clusters)
    drawn = "95 % bootstrap over" if units > 1 else "none, nothing to draw from:"
    row = {"photos": photos, "clusters": clusters, "interval": f"{drawn} {units:,} {unit}{'s' * (units > 1)}"}
    low, high = np.quantile(replicates[1:], [0.025, 0.975], axis=0)
    for number, metric in enumerate(metrics):
        row |= {metric: replicates[0, number], f"{metric}_low": low[number], f"{metric}_high": high[number]}
    return row


def _table(rows: Sequence[dict[str, Any]], index: pd.Index[str]) -> pd.DataFrame:
    """Rows as a frame; `clusters` is an integer that may be missing."""
    return pd.DataFrame(rows, index=index).astype({"clusters": "Int64"})


def _codes(labels: npt.ArrayLike, n: int, name: str) -> tuple[Codes, list[str]]:
    """Labels (n,) as whole numbers (n,) and what each stands for; refuses another length and missing labels.

    Numbered in sorted order, so that draws do not depend on the order of the photos, nor a group's on the others.
    """
    array = np.asarray(labels, dtype=object)
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}, expected ({n},): one label a photo")
    if missing := int(pd.isna(array).sum()):
        raise ValueError(f"{missing} of {n} {name} are missing: give each photo a label, or leave the photo out")
    codes, names = pd.factorize(array.astype(str).astype(object), sort=True)
    return codes, list(names)
