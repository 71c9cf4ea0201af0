"""The model card: what a saved model is, what it was made of, and what it must not be used for.

After Mitchell et al. 2019, arXiv 1810.03993. Everything on the card comes from `model.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geolib.datasets.dataset import Dataset
from geolib.datasets.splits import Photos, training_overlap
from geolib.evaluate import THRESHOLDS_KM, one_place

RESPONSIBLE_USE = "notebooks/08_responsible_use.ipynb"
_EXAMPLE = '```python\nimport geolib\n\nprint(geolib.load("FOLDER").predict("photo.jpg").sentence())\n```'
_LIMITS = """\
- It sees pixels only and answers every image. `familiar` says whether an image is like the training images; if not, \
the places mean nothing.
- It knows best what people photograph most: a few countries and sights hold most of the training photos. Elsewhere \
its errors are larger than the figures say.
- Several photos by one person together reveal more than the error of a single photo suggests.
- A probability is the model's belief. Measure on photos by other people elsewhere whether it is calibrated."""
_USE = """\
For teaching and research, and for your own photographs. **Not** for finding a person, a home, a shelter or anybody \
who does not want to be found, and not as evidence: before anybody acts on an answer, a human has to verify it by \
other means. Why, and how to decide: """


def is_drawn(model: Mapping[str, Any]) -> bool:
    """Whether a model was trained on postcards only: drawings, which cannot be used to find anybody."""
    return bool(model["training"].get("dataset") == "postcards")


def model_card(model: Mapping[str, Any]) -> str:
    """The card as Markdown for the Hugging Face hub; `model` is what `geolib.sharing.model_folder.read_model` gives."""
    training = model["training"]
    name = _plain(training.get("dataset") or "not recorded")
    images = "**drawn postcards**, not photographs" if is_drawn(model) else f"photographs (dataset: {name})"
    cells = [_count(number) for number in training.get("cells_per_level", ["?"])]
    data = {
        "dataset": name,
        "training photos": _count(training.get("photos")),
        "photos that could not be read, and are in no part of the split": _count(training.get("unreadable")),
        "photographers known by name": _count(training.get("photographers")),
    }
    made = {
        "cells": f"{_plain(training.get('partition', 'GeocellTree'))}, {' + '.join(cells)} from coarse to fine",
        "training": f"{_count(training.get('epochs'))} epochs, seed {training.get('seed', 0)}",
        "fusion": f"`{_plain(model['fusion'])}`, decoding `{_plain(model['decoding'])}`",
        "versions": ", ".join(f"{_plain(name)} {_plain(text)}" for name, text in model.get("versions", {}).items()),
    }
    sections = {
        "Use": f"{_EXAMPLE}\n\n{_encoder(model['encoder'])}",
        "Data": _list(data),
        "Licences of the training photos": _licences(training.get("licences", {})),
        "Splits": _splits(training),
        "Figures": _figures(model.get("figures")),
        "Limits": _LIMITS,
        "Responsible use": f"{_USE}`{RESPONSIBLE_USE}` of geolib's repository.",
        "How it was made": _list(made),
    }
    parts = [
        "---\nlibrary_name: geolib\ntags:\n- image-geolocation\n- geocells\n- clip\n---",
        f"# A photo geolocator trained on {'postcards' if is_drawn(model) else 'photographs'}",
        f"It gives a probability for each of its {cells[-1]} finest geocells, and from these a latitude and longitude. "
        f"Its heads were trained on the embeddings of a frozen CLIP; the training images were {images}.",
        *(f"## {title}\n\n{text}" for title, text in sections.items()),
    ]
    return "\n\n".join(parts) + "\n"


def describe_data(dataset: Dataset, parts: Mapping[str, Photos]) -> dict[str, Any]:
    """What the card says about the data that a model was fitted on, as JSON can hold it; `parts` are its split."""
    photos = dataset.photos.loc[parts["train"].ids]
    return {
        "dataset": dataset.name,
        "overlap": training_overlap(dataset, parts),
        "unreadable": len(dataset) - sum(len(part.ids) for part in parts.values()),
        "sides": {side: len(part.ids) for side, part in parts.items()},
        "licences": {str(name): int(count) for name, count in photos["licence"].value_counts().items()},
        "photographers": int(photos.loc[photos["photographer"] != "", "photographer"].nunique()),
    }


