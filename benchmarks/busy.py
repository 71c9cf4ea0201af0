"""How much longer a prediction and a page of the course take while two other torch processes use the cores.

    python benchmarks/busy.py [--repeats 3] [--before FOLDER] [--out busy.json]

Each of the two others trains heads and multiplies matrices without end, with the settings that geolib makes. `--before`
names a clone of an earlier version: it is timed alone, too, to show that the settings cost nothing on quiet cores. The
sides take turns, each in fresh processes, and medians are compared. Nothing else should run on the machine.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OTHERS = 2
TARGETS = {"one prediction": 5, "21 predictions": 5, "a page": 3}  # times as long beside the others, at most
BEFORE = 1.05  # times as long alone as before, at most
SETTINGS = ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
PREDICT = """
import json, statistics, time
import geolib
from geolib.common.files import data_path

samples = sorted(data_path("postcards", "samples").glob("*.jpg"))[:21]
geolib.locate(samples[0])  # loads the model
times = []
for sample in samples:
    start = time.perf_counter()
    geolib.locate(sample)
    times.append(time.perf_counter() - start)
print(json.dumps({"one prediction": statistics.median(times), "21 predictions": sum(times)}))
"""
OTHER = """
import numpy as np
from geolib import GeocellTree, TrainOptions, train_heads
import torch

rng = np.random.default_rng(0)
vectors = rng.normal(size=(4000, 128)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
lat, lon = rng.uniform(-60, 60, 4000), rng.uniform(-180, 180, 4000)
tree, matrix = GeocellTree.fit(lat, lon, (10, 50, 200, 600)), torch.randn(1000, 1000)
print("ready", flush=True)
while True:
    train_heads(vectors, lat, lon, tree, options=TrainOptions(epochs=1))
    for _ in range(20):
        matrix @ matrix
"""


def environment(root: Path) -> dict[str, str]:
    """What a process runs under that takes geolib from the clone `root`, with the default settings."""
    kept = {
        name: value for name, value in os.environ.items() if name not in SETTINGS and not name.startswith("GEOLIB_")
    }
    return kept | {"PYTHONPATH": str(root), "GEOLIB_FAST": "1"}


def work(root: Path) -> dict[str, float]:
    """Seconds of the predictions and of the page of the clone `root`."""
    how = {"env": environment(root), "capture_output": True, "text": True, "check": True}
    found = json.loads(subprocess.run([sys.executable, "-c", PREDICT], **how).stdout)
    page = [root / "tools" / "course.py", root / "notebooks" / "00_tour.ipynb"]
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        subprocess.run([sys.executable, *map(str, page), "--out", out], **how)
        return found | {"a page": time.perf_counter() - start}


@contextmanager
def others() -> Iterator[None]:
    """Two other torch processes at work."""
    how = {"env": environment(ROOT), "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([sys.executable, "-c", OTHER], **how) for _ in range(OTHERS)]
    try:
        for process in started:
            if process.stdout.readline() != "ready\n":
                raise RuntimeError("another process did not start; its message stands above")
        yield
    finally:
        for process in started:
            process.kill()
            process.communicate()


def measure(repeats: int, before: Path | None) -> list[dict[str, object]]:
    times: dict[str, list[dict[str, float]]] = {"before": [], "alone": [], "beside": []}
    for _ in range(repeats):
        if before:
            times["before"].append(work(before))
        times["alone"].append(work(ROOT))
        with others():
            times["beside"].append(work(ROOT))
    rows = []
    for what, target in TARGETS.items():
        median = {side: statistics.median(run[what] for run in runs) for side, runs in times.items() if runs}
        ratio = median["beside"] / median["alone"]
        row: dict[str, object] = {"what": what} | {f"{side}_seconds": round(s, 4) for side, s in median.items()}
        row |= {"ratio": round(ratio, 3), "target": f"at most {target}", "met": ratio <= target}
        if before:
            cost = median["alone"] / median["before"]
            row |= {"alone_to_before": round(cost, 3), "cost_target": f"at most {BEFORE}", "cost_met": cost <= BEFORE}
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a clone of an earlier version, timed alone")
    parser.add_argument("--out", type=Path, help="write the table as JSON, too")
    options = parser.parse_args()
    rows = measure(options.repeats, options.before and options.before.resolve())
    print(f"{'':16}{'alone':>10}{'beside two':>12}{'ratio':>8}  goal")
    for row in rows:
        print(
            f"{row['what']:16}{row['alone_seconds']:8.3f} s{row['beside_seconds']:10.3f} s{row['ratio']:8.2f}  "
            f"{row['target']}: {'met' if row['met'] else 'missed'}"
        )
        if options.before:
            verdict = "met" if row["cost_met"] else "missed"
            print(f"{'  before':16}{row['before_seconds']:8.3f} s{'':12}{row['alone_to_before']:8.2f}  ", end="")
            print(f"alone, {row['cost_target']} times as long: {verdict}")
    if options.out:
        processor = platform.processor() or platform.machine()
        found = {
            "machine": {"processor": processor, "cores": os.cpu_count()},
            "versions": {name: version(name) for name in ("torch", "numpy")} | {"python": platform.python_version()},
            "repeats": options.repeats,
            "others": OTHERS,
            "rows": rows,
        }
        options.out.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
