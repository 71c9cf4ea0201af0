"""The geolocator: encoder, geocells, heads and rules in one object.

From `geolib.locate("photo.jpg")` to the coordinate, a photo passes through eight files:

1. `geolib/__init__.py`: finds `locate` in this module.
2. `geolib/predict.py`: `locate` loads the default model once, and calls `Geolocator.see`, then `Geolocator.answer`.
3. `geolib/images.py`: `open_rgb` decodes the file into upright RGB pixels.
4. `geolib/encoder.py`: `Encoder.embed_images` turns the pixels into a unit vector: first step 5, then `forward`.
5. `geolib/openclip/model.py`: `Preprocessing.crop` cuts out the square that the network sees.
6. `geolib/heads.py`: `predict_logits` gives one score per cell, level by level.
7. `geolib/fusion.py`: `fuse` combines the levels into one posterior over the finest cells.
8. `geolib/decoding.py`: `decode` turns the posterior into latitude and longitude; `confidence` says how sure that is.

Skip the helpers on a first walk: cell centres (`cells/`), distances (`sphere`), country names (`countries`), and
whether the image is like the training images (`familiar`). "The article" means the Starlog article "PIGEON: How CLIP
Embeddings Predict GPS Coordinates from Photos", which describes PIGEON (Haas et al., CVPR 2024) freely.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from geolib.cells import GeocellTree, Partition
from geolib.common.errors import CorruptFileError, GeolibError, ImageError, MismatchError, MissingDataError
from geolib.common.files import cache_path, data_path
from geolib.common.settings import Settings
from geolib.common.sources import code_digest
from geolib.common.threads import one_thread
from geolib.countries import country_name, country_of
from geolib.datasets.dataset import Dataset
from geolib.datasets.openers import open_dataset
from geolib.datasets.splits import BUFFER_KM, split_photos
from geolib.decoding import CLOSE_KM, confidence, decode, radius_km
from geolib.encoder import Encoder, check_list
from geolib.familiar import PERCENTILE, Familiarity
from geolib.fusion import OPTIONS, fuse, marginals
from geolib.heads import HierarchicalHeads, TrainOptions, predict_logits, train_heads
from geolib.images import Failure, ImageSource, name_of, open_rgb
from geolib.sharing.card import describe_data, model_card
from geolib.sharing.model_folder import check_rules, load_model, save_model
from geolib.sphere import FloatArray, in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Vectors = npt.NDArray[np.float32]
# How `Geolocator.fit` trains, fuses and decodes unless told otherwise, chosen on the calibration postcards. With a
# trunk the learning rate falls to its end: heads that stop before differ more from seed to seed.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {"fusion": "finest", "decoding": "geoscore", "options": TrainOptions(trunk=448, epochs=15, patience=15)},
    "article": {"fusion": "consistency", "decoding": "argmax", "options": TrainOptions()},
}
_THUMBNAIL = 440  # longest side of the picture kept for display, pixels
_WORDS = ((0.8, "Very likely"), (0.5, "Probably"), (0.0, "Perhaps"))  # least confidence, and how it is said


def locate(image: ImageSource, top_k: int = 5) -> Prediction:
    """Estimate where a photo was taken, with the default model; `top_k` is the number of places in `Prediction.top`.

    `image` is anything that `geolib.images.open_rgb` takes, such as a path. Raises `ImageError` for a file that is not
    an image, and `ValueError` for `top_k` < 1.

    >>> locate(data_path("postcards", "samples", "postcard-00253.jpg"), top_k=3).countries.index[0]  # of London
    'GBR'
    """
    return shared_model(Settings.from_env()).predict(image, top_k)


def predict_location(image_path: ImageSource, top_k: int = 5) -> pd.DataFrame:
    """The `top_k` most probable places of a photo as a table, with the default model: the function of the article.

    See `Prediction.to_frame`. Warns of an image that is unlike the training images. Raises as `locate` does.

    >>> list(predict_location(data_path("postcards", "samples", "postcard-00253.jpg"), top_k=3))
    ['lat', 'lon', 'probability', 'cell', 'country']
    """
    found = locate(image_path, top_k)
    if found.familiar is False:
        warnings.warn(found.warning, stacklevel=2)
    return found.to_frame()


def load(folder: str | os.PathLike[str], device: str = "auto") -> Geolocator:
    """Load a saved model with its encoder; raises as `Geolocator.load` does.

    >>> load(data_path("model")).training["dataset"]
    'postcards'
    """
    return Geolocator.load(folder, device=device)


def default_model(
    settings: Settings | None = None, progress: Callable[[dict[str, float]], object] | None = None
) -> Geolocator:
    """The model for the dataset, encoder and seed of `settings` (default: `Settings.from_env()`).

    For the default settings it ships in `data/model`. Otherwise the first call fits it and keeps it in the cache, until
    the data or geolib's training code change. `progress` is called with each epoch's row of the history.

    >>> default_model().tree.n_cells
    (13, 57, 239, 1010)
    """
    settings = settings or Settings.from_env()
    encoder = Encoder.load(*settings.encoder_name, device=settings.device)
    if (settings.dataset, settings.encoder, settings.seed) == (Settings.dataset, Settings.encoder, Settings.seed):
        with suppress(MissingDataError):  # then it is fitted, as for other settings
            return Geolocator.load(data_path("model"), encoder)
    dataset = open_dataset(settings.dataset)
    folder = cache_path("models", f"{dataset.labels_key(encoder)}-{code_digest()}-seed{settings.seed}")
    if (folder, settings.device) in _unsaved:
        return _unsaved[folder, settings.device]
    with suppress(MissingDataError, CorruptFileError, PermissionError):  # others, such as a lack of memory, may pass
        return Geolocator.load(folder, encoder)
    model = Geolocator.fit_dataset(dataset, encoder, seed=settings.seed, device=settings.device, progress=progress)
    try:
        model.save(folder)
    except (OSError, ValueError, GeolibError) as error:
        _unsaved[folder, settings.device] = model
        remedy = "set the variable GEOLIB_CACHE to a folder that can be written"
        kept = f"the fitted model cannot be kept, so that every program fits it anew: {remedy}"
        warnings.warn(f"{kept} ({type(error).__name__}: {error})", stacklevel=2)
    return model


_unsaved: dict[tuple[Path, str], Geolocator] = {}  # default models that could not be written, kept for this process
shared_model = lru_cache(maxsize=1)(default_model)  # `locate` loads it once


class Seen(NamedTuple):
    """What `Geolocator.see` extracts from an image: logits (1, n_cells) per level, distance, thumbnail."""

    logits: list[npt.NDArray[np.float32]]
    distance: float
    picture: Image.Image | None = None


@dataclass(eq=False)
class Geolocator:
    """A photo geolocator, made by `fit`, `fit_dataset` or `load`.

    Attributes
    ----------
    familiarity : detects images that are unlike the training images.
    fusion, decoding, fusion_options : rules of `geolib.fuse` and `geolib.decode`, and further arguments of `fuse`.
    training : what the model was fitted on and how, as JSON can hold it.
    history : one row per epoch of the training; None after loading.
    figures : results shown on the model card, {title: {method: row}} (`geolib.judge.model.record`).

    >>> encoder, rng = Encoder.load("postcards", device="cpu"), np.random.default_rng(0)
    >>> vectors = rng.normal(size=(200, encoder.dim)).astype(np.float32)
    >>> lat, lon = rng.uniform(40, 50, 200), rng.uniform(0, 10, 200)
    >>> model = Geolocator.fit(encoder, vectors, lat, lon, cells_per_level=(2, 6), options=TrainOptions(epochs=1))
    >>> model.posterior(vectors).shape == (200, model.tree.n_cells[-1])
    True
    """

    encoder: Encoder
    tree: Partition
    heads: HierarchicalHeads = field(repr=False)
    familiarity: Familiarity = field(repr=False)
    fusion: str = PRESETS["default"]["fusion"]
    decoding: str = PRESETS["default"]["decoding"]
    fusion_options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict, repr=False)
    history: pd.DataFrame | None = field(default=None, repr=False)
    figures: dict[str, Any] = field(default_factory=dict, repr=False)

    def predict(self, image: ImageSource, top_k: int = 5) -> Prediction:
        """Estimate where a photo was taken, from its pixels alone. Takes and raises what `geolib.locate` does."""
        return self.answer(self.see(image), top_k)

    def see(self, image: ImageSource) -> Seen:
        """Embed an image, so that `answer` can apply several rules to it. Raises `ImageError`."""
        pixels = open_rgb(image)
        vectors = self.encoder.embed_images([pixels])
        picture = pixels.copy()
        picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
        with one_thread():
            return Seen(predict_logits(self.heads, vectors), float(self.familiarity.distance(vectors)[0]), picture)

    def answer(
        self, seen: Seen, top_k: int = 5, *, fusion: str | None = None, levels: Sequence[int] | None = None
    ) -> Prediction:
        """Fuse and decode what `see` extracted, in milliseconds.

        `fusion` is a rule of `geolib.fuse` (default: the model's own), `levels` the coarse levels that it uses
        (default: all). Raises `ValueError` for `top_k` < 1, or an unknown rule or level.
        """
        if top_k < 1:
            raise ValueError(f"top_k={top_k}: expected at least 1")
        rule, options = fusion or self.fusion, self.fusion_options | ({} if levels is None else {"levels": levels})
        if rule != self.fusion:  # the model's options are those of its own rule
            options = {name: options[name] for name in options.keys() & {"levels", *OPTIONS.get(rule, ())}}
        posterior = fuse(seen.logits, self.tree, rule, **options)
        lat, lon = decode(posterior, self.tree, self.decoding)
        mass, limit = posterior[0].astype(np.float64), self.familiarity.threshold
        familiar = None if limit is None else seen.distance <= limit
        cells = self._cells.assign(probability=mass)
        top = cells.sort_values("probability", ascending=False, kind="stable").head(top_k)
        return Prediction(
            familiar=familiar,
            distance=seen.distance,
            familiar_below=limit,
            lat=float(lat[0]),
            lon=float(lon[0]),
            confidence=0.0 if familiar is False else float(confidence(posterior, self.tree, lat, lon)[0]),
            top=top.set_axis(pd.RangeIndex(1, len(top) + 1, name="rank")),
            posterior=posterior[0],
            levels=[level[0] for level in marginals(posterior, self.tree)],
            entropy=float(-np.sum(mass * np.log2(mass, where=mass > 0, out=np.zeros_like(mass)))),
            radius_km=float(radius_km(posterior, self.tree, lat, lon)[0]),
            countries=cells.groupby("country")["probability"].sum().sort_values(ascending=False, kind="stable"),
            tree=self.tree,
            picture=seen.picture,
        )

    def predict_many(self, images: Sequence[ImageSource], top_k: int = 5) -> list[Prediction | Failure]:
        """One answer per image, in order; an unreadable image gives a `Failure`.

        For thousands of photos use `embed_photos` and `predict_vectors`.
        """
        check_list(images, "images", least=0)
        answers: list[Prediction | Failure] = []
        for image in images:
            try:
                answers.append(self.predict(image, top_k))
            except ImageError as error:
                answers.append(Failure(name_of(image), str(error)))
        return answers

    def posterior(self, vectors: Vectors) -> npt.NDArray[np.float32]:
        """Posterior over the finest cells, float32 (n, n_finest), for embeddings (n, dim)."""
        logits = predict_logits(self.heads, vectors)
        fused: npt.NDArray[np.float32] = fuse(logits, self.tree, self.fusion, **self.fusion_options)
        return fused

    def predict_vectors(self, vectors: Vectors, batch_size: int = 1024) -> tuple[FloatArray, FloatArray]:
        """Latitude and longitude, degrees (n,) each, for finite embeddings (n, dim); `batch_size` bounds the memory."""
        starts = range(0, max(len(vectors), 1), batch_size)
        batches = [self.posterior(vectors[start : start + batch_size]) for start in starts]
        lat, lon = zip(*(decode(batch, self.tree, self.decoding) for batch in batches), strict=True)
        return np.concatenate(lat), np.concatenate(lon)

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
        partition: Partition | None = None,
        preset: str = "default",
        fusion: str | None = None,
        decoding: str | None = None,
        fusion_options: Mapping[str, Any] | None = None,
        options: TrainOptions | None = None,
        device: str = "auto",
        seed: int = 0,
        progress: Callable[[dict[str, float]], object] | None = None,
    ) -> Geolocator:
        """Fit geocells to training photos and train the heads on their embeddings.

        Parameters
        ----------
        vectors, lat, lon : embeddings by `encoder`, (n, dim), unit length; degrees (n,).
        calibration : the same by other photographers, for early stopping and `Prediction.familiar`.
        cells_per_level, min_photos : as `GeocellTree.fit` takes them; "auto" is `cells_for(n)`.
        partition : cells of another kind (`geolib.cells.kinds`), fitted to these photos; default: a quadtree.
        preset : a row of `PRESETS`. "default" scored best on the calibration postcards. "article" is the article's
            pipeline, whose level weights are left out: they change nothing while heads share nothing.
        fusion, decoding, options : in place of those of the preset; `options` as a whole, with its trunk.
        fusion_options : of `geolib.fuse`.  device, seed, progress : as `geolib.train_heads` takes them.

        Raises `ValueError` for invalid coordinates, vectors or settings; `MismatchError` for vectors of other length.
        """
        if np.ndim(vectors) != 2 or np.shape(vectors)[1] != encoder.dim:
            raise MismatchError(f"vectors {np.shape(vectors)}: expected (n, {encoder.dim}), made by {encoder.name}")
        if preset not in PRESETS:
            raise ValueError(f"preset={preset!r}: expected one of {', '.join(PRESETS)}")
        usual, seed, levels = PRESETS[preset], int(seed), _levels(cells_per_level, np.size(lat))
        fusion, decoding = fusion or usual["fusion"], decoding or usual["decoding"]
        options = options or usual["options"]
        tree = partition or GeocellTree.fit(lat, lon, levels, min_photos)
        check_rules(tree, fusion, decoding, fusion_options or {})  # an unknown rule fails before training
        how: dict[str, Any] = {"calibration": calibration, "options": options, "device": device, "seed": seed}
        heads, history = train_heads(vectors, lat, lon, tree, progress=progress, **how)
        familiarity = Familiarity.fit(vectors, None if calibration is None else calibration[0], seed)
        record = {
            "photos": len(vectors),
            "calibration_photos": 0 if calibration is None else len(calibration[0]),
            "cells_per_level": list(tree.n_cells),
            "min_photos": tree.min_photos,
            "partition": type(tree).__name__,
            "seed": seed,
            "epochs": len(history),
            "preset": preset,
            "settings": asdict(options),
        }
        return cls(encoder, tree, heads, familiarity, fusion, decoding, dict(fusion_options or {}), record, history)

    @classmethod
    def fit_dataset(cls, dataset: Dataset, encoder: Encoder, *, split: str = "auto", **options: Any) -> Geolocator:
        """Fit on a dataset's training photos and calibrate on its calibration photos. Test photos stay unseen.

        `options` are those of `fit`; the seed also draws the split. Raises `ValueError` if it leaves none to train on.
        """
        parts = split_photos(dataset, encoder, split, options.get("seed", 0))
        if "train" not in parts:
            raise ValueError(f"the {split} split of {dataset.name} leaves no photo to train on: use more photos")
        held_out = parts["calibration"][:3] if "calibration" in parts else None
        model = cls.fit(encoder, *parts["train"][:3], calibration=held_out, **options)
        model.training |= {"dataset_key": dataset.labels_key(encoder), "split": split, "buffer_km": BUFFER_KM}
        model.training |= describe_data(dataset, parts)
        return model

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write model and card into `folder`, in place of an older model, which stays until the new one is whole.

        Raises `ValueError` for a folder that holds anything else.
        """
        names = ("fusion", "decoding", "fusion_options", "training", "figures")
        description = {"encoder": self.encoder.describe()} | {name: getattr(self, name) for name in names}
        save_model(folder, description, self.tree, self.heads, self.familiarity, model_card)

    @classmethod
    def load(cls, folder: str | os.PathLike[str], encoder: Encoder | None = None, device: str = "auto") -> Geolocator:
        """Read what `save` wrote. Without `encoder`, the one that the model names is loaded.

        Raises `MissingDataError` or `CorruptFileError`, naming the file, and `MismatchError` for another encoder.
        """
        model, encoder, tree, heads, familiarity = load_model(folder, encoder, device)
        rules = {name: model[name] for name in ("fusion", "decoding", "fusion_options", "training")}
        return cls(encoder, tree, heads, familiarity, **rules, figures=model.get("figures") or {})

    @cached_property
    def _cells(self) -> pd.DataFrame:
        """Centre, number and country of each finest cell; `answer` fills in the probabilities."""
        lat, lon = self.tree.centers(-1)
        columns = {"lat": lat, "lon": lon, "probability": np.nan, "cell": range(len(lat))}
        return pd.DataFrame(columns | {"country": country_of(lat, lon)})


def _levels(cells_per_level: Sequence[int] | str, photos: int) -> Sequence[int]:
    """The cells of each level: as they are given, or those for a number of photos."""
    if not isinstance(cells_per_level, str):
        return cells_per_level
    if cells_per_level != "auto":
        raise ValueError(f"cells_per_level={cells_per_level!r}: expected 'auto' or numbers such as (100, 1000)")
    return cells_for(photos)


def cells_for(photos: int) -> tuple[int, ...]:
    """Cells per level for a number of training photos: four levels, the finest with about 20 photos per cell.

    A million photos give 100 to 50,000 cells, as in the article. With fewer photos, the number of finest cells shrinks
    in proportion, that of the coarsest with the square root. Equal levels are left out.

    >>> cells_for(15_000)
    (12, 48, 190, 750)
    """
    finest = min(max(photos // 20, 1), 50_000)
    coarsest = max(100 * (finest / 50_000) ** 0.5, 1)
    return tuple(sorted({round(number) for number in np.geomspace(coarsest, finest, 4).tolist()}))


@dataclass(frozen=True, eq=False)
class Prediction:
    """Where one photo may have been taken, and whether the model can know. A notebook shows it with picture and map.

    Attributes
    ----------
    familiar : False for an image unlike the training images: do not trust the rest. None without calibration photos.
    distance, familiar_below : distance to the training embeddings, and the limit above which an image is unfamiliar.
    lat, lon : the answer of the decoding rule, degrees.
    confidence : how sure the answer is, from 0 to 1: the share of the posterior within 750 km of it
        (`geolib.decoding.confidence`); 0 for an unfamiliar image. Sort answers by it, and abstain below some value.
    top : the most probable finest cells, best first: `lat`, `lon` (the centre), `probability`, `cell`, `country`.
    posterior, levels : probability of each finest cell, float32 (n_finest,); the same summed up to each level.
    entropy : of the posterior, bits, from 0 (one cell has all of it) to log2(n_finest).
    radius_km : half of the posterior lies within this distance of (lat, lon). Not calibrated.
    countries : probability of each country (ISO 3166-1 alpha-3, "" for the open sea), highest first; a cell counts for
        the country of its centre.
    tree, picture : the geocells, and a small upright copy of the image, for display.

    >>> prediction = locate(data_path("postcards", "samples", "postcard-00253.jpg"))
    >>> len(prediction.to_frame()), prediction.geojson()["type"], prediction.region(0.8).size > 0
    (5, 'FeatureCollection', True)
    """

    familiar: bool | None
    distance: float
    familiar_below: float | None
    lat: float
    lon: float
    confidence: float
    top: pd.DataFrame
    posterior: npt.NDArray[np.float32] = field(repr=False)
    levels: list[npt.NDArray[np.float32]] = field(repr=False)
    entropy: float
    radius_km: float
    countries: pd.Series[float] = field(repr=False)
    tree: Partition = field(repr=False)
    picture: Image.Image | None = field(default=None, repr=False)

    @property
    def warning(self) -> str:
        """Why the places cannot be trusted, or that this is unknown; "" for a familiar image."""
        if self.familiar:
            return ""
        if self.familiar_below is None:
            return "Whether this image is like the training images is not known: no calibration photos were given."
        measured = f"distance {self.distance:.2f}; {PERCENTILE} % of the calibration images are below"
        return f"This image is unlike the training images ({measured} {self.familiar_below:.2f})."

    def guess(self) -> str:
        """The answer in words: "very likely" from a confidence of 80 %, "probably" from 50 %, below it "perhaps".

        An unfamiliar image gets no such word.
        """
        if self.posterior.size == 1:
            return "The model has one cell for the whole Earth: it cannot say where."
        likeliest, own = str(self.countries.index[0]), str(country_of(self.lat, self.lon)[0])
        place = f"{in_words(self.lat, self.lon)} ({country_name(own) or 'the open sea'})"
        if self.familiar is False:
            return f"If you still want a guess: {place}."
        sure = next(word for least, word in _WORDS if self.confidence >= least)
        # The best single point need not lie in the most probable country.
        other = f"; the likeliest country is {country_name(likeliest) or 'none (the open sea)'}" * (own != likeliest)
        half = f"half of the model's probability lies within {self.radius_km:,.0f} km"
        return f"{sure} within {CLOSE_KM:.0f} km of {place}: confidence {100 * self.confidence:.0f} %; {half}{other}."

    def sentence(self) -> str:
        """The prediction in words: the warning, if there is one, then the guess."""
        return f"{self.warning} {self.guess()}".lstrip()

    __str__ = sentence

    def region(self, confidence: float) -> npt.NDArray[np.int64]:
        """Numbers of the fewest finest cells that hold this share of the posterior, most probable first.

        Not calibrated: the regions for 0.8 may hold the true place in less than 80 % of all photos. Raises `ValueError`
        unless 0 < confidence <= 1.
        """
        if not 0 < confidence <= 1:
            raise ValueError(f"confidence={confidence}: expected a share above 0, at most 1")
        order = np.argsort(-self.posterior, kind="stable")
        held = np.cumsum(self.posterior[order], dtype=np.float64)
        return order[: np.searchsorted(held, confidence * held[-1]) + 1]

    def to_frame(self) -> pd.DataFrame:
        """A copy of `top`, without probabilities (NaN) for an unfamiliar image.

        Its `attrs` hold `familiar`, `distance` and `confidence`.
        """
        frame = self.top.copy()
        if self.familiar is False:
            frame["probability"] = np.nan
        frame.attrs.update(familiar=self.familiar, distance=self.distance, confidence=self.confidence)
        return frame

    def geojson(self) -> dict[str, Any]:
        """The answer and the top places as a GeoJSON FeatureCollection of points, ready for `json.dumps`."""
        places = self.to_frame().reset_index().assign(role="place").astype(object)
        rows: list[Any] = places.where(places.notna(), None).to_dict("records")  # of Python's own types
        said = {name: getattr(self, name) for name in ("familiar", "confidence", "radius_km")}
        said["sentence"] = self.sentence()
        rows.insert(0, {"lat": self.lat, "lon": self.lon, "role": "answer", **said})
        features = []
        for row in rows:
            place = {"type": "Point", "coordinates": [row.pop("lon"), row.pop("lat")]}
            features.append({"type": "Feature", "geometry": place, "properties": row})
        return {"type": "FeatureCollection", "features": features}

    def plot(self) -> Figure:
        """A map of the posterior and the top places, under a warning for an unfamiliar image."""
        from geolib.plots.prediction import prediction_map

        return prediction_map(self)

    def _repr_html_(self) -> str:
        from geolib.plots.prediction import prediction_html

        return prediction_html(self)
