"""What others published, to compare with: tables of benchmark photos, and OSV-5M's geocells.

*Tables.* `open_dataset("im2gps3k:/path/im2gps3k_places365.csv")` reads a published table as it is. Each entry of
`LAYOUTS` says which column is what, what its knowledge was checked against, and where table and pictures come from.
No download of these was tried: the addresses are those that public repositories name.

*Geocells.* `fetch_quadtree` and `read_quadtree` give the 11,399 leaves of OSV-5M's quadtree (Astruc et al., CVPR 2024,
section 4), and `check_quadtree` says what they leave out, which `geolib.cells.GeocellTree` may not.
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
import pooch
import shapely

from geolib.cells.quadtree import IntArray
from geolib.common.download import Client, DownloadError
from geolib.common.errors import CorruptFileError, MissingDataError
from geolib.common.files import cache_path
from geolib.common.texts import one_line
from geolib.sphere import FloatArray, check_lat_lon, haversine_km, rectangle_area_km2

_GEOESTIMATION = "https://github.com/TIBHannover/GeoEstimation"
_MP16_TABLE = f"{_GEOESTIMATION}/releases/download/v1.0/mp16_places365.csv"
_IM2GPS_TABLE = "https://raw.githubusercontent.com/TIBHannover/GeoEstimation/original_tf/meta/im2gps3k_places365.csv"
_WITHDRAWN = "; the repository's authors withdrew its code and weights, and its tables may be gone with them"


@dataclass(frozen=True)
class Layout:
    """How a published table is read, beyond `id`, `lat` and `lon`, which are found by their usual names.

    title: of the dataset, with its paper.  file: the table's published name.
    texts: the published columns that may serve as `photographer`, `author`, `licence`: the first that is there does.
    fixed: text that holds for every photo.
    side: the side of the split that all photos are on (a benchmark is for testing), or "" for no published split.
    checked: what the columns were checked against.  get: where the table and its pictures come from.
    path: the picture's file below the folder, of its id.
    """

    title: str
    file: str
    get: str
    checked: str
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    side: str = ""
    path: Callable[[str], str] = str


_FLICKR = {"source": "Flickr", "licence": "as the photographer chose on Flickr"}
_OWNERS = {"photographer": ("AUTHOR", "OwnerNSID"), "author": ("AUTHOR", "OwnerNSID")}
LAYOUTS: dict[str, Layout] = {
    "im2gps3k": Layout(
        title="Im2GPS3k: 3,000 photos of Flickr (Vo et al., ICCV 2017)",
        file="im2gps3k_places365.csv",
        texts=_OWNERS,
        fixed=_FLICKR,
        side="test",
        checked="the table in TIBHannover/GeoEstimation at commit 5e091c0c: IMG_ID (the picture's file name), AUTHOR "
        "(of Flickr), LAT, LON, scene labels. At commit 3487c535 the names LAT and LON are exchanged: refused in words",
        get=f"curl -L -O {_IM2GPS_TABLE}; the pictures, in a browser (a page, no plain file; 477 MB): "
        "https://www.mediafire.com/file/7ht7sn78q27o9we/im2gps3ktest.zip, as "
        "https://github.com/lugiavn/revisiting-im2gps links them; "
        "then unzip im2gps3ktest.zip beside the table, or name the folder (im2gps3k:TABLE?folder=FOLDER)" + _WITHDRAWN,
    ),
    "yfcc4k": Layout(
        title="YFCC4k: 4,536 photos of YFCC100M (Vo et al., ICCV 2017)",
        file="yfcc4k_places365.csv",
        texts=_OWNERS,
        fixed=_FLICKR,
        side="test",
        checked="not verified: public code reads IMG_ID, LAT, LON (and OwnerNSID in one copy), the table was not seen",
        get="the table is among the files of https://huggingface.co/Jia-py/G3-checkpoint; the pictures, in a browser "
        "(a page, no plain file): https://www.mediafire.com/file/3og8y3o6c9de3ye/yfcc4k.zip, as "
        "https://github.com/lugiavn/revisiting-im2gps links them; then unzip yfcc4k.zip beside the table, or name the "
        "folder (yfcc4k:TABLE?folder=FOLDER)",
    ),
    "yfcc26k": Layout(
        title="YFCC26k: 25,600 photos of YFCC100M, the validation set of MP-16 (Theiner et al., WACV 2022)",
        file="yfcc25600_places365.csv",
        texts=_OWNERS,
        fixed=_FLICKR,
        side="test",
        checked="not verified: public code reads IMG_ID, LAT, LON, the table was not seen",
        get=f"curl -L -O {_GEOESTIMATION}/releases/download/pytorch/yfcc25600_places365.csv; addresses of the "
        f"pictures: {_GEOESTIMATION}/releases/download/pytorch/yfcc25600_urls.csv; some are gone from Flickr since"
        + _WITHDRAWN,
    ),
    "mp16": Layout(
        title="MP-16: 4.7 million photos of YFCC100M, the MediaEval Placing Task 2016 (Larson et al., 2017)",
        file="mp16_places365.csv",
        texts=_OWNERS,
        fixed=_FLICKR,
        checked="not verified: public code reads IMG_ID (such as 34/8d/9055806529.jpg), LAT, LON, the table was not "
        "seen",
        get=f"curl -L -O {_MP16_TABLE}; addresses of the pictures: "
        f"{_GEOESTIMATION}/releases/download/v1.0/mp16_urls.csv; some are gone from Flickr since" + _WITHDRAWN,
    ),
    "gldv2": Layout(
        title="Google Landmarks v2: 4.1 million photos of Wikimedia Commons (Weyand et al., CVPR 2020)",
        file="train_attribution.csv",
        texts={"photographer": ("author",), "author": ("author",), "licence": ("license",), "source": ("url",)},
        checked="the README of cvdfoundation/google-landmark: id, url, author, license, title. It publishes no "
        "coordinates: join columns lat and lon (of the file's page on Commons, by title) before opening the table",
        get="curl -O https://s3.amazonaws.com/google-landmark/metadata/train_attribution.csv; the pictures: "
        "https://s3.amazonaws.com/google-landmark/train/images_000.tar to images_499.tar, about 1 GB each",
        path=lambda photo: f"{'/'.join(photo[:3])}/{photo}.jpg",
    ),
}


def layout_of(name: str) -> Layout:
    """The layout of that name. Raises `ValueError` that lists the names."""
    if name not in LAYOUTS:
        raise ValueError(f"layout {name!r} is not known; available: {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def applied(layout: Layout, photos: pd.DataFrame, where: str) -> pd.DataFrame:
    """A table, read and indexed by `id`, with the columns that the layout knows: `photographer`, `split`, `path`, ...

    What the table has under these names stays. Raises `ValueError` for one whose latitudes are longitudes.
    """
    lat, lon = (pd.to_numeric(photos[name], errors="coerce").abs().max() for name in ("lat", "lon"))
    if 90 < lat <= 180 and lon <= 90:
        raise ValueError(
            f"{where} has its coordinates exchanged: latitudes to {lat:g}, longitudes to {lon:g} degrees; an early "
            "version of the published table does. Get the present one, or give columns={'lat': 'LON', 'lon': 'LAT'}"
        )
    new: dict[str, Any] = dict(layout.fixed)
    for ours, published in layout.texts.items():
        found = next((name for name in published if name in photos), None)
        if found is not None:
            new[ours] = photos[found]
    if layout.side:
        new["split"] = layout.side
    if "path" not in photos:
        new["path"] = [layout.path(str(photo)) for photo in photos.index]
    return photos.assign(**{name: value for name, value in new.items() if name not in photos})


_QUADTREE_COMMIT = "4e6075387ecde4255410785ffb83830c9aa099f6"
QUADTREE_URL = f"https://raw.githubusercontent.com/gastruc/osv5m/{_QUADTREE_COMMIT}/utils/quadtree_10_1000.csv"
QUADTREE_SHA256 = "c08a6f4f903bdfaf94c0c73bf7ae3a00d028a939a659089789703da4d877f796"
QUADTREE_BYTES = 1_328_891
_BOUNDS = ("min_lat", "min_lon", "max_lat", "max_lon", "mean_lat", "mean_lon")
_COLUMNS = ("cluster_id", *_BOUNDS)
_SPHERE_KM2 = float(rectangle_area_km2(-90, -180, 90, 180))
_MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class RectangleCells:
    """Cells as the rectangles of a file, in its order: they need not cover the Earth, nor be apart.

    south, west, north, east: degrees, each (n,).
    mean_lat, mean_lon: where the authors' training photos lie on average, degrees (n,).
    """

    south: FloatArray
    west: FloatArray
    north: FloatArray
    east: FloatArray
    mean_lat: FloatArray
    mean_lon: FloatArray

    def __len__(self) -> int:
        return len(self.south)

    def members(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[IntArray, IntArray]:
        """All pairs (point, cell) of points (degrees, (n,)) in cells, each (pairs,), by point.

        A cell holds its southern and western edges, as in the authors' construction; the last cells also the northern
        and eastern edge of them all.
        """
        lat, lon = check_lat_lon(lat, lon)
        boxes = shapely.box(self.west, self.south, self.east, self.north)
        point, cell = shapely.STRtree(boxes).query(shapely.points(lon, lat), predicate="intersects")
        y, x = lat[point], lon[point]
        below = (y < self.north[cell]) | (self.north[cell] == self.north.max())
        beside = (x < self.east[cell]) | (self.east[cell] == self.east.max())
        kept = below & beside
        order = np.lexsort((cell[kept], point[kept]))
        return point[kept][order].astype(np.int64), cell[kept][order].astype(np.int64)

    def assign(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> IntArray:
        """The cell of each point (degrees, (n,)), int64 (n,): the first that holds it, or -1 for a point in none."""
        point, cell = self.members(lat, lon)
        out = np.full(len(np.atleast_1d(np.asarray(lat))), -1, np.int64)
        first, at = np.unique(point, return_index=True)
        out[first] = cell[at]
        return out

    def areas_km2(self) -> FloatArray:
        """Area of each cell in km2, (n,)."""
        return rectangle_area_km2(self.south, self.west, self.north, self.east)

    def polygons(self) -> list[Any]:
        """Each cell as a shapely rectangle in degrees, x = lon and y = lat."""
        return list(shapely.box(self.west, self.south, self.east, self.north))


@dataclass(frozen=True)
class CellReport:
    """What rectangles leave out, against the promises of `GeocellTree`. Shares are of 1.

    cells: their number.  gap: share of the sphere in no cell.  outside: the part of it outside of the bounding box.
    overlap: share of the sphere that is in more than one, counted as often as it is too much.
    nested: whether every cell is a quadrant, of a quadrant, ... of the bounding box, so that coarser levels nest.
    depths: the fewest and the most halvings; (0, 0) where not nested.
    photos, photos_in_none, photos_in_several: numbers.
    floor_km: median distance from the photos that are in a cell to its mean: the error of a perfect classifier.
    """

    cells: int
    gap: float
    outside: float
    overlap: float
    nested: bool
    depths: tuple[int, int]
    photos: int
    photos_in_none: int
    photos_in_several: int
    floor_km: float

    def __str__(self) -> str:
        levels = f"quadrants, {self.depths[0]} to {self.depths[1]} halvings" if self.nested else "no quadtree"
        lines = [
            f"{self.cells:,} cells",
            f"the sphere: {self.gap:.2%} in no cell ({self.outside:.2%} outside of the bounding box, "
            f"{self.gap - self.outside:.2%} in holes), {self.overlap:.2%} in several",
            f"levels: {levels}",
        ]
        if self.photos:
            none = self.photos_in_none / self.photos
            lines.append(
                f"photos: {self.photos_in_none:,} of {self.photos:,} ({none:.2%}) in no cell, "
                f"{self.photos_in_several:,} in several; median {self.floor_km:,.0f} km from the mean of their cell"
            )
        broken = [
            name
            for name, value in (
                ("every point is in a cell", self.gap),
                ("no point is in two", self.overlap),
                ("levels nest", not self.nested),
            )
            if value
        ]
        lines.append("promises of GeocellTree broken: " + ("; ".join(broken) or "none"))
        return "\n".join(lines)


def fetch_quadtree(
    folder: str | os.PathLike[str] | None = None,
    *,
    url: str = QUADTREE_URL,
    sha256: str = QUADTREE_SHA256,
    max_bytes: int = QUADTREE_BYTES,
    progress: Callable[[str], object] | None = None,
) -> tuple[Path, CellReport]:
    """Fetch OSV-5M's quadtree (1.3 MB, MIT) unless it is here, and check its cells on the gallery's photos.

    pooch checks the sha256, and leaves nothing of a transfer that fails. Redirects are followed on the same host only.
    Tested against a local server only.

    Parameters
    ----------
    folder : default: `osv5m-quadtree` in geolib's cache.
    progress : called with a line of text before a download.

    Returns
    -------
    The file and the report.

    Raises
    ------
    CorruptFileError : the file is not the known one.
    MissingDataError : the server does not give it.
    """
    target = Path(folder or cache_path("osv5m-quadtree")) / "quadtree_10_1000.csv"
    client = Client(url)

    def download(url: str, path: str, _: object) -> None:
        if progress:
            progress(f"fetching {url} ({max_bytes:,} bytes)")
        Path(path).unlink()  # pooch's temporary file is private; a new one follows the user's umask
        client.download(url, path, max_bytes)

    pooch.get_logger().setLevel("WARNING")  # `progress` says it
    try:
        pooch.retrieve(url, f"sha256:{sha256}", target.name, target.parent, downloader=download)
    except (DownloadError, ValueError) as error:  # pooch raises ValueError for another sha256
        if isinstance(error, ValueError) or error.reason == "too large":
            raise CorruptFileError(f"{url} is not the known file ({one_line(error)})") from error
        raise MissingDataError(f"{url} could not be fetched: {error}") from error
    from geolib.datasets.openers import open_dataset

    photos = open_dataset("gallery").photos
    return target, check_quadtree(read_quadtree(target), photos["lat"], photos["lon"])


def read_quadtree(path: str | os.PathLike[str] | None = None) -> RectangleCells:
    """Read the cells of a file like OSV-5M's (columns cluster_id, min_lat, min_lon, max_lat, ...), in its order.

    path: the file; without one, that of `fetch_quadtree`. Raises `MissingDataError`, or `CorruptFileError` that names
    the first bad row.
    """
    path = Path(path or cache_path("osv5m-quadtree", "quadtree_10_1000.csv"))
    if not path.is_file():
        raise MissingDataError(f"{path} does not exist; `python -m geolib fetch osv5m-quadtree` fetches it (1.3 MB)")
    try:
        frame = pd.read_csv(path, nrows=_MOST_ROWS)
    except Exception as error:  # pandas raises a dozen kinds on hostile bytes
        raise CorruptFileError(f"{path} is not a readable csv ({error}); fetch it again") from error
    absent = [name for name in _COLUMNS if name not in frame]
    if absent or frame.empty:
        raise CorruptFileError(f"{path} has no {', '.join(absent) or 'rows'}; expected {', '.join(_COLUMNS)}")
    values = frame[list(_BOUNDS)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    south, west, north, east, mean_lat, mean_lon = values.T
    good = (south >= -90) & (south < north) & (north <= 90) & (west >= -180) & (west < east) & (east <= 180)
    good &= (np.abs(mean_lat) <= 90) & (np.abs(mean_lon) <= 180) & ~frame["cluster_id"].duplicated().to_numpy()
    if not good.all():
        raise CorruptFileError(
            f"{path} has {(~good).sum():,} rows that are no cell, such as row {np.argmin(good) + 1}: expected numbers "
            "with min below max, on the Earth, and a cluster_id of its own; fetch it again"
        )
    return RectangleCells(south, west, north, east, mean_lat, mean_lon)


def check_quadtree(cells: RectangleCells, lat: npt.ArrayLike = (), lon: npt.ArrayLike = ()) -> CellReport:
    """Hold rectangles against what `GeocellTree` promises, on the sphere and on photos at `lat`, `lon` (degrees, (n,)).

    The areas are those of an equal-area map, so the shares are exact.
    """
    flat = shapely.box(cells.west, np.sin(np.radians(cells.south)), cells.east, np.sin(np.radians(cells.north)))
    covered = float(shapely.union_all(flat).area) / 720  # the map is 360 by 2
    box = (cells.south.min(), cells.west.min(), cells.north.max(), cells.east.max())
    inside = float(rectangle_area_km2(*box)) / _SPHERE_KM2
    overlap = float(cells.areas_km2().sum()) / _SPHERE_KM2 - covered
    depths = _depths(cells, *box)
    lat, lon = np.asarray(lat, np.float64), np.asarray(lon, np.float64)
    floor, times = float("nan"), np.zeros(len(lat), np.int64)
    if len(lat):
        point, cell = cells.members(lat, lon)
        times = np.bincount(point, minlength=len(lat))
        km = haversine_km(lat[point], lon[point], cells.mean_lat[cell], cells.mean_lon[cell])
        floor = float(np.median(km)) if len(km) else floor
    return CellReport(
        cells=len(cells),
        gap=_share(1 - covered),
        outside=_share(1 - inside),
        overlap=_share(overlap),
        nested=depths is not None,
        depths=(0, 0) if depths is None else (int(depths.min()), int(depths.max())),
        photos=len(lat),
        photos_in_none=int((times == 0).sum()),
        photos_in_several=int((times > 1).sum()),
        floor_km=floor,
    )


def _share(value: float) -> float:
    """A share without the dust of rounding: a thousandth of a km2 of the Earth is none."""
    return value if value > 1e-11 else 0.0


def _depths(cells: RectangleCells, south: float, west: float, north: float, east: float) -> IntArray | None:
    """How often the bounding box was halved to get each cell, or None where some cell is no quadrant of it."""
    width, height = east - west, north - south
    depth = np.rint(np.log2(width / (cells.east - cells.west)))
    side = np.exp2(depth)
    edges = [(edge - west) / width for edge in (cells.west, cells.east)]
    edges += [(edge - south) / height for edge in (cells.south, cells.north)]
    steps = [edge * side for edge in edges]
    on_grid = all(np.all(np.abs(step - np.rint(step)) < 1e-6) for step in steps)
    one_wide = all(np.all(np.rint(high - low) == 1) for low, high in ((steps[0], steps[1]), (steps[2], steps[3])))
    return depth.astype(np.int64) if on_grid and one_wide else None
