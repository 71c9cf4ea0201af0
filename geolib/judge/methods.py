"""The methods that the ablation compares: each row of `ROWS` changes one part of the row that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from geolib.predict import PRESETS, cells_for
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
ARTICLE, DEFAULT = "+ consistency filter", "the default"
_BALANCED = "train_balanced"  # training photos spread over land and people, where a dataset has them
_USUAL: TrainOptions = PRESETS["default"]["options"]
_TRUNK = {name: getattr(_USUAL, name) for name in ("trunk", "lr", "epochs", "patience")}


@dataclass(frozen=True)
class Row:
    """A method of the ablation.

    Attributes
    ----------
    name, says : what it is called, and what it does.
    against : the row that it changes in one part, "" for none.
    answer : its function.
    needs : the side of the split that it needs.
    same : why it answers as `against` does, whatever the data; "" if it need not. Such a difference is no measurement.
    headline : trained with several seeds.
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
    epochs: int = 30  # at most
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
        """Cells of a kind of `geolib.cells.kinds`; "flat" before it for the finest level alone."""
        levels = cells_for(len(self.train.ids))
        levels = levels[-1:] if kind.startswith("flat") else levels
        drawn = kind.split()[-1], *self.train[1:3], levels, self.seed
        return self.once(f"tree {kind}", lambda: fit_partition(*drawn))

    def heads(self, kind: str = "quadtree", **options: Any) -> HierarchicalHeads:
        """Heads on cells of a kind; `options` are fields of `TrainOptions`."""

        def fit() -> HierarchicalHeads:
            photos, held_out = (*self.train[:3], self.tree(kind)), self.calibration[:3]
            how = TrainOptions(**options)
            how = replace(how, epochs=min(how.epochs, self.epochs))
            return train_heads(*photos, calibration=held_out, options=how, device=self.device, seed=self.seed)[0]

        return self.once(f"heads {kind} {sorted(options.items())}", fit)

    def fuse(self, rule: str, kind: str = "quadtree", **options: Any) -> Posteriors:
        """The posterior of every side; `options` are those of `heads`."""
        heads, tree = self.heads(kind, **options), self.tree(kind)
        return self.each_side(lambda _, x: fuse(predict_logits(heads, x), tree, rule))

    def decode(self, posteriors: Posteriors, rule: str = "argmax", kind: str = "quadtree") -> Answers:
        """The answers of a decoding rule on every side."""
        return {side: decode(posterior, self.tree(kind), rule) for side, posterior in posteriors.items()}

    def score(self, answers: Answers) -> float:
        """Mean GeoScore of the calibration photos: it is printed, to follow a run."""
        km = haversine_km(*answers["calibration"], self.calibration.lat, self.calibration.lon)
        return float(geoscore(km).mean())


# Baselines


def _prior(bench: Bench) -> Result:
    lat, lon = constant_guess(bench.train.lat, bench.train.lon)
    return bench.each_side(lambda _, x: (np.full(len(x), lat), np.full(len(x), lon))), {"lat": lat, "lon": lon}


def _neighbour(bench: Bench) -> Result:
    return bench.each_side(lambda _, x: bench.gallery().predict_vectors(x)), {}


# Cells, heads, fusion and decoding


def _fixed(
    bench: Bench, rule: str = "finest", decoding: str = "argmax", kind: str = "quadtree", **options: Any
) -> Result:
    """A method without choices: a fusion rule, a decoding rule, cells of a kind, and options of the heads."""
    return bench.decode(bench.fuse(rule, kind, **options), decoding, kind), {}


def _trunk(bench: Bench, **options: Any) -> Result:
    """The default, without level weights."""
    equal = (1.0,) * bench.tree().n_levels
    return _fixed(bench, decoding="geoscore", level_weights=equal, **_TRUNK, **options)


def _default(bench: Bench, **changed: Any) -> Result:
    """What `Geolocator.fit` makes, with some arguments of `_fixed` in place of its own."""
    usual = {"rule": PRESETS["default"]["fusion"], "decoding": PRESETS["default"]["decoding"]}
    return _fixed(bench, **usual | _TRUNK | changed)


# Refinement of the default


def _posteriors(bench: Bench) -> Posteriors:
    return bench.once("posteriors", lambda: bench.fuse(PRESETS["default"]["fusion"], **_TRUNK))


def _offsets(bench: Bench) -> Result:
    posteriors = _posteriors(bench)
    head = train_offsets(*bench.train[:3], bench.tree(), calibration=bench.calibration[:3], seed=bench.seed)
    return bench.each_side(lambda side, x: head.place(x, posteriors[side].argmax(axis=1))), {}


