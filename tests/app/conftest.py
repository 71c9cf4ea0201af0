"""The prediction demo on the `model` and `dataset` of a module."""

import pytest

from geolib import plots
from geolib.app.widget import PredictionDemo


@pytest.fixture
def demo(model, dataset, monkeypatch):
    """A demo whose maps have few pixels: they are drawn after each change."""
    png = plots.png
    monkeypatch.setattr(plots, "png", lambda fig, dpi: png(fig, dpi // 4))
    return PredictionDemo(model, dataset, list(dataset.photos.index))
