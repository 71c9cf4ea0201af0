"""What each part of a geolocator is worth: the same photos, one part changed at a time.

Every row is a whole method. It is fitted on training photos, its settings are chosen on calibration photos, and the
test photos are asked once. Beside its errors stands the paired difference to the row that it changes; photographers are
drawn whole, so an interval without 0 is more than chance. A part that gains nothing is said to gain nothing.

Rows are kept as files, so a run that was stopped goes on where it was, and trained heads are shared between the rows
that need them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from geolib._version import __version__
from geolib.cells.kinds import fit_partition
from geolib.common.errors import MismatchError
from geolib.common.files import read_json, write_bytes, write_json
from geolib.datasets.dataset import Dataset
from geolib.datasets.duplicates import near_duplicates
from geolib.datasets.splits import Photos, split_photos
from geolib.decoding import decode, decode_points
from geolib.encoder import Encoder
from geolib.evaluate import METRICS, SHARES, compare, difference
from geolib.fusion import fuse
from geolib.heads import HierarchicalHeads, predict_logits, train_heads
from geolib.judge.calibrate import fit_fusion
from geolib.predict import cells_for
from geolib.refine.offsets import train_offsets
from geolib.refine.photos import fit_photo_posterior, fit_weight, photo_posterior, refine
from geolib.refine.prototypes import cell_prototypes, refine_prototypes
from geolib.retrieve import NearestNeighbour, constant_guess
from geolib.sphere import FloatArray, geoscore, haversine_km

Places = tuple[FloatArray, FloatArray]
Posterior = npt.NDArray[np.float32]
Made = TypeVar("Made")
Answers = dict[str, Places]  # a side of the split -> (lat, lon) of its photos
ARTICLE = "+ consistency filter"
_HIDDEN = 512
_DUPLICATE = 0.999  # cosine; among neighbours 0.99 is common
_CALIBRATION = "calibration"
_EVERYWHERE = "train_balanced"  # a side with training photos spread over land and people, where a dataset has one


@dataclass(frozen=True)
class Row:
    """One method of the table.

    says: what it does, for the table.  against: the row that it changes, "" for none.
    answer: gives the places of every test photo, and what was chosen on the calibration photos.
    needs: a side of the split without which the row is left out.
    """

    name: str
    says: str
    against: str
    answer: Callable[[Bench], tuple[Answers, dict[str, Any]]]
    needs: str = "train"


@dataclass(eq=False)
class Bench:
    """The photos of a split and what was trained on them so far.

    parts: sides of the split, as `geolib.predict.split_photos` gives them; `train`, `calibration` and the test sides.
    epochs: most epochs of a training.
    """

    parts: Mapping[str, Photos]
    seed: int = 0
    epochs: int = 30
    device: str = "auto"
    _made: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def tests(self) -> list[str]:
        """The test sides."""
        return sorted(side for side in self.parts if side.startswith("test"))

    @property
    def sides(self) -> list[str]:
        """All sides that are asked: the test sides and the calibration side."""
        return [*self.tests, _CALIBRATION]

    def photos(self, everywhere: bool = False) -> Photos:
        """Training photos; with `everywhere` those of the balanced side too."""
        train = self.parts["train"]
        if not everywhere:
            return train
        more = self.parts[_EVERYWHERE]
        vectors, lat, lon = (
            np.concatenate([np.asarray(one), np.asarray(other)]) for one, other in zip(train[:3], more[:3], strict=True)
        )
        return Photos(vectors, lat, lon, [*train.ids, *more.ids])

    def gallery(self, everywhere: bool = False) -> NearestNeighbour:
        """The training photos, to search in."""
        return self.once(f"gallery {everywhere}", lambda: NearestNeighbour(*self.photos(everywhere)[:3]))

    def tree(self, kind: str = "quadtree", everywhere: bool = False) -> Any:
        """A partition: "quadtree" (four levels), "flat" (its finest level alone) or "semantic"."""
        photos = self.photos(everywhere)
        levels = cells_for(len(photos.ids))

        def draw() -> Any:
            if kind == "flat":
                return fit_partition("quadtree", photos.lat, photos.lon, levels[-1:])
            return fit_partition(kind, photos.lat, photos.lon, levels, self.seed)

        return self.once(f"tree {kind} {everywhere}", draw)

    def heads(self, kind: str = "quadtree", everywhere: bool = False, **options: Any) -> HierarchicalHeads:
        """Heads on a partition; options of `geolib.heads.train_heads`."""

        def train() -> HierarchicalHeads:
            settings: dict[str, Any] = {"epochs": self.epochs, "seed": self.seed, "device": self.device} | options
            held_out = self.parts[_CALIBRATION][:3]
            tree = self.tree(kind, everywhere)
            return train_heads(*self.photos(everywhere)[:3], tree, calibration=held_out, **settings)[0]

        return self.once(f"heads {kind} {everywhere} {json.dumps(options, sort_keys=True)}", train)

    def posteriors(self, heads: HierarchicalHeads, tree: Any, rule: str, **options: Any) -> dict[str, Posterior]:
        """The posterior over the finest cells of every side."""
        return {
            side: fuse(predict_logits(heads, self.parts[side].vectors), tree, rule, **options) for side in self.sides
        }

    def score(self, answers: Answers) -> float:
        """Mean GeoScore of the calibration photos: what every choice is made by."""
        return float(geoscore(self._km(answers)).mean())

    def best(self, options: Iterable[Any], answer: Callable[[Any], Answers]) -> tuple[Any, Answers]:
        """Of the options the one whose answers score best on the calibration photos, the first of equals."""
        found = [(option, answer(option)) for option in options]
        return max(found, key=lambda pair: self.score(pair[1]))

    def _km(self, answers: Answers) -> FloatArray:
        known = self.parts[_CALIBRATION]
        return haversine_km(*answers[_CALIBRATION], known.lat, known.lon)

    def once(self, key: str, make: Callable[[], Made]) -> Made:
        """What `make` makes, made at the first call under this key."""
        if key not in self._made:
            self._made[key] = make()
        made: Made = self._made[key]
        return made


def _prior(bench: Bench) -> tuple[Answers, dict[str, Any]]:
    lat, lon = constant_guess(bench.photos().lat, bench.photos().lon)
    sizes = {side: len(bench.parts[side].ids) for side in bench.sides}
    return {side: (np.full(n, lat), np.full(n, lon)) for side, n in sizes.items()}, {"lat": lat, "lon": lon}


def _neighbour(bench: Bench) -> tuple[Answers, dict[str, Any]]:
    gallery = bench.gallery()
    return {side: gallery.predict_vectors(bench.parts[side].vectors) for side in bench.sides}, {}


def _decoded(posteriors: Mapping[str, Posterior], tree: Any, rule: str = "argmax") -> Answers:
    return {side: decode(posterior, tree, rule) for side, posterior in posteriors.items()}


def _fused(
    bench: Bench, rule: str, *, kind: str = "quadtree", fusion: Mapping[str, Any] | None = None, **training: Any
) -> Answers:
    """The centre of the likeliest cell after fusion."""
    tree = bench.tree(kind)
    return _decoded(bench.posteriors(bench.heads(kind, **training), tree, rule, **(fusion or {})), tree)


def _smoothing(bench: Bench) -> list[Any]:
    """The tau that are tried: none, PIGEON's, wider ones, and each cell's own."""
    levels = bench.tree().n_levels
    return [None, "auto", *([km] * levels for km in (75.0, 150.0, 300.0))]


def _swept(bench: Bench) -> tuple[Any, Answers]:
    """The smoothing that is best for the centre of the finest head's likeliest cell."""
    return bench.once(
        "swept", lambda: bench.best(_smoothing(bench), lambda tau: _fused(bench, "finest", smoothing_km=tau))
    )


