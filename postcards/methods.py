"""What answers: the methods that the report compares, from one guess for all postcards to heads on an encoder.

Heads are fitted in two ways: *linear heads*, as the tour builds them, and the *default model* of geolib
(`geolib.predict.PRESETS["default"]`: one shared layer, the posterior of the finest cells, the point of the highest
expected GeoScore). Both name the country by one multinomial logistic regression.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from tqdm import tqdm

from geolib import sphere
from geolib.cells import GeocellTree
from geolib.common.files import cache_path, read_json, write_bytes, write_tensors
from geolib.datasets import Dataset
from geolib.decoding import decode
from geolib.embed import EmbeddingStore, Vectors, embed_photos
from geolib.encoder import Encoder
from geolib.fusion import fuse
from geolib.heads import HierarchicalHeads, TrainOptions, predict_logits, train_heads
from geolib.images import open_rgb
from geolib.openclip.model import Preprocessing
from geolib.openclip.torchvision import import_open_clip
from geolib.predict import PRESETS, cells_for
from geolib.retrieve import NearestNeighbour, constant_guess
from geolib.sphere import FloatArray

Mask = npt.NDArray[np.bool_]
Key = tuple[str, str, str]  # name, captions, training sides

# The words that tables use
NAMED, UNNAMED = "names", "no names"  # what the captions of an encoder hold
TRAIN, BOTH = "train", "train + train_balanced"
LEARNS = ("train", "train_balanced")
TESTS = ("test", "test_places", "test_balanced")
SIDES = (*LEARNS, "calibration", *TESTS)
PROBED = "test_balanced"  # the side on which facts are read
LINEAR, DEFAULT = "heads", "default model"  # the ways of heads
THUMBNAILS, FACTS, RANDOM, NEAREST = "thumbnails", "visible facts", "random weights", "nearest neighbour"

# The methods that figures show and goals ask for
CEILING: Key = (f"{FACTS}, {DEFAULT}", "-", BOTH)  # no method: what the pictures hold
HEADLINE: Key = (DEFAULT, NAMED, BOTH)
PIXELS: Key = (f"{THUMBNAILS}, {DEFAULT}", "-", BOTH)
NEIGHBOUR: Key = (NEAREST, NAMED, BOTH)
PROMPTED: Key = ("prompts", NAMED, BOTH)
PRIOR: Key = ("prior", "-", BOTH)
LINEAR_HEADS: Key = (LINEAR, NAMED, BOTH)

FOLDERS = {NAMED: ("encoder", "embeddings"), UNNAMED: ("encoder-no-names", "embeddings-no-names")}
TEMPLATES = (
    "a drawing of a city street, in {}",
    "a drawing of a suburban road, in {}",
    "a drawing of a village road, in {}",
    "a drawing of a country road, in {}",
    "a drawing of the coast, in {}",
)
# How heads are trained, fused and decoded.
WAYS: dict[str, dict[str, Any]] = {
    LINEAR: {"options": TrainOptions(epochs=40), "fusion": "consistency", "decoding": "argmax"},
    DEFAULT: PRESETS["default"],
}
DECAYS = (1e-2, 1e-3, 1e-4)  # of the country classifier, strongest first
THUMBNAIL = 16  # pixels
RANDOM_TRAINING = 3_000  # most training postcards that are embedded by random weights


@dataclass(frozen=True)
class Answers:
    """What a method says of n postcards: a place and a country each."""

    lat: FloatArray
    lon: FloatArray
    country: npt.NDArray[Any]

    def at(self, mask: Mask) -> Answers:
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
    def key(self) -> Key:
        """What tells methods apart."""
        return self.name, self.captions, self.trained_on


# Heads


@dataclass(frozen=True)
class CountryClassifier:
    """Multinomial logistic regression from vectors to countries; `decay` is what the calibration side chose."""

    classes: npt.NDArray[Any]
    mean: torch.Tensor
    scale: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor
    decay: float

    def predict(self, vectors: Vectors) -> npt.NDArray[Any]:
        """The likeliest country of each vector, (n,)."""
        x = (torch.from_numpy(np.asarray(vectors, np.float32)) - self.mean) * self.scale
        best: npt.NDArray[Any] = self.classes[(x @ self.weight.T + self.bias).argmax(dim=1).numpy()]
        return best


def fit_countries(
    vectors: Vectors, country: npt.ArrayLike, calibration: tuple[Vectors, npt.ArrayLike], *, iterations: int = 30
) -> CountryClassifier:
    """Fit the classifier at each decay, from the strongest on, and keep the one most often right on `calibration`.

    Each fit starts from the last one's weights. A calibration postcard of a country never seen counts as wrong.
    """
    x = torch.from_numpy(np.array(vectors, dtype=np.float32))
    classes, target = np.unique(np.asarray(country, dtype=str), return_inverse=True)
    mean, spread = x.mean(dim=0), x.std(dim=0, correction=0)
    scale = 1 / spread.clamp_min(0.1 * spread.square().mean().sqrt().clamp_min(1e-6))
    x, y = (x - mean) * scale, torch.from_numpy(target)
    weight = torch.zeros(len(classes), x.shape[1], requires_grad=True)
    bias = ((torch.bincount(y, minlength=len(classes)) + 0.5) / len(y)).log().requires_grad_()
    truth, best, found = np.asarray(calibration[1], dtype=str), -1.0, None
    for decay in DECAYS:
        _minimise(weight, bias, x, y, decay, iterations)
        made = CountryClassifier(classes, mean, scale, weight.detach().clone(), bias.detach().clone(), decay)
        right = float((made.predict(calibration[0]) == truth).mean())
        if right > best:
            best, found = right, made
    assert found is not None
    return found


def _minimise(
    weight: torch.Tensor, bias: torch.Tensor, x: torch.Tensor, y: torch.Tensor, decay: float, iterations: int
) -> None:
    """Cross-entropy and decay / 2 times the squared weights, by L-BFGS on all postcards at once."""
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=iterations, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(x @ weight.T + bias, y) + decay / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimiser.step(closure)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Model:
    """Heads of geocells and a classifier of countries over frozen vectors; `way` is a key of `WAYS`."""

    way: str
    tree: GeocellTree
    heads: HierarchicalHeads
    countries: CountryClassifier

    def answer(self, vectors: Vectors) -> Answers:
        """Place and country of vectors (n, dim)."""
        fusion, decoding = WAYS[self.way]["fusion"], WAYS[self.way]["decoding"]
        parts = [
            decode(fuse(predict_logits(self.heads, part), self.tree, fusion), self.tree, decoding)
            for part in (vectors[start : start + 1024] for start in range(0, len(vectors), 1024))
        ]
        lat, lon = (np.concatenate(side) for side in zip(*parts, strict=True))
        return Answers(lat, lon, self.countries.predict(vectors))


def fit_models(
    vectors: Vectors,
    photos: pd.DataFrame,
    calibration: tuple[Vectors, pd.DataFrame],
    *,
    ways: Sequence[str],
    seed: int = 0,
    device: str = "cpu",
    epochs: int | None = None,
) -> dict[str, Model]:
    """Geocells, heads and country classifier from vectors (n, dim) of training `photos` (n rows), by way.

    calibration: vectors and rows that say when to stop.  epochs: at most so many (default: those of the way).
    """
    lat, lon = photos["lat"].to_numpy(), photos["lon"].to_numpy()
    held_out, rows = calibration
    tree = GeocellTree.fit(lat, lon, cells_for(len(photos)), min_photos=5)
    countries = fit_countries(vectors, photos["country"], (held_out, rows["country"]))
    places = (held_out, rows["lat"].to_numpy(), rows["lon"].to_numpy())
    out = {}
    for way in ways:
        options = WAYS[way]["options"]
        options = replace(options, epochs=min(epochs or options.epochs, options.epochs))
        heads, _ = train_heads(vectors, lat, lon, tree, calibration=places, options=options, seed=seed, device=device)
        out[way] = Model(way, tree, heads, countries)
    return out


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


def zero_shot(encoder: Any, vectors: Vectors, train: pd.DataFrame) -> Answers:
    """The country whose name in a prompt is most similar, at the mean point of its training postcards.

    A country's text vector is the mean of its prompts' (`TEMPLATES`), at unit length. Countries without a training
    postcard are not asked for.
    """
    known = train.groupby("country", sort=True)
    names = known["country_name"].first()
    texts = [template.format(name) for name in names for template in TEMPLATES]
    prompts = encoder.embed_text(texts).reshape(len(names), len(TEMPLATES), -1).mean(axis=1)
    prompts /= np.linalg.norm(prompts, axis=1, keepdims=True)
    best = (vectors @ prompts.T).argmax(axis=1)
    middles = np.array([sphere.mean_point(rows["lat"], rows["lon"]) for _, rows in known])
    return Answers(middles[best, 0], middles[best, 1], names.index.to_numpy(dtype=object)[best])


# Vectors


def find_encoders(folder: Path, device: str = "auto") -> dict[str, Encoder]:
    """The shipped encoders by what their captions hold; one that is not there is left out."""
    return {
        captions: Encoder.load(str(folder / name), device=device)
        for captions, (name, _) in FOLDERS.items()
        if (folder / name / "open_clip_model.safetensors").is_file()
    }


def vectors_of(dataset: Dataset, encoder: Encoder, shipped: Path) -> Vectors:
    """Vectors of the dataset's pictures in order: those in `shipped` if this encoder made them, else computed."""
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


