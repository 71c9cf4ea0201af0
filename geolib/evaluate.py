"""Errors, thresholds, intervals and verdicts: how wrong predictions are, and how certain that is.

Photos of one photographer resemble each other, and so do photos of one place. A test set of n photos therefore holds
less evidence than n independent ones. Every interval here is a 95 % percentile bootstrap (Efron and Tibshirani 1993,
chapter 13) that resamples whole clusters with replacement: photographers and places, both at once. The weight of a
photo is how often its photographer was drawn times how often its place was (the pigeonhole bootstrap: Owen, Annals of
Applied Statistics 1, 2007; the problem: Cameron, Gelbach and Miller 2011). Such intervals are rather too wide than too
narrow where most photographers have a place of their own, and too narrow below about 20 photographers or places.

Arguments that many functions share: `clusters`, the label of each photo (n,), of one kind (photographers) or of several
({"photographer": (n,), "place": (n,)}, a mapping or DataFrame, as `Dataset.clusters` gives); `n_boot`, the number of
resamples; `seed`, of the draws. `summary`, `compare` and `difference` know the true places and add the kind "place".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from geolib import sphere

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Coordinates = tuple[ArrayLike, ArrayLike]
Clusters = ArrayLike | Mapping[str, ArrayLike] | pd.DataFrame
THRESHOLDS_KM = (1, 25, 200, 750, 2500)
SHARES = tuple(f"within_{km}_km" for km in THRESHOLDS_KM)
METRICS = (*SHARES, "median_km", "mean_km", "geoscore")
_MEDIAN = METRICS.index("median_km")
LARGE_PLACE = 0.2  # part of a share from which on tables name it


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


def places(lat: ArrayLike, lon: ArrayLike, radius_km: float = 25.0) -> Codes:
    """Number of the place of each photo, (n,): discs that hold the photos (n,), given in degrees.

    The photo with the most others within `radius_km` is the centre of place 0, which holds all of these; the next
    that is in no place yet is the centre of place 1, and so on. Among equals the most southern comes first, then the
    most western, so the order of the photos does not matter.

    >>> places([48.86, 51.51, 48.80, 51.50], [2.35, -0.13, 2.30, -0.12])  # Paris, London, Paris, London
    array([0, 1, 0, 1])
    """
    lat, lon = sphere.check_lat_lon(lat, lon)
    if not 0 < radius_km < np.pi * sphere.EARTH_RADIUS_KM:
        raise ValueError(f"radius_km={radius_km}: expected more than 0 and less than half the way around the Earth")
    points, chord = sphere.unit_vectors(lat, lon), sphere.chord(radius_km)
    tree, out, number = cKDTree(points), np.full(len(lat), -1, dtype=np.int64), 0
    near = tree.query_ball_point(points, chord, return_length=True)
    for photo in np.lexsort((lon, lat, -near)):
        if out[photo] < 0:
            inside = np.array(tree.query_ball_point(points[photo], chord))
            out[inside[out[inside] < 0]] = number
            number += 1
    return out


def summary(
    lat: ArrayLike,
    lon: ArrayLike,
    true_lat: ArrayLike,
    true_lon: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    clusters: Clusters,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """The threshold table of one method: predicted and true places in degrees, (n,), and each photo's group, (n,).

    Returns one row "all", then one per group in sorted order, each resampled from `seed` afresh. Columns: `photos`;
    `clusters`, the number of photographers; `interval`, what was resampled, in words; for each of `METRICS` (shares
    from 0 to 1, km, GeoScore from 0 to 5000) the value, `*_low` and `*_high`; for each share `within_*_km_place`, the
    part of these hits that comes from the largest single place (NaN without hits). One photographer or one place alone
    allows no interval: NaN.

    >>> who = ["ann", "ann", "bob"]
    >>> summary([0, 0, 0], [0, 1, 9], [0, 0, 0], [0, 0, 9], clusters=who, n_boot=9)["interval"].item()
    '95 % bootstrap over 2 photographers and 2 places'
    """
    at = np.stack(sphere.check_lat_lon(true_lat, true_lon))
    n = at.shape[1]
    values, medians = _values([(lat, lon)], *at)
    kinds = {kind: np.asarray(labels, dtype=object) for kind, labels in kinds_of(clusters).items()}
    for kind, labels in kinds.items():
        _codes(labels, n, kind)  # before they are divided: to refuse them whole
    tables = []
    for name, mask in parts_of(groups, n).items():
        own = _with_places({kind: labels[mask] for kind, labels in kinds.items()}, *at[:, mask])
        drawn = _resampled(values[:, mask], own, n_boot, seed, [km[:, mask] for km in medians])
        tables.append(_table(*drawn, pd.Index([name], name="group")).assign(**_largest(values[:, mask], own["place"])))
    return pd.concat(tables)


def compare(
    predictions: Mapping[str, Coordinates],
    true_lat: ArrayLike,
    true_lon: ArrayLike,
    clusters: Clusters,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """`summary`'s columns, one row per method of `predictions` {name: (lat, lon)}, on the same photos and draws.

    A method that was trained with several seeds gives (lat, lon) of shape (seeds, n): its numbers are means over seeds.

    >>> compare({"a": ([0, 1], [0, 0]), "b": ([0, 9], [0, 0])}, [0, 0], [0, 0], ["ann", "bob"])["mean_km"].round(1)
    method
    a     55.6
    b    500.4
    Name: mean_km, dtype: float64
    """
    values, medians = _values(list(predictions.values()), true_lat, true_lon)
    kinds = _with_places(kinds_of(clusters), true_lat, true_lon)
    table = _table(*_resampled(values, kinds, n_boot, seed, medians), pd.Index(list(predictions), name="method"))
    return table.assign(**_largest(values, kinds["place"]))


def difference(
    a: Coordinates,
    b: Coordinates,
    true_lat: ArrayLike,
    true_lon: ArrayLike,
    clusters: Clusters,
    *,
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Each metric of method `a` minus method `b`, one row, with intervals from a paired bootstrap.

    Both are scored on the same draws, so what makes a photo hard for both cancels. This interval, not the overlap of
    two, says whether one method is better: `verdict` puts it into a word. Several seeds as in `compare`.

    >>> difference(([0, 1], [0, 0]), ([0, 9], [0, 0]), [0, 0], [0, 0], ["ann", "bob"])["mean_km"].round(1).tolist()
    [-444.8]
    """
    values, medians = _values([a, b], true_lat, true_lon)
    kinds = _with_places(kinds_of(clusters), true_lat, true_lon)
    replicates, drawn = _resampled(values, kinds, n_boot, seed, medians)
    return _table(replicates[:, :1] - replicates[:, 1:], drawn, pd.Index(["a - b"], name="method"))


