"""Fusion, decoding, calibration and evaluation on a small case. As a script: the same with torch blocked.

python tests/without_torch.py answers.npz
"""

import importlib
import sys

import numpy as np

MODULES = (
    "geolib",
    "geolib.sphere",
    "geolib.cells",
    "geolib.evaluate",
    "geolib.fusion",
    "geolib.decoding",
    "geolib.judge.calibrate",
    "geolib.judge.abstain",
    "geolib.plots.maps",
    "geolib.plots.charts",
    "geolib.datasets",
)


class NoTorch:
    """A finder that is asked first, and refuses torch."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"{name} is blocked here", name=name)


def answers(convert=np.asarray):
    """Every rule and a calibration, of logits that `convert` made of numpy's: {name: numpy array}."""
    from geolib import decoding, evaluate, fusion
    from geolib.cells import GeocellTree
    from geolib.common.arrays import to_numpy
    from geolib.judge import abstain, calibrate

    rng = np.random.default_rng(0)
    lat, lon = rng.uniform(-60, 60, 400), rng.uniform(-180, 180, 400)
    tree = GeocellTree.fit(lat, lon, (4, 12, 40))
    cells = tree.assign(lat, lon)
    scores = [
        rng.normal(0, 2, (400, count)) + 4 * np.eye(count)[own]
        for count, own in zip(tree.n_cells, cells.T, strict=True)
    ]
    logits = [convert(level.astype(np.float32)) for level in scores]
    fitted = calibrate.fit_fusion(logits, cells, tree)
    found = {"cells": cells, **fitted}
    found |= {f"fuse {rule}": fusion.fuse(logits, tree, rule) for rule in fusion.RULES}
    posterior = fusion.fuse(logits, tree, "product", **fitted)
    found |= {f"level {level}": sums for level, sums in enumerate(fusion.marginals(posterior, tree))}
    own_points = lat[:12].reshape(2, 6), lon[:12].reshape(2, 6)
    for rule in decoding.RULES:
        found[f"decode {rule}"] = decoding.decode(posterior, tree, rule)
        found[f"decode points of each row {rule}"] = decoding.decode_points(posterior[:2, :6], *own_points, rule)
    at = found["decode geoscore"]
    found["expected"] = decoding.expected(posterior, *tree.centers(-1), at)
    found["confidence"] = decoding.confidence(posterior, tree, *at)
    found["radius km"] = decoding.radius_km(posterior, tree, *at)
    found["sets"] = calibrate.ConformalCells.fit(posterior, cells[:, -1], range(400)).sets(posterior, 0.8)
    found["entropy"] = abstain.entropy(posterior, tree)
    table = evaluate.compare(
        {"geoscore": at, "argmax": found["decode argmax"]}, lat, lon, np.arange(400) // 4, n_boot=20
    )
    found["compare"] = table[["median_km", "geoscore", "geoscore_low"]].to_numpy()
    return {name: to_numpy(values) for name, values in found.items()}


if __name__ == "__main__":
    sys.meta_path.insert(0, NoTorch())
    for module in MODULES:
        importlib.import_module(module)
    np.savez(sys.argv[1], **answers())
    assert "torch" not in sys.modules
