"""Errors, thresholds and intervals: how wrong predictions are, and how certain that is.

Photographs of one photographer resemble each other, so a test set of n photos holds less evidence than n independent
ones. Every interval here is a 95 % percentile bootstrap (Efron and Tibshirani 1993, chapter 13) that resamples whole
photographers with replacement. Below about 20 photographers such intervals are a little too narrow: read them as lower
bounds of the uncertainty.

Arguments that many functions share: `clusters` (n,), the photographer of each photo, without which single photos are
resampled; `n_boot`, the number of resamples; `seed`, of the draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from geolib import sphere
from geolib.cells.nested import Partition
from geolib.countries import continent_of, country_of

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Coordinates = tuple[ArrayLike, ArrayLike]
Labels = ArrayLike | None
THRESHOLDS_KM = (1, 25, 200, 750, 2500)
SHARES = tuple(f"within_{km}_km" for km in THRESHOLDS_KM)
METRICS = (*SHARES, "median_km", "mean_km", "geoscore")
_MEDIAN = METRICS.index("median_km")


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
    """The threshold table of one method: predicted and true places in degrees, (n,), and each photo's group, (n,).

    Returns one row "all", then one per group in sorted order, each resampled from `seed` afresh. Columns: `photos`;
    `clusters`, the number of photographers; `interval`, what was resampled, in words; for each of `METRICS` (shares
    from 0 to 1, km, GeoScore from 0 to 5000) the value, `*_low` and `*_high`. One photographer alone allows no
    interval: NaN.

    >>> summary([0, 0, 0], [0, 1, 9], [0, 0, 0], [0, 0, 0], n_boot=9)["interval"].item()
    '95 % bootstrap over 3 photos'
    """
    values = _values([(lat, lon)], true_lat, true_lon)
    n = values.shape[1]
    if clusters is not None:
        _codes(clusters, n, "clusters")  # before they are divided: to refuse them whole
    parts = {"all": np.ones(n, dtype=bool)}
    if groups is not None:
        codes, names = _codes(groups, n, "groups")
        parts |= {name: codes == code for code, name in enumerate(names)}
    tables = []
    for name, mask in parts.items():
        people = None if clusters is None else np.asarray(clusters, dtype=object)[mask]
        tables.append(_table(*_resampled(values[:, mask], people, n_boot, seed), pd.Index([name], name="group")))
    return pd.concat(tables)


def photo_groups(true_lat: ArrayLike, true_lon: ArrayLike, tree: Partition) -> pd.DataFrame:
    """Groups of photos on which a geolocator may be better or worse than on average, one row per photo.

    Columns `continent` of the true place, "at sea" where it is on none, and `density`: training photos per km2 of its
    finest cell, in tenths of the training photos, "01 of 10" the sparsest.

    >>> from geolib.cells import GeocellTree
    >>> photo_groups([48.86], [2.35], GeocellTree.fit([50, -30], [0, 120], (2,), min_photos=1)).iloc[0].tolist()
    ['Europe', '08 of 10']
    """
    lat, lon = sphere.check_lat_lon(true_lat, true_lon)
    counts = tree.counts(-1)
    order = np.argsort(counts / tree.areas_km2(-1), kind="stable")
    middle = np.cumsum(counts[order]) - counts[order] / 2  # rank of the cell's middle photo: never beyond the last
    tenth = np.empty(len(counts), dtype=np.int64)
    tenth[order] = np.floor(10 * middle / counts.sum()) + 1
    return pd.DataFrame(
        {
            "continent": [continent_of(code) or "at sea" for code in country_of(lat, lon)],
            "density": [f"{number:02} of 10" for number in tenth[tree.assign(lat, lon)[:, -1]]],
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
    values = _values(list(predictions.values()), true_lat, true_lon)
    return _table(*_resampled(values, clusters, n_boot, seed), pd.Index(list(predictions), name="method"))


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
    replicates, drawn = _resampled(_values([a, b], true_lat, true_lon), clusters, n_boot, seed)
    return _table(replicates[:, :1] - replicates[:, 1:], drawn, pd.Index(["a - b"], name="method"))


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
    replicates, drawn = _resampled(np.stack(arrays)[..., None], clusters, n_boot, seed)
    return _table(replicates, drawn, pd.Index(list(values), name="what"), ["share"])


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
    tables = []
    for name, mask in ((name, np.asarray(mask, dtype=bool)) for name, mask in groups.items()):
        if array.ndim != 1 or mask.shape != array.shape or not np.isfinite(array).all() or mask.all() or not mask.any():
            raise ValueError(
                f"{name}: {mask.sum()} of {mask.size} photos against values {array.shape}: expected finite numbers, as "
                "many, and photos both in the group and outside it"
            )
        parts = np.stack([array * mask, mask, array * ~mask, ~mask], axis=-1)[None]
        replicates, drawn = _resampled(parts, clusters, n_boot, seed)
        inside, n_in, outside, n_out = replicates[(replicates[..., 1] != 0) & (replicates[..., 3] != 0)].T  # NaN stays
        gap = (inside / n_in - outside / n_out)[:, None, None]  # without draws that miss one side
        drawn["photos"] = int(mask.sum())
        tables.append(_table(gap, drawn, pd.Index([name], name="group"), ["gap"]))
    return pd.concat(tables)


def format_table(table: pd.DataFrame, *, signed: bool = False) -> pd.DataFrame:
    """The table as text for reading: `23.4 % [21.0, 25.9]`, `1,234 km [1,100, 1,402]`, `2,210 [2,105, 2,318]`.

    signed: for the row of `difference`: a plus before positive numbers, and percentage points.

    >>> format_table(compare({"a": ([0, 1], [0, 0])}, [0, 0], [0, 0], ["ann", "ann"]))["median"].to_dict()
    {'a': '56 km'}
    """
    out = pd.DataFrame(index=table.index)
    out["photos"] = table["photos"].map("{:,}".format)
    out["clusters"] = table["clusters"].map(lambda number: "-" if pd.isna(number) else f"{number:,}")
    sign = "+" if signed else ""
    for metric in METRICS:
        title, style, factor, unit = metric.removesuffix("_km"), f"{sign},.0f", 1, " km"
        if metric in SHARES:
            title, style, factor, unit = metric.replace("_", " "), f"{sign},.1f", 100, " points" if signed else " %"
        if metric == "geoscore":
            unit = ""
        ends = zip(*(factor * table[f"{metric}{end}"] for end in ("", "_low", "_high")), strict=True)
        # One photographer alone has no interval.
        out[title] = [
            f"{value:{style}}{unit}" + ("" if pd.isna(low) else f" [{low:{style}}, {high:{style}}]")
            for value, low, high in ends
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


def bootstrap_weights(clusters: Labels, n: int, n_boot: int, seed: int) -> Iterator[Codes]:
    """How often each of n photos is counted: once in the sample itself, then in `n_boot` draws of photographers.

    >>> [weights.tolist() for weights in bootstrap_weights(["ann", "ann", "bob"], 3, n_boot=2, seed=0)]
    [[1, 1, 1], [0, 0, 2], [1, 1, 1]]
    """
    if n_boot < 1:
        raise ValueError(f"n_boot={n_boot}: expected at least 1")
    codes = np.arange(n) if clusters is None else _codes(clusters, n, "clusters")[0]
    units, rng = int(codes.max()) + 1, np.random.default_rng(seed)
    yield np.ones(n, dtype=np.int64)
    for _ in range(n_boot):
        yield np.bincount(rng.integers(units, size=units), minlength=units)[codes]


def _values(places: Sequence[Coordinates], true_lat: ArrayLike, true_lon: ArrayLike) -> Array:
    """What each metric averages over photos (or takes the median of), (methods, n, metrics) in `METRICS`' order."""
    km = np.stack([errors_km(*place, true_lat, true_lon) for place in places])
    within = [km <= limit for limit in THRESHOLDS_KM]
    return np.stack([*within, km, km, sphere.geoscore(km)], axis=-1, dtype=np.float64)