def against(baseline: str, row: Mapping[str, Any]) -> str:
    """A paired difference of the geolocator and a baseline (`geolib.judge.model.evaluate`) in a sentence.

    >>> against("prior", {"verdict": "more", "geoscore": 80.2, "geoscore_low": 31.0, "geoscore_high": 122.9})
    'GeoScore of geolocator against prior: more, +80 [+31, +123]; median -.'
    """
    score = _figure(row, "geoscore", 1, "+,.0f", "")
    median = _figure(row, "median_km", 1, "+,.0f", " km")
    return f"GeoScore of geolocator against {_plain(baseline)}: {_plain(row.get('verdict'))}, {score}; median {median}."


def _encoder(encoder: Mapping[str, Any]) -> str:
    *folders, name = encoder["name"].replace("\\", "/").split("/")
    title = _plain("/".join(filter(None, (name, encoder.get("pretrained")))))
    text = f"Encoder: `{title}`, fingerprint `{_plain(encoder['fingerprint'])[:16]}`; geolib refuses any other."
    if weights := encoder.get("weights"):
        origin = f"`{_plain(weights['file'])}` of {_plain(weights['repository'])} at `{_plain(weights['revision'])}`"
        size = f"{weights['bytes'] / 1e9:.2f} GB, sha256 `{_plain(weights['sha256'])}`"
        return f"{text} Its weights: {origin}, {size}. They are downloaded, not part of this model."
    if folders:
        text += ' It is a folder that is not part of this model: `Geolocator.load("FOLDER", encoder)`.'
    return text


def _licences(counts: Mapping[str, int]) -> str:
    if not counts:
        return "Not recorded. Find out before you pass this model on: some licences ask for credit or the same licence."
    ordered = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return _table("licence | photos", [[_plain(name) or "not stated", _count(number)] for name, number in ordered])


def _splits(training: Mapping[str, Any]) -> str:
    if not training.get("sides"):
        return f"Not recorded; {_count(training.get('calibration_photos'))} photos decided when to stop the training."
    overlap = training.get("overlap") or {}
    people, places = overlap.get("by_training_photographers"), overlap.get("within_25_km")
    leak = " Such overlap makes the figures look better." if people or places else ""
    sides = _table("side | photos", [[_plain(side), _count(number)] for side, number in training["sides"].items()])
    shared = "It is not known how many test photos are by photographers of training photos"
    if people is not None:
        shared = f"{_count(people)} test photos are by photographers of training photos"
    return (
        f"{sides}\n\nSplit `{_plain(training.get('split', ''))}`, seed {training.get('seed', 0)}. {shared}; "
        f"{_count(places)} are within 25 km of a training photo.{leak}"
    )


def _figures(figures: Mapping[str, Any] | None) -> str:
    if not figures:
        return "None were computed before it was saved: `geolib evaluate --model FOLDER --card` adds them."
    tables = []
    for title, methods in figures.items():
        lines = []
        for method, row in methods.items():
            within = [f"within_{km}_km" for km in THRESHOLDS_KM]  # and the part from one place where that is large
            shares = [_figure(row, key, 100, ".1f", " %") + one_place(row.get(f"{key}_place")) for key in within]
            median = _figure(row, "median_km", 1, ",.0f", " km")
            lines.append([_plain(method), _count(row.get("photos")), *shares, median])
        intervals = _plain("; ".join(sorted({_interval(row) for row in methods.values()})))
        head = f"method | photos | {' | '.join(f'{km:,} km' for km in THRESHOLDS_KM)} | median"
        tables.append(f"On {_plain(title)}; in brackets: {intervals}.\n\n{_table(head, lines)}")
        paired = {name: row for method in methods.values() for name, row in (method.get("against") or {}).items()}
        if paired:
            tables.append("\n".join(f"- {against(name, row)}" for name, row in paired.items()))
    return "\n\n".join(tables)


def _figure(row: Mapping[str, Any], key: str, factor: int, style: str, unit: str) -> str:
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value is None:
        return "-"
    interval = f" [{factor * low:{style}}, {factor * high:{style}}]" if low is not None and high is not None else ""
    return f"{factor * value:{style}}{unit}{interval}"


def _interval(row: Mapping[str, Any]) -> str:
    """What was resampled: photos, where each counts as a photographer because none is known."""
    alone = row.get("clusters") is not None and row["clusters"] == row.get("photos")
    return str(row.get("interval", "")).replace(" photographers", " photos" if alone else " photographers")


def _list(items: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {text}" for name, text in items.items())


def _table(head: str, rows: list[list[str]]) -> str:
    lines = [f"| {head} |", "|---" * (head.count("|") + 1) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _count(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int) else "not recorded"


def _plain(text: Any) -> str:
    """Text that cannot be Markdown or HTML: names of licences and datasets come from strangers."""
    kept = "".join(c for c in str(text) if c.isprintable() and c not in "|<>`*[]()\\#!{}~")
    return kept.strip()[:200]
