"""A small world in which answers are refined."""

from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch

from geolib.cells import GeocellTree
from geolib.retrieve import NearestNeighbour


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Matrices this small are slower on two threads, and far slower when other tests want them too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def town_world():
    """A gallery, its tree, and queries with a posterior that is spread over a few cells."""
    vectors, lat, lon = tiny.world(600)
    queries, true_lat, true_lon = tiny.world(90, seed=1)
    tree = GeocellTree.fit(lat, lon, (4, 24))
    posterior = np.random.default_rng(3).dirichlet(np.full(tree.n_cells[-1], 0.2), 90).astype(np.float32)
    gallery = NearestNeighbour(vectors, lat, lon)
    cells = tree.assign(lat, lon)[:, -1]
    return SimpleNamespace(
        gallery=gallery, tree=tree, queries=queries, posterior=posterior, cells=cells, lat=true_lat, lon=true_lon
    )
