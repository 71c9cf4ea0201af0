"""`minimal.py`, the file that students read first, against geolib: the same cells, fusion, decoding and median."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geolib import Encoder, GeocellTree, decode, fuse, geoscore, haversine_km, open_dataset, split_photos, train_heads
from geolib.heads import TrainOptions, cell_targets, predict_logits
from geolib.sphere import unit_vectors

SOURCE = Path(__file__).resolve().parents[2] / "minimal.py"
CELLS_PER_LEVEL = (14, 58, 242, 1000)  # those of `main`


def load_minimal():
    """The module from its file, wherever pytest was started."""
    spec = importlib.util.spec_from_file_location("minimal", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


minimal = load_minimal()


@pytest.fixture(scope="module")
def postcards():
    """Training and test side as geolib reads them: vectors, lat, lon, ids."""
    return split_photos(open_dataset("postcards"), Encoder.load("postcards"))


@pytest.fixture(scope="module")
def tree(postcards):
    return GeocellTree.fit(postcards["train"].lat, postcards["train"].lon, CELLS_PER_LEVEL)


@pytest.fixture(scope="module")
def cells(postcards):
    return minimal.fit_cells(postcards["train"].lat, postcards["train"].lon, CELLS_PER_LEVEL)


@pytest.fixture(scope="module")
def logits(cells):
    """What minimal's heads say about the test postcards, after training as `main` does it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    heads = minimal.train_heads(*minimal.load_postcards("train"), *cells, seed=0)
    torch.set_num_threads(threads)
    with torch.no_grad():
        return list(heads(torch.from_numpy(minimal.load_postcards("test")[0])))


# Data


@pytest.mark.parametrize("side", ["train", "test"])
def test_the_postcards_are_those_of_geolib(postcards, side):
    vectors, lat, lon = minimal.load_postcards(side)
    np.testing.assert_allclose(vectors, postcards[side].vectors, atol=1e-6)
    assert lat.tolist() == postcards[side].lat.tolist()
    assert lon.tolist() == postcards[side].lon.tolist()


# Sphere


def test_haversine_is_that_of_geolib():
    lat1, lat2 = np.meshgrid([-90, -45.5, 0, 1e-7, 89.9, 90], [-90, -12.25, 0, 60, 90])
    lon1, lon2 = np.meshgrid([-180, -0.1, 0, 90, 179.9, 180], [-180, -73.9, 0, 180, 139.7])
    km = minimal.haversine_km(lat1, lon1, lat2, lon2)
    np.testing.assert_allclose(km, haversine_km(lat1, lon1, lat2, lon2), atol=1e-3)  # arcsine: 10 cm off at antipodes


# Cells


def random_points(seed, n):
    """Points anywhere, in towns, in one street, where quadrants meet, at the poles and the dateline, and some twice."""
    rng = np.random.default_rng(seed)
    anywhere = np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)
    towns = rng.uniform(-80, 80, 5)[rng.integers(5, size=n)], rng.uniform(-180, 180, 5)[rng.integers(5, size=n)]
    in_towns = towns[0] + rng.normal(0, 0.5, n), (towns[1] + rng.normal(0, 0.5, n) + 180) % 360 - 180
    on_lines = rng.choice([-90, -45, 0, 11.25, 90], n), rng.choice([-180, -90, 0, 22.5, 179.99, 180], n)
    street = 48.2 + rng.normal(0, 3e-5, n), 16.4 + rng.normal(0, 3e-5, n)  # some 3 m: down to the smallest quadrants
    kind = rng.integers(4, size=n)
    lat, lon = (np.choose(kind, parts) for parts in zip(anywhere, in_towns, on_lines, street, strict=True))
    again = rng.integers(n, size=n // 5)
    return np.append(lat, lat[again]), np.append(lon, lon[again])


def assert_same_cells(cells, tree, lat, lon):
    """The same partition of training photos and of other points, and the same centres, up to the cells' numbers."""
    starts, centers = cells
    assert tuple(len(level) for level in starts) == tree.n_cells
    others = random_points(seed=1, n=500)
    points = np.append(lat, others[0]), np.append(lon, others[1])
    keys = minimal.quadrant_keys(*points)
    for level, theirs in enumerate(tree.assign(*points).T):
        pairs, times = np.unique([minimal.find_cells(starts[level], keys), theirs], axis=1, return_counts=True)
        assert times.sum() == len(keys)
        assert pairs.shape == (2, tree.n_cells[level])  # every cell of one is exactly one cell of the other
        # Where the photos nearly cancel out, as antipodes do, no centre is better than another.
        units, own = unit_vectors(lat, lon), theirs[: len(lat)]
        sums = np.stack([np.bincount(own, axis, tree.n_cells[level]) for axis in units.T])
        clear = (np.linalg.norm(sums, axis=0) > 0.1 * np.bincount(own, minlength=tree.n_cells[level]))[pairs[1]]
        km = haversine_km(*centers[level][:, pairs[0]], *np.stack(tree.centers(level))[:, pairs[1]])
        assert km[clear].max(initial=0) < 0.02  # geolib sums over squares of 2.4 m


def test_cells_of_the_postcards_are_those_of_geolib(postcards, cells, tree):
    assert_same_cells(cells, tree, postcards["train"].lat, postcards["train"].lon)


@pytest.mark.filterwarnings("ignore:.*fill at most:UserWarning")
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 600),
    cells_per_level=st.lists(st.integers(1, 150), min_size=1, max_size=4, unique=True).map(sorted),
    min_photos=st.integers(1, 12),
)
def test_cells_of_random_points_are_those_of_geolib(seed, n, cells_per_level, min_photos):
    lat, lon = random_points(seed, n)
    ours = minimal.fit_cells(lat, lon, cells_per_level, min_photos)
    assert_same_cells(ours, GeocellTree.fit(lat, lon, cells_per_level, min_photos), lat, lon)


