"""The geolocator: encoder, geocells, heads and rules in one object that predicts, saves and loads."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from geolib._version import __version__
from geolib.cells.kinds import fit_partition, load_partition
from geolib.cells.quadtree import GeocellTree, Partition
from geolib.common.errors import CorruptFileError, GeolibError, MismatchError
from geolib.common.files import cache_path, read_tensors, sha256_file, write_bytes, write_json, write_tensors
from geolib.common.settings import Settings
from geolib.countries import country_name, country_of
from geolib.datasets.dataset import Dataset
from geolib.datasets.openers import open_dataset
from geolib.datasets.splits import Photos, photographer_overlap, split_photos, training_overlap
from geolib.decoding import decode
from geolib.encoder import Encoder
from geolib.evaluate import compare
from geolib.familiar import PERCENTILE, Familiarity
from geolib.fusion import fuse, marginals
from geolib.heads import HierarchicalHeads, predict_logits, train_heads
from geolib.images import Failure, ImageSource, answer_each
from geolib.retrieve import NearestNeighbour, constant_guess
from geolib.sharing.card import model_card
from geolib.sharing.model_folder import _FILES, _FORMAT, _checksum, check_target, read_model, versions
from geolib.sphere import EARTH_RADIUS_KM, haversine_km, in_words

FloatArray = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
_MEND = "use more photos, or split='places', which keeps places apart but not photographers"
_PHOTOS_PER_CELL = 20  # in the article: 50,000 finest cells on a million photos
_MOST_CELLS, _FEWEST_CELLS = 50_000, 100  # of the article's finest and coarsest level


@dataclass(frozen=True, eq=False)
class Prediction:
    """Where one photo may have been taken, and whether the model can know.

    familiar: False when the picture is unlike those that the model was trained on, so that everything else here is not
        to be trusted; None when that is not known, the model having been fitted without calibration photos.
    distance: to the training embeddings, about 1 between neighbours (`geolib.familiar`).
    familiar_below: the largest distance of a familiar picture: 99 % of the calibration photos are no farther. Or None.
    lat, lon: the answer of the decoding rule, degrees.
    top: the likeliest finest cells, best first: `lat`, `lon` (the centre), `probability`, `cell`, `country` (ISO A3).
    posterior: probability of each finest cell, float32 (n_finest,); sums to 1.
    levels: the same summed up to each level, coarse to fine: float32 (n_cells[level],) each.
    entropy: of the posterior, in bits: 0 when one cell has it all, log2(n_finest) when every cell is as likely.
    radius_km: half of the posterior lies within this distance of (lat, lon). It says what the model believes, which is
        not yet how often it is right: the probabilities are not calibrated.
    countries: probability of each country (ISO A3, "" for the open sea), likeliest first. A cell counts for the country
        of its centre.
    """

    familiar: bool | None
    distance: float
    familiar_below: float | None
    lat: float
    lon: float
    top: pd.DataFrame
    posterior: npt.NDArray[np.float32] = field(repr=False)
    levels: list[npt.NDArray[np.float32]] = field(repr=False)
    entropy: float
    radius_km: float
    countries: pd.Series[float] = field(repr=False)

    @property
    def warning(self) -> str:
        """Why the places are not to be trusted, or that nobody knows whether they are; "" for a familiar picture."""
        if self.familiar:
            return ""
        if self.familiar_below is None:
            return (
                "Whether this picture is like those that the model was trained on is not known: it was fitted without "
                "calibration photos."
            )
        return (
            "This picture is unlike those that the model was trained on: the places are not to be trusted "
            f"(distance {self.distance:.2f}; {PERCENTILE} % of calibration photos are below {self.familiar_below:.2f})."
        )

    def guess(self) -> str:
        """The place in words; for an unfamiliar picture without a word of how likely."""
        code, share = str(self.countries.index[0]), float(self.countries.iloc[0])
        there = str(country_of(self.lat, self.lon)[0])  # of the best guess: not always the likeliest country
        sure = "Very likely" if share > 0.95 else "Probably" if share > 0.5 else "Perhaps"
        likeliest, here = (country_name(place) or "the open sea" for place in (code, there))
        place = in_words(self.lat, self.lon)
        if self.familiar is False:
            return f"Its best guess, if it must: {place} ({here})."
        apart = "" if there == code else f" (alone the likeliest, though in {here})"
        half = f"half of the model's probability lies within {self.radius_km:,.0f} km"
        return f"{sure} {likeliest} (the model gives it {100 * share:.0f} %): best guess {place}{apart}; {half}."

    def sentence(self) -> str:
        """The prediction in words: the warning, if there is one, then the guess."""
        return f"{self.warning} {self.guess()}".lstrip()

    def __str__(self) -> str:
        return self.sentence()


class Seen(NamedTuple):
    """What encoder and heads make of one picture: all that the rules need (`Geolocator.see`, `Geolocator.answer`).

    logits: of each head, coarse to fine, float32 (1, n_cells[level]).
    distance: to the training embeddings, as in `Prediction`.
    """

    logits: list[npt.NDArray[np.float32]]
    distance: float


@dataclass(eq=False)
class Geolocator:
    """A photo geolocator. Made by `fit`, `fit_dataset` or `load`.

    tree: the geocells, of any kind (`geolib.cells`).
    familiarity: how far a picture is from the training photos, and how far is too far.
    fusion, decoding: rules of `geolib.fusion.fuse` and `geolib.decoding.decode`.
    fusion_options: further arguments of `fuse`, such as `temperatures`, as JSON can hold them.
    training: what it was fitted on and how, as JSON can hold it.
    history: of the training, an epoch a row; None after loading.
    figures: what `evaluate` found, {dataset: {method: row}}, as JSON can hold it; `save` puts it on the model card.
    """

    encoder: Encoder
    tree: Partition
    heads: HierarchicalHeads = field(repr=False)
    familiarity: Familiarity = field(repr=False)
    fusion: str = "consistency"
    decoding: str = "argmax"
    fusion_options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict, repr=False)
    history: pd.DataFrame | None = field(default=None, repr=False)
    figures: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def fit(
        cls,
        encoder: Encoder,
        vectors: Vectors,
        lat: npt.ArrayLike,
        lon: npt.ArrayLike,
        *,
        calibration: tuple[Vectors, npt.ArrayLike, npt.ArrayLike] | None = None,
        cells_per_level: Sequence[int] | str = "auto",
        min_photos: int = 5,
        partition: Partition | str = "quadtree",
        fusion: str = "consistency",
        decoding: str = "argmax",
        fusion_options: Mapping[str, Any] | None = None,
        seed: int = 0,
        **training: Any,
    ) -> Geolocator:
        """Draw geocells on training photos and train the heads on their embeddings.

        vectors: what `encoder` made of the photos, (n, dim), unit length.  lat, lon: degrees, (n,).
        calibration: (vectors, lat, lon) of photos of other photographers and regions, for early stopping, and for
            telling from which distance on a picture is unfamiliar.
        cells_per_level: as `GeocellTree.fit` takes them; "auto" scales with n, see `cells_for`.
        partition: kind of the cells (`geolib.cells.kinds.KINDS`), or cells that were fitted on these photos.
            `min_photos` is the quadtree's; ready cells also have levels of their own.
        training: further arguments of `geolib.heads.train_heads`, such as `epochs`, `device`, `progress`.

        Raises `ValueError` for coordinates, vectors or settings that cannot be, `MismatchError` for vectors that are
        not of this encoder's length.
        """
        if np.ndim(vectors) != 2 or np.shape(vectors)[1] != encoder.dim:
            raise MismatchError(
                f"vectors of shape {np.shape(vectors)}: expected (n, {encoder.dim}), made by {encoder.name}"
            )
        if isinstance(cells_per_level, str):
            if cells_per_level != "auto":
                raise ValueError(f"cells_per_level={cells_per_level!r}: expected 'auto' or numbers such as (100, 1000)")
            cells_per_level = cells_for(len(vectors))
        tree = partition
        if partition == "quadtree":
            tree = GeocellTree.fit(lat, lon, cells_per_level, min_photos)
        elif isinstance(tree, str):
            tree = fit_partition(tree, lat, lon, cells_per_level, seed)
        heads, history = train_heads(vectors, lat, lon, tree, calibration=calibration, seed=seed, **training)
        familiarity = Familiarity.fit(vectors, None if calibration is None else calibration[0], seed)
        record = {
            "photos": len(vectors),
            "calibration_photos": 0 if calibration is None else len(calibration[0]),
            "cells_per_level": list(tree.n_cells),
            "min_photos": tree.min_photos,
            "partition": type(tree).__name__,
            "seed": seed,
            "epochs": len(history),
            "settings": {key: value for key, value in training.items() if key not in ("progress", "device")},
        }
        made = cls(encoder, tree, heads, familiarity, fusion, decoding, dict(fusion_options or {}), record, history)
        made.predict_vectors(vectors[:1])  # an unknown rule is refused now, not at the first photo
        return made

    @classmethod
    def fit_dataset(cls, dataset: Dataset, encoder: Encoder, *, split: str = "safe", **options: Any) -> Geolocator:
        """Fit on a dataset's training photos and calibrate on its calibration photos; the test photos stay unseen.

        options: of `fit`; the seed also draws the split. Photos that could not be embedded are left out.
        Raises `ValueError` when the split leaves no photo to train on.
        """
        parts = split_photos(dataset, encoder, split, options.get("seed", 0))
        if "train" not in parts:
            raise ValueError(f"the {split} split of {dataset.name} leaves no photo to train on: {_MEND}")
        held_out = parts["calibration"][:3] if "calibration" in parts else None
        made = cls.fit(encoder, *parts["train"][:3], calibration=held_out, **options)
        made.training |= {"dataset": dataset.name, "dataset_key": dataset.labels_key(encoder), "split": split}
        photos = dataset.photos.loc[parts["train"].ids]
        made.training |= {
            "overlap": training_overlap(dataset, parts),
            "unreadable": len(dataset) - sum(len(part.ids) for part in parts.values()),
            "sides": {side: len(part.ids) for side, part in parts.items()},
            "licences": {str(name): int(number) for name, number in photos["licence"].value_counts().items()},
            "photographers": int(photos["photographer"].replace("", np.nan).nunique()),
        }
        return made

    def posterior(self, vectors: Vectors) -> npt.NDArray[np.float32]:
        """Posterior over the finest cells, float32 (n, n_finest), of embeddings (n, dim)."""
        logits = predict_logits(self.heads, vectors)
        fused: npt.NDArray[np.float32] = fuse(logits, self.tree, self.fusion, **self.fusion_options)
        return fused

    def predict_vectors(self, vectors: Vectors, batch_size: int = 1024) -> tuple[FloatArray, FloatArray]:
        """Latitude and longitude, degrees (n,) each, of embeddings (n, dim); `batch_size` bounds the memory.

        Raises `ValueError` for vectors that are not (n, dim) and finite.
        """
        starts = range(0, max(len(vectors), 1), batch_size)
        parts = [
            decode(self.posterior(vectors[start : start + batch_size]), self.tree, self.decoding) for start in starts
        ]
        return np.concatenate([lat for lat, _ in parts]), np.concatenate([lon for _, lon in parts])

    def predict(self, image: ImageSource, top_k: int = 5) -> Prediction:
        """Where a photo may have been taken, from its pixels alone (`geolib.images.load_rgb`).

        Any picture gets an answer; `Prediction.familiar` says whether it is like those that the model was trained on.

        top_k: length of `Prediction.top`. Raises `ImageError` for what is no picture, `ValueError` for `top_k` < 1.
        """
        return self.answer(self.see(image), top_k)

    def see(self, image: ImageSource) -> Seen:
        """Look at a picture once, to ask several rules afterwards. Raises `ImageError` for what is no picture."""
        vectors = self.encoder.embed_images([image])
        return Seen(predict_logits(self.heads, vectors), float(self.familiarity.distance(vectors)[0]))

    def answer(
        self, seen: Seen, top_k: int = 5, *, fusion: str | None = None, levels: Sequence[int] | None = None
    ) -> Prediction:
        """What a rule makes of a picture that was seen: milliseconds, for the encoder is not asked again.

        fusion: a rule of `geolib.fusion.fuse`, default the model's own. levels: the coarse levels that take part,
        as `fuse` takes them. Raises `ValueError` for `top_k` < 1, an unknown rule or level.
        """
        if top_k < 1:
            raise ValueError(f"top_k={top_k}: expected at least 1")
        options = self.fusion_options | ({} if levels is None else {"levels": levels})
        posterior = fuse(seen.logits, self.tree, fusion or self.fusion, **options)
        distance, limit = seen.distance, self.familiarity.threshold
        (lat,), (lon,) = decode(posterior, self.tree, self.decoding)
        mass = posterior[0].astype(np.float64)
        best = np.argsort(-mass, kind="stable")[:top_k]
        columns = ["lat", "lon", "probability", "cell", "country"]
        top = self._cells.assign(probability=mass, cell=self._cells.index).loc[best, columns]
        top.index = pd.RangeIndex(1, len(best) + 1, name="rank")
        return Prediction(
            familiar=None if limit is None else distance <= limit,
            distance=distance,
            familiar_below=limit,
            lat=float(lat),
            lon=float(lon),
            top=top,
            posterior=posterior[0],
            levels=[level[0] for level in marginals(posterior, self.tree)],
            entropy=float(-np.sum(mass * np.log2(mass, where=mass > 0, out=np.zeros_like(mass)))),
            radius_km=self._radius_km(float(lat), float(lon), mass),
            countries=self._cells.assign(mass=mass)
            .groupby("country")["mass"]
            .sum()
            .sort_values(ascending=False, kind="stable"),
        )

    def predict_many(self, images: Sequence[ImageSource], top_k: int = 5) -> list[Prediction | Failure]:
        """One answer an image, in order; an image that cannot be read gives a `Failure` in its place.

        Each is embedded alone, so that an answer is the same bit for bit whatever else is asked. For thousands
        of photos use `embed_photos` and `predict_vectors`.
        """
        return answer_each(lambda image: self.predict(image, top_k), images)

    def evaluate(self, dataset: Dataset, n_boot: int = 1000, *, gallery: Dataset | None = None) -> pd.DataFrame:
        """Errors on photos that the model has not seen: `evaluate.compare`, a row a method.

        On the dataset that it was fitted on, these are the test photos of its split; on another, all photos.
        Beside the model stand a constant guess (`prior`) and the nearest training photo (`nearest neighbour`), for
        which another dataset needs `gallery`: the one that the model was fitted on. Where photographers are on both
        sides, the same rows follow for the photos of the others, "..., new photographers".

        Intervals are drawn over photographers; a photo without one counts as one of its own. `attrs["overlap"]` is
        what `photographer_overlap` finds. The table is kept in `figures`.

        Raises `MismatchError` for photos of a dataset, or a gallery, that are not those that it was fitted on.
        """
        other = gallery is not None or self.training.get("dataset", dataset.name) != dataset.name
        seen, test = self._seen_and_test(dataset, gallery) if other else self._split(dataset)
        methods = {"geolocator": self.predict_vectors(test.vectors)}
        if seen is not None:
            lat, lon = constant_guess(seen.lat, seen.lon)
            prior = (np.full(len(test.ids), lat), np.full(len(test.ids), lon))
            nearest = NearestNeighbour(seen.vectors, seen.lat, seen.lon).predict_vectors(test.vectors)
            methods = {"prior": prior, "nearest neighbour": nearest} | methods
        clusters = dataset.photographers(test.ids)
        table = compare(methods, test.lat, test.lon, clusters=clusters, n_boot=n_boot)
        overlap = None if seen is None else photographer_overlap(dataset, test.ids, gallery or dataset, seen.ids)
        if overlap is not None and 0 < overlap["photos"] < len(test.ids):
            new = ~np.isin(test.ids, overlap["ids"])
            fewer = {f"{name}, new photographers": (lat[new], lon[new]) for name, (lat, lon) in methods.items()}
            places = np.asarray(test.lat)[new], np.asarray(test.lon)[new]
            table = pd.concat([table, compare(fewer, *places, clusters=clusters[new], n_boot=n_boot)])
        table.attrs["overlap"] = overlap and {key: value for key, value in overlap.items() if key != "ids"}
        self.figures[f"{'all' if other else 'test'} photos of {dataset.name}"] = _as_json(table)
        return table

    def _split(self, dataset: Dataset) -> tuple[Photos, Photos]:
        """Training and test photos of the split that this model was fitted on."""
        same = self.training.get("dataset_key") == dataset.labels_key(self.encoder)
        if self.training.get("dataset") == dataset.name and not same:
            raise MismatchError(
                f"the photos of {dataset.name}, or their labels, are not those that the model was fitted on: dealt "
                "anew, its training photos could be tested; fit it again, evaluate on the same photos, or give them as "
                "gallery"
            )
        kind, seed = self.training.get("split", "safe"), self.training.get("seed", 0)
        parts = split_photos(dataset, self.encoder, kind, seed)
        if not {"train", "test"} <= set(parts):
            raise ValueError(f"the {kind} split of {dataset.name} has no training or no test photos: {_MEND}")
        return parts["train"], parts["test"]

    def _seen_and_test(self, dataset: Dataset, gallery: Dataset | None) -> tuple[Photos | None, Photos]:
        """Training photos, if their dataset is given, and all photos of another dataset."""
        store = dataset.embeddings(self.encoder)
        photos = dataset.photos.loc[store.ids]
        test = Photos(store.vectors, photos["lat"].to_numpy(), photos["lon"].to_numpy(), store.ids)
        if gallery is None:
            return None, test
        if self.training.get("dataset_key") != gallery.labels_key(self.encoder):
            raise MismatchError(
                f"the model was not fitted on these photos of {gallery.name}: give those as the gallery"
            )
        kind, seed = self.training.get("split", "safe"), self.training.get("seed", 0)
        return split_photos(gallery, self.encoder, kind, seed)["train"], test

    @cached_property
    def _cells(self) -> pd.DataFrame:
        """Centre and country of each finest cell."""
        lat, lon = self.tree.centers(-1)
        return pd.DataFrame({"lat": lat, "lon": lon, "country": country_of(lat, lon)})

    def _radius_km(self, lat: float, lon: float, mass: FloatArray) -> float:
        """Distance from (lat, lon) at which half of the posterior is reached, at least the reach of a cell.

        Cells count as their centres, so one that holds half by itself would give 0 km: it gives half the distance to
        the next centre instead.
        """
        km = haversine_km(lat, lon, self._cells["lat"].to_numpy(), self._cells["lon"].to_numpy())
        order = np.argsort(km, kind="stable")
        reached = float(km[order][np.searchsorted(np.cumsum(mass[order]), mass.sum() / 2)])
        return max(reached, float(np.partition(km, 1)[1]) / 2 if len(km) > 1 else EARTH_RADIUS_KM)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write model.json, the tree, heads and familiarity (safetensors) and README.md into `folder`: all or nothing.

        README.md is the model card (`geolib.sharing.card`): data, licences, splits, figures, limits. It is made anew each time.
        A model that is already there is replaced. Raises `ValueError` when something else is there.
        """
        target = check_target(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            new, old = Path(scratch) / "new", Path(scratch) / "old"
            new.mkdir()
            self._write(new)
            if target.exists():
                os.replace(target, old)
            os.replace(new, target)

    def _write(self, folder: Path) -> None:
        self.tree.save(folder / "tree.safetensors")
        state = {name: tensor.cpu().numpy() for name, tensor in self.heads.state_dict().items()}
        write_tensors(folder / "heads.safetensors", state)
        self.familiarity.save(folder / "familiar.safetensors")
        model = {
            "format": _FORMAT,
            "encoder": self.encoder.describe(),
            "fusion": self.fusion,
            "decoding": self.decoding,
            "fusion_options": self.fusion_options,
            "training": self.training,
            "figures": self.figures,
            "versions": versions(),
            "files": {name: sha256_file(folder / name) for name in _FILES},
        }
        write_json(folder / "model.json", model | {"checksum": _checksum(model)})
        write_bytes(folder / "README.md", model_card(model).encode())

    @classmethod
    def load(cls, folder: str | os.PathLike[str], encoder: Encoder | None = None, device: str = "auto") -> Geolocator:
        """Read what `save` wrote, with its encoder, or with `encoder` if that is the very same.

        Every file is checked against its sha256. Raises `MissingDataError` for a missing file, `CorruptFileError`,
        naming the file, for one that was cut short or changed, `MismatchError` for another encoder.
        """
        folder = Path(folder)
        model = read_model(folder)
        made_with = model["encoder"]
        if encoder is None:
            pinned = made_with.get("weights", {}).get("revision")
            encoder = Encoder.load(made_with["name"], made_with["pretrained"], device, revision=pinned)
        if encoder.fingerprint != made_with["fingerprint"]:
            raise MismatchError(
                f"{folder} was trained on embeddings of {made_with['name']} ({made_with['fingerprint'][:12]}), this "
                f"encoder is {encoder.name} ({encoder.fingerprint[:12]}): load that encoder, or fit the model again"
            )
        tree = load_partition(folder / "tree.safetensors")
        try:
            state = read_tensors(folder / "heads.safetensors")
            heads = HierarchicalHeads.of_state({name: torch.from_numpy(array) for name, array in state.items()}, tree)
        except RuntimeError as error:  # torch's word for missing, unknown or misshapen weights
            raise CorruptFileError(f"{folder}: heads and tree do not fit together ({error})") from error
        familiarity = Familiarity.load(folder / "familiar.safetensors", encoder.dim)
        rules = {name: model[name] for name in ("fusion", "decoding", "fusion_options", "training")}
        return cls(encoder, tree, heads, familiarity, **rules, figures=model.get("figures", {}))


def cells_for(photos: int) -> tuple[int, ...]:
    """Cells per level for so many training photos: four levels, the finest with about 20 photos a cell.

    With a million photos and more, 100 to 50,000 cells as in the article; with fewer, the finest level shrinks in
    proportion and the coarsest as its square root. Levels that would coincide are left out.
    """
    finest = min(max(photos // _PHOTOS_PER_CELL, 1), _MOST_CELLS)
    coarsest = max(_FEWEST_CELLS * (finest / _MOST_CELLS) ** 0.5, 1)
    return tuple(sorted({round(number) for number in np.geomspace(coarsest, finest, 4).tolist()}))


def _as_json(table: pd.DataFrame) -> dict[str, Any]:
    """{method: {column: value}} of Python's own types, None for what is missing."""
    rows = table.astype(object).where(table.notna(), None).to_dict("index")
    plain = {name: {key: getattr(x, "item", lambda x=x: x)() for key, x in row.items()} for name, row in rows.items()}
    return {str(name): {str(key): value for key, value in row.items()} for name, row in plain.items()}


def default_model(
    settings: Settings | None = None, progress: Callable[[dict[str, float]], object] | None = None
) -> Geolocator:
    """The model for the dataset and encoder of `settings` (default: the environment), fitted once, then cached.

    progress: called with each epoch's row of the history, when it is fitted now.
    """
    settings = settings or Settings.from_env()
    encoder = Encoder.load(*settings.encoder_name, device=settings.device)
    dataset = open_dataset(settings.dataset)
    folder = cache_path("models", f"{dataset.labels_key(encoder)}-{__version__}-seed{settings.seed}")
    try:
        return Geolocator.load(folder, encoder)
    except GeolibError:  # not there yet, or damaged: a cache can always be made again
        shutil.rmtree(folder, ignore_errors=True)
    made = Geolocator.fit_dataset(dataset, encoder, seed=settings.seed, device=settings.device, progress=progress)
    with suppress(OSError):  # another process was faster, or the cache cannot be written: the model is good anyway
        made.save(folder)
    return made


_default_model = lru_cache(maxsize=1)(default_model)


def predict_location(image_path: ImageSource, top_k: int = 5) -> pd.DataFrame:
    """The `top_k` likeliest places of a photo: `lat`, `lon`, `probability`, `cell`, `country`, best first.

    Uses the default model (`default_model`), which the first call fits or loads. Its `attrs` say whether the picture is
    `familiar` and its `distance` (`Prediction`); an unfamiliar one also gives a `UserWarning`. Raises `ImageError`.
    """
    found = _default_model(Settings.from_env()).predict(image_path, top_k)
    if found.familiar is False:
        warnings.warn(found.warning, stacklevel=2)
    found.top.attrs.update(familiar=found.familiar, distance=found.distance)
    return found.top


def load(folder: str | os.PathLike[str], device: str = "auto") -> Geolocator:
    """A saved model, with its encoder: `Geolocator.load`."""
    return Geolocator.load(folder, device=device)


def locate(image: ImageSource, top_k: int = 5) -> Prediction:
    """Where a photo may have been taken, by the default model."""
    return _default_model(Settings.from_env()).predict(image, top_k)