def verdict(low: float, high: float, *, same: str = "") -> str:
    """What the interval of a paired difference says: "more", "less", "undecided" or "same by construction".

    same: why both sides must be equal, where they are: an identity is no measurement. Without an interval (NaN) nothing
    is decided. Raises `ValueError` for a difference of exactly 0 in all draws without this reason, for a reason beside
    a difference, and for ends that are exchanged.

    >>> verdict(0.3, 4.1), verdict(-9, -2), verdict(-1, 4), verdict(0, 0, same="the heads share nothing")
    ('more', 'less', 'undecided', 'same by construction')
    """
    if low > high:
        raise ValueError(f"low {low} is above high {high}: expected the ends of an interval in order")
    if bool(same) != (low == high == 0):
        wrong = f"the reason {same!r} for a difference of {low} to {high}" if same else "exactly 0 in all draws"
        raise ValueError(f"{wrong}: expected `same`, why both must be equal, where the difference is 0 and only there")
    return "same by construction" if same else "more" if low > 0 else "less" if high < 0 else "undecided"


def interval(values: Mapping[str, ArrayLike], clusters: Clusters, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Mean of each of `values` {name: (n,)} over the photos, one row per name: `share`, `*_low`, `*_high`, counts.

    True and false give a share; the difference of two such columns gives a paired difference, as all rows are scored
    on the same draws. Raises `ValueError` for nothing to average, NaN, infinity, and values of other lengths.

    >>> interval({"right": [True, True, False, True]}, ["ann", "ann", "bob", "cy"])["share"].to_dict()
    {'right': 0.75}
    """
    arrays = [np.asarray(value, dtype=np.float64) for value in values.values()]
    n = arrays[0].size if arrays else 0
    if not n or any(array.shape != (n,) or not np.isfinite(array).all() for array in arrays):
        shapes = [array.shape for array in arrays]
        raise ValueError(f"{list(values)} of shapes {shapes}: expected a finite number per photo, (n,)")
    replicates, drawn = _resampled(np.stack(arrays)[..., None], kinds_of(clusters), n_boot, seed)
    return _table(replicates, drawn, pd.Index(list(values), name="what"), ["share"])


def gaps(
    values: ArrayLike, groups: Mapping[str, ArrayLike], clusters: Clusters, *, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Mean of `values` (n,) over the photos in a group minus their mean over all others: `gap`, `gap_low`, `gap_high`.

    groups: {name: which photos, bool (n,)}, one row per name; they may overlap. A cluster is drawn with the photos on
    both sides. Where a side has the photos of one cluster alone there is no interval: NaN. Raises `ValueError` for
    other lengths, NaN, and a group that holds no photo or every one.

    >>> gaps([1, 1, 0, 0], {"night": [False, False, True, True]}, list("abcd"), n_boot=50)["gap"].to_dict()
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
        replicates, drawn = _resampled(parts, kinds_of(clusters), n_boot, seed)
        if one_alone(clusters, mask) or one_alone(clusters, ~mask):
            replicates[1:] = np.nan
        inside, n_in, outside, n_out = replicates[(replicates[..., 1] != 0) & (replicates[..., 3] != 0)].T  # NaN stays
        gap = (inside / n_in - outside / n_out)[:, None, None]  # without draws that miss one side
        drawn["photos"] = int(mask.sum())
        tables.append(_table(gap, drawn, pd.Index([name], name="group"), ["gap"]))
    return pd.concat(tables)


def format_table(table: pd.DataFrame, *, signed: bool = False, noun: str = "photos") -> pd.DataFrame:
    """The table as text for reading: `23.4 % [21.0, 25.9]`, `1,234 km [1,100, 1,402]`, `2,210 [2,105, 2,318]`.

    Where more than a fifth of a share comes from one place, that part follows: `23.4 % [21.0, 25.9], 46 % of it one
    place`. signed: for the row of `difference`: a plus before positive numbers, and percentage points. noun: the name
    of the column that counts, as `Dataset.noun` gives it.

    >>> format_table(compare({"a": ([0, 1], [0, 0])}, [0, 0], [0, 0], ["ann", "ann"]))["median"].to_dict()
    {'a': '56 km'}
    """
    out = pd.DataFrame(index=table.index)
    out[noun] = table["photos"].map("{:,}".format)
    out["clusters"] = table["clusters"].map("{:,}".format)
    sign = "+" if signed else ""
    for metric in METRICS:
        title, style, factor, unit = metric.removesuffix("_km"), f"{sign},.0f", 1, " km"
        if metric in SHARES:
            title, style, factor, unit = metric.replace("_", " "), f"{sign},.1f", 100, " points" if signed else " %"
        if metric == "geoscore":
            unit = ""
        ends = zip(*(factor * table[f"{metric}{end}"] for end in ("", "_low", "_high")), strict=True)
        cells = [
            f"{value:{style}}{unit}" + ("" if pd.isna(low) else f" [{low:{style}}, {high:{style}}]")  # one alone
            for value, low, high in ends
        ]
        if f"{metric}_place" in table:
            cells = [cell + one_place(part) for cell, part in zip(cells, table[f"{metric}_place"], strict=True)]
        out[title] = cells
    return out


def one_place(part: float | None) -> str:
    """What follows a share of which a large `part` comes from one place; "" for a small or an unknown part.

    >>> one_place(0.46), one_place(0.1)
    (', 46 % of it one place', '')
    """
    return f", {100 * part:.0f} % of it one place" if part is not None and part > LARGE_PLACE else ""


def weighted_median(ordered: Array, weights: Codes) -> float:
    """`np.median(np.repeat(ordered, weights))` for ascending `ordered` (n,), without repeating anything.

    >>> weighted_median(np.array([1.0, 2.0, 9.0]), np.array([1, 0, 3]))
    9.0
    """
    seen = np.cumsum(weights)
    middle = np.searchsorted(seen, [(seen[-1] - 1) // 2, seen[-1] // 2], side="right")
    return float(ordered[middle].mean())


def bootstrap_weights(clusters: Clusters, n: int, n_boot: int, seed: int) -> Iterator[Codes]:
    """How often each of n photos is counted: once in the sample itself, then in `n_boot` draws of all clusters.

    With several kinds of clusters the counts are multiplied. A draw that leaves no photo is repeated.

    >>> [weights.tolist() for weights in bootstrap_weights(["ann", "ann", "bob"], 3, n_boot=2, seed=0)]
    [[1, 1, 1], [0, 0, 2], [1, 1, 1]]
    """
    if n_boot < 1:
        raise ValueError(f"n_boot={n_boot}: expected at least 1")
    kinds = [_codes(labels, n, kind)[0] for kind, labels in kinds_of(clusters).items()]
    sizes, rng = [int(codes.max()) + 1 for codes in kinds], np.random.default_rng(seed)
    yield np.ones(n, dtype=np.int64)
    for _ in range(n_boot):
        weights = np.zeros(n, dtype=np.int64)
        while not weights.any():
            weights = np.ones(n, dtype=np.int64)
            for codes, size in zip(kinds, sizes, strict=True):
                weights *= np.bincount(rng.integers(size, size=size), minlength=size)[codes]
        yield weights


def parts_of(groups: ArrayLike | None, n: int) -> dict[str, NDArray[np.bool_]]:
    """Which of n photos each row of a table is about, bool (n,): "all", then each group (n,) in sorted order."""
    codes, names = (np.empty(0), []) if groups is None else _codes(groups, n, "groups")
    if "all" in names:
        raise ValueError('a group is called "all", as is the row of all photos: give it another name')
    return {"all": np.ones(n, dtype=np.bool_)} | {name: codes == code for code, name in enumerate(names)}


def one_alone(clusters: Clusters, inside: NDArray[np.bool_]) -> bool:
    """Whether the photos `inside`, bool (n,), are of one photographer or one place: no draw tells about another."""
    kinds = (np.asarray(labels, dtype=object)[inside] for labels in kinds_of(clusters).values())
    return any(len(set(map(str, labels))) == 1 for labels in kinds)


def kinds_of(clusters: Clusters) -> dict[str, ArrayLike]:
    """The labels by kind; a single array holds photographers."""
    kinds = dict(clusters) if isinstance(clusters, Mapping | pd.DataFrame) else {"photographer": clusters}
    if not kinds or any(labels is None for labels in kinds.values()):
        raise ValueError("no clusters: expected a label per photo, (n,), such as its photographer's name")
    return {str(kind): labels for kind, labels in kinds.items()}


def _with_places(kinds: Mapping[str, ArrayLike], lat: ArrayLike, lon: ArrayLike) -> dict[str, ArrayLike]:
    return {**kinds, "place": kinds["place"] if "place" in kinds else places(lat, lon)}


def _values(answers: Sequence[Coordinates], true_lat: ArrayLike, true_lon: ArrayLike) -> tuple[Array, list[Array]]:
    """What each metric averages over photos, (methods, n, metrics) in `METRICS`' order, and errors (seeds, n) in km."""
    errors = []
    for lat, lon in ((np.atleast_2d(lat), np.atleast_2d(lon)) for lat, lon in answers):
        if lat.shape != lon.shape:
            raise ValueError(f"predicted lat {lat.shape}, lon {lon.shape}: expected one shape, (n,) or (seeds, n)")
        errors.append(np.stack([errors_km(*one, true_lat, true_lon) for one in zip(lat, lon, strict=True)]))
    rows = []
    for km in errors:
        within = [km <= limit for limit in THRESHOLDS_KM]
        rows.append(np.stack([*within, km, km, sphere.geoscore(km)], axis=-1, dtype=np.float64).mean(axis=0))
    return np.stack(rows), errors


def _largest(values: Array, place: ArrayLike) -> dict[str, Array]:
    """For each share the part of its hits that comes from the place with the most of them, (methods,)."""
    codes, out = _codes(place, values.shape[1], "place")[0], {}
    for number, name in enumerate(SHARES):
        hits = [np.bincount(codes, weights=method[:, number]) for method in values]
        out[f"{name}_place"] = np.array([one.max() / one.sum() if one.any() else np.nan for one in hits])
    return out


def _resampled(
    values: Array, kinds: Mapping[str, ArrayLike], n_boot: int, seed: int, errors: Sequence[Array] = ()
) -> tuple[Array, dict[str, Any]]:
    """Metrics of the sample itself and of its bootstrap draws, (1 + n_boot, methods, metrics), and what was drawn.

    `errors` (seeds, n) of each method are for the median, which is no mean over photos.
    """
    methods, n, metrics = values.shape
    orders = [np.argsort(km, axis=1) for km in errors]
    out = np.empty((1 + n_boot, methods, metrics))
    for draw, weights in enumerate(bootstrap_weights(kinds, n, n_boot, seed)):
        out[draw] = weights @ values / weights.sum()
        for method, (km, order) in enumerate(zip(errors, orders, strict=True)):
            medians = [weighted_median(a[o], weights[o]) for a, o in zip(km, order, strict=True)]
            out[draw, method, _MEDIAN] = np.mean(medians)
    units = {kind: len(_codes(labels, n, kind)[1]) for kind, labels in kinds.items()}
    what = " and ".join(f"{count:,} {kind}{'s' * (count > 1)}" for kind, count in units.items())
    if 1 in units.values():
        out[1:] = np.nan
    drawn = "none, nothing to draw from:" if 1 in units.values() else "95 % bootstrap over"
    return out, {"photos": n, "clusters": next(iter(units.values())), "interval": f"{drawn} {what}"}


def _table(
    replicates: Array, drawn: dict[str, Any], index: pd.Index[str], metrics: Sequence[str] = METRICS
) -> pd.DataFrame:
    """Value, low and high end of each metric, from replicates (1 + n_boot, rows, metrics), values first."""
    ends = {"": replicates[0]}
    ends["_low"], ends["_high"] = np.quantile(replicates[1:], [0.025, 0.975], axis=0)
    columns = {metric + end: ends[end][:, number] for number, metric in enumerate(metrics) for end in ends}
    return pd.DataFrame(drawn | columns, index=index)


def _codes(labels: ArrayLike, n: int, name: str) -> tuple[Codes, list[str]]:
    """Labels (n,) as whole numbers (n,) and what each stands for. Refuses another length and missing labels.

    Numbered in sorted order, so that draws do not depend on the order of the photos, nor a group's on the others.
    """
    array = np.asarray(labels, dtype=object)
    if array.shape != (n,):
        raise ValueError(f"labels {name!r} have shape {array.shape}, expected ({n},): one label per photo")
    if missing := int(pd.isna(array).sum()):
        raise ValueError(f"{missing} of {n} labels {name!r} are missing: give each photo one, or leave the photo out")
    codes, names = pd.factorize(array.astype(str).astype(object), sort=True)
    return codes, list(names)
