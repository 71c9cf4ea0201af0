"""Ablation: what each part of a geolocator is worth, measured by changing one part at a time.

Each row (`geolib.judge.methods`) is a whole method. It is fitted on training photos, its settings are chosen on
calibration photos, and the test photos are used once. Beside its errors stands the paired difference to the row that it
changes, on the same bootstrap draws of photographers and places, and the verdict of `geolib.evaluate` on it. Headline
rows, and the rows that they change, are trained with five seeds and averaged. The answers of each row are kept in a
file that is named after what the row does, so that `run` resumes an interrupted run.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geolib.common.errors import MismatchError
from geolib.common.files import read_json, write_bytes, write_json
from geolib.common.sources import code_hash
from geolib.datasets.dataset import Dataset
from geolib.datasets.duplicates import near_duplicates
from geolib.datasets.splits import Photos, split_photos
from geolib.encoder import Encoder
from geolib.evaluate import METRICS, SHARES, compare, difference, verdict
from geolib.judge.methods import ROWS, Bench, Row
from geolib.plots.charts import plot_verdicts
from geolib.plots.ground import png
from geolib.sharing.model_folder import versions
from geolib.sphere import FloatArray, haversine_km

Answer = tuple[FloatArray, FloatArray]  # (lat, lon), each (seeds, n)
WORDS = ("more", "less", "undecided", "same by construction")
_SEEDS = 5  # of a headline row
_ROUNDING_KM, _ROUNDING_SHARE = 0.01, 0.001  # a near tie may turn
_DUPLICATE = 0.999  # cosine; 0.99 is common among neighbours
_NUMBERS = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
_PACKAGE = Path(__file__).resolve().parents[1]
_NO_ANSWERS = ("app", "plots", "sharing", "evaluate.py", "judge/ablate.py")  # code that changes no answer
_HOW_TO_READ = """\
Each row is a whole method. It is fitted on training {noun}, its settings are chosen on calibration {noun}, and the
test {noun} are used once. A row is compared with the row that it changes, named after "against", on the same draws:
the dot is its mean GeoScore minus that row's, the line the 95 % interval. *More* and *less*: the interval excludes 0.
*Undecided*: it does not. *Same by construction*: every answer is the same, for the reason given. Rows marked "x 5" are
means over five training seeds; the prior and the nearest neighbour train nothing, so theirs are equal.

Three limits. A row of one seed is compared with the first seed of the other row, so the printed difference need not be
that of the printed means. The intervals are over test {noun}, not over trainings, and another seed moves a GeoScore,
too. And of 20 verdicts, about one would be wrong if nothing differed. Computed by `python -m geolib ablate`.
"""
_ALT = (
    "Dots with 95 % intervals: GeoScore of each method minus that of the method that it changes, coloured by verdict."
)


def run(
    dataset: Dataset,
    encoder: Encoder,
    out: Path,
    *,
    rows: Sequence[Row] = ROWS,
    seed: int = 0,
    epochs: int = 30,
    device: str = "auto",
    n_boot: int = 1000,
    progress: Callable[[str], object] = print,
) -> pd.DataFrame:
    """Compute the rows that `out` does not hold yet; write `ablation.parquet`, its page `ablation.md` and figure.

    A row is left out if the dataset lacks the photos that it needs. `n_boot` is the number of draws per interval; the
    other options are those of `geolib.train_heads`. Headline rows are trained with `seed` and the next four.

    Returns
    -------
    One row per test side and method: `method`, `side`, `says`, `against`, `chosen` (JSON, of the first seed), `seeds`
    (how many), the columns of `geolib.compare`, for each metric the paired difference to the row `against` (`gain_*`)
    with its interval, `verdict` (the word for the GeoScore) and `same` (the reason of the fourth word).

    Raises
    ------
    MismatchError : `out` holds rows of other photos, weights or settings.
    ValueError : other files in `out`, or a split without training, calibration or test photos.
    """
    parts = split_photos(dataset, encoder, seed=seed)
    if missing := [side for side in ("train", "calibration", "test") if side not in parts]:
        raise ValueError(f"{dataset.name} has no {', '.join(missing)} photos in its split: use more photos")
    _check_folder(out, {"photos": dataset.labels_key(encoder), "split seed": seed, "epochs": epochs})
    rows = [row for row in rows if row.needs in parts]
    seeds = _seeds(rows, seed)
    bench, answers = Bench(parts, seed, epochs, device), dict[Row, list[pd.DataFrame]]()
    for number in sorted({one for of_row in seeds.values() for one in of_row}):
        bench = Bench(parts, number, epochs, device)  # the heads of the last seed make room
        asked = [row for row in rows if number in seeds[row]]
        for count, row in enumerate(asked, start=1):
            progress(f"seed {number} {count:2}/{len(asked)}  {row.name}: {_compute(row, bench, out)}")
            answers.setdefault(row, []).append(pd.read_parquet(answers_path(out, row, number)))
    sides = [_side_table(side, answers, parts[side], dataset, n_boot, seed) for side in bench.tests]
    table = pd.concat(sides, ignore_index=True)
    table.attrs["noun"] = dataset.noun
    table.attrs["near_duplicates"] = {
        side: near_duplicates(parts[side].vectors, bench.train.vectors, _DUPLICATE)["photo"].nunique()
        for side in bench.tests
    }
    write_bytes(out / "ablation.parquet", table.to_parquet())
    if table["verdict"].any():
        write_bytes(out / "ablation.png", png(figure(table)))
    write_bytes(out / "ablation.md", markdown(table).encode())
    return table


def answers_path(out: Path, row: Row, seed: int = 0) -> Path:
    """The file in the folder of a run that holds the answers of a row: `side`, `id`, `lat`, `lon`.

    Its name is a digest of the row's name, function and options, of geolib's code and of the versions of the packages:
    a row that changed is computed anew, wherever it stands.
    """
    content = [row.name, _describe(row.answer), seed, _code(), sorted(versions().items())]
    return out / "rows" / f"{hashlib.sha256(repr(content).encode()).hexdigest()[:24]}.parquet"


def _describe(value: Any) -> str:
    """A function in words that change when it does: its name, its options, and its source if it is not geolib's."""
    if isinstance(value, partial):
        given = [
            *map(_describe, value.args),
            *(f"{name}={_describe(value.keywords[name])}" for name in sorted(value.keywords)),
        ]
        return f"{_describe(value.func)}({', '.join(given)})"
    if not callable(value):
        return repr(value)
    source = "" if value.__module__.startswith("geolib.") else inspect.getsource(value)
    return f"{value.__module__}.{value.__qualname__} {source}"


