"""The goals of the encoder, each with its value, its interval, and by how much it is missed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial import cKDTree

from geolib import evaluate, sphere
from postcards.measures import How, Interval, Row, clusters_of, mean_interval, ratio_interval, score
from postcards.methods import (
    CEILING,
    HEADLINE,
    LINEAR_HEADS,
    NEIGHBOUR,
    PIXELS,
    PROBED,
    PROMPTED,
    Answers,
    Key,
    Mask,
    Method,
)

# Facts that should be read at least halfway from chance to the ceiling.
FACTS = (
    "driving side", "centre line", "edge line", "rear plate", "front plate", "plate shape", "language", "script",
    "shield form", "shield ground", "architecture",
)  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What a goal asks for: at least, or at most, a share, a number of times, or km."""

    goal: str
    side: str
    target: float
    unit: str  # "%", "times" or "km"
    at_least: bool = True

    def row(self, found: Interval | None, note: str = "") -> Row:
        """The goal with its value and interval, whether the value reaches it, and by how much it is missed."""
        out: Row = {"goal": self.goal, "side": self.side, "target": self.target, "unit": self.unit, "note": note}
        out["at_least"] = self.at_least
        if found is None:
            return out | dict.fromkeys(("value", "value_low", "value_high", "reached", "missed_by", "verdict"))
        value, low, high = found
        missed = (self.target - value) * (1 if self.at_least else -1)
        far = low - self.target, high - self.target
        word = "" if math.isnan(low) else "undecided" if far == (0, 0) else evaluate.verdict(*far)
        out |= {"value": value, "value_low": low, "value_high": high}
        return out | {"reached": missed <= 0, "missed_by": max(missed, 0.0), "verdict": word}


@dataclass(frozen=True)
class _Asked:
    """The answers to the test postcards, training postcards, and how intervals are drawn."""

    answers: Mapping[Key, Answers]
    test: pd.DataFrame
    train: pd.DataFrame
    how: How

    def on(self, side: str) -> pd.DataFrame:
        """The postcards of a test side."""
        return self.test[self.mask(side)]

    def mask(self, side: str) -> Mask:
        """Which test postcards are on a side."""
        return (self.test["split"] == side).to_numpy()

    def km(self, key: Key, side: str) -> npt.NDArray[np.float64]:
        """How far from the truth a method's answers on a side are."""
        said, photos = self.answers[key].at(self.mask(side)), self.on(side)
        return evaluate.errors_km(said.lat, said.lon, photos["lat"], photos["lon"])


def goals(
    methods: Sequence[Method], test: pd.DataFrame, train: pd.DataFrame, probed: Sequence[Row], how: How
) -> list[Row]:
    """The goals in the order of the page. One that cannot be measured, for lack of a side or a fact, has no value.

    test, train: photo tables; the answers of `methods` are to all of `test`.  probed: rows of `probe.probe`.
    """
    asked = _Asked({method.key: method.answers for method in methods}, test, train, how)
    out = [_one_place(asked), _apart(asked)]
    for side in ("test_balanced", "test_places"):
        out += [_over(asked, side, PIXELS, "thumbnails", 2.0), _over(asked, side, CEILING, "the ceiling", 0.5)]
    out += [_country(asked, "country named", HEADLINE, 0.5), _landmarks(asked), _median(asked)]
    out += [_read(fact, probed) for fact in FACTS]
    return [*out, _country(asked, "country named by prompts, without training", PROMPTED, 0.3)]


def _unmeasured(target: Target) -> Row:
    return target.row(None, "there is nothing to measure it on")


def _one_place(asked: _Asked) -> Row:
    """The largest place's part of the nearest neighbour's hits; its interval is that of this very place's part."""
    target = Target("largest place's part of the nearest neighbour's hits within 25 km", "test", 0.2, "%", False)
    photos = asked.on("test")
    if photos.empty or not (hits := asked.km(NEIGHBOUR, "test") <= 25).any():
        return _unmeasured(target)
    clusters = clusters_of(photos)[hits]
    largest = clusters["place"].value_counts(sort=False).sort_index().idxmax()
    return target.row(mean_interval(clusters["place"] == largest, clusters, asked.how), f"{hits.sum():,} hits")


