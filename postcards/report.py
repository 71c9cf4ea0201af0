"""What the postcards' encoder reaches, measured on what ships: `python -m postcards report`.

Six questions, each a function that gives a table: how far each method comes; by how much two of them differ; which
visible facts the vectors hold; what a picture loses when a cue is left out of it; what is answered where a picture
shows nothing; and whether the goals are reached. Every choice is made on training or calibration postcards; the test
sides are answered once. `report.json` holds all numbers, and `REPORT.md` is written from it alone.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from tqdm import tqdm

from geolib import sphere
from geolib.common.errors import MissingDataError
from geolib.common.files import data_path, write_bytes, write_json
from geolib.datasets import Dataset, open_dataset
from geolib.embed import Vectors
from geolib.encoder import Encoder
from postcards import CUES, methods, probe, render_bytes
from postcards.build import records
from postcards.ceiling import facts_of, visible_facts
from postcards.goals import goals
from postcards.measures import COUNTRY, REGION, How, Row, difference, score
from postcards.methods import (
    BOTH,
    CEILING,
    DEFAULT,
    FACTS,
    HEADLINE,
    LEARNS,
    LINEAR,
    NAMED,
    NEAREST,
    PRIOR,
    PROBED,
    PROMPTED,
    RANDOM,
    SIDES,
    TESTS,
    THUMBNAILS,
    TRAIN,
    UNNAMED,
    Answers,
    Key,
    Mask,
    Method,
    Model,
)
from postcards.report_page import BLIND, markdown, write_figures

READING = "script + town name"
# What is left out of the pictures together; a group's scenes are those that show one of its cues.
GROUPS: dict[str, tuple[str, ...]] = {
    READING: ("script", "town_name"),
    "road": ("road",),
    "plate": ("plate",),
    "other signs": ("warning", "route", "flag"),
    "wayside": ("poles", "bollard", "fence"),
    "architecture": ("architecture",),
    "landmark": ("landmark",),
    "vegetation": ("vegetation",),
    "everything": tuple(CUES),
}


# What is compared, in words, and the keys of both methods.
_CLAIMS: tuple[tuple[str, Key, Key], ...] = (
    ("the encoder instead of thumbnails", HEADLINE, methods.PIXELS),
    ("what the encoder leaves unread", CEILING, HEADLINE),
    ("default model instead of linear heads", HEADLINE, methods.LINEAR_HEADS),
    ("default model instead of the nearest neighbour", HEADLINE, methods.NEIGHBOUR),
    ("balanced training postcards added", HEADLINE, (DEFAULT, NAMED, TRAIN)),
    ("prompts instead of the prior", PROMPTED, PRIOR),
    ("names in the captions", HEADLINE, (DEFAULT, UNNAMED, BOTH)),
)


def differences(answered: Sequence[Method], photos: pd.DataFrame, how: How) -> pd.DataFrame:
    """One row per claim about methods that are there: what method `a` has more than `b`, paired."""
    by_key, rows = {method.key: method for method in answered}, []
    for claim, first, second in _CLAIMS:
        if first in by_key and second in by_key:
            a, b = by_key[first], by_key[second]
            row = {"claim": claim, "a": list(a.key), "b": list(b.key)} | difference(a.answers, b.answers, photos, how)
            if (a.answers.country == b.answers.country).all():
                row["country_same"] = "one classifier names the country for both"
            rows.append(row)
    return pd.DataFrame(rows)


# Cues


def draw_hidden(pool: Any, rows: Sequence[Row], hide: Iterable[str] = ()) -> Iterator[bytes]:
    """JPEG bytes of postcards in order, drawn by a pool of processes without some cues."""
    yield from pool.imap(partial(render_bytes, hide=tuple(hide)), rows, chunksize=16)


def embed_drawn(
    encoder: Encoder,
    drawn: Iterator[bytes],
    ids: Sequence[str],
    known: dict[str, tuple[bytes, Vectors]] | None = None,
    batch: int = 64,
) -> tuple[Vectors, list[bytes]]:
    """Vectors (n, dim) of JPEG bytes and their hashes, one per id.

    known: {id: (hash, vector)} of unhidden pictures; equal bytes get that very vector, so that a cue which was not in
    the picture costs exactly nothing.
    """
    vectors, hashes = np.empty((len(ids), encoder.dim), np.float32), []
    for start in range(0, len(ids), batch):
        contents = list(islice(drawn, batch))
        names = ids[start : start + len(contents)]
        sums = [hashlib.sha256(content).digest() for content in contents]
        hashes += sums
        new = []
        for place, (name, digest) in enumerate(zip(names, sums, strict=True)):
            if known and known[name][0] == digest:
                vectors[start + place] = known[name][1]
            else:
                new.append(place)
        if new:
            crops = np.stack([encoder.preprocessing.crop(contents[place]) for place in new])
            vectors[[start + place for place in new]] = encoder.forward(torch.from_numpy(crops)).cpu().numpy()
    return vectors, hashes


def choose_scenes(
    photos: pd.DataFrame, groups: Mapping[str, Sequence[str]], scenes: int, seed: int
) -> dict[str, pd.DataFrame]:
    """Up to `scenes` postcards per group that show one of its cues: the first of one order, so that groups share."""
    order = photos.iloc[np.random.default_rng(seed).permutation(len(photos))]
    shown = {name: order[order[[f"cue_{cue}" for cue in cues]].any(axis=1)] for name, cues in groups.items()}
    return {name: rows.head(scenes) for name, rows in shown.items() if len(rows)}


def cue_costs(encoder: Encoder, model: Model, photos: pd.DataFrame, scenes: int, how: How) -> pd.DataFrame:
    """What hiding each group of cues changes, hidden minus shown, on the scenes that show it; costliest first.

    Both pictures are drawn here and now. `share_of_scenes` is how many of `photos` show a cue of the group, and
    `shown_*` what the model reaches with the cue in the picture.
    """
    chosen = choose_scenes(photos, GROUPS, scenes, how.seed)
    union = photos[photos.index.isin(pd.Index([]).append([rows.index for rows in chosen.values()]))]
    total = len(union) + sum(map(len, chosen.values()))
    out = []
    with (
        multiprocessing.get_context("spawn").Pool(how.workers) as pool,
        tqdm(total=total, desc="hiding cues", unit="scene", mininterval=5, disable=not how.progress) as bar,
    ):
        ids = list(union.index)
        vectors, hashes = embed_drawn(encoder, draw_hidden(pool, records(union.reset_index())), ids)
        known = {name: (digest, vector) for name, digest, vector in zip(ids, hashes, vectors, strict=True)}
        bar.update(len(ids))
        for group, rows in chosen.items():
            ids = list(rows.index)
            drawn = draw_hidden(pool, records(rows.reset_index()), GROUPS[group])
            hidden, digests = embed_drawn(encoder, drawn, ids, known)
            before = model.answer(np.stack([known[name][1] for name in ids]))
            shown = score([Method("shown", "-", "-", 0, before)], rows, replace(how, n_boot=1)).iloc[0]
            cues = [f"cue_{cue}" for cue in GROUPS[group]]
            about = {
                "cues": group,
                "hidden": list(GROUPS[group]),
                "share_of_scenes": float(photos[cues].any(axis=1).mean()),
                "unchanged_pictures": sum(d == known[name][0] for name, d in zip(ids, digests, strict=True)),
                "shown_country_accuracy": float(shown[COUNTRY]),
                "shown_within_750_km": float(shown[REGION]),
                "shown_median_km": float(shown["median_km"]),
            }
            out.append(about | difference(model.answer(hidden), before, rows, how))
            bar.update(len(ids))
    return pd.DataFrame(out).sort_values([COUNTRY, REGION], kind="stable", ignore_index=True)


def reading(costs: pd.DataFrame, overall: float) -> Row | None:
    """How much of the country accuracy over all scenes goes when script and town names go: points and share."""
    row = costs[costs["cues"] == READING]
    if row.empty or not overall:
        return None
    share = float(row["share_of_scenes"].iloc[0])
    lost = {f"points{end}": -share * float(row[f"{COUNTRY}{end}"].iloc[0]) for end in ("", "_low", "_high")}
    lost["points_low"], lost["points_high"] = lost["points_high"], lost["points_low"]
    return {"overall": overall, "share_of_scenes": share, "share_of_result": lost["points"] / overall} | lost


def blind_scenes(heads: Answers, prior: Answers, photos: pd.DataFrame, how: How) -> pd.DataFrame:
    """Heads next to the prior on scenes that show next to nothing, and on the others: numbers and paired difference."""
    rows = []
    kinds = photos["scene"].where(photos["scene"].isin(BLIND), "all other scenes")
    for split in TESTS:
        for kind in (*BLIND, "all other scenes"):
            mask = ((photos["split"] == split) & (kinds == kind)).to_numpy()
            if not mask.any():
                continue
            part = photos[mask]
            sides = [Method(name, "-", "-", 0, a.at(mask)) for name, a in (("heads", heads), ("prior", prior))]
            table = records(score(sides, part, replace(how, n_boot=1)))
            row: Row = {"split": split, "scene": kind}
            for name in (COUNTRY, REGION):
                row |= {f"{side}_{name}": table[number][name] for number, side in enumerate(("heads", "prior"))}
            rows.append(row | difference(sides[0].answers, sides[1].answers, part, how))
    return pd.DataFrame(rows)


def leaks(dataset: Dataset, photos: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What a regression tree tells of places without seeing a pixel: its median error over that on shuffled features.

    1 means that the features tell nothing. The order of longitudes stands beside them, to show that a leak is found.
    """
    from sklearn.tree import DecisionTreeRegressor

    size = np.array([dataset.path(name).stat().st_size for name in photos.index], dtype=np.float64)
    order = np.array([dataset.photos.index.get_loc(name) for name in photos.index], dtype=np.float64)
    lat, lon = photos["lat"].to_numpy(), photos["lon"].to_numpy()
    units, rng = sphere.unit_vectors(lat, lon), np.random.default_rng(seed)
    block = np.unique(np.stack([np.floor(lat), np.floor(lon)]), axis=1, return_inverse=True)[1].ravel()
    learns = rng.permutation(int(block.max()) + 1)[block] % 2 == 0  # whole blocks, so that a session cannot help itself

    def error(features: npt.NDArray[np.float64]) -> float:
        tree = DecisionTreeRegressor(min_samples_leaf=20, random_state=0).fit(features[learns], units[learns])
        found = sphere.to_lat_lon(tree.predict(features[~learns]))
        return float(np.median(sphere.haversine_km(*found, lat[~learns], lon[~learns])))

    rows = []
    tried = {
        "size of the file": size,
        "order in the table": order,
        "both": np.stack([size, order], axis=1),
        "order of longitudes (a leak on purpose)": np.argsort(np.argsort(lon)).astype(np.float64),
    }
    for name, values in tried.items():
        features = values.reshape(len(photos), -1)
        shuffled = float(np.median([error(features[rng.permutation(len(photos))]) for _ in range(5)]))
        km = error(features)
        rows.append(
            {"features": name, "photos": len(photos), "median_km": km, "shuffled_km": shuffled, "ratio": km / shuffled}
        )
    return pd.DataFrame(rows)


