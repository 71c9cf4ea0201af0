"""The page, `REPORT.md`, and its three figures, from what `report.json` holds and from nothing else."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from geolib.common.files import write_bytes
from geolib.evaluate import one_place, verdict
from geolib.plots import ground
from geolib.plots.charts import plot_intervals
from geolib.plots.ground import BORDER, COAST, COLORS, INK, QUIET, RC
from postcards import goals, probe
from postcards.measures import CITY, COUNTRY, REGION, SAME, Row
from postcards.methods import (
    CEILING,
    DEFAULT,
    HEADLINE,
    LINEAR,
    NEIGHBOUR,
    PIXELS,
    PRIOR,
    PROBED,
    PROMPTED,
    SIDES,
    TESTS,
    TRAIN,
    UNNAMED,
    Key,
)

BLIND = ("interior", "closeup", "night")  # scenes that show next to nothing of the place
WHERE = {
    "test": "new photographers at places like those of training",
    "test_places": "regions held out, at least 50 km from training",
    "test_balanced": "spread over land and people",
}
# The rows of the headline figure and of the tables that are not folded, and their colours.
SHOWN: dict[Key, str] = {
    CEILING: "visible facts (ceiling)",
    HEADLINE: "heads on the encoder",
    PIXELS: "heads on thumbnails",
    NEIGHBOUR: "nearest neighbour",
    PROMPTED: "prompts, no training",
    PRIOR: "prior",
}
_BARS = ("white", COLORS[0], COLORS[1], "#7db9dd", "#7db9dd", COAST)


# Numbers in words


def share(value: float, digits: int = 0) -> str:
    """A share in percent: `23 %`."""
    return f"{100 * value:z.{digits}f} %"


def percent(row: Mapping[str, Any], name: str, signed: bool = False) -> str:
    """A share with its interval: `23.4 % [21.0, 25.9]`; signed, in points: `+2.4 points [+0.3, +4.1]`."""
    return _with_interval(row, name, 100, "+z,.1f" if signed else "z,.1f", " points" if signed else " %")


def changed(row: Mapping[str, Any], name: str) -> str:
    """A paired difference with its interval and its verdict: `+2.4 points [+0.3, +4.1], more`."""
    word = row[f"{name}_verdict"]
    if word == "same by construction":
        return f"{word}: {row.get('country_same') or SAME if name == COUNTRY else SAME}"
    return f"{kilometres(row, name, True) if name == 'median_km' else percent(row, name, True)}, {word}"


def kilometres(row: Mapping[str, Any], name: str = "median_km", signed: bool = False) -> str:
    """A distance with its interval: `1,304 km [1,147, 1,493]`."""
    return _with_interval(row, name, 1, "+z,.0f" if signed else "z,.0f", " km")


def _with_interval(row: Mapping[str, Any], name: str, factor: float, style: str, unit: str) -> str:
    value, low, high = (row.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "-"
    if low is None or high is None:
        return f"{value * factor:{style}}{unit}"
    return f"{value * factor:{style}}{unit} [{low * factor:{style}}, {high * factor:{style}}]"


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _folded(title: str, *parts: str) -> str:
    return "\n\n".join([f"<details><summary>{title}</summary>", *parts, "</details>"])


def _sides(tables: Mapping[str, Any]) -> list[tuple[str, list[Row]]]:
    """The tables of the test sides in their order, which JSON does not keep."""
    return [(side, tables[side]) for side in TESTS if side in tables]


def _key(row: Mapping[str, Any]) -> Key:
    return row["method"], row["captions"], row["trained_on"]


def _find(rows: Sequence[Row], key: Key) -> Row:
    return next(row for row in rows if _key(row) == key)


def _name(method: str, captions: str, trained_on: str) -> str:
    """A method in words, such as `linear heads on the encoder`."""
    key = method, captions, trained_on
    if key in SHOWN:
        return SHOWN[key]
    over, _, way = method.rpartition(", ")
    over = over or "the encoder"
    words = f"{ {LINEAR: 'linear heads', DEFAULT: 'heads'}.get(way, way) } on {over}"
    words += ", captions without names" * (captions == UNNAMED)
    return words + ", trained on `train` only" * (trained_on == TRAIN)


# The page


def markdown(numbers: Mapping[str, Any]) -> str:
    """`REPORT.md` from what `report.json` holds, and from nothing else."""
    parts = ["# What the postcards' encoder reaches", f"![{alt_methods(numbers)}](report_methods.png)"]
    parts += [_findings(numbers), _folded("How this was measured", *_setup(numbers))]
    if numbers["probe"]:
        parts += ["## What the encoder reads", f"![{alt_probe(numbers)}](report_probe.png)", _probe_words(numbers)]
    parts += ["## Methods", _method_words(numbers)]
    for side, rows in _sides(numbers["methods"]):
        parts += [f"### `{side}`: {WHERE[side]}", *_side_parts(rows, numbers["differences"][side])]
    parts += ["## What a cue is worth", f"![{alt_cues(numbers)}](report_cues.png)", _cue_words(numbers)]
    parts += [_folded("All numbers", _cue_grid(numbers["cues"]))]
    parts += ["## Scenes without cues", _blind_words(numbers["blind"])]
    parts += [_folded("All numbers", _blind_grid(numbers["blind"]))]
    parts += ["## Nothing but pixels", _leak_words(numbers["leaks"]), _leak_grid(numbers["leaks"])]
    parts += ["## Goals", *_goal_parts(numbers["goals"]), *_why_missed(numbers)]
    return "\n\n".join(parts) + "\n"


def headline(numbers: Mapping[str, Any]) -> str:
    """The finding of the first figure, with its numbers: how far above pixels and how far below the ceiling."""
    side = next(side for side in ("test_places", "test_balanced", "test") if side in numbers["methods"])
    own, pixels, facts = (_find(numbers["methods"][side], key)[REGION] for key in (HEADLINE, PIXELS, CEILING))
    where = {"test_places": "In regions never seen", "test_balanced": "Spread over land and people"}
    text = f"{where.get(side, 'On new photographers')}, heads on the encoder place {share(own)} within 750 km"
    compared = [f"{own / pixels:.1f} times the share of thumbnails"] if pixels else []
    compared += [f"{share(own / facts)} of the ceiling"] if facts else []
    return text + (f": {', '.join(compared)}" if compared else "")


def _findings(numbers: Mapping[str, Any]) -> str:
    """Three sentences."""
    sides = _sides(numbers["methods"])

    def each(key: Key, metric: str, interval: bool = False) -> str:
        rows = {side: _find(own, key) for side, own in sides}
        said = {side: percent(row, metric) if interval else share(row[metric], 1) for side, row in rows.items()}
        return _listed([f"{text} on `{side}`" for side, text in said.items()])

    side, rows = sides[-1]
    prompted, neighbour = (percent(_find(rows, key), COUNTRY) for key in (PROMPTED, NEIGHBOUR))
    return (
        f"Heads on the encoder's frozen vectors place {each(HEADLINE, REGION, True)} within 750 km, and name the "
        f"country of {each(HEADLINE, COUNTRY, True)}. The same heads place {each(PIXELS, REGION)} if they read "
        f"thumbnails of 16 x 16 pixels instead, and {each(CEILING, REGION)} if they read a list of the visible facts: "
        "what lies between the encoder and this ceiling is in the pictures, and the encoder does not read it. Without "
        f"any heads, prompts name {prompted} of the countries on `{side}`, and the nearest neighbour {neighbour}."
    )


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _setup(numbers: Mapping[str, Any]) -> list[str]:
    about = numbers["about"]
    sizes = ", ".join(f"`{side}` {about['splits'][side]:,}" for side in SIDES if side in about["splits"])
    return [
        "Computed by `python -m postcards report` from what ships with the clone; all numbers are in "
        "[`report.json`](report.json). The pictures are drawings: nothing here says how well photographs are located.",
        f"Postcards: {sizes}. No photographer is on two sides. Brackets are 95 % intervals from a bootstrap over "
        f"photographers and places ({about['n_boot']:,} draws, seed {about['seed']}).",
        "*Heads* in the headline are the course's default model (`geolib.predict.PRESETS`): geocells, heads that "
        "share one layer, the posterior of the finest cells, and the point of the highest expected GeoScore. *Linear "
        "heads* are the tour's. The country is named by a multinomial logistic regression, one for both. When to stop, "
        "and how strongly weights decay, was chosen on `calibration`. Thumbnails and visible facts get the same heads "
        "as the encoder, trained on the same postcards.",
    ]


def _probe_words(numbers: Mapping[str, Any]) -> str:
    """Two sentences: what the encoder reads best and least, and which of the facts that the goals ask for."""
    rows = sorted(numbers["probe"], key=lambda row: -row["way"])
    best, least = (_listed([f"{row['fact']} ({share(row['way'])})" for row in part]) for part in (rows[:3], rows[-3:]))
    asked = [row for row in rows if row["fact"] in goals.FACTS]
    read, unread = ([row["fact"] for row in asked if row["halfway"] is kind] for kind in (True, False))
    text = (
        f"A linear probe on the frozen vectors reads {best} best and {least} least; in brackets, how far it comes "
        f"from chance to the ceiling on `{PROBED}`. Of the {len(asked)} facts that help most to say where a postcard "
        f"is, it reads {len(read)} at least halfway"
    )
    return text + (f" ({_listed(read)})" if read else "") + (f", but not {_listed(unread)}." if unread else ".")


def _method_words(numbers: Mapping[str, Any]) -> str:
    templates = numbers["about"]["templates"]
    return (
        "*Visible facts* are no method but a ceiling: the same heads on the list of what a postcard shows (driving "
        "side, lines, plates, language, shields, fences, poles, roofs; no name of a place) instead of its pixels. "
        f"*Prompts*: the country whose name in {len(templates)} texts like `{templates[0].format('France')}` is most "
        "similar, placed at the mean point of its training postcards. *Prior*: one answer to all, without looking. "
        "*Random weights*: the encoder's shape, never trained. A share of which more than a fifth comes from one "
        "place says so.\n\nThe second table of each side compares two methods on the same postcards, first minus "
        "second. *More* and *less*: the interval excludes 0; *undecided*: it does not. A median that is less is a "
        "shorter distance."
    )


def _side_parts(rows: Sequence[Row], gains: Sequence[Row]) -> list[str]:
    first = [_find(rows, key) for key in SHOWN]
    others = sorted((row for row in rows if _key(row) not in SHOWN), key=lambda row: -row[REGION])
    parts = [
        f"n = {rows[0]['photos']:,} postcards by {rows[0]['photographers']:,} photographers at {rows[0]['places']:,} "
        "places.",
        _method_grid(first),
        _folded("Other methods", _method_grid(others)),
    ]
    return [*parts, _difference_grid(gains)] if gains else parts


def _method_grid(rows: Sequence[Row]) -> str:
    head = ["method", "n training", "country", "25 km", "200 km", "750 km", "2,500 km", "median"]
    within = (CITY, "within_200_km", REGION, "within_2500_km")
    return _grid(
        head,
        [
            [
                _name(*_key(row)),
                "-" if _key(row) == PROMPTED else f"{row['training_photos']:,}",
                percent(row, COUNTRY),
                *(percent(row, name) + one_place(row[f"{name}_place"]) for name in within),
                kilometres(row),
            ]
            for row in rows
        ],
    )


def _difference_grid(rows: Sequence[Row]) -> str:
    cells = [
        [row["claim"], _name(*row["a"]), _name(*row["b"])] + [changed(row, x) for x in (COUNTRY, REGION, "median_km")]
        for row in rows
    ]
    return _grid(["what", "first", "second", "country", "within 750 km", "median"], cells)


def _cue_words(numbers: Mapping[str, Any]) -> str:
    text = (
        f"Up to {numbers['about']['scenes']:,} test postcards in which a cue is visible are drawn again without it and "
        "answered by the headline model; the change is paired with the unhidden picture. A cue that others repeat "
        "costs little, and a picture without a cue is also unlike those of the training: this is what the model "
        "loses, not what the cue tells."
    )
    if same := sum(row["unchanged_pictures"] for row in numbers["cues"]):
        text += f" In {same:,} of {sum(row['photos'] for row in numbers['cues']):,} pictures, hiding changed no byte."
    read = numbers["reading"]
    if read:
        low, high = read["points_low"], read["points_high"]
        word = "undecided" if low is None else verdict(low, high, same=SAME if low == high == 0 else "")
        text += (
            f" **Reading**: {share(read['share_of_scenes'])} of the test postcards show words. Without them the "
            f"country is named in {percent(read, 'points').replace(' %', ' points')} fewer of all postcards, of "
            f"{share(read['overall'])} overall ({word})."
        )
    return text


def _cue_grid(rows: Sequence[Row]) -> str:
    head = ["hidden", "n", "visible in", "country with it", "country"]
    head += ["within 750 km with it", "within 750 km", "median"]
    return _grid(
        head,
        [
            [
                row["cues"],
                f"{row['photos']:,}",
                share(row["share_of_scenes"]),
                share(row["shown_country_accuracy"], 1),
                changed(row, COUNTRY),
                share(row["shown_within_750_km"], 1),
                changed(row, REGION),
                changed(row, "median_km"),
            ]
            for row in rows
        ],
    )


def _blind_words(rows: Sequence[Row]) -> str:
    words: dict[str, list[str]] = {}
    for row in (row for row in rows if row["scene"] in BLIND):
        words.setdefault(row[f"{REGION}_verdict"], []).append(f"{row['scene']} on `{row['split']}`")
    found = "; ".join(f"*{word}*: {_listed(names)}" for word, names in sorted(words.items()))
    return (
        "A room, a close-up or a night shows next to nothing of the place. A model that falls back on the prior, one "
        "answer to all from the same training postcards, does there as well as the prior, and no better. The headline "
        f"model's share within 750 km against the prior's: {found}."
    )


def _blind_grid(rows: Sequence[Row]) -> str:
    cells = [
        [f"`{row['split']}`", row["scene"], f"{row['photos']:,}"]
        + [share(row[f"{side}_{REGION}"], 1) for side in ("heads", "prior")]
        + [changed(row, REGION), changed(row, COUNTRY)]
        for row in rows
    ]
    head = ["side", "scene", "n", "heads within 750 km", "prior", "heads minus prior", "country: heads minus prior"]
    return _grid(head, cells)


def _leak_words(rows: Sequence[Row]) -> str:
    return (
        "A regression tree asks for the place without seeing a pixel, on one half of the test blocks after training "
        "on the other. Its median error is set against that on shuffled features: 1.00 is nothing told. A busy street "
        "is a larger file than a plain, so the size may tell a little; the last row shows what a leak would look like."
    )


def _leak_grid(rows: Sequence[Row]) -> str:
    cells = [
        [
            row["features"],
            f"{row['photos']:,}",
            f"{row['median_km']:,.0f} km",
            f"{row['shuffled_km']:,.0f} km",
            f"{row['ratio']:.2f}",
        ]
        for row in rows
    ]
    return _grid(["features", "n", "median", "shuffled", "ratio"], cells)


def _goal_parts(rows: Sequence[Row]) -> list[str]:
    reached, missed = ([row["goal"] for row in rows if row["reached"] is kind] for kind in (True, False))
    unknown = sum(row["reached"] is None for row in rows)
    text = (
        f"Set before this encoder was trained. {len(reached)} are reached, {len(missed)} are missed"
        + (f", {unknown} are not measured" if unknown else "")
        + ". A goal counts as reached when the value reaches it; whether the interval lies above the target (*more*), "
        "below it (*less*) or holds it (*undecided*) stands beside it."
    )
    cells = [
        [row["goal"], f"`{row['side']}`", goal_value(row), goal_target(row), goal_result(row), row["note"]]
        for row in rows
    ]
    return [text, _grid(["goal", "side", "value", "target", "result", "note"], cells)]


def _why_missed(numbers: Mapping[str, Any]) -> list[str]:
    """What the probes say about goals that are missed: what the encoder leaves unread, what thumbnails show already."""
    missed = [f"{row['goal']} on `{row['side']}`" for row in numbers["goals"] if row["reached"] is False]
    if not missed or not numbers["probe"]:
        return []
    unread = [f"{row['fact']} ({share(row['way'])})" for row in numbers["probe"] if not row["halfway"]]
    shown = [row["fact"] for row in numbers["probe"] if row["thumbnails"] >= (row["chance"] + row["ceiling"]) / 2]
    return [
        f"**Missed**: {_listed(missed)}. The probes say why. Less than halfway from chance to the ceiling, the encoder "
        f"reads {_listed(unread) if unread else 'nothing'}. And thumbnails of 16 x 16 pixels already show "
        f"{_listed(shown) if shown else 'nothing'} at least halfway, which keeps any ratio to them small."
    ]


_UNIT = {"%": (100, ".1f", " %"), "km": (1, ",.0f", " km"), "times": (1, ".2f", " times")}


def goal_value(row: Mapping[str, Any]) -> str:
    """The value of a goal with its interval: `48.2 % [43.0, 53.1]`."""
    factor, style, unit = _UNIT[row["unit"]]
    return _with_interval(row, "value", factor, style, unit)


def goal_target(row: Mapping[str, Any]) -> str:
    """What a goal asks for: `at least 50.0 %`."""
    factor, style, unit = _UNIT[row["unit"]]
    return f"at {'least' if row['at_least'] else 'most'} {factor * row['target']:{style}}{unit}"


def goal_result(row: Mapping[str, Any]) -> str:
    """Reached, or by how much it is missed: `missed by 1.8 points (undecided)`."""
    if row["reached"] is None:
        return "not measured"
    factor, style, unit = _UNIT[row["unit"]]
    unit = " points" if row["unit"] == "%" else unit
    text = "reached" if row["reached"] else f"missed by {factor * row['missed_by']:{style}}{unit}"
    return text + (f" ({row['verdict']})" if row["verdict"] else "")


# Figures


def alt_methods(numbers: Mapping[str, Any]) -> str:
    """What `report_methods.png` shows, in words."""
    text = f"{headline(numbers)}. Bars: share within 750 km and share of countries named, per test side."
    for side, rows in _sides(numbers["methods"]):
        said = [
            f"{label} {share(_find(rows, key)[REGION])} and {share(_find(rows, key)[COUNTRY])}"
            for key, label in SHOWN.items()
        ]
        text += f" {side}: {', '.join(said)}."
    return text


def alt_probe(numbers: Mapping[str, Any]) -> str:
    """What `report_probe.png` shows, in words."""
    rows = sorted(numbers["probe"], key=lambda row: -row["way"])
    said = [f"{row['fact']} {share(row['encoder'])} (chance {share(row['chance'])})" for row in rows]
    return f"Dots, one row per visible fact: chance, thumbnails, the encoder, and the ceiling. {', '.join(said)}."


def alt_cues(numbers: Mapping[str, Any]) -> str:
    """What `report_cues.png` shows, in words."""
    text = "Dots with intervals: change of country accuracy and of the share within 750 km when cues are hidden."
    for row in numbers["cues"][:3]:
        text += f" Without {row['cues']}: country {100 * row[COUNTRY]:+.1f} points."
    return text


def write_figures(out: Path, numbers: Mapping[str, Any]) -> None:
    """Write the figures, from the numbers alone."""
    write_bytes(out / "report_methods.png", ground.png(plot_methods(numbers)))
    write_bytes(out / "report_cues.png", ground.png(plot_cues(numbers)))
    if numbers["probe"]:
        table = pd.DataFrame(numbers["probe"])
        probe.figure(table, out / "report_probe.png", main="encoder", others=["thumbnails"])


@matplotlib.rc_context(RC)
def plot_methods(numbers: Mapping[str, Any]) -> Figure:
    """Bars with intervals: a row of panels per number, a column per test side."""
    sides = _sides(numbers["methods"])
    fig = Figure(figsize=(4.2 + 3.6 * len(sides), 7.6), layout="constrained")
    panels = fig.subplots(2, len(sides), sharex=True, sharey=True, squeeze=False)
    for column, (side, rows) in enumerate(sides):
        for ax, metric in zip(panels[:, column], (REGION, COUNTRY), strict=True):
            _bars(ax, [_find(rows, key) for key in SHOWN], metric)
        words = f"{side}, n = {rows[0]['photos']:,}\n{textwrap.fill(WHERE[side], 30)}"
        panels[0, column].set_title(words, loc="left", fontsize=13, color=INK)
    for ax, word in zip(panels[:, 0], ("within 750 km, %", "country named, %"), strict=True):
        ax.set_ylabel(word, fontsize=14, color=INK, weight="bold", labelpad=10)
        ax.set_yticks(range(len(SHOWN)), list(SHOWN.values()), color=INK, fontsize=13)
    panels[0, 0].set_ylim(len(SHOWN) - 0.4, -0.6)
    panels[0, 0].set_xlim(0, 105)
    fig.suptitle(textwrap.fill(headline(numbers), 36 + 20 * len(sides)), fontsize=17, x=0.01, ha="left", color=INK)
    words = "95 % intervals over photographers and places. The pictures are drawings."
    fig.supxlabel(words, x=0.01, ha="left", fontsize=12, color=QUIET)
    fig.set_label(alt_methods(numbers))
    return fig


def _bars(ax: Any, rows: Sequence[Row], metric: str) -> None:
    """One bar per method with its interval and its number."""
    for y, (row, color) in enumerate(zip(rows, _BARS, strict=True)):
        ends = [row[f"{metric}{end}"] for end in ("", "_low", "_high")]
        value, low, high = (np.nan if end is None else 100 * end for end in ends)
        ax.barh(y, value, height=0.72, color=color, edgecolor=INK if color == "white" else color, linewidth=1)
        ax.hlines(y, low, high, color=INK, linewidth=1.2)
        bold = "bold" if color == COLORS[0] else "normal"
        ax.text(np.nanmax([value, high]) + 2, y, f"{value:.0f}", va="center", fontsize=13, color=INK, weight=bold)
    ax.grid(axis="x", color=BORDER, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.spines[:].set_color(COAST)
    ax.tick_params(color=COAST, labelcolor=QUIET, length=0)


def plot_cues(numbers: Mapping[str, Any]) -> Figure:
    """Change of country accuracy and share within 750 km when a group of cues is hidden."""
    rows = numbers["cues"]
    labels = [f"{row['cues']} (n = {row['photos']:,})" for row in rows]
    metrics = {COUNTRY: "country named", REGION: "within 750 km"}
    columns = [f"{metric}{end}" for metric in metrics for end in ("", "_low", "_high")]
    table = pd.DataFrame([[row[column] for column in columns] for row in rows], labels, columns).astype(float)
    caption = "points when hidden · 95 % intervals over photographers and places"
    fig, _ = plot_intervals(table, metrics, unit="points", zero=True, caption=caption)
    fig.suptitle(cue_finding(rows), fontsize=15, x=0.01, ha="left", color=INK)
    fig.set_label(alt_cues(numbers))
    return fig


def cue_finding(rows: Sequence[Row]) -> str:
    """The finding of the figure of cues: which group but all together costs most, for certain."""
    used = [row for row in rows if row["cues"] != "everything" and row[f"{COUNTRY}_verdict"] == "less"]
    if not used:
        return "No single cue costs countries for certain when it is hidden"
    cues, points = used[0]["cues"], -100 * used[0][COUNTRY]
    return f"Hiding one cue costs most where it is the {cues}: {points:.0f} points of country accuracy"