def random_vectors(dataset: Dataset, encoder: Encoder, workers: int = 1, progress: bool = False) -> Vectors:
    """Vectors by random weights, kept in the cache. In float32: they differ little from one another."""
    ids = list(dataset.photos.index)
    out = cache_path("embeddings", f"report-{dataset.key(encoder)}")
    how: dict[str, Any] = {"dtype": "float32", "workers": workers if workers > 1 else 0, "progress": progress}
    return embed_photos(encoder, dataset.paths, ids, out, **how).subset(ids)


def thumbnails(dataset: Dataset, workers: int = 1, progress: bool = False) -> Vectors:
    """The pictures shrunk to 16 x 16 colours, float32 (n, 768) in 0..1; pictures and thumbnails stay in the cache."""
    file = cache_path("embeddings", f"report-thumbnails-{_key(dataset)}-{THUMBNAIL}") / "pixels.npy"
    if file.is_file():
        return cast(Vectors, np.load(file) / np.float32(255))
    ids = list(dataset.photos.index)
    how: dict[str, Any] = {"total": len(ids), "desc": "thumbnails", "mininterval": 5, "disable": not progress}
    if workers > 1:
        with multiprocessing.get_context("spawn").Pool(workers, _open, (dataset,)) as pool:
            pixels = np.stack(list(tqdm(pool.imap(_thumbnail, ids, chunksize=64), **how)))
    else:
        _open(dataset)
        pixels = np.stack([_thumbnail(name) for name in tqdm(ids, **how)])
    stream = io.BytesIO()
    np.save(stream, pixels)
    write_bytes(file, stream.getvalue())
    return cast(Vectors, pixels / np.float32(255))


_opened: list[Dataset] = []  # of this process


def _open(dataset: Dataset) -> None:
    _opened[:] = [dataset]


def _thumbnail(name: str) -> npt.NDArray[np.uint8]:
    small = Preprocessing(THUMBNAIL, (0.0,) * 3, (1.0,) * 3, "bilinear")
    return small.crop(open_rgb(_opened[0].path(name), min_side=2 * THUMBNAIL)).ravel()


def _key(dataset: Dataset) -> str:
    first = dataset.path(str(dataset.photos.index[0])).parent.name  # changes with table and renderer
    return hashlib.sha256("\n".join([first, *dataset.photos.index]).encode()).hexdigest()[:16]


def centred(vectors: Vectors, train: Mask) -> Vectors:
    """Vectors minus the mean of the training ones, at unit length: so that cosines compare what differs."""
    shifted = vectors - vectors[train].mean(axis=0)
    return cast(Vectors, shifted / np.maximum(np.linalg.norm(shifted, axis=1, keepdims=True), 1e-12))
