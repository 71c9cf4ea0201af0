"""Groups of photos on which a geolocator may be better or worse than on average."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from geolib import sphere
from geolib.cells.nested import Partition
from geolib.countries import continent_of, country_of


def photo_groups(true_lat: ArrayLike, true_lon: ArrayLike, tree: Partition) -> pd.DataFrame:
    """Groups for `geolib.evaluate.summary`, one row per photo at a true place in degrees, (n,).

    Columns `continent` of the true place, "at sea" where it is on none, and `density`: training photos per km2 of its
    finest cell, in tenths of the training photos, "01 of 10" the sparsest.

    >>> from geolib.cells import GeocellTree
    >>> photo_groups([48.86], [2.35], GeocellTree.fit([50, -30], [0, 120], (2,), min_photos=1)).iloc[0].tolist()
    ['Europe', '08 of 10']
    """
    lat, lon = sphere.check_lat_lon(true_lat, true_lon)
    counts = tree.counts(-1)
    order = np.argsort(counts / tree.areas_km2(-1), kind="stable")
    middle = np.cumsum(counts[order]) - counts[order] / 2  # rank of the cell's middle photo: never beyond the last
    tenth = np.empty(len(counts), dtype=np.int64)
    tenth[order] = np.floor(10 * middle / counts.sum()) + 1
    return pd.DataFrame(
        {
            "continent": [continent_of(code) or "at sea" for code in country_of(lat, lon)],
            "density": [f"{number:02} of 10" for number in tenth[tree.assign(lat, lon)[:, -1]]],
        }
    )
