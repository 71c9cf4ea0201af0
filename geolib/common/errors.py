"""The one exception family of geolib: what was wrong, what was expected, how to mend it."""

from __future__ import annotations


class GeolibError(Exception):
    """Base of every error that geolib raises on purpose and that is not a plain ValueError."""


class ImageError(GeolibError, ValueError):
    """A file or array is not a picture that geolib accepts (see `geolib.images`)."""


class MissingDataError(GeolibError, FileNotFoundError):
    """Data that should ship with the clone, or should have been fetched, is not there."""


class MismatchError(GeolibError, ValueError):
    """Two artefacts do not belong together: a store, a tree, heads or an encoder of another run."""


class CorruptFileError(GeolibError, ValueError):
    """A file's content is not what its format or its recorded hash says."""