# The report


@dataclass(frozen=True)
class Study:
    """The postcards, which of them train, calibrate and test, and vectors by name."""

    dataset: Dataset
    encoders: Mapping[str, Encoder]
    folder: Path
    how: How

    @property
    def photos(self) -> pd.DataFrame:
        """The photo table."""
        return self.dataset.photos

    def mask(self, *sides: str) -> Mask:
        """Which postcards (n,) are on one of the sides."""
        return self.photos["split"].isin(sides).to_numpy(copy=True)

    def vectors(self, captions: str) -> Vectors:
        """Vectors (n, dim) of the postcards by one of the encoders."""
        shipped = self.folder / methods.FOLDERS[captions][1]
        return methods.vectors_of(self.dataset, self.encoders[captions], shipped)

    def fit(self, vectors: Vectors, train: Mask, ways: Sequence[str]) -> dict[str, Model]:
        """Models on vectors (n, dim) of the postcards that train."""
        held_out, how = self.mask("calibration"), self.how
        calibration = (vectors[held_out], self.photos[held_out])
        options: dict[str, Any] = {"seed": how.seed, "device": how.device, "epochs": how.epochs}
        return methods.fit_models(vectors[train], self.photos[train], calibration, ways=ways, **options)


def answer_all(study: Study, small: Vectors) -> tuple[list[Method], Model]:
    """Every method's answers to the test postcards, and the headline model. small: thumbnails (n, 768)."""
    photos, how, out = study.photos, study.how, []
    train, test = study.mask(*LEARNS), study.mask(*TESTS)
    real = study.mask("train")

    def add(key: Key, answers: Answers) -> None:
        out.append(Method(*key, int((real if key[2] == TRAIN else train).sum()), answers))

    def add_nearest(name: str, captions: str, vectors: Vectors) -> None:
        add((name, captions, BOTH), methods.nearest(vectors[train], photos[train], vectors[test]))

    add(PRIOR, methods.guess(photos[train], int(test.sum()), how.seed))
    how.note(THUMBNAILS)
    centred = methods.centred(small, train)
    add_nearest(f"{THUMBNAILS}, {NEAREST}", "-", centred)
    for way, model in study.fit(centred, train, (LINEAR, DEFAULT)).items():
        add((f"{THUMBNAILS}, {way}", "-", BOTH), model.answer(centred[test]))
    how.note(FACTS)
    facts = visible_facts(photos, train)
    add(CEILING, study.fit(facts, train, (DEFAULT,))[DEFAULT].answer(facts[test]))
    how.note(RANDOM)
    out.append(_random_weights(study))
    for captions in (captions for captions in (UNNAMED, NAMED) if captions in study.encoders):
        how.note(f"encoder, {captions} in its captions")
        vectors = study.vectors(captions)
        add_nearest(NEAREST, captions, vectors)
        models = study.fit(vectors, train, (LINEAR, DEFAULT))
        for way, model in models.items():
            add((way, captions, BOTH), model.answer(vectors[test]))
    add(PROMPTED, methods.zero_shot(study.encoders[NAMED], vectors[test], photos[train]))
    add((DEFAULT, NAMED, TRAIN), study.fit(vectors, real, (DEFAULT,))[DEFAULT].answer(vectors[test]))
    return out, models[DEFAULT]