@cache
def _code() -> str:
    """A digest of the code that answers depend on; comments, layout and docstrings do not count."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        name = path.relative_to(_PACKAGE).as_posix()
        if not name.startswith(_NO_ANSWERS):
            digest.update(f"{name} {code_hash(path.read_text(encoding='utf-8'))}".encode())
    return digest.hexdigest()


def _seeds(rows: Sequence[Row], seed: int) -> dict[Row, range]:
    """The seeds of each row: several for headlines, and for what they are compared with."""
    several = {name for row in rows if row.headline for name in (row.name, row.against)}
    return {row: range(seed, seed + (_SEEDS if row.name in several else 1)) for row in rows}


def _check_folder(out: Path, key: Mapping[str, Any]) -> None:
    """Mark an empty folder with the settings of this run; refuse a folder of other settings."""
    note = out / "ablation.json"
    if not note.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise ValueError(f"{out} holds other files and no ablation: name a new folder")
        write_json(note, key)
    elif (found := read_json(note)) != key:
        raise MismatchError(f"{out} holds rows of other photos or settings ({found}, now {key}): name a new folder")


def _compute(row: Row, bench: Bench, out: Path) -> str:
    """Compute a row unless it is already there; what happened, in words."""
    path, start = answers_path(out, row, bench.seed), time.perf_counter()
    if path.is_file():
        return "kept"
    answers, chosen = row.answer(bench)
    sides = [
        pd.DataFrame({"side": side, "id": bench.parts[side].ids, "lat": answers[side][0], "lon": answers[side][1]})
        for side in bench.tests
    ]
    frame = pd.concat(sides, ignore_index=True)
    frame.attrs |= {"row": row.name, "chosen": json.dumps(chosen)}
    write_bytes(path, frame.to_parquet())
    return (
        f"{time.perf_counter() - start:.0f} s, calibration GeoScore {bench.score(answers):,.0f}, {json.dumps(chosen)}"
    )


def _side_table(
    side: str, answers: Mapping[Row, list[pd.DataFrame]], truth: Photos, dataset: Dataset, n_boot: int, seed: int
) -> pd.DataFrame:
    """Errors of the rows on one test side, their paired differences, and the verdicts."""
    place, clusters = (truth.lat, truth.lon), dataset.clusters(truth.ids)
    methods, notes, gains = dict[str, Answer](), dict[str, dict[str, Any]](), dict[str, Any]()
    for row, frames in answers.items():
        own = [frame[frame["side"] == side].set_index("id").loc[truth.ids] for frame in frames]
        lat, lon = (np.stack([frame[name].to_numpy() for frame in own]) for name in ("lat", "lon"))
        methods[row.name] = lat, lon
        notes[row.name] = {"side": side, "says": row.says, "against": row.against, "chosen": frames[0].attrs["chosen"]}
        notes[row.name] |= {"seeds": len(frames), "verdict": "", "same": ""}
    for row in answers:
        if row.against in methods:
            gain, word, same = _paired(row, methods[row.name], methods[row.against], truth, clusters, n_boot, seed)
            notes[row.name] |= {"verdict": word, "same": same}
            if not same:
                gains[row.name] = gain
    errors = compare(methods, *place, clusters, n_boot=n_boot, seed=seed)
    gained = pd.DataFrame(gains, index=_NUMBERS, dtype=float).T.add_prefix("gain_")
    return pd.DataFrame(notes).T.infer_objects().join([errors, gained]).rename_axis("method").reset_index()


def _paired(
    row: Row, ours: Answer, theirs: Answer, truth: Photos, clusters: pd.DataFrame, n_boot: int, seed: int
) -> tuple[pd.Series[float], str, str]:
    """The difference of a row to the one that it changes, on the seeds of both, its verdict, and why it must be 0."""
    seeds = min(len(ours[0]), len(theirs[0]))
    ours, theirs = ((lat[:seeds], lon[:seeds]) for lat, lon in (ours, theirs))
    gain = difference(ours, theirs, truth.lat, truth.lon, clusters, n_boot=n_boot, seed=seed)[_NUMBERS].iloc[0]
    apart, n = int((haversine_km(*ours, *theirs) > _ROUNDING_KM).sum()), ours[0].size
    if apart <= _ROUNDING_SHARE * n:  # metres apart: no measurement, whatever the interval
        same = row.same or "the calibration photos chose the same settings, or kept the start"
        rounded = f", but for {apart:,} of {n:,} answers" if apart else ""
        return gain, verdict(0, 0, same=same), same + rounded
    return gain, verdict(gain["geoscore_low"], gain["geoscore_high"]), ""


def reading(row: pd.Series[Any]) -> str:
    """A row of the table in a sentence: what it does, the verdict, its paired intervals or the reason for none."""
    if not row["verdict"]:
        return f"{row['says']}."
    if row["same"]:
        return f"{row['says']}: **{row['verdict']}** as *{row['against']}*: {row['same']}."
    score, km = _interval(row, "gain_geoscore", " of GeoScore", "+"), _interval(row, "gain_median_km", " km", "+")
    return f"{row['says']}: **{row['verdict']}**, {score}, median {km}, against *{row['against']}*."


def _interval(row: pd.Series[Any], name: str, unit: str = "", sign: str = "") -> str:
    ends = [float(row[name + end]) for end in ("", "_low", "_high")]
    if sign and max(map(abs, ends)) < 0.0005:
        return "unchanged"
    digits = 3 if sign and max(map(abs, ends)) < 0.5 else 0  # no difference is printed as "+0 [+0, +0]"
    value, low, high = (f"{end:{sign}z,.{digits}f}" for end in ends)
    return f"{value}{unit}" + ("" if np.isnan(ends[1]) else f" [{low}, {high}]")


def figure(table: pd.DataFrame) -> Any:
    """The figure at the head of the page: each row's GeoScore minus that of the row that it changes, by test side."""
    compared = table[table["verdict"] != ""]
    panels, drawn = {}, []
    for side, part in compared.groupby("side", sort=True):
        drawn.append(f"{side}: {part['interval'].iloc[0]}")
        labels = [f"{row['method']}{_times(row)}\nagainst {row['against']}" for _, row in part.iterrows()]
        columns = ["gain_geoscore", "gain_geoscore_low", "gain_geoscore_high", "verdict"]
        panels[f"{side}:\nchange of GeoScore"] = (
            part[columns].set_axis(["gain", "low", "high", "verdict"], axis=1).set_axis(labels)
        )
    return plot_verdicts(panels, caption="\n".join(drawn))[0]


