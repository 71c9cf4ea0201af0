"""Ablation: what each part of a geolocator is worth, measured by changing one part at a time.

Each row (`geolib.judge.methods`) is a whole method. It is fitted on training photos, its settings are chosen on
calibration photos, and the test photos are used once. Beside its errors stands the paired difference to the row that it
changes, on the same bootstrap draws of photographers: if the interval excludes 0, the difference is more than chance.
The answers of each row are kept as a file, so that `run` resumes an interrupted run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from geolib._version import __version__
from geolib.common.errors import MismatchError
from geolib.common.files import read_json, write_bytes, write_json
from geolib.datasets.dataset import Dataset
from geolib.datasets.duplicates import near_duplicates
from geolib.datasets.splits import Photos, split_photos
from geolib.encoder import Encoder
from geolib.evaluate import METRICS, SHARES, compare, difference
from geolib.judge.methods import ROWS, Bench, Row

_DUPLICATE = 0.999  # cosine; 0.99 is common among neighbours
_NUMBERS = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
_HOW_TO_READ = """\
# What each part is worth

Each row is a whole method. It is fitted on training photos, its settings are chosen on calibration photos,
and the test photos are used once. The last column compares it with the row that it changes, on the same
draws of photographers: if the interval excludes 0, the difference is more than chance. All intervals are
95 %. Computed by `python -m geolib ablate`.
"""


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
    """Compute the rows that `out` does not hold yet, and write its table: `ablation.parquet` and `ablation.md`.

    A row is left out if the dataset lacks the photos that it needs. `n_boot` is the number of draws per interval; the
    other options are those of `geolib.train_heads`.

    Returns
    -------
    One row per test side and method: `method`, `side`, `says`, `against`, `chosen` (JSON), the columns of
    `geolib.compare`, and for each metric the paired difference to the row `against` (`gain_*`) with its interval.

    Raises
    ------
    MismatchError : `out` holds rows of other photos, weights or settings.
    ValueError : other files in `out`, or a split without training, calibration or test photos.
    """
    parts = split_photos(dataset, encoder, seed=seed)
    if missing := [side for side in ("train", "calibration", "test") if side not in parts]:
        raise ValueError(f"{dataset.name} has no {', '.join(missing)} photos in its split: use more photos")
    _check_folder(out, {"photos": dataset.labels_key(encoder), "seed": seed, "epochs": epochs, "geolib": __version__})
    bench, rows = Bench(parts, seed, epochs, device), [row for row in rows if row.needs in parts]
    for number, row in enumerate(rows, start=1):
        progress(f"{number:2}/{len(rows)}  {row.name}: {_compute(row, bench, out)}")
    answers = {row: pd.read_parquet(answers_path(out, row)) for row in rows}
    sides = [_side_table(side, answers, parts[side], dataset, n_boot, seed) for side in bench.tests]
    table = pd.concat(sides, ignore_index=True)
    table.attrs["near_duplicates"] = {
        side: near_duplicates(parts[side].vectors, bench.train.vectors, _DUPLICATE)["photo"].nunique()
        for side in bench.tests
    }
    write_bytes(out / "ablation.parquet", table.to_parquet())
    write_bytes(out / "ablation.md", markdown(table).encode())
    return table


def answers_path(out: Path, row: Row) -> Path:
    """The file in the folder of a run that holds the answers of a row: `side`, `id`, `lat`, `lon`."""
    return out / "rows" / f"{ROWS.index(row):02}.parquet"


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
    path, start = answers_path(out, row), time.perf_counter()
    if path.is_file():
        return "kept"
    answers, chosen = row.answer(bench)
    sides = [
        pd.DataFrame({"side": side, "id": bench.parts[side].ids, "lat": answers[side][0], "lon": answers[side][1]})
        for side in bench.tests
    ]
    frame = pd.concat(sides, ignore_index=True)
    frame.attrs["chosen"] = json.dumps(chosen)
    write_bytes(path, frame.to_parquet())
    return (
        f"{time.perf_counter() - start:.0f} s, calibration GeoScore {bench.score(answers):,.0f}, {json.dumps(chosen)}"
    )


def _side_table(
    side: str, answers: Mapping[Row, pd.DataFrame], truth: Photos, dataset: Dataset, n_boot: int, seed: int
) -> pd.DataFrame:
    """Errors of the rows on one test side, and their paired differences."""
    place, clusters = (truth.lat, truth.lon), dataset.photographers(truth.ids)
    methods, notes, gains = {}, {}, {}
    for row, frame in answers.items():
        own = frame[frame["side"] == side].set_index("id").loc[truth.ids]
        methods[row.name] = own["lat"].to_numpy(), own["lon"].to_numpy()
        notes[row.name] = {"side": side, "says": row.says, "against": row.against, "chosen": frame.attrs["chosen"]}
        if row.against in methods:
            pair = methods[row.name], methods[row.against]
            gains[row.name] = difference(*pair, *place, clusters, n_boot=n_boot, seed=seed)[_NUMBERS].iloc[0]
    errors = compare(methods, *place, clusters, n_boot=n_boot, seed=seed)
    gained = pd.DataFrame(gains, index=_NUMBERS).T.add_prefix("gain_")
    return pd.DataFrame(notes).T.join([errors, gained]).rename_axis("method").reset_index()


def verdict(row: pd.Series[Any]) -> str:
    """`gains`, `loses` or `gains nothing`, by the paired interval of the GeoScore; "" for a row against none."""
    low, high = row.get("gain_geoscore_low", np.nan), row.get("gain_geoscore_high", np.nan)
    if pd.isna(low):
        return ""
    return "gains" if round(low) > 0 else "loses" if round(high) < 0 else "gains nothing"  # as far as it is printed


def reading(row: pd.Series[Any]) -> str:
    """A row of the table in a sentence, with its paired intervals."""
    said = verdict(row)
    if not said:
        return f"{row['says']}."
    chance = " that is more than chance" if said == "gains nothing" else ""
    score, km = _interval(row, "gain_geoscore", " of GeoScore", "+"), _interval(row, "gain_median_km", " km", "+")
    return f"{row['says']}: {said}{chance}, {score}, median {km} against *{row['against']}*."


def _interval(row: pd.Series[Any], name: str, unit: str = "", sign: str = "") -> str:
    value, low, high = (f"{row[name + end]:{sign},.0f}" for end in ("", "_low", "_high"))
    return f"{value}{unit} [{low}, {high}]"


def markdown(table: pd.DataFrame) -> str:
    """The table as a page: how to read it, and a table per test side."""
    lines = [_HOW_TO_READ]
    for side, part in table.groupby("side", sort=True):
        words, first = part.apply(verdict, axis=1), part.iloc[0]
        none, worse = (
            ", ".join(f"*{name}*" for name in part["method"][words == word]) or "no row"
            for word in ("gains nothing", "loses")
        )
        lines += [
            f"## {side}: {first['photos']:,} photos of {first['clusters']:,} photographers",
            "",
            f"{table.attrs['near_duplicates'][side]:,} of them have a training photo with a cosine of {_DUPLICATE} or",
            "more: copies or look-alikes (`geolib.datasets.duplicates.near_duplicates` lists them).",
            "",
            f"Gains nothing here that is more than chance: {none}. Loses: {worse}.",
            "",
            "| method | median km | within 25 / 200 / 750 / 2,500 km, % | GeoScore | what it says |",
            "|---|---:|---:|---:|---|",
        ]
        for _, row in part.iterrows():
            shares = " / ".join(f"{100 * row[name]:.1f}" for name in SHARES[1:])
            median, score = _interval(row, "median_km"), _interval(row, "geoscore")
            lines.append(f"| {row['method']} | {median} | {shares} | {score} | {reading(row)} |")
        lines.append("")
    return "\n".join(lines)
