"""The page, `REPORT.md`, and its two figures, from what `report.json` holds and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from geolib.common.files import write_bytes
from geolib.evaluate import one_place, verdict
from geolib.plots import ground

Row = dict[str, Any]

# The words that `report.json` uses
NAMED, UNNAMED = "names", "no names"  # what the captions of an encoder hold
TRAIN, BOTH = "train", "train + train_balanced"
NEAREST, PROMPTS, THUMBNAILS, RANDOM = "nearest neighbour", "zero-shot prompts", "thumbnails", "random weights"
FACTS = "visible facts, heads"  # no method: a ceiling
COUNTRY, REGION, CITY = "country_accuracy", "within_750_km", "within_25_km"
TESTS = ("test_balanced", "test")
SAME = "no draw differs"  # why a difference is the same by construction
BLIND = ("interior", "closeup", "night")  # scenes that show next to nothing of the place


def share(value: float, digits: int = 0) -> str:
    """A share in percent: `23 %`."""
    return f"{100 * value:z.{digits}f} %"


def percent(row: Mapping[str, Any], name: str, signed: bool = False) -> str:
    """A share with its interval: `23.4 % [21.0, 25.9]`; signed, in points: `+2.4 points [0.3, 4.1]`."""
    return _with_interval(row, name, 100, "+z,.1f" if signed else "z,.1f", " points" if signed else " %")


def changed(row: Mapping[str, Any], name: str) -> str:
    """A paired difference with its interval and its verdict: `+2.4 points [0.3, 4.1], more`."""
    word = row[f"{name}_verdict"]
    if word == "same by construction":
        return f"{word}: {SAME}"
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


def markdown(numbers: Mapping[str, Any]) -> str:
    """`REPORT.md` from what `report.json` holds, and from nothing else."""
    about = numbers["about"]
    best = about["headline"]
    headline = f"{best['method']}, captions with {best['captions']}, trained on {best['trained_on']}"
    sizes = ", ".join(f"`{name}` {count:,}" for name, count in about["splits"].items())
    parts = [
        "# What the postcards' encoders reach",
        "Computed by `python -m postcards report` from what ships with the clone; the numbers are in "
        "[`report.json`](report.json). The pictures are drawings: nothing here says how well photographs are located.",
        f"Postcards: {sizes}. Seed {about['seed']}. No test postcard shares a photographer or a block of one degree "
        "with training or calibration. Brackets are 95 % intervals from a bootstrap over photographers and places "
        f"({about['n_boot']:,} draws). *Heads* are the tour's geocells, linear heads, fusion and decoding for the "
        "place, and a multinomial logistic regression for the country; when to stop the heads and how strongly to "
        f"hold back the regression were chosen on `calibration`. *The headline model* below is: {headline}.",
        "## Set goals",
        _goal_words(numbers["goals"]),
        _limit_words(numbers),
        "## Methods",
        f"![{alt_methods(numbers)}](report_methods.png)",
        _method_words(numbers),
    ]
    for split, rows in _by_split(numbers["methods"]):
        where = "half by land area, half by population" if split == "test_balanced" else "where photographs are taken"
        parts += [
            f"### `{split}`: {where}",
            f"n = {rows[0]['photos']:,} postcards by {rows[0]['photographers']:,} photographers at "
            f"{rows[0]['places']:,} places. Country: share of postcards whose country is named; km: share answered "
            "within that distance of the truth, and the part of it that comes from one place, where this is large.",
            _method_grid(rows),
        ]
        if numbers["differences"].get(split):
            parts += [
                "The same postcards answered by two methods, first minus second. *More* and *less*: the interval "
                "excludes 0; *undecided*: it does not. A median that is less is a shorter distance.",
                _difference_grid(numbers["differences"][split]),
            ]
    parts += [
        "## What a cue is worth",
        f"![{alt_cues(numbers)}](report_cues.png)",
        _cue_words(numbers),
        _cue_grid(numbers["cues"]),
    ]
    parts += ["## Scenes without cues", _blind_words(numbers["blind"]), _blind_grid(numbers["blind"])]
    parts += ["## Nothing but pixels", _leak_words(numbers["leaks"]), _leak_grid(numbers["leaks"])]
    return "\n\n".join(parts) + "\n"


_LABEL = {COUNTRY: "country", REGION: "within 750 km", CITY: "within 25 km"}


def _goal_words(rows: Sequence[Row]) -> str:
    head = ["goal", "method", "captions", "trained on", "n", "value", "result"]
    cells = [
        [
            f"{_goal_name(row['what'])}: at least {share(row['goal'])}",
            row["method"],
            row["captions"],
            row["trained_on"],
            f"{row['photos']:,}",
            percent(row, "value"),
            "reached" if row["reached"] else "not reached",
        ]
        for row in rows
    ]
    return (
        "A goal counts as reached when the value reaches it; the interval is not considered. The last goal takes the "
        "postcards of both test splits whose landmark is also in a postcard that the method was trained on.\n\n"
        + _grid(head, cells)
    )


def _limit_words(numbers: Mapping[str, Any]) -> str:
    """What still limits the headline model: how much of what its pictures show it leaves unread."""
    best = numbers["about"]["headline"]
    text = "**What still limits it.**"
    for split, rows in _by_split(numbers["methods"]):
        own = next(row for row in rows if all(row[key] == value for key, value in best.items()))
        facts = next(row for row in rows if row["method"] == FACTS and row["trained_on"] == best["trained_on"])
        text += (
            f" On `{split}` the same heads on the facts that the pictures show place {percent(facts, REGION)} within "
            f"750 km and name {percent(facts, COUNTRY)} of the countries; on the embeddings, {percent(own, REGION)} "
            f"and {percent(own, COUNTRY)}."
        )
    return text + (
        " What lies between the two is in the pictures, and heads can use it: it is lost in the encoder, which is "
        "small and was trained for an hour or two on two cores."
    )


def _goal_name(what: str) -> str:
    for metric, label in _LABEL.items():
        what = what.replace(metric, label)
    return what.replace("test_balanced", "`test_balanced`")


def _method_words(numbers: Mapping[str, Any]) -> str:
    text = (
        "*Prior*: one answer to all, without looking. *Thumbnails*: 16 x 16 pixels of colour. *Random weights*: the "
        "encoder's shape, never trained; both are centred by their training mean before neighbours are sought. "
        f"*Prompts*: the country whose name in {len(numbers['about']['templates'])} texts like "
        f"`{numbers['about']['templates'][0].format('France')}` "
        "is most similar, placed at the mean point of its training postcards; no head is trained. *Captions* are "
        "those that the encoder learned from: with or without names of places. *Visible facts*: the same heads on what "
        "a postcard shows as a list (belt, side of the road, lines, plates, language of signs, shields, fences, poles, "
        "roofs; no name, no exact shade) instead of an embedding of its pixels. It is no method but a ceiling: what "
        "lies between it and the heads was in the picture, and the encoder did not read it."
    )
    for row in numbers["prompts"]:
        if row["captions"] == UNNAMED:
            text += (
                f" To the encoder without names, the prompts of {row['countries']} countries give "
                f"{row['distinct_prompts']} distinct text vector{'s' * (row['distinct_prompts'] != 1)}: its zero-shot "
                "rows are a control, not a method."
            )
    return text


def _by_split(tables: Mapping[str, Any]) -> list[tuple[str, list[Row]]]:
    """The tables of the test splits in their order, which JSON does not keep."""
    return [(split, tables[split]) for split in TESTS if split in tables]


def _method_grid(rows: Sequence[Row]) -> str:
    head = ["method", "captions", "trained on", "country", "25 km", "200 km", "750 km", "2,500 km", "median"]
    within = (CITY, "within_200_km", REGION, "within_2500_km")
    return _grid(
        head,
        [
            [
                row["method"] + (" (control)" if row["method"] == PROMPTS and row["captions"] == UNNAMED else ""),
                row["captions"],
                f"{row['trained_on']} ({row['training_photos']:,})",
                percent(row, COUNTRY),
                *(percent(row, name) + one_place(row[f"{name}_place"]) for name in within),
                kilometres(row),
            ]
            for row in rows
        ],
    )


def _difference_grid(rows: Sequence[Row]) -> str:
    cells = [
        [
            row["claim"],
            row["a"],
            row["b"],
            *(changed(row, name) for name in (COUNTRY, REGION, "median_km")),
        ]
        for row in rows
    ]
    return _grid(["what", "first", "second", "country", "within 750 km", "median"], cells)


def _cue_words(numbers: Mapping[str, Any]) -> str:
    text = (
        f"Up to {numbers['about']['scenes']:,} test postcards of both splits in which a cue is visible are drawn again "
        "without it and answered by the headline model. The change is paired with the unhidden picture: *less* means "
        "that the model used the cue. *Everything* hides every cue there is. Costliest for the country first. "
        "A change is what this model loses: a cue that others repeat costs little, and a picture without "
        "a cue is also unlike those of the training."
    )
    if same := sum(row["unchanged_pictures"] for row in numbers["cues"]):
        text += f" In {same:,} of {sum(row['photos'] for row in numbers['cues']):,} pictures, hiding changed no byte."
    read = numbers["reading"]
    if read:
        lost = percent(read, "points").replace(" %", " points")
        text += (
            f" **Reading**: {share(read['share_of_scenes'])} of the test postcards show script or a town name. "
            f"Without them the country is named in {lost} fewer of all postcards, of {share(read['overall'])} overall: "
        )
        low, high = read["points_low"], read["points_high"]
        word = "undecided" if low is None else verdict(low, high, same=SAME if low == high == 0 else "")
        text += (
            f"{share(read['share_of_result'])} of the result is reading."
            if word == "more"
            else f"{word}, so that no part of the result can be put down to reading."
        )
    return text


def _cue_grid(rows: Sequence[Row]) -> str:
    head = [
        "hidden",
        "n",
        "visible in",
        "country with it",
        "country",
        "within 750 km with it",
        "within 750 km",
        "median",
    ]
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
    sides: dict[str, list[str]] = {}
    for row in (row for row in rows if row["scene"] in BLIND):
        sides.setdefault(row[f"{REGION}_verdict"], []).append(f"{row['scene']} (`{row['split']}`)")
    found = "; ".join(f"*{word}*: {', '.join(names)}" for word, names in sorted(sides.items()))
    return (
        "A room, a close-up or a night shows next to nothing of the place; a model that falls back on the prior, the "
        "constant guess from the same training postcards, answers them as that does. Columns: heads, prior, and heads "
        f"minus prior, paired. Share of the heads within 750 km against the prior's: {found}."
    )


def _blind_grid(rows: Sequence[Row]) -> str:
    head = ["split", "scene", "n", "country", "prior", "heads − prior", "within 750 km", "prior", "heads − prior"]
    head += ["within 2,500 km", "prior", "heads − prior"]
    cells = []
    for row in rows:
        cell = [f"`{row['split']}`", row["scene"], f"{row['photos']:,}"]
        for name in (COUNTRY, REGION, "within_2500_km"):
            cell += [share(row[f"{side}_{name}"], 1) for side in ("heads", "prior")]
            cell.append(changed(row, name))
        cells.append(cell)
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


# Figures


def alt_methods(numbers: Mapping[str, Any]) -> str:
    """What `report_methods.png` shows, in words."""
    text = "Dots with intervals: country accuracy and share within 750 km of each method."
    best = numbers["about"]["headline"]
    for split, rows in _by_split(numbers["methods"]):
        for row in rows:
            if all(row[key] == value for key, value in best.items()):
                text += (
                    f" Headline model on {split}: country {share(row[COUNTRY])}, within 750 km {share(row[REGION])}."
                )
    return text


def alt_cues(numbers: Mapping[str, Any]) -> str:
    """What `report_cues.png` shows, in words."""
    text = "Dots with intervals: change of country accuracy and of the share within 750 km when cues are hidden."
    for row in numbers["cues"][:3]:
        text += f" Without {row['cues']}: country {100 * row[COUNTRY]:+.1f} points."
    return text


def write_figures(out: Path, numbers: Mapping[str, Any]) -> None:
    """Write both figures, from the numbers alone."""

    write_bytes(out / "report_methods.png", ground.png(plot_methods(numbers)))
    write_bytes(out / "report_cues.png", ground.png(plot_cues(numbers)))


def plot_methods(numbers: Mapping[str, Any]) -> Any:
    """Country accuracy and share within 750 km of each method, one colour and marker per test split."""
    labels = []
    for row in _by_split(numbers["methods"])[0][1]:
        name = row["method"] + (f" · {row['captions']}" if row["captions"] != "-" else "")
        labels.append(name + (" + balanced" if row["trained_on"] == BOTH else ""))
    series = {f"{split} (n = {rows[0]['photos']:,})": rows for split, rows in _by_split(numbers["methods"])}
    words = "names, no names: in the encoder's captions\n"
    words += "+ balanced: also trained on train_balanced\n" * any(label.endswith("+ balanced") for label in labels)
    words += _drawn_from(numbers)
    return _dots(labels, series, "%", words, alt_methods(numbers))


def plot_cues(numbers: Mapping[str, Any]) -> Any:
    """Change of country accuracy and share within 750 km when a group of cues is hidden."""
    rows = numbers["cues"]
    labels = [f"{row['cues'].replace('_', ' ')} (n = {row['photos']:,})" for row in rows]
    return _dots(labels, {"": rows}, "points", f"points when hidden · {_drawn_from(numbers)}", alt_cues(numbers))


def _drawn_from(numbers: Mapping[str, Any]) -> str:
    return f"95 % intervals over photographers and places · seed {numbers['about']['seed']}"


def _dots(labels: Sequence[str], series: Mapping[str, Sequence[Row]], unit: str, caption: str, alt: str) -> Any:
    """Dots with intervals in two panels, one row per label, the first on top."""
    from geolib.plots.charts import plot_intervals

    metrics = {COUNTRY: "country named", REGION: "within 750 km"}
    columns = [f"{metric}{end}" for metric in metrics for end in ("", "_low", "_high")]
    tables = {
        name: pd.DataFrame([[row[column] for column in columns] for row in rows], list(labels), columns).astype(float)
        for name, rows in series.items()
    }
    fig, _ = plot_intervals(tables, metrics, unit=unit, zero=unit == "points", caption=caption)
    fig.set_label(alt)
    return fig
