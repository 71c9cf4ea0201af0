"""What the postcards' encoders reach, measured on what ships: `python -m postcards report`.

Five questions, each a function that gives a table: how far each method comes, with intervals; by how much two of them
differ; whether the set goals are reached; what a picture loses when a cue is left out of it; and what is answered
where a picture shows nothing. Every choice is made on training or calibration postcards; the test splits are answered
once. `report.json` holds all numbers, and `REPORT.md` is written from it alone.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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

from geolib import evaluate, sphere
from geolib.cells import GeocellTree
from geolib.common.errors import MissingDataError
from geolib.common.files import cache_path, data_path, read_json, write_bytes, write_json, write_tensors
from geolib.datasets import Dataset, open_dataset
from geolib.decoding import decode
from geolib.embed import EmbeddingStore, Vectors, embed_photos
from geolib.encoder import Encoder
from geolib.fusion import fuse
from geolib.heads import HierarchicalHeads, TrainOptions, predict_logits, train_heads
from geolib.images import open_rgb
from geolib.openclip.model import Preprocessing
from geolib.openclip.torchvision import import_open_clip
from geolib.predict import cells_for
from geolib.retrieve import NearestNeighbour, constant_guess
from geolib.sphere import FloatArray
from postcards import CUES, render_bytes
from postcards.build import records
from postcards.ceiling import visible_facts
from postcards.report_page import (  # fmt: skip
    BLIND,
    BOTH,
    CITY,
    COUNTRY,
    FACTS,
    NAMED,
    NEAREST,
    PROMPTS,
    RANDOM,
    REGION,
    SAME,
    TESTS,
    THUMBNAILS,
    TRAIN,
    UNNAMED,
    Row,
    markdown,
    write_figures,
)

Note = Callable[[str], object]

FOLDERS = {NAMED: ("encoder", "embeddings"), UNNAMED: ("encoder-no-names", "embeddings-no-names")}
TEMPLATES = (
    "a drawing of a city street, in {}",
    "a drawing of a suburban road, in {}",
    "a drawing of a village road, in {}",
    "a drawing of a country road, in {}",
    "a drawing of the coast, in {}",
)
_SIGNS = ("script", "town_name", "route", "warning")
READING = "script + town_name"
# What is left out of the pictures together; a group's scenes are those that show one of its cues.
GROUPS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("script", "town_name")},
    READING: ("script", "town_name"),
    **{name: (name,) for name in ("road", "plate", "landmark", "vegetation", "architecture", "flag", "warning")},
    **{name: (name,) for name in ("route", "fence") if name in CUES},
    "poles + bollard": ("poles", "bollard"),
    "light": ("light",),
    "all signs": tuple(name for name in _SIGNS if name in CUES),
    "everything": tuple(CUES),
}
GOALS = ((COUNTRY, 0.35), (REGION, 0.40))  # on test_balanced
LANDMARK_GOAL = 0.25  # within 25 km, of the scenes with a landmark that training has shown
DECAYS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4)  # of the country classifier, strongest first
EPOCHS = 40  # of the heads, as in the tour


@dataclass(frozen=True)
class Answers:
    """What a method says of n postcards: a place and a country each."""

    lat: FloatArray
    lon: FloatArray
    country: npt.NDArray[Any]

    def at(self, mask: npt.NDArray[np.bool_]) -> Answers:
        """The answers to some of the postcards."""
        return Answers(self.lat[mask], self.lon[mask], self.country[mask])


@dataclass(frozen=True)
class Method:
    """One row of the table of methods: what answers, over which encoder, from which training postcards."""

    name: str
    captions: str  # NAMED, UNNAMED, or "-" where no caption was read
    trained_on: str
    training_photos: int
    answers: Answers

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells methods apart."""
        return self.name, self.captions, self.trained_on


@dataclass(frozen=True)
class Linear:
    """Heads of geocells, and a classifier of countries, over one frozen embedding."""

    tree: GeocellTree
    heads: HierarchicalHeads
    countries: CountryClassifier

    def answer(self, vectors: Vectors) -> Answers:
        """Place by the fused heads, country by the classifier, of embeddings (n, dim)."""
        parts = [
            decode(fuse(predict_logits(self.heads, part), self.tree), self.tree)
            for part in (vectors[start : start + 1024] for start in range(0, len(vectors), 1024))
        ]
        lat, lon = (np.concatenate(side) for side in zip(*parts, strict=True))
        return Answers(lat, lon, self.countries.predict(vectors))


