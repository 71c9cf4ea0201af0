"""How fast geocells are drawn and looked up, beside what no method on sorted keys can do without.

    python benchmarks/cells.py [--points 5000000] [--repeats 5] [--out cells.json]

fit     against computing the same Morton keys and np.sort of them
assign  against computing the same keys and one np.searchsorted of them
split   fit against a recursive split of a pandas data frame into as many cells
growth  fit at --points against fit at 100,000 and at 1,000,000, as a multiple of what n log n foresees

The two sides of a ratio take turns, and medians are compared, so that a busy machine slows both. The keys come from
geolib itself, in chunks: three times faster than numpy on whole arrays, so the limits are against the stricter side.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from geolib.cells import GeocellTree
from geolib.cells.quadtree import quadrant_keys

CELLS = (100, 1000, 10_000, 50_000)
SMALLER = (100_000, 1_000_000)


def photos(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Photos around 20,000 towns of Zipf sizes, and 2 % anywhere: dense and empty quarters as in real collections."""
    rng = np.random.default_rng(seed)
    town_lat, town_lon = np.degrees(np.arcsin(rng.uniform(-0.7, 0.95, 20_000))), rng.uniform(-180, 180, 20_000)
    size = 1 / np.arange(1, 20_001)
    town = rng.choice(20_000, n, p=size / size.sum())
    spread = rng.lognormal(-2, 1, n)
    lat, lon = town_lat[town] + spread * rng.normal(size=n), town_lon[town] + spread * rng.normal(size=n)
    stray = rng.random(n) < 0.02
    lat[stray] = np.degrees(np.arcsin(rng.uniform(-1, 1, stray.sum())))
    lon[stray] = rng.uniform(-180, 180, stray.sum())
    return np.clip(lat, -90, 90), (lon + 180) % 360 - 180


def scaled(n: int) -> tuple[int, ...]:
    """The article's numbers of cells for 5 million photos, fewer in proportion, so that all sizes do the same work."""
    return tuple(max(level + 1, cells * n // 5_000_000) for level, cells in enumerate(CELLS))


def seconds(*sides: Callable[[], object], repeats: int) -> list[float]:
    """Median seconds of each side, taking turns."""
    times = [[] for _ in sides]
    for _ in range(repeats):
        for side, taken in zip(sides, times, strict=True):
            begin = time.perf_counter()
            side()
            taken.append(time.perf_counter() - begin)
    return [float(np.median(taken)) for taken in times]


def split_frame(frame: pd.DataFrame, threshold: int, south: float, west: float, height: float, depth: int = 0) -> int:
    """Number of non-empty leaves of the textbook quadtree: split a data frame into four while it is long."""
    if len(frame) <= threshold or depth == 24:
        return int(len(frame) > 0)
    height /= 2
    leaves = 0
    north = frame["lat"] >= south + height
    for upper, half in ((False, frame[~north]), (True, frame[north])):
        east = half["lon"] >= west + 2 * height
        for right, quarter in ((False, half[~east]), (True, half[east])):
            corner = south + height * upper, west + 2 * height * right
            leaves += split_frame(quarter, threshold, *corner, height, depth + 1)
    return leaves


def measure(n: int, repeats: int) -> list[dict[str, object]]:
    lat, lon = photos(n)
    smaller = {size: photos(size) for size in SMALLER if size < n}
    cells = scaled(n)
    tree = GeocellTree.fit(lat, lon, cells)
    starts = np.sort(quadrant_keys(lat, lon))[:: max(1, n // tree.n_cells[-1])][: tree.n_cells[-1]]

    fit, keys_sorted, *fits = seconds(
        lambda: GeocellTree.fit(lat, lon, cells),
        lambda: np.sort(quadrant_keys(lat, lon)),
        *(partial(GeocellTree.fit, *few, scaled(size)) for size, few in smaller.items()),
        repeats=repeats,
    )
    assign, keys_found = seconds(
        lambda: tree.assign(lat, lon),
        lambda: np.searchsorted(starts, quadrant_keys(lat, lon), side="right"),
        repeats=repeats,
    )
    frame = pd.DataFrame({"lat": lat, "lon": lon})
    begin = time.perf_counter()
    leaves = split_frame(frame, int(tree.counts(-1).max()), -90, -180, 180)  # the threshold of about as many cells
    split = time.perf_counter() - begin
    foreseen = {size: taken * n * np.log(n) / (size * np.log(size)) for size, taken in zip(smaller, fits, strict=True)}
    return [
        row("fit / keys + sort", fit, keys_sorted, fit / keys_sorted, 2.5, "at most"),
        row("assign / keys + searchsorted", assign, keys_found, assign / keys_found, 2.5, "at most"),
        row(f"split into {leaves:,} / fit {tree.n_cells[-1]:,}", split, fit, split / fit, 20, "at least"),
        *(row(f"fit / n log n from {size:,}", fit, t, fit / t, 1.5, "at most") for size, t in foreseen.items()),
    ]


def row(what: str, ours: float, theirs: float, ratio: float, target: float, sense: str) -> dict[str, object]:
    met = ratio <= target if sense == "at most" else ratio >= target
    return {
        "what": what,
        "seconds": round(ours, 4),
        "against_seconds": round(theirs, 4),
        "ratio": round(ratio, 3),
        "target": f"{sense} {target:g}",
        "met": bool(met),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", help="write the table as JSON, too")
    options = parser.parse_args()
    rows = measure(options.points, options.repeats)
    print(f"{options.points:,} points, medians of {options.repeats}, numpy {np.__version__}, {os.cpu_count()} cores")
    print(f"{'':40}{'s':>9}{'against s':>11}{'ratio':>8}  target")
    for r in rows:
        print(
            f"{r['what']:40}{r['seconds']:9.3f}{r['against_seconds']:11.3f}{r['ratio']:8.2f}  "
            f"{r['target']}: {'met' if r['met'] else 'missed'}"
        )
    if options.out:
        machine = {"numpy": np.__version__, "python": platform.python_version(), "cores": os.cpu_count()}
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump({"points": options.points, "repeats": options.repeats, **machine, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