def _smoothed(bench: Bench, rule: str, **fusion: Any) -> tuple[Answers, dict[str, Any]]:
    tau = _swept(bench)[0]
    return _fused(bench, rule, fusion=fusion, smoothing_km=tau), {"smoothing_km": tau}


def _fit_product(bench: Bench, tau: Any) -> dict[str, Any]:
    known, tree = bench.parts[_CALIBRATION], bench.tree()
    logits = predict_logits(bench.heads(smoothing_km=tau), known.vectors)
    return fit_fusion(logits, tree.assign(known.lat, known.lon), tree)


def _product_fitted(bench: Bench) -> tuple[Answers, dict[str, Any]]:
    fitted = _fit_product(bench, _swept(bench)[0])
    answers, chosen = _smoothed(bench, "product", **fitted)
    return answers, chosen | fitted


def _leaf(bench: Bench) -> tuple[Answers, dict[str, Any]]:
    tau = _swept(bench)[0]
    return _fused(bench, "leaf", leaf_sums=True, smoothing_km=tau), {"smoothing_km": tau}


def _candidates(bench: Bench) -> dict[str, dict[str, Posterior]]:
    """The posteriors that the decoders are tried on."""
    tau, tree = _swept(bench)[0], bench.tree()
    heads = bench.heads(smoothing_km=tau)
    rules: dict[str, dict[str, Any]] = {
        "consistency filter": {"rule": "consistency"},
        "product rule": {"rule": "product"},
        "product rule, fitted": {"rule": "product"} | _fit_product(bench, tau),
    }
    made = {name: bench.posteriors(heads, tree, **options) for name, options in rules.items()}
    return made | {"leaf sums": bench.posteriors(bench.heads(leaf_sums=True, smoothing_km=tau), tree, "leaf")}


