"""The model card: what a saved model is, what it was made of, and what it must not be used for.

After Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv 1810.03993. Everything on the card comes from
`model.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geolib.datasets.dataset import Dataset
from geolib.datasets.splits import Photos, training_overlap

RESPONSIBLE_USE = "notebooks/08_responsible_use.ipynb"
_MOST_LICENCES = 30  # rows of the table; the rest is summed up
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
    """The card as Markdown, with the front matter that the Hugging Face hub reads.

    `model` is the content of model.json (`geolib.sharing.model_folder.read_model`).
    """
    training = model["training"]
    name = _plain(training.get("dataset") or "photographs")
    images = "**drawn postcards**, not photographs" if is_drawn(model) else f"the photographs of *{name}*"
    cells = _count(training.get("cells_per_level", [0])[-1])
    parts = [
        "---\nlibrary_name: geolib\ntags:\n- image-geolocation\n- geocells\n- clip\n---",
        f"# A photo geolocator trained on {name}",
        f"It gives a probability for each of {cells} cells of the Earth, and from these a latitude and a longitude. "
        f"Its heads were trained on the embeddings of a frozen CLIP; the training images were {images}.",
        '## Use\n\n```python\nimport geolib\n\nmodel = geolib.load("FOLDER")\n'
        'print(model.predict("photo.jpg").sentence())\n```\n\n' + _encoder(model["encoder"]),
        f"## Data\n\n{_data(training)}",
        f"## Licences of the training photos\n\n{_licences(training.get('licences', {}))}",
        f"## Splits\n\n{_splits(training)}",
        f"## Figures\n\n{_figures(model.get('figures', {}))}",
        f"## Limits\n\n{_LIMITS}",
        f"## Responsible use\n\n{_USE}`{RESPONSIBLE_USE}` of geolib's repository.",
        f"## How it was made\n\n{_made(model)}",
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


def _encoder(encoder: Mapping[str, Any]) -> str:
    path = encoder["name"].replace("\\", "/")
    title = _plain("/".join(filter(None, (path.rpartition("/")[2], encoder["pretrained"]))))
    lines = [f"Encoder: `{title}`, fingerprint `{_plain(encoder['fingerprint'])[:16]}`; geolib refuses any other."]
    if weights := encoder.get("weights"):
        origin = f"`{_plain(weights['file'])}` of {_plain(weights['repository'])} at `{_plain(weights['revision'])}`"
        size = f"{weights['bytes'] / 1e9:.2f} GB, sha256 `{_plain(weights['sha256'])}`"
        lines.append(f"Its weights: {origin}, {size}. They are downloaded, not part of this model.")
    elif "/" in path:
        lines.append('It is a folder that is not part of this model: `Geolocator.load("FOLDER", encoder)`.')
    return " ".join(lines)


def _data(training: Mapping[str, Any]) -> str:
    lines = [f"- dataset: {_plain(training.get('dataset') or 'not recorded')}"]
    lines += [f"- training photos: {_count(training.get('photos'))}"]
    if training.get("unreadable"):
        lines += [f"- photos that could not be read, and are in no part of the split: {_count(training['unreadable'])}"]
    return "\n".join([*lines, f"- photographers known by name: {_count(training.get('photographers'))}"])


def _licences(count: Mapping[str, int]) -> str:
    if not count:
        return "Not recorded. Find out before you pass this model on: some licences ask for credit or the same licence."
    ordered = sorted(count.items(), key=lambda row: (-row[1], row[0]))
    shown, rest = ordered[:_MOST_LICENCES], ordered[_MOST_LICENCES:]
    rows = [f"| {_plain(licence) or 'not stated'} | {_count(number)} |" for licence, number in shown]
    rows += [f"| {len(rest)} others | {_count(sum(number for _, number in rest))} |"] if rest else []
    return "| licence | photos |\n|---|---|\n" + "\n".join(rows)


def _splits(training: Mapping[str, Any]) -> str:
    if not training.get("sides"):
        return f"Not recorded; {_count(training.get('calibration_photos'))} photos decided when to stop the training."
    rows = "\n".join(f"| {_plain(side)} | {_count(number)} |" for side, number in training["sides"].items())
    kind, overlap = _plain(training.get("split", "")), training.get("overlap") or {}
    people, places = overlap.get("by_training_photographers"), overlap.get("in_training_blocks")
    shared = [
        f"{people:,} are by photographers of training photos"
        if isinstance(people, int)
        else "whether some are by photographers of training photos is not known"
    ]
    shared += [f"{places:,} are within a degree block that holds training photos"] * isinstance(places, int)
    leak = " Such overlap makes the figures look better." if people or places else ""
    drawn = f"Split `{kind}`, seed {training.get('seed', 0)}. Of the test photos, {', '.join(shared)}.{leak}"
    return f"| side | photos |\n|---|---|\n{rows}\n\n{drawn}"


def _figures(figures: Mapping[str, Any]) -> str:
    if not figures:
        return "None were computed before it was saved: `python -m geolib evaluate --model FOLDER --card` adds them."
    return "\n\n".join(_figure_table(title, rows) for title, rows in figures.items())


def _figure_table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    columns = {f"within_{km}_km": f"{km:,} km" for km in (1, 25, 200, 750, 2500)}
    lines = [f"| method | photos | {' | '.join(columns.values())} | median |", "|---" * (len(columns) + 3) + "|"]
    for method, row in rows.items():
        cells = [_figure(row, key, 100, ".1f", " %") for key in columns]
        cells += [_figure(row, "median_km", 1, ",.0f", " km")]
        lines.append(f"| {_plain(method)} | {_count(row.get('photos'))} | {' | '.join(cells)} |")
    intervals = sorted({str(row.get("interval", "")) for row in rows.values()})
    return f"On {_plain(title)}; in brackets: {_plain('; '.join(intervals))}.\n\n" + "\n".join(lines)


def _figure(row: Mapping[str, Any], key: str, factor: int, style: str, unit: str) -> str:
    value, low, high = (row.get(name) for name in (key, f"{key}_low", f"{key}_high"))
    if value is None:
        return "-"
    interval = f" [{factor * low:{style}}, {factor * high:{style}}]" if low is not None and high is not None else ""
    return f"{factor * value:{style}}{unit}{interval}"


def _made(model: Mapping[str, Any]) -> str:
    training = model["training"]
    cells = " + ".join(_count(number) for number in training.get("cells_per_level", []))
    versions = ", ".join(f"{_plain(name)} {_plain(number)}" for name, number in model.get("versions", {}).items())
    return (
        f"- cells: {_plain(training.get('partition', 'GeocellTree'))}, {cells} from coarse to fine\n"
        f"- {training.get('epochs', '?')} epochs, seed {training.get('seed', 0)}\n"
        f"- fusion `{_plain(model['fusion'])}`, decoding `{_plain(model['decoding'])}`\n- {versions}"
    )


def _count(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int) else "not recorded"


def _plain(text: Any) -> str:
    """Text that cannot be Markdown or HTML: names of licences and datasets come from strangers."""
    kept = "".join(c for c in str(text) if c.isprintable() and c not in "|<>`*[]()\\#!{}~")
    return kept.strip()[:200]
