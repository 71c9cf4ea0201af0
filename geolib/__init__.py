"""geolib: a photo geolocator in the open. See README.md and notebooks/00_tour.ipynb."""