def _posterior_for(bench: Bench, rule: str) -> tuple[str, dict[str, Posterior]]:
    """The posterior that a decoder is best on, by calibration photos: (its name, the posterior of each side)."""

    def choose() -> tuple[str, dict[str, Posterior]]:
        made = bench.once("candidates", lambda: _candidates(bench))
        name, _ = bench.best(made, lambda name: _decoded(made[name], bench.tree(), rule))
        return name, made[name]

    return bench.once(f"posterior for {rule}", choose)


def _decoder(bench: Bench, rule: str, best_for: str = "argmax") -> tuple[Answers, dict[str, Any]]:
    name, posteriors = _posterior_for(bench, best_for)
    return _decoded(posteriors, bench.tree(), rule), {"posterior": name}


def _refined(bench: Bench) -> tuple[Answers, dict[str, Any]]:
    name, posteriors = _posterior_for(bench, "argmax")
    gallery, tree, known = bench.gallery(), bench.tree(), bench.parts[_CALIBRATION]
    fitted = fit_weight(posteriors[_CALIBRATION], known.vectors, known.lat, known.lon, gallery, tree)
    answers = {
        side: refine(posteriors[side], bench.parts[side].vectors, gallery, tree, **fitted) for side in bench.sides
    }
    return answers, {"posterior": name} | fitted


def _prototypes(bench: Bench) -> tuple[Answers, dict[str, Any]]:
    name, posteriors = _posterior_for(bench, "argmax")
    made, tree = cell_prototypes(bench.gallery(), bench.tree(), seed=bench.seed), bench.tree()
    sides = bench.sides
    return {side: refine_prototypes(posteriors[side], bench.parts[side].vectors, made, tree) for side in sides}, {
        "posterior": name
    }


def _offsets(bench: Bench) -> tuple[Answers, dict[str, Any]]:
    name, posteriors = _posterior_for(bench, "argmax")
    head = train_offsets(*bench.photos()[:3], bench.tree(), calibration=bench.parts[_CALIBRATION][:3], seed=bench.seed)
    return {side: head.place(bench.parts[side].vectors, posteriors[side].argmax(axis=1)) for side in bench.sides}, {
        "posterior": name
    }