@dataclass(frozen=True)
class CountryClassifier:
    """Multinomial logistic regression from embeddings to countries; `decay` is what the calibration split chose."""

    classes: npt.NDArray[Any]
    mean: torch.Tensor
    scale: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    decay: float

    def predict(self, vectors: Vectors) -> npt.NDArray[Any]:
        """The likeliest country of each embedding, (n,)."""
        x = (torch.from_numpy(np.asarray(vectors, np.float32)) - self.mean) * self.scale
        best: npt.NDArray[Any] = self.classes[(x @ self.weight.T + self.bias).argmax(dim=1).numpy()]
        return best


def fit_countries(
    vectors: Vectors,
    country: npt.ArrayLike,
    calibration: tuple[Vectors, npt.ArrayLike],
    *,
    device: str = "cpu",
    iterations: int = 30,
) -> CountryClassifier:
    """Fit the classifier at each decay, from the strongest on, and keep the one most often right on `calibration`.

    Each fit starts from the last one's weights. A calibration photo of a country never seen counts as wrong.
    """
    x = torch.from_numpy(np.array(vectors, dtype=np.float32))
    classes, target = np.unique(np.asarray(country, dtype=str), return_inverse=True)
    mean, spread = x.mean(dim=0), x.std(dim=0, correction=0)
    scale = 1 / spread.clamp_min(0.1 * spread.square().mean().sqrt().clamp_min(1e-6))
    x, y = ((x - mean) * scale).to(device), torch.from_numpy(target).to(device)
    weight = torch.zeros(len(classes), x.shape[1], device=device, requires_grad=True)
    bias = ((torch.bincount(y, minlength=len(classes)) + 0.5) / len(y)).log().requires_grad_()
    truth, best, found = np.asarray(calibration[1], dtype=str), -1.0, None
    for decay in DECAYS:
        _minimise(weight, bias, x, y, decay, iterations)
        made = CountryClassifier(
            classes, mean, scale, weight.detach().cpu().clone(), bias.detach().cpu().clone(), decay
        )
        right = float((made.predict(calibration[0]) == truth).mean())
        if right > best:
            best, found = right, made
    assert found is not None
    return found


def _minimise(
    weight: torch.Tensor, bias: torch.Tensor, x: torch.Tensor, y: torch.Tensor, decay: float, iterations: int
) -> None:
    """Cross-entropy and decay / 2 times the squared weights, by L-BFGS on all photos at once."""
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, y) + decay / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call]


def fit_linear(
    vectors: Vectors,
    photos: pd.DataFrame,
    calibration: tuple[Vectors, pd.DataFrame],
    *,
    seed: int,
    device: str = "cpu",
    epochs: int = EPOCHS,
) -> Linear:
    """Geocells, heads and country classifier, as in the tour: trained on `photos`, stopped on `calibration`."""
    lat, lon = photos["lat"].to_numpy(), photos["lon"].to_numpy()
    held_out, rows = calibration
    tree = GeocellTree.fit(lat, lon, cells_for(len(photos)), min_photos=5)
    places = (held_out, rows["lat"].to_numpy(), rows["lon"].to_numpy())
    options = TrainOptions(epochs=epochs)
    heads, _ = train_heads(vectors, lat, lon, tree, calibration=places, options=options, seed=seed, device=device)
    countries = fit_countries(vectors, photos["country"], (held_out, rows["country"]), device=device)
    return Linear(tree, heads, countries)


# Methods that need no heads


def guess(train: pd.DataFrame, n: int, seed: int) -> Answers:
    """The same answer to every postcard: the best constant place, the most frequent country."""
    lat, lon = constant_guess(train["lat"], train["lon"], seed=seed)
    country = train["country"].value_counts(sort=False).sort_index().idxmax()
    return Answers(np.full(n, lat), np.full(n, lon), np.full(n, country, dtype=object))


