"""A dataset of your own: photos in a folder, with their coordinates in EXIF."""

from __future__ import annotations

import hashlib
import math
import os
import re
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import ExifTags, Image

from geolib.common.errors import ImageError, MissingDataError
from geolib.common.files import atomic_path, cache_path, file_stamp
from geolib.common.texts import one_line
from geolib.datasets.tables import PICTURES, AnyPath, checked, with_files
from geolib.images import decoder_of, opened

Label = tuple[float, float, str, str, str]
_UNREAD_HEIC = "HEIC files (`pip install pillow-heif` to read them, or convert them to JPEG)"
_NO_PLACE = "without coordinates in the EXIF"
_UNREADABLE = "with EXIF that cannot be read"
_CAMERA_OWNER = 0xA430
_RULES = 3  # raise it when `read_label` reads a file differently: cached labels are read anew then


def folder(path: AnyPath) -> dict[str, Any]:
    """Open the photos below a folder that have GPS coordinates in their EXIF. The id is the path below the folder.

    Photographer and author are the EXIF's artist, else the camera's owner; the licence is its copyright notice. The
    EXIF of a file is cached until the file changes. Refused files are counted by reason in `Dataset.refused`; a warning
    names the reasons, except for photos without coordinates.

    Raises `MissingDataError` if there is no such folder or no picture, `ValueError` if no picture has coordinates.
    """
    root = Path(path).expanduser()
    labels = _labels(root, pictures(root))
    refused = labels["refused"][labels["refused"] != ""].value_counts().to_dict()
    photos = labels[labels["refused"] == ""].drop(columns=["refused", "stamp"])
    if photos.empty:
        reasons = "; ".join(f"{n:,} {why}" for why, n in refused.items())
        raise ValueError(f"none of the {len(labels)} pictures in {path} has GPS coordinates in its EXIF: {reasons}")
    for reason, n in refused.items():
        if reason != _NO_PLACE:
            example = one_line(labels.index[labels["refused"] == reason][0])
            warnings.warn(f"{path}: {n:,} left out: {reason}, such as {example}", stacklevel=2)
    photos = checked(photos.assign(photographer=photos["author"], source=photos.index), path)
    return with_files(photos, root, list(photos.index)) | {"refused": refused}


