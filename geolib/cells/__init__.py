"""Geocells: the adaptive quadtree of the lesson, and its rivals."""

from geolib.cells.nested import Partition
from geolib.cells.quadtree import GeocellTree

__all__ = ["GeocellTree", "Partition"]
