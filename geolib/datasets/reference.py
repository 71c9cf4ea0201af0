"""Compare with what others published: tables of benchmark photos, and the geocells of OSV-5M.

`open_dataset("im2gps3k:/path/im2gps3k_places365.csv")` reads a published table as it is; `LAYOUTS` says where to get it
and what its columns are. These downloads were never tried: the addresses are those that public repositories name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from geolib.common.download import Client, DownloadError
from geolib.common.files import cache_path, data_path, sha256_file
from geolib.sphere import check_lat_lon, haversine_km

_IM2GPS_TABLE = "https://raw.githubusercontent.com/TIBHannover/GeoEstimation/original_tf/meta/im2gps3k_places365.csv"
_RELEASES = "https://github.com/TIBHannover/GeoEstimation/releases/download"
_WITHDRAWN = "; the repository's authors withdrew its code and weights, perhaps also its tables"
_OWNERS = {"photographer": ("AUTHOR", "OwnerNSID"), "author": ("AUTHOR", "OwnerNSID")}
_FLICKR = {"source": "Flickr", "licence": "as the photographer chose on Flickr"}


@dataclass(frozen=True)
class Layout:
    """How to read a published table, besides `id`, `lat` and `lon`, which are found by their usual names."""

    title: str  # of the dataset, with its paper
    file: str  # published name of the table
    checked: str  # what these columns were checked against
    get: str  # where the table and its pictures come from
    side: str = "test"  # the side of the split that all photos are on; "" if no split was published
    # Published columns for `photographer`, `author`, ... (the first that is there is used), and text for all photos:
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=_OWNERS.copy)
    fixed: Mapping[str, str] = field(default_factory=_FLICKR.copy)
    path: Callable[[str], str] = str  # file of a picture below the folder, from its id


_MEDIAFIRE = (
    "; the pictures, in a browser (a page, not a file{size}): https://www.mediafire.com/file/{page}/{zip}, as "
    "https://github.com/lugiavn/revisiting-im2gps links them; then unzip {zip} beside the table, or name the folder "
    "({name}:TABLE?folder=FOLDER)"
)
LAYOUTS: dict[str, Layout] = {
    "im2gps3k": Layout(
        title="Im2GPS3k: 3,000 photos of Flickr (Vo et al., ICCV 2017)",
        file="im2gps3k_places365.csv",
        checked="the table in TIBHannover/GeoEstimation at commit 5e091c0c: IMG_ID (the picture's file name), AUTHOR "
        "(of Flickr), LAT, LON, scene labels. At commit 3487c535 LAT and LON are exchanged; geolib refuses that one",
        get=f"curl -L -O {_IM2GPS_TABLE}"
        + _MEDIAFIRE.format(size="; 477 MB", page="7ht7sn78q27o9we", zip="im2gps3ktest.zip", name="im2gps3k")
        + _WITHDRAWN,
    ),
    "yfcc4k": Layout(
        title="YFCC4k: 4,536 photos of YFCC100M (Vo et al., ICCV 2017)",
        file="yfcc4k_places365.csv",
        checked="not verified: public code reads IMG_ID, LAT, LON (in one copy OwnerNSID), we have not seen the table",
        get="the table is among the files of https://huggingface.co/Jia-py/G3-checkpoint"
        + _MEDIAFIRE.format(size="", page="3og8y3o6c9de3ye", zip="yfcc4k.zip", name="yfcc4k"),
    ),
    "yfcc26k": Layout(
        title="YFCC26k: 25,600 photos of YFCC100M, the validation set of MP-16 (Theiner et al., WACV 2022)",
        file="yfcc25600_places365.csv",
        checked="not verified: public code reads IMG_ID, LAT, LON, we have not seen the table",
        get=f"curl -L -O {_RELEASES}/pytorch/yfcc25600_places365.csv; addresses of the pictures: "
        f"{_RELEASES}/pytorch/yfcc25600_urls.csv; some are gone from Flickr since" + _WITHDRAWN,
    ),
    "mp16": Layout(
        title="MP-16: 4.7 million photos of YFCC100M, the MediaEval Placing Task 2016 (Larson et al., 2017)",
        file="mp16_places365.csv",
        checked="not verified: public code reads IMG_ID (34/8d/9055806529.jpg), LAT, LON, we have not seen the table",
        get=f"curl -L -O {_RELEASES}/v1.0/mp16_places365.csv; addresses of the pictures: "
        f"{_RELEASES}/v1.0/mp16_urls.csv; some are gone from Flickr since" + _WITHDRAWN,
        side="",
    ),
    "gldv2": Layout(
        title="Google Landmarks v2: 4.1 million photos of Wikimedia Commons (Weyand et al., CVPR 2020)",
        file="train_attribution.csv",
        checked="the README of cvdfoundation/google-landmark: id, url, author, license, title. It publishes no "
        "coordinates: add columns lat and lon (of the file's page on Commons, by title) before you open the table",
        get="curl -O https://s3.amazonaws.com/google-landmark/metadata/train_attribution.csv; the pictures: "
        "https://s3.amazonaws.com/google-landmark/train/images_000.tar to images_499.tar, about 1 GB each",
        side="",
        texts={"photographer": ("author",), "author": ("author",), "licence": ("license",), "source": ("url",)},
        fixed={},
        path=lambda photo: f"{'/'.join(photo[:3])}/{photo}.jpg",
    ),
}


def apply_layout(layout: Layout, photos: pd.DataFrame, where: object) -> pd.DataFrame:
    """Add the columns that a layout knows (`photographer`, `split`, `path`, ...) to a table that is indexed by `id`.

    Columns that are there stay. Raises `ValueError` if latitudes and longitudes are exchanged.
    """
    lat, lon = (pd.to_numeric(photos[name], errors="coerce").abs().max() for name in ("lat", "lon"))
    if 90 < lat <= 180 and lon <= 90:
        raise ValueError(
            f"{where} has its coordinates exchanged: latitudes to {lat:g}, longitudes to {lon:g} degrees; an early "
            "version of the published table does. Get the present one, or give columns={'lat': 'LON', 'lon': 'LAT'}"
        )
    new: dict[str, Any] = {**layout.fixed, "path": [layout.path(str(photo)) for photo in photos.index]}
    for ours, published in layout.texts.items():
        if found := [photos[name] for name in published if name in photos]:
            new[ours] = found[0]
    if layout.side:
        new["split"] = layout.side
    return photos.assign(**{name: value for name, value in new.items() if name not in photos})


_QUADTREE_COMMIT = "4e6075387ecde4255410785ffb83830c9aa099f6"
QUADTREE_URL = f"https://raw.githubusercontent.com/gastruc/osv5m/{_QUADTREE_COMMIT}/utils/quadtree_10_1000.csv"
QUADTREE_SHA256 = "c08a6f4f903bdfaf94c0c73bf7ae3a00d028a939a659089789703da4d877f796"
QUADTREE_BYTES = 1_328_891


def fetch_quadtree(
    folder: str | os.PathLike[str] | None = None, progress: Callable[[str], object] = lambda line: None
) -> tuple[Path, pd.Series[Any]]:
    """Fetch the quadtree of OSV-5M (Astruc et al., CVPR 2024, section 4) unless it is here, and check its cells.

    The file (1.3 MB, MIT) has one row per leaf cell, with edges and mean training photo in degrees. Returns its path
    and `check_quadtree` of the gallery's photos. Tested against a local server only.

    Parameters
    ----------
    folder : default: `osv5m-quadtree` in geolib's cache.
    progress : called with a line of text before a download.

    Raises
    ------
    DownloadError : the server does not give the file, or gives another one.
    """
    target = Path(folder or cache_path("osv5m-quadtree")) / "quadtree_10_1000.csv"

    def check(path: Path) -> None:
        if (found := sha256_file(path)) != QUADTREE_SHA256:
            raise DownloadError(f"{QUADTREE_URL} is another file: sha256 {found}, not {QUADTREE_SHA256}", "wrong hash")

    if not target.is_file() or sha256_file(target) != QUADTREE_SHA256:
        progress(f"fetching {QUADTREE_URL} ({QUADTREE_BYTES:,} bytes)")
        Client(QUADTREE_URL).file(QUADTREE_URL, target, check, max_bytes=QUADTREE_BYTES)
    photos = pd.read_parquet(data_path("gallery", "gallery.parquet"))
    return target, check_quadtree(pd.read_csv(target), photos["lat"], photos["lon"])


def check_quadtree(cells: pd.DataFrame, lat: npt.ArrayLike, lon: npt.ArrayLike) -> pd.Series[Any]:
    """Check whether every point on Earth is in exactly one cell, as `GeocellTree` promises of its own.

    A cell holds its southern and western edges; the last cells also hold the northern and eastern edge of all.

    Parameters
    ----------
    cells : columns `min_lat`, `min_lon`, `max_lat`, `max_lon`, `mean_lat`, `mean_lon`, degrees
    lat, lon : (n,) degrees, of photos

    Returns
    -------
    Numbers of `cells` and `photos`, shares of the sphere in no cell (`gap`) and in several (`overlap`), numbers of
    `photos_in_none` and `photos_in_several`, and `floor_km`, the median distance from a photo to the mean of its cell:
    the error of a perfect classifier.

    Examples
    --------
    >>> edges = ["min_lat", "min_lon", "max_lat", "max_lon", "mean_lat", "mean_lon"]
    >>> check_quadtree(pd.DataFrame([[0, -180, 90, 180, 45, 0]], columns=edges), [10, -10], [0, 0])["gap"]
    0.5
    """
    lat, lon = check_lat_lon(lat, lon)
    south, west, north, east = cells[["min_lat", "min_lon", "max_lat", "max_lon"]].to_numpy(np.float64).T
    bottom, top = np.sin(np.radians(south)), np.sin(np.radians(north))  # an equal-area map, 360 wide and 2 high
    boxes = shapely.box(west, bottom, east, top)
    covered = shapely.union_all(boxes).area
    tree = shapely.STRtree(shapely.box(west, south, east, north))
    point, cell = tree.query(shapely.points(lon, lat), predicate="intersects")
    below = (lat[point] < north[cell]) | (north[cell] == north.max())
    beside = (lon[point] < east[cell]) | (east[cell] == east.max())
    point, cell = point[below & beside], cell[below & beside]
    cells_per_photo = np.bincount(point, minlength=len(lat))
    means = cells[["mean_lat", "mean_lon"]].to_numpy(np.float64)[cell].T
    report = {
        "cells": len(cells),
        "gap": abs(round(1 - covered / 720, 10)),  # rounded to 0.05 km2: sums of floats leave less than that
        "overlap": abs(round((shapely.area(boxes).sum() - covered) / 720, 10)),
        "photos": len(lat),
        "photos_in_none": int((cells_per_photo == 0).sum()),
        "photos_in_several": int((cells_per_photo > 1).sum()),
        "floor_km": float(np.median(haversine_km(lat[point], lon[point], *means))) if len(point) else float("nan"),
    }
    return pd.Series(report, dtype=object)