def nearest(gallery: Vectors, train: pd.DataFrame, vectors: Vectors) -> Answers:
    """Place and country of the most similar training postcard."""
    lat, lon = train["lat"].to_numpy(), train["lon"].to_numpy()
    best = NearestNeighbour(gallery, lat, lon).top_k(vectors, 1)[1][:, 0]
    return Answers(lat[best], lon[best], train["country"].to_numpy(dtype=object)[best])


def zero_shot(encoder: Any, vectors: Vectors, train: pd.DataFrame) -> tuple[Answers, int]:
    """The country whose name in a prompt is most similar, at the mean point of its training postcards.

    A country's text vector is the mean of its prompts' (`TEMPLATES`), at unit length. Countries without a training
    postcard are not asked for. Also returns how many of the text vectors are distinct: an encoder whose vocabulary has
    no names of places cannot tell the prompts apart.
    """
    known = train.groupby("country", sort=True)
    names = known["country_name"].first()
    texts = [template.format(name) for name in names for template in TEMPLATES]
    prompts = encoder.embed_text(texts).reshape(len(names), len(TEMPLATES), -1).mean(axis=1)
    prompts /= np.linalg.norm(prompts, axis=1, keepdims=True)
    best = (vectors @ prompts.T).argmax(axis=1)
    middles = np.array([sphere.mean_point(rows["lat"], rows["lon"]) for _, rows in known])
    distinct = len(np.unique(prompts.round(4), axis=0))
    return Answers(middles[best, 0], middles[best, 1], names.index.to_numpy(dtype=object)[best]), distinct


# Vectors


def find_encoders(folder: Path, device: str = "auto") -> dict[str, Encoder]:
    """The shipped encoders by what their captions hold; one that is not there is left out."""
    return {
        captions: Encoder.load(str(folder / name), device=device)
        for captions, (name, _) in FOLDERS.items()
        if (folder / name / "open_clip_model.safetensors").is_file()
    }


def vectors_of(dataset: Dataset, encoder: Encoder, shipped: Path) -> Vectors:
    """Embeddings of the dataset's photos in order: those in `shipped` if this encoder made them, else computed."""
    if (shipped / "meta.json").is_file():
        store = EmbeddingStore.open(shipped)
        if store.meta["encoder"]["fingerprint"] == encoder.fingerprint:
            return store.subset(list(dataset.photos.index))
    return dataset.embeddings(encoder).subset(list(dataset.photos.index))


def random_encoder(folder: Path, seed: int, device: str = "auto") -> Encoder:
    """An encoder of the shape in `folder` whose weights have seen nothing, drawn from `seed`."""
    shape = read_json(folder / "open_clip_config.json")["model_cfg"]
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as scratch:
        torch.default_generator.manual_seed(seed)
        weights = import_open_clip().CLIP(**shape).state_dict()
        write_tensors(Path(scratch, "open_clip_model.safetensors"), {k: v.numpy() for k, v in weights.items()})
        for name in ("open_clip_config.json", "vocab.json"):
            write_bytes(Path(scratch, name), (folder / name).read_bytes())
        return Encoder.load(scratch, device=device)


def random_vectors(dataset: Dataset, encoder: Encoder, progress: bool = False) -> Vectors:
    """Embeddings by random weights, kept in the cache. In float32: they differ little from one another."""
    ids = list(dataset.photos.index)
    out = cache_path("embeddings", f"report-{dataset.key(encoder)}")
    return embed_photos(encoder, dataset.paths, ids, out, dtype="float32", progress=progress).subset(ids)


def thumbnails(dataset: Dataset, side: int = 16, progress: bool = False) -> Vectors:
    """The pictures shrunk to `side` x `side` colours, float32 (n, 3 * side**2) in 0..1, kept in the cache."""
    out = cache_path("embeddings", f"report-thumbnails-{_key(dataset)}-{side}")
    ids = list(dataset.photos.index)
    if (out / "pixels.npy").is_file():
        return cast(Vectors, np.load(out / "pixels.npy") / np.float32(255))
    small = Preprocessing(side, (0.0,) * 3, (1.0,) * 3, "bilinear")
    paths = tqdm(dataset.paths, desc="thumbnails", unit="photo", mininterval=5, disable=not progress)
    pixels = np.stack([small.crop(open_rgb(path, min_side=2 * side)).ravel() for path in paths])
    assert len(pixels) == len(ids)
    with tempfile.TemporaryFile() as stream:
        np.save(stream, pixels)
        stream.seek(0)
        write_bytes(out / "pixels.npy", stream.read())
    return cast(Vectors, pixels / np.float32(255))