def _by_photos(
    bench: Bench, posteriors: Mapping[str, Posterior], tree: Any, everywhere: bool = False
) -> tuple[Answers, dict[str, Any]]:
    """The posterior moved onto training photos, decoded by expected GeoScore."""
    gallery, known = bench.gallery(everywhere), bench.parts[_CALIBRATION]
    fitted: dict[str, Any] = fit_photo_posterior(
        posteriors[_CALIBRATION], known.vectors, known.lat, known.lon, gallery, tree
    )
    answers: Answers = {}
    for side in bench.sides:
        rows, mass = photo_posterior(posteriors[side], bench.parts[side].vectors, gallery, tree, **fitted)
        answers[side] = decode_points(mass, gallery.lat[rows], gallery.lon[rows], "geoscore")
    return answers, dict(fitted)


def _photos_decoded(bench: Bench) -> tuple[Answers, dict[str, Any]]:
    name, posteriors = _posterior_for(bench, "geoscore")
    answers, fitted = _by_photos(bench, posteriors, bench.tree())
    return answers, {"posterior": name} | fitted


def _one_head(bench: Bench, kind: str = "quadtree", everywhere: bool = False, **training: Any) -> dict[str, Posterior]:
    """Posteriors of one head with leaf sums."""
    tree, heads = bench.tree(kind, everywhere), bench.heads(kind, everywhere, leaf_sums=True, **training)
    return bench.posteriors(heads, tree, "leaf")


def _semantic_cells(bench: Bench) -> tuple[Answers, dict[str, Any]]:
    tree = bench.tree("semantic")
    return _decoded(_one_head(bench, "semantic"), tree, "geoscore"), {"cells": list(tree.n_cells)}


def _hidden_layer(bench: Bench) -> tuple[Answers, dict[str, Any]]:
    return _decoded(_one_head(bench, hidden=_HIDDEN, lr=1e-3), bench.tree(), "geoscore"), {"hidden": _HIDDEN}


def _full(bench: Bench, everywhere: bool = False) -> tuple[Answers, dict[str, Any]]:
    """The best combination by calibration photos: cells, smoothing, and decoding of one head with a hidden layer."""
    tried: list[tuple[Answers, dict[str, Any], Any, dict[str, Posterior]]] = []
    for kind in ("quadtree", "semantic"):
        tree = bench.tree(kind, everywhere)
        for tau in ("auto", *([km] * tree.n_levels for km in (150.0, 300.0))):
            posteriors = _one_head(bench, kind, everywhere, hidden=_HIDDEN, lr=1e-3, smoothing_km=tau)
            for rule in ("distance", "geoscore"):
                choice = {"cells": kind, "smoothing_km": tau, "decoding": rule}
                tried.append((_decoded(posteriors, tree, rule), choice, tree, posteriors))
    answers, choice, tree, posteriors = max(tried, key=lambda one: bench.score(one[0]))
    by_photos, fitted = _by_photos(bench, posteriors, tree, everywhere)
    if bench.score(by_photos) > bench.score(answers):
        return by_photos, choice | {"decoding": "geoscore over photos"} | fitted
    return answers, choice


