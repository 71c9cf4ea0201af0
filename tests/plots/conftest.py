"""A small world, and each figure of it drawn once."""

import urllib.request

import matplotlib
import numpy as np
import pytest
from cartopy.io import Downloader

from geolib.cells import GeocellTree
from geolib.plots import ground, maps
from geolib.sphere import haversine_km

TOWNS = [(48.9, 2.4), (40.7, -74.0), (35.7, 139.7), (-36.8, 174.8), (-17.7, -179.9), (64.1, -21.9), (-77.8, 166.7)]
PHOTO = np.zeros((30, 40, 3), np.uint8)


@pytest.fixture(scope="session")
def photos():
    """Photos around towns, some of them beside the dateline and a pole."""
    rng = np.random.default_rng(0)
    towns = np.repeat(TOWNS, 400, axis=0)
    lat = np.clip(towns[:, 0] + rng.normal(0, 2, len(towns)), -90, 90)
    lon = (towns[:, 1] + rng.normal(0, 3, len(towns)) + 180) % 360 - 180
    return lat, lon


@pytest.fixture(scope="session")
def tree(photos):
    return GeocellTree.fit(*photos, cells_per_level=(12, 150), min_photos=5)


@pytest.fixture(scope="session")
def posterior(tree):
    """Most of it near Auckland."""
    weights = np.exp(-haversine_km(*tree.centers(-1), -36.8, 174.8) / 200)
    return weights / weights.sum()


@pytest.fixture(scope="session")
def figures(tree, photos, posterior):
    """Name of a figure -> (fig, ax). Drawn without network; fails when drawing changes matplotlib's settings."""

    def refuse(*_, **__):
        raise AssertionError("a map asked for a download")

    lat, lon = photos
    settings = dict(matplotlib.rcParams)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(urllib.request, "urlopen", refuse)
        patch.setattr(Downloader, "path", refuse)
        for cached in (ground.ground_shapes, ground.world_paths):
            cached.cache_clear()
        made = {
            "photos": maps.plot_photos(lat, lon),
            "few photos": maps.plot_photos(lat[:1999], lon[:1999]),
            "coarse cells": maps.plot_cells(tree, 0),
            "cells": maps.plot_cells(tree),
            "nesting": maps.plot_nesting(tree, (48, 6, 1100)),
            "prediction": maps.plot_prediction(posterior, tree, truth=(-17.7, -179.9), image=PHOTO),
            "no truth": maps.plot_prediction(posterior, tree),
            "close-up": maps.plot_prediction(posterior, tree, truth=(-41.3, 174.8), zoom=True),
            "errors": maps.plot_error_map(lat[::-1], lon[::-1], lat, lon),
        }
    assert dict(matplotlib.rcParams) == settings
    return made