def _prototypes(bench: Bench) -> Result:
    posteriors, made = _posteriors(bench), cell_prototypes(bench.gallery(), bench.tree(), seed=bench.seed)
    return bench.each_side(lambda side, x: refine_prototypes(posteriors[side], x, made, bench.tree())), {}


def _best_photo(bench: Bench) -> Result:
    posteriors, search = _posteriors(bench), (bench.gallery(), bench.tree())
    fitted: Chosen = fit_weight(posteriors["calibration"], *bench.calibration[:3], *search)
    return bench.each_side(lambda side, x: refine(posteriors[side], x, *search, **fitted)), fitted


def _all_photos(bench: Bench) -> Result:
    posteriors, gallery = _posteriors(bench), bench.gallery()
    fitted: Chosen = fit_photo_posterior(posteriors["calibration"], *bench.calibration[:3], gallery, bench.tree())

    def answer(side: str, vectors: npt.NDArray[Any]) -> tuple[FloatArray, FloatArray]:
        rows, mass = photo_posterior(posteriors[side], vectors, gallery, bench.tree(), **fitted)
        return decode_points(mass, gallery.lat[rows], gallery.lon[rows], "geoscore")

    return bench.each_side(answer), fitted


def _balanced(bench: Bench) -> Result:
    pairs = zip(bench.train[:3], bench.parts[_BALANCED][:3], strict=True)
    vectors, lat, lon = (np.concatenate([np.asarray(one), np.asarray(other)]) for one, other in pairs)
    train = Photos(vectors, lat, lon, [*bench.train.ids, *bench.parts[_BALANCED].ids])
    return _default(replace(bench, parts={**bench.parts, "train": train}))


# name, the row that it changes, its function, what it does
ROWS = (
    Row("prior", "", _prior, "The best single answer to every photo", headline=True),
    Row("nearest neighbour", "prior", _neighbour, "The place of the most similar training photo", headline=True),
    Row("one flat head", "nearest neighbour", partial(_fixed, kind="flat quadtree", smoothing_km=None),
        "One linear head over the finest cells, hard targets, centre of the likeliest cell", headline=True),
    Row("+ haversine smoothing", "one flat head", partial(_fixed, kind="flat quadtree"),
        "Near cells share the target", headline=True),
    Row("four heads", "+ haversine smoothing", _fixed, "A head for each of four levels; the finest answers",
        same="the heads share nothing, so the finest learns as it does alone, up to Adam's epsilon", headline=True),
    Row(ARTICLE, "four heads", partial(_fixed, rule="consistency"),
        "Fine cells must agree with the coarse shortlists: the article's pipeline", headline=True),
    Row("product rule", ARTICLE, partial(_fixed, rule="product"),
        "Probabilities multiplied along the branch, instead of the filter"),
    Row("+ expected distance", "four heads", partial(_fixed, decoding="distance"),
        "The finest level alone, read at the point with the least expected distance"),
    Row("+ expected GeoScore", "four heads", partial(_fixed, decoding="geoscore"),
        "The finest level alone, read at the point with the greatest expected score", headline=True),
    Row("uniform grid", "+ expected GeoScore", partial(_fixed, decoding="geoscore", kind="flat uniform"),
        "As many cells of one size, instead of the quadtree", headline=True),
    Row("+ trunk", "+ expected GeoScore", _trunk,
        "One layer that the heads of all levels share, on its own schedule of 15 epochs, equal level weights"),
    Row("+ level weights", "+ trunk", _default,
        "Finer levels weigh more in the loss of the trunk: the method called *the default* below"),
    Row("leaf sums", "+ level weights", partial(_default, leaf_sums=True),
        "One head on the trunk, its sums trained at every level, instead of four"),
    Row(DEFAULT, ARTICLE, _default, "Shared trunk, level weights, finest level, expected GeoScore", headline=True),
    Row("likeliest cell", DEFAULT, partial(_default, decoding="argmax"),
        "The centre of the likeliest cell, instead of expected GeoScore"),
    Row("+ offsets", "likeliest cell", _offsets, "A regression inside the likeliest cell (hybrid head)"),
    Row("+ prototypes", "likeliest cell", _prototypes, "PIGEON's prototypes inside the likeliest cells"),
    Row("+ best photo", "likeliest cell", _best_photo, "The best training photo inside the likely cells"),
    Row("+ all photos", DEFAULT, _all_photos, "The posterior moved onto training photos, then expected GeoScore"),
    Row("semantic cells", DEFAULT, partial(_default, kind="semantic"),
        "Provinces, merged and split, instead of the quadtree; their number differs"),
    Row("balanced training", DEFAULT, _balanced,
        "Trained also on photos spread over land and people, which the cells follow, too", needs=_BALANCED),
)  # fmt: skip
