"""The methods that the ablation compares: each row of `ROWS` changes one part of the row that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from geolib.cells import Partition
from geolib.cells.kinds import fit_partition
from geolib.datasets.splits import Photos
from geolib.decoding import decode, decode_points
from geolib.fusion import fuse
from geolib.heads import HierarchicalHeads, TrainOptions, predict_logits, train_heads
from geolib.judge.calibrate import fit_fusion
from geolib.predict import cells_for
from geolib.refine.offsets import train_offsets
from geolib.refine.photos import fit_photo_posterior, fit_weight, photo_posterior, refine
from geolib.refine.prototypes import cell_prototypes, refine_prototypes
from geolib.retrieve import NearestNeighbour, constant_guess
from geolib.sphere import FloatArray, geoscore, haversine_km

Answers = dict[str, tuple[FloatArray, FloatArray]]  # side of the split -> (lat, lon) of its photos, degrees
Posteriors = dict[str, npt.NDArray[np.float32]]  # side of the split -> (n, n_finest)
Chosen = dict[str, Any]  # the settings that the calibration photos chose
Result = tuple[Answers, Chosen]
Made = TypeVar("Made")
ARTICLE = "+ consistency filter"
_BALANCED = "train_balanced"  # training photos spread over land and people, where a dataset has them
_ONE_HEAD: dict[str, Any] = {"rule": "leaf", "leaf_sums": True}
_HIDDEN: dict[str, Any] = {"hidden": 512, "lr": 1e-3}
# Fusion rules on smoothed heads, and the options of their heads.
_FUSIONS: dict[str, dict[str, Any]] = {
    "consistency filter": {"rule": "consistency"},
    "product rule": {"rule": "product"},
    "product rule, fitted": {"rule": "product"},
    "leaf sums": _ONE_HEAD,
}


@dataclass(frozen=True)
class Row:
    """A method: the row that it changes (`against`), its function, what it does (`says`), the side that it `needs`.

    `same` is why it may answer exactly as the row that it changes; a `headline` row is trained with five seeds.
    """

    name: str
    against: str
    answer: Callable[[Bench], Result]
    says: str
    needs: str = "train"
    same: str = ""
    headline: bool = False


@dataclass(eq=False)
class Bench:
    """The sides of a split, as `split_photos` returns them, and what was fitted so far: rows share trained heads."""

    parts: Mapping[str, Photos]
    seed: int = 0
    epochs: int = 30
    device: str = "auto"
    _made: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.train, self.calibration = self.parts["train"], self.parts["calibration"]
        self.tests = sorted(side for side in self.parts if side.startswith("test"))

    def each_side(self, answer: Callable[[str, npt.NDArray[Any]], Made]) -> dict[str, Made]:
        """`answer(side, vectors)` for the test sides and the calibration side."""
        return {side: answer(side, self.parts[side].vectors) for side in (*self.tests, "calibration")}

    def once(self, key: str, make: Callable[[], Made]) -> Made:
        """The result of `make`, which is called only the first time for this key."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made

    def gallery(self) -> NearestNeighbour:
        """The training photos, to search in."""
        return self.once("gallery", lambda: NearestNeighbour(*self.train[:3]))

    def tree(self, kind: str = "quadtree") -> Partition:
        """Cells: "quadtree", "flat" (only its finest level) or "semantic"."""
        levels = cells_for(len(self.train.ids))
        drawn, levels = ("quadtree", levels[-1:]) if kind == "flat" else (kind, levels)
        return self.once(f"tree {kind}", lambda: fit_partition(drawn, *self.train[1:3], levels, self.seed))

    def heads(self, kind: str = "quadtree", **options: Any) -> HierarchicalHeads:
        """Heads on cells of a kind; `options` are fields of `TrainOptions`."""

        def fit() -> HierarchicalHeads:
            photos, held_out = (*self.train[:3], self.tree(kind)), self.calibration[:3]
            how = TrainOptions(epochs=self.epochs, **options)
            return train_heads(*photos, calibration=held_out, options=how, device=self.device, seed=self.seed)[0]

        return self.once(f"heads {kind} {sorted(options.items())}", fit)

    def fuse(self, rule: str, kind: str = "quadtree", fusion: Chosen | None = None, **options: Any) -> Posteriors:
        """The posterior of every side; `fusion` are further arguments of `geolib.fuse`, `options` of `heads`."""
        heads, tree = self.heads(kind, **options), self.tree(kind)
        return self.each_side(lambda _, x: fuse(predict_logits(heads, x), tree, rule, **(fusion or {})))

    def decode(self, posteriors: Posteriors, rule: str = "argmax", kind: str = "quadtree") -> Answers:
        """The answers of a decoding rule on every side."""
        return {side: decode(posterior, self.tree(kind), rule) for side, posterior in posteriors.items()}

    def score(self, answers: Answers) -> float:
        """Mean GeoScore of the calibration photos: every choice is made by it."""
        km = haversine_km(*answers["calibration"], self.calibration.lat, self.calibration.lon)
        return float(geoscore(km).mean())

    def best(self, options: Iterable[Any], answer: Callable[[Any], Answers]) -> tuple[Any, Answers]:
        """The option whose answers score best on the calibration photos, the first of equals, and its answers."""
        return max(((option, answer(option)) for option in options), key=lambda pair: self.score(pair[1]))


