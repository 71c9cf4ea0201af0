"""Photographs with known places: postcards, Commons, OSV-5M, any table with a folder, or your own folder."""

from geolib.datasets.dataset import Dataset
from geolib.datasets.openers import open_dataset
from geolib.datasets.splits import describe_split, safe_split

__all__ = ["Dataset", "describe_split", "open_dataset", "safe_split"]
