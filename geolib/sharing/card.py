"""The model card: what a saved model is, what it was made of, and what it must not be used for.

Mitchell et al. 2019, "Model Cards for Model Reporting", arXiv 1810.03993. Everything on it is read from `model.json`,
so that it cannot say more than the model knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RESPONSIBLE_USE = "notebooks/08_responsible_use.ipynb"
_MOST_LICENCES = 30  # lines of the table; the rest is summed up
_LIMITS = """\
- It looks at pixels alone and answers anything. `familiar` says whether a picture is like those that it was trained \
on; for one that is not, the places mean nothing.
- It knows best what people photograph most: a few countries and sights hold most of the training photos. Where few \
photos were taken, its errors are larger than the figures say.
- An error of one photo understates what several photos of one person give away together.
- A probability is the model's belief. That it is calibrated has to be shown on photos of other people and places."""
_USE = """\
For teaching and research, and for one's own photographs. **Not** for finding a person, a home, a shelter or anybody \
who does not want to be found, and not as evidence: where an answer could be acted upon, a human has to verify it by \
other means. Why, and how such a decision is taken: """


def is_drawn(model: Mapping[str, Any]) -> bool:
    """Whether a model was trained on postcards alone: drawings, that is, which find nobody."""
    return bool(model["training"].get("dataset") == "postcards")


def model_card(model: Mapping[str, Any]) -> str:
    """The card as Markdown, with the front matter that the Hugging Face hub reads; `model` is what model.json holds."""
    training = model["training"]
    name = _plain(training.get("dataset") or "photographs")
    what = "**drawn postcards**, not photographs" if is_drawn(model) else f"the photographs of *{name}*"
    parts = [
        "---\nlibrary_name: geolib\ntags:\n- image-geolocation\n- geocells\n- clip\n---",
        f"# A photo geolocator trained on {name}",
        "From the pixels of a picture to a probability for each of "
        f"{_count(training.get('cells_per_level', [0])[-1])} cells of the Earth, and from there to a latitude and a "
        f"longitude. Heads trained on the embeddings of a frozen CLIP; the pictures were {what}.",
        '## Use\n\n```python\nfrom geolib import Geolocator\n\nmodel = Geolocator.load("FOLDER")\n'
        'print(model.predict("photo.jpg").sentence())\n```\n\n' + _encoder(model["encoder"]),
        f"## Data\n\n{_data(training)}",
        f"## Licences of the training photos\n\n{_licences(training)}",
        f"## Splits\n\n{_splits(training)}",
        f"## Figures\n\n{_figures(model.get('figures', {}))}",
        f"## Limits\n\n{_LIMITS}",
        f"## Responsible use\n\n{_USE}`{RESPONSIBLE_USE}` of geolib's repository.",
        f"## How it was made\n\n{_made(model)}",
    ]
    return "\n\n".join(parts) + "\n"


def _encoder(encoder: Mapping[str, Any]) -> str:
    title = _plain(
        "/".join(filter(None, (encoder["name"].replace("\\", "/").rpartition("/")[2], encoder["pretrained"])))
    )
    lines = [f"Encoder: `{title}`, fingerprint `{_plain(encoder['fingerprint'])[:16]}`; geolib refuses any other."]
    if weights := encoder.get("weights"):
        where = f"`{_plain(weights['file'])}` of {_plain(weights['repository'])} at `{_plain(weights['revision'])}`"
        size = f"{weights['bytes'] / 1e9:.2f} GB, sha256 `{_plain(weights['sha256'])}`"
        lines.append(f"Its weights: {where}, {size}. They are fetched, not part of this model.")
    elif "/" in encoder["name"].replace("\\", "/"):
        lines.append('It is a folder of its own that is not part of this model: `Geolocator.load("FOLDER", encoder)`.')
    return " ".join(lines)


def _data(training: Mapping[str, Any]) -> str:
    lines = [f"- dataset: {_plain(training.get('dataset') or 'not recorded')}"]
    lines += [f"- training photos: {_count(training.get('photos'))}"]
    if training.get("unreadable"):
        lines += [f"- photos that could not be read, and are on no side: {_count(training['unreadable'])}"]
    lines += [f"- photographers known by name: {_count(training.get('photographers'))}"]
    return "\n".join(lines)


def _licences(training: Mapping[str, Any]) -> str:
    count: Mapping[str, int] = training.get("licences", {})
    if not count:
        return (
            "Not recorded. Find out before you pass this model on: some licences ask for a credit or the same licence."
        )
    ordered = sorted(count.items(), key=lambda row: (-row[1], row[0]))
    shown, rest = ordered[:_MOST_LICENCES], ordered[_MOST_LICENCES:]
    rows = [f"| {_plain(licence) or 'not stated'} | {_count(number)} |" for licence, number in shown]
    rows += [f"| {len(rest)} others | {_count(sum(number for _, number in rest))} |"] if rest else []
    return "| licence | photos |\n|---|---|\n" + "\n".join(rows)


def _splits(training: Mapping[str, Any]) -> str:
    sides: Mapping[str, int] = training.get("sides", {})
    if not sides:
        return f"Not recorded; {_count(training.get('calibration_photos'))} photos stopped the training."
    table = "\n".join(f"| {_plain(side)} | {_count(number)} |" for side, number in sides.items())
    kind = _plain(training.get("split", ""))
    drawn = f"Split `{kind}`, seed {training.get('seed', 0)}. {_overlap(training.get('overlap') or {})}"
    return f"| side | photos |\n|---|---|\n{table}\n\n{drawn}"


def _overlap(overlap: Mapping[str, Any]) -> str:
    """What the test photos share with the training photos, as `Geolocator.fit_dataset` counted it."""
    people, places = overlap.get("by_training_photographers"), overlap.get("in_training_blocks")
    who = "whether some are by photographers of training photos is not known"
    if isinstance(people, int):
        who = f"{people:,} are by photographers of training photos"
    where = f"{places:,} lie in a block of one degree with training photos" if isinstance(places, int) else ""
    flatter = " What is shared flatters the figures." if people or places else ""
    return f"Of the test photos, {', '.join(filter(None, (who, where)))}.{flatter}"


def _figures(figures: Mapping[str, Any]) -> str:
    if not figures:
        return "None were computed before it was saved: `python -m geolib evaluate --model FOLDER --card` adds them."
    return "\n\n".join(_figure_table(title, rows) for title, rows in figures.items())


def _figure_table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    columns = {f"within_{km}_km": f"{km:,} km" for km in (1, 25, 200, 750, 2500)}
    lines = [f"| method | photos | {' | '.join(columns.values())} | median |", "|---" * (len(columns) + 3) + "|"]
    for method, row in rows.items():
        cells = [_figure(row, key, 100, ".1f", " %") for key in columns]
        lines.append(
            f"| {_plain(method)} | {_count(row.get('photos'))} | {' | '.join(cells)} | "
            f"{_figure(row, 'median_km', 1, ',.0f', ' km')} |"
        )
    drawn = {str(row.get("interval", "")) for row in rows.values()}
    return f"On {_plain(title)}; in brackets: {_plain('; '.join(sorted(drawn)))}.\n\n" + "\n".join(lines)


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
