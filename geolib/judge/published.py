"""Published results on Im2GPS3k (Vo, Jacobs, Hays 2017, arXiv 1705.04838), to compare your own with.

Training data, encoders and protocols differ between rows. Only about 198 people took the 2,997 photos, so the standard
error of a share within 25 km is over 2 points: small differences between rows mean nothing.
"""

from __future__ import annotations

import pandas as pd

from geolib.evaluate import SHARES, format_table

BENCHMARKS = ("im2gps3k", "yfcc4k", "yfcc26k")  # for testing, never for training
_USER = "measured by a user, no publication"
# System; % within 1, 25, 200, 750, 2,500 km; median km; source; whether a second public source gives the same figures.
_ROWS: list[tuple[str, tuple[float | None, ...], float | None, str, bool]] = [
    ("zero-shot CLIP ViT-L/14", (3.3, 17.7, 28.9, 51.6, 68.9), None, "re-run by a user, no publication", False),
    ("PlaNet", (8.5, 24.8, 34.3, 48.4, 64.6), None, "arXiv 1602.05314; as re-run in CPlaNet, arXiv 1808.02130", True),
    ("ISNs", (10.5, 28.0, 36.6, 49.7, 66.0), None, "Müller-Budack, Pustu-Iren, Ewerth, ECCV 2018", True),
    ("GeoCLIP, released weights", (13.1, 32.2, 48.1, 66.6, 82.3), 241, _USER, False),
    ("GeoCLIP", (14.1, 34.5, 50.7, 69.7, 83.8), None, "arXiv 2309.16020", True),
    ("PIGEOTTO", (11.3, 36.7, 53.8, 72.4, 85.3), None, "arXiv 2307.05845", True),
    ("G3", (16.7, 40.9, 55.6, 71.2, 84.7), None, "arXiv 2405.14702; asks a large language model", True),
    ("GeoRanker", (18.8, 45.1, 61.5, 76.3, 89.3), None, "arXiv 2505.13731; asks a large language model", True),
    ("nearest neighbour, SigLIP2 on MP-16", (14.9, 37.6, 50.7, 67.8, 83.5), None, _USER, False),
    ("CLIP-336 with DoRA, 50,000 photos of OSV-5M", (None, 13.1, 26.3, 55.2, 78.1), 617, _USER, False),
]


def im2gps3k() -> pd.DataFrame:
    """Published figures, one row per system: shares within 1 to 2,500 km (0 to 1), `median_km`, `source`, `checked`.

    `checked` is False where only one source gives the figures. Missing figures are NaN.

    >>> float(im2gps3k().loc["PIGEOTTO", "within_25_km"])
    0.367
    """
    names = [*SHARES, "median_km", "source", "checked"]
    rows = {system: [*values, median, source, checked] for system, values, median, source, checked in _ROWS}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=names).rename_axis("system")
    table[[*SHARES, "median_km"]] = table[[*SHARES, "median_km"]].astype(float)
    table[list(SHARES)] = (table[list(SHARES)] / 100).round(4)
    return table


def beside(table: pd.DataFrame) -> str:
    """The published rows, those of a table of `geolib.compare` below them, and the sources, as text to print."""
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