ROWS = (
    Row("prior", "The best single answer to every photo", "", _prior),
    Row("nearest neighbour", "The place of the most similar training photo", "prior", _neighbour),
    Row(
        "one flat head",
        "One head over the finest cells, hard targets",
        "nearest neighbour",
        lambda bench: (_fused(bench, "finest", kind="flat", smoothing_km=None), {}),
    ),
    Row(
        "four heads",
        "A head for each of four levels, equal weights; the finest answers",
        "one flat head",
        lambda bench: (_fused(bench, "finest", smoothing_km=None, level_weights=[1.0] * bench.tree().n_levels), {}),
    ),
    Row(
        "+ level weights",
        "Finer levels weigh more in the loss",
        "four heads",
        lambda bench: (_fused(bench, "finest", smoothing_km=None), {}),
    ),
    Row(
        "+ haversine smoothing",
        "Near cells share the target; tau swept on calibration photos",
        "+ level weights",
        lambda bench: _smoothed(bench, "finest"),
    ),
    Row(
        ARTICLE,
        "Fine cells must agree with the coarse shortlists: the article's pipeline",
        "+ haversine smoothing",
        lambda bench: _smoothed(bench, "consistency"),
    ),
    Row(
        "product rule",
        "Probabilities multiplied along the branch, instead of the filter",
        ARTICLE,
        lambda bench: _smoothed(bench, "product"),
    ),
    Row(
        "product rule, fitted", "Weights and temperatures fitted on calibration photos", "product rule", _product_fitted
    ),
    Row("leaf sums", "One head, its sums trained at every level, instead of four", ARTICLE, _leaf),
    Row(
        "likeliest cell",
        "The fusion that is best on calibration photos; the base of the decoders",
        ARTICLE,
        lambda bench: _decoder(bench, "argmax"),
    ),
    Row("+ mode", "The mean of one hump", "likeliest cell", lambda bench: _decoder(bench, "mode")),
    Row(
        "+ expected distance",
        "The point with the least expected distance",
        "likeliest cell",
        lambda bench: _decoder(bench, "distance"),
    ),
    Row(
        "+ expected GeoScore",
        "The point with the greatest expected score",
        "likeliest cell",
        lambda bench: _decoder(bench, "geoscore"),
    ),
    Row(
        "expected GeoScore, best posterior",
        "The same decoder on the fusion that is best for it, not for the likeliest cell",
        "+ expected GeoScore",
        lambda bench: _decoder(bench, "geoscore", best_for="geoscore"),
    ),
    Row("+ offsets", "A regression inside the likeliest cell (hybrid head)", "likeliest cell", _offsets),
    Row("+ prototypes", "PIGEON's prototypes inside the likeliest cells", "likeliest cell", _prototypes),
    Row("+ best photo", "The best training photo inside the likely cells", "likeliest cell", _refined),
    Row(
        "+ all photos",
        "The posterior moved onto training photos, then expected GeoScore",
        "expected GeoScore, best posterior",
        _photos_decoded,
    ),
    Row(
        "one head, expected GeoScore",
        "Leaf sums with each cell's own smoothing, decoded by expected score",
        "expected GeoScore, best posterior",
        lambda bench: (_decoded(_one_head(bench), bench.tree(), "geoscore"), {}),
    ),
    Row(
        "+ semantic cells",
        "Provinces, merged and split, instead of the quadtree",
        "one head, expected GeoScore",
        _semantic_cells,
    ),
    Row("+ hidden layer", "A hidden layer in the head", "one head, expected GeoScore", _hidden_layer),
    Row(
        "full method",
        "One head with a hidden layer; cells, smoothing and decoding chosen on calibration photos",
        ARTICLE,
        _full,
    ),
    Row(
        "full method, balanced training",
        "The same, trained also on photos spread over land and people",
        "full method",
        lambda bench: _full(bench, everywhere=True),
        needs=_EVERYWHERE,
    ),
)