def _random_weights(study: Study) -> Method:
    """Linear heads on an encoder that was never trained; it has to see pictures, so of training it sees a few."""
    keep, how = study.mask("calibration", *TESTS), study.how
    known = np.flatnonzero(study.mask(*LEARNS))
    keep[np.random.default_rng(how.seed).permutation(known)[: methods.RANDOM_TRAINING]] = True
    part = replace(study, dataset=replace(study.dataset, photos=study.photos[keep]))
    encoder = methods.random_encoder(study.folder / methods.FOLDERS[NAMED][0], how.seed, how.device)
    train, test = part.mask(*LEARNS), part.mask(*TESTS)
    vectors = methods.centred(methods.random_vectors(part.dataset, encoder, how.workers, how.progress), train)
    model = part.fit(vectors, train, (LINEAR,))[LINEAR]
    return Method(f"{RANDOM}, {LINEAR}", "-", BOTH, int(train.sum()), model.answer(vectors[test]))


def read_facts(study: Study, small: Vectors) -> list[Row]:
    """The probe table of the encoder beside thumbnails (n, 768), on one test side; empty where that is missing."""
    keep = study.mask(*LEARNS, PROBED)
    if not study.mask(PROBED).any():
        return []
    how, photos = study.how, study.photos[keep]
    how.note("probes of visible facts")
    table = probe.probe(
        {"encoder": study.vectors(NAMED)[keep], "thumbnails": small[keep]},
        facts_of(photos),
        photos,
        study.mask(*LEARNS)[keep],
        {PROBED: study.mask(PROBED)[keep]},
        n_boot=how.n_boot,
        seed=how.seed,
    )
    return records(table)