def pictures(path: AnyPath) -> list[Path]:
    """Find the JPEG, PNG, WEBP and HEIC files below a folder, sorted: by their endings, or by their first bytes.

    Links to files and folders are followed, but a folder is entered once and a link into `path` itself is not followed.
    A folder that cannot be read gives a warning. Raises `MissingDataError` if there is no picture.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise MissingDataError(f"{root} is not a folder; expected a folder of pictures")
    home, entered, found = root.resolve(), set(), []
    for name, subfolders, files in os.walk(root, onerror=_warn_unread, followlinks=True):
        here, real = Path(name), Path(name).resolve()
        linked_back = real != home / here.relative_to(root) and real.is_relative_to(home)
        if real in entered or linked_back:
            subfolders.clear()
            continue
        entered.add(real)
        subfolders.sort()
        found += [here / file for file in files if _is_picture(here / file)]
    if not found:
        raise MissingDataError(f"{root} holds no pictures ({', '.join(sorted(PICTURES))})")
    return sorted(found)


def _warn_unread(error: OSError) -> None:
    warnings.warn(f"{error.filename} is left out: it cannot be read ({error.strerror})", stacklevel=2)


def _is_picture(file: Path) -> bool:
    if file.suffix or not file.is_file():
        return file.suffix.lower() in PICTURES
    try:
        with open(file, "rb") as stream:
            return decoder_of(stream.read(12)) is not None
    except ImageError:  # HEIC without pillow-heif
        return True
    except OSError:
        return False


def _labels(root: Path, files: list[Path]) -> pd.DataFrame:
    """`read_label` of every file, by its path below `root`, from the cache where the file has not changed."""
    key = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    cache = cache_path("folders", f"{key}-{_RULES}.parquet")
    columns = ["stamp", "lat", "lon", "author", "licence", "refused"]
    try:
        before = {row.Index: row[1:] for row in pd.read_parquet(cache)[columns].itertuples()}
    except Exception:  # no cache, or an unreadable one: read the files again
        before = {}
    rows = {}
    for file in files:
        name, stamp = file.relative_to(root).as_posix(), file_stamp(file)
        shown = os.fsencode(name).decode(errors="backslashreplace")
        shown = shown if shown == name else f"./{shown}"  # a name of its own: a file may be called so in letters
        row = before.get(shown)
        if row is None or row[0] != stamp or row[-1] not in ("", _NO_PLACE):  # a refused file may be readable now
            row = (stamp, *(read_label(file) if shown == name else _no_label("with a name that is not UTF-8")))
        rows[shown] = row
    labels = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("id")
    try:
        if rows != before:
            with atomic_path(cache) as temporary:
                labels.to_parquet(temporary)
    except OSError as error:
        warnings.warn(f"the labels of {root} are read anew each time, because {error}", stacklevel=2)
    return labels


def read_label(path: Path) -> Label:
    """Read the label of a photo from its EXIF: (lat, lon, author, copyright notice, ""). No prediction uses it.

    Without a usable place, lat and lon are NaN and the last text is the reason. What is ambiguous is refused: a sign
    that contradicts its hemisphere, a receiver without a fix, coordinates without a hemisphere.
    """
    try:
        with opened(path) as picture, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                lat, lon, author, licence = _exif_label(Image.Image.getexif(picture))  # that of PNG decodes the pixels
            except _Refused as error:
                damaged = said and str(error) == _NO_PLACE  # Pillow leaves tags out with a warning
                return _no_label(_UNREADABLE if damaged else str(error))
            except Exception:  # hostile EXIF raises nearly anything
                return _no_label(_UNREADABLE)
    except ImageError as error:
        return _no_label(_UNREAD_HEIC if isinstance(error.__cause__, ImportError) else reason_of(error, str(path)))
    return lat, lon, author, licence, ""


def reason_of(error: Exception, name: str) -> str:
    """What an image's error says of every file with this fault, in words that follow a number.

    >>> reason_of(ImageError("a.jpg has too many pixels (9 x 9); make it smaller"), "a.jpg")
    'with too many pixels'
    """
    words = re.split(r" \(|;|:", str(error).removeprefix(name))[0].strip()
    return re.sub("^has ", "with ", words).removeprefix("is ")


def _no_label(reason: str) -> Label:
    return math.nan, math.nan, "", "", reason


class _Refused(Exception):
    """Why the EXIF of a photo gives no place."""


def _exif_label(exif: Image.Exif) -> tuple[float, float, str, str]:
    """Place, author and copyright notice. Raises `_Refused`."""
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    lat, lon = (_parts(gps.get(tag)) for tag in (ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLongitude))
    if not (lat and lon):
        raise _Refused(_NO_PLACE)
    if _letter(gps.get(ExifTags.GPS.GPSStatus)).startswith("V"):  # some write "Void"
        raise _Refused("with coordinates of a receiver that had no fix (GPSStatus V)")
    place = (
        _degrees(lat, _letter(gps.get(ExifTags.GPS.GPSLatitudeRef)), "NS"),
        _degrees(lon, _letter(gps.get(ExifTags.GPS.GPSLongitudeRef)), "EW"),
    )
    if not (abs(place[0]) <= 90 and abs(place[1]) <= 180):
        raise _Refused("with coordinates that are not on the Earth")
    if place == (0, 0):
        raise _Refused("with coordinates of exactly 0, 0, as a camera without a fix writes them")
    owner = exif.get_ifd(ExifTags.IFD.Exif).get(_CAMERA_OWNER)
    author = _exif_text(exif.get(ExifTags.Base.Artist)) or _exif_text(owner)
    return *place, author, _exif_text(exif.get(ExifTags.Base.Copyright))


def _parts(value: Any) -> list[float]:
    """Degrees, minutes and seconds, also from a text such as "52,0,34.5"; unknown seconds (0/0) count as 0.

    Empty if there is no value, or if all three are unknown.
    """
    if value is None:
        return []
    value = value.strip("\0 ").split(",") if isinstance(value, str) else value
    degrees, minutes, seconds = (float(part) for part in value)
    if math.isnan(degrees) and math.isnan(minutes) and math.isnan(seconds):
        return []
    return [degrees, minutes, 0.0 if math.isnan(seconds) else seconds]


def _letter(value: Any) -> str:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.strip("\0 ").upper() if isinstance(text, str) else ""


def _degrees(parts: list[float], ref: str, letters: str) -> float:
    """Signed degrees. A sign before the degrees, or before all parts, has to agree with the hemisphere."""
    minus = [part < 0 for part in parts if part]
    if minus and not parts[0] and math.copysign(1, parts[0]) < 0:  # "-0,30,0"
        minus = [True, *minus]
    if any(minus) and not (minus[0] and len(set(minus[1:])) <= 1):
        raise ValueError("a minus sign after the first part")
    degrees, minutes, seconds = map(abs, parts)
    if math.isnan(degrees) or not (minutes < 60.001 and seconds < 60.001):  # 59.9999 is written as 60 by rounding
        raise ValueError("unknown degrees or minutes, or more than 60 minutes or seconds")
    whole = [abs(part - round(part)) < 1e-4 for part in (degrees, minutes)]
    if (not whole[0] and (minutes or seconds)) or (not whole[1] and seconds):
        raise _Refused("with decimals before further minutes or seconds, which may count twice")
    if len(ref) != 1 or ref not in letters:
        raise _Refused(f"with coordinates whose hemisphere is missing ({' or '.join(letters)})")
    if any(minus) and ref == letters[0]:
        raise _Refused(f"with a sign that contradicts its hemisphere (a minus before degrees {letters[0]})")
    return (degrees + minutes / 60 + seconds / 3600) * (1 if ref == letters[0] else -1)


def _exif_text(value: object) -> str:
    """Text of a tag on one line. Pillow reads it as Latin-1; many programs write UTF-8."""
    text = value if isinstance(value, str) else ""
    with suppress(UnicodeError):
        text = text.encode("latin-1").decode()
    return one_line(text.replace("\0", " "), 200)