def run(
    dataset: Dataset,
    encoder: Encoder,
    out: Path,
    *,
    rows: Sequence[str] | None = None,
    seed: int = 0,
    epochs: int = 30,
    device: str = "auto",
    n_boot: int = 1000,
    progress: Callable[[str], object] = print,
) -> pd.DataFrame:
    """Run the rows that `out` does not hold yet, and make its table: `ablation.parquet` and `ablation.md`.

    rows: names of `ROWS`, default all that the dataset has photos for. progress: called with a line a row.

    The frame has a row for each method and test side: `method`, `side`, `says`, `against`, `chosen` (JSON), the columns
    of `geolib.evaluate.compare`, and of each metric the paired difference to the row `against`, `gain_*`, with
    intervals. Raises `MismatchError` when `out` holds rows of other photos, weights or settings, and `ValueError`
    for an unknown row or a split without training, calibration or test photos.
    """
    parts = split_photos(dataset, encoder, seed=seed)
    missing = [side for side in ("train", _CALIBRATION, "test") if side not in parts]
    if missing:
        raise ValueError(f"{dataset.name} has no {', '.join(missing)} photos in its split: use more photos")
    wanted = [row for row in ROWS if (rows is None or row.name in rows) and row.needs in parts]
    if unknown := set(rows or ()) - {row.name for row in ROWS}:
        raise ValueError(f"unknown rows {sorted(unknown)}: expected some of {[row.name for row in ROWS]}")
    _check_folder(out, {"photos": dataset.labels_key(encoder), "seed": seed, "epochs": epochs, "geolib": __version__})
    bench = Bench(parts, seed, epochs, device)
    for number, row in enumerate(wanted, start=1):
        path, start = _path(out, row), time.perf_counter()
        if path.is_file():
            progress(f"{number:2}/{len(wanted)}  {row.name}: kept")
            continue
        answers, chosen = row.answer(bench)
        _write(path, answers, chosen, bench)
        score = bench.score(answers)
        progress(
            f"{number:2}/{len(wanted)}  {row.name}: {time.perf_counter() - start:.0f} s, "
            f"calibration GeoScore {score:,.0f}{', ' + json.dumps(chosen) if chosen else ''}"
        )
    table = _table(out, wanted, bench, dataset, n_boot, seed)
    table.attrs["near_duplicates"] = {side: _seen_before(parts["train"], parts[side]) for side in bench.tests}
    write_bytes(out / "ablation.parquet", table.to_parquet())
    write_bytes(out / "ablation.md", markdown(table).encode())
    return table


def _seen_before(train: Photos, test: Photos) -> int:
    """How many test photos have a training photo that is as good as the same, by their embeddings."""
    pairs = near_duplicates(test.vectors, train.vectors, _DUPLICATE)
    return int(pairs["photo"].nunique())


def _check_folder(out: Path, key: Mapping[str, Any]) -> None:
    """Take an empty folder for these settings; refuse one of others."""
    note = out / "ablation.json"
    if not note.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise ValueError(f"{out} holds other files and no ablation: name a new folder")
        write_json(note, dict(key))
    elif (found := read_json(note)) != key:
        changed = ", ".join(f"{name} {found.get(name)!r}, now {value!r}" for name, value in key.items())
        raise MismatchError(f"{out} holds rows of other photos or settings ({changed}): name a new folder")


def _path(out: Path, row: Row) -> Path:
    number = [other.name for other in ROWS].index(row.name)
    return out / "rows" / f"{number:02}.parquet"


def _write(path: Path, answers: Answers, chosen: Mapping[str, Any], bench: Bench) -> None:
    frames = [
        pd.DataFrame({"side": side, "id": bench.parts[side].ids, "lat": answers[side][0], "lon": answers[side][1]})
        for side in bench.tests
    ]
    frame = pd.concat(frames, ignore_index=True)
    frame.attrs["chosen"] = json.dumps(chosen)
    write_bytes(path, frame.to_parquet())