def _times(row: pd.Series[Any]) -> str:
    return f" x {row['seeds']}" if row["seeds"] > 1 else ""


def markdown(table: pd.DataFrame) -> str:
    """The table as a page: the figure, how to read it, the verdicts of each test side, and its folded table."""
    noun = table.attrs["noun"]
    lines = ["# What each part is worth", ""]
    if table["verdict"].any():
        lines += [f"![{_ALT}](ablation.png)", ""]
    lines.append(_HOW_TO_READ.format(noun=noun))
    for side, part in table.groupby("side", sort=True):
        first = part.iloc[0]
        lines += [f"## {side}: {first['photos']:,} {noun}", ""]
        for word in WORDS:
            names = [f"*{name}*" for name in part["method"][part["verdict"] == word]]
            if names:
                lines.append(f"- **{word}**: {', '.join(names)}")
        lines += [
            "",
            f"Intervals: {first['interval']}. {table.attrs['near_duplicates'][side]:,} of the {noun} have a training",
            f"picture with a cosine of {_DUPLICATE} or more: copies or look-alikes.",
            "",
            f"<details><summary>All rows on {side}: errors and paired differences</summary>",
            "",
            "| method | median km | within 25 / 200 / 750 / 2,500 km, % | largest place's part of 25 km | GeoScore | "
            "what it says |",
            "|---|---:|---:|---:|---:|---|",
        ]
        for _, row in part.iterrows():
            shares = " / ".join(f"{100 * row[name]:.1f}" for name in SHARES[1:])
            median, score = _interval(row, "median_km"), _interval(row, "geoscore")
            place = row["within_25_km_place"]
            cells = [f"{row['method']}{_times(row)}", median, shares, "-" if pd.isna(place) else f"{100 * place:.0f} %"]
            lines.append("| " + " | ".join([*cells, score, reading(row)]) + " |")
        lines += ["", "</details>", ""]
    return "\n".join(lines)
