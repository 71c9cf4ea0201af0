"""A dataset of your own: photos in a folder, with their coordinates in EXIF."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import ExifTags

from geolib.common.errors import ImageError, MissingDataError
from geolib.common.files import atomic_path, cache_path, file_stamp
from geolib.common.texts import one_line
from geolib.datasets.splits import can_be_kept_apart
from geolib.datasets.tables import PICTURES, AnyPath, checked, with_files
from geolib.images import decoder_of

Label = tuple[float, float, str, str, str]
_UNREAD_HEIC = "HEIC files (`pip install pillow-heif` to read them, or convert them to JPEG)"
_CAMERA_OWNER = 0xA430


def folder(path: AnyPath) -> dict[str, Any]:
    """Open the photos below a folder that have GPS coordinates in their EXIF. The id is the path below the folder.

    Photographer and author are the EXIF's artist, else the camera's owner; the licence is its copyright notice. If the
    photographers are too few for a split that separates them, a warning says so and they are left out. The EXIF of a
    file is cached until the file changes.

    Raises `MissingDataError` if there is no such folder or no picture, `ValueError` if no picture has coordinates.
    """
    root = Path(path)
    labels = _labels(root, pictures(root))
    refused = labels["refused"][labels["refused"] != ""].value_counts().to_dict()
    photos = labels[labels["refused"] == ""].drop(columns=["refused", "stamp"])
    if photos.empty:
        reasons = "; ".join(f"{n:,} {why}" for why, n in refused.items())
        raise ValueError(f"none of the {len(labels)} pictures in {path} has GPS coordinates in its EXIF: {reasons}")
    if unread := refused.get(_UNREAD_HEIC):
        warnings.warn(f"{path}: {unread:,} left out: {_UNREAD_HEIC}", stacklevel=2)
    photos = checked(photos.assign(photographer=photos["author"], source=photos.index), path)
    names = set(photos["photographer"]) - {""}
    if names and not can_be_kept_apart(photos):
        warnings.warn(
            f"{path}: its photographers ({len(names):,}) are too few, or their photos in too many places, to have "
            "different ones in training and test. The safe split separates places (1-degree blocks) only: results do "
            "not hold for new photographers, and intervals are too narrow",
            stacklevel=2,
        )
        photos = photos.assign(photographer="")
    return with_files(photos, root, list(photos.index)) | {"refused": refused}


def pictures(path: AnyPath) -> list[Path]:
    """Find the JPEG, PNG, WEBP and HEIC files below a folder, sorted. Raises `MissingDataError` if there is none."""
    root = Path(path)
    if not root.is_dir():
        raise MissingDataError(f"{root} is not a folder; expected a folder of pictures")
    found = sorted(file for file in root.rglob("*") if file.suffix.lower() in PICTURES and file.is_file())
    if not found:
        raise MissingDataError(f"{root} holds no pictures ({', '.join(sorted(PICTURES))})")
    return found


def _labels(root: Path, files: list[Path]) -> pd.DataFrame:
    """`read_label` of every file, by its path below `root`, from the cache where the file has not changed."""
    cache = cache_path("folders", f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]}.parquet")
    columns = ["stamp", "lat", "lon", "author", "licence", "refused"]
    try:
        before = {row.Index: row[1:] for row in pd.read_parquet(cache)[columns].itertuples()}
    except Exception:  # no cache, or an unreadable one: read the files again
        before = {}
    rows = {}
    for file in files:
        name, stamp = file.relative_to(root).as_posix(), file_stamp(file)
        row = before.get(name)
        unchanged = row is not None and row[0] == stamp and row[-1] != _UNREAD_HEIC
        rows[name] = row if unchanged else (stamp, *read_label(file))
    labels = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("id")
    if rows != before:
        with atomic_path(cache) as temporary:
            labels.to_parquet(temporary)
    return labels


def read_label(path: Path) -> Label:
    """Read the label of a photo from its EXIF: (lat, lon, author, copyright notice, ""). No prediction uses it.

    Without a usable place, lat and lon are NaN and the last text is the reason.
    """
    try:
        with open(path, "rb") as stream:
            if (decoder := decoder_of(stream.read(12))) is None:
                return _no_label("not a JPEG, PNG or WEBP file")
            stream.seek(0)
            with decoder(stream) as picture:
                exif = picture.getexif()
                gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
                owner = exif.get_ifd(ExifTags.IFD.Exif).get(_CAMERA_OWNER, "")
        if not gps:
            return _no_label("without coordinates in the EXIF")
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef], "NS")
        lon = _degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef], "EW")
    except ImageError:
        return _no_label(_UNREAD_HEIC)
    except Exception:  # hostile EXIF raises nearly anything
        return _no_label("with EXIF that cannot be read")
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        return _no_label("with coordinates that are not on the Earth")
    if lat == lon == 0:
        return _no_label("with coordinates of exactly 0, 0, as a camera without a fix writes them")
    author = _exif_text(exif.get(ExifTags.Base.Artist)) or _exif_text(owner)
    return lat, lon, author, _exif_text(exif.get(ExifTags.Base.Copyright)), ""


def _no_label(reason: str) -> Label:
    return math.nan, math.nan, "", "", reason


def _exif_text(value: object) -> str:
    """Text of a tag on one line. Pillow reads it as Latin-1; many programs write UTF-8."""
    text = value if isinstance(value, str) else ""
    with suppress(UnicodeError):
        text = text.encode("latin-1").decode()
    return one_line(text.replace("\0", " "), 200)


def _degrees(parts: Any, ref: str, letters: str) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    if not (0 <= minutes < 60.001 and 0 <= seconds < 60.001):  # 59.9999 is written as 60 by rounding
        raise ValueError("minutes or seconds beyond 60")
    sign = {letters[0]: 1, letters[1]: -1}[ref.strip("\0 ").upper()]
    return sign * (degrees + minutes / 60 + seconds / 3600)
