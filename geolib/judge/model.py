"""How far off a fitted model is, beside two baselines, on photos that it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from geolib.common.errors import MismatchError
from geolib.datasets.dataset import Dataset
from geolib.datasets.splits import Photos, fitted_split, photographer_overlap, split_photos
from geolib.evaluate import Coordinates, compare, difference, errors_km, verdict
from geolib.predict import Geolocator
from geolib.retrieve import NearestNeighbour, constant_guess


def evaluate(
    model: Geolocator, dataset: Dataset, *, n_boot: int = 1000, gallery: Dataset | None = None
) -> pd.DataFrame:
    """Errors of a model and two baselines: the table of `geolib.compare`, one row per method. The model stays as it is.

    On the dataset that the model was fitted on, the test photos of its split count; on another dataset, all photos.
    The baselines are a constant guess (`prior`) and the most similar training photo (`nearest neighbour`). Where
    photographers are on both sides, the same rows follow for photos of the others ("..., new photographers").

    Parameters
    ----------
    n_boot : draws for the intervals, over photographers and places; a photo without photographer counts as its own.
    gallery : if `dataset` is another one, the dataset that the model was fitted on: it gives the baselines their
        training photos. Without it they are left out.

    Returns
    -------
    The table. `attrs["overlap"]` is what `photographer_overlap` counts (None if unknown), `attrs["side"]` is "test" or
    "all". `attrs["against"]` holds for each baseline the paired difference of the geolocator, as a dict: the columns
    of `geolib.evaluate.difference` and `verdict`, the word for its GeoScore.

    Raises `MismatchError` for a model that does not know its training photos (`Geolocator.fit`), and if `dataset` or
    `gallery` has the name of the training data, but other photos or labels; `ValueError` if the split has no training
    or no test photos.
    """
    if "dataset" not in model.training:
        raise MismatchError(
            "the model has no record of its training photos, so they could be among the test photos: fit it with "
            "Geolocator.fit_dataset, or hold photos out yourself and give the answers of model.predict_vectors to "
            "geolib.compare"
        )
    other = gallery is not None or model.training["dataset"] != dataset.name
    train, test = _photos(model, dataset, gallery, other)
    methods = {"geolocator": model.predict_vectors(test.vectors)}
    overlap = None
    if train is not None:
        lat, lon = constant_guess(train.lat, train.lon)
        constant = np.full(len(test.ids), lat), np.full(len(test.ids), lon)
        nearest = NearestNeighbour(train.vectors, train.lat, train.lon).predict_vectors(test.vectors)
        methods = {"prior": constant, "nearest neighbour": nearest, **methods}
        overlap = photographer_overlap(dataset, test.ids, gallery or dataset, train.ids)
    clusters = dataset.clusters(test.ids)
    table = compare(methods, test.lat, test.lon, clusters, n_boot=n_boot)
    if overlap is not None and 0 < overlap["photos"] < len(test.ids):
        new = ~np.isin(test.ids, overlap["ids"])
        fewer = {f"{name}, new photographers": (lat[new], lon[new]) for name, (lat, lon) in methods.items()}
        places = np.asarray(test.lat)[new], np.asarray(test.lon)[new]
        table = pd.concat([table, compare(fewer, *places, clusters[new], n_boot=n_boot)])
    table.attrs["overlap"] = overlap and {key: value for key, value in overlap.items() if key != "ids"}
    table.attrs["side"] = "all" if other else "test"
    table.attrs["against"] = {
        name: _against(methods["geolocator"], methods[name], test, clusters, n_boot)
        for name in methods
        if name != "geolocator"
    }
    return table


def record(model: Geolocator, dataset: Dataset, table: pd.DataFrame) -> None:
    """Keep a table of `evaluate` in `model.figures`, so that `model.save` shows it on the card."""
    rows = dict[Any, dict[Any, Any]](table.astype(object).where(table.notna(), None).to_dict("index"))
    rows["geolocator"]["against"] = table.attrs["against"]
    model.figures[f"{table.attrs['side']} photos of {dataset.name}"] = rows


def _against(
    ours: Coordinates, theirs: Coordinates, test: Photos, clusters: pd.DataFrame, n_boot: int
) -> dict[str, Any]:
    """The paired difference to a baseline, as JSON can hold it, and its verdict."""
    table = difference(ours, theirs, test.lat, test.lon, clusters, n_boot=n_boot)
    km, other_km = (errors_km(*answers, test.lat, test.lon) for answers in (ours, theirs))
    same = "every error is the same" if np.array_equal(km, other_km) else ""
    low, high = table["geoscore_low"].item(), table["geoscore_high"].item()
    row = table.astype(object).where(table.notna(), None).to_dict("records")[0]
    return {str(name): value for name, value in row.items()} | {"verdict": verdict(low, high, same=same)}


def _photos(model: Geolocator, dataset: Dataset, gallery: Dataset | None, other: bool) -> tuple[Photos | None, Photos]:
    """Training photos, None if their dataset is not given, and the photos to test on."""
    fitted_on, parts = gallery if other else dataset, dict[str, Photos]()
    if fitted_on is not None:
        same = model.training.get("dataset_key") == fitted_on.labels_key(model.encoder)
        if not same:
            raise MismatchError(
                f"the photos of {fitted_on.name}, or their labels, are not those that the model was fitted on, so its "
                "training photos could be among the test photos: fit it again, or give its own photos as the gallery"
            )
        how = fitted_split(fitted_on, model.training)
        parts = split_photos(fitted_on, model.encoder, **how)
        if "train" not in parts or not (other or "test" in parts):
            what = f"the split {how['kind']!r} of {fitted_on.name}"
            raise ValueError(f"{what} has no training or no test photos: use more photos")
    if not other:
        return parts["train"], parts["test"]
    store = dataset.embeddings(model.encoder)
    photos = dataset.photos.loc[store.ids]
    return parts.get("train"), Photos(store.vectors, photos["lat"].to_numpy(), photos["lon"].to_numpy(), store.ids)
