"""How much exact search costs beyond the matrix product that no exact search can do without.

    python benchmarks/search.py [--photos 200000] [--queries 256] [--dim 768] [-k 10] [--out search.json]

top_k           against one product of the queries with the whole gallery, which also holds every similarity
top_k, float16  the same for a memory-mapped float16 gallery, converted block by block, against the float32 product
refine          against the same product: one best photo in cells that hold 95 % of a posterior

The sides take turns, and medians are compared, so that a busy machine slows all of them. Vectors are random: the work
does not depend on what they hold.
"""

import argparse
import os
import platform
import tempfile
from pathlib import Path

import numpy as np
import torch
from cells import seconds

from geolib.cells import GeocellTree
from geolib.common import files
from geolib.refine.photos import refine
from geolib.retrieve import NearestNeighbour

TARGET = 2.0  # for top_k


def unit(n: int, dim: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def measure(options: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    vectors, queries = unit(options.photos, options.dim, 0), unit(options.queries, options.dim, 1)
    np.save(folder / "gallery.npy", vectors.astype(np.float16))
    rng = np.random.default_rng(2)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, options.photos))), rng.uniform(-180, 180, options.photos)
    tree = GeocellTree.fit(lat, lon, (100, max(options.photos // 20, 101)))
    posterior = rng.dirichlet(np.full(tree.n_cells[-1], 0.01), options.queries).astype(np.float32)
    whole = NearestNeighbour(vectors, lat, lon)
    mapped = NearestNeighbour(np.load(folder / "gallery.npy", mmap_mode="r"), lat, lon)
    left, right = torch.from_numpy(queries), torch.from_numpy(vectors)
    sides = (
        lambda: left @ right.T,
        lambda: whole.top_k(queries, options.k),
        lambda: mapped.top_k(queries, options.k),
        lambda: refine(posterior, queries, whole, tree),
    )
    seconds(*sides, repeats=1)  # warms up
    bare, search, half, refined = seconds(*sides, repeats=options.repeats)
    return [
        row("top_k / product", search, bare, TARGET),
        row("top_k, float16 memory-mapped / product", half, bare, None),
        row(f"refine, {tree.n_cells[-1]:,} cells / product", refined, bare, None),
    ]


def row(what: str, ours: float, theirs: float, target: float | None) -> dict[str, object]:
    ratio = ours / theirs
    found = {"what": what, "seconds": round(ours, 4), "against_seconds": round(theirs, 4), "ratio": round(ratio, 3)}
    return found if target is None else found | {"target": f"at most {target:g}", "met": ratio <= target}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=256)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write the table as JSON, too")
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options, Path(folder))
    sizes = {name: getattr(options, name) for name in ("queries", "photos", "dim", "k", "repeats")}
    print("{queries} queries in {photos:,} x {dim}, k = {k}, medians of {repeats}".format(**sizes), end=", ")
    print(f"torch {torch.__version__}, {os.cpu_count()} cores")
    for r in rows:
        verdict = f"{r['target']}: {'met' if r['met'] else 'missed'}" if "target" in r else ""
        print(f"{r['what']:42}{r['seconds']:8.3f} s{r['against_seconds']:8.3f} s{r['ratio']:7.2f}  {verdict}")
    if options.out:
        machine = {"torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
        files.write_json(options.out, sizes | machine | {"cores": os.cpu_count(), "rows": rows})


if __name__ == "__main__":
    main()