# Baselines


def _prior(bench: Bench) -> Result:
    lat, lon = constant_guess(bench.train.lat, bench.train.lon)
    return bench.each_side(lambda _, x: (np.full(len(x), lat), np.full(len(x), lon))), {"lat": lat, "lon": lon}


def _neighbour(bench: Bench) -> Result:
    return bench.each_side(lambda _, x: bench.gallery().predict_vectors(x)), {}


# Heads and fusion


def _fixed(bench: Bench, decoding: str = "argmax", kind: str = "quadtree", **how: Any) -> Result:
    """A method without choices; `how` are arguments of `Bench.fuse`."""
    return bench.decode(bench.fuse(kind=kind, **how), decoding, kind), {}


def _equal_weights(bench: Bench) -> Result:
    return _fixed(bench, rule="finest", smoothing_km=None, level_weights=(1.0,) * bench.tree().n_levels)


def _smoothing(bench: Bench) -> Result:
    """The smoothing that is best for the finest head: none, PIGEON's, wider ones, or each cell's own."""

    def answer(tau: Any) -> Answers:
        return bench.decode(bench.fuse("finest", smoothing_km=tau))

    tried = [None, "auto", *((km,) * bench.tree().n_levels for km in (75.0, 150.0, 300.0))]
    tau, answers = bench.once("smoothing", lambda: bench.best(tried, answer))
    return answers, {"smoothing_km": tau}


def _posteriors(bench: Bench, fusion: str) -> tuple[Posteriors, Chosen]:
    """The posteriors of one of `_FUSIONS`, and their settings."""

    def fit() -> tuple[Posteriors, Chosen]:
        chosen, fitted, known, tree = _smoothing(bench)[1], {}, bench.calibration, bench.tree()
        if fusion == "product rule, fitted":
            logits = predict_logits(bench.heads(**chosen), known.vectors)
            fitted = fit_fusion(logits, tree.assign(known.lat, known.lon), tree)
        return bench.fuse(fusion=fitted, **_FUSIONS[fusion], **chosen), chosen | fitted

    return bench.once(f"posteriors {fusion}", fit)


def _fused(bench: Bench, fusion: str) -> Result:
    posteriors, chosen = _posteriors(bench, fusion)
    return bench.decode(posteriors), chosen


# Decoding and refinement, on the posteriors that are best on the calibration photos


def _best_posteriors(bench: Bench, decoding: str = "argmax") -> tuple[Posteriors, Chosen]:
    """The posteriors that are best for a decoding rule, and their name."""

    def answer(fusion: str) -> Answers:
        return bench.decode(_posteriors(bench, fusion)[0], decoding)

    name = bench.once(f"best for {decoding}", lambda: bench.best(_FUSIONS, answer)[0])
    return _posteriors(bench, name)[0], {"posterior": name}


def _decoded(bench: Bench, rule: str, best_for: str = "argmax") -> Result:
    posteriors, chosen = _best_posteriors(bench, best_for)
    return bench.decode(posteriors, rule), chosen


def _offsets(bench: Bench) -> Result:
    posteriors, chosen = _best_posteriors(bench)
    head = train_offsets(*bench.train[:3], bench.tree(), calibration=bench.calibration[:3], seed=bench.seed)
    return bench.each_side(lambda side, x: head.place(x, posteriors[side].argmax(axis=1))), chosen


def _prototypes(bench: Bench) -> Result:
    posteriors, chosen = _best_posteriors(bench)
    made = cell_prototypes(bench.gallery(), bench.tree(), seed=bench.seed)
    return bench.each_side(lambda side, x: refine_prototypes(posteriors[side], x, made, bench.tree())), chosen


def _best_photo(bench: Bench) -> Result:
    posteriors, chosen = _best_posteriors(bench)
    search = bench.gallery(), bench.tree()
    fitted: Chosen = fit_weight(posteriors["calibration"], *bench.calibration[:3], *search)
    return bench.each_side(lambda side, x: refine(posteriors[side], x, *search, **fitted)), chosen | fitted