# Heads, fusion, decoding


def test_smoothed_targets_are_those_of_geolib(postcards, cells, tree):
    _, lat, lon, _ = postcards["test"]
    starts, centers = cells
    for level in range(tree.n_levels):
        own = minimal.find_cells(starts[level], minimal.quadrant_keys(lat, lon))
        ours = minimal.smooth_targets(lat, lon, own, centers[level])
        assert (ours - cell_targets(lat, lon, tree, level)).abs().max() < 0.01  # one in float64, one in float32


@pytest.mark.slow
def test_fusion_and_decoding_are_those_of_geolib(cells, tree, logits):
    starts, centers = cells
    ours = minimal.fuse(logits, starts)
    theirs = torch.from_numpy(fuse(logits, tree, "consistency", top_k=5, penalty=0.3))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert haversine_km(*minimal.decode(theirs, centers), *decode(theirs, tree, "argmax")).max() < 0.02


@pytest.mark.slow
def test_median_is_that_of_geolib(postcards, cells, tree, logits):
    """The same pipeline, but for geolib's warm-up, fused optimiser, and schedule per step: within 5 %."""
    starts, centers = cells
    train, test = postcards["train"], postcards["test"]
    options = TrainOptions(epochs=8, batch_size=256, lr=2e-3, weight_decay=0.0, dropout=0.0)
    heads, _ = train_heads(train.vectors, train.lat, train.lon, tree, options=options, seed=0)
    posterior = fuse(predict_logits(heads, test.vectors), tree, "consistency", top_k=5, penalty=0.3)
    theirs = haversine_km(*decode(posterior, tree, "argmax"), test.lat, test.lon)
    ours = minimal.score(*minimal.decode(minimal.fuse(logits, starts), centers), test.lat, test.lon)
    assert ours[0] == pytest.approx(np.median(theirs), rel=0.05)
    assert ours[1:4] == pytest.approx([(theirs <= limit).mean() for limit in (25, 200, 750)], abs=0.02)
    assert ours[4] == pytest.approx(geoscore(theirs).mean(), rel=0.05)


# The file


@pytest.mark.slow
def test_it_prints_the_median_as_a_user_runs_it(postcards, cells, logits, tmp_path):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error", SOURCE]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    photos, km = re.search(r"Median error on ([\d,]+) test postcards: ([\d,]+) km", run.stdout).groups()
    test = postcards["test"]
    assert int(photos.replace(",", "")) == len(test.vectors)
    median = minimal.score(*minimal.decode(minimal.fuse(logits, cells[0]), cells[1]), test.lat, test.lon)[0]
    assert int(km.replace(",", "")) == pytest.approx(median, rel=0.01)
    assert "drawings" in run.stdout
    rows = {name: int(km.replace(",", "")) for name, km in re.findall(r"^(\w+) +([\d,]+) km", run.stdout, re.M)}
    assert rows["geocells"] < rows["neighbour"] < rows["prior"]


def test_importing_it_runs_nothing(capfd):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    load_minimal()
    assert capfd.readouterr() == ("", "")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_short_and_imports_nothing_of_geolib():
    text = SOURCE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + node.module.partition(".")[0])
    assert imported == {"itertools", "json", "numpy", "pandas", "pathlib", "safetensors", "torch"}
