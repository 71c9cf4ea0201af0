"""How methods are measured: shares, medians, differences and ratios, each with its interval over whole clusters."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from geolib import evaluate
from postcards.methods import Answers, Method

Row = dict[str, Any]
Interval = tuple[float, float, float]  # value, low and high end

COUNTRY, REGION, CITY = "country_accuracy", "within_750_km", "within_25_km"
SAME = "no draw differs"  # why a difference is the same by construction
_WITHIN = (CITY, "within_200_km", REGION, "within_2500_km")


@dataclass(frozen=True)
class How:
    """How the report is made: `n_boot` draws of the intervals, at most `epochs` for heads, processes that draw."""

    seed: int = 0
    n_boot: int = 1000
    epochs: int | None = None
    workers: int = 1
    device: str = "cpu"
    progress: bool = False

    def note(self, text: str) -> None:
        """Print what is done now."""
        if self.progress:
            print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def clusters_of(photos: pd.DataFrame) -> pd.DataFrame:
    """Photographer and place of each postcard: what every interval resamples."""
    place = evaluate.places(photos["lat"], photos["lon"])
    return pd.DataFrame({"photographer": photos["photographer"], "place": place}, index=photos.index)


def score(methods: Sequence[Method], photos: pd.DataFrame, how: How) -> pd.DataFrame:
    """The table of methods on test postcards: country accuracy and `evaluate.compare`'s columns, with intervals."""
    clusters = clusters_of(photos)
    places = {str(number): (m.answers.lat, m.answers.lon) for number, m in enumerate(methods)}
    table = evaluate.compare(places, photos["lat"], photos["lon"], clusters, n_boot=how.n_boot, seed=how.seed)
    rows = []
    for method, (_, km) in zip(methods, table.iterrows(), strict=True):
        right = mean_interval(method.answers.country == photos["country"].to_numpy(), clusters, how)
        about = {
            "method": method.name,
            "captions": method.captions,
            "trained_on": method.trained_on,
            "training_photos": method.training_photos,
        }
        parts = {f"{name}_place": float(km[f"{name}_place"]) for name in _WITHIN}
        rows.append(about | _counts(clusters) | _numbers(right, km) | parts)
    return pd.DataFrame(rows)


def _counts(clusters: pd.DataFrame) -> Row:
    kinds = {f"{kind}s": int(clusters[kind].nunique()) for kind in clusters}
    return {"photos": len(clusters)} | kinds


def _numbers(country: Interval, km: pd.Series[Any]) -> Row:
    ends = ("", "_low", "_high")
    numbers = {f"{COUNTRY}{end}": value for end, value in zip(ends, country, strict=True)}
    return numbers | {f"{name}{end}": float(km[f"{name}{end}"]) for name in (*_WITHIN, "median_km") for end in ends}


def difference(a: Answers, b: Answers, photos: pd.DataFrame, how: How) -> Row:
    """Every number of `a` minus that of `b`, with intervals from a paired bootstrap and the word for each."""
    clusters, options = clusters_of(photos), {"n_boot": how.n_boot, "seed": how.seed}
    km = evaluate.difference((a.lat, a.lon), (b.lat, b.lon), photos["lat"], photos["lon"], clusters, **options).iloc[0]
    truth = photos["country"].to_numpy(dtype=object)
    gain = (a.country == truth).astype(np.float64) - (b.country == truth).astype(np.float64)
    row = _counts(clusters) | _numbers(mean_interval(gain, clusters, how), km)
    for name in (COUNTRY, *_WITHIN, "median_km"):
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        row[f"{name}_verdict"] = evaluate.verdict(low, high, same=SAME if low == high == 0 else "")
    return row


def mean_interval(values: npt.ArrayLike, clusters: pd.DataFrame, how: How) -> Interval:
    """Mean of values (n,) and its 95 % interval over whole clusters; NaN for its ends where there is one cluster."""
    row = evaluate.interval({"mean": values}, clusters, n_boot=how.n_boot, seed=how.seed).iloc[0]
    return float(row["share"]), float(row["share_low"]), float(row["share_high"])


def ratio_interval(a: npt.ArrayLike, b: npt.ArrayLike, clusters: pd.DataFrame, how: How) -> Interval:
    """Mean of `a` (n,) over the mean of `b` (n,), and its paired 95 % interval; NaN for the ends as `mean_interval`.

    Draws without either leave nothing to divide and are left out; without `b` alone the ratio is infinite.
    """
    both = np.stack([np.asarray(a, np.float64), np.asarray(b, np.float64)])
    draws = [both @ weights for weights in evaluate.bootstrap_weights(clusters, both.shape[1], how.n_boot, how.seed)]
    value, *others = (top / bottom if bottom else math.inf if top else math.nan for top, bottom in draws)
    if evaluate.one_alone(clusters, np.ones(both.shape[1], dtype=np.bool_)):
        return float(value), math.nan, math.nan
    low, high = np.nanquantile(
        others, [0.025, 0.975], method="nearest"
    )  # between infinite ends nothing is interpolated
    return float(value), float(low), float(high)