def report(
    out: Path,
    seed: int = 0,
    workers: int = 1,
    *,
    progress: bool = True,
    dataset: Dataset | None = None,
    encoders: Mapping[str, Encoder] | None = None,
    folder: Path | None = None,
    scenes: int = 400,
    epochs: int | None = None,
    n_boot: int = 1000,
    device: str = "auto",
) -> Row:
    """Measure everything and write `REPORT.md`, `report.json` and three figures to `out`; returns what the JSON holds.

    workers: processes that draw.  scenes: postcards drawn again for each group of cues.  epochs: at most, for heads.
    folder: where encoders and embeddings lie (default `data/postcards`).  dataset, encoders: others than those there,
        the encoders as {"names": ..., "no names": ...}; the second is optional.

    Raises `MissingDataError` when the encoder whose captions name places is not there.
    """
    folder = folder or data_path("postcards")
    dataset = dataset or open_dataset("postcards")
    dataset = replace(dataset, photos=dataset.photos[dataset.photos["split"].isin(SIDES)])
    encoders = methods.find_encoders(folder, device) if encoders is None else encoders
    if NAMED not in encoders:
        raise MissingDataError(f"no encoder in {folder / 'encoder'}: train it with python -m postcards train-encoder")
    chosen = encoders[NAMED].device if encoders[NAMED].device != "mps" else "cpu"
    how = How(seed, n_boot, epochs, workers, chosen, progress)
    study = Study(dataset, encoders, folder, how)
    how.note(f"thumbnails of {len(dataset.photos):,} pictures, drawn or found in the cache")
    small = methods.thumbnails(dataset, workers, progress)
    answered, headline = answer_all(study, small)
    plain = cast(Row, _plain(measured(study, answered, headline, read_facts(study, small), scenes)))
    write_json(out / "report.json", plain)
    write_figures(out, plain)
    write_bytes(out / "REPORT.md", markdown(plain).encode())
    how.note("done")
    return plain


