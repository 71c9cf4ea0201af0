"""Postcards that ship as files, for tests that need a picture of the clone."""

from geolib.common.files import data_path

SAMPLE = data_path("postcards", "samples", "postcard-00253.jpg")  # London: a landmark, a flag, a town's name