def _apart(asked: _Asked) -> Row:
    """The smallest distance between a postcard of `test_places` and one of training."""
    target = Target("smallest distance to a training postcard", "test_places", 50.0, "km")
    if (photos := asked.on("test_places")).empty:
        return _unmeasured(target)
    points, others = (sphere.unit_vectors(table["lat"], table["lon"]) for table in (photos, asked.train))
    km = sphere.chord_km(cKDTree(others).query(points)[0])
    return target.row((float(np.min(km)), math.nan, math.nan))


def _over(asked: _Asked, side: str, other: Key, name: str, least: float) -> Row:
    """The headline's share within 750 km over that of another method."""
    target = Target(f"share within 750 km, over that of {name}", side, least, "times")
    if (photos := asked.on(side)).empty:
        return _unmeasured(target)
    near, others = (asked.km(key, side) <= 750 for key in (HEADLINE, other))
    note = f"{100 * near.mean():.1f} % over {100 * others.mean():.1f} %"
    if not others.any():
        return _unmeasured(target)
    return target.row(ratio_interval(near, others, clusters_of(photos), asked.how), note)


def _country(asked: _Asked, what: str, key: Key, least: float) -> Row:
    target, side = Target(what, "test_balanced", least, "%"), "test_balanced"
    if (photos := asked.on(side)).empty:
        return _unmeasured(target)
    right = asked.answers[key].at(asked.mask(side)).country == photos["country"].to_numpy(dtype=object)
    return target.row(mean_interval(right, clusters_of(photos), asked.how))


def _landmarks(asked: _Asked) -> Row:
    """Scenes of `test` whose landmark a training postcard shows."""
    target, photos = Target("within 25 km, where training shows the landmark", "test", 0.5, "%"), asked.on("test")
    shown = set(asked.train.loc[asked.train["cue_landmark"], "landmark_id"])
    known = (photos["cue_landmark"] & photos["landmark_id"].isin(shown)).to_numpy()
    if not known.any():
        return _unmeasured(target)
    near, linear, neighbour = (asked.km(key, "test")[known] <= 25 for key in (HEADLINE, LINEAR_HEADS, NEIGHBOUR))
    note = f"{known.sum():,} postcards; linear heads {100 * linear.mean():.1f} %, "
    note += f"nearest neighbour {100 * neighbour.mean():.1f} %"
    return target.row(mean_interval(near, clusters_of(photos[known]), asked.how), note)


def _median(asked: _Asked) -> Row:
    target, photos = Target("median error", "test", 500.0, "km", at_least=False), asked.on("test")
    if photos.empty:
        return _unmeasured(target)
    said = asked.answers[HEADLINE].at(asked.mask("test"))
    row = score([Method(*HEADLINE, 0, said)], photos, asked.how).iloc[0]
    value, low, high = (float(row[f"median_km{end}"]) for end in ("", "_low", "_high"))
    return target.row((value, low, high))


def _read(fact: str, probed: Sequence[Row]) -> Row:
    """How far a probe comes from chance to the ceiling."""
    target = Target(f"{fact} read, from chance to the ceiling", PROBED, 0.5, "%")
    row = next((row for row in probed if row["fact"] == fact and row["side"] == PROBED), None)
    if row is None:
        return _unmeasured(target)
    rest = max(row["ceiling"] - row["chance"], 1e-9)
    low, high = ((row[end] - row["chance"]) / rest for end in ("low", "high"))
    note = f"{100 * row['encoder']:.0f} % right, chance {100 * row['chance']:.0f} %"
    return target.row((row["way"], low, high), note)