def _over_photos(bench: Bench, posteriors: Posteriors, kind: str = "quadtree") -> Result:
    """The posterior moved onto training photos, decoded by expected GeoScore."""
    gallery, tree = bench.gallery(), bench.tree(kind)
    fitted: Chosen = fit_photo_posterior(posteriors["calibration"], *bench.calibration[:3], gallery, tree)

    def answer(side: str, vectors: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
        rows, mass = photo_posterior(posteriors[side], vectors, gallery, tree, **fitted)
        return decode_points(mass, gallery.lat[rows], gallery.lon[rows], "geoscore")

    return bench.each_side(answer), fitted


def _all_photos(bench: Bench) -> Result:
    posteriors, chosen = _best_posteriors(bench, "geoscore")
    answers, fitted = _over_photos(bench, posteriors)
    return answers, chosen | fitted


# All together


def _full(bench: Bench) -> Result:
    def posteriors(kind: str, tau: Any) -> Posteriors:
        return bench.fuse(kind=kind, smoothing_km=tau, **_ONE_HEAD, **_HIDDEN)

    tried = [
        (kind, tau, rule)
        for kind in ("quadtree", "semantic")
        for tau in ("auto", *((km,) * bench.tree(kind).n_levels for km in (150.0, 300.0)))
        for rule in ("distance", "geoscore")
    ]
    (kind, tau, rule), answers = bench.best(tried, lambda one: bench.decode(posteriors(*one[:2]), one[2], one[0]))
    chosen = {"cells": kind, "smoothing_km": tau, "decoding": rule}
    by_photos, fitted = _over_photos(bench, posteriors(kind, tau), kind)
    if bench.score(by_photos) > bench.score(answers):
        return by_photos, chosen | {"decoding": "geoscore over photos"} | fitted
    return answers, chosen


def _full_balanced(bench: Bench) -> Result:
    pairs = zip(bench.train[:3], bench.parts[_BALANCED][:3], strict=True)
    vectors, lat, lon = (np.concatenate([np.asarray(one), np.asarray(other)]) for one, other in pairs)
    train = Photos(vectors, lat, lon, [*bench.train.ids, *bench.parts[_BALANCED].ids])
    return _full(replace(bench, parts={**bench.parts, "train": train}))


# name, the row that it changes, its function, what it does
ROWS = (
    Row("prior", "", _prior, "The best single answer to every photo"),
    Row("nearest neighbour", "prior", _neighbour, "The place of the most similar training photo"),
    Row("one flat head", "nearest neighbour", partial(_fixed, rule="finest", kind="flat", smoothing_km=None),
        "One head over the finest cells, hard targets"),
    Row("four heads", "one flat head", _equal_weights,
        "A head for each of four levels, equal weights; the finest answers"),
    Row("+ level weights", "four heads", partial(_fixed, rule="finest", smoothing_km=None),
        "Finer levels weigh more in the loss"),
    Row("+ haversine smoothing", "+ level weights", _smoothing,
        "Near cells share the target; tau swept on calibration photos"),
    Row(ARTICLE, "+ haversine smoothing", partial(_fused, fusion="consistency filter"),
        "Fine cells must agree with the coarse shortlists: the article's pipeline"),
    Row("product rule", ARTICLE, partial(_fused, fusion="product rule"),
        "Probabilities multiplied along the branch, instead of the filter"),
    Row("product rule, fitted", "product rule", partial(_fused, fusion="product rule, fitted"),
        "Weights and temperatures fitted on calibration photos"),
    Row("leaf sums", ARTICLE, partial(_fused, fusion="leaf sums"),
        "One head, its sums trained at every level, instead of four"),
    Row("likeliest cell", ARTICLE, partial(_decoded, rule="argmax"),
        "The fusion that is best on calibration photos; the base of the decoders"),
    Row("+ mode", "likeliest cell", partial(_decoded, rule="mode"), "The mean of one hump"),
    Row("+ expected distance", "likeliest cell", partial(_decoded, rule="distance"),
        "The point with the least expected distance"),
    Row("+ expected GeoScore", "likeliest cell", partial(_decoded, rule="geoscore"),
        "The point with the greatest expected score"),
    Row("expected GeoScore, best posterior", "+ expected GeoScore",
        partial(_decoded, rule="geoscore", best_for="geoscore"),
        "The same decoder on the fusion that is best for it, not for the likeliest cell"),
    Row("+ offsets", "likeliest cell", _offsets, "A regression inside the likeliest cell (hybrid head)"),
    Row("+ prototypes", "likeliest cell", _prototypes, "PIGEON's prototypes inside the likeliest cells"),
    Row("+ best photo", "likeliest cell", _best_photo, "The best training photo inside the likely cells"),
    Row("+ all photos", "expected GeoScore, best posterior", _all_photos,
        "The posterior moved onto training photos, then expected GeoScore"),
    Row("one head, expected GeoScore", "expected GeoScore, best posterior",
        partial(_fixed, decoding="geoscore", **_ONE_HEAD),
        "Leaf sums with each cell's own smoothing, decoded by expected score"),
    Row("+ semantic cells", "one head, expected GeoScore",
        partial(_fixed, decoding="geoscore", kind="semantic", **_ONE_HEAD),
        "Provinces, merged and split, instead of the quadtree"),
    Row("+ hidden layer", "one head, expected GeoScore",
        partial(_fixed, decoding="geoscore", **_ONE_HEAD, **_HIDDEN), "A hidden layer in the head"),
    Row("full method", ARTICLE, _full,
        "One head with a hidden layer; cells, smoothing and decoding chosen on calibration photos"),
    Row("full method, balanced training", "full method", _full_balanced,
        "The same, trained also on photos spread over land and people", needs=_BALANCED),
)  # fmt: skip