def _key(dataset: Dataset) -> str:
    first = dataset.path(str(dataset.photos.index[0])).parent.name  # changes with table and renderer
    return hashlib.sha256("\n".join([first, *dataset.photos.index]).encode()).hexdigest()[:16]


def centred(vectors: Vectors, train: npt.NDArray[np.bool_]) -> Vectors:
    """Vectors minus the mean of the training ones, at unit length: so that cosines compare what differs."""
    shifted = vectors - vectors[train].mean(axis=0)
    return cast(Vectors, shifted / np.maximum(np.linalg.norm(shifted, axis=1, keepdims=True), 1e-12))


# Tables


def clusters_of(photos: pd.DataFrame) -> pd.DataFrame:
    """Photographer and place of each postcard: what every interval resamples."""
    place = evaluate.places(photos["lat"], photos["lon"])
    return pd.DataFrame({"photographer": photos["photographer"], "place": place}, index=photos.index)


def score(methods: Sequence[Method], photos: pd.DataFrame, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """The table of methods on test photos: country accuracy and `evaluate.compare`'s columns, with intervals."""
    clusters = clusters_of(photos)
    places = {str(number): (m.answers.lat, m.answers.lon) for number, m in enumerate(methods)}
    table = evaluate.compare(places, photos["lat"], photos["lon"], clusters, n_boot=n_boot, seed=seed)
    rows = []
    for method, (_, km) in zip(methods, table.iterrows(), strict=True):
        right = mean_interval(method.answers.country == photos["country"].to_numpy(), clusters, n_boot, seed)
        about = {
            "method": method.name,
            "captions": method.captions,
            "trained_on": method.trained_on,
            "training_photos": method.training_photos,
        }
        parts = {f"{name}_place": float(km[f"{name}_place"]) for name in _WITHIN}
        rows.append(about | _counts(clusters) | _numbers(right, km) | parts)
    return pd.DataFrame(rows)


_WITHIN = (CITY, "within_200_km", REGION, "within_2500_km")


def _counts(clusters: pd.DataFrame) -> Row:
    kinds = {f"{kind}s": int(clusters[kind].nunique()) for kind in clusters}
    return {"photos": len(clusters)} | kinds


def _numbers(country: tuple[float, float, float], km: pd.Series[Any]) -> Row:
    ends = ("", "_low", "_high")
    numbers = {f"{COUNTRY}{end}": value for end, value in zip(ends, country, strict=True)}
    return numbers | {f"{name}{end}": float(km[f"{name}{end}"]) for name in (*_WITHIN, "median_km") for end in ends}


def difference(a: Answers, b: Answers, photos: pd.DataFrame, n_boot: int = 1000, seed: int = 0) -> Row:
    """Every number of `a` minus that of `b`, with intervals from a paired bootstrap and the word for each."""
    clusters = clusters_of(photos)
    km = evaluate.difference(
        (a.lat, a.lon), (b.lat, b.lon), photos["lat"], photos["lon"], clusters, n_boot=n_boot, seed=seed
    ).iloc[0]
    truth = photos["country"].to_numpy(dtype=object)
    gain = (a.country == truth).astype(np.float64) - (b.country == truth).astype(np.float64)
    row = _counts(clusters) | _numbers(mean_interval(gain, clusters, n_boot, seed), km)
    for name in (COUNTRY, *_WITHIN, "median_km"):
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        row[f"{name}_verdict"] = evaluate.verdict(low, high, same=SAME if low == high == 0 else "")
    return row


def mean_interval(
    values: npt.NDArray[Any], clusters: pd.DataFrame, n_boot: int = 1000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of values (n,) and its 95 % interval over whole clusters; NaN for its ends where there is one cluster."""
    row = evaluate.interval({"mean": values}, clusters, n_boot=n_boot, seed=seed).iloc[0]
    return float(row["share"]), float(row["share_low"]), float(row["share_high"])


def most_training(methods: Iterable[Method]) -> str:
    """The largest set of training postcards that heads of a trained encoder had."""
    return max((m for m in methods if m.name == "heads"), key=lambda m: m.training_photos).trained_on


def claims(methods: Sequence[Method]) -> list[tuple[str, Method, Method]]:
    """What is compared, (in words, a, b), of the methods that are there."""
    by_key = {method.key: method for method in methods}
    most = most_training(methods)
    asked = [
        ("balanced training postcards added", ("heads", NAMED, BOTH), ("heads", NAMED, TRAIN)),
        ("balanced training postcards added, no names", ("heads", UNNAMED, BOTH), ("heads", UNNAMED, TRAIN)),
        ("names in the captions", ("heads", NAMED, most), ("heads", UNNAMED, most)),
        ("names in the captions, nearest neighbour", (NEAREST, NAMED, most), (NEAREST, UNNAMED, most)),
        ("heads instead of the nearest neighbour", ("heads", NAMED, most), (NEAREST, NAMED, most)),
        ("a trained encoder instead of random weights", ("heads", NAMED, TRAIN), (f"{RANDOM}, heads", "-", TRAIN)),
        ("a trained encoder instead of thumbnails", ("heads", NAMED, TRAIN), (f"{THUMBNAILS}, heads", "-", TRAIN)),
        ("what the encoder leaves unread", (FACTS, "-", most), ("heads", NAMED, most)),
        ("prompts instead of the prior", (PROMPTS, NAMED, TRAIN), ("prior", "-", TRAIN)),
    ]
    return [(claim, by_key[a], by_key[b]) for claim, a, b in asked if a in by_key and b in by_key]


def differences(methods: Sequence[Method], photos: pd.DataFrame, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """One row per claim: what method `a` has more than `b`, paired."""
    rows = []
    for claim, a, b in claims(methods):
        about = {"claim": claim, "a": ", ".join(a.key), "b": ", ".join(b.key)}
        rows.append(about | difference(a.answers, b.answers, photos, n_boot, seed))
    return pd.DataFrame(rows)


def goals(
    tables: Mapping[str, pd.DataFrame],
    methods: Sequence[Method],
    photos: pd.DataFrame,
    train: Mapping[str, pd.DataFrame],
    n_boot: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """The set goals, and whether the value (not its interval) reaches them, with the most training postcards.

    Country and region are asked of the heads on `test_balanced`; the city of a landmark that training has shown, of
    heads and nearest neighbour on all `photos`.
    """
    rows: list[Row] = []
    asked = [m for m in methods if m.name in ("heads", NEAREST) and m.trained_on == most_training(methods)]
    for metric, goal in GOALS if "test_balanced" in tables else ():
        for row in records(tables["test_balanced"]):
            if any((row["method"], row["captions"], row["trained_on"]) == m.key for m in asked if m.name == "heads"):
                rows.append(_goal(f"{metric} on test_balanced", goal, row, metric))
    for method in asked:
        seen = train[method.trained_on]
        shown = set(seen.loc[seen["cue_landmark"], "landmark_id"])
        mask = (photos["cue_landmark"] & photos["landmark_id"].isin(shown)).to_numpy()
        if mask.any():
            part = replace(method, answers=method.answers.at(mask))
            row = records(score([part], photos[mask], n_boot, seed))[0]
            rows.append(_goal(f"{CITY}, landmark seen in training", LANDMARK_GOAL, row, CITY))
    return pd.DataFrame(rows)


def _goal(what: str, goal: float, row: Mapping[str, Any], metric: str) -> Row:
    about = {name: row[name] for name in ("method", "captions", "trained_on", "photos", "photographers", "places")}
    value = {"value": row[metric], "value_low": row[f"{metric}_low"], "value_high": row[f"{metric}_high"]}
    return {"what": what, "goal": goal} | about | value | {"reached": bool(row[metric] >= goal)}


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
    """Up to `scenes` photos a group that show one of its cues: the first of one order, so that groups share many."""
    order = photos.iloc[np.random.default_rng(seed).permutation(len(photos))]
    shown = {
        name: order[order[[f"cue_{cue}" for cue in cues if f"cue_{cue}" in order]].any(axis=1)]
        for name, cues in groups.items()
    }
    return {name: rows.head(scenes) for name, rows in shown.items() if len(rows)}


def cue_costs(
    encoder: Encoder,
    model: Linear,
    photos: pd.DataFrame,
    scenes: int = 1000,
    seed: int = 0,
    n_boot: int = 1000,
    workers: int = 2,
    groups: Mapping[str, Sequence[str]] = GROUPS,
    progress: bool = False,
) -> pd.DataFrame:
    """What hiding each group of cues changes, hidden minus shown, on the scenes that show it; costliest first.

    Both pictures are drawn here and now. `share_of_scenes` is how many of `photos` show a cue of the group, and
    `shown_*` what the model reaches with the cue in the picture.
    """
    chosen = choose_scenes(photos, groups, scenes, seed)
    union = photos[photos.index.isin(pd.Index([]).append([rows.index for rows in chosen.values()]))]
    total = len(union) + sum(map(len, chosen.values()))
    out = []
    with (
        multiprocessing.get_context("spawn").Pool(workers) as pool,
        tqdm(total=total, desc="hiding cues", unit="scene", mininterval=5, disable=not progress) as bar,
    ):
        ids = list(union.index)
        vectors, hashes = embed_drawn(encoder, draw_hidden(pool, records(union.reset_index())), ids)
        known = {name: (digest, vector) for name, digest, vector in zip(ids, hashes, vectors, strict=True)}
        bar.update(len(ids))
        for group, rows in chosen.items():
            ids = list(rows.index)
            drawn = draw_hidden(pool, records(rows.reset_index()), groups[group])
            hidden, digests = embed_drawn(encoder, drawn, ids, known)
            same = sum(digest == known[name][0] for name, digest in zip(ids, digests, strict=True))
            before = model.answer(np.stack([known[name][1] for name in ids]))
            change = difference(model.answer(hidden), before, rows, n_boot, seed)
            shown = score([Method("shown", "-", "-", 0, before)], rows, 1, seed).iloc[0]
            cues = [f"cue_{cue}" for cue in groups[group] if f"cue_{cue}" in photos]
            about = {
                "cues": group,
                "hidden": list(groups[group]),
                "share_of_scenes": float(photos[cues].any(axis=1).mean()),
                "unchanged_pictures": same,
                "shown_country_accuracy": float(shown[COUNTRY]),
                "shown_within_750_km": float(shown[REGION]),
                "shown_median_km": float(shown["median_km"]),
            }
            out.append(about | change)
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


def blind_scenes(
    heads: Answers, prior: Answers, photos: pd.DataFrame, n_boot: int = 1000, seed: int = 0
) -> pd.DataFrame:
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
            table = records(score(sides, part, n_boot, seed))
            row: Row = {"split": split, "scene": kind}
            for name in (COUNTRY, REGION, "within_2500_km"):
                row |= {f"{side}_{name}": table[number][name] for number, side in enumerate(("heads", "prior"))}
            gain = difference(sides[0].answers, sides[1].answers, part, n_boot, seed)
            rows.append(row | gain)
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
        return float(
            np.median(
                sphere.haversine_km(*sphere.to_lat_lon(tree.predict(features[~learns])), lat[~learns], lon[~learns])
            )
        )

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


def answer_all(
    dataset: Dataset,
    encoders: Mapping[str, Encoder],
    folder: Path,
    *,
    seed: int,
    device: str,
    pixels: int | None,
    epochs: int,
    progress: bool,
    note: Note,
) -> tuple[list[Method], dict[str, Linear], list[Row]]:
    """Every method's answers to the test postcards; the heads with most training postcards; facts on prompts."""
    photos = dataset.photos
    split = photos["split"].to_numpy(dtype=object)
    test, held_out = np.isin(split, TESTS), split == "calibration"
    masks = {TRAIN: split == "train"}
    if (split == "train_balanced").any():
        masks[BOTH] = np.isin(split, ["train", "train_balanced"])
    else:
        note("no split train_balanced in the table: the rows that train on it are left out")
    methods = [
        Method("prior", "-", label, int(mask.sum()), guess(photos[mask], int(test.sum()), seed))
        for label, mask in masks.items()
    ]
    methods += _pixel_methods(dataset, folder, seed, device, pixels, epochs, progress, note)
    note("visible facts: heads")
    for label, mask in masks.items():
        facts = visible_facts(photos, mask)
        calibration = (facts[held_out], photos[held_out])
        model = fit_linear(facts[mask], photos[mask], calibration, seed=seed, device=device, epochs=epochs)
        methods.append(Method(FACTS, "-", label, int(mask.sum()), model.answer(facts[test])))
    models: dict[str, Linear] = {}
    prompts: list[Row] = []
    for captions in (UNNAMED, NAMED):
        if captions not in encoders:
            note(f"no encoder trained on captions with {captions} in {folder}: its rows are left out")
            continue
        encoder = encoders[captions]
        vectors = vectors_of(dataset, encoder, folder / FOLDERS[captions][1])
        note(f"{captions}: prompts, neighbours, heads")
        said, distinct = zero_shot(encoder, vectors[test], photos[masks[TRAIN]])
        countries = photos.loc[masks[TRAIN], "country"].nunique()
        prompts.append({"captions": captions, "countries": int(countries), "distinct_prompts": distinct})
        methods.append(Method(PROMPTS, captions, TRAIN, int(masks[TRAIN].sum()), said))
        for label, mask in masks.items():
            train, n = photos[mask], int(mask.sum())
            methods.append(Method(NEAREST, captions, label, n, nearest(vectors[mask], train, vectors[test])))
            calibration = (vectors[held_out], photos[held_out])
            model = fit_linear(vectors[mask], train, calibration, seed=seed, device=device, epochs=epochs)
            methods.append(Method("heads", captions, label, n, model.answer(vectors[test])))
            models[captions] = model
    order = ["prior", f"{THUMBNAILS}, {NEAREST}", f"{THUMBNAILS}, heads", f"{RANDOM}, {NEAREST}", f"{RANDOM}, heads"]
    order += [PROMPTS, NEAREST, "heads", FACTS]
    methods.sort(key=lambda m: (order.index(m.name), m.trained_on != TRAIN, m.captions != UNNAMED))
    return methods, models, prompts


def _pixel_methods(
    dataset: Dataset, folder: Path, seed: int, device: str, pixels: int | None, epochs: int, progress: bool, note: Note
) -> list[Method]:
    """Thumbnails and random weights: they need the pictures, so at most `pixels` training postcards."""
    split = dataset.photos["split"].to_numpy(dtype=object)
    keep = np.isin(split, ["calibration", *TESTS])
    train = np.flatnonzero(split == "train")
    keep[np.random.default_rng(seed).permutation(train)[:pixels]] = True
    part = replace(dataset, photos=dataset.photos[keep])
    split = split[keep]
    learns, held_out, test = split == "train", split == "calibration", np.isin(split, TESTS)
    note(f"thumbnails and random weights: {len(part):,} pictures to draw or to find in the cache")
    blank = random_vectors(part, random_encoder(folder / FOLDERS[NAMED][0], seed, device), progress)
    out = []
    for name, raw in ((THUMBNAILS, thumbnails(part, progress=progress)), (RANDOM, blank)):
        note(f"{name}: neighbours, heads")
        vectors, photos = centred(raw, learns), part.photos
        model = fit_linear(
            vectors[learns],
            photos[learns],
            (vectors[held_out], photos[held_out]),
            seed=seed,
            device=device,
            epochs=epochs,
        )
        for how, said in (
            (NEAREST, nearest(vectors[learns], photos[learns], vectors[test])),
            ("heads", model.answer(vectors[test])),
        ):
            out.append(Method(f"{name}, {how}", "-", TRAIN, int(learns.sum()), said))
    return out


def report(
    out: Path,
    scenes: int = 1000,
    seed: int = 0,
    progress: bool = True,
    *,
    dataset: Dataset | None = None,
    encoders: Mapping[str, Encoder] | None = None,
    folder: Path | None = None,
    pixels: int | None = None,
    workers: int = 2,
    epochs: int = EPOCHS,
    n_boot: int = 1000,
    device: str = "auto",
) -> Row:
    """Measure everything and write `REPORT.md`, `report.json` and two figures to `out`; returns what the JSON holds.

    scenes: postcards drawn again for each group of cues.  pixels: most training postcards of thumbnails and random
        weights, which have to be drawn (None: all of `train`).  workers: processes that draw.
    folder: where encoders and embeddings lie (default `data/postcards`).  dataset, encoders: others than those there,
        the encoders as {"names": ..., "no names": ...}.

    Raises `MissingDataError` when the encoder whose captions name places is not there.
    """
    note: Note = print if progress else lambda _: None
    folder = folder or data_path("postcards")
    dataset = dataset or open_dataset("postcards")
    dataset = replace(dataset, photos=dataset.photos[dataset.photos["split"].isin(_SPLITS)])
    encoders = find_encoders(folder, device) if encoders is None else encoders
    if NAMED not in encoders:
        raise MissingDataError(f"no encoder in {folder / 'encoder'}: train it with python -m postcards train-encoder")
    chosen = encoders[NAMED].device if encoders[NAMED].device != "mps" else "cpu"
    methods, models, prompts = answer_all(
        dataset, encoders, folder, seed=seed, device=chosen, pixels=pixels, epochs=epochs, progress=progress, note=note
    )
    photos = dataset.photos
    test = photos[photos["split"].isin(TESTS)]
    train = {TRAIN: photos[photos["split"] == "train"], BOTH: photos[photos["split"].isin(["train", "train_balanced"])]}

    note("intervals")
    tables, gains = {}, {}
    for split in TESTS:
        mask = (test["split"] == split).to_numpy()
        if mask.any():
            own = [replace(m, answers=m.answers.at(mask)) for m in methods]
            tables[split] = score(own, test[mask], n_boot, seed)
            gains[split] = differences(own, test[mask], n_boot, seed)
    reached = goals(tables, methods, test, train, n_boot, seed)
    best = [m for m in methods if m.name == "heads" and m.captions == NAMED][-1]
    prior = next(m for m in methods if m.name == "prior" and m.trained_on == best.trained_on)
    blind = blind_scenes(best.answers, prior.answers, test, n_boot, seed)
    costs = cue_costs(
        encoders[NAMED], models[NAMED], test, scenes, seed, n_boot, workers, _known_groups(test, note), progress
    )
    overall = float((best.answers.country == test["country"].to_numpy(dtype=object)).mean())
    numbers = {
        "about": {
            "seed": seed,
            "scenes": scenes,
            "n_boot": n_boot,
            "templates": list(TEMPLATES),
            "epochs": epochs,
            "headline": dict(zip(("method", "captions", "trained_on"), best.key, strict=True)),
            "splits": {str(k): int(v) for k, v in photos["split"].value_counts().sort_index().items()},
            "countries": {str(k): int(v) for k, v in photos.groupby("split")["country"].nunique().items()},
            "encoders": {name: encoder.fingerprint[:12] for name, encoder in encoders.items()},
            "country_decay": {name: model.countries.decay for name, model in models.items()},
        },
        "methods": {split: records(table) for split, table in tables.items()},
        "differences": {split: records(table) for split, table in gains.items()},
        "goals": records(reached),
        "prompts": prompts,
        "cues": records(costs),
        "reading": reading(costs, overall),
        "blind": records(blind),
        "leaks": records(leaks(dataset, test, seed)),
    }
    plain = cast(Row, _plain(numbers))
    write_json(out / "report.json", plain)
    write_figures(out, plain)
    write_bytes(out / "REPORT.md", markdown(plain).encode())
    return plain


_SPLITS = ("train", "train_balanced", "calibration", *TESTS)


def _known_groups(photos: pd.DataFrame, note: Note) -> dict[str, tuple[str, ...]]:
    """The groups whose cues the table has columns for."""
    kept = {name: cues for name, cues in GROUPS.items() if all(f"cue_{cue}" in photos for cue in cues)}
    if missing := [name for name in GROUPS if name not in kept]:
        note(f"the table has no columns for the cues of {', '.join(missing)}: left out")
    return kept


def _plain(value: Any) -> Any:
    """As JSON can hold it: numpy's numbers as Python's, NaN as None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
