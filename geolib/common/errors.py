"""The errors that geolib raises. Each message says what was wrong, what was expected, and what to do."""

from __future__ import annotations


class GeolibError(Exception):
    """Base class of the errors below. Wrong arguments raise Python's own `ValueError`.

    >>> issubclass(ImageError, ValueError), issubclass(MissingDataError, FileNotFoundError)
    (True, True)
    """


class ImageError(GeolibError, ValueError):
    """A file or an array is not an image that geolib can read (`geolib.images`)."""


class MissingDataError(GeolibError, FileNotFoundError):
    """A file is missing that belongs to the clone or has to be downloaded first."""


class MismatchError(GeolibError, ValueError):
    """Two files do not belong together, for example vectors of one encoder and heads trained on another."""


class CorruptFileError(GeolibError, ValueError):
    """A file's content does not fit its format or its recorded SHA-256."""
