"""Photos in a folder, with their coordinates in EXIF."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import ExifTags

from geolib.common.errors import ImageError, MissingDataError
from geolib.common.files import atomic_path, cache_path
from geolib.common.texts import one_line
from geolib.datasets.tables import PICTURES, _stamp, _with_files, checked
from geolib.images import decoder_of


def folder(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Photographs below a folder that carry GPS coordinates in their EXIF; an id is the path below the folder.

    The photographer and author is the EXIF's artist, else the camera's owner; its copyright notice stands for the
    licence. Where these people are too few to be kept apart, the photos have no photographer, and a warning says so.
    Each file's EXIF is read once: what was found is kept in geolib's cache, until the file changes.

    Warns of HEIC files that cannot be read for want of pillow-heif. Raises `MissingDataError` when there is no such
    folder, `ValueError` when no picture in it has coordinates.
    """
    root = Path(path)
    labels = _labels(root, pictures(root))
    photos = labels[labels["refused"] == ""]
    refused = Counter(labels["refused"][labels["refused"] != ""])
    if photos.empty:
        reasons = "; ".join(f"{n:,} {why}" for why, n in refused.most_common())
        raise ValueError(f"none of the {len(labels)} pictures in {path} has GPS coordinates in its EXIF: {reasons}")
    if unread := refused[_UNREAD_HEIC]:
        warnings.warn(f"{path}: {unread:,} left out: {_UNREAD_HEIC}", stacklevel=2)
    photos = photos.drop(columns=["refused", "stamp"]).assign(photographer=photos["author"], source=photos.index)
    photos = _apart(checked(photos, str(path)), str(path))
    return _with_files(photos, root, list(photos.index)) | {"refused": dict(refused.most_common())}


def _named(n: int) -> str:
    return "1 photographer is named" if n == 1 else f"{n:,} photographers are named"


def _apart(photos: pd.DataFrame, where: str) -> pd.DataFrame:
    """The photos; without photographers, and with a warning, where these are too few to be kept apart."""
    from geolib.datasets.splits import can_be_kept_apart

    known = photos["photographer"][photos["photographer"] != ""]
    if known.empty or can_be_kept_apart(photos):
        return photos
    warnings.warn(
        f"{where}: {_named(known.nunique())}, too few, or too far travelled, to be kept apart. Its "
        "safe split keeps places of one degree apart and treats each photo as by another photographer: results are "
        "those for new places, not for new photographers, and their intervals are too narrow",
        stacklevel=3,
    )
    return photos.assign(photographer="")


_UNREAD_HEIC = "HEIC files (`pip install pillow-heif` to read them, or convert them to JPEG)"


def _labels(root: Path, files: list[Path]) -> pd.DataFrame:
    """lat, lon, author, licence of files by their path below `root`, or why one is `refused`; kept in the cache."""
    kept = cache_path("folders", f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]}.parquet")
    columns = ["stamp", "lat", "lon", "author", "licence", "refused"]
    try:
        known = pd.read_parquet(kept)[columns]
    except Exception:  # none yet, or none that can be read: read the files again
        known = pd.DataFrame(columns=columns)
    before = {row.Index: row[1:] for row in known.itertuples()}
    rows = {}
    for file in files:
        name, stamp = file.relative_to(root).as_posix(), _stamp(file)
        row = before.get(name)
        same = row is not None and row[0] == stamp and row[-1] != _UNREAD_HEIC
        rows[name] = row if same else (stamp, *read_label(file))
    labels = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("id")
    labels = labels.astype({"lat": "float64", "lon": "float64"})
    if rows != before:
        with atomic_path(kept) as temporary:
            labels.to_parquet(temporary)
    return labels


def pictures(path: str | os.PathLike[str]) -> list[Path]:
    """JPEG, PNG, WEBP, HEIC files below a folder, sorted. Raises `MissingDataError` for no folder or an empty one."""
    root = Path(path)
    if not root.is_dir():
        raise MissingDataError(f"{root} is not a folder; expected a folder of pictures")
    found = sorted(file for file in root.rglob("*") if file.suffix.lower() in PICTURES and file.is_file())
    if not found:
        raise MissingDataError(f"{root} holds no pictures ({', '.join(sorted(PICTURES))})")
    return found


def read_label(path: Path) -> tuple[float, float, str, str, str]:
    """(lat, lon, author, copyright notice, "") of a picture's EXIF: the label. Never used to predict.

    Where there is no usable place, the coordinates are NaN, and the last text says why.
    """
    try:
        decoder = decoder_of(_head(path))
    except ImageError:
        return _no_label(_UNREAD_HEIC)
    if decoder is None:
        return _no_label("not a JPEG, PNG or WEBP file")
    try:
        with open(path, "rb") as stream, decoder(stream) as picture:
            exif = picture.getexif()
            gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
            owner = exif.get_ifd(ExifTags.IFD.Exif).get(_CAMERA_OWNER, "")
        if not gps:
            return _no_label("without coordinates in the EXIF")
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef], "N", "S")
        lon = _degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef], "E", "W")
    except Exception:  # hostile EXIF raises nearly anything; a photo without a readable place has no label
        return _no_label("with EXIF that cannot be read")
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        return _no_label("with coordinates that are not on the Earth")
    if lat == lon == 0:
        return _no_label("with coordinates of exactly 0, 0, as a camera without a fix writes them")
    author = _exif_text(exif.get(ExifTags.Base.Artist)) or _exif_text(owner)
    return lat, lon, author, _exif_text(exif.get(ExifTags.Base.Copyright)), ""


_CAMERA_OWNER = 0xA430


def _no_label(why: str) -> tuple[float, float, str, str, str]:
    return math.nan, math.nan, "", "", why


def _exif_text(value: object) -> str:
    """Text of a tag on one line. EXIF is ASCII by its standard, and UTF-8 by custom, which Pillow reads as Latin-1."""
    text = value if isinstance(value, str) else ""
    with suppress(UnicodeError):
        text = text.encode("latin-1").decode()
    return one_line(text.replace("\0", " "), 200)


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(12)
    except OSError:  # whoever opens it for its pixels will say why
        return b""


def _degrees(parts: Any, ref: str, positive: str, negative: str) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    if not (0 <= minutes < 60.001 and 0 <= seconds < 60.001):  # 60 itself is what rounding makes of 59.9999
        raise ValueError("minutes or seconds beyond 60")
    sign = {positive: 1, negative: -1}[ref.strip("\0 ").upper()]
    return sign * (degrees + minutes / 60 + seconds / 3600)
