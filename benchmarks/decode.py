"""How fast posteriors over many cells are decoded by expected GeoScore, beside what an exact search cannot do without.

    python benchmarks/decode.py [--photos 1000] [--cells 50000] [--repeats 3] [--out decode.json]

search  `decode(..., refine=False)`, against the score of answering with every centre under the truth at every other,
        computed once in blocks and thrown away: an exact search that skips nothing computes as much, and multiplies
dense   that product, posteriors x scores, which the search avoids: timed on a sixteenth of the centres, times 16
refined the search with the refinement off the centres, in seconds (the goal: under 5 on 2 cores)

Posteriors have one to four humps of 50 to 1,500 km and a tenth of their mass spread as the photos are. Sides take
turns, and medians are compared.
"""

import argparse
import json
import os
import platform

import numpy as np
from cells import photos, seconds

from geolib.cells import GeocellTree
from geolib.common.arrays import pieces
from geolib.decoding import BLOCK, block_gains, decode
from geolib.sphere import EARTH_RADIUS_KM, unit_vectors


def posteriors(tree: GeocellTree, n: int, seed: int = 0) -> np.ndarray:
    """Humps around random cells, float32 (n, n_finest)."""
    rng = np.random.default_rng(seed)
    units = unit_vectors(*tree.centers(-1))
    prior = tree.counts(-1) / tree.counts(-1).sum()
    rows = np.empty((n, len(prior)), np.float32)
    for row in rows:
        mass = 0.1 * prior
        for weight in 0.9 * rng.dirichlet(np.ones(rng.integers(1, 5))):
            km = EARTH_RADIUS_KM * np.arccos(np.clip(units @ units[rng.integers(len(units))], -1, 1))
            hump = np.exp(-km / rng.choice([50, 200, 600, 1500])) * rng.lognormal(size=len(km))
            mass = mass + weight * hump / hump.sum()
        row[:] = mass
    return rows


def measure(n: int, cells: int, repeats: int) -> dict[str, float]:
    lat, lon = photos(20 * cells)
    tree = GeocellTree.fit(lat, lon, (100, 1000, cells))
    mass, points = posteriors(tree, n), unit_vectors(*tree.centers(-1)).astype(np.float32)
    blocks = pieces(np.arange(len(points)), BLOCK)
    some = np.concatenate([block_gains(points, block, "geoscore") for block in blocks[: len(blocks) // 16]])

    def kernel() -> None:
        for block in blocks:
            block_gains(points, block, "geoscore")

    search, refined, limit, dense = seconds(
        lambda: decode(mass, tree, "geoscore", refine=False),
        lambda: decode(mass, tree, "geoscore"),
        kernel,
        lambda: mass @ some.T,
        repeats=repeats,
    )
    return {
        "photos": n,
        "cells": tree.n_cells[-1],
        "search_s": search,
        "refined_s": refined,
        "kernel_s": limit,
        "dense_product_s": 16 * dense,
        "search_to_kernel": search / limit,
        "dense_product_to_search": 16 * dense / search,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out")
    options = parser.parse_args()
    found = measure(options.photos, options.cells, options.repeats)
    result = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cpus": os.cpu_count(),
            "numpy": np.__version__,
        },
        "decode": {name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()},
    }
    print(json.dumps(result, indent=1))
    if options.out:
        with open(options.out, "w") as stream:
            json.dump(result, stream, indent=1)
            stream.write("\n")


if __name__ == "__main__":
    main()