def _resampled(values: Array, clusters: Labels, n_boot: int, seed: int) -> tuple[Array, dict[str, Any]]:
    """Metrics of the sample itself and of its bootstrap draws, (1 + n_boot, methods, metrics), and what was drawn."""
    methods, n, metrics = values.shape
    km = values[..., _MEDIAN] if metrics == len(METRICS) else values[:0, :, 0]  # other tables have no median
    orders = np.argsort(km, axis=1)
    out = np.empty((1 + n_boot, methods, metrics))
    for draw, weights in enumerate(bootstrap_weights(clusters, n, n_boot, seed)):
        out[draw] = weights @ values / weights.sum()
        for method, order in enumerate(orders):
            out[draw, method, _MEDIAN] = weighted_median(km[method, order], weights[order])
    units = n if clusters is None else len(np.unique(np.asarray(clusters, dtype=str)))
    if units == 1:
        out[1:] = np.nan
    drawn = "95 % bootstrap over" if units > 1 else "none, nothing to draw from:"
    what = f"{units:,} {'photo' if clusters is None else 'photographer'}{'s' * (units > 1)}"
    return out, {"photos": n, "clusters": None if clusters is None else units, "interval": f"{drawn} {what}"}


def _table(
    replicates: Array, drawn: dict[str, Any], index: pd.Index[str], metrics: Sequence[str] = METRICS
) -> pd.DataFrame:
    """Value, low and high end of each metric, from replicates (1 + n_boot, rows, metrics), values first."""
    ends = {"": replicates[0]}
    ends["_low"], ends["_high"] = np.quantile(replicates[1:], [0.025, 0.975], axis=0)
    columns = {metric + end: ends[end][:, number] for number, metric in enumerate(metrics) for end in ends}
    return pd.DataFrame(drawn | columns, index=index).astype({"clusters": "Int64"})


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
