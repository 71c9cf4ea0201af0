"""Say what a dataset holds and what was refused: the lines that `geolib fetch` ends with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from geolib.common.errors import ImageError
from geolib.countries import country_of
from geolib.datasets.duplicates import average_hash, count_near_duplicates
from geolib.datasets.folder import reason_of
from geolib.images import open_rgb

if TYPE_CHECKING:
    from geolib.datasets.dataset import Dataset

_MOST_LICENCES = 10  # are named in the report; the rest is one number


def survey(dataset: Dataset, progress: bool = False) -> dict[str, Any]:
    """Decode every picture of a dataset once: the counts of `describe`, and `refused` pictures by reason.

    Raises `MissingDataError` for a dataset without pictures.
    """
    rows, refused = {}, Counter(dataset.refused)
    for photo in tqdm(dataset.photos.index, desc="decoding pictures", unit="photo", disable=not progress):
        name = f"photo {photo!r}"
        try:
            path = dataset.path(photo)
            name = str(path)
            rows[photo] = average_hash(open_rgb(path, min_side=64)), path.stat().st_size
        except (ImageError, OSError) as error:
            refused[reason_of(error, name)] += 1
    hashes, sizes = zip(*rows.values(), strict=True) if rows else ((), ())
    table = dataset.photos.loc[list(rows)].assign(bytes=sizes)
    if "country" not in table:
        table = table.assign(country=country_of(table["lat"], table["lon"]) if rows else "")
    return describe(table, count_near_duplicates(hashes)) | {"refused": dict(refused.most_common())}


def describe(table: pd.DataFrame, near_duplicates: int) -> dict[str, Any]:
    """Count what a table holds, from its columns `country`, `photographer`, `licence` and `bytes`.

    Examples
    --------
    >>> row = {"country": "AUT", "photographer": "Ada", "licence": "CC0", "bytes": 2_000_000}
    >>> describe(pd.DataFrame([row, row]), near_duplicates=1)["licences"]
    {'CC0': 2}
    """
    return {
        "photos": len(table),
        "countries": int(table["country"].replace("", np.nan).nunique()),
        "photographers": int(table["photographer"].replace("", np.nan).nunique()),
        "licences": {name or "not stated": n for name, n in table["licence"].value_counts().to_dict().items()},
        "bytes": int(table["bytes"].sum()),
        "near_duplicates": near_duplicates,
    }


def format_report(report: Mapping[str, Any]) -> str:
    """Write the report of `survey` in lines of text."""
    licences = [f"{name} {n:,}" for name, n in report["licences"].items()]
    if more := licences[_MOST_LICENCES:]:
        licences[_MOST_LICENCES:] = [f"{len(more):,} others"]
    lines = [
        f"{_number(report['photos'], 'photo', 'photos')}, {_number(report['countries'], 'country', 'countries')}, "
        f"{_number(report['photographers'], 'photographer', 'photographers')}, {report['bytes'] / 1e6:,.1f} MB",
        "licences: " + ", ".join(licences),
        f"near-duplicates: {_number(report['near_duplicates'], 'photo looks', 'photos look')} like an earlier one",
        f"refused: {sum(report['refused'].values()):,}" + (", of these" if report["refused"] else ""),
    ]
    if (wanted := report.get("wanted", 0)) > report["photos"]:
        lines.insert(1, f"{wanted:,} were asked for: no more were found in {report['asked']:,} places")
    return "\n".join(lines + [f"  {n:8,}  {reason}" for reason, n in report["refused"].items()])


def _number(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"