def measured(study: Study, answered: Sequence[Method], headline: Model, probed: list[Row], scenes: int) -> Row:
    """All numbers of the report, by the sections of `report.json`."""
    photos, how = study.photos, study.how
    test, train = photos[study.mask(*TESTS)], photos[study.mask(*LEARNS)]
    by_key = {method.key: method.answers for method in answered}
    how.note("intervals")
    tables, gains = {}, {}
    for side in TESTS:
        mask = (test["split"] == side).to_numpy()
        if mask.any():
            own = [replace(m, answers=m.answers.at(mask)) for m in answered]
            tables[side] = records(score(own, test[mask], how))
            gains[side] = records(differences(own, test[mask], how))
    reached = goals(answered, test, train, probed, how)
    blind = blind_scenes(by_key[HEADLINE], by_key[PRIOR], test, how)
    costs = cue_costs(study.encoders[NAMED], headline, test, scenes, how)
    overall = float((by_key[HEADLINE].country == test["country"].to_numpy(dtype=object)).mean())
    return {
        "about": {
            "seed": how.seed,
            "scenes": scenes,
            "n_boot": how.n_boot,
            "templates": list(methods.TEMPLATES),
            "headline": dict(zip(("method", "captions", "trained_on"), HEADLINE, strict=True)),
            "splits": {side: int(study.mask(side).sum()) for side in SIDES if study.mask(side).any()},
            "countries": {str(k): int(v) for k, v in photos.groupby("split")["country"].nunique().items()},
            "encoders": {name: encoder.fingerprint[:12] for name, encoder in study.encoders.items()},
            "country_decay": headline.countries.decay,
        },
        "methods": tables,
        "differences": gains,
        "probe": probed,
        "goals": reached,
        "cues": records(costs),
        "reading": reading(costs, overall),
        "blind": records(blind),
        "leaks": records(leaks(study.dataset, test, how.seed)),
    }


def _plain(value: Any) -> Any:
    """As JSON can hold it: numpy's numbers as Python's, NaN and infinity as None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