def _table(out: Path, rows: Sequence[Row], bench: Bench, dataset: Dataset, n_boot: int, seed: int) -> pd.DataFrame:
    stored = {row.name: pd.read_parquet(_path(out, row)) for row in rows}
    tables = []
    for side in bench.tests:
        truth = bench.parts[side]
        clusters = dataset.photographers(truth.ids)
        methods = {}
        for name, frame in stored.items():
            places = frame[frame["side"] == side].set_index("id").loc[truth.ids]
            methods[name] = places["lat"].to_numpy(), places["lon"].to_numpy()
        errors = compare(methods, truth.lat, truth.lon, clusters, n_boot=n_boot, seed=seed)
        gains = []
        for row in rows:
            if row.against not in methods:
                gains.append(pd.DataFrame(index=[row.name]))
                continue
            one = difference(
                methods[row.name], methods[row.against], truth.lat, truth.lon, clusters, n_boot=n_boot, seed=seed
            )
            numbers = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
            gains.append(one[numbers].set_axis([row.name]).add_prefix("gain_"))
        notes = pd.DataFrame(
            {
                "side": side,
                "says": [row.says for row in rows],
                "against": [row.against for row in rows],
                "chosen": [stored[row.name].attrs["chosen"] for row in rows],
            },
            index=[row.name for row in rows],
        )
        tables.append(pd.concat([notes, errors, pd.concat(gains)], axis=1).rename_axis("method").reset_index())
    return pd.concat(tables, ignore_index=True)


def reading(row: pd.Series[Any]) -> str:
    """What a row of the table says, in a sentence, with the paired intervals that it rests on."""
    said = verdict(row)
    if not said:
        return f"{row['says']}."
    value, low, high, *km = (
        row[f"gain_{metric}{end}"] for metric in ("geoscore", "median_km") for end in ("", "_low", "_high")
    )
    chance = " that is more than chance" if said == "gains nothing" else ""
    return (
        f"{row['says']}: {said}{chance}, {value:+,.0f} of GeoScore [{low:+,.0f}, {high:+,.0f}], median "
        f"{km[0]:+,.0f} km [{km[1]:+,.0f}, {km[2]:+,.0f}] against *{row['against']}*."
    )


def verdict(row: pd.Series[Any]) -> str:
    """`gains`, `loses` or `gains nothing`, by the paired interval of the GeoScore; "" for a row against none."""
    low, high = row.get("gain_geoscore_low", np.nan), row.get("gain_geoscore_high", np.nan)
    if pd.isna(low):
        return ""
    return "gains" if round(low) > 0 else "loses" if round(high) < 0 else "gains nothing"  # as far as it is printed


def markdown(table: pd.DataFrame) -> str:
    """The table as a page: how to read it, the parts that gain nothing, and a table for each test side."""
    lines = [
        "# What each part is worth",
        "",
        "Each row is a whole method, fitted on training photos, its settings chosen on calibration photos; the test",
        "photos are asked once. The last column compares it with the row that it changes, on the same draws of",
        "photographers: an interval without 0 is more than chance. All intervals are 95 %. Computed by",
        "`python -m geolib ablate`.",
        "",
    ]
    for side, part in table.groupby("side", sort=True):
        words = part.apply(verdict, axis=1)
        none, worse = (
            ", ".join(f"*{name}*" for name in part["method"][words == word]) for word in ("gains nothing", "loses")
        )
        first = part.iloc[0]
        lines += [f"## {side}: {first['photos']:,} photos of {first['clusters']:,} photographers", ""]
        lines += [
            f"{table.attrs['near_duplicates'][side]:,} of them have a training photo with a cosine of {_DUPLICATE} or "
            "more: copies or look-alikes, to be looked at (`geolib.retrieve.near_duplicates`).",
            "",
        ]
        lines += [f"Gains nothing here that is more than chance: {none or 'no row'}. Loses: {worse or 'no row'}.", ""]
        lines += ["| method | median km | within 25 / 200 / 750 / 2,500 km, % | GeoScore | what it says |"]
        lines += ["|---|---:|---:|---:|---|"]
        for _, row in part.iterrows():
            shares = " / ".join(f"{100 * row[name]:.1f}" for name in SHARES[1:])
            score = f"{row['geoscore']:,.0f} [{row['geoscore_low']:,.0f}, {row['geoscore_high']:,.0f}]"
            median = f"{row['median_km']:,.0f} [{row['median_km_low']:,.0f}, {row['median_km_high']:,.0f}]"
            lines.append(f"| {row['method']} | {median} | {shares} | {score} | {reading(row)} |")
        lines.append("")
    return "\n".join(lines)
