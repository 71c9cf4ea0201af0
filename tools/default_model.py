"""Build the default model that ships with the clone: `python tools/default_model.py` writes data/model.

The model is fitted on the postcards with the default settings. Two things differ from a model that a user fits:

- `familiar.safetensors` keeps 3,000 of the 20,000 reference embeddings, and the threshold is measured anew. With all of
  them the file has 5.2 MB instead of 0.8 MB. Nearly all verdicts on test postcards stay the same; a test holds this.
- `training["recipe"]` records what the model was built from. A test compares it with the present state, so that a model
  that no longer belongs to the code or the data is noticed.
"""

from __future__ import annotations

import hashlib
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from geolib import Encoder, Geolocator, Settings, open_dataset, split_photos
from geolib.common.arrays import pieces
from geolib.common.sources import code_hashes
from geolib.familiar import PERCENTILE, Familiarity
from geolib.predict import PRESETS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "data" / "model"
COMMAND = "python tools/default_model.py"
REFERENCES = 3_000


def recipe() -> dict[str, Any]:
    """What the default model is built from: data, encoder, options, and the code."""
    encoder = Encoder.load(Settings.encoder, device="cpu")
    return {
        "labels": open_dataset(Settings.dataset).labels_key(encoder),
        "encoder": encoder.fingerprint,
        "options": hashlib.sha256(repr(sorted(PRESETS["default"].items())).encode()).hexdigest()[:16],
        "references": REFERENCES,
        "code": code_hashes(),
    }


def stale(model: Geolocator) -> list[str]:
    """Names of what has changed since a model was built; empty if it is up to date."""
    built, now = model.training.get("recipe", {}), recipe()
    code = built.get("code", {})
    changed = [f"geolib/{name}" for name in now["code"] if code.get(name) != now["code"][name]]
    return [name for name in now if name != "code" and built.get(name) != now[name]] + changed


def build() -> Geolocator:
    """Fit the default model on the CPU."""
    dataset, encoder = open_dataset(Settings.dataset), Encoder.load(Settings.encoder, device="cpu")
    model = Geolocator.fit_dataset(dataset, encoder, seed=Settings.seed, device="cpu")
    held_out = split_photos(dataset, encoder, seed=Settings.seed)["calibration"].vectors
    model.familiarity = smaller(model.familiarity, held_out)
    model.training["recipe"] = recipe()
    return model


def smaller(familiarity: Familiarity, calibration: Any) -> Familiarity:
    """The same measure with fewer references, drawn at random, and the threshold that belongs to them."""
    count = len(familiarity.references)
    rows = np.sort(np.random.default_rng(0).choice(count, min(REFERENCES, count), replace=False))
    fewer = replace(familiarity, references=familiarity.references[rows])
    distances = np.concatenate([fewer.distance(part) for part in pieces(calibration, 1024)])
    return replace(fewer, threshold=float(np.percentile(distances, PERCENTILE)))


def main() -> int:
    """Build the model, write it, and say how large it is."""
    start = time.perf_counter()
    build().save(FOLDER)
    size = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{FOLDER.relative_to(ROOT)}: {size / 1e6:.2f} MB in {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
