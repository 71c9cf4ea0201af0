"""What others report on Im2GPS3k (Vo, Jacobs, Hays 2017, arXiv 1705.04838), to stand above one's own row.

Training data, encoders and protocols differ from row to row, and about 198 people took the 2,997 photos: the standard
error of a share within 25 km is over 2 points. A small difference between two rows says nothing.
"""

from __future__ import annotations

import pandas as pd

from geolib.evaluate import SHARES, format_table

BENCHMARKS = ("im2gps3k", "yfcc4k", "yfcc26k")  # datasets that are there to test on, never to train on
# System; % within 1, 25, 200, 750, 2,500 km; median km; source; whether the figures were found in a second place.
_ROWS: list[tuple[str, tuple[float | None, ...], float | None, str, bool]] = [
    ("zero-shot CLIP ViT-L/14", (3.3, 17.7, 28.9, 51.6, 68.9), None, "re-run by a user, no publication", False),
    ("PlaNet", (8.5, 24.8, 34.3, 48.4, 64.6), None, "arXiv 1602.05314; as re-run in CPlaNet, arXiv 1808.02130", True),
    ("ISNs", (10.5, 28.0, 36.6, 49.7, 66.0), None, "Müller-Budack, Pustu-Iren, Ewerth, ECCV 2018", True),
    ("GeoCLIP, released weights", (13.1, 32.2, 48.1, 66.6, 82.3), 241, "measured by a user, no publication", False),
    ("GeoCLIP", (14.1, 34.5, 50.7, 69.7, 83.8), None, "arXiv 2309.16020", True),
    ("PIGEOTTO", (11.3, 36.7, 53.8, 72.4, 85.3), None, "arXiv 2307.05845", True),
    ("G3", (16.7, 40.9, 55.6, 71.2, 84.7), None, "arXiv 2405.14702; asks a large language model", True),
    ("GeoRanker", (18.8, 45.1, 61.5, 76.3, 89.3), None, "arXiv 2505.13731; asks a large language model", True),
    (
        "nearest neighbour, SigLIP2 on MP-16",
        (14.9, 37.6, 50.7, 67.8, 83.5),
        None,
        "measured by a user, no publication",
        False,
    ),
    (
        "CLIP-336 with DoRA, 50,000 photos of OSV-5M",
        (None, 13.1, 26.3, 55.2, 78.1),
        617,
        "measured by a user, no publication",
        False,
    ),
]


def im2gps3k() -> pd.DataFrame:
    """Published figures, a row a system: `evaluate`'s shares in 0 to 1, `median_km`, `source` and `checked`.

    checked: the figures stand in a second public place as well; the others were read once. NaN where none is given.
    """
    rows = [
        {
            "system": system,
            **dict(zip(SHARES, values, strict=True)),
            "median_km": median,
            "source": source,
            "checked": ok,
        }
        for system, values, median, source, ok in _ROWS
    ]
    table = pd.DataFrame(rows).set_index("system")
    numbers = [*SHARES, "median_km"]
    table[numbers] = table[numbers].astype(float)
    table[list(SHARES)] = (table[list(SHARES)] / 100).round(4)
    return table


def beside(table: pd.DataFrame) -> str:
    """The published rows with those of a table of `evaluate.compare` under them, and the sources, as text to print."""
    theirs, ours = im2gps3k(), format_table(table).drop(columns=["mean", "geoscore"])
    titles = list(ours.columns.drop(["photos", "clusters"]))
    shown = pd.DataFrame("-", index=theirs.index, columns=titles)
    for title, name in zip(titles, [*SHARES, "median_km"], strict=True):
        style = "{:,.0f} km" if name == "median_km" else "{:.1%}"
        shown[title] = [("-" if pd.isna(value) else style.format(value)).replace("%", " %") for value in theirs[name]]
    both = pd.concat([shown, ours.rename(index=lambda name: f"> {name}")]).fillna("")
    notes = [
        f"  {system}: {source}{'' if checked else ' (read once)'}"
        for system, source, checked in zip(theirs.index, theirs["source"], theirs["checked"], strict=True)
    ]
    return "\n".join([both.to_string(), "", "> this evaluation. Sources of the other rows:", *notes])
