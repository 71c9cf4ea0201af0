"""Geocells: the adaptive quadtree of the lesson, and its rivals."""

from geolib.cells.quadtree import GeocellTree, Partition

__all__ = ["GeocellTree", "Partition"]
